//! The IPv6 layer of a host: where packets go, neighbour discovery.
//!
//! What differs from IPv4 is here; interfaces, neighbours and output are those of [`IpStack`].

use super::fabric::{Fabric, Place, Reason};
use super::ip::IpStack;
use crate::net::arp::Advertisement;
use crate::net::source::{is_link_local, select};
use crate::wire::addr::solicited_node;
use crate::wire::{AddressBook, Ip, Kind, MacId, Packet, PacketId, icmpv6, proto};
use core::net::{IpAddr, Ipv6Addr};

/// Smallest MTU of a link (`IPV6_MIN_MTU`).
pub(super) const MIN_MTU: u16 = 1280;

/// Every node on the link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Hop limit of neighbour discovery, which proves that nobody forwarded it.
const ND_HOPS: u8 = 255;

impl IpStack {
    /// Prefix length of the route to `ip`, which decides how many ICMPv6 errors may go there.
    pub fn prefix_towards(&self, book: &AddressBook, ip: Ip) -> u8 {
        self.routes.prefix_towards(book, ip)
    }

    /// The best own address for packets to `to` by an interface.
    pub(super) fn select_address6(&self, book: &AddressBook, interface: u16, to: Ip) -> Option<Ip> {
        let on_links = self.interfaces.iter().enumerate().flat_map(|(i, x)| {
            let here = i == usize::from(interface);
            x.addresses6.iter().map(move |a| (*a, here))
        });
        let inner = self.inner_addresses6.iter().map(|a| (*a, false));
        select(book.v6(to).to_bits(), on_links.chain(inner))
    }

    /// Whether an interface listens to an IPv6 multicast group: all nodes, and the solicited-node
    /// groups of its addresses and of those it answers for.
    pub(super) fn is_member(&self, book: &AddressBook, interface: u16, group: Ip) -> bool {
        let own = &self.interfaces[interface as usize].addresses6;
        // nearly every frame to a group is for others: no more than this is asked then
        if own.is_empty() || !group.is_v6() {
            return false;
        }
        let group = book.v6(group);
        let proxied = self.proxies.iter().filter(|p| p.0 == interface && p.1.is_v6());
        group == ALL_NODES
            || own.iter().any(|a| solicited_node(Ipv6Addr::from_bits(a.bits)) == group)
            || proxied.into_iter().any(|p| solicited_node(book.v6(p.1)) == group)
    }

    /// Asks for the Ethernet address of a neighbour (`ndisc_solicit`): on behalf of a packet from an
    /// address of the interface from that one, else from the link-local address.
    pub(super) fn solicit(
        &mut self,
        fab: &mut Fabric,
        interface: u16,
        target: Ip,
        to: MacId,
        source: Ip,
    ) {
        let i = &self.interfaces[interface as usize];
        let of_packet = i.addresses6.iter().find(|a| a.ip == source);
        let link_local = || i.addresses6.iter().find(|a| is_link_local(a.bits));
        let Some(from) = of_packet.or_else(link_local).or_else(|| i.addresses6.first()) else {
            return;
        };
        let (from, mac) = (from.ip, i.mac);
        let (dst, to) = if to == MacId::BROADCAST {
            let group = solicited_node(fab.book.v6(target));
            (fab.book.number(IpAddr::V6(group)), MacId::of_group(group))
        } else {
            (target, to)
        };
        let mut p = discovery(icmpv6::SOLICITATION, (from, dst), target, Some(mac));
        p.dst_mac = to;
        let id = fab.packets.insert(p);
        self.emit(fab, interface, id);
    }

    /// Tells every node on the link of an interface that `ip` is here (an unsolicited advertisement).
    pub(super) fn announce6(&mut self, fab: &mut Fabric, interface: u16, ip: Ip) {
        let mac = self.interfaces[interface as usize].mac_of(ip);
        let dst = fab.book.number(IpAddr::V6(ALL_NODES));
        let mut p = discovery(icmpv6::ADVERTISEMENT, (ip, dst), ip, Some(mac));
        p.seq = icmpv6::OVERRIDE_FLAG | self.router_flag();
        p.dst_mac = MacId::of_group(ALL_NODES);
        let id = fab.packets.insert(p);
        self.emit_from(fab, interface, mac, id);
    }

    fn router_flag(&self) -> u32 {
        if self.sysctl.forwarding_v6 { icmpv6::ROUTER_FLAG } else { 0 }
    }

    /// A neighbour solicitation or advertisement came in.
    pub(super) fn discovery_input(&mut self, fab: &mut Fabric, interface: u16, packet: PacketId) {
        let p = fab.packets[packet];
        if p.ttl != ND_HOPS {
            fab.drop(Place::Host(self.host), Reason::TtlExceeded, packet);
            return;
        }
        fab.deliver(packet);
        if p.sport == u16::from(icmpv6::SOLICITATION) {
            self.solicitation(fab, interface, &p);
        } else {
            self.advertisement(fab, interface, &p);
        }
    }

    /// `ndisc_recv_ns`: answered for an address of the interface itself, and for a proxied one.
    fn solicitation(&mut self, fab: &mut Fabric, interface: u16, p: &Packet) {
        let target = Ip(p.ack);
        let i = &self.interfaces[interface as usize];
        let mac = i.mac_of(target);
        let own = i.addresses6.iter().any(|a| a.ip == target);
        let proxied = self.sysctl.forwarding_v6 && self.proxies.contains(&(interface, target));
        if !own && !proxied || fab.book.v6(p.src).is_unspecified() {
            return;
        }
        let asked_all = p.dst_mac.is_group();
        if p.window != MacId::ZERO.0 {
            let from = (interface, p.src, MacId(p.window));
            self.neighbours.solicited(fab.now, from, &mut self.actions);
        }
        let option = asked_all.then_some(mac);
        let mut answer = discovery(icmpv6::ADVERTISEMENT, (target, p.src), target, option);
        let replaces = if own && asked_all { icmpv6::OVERRIDE_FLAG } else { 0 };
        answer.seq = icmpv6::SOLICITED_FLAG | replaces | self.router_flag();
        let answer = fab.packets.insert(answer);
        let to = self.neighbours.entry(interface, p.src);
        self.act(fab);
        self.transmit(fab, interface, to, answer);
    }

    /// `ndisc_recv_na`.
    fn advertisement(&mut self, fab: &mut Fabric, interface: u16, p: &Packet) {
        let target = Ip(p.ack);
        let own = &self.interfaces[interface as usize].addresses6;
        if own.iter().any(|a| a.ip == target) {
            return;
        }
        let mac = (p.window != MacId::ZERO.0).then_some(MacId(p.window));
        let flags = Advertisement {
            router: p.seq & icmpv6::ROUTER_FLAG != 0,
            solicited: p.seq & icmpv6::SOLICITED_FLAG != 0,
            overrides: p.seq & icmpv6::OVERRIDE_FLAG != 0,
        };
        let from = (interface, target, mac);
        self.neighbours.advertised(fab.now, from, flags, &mut self.actions);
        self.act(fab);
    }
}

/// A solicitation or advertisement about `target`, perhaps with a link-layer address option.
fn discovery(kind: u8, (src, dst): (Ip, Ip), target: Ip, mac: Option<MacId>) -> Packet {
    let mut p = Packet::ip(src, dst, proto::ICMPV6, if mac.is_some() { 32 } else { 24 });
    debug_assert_eq!(p.kind, Kind::Ipv6, "the sender of neighbour discovery has an IPv6 address");
    p.ttl = ND_HOPS;
    p.sport = u16::from(kind);
    p.ack = target.0;
    p.window = mac.unwrap_or(MacId::ZERO).0;
    p
}
