//! What the forwarding methods do to a packet: pure functions of headers.
//!
//! The caller owns routes and links. For a packet that is to be sent on it finds the route to the
//! real server, calls [`check`] with the MTU of that route, then the function of the method, then
//! sends. Source: kernel `net/netfilter/ipvs/ip_vs_xmit.c`.

use super::rules::{Encapsulation, OuterChecksum, TunnelOptions};
use crate::net::route;
use crate::wire::{Ip, Kind, Packet, PacketId, icmp, proto};
use core::fmt;

/// Smallest MTU an IPv4 link may have (RFC 791).
const MIN_MTU: u16 = 68;

/// Smallest MTU an IPv6 link may have (RFC 8200).
const MIN_MTU_V6: u16 = 1280;

/// Bytes of a GUE header without options.
const GUE_HEADER: u16 = 4;

/// Local ports, of which GUE takes one for each flow (`ip_local_port_range`).
const PORTS: (u16, u16) = (32_768, 60_999);

/// Why a packet cannot be sent to its real server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The TTL is used up: ICMP 11/0 to the sender, source VIP.
    TimeExceeded,
    /// Longer than the path carries, and DF is set: ICMP 3/4 to the sender, source VIP.
    FragmentationNeeded {
        /// Largest packet the sender may send, in bytes.
        mtu: u16,
    },
    /// The path to the real server is too narrow for a tunnel: dropped without an answer.
    TunnelTooNarrow,
}

impl Refusal {
    /// Type, code and second header word of the ICMP error to the sender, if there is one.
    pub const fn icmp(self) -> Option<(u8, u8, u32)> {
        match self {
            Self::TimeExceeded => Some((icmp::TIME_EXCEEDED, 0, 0)),
            Self::FragmentationNeeded { mtu } => {
                Some((icmp::UNREACHABLE, icmp::FRAG_NEEDED, mtu as u32))
            }
            Self::TunnelTooNarrow => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimeExceeded => f.write_str("TTL used up"),
            Self::FragmentationNeeded { mtu } => {
                write!(f, "does not fit into {mtu} bytes and may not be fragmented")
            }
            Self::TunnelTooNarrow => {
                write!(f, "no room for {MIN_MTU} bytes in the tunnel ({MIN_MTU_V6} in IPv6)")
            }
        }
    }
}

/// The way into a tunnel: what is put around a packet, and of which family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wrapping {
    /// `--tun-type` and its companions.
    pub options: TunnelOptions,
    /// Whether the real server, and so the outer header, is IPv6.
    pub v6: bool,
}

impl Wrapping {
    /// IP in IP around a packet for the real server `rip`, the default.
    pub const fn ipip(rip: Ip) -> Self {
        let options =
            TunnelOptions { kind: Encapsulation::Ipip, port: 0, checksum: OuterChecksum::None };
        Self { options, v6: rip.is_v6() }
    }

    /// Bytes that are put before a packet: IPIP 20, GRE 24 or with a checksum 28, GUE 32; 20 more over
    /// IPv6.
    ///
    /// Remote checksum offload adds nothing: it is used only for packets whose checksum is left to
    /// the network card, and those that come from a link are not.
    pub const fn overhead(self) -> u16 {
        let ip = if self.v6 { Packet::IPV6_HEADER } else { Packet::IP_HEADER };
        ip + match self.options.kind {
            Encapsulation::Ipip => 0,
            Encapsulation::Gue => 8 + GUE_HEADER,
            Encapsulation::Gre if self.has_checksum() => 8,
            Encapsulation::Gre => 4,
        }
    }

    /// Whether the UDP or GRE header has a checksum.
    const fn has_checksum(self) -> bool {
        match self.options.checksum {
            OuterChecksum::None => false,
            OuterChecksum::Full => true,
            OuterChecksum::Remote => matches!(self.options.kind, Encapsulation::Gue),
        }
    }
}

/// Takes one hop off the TTL of a packet to a real server, and checks its length against `mtu`, the
/// MTU of the route to the real server.
///
/// The TTL of a refused packet is as the ICMP error quotes it: unchanged if it was used up, one less
/// otherwise. A packet that passes may still be longer than the MTU (DF not set, `pmtu_disc` off,
/// or itself an ICMP error): it is fragmented on output. Not to be called when the real server is
/// an own address of the director.
///
/// `tunnel` is stated for TUN. An IPv6 packet that does not fit is always refused, even if it is an ICMPv6
/// error (which then causes none), unless the director put it together from fragments.
///
/// Source: `__ip_vs_get_out_rt`, `__ip_vs_get_out_rt_v6`, `decrement_ttl` and `ensure_mtu_is_adequate`.
///
/// # Errors
/// See [`Refusal`].
///
/// ```
/// use sim_core::ipvs::forwarding::{Refusal, Wrapping, check};
/// use sim_core::wire::{Ip, Packet, proto};
/// let mut pkt = Packet::ipv4(Ip::new(172, 16, 0, 10), Ip::new(192, 168, 10, 200), proto::TCP, 1500);
/// pkt.frag = Packet::DF;
/// assert_eq!(check(&mut pkt, 1500, None, true), Ok(()));
/// assert_eq!(pkt.ttl, 63);
/// let narrow = Err(Refusal::FragmentationNeeded { mtu: 1480 });
/// let ipip = Wrapping::ipip(Ip::new(192, 168, 10, 11));
/// assert_eq!(check(&mut pkt, 1500, Some(ipip), true), narrow);
/// ```
pub fn check(
    pkt: &mut Packet,
    mtu: u16,
    tunnel: Option<Wrapping>,
    pmtu_disc: bool,
) -> Result<(), Refusal> {
    if pkt.ttl <= 1 {
        return Err(Refusal::TimeExceeded);
    }
    pkt.ttl -= 1;
    let mut room = mtu;
    if let Some(wrapping) = tunnel {
        room = mtu.saturating_sub(wrapping.overhead());
        if room < if wrapping.v6 { MIN_MTU_V6 } else { MIN_MTU } {
            return Err(Refusal::TunnelTooNarrow);
        }
    }
    if pkt.len <= room {
        return Ok(());
    }
    let refused = if pkt.kind == Kind::Ipv6 {
        !pkt.is_reassembled()
    } else {
        let df_counts = tunnel.is_none() || pmtu_disc;
        df_counts && pkt.dont_fragment() && pkt.proto != proto::ICMP
    };
    if refused { Err(Refusal::FragmentationNeeded { mtu: room }) } else { Ok(()) }
}

/// NAT, client to real server: the destination becomes `rip`:`rport`.
#[inline]
pub const fn nat_request(pkt: &mut Packet, rip: Ip, rport: u16) {
    pkt.dst = rip;
    pkt.dport = rport;
}

/// NAT, real server to client: the source becomes `vip`:`vport`.
#[inline]
pub const fn nat_reply(pkt: &mut Packet, vip: Ip, vport: u16) {
    pkt.src = vip;
    pkt.sport = vport;
}

/// TUN: the outer packet around `inner`, which passed [`check`] and is stored as `body`.
///
/// `source` is the address the route to `rip` selects. TTL is that of the inner packet; DSCP is
/// copied, ECN as `INET_ECN_encapsulate` (congestion experienced becomes ECT(0) outside). In IPv4 DF is
/// copied if `pmtu_disc`, else clear, as it is for an IPv6 packet inside; with DF the identification is 0,
/// else `id`. The source port of GUE is a hash of the flow. Observers see the inner packet's tag. Source:
/// `ip_vs_tunnel_xmit`, `ip_vs_tunnel_xmit_v6`.
pub fn tun(
    inner: &Packet,
    body: PacketId,
    (source, rip): (Ip, Ip),
    options: TunnelOptions,
    pmtu_disc: bool,
    id: u16,
) -> Packet {
    const ECN: u8 = 3;
    const ECT_0: u8 = 2;
    let wrapping = Wrapping { options, v6: rip.is_v6() };
    let protocol = match options.kind {
        Encapsulation::Ipip if inner.kind == Kind::Ipv6 => proto::IPV6,
        Encapsulation::Ipip => proto::IPIP,
        Encapsulation::Gue => proto::UDP,
        Encapsulation::Gre => proto::GRE,
    };
    let mut outer = Packet::ip(source, rip, protocol, 0);
    outer.len = inner.len.saturating_add(wrapping.overhead());
    outer.body = body;
    outer.tag = inner.tag;
    outer.ttl = inner.ttl;
    outer.tos = if inner.tos & ECN == ECN { (inner.tos & !ECN) | ECT_0 } else { inner.tos };
    outer.seq = u32::from(wrapping.has_checksum() && options.kind != Encapsulation::Ipip);
    if options.kind == Encapsulation::Gue {
        let (first, last) = PORTS;
        let range = u64::from(last - first);
        outer.sport = first + ((u64::from(route::flow_hash(inner)) * range) >> 32) as u16;
        outer.dport = options.port;
        outer.opt = GUE_HEADER as u8;
    }
    if wrapping.v6 {
        return outer;
    }
    if pmtu_disc && inner.kind == Kind::Ipv4 && inner.dont_fragment() {
        outer.frag = Packet::DF;
    } else {
        outer.id = id;
    }
    outer
}

#[cfg(test)]
mod tests {
    use super::*;

    const TUN: Option<Wrapping> = Some(Wrapping::ipip(Ip(2)));
    const ENDS: (Ip, Ip) = (Ip(1), Ip(2));

    fn ipip(inner: &Packet, ends: (Ip, Ip), pmtu_disc: bool) -> Packet {
        tun(inner, PacketId(7), ends, TunnelOptions::default(), pmtu_disc, 4711)
    }

    fn request(len: u16) -> Packet {
        let (client, vip) = (Ip::new(172, 16, 0, 10), Ip::new(192, 168, 10, 200));
        let mut pkt = Packet::ipv4(client, vip, proto::TCP, len);
        (pkt.sport, pkt.dport) = (46_360, 80);
        pkt.ttl = 63;
        pkt.id = 28_577;
        pkt.frag = Packet::DF;
        pkt
    }

    /// The SYN of a recorded LVS-TUN connection (Linux 6.1, `ipvsadm -i`): 60 bytes in, 80 out.
    #[test]
    fn a_tunnelled_syn_as_a_real_kernel_sends_it() {
        let mut inner = request(60);
        assert_eq!(check(&mut inner, 1500, TUN, true), Ok(()));
        assert_eq!((inner.ttl, inner.len, inner.id), (62, 60, 28_577));
        let (dip, rip) = (Ip::new(192, 168, 10, 100), Ip::new(192, 168, 20, 13));
        let outer = ipip(&inner, (dip, rip), true);
        assert_eq!((outer.src, outer.dst, outer.proto), (dip, rip, proto::IPIP));
        assert_eq!((outer.ttl, outer.len, outer.id), (62, 80, 0));
        assert!(outer.dont_fragment());
        assert_eq!(outer.body, PacketId(7));
    }

    #[test]
    fn a_tunnel_without_path_mtu_discovery_clears_df_and_numbers_its_packets() {
        let mut inner = request(1500);
        assert_eq!(check(&mut inner, 1500, TUN, false), Ok(()), "fragmented outside");
        let outer = ipip(&inner, ENDS, false);
        assert_eq!((outer.frag, outer.id, outer.len), (0, 4711, 1520));
        inner.frag = 0;
        let outer = ipip(&inner, ENDS, true);
        assert_eq!((outer.frag, outer.id), (0, 4711));
    }

    #[test]
    fn ecn_is_encapsulated_not_copied() {
        for (inside, outside) in
            [(0, 0), (0b1011_1001, 0b1011_1001), (2, 2), (0b1011_1011, 0b1011_1010)]
        {
            let mut inner = request(60);
            inner.tos = inside;
            assert_eq!(ipip(&inner, ENDS, true).tos, outside);
        }
    }

    fn options(kind: Encapsulation, checksum: OuterChecksum) -> TunnelOptions {
        TunnelOptions { kind, port: 5555, checksum }
    }

    /// Room in a path of 1500 bytes, as a real kernel tells it by ICMP 3/4 (Linux 6.1).
    #[test]
    fn every_encapsulation_takes_its_room() {
        use Encapsulation::{Gre, Gue, Ipip};
        use OuterChecksum::{Full, None as No, Remote};
        for (kind, checksum, room) in [
            (Ipip, No, 1480),
            (Gre, No, 1476),
            (Gre, Full, 1472),
            (Gue, No, 1468),
            (Gue, Full, 1468),
            (Gue, Remote, 1468),
        ] {
            let options = options(kind, checksum);
            for v6 in [false, true] {
                let room = if v6 { room - 20 } else { room };
                let wrapping = Some(Wrapping { options, v6 });
                assert_eq!(check(&mut request(room), 1500, wrapping, true), Ok(()));
                let refused = Err(Refusal::FragmentationNeeded { mtu: room });
                assert_eq!(check(&mut request(room + 1), 1500, wrapping, true), refused);
            }
            let outer = tun(&request(60), PacketId(0), ENDS, options, true, 0);
            assert_eq!(outer.len, 60 + 1500 - room);
            assert_eq!(outer.seq != 0, checksum != No);
        }
    }

    #[test]
    fn a_gue_flow_keeps_its_port() {
        let gue = options(Encapsulation::Gue, OuterChecksum::None);
        let port = |sport| {
            let inner = Packet { sport, ..request(60) };
            let outer = tun(&inner, PacketId(0), ENDS, gue, true, 0);
            assert_eq!((outer.proto, outer.dport, outer.opt), (proto::UDP, 5555, 4));
            outer.sport
        };
        assert_eq!(port(1000), port(1000));
        let ports: std::collections::BTreeSet<_> = (0..1000).map(port).collect();
        assert!(ports.len() > 900 && ports.iter().all(|p| (32_768..60_999).contains(p)));
    }

    #[test]
    fn an_ipv6_packet_in_ipv4_is_never_protected_from_fragmentation() {
        let (client, vip) = (Ip(0xf000_0000), Ip(0xf000_0001));
        let mut inner = Packet::ip(client, vip, proto::TCP, 40);
        inner.ttl = 63;
        assert_eq!(check(&mut inner, 1500, TUN, true), Ok(()));
        let outer = ipip(&inner, ENDS, true);
        assert_eq!((outer.proto, outer.len, outer.ttl), (proto::IPV6, 100, 62));
        assert_eq!((outer.kind, outer.frag, outer.id), (Kind::Ipv4, 0, 4711));
        let outer = ipip(&inner, (client, vip), true);
        assert_eq!((outer.kind, outer.proto, outer.len), (Kind::Ipv6, proto::IPV6, 120));
        assert_eq!((outer.frag, outer.id), (0, 0));
        let outer = ipip(&request(60), (client, vip), true);
        assert_eq!((outer.kind, outer.proto, outer.len), (Kind::Ipv6, proto::IPIP, 100));
    }

    #[test]
    fn an_ipv6_packet_that_does_not_fit_is_refused_whatever_it_is() {
        let mut big = Packet::ip(Ip(0xf000_0000), Ip(0xf000_0001), proto::ICMPV6, 1400);
        let refused = Err(Refusal::FragmentationNeeded { mtu: 1400 });
        assert_eq!(check(&mut big, 1400, None, true), refused);
        big.id = 1;
        assert_eq!(check(&mut big, 1400, None, true), Ok(()), "it came in fragments");
        let v6 = Some(Wrapping::ipip(Ip(0xf000_0002)));
        assert_eq!(check(&mut request(60), 1319, v6, true), Err(Refusal::TunnelTooNarrow));
        assert_eq!(check(&mut request(60), 1320, v6, true), Ok(()));
    }

    #[test]
    fn the_longest_packet_does_not_wrap() {
        let outer = ipip(&request(u16::MAX), ENDS, true);
        assert_eq!(outer.len, u16::MAX);
    }

    #[test]
    fn the_last_hop_is_refused_and_the_ttl_kept_for_the_error() {
        for tunnel in [None, TUN] {
            for ttl in [0, 1] {
                let mut pkt = request(60);
                pkt.ttl = ttl;
                let refusal = check(&mut pkt, 1500, tunnel, true);
                assert_eq!(refusal, Err(Refusal::TimeExceeded));
                assert_eq!(pkt.ttl, ttl);
            }
            let mut pkt = request(60);
            pkt.ttl = 2;
            assert_eq!(check(&mut pkt, 1500, tunnel, true), Ok(()));
            assert_eq!(pkt.ttl, 1);
        }
        assert_eq!(Refusal::TimeExceeded.icmp(), Some((11, 0, 0)));
    }

    #[test]
    fn what_does_not_fit_is_refused_only_with_df() {
        for (tunnel, fits) in [(None, 1400), (TUN, 1380)] {
            assert_eq!(check(&mut request(fits), 1400, tunnel, true), Ok(()));
            let needed = Refusal::FragmentationNeeded { mtu: fits };
            assert_eq!(check(&mut request(fits + 1), 1400, tunnel, true), Err(needed));
            assert_eq!(needed.icmp(), Some((3, 4, u32::from(fits))));
            let mut soft = request(fits + 1);
            soft.frag = 0;
            assert_eq!(check(&mut soft, 1400, tunnel, true), Ok(()));
            let mut error = request(fits + 1);
            error.proto = proto::ICMP;
            assert_eq!(check(&mut error, 1400, tunnel, true), Ok(()));
        }
    }

    #[test]
    fn a_tunnel_needs_room_for_68_bytes() {
        let mut pkt = request(60);
        assert_eq!(check(&mut pkt, 87, TUN, true), Err(Refusal::TunnelTooNarrow));
        assert_eq!(Refusal::TunnelTooNarrow.icmp(), None);
        assert_eq!(check(&mut pkt, 88, TUN, true), Ok(()));
    }

    #[test]
    fn nat_rewrites_one_end_and_nothing_else() {
        let before = request(60);
        let mut pkt = before;
        nat_request(&mut pkt, Ip::new(192, 168, 10, 11), 8080);
        assert_eq!((pkt.src, pkt.sport), (before.src, before.sport));
        assert_eq!((pkt.dst, pkt.dport), (Ip::new(192, 168, 10, 11), 8080));
        let mut reply = pkt;
        (reply.src, reply.sport, reply.dst, reply.dport) = (pkt.dst, pkt.dport, pkt.src, pkt.sport);
        nat_reply(&mut reply, before.dst, before.dport);
        assert_eq!((reply.src, reply.sport), (before.dst, before.dport));
        assert_eq!((reply.dst, reply.dport), (before.src, before.sport));
        nat_request(&mut pkt, before.dst, before.dport);
        assert_eq!(pkt, before);
    }
}
