//! From faults as configured to faults whose places are known, with every mistake named.

use super::links::Cut;
use super::wait::Wait;
use super::{Fault, Faults};
use crate::config::{
    ApplicationHarm, Boot, Condition, FaultConfig, FaultEnd, FaultKind, FaultStart, Trigger,
    WorldConfig,
};
use crate::engine::{Dist, Sampler, Span, Stream};
use crate::net::link::{Direction, Endpoint, Senders};
use crate::wire::{AddressBook, Ip, MacId};
use crate::world::{BuildError, Link};
use core::net::IpAddr;
use std::collections::BTreeSet;

/// Shortest mean time between two begins of a fault that comes back by itself: below, a run would be
/// nothing but faults.
const SHORTEST: Span = Span::from_millis(1);

/// What faults are resolved against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places<'a> {
    pub(crate) config: &'a WorldConfig,
    pub(crate) links: &'a [Link],
    pub(crate) directions: &'a [Direction],
    pub(crate) book: &'a AddressBook,
    /// Ethernet addresses of all interfaces; they are numbered in the order of hosts and interfaces.
    pub(crate) macs: usize,
}

/// Finds what the faults of a world are about.
///
/// # Errors
/// Every name that nothing has, every number that makes no sense.
pub(crate) fn resolve(places: &Places<'_>) -> Result<Faults, Vec<BuildError>> {
    let mut resolver = Resolver { places: *places, errors: Vec::new(), place: String::new() };
    let mut names = BTreeSet::new();
    let mut faults = Faults::default();
    for config in &places.config.faults {
        resolver.place = format!("fault {}", config.name);
        if !names.insert(&config.name) {
            resolver.wrong("there are two of this name");
        }
        let number = faults.all.len() as u32;
        for (begins, condition) in conditions(config) {
            let direction = resolver.condition(condition);
            faults.waits.push(Wait::new(number, begins, condition, direction));
        }
        let fault = resolver.fault(config);
        faults.all.push(fault);
    }
    if resolver.errors.is_empty() { Ok(faults) } else { Err(resolver.errors) }
}

/// What a fault waits for: to begin (`true`), to end.
fn conditions(config: &FaultConfig) -> impl Iterator<Item = (bool, &Condition)> {
    let start = if let FaultStart::When(c) = &config.when { Some((true, c)) } else { None };
    let end = if let FaultEnd::When(c) = &config.end { Some((false, c)) } else { None };
    start.into_iter().chain(end)
}

struct Resolver<'a> {
    places: Places<'a>,
    errors: Vec<BuildError>,
    /// The fault in hand.
    place: String,
}

impl Resolver<'_> {
    fn wrong(&mut self, what: impl Into<String>) {
        self.errors.push(BuildError { place: self.place.clone(), what: what.into() });
    }

    fn fault(&mut self, config: &FaultConfig) -> Fault {
        let seed = self.places.config.seed;
        let stream = |purpose| Stream::new(seed, &config.name, purpose);
        let start = match &config.when {
            FaultStart::Renewal(gap) => {
                if gap.mean().is_some_and(|m| m < SHORTEST.as_secs_f64()) {
                    self.wrong(format!("it comes back on average within {SHORTEST}"));
                }
                self.sampler(gap)
            }
            FaultStart::When(condition) => self.sampler(&condition.plus),
            FaultStart::Every(_, period) => {
                if *period < SHORTEST {
                    self.wrong(format!("the period is {period}, but must be at least {SHORTEST}"));
                }
                None
            }
            FaultStart::At(_) => None,
        };
        let end = match &config.end {
            FaultEnd::After(span) => self.sampler(span),
            FaultEnd::When(condition) => self.sampler(&condition.plus),
            FaultEnd::At(_) | FaultEnd::Never => None,
        };
        let mut fault = Fault {
            config: config.clone(),
            hosts: Vec::new(),
            switches: Vec::new(),
            links: Vec::new(),
            directions: Vec::new(),
            cuts: Vec::new(),
            start: start.map(|s| (s, stream("fault begins"))),
            end: end.map(|s| (s, stream("fault ends"))),
            times: 0,
            active: false,
            cut: false,
            last: None,
        };
        self.places_of(&config.what, &mut fault);
        fault
    }

    /// Finds what a fault breaks.
    fn places_of(&mut self, what: &FaultKind, fault: &mut Fault) {
        match what {
            FaultKind::PowerLoss { hosts, switches, boot } => {
                fault.hosts = self.hosts(hosts);
                fault.switches = self.switches(switches);
                self.boot(boot.as_ref());
            }
            FaultKind::Shutdown { hosts, boot, .. } => {
                fault.hosts = self.hosts(hosts);
                self.boot(boot.as_ref());
            }
            FaultKind::Freeze { hosts, .. } | FaultKind::Program { hosts, .. } => {
                fault.hosts = self.hosts(hosts);
            }
            FaultKind::Application { hosts, port, harm } => {
                fault.hosts = self.hosts(hosts);
                self.application(hosts, *port, *harm);
            }
            FaultKind::BusyCpu { hosts, factor } => {
                fault.hosts = self.hosts(hosts);
                if !factor.is_finite() || *factor < 1.0 {
                    self.wrong(format!("the factor is {factor}, but must be at least 1"));
                }
            }
            FaultKind::LinkDown { links } => {
                fault.links = links.iter().filter_map(|name| self.link(name)).collect();
            }
            FaultKind::Impairment { links, loss, delay, .. } => {
                if !(0.0..=1.0).contains(loss) {
                    self.wrong(format!("the loss is {loss}, but must be from 0 to 1"));
                }
                if let Some(delay) = delay {
                    self.sampler(delay);
                }
                for (link, end) in links {
                    let found = self.directions(link, end.as_deref());
                    fault.directions.extend(found);
                }
            }
            FaultKind::Partition { from, to, one_way, .. } => {
                fault.cuts = self.cuts(from, to);
                if !one_way {
                    fault.cuts.extend(self.cuts(to, from));
                }
            }
            FaultKind::Mark => {}
        }
    }

    fn sampler(&mut self, dist: &Dist) -> Option<Sampler> {
        match Sampler::new(dist) {
            Ok(sampler) => Some(sampler),
            Err(error) => {
                self.wrong(error.to_string());
                None
            }
        }
    }

    fn boot(&mut self, boot: Option<&Boot>) {
        if let Some(boot) = boot {
            self.sampler(&boot.time);
        }
    }

    fn application(&mut self, hosts: &[String], port: Option<u16>, harm: ApplicationHarm) {
        match harm {
            ApplicationHarm::Slow(factor) if !factor.is_finite() || factor <= 0.0 => {
                self.wrong(format!("the factor is {factor}, but must be above 0"));
            }
            ApplicationHarm::Status(status) if !(100..600).contains(&status) => {
                self.wrong(format!("the status is {status}, but must be from 100 to 599"));
            }
            _ => {}
        }
        let config = self.places.config;
        for host in config.hosts.iter().filter(|h| hosts.contains(&h.name)) {
            if !host.servers.iter().any(|s| port.is_none_or(|p| p == s.port)) {
                let on = port.map_or_else(String::new, |p| format!(" on port {p}"));
                self.wrong(format!("host {} has no server{on}", host.name));
            }
        }
    }

    fn hosts(&mut self, names: &[String]) -> Vec<u16> {
        names.iter().filter_map(|name| self.host(name)).collect()
    }

    fn host(&mut self, name: &str) -> Option<u16> {
        let found = self.places.config.hosts.iter().position(|h| h.name == name);
        if found.is_none() {
            self.wrong(format!("there is no host {name}"));
        }
        found.map(|n| n as u16)
    }

    fn switches(&mut self, names: &[String]) -> Vec<u16> {
        let mut all = Vec::new();
        for name in names {
            match self.places.config.switches.iter().position(|s| s.name == *name) {
                Some(number) => all.push(number as u16),
                None => self.wrong(format!("there is no switch {name}")),
            }
        }
        all
    }

    fn link(&mut self, name: &str) -> Option<usize> {
        let found = self.places.links.iter().position(|l| l.name == name);
        if found.is_none() {
            self.wrong(format!("there is no link {name}"));
        }
        found
    }

    /// The directions of a link towards an end, or both.
    fn directions(&mut self, link: &str, end: Option<&str>) -> Vec<u32> {
        let Some(number) = self.link(link) else { return Vec::new() };
        let both = self.places.links[number].directions;
        let Some(end) = end else { return both.to_vec() };
        let towards: Vec<u32> =
            both.into_iter().filter(|&d| self.name_at(d) == Some(end)).collect();
        if towards.is_empty() {
            self.wrong(format!("link {link} does not end at {end}"));
        }
        towards
    }

    /// The name of the host or switch that a direction leads to.
    fn name_at(&self, direction: u32) -> Option<&str> {
        let config = self.places.config;
        match self.places.directions.get(direction as usize)?.to {
            Endpoint::Host { host, .. } => config.hosts.get(usize::from(host)).map(|h| &h.name[..]),
            Endpoint::Switch { switch, .. } => {
                config.switches.get(usize::from(switch)).map(|s| &s.name[..])
            }
        }
    }

    /// Everything that leads to hosts of one set is cut for what those of another send.
    fn cuts(&mut self, from: &[String], to: &[String]) -> Vec<Cut> {
        let (senders, hosts) = (self.senders(from), self.hosts(to));
        if let Some(both) = from.iter().find(|name| to.contains(name)) {
            self.wrong(format!("host {both} is on both sides"));
        }
        let reaches =
            |d: &Direction| matches!(d.to, Endpoint::Host { host, .. } if hosts.contains(&host));
        let directions = self.places.directions.iter().enumerate().filter(|(_, d)| reaches(d));
        directions.map(|(n, _)| Cut { direction: n as u32, senders: senders.clone() }).collect()
    }

    fn senders(&mut self, names: &[String]) -> Senders {
        let mut senders = Senders { owned: self.places.macs as u32, ..Senders::default() };
        let mut first = 0;
        for host in &self.places.config.hosts {
            let next = first + host.interfaces.len() as u32;
            if names.contains(&host.name) {
                senders.macs.extend((first..next).map(MacId));
                let addresses = host.interfaces.iter().flat_map(|i| &i.addresses);
                senders.ips.extend(addresses.filter_map(|a| self.number(a.addr)));
            }
            first = next;
        }
        senders.ips.sort_unstable();
        senders
    }

    fn number(&self, address: IpAddr) -> Option<Ip> {
        self.places.book.find(address)
    }

    /// Judges a condition; the direction whose frames it is about.
    fn condition(&mut self, condition: &Condition) -> Option<u32> {
        if condition.nth == 0 {
            self.wrong("it waits for something to happen 0 times; at least 1 is allowed");
        }
        match &condition.trigger {
            Trigger::Begins(name) | Trigger::Ends(name) => {
                if !self.places.config.faults.iter().any(|f| f.name == *name) {
                    self.wrong(format!("there is no fault {name}"));
                }
                None
            }
            Trigger::Told { host, .. } => {
                if let Some(host) = host {
                    self.host(host);
                }
                None
            }
            Trigger::Frame(link, end, _) => self.directions(link, Some(end)).first().copied(),
        }
    }
}
