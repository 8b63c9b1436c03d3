//! `c4-relay`: the media relay, asked over the NG protocol of rtpengine.

use std::process::ExitCode;

use c4_ref::io::heap::Allocator;
use c4_ref::io::{program, roles};

#[global_allocator]
static HEAP: Allocator = Allocator::MIMALLOC;

fn main() -> ExitCode {
    program::main("c4-relay", "RTP media relay with the NG control protocol", roles::RELAY)
}
