//! Tables of what happened: the timeline, outages, availability, takeovers.

use super::Study;
use super::availability::{
    cause, downtime_a_year, longest, nines, overall, takeovers, warm, words,
};
use super::operator::changes;
use super::tables::{count, seconds, table};
use crate::study::Outcome;
use reports::{Cell, Column, Table, Unit};
use sim_core::engine::Time;
use sim_core::observe::{Availability, Failure, Observations, Outage};

/// What happened to the network and the cluster, and what was done to the rules.
pub(super) fn timeline(study: &Study<'_>) -> Table {
    let columns = [
        seconds("time"),
        Column::text("host"),
        Column::text("kind"),
        Column::text("subject"),
        Column::text("value"),
    ];
    table("timeline", columns, study, |o| {
        type Row = (Time, [String; 4]);
        let told = o.observations.timeline.iter().map(|e| -> Row {
            let kind = e.kind.name().to_owned();
            (e.time, [e.host.clone(), kind, e.subject.clone(), e.value.clone()])
        });
        let mut rows: Vec<Row> = told.collect();
        let changes = changes(o).into_iter().map(|c| -> Row {
            let outcome = c.refused.unwrap_or("done").to_owned();
            (c.time, [c.host, "rules".to_owned(), c.line, outcome])
        });
        rows.extend(changes);
        rows.sort_by_key(|row| row.0);
        let cells = |(time, words): Row| -> Vec<Cell> {
            let time = Cell::from(time.as_secs_f64());
            std::iter::once(time).chain(words.map(Cell::from)).collect()
        };
        rows.into_iter().map(cells).collect::<Vec<_>>()
    })
}

/// Everything that availability is told of: all together, client applications, services.
fn each(o: &Observations) -> Vec<(&'static str, Availability)> {
    let clients = o.availability.iter().cloned().map(|a| ("client", a));
    let services = o.services.iter().cloned().map(|a| ("service", a));
    std::iter::once(("all", overall(o))).chain(clients).chain(services).collect()
}

fn outage_cells(o: &Observations, outage: &Outage) -> Vec<Cell> {
    let cause = cause(o, outage);
    vec![
        outage.begin.as_secs_f64().into(),
        outage.end.as_secs_f64().into(),
        outage.length().as_secs_f64().into(),
        if outage.lasting { "lasting" } else { "over" }.into(),
        cause.map(words).into(),
        cause.map(|c| c.time.as_secs_f64()).into(),
        outage.lost().into(),
        outage.reset.into(),
    ]
}

fn outage_columns() -> [Column; 8] {
    [
        seconds("begin"),
        seconds("end"),
        seconds("length"),
        Column::text("state"),
        Column::text("cause"),
        seconds("cause time"),
        count("lost"),
        count("connections reset"),
    ]
}

/// One row for each outage of all, of each client application and of each service.
pub(super) fn outages(study: &Study<'_>) -> Table {
    let kinds = Failure::ALL.map(|f| count(f.name()));
    let columns = [Column::text("scope"), Column::text("name")].into_iter();
    let columns = columns.chain(outage_columns()).chain(kinds);
    table("outages", columns, study, |o| {
        let mut rows = Vec::new();
        for (scope, a) in each(&o.observations) {
            for outage in &a.outages {
                let mut row: Vec<Cell> = vec![scope.into(), a.name.as_str().into()];
                row.extend(outage_cells(&o.observations, outage));
                row.extend(outage.failed.map(Cell::from));
                rows.push(row);
            }
        }
        rows
    })
}

/// The longest outages of all clients together, for people.
pub(super) fn worst_outages(study: &Study<'_>) -> Table {
    const MOST: usize = 30;
    table("longest outages", outage_columns(), study, |o| {
        let mut outages = overall(&o.observations).outages;
        outages.sort_by_key(|outage| (std::cmp::Reverse(outage.length()), outage.begin));
        outages.truncate(MOST);
        let row = |outage: &Outage| outage_cells(&o.observations, outage);
        outages.iter().map(row).collect::<Vec<_>>()
    })
}

/// One row for all, for each client application and for each service.
pub(super) fn availability(study: &Study<'_>) -> Table {
    let columns = [
        Column::text("scope"),
        Column::text("name"),
        count("offered"),
        count("served"),
        Column::float("share", Unit::Ratio),
        Column::float("nines", Unit::None),
        seconds("downtime a year"),
        count("outages"),
        seconds("longest"),
        seconds("total"),
        count("isolated"),
        count("connections reset"),
    ];
    let columns = columns.into_iter().chain(Failure::ALL.map(|f| count(f.name())));
    table("availability", columns, study, |o| {
        let row = |(scope, a): (&str, Availability)| {
            let mut row: Vec<Cell> = vec![
                scope.into(),
                a.name.as_str().into(),
                a.offered().into(),
                a.served.into(),
                a.share().into(),
                nines(&a).into(),
                downtime_a_year(&a).into(),
                a.outages.len().into(),
                longest(&a).into(),
                a.downtime().as_secs_f64().into(),
                a.isolated.into(),
                a.reset.into(),
            ];
            row.extend(a.failed.map(Cell::from));
            row
        };
        each(&o.observations).into_iter().map(row).collect::<Vec<_>>()
    })
}

/// What took over, and how long after what.
pub(super) fn failovers(study: &Study<'_>) -> Table {
    let columns = [
        seconds("time"),
        Column::text("takeover"),
        Column::text("after"),
        seconds("interval"),
        seconds("served after"),
    ];
    table("takeovers", columns, study, |o: &Outcome| {
        let all = overall(&o.observations);
        let row = |t: &super::availability::Takeover<'_>| -> Vec<Cell> {
            vec![
                t.entry.time.as_secs_f64().into(),
                words(t.entry).into(),
                words(t.blow).into(),
                t.after().as_secs_f64().into(),
                t.served_after().map(sim_core::engine::Span::as_secs_f64).into(),
            ]
        };
        takeovers(&o.observations, warm(o), &all).iter().map(row).collect::<Vec<_>>()
    })
}
