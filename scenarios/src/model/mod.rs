//! A scenario: its variants, each resolved to a complete configuration of the world.

mod files;
mod heartbeat;
mod keepalived;
mod operator;
mod rules;
mod scripts;

pub use files::{Embedded, Files, Folder, text};
pub use heartbeat::{HeartbeatFiles, LdirectordFile, PowerSwitch};
pub use keepalived::KeepalivedFile;
pub use operator::{OperatorLine, names};
pub use rules::DirectorRules;
pub(crate) use rules::{
    director_names, forwarding as forwarding_of, local_addresses, scheduler as scheduler_of,
};
pub use scripts::HostScript;

use crate::build;
use crate::diagnostic::{FileId, Place, Problem, Sources, tidy};
use crate::expect::Expectation;
use crate::format::Record;
use crate::format::overrides;
use crate::format::record::unknown_key;
use crate::format::sections::SCENARIO;
use crate::format::tree::{self, Node, Raw, Table};
use crate::import::commands::{Findings, Remark};
use crate::import::ipvsadm::PortMapping;
use sim_core::config::WorldConfig;

/// A scenario that was read and found right.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Name.
    pub name: String,
    /// The question it answers, empty if it has none.
    pub question: String,
    /// What it is about, empty if it does not say.
    pub description: String,
    /// Seed of the random streams.
    pub seed: u64,
    /// The variants in the order of the file, at least one.
    pub variants: Vec<Variant>,
    /// What must come out.
    pub expectations: Vec<Expectation>,
    /// What was understood in the commands of hosts and changes nothing.
    pub remarks: Vec<Remark>,
    /// Everything that was read.
    pub sources: Sources,
}

/// One way to run a scenario.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Name.
    pub name: String,
    /// What stands over it and its neighbours in tables; empty for nothing.
    pub group: String,
    /// What the world is built from.
    pub config: WorldConfig,
    /// Findings about its network that are meant, by their names.
    pub allow: Vec<String>,
    /// Ports that its rules ask of methods that cannot map them.
    pub mapped: Vec<PortMapping>,
    /// The command lines of `config.operations`.
    pub operator: Vec<OperatorLine>,
}

/// What is wrong with the input.
#[derive(Debug)]
pub struct Failure {
    /// The texts the problems point into.
    pub sources: Sources,
    /// At least one, sorted.
    pub problems: Vec<Problem>,
}

impl Failure {
    /// A failure without a text to show.
    #[expect(clippy::unnecessary_box_returns, reason = "failures travel in boxes")]
    pub fn nowhere(message: impl Into<String>) -> Box<Self> {
        Box::new(Self { sources: Sources::default(), problems: vec![Problem::nowhere(message)] })
    }
}

/// What the command line adds to a scenario.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `KEY=VALUE` of `--set`, in order.
    pub set: Vec<String>,
    /// `--seed`.
    pub seed: Option<u64>,
}

/// Reads a scenario, its rules, and builds the configuration of every variant.
///
/// `path` is shown in messages and its stem is the name of a scenario without one; files that the
/// scenario names are read from `files`.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load(
    path: &str,
    text: &str,
    files: &dyn Files,
    settings: &Settings,
) -> Result<Scenario, Box<Failure>> {
    let mut sources = Sources::default();
    let file = sources.add(path, text);
    let (mut root, mut problems) = tree::parse(&sources, file);
    let runs = variants(&mut root, &mut problems);
    let mut set = Vec::new();
    for setting in &settings.set {
        match tree::parse_setting(setting, &mut sources) {
            Ok(setting) => set.push(setting),
            Err(problem) => problems.push(problem),
        }
    }
    let remarks = Vec::new();
    let mut reading = Reading { sources, problems, remarks, files, file, seed: settings.seed, set };
    reading.apply_settings(&mut root);
    let scenario = reading.scenario(path, &root, &runs);
    let Reading { sources, mut problems, mut remarks, .. } = reading;
    tidy(&mut problems);
    if problems.is_empty() {
        remarks.sort_by_key(|r| (r.place.file, r.place.span.start));
        Ok(Scenario { remarks, sources, ..scenario })
    } else {
        Err(Box::new(Failure { sources, problems }))
    }
}

/// A `[[run]]` table.
struct Run {
    name: Option<String>,
    group: String,
    /// Where its name stands.
    place: Place,
    changes: Table,
}

/// Takes the `[[run]]` tables out of the scenario.
fn variants(root: &mut Table, problems: &mut Vec<Problem>) -> Vec<Run> {
    let Some(node) = root.remove("run") else { return Vec::new() };
    let tables: Vec<Node> = match node.value {
        Raw::List(list) => list,
        _ => vec![node],
    };
    let mut runs: Vec<Run> = Vec::new();
    for node in tables {
        let Raw::Table(mut changes) = node.value else {
            let message = format!("{} is no variant", node.value.describe());
            problems.push(Problem::new(&node.place, message, "expected tables [[run]]"));
            continue;
        };
        changes.remove("description");
        let group = match changes.remove("group").map(|n| (n.value, n.place)) {
            None => String::new(),
            Some((Raw::Text(group), _)) => group,
            Some((_, place)) => {
                let label = "expected a text in quotes";
                problems.push(Problem::new(&place, "this is no name for a group", label));
                String::new()
            }
        };
        let place = changes.get("name").map_or_else(|| node.place.clone(), |n| n.place.clone());
        let name = match changes.remove("name").map(|n| n.value) {
            Some(Raw::Text(name)) if is_name(&name) => Some(name),
            Some(_) => {
                let label = "expected a text of letters, digits and - _ . +";
                problems.push(Problem::new(&place, "this is no name for a variant", label));
                None
            }
            None => {
                let label = "`name` takes a text in quotes";
                problems.push(Problem::new(&place, "[run] lacks the key `name`", label));
                None
            }
        };
        if name.is_some() && runs.iter().any(|r| r.name == name) {
            let message = format!("two variants are called `{}`", name.as_deref().unwrap_or(""));
            problems.push(Problem::new(&place, message, "the second one"));
        }
        runs.push(Run { name, group, place, changes });
    }
    runs
}

/// Whether a text can name a variant or a scenario: it becomes a part of file names.
pub fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    !text.is_empty() && text.len() <= 80 && text.chars().all(good) && !text.starts_with('.')
}

/// What is needed while a scenario is read.
pub(crate) struct Reading<'a> {
    pub(crate) sources: Sources,
    pub(crate) problems: Vec<Problem>,
    pub(crate) remarks: Vec<Remark>,
    pub(crate) files: &'a dyn Files,
    pub(crate) file: FileId,
    pub(crate) seed: Option<u64>,
    /// Keys and values of `--set`: stronger than the scenario and its variants.
    pub(crate) set: Vec<(String, Node)>,
}

impl Reading<'_> {
    fn scenario(&mut self, path: &str, root: &Table, runs: &[Run]) -> Scenario {
        let base = self.decode(root);
        let stem = path.rsplit(['/', '\\']).next().unwrap_or(path);
        let stem = stem.strip_suffix(".toml").unwrap_or(stem);
        let name = base.get::<String>("name").unwrap_or_else(|| stem.to_owned());
        if !is_name(&name) {
            let label = "expected letters, digits and - _ . +: it names the results folder";
            let place = base.place_of("name").clone();
            self.problems.push(Problem::new(&place, "this is no name for a scenario", label));
        }
        let seed = self.seed.unwrap_or_else(|| base.value("seed"));
        let mut variants = Vec::new();
        if runs.is_empty() {
            variants.push(self.variant(&name, "", &base, seed));
        }
        for run in runs {
            let mut changed = root.clone();
            for entry in &run.changes.entries {
                if ["expect", "run", "name", "question"].contains(&entry.key.as_str()) {
                    let message = format!("a variant cannot change `{}`", entry.key);
                    let problem = Problem::new(&entry.place, message, "belongs to the scenario");
                    self.problems.push(problem);
                    continue;
                }
                if !SCENARIO.fields.iter().any(|f| Some(f.name) == entry.key.split('.').next()) {
                    let problem = unknown_key(&SCENARIO, &entry.key, &entry.place);
                    self.problems.push(problem);
                    continue;
                }
                let applied = overrides::apply(&mut changed, &entry.key, &entry.place, &entry.node);
                self.problems.extend(applied.err());
            }
            self.apply_settings(&mut changed);
            let record = self.decode(&changed);
            let seed = self.seed.unwrap_or_else(|| record.value("seed"));
            let name = run.name.clone().unwrap_or_default();
            debug_assert!(run.place.file == self.file, "variants stand in the scenario");
            variants.push(self.variant(&name, &run.group, &record, seed));
        }
        let names: Vec<&str> = variants.iter().map(|v| v.name.as_str()).collect();
        let expectations = crate::expect::read(&base, &names, &mut self.problems);
        Scenario {
            name,
            question: base.value("question"),
            description: base.value("description"),
            seed,
            variants,
            expectations,
            remarks: Vec::new(),
            sources: Sources::default(),
        }
    }

    /// Keeps a remark, once for all variants.
    fn remark(&mut self, remark: Remark) {
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }

    fn apply_settings(&mut self, root: &mut Table) {
        for (key, node) in &self.set {
            self.problems.extend(overrides::apply(root, key, &node.place, node).err());
        }
    }

    fn decode(&mut self, root: &Table) -> Record {
        let place = Place::new(self.file, 0..0);
        Record::read(&SCENARIO, root, &place, &mut self.problems)
    }

    fn variant(&mut self, name: &str, group: &str, record: &Record, seed: u64) -> Variant {
        let scripts = scripts::read(record, self);
        let keepalived = keepalived::read(record, self);
        let (heartbeat, ldirectord) = heartbeat::read(record, self);
        let directors = rules::read(record, &scripts, &keepalived, self);
        let mapped: Vec<_> = directors.iter().flat_map(|d| d.rules.mapped.clone()).collect();
        let mut findings = Findings::default();
        let mut config = build::world(
            record,
            seed,
            build::Foreign { directors, scripts, keepalived, heartbeat, ldirectord },
            &mut findings,
        );
        self.problems.append(&mut findings.problems);
        findings.remarks.into_iter().for_each(|r| self.remark(r));
        let operator = operator::read(record, &mut config, self);
        let allow = record.list("allow").into_iter().map(|a| a.value).collect();
        let (name, group) = (name.to_owned(), group.to_owned());
        Variant { name, group, config, allow, mapped, operator }
    }
}

#[cfg(test)]
mod tests;
