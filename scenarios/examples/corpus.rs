//! Reads a folder of configuration files and compares what is said about each with what the real program
//! said.
//!
//! ```text
//! cargo run -p scenarios --example corpus -- DIR...
//! ```
//!
//! A folder may hold `VERDICTS.jsonl`, a line for each file: `file`, and of keepalived (a key `keepalived`)
//! its `messages` with `line`, `text` and `class` (of class `env` depends on the machine and does not count),
//! of ipvsadm (a key `ipvsadm`) `refused_lines` and `testable`; and `LINE-PROBES.jsonl` with single `line`s
//! of ipvsadm and their `rc`. Files without a verdict are recognised by their content, and what is said about
//! them is listed.

use scenarios::diagnostic::{FileId, Problem, Sources};
use scenarios::import::findings::Findings;
use scenarios::import::heartbeat::{authkeys, ha_cf, haresources};
use scenarios::import::{ipvsadm, keepalived, ldirectord};
use scenarios::model::Folder;
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A message with its line; 0 for none.
type Said = (usize, String);

fn main() -> ExitCode {
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    match tables(&folders) {
        Ok(text) => {
            let written = std::io::stdout().write_all(text.as_bytes());
            ExitCode::from(u8::from(written.is_err()))
        }
        Err(why) => {
            drop(writeln!(std::io::stderr(), "{why}"));
            ExitCode::from(2)
        }
    }
}

fn tables(folders: &[PathBuf]) -> Result<String, String> {
    if folders.is_empty() {
        return Err("usage: corpus DIR...".to_owned());
    }
    let table = |folder: &PathBuf| match Table::of(folder) {
        Ok(table) => Ok(table.text(folder)),
        Err(why) => Err(format!("{}: {why}", folder.display())),
    };
    folders.iter().map(table).collect()
}

/// What a folder comes to.
#[derive(Default)]
struct Table {
    rows: Vec<Row>,
    notes: Vec<String>,
}

/// A kind of files.
struct Row {
    kind: String,
    files: usize,
    /// Files on which the verdict, right or wrong, is the same; without verdicts those without errors.
    agree: usize,
    /// Messages of the program.
    theirs: usize,
    /// Those that are said here at the same line.
    found: usize,
    /// What is said here only.
    extra: usize,
}

impl Table {
    fn of(folder: &Path) -> Result<Self, String> {
        let mut table = Self::default();
        let mut judged = Vec::new();
        for verdict in records(&folder.join("VERDICTS.jsonl"))? {
            let name = verdict["file"].as_str().unwrap_or_default().to_owned();
            let bytes = fs::read(folder.join(&name)).map_err(|e| format!("{name}: {e}"))?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if verdict.get("keepalived").is_some() {
                table.keepalived(folder, &name, &text, &verdict);
            } else {
                table.rules(&name, &text, &verdict);
            }
            judged.push(name);
        }
        for probe in records(&folder.join("LINE-PROBES.jsonl"))? {
            table.probe(&probe);
        }
        for name in names(folder)?.into_iter().filter(|n| !judged.contains(n)) {
            let bytes = fs::read(folder.join(&name)).map_err(|e| format!("{name}: {e}"))?;
            table.unjudged(&name, &String::from_utf8_lossy(&bytes));
        }
        Ok(table)
    }

    fn row(&mut self, kind: &str) -> &mut Row {
        let at = self.rows.iter().position(|r| r.kind == kind).unwrap_or_else(|| {
            let kind = kind.to_owned();
            self.rows.push(Row { kind, files: 0, agree: 0, theirs: 0, found: 0, extra: 0 });
            self.rows.len() - 1
        });
        &mut self.rows[at]
    }

    fn keepalived(&mut self, folder: &Path, name: &str, text: &str, verdict: &Value) {
        let mut sources = Sources::default();
        let id = sources.add(name, text);
        let options = keepalived::Options::default();
        let (_, findings) =
            keepalived::read(&mut sources, id, &Folder(folder.to_owned()), &options);
        let problems: Vec<&Problem> =
            findings.problems.iter().chain(&findings.consequences).collect();
        let theirs: Vec<(Said, bool)> = verdict["messages"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .map(|m| {
                let line = m["line"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
                let env = matches!(m["class"].as_str(), Some("env" | "crash"));
                ((line, m["text"].as_str().unwrap_or_default().to_owned()), env)
            })
            .collect();
        self.compare("keepalived", name, &said(&sources, &problems), &theirs);
    }

    fn rules(&mut self, name: &str, text: &str, verdict: &Value) {
        if verdict["testable"].as_bool() == Some(false) {
            self.row("ipvsadm, not testable there").files += 1;
            return;
        }
        let mut sources = Sources::default();
        let id = sources.add(name, text);
        let mut problems = Vec::new();
        let _rules = ipvsadm::read_file(&sources, id, ipvsadm::Names::NONE, &mut problems);
        let lines = verdict["refused_lines"].as_array().map(Vec::as_slice).unwrap_or_default();
        let theirs: Vec<(Said, bool)> = lines
            .iter()
            .map(|l| {
                let line = l["line"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
                ((line, l["text"].as_str().unwrap_or_default().to_owned()), false)
            })
            .collect();
        let problems: Vec<&Problem> = problems.iter().collect();
        self.compare("ipvsadm", name, &said(&sources, &problems), &theirs);
    }

    fn probe(&mut self, probe: &Value) {
        let line = probe["line"].as_str().unwrap_or_default();
        let refused = probe["rc"].as_i64() != Some(0) || probe["stderr"] != Value::Array(vec![]);
        let word = ipvsadm::line(FileId::default(), 0, line, ipvsadm::Names::NONE);
        let ours = word.is_err();
        let row = self.row("ipvsadm, single lines");
        row.files += 1;
        row.agree += usize::from(ours == refused);
        row.theirs += usize::from(refused);
        row.found += usize::from(refused && ours);
        row.extra += usize::from(ours && !refused);
        if ours != refused {
            let what = word.err().unwrap_or_default();
            let what: Vec<_> = what.into_iter().map(|p| p.message).collect();
            let theirs = &probe["stderr"];
            self.notes.push(format!("line `{line}`: theirs {theirs}, here {what:?}"));
        }
    }

    /// Counts what both say of a file.
    fn compare(&mut self, kind: &str, name: &str, ours: &[Said], theirs: &[(Said, bool)]) {
        let mut notes = Vec::new();
        let (mut all, mut found) = (0, 0);
        for (message, _) in theirs.iter().filter(|t| !t.1) {
            all += 1;
            if ours.iter().any(|o| same(o, message)) {
                found += 1;
            } else {
                notes.push(format!("{name}:{}: missed: {}", message.0, message.1));
            }
        }
        let more = |o: &&Said| !theirs.iter().any(|(message, _)| same(o, message));
        let extra: Vec<&Said> = ours.iter().filter(more).collect();
        notes.extend(extra.iter().map(|o| format!("{name}:{}: here only: {}", o.0, o.1)));
        let row = self.row(kind);
        row.files += 1;
        row.agree += usize::from((all == 0) == ours.is_empty());
        row.theirs += all;
        row.found += found;
        row.extra += extra.len();
        self.notes.append(&mut notes);
    }

    fn unjudged(&mut self, name: &str, text: &str) {
        let mut sources = Sources::default();
        let id = sources.add(name, text);
        let (kind, findings) = if ldirectord::looks_like(text) {
            ("ldirectord.cf", ldirectord::read(&sources, id).1)
        } else if authkeys::looks_like(text) {
            ("authkeys", authkeys::read(&sources, id).1)
        } else if ha_cf::looks_like(text) {
            ("ha.cf", ha_cf::read(&sources, id).1)
        } else if haresources::looks_like(text) {
            ("haresources", haresources::read(&sources, id).1)
        } else {
            ("not recognised", Findings::default())
        };
        let errors: Vec<&Problem> = findings.errors.iter().collect();
        let warnings: Vec<&Problem> = findings.warnings.iter().collect();
        for (what, problems) in [("error", errors), ("warning", warnings)] {
            for (line, message) in said(&sources, &problems) {
                self.notes.push(format!("{name}:{line}: {what}: {message}"));
            }
        }
        if kind == "not recognised" {
            self.notes.push(format!("{name}: not recognised"));
        }
        let row = self.row(kind);
        row.files += 1;
        row.agree += usize::from(findings.errors.is_empty());
        row.extra += findings.problems().count();
    }

    fn text(&self, folder: &Path) -> String {
        let mut lines = vec![folder.display().to_string()];
        lines.extend(self.notes.iter().map(|note| format!("  {note}")));
        let head = ["kind", "files", "agree", "messages", "found", "missed", "here only"];
        let cells = |kind: &str, rest: [String; 6]| {
            let rest = rest.map(|c| format!("{c:>10}")).concat();
            format!("  {kind:28}{rest}")
        };
        let [kind, rest @ ..] = head;
        lines.push(cells(kind, rest.map(str::to_owned)));
        lines.extend(self.rows.iter().map(|r| {
            let numbers = [r.files, r.agree, r.theirs, r.found, r.theirs - r.found, r.extra];
            cells(&r.kind, numbers.map(|n| n.to_string()))
        }));
        lines.join("\n") + "\n"
    }
}

/// Messages with their lines.
fn said(sources: &Sources, problems: &[&Problem]) -> Vec<Said> {
    let line = |p: &Problem| p.place.as_ref().map_or(0, |place| sources.line(place));
    problems.iter().map(|p| (line(p), p.message.clone())).collect()
}

/// Whether two messages are of the same line; if a program tells none, whether most of their words are the
/// same.
fn same(ours: &Said, theirs: &Said) -> bool {
    if theirs.0 > 0 {
        return ours.0 == theirs.0;
    }
    let words = |text: &str| -> Vec<String> {
        let parts = text.split(|c: char| !c.is_alphanumeric());
        parts.filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
    };
    let (a, b) = (words(&ours.1), words(&theirs.1));
    let common = b.iter().filter(|w| a.contains(w)).count();
    common * 5 >= b.len() * 3
}

/// The records of a file of JSON lines; none if there is no such file.
fn records(path: &Path) -> Result<Vec<Value>, String> {
    let Ok(text) = fs::read_to_string(path) else { return Ok(Vec::new()) };
    let record = |line: &str| serde_json::from_str(line).map_err(|e| format!("{e}: {line}"));
    text.lines().filter(|l| !l.trim().is_empty()).map(record).collect()
}

/// The configuration files of a folder, sorted.
fn names(folder: &Path) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(folder).map_err(|e| e.to_string())?;
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|e| e.path().is_file())
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|n| !matches!(n.rsplit_once('.'), Some((_, "md" | "jsonl"))))
        .collect();
    names.sort();
    Ok(names)
}
