//! Virtual services and their destinations, live and deleted.
//!
//! The list of real servers, their weights and connection counters are kept by
//! [`schedulers::Service`]; here are the keys they are found by, the forwarding methods, and the
//! statistics. A deleted destination waits in the trash, as in the kernel (`ip_vs_ctl.c`), so that
//! its connections can end, and so that a destination added again gets them back.

use super::connection::DestinationId;
use super::rules::{Forwarding, ServerRule, ServiceKey, ServiceRule, TunnelOptions};
use crate::engine::{FxMap, Span, Time};
use crate::wire::Ip;
use core::net::IpAddr;
use core::ops::{AddAssign, SubAssign};
use schedulers::{Algorithm, Counting, DestEdit, DestId, DestSpec, Flags};

/// What `ipvsadm -Ln --stats` counts for a destination, a service, or all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// IP bytes from clients, before encapsulation.
    pub bytes_in: u64,
    /// Packets from real servers that passed the director.
    pub packets_out: u64,
    /// IP bytes from real servers that passed the director.
    pub bytes_out: u64,
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.packets_in += other.packets_in;
        self.bytes_in += other.bytes_in;
        self.packets_out += other.packets_out;
        self.bytes_out += other.bytes_out;
    }
}

impl SubAssign for Stats {
    fn sub_assign(&mut self, other: Self) {
        self.connections -= other.connections;
        self.packets_in -= other.packets_in;
        self.bytes_in -= other.bytes_in;
        self.packets_out -= other.packets_out;
        self.bytes_out -= other.bytes_out;
    }
}

/// A real server of a service, listed or in the trash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Destination {
    pub(super) stats: Stats,
    /// Index of its service.
    pub(super) service: u32,
    /// Its name in the service's pool.
    pub(super) id: DestId,
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

/// A virtual service, or what is left of a deleted one.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) key: ServiceKey,
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
}

impl Service {
    /// Sets the timer of a scheduler that has just begun.
    fn start_timer(&mut self, now: Time) {
        let periodic =
            matches!(self.scheduler.algorithm(), Some(Algorithm::Lblc | Algorithm::Lblcr));
        self.timer_at = periodic.then(|| now + SCHEDULER_INTERVAL);
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
#[derive(Debug, Default)]
pub(super) struct ServiceTable {
    services: Vec<Service>,
    /// By key, deleted ones included while a destination of theirs is in the trash.
    by_key: FxMap<ServiceKey, u32>,
    /// Live services in the order they were added.
    order: Vec<u32>,
    free_services: Vec<u32>,
    destinations: Vec<Destination>,
    free_destinations: Vec<u32>,
    trash: Vec<DestinationId>,
    /// Next look at the trash.
    sweep_at: Option<Time>,
    /// Earliest of `sweep_at` and the live services' `timer_at`.
    work_at: Option<Time>,
    /// Statistics of deleted services.
    past: Stats,
}

/// A destination of the trash is forgotten when it was idle for this long
/// (`IP_VS_DEST_TRASH_PERIOD`).
const TRASH_PERIOD: Span = Span::from_secs(120);
/// The trash is looked through this often.
const SWEEP_INTERVAL: Span = Span::from_secs(60);
/// The schedulers lblc and lblcr look through their tables this often (`CHECK_EXPIRE_INTERVAL`).
const SCHEDULER_INTERVAL: Span = Span::from_secs(60);

impl ServiceTable {
    /// Whether no service is configured: then the kernel's hooks are not registered.
    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The service of a packet without a connection (`ip_vs_service_find`).
    pub(super) fn find(&self, protocol: u8, vip: IpAddr, port: u16) -> Option<u32> {
        self.live(ServiceKey::Address { protocol, vip, port })
    }

    fn live(&self, key: ServiceKey) -> Option<u32> {
        let index = *self.by_key.get(&key)?;
        self.services[index as usize].live.then_some(index)
    }

    pub(super) fn service(&self, index: u32) -> &Service {
        &self.services[index as usize]
    }

    pub(super) fn service_mut(&mut self, index: u32) -> &mut Service {
        &mut self.services[index as usize]
    }

    #[inline]
    pub(super) fn destination(&self, id: DestinationId) -> &Destination {
        &self.destinations[id.0 as usize]
    }

    #[inline]
    pub(super) fn destination_mut(&mut self, id: DestinationId) -> &mut Destination {
        &mut self.destinations[id.0 as usize]
    }

    /// Whether the destination's weight is 0.
    pub(super) fn is_quiesced(&self, id: DestinationId) -> bool {
        let Destination { service, id: name, .. } = *self.destination(id);
        self.service(service).scheduler.pool().weight(name) == Some(0)
    }

    /// Live services in the order they were added.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Service> {
        self.order.iter().map(|&index| self.service(index))
    }

    /// Adds a service without destinations.
    pub(super) fn add_service(&mut self, now: Time, rule: &ServiceRule) -> Result<(), Refused> {
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
            index
        } else {
            let service = Service {
                key: rule.key,
                scheduler: schedulers::Service::new(rule.scheduler, flags),
                order: Vec::new(),
                ids: FxMap::default(),
                live: true,
                timer_at: None,
                epoch: 0,
                past: Stats::default(),
            };
            let index = self.place_service(service);
            self.by_key.insert(rule.key, index);
            index
        };
        self.order.push(index);
        self.service_mut(index).start_timer(now);
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

    /// Changes scheduler and flags of a service. The same scheduler again goes on as it is.
    pub(super) fn edit_service(&mut self, now: Time, rule: &ServiceRule) -> Result<(), Refused> {
        let index = self.live(rule.key).ok_or(Refused::NoService)?;
        let service = self.service_mut(index);
        service.scheduler.set_flags(Flags::from_bits(rule.sched_flags));
        if service.scheduler.algorithm() == Some(rule.scheduler) {
            return Ok(());
        }
        let changed = service.scheduler.set_algorithm(rule.scheduler);
        service.start_timer(now);
        self.plan();
        Ok(changed?)
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
                id,
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
            return DestinationId(index);
        }
        self.destinations.push(destination);
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
        let destination = *self.destination(id);
        let edit = DestEdit {
            weight: u32::from(rule.weight),
            upper_threshold: rule.upper_threshold,
            lower_threshold: rule.lower_threshold,
        };
        let scheduler = &mut self.service_mut(destination.service).scheduler;
        scheduler.edit_dest(destination.id, edit)?;
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

    fn discard(&mut self, now: Time, id: DestinationId) -> Result<(), Refused> {
        let destination = &mut self.destinations[id.0 as usize];
        destination.available = false;
        destination.idle_since = None;
        let Destination { service, id: name, stats, .. } = *destination;
        let service = self.service_mut(service);
        service.scheduler.remove_dest(name)?;
        service.order.retain(|&other| other != id);
        service.past += stats;
        if self.trash.is_empty() {
            self.sweep_at = Some(now + SWEEP_INTERVAL);
            self.plan();
        }
        self.trash.push(id);
        Ok(())
    }

    /// When [`ServiceTable::work`] is to be called.
    #[inline]
    pub(super) fn work_at(&self) -> Time {
        self.work_at.unwrap_or(Time::NEVER)
    }

    fn plan(&mut self) {
        let timers = self.iter().filter_map(|service| service.timer_at);
        self.work_at = timers.chain(self.sweep_at).min();
    }

    /// Runs the schedulers' timers and looks through the trash, as far as it is time.
    pub(super) fn work(&mut self, now: Time) {
        if self.work_at() > now {
            return;
        }
        for &index in &self.order {
            let service = &mut self.services[index as usize];
            if service.timer_at.is_some_and(|at| at <= now) {
                service.scheduler.run_timer(now.as_nanos());
                service.timer_at = Some(now + SCHEDULER_INTERVAL);
            }
        }
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep(now);
        }
        self.plan();
    }

    /// Forgets what was idle in the trash for two minutes (`ip_vs_dest_trash_expire`).
    fn sweep(&mut self, now: Time) {
        for id in core::mem::take(&mut self.trash) {
            if !self.forget(now, id) {
                self.trash.push(id);
            }
        }
        self.sweep_at = (!self.trash.is_empty()).then(|| now + SWEEP_INTERVAL);
    }

    /// Whether the destination is gone for good.
    fn forget(&mut self, now: Time, id: DestinationId) -> bool {
        let Destination { service: index, id: name, idle_since, .. } = *self.destination(id);
        let service = &mut self.services[index as usize];
        let Some(counted) = service.scheduler.pool().get(name) else {
            debug_assert!(false, "the pool keeps what is in the trash");
            return true;
        };
        if counted.active + counted.inactive + counted.persistent > 0 {
            return false;
        }
        let Some(since) = idle_since else {
            self.destinations[id.0 as usize].idle_since = Some(now);
            return false;
        };
        if now.saturating_since(since) < TRASH_PERIOD || service.scheduler.purge(name).is_err() {
            return false;
        }
        service.ids.remove(&name);
        self.free_destinations.push(id.0);
        self.forget_if_empty(index);
        true
    }

    /// Forgets a deleted service when nothing of it is in the trash.
    fn forget_if_empty(&mut self, index: u32) {
        let service = self.service(index);
        if !service.live && service.ids.is_empty() {
            let key = service.key;
            self.by_key.remove(&key);
            self.free_services.push(index);
        }
    }

    /// The destination that a service's pool knows as `id`.
    pub(super) fn of_pool(&self, service: u32, id: DestId) -> Option<DestinationId> {
        self.service(service).ids.get(&id).copied()
    }

    /// Counts a connection's beginning.
    pub(super) fn begin(&mut self, id: DestinationId) {
        self.destinations[id.0 as usize].stats.connections += 1;
        self.pool(id, |scheduler, name| scheduler.bind(name, Counting::Inactive));
    }

    /// Counts a change between active and inactive.
    #[inline(never)]
    pub(super) fn flip(&mut self, id: DestinationId, to_active: bool) {
        self.pool(id, |scheduler, name| {
            if to_active { scheduler.activate(name) } else { scheduler.deactivate(name) }
        });
    }

    /// Counts a connection's end.
    pub(super) fn end(&mut self, id: DestinationId, active: bool) {
        let counting = if active { Counting::Active } else { Counting::Inactive };
        self.pool(id, |scheduler, name| scheduler.release(name, counting));
    }

    fn pool(
        &mut self,
        id: DestinationId,
        count: impl FnOnce(&mut schedulers::Service, DestId) -> Result<(), schedulers::Error>,
    ) {
        let Destination { service, id: name, .. } = *self.destination(id);
        let counted = count(&mut self.service_mut(service).scheduler, name);
        debug_assert!(counted.is_ok(), "a connection is counted where it was bound: {counted:?}");
    }

    /// Statistics of a live service: of its destinations, and of those it once had.
    pub(super) fn service_stats(&self, service: &Service) -> Stats {
        let mut sum = service.past;
        for &id in &service.order {
            sum += self.destination(id).stats;
        }
        sum
    }

    /// Statistics of all services that ever were.
    pub(super) fn total_stats(&self) -> Stats {
        let mut sum = self.past;
        for service in self.iter() {
            sum += self.service_stats(service);
        }
        sum
    }

    /// Bytes of memory held for services and destinations, without the schedulers' own.
    pub(super) fn memory_bytes(&self) -> usize {
        self.services.capacity() * size_of::<Service>()
            + self.destinations.capacity() * size_of::<Destination>()
    }
}
