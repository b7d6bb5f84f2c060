//! How available the service was: outages, the nines, takeovers, who held the virtual addresses.
//!
//! Shares are of requests. A year has 365 days, as in the usual table of the nines: 99 % is 87.6 h of it,
//! 99.9 % 8.76 h, 99.99 % 52.6 min, 99.999 % 5.3 min.

use super::summary::observed_s;
use crate::study::Outcome;
use serde_json::{Map, Value, json};
use sim_core::engine::{Span, Time};
use sim_core::observe::timeline::Kind;
use sim_core::observe::{
    Availability, Failure, Observations, Outage, SeriesPoint, TimelineEntry, VipObservation,
};

/// Seconds of a year of 365 days.
const YEAR_S: f64 = 365.0 * 86_400.0;
/// Outages and takeovers that `summary.json` lists; the tables have all.
const LISTED: usize = 100;

/// All clients together: outages of several at a time are one.
pub(super) fn overall(o: &Observations) -> Availability {
    Availability::union("all", &o.availability)
}

/// Whether a variant has something that can fail or take over.
pub(super) fn is_tested(outcome: &Outcome) -> bool {
    let config = &outcome.variant.config;
    let daemons =
        |h: &sim_core::config::HostConfig| h.keepalived.is_some() || h.heartbeat.is_some();
    !config.faults.is_empty() || config.hosts.iter().any(daemons)
}

/// The number of nines of a share: 3 for 99.9 %. `None` if nothing was lost, or nothing asked.
pub(super) fn nines(a: &Availability) -> Option<f64> {
    let lost = 1.0 - a.share()?;
    (a.lost() > 0).then(|| -libm::log10(lost))
}

/// Seconds a year that a share of lost requests means.
pub(super) fn downtime_a_year(a: &Availability) -> Option<f64> {
    Some((1.0 - a.share()?) * YEAR_S)
}

/// The longest outage in seconds, 0 if there was none.
pub(super) fn longest(a: &Availability) -> f64 {
    a.outages.iter().map(Outage::length).max().unwrap_or(Span::ZERO).as_secs_f64()
}

/// Mean time in seconds that the service was there between outages (MTBF); `None` without outages.
fn between(a: &Availability, observed: f64) -> Option<f64> {
    let up = (observed - a.downtime().as_secs_f64()).max(0.0);
    (!a.outages.is_empty()).then(|| up / a.outages.len() as f64)
}

fn lost(failed: &[u64; 6]) -> Value {
    let kinds = Failure::ALL.iter().zip(failed).map(|(f, n)| (f.name().to_owned(), json!(n)));
    let mut map: Map<String, Value> = kinds.collect();
    map.insert("total".into(), json!(failed.iter().sum::<u64>()));
    Value::Object(map)
}

fn share(a: &Availability, observed: f64) -> Map<String, Value> {
    let down = a.downtime().as_secs_f64();
    let parts = json!({
        "offered": a.offered(),
        "served": a.served,
        "share": a.share(),
        "nines": nines(a),
        "downtime_a_year": downtime_a_year(a),
        "uptime": if observed > 0.0 { (1.0 - down / observed).max(0.0) } else { 1.0 },
        "lost": lost(&a.failed),
        "isolated": a.isolated,
        "undecided": a.undecided,
        "reset": a.reset,
        "outages": statistics(a, observed),
    });
    match parts {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Count, longest, total, mean and mean time between outages, in seconds.
fn statistics(a: &Availability, observed: f64) -> Value {
    let total = a.downtime().as_secs_f64();
    let count = a.outages.len();
    json!({
        "count": count,
        "longest": longest(a),
        "total": total,
        "mean": if count == 0 { 0.0 } else { total / count as f64 },
        "between": between(a, observed),
    })
}

/// `no power: director1`: a fault in words. What says of itself whom it concerns needs no name.
pub(super) fn fault_words(entry: &TimelineEntry) -> String {
    if entry.value.contains(": ") {
        return entry.value.clone();
    }
    format!("{} {}", entry.subject, entry.value)
}

/// `director1 power off`: an entry of a timeline in words.
pub(super) fn words(entry: &TimelineEntry) -> String {
    if entry.kind == Kind::Fault {
        return fault_words(entry);
    }
    let subject = if entry.subject == entry.host { "" } else { &entry.subject };
    let parts = [entry.host.as_str(), entry.kind.name(), subject, &entry.value];
    let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
    parts.join(" ")
}

/// The cause of an outage.
pub(super) fn cause<'o>(o: &'o Observations, outage: &Outage) -> Option<&'o TimelineEntry> {
    o.timeline.get(outage.cause? as usize)
}

fn outage(o: &Observations, outage: &Outage) -> Value {
    let cause = cause(o, outage);
    json!({
        "begin": outage.begin.as_secs_f64(),
        "end": outage.end.as_secs_f64(),
        "length": outage.length().as_secs_f64(),
        "lasting": outage.lasting,
        "cause": cause.map(words),
        "cause_time": cause.map(|c| c.time.as_secs_f64()),
        "lost": lost(&outage.failed),
        "reset": outage.reset,
    })
}

/// The parts `availability`, `outage`, `vip` and `failover` of a summary.
pub(super) fn summary(outcome: &Outcome) -> Vec<(&'static str, Value)> {
    parts(&outcome.observations, warm(outcome), observed_s(outcome))
}

/// The same without anything observed.
pub(super) fn fixed() -> Vec<(&'static str, Value)> {
    parts(&Observations::default(), Time::ZERO, 0.0)
}

/// The end of the warm-up, before which nothing counts.
pub(super) fn warm(outcome: &Outcome) -> Time {
    Time::ZERO + outcome.variant.config.warmup
}

fn parts(o: &Observations, warm: Time, observed: f64) -> Vec<(&'static str, Value)> {
    let all = overall(o);
    let named = |all: &[Availability]| -> Map<String, Value> {
        all.iter().map(|a| (a.name.clone(), Value::Object(share(a, observed)))).collect()
    };
    let mut available = share(&all, observed);
    available.insert("clients".into(), Value::Object(named(&o.availability)));
    available.insert("services".into(), Value::Object(named(&o.services)));
    let mut outages = statistics(&all, observed);
    outages["lost"] = json!(all.outages.iter().map(Outage::lost).sum::<u64>());
    outages["reset"] = json!(all.outages.iter().map(|o| o.reset).sum::<u64>());
    let list: Vec<Value> = all.outages.iter().take(LISTED).map(|one| outage(o, one)).collect();
    outages["list"] = Value::Array(list);
    vec![
        ("availability", Value::Object(available)),
        ("outage", outages),
        ("vip", vips(o, warm)),
        ("failover", failover(o, warm, &all)),
    ]
}

fn holders(all: &[&VipObservation], end: Time) -> Value {
    let extremes = || all.iter().map(|v| v.extremes());
    let time = |index: usize| {
        all.iter().map(|v| v.times(end)[index]).max().unwrap_or(Span::ZERO).as_secs_f64()
    };
    json!({
        "holders": {
            "min": extremes().map(|e| e.0).min().unwrap_or(0),
            "max": extremes().map(|e| e.1).max().unwrap_or(0),
        },
        "time_with_none": time(0),
        "time_with_one": time(1),
        "time_with_more": time(2),
        "cache_changes": all.iter().map(|v| v.moves()).sum::<u64>(),
    })
}

/// All virtual addresses together (times: of the one with the most) and each by itself.
fn vips(o: &Observations, warm: Time) -> Value {
    let vips: Vec<VipObservation> = o.vips.iter().map(|v| v.since(warm)).collect();
    let mut value = holders(&vips.iter().collect::<Vec<_>>(), o.end);
    let each = vips.iter().map(|v| (v.address.to_string(), holders(&[v], o.end)));
    value["addresses"] = Value::Object(each.collect());
    value
}

/// A router or node that took over after something had happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Takeover<'o> {
    /// What it shows itself by.
    pub(super) entry: &'o TimelineEntry,
    /// The last thing from outside before.
    pub(super) blow: &'o TimelineEntry,
    /// The end of the outage that came with it.
    pub(super) served: Option<Time>,
}

impl Takeover<'_> {
    /// From the blow to the takeover.
    pub(super) fn after(&self) -> Span {
        self.entry.time - self.blow.time
    }

    /// From the blow to the start of the first request that was served again.
    pub(super) fn served_after(&self) -> Option<Span> {
        self.served.map(|at| at - self.blow.time)
    }
}

/// What took over: a virtual router that became master, a resource group that is held, each after
/// a fault, a loss of power or a change of a process. Those before the end of the warm-up do not count.
pub(super) fn takeovers<'o>(
    o: &'o Observations,
    warm: Time,
    all: &Availability,
) -> Vec<Takeover<'o>> {
    let mut blow: Option<&TimelineEntry> = None;
    let mut found = Vec::new();
    for entry in &o.timeline {
        let takes = match entry.kind {
            Kind::Fault | Kind::Power | Kind::Process => {
                blow = Some(entry);
                false
            }
            Kind::State => entry.value == "MASTER",
            Kind::Resource => entry.value == "held",
            _ => false,
        };
        let Some(blow) = blow.filter(|_| takes && entry.time >= warm) else { continue };
        let near = |outage: &&Outage| outage.end >= blow.time && outage.begin <= entry.time;
        let served = all.outages.iter().rfind(near).filter(|o| !o.lasting).map(|o| o.end);
        found.push(Takeover { entry, blow, served });
    }
    found
}

fn failover(o: &Observations, warm: Time, all: &Availability) -> Value {
    let all = takeovers(o, warm, all);
    let statistics = |spans: Vec<Span>| {
        let seconds: Vec<f64> = spans.iter().map(|s| s.as_secs_f64()).collect();
        let mean = seconds.iter().sum::<f64>() / seconds.len().max(1) as f64;
        let some = |value: f64| (!seconds.is_empty()).then_some(value);
        json!({
            "count": seconds.len(),
            "min": some(seconds.iter().copied().fold(f64::INFINITY, f64::min)),
            "mean": some(mean),
            "max": some(seconds.iter().copied().fold(0.0, f64::max)),
        })
    };
    let list = all.iter().take(LISTED).map(|t| {
        json!({
            "time": t.entry.time.as_secs_f64(),
            "host": t.entry.host,
            "what": words(t.entry),
            "fault": words(t.blow),
            "fault_time": t.blow.time.as_secs_f64(),
            "after": t.after().as_secs_f64(),
            "served_after": t.served_after().map(Span::as_secs_f64),
        })
    });
    json!({
        "count": all.len(),
        "takeover": statistics(all.iter().map(Takeover::after).collect()),
        "service": statistics(all.iter().filter_map(Takeover::served_after).collect()),
        "list": list.collect::<Vec<_>>(),
    })
}

/// How many hold each virtual address after the warm-up, as a series of steps: `series.vip.ADDRESS.holders`.
pub fn holder_series(o: &Observations, warmup: Span) -> Vec<SeriesPoint> {
    let steps = |v: &VipObservation| -> Vec<SeriesPoint> {
        let step = |h: &sim_core::observe::Holding| SeriesPoint {
            time: h.time,
            kind: "vip",
            entity: v.address.to_string(),
            metric: "holders",
            value: h.hosts.len() as f64,
        };
        v.since(Time::ZERO + warmup).holders.iter().map(step).collect()
    };
    o.vips.iter().flat_map(steps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(served: u64, lost: u64) -> Availability {
        Availability { served, failed: [lost, 0, 0, 0, 0, 0], ..Availability::default() }
    }

    #[test]
    fn the_nines_mean_hours_a_year() {
        let near = |a: Option<f64>, b: f64| a.is_some_and(|a| (a - b).abs() < 1e-6 * b.max(1.0));
        for (n, hours) in [(2, 87.6), (3, 8.76), (4, 0.876), (5, 0.0876)] {
            let a = lost(10_u64.pow(n) - 1, 1);
            assert!(near(nines(&a), f64::from(n)), "{n}: {:?}", nines(&a));
            assert!(near(downtime_a_year(&a), hours * 3600.0));
        }
        assert_eq!((nines(&lost(5, 0)), nines(&lost(0, 0))), (None, None));
        assert_eq!(downtime_a_year(&lost(5, 0)), Some(0.0));
    }

    fn entry(s: u64, host: &str, kind: Kind, value: &str) -> TimelineEntry {
        let (host, subject) = (host.to_owned(), String::new());
        let time = Time::ZERO + Span::from_secs(s);
        TimelineEntry { time, host, kind, subject, value: value.to_owned() }
    }

    #[test]
    fn a_takeover_is_measured_from_what_made_it_necessary() {
        let timeline = vec![
            entry(1, "a", Kind::State, "MASTER"),
            entry(10, "a", Kind::Power, "off"),
            entry(13, "b", Kind::State, "MASTER"),
        ];
        let outage = Outage {
            begin: Time::ZERO + Span::from_secs(11),
            end: Time::ZERO + Span::from_secs(14),
            lasting: false,
            failed: [3, 0, 0, 0, 0, 0],
            reset: 1,
            cause: Some(1),
        };
        let availability = vec![Availability { outages: vec![outage], ..lost(97, 3) }];
        let o = Observations { timeline, availability, ..Observations::default() };
        let parts: Map<String, Value> =
            parts(&o, Time::ZERO, 100.0).into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let failover = &parts["failover"];
        assert_eq!((&failover["count"], &failover["list"][0]["host"]), (&json!(1), &json!("b")));
        assert_eq!(failover["takeover"]["mean"], json!(3.0));
        assert_eq!(failover["service"]["max"], json!(4.0));
        assert_eq!(parts["outage"]["list"][0]["cause"], json!("a power off"));
        assert_eq!(parts["outage"]["between"], json!(97.0));
        assert_eq!(parts["availability"]["share"], json!(0.97));
        assert_eq!(parts["availability"]["uptime"], json!(0.97));
    }

    #[test]
    fn what_happens_in_the_warm_up_is_no_takeover() {
        let timeline =
            vec![entry(0, "a", Kind::Process, "started"), entry(3, "a", Kind::State, "MASTER")];
        let o = Observations { timeline, ..Observations::default() };
        let count = |s| takeovers(&o, Time::ZERO + Span::from_secs(s), &overall(&o)).len();
        assert_eq!((count(0), count(4)), (1, 0));
    }
}
