//! The one place where a world is made.

use crate::diagnostic::Problem;
use crate::model::Failure;
use sim_core::config::WorldConfig;
use sim_core::engine::Time;
use sim_core::observe::Observations;
use sim_core::world::World;

/// A world that can be run in pieces.
pub trait Simulation {
    /// Handles up to `max_events` events; whether more are left.
    fn run(&mut self, max_events: u64) -> bool;
    /// Time of the last event.
    fn now(&self) -> Time;
    /// Events handled so far.
    fn events(&self) -> u64;
    /// Fold of everything that happened so far.
    fn digest(&self) -> u64;
    /// Host of the last event.
    fn last_place(&self) -> String;
    /// Captured bytes since the last call: `HOST.IFACE` and what to append to its file.
    fn take_captures(&mut self) -> Vec<(String, Vec<u8>)>;
    /// Ends the run.
    fn finish(self) -> Observations;
}

/// Builds the world of a configuration.
///
/// # Errors
/// What the world finds wrong with it.
pub fn build(config: &WorldConfig) -> Result<impl Simulation + use<>, Box<Failure>> {
    let world = World::build(config);
    world.map_err(|errors| {
        let problems = errors
            .into_iter()
            .map(|e| Problem::nowhere(format!("{}: {}", e.place, e.what)))
            .collect();
        Box::new(Failure { sources: crate::diagnostic::Sources::default(), problems })
    })
}

impl Simulation for World {
    fn run(&mut self, max_events: u64) -> bool {
        World::run(self, max_events)
    }
    fn now(&self) -> Time {
        World::now(self)
    }
    fn events(&self) -> u64 {
        World::events(self)
    }
    fn digest(&self) -> u64 {
        World::digest(self)
    }
    fn last_place(&self) -> String {
        World::last_place(self)
    }
    fn take_captures(&mut self) -> Vec<(String, Vec<u8>)> {
        World::take_captures(self)
    }
    fn finish(self) -> Observations {
        World::finish(self)
    }
}
