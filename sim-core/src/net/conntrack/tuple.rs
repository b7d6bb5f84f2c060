//! What identifies the packets of one direction of a connection.

use super::Side;
use crate::wire::{Ip, Packet, icmp, proto};

/// Addresses and ports of one direction. ICMP: the identifier of an echo as the source port, type and
/// code as the destination port. Protocols without ports: zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tuple {
    /// Source.
    pub src: Ip,
    /// Destination.
    pub dst: Ip,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// IP protocol.
    pub proto: u8,
}

/// `ICMPv6` echo request and reply (RFC 4443).
const ECHO_V6: [u8; 2] = [128, 129];

impl Tuple {
    /// No packet's.
    pub(super) const EMPTY: Self =
        Self { src: Ip::ANY, dst: Ip::ANY, sport: 0, dport: 0, proto: 0 };

    /// That of a packet; `None` for an ICMP message that neither asks nor answers.
    pub fn of(packet: &Packet) -> Option<Self> {
        let &Packet { src, dst, proto: protocol, .. } = packet;
        let (sport, dport) = match protocol {
            proto::TCP | proto::UDP | proto::SCTP => (packet.sport, packet.dport),
            proto::ICMP | proto::ICMPV6 => {
                let kind = packet.sport as u8;
                answer_to(protocol, kind)?;
                ((packet.seq >> 16) as u16, u16::from_be_bytes([kind, packet.dport as u8]))
            }
            _ => (0, 0),
        };
        Some(Self { src, dst, sport, dport, proto: protocol })
    }

    /// That of the answers (`nf_ct_invert_tuple`).
    pub fn inverse(&self) -> Option<Self> {
        let (mut sport, mut dport) = (self.dport, self.sport);
        if matches!(self.proto, proto::ICMP | proto::ICMPV6) {
            let [kind, code] = self.dport.to_be_bytes();
            (sport, dport) = (self.sport, u16::from_be_bytes([answer_to(self.proto, kind)?, code]));
        }
        Some(Self { src: self.dst, dst: self.src, sport, dport, proto: self.proto })
    }

    /// Gives one side of a packet the address of this tuple and, if `ports`, its port.
    pub(super) fn write(&self, side: Side, packet: &mut Packet, ports: bool) {
        match side {
            Side::Source => packet.src = self.src,
            Side::Destination => packet.dst = self.dst,
        }
        if !ports {
            return;
        }
        match (self.proto, side) {
            (proto::TCP | proto::UDP | proto::SCTP, Side::Source) => packet.sport = self.sport,
            (proto::TCP | proto::UDP | proto::SCTP, Side::Destination) => {
                packet.dport = self.dport;
            }
            (proto::ICMP | proto::ICMPV6, _) => {
                packet.seq = u32::from(self.sport) << 16 | packet.seq & 0xffff;
            }
            _ => {}
        }
    }
}

/// The ICMP type that answers a question, or asks what is answered.
fn answer_to(protocol: u8, kind: u8) -> Option<u8> {
    let [request, reply] =
        if protocol == proto::ICMP { [icmp::ECHO, icmp::ECHO_REPLY] } else { ECHO_V6 };
    match kind {
        k if k == request => Some(reply),
        k if k == reply => Some(request),
        _ => None,
    }
}
