//! Numbers as people read them: `1.20 ms`, `3.41 MB/s`, `12,345`, `33.3 %`.
//!
//! Everything here is for eyes. Files for programs (CSV, JSON) carry the exact value instead.
//! Only ASCII comes out (`us`, not a Greek letter), three significant digits, decimal prefixes
//! (1 kB = 1000 bytes). NaN and infinities are shown as `-`.

/// What a number that is not there, or not finite, looks like.
pub const MISSING: &str = "-";

/// The unit of a column, a row or an axis. Values are always held in the base unit: seconds, not
/// milliseconds; bytes, not kilobytes; a share as 0.25, not 25.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Unit {
    /// A plain number or a count: no symbol.
    #[default]
    None,
    /// Time in seconds; shown from `ns` to `d`.
    Seconds,
    /// Bytes; shown with decimal prefixes, `kB` = 1000 bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSecond,
    /// Bits per second.
    BitsPerSecond,
    /// A share of a whole, 0 to 1; shown as a percentage.
    Ratio,
    /// Any other unit by its symbol, for instance `packets/s`.
    Other(String),
}

impl Unit {
    /// The unit with the given symbol.
    pub fn other(symbol: impl Into<String>) -> Self {
        Self::Other(symbol.into())
    }

    /// The symbol of the base unit, `""` for a plain number.
    pub fn symbol(&self) -> &str {
        match self {
            Self::None => "",
            Self::Seconds => "s",
            Self::Bytes => "B",
            Self::BytesPerSecond => "B/s",
            Self::BitsPerSecond => "bit/s",
            Self::Ratio => "%",
            Self::Other(symbol) => symbol,
        }
    }

    /// The ending a column name gets in a file: `s`, `bytes`, `packets_per_s`; `""` for a plain
    /// number.
    ///
    /// ```
    /// use reports::Unit;
    /// assert_eq!(Unit::BytesPerSecond.suffix(), "bytes_per_s");
    /// assert_eq!(Unit::other("packets/s").suffix(), "packets_per_s");
    /// ```
    pub fn suffix(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Seconds => "s".to_owned(),
            Self::Bytes => "bytes".to_owned(),
            Self::BytesPerSecond => "bytes_per_s".to_owned(),
            Self::BitsPerSecond => "bits_per_s".to_owned(),
            Self::Ratio => "ratio".to_owned(),
            Self::Other(symbol) => snake_case(&symbol.replace('/', " per ")),
        }
    }
}

/// A value with its unit, three significant digits.
///
/// ```
/// use reports::{Unit, number::human};
/// assert_eq!(human(0.0012, &Unit::Seconds), "1.20 ms");
/// assert_eq!(human(3.41e6, &Unit::BytesPerSecond), "3.41 MB/s");
/// assert_eq!(human(0.3333, &Unit::Ratio), "33.3 %");
/// assert_eq!(human(f64::NAN, &Unit::Seconds), "-");
/// ```
pub fn human(value: f64, unit: &Unit) -> String {
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let size = value.abs();
    let body = match unit {
        Unit::Seconds => time(size),
        Unit::Ratio => percent(size),
        other => prefixed(size, other.symbol()),
    };
    format!("{sign}{body}")
}

/// A whole number with its unit: exact and grouped (`12,345`) below a million, shortened above.
/// Bytes and seconds are shortened as [`human`] does.
///
/// ```
/// use reports::{Unit, number::human_integer};
/// assert_eq!(human_integer(12345, &Unit::None), "12,345");
/// assert_eq!(human_integer(12_345_678, &Unit::None), "12.3 M");
/// assert_eq!(human_integer(512, &Unit::Bytes), "512 B");
/// ```
pub fn human_integer(value: i128, unit: &Unit) -> String {
    let exact = match unit {
        Unit::Bytes | Unit::BytesPerSecond | Unit::BitsPerSecond => value.unsigned_abs() < 1_000,
        Unit::Seconds | Unit::Ratio => false,
        Unit::None | Unit::Other(_) => value.unsigned_abs() < 1_000_000,
    };
    if exact { join(&grouped(value), "", unit.symbol()) } else { human(value as f64, unit) }
}

/// All digits, in groups of three: `1,234,567`.
pub fn grouped(value: i128) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if value < 0 {
        out.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The shortest text that reads back as the same float: `0.1`, `1.0`, `1e-9`; `NaN`, `inf`.
pub fn shortest(value: f64) -> String {
    format!("{value:?}")
}

/// Lower case words joined by `_`, for column and file names: `p99 [ms]` becomes `p99_ms`.
pub fn snake_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_alphanumeric() {
            out.extend(letter.to_lowercase());
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    out.truncate(out.trim_end_matches('_').len());
    out
}

/// Labels for the ticks of one axis: one prefix for all and as many decimals as tell them apart.
/// Non-finite values give [`MISSING`].
pub fn axis_labels(values: &[f64], unit: &Unit) -> Vec<String> {
    let largest = values.iter().copied().filter(|v| v.is_finite()).fold(0.0, |m, v| v.abs().max(m));
    let (factor, prefix) = match unit {
        Unit::Ratio => (0.01, ""),
        Unit::Seconds if largest >= 1.0 => (1.0, ""),
        Unit::Seconds => prefix_of(largest, SMALL_PREFIXES),
        _ => prefix_of(largest, LARGE_PREFIXES),
    };
    let scaled: Vec<f64> = values.iter().map(|v| v / factor).collect();
    let decimals = decimals_to_tell_apart(&scaled);
    let label = |&value: &f64| {
        if !value.is_finite() {
            return MISSING.to_owned();
        }
        // Zero never carries a sign, and adding 0.0 takes it away.
        let number = match decimals {
            Some(places) => format!("{:.*}", places, value + 0.0),
            None => scientific(value),
        };
        let nothing = value.abs() < f64::MIN_POSITIVE && unit.symbol().is_empty();
        if nothing { "0".to_owned() } else { join(&number, prefix, unit.symbol()) }
    };
    scaled.iter().map(label).collect()
}

/// The label of one tick of a logarithmic axis, for instance `100 us`, `1 ms`, `0.1 %`.
pub fn log_label(value: f64, unit: &Unit) -> String {
    let (factor, prefix) = match unit {
        Unit::Ratio => (0.01, ""),
        Unit::Seconds if value >= 1.0 => (1.0, ""),
        Unit::Seconds => prefix_of(value, SMALL_PREFIXES),
        _ => prefix_of(value, LARGE_PREFIXES),
    };
    let scaled = value / factor;
    if !scaled.is_finite() {
        return MISSING.to_owned();
    }
    let number = if (1e-6..1e6).contains(&scaled) {
        // Twelve places hide the last bit of a power of ten that has no exact float.
        let text = format!("{scaled:.12}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        scientific(scaled)
    };
    join(&number, prefix, unit.symbol())
}

type Prefixes = &'static [(f64, &'static str)];

const SMALL_PREFIXES: Prefixes = &[(1e-9, "n"), (1e-6, "u"), (1e-3, "m"), (1.0, "")];
const LARGE_PREFIXES: Prefixes =
    &[(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"), (1e15, "P"), (1e18, "E")];

/// The largest prefix not above the value, or the first; the rounding slack is for values that
/// would be printed as 1000 of the smaller one.
fn prefix_of(value: f64, prefixes: Prefixes) -> (f64, &'static str) {
    let fitting = prefixes.iter().rev().find(|(factor, _)| value >= factor * 0.999_5);
    fitting.or(prefixes.first()).copied().unwrap_or((1.0, ""))
}

fn join(number: &str, prefix: &str, symbol: &str) -> String {
    if prefix.is_empty() && symbol.is_empty() {
        number.to_owned()
    } else if prefix.is_empty() || is_short_symbol(symbol) {
        format!("{number} {prefix}{symbol}")
    } else {
        format!("{number} {prefix} {symbol}")
    }
}

/// Whether a prefix is written against the symbol (`MB/s`) and not before it (`M packets/s`).
fn is_short_symbol(symbol: &str) -> bool {
    matches!(symbol, "" | "/s" | "s" | "B" | "B/s" | "bit/s")
}

fn three_digits(value: f64) -> String {
    if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn scientific(value: f64) -> String {
    format!("{value:.2e}")
}

/// Three significant digits of a number without prefix, down to a millionth.
fn plain(size: f64) -> String {
    if size >= 0.999_5 {
        three_digits(size)
    } else if size >= 1e-6 {
        let places = 2 - libm::floor(libm::log10(size)) as i32;
        format!("{size:.*}", places.clamp(0, 9) as usize)
    } else {
        scientific(size)
    }
}

fn prefixed(size: f64, symbol: &str) -> String {
    if size < f64::MIN_POSITIVE {
        return join("0", "", symbol);
    }
    let (factor, prefix) = prefix_of(size, LARGE_PREFIXES);
    let scaled = size / factor;
    let number = if scaled >= 999_500.0 { scientific(scaled) } else { plain(scaled) };
    join(&number, prefix, symbol)
}

fn time(size: f64) -> String {
    const LONG: Prefixes = &[(60.0, "min"), (3_600.0, "h"), (86_400.0, "d")];
    if size < f64::MIN_POSITIVE {
        return "0 s".to_owned();
    }
    if size >= 600.0 {
        let longest = LONG.iter().rev().find(|(factor, _)| size >= factor * 3.0);
        let (factor, symbol) = longest.copied().unwrap_or((60.0, "min"));
        let scaled = size / factor;
        let number = if scaled >= 1e6 { scientific(scaled) } else { three_digits(scaled) };
        return format!("{number} {symbol}");
    }
    let (factor, prefix) = prefix_of(size, SMALL_PREFIXES);
    format!("{} {prefix}s", plain(size / factor))
}

fn percent(size: f64) -> String {
    let shown = size * 100.0;
    if size < f64::MIN_POSITIVE {
        "0 %".to_owned()
    } else if shown >= 1e6 {
        format!("{} %", scientific(shown))
    } else if size < 1.0 && shown >= 99.95 {
        // Nearly all is not all: more digits before it may read 100.
        if shown < 99.995 { format!("{shown:.2} %") } else { "> 99.99 %".to_owned() }
    } else if shown < 0.005 {
        // Nearly none is not none.
        "< 0.01 %".to_owned()
    } else {
        format!("{} %", three_digits(shown))
    }
}

/// The least number of decimals (up to 6) with which the sorted labels are all different and each
/// is within a hundredth of a step of its value; `None` when plain digits would not do.
fn decimals_to_tell_apart(values: &[f64]) -> Option<usize> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted.dedup();
    if sorted.iter().any(|v| v.abs() >= 1e7) {
        return None;
    }
    let gaps = sorted.windows(2).filter_map(|pair| Some(pair.get(1)? - pair.first()?));
    let step = gaps.fold(f64::INFINITY, f64::min);
    if !step.is_finite() {
        return Some(if sorted.iter().all(|v| (v - v.round()).abs() < 1e-9) { 0 } else { 2 });
    }
    let mut power = 1.0;
    for places in 0..=6 {
        let close = |v: &f64| ((v * power).round() / power - v).abs() <= step * 0.01;
        if sorted.iter().all(close) {
            return Some(places);
        }
        power *= 10.0;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_take_the_unit_that_fits() {
        let seconds = [0.0, 1.5e-9, 250e-9, 1e-4, 0.0012, 0.9999, 1.0, 59.94, 599.0, 900.0, 7200.0];
        let shown: Vec<String> = seconds.iter().map(|v| human(*v, &Unit::Seconds)).collect();
        assert_eq!(
            shown,
            [
                "0 s", "1.50 ns", "250 ns", "100 us", "1.20 ms", "1.00 s", "1.00 s", "59.9 s",
                "599 s", "15.0 min", "120 min"
            ]
        );
        assert_eq!(human(1e-12, &Unit::Seconds), "0.00100 ns");
        assert_eq!(human(86_400.0 * 10.0, &Unit::Seconds), "10.0 d");
    }

    #[test]
    fn rates_and_counts_take_a_prefix_and_never_read_a_thousand_of_one() {
        assert_eq!(human(999.6, &Unit::None), "1.00 k");
        assert_eq!(human(999.4, &Unit::None), "999");
        assert_eq!(human(12_345.0, &Unit::other("packets/s")), "12.3 k packets/s");
        assert_eq!(human(12_345.0, &Unit::other("/s")), "12.3 k/s");
        assert_eq!(human(1.25e8, &Unit::BytesPerSecond), "125 MB/s");
        assert_eq!(human(1e9, &Unit::BitsPerSecond), "1.00 Gbit/s");
        assert_eq!(human(0.0, &Unit::Bytes), "0 B");
        assert_eq!(human(0.25, &Unit::None), "0.250");
        assert_eq!(human(-1500.0, &Unit::None), "-1.50 k");
        assert_eq!(human(1e300, &Unit::None), "1.00e282 E");
        assert_eq!(human(3e-9, &Unit::None), "3.00e-9");
    }

    #[test]
    fn a_share_is_a_percentage_and_nearly_all_is_not_all() {
        assert_eq!(human(0.000_01, &Unit::Ratio), "< 0.01 %");
        let shares = [0.0, 0.000_12, 0.333_3, 0.5, 0.9996, 0.999_99, 1.0, 1.5];
        let shown: Vec<String> = shares.iter().map(|v| human(*v, &Unit::Ratio)).collect();
        assert_eq!(
            shown,
            ["0 %", "0.01 %", "33.3 %", "50.0 %", "99.96 %", "> 99.99 %", "100 %", "150 %"]
        );
    }

    #[test]
    fn what_is_not_a_number_is_a_dash() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for unit in [Unit::None, Unit::Seconds, Unit::Ratio, Unit::Bytes] {
                assert_eq!(human(value, &unit), MISSING);
            }
        }
    }

    #[test]
    fn whole_numbers_are_exact_until_a_million() {
        assert_eq!(human_integer(999_999, &Unit::None), "999,999");
        assert_eq!(human_integer(-1_234, &Unit::None), "-1,234");
        assert_eq!(human_integer(1_000_000, &Unit::None), "1.00 M");
        assert_eq!(human_integer(7, &Unit::other("packets")), "7 packets");
        assert_eq!(human_integer(1_500, &Unit::Bytes), "1.50 kB");
        assert_eq!(grouped(i128::from(u64::MAX)), "18,446,744,073,709,551,615");
    }

    #[test]
    fn floats_in_files_are_the_shortest_that_read_back() {
        assert_eq!(shortest(0.1 + 0.2), "0.30000000000000004");
        assert_eq!(shortest(1.0), "1.0");
        assert_eq!(shortest(1e-9), "1e-9");
    }

    #[test]
    fn names_become_snake_case() {
        assert_eq!(snake_case("First byte p99"), "first_byte_p99");
        assert_eq!(snake_case("  <a>&b  "), "a_b");
        assert_eq!(snake_case("%%"), "");
    }

    #[test]
    fn axis_labels_share_a_prefix_and_show_what_differs() {
        assert_eq!(axis_labels(&[0.0, 0.002, 0.004], &Unit::Seconds), ["0 ms", "2 ms", "4 ms"]);
        assert_eq!(axis_labels(&[0.0, 2500.0, 5000.0], &Unit::None), ["0", "2.5 k", "5.0 k"]);
        assert_eq!(axis_labels(&[0.0, 0.5, 1.0], &Unit::Ratio), ["0 %", "50 %", "100 %"]);
        assert_eq!(axis_labels(&[0.0, 1000.0], &Unit::Seconds), ["0 s", "1000 s"]);
        assert_eq!(axis_labels(&[f64::NAN], &Unit::None), ["-"]);
    }

    #[test]
    fn log_labels_are_round() {
        let shown = [1e-7, 1e-4, 1e-3, 0.02, 1.0, 100.0].map(|v| log_label(v, &Unit::Seconds));
        assert_eq!(shown, ["100 ns", "100 us", "1 ms", "20 ms", "1 s", "100 s"]);
        assert_eq!(log_label(0.001, &Unit::Ratio), "0.1 %");
        assert_eq!(log_label(1e5, &Unit::other("packets")), "100 k packets");
    }
}
