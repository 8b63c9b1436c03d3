//! `c4-lb`: the stateless load balancer.

use std::process::ExitCode;

use c4_ref::io::{program, roles};

fn main() -> ExitCode {
    program::main("c4-lb", "Stateless SIP load balancer", roles::LB)
}
