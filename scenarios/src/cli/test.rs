//! `lvsim test`.

use super::arguments::TestArguments;
use super::input::Input;
use super::output::Output;
use super::run::{measured, play};
use super::{Answer, io};
use crate::catalogue;
use crate::diagnostic::render;
use crate::expect::{Verdict, judge, together};
use crate::model::{Failure, Settings};
use crate::study::{Captures, Replications, RunOptions};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Tests make no captures.
struct NoCaptures;

impl Captures for NoCaptures {
    fn append(&self, _: &str, _: &str, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

/// A scenario and what became of it.
struct Tested {
    name: String,
    /// The verdicts, or what is wrong with the scenario.
    outcome: Result<Vec<Verdict>, String>,
}

impl Tested {
    fn verdicts(&self) -> &[Verdict] {
        self.outcome.as_deref().unwrap_or_default()
    }
}

pub(super) fn test(arguments: &TestArguments, out: &mut Output) -> io::Result<Answer> {
    let mut inputs = Vec::new();
    for path in &arguments.paths {
        match find(path) {
            Ok(found) => inputs.extend(found),
            Err(failure) => {
                out.failure(&failure)?;
                return Ok(Answer::Wrong);
            }
        }
    }
    let mut tested = Vec::new();
    for input in inputs {
        let name = input.shown();
        match test_one(&input, arguments, out) {
            Ok(verdicts) => {
                show(&name, &verdicts, arguments.quiet, out)?;
                tested.push(Tested { name, outcome: Ok(verdicts) });
            }
            Err(failure) => {
                out.line(&name)?;
                out.verdict(false, "it cannot be run")?;
                out.failure(&failure)?;
                let why = render(&failure.sources, &failure.problems, false);
                tested.push(Tested { name, outcome: Err(why) });
            }
        }
    }
    if let Some(file) = &arguments.junit
        && let Err(e) = std::fs::write(file, junit(&tested))
    {
        out.note(&format!("error: cannot write `{}`: {e}", file.display()))?;
        return Ok(Answer::Wrong);
    }
    let all = || tested.iter().flat_map(Tested::verdicts);
    let wrong = tested.iter().filter(|t| t.outcome.is_err()).count();
    let failed = all().filter(|v| !v.pass).count();
    let passed = all().count() - failed;
    let rest = if wrong > 0 { format!(", {wrong} cannot be run") } else { String::new() };
    let count = tested.len() - wrong;
    let plural = if count == 1 { "" } else { "s" };
    out.line(&format!("{count} scenario{plural}: {passed} passed, {failed} failed{rest}"))?;
    Ok(if wrong > 0 { Answer::Wrong } else { Answer::of(failed == 0) })
}

fn show(name: &str, verdicts: &[Verdict], quiet: bool, out: &mut Output) -> io::Result<()> {
    let shown: Vec<Verdict> =
        together(verdicts).into_iter().filter(|v| !quiet || !v.pass).collect();
    if !quiet || !shown.is_empty() {
        out.line(name)?;
    }
    if verdicts.is_empty() && !quiet {
        out.line("  expects nothing")?;
    }
    for verdict in shown {
        out.verdict(verdict.pass, &verdict.line())?;
    }
    Ok(())
}

fn test_one(
    input: &Input,
    arguments: &TestArguments,
    out: &Output,
) -> Result<Vec<Verdict>, Box<Failure>> {
    let settings = |seed| Settings { set: arguments.set.clone(), seed };
    let first = input.load(&settings(None))?;
    let options = RunOptions { threads: arguments.threads, ..RunOptions::default() };
    let watched = out.watched() && !arguments.quiet;
    let load = |number| input.load(&settings(Some(first.seed.wrapping_add(number as u64))));
    let again = Replications { first: &first, count: arguments.seeds as usize, load: &load };
    let replications = play(&again, &options, &NoCaptures, watched, |o| measured(&o))?;
    Ok(judge(&first.expectations, &replications))
}

/// The scenarios that a path stands for.
fn find(path: &str) -> Result<Vec<Input>, Box<Failure>> {
    let folder = Path::new(path);
    if catalogue::find(path).is_some() || !folder.is_dir() {
        return Input::find(path).map(|i| vec![i]);
    }
    let mut files = Vec::new();
    collect(folder, &mut files)
        .map_err(|e| Failure::nowhere(format!("cannot read the folder `{path}`: {e}")))?;
    files.sort();
    if files.is_empty() {
        return Err(Failure::nowhere(format!("the folder `{path}` holds no scenario (*.toml)")));
    }
    Ok(files.into_iter().map(Input::File).collect())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && !entry.file_name().to_string_lossy().starts_with('.') {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "toml") && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// The outcome as `JUnit` XML: a suite for each scenario, a case for each expectation.
fn junit(tested: &[Tested]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for t in tested {
        let failures = t.verdicts().iter().filter(|v| !v.pass).count();
        let name = escaped(&t.name);
        let errors = usize::from(t.outcome.is_err());
        let tests = t.verdicts().len() + errors;
        let _infallible = writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\">"
        );
        if let Err(why) = &t.outcome {
            let why = escaped(why);
            let _infallible = writeln!(
                out,
                "    <testcase classname=\"{name}\" name=\"can be run\"><error message=\"it cannot be run\">{why}</error></testcase>"
            );
        }
        for v in t.verdicts() {
            let case = escaped(&format!("{}: expected {}", v.metric, v.expected));
            let class = escaped(&format!("{}.{}", t.name, v.variant));
            let head = format!("    <testcase classname=\"{class}\" name=\"{case}\"");
            let _infallible = if v.pass {
                writeln!(out, "{head}/>")
            } else {
                let text = escaped(&v.line());
                writeln!(out, "{head}><failure message=\"{text}\"/></testcase>")
            };
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            c if (c as u32) < 0x20 => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junit_has_a_case_for_each_expectation() {
        let verdict = |pass| Verdict {
            variant: "DR".into(),
            metric: "a<b".into(),
            expected: "below 5".into(),
            measured: "7".into(),
            pass,
        };
        let xml =
            junit(&[Tested { name: "x".into(), outcome: Ok(vec![verdict(true), verdict(false)]) }]);
        assert!(xml.contains("tests=\"2\" failures=\"1\""), "{xml}");
        assert!(xml.contains("a&lt;b: expected below 5, measured 7"), "{xml}");
        assert_eq!(xml.matches("<testcase").count(), 2);
        let xml = junit(&[Tested { name: "x".into(), outcome: Err("no <client>".into()) }]);
        assert!(xml.contains("tests=\"1\" failures=\"0\" errors=\"1\""), "{xml}");
        assert!(xml.contains("no &lt;client&gt;</error>"), "{xml}");
    }
}
