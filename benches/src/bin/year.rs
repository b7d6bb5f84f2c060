//! Time of an event in the shipped scenario `year-of-faults` beside that of workload W1 by direct
//! routing (see `lvs_benches::limit`), by CPU time of one core.
//!
//! ```text
//! cargo run --release -p lvs-benches --bin year -- [DAYS [SEED]]
//! ```
//!
//! The DAYS (365) are simulated in twelve pieces, and before each of them some seconds of W1 in a process
//! of its own, so that both suffer alike from whatever else the machine does.

use cpu_time::ProcessTime;
use lvs_benches::memory::{peak, resident};
use scenarios::catalogue::find;
use scenarios::model::{Embedded, Settings, load};
use sim_core::config::WorldConfig;
use sim_core::observe::{Availability, Observations};
use sim_core::world::World;
use std::io::{self, Write};
use std::process::Command;

/// Pieces of the year.
const PIECES: u64 = 12;
/// Events between two looks at the clock.
const CHUNK: u64 = 1 << 16;
/// Virtual seconds of W1 beside each piece.
const W1_SECONDS: u32 = 50;
/// The word that makes the program run W1 and print its numbers.
const ALONE: &str = "--w1";

/// Events and the CPU seconds they took.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    events: u64,
    cpu: f64,
}

impl Row {
    /// Nanoseconds of an event.
    fn each(self) -> f64 {
        self.cpu * 1e9 / self.events as f64
    }
}

/// A variant of a shipped scenario.
fn shipped(name: &str, variant: &str, set: String, seed: u64) -> WorldConfig {
    let entry = find(name).expect("a shipped scenario");
    let settings = Settings { set: vec![set], seed: Some(seed) };
    let scenario = load(entry.file(), entry.text(), &Embedded(entry.files), &settings)
        .expect("the shipped scenario is right");
    let variant = scenario.variants.iter().find(|v| v.name == variant);
    variant.expect("the variant is there").config.clone()
}

fn build(config: &WorldConfig) -> World {
    World::build(config).expect("the shipped scenario is right")
}

/// Runs W1 by direct routing.
fn w1() -> Row {
    let config = shipped("w1", "DR", format!("duration={W1_SECONDS}s"), 1);
    let start = ProcessTime::now();
    let mut world = build(&config);
    while world.run(u64::MAX) {}
    let events = world.finish().events;
    Row { events, cpu: start.elapsed().as_secs_f64() }
}

/// The same in a process of its own.
fn w1_beside() -> io::Result<Row> {
    let output = Command::new(std::env::current_exe()?).arg(ALONE).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split_whitespace();
    let row =
        (|| Some(Row { events: words.next()?.parse().ok()?, cpu: words.next()?.parse().ok()? }))();
    row.ok_or_else(|| io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// A piece of the year beside a run of W1.
#[derive(Clone, Copy, Debug)]
struct Piece {
    year: Row,
    w1: Row,
    /// Resident memory at its end in MB.
    memory: f64,
}

/// Plays the year.
fn play(out: &mut impl Write, config: &WorldConfig) -> io::Result<(Vec<Piece>, Observations)> {
    writeln!(out, "piece     M events   year ns/event   W1 ns/event   ratio   memory MB")?;
    let mut pieces: Vec<Piece> = Vec::new();
    let mut world = build(config);
    let mut goes_on = true;
    for number in 1..=PIECES {
        let w1 = w1_beside()?;
        let end = config.duration.as_nanos() / PIECES * number;
        let (before, start) = (world.events(), ProcessTime::now());
        while goes_on && (number == PIECES || world.now().as_nanos() < end) {
            goes_on = world.run(CHUNK);
        }
        let year = Row { events: world.events() - before, cpu: start.elapsed().as_secs_f64() };
        let piece = Piece { year, w1, memory: resident() / 1e6 };
        write(out, &number.to_string(), piece)?;
        pieces.push(piece);
    }
    Ok((pieces, world.finish()))
}

fn write(out: &mut impl Write, name: &str, piece: Piece) -> io::Result<()> {
    let Piece { year, w1, memory } = piece;
    writeln!(
        out,
        "{name:<6} {:>11.1} {:>15.1} {:>13.1} {:>7.2} {memory:>11.1}",
        year.events as f64 / 1e6,
        year.each(),
        w1.each(),
        year.each() / w1.each(),
    )
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == ALONE) {
        let row = w1();
        return writeln!(out, "{} {}", row.events, row.cpu);
    }
    let number = |place: usize, default: u64, most: u64| match arguments.get(place) {
        None => Ok(default),
        Some(text) => text.parse().ok().filter(|n| (1..=most).contains(n)).ok_or_else(|| {
            let message = format!("usage: year [DAYS [SEED]], numbers from 1, not {text:?}");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        }),
    };
    let (days, seed) = (number(0, 365, 3_650)?, number(1, 1, u64::MAX)?);
    let config = shipped("year-of-faults", "year-of-faults", format!("duration={days}d"), seed);
    let (pieces, observed) = play(&mut out, &config)?;
    let sum = |row: fn(&Piece) -> Row| {
        let add = |a: Row, b: Row| Row { events: a.events + b.events, cpu: a.cpu + b.cpu };
        pieces.iter().map(row).fold(Row::default(), add)
    };
    let all = Piece { year: sum(|p| p.year), w1: sum(|p| p.w1), memory: peak() };
    write(&mut out, "all", all)?;
    let a = Availability::union("all", &observed.availability);
    writeln!(
        out,
        "{days} days: {} events in {:.1} s of CPU time, {} hops; {} of {} requests served, \
         {} outages; {} entries of the timeline",
        all.year.events,
        all.year.cpu,
        observed.ip_hops + observed.arp_hops,
        a.served,
        a.offered(),
        a.outages.len(),
        observed.timeline.len(),
    )
}
