//! What the configuration of a director tells of the network around it.

use crate::import::keepalived::{Check, Configuration, Target};
use sim_core::config::{IpvsConfig, Net, Transport};
use sim_core::engine::Span;
use sim_core::ipvs::rules::{ServerRule, ServiceRule};
use std::net::IpAddr;

/// What is known of a director.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Its name as a host.
    pub(super) name: String,
    /// Services with their real servers.
    pub(super) services: Vec<ServiceRule>,
    /// Servers that only stand in for others.
    pub(super) sorry: Vec<(ServiceRule, ServerRule)>,
    /// Addresses that it sets and removes, with their interfaces.
    pub(super) virtual_addresses: Vec<(Net, String)>,
    /// Addresses of its own that are stated, with their interfaces.
    pub(super) own: Vec<(IpAddr, String)>,
    /// Addresses of its peers, with the interface towards them.
    pub(super) peers: Vec<(IpAddr, String)>,
    /// Interfaces that are named.
    pub(super) interfaces: Vec<String>,
    /// Interfaces that share a wire with those of the same number on another director: those of a virtual
    /// router, or of a way for heartbeats.
    pub(super) routers: Vec<(u8, String)>,
    /// What checks connect to.
    pub(super) checks: Vec<(IpAddr, Transport, u16)>,
    /// An address for services of marks, if the files state none.
    pub(super) stand_in: Option<IpAddr>,
    /// Scripts, files and processes whose state only the real machine knows.
    pub(super) unknown: Vec<String>,
    /// Longest time from the start until it serves.
    pub(super) wait: Span,
    /// Names of real servers that stand for their addresses.
    pub(super) names: Vec<(String, IpAddr)>,
    /// What the files of heartbeat tell besides.
    pub(super) heartbeat: Option<Node>,
}

/// A director, or a server of its own, as a node of heartbeat.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// Interfaces that only its messages go by.
    pub(super) crossings: Vec<String>,
    /// Addresses of ping nodes.
    pub(super) pings: Vec<IpAddr>,
    /// Port of the application, if it is no director.
    pub(super) port: u16,
    /// Whether the first group prefers it.
    pub(super) preferred: bool,
}

/// The interface of addresses for which none is stated.
pub(super) const USUAL: &str = "eth0";

impl Facts {
    /// The facts of rules.
    pub(super) fn of_rules(name: String, rules: &IpvsConfig) -> Self {
        let interfaces = rules.daemons.iter().map(|d| d.interface.clone()).collect();
        Self { name, services: rules.services.clone(), interfaces, ..Self::default() }
    }

    /// The facts of a `keepalived.conf`.
    pub(super) fn of_keepalived(name: String, all: &Configuration) -> Self {
        let mut facts = Self { name, ..Self::default() };
        for server in &all.servers {
            for target in &server.targets {
                let mut service = server.service(*target);
                let port = target.port();
                service.servers = server.servers.iter().map(|s| s.rule(port)).collect();
                if let Some(sorry) = &server.sorry {
                    facts.sorry.push((service.clone(), sorry.rule(port)));
                }
                facts.services.push(service);
            }
            let port = server.targets.first().map_or(0, |t| t.port());
            for real in &server.servers {
                for checker in &real.checkers {
                    let target = (checker.ip.unwrap_or(real.ip), checker.port.unwrap_or(port));
                    facts.check(&checker.kind, target);
                }
            }
        }
        for i in &all.instances {
            let stated = i.interface.clone().unwrap_or_else(|| USUAL.to_owned());
            let interface = facts.wired(&stated);
            facts.interface(&interface);
            facts.routers.push((i.vrid, interface.clone()));
            for a in i.addresses.iter().chain(&i.excluded) {
                let device = a.interface.as_deref().map(|d| facts.wired(d));
                let device = device.unwrap_or_else(|| interface.clone());
                facts.interface(&device);
                facts.virtual_addresses.push((Net::new(a.ip, a.length), device));
            }
            facts.own.extend(i.source.map(|ip| (ip, interface.clone())));
            facts.peers.extend(i.peers.iter().map(|p| (p.ip, interface.clone())));
            for t in i.trackers.iter().filter(|t| t.kind.keyword() == "track_interface") {
                facts.interface(&t.name);
            }
            let wait = i.advert.as_nanos() * u64::from(i.down_timer_adverts) + 1_000_000_000;
            facts.wait = facts.wait.max(Span::from_nanos(wait));
        }
        let global = &all.global;
        facts.wait += global.startup_delay.max(global.delay_after_boot);
        if let Some(daemon) = &global.sync_daemon {
            facts.interface(&daemon.interface);
        }
        for group in &all.sync_groups {
            for t in group.trackers.iter().filter(|t| t.kind.keyword() == "track_interface") {
                facts.interface(&t.name);
            }
        }
        for session in &all.bfd {
            facts.peers.push((session.neighbor, USUAL.to_owned()));
        }
        facts.named(all);
        facts
    }

    fn named(&mut self, all: &Configuration) {
        let scripts =
            all.scripts.iter().map(|s| format!("[[script_event]] script = \"{}\"", s.name));
        self.unknown.extend(scripts);
        let files = all.files.iter().map(|f| format!("[[file_event]] file = \"{}\"", f.name));
        self.unknown.extend(files);
        let processes = &all.processes;
        let named = |p: &crate::import::keepalived::TrackProcess| {
            format!("[[process_event]] process = \"{}\"", p.name)
        };
        self.unknown.extend(processes.iter().map(named));
        for checker in all.servers.iter().flat_map(|s| &s.servers).flat_map(|s| &s.checkers) {
            if let Check::Misc { command, .. } = &checker.kind {
                let program = command.split_whitespace().next().unwrap_or(command);
                let word = program.rsplit('/').next().unwrap_or(program);
                let text = format!("[[script_event]] script = \"{word}\"");
                if !self.unknown.contains(&text) {
                    self.unknown.push(text);
                }
            }
        }
    }

    /// An interface with a cable: what is on `lo` is reached by the first one.
    fn wired(&self, name: &str) -> String {
        if name != "lo" {
            return name.to_owned();
        }
        self.interfaces.first().cloned().unwrap_or_else(|| USUAL.to_owned())
    }

    pub(super) fn interface(&mut self, name: &str) {
        if name != "lo" && !self.interfaces.iter().any(|i| i == name) {
            self.interfaces.push(name.to_owned());
        }
    }

    fn check(&mut self, kind: &Check, target: (IpAddr, u16)) {
        let (transport, targets) = match kind {
            Check::Tcp | Check::Http { .. } => (Transport::Tcp, vec![target]),
            Check::Smtp { hosts, .. } if hosts.is_empty() => (Transport::Tcp, vec![target]),
            Check::Smtp { hosts, .. } => {
                let host = |h: &(Option<IpAddr>, Option<u16>)| {
                    (h.0.unwrap_or(target.0), h.1.unwrap_or(25))
                };
                (Transport::Tcp, hosts.iter().map(host).collect())
            }
            Check::Dns { .. } | Check::Udp { .. } => (Transport::Udp, vec![target]),
            Check::Ping | Check::Misc { .. } | Check::Bfd(_) | Check::File { .. } => return,
        };
        for (ip, port) in targets.into_iter().filter(|t| t.1 > 0) {
            if !self.checks.contains(&(ip, transport, port)) {
                self.checks.push((ip, transport, port));
            }
        }
    }

    /// Whether an address is one that it sets and removes.
    pub(super) fn is_virtual(&self, ip: IpAddr) -> bool {
        self.virtual_addresses.iter().any(|(net, _)| net.addr == ip)
    }

    /// The port that it answers itself, if it is no director.
    pub(super) fn own_port(&self) -> u16 {
        self.heartbeat.as_ref().map_or(80, |node| node.port)
    }

    /// Whether its virtual addresses are for services of its own, not of IPVS.
    pub(super) fn serves_itself(&self) -> bool {
        self.services.is_empty() && !self.virtual_addresses.is_empty()
    }

    /// The addresses of the services, and those that are set for services of marks; all that are set if there
    /// are no services.
    pub(super) fn vips(&self) -> Vec<IpAddr> {
        let mut vips: Vec<IpAddr> = Vec::new();
        if self.serves_itself() {
            vips.extend(self.virtual_addresses.iter().map(|(net, _)| net.addr));
        }
        for service in &self.services {
            match target(service) {
                Target::Address { ip, .. } => vips.push(ip),
                Target::Fwmark { .. } => {
                    let set = self.virtual_addresses.iter().map(|(net, _)| net.addr);
                    vips.extend(set.chain(self.stand_in).take(1));
                }
            }
        }
        vips.sort_unstable();
        vips.dedup();
        vips
    }

    /// Chooses an address for services of marks if none is stated: in the network of the first real server.
    pub(super) fn complete(&mut self) {
        let marked = self.services.iter().any(|s| matches!(target(s), Target::Fwmark { .. }));
        let first = self.servers().map(|(_, s)| s.rip).find(|ip| !ip.is_loopback());
        if let (true, true, Some(ip)) = (marked, self.virtual_addresses.is_empty(), first) {
            let bits = if ip.is_ipv4() { 24 } else { 64 };
            let base = Net::new(ip, bits).network().addr;
            let mut all = (200..250).map(|n| crate::format::units::later(base, n));
            self.stand_in = all.find(|a| !self.servers().any(|(_, s)| s.rip == *a));
        }
    }

    /// Every real server, also those that only stand in.
    pub(super) fn servers(&self) -> impl Iterator<Item = (&ServiceRule, &ServerRule)> {
        let servers = self.services.iter().flat_map(|s| s.servers.iter().map(move |r| (s, r)));
        servers.chain(self.sorry.iter().map(|(s, r)| (s, r)))
    }
}

/// What a service listens to.
pub(super) fn target(service: &ServiceRule) -> Target {
    use sim_core::ipvs::rules::ServiceKey;
    match service.key {
        ServiceKey::Address { vip, port, .. } => Target::Address { ip: vip, port },
        ServiceKey::Fwmark { mark, v6 } => Target::Fwmark { mark, v6: Some(v6) },
    }
}
