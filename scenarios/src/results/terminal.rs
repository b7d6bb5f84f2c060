//! The table a person reads: a metric a row, a variant a column.

use super::Study;
use super::summary::{busiest, observed_s, server_names, total};
use super::tables::measured;
use crate::study::Outcome;
use reports::{Cell, Comparison, Sense, Unit};
use sim_core::observe::{
    ClientObservation, DirectorObservation, Failure, Histogram, LinkObservation,
};

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
    let names = study.outcomes.iter().map(|o| o.variant.name.as_str());
    let mut table = Comparison::new(study.scenario.name.as_str(), names);
    connections(&mut table, study.outcomes);
    latency(&mut table, study.outcomes);
    throughput(&mut table, study.outcomes);
    directors(&mut table, study.outcomes);
    shares(&mut table, study.outcomes);
    table
}

fn all(o: &Outcome) -> ClientObservation {
    total(&o.observations.clients)
}

type Phase = fn(&ClientObservation) -> &Histogram;
type Count = fn(&DirectorObservation) -> u64;

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

fn latency(t: &mut Comparison, outcomes: &[Outcome]) {
    t.group("Latency");
    let phases: [(&str, Phase); 3] = [
        ("connect", |c| &c.connect),
        ("first byte", |c| &c.first_byte),
        ("complete", |c| &c.complete),
    ];
    for (name, pick) in phases {
        for (percentile, q) in [("p50", 0.5), ("p99", 0.99)] {
            let label = format!("{name} {percentile}");
            row(t, outcomes, &label, Unit::Seconds, Sense::LowerIsBetter, |o| {
                measured(pick(&all(o)), |h| h.quantile_s(q))
            });
        }
    }
}

fn throughput(t: &mut Comparison, outcomes: &[Outcome]) {
    let per_s = |n: u64, o: &Outcome| Cell::from(n as f64 / observed_s(o).max(1e-9));
    t.group("Throughput");
    row(t, outcomes, "connections", Unit::other("conn/s"), Sense::HigherIsBetter, |o| {
        per_s(all(o).connections_served, o)
    });
    row(t, outcomes, "payload", Unit::BytesPerSecond, Sense::HigherIsBetter, |o| {
        per_s(all(o).bytes_received, o)
    });
    row(t, outcomes, "busiest link", Unit::None, Sense::Neutral, |o| {
        busiest(&o.observations.links).map(short_name).into()
    });
    row(t, outcomes, "  busy", Unit::Ratio, Sense::Neutral, |o| {
        busiest(&o.observations.links).map(|l| l.utilisation).into()
    });
    let dropped = |o: &Outcome| o.observations.drops.iter().map(|d| d.packets).sum::<u64>();
    row(t, outcomes, "packets dropped", Unit::None, Sense::ZeroIsGood, |o| dropped(o).into());
}

fn directors(t: &mut Comparison, outcomes: &[Outcome]) {
    if outcomes.iter().all(|o| o.observations.directors.is_empty()) {
        return;
    }
    let rates: [(&str, Unit, Count); 4] = [
        ("packets in", Unit::other("packets/s"), |d| d.packets_in),
        ("packets out", Unit::other("packets/s"), |d| d.packets_out),
        ("bytes in", Unit::BytesPerSecond, |d| d.bytes_in),
        ("bytes out", Unit::BytesPerSecond, |d| d.bytes_out),
    ];
    t.group("Director");
    for (label, unit, pick) in rates {
        row(t, outcomes, label, unit, Sense::LowerIsBetter, |o| {
            let seconds = o.observations.end.as_secs_f64().max(1e-9);
            (o.observations.directors.iter().map(pick).sum::<u64>() as f64 / seconds).into()
        });
    }
    let busy = |o: &Outcome| {
        o.observations.directors.iter().map(|d| d.cpu_utilisation).fold(0.0, f64::max)
    };
    if outcomes.iter().any(|o| busy(o) > 0.0) {
        row(t, outcomes, "CPU busy", Unit::Ratio, Sense::LowerIsBetter, |o| busy(o).into());
    }
    row(t, outcomes, "entries max", Unit::None, Sense::Neutral, |o| {
        o.observations.directors.iter().map(|d| d.entries_max).sum::<u64>().into()
    });
}

/// Share of the connections of each server; of many servers only the extremes.
fn shares(t: &mut Comparison, outcomes: &[Outcome]) {
    const MOST: usize = 16;
    let share = |o: &Outcome, n: u64| {
        let all: u64 = o.observations.servers.iter().map(|s| s.connections).sum();
        (all > 0).then(|| n as f64 / all as f64)
    };
    let mut names: Vec<String> = Vec::new();
    for o in outcomes {
        for name in server_names(&o.observations) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    if names.is_empty() {
        return;
    }
    t.group("Share of connections");
    if names.len() > MOST {
        let of =
            |o: &Outcome| o.observations.servers.iter().map(|s| s.connections).collect::<Vec<_>>();
        row(t, outcomes, "smallest", Unit::Ratio, Sense::Neutral, |o| {
            of(o).into_iter().min().and_then(|n| share(o, n)).into()
        });
        row(t, outcomes, "largest", Unit::Ratio, Sense::Neutral, |o| {
            of(o).into_iter().max().and_then(|n| share(o, n)).into()
        });
        return;
    }
    for name in &names {
        row(t, outcomes, name, Unit::Ratio, Sense::Neutral, |o| {
            let known = server_names(&o.observations);
            let index = known.iter().position(|n| n == name);
            let server = index.and_then(|i| o.observations.servers.get(i));
            server.and_then(|s| share(o, s.connections)).into()
        });
    }
}
