//! `lvsim check`.

use super::arguments::Kind;
use super::cluster::Cluster;
use super::input::{Input, files_in, read};
use super::output::Output;
use super::{Answer, io};
use crate::build::keepalived::settled;
use crate::catalogue;
use crate::diagnostic::{Problem, Sources, tidy};
use crate::format::sections::SCENARIO;
use crate::format::tree;
use crate::import::heartbeat::{authkeys, ha_cf, haresources};
use crate::import::{ipvsadm, keepalived, ldirectord};
use crate::lint::{self, Judgement};
use crate::model::{Failure, Folder, Scenario, Settings, Variant};
use sim_core::net::topology::{self, Topology};
use std::path::Path;

/// Most problems of a file that are shown.
const MOST_SHOWN: usize = 200;

/// How files of keepalived are read and told about.
#[derive(Debug)]
pub(super) struct Keepalived {
    pub(super) options: keepalived::Options,
    pub(super) verbose: bool,
}

pub(super) fn check(
    files: &[String],
    kind: Option<Kind>,
    how: &Keepalived,
    out: &mut Output,
) -> io::Result<Answer> {
    let mut worst = Answer::Good;
    let mut cluster = Cluster::default();
    let mut worse = |answer: Answer| {
        if answer.code() > worst.code() {
            worst = answer;
        }
    };
    for file in files {
        match inside(file) {
            Ok(files) => {
                for file in files {
                    worse(check_one(&file, kind, how, &mut cluster, out)?);
                }
            }
            Err(failure) => worse(out.failure(&failure).map(|()| Answer::Wrong)?),
        }
    }
    worse(cluster.together(out)?);
    Ok(worst)
}

/// A file itself; of a folder its scenarios, or else all that is known in it.
fn inside(name: &str) -> Result<Vec<String>, Box<Failure>> {
    let path = Path::new(name);
    if catalogue::find(name).is_some() || !path.is_dir() {
        return Ok(vec![name.to_owned()]);
    }
    let mut known: Vec<(Kind, String)> = Vec::new();
    for file in files_in(path)? {
        let kind = read(&file).ok().and_then(|text| recognise(&text));
        known.extend(kind.map(|kind| (kind, file.display().to_string())));
    }
    if known.is_empty() {
        let message = format!("there is nothing in the folder `{name}` that can be checked");
        return Err(Failure::nowhere(message));
    }
    // a scenario reads the files beside it
    if known.iter().any(|(kind, _)| *kind == Kind::Scenario) {
        known.retain(|(kind, _)| *kind == Kind::Scenario);
    }
    Ok(known.into_iter().map(|(_, file)| file).collect())
}

fn check_one(
    file: &str,
    kind: Option<Kind>,
    how: &Keepalived,
    cluster: &mut Cluster,
    out: &mut Output,
) -> io::Result<Answer> {
    let shipped = catalogue::find(file).is_some();
    let text = if shipped { Ok(String::new()) } else { read(Path::new(file)) };
    let text = match text {
        Ok(text) => text,
        Err(failure) => return out.failure(&failure).map(|()| Answer::Wrong),
    };
    let kind = kind.or_else(|| if shipped { Some(Kind::Scenario) } else { recognise(&text) });
    match kind {
        Some(Kind::Ipvsadm) => rules(file, &text, out),
        Some(Kind::Keepalived) => configuration(file, &text, how, out),
        Some(Kind::Scenario) => {
            match Input::find(file).and_then(|i| i.load(&Settings::default())) {
                Ok(scenario) => findings(file, &scenario, out),
                Err(failure) => out.failure(&failure).map(|()| Answer::Wrong),
            }
        }
        Some(kind) => cluster.file(kind, file, &text, how.verbose, out),
        None => {
            let message = format!(
                "`{file}` is neither a scenario nor rules of ipvsadm nor a file of keepalived, heartbeat or ldirectord"
            );
            let mut failure = Failure::nowhere(message);
            if let Some(problem) = failure.problems.first_mut() {
                let help = "`--as KIND` decides: scenario, ipvsadm, keepalived, ha.cf, haresources, authkeys or ldirectord.cf";
                problem.help = Some(help.to_owned());
            }
            out.failure(&failure).map(|()| Answer::Wrong)
        }
    }
}

/// What a text is, by its content.
fn recognise(text: &str) -> Option<Kind> {
    if ipvsadm::looks_like(text) {
        return Some(Kind::Ipvsadm);
    }
    if keepalived::looks_like(text) {
        return Some(Kind::Keepalived);
    }
    if ldirectord::looks_like(text) {
        return Some(Kind::Ldirectord);
    }
    let mut sources = Sources::default();
    let file = sources.add("", text);
    let (table, _) = tree::parse(&sources, file);
    let known = |key: &str| SCENARIO.fields.iter().any(|f| f.name == key);
    if table.entries.iter().any(|e| known(&e.key)) {
        return Some(Kind::Scenario);
    }
    if authkeys::looks_like(text) {
        return Some(Kind::Authkeys);
    }
    if ha_cf::looks_like(text) {
        return Some(Kind::HaCf);
    }
    haresources::looks_like(text).then_some(Kind::Haresources)
}

fn rules(file: &str, text: &str, out: &mut Output) -> io::Result<Answer> {
    let mut sources = Sources::default();
    let id = sources.add(file, text);
    let mut problems = Vec::new();
    let rules = ipvsadm::read_file(&sources, id, ipvsadm::Names::NONE, &mut problems);
    if !problems.is_empty() {
        tidy(&mut problems);
        out.problems(&sources, &problems)?;
        return Ok(Answer::Wrong);
    }
    let services = &rules.config.services;
    let servers: usize = services.iter().map(|s| s.servers.len()).sum();
    let empty: Vec<String> = services
        .iter()
        .filter(|s| s.servers.is_empty())
        .map(|s| format!("{file}: the service {} has no real server", ipvsadm::key_text(s.key)))
        .collect();
    for line in &empty {
        out.line(line)?;
    }
    for mapping in &rules.mapped {
        out.line(&format!("{file}: {}", said_of(&lint::judge_mapping(mapping))))?;
    }
    let nothing = services.is_empty();
    if nothing {
        out.line(&format!("{file}: there is no service"))?;
    }
    let (services, servers) = (counted(services.len(), "service"), counted(servers, "real server"));
    out.line(&format!("{file}: {services}, {servers}"))?;
    Ok(Answer::of(empty.is_empty() && rules.mapped.is_empty() && !nothing))
}

/// Shows problems in their order.
pub(super) fn shown(
    sources: &Sources,
    problems: &mut Vec<Problem>,
    out: &mut Output,
) -> io::Result<()> {
    tidy(problems);
    if problems.is_empty() {
        return Ok(());
    }
    let first = &problems[..problems.len().min(MOST_SHOWN)];
    out.problems(sources, first)?;
    if first.len() < problems.len() {
        out.note(&format!("the first {MOST_SHOWN} of {} are shown", problems.len()))?;
    }
    Ok(())
}

/// What keepalived says about its configuration, and what is in it.
fn configuration(file: &str, text: &str, how: &Keepalived, out: &mut Output) -> io::Result<Answer> {
    let mut sources = Sources::default();
    let id = sources.add(file, text);
    let folder = Folder(Path::new(file).parent().map(Path::to_owned).unwrap_or_default());
    let (all, mut findings) = keepalived::read(&mut sources, id, &folder, &how.options);
    // what a scenario does not take from a file that is only its rules is no matter here
    let remarks = findings.remarks.len();
    let rules = all.rules(&mut findings);
    findings.remarks.truncate(remarks);
    let mut problems = findings.problems;
    let consequences = findings.consequences.len();
    if how.verbose {
        problems.append(&mut findings.consequences);
    }
    shown(&sources, &mut problems, out)?;
    let mut remarks = findings.remarks;
    remarks.sort_by_key(|r| (r.place.file, r.place.span.start));
    let passed_over = all.passed_over().into_iter().filter(|_| how.verbose);
    let passed_over =
        passed_over.map(|(place, what)| (place, format!("accepted, not simulated: {what}")));
    let remarks = remarks.into_iter().map(|r| (r.place, format!("remark: {}", r.message)));
    for (place, message) in remarks.chain(passed_over) {
        out.line(&format!("{}:{}: {message}", sources.name(place.file), sources.line(&place)))?;
    }
    let services = &rules.config.services;
    let mut counts = vec![
        counted(services.len(), "service"),
        counted(services.iter().map(|s| s.servers.len()).sum(), "real server"),
        counted(all.instances.len(), "VRRP instance"),
        counted(problems.len(), "finding"),
    ];
    if consequences > 0 && !how.verbose {
        counts.push(format!("{} (--verbose shows)", counted(consequences, "consequence")));
    }
    out.line(&format!("{file}: {}", counts.join(", ")))?;
    Ok(Answer::of(problems.is_empty() && consequences == 0))
}

/// What is doubtful about the networks and clusters of a scenario.
fn findings(file: &str, scenario: &Scenario, out: &mut Output) -> io::Result<Answer> {
    let mut seen: Vec<String> = Vec::new();
    let typed = &scenario.remarks;
    let mut remarks = typed.len();
    for remark in typed {
        let place = &remark.place;
        let (name, line) = (scenario.sources.name(place.file), scenario.sources.line(place));
        out.line(&format!("{name}:{line}: remark: {}", remark.message))?;
    }
    for variant in &scenario.variants {
        for (name, text) in doubts(variant) {
            if seen.contains(&text) {
                continue;
            }
            let meant = variant.allow.iter().any(|a| a == name);
            let remark = if meant { "remark: " } else { "" };
            out.line(&format!("{file}: {}: {remark}{text}", variant.name))?;
            seen.push(text);
            remarks += usize::from(meant);
        }
    }
    let found = seen.len() + typed.len() - remarks;
    let mut counts = vec![counted(scenario.variants.len(), "variant"), counted(found, "finding")];
    if remarks > 0 {
        counts.push(counted(remarks, "remark"));
    }
    out.line(&format!("{file}: {}", counts.join(", ")))?;
    Ok(Answer::of(found == 0))
}

/// Everything doubtful about a variant: its name and its text.
fn doubts(variant: &Variant) -> Vec<(&'static str, String)> {
    let judgements = lint::judge(&variant.config);
    // the judgement says more than the finding of the network
    let said = |place: &str| {
        judgements.iter().any(|j| j.name == "vip-answered" && j.message.contains(place))
    };
    let network = Topology::new(&settled(&variant.config)).check();
    let network = network
        .iter()
        .filter(|f| f.problem != topology::Problem::ArpForSharedAddress || !said(&f.place))
        .map(|f| {
            let name = f.problem.name();
            (name, format!("{}: {} ({name})", f.place, f.explanation))
        });
    let mapped = variant.mapped.iter().map(lint::judge_mapping);
    let judged = judgements.iter().cloned().chain(mapped).map(|j| (j.name, said_of(&j)));
    network.chain(judged).collect()
}

/// A judgement with its reason and what helps.
fn said_of(j: &Judgement) -> String {
    let Judgement { name, place, message, reason, help } = j;
    format!("{place}: {message} ({name})\n    because {reason}\n    help: {help}")
}

/// `1 finding`, `2 findings`.
pub(super) fn counted(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
