//! Time of a call through two transaction layers.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use c4_benches::transaction::{NAMES, operation};
use criterion::{Criterion, criterion_group, criterion_main};

fn transaction(c: &mut Criterion) {
    for (name, mut run) in NAMES.into_iter().filter_map(operation) {
        c.bench_function(name, |b| b.iter(&mut run));
    }
}

criterion_group!(benches, transaction);
criterion_main!(benches);
