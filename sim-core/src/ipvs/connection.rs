//! Connections: one entry of the director's connection table (`struct ip_vs_conn`).

use super::rules::Forwarding;
use super::state::State;
use crate::engine::{Span, Time};
use crate::wire::{Ip, Packet};

/// Place of a connection in the table. A place is used again after its connection has expired.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(pub u32);

impl Slot {
    /// No connection.
    pub const NONE: Self = Self(u32::MAX);
}

/// Number of a destination in the machine's table: stable from its addition until it has been
/// deleted and forgotten.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DestinationId(pub u32);

/// Two ends and a protocol: what a packet is looked up by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tuple {
    /// Source address and port.
    pub from: (Ip, u16),
    /// Destination address and port.
    pub to: (Ip, u16),
    /// IP protocol.
    pub protocol: u8,
}

impl Tuple {
    /// The tuple a TCP or UDP packet travels with.
    #[inline]
    pub const fn of(pkt: &Packet) -> Self {
        Self { from: (pkt.src, pkt.sport), to: (pkt.dst, pkt.dport), protocol: pkt.proto }
    }

    /// The tuple of the answer.
    #[inline]
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self { from: self.to, to: self.from, protocol: self.protocol }
    }

    /// A well mixed function of all five fields: one 64 x 64 to 128 bit multiplication, folded.
    #[inline]
    pub(super) const fn hash(self) -> u64 {
        let addresses = ((self.from.0.0 as u64) << 32) | self.to.0.0 as u64;
        let ports = ((self.from.1 as u64) << 24) | ((self.to.1 as u64) << 8) | self.protocol as u64;
        // Odd constants without structure (digits of pi): neither factor is zero in practice, and
        // `ports` never is because it fills 40 bits only.
        let a = addresses ^ 0x243f_6a88_85a3_08d3;
        let b = (ports ^ 0x1319_8a2e_0370_7344).rotate_left(17);
        let product = (a as u128) * (b as u128);
        (product as u64) ^ ((product >> 64) as u64)
    }
}

/// What is remembered of a connection besides its state: bits of [`Connection::flags`].
pub(super) mod flag {
    /// No packet of the real server was seen (`IP_VS_CONN_F_NOOUTPUT`).
    pub(in crate::ipvs) const NO_OUTPUT: u8 = 1;
    /// Counted as inactive (`IP_VS_CONN_F_INACTIVE`).
    pub(in crate::ipvs) const INACTIVE: u8 = 2;
    /// A newer connection with the same tuple took its place in the look-up.
    pub(in crate::ipvs) const SHADOWED: u8 = 4;
}

/// An entry of the connection table: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct Connection {
    /// When the entry dies unless a packet renews it.
    pub(super) expires: Time,
    /// When the queue will look at the entry; [`Time::NEVER`] for a vacant slot.
    pub(super) armed: Time,
    pub(super) caddr: Ip,
    pub(super) vaddr: Ip,
    pub(super) daddr: Ip,
    pub(super) cport: u16,
    pub(super) vport: u16,
    pub(super) dport: u16,
    pub(super) protocol: u8,
    pub(super) state: State,
    pub(super) forwarding: Forwarding,
    pub(super) flags: u8,
    /// What the timer is restarted with, in milliseconds.
    pub(super) timeout_ms: u32,
    pub(super) packets_in: u32,
    pub(super) destination: DestinationId,
    /// NAT: the connection that had the same reverse tuple before this one.
    pub(super) older: Slot,
}

impl Connection {
    /// Life of an entry that no packet has put into a state yet.
    const INITIAL_TIMEOUT_MS: u32 = 3_000;

    pub(super) const VACANT: Self = Self {
        expires: Time::NEVER,
        armed: Time::NEVER,
        caddr: Ip::ANY,
        vaddr: Ip::ANY,
        daddr: Ip::ANY,
        cport: 0,
        vport: 0,
        dport: 0,
        protocol: 0,
        state: State::None,
        forwarding: Forwarding::Nat,
        flags: 0,
        timeout_ms: 0,
        packets_in: 0,
        destination: DestinationId(u32::MAX),
        older: Slot::NONE,
    };

    /// A connection as `ip_vs_conn_new` makes it: inactive, in the first state of its protocol.
    pub(super) fn new(
        tuple: Tuple,
        destination: DestinationId,
        (daddr, dport): (Ip, u16),
        forwarding: Forwarding,
        state: State,
    ) -> Self {
        let no_output = if forwarding == Forwarding::Nat { 0 } else { flag::NO_OUTPUT };
        Self {
            caddr: tuple.from.0,
            cport: tuple.from.1,
            vaddr: tuple.to.0,
            vport: tuple.to.1,
            protocol: tuple.protocol,
            daddr,
            dport,
            state,
            forwarding,
            destination,
            flags: flag::INACTIVE | no_output,
            timeout_ms: Self::INITIAL_TIMEOUT_MS,
            ..Self::VACANT
        }
    }

    /// The tuple of the client's packets: client to virtual service.
    #[inline]
    pub const fn tuple(&self) -> Tuple {
        Tuple {
            from: (self.caddr, self.cport),
            to: (self.vaddr, self.vport),
            protocol: self.protocol,
        }
    }

    /// The tuple of the real server's packets when they enter the director: with NAT from the real
    /// server, with DR and TUN from the virtual service, to the client.
    #[inline]
    pub const fn reply_tuple(&self) -> Tuple {
        let from = match self.forwarding {
            Forwarding::Nat => (self.daddr, self.dport),
            Forwarding::Dr | Forwarding::Tun => (self.vaddr, self.vport),
        };
        Tuple { from, to: (self.caddr, self.cport), protocol: self.protocol }
    }

    /// Client address and port.
    pub const fn client(&self) -> (Ip, u16) {
        (self.caddr, self.cport)
    }

    /// Virtual address and port.
    pub const fn vip(&self) -> (Ip, u16) {
        (self.vaddr, self.vport)
    }

    /// Real server address and port.
    pub const fn rip(&self) -> (Ip, u16) {
        (self.daddr, self.dport)
    }

    /// IP protocol.
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Forwarding method, that of the destination when the connection began.
    pub const fn forwarding(&self) -> Forwarding {
        self.forwarding
    }

    /// Current state.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether it counts as active.
    pub const fn is_active(&self) -> bool {
        self.flags & flag::INACTIVE == 0
    }

    /// The destination it is bound to.
    pub const fn destination(&self) -> DestinationId {
        self.destination
    }

    /// Packets from the client that were sent on, modulo 2^32.
    pub const fn packets_in(&self) -> u32 {
        self.packets_in
    }

    /// When it expires unless another packet comes. The kernel's timer wheel may keep it a little
    /// longer (up to an eighth of the timeout); here it is exact.
    pub const fn expires(&self) -> Time {
        self.expires
    }

    /// Time left at `now`, as `ipvsadm -Lc` counts it.
    pub const fn remaining(&self, now: Time) -> Span {
        self.expires.saturating_since(now)
    }

    #[inline]
    pub(super) const fn is_vacant(&self) -> bool {
        self.armed.as_nanos() == Time::NEVER.as_nanos()
    }

    #[inline]
    pub(super) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_cache_line() {
        assert_eq!(size_of::<Connection>(), 64);
    }

    #[test]
    fn neighbouring_tuples_hash_apart() {
        let mut low = std::collections::BTreeSet::new();
        for host in 0..64_u8 {
            for port in 0..64_u16 {
                let tuple = Tuple {
                    from: (Ip::new(10, 0, 0, host), 1024 + port),
                    to: (Ip::new(192, 168, 10, 200), 80),
                    protocol: 6,
                };
                low.insert(tuple.hash() & 0xfffff);
            }
        }
        // 4096 balls in 2^20 boxes: about 8 collisions are expected of a random function.
        assert!(low.len() > 4096 - 32, "{} of 4096 low parts differ", low.len());
    }

    #[test]
    fn a_nat_reply_comes_from_the_real_server_and_any_other_from_the_vip() {
        let tuple = Tuple {
            from: (Ip::new(172, 16, 0, 10), 40_000),
            to: (Ip::new(192, 168, 10, 200), 80),
            protocol: 6,
        };
        let rip = (Ip::new(192, 168, 10, 11), 8080);
        let id = DestinationId(0);
        let nat = Connection::new(tuple, id, rip, Forwarding::Nat, State::None);
        assert_eq!(nat.reply_tuple(), Tuple { from: rip, to: tuple.from, protocol: 6 });
        let dr = Connection::new(tuple, id, rip, Forwarding::Dr, State::None);
        assert_eq!(dr.reply_tuple(), tuple.reversed());
        assert!(dr.has(flag::NO_OUTPUT) && !nat.has(flag::NO_OUTPUT));
        assert!(!dr.is_active() && !nat.is_active());
    }
}
