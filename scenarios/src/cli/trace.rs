//! `lvsim trace`.

use super::arguments::TraceArguments;
use super::input::Input;
use super::output::Output;
use super::{Answer, io};
use crate::diagnostic::{Place, Problem, Sources};
use crate::format::units;
use crate::format::words::{list, nearest};
use crate::model::{Failure, Scenario, Settings, Variant};
use crate::trace::{follow, listing, selector};
use sim_core::config::TraceConfig;
use sim_core::observe::{TraceLine, TraceReport};

pub(super) fn trace(arguments: &TraceArguments, out: &mut Output) -> io::Result<Answer> {
    let input = match Input::find(&arguments.scenario) {
        Ok(input) => input,
        Err(failure) => return out.failure(&failure).map(|()| Answer::Wrong),
    };
    let settings = Settings { set: arguments.set.clone(), seed: arguments.seed };
    let found = input.load(&settings).and_then(|scenario| told(arguments, &scenario));
    match found {
        Ok(text) => out.text(&text).map(|()| Answer::Good),
        Err(failure) => out.failure(&failure).map(|()| Answer::Wrong),
    }
}

fn told(arguments: &TraceArguments, scenario: &Scenario) -> Result<String, Box<Failure>> {
    let (variant, what) = wanted(arguments, scenario)?;
    let (report, _) = follow(variant, &what)?;
    if report.flow.is_none() {
        return Err(Box::new(unknown(&report, &what)));
    }
    let shown: Vec<&TraceLine> = report
        .lines
        .iter()
        .filter(|l| arguments.hosts.is_empty() || arguments.hosts.contains(&l.place))
        .collect();
    Ok(if arguments.json {
        shown.iter().map(|line| listing::json(&report, line) + "\n").collect()
    } else {
        listing::text(&report, &shown)
    })
}

/// What is to be followed, and where; every mistake in the arguments at once.
fn wanted<'a>(
    arguments: &TraceArguments,
    scenario: &'a Scenario,
) -> Result<(&'a Variant, TraceConfig), Box<Failure>> {
    let mut wrong = Mistakes::default();
    let variants = || scenario.variants.iter().map(|v| v.name.as_str());
    let variant = match &arguments.variant {
        None => scenario.variants.first(),
        Some(name) => {
            wrong.name("--variant", "variant", name, &variants().collect::<Vec<_>>());
            scenario.variants.iter().find(|v| v.name == *name)
        }
    };
    let mut what = match arguments.flow.as_deref().map(|text| (text, selector::parse(text))) {
        None => TraceConfig::default(),
        Some((_, Ok(what))) => what,
        Some((text, Err(mistake))) => {
            wrong.text("--flow", text, mistake.span, "this is no connection", &mistake.allowed);
            TraceConfig::default()
        }
    };
    match arguments.until.as_deref().map(|text| (text, units::span(text))) {
        None => {}
        Some((_, Ok(span))) => what.until = Some(span),
        Some((text, Err(allowed))) => {
            wrong.text("--until", text, 0..text.len(), "this is no time", &allowed);
        }
    }
    if let Some(variant) = variant {
        let config = &variant.config;
        let hosts = || config.hosts.iter().map(|h| h.name.as_str());
        if let Some(client) = &arguments.client {
            let with_clients = config.hosts.iter().filter(|h| !h.clients.is_empty());
            let mut known: Vec<&str> = with_clients.clone().map(|h| h.name.as_str()).collect();
            known.extend(with_clients.flat_map(|h| &h.clients).map(|c| c.name.as_str()));
            known.sort_unstable();
            known.dedup();
            wrong.name("--client", "client", client, &known);
            what.client = Some(client.clone());
        }
        let places: Vec<&str> =
            hosts().chain(config.switches.iter().map(|s| s.name.as_str())).collect();
        for host in &arguments.hosts {
            wrong.name("--hosts", "host or switch", host, &places);
        }
    }
    match (variant, wrong.problems.is_empty()) {
        (Some(variant), true) => Ok((variant, what)),
        _ => Err(Box::new(Failure { sources: wrong.sources, problems: wrong.problems })),
    }
}

/// What is wrong with the arguments.
#[derive(Default)]
struct Mistakes {
    sources: Sources,
    problems: Vec<Problem>,
}

impl Mistakes {
    /// A part of an option's value is wrong.
    fn text(
        &mut self,
        option: &str,
        text: &str,
        span: std::ops::Range<usize>,
        message: &str,
        allowed: &str,
    ) {
        let file = self.sources.add(option, text);
        let label = format!("expected {allowed}");
        self.problems.push(Problem::new(&Place::new(file, span), message, label));
    }

    /// A name must be one of those known.
    fn name(&mut self, option: &str, thing: &str, name: &str, known: &[&str]) {
        if known.contains(&name) {
            return;
        }
        let mut problem = Problem::nowhere(format!("{option}: there is no {thing} `{name}`"));
        problem.help = Some(match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", list(known.iter().take(12))),
        });
        self.problems.push(problem);
    }
}

/// No such connection started; which did.
fn unknown(report: &TraceReport, what: &TraceConfig) -> Failure {
    let mut failure = *Failure::nowhere(match report.started {
        0 => "no connection starts in this scenario".to_owned(),
        1 => "the only connection is another one".to_owned(),
        started if what.number > 1 => {
            format!("there is no connection {} of this kind, {started} start", what.number)
        }
        started => format!("none of the {started} connections is of this kind"),
    });
    let mut flows: Vec<String> = report
        .flows
        .iter()
        .map(|f| format!("{:>6}  {}  {}  at {}", f.number, f.client, selector::text(f), f.start))
        .collect();
    let more = report.started.saturating_sub(flows.len() as u64);
    if more > 0 {
        flows.push(format!("        and {more} more"));
    }
    if let Some(problem) = failure.problems.first_mut()
        && !flows.is_empty()
    {
        problem.help = Some(format!("connections are\n{}", flows.join("\n")));
    }
    failure
}
