//! What all hosts and switches share: the clock, the event queue, packets, links, and the account of
//! what happened.

use crate::engine::{Digest, FxMap, Queue, Span, Time};
use crate::ipvs::DropReason;
use crate::net::link::{Direction, Judged, Sent};
use crate::net::slab::PacketSlab;
use crate::observe::availability::Ledger;
use crate::observe::capture::{Capture, Direction as Way};
use crate::observe::holders::UNKNOWN;
use crate::observe::timeline::{Happening, Kind};
use crate::observe::trace::Trace;
use crate::observe::{ClientObservation, ConnectionRow};
use crate::tcp::Output;
use crate::wire::encode::Bodies;
use crate::wire::{AddressBook, Advert, AdvertBook, Ip, Mac, MacId, Packet, PacketId};
use core::net::IpAddr;
use std::collections::BTreeMap;

/// Something that will happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Event {
    /// The head of a link direction arrives.
    Arrive {
        /// Direction number.
        direction: u32,
    },
    /// A frame that left the order of its link arrives.
    Late {
        /// Slot in the list of such frames.
        slot: u32,
    },
    /// A neighbour entry wants attention.
    Neighbour {
        /// Host number.
        host: u16,
        /// Entry number.
        entry: u32,
    },
    /// A TCP connection wants attention.
    Tcp {
        /// Host number.
        host: u16,
        /// Slot in the host's TCP.
        slot: u32,
    },
    /// The connection table of a director wants attention.
    Ipvs {
        /// Host number.
        host: u16,
    },
    /// The CPU of a host has finished a packet.
    Cpu {
        /// Host number.
        host: u16,
    },
    /// A host answers an ARP request for another.
    Proxy {
        /// Host number.
        host: u16,
    },
    /// The tracked connections of a host want attention.
    Conntrack {
        /// Host number.
        host: u16,
    },
    /// What a host learned about ways may expire.
    Routes {
        /// Host number.
        host: u16,
    },
    /// The reassembly of fragments wants attention.
    Reassembly {
        /// Host number.
        host: u16,
    },
    /// A client application starts its next connection.
    Client {
        /// Host number.
        host: u16,
        /// Application (open loop) or user (closed loop).
        application: u32,
    },
    /// A client session wants attention: time-out, end of think time.
    Session {
        /// Host number.
        host: u16,
        /// Session number.
        session: u32,
    },
    /// A script wants attention: time-out, end of a sleep.
    Script {
        /// Host number.
        host: u16,
        /// Script number.
        script: u32,
    },
    /// A program that keeps the cluster alive wants attention.
    Daemon {
        /// Host number.
        host: u16,
        /// Which one of the host.
        daemon: u32,
    },
    /// A health check wants attention: its time is up.
    Probe {
        /// Host number.
        host: u16,
        /// Probe number.
        probe: u32,
    },
    /// A request has been served.
    Served {
        /// Host number.
        host: u16,
        /// Job number.
        job: u32,
    },
    /// A server application closes a connection some time after its response.
    Close {
        /// Host number.
        host: u16,
        /// Number of the connection in its application.
        visit: u32,
    },
    /// Processor sharing: the next request may have been served.
    Shared {
        /// Host number.
        host: u16,
        /// Application.
        application: u32,
    },
    /// A link goes down or up.
    Link {
        /// Index of the configured event.
        index: u32,
    },
    /// A fault begins or ends, or something that one waits for has happened.
    Fault {
        /// What is to be done.
        task: u32,
    },
    /// End of a time-series bucket.
    #[default]
    Sample,
    /// An operator does something on a director.
    Operator {
        /// Number of the operation.
        index: u32,
    },
}

impl Event {
    /// The host that handles the event, if it is one of a host.
    #[inline]
    pub const fn host(self) -> Option<u16> {
        match self {
            Self::Neighbour { host, .. }
            | Self::Tcp { host, .. }
            | Self::Ipvs { host }
            | Self::Cpu { host }
            | Self::Routes { host }
            | Self::Conntrack { host }
            | Self::Proxy { host }
            | Self::Reassembly { host }
            | Self::Client { host, .. }
            | Self::Session { host, .. }
            | Self::Script { host, .. }
            | Self::Daemon { host, .. }
            | Self::Probe { host, .. }
            | Self::Served { host, .. }
            | Self::Close { host, .. }
            | Self::Shared { host, .. } => Some(host),
            Self::Arrive { .. }
            | Self::Late { .. }
            | Self::Link { .. }
            | Self::Fault { .. }
            | Self::Sample
            | Self::Operator { .. } => None,
        }
    }
}

/// Where a packet was dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    /// A host.
    Host(u16),
    /// A switch.
    Switch(u16),
    /// A link direction.
    Link(u32),
}

/// Task of [`Event::Fault`]: the timeline has grown.
pub const TOLD: u32 = 0;
/// Task of [`Event::Fault`]: a power switch was used.
pub const SWITCHED: u32 = 1;

/// Why a packet was dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// The queue of the link was full.
    QueueFull,
    /// Lost on the link.
    Lost,
    /// The link was down.
    LinkDown,
    /// A fault kept the sender apart from the receiver.
    Partitioned,
    /// The host lost its power while it held the packet.
    HostDown,
    /// The host was frozen and the ring of its network card full.
    RingFull,
    /// The frame was addressed to another host (a flood).
    OtherHost,
    /// No interface or link to send by.
    NoLink,
    /// A switch had nowhere to send it.
    Filtered,
    /// Source is an own address (`fib_validate_source`: martian).
    MartianSource,
    /// The reverse path filter.
    ReversePath,
    /// Not for this host, which does not forward.
    NotForwarding,
    /// No route.
    NoRoute,
    /// Time to live used up.
    TtlExceeded,
    /// A rule of netfilter.
    Netfilter,
    /// Larger than the MTU and not to be cut.
    TooBig,
    /// No neighbour answered for the next hop (ARP, neighbour discovery).
    NeighbourFailed,
    /// Too many packets waited for the address of the next hop.
    NeighbourQueue,
    /// Fragments of a datagram that never became whole.
    ReassemblyFailed,
    /// No protocol or tunnel to hand it to.
    NoProtocol,
    /// A GRE packet with a checksum where none is expected, or the other way round.
    TunnelChecksum,
    /// IPVS took the checksum of an ICMPv6 error for wrong.
    Checksum,
    /// No application on the UDP port.
    NoSocket,
    /// The CPU backlog was full.
    CpuBacklog,
    /// IPVS: no destination available.
    NoDestination,
    /// IPVS, for another reason.
    Ipvs(DropReason),
    /// The application's queue was full.
    ApplicationQueue,
}

impl Reason {
    /// The word used in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Lost => "lost",
            Self::LinkDown => "link_down",
            Self::Partitioned => "partitioned",
            Self::HostDown => "host_down",
            Self::RingFull => "ring_full",
            Self::OtherHost => "other_host",
            Self::NoLink => "no_link",
            Self::Filtered => "filtered",
            Self::MartianSource => "martian_source",
            Self::ReversePath => "reverse_path",
            Self::NotForwarding => "not_forwarding",
            Self::NoRoute => "no_route",
            Self::TtlExceeded => "ttl_exceeded",
            Self::Netfilter => "netfilter",
            Self::TooBig => "too_big",
            Self::NeighbourFailed => "neighbour_failed",
            Self::NeighbourQueue => "neighbour_queue",
            Self::ReassemblyFailed => "reassembly_failed",
            Self::NoProtocol => "no_protocol",
            Self::TunnelChecksum => "tunnel_checksum",
            Self::Checksum => "checksum",
            Self::NoSocket => "no_socket",
            Self::CpuBacklog => "cpu_backlog",
            Self::NoDestination => "no_destination",
            Self::Ipvs(reason) => reason.name(),
            Self::ApplicationQueue => "application_queue",
        }
    }
}

/// Packets and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Packets.
    pub packets: u64,
    /// IP bytes.
    pub bytes: u64,
}

impl Tally {
    /// Counts a packet of `len` bytes.
    #[inline]
    const fn count(&mut self, len: u16) {
        self.packets += 1;
        self.bytes += len as u64;
    }
}

/// What a power switch is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Switched {
    /// The host that hangs on the socket.
    pub host: u16,
    /// It gets power.
    pub on: bool,
    /// The host that wants it. A switch that is told by two at a time serves one after the other, so nothing
    /// comes of the order of one that has no power any more. `None`: the switch does it by itself.
    pub by: Option<u16>,
}

/// What all hosts and switches share.
#[derive(Debug)]
pub struct Fabric {
    /// The present.
    pub now: Time,
    /// What will happen.
    pub queue: Queue<Event>,
    /// Every packet.
    pub packets: PacketSlab,
    /// Every link direction.
    pub directions: Vec<Direction>,
    /// Fold of what happened.
    pub digest: Digest,
    /// What the TCP that was called last wants; empty between events. One for all hosts stays in the
    /// cache.
    pub out: Output,
    /// Drops by place and reason, but for those in `ignored`.
    drops: BTreeMap<(Place, Reason), Tally>,
    /// Frames that hosts dropped because they were for another ([`Reason::OtherHost`]), by host: a flood
    /// makes many.
    ignored: Vec<Tally>,
    /// Link traversals.
    pub hops: u64,
    /// Of these, those of ARP packets.
    pub arp_hops: u64,
    /// Packets (bodies included) consumed by hosts.
    pub delivered: u64,
    /// Packets (bodies included) dropped.
    pub dropped: u64,
    /// Open captures.
    pub capture: Option<Box<Capture>>,
    /// The connection that is followed, if one is.
    pub trace: Option<Box<Trace>>,
    /// IPv6 addresses by number.
    pub book: AddressBook,
    /// VRRP adverts by number.
    pub adverts: AdvertBook,
    /// Ethernet addresses by number.
    pub macs: Vec<Mac>,
    /// Connections started by client applications so far.
    pub connections: u32,
    /// Conversations of client applications that have not ended.
    pub talking: u32,
    /// What client applications saw, one for each name.
    pub clients: Vec<ClientObservation>,
    /// Requests served and lost, and the outages between.
    pub ledger: Ledger,
    /// Rows of finished connections, if asked for.
    pub rows: Option<Vec<ConnectionRow>>,
    /// Which server application accepted the connection of a client address, if rows are kept.
    pub answered_by: FxMap<(Ip, u16), u32>,
    /// The same by the tag of the packets, for clients whose address was translated on the way.
    pub answered_tag: FxMap<u32, u32>,
    /// What happened to the cluster.
    pub timeline: Vec<Happening>,
    /// Whether somebody waits for what the timeline tells.
    pub listened: bool,
    /// What power switches are told, and when they do it.
    switched: Vec<(Time, Switched)>,
    /// Addresses whose neighbour entries are told.
    pub watched: Vec<Ip>,
    /// What scripts and the servers led by hand say to each other.
    pub talks: super::script::Talks,
    /// What probes and servers say to each other.
    pub inquiries: super::daemon::probe::Inquiries,
    /// Frames that left the order of their link: direction and packet.
    late: Vec<(u32, PacketId)>,
    late_free: Vec<u32>,
}

/// Number of a captured interface; [`NO_TAP`] if it is not captured.
pub type Tap = u32;
/// Not captured.
pub const NO_TAP: Tap = u32::MAX;

impl Fabric {
    /// A fabric without links at time zero.
    pub fn new() -> Self {
        Self {
            now: Time::ZERO,
            queue: Queue::new(),
            packets: PacketSlab::new(),
            directions: Vec::new(),
            digest: Digest::new(),
            out: Output::default(),
            drops: BTreeMap::new(),
            ignored: Vec::new(),
            hops: 0,
            arp_hops: 0,
            delivered: 0,
            dropped: 0,
            capture: None,
            trace: None,
            book: AddressBook::new(),
            adverts: AdvertBook::default(),
            macs: Vec::new(),
            connections: 0,
            talking: 0,
            clients: Vec::new(),
            ledger: Ledger::default(),
            rows: None,
            answered_by: FxMap::default(),
            answered_tag: FxMap::default(),
            timeline: Vec::new(),
            listened: false,
            switched: Vec::new(),
            watched: Vec::new(),
            talks: super::script::Talks::default(),
            inquiries: super::daemon::probe::Inquiries::default(),
            late: Vec::new(),
            late_free: Vec::new(),
        }
    }

    /// Puts a packet on a link direction.
    #[inline]
    pub fn send(&mut self, direction: u32, packet: PacketId) {
        self.send_sized(direction, packet, self.packets[packet].len);
    }

    /// Puts a packet of a known IP length on a link direction.
    #[inline]
    pub fn send_sized(&mut self, direction: u32, packet: PacketId, len: u16) {
        match self.directions[direction as usize].send_plain(self.now, packet, len) {
            Some(Sent::Behind) => {}
            Some(Sent::Head(at)) => self.queue.push(at, Event::Arrive { direction }),
            _ => self.send_slow(direction, packet, len),
        }
    }

    #[cold]
    #[inline(never)]
    fn send_slow(&mut self, direction: u32, packet: PacketId, len: u16) {
        let link = &mut self.directions[direction as usize];
        let mut judged = Judged::default();
        if link.is_disturbed() {
            let (queue, now) = (&mut self.queue, self.now);
            judged =
                link.judge(&self.packets[packet], |task| queue.push(now, Event::Fault { task }));
        }
        let reason = match link.send_judged(self.now, packet, len, judged) {
            Sent::Behind => return,
            Sent::Head(at) => {
                self.queue.push(at, Event::Arrive { direction });
                return;
            }
            Sent::Overtaken(at) => {
                let slot = self.late_free.pop().unwrap_or_else(|| {
                    self.late.push((0, PacketId::NONE));
                    self.late.len() as u32 - 1
                });
                self.late[slot as usize] = (direction, packet);
                self.queue.push(at, Event::Late { slot });
                return;
            }
            Sent::Full => Reason::QueueFull,
            Sent::Down => Reason::LinkDown,
            Sent::Lost => Reason::Lost,
            Sent::Cut => Reason::Partitioned,
        };
        self.drop(Place::Link(direction), reason, packet);
    }

    /// Takes the frame that [`Event::Late`] speaks of: its direction and itself.
    pub fn take_late(&mut self, slot: u32) -> (u32, PacketId) {
        self.late_free.push(slot);
        core::mem::replace(&mut self.late[slot as usize], (0, PacketId::NONE))
    }

    /// The packet of the frame that [`Event::Late`] speaks of, and its direction.
    pub(crate) fn late(&self, slot: u32) -> (u32, PacketId) {
        self.late[slot as usize]
    }

    /// Counts the end of a hop; the packet as it is.
    #[inline]
    pub fn count_hop(&mut self, direction: u32, packet: PacketId) -> &Packet {
        let p = &self.packets[packet];
        self.hops += 1;
        if !p.kind.is_ip() {
            self.arp_hops += 1;
        }
        let word = (u64::from(p.seq) << 32 | u64::from(p.dst.0)) ^ u64::from(p.len) << 24;
        self.digest.fold(self.now.as_nanos() ^ u64::from(direction) << 40 ^ word.rotate_left(16));
        p
    }

    /// A server application has accepted the connection of `peer`, if rows are kept.
    pub fn accepted(&mut self, peer: (Ip, u16), tag: u32, server: u32) {
        if self.rows.is_some() {
            self.answered_by.insert(peer, server);
            self.answered_tag.insert(tag, server);
        }
    }

    /// Who accepted the connection of a client, which has ended.
    pub fn server_of(&mut self, source: (Ip, u16), tag: u32) -> Option<u32> {
        let by_tag = self.answered_tag.remove(&tag);
        self.answered_by.remove(&source).or(by_tag)
    }

    /// A host has consumed a packet.
    #[inline]
    pub fn deliver(&mut self, packet: PacketId) {
        self.delivered += self.packets.free(packet);
    }

    /// Drops a packet.
    #[cold]
    pub fn drop(&mut self, place: Place, reason: Reason, packet: PacketId) {
        if self.traced() {
            self.trace_drop(place, reason, packet);
        }
        let len = self.packets[packet].len;
        self.drops.entry((place, reason)).or_default().count(len);
        self.dropped += self.packets.free(packet);
    }

    /// Writes down that something happened to a host (`None`: to the network).
    #[cold]
    pub fn note(
        &mut self,
        host: Option<u16>,
        kind: Kind,
        subject: impl Into<String>,
        value: impl Into<String>,
    ) {
        let (subject, value) = (subject.into(), value.into());
        self.timeline.push(Happening { time: self.now, host, kind, subject, value });
        if self.listened {
            self.queue.push(self.now, Event::Fault { task: TOLD });
        }
    }

    /// An address of a host came or went; from now on it is told whose Ethernet address others hold for it.
    #[cold]
    pub fn note_address(&mut self, host: u16, address: IpAddr, added: bool) {
        if let Some(ip) = self.book.find(address) {
            self.watch(ip);
        }
        let word = if added { "added" } else { "removed" };
        self.note(Some(host), Kind::Address, address.to_string(), word);
    }

    /// Somebody uses the power switch that feeds a host: off, or on again. The world does it as soon as what
    /// happens now is over. A host that gets its power back boots.
    #[cold]
    pub fn switch_power(&mut self, host: u16, on: bool) {
        self.tell_switch(Span::ZERO, Switched { host, on, by: None });
    }

    /// A power switch is told something, which it does after some time.
    #[cold]
    pub fn tell_switch(&mut self, after: Span, order: Switched) {
        let at = self.now + after;
        self.switched.push((at, order));
        self.queue.push(at, Event::Fault { task: SWITCHED });
    }

    /// Takes what power switches do now.
    pub(crate) fn take_switched(&mut self) -> Vec<Switched> {
        let now = self.now;
        self.switched.extract_if(.., |s| s.0 <= now).map(|s| s.1).collect()
    }

    /// Drops a frame that was not for the host it came to ([`Reason::OtherHost`]).
    pub fn ignore(&mut self, host: u16, packet: PacketId) {
        if self.traced() {
            self.trace_drop(Place::Host(host), Reason::OtherHost, packet);
        }
        if usize::from(host) >= self.ignored.len() {
            self.ignored.resize(usize::from(host) + 1, Tally::default());
        }
        self.ignored[usize::from(host)].count(self.packets[packet].len);
        self.dropped += self.packets.free(packet);
    }

    /// All drops by place and reason, in no order that means anything.
    pub fn drops(&self) -> impl Iterator<Item = ((Place, Reason), Tally)> + '_ {
        let ignored = (0..).zip(&self.ignored).filter(|(_, tally)| tally.packets > 0);
        let ignored = ignored.map(|(host, tally)| ((Place::Host(host), Reason::OtherHost), *tally));
        self.drops.iter().map(|(key, tally)| (*key, *tally)).chain(ignored)
    }

    /// From now on it is told whose Ethernet address hosts hold for an address. Addresses that come and
    /// go are told of in any case.
    pub fn watch(&mut self, ip: Ip) {
        if !self.watched.contains(&ip) {
            self.watched.push(ip);
        }
    }

    /// A neighbour entry of a host has another Ethernet address, or none any more.
    #[cold]
    pub fn note_neighbour(&mut self, host: u16, ip: Ip, mac: Option<MacId>) {
        if self.watched.contains(&ip) {
            let owner = mac.and_then(|m| self.macs.get(m.0 as usize)).map(Mac::to_string);
            let owner = owner.unwrap_or_else(|| UNKNOWN.to_owned());
            self.note(Some(host), Kind::Neighbour, self.book.address(ip).to_string(), owner);
        }
    }

    /// Takes the body out of a packet and consumes the rest (decapsulation).
    pub fn unwrap_body(&mut self, packet: PacketId) -> PacketId {
        self.delivered += 1;
        self.packets.unwrap_body(packet)
    }

    /// Writes a packet to an open capture.
    #[cold]
    pub fn tap(&mut self, tap: Tap, way: Way, packet: PacketId) {
        if let Some(capture) = &mut self.capture {
            let inside = Inside::new(&self.packets, &self.book, &self.adverts);
            let packet = &self.packets[packet];
            capture.record(tap as usize, self.now, way, packet, &inside, &self.macs);
        }
    }
}

/// What a capture or a trace looks up.
pub(super) struct Inside<'a> {
    pub(super) packets: &'a PacketSlab,
    pub(super) book: &'a AddressBook,
    pub(super) adverts: &'a AdvertBook,
}

impl<'a> Inside<'a> {
    pub(super) const fn new(
        packets: &'a PacketSlab,
        book: &'a AddressBook,
        adverts: &'a AdvertBook,
    ) -> Self {
        Self { packets, book, adverts }
    }
}

impl Bodies for Inside<'_> {
    fn body(&self, id: PacketId) -> Option<Packet> {
        self.packets.get(id).copied()
    }

    fn payload(&self, id: PacketId) -> Option<&[u8]> {
        self.packets.payload(id)
    }

    fn advert(&self, number: u32) -> Option<&Advert> {
        self.adverts.get(number)
    }

    fn address(&self, ip: Ip) -> IpAddr {
        self.book.address(ip)
    }
}

impl Default for Fabric {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_eight_bytes() {
        assert!(size_of::<Event>() <= 8);
    }

    #[test]
    fn frames_for_others_are_dropped_like_any_packet() {
        let mut fab = Fabric::new();
        for _ in 0..3 {
            let frame = Packet::ipv4(Ip::new(10, 0, 0, 1), Ip::new(224, 0, 0, 18), 112, 40);
            let id = fab.packets.insert(frame);
            fab.ignore(2, id);
        }
        let frame = fab.packets.insert(Packet::ipv4(Ip::ANY, Ip::BROADCAST, 17, 28));
        fab.drop(Place::Host(2), Reason::NoSocket, frame);
        let told: Vec<_> = fab.drops().collect();
        let tally = |packets, bytes| Tally { packets, bytes };
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.contains(&((Place::Host(2), Reason::OtherHost), tally(3, 120))));
        assert!(told.contains(&((Place::Host(2), Reason::NoSocket), tally(1, 28))));
        assert_eq!((fab.dropped, fab.packets.live()), (4, 0));
    }
}
