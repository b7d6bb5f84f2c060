//! The director: IPVS at its place among the hooks of a host.
//!
//! The rules are in [`crate::ipvs`]; here they meet routes, neighbours and ICMP.

use super::Host;
use super::fabric::{Event, Fabric, Place, Reason};
use super::ip::Target;
use crate::engine::Time;
use crate::ipvs::rules::Forwarding;
use crate::ipvs::{
    DropReason, IcmpInVerdict, IcmpOutVerdict, Ipvs, ReplyVerdict, Transmit, TunnelVerdict, Verdict,
    forwarding,
};
use crate::wire::{PacketId, icmp, proto};

/// IPVS of a host.
#[derive(Debug)]
pub struct Director {
    /// The machine.
    pub ipvs: Ipvs,
    /// Requests for which no destination was available.
    pub no_destination: u64,
    /// Earliest wake-up in the event queue.
    armed: Time,
}

impl Director {
    /// A director around its rules.
    pub fn new(ipvs: Ipvs) -> Self {
        Self { ipvs, no_destination: 0, armed: Time::NEVER }
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
        let verdict = director.ipvs.request(fab.now, p);
        director.arm(fab, self.number);
        match verdict {
            Verdict::Transmit(transmit) => {
                self.transmit(fab, transmit, packet, false);
                true
            }
            Verdict::Accept => false,
            Verdict::Unreachable => {
                director.no_destination += 1;
                self.refuse(fab, packet, icmp::PORT, Reason::NoDestination);
                true
            }
            Verdict::Drop(reason) => {
                let reason = match reason {
                    DropReason::DestinationGone => Reason::DestinationGone,
                };
                fab.drop(Place::Host(self.number), reason, packet);
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
        let pmtu_disc = director.ipvs.pmtu_disc();
        let target = self.ip.target(to.rip, || crate::net::route::flow_hash(&fab.packets[packet]));
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
        if let Err(refusal) = forwarding::check(&mut fab.packets[packet], mtu, to.forwarding, pmtu_disc)
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
            Forwarding::Dr => self.ip.output_to(fab, target, packet),
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

    /// Hook `FORWARD`: replies of NAT real servers get the virtual address as their source.
    #[inline]
    pub(super) fn director_forward(&mut self, fab: &mut Fabric, packet: PacketId) {
        let Some(director) = &mut self.director else { return };
        let p = &mut fab.packets[packet];
        if p.proto == proto::ICMP {
            self.director_error(fab, packet);
            return;
        }
        let verdict = director.ipvs.reply(fab.now, p);
        director.arm(fab, self.number);
        if let ReplyVerdict::Translate { vip, vport, .. } = verdict {
            forwarding::nat_reply(p, vip, vport);
            self.work_of(Forwarding::Nat);
        }
    }

    /// An ICMP error on its way to a client that quotes a translated request: it and its quotation
    /// are translated back (`ip_vs_out_icmp`).
    #[cold]
    pub(super) fn director_error(&mut self, fab: &mut Fabric, packet: PacketId) {
        let Some(director) = &mut self.director else { return };
        let outer = fab.packets[packet];
        if outer.body == PacketId::NONE {
            return;
        }
        let quoted = fab.packets[outer.body];
        if let IcmpOutVerdict::Translate { outer: new, quoted, .. } =
            director.ipvs.icmp_out(fab.now, &outer, &quoted)
        {
            fab.packets[outer.body] = quoted;
            fab.packets[packet] = new;
        }
    }

    /// An ICMP packet for an own address: an error about a reply goes to the real server that sent
    /// it, an error about an own tunnel packet is turned into one about the request inside
    /// (`ip_vs_in_icmp`).
    #[cold]
    fn director_icmp(&mut self, fab: &mut Fabric, packet: PacketId) -> bool {
        let Some(director) = &mut self.director else { return false };
        let outer = fab.packets[packet];
        if outer.body == PacketId::NONE {
            return false;
        }
        let quoted = fab.packets[outer.body];
        if quoted.proto == proto::IPIP && quoted.body != PacketId::NONE {
            let inner = fab.packets[quoted.body];
            let TunnelVerdict::Consume { answer, .. } =
                director.ipvs.icmp_tunnel(fab.now, &outer, &quoted, &inner)
            else {
                return false;
            };
            if let Some(answer) = answer {
                self.send_error(fab, quoted.body, answer.icmp_type, answer.code, answer.info);
            }
            fab.deliver(packet);
            return true;
        }
        match director.ipvs.icmp_in(fab.now, &outer, &quoted) {
            IcmpInVerdict::Accept => false,
            IcmpInVerdict::Transmit { transmit, outer: new, quoted } => {
                fab.packets[outer.body] = quoted;
                fab.packets[packet] = new;
                self.transmit(fab, transmit, packet, true);
                true
            }
        }
    }
}
