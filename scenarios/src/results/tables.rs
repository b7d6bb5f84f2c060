//! Tidy tables: one observation a row, the variant in the first column.

use super::summary::{PERCENTILES, link_name, server_names, server_shares, service_name};
use super::{Study, events};
use crate::study::Outcome;
use reports::{Cell, Column, Table, Unit};
use sim_core::engine::Time;
use sim_core::observe::{ConnectionRow, Histogram};

/// All tables that a folder holds.
pub(super) fn all(study: &Study<'_>) -> Vec<Table> {
    let mut tables = vec![
        clients(study),
        servers(study),
        destinations(study),
        links(study),
        drops(study),
        latency(study),
        series(study),
        events::timeline(study),
        events::availability(study),
        events::outages(study),
        events::failovers(study),
    ];
    if study.connections {
        tables.push(connections(study));
    }
    tables
}

pub(super) fn count(name: &str) -> Column {
    Column::integer(name, Unit::None)
}

fn bytes(name: &str) -> Column {
    Column::integer(name, Unit::Bytes)
}

pub(super) fn seconds(name: &str) -> Column {
    Column::float(name, Unit::Seconds)
}

fn share(name: &str) -> Column {
    Column::float(name, Unit::Ratio)
}

/// A table whose rows come from each variant.
pub(super) fn table<R>(
    name: &str,
    columns: impl IntoIterator<Item = Column>,
    study: &Study<'_>,
    rows: impl Fn(&Outcome) -> R,
) -> Table
where
    R: IntoIterator<Item = Vec<Cell>>,
{
    let columns = std::iter::once(Column::text("variant")).chain(columns);
    let mut table = Table::new(name, columns);
    for outcome in study.outcomes {
        for row in rows(outcome) {
            let mut cells = vec![Cell::from(outcome.variant.name.as_str())];
            cells.extend(row);
            let pushed = table.push(cells);
            debug_assert!(pushed.is_ok(), "rows are written beside their columns");
        }
    }
    table
}

fn clients(study: &Study<'_>) -> Table {
    let failures = sim_core::observe::Failure::ALL.map(|f| count(f.name()));
    let columns = [
        Column::text("client"),
        count("offered"),
        count("served"),
        count("requests offered"),
        count("requests served"),
        bytes("received"),
        count("retransmissions"),
    ];
    table("clients", columns.into_iter().chain(failures), study, |o| {
        let row = |c: &sim_core::observe::ClientObservation| {
            let mut row: Vec<Cell> = vec![
                c.name.as_str().into(),
                c.connections_offered.into(),
                c.connections_served.into(),
                c.requests_offered.into(),
                c.requests_served.into(),
                c.bytes_received.into(),
                c.retransmissions.into(),
            ];
            row.extend(c.connections_failed.map(Cell::from));
            row
        };
        o.observations.clients.iter().map(row).collect::<Vec<_>>()
    })
}

pub(super) fn servers(study: &Study<'_>) -> Table {
    let columns = [
        Column::text("server"),
        Column::integer("port", Unit::None),
        count("connections"),
        share("share"),
        count("requests"),
        bytes("sent"),
        count("refused"),
        count("max in system"),
        share("utilisation"),
        seconds("sojourn mean"),
        seconds("sojourn p99"),
    ];
    table("servers", columns, study, |o| {
        type Named<'a> = ((String, Option<f64>), &'a sim_core::observe::ServerObservation);
        let names = server_names(o);
        let row = |((name, share), s): Named<'_>| {
            vec![
                name.into(),
                u64::from(s.port).into(),
                s.connections.into(),
                share.into(),
                s.requests.into(),
                s.bytes.into(),
                s.refused.into(),
                s.max_in_system.into(),
                s.utilisation.into(),
                measured(&s.sojourn, Histogram::mean_s),
                measured(&s.sojourn, |h| h.quantile_s(0.99)),
            ]
        };
        let named = names.into_iter().zip(server_shares(o));
        named.zip(&o.observations.servers).map(row).collect::<Vec<_>>()
    })
}

/// A value of a histogram that has any.
pub(super) fn measured(h: &Histogram, value: impl Fn(&Histogram) -> f64) -> Cell {
    (h.count() > 0).then(|| value(h)).into()
}

fn destinations(study: &Study<'_>) -> Table {
    let columns = [
        Column::text("director"),
        Column::text("service"),
        Column::text("real server"),
        Column::text("host"),
        Column::text("forwarding"),
        count("weight"),
        count("connections"),
        count("active"),
        count("inactive"),
        count("packets in"),
        bytes("in"),
        count("packets out"),
        bytes("out"),
    ];
    table("destinations", columns, study, |o| {
        let mut rows = Vec::new();
        for d in &o.observations.directors {
            for t in &d.destinations {
                rows.push(vec![
                    d.host.as_str().into(),
                    service_name(t.service).into(),
                    format!("{}:{}", t.rip, t.port).into(),
                    t.host.as_str().into(),
                    t.forwarding.name().into(),
                    t.weight.into(),
                    t.connections.into(),
                    t.active.into(),
                    t.inactive.into(),
                    t.packets_in.into(),
                    t.bytes_in.into(),
                    t.packets_out.into(),
                    t.bytes_out.into(),
                ]);
            }
        }
        rows
    })
}

fn links(study: &Study<'_>) -> Table {
    let columns = [
        Column::text("link"),
        Column::text("direction"),
        count("packets"),
        bytes("bytes"),
        share("utilisation"),
        count("queue max"),
        count("dropped queue"),
        count("dropped loss"),
    ];
    table("links", columns, study, |o| {
        let row = |l: &sim_core::observe::LinkObservation| {
            vec![
                l.link.as_str().into(),
                link_name(l).into(),
                l.packets.into(),
                l.bytes.into(),
                l.utilisation.into(),
                l.queue_max.into(),
                l.dropped_queue.into(),
                l.dropped_loss.into(),
            ]
        };
        o.observations.links.iter().map(row).collect::<Vec<_>>()
    })
}

pub(super) fn drops(study: &Study<'_>) -> Table {
    let columns = [Column::text("place"), Column::text("reason"), count("packets"), bytes("bytes")];
    table("drops", columns, study, |o| {
        let row = |d: &sim_core::observe::DropObservation| {
            vec![d.place.as_str().into(), d.reason.into(), d.packets.into(), d.bytes.into()]
        };
        o.observations.drops.iter().map(row).collect::<Vec<_>>()
    })
}

/// One row for each client, phase and percentile.
fn latency(study: &Study<'_>) -> Table {
    let columns = [
        Column::text("client"),
        Column::text("phase"),
        Column::text("statistic"),
        seconds("latency"),
    ];
    table("latency", columns, study, |o| {
        let mut rows = Vec::new();
        for c in &o.observations.clients {
            for (phase, h) in
                [("connect", &c.connect), ("first_byte", &c.first_byte), ("complete", &c.complete)]
            {
                let mut push = |name: &str, cell: Cell| {
                    rows.push(vec![c.name.as_str().into(), phase.into(), name.into(), cell]);
                };
                push("mean", measured(h, Histogram::mean_s));
                for (name, q) in PERCENTILES {
                    push(name, measured(h, |h| h.quantile_s(q)));
                }
                push("max", measured(h, Histogram::max_s));
            }
        }
        rows
    })
}

fn series(study: &Study<'_>) -> Table {
    let columns = [
        seconds("time"),
        Column::text("kind"),
        Column::text("entity"),
        Column::text("metric"),
        Column::float("value", Unit::None),
    ];
    table("timeseries", columns, study, |o| {
        let row = |p: &sim_core::observe::SeriesPoint| {
            vec![
                p.time.as_secs_f64().into(),
                p.kind.into(),
                p.entity.as_str().into(),
                p.metric.into(),
                p.value.into(),
            ]
        };
        o.observations.series.iter().map(row).collect::<Vec<_>>()
    })
}

fn connections(study: &Study<'_>) -> Table {
    let columns = [
        count("id"),
        Column::text("client"),
        Column::text("source"),
        Column::text("target"),
        Column::text("server"),
        seconds("start"),
        seconds("connected"),
        seconds("first byte"),
        seconds("end"),
        count("requests"),
        bytes("received"),
        Column::text("outcome"),
    ];
    table("connections", columns, study, |o| {
        let names = server_names(o);
        let point = |t: Time| Cell::from((t != Time::NEVER).then(|| t.as_secs_f64()));
        let row = |c: &ConnectionRow| {
            let client = o.observations.clients.get(c.client as usize);
            let server = c.server.and_then(|s| names.get(s as usize)).cloned();
            vec![
                c.id.into(),
                client.map(|c| c.name.as_str()).into(),
                format!("{}:{}", c.source.0, c.source.1).into(),
                format!("{}:{}", c.target.0, c.target.1).into(),
                server.into(),
                point(c.start),
                point(c.connected),
                point(c.first_byte),
                point(c.end),
                c.requests.into(),
                c.bytes.into(),
                c.failure.map_or("served", sim_core::observe::Failure::name).into(),
            ]
        };
        o.observations.connections.iter().map(row).collect::<Vec<_>>()
    })
}
