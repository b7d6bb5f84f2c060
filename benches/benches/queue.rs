//! The event queue beside the standard library's heap, in the hold model.
//!
//! `cargo bench -p lvs-benches --bench queue` measures and ends with a table of ratios;
//! `cargo bench -p lvs-benches --bench queue -- --test` runs everything once, small.

use criterion::{BenchmarkId, Criterion, criterion_group};
use lvs_benches::hold::{Heap, Hold, Pending, Wheel, compare};
use std::io::{self, Write};

const PENDING: [usize; 4] = [64, 1_000, 100_000, 10_000_000];
/// The largest share of the heap's time that is good enough, where one is asked for.
const AT_MOST: [Option<f64>; 4] = [None, Some(0.7), Some(0.35), Some(0.05)];

fn bench<Q: Pending + Default>(criterion: &mut Criterion, name: &str, sizes: &[usize]) {
    let mut group = criterion.benchmark_group("hold");
    group.sample_size(10);
    for pending in sizes {
        let mut hold = Hold::<Q>::steady(*pending);
        group.bench_function(BenchmarkId::new(name, pending), |bencher| {
            bencher.iter_custom(|iterations| {
                let nanos = hold.measure(iterations as usize) * iterations as f64;
                std::time::Duration::from_nanos(nanos as u64)
            });
        });
    }
    group.finish();
}

fn queues(criterion: &mut Criterion) {
    let sizes = if quick() { &PENDING[..2] } else { &PENDING[..] };
    bench::<Wheel>(criterion, "wheel", sizes);
    bench::<Heap>(criterion, "heap", sizes);
}

/// Whether this is a trial run, as criterion itself sees it.
fn quick() -> bool {
    std::env::args().any(|arg| arg == "--test")
}

/// The ratios, each measured with the two queues taking turns.
fn table() -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "\nhold model, CPU time, medians; bytes: held a pending event above the event")?;
    writeln!(
        out,
        "{:>10} {:>9} {:>9} {:>7} {:>8} {:>7}",
        "pending", "heap ns", "wheel ns", "ratio", "at most", "bytes"
    )?;
    for (pending, at_most) in PENDING.into_iter().zip(AT_MOST) {
        if quick() && pending > 1_000 {
            break;
        }
        let (holds, rounds) = if quick() { (10_000, 3) } else { (2_000_000, 7) };
        let found = compare(pending, holds, rounds);
        let at_most = at_most.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        writeln!(
            out,
            "{pending:>10} {:>9.1} {:>9.1} {:>7.3} {at_most:>8} {:>7.1}",
            found.heap_ns,
            found.wheel_ns,
            found.ratio(),
            found.wheel_bytes
        )?;
    }
    Ok(())
}

criterion_group!(benches, queues);

fn main() -> io::Result<()> {
    benches();
    Criterion::default().configure_from_args().final_summary();
    table()
}
