//! Time of a packet through the media relay's table.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use c4_benches::relay::{NAMES, operation};
use criterion::{Criterion, criterion_group, criterion_main};

fn relay(c: &mut Criterion) {
    for (name, mut run) in NAMES.into_iter().filter_map(operation) {
        c.bench_function(name, |b| b.iter(&mut run));
    }
}

criterion_group!(benches, relay);
criterion_main!(benches);
