//! How much may be on its way, and how long to wait for an acknowledgement.
//!
//! - Congestion window: slow start and congestion avoidance by bytes acknowledged (RFC 5681, RFC 3465), grown
//!   only by a sender that uses it (Linux `tcp_is_cwnd_limited`), `NewReno` (RFC 6582).
//! - Retransmission time-out: RFC 6298 with the bounds of Linux (`tcp_rtt_estimator`, `tcp_set_rto`): the
//!   lower bound is that of the deviation term, `RTO = SRTT + max(4 RTTVAR, rto_min)`.

use super::block::{Bits, Block, micros};
use crate::config::TcpConfig;
use crate::engine::{Span, Time};

/// Duplicate acknowledgements that start a fast retransmission (RFC 5681).
const DUP_THRESHOLD: u8 = 3;

/// Upper bound of the congestion window: windows are below 2^30 as well (RFC 7323).
const MAX_CWND: u32 = 1 << 30;

/// What a duplicate acknowledgement calls for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OnDuplicate {
    /// Perhaps a new segment (RFC 3042 limited transmit, or an inflated window).
    Send,
    /// The oldest segment again: it is lost.
    Retransmit,
}

impl Block {
    /// Sets the window for the first data, when the size of a segment is known.
    ///
    /// A handshake that took more than one retransmission starts with one segment (RFC 5681, section 3.1;
    /// Linux `tcp_init_transfer` forgives the first).
    pub(super) fn start_congestion(&mut self, config: &TcpConfig) {
        let segments = if self.backoff > 1 { 1 } else { config.initial_cwnd.max(1) };
        self.cwnd = segments.saturating_mul(u32::from(self.mss)).min(MAX_CWND);
        self.ssthresh = u32::MAX;
    }

    /// Last offset that the congestion window lets go, plus one.
    #[inline]
    pub(super) fn congestion_edge(&self) -> u64 {
        let extra = if self.bits.has(Bits::RECOVERY) { 0 } else { self.dupacks.min(2) };
        self.una + u64::from(self.cwnd) + u64::from(extra) * u64::from(self.mss)
    }

    /// Takes in that `una` advanced by `acked` bytes while `flight` bytes were on their way. True for a
    /// partial acknowledgement: the segment now oldest is lost too and must be sent again.
    #[inline]
    pub(super) fn on_new_ack(&mut self, acked: u32, flight: u64) -> bool {
        if self.bits.has(Bits::RECOVERY) {
            return self.on_ack_in_recovery(acked);
        }
        self.dupacks = 0;
        let mss = u32::from(self.mss);
        if self.cwnd < self.ssthresh {
            if flight * 2 >= u64::from(self.cwnd) {
                // stop at the threshold, as Linux does
                self.cwnd = self.cwnd.saturating_add(acked).min(self.ssthresh).min(MAX_CWND);
            }
        } else if flight + u64::from(mss) > u64::from(self.cwnd) {
            let gain = u64::from(mss) * u64::from(acked) / u64::from(self.cwnd.max(1));
            self.cwnd = self.cwnd.saturating_add((gain as u32).clamp(1, mss)).min(MAX_CWND);
        }
        false
    }

    /// RFC 6582, section 3.2, steps 3 and 4.
    fn on_ack_in_recovery(&mut self, acked: u32) -> bool {
        let mss = u32::from(self.mss);
        if self.una >= self.recover {
            let flight = u32::try_from(self.flight()).unwrap_or(u32::MAX);
            self.cwnd = self.ssthresh.min(flight.max(mss).saturating_add(mss));
            self.bits.clear(Bits::RECOVERY);
            self.dupacks = 0;
            return false;
        }
        self.cwnd = self.cwnd.saturating_sub(acked);
        if acked >= mss {
            self.cwnd = self.cwnd.saturating_add(mss);
        }
        self.cwnd = self.cwnd.max(mss);
        true
    }

    /// Takes in a duplicate acknowledgement.
    pub(super) fn on_duplicate_ack(&mut self) -> OnDuplicate {
        self.dupacks = self.dupacks.saturating_add(1);
        if self.bits.has(Bits::RECOVERY) {
            self.cwnd = self.cwnd.saturating_add(u32::from(self.mss)).min(MAX_CWND);
            return OnDuplicate::Send;
        }
        // what was sent before a time-out or an earlier recovery says nothing about a new loss
        if self.dupacks != DUP_THRESHOLD || self.una < self.recover {
            return OnDuplicate::Send;
        }
        self.halve_threshold();
        self.recover = self.max;
        self.cwnd = self.ssthresh.saturating_add(3 * u32::from(self.mss)).min(MAX_CWND);
        self.bits.set(Bits::RECOVERY);
        OnDuplicate::Retransmit
    }

    /// Takes in a retransmission time-out: one segment, and back to the oldest byte (RFC 5681, section 3.1).
    pub(super) fn on_timeout(&mut self) {
        if self.tries == 0 {
            self.halve_threshold();
        }
        self.cwnd = u32::from(self.mss);
        self.recover = self.max;
        self.nxt = self.una;
        self.dupacks = 0;
        self.bits.clear(Bits::RECOVERY);
        self.bits.clear(Bits::TIMING);
    }

    /// Half of what is on its way, at least two segments.
    fn halve_threshold(&mut self) {
        let half = u32::try_from(self.flight() / 2).unwrap_or(MAX_CWND);
        self.ssthresh = half.max(2 * u32::from(self.mss));
    }

    /// Shrinks the window of a sender that was silent: one halving for each time-out that went by (RFC 2861,
    /// Linux `tcp_slow_start_after_idle`), down to the initial window.
    pub(super) fn after_idle(&mut self, idle: Span, config: &TcpConfig) {
        let rto = self.rto(config).as_nanos().max(1);
        if idle.as_nanos() <= rto {
            return;
        }
        let initial = config.initial_cwnd.max(1).saturating_mul(u32::from(self.mss));
        let floor = self.cwnd.min(initial);
        self.ssthresh = self.ssthresh.max(self.cwnd / 4 * 3);
        let halvings = (idle.as_nanos() / rto).min(31) as u32;
        self.cwnd = (self.cwnd >> halvings).max(floor);
    }

    /// Starts measuring the round trip of a segment that ends at `end`.
    #[inline]
    pub(super) fn start_timing(&mut self, now: Time, end: u64) {
        self.bits.set(Bits::TIMING);
        self.rtt_end = end as u32;
        self.rtt_start = micros(now);
    }

    /// Ends a measurement if `una` has reached its end (Karn: no segment is measured that was sent twice).
    #[inline]
    pub(super) fn take_timing(&mut self, now: Time) {
        if self.bits.has(Bits::TIMING) && (self.una as u32).wrapping_sub(self.rtt_end) as i32 >= 0 {
            self.bits.clear(Bits::TIMING);
            self.measured(micros(now).wrapping_sub(self.rtt_start));
            self.backoff = 0;
        }
    }

    /// Takes in a round trip of `us` microseconds (RFC 6298, section 2).
    pub(super) fn measured(&mut self, us: u32) {
        // an hour: keeps the arithmetic far from its limits
        let us = us.clamp(1, 3_600_000_000 / 8);
        self.bits.clear(Bits::SYN_RESENT);
        if self.srtt == 0 {
            self.srtt = us * 8;
            self.rttvar = us * 2;
            return;
        }
        let error = i64::from(us) - i64::from(self.srtt / 8);
        self.rttvar = (i64::from(self.rttvar) - i64::from(self.rttvar / 4) + error.abs()) as u32;
        self.srtt = (i64::from(self.srtt) + error).max(1) as u32;
    }

    /// Retransmission time-out before any doubling.
    ///
    /// Before the first measurement `rto_initial`, three times that if a SYN had to be sent again
    /// (RFC 6298, section 5.7).
    pub(super) fn rto(&self, config: &TcpConfig) -> Span {
        let span = if self.srtt == 0 {
            let factor = if self.bits.has(Bits::SYN_RESENT) && self.una > 0 { 3 } else { 1 };
            config.rto_initial * factor
        } else {
            let deviation = Span::from_micros(u64::from(self.rttvar)).max(config.rto_min);
            Span::from_micros(u64::from(self.srtt / 8)) + deviation
        };
        span.min(config.rto_max)
    }

    /// Retransmission time-out with its doublings.
    #[inline]
    pub(super) fn rto_now(&self, config: &TcpConfig) -> Span {
        if self.backoff == 0 {
            return self.rto(config);
        }
        let factor = 1_u64 << self.backoff.min(40);
        let ns = self.rto(config).as_nanos().saturating_mul(factor);
        Span::from_nanos(ns).min(config.rto_max)
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::Tuple;
    use super::*;
    use crate::wire::Ip;

    fn block(config: &TcpConfig) -> Block {
        let end = (Ip::new(10, 0, 0, 1), 80);
        let mut b = Block::new(Tuple::new(end, end), 0, 1460, 1000, 0);
        b.una = 1;
        b.nxt = 1;
        b.max = 1;
        b.start_congestion(config);
        b
    }

    #[test]
    fn the_window_doubles_per_round_trip_and_then_grows_by_one_segment() {
        let config = TcpConfig::default();
        let mut b = block(&config);
        assert_eq!(b.cwnd, 10_000);
        for _ in 0..10 {
            b.on_new_ack(1000, 10_000);
        }
        assert_eq!(b.cwnd, 20_000);
        b.ssthresh = 20_000;
        for _ in 0..20 {
            b.on_new_ack(1000, 20_000);
        }
        assert!((20_900..=21_000).contains(&b.cwnd), "{}", b.cwnd);
    }

    #[test]
    fn a_sender_that_does_not_use_its_window_does_not_grow_it() {
        let mut b = block(&TcpConfig::default());
        b.on_new_ack(1000, 1000);
        assert_eq!(b.cwnd, 10_000);
    }

    #[test]
    fn three_duplicates_halve_the_window_once() {
        let mut b = block(&TcpConfig::default());
        b.max = 10_001;
        b.nxt = 10_001;
        assert_eq!(b.on_duplicate_ack(), OnDuplicate::Send);
        assert_eq!(b.congestion_edge(), 1 + 11_000, "limited transmit");
        assert_eq!(b.on_duplicate_ack(), OnDuplicate::Send);
        assert_eq!(b.on_duplicate_ack(), OnDuplicate::Retransmit);
        assert_eq!((b.ssthresh, b.cwnd), (5_000, 8_000));
        assert_eq!(b.on_duplicate_ack(), OnDuplicate::Send);
        assert_eq!(b.cwnd, 9_000);
        b.una = 3_001;
        assert!(b.on_new_ack(2_000, 10_000), "partial: the next hole is sent");
        assert_eq!(b.cwnd, 8_000);
        b.una = 10_001;
        assert!(!b.on_new_ack(7_000, 8_000));
        assert_eq!(b.cwnd, 2_000, "nothing is on its way: no burst");
    }

    #[test]
    fn slow_start_stops_at_its_threshold() {
        let mut b = block(&TcpConfig::default());
        b.ssthresh = 10_500;
        b.on_new_ack(1000, 10_000);
        assert_eq!(b.cwnd, 10_500);
    }

    #[test]
    fn duplicates_after_a_time_out_are_not_a_new_loss() {
        let mut b = block(&TcpConfig::default());
        b.max = 10_001;
        b.nxt = 10_001;
        b.on_timeout();
        assert_eq!((b.nxt, b.cwnd, b.ssthresh), (1, 1_000, 5_000));
        for _ in 0..5 {
            assert_eq!(b.on_duplicate_ack(), OnDuplicate::Send);
        }
        b.tries = 1;
        b.max = 4_001;
        b.on_timeout();
        assert_eq!(b.ssthresh, 5_000, "only the first time-out of a segment halves");
    }

    #[test]
    fn the_time_out_is_the_round_trip_plus_at_least_200_ms() {
        let config = TcpConfig::default();
        let mut b = block(&config);
        assert_eq!(b.rto(&config), Span::from_secs(1));
        b.measured(10_000);
        assert_eq!(b.rto(&config), Span::from_millis(210));
        b.measured(410_000);
        // srtt 60 ms, rttvar 4 x (3.75 + 100) ms
        assert_eq!(b.rto(&config), Span::from_micros(60_000 + 415_000));
        b.backoff = 2;
        assert_eq!(b.rto_now(&config), Span::from_micros(475_000 * 4));
        b.backoff = 30;
        assert_eq!(b.rto_now(&config), Span::from_secs(120));
    }

    #[test]
    fn a_handshake_with_a_lost_syn_makes_the_first_time_out_three_seconds() {
        let config = TcpConfig::default();
        let mut b = block(&config);
        b.bits.set(Bits::SYN_RESENT);
        assert_eq!(b.rto(&config), Span::from_secs(3));
        b.measured(1_000);
        assert_eq!(b.rto(&config), Span::from_millis(201));
    }

    #[test]
    fn silence_takes_the_window_back_to_its_start() {
        let config = TcpConfig::default();
        let mut b = block(&config);
        b.measured(10_000);
        b.cwnd = 80_000;
        b.after_idle(Span::from_millis(200), &config);
        assert_eq!(b.cwnd, 80_000);
        b.after_idle(Span::from_millis(430), &config);
        assert_eq!(b.cwnd, 20_000);
        b.after_idle(Span::from_secs(100), &config);
        assert_eq!(b.cwnd, 10_000);
    }
}
