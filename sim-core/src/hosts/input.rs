//! What a host does with an IP packet that came in: for itself, or to be forwarded.

use super::Host;
use super::cpu::Work;
use super::director::{About, dropped};
use super::fabric::{Event, Fabric, Place, Reason};
use super::ip::Target;
use crate::engine::Time;
use crate::net::fragment::{self, Outcome};
use crate::net::icmp as errors;
use crate::net::route::{OWN, Refusal, Source};
use crate::wire::{AddressBook, Flags, Ip, Kind, Packet, PacketId, icmp, proto};

/// Whether a packet is the outside of a tunnel.
pub(super) fn is_wrapped(p: &Packet) -> bool {
    match p.proto {
        proto::IPIP | proto::IPV6 | proto::GRE => true,
        proto::UDP => p.body.is_packet(),
        _ => false,
    }
}

impl Host {
    /// An IPv4 packet came in by an interface (`ip_rcv`). The short way of [`Host::judge`], which nearly
    /// every packet can take: its source was accepted before, where its destination leads is known, and
    /// nothing but routing decides.
    #[expect(clippy::inline_always, reason = "every packet passes here")]
    #[inline(always)]
    pub(super) fn ip_input(&mut self, fab: &mut Fabric, interface: u16, packet: PacketId) {
        let p = &mut fab.packets[packet];
        if !self.ip.filters
            && self.ip.is_accepted(interface, p.src)
            && let Some(target) = self.ip.known_target(p.dst)
        {
            match *target {
                Target::Neighbour { interface: out, neighbour, mtu } => {
                    let plain = self.ip.forwards_plainly && out != interface;
                    if plain && p.ttl > 1 && p.len <= mtu {
                        p.ttl -= 1;
                        self.ip.transmit(fab, out, neighbour, packet);
                        return;
                    }
                }
                Target::Local if self.ip.balances || p.is_fragment() => {
                    self.local_input_checked(fab, packet);
                    return;
                }
                Target::Local => {
                    self.deliver_local(fab, packet);
                    return;
                }
                _ => {}
            }
        }
        self.judge(fab, interface, packet);
    }

    /// Whether a packet is accepted, and where it goes.
    #[inline(never)]
    fn judge(&mut self, fab: &mut Fabric, interface: u16, packet: PacketId) {
        let mut packet = packet;
        if self.ip.filters {
            let Some(goes_on) = self.prerouting(fab, interface, packet) else { return };
            packet = goes_on;
        }
        let p = &fab.packets[packet];
        let (src, dst) = (p.src, p.dst);
        if !self.ip.is_accepted(interface, src)
            && let Some(reason) = self.refuse_source(&fab.book, interface, (src, dst))
        {
            fab.drop(Place::Host(self.number), reason, packet);
            return;
        }
        match self.ip.route(&fab.book, p, interface) {
            Target::Local | Target::Broadcast => self.local_input(fab, packet),
            target => self.forward(fab, interface, target, packet),
        }
    }

    /// `fib_validate_source`: no own address as a source, and the reverse path filter.
    #[cold]
    pub(super) fn refuse_source(
        &mut self,
        book: &AddressBook,
        interface: u16,
        (src, dst): (Ip, Ip),
    ) -> Option<Reason> {
        let sysctl = self.ip.interfaces[interface as usize].sysctl;
        let judged = self.ip.routes.judge_source(book, (src, dst), interface, &sysctl);
        if judged == Source::Accepted && self.ip.routes.is_plain() {
            self.ip.accept(interface, src);
        }
        reason(judged)
    }

    /// A packet for this host (hook `LOCAL_IN`).
    #[inline]
    pub(super) fn local_input(&mut self, fab: &mut Fabric, packet: PacketId) {
        if self.ip.balances || self.ip.filters || fab.packets[packet].is_fragment() {
            self.local_input_checked(fab, packet);
        } else {
            self.deliver_local(fab, packet);
        }
    }

    /// [`Host::local_input`] for fragments, directors and hosts with netfilter rules.
    #[inline(never)]
    fn local_input_checked(&mut self, fab: &mut Fabric, packet: PacketId) {
        let Some(packet) = self.gather(fab, packet) else { return };
        if self.ip.filters && !self.input_rules(fab, packet) {
            return;
        }
        if !self.director_input(fab, packet) {
            self.accept_local(fab, packet);
        }
    }

    /// Keeps a fragment until the datagram is whole; hands whole packets on.
    #[inline]
    pub(super) fn gather(&mut self, fab: &mut Fabric, packet: PacketId) -> Option<PacketId> {
        if !fab.packets[packet].is_fragment() {
            return Some(packet);
        }
        self.gather_slow(fab, packet)
    }

    #[cold]
    fn gather_slow(&mut self, fab: &mut Fabric, packet: PacketId) -> Option<PacketId> {
        let part = fab.packets[packet];
        let offered = self.reassembly.offer(fab.now, &part);
        self.arm_reassembly(fab);
        // the cache owns the body now, or gives it back to be freed
        fab.packets[packet].body = PacketId::NONE;
        for body in offered.release {
            fab.deliver(body);
        }
        match offered.outcome {
            Outcome::Complete(first) => {
                let body = first.body;
                fab.deliver(packet);
                if first.len != fab.packets[body].len {
                    // fragments of two datagrams with one identification: the checksum is wrong
                    fab.drop(Place::Host(self.number), Reason::ReassemblyFailed, body);
                    return None;
                }
                let whole = fragment::assemble(&first, &fab.packets[body]);
                fab.packets[body] = whole;
                Some(body)
            }
            Outcome::Waiting => {
                fab.deliver(packet);
                None
            }
            Outcome::Discarded(_) => {
                fab.drop(Place::Host(self.number), Reason::ReassemblyFailed, packet);
                None
            }
        }
    }

    /// Datagrams that stayed in pieces too long are given up (`ip_expire`).
    pub(super) fn reassembly_deadline(&mut self, fab: &mut Fabric) {
        if self.reassembly_armed <= fab.now {
            self.reassembly_armed = Time::NEVER;
        }
        while let Some(expired) = self.reassembly.expire(fab.now) {
            let Some(first) = expired.first else { continue };
            let first = fab.packets.insert(first);
            self.send_error(fab, first, icmp::TIME_EXCEEDED, 1, 0);
            fab.drop(Place::Host(self.number), Reason::ReassemblyFailed, first);
        }
        self.arm_reassembly(fab);
    }

    /// Asks to be woken when the next datagram is to be given up, if no earlier wake-up is set.
    fn arm_reassembly(&mut self, fab: &mut Fabric) {
        if let Some(at) = self.reassembly.deadline()
            && at < self.reassembly_armed
        {
            self.reassembly_armed = at;
            fab.queue.push(at, Event::Reassembly { host: self.number });
        }
    }

    /// Hands a packet to the protocol it is for.
    #[inline(never)]
    pub(super) fn deliver_local(&mut self, fab: &mut Fabric, packet: PacketId) {
        let p = &fab.packets[packet];
        match p.proto {
            proto::TCP => {
                // what acknowledges shows that packets get there; a SYN or a reset does not
                if p.flags.has(Flags::ACK) && !p.flags.has(Flags::RST) {
                    self.ip.heard_from(&fab.book, fab.now, p.src);
                }
                // only who opens a connection asks what the way back takes
                let opens = p.flags.has(Flags::SYN);
                let mtu = if opens { self.ip.mtu_towards(&fab.book, p.src) } else { 0 };
                self.tcp.on_packet(fab.now, p, mtu, &mut fab.out);
                fab.deliver(packet);
                self.tcp_output(fab);
            }
            proto::UDP => {
                if !self.fou_input(fab, packet) {
                    self.datagram_input(fab, packet);
                }
            }
            proto::ICMP if p.kind == Kind::Ipv4 => self.icmp_input(fab, packet),
            proto::ICMPV6 if p.kind == Kind::Ipv6 => self.icmpv6_input(fab, packet),
            proto::IPIP | proto::IPV6 | proto::GRE => self.tunnel_input(fab, packet),
            proto::VRRP | proto::AH => self.advert_input(fab, packet),
            _ => self.refuse(fab, packet, icmp::PROTOCOL, Reason::NoProtocol),
        }
    }

    /// A packet that is not for this host (`ip_forward`).
    fn forward(&mut self, fab: &mut Fabric, interface: u16, target: Target, packet: PacketId) {
        if !self.ip.sysctl.ip_forward {
            fab.drop(Place::Host(self.number), Reason::NotForwarding, packet);
            return;
        }
        let Target::Neighbour { interface: out, neighbour, mtu } = target else {
            self.no_way(fab, target, packet);
            return;
        };
        let Some(packet) = self.whole(fab, packet) else { return };
        let p = &mut fab.packets[packet];
        if p.ttl <= 1 {
            self.send_error(fab, packet, icmp::TIME_EXCEEDED, 0, 0);
            fab.drop(Place::Host(self.number), Reason::TtlExceeded, packet);
            return;
        }
        if p.len > mtu && p.dont_fragment() {
            self.send_error(fab, packet, icmp::UNREACHABLE, icmp::FRAG_NEEDED, u32::from(mtu));
            fab.drop(Place::Host(self.number), Reason::TooBig, packet);
            return;
        }
        p.ttl -= 1;
        if out == interface {
            self.redirect(fab, interface, neighbour, packet);
        }
        if self.ip.filters && !self.forward_rules(fab, out, packet) {
            return;
        }
        self.forward_on(fab, target, packet);
    }

    /// The packet as IPVS sees it when it is forwarded: a director puts fragments together
    /// (`nf_defrag_ipv4`, `nf_defrag_ipv6`). `None`: the others are awaited.
    #[inline]
    pub(super) fn whole(&mut self, fab: &mut Fabric, packet: PacketId) -> Option<PacketId> {
        if self.ip.balances { self.gather(fab, packet) } else { Some(packet) }
    }

    /// Sends a forwarded packet on its way, past IPVS if the host is a director (hook `FORWARD`).
    #[inline]
    pub(super) fn forward_on(&mut self, fab: &mut Fabric, target: Target, packet: PacketId) {
        let mut target = target;
        if self.ip.balances {
            if !matches!(fab.packets[packet].proto, proto::ICMP | proto::ICMPV6) {
                let Some(way) = self.director_forward(fab, target, packet) else { return };
                target = way;
            } else if self.director_forward_error(fab, packet) {
                return;
            }
        }
        self.ip.output_to(fab, target, packet);
    }

    /// Answers a packet that is not forwarded (`ip_error`).
    #[cold]
    pub(super) fn no_way(&mut self, fab: &mut Fabric, target: Target, packet: PacketId) {
        let code = match target {
            Target::Refused(Refusal::Blackhole) => None,
            Target::Refused(how) => how.code(),
            _ => Some(icmp::NET),
        };
        match code {
            Some(code) => self.refuse(fab, packet, code, Reason::NoRoute),
            None => fab.drop(Place::Host(self.number), Reason::NoRoute, packet),
        }
    }

    /// Tells a sender on the same link that it could have taken the next hop itself
    /// (`ip_rt_send_redirect`).
    #[cold]
    fn redirect(
        &mut self,
        fab: &mut Fabric,
        interface: u16,
        neighbour: crate::net::arp::NeighbourId,
        packet: PacketId,
    ) {
        let i = &self.ip.interfaces[interface as usize];
        let p = &fab.packets[packet];
        let gateway = self.ip.neighbours.entries()[neighbour.0 as usize].ip;
        let shared = i.addresses.iter().any(|a| {
            let prefix = crate::wire::Prefix::new(a.ip, a.len);
            prefix.contains(p.src) && prefix.contains(gateway)
        });
        if !i.sysctl.send_redirects || !shared || !self.ip.redirects.allow(fab.now, p.src) {
            return;
        }
        self.send_error(fab, packet, icmp::REDIRECT, 1, gateway.0);
    }

    /// Sends an ICMP error about a packet to its source, from the address it was sent to if that is
    /// an own one (`icmp_send`). The packet stays with the caller.
    #[cold]
    pub(super) fn send_error(
        &mut self,
        fab: &mut Fabric,
        packet: PacketId,
        kind: u8,
        code: u8,
        info: u32,
    ) {
        let to = fab.packets[packet].dst;
        let source = self.is_taken_in(fab, packet).then_some(to);
        self.send_error_from(fab, packet, source, (kind, code, info));
    }

    /// Whether a packet is for this host: by its address, or by the rules of routing.
    fn is_taken_in(&mut self, fab: &Fabric, packet: PacketId) -> bool {
        let p = &fab.packets[packet];
        self.ip.is_local(&fab.book, p.dst)
            || !self.ip.routes.is_plain() && self.ip.route(&fab.book, p, OWN) == Target::Local
    }

    /// Sends an ICMP error from `source`, or from the address that routing selects.
    #[cold]
    fn send_error_from(
        &mut self,
        fab: &mut Fabric,
        packet: PacketId,
        source: Option<Ip>,
        (kind, code, info): (u8, u8, u32),
    ) {
        let offending = fab.packets[packet];
        // with netfilter it passes the rules like any own packet, on its way to whom it may concern
        if !self.ip.filters && self.ip.is_local(&fab.book, offending.src) {
            if is_wrapped(&offending) {
                // it comes back by `lo` to whoever made the tunnel packet
                let error = errors::error(&offending, offending.src, kind, code, info);
                if let Some(error) = error {
                    self.tunnel_error(fab, &error, &offending);
                }
            } else {
                self.local_error(fab, &offending, (kind, code, info), offending.src);
            }
            return;
        }
        let Some(source) = source.or_else(|| self.ip.source_for(&fab.book, offending.src)) else {
            return;
        };
        let Some(mut error) = errors::error(&offending, source, kind, code, info) else { return };
        let allowed = if error.kind == Kind::Ipv6 {
            let prefix = self.ip.prefix_towards(&fab.book, error.dst);
            self.ip.limiter.allow_v6(fab.now, error.dst, error.sport as u8, prefix)
        } else {
            error.id = self.ip.next_id();
            self.ip.limiter.allow(fab.now, error.dst, kind, code)
        };
        if !allowed {
            return;
        }
        error.body = fab.packets.duplicate(packet);
        error.ttl = self.ip.sysctl.default_ttl;
        let error = fab.packets.insert(error);
        if self.ip.balances
            && let About::Refused(reason) = self.director_error(fab, error)
        {
            fab.drop(Place::Host(self.number), dropped(reason), error);
            return;
        }
        self.ip.output(fab, error);
    }

    /// Refuses a packet for this host with ICMP destination unreachable.
    #[cold]
    pub(super) fn refuse(&mut self, fab: &mut Fabric, packet: PacketId, code: u8, reason: Reason) {
        self.send_error(fab, packet, icmp::UNREACHABLE, code, 0);
        fab.drop(Place::Host(self.number), reason, packet);
    }

    /// No neighbour answered for a packet (`ipv4_link_failure`). It was on its way out, so even one for
    /// an own address (the VIP with DR) is not answered from there.
    #[cold]
    pub(super) fn host_unreachable(&mut self, fab: &mut Fabric, packet: PacketId) {
        self.send_error_from(fab, packet, None, (icmp::UNREACHABLE, icmp::HOST, 0));
        fab.drop(Place::Host(self.number), Reason::NeighbourFailed, packet);
    }

    /// An ICMP packet for this host.
    #[cold]
    fn icmp_input(&mut self, fab: &mut Fabric, packet: PacketId) {
        let p = fab.packets[packet];
        let (kind, code) = (p.sport as u8, p.dport as u8);
        match kind {
            icmp::ECHO => {
                fab.deliver(packet);
                if !self.ip.sysctl.icmp_echo_ignore_all
                    && let Some(mut reply) = errors::echo_reply(&p)
                {
                    reply.ttl = self.ip.sysctl.default_ttl;
                    self.ip.originate(fab, &reply);
                }
            }
            icmp::REDIRECT if p.body != PacketId::NONE => {
                let to = fab.packets[p.body].dst;
                fab.deliver(packet);
                self.ip.learn_redirect(fab, (p.src, to, Ip(p.seq)));
            }
            icmp::UNREACHABLE | icmp::TIME_EXCEEDED if p.body != PacketId::NONE => {
                let quoted = fab.packets[p.body];
                fab.deliver(packet);
                self.local_error(fab, &quoted, (kind, code, p.seq), p.src);
            }
            icmp::ECHO_REPLY => {
                fab.deliver(packet);
                self.echo_by_hand(fab, &p);
                self.probe_echo(fab, &p);
            }
            _ => fab.deliver(packet),
        }
    }

    /// An error from `from` about a packet this host sent.
    pub(super) fn local_error(
        &mut self,
        fab: &mut Fabric,
        quoted: &Packet,
        (kind, code, info): (u8, u8, u32),
        from: Ip,
    ) {
        let mtu = u16::try_from(info).unwrap_or(u16::MAX);
        if (kind, code) == (icmp::UNREACHABLE, icmp::FRAG_NEEDED) {
            self.ip.learn_path_mtu(fab, quoted.dst, mtu);
        }
        match quoted.proto {
            proto::TCP => {
                self.tcp.on_icmp_error(fab.now, quoted, kind, code, mtu, &mut fab.out);
                self.tcp_output(fab);
            }
            proto::UDP if self.error_by_hand(fab, quoted, (kind, code), from) => {}
            proto::UDP if self.probe_error(fab, quoted, (kind, code)) => {}
            proto::UDP => self.datagram_error(fab, quoted, kind, code),
            _ => {}
        }
    }

    /// Tells the CPU model what the packet in hand costs.
    #[inline]
    pub(super) fn work_of(&mut self, forwarding: crate::ipvs::rules::Forwarding) {
        use crate::ipvs::rules::Forwarding;
        self.note_work(match forwarding {
            Forwarding::Nat | Forwarding::FullNat => Work::Nat,
            Forwarding::Dr => Work::Dr,
            Forwarding::Tun => Work::Tun,
            Forwarding::LocalNode | Forwarding::Bypass => Work::Other,
        });
    }
}

/// Why a packet with such a source is dropped.
const fn reason(source: Source) -> Option<Reason> {
    match source {
        Source::Accepted => None,
        Source::Own => Some(Reason::MartianSource),
        Source::ReversePath => Some(Reason::ReversePath),
    }
}
