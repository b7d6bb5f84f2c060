//! What a recording asks of a director.

use super::recording::{Admin, Answer, Destination, Entry, Kind, Packet, Protocol};
use sim_core::engine::Time;
use std::net::SocketAddr;

/// A director with one virtual service that can be driven like the recorded one.
pub(super) trait Director {
    /// Changes the rules; how it was refused in words.
    fn apply(&mut self, now: Time, change: &Admin) -> Result<(), String>;

    /// Lets time pass until `now`: connections expire.
    fn pass(&mut self, now: Time);

    /// A packet of a client arrives.
    fn request(&mut self, now: Time, packet: &Packet) -> Outcome;

    /// A packet of a real server arrives: the source that the client sees.
    fn reply(&mut self, now: Time, packet: &Packet) -> SocketAddr;

    /// The destinations in the kernel's list order.
    fn destinations(&self) -> Vec<Destination>;

    /// Drops a connection as the kernel has done by chance, if the director can.
    fn forget(&mut self, _entry: &Entry) {}

    /// The connection table, in any order.
    fn connections(&self, now: Time) -> Vec<Entry>;

    /// The state of a client's connection; of two for one pair of addresses the younger one's.
    fn state(
        &self,
        protocol: Protocol,
        client: SocketAddr,
        target: SocketAddr,
    ) -> Option<&'static str>;
}

/// What a director does with a packet of a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// Sent to this destination, on the wire to this port.
    Sent { to: SocketAddr, port: u16 },
    /// Dropped without an answer.
    Dropped,
    /// No destination: ICMP port unreachable.
    Refused,
    /// Not for IPVS: into the director's own stack, where nobody listens.
    Passed,
}

impl Outcome {
    /// The destination.
    pub(super) const fn destination(self) -> Option<SocketAddr> {
        match self {
            Self::Sent { to, .. } => Some(to),
            Self::Dropped | Self::Refused | Self::Passed => None,
        }
    }

    /// What the client of `packet` gets instead of being served. Nobody answers an RST; the
    /// recorded kernel has no SCTP of its own and answers ICMP protocol unreachable, which is not
    /// recorded.
    pub(super) const fn answer(self, packet: &Packet) -> Option<Answer> {
        match (self, packet.kind) {
            (Self::Refused, _) | (Self::Passed, Kind::Datagram) => Some(Answer::Unreachable),
            (Self::Passed, Kind::Syn | Kind::Ack | Kind::Fin) => Some(Answer::Reset),
            _ => None,
        }
    }
}
