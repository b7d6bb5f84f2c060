//! Latency histograms: integer counts in log buckets, so merging is exact in any order.

use hdrhistogram::Histogram as Hdr;
use std::borrow::Cow;

/// Spans that wait to be counted.
const ROOM: usize = 16;

/// Counts of spans in nanoseconds, three significant digits, 1 ns to 1 h (longer ones count as 1 h).
///
/// The counts of a run are spread over more memory than a cache holds, so every count would be a wait
/// for memory. A few spans are counted together: then the waits overlap.
#[derive(Clone, Debug)]
pub struct Histogram {
    waiting: [u64; ROOM],
    /// How many spans wait; fewer than [`ROOM`].
    waits: u8,
    sum_ns: u128,
    sum_squares_s: f64,
    counts: Hdr<u64>,
}

impl Histogram {
    const MAX_NS: u64 = 3_600_000_000_000;

    /// An empty histogram.
    pub fn new() -> Self {
        let counts = Hdr::new_with_bounds(1, Self::MAX_NS, 3)
            .unwrap_or_else(|_| unreachable!("the bounds are constants the crate accepts"));
        Self { waiting: [0; ROOM], waits: 0, sum_ns: 0, sum_squares_s: 0.0, counts }
    }

    /// Counts a span.
    pub fn record(&mut self, span: crate::engine::Span) {
        let ns = span.as_nanos();
        self.waiting[self.waits as usize % ROOM] = ns.max(1);
        self.waits += 1;
        self.sum_ns += u128::from(ns);
        let s = span.as_secs_f64();
        self.sum_squares_s += s * s;
        if self.waits as usize >= ROOM {
            self.settle();
        }
    }

    /// Counts the spans that wait. Whoever reads much should have this done before.
    #[inline(never)]
    pub fn settle(&mut self) {
        for &ns in self.waiting.iter().take(self.waits as usize) {
            self.counts.saturating_record(ns);
        }
        self.waits = 0;
    }

    /// All counts.
    fn counts(&self) -> Cow<'_, Hdr<u64>> {
        if self.waits == 0 {
            return Cow::Borrowed(&self.counts);
        }
        let mut settled = self.clone();
        settled.settle();
        Cow::Owned(settled.counts)
    }

    /// Spans counted.
    pub fn count(&self) -> u64 {
        self.counts.len() + u64::from(self.waits)
    }

    /// Exact mean in seconds, 0 if empty.
    pub fn mean_s(&self) -> f64 {
        if self.count() == 0 { 0.0 } else { self.sum_ns as f64 / 1e9 / self.count() as f64 }
    }

    /// Standard deviation in seconds, 0 if empty.
    pub fn std_s(&self) -> f64 {
        if self.count() == 0 {
            return 0.0;
        }
        let mean = self.mean_s();
        (self.sum_squares_s / self.count() as f64 - mean * mean).max(0.0).sqrt()
    }

    /// The span in seconds that a share `q` (0 to 1) of the counted ones does not exceed, to three
    /// significant digits; 0 if empty.
    pub fn quantile_s(&self, q: f64) -> f64 {
        if self.count() == 0 { 0.0 } else { self.counts().value_at_quantile(q) as f64 / 1e9 }
    }

    /// Longest span in seconds, to three significant digits; 0 if empty.
    pub fn max_s(&self) -> f64 {
        if self.count() == 0 { 0.0 } else { self.counts().max() as f64 / 1e9 }
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.settle();
        let merged = self.counts.add(other.counts().as_ref());
        debug_assert!(merged.is_ok(), "all histograms have the same bounds");
        self.sum_ns += other.sum_ns;
        self.sum_squares_s += other.sum_squares_s;
    }

    /// Non-empty buckets: upper bound in seconds, count.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        self.counts()
            .iter_recorded()
            .map(|v| (v.value_iterated_to() as f64 / 1e9, v.count_since_last_iteration()))
            .collect()
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Span;

    #[test]
    fn what_waits_to_be_counted_counts() {
        let mut h = Histogram::new();
        for ms in 1..=ROOM as u64 * 2 + 5 {
            h.record(Span::from_millis(ms));
            let mut settled = h.clone();
            settled.settle();
            assert_eq!((h.count(), settled.count()), (ms, ms));
            assert_eq!(h.buckets(), settled.buckets());
            assert!((h.max_s() * 1e3 - ms as f64).abs() < 0.05, "{}", h.max_s());
            let mut sum = Histogram::new();
            sum.merge(&h);
            sum.merge(&h);
            assert_eq!(sum.count(), 2 * ms);
            assert_eq!(sum.buckets().len(), h.buckets().len());
        }
    }
}
