//! The slab that every packet of a run lives in.

use crate::wire::{Packet, PacketId};
use core::ops::{Index, IndexMut};

/// Packets by number. A packet has one owner at a time (a link, a queue, a host at work), who frees
/// it or hands it on; a body ([`Packet::body`]), be it a packet or a payload, is owned by the packet that
/// names it.
#[derive(Debug, Default)]
pub struct PacketSlab {
    packets: Vec<Packet>,
    free: Vec<PacketId>,
    created: u64,
    payloads: Vec<Vec<u8>>,
    free_payloads: Vec<u32>,
}

impl PacketSlab {
    /// An empty slab.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a packet.
    #[inline]
    pub fn insert(&mut self, packet: Packet) -> PacketId {
        self.created += 1;
        if let Some(id) = self.free.pop() {
            self.packets[id.0 as usize] = packet;
            return id;
        }
        let id = PacketId(self.packets.len() as u32);
        assert!(id.is_packet(), "fewer than 2^31 packets live at a time");
        self.packets.push(packet);
        id
    }

    /// Frees a packet and everything inside it, and tells how many packets that were.
    #[inline]
    pub fn free(&mut self, id: PacketId) -> u64 {
        if let Some(p) = self.packets.get(id.0 as usize)
            && p.body == PacketId::NONE
        {
            self.free.push(id);
            return 1;
        }
        self.free_with_body(id)
    }

    #[inline(never)]
    fn free_with_body(&mut self, id: PacketId) -> u64 {
        let mut freed = 0;
        let mut next = id;
        while next.is_packet() {
            let p = &mut self.packets[next.0 as usize];
            let body = core::mem::replace(&mut p.body, PacketId::NONE);
            self.free.push(next);
            freed += 1;
            next = body;
        }
        if next != PacketId::NONE {
            self.free_payload(next);
        }
        freed
    }

    /// Stores the payload of a datagram. It is owned, and freed with, the packet that names it.
    pub fn insert_payload(&mut self, bytes: Vec<u8>) -> PacketId {
        if let Some(number) = self.free_payloads.pop() {
            self.payloads[number as usize] = bytes;
            return PacketId::of_payload(number);
        }
        self.payloads.push(bytes);
        PacketId::of_payload(self.payloads.len() as u32 - 1)
    }

    /// The payload that a packet names as its body.
    pub fn payload(&self, id: PacketId) -> Option<&[u8]> {
        self.payloads.get(id.payload()? as usize).map(Vec::as_slice)
    }

    #[cold]
    fn free_payload(&mut self, id: PacketId) {
        let Some(number) = id.payload() else { return };
        self.payloads[number as usize] = Vec::new();
        self.free_payloads.push(number);
    }

    /// Payloads alive now.
    pub fn live_payloads(&self) -> usize {
        self.payloads.len() - self.free_payloads.len()
    }

    /// Frees a packet but not its body, which the caller now owns.
    pub fn unwrap_body(&mut self, id: PacketId) -> PacketId {
        let body = core::mem::replace(&mut self[id].body, PacketId::NONE);
        self.free.push(id);
        body
    }

    /// A copy of a packet and of everything inside it.
    pub fn duplicate(&mut self, id: PacketId) -> PacketId {
        let mut copy = self[id];
        if copy.body.is_packet() {
            copy.body = self.duplicate(copy.body);
        } else if let Some(bytes) = self.payload(copy.body) {
            copy.body = self.insert_payload(bytes.to_vec());
        }
        self.insert(copy)
    }

    /// The packet, if the number is in use or was used before.
    pub fn get(&self, id: PacketId) -> Option<&Packet> {
        self.packets.get(id.0 as usize)
    }

    /// Packets (bodies included) alive now.
    pub fn live(&self) -> usize {
        self.packets.len() - self.free.len()
    }

    /// Packets (bodies included) that there is room for without growing.
    pub fn slots(&self) -> usize {
        self.packets.len()
    }

    /// Packets (bodies included) ever stored.
    pub fn created(&self) -> u64 {
        self.created
    }
}

impl Index<PacketId> for PacketSlab {
    type Output = Packet;
    #[inline]
    fn index(&self, id: PacketId) -> &Packet {
        &self.packets[id.0 as usize]
    }
}

impl IndexMut<PacketId> for PacketSlab {
    #[inline]
    fn index_mut(&mut self, id: PacketId) -> &mut Packet {
        &mut self.packets[id.0 as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Ip, proto};

    #[test]
    fn freeing_a_packet_frees_what_is_inside() {
        let mut slab = PacketSlab::new();
        let inner = slab.insert(Packet::ipv4(Ip(1), Ip(2), proto::TCP, 40));
        let mut outer = Packet::ipv4(Ip(3), Ip(4), proto::IPIP, 60);
        outer.body = inner;
        let outer = slab.insert(outer);
        let copy = slab.duplicate(outer);
        assert_eq!(slab.live(), 4);
        slab.free(outer);
        assert_eq!(slab.live(), 2);
        let inner = slab.unwrap_body(copy);
        assert_eq!(slab[inner].proto, proto::TCP);
        slab.free(inner);
        assert_eq!(slab.live(), 0);
    }

    #[test]
    fn a_payload_lives_and_dies_with_its_packet() {
        let mut slab = PacketSlab::new();
        let mut packet = Packet::ipv4(Ip(1), Ip(2), proto::UDP, 31);
        packet.body = slab.insert_payload(vec![1, 2, 3]);
        let one = slab.insert(packet);
        let mut outer = Packet::ipv4(Ip(3), Ip(4), proto::IPIP, 51);
        outer.body = slab.duplicate(one);
        let two = slab.insert(outer);
        assert_eq!((slab.live(), slab.live_payloads()), (3, 2));
        assert_eq!(slab.free(one), 1);
        let inner = slab[two].body;
        assert_eq!(slab.payload(slab[inner].body), Some(&[1, 2, 3][..]));
        assert_eq!(slab.payload(inner), None);
        assert_eq!(slab.free(two), 2);
        assert_eq!((slab.live(), slab.live_payloads()), (0, 0));
        assert_eq!(
            slab.insert_payload(vec![4]),
            PacketId::of_payload(1),
            "the place is used again"
        );
    }
}
