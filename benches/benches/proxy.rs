//! Time of a call through the stateful proxy core.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use c4_benches::proxy::{NAMES, operation};
use criterion::{Criterion, criterion_group, criterion_main};

fn proxy(c: &mut Criterion) {
    for (name, mut run) in NAMES.into_iter().filter_map(operation) {
        c.bench_function(name, |b| b.iter(&mut run));
    }
}

criterion_group!(benches, proxy);
criterion_main!(benches);
