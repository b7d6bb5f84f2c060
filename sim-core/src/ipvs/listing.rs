//! What an operator sees: services, destinations, connections, statistics.

use super::connection::{Connection, DestinationId, Slot, flag};
use super::director::Ipvs;
use super::rules::{Daemon, Engine, Forwarding, ServiceKey, TunnelOptions};
use super::service::{Service, ServiceTable};
use super::state::Timeouts;
use super::statistics::Stats;
use crate::config::IpvsSysctl;
use crate::engine::{Span, Time};
use crate::wire::{AddressBook, Ip};
use core::net::{IpAddr, Ipv4Addr};
use schedulers::Algorithm;

/// Buckets of the kernel's connection table (`conn_tab_bits` 12): the `size` that `ipvsadm -Ln`
/// prints, and the order in which connections are listed.
pub const BUCKETS: u32 = 4096;

/// A virtual service, as `ipvsadm -Ln` lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceEntry {
    /// What it listens to.
    pub key: ServiceKey,
    /// Scheduler, `None` for the kernel's `none`.
    pub scheduler: Option<Algorithm>,
    /// `-b`: bits as the kernel numbers them.
    pub sched_flags: u8,
    /// `-p`.
    pub persistent: Option<Span>,
    /// `-M`: leading bits of the client address.
    pub netmask_len: u8,
    /// `--pe`.
    pub engine: Option<Engine>,
    /// `-o`.
    pub one_packet: bool,
    /// Statistics since the last `-Z`, those of its deleted destinations included.
    pub stats: Stats,
    /// Estimated rates: the same per second, see [`Ipvs::estimate`].
    pub rates: Stats,
}

/// A destination, as `ipvsadm -Ln` and its options list it.
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
    /// How packets are wrapped, with [`Forwarding::Tun`].
    pub tunnel: TunnelOptions,
    /// Weight.
    pub weight: u32,
    /// `-x`.
    pub upper_threshold: u32,
    /// `-y`.
    pub lower_threshold: u32,
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
    /// Persistence templates (`PersistConn`).
    pub persistent: u32,
    /// Whether the thresholds keep new connections away.
    pub overloaded: bool,
    /// Statistics since the last `-Z`.
    pub stats: Stats,
    /// Statistics since it was added.
    pub total: Stats,
    /// Estimated rates: the same per second, see [`Ipvs::estimate`].
    pub rates: Stats,
}

/// A line of `/proc/net/ip_vs_conn`, as `ipvsadm -Lnc` shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectionEntry {
    /// IP protocol; 0, shown as `IP`, for a template for all protocols.
    pub protocol: u8,
    /// Client; of a template the masked address and port 0.
    pub client: (IpAddr, u16),
    /// Virtual service; of the template of a fwmark service the mark as an IPv4 address.
    pub vip: (IpAddr, u16),
    /// Real server.
    pub rip: (IpAddr, u16),
    /// The state's name.
    pub state: &'static str,
    /// Time left; shown in whole seconds, rounded down.
    pub left: Span,
    /// Whether it is a template.
    pub template: bool,
    /// Persistence engine and what it remembers.
    pub engine: Option<(Engine, String)>,
}

/// The bucket of an entry, by client address, client port and protocol.
///
/// Source: `ip_vs_conn_hashkey`. The kernel's seed is random; here it is 0x6c767369. An IPv6 address
/// is hashed by its number in the book.
pub(super) fn bucket(entry: &Connection) -> u32 {
    const SEED: u32 = 0x6c76_7369;
    let address = entry.caddr.0.swap_bytes();
    let port = u32::from(entry.cport.swap_bytes());
    jhash([address, port, u32::from(entry.protocol())], SEED) & (BUCKETS - 1)
}

/// Bob Jenkins' hash of three words as the kernel has it (`include/linux/jhash.h`, `jhash_3words`).
const fn jhash(words: [u32; 3], seed: u32) -> u32 {
    let start = seed.wrapping_add(0xdead_beef + (3 << 2));
    let (mut a, mut b, mut c) =
        (words[0].wrapping_add(start), words[1].wrapping_add(start), words[2].wrapping_add(start));
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

impl Ipvs {
    /// Connections and templates in the order of their slots.
    pub fn connections(&self) -> impl Iterator<Item = (Slot, &Connection)> {
        self.table.iter()
    }

    /// The connection in `slot`, if there is one.
    pub fn connection(&self, slot: Slot) -> Option<&Connection> {
        self.table.lookup(slot)
    }

    /// Connections and templates in the order of `/proc/net/ip_vs_conn`: by bucket, the newest of a
    /// bucket first.
    pub fn connection_list(&self, now: Time, book: &AddressBook) -> Vec<ConnectionEntry> {
        let mut all: Vec<(u32, u32, Slot)> = self
            .table
            .iter()
            .map(|(slot, entry)| (bucket(entry), self.table.age(slot), slot))
            .collect();
        all.sort_unstable();
        all.into_iter().map(|(_, _, slot)| self.connection_entry(slot, now, book)).collect()
    }

    fn connection_entry(&self, slot: Slot, now: Time, book: &AddressBook) -> ConnectionEntry {
        let entry = self.table.get(slot);
        let (vip, vport) = entry.vip();
        let by_mark = entry.is_template() && entry.protocol() == 0;
        let vip = if by_mark { Ipv4Addr::from_bits(vip.0).into() } else { book.address(vip) };
        let call = if entry.has(flag::ENGINE) { self.calls.name(slot) } else { None };
        ConnectionEntry {
            protocol: entry.protocol(),
            client: (book.address(entry.caddr), entry.cport),
            vip: (vip, vport),
            rip: (book.address(entry.daddr), entry.dport),
            state: entry.state().name(),
            left: entry.remaining(now),
            template: entry.is_template(),
            engine: call.map(|call| (Engine::Sip, call)),
        }
    }

    /// Number of connections and templates in the table.
    pub fn entries(&self) -> u32 {
        self.table.len()
    }

    /// Largest number of connections and templates at a time.
    pub fn entries_max(&self) -> u32 {
        self.table.max()
    }

    /// Virtual services in the order they were added.
    pub fn services(&self) -> impl Iterator<Item = ServiceEntry> {
        self.services.iter().map(|service| {
            let counted = self.services.counted_by(service);
            let estimator = ServiceTable::service_estimator(service);
            ServiceEntry {
                key: service.key,
                scheduler: service.scheduler.algorithm(),
                sched_flags: service.parameters.sched_flags,
                persistent: service.parameters.persistent,
                netmask_len: service.parameters.netmask_len,
                engine: service.parameters.engine,
                one_packet: service.parameters.one_packet,
                stats: estimator.shown(counted),
                rates: estimator.rates(),
            }
        })
    }

    /// The local addresses of a service, see [`Forwarding::FullNat`](super::rules::Forwarding::FullNat).
    pub fn local_addresses(&self, key: ServiceKey) -> &[Ip] {
        self.services.local(key)
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
        let counted = service.scheduler.pool().get(destination.id?)?;
        let estimator = self.services.estimator(id);
        Some(DestinationEntry {
            service: service.key,
            id,
            rip: destination.address,
            port: destination.port,
            forwarding: destination.forwarding,
            tunnel: destination.tunnel,
            weight: counted.weight,
            upper_threshold: counted.upper_threshold,
            lower_threshold: counted.lower_threshold,
            active: counted.active,
            inactive: counted.inactive,
            persistent: counted.persistent,
            overloaded: counted.overload,
            stats: estimator.shown(destination.stats),
            total: destination.stats,
            rates: estimator.rates(),
        })
    }

    /// How packets to a destination are wrapped, as its rule says now; deleted ones as it said last.
    pub fn tunnel(&self, destination: DestinationId) -> TunnelOptions {
        self.services.destination(destination).tunnel
    }

    /// Statistics of everything since the start.
    pub fn totals(&self) -> Stats {
        self.services.counted()
    }

    /// Statistics of everything since the last `ipvsadm -Z`, and rates (`/proc/net/ip_vs_stats`).
    pub fn totals_shown(&self) -> (Stats, Stats) {
        let estimator = self.services.total_estimator();
        (estimator.shown(self.services.counted()), estimator.rates())
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

    /// The synchronisation daemons that run, the master first.
    pub fn daemons(&self) -> impl Iterator<Item = &Daemon> {
        self.daemons.iter()
    }

    /// Bytes of memory held for connections (entries, look-up, timers; ports and sequence numbers of
    /// FULLNAT), services and destinations. The schedulers' own tables and the texts of Call-IDs are
    /// not included.
    pub fn memory_bytes(&self) -> usize {
        self.table.memory_bytes() + self.services.memory_bytes() + self.full_nat.memory_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of a C program with the operations of the kernel's header.
    #[test]
    fn the_hash_is_the_kernels() {
        assert_eq!(jhash([0, 0, 0], 0), 459_859_287);
        assert_eq!(jhash([1, 2, 3], 4), 2_164_462_655);
        assert_eq!(jhash([0x0100_000a, 0x409c, 6], 0x6c76_7369), 3_282_824_849);
    }
}
