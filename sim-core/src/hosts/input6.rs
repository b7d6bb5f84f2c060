//! What a host does with an IPv6 packet that came in: for itself, or to be forwarded.

use super::Host;
use super::fabric::{Fabric, Place, Reason};
use super::ip::Target;
use super::ip6::MIN_MTU;
use crate::net::icmp as errors;
use crate::net::source::is_link_local;
use crate::wire::{PacketId, icmp, icmpv6, proto};

impl Host {
    /// An IPv6 packet came in by an interface (`ipv6_rcv`). There is no reverse path filter, and an own
    /// address as source is no reason to drop it.
    #[cold]
    pub(super) fn ip6_input(&mut self, fab: &mut Fabric, interface: u16, packet: PacketId) {
        let mut packet = packet;
        if self.ip.filters {
            let Some(goes_on) = self.prerouting(fab, interface, packet) else { return };
            packet = goes_on;
        }
        let p = &fab.packets[packet];
        let discovery = p.proto == proto::ICMPV6
            && matches!(p.sport as u8, icmpv6::SOLICITATION | icmpv6::ADVERTISEMENT)
            && !p.is_fragment();
        let multicast = fab.book.v6(p.dst).is_multicast();
        let target = self.ip.route(&fab.book, p, interface);
        if discovery && (multicast || target == Target::Local) {
            self.ip.discovery_input(fab, interface, packet);
        } else if multicast || target == Target::Local {
            self.daemons.input = interface;
            self.local_input(fab, packet);
        } else {
            self.forward6(fab, target, packet);
        }
    }

    /// A packet that is not for this host (`ip6_forward`).
    fn forward6(&mut self, fab: &mut Fabric, target: Target, packet: PacketId) {
        let p = &fab.packets[packet];
        let local_scope = [p.src, p.dst].iter().any(|a| is_link_local(fab.book.v6(*a).to_bits()));
        if !self.ip.sysctl.forwarding_v6 {
            fab.drop(Place::Host(self.number), Reason::NotForwarding, packet);
            return;
        }
        let Target::Neighbour { interface: out, mtu, .. } = target else {
            self.no_way(fab, target, packet);
            return;
        };
        if local_scope {
            fab.drop(Place::Host(self.number), Reason::NotForwarding, packet);
            return;
        }
        let Some(packet) = self.whole(fab, packet) else { return };
        let p = &mut fab.packets[packet];
        if p.ttl <= 1 {
            self.send_error(fab, packet, icmp::TIME_EXCEEDED, 0, 0);
            fab.drop(Place::Host(self.number), Reason::TtlExceeded, packet);
            return;
        }
        let mtu = mtu.max(MIN_MTU);
        if p.len > mtu && !p.is_reassembled() {
            self.send_error(fab, packet, icmp::UNREACHABLE, icmp::FRAG_NEEDED, u32::from(mtu));
            fab.drop(Place::Host(self.number), Reason::TooBig, packet);
            return;
        }
        p.ttl -= 1;
        if self.ip.filters && !self.forward_rules(fab, out, packet) {
            return;
        }
        self.forward_on(fab, target, packet);
    }

    /// An ICMPv6 packet for this host, but neighbour discovery.
    #[cold]
    pub(super) fn icmpv6_input(&mut self, fab: &mut Fabric, packet: PacketId) {
        let p = fab.packets[packet];
        let (kind, code) = (p.sport as u8, p.dport as u8);
        if kind == icmpv6::ECHO {
            fab.deliver(packet);
            if let Some(mut reply) = errors::echo_reply(&p) {
                reply.ttl = self.ip.sysctl.default_ttl;
                self.ip.originate(fab, &reply);
            }
            return;
        }
        if kind == icmpv6::ECHO_REPLY {
            fab.deliver(packet);
            self.probe_echo(fab, &p);
            return;
        }
        let quoted = (p.body != PacketId::NONE).then(|| fab.packets[p.body]);
        fab.deliver(packet);
        if let (Some((kind, code)), Some(quoted)) = (errors::v4_meaning(kind, code), quoted) {
            self.local_error(fab, &quoted, (kind, code, p.seq), p.src);
        }
    }
}
