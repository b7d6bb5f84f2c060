//! The files of both nodes against each other.

use super::authkeys::AuthKeys;
use super::ha_cf::{HaCf, Medium};
use super::haresources::HaResources;
use crate::diagnostic::{At, Place, Problem};
use std::collections::BTreeSet;

/// The files of a node, as far as they are there.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// `uname -n`, if it is known.
    pub node: Option<&'a str>,
    /// Its `ha.cf`.
    pub ha: Option<&'a HaCf>,
    /// Its `haresources`.
    pub resources: Option<&'a HaResources>,
    /// Its `authkeys`.
    pub keys: Option<&'a AuthKeys>,
}

/// What goes wrong between the files of two nodes, or between those of one (`[side]`).
///
/// ```
/// use scenarios::diagnostic::Sources;
/// use scenarios::import::heartbeat::{Side, authkeys, compare};
/// let mut sources = Sources::default();
/// let one = sources.add("one", "auth 1\n1 sha1 a\n");
/// let two = sources.add("two", "auth 1\n1 sha1 b\n");
/// let keys = [one, two].map(|file| authkeys::read(&sources, file).0);
/// let sides = [&keys[0], &keys[1]]
///     .map(|keys| Side { node: None, ha: None, resources: None, keys: Some(keys) });
/// assert_eq!(compare(&sides)[0].message, "the keys of the nodes differ");
/// ```
pub fn compare(sides: &[Side<'_>]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for side in sides {
        own(side, &mut problems);
    }
    if let [one, two] = sides {
        keys(one, two, &mut problems);
        resources(one, two, &mut problems);
        if let (Some(one), Some(two)) = (one.ha, two.ha) {
            directives(one, two, &mut problems);
        }
    }
    problems
}

/// The files of one node.
fn own(side: &Side<'_>, problems: &mut Vec<Problem>) {
    let Some(ha) = side.ha else { return };
    if let Some(node) = side.node.filter(|n| !ha.nodes.is_empty() && !ha.has_node(n)) {
        let message = format!("Current node [{node}] not in configuration!");
        let place = ha.nodes.first().map_or_else(Place::default, |n| n.place.clone());
        let label = "`node` must be as `uname -n` says; heartbeat does not start";
        problems.push(Problem::new(&place, message, label));
    }
    let Some(resources) = side.resources.filter(|_| !ha.crm && !ha.nodes.is_empty()) else {
        return;
    };
    let names = || ha.nodes.iter().map(|n| n.value.as_str());
    let mut seen = BTreeSet::new();
    for group in &resources.groups {
        let name = &group.node;
        if ha.has_node(&name.value) || !seen.insert(&name.value) {
            continue;
        }
        let message = format!("{} is no node of ha.cf", name.value);
        let label = "nobody prefers this group: a node takes it only when the other is dead";
        let problem = Problem::new(&name.place, message, label);
        let near = crate::format::words::nearest(&name.value, names());
        problems.push(match near.filter(|_| seen.len() < 100) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        });
    }
}

fn keys(one: &Side<'_>, two: &Side<'_>, problems: &mut Vec<Problem>) {
    let (Some(one), Some(two)) = (one.keys, two.keys) else { return };
    let (Some(first), Some(second)) = (one.key(), two.key()) else { return };
    // a message is checked with the key of its number at the receiver
    let knows = |by: &AuthKeys, key: &super::authkeys::Key| {
        by.keys
            .iter()
            .rfind(|k| k.number == key.number)
            .is_some_and(|k| k.method == key.method && k.secret == key.secret)
    };
    if knows(two, first) && knows(one, second) {
        return;
    }
    let message = "the keys of the nodes differ";
    let label = "neither hears the other: both hold all resources for good";
    problems.push(Problem::new(&second.place, message, label));
}

fn resources(one: &Side<'_>, two: &Side<'_>, problems: &mut Vec<Problem>) {
    let (Some(one), Some(two)) = (one.resources, two.resources) else { return };
    let lines = |r: &HaResources| -> Vec<(String, Vec<String>)> {
        let texts = |g: &super::haresources::Group| {
            g.resources.iter().map(|r| r.value.text.clone()).collect()
        };
        r.groups.iter().map(|g| (g.node.value.to_ascii_lowercase(), texts(g))).collect()
    };
    let (first, second) = (lines(one), lines(two));
    if first == second {
        return;
    }
    let longer = if first.len() > second.len() { one } else { two };
    let at = first.iter().zip(&second).take_while(|(a, b)| a == b).count();
    let place = match two.groups.get(at).or_else(|| longer.groups.get(at)) {
        Some(group) => group.node.place.clone(),
        None => Place::default(),
    };
    let message = "haresources of the nodes differ";
    let label = "a take-over starts something else than was stopped";
    problems.push(Problem::new(&place, message, label));
}

fn directives(one: &HaCf, two: &HaCf, problems: &mut Vec<Problem>) {
    let place = two.nodes.first().map_or_else(Place::default, |n| n.place.clone());
    let mut differ = |what: &str, first: String, second: String, label: &str| {
        let message = format!("{what} of the nodes differs: {first} and {second}");
        problems.push(Problem::new(&place, message, label));
    };
    let names = |ha: &HaCf| ha.nodes.iter().map(|n| n.value.clone()).collect::<BTreeSet<_>>();
    let shown = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" ");
    let (first, second) = (names(one), names(two));
    if first != second {
        let label = "each ignores members it does not know";
        differ("node", shown(&first), shown(&second), label);
    }
    for (what, first, second, label) in [
        ("keepalive", one.keepalive, two.keepalive, "hardly meant"),
        ("deadtime", one.deadtime, two.deadtime, "each is declared dead after its own deadtime"),
    ] {
        if first != second {
            differ(what, first.to_string(), second.to_string(), label);
        }
    }
    if one.port != two.port {
        let label = "neither hears the other: both hold all resources";
        differ("udpport", one.port.to_string(), two.port.to_string(), label);
    }
    if one.failback != two.failback {
        let word = |ha: &HaCf| format!("{:?}", ha.failback).to_lowercase();
        let label = "legacy speaks another protocol than on and off";
        differ("auto_failback", word(one), word(two), label);
    }
    same_medium(one, two, problems);
}

/// Media that the other node does not listen to.
fn same_medium(one: &HaCf, two: &HaCf, problems: &mut Vec<Problem>) {
    let kinds = |ha: &HaCf| {
        let kind = |m: &At<Medium>| match m.value {
            Medium::Bcast(_) => "bcast",
            Medium::Mcast { .. } => "mcast",
            Medium::Ucast { .. } => "ucast",
            Medium::Serial(_) => "serial",
        };
        ha.media.iter().map(kind).collect::<BTreeSet<_>>()
    };
    let Some(medium) = two.media.first() else { return };
    if !one.media.is_empty() && kinds(one).is_disjoint(&kinds(two)) {
        let message = "the nodes have no kind of medium in common";
        let label = "ucast is heard by who listens to bcast on the same port; others are not";
        problems.push(Problem::new(&medium.place, message, label));
    }
}
