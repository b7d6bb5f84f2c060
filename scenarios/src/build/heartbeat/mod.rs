//! From `ha.cf`, `haresources`, `authkeys` and `ldirectord.cf` to what heartbeat and ldirectord do on
//! simulated hosts.

mod ldirectord;

use super::Builder;
use super::keepalived::has_interface;
use crate::diagnostic::{At, Problem};
use crate::import::commands::Findings;
use crate::import::heartbeat::ha_cf::{self, HaCf};
use crate::import::heartbeat::haresources::{self, VirtualAddress};
use crate::model::HeartbeatFiles;
use sim_core::config::{
    Announce, AuthKey, AuthMethod, HeartbeatConfig, HostConfig, IpvsConfig, Medium, Net, PingNode,
    Resource, ResourceGroup, ResourceKind, StonithConfig, WorldConfig,
};
use sim_core::ipvs::rules::ServiceKey;
use std::net::IpAddr;

impl Builder<'_> {
    /// Puts heartbeat and ldirectord on their hosts.
    pub(super) fn heartbeat(&mut self, findings: &mut Findings) {
        if self.lacks_cluster() {
            return;
        }
        for files in self.heartbeat.clone() {
            for member in self.members(&files.host) {
                let Some(host) = self.host(&member) else { continue };
                let config = configure(&files, host, &self.hosts, findings);
                let Some(host) = self.host_mut(&member) else { continue };
                host.heartbeat = Some(config);
            }
        }
        for file in self.ldirectord.clone() {
            let config = ldirectord::configure(&file, &self.hosts, findings);
            for member in self.members(&file.host) {
                let Some(host) = self.host_mut(&member) else { continue };
                host.ldirectord = Some(config.clone());
                host.ipvs.get_or_insert_with(IpvsConfig::default);
            }
        }
        self.swap_daemons();
    }

    /// A host that swaps its sync daemon with its resources has IPVS.
    fn swap_daemons(&mut self) {
        for host in &mut self.hosts {
            let groups = host.heartbeat.iter().flat_map(|h| &h.groups);
            let swaps = |r: &Resource| matches!(r.kind, ResourceKind::SyncDaemonSwap { .. });
            if groups.flat_map(|g| &g.resources).any(swaps) {
                host.ipvs.get_or_insert_with(IpvsConfig::default);
            }
        }
    }
}

/// The address of a host by its name, or the address that stands there.
fn resolve(hosts: &[HostConfig], name: &str) -> Option<IpAddr> {
    name.parse().ok().or_else(|| {
        let host = hosts.iter().find(|h| h.name == name)?;
        Some(host.interfaces.first()?.addresses.first()?.addr)
    })
}

/// What heartbeat does on a host.
fn configure(
    files: &HeartbeatFiles,
    host: &HostConfig,
    hosts: &[HostConfig],
    findings: &mut Findings,
) -> HeartbeatConfig {
    let ha = &files.ha;
    let node = files.node.clone().unwrap_or_else(|| host.name.clone()).to_lowercase();
    if !ha.has_node(&node) {
        let message = format!("Current node [{node}] not in configuration!");
        let place = ha.nodes.first().map_or(&files.place, |n| &n.place);
        let label = "heartbeat does not start: `node` must be as `uname -n` says";
        findings.problems.push(Problem::new(place, message, label));
    }
    let media = ha.media.iter().filter_map(|m| medium(m, host, hosts, ha, findings)).collect();
    let pings = ha.pings.iter().map(|p| ping(p, hosts, findings)).collect();
    let key = files.keys.as_ref().and_then(|k| k.key());
    HeartbeatConfig {
        start: files.start,
        media,
        port: ha.port,
        keepalive: ha.keepalive,
        deadtime: ha.deadtime,
        warntime: ha.warntime,
        initdead: ha.initdead,
        deadping: ha.deadping,
        failback: ha.failback,
        pings,
        watchdog: ha.watchdog.is_some(),
        stonith: ha.stonith_at(&node).map(|s| device(files, &node, &s.kind, hosts)),
        groups: groups(files, host, findings),
        key: key.map_or(AuthKey { method: AuthMethod::Crc, secret: String::new() }, |k| AuthKey {
            method: k.method,
            secret: k.secret.clone(),
        }),
        scripts: files.scripts.clone(),
        nodes: ha.nodes.iter().map(|n| n.value.clone()).collect(),
        node,
    }
}

/// A way for messages; `None` for one that is none here.
fn medium(
    medium: &At<ha_cf::Medium>,
    host: &HostConfig,
    hosts: &[HostConfig],
    ha: &HaCf,
    findings: &mut Findings,
) -> Option<Medium> {
    let place = &medium.place;
    Some(match &medium.value {
        ha_cf::Medium::Bcast(interface) => {
            has_interface(host, interface, place, findings).then_some(())?;
            Medium::Bcast { interface: interface.clone() }
        }
        ha_cf::Medium::Mcast { interface, group, port, ttl, .. } => {
            has_interface(host, interface, place, findings).then_some(())?;
            let (interface, group) = (interface.clone(), *group);
            Medium::Mcast { interface, group, port: *port, ttl: *ttl }
        }
        ha_cf::Medium::Ucast { interface, peer } => {
            let Some(peer) = resolve(hosts, peer) else {
                let message = format!("`{peer}` is neither an address nor a host");
                findings.problems.push(Problem::new(place, message, "who is that?"));
                return None;
            };
            let own = host.interfaces.iter().flat_map(|i| &i.addresses).any(|a| a.addr == peer);
            // the line of the other node
            if own {
                return None;
            }
            has_interface(host, interface, place, findings).then_some(())?;
            Medium::Ucast { interface: interface.clone(), peer }
        }
        ha_cf::Medium::Serial(device) => {
            let other = if ha.media.len() > 1 { "; the others carry the messages" } else { "" };
            let message =
                format!("there are no serial lines here: {device} carries nothing{other}");
            findings.remark(place, message);
            return None;
        }
    })
}

fn ping(ping: &At<ha_cf::Ping>, hosts: &[HostConfig], findings: &mut Findings) -> PingNode {
    let mut addresses = Vec::new();
    for name in &ping.value.hosts {
        if let Some(address) = resolve(hosts, name) {
            addresses.push(address);
        } else {
            let message = format!("`{name}` is neither an address nor a host");
            findings.problems.push(Problem::new(&ping.place, message, "who is that?"));
        }
    }
    PingNode { name: ping.value.name.clone(), addresses }
}

/// The device of a `stonith` line: it feeds the other nodes, each the host of its name. `null` feeds none.
fn device(files: &HeartbeatFiles, node: &str, kind: &str, hosts: &[HostConfig]) -> StonithConfig {
    let others = files.ha.nodes.iter().map(|n| n.value.clone()).filter(|n| n != node);
    let fed = |name: &String| {
        let host = hosts.iter().find(|h| h.name.eq_ignore_ascii_case(name));
        host.filter(|_| kind != "null").map(|h| h.name.clone())
    };
    let null = kind == "null";
    let switch = &files.switch;
    let at_once = sim_core::engine::Span::ZERO;
    StonithConfig {
        device: kind.to_owned(),
        outlets: others
            .map(|name| {
                let host = fed(&name);
                (name, host)
            })
            .collect(),
        reset: if null { at_once } else { switch.reset },
        cut: if null { at_once } else { switch.cut },
        failure: switch.failure,
        power_back: switch.power_back,
        address: switch.address,
    }
}

fn groups(
    files: &HeartbeatFiles,
    host: &HostConfig,
    findings: &mut Findings,
) -> Vec<ResourceGroup> {
    let all = || files.resources.groups.iter().flat_map(|g| &g.resources);
    for failing in &files.failing {
        if !all().any(|r| r.value.text == failing.value) {
            let message = format!("`{}` is no resource of haresources", failing.value);
            let label = "expected one as it is written there";
            findings.problems.push(Problem::new(&failing.place, message, label));
        }
    }
    let group = |g: &haresources::Group| ResourceGroup {
        node: g.node.value.to_lowercase(),
        resources: g.resources.iter().map(|r| resource(r, files, host)).collect(),
    };
    files.resources.groups.iter().map(group).collect()
}

fn resource(
    resource: &At<haresources::Resource>,
    files: &HeartbeatFiles,
    host: &HostConfig,
) -> Resource {
    let r = &resource.value;
    let first = |n: usize| r.arguments.get(n).map(String::as_str);
    let mut fails = files.failing.iter().any(|f| f.value == r.text);
    let kind = match (r.script.as_str(), &r.address) {
        ("IPaddr" | "IPaddr2", Some(address)) => address_of(r, address, host),
        ("IPaddr" | "IPaddr2", None) => {
            fails = true;
            ResourceKind::Other
        }
        ("ldirectord", _) => ResourceKind::Ldirectord,
        ("LVSSyncDaemonSwap", _) if first(0) == Some("master") => {
            let interface = host.interfaces.first().map(|i| i.name.clone()).unwrap_or_default();
            let syncid = first(1).and_then(|id| id.parse().ok()).unwrap_or(0);
            ResourceKind::SyncDaemonSwap { interface, syncid }
        }
        _ => ResourceKind::Other,
    };
    Resource { text: r.text.clone(), kind, fails }
}

/// An address: without a prefix or an interface it has those of the connected network (`findif`).
fn address_of(
    resource: &haresources::Resource,
    address: &VirtualAddress,
    host: &HostConfig,
) -> ResourceKind {
    let connected = host.interfaces.iter().find_map(|i| {
        let net = i.addresses.iter().find(|a| a.network().contains(address.ip))?;
        Some((i.name.clone(), net.len))
    });
    let whole = if address.ip.is_ipv4() { 32 } else { 128 };
    let len = address.length.or_else(|| connected.as_ref().map(|c| c.1)).unwrap_or(whole);
    let announce = if resource.script == "IPaddr2" { Announce::IPADDR2 } else { Announce::IPADDR };
    ResourceKind::Address {
        net: Net::new(address.ip, len),
        interface: address.interface.clone().or_else(|| connected.map(|c| c.0)),
        announce,
    }
}

/// A world as it is when all is well: each group on its preferred node, with the services of its ldirectord
/// and all their real servers; rules of the other node that wait for an address of the group do nothing.
pub(super) fn settle(config: &mut WorldConfig) {
    for host in &mut config.hosts {
        let Some(heartbeat) = &host.heartbeat else {
            if host.ldirectord.as_ref().is_some_and(|l| l.start.is_some()) {
                serve(host);
            }
            continue;
        };
        let (mine, others): (Vec<_>, Vec<_>) =
            heartbeat.groups.iter().partition(|g| g.node == heartbeat.node);
        let resources: Vec<Resource> = mine.iter().flat_map(|g| g.resources.clone()).collect();
        let addresses = others.iter().flat_map(|g| &g.resources).filter_map(|r| match &r.kind {
            ResourceKind::Address { net, .. } => Some(net.addr),
            _ => None,
        });
        let awaited: Vec<IpAddr> = addresses.collect();
        let waits = |key: ServiceKey| matches!(key, ServiceKey::Address { vip, .. } if awaited.contains(&vip));
        if let Some(ipvs) = &mut host.ipvs {
            ipvs.services.retain(|s| !waits(s.key));
        }
        for resource in resources {
            match resource.kind {
                ResourceKind::Address { net, interface, .. } => {
                    let named = |i: &&mut sim_core::config::InterfaceConfig| {
                        interface.as_ref().is_none_or(|name| i.name == *name)
                    };
                    if let Some(i) = host.interfaces.iter_mut().find(named)
                        && !i.addresses.iter().any(|a| a.addr == net.addr)
                    {
                        i.addresses.push(net);
                    }
                }
                ResourceKind::Ldirectord => serve(host),
                ResourceKind::SyncDaemonSwap { .. } | ResourceKind::Other => {}
            }
        }
    }
}

/// The services of a host's ldirectord with all their real servers.
fn serve(host: &mut HostConfig) {
    let Some(ldirectord) = &host.ldirectord else { return };
    let services = ldirectord.virtuals.iter().map(|v| {
        let mut service = v.service.clone();
        service.servers = v.servers.iter().map(|s| s.rule).collect();
        service
    });
    let services: Vec<_> = services.collect();
    host.ipvs.get_or_insert_with(IpvsConfig::default).services.extend(services);
}
