//! Time: what a connection does when one of its deadlines is over.
//!
//! A block asks for a wake only when its next deadline lies before the wake it already waits for. A
//! wake that comes early (the deadline has moved on) asks again; a wake of a former owner of the slot does not
//! match `armed` and is ignored.

use super::Note;
use super::block::{Bits, Block, Cx, Fate, State};
use crate::engine::Time;

impl Block {
    /// Asks for a wake if the next deadline is not covered.
    #[inline]
    pub(super) fn arm(&mut self, cx: &mut Cx<'_>) {
        let next = self.rto_at.min(self.ack_at).min(self.idle_at);
        if next < self.armed {
            self.armed = next;
            cx.out.wakes.push((next, cx.slot));
        }
    }

    /// Asks for the first wake of a connection: after the shortest time that any deadline of its
    /// early life may have. A short connection, whose deadlines come ever closer (SYN, data, delayed
    /// acknowledgement), is over by then and has cost one wake; a longer one goes on from there.
    pub(super) fn arm_first(&mut self, cx: &mut Cx<'_>) {
        let soon = cx.now + cx.config.delayed_ack.min(cx.config.rto_min);
        self.armed = self.rto_at.min(soon);
        cx.out.wakes.push((self.armed, cx.slot));
    }

    /// Does what is due.
    pub(super) fn on_deadline(&mut self, cx: &mut Cx<'_>) -> Fate {
        if self.ack_at <= cx.now {
            // the application had nothing to send along: not interactive (Linux tcp_delack_timer_handler)
            self.bits.clear(Bits::PINGPONG);
            self.send_ack(cx);
        }
        let mut fate = Fate::Live;
        if self.rto_at <= cx.now {
            self.rto_at = Time::NEVER;
            fate = match self.state {
                State::SynSent => self.on_syn_timeout(cx.config.syn_retries, cx),
                State::SynReceived => self.on_syn_timeout(cx.config.synack_retries, cx),
                _ if self.flight() > 0 => self.on_data_timeout(cx),
                _ => self.on_probe_timeout(cx),
            };
        }
        if fate == Fate::Live && self.idle_at <= cx.now {
            fate = self.on_idle(cx);
        }
        fate
    }

    /// The SYN or SYN-ACK was not answered.
    fn on_syn_timeout(&mut self, limit: u8, cx: &mut Cx<'_>) -> Fate {
        if self.backoff >= limit {
            return self.give_up(cx);
        }
        self.backoff += 1;
        cx.counters.timeouts += 1;
        self.send_syn(cx);
        self.rto_at = cx.now + self.rto_now(cx.config);
        Fate::Live
    }

    /// Data or FIN was not acknowledged.
    fn on_data_timeout(&mut self, cx: &mut Cx<'_>) -> Fate {
        if self.tries >= self.retry_limit(cx) {
            return self.give_up(cx);
        }
        if self.probes_tail() {
            // nothing is known to be lost yet: neither the window nor the next time-out changes
            self.bits.set(Bits::PROBED);
            self.resend_first(cx);
            self.rto_at = cx.now + self.rto_now(cx.config);
            return Fate::Live;
        }
        cx.counters.timeouts += 1;
        self.on_timeout();
        self.tries += 1;
        self.backoff = self.backoff.saturating_add(1);
        self.resend_first(cx);
        self.rto_at = cx.now + self.rto_now(cx.config);
        Fate::Live
    }

    /// Whether the last segment, alone on its way, is sent again as a probe (Linux
    /// `tcp_schedule_loss_probe`; RFC 8985, section 7). It is due when the retransmission is: twice the
    /// round trip and 200 ms, at most the time-out.
    fn probes_tail(&self) -> bool {
        self.bits.has(Bits::OPTIONS)
            && !self.bits.has(Bits::PROBED)
            && !self.bits.has(Bits::RECOVERY)
            && (self.backoff, self.tries, self.dupacks) == (0, 0, 0)
            && self.max - self.una <= u64::from(self.mss)
    }

    /// The peer's window is still closed.
    fn on_probe_timeout(&mut self, cx: &mut Cx<'_>) -> Fate {
        if self.nxt >= self.end + u64::from(self.fin_wanted()) {
            return Fate::Live;
        }
        if self.tries >= self.retry_limit(cx) {
            return self.give_up(cx);
        }
        self.tries += 1;
        self.backoff = self.backoff.saturating_add(1);
        self.send_into_small_window(cx);
        self.rto_at = cx.now + self.rto_now(cx.config);
        Fate::Live
    }

    /// Retransmissions that may go unanswered.
    fn retry_limit(&self, cx: &Cx<'_>) -> u8 {
        if self.state.is_orphan() { cx.config.orphan_retries } else { cx.config.retries }
    }

    /// Nothing came for long: keepalive (Linux `tcp_keepalive_timer`), or the end of an orphan.
    fn on_idle(&mut self, cx: &mut Cx<'_>) -> Fate {
        self.idle_at = Time::NEVER;
        if self.state == State::FinWait2 {
            return Fate::Dead(Note::Closed);
        }
        let Some((idle, interval, probes)) = cx.config.keepalive else { return Fate::Live };
        if !self.state.is_established() {
            return Fate::Live;
        }
        if self.flight() > 0 || self.nxt < self.end {
            // retransmissions find out whether the peer lives
            self.idle_at = cx.now + idle;
        } else if self.heard_at + idle > cx.now {
            self.idle_at = self.heard_at + idle;
        } else if self.tries >= probes {
            self.send_reset(cx);
            return self.give_up(cx);
        } else {
            self.tries += 1;
            self.send_probe(cx);
            self.idle_at = cx.now + interval;
        }
        Fate::Live
    }

    /// No answer: the connection is over (Linux `tcp_write_err`).
    fn give_up(&self, cx: &mut Cx<'_>) -> Fate {
        cx.counters.gave_up += 1;
        let unreachable = self.bits.has(Bits::SOFT_ERROR);
        Fate::Dead(if unreachable { Note::Unreachable } else { Note::TimedOut })
    }
}
