//! Cases of heartbeat.
//!
//! From the recording are taken: what the experimenter did and when, and how long scripts and starts of
//! processes took (they were very slow on the machines of the recordings, and are no part of the protocol).
//! Everything else follows.

mod compare;
mod plan;
mod scripts;

pub use compare::compare;
pub use plan::Plan;

use super::case::Case;
use super::interval::Report;
use super::play;

/// Plays a case and compares.
///
/// # Errors
/// Why it cannot be played.
pub fn judge(case: &Case) -> Result<Report, String> {
    let plan = Plan::new(case)?;
    let played = play::play(&plan.config, &plan.directors, plan.end)?;
    Ok(compare(case, &plan, &played.seen))
}
