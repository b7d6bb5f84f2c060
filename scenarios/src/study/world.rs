//! The one place where a world is made.

use crate::diagnostic::Problem;
use crate::model::Failure;
use sim_core::config::WorldConfig;
use sim_core::engine::Time;
use sim_core::observe::Observations;

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
    let world = placeholder::World::build(config);
    world.map_err(|errors| {
        let problems = errors
            .into_iter()
            .map(|e| Problem::nowhere(format!("{}: {}", e.place, e.what)))
            .collect();
        Box::new(Failure { sources: crate::diagnostic::Sources::default(), problems })
    })
}

mod placeholder {
    //! Stands in until `sim_core::world::World` is there.
    use super::{Observations, Simulation, Time, WorldConfig};

    pub(super) struct BuildError {
        pub(super) what: String,
        pub(super) place: String,
    }

    pub(super) struct World {
        end: Time,
        observations: Observations,
    }

    impl World {
        pub(super) fn build(config: &WorldConfig) -> Result<Self, Vec<BuildError>> {
            if config.hosts.is_empty() {
                let (what, place) = ("no hosts".to_owned(), "world".to_owned());
                return Err(vec![BuildError { what, place }]);
            }
            let end = Time::ZERO + config.duration;
            Ok(Self { end, observations: Observations { end, ..Observations::default() } })
        }
    }

    impl Simulation for World {
        fn run(&mut self, _: u64) -> bool {
            false
        }
        fn now(&self) -> Time {
            self.end
        }
        fn events(&self) -> u64 {
            0
        }
        fn digest(&self) -> u64 {
            0
        }
        fn last_place(&self) -> String {
            String::new()
        }
        fn take_captures(&mut self) -> Vec<(String, Vec<u8>)> {
            Vec::new()
        }
        fn finish(self) -> Observations {
            self.observations
        }
    }
}
