//! Virtual services and their destinations, live and deleted.
//!
//! The list of real servers, their weights and connection counters are kept by
//! [`schedulers::Service`]; here are the keys they are found by, the forwarding methods, and the
//! statistics. A deleted destination waits in the trash, as in the kernel (`ip_vs_ctl.c`), so that
//! its connections can end, and so that a destination added again gets them back.

mod account;
mod lookup;
mod trash;

pub(super) use lookup::{FTP, FTP_DATA};

use super::clock::Clock;
use super::connection::DestinationId;
use super::rules::{Engine, Forwarding, ServerRule, ServiceKey, ServiceRule, TunnelOptions};
use super::statistics::{Estimator, Stats};
use crate::config::IpvsSysctl;
use crate::engine::{FxMap, Span, Time};
use crate::wire::{AddressBook, Ip};
use core::net::IpAddr;
use schedulers::{Algorithm, DestEdit, DestId, DestSpec, Flags};

/// A real server of a service, listed or in the trash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Destination {
    pub(super) stats: Stats,
    /// Index of its service.
    pub(super) service: u32,
    /// Its name in the service's pool; [`DestinationId::NOBODY`] has none.
    pub(super) id: Option<DestId>,
    pub(super) rip: Ip,
    /// As the rule states it.
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) forwarding: Forwarding,
    /// How packets are wrapped for it.
    pub(super) tunnel: TunnelOptions,
    /// Listed, the kernel's flag `AVAILABLE`.
    pub(super) available: bool,
    /// Which use of the service's entry `stats` belong to.
    epoch: u32,
    /// In the trash: since when the sweep has found it without connections.
    idle_since: Option<Time>,
}

impl Destination {
    /// What connections belong to that have no destination: always available, never listed.
    const NOBODY: Self = Self {
        stats: Stats { connections: 0, packets_in: 0, bytes_in: 0, packets_out: 0, bytes_out: 0 },
        service: u32::MAX,
        id: None,
        rip: Ip::ANY,
        address: IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
        port: 0,
        forwarding: Forwarding::Bypass,
        tunnel: ServerRule::new(IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED), 0).tunnel,
        available: true,
        epoch: 0,
        idle_since: None,
    };

    /// Counts a packet from a client (`ip_vs_in_stats`).
    #[inline]
    pub(super) fn packet_in(&mut self, len: u16) {
        if self.available {
            self.stats.packets_in += 1;
            self.stats.bytes_in += u64::from(len);
        }
    }

    /// Counts a packet from a real server (`ip_vs_out_stats`).
    #[inline]
    pub(super) fn packet_out(&mut self, len: u16) {
        if self.available {
            self.stats.packets_out += 1;
            self.stats.bytes_out += u64::from(len);
        }
    }
}

/// What a service does besides scheduling.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parameters {
    /// `-p`.
    pub(super) persistent: Option<Span>,
    /// `-M`.
    pub(super) netmask_len: u8,
    /// `-o`.
    pub(super) one_packet: bool,
    /// `--pe`.
    pub(super) engine: Option<Engine>,
    /// `-b`, all bits.
    pub(super) sched_flags: u8,
}

impl Parameters {
    const fn of(rule: &ServiceRule) -> Self {
        Self {
            persistent: rule.persistent,
            netmask_len: rule.netmask_len,
            one_packet: rule.one_packet,
            engine: rule.engine,
            sched_flags: rule.sched_flags,
        }
    }
}

/// The local addresses of a FULLNAT service.
#[derive(Clone, Debug, Default)]
pub(super) struct LocalAddresses {
    pub(super) list: Vec<Ip>,
    /// Whose turn it is.
    pub(super) next: usize,
}

/// A virtual service, or what is left of a deleted one.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) key: ServiceKey,
    pub(super) parameters: Parameters,
    pub(super) local: LocalAddresses,
    pub(super) scheduler: schedulers::Service,
    /// Listed destinations in the order they were added.
    pub(super) order: Vec<DestinationId>,
    /// Every destination of the pool, the trash included.
    ids: FxMap<DestId, DestinationId>,
    live: bool,
    /// Next periodic work of the scheduler, if it has any.
    timer_at: Option<Time>,
    /// How often the entry was used: destinations of a former use come back without statistics.
    epoch: u32,
    /// Statistics of destinations that were deleted.
    past: Stats,
    estimator: Estimator,
}

impl Service {
    /// Sets the timer of a scheduler that has just begun.
    fn start_timer(&mut self, now: Time, clock: Clock) {
        let periodic =
            matches!(self.scheduler.algorithm(), Some(Algorithm::Lblc | Algorithm::Lblcr));
        self.timer_at = periodic.then(|| clock.fires(now, SCHEDULER_INTERVAL));
    }

    /// Tells the scheduler how long it remembers addresses.
    fn set_expiration(&mut self, expiration: [Span; 2]) {
        let span = match self.scheduler.algorithm() {
            Some(Algorithm::Lblc) => expiration[0],
            Some(Algorithm::Lblcr) => expiration[1],
            _ => return,
        };
        self.scheduler.set_expiration(span.as_nanos());
    }

    /// Changes what the rule says, but for the scheduler and the local addresses.
    fn set_parameters(&mut self, rule: &ServiceRule) {
        self.parameters = Parameters::of(rule);
        self.scheduler.set_flags(Flags::from_bits(rule.sched_flags));
    }
}

/// Why a change of the tables was refused; the caller adds where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    Exists,
    NoService,
    NoDestination,
    Pool(schedulers::Error),
}

impl From<schedulers::Error> for Refused {
    fn from(e: schedulers::Error) -> Self {
        match e {
            schedulers::Error::Duplicate(_) => Self::Exists,
            e => Self::Pool(e),
        }
    }
}

/// All services of a director.
#[derive(Debug)]
pub(super) struct ServiceTable {
    services: Vec<Service>,
    /// By key, deleted ones included while a destination of theirs is in the trash.
    by_key: FxMap<ServiceKey, u32>,
    /// Live services in the order they were added.
    order: Vec<u32>,
    free_services: Vec<u32>,
    destinations: Vec<Destination>,
    /// By destination.
    estimators: Vec<Estimator>,
    free_destinations: Vec<u32>,
    trash: Vec<DestinationId>,
    /// Next look at the trash.
    sweep_at: Option<Time>,
    /// Earliest of `sweep_at` and the live services' `timer_at`.
    work_at: Option<Time>,
    /// Statistics of deleted services.
    past: Stats,
    estimator: Estimator,
    /// Live services by family, IPv4 first.
    families: [u32; 2],
    /// Live TCP services on port 21, and live services for all ports.
    ftp: u32,
    any_port: u32,
    clock: Clock,
    /// How long lblc and lblcr remember an address.
    expiration: [Span; 2],
}

/// The schedulers lblc and lblcr look through their tables this often (`CHECK_EXPIRE_INTERVAL`).
const SCHEDULER_INTERVAL: Span = Span::from_secs(60);

impl ServiceTable {
    pub(super) fn new(sysctl: &IpvsSysctl) -> Self {
        Self {
            services: Vec::new(),
            by_key: FxMap::default(),
            order: Vec::new(),
            free_services: Vec::new(),
            destinations: vec![Destination::NOBODY],
            estimators: vec![Estimator::default()],
            free_destinations: Vec::new(),
            trash: Vec::new(),
            sweep_at: None,
            work_at: None,
            past: Stats::default(),
            estimator: Estimator::default(),
            families: [0; 2],
            ftp: 0,
            any_port: 0,
            clock: Clock::Exact,
            expiration: [sysctl.lblc_expiration, sysctl.lblcr_expiration],
        }
    }

    /// Adds a service without destinations.
    pub(super) fn add_service(
        &mut self,
        now: Time,
        rule: &ServiceRule,
        book: &mut AddressBook,
    ) -> Result<(), Refused> {
        if self.live(rule.key).is_some() {
            return Err(Refused::Exists);
        }
        let flags = Flags::from_bits(rule.sched_flags);
        let index = if let Some(&index) = self.by_key.get(&rule.key) {
            // Deleted, but destinations wait in the trash: the pool lives on, its rule starts anew.
            let service = self.service_mut(index);
            service.scheduler.set_algorithm(None::<Algorithm>)?;
            service.scheduler.set_flags(flags);
            service.scheduler.set_algorithm(rule.scheduler)?;
            service.live = true;
            service.estimator.set_zero(service.past);
            index
        } else {
            let service = Service {
                key: rule.key,
                parameters: Parameters::of(rule),
                local: LocalAddresses::default(),
                scheduler: schedulers::Service::new(rule.scheduler, flags),
                order: Vec::new(),
                ids: FxMap::default(),
                live: true,
                timer_at: None,
                epoch: 0,
                past: Stats::default(),
                estimator: Estimator::default(),
            };
            let index = self.place_service(service);
            self.by_key.insert(rule.key, index);
            index
        };
        self.order.push(index);
        let (clock, expiration) = (self.clock, self.expiration);
        let service = self.service_mut(index);
        service.set_parameters(rule);
        service.local.list = rule.local_addresses.iter().map(|&a| book.number(a)).collect();
        service.set_expiration(expiration);
        service.start_timer(now, clock);
        self.count_service(rule.key, true);
        self.plan();
        Ok(())
    }

    fn place_service(&mut self, service: Service) -> u32 {
        if let Some(index) = self.free_services.pop() {
            self.services[index as usize] = service;
            return index;
        }
        self.services.push(service);
        self.services.len() as u32 - 1
    }

    /// Changes everything but the key of a service. The same scheduler again goes on as it is;
    /// templates and connections keep what they were made with.
    pub(super) fn edit_service(&mut self, now: Time, rule: &ServiceRule) -> Result<(), Refused> {
        let index = self.live(rule.key).ok_or(Refused::NoService)?;
        let (clock, expiration) = (self.clock, self.expiration);
        let service = self.service_mut(index);
        service.set_parameters(rule);
        if service.scheduler.algorithm() == Some(rule.scheduler) {
            return Ok(());
        }
        let changed = service.scheduler.set_algorithm(rule.scheduler);
        service.set_expiration(expiration);
        service.start_timer(now, clock);
        self.plan();
        Ok(changed?)
    }

    /// The local addresses of a service; none if there is no such service.
    pub(super) fn local(&self, key: ServiceKey) -> &[Ip] {
        self.live(key).map_or(&[], |index| &self.service(index).local.list)
    }

    /// Adds a local address to a service.
    pub(super) fn add_local(&mut self, key: ServiceKey, address: Ip) -> Result<(), Refused> {
        let index = self.live(key).ok_or(Refused::NoService)?;
        let list = &mut self.service_mut(index).local.list;
        if list.contains(&address) {
            return Err(Refused::Exists);
        }
        list.push(address);
        Ok(())
    }

    /// Takes a local address from a service.
    pub(super) fn delete_local(&mut self, key: ServiceKey, address: Ip) -> Result<(), Refused> {
        let index = self.live(key).ok_or(Refused::NoService)?;
        let local = &mut self.service_mut(index).local;
        let at = local.list.iter().position(|a| *a == address).ok_or(Refused::NoDestination)?;
        local.list.remove(at);
        // the turn is one of those that are left
        local.next %= local.list.len().max(1);
        Ok(())
    }

    /// Deletes a service; its destinations go to the trash.
    pub(super) fn delete_service(&mut self, now: Time, key: ServiceKey) -> Result<(), Refused> {
        let index = self.live(key).ok_or(Refused::NoService)?;
        // The rule ends before the destinations leave: it does not see them go.
        self.service_mut(index).scheduler.set_algorithm(None::<Algorithm>)?;
        for id in self.service(index).order.clone() {
            self.discard(now, id)?;
        }
        self.order.retain(|&i| i != index);
        self.count_service(key, false);
        let service = self.service_mut(index);
        service.live = false;
        service.timer_at = None;
        service.epoch += 1;
        let past = core::mem::take(&mut service.past);
        self.past += past;
        self.forget_if_empty(index);
        self.plan();
        Ok(())
    }

    /// Adds a destination; one that waits in the trash is taken back with its connections. `rip` is
    /// the rule's in the form of packets.
    pub(super) fn add_destination(
        &mut self,
        key: ServiceKey,
        rule: &ServerRule,
        rip: Ip,
    ) -> Result<DestinationId, Refused> {
        let index = self.live(key).ok_or(Refused::NoService)?;
        let service = self.service_mut(index);
        let added = service.scheduler.add_dest(DestSpec {
            addr: rule.rip,
            port: rule.port,
            weight: u32::from(rule.weight),
            upper_threshold: rule.upper_threshold,
            lower_threshold: rule.lower_threshold,
        });
        // A full `mh` table is reported after the destination was added, as in the kernel.
        let full = added.err().filter(|e| matches!(e, schedulers::Error::TableFull { .. }));
        let id = match added {
            Ok(id) => id,
            Err(e) if full.is_none() => return Err(e.into()),
            Err(e) => service.scheduler.pool().find(rule.rip, rule.port).ok_or(Refused::Pool(e))?,
        };
        let destination = self.list(index, id, rule, rip);
        full.map_or(Ok(destination), |e| Err(Refused::Pool(e)))
    }

    /// Lists a destination that the pool of service `index` knows as `id`.
    fn list(&mut self, index: u32, id: DestId, rule: &ServerRule, rip: Ip) -> DestinationId {
        let service = &mut self.services[index as usize];
        let epoch = service.epoch;
        let known = service.ids.get(&id).copied();
        let destination = if let Some(known) = known {
            self.trash.retain(|&other| other != known);
            let destination = &mut self.destinations[known.0 as usize];
            if destination.epoch == epoch {
                service.past -= destination.stats;
            } else {
                destination.stats = Stats::default();
                self.estimators[known.0 as usize] = Estimator::default();
            }
            destination.epoch = epoch;
            destination.forwarding = rule.forwarding;
            destination.tunnel = rule.tunnel;
            destination.available = true;
            known
        } else {
            let new = Destination {
                stats: Stats::default(),
                service: index,
                id: Some(id),
                rip,
                address: rule.rip,
                port: rule.port,
                forwarding: rule.forwarding,
                tunnel: rule.tunnel,
                available: true,
                epoch,
                idle_since: None,
            };
            self.place_destination(new)
        };
        let service = self.service_mut(index);
        service.ids.insert(id, destination);
        service.order.push(destination);
        destination
    }

    fn place_destination(&mut self, destination: Destination) -> DestinationId {
        if let Some(index) = self.free_destinations.pop() {
            self.destinations[index as usize] = destination;
            self.estimators[index as usize] = Estimator::default();
            return DestinationId(index);
        }
        self.destinations.push(destination);
        self.estimators.push(Estimator::default());
        DestinationId(self.destinations.len() as u32 - 1)
    }

    /// The listed destination of a live service.
    fn listed(&self, key: ServiceKey, rip: IpAddr, port: u16) -> Result<DestinationId, Refused> {
        let index = self.live(key).ok_or(Refused::NoService)?;
        let service = self.service(index);
        let found = service.order.iter().find(|&&id| {
            let destination = self.destination(id);
            (destination.address, destination.port) == (rip, port)
        });
        found.copied().ok_or(Refused::NoDestination)
    }

    /// Changes weight, thresholds and method of a destination. Connections keep their method.
    pub(super) fn edit_destination(
        &mut self,
        key: ServiceKey,
        rule: &ServerRule,
    ) -> Result<(), Refused> {
        let id = self.listed(key, rule.rip, rule.port)?;
        let Destination { service, id: Some(name), .. } = *self.destination(id) else {
            return Err(Refused::NoDestination);
        };
        let edit = DestEdit {
            weight: u32::from(rule.weight),
            upper_threshold: rule.upper_threshold,
            lower_threshold: rule.lower_threshold,
        };
        let scheduler = &mut self.service_mut(service).scheduler;
        scheduler.edit_dest(name, edit)?;
        let destination = &mut self.destinations[id.0 as usize];
        (destination.forwarding, destination.tunnel) = (rule.forwarding, rule.tunnel);
        Ok(())
    }

    /// Moves a destination to the trash.
    pub(super) fn delete_destination(
        &mut self,
        now: Time,
        key: ServiceKey,
        (rip, port): (IpAddr, u16),
    ) -> Result<(), Refused> {
        let id = self.listed(key, rip, port)?;
        self.discard(now, id)
    }
}
