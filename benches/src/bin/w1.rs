//! Packet hops a second of workload W1 (see `lvs_benches::limit`), by CPU time.
//!
//! ```text
//! cargo run --release -p lvs-benches --bin w1 -- [SECONDS [RUNS]]
//! ```
//!
//! Each implementation simulates SECONDS (100) of W1 in a process of its own; the best of RUNS (5)
//! counts, as whatever else the machine does can only add to it. The runs of the implementations
//! alternate.

use cpu_time::ProcessTime;
use lvs_benches::limit::{Mode, bare_w1};
use lvs_benches::memory::peak;
use scenarios::catalogue::find;
use scenarios::model::{Embedded, Settings, load};
use sim_core::world::World;
use std::io;
use std::process::Command;

/// One measurement.
#[derive(Clone, Copy, Debug)]
struct Row {
    hops: u64,
    events: u64,
    /// CPU seconds of the run.
    cpu: f64,
    /// Peak memory of the process in MB, 0 if the system does not tell.
    peak: f64,
}

/// Runs W1 in a mode for some seconds of virtual time.
type Run = fn(Mode, f64) -> Row;

/// Who is compared. The first is what the others are a share of.
const IMPLEMENTATIONS: &[(&str, Run)] = &[("bare loop", bare), ("lvsim", simulator)];

const MODES: [(&str, Mode); 2] = [("DR", Mode::Dr), ("NAT", Mode::Nat)];

/// Connections a second.
const RATE: f64 = 2_000.0;
const SEED: u64 = 1;

fn bare(mode: Mode, seconds: f64) -> Row {
    measured(|| {
        let run = bare_w1(mode, seconds, RATE, SEED);
        (run.hops, run.events)
    })
}

/// The shipped scenario `w1`, with everything on: ARP, TCP, the connection table, statistics. The
/// time includes building the world and gathering what it observed.
fn simulator(mode: Mode, seconds: f64) -> Row {
    let entry = find("w1").expect("a shipped scenario");
    let set = vec![format!("duration={seconds}s")];
    let settings = Settings { set, seed: Some(SEED) };
    let scenario = load(entry.file(), entry.text(), &Embedded(entry.files), &settings)
        .expect("the shipped scenario is right");
    let name = match mode {
        Mode::Dr => "DR",
        Mode::Nat => "NAT",
    };
    let variant = scenario.variants.iter().find(|v| v.name == name).expect("a variant per mode");
    measured(|| {
        let mut world = World::build(&variant.config).expect("the shipped scenario is right");
        while world.run(u64::MAX) {}
        let observed = world.finish();
        (observed.ip_hops, observed.events)
    })
}

/// Takes the time of `work`, which returns hops and events.
fn measured(work: impl FnOnce() -> (u64, u64)) -> Row {
    let start = ProcessTime::now();
    let (hops, events) = work();
    Row { hops, events, cpu: start.elapsed().as_secs_f64(), peak: peak() }
}

/// The word that makes the program measure one row and print its numbers.
const ALONE: &str = "--one-row";

/// Measures in a process of its own, so that no row's memory depends on another's.
fn in_child(implementation: usize, mode: usize, seconds: f64) -> io::Result<Row> {
    let arguments = [ALONE.to_owned(), implementation.to_string(), mode.to_string()];
    let program = std::env::current_exe()?;
    let output = Command::new(program).args(arguments).arg(seconds.to_string()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split_whitespace();
    let row = (|| {
        Some(Row {
            hops: words.next()?.parse().ok()?,
            events: words.next()?.parse().ok()?,
            cpu: words.next()?.parse().ok()?,
            peak: words.next()?.parse().ok()?,
        })
    })();
    row.ok_or_else(|| io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// The other end of [`in_child`].
fn alone(out: &mut impl io::Write, arguments: &[String]) -> io::Result<()> {
    let run = || {
        let [implementation, mode, seconds] = arguments else { return None };
        let (_, run) = IMPLEMENTATIONS.get(implementation.parse::<usize>().ok()?)?;
        let (_, mode) = MODES.get(mode.parse::<usize>().ok()?)?;
        Some(run(*mode, seconds.parse().ok()?))
    };
    let row = run().ok_or_else(|| io::Error::other("no such row"))?;
    writeln!(out, "{} {} {} {}", row.hops, row.events, row.cpu, row.peak)
}

/// The best of `runs` of every implementation in every mode.
fn best(seconds: f64, runs: usize) -> io::Result<Vec<[Row; MODES.len()]>> {
    let mut best: Vec<[Option<Row>; MODES.len()]> = vec![[None; _]; IMPLEMENTATIONS.len()];
    for _ in 0..runs {
        for (i, rows) in best.iter_mut().enumerate() {
            for (j, least) in rows.iter_mut().enumerate() {
                let row = in_child(i, j, seconds)?;
                if least.is_none_or(|least| row.cpu < least.cpu) {
                    *least = Some(row);
                }
            }
        }
    }
    Ok(best.iter().map(|rows| rows.map(|row| row.expect("there is at least one run"))).collect())
}

fn write(out: &mut impl io::Write, table: &[[Row; MODES.len()]]) -> io::Result<()> {
    writeln!(
        out,
        "{:<16} {:<4} {:>9} {:>11} {:>7} {:>12} {:>23}",
        "implementation",
        "mode",
        "M hops/s",
        "M events/s",
        "ns/hop",
        "peak RSS MB",
        "share of the bare loop"
    )?;
    for ((name, _), rows) in IMPLEMENTATIONS.iter().zip(table) {
        for (((mode, _), row), bare) in MODES.iter().zip(rows).zip(&table[0]) {
            let speed = row.hops as f64 / row.cpu;
            let share = speed / (bare.hops as f64 / bare.cpu);
            writeln!(
                out,
                "{name:<16} {mode:<4} {:>9.2} {:>11.2} {:>7.1} {:>12.1} {:>21.1} %",
                speed / 1e6,
                row.events as f64 / row.cpu / 1e6,
                1e9 / speed,
                row.peak,
                share * 100.0
            )?;
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == ALONE) {
        return alone(&mut out, &arguments[1..]);
    }
    let number = |place: usize, default: f64| match arguments.get(place) {
        None => Ok(default),
        Some(text) => text.parse().ok().filter(|n| (1.0..=1e4).contains(n)).ok_or_else(|| {
            let message = format!("usage: w1 [SECONDS [RUNS]], from 1 to 10000, not {text:?}");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        }),
    };
    let (seconds, runs) = (number(0, 100.0)?, number(1, 5.0)?);
    write(&mut out, &best(seconds, runs as usize)?)
}
