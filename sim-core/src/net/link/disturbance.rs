//! What a fault does to the frames of a direction while it lasts.

use crate::config::Traffic;
use crate::engine::{Sampler, Span, Stream, Uniform};
use crate::wire::{Ip, Kind, MacId, Packet, icmpv6, proto};

/// Frames by their sender: a set of hosts.
#[derive(Clone, Debug, Default)]
pub struct Senders {
    /// Ethernet addresses of their interfaces, in order.
    pub macs: Vec<MacId>,
    /// Their IP addresses, in order, for frames from an Ethernet address that belongs to no interface (a
    /// virtual router's).
    pub ips: Vec<Ip>,
    /// Ethernet addresses with a number below belong to interfaces.
    pub owned: u32,
}

impl Senders {
    fn sent(&self, packet: &Packet) -> bool {
        if packet.src_mac.0 < self.owned {
            self.macs.binary_search(&packet.src_mac).is_ok()
        } else {
            self.ips.binary_search(&packet.src).is_ok()
        }
    }
}

/// What becomes of the frames that a disturbance is about.
#[derive(Debug)]
pub enum Effect {
    /// They are lost by chance, or late.
    Chance(Box<Chance>),
    /// They get through only if these hosts did not send them.
    Cut(Senders),
    /// Nothing: they are counted. From the one on that brings `left` to 0 each is told.
    Count {
        /// Frames left.
        left: u64,
        /// What is to be done then.
        task: u32,
    },
}

/// Loss and delay by chance.
#[derive(Debug)]
pub struct Chance {
    /// Probability of a loss, 0 to 1.
    pub loss: f64,
    /// Seconds that a frame is late.
    pub delay: Option<Sampler>,
    /// What decides.
    pub stream: Stream,
}

/// A fault of a direction.
#[derive(Debug)]
pub struct Disturbance {
    /// Whose it is: several disturbances may have the same number.
    pub fault: u32,
    /// Which frames.
    pub traffic: Traffic,
    /// What becomes of them.
    pub effect: Effect,
}

/// What disturbances make of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Judged {
    /// It gets no further: `Some(true)` if it is cut off, `Some(false)` if it is lost.
    pub ends: Option<bool>,
    /// So much later it arrives.
    pub late: Span,
}

/// Whether a fault about this traffic is about this frame.
fn concerns(traffic: Traffic, p: &Packet) -> bool {
    match traffic {
        Traffic::All => true,
        Traffic::Neighbours => {
            let solicits = [icmpv6::SOLICITATION, icmpv6::ADVERTISEMENT].map(u16::from);
            !p.kind.is_ip()
                || (p.kind == Kind::Ipv6 && p.proto == proto::ICMPV6 && solicits.contains(&p.sport))
        }
        Traffic::Multicast => p.kind.is_ip() && p.dst_mac.is_group(),
        Traffic::Ip { protocol, port } => {
            p.kind.is_ip() && p.proto == protocol && port.is_none_or(|port| p.dport == port)
        }
    }
}

/// What all disturbances of a direction make of a frame. `reached` is told what is to be done because of
/// counters.
pub(super) fn judge(
    all: &mut [Disturbance],
    packet: &Packet,
    mut reached: impl FnMut(u32),
) -> Judged {
    let mut judged = Judged::default();
    for one in all.iter_mut().filter(|d| concerns(d.traffic, packet)) {
        match &mut one.effect {
            Effect::Chance(chance) => {
                let Chance { loss, delay, stream } = &mut **chance;
                // both are drawn whatever becomes of the frame, so that one fault does not disturb another
                if *loss > 0.0 && stream.unit() < *loss {
                    judged.ends = judged.ends.or(Some(false));
                }
                if let Some(delay) = delay {
                    judged.late += Span::from_secs_f64(delay.sample(stream));
                }
            }
            Effect::Cut(senders) => {
                if senders.sent(packet) {
                    judged.ends = Some(true);
                }
            }
            Effect::Count { left, task } => {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    reached(*task);
                }
            }
        }
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(protocol: u8, port: u16, mac: u32) -> Packet {
        let mut p = Packet::ipv4(Ip::new(10, 0, 0, 1), Ip::new(10, 0, 0, 2), protocol, 60);
        (p.dport, p.src_mac) = (port, MacId(mac));
        p
    }

    fn one(traffic: Traffic, effect: Effect) -> [Disturbance; 1] {
        [Disturbance { fault: 7, traffic, effect }]
    }

    #[test]
    fn a_cut_stops_what_the_hosts_of_a_set_send_and_nothing_else() {
        let senders = Senders { macs: vec![MacId(1)], ips: vec![Ip::new(10, 0, 0, 1)], owned: 3 };
        let traffic = Traffic::Ip { protocol: proto::UDP, port: Some(694) };
        let mut cut = one(traffic, Effect::Cut(senders));
        assert_eq!(judge(&mut cut, &frame(proto::UDP, 694, 1), |_| ()).ends, Some(true));
        assert_eq!(
            judge(&mut cut, &frame(proto::UDP, 694, 2), |_| ()).ends,
            None,
            "another sender"
        );
        assert_eq!(judge(&mut cut, &frame(proto::UDP, 695, 1), |_| ()).ends, None, "another port");
        assert_eq!(
            judge(&mut cut, &frame(proto::TCP, 694, 1), |_| ()).ends,
            None,
            "another protocol"
        );
        // the Ethernet address of a virtual router: the IP address tells
        assert_eq!(judge(&mut cut, &frame(proto::UDP, 694, 3), |_| ()).ends, Some(true));
    }

    #[test]
    fn a_counter_tells_of_the_nth_frame_and_of_each_that_follows() {
        let traffic = Traffic::Ip { protocol: 112, port: None };
        let mut count = one(traffic, Effect::Count { left: 2, task: 9 });
        let mut told = Vec::new();
        for (number, protocol) in [112, 17, 112, 112].into_iter().enumerate() {
            judge(&mut count, &frame(protocol, 0, 1), |task| told.push((number, task)));
        }
        assert_eq!(told, [(2, 9), (3, 9)]);
    }

    #[test]
    fn neighbour_discovery_is_a_traffic_of_its_own() {
        let mut arp = frame(0, 0, 1);
        arp.kind = Kind::ArpRequest;
        assert!(concerns(Traffic::Neighbours, &arp));
        assert!(!concerns(Traffic::Ip { protocol: 0, port: None }, &arp));
        assert!(!concerns(Traffic::Neighbours, &frame(proto::ICMP, 0, 1)));
        assert!(concerns(Traffic::All, &arp));
    }

    #[test]
    fn what_is_for_a_group_is_a_traffic_of_its_own() {
        let mut advert = frame(112, 0, 1);
        assert!(!concerns(Traffic::Multicast, &advert), "to one host");
        advert.dst_mac = MacId::of_group_v4(Ip::new(224, 0, 0, 18));
        assert!(concerns(Traffic::Multicast, &advert));
        advert.dst_mac = MacId::BROADCAST;
        assert!(!concerns(Traffic::Multicast, &advert), "to all");
    }
}
