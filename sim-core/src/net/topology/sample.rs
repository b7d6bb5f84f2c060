//! Small networks for tests.

use crate::config::{
    ClientConfig, Closer, HostConfig, InterfaceConfig, InterfaceSysctl, IpvsConfig, LinkConfig,
    LinkDirection, LinkEnd, Load, Net, QueueLimit, SwitchConfig, Transport, WorldConfig,
};
use crate::engine::{Dist, Span};
use crate::ipvs::rules::{Forwarding, ServerRule, ServiceKey, ServiceRule};
use crate::wire::proto;
use std::net::IpAddr;

pub(crate) fn world() -> WorldConfig {
    WorldConfig { seed: 1, duration: Span::from_secs(1), ..WorldConfig::default() }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// `10.0.0.1/24`.
pub(crate) fn address(text: &str) -> Net {
    let (ip_text, len) = text.split_once('/').unwrap();
    Net::new(ip(ip_text), len.parse().unwrap())
}

pub(crate) fn interface(name: &str, addresses: &[&str]) -> InterfaceConfig {
    InterfaceConfig {
        name: name.into(),
        mac: None,
        addresses: addresses.iter().map(|a| address(a)).collect(),
        mtu: 1500,
        sysctl: InterfaceSysctl::default(),
    }
}

/// A host with one interface, `eth0`.
pub(crate) fn host(name: &str, addresses: &[&str]) -> HostConfig {
    HostConfig {
        name: name.into(),
        interfaces: vec![interface("eth0", addresses)],
        ..HostConfig::default()
    }
}

pub(crate) fn switch(name: &str, spanning_tree: bool) -> SwitchConfig {
    SwitchConfig { name: name.into(), ageing: Span::from_secs(300), spanning_tree }
}

/// A link between two switches.
pub(crate) fn link(a: &str, b: &str) -> LinkConfig {
    let direction = LinkDirection {
        rate_bps: 1_000_000_000,
        latency: Span::from_micros(50),
        queue: QueueLimit::Packets(1000),
        loss: 0.0,
        jitter: None,
        reorder: 0.0,
        reorder_delay: Span::ZERO,
        overhead: 18,
    };
    LinkConfig {
        name: format!("{a}--{b}"),
        ends: [LinkEnd::Switch(a.into()), LinkEnd::Switch(b.into())],
        directions: [direction.clone(), direction],
        up: true,
        standby: false,
    }
}

/// A link from `eth0` of a host to a switch.
pub(crate) fn connect(w: &mut WorldConfig, host: &str, switch: &str) {
    let mut l = link(host, switch);
    l.ends[0] = LinkEnd::Interface(host.into(), "eth0".into());
    w.links.push(l);
}

pub(crate) fn service(vip: &str, servers: &[&str], forwarding: Forwarding) -> ServiceRule {
    let server = |rip: &&str| ServerRule { forwarding, ..ServerRule::new(ip(rip), 80) };
    ServiceRule {
        servers: servers.iter().map(server).collect(),
        ..ServiceRule::new(ServiceKey::Address { protocol: proto::TCP, vip: ip(vip), port: 80 })
    }
}

pub(crate) fn client(target: &str) -> ClientConfig {
    let one = || Dist::Constant(1.0);
    ClientConfig {
        name: "users".into(),
        transport: Transport::Tcp,
        target: (ip(target), 80),
        load: Load::Open { gap: one() },
        sources: Vec::new(),
        requests: one(),
        request: one(),
        think: one(),
        close_delay: one(),
        closer: Closer::Client,
        timeout: None,
        limit: u64::MAX,
    }
}

/// A sound DR cluster: `client`, `director`, `rs1`, `rs2` on the switch `sw`.
pub(crate) fn dr() -> WorldConfig {
    let mut w = world();
    let mut c = host("client", &["10.0.0.1/24"]);
    c.clients.push(client("10.0.0.200"));
    let mut director = host("director", &["10.0.0.100/24", "10.0.0.200/32"]);
    let rules = service("10.0.0.200", &["10.0.0.11", "10.0.0.12"], Forwarding::Dr);
    director.ipvs = Some(IpvsConfig { services: vec![rules], ..IpvsConfig::default() });
    w.hosts.extend([c, director]);
    for n in 1..=2 {
        let mut rs = host(&format!("rs{n}"), &[&format!("10.0.0.1{n}/24")]);
        rs.loopback.push(address("10.0.0.200/32"));
        rs.sysctl.all.arp_ignore = 1;
        rs.sysctl.all.arp_announce = 2;
        w.hosts.push(rs);
    }
    w.switches.push(switch("sw", false));
    for name in ["client", "director", "rs1", "rs2"] {
        connect(&mut w, name, "sw");
    }
    w
}
