//! Netfilter at its hooks: which chains a packet passes on its way through a host, in Linux's order.
//!
//! | hook | what happens there |
//! |---|---|
//! | `PREROUTING` | fragments are put together, raw, connection tracking, mangle, DNAT |
//! | `INPUT` | mangle, filter, then IPVS, then SNAT; the connection is confirmed |
//! | `FORWARD` | mangle, filter, then IPVS |
//! | `OUTPUT` | raw, connection tracking, mangle, DNAT, then IPVS, then filter |
//! | `POSTROUTING` | mangle, SNAT; the connection is confirmed |
//!
//! A packet that passes through a host is dealt with at once, so what is known about it besides its
//! headers is kept for the one packet in hand.

use super::Host;
use super::fabric::{Event, Fabric, Place, Reason};
use super::ip::{IpStack, Target};
use crate::config::{FilterChain, FilterTable, RejectWith};
use crate::engine::Time;
use crate::net::conntrack::{Conntrack, Side, Tracked};
use crate::net::filter::{Filter, Translation, Verdict, View};
use crate::net::{icmp as errors, route};
use crate::wire::{Flags, Ip, Kind, Packet, PacketId, icmp, proto};
use core::net::Ipv6Addr;

/// The interface of a packet in [`IpStack::undeliverable`] that a rule has rejected.
pub(super) const REJECTED: u16 = u16::MAX - 2;

/// What is known about the packet in hand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hand {
    tracked: Tracked,
    input: Option<u16>,
    /// Virtual address and port, once IPVS has taken it.
    service: Option<(Ip, u16)>,
}

/// Netfilter of a host.
#[derive(Debug)]
pub struct Netfilter {
    filter: Filter,
    tracking: Option<Conntrack>,
    /// `net.ipv4.vs.conntrack`: packets of IPVS stay tracked.
    ipvs_tracked: bool,
    hand: Hand,
    /// Packets on `lo`.
    looped: Vec<(PacketId, Hand)>,
    rejected: Vec<RejectWith>,
    /// Earliest wake-up in the event queue.
    armed: Time,
    host: u16,
}

/// What becomes of a packet at a hook.
enum Passage {
    Goes,
    Dropped,
    Rejected(RejectWith),
}

impl Netfilter {
    /// Netfilter with these rules. Connections are tracked if a rule or IPVS needs it.
    pub fn new(filter: Filter, ipvs_tracked: bool) -> Self {
        let tracking = (filter.needs_tracking() || ipvs_tracked).then(Conntrack::new);
        Self {
            filter,
            tracking,
            ipvs_tracked,
            hand: Hand::default(),
            looped: Vec::new(),
            rejected: Vec::new(),
            armed: Time::NEVER,
            host: 0,
        }
    }

    /// Connections in the table of those that are tracked.
    pub fn tracked(&self) -> usize {
        self.tracking.as_ref().map_or(0, Conntrack::len)
    }

    /// Takes a packet in hand. What was in hand before and has not been confirmed went nowhere.
    fn take_up(&mut self, hand: Hand) {
        if let Some(tracking) = &mut self.tracking {
            tracking.release(self.hand.tracked);
        }
        self.hand = hand;
    }

    /// Connection tracking leaves the packet in hand alone (`ip_vs_notrack`).
    fn untrack(&mut self) {
        self.take_up(Hand { tracked: Tracked::Untracked, ..self.hand });
    }

    fn run(
        &mut self,
        fab: &mut Fabric,
        (table, chain): (FilterTable, FilterChain),
        output: Option<u16>,
        local: bool,
        packet: PacketId,
    ) -> Verdict {
        let Hand { tracked, input, service: ipvs } = self.hand;
        let view = View { book: &fab.book, input, output, state: tracked.state(), ipvs, local };
        let mark = self.tracking.as_mut().and_then(|t| t.mark(tracked));
        let met = if fab.traced() {
            let of = mark.as_deref().copied();
            self.filter.met((table, chain), &view, &fab.packets[packet], of)
        } else {
            Vec::new()
        };
        let marked = fab.packets[packet].mark;
        let verdict = self.filter.run(table, chain, &view, &mut fab.packets[packet], mark);
        if !met.is_empty() {
            fab.trace_rules(self.host, (table, chain), (&met, marked, verdict), packet);
        }
        verdict
    }

    /// Passes the packet in hand through tables that decide whether it goes on.
    fn pass(
        &mut self,
        fab: &mut Fabric,
        tables: &[FilterTable],
        chain: FilterChain,
        output: Option<u16>,
        local: bool,
        packet: PacketId,
    ) -> Passage {
        for table in tables {
            match self.run(fab, (*table, chain), output, local, packet) {
                Verdict::Drop => return Passage::Dropped,
                Verdict::Reject(how) => return Passage::Rejected(how),
                Verdict::Accept | Verdict::Translate(_) | Verdict::NoTrack => {}
            }
        }
        Passage::Goes
    }

    /// Table raw and connection tracking.
    fn track(&mut self, fab: &mut Fabric, chain: FilterChain, local: bool, packet: PacketId) {
        let alone = self.run(fab, (FilterTable::Raw, chain), None, local, packet);
        if alone == Verdict::NoTrack {
            return;
        }
        if let Some(tracking) = &mut self.tracking {
            let p = &fab.packets[packet];
            let quoted = quoted(p).and_then(|body| fab.packets.get(body));
            self.hand.tracked = tracking.packet(fab.now, p, quoted);
        }
    }

    /// Table nat: the first packet of a connection asks the rules, every packet is rewritten.
    /// `own`: the address for `MASQUERADE` or `REDIRECT`.
    fn translate(
        &mut self,
        fab: &mut Fabric,
        (chain, side): (FilterChain, Side),
        (output, own): (Option<u16>, Option<Ip>),
        local: bool,
        packet: PacketId,
    ) -> Passage {
        let tracked = self.hand.tracked;
        let asks = self.tracking.as_ref().is_some_and(|t| t.asks(tracked, side));
        if asks {
            let to = match self.run(fab, (FilterTable::Nat, chain), output, local, packet) {
                Verdict::Translate(to) => match (to, side) {
                    (Translation::Source(ip, port), Side::Source)
                    | (Translation::Destination(ip, port), Side::Destination) => Some((ip, port)),
                    (Translation::Masquerade, Side::Source) => own.map(|ip| (ip, None)),
                    (Translation::Redirect(port), Side::Destination) => own.map(|ip| (ip, port)),
                    _ => None,
                },
                Verdict::Drop => return Passage::Dropped,
                _ => None,
            };
            if let (Some(tracking), Tracked::Entry { slot, .. }) = (&mut self.tracking, tracked)
                && !tracking.translate(fab.now, slot, side, to)
            {
                return Passage::Dropped;
            }
        }
        if let Some(tracking) = &self.tracking {
            let body = quoted(&fab.packets[packet]);
            let mut inside = body.and_then(|body| fab.packets.get(body).copied());
            tracking.rewrite(tracked, side, &mut fab.packets[packet], inside.as_mut());
            if let (Some(body), Some(inside)) = (body, inside) {
                fab.packets[body] = inside;
            }
        }
        Passage::Goes
    }

    /// The packet in hand has come to its end: its connection enters the table.
    fn confirm(&mut self, fab: &mut Fabric, host: u16) -> Passage {
        let Some(tracking) = &mut self.tracking else { return Passage::Goes };
        let confirmed = tracking.confirm(fab.now, self.hand.tracked);
        if let Some(at) = tracking.next_deadline()
            && at < self.armed
        {
            self.armed = at.max(fab.now);
            fab.queue.push(self.armed, Event::Conntrack { host });
        }
        if confirmed { Passage::Goes } else { Passage::Dropped }
    }
}

/// The packet that an ICMP error quotes.
fn quoted(packet: &Packet) -> Option<PacketId> {
    let error = errors::is_error(packet) || packet.proto == proto::ICMPV6 && packet.sport < 128;
    (error && packet.body != PacketId::NONE).then_some(packet.body)
}

const BOTH: &[FilterTable] = &[FilterTable::Mangle, FilterTable::Filter];
const MANGLE: &[FilterTable] = &[FilterTable::Mangle];
const FILTER: &[FilterTable] = &[FilterTable::Filter];

impl IpStack {
    /// Lets all packets pass these rules from now on, or none any more.
    pub fn set_netfilter(&mut self, netfilter: Option<Netfilter>) {
        let host = self.host;
        self.netfilter = netfilter.map(|n| Box::new(Netfilter { host, ..n }));
        self.filters = self.netfilter.is_some();
        self.settle_forwarding();
    }

    /// Connections that netfilter tracks.
    pub fn tracked(&self) -> usize {
        self.netfilter.as_ref().map_or(0, |n| n.tracked())
    }

    /// Whether `packet` is for an own address.
    fn is_for_us(&mut self, fab: &Fabric, packet: PacketId) -> bool {
        self.is_local(&fab.book, fab.packets[packet].dst)
    }

    /// Does what a hook decided: `true` if the packet goes on.
    fn passes(&mut self, fab: &mut Fabric, passage: &Passage, packet: PacketId) -> bool {
        match passage {
            Passage::Goes => return true,
            Passage::Dropped => fab.drop(Place::Host(self.host), Reason::Netfilter, packet),
            Passage::Rejected(how) => {
                if let Some(netfilter) = &mut self.netfilter {
                    netfilter.rejected.push(*how);
                }
                self.undeliverable.push((REJECTED, packet));
                self.unsettled = true;
            }
        }
        false
    }

    /// An own packet passes all hooks on its way out. The packet in hand stays what it was.
    #[cold]
    pub(super) fn output_filtered(&mut self, fab: &mut Fabric, target: Target, packet: PacketId) {
        let before = self.put_aside();
        if let Some(target) = self.output_begin(fab, target, packet) {
            self.output_end(fab, target, packet);
        }
        self.take_back(before);
    }

    /// Puts the packet in hand aside for another one.
    pub(super) fn put_aside(&mut self) -> Hand {
        let hand = self.netfilter.as_mut().map(|n| core::mem::take(&mut n.hand));
        hand.unwrap_or_default()
    }

    /// Takes a packet in hand again that was put aside.
    pub(super) fn take_back(&mut self, hand: Hand) {
        if let Some(netfilter) = &mut self.netfilter {
            netfilter.take_up(hand);
        }
    }

    /// Hook `OUTPUT` up to where IPVS looks at the packet: raw, connection tracking, mangle, DNAT. The
    /// way it goes from there; `None` if it went no further.
    #[cold]
    pub(super) fn output_begin(
        &mut self,
        fab: &mut Fabric,
        target: Target,
        packet: PacketId,
    ) -> Option<Target> {
        let local = self.is_for_us(fab, packet);
        let netfilter = self.netfilter.as_mut()?;
        netfilter.track(fab, FilterChain::Output, local, packet);
        self.output_rules(fab, target, packet)
    }

    /// Tables mangle and nat of `OUTPUT`; a packet that looks otherwise afterwards is routed again
    /// (`ip_route_me_harder`).
    fn output_rules(
        &mut self,
        fab: &mut Fabric,
        target: Target,
        packet: PacketId,
    ) -> Option<Target> {
        let key = |p: &Packet| (p.src, p.dst, p.mark, p.tos);
        let before = key(&fab.packets[packet]);
        let local = self.is_for_us(fab, packet);
        let output = interface_of(target);
        let own = Some(loopback(fab, fab.packets[packet].kind == Kind::Ipv6));
        let netfilter = self.netfilter.as_mut()?;
        let mut passage = netfilter.pass(fab, MANGLE, FilterChain::Output, output, local, packet);
        if matches!(passage, Passage::Goes) {
            let hook = (FilterChain::Output, Side::Destination);
            passage = netfilter.translate(fab, hook, (output, own), local, packet);
        }
        if !self.passes(fab, &passage, packet) {
            return None;
        }
        let p = &fab.packets[packet];
        if key(p) == before {
            return Some(target);
        }
        Some(self.route(&fab.book, p, route::OWN))
    }

    /// The rest of hook `OUTPUT`, and out.
    #[inline]
    pub(super) fn output_end(&mut self, fab: &mut Fabric, target: Target, packet: PacketId) {
        if self.filters {
            self.output_end_filtered(fab, target, packet);
        } else {
            self.output_to(fab, target, packet);
        }
    }

    #[cold]
    fn output_end_filtered(&mut self, fab: &mut Fabric, target: Target, packet: PacketId) {
        let local = self.is_for_us(fab, packet);
        let Some(netfilter) = &mut self.netfilter else { return };
        let output = interface_of(target);
        let passage = netfilter.pass(fab, FILTER, FilterChain::Output, output, local, packet);
        if self.passes(fab, &passage, packet) {
            self.output_to(fab, target, packet);
        }
    }

    /// Sends what IPVS has taken to its real server: the packet passes `OUTPUT` as if it had been made
    /// here. `service`: virtual address and port; `answers`: where NAT lets answers come from. Unless
    /// IPVS takes part in connection tracking, that leaves the packet alone from here on, and no rule
    /// of the table nat sees it.
    #[inline]
    pub(super) fn output_balanced(
        &mut self,
        fab: &mut Fabric,
        target: Target,
        packet: PacketId,
        service: (Ip, u16),
        answers: Option<(Ip, u16)>,
    ) {
        if self.filters {
            self.output_balanced_filtered(fab, target, packet, service, answers);
        } else {
            self.output_to(fab, target, packet);
        }
    }

    #[cold]
    fn output_balanced_filtered(
        &mut self,
        fab: &mut Fabric,
        target: Target,
        packet: PacketId,
        service: (Ip, u16),
        answers: Option<(Ip, u16)>,
    ) {
        self.balanced(service, answers);
        if let Some(target) = self.output_rules(fab, target, packet) {
            self.output_end(fab, target, packet);
        }
    }

    /// Sends a tunnel packet with what IPVS has taken, which is the packet in hand. Connection tracking
    /// sees the tunnel packet as one of this host's (`ip_vs_tunnel_xmit_prepare`).
    #[inline]
    pub(super) fn output_wrapped(
        &mut self,
        fab: &mut Fabric,
        target: Target,
        outer: PacketId,
        service: (Ip, u16),
    ) {
        let host = self.host;
        let Some(netfilter) = &mut self.netfilter else {
            self.output_to(fab, target, outer);
            return;
        };
        if netfilter.ipvs_tracked {
            let passage = netfilter.confirm(fab, host);
            if !self.passes(fab, &passage, outer) {
                return;
            }
        }
        if let Some(netfilter) = &mut self.netfilter {
            netfilter.take_up(Hand { service: Some(service), ..Hand::default() });
        }
        if let Some(target) = self.output_begin(fab, target, outer) {
            self.output_end(fab, target, outer);
        }
    }

    /// The packet in hand is a request that IPVS has taken. See [`IpStack::output_balanced`].
    #[inline]
    pub(super) fn balanced(&mut self, service: (Ip, u16), answers: Option<(Ip, u16)>) {
        let Some(netfilter) = &mut self.netfilter else { return };
        netfilter.hand.service = Some(service);
        if !netfilter.ipvs_tracked {
            netfilter.untrack();
        } else if let (Some(tracking), Some(from)) = (&mut netfilter.tracking, answers) {
            tracking.answers_from(netfilter.hand.tracked, from);
        }
    }

    /// Connection tracking leaves the packet in hand alone from here on.
    #[inline]
    pub(super) fn untrack(&mut self) {
        if let Some(netfilter) = &mut self.netfilter {
            netfilter.untrack();
        }
    }

    /// The packet in hand is an answer that IPVS knows: unless it takes part in connection tracking, no
    /// rule of the table nat sees the packet from here on.
    #[inline]
    pub(super) fn answers_balanced(&mut self) {
        if let Some(netfilter) = &mut self.netfilter
            && !netfilter.ipvs_tracked
        {
            netfilter.untrack();
        }
    }

    /// Hook `POSTROUTING`: `true` if the packet goes on.
    #[cold]
    pub(super) fn postrouting(
        &mut self,
        fab: &mut Fabric,
        target: Target,
        packet: PacketId,
    ) -> bool {
        let output = interface_of(target);
        let own = match target {
            Target::Neighbour { interface, .. } if fab.packets[packet].dst.is_v6() => {
                self.select_address6(&fab.book, interface, fab.packets[packet].dst)
            }
            Target::Neighbour { interface, neighbour, .. } => {
                let next = self.neighbours.entries()[neighbour.0 as usize].ip;
                self.select_address(interface, next)
            }
            _ => None,
        };
        let (host, local) = (self.host, self.is_for_us(fab, packet));
        let Some(netfilter) = &mut self.netfilter else { return true };
        let chain = FilterChain::Postrouting;
        let mut passage = netfilter.pass(fab, MANGLE, chain, output, local, packet);
        if matches!(passage, Passage::Goes) {
            let hook = (chain, Side::Source);
            passage = netfilter.translate(fab, hook, (output, own), local, packet);
        }
        if matches!(passage, Passage::Goes) {
            passage = netfilter.confirm(fab, host);
        }
        if target != Target::Local {
            clear_marks(fab, packet);
        } else if matches!(passage, Passage::Goes) {
            netfilter.looped.push((packet, netfilter.hand));
        }
        netfilter.take_up(Hand::default());
        self.passes(fab, &passage, packet)
    }

    /// Connections that are not tracked any longer are forgotten.
    pub(super) fn conntrack_deadline(&mut self, fab: &mut Fabric) {
        let Some(netfilter) = &mut self.netfilter else { return };
        let Some(tracking) = &mut netfilter.tracking else { return };
        tracking.on_deadline(fab.now);
        if netfilter.armed <= fab.now {
            netfilter.armed = Time::NEVER;
        }
        if let Some(at) = tracking.next_deadline()
            && at < netfilter.armed
        {
            netfilter.armed = at;
            fab.queue.push(at, Event::Conntrack { host: self.host });
        }
    }
}

const fn interface_of(target: Target) -> Option<u16> {
    match target {
        Target::Neighbour { interface, .. } => Some(interface),
        Target::Local => Some(route::OWN),
        Target::Broadcast | Target::Refused(_) | Target::Unreachable => None,
    }
}

/// 127.0.0.1 or `::1`.
fn loopback(fab: &mut Fabric, v6: bool) -> Ip {
    if v6 { fab.book.number(Ipv6Addr::LOCALHOST.into()) } else { Ip::new(127, 0, 0, 1) }
}

/// A mark is known on its host only.
fn clear_marks(fab: &mut Fabric, packet: PacketId) {
    let mut next = packet;
    while next != PacketId::NONE {
        let p = &mut fab.packets[next];
        p.mark = 0;
        next = p.body;
    }
}

impl Host {
    /// Hook `PREROUTING`: the packet, put together if it was in pieces; `None` if it went no further.
    #[cold]
    pub(super) fn prerouting(
        &mut self,
        fab: &mut Fabric,
        interface: u16,
        packet: PacketId,
    ) -> Option<PacketId> {
        let tracks = self.ip.netfilter.as_ref().is_some_and(|n| n.tracking.is_some());
        let packet = if tracks { self.gather(fab, packet)? } else { packet };
        let local = self.ip.is_for_us(fab, packet);
        let netfilter = self.ip.netfilter.as_mut()?;
        netfilter.take_up(Hand { input: Some(interface), ..Hand::default() });
        netfilter.track(fab, FilterChain::Prerouting, local, packet);
        self.prerouting_rules(fab, interface, packet).then_some(packet)
    }

    fn prerouting_rules(&mut self, fab: &mut Fabric, interface: u16, packet: PacketId) -> bool {
        let local = self.ip.is_for_us(fab, packet);
        let v6 = fab.packets[packet].kind == Kind::Ipv6;
        let own = match self.ip.interfaces.get(interface as usize) {
            Some(i) if v6 => i.addresses6.first().map(|a| a.ip),
            Some(i) => i.addresses.first().map(|a| a.ip),
            None => Some(loopback(fab, v6)),
        };
        let Some(netfilter) = &mut self.ip.netfilter else { return true };
        let chain = FilterChain::Prerouting;
        let mut passage = netfilter.pass(fab, MANGLE, chain, None, local, packet);
        if matches!(passage, Passage::Goes) {
            let hook = (chain, Side::Destination);
            passage = netfilter.translate(fab, hook, (None, own), local, packet);
        }
        self.goes_on(fab, &passage, packet)
    }

    /// Hook `INPUT` up to where IPVS looks at the packet: `true` if it goes on.
    #[cold]
    pub(super) fn input_rules(&mut self, fab: &mut Fabric, packet: PacketId) -> bool {
        let local = self.ip.is_for_us(fab, packet);
        let Some(netfilter) = &mut self.ip.netfilter else { return true };
        let passage = netfilter.pass(fab, BOTH, FilterChain::Input, None, local, packet);
        self.goes_on(fab, &passage, packet)
    }

    /// The end of hook `INPUT`: `true` if the packet may be delivered.
    #[cold]
    pub(super) fn input_end(&mut self, fab: &mut Fabric, packet: PacketId) -> bool {
        let (host, local) = (self.number, self.ip.is_for_us(fab, packet));
        let Some(netfilter) = &mut self.ip.netfilter else { return true };
        let hook = (FilterChain::Input, Side::Source);
        let mut passage = netfilter.translate(fab, hook, (None, None), local, packet);
        if matches!(passage, Passage::Goes) {
            passage = netfilter.confirm(fab, host);
        }
        netfilter.take_up(Hand::default());
        clear_marks(fab, packet);
        self.goes_on(fab, &passage, packet)
    }

    /// Hook `FORWARD` up to where IPVS looks at the packet: `true` if it goes on.
    #[cold]
    pub(super) fn forward_rules(&mut self, fab: &mut Fabric, out: u16, packet: PacketId) -> bool {
        let Some(netfilter) = &mut self.ip.netfilter else { return true };
        let passage = netfilter.pass(fab, BOTH, FilterChain::Forward, Some(out), false, packet);
        self.goes_on(fab, &passage, packet)
    }

    /// A packet comes in again by `lo`.
    #[cold]
    pub(super) fn looped_input(&mut self, fab: &mut Fabric, packet: PacketId) {
        if let Some(netfilter) = &mut self.ip.netfilter {
            let at = netfilter.looped.iter().rposition(|(id, _)| *id == packet);
            let hand = at.map_or_else(Hand::default, |at| netfilter.looped.swap_remove(at).1);
            let balanced = hand.service.is_some();
            netfilter.take_up(Hand { input: Some(route::OWN), ..hand });
            if !self.prerouting_rules(fab, route::OWN, packet) || !self.input_rules(fab, packet) {
                return;
            }
            if !balanced && self.director.is_some() && self.director_input(fab, packet) {
                return;
            }
        }
        self.accept_local(fab, packet);
    }

    /// Delivers a packet that has passed everything but the end of hook `INPUT`.
    #[inline]
    pub(super) fn accept_local(&mut self, fab: &mut Fabric, packet: PacketId) {
        if !self.ip.filters || self.input_end(fab, packet) {
            self.deliver_local(fab, packet);
        }
    }

    /// Does what a hook decided: `true` if the packet goes on.
    fn goes_on(&mut self, fab: &mut Fabric, passage: &Passage, packet: PacketId) -> bool {
        match passage {
            Passage::Goes => return true,
            Passage::Dropped => fab.drop(Place::Host(self.number), Reason::Netfilter, packet),
            Passage::Rejected(how) => self.reject(fab, *how, packet),
        }
        false
    }

    /// A rule has rejected an own packet.
    #[cold]
    pub(super) fn output_rejected(&mut self, fab: &mut Fabric, packet: PacketId) {
        let how = self.ip.netfilter.as_mut().and_then(|n| n.rejected.pop());
        self.reject(fab, how.unwrap_or(RejectWith::Unreachable(icmp::PORT)), packet);
    }

    /// Drops a packet and tells its sender (`nf_send_unreach`, `nf_send_reset`).
    fn reject(&mut self, fab: &mut Fabric, how: RejectWith, packet: PacketId) {
        match how {
            RejectWith::Unreachable(code) => {
                self.send_error(fab, packet, icmp::UNREACHABLE, code, 0);
            }
            RejectWith::Reset => {
                if let Some(mut answer) = reset(&fab.packets[packet]) {
                    answer.ttl = self.ip.sysctl.default_ttl;
                    self.ip.originate(fab, &answer);
                }
            }
        }
        fab.drop(Place::Host(self.number), Reason::Netfilter, packet);
    }
}

/// The RST that answers a segment; `None` if it is none, or itself a RST (RFC 9293, section 3.10.7.1).
fn reset(segment: &Packet) -> Option<Packet> {
    if segment.proto != proto::TCP || segment.flags.has(Flags::RST) || segment.is_fragment() {
        return None;
    }
    let mut answer = Packet::ip(segment.dst, segment.src, proto::TCP, 20);
    (answer.sport, answer.dport, answer.tag) = (segment.dport, segment.sport, segment.tag);
    if segment.flags.has(Flags::ACK) {
        answer.flags = Flags::RST;
        answer.seq = segment.ack;
    } else {
        answer.flags = Flags::RST.with(Flags::ACK);
        let ends =
            u32::from(segment.flags.has(Flags::SYN)) + u32::from(segment.flags.has(Flags::FIN));
        answer.ack = segment.seq.wrapping_add(u32::from(segment.payload())).wrapping_add(ends);
    }
    Some(answer)
}
