//! Time of a REGISTER with digest and of its parts.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use c4_benches::register::{NAMES, operation};
use criterion::{Criterion, criterion_group, criterion_main};

fn register(c: &mut Criterion) {
    for (name, mut run) in NAMES.into_iter().filter_map(operation) {
        c.bench_function(name, |b| b.iter(&mut run));
    }
}

criterion_group!(benches, register);
criterion_main!(benches);
