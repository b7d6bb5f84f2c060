//! The director: IPVS at its place among the hooks of a host.
//!
//! The rules are in [`crate::ipvs`]; here they meet routes, neighbours and ICMP.

use super::Host;
use super::fabric::{Event, Fabric, Place, Reason};
use super::input::is_wrapped;
use super::ip::Target;
use crate::engine::Time;
use crate::ipvs::forwarding::Wrapping;
use crate::ipvs::rules::Forwarding;
use crate::ipvs::{
    Command, DropReason, IcmpInVerdict, IcmpOutVerdict, Ipvs, IpvsError, ReplyVerdict, Transmit,
    TunnelVerdict, Verdict, forwarding,
};
use crate::net::route;
use crate::wire::{Ip, Kind, Packet, PacketId, icmp, proto};

/// IPVS of a host.
#[derive(Debug)]
pub struct Director {
    /// The machine.
    pub ipvs: Ipvs,
    /// Earliest wake-up in the event queue.
    armed: Time,
}

/// What an ICMP error is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum About {
    /// Nothing that IPVS knows.
    Nobody,
    /// A request that IPVS sent on.
    Request,
    /// The same, but it goes no further.
    Refused(DropReason),
}

impl Director {
    /// A director around its rules.
    pub fn new(ipvs: Ipvs) -> Self {
        Self { ipvs, armed: Time::NEVER }
    }

    /// Asks to be woken for the next deadline of the table, if no earlier wake-up is set.
    #[inline]
    pub(super) fn arm(&mut self, fab: &mut Fabric, host: u16) {
        let at = self.ipvs.due();
        if at < self.armed {
            self.arm_at(fab, host, at);
        }
    }

    #[inline(never)]
    fn arm_at(&mut self, fab: &mut Fabric, host: u16, at: Time) {
        self.armed = at.max(fab.now);
        fab.queue.push(self.armed, Event::Ipvs { host });
    }
}

/// Where IPVS meets a packet on its way to a real server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hook {
    /// `LOCAL_IN`: it came in.
    Input,
    /// `LOCAL_OUT`: it is a packet of the director itself.
    Output,
}

impl Host {
    /// The table's deadline may have come.
    pub(super) fn director_deadline(&mut self, fab: &mut Fabric) {
        let Some(director) = &mut self.director else { return };
        if director.armed <= fab.now {
            director.armed = Time::NEVER;
        }
        director.ipvs.on_deadline(fab.now);
        if director.ipvs.is_master() {
            self.send_messages(fab);
        }
        if let Some(director) = &mut self.director {
            director.arm(fab, self.number);
        }
    }

    /// Changes the rules.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn administer(&mut self, fab: &mut Fabric, command: &Command) -> Result<(), IpvsError> {
        let Some(director) = &mut self.director else { return Ok(()) };
        let done = director.ipvs.apply(fab.now, command, &mut fab.book);
        director.arm(fab, self.number);
        done
    }

    /// Hook `LOCAL_IN`: `true` if IPVS took the packet.
    #[inline]
    pub(super) fn director_input(&mut self, fab: &mut Fabric, packet: PacketId) -> bool {
        let icmp = matches!(fab.packets[packet].proto, proto::ICMP | proto::ICMPV6);
        if self.director.is_some() && icmp {
            return self.director_icmp(fab, packet);
        }
        self.director_request(fab, packet, Hook::Input)
    }

    /// A packet that may be a request to a virtual service: `true` if IPVS took it.
    #[inline]
    fn director_request(&mut self, fab: &mut Fabric, packet: PacketId, hook: Hook) -> bool {
        let Some(director) = &mut self.director else { return false };
        let p = &fab.packets[packet];
        let verdict = director.ipvs.request(fab.now, p, &mut fab.book);
        director.arm(fab, self.number);
        match verdict {
            Verdict::Transmit(transmit) => {
                self.transmit(fab, transmit, packet, (false, hook));
                true
            }
            Verdict::Accept => false,
            Verdict::Unreachable => {
                self.refuse(fab, packet, icmp::PORT, Reason::NoDestination);
                true
            }
            Verdict::Drop(reason) => {
                fab.drop(Place::Host(self.number), dropped(reason), packet);
                true
            }
            Verdict::Answer { connection } => {
                director.ipvs.rewrite_reply(connection, &mut fab.packets[packet]);
                self.work_of(Forwarding::FullNat);
                self.ip.untrack();
                let p = &fab.packets[packet];
                let service = (p.src, p.sport);
                let target = self.ip.route(&fab.book, p, route::OWN);
                self.ip.output_balanced(fab, target, packet, service, None);
                true
            }
        }
    }

    /// Sends a packet to its real server (`ip_vs_nat_xmit`, `ip_vs_dr_xmit`, `ip_vs_tunnel_xmit`).
    /// `translated`: NAT has rewritten it already (an ICMP error).
    ///
    /// This is the short way of [`Host::transmit_checked`]: NAT or DR to a known neighbour, no rules of
    /// netfilter, nothing to refuse.
    #[inline]
    fn transmit(
        &mut self,
        fab: &mut Fabric,
        to: Transmit,
        packet: PacketId,
        (translated, hook): (bool, Hook),
    ) {
        self.work_of(to.forwarding);
        if matches!(to.forwarding, Forwarding::Nat | Forwarding::Dr)
            && !self.ip.filters
            && let Some(target) = self.ip.known_target(to.rip)
            && let Target::Neighbour { interface, neighbour, .. } = *target
        {
            let p = &mut fab.packets[packet];
            if p.ttl > 1 && p.len <= self.ip.path_mtu(to.rip, *target) {
                p.ttl -= 1;
                if to.forwarding == Forwarding::Nat && !translated {
                    forwarding::nat_request(p, to.rip, to.rport);
                }
                self.ip.transmit(fab, interface, neighbour, packet);
                return;
            }
        }
        self.transmit_checked(fab, to, packet, (translated, hook));
    }

    /// [`Host::transmit`] with everything that may be in the way of a packet.
    #[inline(never)]
    fn transmit_checked(
        &mut self,
        fab: &mut Fabric,
        to: Transmit,
        packet: PacketId,
        (translated, hook): (bool, Hook),
    ) {
        let Some(director) = &self.director else { return };
        let p = &fab.packets[packet];
        let service = (p.dst, p.dport);
        let answers =
            (to.forwarding == Forwarding::Nat && !translated).then_some((to.rip, to.rport));
        let pmtu_disc = director.ipvs.sysctl().pmtu_disc;
        let rip = match to.forwarding {
            Forwarding::Bypass => fab.packets[packet].dst,
            _ => to.rip,
        };
        let target = self.ip.target(&fab.book, rip, || route::flow_hash(&fab.packets[packet]));
        let mtu = match target {
            Target::Neighbour { .. } => self.ip.path_mtu(rip, target),
            Target::Local => {
                self.keep(fab, packet, service, answers, hook);
                return;
            }
            Target::Broadcast | Target::Refused(_) | Target::Unreachable => {
                self.refuse(fab, packet, icmp::HOST, Reason::NoRoute);
                return;
            }
        };
        let tunnel = (to.forwarding == Forwarding::Tun).then(|| Wrapping {
            options: director.ipvs.tunnel(to.destination),
            v6: to.rip.is_v6(),
        });
        if let Err(refusal) = forwarding::check(&mut fab.packets[packet], mtu, tunnel, pmtu_disc) {
            self.refused(fab, packet, refusal);
            return;
        }
        match tunnel {
            None if to.forwarding == Forwarding::FullNat && !translated => {
                let p = &mut fab.packets[packet];
                director.ipvs.rewrite_request(to.connection, p, mtu);
                p.ttl = p.ttl.saturating_add(1);
                self.ip.untrack();
                self.ip.output_balanced(fab, target, packet, service, None);
            }
            None => {
                if to.forwarding == Forwarding::Nat && !translated {
                    forwarding::nat_request(&mut fab.packets[packet], to.rip, to.rport);
                }
                self.ip.output_balanced(fab, target, packet, service, answers);
            }
            Some(wrapping) => {
                let Some(source) = self.ip.source_for(&fab.book, to.rip) else {
                    fab.drop(Place::Host(self.number), Reason::NoRoute, packet);
                    return;
                };
                let id = self.ip.next_id();
                let inner = &fab.packets[packet];
                let ends = (source, to.rip);
                let outer = forwarding::tun(inner, packet, ends, wrapping.options, pmtu_disc, id);
                let outer = fab.packets.insert(outer);
                self.ip.output_wrapped(fab, target, outer, service);
            }
        }
    }

    /// The real server is this host. `answers`: where NAT sends the packet.
    fn keep(
        &mut self,
        fab: &mut Fabric,
        packet: PacketId,
        service: (Ip, u16),
        answers: Option<(Ip, u16)>,
        hook: Hook,
    ) {
        if let Some((rip, rport)) = answers {
            if rip.0 >> 24 == 127 && hook == Hook::Input {
                // no stranger is let in to 127.0.0.1 (`ip_vs_nat_xmit`)
                fab.drop(Place::Host(self.number), Reason::NoRoute, packet);
                return;
            }
            forwarding::nat_request(&mut fab.packets[packet], rip, rport);
        }
        self.ip.balanced(service, answers);
        match hook {
            Hook::Input => self.accept_local(fab, packet),
            Hook::Output => self.ip.output_end(fab, Target::Local, packet),
        }
    }

    /// A packet cannot be sent to its real server: its sender is told why.
    #[cold]
    fn refused(&mut self, fab: &mut Fabric, packet: PacketId, refusal: forwarding::Refusal) {
        if let Some((kind, code, info)) = refusal.icmp() {
            self.send_error(fab, packet, kind, code, info);
        }
        let reason = match refusal {
            forwarding::Refusal::TimeExceeded => Reason::TtlExceeded,
            _ => Reason::TooBig,
        };
        fab.drop(Place::Host(self.number), reason, packet);
    }

    /// Hook `FORWARD`: replies of NAT real servers get the virtual address as their source, and with
    /// `snat_reroute` the way that policy rules have for it. The way of the packet; `None` if it was
    /// dropped.
    #[inline]
    pub(super) fn director_forward(
        &mut self,
        fab: &mut Fabric,
        target: Target,
        packet: PacketId,
    ) -> Option<Target> {
        let Some(director) = &mut self.director else { return Some(target) };
        let verdict = director.ipvs.reply(fab.now, &fab.packets[packet]);
        let reroute = director.ipvs.sysctl().snat_reroute;
        director.arm(fab, self.number);
        match verdict {
            ReplyVerdict::Pass => {}
            ReplyVerdict::Counted { .. } => self.ip.answers_balanced(),
            ReplyVerdict::Unreachable => {
                self.refuse(fab, packet, icmp::PORT, Reason::NoDestination);
                return None;
            }
            ReplyVerdict::Translate { vip, vport, .. } => {
                self.ip.answers_balanced();
                forwarding::nat_reply(&mut fab.packets[packet], vip, vport);
                self.work_of(Forwarding::Nat);
                if reroute && !self.ip.routes.is_plain() {
                    return Some(self.ip.route(&fab.book, &fab.packets[packet], route::OWN));
                }
            }
        }
        Some(target)
    }

    /// Sends a packet that this host has made.
    pub(super) fn director_output(&mut self, fab: &mut Fabric, packet: Packet) {
        if self.director.is_none() || self.ip.removed.contains(&packet.src) {
            self.ip.originate(fab, &packet);
            return;
        }
        let id = fab.packets.insert(packet);
        // only fragments of IPv6 have an identification
        if packet.kind == Kind::Ipv4 {
            fab.packets[id].id = self.ip.next_id();
        }
        let target = self.ip.route(&fab.book, &fab.packets[id], route::OWN);
        if !self.ip.filters {
            self.director_sends(fab, target, id);
            return;
        }
        let before = self.ip.put_aside();
        if let Some(target) = self.ip.output_begin(fab, target, id) {
            self.director_sends(fab, target, id);
        }
        self.ip.take_back(before);
    }

    /// Hook `LOCAL_OUT`: what the director sends as one of its own real servers, and requests of its
    /// own to a virtual service.
    fn director_sends(&mut self, fab: &mut Fabric, target: Target, packet: PacketId) {
        let Some(director) = &mut self.director else { return };
        let verdict = director.ipvs.reply(fab.now, &fab.packets[packet]);
        let reroute = director.ipvs.sysctl().snat_reroute && !self.ip.routes.is_plain();
        director.arm(fab, self.number);
        let mut target = target;
        match verdict {
            ReplyVerdict::Pass => {
                if self.director_request(fab, packet, Hook::Output) {
                    return;
                }
            }
            ReplyVerdict::Unreachable => {
                self.refuse(fab, packet, icmp::PORT, Reason::NoDestination);
                return;
            }
            ReplyVerdict::Counted { .. } => self.ip.answers_balanced(),
            ReplyVerdict::Translate { vip, vport, .. } => {
                self.ip.answers_balanced();
                forwarding::nat_reply(&mut fab.packets[packet], vip, vport);
                if reroute {
                    target = self.ip.route(&fab.book, &fab.packets[packet], route::OWN);
                }
            }
        }
        self.ip.output_end(fab, target, packet);
    }

    /// Hook `FORWARD` for ICMP errors: one about a reply goes to the real server that sent it, one
    /// about a request goes to the client, both with the quoted packet translated. `true` if IPVS
    /// took the packet.
    #[cold]
    pub(super) fn director_forward_error(&mut self, fab: &mut Fabric, packet: PacketId) -> bool {
        if self.error_about_reply(fab, packet) {
            return true;
        }
        match self.director_error(fab, packet) {
            About::Nobody | About::Request => false,
            About::Refused(reason) => {
                fab.drop(Place::Host(self.number), dropped(reason), packet);
                true
            }
        }
    }

    /// An ICMP error about a translated request is translated back (`ip_vs_out_icmp`).
    #[cold]
    pub(super) fn director_error(&mut self, fab: &mut Fabric, packet: PacketId) -> About {
        let Some(director) = &mut self.director else { return About::Nobody };
        let outer = fab.packets[packet];
        if outer.body == PacketId::NONE {
            return About::Nobody;
        }
        let quoted = fab.packets[outer.body];
        match director.ipvs.icmp_out(fab.now, &outer, &quoted) {
            IcmpOutVerdict::Pass => About::Nobody,
            IcmpOutVerdict::Drop(reason) => About::Refused(reason),
            IcmpOutVerdict::Counted { .. } => About::Request,
            IcmpOutVerdict::Translate { outer: new, quoted, .. } => {
                fab.packets[outer.body] = quoted;
                fab.packets[packet] = new;
                About::Request
            }
        }
    }

    /// An ICMP error about a reply goes to the real server that sent it (`ip_vs_in_icmp`).
    #[cold]
    fn error_about_reply(&mut self, fab: &mut Fabric, packet: PacketId) -> bool {
        let Some(director) = &mut self.director else { return false };
        let outer = fab.packets[packet];
        if outer.body == PacketId::NONE {
            return false;
        }
        let quoted = fab.packets[outer.body];
        match director.ipvs.icmp_in(fab.now, &outer, &quoted, &mut fab.book) {
            IcmpInVerdict::Accept => false,
            IcmpInVerdict::Drop(reason) => {
                fab.drop(Place::Host(self.number), dropped(reason), packet);
                true
            }
            IcmpInVerdict::Transmit { transmit, outer: new, quoted } => {
                fab.packets[outer.body] = quoted;
                fab.packets[packet] = new;
                self.transmit(fab, transmit, packet, (true, Hook::Input));
                true
            }
        }
    }

    /// Hook `LOCAL_IN` for ICMP: an error about an own tunnel packet becomes one about the request
    /// inside; an error about a NAT request is sent back to the client; an error about a reply goes
    /// to the real server.
    #[cold]
    fn director_icmp(&mut self, fab: &mut Fabric, packet: PacketId) -> bool {
        let outer = fab.packets[packet];
        if outer.body == PacketId::NONE {
            return false;
        }
        let quoted = fab.packets[outer.body];
        if !is_wrapped(&quoted) {
            match self.director_error(fab, packet) {
                About::Nobody => return self.error_about_reply(fab, packet),
                About::Request => self.ip.output(fab, packet),
                About::Refused(reason) => {
                    fab.drop(Place::Host(self.number), dropped(reason), packet);
                }
            }
            return true;
        }
        let consumed = self.tunnel_error(fab, &outer, &quoted);
        if consumed {
            fab.deliver(packet);
        }
        consumed
    }

    /// The ICMP error `error` about an own tunnel packet `quoted` becomes one about the request inside.
    /// `true` if IPVS took it.
    #[cold]
    pub(super) fn tunnel_error(
        &mut self,
        fab: &mut Fabric,
        error: &Packet,
        quoted: &Packet,
    ) -> bool {
        let Some(director) = &mut self.director else { return false };
        let inside = |p: &Packet| fab.packets.get(p.body).map_or(PacketId::NONE, |b| b.body);
        // a fragment carries the whole tunnel packet
        let inner = if quoted.is_fragment() { inside(quoted) } else { quoted.body };
        let Some(request) = fab.packets.get(inner) else { return false };
        let TunnelVerdict::Consume { answer, rip, path_mtu, .. } =
            director.ipvs.icmp_tunnel(error, quoted, request)
        else {
            return false;
        };
        if let Some(mtu) = path_mtu {
            self.ip.learn_path_mtu(fab, rip, mtu);
        }
        if let Some(answer) = answer {
            self.send_error(fab, inner, answer.icmp_type, answer.code, answer.info);
        }
        true
    }
}

/// Why IPVS drops a packet, in the host's words.
pub(super) const fn dropped(reason: DropReason) -> Reason {
    match reason {
        DropReason::NoDestination => Reason::NoDestination,
        other => Reason::Ipvs(other),
    }
}
