//! A path as text and as JSON.

use serde_json::json;
use sim_core::observe::{Step, TraceLine, TraceReport};
use std::fmt::Write as _;

/// The path in columns: seconds since the start of the connection, host or switch, interface or port,
/// what kind of step, what.
///
/// What was done with a frame (`->`) stands below it, without repeating where.
pub fn text(report: &TraceReport, shown: &[&TraceLine]) -> String {
    let mut text = String::new();
    let start = report.flow.as_ref().map(|f| f.start).unwrap_or_default();
    let width = |of: fn(&TraceLine) -> usize| shown.iter().map(|l| of(l)).max().unwrap_or(0);
    let (places, interfaces) = (width(|l| l.place.len()), width(|l| l.interface.len()));
    let mut above: Option<&TraceLine> = None;
    for &line in shown {
        let TraceLine { place, interface, text: what, .. } = line;
        let below = line.step == Step::Done
            && above.is_some_and(|a| (a.time, &a.place) == (line.time, place));
        let at = (line.time - start).as_nanos();
        let (s, us) = (at / 1_000_000_000, at % 1_000_000_000 / 1000);
        let _infallible = if below {
            let indent = 13 + 2 + places + 2 + interfaces;
            writeln!(text, "{:indent$}  {:<4}  {what}", "", line.step.name())
        } else {
            let word = line.step.name();
            writeln!(
                text,
                "{s:>6}.{us:06}  {place:<places$}  {interface:<interfaces$}  {word:<4}  {what}"
            )
        };
        // what a switch does stands alone
        if line.step != Step::Done {
            above = Some(line);
        } else if !below {
            above = None;
        }
    }
    text
}

/// A step as a line of JSON: `time_ns` since the start of the connection, `place`, `interface` (empty if
/// it is about none), `step` (`in`, `out`, `done`, `drop`, `app`), `reason` of a drop, `text`.
pub fn json(report: &TraceReport, line: &TraceLine) -> String {
    let start = report.flow.as_ref().map(|f| f.start).unwrap_or_default();
    let mut object = json!({
        "time_ns": (line.time - start).as_nanos(),
        "place": line.place,
        "interface": line.interface,
        "step": if line.step == Step::Done { "done" } else { line.step.name() },
        "text": line.text,
    });
    if let Step::Dropped(reason) = line.step {
        object["reason"] = json!(reason);
    }
    object.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::engine::{Span, Time};

    fn line(us: u64, place: &str, step: Step, text: &str) -> TraceLine {
        let time = Time::ZERO + Span::from_micros(us);
        TraceLine { time, place: place.into(), interface: "eth0".into(), step, text: text.into() }
    }

    #[test]
    fn what_was_done_stands_below_what_it_was_done_with() {
        let lines = [
            line(1, "router", Step::In, "a"),
            line(1, "router", Step::Done, "b"),
            line(1, "rs1", Step::Done, "c"),
            line(2_000_001, "rs1", Step::Dropped("no_route"), "d"),
        ];
        let report = TraceReport::default();
        let text = text(&report, &lines.iter().collect::<Vec<_>>());
        let expected = [
            "     0.000001  router  eth0  in    a",
            "                             ->    b",
            "     0.000001  rs1     eth0  ->    c",
            "     2.000001  rs1     eth0  drop  d",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        assert_eq!(
            json(&report, &lines[3]),
            r#"{"interface":"eth0","place":"rs1","reason":"no_route","step":"drop","text":"d","time_ns":2000001000}"#
        );
    }
}
