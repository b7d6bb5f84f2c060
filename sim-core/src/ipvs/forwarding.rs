//! What the forwarding methods do to a packet: pure functions of headers.
//!
//! The caller owns routes and links. For a packet that is to be sent on it finds the route to the
//! real server, calls [`check`] with the MTU of that route, then the function of the method, then
//! sends. Source: kernel `net/netfilter/ipvs/ip_vs_xmit.c`.

use super::rules::Forwarding;
use crate::wire::{Ip, Packet, PacketId, icmp, proto};
use core::fmt;

/// Bytes an IPIP tunnel adds.
const TUNNEL_OVERHEAD: u16 = Packet::IP_HEADER;

/// Smallest MTU an IPv4 link may have (RFC 791).
const MIN_MTU: u16 = 68;

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
            Self::TunnelTooNarrow => write!(f, "no room for {MIN_MTU} bytes in the tunnel"),
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
/// Source: `__ip_vs_get_out_rt`, `decrement_ttl` and `ensure_mtu_is_adequate`.
///
/// # Errors
/// See [`Refusal`].
///
/// ```
/// use sim_core::ipvs::{Forwarding, forwarding::{Refusal, check}};
/// use sim_core::wire::{Ip, Packet, proto};
/// let mut pkt = Packet::ipv4(Ip::new(172, 16, 0, 10), Ip::new(192, 168, 10, 200), proto::TCP, 1500);
/// pkt.frag = Packet::DF;
/// assert_eq!(check(&mut pkt, 1500, Forwarding::Dr, true), Ok(()));
/// assert_eq!(pkt.ttl, 63);
/// let narrow = Err(Refusal::FragmentationNeeded { mtu: 1480 });
/// assert_eq!(check(&mut pkt, 1500, Forwarding::Tun, true), narrow);
/// ```
pub fn check(
    pkt: &mut Packet,
    mtu: u16,
    method: Forwarding,
    pmtu_disc: bool,
) -> Result<(), Refusal> {
    if pkt.ttl <= 1 {
        return Err(Refusal::TimeExceeded);
    }
    pkt.ttl -= 1;
    let (mtu, df_counts) = match method {
        Forwarding::Tun => (mtu.saturating_sub(TUNNEL_OVERHEAD), pmtu_disc),
        _ => (mtu, true),
    };
    if method == Forwarding::Tun && mtu < MIN_MTU {
        return Err(Refusal::TunnelTooNarrow);
    }
    let about_an_error = pkt.proto == proto::ICMP;
    if df_counts && pkt.dont_fragment() && pkt.len > mtu && !about_an_error {
        return Err(Refusal::FragmentationNeeded { mtu });
    }
    Ok(())
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

/// TUN: the outer IPIP packet around `inner`, which passed [`check`] and is stored as `body`.
///
/// `source` is the address the route to `rip` selects. TTL is that of the inner packet; DSCP is
/// copied, ECN as `INET_ECN_encapsulate` (congestion experienced becomes ECT(0) outside); DF is
/// copied if `pmtu_disc`, else clear; with DF the identification is 0, else `id`. Observers see the
/// inner packet's tag. Source: `ip_vs_tunnel_xmit`.
pub fn tun(
    inner: &Packet,
    body: PacketId,
    source: Ip,
    rip: Ip,
    pmtu_disc: bool,
    id: u16,
) -> Packet {
    const ECN: u8 = 3;
    const ECT_0: u8 = 2;
    let len = inner.len.saturating_add(TUNNEL_OVERHEAD);
    let mut outer = Packet::ipv4(source, rip, proto::IPIP, len);
    outer.body = body;
    outer.tag = inner.tag;
    outer.ttl = inner.ttl;
    outer.tos = if inner.tos & ECN == ECN { (inner.tos & !ECN) | ECT_0 } else { inner.tos };
    if pmtu_disc && inner.dont_fragment() {
        outer.frag = Packet::DF;
    } else {
        outer.id = id;
    }
    outer
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(check(&mut inner, 1500, Forwarding::Tun, true), Ok(()));
        assert_eq!((inner.ttl, inner.len, inner.id), (62, 60, 28_577));
        let (dip, rip) = (Ip::new(192, 168, 10, 100), Ip::new(192, 168, 20, 13));
        let outer = tun(&inner, PacketId(7), dip, rip, true, 4711);
        assert_eq!((outer.src, outer.dst, outer.proto), (dip, rip, proto::IPIP));
        assert_eq!((outer.ttl, outer.len, outer.id), (62, 80, 0));
        assert!(outer.dont_fragment());
        assert_eq!(outer.body, PacketId(7));
    }

    #[test]
    fn a_tunnel_without_path_mtu_discovery_clears_df_and_numbers_its_packets() {
        let mut inner = request(1500);
        assert_eq!(check(&mut inner, 1500, Forwarding::Tun, false), Ok(()), "fragmented outside");
        let outer = tun(&inner, PacketId(7), Ip(1), Ip(2), false, 4711);
        assert_eq!((outer.frag, outer.id, outer.len), (0, 4711, 1520));
        inner.frag = 0;
        let outer = tun(&inner, PacketId(7), Ip(1), Ip(2), true, 4711);
        assert_eq!((outer.frag, outer.id), (0, 4711));
    }

    #[test]
    fn ecn_is_encapsulated_not_copied() {
        for (inside, outside) in
            [(0, 0), (0b1011_1001, 0b1011_1001), (2, 2), (0b1011_1011, 0b1011_1010)]
        {
            let mut inner = request(60);
            inner.tos = inside;
            assert_eq!(tun(&inner, PacketId(0), Ip(1), Ip(2), true, 0).tos, outside);
        }
    }

    #[test]
    fn the_longest_packet_does_not_wrap() {
        let outer = tun(&request(u16::MAX), PacketId(0), Ip(1), Ip(2), true, 0);
        assert_eq!(outer.len, u16::MAX);
    }

    #[test]
    fn the_last_hop_is_refused_and_the_ttl_kept_for_the_error() {
        for method in [Forwarding::Nat, Forwarding::Dr, Forwarding::Tun] {
            for ttl in [0, 1] {
                let mut pkt = request(60);
                pkt.ttl = ttl;
                let refusal = check(&mut pkt, 1500, method, true);
                assert_eq!(refusal, Err(Refusal::TimeExceeded));
                assert_eq!(pkt.ttl, ttl);
            }
            let mut pkt = request(60);
            pkt.ttl = 2;
            assert_eq!(check(&mut pkt, 1500, method, true), Ok(()));
            assert_eq!(pkt.ttl, 1);
        }
        assert_eq!(Refusal::TimeExceeded.icmp(), Some((11, 0, 0)));
    }

    #[test]
    fn what_does_not_fit_is_refused_only_with_df() {
        for (method, fits) in
            [(Forwarding::Nat, 1400), (Forwarding::Dr, 1400), (Forwarding::Tun, 1380)]
        {
            assert_eq!(check(&mut request(fits), 1400, method, true), Ok(()));
            let needed = Refusal::FragmentationNeeded { mtu: fits };
            assert_eq!(check(&mut request(fits + 1), 1400, method, true), Err(needed));
            assert_eq!(needed.icmp(), Some((3, 4, u32::from(fits))));
            let mut soft = request(fits + 1);
            soft.frag = 0;
            assert_eq!(check(&mut soft, 1400, method, true), Ok(()));
            let mut error = request(fits + 1);
            error.proto = proto::ICMP;
            assert_eq!(check(&mut error, 1400, method, true), Ok(()));
        }
    }

    #[test]
    fn a_tunnel_needs_room_for_68_bytes() {
        let mut pkt = request(60);
        assert_eq!(check(&mut pkt, 87, Forwarding::Tun, true), Err(Refusal::TunnelTooNarrow));
        assert_eq!(Refusal::TunnelTooNarrow.icmp(), None);
        assert_eq!(check(&mut pkt, 88, Forwarding::Tun, true), Ok(()));
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
