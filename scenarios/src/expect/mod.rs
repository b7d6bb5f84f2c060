//! Expectations: what must come out of a variant, alone or compared with another.

mod judge;
pub mod metric;
pub mod student;

pub use judge::{Measured, Verdict, judge, together};

use crate::diagnostic::{Place, Problem};
use crate::format::tree::{Node, Raw};
use crate::format::{Record, units, words};

/// A `[[expect]]` table.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Path into a variant of `summary.json`.
    pub metric: String,
    /// The variants it is about.
    pub of: Vec<String>,
    /// What must hold, all of it.
    pub conditions: Vec<Condition>,
    /// The measurement that values are factors of.
    pub than: Option<Than>,
    /// Whether every point of a time series must fulfil the conditions.
    pub always: bool,
    /// Where it comes from.
    pub why: String,
    /// Where it stands.
    pub place: Place,
}

/// Another measurement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Than {
    /// Its variant; `None`: the same one.
    pub variant: Option<String>,
    /// Its metric.
    pub metric: String,
}

/// One condition.
#[derive(Clone, PartialEq, Debug)]
pub enum Condition {
    /// Equal.
    Is(Operand),
    /// Less.
    Below(Operand),
    /// Greater.
    Above(Operand),
    /// Greater or equal.
    AtLeast(Operand),
    /// Less or equal.
    AtMost(Operand),
    /// Not further from the value than the tolerance.
    Within {
        /// The value; with `than` the factor, 1.
        value: Operand,
        /// Distance allowed.
        tolerance: Tolerance,
    },
}

/// A value as it was written.
#[derive(Clone, PartialEq, Debug)]
pub enum Operand {
    /// A number in the unit of the metric (seconds, bytes, a share), with the text to show.
    Number(f64, String),
    /// A text.
    Text(String),
    /// A truth value.
    Bool(bool),
}

/// A distance.
#[derive(Clone, PartialEq, Debug)]
pub enum Tolerance {
    /// A share of the value.
    Share(f64),
    /// In the unit of the metric.
    Absolute(f64),
}

/// A number as people write it: plain, or with a unit of time, size, rate, frequency or percent;
/// in seconds, bytes, bits or events a second.
pub fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let (sign, digits) = text.strip_prefix('-').map_or((1.0, text), |t| (-1.0, t));
    let percent =
        |t: &str| t.strip_suffix('%').and_then(|n| units::number(n).ok()).map(|n| n / 100.0);
    units::number(digits)
        .or_else(|_| percent(digits).ok_or_else(String::new))
        .or_else(|_| units::seconds(digits))
        .or_else(|_| units::bytes(digits))
        .or_else(|_| units::rate(digits).map(|r| r as f64))
        .or_else(|_| units::frequency(digits))
        .ok()
        .map(|n| sign * n)
}

/// Reads the `[[expect]]` tables.
pub(crate) fn read(
    record: &Record,
    variants: &[&str],
    problems: &mut Vec<Problem>,
) -> Vec<Expectation> {
    record.tables("expect").iter().map(|t| read_one(t, variants, problems)).collect()
}

fn read_one(table: &Record, variants: &[&str], problems: &mut Vec<Problem>) -> Expectation {
    let mut of = Vec::new();
    for name in table.list::<String>("of") {
        check_variant(&name.value, &name.place, variants, problems);
        of.push(name.value);
    }
    if of.is_empty() {
        of = variants.iter().map(|v| (*v).to_owned()).collect();
    }
    let metric: String = table.value("metric");
    if let Err(message) = metric::check(&metric)
        && table.has("metric")
    {
        let label = "the first word is known from summary.json";
        problems.push(Problem::new(table.place_of("metric"), message, label));
    }
    let than = table.table("than").map(|t| {
        let variant = t.at::<String>("variant");
        if let Some(v) = &variant {
            check_variant(&v.value, &v.place, variants, problems);
        }
        Than {
            variant: variant.map(|v| v.value),
            metric: t.get("metric").unwrap_or_else(|| metric.clone()),
        }
    });
    let conditions = conditions(table, than.is_some(), problems);
    if conditions.is_empty() {
        let words = "is, below, above, at_least, at_most, within";
        let problem =
            Problem::new(&table.place, "this expectation expects nothing", "no condition")
                .help(format!("give one of {words}"))
                .derived();
        problems.push(problem);
    }
    let always: bool = table.value("always");
    if metric.starts_with("series.") && !always {
        let place = table.place_of("metric");
        let message = "a time series is not one value";
        problems.push(Problem::new(place, message, "add `always = true`"));
    }
    Expectation {
        metric,
        of,
        conditions,
        than,
        always,
        why: table.value("why"),
        place: table.place.clone(),
    }
}

fn check_variant(name: &str, place: &Place, variants: &[&str], problems: &mut Vec<Problem>) {
    if !variants.contains(&name) {
        let known = words::list(variants);
        let problem = Problem::new(
            place,
            format!("there is no variant `{name}`"),
            format!("known are {known}"),
        );
        problems.push(match words::nearest(name, variants.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        });
    }
}

/// Makes a condition of its operand.
type Make = fn(Operand) -> Condition;

fn conditions(table: &Record, than: bool, problems: &mut Vec<Problem>) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let kinds: [(&str, Make, bool); 5] = [
        ("is", Condition::Is, false),
        ("below", Condition::Below, true),
        ("above", Condition::Above, true),
        ("at_least", Condition::AtLeast, true),
        ("at_most", Condition::AtMost, true),
    ];
    for (name, make, numeric) in kinds {
        let Some(node) = table.get::<Node>(name) else { continue };
        let numeric = numeric || than;
        match operand(&node.value) {
            Some(o) if !numeric || matches!(o, Operand::Number(..)) => conditions.push(make(o)),
            _ => {
                let allowed = "expected a number, with a unit if it has one: 0.5, \"10ms\", \"5%\"";
                let message = format!("{} cannot be compared", node.value.describe());
                problems.push(Problem::new(&node.place, message, allowed));
            }
        }
    }
    if let Some(at) = table.at::<String>("within") {
        if let Some(condition) = within(&at.value, than) {
            conditions.push(condition);
        } else {
            let allowed = if than {
                "with `than`: \"5%\" or \"1ms\""
            } else {
                "expected \"TOLERANCE of VALUE\": \"5% of 12ms\", \"1ms of 12ms\""
            };
            problems.push(Problem::new(&at.place, "this is no tolerance", allowed));
        }
    }
    conditions
}

fn operand(raw: &Raw) -> Option<Operand> {
    match raw {
        Raw::Integer(i) => Some(Operand::Number(*i as f64, i.to_string())),
        Raw::Float(f) => Some(Operand::Number(*f, f.to_string())),
        Raw::Bool(b) => Some(Operand::Bool(*b)),
        Raw::Text(t) => Some(match number(t) {
            Some(n) => Operand::Number(n, t.clone()),
            None => Operand::Text(t.clone()),
        }),
        _ => None,
    }
}

fn within(text: &str, than: bool) -> Option<Condition> {
    let (tolerance, value) = match text.split_once(" of ") {
        Some((t, v)) if !than => (t.trim(), Operand::Number(number(v)?, v.trim().to_owned())),
        None if than => (text.trim(), Operand::Number(1.0, "1".to_owned())),
        _ => return None,
    };
    let amount = number(tolerance).filter(|a| *a >= 0.0)?;
    let tolerance = if tolerance.ends_with('%') {
        Tolerance::Share(amount)
    } else {
        Tolerance::Absolute(amount)
    };
    Some(Condition::Within { value, tolerance })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_carry_any_unit() {
        let close = |text, value: f64| number(text).is_some_and(|n| (n - value).abs() < 1e-9);
        assert!(close("12ms", 0.012));
        assert!(close("5%", 0.05));
        assert!(close("-3", -3.0));
        assert!(close("1KiB", 1024.0));
        assert!(close("2000/s", 2000.0));
        assert!(close("1Mbit/s", 1e6));
        assert_eq!(number("rr"), None);
    }

    #[test]
    fn a_tolerance_is_a_share_or_a_distance() {
        let Some(Condition::Within { tolerance, .. }) = within("5% of 12ms", false) else {
            unreachable!("it is right")
        };
        assert_eq!(tolerance, Tolerance::Share(0.05));
        assert!(within("1ms of 12ms", false).is_some());
        assert!(within("1ms", true).is_some());
        assert!(within("1ms", false).is_none());
        assert!(within("-1ms of 2ms", false).is_none());
    }
}
