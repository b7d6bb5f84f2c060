//! The network as a graph: hosts and switches are its nodes, links its edges.
//!
//! [`Topology`] draws a [`WorldConfig`] and finds what is wrong with it; [`spanning_tree`] decides
//! which links between switches stay unused. Nothing here is on the way of a packet.

mod check;

pub use check::{Finding, MAX_HOSTS, Problem, Severity};

use crate::config::{HostConfig, LinkConfig, LinkDirection, LinkEnd, Net, WorldConfig};
use crate::ipvs::rules::ServiceKey;
use crate::wire::proto;
use core::fmt::Write as _;
use petgraph::graph::NodeIndex;
use petgraph::stable_graph::StableUnGraph;
use petgraph::visit::{EdgeRef as _, IntoEdgeReferences as _};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Addresses of an interface that a drawing shows; more are counted.
const ADDRESSES_SHOWN: usize = 4;

/// A node of the graph, by its number in the configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Node {
    /// `config.hosts[..]`.
    Host(usize),
    /// `config.switches[..]`.
    Switch(usize),
}

/// The graph of a configuration.
///
/// Nodes are the hosts, then the switches, in their order; an edge holds the number of its link. A
/// link whose end does not exist is left out (and is a [`Finding`]).
#[derive(Clone, Debug)]
pub struct Topology<'a> {
    config: &'a WorldConfig,
    graph: StableUnGraph<Node, usize>,
}

impl<'a> Topology<'a> {
    /// Builds the graph; never fails, whatever the configuration holds.
    pub fn new(config: &'a WorldConfig) -> Self {
        let mut graph = StableUnGraph::default();
        for host in 0..config.hosts.len() {
            graph.add_node(Node::Host(host));
        }
        for switch in 0..config.switches.len() {
            graph.add_node(Node::Switch(switch));
        }
        let names = Names::new(config);
        for (number, link) in config.links.iter().enumerate() {
            let [a, b] = &link.ends;
            if let (Some(a), Some(b)) = (names.node(a), names.node(b)) {
                graph.add_edge(index(config, a), index(config, b), number);
            }
        }
        Self { config, graph }
    }

    /// The graph itself, for algorithms of petgraph.
    pub fn graph(&self) -> &StableUnGraph<Node, usize> {
        &self.graph
    }

    /// The name of a node; empty if there is no such node.
    pub fn name(&self, node: Node) -> &'a str {
        match node {
            Node::Host(h) => self.config.hosts.get(h).map_or("", |h| h.name.as_str()),
            Node::Switch(s) => self.config.switches.get(s).map_or("", |s| s.name.as_str()),
        }
    }

    /// Everything that is wrong or doubtful: errors first, then in a fixed order.
    pub fn check(&self) -> Vec<Finding> {
        check::check(self)
    }

    /// The graph in the language of Graphviz, for `dot -Tsvg`: hosts with their addresses and VIPs,
    /// links with rate and latency. Standby links are dashed, links blocked by the spanning tree
    /// dotted, links that are down red. Same configuration, same text.
    pub fn to_dot(&self) -> String {
        let mut out = String::from(
            "graph network {\n  graph [overlap=false, splines=true];\n  \
             node [fontname=\"sans-serif\", fontsize=10];\n  \
             edge [fontname=\"sans-serif\", fontsize=9];\n",
        );
        for node in self.graph.node_weights() {
            match *node {
                Node::Host(h) => host_node(&mut out, h, &self.config.hosts[h]),
                Node::Switch(s) => {
                    let name = quoted(&self.config.switches[s].name);
                    line(&mut out, &format!("s{s} [shape=ellipse, label=\"{name}\"];"));
                }
            }
        }
        let blocked: BTreeSet<usize> = spanning_tree(self.config).into_iter().collect();
        for edge in self.graph.edge_references() {
            let number = *edge.weight();
            let link = &self.config.links[number];
            let ends = [edge.source(), edge.target()].map(|n| match self.graph[n] {
                Node::Host(h) => format!("h{h}"),
                Node::Switch(s) => format!("s{s}"),
            });
            let attributes = link_attributes(link, blocked.contains(&number));
            line(&mut out, &format!("{} -- {} [{attributes}];", ends[0], ends[1]));
        }
        out.push_str("}\n");
        out
    }
}

/// The links that the spanning tree of the switches blocks, by number, ascending.
///
/// Only switches that declare `spanning_tree` take part, and only links that are up and not standby.
/// In each connected group of them the first switch is the root, every other one keeps the link that
/// leads to the root over the fewest links, and of several such links the first. All other links
/// of the group are blocked.
pub fn spanning_tree(config: &WorldConfig) -> Vec<usize> {
    spanning_tree_with(config, |link| config.links[link].up)
}

/// As [`spanning_tree`], with the present state of the links: `up` is asked for the number of a link.
pub fn spanning_tree_with(config: &WorldConfig, up: impl Fn(usize) -> bool) -> Vec<usize> {
    let names = Names::new(config);
    let member = |end: &LinkEnd| match names.node(end) {
        Some(Node::Switch(s)) if config.switches[s].spanning_tree => Some(s),
        _ => None,
    };
    let mut ports: Vec<Vec<(usize, usize)>> = vec![Vec::new(); config.switches.len()];
    let mut blocked = BTreeSet::new();
    for (number, link) in config.links.iter().enumerate() {
        if link.standby || !up(number) {
            continue;
        }
        if let (Some(a), Some(b)) = (member(&link.ends[0]), member(&link.ends[1])) {
            ports[a].push((number, b));
            ports[b].push((number, a));
            blocked.insert(number);
        }
    }
    let mut distance: Vec<Option<u32>> = vec![None; ports.len()];
    for root in 0..ports.len() {
        if distance[root].is_some() {
            continue;
        }
        distance[root] = Some(0);
        let mut queue = VecDeque::from([(root, 0)]);
        while let Some((switch, hops)) = queue.pop_front() {
            // a switch comes off the queue after all that are nearer to the root
            let uplink = ports[switch]
                .iter()
                .filter(|(_, peer)| distance[*peer].is_some_and(|d| d + 1 == hops))
                .map(|(number, _)| *number)
                .min();
            if let Some(uplink) = uplink {
                blocked.remove(&uplink);
            }
            for &(_, peer) in &ports[switch] {
                if distance[peer].is_none() {
                    distance[peer] = Some(hops + 1);
                    queue.push_back((peer, hops + 1));
                }
            }
        }
    }
    blocked.into_iter().collect()
}

/// Names to numbers; of equal names the first counts.
struct Names<'a> {
    config: &'a WorldConfig,
    hosts: BTreeMap<&'a str, usize>,
    switches: BTreeMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    fn new(config: &'a WorldConfig) -> Self {
        // in reverse, so that the first of several stays
        let hosts = config.hosts.iter().enumerate().rev().map(|(n, h)| (h.name.as_str(), n));
        let switches = config.switches.iter().enumerate().rev().map(|(n, s)| (s.name.as_str(), n));
        Self { config, hosts: hosts.collect(), switches: switches.collect() }
    }

    fn node(&self, end: &LinkEnd) -> Option<Node> {
        match end {
            LinkEnd::Interface(host, interface) => {
                self.interface(host, interface).map(|(h, _)| Node::Host(h))
            }
            LinkEnd::Switch(switch) => self.switches.get(switch.as_str()).map(|s| Node::Switch(*s)),
        }
    }

    fn interface(&self, host: &str, interface: &str) -> Option<(usize, usize)> {
        let host = *self.hosts.get(host)?;
        let at = self.config.hosts[host].interfaces.iter().position(|i| i.name == interface)?;
        Some((host, at))
    }
}

/// Nodes are added in order, so their place in the graph is known.
fn index(config: &WorldConfig, node: Node) -> NodeIndex {
    NodeIndex::new(match node {
        Node::Host(h) => h,
        Node::Switch(s) => config.hosts.len() + s,
    })
}

fn line(out: &mut String, text: &str) {
    out.push_str("  ");
    out.push_str(text);
    out.push('\n');
}

/// A text as the inside of a quoted Graphviz string.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ")
}

fn host_node(out: &mut String, number: usize, host: &HostConfig) {
    let mut label = format!("{}\\n", quoted(&host.name));
    let mut addresses = |name: &str, list: &[Net]| {
        label.push_str(&quoted(name));
        for a in list.iter().take(ADDRESSES_SHOWN) {
            write!(label, " {a}").expect("a String takes everything");
        }
        if list.len() > ADDRESSES_SHOWN {
            write!(label, " and {} more", list.len() - ADDRESSES_SHOWN)
                .expect("a String takes everything");
        }
        label.push_str("\\l");
    };
    for interface in &host.interfaces {
        addresses(&interface.name, &interface.addresses);
    }
    if !host.loopback.is_empty() {
        addresses("lo", &host.loopback);
    }
    for tunnel in &host.tunnels {
        addresses(&tunnel.name, &tunnel.addresses);
    }
    for service in host.ipvs.iter().flat_map(|i| &i.services) {
        label.push_str(&service_name(service.key));
        label.push_str("\\l");
    }
    let style = if host.ipvs.is_some() { ", style=filled, fillcolor=lightblue" } else { "" };
    line(out, &format!("h{number} [shape=box, label=\"{label}\"{style}];"));
}

/// `VIP 10.0.0.100:80 TCP` or `fwmark 3`.
fn service_name(key: ServiceKey) -> String {
    match key {
        ServiceKey::Address { protocol, vip, port } => {
            let name = match protocol {
                proto::TCP => "TCP".to_owned(),
                proto::UDP => "UDP".to_owned(),
                other => format!("protocol {other}"),
            };
            format!("VIP {vip}:{port} {name}")
        }
        ServiceKey::Fwmark { mark, v6: false } => format!("fwmark {mark}"),
        ServiceKey::Fwmark { mark, v6: true } => format!("fwmark {mark} (IPv6)"),
    }
}

fn link_attributes(link: &LinkConfig, blocked: bool) -> String {
    let [there, back] = link.directions.each_ref().map(direction);
    let mut text = if there == back { there } else { format!("{there}\\n{back}") };
    text = format!("label=\"{text}\"");
    for (end, place) in link.ends.iter().zip(["taillabel", "headlabel"]) {
        if let LinkEnd::Interface(_, interface) = end {
            write!(text, ", {place}=\"{}\"", quoted(interface)).expect("a String takes everything");
        }
    }
    if link.standby {
        text.push_str(", style=dashed");
    } else if blocked {
        text.push_str(", style=dotted");
    }
    if !link.up {
        text.push_str(", color=red");
    }
    text
}

/// `1Gbit/s 50us`, `1ms loss 0.01`.
fn direction(d: &LinkDirection) -> String {
    let mut text = String::new();
    for (unit, name) in [(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"), (1, "")] {
        if d.rate_bps != 0 && d.rate_bps.is_multiple_of(unit) {
            text = format!("{}{name}bit/s ", d.rate_bps / unit);
            break;
        }
    }
    text.push_str(&d.latency.to_string());
    if d.loss > 0.0 {
        write!(text, " loss {}", d.loss).expect("a String takes everything");
    }
    text
}

#[cfg(test)]
pub(crate) mod sample;

#[cfg(test)]
mod tests {
    use super::sample::{self, connect, host, link, switch, world};
    use super::*;

    fn ring(spanning: &[bool]) -> WorldConfig {
        let mut w = world();
        for (n, on) in spanning.iter().enumerate() {
            w.switches.push(switch(&format!("sw{n}"), *on));
        }
        for n in 0..spanning.len() {
            let next = (n + 1) % spanning.len();
            w.links.push(link(&format!("sw{n}"), &format!("sw{next}")));
        }
        w
    }

    #[test]
    fn a_ring_loses_the_link_farthest_from_the_root() {
        assert_eq!(spanning_tree(&ring(&[true; 3])), [1]);
        // sw2 is two links away on both sides: the first one stays
        assert_eq!(spanning_tree(&ring(&[true; 4])), [2]);
        assert!(spanning_tree(&ring(&[true, false, true])).is_empty());
    }

    #[test]
    fn parallel_links_keep_the_first_that_is_up() {
        let mut w = ring(&[true, true]);
        w.links.push(link("sw0", "sw1"));
        w.links.push(link("sw1", "sw1"));
        assert_eq!(spanning_tree(&w), [1, 2, 3]);
        assert_eq!(spanning_tree_with(&w, |l| l != 0), [2, 3]);
        w.links[0].standby = true;
        assert_eq!(spanning_tree(&w), [2, 3]);
    }

    #[test]
    fn each_group_of_switches_has_its_own_root() {
        let mut w = ring(&[true; 3]);
        for n in 3..6 {
            w.switches.push(switch(&format!("sw{n}"), true));
        }
        for (a, b) in [("sw5", "sw4"), ("sw4", "sw3"), ("sw3", "sw5")] {
            w.links.push(link(a, b));
        }
        assert_eq!(spanning_tree(&w), [1, 3]);
    }

    #[test]
    fn the_graph_leaves_out_links_that_lead_nowhere() {
        let mut w = world();
        w.hosts.push(host("a", &["10.0.0.1/24"]));
        w.switches.push(switch("sw", false));
        connect(&mut w, "a", "sw");
        connect(&mut w, "nobody", "sw");
        let t = Topology::new(&w);
        assert_eq!((t.graph().node_count(), t.graph().edge_count()), (2, 1));
        assert_eq!(t.name(Node::Host(0)), "a");
        assert_eq!(t.name(Node::Switch(7)), "");
    }

    #[test]
    fn a_drawing_names_addresses_rates_and_states() {
        let mut w = sample::dr();
        w.hosts[1].interfaces[0].name = "et\"h0".into();
        w.links[0].directions[1].rate_bps = 2_500_000;
        w.links[2].up = false;
        w.links[3].standby = true;
        w.hosts[0].interfaces[0].addresses =
            (1..=6).map(|n| sample::address(&format!("10.0.0.{n}/8"))).collect();
        w.links[1].ends[0] = LinkEnd::Interface("director".into(), "et\"h0".into());
        let dot = Topology::new(&w).to_dot();
        assert_eq!(dot, Topology::new(&w.clone()).to_dot());
        for part in [
            "graph network {\n",
            "  h0 [shape=box, label=\"client\\neth0 10.0.0.1/8 10.0.0.2/8 10.0.0.3/8 10.0.0.4/8 \
             and 2 more\\l\"];\n",
            "label=\"director\\net\\\"h0 10.0.0.100/24 10.0.0.200/32\\lVIP 10.0.0.200:80 TCP\\l\", \
             style=filled",
            "lo 10.0.0.200/32\\l",
            "  s0 [shape=ellipse, label=\"sw\"];\n",
            "  h0 -- s0 [label=\"1Gbit/s 50us\\n2500kbit/s 50us\", taillabel=\"eth0\"];\n",
            "taillabel=\"et\\\"h0\"];\n",
            "color=red];\n",
            "style=dashed];\n",
        ] {
            assert!(dot.contains(part), "{part}\nis not in\n{dot}");
        }
        assert!(dot.ends_with("}\n"));
    }
}
