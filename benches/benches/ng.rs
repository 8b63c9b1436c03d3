//! Time of NG messages: an offer read, a reply written, both through the server.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use c4_benches::ng::{NAMES, operation};
use criterion::{Criterion, criterion_group, criterion_main};

fn ng(c: &mut Criterion) {
    for (name, mut run) in NAMES.into_iter().filter_map(operation) {
        c.bench_function(name, |b| b.iter(&mut run));
    }
}

criterion_group!(benches, ng);
criterion_main!(benches);
