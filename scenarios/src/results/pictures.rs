//! The plots of a folder.

use super::summary::total;
use super::{Study, lanes};
use crate::study::Outcome;
use reports::Unit;
use reports::plot::{
    Axis, Bar, BarPanel, BarSeries, Bars, Distribution, Form, Panel, Series, Shape, Svg, TimeSeries,
};
use sim_core::observe::{ClientObservation, Histogram};

/// A plot with the name of its file.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) name: String,
    pub(super) caption: &'static str,
    pub(super) svg: Svg,
}

/// The plots that the observations have something for.
pub(super) fn all(study: &Study<'_>) -> Vec<Picture> {
    let mut pictures = timelines(study);
    let complete = |c: &ClientObservation| c.complete.clone();
    let connect = |c: &ClientObservation| c.connect.clone();
    let mut add = |name: &str, caption, svg: Option<Svg>| {
        pictures.extend(svg.map(|svg| Picture { name: name.to_owned(), caption, svg }));
    };
    add(
        "latency-complete",
        "Share of connections that were complete within a time.",
        distribution(study, "From the first SYN to the last answer", Form::Cumulative, complete),
    );
    add(
        "latency-complete-tail",
        "Share of connections that took longer than a time: the tail.",
        distribution(study, "Tail: from the first SYN to the last answer", Form::Tail, complete),
    );
    add(
        "latency-connect",
        "Share of connections that were established within a time.",
        distribution(
            study,
            "From the first SYN to an established connection",
            Form::Cumulative,
            connect,
        ),
    );
    add(
        "server-connections",
        "Connections of each real server over time.",
        over_time(study, "server", "connections", "Connections of each real server"),
    );
    add(
        "director-load",
        "Packets and bytes that come into the director and leave it, and how busy its CPU is.",
        director(study),
    );
    pictures
}

/// A timeline of each variant that has something to show there.
fn timelines(study: &Study<'_>) -> Vec<Picture> {
    const CAPTION: &str = "What happened when. A red wedge over a lane: several at a time, too short to \
                           be seen; a dark one under it: nobody.";
    let mut pictures = Vec::new();
    let eventful = study.outcomes.iter().filter(|o| lanes::is_eventful(&o.observations));
    for outcome in eventful.take(TIMELINES) {
        let name = format!("timeline-{}", outcome.variant.name);
        let longest = lanes::longest(outcome);
        let svg = lanes::whole(outcome);
        pictures.push(Picture { name: name.clone(), caption: CAPTION, svg });
        let name = format!("{name}-longest-outage");
        pictures.extend(longest.map(|svg| Picture { name, caption: CAPTION, svg }));
    }
    pictures
}

/// Variants that have a timeline.
const TIMELINES: usize = 16;

fn distribution(
    study: &Study<'_>,
    title: &str,
    form: Form,
    pick: impl Fn(&ClientObservation) -> Histogram,
) -> Option<Svg> {
    let series: Vec<Series> = study
        .outcomes
        .iter()
        .filter_map(|o| {
            let h = pick(&total(&o.observations.clients));
            (h.count() > 0).then(|| Series::new(o.variant.name.as_str(), cumulative(&h)))
        })
        .collect();
    let plot = Distribution {
        title: title.to_owned(),
        value: Axis::new("latency", Unit::Seconds),
        counted: "connections".to_owned(),
        form,
        series,
    };
    (!plot.series.is_empty()).then(|| plot.svg())
}

/// Upper bounds of the buckets with the share of all values up to there.
fn cumulative(h: &Histogram) -> Vec<(f64, f64)> {
    let all = h.count() as f64;
    let mut sum = 0;
    h.buckets()
        .into_iter()
        .map(|(bound, n)| {
            sum += n;
            (bound, sum as f64 / all)
        })
        .collect()
}

/// One panel for each variant, one line for each entity.
fn over_time(study: &Study<'_>, kind: &str, metric: &str, title: &str) -> Option<Svg> {
    let panel = |o: &Outcome| {
        let mut series: Vec<Series> = Vec::new();
        for p in o.observations.series.iter().filter(|p| p.kind == kind && p.metric == metric) {
            let at = (p.time.as_secs_f64(), p.value);
            match series.iter_mut().find(|s| s.name == p.entity) {
                Some(s) => s.points.push(at),
                None => series.push(Series::new(p.entity.as_str(), [at])),
            }
        }
        Panel { title: o.variant.name.clone(), series }
    };
    let panels: Vec<Panel> = study.outcomes.iter().map(panel).collect();
    let plot = TimeSeries {
        title: title.to_owned(),
        time: Axis::new("simulated time", Unit::Seconds),
        value: Axis::new(metric.replace('_', " "), Unit::None),
        shape: Shape::Steps,
        stacked: false,
        panels,
    };
    plot.panels.iter().any(|p| !p.series.is_empty()).then(|| plot.svg())
}

/// Packets and bytes through the directors a second, in and out, for each variant.
fn director(study: &Study<'_>) -> Option<Svg> {
    if study.outcomes.iter().all(|o| o.observations.directors.is_empty()) {
        return None;
    }
    let groups: Vec<String> = study.outcomes.iter().map(|o| o.variant.name.clone()).collect();
    let bars = |name: &str, pick: &dyn Fn(&sim_core::observe::DirectorObservation) -> f64| {
        let bar = |o: &Outcome| Bar::from(o.observations.directors.iter().map(pick).sum::<f64>());
        BarSeries { name: name.to_owned(), bars: study.outcomes.iter().map(bar).collect() }
    };
    let mut panels = vec![
        BarPanel {
            value: Axis::new("", Unit::other("packets/s")),
            groups: groups.clone(),
            series: vec![
                bars("in", &|d| d.rates.packets_in),
                bars("out", &|d| d.rates.packets_out),
            ],
        },
        BarPanel {
            value: Axis::new("bytes/s", Unit::BytesPerSecond),
            groups: groups.clone(),
            series: vec![bars("in", &|d| d.rates.bytes_in), bars("out", &|d| d.rates.bytes_out)],
        },
    ];
    let busy = |o: &Outcome| -> f64 {
        o.observations.directors.iter().map(|d| d.cpu_utilisation).fold(0.0, f64::max)
    };
    if study.outcomes.iter().any(|o| busy(o) > 0.0) {
        let bars = study.outcomes.iter().map(|o| Bar::from(busy(o))).collect();
        panels.push(BarPanel {
            value: Axis::new("CPU of the director", Unit::Ratio),
            groups,
            series: vec![BarSeries { name: "busy".to_owned(), bars }],
        });
    }
    let plot =
        Bars { title: "Load of the director".to_owned(), groups: "variant".to_owned(), panels };
    Some(plot.svg())
}
