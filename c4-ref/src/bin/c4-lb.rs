//! `c4-lb`: the stateless load balancer.

use std::process::ExitCode;

use c4_ref::io::heap::Allocator;
use c4_ref::io::{program, roles};

#[global_allocator]
static HEAP: Allocator = Allocator::MIMALLOC;

fn main() -> ExitCode {
    program::main("c4-lb", "Stateless SIP load balancer", roles::LB)
}
