//! Time of a call through the stateless load balancer.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use c4_benches::lb::{NAMES, operation};
use criterion::{Criterion, criterion_group, criterion_main};

fn lb(c: &mut Criterion) {
    for (name, mut run) in NAMES.into_iter().filter_map(operation) {
        c.bench_function(name, |b| b.iter(&mut run));
    }
}

criterion_group!(benches, lb);
criterion_main!(benches);
