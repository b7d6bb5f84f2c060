//! What was seen of a cluster, taken apart: who reigned when, who announced, what became of pools.

use super::observed::{Burst, Observed, Pool};
use sim_core::engine::{Span, Time};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// States that last no longer than this may be missed by whoever polls a loaded machine.
const MISSED: Span = Span::from_millis(400);
/// Adverts that are closer together than this part of their interval are answers, not periodic.
const PERIODIC: f64 = 0.9;
/// An interval of adverts that is longer than this many of the usual ones is a pause.
const PAUSE: f64 = 2.5;

/// Adverts of a host one after another, with one priority to one destination.
#[derive(Clone, PartialEq, Debug)]
pub struct Reign {
    /// The host.
    pub host: String,
    /// The priority; 0: it steps down.
    pub priority: u8,
    /// Destination.
    pub to: IpAddr,
    /// Virtual router.
    pub router: u8,
    /// When each was sent, at least one.
    pub adverts: Vec<Time>,
}

impl Reign {
    /// The first advert.
    pub fn first(&self) -> Time {
        self.adverts.first().copied().unwrap_or_default()
    }

    /// The last one.
    pub fn last(&self) -> Time {
        self.adverts.last().copied().unwrap_or_default()
    }

    /// The average time between periodic adverts, in seconds. The first one is left out: a new master has
    /// most to do then, and on the loaded machines of the recordings its second advert was late by up to
    /// 0.14 s.
    pub fn period(&self, interval: Span) -> Option<f64> {
        let least = interval.as_secs_f64() * PERIODIC;
        let gaps =
            self.adverts.windows(2).skip(1).map(|w| w[1].saturating_since(w[0]).as_secs_f64());
        let gaps: Vec<f64> = gaps.filter(|gap| *gap >= least).collect();
        (!gaps.is_empty()).then(|| gaps.iter().sum::<f64>() / gaps.len() as f64)
    }
}

/// The reigns of all hosts in order of their first adverts. `interval` is the interval of adverts.
pub fn reigns(seen: &Observed, interval: Span) -> Vec<Reign> {
    let mut reigns: Vec<Reign> = Vec::new();
    let longest = interval.as_secs_f64() * PAUSE;
    for a in &seen.adverts {
        let open = reigns.iter_mut().rfind(|r| r.host == a.from && r.router == a.router);
        match open {
            Some(reign)
                if (reign.priority, reign.to) == (a.priority, a.to)
                    && a.at.saturating_since(reign.last()).as_secs_f64() <= longest =>
            {
                reign.adverts.push(a.at);
            }
            _ => reigns.push(Reign {
                host: a.from.clone(),
                priority: a.priority,
                to: a.to,
                router: a.router,
                adverts: vec![a.at],
            }),
        }
    }
    reigns
}

/// The bursts of one host.
pub fn bursts_of(bursts: &[Burst], host: &str) -> Vec<Burst> {
    bursts.iter().filter(|b| b.from == host).cloned().collect()
}

/// A change of a pool: a destination with its new weight.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolChange {
    /// When it was seen.
    pub at: Time,
    /// When the pool was last seen without it.
    pub since: Time,
    /// The director.
    pub host: String,
    /// The destination; `None`: the service itself.
    pub server: Option<String>,
    /// Its weight; `None`: it is not there (any more).
    pub weight: Option<u32>,
}

/// The changes of all pools, in order of time.
pub fn pool_changes(seen: &Observed) -> Vec<PoolChange> {
    let mut before: BTreeMap<&str, (Time, Option<&Pool>)> = BTreeMap::new();
    let mut changes = Vec::new();
    for (at, host, pool) in &seen.pools {
        let (since, old) = before.insert(host, (*at, pool.as_ref())).unwrap_or((*at, None));
        let mut change = |server: Option<&String>, weight| {
            let (host, server) = (host.clone(), server.cloned());
            changes.push(PoolChange { at: *at, since, host, server, weight });
        };
        if old.is_some() != pool.is_some() {
            change(None, pool.as_ref().map(|_| 0));
        }
        let weight_in = |pool: Option<&Pool>, server: &str| {
            pool.and_then(|p| p.iter().find(|(s, _)| s == server)).map(|(_, w)| *w)
        };
        let (old, new) = (old.map_or(&[][..], Vec::as_slice), pool.as_ref());
        let old_pool = old.to_vec();
        for (server, _) in old {
            if weight_in(new, server).is_none() {
                change(Some(server), None);
            }
        }
        for (server, weight) in new.map_or(&[][..], Vec::as_slice) {
            if weight_in(Some(&old_pool), server) != Some(*weight) {
                change(Some(server), Some(*weight));
            }
        }
    }
    changes
}

/// Takes the states out that a poll may have missed, the shortest first, until no more are left than
/// `wanted`. `end` is when the last state ended.
pub fn without_short<T: PartialEq + Clone>(
    states: &[(Time, T)],
    wanted: usize,
    end: Time,
) -> Vec<(Time, T)> {
    let mut states = states.to_vec();
    states.dedup_by(|b, a| a.1 == b.1);
    while states.len() > wanted {
        let length = |n: usize| {
            let until = states.get(n + 1).map_or(end, |s| s.0);
            until.saturating_since(states[n].0)
        };
        let Some(shortest) = (1..states.len()).min_by_key(|n| length(*n)) else { break };
        if length(shortest) > MISSED {
            break;
        }
        states.remove(shortest);
        states.dedup_by(|b, a| a.1 == b.1);
    }
    states
}

#[cfg(test)]
mod tests {
    use super::super::observed::Advert;
    use super::*;

    fn ms(n: u64) -> Time {
        Time::from_nanos(n * 1_000_000)
    }

    #[test]
    fn a_reign_ends_with_a_pause_or_another_priority() {
        let advert = |at, from: &str, priority| Advert {
            at: ms(at),
            from: from.into(),
            to: "224.0.0.18".parse().unwrap(),
            priority,
            router: 51,
        };
        let adverts = vec![
            advert(0, "d1", 100),
            advert(1000, "d1", 100),
            advert(1400, "d2", 47),
            advert(1500, "d1", 100),
            advert(2500, "d1", 100),
            advert(2600, "d1", 0),
            advert(9000, "d1", 100),
        ];
        let all = reigns(&Observed { adverts, ..Observed::default() }, Span::from_secs(1));
        let told: Vec<_> =
            all.iter().map(|r| (r.host.as_str(), r.priority, r.adverts.len())).collect();
        assert_eq!(told, [("d1", 100, 4), ("d2", 47, 1), ("d1", 0, 1), ("d1", 100, 1)]);
        // the advert at 1.5 s came early
        assert_eq!(all[0].period(Span::from_secs(1)), Some(1.0));
        assert_eq!(all[1].period(Span::from_secs(1)), None);
    }

    #[test]
    fn pools_change_by_their_servers() {
        let pool = |servers: &[(&str, u32)]| {
            Some(servers.iter().map(|(s, w)| ((*s).to_owned(), *w)).collect::<Pool>())
        };
        let pools = vec![
            (ms(0), "d1".to_owned(), None),
            (ms(10), "d1".to_owned(), pool(&[("a", 1), ("b", 1)])),
            (ms(20), "d1".to_owned(), pool(&[("a", 0), ("c", 1)])),
        ];
        let changes = pool_changes(&Observed { pools, ..Observed::default() });
        let told: Vec<_> =
            changes.iter().map(|c| (c.at, c.since, c.server.as_deref(), c.weight)).collect();
        let wanted = [
            (ms(10), ms(0), None, Some(0)),
            (ms(10), ms(0), Some("a"), Some(1)),
            (ms(10), ms(0), Some("b"), Some(1)),
            (ms(20), ms(10), Some("b"), None),
            (ms(20), ms(10), Some("a"), Some(0)),
            (ms(20), ms(10), Some("c"), Some(1)),
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn short_states_may_be_missed_and_long_ones_may_not() {
        let states = [(ms(0), false), (ms(5000), true), (ms(5300), false), (ms(9000), true)];
        let kept = without_short(&states, 2, ms(20_000));
        assert_eq!(kept, [(ms(0), false), (ms(9000), true)]);
        let kept = without_short(&states, 1, ms(20_000));
        assert_eq!(kept, [(ms(0), false), (ms(9000), true)]);
        assert_eq!(without_short(&states, 4, ms(20_000)), states);
    }
}
