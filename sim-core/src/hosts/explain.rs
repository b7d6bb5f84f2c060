//! What a host did with a frame of the connection that is followed, and by which rule.
//!
//! Nothing on the way of a packet says so: a host is looked at before it gets the frame and after it
//! is done with it ([`Host::look`], [`Host::tell`]), and the difference is put into words.

use super::Host;
use super::fabric::Fabric;
use super::trace::{counted, lasting};
use crate::ipvs::rules::ServiceKey;
use crate::ipvs::{Connection, DestinationEntry, Forwarding, Ipvs, Slot, Tuple};
use crate::net::arp;
use crate::net::route::{Lookup, Query};
use crate::observe::trace::{InHand, Step, TracePlace};
use crate::wire::{Ip, Kind, MacId, Packet, PacketId, icmpv6, proto};

/// Destinations of a service that are listed at most.
const LISTED: usize = 12;

/// What of a host may change by a frame.
#[derive(Debug)]
pub struct Before {
    interface: u16,
    packet: Packet,
    /// What is inside a tunnel packet or a fragment.
    inner: Option<Packet>,
    since: usize,
    /// State met in TCP, if it goes there.
    tcp: Option<&'static str>,
    /// Datagrams that waited for fragments.
    waiting: usize,
    ipvs: Option<Balancing>,
    neighbour: Option<(arp::State, MacId)>,
}

/// What IPVS knows of a packet.
#[derive(Debug)]
struct Balancing {
    request: Option<(Slot, Connection)>,
    reply: Option<(Slot, Connection)>,
    templates: Vec<Slot>,
    destinations: Vec<DestinationEntry>,
}

impl Balancing {
    fn of(ipvs: &Ipvs, p: &Packet) -> Self {
        let tuple = Tuple::of(p);
        let newest = |wanted: fn(&Connection) -> Tuple| {
            let found = ipvs.connections().filter(|(_, c)| wanted(c) == tuple);
            found.max_by_key(|(_, c)| c.expires()).map(|(slot, c)| (slot, *c))
        };
        Self {
            request: newest(Connection::tuple),
            reply: newest(Connection::reply_tuple),
            templates: ipvs
                .connections()
                .filter_map(|(slot, c)| c.is_template().then_some(slot))
                .collect(),
            destinations: ipvs.destinations().collect(),
        }
    }
}

impl Host {
    /// Looks at the host before it gets a frame. `None` if the frame is not followed.
    #[cold]
    pub(crate) fn look(
        &mut self,
        fab: &mut Fabric,
        interface: u16,
        packet: PacketId,
    ) -> Option<Before> {
        let p = fab.packets[packet];
        if !fab.follows(&p) {
            return None;
        }
        let inner = fab.packets.get(p.body).copied().filter(|_| p.body != PacketId::NONE);
        let quotes = matches!(p.proto, proto::ICMP | proto::ICMPV6);
        let trace = fab.trace.as_mut()?;
        let since = trace.len();
        let inner = inner.filter(|_| !quotes);
        trace.in_hand = Some(InHand { packet: p, inner, left: None, since, mark: 0, filtered: 0 });
        let to_tcp = inner.unwrap_or(p);
        let balanced = matches!(whole(&p, inner).proto, proto::TCP | proto::UDP | proto::SCTP);
        let ipvs = self.director().filter(|_| balanced && p.kind.is_ip()).map(|d| &d.ipvs);
        Some(Before {
            interface,
            packet: p,
            inner,
            since,
            tcp: self.tcp_state(fab, &to_tcp),
            waiting: self.reassembly.waiting(),
            ipvs: ipvs.map(|ipvs| Balancing::of(ipvs, &whole(&p, inner))),
            neighbour: neighbour_of(&p).and_then(|ip| self.neighbour(interface, ip)),
        })
    }

    /// Tells what the host has done with the frame since [`Host::look`].
    #[cold]
    pub(crate) fn tell(&self, fab: &mut Fabric, before: Option<Before>) {
        let Some(before) = before else { return };
        let Some(hand) = fab.trace.as_mut().and_then(|t| t.in_hand.take()) else { return };
        let here = |p: TracePlace| matches!(p, TracePlace::Host(host, _) if host == self.number);
        let dropped = fab.trace.as_ref().and_then(|t| {
            t.since(before.since).iter().find_map(|e| match e.step {
                Step::Dropped(reason) if here(e.place) => Some(reason),
                _ => None,
            })
        });
        let mut texts = Vec::new();
        match neighbour_of(&before.packet) {
            Some(_) if dropped.is_some() => {}
            Some(_) => texts.extend(self.explain_neighbour(fab, &before)),
            None => self.explain_packet(fab, &before, &hand, dropped, &mut texts),
        }
        let place = TracePlace::Host(self.number, Some(before.interface));
        let later = texts.split_off(texts.len().min(1));
        if let Some(trace) = &mut fab.trace {
            trace.explain(fab.now, place, hand.since + hand.filtered, later);
            trace.explain(fab.now, place, hand.since, texts);
        }
    }

    fn is_local(&self, fab: &Fabric, query: &Query) -> bool {
        matches!(self.ip.routes.lookup(&fab.book, query), Lookup::Local | Lookup::Broadcast)
    }

    /// The device that unwraps a packet.
    fn unwraps(&self, p: &Packet, inner: &Packet) -> Option<u16> {
        let protocol = match p.proto {
            proto::UDP => {
                let told = if inner.kind == Kind::Ipv6 { proto::IPV6 } else { proto::IPIP };
                self.tunnels.port(p)?.protocol.unwrap_or(told)
            }
            protocol => protocol,
        };
        self.tunnels.device(p, protocol, inner.kind).map(|d| d.interface)
    }

    fn tcp_state(&self, fab: &Fabric, p: &Packet) -> Option<&'static str> {
        let tcp = p.proto == proto::TCP && p.kind.is_ip() && !p.is_fragment();
        if tcp { self.tcp.state_met(fab.now, p) } else { None }
    }

    fn neighbour(&self, interface: u16, ip: Ip) -> Option<(arp::State, MacId)> {
        let mut all = self.ip.neighbours.entries().iter();
        let entry = all.find(|e| e.interface == interface && e.ip == ip)?;
        Some((entry.state, entry.mac))
    }

    fn explain_packet(
        &self,
        fab: &Fabric,
        before: &Before,
        hand: &InHand,
        dropped: Option<&'static str>,
        texts: &mut Vec<String>,
    ) {
        let unseen = ["other_host", "martian_source", "reverse_path", "cpu_backlog"];
        if dropped.is_some_and(|reason| unseen.contains(&reason)) {
            return;
        }
        let p = &before.packet;
        let mut query = Query { mark: hand.mark, ..Query::of(p, before.interface) };
        let is_local = self.is_local(fab, &query);
        if let Some((left, _)) = hand.left
            && !is_local
        {
            query.dst = left.dst;
        }
        texts.push(self.ip.way(fab, &query));
        if p.is_fragment() && (is_local || self.director().is_some()) {
            let now = self.reassembly.waiting();
            if hand.left.is_none() && dropped.is_none() && now >= before.waiting.max(1) {
                texts.push("a fragment: it waits for the others".to_owned());
                return;
            }
            texts.push("the last fragment: the datagram is whole".to_owned());
        }
        let ended = (dropped, hand.left.is_some());
        let balanced = self.explain_ipvs(fab, before, is_local, ended, texts);
        if !balanced && is_local && dropped.is_none() {
            self.explain_delivery(fab, before, hand, texts);
        }
        if let (Some(left), Some(last)) = (hand.left, texts.last_mut()) {
            for change in changes(fab, before, left) {
                last.push_str(", ");
                last.push_str(&change);
            }
        }
    }

    /// A packet for this host that IPVS has not taken.
    fn explain_delivery(
        &self,
        fab: &Fabric,
        before: &Before,
        hand: &InHand,
        texts: &mut Vec<String>,
    ) {
        let p = &before.packet;
        let wrapped = before.inner.filter(|_| !p.is_fragment() && is_tunnel(p));
        let device = wrapped.and_then(|inner| self.unwraps(p, &inner));
        if let (Some(inner), Some(device)) = (wrapped, device) {
            let (name, said) = (self.ip.device(device), fab.packet_in_words(&inner));
            texts.push(format!("{name} unwraps it: {said}"));
            texts.push(self.ip.way(fab, &Query::of(&inner, device)));
        }
        let p = wrapped.unwrap_or(whole(p, before.inner));
        if hand.left.is_some() {
            return;
        }
        match (p.proto, before.tcp, self.tcp_state(fab, &p)) {
            (proto::TCP, None, _) => {
                texts.push(format!("TCP: neither connection nor listener for port {}", p.dport));
            }
            (proto::TCP, Some(was), Some(is)) if was == is => texts.push(format!("TCP: {was}")),
            (proto::TCP, Some(was), is) => {
                // the listener is what the next segment meets
                let is = is.filter(|is| *is != "LISTEN").unwrap_or("CLOSED");
                texts.push(format!("TCP: {was} -> {is}"));
            }
            (proto::UDP, ..) => texts.push(format!("UDP: to port {}", p.dport)),
            (proto::ICMP | proto::ICMPV6, ..) => {
                texts.push("ICMP: whoever sent the quoted packet is told".to_owned());
            }
            _ => {}
        }
    }

    /// What IPVS did. Whether it took the packet.
    fn explain_ipvs(
        &self,
        fab: &Fabric,
        before: &Before,
        is_local: bool,
        (dropped, left): (Option<&'static str>, bool),
        texts: &mut Vec<String>,
    ) -> bool {
        let (Some(director), Some(was)) = (self.director(), &before.ipvs) else { return false };
        let ipvs = &director.ipvs;
        let p = whole(&before.packet, before.inner);
        let is = Balancing::of(ipvs, &p);
        let reply = is.request.is_none() && was.request.is_none() && is.reply.is_some();
        if reply || !is_local {
            let (Some((_, c)), old) = (is.reply, was.reply) else {
                if !is_local {
                    texts.push("IPVS: no entry for it as a reply".to_owned());
                }
                return false;
            };
            let state = states(old.map(|(_, c)| c), &c);
            texts.push(format!("IPVS: reply of {}: {state}", entry(fab, &c)));
            if matches!(c.forwarding(), Forwarding::Nat | Forwarding::FullNat) {
                texts.push(format!("{} back", c.forwarding().name()));
            }
            return true;
        }
        match (was.request, is.request) {
            (Some((a, old)), Some((b, c))) if a == b && same_life(&old, &c) => {
                let state = states(Some(old), &c);
                let left = lasting(c.remaining(fab.now));
                texts.push(format!("IPVS: found {}: {state}, expires in {left}", entry(fab, &c)));
                if dropped.is_none() {
                    texts.push(method(&c, fab));
                }
                true
            }
            (old, Some((_, c))) => {
                if let Some((_, old)) = old {
                    let state = old.state().name();
                    texts.push(format!("IPVS: the old entry in {state} ends"));
                }
                texts.push(chosen(fab, ipvs, was, &c));
                let (state, left) = (c.state().name(), lasting(c.remaining(fab.now)));
                texts.push(format!("IPVS: entry {}: {state}, expires in {left}", entry(fab, &c)));
                texts.push(method(&c, fab));
                true
            }
            (_, None) => {
                texts.push(refused(fab, ipvs, &p, dropped, left));
                left
            }
        }
    }

    /// What a host makes of a question for a neighbour or of the answer.
    fn explain_neighbour(&self, fab: &Fabric, before: &Before) -> Option<String> {
        let p = &before.packet;
        if is_question(p) {
            let wanted = if p.kind.is_ip() { Ip(p.ack) } else { p.dst };
            return Some(self.explain_question(fab, before, wanted));
        }
        let subject = neighbour_of(p)?;
        let name = fab.book.address(subject);
        let now = self.neighbour(before.interface, subject);
        Some(match (before.neighbour, now) {
            (None, _) => format!("nobody here has asked for {name}"),
            (Some((was, old)), Some((is, mac))) if old != mac || was != is => {
                format!("{name} is known now: {} -> {}", was.name(), is.name())
            }
            (Some(_), Some((is, mac))) if p.kind.is_ip() || mac == MacId(p.seq) => {
                format!("{name} stays {}", is.name())
            }
            (Some(_), _) => {
                format!("ignored: another answer for {name} came first, less than 1 s ago")
            }
        })
    }

    fn explain_question(&self, fab: &Fabric, before: &Before, wanted: Ip) -> String {
        let answered = fab.trace.as_ref().is_some_and(|t| {
            t.since(before.since).iter().any(|e| {
                matches!(e.place, TracePlace::Host(host, _) if host == self.number)
                    && e.step == Step::Out
            })
        });
        let name = fab.book.address(wanted);
        let own = self.ip.routes.is_local(&fab.book, wanted);
        let device = self.ip.device_of(wanted);
        let i = &self.ip.interfaces[before.interface as usize];
        let (ignore, here) = (i.sysctl.arp_ignore, device == i.name);
        match (answered, own) {
            (true, true) if here => format!("answered: {name} is an address of {device}"),
            (true, true) => {
                format!("answered: {name} is an address of {device}, and arp_ignore is {ignore}")
            }
            (true, false) => format!("answered in place of {name} (proxy)"),
            (false, true) => {
                format!(
                    "not answered: {name} is an address of {device}, and arp_ignore is {ignore}"
                )
            }
            (false, false) => format!("not answered: {name} is not an address of this host"),
        }
    }
}

/// The packet as IPVS and TCP see it: of a fragment the whole datagram, with its present addresses.
fn whole(p: &Packet, inner: Option<Packet>) -> Packet {
    match inner {
        Some(inner) if p.is_fragment() => Packet { src: p.src, dst: p.dst, ttl: p.ttl, ..inner },
        _ => *p,
    }
}

const fn is_tunnel(p: &Packet) -> bool {
    matches!(p.proto, proto::IPIP | proto::IPV6 | proto::GRE | proto::UDP)
}

fn discovery(p: &Packet) -> Option<u8> {
    let nd = p.kind == Kind::Ipv6 && p.proto == proto::ICMPV6 && !p.is_fragment();
    let kind = u8::try_from(p.sport).ok().filter(|_| nd)?;
    matches!(kind, icmpv6::SOLICITATION | icmpv6::ADVERTISEMENT).then_some(kind)
}

fn is_question(p: &Packet) -> bool {
    p.kind == Kind::ArpRequest || discovery(p) == Some(icmpv6::SOLICITATION)
}

/// The neighbour that an ARP or neighbour discovery packet tells of; `None` for other packets.
pub(super) fn neighbour_of(p: &Packet) -> Option<Ip> {
    match p.kind {
        Kind::ArpRequest | Kind::ArpReply => Some(p.src),
        Kind::Ipv4 | Kind::Ipv6 => {
            discovery(p).map(|kind| if kind == icmpv6::SOLICITATION { p.src } else { Ip(p.ack) })
        }
    }
}

/// Whether an entry went on: one that takes the place of another begins to count anew.
fn same_life(old: &Connection, new: &Connection) -> bool {
    old.destination() == new.destination() && new.packets_in() >= old.packets_in()
}

fn states(old: Option<Connection>, new: &Connection) -> String {
    match old {
        Some(old) if old.state() != new.state() => {
            format!("{} -> {}", old.state().name(), new.state().name())
        }
        _ => format!("stays {}", new.state().name()),
    }
}

/// `172.16.0.10:40001 192.168.10.200:80 192.168.10.11:80`, as `ipvsadm -Lnc` orders them.
fn entry(fab: &Fabric, c: &Connection) -> String {
    let [client, vip, rip] = [c.client(), c.vip(), c.rip()].map(|end| fab.end_in_words(end));
    format!("{client} {vip} {rip}")
}

fn service_name(key: &ServiceKey) -> String {
    match *key {
        ServiceKey::Address { protocol, vip, port } => {
            let vip = core::net::SocketAddr::from((vip, port));
            match protocol {
                proto::TCP => format!("TCP {vip}"),
                proto::UDP => format!("UDP {vip}"),
                proto::SCTP => format!("SCTP {vip}"),
                other => format!("protocol {other} {vip}"),
            }
        }
        ServiceKey::Fwmark { mark, .. } => format!("FWM {mark}"),
    }
}

/// Which service chose which real server, among which.
fn chosen(fab: &Fabric, ipvs: &Ipvs, was: &Balancing, c: &Connection) -> String {
    if let Some(slot) = c.controller().filter(|slot| was.templates.contains(slot))
        && let Some(template) = ipvs.connection(slot)
    {
        let client = fab.end_in_words(template.client());
        let rip = fab.end_in_words(c.rip());
        return format!("IPVS: new connection, to {rip} by the persistence template of {client}");
    }
    let found = was.destinations.iter().find(|d| d.id == c.destination());
    let Some(to) = found else { return "IPVS: a new connection".to_owned() };
    let scheduler = ipvs
        .services()
        .find(|s| s.key == to.service)
        .and_then(|s| s.scheduler)
        .map_or("none", schedulers::Algorithm::name);
    let all: Vec<_> = was.destinations.iter().filter(|d| d.service == to.service).collect();
    let mut among: Vec<String> = all
        .iter()
        .take(LISTED)
        .map(|d| format!("{} (weight {} act {} inact {})", end(d), d.weight, d.active, d.inactive))
        .collect();
    if all.len() > LISTED {
        among.push(format!("{} more", all.len() - LISTED));
    }
    let service = service_name(&to.service);
    format!(
        "IPVS: new connection, service {service} scheduler {scheduler} chose {} among {}",
        end(to),
        among.join(", ")
    )
}

fn end(d: &DestinationEntry) -> core::net::SocketAddr {
    core::net::SocketAddr::from((d.rip, d.port))
}

/// How the packets of an entry are sent on.
fn method(c: &Connection, fab: &Fabric) -> String {
    let rip = fab.book.address(c.rip().0);
    match c.forwarding() {
        Forwarding::Nat => format!("NAT for {rip}"),
        Forwarding::Dr => {
            format!("DR: only the Ethernet destination changes, for {rip}")
        }
        Forwarding::Tun => format!("TUN: wrapped for {rip}"),
        Forwarding::LocalNode => "LOCALNODE: to the own stack".to_owned(),
        Forwarding::Bypass => "BYPASS: to where the client sent it".to_owned(),
        Forwarding::FullNat => format!("FULLNAT for {rip}"),
    }
}

/// Why IPVS has no entry for a packet that came in.
fn refused(
    fab: &Fabric,
    ipvs: &Ipvs,
    p: &Packet,
    dropped: Option<&'static str>,
    left: bool,
) -> String {
    if left {
        return "IPVS: sent on without an entry (one-packet scheduling)".to_owned();
    }
    let (to, port) = (fab.book.address(p.dst), p.dport);
    let listens = |key: &ServiceKey| match *key {
        ServiceKey::Address { protocol, vip, port: own } => {
            protocol == p.proto && vip == to && (own == port || own == 0)
        }
        ServiceKey::Fwmark { .. } => false,
    };
    let service = ipvs.services().find(|s| listens(&s.key)).map(|s| service_name(&s.key));
    match (service, dropped) {
        (Some(service), Some(_)) => format!("IPVS: service {service} has no real server for it"),
        (Some(service), None) => {
            format!("IPVS: no entry, and this opens none in {service}: to the own stack")
        }
        (None, _) => {
            let to = core::net::SocketAddr::from((to, port));
            format!("IPVS: no service for {to}: to the own stack")
        }
    }
}

/// What is different about a packet that leaves.
fn changes(fab: &Fabric, before: &Before, (left, inside): (Packet, Option<Packet>)) -> Vec<String> {
    let mut texts = Vec::new();
    let came = before.packet;
    let wrapped = is_tunnel(&left) && !is_tunnel(&came) && left.proto != came.proto;
    let out = match inside {
        Some(inside) if wrapped => {
            let (a, b) = (fab.book.address(left.src), fab.book.address(left.dst));
            texts.push(format!("outer header {a} > {b}, {}", counted(left.len.into(), "byte")));
            inside
        }
        inside => whole(&left, inside),
    };
    let came = match before.inner {
        Some(inner) if is_tunnel(&came) && !is_tunnel(&out) && !came.is_fragment() => inner,
        inner => whole(&came, inner),
    };
    let ends = |p: &Packet| match p.proto {
        proto::TCP | proto::UDP | proto::SCTP => {
            [fab.end_in_words((p.src, p.sport)), fab.end_in_words((p.dst, p.dport))]
        }
        _ => [p.src, p.dst].map(|ip| fab.book.address(ip).to_string()),
    };
    let [src, dst] = ends(&came);
    let [new_src, new_dst] = ends(&out);
    if src != new_src {
        texts.push(format!("source {src} -> {new_src}"));
    }
    if dst != new_dst {
        texts.push(format!("destination {dst} -> {new_dst}"));
    }
    if came.ttl != out.ttl {
        texts.push(format!("TTL {} -> {}", came.ttl, out.ttl));
    }
    if left.is_fragment() && !before.packet.is_fragment() {
        texts.push("cut into fragments: larger than the MTU".to_owned());
    }
    texts
}
