//! The network that configurations of directors suppose: which addresses are neighbours, and on which
//! interfaces.

use super::facts::Facts;
use crate::format::units::later;
use sim_core::config::Net;
use sim_core::ipvs::rules::Forwarding;
use std::net::IpAddr;

/// Networks on one wire.
#[derive(Clone, Debug, Default)]
pub(super) struct Segment {
    /// Its networks, the first is the most important one.
    pub(super) nets: Vec<Net>,
    /// The interface of each director on it.
    pub(super) interfaces: Vec<Option<String>>,
    /// The router's addresses.
    pub(super) router: Vec<Net>,
    /// Each director's own addresses.
    pub(super) directors: Vec<Vec<Net>>,
    /// A cable between two directors, without a switch and a router.
    pub(super) crossover: bool,
}

/// The network.
#[derive(Clone, Debug, Default)]
pub(super) struct Network {
    pub(super) segments: Vec<Segment>,
    /// The network of the clients, one for each family that is used.
    pub(super) clients: Vec<Net>,
    /// What was guessed about it.
    pub(super) guesses: Vec<String>,
    /// Addresses behind the router that answer echo requests.
    pub(super) beyond: Vec<IpAddr>,
    taken: Vec<IpAddr>,
}

/// Networks for clients that files hardly use, the first that is free is taken.
const CLIENTS: [&str; 5] =
    ["172.16.0.0/24", "172.31.255.0/24", "10.254.254.0/24", "198.51.100.0/24", "203.0.113.0/24"];
const CLIENTS_V6: [&str; 2] = ["fd00:0:0:c0::/64", "fd00:0:0:c1::/64"];

/// The usual size of a network for which none is stated.
const fn usual(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 24 } else { 64 }
}

/// Whether a stated prefix is that of a network with room for some hosts.
fn is_network(net: Net) -> bool {
    let bits = Net::host(net.addr).len;
    net.len >= 8 && net.len + 3 <= bits
}

/// Ping nodes of all.
fn pings(all: &[Facts]) -> impl Iterator<Item = IpAddr> + '_ {
    all.iter().filter_map(|f| f.heartbeat.as_ref()).flat_map(|n| n.pings.iter().copied())
}

impl Network {
    /// The network of directors.
    pub(super) fn new(all: &[Facts]) -> Self {
        let mut network = Self::default();
        network.stated(all);
        network.peers(all);
        network.virtual_routers(all);
        network.real_servers(all);
        network.vips(all);
        network.complete(all);
        network.crossovers(all);
        network.addresses(all);
        network.choose_clients(all);
        network
    }

    /// The segment of an address.
    pub(super) fn segment_of(&self, ip: IpAddr) -> Option<usize> {
        self.segments.iter().position(|s| s.nets.iter().any(|n| n.contains(ip)))
    }

    /// The network of an address.
    pub(super) fn net_of(&self, ip: IpAddr) -> Option<Net> {
        self.segments.iter().flat_map(|s| &s.nets).find(|n| n.contains(ip)).copied()
    }

    /// Puts a network on the interface of a director.
    fn add(&mut self, net: Net, director: usize, interface: &str, count: usize) {
        let net = net.network();
        let overlaps = |n: &Net| n.contains(net.addr) || net.contains(n.addr);
        let known = |s: &Segment| s.nets.iter().any(overlaps);
        let mine = |s: &Segment| s.interfaces[director].as_deref() == Some(interface);
        let found = self
            .segments
            .iter()
            .position(mine)
            .or_else(|| {
                self.segments.iter().position(|s| known(s) && s.interfaces[director].is_none())
            })
            .or_else(|| self.segments.iter().position(known));
        let index = found.unwrap_or_else(|| {
            let interfaces = vec![None; count];
            self.segments.push(Segment { interfaces, ..Segment::default() });
            self.segments.len() - 1
        });
        let taken = self.segments.iter().any(mine);
        let elsewhere = self.segments.iter().any(known);
        let segment = &mut self.segments[index];
        if !taken && segment.interfaces[director].is_none() {
            segment.interfaces[director] = Some(interface.to_owned());
        }
        if !elsewhere {
            segment.nets.push(net);
        }
    }

    /// Networks that are stated with their prefixes.
    fn stated(&mut self, all: &[Facts]) {
        for (d, facts) in all.iter().enumerate() {
            for (net, interface) in facts.virtual_addresses.iter().filter(|(n, _)| is_network(*n)) {
                self.add(*net, d, interface, all.len());
            }
        }
    }

    /// Networks of the directors' own addresses and those of their peers.
    fn peers(&mut self, all: &[Facts]) {
        for (d, facts) in all.iter().enumerate() {
            for (ip, interface) in facts.own.iter().chain(&facts.peers) {
                if self.segment_of(*ip).is_none() {
                    let net = Net::new(*ip, usual(*ip)).network();
                    self.guess(format!("{net} is the network of {ip}"));
                }
                let net = self.net_of(*ip).unwrap_or_else(|| Net::new(*ip, usual(*ip)));
                self.add(net, d, interface, all.len());
            }
        }
    }

    /// The same virtual router on two directors is on one wire, whatever they call their interfaces.
    fn virtual_routers(&mut self, all: &[Facts]) {
        for (d, facts) in all.iter().enumerate() {
            for (number, interface) in &facts.routers {
                if self.has(d, interface) {
                    continue;
                }
                let mut others = all[..d].iter().enumerate();
                let same = others.find_map(|(o, f)| {
                    let (_, interface) = f.routers.iter().find(|(n, _)| n == number)?;
                    let on = |s: &Segment| s.interfaces[o].as_ref() == Some(interface);
                    self.segments.iter().position(|s| on(s) && s.interfaces[d].is_none())
                });
                match same {
                    Some(index) => self.segments[index].interfaces[d] = Some(interface.clone()),
                    None => self.wire(d, interface, all.len()),
                }
            }
        }
    }

    fn has(&self, director: usize, interface: &str) -> bool {
        self.segments.iter().any(|s| s.interfaces[director].as_deref() == Some(interface))
    }

    /// Gives an interface of a director a wire: that of the same interface of another one if there is one.
    fn wire(&mut self, director: usize, interface: &str, count: usize) {
        let same = |s: &&mut Segment| {
            s.interfaces[director].is_none()
                && s.interfaces.iter().flatten().any(|name| name == interface)
        };
        if let Some(segment) = self.segments.iter_mut().find(same) {
            segment.interfaces[director] = Some(interface.to_owned());
            return;
        }
        let mut interfaces = vec![None; count];
        interfaces[director] = Some(interface.to_owned());
        self.segments.push(Segment { interfaces, ..Segment::default() });
    }

    /// Networks of the real servers.
    fn real_servers(&mut self, all: &[Facts]) {
        for (d, facts) in all.iter().enumerate() {
            for (_, server) in facts.servers() {
                let ip = server.rip;
                if ip.is_loopback() || self.segment_of(ip).is_some() || facts.is_virtual(ip) {
                    continue;
                }
                let beside = |vip: &IpAddr| Net::new(ip, usual(ip)).contains(*vip);
                let interface = if facts.vips().iter().any(beside) {
                    facts.interfaces.first().cloned().unwrap_or_else(|| "eth0".to_owned())
                } else {
                    self.towards(d, facts, server.forwarding)
                };
                let net = Net::new(ip, usual(ip)).network();
                self.guess(format!("the real servers in {net} are on `{interface}`"));
                self.add(net, d, &interface, all.len());
            }
        }
    }

    /// The interface of a director towards real servers in a network of their own: with NAT one that has no
    /// network yet, or one more; else that of its first virtual router, as packets must reach them on the
    /// same wire.
    fn towards(&self, director: usize, facts: &Facts, method: Forwarding) -> String {
        let first = facts.interfaces.first().cloned().unwrap_or_else(|| "eth0".to_owned());
        if method != Forwarding::Nat {
            return first;
        }
        let empty = |name: &&String| {
            !self
                .segments
                .iter()
                .any(|s| s.interfaces[director].as_ref() == Some(name) && !s.nets.is_empty())
        };
        let inner = facts.interfaces.iter().skip(1).find(empty).cloned();
        // the networks of real servers that were found before share their interface
        let made = self.segments.iter().find(|s| {
            s.interfaces[director].as_ref().is_some_and(|i| !facts.interfaces.contains(i))
        });
        let made = made.and_then(|s| s.interfaces[director].clone());
        inner.or(made).unwrap_or_else(|| {
            let mut names = (0..).map(|n| format!("eth{n}"));
            let used = |n: &String| facts.interfaces.contains(n) || *n == first;
            names.find(|n| !used(n)).unwrap_or(first.clone())
        })
    }

    /// Networks of service addresses that are in none yet.
    fn vips(&mut self, all: &[Facts]) {
        for (d, facts) in all.iter().enumerate() {
            let set = facts.virtual_addresses.iter().map(|(n, i)| (n.addr, i.clone()));
            let first = facts.interfaces.first().cloned().unwrap_or_else(|| "eth0".to_owned());
            let fixed = facts.vips().into_iter().filter(|ip| !facts.is_virtual(*ip));
            let fixed: Vec<_> = fixed.map(|ip| (ip, first.clone())).collect();
            for (ip, interface) in set.collect::<Vec<_>>().into_iter().chain(fixed) {
                if ip.is_loopback() || self.segment_of(ip).is_some() {
                    continue;
                }
                let net = Net::new(ip, usual(ip)).network();
                self.guess(format!("the VIP {ip} is in a network {net} on `{interface}`"));
                let interface = if interface == "lo" { first.clone() } else { interface };
                self.add(net, d, &interface, all.len());
            }
        }
    }

    /// Every director is on every wire with networks, and every named interface has a wire.
    fn complete(&mut self, all: &[Facts]) {
        for (d, facts) in all.iter().enumerate() {
            for interface in &facts.interfaces {
                if !self.has(d, interface) {
                    self.wire(d, interface, all.len());
                }
            }
        }
        if self.segments.is_empty() {
            let interfaces = vec![Some("eth0".to_owned()); all.len()];
            self.segments.push(Segment { interfaces, ..Segment::default() });
        }
        for index in 0..self.segments.len() {
            let named = self.segments[index].interfaces.iter().flatten().next().cloned();
            for d in 0..all.len() {
                if self.segments[index].interfaces[d].is_none() {
                    let wanted = named.clone().unwrap_or_else(|| "eth0".to_owned());
                    let name = self.unused(d, wanted);
                    self.segments[index].interfaces[d] = Some(name);
                }
            }
            let number = index as u8;
            if self.segments[index].nets.is_empty() {
                let net = Net::new(IpAddr::from([10, 255, number, 0]), 24);
                let name = named.unwrap_or_default();
                self.guess(format!("nothing tells the network of `{name}`: {net}"));
                self.segments[index].nets.push(net);
            }
        }
    }

    fn unused(&self, director: usize, wanted: String) -> String {
        let mut names = std::iter::once(wanted).chain((0..).map(|n| format!("eth{n}")));
        names.find(|n| !self.has(director, n)).unwrap_or_default()
    }

    fn guess(&mut self, text: String) {
        if !self.guesses.contains(&text) {
            self.guesses.push(text);
        }
    }

    /// Addresses of the directors and the router in every network.
    fn addresses(&mut self, all: &[Facts]) {
        for facts in all {
            self.taken.extend(facts.virtual_addresses.iter().map(|(n, _)| n.addr));
            self.taken.extend(facts.vips());
            self.taken.extend(facts.servers().map(|(_, s)| s.rip));
            self.taken.extend(facts.own.iter().chain(&facts.peers).map(|(ip, _)| *ip));
        }
        for index in 0..self.segments.len() {
            let nets = self.segments[index].nets.clone();
            self.segments[index].directors = vec![Vec::new(); all.len()];
            for net in nets {
                if !self.segments[index].crossover {
                    self.router(all, index, net);
                }
                for d in 0..all.len() {
                    let own = Self::own(all, d, net);
                    let ip = own.unwrap_or_else(|| self.free(net, 101 + d as u128));
                    if own.is_none() {
                        self.guess(format!("{} has {ip} in {net}", all[d].name));
                    }
                    self.segments[index].directors[d].push(Net::new(ip, net.len));
                }
            }
        }
        let pings: Vec<IpAddr> = pings(all).filter(|ip| self.segment_of(*ip).is_none()).collect();
        for ip in pings {
            if !self.beyond.contains(&ip) {
                self.guess(format!("the ping node {ip} is behind the router"));
                self.beyond.push(ip);
            }
        }
    }

    /// The router's addresses in a network: those of ping nodes there that are nobody else.
    fn router(&mut self, all: &[Facts], index: usize, net: Net) {
        let mut found: Vec<IpAddr> = Vec::new();
        for ip in pings(all).filter(|ip| net.contains(*ip)) {
            if !self.taken.contains(&ip) {
                self.taken.push(ip);
                found.push(ip);
            }
        }
        for ip in &found {
            self.guess(format!("the ping node {ip} is the router"));
        }
        if found.is_empty() {
            let router = self.free(net, 1);
            self.guess(format!("the router has {router} in {net}"));
            found.push(router);
        }
        self.segments[index].router.extend(found.into_iter().map(|ip| Net::new(ip, net.len)));
    }

    /// Wires of two directors that only heartbeats go by are cables between them.
    fn crossovers(&mut self, all: &[Facts]) {
        let [one, two] = all else { return };
        let mut busy: Vec<IpAddr> = pings(all).collect();
        for facts in all {
            busy.extend(facts.virtual_addresses.iter().map(|(n, _)| n.addr));
            busy.extend(facts.vips());
            busy.extend(facts.servers().map(|(_, s)| s.rip));
        }
        let mut guesses = Vec::new();
        for segment in &mut self.segments {
            let only = |facts: &Facts, interface: &Option<String>| {
                let node = facts.heartbeat.as_ref();
                node.zip(interface.as_ref()).is_some_and(|(n, i)| n.crossings.contains(i))
            };
            let quiet = !segment.nets.iter().any(|n| busy.iter().any(|ip| n.contains(*ip)));
            if let [a, b] = &segment.interfaces[..] {
                segment.crossover = quiet && only(one, a) && only(two, b);
                if let (true, Some(a), Some(b)) = (segment.crossover, a, b) {
                    let (one, two) = (&one.name, &two.name);
                    guesses.push(format!("a cable joins `{a}` of {one} and `{b}` of {two}"));
                }
            }
        }
        self.guesses.extend(guesses);
    }

    /// The address of a director in a network as its file states it, or as the file of the other one does.
    fn own(all: &[Facts], director: usize, net: Net) -> Option<IpAddr> {
        let stated = all[director].own.iter().map(|(ip, _)| *ip);
        let mut stated = stated.filter(|ip| net.contains(*ip));
        if let Some(ip) = stated.next() {
            return Some(ip);
        }
        let used = |ip: &IpAddr| all.iter().any(|f| f.own.iter().any(|(own, _)| own == ip));
        let mut others = all.iter().enumerate().filter(|(o, _)| *o != director);
        let found = others.find_map(|(_, f)| {
            let peers = f.peers.iter().map(|(ip, _)| *ip);
            peers.filter(|ip| net.contains(*ip) && !used(ip)).nth(0)
        });
        found.filter(|_| all.len() == 2)
    }

    /// A free address of a network, the `wanted`th if it is.
    fn free(&mut self, net: Net, wanted: u128) -> IpAddr {
        let base = net.network().addr;
        let bits = u32::from(Net::host(base).len - net.len);
        let size = 1_u128.checked_shl(bits).unwrap_or(u128::MAX).min(4096);
        let start = if wanted + 1 < size { wanted } else { 1 };
        let candidates = (start..size.saturating_sub(1)).chain(1..start);
        let candidates = candidates.map(|n| later(base, n));
        let taken = &self.taken;
        let found = candidates.into_iter().find(|ip| !taken.contains(ip));
        let ip = found.unwrap_or_else(|| later(base, 1));
        self.taken.push(ip);
        ip
    }

    fn choose_clients(&mut self, all: &[Facts]) {
        let vips: Vec<IpAddr> = all.iter().flat_map(Facts::vips).collect();
        for (v6, candidates) in [(false, &CLIENTS[..]), (true, &CLIENTS_V6[..])] {
            if !vips.iter().any(|ip| ip.is_ipv6() == v6) {
                continue;
            }
            let nets = candidates.iter().filter_map(|c| {
                let (ip, len) = c.split_once('/')?;
                Some(Net::new(ip.parse().ok()?, len.parse().ok()?))
            });
            let free = |net: &Net| {
                let used = self.segments.iter().flat_map(|s| &s.nets);
                !used.into_iter().any(|n| n.contains(net.addr) || net.contains(n.addr))
            };
            let chosen = nets.into_iter().find(free);
            self.clients.extend(chosen);
        }
    }
}
