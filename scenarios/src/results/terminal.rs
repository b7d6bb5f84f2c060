//! The table a person reads: a metric a row, a variant a column.

use super::Study;
use super::availability::{downtime_a_year, is_tested, longest, nines, overall, takeovers, warm};
use super::summary::{busiest, director_load, observed_s, server_ports, server_shares, total};
use super::tables::measured;
use crate::study::Outcome;
use reports::{Cell, Comparison, Sense, Unit};
use sim_core::engine::Span;
use sim_core::observe::{ClientObservation, Failure, Histogram, LinkObservation};

/// `director>switch`: a link direction without its interfaces.
fn short_name(link: &LinkObservation) -> String {
    let host = |end: &str| end.split(':').next().unwrap_or(end).to_owned();
    format!("{}>{}", host(&link.from), host(&link.to))
}

/// Adds a row with a cell for each variant.
fn row(
    table: &mut Comparison,
    outcomes: &[Outcome],
    label: &str,
    unit: Unit,
    sense: Sense,
    cell: impl Fn(&Outcome) -> Cell,
) {
    let pushed = table.push(label, unit, sense, outcomes.iter().map(cell));
    debug_assert!(pushed.is_ok(), "there is a cell for each variant");
}

/// The comparison of the variants.
pub fn answer(study: &Study<'_>) -> Comparison {
    let outcomes = study.outcomes;
    let names = outcomes.iter().map(|o| o.variant.name.as_str());
    let mut table = Comparison::new(study.scenario.name.as_str(), names);
    table.head(outcomes.iter().map(|o| o.variant.group.as_str()));
    connections(&mut table, outcomes);
    latencies(&mut table, outcomes);
    throughput(&mut table, outcomes);
    available(&mut table, outcomes);
    directors(&mut table, outcomes);
    links(&mut table, outcomes);
    shares(&mut table, outcomes);
    table
}

fn all(o: &Outcome) -> ClientObservation {
    total(&o.observations.clients)
}

/// Every value of the outcomes once, in the order they come.
fn each_once<T: PartialEq>(outcomes: &[Outcome], values: impl Fn(&Outcome) -> Vec<T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in outcomes.iter().flat_map(values) {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

type Phase = fn(&ClientObservation) -> &Histogram;

fn connections(t: &mut Comparison, outcomes: &[Outcome]) {
    use Sense::{HigherIsBetter, Neutral, ZeroIsGood};
    t.group("Connections");
    row(t, outcomes, "offered", Unit::None, Neutral, |o| all(o).connections_offered.into());
    row(t, outcomes, "served", Unit::None, HigherIsBetter, |o| all(o).connections_served.into());
    let failed = |o: &Outcome| all(o).connections_failed.iter().sum::<u64>();
    row(t, outcomes, "failed", Unit::None, ZeroIsGood, |o| failed(o).into());
    for (index, failure) in Failure::ALL.iter().enumerate() {
        let of = |o: &Outcome| all(o).connections_failed.get(index).copied().unwrap_or(0);
        if outcomes.iter().any(|o| of(o) > 0) {
            let label = format!("  {}", failure.name().replace('_', " "));
            row(t, outcomes, &label, Unit::None, ZeroIsGood, |o| of(o).into());
        }
    }
}

/// The latency of each client application that has a name of its own; of many only of all together.
fn latencies(t: &mut Comparison, outcomes: &[Outcome]) {
    const MOST: usize = 4;
    let names =
        each_once(outcomes, |o| o.observations.clients.iter().map(|c| c.name.clone()).collect());
    if names.len() < 2 || names.len() > MOST {
        t.group("Latency");
        latency(t, outcomes, all);
        return;
    }
    for name in &names {
        t.group(format!("Latency of {name}"));
        latency(t, outcomes, |o| {
            let clients = o.observations.clients.iter().filter(|c| c.name == *name);
            total(&clients.cloned().collect::<Vec<_>>())
        });
    }
}

fn latency(t: &mut Comparison, outcomes: &[Outcome], of: impl Fn(&Outcome) -> ClientObservation) {
    let phases: [(&str, Phase); 3] = [
        ("connect", |c| &c.connect),
        ("first byte", |c| &c.first_byte),
        ("complete", |c| &c.complete),
    ];
    let any = |pick: Phase| outcomes.iter().any(|o| pick(&of(o)).count() > 0);
    for (name, pick) in phases {
        // UDP has no connect; where nothing was answered, dashes say so
        if name == "connect" && !any(pick) && any(|c| &c.complete) {
            continue;
        }
        for (percentile, q) in [("p50", 0.5), ("p99", 0.99)] {
            let label = format!("{name} {percentile}");
            row(t, outcomes, &label, Unit::Seconds, Sense::LowerIsBetter, |o| {
                measured(pick(&of(o)), |h| h.quantile_s(q))
            });
        }
    }
}

fn throughput(t: &mut Comparison, outcomes: &[Outcome]) {
    let per_s = |n: u64, o: &Outcome| Cell::from(n as f64 / observed_s(o).max(1e-9));
    let more = Sense::HigherIsBetter;
    t.group("Throughput");
    row(t, outcomes, "requests", Unit::other("/s"), more, |o| per_s(all(o).requests_served, o));
    let payload = |o: &Outcome| per_s(all(o).bytes_received, o);
    row(t, outcomes, "payload", Unit::BytesPerSecond, more, payload);
    // a frame that a switch floods to those whom it does not concern is no loss
    let dropped = |o: &Outcome| {
        let lost = o.observations.drops.iter().filter(|d| d.reason != "other_host");
        lost.map(|d| d.packets).sum::<u64>()
    };
    row(t, outcomes, "packets dropped", Unit::None, Sense::ZeroIsGood, |o| dropped(o).into());
}

/// Only where something can fail or take over.
fn available(t: &mut Comparison, outcomes: &[Outcome]) {
    use Sense::{HigherIsBetter, LowerIsBetter, Neutral, ZeroIsGood};
    if !outcomes.iter().any(is_tested) {
        return;
    }
    let all = |o: &Outcome| overall(&o.observations);
    t.group("Availability");
    row(t, outcomes, "requests lost", Unit::None, ZeroIsGood, |o| all(o).lost().into());
    row(t, outcomes, "nines", Unit::None, HigherIsBetter, |o| nines(&all(o)).into());
    row(t, outcomes, "that is, a year", Unit::Seconds, LowerIsBetter, |o| {
        downtime_a_year(&all(o)).into()
    });
    row(t, outcomes, "outages", Unit::None, ZeroIsGood, |o| all(o).outages.len().into());
    row(t, outcomes, "longest outage", Unit::Seconds, LowerIsBetter, |o| longest(&all(o)).into());
    row(t, outcomes, "isolated failures", Unit::None, ZeroIsGood, |o| all(o).isolated.into());
    row(t, outcomes, "connections reset", Unit::None, ZeroIsGood, |o| all(o).reset.into());
    row(t, outcomes, "takeovers", Unit::None, Neutral, |o| {
        takeovers(&o.observations, warm(o), &all(o)).len().into()
    });
    let vips = |o: &Outcome, index: usize| {
        let vips = o.observations.vips.iter();
        let times = vips.map(|v| v.since(warm(o)).times(o.observations.end)[index]);
        times.max().map(Span::as_secs_f64)
    };
    if outcomes.iter().any(|o| !o.observations.vips.is_empty()) {
        row(t, outcomes, "VIP held by nobody", Unit::Seconds, LowerIsBetter, |o| vips(o, 0).into());
        row(t, outcomes, "VIP held by several", Unit::Seconds, ZeroIsGood, |o| vips(o, 2).into());
        let moves =
            |o: &Outcome| o.observations.vips.iter().map(|v| v.since(warm(o)).moves()).sum::<u64>();
        row(t, outcomes, "moves in ARP caches", Unit::None, Neutral, |o| moves(o).into());
    }
}

fn directors(t: &mut Comparison, outcomes: &[Outcome]) {
    if outcomes.iter().all(|o| o.observations.directors.is_empty()) {
        return;
    }
    let rates = [
        ("packets in", Unit::other("/s"), "packets_in_per_s"),
        ("packets out", Unit::other("/s"), "packets_out_per_s"),
        ("bytes in", Unit::BytesPerSecond, "bytes_in_per_s"),
        ("bytes out", Unit::BytesPerSecond, "bytes_out_per_s"),
    ];
    let several = outcomes.iter().any(|o| o.observations.directors.len() > 1);
    t.group(if several { "All directors" } else { "Director" });
    let load = |o: &Outcome, key: &str| director_load(&o.observations)[key].as_f64();
    for (label, unit, key) in rates {
        row(t, outcomes, label, unit, Sense::LowerIsBetter, |o| load(o, key).into());
    }
    let busy = "cpu_utilisation";
    if outcomes.iter().any(|o| load(o, busy).is_some_and(|b| b > 0.0)) {
        row(t, outcomes, "CPU busy", Unit::Ratio, Sense::LowerIsBetter, |o| load(o, busy).into());
    }
    row(t, outcomes, "entries max", Unit::None, Sense::Neutral, |o| {
        o.observations.directors.iter().map(|d| d.entries_max).sum::<u64>().into()
    });
}

/// How busy the links are that are the busiest one in some variant.
fn links(t: &mut Comparison, outcomes: &[Outcome]) {
    let names = each_once(outcomes, |o| {
        busiest(&o.observations.links).map(short_name).into_iter().collect()
    });
    if names.is_empty() {
        return;
    }
    t.group(if names.len() == 1 {
        "Busiest link (time in use)"
    } else {
        "Busiest links (time in use)"
    });
    for name in &names {
        row(t, outcomes, name, Unit::Ratio, Sense::LowerIsBetter, |o| {
            let named = o.observations.links.iter().filter(|l| short_name(l) == *name);
            named.map(|l| l.utilisation).reduce(f64::max).into()
        });
    }
}

/// Share of the connections of each server among those of its port; of many only the extremes.
fn shares(t: &mut Comparison, outcomes: &[Outcome]) {
    const MOST: usize = 16;
    let ports = each_once(outcomes, server_ports);
    for port in &ports {
        let at = if ports.len() > 1 { format!(" to port {port}") } else { String::new() };
        t.group(format!("Share of connections{at}"));
        let of = |o: &Outcome| -> Vec<(String, Option<f64>)> {
            let hosts = o.observations.servers.iter().map(|s| s.host.clone());
            let shares = hosts.zip(server_shares(o)).zip(server_ports(o));
            shares.filter(|(_, p)| p == port).map(|(share, _)| share).collect()
        };
        let hosts = each_once(outcomes, |o| of(o).into_iter().map(|s| s.0).collect());
        if hosts.len() > MOST {
            for (label, pick) in
                [("smallest", f64::min as fn(f64, f64) -> f64), ("largest", f64::max)]
            {
                row(t, outcomes, label, Unit::Ratio, Sense::Neutral, |o| {
                    of(o).into_iter().filter_map(|s| s.1).reduce(pick).into()
                });
            }
            continue;
        }
        for host in &hosts {
            row(t, outcomes, host, Unit::Ratio, Sense::Neutral, |o| {
                of(o).into_iter().find(|s| s.0 == *host).and_then(|s| s.1).into()
            });
        }
    }
}
