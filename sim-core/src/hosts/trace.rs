//! What hosts tell about the connection that is followed.
//!
//! Callers ask [`Fabric::traced`] first; with a trace no interface is plain
//! ([`super::ip::Interface::plain`]), so that packets take the ways on which it is told.

use super::Host;
use super::client::Session;
use super::explain::neighbour_of;
use super::fabric::{Fabric, Inside, Place, Reason};
use super::ip::{IpStack, NO_LINK};
use super::server::Reply;
use crate::config::{FilterChain, FilterTable};
use crate::engine::Span;
use crate::net::arp::NeighbourId;
use crate::net::filter::{Translation, Verdict};
use crate::net::route::{self, Lookup, Query};
use crate::observe::Failure;
use crate::observe::trace::{Flow, Step, TracePlace};
use crate::tcp::{Conn, Note};
use crate::wire::{Ip, Packet, PacketId, proto};

impl Fabric {
    /// Whether a connection is followed.
    #[inline]
    pub fn traced(&self) -> bool {
        self.trace.is_some()
    }

    /// Whether a frame belongs to what is followed.
    #[cold]
    pub(crate) fn follows(&self, packet: &Packet) -> bool {
        self.trace.as_ref().is_some_and(|t| t.follows(self.now, packet))
    }

    /// Notes a step, whatever it is about.
    #[cold]
    pub(crate) fn tell(&mut self, place: TracePlace, step: Step, text: String) {
        if let Some(trace) = &mut self.trace {
            trace.push(self.now, place, step, text);
        }
    }

    /// A frame in the words of tcpdump.
    pub(super) fn frame_in_words(&self, p: &Packet) -> String {
        let inside = Inside::new(&self.packets, &self.book, &self.adverts);
        self.trace.as_ref().map(|t| t.frame(p, &inside, &self.macs)).unwrap_or_default()
    }

    /// A packet without its frame in the words of tcpdump.
    pub(super) fn packet_in_words(&self, p: &Packet) -> String {
        let inside = Inside::new(&self.packets, &self.book, &self.adverts);
        self.trace.as_ref().map(|t| t.packet(p, &inside, &self.macs)).unwrap_or_default()
    }

    /// An address and a port.
    pub(super) fn end_in_words(&self, (ip, port): (Ip, u16)) -> String {
        core::net::SocketAddr::from((self.book.address(ip), port)).to_string()
    }

    /// Notes a frame that comes in at a host.
    #[cold]
    pub(crate) fn trace_in(&mut self, host: u16, interface: u16, packet: PacketId) {
        let p = self.packets[packet];
        if let Some(trace) = &mut self.trace {
            trace.learn(&p);
            trace.answered(self.now, &p);
        }
        let text = self.frame_in_words(&p);
        self.tell(TracePlace::Host(host, Some(interface)), Step::In, text);
    }

    /// Notes that a packet is dropped.
    #[cold]
    pub(super) fn trace_drop(&mut self, place: Place, reason: Reason, packet: PacketId) {
        let p = self.packets[packet];
        if !self.follows(&p) {
            return;
        }
        if let Some(trace) = &mut self.trace {
            trace.release(packet);
        }
        let place = match place {
            Place::Host(host) => TracePlace::Host(host, None),
            Place::Switch(switch) => TracePlace::Switch(switch, u16::MAX),
            Place::Link(direction) => TracePlace::Link(direction),
        };
        let text = format!("{}: {}", in_words(reason), self.packet_in_words(&p));
        self.tell(place, Step::Dropped(reason.name()), text);
    }

    /// The packet in hand leaves its host. Whether it does: another one was made there.
    pub(super) fn leaves(&mut self, packet: PacketId) -> bool {
        let p = self.packets[packet];
        let inner = self.packets.get(p.body).copied().filter(|_| p.body != PacketId::NONE);
        let Some(hand) = self.trace.as_mut().and_then(|t| t.in_hand.as_mut()) else { return false };
        let of_hand = [Some(hand.packet), hand.inner];
        let same = [Some(p), inner]
            .into_iter()
            .flatten()
            .any(|p| of_hand.iter().flatten().any(|h| is_the_same(h, &p)));
        if same && hand.left.is_none() {
            hand.left = Some((p, inner));
        }
        same
    }
}

impl Fabric {
    /// Notes what rules of netfilter did: the numbers of those that the packet met, its mark before, and
    /// what they decided.
    #[cold]
    pub(super) fn trace_rules(
        &mut self,
        host: u16,
        (table, chain): (FilterTable, FilterChain),
        (met, marked, verdict): (&[usize], u32, Verdict),
        packet: PacketId,
    ) {
        let p = self.packets[packet];
        if !self.follows(&p) {
            return;
        }
        let mut what = Vec::new();
        if p.mark != marked {
            what.push(format!("mark {marked:#x} -> {:#x}", p.mark));
        }
        match verdict {
            Verdict::Accept if what.is_empty() => what.push("ACCEPT".to_owned()),
            Verdict::Accept => {}
            Verdict::Drop => what.push("DROP".to_owned()),
            Verdict::Reject(_) => what.push("REJECT".to_owned()),
            Verdict::NoTrack => what.push("NOTRACK".to_owned()),
            Verdict::Translate(to) => what.push(match to {
                Translation::Source(ip, _) => format!("SNAT to {}", self.book.address(ip)),
                Translation::Destination(ip, _) => format!("DNAT to {}", self.book.address(ip)),
                Translation::Masquerade => "MASQUERADE".to_owned(),
                Translation::Redirect(_) => "REDIRECT".to_owned(),
            }),
        }
        let numbers: Vec<String> = met.iter().map(ToString::to_string).collect();
        let s = if met.len() == 1 { "" } else { "s" };
        let text = format!(
            "netfilter: {} {} rule{s} {}: {}",
            format!("{table:?}").to_lowercase(),
            format!("{chain:?}").to_uppercase(),
            numbers.join(", "),
            what.join(", ")
        );
        self.tell(TracePlace::Host(host, None), Step::Done, text);
        let Some(hand) = self.trace.as_mut().and_then(|t| t.in_hand.as_mut()) else { return };
        match chain {
            // routing comes after it, and so does what is told of that
            FilterChain::Prerouting => {
                hand.mark = p.mark;
                hand.since += 1;
            }
            FilterChain::Input | FilterChain::Forward => hand.filtered += 1,
            FilterChain::Output | FilterChain::Postrouting => {}
        }
    }
}

/// Whether two packets are one, apart from what a host changes in one on its way. What an ICMP error
/// quotes is not the error.
fn is_the_same(a: &Packet, b: &Packet) -> bool {
    a.kind == b.kind
        && (a.proto, a.id, a.seq, a.ack) == (b.proto, b.id, b.seq, b.ack)
        && a.flags == b.flags
        && (a.sport == b.sport || a.dport == b.dport)
}

/// Why a packet was dropped, for a person.
pub(super) fn in_words(reason: Reason) -> &'static str {
    match reason.name() {
        "queue_full" => "the queue of the link is full",
        "lost" => "lost on the link",
        "link_down" => "the link is down",
        "other_host" => "not its Ethernet address (a flooded frame)",
        "no_link" => "no link to send by",
        "filtered" => "no port to send it to",
        "martian_source" => "the source is an address of this host (martian source)",
        "reverse_path" => "the source is not reached by this interface (rp_filter)",
        "not_forwarding" => "not for this host, and ip_forward is 0",
        "no_route" => "no route",
        "ttl_exceeded" => "the time to live is used up",
        "netfilter" => "a rule of netfilter drops it",
        "tunnel_checksum" => {
            "the tunnel wants a checksum, and the packet has none, or the other way round"
        }
        "checksum" => "the checksum is wrong",
        "too_big" => "larger than the MTU, and DF is set",
        "neighbour_failed" => "nobody answered for the next hop",
        "neighbour_queue" => "too many packets wait for the next hop's address",
        "reassembly_failed" => "the fragments never made a whole datagram",
        "no_protocol" => "no protocol or tunnel takes it",
        "no_socket" => "no application has the port",
        "cpu_backlog" => "the backlog of the CPU is full",
        "no_destination" => "IPVS: no real server is available",
        "destination_gone" => "IPVS: its real server was deleted, and expire_nodest_conn is 0",
        "defence" => "IPVS: the drop_packet defence drops new connections",
        "old_conntrack" => "IPVS: an old entry made place, the client has to try again",
        "no_call_id" => "IPVS: the persistence engine finds no Call-ID",
        "no_local_port" => "IPVS: no local port is free",
        "application_queue" => "the queue of the application is full",
        other => other,
    }
}

impl IpStack {
    /// A packet waits for the address of a neighbour.
    #[cold]
    pub(super) fn trace_wait(
        &mut self,
        fab: &mut Fabric,
        interface: u16,
        to: NeighbourId,
        packet: PacketId,
    ) {
        let p = fab.packets[packet];
        if !fab.follows(&p) {
            return;
        }
        self.trace_made(fab, interface, packet);
        let target = self.neighbours.entries()[to.0 as usize].ip;
        let i = &self.interfaces[interface as usize];
        let mut askers = vec![p.src];
        if target.is_v6() {
            askers.extend(i.addresses6.iter().map(|a| a.ip));
        } else {
            askers.extend(self.select_address(interface, target));
        }
        if let Some(trace) = &mut fab.trace {
            trace.waits(packet, target, askers);
        }
        let how = if target.is_v6() { "neighbour solicitation" } else { "ARP" };
        let text = format!("waits for {how}: who has {}?", fab.book.address(target));
        fab.tell(TracePlace::Host(self.host, Some(interface)), Step::Done, text);
    }

    /// A frame leaves by an interface, or waits inside until the CPU is done with it.
    #[cold]
    pub(super) fn trace_out(&mut self, fab: &mut Fabric, interface: u16, packet: PacketId) {
        let i = &self.interfaces[interface as usize];
        let p = Packet { src_mac: i.mac, ..fab.packets[packet] };
        if !fab.follows(&p) || i.direction == NO_LINK {
            return;
        }
        let waited = fab.trace.as_mut().is_some_and(|t| t.release(packet));
        if !waited {
            self.trace_made(fab, interface, packet);
        }
        if self.held.is_some() {
            if let Some(trace) = &mut fab.trace {
                trace.hold(packet);
            }
            return;
        }
        let text = fab.frame_in_words(&p);
        fab.tell(TracePlace::Host(self.host, Some(interface)), Step::Out, text);
    }

    /// Tells the way of a packet that was made here.
    fn trace_made(&self, fab: &mut Fabric, interface: u16, packet: PacketId) {
        let p = fab.packets[packet];
        if let Some(trace) = &mut fab.trace {
            trace.learn(&p);
        }
        if fab.leaves(packet) || neighbour_of(&p).is_some() {
            return;
        }
        let again = fab.trace.as_mut().is_some_and(|t| t.sends_again(&p));
        let what = match p.proto {
            _ if again => "sent again",
            proto::ICMP | proto::ICMPV6 => "answers by ICMP",
            _ if p.is_fragment() => "made here, a fragment",
            _ => "made here",
        };
        let text = format!("{what}; {}", self.way(fab, &Query::of(&p, route::OWN)));
        fab.tell(TracePlace::Host(self.host, Some(interface)), Step::Done, text);
    }

    /// Where routing sends a packet, in words.
    pub(super) fn way(&self, fab: &Fabric, query: &Query) -> String {
        let to = fab.book.address(query.dst);
        match self.routes.lookup(&fab.book, query) {
            Lookup::Local => {
                format!("for this host: {to} is on {}", self.device_of(query.dst))
            }
            Lookup::Broadcast => "for everybody on the link".to_owned(),
            Lookup::Refused(_) => format!("a route refuses {to}"),
            Lookup::None => format!("no route to {to}"),
            Lookup::Unicast(route) => {
                let redirected = self.routes.redirected(query.dst);
                let hops = redirected.as_ref().map_or(&route.hops[..], core::slice::from_ref);
                let hops: Vec<String> = hops
                    .iter()
                    .map(|hop| match hop.via {
                        Some(via) => {
                            format!(
                                "via {} dev {}",
                                fab.book.address(via),
                                self.device(hop.interface)
                            )
                        }
                        None => format!("on the link of {}", self.device(hop.interface)),
                    })
                    .collect();
                format!("routed {}", hops.join(" or "))
            }
        }
    }

    /// The name of an interface.
    pub(super) fn device(&self, interface: u16) -> &str {
        match self.interfaces.get(interface as usize) {
            Some(i) => &i.name,
            None => "lo",
        }
    }

    /// The name of the interface that has an address.
    pub(super) fn device_of(&self, ip: Ip) -> &str {
        let has = |i: &&super::ip::Interface| {
            i.addresses.iter().any(|a| a.ip == ip) || i.addresses6.iter().any(|a| a.ip == ip)
        };
        self.interfaces.iter().find(has).map_or("lo", |i| &i.name)
    }
}

impl Host {
    fn app(&self, fab: &mut Fabric, text: String) {
        fab.tell(TracePlace::Host(self.number, None), Step::Application, text);
    }

    /// A client application starts a connection.
    #[cold]
    pub(super) fn trace_start(&self, fab: &mut Fabric, session: &Session) {
        let client = &self.clients[session.application as usize];
        let target = (fab.book.address(client.target.0), client.target.1);
        let flow = Flow {
            number: 0,
            client: client.config.name.clone(),
            transport: client.config.transport,
            source: (fab.book.address(session.source.0), session.source.1),
            target,
            start: fab.now,
        };
        let tag = client.tag(session.number);
        let Some(trace) = &mut fab.trace else { return };
        if trace.begin(flow, &self.name, tag)
            && let Some(flow) = trace.flow()
        {
            let text = format!("connection {} ({}) starts: {flow}", flow.number, flow.client);
            self.app(fab, text);
        }
    }

    /// A client is done with a connection.
    #[cold]
    pub(super) fn trace_end(&self, fab: &mut Fabric, s: &Session, failure: Option<Failure>) {
        let client = &self.clients[s.application as usize];
        if !fab.trace.as_ref().is_some_and(|t| t.follows_tag(client.tag(s.number))) {
            return;
        }
        let result = match failure {
            None => "served".to_owned(),
            Some(failure) => format!("failed ({failure})"),
        };
        let text = format!(
            "client: {result} after {}: {} answered, {} received",
            lasting(fab.now - s.start),
            counted(u64::from(s.done), "request"),
            counted(s.bytes, "byte"),
        );
        self.app(fab, text);
    }

    /// TCP tells an application something.
    #[cold]
    pub(super) fn trace_note(&self, fab: &mut Fabric, conn: Conn, note: Note) {
        if !fab.trace.as_ref().is_some_and(|t| t.follows_tag(self.tcp.tag(conn))) {
            return;
        }
        let text = match note {
            Note::Connected => "connected".to_owned(),
            Note::Accepted { .. } => "a connection waits to be accepted".to_owned(),
            Note::FirstByte => return,
            Note::MessageComplete { total } => {
                format!("a message is complete ({} so far)", counted(total, "byte"))
            }
            Note::PeerClosed => "the other side has closed".to_owned(),
            Note::Closed => "closed by both sides".to_owned(),
            Note::Reset => "reset by the other side".to_owned(),
            Note::Refused => "refused".to_owned(),
            Note::Unreachable => "unreachable".to_owned(),
            Note::TimedOut => "TCP gives up: no answer".to_owned(),
            Note::Aborted => "aborted: this side sent RST".to_owned(),
        };
        self.app(fab, text);
    }

    /// A server application answers.
    #[cold]
    pub(super) fn trace_reply(&self, fab: &mut Fabric, reply: &Reply) {
        let (tag, bytes) = match *reply {
            Reply::Write { conn, bytes, .. } => (self.tcp.tag(conn), bytes),
            Reply::Datagram { bytes, tag, .. } => (tag, bytes),
        };
        if fab.trace.as_ref().is_some_and(|t| t.follows_tag(tag)) {
            let text = format!("the server answers with {}", counted(u64::from(bytes), "byte"));
            self.app(fab, text);
        }
    }

    /// A server application gets a datagram.
    #[cold]
    pub(super) fn trace_datagram(&self, fab: &mut Fabric, p: &Packet) {
        if fab.follows(p) {
            let bytes = counted(u64::from(p.payload()), "byte");
            self.app(fab, format!("the server on port {} gets {bytes}", p.dport));
        }
    }
}

/// `60 s`, `7.021 ms`, `3.5 us`, down to nanoseconds.
pub(super) fn lasting(span: Span) -> String {
    let ns = span.as_nanos();
    let (unit, name) = match ns {
        1_000_000_000.. => (1_000_000_000, "s"),
        1_000_000.. => (1_000_000, "ms"),
        1000.. => (1000, "us"),
        _ => return format!("{ns} ns"),
    };
    let thousandths = format!("{:03}", ns % unit * 1000 / unit);
    let digits = thousandths.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    format!("{}{point}{digits} {name}", ns / unit)
}

/// `1 byte`, `2 bytes`.
pub(super) fn counted(number: u64, thing: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let cases =
            [(60_000_000_000, "60 s"), (7_021_065, "7.021 ms"), (3500, "3.5 us"), (5, "5 ns")];
        for (ns, text) in cases {
            assert_eq!(lasting(Span::from_nanos(ns)), text);
        }
    }

    #[test]
    fn every_reason_is_told_in_words() {
        let reasons = [Reason::QueueFull, Reason::CpuBacklog, Reason::NoSocket, Reason::TooBig];
        for reason in reasons {
            assert!(in_words(reason).contains(' '), "{}", reason.name());
        }
    }
}
