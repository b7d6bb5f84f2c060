//! Variants through their worlds, several at a time, results in order.

use super::progress::Progress;
use super::world::{self, Simulation};
use crate::model::{Failure, Scenario, Variant};
use rayon::prelude::*;
use sim_core::config::{CaptureConfig, WorldConfig};
use sim_core::engine::Time;
use sim_core::observe::Observations;

/// Events between two looks at the clock.
pub const CHUNK: u64 = 1 << 16;

/// How to run.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Keep a row for each connection.
    pub connections: bool,
    /// Interfaces to capture.
    pub captures: Vec<CaptureConfig>,
    /// Variants that run at the same time; 0: as many as there are processors.
    pub threads: usize,
}

/// What came out of one variant.
#[derive(Debug)]
pub struct Outcome {
    /// The variant.
    pub variant: Variant,
    /// What was observed.
    pub observations: Observations,
    /// How long it took.
    pub timing: Timing,
}

/// How long a run took: nothing that may decide anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// Seconds on the wall.
    pub wall_s: f64,
}

/// Takes captured bytes while a run goes on.
pub trait Captures: Sync {
    /// Appends to the capture `name` (`HOST.IFACE`) of a variant.
    ///
    /// # Errors
    /// Why it cannot be written.
    fn append(&self, variant: &str, name: &str, bytes: &[u8]) -> Result<(), String>;
}

/// The configuration of a variant with the options of the command.
pub fn configuration(variant: &Variant, options: &RunOptions) -> WorldConfig {
    WorldConfig {
        connections: options.connections,
        captures: options.captures.clone(),
        ..variant.config.clone()
    }
}

/// A scenario that is run with several seeds.
#[derive(Clone, Copy)]
pub struct Replications<'s> {
    /// As it is.
    pub first: &'s Scenario,
    /// How many runs, the first one included.
    pub count: usize,
    /// Gives the scenario of a run by its number, which begins at 1: the same but for the seed.
    pub load: &'s (dyn Fn(usize) -> Result<Scenario, Box<Failure>> + Sync),
}

impl core::fmt::Debug for Replications<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut shown = f.debug_struct("Replications");
        shown.field("first", &self.first.name).field("count", &self.count).finish_non_exhaustive()
    }
}

/// Runs all variants of all replications, as many at a time as there are threads, and keeps what `reduce`
/// makes of each outcome. Results are in the order of the replications and their variants, whatever the
/// number of threads; progress counts variants in that order.
///
/// # Errors
/// A scenario that cannot be loaded, a world that cannot be built, or a capture that cannot be written.
pub fn replicate<T: Send>(
    again: &Replications<'_>,
    options: &RunOptions,
    captures: &dyn Captures,
    progress: &dyn Progress,
    reduce: impl Fn(Outcome) -> T + Sync,
) -> Result<Vec<Vec<T>>, Box<Failure>> {
    let variants = again.first.variants.len();
    // more threads than runs have nothing to do
    let threads = options.threads.min(variants * again.count);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|e| Failure::nowhere(format!("cannot start threads: {e}")))?;
    let run_all = |number: usize, scenario: &Scenario| {
        let jobs = scenario.variants.par_iter().with_max_len(1).enumerate();
        jobs.map(|(index, variant)| {
            let index = number * variants + index;
            run_one(index, variant, options, captures, progress).map(&reduce)
        })
        .collect()
    };
    pool.install(|| {
        // each by itself, so that nobody is left with a heap of long runs at the end
        let numbers = (0..again.count).into_par_iter().with_max_len(1);
        numbers
            .map(|number| match number {
                0 => run_all(0, again.first),
                _ => run_all(number, &(again.load)(number)?),
            })
            .collect()
    })
}

fn run_one(
    index: usize,
    variant: &Variant,
    options: &RunOptions,
    captures: &dyn Captures,
    progress: &dyn Progress,
) -> Result<Outcome, Box<Failure>> {
    let config = configuration(variant, options);
    let clock = Clock::start();
    let mut world = world::build(&config)?;
    progress.at(index, Time::ZERO, 0);
    loop {
        let more = world.run(CHUNK);
        for (name, bytes) in world.take_captures() {
            captures
                .append(&variant.name, &name, &bytes)
                .map_err(|e| Failure::nowhere(format!("cannot write the capture {name}: {e}")))?;
        }
        progress.at(index, world.now(), world.events());
        if !more {
            break;
        }
    }
    progress.done(index);
    let observations = world.finish();
    let timing = Timing { wall_s: clock.seconds() };
    Ok(Outcome { variant: variant.clone(), observations, timing })
}

#[expect(clippy::disallowed_types, reason = "the wall clock goes into timing.json only")]
struct Clock(std::time::Instant);

impl Clock {
    #[expect(clippy::disallowed_types, reason = "the wall clock goes into timing.json only")]
    fn start() -> Self {
        Self(std::time::Instant::now())
    }

    fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}
