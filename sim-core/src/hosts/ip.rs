//! The IP layer of a host: interfaces, addresses, routes, neighbours, output.
//!
//! What comes in is judged by the host ([`super::Host`]), which also owns TCP, IPVS and the
//! applications; here is what all of them need to send a packet on its way.

use super::fabric::{Event, Fabric, NO_TAP, Place, Reason, Tap};
use super::netfilter::Netfilter;
use super::proxy::Proxied;
use crate::config::{InterfaceSysctl, Sysctl};
use crate::engine::Time;
use crate::net::arp::{self, Action, NeighbourId};
use crate::net::fragment;
use crate::net::icmp::{RateLimit, RedirectLimit};
use crate::net::route::{self, Hop, Lookup, Query, Refusal, Routes};
use crate::net::source::OwnAddress6;
use crate::observe::capture::Direction as Way;
use crate::wire::{AddressBook, Ip, Kind, MacId, Packet, PacketId, Prefix};

/// No direction: the interface has no link.
pub const NO_LINK: u32 = u32::MAX;

/// An own address with its connected prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnAddress {
    /// The address.
    pub ip: Ip,
    /// Leading bits of the connected prefix.
    pub len: u8,
}

/// An interface of a host. What every packet needs of it stands first, in one cache line.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Interface {
    /// Ethernet address.
    pub mac: MacId,
    /// Outgoing link direction, [`NO_LINK`] if none.
    pub direction: u32,
    /// Capture, [`NO_TAP`] if none.
    pub tap: Tap,
    /// Largest IP packet.
    pub mtu: u16,
    /// Nothing but the link: there is one, no capture looks, no CPU stands before it.
    pub plain: bool,
    /// Settings, already joined with the host's.
    pub sysctl: InterfaceSysctl,
    /// IPv4 addresses, the primary one first.
    pub addresses: Vec<OwnAddress>,
    /// IPv6 addresses, the newest first, the link-local one last.
    pub addresses6: Vec<OwnAddress6>,
    /// Addresses that have an Ethernet address of their own (a macvlan device above the interface).
    pub vmacs: Vec<(Ip, MacId)>,
    /// Name: `eth0`.
    pub name: String,
}

impl Interface {
    /// Its addresses of both families.
    pub fn ips(&self) -> impl Iterator<Item = Ip> + '_ {
        self.addresses.iter().map(|a| a.ip).chain(self.addresses6.iter().map(|a| a.ip))
    }

    /// The Ethernet address that stands for an own address.
    pub fn mac_of(&self, ip: Ip) -> MacId {
        self.vmacs.iter().find(|(a, _)| *a == ip).map_or(self.mac, |(_, mac)| *mac)
    }

    /// Whether frames to an Ethernet address are for this host besides those to that of the interface.
    pub fn has_vmac(&self, mac: MacId) -> bool {
        self.vmacs.iter().any(|(_, m)| *m == mac)
    }
}

/// Where packets to an address go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// To this host.
    Local,
    /// To everybody on a connected link.
    Broadcast,
    /// Out of an interface to a neighbour.
    Neighbour {
        /// Outgoing interface.
        interface: u16,
        /// Its neighbour entry.
        neighbour: NeighbourId,
        /// MTU of the way: that of the interface, or less if the route says so.
        mtu: u16,
    },
    /// Nowhere: a route refuses.
    Refused(Refusal),
    /// Nowhere: there is no route.
    Unreachable,
}

/// What was found out about an address.
#[derive(Clone, Copy, Debug)]
struct Cached {
    key: Ip,
    /// Interface that packets from there may come in by, [`NO_INTERFACE`] if not known.
    from: u16,
    target: Option<Target>,
}

const EMPTY: Cached = Cached { key: Ip::ANY, from: NO_INTERFACE, target: None };

const NO_INTERFACE: u16 = u16::MAX;

/// Counters of the IP layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IpCounters {
    /// IP packets received from links for this host's Ethernet address.
    pub packets_in: u64,
    /// Their IP bytes.
    pub bytes_in: u64,
    /// IP packets sent to links.
    pub packets_out: u64,
    /// Their IP bytes.
    pub bytes_out: u64,
}

/// The IP layer of a host. What every packet needs stands first.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct IpStack {
    cache: Box<[Cached]>,
    /// Interfaces without `lo`: those with links in the order of the configuration, then tunnel devices.
    pub interfaces: Vec<Interface>,
    /// Host number.
    pub host: u16,
    next_id: u16,
    /// Something is in `loopback` or `undeliverable`.
    pub unsettled: bool,
    /// Whether the host is a director.
    pub(super) balances: bool,
    /// Whether packets pass netfilter.
    pub(super) filters: bool,
    /// Whether it forwards packets, and neither IPVS nor netfilter looks at them. Follows from
    /// `sysctl.ip_forward`, `balances` and `filters`.
    pub(super) forwards_plainly: bool,
    /// Counters.
    pub counters: IpCounters,
    /// Neighbours.
    pub neighbours: arp::Table,
    /// Packets to an own address, for the host to take in.
    pub loopback: Vec<PacketId>,
    /// Packets that no neighbour answered for, with the interface that asked, and those that a rule of
    /// netfilter rejected.
    pub undeliverable: Vec<(u16, PacketId)>,
    /// Rules for packets, if there are any: see [`IpStack::set_netfilter`].
    pub(super) netfilter: Option<Box<Netfilter>>,
    /// Kernel settings.
    pub sysctl: Sysctl,
    conflicts: u32,
    /// Earliest wake-up for what was learned about ways.
    routes_armed: Time,
    /// While a CPU works on a packet, what it sends waits here for the end of the work.
    pub held: Option<Vec<(u16, PacketId)>>,
    pub(super) actions: Vec<Action>,
    /// IPv4 addresses on `lo`.
    pub inner_addresses: Vec<OwnAddress>,
    /// IPv6 addresses on `lo`.
    pub inner_addresses6: Vec<OwnAddress6>,
    /// Addresses answered for (`ip neigh add proxy`): interface, address.
    pub proxies: Vec<(u16, Ip)>,
    /// Requests that it will answer for others.
    pub proxied: Proxied,
    /// Addresses that the host had and has no more.
    pub removed: Vec<Ip>,
    /// Routing table.
    pub routes: Routes,
    /// Limits the rate of ICMP errors.
    pub limiter: RateLimit,
    /// Limits the rate of ICMP redirects.
    pub redirects: RedirectLimit,
}

const CACHE_SMALLEST: usize = 16;
const CACHE_LARGEST: usize = 4096;

impl IpStack {
    /// A stack without interfaces and routes, whose first IP identification is `first_id`.
    pub fn new(host: u16, sysctl: Sysctl, first_id: u16) -> Self {
        Self {
            host,
            interfaces: Vec::new(),
            inner_addresses: Vec::new(),
            inner_addresses6: Vec::new(),
            proxies: Vec::new(),
            removed: Vec::new(),
            proxied: Proxied::default(),
            routes: Routes::new(),
            neighbours: arp::Table::new(),
            sysctl,
            limiter: RateLimit::new(),
            redirects: RedirectLimit::new(),
            counters: IpCounters::default(),
            loopback: Vec::new(),
            undeliverable: Vec::new(),
            netfilter: None,
            held: None,
            unsettled: false,
            balances: false,
            filters: false,
            forwards_plainly: sysctl.ip_forward,
            cache: [EMPTY; CACHE_SMALLEST].into(),
            conflicts: 0,
            routes_armed: Time::NEVER,
            next_id: first_id,
            actions: Vec::new(),
        }
    }

    /// From now on IPVS looks at the packets.
    pub(super) fn set_balances(&mut self) {
        self.balances = true;
        self.settle_forwarding();
    }

    /// To be called whenever `sysctl.ip_forward`, `balances` or `filters` has changed.
    pub(super) fn settle_forwarding(&mut self) {
        self.forwards_plainly = self.sysctl.ip_forward && !self.balances && !self.filters;
    }

    /// Where packets to `ip` are known to go, wherever they come from.
    #[inline]
    pub fn known_target(&self, ip: Ip) -> Option<&Target> {
        let cached = &self.cache[self.cache_slot(ip)];
        if cached.key == ip { cached.target.as_ref() } else { None }
    }

    /// Where own packets to `ip` go whose source and mark are not known; `hash`
    /// ([`route::flow_hash`]) is asked for only if several next hops share the load.
    #[inline]
    pub fn target(&mut self, book: &AddressBook, ip: Ip, hash: impl FnOnce() -> u32) -> Target {
        if let Some(target) = self.known_target(ip) {
            return *target;
        }
        self.look_up(book, &Query::to(ip), hash)
    }

    /// Where a packet goes that came in by an interface ([`route::OWN`] for own packets).
    #[inline]
    pub fn route(&mut self, book: &AddressBook, packet: &Packet, input: u16) -> Target {
        // with policy rules that look at more than the destination nothing is cached
        if let Some(target) = self.known_target(packet.dst) {
            return *target;
        }
        self.look_up(book, &Query::of(packet, input), || route::flow_hash(packet))
    }

    /// Whether `ip` is an own address.
    #[inline]
    pub fn is_local(&mut self, book: &AddressBook, ip: Ip) -> bool {
        if let Some(target) = self.known_target(ip) {
            return *target == Target::Local;
        }
        self.routes.is_local(book, ip)
    }

    /// Whether packets from `src` are known to be acceptable when they come in by `interface`.
    #[inline]
    pub fn is_accepted(&self, interface: u16, src: Ip) -> bool {
        let cached = &self.cache[self.cache_slot(src)];
        cached.key == src && cached.from == interface
    }

    /// From now on packets from `src` are known to be acceptable when they come in by `interface`.
    pub fn accept(&mut self, interface: u16, src: Ip) {
        self.cached(src).from = interface;
    }

    #[inline]
    fn cache_slot(&self, ip: Ip) -> usize {
        (ip.0.wrapping_mul(0x9e37_79b1) >> 16) as usize & (self.cache.len() - 1)
    }

    #[cold]
    fn look_up(&mut self, book: &AddressBook, query: &Query, hash: impl FnOnce() -> u32) -> Target {
        let ip = query.dst;
        let (target, keep) = match self.routes.lookup(book, query) {
            Lookup::Local => (Target::Local, true),
            Lookup::Broadcast => (Target::Broadcast, true),
            Lookup::Refused(how) => (Target::Refused(how), true),
            Lookup::None => (Target::Unreachable, true),
            Lookup::Unicast(route) => {
                let single = route.hops.len() == 1;
                let hop = if single { route.hops[0] } else { route::choose(&route.hops, hash()) };
                let hop = self.routes.redirected(ip).unwrap_or(hop);
                let interface = hop.interface;
                let neighbour = self.neighbours.entry(interface, hop.via.unwrap_or(ip));
                let link = self.interfaces[interface as usize].mtu;
                let mtu = route.mtu.map_or(link, |mtu| mtu.min(link));
                (Target::Neighbour { interface, neighbour, mtu }, single)
            }
        };
        if keep && self.routes.is_plain() {
            self.cached(ip).target = Some(target);
        }
        target
    }

    /// The place of an address in a direct-mapped cache that grows while addresses push each other
    /// out.
    fn cached(&mut self, ip: Ip) -> &mut Cached {
        let slot = self.cache_slot(ip);
        let old = &self.cache[slot];
        if old.key != ip && (old.target.is_some() || old.from != NO_INTERFACE) {
            self.conflicts += 1;
            if self.conflicts as usize > self.cache.len() && self.cache.len() < CACHE_LARGEST {
                self.conflicts = 0;
                self.cache = vec![EMPTY; self.cache.len() * 2].into();
            }
        }
        let slot = self.cache_slot(ip);
        let cached = &mut self.cache[slot];
        if cached.key != ip {
            *cached = Cached { key: ip, ..EMPTY };
        }
        cached
    }

    /// Forgets where addresses lead: routes or links are other ones than before.
    #[cold]
    pub fn forget_targets(&mut self) {
        self.cache.fill(EMPTY);
    }

    /// The source address of a packet that this host sends to `to`: the one that the route states, else
    /// the first address of the outgoing interface that shares a prefix with the next hop, else its
    /// first, else the first of any interface (`fib_select_path`, `inet_select_addr`). For IPv6 see
    /// [`crate::net::source::select`].
    pub fn source_for(&mut self, book: &AddressBook, to: Ip) -> Option<Ip> {
        if self.routes.has_sources()
            && let Lookup::Unicast(route) = self.routes.lookup(book, &Query::to(to))
            && let Some(source) = route.source
        {
            return Some(source);
        }
        match self.target(book, to, || 0) {
            Target::Neighbour { interface, .. } if to.is_v6() => {
                self.select_address6(book, interface, to)
            }
            Target::Local => Some(to),
            Target::Neighbour { interface, neighbour, .. } => {
                let next = self.neighbours.entries()[neighbour.0 as usize].ip;
                self.select_address(interface, next)
            }
            Target::Broadcast | Target::Refused(_) | Target::Unreachable => None,
        }
    }

    /// `inet_select_addr` for an interface and an address on its link.
    pub fn select_address(&self, interface: u16, near: Ip) -> Option<Ip> {
        let own = &self.interfaces[interface as usize].addresses;
        own.iter()
            .find(|a| a.len < 32 && Prefix::new(a.ip, a.len).contains(near))
            .or_else(|| own.first())
            .or_else(|| self.interfaces.iter().find_map(|i| i.addresses.first()))
            .or_else(|| self.inner_addresses.first())
            .map(|a| a.ip)
    }

    /// The MTU of the way to `to`; 65535 for an own address.
    pub fn mtu_towards(&mut self, book: &AddressBook, to: Ip) -> u16 {
        let target = self.target(book, to, || 0);
        self.path_mtu(to, target)
    }

    /// The MTU of own packets to `to`, which go to `target`: that of the way, or less if it has been
    /// learned (`dst_mtu`); 65535 for an own address.
    #[inline]
    pub fn path_mtu(&self, to: Ip, target: Target) -> u16 {
        match target {
            Target::Neighbour { mtu, .. } => {
                self.routes.learned_mtu(to).map_or(mtu, |m| m.min(mtu))
            }
            _ => u16::MAX,
        }
    }

    /// An ICMP error says that the way to `to` carries no more than `mtu` bytes. It is remembered for
    /// own packets, not for those that are forwarded.
    #[cold]
    pub fn learn_path_mtu(&mut self, fab: &mut Fabric, to: Ip, mtu: u16) {
        let current = self.mtu_towards(&fab.book, to);
        if self.routes.learn_mtu(fab.now, to, mtu, current) {
            self.arm_routes(fab);
        }
    }

    /// An ICMP redirect from the neighbour `from` says that packets to `to` had better go to `gateway`. It
    /// is believed if it comes from where they go now, if `accept_redirects` says so and if the Ethernet
    /// address of `gateway` is known: the first one may only make the host ask for it
    /// (`__ip_do_redirect`).
    #[cold]
    pub fn learn_redirect(&mut self, fab: &mut Fabric, (from, to, gateway): (Ip, Ip, Ip)) {
        let Target::Neighbour { interface, neighbour, .. } = self.target(&fab.book, to, || 0)
        else {
            return;
        };
        let current = self.neighbours.entries()[neighbour.0 as usize].ip;
        let on_link = matches!(
            self.routes.lookup(&fab.book, &Query::to(gateway)),
            Lookup::Unicast(route) if route.hops.iter().any(|h| h.interface == interface)
        );
        let accepts = self.interfaces[interface as usize].sysctl.accept_redirects;
        if !accepts || current != from || gateway == from || !on_link {
            return;
        }
        let next = self.neighbours.entry(interface, gateway);
        let known = self.neighbours.resolve(fab.now, next, Ip::ANY, &mut self.actions);
        self.act(fab);
        if known.is_none() {
            return;
        }
        self.routes.learn_redirect(fab.now, to, Hop { interface, via: Some(gateway) });
        self.forget_targets();
        self.arm_routes(fab);
    }

    /// Asks to be woken when the first of what was learned expires, if no earlier wake-up is set.
    fn arm_routes(&mut self, fab: &mut Fabric) {
        if let Some(at) = self.routes.next_deadline()
            && at < self.routes_armed
        {
            self.routes_armed = at;
            fab.queue.push(at, Event::Routes { host: self.host });
        }
    }

    /// What was learned about ways may have expired.
    #[cold]
    pub fn routes_deadline(&mut self, fab: &mut Fabric) {
        if self.routes_armed <= fab.now {
            self.routes_armed = Time::NEVER;
        }
        self.routes.expire(fab.now);
        self.forget_targets();
        self.arm_routes(fab);
    }

    /// A fresh IP identification.
    pub fn next_id(&mut self) -> u16 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    /// Stores a packet made here and sends it.
    #[inline]
    pub fn originate(&mut self, fab: &mut Fabric, packet: &Packet) {
        let id = fab.packets.insert(*packet);
        if !self.removed.is_empty() && self.removed.contains(&packet.src) {
            // ip_route_output_key: the source is no address of this host
            fab.drop(Place::Host(self.host), Reason::NoRoute, id);
            return;
        }
        // only fragments of IPv6 have an identification
        if packet.kind == Kind::Ipv4 {
            fab.packets[id].id = self.next_id();
        }
        if !self.filters
            && let Some(target) = self.known_target(packet.dst)
            && let Target::Neighbour { interface, neighbour, mtu } = *target
            && packet.len <= mtu
        {
            self.transmit(fab, interface, neighbour, id);
        } else {
            self.output(fab, id);
        }
    }

    /// As [`IpStack::originate`], cut into fragments of at most `mtu` bytes.
    #[cold]
    pub fn originate_in_pieces(&mut self, fab: &mut Fabric, mut packet: Packet, mtu: u16) {
        packet.id = self.next_id().max(1);
        let whole = fab.packets.insert(packet);
        let mut target = self.route(&fab.book, &packet, route::OWN);
        if let Target::Neighbour { mtu: link, .. } = &mut target {
            *link = mtu.min(*link);
        }
        self.output_by(fab, target, whole);
    }

    /// Sends a packet on by the routing table.
    pub fn output(&mut self, fab: &mut Fabric, packet: PacketId) {
        let p = &fab.packets[packet];
        let target = self.route(&fab.book, p, route::OWN);
        self.output_by(fab, target, packet);
    }

    /// Sends an own packet to a target found before.
    #[inline]
    fn output_by(&mut self, fab: &mut Fabric, target: Target, packet: PacketId) {
        if self.filters {
            self.output_filtered(fab, target, packet);
        } else {
            self.leave(fab, target, packet);
        }
    }

    /// Sends a packet on to a target found before (hook `POSTROUTING`).
    #[inline]
    pub fn output_to(&mut self, fab: &mut Fabric, target: Target, packet: PacketId) {
        if self.filters && !self.postrouting(fab, target, packet) {
            return;
        }
        self.leave(fab, target, packet);
    }

    /// Sends a packet that no rule holds up.
    #[inline]
    fn leave(&mut self, fab: &mut Fabric, target: Target, packet: PacketId) {
        if let Target::Neighbour { interface, neighbour, mtu } = target
            && fab.packets[packet].len <= mtu
        {
            self.transmit(fab, interface, neighbour, packet);
        } else {
            self.output_elsewhere(fab, target, packet);
        }
    }

    /// Sends a packet that does not simply leave by an interface.
    #[cold]
    #[inline(never)]
    fn output_elsewhere(&mut self, fab: &mut Fabric, target: Target, packet: PacketId) {
        match target {
            Target::Neighbour { .. } => self.fragment_to(fab, target, packet),
            Target::Local => {
                self.loopback.push(packet);
                self.unsettled = true;
            }
            Target::Broadcast => self.broadcast(fab, packet),
            Target::Refused(_) | Target::Unreachable => {
                fab.drop(Place::Host(self.host), Reason::NoRoute, packet);
            }
        }
    }

    /// Sends a packet that is not too large to a neighbour.
    #[inline]
    pub fn transmit(
        &mut self,
        fab: &mut Fabric,
        interface: u16,
        to: NeighbourId,
        packet: PacketId,
    ) {
        let Some(mac) = self.neighbours.known(fab.now, to) else {
            self.transmit_slow(fab, interface, to, packet);
            return;
        };
        let i = &self.interfaces[interface as usize];
        let p = &mut fab.packets[packet];
        p.dst_mac = mac;
        if !i.plain {
            self.emit(fab, interface, packet);
            return;
        }
        p.src_mac = i.mac;
        let len = p.len;
        self.counters.packets_out += 1;
        self.counters.bytes_out += u64::from(len);
        fab.send_sized(i.direction, packet, len);
    }

    #[cold]
    fn transmit_slow(
        &mut self,
        fab: &mut Fabric,
        interface: u16,
        to: NeighbourId,
        packet: PacketId,
    ) {
        let source = fab.packets[packet].src;
        if let Some(mac) = self.neighbours.transmit(fab.now, to, packet, source, &mut self.actions)
        {
            fab.packets[packet].dst_mac = mac;
            self.emit(fab, interface, packet);
        } else if fab.traced() {
            self.trace_wait(fab, interface, to, packet);
        }
        self.act(fab);
    }

    /// Cuts a packet that is too large into fragments, or drops it if it must not be cut. Whoever
    /// forwards has told the sender before.
    #[cold]
    fn fragment_to(&mut self, fab: &mut Fabric, target: Target, packet: PacketId) {
        let Target::Neighbour { interface, neighbour: to, mtu } = target else { return };
        if fab.packets[packet].kind == Kind::Ipv6 {
            // made here, or put together here from fragments: see `check` and `forward6`
            if fab.packets[packet].id == 0 {
                fab.packets[packet].id = self.next_id().max(1);
            }
        } else if fab.packets[packet].dont_fragment() {
            fab.drop(Place::Host(self.host), Reason::TooBig, packet);
            return;
        }
        let whole = fab.packets[packet];
        for mut part in fragment::split(&whole, mtu) {
            part.body =
                fab.packets.duplicate(if whole.is_fragment() { whole.body } else { packet });
            let part = fab.packets.insert(part);
            self.transmit(fab, interface, to, part);
        }
        fab.deliver(packet);
    }

    #[cold]
    fn broadcast(&mut self, fab: &mut Fabric, packet: PacketId) {
        for interface in 0..self.interfaces.len() as u16 {
            if self.interfaces[interface as usize].mac == MacId::ZERO {
                continue;
            }
            let copy = fab.packets.duplicate(packet);
            fab.packets[copy].dst_mac = MacId::BROADCAST;
            self.emit(fab, interface, copy);
        }
        fab.deliver(packet);
    }

    /// Puts a frame whose Ethernet destination is set on the link of an interface.
    #[cold]
    pub fn emit(&mut self, fab: &mut Fabric, interface: u16, packet: PacketId) {
        let mac = self.interfaces[interface as usize].mac;
        self.emit_from(fab, interface, mac, packet);
    }

    /// As [`IpStack::emit`], with another Ethernet source than that of the interface.
    #[cold]
    pub fn emit_from(&mut self, fab: &mut Fabric, interface: u16, mac: MacId, packet: PacketId) {
        fab.packets[packet].src_mac = mac;
        if fab.traced() {
            self.trace_out(fab, interface, packet);
        }
        if let Some(held) = &mut self.held {
            held.push((interface, packet));
            return;
        }
        let i = &self.interfaces[interface as usize];
        let p = &mut fab.packets[packet];
        if p.kind.is_ip() {
            self.counters.packets_out += 1;
            self.counters.bytes_out += u64::from(p.len);
        }
        if i.direction == NO_LINK {
            fab.drop(Place::Host(self.host), Reason::NoLink, packet);
            return;
        }
        let direction = i.direction;
        if i.tap != NO_TAP {
            fab.tap(i.tap, Way::Out, packet);
        }
        fab.send(direction, packet);
    }

    /// The upper layer heard from `peer` that what was sent arrives (`tcp_ack`, `sk_dst_confirm`): the way to
    /// it works.
    #[inline]
    pub fn heard_from(&mut self, book: &AddressBook, now: Time, peer: Ip) {
        if let Some(target) = self.known_target(peer) {
            if let Target::Neighbour { neighbour, .. } = *target {
                self.neighbours.confirm(now, neighbour);
            }
            return;
        }
        if let Target::Neighbour { neighbour, .. } = self.target(book, peer, || 0) {
            self.neighbours.confirm(now, neighbour);
        }
    }
}
