//! ICMP errors that belong to a connection (`ip_vs_in_icmp`, `ip_vs_out_icmp`, `ip_vs_nat_icmp`).
//!
//! An error quotes the packet it is about. Only destination unreachable, source quench and time
//! exceeded are looked at. They are counted as packets of the connection, but change neither its
//! state nor its timer.

use super::connection::{Slot, Tuple};
use super::director::{Ipvs, transmit};
use super::rules::{Encapsulation, Forwarding};
use super::verdict::{
    DropReason, IcmpAnswer, IcmpInVerdict, IcmpOutVerdict, TunnelVerdict, Verdict,
};
use crate::engine::Time;
use crate::wire::{AddressBook, Kind, Packet, icmp, proto};

/// ICMP source quench (RFC 792), obsolete but still looked at.
const SOURCE_QUENCH: u8 = 4;

impl Ipvs {
    /// An ICMP error `outer` that quotes `quoted`, a packet the client's side of the network had
    /// got from a virtual service. Hooks `LOCAL_IN`, `LOCAL_OUT` and `FORWARD`. With `schedule_icmp`
    /// the connection of the quoted packet is scheduled if nobody knows it.
    pub fn icmp_in(
        &mut self,
        now: Time,
        outer: &Packet,
        quoted: &Packet,
        book: &mut AddressBook,
    ) -> IcmpInVerdict {
        let Some(tuple) = self.quoted_tuple(outer, quoted, false) else {
            return IcmpInVerdict::Accept;
        };
        if now >= self.estimate_at {
            self.estimate(now);
        }
        let found = self.table.find_request(tuple.reversed());
        let slot = match found {
            Some(slot) => slot,
            None if !self.sysctl.schedule_icmp => return IcmpInVerdict::Accept,
            None => match self.schedule_quoted(now, quoted, outer.mark, book) {
                Ok(slot) => slot,
                Err(Verdict::Drop(reason)) => return IcmpInVerdict::Drop(reason),
                Err(_) => return IcmpInVerdict::Accept,
            },
        };
        let entry = self.table.get_mut(slot);
        self.services.destination_mut(entry.destination).packet_in(outer.len);
        let (mut outer, mut quoted) = (*outer, *quoted);
        match entry.forwarding {
            Forwarding::Nat => {
                outer.dst = entry.daddr;
                (quoted.src, quoted.sport) = entry.rip();
            }
            Forwarding::FullNat => {
                (outer.src, outer.dst) = (entry.local().0, entry.daddr);
                (quoted.src, quoted.sport) = entry.rip();
                (quoted.dst, quoted.dport) = entry.local();
            }
            _ => entry.packets_in = entry.packets_in.wrapping_add(1),
        }
        IcmpInVerdict::Transmit { transmit: transmit(slot, entry), outer, quoted }
    }

    /// An ICMP error `outer` that quotes `quoted`, a packet for a real server: sent by the real
    /// server, or by a router on the way to it. Hooks `FORWARD`, `LOCAL_IN` and `LOCAL_OUT`.
    ///
    /// One of IPv6 about a NAT request is dropped: the kernel tests its checksum without the pseudo
    /// header, so the test always fails (`handle_response_icmp`; of other methods it is not tested).
    pub fn icmp_out(&mut self, now: Time, outer: &Packet, quoted: &Packet) -> IcmpOutVerdict {
        let Some(tuple) = self.quoted_tuple(outer, quoted, true) else {
            return IcmpOutVerdict::Pass;
        };
        if now >= self.estimate_at {
            self.estimate(now);
        }
        let Some(connection) = self.table.find_reply(tuple.reversed()) else {
            return IcmpOutVerdict::Pass;
        };
        let entry = self.table.get(connection);
        let translated = matches!(entry.forwarding, Forwarding::Nat | Forwarding::FullNat);
        if entry.forwarding == Forwarding::Nat && outer.kind == Kind::Ipv6 {
            return IcmpOutVerdict::Drop(DropReason::Checksum);
        }
        self.services.destination_mut(entry.destination).packet_out(outer.len);
        if !translated {
            return IcmpOutVerdict::Counted { connection };
        }
        let (mut outer, mut quoted) = (*outer, *quoted);
        outer.src = entry.vaddr;
        (quoted.dst, quoted.dport) = entry.vip();
        if entry.forwarding == Forwarding::FullNat {
            outer.dst = entry.caddr;
            (quoted.src, quoted.sport) = entry.client();
        }
        IcmpOutVerdict::Translate { outer, quoted, connection }
    }

    /// An ICMP error `outer` for the director itself, that quotes its tunnel packet `quoted` (IPIP, GUE
    /// or GRE), which carried the client's packet `inner`.
    pub fn icmp_tunnel(&self, outer: &Packet, quoted: &Packet, inner: &Packet) -> TunnelVerdict {
        // errors about packets that are IPv6 outside or inside are not looked at
        let v4 = [outer, quoted, inner].iter().all(|p| p.kind == Kind::Ipv4);
        if !is_error(outer) || !v4 || !is_tunnel(quoted) || self.services.is_empty() {
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
        let protocol = match self.tunnel(entry.destination).kind {
            Encapsulation::Ipip => proto::IPIP,
            Encapsulation::Gue => proto::UDP,
            Encapsulation::Gre => proto::GRE,
        };
        let ours = entry.forwarding == Forwarding::Tun && entry.daddr == quoted.dst;
        (ours && quoted.proto == protocol).then_some(slot)
    }

    /// The tuple of a packet that an ICMP error quotes, if IPVS looks at such.
    fn quoted_tuple(&self, outer: &Packet, quoted: &Packet, reply: bool) -> Option<Tuple> {
        (is_error(outer) && has_ports(quoted) && self.is_hooked(outer.kind, reply))
            .then(|| Tuple::of(quoted))
    }
}

/// Whether this may be a tunnel packet of the director.
const fn is_tunnel(quoted: &Packet) -> bool {
    matches!(quoted.proto, proto::IPIP | proto::IPV6 | proto::UDP | proto::GRE)
}

/// Types of ICMPv6 from here on are no errors.
const FIRST_INFORMATIONAL: u16 = 128;

/// Whether this is an ICMP error of a kind IPVS looks at.
fn is_error(outer: &Packet) -> bool {
    match (outer.kind, outer.proto) {
        (Kind::Ipv4, proto::ICMP) => [icmp::UNREACHABLE, SOURCE_QUENCH, icmp::TIME_EXCEEDED]
            .map(u16::from)
            .contains(&outer.sport),
        (Kind::Ipv6, proto::ICMPV6) => outer.sport < FIRST_INFORMATIONAL,
        _ => false,
    }
}

/// Whether IPVS can see the ports of a quoted packet: it is not a later fragment.
fn has_ports(quoted: &Packet) -> bool {
    matches!(quoted.proto, proto::TCP | proto::UDP | proto::SCTP)
        && quoted.frag & Packet::OFFSET == 0
}
