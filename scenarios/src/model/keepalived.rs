//! The configurations that a scenario gives to keepalived on its hosts.

use super::Reading;
use super::rules::place_of_text;
use crate::build::keepalived::{Scheduled, Schedules, ScriptEnd, unknown};
use crate::diagnostic::{At, FileId, Place, Problem};
use crate::format::{Record, units};
use crate::import::commands::Remark;
use crate::import::keepalived::{self, Configuration};
use sim_core::config::IpvsConfig;
use sim_core::engine::Span;

/// keepalived on a host, or on all hosts that one table makes.
#[derive(Clone, Debug)]
pub struct KeepalivedFile {
    /// The host; `None`: the director of the cluster.
    pub host: Option<At<String>>,
    /// Where it is stated.
    pub place: Place,
    /// What the file says.
    pub configuration: Configuration,
    /// The rules it gives to IPVS while all real servers are up.
    pub rules: IpvsConfig,
    /// When keepalived begins; `None`: only when something starts it.
    pub start: Option<Span>,
    /// What becomes of what the file only names.
    pub schedules: Schedules,
}

/// Reads the `keepalived` of every `[[director]]` and `[[host]]`.
pub(super) fn read(record: &Record, reading: &mut Reading<'_>) -> Vec<KeepalivedFile> {
    let mut files = Vec::new();
    for table in record.tables("director") {
        files.extend(of_table(table, table.at("host"), record, reading));
    }
    for table in record.tables("host") {
        if let Some(name) = table.at::<String>("name") {
            files.extend(of_table(table, Some(name), record, reading));
        }
    }
    for (n, file) in files.iter().enumerate() {
        let name = |f: &KeepalivedFile| f.host.as_ref().map(|h| h.value.clone());
        if files[..n].iter().any(|f| name(f) == name(file)) {
            let message = "keepalived is given two configurations on this host";
            reading.problems.push(Problem::new(&file.place, message, "the second one"));
        }
    }
    scheduled(record, &mut files, reading);
    files
}

fn of_table(
    table: &Record,
    host: Option<At<String>>,
    record: &Record,
    reading: &mut Reading<'_>,
) -> Option<KeepalivedFile> {
    let Some(at) = table.at::<String>("keepalived") else {
        if table.has("keepalived_start") {
            let message = "`keepalived_start` is for a host with `keepalived`";
            let place = table.place_of("keepalived_start");
            reading.problems.push(Problem::new(place, message, "there is none here"));
        }
        return None;
    };
    let is_text = |text: &str| text.contains(['{', '\n']);
    let file = source(&at, ("keepalived", "keepalived.conf"), is_text, reading)?;
    let of_cluster = || {
        let director = record.table("cluster")?.table("director");
        director.and_then(|d| d.get("name")).or_else(|| Some("director".to_owned()))
    };
    let name = host.as_ref().map(|h| h.value.clone()).or_else(of_cluster);
    // keepalived takes the first part of the host's name
    let config_id = name.and_then(|n| n.split('.').next().map(str::to_owned));
    let options = keepalived::Options { config_id };
    let (configuration, mut findings) =
        keepalived::read(&mut reading.sources, file, reading.files, &options);
    for problem in findings.problems.drain(..).chain(findings.consequences.drain(..)) {
        if let Some(place) = problem.place {
            reading.remark(Remark { place, message: format!("keepalived: {}", problem.message) });
        }
    }
    for (place, keyword) in configuration.passed_over() {
        reading.remark(Remark { place, message: format!("{keyword} has no effect here") });
    }
    let rules = configuration.rules(&mut keepalived::Findings::default()).config;
    if configuration.instances.is_empty() && configuration.servers.is_empty() {
        let message = "keepalived has nothing to do here";
        let label = "neither a `vrrp_instance` nor a `virtual_server` in it counts";
        let help = "`lvsim check` tells what keepalived says about the file";
        reading.problems.push(Problem::new(&at.place, message, label).help(help));
    }
    Some(KeepalivedFile {
        host,
        place: at.place,
        configuration,
        rules,
        start: begin(table, ("keepalived_start", "keepalived"), reading),
        schedules: Schedules::default(),
    })
}

/// The text of a configuration: a file, or what stands in the scenario itself, told apart by `is_text`. `key`
/// is the key that has it, `kind` the name of such files.
pub(super) fn source(
    at: &At<String>,
    (key, kind): (&str, &str),
    is_text: impl Fn(&str) -> bool,
    reading: &mut Reading<'_>,
) -> Option<FileId> {
    if is_text(&at.value) {
        // a source of its own, with the lines of the scenario around it blank, so that places agree
        let (file, base) = place_of_text(at, key, reading);
        let text = reading.sources.text(file);
        let (before, after) = text.split_at(base.min(text.len()));
        let blank: String = before.chars().filter(|c| *c == '\n').collect();
        let own = after.get(..at.value.len()).unwrap_or(&at.value).to_owned();
        let name = reading.sources.name(file).to_owned();
        return Some(reading.sources.add(name, format!("{blank}{own}")));
    }
    match reading.files.read(&at.value) {
        Ok(text) => Some(reading.sources.add_once(&at.value, &text)),
        Err(why) => {
            let message = format!("cannot read the {kind} `{}`: {why}", at.value);
            let label = "relative to the scenario";
            reading.problems.push(Problem::new(&at.place, message, label));
            None
        }
    }
}

/// When something begins: a time, or `None` for "never".
pub(super) fn begin(
    table: &Record,
    (key, what): (&str, &str),
    reading: &mut Reading<'_>,
) -> Option<Span> {
    let text: String = table.value(key);
    if text == "never" {
        return None;
    }
    match units::span(&text) {
        Ok(span) => Some(span),
        Err(allowed) => {
            let place = table.place_of(key);
            let label = format!("expected {allowed}, or \"never\"");
            let message = format!("this is no time for {what} to begin");
            reading.problems.push(Problem::new(place, message, label));
            None
        }
    }
}

/// Gives the events of scripts, files and processes to the hosts that they are about.
fn scheduled(record: &Record, files: &mut [KeepalivedFile], reading: &mut Reading<'_>) {
    for table in record.tables("script_event") {
        let value = ScriptEnd {
            exit: table.value("exit"),
            duration: table.value("duration"),
            stubborn: table.value("stubborn"),
        };
        for (schedules, entry) in entries(table, "script", value, files, reading) {
            schedules.scripts.push(entry);
        }
    }
    for table in record.tables("file_event") {
        let value = table.get::<i32>("value").unwrap_or(0);
        for (schedules, entry) in entries(table, "file", value, files, reading) {
            schedules.files.push(entry);
        }
    }
    for table in record.tables("process_event") {
        let value = table.get::<u32>("count").unwrap_or(0);
        for (schedules, entry) in entries(table, "process", value, files, reading) {
            schedules.processes.push(entry);
        }
    }
    for file in files {
        for (place, message) in unknown(&file.schedules, &file.configuration) {
            let label = "the keepalived.conf of this host has none of this name";
            reading.problems.push(Problem::new(place, message, label));
        }
    }
}

/// The schedules that an event is for, each with the entry.
fn entries<'a, T: Copy>(
    table: &Record,
    key: &str,
    value: T,
    files: &'a mut [KeepalivedFile],
    reading: &mut Reading<'_>,
) -> Vec<(&'a mut Schedules, Scheduled<T>)> {
    let Some(name) = table.at::<String>(key) else { return Vec::new() };
    let hosts = table.list::<String>("hosts");
    for host in &hosts {
        let known = |f: &KeepalivedFile| f.host.as_ref().is_some_and(|h| h.value == host.value);
        if !files.iter().any(known) {
            let message = format!("keepalived does not run on `{}`", host.value);
            let label = "expected a host with `keepalived`";
            reading.problems.push(Problem::new(&host.place, message, label));
        }
    }
    let meant = |f: &KeepalivedFile| {
        let own = f.host.as_ref().map(|h| &h.value);
        hosts.is_empty() || hosts.iter().any(|h| Some(&h.value) == own)
    };
    let mut found = Vec::new();
    for file in files.iter_mut().filter(|f| meant(f)) {
        let entry = Scheduled {
            name: name.value.clone(),
            at: table.value("at"),
            value,
            place: name.place.clone(),
        };
        found.push((&mut file.schedules, entry));
    }
    found
}
