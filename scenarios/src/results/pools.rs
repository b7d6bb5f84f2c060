//! How often real servers failed their checks and came back, and services lost and regained their quorum.

use serde_json::{Value, json};
use sim_core::engine::Time;
use sim_core::observe::TimelineEntry;
use sim_core::observe::timeline::Kind;

/// The part `pools` of a summary: what happened from a time on, of all directors together.
pub(super) fn summary(timeline: &[TimelineEntry], from: Time) -> Value {
    let count = |kind: Kind, is: fn(&str) -> bool| {
        let these = timeline.iter().filter(|e| e.kind == kind && e.time >= from);
        these.filter(|e| is(&e.value)).count()
    };
    json!({
        "failed": count(Kind::Check, |v| v != "succeeded"),
        "recovered": count(Kind::Check, |v| v == "succeeded"),
        "quorum_lost": count(Kind::Service, |v| v == "quorum lost"),
        "quorum_gained": count(Kind::Service, |v| v == "quorum gained"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::engine::Span;

    #[test]
    fn failures_recoveries_and_quorums_are_counted_after_the_warm_up() {
        let entry = |s, kind, value: &str| TimelineEntry {
            time: Time::ZERO + Span::from_secs(s),
            host: "d".to_owned(),
            kind,
            subject: String::new(),
            value: value.to_owned(),
        };
        let timeline = [
            entry(0, Kind::Service, "quorum gained"),
            entry(1, Kind::Check, "timed out"),
            entry(2, Kind::Check, "refused"),
            entry(2, Kind::Service, "quorum lost"),
            entry(3, Kind::Check, "succeeded"),
            entry(3, Kind::Pool, "1"),
        ];
        let at = |s| summary(&timeline, Time::ZERO + Span::from_secs(s));
        let counts = |failed, recovered, lost, gained| json!({ "failed": failed, "recovered": recovered, "quorum_lost": lost, "quorum_gained": gained });
        assert_eq!(at(0), counts(2, 1, 1, 1));
        assert_eq!(at(2), counts(1, 1, 1, 0));
    }
}
