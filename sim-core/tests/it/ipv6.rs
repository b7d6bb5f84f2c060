//! IPv6: neighbour discovery, routers, directors, path MTU.

use crate::frames::{Frame, texts, watch};
use crate::network::*;
use core::net::IpAddr;
use sim_core::config::*;
use sim_core::engine::{Dist, Span};
use sim_core::ipvs::rules::{Forwarding, ServerRule, ServiceKey, ServiceRule};
use sim_core::wire::{Mac, proto};

pub(crate) const VIP6: &str = "2001:db8:10::200";

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn net(text: &str) -> Net {
    let (addr, len) = text.split_once('/').expect("a prefix length");
    Net::new(ip(addr), len.parse().expect("a number"))
}

/// An interface with the Ethernet address that it had in the recordings.
fn recorded(name: &str, mac: [u8; 2], addresses: &[&str]) -> InterfaceConfig {
    let mac = Some(Mac([2, 0, 0, 0, mac[0], mac[1]]));
    InterfaceConfig { mac, ..interface(name, addresses.iter().map(|a| net(a)).collect()) }
}

pub(crate) fn default_route6(via: &str) -> RouteConfig {
    RouteConfig::new(Net::ALL_V6, vec![HopConfig { via: Some(ip(via)), dev: None }])
}

/// The recorded network with IPv6: client, router, director, rs1, rs2 on the director's link, rs3
/// behind the router.
pub(crate) fn cluster6(forwarding: Forwarding, transport: Transport, port: u16) -> WorldConfig {
    let mut config = cluster(forwarding, transport, port);
    let host6 = |name: &str, interfaces: Vec<InterfaceConfig>, via: Option<&str>| {
        let mut h = host(name, interfaces, None);
        h.routes.extend(via.map(default_route6));
        h
    };
    let c0 = recorded("c0", [1, 0x0a], &["2001:db8:1::10/64"]);
    let mut c = host6("client", vec![c0], Some("2001:db8:1::1"));
    c.clients.append(&mut config.hosts[0].clients);
    c.clients[0].target.0 = ip(VIP6);
    let mut router = host6(
        "router",
        vec![
            recorded("r-c", [1, 1], &["2001:db8:1::1/64"]),
            recorded("r-l", [0x0a, 1], &["2001:db8:10::1/64"]),
            recorded("r-t", [0x14, 1], &["2001:db8:20::1/64"]),
        ],
        None,
    );
    router.sysctl.forwarding_v6 = true;
    let eth0 = recorded("eth0", [0x0a, 0x64], &["2001:db8:10::100/64", "2001:db8:10::200/128"]);
    let mut director = host6("director", vec![eth0], Some("2001:db8:10::1"));
    director.sysctl.forwarding_v6 = true;
    let protocol = if transport == Transport::Tcp { proto::TCP } else { proto::UDP };
    let real = ["2001:db8:10::11", "2001:db8:10::12"];
    let server = |rip: &str| ServerRule { forwarding, ..ServerRule::new(ip(rip), port) };
    director.ipvs = Some(IpvsConfig {
        services: vec![ServiceRule {
            scheduler: schedulers::Algorithm::Rr,
            servers: real.iter().map(|r| server(r)).collect(),
            ..ServiceRule::new(ServiceKey::Address { protocol, vip: ip(VIP6), port })
        }],
        ..IpvsConfig::default()
    });
    let mut hosts = vec![c, router, director];
    for (name, mac, address, via) in [
        ("rs1", [0x0a, 0x0b], "2001:db8:10::11/64", "2001:db8:10::1"),
        ("rs2", [0x0a, 0x0c], "2001:db8:10::12/64", "2001:db8:10::1"),
        ("rs3", [0x14, 0x0d], "2001:db8:20::13/64", "2001:db8:20::1"),
    ] {
        let nat = forwarding == Forwarding::Nat && name != "rs3";
        let via = if nat { "2001:db8:10::100" } else { via };
        let mut rs = host6(name, vec![recorded("eth0", mac, &[address])], Some(via));
        let vip = Net::host(ip(VIP6));
        match forwarding {
            Forwarding::Dr => rs.loopback.push(vip),
            Forwarding::Tun => rs.tunnels.push(TunnelConfig {
                name: "ip6tnl0".into(),
                kind: TunnelKind::Ip6Tnl,
                local: None,
                remote: None,
                checksum: false,
                addresses: vec![vip],
                mtu: 1452,
                sysctl: InterfaceSysctl::default(),
            }),
            _ => {}
        }
        rs.servers.push(crate::network::server(transport, port));
        hosts.push(rs);
    }
    config.hosts = hosts;
    config.links.push(link("router:r-t", "rs3:eth0"));
    config
}

/// The texts of the frames up to the first that begins a connection's data.
fn opening(frames: &[Frame], count: usize) -> Vec<String> {
    frames.iter().take(count).map(|f| format!("{} {}", f.ttl, f.text)).collect()
}

/// As recorded (Linux 6.1.176, LVS-DR with IPv6), without the frames that a switch floods to a host
/// which is not meant.
#[test]
fn a_dr_director_resolves_and_forwards_as_a_real_one() {
    let config = cluster6(Forwarding::Dr, Transport::Tcp, 80);
    let (o, frames) = watch(&config, "director");
    assert_eq!(answers(&o), ["rs2", "rs1"]);
    let seen = opening(&frames, 8);
    assert_eq!(
        seen,
        [
            "255 fe80::ff:fe00:a01 > ff02::1:ff00:200 ns 2001:db8:10::200",
            "255 2001:db8:10::200 > fe80::ff:fe00:a01 na RSO 2001:db8:10::200",
            "63 2001:db8:1::10 > 2001:db8:10::200 tcp S 0",
            "255 fe80::ff:fe00:a64 > ff02::1:ff00:12 ns 2001:db8:10::12",
            "255 2001:db8:10::12 > fe80::ff:fe00:a64 na SO 2001:db8:10::12",
            "62 2001:db8:1::10 > 2001:db8:10::200 tcp S 0",
            "255 fe80::ff:fe00:a0c > ff02::1:ff00:1 ns 2001:db8:10::1",
            "63 2001:db8:1::10 > 2001:db8:10::200 tcp A 0",
        ]
    );
    let (_, frames) = watch(&config, "rs2");
    let replies = texts(&frames, |f| f.out && f.text.contains("tcp"));
    assert_eq!(replies[0], "2001:db8:10::200 > 2001:db8:1::10 tcp SA 0");
    assert_eq!(dropped(&o, "rs1", "martian_source"), 0);
}

#[test]
fn nat_translates_both_ways_and_the_gateway_is_a_router() {
    let config = cluster6(Forwarding::Nat, Transport::Tcp, 80);
    let (o, frames) = watch(&config, "director");
    assert_eq!(answers(&o), ["rs2", "rs1"]);
    let tcp = texts(&frames, |f| f.text.contains("tcp"));
    assert_eq!(
        tcp[..4],
        [
            "2001:db8:1::10 > 2001:db8:10::200 tcp S 0",
            "2001:db8:1::10 > 2001:db8:10::12 tcp S 0",
            "2001:db8:10::12 > 2001:db8:1::10 tcp SA 0",
            "2001:db8:10::200 > 2001:db8:1::10 tcp SA 0",
        ]
    );
    let hops: Vec<u8> =
        frames.iter().filter(|f| f.text.contains("tcp SA")).map(|f| f.ttl).collect();
    assert_eq!(hops[..2], [64, 63]);
    assert!(texts(&frames, |f| f.text.contains("icmp6")).is_empty(), "no redirects");
}

/// As recorded: the director drops the error, the client hears nothing.
#[test]
fn an_error_of_a_nat_server_ends_at_the_director() {
    let mut config = cluster6(Forwarding::Nat, Transport::Udp, 54);
    for rs in &mut config.hosts[3..] {
        rs.servers.clear();
    }
    config.hosts[0].clients[0].limit = 1;
    let (o, frames) = watch(&config, "director");
    assert_eq!(answers(&o), ["timed_out"]);
    assert_eq!(dropped(&o, "director", "checksum"), 1);
    let errors = texts(&frames, |f| f.text.contains("icmp6"));
    assert_eq!(errors, ["2001:db8:10::12 > 2001:db8:1::10 icmp6 1/4 0"]);
}

#[test]
fn a_closed_port_of_a_dr_server_refuses() {
    let mut config = cluster6(Forwarding::Dr, Transport::Udp, 54);
    for rs in &mut config.hosts[3..] {
        rs.servers.clear();
    }
    assert_eq!(answers(&run(&config)), ["refused", "refused"]);
}

/// A client and a server on one cable.
fn pair6(transport: Transport, at: &[u64]) -> WorldConfig {
    let mut config = pair(transport, at);
    config.hosts[0].interfaces[0].addresses = vec![net("fd00::1/64")];
    config.hosts[0].clients[0].target.0 = ip("fd00::2");
    config.hosts[1].interfaces[0].addresses = vec![net("fd00::2/64")];
    config
}

#[test]
fn three_solicitations_a_second_apart_and_then_the_packet_is_given_up() {
    let mut config = pair6(Transport::Udp, &[0]);
    config.hosts[0].clients[0].target.0 = ip("fd00::3");
    config.hosts[0].clients[0].timeout = Some(Span::from_secs(10));
    let (o, frames) = watch(&config, "client");
    let asked: Vec<_> = frames.iter().map(|f| (f.ns / 1_000_000, f.text.as_str())).collect();
    let text = "fd00::1 > ff02::1:ff00:3 ns fd00::3";
    assert_eq!(asked, [0, 1000, 2000].map(|ms| (ms, text)));
    assert_eq!(answers(&o), ["unreachable"]);
    assert_eq!(dropped(&o, "client", "neighbour_failed"), 1);
    assert_eq!(dropped(&o, "server", "other_host"), 3, "not a member of the group");
}

#[test]
fn a_neighbour_in_use_is_asked_directly_from_the_link_local_address() {
    let config = pair6(Transport::Udp, &[0, 29_000, 34_500]);
    let (_, frames) = watch(&config, "client");
    let nd: Vec<_> = frames
        .iter()
        .filter(|f| f.text.contains(" n"))
        .map(|f| (f.ns / 1_000_000, f.text.as_str()))
        .collect();
    let direct = nd.iter().find(|f| f.1.ends_with("> fd00::2 ns fd00::2")).expect("a probe");
    assert!(direct.1.starts_with("fe80::1f:ff:fe00:0 >"), "{direct:?}");
    let bare = nd.iter().find(|f| f.1.ends_with("na S fd00::2 bare"));
    assert!(bare.is_some(), "the answer to a probe needs no address: {nd:?}");
}

#[test]
fn a_large_datagram_is_cut_by_its_source_and_by_nobody_else() {
    let mut config = pair6(Transport::Udp, &[0]);
    config.hosts[0].clients[0].request = Dist::Constant(3000.0);
    config.hosts[1].servers[0].response = Dist::Constant(5000.0);
    let (o, frames) = watch(&config, "client");
    assert_eq!(answers(&o), ["server"]);
    let out = texts(&frames, |f| f.out && f.text.contains("frag"));
    assert_eq!(
        out,
        [
            "fd00::1 > fd00::2 frag 0+1448+",
            "fd00::1 > fd00::2 frag 1448+1448+",
            "fd00::1 > fd00::2 frag 2896+112",
        ]
    );
    assert_eq!(o.clients[0].bytes_received, 5000);
}

#[test]
fn a_director_puts_fragments_together_and_cuts_them_again() {
    for forwarding in [Forwarding::Nat, Forwarding::Dr, Forwarding::Tun] {
        let mut config = cluster6(forwarding, Transport::Udp, 53);
        config.hosts[2].deprecated.push(ip(VIP6));
        config.hosts[0].clients[0].request = Dist::Constant(3000.0);
        for rs in &mut config.hosts[3..] {
            rs.servers[0].response = Dist::Constant(4000.0);
        }
        let (o, frames) = watch(&config, "rs2");
        assert_eq!(answers(&o), ["rs2", "rs1"], "{forwarding}");
        let parts = texts(&frames, |f| !f.out && f.text.contains("frag"));
        // the tunnel packet is cut, not what is inside
        let last = if forwarding == Forwarding::Tun { 152 } else { 112 };
        assert_eq!(parts.len(), 3);
        assert!(parts[2].ends_with(&format!("frag 2896+{last}")), "{parts:?}");
        assert_eq!(o.clients[0].bytes_received, 8000);
    }
}

#[test]
fn a_real_server_that_is_gone_is_told_from_the_director() {
    let mut config = cluster6(Forwarding::Dr, Transport::Tcp, 80);
    config.links.retain(|l| l.name != "rs2:eth0--sw");
    config.hosts[0].clients[0].limit = 1;
    config.hosts[0].clients[0].timeout = Some(Span::from_secs(10));
    let (o, frames) = watch(&config, "client");
    assert_eq!(answers(&o), ["unreachable"]);
    let errors = texts(&frames, |f| f.text.contains("icmp6"));
    // one for every SYN that waited; the VIP is the newer of two equal sources
    assert_eq!(errors, ["2001:db8:10::200 > 2001:db8:1::10 icmp6 1/3 0"; 3]);
}

/// Client, router, server, with a narrow link behind the router.
fn narrow(transport: Transport, at: &[u64], mtu: u16) -> WorldConfig {
    let mut config = pair6(transport, at);
    let near = interface("near", vec![net("fd00::ff/64")]);
    let mut far = interface("far", vec![net("fd01::ff/64")]);
    far.mtu = mtu;
    let mut router = host("router", vec![near, far], None);
    router.sysctl.forwarding_v6 = true;
    config.hosts.push(router);
    config.hosts[0].routes = vec![default_route6("fd00::ff")];
    config.hosts[0].clients[0].target.0 = ip("fd01::2");
    config.hosts[1].interfaces[0].addresses = vec![net("fd01::2/64")];
    config.hosts[1].routes = vec![default_route6("fd01::ff")];
    config.links = vec![link("client:eth0", "router:near"), link("router:far", "server:eth0")];
    config
}

#[test]
fn a_router_says_packet_too_big_and_the_source_obeys() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let mut config = narrow(transport, &[0, 1000], 1400);
        config.hosts[0].clients[0].request = Dist::Constant(1420.0);
        let (o, frames) = watch(&config, "client");
        let errors = texts(&frames, |f| f.text.contains("icmp6"));
        assert_eq!(errors, ["fd00::ff > fd00::1 icmp6 2/0 1400"], "{transport:?}");
        // the datagram is lost, the segment is sent again
        let first = if transport == Transport::Tcp { "server" } else { "timed_out" };
        assert_eq!(answers(&o), [first, "server"]);
        assert_eq!(dropped(&o, "router", "too_big"), 1);
    }
}

#[test]
fn own_packets_of_a_director_are_not_cut_on_their_way() {
    let mut config = narrow(Transport::Tcp, &[0], 1400);
    config.hosts[0].clients[0].request = Dist::Constant(1420.0);
    let key = ServiceKey::Address { protocol: proto::TCP, vip: ip("fd00::1"), port: 80 };
    let services = vec![ServiceRule::new(key)];
    config.hosts[0].ipvs = Some(IpvsConfig { services, ..IpvsConfig::default() });
    let (o, frames) = watch(&config, "client");
    let errors = texts(&frames, |f| f.text.contains("icmp6"));
    assert_eq!(errors, ["fd00::ff > fd00::1 icmp6 2/0 1400"]);
    assert_eq!(answers(&o), ["server"]);
}

#[test]
fn a_path_below_the_smallest_mtu_is_not_believed() {
    let mut config = narrow(Transport::Udp, &[0, 1000], 1000);
    config.hosts[0].clients[0].request = Dist::Constant(1400.0);
    let (o, frames) = watch(&config, "client");
    let errors = texts(&frames, |f| f.text.contains("icmp6"));
    assert_eq!(errors[0], "fd00::ff > fd00::1 icmp6 2/0 1280");
    // pieces of 1280 bytes are sent, and the router puts them on a link that cannot be
    assert_eq!(answers(&o)[0], "timed_out");
}

#[test]
fn hop_limits_and_missing_routes_are_told() {
    let mut config = narrow(Transport::Udp, &[0, 1000], 1500);
    config.hosts[0].sysctl.default_ttl = 1;
    let (o, frames) = watch(&config, "client");
    assert_eq!(answers(&o), ["unreachable", "unreachable"]);
    let errors = texts(&frames, |f| f.text.contains("icmp6"));
    assert_eq!(errors[0], "fd00::ff > fd00::1 icmp6 3/0 0");

    let mut config = narrow(Transport::Udp, &[0], 1500);
    config.hosts[0].clients[0].target.0 = ip("fd02::2");
    let (o, frames) = watch(&config, "client");
    assert_eq!(answers(&o), ["unreachable"]);
    let errors = texts(&frames, |f| f.text.contains("icmp6"));
    assert_eq!(errors, ["fd00::ff > fd00::1 icmp6 1/0 0"]);

    let mut config = narrow(Transport::Udp, &[0], 1500);
    config.hosts[2].sysctl.forwarding_v6 = false;
    assert_eq!(answers(&run(&config)), ["timed_out"]);
    assert_eq!(dropped(&run(&config), "router", "not_forwarding"), 1);
}

#[test]
fn both_families_live_on_one_host() {
    let mut config = pair6(Transport::Tcp, &[0]);
    let mut both = pair(Transport::Tcp, &[10]);
    config.hosts[0].interfaces[0].addresses.insert(0, address(CLIENT, 24));
    config.hosts[1].interfaces[0].addresses.push(address(SERVER, 24));
    config.hosts[0].clients.append(&mut both.hosts[0].clients);
    let o = run(&config);
    assert_eq!(answers(&o), ["server", "server"]);
    assert_eq!(o.arp_hops, 2, "one request and one reply of ARP");
}

#[test]
fn an_address_is_announced_and_a_proxy_answers_for_another() {
    let mut config = pair6(Transport::Udp, &[0]);
    config.hosts[1].interfaces[0].sysctl.arp_notify = true;
    let (_, frames) = watch(&config, "server");
    let told = texts(&frames, |f| f.out && f.text.contains("ff02::1 na"));
    assert_eq!(told[0], "fd00::2 > ff02::1 na O fd00::2");

    let mut config = narrow(Transport::Udp, &[0], 1500);
    // the client takes the server's network for its own link
    config.hosts[0].interfaces[0].addresses.push(net("fd01::1/64"));
    config.hosts[1].routes.push(RouteConfig::new(
        net("fd01::1/128"),
        vec![HopConfig { via: Some(ip("fd01::ff")), dev: None }],
    ));
    config.hosts[2].routes.push(RouteConfig::new(
        net("fd01::1/128"),
        vec![HopConfig { via: Some(ip("fd00::1")), dev: None }],
    ));
    assert_eq!(answers(&run(&config)), ["timed_out"]);
    config.hosts[2].proxies.push(("near".into(), ip("fd01::2")));
    let (o, frames) = watch(&config, "client");
    assert_eq!(answers(&o), ["server"]);
    let told = texts(&frames, |f| f.text.contains(" na "));
    assert_eq!(told[0], "fd01::2 > fd01::1 na RS fd01::2");
}
