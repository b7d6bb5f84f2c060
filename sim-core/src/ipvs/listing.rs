//! What an operator sees: services, destinations, connections, statistics.

use super::connection::{Connection, DestinationId, Slot};
use super::director::Ipvs;
use super::rules::{Forwarding, ServiceKey};
use super::service::{Service, Stats};
use super::state::Timeouts;
use crate::config::IpvsSysctl;
use core::net::IpAddr;
use schedulers::Algorithm;

/// A virtual service, as `ipvsadm -Ln` lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceEntry {
    /// What it listens to.
    pub key: ServiceKey,
    /// Scheduler, `None` for the kernel's `none`.
    pub scheduler: Option<Algorithm>,
    /// Statistics, those of its deleted destinations included.
    pub stats: Stats,
}

/// A destination, as `ipvsadm -Ln` and `--stats` list it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DestinationEntry {
    /// Virtual service.
    pub service: ServiceKey,
    /// Number of the destination.
    pub id: DestinationId,
    /// RIP.
    pub rip: IpAddr,
    /// Port.
    pub port: u16,
    /// Method of new connections.
    pub forwarding: Forwarding,
    /// Weight.
    pub weight: u32,
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
    /// Whether the thresholds keep new connections away.
    pub overloaded: bool,
    /// Statistics.
    pub stats: Stats,
}

impl Ipvs {
    /// Connections in the order of their slots.
    pub fn connections(&self) -> impl Iterator<Item = (Slot, &Connection)> {
        self.table.iter()
    }

    /// The connection in `slot`, if there is one.
    pub fn connection(&self, slot: Slot) -> Option<&Connection> {
        self.table.lookup(slot)
    }

    /// Number of connections in the table.
    pub fn entries(&self) -> u32 {
        self.table.len()
    }

    /// Largest number of connections at a time.
    pub fn entries_max(&self) -> u32 {
        self.table.max()
    }

    /// Virtual services in the order they were added.
    pub fn services(&self) -> impl Iterator<Item = ServiceEntry> {
        self.services.iter().map(|service| ServiceEntry {
            key: service.key,
            scheduler: service.scheduler.algorithm(),
            stats: self.services.service_stats(service),
        })
    }

    /// Listed destinations: services in the order they were added, destinations of a service in the
    /// order they were added to it. (The kernel lists the destinations of a service newest first.)
    pub fn destinations(&self) -> impl Iterator<Item = DestinationEntry> {
        self.services.iter().flat_map(|service| {
            service.order.iter().filter_map(|&id| self.destination_entry(service, id))
        })
    }

    fn destination_entry(&self, service: &Service, id: DestinationId) -> Option<DestinationEntry> {
        let destination = self.services.destination(id);
        let counted = service.scheduler.pool().get(destination.id)?;
        Some(DestinationEntry {
            service: service.key,
            id,
            rip: destination.address,
            port: destination.port,
            forwarding: destination.forwarding,
            weight: counted.weight,
            active: counted.active,
            inactive: counted.inactive,
            overloaded: counted.overload,
            stats: destination.stats,
        })
    }

    /// Statistics of everything since the start.
    pub fn totals(&self) -> Stats {
        self.services.total_stats()
    }

    /// Packets that would have begun a connection but found no destination.
    pub fn no_destination(&self) -> u64 {
        self.no_destination
    }

    /// The timeouts in force.
    pub fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// The settings in force.
    pub fn sysctl(&self) -> &IpvsSysctl {
        &self.sysctl
    }

    /// Bytes of memory held for connections (entries, look-up, timers), services and destinations.
    /// The schedulers' own tables are not included.
    pub fn memory_bytes(&self) -> usize {
        self.table.memory_bytes() + self.services.memory_bytes()
    }
}
