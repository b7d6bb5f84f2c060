//! Connection synchronisation at a host: the multicast datagrams of the daemons.

use super::Host;
use super::fabric::{Fabric, Place, Reason};
use crate::ipvs::sync::Message;
use crate::net::fragment;
use crate::wire::{AddressBook, Ip, MacId, Packet, PacketId, proto};
use core::net::IpAddr;

/// Ephemeral ports begin here (`net.ipv4.ip_local_port_range`).
const FIRST_PORT: u16 = 32_768;
/// So many of them there are.
const PORTS: u16 = 28_232;

impl Host {
    /// Sends what the master daemon has ready.
    #[cold]
    pub(super) fn send_messages(&mut self, fab: &mut Fabric) {
        let Some(director) = &mut self.director else { return };
        for message in director.ipvs.take_messages(fab.now, &fab.book) {
            self.send_message(fab, message);
        }
    }

    /// Sends a message of the master daemon (`ip_vs_send_async`): from the first address of its interface,
    /// DF not set. No interface or no address: nothing is sent.
    fn send_message(&mut self, fab: &mut Fabric, message: Message) {
        let named = |i: &super::ip::Interface| i.name == message.interface;
        let Some(interface) = self.ip.interfaces.iter().position(named) else { return };
        let i = &self.ip.interfaces[interface];
        let (source, mac) = match message.group {
            IpAddr::V4(group) => {
                let source = i.addresses.first().map(|a| a.ip);
                (source, MacId::of_group_v4(Ip(group.to_bits())))
            }
            // the link-local one
            IpAddr::V6(group) => (i.addresses6.last().map(|a| a.ip), MacId::of_group(group)),
        };
        let (Some(source), mtu) = (source, i.mtu) else { return };
        let group = fab.book.number(message.group);
        let above = u16::try_from(message.bytes.len() + 8).unwrap_or(u16::MAX);
        let mut p = Packet::ip(source, group, proto::UDP, above);
        p.sport = FIRST_PORT + self.number % PORTS;
        p.dport = message.port;
        p.ttl = message.ttl;
        p.dst_mac = mac;
        if !source.is_v6() || p.len > mtu {
            p.id = self.ip.next_id().max(1);
        }
        p.body = fab.packets.insert_payload(message.bytes);
        let packet = fab.packets.insert(p);
        if p.len <= mtu {
            self.ip.emit(fab, interface as u16, packet);
            return;
        }
        for mut part in fragment::split(&p, mtu) {
            part.body = fab.packets.duplicate(packet);
            let part = fab.packets.insert(part);
            self.ip.emit(fab, interface as u16, part);
        }
        fab.deliver(packet);
    }

    /// Whether the backup daemon, or a program, listens to a group on an interface.
    pub(super) fn listens(&self, book: &AddressBook, interface: u16, group: Ip) -> bool {
        if self.daemons.listen(interface, book.address(group)) {
            return true;
        }
        let listens_to = self.director.as_ref().and_then(|d| d.ipvs.listens_to());
        listens_to.is_some_and(|(name, to, _)| {
            book.address(group) == to && self.ip.interfaces[usize::from(interface)].name == name
        })
    }

    /// A packet to an IPv4 multicast group that this host is a member of.
    #[cold]
    pub(super) fn group_input(&mut self, fab: &mut Fabric, interface: u16, packet: PacketId) {
        let mut packet = packet;
        if self.ip.filters {
            let Some(goes_on) = self.prerouting(fab, interface, packet) else { return };
            packet = goes_on;
        }
        self.daemons.input = interface;
        let p = &fab.packets[packet];
        let ends = (p.src, p.dst);
        match self.refuse_source(&fab.book, interface, ends) {
            Some(reason) => fab.drop(Place::Host(self.number), reason, packet),
            None => self.local_input(fab, packet),
        }
    }

    /// A datagram to a multicast group: the backup daemon takes those to its port. Nobody is told of
    /// others.
    #[cold]
    pub(super) fn message_input(&mut self, fab: &mut Fabric, packet: PacketId) {
        let p = fab.packets[packet];
        let group = fab.book.address(p.dst);
        let taken = self.director.as_mut().filter(|d| {
            d.ipvs.listens_to().is_some_and(|(_, to, port)| (to, port) == (group, p.dport))
        });
        let Some(director) = taken else {
            fab.drop(Place::Host(self.number), Reason::NoSocket, packet);
            return;
        };
        if let Some(bytes) = fab.packets.payload(p.body) {
            director.ipvs.receive_message(fab.now, bytes, &mut fab.book);
        }
        director.arm(fab, self.number);
        fab.deliver(packet);
    }
}
