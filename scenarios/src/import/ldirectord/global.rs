//! Settings outside services.

use super::lines::Line;
use super::{Global, server};
use crate::diagnostic::Problem;
use crate::format::words::nearest;
use crate::import::findings::Findings;
use sim_core::engine::Span;

/// Behind so many unknown settings no word is guessed any more: it takes its time.
const MOST_HINTS: usize = 100;

/// All settings outside services.
pub(super) const NAMES: &[&str] = &[
    "checktimeout",
    "negotiatetimeout",
    "checkinterval",
    "checkcount",
    "failurecount",
    "fallback",
    "fallback6",
    "fallbackcommand",
    "autoreload",
    "callback",
    "logfile",
    "execute",
    "fork",
    "supervised",
    "quiescent",
    "readdquiescent",
    "emailalert",
    "emailalertfreq",
    "emailalertstatus",
    "emailalertfrom",
    "cleanstop",
    "smtp",
    "maintenancedir",
    "virtual",
    "virtual6",
];

impl Default for Global {
    fn default() -> Self {
        Self {
            autoreload: false,
            fork: false,
            supervised: false,
            cleanstop: true,
            quiescent: false,
            readd_quiescent: false,
            check_timeout: None,
            negotiate_timeout: None,
            check_interval: Span::from_secs(10),
            check_count: 1,
            failure_count: 1,
            fallback: None,
            fallback6: None,
            fallback_command: None,
            others: Vec::new(),
        }
    }
}

/// Takes a line over.
pub(super) fn set(global: &mut Global, line: &Line<'_>, findings: &mut Findings) {
    if line.name == "supervised" && line.value.is_none() {
        global.supervised = true;
        let message = "please update your config not to use a bare supervised directive";
        return findings.warn(&line.place, message, "write `supervised=yes`");
    }
    let Some(value) = line.value else {
        let problem = unknown(line, NAMES, findings);
        return findings.errors.push(problem);
    };
    let result = set_value(global, line, value, findings);
    findings.errors.extend(result.err());
}

fn set_value(
    global: &mut Global,
    line: &Line<'_>,
    value: &str,
    findings: &mut Findings,
) -> Result<(), Problem> {
    match line.name {
        "checktimeout" => global.check_timeout = Some(seconds(line, "check timeout value")?),
        "negotiatetimeout" => {
            global.negotiate_timeout = Some(seconds(line, "negotiate timeout value")?);
        }
        "checkinterval" => global.check_interval = seconds(line, "check interval value")?,
        "checkcount" => {
            global.check_count = count(line, "check count value")?;
            old_count(line, findings);
        }
        "failurecount" => global.failure_count = count(line, "failure count value")?,
        "fallback" => global.fallback = Some(server::fallback(line, value, None, findings)?),
        "fallback6" => global.fallback6 = Some(server::fallback(line, value, None, findings)?),
        "fallbackcommand" => global.fallback_command = Some(value.to_owned()),
        "autoreload" => global.autoreload = yes(line)?,
        "fork" => global.fork = yes(line)?,
        "supervised" => global.supervised = yes(line)?,
        "readdquiescent" => global.readd_quiescent = yes(line)?,
        "cleanstop" => global.cleanstop = yes(line)?,
        "quiescent" => {
            global.quiescent = yes(line)?;
            global.others.push((line.name.to_owned(), line.place.clone()));
        }
        "callback" | "logfile" if quoted(value).is_none() => {
            return Err(unknown(line, NAMES, findings));
        }
        "emailalertfreq" if first_number(value) != Some(0) => {
            count(line, "email alert frequency")?;
            global.others.push((line.name.to_owned(), line.place.clone()));
        }
        "connecttimeout" | "timeout" => return Err(deprecated(line)),
        name if NAMES.contains(&name) => {
            global.others.push((line.name.to_owned(), line.place.clone()));
        }
        _ => return Err(unknown(line, NAMES, findings)),
    }
    Ok(())
}

/// What is said of `checkcount`.
pub(super) fn old_count(line: &Line<'_>, findings: &mut Findings) {
    let message =
        "checkcount option is deprecated and slated for removal.  please see 'failurecount'";
    findings.warn(&line.place, message, "counts for `checktype=ping` only");
}

/// A setting that other ones took the place of.
pub(super) fn deprecated(line: &Line<'_>) -> Problem {
    let new = match line.name {
        "timeout" => "checktimeout and negotiatetimeout",
        _ => "negotiatetimeout",
    };
    let message = format!("{} directive deprecated in favour of {new}", line.name);
    Problem::new(&line.place, message, "ldirectord ends here")
}

/// A line that ldirectord does not know.
pub(super) fn unknown(line: &Line<'_>, known: &[&str], findings: &Findings) -> Problem {
    let message = format!("Unknown command {}", shortened(line.text.trim()));
    let problem = Problem::new(&line.place, message, "ldirectord ends here");
    if findings.errors.len() >= MOST_HINTS {
        return problem;
    }
    let value = line.value.unwrap_or_default();
    if line.text.starts_with([' ', '\t']) && line.value.is_some() {
        return problem
            .help("lines of a service stand right behind its `virtual=`, without an empty line");
    }
    if known.contains(&line.name) && line.value.is_some() {
        return problem.help(format!("write `{}=\"{}\"`", line.name, value.trim()));
    }
    match nearest(line.name, known.iter().copied()) {
        Some(near) if near != line.name => problem.help(format!("did you mean `{near}`?")),
        Some(near) => problem.help(format!("write `{near}=VALUE`")),
        None => problem,
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((n, _)) => format!("\"{}...\"", &text[..n]),
        None => format!("\"{text}\""),
    }
}

/// The first run of digits of a value; too large ones are the largest number.
pub(super) fn first_number(value: &str) -> Option<u64> {
    let start = value.find(|c: char| c.is_ascii_digit())?;
    let digits = &value[start..];
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    Some(digits[..end].parse().unwrap_or(u64::MAX))
}

/// Seconds above zero.
pub(super) fn seconds(line: &Line<'_>, what: &str) -> Result<Span, Problem> {
    count(line, what).map(|n| Span::from_secs(n.into()))
}

/// A number above zero.
pub(super) fn count(line: &Line<'_>, what: &str) -> Result<u32, Problem> {
    let n = line.value.and_then(first_number).filter(|n| *n > 0);
    n.and_then(|n| u32::try_from(n).ok()).ok_or_else(|| {
        Problem::new(&line.value_place, format!("invalid {what}"), "expected a number above 0")
    })
}

/// `yes` or `no`, and nothing behind it.
pub(super) fn yes(line: &Line<'_>) -> Result<bool, Problem> {
    let value = line.value.unwrap_or_default();
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => {
            let message = format!("{} must be 'yes' or 'no'", line.name);
            let bare = value.split('#').next().unwrap_or_default().trim_end();
            let label = match bare {
                "yes" | "no" if value.contains('#') => "no comment may stand behind it",
                "yes" | "no" => "nothing may stand behind it, no blank either",
                _ => "expected yes or no",
            };
            Err(Problem::new(&line.value_place, message, label))
        }
    }
}

/// What stands between the first `"` at the begin and the last one.
pub(super) fn quoted(value: &str) -> Option<&str> {
    let inner = value.strip_prefix('"')?;
    inner.rfind('"').map(|end| &inner[..end])
}
