//! `lvsim conform`.

use super::input::read;
use super::output::Output;
use super::{Answer, io};
use crate::conform::ha;
use crate::conform::paths::{self, Case, Outcome};
use crate::conform::{self, Content, Verdict};
use crate::diagnostic::{Sources, tidy};
use crate::model::Failure;
use std::path::{Path, PathBuf};

/// How many recordings came to what.
#[derive(Default)]
struct Tally {
    agree: usize,
    skipped: usize,
    all: usize,
    /// Something cannot be read.
    wrong: bool,
    /// Cases of packet paths, and how many of them agree as a black box and end to end.
    cases: [usize; 3],
    /// Intervals of clusters that stay up, and how many of them agree.
    intervals: [usize; 2],
}

pub(super) fn conform(paths: &[PathBuf], verbose: bool, out: &mut Output) -> io::Result<Answer> {
    let mut tally = Tally::default();
    for path in paths {
        if !path.is_dir() {
            one(path, true, verbose, &mut tally, out)?;
            continue;
        }
        match walk(path) {
            Ok(files) => {
                for file in files {
                    one(&file, false, verbose, &mut tally, out)?;
                }
            }
            Err(failure) => {
                tally.wrong = true;
                out.failure(&failure)?;
            }
        }
    }
    let Tally { agree, skipped, all, wrong, cases, intervals } = tally;
    let [cases, black_box, end_to_end] = cases;
    if cases > 0 {
        out.line(&format!(
            "paths: black box {black_box} of {cases}, end to end {end_to_end} of {cases}"
        ))?;
    }
    if intervals[0] > 0 {
        let [all, agree] = intervals;
        out.line(&format!("clusters: {agree} of {all} intervals agree"))?;
    }
    out.line(&format!("conform: {agree} of {all} agree, {skipped} skipped"))?;
    Ok(if wrong { Answer::Wrong } else { Answer::of(agree == all && all > 0) })
}

/// The file that makes a folder a case of packet paths.
const CASE: &str = "case.json";

/// The files below a folder, sorted; of a case only the one that makes it one.
fn walk(folder: &Path) -> Result<Vec<PathBuf>, Box<Failure>> {
    let case = folder.join(CASE);
    if case.is_file() {
        return Ok(vec![case]);
    }
    if ha::case::is_case(folder) {
        return Ok(vec![folder.join(ha::case::SUMMARY)]);
    }
    let unreadable =
        |e: io::Error| Failure::nowhere(format!("cannot read `{}`: {e}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let mut entries = entries.collect::<io::Result<Vec<_>>>().map_err(unreadable)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.path();
        // A link to a folder may lead back here.
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            files.extend(walk(&path)?);
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

/// Replays a file. In a folder there may be files that are no recordings; one that was `named` must
/// be a recording.
fn one(
    path: &Path,
    named: bool,
    verbose: bool,
    tally: &mut Tally,
    out: &mut Output,
) -> io::Result<()> {
    if path.file_name().is_some_and(|name| name == CASE) {
        return case(path, verbose, tally, out);
    }
    let folder = path.parent().unwrap_or(path);
    if path.file_name().is_some_and(|name| name == ha::case::SUMMARY) && ha::case::is_case(folder) {
        return cluster(folder, tally, out);
    }
    let shown = path.display();
    let claims = named || path.extension().is_some_and(|e| e == "jsonl");
    let text = match read(path) {
        Ok(text) => text,
        Err(failure) if claims => {
            tally.all += 1;
            tally.wrong = true;
            return out.failure(&failure);
        }
        Err(_) => return Ok(()),
    };
    match conform::recognise(&text) {
        Content::Service | Content::Timers => {}
        _ if !claims => return Ok(()),
        // A broken first line: what is wrong with it is shown.
        Content::Other if text.trim_start().starts_with('{') => {}
        Content::Foreign if !named => {
            tally.all += 1;
            tally.skipped += 1;
            return out
                .line(&format!("{shown}: skipped: recordings of this kind are not replayed"));
        }
        Content::Foreign | Content::Other => {
            tally.all += 1;
            tally.wrong = true;
            let message = format!("`{shown}` is not a recording of a director");
            return out.failure(&Failure::nowhere(message));
        }
    }
    tally.all += 1;
    let mut sources = Sources::default();
    let file = sources.add(shown.to_string(), text.as_str());
    let mut problems = Vec::new();
    let Some(recordings) = conform::read(file, &text, &mut problems) else {
        tally.wrong = true;
        tidy(&mut problems);
        return out.problems(&sources, &problems);
    };
    match conform::judge(&recordings) {
        Verdict::Agrees { operations } => {
            tally.agree += 1;
            if !verbose {
                return Ok(());
            }
            out.line(&format!("{shown}: agrees in {operations} operations"))
        }
        Verdict::Differs(difference) => {
            let text = in_a_line(&difference.text);
            out.line(&format!("{shown}:{}: {text}", difference.line))
        }
        Verdict::Skipped(why) => {
            tally.skipped += 1;
            out.line(&format!("{shown}: skipped: {}", in_a_line(&why)))
        }
    }
}

/// Checks a case of packet paths, both ways.
fn case(path: &Path, verbose: bool, tally: &mut Tally, out: &mut Output) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    let shown = folder.display();
    tally.all += 1;
    tally.cases[0] += 1;
    let case = match Case::read(folder) {
        Ok(case) => case,
        Err(why) => {
            tally.wrong = true;
            return out.failure(&Failure::nowhere(format!("{shown}: {}", in_a_line(&why))));
        }
    };
    let checks = [("black box", paths::black_box(&case)), ("end to end", paths::end_to_end(&case))];
    let mut skipped = false;
    let mut agree = 0;
    for (n, (check, outcome)) in checks.into_iter().enumerate() {
        let text = match outcome {
            Outcome::Agrees(things) => {
                agree += 1;
                tally.cases[n + 1] += 1;
                if !verbose {
                    continue;
                }
                format!("agrees in {things} {}", ["frames", "results and entries"][n])
            }
            Outcome::Differs(text) => in_a_line(&text),
            Outcome::Skipped(why) => {
                skipped = true;
                format!("skipped: {}", in_a_line(&why))
            }
        };
        out.line(&format!("{shown}: {check}: {text}"))?;
    }
    tally.agree += usize::from(agree == 2);
    tally.skipped += usize::from(skipped);
    Ok(())
}

/// Plays a case of a cluster: its intervals side by side, and what differs.
fn cluster(folder: &Path, tally: &mut Tally, out: &mut Output) -> io::Result<()> {
    let shown = folder.display();
    tally.all += 1;
    let case = match ha::Case::read(folder) {
        Ok(case) => case,
        Err(why) => {
            tally.wrong = true;
            return out.failure(&Failure::nowhere(format!("{shown}: {}", in_a_line(&why))));
        }
    };
    let report = match ha::judge(&case) {
        Ok(report) => report,
        Err(why) => {
            tally.skipped += 1;
            return out.line(&format!("{shown}: skipped: {}", in_a_line(&why)));
        }
    };
    let agree = report.intervals.iter().filter(|i| i.agrees()).count();
    tally.intervals[0] += report.intervals.len();
    tally.intervals[1] += agree;
    let count = format!(
        "{agree} of {} intervals agree, {} other things compared",
        report.intervals.len(),
        report.compared
    );
    tally.agree += usize::from(report.agrees());
    out.line(&format!("{shown}: {}; {count}", if report.agrees() { "agrees" } else { "differs" }))?;
    for line in report.table() {
        out.line(&in_a_line(&line))?;
    }
    for note in &report.notes {
        out.line(&format!("{shown}: note: {}", in_a_line(note)))?;
    }
    for difference in &report.differences {
        out.line(&format!("{shown}: {}", in_a_line(difference)))?;
    }
    Ok(())
}

/// A text, parts of which come from a file, in one line.
fn in_a_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
