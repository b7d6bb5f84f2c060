//! `lvsim run`.

use super::arguments::RunArguments;
use super::input::Input;
use super::output::Output;
use super::{Answer, io};
use crate::diagnostic::Problem;
use crate::expect::{Measured, judge, together};
use crate::format::words::{list, nearest};
use crate::model::{Failure, Scenario, Settings};
use crate::results::availability::holder_series;
use crate::results::{Folder, Study, answer, refusals, summary, views};
use crate::study::progress::{Bars, Silent};
use crate::study::run::{CHUNK, configuration};
use crate::study::{Outcome, Progress, Replications, RunOptions, lockstep, replicate, world};
use indicatif::ProgressDrawTarget;
use sim_core::config::CaptureConfig;
use sim_core::engine::Time;
use sim_core::observe::SeriesPoint;
use std::path::{Path, PathBuf};

pub(super) fn run(arguments: &RunArguments, out: &mut Output) -> io::Result<Answer> {
    match run_inner(arguments, out) {
        Ok(answer) => answer,
        Err(failure) => out.failure(&failure).map(|()| Answer::Wrong),
    }
}

fn run_inner(
    arguments: &RunArguments,
    out: &mut Output,
) -> Result<io::Result<Answer>, Box<Failure>> {
    let input = Input::find(&arguments.scenario)?;
    let settings = Settings { set: arguments.set.clone(), seed: arguments.seed };
    let scenario = input.load(&settings)?;
    let options = RunOptions {
        connections: arguments.connections,
        captures: captures(&arguments.capture, &scenario)?,
        threads: arguments.threads,
    };
    let target =
        arguments.out.clone().unwrap_or_else(|| PathBuf::from("results").join(&scenario.name));
    let folder = Folder::start(&target).map_err(Failure::nowhere)?;
    let watched = out.watched() && !arguments.quiet;
    if arguments.check_determinism {
        if let Some(difference) = compare(&scenario, &options, watched)? {
            return Ok(out.line(&difference).map(|()| Answer::No));
        }
        if !arguments.quiet
            && let Err(gone) = out.line("Every variant was played twice: no difference\n")
        {
            return Ok(Err(gone));
        }
    }
    let again = Replications { first: &scenario, count: 1, load: &|_| Ok(scenario.clone()) };
    let mut all = play(&again, &options, &folder, watched, |outcome| outcome)?;
    let outcomes = all.pop().unwrap_or_default();
    let study = study(&scenario, &outcomes, command(arguments, &input), arguments.connections);
    study
        .write(&folder)
        .map_err(|e| Failure::nowhere(format!("cannot write `{}`: {e}", target.display())))?;
    folder.finish().map_err(Failure::nowhere)?;
    Ok(print(&study, &target, arguments, out))
}

/// Runs all variants of all replications with a progress line each if a person watches, and keeps what
/// `reduce` makes of their outcomes.
pub(super) fn play<T: Send>(
    again: &Replications<'_>,
    options: &RunOptions,
    captures: &dyn crate::study::Captures,
    watched: bool,
    reduce: impl Fn(Outcome) -> T + Sync,
) -> Result<Vec<Vec<T>>, Box<Failure>> {
    if !watched {
        return replicate(again, options, captures, &Silent, reduce);
    }
    let first = again.first;
    let named = |number: usize, name: &str| match again.count {
        1 => name.to_owned(),
        _ => format!("{name}, seed {}", first.seed.wrapping_add(number as u64)),
    };
    let ends: Vec<_> = (0..again.count)
        .flat_map(|number| first.variants.iter().map(move |v| (number, v)))
        .map(|(number, v)| (named(number, &v.name), v.config.duration + v.config.drain))
        .collect();
    let bars = Bars::new(&ends, ProgressDrawTarget::stderr());
    let results = replicate(again, options, captures, &bars, reduce);
    bars.clear();
    results
}

/// Plays every variant twice; the first difference in words.
fn compare(
    scenario: &Scenario,
    options: &RunOptions,
    watched: bool,
) -> Result<Option<String>, Box<Failure>> {
    for variant in &scenario.variants {
        let config = configuration(variant, options);
        let target =
            if watched { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let end = variant.config.duration + variant.config.drain;
        let bars = Bars::new(&[(format!("{} twice", variant.name), end)], target);
        bars.at(0, Time::ZERO, 0);
        let build = || world::build(&config);
        let found = lockstep::compare(build, build, CHUNK, |now, events| bars.at(0, now, events))?;
        bars.clear();
        if let Some(difference) = found {
            return Ok(Some(format!("{}: {difference}", variant.name)));
        }
    }
    Ok(None)
}

/// Judges the outcomes.
fn study<'a>(
    scenario: &'a Scenario,
    outcomes: &'a [Outcome],
    command: String,
    connections: bool,
) -> Study<'a> {
    let measured: Vec<Measured> = outcomes.iter().map(measured).collect();
    let summaries = measured.iter().map(|m| m.summary.clone()).collect();
    let verdicts = judge(&scenario.expectations, &[measured]);
    Study { scenario, outcomes, summaries, verdicts, command, connections }
}

/// The time series, with the number of holders of each virtual address.
fn series(outcome: &Outcome) -> Vec<SeriesPoint> {
    let mut all = outcome.observations.series.clone();
    all.extend(holder_series(&outcome.observations, outcome.variant.config.warmup));
    all
}

/// What expectations are judged by.
pub(super) fn measured(outcome: &Outcome) -> Measured {
    Measured {
        variant: outcome.variant.name.clone(),
        summary: summary::variant(outcome),
        series: series(outcome),
    }
}

fn print(
    study: &Study<'_>,
    target: &Path,
    arguments: &RunArguments,
    out: &mut Output,
) -> io::Result<Answer> {
    let quiet = arguments.quiet;
    let good = study.verdicts.iter().all(|v| v.pass);
    if !quiet {
        if !study.scenario.question.is_empty() {
            out.line(&study.scenario.question)?;
            out.line("")?;
        }
        out.comparison(&answer(study))?;
        operators(study, arguments.views, out)?;
        if !study.verdicts.is_empty() {
            out.line("\nExpectations")?;
        }
    }
    for verdict in together(&study.verdicts).iter().filter(|v| !quiet || !v.pass) {
        out.verdict(verdict.pass, &verdict.line())?;
    }
    if !quiet {
        out.line(&format!("\nResults: {}", target.display()))?;
    }
    Ok(Answer::of(good))
}

/// Changes of rules that were refused, and what operators saw if a person asks for it.
fn operators(study: &Study<'_>, show: bool, out: &mut Output) -> io::Result<()> {
    for outcome in study.outcomes {
        let name = &outcome.variant.name;
        for refused in refusals(outcome) {
            out.line(&format!("\nRefused in {name}: {refused}"))?;
        }
        for view in views(outcome).iter().filter(|_| show) {
            out.line(&format!("\n{name}: {}", view.title))?;
            out.text(&view.text)?;
        }
    }
    Ok(())
}

/// What to capture; every name must be there in some variant.
fn captures(texts: &[String], scenario: &Scenario) -> Result<Vec<CaptureConfig>, Box<Failure>> {
    texts.iter().map(|text| capture(text, scenario)).collect()
}

fn capture(text: &str, scenario: &Scenario) -> Result<CaptureConfig, Box<Failure>> {
    if text == "all" {
        return Ok(CaptureConfig::All);
    }
    let (name, dev) = text.split_once(':').map_or((text, None), |(h, d)| (h, Some(d)));
    let hosts = || scenario.variants.iter().flat_map(|v| &v.config.hosts);
    let wrong = |message: String, known: Vec<&str>, word: &str| {
        let mut problem = Problem::nowhere(message);
        problem.help = Some(match nearest(word, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", list(known.iter().take(12))),
        });
        let mut failure = Failure::nowhere("");
        failure.problems = vec![problem];
        failure
    };
    if !hosts().any(|h| h.name == name) {
        let known = hosts().map(|h| h.name.as_str()).collect();
        return Err(wrong(format!("--capture: there is no host `{name}`"), known, name));
    }
    let Some(dev) = dev else { return Ok(CaptureConfig::Host(name.to_owned())) };
    let known: Vec<&str> = hosts()
        .filter(|h| h.name == name)
        .flat_map(|h| &h.interfaces)
        .map(|i| i.name.as_str())
        .collect();
    if !known.contains(&dev) {
        let message = format!("--capture: host `{name}` has no interface `{dev}`");
        return Err(wrong(message, known, dev));
    }
    Ok(CaptureConfig::Interface(name.to_owned(), dev.to_owned()))
}

/// The command without what does not change the result.
fn command(arguments: &RunArguments, input: &Input) -> String {
    let mut words = vec!["lvsim run".to_owned(), quoted(&input.shown())];
    words.extend(arguments.seed.map(|s| format!("--seed {s}")));
    words.extend(arguments.set.iter().map(|s| format!("--set {}", quoted(s))));
    if arguments.connections {
        words.push("--connections".to_owned());
    }
    words.join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quoted("a.b=4"), "a.b=4");
        assert_eq!(quoted("client.load=poisson(1/s)"), "'client.load=poisson(1/s)'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
