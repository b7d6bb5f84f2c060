//! Packets to bytes: the Ethernet frame of a [`Packet`], as a capture shows it.
//!
//! Bytes are made nowhere else. What a packet does not carry is filled in the way Linux would:
//! payload is a fixed ASCII pattern, TCP options follow from their length, and every checksum (IPv4
//! header, ICMP, UDP and TCP with pseudo-header) is right.

use super::addr::{AddressBook, Ip, Mac, MacId};
use super::decode::Original;
use super::packet::{Flags, Kind, Packet, PacketId, icmpv6, proto};
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::icmp;
    use proptest::prelude::*;

    const CLIENT: Ip = Ip::new(172, 16, 0, 10);
    const VIP: Ip = Ip::new(192, 168, 10, 200);
    const ROUTER: Ip = Ip::new(172, 16, 0, 1);
    const MACS: [Mac; 2] = [Mac([2, 0, 0, 0, 1, 10]), Mac([2, 0, 0, 0, 1, 1])];

    fn hex(bytes: &[u8]) -> String {
        let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n)]);
        bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
    }

    fn encoded(now: Time, packet: &Packet, others: &[Packet]) -> Vec<u8> {
        let mut out = Vec::new();
        let find = |id: PacketId| others.get(id.0 as usize).copied();
        frame(&mut out, now, packet, &find, &MACS);
        out
    }

    fn bytes(packet: &Packet, others: &[Packet]) -> Vec<u8> {
        encoded(Time::ZERO, packet, others).split_off(ETHERNET_HEADER)
    }

    /// The one's complement sum of RFC 1071, done the slow way; 0xffff over correct data.
    fn sum(parts: &[&[u8]]) -> u16 {
        let mut sum = 0u32;
        for part in parts {
            for pair in part.chunks(2) {
                sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
                sum = (sum & 0xffff) + (sum >> 16);
            }
        }
        sum as u16
    }

    fn good(ip: &[u8]) -> bool {
        let l4 = &ip[20..];
        let length = (l4.len() as u16).to_be_bytes();
        let fragment = ip[6] & 0x3f != 0 || ip[7] != 0;
        sum(&[&ip[..20]]) == 0xffff
            && match ip[9] {
                _ if fragment => true,
                proto::ICMP => sum(&[l4]) == 0xffff,
                proto::TCP | proto::UDP => sum(&[&ip[12..20], &[0, ip[9]], &length, l4]) == 0xffff,
                proto::IPIP => {
                    l4.get(..usize::from(u16::from_be_bytes([l4[2], l4[3]]))).is_none_or(good)
                }
                _ => true,
            }
    }

    fn packet(protocol: u8, len: u16) -> Packet {
        let mut p = Packet::ipv4(CLIENT, VIP, protocol, len);
        (p.src_mac, p.dst_mac) = (MacId(0), MacId(1));
        (p.sport, p.dport) = (0xe662, 80);
        p
    }

    fn syn() -> Packet {
        let mut p = packet(proto::TCP, 60);
        (p.id, p.frag, p.seq, p.window) = (0xd6cc, Packet::DF, 0xb31d_4dca, 64_240);
        (p.flags, p.mss, p.opt) = (Flags::SYN, 1460, 20);
        p
    }

    /// Packets and addresses of IPv6.
    struct World6<'a>(&'a [Packet], AddressBook);

    impl Bodies for World6<'_> {
        fn body(&self, id: PacketId) -> Option<Packet> {
            self.0.get(id.0 as usize).copied()
        }

        fn address(&self, ip: Ip) -> IpAddr {
            self.1.address(ip)
        }
    }

    /// Client and VIP of the recordings.
    fn book() -> (AddressBook, Ip, Ip) {
        let mut book = AddressBook::new();
        let client = book.number("2001:db8:1::10".parse().unwrap());
        let vip = book.number("2001:db8:10::200".parse().unwrap());
        (book, client, vip)
    }

    fn bytes6(packet: &Packet, others: &[Packet], book: &AddressBook) -> Vec<u8> {
        let mut out = Vec::new();
        let world = World6(others, book.clone());
        frame(&mut out, Time::ZERO, packet, &world, &MACS);
        out.split_off(ETHERNET_HEADER)
    }

    /// Whether length and checksum of an IPv6 packet hold.
    fn good6(ip: &[u8]) -> bool {
        let l4 = &ip[40..];
        let length = (l4.len() as u16).to_be_bytes();
        ip[4..6] == length && sum(&[&ip[8..40], &[0, ip[6]], &length, l4]) == 0xffff
    }

    /// A neighbour solicitation as a real kernel sent it (Linux 6.1).
    #[test]
    fn a_solicitation_byte_for_byte() {
        let mut book = AddressBook::new();
        let mut ip = |text: &str| book.number(text.parse().unwrap());
        let (from, to) = (ip("fe80::ff:fe00:a01"), ip("ff02::1:ff00:200"));
        let target = ip("2001:db8:10::200");
        let mut p = Packet::ip(from, to, proto::ICMPV6, 32);
        (p.src_mac, p.dst_mac) = (MacId(0), MacId::of_group(book.v6(to)));
        (p.sport, p.ttl, p.ack, p.window) = (135, 255, target.0, 0);
        let mut out = Vec::new();
        frame(&mut out, Time::ZERO, &p, &World6(&[], book), &[Mac([2, 0, 0, 0, 0x0a, 1])]);
        assert_eq!(
            hex(&out),
            "3333ff0002000200000".to_owned()
                + "00a0186dd6000000000203afffe80000000000000000000fffe000a01"
                + "ff0200000000000000000001ff00020087003453000000002001"
                + "0db80010000000000000000002000101020000000a01"
        );
        assert!(good6(&out[ETHERNET_HEADER..]));
        p.window = MacId::ZERO.0;
        p.len -= 8;
        assert!(good6(&bytes6(&p, &[], &AddressBook::new())));
    }

    #[test]
    fn every_ipv6_packet_has_a_right_checksum() {
        let (book, client, vip) = book();
        let mut segment = Packet::ip(client, vip, proto::TCP, 20 + 12 + 1428);
        (segment.sport, segment.dport, segment.opt) = (40_000, 80, 12);
        segment.flags = Flags::ACK;
        let datagram = Packet { proto: proto::UDP, opt: 0, len: 40 + 8 + 77, ..segment };
        let mut error = Packet::ip(vip, client, proto::ICMPV6, 1240);
        (error.sport, error.seq, error.body) = (2, 1400, PacketId(0));
        for p in [segment, datagram, error] {
            let ip = bytes6(&p, &[segment], &book);
            assert_eq!(ip.len(), usize::from(p.len));
            assert!(good6(&ip), "{p:?}");
        }
        assert_eq!(bytes6(&error, &[segment], &book)[48..88], bytes6(&segment, &[], &book)[..40]);
    }

    #[test]
    fn ipv6_fragments_are_parts_of_the_datagram() {
        let (book, client, vip) = book();
        let mut whole = Packet::ip(client, vip, proto::UDP, 3008);
        (whole.sport, whole.dport, whole.id) = (40_000, 5354, 77);
        let bytes = bytes6(&whole, &[], &book);
        let mut data: Vec<u8> = Vec::new();
        for mut part in crate::net::fragment::split(&whole, 1500) {
            part.body = PacketId(0);
            let ip = bytes6(&part, &[whole], &book);
            assert_eq!((ip.len(), ip[6], ip[40]), (usize::from(part.len), 44, proto::UDP));
            let offset = usize::from(u16::from_be_bytes([ip[42], ip[43]]) & !7);
            assert_eq!(offset, data.len());
            assert_eq!(ip[44..48], [0, 0, 0, 77]);
            data.extend(&ip[48..]);
        }
        assert_eq!(data, bytes[40..]);
    }

    #[test]
    fn tunnels_hold_what_they_carry() {
        let (book, client, vip) = book();
        let v4 = syn();
        let v6 = Packet { kind: Kind::Ipv6, src: client, dst: vip, len: 80, frag: 0, ..v4 };
        let bodies = [v4, v6];
        for (n, inner) in bodies.iter().enumerate() {
            let inside = bytes6(inner, &[], &book);
            let mut outer = packet(proto::GRE, inner.len + 24);
            outer.body = PacketId(n as u32);
            let gre = bytes6(&outer, &bodies, &book);
            let kind = if n == 0 { [8, 0] } else { [0x86, 0xdd] };
            assert_eq!(
                (&gre[20..22], &gre[22..24], &gre[24..]),
                (&[0, 0][..], &kind[..], &inside[..])
            );
            (outer.seq, outer.len) = (1, inner.len + 28);
            let gre = bytes6(&outer, &bodies, &book);
            assert_eq!((gre[20], &gre[28..]), (0x80, &inside[..]));
            assert_eq!(sum(&[&gre[20..]]), 0xffff);

            let mut outer = packet(proto::UDP, inner.len + 32);
            (outer.body, outer.opt, outer.dport) = (PacketId(n as u32), 4, 5555);
            let gue = bytes6(&outer, &bodies, &book);
            let kind = if n == 0 { 4 } else { 41 };
            assert_eq!(gue[26..32], [0, 0, 0, kind, 0, 0], "no checksum, version 0");
            assert_eq!(gue[32..], inside);
            outer.seq = 1;
            assert!(good(&bytes6(&outer, &bodies, &book)));
            (outer.opt, outer.len) = (0, inner.len + 28);
            assert_eq!(bytes6(&outer, &bodies, &book)[28..], inside, "plain FOU");

            let mut outer = packet(if n == 0 { proto::IPIP } else { proto::IPV6 }, inner.len + 20);
            outer.body = PacketId(n as u32);
            assert_eq!(bytes6(&outer, &bodies, &book)[20..], inside);
        }
    }

    fn error(kind: u8, code: u8, len: u16) -> Packet {
        let mut p = Packet::ipv4(VIP, CLIENT, proto::ICMP, len);
        (p.sport, p.dport, p.body) = (u16::from(kind), u16::from(code), PacketId(0));
        p
    }

    // The three frames below were recorded on a Linux 6.1 host in front of a director.

    #[test]
    fn a_syn_is_the_one_linux_sends() {
        let now = Time::from_nanos(0x2163_e89d * 1_000_000);
        assert_eq!(
            hex(&encoded(now, &syn(), &[])),
            "02000000010102000000010a08004500003cd6cc40004006ec64ac10000ac0a80ac8e6620050b31d4dca\
             00000000a002faf0e3e80000020405b40402080a2163e89d0000000001030307"
        );
    }

    #[test]
    fn an_arp_request_is_the_one_linux_sends() {
        let mut p = Packet::ipv4(CLIENT, ROUTER, 0, 28);
        (p.kind, p.seq, p.ack) = (Kind::ArpRequest, 0, MacId::ZERO.0);
        (p.src_mac, p.dst_mac) = (MacId(0), MacId::BROADCAST);
        assert_eq!(
            hex(&encoded(Time::ZERO, &p, &[])),
            "ffffffffffff02000000010a0806000108000604000102000000010aac10000a000000000000ac100001"
        );
        p.kind = Kind::ArpReply;
        assert_eq!(encoded(Time::ZERO, &p, &[])[21], 2);
    }

    #[test]
    fn a_host_unreachable_quotes_as_linux_does() {
        let mut offending = syn();
        (offending.id, offending.ttl, offending.sport) = (0xd2e2, 63, 0xed1c);
        offending.seq = 0x5699_24b7;
        let mut p = error(icmp::UNREACHABLE, icmp::HOST, 88);
        (p.tos, p.ttl, p.id) = (0xc0, 63, 0xe081);
        let now = Time::from_nanos(0x01d7_9a74 * 1_000_000);
        assert_eq!(
            hex(&encoded(now, &p, &[offending])[ETHERNET_HEADER..]),
            "45c00058e08100003f0122d9c0a80ac8ac10000a030174b8000000004500003cd2e240003f06f14eac10\
             000ac0a80ac8ed1c0050569924b700000000a002faf0d07b0000020405b40402080a01d79a7400000000\
             01030307"
        );
    }

    #[test]
    fn options_follow_from_their_length() {
        let mut p = packet(proto::TCP, 52);
        (p.flags, p.opt, p.window) = (Flags::ACK, 12, 65_536);
        let b = bytes(&p, &[]);
        assert_eq!(b[32], 0x80);
        assert_eq!(&b[34..36], &512u16.to_be_bytes(), "scaled by 7");
        assert_eq!(&b[40..44], &[1, 1, 8, 10]);

        (p.opt, p.len) = (0, 40);
        let b = bytes(&p, &[]);
        assert_eq!(b[32], 0x50);
        assert_eq!(&b[34..36], &[0xff, 0xff], "clamped");

        (p.opt, p.len) = (8, 48);
        assert_eq!(&bytes(&p, &[])[40..], &[1; 8]);

        (p.flags, p.mss) = (Flags::SYN, 536);
        assert_eq!(&bytes(&p, &[])[40..], &[2, 4, 2, 24, 1, 1, 1, 1]);
        (p.opt, p.len) = (0, 40);
        assert_eq!(bytes(&p, &[]).len(), 40, "an MSS without room is left out");
        assert!(good(&bytes(&p, &[])));
    }

    #[test]
    fn udp_to_port_53_looks_like_dns() {
        let mut p = packet(proto::UDP, 28 + 14);
        p.dport = 53;
        let b = bytes(&p, &[]);
        assert_eq!(&b[28..], b"ab\x01\0\0\0\0\0\0\0\0\0ab");
        assert!(good(&b));
        (p.sport, p.dport, p.len) = (53, 4000, 28 + 5);
        assert_eq!(&bytes(&p, &[])[28..], b"ab\x81\x80\0");
    }

    #[test]
    fn a_retransmission_repeats_its_bytes() {
        let mut p = packet(proto::TCP, 1040);
        p.seq = 5_000;
        let whole = bytes(&p, &[]);
        (p.seq, p.len) = (5_400, 640);
        assert_eq!(bytes(&p, &[])[40..], whole[440..]);
    }

    #[test]
    fn fragments_are_cut_from_the_whole() {
        let mut whole = packet(proto::UDP, 3028);
        whole.id = 7;
        let all = bytes(&whole, &[]);
        assert!(good(&all));
        let mut joined = Vec::new();
        for (frag, len) in [(Packet::MF, 1500), (Packet::MF | 0xb9, 1500), (0x172, 68)] {
            let mut f = Packet { frag, len, body: PacketId(0), ..whole };
            (f.sport, f.dport) = (0, 0);
            let b = bytes(&f, &[whole]);
            assert!(good(&b));
            joined.extend_from_slice(&b[20..]);
        }
        assert_eq!(joined, all[20..]);
    }

    #[test]
    fn a_tunnel_holds_the_inner_packet() {
        let outer = Packet { body: PacketId(0), ..packet(proto::IPIP, 80) };
        let b = bytes(&outer, &[syn()]);
        assert!(good(&b));
        assert_eq!(b[20..], bytes(&syn(), &[]));
    }

    #[test]
    fn an_error_about_a_tunnel_packet_quotes_both_headers() {
        let outer = Packet { body: PacketId(1), ..packet(proto::IPIP, 1500) };
        let inner = packet(proto::TCP, 1480);
        let b = bytes(&error(icmp::UNREACHABLE, icmp::FRAG_NEEDED, 576), &[outer, inner]);
        assert_eq!((b.len(), b[28 + 9], b[48 + 9]), (576, proto::IPIP, proto::TCP));
        assert!(good(&b));
    }

    #[test]
    fn a_cut_quote_keeps_the_header_and_satisfies_a_dissector() {
        let mut p = packet(proto::TCP, 1500);
        (p.flags, p.opt, p.seq) = (Flags::ACK, 12, 99);
        let whole = bytes(&p, &[]);
        for len in [576, 575, 80] {
            let b = bytes(&error(icmp::TIME_EXCEEDED, 0, len), &[p]);
            let quote = &b[28..];
            assert_eq!(quote[..50.min(quote.len())], whole[..50.min(quote.len())]);
            assert!(good(&b));
            assert_eq!(good(quote), len > 80, "80 bytes leave no payload");
        }
        let tunnel = Packet { body: PacketId(1), ..packet(proto::IPIP, 1520) };
        let b = bytes(&error(icmp::TIME_EXCEEDED, 0, 576), &[tunnel, p]);
        assert_eq!(b[48..98], whole[..50]);
        assert!(good(&b) && good(&b[48..]));
    }

    #[test]
    fn a_packet_that_contains_itself_ends() {
        for protocol in [proto::IPIP, proto::ICMP] {
            let p = Packet { body: PacketId(0), ..packet(protocol, 9000) };
            assert!(bytes(&p, &[p]).len() == 9000);
            let f = Packet { frag: Packet::MF, ..p };
            assert!(bytes(&f, &[f]).len() == 9000);
        }
    }

    proptest! {
        #[test]
        fn every_frame_is_as_long_as_it_says_and_its_checksums_are_right(
            protocol in prop::sample::select(vec![
                proto::TCP, proto::UDP, proto::ICMP, proto::IPIP, 47,
            ]),
            inner in prop::sample::select(vec![proto::TCP, proto::UDP, proto::ICMP, proto::IPIP]),
            len: u16, inner_len in 20u16..2000, frag: u16, seq: u32, ports: (u16, u16),
            flags: u8, opt: u8, body in 0u32..3,
        ) {
            let mut p = packet(protocol, len);
            (p.seq, p.flags, p.opt, p.body) = (seq, Flags(flags), opt, PacketId(body));
            (p.sport, p.dport) = ports;
            if body == 1 {
                p.frag = frag;
            }
            let q = packet(inner, inner_len);
            let b = bytes(&p, &[q, q]);
            prop_assert_eq!(b.len(), usize::from(len.max(20)));
            // less than a header has no room for the checksum
            let cut = !p.is_fragment() && len < 60;
            let cut = cut || protocol == proto::IPIP && (inner_len < 60 || len < inner_len + 20);
            prop_assert!(cut || body == 2 && protocol == proto::IPIP || good(&b), "{}", hex(&b));
        }
    }
}
