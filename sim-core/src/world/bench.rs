//! A world on the bench: frames are fed to its hosts by hand, what they send is looked at, and time
//! goes on step by step.

use super::World;
use crate::config::HostConfig;
use crate::engine::Time;
use crate::hosts::Host;
use crate::hosts::fabric::{Fabric, Place, Reason, Tally};
use crate::observe::capture::Kept;
use crate::wire::decode::{Decoder, Frame, Unreadable};
use crate::wire::encode::Bodies;
use crate::wire::{AddressBook, Mac, PacketId};

impl World {
    /// Handles everything that happens up to `until`, which is the present then.
    ///
    /// Unlike [`World::run`] it knows no end of the run, and the rates of a window are not measured.
    pub fn run_until(&mut self, until: Time) {
        while self.fabric.queue.peek_time().is_some_and(|t| t <= until) {
            let Some((time, event)) = self.fabric.queue.pop() else { break };
            self.fabric.now = time;
            self.events += 1;
            self.last = Some(event);
            self.dispatch(event);
        }
        self.fabric.now = self.fabric.now.max(until);
    }

    /// When something happens next.
    pub fn next_event(&self) -> Option<Time> {
        self.fabric.queue.peek_time()
    }

    /// A frame comes in by an interface of a host, as if a link had delivered it. Nothing happens if
    /// there is no such interface.
    pub fn inject(&mut self, host: usize, interface: usize, frame: &Frame) {
        let Some(h) = self.hosts.get_mut(host) else { return };
        if interface >= h.ip.interfaces.len() {
            return;
        }
        // from the inside out: a packet names its body, which is behind it or before it in the list
        let packet = store(&mut self.fabric, frame, frame.packet, frame.inside.len());
        h.receive(&mut self.fabric, interface as u16, packet);
    }

    /// The Ethernet addresses by number; more may be added.
    pub fn macs(&mut self) -> &mut Vec<Mac> {
        &mut self.fabric.macs
    }

    /// The IPv6 addresses by number; more may be added.
    pub fn book(&mut self) -> &mut AddressBook {
        &mut self.fabric.book
    }

    /// Decodes a frame with the addresses of this world.
    ///
    /// # Errors
    /// What is wrong with the frame, see [`Decoder::frame`].
    pub fn decode(&mut self, decoder: &mut Decoder, frame: &[u8]) -> Result<Frame, Unreadable> {
        decoder.frame(frame, &mut self.fabric.macs, &mut self.fabric.book)
    }

    /// From now on captured frames are kept as packets, see [`World::take_kept`], and not written.
    pub fn keep_frames(&mut self) {
        if let Some(capture) = &mut self.fabric.capture {
            capture.keep();
        }
    }

    /// The captured frames kept since the last call, in the order in which they passed. They are
    /// numbered as [`crate::observe::capture::selected`] does.
    pub fn take_kept(&mut self) -> Vec<Kept> {
        self.fabric.capture.as_mut().map(|c| c.take_kept()).unwrap_or_default()
    }

    /// The hosts in the order of the configuration.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// From now on the packets of a host pass the netfilter rules of `config`; what was tracked of
    /// connections is forgotten.
    pub fn change_filters(&mut self, host: usize, config: &HostConfig) {
        let Some(h) = self.hosts.get_mut(host) else { return };
        h.ip.set_netfilter(super::build::netfilter(config, &mut self.fabric.book));
    }

    /// What a host has dropped so far for a reason.
    pub fn dropped(&self, host: usize, reason: Reason) -> Tally {
        let place = Place::Host(host as u16);
        let here = |&(key, _): &((Place, Reason), Tally)| key == (place, reason);
        self.fabric.drops().find(here).map(|(_, tally)| tally).unwrap_or_default()
    }

    /// Something is done at a host now, by its administrator or by a user of an application.
    pub fn at_host<R>(
        &mut self,
        host: usize,
        act: impl FnOnce(&mut Host, &mut Fabric) -> R,
    ) -> Option<R> {
        self.hosts.get_mut(host).map(|h| act(h, &mut self.fabric))
    }
}

/// Stores a packet of a frame with what it holds, at most `depth` deep.
fn store(
    fabric: &mut Fabric,
    frame: &Frame,
    mut packet: crate::wire::Packet,
    depth: usize,
) -> PacketId {
    let inner = frame.inside.get(packet.body.0 as usize).copied();
    packet.body = match inner {
        Some(inner) if depth > 0 => store(fabric, frame, inner, depth - 1),
        _ => match frame.payload(packet.body) {
            Some(bytes) => fabric.packets.insert_payload(bytes.to_vec()),
            None => PacketId::NONE,
        },
    };
    fabric.packets.insert(packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CaptureConfig;
    use crate::engine::Span;
    use crate::net::topology::sample;
    use crate::observe::capture::Direction;
    use crate::wire::{Ip, Kind, MacId, Packet};

    #[test]
    fn a_request_fed_by_hand_is_answered_at_once() {
        let mut config = sample::dr();
        config.captures = vec![CaptureConfig::All];
        let mut world = World::build(&config).unwrap();
        world.keep_frames();
        world.run_until(Time::ZERO + Span::from_secs(1));
        assert_eq!(world.now(), Time::ZERO + Span::from_secs(1));
        let (mac, ip) = {
            let i = &world.hosts()[1].ip.interfaces[0];
            (i.mac, i.addresses[0].ip)
        };
        let asker = Mac([2, 0, 0, 0, 0, 99]);
        world.macs().push(asker);
        let number = MacId(world.macs().len() as u32 - 1);
        let mut packet = Packet::ipv4(Ip(ip.0 ^ 1), ip, 0, 28);
        packet.kind = Kind::ArpRequest;
        (packet.seq, packet.ack) = (number.0, MacId::ZERO.0);
        (packet.src_mac, packet.dst_mac) = (number, MacId::BROADCAST);
        world.take_kept();
        world.inject(1, 0, &Frame { packet, inside: Vec::new(), payloads: Vec::new() });
        let kept = world.take_kept();
        let ways: Vec<_> = kept.iter().map(|k| (k.way, k.frame.packet.kind)).collect();
        assert_eq!(ways, [(Direction::In, Kind::ArpRequest), (Direction::Out, Kind::ArpReply)]);
        assert_eq!((kept[1].frame.packet.seq, kept[1].frame.packet.dst_mac), (mac.0, number));
        world.inject(1, 9, &Frame { packet, inside: Vec::new(), payloads: Vec::new() });
        assert!(world.take_kept().is_empty(), "there is no such interface");
        assert!(world.next_event().is_some(), "the answer is on its way");
    }
}
