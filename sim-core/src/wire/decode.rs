//! Bytes to packets: what a recorded Ethernet frame is to the simulator.
//!
//! The inverse of [`super::encode`]. A packet holds no payload, so the bytes above IP are put aside as
//! [`Original`]s, and the packet's `tag` says which they are: when the packet is encoded again, be it
//! translated, in a tunnel, in pieces or quoted, they are put back.

#[cfg(test)]
mod tests;

use super::addr::{AddressBook, Ip, Mac, MacId};
use super::ah;
use super::encode::{Bodies, ETHERNET_HEADER, WINDOW_SHIFT};
use super::packet::{Flags, Kind, Packet, PacketId, icmp, icmpv6, proto};
use super::vrrp::{Advert, AdvertBook};
use core::fmt;
use core::net::Ipv6Addr;
use std::collections::BTreeMap;

/// Set in the tag of a packet that was decoded; the other bits are the number of its [`Original`].
pub const DECODED: u32 = 1 << 31;

/// Deepest chain of packets inside packets that is decoded.
const MAX_DEPTH: u8 = 8;

/// A frame taken apart: the packet, and the packets inside it by the numbers that bodies have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The outermost packet.
    pub packet: Packet,
    /// What it holds: [`Packet::body`] is an index.
    pub inside: Vec<Packet>,
    /// Payloads by number ([`PacketId::of_payload`]). A frame that was decoded has none: see [`Original`].
    pub payloads: Vec<Vec<u8>>,
}

impl Bodies for Frame {
    fn body(&self, id: PacketId) -> Option<Packet> {
        self.inside.get(id.0 as usize).copied()
    }

    fn payload(&self, id: PacketId) -> Option<&[u8]> {
        self.payloads.get(id.payload()? as usize).map(Vec::as_slice)
    }
}

/// The bytes above the IP header of a packet that was decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Original {
    proto: u8,
    /// An ICMP error quoted it, perhaps cut.
    quoted: bool,
    /// The flow label of IPv6.
    label: u32,
    bytes: Vec<u8>,
}

impl Original {
    /// Whether a packet with `room` bytes above IP is this one, perhaps translated: of the same
    /// protocol and length, and a TCP segment of the same flags, a datagram with one of the ports.
    /// Otherwise it is an answer that only took over the tag.
    pub fn is_of(&self, packet: &Packet, room: usize) -> bool {
        let length = if self.quoted { self.bytes.len() <= room } else { self.bytes.len() == room };
        let b = &self.bytes;
        length
            && self.proto == packet.proto
            && match packet.proto {
                proto::TCP if b.len() >= 14 => {
                    b[13] == packet.flags.0 && (b[12] >> 4) * 4 == 20 + packet.opt
                }
                proto::UDP if b.len() >= 4 => {
                    be16(b, 0) == packet.sport || be16(b, 2) == packet.dport
                }
                proto::ICMP | proto::ICMPV6 if b.len() >= 8 => {
                    packet.body == PacketId::NONE && be32(b, 4) == packet.seq
                        || packet.sport == u16::from(b[0])
                }
                _ => true,
            }
    }

    /// Whether a packet with `room` bytes above IP is this one on its way, not an answer to it: as
    /// [`Original::is_of`], but an echo reply is not the request whose data it carries.
    pub fn is_forwarded(&self, packet: &Packet, room: usize) -> bool {
        let same = !matches!(packet.proto, proto::ICMP | proto::ICMPV6)
            || self.bytes.first().is_some_and(|kind| u16::from(*kind) == packet.sport);
        same && self.is_of(packet, room)
    }

    /// The flow label of IPv6, 20 bits.
    pub(super) const fn label(&self) -> u32 {
        self.label
    }

    /// Puts into `out`, the bytes above IP of `packet`, what the packet does not hold. Whether the
    /// checksum is settled: that of a quoted packet, or of a datagram sent without one.
    pub(super) fn restore(&self, packet: &Packet, out: &mut [u8]) -> bool {
        let len = self.bytes.len().min(out.len());
        let (from, checksum) = match packet.proto {
            // what is inside, or quoted by an error, is a packet of its own
            proto::UDP if packet.body != PacketId::NONE => (len, None),
            proto::ICMP | proto::ICMPV6 if packet.body != PacketId::NONE => (len, Some(2)),
            proto::ICMPV6 if is_discovery(packet.sport) => (len, Some(2)),
            proto::TCP => (18, Some(16)),
            proto::UDP => (8, Some(6)),
            proto::ICMP | proto::ICMPV6 => (8, Some(2)),
            proto::IPIP | proto::IPV6 | proto::GRE => (len, None),
            _ => (0, None),
        };
        if from < len {
            out[from..len].copy_from_slice(&self.bytes[from..len]);
        }
        let Some(at) = checksum.filter(|at| at + 2 <= len) else { return false };
        let absent = packet.proto == proto::UDP && be16(&self.bytes, at) == 0;
        if self.quoted || absent {
            out[at..at + 2].copy_from_slice(&self.bytes[at..at + 2]);
            return true;
        }
        false
    }
}

/// Why a frame cannot be decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreadable {
    /// It ends before what its headers announce.
    Short,
    /// Neither ARP for IPv4 nor IP.
    EtherType(u16),
    /// An ARP packet that is neither request nor reply of IPv4 over Ethernet.
    Arp,
    /// An IP header of another version.
    Version(u8),
    /// An IPv4 header with options.
    Options,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("shorter than its headers say"),
            Self::EtherType(t) => write!(f, "EtherType 0x{t:04x} is neither ARP nor IP"),
            Self::Arp => f.write_str("not an ARP request or reply for IPv4 over Ethernet"),
            Self::Version(v) => write!(f, "IP version {v}"),
            Self::Options => f.write_str("an IPv4 header with options"),
        }
    }
}

impl core::error::Error for Unreadable {}

/// What tells the fragments of one datagram from those of another: addresses, identification, protocol.
type Key = (Vec<u8>, u32, u8);

/// The pieces of a datagram.
#[derive(Clone, Debug, Default)]
struct Pieces {
    bytes: Vec<u8>,
    there: Vec<bool>,
    end: Option<usize>,
}

impl Pieces {
    fn add(&mut self, at: usize, bytes: &[u8], more: bool) {
        let end = at + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
            self.there.resize(end, false);
        }
        self.bytes[at..end].copy_from_slice(bytes);
        self.there[at..end].fill(true);
        if !more {
            self.end = Some(end);
        }
    }

    fn whole(&self) -> Option<&[u8]> {
        let end = self.end?;
        self.there.get(..end)?.iter().all(|t| *t).then(|| &self.bytes[..end])
    }
}

/// Decodes frames and keeps what packets cannot hold.
///
/// ```
/// use sim_core::engine::Time;
/// use sim_core::wire::{AddressBook, Ip, Mac, Packet, decode, encode, proto};
/// let mut macs = vec![Mac([2, 0, 0, 0, 0, 1])];
/// let p = Packet::ipv4(Ip::new(10, 0, 0, 1), Ip::new(10, 0, 0, 2), proto::UDP, 28 + 5);
/// let mut bytes = Vec::new();
/// encode::frame(&mut bytes, Time::ZERO, &p, &|_| None, &macs);
/// let mut decoder = decode::Decoder::default();
/// let frame = decoder.frame(&bytes, &mut macs, &mut AddressBook::new())?;
/// assert_eq!((frame.packet.src, frame.packet.payload()), (p.src, 5));
/// # Ok::<(), decode::Unreadable>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    originals: Vec<Original>,
    pieces: BTreeMap<Key, Pieces>,
    gue: Vec<u16>,
    adverts: AdvertBook,
}

/// What a frame is decoded with, beside the decoder.
struct Context<'a> {
    macs: &'a mut Vec<Mac>,
    book: &'a mut AddressBook,
    inside: Vec<Packet>,
}

impl Context<'_> {
    fn put(&mut self, packet: Packet) -> PacketId {
        self.inside.push(packet);
        PacketId(self.inside.len() as u32 - 1)
    }
}

impl Decoder {
    /// What a packet was decoded from, by its tag.
    pub fn original(&self, tag: u32) -> Option<&Original> {
        if tag & DECODED == 0 {
            return None;
        }
        self.originals.get((tag & !DECODED) as usize)
    }

    /// Keeps the bytes above IP of a packet that an error quotes, with the checksum they have; the tag for
    /// the quoted packet.
    pub fn quote(&mut self, protocol: u8, bytes: Vec<u8>) -> u32 {
        let tag = DECODED | self.originals.len() as u32;
        self.originals.push(Original { proto: protocol, quoted: true, label: 0, bytes });
        tag
    }

    /// The VRRP adverts that were decoded, by the numbers that packets have of them.
    pub fn adverts(&self) -> &AdvertBook {
        &self.adverts
    }

    /// Datagrams to this UDP port hold packets in generic UDP encapsulation.
    pub fn unwrap_gue(&mut self, port: u16) {
        self.gue.push(port);
    }

    /// Notes a frame that may be a fragment: [`Decoder::frame`] gives a fragment the whole datagram as
    /// its body if all pieces were noted before.
    pub fn note(&mut self, frame: &[u8]) {
        let ip = frame.get(ETHERNET_HEADER..).unwrap_or_default();
        let Ok(header) = Header::read(ip) else { return };
        if header.frag & (Packet::MF | Packet::OFFSET) == 0 {
            return;
        }
        let Some(data) = ip.get(header.above..header.end(ip)) else { return };
        let at = usize::from(header.frag & Packet::OFFSET) * 8;
        let pieces = self.pieces.entry(header.key(ip)).or_default();
        pieces.add(at, data, header.frag & Packet::MF != 0);
    }

    /// Decodes an Ethernet frame without frame check sequence. Padding behind the packet is passed
    /// over; addresses that are not in `macs` and `book` are added.
    ///
    /// # Errors
    /// A frame that is no whole ARP or IP packet, or an IPv4 header with options.
    pub fn frame(
        &mut self,
        frame: &[u8],
        macs: &mut Vec<Mac>,
        book: &mut AddressBook,
    ) -> Result<Frame, Unreadable> {
        let body = frame.get(ETHERNET_HEADER..).ok_or(Unreadable::Short)?;
        let mut context = Context { macs, book, inside: Vec::new() };
        let mut packet = match be16(frame, 12) {
            0x0800 | 0x86dd => self.ip(body, false, 0, &mut context)?,
            0x0806 => arp(body, context.macs)?,
            other => return Err(Unreadable::EtherType(other)),
        };
        packet.dst_mac = number(mac(frame, 0), context.macs);
        packet.src_mac = number(mac(frame, 6), context.macs);
        Ok(Frame { packet, inside: context.inside, payloads: Vec::new() })
    }

    fn ip(
        &mut self,
        bytes: &[u8],
        quoted: bool,
        depth: u8,
        context: &mut Context<'_>,
    ) -> Result<Packet, Unreadable> {
        let header = Header::read(bytes)?;
        if !quoted && bytes.len() < usize::from(header.len) {
            return Err(Unreadable::Short);
        }
        let upper = bytes.get(header.above..header.end(bytes)).unwrap_or_default();
        let mut packet = header.packet(bytes, context.book);
        if !packet.is_fragment() {
            self.above(&mut packet, header.label, upper, quoted, depth, context);
            return Ok(packet);
        }
        if packet.frag & Packet::OFFSET == 0 {
            ports(&mut packet, upper);
        }
        if let Some(whole) = self.pieces.get(&header.key(bytes)).and_then(Pieces::whole) {
            let whole = whole.to_vec();
            let mut datagram = header.packet(bytes, context.book);
            datagram.frag &= Packet::DF;
            datagram.len = (whole.len() as u16).saturating_add(datagram.header());
            self.above(&mut datagram, header.label, &whole, quoted, depth, context);
            packet.tag = datagram.tag;
            packet.body = context.put(datagram);
        }
        Ok(packet)
    }

    /// Reads what is above the IP header of an unfragmented datagram.
    fn above(
        &mut self,
        packet: &mut Packet,
        label: u32,
        bytes: &[u8],
        quoted: bool,
        depth: u8,
        context: &mut Context<'_>,
    ) {
        packet.tag = DECODED | self.originals.len() as u32;
        let original = Original { proto: packet.proto, quoted, label, bytes: bytes.to_vec() };
        self.originals.push(original);
        ports(packet, bytes);
        if packet.proto == proto::ICMPV6 && is_discovery(packet.sport) {
            discovery(packet, bytes, context);
            return;
        }
        if matches!(packet.proto, proto::VRRP | proto::AH) {
            self.advert(packet, bytes);
            return;
        }
        let Some((from, quotes)) = self.inner(packet, bytes) else { return };
        let rest = bytes.get(from..).unwrap_or_default();
        if depth < MAX_DEPTH
            && let Ok(inner) = self.ip(rest, quoted || quotes, depth + 1, context)
        {
            packet.body = context.put(inner);
        }
    }

    /// Reads a VRRP advert, be it in an authentication header.
    fn advert(&mut self, packet: &mut Packet, bytes: &[u8]) {
        let mut bytes = bytes;
        if packet.proto == proto::AH {
            if bytes.len() < ah::LENGTH || bytes[0] != proto::VRRP {
                return;
            }
            packet.ack = be32(bytes, 8);
            bytes = &bytes[ah::LENGTH..];
        }
        if let Some(advert) = Advert::read(bytes, packet.kind == Kind::Ipv6) {
            packet.seq = self.adverts.number(&advert);
        }
    }

    /// Where the packet inside begins, if there is one, and whether it is only quoted.
    fn inner(&self, packet: &mut Packet, b: &[u8]) -> Option<(usize, bool)> {
        match packet.proto {
            proto::ICMP => is_error(packet.sport).then_some((8, true)),
            proto::ICMPV6 => (packet.sport < 128).then_some((8, true)),
            proto::IPIP | proto::IPV6 => Some((0, false)),
            proto::GRE if b.len() >= 4 && matches!(be16(b, 0), 0 | 0x8000) => {
                packet.seq = u32::from(b[0] >> 7);
                Some((if packet.seq == 1 { 8 } else { 4 }, false))
            }
            proto::UDP if b.len() >= 12 && self.gue.contains(&packet.dport) && b[8] >> 5 == 0 => {
                packet.seq = u32::from(be16(b, 6) != 0);
                packet.opt = 4 + 4 * (b[8] & 0x1f);
                Some((8 + usize::from(packet.opt), false))
            }
            _ => None,
        }
    }
}

/// An IP header: of IPv4 without options, or of IPv6 with no other extension than a fragment header.
struct Header {
    v6: bool,
    tos: u8,
    len: u16,
    id: u32,
    frag: u16,
    ttl: u8,
    proto: u8,
    label: u32,
    /// Where the addresses are.
    addresses: core::ops::Range<usize>,
    /// Where the rest begins.
    above: usize,
}

/// Next header of a fragment header (RFC 8200, section 4.5).
const FRAGMENT: u8 = 44;

impl Header {
    fn read(b: &[u8]) -> Result<Self, Unreadable> {
        match b.first().ok_or(Unreadable::Short)? >> 4 {
            4 => Self::v4(b),
            6 => Self::v6(b),
            other => Err(Unreadable::Version(other)),
        }
    }

    fn v4(b: &[u8]) -> Result<Self, Unreadable> {
        if b.len() < 20 {
            return Err(Unreadable::Short);
        }
        if b[0] & 15 != 5 {
            return Err(Unreadable::Options);
        }
        let len = be16(b, 2);
        if len < Packet::IP_HEADER {
            return Err(Unreadable::Short);
        }
        Ok(Self {
            v6: false,
            tos: b[1],
            len,
            id: u32::from(be16(b, 4)),
            frag: be16(b, 6),
            ttl: b[8],
            proto: b[9],
            label: 0,
            addresses: 12..20,
            above: 20,
        })
    }

    fn v6(b: &[u8]) -> Result<Self, Unreadable> {
        if b.len() < 40 {
            return Err(Unreadable::Short);
        }
        let mut header = Self {
            v6: true,
            tos: b[0] << 4 | b[1] >> 4,
            len: be16(b, 4).saturating_add(Packet::IPV6_HEADER),
            id: 0,
            frag: 0,
            ttl: b[7],
            proto: b[6],
            label: be32(b, 0) & 0x000f_ffff,
            addresses: 8..40,
            above: 40,
        };
        if header.proto == FRAGMENT {
            let b = b.get(40..48).ok_or(Unreadable::Short)?;
            let more = if b[3] & 1 == 1 { Packet::MF } else { 0 };
            (header.proto, header.frag, header.id) = (b[0], be16(b, 2) >> 3 | more, be32(b, 4));
            header.above = 48;
        }
        Ok(header)
    }

    /// Where the packet ends, at most where the bytes do.
    fn end(&self, b: &[u8]) -> usize {
        usize::from(self.len).min(b.len()).max(self.above.min(b.len()))
    }

    fn key(&self, b: &[u8]) -> Key {
        (b[self.addresses.clone()].to_vec(), self.id, self.proto)
    }

    fn packet(&self, b: &[u8], book: &mut AddressBook) -> Packet {
        let at = self.addresses.start;
        let (src, dst) = if self.v6 {
            let mut number = |at: usize| book.number(v6(b, at).into());
            (number(at), number(at + 16))
        } else {
            (Ip(be32(b, at)), Ip(be32(b, at + 4)))
        };
        let mut p = Packet::ipv4(src, dst, self.proto, self.len);
        if self.v6 {
            p.kind = Kind::Ipv6;
        }
        (p.tos, p.id, p.frag, p.ttl) = (self.tos, self.id as u16, self.frag, self.ttl);
        p
    }
}

/// Reads a neighbour solicitation or advertisement (RFC 4861, sections 4.3 and 4.4).
fn discovery(p: &mut Packet, b: &[u8], context: &mut Context<'_>) {
    p.window = MacId::ZERO.0;
    if b.len() >= 24 {
        p.ack = context.book.number(v6(b, 8).into()).0;
    }
    // the first option, if it is a link-layer address
    if b.len() >= 32 && matches!(b[24..26], [1 | 2, 1]) {
        p.window = number(mac(b, 26), context.macs).0;
    }
}

/// Reads the fields above IP, as far as the bytes go.
fn ports(p: &mut Packet, b: &[u8]) {
    match p.proto {
        proto::ICMP | proto::ICMPV6 if b.len() >= 8 => {
            (p.sport, p.dport, p.seq) = (u16::from(b[0]), u16::from(b[1]), be32(b, 4));
        }
        proto::TCP | proto::UDP if b.len() >= 4 => {
            (p.sport, p.dport) = (be16(b, 0), be16(b, 2));
            if p.proto == proto::TCP && b.len() >= 8 {
                p.seq = be32(b, 4);
            }
            if p.proto == proto::TCP && b.len() >= 20 {
                segment(p, b);
            }
        }
        _ => {}
    }
}

/// Reads a TCP header of at least 20 bytes.
fn segment(p: &mut Packet, b: &[u8]) {
    p.flags = Flags(b[13]);
    p.ack = be32(b, 8);
    p.opt = ((b[12] >> 4) * 4).clamp(20, 60) - 20;
    let syn = p.flags.has(Flags::SYN);
    let shift = if p.opt >= 12 && !syn { WINDOW_SHIFT } else { 0 };
    p.window = u32::from(be16(b, 14)) << shift;
    if syn {
        p.mss = mss(b.get(20..20 + usize::from(p.opt)).unwrap_or_default());
    }
}

/// The value of the MSS option, 0 if there is none (RFC 9293, section 3.2).
fn mss(mut options: &[u8]) -> u16 {
    while let [kind, rest @ ..] = options {
        let length = match (*kind, rest) {
            (0, _) => return 0,
            (1, _) => 1,
            (2, [4, high, low, ..]) => return u16::from_be_bytes([*high, *low]),
            (_, [length, ..]) => usize::from(*length).max(2),
            _ => return 0,
        };
        options = options.get(length..).unwrap_or_default();
    }
    0
}

fn arp(b: &[u8], macs: &mut Vec<Mac>) -> Result<Packet, Unreadable> {
    let kind = match b.get(..28).ok_or(Unreadable::Short)? {
        [0, 1, 8, 0, 6, 4, 0, 1, ..] => Kind::ArpRequest,
        [0, 1, 8, 0, 6, 4, 0, 2, ..] => Kind::ArpReply,
        _ => return Err(Unreadable::Arp),
    };
    let mut p = Packet::ipv4(Ip(be32(b, 14)), Ip(be32(b, 24)), 0, 28);
    p.kind = kind;
    (p.seq, p.ack) = (number(mac(b, 8), macs).0, number(mac(b, 18), macs).0);
    Ok(p)
}

/// The number of an Ethernet address, a new one if it has none.
pub fn number(mac: Mac, macs: &mut Vec<Mac>) -> MacId {
    match mac.0 {
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => MacId::BROADCAST,
        [0, 0, 0, 0, 0, 0] => MacId::ZERO,
        // the groups that have numbers of their own
        [0x33, 0x33, first @ (0 | 0xff), a, b, c] => {
            let low = u32::from_be_bytes([first, a, b, c]);
            MacId::of_group(Ipv6Addr::from_bits(0xff02 << 112 | u128::from(low)))
        }
        [1, 0, 0x5e, a @ 0..0x80, b, c] => {
            MacId::of_group_v4(Ip(u32::from_be_bytes([224, a, b, c])))
        }
        _ => {
            let known = macs.iter().position(|m| *m == mac);
            MacId(known.unwrap_or_else(|| {
                macs.push(mac);
                macs.len() - 1
            }) as u32)
        }
    }
}

/// Whether this ICMPv6 type is a neighbour solicitation or advertisement.
fn is_discovery(kind: u16) -> bool {
    kind == u16::from(icmpv6::SOLICITATION) || kind == u16::from(icmpv6::ADVERTISEMENT)
}

/// ICMP types that quote a packet.
fn is_error(kind: u16) -> bool {
    let quoting = [icmp::UNREACHABLE, 4, icmp::REDIRECT, icmp::TIME_EXCEEDED, 12];
    quoting.iter().any(|k| u16::from(*k) == kind)
}

fn v6(b: &[u8], at: usize) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&b[at..at + 16]);
    Ipv6Addr::from(octets)
}

fn mac(b: &[u8], at: usize) -> Mac {
    Mac([b[at], b[at + 1], b[at + 2], b[at + 3], b[at + 4], b[at + 5]])
}

fn be16(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

fn be32(b: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}
