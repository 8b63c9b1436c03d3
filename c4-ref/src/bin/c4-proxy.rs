//! `c4-proxy`: the stateful proxy and registrar.

use std::process::ExitCode;

use c4_ref::io::heap::Counted;
use c4_ref::io::{program, roles};

#[global_allocator]
static HEAP: Counted = Counted::SYSTEM;

fn main() -> ExitCode {
    program::main("c4-proxy", "Stateful SIP proxy and registrar", roles::PROXY)
}
