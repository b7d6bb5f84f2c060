//! From a decoded scenario to the configuration of a world: the shorthand is expanded, defaults
//! are filled in, names are resolved.

mod applications;
mod check;
mod cluster;
mod faults;
mod heartbeat;
mod hosts;
pub mod keepalived;
mod links;
mod prepare;
pub mod setup;

pub(crate) use hosts::later;

use crate::diagnostic::{At, Place, Problem};
use crate::format::{Record, words};
use crate::import::commands::Findings;
use crate::model::{DirectorRules, HeartbeatFiles, HostScript, KeepalivedFile, LdirectordFile};
use links::LinkDefaults;
use sim_core::config::{
    HostConfig, LinkConfig, LinkEvent, OutageRule, SwitchConfig, TcpConfig, WorldConfig,
};
use sim_core::engine::Span;

/// Most points of time that a time series may have.
const MOST_POINTS: u64 = 100_000;

/// What a scenario says in other languages than its own.
#[derive(Clone, Debug, Default)]
pub struct Foreign {
    /// Rules of directors.
    pub directors: Vec<DirectorRules>,
    /// Commands of hosts.
    pub scripts: Vec<HostScript>,
    /// keepalived on hosts.
    pub keepalived: Vec<KeepalivedFile>,
    /// heartbeat on hosts.
    pub heartbeat: Vec<HeartbeatFiles>,
    /// ldirectord on hosts.
    pub ldirectord: Vec<LdirectordFile>,
}

/// Builds the configuration of one variant.
///
/// What is wrong goes to `findings`; the configuration then has gaps and must not be run.
pub fn world(record: &Record, seed: u64, foreign: Foreign, findings: &mut Findings) -> WorldConfig {
    let mut builder = Builder::new(record, foreign);
    builder.cluster();
    builder.hosts();
    builder.interfaces_of_links();
    builder.switches();
    builder.links();
    builder.directors();
    builder.run_scripts(findings);
    builder.keepalived(findings);
    builder.heartbeat(findings);
    builder.applications();
    builder.check();
    let duration: Span = record.value("duration");
    let warmup: Span = record.value("warmup");
    if duration == Span::ZERO {
        builder.wrong(record.place_of("duration"), "the run has no duration", "expected above 0s");
    }
    if warmup >= duration {
        let label = format!("expected less than the duration, {duration}");
        builder.wrong(record.place_of("warmup"), "nothing is left after the warm-up", label);
    }
    let series_interval = record.get("series").unwrap_or_else(|| hundredth(duration));
    let drain: Span = record.value("drain");
    let points = (duration.as_nanos() + drain.as_nanos()) / series_interval.as_nanos().max(1);
    if series_interval > Span::ZERO && points > MOST_POINTS {
        let message = format!("{points} points of time in the series are too many");
        let label = format!("at most {MOST_POINTS}: a longer time, or \"0s\" for no series");
        builder.wrong(record.place_of("series"), message, label);
    }
    let link_events = builder.link_events();
    let faults = builder.faults();
    let config = WorldConfig {
        seed,
        duration,
        drain,
        warmup,
        hosts: builder.hosts.clone(),
        switches: builder.switches.clone(),
        links: builder.links.clone(),
        series_interval,
        connections: false,
        outages: outage_rule(record),
        captures: Vec::new(),
        trace: None,
        link_events,
        operations: Vec::new(),
        faults,
    };
    if builder.problems.is_empty() && findings.problems.is_empty() {
        builder.check_network(&keepalived::settled(&config));
    }
    findings.problems.append(&mut builder.problems);
    config
}

fn outage_rule(record: &Record) -> OutageRule {
    record.table("outage").map_or_else(OutageRule::default, |table| OutageRule {
        gap: table.value("gap"),
        requests: table.value("requests"),
    })
}

/// A hundredth of the duration in whole milliseconds, at least one.
fn hundredth(duration: Span) -> Span {
    Span::from_millis((duration.as_nanos() / 100_000_000).max(1))
}

/// Hosts that one table made.
#[derive(Clone, Debug)]
struct Group {
    name: String,
    members: Vec<String>,
}

struct Builder<'a> {
    record: &'a Record,
    directors: Vec<DirectorRules>,
    scripts: Vec<HostScript>,
    keepalived: Vec<KeepalivedFile>,
    heartbeat: Vec<HeartbeatFiles>,
    ldirectord: Vec<LdirectordFile>,
    problems: Vec<Problem>,
    hosts: Vec<HostConfig>,
    groups: Vec<Group>,
    switches: Vec<SwitchConfig>,
    links: Vec<LinkConfig>,
    defaults: LinkDefaults,
    tcp: TcpConfig,
    /// The hosts of `[cluster]`: real servers, clients, director.
    cluster: Option<cluster::Parts>,
}

impl<'a> Builder<'a> {
    fn new(record: &'a Record, foreign: Foreign) -> Self {
        let Foreign { directors, scripts, keepalived, heartbeat, ldirectord } = foreign;
        let mut tcp = TcpConfig::default();
        if let Some(table) = record.table("tcp") {
            hosts::patch_tcp(&mut tcp, table);
        }
        Self {
            record,
            directors,
            scripts,
            keepalived,
            heartbeat,
            ldirectord,
            problems: Vec::new(),
            hosts: Vec::new(),
            groups: Vec::new(),
            switches: Vec::new(),
            links: Vec::new(),
            defaults: LinkDefaults::new(record),
            tcp,
            cluster: None,
        }
    }

    fn wrong(&mut self, place: &Place, message: impl Into<String>, label: impl Into<String>) {
        self.problems.push(Problem::new(place, message, label));
    }

    /// Whether the cluster could not be expanded: what needs it is then no further mistake.
    fn lacks_cluster(&self) -> bool {
        self.record.has("cluster") && self.cluster.is_none()
    }

    fn host(&self, name: &str) -> Option<&HostConfig> {
        self.hosts.iter().find(|h| h.name == name)
    }

    fn host_mut(&mut self, name: &str) -> Option<&mut HostConfig> {
        self.hosts.iter_mut().find(|h| h.name == name)
    }

    fn add_group(&mut self, name: &str, members: Vec<String>) {
        self.groups.push(Group { name: name.to_owned(), members });
    }

    /// Whether a name is that of a host, or of a group that it belongs to.
    fn stands_for(&self, name: &str, host: &str) -> bool {
        let member = |g: &Group| g.name == name && g.members.iter().any(|m| m == host);
        name == host || self.groups.iter().any(member)
    }

    /// The hosts that a name stands for: one, or all that one table made.
    fn members(&mut self, name: &At<String>) -> Vec<String> {
        if self.host(&name.value).is_some() {
            return vec![name.value.clone()];
        }
        if let Some(group) = self.groups.iter().find(|g| g.name == name.value) {
            return group.members.clone();
        }
        self.unknown_host(name);
        Vec::new()
    }

    fn unknown_host(&mut self, name: &At<String>) {
        let known: Vec<String> = self.hosts.iter().map(|h| h.name.clone()).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        self.unknown_host_of(name, &known);
    }

    fn unknown_host_of(&mut self, name: &At<String>, known: &[&str]) {
        let near = words::nearest(&name.value, known.iter().copied());
        let problem = Problem::new(
            &name.place,
            format!("there is no host `{}`", name.value),
            format!("hosts are {}", shortened(known)),
        );
        self.problems.push(match near {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        });
    }

    fn link_events(&mut self) -> Vec<LinkEvent> {
        let mut events = Vec::new();
        for table in self.record.tables("link_event") {
            let link: String = table.value("link");
            if table.has("link") && !self.links.iter().any(|l| l.name == link) {
                let known: Vec<&str> = self.links.iter().map(|l| l.name.as_str()).collect();
                let label = format!("links are {}", shortened(&known));
                let message = format!("there is no link `{link}`");
                let place = table.place_of("link").clone();
                self.wrong(&place, message, label);
            }
            events.push(LinkEvent { at: table.value("at"), link, up: table.value("up") });
        }
        events
    }
}

/// The first words of a long list.
fn shortened(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    if names.is_empty() {
        return "none".to_owned();
    }
    let more = names.len().saturating_sub(SHOWN);
    let list = words::list(names.iter().take(SHOWN));
    if more == 0 { list } else { format!("{list} and {more} more") }
}
