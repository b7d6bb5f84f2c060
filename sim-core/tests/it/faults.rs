//! Faults: the harm of each kind is seen, and its end.

mod applications;
mod chance;
mod conditions;
mod hosts;
mod links;

use crate::network::*;
use sim_core::config::*;
use sim_core::engine::{Dist, Span};
use sim_core::observe::Observations;
use sim_core::observe::timeline::Kind;

/// A fault of milliseconds: from, for how long.
pub(super) fn fault(name: &str, what: FaultKind, from_ms: u64, for_ms: u64) -> FaultConfig {
    FaultConfig {
        name: name.into(),
        what,
        when: FaultStart::At(vec![Span::from_millis(from_ms)]),
        end: FaultEnd::After(Dist::Constant(for_ms as f64 / 1e3)),
    }
}

pub(super) fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|&n| n.to_owned()).collect()
}

/// The power of hosts is gone; they boot at once.
pub(super) fn crash(hosts: &[&str]) -> FaultKind {
    FaultKind::PowerLoss { hosts: names(hosts), switches: Vec::new(), boot: None }
}

pub(super) fn down(links: &[&str]) -> FaultKind {
    FaultKind::LinkDown { links: names(links) }
}

/// A client asks a server on the same cable by UDP every 100 ms, for two seconds. Both know each other's
/// Ethernet address for good.
pub(super) fn asking() -> WorldConfig {
    let points: Vec<u64> = (0..20).map(|n| n * 100).collect();
    let mut config = quiet_pair(Transport::Udp, &points);
    config.duration = Span::from_secs(2);
    config.drain = Span::from_secs(10);
    config.hosts[0].clients[0].timeout = Some(Span::from_millis(90));
    config
}

/// Which of the requests were answered, by their number.
pub(super) fn served(o: &Observations) -> Vec<usize> {
    let all = rows(o);
    (0..all.len()).filter(|&n| all[n].failure.is_none()).collect()
}

/// What the timeline told of a sort: milliseconds, host, subject, value.
pub(super) fn told(o: &Observations, kind: Kind) -> Vec<(u64, &str, &str, &str)> {
    let ms = |t: sim_core::engine::Time| t.as_nanos() / 1_000_000;
    let of = o.timeline.iter().filter(|e| e.kind == kind);
    of.map(|e| (ms(e.time), &e.host[..], &e.subject[..], &e.value[..])).collect()
}

/// The requests of [`asking`] but some.
pub(super) fn all_but(gone: core::ops::Range<usize>) -> Vec<usize> {
    (0..20).filter(|n| !gone.contains(n)).collect()
}
