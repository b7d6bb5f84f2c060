//! Packets to bytes: the Ethernet frame of a [`Packet`], as a capture shows it.
//!
//! Bytes are made nowhere else. What a packet does not carry is filled in the way Linux would:
//! payload is a fixed ASCII pattern, TCP options follow from their length, and every checksum (IPv4
//! header, ICMP, UDP and TCP with pseudo-header) is right.

#[cfg(test)]
mod tests;

use super::addr::{AddressBook, Ip, Mac, MacId};
use super::ah;
use super::decode::Original;
use super::packet::{Flags, Kind, Packet, PacketId, icmpv6, proto};
use super::vrrp::{Advert, Auth};
use crate::engine::Time;
use core::net::IpAddr;
use etherparse::checksum::Sum16BitWords;

/// Shift of the TCP window scale option announced by a SYN that carries options.
pub const WINDOW_SHIFT: u32 = 7;

/// Bytes of an Ethernet header.
pub const ETHERNET_HEADER: usize = 14;

/// Deepest chain of packets inside packets that is written out; what lies deeper becomes filler.
const MAX_DEPTH: u8 = 8;

/// The IPv6 next header number of a fragment header.
const FRAGMENT: u8 = 44;

/// The TCP option of one byte that means nothing.
const NOP: u8 = 1;

/// The port whose UDP payload begins with an empty DNS message: dissectors take whatever goes there
/// for DNS, and letters are not. (Less than the 12 bytes of its header cannot be mended.)
const DNS: u16 = 53;

/// Letters of the payload. Not a number, not a zero, not a control character: few protocols that a
/// dissector guesses from a port accept it as theirs, so it is shown as plain data.
const PATTERN: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";

/// Where the packets inside packets are found.
///
/// Implemented for every `Fn(PacketId) -> Option<Packet>`.
pub trait Bodies {
    /// The packet of this number, if there is one. Never asked for [`PacketId::NONE`].
    fn body(&self, id: PacketId) -> Option<Packet>;

    /// The bytes above IP that this packet was decoded from, if it was. Nothing else is known of a
    /// payload, so without them it is filled with letters.
    fn original(&self, _packet: &Packet) -> Option<&Original> {
        None
    }

    /// The bytes of a payload ([`PacketId::of_payload`]); without them it is filled with letters.
    fn payload(&self, _id: PacketId) -> Option<&[u8]> {
        None
    }

    /// The VRRP advert of this number; without it its bytes are letters.
    fn advert(&self, _number: u32) -> Option<&Advert> {
        None
    }

    /// The address that the number `ip` stands for; without a book IPv6 addresses are `::`.
    fn address(&self, ip: Ip) -> IpAddr {
        AddressBook::new().address(ip)
    }
}

impl<F: Fn(PacketId) -> Option<Packet>> Bodies for F {
    fn body(&self, id: PacketId) -> Option<Packet> {
        self(id)
    }
}

/// Appends the Ethernet frame of `packet` (without padding and frame check sequence) to `out`.
///
/// `now` is the source of TCP timestamps (milliseconds, as Linux). `macs` is the world's table of
/// addresses; a number beyond its end is written as `00:00:00:00:00:00`. The IP part is exactly
/// `packet.len` bytes, but at least an IP header.
///
/// - TCP options: 20 bytes in a SYN are MSS, SACK-permitted, timestamps, NOP, window scale; 12 bytes
///   are NOP, NOP, timestamps; any other number is the MSS option of a SYN, if there is one and room
///   for it, and NOPs.
/// - The TCP window is scaled by [`WINDOW_SHIFT`] in segments with timestamps that are not a SYN,
///   and is at most 65535 on the wire.
/// - ICMP errors quote the packet in `body`, as much as `len` leaves room for.
/// - The options and the payload of a packet that was decoded from a frame are those of that frame
///   ([`Bodies::original`]); its checksum is made anew, unless an ICMP error quoted it: nobody mends
///   the checksum of a quoted packet.
/// - IPv6 has flow label 0, unless the packet was decoded. GUE is version 0 without options.
/// - A VRRP advert is what its number stands for ([`Bodies::advert`]).
/// - A fragment is cut from the bytes of the whole datagram in `body`: the first one holds the
///   header of TCP or UDP, with the checksum of the whole.
///
/// ```
/// use sim_core::engine::Time;
/// use sim_core::wire::{Ip, Packet, encode, proto};
/// let p = Packet::ipv4(Ip::new(10, 0, 0, 1), Ip::new(10, 0, 0, 2), proto::UDP, 28 + 5);
/// let mut frame = Vec::new();
/// encode::frame(&mut frame, Time::ZERO, &p, &|_| None, &[]);
/// assert_eq!(frame.len(), 14 + 33);
/// assert_eq!(&frame[42..], b"abcde");
/// ```
pub fn frame<B: Bodies>(out: &mut Vec<u8>, now: Time, packet: &Packet, bodies: &B, macs: &[Mac]) {
    let mac = |id: MacId| ethernet(id, macs);
    out.extend(mac(packet.dst_mac).0);
    out.extend(mac(packet.src_mac).0);
    let operation: u16 = match packet.kind {
        Kind::Ipv4 => {
            out.extend([0x08, 0x00]);
            return Encoder { now, bodies, macs }.ipv4(out, packet, 0);
        }
        Kind::Ipv6 => {
            out.extend([0x86, 0xdd]);
            return Encoder { now, bodies, macs }.ipv6(out, packet, 0);
        }
        Kind::ArpRequest => 1,
        Kind::ArpReply => 2,
    };
    // EtherType 0x0806; hardware 1 (Ethernet), protocol 0x0800, lengths 6 and 4
    out.extend([0x08, 0x06, 0x00, 0x01, 0x08, 0x00, 6, 4]);
    out.extend(operation.to_be_bytes());
    out.extend(mac(MacId(packet.seq)).0);
    out.extend(packet.src.0.to_be_bytes());
    out.extend(mac(MacId(packet.ack)).0);
    out.extend(packet.dst.0.to_be_bytes());
}

fn ethernet(id: MacId, macs: &[Mac]) -> Mac {
    match id {
        MacId::BROADCAST => Mac([0xff; 6]),
        MacId(n) => id.group().or_else(|| macs.get(n as usize).copied()).unwrap_or(Mac([0; 6])),
    }
}

struct Encoder<'a, B> {
    now: Time,
    bodies: &'a B,
    macs: &'a [Mac],
}

impl<B: Bodies> Encoder<'_, B> {
    /// Appends an IPv4 packet of exactly `max(packet.len, 20)` bytes.
    fn ipv4(&self, out: &mut Vec<u8>, packet: &Packet, depth: u8) {
        let start = out.len();
        let len = packet.len.max(Packet::IP_HEADER);
        out.extend([0x45, packet.tos]);
        out.extend(len.to_be_bytes());
        out.extend(packet.id.to_be_bytes());
        out.extend(packet.frag.to_be_bytes());
        out.extend([packet.ttl, packet.proto, 0, 0]);
        out.extend(packet.src.0.to_be_bytes());
        out.extend(packet.dst.0.to_be_bytes());
        let sum = Sum16BitWords::new().add_slice(&out[start..]).ones_complement().to_be();
        put(out, start + 10, sum);

        let room = usize::from(len - Packet::IP_HEADER);
        if packet.is_fragment() {
            self.slice(out, packet, room, depth);
        } else {
            self.payload(out, packet, room, depth);
        }
        debug_assert_eq!(out.len(), start + usize::from(len), "a packet is as long as it says");
    }

    /// Appends an IPv6 packet of exactly `max(packet.len, 40)` bytes. The identification of a fragment
    /// has 32 bits, of which the upper 16 are zero here.
    fn ipv6(&self, out: &mut Vec<u8>, packet: &Packet, depth: u8) {
        let start = out.len();
        let len = packet.len.max(Packet::IPV6_HEADER);
        let next = if packet.is_fragment() { FRAGMENT } else { packet.proto };
        let room = usize::from(len - Packet::IPV6_HEADER);
        let [_, high, middle, low] =
            self.original(packet, room).map_or(0, Original::label).to_be_bytes();
        out.extend([0x60 | packet.tos >> 4, packet.tos << 4 | high, middle, low]);
        out.extend((len - Packet::IPV6_HEADER).to_be_bytes());
        out.extend([next, packet.ttl]);
        self.addresses(out, packet);
        let mut room = room;
        if packet.is_fragment() {
            let more = u16::from(packet.frag & Packet::MF != 0);
            out.extend([packet.proto, 0]);
            out.extend(((packet.frag & Packet::OFFSET) << 3 | more).to_be_bytes());
            out.extend(u32::from(packet.id).to_be_bytes());
            out.truncate(start + usize::from(len));
            room = room.saturating_sub(usize::from(Packet::FRAGMENT_HEADER));
            self.slice(out, packet, room, depth);
        } else {
            self.payload(out, packet, room, depth);
        }
        debug_assert_eq!(out.len(), start + usize::from(len), "a packet is as long as it says");
    }

    /// Appends an IP packet.
    fn any(&self, out: &mut Vec<u8>, packet: &Packet, depth: u8) {
        if packet.kind == Kind::Ipv6 {
            self.ipv6(out, packet, depth);
        } else {
            self.ipv4(out, packet, depth);
        }
    }

    /// Appends source and destination.
    fn addresses(&self, out: &mut Vec<u8>, packet: &Packet) {
        for ip in [packet.src, packet.dst] {
            if packet.kind != Kind::Ipv6 {
                out.extend(ip.0.to_be_bytes());
                continue;
            }
            match self.bodies.address(ip) {
                IpAddr::V6(a) => out.extend(a.octets()),
                IpAddr::V4(a) => out.extend(a.to_ipv6_mapped().octets()),
            }
        }
    }

    /// The checksum of the bytes above IP with the pseudo-header of the packet's family.
    fn sum(&self, packet: &Packet, bytes: &[u8]) -> u16 {
        let mut pseudo = Vec::with_capacity(32);
        self.addresses(&mut pseudo, packet);
        checksum(&pseudo, packet.proto, bytes)
    }

    /// Appends the `room` bytes of a fragment, cut from the datagram it is a part of.
    fn slice(&self, out: &mut Vec<u8>, fragment: &Packet, room: usize, depth: u8) {
        let end = out.len() + room;
        if let Some(whole) = self.inner(fragment, depth) {
            let mut bytes = Vec::new();
            let length = usize::from(whole.len.saturating_sub(whole.header()));
            self.payload(&mut bytes, &whole, length, depth + 1);
            let from = usize::from(fragment.frag & Packet::OFFSET) * 8;
            out.extend(bytes.iter().skip(from).take(room));
        }
        fill(out, end, 0);
    }

    /// Appends the `room` bytes above the IPv4 header of an unfragmented datagram.
    fn payload(&self, out: &mut Vec<u8>, packet: &Packet, room: usize, depth: u8) {
        let start = out.len();
        let end = start + room;
        let original = self.original(packet, room);
        let checksum_at = match packet.proto {
            proto::TCP => {
                self.tcp(out, packet);
                fill(out, end, packet.seq);
                Some(start + 16)
            }
            proto::UDP => {
                out.extend(packet.sport.to_be_bytes());
                out.extend(packet.dport.to_be_bytes());
                out.extend((room as u16).to_be_bytes());
                out.extend([0, 0]);
                if packet.body.is_packet() {
                    self.wrapped(out, packet, depth);
                } else if let Some(bytes) = self.bodies.payload(packet.body) {
                    out.extend_from_slice(bytes);
                } else if packet.sport == DNS || packet.dport == DNS {
                    // recursion desired; or a response, recursion available
                    let flags = if packet.dport == DNS { [0x01, 0x00] } else { [0x81, 0x80] };
                    out.extend([
                        PATTERN[0], PATTERN[1], flags[0], flags[1], 0, 0, 0, 0, 0, 0, 0, 0,
                    ]);
                }
                fill(out, end, 0);
                // a tunnel says whether its datagrams have a checksum
                (!packet.body.is_packet() || packet.seq != 0).then_some(start + 6)
            }
            proto::GRE => {
                self.gre(out, packet, depth);
                fill(out, end, 0);
                (packet.seq != 0).then_some(start + 4)
            }
            proto::ICMPV6 => {
                self.icmpv6(out, packet, room, depth);
                fill(out, end, 0);
                Some(start + 2)
            }
            proto::ICMP => {
                out.extend([packet.sport as u8, packet.dport as u8, 0, 0]);
                out.extend(packet.seq.to_be_bytes());
                if let Some(quoted) = self.inner(packet, depth) {
                    self.any(out, &quoted, depth + 1);
                    if out.len() > end && self.bodies.original(&quoted).is_none() {
                        mend(&mut out[start..end], 8);
                    }
                }
                fill(out, end, 0);
                Some(start + 2)
            }
            proto::IPIP | proto::IPV6 => {
                if let Some(inner) = self.inner(packet, depth) {
                    self.any(out, &inner, depth + 1);
                }
                fill(out, end, 0);
                None
            }
            proto::VRRP | proto::AH => {
                self.advert(out, packet);
                fill(out, end, 0);
                None
            }
            _ => {
                fill(out, end, 0);
                None
            }
        };
        let kept = original.is_some_and(|o| o.restore(packet, &mut out[start..end]));
        // a header cut short by `len` has no room for its checksum
        if let Some(at) = checksum_at.filter(|at| !kept && at + 2 <= end) {
            let sum = self.sum(packet, &out[start..end]);
            put(out, at, sum);
        }
    }

    /// Appends a VRRP advert, in an authentication header if the packet says so.
    fn advert(&self, out: &mut Vec<u8>, packet: &Packet) {
        let Some(advert) = self.bodies.advert(packet.seq) else { return };
        let bytes = advert.bytes([packet.src, packet.dst].map(|ip| self.bodies.address(ip)));
        if let (proto::AH, Auth::Ah(key)) = (packet.proto, advert.auth) {
            let mut ip = vec![0x45, 0];
            ip.extend(packet.len.to_be_bytes());
            ip.extend(packet.id.to_be_bytes());
            ip.extend([0, 0, 0, packet.proto, 0, 0]);
            self.addresses(&mut ip, packet);
            let source = packet.src.0;
            out.extend(ah::header(proto::VRRP, &ip, source, packet.ack, &key, &bytes));
        }
        out.extend(bytes);
    }

    /// What the packet was decoded from, if it still is that packet.
    fn original(&self, packet: &Packet, room: usize) -> Option<&Original> {
        self.bodies.original(packet).filter(|o| o.is_of(packet, room))
    }

    /// Appends the GUE header (draft-ietf-intarea-gue, version 0) of `opt` bytes and what is inside.
    fn wrapped(&self, out: &mut Vec<u8>, packet: &Packet, depth: u8) {
        let Some(inner) = self.inner(packet, depth) else { return };
        if packet.opt >= 4 {
            out.extend([packet.opt / 4 - 1, inside(&inner), 0, 0]);
            out.resize(out.len() + usize::from(packet.opt) - 4, 0);
        }
        self.any(out, &inner, depth + 1);
    }

    /// Appends a GRE header (RFC 2784), checksum zero, and what is inside.
    fn gre(&self, out: &mut Vec<u8>, packet: &Packet, depth: u8) {
        let inner = self.inner(packet, depth);
        let v6 = inner.is_some_and(|i| i.kind == Kind::Ipv6);
        let kind = if v6 { [0x86, 0xdd] } else { [0x08, 0x00] };
        let flags = if packet.seq != 0 { 0x80 } else { 0 };
        out.extend([flags, 0, kind[0], kind[1]]);
        if packet.seq != 0 {
            out.extend([0; 4]);
        }
        if let Some(inner) = inner {
            self.any(out, &inner, depth + 1);
        }
    }

    /// Appends an ICMPv6 message of `room` bytes, checksum zero.
    fn icmpv6(&self, out: &mut Vec<u8>, packet: &Packet, room: usize, depth: u8) {
        let start = out.len();
        let kind = packet.sport as u8;
        out.extend([kind, packet.dport as u8, 0, 0]);
        out.extend(packet.seq.to_be_bytes());
        if matches!(kind, icmpv6::SOLICITATION | icmpv6::ADVERTISEMENT) {
            if let IpAddr::V6(target) = self.bodies.address(Ip(packet.ack)) {
                out.extend(target.octets());
            }
            if packet.window != MacId::ZERO.0 {
                // source or target link-layer address, 8 bytes
                out.extend([if kind == icmpv6::SOLICITATION { 1 } else { 2 }, 1]);
                out.extend(ethernet(MacId(packet.window), self.macs).0);
            }
        } else if let Some(quoted) = self.inner(packet, depth) {
            self.any(out, &quoted, depth + 1);
            if out.len() > start + room && self.bodies.original(&quoted).is_none() {
                mend(&mut out[start..start + room], 8);
            }
        }
    }

    fn inner(&self, packet: &Packet, depth: u8) -> Option<Packet> {
        if !packet.body.is_packet() || depth >= MAX_DEPTH {
            return None;
        }
        self.bodies.body(packet.body)
    }

    /// Appends a TCP header with options, checksum zero.
    fn tcp(&self, out: &mut Vec<u8>, packet: &Packet) {
        let options = usize::from(packet.opt.min(40) & !3);
        let syn = packet.flags.has(Flags::SYN);
        let shift = if options >= 12 && !syn { WINDOW_SHIFT } else { 0 };
        let window = (packet.window >> shift).min(u32::from(u16::MAX)) as u16;
        out.extend(packet.sport.to_be_bytes());
        out.extend(packet.dport.to_be_bytes());
        out.extend(packet.seq.to_be_bytes());
        out.extend(if packet.flags.has(Flags::ACK) { packet.ack } else { 0 }.to_be_bytes());
        out.extend([((20 + options) as u8) << 2, packet.flags.0]);
        out.extend(window.to_be_bytes());
        out.extend([0, 0, 0, 0]);

        let end = out.len() + options;
        if syn && packet.mss != 0 && options >= 4 {
            out.extend([2, 4]);
            out.extend(packet.mss.to_be_bytes());
        }
        if syn && options == 20 {
            out.resize(end - 16, NOP);
            out.extend([4, 2]);
            self.timestamps(out, packet);
            out.extend([NOP, 3, 3, WINDOW_SHIFT as u8]);
        } else if options == 12 && !(syn && packet.mss != 0) {
            out.extend([NOP, NOP]);
            self.timestamps(out, packet);
        }
        out.resize(end, NOP);
    }

    /// Appends the ten bytes of the timestamps option. The echoed value is zero in a first SYN, and
    /// otherwise the present one: a packet does not carry what its peer last said.
    fn timestamps(&self, out: &mut Vec<u8>, packet: &Packet) {
        let value = (self.now.as_nanos() / 1_000_000) as u32;
        out.extend([8, 10]);
        out.extend(value.to_be_bytes());
        out.extend(if packet.flags.has(Flags::ACK) { value } else { 0 }.to_be_bytes());
    }
}

/// Cuts or fills `out` to `end` bytes. The letter of a byte depends on its place in the stream that
/// begins at `from`, so that a retransmission repeats what it retransmits.
fn fill(out: &mut Vec<u8>, end: usize, from: u32) {
    out.truncate(end);
    let mut letters = &PATTERN[from as usize % PATTERN.len()..];
    while out.len() < end {
        out.extend_from_slice(&letters[..letters.len().min(end - out.len())]);
        letters = PATTERN;
    }
}

/// What a tunnel header says of the packet inside.
fn inside(inner: &Packet) -> u8 {
    if inner.kind == Kind::Ipv6 { proto::IPV6 } else { proto::IPIP }
}

/// The checksum of TCP, UDP (RFC 768: 0 is sent as `0xffff`), ICMPv6, or of ICMP and GRE (no
/// pseudo-header), ready for the wire. `addresses` are source and destination.
fn checksum(addresses: &[u8], protocol: u8, bytes: &[u8]) -> u16 {
    let mut sum = Sum16BitWords::new().add_slice(bytes);
    if !matches!(protocol, proto::ICMP | proto::GRE) {
        sum = sum.add_slice(addresses);
        sum = sum.add_2bytes([0, protocol]).add_2bytes((bytes.len() as u16).to_be_bytes());
    }
    if protocol == proto::UDP {
        sum.to_ones_complement_with_no_zero().to_be()
    } else {
        sum.ones_complement().to_be()
    }
}

/// Makes the checksum of a quoted TCP segment, which is that of the whole segment, hold for the part
/// that is quoted as well: the last two bytes of payload are chosen so. Wireshark checks it although
/// the segment is cut, and would call the error of a real kernel bad. `at` is where the quoted IP
/// header begins in the ICMP message.
fn mend(message: &mut [u8], at: usize) {
    let v6 = message.get(at).is_some_and(|b| b >> 4 == 6);
    let length = if v6 { 40 } else { 20 };
    let Some((header, segment)) =
        message.get_mut(at..).and_then(|b| b.split_at_mut_checked(length))
    else {
        return;
    };
    let fragment = !v6 && (header[6] & 0x3f != 0 || header[7] != 0);
    let (protocol, addresses) =
        if v6 { (header[6], &header[8..40]) } else { (header[9], &header[12..20]) };
    match protocol {
        _ if fragment => {}
        proto::IPIP | proto::IPV6 => mend(message, at + length),
        proto::TCP => {
            let Some(data) = segment.get(12).map(|b| usize::from(b >> 4) * 4) else { return };
            let tail = (segment.len() & !1).saturating_sub(2);
            if tail >= data {
                put(segment, tail, 0);
                let sum = checksum(addresses, proto::TCP, segment);
                put(segment, tail, sum);
            }
        }
        _ => {}
    }
}

fn put(out: &mut [u8], at: usize, value: u16) {
    out[at..at + 2].copy_from_slice(&value.to_be_bytes());
}
