//! Segments out: SYNs, data, FIN, acknowledgements, probes, RSTs.

use super::block::{Bits, Block, Cx, State, ticks, ticks_since};
use super::{SEGMENT_OPTIONS, SYN_OPTIONS};
use crate::config::TcpConfig;
use crate::engine::Time;
use crate::wire::{Flags, Packet, proto};

/// Bytes of a TCP header without options.
const HEADER: u16 = 20;

/// The answer to a segment that no connection wants (RFC 9293, section 3.10.7.1), without options.
pub(super) fn reset_for(p: &Packet, ttl: u8) -> Packet {
    let mut r = Packet::ip(p.dst, p.src, proto::TCP, HEADER);
    r.sport = p.dport;
    r.dport = p.sport;
    r.ttl = ttl;
    r.set_dont_fragment();
    r.tag = p.tag;
    if p.flags.has(Flags::ACK) {
        r.seq = p.ack;
        r.flags = Flags::RST;
    } else {
        let syn = u32::from(p.flags.has(Flags::SYN));
        let fin = u32::from(p.flags.has(Flags::FIN));
        r.ack = p.seq.wrapping_add(u32::from(p.payload()) + syn + fin);
        r.flags = Flags::RST.with(Flags::ACK);
    }
    r
}

impl Block {
    /// A packet to the peer without sequence numbers and flags.
    #[inline]
    fn packet(&self, cx: &Cx<'_>, opt: u8, len: u16) -> Packet {
        let ((src, sport), (dst, dport)) = (self.tuple.local(), self.tuple.remote());
        let mut p = Packet::ip(src, dst, proto::TCP, HEADER + u16::from(opt) + len);
        p.sport = sport;
        p.dport = dport;
        p.ttl = cx.ttl;
        p.tag = self.tag;
        p.set_dont_fragment();
        p.opt = opt;
        p
    }

    /// Sends one segment that starts at `offset`.
    #[inline]
    fn emit(&mut self, cx: &mut Cx<'_>, offset: u64, len: u16, flags: Flags) {
        let opt = self.options();
        let mut p = self.packet(cx, opt, len);
        if self.bits.has(Bits::FRAGMENT) {
            p.frag = 0;
        }
        p.seq = self.seq_of(offset);
        p.flags = flags;
        p.window = self.open_window(cx.config);
        p.ack = self.rcv_nxt;
        self.acknowledged();
        cx.counters.out_segs += 1;
        cx.out.packets.push(p);
    }

    /// Notes that what arrived so far is being acknowledged.
    #[inline]
    fn acknowledged(&mut self) {
        self.rcv_acked = self.rcv_nxt;
        self.quick = self.quick.saturating_sub(1);
        self.bits.clear(Bits::ACK_DUE);
        self.bits.clear(Bits::ACK_NOW);
        self.bits.clear(Bits::PUSHED);
        self.ack_at = Time::NEVER;
    }

    /// Moves the right edge of the receive window as far as the buffer allows, never back (an application
    /// reads everything or nothing, so it never moves by a little). The window in bytes.
    #[inline]
    pub(super) fn open_window(&mut self, config: &TcpConfig) -> u32 {
        // without options there is no window scale (RFC 7323, section 2.2)
        let scaled = self.bits.has(Bits::OPTIONS);
        let buffer = if scaled { config.receive_window } else { config.receive_window.min(0xffff) };
        let free = buffer.saturating_sub(self.unread);
        let edge = self.rcv_nxt.wrapping_add(free);
        if edge.wrapping_sub(self.rcv_edge) as i32 > 0 {
            self.rcv_edge = edge;
        }
        self.window()
    }

    /// The window announced and not yet used, in bytes.
    #[inline]
    pub(super) fn window(&self) -> u32 {
        let left = self.rcv_edge.wrapping_sub(self.rcv_nxt);
        if left as i32 > 0 { left } else { 0 }
    }

    /// Sends the SYN or the SYN-ACK, for the first time or again.
    pub(super) fn send_syn(&mut self, cx: &mut Cx<'_>) {
        let answer = self.state == State::SynReceived;
        let options = cx.config.options && (!answer || self.bits.has(Bits::OPTIONS));
        let again = self.max > 0;
        let opt = if options { SYN_OPTIONS } else { 0 };
        let mut p = self.packet(cx, opt, 0);
        p.seq = self.iss;
        p.mss = self.own_mss;
        p.flags = Flags::SYN;
        // the window of a SYN is never scaled (RFC 7323, section 2.2)
        p.window = cx.config.receive_window.min(0xffff);
        if answer {
            p.flags = Flags::SYN.with(Flags::ACK);
            p.ack = self.rcv_nxt;
            let edge = self.rcv_nxt.wrapping_add(p.window);
            self.rcv_edge = edge;
            self.acknowledged();
        }
        self.nxt = 1;
        self.max = self.max.max(1);
        if again {
            self.bits.set(Bits::SYN_RESENT);
            cx.counters.retrans_segs += 1;
        }
        self.start_timing(cx.now, 1);
        cx.counters.out_segs += 1;
        cx.out.packets.push(p);
    }

    /// The highest offset sent that lies in the peer's window (Linux `tcp_acceptable_seq`).
    #[inline]
    fn acceptable(&self) -> u64 {
        self.max.min(self.una + u64::from(self.snd_wnd)).max(self.una)
    }

    /// Sends a bare acknowledgement.
    pub(super) fn send_ack(&mut self, cx: &mut Cx<'_>) {
        self.emit(cx, self.acceptable(), 0, Flags::ACK);
    }

    /// Sends a segment that the peer must answer: one below what it has acknowledged (Linux
    /// `tcp_xmit_probe_skb`). For keepalive and closed windows.
    pub(super) fn send_probe(&mut self, cx: &mut Cx<'_>) {
        self.emit(cx, self.una.saturating_sub(1), 0, Flags::ACK);
    }

    /// Sends a RST that the peer accepts.
    pub(super) fn send_reset(&mut self, cx: &mut Cx<'_>) {
        cx.counters.out_rsts += 1;
        self.emit(cx, self.acceptable(), 0, Flags::RST.with(Flags::ACK));
    }

    /// Answers a segment that should not have come, at most every 500 ms (Linux
    /// `tcp_invalid_ratelimit`): two confused ends must not talk for ever. Data is always answered.
    pub(super) fn challenge(&mut self, cx: &mut Cx<'_>, data: bool) {
        let since = ticks_since(cx.now, self.challenged_at);
        if !data && self.challenged_at != 0 && since < super::CHALLENGE_INTERVAL {
            return;
        }
        self.challenged_at = ticks(cx.now);
        self.send_ack(cx);
    }

    /// End of the segment that starts at `offset`: a full one, or up to the end of the message.
    #[inline]
    pub(super) fn segment_end(&self, cx: &Cx<'_>, offset: u64, mss: u16) -> u64 {
        let message = cx.extras.end_after(self.extra, offset).unwrap_or(self.end);
        message.min(offset + u64::from(mss))
    }

    /// Whether the stream will end with a FIN behind the data written so far.
    #[inline]
    pub(super) fn fin_wanted(&self) -> bool {
        self.state.is_orphan()
    }

    /// Sends the segment that starts at `offset` and ends at `end`; returns the offset behind it, which
    /// counts the FIN.
    #[inline]
    fn send_segment(&mut self, cx: &mut Cx<'_>, offset: u64, end: u64) -> u64 {
        let mut flags = Flags::ACK;
        let message_end =
            end == self.end || cx.extras.end_after(self.extra, end.wrapping_sub(1)) == Some(end);
        if end > offset && message_end {
            flags = flags.with(Flags::PSH);
        }
        let mut behind = end;
        if end == self.end && self.fin_wanted() {
            flags = flags.with(Flags::FIN);
            behind += 1;
        }
        let again = offset < self.max;
        if again {
            cx.counters.retrans_segs += 1;
            if self.rtt_end.wrapping_sub(offset as u32) as i32 > 0 {
                self.bits.clear(Bits::TIMING);
            }
        } else if !self.bits.has(Bits::TIMING) {
            self.start_timing(cx.now, behind);
        }
        if end > offset {
            self.note_data_sent(cx);
        }
        self.emit(cx, offset, (end - offset) as u16, flags);
        self.max = self.max.max(behind);
        if self.rto_at == Time::NEVER {
            self.rto_at = cx.now + self.rto_now(cx.config);
        }
        behind
    }

    /// Data sent soon after data came makes the connection interactive (Linux `tcp_event_data_sent`).
    #[inline]
    fn note_data_sent(&mut self, cx: &Cx<'_>) {
        self.sent_at = ticks(cx.now);
        if self.bits.has(Bits::SEEN_DATA)
            && ticks_since(cx.now, self.data_at) < cx.config.delayed_ack
        {
            self.bits.set(Bits::PINGPONG);
        }
    }

    /// Sends what both windows allow. A segment goes only if it fits in the peer's window as a whole.
    #[inline]
    pub(super) fn output(&mut self, cx: &mut Cx<'_>) {
        let goal = self.end + u64::from(self.fin_wanted());
        if self.nxt < goal {
            self.output_up_to(cx, goal);
        }
    }

    fn output_up_to(&mut self, cx: &mut Cx<'_>, goal: u64) {
        while self.nxt < goal {
            let end = self.segment_end(cx, self.nxt, self.mss);
            let fin = u64::from(end == self.end && self.fin_wanted());
            if end + fin > self.una + u64::from(self.snd_wnd) {
                break;
            }
            // a lone FIN does not wait for the congestion window (Linux tcp_cwnd_test)
            if end > self.nxt && end > self.congestion_edge() {
                break;
            }
            self.nxt = self.send_segment(cx, self.nxt, end);
        }
        if self.nxt < goal && self.flight() == 0 && self.rto_at == Time::NEVER {
            // the peer's window is closed: ask now and then
            self.rto_at = cx.now + self.rto_now(cx.config);
        }
    }

    /// Sends the oldest segment again, whatever the windows say.
    pub(super) fn resend_first(&mut self, cx: &mut Cx<'_>) {
        let end = self.segment_end(cx, self.una, self.mss);
        let behind = self.send_segment(cx, self.una, end);
        self.nxt = self.nxt.max(behind);
    }

    /// Sends what fits of the segment that waits for a larger window; a probe if nothing fits
    /// (Linux `tcp_write_wakeup`).
    pub(super) fn send_into_small_window(&mut self, cx: &mut Cx<'_>) {
        let edge = self.una + u64::from(self.snd_wnd);
        let end = self.segment_end(cx, self.nxt, self.mss).min(edge);
        if end > self.nxt {
            let fin_fits = end < self.end || end < edge || !self.fin_wanted();
            let end = if fin_fits { end } else { end - 1 };
            if end > self.nxt {
                self.nxt = self.send_segment(cx, self.nxt, end);
                return;
            }
        }
        self.send_probe(cx);
    }

    /// Sends again, in smaller pieces, every segment on its way that is larger than the path takes now
    /// (Linux `tcp_simple_retransmit`).
    pub(super) fn resend_oversized(&mut self, cx: &mut Cx<'_>, old_mss: u16) {
        let (mut offset, sent) = (self.una, self.max.min(self.end));
        while offset < sent {
            let end = self.segment_end(cx, offset, old_mss).min(sent);
            if end - offset > u64::from(self.mss) {
                let mut piece = offset;
                while piece < end {
                    let piece_end = self.segment_end(cx, piece, self.mss).min(end);
                    let behind = self.send_segment(cx, piece, piece_end);
                    self.nxt = self.nxt.max(behind);
                    piece = piece_end;
                }
            }
            offset = end;
        }
    }

    /// Takes options and segment size from the peer's SYN. `mss` is so far what the path takes.
    pub(super) fn negotiate(&mut self, p: &Packet, config: &TcpConfig) {
        let peer = if p.mss == 0 { super::DEFAULT_MSS } else { p.mss };
        let mut mss = self.mss.min(peer).max(super::MIN_MSS);
        if config.options && p.opt > 0 {
            self.bits.set(Bits::OPTIONS);
            mss -= u16::from(SEGMENT_OPTIONS);
        }
        self.mss = mss;
        // Linux tcp_initialize_rcv_mss
        self.rcv_mss = mss.min(super::DEFAULT_MSS);
        self.rcv_nxt = p.seq.wrapping_add(1);
        self.rcv_acked = self.rcv_nxt;
        self.rcv_edge = self.rcv_nxt;
        self.snd_wnd = p.window;
        self.wl1 = p.seq;
    }
}
