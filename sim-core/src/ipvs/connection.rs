//! Connections: one entry of the director's connection table (`struct ip_vs_conn`).

use super::rules::Forwarding;
use super::state::State;
use crate::engine::{Span, Time};
use crate::wire::{Ip, Packet};
use core::fmt;
use schedulers::Counting;

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

impl DestinationId {
    /// No destination: connections that bypass the real servers.
    pub const NOBODY: Self = Self(0);
}

/// Two ends and a protocol: what a packet is looked up by, packed into two words.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// Source address in the low half, destination address in the high half.
    addresses: u64,
    /// From the lowest bit: source port, destination port (16 each), protocol (8).
    ports: u64,
}

impl Tuple {
    /// The tuple of packets of `protocol` that go from one address and port to another.
    #[inline]
    pub const fn new(from: (Ip, u16), to: (Ip, u16), protocol: u8) -> Self {
        Self {
            addresses: from.0.0 as u64 | (to.0.0 as u64) << 32,
            ports: from.1 as u64 | (to.1 as u64) << 16 | (protocol as u64) << 32,
        }
    }

    /// The tuple a TCP or UDP packet travels with.
    #[inline]
    pub const fn of(pkt: &Packet) -> Self {
        Self::new((pkt.src, pkt.sport), (pkt.dst, pkt.dport), pkt.proto)
    }

    /// What the template of a client is looked up by: no packet has such a tuple. `engine`: the data
    /// of a persistence engine has to be the same, too.
    pub(super) const fn template(
        client: Ip,
        service: (Ip, u16),
        protocol: u8,
        engine: bool,
    ) -> Self {
        let mark = if engine { TEMPLATE_MARK | ENGINE_MARK } else { TEMPLATE_MARK };
        Self::new((client, 0), service, protocol | mark)
    }

    /// The same without the client's port.
    pub(super) const fn without_client_port(self) -> Self {
        Self { ports: self.ports & !0xffff, ..self }
    }

    /// Source address and port.
    pub const fn from(self) -> (Ip, u16) {
        (Ip(self.addresses as u32), self.ports as u16)
    }

    /// Destination address and port.
    pub const fn to(self) -> (Ip, u16) {
        (Ip((self.addresses >> 32) as u32), (self.ports >> 16) as u16)
    }

    /// IP protocol.
    pub const fn protocol(self) -> u8 {
        (self.ports >> 32) as u8
    }

    /// The tuple of the answer.
    #[inline]
    #[must_use]
    pub const fn reversed(self) -> Self {
        let ports = self.ports as u32;
        Self {
            addresses: self.addresses.rotate_left(32),
            ports: ports.rotate_left(16) as u64 | (self.ports >> 32) << 32,
        }
    }

    /// A well mixed function of all five fields: one 64 x 64 to 128 bit multiplication, folded.
    #[inline]
    pub(super) const fn hash(self) -> u64 {
        // Digits of pi. The second factor is never zero: `ports` fills 40 bits only.
        let a = self.addresses ^ 0x243f_6a88_85a3_08d3;
        let b = (self.ports ^ 0x1319_8a2e_0370_7344).rotate_left(17);
        let product = (a as u128) * (b as u128);
        (product as u64) ^ ((product >> 64) as u64)
    }
}

impl fmt::Debug for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from(), self.to());
        write!(f, "{} {}:{} > {}:{}", self.protocol(), from.0, from.1, to.0, to.1)
    }
}

/// What is remembered of a connection besides its state: bits of [`Connection::flags`].
pub(super) mod flag {
    /// No packet of the real server was seen (`IP_VS_CONN_F_NOOUTPUT`).
    pub(in crate::ipvs) const NO_OUTPUT: u8 = 1;
    /// Counted as inactive (`IP_VS_CONN_F_INACTIVE`).
    pub(in crate::ipvs) const INACTIVE: u8 = 2;
    /// Not found by packets of the client: a newer entry with the same tuple took its place, or it
    /// is a template that is no longer valid.
    pub(in crate::ipvs) const SHADOWED: u8 = 4;
    /// A persistence template (`IP_VS_CONN_F_TEMPLATE`).
    pub(in crate::ipvs) const TEMPLATE: u8 = 8;
    /// The client's port is not known yet (`IP_VS_CONN_F_NO_CPORT`): passive FTP.
    pub(in crate::ipvs) const NO_CPORT: u8 = 16;
    /// A template with data of a persistence engine.
    pub(in crate::ipvs) const ENGINE: u8 = 32;
    /// Takes part in connection tracking (`IP_VS_CONN_F_NFCT`).
    pub(in crate::ipvs) const TRACKED: u8 = 64;
    /// It was told to end, and its timer was set to do so at once.
    pub(in crate::ipvs) const HURRIED: u8 = 128;
}

/// Marks the protocol of templates, so that their tuples differ from those of all packets.
const TEMPLATE_MARK: u8 = 0x40;
/// The same for templates that are found by an engine's data as well.
const ENGINE_MARK: u8 = 0x20;

/// An entry of the connection table: one cache line.
///
/// The fields of the look-up lie as in [`Tuple`], so that they are compared as words.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Connection {
    /// When the entry dies unless a packet renews it.
    pub(super) expires: Time,
    /// When the queue will look at the entry; [`Time::NEVER`] for a vacant slot.
    pub(super) armed: Time,
    pub(super) caddr: Ip,
    pub(super) vaddr: Ip,
    pub(super) cport: u16,
    pub(super) vport: u16,
    /// IP protocol; of templates with a mark.
    pub(super) protocol: u8,
    pub(super) state: State,
    pub(super) forwarding: Forwarding,
    pub(super) flags: u8,
    pub(super) daddr: Ip,
    pub(super) dport: u16,
    /// FULLNAT: the local port.
    pub(super) lport: u16,
    pub(super) packets_in: u32,
    pub(super) destination: DestinationId,
    /// NAT: the connection that had the same reverse tuple before this one.
    pub(super) older: Slot,
    /// The entry that controls this one: a template, or the control connection of FTP.
    pub(super) control: Slot,
    /// How many entries this one controls.
    pub(super) controls: u32,
    /// A template: its timeout in milliseconds. FULLNAT: the local address.
    pub(super) extra: u32,
}

impl Connection {
    pub(super) const VACANT: Self = Self {
        expires: Time::NEVER,
        armed: Time::NEVER,
        caddr: Ip::ANY,
        vaddr: Ip::ANY,
        daddr: Ip::ANY,
        cport: 0,
        vport: 0,
        dport: 0,
        lport: 0,
        protocol: 0,
        state: State::None,
        forwarding: Forwarding::Nat,
        flags: 0,
        packets_in: 0,
        destination: DestinationId::NOBODY,
        older: Slot::NONE,
        control: Slot::NONE,
        controls: 0,
        extra: 0,
    };

    /// A connection as `ip_vs_conn_new` makes it: inactive, in the first state of its protocol.
    pub(super) fn new(
        tuple: Tuple,
        destination: DestinationId,
        (daddr, dport): (Ip, u16),
        forwarding: Forwarding,
        state: State,
    ) -> Self {
        let flags = match forwarding {
            Forwarding::Nat | Forwarding::FullNat => flag::INACTIVE,
            // without a destination there is nothing to be counted by
            Forwarding::Bypass => 0,
            _ => flag::INACTIVE | flag::NO_OUTPUT,
        };
        Self {
            caddr: tuple.from().0,
            cport: tuple.from().1,
            vaddr: tuple.to().0,
            vport: tuple.to().1,
            protocol: tuple.protocol(),
            daddr,
            dport,
            state,
            forwarding,
            destination,
            flags,
            ..Self::VACANT
        }
    }

    /// A template that is found by `tuple` ([`Tuple::template`]) and lives for `timeout`.
    pub(super) fn template(
        tuple: Tuple,
        destination: DestinationId,
        server: (Ip, u16),
        forwarding: Forwarding,
        timeout: Span,
    ) -> Self {
        let engine = if tuple.protocol() & ENGINE_MARK == 0 { 0 } else { flag::ENGINE };
        let mut template = Self::new(tuple, destination, server, forwarding, State::Template);
        template.flags |= flag::TEMPLATE | engine;
        template.set_template_timeout(timeout);
        template
    }

    /// The tuple of the client's packets: client to virtual service.
    #[inline]
    pub const fn tuple(&self) -> Tuple {
        Tuple::new((self.caddr, self.cport), (self.vaddr, self.vport), self.protocol)
    }

    /// The tuple of the real server's packets when they enter the director: with NAT from the real
    /// server to the client, with FULLNAT from the real server to the local address, with DR and TUN
    /// from the virtual service to the client.
    #[inline]
    pub const fn reply_tuple(&self) -> Tuple {
        match self.forwarding {
            Forwarding::Nat => {
                let client = (self.caddr, self.cport);
                Tuple::new((self.daddr, self.dport), client, self.protocol)
            }
            Forwarding::FullNat => {
                Tuple::new((self.daddr, self.dport), self.local(), self.protocol)
            }
            _ => self.tuple().reversed(),
        }
    }

    /// Client address and port.
    pub const fn client(&self) -> (Ip, u16) {
        (self.caddr, self.cport)
    }

    /// Virtual address and port. The address of a template of a fwmark service is the mark.
    pub const fn vip(&self) -> (Ip, u16) {
        (self.vaddr, self.vport)
    }

    /// Real server address and port.
    pub const fn rip(&self) -> (Ip, u16) {
        (self.daddr, self.dport)
    }

    /// FULLNAT: local address and port.
    pub const fn local(&self) -> (Ip, u16) {
        (Ip(self.extra), self.lport)
    }

    /// IP protocol; 0 for a template for all protocols.
    pub const fn protocol(&self) -> u8 {
        if self.has(flag::TEMPLATE) {
            self.protocol & !(TEMPLATE_MARK | ENGINE_MARK)
        } else {
            self.protocol
        }
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

    /// Whether it is a persistence template.
    pub const fn is_template(&self) -> bool {
        self.has(flag::TEMPLATE)
    }

    /// What it counts as.
    pub(super) const fn counting(&self) -> Counting {
        if self.has(flag::TEMPLATE) {
            Counting::Template
        } else if self.is_active() {
            Counting::Active
        } else {
            Counting::Inactive
        }
    }

    /// The destination it is bound to; [`DestinationId::NOBODY`] with [`Forwarding::Bypass`].
    pub const fn destination(&self) -> DestinationId {
        self.destination
    }

    /// The template, or the control connection of FTP, that this connection belongs to.
    pub fn controller(&self) -> Option<Slot> {
        (self.control != Slot::NONE).then_some(self.control)
    }

    /// How many connections belong to this template or control connection.
    pub const fn controls(&self) -> u32 {
        self.controls
    }

    /// Packets from the client that were sent on, modulo 2^32.
    pub const fn packets_in(&self) -> u32 {
        self.packets_in
    }

    /// When it expires unless another packet comes. Removal may come later, see
    /// [`Clock`](super::Clock).
    pub const fn expires(&self) -> Time {
        self.expires
    }

    /// Time left at `now`, as `ipvsadm -Lc` counts it.
    pub const fn remaining(&self, now: Time) -> Span {
        self.expires.saturating_since(now)
    }

    /// The timeout of a template.
    pub(super) const fn template_timeout(&self) -> Span {
        Span::from_millis(self.extra as u64)
    }

    pub(super) fn set_template_timeout(&mut self, timeout: Span) {
        let ms = timeout.as_nanos() / 1_000_000;
        self.extra = u32::try_from(ms).unwrap_or(u32::MAX);
    }

    /// Whether replies are found by a tuple of their own.
    #[inline]
    pub(super) const fn has_reply_tuple(&self) -> bool {
        matches!(self.forwarding, Forwarding::Nat | Forwarding::FullNat)
            && self.flags & flag::TEMPLATE == 0
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
    fn a_tuple_keeps_its_five_fields() {
        let (from, to) = ((Ip::new(172, 16, 0, 10), 40_001), (Ip::new(192, 168, 10, 200), 80));
        let tuple = Tuple::new(from, to, 255);
        assert_eq!((tuple.from(), tuple.to(), tuple.protocol()), (from, to, 255));
        assert_eq!(tuple.reversed(), Tuple::new(to, from, 255));
        assert_eq!(tuple.reversed().reversed(), tuple);
        assert_eq!(format!("{tuple:?}"), "255 172.16.0.10:40001 > 192.168.10.200:80");
    }

    #[test]
    fn neighbouring_tuples_hash_apart() {
        let mut low = std::collections::BTreeSet::new();
        for host in 0..64_u8 {
            for port in 0..64_u16 {
                let client = (Ip::new(10, 0, 0, host), 1024 + port);
                let tuple = Tuple::new(client, (Ip::new(192, 168, 10, 200), 80), 6);
                low.insert(tuple.hash() & 0xfffff);
            }
        }
        // 4096 balls in 2^20 boxes: about 8 collisions are expected of a random function.
        assert!(low.len() > 4096 - 32, "{} of 4096 low parts differ", low.len());
    }

    #[test]
    fn a_nat_reply_comes_from_the_real_server_and_any_other_from_the_vip() {
        let client = (Ip::new(172, 16, 0, 10), 40_000);
        let tuple = Tuple::new(client, (Ip::new(192, 168, 10, 200), 80), 6);
        let rip = (Ip::new(192, 168, 10, 11), 8080);
        let id = DestinationId(0);
        let nat = Connection::new(tuple, id, rip, Forwarding::Nat, State::None);
        assert_eq!(nat.reply_tuple(), Tuple::new(rip, client, 6));
        let dr = Connection::new(tuple, id, rip, Forwarding::Dr, State::None);
        assert_eq!(dr.reply_tuple(), tuple.reversed());
        assert!(dr.has(flag::NO_OUTPUT) && !nat.has(flag::NO_OUTPUT));
        assert!(!dr.is_active() && !nat.is_active());
    }

    #[test]
    fn the_tuple_of_a_template_is_no_packets() {
        let (client, vip) = (Ip::new(172, 16, 0, 0), Ip::new(192, 168, 10, 200));
        let id = DestinationId(1);
        let timeout = Span::from_secs(2_678_400);
        for protocol in [0, 6, 17, 132] {
            for engine in [false, true] {
                let tuple = Tuple::template(client, (vip, 80), protocol, engine);
                let template = Connection::template(tuple, id, (vip, 0), Forwarding::Nat, timeout);
                assert_eq!(template.tuple(), tuple);
                assert!(![0, 6, 17, 132].contains(&tuple.protocol()));
                assert_eq!(template.protocol(), protocol);
                assert_eq!(template.template_timeout(), timeout);
                assert_eq!(template.counting(), Counting::Template);
                assert!(template.is_template() && !template.has_reply_tuple());
            }
        }
    }
}
