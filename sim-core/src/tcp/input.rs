//! Segments in: the states of RFC 9293, section 3.10.7, in the order in which Linux checks
//! (`tcp_rcv_synsent_state_process`, `tcp_check_req`, `tcp_validate_incoming`, `tcp_ack`, `tcp_data_queue`).

use super::block::{Bits, Block, Cx, Fate, State, micros, ticks, ticks_since};
use super::congestion::OnDuplicate;
use super::output::reset_for;
use super::reassembly::Range;
use super::{Arrival, Note};
use crate::engine::Time;
use crate::wire::{Flags, Packet};

/// A segment as the receiver sees it.
#[derive(Clone, Copy)]
struct Incoming {
    /// Distance of its first sequence number from the next one expected.
    start: i64,
    /// Bytes of payload.
    len: u32,
    push: bool,
    fin: bool,
}

impl Incoming {
    #[inline]
    fn new(p: &Packet, rcv_nxt: u32) -> Self {
        Self {
            start: i64::from(p.seq.wrapping_sub(rcv_nxt) as i32),
            len: u32::from(p.payload()),
            push: p.flags.has(Flags::PSH),
            fin: p.flags.has(Flags::FIN),
        }
    }

    /// Distance of the first sequence number above its bytes.
    #[inline]
    fn data_end(&self) -> i64 {
        self.start + i64::from(self.len)
    }

    /// Whether it takes up sequence numbers.
    #[inline]
    fn is_data(&self) -> bool {
        self.len > 0 || self.fin
    }
}

/// A verdict on a segment: what becomes of the connection, and what of the segment.
pub(super) type Verdict = (Fate, Arrival);

const FINE: Verdict = (Fate::Live, Arrival::Delivered);
const INVALID: Verdict = (Fate::Live, Arrival::Invalid);

impl Block {
    /// A segment for this connection arrived.
    #[inline]
    pub(super) fn on_segment(&mut self, p: &Packet, cx: &mut Cx<'_>) -> Verdict {
        match self.state {
            State::SynSent => self.in_syn_sent(p, cx),
            State::SynReceived => self.in_syn_received(p, cx),
            _ => self.in_synchronised(p, cx),
        }
    }

    fn in_syn_sent(&mut self, p: &Packet, cx: &mut Cx<'_>) -> Verdict {
        let acks = p.flags.has(Flags::ACK);
        let resets = p.flags.has(Flags::RST);
        if acks && p.ack != self.seq_of(1) {
            if !resets {
                send_reset_for(p, cx);
            }
            return INVALID;
        }
        if resets {
            return if acks { (Fate::Dead(Note::Refused), Arrival::Delivered) } else { INVALID };
        }
        if !p.flags.has(Flags::SYN) {
            return INVALID;
        }
        self.negotiate(p, cx.config);
        if acks {
            self.una = 1;
            self.establish(cx);
            cx.note(Note::Connected);
            self.output(cx);
            if self.nxt == 1 {
                self.send_ack(cx);
            }
        } else {
            // both sides open at the same time (RFC 9293, figure 7)
            self.enter(State::SynReceived, cx.counters);
            self.send_syn(cx);
            self.rto_at = cx.now + self.rto_now(cx.config);
        }
        FINE
    }

    fn in_syn_received(&mut self, p: &Packet, cx: &mut Cx<'_>) -> Verdict {
        let start = i64::from(p.seq.wrapping_sub(self.rcv_nxt) as i32);
        let is_syn = p.flags.has(Flags::SYN);
        if is_syn && start == -1 && !p.flags.has(Flags::RST) {
            if p.flags.has(Flags::ACK) && p.ack == self.seq_of(1) {
                // the SYN-ACK that crossed ours: acknowledges our SYN
                return self.finish_handshake(p, cx);
            }
            self.send_syn(cx);
            self.rto_at = cx.now + self.rto_now(cx.config);
            return FINE;
        }
        let seg = Incoming::new(p, self.rcv_nxt);
        if seg.data_end() + i64::from(seg.fin) < 0 || seg.start > i64::from(self.window()) {
            if !p.flags.has(Flags::RST) {
                self.challenge(cx, false);
            }
            return INVALID;
        }
        if p.flags.has(Flags::RST) || is_syn {
            if is_syn {
                send_reset_for(p, cx);
            }
            let note = if self.is_embryonic() { Note::Reset } else { Note::Refused };
            return (Fate::Dead(note), Arrival::Delivered);
        }
        if !p.flags.has(Flags::ACK) {
            return INVALID;
        }
        if p.ack != self.seq_of(1) {
            send_reset_for(p, cx);
            return INVALID;
        }
        self.finish_handshake(p, cx)
    }

    /// Our SYN is acknowledged: the connection is established, if its listener has room.
    fn finish_handshake(&mut self, p: &Packet, cx: &mut Cx<'_>) -> Verdict {
        let embryonic = self.is_embryonic();
        if embryonic && !cx.listeners.complete(self.listener) {
            cx.counters.listen_overflows += 1;
            return (Fate::Live, Arrival::BacklogFull);
        }
        self.una = 1;
        self.snd_wnd = p.window;
        self.wl1 = p.seq;
        self.establish(cx);
        if embryonic {
            cx.note(Note::Accepted { listener: u32::from(self.listener) });
        } else {
            cx.note(Note::Connected);
        }
        if p.flags.has(Flags::SYN) {
            self.output(cx);
            return FINE;
        }
        self.in_synchronised(p, cx)
    }

    /// Everything that begins with a connection's established life.
    fn establish(&mut self, cx: &mut Cx<'_>) {
        self.enter(State::Established, cx.counters);
        self.start_congestion(cx.config);
        // timestamps tell which of several SYNs was answered (RFC 7323); without them nothing is measured
        let resent = self.bits.has(Bits::SYN_RESENT);
        if !resent || self.bits.has(Bits::OPTIONS) {
            self.measured(micros(cx.now).wrapping_sub(self.rtt_start));
        }
        self.bits.clear(Bits::TIMING);
        self.bits.clear(Bits::SOFT_ERROR);
        self.backoff = 0;
        self.tries = 0;
        self.rto_at = Time::NEVER;
        self.heard_at = cx.now;
        if let Some((idle, _, _)) = cx.config.keepalive {
            self.idle_at = cx.now + idle;
        }
    }

    fn in_synchronised(&mut self, p: &Packet, cx: &mut Cx<'_>) -> Verdict {
        let seg = Incoming::new(p, self.rcv_nxt);
        let refused = self.validate(p, &seg, cx);
        if let Some(verdict) = refused {
            return verdict;
        }
        self.heard_at = cx.now;
        if self.flight() == 0 {
            self.tries = 0;
        }
        match self.on_ack(p, &seg, cx) {
            AckVerdict::Go => {}
            AckVerdict::Unsent => {
                self.challenge(cx, false);
                return INVALID;
            }
            AckVerdict::Over(fate) => return (fate, Arrival::Delivered),
        }
        let mut fate = Fate::Live;
        if seg.is_data() {
            fate = self.on_data(p, &seg, cx);
        }
        if fate == Fate::Live {
            self.output(cx);
            self.settle_ack(cx);
        }
        (fate, Arrival::Delivered)
    }

    /// Sequence number, RST, SYN, missing ACK (Linux `tcp_validate_incoming`, RFC 5961). `None`: go on.
    #[inline]
    fn validate(&mut self, p: &Packet, seg: &Incoming, cx: &mut Cx<'_>) -> Option<Verdict> {
        let unacked = i64::from(self.rcv_nxt.wrapping_sub(self.rcv_acked));
        let end = seg.data_end() + i64::from(seg.fin);
        let plain = p.flags.0 & (Flags::RST.0 | Flags::SYN.0 | Flags::ACK.0) == Flags::ACK.0;
        let inside = end >= -unacked && seg.start <= i64::from(self.window());
        if plain && inside {
            return None;
        }
        if p.flags.has(Flags::RST) {
            if inside && seg.start == 0 {
                return Some((Fate::Dead(Note::Reset), Arrival::Delivered));
            }
            if inside {
                self.challenge(cx, false);
            }
        } else if !inside || p.flags.has(Flags::SYN) {
            self.challenge(cx, seg.is_data() && !p.flags.has(Flags::SYN));
        }
        Some(INVALID)
    }

    #[inline]
    fn on_ack(&mut self, p: &Packet, seg: &Incoming, cx: &mut Cx<'_>) -> AckVerdict {
        let acked = i64::from(p.ack.wrapping_sub(self.seq_of(self.una)) as i32);
        let flight = self.flight();
        if acked > flight as i64 {
            return AckVerdict::Unsent;
        }
        if acked < 0 {
            return AckVerdict::Go; // overtaken by a newer one; its data counts
        }
        let old_window = self.snd_wnd;
        let newer = p.seq.wrapping_sub(self.wl1) as i32;
        if acked > 0 || newer > 0 || (newer == 0 && (p.window > old_window || p.window == 0)) {
            self.snd_wnd = p.window;
            self.wl1 = p.seq;
        }
        if acked > 0 {
            return self.on_progress(acked as u32, flight, cx);
        }
        if flight > 0 {
            if !seg.is_data() && p.window == old_window {
                self.on_duplicate(cx);
            }
        } else if self.rto_at < Time::NEVER && self.snd_wnd > old_window {
            // the window opened: no more probes
            self.rto_at = Time::NEVER;
            self.backoff = 0;
        }
        AckVerdict::Go
    }

    /// The peer acknowledged something new.
    #[inline]
    fn on_progress(&mut self, acked: u32, flight: u64, cx: &mut Cx<'_>) -> AckVerdict {
        self.una += u64::from(acked);
        self.nxt = self.nxt.max(self.una);
        self.tries = 0;
        self.bits.clear(Bits::SOFT_ERROR);
        self.bits.clear(Bits::PROBED);
        cx.extras.drop_ends(&mut self.extra, self.una);
        self.take_timing(cx.now);
        if self.bits.has(Bits::OPTIONS) {
            // timestamps give a measurement even of segments sent twice
            self.backoff = 0;
        }
        let partial = self.on_new_ack(acked, flight);
        if self.flight() == 0 {
            self.rto_at = Time::NEVER;
        } else {
            self.rto_at = cx.now + self.rto_now(cx.config);
            if partial {
                self.resend_first(cx);
            }
        }
        if self.una > self.end { self.on_fin_acked(cx) } else { AckVerdict::Go }
    }

    /// Our FIN arrived.
    fn on_fin_acked(&mut self, cx: &mut Cx<'_>) -> AckVerdict {
        match self.state {
            State::FinWait1 => {
                self.enter(State::FinWait2, cx.counters);
                self.idle_at = cx.now + cx.config.time_wait;
                AckVerdict::Go
            }
            State::Closing => AckVerdict::Over(Fate::TimeWait),
            State::LastAck => AckVerdict::Over(Fate::Dead(Note::Closed)),
            _ => AckVerdict::Go,
        }
    }

    fn on_duplicate(&mut self, cx: &mut Cx<'_>) {
        if self.on_duplicate_ack() == OnDuplicate::Retransmit {
            cx.counters.fast_retransmits += 1;
            self.resend_first(cx);
            self.rto_at = cx.now + self.rto_now(cx.config);
        }
    }

    /// Payload or FIN arrived (Linux `tcp_data_queue`).
    fn on_data(&mut self, p: &Packet, seg: &Incoming, cx: &mut Cx<'_>) -> Fate {
        let after_fin = matches!(self.state, State::CloseWait | State::Closing | State::LastAck);
        if after_fin && seg.data_end() + i64::from(seg.fin) > 0 {
            return Fate::Live; // behind the FIN: not from this world
        }
        if self.state.is_orphan() && seg.len > 0 && seg.data_end() > 0 {
            // nobody will read it
            send_reset_for(p, cx);
            return Fate::Dead(Note::Aborted);
        }
        self.note_data_arrived(seg, cx);
        let behind = seg.data_end() + i64::from(seg.fin) <= 0;
        let no_room = seg.len > 0 && seg.start >= i64::from(self.window());
        if behind || no_room {
            self.bits.clear(Bits::PINGPONG);
            self.quick = cx.config.quick_acks;
            self.owe_ack(true);
            return Fate::Live;
        }
        let gap = cx.extras.has_gap(self.extra);
        if seg.start > 0 {
            let end = p.seq.wrapping_add(seg.len);
            let range = Range { start: p.seq, end, push: seg.push, fin: seg.fin };
            cx.extras.insert(&mut self.extra, self.rcv_nxt, range);
            self.owe_ack(true);
            return Fate::Live;
        }
        let read = self.is_read_at_once(seg, cx);
        self.owe_ack(gap || read);
        if seg.len > 0 {
            self.take_bytes(seg.data_end() as u32, seg.push, cx);
        }
        let mut fin = seg.fin;
        while gap && !fin {
            let Some(range) = cx.extras.take_due(&mut self.extra, self.rcv_nxt) else { break };
            let new = range.end.wrapping_sub(self.rcv_nxt) as i32;
            if new >= 0 {
                self.take_bytes(new as u32, range.push, cx);
                fin = range.fin;
            }
        }
        if fin { self.on_fin(cx) } else { Fate::Live }
    }

    /// The next `new` bytes of the stream are here.
    #[inline]
    fn take_bytes(&mut self, new: u32, push: bool, cx: &mut Cx<'_>) {
        if new == 0 {
            return;
        }
        self.rcv_nxt = self.rcv_nxt.wrapping_add(new);
        self.received += u64::from(new);
        if self.bits.has(Bits::PAUSED) {
            self.unread = self.unread.saturating_add(new);
        }
        if !self.bits.has(Bits::IN_MESSAGE) {
            self.bits.set(Bits::IN_MESSAGE);
            cx.note(Note::FirstByte);
        }
        if push {
            self.bits.clear(Bits::IN_MESSAGE);
            cx.note(Note::MessageComplete { total: self.received });
        }
    }

    /// The peer's FIN is next in the stream (Linux `tcp_fin`).
    fn on_fin(&mut self, cx: &mut Cx<'_>) -> Fate {
        self.rcv_nxt = self.rcv_nxt.wrapping_add(1);
        cx.extras.drop_ranges(&mut self.extra);
        match self.state {
            State::Established => {
                self.enter(State::CloseWait, cx.counters);
                self.bits.set(Bits::PINGPONG);
                self.owe_ack(cx.config.ack_fin_at_once);
                cx.note(Note::PeerClosed);
                Fate::Live
            }
            State::FinWait1 => {
                self.enter(State::Closing, cx.counters);
                self.send_ack(cx);
                Fate::Live
            }
            State::FinWait2 => {
                self.send_ack(cx);
                Fate::TimeWait
            }
            _ => Fate::Live,
        }
    }

    /// Bookkeeping for acknowledgements (Linux `tcp_event_data_recv`, `tcp_measure_rcv_mss`).
    #[inline]
    fn note_data_arrived(&mut self, seg: &Incoming, cx: &Cx<'_>) {
        if seg.len == 0 {
            return;
        }
        let first = !self.bits.has(Bits::SEEN_DATA);
        if first || ticks_since(cx.now, self.data_at) > self.rto(cx.config) {
            self.bits.set(Bits::SEEN_DATA);
            self.quick = cx.config.quick_acks;
        }
        self.data_at = ticks(cx.now);
        self.rcv_mss = self.rcv_mss.max(seg.len as u16);
    }

    /// Whether an application that reads at once makes the kernel acknowledge at once: the end of a message on
    /// a connection that is not interactive, or the second one that nobody has acknowledged (Linux
    /// `tcp_cleanup_rbuf`). Not for a host without quick acknowledgements, which does as RFC 1122 says and no more.
    #[inline]
    fn is_read_at_once(&mut self, seg: &Incoming, cx: &Cx<'_>) -> bool {
        if !seg.push || cx.config.quick_acks == 0 || self.bits.has(Bits::PAUSED) {
            return false;
        }
        let second = self.bits.has(Bits::PUSHED);
        self.bits.set(Bits::PUSHED);
        second || !self.bits.has(Bits::PINGPONG)
    }

    /// An acknowledgement is owed.
    #[inline]
    fn owe_ack(&mut self, now: bool) {
        self.bits.set(Bits::ACK_DUE);
        if now {
            self.bits.set(Bits::ACK_NOW);
        }
    }

    /// Sends the acknowledgement that is owed, or lets it wait (Linux `__tcp_ack_snd_check`).
    #[inline]
    fn settle_ack(&mut self, cx: &mut Cx<'_>) {
        if !self.bits.has(Bits::ACK_DUE) {
            return;
        }
        let full = u32::from(self.rcv_mss);
        let may_wait = full * u32::from(cx.config.ack_every.max(1) - 1);
        let quick = self.quick > 0 && !self.bits.has(Bits::PINGPONG);
        if quick
            || self.bits.has(Bits::ACK_NOW)
            || self.rcv_nxt.wrapping_sub(self.rcv_acked) > may_wait
        {
            self.send_ack(cx);
        } else if self.ack_at == Time::NEVER {
            self.ack_at = cx.now + cx.config.delayed_ack;
        }
    }
}

/// What an acknowledgement number means for the rest of its segment.
enum AckVerdict {
    /// Go on with the payload.
    Go,
    /// It acknowledges what was never sent.
    Unsent,
    /// The connection leaves its block.
    Over(Fate),
}

/// Sends the RST that answers a segment.
pub(super) fn send_reset_for(p: &Packet, cx: &mut Cx<'_>) {
    cx.counters.out_segs += 1;
    cx.counters.out_rsts += 1;
    cx.out.packets.push(reset_for(p, cx.ttl));
}
