//! TUN directors with every encapsulation, and the ends of tunnels.

use crate::frames::{texts, watch};
use crate::ipv6::{VIP6, cluster6, ip};
use crate::network::*;
use core::net::IpAddr;
use sim_core::config::*;
use sim_core::engine::Dist;
use sim_core::ipvs::rules::{Encapsulation, Forwarding, OuterChecksum, TunnelOptions};

/// The recorded network with one real server behind a tunnel; it has the devices `kinds`.
fn tunnelled(
    kind: Encapsulation,
    checksum: OuterChecksum,
    devices: &[(TunnelKind, bool)],
) -> WorldConfig {
    let mut config = cluster(Forwarding::Tun, Transport::Tcp, 80);
    let rules = config.hosts[2].ipvs.as_mut().expect("a director");
    rules.services[0].servers.truncate(1);
    rules.services[0].servers[0].tunnel = TunnelOptions { kind, port: 5555, checksum };
    ends(&mut config.hosts[3], devices, VIP);
    config.hosts[0].clients[0].limit = 1;
    config
}

fn ends(rs: &mut HostConfig, devices: &[(TunnelKind, bool)], vip: IpAddr) {
    rs.tunnels.clear();
    for (n, (kind, checksum)) in devices.iter().enumerate() {
        rs.tunnels.push(TunnelConfig {
            name: format!("tun{n}"),
            kind: *kind,
            local: None,
            remote: None,
            checksum: *checksum,
            addresses: if n == 0 { vec![Net::host(vip)] } else { Vec::new() },
            mtu: 1476,
            sysctl: InterfaceSysctl::default(),
        });
    }
}

const GRE: &[(TunnelKind, bool)] = &[(TunnelKind::Gre, false)];
const IPIP: &[(TunnelKind, bool)] = &[(TunnelKind::Ipip, false)];

fn gue(rs: &mut HostConfig) {
    rs.fou.push(FouConfig { port: 5555, protocol: None, v6: false });
}

/// As recorded (Linux 6.1.176, `--tun-type gre`): 60 bytes in, 84 out, and a segment of 1500 is
/// answered with the 1476 that fit.
#[test]
fn gre_takes_24_bytes() {
    let mut config = tunnelled(Encapsulation::Gre, OuterChecksum::None, GRE);
    config.hosts[0].clients[0].request = Dist::Constant(3000.0);
    let (o, frames) = watch(&config, "director");
    assert_eq!(answers(&o), ["rs1"]);
    let out = texts(&frames, |f| f.out && f.text.contains("gre"));
    assert_eq!(out[0], "192.168.10.100 > 192.168.10.11 gre 0000 0800 84");
    assert!(out.contains(&"192.168.10.100 > 192.168.10.11 gre 0000 0800 1500"));
    let errors = texts(&frames, |f| f.out && f.text.contains("icmp"));
    assert_eq!(errors, ["192.168.10.200 > 172.16.0.10 icmp 3/4 1476"; 2]);
}

/// As recorded: a checksum that the device does not expect is a silent end.
#[test]
fn gre_checksums_must_be_expected() {
    for (sent, expected, answer) in [
        (OuterChecksum::Full, false, "timed_out"),
        (OuterChecksum::None, true, "timed_out"),
        (OuterChecksum::Full, true, "rs1"),
    ] {
        let config = tunnelled(Encapsulation::Gre, sent, &[(TunnelKind::Gre, expected)]);
        let o = run(&config);
        assert_eq!(answers(&o), [answer]);
        assert_eq!(dropped(&o, "rs1", "tunnel_checksum") > 0, answer == "timed_out");
    }
}

/// As recorded: without a device the real server says that the port is closed, and the director tells
/// the client in the name of the VIP.
#[test]
fn a_tunnel_without_an_end_refuses() {
    for (kind, devices) in
        [(Encapsulation::Gre, IPIP), (Encapsulation::Ipip, GRE), (Encapsulation::Gue, IPIP)]
    {
        let config = tunnelled(kind, OuterChecksum::None, devices);
        let (o, frames) = watch(&config, "director");
        assert_eq!(answers(&o), ["refused"], "{kind:?}");
        let errors = texts(&frames, |f| f.text.contains("icmp"));
        assert_eq!(
            errors,
            [
                "192.168.10.11 > 192.168.10.100 icmp 3/3 0",
                "192.168.10.200 > 172.16.0.10 icmp 3/3 0",
            ]
        );
    }
}

/// As recorded (`--tun-type gue`): 60 bytes in, 80 out, and room for 1468.
#[test]
fn gue_needs_a_port_and_a_device() {
    let mut config = tunnelled(Encapsulation::Gue, OuterChecksum::Full, IPIP);
    gue(&mut config.hosts[3]);
    config.hosts[0].clients[0].request = Dist::Constant(2000.0);
    let (o, frames) = watch(&config, "director");
    assert_eq!(answers(&o), ["rs1"]);
    let out = texts(&frames, |f| f.out && f.text.contains("udp"));
    assert_eq!(out[0], "192.168.10.100 > 192.168.10.11 udp 64", "60 and 4 bytes of GUE");
    let ports: Vec<_> = frames.iter().filter(|f| f.text.contains("udp")).map(|f| f.ports).collect();
    assert!(ports.iter().all(|p| *p == ports[0] && p.1 == 5555), "{ports:?}");
    let errors = texts(&frames, |f| f.out && f.text.contains("icmp"));
    assert_eq!(errors, ["192.168.10.200 > 172.16.0.10 icmp 3/4 1468"]);
    ends(&mut config.hosts[3], GRE, VIP);
    assert_eq!(answers(&run(&config)), ["refused"], "nothing unwraps IPIP");
    config.hosts[3].fou[0].protocol = Some(4);
    assert_eq!(answers(&run(&config)), ["timed_out"], "not what the port expects");
}

/// As recorded: IPv6 in IPv6, one real server behind the router.
#[test]
fn ipv6_in_ipv6_with_the_vip_deprecated_on_the_director() {
    let mut config = cluster6(Forwarding::Tun, Transport::Tcp, 80);
    let rules = config.hosts[2].ipvs.as_mut().expect("a director");
    rules.services[0].servers[1].rip = ip("2001:db8:20::13");
    config.hosts[2].deprecated.push(ip(VIP6));
    let (o, frames) = watch(&config, "director");
    assert_eq!(answers(&o), ["rs3", "rs1"]);
    let seen: Vec<_> = frames.iter().take(7).map(|f| format!("{} {}", f.ttl, f.text)).collect();
    assert_eq!(
        seen,
        [
            "255 fe80::ff:fe00:a01 > ff02::1:ff00:200 ns 2001:db8:10::200",
            "255 2001:db8:10::200 > fe80::ff:fe00:a01 na RSO 2001:db8:10::200",
            "63 2001:db8:1::10 > 2001:db8:10::200 tcp S 0",
            "255 2001:db8:10::100 > ff02::1:ff00:1 ns 2001:db8:10::1",
            "255 2001:db8:10::1 > 2001:db8:10::100 na RSO 2001:db8:10::1",
            "62 2001:db8:10::100 > 2001:db8:20::13 ip6ip6 120",
            "63 2001:db8:1::10 > 2001:db8:10::200 tcp A 0",
        ]
    );
    // otherwise the VIP is the source, which the real server takes for its own
    config.hosts[2].deprecated.clear();
    let o = run(&config);
    assert_eq!(answers(&o), ["timed_out", "timed_out"]);
    assert!(dropped(&o, "rs3", "martian_source") > 0);
}

#[test]
fn an_ipv6_tunnel_without_an_end_is_not_told_to_the_client() {
    let mut config = cluster6(Forwarding::Tun, Transport::Tcp, 80);
    config.hosts[2].deprecated.push(ip(VIP6));
    for rs in &mut config.hosts[3..] {
        rs.tunnels.clear();
    }
    config.hosts[0].clients[0].limit = 1;
    let (o, frames) = watch(&config, "director");
    assert_eq!(answers(&o), ["timed_out"]);
    let errors = texts(&frames, |f| f.text.contains("icmp6"));
    assert_eq!(errors[0], "2001:db8:10::12 > 2001:db8:10::100 icmp6 1/4 0");
}

/// Only for NAT does IPVS test the checksum of an ICMPv6 error, so this one gets out
/// (`handle_response_icmp`).
#[test]
fn a_packet_too_big_for_an_ipv6_tunnel_is_told_with_the_room() {
    let mut config = cluster6(Forwarding::Tun, Transport::Tcp, 80);
    config.hosts[2].deprecated.push(ip(VIP6));
    config.hosts[0].clients[0].request = Dist::Constant(3000.0);
    let (o, frames) = watch(&config, "client");
    assert_eq!(answers(&o), ["rs2", "rs1"]);
    let errors = texts(&frames, |f| f.text.contains("icmp6"));
    assert_eq!(errors[0], "2001:db8:10::200 > 2001:db8:1::10 icmp6 2/0 1460");
}

/// As recorded: an IPv6 service, an IPv4 real server.
#[test]
fn ipv6_in_ipv4() {
    let mut config = cluster6(Forwarding::Tun, Transport::Tcp, 80);
    config.hosts[2].interfaces[0].addresses.push(address(DIP, 24));
    let rules = config.hosts[2].ipvs.as_mut().expect("a director");
    rules.services[0].servers.truncate(1);
    rules.services[0].servers[0].rip = rip(1);
    config.hosts[3].interfaces[0].addresses.push(address(rip(1), 24));
    ends(&mut config.hosts[3], &[(TunnelKind::Sit, false)], ip(VIP6));
    let (o, frames) = watch(&config, "director");
    assert_eq!(answers(&o), ["rs1", "rs1"]);
    let seen: Vec<_> = frames.iter().skip(2).take(4).map(|f| f.text.as_str()).collect();
    assert_eq!(
        seen,
        [
            "2001:db8:1::10 > 2001:db8:10::200 tcp S 0",
            "who-has 192.168.10.11 tell 192.168.10.100",
            "192.168.10.11 is-at host 10",
            "192.168.10.100 > 192.168.10.11 ip6ip 100",
        ]
    );
    assert_eq!(frames[5].ttl, 62);
    assert_ne!(frames[5].id, 0);
}

/// A strict filter on the device drops what comes out of it; what a forwarding end unwraps for somebody
/// else goes on.
#[test]
fn what_comes_out_of_a_tunnel_comes_in_by_its_device() {
    for (kind, device) in
        [(Encapsulation::Gre, TunnelKind::Gre), (Encapsulation::Ipip, TunnelKind::Ipip)]
    {
        let mut config = tunnelled(kind, OuterChecksum::None, &[(device, false)]);
        config.hosts[3].tunnels[0].sysctl.rp_filter = 1;
        let o = run(&config);
        assert_eq!(answers(&o), ["timed_out"]);
        assert!(dropped(&o, "rs1", "reverse_path") > 0);
        config.hosts[3].tunnels[0].sysctl.rp_filter = 2;
        assert_eq!(answers(&run(&config)), ["rs1"]);
        // the device is for another peer
        config.hosts[3].tunnels[0].remote = Some(ROUTER);
        assert_eq!(answers(&run(&config)), ["refused"]);
    }
}

/// The path to the real server is narrower than the director's link: the director learns it from the
/// error about its tunnel packet, and tells the client.
#[test]
fn the_path_of_a_tunnel_is_learned() {
    let mut config = cluster(Forwarding::Tun, Transport::Tcp, 80);
    let rules = config.hosts[2].ipvs.as_mut().expect("a director");
    rules.services[0].servers.truncate(1);
    rules.services[0].servers[0].rip = v4(192, 168, 20, 11);
    config.hosts[3].interfaces[0].addresses = vec![address(v4(192, 168, 20, 11), 24)];
    config.hosts[3].routes = vec![default_route(v4(192, 168, 20, 1))];
    let mut narrow = interface("r-t", vec![address(v4(192, 168, 20, 1), 24)]);
    narrow.mtu = 1400;
    config.hosts[1].interfaces.push(narrow);
    config.links[3] = link("rs1:eth0", "router:r-t");
    config.hosts[0].clients[0].request = Dist::Constant(3000.0);
    let (o, frames) = watch(&config, "client");
    assert_eq!(answers(&o), ["rs1", "rs1"]);
    let errors = texts(&frames, |f| f.text.contains("icmp"));
    assert_eq!(errors[0], "192.168.10.200 > 172.16.0.10 icmp 3/4 1480", "the director's link");
    assert!(errors.contains(&"192.168.10.200 > 172.16.0.10 icmp 3/4 1380"), "the path: {errors:?}");
}
