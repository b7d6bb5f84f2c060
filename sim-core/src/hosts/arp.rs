//! Neighbours of a host by ARP: what it asks, answers and announces.
//!
//! The rules of the neighbour table are in [`crate::net::arp`]; here they meet interfaces, addresses
//! and links. The same for IPv6 is [`super::ip6`].

use super::fabric::{Event, Fabric, Place, Reason};
use super::ip::{IpStack, OwnAddress, Target};
use crate::net::arp::{Action, NeighbourId};
use crate::net::route;
use crate::wire::{AddressBook, Ip, Kind, MacId, Packet, PacketId, Prefix};

impl IpStack {
    /// The link of an interface has gone down: what is known of its neighbours goes, with the packets
    /// that wait for them (`arp_evict_nocarrier`).
    pub fn carrier_lost(&mut self, fab: &mut Fabric, interface: u16) {
        for packet in self.neighbours.carrier_lost(interface, &mut self.actions) {
            fab.drop(Place::Host(self.host), Reason::LinkDown, packet);
        }
        self.act(fab);
    }

    /// The deadline of a neighbour entry has come.
    pub fn neighbour_deadline(&mut self, fab: &mut Fabric, entry: u32) {
        self.neighbours.on_deadline(fab.now, NeighbourId(entry), &mut self.actions);
        self.act(fab);
    }

    /// Does what the neighbour table asked for.
    #[cold]
    pub(super) fn act(&mut self, fab: &mut Fabric) {
        let mut actions = core::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            match action {
                Action::Request { interface, target, to, source } => {
                    self.ask(fab, interface, target, to, source);
                }
                Action::Release { interface, packet, mac } => {
                    fab.packets[packet].dst_mac = mac;
                    self.emit(fab, interface, packet);
                }
                Action::GiveUp { interface, packet } => {
                    self.undeliverable.push((interface, packet));
                    self.unsettled = true;
                }
                Action::Overflow(packet) => {
                    fab.drop(Place::Host(self.host), Reason::NeighbourQueue, packet);
                }
                Action::Wake(at, entry) => {
                    fab.queue.push(at, Event::Neighbour { host: self.host, entry: entry.0 });
                }
                Action::Moved(entry) => {
                    let e = &self.neighbours.entries()[entry.0 as usize];
                    fab.note_neighbour(self.host, e.ip, e.known());
                }
            }
        }
        self.actions = actions;
    }

    /// Sends an ARP request; the sender address follows `arp_announce` (`arp_solicit`).
    fn ask(&mut self, fab: &mut Fabric, interface: u16, target: Ip, to: MacId, source: Ip) {
        if target.is_v6() {
            self.solicit(fab, interface, target, to, source);
            return;
        }
        let i = &self.interfaces[interface as usize];
        // the target knows a source of its own subnet, be it an address of this interface or not
        let known = |a: &OwnAddress| {
            let prefix = Prefix::new(a.ip, a.len);
            prefix.contains(target) && prefix.contains(source)
        };
        let keep = match i.sysctl.arp_announce {
            0 => self.routes.is_local(&fab.book, source),
            1 => self.routes.is_local(&fab.book, source) && i.addresses.iter().any(known),
            _ => false,
        };
        let sender =
            if keep { source } else { self.select_address(interface, target).unwrap_or(Ip::ANY) };
        self.send_arp(fab, interface, Kind::ArpRequest, (sender, target), MacId::ZERO, to);
    }

    /// Sends an ARP packet from this interface: `(sender, target)` are the protocol addresses.
    pub fn send_arp(
        &mut self,
        fab: &mut Fabric,
        interface: u16,
        kind: Kind,
        (sender, target): (Ip, Ip),
        target_mac: MacId,
        to: MacId,
    ) {
        let mut arp = Packet::ipv4(sender, target, 0, 28);
        arp.kind = kind;
        let mac = self.interfaces[interface as usize].mac_of(sender);
        arp.seq = mac.0;
        arp.ack = target_mac.0;
        arp.dst_mac = to;
        let id = fab.packets.insert(arp);
        self.emit_from(fab, interface, mac, id);
    }

    /// Tells the link of an interface that `ip` is here (a gratuitous ARP request, or an unsolicited
    /// neighbour advertisement).
    pub fn announce(&mut self, fab: &mut Fabric, interface: u16, ip: Ip) {
        if ip.is_v6() {
            self.announce6(fab, interface, ip);
            return;
        }
        self.send_arp(fab, interface, Kind::ArpRequest, (ip, ip), MacId::ZERO, MacId::BROADCAST);
    }

    /// An ARP packet came in (`arp_process`).
    pub fn arp_input(&mut self, fab: &mut Fabric, interface: u16, packet: PacketId) {
        let p = fab.packets[packet];
        fab.deliver(packet);
        let own_mac = self.interfaces[interface as usize].mac;
        let from = (interface, p.src, MacId(p.seq));
        let gratuitous = p.src == p.dst;
        let mut actions = core::mem::take(&mut self.actions);
        // the question is routed like a packet, so a source that routing refuses gets no answer
        let asked = p.kind == Kind::ArpRequest
            && !gratuitous
            && self.is_valid_source(&fab.book, interface, &p);
        if asked && self.routes.is_local(&fab.book, p.dst) {
            if self.answers(interface, p.src, p.dst) {
                self.neighbours.heard(fab.now, from, false, true, false, &mut actions);
                self.answer(fab, interface, &p);
            }
        } else if asked && self.proxies(&fab.book, interface, p.dst) {
            self.neighbours.heard(fab.now, from, false, true, false, &mut actions);
            if p.dst_mac == MacId::BROADCAST {
                self.answer_later(fab, interface, p);
            } else {
                self.answer(fab, interface, &p);
            }
        } else {
            let to_us = p.kind == Kind::ArpReply && p.dst_mac == own_mac;
            self.neighbours.heard(fab.now, from, to_us, false, gratuitous, &mut actions);
        }
        self.actions = actions;
        self.act(fab);
    }

    /// `fib_validate_source` for the sender of an ARP request.
    fn is_valid_source(&self, book: &AddressBook, interface: u16, request: &Packet) -> bool {
        let (src, dst) = (request.src, request.dst);
        let sysctl = &self.interfaces[interface as usize].sysctl;
        src == Ip::ANY
            || self.routes.judge_source(book, (src, dst), interface, sysctl)
                == route::Source::Accepted
    }

    /// Answers an ARP request.
    pub(super) fn answer(&mut self, fab: &mut Fabric, interface: u16, request: &Packet) {
        let asker = MacId(request.seq);
        let addresses = (request.dst, request.src);
        self.send_arp(fab, interface, Kind::ArpReply, addresses, asker, asker);
    }

    /// `arp_ignore` for a request for the local address `wanted`.
    fn answers(&self, interface: u16, asker: Ip, wanted: Ip) -> bool {
        let i = &self.interfaces[interface as usize];
        let here = i.addresses.iter().find(|a| a.ip == wanted);
        match i.sysctl.arp_ignore {
            0 => true,
            2 => here.is_some_and(|a| asker == Ip::ANY || Prefix::new(a.ip, a.len).contains(asker)),
            8 => false,
            _ => here.is_some(),
        }
    }

    /// Whether this host answers for an address that it would forward to by another interface
    /// (`arp_fwd_proxy`, or an entry of `ip neigh add proxy`).
    fn proxies(&mut self, book: &AddressBook, interface: u16, wanted: Ip) -> bool {
        let all = self.interfaces[interface as usize].sysctl.proxy_arp;
        if !self.sysctl.ip_forward || !all && !self.proxies.contains(&(interface, wanted)) {
            return false;
        }
        matches!(self.target(book, wanted, || 0), Target::Neighbour { interface: out, .. } if out != interface)
    }
}
