//! The files of a heartbeat cluster as its nodes.

mod media;
mod mend;

use super::facts::{Facts, Node, USUAL};
use super::kind::Kind;
use super::text::Keys;
use super::{Input, free_name, put};
use crate::diagnostic::{FileId, Problem, Sources, tidy};
use crate::import::findings::Findings;
use crate::import::heartbeat::authkeys;
use crate::import::heartbeat::ha_cf::{self, HaCf, Medium};
use crate::import::heartbeat::haresources::{self, HaResources, VirtualAddress};
use crate::import::ipvsadm;
use crate::import::ldirectord::{self, Host, Ldirectord, Target};
use crate::model::Failure;
use media::Ways;
use mend::Mended;
use sim_core::config::{IpvsConfig, Net};
use sim_core::engine::Span;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The nodes of a cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Cluster {
    pub(super) nodes: Vec<(Facts, Keys)>,
    /// What was guessed about the files.
    pub(super) guesses: Vec<String>,
}

/// The files of a node by their kinds.
type Set<'a> = BTreeMap<Kind, Input<'a>>;

/// From the start of both nodes until their resources run and are announced, beyond the initial dead time.
const START: Span = Span::from_secs(15);

/// Addresses that are tried for a VIP that no file states.
const GUESSED_VIP: u128 = 200;

/// Ports of programs that `haresources` may start, other than 80.
const PORTS: &[(&str, u16)] = &[
    ("mysql", 3306),
    ("mysqld", 3306),
    ("mariadb", 3306),
    ("postgresql", 5432),
    ("pgsql", 5432),
    ("db2", 50000),
    ("redis", 6379),
    ("squid", 3128),
    ("slapd", 389),
    ("ldap", 389),
    ("postfix", 25),
    ("sendmail", 25),
    ("dovecot", 143),
    ("vsftpd", 21),
    ("proftpd", 21),
    ("nfs", 2049),
    ("nfs-kernel-server", 2049),
    ("smb", 445),
    ("samba", 445),
];

/// Makes the nodes of a cluster from the files of one node, which are those of all, or of two nodes.
pub(super) fn cluster(
    inputs: &[(Kind, Input<'_>)],
    files: &mut Vec<(String, String)>,
) -> Result<Cluster, Box<Failure>> {
    let sets = sets(inputs)?;
    let mut reading = Reading::default();
    let raw: Vec<HaCf> = sets.iter().map(|s| reading.ha_cf(s, None)).collect();
    let resources: Vec<HaResources> = sets.iter().map(|s| reading.haresources(s, None)).collect();
    let names = nodes_of(&raw, &resources);
    let sets = in_order(sets, &names, &mut reading.guesses);
    // once more, in the order of the nodes
    let raw: Vec<HaCf> = sets.iter().map(|s| reading.ha_cf(s, None)).collect();
    let directors: Vec<Option<Ldirectord>> = sets.iter().map(|s| reading.ldirectord(s)).collect();
    let rules: Vec<Option<IpvsConfig>> = sets.iter().map(|s| reading.rules(s)).collect();
    let busy = busy(&raw, &resources, &directors, &rules);
    let ways = Ways::new(&raw, &names, &busy);
    reading.guesses.extend(ways.guesses.iter().cloned());
    let mut read = Vec::new();
    for (n, set) in sets.iter().enumerate() {
        reading.authkeys(set);
        let known = Known { ha: &raw[n], ways: &ways, names: &names, own: n };
        let services = (directors[n].as_ref(), rules[n].as_ref());
        read.push(reading.complete(set, &known, services));
    }
    reading.sound()?;
    let mut cluster = Cluster::default();
    let mut taken: Vec<String> = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let of = n.min(sets.len() - 1);
        let host = free_name(&host_of(name), &taken);
        taken.push(host.clone());
        let known = Known { ha: &raw[of], ways: &ways, names: &names, own: n };
        let mut facts = facts(host, &known, &read[of]);
        if let Some(all) = &directors[of] {
            facts.add_ldirectord(all);
        } else if let Some(rules) = &rules[of] {
            facts.services.clone_from(&rules.services);
        }
        facts.wait += read[of].ha.initdead + START;
        let keys = keys(&facts, name, &sets, of, &read, &mut reading.guesses);
        cluster.nodes.push((facts, keys));
    }
    put_files(&cluster, &sets, &read, files);
    cluster.guesses = reading.guesses;
    Ok(cluster)
}

/// What is known before the files are completed.
struct Known<'a> {
    ha: &'a HaCf,
    ways: &'a Ways,
    names: &'a [String],
    /// Which node it is.
    own: usize,
}

/// The files of a node, completed.
struct Complete {
    ha: HaCf,
    ha_text: String,
    resources: HaResources,
    resources_text: String,
}

impl Complete {
    /// Whether haresources starts a program.
    fn starts(&self, script: &str) -> bool {
        let mut all = self.resources.groups.iter().flat_map(|g| &g.resources);
        all.any(|r| r.value.script == script)
    }

    fn text(&self, kind: Kind, set: &Set<'_>) -> Option<String> {
        match kind {
            Kind::HaCf => Some(self.ha_text.clone()),
            Kind::Haresources => Some(self.resources_text.clone()),
            _ => set.get(&kind).map(|i| i.text.to_owned()),
        }
    }
}

/// The files of one or two nodes.
fn sets<'a>(inputs: &[(Kind, Input<'a>)]) -> Result<Vec<Set<'a>>, Box<Failure>> {
    let mut by_kind: BTreeMap<Kind, Vec<Input<'a>>> = BTreeMap::new();
    for (kind, input) in inputs {
        by_kind.entry(*kind).or_default().push(*input);
    }
    if by_kind.contains_key(&Kind::Keepalived) {
        let message = "files of keepalived and of heartbeat: a pair of directors has either";
        return Err(Failure::nowhere(message));
    }
    if let Some((kind, list)) = by_kind.iter().find(|(_, l)| l.len() > 2) {
        let names: Vec<&str> = list.iter().map(|i| i.name).collect();
        let message = format!("{} files like {}: {}", list.len(), kind.file(), names.join(", "));
        let mut failure = Failure::nowhere(message);
        if let Some(problem) = failure.problems.first_mut() {
            problem.help = Some("a pair has one for both nodes, or one for each".to_owned());
        }
        return Err(failure);
    }
    // files of a folder are of one node
    let folders = by_kind.values().find_map(|list| match list[..] {
        [a, b] if a.folder != b.folder => Some((a.folder, b.folder)),
        _ => None,
    });
    let mut both = [Set::new(), Set::new()];
    let mut differ = false;
    for (kind, list) in by_kind {
        let turned = match list[..] {
            [a, b] => folders == Some((b.folder, a.folder)),
            _ => false,
        };
        differ |= list.len() > 1;
        for (n, set) in both.iter_mut().enumerate() {
            let at = if turned { 1 - n } else { n };
            if let Some(input) = list.get(at).or(list.first()) {
                set.insert(kind, *input);
            }
        }
    }
    let count = if differ { 2 } else { 1 };
    Ok(both.into_iter().take(count).collect())
}

/// The names of the nodes: as `ha.cf` has them, or else as `haresources` does.
fn nodes_of(all: &[HaCf], resources: &[HaResources]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let stated = all.iter().flat_map(|ha| &ha.nodes).map(|n| n.value.clone());
    let groups = resources.iter().flat_map(|r| &r.groups).map(|g| g.node.value.to_lowercase());
    let mut add = |name: String| {
        if !names.contains(&name) {
            names.push(name);
        }
    };
    let stated: Vec<String> = stated.collect();
    if stated.is_empty() {
        groups.for_each(&mut add);
    } else {
        stated.into_iter().for_each(&mut add);
    }
    if names.is_empty() {
        names.push("node1".to_owned());
    }
    if let [only] = &names[..] {
        let other = next_name(only);
        names.push(other);
    }
    names
}

/// A name for the node beside one: lb2 beside lb1.
fn next_name(name: &str) -> String {
    let (head, rest) =
        name.split_once('.').map_or((name, String::new()), |(h, r)| (h, format!(".{r}")));
    let stem = head.trim_end_matches(|c: char| c.is_ascii_digit());
    match head[stem.len()..].parse::<u32>() {
        Ok(n) => format!("{stem}{}{rest}", u64::from(n) + 1),
        Err(_) => format!("{head}-2{rest}"),
    }
}

/// The files of two nodes in the order of the nodes, if a folder or a file tells by its name whose it is.
fn in_order<'a>(
    mut sets: Vec<Set<'a>>,
    names: &[String],
    guesses: &mut Vec<String>,
) -> Vec<Set<'a>> {
    let [one, two] = &sets[..] else { return sets };
    let [first, second, ..] = names else { return sets };
    let told = |set: &Set<'_>, name: &str, not: &str| {
        let mut labels = set.values().flat_map(|i| [i.name, i.folder]);
        labels.any(|l| l.contains(name) && !l.contains(not))
    };
    let straight = told(one, first, second) || told(two, second, first);
    let turned = told(one, second, first) || told(two, first, second);
    if turned && !straight {
        sets.swap(0, 1);
    } else if !straight {
        guesses.push(format!("the first files are those of {first}"));
    }
    sets
}

/// Addresses that are in use already.
fn busy(
    all: &[HaCf],
    resources: &[HaResources],
    directors: &[Option<Ldirectord>],
    rules: &[Option<IpvsConfig>],
) -> Vec<IpAddr> {
    let mut busy: Vec<IpAddr> = virtual_addresses(resources).map(|a| a.ip).collect();
    let pings = all.iter().flat_map(|ha| &ha.pings).flat_map(|p| &p.value.hosts);
    busy.extend(pings.filter_map(|h| h.parse::<IpAddr>().ok()));
    let virtuals = directors.iter().flatten().flat_map(|d| &d.virtuals);
    for v in virtuals {
        busy.extend(vip_of(&v.target));
        let hosts = v.real.iter().chain(&v.fallback).map(|s| &s.host);
        busy.extend(hosts.filter_map(|h| if let Host::Ip(ip) = h { Some(*ip) } else { None }));
    }
    let services = rules.iter().flatten().flat_map(|r| &r.services);
    busy.extend(services.flat_map(|s| &s.servers).map(|s| s.rip));
    busy
}

fn vip_of(target: &Target) -> Option<IpAddr> {
    match target {
        Target::Address(Host::Ip(ip), _) => Some(*ip),
        _ => None,
    }
}

fn virtual_addresses(all: &[HaResources]) -> impl Iterator<Item = &VirtualAddress> {
    let resources = all.iter().flat_map(|r| &r.groups).flat_map(|g| &g.resources);
    resources.filter_map(|r| r.value.address.as_ref())
}

/// The files while they are read.
#[derive(Default)]
struct Reading {
    sources: Sources,
    problems: Vec<Problem>,
    guesses: Vec<String>,
}

impl Reading {
    /// A file of a node, with another text if one is given; empty if there is none.
    fn source(&mut self, set: &Set<'_>, kind: Kind, mended: Option<&str>) -> FileId {
        let Some(input) = set.get(&kind) else {
            return self.sources.add_once(kind.file(), mended.unwrap_or_default());
        };
        let folder = input.folder.trim_end_matches('/');
        let slash = if folder.is_empty() { "" } else { "/" };
        let name = format!("{folder}{slash}{}", input.name);
        self.sources.add_once(&name, mended.unwrap_or(input.text))
    }

    /// Errors count.
    fn take(&mut self, findings: Findings) {
        self.problems.extend(findings.errors);
    }

    /// Fails if something is wrong.
    fn sound(&mut self) -> Result<(), Box<Failure>> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let mut problems = std::mem::take(&mut self.problems);
        tidy(&mut problems);
        Err(Box::new(Failure { sources: std::mem::take(&mut self.sources), problems }))
    }

    /// An `ha.cf` as it is; with a text that replaces it, also what is wrong with it.
    fn ha_cf(&mut self, set: &Set<'_>, mended: Option<&str>) -> HaCf {
        let file = self.source(set, Kind::HaCf, mended);
        let (ha, findings) = ha_cf::read(&self.sources, file);
        if mended.is_some() {
            self.take(findings);
        }
        ha
    }

    fn haresources(&mut self, set: &Set<'_>, mended: Option<&str>) -> HaResources {
        let file = self.source(set, Kind::Haresources, mended);
        let (all, mut findings) = haresources::read(&self.sources, file);
        if mended.is_some() {
            // a resource that cannot be started is told, not run
            let broken = |r: &haresources::Resource| {
                r.address.is_none() && matches!(r.script.as_str(), "IPaddr" | "IPaddr2")
            };
            let resources = all.groups.iter().flat_map(|g| &g.resources);
            let spans: Vec<_> = resources.filter(|r| broken(&r.value)).map(|r| &r.place).collect();
            let said = |p: &Problem| p.place.as_ref().is_some_and(|at| spans.contains(&at));
            findings.errors.extend(findings.warnings.iter().filter(|w| said(w)).cloned());
            self.take(findings);
        }
        all
    }

    fn authkeys(&mut self, set: &Set<'_>) {
        if !set.contains_key(&Kind::Authkeys) {
            let guess = "there is no authkeys: messages carry no secret (crc)".to_owned();
            if !self.guesses.contains(&guess) {
                self.guesses.push(guess);
            }
            return;
        }
        let file = self.source(set, Kind::Authkeys, None);
        let (_, findings) = authkeys::read(&self.sources, file);
        self.take(findings);
    }

    fn ldirectord(&mut self, set: &Set<'_>) -> Option<Ldirectord> {
        set.get(&Kind::Ldirectord)?;
        let file = self.source(set, Kind::Ldirectord, None);
        let (all, findings) = ldirectord::read(&self.sources, file);
        self.take(findings);
        Some(all)
    }

    fn rules(&mut self, set: &Set<'_>) -> Option<IpvsConfig> {
        set.get(&Kind::Ipvsadm)?;
        let file = self.source(set, Kind::Ipvsadm, None);
        let mut problems = Vec::new();
        let rules = ipvsadm::read_file(&self.sources, file, ipvsadm::Names::NONE, &mut problems);
        self.problems.extend(problems);
        Some(rules.config)
    }

    /// Completes the files of a node.
    fn complete(
        &mut self,
        set: &Set<'_>,
        known: &Known<'_>,
        (director, rules): (Option<&Ldirectord>, Option<&IpvsConfig>),
    ) -> Complete {
        let text = |kind: Kind| set.get(&kind).map_or("", |i| i.text);
        let mut resources = Mended::of(text(Kind::Haresources));
        let stated = self.haresources(set, None);
        if stated.groups.iter().all(|g| g.resources.is_empty()) {
            let first = known.names.first().cloned().unwrap_or_default();
            let list = wanted(known, director, rules);
            resources.text = stated.groups.first().map_or(resources.text, |_| String::new());
            resources.resources(&first, &list);
        } else {
            resources.owners(&stated, known.names);
        }
        let all = self.haresources(set, Some(&resources.text));
        let mut ha = Mended::of(text(Kind::HaCf));
        let addresses = virtual_addresses(std::slice::from_ref(&all));
        let interface = addresses.into_iter().next().map(|a| interface_of(a, known));
        let interface = interface.unwrap_or_else(|| usual(known.ha));
        ha.ha_cf(known.ha, known.names, &known.ways.missing, &interface);
        let mended = self.ha_cf(set, Some(&ha.text));
        for guess in resources.guesses.into_iter().chain(ha.guesses) {
            if !self.guesses.contains(&guess) {
                self.guesses.push(guess);
            }
        }
        Complete { ha: mended, ha_text: ha.text, resources: all, resources_text: resources.text }
    }
}

/// The resources of a cluster that states none.
fn wanted(
    known: &Known<'_>,
    director: Option<&Ldirectord>,
    rules: Option<&IpvsConfig>,
) -> Vec<String> {
    use sim_core::ipvs::rules::ServiceKey;
    let virtuals = director.into_iter().flat_map(|d| &d.virtuals);
    let mut vips: Vec<IpAddr> = virtuals.filter_map(|v| vip_of(&v.target)).collect();
    let services = rules.into_iter().flat_map(|r| &r.services);
    vips.extend(services.filter_map(|s| match s.key {
        ServiceKey::Address { vip, .. } => Some(vip),
        ServiceKey::Fwmark { .. } => None,
    }));
    vips.sort_unstable();
    vips.dedup();
    if vips.is_empty() {
        let own = known.ways.own.iter().flatten().map(|(ip, _)| *ip);
        let pings = known.ha.pings.iter().flat_map(|p| &p.value.hosts);
        let pings = pings.filter_map(|h| h.parse::<IpAddr>().ok());
        let near = own.chain(pings).find(IpAddr::is_ipv4);
        let net = Net::new(near.unwrap_or(IpAddr::from([192, 168, 10, 0])), 24).network();
        let busy: Vec<IpAddr> = known.ways.own.iter().flatten().map(|(ip, _)| *ip).collect();
        let mut free = (GUESSED_VIP..250).map(|n| crate::format::units::later(net.addr, n));
        vips.extend(free.find(|ip| !busy.contains(ip)));
    }
    let address = |ip: IpAddr| {
        let (script, len) = if ip.is_ipv4() { ("IPaddr", 24) } else { ("IPaddr2", 64) };
        let none =
            VirtualAddress { ip, length: None, interface: None, alias: None, broadcast: None };
        format!("{script}::{ip}/{len}/{}", interface_of(&none, known))
    };
    let mut all: Vec<String> = vips.into_iter().map(address).collect();
    all.extend(director.map(|_| "ldirectord::ldirectord.cf".to_owned()));
    all
}

/// The interface of a virtual address: as stated, or that of a node's address beside it.
fn interface_of(address: &VirtualAddress, known: &Known<'_>) -> String {
    if let Some(stated) = address.interface.as_ref().filter(|i| *i != "lo") {
        return stated.clone();
    }
    let bits = if address.ip.is_ipv4() { 24 } else { 64 };
    let net = Net::new(address.ip, address.length.filter(|l| *l < bits).unwrap_or(bits));
    let own = known.ways.own.get(known.own).into_iter().flatten();
    let mut beside = own.filter(|(ip, _)| net.contains(*ip));
    beside.next().map_or_else(|| usual(known.ha), |(_, interface)| interface.clone())
}

/// The interface of the clients' network: that of a medium, unless it is a second one, as eth1.
fn usual(ha: &HaCf) -> String {
    let second = |name: &str| {
        let number = name.strip_prefix("eth").and_then(|n| n.parse::<u32>().ok());
        number.is_some_and(|n| n > 0)
    };
    let mut all = ha.media.iter().filter_map(|m| interface(&m.value));
    all.find(|name| !second(name)).unwrap_or(USUAL).to_owned()
}

fn interface(medium: &Medium) -> Option<&str> {
    match medium {
        Medium::Bcast(interface)
        | Medium::Mcast { interface, .. }
        | Medium::Ucast { interface, .. } => Some(interface),
        Medium::Serial(_) => None,
    }
}

/// What the files of a node tell of the network.
fn facts(name: String, known: &Known<'_>, files: &Complete) -> Facts {
    let mut facts = Facts { name, ..Facts::default() };
    for address in virtual_addresses(std::slice::from_ref(&files.resources)) {
        let interface = interface_of(address, known);
        facts.interface(&interface);
        let host = Net::host(address.ip).len;
        let net = Net::new(address.ip, address.length.unwrap_or(host));
        if !facts.is_virtual(address.ip) {
            facts.virtual_addresses.push((net, interface));
        }
    }
    let carrying = facts.interfaces.clone();
    let mut crossings: Vec<String> = Vec::new();
    for name in files.ha.media.iter().filter_map(|m| interface(&m.value)) {
        facts.interface(name);
        let number = u8::try_from(facts.routers.len()).unwrap_or(u8::MAX);
        if !facts.routers.iter().any(|(_, i)| i == name) {
            facts.routers.push((number, name.to_owned()));
        }
        if !carrying.iter().chain(&crossings).any(|i| i == name) {
            crossings.push(name.to_owned());
        }
    }
    facts.own = known.ways.own.get(known.own).cloned().unwrap_or_default();
    let pings = files.ha.pings.iter().flat_map(|p| &p.value.hosts);
    let first = files.resources.groups.first().map(|g| &g.node.value);
    let own = known.names.get(known.own);
    facts.heartbeat = Some(Node {
        crossings,
        pings: pings.filter_map(|h| h.parse().ok()).collect(),
        port: port(&files.resources),
        preferred: first.zip(own).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b)),
    });
    facts
}

/// The port of what `haresources` starts.
fn port(all: &HaResources) -> u16 {
    let mut scripts = all.groups.iter().flat_map(|g| &g.resources).map(|r| r.value.script.as_str());
    let found = scripts.find_map(|s| PORTS.iter().find(|(name, _)| *name == s));
    found.map_or(80, |(_, port)| *port)
}

/// A node's name as that of a host.
fn host_of(name: &str) -> String {
    let good = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
    let kept: String = name.chars().filter(good).take(60).collect();
    if kept.is_empty() { "node".to_owned() } else { kept }
}

/// How a node names its files: those that differ are in a folder of its name.
fn keys(
    facts: &Facts,
    node: &str,
    sets: &[Set<'_>],
    of: usize,
    read: &[Complete],
    guesses: &mut Vec<String>,
) -> Keys {
    let file = |kind: Kind| {
        read[of].text(kind, &sets[of]).map(|_| file_name(kind, &facts.name, sets, read))
    };
    let named = [
        ("ha_cf", file(Kind::HaCf)),
        ("haresources", file(Kind::Haresources)),
        ("authkeys", file(Kind::Authkeys)),
        ("node", (facts.name != node).then(|| node.to_owned())),
    ];
    let named = named.into_iter().filter_map(|(key, file)| Some(format!("{key} = \"{}\"", file?)));
    let mut host = vec![format!("heartbeat = {{ {} }}", named.collect::<Vec<_>>().join(", "))];
    let mut guess = |text: &str| {
        if !guesses.iter().any(|g| g == text) {
            guesses.push(text.to_owned());
        }
    };
    let started = read[of].starts("ldirectord");
    if let Some(file) = file(Kind::Ldirectord) {
        host.push(format!("ldirectord = \"{file}\""));
        if !started {
            guess("haresources does not start ldirectord: it runs on all nodes from the start");
            host.push("ldirectord_start = \"0s\"".to_owned());
        }
    } else if started {
        guess("the ldirectord.cf of haresources is not here: ldirectord does nothing");
    }
    Keys { host, rules: file(Kind::Ipvsadm) }
}

/// The name of a file beside the scenario.
fn file_name(kind: Kind, host: &str, sets: &[Set<'_>], read: &[Complete]) -> String {
    let mut texts = sets.iter().zip(read).map(|(set, files)| files.text(kind, set));
    let first = texts.next();
    if texts.all(|t| Some(&t) == first.as_ref()) {
        kind.file().to_owned()
    } else {
        format!("{host}/{}", kind.file())
    }
}

/// Puts the files of all nodes beside the scenario.
fn put_files(
    cluster: &Cluster,
    sets: &[Set<'_>],
    read: &[Complete],
    files: &mut Vec<(String, String)>,
) {
    let kinds = [Kind::HaCf, Kind::Haresources, Kind::Authkeys, Kind::Ldirectord, Kind::Ipvsadm];
    for (n, (facts, _)) in cluster.nodes.iter().enumerate() {
        let of = n.min(sets.len() - 1);
        for kind in kinds {
            let name = file_name(kind, &facts.name, sets, read);
            let Some(text) = read[of].text(kind, &sets[of]) else { continue };
            if !files.iter().any(|(there, _)| *there == name) {
                put(files, &name, &text);
            }
        }
    }
}
