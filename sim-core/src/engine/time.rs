//! Virtual time: a point ([`Time`]) and a span ([`Span`]), both in whole nanoseconds.

use core::fmt;
use core::ops::{Add, AddAssign, Mul, Sub};

/// A point in virtual time: nanoseconds since the start of the run.
///
/// [`Time::NEVER`] is later than every reachable point and stands for "no deadline".
/// Adding a span to a point must not overflow: an overflow is a broken invariant (the model
/// bounds every span it accepts), never a wrap.
///
/// ```
/// use sim_core::engine::{Span, Time};
/// let t = Time::ZERO + Span::from_millis(3);
/// assert_eq!(t - Time::ZERO, Span::from_micros(3_000));
/// assert!(t < Time::NEVER);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

/// A length of virtual time in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(u64);

impl Time {
    /// The start of the run.
    pub const ZERO: Self = Self(0);
    /// Later than every reachable point: no deadline.
    pub const NEVER: Self = Self(u64::MAX);

    /// The point `ns` nanoseconds after the start.
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since the start, for display and statistics only.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The span since `earlier`, zero if `earlier` is later than this point.
    pub const fn saturating_since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest span the model accepts: 100 years. Sums of a few of them stay within `u64`.
    pub const MAX: Self = Self(100 * 365 * 86_400 * 1_000_000_000);

    /// A span of `ns` nanoseconds.
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns)
    }

    /// A span of `us` microseconds.
    pub const fn from_micros(us: u64) -> Self {
        Self(us * 1_000)
    }

    /// A span of `ms` milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms * 1_000_000)
    }

    /// A span of `s` seconds.
    pub const fn from_secs(s: u64) -> Self {
        Self(s * 1_000_000_000)
    }

    /// A sampled span: `s` seconds rounded to the nearest nanosecond, clamped to `0..=Span::MAX`
    /// (not-a-number becomes zero).
    pub fn from_secs_f64(s: f64) -> Self {
        let ns = s * 1e9 + 0.5;
        if ns >= Self::MAX.0 as f64 {
            Self::MAX
        } else if ns > 0.0 {
            Self(ns as u64)
        } else {
            Self::ZERO
        }
    }

    /// Length in nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This span a number of times, rounded down; exact if `factor` is 1.
    ///
    /// ```
    /// use sim_core::engine::Span;
    /// assert_eq!(Span::from_millis(3).times(2.5), Span::from_micros(7_500));
    /// ```
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        #[expect(clippy::float_cmp, reason = "exactly 1 is the usual case and must change nothing")]
        if factor == 1.0 { self } else { Self::from_secs_f64(self.as_secs_f64() * factor) }
    }

    /// Length in seconds, for display and statistics only.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Difference, zero if `other` is longer.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add<Span> for Time {
    type Output = Self;
    #[inline]
    fn add(self, span: Span) -> Self {
        Self(self.0.checked_add(span.0).expect("time stays below 584 years"))
    }
}

impl AddAssign<Span> for Time {
    #[inline]
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Sub for Time {
    type Output = Span;
    #[inline]
    fn sub(self, earlier: Self) -> Span {
        Span(self.0.checked_sub(earlier.0).expect("a span ends after it begins"))
    }
}

impl Add for Span {
    type Output = Self;
    #[inline]
    fn add(self, other: Self) -> Self {
        Self(self.0.checked_add(other.0).expect("spans stay below 584 years"))
    }
}

impl AddAssign for Span {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Mul<u64> for Span {
    type Output = Self;
    #[inline]
    fn mul(self, factor: u64) -> Self {
        Self(self.0.checked_mul(factor).expect("spans stay below 584 years"))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Time {
    /// Seconds with nanoseconds: `1.000050000s`; `never` for [`Time::NEVER`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return f.write_str("never");
        }
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Span {
    /// The largest unit that shows the span without a fraction: `50us`, `1500ms`, `3s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, name) in [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")] {
            if self.0 != 0 && self.0.is_multiple_of(unit) {
                return write!(f, "{}{name}", self.0 / unit);
            }
        }
        write!(f, "{}ns", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampled_spans_are_clamped_not_wrapped() {
        assert_eq!(Span::from_secs_f64(-1.0), Span::ZERO);
        assert_eq!(Span::from_secs_f64(f64::NAN), Span::ZERO);
        assert_eq!(Span::from_secs_f64(f64::INFINITY), Span::MAX);
        assert_eq!(Span::from_secs_f64(0.005), Span::from_millis(5));
    }

    #[test]
    fn a_span_prints_in_its_largest_whole_unit() {
        assert_eq!(Span::from_micros(50).to_string(), "50us");
        assert_eq!(Span::from_millis(1500).to_string(), "1500ms");
        assert_eq!(Span::ZERO.to_string(), "0ns");
        assert_eq!(Time::from_nanos(1_000_050_000).to_string(), "1.000050000s");
    }
}
