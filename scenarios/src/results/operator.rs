//! What operators did and saw: refused changes, and what ipvsadm showed.

use super::Folder;
use crate::import::ipvsadm::Action;
use crate::model::{OperatorLine, names};
use crate::operator::output;
use crate::study::Outcome;
use sim_core::engine::Time;
use sim_core::observe::{DirectorSnapshot, Refusal};
use std::io::{self, Write as _};

/// What ipvsadm showed on a director at a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    /// `director at 10s: ipvsadm -Ln`.
    pub title: String,
    /// Name of its file: `director.10s.Ln.txt`.
    pub file: String,
    /// What was shown.
    pub text: String,
}

/// All views of a variant in order of time.
pub fn views(outcome: &Outcome) -> Vec<View> {
    let names = names(&outcome.variant.config.hosts);
    let mut views: Vec<View> = Vec::new();
    for snapshot in &outcome.observations.snapshots {
        let Some((line, at)) = operation(outcome, snapshot.operation) else { continue };
        let text = output(&line.action, snapshot, &names).unwrap_or_else(|e| format!("{e}\n"));
        let title = title(snapshot, &at, line);
        let stem = format!("{}.{at}.{}", snapshot.host, file_part(&line.text));
        let taken = |file: &String| views.iter().any(|v| v.file == *file);
        let mut file = format!("{stem}.txt");
        let mut again = 2;
        while taken(&file) {
            file = format!("{stem}.{again}.txt");
            again += 1;
        }
        views.push(View { title, file, text });
    }
    views
}

/// Writes the views of all variants.
pub(super) fn write(outcomes: &[Outcome], folder: &Folder) -> io::Result<()> {
    for outcome in outcomes {
        for view in views(outcome) {
            let path = format!("views/{}/{}", outcome.variant.name, view.file);
            folder.create(&path)?.write_all(view.text.as_bytes())?;
        }
    }
    Ok(())
}

/// The changes that were refused, each a sentence: `director at 10s: ipvsadm -d ...: No such
/// destination`.
pub fn refusals(outcome: &Outcome) -> Vec<String> {
    let sentence = |refused: &Refusal| {
        let (line, at) = operation(outcome, refused.operation)?;
        let host = &outcome.variant.config.operations.get(refused.operation)?.host;
        let why = why(line, refused)?;
        Some(format!("{host} at {at}: {}: {why}", line.typed()))
    };
    outcome.observations.refusals.iter().filter_map(sentence).collect()
}

fn why(line: &OperatorLine, refused: &Refusal) -> Option<&'static str> {
    match &line.action {
        Action::Change(change) => Some(refused.error.ipvsadm(change)),
        _ => None,
    }
}

/// A change of rules by an operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Change {
    pub(super) time: Time,
    /// The director.
    pub(super) host: String,
    /// The command.
    pub(super) line: String,
    /// Why it was refused.
    pub(super) refused: Option<&'static str>,
}

/// The changes of a variant in order of time.
pub(super) fn changes(outcome: &Outcome) -> Vec<Change> {
    let mut changes = Vec::new();
    let operations = &outcome.variant.config.operations;
    for (index, (operation, line)) in operations.iter().zip(&outcome.variant.operator).enumerate() {
        let (Some(at), Action::Change(_)) = (operation.at, &line.action) else { continue };
        let at = Time::ZERO + at;
        // the run may have ended before
        if at > outcome.observations.end {
            continue;
        }
        let refused = outcome.observations.refusals.iter().find(|r| r.operation == index);
        let refused = refused.and_then(|r| why(line, r));
        let (host, line) = (operation.host.clone(), line.typed());
        changes.push(Change { time: at, host, line, refused });
    }
    changes.sort_by_key(|c| c.time);
    changes
}

/// The line of an operation, and its time as it was written.
fn operation(outcome: &Outcome, index: usize) -> Option<(&OperatorLine, String)> {
    let at = outcome.variant.config.operations.get(index)?.at;
    let at = at.map_or_else(|| "end".to_owned(), |at| at.to_string());
    Some((outcome.variant.operator.get(index)?, at))
}

fn title(snapshot: &DirectorSnapshot, at: &str, line: &OperatorLine) -> String {
    let at = if at == "end" { "the end" } else { at };
    format!("{} at {at}: {}", snapshot.host, line.typed())
}

/// The letters and digits of a command line: `Ln-stats`.
fn file_part(line: &str) -> String {
    const MOST: usize = 60;
    let parts = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.'));
    let parts: Vec<&str> = parts.filter(|p| !p.is_empty()).collect();
    let mut name = parts.join("-");
    name.truncate(MOST);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_names_a_file() {
        assert_eq!(file_part("-Ln --stats"), "Ln-stats");
        assert_eq!(file_part("-Ln -t [2001:db8::1]:80"), "Ln-t-2001-db8-1-80");
        assert_eq!(file_part(&"x".repeat(99)).len(), 60);
    }
}
