//! Hosts that are set up by commands: from a configuration to what commands find, and from what they
//! leave to a configuration.

mod filter;
mod settings;

use super::Builder;
use crate::diagnostic::{At, Place, Problem};
use crate::import::commands::action::{
    Address, Encapsulation, Family, Hop, LinkKind, Net as Block, Route, RouteKind as Kind,
};
use crate::import::commands::setup::Interface;
use crate::import::commands::{Command, Findings, HostSetup};
use sim_core::config::{
    FouConfig, HopConfig, HostConfig, InterfaceConfig, InterfaceSysctl, LinkEnd, Net, PolicyConfig,
    RouteConfig, RouteKind, TunnelConfig, TunnelKind,
};
use sim_core::wire::Mac;

/// What commands leave of a host.
#[derive(Clone, Debug)]
pub struct Configured {
    /// The host. Its IPVS is that of the base, with the settings of the commands: the rules of the
    /// commands of ipvsadm are read by [`crate::import::commands::rules`].
    pub host: HostConfig,
    /// Cabled interfaces that are down.
    pub down: Vec<String>,
}

/// Carries out commands on a host that is described already: its interfaces are up, and have the
/// addresses, routes and neighbours of `base`. What a tool would refuse, or what cannot be played, gives a
/// problem.
pub fn configure(base: &HostConfig, commands: &[Command], findings: &mut Findings) -> Configured {
    let mut setup = setup_of(base);
    setup.apply(commands, findings);
    let place = commands.first().map(|c| c.place.clone()).unwrap_or_default();
    configured(base, &setup, &place, findings)
}

fn block(net: Net) -> Block {
    Block { address: net.addr, len: net.len }
}

const fn net(block: Block) -> Net {
    Net::new(block.address, block.len)
}

/// The host as commands find it.
fn setup_of(base: &HostConfig) -> HostSetup {
    let cables: Vec<(&str, u32)> =
        base.interfaces.iter().map(|i| (i.name.as_str(), u32::from(i.mtu))).collect();
    let mut setup = HostSetup::new(&cables);
    let address = |net: &Net, label: &str| Address {
        label: Some(label.to_owned()),
        deprecated: base.deprecated.contains(&net.addr),
        ..Address::new(block(*net), Place::default())
    };
    for interface in &mut setup.interfaces {
        if interface.name == "lo" {
            interface.addresses.extend(base.loopback.iter().map(|n| address(n, "lo")));
        }
        if let Some(cable) = base.interfaces.iter().find(|i| i.name == interface.name) {
            interface.mac = cable.mac.map(|m| m.0);
            interface.addresses.extend(cable.addresses.iter().map(|n| address(n, &cable.name)));
        }
        if let Some(tunnel) = base.tunnels.iter().find(|t| t.name == interface.name) {
            interface.up = true;
            interface.mtu = u32::from(tunnel.mtu);
            interface.addresses.extend(tunnel.addresses.iter().map(|n| address(n, &tunnel.name)));
        }
    }
    setup.routes.extend(base.routes.iter().map(stated));
    setup
}

/// A route of the configuration as commands find it.
fn stated(route: &RouteConfig) -> Route {
    let place = Place::default();
    let hops = route.hops.iter().map(|h| Hop {
        via: h.via.map(|v| At::new(v, place.clone())),
        device: h.dev.clone().map(|d| At::new(d, place.clone())),
        weight: 1,
        on_link: false,
    });
    Route {
        to: block(route.to),
        kind: match route.kind {
            RouteKind::Unicast => Kind::Unicast,
            RouteKind::Local => Kind::Local,
            RouteKind::Blackhole => Kind::Blackhole,
            RouteKind::Unreachable => Kind::Unreachable,
            RouteKind::Prohibit => Kind::Prohibit,
        },
        hops: hops.collect(),
        source: route.source,
        metric: route.metric,
        table: route.table,
        mtu: route.mtu.map(u32::from),
        scope: None,
        place,
    }
}

/// The host that the commands leave.
fn configured(
    base: &HostConfig,
    setup: &HostSetup,
    place: &Place,
    findings: &mut Findings,
) -> Configured {
    let mut host = base.clone();
    host.interfaces.clear();
    host.loopback.clear();
    host.tunnels.clear();
    let down = interfaces(&mut host, (base, setup), place, findings);
    host.routes.clear();
    let cables = setup.interfaces.iter().filter(|i| i.kind == LinkKind::Ethernet && i.up);
    host.routes.extend(cables.flat_map(peers));
    let all = setup.interfaces.iter().flat_map(|i| &i.addresses);
    host.deprecated = all.filter(|a| a.deprecated).map(|a| a.net.address).collect();
    host.routes.extend(setup.routes.iter().filter_map(|r| route(r, setup, findings)));
    policies(&mut host, setup, findings);
    neighbours(&mut host, setup, findings);
    host.fou.extend(setup.fou.iter().map(|f| FouConfig {
        port: f.port,
        protocol: f.protocol,
        v6: f.v6,
    }));
    host.filters.extend(filter::rules(&setup.netfilter, findings));
    settings::patch(&mut host, setup, findings);
    Configured { host, down }
}

/// Interfaces, tunnel devices and addresses of `lo`; the names of the interfaces that are down.
fn interfaces(
    host: &mut HostConfig,
    (base, setup): (&HostConfig, &HostSetup),
    place: &Place,
    findings: &mut Findings,
) -> Vec<String> {
    let mut down = Vec::new();
    for interface in &setup.interfaces {
        match &interface.kind {
            LinkKind::Ethernet => {
                let old = base.interfaces.iter().find(|i| i.name == interface.name);
                host.interfaces.push(cable(interface, old));
                if !interface.up {
                    down.push(interface.name.clone());
                }
            }
            LinkKind::Loopback => host.loopback.extend(
                interface
                    .addresses
                    .iter()
                    .filter(|a| !a.net.address.is_loopback())
                    .map(|a| net(a.net)),
            ),
            // an address of a device without a cable is one of the host, as those of lo are
            LinkKind::Dummy => {
                host.loopback.extend(interface.addresses.iter().map(|a| Net::host(a.net.address)));
            }
            LinkKind::Tunnel(tunnel) if interface.up => {
                let old = base.tunnels.iter().find(|t| t.name == interface.name);
                host.tunnels.push(TunnelConfig {
                    name: interface.name.clone(),
                    kind: tunnel_kind(tunnel.encapsulation),
                    local: tunnel.local,
                    remote: tunnel.remote,
                    checksum: old.is_some_and(|t| t.checksum),
                    addresses: addresses(interface),
                    mtu: u16::try_from(interface.mtu).unwrap_or(u16::MAX),
                    sysctl: old.map_or_else(InterfaceSysctl::default, |t| t.sysctl),
                });
            }
            LinkKind::Tunnel(_) => {}
            LinkKind::Bridge | LinkKind::Bond | LinkKind::Vlan { .. } => {
                let message = format!("the interface {} cannot be played", interface.name);
                let label = "bridges, bonds and VLANs of a host are not simulated: describe its switches and links";
                findings.problems.push(Problem::new(place, message, label));
            }
        }
    }
    down
}

fn addresses(interface: &Interface) -> Vec<Net> {
    let of = |a: &Address| {
        let alone = a.no_prefix_route || a.peer.is_some();
        if alone { Net::host(a.net.address) } else { net(a.net) }
    };
    interface.addresses.iter().map(of).collect()
}

/// The other ends of point-to-point addresses are on the link.
fn peers(interface: &Interface) -> impl Iterator<Item = RouteConfig> + '_ {
    let peers = interface.addresses.iter().filter_map(|a| a.peer);
    peers.map(|peer| {
        let hop = HopConfig { via: None, dev: Some(interface.name.clone()) };
        RouteConfig::new(net(peer.masked()), vec![hop])
    })
}

fn cable(interface: &Interface, old: Option<&InterfaceConfig>) -> InterfaceConfig {
    let mut sysctl = old.map_or_else(InterfaceSysctl::default, |o| o.sysctl);
    if !interface.arp {
        sysctl.arp_ignore = 8;
    }
    InterfaceConfig {
        name: interface.name.clone(),
        mac: interface.mac.map(Mac),
        addresses: addresses(interface),
        mtu: u16::try_from(interface.mtu).unwrap_or(u16::MAX),
        sysctl,
    }
}

const fn tunnel_kind(encapsulation: Encapsulation) -> TunnelKind {
    match encapsulation {
        Encapsulation::Ipip => TunnelKind::Ipip,
        Encapsulation::Gre => TunnelKind::Gre,
        Encapsulation::Sit => TunnelKind::Sit,
        Encapsulation::Ip6tnl => TunnelKind::Ip6Tnl,
        Encapsulation::Ip6gre => TunnelKind::Ip6Gre,
    }
}

fn route(route: &Route, setup: &HostSetup, findings: &mut Findings) -> Option<RouteConfig> {
    let carried = |h: &Hop| {
        let device = h.device.as_ref().and_then(|d| setup.interface(&d.value));
        device.is_none_or(|i| i.kind == LinkKind::Ethernet)
    };
    let nowhere = route.kind == Kind::Unicast && !route.hops.iter().all(carried);
    if nowhere {
        // the table `local` is asked first: `route add -host VIP dev lo:0` changes nothing
        if route.to == Block::host(route.to.address) && setup.has_address(route.to.address) {
            return None;
        }
        let message = "what is sent by an interface without a cable arrives nowhere".to_owned();
        findings.remark(&route.place, message);
    }
    let kind = match route.kind {
        Kind::Unicast if nowhere => RouteKind::Blackhole,
        Kind::Unicast => RouteKind::Unicast,
        Kind::Local => RouteKind::Local,
        Kind::Blackhole => RouteKind::Blackhole,
        Kind::Unreachable => RouteKind::Unreachable,
        Kind::Prohibit => RouteKind::Prohibit,
        Kind::Throw => {
            let message = "routes of the kind `throw` are not simulated";
            findings.problems.push(Problem::new(&route.place, message, "leave it out"));
            return None;
        }
    };
    let hops = route.hops.iter().filter(|_| kind == RouteKind::Unicast);
    let hops = hops.map(|h| HopConfig {
        via: h.via.as_ref().map(|v| v.value),
        dev: h.device.as_ref().map(|d| d.value.clone()),
    });
    Some(RouteConfig {
        to: net(route.to),
        kind,
        hops: hops.collect(),
        metric: route.metric,
        table: route.table,
        source: route.source,
        mtu: route.mtu.and_then(|m| u16::try_from(m).ok()),
    })
}

fn policies(host: &mut HostConfig, setup: &HostSetup, findings: &mut Findings) {
    for rule in &setup.rules {
        if let Some(output) = &rule.output {
            let message = "rules with `oif` are not simulated";
            findings.problems.push(Problem::new(&output.place, message, "leave it out"));
        }
        host.policy.push(PolicyConfig {
            priority: rule.priority.unwrap_or(0),
            v6: rule.family == Family::V6,
            mark: rule.mark,
            from: rule.from.map(net),
            to: rule.to.map(net),
            input: rule.input.as_ref().map(|i| i.value.clone()),
            table: rule.table,
        });
    }
}

fn neighbours(host: &mut HostConfig, setup: &HostSetup, findings: &mut Findings) {
    for entry in &setup.neighbours {
        let device = entry.device.as_ref().map(|d| d.value.clone()).unwrap_or_default();
        match entry.mac {
            _ if entry.proxy => host.proxies.push((device, entry.address)),
            Some(mac) if entry.permanent => {
                host.neighbours.retain(|(d, a, _)| (d, *a) != (&device, entry.address));
                host.neighbours.push((device, entry.address, Mac(mac)));
            }
            _ => {
                let message =
                    "an entry that is not permanent is learned anew: passed over".to_owned();
                findings.remark(&entry.place, message);
            }
        }
    }
}

impl Builder<'_> {
    /// The hosts that have commands of their own; `director` is that of the cluster.
    pub(super) fn scripted(&self, director: &str) -> Vec<String> {
        let names =
            self.scripts.iter().map(|s| s.host.as_ref().map_or(director, |h| h.value.as_str()));
        let groups = names.flat_map(|name| {
            let group = self.groups.iter().find(|g| g.name == name);
            group.map_or_else(|| vec![name.to_owned()], |g| g.members.clone())
        });
        groups.collect()
    }

    /// A host with commands has an interface wherever a link ends at it.
    pub(super) fn interfaces_of_links(&mut self) {
        let mtu = self.defaults.mtu;
        let scripted = self.scripted("");
        for end in self.record.tables("link").iter().flat_map(|t| t.list::<LinkEnd>("between")) {
            let LinkEnd::Interface(name, dev) = end.value else { continue };
            let group = self.groups.iter().find(|g| g.name == name);
            let members = group.map_or_else(|| vec![name.clone()], |g| g.members.clone());
            for member in members.iter().filter(|m| scripted.contains(m)) {
                let Some(host) = self.host_mut(member) else { continue };
                if host.interfaces.iter().all(|i| i.name != dev) {
                    host.interfaces.push(InterfaceConfig {
                        name: dev.clone(),
                        mac: None,
                        addresses: Vec::new(),
                        mtu,
                        sysctl: InterfaceSysctl::default(),
                    });
                }
            }
        }
    }

    /// Carries out the commands of all hosts: those that a host shares with others first.
    pub(super) fn run_scripts(&mut self, findings: &mut Findings) {
        let mut typed: Vec<(String, Vec<Command>)> = Vec::new();
        for script in core::mem::take(&mut self.scripts) {
            let director = self.cluster.as_ref().map(|c| c.director.clone());
            let name = match (&script.host, director) {
                (Some(name), _) => name.clone(),
                (None, Some(director)) => At::new(director, script.place.clone()),
                // the lack of a host was told with the director's rules
                (None, None) => continue,
            };
            if self.lacks_cluster() && self.host(&name.value).is_none() {
                continue;
            }
            for member in self.members(&name) {
                match typed.iter_mut().find(|(host, _)| *host == member) {
                    Some((_, commands)) => commands.extend(script.commands.iter().cloned()),
                    None => typed.push((member, script.commands.clone())),
                }
            }
        }
        for (member, commands) in typed {
            let Some(base) = self.host(&member).cloned() else { continue };
            let Configured { host, down } = configure(&base, &commands, findings);
            if let Some(slot) = self.host_mut(&member) {
                *slot = host;
            }
            for link in &mut self.links {
                let is_end = |e: &LinkEnd| matches!(e, LinkEnd::Interface(h, d) if *h == member && down.contains(d));
                link.up &= !link.ends.iter().any(is_end);
            }
        }
    }
}

#[cfg(test)]
mod tests;
