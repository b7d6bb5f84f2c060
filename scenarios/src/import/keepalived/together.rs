//! Virtual routers together: `vrrp_sync_group`, the sync daemon, and what does not go together.

use super::global::SyncDaemon;
use super::tracking::{Track, Tracker};
use super::tree::Node;
use super::{Configuration, Findings};
use crate::diagnostic::Place;
use std::collections::{BTreeMap, BTreeSet};

/// Virtual routers that change state together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyncGroup {
    /// Its name.
    pub name: String,
    /// Those of its members that there are.
    pub members: Vec<String>,
    /// What all of its members track.
    pub trackers: Vec<Tracker>,
    /// `sync_group_tracking_weight` or `global_tracking`: members may have weights.
    pub weighted: bool,
    /// Where it stands.
    pub place: Place,
}

/// Instances against each other, and against what they track.
///
/// `tracked` is what the sync groups track, in the order of the text.
pub(super) fn read(
    nodes: &[Node],
    tracked: Vec<Vec<Tracker>>,
    all: &mut Configuration,
    findings: &mut Findings,
) {
    let mut trackers = tracked.into_iter();
    let names: BTreeSet<String> = all.instances.iter().map(|i| i.name.clone()).collect();
    for node in nodes.iter().filter(|n| n.name() == "vrrp_instance") {
        old_sync_daemon(node, all, findings);
    }
    for node in nodes.iter().filter(|n| n.name() == "vrrp_sync_group") {
        let tracked = trackers.next().unwrap_or_default();
        all.sync_groups.extend(sync_group(node, &names, tracked, findings));
    }
    weights(all, findings);
    sync_daemon(all, findings);
    let mut routers: BTreeMap<_, &str> = BTreeMap::new();
    for instance in all.instances.iter().filter(|i| i.vrid > 0) {
        let key = (instance.vrid, instance.interface.as_deref(), instance.is_v6());
        let Some(first) = routers.get(&key) else {
            routers.insert(key, &instance.name);
            continue;
        };
        let interface = instance.interface.as_deref().unwrap_or("no interface");
        let (vrid, second) = (instance.vrid, &instance.name);
        let message = format!("VRID {vrid} on {interface} is used by {first} and {second}");
        findings.error(&instance.place, message, "a router id names one virtual router");
    }
}

fn sync_group(
    node: &Node,
    instances: &BTreeSet<String>,
    trackers: Vec<Tracker>,
    findings: &mut Findings,
) -> Option<SyncGroup> {
    let name = node.word(1).unwrap_or_default().to_owned();
    let place = node.place();
    let stated: Vec<_> = node.all("group").flat_map(|n| &n.inner).flat_map(|e| &e.words).collect();
    let mut members = Vec::new();
    for word in &stated {
        if instances.contains(&word.text) {
            members.push(word.text.clone());
            continue;
        }
        let message = format!(
            "Virtual router {} specified in sync group {name} doesn't exist - ignoring",
            word.text
        );
        findings.error(&word.place, message, "no such `vrrp_instance`");
    }
    match members.len() {
        0 => {
            let message = format!("Sync group {name} has no virtual router(s). removing");
            findings.error(&place, message, "`group { ... }` has no instance");
            return None;
        }
        1 => {
            let message = format!(
                "Sync group {name} has only 1 virtual router(s) - this probably isn't what you want"
            );
            findings.error(&place, message, "a group of one changes nothing");
        }
        _ => {}
    }
    let weighted = node.has("sync_group_tracking_weight") || node.has("global_tracking");
    Some(SyncGroup { name, members, trackers, weighted, place })
}

/// Members of a sync group and owners of addresses have no priorities that change.
fn weights(all: &mut Configuration, findings: &mut Findings) {
    let groups = all.sync_groups.iter().filter(|g| !g.weighted);
    let members: BTreeSet<&str> = groups.flat_map(|g| &g.members).map(String::as_str).collect();
    for instance in &mut all.instances {
        let synced = members.contains(instance.name.as_str());
        if !synced && instance.priority != 255 {
            continue;
        }
        let name = &instance.name;
        let due = if synced { "SYNC group" } else { "address owner" };
        instance.trackers.retain_mut(|tracker| {
            if tracker.weight == 0 {
                return true;
            }
            let of = &tracker.name;
            let (message, stays) = match tracker.kind {
                Track::Process => return true,
                Track::Interface if synced => {
                    (format!("({name}) ignoring {of} tracked interface weight due to {due}"), true)
                }
                Track::Interface => {
                    (format!("({name}) ignoring {of} tracked interface due to {due}"), false)
                }
                Track::Script => (
                    format!("({name}) ignoring tracked script {of} with weights due to {due}"),
                    false,
                ),
                Track::File if tracker.weight == 1 => (
                    format!(
                        "({name}) ignoring weight from tracked file {of} due to {due}. specify weight 0"
                    ),
                    true,
                ),
                Track::File | Track::Bfd => (
                    format!(
                        "({name}) ignoring tracked {} {of} with weight {} due to {due}",
                        if tracker.kind == Track::File { "file" } else { "bfd" },
                        tracker.weight
                    ),
                    false,
                ),
            };
            findings.error(&tracker.place, message, "its priority does not change");
            tracker.weight = 0;
            stays
        });
    }
}

/// `lvs_sync_daemon_interface` of an instance.
fn old_sync_daemon(node: &Node, all: &mut Configuration, findings: &mut Findings) {
    let name = node.word(1).unwrap_or_default();
    let Some(line) = node.last("lvs_sync_daemon_interface") else { return };
    if let Some(first) = &all.global.sync_daemon {
        let message = format!(
            "({name}) lvs_sync_daemon_interface has already been specified as {} - ignoring",
            first.interface
        );
        return findings.error(&line.place(), message, "only one counts");
    }
    let interface = line.word(1).unwrap_or_default();
    let daemon = SyncDaemon::plain(interface, line.place());
    all.global.sync_daemon = Some(SyncDaemon { instance: Some(name.to_owned()), ..daemon });
}

/// The instance of the sync daemon, and its id.
fn sync_daemon(all: &mut Configuration, findings: &mut Findings) {
    let Some(daemon) = &mut all.global.sync_daemon else { return };
    let Some(name) = &daemon.instance else { return };
    match all.instances.iter().find(|i| i.name == *name) {
        Some(instance) if !daemon.with_id => daemon.id = instance.vrid,
        Some(_) => {}
        None => {
            let message = format!(
                "Unable to find vrrp instance {name} for lvs_syncd - clearing lvs_syncd config"
            );
            findings.error(&daemon.place, message, "no such `vrrp_instance`");
            all.global.sync_daemon = None;
        }
    }
}
