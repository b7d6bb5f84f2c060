//! What caused an outage, as far as a timeline tells.
//!
//! A cause is the event that began last before the outage or during it. In detail: *blows* are what comes
//! from outside (faults, power, processes), *reactions* what the cluster makes of it (states, nodes,
//! resources, fencing, addresses, services, pools). An event counts as before the outage if it came no later
//! than the patience after its begin, as its first lost request may have been under way. Tried in this
//! order:
//! 1. the last blow before, if it came within [`RECENT`] of the begin;
//! 2. the first blow during the outage;
//! 3. the last reaction before, if it came within [`RECENT`] of the begin;
//! 4. the last blow before, however old, unless it was the end of a trouble;
//! 5. the first reaction during the outage.

use super::timeline::Kind;
use super::{Availability, Outage, TimelineEntry};
use crate::engine::{Span, Time};

/// What came longer ago is less likely a cause than what comes during the outage: 60 s.
pub const RECENT: Span = Span::from_secs(60);

/// Where a kind of event stands between blow and consequence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rank {
    Blow,
    Reaction,
    Trace,
}

const fn rank(kind: Kind) -> Rank {
    match kind {
        Kind::Fault | Kind::Power | Kind::Process => Rank::Blow,
        Kind::State
        | Kind::Node
        | Kind::Resource
        | Kind::Fencing
        | Kind::Address
        | Kind::Service
        | Kind::Pool => Rank::Reaction,
        Kind::Medium
        | Kind::Announcement
        | Kind::Check
        | Kind::Sync
        | Kind::Neighbour
        | Kind::Outage => Rank::Trace,
    }
}

/// Whether a blow is the end of a trouble.
fn heals(entry: &TimelineEntry) -> bool {
    matches!(entry.value.as_str(), "over" | "on" | "running" | "started")
}

/// Sets the cause of every outage. `patience` is how long an answer takes at most, usually.
pub fn assign(all: &mut [Availability], timeline: &[TimelineEntry], patience: Span) {
    let of = |wanted: Rank| -> Vec<usize> {
        (0..timeline.len()).filter(|i| rank(timeline[*i].kind) == wanted).collect()
    };
    let (blows, reactions) = (of(Rank::Blow), of(Rank::Reaction));
    for outage in all.iter_mut().flat_map(|a| &mut a.outages) {
        let around = |events: &[usize]| around(events, timeline, outage, patience);
        let (blow, blow_during) = around(&blows);
        let (reaction, reaction_during) = around(&reactions);
        let fresh = |i: &usize| timeline[*i].time + RECENT >= outage.begin;
        let cause = blow
            .filter(fresh)
            .or(blow_during)
            .or(reaction.filter(fresh))
            .or(blow.filter(|i| !heals(&timeline[*i])))
            .or(reaction_during);
        outage.cause = cause.map(|i| i as u32);
    }
}

/// The last of some events before an outage, and the first one during it.
fn around(
    events: &[usize],
    timeline: &[TimelineEntry],
    outage: &Outage,
    patience: Span,
) -> (Option<usize>, Option<usize>) {
    let limit: Time = (outage.begin + patience).min(outage.end);
    let next = events.partition_point(|i| timeline[*i].time <= limit);
    // of those of one time the first: the fault, not what it does to each host
    let last = next.checked_sub(1).map(|i| timeline[events[i]].time);
    let first = events.partition_point(|i| last.is_some_and(|last| timeline[*i].time < last));
    let before = last.map(|_| events[first]);
    let during = events.get(next).copied().filter(|i| timeline[*i].time < outage.end);
    (before, during)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: f64) -> Time {
        Time::ZERO + Span::from_secs_f64(s)
    }

    fn entry(s: f64, kind: Kind, value: &str) -> TimelineEntry {
        let (host, subject) = (String::new(), String::new());
        TimelineEntry { time: at(s), host, kind, subject, value: value.into() }
    }

    /// The time of the event that is found to be the cause of an outage from 100 s to 110 s.
    fn cause(timeline: &[TimelineEntry]) -> Option<Time> {
        let outage = Outage {
            begin: at(100.0),
            end: at(110.0),
            lasting: false,
            failed: [0; 6],
            reset: 0,
            cause: None,
        };
        let mut all = [Availability { outages: vec![outage], ..Availability::default() }];
        assign(&mut all, timeline, Span::from_millis(10));
        all[0].outages[0].cause.map(|i| timeline[i as usize].time)
    }

    #[test]
    fn the_last_fault_before_causes_an_outage() {
        let timeline = [
            entry(50.0, Kind::Fault, "link down"),
            entry(99.9, Kind::Power, "off"),
            entry(103.0, Kind::State, "MASTER"),
            entry(105.0, Kind::Fault, "link down"),
        ];
        assert_eq!(cause(&timeline), Some(at(99.9)));
    }

    #[test]
    fn a_fault_may_meet_a_request_under_way() {
        let timeline = [entry(99.0, Kind::Fault, "over"), entry(100.005, Kind::Power, "off")];
        assert_eq!(cause(&timeline), Some(at(100.005)));
    }

    #[test]
    fn a_fault_during_it_rather_than_one_long_ago() {
        let timeline = [
            entry(1.0, Kind::Fault, "link down"),
            entry(95.0, Kind::State, "BACKUP"),
            entry(105.0, Kind::Fault, "x"),
        ];
        assert_eq!(cause(&timeline), Some(at(105.0)));
        assert_eq!(cause(&timeline[..2]), Some(at(95.0)));
        assert_eq!(cause(&timeline[..1]), Some(at(1.0)));
        assert_eq!(cause(&[entry(1.0, Kind::Fault, "over")]), None);
    }

    #[test]
    fn what_only_shows_it_causes_nothing() {
        assert_eq!(
            cause(&[entry(100.0, Kind::Neighbour, "b"), entry(99.0, Kind::Check, "")]),
            None
        );
        assert_eq!(cause(&[entry(104.0, Kind::Pool, "removed")]), Some(at(104.0)));
    }
}
