//! What each parser is given, and what must hold of its answer whatever the text.
//!
//! The fuzz targets of `scenarios/fuzz` use this file too.

use scenarios::diagnostic::{FileId, Problem, Sources, render, tidy};
use scenarios::import::findings::Findings;
use scenarios::import::heartbeat::{Side, authkeys, compare, ha_cf, haresources};
use scenarios::import::{commands, ipvsadm, keepalived, ldirectord};
use scenarios::model::{Embedded, Settings, load};

/// A parser.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Parser {
    /// `keepalived.conf`, with its rules.
    Keepalived,
    /// Rules of ipvsadm.
    Ipvsadm,
    /// Commands of an administrator.
    Commands,
    /// A scenario.
    Scenario,
    /// `ha.cf`.
    HaCf,
    /// `haresources`.
    Haresources,
    /// `authkeys`.
    Authkeys,
    /// `ldirectord.cf`.
    Ldirectord,
}

impl Parser {
    /// All of them.
    pub(crate) const ALL: [Self; 8] = [
        Self::Keepalived,
        Self::Ipvsadm,
        Self::Commands,
        Self::Scenario,
        Self::HaCf,
        Self::Haresources,
        Self::Authkeys,
        Self::Ldirectord,
    ];
}

/// How much a parser made of a text, in bytes of the answer as it is printed for debugging.
///
/// # Panics
/// A problem does not stand in the text, or cannot be shown.
pub(crate) fn parse(parser: Parser, text: &str) -> usize {
    let mut sources = Sources::default();
    let file = sources.add("input", text);
    let (size, mut problems) = match parser {
        Parser::Keepalived => {
            let files = Embedded(&[("more.conf", "weight 3\n")]);
            let options = keepalived::Options { config_id: Some("one".to_owned()) };
            let (all, mut findings) = keepalived::read(&mut sources, file, &files, &options);
            let rules = all.rules(&mut findings);
            let mut problems = findings.problems;
            problems.append(&mut findings.consequences);
            (size(&(all.passed_over(), rules, &all)), problems)
        }
        Parser::Ipvsadm => {
            let mut problems = Vec::new();
            let rules = ipvsadm::read_file(&sources, file, ipvsadm::Names::NONE, &mut problems);
            (size(&rules), problems)
        }
        Parser::Commands => shell(text, file),
        Parser::Scenario => {
            return match load("input", text, &Embedded(&[]), &Settings::default()) {
                Ok(scenario) => size(&scenario.variants),
                Err(failure) => shown(&failure.sources, &failure.problems),
            };
        }
        Parser::HaCf => {
            let (all, findings) = ha_cf::read(&sources, file);
            let side = Side { node: Some("a"), ha: Some(&all), resources: None, keys: None };
            (size(&all), with(findings, compare(&[side, side])))
        }
        Parser::Haresources => {
            let (all, findings) = haresources::read(&sources, file);
            let side = Side { node: None, ha: None, resources: Some(&all), keys: None };
            (size(&all), with(findings, compare(&[side, side])))
        }
        Parser::Authkeys => {
            let (all, findings) = authkeys::read(&sources, file);
            (size(&all), with(findings, Vec::new()))
        }
        Parser::Ldirectord => {
            let (all, findings) = ldirectord::read(&sources, file);
            (size(&all), with(findings, Vec::new()))
        }
    };
    tidy(&mut problems);
    size + shown(&sources, &problems)
}

fn shell(text: &str, file: FileId) -> (usize, Vec<Problem>) {
    let variables = [("VIP".to_owned(), "192.0.2.1".to_owned())];
    let mut context = commands::Context { variables: &variables, open: &mut |_| None };
    let mut findings = commands::Findings::default();
    let commands = commands::read(file, 0, text, &mut context, &mut findings);
    (size(&(commands, findings.remarks)), findings.problems)
}

fn with(findings: Findings, more: Vec<Problem>) -> Vec<Problem> {
    findings.errors.into_iter().chain(findings.warnings).chain(more).collect()
}

fn size(value: &impl core::fmt::Debug) -> usize {
    format!("{value:?}").len()
}

/// Problems stand in the text, and the first of them can be shown.
fn shown(sources: &Sources, problems: &[Problem]) -> usize {
    for place in problems.iter().filter_map(|p| p.place.as_ref()) {
        let inside = sources.text(place.file).get(place.span.clone());
        assert!(inside.is_some(), "{place:?} is no part of the text");
    }
    let first = &problems[..problems.len().min(20)];
    let text = render(sources, first, false);
    assert!(first.is_empty() || text.contains("error: "), "{text}");
    problems.len() * 100
}
