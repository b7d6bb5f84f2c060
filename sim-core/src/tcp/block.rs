//! The control block of one connection (RFC 9293, section 3.3.1) and what its code works with.
//!
//! Positions in the stream that is sent are 64-bit offsets: 0 is the SYN, 1 the first byte, so a stream
//! may be longer than 4 GiB and comparisons are plain. Positions in the stream that is received are
//! 32-bit sequence numbers, compared by their distance to `rcv_nxt`.

use super::listener::Listeners;
use super::reassembly::Extras;
use super::{Conn, Counters, Endpoint, Note, Output};
use crate::config::TcpConfig;
use crate::engine::{Span, Time};
use crate::wire::{Ip, Packet};

/// Where a segment belongs: local and remote end.
///
/// The two ports are one word: the tuple is written and read in the same pieces, which processors like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tuple {
    local: Ip,
    remote: Ip,
    /// Local port above remote port.
    ports: u32,
}

impl Tuple {
    #[inline]
    pub(super) fn new(local: Endpoint, remote: Endpoint) -> Self {
        let ports = u32::from(local.1) << 16 | u32::from(remote.1);
        Self { local: local.0, remote: remote.0, ports }
    }

    /// The connection a received packet is for.
    #[inline]
    pub(super) fn of_received(p: &Packet) -> Self {
        Self::new((p.dst, p.dport), (p.src, p.sport))
    }

    /// The connection a sent packet came from.
    #[inline]
    pub(super) fn of_sent(p: &Packet) -> Self {
        Self::new((p.src, p.sport), (p.dst, p.dport))
    }

    /// Bytes of an IP and a TCP header without options.
    #[inline]
    pub(super) const fn headers(&self) -> u16 {
        if self.remote.is_v6() { 60 } else { 40 }
    }

    /// Local address and port.
    #[inline]
    pub(super) fn local(&self) -> Endpoint {
        (self.local, (self.ports >> 16) as u16)
    }

    /// Remote address and port.
    #[inline]
    pub(super) fn remote(&self) -> Endpoint {
        (self.remote, self.ports as u16)
    }

    /// A hash that takes no time, of ports alone: connections that are open at once mostly differ in
    /// the lower bits of one of them.
    #[inline]
    pub(super) const fn short_hash(&self) -> usize {
        (self.ports ^ self.ports >> 16) as usize
    }

    /// A hash for the connection table; mixes every bit into the low and the high end.
    #[inline]
    pub(super) fn hash(&self) -> u64 {
        let ips = u64::from(self.local.0) << 32 | u64::from(self.remote.0);
        let h = ips.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ u64::from(self.ports).wrapping_mul(0xc2b2_ae3d_27d4_eb4f).rotate_left(23);
        let h = (h ^ (h >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        h ^ (h >> 32)
    }
}

/// State of a connection that has a control block. `TIME_WAIT` has none, `CLOSED` is `Free`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum State {
    Free,
    SynSent,
    SynReceived,
    Established,
    CloseWait,
    FinWait1,
    FinWait2,
    Closing,
    LastAck,
}

impl State {
    /// Whether the MIB counts it as currently established.
    pub(super) fn is_established(self) -> bool {
        matches!(self, Self::Established | Self::CloseWait)
    }

    /// Whether the application has closed: the kernel calls it an orphan.
    pub(super) fn is_orphan(self) -> bool {
        matches!(self, Self::FinWait1 | Self::FinWait2 | Self::Closing | Self::LastAck)
    }
}

/// Yes-or-no facts about a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Bits(u16);

impl Bits {
    /// This side opened the connection.
    pub(super) const ACTIVE: Self = Self(1);
    /// Both sides send options (timestamps).
    pub(super) const OPTIONS: Self = Self(1 << 1);
    /// Interactive: acknowledgements wait for data to ride on.
    pub(super) const PINGPONG: Self = Self(1 << 2);
    /// Some data has arrived.
    pub(super) const SEEN_DATA: Self = Self(1 << 3);
    /// An acknowledgement is owed.
    pub(super) const ACK_DUE: Self = Self(1 << 4);
    /// ... and must not wait.
    pub(super) const ACK_NOW: Self = Self(1 << 5);
    /// Part of a message has arrived.
    pub(super) const IN_MESSAGE: Self = Self(1 << 6);
    /// Fast recovery is under way.
    pub(super) const RECOVERY: Self = Self(1 << 7);
    /// The round trip of the segment that ends at `rtt_end` is being measured.
    pub(super) const TIMING: Self = Self(1 << 8);
    /// An ICMP error said the peer cannot be reached.
    pub(super) const SOFT_ERROR: Self = Self(1 << 9);
    /// The path takes less than the smallest path MTU that is believed: packets may be fragmented.
    pub(super) const FRAGMENT: Self = Self(1 << 10);
    /// The application does not read.
    pub(super) const PAUSED: Self = Self(1 << 11);
    /// The last segment was sent again as a probe.
    pub(super) const PROBED: Self = Self(1 << 14);
    /// The end of a message is among what is not yet acknowledged.
    pub(super) const PUSHED: Self = Self(1 << 13);
    /// A SYN was sent more than once and no round trip was measured since.
    pub(super) const SYN_RESENT: Self = Self(1 << 12);

    #[inline]
    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    #[inline]
    pub(super) const fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }

    #[inline]
    pub(super) const fn clear(&mut self, other: Self) {
        self.0 &= !other.0;
    }
}

/// No listener: the connection was opened by this side.
pub(super) const NO_LISTENER: u16 = u16::MAX;

/// The control block: three cache lines.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Block {
    pub(super) tuple: Tuple,
    pub(super) state: State,
    /// Doublings of the retransmission time-out.
    pub(super) backoff: u8,
    /// Retransmissions or probes that nobody has answered.
    pub(super) tries: u8,
    /// Duplicate acknowledgements in a row.
    pub(super) dupacks: u8,
    /// Acknowledgements still to send at once.
    pub(super) quick: u8,
    pub(super) bits: Bits,

    /// Oldest offset not acknowledged.
    pub(super) una: u64,
    /// Next offset to send; behind `max` while going back after a time-out.
    pub(super) nxt: u64,
    /// One above the highest offset sent.
    pub(super) max: u64,
    /// One above the last byte written; the FIN has this offset.
    pub(super) end: u64,
    /// Fast recovery ends, and may begin again, when `una` gets here.
    pub(super) recover: u64,
    /// Initial send sequence number.
    pub(super) iss: u32,
    /// Window of the peer in bytes.
    pub(super) snd_wnd: u32,
    /// Sequence number of the segment that gave the window.
    pub(super) wl1: u32,
    /// Congestion window in bytes.
    pub(super) cwnd: u32,
    /// Slow start threshold in bytes.
    pub(super) ssthresh: u32,
    /// Payload of a full segment.
    pub(super) mss: u16,
    /// MSS that this side announces.
    pub(super) own_mss: u16,
    /// Largest payload seen: what the peer takes for a full segment.
    pub(super) rcv_mss: u16,

    /// Next sequence number expected.
    pub(super) rcv_nxt: u32,
    /// `rcv_nxt` of the last acknowledgement sent.
    pub(super) rcv_acked: u32,
    /// Right edge of the window announced.
    pub(super) rcv_edge: u32,
    /// Bytes received in order that the application has not read.
    pub(super) unread: u32,
    /// Bytes received in order.
    pub(super) received: u64,

    /// Smoothed round trip in microseconds, times 8; 0 before the first measurement.
    pub(super) srtt: u32,
    /// Mean deviation of the round trip in microseconds, times 4.
    pub(super) rttvar: u32,
    /// Low bits of the offset whose acknowledgement ends the measurement.
    pub(super) rtt_end: u32,
    /// When the measured segment was sent, see [`micros`].
    pub(super) rtt_start: u32,

    /// Retransmission, or probe of a closed window.
    pub(super) rto_at: Time,
    /// Delayed acknowledgement.
    pub(super) ack_at: Time,
    /// Keepalive; the end of an orphaned `FIN_WAIT2`.
    pub(super) idle_at: Time,
    /// The earliest wake asked for and not yet come.
    pub(super) armed: Time,
    /// When an acceptable segment came last.
    pub(super) heard_at: Time,
    /// When data came last, in [`ticks`].
    pub(super) data_at: u32,
    /// When data was sent last, in [`ticks`].
    pub(super) sent_at: u32,
    /// When a segment out of the window was answered last, in [`ticks`]; 0 for never.
    pub(super) challenged_at: u32,

    pub(super) tag: u32,
    pub(super) user: u32,
    /// Entry of [`Extras`]: segments out of order, ends of messages.
    pub(super) extra: u32,
    pub(super) listener: u16,
}

const _: () = assert!(size_of::<Block>() <= 192, "a control block takes at most 192 bytes");

/// A short clock of 16.384 us: wraps after 19.5 hours, never 0.
#[inline]
pub(super) fn ticks(now: Time) -> u32 {
    (now.as_nanos() >> 14) as u32 | 1
}

/// The time between two readings of [`ticks`].
#[inline]
pub(super) fn ticks_since(now: Time, then: u32) -> Span {
    Span::from_nanos(u64::from(ticks(now).wrapping_sub(then)) << 14)
}

/// A short clock of one microsecond: wraps after 71 minutes.
#[inline]
pub(super) fn micros(now: Time) -> u32 {
    (now.as_nanos() / 1_000) as u32
}

/// What code of a control block works with: the clock, the settings, where output goes.
#[derive(Debug)]
pub(super) struct Cx<'a> {
    pub(super) now: Time,
    pub(super) slot: u32,
    pub(super) ttl: u8,
    pub(super) config: &'a TcpConfig,
    pub(super) out: &'a mut Output,
    pub(super) counters: &'a mut Counters,
    pub(super) extras: &'a mut Extras,
    pub(super) listeners: &'a mut Listeners,
}

impl Cx<'_> {
    /// Tells the application.
    #[inline]
    pub(super) fn note(&mut self, note: Note) {
        self.out.notes.push((Conn(self.slot), note));
    }
}

/// What becomes of a control block after an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Fate {
    /// It stays.
    Live,
    /// It shrinks to a `TIME_WAIT` entry.
    TimeWait,
    /// It goes, and the application, if it knows of the connection, gets this note.
    Dead(Note),
}

impl Block {
    /// A connection about to send its first SYN or SYN-ACK, announcing `own_mss`. `payload` is what the
    /// path to the peer takes in one segment without options.
    pub(super) fn new(tuple: Tuple, iss: u32, own_mss: u16, payload: u16, tag: u32) -> Self {
        Self {
            tuple,
            state: State::SynSent,
            backoff: 0,
            tries: 0,
            dupacks: 0,
            quick: 0,
            bits: Bits::default(),
            una: 0,
            nxt: 0,
            max: 0,
            end: 1,
            recover: 0,
            iss,
            snd_wnd: 0,
            wl1: 0,
            cwnd: 0,
            ssthresh: u32::MAX,
            mss: payload,
            own_mss,
            rcv_mss: 0,
            rcv_nxt: 0,
            rcv_acked: 0,
            rcv_edge: 0,
            unread: 0,
            received: 0,
            srtt: 0,
            rttvar: 0,
            rtt_end: 0,
            rtt_start: 0,
            rto_at: Time::NEVER,
            ack_at: Time::NEVER,
            idle_at: Time::NEVER,
            armed: Time::NEVER,
            heard_at: Time::ZERO,
            data_at: 0,
            sent_at: 0,
            challenged_at: 0,
            tag,
            user: 0,
            extra: Extras::NONE,
            listener: NO_LISTENER,
        }
    }

    /// Sequence number of an offset.
    #[inline]
    pub(super) fn seq_of(&self, offset: u64) -> u32 {
        self.iss.wrapping_add(offset as u32)
    }

    /// Bytes (and SYN, FIN) sent and not acknowledged.
    #[inline]
    pub(super) fn flight(&self) -> u64 {
        self.max - self.una
    }

    /// Whether the FIN was sent.
    #[inline]
    pub(super) fn fin_sent(&self) -> bool {
        self.max > self.end
    }

    /// Bytes of options in a segment without SYN.
    #[inline]
    pub(super) fn options(&self) -> u8 {
        if self.bits.has(Bits::OPTIONS) { super::SEGMENT_OPTIONS } else { 0 }
    }

    /// Whether no application knows of this connection: half-open, opened by the peer.
    pub(super) fn is_embryonic(&self) -> bool {
        self.state == State::SynReceived && self.listener != NO_LISTENER
    }

    /// Changes the state and the gauge that counts established connections.
    pub(super) fn enter(&mut self, state: State, counters: &mut Counters) {
        match (self.state.is_established(), state.is_established()) {
            (false, true) => counters.curr_estab += 1,
            (true, false) => counters.curr_estab -= 1,
            _ => {}
        }
        self.state = state;
    }
}
