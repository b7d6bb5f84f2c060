//! Packet hops a second of workload W1 (see `lvs_benches::limit`), by CPU time.
//!
//! ```text
//! cargo run --release -p lvs-benches --bin w1 -- [SECONDS [RUNS]]
//! ```
//!
//! Each implementation simulates SECONDS (100) of W1; the best of RUNS (5) counts, as everything else that
//! the machine does can only add to it. The runs of the implementations alternate.

use cpu_time::ProcessTime;
use lvs_benches::limit::{Mode, bare_w1};
use std::io::{self, Write as _};

/// One measurement.
#[derive(Clone, Copy, Debug)]
struct Row {
    implementation: &'static str,
    mode: Mode,
    hops: u64,
    events: u64,
    /// CPU seconds of the run.
    cpu: f64,
    /// Peak memory of the process during the run in MB, 0 if the system does not tell.
    peak: f64,
}

/// Connections a second.
const RATE: f64 = 2_000.0;
const SEED: u64 = 1;

/// Who is compared: each runs W1 for some seconds of virtual time. The first is what the others are a
/// share of. Here the simulator's own rows are added: `fn simulator(mode: Mode, seconds: f64) -> Row`.
const IMPLEMENTATIONS: &[fn(Mode, f64) -> Row] = &[bare];

fn bare(mode: Mode, seconds: f64) -> Row {
    measured("bare loop", mode, || {
        let run = bare_w1(mode, seconds, RATE, SEED);
        (run.hops, run.events)
    })
}

/// Runs `work`, which returns hops and events, and takes its time.
fn measured(implementation: &'static str, mode: Mode, work: impl FnOnce() -> (u64, u64)) -> Row {
    forget_peak();
    let start = ProcessTime::now();
    let (hops, events) = work();
    let cpu = start.elapsed().as_secs_f64();
    Row { implementation, mode, hops, events, cpu, peak: peak() }
}

/// Linux: the peak is from now on that of what follows (proc(5), `clear_refs`).
fn forget_peak() {
    // Elsewhere there is no such file, and no peak either.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Peak resident memory in MB: `VmHWM` of `/proc/self/status`, 0 without.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kilobytes.map_or(0.0, |kb| kb * 1_024.0 / 1e6)
}

/// The best of `runs` of every implementation in every mode, the first implementation's modes first.
fn best(seconds: f64, runs: usize) -> Vec<Row> {
    let mut best: Vec<Row> = Vec::new();
    for run in 0..runs.max(1) {
        let modes = [Mode::Dr, Mode::Nat].into_iter();
        let all = IMPLEMENTATIONS.iter().flat_map(|run| modes.clone().map(move |mode| (run, mode)));
        for (place, (implementation, mode)) in all.enumerate() {
            let row = implementation(mode, seconds);
            match best.get_mut(place) {
                Some(least) if row.cpu < least.cpu => *least = row,
                Some(_) => {}
                None => {
                    debug_assert_eq!(run, 0, "later runs find a row at every place");
                    best.push(row);
                }
            }
        }
    }
    best
}

fn write(out: &mut impl io::Write, rows: &[Row]) -> io::Result<()> {
    writeln!(
        out,
        "{:<16} {:<4} {:>9} {:>11} {:>7} {:>11} {:>22}",
        "implementation",
        "mode",
        "M hops/s",
        "M events/s",
        "ns/hop",
        "peak RSS MB",
        "share of the bare loop"
    )?;
    for row in rows {
        let speed = row.hops as f64 / row.cpu;
        let bare = rows.iter().find(|other| other.mode == row.mode);
        let share = bare.map_or(1.0, |bare| speed / (bare.hops as f64 / bare.cpu));
        writeln!(
            out,
            "{:<16} {:<4} {:>9.2} {:>11.2} {:>7.1} {:>11.1} {:>20.1} %",
            row.implementation,
            if row.mode == Mode::Nat { "NAT" } else { "DR" },
            speed / 1e6,
            row.events as f64 / row.cpu / 1e6,
            1e9 / speed,
            row.peak,
            share * 100.0
        )?;
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: f64| match arguments.next() {
        None => Ok(default),
        Some(text) => text.parse().ok().filter(|n| (0.1..=1e4).contains(n)).ok_or_else(|| {
            let message = format!("usage: w1 [SECONDS [RUNS]], numbers up to 10000, not {text:?}");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        }),
    };
    let (seconds, runs) = (number(100.0)?, number(5.0)?);
    write(&mut io::stdout().lock(), &best(seconds, runs as usize))
}
