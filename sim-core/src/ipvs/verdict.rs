//! What the director does with a packet, as plain values.

use super::connection::{DestinationId, Slot};
use super::rules::Forwarding;
use crate::wire::{Ip, Packet};

/// Why IPVS drops a packet without an answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DropReason {
    /// The connection's real server was deleted and `expire_nodest_conn` is off.
    DestinationGone,
    /// `drop_packet` drops new connections.
    Defence,
    /// An entry with connection tracking made place for a new one; the client has to try again.
    OldConntrack,
    /// The persistence engine found no Call-ID.
    Engine,
    /// FULLNAT: no local port is free.
    NoLocalPort,
    /// A packet quoted by an ICMP error found no destination.
    NoDestination,
    /// An ICMPv6 error of a real server, whose checksum the kernel tests wrongly.
    Checksum,
}

impl DropReason {
    /// The words used in tables of drops.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DestinationGone => "destination_gone",
            Self::Defence => "defence",
            Self::OldConntrack => "old_conntrack",
            Self::Engine => "no_call_id",
            Self::NoLocalPort => "no_local_port",
            Self::NoDestination => "no_destination",
            Self::Checksum => "checksum",
        }
    }
}

/// Send the packet on to a real server: find the route to `rip`, apply
/// [`check`](super::forwarding::check), then the function of the method: for
/// [`Forwarding::FullNat`] [`Ipvs::rewrite_request`](super::Ipvs::rewrite_request). With
/// [`Forwarding::Bypass`] there is no real server, the packet goes where it was going.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// Method of the connection.
    pub forwarding: Forwarding,
    /// Real server.
    pub rip: Ip,
    /// Port on the real server; on the wire only with NAT.
    pub rport: u16,
    /// The connection; [`Slot::NONE`] with one-packet scheduling.
    pub connection: Slot,
    /// Its destination.
    pub destination: DestinationId,
}

/// The verdict on a packet that reached the director for an own address (hook `LOCAL_IN`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Not for IPVS: goes on into the director's own stack, which answers as it does without IPVS
    /// (RST, ICMP port unreachable if nothing listens).
    Accept,
    /// Dropped without an answer.
    Drop(DropReason),
    /// No destination is available: dropped, and ICMP 3/3 goes from the packet's destination (the
    /// VIP) to its source, for TCP as well.
    Unreachable,
    /// To a real server.
    Transmit(Transmit),
    /// A real server's reply to a local address of a FULLNAT service: to be rewritten by
    /// [`Ipvs::rewrite_reply`](super::Ipvs::rewrite_reply) and sent to the client.
    Answer {
        /// The connection.
        connection: Slot,
    },
}

/// The verdict on a packet that passes the director toward a client (hooks `FORWARD` and
/// `LOCAL_OUT`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplyVerdict {
    /// Belongs to no connection: forwarded as it is.
    Pass,
    /// A NAT real server's reply: source to be rewritten by
    /// [`nat_reply`](super::forwarding::nat_reply).
    Translate {
        /// Virtual address.
        vip: Ip,
        /// Virtual port.
        vport: u16,
        /// The connection.
        connection: Slot,
    },
    /// Belongs to a connection of another method: counted, forwarded as it is.
    Counted {
        /// The connection.
        connection: Slot,
    },
    /// Belongs to no connection, though it comes from a NAT real server: dropped, and ICMP 3/3 goes
    /// from the director to that server (`nat_icmp_send`).
    Unreachable,
}

/// The verdict on an ICMP error that comes from the client's side and quotes a reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IcmpInVerdict {
    /// Quotes nothing of IPVS: delivered or forwarded as it is.
    Accept,
    /// Dropped without an answer.
    Drop(DropReason),
    /// To the real server that sent the quoted packet. `outer` and `quoted` are rewritten for NAT
    /// and FULLNAT, and as received otherwise; the method is applied to `outer` as to a request, except that NAT
    /// is done already.
    Transmit {
        /// Method, real server, connection.
        transmit: Transmit,
        /// The ICMP error to send.
        outer: Packet,
        /// The packet it quotes.
        quoted: Packet,
    },
}

/// The verdict on an ICMP error that comes from the real servers' side and quotes a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IcmpOutVerdict {
    /// Quotes nothing of IPVS: forwarded as it is.
    Pass,
    /// Dropped without an answer.
    Drop(DropReason),
    /// Quotes a NAT or FULLNAT request: both headers are rewritten, the source is the VIP. Forward it.
    Translate {
        /// The ICMP error to send.
        outer: Packet,
        /// The packet it quotes.
        quoted: Packet,
        /// The connection.
        connection: Slot,
    },
    /// Quotes a request of another method: counted, forwarded as it is.
    Counted {
        /// The connection.
        connection: Slot,
    },
}

/// An ICMP error to send to a client about its own packet, from the packet's destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IcmpAnswer {
    /// ICMP type.
    pub icmp_type: u8,
    /// ICMP code.
    pub code: u8,
    /// Second word of the ICMP header: the MTU of fragmentation needed.
    pub info: u32,
}

/// The verdict on an ICMP error about a tunnel packet that the director itself sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TunnelVerdict {
    /// Not about a connection of IPVS: to the director's own stack.
    Accept,
    /// Consumed.
    Consume {
        /// The real server the tunnel packet was for.
        rip: Ip,
        /// The director's path to `rip` carries no more than this (fragmentation needed); to be
        /// remembered by the owner of the routes.
        path_mtu: Option<u16>,
        /// What to send to the client, quoting its own packet.
        answer: Option<IcmpAnswer>,
        /// The connection.
        connection: Slot,
    },
}
