//! `cargo bench -p seacat-bench-core`: how long the protocol's operations take.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use criterion::{Criterion, criterion_group, criterion_main};
use seacat_bench_core::operations;

fn core(criterion: &mut Criterion) {
    for (name, mut operation) in operations() {
        criterion.bench_function(name, |bencher| bencher.iter(|| operation.run()));
    }
}

criterion_group!(benches, core);
criterion_main!(benches);
