//! The director: IPVS at its place among the hooks of a host.
//!
//! The rules are in [`crate::ipvs`]; here they meet routes, neighbours and ICMP.

use super::Host;
use super::fabric::{Event, Fabric, Place, Reason};
use super::ip::Target;
use crate::engine::Time;
use crate::ipvs::rules::Forwarding;
use crate::ipvs::{
    DropReason, IcmpInVerdict, IcmpOutVerdict, Ipvs, ReplyVerdict, Transmit, TunnelVerdict,
    Verdict, forwarding,
};
use crate::wire::{Packet, PacketId, icmp, proto};

/// IPVS of a host.
#[derive(Debug)]
pub struct Director {
    /// The machine.
    pub ipvs: Ipvs,
    /// Earliest wake-up in the event queue.
    armed: Time,
}

impl Director {
    /// A director around its rules.
    pub fn new(ipvs: Ipvs) -> Self {
        Self { ipvs, armed: Time::NEVER }
    }

    /// Asks to be woken for the next deadline of the table, if no earlier wake-up is set.
    #[inline]
    fn arm(&mut self, fab: &mut Fabric, host: u16) {
        if let Some(at) = self.ipvs.next_deadline()
            && at < self.armed
        {
            self.armed = at.max(fab.now);
            fab.queue.push(self.armed, Event::Ipvs { host });
        }
    }
}

impl Host {
    /// The table's deadline may have come.
    pub(super) fn director_deadline(&mut self, fab: &mut Fabric) {
        let Some(director) = &mut self.director else { return };
        if director.armed <= fab.now {
            director.armed = Time::NEVER;
        }
        director.ipvs.on_deadline(fab.now);
        director.arm(fab, self.number);
    }

    /// Hook `LOCAL_IN`: `true` if IPVS took the packet.
    #[inline]
    pub(super) fn director_input(&mut self, fab: &mut Fabric, packet: PacketId) -> bool {
        let Some(director) = &mut self.director else { return false };
        let p = &fab.packets[packet];
        if p.proto == proto::ICMP {
            return self.director_icmp(fab, packet);
        }
        let verdict = director.ipvs.request(fab.now, p, &mut fab.book);
        director.arm(fab, self.number);
        match verdict {
            Verdict::Transmit(transmit) => {
                self.transmit(fab, transmit, packet, false);
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
                self.ip.output(fab, packet);
                true
            }
        }
    }

    /// Sends a packet to its real server (`ip_vs_nat_xmit`, `ip_vs_dr_xmit`, `ip_vs_tunnel_xmit`).
    /// `translated`: NAT has rewritten it already (an ICMP error).
    #[inline]
    fn transmit(&mut self, fab: &mut Fabric, to: Transmit, packet: PacketId, translated: bool) {
        self.work_of(to.forwarding);
        let Some(director) = &self.director else { return };
        let pmtu_disc = director.ipvs.sysctl().pmtu_disc;
        let rip = match to.forwarding {
            Forwarding::Bypass => fab.packets[packet].dst,
            _ => to.rip,
        };
        let target = self.ip.target(rip, || crate::net::route::flow_hash(&fab.packets[packet]));
        let mtu = match target {
            Target::Neighbour { interface, .. } => self.ip.interfaces[interface as usize].mtu,
            Target::Local => {
                if to.forwarding == Forwarding::Nat && !translated {
                    forwarding::nat_request(&mut fab.packets[packet], to.rip, to.rport);
                }
                self.deliver_local(fab, packet);
                return;
            }
            Target::Broadcast | Target::Unreachable => {
                self.refuse(fab, packet, icmp::HOST, Reason::NoRoute);
                return;
            }
        };
        if let Err(refusal) =
            forwarding::check(&mut fab.packets[packet], mtu, to.forwarding, pmtu_disc)
        {
            if let Some((kind, code, info)) = refusal.icmp() {
                self.send_error(fab, packet, kind, code, info);
            }
            let reason = match refusal {
                forwarding::Refusal::TimeExceeded => Reason::TtlExceeded,
                _ => Reason::TooBig,
            };
            fab.drop(Place::Host(self.number), reason, packet);
            return;
        }
        match to.forwarding {
            Forwarding::Nat => {
                if !translated {
                    forwarding::nat_request(&mut fab.packets[packet], to.rip, to.rport);
                }
                self.ip.output_to(fab, target, packet);
            }
            Forwarding::FullNat => {
                let p = &mut fab.packets[packet];
                director.ipvs.rewrite_request(to.connection, p, mtu);
                p.ttl = p.ttl.saturating_add(1);
                self.ip.output_to(fab, target, packet);
            }
            Forwarding::Dr | Forwarding::LocalNode | Forwarding::Bypass => {
                self.ip.output_to(fab, target, packet);
            }
            Forwarding::Tun => {
                let Some(source) = self.ip.source_for(to.rip) else {
                    fab.drop(Place::Host(self.number), Reason::NoRoute, packet);
                    return;
                };
                let id = self.ip.next_id();
                let inner = &fab.packets[packet];
                let outer = forwarding::tun(inner, packet, source, to.rip, pmtu_disc, id);
                let outer = fab.packets.insert(outer);
                self.ip.output_to(fab, target, outer);
            }
        }
    }

    /// Hook `FORWARD`: replies of NAT real servers get the virtual address as their source. `false` if
    /// the packet was dropped.
    #[inline]
    pub(super) fn director_forward(&mut self, fab: &mut Fabric, packet: PacketId) -> bool {
        let Some(director) = &mut self.director else { return true };
        let verdict = director.ipvs.reply(fab.now, &fab.packets[packet]);
        director.arm(fab, self.number);
        match verdict {
            ReplyVerdict::Translate { vip, vport, .. } => {
                forwarding::nat_reply(&mut fab.packets[packet], vip, vport);
                self.work_of(Forwarding::Nat);
            }
            ReplyVerdict::Unreachable => {
                self.refuse(fab, packet, icmp::PORT, Reason::NoDestination);
                return false;
            }
            ReplyVerdict::Pass | ReplyVerdict::Counted { .. } => {}
        }
        true
    }

    /// Hook `LOCAL_OUT`: what the director itself sends, as one of its own real servers.
    pub(super) fn director_output(&mut self, fab: &mut Fabric, mut packet: Packet) {
        if let Some(director) = &mut self.director {
            let verdict = director.ipvs.reply(fab.now, &packet);
            director.arm(fab, self.number);
            if let ReplyVerdict::Translate { vip, vport, .. } = verdict {
                forwarding::nat_reply(&mut packet, vip, vport);
            }
        }
        self.ip.originate(fab, &packet);
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
                self.transmit(fab, transmit, packet, true);
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
        if quoted.proto != proto::IPIP {
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
        let TunnelVerdict::Consume { answer, .. } =
            director.ipvs.icmp_tunnel(error, quoted, request)
        else {
            return false;
        };
        if let Some(answer) = answer {
            self.send_error(fab, inner, answer.icmp_type, answer.code, answer.info);
        }
        true
    }
}

/// What an ICMP error is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum About {
    /// Nothing that IPVS knows.
    Nobody,
    /// A request that IPVS sent on.
    Request,
    /// The same, but it goes no further.
    Refused(DropReason),
}

/// Why IPVS drops a packet, in the host's words.
const fn dropped(reason: DropReason) -> Reason {
    match reason {
        DropReason::NoDestination => Reason::NoDestination,
        other => Reason::Ipvs(other),
    }
}
