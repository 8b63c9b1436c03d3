//! `c4-proxy`: the stateful proxy and registrar.

use std::process::ExitCode;

use c4_ref::io::{program, roles};

fn main() -> ExitCode {
    program::main("c4-proxy", "Stateful SIP proxy and registrar", roles::PROXY)
}
