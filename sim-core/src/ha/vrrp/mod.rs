//! VRRP as keepalived does it: virtual routers, sync groups, trackers.
//!
//! [`Vrrp`] is all the virtual routers of one keepalived. It is told the time, adverts that came in and links that go
//! down; it says which adverts to send, which addresses to set and to announce. Protocol: RFC 3768 (version 2), RFC 5798
//! and RFC 9568 (version 3); where keepalived differs, keepalived counts (`vrrp.c`, `vrrp_scheduler.c`).
//!
//! ```
//! use sim_core::config::{Net, VirtualAddress, VrrpConfig, VrrpInstance, v4};
//! use sim_core::engine::{Span, Time};
//! use sim_core::ha::vrrp::{Action, Link, State, Vrrp};
//!
//! let mut instance = VrrpInstance::new("VI_1", "eth0", 51);
//! instance.addresses.push(VirtualAddress::new(Net::host(v4(192, 168, 10, 200))));
//! let config = VrrpConfig { instances: vec![instance], ..VrrpConfig::default() };
//! let mut vrrp = Vrrp::new(&config);
//! let mut wishes = Vec::new();
//! let link = Link { up: true, v4: Some(v4(192, 168, 10, 101)), v6: None };
//! vrrp.start(Time::ZERO, |_| link, &mut wishes);
//! assert_eq!(vrrp.next_deadline(), Time::ZERO + Span::from_micros(3_609_375));
//! vrrp.wake(vrrp.next_deadline(), &mut wishes);
//! assert!(wishes.contains(&Action::Advert { instance: 0, priority: 100 }));
//! assert_eq!(vrrp.state(0), State::Master);
//! ```

mod announce;
mod group;
mod instance;
mod master;
mod script;
#[cfg(test)]
mod tests;
mod timers;
mod track;

pub use instance::Heard;
pub use timers::{OWNER, master_down_us, skew_us};

use crate::config::{Tracked, VrrpConfig, VrrpInstance, VrrpVersion};
use crate::engine::{Span, Time};
use announce::Pace;
use core::net::IpAddr;
use group::Group;
use instance::{Instance, Rival};
use timers::micros;
use track::{Source, sum, tracker};

/// State of a virtual router or a sync group.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// A tracked script has not run yet.
    Init,
    /// Another is master, or will be.
    Backup,
    /// It has the addresses.
    Master,
    /// Something that it needs is down.
    Fault,
    /// keepalived has ended.
    Stop,
}

impl State {
    /// As keepalived tells its notify scripts: `INIT`, `BACKUP`, `MASTER`, `FAULT`, `STOP`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Backup => "BACKUP",
            Self::Master => "MASTER",
            Self::Fault => "FAULT",
            Self::Stop => "STOP",
        }
    }
}

/// What the machine wants to be done, in this order. Instances, groups and addresses are numbered as they are configured;
/// an instance's excluded addresses come after the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send an advert of this priority.
    Advert {
        /// The instance.
        instance: u16,
        /// 0: it stops.
        priority: u8,
    },
    /// Set the addresses.
    Add {
        /// The instance.
        instance: u16,
    },
    /// Take away the addresses, if they are there.
    Remove {
        /// The instance.
        instance: u16,
    },
    /// Announce every address, and all of them so many times.
    Announce {
        /// The instance.
        instance: u16,
        /// How many times.
        repeat: u32,
        /// Only a refresh (`garp_master_refresh`).
        routine: bool,
    },
    /// Announce one address once.
    AnnounceOne {
        /// The instance.
        instance: u16,
        /// The address.
        address: u16,
    },
    /// Announce the instance's own address, so that unicast peers find it.
    AnnounceSelf {
        /// The instance.
        instance: u16,
    },
    /// An instance has changed its state.
    State {
        /// The instance.
        instance: u16,
        /// The new one.
        state: State,
    },
    /// A sync group has changed its state.
    Group {
        /// The group.
        group: u16,
        /// The new one.
        state: State,
    },
    /// Let the connection synchronisation daemon be the master, or else the backup.
    Sync {
        /// Master.
        master: bool,
    },
}

/// What keepalived finds out about an interface when it starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// Whether it has a link.
    pub up: bool,
    /// Its first IPv4 address.
    pub v4: Option<IpAddr>,
    /// Its link-local IPv6 address.
    pub v6: Option<IpAddr>,
}

/// The virtual routers of a host.
#[derive(Clone, Debug)]
pub struct Vrrp {
    instances: Vec<Instance>,
    groups: Vec<Group>,
    sources: Vec<Source>,
    paces: Vec<Pace>,
    /// Of each address of each instance.
    pace_of: Vec<Vec<Option<usize>>>,
    startup_delay: Span,
    /// Nothing is heard before.
    begins: Time,
    /// The instance that the synchronisation daemon follows.
    leads_sync: Option<usize>,
}

/// keepalived reads the clock when it has read an advert, so the timer that it sets then is a little later than
/// one that another set when it sent. Of two masters that hear each other the sender stays ahead.
const READ: Span = Span::from_micros(1);

impl Vrrp {
    /// The machine of a configuration, not started.
    pub fn new(config: &VrrpConfig) -> Self {
        let mut sources = Vec::new();
        let mut instances: Vec<_> = config.instances.iter().map(Instance::new).collect();
        let groups: Vec<_> =
            config.groups.iter().map(|g| Group::new(g, &config.instances)).collect();
        for (i, instance) in instances.iter_mut().enumerate() {
            instance.group = groups.iter().position(|g| g.members.contains(&i));
            instance.trackers = trackers(config, instance, &mut sources);
        }
        let (paces, pace_of) = paces(config);
        let leader = config.sync_daemon.as_ref().and_then(|d| d.instance.as_ref());
        let leads_sync =
            leader.and_then(|name| config.instances.iter().position(|i| i.name == *name));
        Self {
            instances,
            groups,
            sources,
            paces,
            pace_of,
            startup_delay: config.startup_delay,
            begins: Time::ZERO,
            leads_sync,
        }
    }

    /// The state of an instance.
    pub fn state(&self, instance: usize) -> State {
        self.instances.get(instance).map_or(State::Init, |i| i.state)
    }

    /// The priority of an instance with what trackers add to it.
    pub fn priority(&self, instance: usize) -> u8 {
        self.instances.get(instance).map_or(0, |i| i.priority)
    }

    /// The address that an instance sends from.
    pub fn source(&self, instance: usize) -> Option<IpAddr> {
        self.instances.get(instance)?.source
    }

    /// An instance as it was configured, contradictions settled.
    pub fn config(&self, instance: usize) -> Option<&VrrpInstance> {
        self.instances.get(instance).map(|i| &i.config)
    }

    /// The interval of adverts in the form they tell it: seconds with version 2, hundredths with version 3.
    pub fn advert_interval(&self, instance: usize) -> u16 {
        self.instances.get(instance).map_or(0, |i| match i.config.version {
            VrrpVersion::V2 => (i.interval_us / 1_000_000) as u16,
            VrrpVersion::V3 => (i.interval_us / 10_000) as u16,
        })
    }

    /// When [`Vrrp::wake`] is wanted next.
    pub fn next_deadline(&self) -> Time {
        let instances = self.instances.iter().map(Instance::deadline);
        let sources = self.sources.iter().map(Source::deadline);
        let paces = self.paces.iter().map(Pace::deadline);
        instances.chain(sources).chain(paces).min().unwrap_or(Time::NEVER)
    }

    /// keepalived begins (`vrrp_init_state`): addresses that an earlier one left behind are taken away, and every instance
    /// is backup at first, or in fault.
    pub fn start(&mut self, now: Time, link: impl Fn(&str) -> Link, out: &mut Vec<Action>) {
        self.begins = now + self.startup_delay;
        for source in &mut self.sources {
            source.start(now, |name| link(name).up);
        }
        for i in 0..self.instances.len() {
            let instance = &mut self.instances[i];
            let found = link(&instance.config.interface);
            let own = if instance.config.is_v6() { found.v6 } else { found.v4 };
            instance.source = instance.config.source.or(own);
            self.settle(i, now);
            let instance = &mut self.instances[i];
            instance.wants = match instance.faults {
                0 if instance.config.initial_master => State::Master,
                0 => State::Backup,
                _ => State::Fault,
            };
        }
        for group in 0..self.groups.len() {
            self.groups[group].state = self.first_state(group);
        }
        for i in 0..self.instances.len() {
            self.begin(i, out);
        }
    }

    /// An instance begins.
    fn begin(&mut self, i: usize, out: &mut Vec<Action>) {
        let group = self.instances[i].group.map(|g| self.groups[g].state);
        let waits = self.instances[i].unknown > 0
            || self.instances[i].group.is_some_and(|g| self.any_unknown(g));
        let begins = self.begins;
        let number = i as u16;
        if self.leads_sync == Some(i) {
            out.push(Action::Sync { master: false });
        }
        let n = &mut self.instances[i];
        let state = group.unwrap_or(n.wants);
        let up = n.faults == 0 && !waits;
        if up && state == State::Master && n.is_owner() {
            n.state = State::Backup;
            n.timer = begins + micros(1);
            return;
        }
        out.push(Action::Remove { instance: number });
        if up && state != State::Fault {
            // one interval must pass to be sure that there is no other master
            let shortened = state == State::Backup && n.wants == State::Master;
            let down = if shortened {
                n.interval_us + skew_us(n.config.version, OWNER, n.interval_us)
            } else {
                n.master_down_us()
            };
            n.state = State::Backup;
            n.timer = begins + micros(down);
        } else {
            let fault = n.faults > 0 || state == State::Fault;
            n.state = if fault { State::Fault } else { State::Init };
        }
        out.push(Action::State { instance: number, state: n.state });
    }

    /// keepalived ends in good order: masters say so and give up their addresses.
    pub fn stop(&mut self, out: &mut Vec<Action>) {
        for i in 0..self.instances.len() {
            let instance = i as u16;
            if self.instances[i].state == State::Master {
                out.push(Action::Advert { instance, priority: 0 });
                out.push(Action::Remove { instance });
            }
            let n = &mut self.instances[i];
            n.holds = false;
            n.state = State::Stop;
            n.timer = Time::NEVER;
            out.push(Action::State { instance, state: State::Stop });
        }
    }

    /// An interface has lost its link or got it back.
    pub fn link(&mut self, now: Time, interface: &str, up: bool, out: &mut Vec<Action>) {
        self.tell(now, &Tracked::Interface(interface.to_owned()), up, out);
    }

    /// A BFD session has gone up or down.
    pub fn bfd(&mut self, now: Time, name: &str, up: bool, out: &mut Vec<Action>) {
        self.tell(now, &Tracked::Bfd(name.to_owned()), up, out);
    }

    fn tell(&mut self, now: Time, what: &Tracked, up: bool, out: &mut Vec<Action>) {
        let Some(source) = self.sources.iter().position(|s| s.is(what)) else { return };
        if self.sources[source].set(now, up) {
            self.track(source, now, out);
        }
    }

    /// Does what is due.
    pub fn wake(&mut self, now: Time, out: &mut Vec<Action>) {
        self.give_up_late(now, out);
        loop {
            let mut first = (Time::NEVER, Due::Nothing);
            let mut consider = |at, due| {
                if at < first.0 {
                    first = (at, due);
                }
            };
            for (i, instance) in self.instances.iter().enumerate() {
                consider(instance.deadline(), Due::Instance(i));
            }
            for (s, source) in self.sources.iter().enumerate() {
                consider(source.deadline(), Due::Source(s));
            }
            for (p, pace) in self.paces.iter().enumerate() {
                consider(pace.deadline(), Due::Pace(p));
            }
            if first.0 > now {
                return;
            }
            match first.1 {
                Due::Instance(i) => self.instance_due(i, now, out),
                Due::Source(s) => {
                    if self.sources[s].wake(now) {
                        self.track(s, now, out);
                    }
                }
                Due::Pace(p) => {
                    if let Some((instance, address)) = self.paces[p].due(now) {
                        out.push(Action::AnnounceOne { instance, address });
                    }
                }
                Due::Nothing => return,
            }
        }
    }

    /// What an instance does first of what it has to do.
    fn instance_due(&mut self, i: usize, now: Time, out: &mut Vec<Action>) {
        let n = &mut self.instances[i];
        let at = n.deadline();
        if n.timer == at {
            let before = n.state;
            match before {
                State::Backup => {
                    n.wants = State::Master;
                    self.become_master(i, now, out);
                }
                State::Master => self.master_advert(i, now, out),
                State::Init | State::Fault | State::Stop => n.timer = Time::NEVER,
            }
            self.synchronise(i, before, now, out);
        } else if let Some(b) = n.bursts.iter().position(|(t, _)| *t == at) {
            let (_, repeat) = n.bursts.remove(b);
            self.announce(i, repeat, false, now, out);
        } else if n.refresh_at == at {
            let (refresh, repeat) = (n.garp().refresh, n.garp().refresh_repeat);
            n.refresh_at = now + refresh;
            self.announce(i, repeat, true, now, out);
        } else {
            n.rival = Rival::None;
        }
    }

    /// An advert came in for an instance.
    pub fn receive(
        &mut self,
        now: Time,
        instance: usize,
        heard: &Heard<'_>,
        out: &mut Vec<Action>,
    ) {
        let Some(n) = self.instances.get(instance) else { return };
        if now < self.begins {
            return;
        }
        let before = n.state;
        match before {
            State::Backup => self.backup_hears(instance, heard, now),
            State::Master => self.master_hears(instance, heard, now, out),
            State::Init | State::Fault | State::Stop => return,
        }
        self.synchronise(instance, before, now, out);
        let n = &mut self.instances[instance];
        // be it dropped or answered, what a master hears puts off its next advert (vrrp_dispatcher_read)
        if before == State::Master && n.state == State::Master && !n.config.lower_prio_no_advert {
            n.timer = now + micros(n.interval_us) + READ;
        }
    }

    /// A backup hears an advert (`vrrp_state_backup`).
    fn backup_hears(&mut self, i: usize, heard: &Heard<'_>, now: Time) {
        let n = &mut self.instances[i];
        if !n.accepts(heard) {
            return;
        }
        let theirs = heard.advert.priority;
        if n.is_owner() && theirs != OWNER {
            n.priority = OWNER;
        }
        let delay = n.config.preempt_delay;
        if theirs == 0 {
            n.timer = now + micros(n.skew_us());
        } else if !n.config.preempt
            || theirs >= n.priority
            || delay > Span::ZERO && n.preempt_at.is_none_or(|at| at > now)
        {
            n.adopt_interval(heard.advert);
            n.timer = now + micros(n.master_down_us());
            if delay > Span::ZERO {
                let lower = theirs < n.priority;
                n.preempt_at = lower.then(|| n.preempt_at.unwrap_or(now + delay));
            }
            n.wants = State::Backup;
        }
    }

    /// Every instance that tracks this looks at it again.
    fn track(&mut self, source: usize, now: Time, out: &mut Vec<Action>) {
        for i in 0..self.instances.len() {
            let n = &self.instances[i];
            if !n.trackers.iter().any(|t| t.source == source) {
                continue;
            }
            let (faults, unknown, state) = (n.faults, n.unknown, n.state);
            self.settle(i, now);
            let n = &self.instances[i];
            let known = unknown > 0 && n.unknown == 0;
            if n.faults > 0 {
                if faults == 0 || state == State::Init {
                    self.fall(i, now, out);
                }
            } else if faults > 0 || known {
                self.rise(i, now, out);
            }
        }
    }

    /// Reckons what the trackers of an instance come to (`vrrp_set_effective_priority`). The running timer of a backup
    /// moves with its priority.
    fn settle(&mut self, i: usize, now: Time) {
        let sum = sum(&self.instances[i].trackers, &self.sources);
        let n = &mut self.instances[i];
        n.faults = sum.faults + u32::from(n.source.is_none());
        n.unknown = sum.unknown;
        if n.is_owner() {
            return;
        }
        let total = (i32::from(n.config.priority) + sum.add).clamp(1, i32::from(OWNER) - 1);
        if total == i32::from(n.priority) {
            return;
        }
        let before = n.master_down_us();
        n.priority = total as u8;
        if n.state == State::Backup && n.timer != Time::NEVER {
            let longer = n.timer + micros(n.master_down_us());
            let shifted = longer.saturating_since(Time::ZERO).saturating_sub(micros(before));
            n.timer = (Time::ZERO + shifted).max(now);
        }
    }

    /// An instance goes to fault (`down_instance`).
    fn fall(&mut self, i: usize, now: Time, out: &mut Vec<Action>) {
        let n = &mut self.instances[i];
        n.wants = State::Fault;
        if n.state == State::Master {
            self.leave_master(i, true, now, out);
        } else if n.state != State::Fault {
            self.enter(i, State::Fault, now, out);
        }
        self.group_fault(i, now, out);
    }

    /// An instance without fault comes back (`try_up_instance`), if its sync group lets it.
    fn rise(&mut self, i: usize, now: Time, out: &mut Vec<Action>) {
        let n = &mut self.instances[i];
        if n.unknown > 0 || n.state == State::Stop {
            return;
        }
        if n.wants != State::Master || !n.is_owner() {
            n.wants = State::Backup;
        }
        n.master_interval_us = n.interval_us;
        let group = n.group;
        if group.is_some_and(|g| self.any_fault(g) || self.any_unknown(g)) {
            return;
        }
        if self.instances[i].wants == State::Master && self.may_be_master(i, now) {
            self.become_master(i, now, out);
        } else {
            self.enter(i, State::Backup, now, out);
            let n = &mut self.instances[i];
            if n.is_owner() && n.config.initial_master {
                n.timer = now + micros(n.interval_us + n.skew_us());
            }
        }
        let n = &self.instances[i];
        if n.is_unicast() && n.source.is_some() && now >= self.begins {
            out.push(Action::AnnounceSelf { instance: i as u16 });
        }
        if n.state == State::Master {
            self.group_master(i, now, out);
        } else {
            self.group_backup(i, now, out);
        }
    }

    /// An instance that is not master enters backup or fault.
    fn enter(&mut self, i: usize, state: State, now: Time, out: &mut Vec<Action>) {
        let begins = self.begins;
        let n = &mut self.instances[i];
        n.state = state;
        n.preempt_at = None;
        n.master_interval_us = n.interval_us;
        n.timer = if state == State::Backup {
            now.max(begins) + micros(n.master_down_us())
        } else {
            Time::NEVER
        };
        out.push(Action::State { instance: i as u16, state });
    }
}

/// What is due.
#[derive(Clone, Copy, Debug)]
enum Due {
    Nothing,
    Instance(usize),
    Source(usize),
    Pace(usize),
}

/// The trackers of an instance: its own, its interface, those of its sync group. Of the own ones of a member those with a
/// weight count only if the group says so.
fn trackers(
    config: &VrrpConfig,
    instance: &Instance,
    sources: &mut Vec<Source>,
) -> Vec<track::Tracker> {
    let c = &instance.config;
    let group = instance.group.and_then(|g| config.groups.get(g));
    let mut found = Vec::new();
    if !c.dont_track_primary {
        let own = crate::config::Track {
            what: Tracked::Interface(c.interface.clone()),
            weight: 0,
            reverse: false,
        };
        found.push(tracker(&own, config, sources));
    }
    for track in &c.tracks {
        if track.weight == 0 || group.is_none_or(|g| g.weights) {
            found.push(tracker(track, config, sources));
        }
    }
    for track in group.into_iter().flat_map(|g| &g.tracks) {
        found.push(tracker(track, config, sources));
    }
    found
}

/// The paces of announcements, and which of them each address of each instance keeps.
fn paces(config: &VrrpConfig) -> (Vec<Pace>, Vec<Vec<Option<usize>>>) {
    let mut paces = Vec::new();
    let mut keys = Vec::new();
    let mut of = Vec::new();
    for instance in &config.instances {
        let addresses = instance.addresses.iter().chain(&instance.excluded);
        let pace = addresses.map(|a| {
            let interface = a.device.as_ref().unwrap_or(&instance.interface);
            let named = config.pacing.iter().position(|p| p.interfaces.contains(interface));
            let other = || config.pacing.iter().position(|p| p.interfaces.is_empty());
            let group = named.or_else(other)?;
            let v6 = a.net.addr.is_ipv6();
            let pacing = &config.pacing[group];
            let interval = if v6 { pacing.gna } else { pacing.garp };
            if interval == Span::ZERO {
                return None;
            }
            let alone = named.is_none().then_some(interface);
            let key = (group, v6, alone);
            let known = keys.iter().position(|k| *k == key);
            Some(known.unwrap_or_else(|| {
                keys.push(key);
                paces.push(Pace::new(interval));
                paces.len() - 1
            }))
        });
        of.push(pace.collect());
    }
    (paces, of)
}
