//! The load balancing rules of a scenario's directors.

use super::{HostScript, KeepalivedFile, Reading};
use crate::build::later;
use crate::diagnostic::{At, FileId, Place, Problem};
use crate::format::Record;
use crate::import::commands::{self, Remark};
use crate::import::ipvsadm::{self, Names, Rules};
use crate::import::keepalived;
use schedulers::Algorithm;
use sim_core::config::{IpvsConfig, IpvsSysctl, Net};
use sim_core::ipvs::rules::Forwarding;
use std::net::IpAddr;

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
    /// Whether the rules are those that its keepalived makes as long as all real servers are up.
    pub kept: bool,
}

/// Reads the rules of every `[[director]]`, with the forwarding method of the variant.
/// Commands of ipvsadm that a host types are rules as well.
pub(super) fn read(
    record: &Record,
    scripts: &[HostScript],
    keepalived: &[KeepalivedFile],
    reading: &mut Reading<'_>,
) -> Vec<DirectorRules> {
    let mut directors = Vec::new();
    for table in record.tables("director") {
        let (rules, mut given) = texts(table, record, reading);
        let mine = |f: &&KeepalivedFile| {
            table.has("keepalived") && f.place == *table.place_of("keepalived")
        };
        let kept = if given { None } else { keepalived.iter().find(mine) };
        given |= kept.is_some();
        let of_file = |f: &KeepalivedFile| f.configuration.destinations();
        let mut rules = rules.or_else(|| kept.map(of_file)).unwrap_or_default();
        if let Some(sysctl) = table.table("sysctl") {
            rules.config.sysctl = patched(IpvsSysctl::default(), sysctl);
        }
        let host = table.get("host");
        let place = if host.is_some() { table.place_of("host") } else { &table.place };
        let kept = kept.is_some();
        directors.push(DirectorRules { host, place: place.clone(), rules, given, kept });
    }
    typed(record, scripts, &mut directors, &mut reading.problems);
    // the first directors are those of the tables
    for (table, director) in record.tables("director").into_iter().zip(&mut directors) {
        local_addresses(table, &mut director.rules.config);
    }
    for director in &mut directors {
        if let Some(method) = forwarding(record) {
            ipvsadm::set_forwarding(&mut director.rules.config, method);
        }
        if let Some(scheduler) = scheduler(record) {
            ipvsadm::set_scheduler(&mut director.rules.config, scheduler);
        }
    }
    directors
}

/// Gives the local addresses of a table to the services that have none of their own.
pub(crate) fn local_addresses(table: &Record, config: &mut IpvsConfig) {
    let lists = table.list::<Vec<IpAddr>>("local_addresses");
    let all: Vec<IpAddr> = lists.into_iter().flat_map(|l| l.value).collect();
    for service in config.services.iter_mut().filter(|s| s.local_addresses.is_empty()) {
        let v6 = ipvsadm::is_v6(service.key);
        service.local_addresses = all.iter().filter(|a| a.is_ipv6() == v6).copied().collect();
    }
}

/// The settings with those that a table writes.
pub(super) fn patched(mut sysctl: IpvsSysctl, table: &Record) -> IpvsSysctl {
    macro_rules! take {
        ($($name:ident),* $(,)?) => {
            $(sysctl.$name = table.get(stringify!($name)).unwrap_or(sysctl.$name);)*
        };
    }
    take!(amemthresh, am_droprate, backup_only, cache_bypass, conn_reuse_mode, conntrack);
    take!(drop_entry, drop_packet, secure_tcp, expire_nodest_conn, expire_quiescent_template);
    take!(ignore_tunneled, lblc_expiration, lblcr_expiration, nat_icmp_send, pmtu_disc);
    take!(run_estimation, schedule_icmp, sloppy_tcp, sloppy_sctp, snat_reroute);
    take!(sync_persist_mode, sync_refresh_period, sync_retries);
    let mut threshold = table.list::<u32>("sync_threshold").into_iter().map(|n| n.value);
    sysctl.sync_threshold.0 = threshold.next().unwrap_or(sysctl.sync_threshold.0);
    sysctl.sync_threshold.1 = threshold.next().unwrap_or(sysctl.sync_threshold.1);
    sysctl
}

/// Adds the rules that hosts type.
fn typed(
    record: &Record,
    scripts: &[HostScript],
    directors: &mut Vec<DirectorRules>,
    problems: &mut Vec<Problem>,
) {
    let of_cluster = record.table("cluster").map(|c| director_names(c).0);
    let names = names(record);
    for script in scripts {
        let Some(rules) = commands::rules(&script.commands, &names, problems) else { continue };
        let host = script.host.as_ref().map(|h| h.value.clone());
        let name = host.clone().or_else(|| of_cluster.clone());
        let same = |d: &&mut DirectorRules| d.host.clone().or_else(|| of_cluster.clone()) == name;
        match directors.iter_mut().find(same) {
            Some(director) if director.given => {
                let message = "rules are given twice, by ipvsadm in `setup` and by other rules";
                problems.push(Problem::new(&script.place, message, "keep one of them"));
            }
            Some(director) => {
                let sysctl = director.rules.config.sysctl;
                director.rules = rules;
                director.rules.config.sysctl = sysctl;
                director.given = true;
            }
            None => {
                let place = script.place.clone();
                directors.push(DirectorRules { host, place, rules, given: true, kept: false });
            }
        }
    }
}

/// The name of the director of a cluster, or of its directors together, and the names of the hosts.
pub(crate) fn director_names(cluster: &Record) -> (String, Vec<String>) {
    let table = cluster.table("director");
    let count: u32 = table.map_or(1, |t| t.value("count"));
    let usual = if count > 1 { "d" } else { "director" };
    let name: String = table.and_then(|t| t.get("name")).unwrap_or_else(|| usual.to_owned());
    if count <= 1 {
        return (name.clone(), vec![name]);
    }
    let members = (1..=count).map(|n| format!("{name}{n}")).collect();
    (name, members)
}

/// The method that `forwarding` gives to all destinations.
pub(crate) fn forwarding(record: &Record) -> Option<Forwarding> {
    let name: String = record.get("forwarding")?;
    [Forwarding::Nat, Forwarding::Dr, Forwarding::Tun, Forwarding::FullNat]
        .into_iter()
        .find(|f| f.name() == name)
}

/// The scheduler that `scheduler` gives to all services.
pub(crate) fn scheduler(record: &Record) -> Option<Algorithm> {
    record.get::<String>("scheduler")?.parse().ok()
}

fn texts(table: &Record, record: &Record, reading: &mut Reading<'_>) -> (Option<Rules>, bool) {
    let names = names(record);
    let inline = table.at::<String>("rules");
    let file = table.at::<String>("rules_file");
    if let (Some(_), Some(file)) = (&inline, &file) {
        let message = "rules are given twice, by `rules` and by `rules_file`";
        reading.problems.push(Problem::new(&file.place, message, "keep one of them"));
    }
    if let Some(at) = inline {
        let (file, base) = place_of_text(&at, "rules", reading);
        let rules = ipvsadm::read(file, base, &at.value, &names, &mut reading.problems);
        return (Some(rules), true);
    }
    let Some(file) = file else { return (None, false) };
    match reading.files.read(&file.value) {
        Ok(text) => {
            let id = reading.sources.add_once(&file.value, &text);
            if keepalived::looks_like(&text) {
                return (Some(from_keepalived(id, &file, table, record, reading)), true);
            }
            let rules = ipvsadm::read_file(&reading.sources, id, &names, &mut reading.problems);
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

/// The rules that keepalived makes of its configuration while all real servers are up. What it reports
/// and passes over is remarked, as it starts nevertheless.
fn from_keepalived(
    id: FileId,
    file: &At<String>,
    table: &Record,
    record: &Record,
    reading: &mut Reading<'_>,
) -> Rules {
    let name = table.get::<String>("host").or_else(|| {
        let director = record.table("cluster")?.table("director");
        director.and_then(|d| d.get("name")).or_else(|| Some("director".to_owned()))
    });
    let config_id = name.and_then(|n| n.split('.').next().map(str::to_owned));
    let options = keepalived::Options { config_id };
    let (all, mut findings) = keepalived::read(&mut reading.sources, id, reading.files, &options);
    let rules = all.rules(&mut findings);
    if rules.config.services.is_empty() {
        let message = format!("`{}` gives the director no service", file.value);
        let problem = Problem::new(&file.place, message, "no `virtual_server` in it counts");
        reading.problems.push(problem.help("`lvsim check` tells what keepalived says about it"));
    }
    for problem in findings.problems.into_iter().chain(findings.consequences) {
        if let Some(place) = problem.place {
            reading.remark(Remark { place, message: format!("keepalived: {}", problem.message) });
        }
    }
    findings.remarks.into_iter().for_each(|r| reading.remark(r));
    rules
}

/// The source of a text in a scenario and its offset there: the scenario itself where the text stands
/// in it without escapes, so that problems can point into it, else a source of its own.
pub(super) fn place_of_text(
    at: &At<String>,
    name: &str,
    reading: &mut Reading<'_>,
) -> (FileId, usize) {
    let source = reading.sources.text(at.place.file);
    let quoted = source.get(at.place.span.clone()).unwrap_or("");
    match quoted.find(&at.value) {
        Some(offset) => (at.place.file, at.place.span.start + offset),
        None => (reading.sources.add(name, at.value.as_str()), 0),
    }
}

/// The hosts whose addresses the scenario states.
fn names(record: &Record) -> Names {
    let mut names = Names::default();
    for host in record.tables("host") {
        let first = host.tables("interfaces").into_iter().flat_map(|i| i.list::<Net>("addresses"));
        let Some(first) = first.map(|a| a.value.addr).next() else { continue };
        let name: String = host.value("name");
        match host.get::<u32>("count") {
            None => names.add(name, first),
            Some(count) => add_all(&mut names, &name, (0..count).map(|n| later(first, n))),
        }
    }
    let Some(cluster) = record.table("cluster") else { return names };
    if let Some(router) = cluster.table("router")
        && let Some(address) = router.get("address")
    {
        names.add(router.value::<String>("name"), address);
    }
    if let Some(address) = cluster.table("director").and_then(|t| t.get("address")) {
        names.add(director_names(cluster).1.swap_remove(0), address);
    }
    if let Some(servers) = cluster.table("real_servers") {
        let name: String = servers.value("name");
        add_all(&mut names, &name, servers.list("addresses").into_iter().map(|a| a.value));
        if let (Some(first), Some(count)) = (servers.get("first_address"), servers.get("count")) {
            add_all(&mut names, &name, (0..count).map(|n| later(first, n)));
        }
    }
    names
}

/// Gives addresses the names NAME1, NAME2, ...
fn add_all(names: &mut Names, name: &str, addresses: impl Iterator<Item = IpAddr>) {
    for (n, address) in addresses.enumerate() {
        names.add(format!("{name}{}", n + 1), address);
    }
}
