//! What is wrong with a network before the first packet is sent.

use super::{Names, Node, Topology, spanning_tree_with};
use crate::config::{CaptureConfig, HostConfig, LinkEnd, WorldConfig};
use crate::ipvs::rules::ServiceKey;
use crate::wire::Mac;
use core::net::IpAddr;
use petgraph::unionfind::UnionFind;
use petgraph::visit::{EdgeRef as _, IntoEdgeReferences as _};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Most hosts a world may have.
pub const MAX_HOSTS: usize = 65_000;

/// Names in a list that is written out; more are counted.
const LISTED: usize = 5;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// No world can be built from it, or nothing sensible can come out of it.
    Error,
    /// It can be meant; usually it is a mistake.
    Warning,
}

/// What a finding is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Problem {
    /// More than [`MAX_HOSTS`] hosts.
    TooManyHosts,
    /// Two hosts or switches, two links, or two interfaces of a host have one name.
    DuplicateName,
    /// A link, link event or capture names something that does not exist.
    UnknownName,
    /// Two links that are not standby end at one interface.
    SharedInterface,
    /// A loop of switches without a spanning tree and without a standby link.
    SwitchLoop,
    /// A host that no packet can reach, whatever its routes are.
    Unreachable,
    /// An interface without a link.
    Unconnected,
    /// Two hosts have one address on the same wire.
    DuplicateAddress,
    /// A host answers ARP for an address that it holds elsewhere and another host holds too.
    ArpForSharedAddress,
    /// Two interfaces have one MAC, or a MAC is not one of a single interface.
    BadMac,
    /// A service address that no director holds.
    VipNobodyHolds,
    /// The address of a real server that no host holds.
    RealServerNobodyHolds,
    /// A client without a route to its target.
    NoRoute,
}

impl Problem {
    /// A short name for tables and filters: `switch-loop`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooManyHosts => "too-many-hosts",
            Self::DuplicateName => "duplicate-name",
            Self::UnknownName => "unknown-name",
            Self::SharedInterface => "shared-interface",
            Self::SwitchLoop => "switch-loop",
            Self::Unreachable => "unreachable",
            Self::Unconnected => "unconnected",
            Self::DuplicateAddress => "duplicate-address",
            Self::ArpForSharedAddress => "arp-for-shared-address",
            Self::BadMac => "bad-mac",
            Self::VipNobodyHolds => "vip-nobody-holds",
            Self::RealServerNobodyHolds => "real-server-nobody-holds",
            Self::NoRoute => "no-route",
        }
    }
}

/// Something wrong or doubtful. The order of the fields is the order of the list.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub problem: Problem,
    /// Where: `rs1.eth0`, `link a--b`, `host rs1`, `10.0.0.100`.
    pub place: String,
    /// What was found, why it matters and what helps, in a sentence or two.
    pub explanation: String,
}

/// All findings about a topology, in order.
pub(super) fn check(topology: &Topology<'_>) -> Vec<Finding> {
    let mut c = Checker::new(topology);
    c.sizes();
    c.names();
    c.references();
    c.interfaces();
    c.loops();
    c.reachability();
    c.addresses();
    c.macs();
    c.services();
    c.routes();
    c.findings.sort();
    c.findings.dedup();
    c.findings
}

struct Checker<'a> {
    topology: &'a Topology<'a>,
    config: &'a WorldConfig,
    names: Names<'a>,
    /// Number of the first interface of each host, all interfaces counted through.
    first: Vec<usize>,
    /// For each interface the links that end there.
    links: Vec<Vec<usize>>,
    /// For each interface the wire it is on: equal numbers hear each other's broadcasts.
    wire: Vec<usize>,
    findings: Vec<Finding>,
}

impl<'a> Checker<'a> {
    fn new(topology: &'a Topology<'a>) -> Self {
        let config = topology.config;
        let names = Names::new(config);
        let mut first = Vec::with_capacity(config.hosts.len());
        let mut interfaces = 0;
        for host in &config.hosts {
            first.push(interfaces);
            interfaces += host.interfaces.len();
        }
        let mut links = vec![Vec::new(); interfaces];
        let mut wires = UnionFind::new(interfaces + config.switches.len());
        for (number, link) in config.links.iter().enumerate() {
            let ends = link.ends.each_ref().map(|end| match end {
                LinkEnd::Interface(h, i) => names.interface(h, i).map(|(h, i)| first[h] + i),
                LinkEnd::Switch(s) => names.switches.get(s.as_str()).map(|s| interfaces + s),
            });
            for end in ends.into_iter().flatten().filter(|end| *end < interfaces) {
                links[end].push(number);
            }
            if let [Some(a), Some(b)] = ends
                && !link.standby
            {
                wires.union(a, b);
            }
        }
        let wire = (0..interfaces).map(|i| wires.find(i)).collect();
        Self { topology, config, names, first, links, wire, findings: Vec::new() }
    }

    fn error(&mut self, problem: Problem, place: String, explanation: String) {
        let severity = Severity::Error;
        self.findings.push(Finding { severity, problem, place, explanation });
    }

    fn warning(&mut self, problem: Problem, place: String, explanation: String) {
        let severity = Severity::Warning;
        self.findings.push(Finding { severity, problem, place, explanation });
    }

    /// Every interface: number of the host, number in the host, the host, number among all.
    fn each_interface(
        &self,
    ) -> impl Iterator<Item = (usize, usize, &'a HostConfig, usize)> + use<'a> {
        let hosts: &'a [HostConfig] = &self.config.hosts;
        let first = self.first.clone();
        hosts.iter().enumerate().flat_map(move |(h, host)| {
            let from = first[h];
            (0..host.interfaces.len()).map(move |i| (h, i, host, from + i))
        })
    }

    fn sizes(&mut self) {
        let found = self.config.hosts.len();
        if found > MAX_HOSTS {
            let explanation = format!("there are {found} hosts; at most {MAX_HOSTS} are allowed");
            self.error(Problem::TooManyHosts, "network".into(), explanation);
        }
    }

    fn names(&mut self) {
        let config = self.config;
        let hosts = config.hosts.iter().map(|h| h.name.as_str());
        let nodes = hosts.chain(config.switches.iter().map(|s| s.name.as_str()));
        for name in repeated(nodes) {
            let explanation = "hosts and switches need names of their own, this one is used twice";
            self.error(Problem::DuplicateName, name.into(), explanation.into());
        }
        for name in repeated(config.links.iter().map(|l| l.name.as_str())) {
            let explanation = "two links have this name: give one of them another";
            self.error(Problem::DuplicateName, format!("link {name}"), explanation.into());
        }
        for host in &config.hosts {
            let interfaces = host.interfaces.iter().map(|i| i.name.as_str());
            let tunnels = host.tunnels.iter().map(|t| t.name.as_str());
            for name in repeated(interfaces.chain(tunnels).chain(["lo"])) {
                let explanation = match name {
                    "lo" => "every host has this interface by itself",
                    _ => "two interfaces of the host have this name",
                };
                let place = format!("{}.{name}", host.name);
                self.error(Problem::DuplicateName, place, explanation.into());
            }
        }
    }

    fn references(&mut self) {
        let config = self.config;
        for link in &config.links {
            for end in &link.ends {
                if self.names.node(end).is_none() {
                    let place = format!("link {}", link.name);
                    let explanation = self.unknown_end(end);
                    self.error(Problem::UnknownName, place, explanation);
                }
            }
        }
        let links: BTreeSet<&str> = config.links.iter().map(|l| l.name.as_str()).collect();
        for event in &config.link_events {
            if !links.contains(event.link.as_str()) {
                let place = format!("link event at {}", event.at);
                let explanation = format!("there is no link {}", event.link);
                self.error(Problem::UnknownName, place, explanation);
            }
        }
        for capture in &config.captures {
            let end = match capture {
                CaptureConfig::All => continue,
                CaptureConfig::Host(h) if self.names.hosts.contains_key(h.as_str()) => continue,
                CaptureConfig::Host(h) => LinkEnd::Interface(h.clone(), String::new()),
                CaptureConfig::Interface(h, i) => LinkEnd::Interface(h.clone(), i.clone()),
            };
            if self.names.node(&end).is_none() {
                let explanation = self.unknown_end(&end);
                self.error(Problem::UnknownName, "capture".into(), explanation);
            }
        }
    }

    fn unknown_end(&self, end: &LinkEnd) -> String {
        match end {
            LinkEnd::Switch(name) => format!("there is no switch {name}"),
            LinkEnd::Interface(name, interface) => match self.names.hosts.get(name.as_str()) {
                None => format!("there is no host {name}"),
                Some(&h) => {
                    let there = &self.config.hosts[h].interfaces;
                    let there = list(there.iter().map(|i| i.name.as_str()));
                    format!("host {name} has no interface {interface}; it has {there}")
                }
            },
        }
    }

    fn interfaces(&mut self) {
        for (_, i, host, number) in self.each_interface() {
            let place = format!("{}.{}", host.name, host.interfaces[i].name);
            let config = self.config;
            let active = self.links[number].iter().map(|l| &config.links[*l]);
            let active: Vec<_> = active.filter(|l| !l.standby).collect();
            if self.links[number].is_empty() {
                let explanation = "no link ends here: the interface hears and reaches nobody";
                self.warning(Problem::Unconnected, place, explanation.into());
            } else if active.len() > 1 {
                let explanation = format!(
                    "{} links end here ({}); an interface takes one, and standby ones besides",
                    active.len(),
                    list(active.iter().map(|l| l.name.as_str())),
                );
                self.error(Problem::SharedInterface, place, explanation);
            }
        }
    }

    /// Without standby links and those that the spanning tree blocks, what is left must be a forest.
    fn loops(&mut self) {
        let config = self.config;
        let blocked: BTreeSet<usize> = spanning_tree_with(config, |_| true).into_iter().collect();
        let mut groups = UnionFind::new(config.switches.len());
        let mut tree: Vec<Vec<usize>> = vec![Vec::new(); config.switches.len()];
        for (number, link) in config.links.iter().enumerate() {
            if link.standby || blocked.contains(&number) {
                continue;
            }
            let [Some(Node::Switch(a)), Some(Node::Switch(b))] =
                link.ends.each_ref().map(|end| self.names.node(end))
            else {
                continue;
            };
            if groups.union(a, b) {
                tree[a].push(b);
                tree[b].push(a);
                continue;
            }
            let path = path(&tree, a, b);
            let on_the_way = path.iter().chain([&a]).map(|s| config.switches[*s].name.as_str());
            let explanation = format!(
                "the switches form a loop ({}) in which a broadcast frame circles for ever; make a \
                 link of it standby, or declare spanning_tree for all of its switches",
                on_the_way.collect::<Vec<_>>().join(" -- "),
            );
            self.error(Problem::SwitchLoop, format!("link {}", link.name), explanation);
        }
    }

    fn reachability(&mut self) {
        let config = self.config;
        let rises: BTreeSet<&str> =
            config.link_events.iter().filter(|e| e.up).map(|e| e.link.as_str()).collect();
        let lives = |number: usize| {
            let link = &config.links[number];
            !link.standby && (link.up || rises.contains(link.name.as_str()))
        };
        let cabled = self.cut_off(|_| true);
        for host in self.cut_off(lives) {
            let place = format!("host {}", config.hosts[host].name);
            if cabled.contains(&host) {
                let explanation = "no chain of links leads from most other hosts to this one";
                self.error(Problem::Unreachable, place, explanation.into());
            } else {
                let explanation = "only links that are down or standby lead here, and no event \
                                   takes them up";
                self.warning(Problem::Unreachable, place, explanation.into());
            }
        }
    }

    /// Hosts outside the largest group (of equal ones the one with the first host) that links with
    /// `usable` hold together.
    fn cut_off(&self, usable: impl Fn(usize) -> bool) -> BTreeSet<usize> {
        let graph = self.topology.graph();
        let hosts = self.config.hosts.len();
        let mut groups = UnionFind::new(hosts + self.config.switches.len());
        for edge in graph.edge_references().filter(|e| usable(*e.weight())) {
            groups.union(edge.source().index(), edge.target().index());
        }
        let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
        for host in 0..hosts {
            *sizes.entry(groups.find(host)).or_default() += 1;
        }
        let main = (0..hosts).rev().map(|h| groups.find(h)).max_by_key(|g| sizes[g]);
        (0..hosts).filter(|h| Some(groups.find(*h)) != main).collect()
    }

    /// Who answers ARP (IPv6: a neighbour solicitation) for what on which wire.
    fn addresses(&mut self) {
        let mut holders: BTreeMap<(IpAddr, usize), Vec<Holder<'a>>> = BTreeMap::new();
        for (h, i, host, number) in self.each_interface() {
            if self.links[number].is_empty() {
                continue;
            }
            let here = &host.interfaces[i];
            let ignore = host.sysctl.all.arp_ignore.max(here.sysctl.arp_ignore);
            for (on, ip) in local(host) {
                // `arp_ignore`: 1 and 2 answer for addresses of the interface only, 8 for none
                let on_the_wire = on == here.name;
                // IPv6 answers for addresses of the interface and no others
                let silent = if ip.is_ipv6() {
                    !on_the_wire
                } else {
                    ignore >= 8 || !on_the_wire && matches!(ignore, 1 | 2)
                };
                if silent || ip.is_loopback() {
                    continue;
                }
                let holder = Holder { host: h, by: &here.name, on, on_the_wire };
                holders.entry((ip, self.wire[number])).or_default().push(holder);
            }
        }
        for ((ip, _), holders) in holders {
            self.shared_address(ip, &holders);
        }
    }

    fn shared_address(&mut self, ip: IpAddr, holders: &[Holder<'_>]) {
        let config = self.config;
        let hosts = |of: &[&Holder<'_>]| of.iter().map(|h| h.host).collect::<BTreeSet<_>>().len();
        let (wired, elsewhere): (Vec<_>, Vec<_>) = holders.iter().partition(|h| h.on_the_wire);
        if hosts(&wired) > 1 {
            let who = wired.iter().map(|h| format!("{}.{}", config.hosts[h.host].name, h.on));
            let explanation = format!(
                "{} are on one wire and all answer for this address: which of them gets a packet \
                 is a matter of chance",
                list(who)
            );
            self.error(Problem::DuplicateAddress, ip.to_string(), explanation);
        }
        // an interface of the same host on the wire answers anyway
        let others: Vec<_> =
            elsewhere.into_iter().filter(|h| wired.iter().all(|w| w.host != h.host)).collect();
        if others.is_empty() || hosts(&wired) + hosts(&others) < 2 {
            return;
        }
        let name = |h: &&Holder<'_>| {
            format!("{} (on {}, answers by {})", config.hosts[h.host].name, h.on, h.by)
        };
        let rival = match wired.first() {
            Some(w) => format!("{}.{} has it too", config.hosts[w.host].name, w.on),
            None => "none of them has it on that wire".to_owned(),
        };
        let explanation = format!(
            "held and, with arp_ignore 0, announced to whoever asks by {}; {rival}. Where only one \
             is to get the packets, the others need arp_ignore 1 (and arp_announce 2)",
            list(others.iter().map(name))
        );
        self.warning(Problem::ArpForSharedAddress, ip.to_string(), explanation);
    }

    fn macs(&mut self) {
        let mut holders: BTreeMap<Mac, Vec<(usize, String)>> = BTreeMap::new();
        for (_, i, host, number) in self.each_interface() {
            let Some(mac) = host.interfaces[i].mac else { continue };
            let place = format!("{}.{}", host.name, host.interfaces[i].name);
            if mac.0[0] & 1 == 1 || mac.0 == [0; 6] {
                let explanation =
                    format!("{mac} is not the address of one interface (group bit set, or zero)");
                self.error(Problem::BadMac, place, explanation);
            } else {
                holders.entry(mac).or_default().push((self.wire[number], place));
            }
        }
        for (mac, holders) in holders.into_iter().filter(|(_, h)| h.len() > 1) {
            let wires: BTreeSet<usize> = holders.iter().map(|h| h.0).collect();
            let who = list(holders.iter().map(|h| h.1.as_str()));
            let place = mac.to_string();
            if wires.len() < holders.len() {
                let explanation =
                    format!("{who} have this MAC on one wire: switches send frames to either");
                self.error(Problem::BadMac, place, explanation);
            } else {
                let explanation = format!("{who} have this MAC, though not on one wire");
                self.warning(Problem::BadMac, place, explanation);
            }
        }
    }

    fn services(&mut self) {
        let config = self.config;
        let mut holders: BTreeMap<IpAddr, BTreeSet<usize>> = BTreeMap::new();
        for (h, host) in config.hosts.iter().enumerate() {
            for (_, ip) in local(host) {
                holders.entry(ip).or_default().insert(h);
            }
        }
        for (h, host) in config.hosts.iter().enumerate() {
            for service in host.ipvs.iter().flat_map(|i| &i.services) {
                if let ServiceKey::Address { vip, .. } = service.key {
                    self.vip(h, vip, holders.get(&vip));
                }
                for server in &service.servers {
                    if holders.contains_key(&server.rip) || server.rip.is_loopback() {
                        continue;
                    }
                    let explanation =
                        format!("no host has the address of this real server of {}", host.name);
                    let place = server.rip.to_string();
                    self.warning(Problem::RealServerNobodyHolds, place, explanation);
                }
            }
        }
    }

    fn vip(&mut self, director: usize, vip: IpAddr, holders: Option<&BTreeSet<usize>>) {
        let config = self.config;
        if holders.is_some_and(|h| h.contains(&director)) {
            return;
        }
        let name = &config.hosts[director].name;
        let serves = |h: &usize| {
            let rules = config.hosts[*h].ipvs.iter().flat_map(|i| &i.services);
            rules
                .into_iter()
                .any(|s| matches!(s.key, ServiceKey::Address { vip: v, .. } if v == vip))
        };
        let others = holders.into_iter().flatten();
        let (directors, rest): (Vec<&usize>, Vec<&usize>) = others.partition(|h| serves(h));
        let named = |h: &[&usize]| list(h.iter().map(|h| config.hosts[**h].name.as_str()));
        if directors.is_empty() {
            let held = match &rest[..] {
                [] => String::new(),
                rest => format!(" (held by {})", named(rest)),
            };
            let explanation = format!(
                "{name} has a service on this address but does not hold it, nor does another \
                 director: IPVS sees only packets to local addresses{held}"
            );
            self.error(Problem::VipNobodyHolds, vip.to_string(), explanation);
        } else {
            let explanation = format!(
                "{name} has a service on this address but does not hold it; {} does",
                named(&directors)
            );
            self.warning(Problem::VipNobodyHolds, vip.to_string(), explanation);
        }
    }

    fn routes(&mut self) {
        for host in &self.config.hosts {
            for client in &host.clients {
                let target = client.target.0;
                let connected = host
                    .interfaces
                    .iter()
                    .flat_map(|i| &i.addresses)
                    .chain(&host.loopback)
                    .chain(host.tunnels.iter().flat_map(|t| &t.addresses))
                    .any(|a| a.contains(target));
                if connected || host.routes.iter().any(|r| r.to.contains(target)) {
                    continue;
                }
                let explanation = format!(
                    "{target}, the target of client {}, is in no connected prefix and no route of \
                     the host; a default route is missing",
                    client.name
                );
                self.warning(Problem::NoRoute, format!("host {}", host.name), explanation);
            }
        }
    }
}

/// A host that answers ARP for an address.
struct Holder<'a> {
    host: usize,
    /// The interface by which it answers.
    by: &'a str,
    /// The interface that has the address.
    on: &'a str,
    on_the_wire: bool,
}

/// Every address of a host with the interface that has it.
fn local(host: &HostConfig) -> impl Iterator<Item = (&str, IpAddr)> {
    let on = host.interfaces.iter().flat_map(|i| i.addresses.iter().map(|a| (&*i.name, a.addr)));
    let loopback = host.loopback.iter().map(|a| ("lo", a.addr));
    on.chain(loopback)
        .chain(host.tunnels.iter().flat_map(|t| t.addresses.iter().map(|a| (&*t.name, a.addr))))
}

/// The names that occur more than once, each once, in order.
fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}

/// The way from `a` to `b` in a forest, both included; just `a` if there is none.
fn path(tree: &[Vec<usize>], a: usize, b: usize) -> Vec<usize> {
    // searched from the far end, so that following `next` goes the right way
    let mut next = BTreeMap::from([(b, b)]);
    let mut queue = VecDeque::from([b]);
    while let Some(at) = queue.pop_front() {
        for &peer in &tree[at] {
            next.entry(peer).or_insert_with(|| {
                queue.push_back(peer);
                at
            });
        }
    }
    let mut way = vec![a];
    let mut at = a;
    while at != b
        && let Some(&step) = next.get(&at)
    {
        at = step;
        way.push(at);
    }
    way
}

/// `a, b and c`; from the sixth on `and 3 more`.
fn list<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<T> = names.into_iter().collect();
    let mut shown: Vec<String> = names.iter().take(LISTED).map(|n| n.as_ref().to_owned()).collect();
    if names.len() > LISTED {
        shown.push(format!("{} more", names.len() - LISTED));
    }
    match shown.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests;
