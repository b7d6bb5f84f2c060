//! The table of the schedulers on a machine that is busy with other things.
//!
//! `cargo run --release -p lvs-benches --example turns` prints nanoseconds for one connection that
//! comes and one that goes (see `benches/schedulers.rs`), index / walk. Each figure is the fastest
//! tenth of many short batches, which other programs disturb little. `turns SIZE...` does so for
//! other numbers of destinations, with a digit more.
//!
//! `turns RULE SIZE index|walk COUNT` only runs so many turns: two runs under
//! `valgrind --tool=callgrind` with different counts give instructions per turn.
#![expect(clippy::print_stdout, reason = "a command that prints")]
#![expect(clippy::disallowed_types, reason = "it measures real time")]

#[path = "../benches/schedulers/churn.rs"]
mod churn;
#[path = "../benches/schedulers/walk.rs"]
mod walk;

use std::hint::black_box;
use std::time::Instant;

use schedulers::Algorithm;

use churn::Churn;
use walk::Walk;

const SIZES: [usize; 7] = [4, 10, 32, 256, 1024, 10_000, 100_000];

/// The compiler must not find out that nobody looks at it.
fn keep<T: Copy>(value: T) {
    let _ = black_box(value);
}

/// The fastest tenth of some measurements.
fn fastest(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 10]
}

/// Nanoseconds per call.
fn time(mut call: impl FnMut(), batch: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..batch {
        call();
    }
    start.elapsed().as_nanos() as f64 / batch as f64
}

fn index(algorithm: Algorithm, size: usize) -> f64 {
    let mut churn = Churn::new(algorithm, size);
    for _ in 0..4 * size {
        keep(churn.turn());
    }
    fastest((0..2000).map(|_| time(|| keep(churn.turn()), 100)).collect())
}

fn walking(algorithm: Algorithm, size: usize) -> f64 {
    let mut walk = Walk::new(size);
    for _ in 0..400_000 / size {
        keep(walk.turn(algorithm));
    }
    let batch = (20_000 / size).clamp(1, 100);
    let batches = 400_000 / size.max(200);
    let turns = |_| time(|| keep(walk.turn(black_box(algorithm))), batch);
    fastest((0..batches).map(turns).collect())
}

/// Is the rule one that the kernel answers by walking?
fn walks(algorithm: Algorithm) -> bool {
    use Algorithm::{Dh, Lblc, Lblcr, Mh, Sh};
    !matches!(algorithm, Dh | Sh | Mh | Lblc | Lblcr)
}

fn table(sizes: &[usize], digits: usize) {
    print!("| rule |");
    for size in sizes {
        print!(" {size} |");
    }
    println!("\n|---|{}", "---|".repeat(sizes.len()));
    let rules = Algorithm::ALL.into_iter();
    for algorithm in rules.filter(|a| !matches!(a, Algorithm::Lblc | Algorithm::Lblcr)) {
        print!("| `{algorithm}` |");
        for &size in sizes {
            if algorithm == Algorithm::Mh && size > 4093 {
                print!(" |");
            } else if walks(algorithm) {
                let (ours, walk) = (index(algorithm, size), walking(algorithm, size));
                print!(" {ours:.digits$} / {walk:.digits$} |");
            } else {
                print!(" {:.digits$} |", index(algorithm, size));
            }
        }
        println!();
    }
}

fn usage() {
    println!("usage: turns [SIZE... | RULE SIZE index|walk COUNT]");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let sizes: Result<Vec<usize>, _> = arguments.iter().map(|a| a.parse()).collect();
    match sizes {
        Ok(sizes) if sizes.is_empty() => return table(&SIZES, 0),
        Ok(sizes) if sizes.iter().all(|&size| size > 0) => return table(&sizes, 1),
        _ => {}
    }
    let [rule, size, kind, count] = arguments.as_slice() else { return usage() };
    let (Ok(algorithm), Ok(size), Ok(count)) =
        (rule.parse::<Algorithm>(), size.parse::<usize>(), count.parse::<usize>())
    else {
        return usage();
    };
    if kind == "walk" {
        let mut walk = Walk::new(size);
        (0..count).for_each(|_| keep(walk.turn(black_box(algorithm))));
    } else {
        let mut churn = Churn::new(algorithm, size);
        (0..count).for_each(|_| keep(churn.turn()));
    }
}
