//! Time of the SIP message operations.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use bytes::Bytes;
use c4_benches::sip::OPERATIONS;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sip_core::Limits;
use std::hint::black_box;

fn message(c: &mut Criterion) {
    let limits = Limits::default();
    for (name, operation, octets) in OPERATIONS {
        let datagram = Bytes::from_static(octets);
        let mut group = c.benchmark_group(*name);
        group.throughput(Throughput::Bytes(octets.len() as u64));
        group.bench_function("sip-core", |b| b.iter(|| operation(black_box(&datagram), &limits)));
        group.finish();
    }
}

criterion_group!(benches, message);
criterion_main!(benches);
