//! Directors, services and real servers of a world, seen together.

use core::net::IpAddr;
use sim_core::config::{
    ClientConfig, FilterCondition, FilterTarget, HostConfig, Load, MAIN_TABLE, Net, RouteKind,
    Transport, WorldConfig,
};
use sim_core::ipvs::rules::{ServerRule, ServiceKey, ServiceRule};
use sim_core::wire::proto;

/// A world whose hosts are looked up by their roles.
pub(super) struct Cluster<'a> {
    pub(super) config: &'a WorldConfig,
}

/// A real server in a service of a director.
#[derive(Clone, Copy)]
pub(super) struct Member<'a> {
    pub(super) director: &'a HostConfig,
    pub(super) service: &'a ServiceRule,
    pub(super) rule: &'a ServerRule,
    pub(super) host: &'a HostConfig,
}

/// A client application and its host.
#[derive(Clone, Copy)]
pub(super) struct Client<'a> {
    pub(super) host: &'a HostConfig,
    pub(super) application: &'a ClientConfig,
}

/// Where a host sends a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hop<'a> {
    /// To itself.
    Local,
    /// To the address, or to the gateway, by an interface if that is known.
    Out { via: Option<IpAddr>, dev: Option<&'a str> },
    /// Nowhere.
    Nowhere,
}

impl<'a> Cluster<'a> {
    pub(super) const fn new(config: &'a WorldConfig) -> Self {
        Self { config }
    }

    /// Hosts with rules, and their services.
    pub(super) fn services(&self) -> impl Iterator<Item = (&'a HostConfig, &'a ServiceRule)> {
        self.config
            .hosts
            .iter()
            .flat_map(|h| h.ipvs.iter().flat_map(move |i| i.services.iter().map(move |s| (h, s))))
    }

    /// Real servers that are hosts of their own.
    pub(super) fn members(&self) -> impl Iterator<Item = Member<'a>> {
        self.services().flat_map(move |(director, service)| {
            service.servers.iter().filter_map(move |rule| {
                let host = self.holder(rule.rip)?;
                (host.name != director.name).then_some(Member { director, service, rule, host })
            })
        })
    }

    /// Client applications.
    pub(super) fn clients(&self) -> impl Iterator<Item = Client<'a>> {
        let hosts = self.config.hosts.iter();
        hosts.flat_map(|host| {
            host.clients.iter().map(move |application| Client { host, application })
        })
    }

    /// Client applications whose packets belong to a service of a director.
    pub(super) fn clients_of(
        &self,
        director: &HostConfig,
        service: &ServiceRule,
    ) -> impl Iterator<Item = Client<'a>> {
        self.clients().filter(move |c| takes(director, service, c.application))
    }

    /// The host that has an address on an interface with a link.
    pub(super) fn holder(&self, ip: IpAddr) -> Option<&'a HostConfig> {
        let has =
            |h: &&HostConfig| h.interfaces.iter().any(|i| i.addresses.iter().any(|a| a.addr == ip));
        self.config.hosts.iter().find(has)
    }
}

/// Whether a service of a director takes the packets of a client.
pub(super) fn takes(director: &HostConfig, service: &ServiceRule, client: &ClientConfig) -> bool {
    let protocol = protocol(client);
    let (ip, port) = client.target;
    match service.key {
        ServiceKey::Address { protocol: p, vip, port: own } => {
            p == protocol && vip == ip && (own == port || own == 0)
        }
        ServiceKey::Fwmark { mark, v6 } => {
            v6 == ip.is_ipv6() && mark_of(director, protocol, (ip, port)) == mark
        }
    }
}

pub(super) const fn protocol(client: &ClientConfig) -> u8 {
    match client.transport {
        Transport::Tcp => proto::TCP,
        Transport::Udp => proto::UDP,
    }
}

/// The mark that the rules of a host give to a packet as far as its destination decides.
pub(super) fn mark_of(host: &HostConfig, protocol: u8, (ip, port): (IpAddr, u16)) -> u32 {
    let mut mark = 0;
    for rule in &host.filters {
        let FilterTarget::Mark(value, mask) = rule.target else { continue };
        let agrees = rule.v6 == ip.is_ipv6()
            && rule.matches.iter().all(|m| {
                let yes = match &m.what {
                    FilterCondition::Destination(net) => net.contains(ip),
                    FilterCondition::Protocol(p) => *p == protocol,
                    FilterCondition::DestinationPorts(ranges) | FilterCondition::Ports(ranges) => {
                        ranges.iter().any(|(low, high)| (*low..=*high).contains(&port))
                    }
                    // what cannot be known before a packet comes counts as met
                    _ => !m.not,
                };
                yes != m.not
            });
        if agrees {
            mark = (mark & !mask) ^ value;
        }
    }
    mark
}

/// The virtual addresses of a service: that of its key, or those that its clients connect to.
pub(super) fn vips(
    cluster: &Cluster<'_>,
    director: &HostConfig,
    service: &ServiceRule,
) -> Vec<IpAddr> {
    if let ServiceKey::Address { vip, .. } = service.key {
        return vec![vip];
    }
    let clients = cluster.clients_of(director, service);
    let mut vips: Vec<IpAddr> = clients.map(|c| c.application.target.0).collect();
    vips.sort_unstable();
    vips.dedup();
    vips
}

/// A service as people name it.
pub(super) fn service_name(director: &HostConfig, service: &ServiceRule) -> String {
    format!("{}: service {}", director.name, crate::import::ipvsadm::key_text(service.key))
}

/// Whether a host takes packets for an address.
pub(super) fn holds(host: &HostConfig, ip: IpAddr) -> bool {
    let on = host.interfaces.iter().flat_map(|i| &i.addresses);
    let inner = host.loopback.iter().chain(host.tunnels.iter().flat_map(|t| &t.addresses));
    on.chain(inner).any(|a| a.addr == ip)
        || host.routes.iter().any(|r| r.kind == RouteKind::Local && r.to.contains(ip))
}

/// Whether an address stands on an interface with a link.
pub(super) fn on_interface(host: &HostConfig, ip: IpAddr) -> bool {
    host.interfaces.iter().any(|i| i.addresses.iter().any(|a| a.addr == ip))
}

/// An address of a host in a network that another address is in.
pub(super) fn neighbour_of(host: &HostConfig, ip: IpAddr) -> Option<(&str, Net)> {
    host.interfaces.iter().find_map(|i| {
        let near = i.addresses.iter().find(|a| !a.is_host() && a.contains(ip));
        near.map(|a| (&*i.name, *a))
    })
}

/// How a host sends a packet to an address: own, connected, then the longest route of the main table.
pub(super) fn next_hop(host: &HostConfig, to: IpAddr) -> Hop<'_> {
    if holds(host, to) {
        return Hop::Local;
    }
    let connected = host
        .interfaces
        .iter()
        .flat_map(|i| i.addresses.iter().map(move |a| (a, &*i.name)))
        .filter(|(a, _)| !a.is_host() && a.contains(to))
        .map(|(a, name)| (a.len, 0, Hop::Out { via: None, dev: Some(name) }));
    let routes =
        host.routes.iter().filter(|r| r.table == MAIN_TABLE && r.to.contains(to)).map(|r| {
            let hop = match (r.kind, r.hops.first()) {
                (RouteKind::Unicast, Some(hop)) => {
                    Hop::Out { via: hop.via, dev: hop.dev.as_deref() }
                }
                (RouteKind::Local, _) => Hop::Local,
                _ => Hop::Nowhere,
            };
            (r.to.len, r.metric, hop)
        });
    // the first of equals wins, so the search goes backwards
    let all: Vec<_> = connected.chain(routes).collect();
    let best =
        all.into_iter().rev().max_by_key(|(len, metric, _)| (*len, core::cmp::Reverse(*metric)));
    best.map_or(Hop::Nowhere, |(_, _, hop)| hop)
}

/// Addresses that a client application sends from.
pub(super) fn sources(client: &Client<'_>) -> Vec<IpAddr> {
    if !client.application.sources.is_empty() {
        return client.application.sources.clone();
    }
    let target = client.application.target.0;
    let own = client.host.interfaces.iter().flat_map(|i| &i.addresses);
    own.filter(|a| a.addr.is_ipv4() == target.is_ipv4()).map(|a| a.addr).take(1).collect()
}

/// Connections a client application starts in a second, if that does not depend on the answers.
pub(super) fn rate(client: &ClientConfig) -> Option<f64> {
    match &client.load {
        Load::Open { gap } => gap.mean().filter(|m| *m > 0.0).map(|m| 1.0 / m),
        Load::OnOff { gap, on, off } => {
            let (gap, on, off) = (gap.mean()?, on.mean()?, off.mean()?);
            (gap > 0.0 && on + off > 0.0).then(|| on / (on + off) / gap)
        }
        Load::Closed { .. } | Load::At(_) => None,
    }
}
