//! The results folder: tables, plots, report, captures, views of operators.

pub mod availability;
mod events;
pub mod folder;
pub mod inputs;
mod lanes;
mod operator;
mod pictures;
mod pools;
mod report;
pub mod summary;
mod tables;
mod terminal;
mod timing;

pub use folder::Folder;
pub use operator::{View, refusals, views};
pub use terminal::answer;

use crate::expect::Verdict;
use crate::model::Scenario;
use crate::study::Outcome;
use reports::{csv, html, json};
use serde_json::Value;
use std::io;

/// Everything that was found out.
#[derive(Debug)]
pub struct Study<'a> {
    /// What was run.
    pub scenario: &'a Scenario,
    /// What came out, in the order of the variants.
    pub outcomes: &'a [Outcome],
    /// A variant's part of `summary.json` each.
    pub summaries: Vec<Value>,
    /// What became of the expectations.
    pub verdicts: Vec<Verdict>,
    /// The command without what does not change the result.
    pub command: String,
    /// Whether there is a row for each connection.
    pub connections: bool,
}

impl Study<'_> {
    /// Writes everything but the captures, which were written while the run went on.
    ///
    /// # Errors
    /// What the file system reports.
    pub fn write(&self, folder: &Folder) -> io::Result<()> {
        json::write_pretty(&self.summary(), folder.create("summary.json")?)?;
        json::write_pretty(&inputs::manifest(self), folder.create("manifest.json")?)?;
        json::write_pretty(&timing::timing(self), folder.create("timing.json")?)?;
        for table in tables::all(self) {
            csv::write(&table, folder.create(&format!("csv/{}.csv", table.name()))?)?;
        }
        operator::write(self.outcomes, folder)?;
        let pictures = pictures::all(self);
        for picture in &pictures {
            let mut out = folder.create(&format!("plots/{}.svg", picture.name))?;
            io::Write::write_all(&mut out, picture.svg.as_str().as_bytes())?;
        }
        html::write(&report::page(self, pictures), folder.create("report.html")?)
    }

    /// `summary.json`.
    pub fn summary(&self) -> Value {
        let names = self.outcomes.iter().map(|o| o.variant.name.clone());
        let variants: serde_json::Map<String, Value> =
            names.zip(self.summaries.iter().cloned()).collect();
        serde_json::json!({
            "scenario": self.scenario.name,
            "question": self.scenario.question,
            "seed": self.scenario.seed,
            "variants": variants,
            "expectations": self.verdicts.iter().map(Verdict::json).collect::<Vec<_>>(),
        })
    }
}
