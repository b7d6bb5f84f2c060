//! `vrrp_instance`, `vrrp_sync_group` and what they track.

use super::global::Global;
use super::tree::Node;
use super::values::{address, millionths, net};
use super::{Configuration, Findings};
use crate::diagnostic::Place;
use sim_core::engine::Span;
use std::net::IpAddr;

/// A virtual router.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// `state MASTER`, or priority 255.
    pub master: bool,
    /// `interface`.
    pub interface: Option<String>,
    /// `virtual_router_id`; 0 if it is missing.
    pub vrid: u8,
    /// `priority`, by default 100, with `state MASTER` 255.
    pub priority: u8,
    /// `version`, of the instance or of all, by default 2 and for IPv6 addresses 3.
    pub version: u8,
    /// `advert_int`: whole seconds in version 2, hundredths in version 3.
    pub advert: Span,
    /// `virtual_ipaddress` with their prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// `virtual_ipaddress_excluded`.
    pub excluded: Vec<(IpAddr, u8)>,
    /// `unicast_peer`: without any, adverts are multicast.
    pub peers: Vec<IpAddr>,
    /// `unicast_src_ip` or `mcast_src_ip`.
    pub source: Option<IpAddr>,
    /// Whether a higher priority takes over from a lower one.
    pub preempt: bool,
    /// `preempt_delay`.
    pub preempt_delay: Span,
    /// `authentication`: whether by `AH`, and the password.
    pub authentication: Option<(bool, String)>,
    /// `use_vmac`.
    pub vmac: bool,
    /// `garp_master_delay`, `garp_master_repeat`.
    pub garp: (Span, u32),
    /// `track_interface`, `track_script`, `track_file`, `track_process`, `track_bfd`.
    pub trackers: Vec<Tracker>,
    /// Where it stands.
    pub place: Place,
}

/// Something that is tracked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tracker {
    /// The keyword of its block.
    pub kind: String,
    /// What is tracked.
    pub name: String,
    /// `weight`; 0: a failure is a fault.
    pub weight: Option<i32>,
    /// `reverse`.
    pub reverse: bool,
}

/// Virtual routers that change state together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyncGroup {
    /// Its name.
    pub name: String,
    /// Those of its members that there are.
    pub members: Vec<String>,
    /// Where it stands.
    pub place: Place,
}

/// A `vrrp_script`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// The command.
    pub command: String,
    /// `interval`.
    pub interval: Span,
    /// `timeout`, by default the interval.
    pub timeout: Span,
    /// `weight`.
    pub weight: i32,
    /// `weight N reverse`.
    pub reverse: bool,
    /// `rise`, `fall`.
    pub rise_fall: (u32, u32),
    /// `init_fail`.
    pub starts_failed: bool,
}

/// The number behind a keyword that was found right.
pub(super) fn number<N: std::str::FromStr>(node: &Node, name: &str) -> Option<N> {
    node.last(name)?.word(1)?.trim_start_matches('+').parse().ok()
}

/// The time behind a keyword that was found right.
pub(super) fn time(node: &Node, name: &str) -> Option<Span> {
    let micros = millionths(node.last(name)?.word(1)?)?;
    Some(Span::from_nanos(micros.saturating_mul(1000)))
}

/// A `vrrp_script`; `None` without a command.
pub(super) fn script(node: &Node, findings: &mut Findings) -> Option<Script> {
    let name = node.word(1).unwrap_or_default().to_owned();
    let Some(command) = node.last("script") else {
        let message = format!("No script set for vrrp_script {name} - removing");
        findings.error(&node.end, message, "`script COMMAND` is missing");
        return None;
    };
    let words: Vec<&str> = command.words[1..].iter().map(|w| w.text.as_str()).collect();
    let interval = time(node, "interval").unwrap_or(Span::from_secs(1));
    let weight = node.last("weight");
    Some(Script {
        name,
        command: words.join(" "),
        interval,
        timeout: time(node, "timeout").unwrap_or(interval),
        weight: number(node, "weight").unwrap_or(0),
        reverse: weight.is_some_and(|w| w.word(2).is_some()),
        rise_fall: (number(node, "rise").unwrap_or(1), number(node, "fall").unwrap_or(1)),
        starts_failed: node.has("init_fail"),
    })
}

fn nets(node: &Node, name: &str) -> Vec<(IpAddr, u8)> {
    let entries = node.all(name).flat_map(|n| &n.inner);
    entries.filter_map(|e| e.words.iter().find_map(|w| net(&w.text))).collect()
}

fn trackers(node: &Node) -> Vec<Tracker> {
    let mut all = Vec::new();
    for kind in ["track_interface", "track_script", "track_file", "track_process", "track_bfd"] {
        for entry in node.all(kind).flat_map(|n| &n.inner) {
            let at = entry.words.iter().position(|w| w.text == "weight");
            all.push(Tracker {
                kind: kind.to_owned(),
                name: entry.name().to_owned(),
                weight: at.and_then(|n| entry.word(n + 1)).and_then(|w| w.parse().ok()),
                reverse: entry.words.iter().any(|w| w.text == "reverse"),
            });
        }
    }
    all
}

/// A `vrrp_instance`.
pub(super) fn instance(node: &Node, global: &Global, findings: &mut Findings) -> Instance {
    let name = node.word(1).unwrap_or_default().to_owned();
    let (addresses, excluded) =
        (nets(node, "virtual_ipaddress"), nets(node, "virtual_ipaddress_excluded"));
    let v6 = addresses.first().is_some_and(|(ip, _)| ip.is_ipv6());
    let version = number(node, "version").unwrap_or(if v6 { 3 } else { global.version });
    let stated = node.last("state").and_then(|s| s.word(1)) == Some("MASTER");
    let priority =
        number(node, "priority").unwrap_or(if stated && !node.has("priority") { 255 } else { 100 });
    let peers = node.all("unicast_peer").flat_map(|n| &n.inner);
    let source = node.last("unicast_src_ip").or_else(|| node.last("mcast_src_ip"));
    let method = node.last("authentication");
    Instance {
        master: stated || priority == 255,
        interface: node.last("interface").and_then(|i| i.word(1)).map(str::to_owned),
        vrid: number(node, "virtual_router_id").unwrap_or(0),
        priority,
        version,
        advert: advert(node, &name, version, findings),
        peers: peers.filter_map(|p| address(p.name())).collect(),
        source: source.and_then(|s| address(s.word(1)?)),
        preempt: !node.has("nopreempt"),
        preempt_delay: time(node, "preempt_delay").unwrap_or(Span::ZERO),
        authentication: method.and_then(|m| {
            let password = m.last("auth_pass").and_then(|p| p.word(1)).unwrap_or_default();
            let kind = m.last("auth_type")?.word(1)?;
            Some((kind == "AH", password.chars().take(8).collect()))
        }),
        vmac: node.has("use_vmac"),
        garp: (
            time(node, "garp_master_delay").unwrap_or(global.garp_delay),
            number(node, "garp_master_repeat").unwrap_or(global.garp_repeat),
        ),
        trackers: trackers(node),
        addresses,
        excluded,
        name,
        place: node.place(),
    }
}

fn advert(node: &Node, name: &str, version: u8, findings: &mut Findings) -> Span {
    let second = Span::from_secs(1);
    let stated = time(node, "advert_int").unwrap_or(second).as_nanos();
    let (unit, most) = if version == 2 { (1_000_000_000, 255) } else { (10_000_000, 4095) };
    let units = (stated / unit).clamp(1, most);
    let advert = Span::from_nanos(units * unit);
    if advert.as_nanos() != stated
        && let Some(node) = node.last("advert_int")
    {
        let message = format!(
            "({name}) advertisement interval {} does not fit version {version}, using {advert}",
            node.word(1).unwrap_or_default()
        );
        let label = if version == 2 {
            "whole seconds from 1"
        } else {
            "hundredths of a second, at most 40.95"
        };
        findings.error(&node.place(), message, label);
    }
    advert
}

/// What keepalived says about an instance as a whole; it mends what does not go together.
pub(super) fn complete(node: &Node, instance: &mut Instance, findings: &mut Findings) {
    let name = instance.name.clone();
    let mut say = |of: &str, message: String, label: &str| {
        let place = node.last(of).map_or_else(|| instance.place.clone(), Node::place);
        findings.error(&place, message, label);
    };
    if !node.has("virtual_router_id") {
        say("", format!("({name}) the virtual id must be set!"), "`virtual_router_id` is missing");
    }
    let unicast = !instance.peers.is_empty();
    if instance.interface.is_none() && !unicast {
        say("interface", format!("({name}) Unknown interface!"), "`interface IF` is missing");
    }
    if node.has("priority")
        && instance.master
        && instance.priority == 255
        && node.last("state").and_then(|s| s.word(1)) == Some("BACKUP")
    {
        let message = format!("({name}) Initial state BACKUP with priority 255 - setting MASTER");
        say("state", message, "an owner starts as master");
    }
    let written = instance.addresses.is_empty() && !node.has("no_virtual_ipaddress");
    if written {
        let message = format!("({name}) No VIP specified; at least one is sensible");
        say("virtual_ipaddress", message, "`virtual_ipaddress` has no address");
    }
    if instance.master && !instance.preempt {
        let message = format!(
            "({name}) Warning - nopreempt will not work with initial state MASTER - clearing"
        );
        say("nopreempt", message, "needs `state BACKUP`");
        instance.preempt = true;
    }
    if instance.preempt_delay > Span::ZERO && (!instance.preempt || instance.master) {
        let with = if instance.preempt { "initial state MASTER" } else { "nopreempt mode" };
        let message =
            format!("({name}) Warning - preempt delay will not work with {with} - clearing");
        say("preempt_delay", message, "has no effect");
        instance.preempt_delay = Span::ZERO;
    }
    let unicast_words = ["unicast_src_ip", "unicast_ttl", "check_unicast_src", "unicast_peer"];
    if !unicast && let Some(word) = unicast_words.into_iter().find(|w| node.has(w)) {
        let message = format!(
            "({name}) A unicast keyword has been specified without any unicast peers. Defaulting to multicast."
        );
        say(word, message, "`unicast_peer { ... }` has no address");
    }
    if instance.vmac && unicast && !node.has("vmac_xmit_base") {
        let message = format!("({name}) unicast with use_vmac requires vmac_xmit_base - setting");
        findings.error(&node.end, message, "`vmac_xmit_base` is missing");
    }
    authentication(node, instance, findings);
    if let Some(own) = instance.interface.clone() {
        for entry in node.all("track_interface").flat_map(|n| &n.inner).filter(|e| e.name() == own)
        {
            let message = format!("({name}) Ignoring track_interface {own} since own interface");
            findings.error(&entry.place(), message, "it is tracked anyway");
        }
        instance.trackers.retain(|t| t.kind != "track_interface" || t.name != own);
    }
}

fn authentication(node: &Node, instance: &mut Instance, findings: &mut Findings) {
    let Some(block) = node.last("authentication") else { return };
    let name = &instance.name;
    if let Some(password) =
        block.last("auth_pass").filter(|p| p.word(1).is_some_and(|w| w.len() > 8))
    {
        let label = "only the first 8 letters count";
        findings.error(&password.words[1].place, "Truncating auth_pass to 8 characters", label);
    }
    if instance.version == 3 && instance.authentication.is_some() {
        let message = format!("({name}) VRRP version 3 does not support authentication. Ignoring.");
        findings.error(&block.place(), message, "for `version 2` only");
        instance.authentication = None;
    }
    if instance.master && instance.authentication.as_ref().is_some_and(|a| a.0) {
        let message = format!(
            "({name}) Initial state master is incompatible with AH authentication - clearing"
        );
        findings.error(&block.place(), message, "it starts as backup");
        instance.master = false;
    }
}

/// Instances against each other, and against what they track.
pub(super) fn together(nodes: &[Node], all: &mut Configuration, findings: &mut Findings) {
    let mut synced: Vec<String> = Vec::new();
    for node in nodes.iter().filter(|n| n.name() == "vrrp_instance") {
        let name = node.word(1).unwrap_or_default();
        for entry in node.all("track_script").flat_map(|n| &n.inner) {
            if !all.scripts.iter().any(|s| s.name == entry.name()) {
                let message =
                    format!("({name}) track script {} not found, ignoring...", entry.name());
                findings.error(&entry.place(), message, "no such `vrrp_script`");
            }
        }
        if let Some(daemon) = node.last("lvs_sync_daemon_interface") {
            if let Some(first) = synced.first() {
                let message = format!(
                    "({name}) lvs_sync_daemon_interface has already been specified as {first} - ignoring"
                );
                findings.error(&daemon.place(), message, "only one counts");
            }
            synced.extend(daemon.word(1).map(str::to_owned));
        }
    }
    for node in nodes.iter().filter(|n| n.name() == "vrrp_sync_group") {
        all.sync_groups.extend(sync_group(node, &all.instances, &all.scripts, findings));
    }
    for (n, instance) in all.instances.iter().enumerate() {
        let same = |i: &&Instance| {
            let v6 = |i: &Instance| i.addresses.first().is_some_and(|(ip, _)| ip.is_ipv6());
            i.vrid == instance.vrid && i.interface == instance.interface && v6(i) == v6(instance)
        };
        if instance.vrid > 0
            && let Some(other) = all.instances[..n].iter().find(same)
        {
            let interface = instance.interface.as_deref().unwrap_or("no interface");
            let (vrid, first, second) = (instance.vrid, &other.name, &instance.name);
            let message = format!("VRID {vrid} on {interface} is used by {first} and {second}");
            findings.error(&instance.place, message, "a router id names one virtual router");
        }
    }
}

fn sync_group(
    node: &Node,
    instances: &[Instance],
    scripts: &[Script],
    findings: &mut Findings,
) -> Option<SyncGroup> {
    let name = node.word(1).unwrap_or_default().to_owned();
    let place = node.place();
    for entry in node.all("track_script").flat_map(|n| &n.inner) {
        if !scripts.iter().any(|s| s.name == entry.name()) {
            let message = format!("({name}) track script {} not found, ignoring...", entry.name());
            findings.error(&entry.place(), message, "no such `vrrp_script`");
        }
    }
    let stated: Vec<_> = node.all("group").flat_map(|n| &n.inner).flat_map(|e| &e.words).collect();
    let mut members = Vec::new();
    for word in &stated {
        if instances.iter().any(|i| i.name == word.text) {
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
    Some(SyncGroup { name, members, place })
}
