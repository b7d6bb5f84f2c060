//! The scenario as a person would have written it.

use super::facts::{Facts, target};
use super::network::{Network, Segment};
use crate::import::keepalived::Target;
use sim_core::config::{Net, Transport};
use sim_core::ipvs::rules::{Forwarding, ServiceRule};
use sim_core::wire::proto;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

/// Most services that get clients.
const MOST_CLIENTS: usize = 24;
/// Requests a second of all clients together.
const RATE: f64 = 40.0;

/// How a director names its files in the scenario.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    /// Lines of its `[[host]]`.
    pub(super) host: Vec<String>,
    /// Its rules of ipvsadm.
    pub(super) rules: Option<String>,
}

/// What is written.
#[derive(Clone, Debug)]
pub(super) struct Writer<'a> {
    pub(super) name: &'a str,
    pub(super) directors: &'a [Facts],
    pub(super) network: &'a Network,
    /// How each director names its files.
    pub(super) keys: &'a [Keys],
    /// What was guessed about the files.
    pub(super) supposed: &'a [String],
    pub(super) text: String,
    pub(super) guesses: Vec<String>,
}

/// A real server as a host.
#[derive(Clone, Debug, Default)]
struct Server {
    name: String,
    ip: Option<IpAddr>,
    /// VIPs on `lo`.
    loopback: Vec<IpAddr>,
    /// VIPs on `tunl0`.
    tunnel: Vec<IpAddr>,
    /// Reached by NAT: the director must be on the way back.
    nat: bool,
    /// What it listens to.
    ports: Vec<(Transport, u16)>,
}

impl Writer<'_> {
    /// The whole text.
    pub(super) fn write(mut self) -> (String, Vec<String>) {
        self.head();
        self.wires();
        self.client_hosts();
        self.router();
        for d in 0..self.directors.len() {
            self.director(d);
        }
        let servers = self.servers();
        for server in servers.values() {
            self.real_server(server);
        }
        self.links(&servers);
        self.applications(&servers);
        self.clients();
        self.unknown();
        (self.text, self.guesses)
    }

    fn line(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref());
        self.text.push('\n');
    }

    fn guess(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.line(format!("# guess: {text}"));
        self.guesses.push(text);
    }

    fn head(&mut self) {
        let wait = self.directors.iter().map(|f| f.wait).max().unwrap_or_default();
        // until there is a master, whose announcement the router has heard
        let warmup = wait.as_nanos().div_ceil(1_000_000_000) + 2;
        let names: Vec<&str> = self.directors.iter().map(|f| f.name.as_str()).collect();
        let (name, names) = (self.name, names.join(", "));
        self.line(format!("name = \"{name}\""));
        self.line(format!("question = \"What do the configurations of {names} do?\""));
        self.line("# made from the files of the directors; every `guess:` is to be put right by whoever knows");
        self.line(format!("duration = \"{}s\"", warmup + 30));
        self.line(format!("warmup = \"{warmup}s\""));
        let mut guesses = self.supposed.to_vec();
        guesses.extend(self.network.guesses.iter().cloned());
        if !guesses.is_empty() {
            self.line("");
            for guess in guesses {
                self.guess(guess);
            }
        }
    }

    /// The name of the switch of a segment.
    fn switch(&self, index: usize) -> String {
        let switches = self.network.segments.iter().filter(|s| !s.crossover).count();
        if switches == 1 { "lan".to_owned() } else { format!("lan{index}") }
    }

    fn wires(&mut self) {
        for index in 0..self.network.segments.len() {
            if self.network.segments[index].crossover {
                continue;
            }
            let nets: Vec<String> =
                self.network.segments[index].nets.iter().map(ToString::to_string).collect();
            let switch = self.switch(index);
            self.line(format!("\n[[switch]] # {}\nname = \"{switch}\"", nets.join(", ")));
        }
    }

    fn table(&mut self, name: &str) {
        self.line(format!("\n[[host]]\nname = \"{name}\""));
    }

    fn interfaces(&mut self, all: &[(String, Vec<Net>)]) {
        self.line("interfaces = [");
        for (name, nets) in all {
            let nets: Vec<String> = nets.iter().map(|n| format!("\"{n}\"")).collect();
            self.line(format!("  {{ name = \"{name}\", addresses = [{}] }},", nets.join(", ")));
        }
        self.line("]");
    }

    fn routes(&mut self, gateways: &[IpAddr]) {
        let mut routes = Vec::new();
        for v6 in [false, true] {
            let gateway = gateways.iter().find(|g| g.is_ipv6() == v6);
            routes.extend(gateway.map(|g| format!("\"default via {g}\"")));
        }
        if !routes.is_empty() {
            self.line(format!("routes = [{}]", routes.join(", ")));
        }
    }

    fn client_hosts(&mut self) {
        self.table("client");
        let nets = self.network.clients.clone();
        let at = |n: &Net, host| Net::new(crate::format::units::later(n.addr, host), n.len);
        let own: Vec<Net> = nets.iter().map(|n| at(n, 10)).collect();
        self.interfaces(&[("eth0".to_owned(), own)]);
        let gateways: Vec<IpAddr> = nets.iter().map(|n| at(n, 1).addr).collect();
        self.routes(&gateways);
    }

    fn router(&mut self) {
        self.table("router");
        let at = |n: &Net| Net::new(crate::format::units::later(n.addr, 1), n.len);
        let clients: Vec<Net> = self.network.clients.iter().map(at).collect();
        let mut all = vec![("eth0".to_owned(), clients)];
        for (index, segment) in self.network.segments.iter().enumerate() {
            if !segment.crossover {
                all.push((format!("eth{}", index + 1), segment.router.clone()));
            }
        }
        self.interfaces(&all);
        let beyond: Vec<String> =
            self.network.beyond.iter().map(|ip| format!("\"{}\"", Net::host(*ip))).collect();
        if !beyond.is_empty() {
            self.line(format!("loopback = [{}]", beyond.join(", ")));
        }
        self.line("sysctl = { ip_forward = true, send_redirects = false }");
    }

    /// The router's addresses, those of the most important networks first.
    fn gateways(&self) -> Vec<IpAddr> {
        let of_vips = |s: &&Segment| {
            let vips: Vec<IpAddr> = self.directors.iter().flat_map(Facts::vips).collect();
            s.nets.iter().any(|n| vips.iter().any(|v| n.contains(*v)))
        };
        let (first, rest): (Vec<_>, Vec<_>) = self.network.segments.iter().partition(of_vips);
        first.into_iter().chain(rest).flat_map(|s| &s.router).map(|n| n.addr).collect()
    }

    /// The director that has the virtual addresses when all is well.
    fn first(&self) -> usize {
        let preferred = |f: &Facts| f.heartbeat.as_ref().is_some_and(|n| n.preferred);
        self.directors.iter().position(preferred).unwrap_or(0)
    }

    fn director(&mut self, d: usize) {
        let facts = &self.directors[d];
        let name = facts.name.clone();
        self.table(&name);
        let mut all: Vec<(String, Vec<Net>)> = Vec::new();
        for segment in &self.network.segments {
            let interface = segment.interfaces[d].clone().unwrap_or_default();
            all.push((interface, segment.directors[d].clone()));
        }
        // addresses of services that nothing sets are there from the start
        let fixed: Vec<IpAddr> =
            facts.vips().into_iter().filter(|v| !facts.is_virtual(*v)).collect();
        let own = |ip: IpAddr| all.iter().any(|(_, nets)| nets.iter().any(|n| n.addr == ip));
        let fixed: Vec<IpAddr> = fixed.into_iter().filter(|ip| !own(*ip)).collect();
        if !fixed.is_empty() && d == self.first() {
            for ip in &fixed {
                let segment = self.network.segment_of(*ip).unwrap_or(0);
                all[segment].1.push(Net::host(*ip));
            }
            let list: Vec<String> = fixed.iter().map(ToString::to_string).collect();
            let whose = self.directors[d].stand_in.filter(|ip| fixed.contains(ip));
            if let Some(ip) = whose {
                self.guess(format!("nothing tells what has the mark: packets to {ip}"));
            }
            let nobody =
                if facts.heartbeat.is_some() { "no resource" } else { "no virtual router" };
            self.guess(format!("{nobody} sets {}: {name} has it", list.join(", ")));
        }
        self.interfaces(&all);
        let gateways = self.gateways();
        self.routes(&gateways);
        if facts.heartbeat.is_none() || !facts.serves_itself() {
            self.line("sysctl = { ip_forward = true, send_redirects = false }");
        }
        self.marks(d);
        let keys = self.keys[d].clone();
        for line in keys.host {
            self.line(line);
        }
        if let Some(rules) = keys.rules {
            self.line(format!("\n[[director]]\nhost = \"{name}\"\nrules_file = \"{rules}\""));
        }
    }

    /// Services of marks need a packet filter that sets them.
    fn marks(&mut self, d: usize) {
        let facts = &self.directors[d];
        let vip = facts.vips().first().copied();
        let mut lines = Vec::new();
        for service in &facts.services {
            if let (Target::Fwmark { mark, .. }, Some(vip)) = (target(service), vip) {
                let program = if vip.is_ipv6() { "ip6tables" } else { "iptables" };
                lines.push(format!(
                    "{program} -t mangle -A PREROUTING -d {vip} -p tcp -j MARK --set-mark {mark}"
                ));
            }
        }
        // of several marks only one can be meant for the same packets
        if let Some(line) = lines.into_iter().next() {
            self.guess(
                "all TCP to the first virtual address has the mark of the first such service",
            );
            self.line(format!("setup = \"\"\"\n{line}\n\"\"\""));
        }
    }

    /// The real servers by their addresses.
    fn servers(&mut self) -> BTreeMap<IpAddr, Server> {
        let own = |ip: IpAddr| {
            let nets = self.network.segments.iter().flat_map(|s| s.directors.iter().flatten());
            ip.is_loopback()
                || nets.into_iter().any(|n| n.addr == ip)
                || self.directors.iter().any(|f| f.is_virtual(ip) || f.vips().contains(&ip))
        };
        let mut servers: BTreeMap<IpAddr, Server> = BTreeMap::new();
        for facts in self.directors {
            for (service, server) in facts.servers().filter(|(_, s)| !own(s.rip)) {
                let entry = servers.entry(server.rip).or_default();
                let vips = match target(service) {
                    Target::Address { ip, .. } => vec![ip],
                    Target::Fwmark { .. } => facts.vips(),
                };
                for vip in vips {
                    let list = match server.forwarding {
                        Forwarding::Dr => &mut entry.loopback,
                        Forwarding::Tun => &mut entry.tunnel,
                        _ => continue,
                    };
                    if !list.contains(&vip) {
                        list.push(vip);
                    }
                }
                entry.nat |= server.forwarding == Forwarding::Nat;
                let listens = (transport(service), if server.port > 0 { server.port } else { 80 });
                if !entry.ports.contains(&listens) {
                    entry.ports.push(listens);
                }
            }
            for (ip, transport, port) in &facts.checks {
                if let Some(server) = servers.get_mut(ip)
                    && !server.ports.contains(&(*transport, *port))
                {
                    server.ports.push((*transport, *port));
                }
            }
        }
        for (n, (ip, server)) in servers.iter_mut().enumerate() {
            let mut names = self.directors.iter().flat_map(|f| &f.names);
            let stated = names.find(|(_, of)| of == ip).map(|(name, _)| name.clone());
            server.name = stated.unwrap_or_else(|| format!("rs{}", n + 1));
            server.ip = Some(*ip);
        }
        servers
    }

    fn real_server(&mut self, server: &Server) {
        let Some(ip) = server.ip else { return };
        self.table(&server.name);
        let net = self.network.net_of(ip).unwrap_or_else(|| Net::host(ip));
        self.interfaces(&[("eth0".to_owned(), vec![Net::new(ip, net.len)])]);
        let segment = self.network.segment_of(ip).unwrap_or(0);
        let mut gateways: Vec<IpAddr> =
            self.network.segments[segment].router.iter().map(|n| n.addr).collect();
        gateways.retain(|g| net.contains(*g));
        if server.nat {
            let (gateway, how) = self.way_back(net, segment);
            self.guess(format!("answers of {} go back by {gateway}, {how}", server.name));
            gateways.insert(0, gateway);
        }
        self.routes(&gateways);
        let list = |ips: &[IpAddr]| {
            let all: Vec<String> = ips.iter().map(|ip| format!("\"{}\"", Net::host(*ip))).collect();
            all.join(", ")
        };
        if !server.loopback.is_empty() {
            self.line(format!("loopback = [{}]", list(&server.loopback)));
        }
        if !server.tunnel.is_empty() {
            self.line(format!("tunnel = [{}]", list(&server.tunnel)));
        }
        if !server.loopback.is_empty() || !server.tunnel.is_empty() {
            self.line("sysctl = { arp_ignore = 1, arp_announce = 2, rp_filter = 0 }");
        }
    }

    /// The gateway of real servers by NAT: a virtual address in their network, or a director's own.
    fn way_back(&self, net: Net, segment: usize) -> (IpAddr, &'static str) {
        let mut set = self.directors.iter().flat_map(|f| &f.virtual_addresses);
        if let Some((vip, _)) = set.find(|(v, _)| net.contains(v.addr)) {
            return (vip.addr, "which the master has");
        }
        let own = self.network.segments[segment].directors.get(self.first());
        let own = own.and_then(|nets| nets.iter().find(|n| net.contains(n.addr)));
        let own = own.map_or(net.addr, |n| n.addr);
        let how = if self.directors.len() > 1 {
            "the first director: the other one gets none of them"
        } else {
            "the director"
        };
        (own, how)
    }

    fn links(&mut self, servers: &BTreeMap<IpAddr, Server>) {
        let mut all = vec![("client:eth0".to_owned(), "router:eth0".to_owned())];
        for (index, segment) in self.network.segments.iter().enumerate() {
            let end = |d: usize| {
                let interface = segment.interfaces[d].as_deref().unwrap_or_default();
                format!("{}:{interface}", self.directors[d].name)
            };
            if segment.crossover {
                all.push((end(0), end(1)));
                continue;
            }
            let switch = self.switch(index);
            all.push((format!("router:eth{}", index + 1), switch.clone()));
            for d in 0..self.directors.len() {
                all.push((end(d), switch.clone()));
            }
        }
        for (ip, server) in servers {
            let segment = self.network.segment_of(*ip).unwrap_or(0);
            all.push((format!("{}:eth0", server.name), self.switch(segment)));
        }
        for (a, b) in all {
            self.line(format!("\n[[link]]\nbetween = [\"{a}\", \"{b}\"]"));
        }
    }

    fn applications(&mut self, servers: &BTreeMap<IpAddr, Server>) {
        let mut by_port: BTreeMap<(bool, u16), Vec<String>> = BTreeMap::new();
        for server in servers.values() {
            for (transport, port) in &server.ports {
                let hosts = by_port.entry((*transport == Transport::Udp, *port)).or_default();
                hosts.push(server.name.clone());
            }
        }
        if self.directors.iter().all(Facts::serves_itself) {
            self.line("");
            let port = self.directors.first().map_or(80, Facts::own_port);
            let them = if self.directors.iter().any(|f| f.heartbeat.is_some()) {
                "nodes"
            } else {
                "directors"
            };
            self.guess(format!(
                "the {them} answer at their virtual addresses themselves, on port {port}"
            ));
        }
        for facts in self.directors {
            if facts.serves_itself() {
                let hosts = by_port.entry((false, facts.own_port())).or_default();
                hosts.push(facts.name.clone());
            }
            // a real server that is the director itself
            for (service, server) in facts.servers() {
                if servers.contains_key(&server.rip) {
                    continue;
                }
                let udp = transport(service) == Transport::Udp;
                let port = if server.port > 0 { server.port } else { 80 };
                let hosts = by_port.entry((udp, port)).or_default();
                if !hosts.contains(&facts.name) {
                    hosts.push(facts.name.clone());
                }
            }
        }
        if !by_port.is_empty() {
            self.line("");
            self.guess("a request takes 2 ms on average, an answer has 8 KiB (SERVICE and RESPONSE are yours)");
        }
        for ((udp, port), hosts) in by_port {
            let hosts: Vec<String> = hosts.iter().map(|h| format!("\"{h}\"")).collect();
            let transport = if udp { "transport = \"udp\"\n" } else { "" };
            let response = if udp { "512B" } else { "8KiB" };
            self.line(format!(
                "\n[[server]]\nhosts = [{}]\n{transport}port = {port}\nservice = \"exp(2ms)\"\nresponse = \"{response}\"",
                hosts.join(", ")
            ));
        }
    }

    fn clients(&mut self) {
        let mut targets: Vec<(Transport, IpAddr, u16)> = Vec::new();
        for facts in self.directors {
            let first = facts.vips().first().copied();
            if facts.serves_itself() {
                let port = facts.own_port();
                targets.extend(facts.vips().into_iter().map(|ip| (Transport::Tcp, ip, port)));
            }
            for service in &facts.services {
                let (ip, port) = match target(service) {
                    Target::Address { ip, port } => (Some(ip), port),
                    Target::Fwmark { .. } => (first, 80),
                };
                let port = if port > 0 { port } else { 80 };
                let known = [proto::TCP, proto::UDP, 0].contains(&protocol(service));
                if let Some(ip) = ip.filter(|_| known)
                    && !targets.contains(&(transport(service), ip, port))
                {
                    targets.push((transport(service), ip, port));
                }
            }
        }
        self.line("");
        self.guess(format!("{RATE} requests a second, shared by the services"));
        let mut known = Vec::new();
        targets.retain(|t| {
            !known.contains(t) && {
                known.push(*t);
                true
            }
        });
        let left_out = targets.len().saturating_sub(MOST_CLIENTS);
        if left_out > 0 {
            self.guess(format!("{left_out} more services have no client"));
        }
        targets.truncate(MOST_CLIENTS);
        let rate = RATE / targets.len().max(1) as f64;
        for (transport, ip, port) in targets {
            let end = if ip.is_ipv6() { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
            let udp = transport == Transport::Udp;
            let kind = if udp { "transport = \"udp\"\n" } else { "" };
            let word = if udp { "udp" } else { "tcp" };
            self.line(format!(
                "\n[[client]]\nname = \"{word} {end}\"\nhosts = \"client\"\n{kind}target = \"{end}\"\nload = \"poisson({rate:.2}/s)\"\ntimeout = \"3s\""
            ));
        }
    }

    fn unknown(&mut self) {
        let mut all: Vec<String> = self.directors.iter().flat_map(|f| f.unknown.clone()).collect();
        all.sort();
        all.dedup();
        if all.is_empty() {
            return;
        }
        self.line("");
        self.guess(
            "scripts end well, files hold 0 and processes run; such tables say when they do not:",
        );
        for table in all {
            let mut text = String::new();
            let _infallible = write!(text, "#   {table} at = \"20s\" ...");
            self.line(text);
        }
    }
}

fn protocol(service: &ServiceRule) -> u8 {
    match service.key {
        sim_core::ipvs::rules::ServiceKey::Address { protocol, .. } => protocol,
        sim_core::ipvs::rules::ServiceKey::Fwmark { .. } => 0,
    }
}

fn transport(service: &ServiceRule) -> Transport {
    if protocol(service) == proto::UDP { Transport::Udp } else { Transport::Tcp }
}
