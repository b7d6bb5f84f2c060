//! A case of heartbeat as a scenario: its network, its files, what the experimenter did.

use super::scripts;
use crate::conform::ha::case::{Case, Event};
use crate::conform::ha::course::pool_changes;
use crate::conform::ha::lab::{Lab, PROBE, Texts, VIP, link_of, seconds};
use crate::conform::ha::probes;
use crate::diagnostic::render;
use crate::model::{self, Settings};
use sim_core::config::{
    ApplicationHarm, Boot, FaultConfig, FaultEnd, FaultKind, FaultStart, HostConfig, Process,
    ProgramHarm, ResetFailure, Resource, ResourceKind, Runs, StonithConfig, Traffic, WorldConfig,
};
use sim_core::engine::{Span, Time};
use sim_core::wire::proto;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The nodes of all cases.
pub(super) const NODES: [&str; 2] = ["lvs1", "lvs2"];
/// How long after the end of a recording it is played on.
const BEYOND: Span = Span::from_millis(300);
/// Least time between two requests of the client.
const PACE: Span = Span::from_millis(200);
/// UDP port of heartbeat.
const PORT: u16 = 694;

/// A case, ready to be played.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The world.
    pub config: WorldConfig,
    /// The nodes, which are directors.
    pub directors: Vec<String>,
    /// When the play ends.
    pub end: Time,
    /// `deadtime`.
    pub deadtime: Span,
    /// `keepalive`.
    pub keepalive: Span,
    /// Whether ldirectord keeps the pools.
    pub balanced: bool,
    /// Whether the directors themselves answer when all real servers are down.
    pub fallback: bool,
}

impl Plan {
    /// The plan of a case.
    ///
    /// # Errors
    /// What of it is not understood.
    pub fn new(case: &Case) -> Result<Self, String> {
        let files = files(case)?;
        let balanced = files.0.keys().any(|name| name.ends_with("ldirectord.cf"));
        let text = |name: &str| files.0.get(name).map(String::as_str).unwrap_or_default();
        let fallback = text("lvs1.ldirectord.cf").contains("fallback");
        let crossover = text("lvs1.ha.cf").contains("eth1");
        let keys = NODES.map(|node| {
            let mut keys = format!(
                "heartbeat = {{ ha_cf = \"{node}.ha.cf\", haresources = \"{node}.haresources\", \
                 authkeys = \"{node}.authkeys\", start = \"{}\" }}\n",
                first_start(case, node)
            );
            if balanced {
                let _infallible = writeln!(keys, "ldirectord = \"{node}.ldirectord.cf\"");
            }
            keys
        });
        let lab = Lab {
            directors: NODES.map(str::to_owned),
            crossover,
            keys,
            tables: tables(case, balanced, fallback),
        };
        let end = case.end + BEYOND;
        let toml = lab.scenario(end.as_nanos() as f64 / 1e9);
        let scenario = model::load("case.toml", &toml, &files, &Settings::default())
            .map_err(|f| render(&f.sources, &f.problems, false))?;
        let mut config =
            scenario.variants.into_iter().next().map(|v| v.config).ok_or("no variant")?;
        for host in &mut config.hosts {
            recorded(case, host);
        }
        config.faults = faults(case)?;
        let first = config.hosts.iter().find_map(|h| h.heartbeat.as_ref()).ok_or("no heartbeat")?;
        let (deadtime, keepalive) = (first.deadtime, first.keepalive);
        let directors = NODES.map(str::to_owned).to_vec();
        Ok(Self { config, directors, end, deadtime, keepalive, balanced, fallback })
    }
}

/// The files of the nodes: those of a node, or of both.
fn files(case: &Case) -> Result<Texts, String> {
    let configs = case.configs.as_object().ok_or("no `configs`")?;
    let mut texts = BTreeMap::new();
    for (name, files) in configs {
        let files = files.as_object().ok_or("a configuration without files")?;
        let nodes: Vec<&str> = match NODES.iter().find(|n| *n == name) {
            Some(node) => vec![node],
            None => NODES.to_vec(),
        };
        for node in nodes {
            for (file, text) in files {
                let text = text.as_str().ok_or("a file that is no text")?;
                texts.insert(format!("{node}.{file}"), text.to_owned());
            }
        }
    }
    Ok(Texts(texts))
}

/// When the init script of a node was first called.
fn first_start(case: &Case, node: &str) -> String {
    let starts = case.events_with("heartbeat start").filter(|e| e.host.as_deref() == Some(node));
    starts.map(|e| seconds(e.at)).next().unwrap_or_else(|| "never".to_owned())
}

/// The requests of the client, and the table of directors that keep none themselves.
fn tables(case: &Case, balanced: bool, fallback: bool) -> String {
    let starts = probes::paced(&case.seen.requests, PACE, false, case.end);
    let starts: Vec<String> = starts.into_iter().map(seconds).collect();
    let mut text = format!(
        "\n[[client]]\nname = \"{PROBE}\"\nhosts = \"client\"\ntarget = \"{VIP}:80\"\n\
         request = \"20B\"\ntimeout = \"{}ms\"\nload = \"at({})\"\n",
        probes::PATIENCE.as_nanos() / 1_000_000,
        starts.join(", ")
    );
    if !balanced {
        for node in NODES {
            let _infallible = write!(
                text,
                "\n[[director]]\nhost = \"{node}\"\nrules = '''\n-A -t {VIP}:80 -s rr\n\
                 -a -t {VIP}:80 -r 192.168.10.11:80 -g -w 1\n-a -t {VIP}:80 -r 192.168.10.12:80 -g -w 1\n'''\n"
            );
        }
    }
    if fallback {
        text += "\n[[server]]\nhosts = [\"lvs1\", \"lvs2\"]\nport = 80\nservice = \"1ms\"\nresponse = \"40B\"\n";
    }
    text
}

/// Gives a host what is taken from the recording: how long scripts took, and what its power switch did.
fn recorded(case: &Case, host: &mut HostConfig) {
    let node = host.name.clone();
    if let Some(heartbeat) = &mut host.heartbeat {
        let preferred = heartbeat.groups.iter().any(|g| g.node == node);
        let resources = heartbeat.groups.iter().map(|g| g.resources.len()).max().unwrap_or(0);
        heartbeat.scripts = scripts::times(case, &node, preferred, resources);
        let nowhere = |r: &Resource| match &r.kind {
            ResourceKind::Address { interface: Some(name), .. } => {
                !host.interfaces.iter().any(|i| i.name == *name)
            }
            _ => false,
        };
        for group in &mut heartbeat.groups {
            for resource in &mut group.resources {
                resource.fails |= nowhere(resource);
            }
        }
        if let Some(stonith) = &mut heartbeat.stonith {
            device(case, &node, stonith);
        }
    }
    if let Some(ldirectord) = &mut host.ldirectord {
        let logged = |words: &[&str]| {
            let mut lines = case.log.iter().filter(|l| l.host == node);
            lines.find(|l| words.iter().all(|w| l.text.contains(w))).map(|l| l.at)
        };
        let started = logged(&["resource.d/ldirectord", " start"]);
        let service = logged(&["Added virtual server"]);
        if let (Some(started), Some(service)) = (started, service) {
            ldirectord.load = Runs::each(service.saturating_since(started));
            ldirectord.command = calls(case, &node, service);
            for service in &mut ldirectord.virtuals {
                let first = logged(&["Added real server: 192.168.10.12"]);
                let second = logged(&["Added real server: 192.168.10.11"]);
                service.start_order = if first < second { vec![1, 0] } else { vec![0, 1] };
            }
        }
    }
}

/// How long the calls of ipvsadm took, from the changes of the table at the start; later ones as long as their
/// mean.
fn calls(case: &Case, node: &str, service: Time) -> Runs {
    let changes = pool_changes(&case.seen);
    let mine = changes.iter().filter(|c| c.host == node && c.server.is_some() && c.at > service);
    let mut times: Vec<Time> = mine.map(|c| c.at).take(4).collect();
    times.insert(0, service);
    let mut runs: Vec<Span> = vec![Span::ZERO];
    runs.extend(times.windows(2).map(|w| w[1].saturating_since(w[0])));
    let sum: u64 = runs.iter().map(|r| r.as_nanos()).sum();
    let mean = Span::from_nanos(sum / (runs.len() as u64 - 1).max(1));
    runs.push(mean);
    Runs(runs)
}

/// What the power switch of a node did: plugins of the laboratory.
fn device(case: &Case, node: &str, stonith: &mut StonithConfig) {
    let dead = case.log.iter().find(|l| l.host == node && l.text.contains("is dead"));
    let Some(dead) = dead.map(|l| l.at) else { return };
    stonith.power_back = None;
    let works = stonith.device == "null";
    if works || stonith.device == "external/labfail" {
        let mut told = case.seen.messages.iter().filter(|m| m.from == node && m.at > dead);
        let told = told.find(|m| m.kind == "stonith").map(|m| m.at.saturating_since(dead));
        stonith.reset = told.unwrap_or(if works { Span::ZERO } else { Span::from_secs(2) });
        stonith.cut = stonith.reset;
        stonith.failure = if works { ResetFailure::Never } else { ResetFailure::Always };
        return;
    }
    // the requests were served in the order lvs1, lvs2: the second one came too late
    let event = case.events_with("POWER CUT").next();
    let by = event.is_some_and(|e| e.what.ends_with(node));
    let span = event.map_or(Span::from_secs(2), |e| e.at.saturating_since(dead));
    stonith.cut = if by { span } else { span + Span::from_secs(5) };
    let reset = case.log.iter().find(|l| l.host == node && l.text.contains("now reset"));
    let done = reset.map(|l| l.at.saturating_since(dead));
    stonith.reset = done.unwrap_or(stonith.cut).max(stonith.cut);
}

/// What the experimenter did, as faults.
fn faults(case: &Case) -> Result<Vec<FaultConfig>, String> {
    let mut faults = Vec::new();
    let mut begun: Vec<&str> = Vec::new();
    for (n, event) in case.events.iter().enumerate() {
        let here = event.host.as_deref().unwrap_or_default();
        if event.what.ends_with("heartbeat start") {
            // the first start is a key of the host
            if begun.contains(&here) {
                // a host that has just got its power boots first
                let at = event.at + Span::from_millis(5);
                add(&mut faults, program(here, ProgramHarm::Start), at, None);
            }
            begun.push(here);
            continue;
        }
        for (what, end) in harms(case, n, event)? {
            add(&mut faults, what, event.at, end);
        }
    }
    Ok(faults)
}

fn add(faults: &mut Vec<FaultConfig>, what: FaultKind, at: Time, end: Option<Time>) {
    faults.push(FaultConfig {
        name: format!("event {}", faults.len()),
        what,
        when: FaultStart::At(vec![at.saturating_since(Time::ZERO)]),
        end: end.map_or(FaultEnd::Never, |t| FaultEnd::At(t.saturating_since(Time::ZERO))),
    });
}

fn program(host: &str, harm: ProgramHarm) -> FaultKind {
    FaultKind::Program { hosts: vec![host.to_owned()], process: Process::Heartbeat, harm }
}

/// What an event does, each with its end.
fn harms(case: &Case, n: usize, event: &Event) -> Result<Vec<(FaultKind, Option<Time>)>, String> {
    let here = event.host.clone().unwrap_or_default();
    let until = |words: &str| {
        let mut later = case.events.iter().skip(n + 1).filter(|e| e.host == event.host);
        later.find(|e| e.what.contains(words)).map(|e| e.at)
    };
    let what = event.what.as_str();
    Ok(match what {
        _ if what.starts_with("host power-off") => {
            let boot = Boot { programs: false, ..Boot::default() };
            let loss =
                FaultKind::PowerLoss { hosts: vec![here], switches: Vec::new(), boot: Some(boot) };
            vec![(loss, until("powered on again"))]
        }
        _ if what.starts_with("kill -9 of all heartbeat processes") => {
            vec![(program(&here, ProgramHarm::Kill), None)]
        }
        "clean stop: heartbeat -k" => vec![(program(&here, ProgramHarm::Stop), None)],
        "all processes of the host stopped (SIGSTOP)" => {
            vec![(program(&here, ProgramHarm::Freeze), until("continued"))]
        }
        "server process killed (port closed)" => {
            let harm = ApplicationHarm::Kill;
            let killed = FaultKind::Application { hosts: vec![here], port: None, harm };
            vec![(killed, until("server process started"))]
        }
        _ if what.starts_with("heartbeats (UDP 694 on eth0) dropped at") => {
            let deaf = NODES.iter().filter(|node| what.contains(**node));
            let loss = |node: &&str| FaultKind::Impairment {
                links: vec![(link_of(node), Some((*node).to_owned()))],
                traffic: Traffic::Ip { protocol: proto::UDP, port: Some(PORT) },
                loss: 1.0,
                delay: None,
            };
            deaf.map(|node| (loss(node), until("healed"))).collect()
        }
        _ if what.starts_with("eth1 down") => {
            vec![(FaultKind::LinkDown { links: vec!["crossover".to_owned()] }, until("eth1 up"))]
        }
        _ if what.ends_with("link down") => {
            let host = what.split(' ').next().unwrap_or_default();
            vec![(FaultKind::LinkDown { links: vec![link_of(host)] }, until("link up"))]
        }
        // follow from what was done before
        _ if what.starts_with("POWER CUT") => Vec::new(),
        _ if ["healed", "eth1 up", "host powered on"].iter().any(|w| what.starts_with(w))
            || what.contains("continued")
            || what.ends_with("link up")
            || what == "server process started" =>
        {
            Vec::new()
        }
        _ => return Err(format!("the event \"{what}\" is not understood")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_of_both_nodes_is_given_to_each() {
        let summary = r#"{"case":"x","what":"","versions":{"heartbeat":"3"},
            "configs":{"both (paths lvs1)":{"ha.cf":"a"}},"notes":{}}"#;
        let case = Case::parse(summary, "", "").unwrap();
        let names: Vec<String> = files(&case).unwrap().0.into_keys().collect();
        assert_eq!(names, ["lvs1.ha.cf", "lvs2.ha.cf"]);
    }
}
