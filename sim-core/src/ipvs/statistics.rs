//! Counters, and the rates that the kernel estimates from them.
//!
//! Source: kernel `net/netfilter/ipvs/ip_vs_est.c` and `ip_vs_ctl.c` (`ip_vs_zero_stats`).

use crate::engine::{Span, Time};
use core::ops::{Add, AddAssign, Sub, SubAssign};

/// What `ipvsadm -Ln --stats` counts for a destination, a service, or all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// IP bytes from clients, before encapsulation.
    pub bytes_in: u64,
    /// Packets from real servers that passed the director.
    pub packets_out: u64,
    /// IP bytes from real servers that passed the director.
    pub bytes_out: u64,
}

impl Stats {
    const fn fields(&self) -> [u64; 5] {
        [self.connections, self.packets_in, self.packets_out, self.bytes_in, self.bytes_out]
    }
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.packets_in += other.packets_in;
        self.bytes_in += other.bytes_in;
        self.packets_out += other.packets_out;
        self.bytes_out += other.bytes_out;
    }
}

impl SubAssign for Stats {
    fn sub_assign(&mut self, other: Self) {
        self.connections -= other.connections;
        self.packets_in -= other.packets_in;
        self.bytes_in -= other.bytes_in;
        self.packets_out -= other.packets_out;
        self.bytes_out -= other.bytes_out;
    }
}

impl Add for Stats {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl Sub for Stats {
    type Output = Self;

    fn sub(mut self, other: Self) -> Self {
        self -= other;
        self
    }
}

/// The kernel estimates rates this often.
pub(super) const PERIOD: Span = Span::from_secs(2);

/// The time of the estimate after `now`.
pub(super) fn next_estimate(now: Time) -> Time {
    Time::from_nanos((now.as_nanos() / PERIOD.as_nanos() + 1) * PERIOD.as_nanos())
}

/// After this many estimates without traffic every rate is zero: the largest falls by a quarter each
/// time.
const FADED: u64 = 160;

/// The rates of one object: an exponentially weighted moving average in fixed point.
///
/// Connections and packets per second are scaled by 2^10, bytes per second by 2^5. Every two seconds
/// a quarter of the difference to the last two seconds is added, rounded down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Estimator {
    /// Counters at the last `ipvsadm -Z`.
    zero: Stats,
    /// Counters at the last estimate.
    last: Stats,
    /// In the order of [`Stats::fields`].
    rates: [i64; 5],
}

impl Estimator {
    /// As many estimates are due; nothing was counted after the first of them.
    pub(super) fn estimate(&mut self, counted: Stats, due: u64) {
        let fields = (counted - self.last).fields();
        self.last = counted;
        self.update(fields);
        for _ in 1..due.min(FADED) {
            if self.rates == [0; 5] {
                break;
            }
            self.update([0; 5]);
        }
    }

    fn update(&mut self, counted: [u64; 5]) {
        const SHIFTS: [u32; 5] = [9, 9, 9, 4, 4];
        for ((rate, counted), shift) in self.rates.iter_mut().zip(counted).zip(SHIFTS) {
            *rate += ((counted << shift) as i64 - *rate) >> 2;
        }
    }

    /// What `ipvsadm -Ln --rate` shows: all of [`Stats`] per second, as `ip_vs_read_estimator` rounds
    /// it.
    pub(super) const fn rates(&self) -> Stats {
        let [connections, packets_in, packets_out, bytes_in, bytes_out] = self.rates;
        Stats {
            connections: ((connections + 0x1ff) >> 10) as u64,
            packets_in: ((packets_in + 0x1ff) >> 10) as u64,
            packets_out: ((packets_out + 0x1ff) >> 10) as u64,
            bytes_in: ((bytes_in + 0xf) >> 5) as u64,
            bytes_out: ((bytes_out + 0xf) >> 5) as u64,
        }
    }

    /// What was counted since the counters were set to zero.
    pub(super) fn shown(&self, counted: Stats) -> Stats {
        counted - self.zero
    }

    /// `ipvsadm -Z`.
    pub(super) fn set_zero(&mut self, counted: Stats) {
        *self = Self { zero: counted, last: counted, rates: [0; 5] };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(connections: u64, bytes_in: u64) -> Stats {
        Stats { connections, bytes_in, ..Stats::default() }
    }

    #[test]
    fn a_steady_rate_is_approached_by_a_quarter_every_two_seconds() {
        let mut estimator = Estimator::default();
        let mut seen = Vec::new();
        for tick in 1..=6 {
            // 100 connections and 1000 bytes a second
            estimator.estimate(counted(200 * tick, 2000 * tick), 1);
            let rates = estimator.rates();
            seen.push((rates.connections, rates.bytes_in));
        }
        // 100 * (1 - 0.75^n), rounded to the nearest
        assert_eq!(seen, [(25, 250), (44, 437), (58, 578), (68, 684), (76, 763), (82, 822)]);
    }

    #[test]
    fn rates_fade_when_nothing_comes_and_a_long_silence_is_as_good_as_many_short_ones() {
        let mut one_by_one = Estimator::default();
        one_by_one.estimate(counted(5_000_000, 1 << 40), 1);
        for silence in [1_u64, 2, 17, 100, 1_000_000] {
            let (mut step, mut jump) = (one_by_one, one_by_one);
            for _ in 0..silence.min(400) {
                step.estimate(counted(5_000_000, 1 << 40), 1);
            }
            jump.estimate(counted(5_000_000, 1 << 40), silence);
            assert_eq!(jump, step, "{silence}");
            assert_eq!(jump.rates() == Stats::default(), silence >= 100, "{silence}");
        }
    }

    #[test]
    fn zero_begins_anew() {
        let mut estimator = Estimator::default();
        estimator.estimate(counted(10, 100), 1);
        estimator.set_zero(counted(12, 120));
        assert_eq!(estimator.shown(counted(15, 121)), counted(3, 1));
        assert_eq!(estimator.rates(), Stats::default());
        estimator.estimate(counted(20, 120), 1);
        assert_eq!(estimator.rates().connections, 1);
    }

    #[test]
    fn estimates_are_made_at_even_seconds() {
        let at = |ms| Time::ZERO + Span::from_millis(ms);
        assert_eq!(next_estimate(at(0)), at(2_000));
        assert_eq!(next_estimate(at(1_999)), at(2_000));
        assert_eq!(next_estimate(at(2_000)), at(4_000));
    }
}
