//! The directives of `ha.cf` and their values.
//! Source: the tables `Directives` and `WLdirectives` of heartbeat's `config.c`, and its plugins of media.

use crate::diagnostic::{At, Problem};
use sim_core::engine::Span;

/// Directives that are accepted and say nothing about the behaviour of a cluster.
pub(super) const WITHOUT_EFFECT: &[&str] = &[
    "cluster",
    "logfacility",
    "logfile",
    "debugfile",
    "rtprio",
    "hbgenmethod",
    "realtime",
    "debug",
    "normalpoll",
    "msgfmt",
    "use_logd",
    "conn_logd_time",
    "use_apphbd",
    "log_badpack",
    "syslogmsgfmt",
    "coredumps",
    "coreroot",
    "uuidfrom",
    "compression",
    "compression_threshold",
    "traditional_compression",
    "env",
    "max_rexmit_delay",
    "record_config_changes",
    "record_pengine_inputs",
    "enable_config_writes",
    "memreserve",
    "quorum_server",
    "hopfudge",
];

/// Media that carry heartbeats or pings and are not simulated.
pub(super) const OTHER_MEDIA: &[&str] = &["mcast6", "ping6", "hbaping", "openais", "rds", "tipc"];

/// Directives that are understood.
pub(super) const UNDERSTOOD: &[&str] = &[
    "node",
    "keepalive",
    "deadtime",
    "deadping",
    "initdead",
    "warntime",
    "watchdog",
    "baud",
    "udpport",
    "nice_failback",
    "auto_failback",
    "crm",
    "pacemaker",
    "autojoin",
    "bcast",
    "udp",
    "mcast",
    "ucast",
    "serial",
    "ping",
    "ping_group",
    "stonith",
    "stonith_host",
    "apiauth",
    "respawn",
    "failfast",
];

/// Every directive.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    UNDERSTOOD.iter().chain(WITHOUT_EFFECT).chain(OTHER_MEDIA).copied()
}

/// A time: a number with or without a decimal point, seconds unless a unit follows, in whole milliseconds
/// (`cl_get_msec`). Of a unit only its first letters count.
pub(super) fn time(word: &At<&str>) -> Result<Span, Problem> {
    let wrong = || {
        let message = format!("invalid time '{}'", word.value);
        Problem::new(&word.place, message, "expected a number, in seconds or with `ms`")
    };
    let end = word.value.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = word.value.split_at(end.unwrap_or(word.value.len()));
    if number.is_empty() {
        return Err(wrong());
    }
    let unit = unit.to_ascii_lowercase();
    let micros: u64 = match unit.as_str() {
        "" => 1_000_000,
        u if u.starts_with("ms") => 1000,
        u if u.starts_with("us") => 1,
        u if u.starts_with('s') => 1_000_000,
        u if u.starts_with('m') => 60_000_000,
        u if u.starts_with('h') => 3_600_000_000,
        _ => return Err(wrong()),
    };
    // what stands behind a second point does not count
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let part = part.split('.').next().unwrap_or_default();
    let digits: String = part.chars().chain("000000".chars()).take(6).collect();
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| wrong())? };
    let part: u64 = digits.parse().map_err(|_| wrong())?;
    let total = whole
        .checked_mul(micros)
        .and_then(|t| {
            t.checked_add(u64::try_from(u128::from(part) * u128::from(micros) / 1_000_000).ok()?)
        })
        .filter(|t| *t < u64::MAX / 2000)
        .ok_or_else(wrong)?;
    Ok(Span::from_millis((total + 500) / 1000))
}

/// `true on yes y 1` and `false off no n 0` in any case (`cl_str_to_boolean`).
pub(super) fn boolean(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|w| w.eq_ignore_ascii_case(text));
    if is(&["true", "on", "yes", "y", "1"]) {
        return Some(true);
    }
    is(&["false", "off", "no", "n", "0"]).then_some(false)
}

/// What C's `atoi` makes of a word.
pub(super) fn leading_number(text: &str) -> i64 {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let n: i64 = digits[..end].parse().unwrap_or(if end == 0 { 0 } else { i64::MAX });
    if text.starts_with('-') { -n } else { n }
}
