//! Scales: from values to a place between 0 and 1, with ticks a person likes.

use crate::number::{Unit, axis_labels, log_label};

/// Values beyond this are drawn at it; sums and differences of such values stay finite.
const LIMIT: f64 = 1e300;

const DIGITS: [f64; 9] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
}

/// A finite, non-empty range of values with its ticks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
    pub(super) ticks: Vec<Tick>,
    /// Values of grid lines without a label.
    pub(super) minor: Vec<f64>,
}

/// Whether the ends of a linear scale are moved out to ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    Round,
    Exact,
}

/// The least and the largest finite value; `None` if there is none.
pub(super) fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|value| value.is_finite()).fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    })
}

impl Scale {
    /// A linear scale over at least `range`, with up to about `most` ticks.
    pub(super) fn linear(range: (f64, f64), unit: &Unit, most: usize, ends: Ends) -> Self {
        let (low, high) = widen(range);
        let most = most.clamp(1, 100) as f64;
        let step = round_step((high - low) / most);
        let (first, last) = match ends {
            Ends::Round => ((low / step).floor(), (high / step).ceil()),
            Ends::Exact => ((low / step - 1e-6).ceil(), (high / step + 1e-6).floor()),
        };
        let count = (last - first).clamp(0.0, 200.0) as usize;
        let values: Vec<f64> = (0..=count).map(|index| (first + index as f64) * step).collect();
        let labels = axis_labels(&values, unit);
        let ticks =
            values.iter().zip(labels).map(|(&value, label)| Tick { value, label }).collect();
        let (low, high) = match ends {
            Ends::Round => (low.min(first * step), high.max(last * step)),
            Ends::Exact => (low, high),
        };
        Self { low, high, logarithmic: false, ticks, minor: Vec::new() }
    }

    /// A logarithmic scale over at least the positive part of `range`, with up to `most` ticks
    /// where that is possible.
    pub(super) fn logarithmic(range: (f64, f64), unit: &Unit, most: usize) -> Self {
        let clean = |value: f64| if value > 0.0 { value.clamp(1e-300, LIMIT) } else { 1e-300 };
        let (mut low, mut high) = (clean(range.0.min(range.1)), clean(range.0.max(range.1)));
        // a short range is rounded finely, so that the data fill it
        let fine = high < low * 5.0;
        low = if fine { finely_below(low) } else { round_below(low) };
        high = if fine { finely_above(high) } else { round_above(high) };
        if high < low * 1.5 {
            (low, high) = (low / 10.0, high * 10.0);
        }
        let all = multiples(low, high, &DIGITS, 1);
        let values = labelled(low, high, most.max(2));
        let tick = |&value: &f64| Tick { value, label: log_label(value, unit) };
        let minor = if all.len() <= 80 { all } else { Vec::new() };
        Self { low, high, logarithmic: true, ticks: values.iter().map(tick).collect(), minor }
    }

    /// Where a value stands: 0 at the low end, 1 at the high end. Values outside stand at the
    /// nearer end, what is not a number at 0.
    pub(super) fn position(&self, value: f64) -> f64 {
        let (value, low, high) = if self.logarithmic {
            let log = |v: f64| libm::log10(v.max(f64::MIN_POSITIVE));
            (log(value), log(self.low), log(self.high))
        } else {
            (value.clamp(-LIMIT, LIMIT), self.low, self.high)
        };
        let share = (value - low) / (high - low);
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }
}

/// A range with room in it, even for one value or for values a float can hardly tell apart.
fn widen((a, b): (f64, f64)) -> (f64, f64) {
    let clean = |value: f64| if value.is_nan() { 0.0 } else { value.clamp(-LIMIT, LIMIT) };
    let (low, high) = (clean(a).min(clean(b)), clean(a).max(clean(b)));
    let size = low.abs().max(high.abs());
    if size < 1e-300 {
        return (0.0, 1.0);
    }
    if high - low >= size * 1e-9 {
        return (low, high);
    }
    (low - size * 0.5, high + size * 0.5)
}

fn power_of_ten(exponent: f64) -> f64 {
    libm::pow(10.0, exponent.clamp(-307.0, 307.0))
}

/// 1, 2 or 5 times a power of ten, not less than the value.
fn round_step(value: f64) -> f64 {
    let base = power_of_ten(libm::floor(libm::log10(value.max(1e-305))));
    let fitting = [1.0, 2.0, 5.0].into_iter().find(|multiple| multiple * base >= value * 0.999_999);
    fitting.unwrap_or(10.0) * base
}

fn round_above(value: f64) -> f64 {
    round_step(value)
}

/// 1, 2 or 5 times a power of ten, not more than the value.
fn round_below(value: f64) -> f64 {
    let base = power_of_ten(libm::floor(libm::log10(value)));
    let fitting = [5.0, 2.0, 1.0].into_iter().find(|multiple| multiple * base <= value * 1.000_001);
    fitting.unwrap_or(0.5) * base
}

const FINE: [f64; 12] = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];

fn finely_below(value: f64) -> f64 {
    let base = power_of_ten(libm::floor(libm::log10(value)));
    let fitting = FINE.into_iter().rev().find(|multiple| multiple * base <= value * 1.000_001);
    fitting.unwrap_or(0.9) * base
}

fn finely_above(value: f64) -> f64 {
    let base = power_of_ten(libm::floor(libm::log10(value)));
    let fitting = FINE.into_iter().find(|multiple| multiple * base >= value * 0.999_999);
    fitting.unwrap_or(10.0) * base
}

/// The multiples of every `stride`-th power of ten between two values.
fn multiples(low: f64, high: f64, factors: &[f64], stride: usize) -> Vec<f64> {
    let decade = |value: f64| libm::floor(libm::log10(value) + 1e-9) as i32;
    let inside = |value: &f64| *value >= low * 0.999_999 && *value <= high * 1.000_001;
    (decade(low)..=decade(high))
        .filter(|exponent| exponent.rem_euclid(stride.max(1) as i32) == 0)
        .flat_map(|exponent| factors.iter().map(move |f| f * power_of_ten(f64::from(exponent))))
        .filter(inside)
        .collect()
}

/// Ticks in even steps, where they are more than three and the range is less than a decade.
fn even(low: f64, high: f64, most: usize) -> Option<Vec<f64>> {
    if high > low * 10.0 {
        return None;
    }
    let step = round_step((high - low) / (most.min(6) as f64));
    let (first, last) = ((low / step - 1e-6).ceil(), (high / step + 1e-6).floor());
    let count = (last - first).clamp(0.0, most as f64) as usize;
    let values: Vec<f64> = (0..=count).map(|index| (first + index as f64) * step).collect();
    (values.len() > 3 && values.len() <= most).then_some(values)
}

/// As many ticks as fit: every multiple, 1-2-5, then powers of ten, then every few powers of ten.
fn labelled(low: f64, high: f64, most: usize) -> Vec<f64> {
    for factors in [&DIGITS[..], &[1.0, 2.0, 5.0]] {
        let values = multiples(low, high, factors, 1);
        if values.len() <= most {
            // a short range has hardly any multiple of a power of ten: even steps then
            return if values.len() < 4 { even(low, high, most).unwrap_or(values) } else { values };
        }
    }
    for stride in 1..=700 {
        let values = multiples(low, high, &[1.0], stride);
        if values.len() <= most {
            return values;
        }
    }
    vec![low]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn linear_ticks_are_round_and_enclose_the_data() {
        let scale = Scale::linear((0.0, 0.0093), &Unit::Seconds, 5, Ends::Round);
        assert_eq!(labels(&scale), ["0 ms", "2 ms", "4 ms", "6 ms", "8 ms", "10 ms"]);
        assert!((scale.position(0.005) - 0.5).abs() < 1e-9);
        let exact = Scale::linear((0.5, 9.5), &Unit::Seconds, 5, Ends::Exact);
        assert_eq!(labels(&exact), ["2 s", "4 s", "6 s", "8 s"]);
        assert!((exact.low - 0.5).abs() < 1e-12);
    }

    #[test]
    fn log_ticks_thin_out_as_the_range_grows() {
        let narrow = Scale::logarithmic((0.0011, 0.0087), &Unit::Seconds, 6);
        assert_eq!(labels(&narrow), ["1 ms", "2 ms", "5 ms", "10 ms"]);
        let tiny = Scale::logarithmic((0.00052, 0.00095), &Unit::Seconds, 6);
        assert_eq!(labels(&tiny), ["500 us", "600 us", "700 us", "800 us", "900 us", "1 ms"]);
        let short = Scale::logarithmic((0.0103, 0.0186), &Unit::Seconds, 9);
        assert_eq!(labels(&short), ["10 ms", "12 ms", "14 ms", "16 ms", "18 ms", "20 ms"]);
        let wide = Scale::logarithmic((1e-4, 3.0), &Unit::Seconds, 6);
        assert_eq!(labels(&wide), ["100 us", "1 ms", "10 ms", "100 ms", "1 s"]);
        let vast = Scale::logarithmic((1e-12, 1.0), &Unit::None, 5);
        assert!((2..=5).contains(&vast.ticks.len()), "{:?}", vast.ticks);
    }

    #[test]
    fn one_value_gets_room_around_it() {
        let flat = Scale::linear((5.0, 5.0), &Unit::None, 5, Ends::Round);
        assert!(flat.position(5.0) > 0.2 && flat.position(5.0) < 0.8);
        let zero = Scale::linear((0.0, 0.0), &Unit::None, 5, Ends::Round);
        assert!(zero.position(0.0) < 1e-9);
        let log = Scale::logarithmic((1.0, 1.0), &Unit::None, 5);
        assert!((log.position(1.0) - 0.5).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn any_range_gives_few_ordered_ticks(a in any::<f64>(), b in any::<f64>(), v in any::<f64>()) {
            let linear = Scale::linear((a, b), &Unit::Seconds, 6, Ends::Round);
            let exact = Scale::linear((a, b), &Unit::None, 6, Ends::Exact);
            let log = Scale::logarithmic((a, b), &Unit::Bytes, 6);
            for scale in [linear, exact, log] {
                prop_assert!(scale.ticks.len() <= 12, "{:?}", scale.ticks);
                prop_assert!(scale.low < scale.high);
                prop_assert!((0.0..=1.0).contains(&scale.position(v)));
                prop_assert!(scale.ticks.windows(2).all(|pair| pair[0].value < pair[1].value));
            }
        }
    }
}
