//! Cases of keepalived.
//!
//! From the recording are taken: what the experimenter did and when, when each daemon began (from its first
//! advert, or else from its log), when each of its checkers checked first. Everything else follows.

mod compare;
mod plan;

pub use compare::{Side, compare};
pub use plan::Plan;

use super::case::Case;
use super::interval::Report;
use super::play;
use sim_core::engine::Time;
use sim_core::observe::timeline::Kind;

/// Plays a case and compares.
///
/// # Errors
/// Why it cannot be played.
pub fn judge(case: &Case) -> Result<Report, String> {
    let first = judge_one(case, false)?;
    if first.agrees() {
        return Ok(first);
    }
    let other = judge_one(case, true)?;
    Ok(if other.differences.len() < first.differences.len() { other } else { first })
}

fn judge_one(case: &Case, odd: bool) -> Result<Report, String> {
    let plan = Plan::new(case, odd)?;
    let mut played = play::play(&plan.config, &plan.directors, plan.end)?;
    let unseen = |host: &str, at: Time| {
        plan.silent.iter().any(|(h, from, until)| h == host && (*from..*until).contains(&at))
    };
    played.seen.adverts.retain(|a| !unseen(&a.from, a.at));
    played.seen.announcements.retain(|a| !unseen(&a.from, a.at));
    let mut ready: Vec<(Time, String)> = Vec::new();
    let mut begun: Vec<&str> = Vec::new();
    for entry in &played.timeline {
        // the first state after the start is that of a backup which waits
        match entry.kind {
            Kind::Process if entry.value == "started" => begun.push(&entry.host),
            Kind::State if entry.value == "BACKUP" && begun.contains(&entry.host.as_str()) => {
                begun.retain(|h| *h != entry.host);
                ready.push((entry.time, entry.host.clone()));
            }
            _ => {}
        }
    }
    let recorded = Side::recorded(case, plan.interval);
    let simulated = Side::new(played.seen, ready, plan.interval, case.end);
    Ok(compare(case, &recorded, &simulated, plan.interval))
}
