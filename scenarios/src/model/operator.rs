//! What operators do on directors while the run goes on: `[[rule_event]]` and `[[view]]`.

use super::Reading;
use super::rules::{forwarding, patched, place_of_text, scheduler};
use crate::diagnostic::{At, Place, Problem};
use crate::format::sections::IPVS_SYSCTL;
use crate::format::{Record, units, words};
use crate::import::ipvsadm::{self, Action, Names};
use crate::operator::needs_connections;
use sim_core::config::{HostConfig, IpvsSysctl, Operation, OperatorTask, WorldConfig};
use sim_core::engine::Span;
use sim_core::ipvs::Command;

/// A command line of an operator.
#[derive(Clone, PartialEq, Debug)]
pub struct OperatorLine {
    /// As it was typed, without the name of the program.
    pub text: String,
    /// What it asks for.
    pub action: Action,
}

impl OperatorLine {
    /// As a shell takes it: with the name of the program.
    pub fn typed(&self) -> String {
        match self.action {
            Action::Change(Command::SetSysctl(_)) => format!("sysctl -w {}", self.text),
            _ => format!("ipvsadm {}", self.text),
        }
    }
}

/// Reads what operators do and gives it to the world. The lines are in the order of the operations.
pub(super) fn read(
    record: &Record,
    config: &mut WorldConfig,
    reading: &mut Reading<'_>,
) -> Vec<OperatorLine> {
    let names = names(&config.hosts);
    let mut reader = Reader { record, config, reading, names: &names, lines: Vec::new() };
    for table in record.tables("rule_event") {
        reader.rule_event(table);
    }
    reader.settings();
    // views of a time show what the changes of that time have made
    for table in record.tables("view") {
        reader.view(table);
    }
    reader.lines
}

/// The hosts by their names: the first address of each.
pub fn names(hosts: &[HostConfig]) -> Names {
    let mut names = Names::default();
    for host in hosts {
        if let Some(first) = host.interfaces.iter().flat_map(|i| &i.addresses).next() {
            names.add(&*host.name, first.addr);
        }
    }
    names
}

struct Reader<'a, 'r, 'f> {
    record: &'a Record,
    config: &'a mut WorldConfig,
    reading: &'r mut Reading<'f>,
    names: &'a Names,
    lines: Vec<OperatorLine>,
}

impl Reader<'_, '_, '_> {
    fn wrong(&mut self, place: &Place, message: impl Into<String>, label: impl Into<String>) {
        self.reading.problems.push(Problem::new(place, message, label));
    }

    fn rule_event(&mut self, table: &Record) {
        let at: Option<At<Span>> = table.at("at");
        self.check_time(at.as_ref());
        let host = self.host(table);
        if !table.has("ipvsadm") && !table.has("sysctl") {
            self.wrong(&table.place, "nothing changes here", "`ipvsadm` or `sysctl` is missing");
        }
        for text in table.list::<String>("ipvsadm") {
            for (line, action, place) in self.changes(&text) {
                let Action::Change(mut change) = action else {
                    self.refuse_change(&action, &place);
                    continue;
                };
                if let Some(method) = forwarding(self.record) {
                    ipvsadm::force_forwarding(&mut change, method);
                }
                if let Some(scheduler) = scheduler(self.record) {
                    ipvsadm::force_scheduler(&mut change, scheduler);
                }
                let action = Action::Change(change.clone());
                let task = OperatorTask::Change(change);
                let at = at.as_ref().map(|at| at.value);
                self.push(at, host.as_deref(), task, OperatorLine { text: line, action });
            }
        }
    }

    /// The settings that change, in order of time: each begins with what the ones before have left.
    fn settings(&mut self) {
        let mut now: Vec<(String, IpvsSysctl)> = Vec::new();
        let with_rules = self.config.hosts.iter().filter_map(|h| Some((h, h.ipvs.as_ref()?)));
        now.extend(with_rules.map(|(h, ipvs)| (h.name.clone(), ipvs.sysctl)));
        let mut events: Vec<(Span, &Record, &Record)> = Vec::new();
        for event in self.record.tables("rule_event") {
            let (at, sysctl) = (event.get("at"), event.table("sysctl"));
            events.extend(at.zip(sysctl).map(|(at, sysctl)| (at, event, sysctl)));
        }
        events.sort_by_key(|e| e.0);
        for (at, event, sysctl) in events {
            // a host that is no director was reported with the commands
            let known: Option<String> = event.get("host");
            let current = now.iter_mut().find(|(h, _)| known.as_ref().is_none_or(|k| k == h));
            let Some((host, settings)) = current else { continue };
            *settings = patched(*settings, sysctl);
            let (host, change) = (host.clone(), Command::SetSysctl(*settings));
            let line =
                OperatorLine { text: assignments(sysctl), action: Action::Change(change.clone()) };
            self.push(Some(at), Some(&host), OperatorTask::Change(change), line);
        }
    }

    fn refuse_change(&mut self, action: &Action, place: &Place) {
        match action {
            Action::List(_) | Action::Save { .. } | Action::Help | Action::Version => {
                let problem = Problem::new(place, "this changes no rules", "it only shows");
                let help = "[[view]] takes commands that show";
                self.reading.problems.push(problem.help(help));
            }
            Action::Restore => {
                let label = "expected -R < FILE";
                self.wrong(place, "-R reads from the standard input, which is empty", label);
            }
            Action::Change(_) => {}
        }
    }

    /// The lines that a text stands for: itself, or the file that `-R < FILE` reads.
    fn changes(&mut self, text: &At<String>) -> Vec<(String, Action, Place)> {
        let restored = text.value.split_once('<').and_then(|(command, file)| {
            let command: Vec<_> =
                command.split_whitespace().map(|w| (w, Place::default())).collect();
            let restores = ipvsadm::command(&command, self.names) == Ok(Action::Restore);
            restores.then(|| file.trim().to_owned())
        });
        let (file, base) = match restored {
            None => place_of_text(text, "ipvsadm", self.reading),
            Some(name) => match self.reading.files.read(&name) {
                Ok(rules) => (self.reading.sources.add_once(&name, &rules), 0),
                Err(why) => {
                    let message = format!("cannot read the rules file `{name}`: {why}");
                    self.wrong(&text.place, message, "relative to the scenario");
                    return Vec::new();
                }
            },
        };
        let whole = if base == 0 && file != text.place.file {
            self.reading.sources.text(file).to_owned()
        } else {
            text.value.clone()
        };
        let problems = &mut self.reading.problems;
        let lines = ipvsadm::commands(file, base, &whole, self.names, problems);
        lines
            .into_iter()
            .map(|line| {
                let typed = whole.get(line.place.span.start - base..line.place.span.end - base);
                (without_program(typed.unwrap_or("")), line.action, line.place)
            })
            .collect()
    }

    fn view(&mut self, table: &Record) {
        let host = self.host(table);
        let times = self.times(table);
        let texts = table.list::<String>("ipvsadm");
        let standard = At::new("-Ln".to_owned(), table.place.clone());
        let texts = if table.has("ipvsadm") { texts } else { vec![standard] };
        for text in texts {
            let (file, base) = place_of_text(&text, "ipvsadm", self.reading);
            let action = match ipvsadm::line(file, base, &text.value, self.names) {
                Ok(Some(action)) => action,
                Ok(None) => Action::List(ipvsadm::Listing::default()),
                Err(mut found) => {
                    self.reading.problems.append(&mut found);
                    continue;
                }
            };
            if !matches!(action, Action::List(_) | Action::Save { .. }) {
                let problem = Problem::new(&text.place, "this shows nothing", "expected -L or -S");
                let help = "[[rule_event]] takes commands that change rules";
                self.reading.problems.push(problem.help(help));
                continue;
            }
            let connections = needs_connections(&action);
            for at in &times {
                let line =
                    OperatorLine { text: without_program(&text.value), action: action.clone() };
                let task = OperatorTask::Snapshot { connections };
                self.push(*at, host.as_deref(), task, line);
            }
        }
    }

    /// The times of a `[[view]]`; `None` is the end.
    fn times(&mut self, table: &Record) -> Vec<Option<Span>> {
        if !table.has("at") {
            return vec![None];
        }
        let mut times = Vec::new();
        for text in table.list::<String>("at") {
            if text.value == "end" {
                times.push(None);
                continue;
            }
            if let Ok(span) = units::span(&text.value) {
                self.check_time(Some(&At::new(span, text.place)));
                times.push(Some(span));
            } else {
                let message = format!("\"{}\" is no time", text.value);
                self.wrong(&text.place, message, "expected \"10s\", \"50ms\" or \"end\"");
            }
        }
        times
    }

    /// The director that a table is about, by default the only one.
    fn host(&mut self, table: &Record) -> Option<String> {
        let directors: Vec<&str> = self
            .config
            .hosts
            .iter()
            .filter(|h| h.ipvs.is_some())
            .map(|h| h.name.as_str())
            .collect();
        let label = format!("directors are {}", words::list(&directors));
        let problem = match (table.at::<String>("host"), &directors[..]) {
            (Some(at), known) if known.contains(&at.value.as_str()) => return Some(at.value),
            (None, [only]) => return Some((*only).to_owned()),
            (Some(at), known) => {
                let message = format!("there is no director `{}`", at.value);
                let problem = Problem::new(&at.place, message, label);
                match words::nearest(&at.value, known.iter().copied()) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem,
                }
            }
            (None, []) => {
                // most likely a consequence: the director's own table was wrong
                Problem::new(&table.place, "there is no director", "this table").derived()
            }
            (None, _) => {
                let message = "there are several directors";
                Problem::new(&table.place, message, label).help("`host` says which one")
            }
        };
        self.reading.problems.push(problem);
        None
    }

    fn check_time(&mut self, at: Option<&At<Span>>) {
        let end = self.config.duration + self.config.drain;
        if let Some(at) = at.filter(|at| at.value > end) {
            let label = format!("the run ends at {end} at the latest");
            self.wrong(&at.place, "this is after the end of the run", label);
        }
    }

    fn push(
        &mut self,
        at: Option<Span>,
        host: Option<&str>,
        task: OperatorTask,
        line: OperatorLine,
    ) {
        let Some(host) = host else { return };
        self.config.operations.push(Operation { at, host: host.to_owned(), task });
        self.lines.push(line);
    }
}

/// `net.ipv4.vs.drop_entry=3` for each key that a table writes.
fn assignments(sysctl: &Record) -> String {
    let value = |name| {
        let flag = sysctl.get::<bool>(name).map(u64::from);
        let span = || sysctl.get::<Span>(name).map(|s| s.as_nanos() / 1_000_000_000);
        flag.or_else(|| sysctl.get::<u64>(name)).or_else(span)
    };
    let set = IPVS_SYSCTL.fields.iter().filter_map(|f| Some((f.name, value(f.name)?)));
    let words: Vec<String> = set.map(|(name, v)| format!("net.ipv4.vs.{name}={v}")).collect();
    words.join(" ")
}

/// A line without the name of the program in front.
fn without_program(line: &str) -> String {
    let line = line.trim();
    let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    if first.rsplit('/').next() == Some("ipvsadm") { rest.trim() } else { line }.to_owned()
}
