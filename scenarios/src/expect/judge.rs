//! Does what was measured fulfil what was expected?

use super::student::Interval;
use super::{Condition, Expectation, Operand, Tolerance, metric};
use crate::format::words;
use serde_json::{Value, json};
use sim_core::observe::SeriesPoint;

/// What one run of one variant measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Name of the variant.
    pub variant: String,
    /// Its part of `summary.json`.
    pub summary: Value,
    /// Its time series.
    pub series: Vec<SeriesPoint>,
}

/// The outcome of an expectation for one variant.
#[derive(Clone, PartialEq, Debug)]
pub struct Verdict {
    /// The variant.
    pub variant: String,
    /// The metric.
    pub metric: String,
    /// What was expected, in words.
    pub expected: String,
    /// What was measured, in words.
    pub measured: String,
    /// Whether it holds.
    pub pass: bool,
}

impl Verdict {
    /// One line: `NAT latency.complete.p99: expected below 10ms, measured 0.0123`.
    pub fn line(&self) -> String {
        let Self { variant, metric, expected, measured, .. } = self;
        format!("{variant}: {metric}: expected {expected}, measured {measured}")
    }

    /// For `summary.json`.
    pub fn json(&self) -> Value {
        json!({
            "variant": self.variant,
            "metric": self.metric,
            "expected": self.expected,
            "measured": self.measured,
            "pass": self.pass,
        })
    }
}

/// The verdicts for people: those of one expectation that hold for several variants are one.
///
/// `NAT, DR: connections.failed.total: expected 0, measured 0`
pub fn together(verdicts: &[Verdict]) -> Vec<Verdict> {
    // means with their intervals fill a line each
    let short = |v: &Verdict| !v.measured.contains("+-");
    let same = |a: &Verdict, b: &Verdict| {
        let one_line = a.measured == b.measured || short(a) && short(b);
        a.pass && b.pass && a.metric == b.metric && a.expected == b.expected && one_line
    };
    let joined = |items: Vec<&str>, separator: &str| {
        let mut seen: Vec<&str> = Vec::new();
        for item in items {
            if !seen.contains(&item) {
                seen.push(item);
            }
        }
        seen.join(separator)
    };
    let one = |group: &[Verdict]| {
        let first = group.first()?;
        let variant = joined(group.iter().map(|v| v.variant.as_str()).collect(), ", ");
        let measured = joined(group.iter().map(|v| v.measured.as_str()).collect(), "; ");
        Some(Verdict { variant, measured, ..first.clone() })
    };
    verdicts.chunk_by(same).filter_map(one).collect()
}

/// Judges all expectations. `replications` holds, for each seed, what each variant measured.
///
/// With one replication a condition must hold exactly. With several, `below`, `above`, `at_least`
/// and `at_most` must hold for the mean, while `is` and `within` hold if the 99 % confidence
/// interval of the mean reaches the allowed values.
pub fn judge(expectations: &[Expectation], replications: &[Vec<Measured>]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for expectation in expectations {
        for variant in &expectation.of {
            verdicts.push(judge_one(expectation, variant, replications));
        }
    }
    verdicts
}

fn judge_one(e: &Expectation, variant: &str, replications: &[Vec<Measured>]) -> Verdict {
    let result = if e.always {
        always(e, variant, replications)
    } else {
        values(&e.metric, variant, replications)
            .and_then(|values| compare(e, variant, &values, replications))
    };
    let (pass, measured) = result.unwrap_or_else(|problem| (false, format!("nothing: {problem}")));
    Verdict {
        variant: variant.to_owned(),
        metric: e.metric.clone(),
        expected: expected(e),
        measured,
        pass,
    }
}

fn of<'m>(variant: &str, run: &'m [Measured]) -> Result<&'m Measured, String> {
    let found = run.iter().find(|m| m.variant == variant);
    found.ok_or_else(|| format!("the variant {variant} was not run"))
}

fn values<'m>(
    path: &str,
    variant: &str,
    replications: &'m [Vec<Measured>],
) -> Result<Vec<&'m Value>, String> {
    replications.iter().map(|run| metric::find(&of(variant, run)?.summary, path)).collect()
}

fn numbers(values: &[&Value], path: &str) -> Result<Vec<f64>, String> {
    values.iter().map(|v| v.as_f64().ok_or_else(|| no_number(path, v))).collect()
}

fn no_number(path: &str, value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let below = words::list(map.keys().take(12));
            format!("`{path}` is not one value; below it are {below}")
        }
        Value::Null => format!("`{path}` has no value, as there was nothing to measure"),
        other => format!("`{path}` is {other}, not a number"),
    }
}

fn compare(
    e: &Expectation,
    variant: &str,
    values: &[&Value],
    replications: &[Vec<Measured>],
) -> Result<(bool, String), String> {
    let words = |c: &Condition| matches!(c, Condition::Is(Operand::Text(_) | Operand::Bool(_)));
    if e.conditions.iter().all(words) {
        let all = values.iter().all(|v| e.conditions.iter().all(|c| is(c, v)));
        return Ok((all, shown_words(values)));
    }
    let own = numbers(values, &e.metric)?;
    let Some(than) = &e.than else {
        let interval = Interval::of(&own);
        return Ok((
            e.conditions.iter().all(|c| holds(c, interval)),
            shown(interval, unit_of(&e.metric)),
        ));
    };
    // replication by replication: both ran with the same random numbers
    let other_variant = than.variant.as_deref().unwrap_or(variant);
    let others = self::values(&than.metric, other_variant, replications)?;
    let others = numbers(&others, &than.metric)?;
    if others.iter().any(|o| o.abs() < f64::MIN_POSITIVE) {
        let text = format!(
            "{} beside 0 of {other_variant}",
            shown(Interval::of(&own), unit_of(&e.metric))
        );
        let zero = own.iter().all(|o| o.abs() < f64::MIN_POSITIVE);
        let equal = e.conditions.iter().all(|c| {
            matches!(
                c,
                Condition::Is(_)
                    | Condition::Within { .. }
                    | Condition::AtMost(_)
                    | Condition::AtLeast(_)
            )
        });
        return Ok((zero && equal, text));
    }
    let ratios: Vec<f64> = own.iter().zip(&others).map(|(a, b)| a / b).collect();
    let other = Interval::of(&others);
    // a distance in the unit of the metric becomes one of the ratio
    let pass = e.conditions.iter().all(|c| match c {
        Condition::Within { value, tolerance: Tolerance::Absolute(t) } => {
            let relative = Tolerance::Absolute(t / other.mean.abs());
            let c = Condition::Within { value: value.clone(), tolerance: relative };
            holds(&c, Interval::of(&ratios))
        }
        _ => holds(c, Interval::of(&ratios)),
    });
    let text = format!(
        "{}, which is {} times {} of {other_variant}",
        shown(Interval::of(&own), unit_of(&e.metric)),
        shown(Interval::of(&ratios), Measure::Plain),
        shown(other, unit_of(&e.metric)),
    );
    Ok((pass, text))
}

fn always(
    e: &Expectation,
    variant: &str,
    replications: &[Vec<Measured>],
) -> Result<(bool, String), String> {
    let mut count = 0;
    for run in replications {
        for (time, value) in metric::series(&of(variant, run)?.series, &e.metric)? {
            count += 1;
            let at = Interval { mean: value, half: 0.0, count: 1 };
            if !e.conditions.iter().all(|c| holds(c, at)) {
                return Ok((false, format!("{} at {time}s", rounded(value))));
            }
        }
    }
    Ok((true, format!("so at all {count} points")))
}

fn is(condition: &Condition, value: &Value) -> bool {
    match condition {
        Condition::Is(Operand::Text(t)) => value.as_str() == Some(t),
        Condition::Is(Operand::Bool(b)) => value.as_bool() == Some(*b),
        _ => false,
    }
}

/// Whether a condition holds for a mean; rounding of the last digits does not count.
fn holds(condition: &Condition, measured: Interval) -> bool {
    let Interval { mean, half, .. } = measured;
    let near = |distance: f64, value: f64| {
        (mean - value).abs() <= distance + half + 1e-9 * value.abs().max(mean.abs())
    };
    match condition {
        Condition::Is(Operand::Number(v, _)) => near(0.0, *v),
        Condition::Below(Operand::Number(v, _)) => mean < *v,
        Condition::Above(Operand::Number(v, _)) => mean > *v,
        Condition::AtLeast(Operand::Number(v, _)) => mean >= *v || near(0.0, *v) && half <= 0.0,
        Condition::AtMost(Operand::Number(v, _)) => mean <= *v || near(0.0, *v) && half <= 0.0,
        Condition::Within { value: Operand::Number(v, _), tolerance } => match tolerance {
            Tolerance::Share(s) => near(s * v.abs(), *v),
            Tolerance::Absolute(a) => near(*a, *v),
        },
        _ => false,
    }
}

fn rounded(value: f64) -> String {
    if value.fract().abs() <= 0.0 {
        format!("{value}")
    } else if value.abs() >= 1e6 {
        format!("{value:.0}")
    } else {
        format!("{value:.6}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// How a metric is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Measure {
    Time,
    Plain,
    /// A share of requests served, which people count in nines.
    Available,
}

/// Latencies are times, all but their counts; so are the lengths of outages and takeovers.
fn unit_of(metric: &str) -> Measure {
    if is_available(metric) {
        return Measure::Available;
    }
    let mut parts = metric.rsplit('.');
    let last = parts.next().unwrap_or("");
    let kind = |p: &str| matches!(p, "latency" | "sojourn" | "failover");
    let length = last.starts_with("time_with_")
        || last == "downtime_a_year"
        || matches!(last, "longest" | "total" | "mean" | "between")
            && parts.clone().next().is_some_and(|p| matches!(p, "outage" | "outages"));
    let time = length || last != "count" && parts.any(kind);
    if time { Measure::Time } else { Measure::Plain }
}

/// Whether a metric is a share of requests served: of all, of a client or of a service.
fn is_available(metric: &str) -> bool {
    let Some(rest) = metric.strip_prefix("availability") else { return false };
    let named = ["clients", "services"]
        .into_iter()
        .find_map(|group| rest.strip_prefix('.')?.strip_prefix(group)?.strip_prefix('.'));
    let Some(name) = named else { return rest.is_empty() || rest == ".share" };
    // names may have dots: the longest end that is a metric is one
    let mut ends = name.match_indices('.').map(|(at, _)| &name[at + 1..]);
    let end = ends.find(|end| metric::check(&format!("availability.{end}")).is_ok());
    end.is_none_or(|end| end == "share")
}

/// Six significant digits of a number beside others in its unit: `15.2836ms`.
fn written(value: f64, scale: f64, measure: Measure) -> String {
    if measure != Measure::Time {
        return rounded(value);
    }
    if value.abs() <= 0.0 && scale.abs() <= 0.0 {
        return "0s".to_owned();
    }
    let units = [("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)];
    let fits = |unit: &&(&str, f64)| scale.abs() >= unit.1 || unit.0 == "ns";
    let (name, unit) = units.iter().find(fits).copied().unwrap_or(("s", 1.0));
    let text = format!("{:.4}", value / unit);
    format!("{}{name}", text.trim_end_matches('0').trim_end_matches('.'))
}

fn shown(i: Interval, measure: Measure) -> String {
    let mean = written(i.mean, i.mean, measure);
    let nines = if measure == Measure::Available { nines(i) } else { String::new() };
    if i.count < 2 {
        format!("{mean}{nines}")
    } else {
        let half = written(i.half, i.mean, measure);
        format!("{mean} +- {half} (99 %, {} runs){nines}", i.count)
    }
}

/// The nines that a share, or the ends of its interval, mean: `, 3.98 to 4.32 nines`.
fn nines(i: Interval) -> String {
    let of = |share: f64| (share < 1.0).then(|| -libm::log10(1.0 - share.max(0.0)));
    match (of(i.mean - i.half), of(i.mean + i.half)) {
        (None, _) => String::new(),
        (Some(low), None) => format!(", at least {low:.2} nines"),
        (Some(low), Some(_)) if i.half <= 0.0 => format!(", {low:.2} nines"),
        (Some(low), Some(high)) => format!(", {low:.2} to {high:.2} nines"),
    }
}

fn shown_words(values: &[&Value]) -> String {
    let mut all: Vec<String> = values.iter().map(ToString::to_string).collect();
    all.dedup();
    all.join(", ")
}

fn expected(e: &Expectation) -> String {
    let other = e.than.as_ref().map(|than| {
        let variant = than.variant.as_deref().unwrap_or("the same variant");
        format!("{} of {variant}", than.metric)
    });
    let text = |o: &Operand| match (o, &other) {
        (Operand::Number(n, _), Some(other)) if (n - 1.0).abs() < f64::EPSILON => other.clone(),
        (Operand::Number(_, t), Some(other)) => format!("{t} times {other}"),
        (Operand::Number(_, t) | Operand::Text(t), _) => t.clone(),
        (Operand::Bool(b), _) => b.to_string(),
    };
    let distance = |t: &Tolerance| match t {
        Tolerance::Share(s) => format!("{} %", rounded(s * 100.0)),
        Tolerance::Absolute(a) => written(*a, *a, unit_of(&e.metric)),
    };
    let condition = |c: &Condition| match c {
        Condition::Is(o) => text(o),
        Condition::Below(o) => format!("below {}", text(o)),
        Condition::Above(o) => format!("above {}", text(o)),
        Condition::AtLeast(o) => format!("at least {}", text(o)),
        Condition::AtMost(o) => format!("at most {}", text(o)),
        Condition::Within { value, tolerance } => {
            format!("within {} of {}", distance(tolerance), text(value))
        }
    };
    let conditions: Vec<String> = e.conditions.iter().map(condition).collect();
    let always = if e.always { "always " } else { "" };
    format!("{always}{}", conditions.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Sources;
    use crate::format::{Record, sections, tree};
    use sim_core::engine::Time;

    fn expectations(text: &str) -> Vec<Expectation> {
        let mut sources = Sources::default();
        let file = sources.add("a.toml", text);
        let (table, mut problems) = tree::parse(&sources, file);
        let place = crate::diagnostic::Place::new(file, 0..0);
        let record = Record::read(&sections::SCENARIO, &table, &place, &mut problems);
        let found = super::super::read(&record, &["a", "b"], &mut problems);
        assert_eq!(problems, []);
        found
    }

    fn run(a: f64, b: f64) -> Vec<Measured> {
        let one = |name: &str, v: f64| Measured {
            variant: name.into(),
            summary: json!({"latency": {"complete": {"p99": v}}, "busiest_link": {"name": "x"}}),
            series: vec![SeriesPoint {
                time: Time::from_nanos(5),
                kind: "server",
                entity: "rs1".into(),
                metric: "connections",
                value: v,
            }],
        };
        vec![one("a", a), one("b", b)]
    }

    fn passes(conditions: &str, runs: &[Vec<Measured>]) -> Vec<bool> {
        let text = format!("[[expect]]\nmetric = \"latency.complete.p99\"\n{conditions}\n");
        judge(&expectations(&text), runs).iter().map(|v| v.pass).collect()
    }

    #[test]
    fn conditions_hold_or_not() {
        let runs = [run(0.010, 0.020)];
        assert_eq!(passes("below = \"15ms\"", &runs), [true, false]);
        assert_eq!(passes("above = 0.015", &runs), [false, true]);
        assert_eq!(passes("at_least = 0.01\nat_most = \"10ms\"", &runs), [true, false]);
        assert_eq!(passes("is = \"20ms\"\nof = \"b\"", &runs), [true]);
        assert_eq!(passes("within = \"5% of 10.4ms\"", &runs), [true, false]);
        assert_eq!(passes("within = \"0.1ms of 10.4ms\"", &runs), [false, false]);
    }

    #[test]
    fn variants_are_compared_by_their_ratio() {
        let runs = [run(0.010, 0.020)];
        assert_eq!(passes("of = \"b\"\nis = 2\nthan = { variant = \"a\" }", &runs), [true]);
        assert_eq!(passes("of = \"b\"\nbelow = 1.5\nthan = { variant = \"a\" }", &runs), [false]);
        assert_eq!(
            passes("of = \"b\"\nwithin = \"11ms\"\nthan = { variant = \"a\" }", &runs),
            [true]
        );
        assert_eq!(
            passes("of = \"b\"\nwithin = \"9ms\"\nthan = { variant = \"a\" }", &runs),
            [false]
        );
    }

    #[test]
    fn with_replications_the_interval_decides() {
        let runs = [run(0.009, 1.0), run(0.010, 1.0), run(0.011, 1.0)];
        // mean 10 ms, half width 9.925 * 1 ms / sqrt(3) = 5.7 ms
        assert_eq!(passes("of = \"a\"\nis = \"15ms\"", &runs), [true]);
        assert_eq!(passes("of = \"a\"\nis = \"16ms\"", &runs), [false]);
        assert_eq!(passes("of = \"a\"\nbelow = \"10.5ms\"", &runs), [true]);
    }

    #[test]
    fn every_point_of_a_series_counts() {
        let text =
            "[[expect]]\nmetric = \"series.server.rs1.connections\"\nalways = true\nbelow = 5\n";
        let verdicts = judge(&expectations(text), &[run(1.0, 7.0)]);
        assert!(verdicts[0].pass && !verdicts[1].pass);
        assert!(verdicts[1].line().contains("expected always below 5, measured 7 at"));
    }

    #[test]
    fn times_are_written_with_their_unit() {
        let text = "[[expect]]\nmetric = \"latency.complete.p99\"\nof = \"a\"\nbelow = \"15ms\"\n";
        let once = judge(&expectations(text), &[run(0.012_345, 1.0)]);
        let line = "a: latency.complete.p99: expected below 15ms, measured 12.345ms";
        assert_eq!(once[0].line(), line);
        let twice = judge(&expectations(text), &[run(0.012, 1.0), run(0.014, 1.0)]);
        assert!(twice[0].measured.starts_with("13ms +- 63.6"), "{}", twice[0].measured);
        assert_eq!(written(0.0, 0.0, Measure::Time), "0s");
        assert_eq!(unit_of("latency.complete.count"), Measure::Plain);
    }

    #[test]
    fn shares_of_requests_served_are_told_in_nines_as_well() {
        let nines = |mean, half| shown(Interval { mean, half, count: 5 }, Measure::Available);
        assert_eq!(nines(0.9999, 0.0), "0.9999 +- 0 (99 %, 5 runs), 4.00 nines");
        assert_eq!(nines(0.9945, 0.0045), "0.9945 +- 0.0045 (99 %, 5 runs), 2.00 to 3.00 nines");
        assert!(nines(0.999, 0.002).ends_with("runs), at least 2.52 nines"));
        assert_eq!(nines(1.0, 0.0), "1 +- 0 (99 %, 5 runs)");
        for path in ["availability", "availability.share", "availability.services.10.0.0.1:53/udp"]
        {
            assert_eq!(unit_of(path), Measure::Available, "{path}");
        }
        for path in ["availability.nines", "availability.clients.probe.outages.count"] {
            assert_eq!(unit_of(path), Measure::Plain, "{path}");
        }
        assert_eq!(unit_of("availability.clients.probe.downtime_a_year"), Measure::Time);
    }

    #[test]
    fn what_holds_for_several_variants_is_said_once() {
        let text = "[[expect]]\nmetric = \"latency.complete.p99\"\nbelow = 5\n";
        let both = together(&judge(&expectations(text), &[run(1.0, 2.0)]));
        assert_eq!(both.len(), 1);
        assert_eq!(both[0].line(), "a, b: latency.complete.p99: expected below 5, measured 1s; 2s");
        let one = together(&judge(&expectations(text), &[run(1.0, 7.0)]));
        assert_eq!(one.iter().map(|v| v.pass).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn a_failure_says_what_was_expected_and_what_was_measured() {
        let text = "[[expect]]\nmetric = \"busiest_link.nam\"\nbelow = 5\n\
                    [[expect]]\nmetric = \"busiest_link.name\"\nis = \"y\"\n";
        let verdicts = judge(&expectations(text), &[run(1.0, 7.0)]);
        assert!(verdicts[0].line().contains("did you mean `name`"), "{}", verdicts[0].line());
        assert_eq!(verdicts[2].line(), "a: busiest_link.name: expected y, measured \"x\"");
    }
}
