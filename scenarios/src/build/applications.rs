//! What runs on the hosts: IPVS, servers, clients.

use super::Builder;
use crate::diagnostic::{At, Problem};
use crate::format::Record;
use crate::format::distribution::divided;
use crate::model::DirectorRules;
use core::net::IpAddr;
use sim_core::config::{
    AnswerConfig, ClientConfig, Closer, Discipline, HostConfig, Load, Net, ServerConfig, Transport,
};
use sim_core::engine::{Dist, Span};
use sim_core::ipvs::rules::{ServiceKey, ServiceRule};
use sim_core::wire::proto;

fn transport(name: &str) -> Transport {
    if name == "udp" { Transport::Udp } else { Transport::Tcp }
}

fn transport_of(protocol: u8) -> Transport {
    if protocol == proto::UDP { Transport::Udp } else { Transport::Tcp }
}

/// The written or the default distribution.
fn dist(table: &Record, name: &str) -> Dist {
    table.get(name).or_else(|| table.default(name)).unwrap_or(Dist::Constant(0.0))
}

/// All addresses of a host.
pub(super) fn addresses(host: &HostConfig) -> impl Iterator<Item = IpAddr> + '_ {
    host.interfaces
        .iter()
        .flat_map(|i| &i.addresses)
        .chain(&host.loopback)
        .chain(host.tunnels.iter().flat_map(|t| &t.addresses))
        .map(|a| a.addr)
}

impl Builder<'_> {
    /// Puts the rules onto the hosts.
    pub(super) fn directors(&mut self) {
        if self.lacks_cluster() {
            return;
        }
        for director in self.directors.clone() {
            let own = self.cluster.as_ref().map(|c| c.director.clone());
            let Some(name) = director.host.clone().or(own) else {
                let problem =
                    Problem::new(&director.place, "[director] lacks the key `host`", "this one")
                        .help("only the director of [cluster] needs no name")
                        .derived();
                self.problems.push(problem);
                continue;
            };
            let at = At::new(name.clone(), director.place.clone());
            let members = self.members(&at);
            if members.is_empty() {
                continue;
            }
            if !director.given && director.rules.config.services.is_empty() {
                let message = format!("the director `{name}` has no rules");
                let problem = Problem::new(&director.place, message, "this one")
                    .help("give it `rules` or `rules_file`")
                    .derived();
                self.problems.push(problem);
            }
            for member in members {
                self.give_rules(&member, &director);
            }
        }
    }

    /// Gives a director its rules; those of a table of its own are stronger than those for all.
    fn give_rules(&mut self, name: &str, director: &DirectorRules) {
        let own = |d: &DirectorRules| d.host.as_deref() == Some(name);
        if !own(director) && self.directors.iter().any(own) {
            return;
        }
        let Some(host) = self.host_mut(name) else { return };
        let taken = host.ipvs.is_some();
        let mut rules = director.rules.config.clone();
        if director.kept {
            // keepalived adds them
            rules.services.clear();
            rules.daemons.clear();
        }
        host.ipvs = Some(rules);
        if taken {
            let message = format!("two [[director]] tables are for `{name}`");
            self.wrong(&director.place, message, "the second one");
        }
    }

    pub(super) fn applications(&mut self) {
        if self.lacks_cluster() {
            return;
        }
        for table in self.record.tables("server") {
            self.server(table);
        }
        for table in self.record.tables("client") {
            self.client(table);
        }
        if self.record.tables("client").is_empty() {
            let problem = Problem::new(&self.record.place, "the scenario has no [client]", "")
                .help("a [client] with a `load` makes the traffic")
                .derived();
            self.problems.push(problem);
        }
    }

    /// The hosts of an application.
    fn hosts_of(&mut self, table: &Record, default: Option<Vec<String>>) -> Vec<String> {
        if table.has("hosts") {
            let names = table.list::<String>("hosts");
            return names.iter().flat_map(|n| self.members(n)).collect();
        }
        default.unwrap_or_else(|| {
            let problem =
                Problem::new(&table.place, "this table lacks the key `hosts`", "which hosts?")
                    .help("only in a [cluster] there are hosts to take")
                    .derived();
            self.problems.push(problem);
            Vec::new()
        })
    }

    fn server(&mut self, table: &Record) {
        let default = self.cluster.as_ref().map(|c| c.real_servers.clone());
        for name in self.hosts_of(table, default) {
            let ports = self.ports(table, &name);
            if ports.is_empty() {
                let message = format!("no port for the server on `{name}`");
                let label = "the rules send nothing to this host; set `port`";
                self.problems.push(Problem::new(&table.place, message, label).derived());
            }
            for (transport, port) in ports {
                let server = server_config(table, transport, port);
                let Some(host) = self.host_mut(&name) else { continue };
                let taken = host.servers.iter().any(|s| (s.transport, s.port) == (transport, port));
                host.servers.push(server);
                if taken {
                    let message = format!("two servers listen to port {port} on `{name}`");
                    self.wrong(&table.place, message, "the second one");
                }
            }
        }
    }

    /// The services of all directors, those of keepalived as they are while all real servers are up.
    fn services(&self) -> impl Iterator<Item = &ServiceRule> {
        let typed = self.directors.iter().flat_map(|d| &d.rules.config.services);
        typed.chain(self.keepalived.iter().flat_map(|k| &k.rules.services))
    }

    /// The written port, or those the rules send to.
    fn ports(&self, table: &Record, host: &str) -> Vec<(Transport, u16)> {
        if let Some(port) = table.get::<u16>("port") {
            return vec![(transport(&table.get::<String>("transport").unwrap_or_default()), port)];
        }
        let Some(host) = self.host(host) else { return Vec::new() };
        let wanted = table.get::<String>("transport").map(|t| transport(&t));
        let mut ports = Vec::new();
        for service in self.services() {
            let ServiceKey::Address { protocol, .. } = service.key else { continue };
            let transport = transport_of(protocol);
            for server in &service.servers {
                let mine = addresses(host).any(|a| a == server.rip);
                let entry = (transport, server.port);
                if mine && wanted.is_none_or(|w| w == transport) && !ports.contains(&entry) {
                    ports.push(entry);
                }
            }
        }
        ports
    }

    fn client(&mut self, table: &Record) {
        let default = self.cluster.as_ref().map(|c| c.clients.clone());
        let hosts = self.hosts_of(table, default);
        let Some((transport, target)) = self.target(table) else {
            let problem =
                Problem::new(&table.place, "[client] lacks the key `target`", "where to?")
                    .help("there are no rules with a service to take")
                    .derived();
            self.problems.push(problem);
            return;
        };
        let Some(load) = table.get::<Load>("load") else { return };
        let sources: Vec<IpAddr> =
            table.list::<Vec<IpAddr>>("sources").into_iter().flat_map(|s| s.value).collect();
        let count = hosts.len();
        for (index, name) in hosts.iter().enumerate() {
            let own: Vec<IpAddr> = sources.iter().skip(index).step_by(count).copied().collect();
            if !sources.is_empty() && own.is_empty() {
                let message = format!("{} addresses for {count} hosts", sources.len());
                self.wrong(table.place_of("sources"), message, "expected one for each host");
                return;
            }
            let load = divided(&load, count as u32, index as u32);
            let idle = matches!(load, Load::Closed { users: 0, .. });
            let client = client_config(table, transport, target, load, own.clone());
            self.check_sources(table, name, &own);
            let Some(host) = self.host_mut(name) else { continue };
            give_addresses(host, &own);
            if !idle {
                host.clients.push(client);
            }
        }
    }

    /// Answers find back to a client of the cluster only within its network.
    fn check_sources(&mut self, table: &Record, name: &str, sources: &[IpAddr]) {
        let member = self.cluster.as_ref().is_some_and(|c| c.clients.iter().any(|m| m == name));
        let Some(host) = self.host(name).filter(|_| member) else { return };
        let networks: Vec<Net> =
            host.interfaces.iter().flat_map(|i| &i.addresses).map(Net::network).collect();
        let stray = sources.iter().find(|s| !networks.iter().any(|n| n.contains(**s)));
        if let (Some(stray), Some(network)) = (stray, networks.first()) {
            let message =
                format!("the address {stray} is in no network of {name}: answers get lost");
            let problem = Problem::new(
                table.place_of("sources"),
                message,
                format!("the network of {name} is {network}"),
            );
            let help =
                "`subnet` and `connect = \"switch\"` of [cluster.clients] make one network for all";
            self.problems.push(problem.help(help));
        }
    }

    /// Where a client connects to: as written, or the first service.
    fn target(&self, table: &Record) -> Option<(Transport, (IpAddr, u16))> {
        let written = table.get::<String>("transport").map(|t| transport(&t));
        let services: Vec<_> = self
            .services()
            .filter_map(|s| match s.key {
                ServiceKey::Address { protocol, vip, port } => {
                    Some((transport_of(protocol), (vip, port)))
                }
                ServiceKey::Fwmark { .. } => None,
            })
            .collect();
        let Some(target) = table.get::<(IpAddr, u16)>("target") else {
            return services.into_iter().find(|(t, _)| written.is_none_or(|w| w == *t));
        };
        let known = services.iter().find(|(_, s)| *s == target).map(|(t, _)| *t);
        Some((written.or(known).unwrap_or(Transport::Tcp), target))
    }
}

/// Gives the first interface the addresses it lacks.
fn give_addresses(host: &mut HostConfig, sources: &[IpAddr]) {
    let missing: Vec<IpAddr> =
        sources.iter().filter(|s| !addresses(host).any(|a| a == **s)).copied().collect();
    let Some(interface) = host.interfaces.first_mut() else { return };
    let len = interface.addresses.first().map_or(32, |a| a.len);
    interface.addresses.extend(missing.into_iter().map(|ip| Net::new(ip, len)));
}

fn server_config(table: &Record, transport: Transport, port: u16) -> ServerConfig {
    let shared = table.value::<String>("discipline") == "ps";
    ServerConfig {
        transport,
        port,
        workers: table.value("workers"),
        discipline: if shared { Discipline::ProcessorSharing } else { Discipline::Fifo },
        service: dist(table, "service"),
        response: dist(table, "response"),
        connections: table.get("connections").unwrap_or(u32::MAX),
        backlog: table.value("backlog"),
        queue: table.get("queue").unwrap_or(u32::MAX),
        closer: if table.value("closes") { Closer::Server } else { Closer::Client },
        close_delay: dist(table, "close_delay"),
        answers: AnswerConfig::default(),
    }
}

fn client_config(
    table: &Record,
    transport: Transport,
    target: (IpAddr, u16),
    load: Load,
    sources: Vec<IpAddr>,
) -> ClientConfig {
    let patience = (transport == Transport::Udp).then(|| Span::from_secs(5));
    ClientConfig {
        name: table.value("name"),
        transport,
        target,
        load,
        sources,
        requests: dist(table, "requests"),
        request: dist(table, "request"),
        think: dist(table, "think"),
        close_delay: dist(table, "close_delay"),
        closer: if table.value("closes") { Closer::Client } else { Closer::Server },
        timeout: table.get("timeout").or(patience),
        limit: table.get("limit").unwrap_or(u64::MAX),
    }
}
