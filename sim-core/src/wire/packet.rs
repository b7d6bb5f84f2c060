//! The packet: every header field a host, switch or director decides by, in one cache line.
//!
//! A packet is `Copy` and lives in the world's slab. Payload is a length, not bytes, but for the few
//! datagrams whose bytes somebody reads: those lie beside the packets, see [`PacketId::of_payload`]. One layout
//! serves ARP, ICMP, UDP, TCP and tunnels; the field comments say what a field means where.
//!
//! - **ICMPv6** errors are laid out as those of ICMP. A neighbour solicitation or advertisement has its
//!   flags in `seq`, the target in `ack` and in `window` the [`MacId`] of the link-layer address option
//!   ([`MacId::ZERO`]: no option).
//! - **VRRP** adverts have the number of what they say ([`super::AdvertBook`]) in `seq`; in an authentication
//!   header ([`proto::AH`]) the sequence number of that is in `ack`.
//! - **Tunnels** own the packet inside as their `body`. `proto` is [`proto::IPIP`] or [`proto::IPV6`] (by
//!   the family inside), [`proto::GRE`], or [`proto::UDP`]: then `opt` is the length of the header
//!   between UDP and the packet inside (4 for GUE, 0 for plain FOU). `seq` is 1 if the GRE or UDP header
//!   has a checksum, and 0 if not.

use super::addr::{Ip, MacId};

/// IP protocol numbers.
pub mod proto {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IP in IP (RFC 2003).
    pub const IPIP: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 in IPv4 or in IPv6 (RFC 4213, RFC 2473).
    pub const IPV6: u8 = 41;
    /// Generic routing encapsulation (RFC 2784).
    pub const GRE: u8 = 47;
    /// Authentication header (RFC 2402).
    pub const AH: u8 = 51;
    /// `ICMPv6` (RFC 4443).
    pub const ICMPV6: u8 = 58;
    /// VRRP (RFC 3768, RFC 5798).
    pub const VRRP: u8 = 112;
    /// SCTP (RFC 9260).
    pub const SCTP: u8 = 132;
}

/// ICMP types and codes (RFC 792).
pub mod icmp {
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 3;
    /// Redirect.
    pub const REDIRECT: u8 = 5;
    /// Echo request.
    pub const ECHO: u8 = 8;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Code of [`UNREACHABLE`]: network.
    pub const NET: u8 = 0;
    /// Code of [`UNREACHABLE`]: host.
    pub const HOST: u8 = 1;
    /// Code of [`UNREACHABLE`]: protocol.
    pub const PROTOCOL: u8 = 2;
    /// Code of [`UNREACHABLE`]: port.
    pub const PORT: u8 = 3;
    /// Code of [`UNREACHABLE`]: fragmentation needed and DF set; carries the next-hop MTU.
    pub const FRAG_NEEDED: u8 = 4;
}

/// SCTP chunk types (RFC 9260, section 3.2).
pub mod sctp {
    /// Payload data.
    pub const DATA: u8 = 0;
    /// Initiation.
    pub const INIT: u8 = 1;
    /// Initiation acknowledgement.
    pub const INIT_ACK: u8 = 2;
    /// Abort.
    pub const ABORT: u8 = 6;
    /// Shutdown.
    pub const SHUTDOWN: u8 = 7;
    /// Shutdown acknowledgement.
    pub const SHUTDOWN_ACK: u8 = 8;
    /// Operation error.
    pub const ERROR: u8 = 9;
    /// State cookie.
    pub const COOKIE_ECHO: u8 = 10;
    /// Cookie acknowledgement.
    pub const COOKIE_ACK: u8 = 11;
    /// Shutdown complete.
    pub const SHUTDOWN_COMPLETE: u8 = 14;
}

/// ICMPv6 types and codes (RFC 4443, RFC 4861).
pub mod icmpv6 {
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 1;
    /// Packet too big; carries the MTU.
    pub const TOO_BIG: u8 = 2;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 3;
    /// Parameter problem.
    pub const PARAMETER: u8 = 4;
    /// Echo request.
    pub const ECHO: u8 = 128;
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 129;
    /// Neighbour solicitation.
    pub const SOLICITATION: u8 = 135;
    /// Neighbour advertisement.
    pub const ADVERTISEMENT: u8 = 136;
    /// Code of [`UNREACHABLE`]: no route.
    pub const NO_ROUTE: u8 = 0;
    /// Code of [`UNREACHABLE`]: administratively prohibited.
    pub const PROHIBITED: u8 = 1;
    /// Code of [`UNREACHABLE`]: address.
    pub const ADDRESS: u8 = 3;
    /// Code of [`UNREACHABLE`]: port.
    pub const PORT: u8 = 4;
    /// Flag of an [`ADVERTISEMENT`]: the sender is a router.
    pub const ROUTER_FLAG: u32 = 1 << 31;
    /// Flag of an [`ADVERTISEMENT`]: it answers a solicitation.
    pub const SOLICITED_FLAG: u32 = 1 << 30;
    /// Flag of an [`ADVERTISEMENT`]: it replaces what was known.
    pub const OVERRIDE_FLAG: u32 = 1 << 29;
}

/// Number of a packet in the world's slab.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PacketId(pub u32);

impl PacketId {
    /// No packet.
    pub const NONE: Self = Self(u32::MAX);
    /// Numbers from here on are those of payloads.
    const PAYLOADS: u32 = 1 << 31;

    /// The payload of this number, in the place where packets have a packet inside.
    ///
    /// # Panics
    /// If there are 2^31 - 1 payloads before it.
    pub const fn of_payload(number: u32) -> Self {
        assert!(number < u32::MAX - Self::PAYLOADS, "fewer than 2^31 - 1 payloads live at a time");
        Self(Self::PAYLOADS + number)
    }

    /// Whether this is a packet, not a payload and not [`PacketId::NONE`].
    #[inline]
    pub const fn is_packet(self) -> bool {
        self.0 < Self::PAYLOADS
    }

    /// The number of the payload that this stands for.
    #[inline]
    pub const fn payload(self) -> Option<u32> {
        if self.is_packet() || self.0 == Self::NONE.0 {
            None
        } else {
            Some(self.0 - Self::PAYLOADS)
        }
    }
}

/// What follows the Ethernet header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// An ARP request (RFC 826). `src`/`dst` are the protocol addresses, `seq`/`ack` hold the
    /// [`MacId`]s of sender and target.
    ArpRequest,
    /// An ARP reply, laid out as the request.
    ArpReply,
    /// An IPv4 datagram or a fragment of one.
    Ipv4,
    /// An IPv6 packet or a fragment of one: `ttl` is the hop limit, `tos` the traffic class; `id` and
    /// the offset in `frag` are those of a fragment header, which only fragments have.
    Ipv6,
}

impl Kind {
    /// Whether this is an IP packet.
    #[inline]
    pub const fn is_ip(self) -> bool {
        self as u8 >= Self::Ipv4 as u8
    }
}

/// TCP flags as on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// None set.
    pub const NONE: Self = Self(0);
    /// FIN.
    pub const FIN: Self = Self(0x01);
    /// SYN.
    pub const SYN: Self = Self(0x02);
    /// RST.
    pub const RST: Self = Self(0x04);
    /// PSH. Here it also marks the last byte of an application message, as a Linux sender sets it.
    pub const PSH: Self = Self(0x08);
    /// ACK.
    pub const ACK: Self = Self(0x10);

    /// Whether every flag of `other` is set.
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[inline]
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl core::fmt::Debug for Flags {
    /// The letters of tcpdump: `SA`, `PA`, `FA`, `R`; `-` for none.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut any = false;
        for (flag, letter) in [
            (Self::FIN, "F"),
            (Self::SYN, "S"),
            (Self::RST, "R"),
            (Self::PSH, "P"),
            (Self::ACK, "A"),
        ] {
            if self.has(flag) {
                any = true;
                f.write_str(letter)?;
            }
        }
        if any { Ok(()) } else { f.write_str("-") }
    }
}

/// A frame on its way, headers only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C, align(64))]
pub struct Packet {
    /// Ethernet source of the current hop.
    pub src_mac: MacId,
    /// Ethernet destination of the current hop.
    pub dst_mac: MacId,
    /// IP source; ARP sender protocol address.
    pub src: Ip,
    /// IP destination; ARP target protocol address.
    pub dst: Ip,
    /// TCP sequence number; ARP sender [`MacId`]; ICMP: the second word of the header (MTU of
    /// fragmentation needed, gateway of a redirect, identifier and sequence of an echo).
    pub seq: u32,
    /// TCP acknowledgement number; ARP target [`MacId`]; UDP: the SIP call that the datagram is about,
    /// by its number, 0 for none.
    pub ack: u32,
    /// TCP window in bytes, after scaling.
    pub window: u32,
    /// The inner packet of a tunnel, the packet quoted by an ICMP error, the whole datagram of a
    /// fragment; the payload of a datagram whose bytes matter ([`PacketId::of_payload`]);
    /// [`PacketId::NONE`] otherwise. The packet owns it.
    pub body: PacketId,
    /// Which connection of which client this belongs to, for observers; never decides anything.
    pub tag: u32,
    /// The firewall mark that the host gave it (`skb->mark`); 0 on a link.
    pub mark: u32,
    /// TCP or UDP source port; ICMP type.
    pub sport: u16,
    /// TCP or UDP destination port; ICMP code.
    pub dport: u16,
    /// IP total length in bytes, with the header of 20 (IPv4) or 40 (IPv6); 28 for ARP.
    pub len: u16,
    /// IP identification.
    pub id: u16,
    /// IP flags and fragment offset as on the wire: [`Packet::DF`], [`Packet::MF`], offset / 8.
    pub frag: u16,
    /// TCP MSS option, only in a SYN; 0 if absent.
    pub mss: u16,
    /// ARP, IPv4 or IPv6.
    pub kind: Kind,
    /// IP protocol, see [`proto`].
    pub proto: u8,
    /// IP time to live.
    pub ttl: u8,
    /// IP type of service (DSCP and ECN).
    pub tos: u8,
    /// TCP flags; SCTP: type of the first chunk, see [`sctp`].
    pub flags: Flags,
    /// Bytes of TCP options, a multiple of 4, at most 40; SCTP: type of the second chunk, 0 if there
    /// is none.
    pub opt: u8,
}

impl Packet {
    /// Don't fragment.
    pub const DF: u16 = 0x4000;
    /// More fragments follow.
    pub const MF: u16 = 0x2000;
    /// Bits of `frag` that hold the offset in units of 8 bytes.
    pub const OFFSET: u16 = 0x1fff;
    /// Bytes of an IPv4 header without options.
    pub const IP_HEADER: u16 = 20;
    /// Bytes of an IPv6 header without extensions.
    pub const IPV6_HEADER: u16 = 40;
    /// Bytes of an IPv6 fragment header.
    pub const FRAGMENT_HEADER: u16 = 8;

    /// An empty IPv4 packet: addresses, protocol, length and TTL 64, everything else zero.
    pub const fn ipv4(src: Ip, dst: Ip, protocol: u8, len: u16) -> Self {
        Self {
            src_mac: MacId::ZERO,
            dst_mac: MacId::ZERO,
            src,
            dst,
            seq: 0,
            ack: 0,
            window: 0,
            body: PacketId::NONE,
            tag: u32::MAX,
            mark: 0,
            sport: 0,
            dport: 0,
            len,
            id: 0,
            frag: 0,
            mss: 0,
            kind: Kind::Ipv4,
            proto: protocol,
            ttl: 64,
            tos: 0,
            flags: Flags::NONE,
            opt: 0,
        }
    }

    /// As [`Packet::ipv4`], of the family of the source, with `above` bytes above the IP header. The
    /// length stays below 65536.
    #[inline]
    pub const fn ip(src: Ip, dst: Ip, protocol: u8, above: u16) -> Self {
        let v6 = src.is_v6();
        let header = if v6 { Self::IPV6_HEADER } else { Self::IP_HEADER };
        let mut packet = Self::ipv4(src, dst, protocol, header.saturating_add(above));
        if v6 {
            packet.kind = Kind::Ipv6;
        }
        packet
    }

    /// Bytes of the IP header, without the fragment header of IPv6.
    #[inline]
    pub const fn header(&self) -> u16 {
        if matches!(self.kind, Kind::Ipv6) { Self::IPV6_HEADER } else { Self::IP_HEADER }
    }

    /// Bytes of payload above TCP or UDP (0 for other protocols and for fragments).
    #[inline]
    pub fn payload(&self) -> u16 {
        if self.is_fragment() {
            return 0;
        }
        let headers = match self.proto {
            proto::TCP => self.header() + 20 + u16::from(self.opt),
            proto::UDP => self.header() + 8,
            _ => return 0,
        };
        self.len.saturating_sub(headers)
    }

    /// Types of the first two chunks of an SCTP packet.
    #[inline]
    pub const fn chunks(&self) -> (u8, u8) {
        (self.flags.0, self.opt)
    }

    /// Whether this is a part of a larger datagram.
    #[inline]
    pub const fn is_fragment(&self) -> bool {
        self.frag & (Self::MF | Self::OFFSET) != 0
    }

    /// Whether this IPv6 packet was put together from fragments, so that it may be cut again: no other
    /// has an identification.
    #[inline]
    pub const fn is_reassembled(&self) -> bool {
        matches!(self.kind, Kind::Ipv6) && self.id != 0 && !self.is_fragment()
    }

    /// Sets the DF flag of an IPv4 packet.
    #[inline]
    pub const fn set_dont_fragment(&mut self) {
        if matches!(self.kind, Kind::Ipv4) {
            self.frag = Self::DF;
        }
    }

    /// Whether nobody on the way may cut it: the DF flag is set, or it is IPv6.
    #[inline]
    pub const fn dont_fragment(&self) -> bool {
        self.frag & Self::DF != 0 || matches!(self.kind, Kind::Ipv6)
    }

    /// The TCP part of a TCP packet.
    #[inline]
    pub fn segment(&self) -> Segment {
        Segment {
            seq: self.seq,
            ack: self.ack,
            window: self.window,
            len: self.payload(),
            mss: self.mss,
            flags: self.flags,
            opt: self.opt,
        }
    }
}

/// A TCP segment without addresses and ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Segment {
    /// Sequence number of the first byte (of the SYN or FIN if there is none).
    pub seq: u32,
    /// Acknowledgement number, meaningful with [`Flags::ACK`].
    pub ack: u32,
    /// Receive window in bytes, after scaling.
    pub window: u32,
    /// Payload in bytes.
    pub len: u16,
    /// MSS option, only in a SYN; 0 if absent.
    pub mss: u16,
    /// Flags.
    pub flags: Flags,
    /// Bytes of options, a multiple of 4, at most 40.
    pub opt: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_one_cache_line() {
        assert_eq!(size_of::<Packet>(), 64);
        assert_eq!(align_of::<Packet>(), 64);
    }

    #[test]
    fn payload_is_what_the_headers_leave() {
        let mut p = Packet::ipv4(Ip::new(10, 0, 0, 1), Ip::new(10, 0, 0, 2), proto::TCP, 1500);
        p.opt = 12;
        assert_eq!(p.payload(), 1448);
        assert_eq!(p.segment().len, 1448);
        p.frag = Packet::MF;
        assert_eq!(p.payload(), 0);
    }

    #[test]
    fn an_ipv6_packet_has_a_longer_header_and_is_never_cut_on_the_way() {
        let (a, b) = (Ip(0xf000_0000), Ip(0xf000_0001));
        let p = Packet::ip(a, b, proto::UDP, 8 + 1);
        assert_eq!((p.kind, p.len, p.payload(), p.header()), (Kind::Ipv6, 49, 1, 40));
        assert!(p.dont_fragment() && p.kind.is_ip() && !Kind::ArpReply.is_ip());
        let p = Packet::ip(Ip::new(10, 0, 0, 1), b, proto::TCP, 20);
        assert_eq!((p.kind, p.len, p.payload()), (Kind::Ipv4, 40, 0));
    }

    #[test]
    fn flags_print_as_tcpdump_letters() {
        assert_eq!(format!("{:?}", Flags::SYN.with(Flags::ACK)), "SA");
        assert_eq!(format!("{:?}", Flags::NONE), "-");
    }
}
