//! The network that the recordings were made in: a client behind a router, director and real servers
//! on one switch.

use core::net::IpAddr;
use sim_core::config::*;
use sim_core::engine::{Dist, Span};
use sim_core::ipvs::rules::{Forwarding, ServerRule, ServiceKey, ServiceRule};
use sim_core::observe::{ConnectionRow, Observations};
use sim_core::wire::{Mac, proto};
use sim_core::world::World;

pub(crate) const VIP: IpAddr = v4(192, 168, 10, 200);
pub(crate) const ROUTER: IpAddr = v4(192, 168, 10, 1);
pub(crate) const DIP: IpAddr = v4(192, 168, 10, 100);

pub(crate) fn rip(n: u8) -> IpAddr {
    v4(192, 168, 10, 10 + n)
}

pub(crate) fn address(ip: IpAddr, len: u8) -> Net {
    Net::new(ip, len)
}

pub(crate) fn interface(name: &str, addresses: Vec<Net>) -> InterfaceConfig {
    InterfaceConfig {
        name: name.into(),
        mac: None,
        addresses,
        mtu: 1500,
        sysctl: InterfaceSysctl { send_redirects: false, ..InterfaceSysctl::default() },
    }
}

pub(crate) fn default_route(via: IpAddr) -> RouteConfig {
    RouteConfig::new(Net::ALL, vec![HopConfig { via: Some(via), dev: None }])
}

pub(crate) fn host(
    name: &str,
    interfaces: Vec<InterfaceConfig>,
    gateway: Option<IpAddr>,
) -> HostConfig {
    let all = InterfaceSysctl { send_redirects: false, ..InterfaceSysctl::default() };
    HostConfig {
        name: name.into(),
        interfaces,
        routes: gateway.map(default_route).into_iter().collect(),
        sysctl: Sysctl { all, ..Sysctl::default() },
        ..HostConfig::default()
    }
}

pub(crate) fn direction() -> LinkDirection {
    LinkDirection {
        rate_bps: 1_000_000_000,
        latency: Span::from_micros(50),
        queue: QueueLimit::Packets(1000),
        loss: 0.0,
        jitter: None,
        reorder: 0.0,
        reorder_delay: Span::ZERO,
        overhead: 18,
    }
}

fn end(text: &str) -> LinkEnd {
    match text.split_once(':') {
        Some((host, interface)) => LinkEnd::Interface(host.into(), interface.into()),
        None => LinkEnd::Switch(text.into()),
    }
}

pub(crate) fn link(a: &str, b: &str) -> LinkConfig {
    LinkConfig {
        name: format!("{a}--{b}"),
        ends: [end(a), end(b)],
        directions: [direction(), direction()],
        up: true,
        standby: false,
    }
}

pub(crate) fn server(transport: Transport, port: u16) -> ServerConfig {
    ServerConfig {
        transport,
        port,
        workers: 16,
        discipline: Discipline::Fifo,
        service: Dist::Constant(0.001),
        response: Dist::Constant(42.0),
        connections: u32::MAX,
        backlog: 128,
        queue: u32::MAX,
        closer: Closer::Server,
        close_delay: Dist::Constant(0.0),
        answers: AnswerConfig::default(),
    }
}

pub(crate) fn client(transport: Transport, port: u16, at: &[u64]) -> ClientConfig {
    ClientConfig {
        name: "client".into(),
        transport,
        target: (VIP, port),
        load: Load::At(at.iter().map(|&ms| Span::from_millis(ms)).collect()),
        sources: Vec::new(),
        requests: Dist::Constant(1.0),
        request: Dist::Constant(20.0),
        think: Dist::Constant(0.0),
        close_delay: Dist::Constant(0.015),
        closer: Closer::Server,
        timeout: Some(Span::from_secs(3)),
        limit: u64::MAX,
    }
}

pub(crate) fn rules(forwarding: Forwarding, protocol: u8, port: u16, servers: u8) -> IpvsConfig {
    let server = |n| ServerRule { forwarding, ..ServerRule::new(rip(n), port) };
    IpvsConfig {
        services: vec![ServiceRule {
            scheduler: schedulers::Algorithm::Rr,
            servers: (1..=servers).map(server).collect(),
            ..ServiceRule::new(ServiceKey::Address { protocol, vip: VIP, port })
        }],
        ..IpvsConfig::default()
    }
}

pub(crate) const CLIENT: IpAddr = v4(10, 0, 0, 1);
pub(crate) const SERVER: IpAddr = v4(10, 0, 0, 2);

/// A host with one interface `eth0` and a server on it.
pub(crate) fn serving(name: &str, ip: IpAddr, transport: Transport, port: u16) -> HostConfig {
    let mut h = host(name, vec![interface("eth0", vec![address(ip, 24)])], None);
    h.servers.push(server(transport, port));
    h
}

/// A client (host 0) and a server (host 1) on one cable: requests start at these milliseconds.
pub(crate) fn pair(transport: Transport, at: &[u64]) -> WorldConfig {
    let mut c = host("client", vec![interface("eth0", vec![address(CLIENT, 24)])], None);
    let mut application = client(transport, 80, at);
    application.target.0 = SERVER;
    c.clients.push(application);
    WorldConfig {
        seed: 1,
        duration: Span::from_secs(60),
        drain: Span::from_secs(3600),
        hosts: vec![c, serving("server", SERVER, transport, 80)],
        links: vec![link("client:eth0", "server:eth0")],
        connections: true,
        ..WorldConfig::default()
    }
}

/// The same with the neighbours known, so that no ARP disturbs the times.
pub(crate) fn quiet_pair(transport: Transport, at: &[u64]) -> WorldConfig {
    let mut config = pair(transport, at);
    introduce(&mut config, 0, 1);
    introduce(&mut config, 1, 0);
    config
}

/// Gives host `who` a permanent entry for the first address of host `whom`, both on `eth0`.
pub(crate) fn introduce(config: &mut WorldConfig, who: usize, whom: usize) {
    let ip = config.hosts[whom].interfaces[0].addresses[0].addr;
    config.hosts[who].neighbours.push(("eth0".into(), ip, mac(whom)));
}

/// The Ethernet address that the world gives the first interface of a host.
pub(crate) fn mac(host: usize) -> Mac {
    Mac([0x02, 0x1f, 0, (host >> 8) as u8, host as u8, 0])
}

pub(crate) fn switch(name: &str) -> SwitchConfig {
    SwitchConfig { name: name.into(), ageing: Span::from_secs(300), spanning_tree: false }
}

pub(crate) fn event(ms: u64, link: &str, up: bool) -> LinkEvent {
    LinkEvent { at: Span::from_millis(ms), link: link.into(), up }
}

/// A route to a prefix by a gateway.
pub(crate) fn route(to: Net, via: &[IpAddr]) -> RouteConfig {
    let hops = via.iter().map(|&ip| HopConfig { via: Some(ip), dev: None }).collect();
    RouteConfig::new(to, hops)
}

/// Packets dropped at a place for a reason.
pub(crate) fn dropped(o: &Observations, place: &str, reason: &str) -> u64 {
    o.drops.iter().filter(|d| d.place == place && d.reason == reason).map(|d| d.packets).sum()
}

/// Rows of the connections in order of their starts.
pub(crate) fn rows(o: &Observations) -> Vec<ConnectionRow> {
    let mut rows = o.connections.clone();
    rows.sort_by_key(|r| r.id);
    rows
}

/// How long each connection took, in nanoseconds.
pub(crate) fn lengths(o: &Observations) -> Vec<u64> {
    rows(o).iter().map(|r| (r.end - r.start).as_nanos()).collect()
}

/// Frames carried by a link from its first end and from its second.
pub(crate) fn carried(o: &Observations, link: &str) -> (u64, u64) {
    let packets: Vec<u64> = o.links.iter().filter(|l| l.link == link).map(|l| l.packets).collect();
    (packets[0], packets[1])
}

/// The recorded network with two real servers set up for `forwarding`.
pub(crate) fn cluster(forwarding: Forwarding, transport: Transport, port: u16) -> WorldConfig {
    let protocol = if transport == Transport::Tcp { proto::TCP } else { proto::UDP };
    let mut c = host(
        "client",
        vec![interface("c0", vec![address(v4(172, 16, 0, 10), 24)])],
        Some(v4(172, 16, 0, 1)),
    );
    c.clients.push(client(transport, port, &[0, 300]));
    let mut router = host(
        "router",
        vec![
            interface("r-c", vec![address(v4(172, 16, 0, 1), 24)]),
            interface("r-l", vec![address(ROUTER, 24)]),
        ],
        None,
    );
    router.sysctl.ip_forward = true;
    let mut director = host(
        "director",
        vec![interface("eth0", vec![address(DIP, 24), address(VIP, 32)])],
        Some(ROUTER),
    );
    director.sysctl.ip_forward = true;
    director.ipvs = Some(rules(forwarding, protocol, port, 2));
    let mut hosts = vec![c, router, director];
    for n in 1..=2 {
        let gateway = if forwarding == Forwarding::Nat { DIP } else { ROUTER };
        let eth0 = interface("eth0", vec![address(rip(n), 24)]);
        let mut rs = host(&format!("rs{n}"), vec![eth0], Some(gateway));
        match forwarding {
            Forwarding::Nat => {}
            Forwarding::LocalNode | Forwarding::Bypass | Forwarding::FullNat => {
                unreachable!("not a method of this network")
            }
            Forwarding::Dr => rs.loopback.push(address(VIP, 32)),
            Forwarding::Tun => rs.tunnels = vec![TunnelConfig::tunl0(vec![address(VIP, 32)])],
        }
        rs.sysctl.all.arp_ignore = 1;
        rs.sysctl.all.arp_announce = 2;
        rs.servers.push(server(transport, port));
        hosts.push(rs);
    }
    WorldConfig {
        seed: 1,
        duration: Span::from_secs(1),
        drain: Span::from_secs(200),
        hosts,
        switches: vec![SwitchConfig {
            name: "sw".into(),
            ageing: Span::from_secs(300),
            spanning_tree: false,
        }],
        links: vec![
            link("client:c0", "router:r-c"),
            link("router:r-l", "sw"),
            link("director:eth0", "sw"),
            link("rs1:eth0", "sw"),
            link("rs2:eth0", "sw"),
        ],
        connections: true,
        ..WorldConfig::default()
    }
}

pub(crate) fn run(config: &WorldConfig) -> Observations {
    let mut world = World::build(config).expect("a good configuration");
    while world.run(10_000) {}
    world.finish()
}

/// The hosts that answered the connections, in order; the failure where nobody did.
pub(crate) fn answers(o: &Observations) -> Vec<String> {
    let mut rows = o.connections.clone();
    rows.sort_by_key(|r| r.id);
    rows.iter()
        .map(|r| match (r.failure, r.server) {
            (Some(f), _) => f.name().to_owned(),
            (None, Some(s)) => o.servers[s as usize].host.clone(),
            (None, None) => "nobody".to_owned(),
        })
        .collect()
}
