//! What a recording says, typed.
//!
//! A recording is a text of JSON lines: a header that describes one virtual service, then every
//! operation on the director in the order it happened, with what the kernel did.

use schedulers::Algorithm;
use sim_core::engine::{Span, Time};
use sim_core::ipvs::Forwarding;
use std::net::{IpAddr, SocketAddr};

/// A recording of one virtual service.
#[derive(Clone, Debug)]
pub struct Recording {
    pub(super) header: Header,
    pub(super) steps: Vec<Step>,
}

/// What the service is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) scheduler: Algorithm,
    /// Bits of `ipvsadm -b`: 1 = fallback, 2 = port.
    pub(super) flags: u8,
    pub(super) key: Key,
    /// IPv6.
    pub(super) family_is_v6: bool,
    /// Where packets go that name no destination address.
    pub(super) default_target: Option<SocketAddr>,
    /// The method of all destinations.
    pub(super) forwarding: Forwarding,
    pub(super) persistence: Option<Persistence>,
    pub(super) one_packet: bool,
}

/// Persistence of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Persistence {
    pub(super) timeout: Span,
    /// Leading bits of the client address that make a persistent client.
    pub(super) prefix: u8,
}

/// What the service listens to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    /// Protocol and address.
    Address(Protocol, SocketAddr),
    /// Firewall mark.
    Mark(u32),
}

/// Transport protocols that IPVS balances.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

/// A line of the recording after the header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Step {
    /// Line in the file, counted from 1.
    pub(super) line: usize,
    /// When the operation was done.
    pub(super) done: Time,
    pub(super) op: Op,
}

/// What was done, and what the kernel did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Op {
    /// A change of the rules; whether the kernel refused it.
    Admin(Admin, bool),
    /// A packet of a client.
    Request(Packet, Handled),
    /// A packet of a real server that passes the director: the source that the client saw.
    Reply(Packet, SocketAddr, Recorded),
    /// Nothing but time.
    Wait,
    /// The list of destinations.
    State(Vec<Destination>),
    /// The connection table: number of entries, and the first of them.
    Connections(usize, Vec<Entry>),
}

/// A change of the rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Admin {
    /// A rule of the firewall marks packets.
    Mark(MarkRule),
    /// `sysctl`, the part after `net.ipv4.vs.`.
    Sysctl(String, u64),
    /// `ipvsadm --set`.
    Timeouts { tcp: Span, fin: Span, udp: Span },
    /// `ipvsadm -A`, as the header describes the service.
    AddService,
    /// `ipvsadm -E`.
    EditService { scheduler: Algorithm, flags: u8 },
    /// `ipvsadm -a`.
    Add(Server),
    /// `ipvsadm -e`.
    Edit(Server),
    /// `ipvsadm -d`.
    Delete(SocketAddr),
    /// `ipvsadm -Z`.
    Zero,
}

/// Packets of a protocol to an address block and a port get a mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct MarkRule {
    pub(super) mark: u32,
    pub(super) protocol: Option<Protocol>,
    pub(super) block: (IpAddr, u8),
    pub(super) port: Option<u16>,
}

/// A destination as an administrator states it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Server {
    pub(super) at: SocketAddr,
    pub(super) forwarding: Forwarding,
    pub(super) weight: u32,
    pub(super) upper: u32,
    pub(super) lower: u32,
}

/// A packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Packet {
    pub(super) protocol: Protocol,
    pub(super) kind: Kind,
    pub(super) src: SocketAddr,
    pub(super) dst: SocketAddr,
}

/// What a packet means to the state machines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// SYN; SYN and ACK of a real server.
    Syn,
    /// ACK, with or without data.
    Ack,
    /// FIN and ACK.
    Fin,
    /// RST.
    Rst,
    /// UDP.
    Datagram,
    /// SCTP, by its first chunk.
    Chunk(Chunk),
}

/// First chunk of an SCTP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Chunk {
    Data,
    Init,
    InitAck,
    CookieEcho,
    CookieAck,
    Shutdown,
    ShutdownAck,
    ShutdownComplete,
    Error,
    Abort,
}

/// What the kernel did with a packet of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Handled {
    /// The destination that received it.
    pub(super) to: Option<SocketAddr>,
    /// Destination port on the wire, recorded with NAT.
    pub(super) port: Option<u16>,
    /// What the client got if nobody received it.
    pub(super) answer: Option<Answer>,
    pub(super) state: Recorded,
}

/// What a client got instead of being served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// ICMP destination unreachable, port unreachable.
    Unreachable,
    /// RST.
    Reset,
}

/// The state of the connection after a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Recorded {
    /// It was not read.
    Unknown,
    /// There was no connection.
    Nothing,
    /// As `/proc/net/ip_vs_conn` names it.
    Named(String),
}

/// A line of the list of destinations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Destination {
    pub(super) at: SocketAddr,
    pub(super) weight: u32,
    pub(super) active: u32,
    pub(super) inactive: u32,
}

/// A line of the connection table.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Entry {
    /// `TCP`, `UDP`, `SCTP`, `IP`.
    pub(super) protocol: String,
    pub(super) client: SocketAddr,
    pub(super) target: SocketAddr,
    pub(super) server: SocketAddr,
    pub(super) state: String,
    /// Whole seconds until it expires.
    pub(super) left: u64,
}

impl Protocol {
    /// As `/proc/net/ip_vs_conn` names it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

impl MarkRule {
    /// Whether a packet gets the mark.
    pub(super) fn matches(&self, packet: &Packet) -> bool {
        self.protocol.is_none_or(|p| p == packet.protocol)
            && self.port.is_none_or(|p| p == packet.dst.port())
            && masked(packet.dst.ip(), self.block.1) == masked(self.block.0, self.block.1)
    }
}

/// An address without the bits after the first `prefix`.
pub(super) fn masked(addr: IpAddr, prefix: u8) -> IpAddr {
    match addr {
        IpAddr::V4(a) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            IpAddr::V4((a.to_bits() & mask).into())
        }
        IpAddr::V6(a) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            IpAddr::V6((a.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_given_by_block_protocol_and_port() {
        let rule = MarkRule {
            mark: 1,
            protocol: Some(Protocol::Tcp),
            block: ([10, 200, 0, 0].into(), 16),
            port: Some(443),
        };
        let packet = |protocol, dst: &str| Packet {
            protocol,
            kind: Kind::Syn,
            src: "10.0.0.1:40001".parse().unwrap(),
            dst: dst.parse().unwrap(),
        };
        assert!(rule.matches(&packet(Protocol::Tcp, "10.200.3.4:443")));
        assert!(!rule.matches(&packet(Protocol::Tcp, "10.200.3.4:80")));
        assert!(!rule.matches(&packet(Protocol::Udp, "10.200.3.4:443")));
        assert!(!rule.matches(&packet(Protocol::Tcp, "10.201.3.4:443")));
        assert!(!rule.matches(&packet(Protocol::Tcp, "[fd00:200::1]:443")));
        let any = MarkRule { protocol: None, port: None, block: ([0, 0, 0, 0].into(), 0), ..rule };
        assert!(any.matches(&packet(Protocol::Udp, "1.2.3.4:5")));
    }

    #[test]
    fn masks_keep_the_leading_bits() {
        let four = |a: [u8; 4], p| masked(a.into(), p);
        assert_eq!(four([10, 1, 2, 3], 24), IpAddr::from([10, 1, 2, 0]));
        assert_eq!(four([10, 1, 2, 3], 32), IpAddr::from([10, 1, 2, 3]));
        assert_eq!(four([10, 1, 2, 3], 0), IpAddr::from([0, 0, 0, 0]));
        let six = masked("fd00:7::15e9:730f".parse().unwrap(), 112);
        assert_eq!(six, "fd00:7::15e9:0".parse::<IpAddr>().unwrap());
    }
}
