//! `report.html`.

use super::availability::is_tested;
use super::pictures::Picture;
use super::summary::total;
use super::{Study, events, inputs, tables, terminal};
use crate::expect::together;
use crate::study::Outcome;
use reports::Unit;
use reports::html::{Expectation, Figure, KeyFigure, Report, Section, Verdict};
use reports::number::{grouped, human};

/// The page of a study.
pub(super) fn page(study: &Study<'_>, pictures: Vec<Picture>) -> Report {
    let scenario = study.scenario;
    let paragraphs = scenario.description.split("\n\n").map(|p| p.trim().replace('\n', " "));
    let verdicts = together(&study.verdicts);
    let expectations = verdicts.iter().map(|v| Expectation {
        text: format!("{}: {}: {}", v.variant, v.metric, v.expected),
        verdict: if v.pass { Verdict::Pass } else { Verdict::Fail },
        measured: v.measured.clone(),
    });
    let figures =
        |picture: Picture| Figure { svg: picture.svg, caption: picture.caption.to_owned() };
    Report {
        title: scenario.name.clone(),
        question: scenario.question.clone(),
        description: paragraphs.filter(|p| !p.is_empty()).collect(),
        figures: key_figures(study),
        expectations: expectations.collect(),
        sections: [
            Section {
                heading: "Answer".to_owned(),
                tables: vec![terminal::answer(study).into()],
                ..Section::default()
            },
            Section {
                heading: "Plots".to_owned(),
                plots: pictures.into_iter().map(figures).collect(),
                ..Section::default()
            },
            outages(study),
            Section {
                heading: "Servers and drops".to_owned(),
                tables: vec![tables::servers(study).into(), tables::drops(study).into()],
                ..Section::default()
            },
        ]
        .into_iter()
        .filter(|section| !section.heading.is_empty())
        .collect(),
        manifest: manifest(study),
    }
}

/// Availability, where there is something that can fail; empty otherwise.
fn outages(study: &Study<'_>) -> Section {
    let lost = |o: &Outcome| o.observations.availability.iter().any(|a| !a.outages.is_empty());
    if !study.outcomes.iter().any(|o| is_tested(o) || lost(o)) {
        return Section::default();
    }
    Section {
        heading: "Availability".to_owned(),
        tables: vec![
            events::availability(study).into(),
            events::worst_outages(study).into(),
            events::failovers(study).into(),
        ],
        ..Section::default()
    }
}

/// The worst p99 and the failures of each variant.
fn key_figures(study: &Study<'_>) -> Vec<KeyFigure> {
    study
        .outcomes
        .iter()
        .take(8)
        .map(|o| {
            let all = total(&o.observations.clients);
            let failed: u64 = all.connections_failed.iter().sum();
            let value = if all.complete.count() > 0 {
                human(all.complete.quantile_s(0.99), &Unit::Seconds)
            } else {
                "-".to_owned()
            };
            KeyFigure {
                label: format!("{}: complete p99", o.variant.name),
                value,
                note: format!(
                    "{} served, {} failed",
                    grouped(i128::from(all.connections_served)),
                    grouped(i128::from(failed)),
                ),
            }
        })
        .collect()
}

fn manifest(study: &Study<'_>) -> Vec<(String, String)> {
    let mut pairs = vec![
        ("command".to_owned(), study.command.clone()),
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("seed".to_owned(), study.scenario.seed.to_string()),
        ("digest".to_owned(), format!("{:016x}", inputs::digest(study))),
    ];
    let files = inputs::files(study);
    pairs.extend(files.map(|(name, hash)| (format!("sha256 of {name}"), hash)));
    pairs
}
