//! Time of reading and writing a description.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use c4_benches::sdp::{NAMES, OFFER, operation};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn sdp(c: &mut Criterion) {
    for (name, mut run) in NAMES.into_iter().filter_map(operation) {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(OFFER.len() as u64));
        group.bench_function("c4-sdp", |b| b.iter(&mut run));
        group.finish();
    }
}

criterion_group!(benches, sdp);
criterion_main!(benches);
