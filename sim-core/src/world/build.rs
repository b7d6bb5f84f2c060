//! From a configuration to a world, with every mistake named at once.

use super::available::Addresses;
use super::fault::{self, Faults};
use super::operator::Operator;
use super::{Link, World, available, sample};
use crate::config::{
    ClientConfig, HopConfig, HostConfig, InterfaceConfig, InterfaceSysctl, IpvsConfig, LinkEnd,
    Net, PolicyConfig, RouteConfig, Transport, VrrpInstance, WorldConfig,
};
use crate::engine::rng::name_hash;
use crate::engine::{Stream, Time};
use crate::hosts::Host;
use crate::hosts::client::{ClientApplication, Plan};
use crate::hosts::cpu::Cpu;
use crate::hosts::daemon::{Daemons, heartbeat, vrrp};
use crate::hosts::director::Director;
use crate::hosts::fabric::{Event, Fabric, NO_TAP};
use crate::hosts::ip::{Interface, IpStack, NO_LINK, OwnAddress};
use crate::hosts::netfilter::Netfilter;
use crate::hosts::server::ServerApplication;
use crate::hosts::tunnel::{Tunnel, Tunnels};
use crate::ipvs::Ipvs;
use crate::net::filter::Filter;
use crate::net::link::{Direction, Endpoint};
use crate::net::route::{self, Action, Hop, Route, Rule};
use crate::net::source::{OwnAddress6, is_link_local};
use crate::net::switch::{Port, Switch};
use crate::net::topology;
use crate::observe::ClientObservation;
use crate::observe::availability::Ledger;
use crate::observe::capture::{self, Capture, CaptureInterface};
use crate::observe::trace::Trace;
use crate::tcp::TcpStack;
use crate::wire::addr::link_local;
use crate::wire::{AddressBook, Mac, MacId};
use core::fmt;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Something in a configuration that no world can be built from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuildError {
    /// The part of the configuration: `host rs1`, `link a--b`.
    pub place: String,
    /// What is wrong and what is allowed.
    pub what: String,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl core::error::Error for BuildError {}

/// Most hosts and most switches of a world.
const MOST_NODES: usize = 65_000;
/// Most client applications of a host.
const MOST_CLIENTS: usize = 255;

impl World {
    /// Builds a world.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration.
    pub fn build(config: &WorldConfig) -> Result<Self, Vec<BuildError>> {
        let mut builder = Builder::new(config, Fabric::new());
        let mut world = builder.world();
        if !builder.errors.is_empty() {
            return Err(builder.errors);
        }
        world.assign_links();
        Ok(world)
    }
}

/// Builds a host of a running world again, as it was at the start, without client applications and
/// links.
pub(super) fn rebuild(config: &WorldConfig, fabric: &mut Fabric, old: &Host) -> Host {
    let mut builder = Builder::new(config, core::mem::take(fabric));
    builder.known = old.ip.interfaces.iter().map(|i| i.mac).collect();
    let host = &config.hosts[usize::from(old.number)];
    let mut new = builder.host(old.number, host);
    builder.neighbours("host", host, &mut new.ip);
    debug_assert!(builder.errors.is_empty(), "what was built once can be built again");
    *fabric = builder.fabric;
    new
}

struct Builder<'a> {
    config: &'a WorldConfig,
    errors: Vec<BuildError>,
    fabric: Fabric,
    /// Ethernet addresses of the interfaces of a host that is built again.
    known: Vec<MacId>,
}

impl<'a> Builder<'a> {
    fn new(config: &'a WorldConfig, fabric: Fabric) -> Self {
        Self { config, errors: Vec::new(), fabric, known: Vec::new() }
    }

    fn wrong(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.errors.push(BuildError { place: place.into(), what: what.into() });
    }

    fn world(&mut self) -> World {
        let config = self.config;
        if config.hosts.len() > MOST_NODES || config.switches.len() > MOST_NODES {
            self.wrong("network", format!("more than {MOST_NODES} hosts or switches"));
        }
        let mut hosts = Vec::new();
        for (number, host) in config.hosts.iter().take(MOST_NODES).enumerate() {
            hosts.push(self.host(number as u16, host));
        }
        let mut switches: Vec<_> = config
            .switches
            .iter()
            .take(MOST_NODES)
            .map(|s| Switch::new(s.name.clone(), s.ageing))
            .collect();
        // an entry may name the Ethernet address of any host, so all have theirs before
        for (host, config) in hosts.iter_mut().zip(&config.hosts) {
            self.neighbours(&format!("host {}", config.name), config, &mut host.ip);
        }
        let links = self.links(&mut hosts, &mut switches);
        self.number_results(&mut hosts);
        self.ledger(&mut hosts);
        self.captures(&mut hosts);
        let faults = self.faults(&links);
        let mut fabric = core::mem::take(&mut self.fabric);
        fabric.rows = config.connections.then(Vec::new);
        fabric.trace = config.trace.clone().map(|c| Box::new(Trace::new(c)));
        let duration = Time::ZERO + config.duration;
        self.link_events(&links, &mut fabric);
        let operator = self.operator(&mut fabric);
        let faults = faults.begin(&mut fabric);
        for host in &mut hosts {
            begin(host, &mut fabric);
        }
        let addresses = Addresses::new(config);
        available::watch(&addresses, config, &mut fabric);
        let sampler = sample::Sampling::new(config.series_interval, &mut fabric);
        World {
            fabric,
            hosts,
            switches,
            links,
            link_events: config.link_events.clone(),
            operator,
            faults,
            plan: plan(config),
            addresses,
            series: Vec::new(),
            sampler,
            warmup: Time::ZERO + config.warmup,
            duration,
            look_at: match config.trace {
                None => duration.min(Time::ZERO + config.warmup),
                Some(_) => Time::ZERO,
            },
            watched: None,
            window: [None, None],
            end: duration + config.drain,
            events: 0,
            last: None,
        }
    }

    fn link_events(&mut self, links: &[Link], fabric: &mut Fabric) {
        for (index, event) in self.config.link_events.iter().enumerate() {
            if links.iter().any(|l| l.name == event.link) {
                fabric.queue.push(Time::ZERO + event.at, Event::Link { index: index as u32 });
            } else {
                self.wrong(format!("link event {}", event.link), "there is no link of this name");
            }
        }
    }

    fn faults(&mut self, links: &[Link]) -> Faults {
        for host in &self.config.hosts {
            if let Err(error) = host.boot.time.validate() {
                self.wrong(format!("host {}", host.name), format!("boot: {error}"));
            }
        }
        let places = fault::Places {
            config: self.config,
            links,
            directions: &self.fabric.directions,
            book: &self.fabric.book,
            macs: self.config.hosts.iter().map(|h| h.interfaces.len()).sum(),
        };
        fault::resolve(&places).unwrap_or_else(|errors| {
            self.errors.extend(errors);
            Faults::default()
        })
    }

    fn operator(&mut self, fabric: &mut Fabric) -> Operator {
        let config = self.config;
        let end = config.duration + config.drain;
        for operation in &config.operations {
            let name = &operation.host;
            let director = config.hosts.iter().any(|h| h.name == *name && h.ipvs.is_some());
            let place = format!("operation on {name}");
            if !director {
                self.wrong(place, "there is no director of this name");
            } else if operation.at.is_some_and(|at| at > end) {
                self.wrong(place, format!("it is after the end of the run, {end}"));
            }
        }
        Operator::new(config, fabric)
    }

    fn host(&mut self, number: u16, config: &HostConfig) -> Host {
        let place = format!("host {}", config.name);
        // as Linux, hosts that share an address (DR) do not share identifications
        let first_id = name_hash(&config.name, "ip id") as u16;
        let mut ip = IpStack::new(number, config.sysctl, first_id);
        for (index, interface) in config.interfaces.iter().enumerate() {
            let built = self.interface(&place, config, number, index, interface);
            for a in &interface.addresses {
                let hop = Hop { interface: index as u16, via: None };
                ip.routes.connect(*a, Some(hop));
            }
            for a in built.addresses6.iter().filter(|a| is_link_local(a.bits)) {
                ip.routes.add_local(Net::host(IpAddr::V6(Ipv6Addr::from_bits(a.bits))));
            }
            ip.interfaces.push(built);
        }
        for a in &config.loopback {
            ip.routes.connect(*a, None);
        }
        (ip.inner_addresses, ip.inner_addresses6) = self.own(config, &config.loopback);
        let tunnels = self.tunnels(config, &mut ip);
        self.routes(&place, config, &mut ip);
        self.policy(&place, config, &mut ip);
        self.netfilter(config, &mut ip);
        self.proxies(&place, config, &mut ip);
        let mut host = self.applications(&place, number, config, ip);
        host.tunnels = tunnels;
        host
    }

    /// Adds the tunnel devices to the interfaces.
    fn tunnels(&mut self, config: &HostConfig, ip: &mut IpStack) -> Tunnels {
        let mut devices = Vec::new();
        for t in &config.tunnels {
            for a in &t.addresses {
                ip.routes.add_local(Net::host(a.addr));
            }
            devices.push(Tunnel {
                interface: ip.interfaces.len() as u16,
                kind: t.kind,
                local: t.local.map(|a| self.fabric.book.number(a)),
                remote: t.remote.map(|a| self.fabric.book.number(a)),
                checksum: t.checksum,
            });
            let (addresses, addresses6) = self.own(config, &t.addresses);
            ip.interfaces.push(Interface {
                name: t.name.clone(),
                mac: MacId::ZERO,
                addresses,
                addresses6,
                mtu: t.mtu,
                sysctl: effective(config, &t.sysctl),
                direction: NO_LINK,
                tap: NO_TAP,
                plain: false,
                vmacs: Vec::new(),
            });
        }
        Tunnels { devices, ports: config.fou.clone() }
    }

    fn proxies(&mut self, place: &str, config: &HostConfig, ip: &mut IpStack) {
        ip.proxied.key = self.config.seed ^ name_hash(&config.name, "proxy arp");
        for (dev, addr) in &config.proxies {
            if let Some(index) = config.interfaces.iter().position(|i| i.name == *dev) {
                ip.proxies.push((index as u16, self.fabric.book.number(*addr)));
            } else {
                self.wrong(place, format!("proxy for {addr}: no interface {dev}"));
            }
        }
    }

    fn interface(
        &mut self,
        place: &str,
        host: &HostConfig,
        number: u16,
        index: usize,
        config: &InterfaceConfig,
    ) -> Interface {
        if config.mtu < 68 {
            self.wrong(
                format!("{place}:{}", config.name),
                format!("MTU {} is below 68", config.mtu),
            );
        }
        let id = self.ethernet(place, config, number, index);
        let mac = self.fabric.macs[id.0 as usize];
        let (addresses, mut addresses6) = self.own(host, &config.addresses);
        if has_v6(host) {
            let link_local = Net::new(IpAddr::V6(link_local(mac)), 64);
            addresses6.extend(self.own(host, &[link_local]).1);
        }
        Interface {
            name: config.name.clone(),
            mac: id,
            addresses,
            addresses6,
            mtu: config.mtu,
            sysctl: effective(host, &config.sysctl),
            direction: NO_LINK,
            tap: NO_TAP,
            plain: false,
            vmacs: Vec::new(),
        }
    }

    /// The Ethernet address of an interface: the one it had, the configured one, or one of its own.
    fn ethernet(
        &mut self,
        place: &str,
        config: &InterfaceConfig,
        number: u16,
        index: usize,
    ) -> MacId {
        if let Some(&known) = self.known.get(index) {
            return known;
        }
        let [h, l] = number.to_be_bytes();
        let mac = config.mac.unwrap_or(Mac([0x02, 0x1f, (index >> 8) as u8, h, l, index as u8]));
        if self.fabric.macs.contains(&mac) {
            self.wrong(format!("{place}:{}", config.name), format!("MAC {mac} is taken"));
        }
        self.fabric.macs.push(mac);
        MacId(self.fabric.macs.len() as u32 - 1)
    }

    /// Own addresses in the form of packets, by family; of IPv6 the newest first.
    fn own(&mut self, host: &HostConfig, addresses: &[Net]) -> (Vec<OwnAddress>, Vec<OwnAddress6>) {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for a in addresses {
            let ip = self.fabric.book.number(a.addr);
            match a.addr {
                IpAddr::V4(_) => v4.push(OwnAddress { ip, len: a.len }),
                IpAddr::V6(addr) => {
                    let (bits, len) = (addr.to_bits(), a.len);
                    let deprecated = host.deprecated.contains(&a.addr);
                    v6.insert(0, OwnAddress6 { ip, bits, len, deprecated });
                }
            }
        }
        (v4, v6)
    }

    fn routes(&mut self, place: &str, config: &HostConfig, ip: &mut IpStack) {
        for route in &config.routes {
            let mut action = Action::from(route.kind);
            let mut hops = Vec::new();
            for hop in &route.hops {
                if hop.dev.as_deref() == Some("lo") {
                    // what is not an own address comes back from there to be thrown away
                    if action == Action::Unicast {
                        action = Action::Refuse(route::Refusal::Blackhole);
                    }
                } else if action == Action::Unicast {
                    hops.extend(self.hop(place, config, route, hop, ip));
                }
            }
            if action != Action::Unicast {
                hops.clear();
            } else if hops.is_empty() {
                continue;
            }
            let source = route.source.map(|a| self.fabric.book.number(a));
            let (metric, mtu) = (route.metric, route.mtu);
            let built = Route { action, metric, hops, source, mtu };
            ip.routes.add(route.table, route.to, built);
        }
    }

    /// A next hop in the form of the tables.
    fn hop(
        &mut self,
        place: &str,
        config: &HostConfig,
        route: &RouteConfig,
        hop: &HopConfig,
        ip: &IpStack,
    ) -> Option<Hop> {
        let to = route.to;
        let via = hop.via.map(|via| self.fabric.book.number(via));
        if let Some(dev) = &hop.dev {
            let Some(interface) = config.interfaces.iter().position(|i| i.name == *dev) else {
                self.wrong(place, format!("route to {to}: no interface {dev}"));
                return None;
            };
            return Some(Hop { interface: interface as u16, via });
        }
        let Some(gateway) = via else {
            self.wrong(place, format!("route to {to}: no gateway, no interface"));
            return None;
        };
        let Some(interface) = ip.routes.interface_towards(&self.fabric.book, gateway) else {
            let via = self.fabric.book.address(gateway);
            self.wrong(place, format!("route to {to}: gateway {via} is on no connected prefix"));
            return None;
        };
        Some(Hop { interface, via })
    }

    fn netfilter(&mut self, config: &HostConfig, ip: &mut IpStack) {
        ip.set_netfilter(netfilter(config, &mut self.fabric.book));
    }

    fn policy(&mut self, place: &str, config: &HostConfig, ip: &mut IpStack) {
        for rule in &config.policy {
            let mut input = None;
            if let Some(dev) = &rule.input {
                let Some(number) = interface_number(config, dev) else {
                    let priority = rule.priority;
                    self.wrong(place, format!("ip rule {priority}: no interface {dev}"));
                    continue;
                };
                input = Some(number);
            }
            let &PolicyConfig { priority, v6, mark, from, to, table, .. } = rule;
            ip.routes.add_rule(Rule { priority, v6, mark, from, to, input, table });
        }
    }

    fn neighbours(&mut self, place: &str, config: &HostConfig, ip: &mut IpStack) {
        for (dev, addr, mac) in &config.neighbours {
            let Some(index) = config.interfaces.iter().position(|i| i.name == *dev) else {
                self.wrong(place, format!("neighbour {addr}: no interface {dev}"));
                continue;
            };
            let known = self.fabric.macs.iter().position(|m| m == mac);
            let id = known.unwrap_or_else(|| {
                self.fabric.macs.push(*mac);
                self.fabric.macs.len() - 1
            });
            let addr = self.fabric.book.number(*addr);
            ip.neighbours.set_permanent(index as u16, addr, MacId(id as u32));
        }
    }

    fn applications(&mut self, place: &str, number: u16, config: &HostConfig, ip: IpStack) -> Host {
        let seed = self.config.seed;
        let plan = Plan {
            until: Time::ZERO + self.config.duration,
            warmup: Time::ZERO + self.config.warmup,
        };
        let key = seed ^ name_hash(&config.name, "isn");
        let tcp = TcpStack::new(config.tcp, config.sysctl.default_ttl, key);
        let mut host = Host::new(config.name.clone(), ip, tcp, plan);
        host.cpu = config.cpu.map(|c| Box::new(Cpu::new(c)));
        let names: Vec<_> = self.config.hosts.iter().map(|h| h.name.as_str()).collect();
        host.daemons = Daemons::new(config, seed, &names);
        let interfaces: Vec<_> = config.interfaces.iter().map(|i| i.name.as_str()).collect();
        let routers = config.keepalived.iter().flat_map(|k| vrrp::mistakes(&k.vrrp, &interfaces));
        let mistakes = config.heartbeat.iter().flat_map(|h| heartbeat::mistakes(h, config));
        let mistakes = mistakes.chain(routers);
        for what in mistakes.collect::<Vec<_>>() {
            self.wrong(place, what);
        }
        if config.ldirectord.is_some() && config.ipvs.is_none() {
            self.wrong(place, "ldirectord: the host has no IPVS");
        }
        // keepalived loads the module ip_vs if it has virtual servers
        let balances =
            config.keepalived.as_ref().is_some_and(|k| !k.check.virtual_servers.is_empty());
        let plain = balances.then(IpvsConfig::default);
        if let Some(rules) = config.ipvs.as_ref().or(plain.as_ref()) {
            match Ipvs::new(rules, Stream::new(seed, &config.name, "ipvs"), &mut self.fabric.book) {
                Ok(mut ipvs) => {
                    let own = config.interfaces.iter().flat_map(|i| &i.addresses);
                    ipvs.set_local_addresses(own.map(|a| a.addr), &mut self.fabric.book);
                    host.set_director(Director::new(ipvs));
                }
                Err(errors) => errors.iter().for_each(|e| self.wrong(place, e.to_string())),
            }
        }
        for server in &config.servers {
            match ServerApplication::new(server, &config.name, seed) {
                Ok(mut application) => {
                    if server.transport == Transport::Tcp {
                        if let Ok(listener) = host.tcp.listen(server.port, server.backlog) {
                            application.listener = listener;
                        } else {
                            let port = server.port;
                            self.wrong(place, format!("two servers listen to TCP port {port}"));
                        }
                    }
                    host.servers.applications.push(application);
                }
                Err(what) => self.wrong(place, format!("server on port {}: {what}", server.port)),
            }
        }
        if config.clients.len() > MOST_CLIENTS {
            self.wrong(place, format!("more than {MOST_CLIENTS} client applications"));
        }
        for (index, client) in config.clients.iter().take(MOST_CLIENTS).enumerate() {
            let entity = format!("{}/{index}", config.name);
            match ClientApplication::new(client, &entity, seed, &mut self.fabric.book) {
                Ok(application) => host.clients.push(application),
                Err(what) => self.wrong(place, format!("client {}: {what}", client.name)),
            }
        }
        debug_assert_eq!(host.number, number, "hosts are numbered in order");
        host
    }

    fn links(&mut self, hosts: &mut [Host], switches: &mut [Switch]) -> Vec<Link> {
        let blocked = topology::spanning_tree(self.config);
        let mut links = Vec::new();
        for (index, link) in self.config.links.iter().enumerate() {
            let directions =
                [self.fabric.directions.len() as u32, self.fabric.directions.len() as u32 + 1];
            let silent = link.standby || blocked.contains(&index);
            let ends: Vec<_> = (0..2)
                .filter_map(|side| {
                    let end = &link.ends[side];
                    self.end(&link.name, end, directions[side], (silent, link.up), hosts, switches)
                })
                .collect();
            let [a, b] = ends[..] else { continue };
            for (side, to) in [b, a].into_iter().enumerate() {
                let name = format!("{}/{side}", link.name);
                let d = &link.directions[side];
                self.fabric.directions.push(Direction::new(
                    d,
                    to,
                    link.up,
                    self.config.seed,
                    &name,
                ));
            }
            links.push(Link {
                name: link.name.clone(),
                directions,
                up: link.up,
                wanted: link.up,
                held: 0,
                standby: link.standby,
            });
        }
        links
    }

    /// Plugs a cable into an end; `direction` is the one that leaves there. A silent one carries
    /// nothing, one that is not up carries nothing for now.
    fn end(
        &mut self,
        link: &str,
        end: &LinkEnd,
        direction: u32,
        (silent, up): (bool, bool),
        hosts: &mut [Host],
        switches: &mut [Switch],
    ) -> Option<Endpoint> {
        let place = format!("link {link}");
        match end {
            LinkEnd::Interface(host, interface) => {
                let Some(h) = hosts.iter_mut().find(|h| h.name == *host) else {
                    self.wrong(place, format!("there is no host {host}"));
                    return None;
                };
                let Some(index) = h.ip.interfaces.iter().position(|i| i.name == *interface) else {
                    self.wrong(place, format!("host {host} has no interface {interface}"));
                    return None;
                };
                let i = &mut h.ip.interfaces[index];
                if i.direction != NO_LINK && !silent {
                    self.wrong(place, format!("{host}:{interface} has a link already"));
                    return None;
                }
                if !silent {
                    i.direction = direction;
                }
                Some(Endpoint::Host { host: h.number, interface: index as u16 })
            }
            LinkEnd::Switch(name) => {
                let Some(number) = switches.iter().position(|s| s.name == *name) else {
                    self.wrong(place, format!("there is no switch {name}"));
                    return None;
                };
                let ports = &mut switches[number].ports;
                ports.push(Port { direction, blocked: silent || !up });
                Some(Endpoint::Switch { switch: number as u16, port: ports.len() as u16 - 1 })
            }
        }
    }

    /// Gives every application its place in the results; clients of one name share it.
    fn number_results(&mut self, hosts: &mut [Host]) {
        let rows = &mut self.fabric.clients;
        let mut servers = 0;
        for host in hosts {
            host.server_row = servers;
            servers += host.servers.applications.len() as u32;
            for client in &mut host.clients {
                let name = &client.config.name;
                let row = rows.iter().position(|r| r.name == *name).unwrap_or_else(|| {
                    let name = name.clone();
                    rows.push(ClientObservation { name, ..ClientObservation::default() });
                    rows.len() - 1
                });
                client.row = row as u32;
            }
        }
    }

    /// Gives every client application its place in the ledger.
    fn ledger(&mut self, hosts: &mut [Host]) {
        let service = |c: &ClientConfig| {
            let transport = if c.transport == Transport::Udp { "udp" } else { "tcp" };
            format!("{}/{transport}", SocketAddr::from(c.target))
        };
        let clients = || hosts.iter().flat_map(|h| &h.clients);
        let applications: Vec<_> = clients().map(|c| (c.row, service(&c.config))).collect();
        let (ledger, places) = Ledger::new(self.config.outages, &applications);
        self.fabric.ledger = ledger;
        let clients = hosts.iter_mut().flat_map(|h| &mut h.clients);
        for (client, streams) in clients.zip(places) {
            client.streams = streams;
        }
    }

    fn captures(&mut self, hosts: &mut [Host]) {
        for wanted in &self.config.captures {
            let one = WorldConfig { captures: vec![wanted.clone()], ..WorldConfig::default() };
            let one = WorldConfig { hosts: self.config.hosts.clone(), ..one };
            if capture::selected(&one).is_empty() {
                self.wrong("capture", format!("{wanted:?} matches no interface"));
            }
        }
        let selected = capture::selected(self.config);
        if selected.is_empty() {
            return;
        }
        let interfaces = selected.iter().map(|&(h, i)| CaptureInterface {
            host: self.config.hosts[h].name.clone(),
            interface: self.config.hosts[h].interfaces[i].name.clone(),
        });
        self.fabric.capture = Some(Box::new(Capture::new(interfaces)));
        for (tap, (h, i)) in selected.into_iter().enumerate() {
            if let Some(host) = hosts.get_mut(h) {
                host.ip.interfaces[i].tap = tap as u32;
            }
        }
    }
}

/// The number of an interface: tunnel devices are behind those with links, `lo` has one of its own.
fn interface_number(config: &HostConfig, name: &str) -> Option<u16> {
    if name == "lo" {
        return Some(route::OWN);
    }
    let links = config.interfaces.iter().map(|i| &i.name);
    let names = links.chain(config.tunnels.iter().map(|t| &t.name));
    names.into_iter().position(|n| n == name).map(|i| i as u16)
}

/// The numbers of the interfaces whose name is `pattern` or, if that ends in `+`, begins so.
fn interface_numbers(config: &HostConfig, pattern: &str) -> Vec<u16> {
    let names = config.interfaces.iter().map(|i| &i.name[..]);
    let names = names.chain(config.tunnels.iter().map(|t| &t.name[..])).chain(["lo"]);
    let agrees = |name: &&str| match pattern.strip_suffix('+') {
        Some(beginning) => name.starts_with(beginning),
        None => *name == pattern,
    };
    names.filter(agrees).filter_map(|name| interface_number(config, name)).collect()
}

/// What a running world still needs to know of its configuration. The client applications of a host stay
/// through all that happens to it.
fn plan(config: &WorldConfig) -> WorldConfig {
    let host = |h: &HostConfig| {
        let mut h = h.clone();
        h.clients.clear();
        h
    };
    WorldConfig {
        seed: config.seed,
        duration: config.duration,
        warmup: config.warmup,
        hosts: config.hosts.iter().map(host).collect(),
        switches: config.switches.clone(),
        links: config.links.clone(),
        ..WorldConfig::default()
    }
}

/// A host whose links are known begins.
fn begin(host: &mut Host, fabric: &mut Fabric) {
    host.find_plain(fabric);
    host.begin(fabric);
    for interface in 0..host.ip.interfaces.len() as u16 {
        host.link_up(fabric, interface);
    }
}

/// Whether IPv6 is in use on a host: then every interface has a link-local address.
fn has_v6(host: &HostConfig) -> bool {
    let on_links = host.interfaces.iter().flat_map(|i| &i.addresses);
    let on_tunnels = host.tunnels.iter().flat_map(|t| &t.addresses);
    host.sysctl.forwarding_v6
        || on_links.chain(on_tunnels).chain(&host.loopback).any(|a| a.addr.is_ipv6())
        || host.routes.iter().any(|r| r.to.addr.is_ipv6())
        || host.keepalived.iter().flat_map(|k| &k.vrrp.instances).any(VrrpInstance::is_v6)
}

/// The settings that count for an interface: the stronger of `all` and its own. Redirects are obeyed if
/// both agree, on a host that does not forward if either does (`IN_DEV_RX_REDIRECTS`).
fn effective(host: &HostConfig, own: &InterfaceSysctl) -> InterfaceSysctl {
    let all = &host.sysctl.all;
    let (a, b) = (all.accept_redirects, own.accept_redirects);
    InterfaceSysctl {
        arp_ignore: all.arp_ignore.max(own.arp_ignore),
        arp_announce: all.arp_announce.max(own.arp_announce),
        rp_filter: all.rp_filter.max(own.rp_filter),
        send_redirects: all.send_redirects || own.send_redirects,
        accept_redirects: if host.sysctl.ip_forward { a && b } else { a || b },
        proxy_arp: all.proxy_arp || own.proxy_arp,
        accept_local: all.accept_local || own.accept_local,
        arp_notify: all.arp_notify || own.arp_notify,
    }
}

/// Netfilter of a host, if it has rules or IPVS needs it.
pub(super) fn netfilter(config: &HostConfig, book: &mut AddressBook) -> Option<Netfilter> {
    let tracked = config.ipvs.as_ref().is_some_and(|i| i.sysctl.conntrack);
    if config.filters.is_empty() && !tracked {
        return None;
    }
    let numbers = |pattern: &str| interface_numbers(config, pattern);
    Some(Netfilter::new(Filter::new(&config.filters, book, numbers), tracked))
}
