//! FULLNAT: both ends of a connection are rewritten, so that a real server answers to the director
//! whatever its routes are.
//!
//! Not in the kernel; as dpvs does it (`ip_vs_laddr.c`, `sa_pool.c`, `ip_vs_proto_tcp.c`). A service
//! has local addresses. Each has 16 pools of the ports 1025 to 65535, one for each class of real
//! servers; a port that was given back is used again after all the others. Sequence numbers are moved, so
//! that a port used again begins above what the real server remembers. The client's address and port
//! travel in a TCP option of 8 bytes, kind 254 (20 for IPv6), in every packet that acknowledges
//! nothing but the real server's SYN.

use super::connection::{Connection, Slot, Tuple};
use super::director::Ipvs;
use super::rules::Forwarding;
use super::state::{Direction, Timeouts};
use super::verdict::{DropReason, Verdict};
use crate::engine::rng::mix;
use crate::engine::{FxMap, Time};
use crate::wire::{Flags, Ip, Packet, proto};
use schedulers::{Algorithm, RandomSource};
use std::collections::VecDeque;

/// The ports of a pool.
const PORTS: core::ops::RangeInclusive<u16> = 1025..=u16::MAX;
/// Classes of real servers (`pool_hash_size`).
const CLASSES: u32 = 16;
/// Local addresses that are tried for a connection.
const TRIES: usize = 16;
/// Bytes of the client address option.
const OPTION_V4: u8 = 8;
/// The same for IPv6.
const OPTION_V6: u8 = 20;
/// Most bytes of TCP options.
const MAX_OPTIONS: u8 = 40;

/// The free ports of a local address for a class of real servers: first those that were never used,
/// in their order, then those given back, in the order in which that happened.
#[derive(Clone, Debug)]
struct Pool {
    fresh: u32,
    returned: VecDeque<u16>,
}

impl Pool {
    const fn new() -> Self {
        Self { fresh: *PORTS.start() as u32, returned: VecDeque::new() }
    }

    fn take(&mut self) -> Option<u16> {
        match u16::try_from(self.fresh) {
            Ok(port) => {
                self.fresh += 1;
                Some(port)
            }
            Err(_) => self.returned.pop_front(),
        }
    }
}

/// What is remembered of a TCP connection besides its entry.
#[derive(Clone, Copy, Debug)]
struct Moved {
    /// Added to the client's sequence numbers.
    delta: u32,
    /// The acknowledgement number of packets that carry the client's address, once it is known.
    first_ack: Option<u32>,
}

/// The FULLNAT part of a director.
#[derive(Debug)]
pub(super) struct FullNat {
    pub(super) timeouts: Timeouts,
    pools: FxMap<(Ip, u32), Pool>,
    moved: FxMap<Slot, Moved>,
    connections: u32,
    /// Ports that were given back and wait.
    ports_held: usize,
}

impl Default for FullNat {
    fn default() -> Self {
        Self {
            timeouts: Timeouts::full_nat(),
            pools: FxMap::default(),
            moved: FxMap::default(),
            connections: 0,
            ports_held: 0,
        }
    }
}

/// Which pool a real server's ports come from.
const fn class(rip: Ip, rport: u16) -> u32 {
    ((rip.0 & 0xffff) + rport as u32) % CLASSES
}

impl FullNat {
    /// Whether any packet may be one of a FULLNAT connection.
    pub(super) const fn is_used(&self) -> bool {
        self.connections > 0
    }

    /// Bytes of memory held for ports and sequence numbers, about.
    pub(super) fn memory_bytes(&self) -> usize {
        let ports = self.ports_held * size_of::<u16>();
        let moved = self.moved.capacity() * (size_of::<(Slot, Moved)>() + 1) * 8 / 7;
        ports + moved + self.pools.capacity() * size_of::<((Ip, u32), Pool)>()
    }

    /// The entry has left the table.
    pub(super) fn release(&mut self, slot: Slot, entry: &Connection) {
        self.moved.remove(&slot);
        self.give_back(entry);
    }

    /// Gives the local port of a connection back.
    pub(super) fn give_back(&mut self, entry: &Connection) {
        let (laddr, lport) = entry.local();
        let (rip, rport) = entry.rip();
        if let Some(pool) = self.pools.get_mut(&(laddr, class(rip, rport))) {
            pool.returned.push_back(lport);
            self.ports_held += 1;
        }
        self.connections -= 1;
    }

    /// A connection has begun with `syn`: its sequence numbers start at a number of the director's
    /// own, which grows with time.
    pub(super) fn open(&mut self, now: Time, slot: Slot, entry: &Connection, syn: &Packet) {
        if entry.protocol() != proto::TCP {
            return;
        }
        let (laddr, lport) = entry.local();
        let (rip, rport) = entry.rip();
        let key = u64::from(laddr.0) << 32 | u64::from(rip.0);
        let ports = u64::from(lport) << 16 | u64::from(rport);
        let secret = mix(mix(key) ^ ports) as u32;
        let clock = (now.as_nanos() >> 6) as u32;
        let delta = secret.wrapping_add(clock).wrapping_sub(syn.seq);
        self.moved.insert(slot, Moved { delta, first_ack: None });
    }
}

impl Ipvs {
    /// Gives a new connection a local address and port. Drops the packet if none is free.
    pub(super) fn bind_local(
        &mut self,
        service: u32,
        entry: &mut Connection,
    ) -> Result<(), Verdict> {
        let service = self.services.service_mut(service);
        let rotates = matches!(service.scheduler.algorithm(), Some(Algorithm::Rr | Algorithm::Wrr));
        let count = service.local.list.len();
        let (rip, rport) = entry.rip();
        for _ in 0..count.min(TRIES) {
            let laddr = service.local.list[service.local.next % count];
            // so that addresses and servers do not go round together
            let step = if rotates && self.random.next_u32() % 100 < 5 { 2 } else { 1 };
            service.local.next = (service.local.next + step) % count;
            let pool = self.full_nat.pools.entry((laddr, class(rip, rport)));
            let pool = pool.or_insert_with(Pool::new);
            let held = pool.returned.len();
            if let Some(port) = pool.take() {
                self.full_nat.ports_held -= held - pool.returned.len();
                (entry.extra, entry.lport) = (laddr.0, port);
                self.full_nat.connections += 1;
                return Ok(());
            }
        }
        Err(Verdict::Drop(DropReason::NoLocalPort))
    }

    /// A packet for an own address may be a real server's reply to a local address.
    pub(super) fn local_reply(&mut self, now: Time, tuple: Tuple, pkt: &Packet) -> Option<Slot> {
        let slot = self.table.find_reply(tuple)?;
        let entry = self.table.get(slot);
        if entry.forwarding != Forwarding::FullNat {
            return None;
        }
        self.services.destination_mut(entry.destination).packet_out(pkt.len);
        self.advance(now, slot, pkt, Direction::Output);
        Some(slot)
    }

    /// FULLNAT, client to real server: rewrites both ends and the sequence number, and adds the
    /// client's address where the real server looks for it, if there is room in `mtu` bytes and in the
    /// TCP header. The TTL is not counted down.
    ///
    /// To be called for a packet whose verdict was to transmit it by [`Forwarding::FullNat`].
    pub fn rewrite_request(&self, connection: Slot, pkt: &mut Packet, mtu: u16) {
        let Some(entry) = self.table.lookup(connection) else { return };
        let v6 = entry.caddr.is_v6();
        (pkt.src, pkt.sport) = entry.local();
        (pkt.dst, pkt.dport) = entry.rip();
        let Some(moved) = self.full_nat.moved.get(&connection) else { return };
        pkt.seq = pkt.seq.wrapping_add(moved.delta);
        let early = pkt.flags.has(Flags::ACK)
            && !pkt.flags.has(Flags::SYN)
            && !pkt.flags.has(Flags::RST)
            && moved.first_ack == Some(pkt.ack);
        let option = if v6 { OPTION_V6 } else { OPTION_V4 };
        let room = pkt.opt <= MAX_OPTIONS - option
            && u32::from(pkt.len) + u32::from(option) <= u32::from(mtu);
        if early && room {
            pkt.opt += option;
            pkt.len += u16::from(option);
        }
    }

    /// FULLNAT, real server to client: rewrites both ends and the acknowledgement number. The MSS of a
    /// SYN leaves room for the client address option.
    ///
    /// To be called for a packet whose verdict was [`Verdict::Answer`].
    pub fn rewrite_reply(&mut self, connection: Slot, pkt: &mut Packet) {
        let Some(entry) = self.table.lookup(connection) else { return };
        let option = if entry.caddr.is_v6() { OPTION_V6 } else { OPTION_V4 };
        (pkt.src, pkt.sport) = entry.vip();
        (pkt.dst, pkt.dport) = entry.client();
        let Some(moved) = self.full_nat.moved.get_mut(&connection) else { return };
        pkt.ack = pkt.ack.wrapping_sub(moved.delta);
        if pkt.flags.has(Flags::SYN) {
            moved.first_ack = Some(pkt.seq.wrapping_add(1));
            pkt.mss = pkt.mss.saturating_sub(u16::from(option));
        }
    }
}
