//! One virtual router: what it keeps, and which adverts it takes.

use super::State;
use super::timers::{OWNER, master_down_us, skew_us};
use super::track::Tracker;
use crate::config::{GarpConfig, VrrpAuth, VrrpInstance, VrrpVersion};
use crate::engine::Time;
use crate::wire::Advert;
use core::cmp::Ordering;
use core::net::IpAddr;

/// An advert that came in.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// What it says.
    pub advert: &'a Advert,
    /// Its source.
    pub from: IpAddr,
    /// Its time to live or hop limit.
    pub ttl: u8,
    /// Whether it was sent to a multicast group.
    pub multicast: bool,
}

/// A virtual router.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) config: VrrpInstance,
    /// Own address, as adverts have it as their source.
    pub(super) source: Option<IpAddr>,
    pub(super) state: State,
    /// The state it would be in without its sync group.
    pub(super) wants: State,
    /// Priority with what trackers add.
    pub(super) priority: u8,
    pub(super) interval_us: u64,
    pub(super) master_interval_us: u64,
    /// The next advert of a master, the takeover of a backup.
    pub(super) timer: Time,
    /// A lower priority is preempted from here on.
    pub(super) preempt_at: Option<Time>,
    /// Its addresses are set.
    pub(super) holds: bool,
    pub(super) trackers: Vec<Tracker>,
    /// Trackers in fault, with the interface and a missing source.
    pub(super) faults: u32,
    /// Scripts that have not run.
    pub(super) unknown: u32,
    pub(super) group: Option<usize>,
    /// Bursts to come: time and how many announcements of each address.
    pub(super) bursts: Vec<(Time, u32)>,
    pub(super) refresh_at: Time,
    pub(super) last_sent: Time,
    pub(super) rival: Rival,
}

/// What an owner of the addresses knows of another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rival {
    /// There is none.
    None,
    /// One was heard: so many own adverts are to be sent, and its interval.
    Heard(u8, u64),
    /// It should have become silent by this time.
    Awaited(Time),
}

impl Instance {
    pub(super) fn new(config: &VrrpInstance) -> Self {
        let mut config = config.clone();
        if config.is_v6() {
            config.version = VrrpVersion::V3;
        }
        // vrrp_complete_instance: what contradicts itself
        if config.initial_master || config.priority == OWNER {
            config.preempt = true;
        }
        if config.initial_master || !config.preempt {
            config.preempt_delay = crate::engine::Span::ZERO;
        }
        let interval_us = config.interval_us();
        Self {
            source: config.source,
            state: State::Init,
            wants: State::Backup,
            priority: config.priority,
            interval_us,
            master_interval_us: interval_us,
            timer: Time::NEVER,
            preempt_at: None,
            holds: false,
            trackers: Vec::new(),
            faults: 0,
            unknown: 0,
            group: None,
            bursts: Vec::new(),
            refresh_at: Time::NEVER,
            last_sent: Time::ZERO,
            rival: Rival::None,
            config,
        }
    }

    pub(super) fn is_owner(&self) -> bool {
        self.config.priority == OWNER
    }

    pub(super) const fn garp(&self) -> &GarpConfig {
        &self.config.garp
    }

    pub(super) fn is_unicast(&self) -> bool {
        !self.config.peers.is_empty()
    }

    pub(super) fn skew_us(&self) -> u64 {
        skew_us(self.config.version, self.priority, self.master_interval_us)
    }

    pub(super) fn master_down_us(&self) -> u64 {
        let adverts = self.config.down_timer_adverts.max(1);
        master_down_us(self.config.version, self.priority, self.master_interval_us, adverts)
    }

    /// The earliest of its deadlines.
    pub(super) fn deadline(&self) -> Time {
        let burst = self.bursts.iter().map(|(at, _)| *at).min().unwrap_or(Time::NEVER);
        let awaited = if let Rival::Awaited(at) = self.rival { at } else { Time::NEVER };
        self.timer.min(burst).min(self.refresh_at).min(awaited)
    }

    /// The source of an advert compared with the own one, both as numbers.
    pub(super) fn compare(&self, from: IpAddr) -> Ordering {
        match (from, self.source) {
            (IpAddr::V4(a), Some(IpAddr::V4(own))) => a.cmp(&own),
            (IpAddr::V6(a), Some(IpAddr::V6(own))) => a.cmp(&own),
            _ => Ordering::Greater,
        }
    }

    /// Whether an advert is one to be taken (`vrrp_check_packet`), in the order of the checks: authentication header, TTL,
    /// version, authentication, interval with version 2, destination, owner, unicast source.
    ///
    /// A list of addresses that is not the own one, and another interval with version 3, are no reason to drop it.
    pub(super) fn accepts(&self, heard: &Heard<'_>) -> bool {
        let (c, advert) = (&self.config, heard.advert);
        let v2 = c.version == VrrpVersion::V2;
        let protected = |auth| matches!(auth, VrrpAuth::Ah(_));
        if v2 && protected(advert.auth) != protected(c.auth) {
            return false;
        }
        if !self.is_unicast() && heard.ttl != 255 || advert.version != c.version.number() {
            return false;
        }
        if v2
            && (advert.auth != c.auth || u64::from(advert.interval) * 1_000_000 != self.interval_us)
        {
            return false;
        }
        if heard.multicast == self.is_unicast() || c.owner_ignore_adverts && self.priority == OWNER
        {
            return false;
        }
        let Some(peer) = c.peers.iter().find(|p| p.address == heard.from) else {
            return !self.is_unicast() || !c.check_unicast_src;
        };
        peer.min_ttl.is_none_or(|least| heard.ttl >= least)
            && peer.max_ttl.is_none_or(|most| heard.ttl <= most)
    }

    /// The interval that an accepted advert tells; version 2 keeps the own one.
    pub(super) fn adopt_interval(&mut self, advert: &Advert) {
        if self.config.version == VrrpVersion::V3 {
            self.master_interval_us = u64::from(advert.interval) * 10_000;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::UnicastPeer;

    const PEER: IpAddr = crate::config::v4(10, 0, 0, 2);

    fn advert() -> Advert {
        let auth = VrrpAuth::None;
        Advert { version: 2, vrid: 51, priority: 100, interval: 1, auth, addresses: Vec::new() }
    }

    fn instance(change: impl Fn(&mut VrrpInstance)) -> Instance {
        let mut config = VrrpInstance::new("VI_1", "eth0", 51);
        change(&mut config);
        Instance::new(&config)
    }

    fn takes(instance: &Instance, ttl: u8, multicast: bool, advert: &Advert) -> bool {
        instance.accepts(&Heard { advert, from: PEER, ttl, multicast })
    }

    #[test]
    fn a_packet_is_judged_by_every_check() {
        let plain = instance(|_| {});
        assert!(takes(&plain, 255, true, &advert()));
        assert!(!takes(&plain, 254, true, &advert()), "TTL");
        assert!(!takes(&plain, 255, false, &advert()), "sent to the host alone");
        assert!(!takes(&plain, 255, true, &Advert { version: 3, ..advert() }));
        assert!(!takes(&plain, 255, true, &Advert { interval: 2, ..advert() }));
        let pass = VrrpAuth::Pass(VrrpAuth::secret("a"));
        assert!(!takes(&plain, 255, true, &Advert { auth: pass, ..advert() }));
        let key = instance(|c| c.auth = pass);
        assert!(takes(&key, 255, true, &Advert { auth: pass, ..advert() }));
        let other = VrrpAuth::Pass(VrrpAuth::secret("b"));
        assert!(!takes(&key, 255, true, &Advert { auth: other, ..advert() }));
        let owner = instance(|c| (c.priority, c.owner_ignore_adverts) = (255, true));
        assert!(!takes(&owner, 255, true, &advert()));
    }

    #[test]
    fn version_three_does_not_mind_another_interval() {
        let mut three = instance(|c| c.version = VrrpVersion::V3);
        let a = Advert { version: 3, interval: 250, ..advert() };
        assert!(takes(&three, 255, true, &a));
        three.adopt_interval(&a);
        assert_eq!(three.master_interval_us, 2_500_000);
    }

    #[test]
    fn a_unicast_instance_knows_its_peers() {
        let known = |min_ttl, max_ttl, check| {
            instance(|c| {
                c.peers = vec![UnicastPeer { address: PEER, min_ttl, max_ttl }];
                c.check_unicast_src = check;
            })
        };
        assert!(takes(&known(None, None, true), 12, false, &advert()));
        assert!(!takes(&known(None, None, true), 255, true, &advert()), "multicast");
        assert!(!takes(&known(Some(250), None, false), 249, false, &advert()));
        assert!(takes(&known(Some(250), None, false), 250, false, &advert()));
        assert!(!takes(&known(None, Some(60), false), 61, false, &advert()));
        let stranger = crate::config::v4(10, 0, 0, 3);
        let a = advert();
        let heard = Heard { advert: &a, from: stranger, ttl: 255, multicast: false };
        assert!(known(None, None, false).accepts(&heard));
        assert!(!known(None, None, true).accepts(&heard));
    }

    #[test]
    fn contradictions_are_settled() {
        let i = instance(|c| (c.preempt, c.initial_master) = (false, true));
        assert!(i.config.preempt);
        let delayed = crate::engine::Span::from_secs(9);
        let i = instance(|c| (c.preempt, c.preempt_delay) = (false, delayed));
        assert_eq!(i.config.preempt_delay, crate::engine::Span::ZERO);
    }
}
