//! Runs one operation a number of times, for instruction counts: `operations NAME TIMES`; without arguments the names.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::hint::black_box;
use std::process::ExitCode;

use bytes::Bytes;
use c4_benches::sip::OPERATIONS;
use c4_benches::{lb, ng, proxy, register, relay, sdp, transaction};
use sip_core::Limits;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        OPERATIONS.iter().for_each(|(name, _, _)| println!("{name}"));
        let others = proxy::NAMES
            .iter()
            .chain(&lb::NAMES)
            .chain(&register::NAMES)
            .chain(&ng::NAMES)
            .chain(&relay::NAMES)
            .chain(&sdp::NAMES)
            .chain(&transaction::NAMES);
        others.for_each(|name| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let times = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    let made = proxy::operation(&name)
        .or_else(|| lb::operation(&name))
        .or_else(|| register::operation(&name))
        .or_else(|| ng::operation(&name))
        .or_else(|| sdp::operation(&name))
        .or_else(|| relay::operation(&name))
        .or_else(|| transaction::operation(&name));
    if let Some((_, mut operation)) = made {
        println!("{}", (0..times).fold(0usize, |sum, _| sum.wrapping_add(operation())));
        return ExitCode::SUCCESS;
    }
    let Some((_, operation, octets)) = OPERATIONS.iter().find(|(known, _, _)| *known == name) else {
        println!("no operation {name}");
        return ExitCode::FAILURE;
    };
    // As a receive loop has them: octets on the heap, counted.
    let datagram = Bytes::from(octets.to_vec());
    let limits = Limits::default();
    let mut sum = 0usize;
    for _ in 0..times {
        sum = sum.wrapping_add(operation(black_box(&datagram), &limits));
    }
    println!("{sum}");
    ExitCode::SUCCESS
}
