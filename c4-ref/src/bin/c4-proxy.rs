//! `c4-proxy`: the stateful proxy and registrar.

use std::process::ExitCode;

use c4_ref::io::heap::Allocator;
use c4_ref::io::{program, roles};

#[global_allocator]
static HEAP: Allocator = Allocator::MIMALLOC;

fn main() -> ExitCode {
    program::main("c4-proxy", "Stateful SIP proxy and registrar", roles::PROXY)
}
