//! Who holds a virtual address, and in whose neighbour cache who stands for it.
//!
//! A *holder* has the address on an interface of its own and so answers ARP for it. Real servers of a
//! director that have it besides (DR and tunnels) are none. A host without power or frozen holds nothing.
//! With two holders the cluster is in split brain; whom the clients reach then is in their caches and
//! those of the routers.

use super::TimelineEntry;
use super::timeline::Kind;
use crate::engine::{Span, Time};
use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

/// What is written for an address that a cache does not know.
pub const UNKNOWN: &str = "unknown";

/// A virtual address over time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VipObservation {
    /// The address.
    pub address: IpAddr,
    /// Who holds it from when on, the first from the start of the run.
    pub holders: Vec<Holding>,
    /// Who stands for it in neighbour caches, by host.
    pub caches: Vec<CacheObservation>,
}

/// Who holds an address from a time on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holding {
    /// From then.
    pub time: Time,
    /// Names of hosts, sorted.
    pub hosts: Vec<String>,
}

/// The entry of an address in the neighbour cache of a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CacheObservation {
    /// The host with the cache.
    pub host: String,
    /// From when on whose Ethernet address is there: a host, an Ethernet address of nobody's own, or
    /// [`UNKNOWN`].
    pub owners: Vec<(Time, String)>,
}

impl CacheObservation {
    /// How often the entry went over from one owner to another one.
    pub fn changes(&self) -> u64 {
        let known = self.owners.iter().map(|o| &o.1).filter(|o| *o != UNKNOWN);
        let mut last: Option<&String> = None;
        let mut changes = 0;
        for owner in known {
            changes += u64::from(last.is_some_and(|l| l != owner));
            last = Some(owner);
        }
        changes
    }
}

/// What was the case at a time and after it.
fn since<T: Clone>(all: &[(Time, T)], from: Time) -> Vec<(Time, T)> {
    let first = all.iter().rposition(|(time, _)| *time <= from).unwrap_or(0);
    all[first..].iter().map(|(time, what)| ((*time).max(from), what.clone())).collect()
}

impl VipObservation {
    /// The same from a time on.
    #[must_use]
    pub fn since(&self, from: Time) -> Self {
        let held: Vec<(Time, Vec<String>)> =
            self.holders.iter().map(|h| (h.time, h.hosts.clone())).collect();
        let holding = |(time, hosts)| Holding { time, hosts };
        let cache = |c: &CacheObservation| CacheObservation {
            host: c.host.clone(),
            owners: since(&c.owners, from),
        };
        Self {
            address: self.address,
            holders: since(&held, from).into_iter().map(holding).collect(),
            caches: self.caches.iter().map(cache).collect(),
        }
    }

    /// How often neighbour caches went over from one owner to another one.
    pub fn moves(&self) -> u64 {
        self.caches.iter().map(CacheObservation::changes).sum()
    }

    /// Least and largest number of holders at a time.
    pub fn extremes(&self) -> (usize, usize) {
        let counts = || self.holders.iter().map(|h| h.hosts.len());
        (counts().min().unwrap_or(0), counts().max().unwrap_or(0))
    }

    /// Time with no holder, with one, and with more, until `end`.
    pub fn times(&self, end: Time) -> [Span; 3] {
        let mut times = [Span::ZERO; 3];
        let ends = self.holders.iter().skip(1).map(|h| h.time).chain([end]);
        for (holding, until) in self.holders.iter().zip(ends) {
            times[holding.hosts.len().min(2)] += until.max(holding.time) - holding.time;
        }
        times
    }
}

/// Addresses of a host by its name, as they are configured.
pub type Configured = BTreeMap<String, BTreeSet<IpAddr>>;

/// A host while the run goes on.
#[derive(Clone, Debug, Default)]
struct Holder {
    addresses: BTreeSet<IpAddr>,
    silent: bool,
}

/// Follows addresses through a timeline: `services` and those that came or went.
///
/// `configured` are the addresses that hosts have at the start and when they get back power, without those
/// of real servers and of `lo`.
pub fn observe(
    services: &BTreeSet<IpAddr>,
    configured: &Configured,
    timeline: &[TimelineEntry],
) -> Vec<VipObservation> {
    let mut all = services.clone();
    all.extend(timeline.iter().filter(|e| e.kind == Kind::Address).filter_map(subject));
    let mut hosts: BTreeMap<&str, Holder> = BTreeMap::new();
    for (host, addresses) in configured {
        let holder = Holder { addresses: addresses.clone(), silent: false };
        hosts.insert(host, holder);
    }
    let mut vips: Vec<VipObservation> = all
        .into_iter()
        .map(|address| VipObservation { address, holders: Vec::new(), caches: Vec::new() })
        .collect();
    hold(&mut vips, &hosts, Time::ZERO);
    for entry in timeline {
        match entry.kind {
            Kind::Address => {
                let Some(address) = subject(entry) else { continue };
                let holder = hosts.entry(&entry.host).or_default();
                if entry.value == "removed" {
                    holder.addresses.remove(&address);
                } else {
                    holder.addresses.insert(address);
                }
            }
            Kind::Power => {
                let holder = hosts.entry(&entry.host).or_default();
                holder.silent = matches!(entry.value.as_str(), "off" | "frozen");
                if entry.value == "off" {
                    holder.addresses = configured.get(&entry.host).cloned().unwrap_or_default();
                    forget(&mut vips, entry);
                }
            }
            Kind::Neighbour => {
                cache(&mut vips, entry);
                continue;
            }
            _ => continue,
        }
        hold(&mut vips, &hosts, entry.time);
    }
    vips
}

/// The address an entry is about.
fn subject(entry: &TimelineEntry) -> Option<IpAddr> {
    let address = entry.subject.split('/').next()?;
    address.parse().ok()
}

/// Writes down who holds what now, if it changed.
fn hold(vips: &mut [VipObservation], hosts: &BTreeMap<&str, Holder>, time: Time) {
    for vip in vips {
        let has = |h: &Holder| !h.silent && h.addresses.contains(&vip.address);
        let now: Vec<String> =
            hosts.iter().filter(|(_, h)| has(h)).map(|(name, _)| (*name).to_owned()).collect();
        match vip.holders.last_mut() {
            Some(last) if last.hosts == now => {}
            Some(last) if last.time == time => last.hosts = now,
            _ => vip.holders.push(Holding { time, hosts: now }),
        }
    }
}

/// A host without power knows nobody.
fn forget(vips: &mut [VipObservation], entry: &TimelineEntry) {
    let caches = vips.iter_mut().flat_map(|v| &mut v.caches);
    for cache in caches.filter(|c| c.host == entry.host) {
        cache.owners.push((entry.time, UNKNOWN.to_owned()));
    }
}

/// Writes down what a cache holds now.
fn cache(vips: &mut [VipObservation], entry: &TimelineEntry) {
    let address = subject(entry);
    let Some(vip) = vips.iter_mut().find(|v| Some(v.address) == address) else { return };
    let owner = (entry.time, entry.value.clone());
    if let Some(known) = vip.caches.iter_mut().find(|c| c.host == entry.host) {
        known.owners.push(owner);
    } else {
        let host = entry.host.clone();
        vip.caches.push(CacheObservation { host, owners: vec![owner] });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIP: &str = "10.0.0.100";

    fn at(s: u64) -> Time {
        Time::from_nanos(s * 1_000_000_000)
    }

    fn entry(s: u64, host: &str, kind: Kind, value: &str) -> TimelineEntry {
        let subject = if kind == Kind::Power { String::new() } else { VIP.to_owned() };
        TimelineEntry { time: at(s), host: host.into(), kind, subject, value: value.into() }
    }

    fn seen(configured: &[&str], timeline: &[TimelineEntry]) -> VipObservation {
        let vip: IpAddr = VIP.parse().unwrap();
        let configured: Configured =
            configured.iter().map(|h| ((*h).to_owned(), BTreeSet::from([vip]))).collect();
        let all = observe(&BTreeSet::from([vip]), &configured, timeline);
        assert_eq!(all.len(), 1);
        all.into_iter().next().unwrap()
    }

    fn steps(vip: &VipObservation) -> Vec<(Time, String)> {
        vip.holders.iter().map(|h| (h.time, h.hosts.join("+"))).collect()
    }

    #[test]
    fn a_takeover_leaves_a_time_without_holder() {
        let vip = seen(
            &[],
            &[
                entry(1, "a", Kind::Address, "added"),
                entry(5, "a", Kind::Power, "off"),
                entry(9, "b", Kind::Address, "added"),
            ],
        );
        let expected = [(0, ""), (1, "a"), (5, ""), (9, "b")];
        assert_eq!(steps(&vip), expected.map(|(s, h)| (at(s), h.to_owned())));
        assert_eq!(vip.extremes(), (0, 1));
        assert_eq!(vip.times(at(20)), [5, 15, 0].map(Span::from_secs));
        let late = vip.since(at(6));
        assert_eq!(steps(&late), [(6, ""), (9, "b")].map(|(s, h)| (at(s), h.to_owned())));
        assert_eq!(late.times(at(20)), [3, 11, 0].map(Span::from_secs));
        assert_eq!(vip.since(at(9)).extremes(), (1, 1));
        assert_eq!(vip.since(Time::ZERO), vip);
    }

    #[test]
    fn a_frozen_master_comes_back_beside_the_new_one() {
        let vip = seen(
            &["a"],
            &[
                entry(5, "a", Kind::Power, "frozen"),
                entry(9, "b", Kind::Address, "added"),
                entry(12, "a", Kind::Power, "running"),
                entry(13, "a", Kind::Address, "removed"),
                entry(14, "b", Kind::Address, "added"),
            ],
        );
        let expected = [(0, "a"), (5, ""), (9, "b"), (12, "a+b"), (13, "b")];
        assert_eq!(steps(&vip), expected.map(|(s, h)| (at(s), h.to_owned())));
        assert_eq!(vip.times(at(13)), [4, 8, 1].map(Span::from_secs));
    }

    #[test]
    fn a_host_that_was_off_has_what_is_configured() {
        let vip =
            seen(&["a"], &[entry(5, "a", Kind::Power, "off"), entry(6, "a", Kind::Power, "on")]);
        assert_eq!(vip.extremes(), (0, 1));
        assert_eq!(steps(&vip).len(), 3);
    }

    #[test]
    fn flapping_caches_are_counted_from_owner_to_owner() {
        let told = [(1, "a"), (2, "b"), (3, UNKNOWN), (4, "b"), (5, "a")];
        let timeline: Vec<_> =
            told.iter().map(|(s, owner)| entry(*s, "router", Kind::Neighbour, owner)).collect();
        let vip = seen(&[], &timeline);
        assert_eq!((vip.caches[0].owners.len(), vip.caches[0].changes()), (5, 2));
    }
}
