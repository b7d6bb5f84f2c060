//! What a choice costs, against a plain walk over the same list.
//!
//! `cargo bench -p lvs-benches --bench schedulers` measures, for each rule and number of
//! destinations, one new connection and one that ends: a choice, `bind`, `activate`, and the
//! `release` of a random live one. Four connections per destination are alive, weights are 1 to 10.
//! `walk` is the same rule as a scan of an array, and the same contract: handles are checked, counters
//! do not underflow, thresholds are looked at.

#[path = "schedulers/churn.rs"]
mod churn;
#[path = "schedulers/walk.rs"]
mod walk;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use schedulers::{Algorithm, Flow, RandomSource};

use crate::churn::{Churn, flow, server};
use crate::walk::Walk;

const SIZES: [usize; 7] = [4, 10, 32, 256, 1024, 10_000, 100_000];

const WALKING: [Algorithm; 9] = [
    Algorithm::Rr,
    Algorithm::Wrr,
    Algorithm::Lc,
    Algorithm::Wlc,
    Algorithm::Sed,
    Algorithm::Nq,
    Algorithm::Fo,
    Algorithm::Ovf,
    Algorithm::Twos,
];

fn choices(c: &mut Criterion) {
    for algorithm in WALKING {
        let mut group = c.benchmark_group(algorithm.name());
        for size in SIZES {
            let mut churn = Churn::new(algorithm, size);
            group.bench_function(BenchmarkId::new("index", size), |b| b.iter(|| churn.turn()));
            let mut walk = Walk::new(size);
            group.bench_function(BenchmarkId::new("walk", size), |b| {
                b.iter(|| walk.turn(black_box(algorithm)));
            });
        }
        group.finish();
    }
}

fn tables(c: &mut Criterion) {
    for algorithm in [Algorithm::Dh, Algorithm::Sh, Algorithm::Mh] {
        let mut group = c.benchmark_group(algorithm.name());
        for size in SIZES.into_iter().filter(|&n| algorithm != Algorithm::Mh || n <= 4093) {
            let mut churn = Churn::new(algorithm, size);
            group.bench_function(BenchmarkId::new("index", size), |b| b.iter(|| churn.turn()));
        }
        group.finish();
    }
    let mut group = c.benchmark_group("mh-fill");
    for size in [4, 256, 1024, 4093] {
        let mut churn = Churn::new(Algorithm::Mh, size);
        let id = churn.alive[0];
        group.bench_function(BenchmarkId::new("edit", size), |b| {
            b.iter(|| {
                assert!(churn.service.edit_dest(id, server(0).edit()).is_ok());
                churn.service.prepare();
            });
        });
    }
    group.finish();
}

/// `lblc` and `lblcr`: an address that is known, and one that is not.
fn caches(c: &mut Criterion) {
    for algorithm in [Algorithm::Lblc, Algorithm::Lblcr] {
        let mut group = c.benchmark_group(algorithm.name());
        for size in SIZES {
            let mut churn = Churn::new(algorithm, size);
            let to = |n: u32| Flow { dst: std::net::Ipv4Addr::from(n).into(), ..flow(n) };
            for n in 0..16_384 {
                let known = churn.service.schedule(&to(n), 0, &mut churn.random);
                assert!(known.is_some());
            }
            group.bench_function(BenchmarkId::new("hit", size), |b| {
                b.iter(|| {
                    let n = churn.random.below(16_384);
                    churn.service.schedule(&to(n), 1, &mut churn.random)
                });
            });
            let mut fresh = 1 << 24;
            let mut now = 2;
            group.bench_function(BenchmarkId::new("miss", size), |b| {
                b.iter(|| {
                    fresh += 1;
                    if fresh % 16_384 == 0 {
                        // Keep the cache at its usual size.
                        now += 361_000_000_000;
                        churn.service.run_timer(now);
                    }
                    churn.service.schedule(&to(fresh), now, &mut churn.random)
                });
            });
        }
        group.finish();
    }
}

/// A server leaves and comes back.
fn changes(c: &mut Criterion) {
    for algorithm in [Algorithm::Wrr, Algorithm::Wlc, Algorithm::Sh, Algorithm::Twos] {
        let mut group = c.benchmark_group(format!("{algorithm}-remove-add"));
        for size in SIZES {
            let mut churn = Churn::new(algorithm, size);
            group.bench_function(BenchmarkId::new("index", size), |b| {
                b.iter(|| {
                    let n = churn.random.below(size as u32) as usize;
                    let spec = server(n);
                    if let Some(id) = churn.service.pool().find(spec.addr, spec.port) {
                        assert!(churn.service.remove_dest(id).is_ok());
                        assert_eq!(churn.service.add_dest(spec), Ok(id));
                    }
                    churn.service.schedule(&flow(n as u32), 0, &mut churn.random)
                });
            });
        }
        group.finish();
    }
}

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(700))
        .sample_size(20)
}

criterion_group! { name = benches; config = short(); targets = choices, tables, caches, changes }
criterion_main!(benches);
