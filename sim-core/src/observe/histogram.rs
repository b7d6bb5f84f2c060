//! Latency histograms: integer counts in log buckets, so merging is exact in any order.

use hdrhistogram::Histogram as Hdr;

/// Counts of spans in nanoseconds, three significant digits, 1 ns to 1 h (longer ones count as 1 h).
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Hdr<u64>,
    sum_ns: u128,
    sum_squares_s: f64,
}

impl Histogram {
    const MAX_NS: u64 = 3_600_000_000_000;

    /// An empty histogram.
    pub fn new() -> Self {
        let counts = Hdr::new_with_bounds(1, Self::MAX_NS, 3)
            .unwrap_or_else(|_| unreachable!("the bounds are constants the crate accepts"));
        Self { counts, sum_ns: 0, sum_squares_s: 0.0 }
    }

    /// Counts a span.
    pub fn record(&mut self, span: crate::engine::Span) {
        let ns = span.as_nanos();
        self.counts.saturating_record(ns.max(1));
        self.sum_ns += u128::from(ns);
        let s = span.as_secs_f64();
        self.sum_squares_s += s * s;
    }

    /// Spans counted.
    pub fn count(&self) -> u64 {
        self.counts.len()
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
        if self.count() == 0 { 0.0 } else { self.counts.value_at_quantile(q) as f64 / 1e9 }
    }

    /// Longest span in seconds, to three significant digits; 0 if empty.
    pub fn max_s(&self) -> f64 {
        if self.count() == 0 { 0.0 } else { self.counts.max() as f64 / 1e9 }
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        let merged = self.counts.add(&other.counts);
        debug_assert!(merged.is_ok(), "all histograms have the same bounds");
        self.sum_ns += other.sum_ns;
        self.sum_squares_s += other.sum_squares_s;
    }

    /// Non-empty buckets: upper bound in seconds, count.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        self.counts
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
