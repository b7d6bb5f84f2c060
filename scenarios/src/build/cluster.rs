//! The shorthand for the usual cluster.
//!
//! Clients reach a router, each on a link of its own or over one switch; the router, the director
//! and the real servers share a second switch, plugged in in this order. The forwarding methods of
//! the rules decide what is set on the real servers:
//!
//! - NAT: the default gateway is the DIP;
//! - DR: the VIPs on `lo`, `arp_ignore` 1 and `arp_announce` 2;
//! - TUN: the VIPs on `tunl0` or the device that the tunnel needs, the same ARP settings, `rp_filter` 0;
//! - FULLNAT: nothing; the local addresses are on the director.
//!
//! A VIP outside the cluster's subnet is routed to the director.

use super::Builder;
use super::hosts::{bare, cpu, later, patch_sysctl, patch_tcp};
use super::prepare::forward;
use crate::diagnostic::{At, Place, Problem};
use crate::format::sections::{CLUSTER_CLIENTS, CLUSTER_DIRECTOR, CLUSTER_ROUTER, CLUSTER_SERVERS};
use crate::format::{Record, units};
use crate::model::{DirectorRules, director_names};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use schedulers::Algorithm;
use sim_core::config::{
    HopConfig, HostConfig, InterfaceConfig, InterfaceSysctl, LinkEnd, Net, RouteConfig,
    SwitchConfig,
};
use sim_core::engine::Span;
use sim_core::ipvs::rules::{Forwarding, ServerRule, ServiceKey, ServiceRule};
use sim_core::wire::proto;

/// The hosts of the cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    pub(super) router: String,
    /// The name of the director, or of all of them together.
    pub(super) director: String,
    /// The directors.
    pub(super) directors: Vec<String>,
    pub(super) real_servers: Vec<String>,
    pub(super) clients: Vec<String>,
}

impl Parts {
    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        let front = core::iter::once(&self.router).chain(&self.directors);
        front.chain(&self.real_servers).chain(&self.clients)
    }
}

const SWITCH: &str = "switch";
const CLIENT_SWITCH: &str = "client-switch";
/// Networks of the clients: private addresses (RFC 1918) and unique local ones (RFC 4193).
const CLIENTS_V4: Net = Net { addr: IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), len: 24 };
const CLIENTS_V6: Net =
    Net { addr: IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0xc0, 0, 0, 0, 0)), len: 64 };

/// The tables below `[cluster]`, empty ones where they are absent.
struct Tables {
    cluster: Record,
    router: Record,
    director: Record,
    servers: Record,
    clients: Record,
}

/// Addresses of the cluster's network.
pub(super) struct Plan {
    pub(super) subnet: Net,
    pub(super) router: IpAddr,
    /// DIPs.
    pub(super) directors: Vec<IpAddr>,
    pub(super) real_servers: Vec<IpAddr>,
    pub(super) vips: Vec<IpAddr>,
}

impl Builder<'_> {
    pub(super) fn cluster(&mut self) {
        let Some(cluster) = self.record.table("cluster") else { return };
        let below = |name, section| {
            cluster.table(name).cloned().unwrap_or_else(|| Record::empty(section, &cluster.place))
        };
        let tables = Tables {
            router: below("router", &CLUSTER_ROUTER),
            director: below("director", &CLUSTER_DIRECTOR),
            servers: below("real_servers", &CLUSTER_SERVERS),
            clients: below("clients", &CLUSTER_CLIENTS),
            cluster: cluster.clone(),
        };
        let index = self.cluster_rules(&tables);
        let Some(plan) = self.plan(&tables, index) else { return };
        self.make_rules(&tables, &plan, index);
        let (director, directors) = director_names(cluster);
        let mut parts =
            Parts { router: tables.router.value("name"), director, directors, ..Parts::default() };
        self.switches.push(switch(SWITCH));
        self.clients(&tables, &plan, &mut parts);
        self.router(&tables, &plan, &parts);
        self.directors_of_cluster(&tables, &plan, &parts);
        self.real_servers(&tables, &plan, &mut parts);
        if tables.cluster.value::<String>("setup") == "auto" {
            self.set_up(&plan, &parts, index);
        }
        // what a table says is stronger than what the forwarding method needs
        for (table, names) in [
            (&tables.servers, parts.real_servers.clone()),
            (&tables.director, parts.directors.clone()),
            (&tables.router, vec![parts.router.clone()]),
            (&tables.clients, parts.clients.clone()),
        ] {
            for name in names {
                if let (Some(t), Some(host)) = (table.table("sysctl"), self.host_mut(&name)) {
                    patch_sysctl(host, t);
                }
            }
        }
        self.cluster = Some(parts);
    }

    /// The director table of the cluster's director; made if there is none.
    fn cluster_rules(&mut self, tables: &Tables) -> usize {
        let (name, members) = director_names(&tables.cluster);
        let own: Vec<String> =
            self.record.tables("host").iter().map(|h| h.value::<String>("name")).collect();
        let is_mine = |h: &str| h == name || members.iter().any(|m| m == h);
        let mine = |d: &DirectorRules| d.host.as_deref().is_none_or(is_mine);
        if let Some(index) = self.directors.iter().position(mine) {
            return index;
        }
        // one for a host that is nowhere is most likely meant for this director
        let lost = |d: &DirectorRules| d.host.as_ref().is_some_and(|h| !own.contains(h));
        if let Some(index) = self.directors.iter().position(lost) {
            let host = self.directors[index].host.take().unwrap_or_default();
            let place = self.directors[index].place.clone();
            let known: Vec<&str> = members.iter().chain(&own).map(String::as_str).collect();
            self.unknown_host_of(&At::new(host, place), &known);
            return index;
        }
        self.directors.push(DirectorRules {
            host: None,
            place: tables.cluster.place.clone(),
            rules: crate::import::ipvsadm::Rules::default(),
            given: false,
            kept: false,
        });
        self.directors.len() - 1
    }

    fn plan(&mut self, tables: &Tables, index: usize) -> Option<Plan> {
        let director = &self.directors[index];
        let names = director_names(&tables.cluster).1;
        let is_mine = |h: &String| names.contains(h);
        let beside = self.directors.iter().filter(|d| d.host.as_ref().is_some_and(is_mine));
        let mut vips: Vec<IpAddr> = Vec::new();
        for service in
            core::iter::once(director).chain(beside).flat_map(|d| &d.rules.config.services)
        {
            if let ServiceKey::Address { vip, .. } = service.key
                && !vips.contains(&vip)
            {
                vips.push(vip);
            }
        }
        if let Some((vip, _)) = tables.cluster.get::<(IpAddr, u16)>("vip")
            && (!director.given || vips.is_empty())
        {
            vips = vec![vip];
        }
        let Some(&first) = vips.first() else {
            let message = "the cluster has no service";
            let problem = Problem::new(&tables.cluster.place, message, "this cluster")
                .help("give [director] `rules` or `rules_file`, or [cluster] a `vip`")
                .derived();
            self.problems.push(problem);
            return None;
        };
        let usual = Net::new(first, if first.is_ipv4() { 24 } else { 64 }).network();
        let subnet = tables.cluster.get("subnet").unwrap_or(usual);
        if subnet.len + 3 > Net::host(subnet.addr).len {
            let place = tables.cluster.place_of("subnet").clone();
            self.wrong(
                &place,
                "the subnet is too small",
                "expected /29 (IPv6: /125) or more addresses",
            );
            return None;
        }
        let real_servers = self.real_addresses(tables, subnet, &vips, index);
        // addresses that nobody gave are the first ones that are free
        let mut taken = self.addresses_of_hosts();
        taken.extend(vips.iter().chain(&real_servers));
        taken.extend(tables.router.get::<IpAddr>("address"));
        taken.extend(tables.director.get::<IpAddr>("address"));
        let mut first_free = |given: Option<IpAddr>| {
            given.unwrap_or_else(|| {
                let ip = free(subnet, later(subnet.addr, 1), &taken);
                taken.push(ip);
                ip
            })
        };
        let router = first_free(tables.router.get("address"));
        let directors = (0..names.len())
            .map(|n| first_free(tables.director.get("address").filter(|_| n == 0)))
            .collect();
        let plan = Plan { subnet, router, directors, real_servers, vips };
        self.check_plan(tables, &plan);
        Some(plan)
    }

    /// The addresses that [[host]] tables give.
    fn addresses_of_hosts(&self) -> Vec<IpAddr> {
        let hosts = self.record.tables("host");
        let interfaces = hosts.iter().flat_map(|h| h.tables("interfaces"));
        interfaces.flat_map(|i| i.list::<Net>("addresses")).map(|a| a.value.addr).collect()
    }

    fn real_addresses(
        &mut self,
        tables: &Tables,
        subnet: Net,
        vips: &[IpAddr],
        index: usize,
    ) -> Vec<IpAddr> {
        let servers = &tables.servers;
        let listed = servers.list::<IpAddr>("addresses");
        if !listed.is_empty() {
            return listed.into_iter().map(|a| a.value).collect();
        }
        let offset = if Net::host(subnet.addr).len - subnet.len >= 5 { 11 } else { 3 };
        let first = servers.get("first_address").unwrap_or_else(|| later(subnet.addr, offset));
        if let Some(count) = servers.get::<u32>("count") {
            let room = (0..count).take_while(|i| subnet.contains(later(first, *i))).count();
            if room < count as usize {
                let place = servers.place_of("count").clone();
                let message =
                    format!("{count} real servers from {first} on do not fit in {subnet}");
                self.wrong(&place, message, format!("at most {room}, or a larger `subnet`"));
            }
            return (0..room as u32).map(|i| later(first, i)).collect();
        }
        // one for each RIP of the rules that neither a [[host]] has nor the director itself (LOCALNODE)
        let mut own = self.addresses_of_hosts();
        own.extend(vips);
        own.extend(tables.director.get::<IpAddr>("address"));
        let mut rips: Vec<IpAddr> = Vec::new();
        for server in self.directors[index].rules.config.services.iter().flat_map(|s| &s.servers) {
            let free = !own.contains(&server.rip) && !server.rip.is_loopback();
            if free && !rips.contains(&server.rip) {
                rips.push(server.rip);
            }
        }
        if rips.is_empty() && !self.directors[index].given {
            let mut taken = own;
            for _ in 0..2 {
                rips.push(free(subnet, first, &taken));
                taken.extend(rips.last());
            }
        }
        rips
    }

    fn check_plan(&mut self, tables: &Tables, plan: &Plan) {
        let mut taken: Vec<(IpAddr, &str)> = vec![(plan.router, "the router")];
        let mut check = |builder: &mut Self, ip: IpAddr, place: &Place, what: &'static str| {
            let place = place.clone();
            if !plan.subnet.contains(ip) {
                let message = format!("{what} {ip} is not in the cluster's subnet {}", plan.subnet);
                let problem = Problem::new(&place, message, "set `subnet`, or make it a [[host]]");
                builder.problems.push(problem);
            } else if let Some((_, who)) = taken.iter().find(|(t, _)| *t == ip) {
                builder.wrong(&place, format!("{what} {ip} is taken"), format!("{who} has it"));
            }
            taken.push((ip, if what == "the DIP" { "the director" } else { "a real server" }));
        };
        for dip in &plan.directors {
            check(self, *dip, tables.director.place_of("address"), "the DIP");
        }
        for ip in &plan.real_servers {
            let servers = &tables.servers;
            let name = ["addresses", "first_address", "count"].into_iter().find(|n| servers.has(n));
            let place = name.map_or(&tables.cluster.place, |n| servers.place_of(n));
            check(self, *ip, place, "the RIP");
        }
        for vip in &plan.vips {
            if let Some((_, who)) = taken.iter().find(|(t, _)| t == vip) {
                let place = tables.cluster.place_of("vip").clone();
                self.wrong(&place, format!("the VIP {vip} is taken"), format!("{who} has it"));
            }
        }
    }

    /// Rules for `vip` and all real servers, if the director has none of its own.
    fn make_rules(&mut self, tables: &Tables, plan: &Plan, index: usize) {
        let Some((vip, port)) = tables.cluster.get::<(IpAddr, u16)>("vip") else {
            if tables.cluster.has("scheduler") {
                let place = tables.cluster.place_of("scheduler").clone();
                let message = "`scheduler` is for the service that `vip` makes";
                self.wrong(&place, message, "there is no `vip`: the rules name the scheduler");
            }
            return;
        };
        if self.directors[index].given {
            let place = tables.cluster.place_of("vip").clone();
            let key = |s: &ServiceRule| matches!(s.key, ServiceKey::Address { vip: v, port: p, .. } if (v, p) == (vip, port));
            // a mark does not say which address it is for
            let marked = |s: &ServiceRule| matches!(s.key, ServiceKey::Fwmark { .. });
            if !self.directors[index].rules.config.services.iter().any(|s| key(s) || marked(s)) {
                let message = format!("the rules have no service {vip}:{port}");
                self.wrong(&place, message, "leave it out: the rules name the services");
            }
            return;
        }
        let name: String = tables.cluster.value("scheduler");
        // a word that names none was reported when it was read
        let Ok(written) = name.parse::<Algorithm>() else { return };
        let scheduler = crate::model::scheduler_of(self.record).unwrap_or(written);
        let forwarding = crate::model::forwarding_of(self.record).unwrap_or(Forwarding::Dr);
        let servers = plan.real_servers.iter();
        let servers = servers.map(|rip| ServerRule { forwarding, ..ServerRule::new(*rip, port) });
        let rules = &mut self.directors[index].rules;
        rules.services.push(tables.cluster.place_of("vip").clone());
        rules.servers.push(vec![tables.cluster.place.clone(); plan.real_servers.len()]);
        rules.config.services.push(ServiceRule {
            scheduler,
            servers: servers.collect(),
            ..ServiceRule::new(ServiceKey::Address { protocol: proto::TCP, vip, port })
        });
        // the directors of tables come first
        if let Some(table) = self.record.tables("director").get(index) {
            crate::model::local_addresses(table, &mut rules.config);
        }
    }

    /// The client hosts; the ends of their links to the router come later.
    fn clients(&mut self, tables: &Tables, plan: &Plan, parts: &mut Parts) {
        let t = &tables.clients;
        let name: String = t.value("name");
        let count: u32 = t.value::<u32>("count").max(1);
        let subnet = t.get("subnet").unwrap_or(if plan.subnet.addr.is_ipv4() {
            CLIENTS_V4
        } else {
            CLIENTS_V6
        });
        let shared = t.value::<String>("connect") == "switch";
        let bits = Net::host(subnet.addr).len;
        let size = 1_u128.checked_shl(u32::from(bits - subnet.len)).unwrap_or(u128::MAX);
        let room = if shared { size.saturating_sub(3) } else { u128::from(count) };
        if subnet.len + 2 > bits || subnet.len == 0 || u128::from(count) > room {
            let place = t.place_of("subnet").clone();
            self.wrong(
                &place,
                "the clients do not fit into their subnet",
                "expected a larger block",
            );
            return;
        }
        if plan.vips.iter().any(|vip| vip.is_ipv4() != subnet.addr.is_ipv4()) {
            let place = t.place_of("subnet").clone();
            let message = "clients and VIPs are of different families";
            let label = format!("the clients have {subnet}");
            let problem = Problem::new(&place, message, label);
            self.problems.push(problem.help("describe clients of the other family as [[host]]"));
            return;
        }
        for index in 0..count {
            let block = if shared {
                subnet.addr
            } else {
                units::later(subnet.addr, size.wrapping_mul(u128::from(index)))
            };
            let host_number = if shared { 2 + index } else { 2 };
            let member = if count == 1 { name.clone() } else { format!("{name}{}", index + 1) };
            let mut host = self.cluster_host(&member, later(block, host_number), subnet.len, t);
            host.routes.push(default_via(later(block, 1)));
            self.hosts.push(host);
            parts.clients.push(member);
        }
        if count > 1 {
            self.add_group(&name, parts.clients.clone());
        }
        if shared {
            self.switches.push(switch(CLIENT_SWITCH));
        }
    }

    fn router(&mut self, tables: &Tables, plan: &Plan, parts: &Parts) {
        let name = &parts.router;
        let mut host = self.cluster_host(name, plan.router, plan.subnet.len, &tables.router);
        let shared = self.switches.iter().any(|s| s.name == CLIENT_SWITCH);
        let clients: Vec<Net> = parts
            .clients
            .iter()
            .filter_map(|c| self.host(c)?.interfaces.first()?.addresses.first().copied())
            .collect();
        let legs = if shared { clients.len().min(1) } else { clients.len() };
        for (index, client) in clients.iter().take(legs).enumerate() {
            let gateway = later(client.network().addr, 1);
            let address = Net::new(gateway, client.len);
            host.interfaces.push(self.interface(&format!("eth{}", index + 1), address));
        }
        forward(&mut host);
        self.hosts.push(host);
        let link = tables.clients.table("link");
        if shared {
            self.add_link(None, end(name, "eth1"), LinkEnd::Switch(CLIENT_SWITCH.into()), link);
        }
        for (index, client) in parts.clients.iter().enumerate() {
            let to = if shared {
                LinkEnd::Switch(CLIENT_SWITCH.into())
            } else {
                end(name, &format!("eth{}", index + 1))
            };
            self.add_link(None, end(client, "eth0"), to, link);
        }
        self.plug(name, tables.router.table("link"));
    }

    fn directors_of_cluster(&mut self, tables: &Tables, plan: &Plan, parts: &Parts) {
        for (name, dip) in parts.directors.iter().zip(&plan.directors) {
            let mut host = self.cluster_host(name, *dip, plan.subnet.len, &tables.director);
            host.routes.push(default_via(plan.router));
            self.hosts.push(host);
            self.plug(name, tables.director.table("link"));
        }
        if parts.directors.len() > 1 {
            self.add_group(&parts.director, parts.directors.clone());
        }
    }

    fn real_servers(&mut self, tables: &Tables, plan: &Plan, parts: &mut Parts) {
        let name: String = tables.servers.value("name");
        for (index, rip) in plan.real_servers.iter().enumerate() {
            let member = format!("{name}{}", index + 1);
            let mut host = self.cluster_host(&member, *rip, plan.subnet.len, &tables.servers);
            host.routes.push(default_via(plan.router));
            self.hosts.push(host);
            self.plug(&member, tables.servers.table("link"));
            parts.real_servers.push(member);
        }
        self.add_group(&name, parts.real_servers.clone());
    }

    fn cluster_host(&mut self, name: &str, ip: IpAddr, len: u8, table: &Record) -> HostConfig {
        if self.host(name).is_some() {
            let place = table.place.clone();
            self.wrong(&place, format!("two hosts are called `{name}`"), "the second one");
        }
        let mut host = bare(name, self.tcp);
        if table.has_field("tcp")
            && let Some(t) = table.table("tcp")
        {
            patch_tcp(&mut host.tcp, t);
        }
        if table.has_field("cpu")
            && let Some(t) = table.table("cpu")
        {
            host.cpu = Some(cpu(t));
        }
        host.interfaces.push(self.interface("eth0", Net::new(ip, len)));
        host
    }

    fn interface(&self, name: &str, address: Net) -> InterfaceConfig {
        InterfaceConfig {
            name: name.to_owned(),
            mac: None,
            addresses: vec![address],
            mtu: self.defaults.mtu,
            sysctl: InterfaceSysctl::default(),
        }
    }

    fn plug(&mut self, host: &str, table: Option<&Record>) {
        self.add_link(None, end(host, "eth0"), LinkEnd::Switch(SWITCH.into()), table);
    }
}

/// The first address from `start` on that is in the subnet and not taken; `start` if there is none.
fn free(subnet: Net, start: IpAddr, taken: &[IpAddr]) -> IpAddr {
    let candidates = (0..=taken.len() as u32).map(|i| later(start, i));
    let mut inside = candidates.take_while(|ip| subnet.contains(*ip));
    inside.find(|ip| !taken.contains(ip)).unwrap_or(start)
}

pub(super) fn default_via(gateway: IpAddr) -> RouteConfig {
    let hop = HopConfig { via: Some(gateway), dev: None };
    RouteConfig::new(if gateway.is_ipv4() { Net::ALL } else { Net::ALL_V6 }, vec![hop])
}

fn end(host: &str, dev: &str) -> LinkEnd {
    LinkEnd::Interface(host.to_owned(), dev.to_owned())
}

fn switch(name: &str) -> SwitchConfig {
    SwitchConfig { name: name.to_owned(), ageing: Span::from_secs(300), spanning_tree: false }
}
