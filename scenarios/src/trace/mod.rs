//! The path of one connection: which one ([`selector`]), and how it is told ([`listing`]).

pub mod listing;
pub mod selector;

use crate::model::{Failure, Variant};
use crate::study::world::{self, Simulation as _};
use sim_core::config::{TraceConfig, WorldConfig};
use sim_core::observe::{Observations, TraceReport};

/// Events handled in one go.
const CHUNK: u64 = 1 << 16;

/// Plays a variant and follows a connection through it: what was told, and everything else that was
/// observed, which is the same as without it (unless [`TraceConfig::until`] ends the run early).
///
/// # Errors
/// A world that cannot be built.
pub fn follow(
    variant: &Variant,
    what: &TraceConfig,
) -> Result<(TraceReport, Observations), Box<Failure>> {
    let config = WorldConfig { trace: Some(what.clone()), ..variant.config.clone() };
    let mut world = world::build(&config)?;
    while world.run(CHUNK) {}
    let mut observations = world.finish();
    let report = observations.trace.take().unwrap_or_default();
    Ok((report, observations))
}
