//! ICMP errors that belong to a connection (`ip_vs_in_icmp`, `ip_vs_out_icmp`, `ip_vs_nat_icmp`).
//!
//! An error quotes the packet it is about. Only destination unreachable, source quench and time
//! exceeded are looked at. They are counted as packets of the connection, but change neither its
//! state nor its timer.

use super::connection::{Slot, Tuple};
use super::director::{Ipvs, transmit};
use super::rules::{Encapsulation, Forwarding};
use super::verdict::{IcmpAnswer, IcmpInVerdict, IcmpOutVerdict, TunnelVerdict};
use crate::wire::{Kind, Packet, icmp, icmpv6, proto};

/// ICMP source quench (RFC 792), obsolete but still looked at.
const SOURCE_QUENCH: u8 = 4;

impl Ipvs {
    /// An ICMP error `outer` that quotes `quoted`, a packet the client's side of the network had
    /// got from a virtual service. Hooks `LOCAL_IN`, `LOCAL_OUT` and `FORWARD`.
    pub fn icmp_in(&mut self, outer: &Packet, quoted: &Packet) -> IcmpInVerdict {
        let Some(tuple) = self.quoted_tuple(outer, quoted) else {
            return IcmpInVerdict::Accept;
        };
        let Some(slot) = self.table.find_request(tuple.reversed()) else {
            return IcmpInVerdict::Accept;
        };
        let entry = self.table.get_mut(slot);
        self.services.destination_mut(entry.destination).packet_in(outer.len);
        let (mut outer, mut quoted) = (*outer, *quoted);
        if entry.forwarding == Forwarding::Nat {
            outer.dst = entry.daddr;
            (quoted.src, quoted.sport) = entry.rip();
        } else {
            entry.packets_in = entry.packets_in.wrapping_add(1);
        }
        IcmpInVerdict::Transmit { transmit: transmit(slot, entry), outer, quoted }
    }

    /// An ICMP error `outer` that quotes `quoted`, a packet for a real server: sent by the real
    /// server, or by a router on the way to it. Hooks `FORWARD`, `LOCAL_IN` and `LOCAL_OUT`.
    pub fn icmp_out(&mut self, outer: &Packet, quoted: &Packet) -> IcmpOutVerdict {
        let Some(tuple) = self.quoted_tuple(outer, quoted) else {
            return IcmpOutVerdict::Pass;
        };
        let Some(connection) = self.table.find_reply(tuple.reversed()) else {
            return IcmpOutVerdict::Pass;
        };
        let entry = self.table.get(connection);
        self.services.destination_mut(entry.destination).packet_out(outer.len);
        if entry.forwarding != Forwarding::Nat {
            return IcmpOutVerdict::Counted { connection };
        }
        let (mut outer, mut quoted) = (*outer, *quoted);
        outer.src = entry.vaddr;
        (quoted.dst, quoted.dport) = entry.vip();
        IcmpOutVerdict::Translate { outer, quoted, connection }
    }

    /// An ICMP error `outer` for the director itself, that quotes its tunnel packet `quoted`, which
    /// carried the client's packet `inner`.
    pub fn icmp_tunnel(&self, outer: &Packet, quoted: &Packet, inner: &Packet) -> TunnelVerdict {
        // errors about packets that are IPv6 outside or inside are not looked at
        let v4 = [outer, quoted, inner].iter().all(|p| p.kind == Kind::Ipv4);
        if !is_error(outer) || !v4 || self.services.is_empty() {
            return TunnelVerdict::Accept;
        }
        let Some(connection) = self.tunnelled(quoted, inner) else {
            return TunnelVerdict::Accept;
        };
        let (icmp_type, code) = (outer.sport as u8, outer.dport as u8);
        let rip = quoted.dst;
        if (icmp_type, code) != (icmp::UNREACHABLE, icmp::FRAG_NEEDED) {
            let answer = Some(IcmpAnswer { icmp_type, code, info: outer.seq });
            return TunnelVerdict::Consume { rip, path_mtu: None, answer, connection };
        }
        let path_mtu = outer.seq.min(u32::from(u16::MAX)) as u16;
        let room =
            if path_mtu > 68 + Packet::IP_HEADER { path_mtu - Packet::IP_HEADER } else { path_mtu };
        // Without DF nobody learns a path MTU from this.
        let answer =
            quoted.dont_fragment().then_some(IcmpAnswer { icmp_type, code, info: u32::from(room) });
        TunnelVerdict::Consume { rip, path_mtu: Some(path_mtu), answer, connection }
    }

    /// The TUN connection of a packet of a client that travelled in `quoted`.
    fn tunnelled(&self, quoted: &Packet, inner: &Packet) -> Option<Slot> {
        let slot = has_ports(inner).then(|| self.table.find_request(Tuple::of(inner)))??;
        let entry = self.table.get(slot);
        let protocol = match self.tunnel(slot).kind {
            Encapsulation::Ipip => proto::IPIP,
            Encapsulation::Gue => proto::UDP,
            Encapsulation::Gre => proto::GRE,
        };
        let ours = entry.forwarding == Forwarding::Tun && entry.daddr == quoted.dst;
        (ours && quoted.proto == protocol).then_some(slot)
    }

    /// The tuple of a packet that an ICMP error quotes, if IPVS looks at such.
    fn quoted_tuple(&self, outer: &Packet, quoted: &Packet) -> Option<Tuple> {
        (is_error(outer) && has_ports(quoted) && !self.services.is_empty())
            .then(|| Tuple::of(quoted))
    }
}

/// Whether this is an ICMP error of a kind IPVS looks at.
fn is_error(outer: &Packet) -> bool {
    if outer.kind == Kind::Ipv6 {
        return outer.proto == proto::ICMPV6
            && [icmpv6::UNREACHABLE, icmpv6::TOO_BIG, icmpv6::TIME_EXCEEDED]
                .map(u16::from)
                .contains(&outer.sport);
    }
    outer.kind == Kind::Ipv4
        && outer.proto == proto::ICMP
        && [icmp::UNREACHABLE, SOURCE_QUENCH, icmp::TIME_EXCEEDED]
            .map(u16::from)
            .contains(&outer.sport)
}

/// Whether IPVS can see the ports of a quoted packet: it is not a later fragment.
fn has_ports(quoted: &Packet) -> bool {
    matches!(quoted.proto, proto::TCP | proto::UDP) && quoted.frag & Packet::OFFSET == 0
}
