//! The commands that a scenario gives its hosts, by `setup` and `setup_file`.

use super::Reading;
use super::files::Files;
use super::rules::{director_names, place_of_text};
use crate::diagnostic::{At, Place, Problem, Sources};
use crate::format::Record;
use crate::format::tree::{Node, Raw};
use crate::import::commands::{self, Command, Context, Findings};

/// The commands of a host, or of all hosts that one table makes.
#[derive(Clone, Debug)]
pub struct HostScript {
    /// The host; `None`: the director of the cluster.
    pub host: Option<At<String>>,
    /// Its commands in order.
    pub commands: Vec<Command>,
    /// Where they are stated.
    pub place: Place,
}

/// Reads the commands of all tables that have some.
pub(super) fn read(record: &Record, reading: &mut Reading<'_>) -> Vec<HostScript> {
    let variables = variables(record, &mut reading.problems);
    let mut scripts = Vec::new();
    let cluster = record.table("cluster");
    for name in ["router", "director", "real_servers", "clients"] {
        let Some(table) = cluster.and_then(|c| c.table(name)) else { continue };
        let name = match cluster {
            Some(cluster) if name == "director" => director_names(cluster).0,
            _ => table.value("name"),
        };
        let host = At::new(name, table.place_of("name").clone());
        scripts.extend(of_table(table, Some(host), &variables, reading));
    }
    for table in record.tables("director") {
        scripts.extend(of_table(table, table.at("host"), &variables, reading));
    }
    for table in record.tables("host") {
        if let Some(name) = table.at::<String>("name") {
            scripts.extend(of_table(table, Some(name), &variables, reading));
        }
    }
    scripts
}

/// `[variables]`: names and texts or numbers.
fn variables(record: &Record, problems: &mut Vec<Problem>) -> Vec<(String, String)> {
    let Some(Node { value, place }) = record.get::<Node>("variables") else { return Vec::new() };
    let Raw::Table(table) = value else {
        problems.push(Problem::new(&place, "[variables] is no table", "expected NAME = \"VALUE\""));
        return Vec::new();
    };
    let mut variables = Vec::new();
    for entry in table.entries {
        let value = match entry.node.value {
            Raw::Text(text) => text,
            Raw::Integer(number) => number.to_string(),
            other => {
                let message = format!("{} is no value of a variable", other.describe());
                problems.push(Problem::new(
                    &entry.node.place,
                    message,
                    "expected a text or a number",
                ));
                continue;
            }
        };
        variables.push((entry.key, value));
    }
    // a name that contains another one is filled in first
    variables.sort_by_key(|(name, _)| core::cmp::Reverse(name.len()));
    variables
}

fn of_table(
    table: &Record,
    host: Option<At<String>>,
    variables: &[(String, String)],
    reading: &mut Reading<'_>,
) -> Option<HostScript> {
    let inline = table.at::<String>("setup");
    let file = table.at::<String>("setup_file");
    if let (Some(_), Some(file)) = (&inline, &file) {
        let message = "commands are given twice, by `setup` and by `setup_file`";
        reading.problems.push(Problem::new(&file.place, message, "keep one of them"));
    }
    let (id, base, text, place) = if let Some(at) = inline {
        let (id, base) = place_of_text(&at, "setup", reading);
        (id, base, at.value, at.place)
    } else {
        let file = file?;
        match reading.files.read(&file.value) {
            Ok(text) => (reading.sources.add_once(&file.value, &text), 0, text, file.place),
            Err(why) => {
                let message = format!("cannot read the file `{}`: {why}", file.value);
                reading.problems.push(Problem::new(
                    &file.place,
                    message,
                    "relative to the scenario",
                ));
                return None;
            }
        }
    };
    let mut findings = Findings::default();
    let (sources, files): (&mut Sources, &dyn Files) = (&mut reading.sources, reading.files);
    let mut open = |name: &str| {
        let text = files.read(name).ok()?;
        Some((sources.add_once(name, &text), text))
    };
    let mut context = Context { variables, open: &mut open };
    let commands = commands::read(id, base, &text, &mut context, &mut findings);
    reading.problems.append(&mut findings.problems);
    for remark in findings.remarks {
        reading.remark(remark);
    }
    Some(HostScript { host, commands, place })
}
