//! Running the variants of a scenario.

pub mod lockstep;
pub mod progress;
pub mod run;
pub mod world;

pub use lockstep::Difference;
pub use progress::Progress;
pub use run::{Captures, Outcome, Replications, RunOptions, Timing, replicate};
