//! The configurations that a scenario gives to heartbeat and ldirectord on its hosts.

use super::Reading;
use super::keepalived::{begin, source};
use crate::diagnostic::{At, FileId, Place, Problem};
use crate::format::Record;
use crate::import::commands::Remark;
use crate::import::findings::Findings;
use crate::import::heartbeat::authkeys::{self, AuthKeys};
use crate::import::heartbeat::ha_cf::{self, HaCf};
use crate::import::heartbeat::haresources::{self, HaResources};
use crate::import::heartbeat::{Side, compare};
use crate::import::ldirectord::{self, Ldirectord};
use sim_core::config::{ResetFailure, Runs, ScriptTimes};
use sim_core::engine::Span;
use std::net::IpAddr;

/// heartbeat on a host, or on all hosts that one table makes.
#[derive(Clone, Debug)]
pub struct HeartbeatFiles {
    /// The host.
    pub host: At<String>,
    /// Where it is stated.
    pub place: Place,
    /// `uname -n`, if it is not the name of the host.
    pub node: Option<String>,
    /// `ha.cf`.
    pub ha: HaCf,
    /// `haresources`.
    pub resources: HaResources,
    /// `authkeys`, if there is one.
    pub keys: Option<AuthKeys>,
    /// When it begins; `None`: only when something starts it.
    pub start: Option<Span>,
    /// Resources whose start fails.
    pub failing: Vec<At<String>>,
    /// How long scripts take.
    pub scripts: ScriptTimes,
    /// What the device of a `stonith` line does.
    pub switch: PowerSwitch,
}

/// What a power switch does.
#[derive(Clone, PartialEq, Debug)]
pub struct PowerSwitch {
    /// How long a reset takes.
    pub reset: Span,
    /// From its begin to the cut.
    pub cut: Span,
    /// When it fails.
    pub failure: ResetFailure,
    /// When the power comes back.
    pub power_back: Option<Span>,
    /// Where it is reached.
    pub address: Option<(IpAddr, u16)>,
}

/// ldirectord on a host, or on all hosts that one table makes.
#[derive(Clone, Debug)]
pub struct LdirectordFile {
    /// The host.
    pub host: At<String>,
    /// Where it is stated.
    pub place: Place,
    /// What the file says.
    pub configuration: Ldirectord,
    /// When it begins; `None`: only when something starts it.
    pub start: Option<Span>,
}

/// Reads the `heartbeat` and `ldirectord` of every `[[host]]`.
pub(super) fn read(
    record: &Record,
    reading: &mut Reading<'_>,
) -> (Vec<HeartbeatFiles>, Vec<LdirectordFile>) {
    let (mut nodes, mut directors) = (Vec::new(), Vec::new());
    for table in record.tables("host") {
        let Some(host) = table.at::<String>("name") else { continue };
        if let Some(inner) = table.table("heartbeat") {
            nodes.extend(heartbeat(table, inner, &host, reading));
        }
        directors.extend(ldirectord(table, &host, reading));
    }
    let sides: Vec<Side<'_>> = nodes.iter().map(side).collect();
    let said: Vec<Problem> = if sides.len() > 2 { Vec::new() } else { compare(&sides) };
    for problem in said {
        remark(problem, "heartbeat", reading);
    }
    (nodes, directors)
}

fn side(files: &HeartbeatFiles) -> Side<'_> {
    Side {
        node: Some(files.node.as_ref().unwrap_or(&files.host.value)),
        ha: Some(&files.ha),
        resources: Some(&files.resources),
        keys: files.keys.as_ref(),
    }
}

/// A warning of the program becomes a remark of the scenario.
fn remark(problem: Problem, program: &str, reading: &mut Reading<'_>) {
    if let Some(place) = problem.place {
        reading.remark(Remark { place, message: format!("{program}: {}", problem.message) });
    }
}

/// Takes what was noticed in a file: with an error the program does not start.
fn take(findings: Findings, program: &str, reading: &mut Reading<'_>) {
    let Findings { errors, warnings, remarks } = findings;
    reading.problems.extend(errors);
    for warning in warnings {
        remark(warning, program, reading);
    }
    for one in remarks {
        reading.remark(one);
    }
}

fn file(table: &Record, key: &str, name: &str, reading: &mut Reading<'_>) -> Option<FileId> {
    let at = table.at::<String>(key)?;
    source(&at, (key, name), |text| text.contains(['\n', ' ', '=']), reading)
}

fn heartbeat(
    host_table: &Record,
    table: &Record,
    host: &At<String>,
    reading: &mut Reading<'_>,
) -> Option<HeartbeatFiles> {
    let place = host_table.place_of("heartbeat").clone();
    let ha = file(table, "ha_cf", "ha.cf", reading)?;
    let (ha, findings) = ha_cf::read(&reading.sources, ha);
    take(findings, "heartbeat", reading);
    if ha.crm {
        let message = "this ha.cf leaves resources to a cluster resource manager";
        let label = "here heartbeat keeps them itself: `crm no`";
        reading.problems.push(Problem::new(&place, message, label));
    }
    let resources = match file(table, "haresources", "haresources", reading) {
        Some(file) => {
            let (resources, findings) = haresources::read(&reading.sources, file);
            take(findings, "heartbeat", reading);
            resources
        }
        None => HaResources::default(),
    };
    let keys = file(table, "authkeys", "authkeys", reading).map(|file| {
        let (keys, findings) = authkeys::read(&reading.sources, file);
        take(findings, "heartbeat", reading);
        keys
    });
    let start = begin(table, ("start", "heartbeat"), reading);
    Some(HeartbeatFiles {
        host: host.clone(),
        place,
        node: table.get("node"),
        ha,
        resources,
        keys,
        start,
        failing: table.list("failing"),
        scripts: table.table("scripts").map(times).unwrap_or_default(),
        switch: power_switch(table.table("power_switch"), reading),
    })
}

/// The times of scripts, those that are not stated by default.
fn times(table: &Record) -> ScriptTimes {
    let mut times = ScriptTimes::default();
    macro_rules! take {
        ($($name:ident),* $(,)?) => {
            $(if table.has(stringify!($name)) {
                let stated = table.list::<Span>(stringify!($name));
                times.$name = Runs(stated.into_iter().map(|s| s.value).collect());
            })*
        };
    }
    take!(boot, query_none, query, acquire, take_over, start, acquired);
    take!(release, stop, released, restart, announce);
    times
}

fn power_switch(table: Option<&Record>, reading: &mut Reading<'_>) -> PowerSwitch {
    let seconds = Span::from_secs;
    let mut switch = PowerSwitch {
        reset: seconds(2),
        cut: seconds(2),
        failure: ResetFailure::Never,
        power_back: Some(seconds(10)),
        address: None,
    };
    let Some(table) = table else { return switch };
    switch.reset = table.value("reset");
    switch.cut = table.get("cut").unwrap_or(switch.reset);
    switch.address = table.get("address");
    switch.power_back = begin(table, ("power_back", "the power"), reading);
    let fails: String = table.value("fails");
    if let Some(failure) = failure(&fails) {
        switch.failure = failure;
    } else {
        let place = table.place_of("fails");
        let label = "expected \"never\", \"always\", \"first N\", or a probability: \"10%\"";
        reading.problems.push(Problem::new(place, "this is no way to fail", label));
    }
    if switch.cut > switch.reset {
        let place = table.place_of("cut");
        let label = format!("expected at most the time of a reset, {}", switch.reset);
        reading.problems.push(Problem::new(
            place,
            "the power is cut after the reset is done",
            label,
        ));
    }
    switch
}

fn failure(text: &str) -> Option<ResetFailure> {
    let share = |t: &str| crate::expect::number(t).filter(|p| (0.0..=1.0).contains(p));
    match text {
        "never" => Some(ResetFailure::Never),
        "always" => Some(ResetFailure::Always),
        _ => match text.strip_prefix("first ") {
            Some(count) => count.trim().parse().ok().map(ResetFailure::First),
            None => share(text).map(ResetFailure::Chance),
        },
    }
}

fn ldirectord(
    table: &Record,
    host: &At<String>,
    reading: &mut Reading<'_>,
) -> Option<LdirectordFile> {
    if !table.has("ldirectord") {
        if table.has("ldirectord_start") {
            let message = "`ldirectord_start` is for a host with `ldirectord`";
            let place = table.place_of("ldirectord_start");
            reading.problems.push(Problem::new(place, message, "there is none here"));
        }
        return None;
    }
    let file = file(table, "ldirectord", "ldirectord.cf", reading)?;
    let (configuration, findings) = ldirectord::read(&reading.sources, file);
    take(findings, "ldirectord", reading);
    let stated = table.has("ldirectord_start");
    let start = match (stated, table.has("heartbeat")) {
        (true, _) => begin(table, ("ldirectord_start", "ldirectord"), reading),
        (false, true) => None,
        (false, false) => Some(Span::ZERO),
    };
    let place = table.place_of("ldirectord").clone();
    Some(LdirectordFile { host: host.clone(), place, configuration, start })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_switch_fails_in_four_ways() {
        assert_eq!(failure("never"), Some(ResetFailure::Never));
        assert_eq!(failure("first 3"), Some(ResetFailure::First(3)));
        assert_eq!(failure("25%"), Some(ResetFailure::Chance(0.25)));
        assert_eq!(failure("sometimes"), None);
        assert_eq!(failure("120%"), None);
    }
}
