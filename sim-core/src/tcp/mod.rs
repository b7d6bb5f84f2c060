//! The TCP of one host as a sans-I/O machine.
//!
//! A [`TcpStack`] holds every TCP connection of one host. Packets, ICMP errors, wake-ups and the calls
//! of applications go in; packets to send, notes for the applications and wake-ups to ask for come out,
//! in an [`Output`] that the caller owns and reuses. Payload is a length, not bytes.
//!
//! # How to drive it
//!
//! - Hand every TCP packet for a local address to [`TcpStack::on_packet`], every ICMP error that quotes
//!   a TCP packet to [`TcpStack::on_icmp_error`].
//! - After each call, whatever it is: send [`Output::packets`] in order, schedule a call of
//!   [`TcpStack::on_wake`] for each of [`Output::wakes`], and handle [`Output::notes`] in order (which
//!   usually means calls back into the stack, whose output is appended). All notes must be handled
//!   before the next packet, ICMP error or wake is handed in: only then are the slots of finished
//!   connections used again, so a note never names a wrong connection.
//! - Wakes are never taken back. A wake that is no longer wanted is recognised and costs nothing.
//!
//! # The life of a connection, as the application sees it
//!
//! [`TcpStack::connect`] gives a [`Conn`]; [`Note::Connected`] follows. On the other side
//! [`Note::Accepted`] tells of a connection that waits in the accept queue of a listener. Both sides
//! [`write`](TcpStack::write) messages; the receiver is told by [`Note::FirstByte`] and
//! [`Note::MessageComplete`]. [`TcpStack::close`] sends a FIN behind the data, the other side is told by
//! [`Note::PeerClosed`]. Every connection that an application knows of ends with exactly one *final*
//! note (see [`Note::is_final`]).
//!
//! # What is modelled
//!
//! RFC 9293 with the behaviour of Linux where the RFC leaves a choice: retransmission times (RFC 6298 with
//! the bounds of Linux), `NewReno` (RFC 6582) without SACK, quick and delayed acknowledgements,
//! RFC 5961 challenge acknowledgements, backlog semantics, `TIME_WAIT`, orphans, keepalive, path MTU discovery.
//! There is no Nagle algorithm (`TCP_NODELAY` is assumed), and a segment never spans two messages.

mod arrive;
mod block;
mod congestion;
mod icmp;
mod input;
mod inspect;
mod listener;
mod output;
mod reassembly;
mod stack;
#[cfg(test)]
mod tests;
mod time_wait;
mod timer;

use core::fmt;

use crate::engine::{Span, Time};
use crate::wire::{Ip, Packet};

pub use stack::TcpStack;

/// Bytes of options in a SYN when options are on: MSS, SACK permitted, timestamps, window scale.
const SYN_OPTIONS: u8 = 20;

/// Bytes of options in any other segment when options are on: timestamps.
const SEGMENT_OPTIONS: u8 = 12;

/// Segment size towards a peer that announced none (RFC 9293, section 3.7.1).
const DEFAULT_MSS: u16 = 536;

/// Least segment size, options included (Linux `TCP_MIN_SND_MSS`).
const MIN_MSS: u16 = 48;

/// Least time between two answers to segments that should not have come (Linux
/// `tcp_invalid_ratelimit`).
const CHALLENGE_INTERVAL: Span = Span::from_millis(500);

/// A connection: the number of its slot in its [`TcpStack`], valid until the final note about it has
/// been handled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Conn(pub u32);

/// What a call of the stack asks its caller to do. The stack only ever appends.
#[derive(Clone, Default, Debug)]
pub struct Output {
    /// Packets to send, in order. IP identification and Ethernet addresses are left to the caller.
    pub packets: Vec<Packet>,
    /// What applications must know, in order.
    pub notes: Vec<(Conn, Note)>,
    /// Calls of [`TcpStack::on_wake`] to schedule: when, and for which slot.
    pub wakes: Vec<(Time, u32)>,
}

impl Output {
    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.packets.clear();
        self.notes.clear();
        self.wakes.clear();
    }
}

/// What an application must know about one of its connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Note {
    /// The handshake that [`TcpStack::connect`] began is complete.
    Connected,
    /// A new connection waits in the accept queue of a listener. The application must call
    /// [`TcpStack::accept`] once for each of these notes, now or later.
    Accepted {
        /// The listener, as returned by [`TcpStack::listen`].
        listener: u32,
    },
    /// The first bytes of a message arrived.
    FirstByte,
    /// A message arrived completely and in order: its last byte carried PSH.
    MessageComplete {
        /// Bytes received on this connection so far, this message included.
        total: u64,
    },
    /// The peer's FIN arrived after all its data; the own side is still open.
    PeerClosed,
    /// Final: both sides closed in order (what is left of it may linger in `TIME_WAIT`).
    Closed,
    /// Final: the peer sent a RST (`ECONNRESET`).
    Reset,
    /// Final: the peer answered the SYN with a RST, or an ICMP error said that there is no such port
    /// or protocol (`ECONNREFUSED`).
    Refused,
    /// Final: an ICMP error said that the peer cannot be reached (`EHOSTUNREACH`, `ENETUNREACH`).
    Unreachable,
    /// Final: given up after the last retransmission or probe (`ETIMEDOUT`).
    TimedOut,
    /// Final: this side sent a RST, because of [`TcpStack::abort`], or because data came in after
    /// [`TcpStack::close`].
    Aborted,
}

impl Note {
    /// Whether this is the last note about its connection.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Closed
                | Self::Reset
                | Self::Refused
                | Self::Unreachable
                | Self::TimedOut
                | Self::Aborted
        )
    }
}

/// What became of a packet given to [`TcpStack::on_packet`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// It belonged to a connection or opened one.
    Delivered,
    /// No connection and no listener: answered with a RST, unless it was one.
    NoSocket,
    /// A SYN or the last ACK of a handshake that found the queues of its listener full.
    BacklogFull,
    /// Nothing a TCP would look at: out of the window, impossible flags, a fragment, not TCP.
    Invalid,
}

/// Why [`TcpStack::connect`] refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectError {
    /// A connection between these addresses and ports exists.
    InUse,
    /// A connection between these addresses and ports is in `TIME_WAIT` (`EADDRNOTAVAIL`).
    TimeWait,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InUse => "a connection between these ends exists",
            Self::TimeWait => "a connection between these ends is in TIME_WAIT",
        })
    }
}

impl core::error::Error for ConnectError {}

/// Why [`TcpStack::listen`] refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListenError {
    /// The port has a listener (`EADDRINUSE`).
    InUse,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("the port has a listener"),
        }
    }
}

impl core::error::Error for ListenError {}

/// One end: address and port.
pub type Endpoint = (Ip, u16);

/// What a stack counted since it was made (names of the TCP MIB, RFC 4022, and of Linux).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Calls of [`TcpStack::connect`] that sent a SYN.
    pub active_opens: u64,
    /// SYNs that opened a half-open connection.
    pub passive_opens: u64,
    /// Handshakes that failed, either side.
    pub attempt_fails: u64,
    /// Established connections that ended by a RST, sent or received.
    pub estab_resets: u64,
    /// Connections now in `ESTABLISHED` or `CLOSE_WAIT`.
    pub curr_estab: u64,
    /// Segments received.
    pub in_segs: u64,
    /// Segments sent, retransmissions included, RSTs for nobody's segments included.
    pub out_segs: u64,
    /// Segments of which some part was sent before.
    pub retrans_segs: u64,
    /// RSTs sent.
    pub out_rsts: u64,
    /// Retransmission time-outs.
    pub timeouts: u64,
    /// Fast retransmissions begun.
    pub fast_retransmits: u64,
    /// SYNs dropped because a queue of the listener was full.
    pub listen_drops: u64,
    /// Last ACKs of handshakes dropped because the accept queue was full.
    pub listen_overflows: u64,
    /// Connections that gave up by their retry limit.
    pub gave_up: u64,
}
