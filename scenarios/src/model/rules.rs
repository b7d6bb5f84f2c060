//! The load balancing rules of a scenario's directors.

use super::Reading;
use crate::diagnostic::{Place, Problem};
use crate::format::Record;
use crate::import::ipvsadm::{self, Names, Rules};
use schedulers::Algorithm;
use sim_core::config::IpvsSysctl;
use sim_core::ipvs::rules::Forwarding;

/// A `[[director]]` with its rules.
#[derive(Clone, Debug)]
pub struct DirectorRules {
    /// The host; `None`: the director of the cluster.
    pub host: Option<String>,
    /// Where the table stands.
    pub place: Place,
    /// Its rules with the settings.
    pub rules: Rules,
    /// Whether it has any rules of its own.
    pub given: bool,
}

/// Reads the rules of every `[[director]]`, with the forwarding method of the variant.
pub(super) fn read(record: &Record, reading: &mut Reading<'_>) -> Vec<DirectorRules> {
    let method = forwarding(record);
    let mut directors = Vec::new();
    for table in record.tables("director") {
        let (rules, given) = texts(table, reading);
        let mut rules = rules.unwrap_or_default();
        if let Some(method) = method {
            ipvsadm::set_forwarding(&mut rules.config, method);
        }
        if let Some(scheduler) = scheduler(record) {
            ipvsadm::set_scheduler(&mut rules.config, scheduler);
        }
        if let Some(sysctl) = table.table("sysctl") {
            rules.config.sysctl = IpvsSysctl {
                conn_reuse_mode: sysctl.value("conn_reuse_mode"),
                expire_nodest_conn: sysctl.value("expire_nodest_conn"),
                sloppy_tcp: sysctl.value("sloppy_tcp"),
                pmtu_disc: sysctl.value("pmtu_disc"),
                ..IpvsSysctl::default()
            };
        }
        let host = table.get("host");
        let place = if host.is_some() { table.place_of("host") } else { &table.place };
        directors.push(DirectorRules { host, place: place.clone(), rules, given });
    }
    directors
}

/// The method that `forwarding` gives to all destinations.
pub(crate) fn forwarding(record: &Record) -> Option<Forwarding> {
    let name: String = record.get("forwarding")?;
    [Forwarding::Nat, Forwarding::Dr, Forwarding::Tun].into_iter().find(|f| f.name() == name)
}

/// The scheduler that `scheduler` gives to all services.
pub(crate) fn scheduler(record: &Record) -> Option<Algorithm> {
    record.get::<String>("scheduler")?.parse().ok()
}

fn texts(table: &Record, reading: &mut Reading<'_>) -> (Option<Rules>, bool) {
    let inline = table.at::<String>("rules");
    let file = table.at::<String>("rules_file");
    if let (Some(_), Some(file)) = (&inline, &file) {
        let message = "rules are given twice, by `rules` and by `rules_file`";
        reading.problems.push(Problem::new(&file.place, message, "keep one of them"));
    }
    if let Some(at) = inline {
        let source = reading.sources.text(at.place.file);
        let quoted = source.get(at.place.span.clone()).unwrap_or("");
        // a text without escapes stands in the file as it is, and problems can point into it
        let rules = if let Some(offset) = quoted.find(&at.value) {
            let base = at.place.span.start + offset;
            ipvsadm::read(at.place.file, base, &at.value, Names::NONE, &mut reading.problems)
        } else {
            let id = reading.sources.add("rules", at.value.as_str());
            ipvsadm::read(id, 0, &at.value, Names::NONE, &mut reading.problems)
        };
        return (Some(rules), true);
    }
    let Some(file) = file else { return (None, false) };
    match reading.files.read(&file.value) {
        Ok(text) => {
            let id = reading.sources.add_once(&file.value, &text);
            let rules =
                ipvsadm::read_file(&reading.sources, id, Names::NONE, &mut reading.problems);
            (Some(rules), true)
        }
        Err(why) => {
            let message = format!("cannot read the rules file `{}`: {why}", file.value);
            let problem = Problem::new(&file.place, message, "relative to the scenario");
            reading.problems.push(problem);
            (None, true)
        }
    }
}
