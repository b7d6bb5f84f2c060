use super::super::sample::{
    address, client, connect, dr, host, interface, link, service, switch, world,
};
use super::Severity::{Error, Warning};
use super::*;
use crate::config::{HopConfig, IpvsConfig, LinkEvent, Net, RouteConfig, TunnelConfig, v4};
use crate::engine::Span;
use crate::ipvs::rules::Forwarding;
use core::net::Ipv4Addr;

fn found(w: &WorldConfig) -> Vec<(Severity, Problem, String)> {
    let findings = Topology::new(w).check();
    findings.into_iter().map(|f| (f.severity, f.problem, f.place)).collect()
}

/// The sound cluster with one thing changed has one finding.
#[track_caller]
fn one(change: impl FnOnce(&mut WorldConfig), severity: Severity, problem: Problem, place: &str) {
    let mut w = dr();
    change(&mut w);
    assert_eq!(found(&w), [(severity, problem, place.to_owned())]);
}

#[test]
fn a_sound_cluster_has_no_findings() {
    assert_eq!(found(&dr()), []);
    assert_eq!(found(&world()), []);
}

#[test]
fn names_are_used_once() {
    let problem = Problem::DuplicateName;
    one(|w| w.switches.push(switch("rs1", false)), Error, problem, "rs1");
    one(|w| w.links[1].name = "client--sw".into(), Error, problem, "link client--sw");
    one(
        |w| {
            w.hosts[0].interfaces[0].name = "lo".into();
            w.links[0].ends[0] = LinkEnd::Interface("client".into(), "lo".into());
        },
        Error,
        problem,
        "client.lo",
    );
}

#[test]
fn what_a_link_joins_exists() {
    let problem = Problem::UnknownName;
    one(|w| connect(w, "rs9", "sw"), Error, problem, "link rs9--sw");
    one(|w| w.links.push(link("sw", "sw9")), Error, problem, "link sw--sw9");
    one(
        |w| {
            let event = LinkEvent { at: Span::from_secs(3), link: "x".into(), up: true };
            w.link_events.push(event);
        },
        Error,
        problem,
        "link event at 3s",
    );
    one(|w| w.captures.push(CaptureConfig::Host("x".into())), Error, problem, "capture");
    let wrong = CaptureConfig::Interface("rs1".into(), "eth7".into());
    one(|w| w.captures.push(wrong), Error, problem, "capture");

    let mut w = dr();
    w.captures.extend([CaptureConfig::All, CaptureConfig::Host("rs1".into())]);
    w.captures.push(CaptureConfig::Interface("rs1".into(), "eth0".into()));
    assert_eq!(found(&w), []);
    w.captures.push(CaptureConfig::Interface("rs1".into(), "eth7".into()));
    let findings = Topology::new(&w).check();
    assert_eq!(findings[0].explanation, "host rs1 has no interface eth7; it has eth0");
}

#[test]
fn an_interface_has_one_link_and_standby_ones_besides() {
    let second = |w: &mut WorldConfig| {
        w.switches.push(switch("sw2", false));
        w.links.push(link("sw", "sw2"));
        connect(w, "rs1", "sw2");
    };
    one(second, Error, Problem::SharedInterface, "rs1.eth0");
    let mut w = dr();
    second(&mut w);
    w.links[5].standby = true;
    assert_eq!(found(&w), []);
    one(
        |w| w.hosts[2].interfaces.push(interface("eth1", &[])),
        Warning,
        Problem::Unconnected,
        "rs1.eth1",
    );
}

fn triangle(spanning: [bool; 3]) -> WorldConfig {
    let mut w = dr();
    w.switches[0].spanning_tree = spanning[0];
    for (n, on) in [("sw2", spanning[1]), ("sw3", spanning[2])] {
        w.switches.push(switch(n, on));
    }
    for (a, b) in [("sw", "sw2"), ("sw2", "sw3"), ("sw3", "sw")] {
        w.links.push(link(a, b));
    }
    w
}

#[test]
fn a_loop_of_switches_needs_a_spanning_tree_everywhere_or_a_standby_link() {
    assert_eq!(found(&triangle([true; 3])), []);
    let looped = [(Error, Problem::SwitchLoop, "link sw3--sw".to_owned())];
    for spanning in [[false; 3], [true, true, false], [false, true, true]] {
        assert_eq!(found(&triangle(spanning)), looped, "{spanning:?}");
    }
    let mut w = triangle([false; 3]);
    let findings = Topology::new(&w).check();
    assert!(findings[0].explanation.contains("(sw3 -- sw2 -- sw -- sw3)"), "{findings:?}");
    w.links[4].standby = true;
    assert_eq!(found(&w), []);
    w.links.push(link("sw2", "sw2"));
    assert_eq!(found(&w), [(Error, Problem::SwitchLoop, "link sw2--sw2".to_owned())]);
}

#[test]
fn a_host_outside_the_network_is_an_error_and_one_behind_a_dead_link_a_warning() {
    let mut w = dr();
    w.hosts.push(host("lonely", &["10.0.0.99/24"]));
    w.hosts[4].interfaces.clear();
    assert_eq!(found(&w), [(Error, Problem::Unreachable, "host lonely".to_owned())]);

    one(|w| w.links[3].up = false, Warning, Problem::Unreachable, "host rs2");
    one(|w| w.links[3].standby = true, Warning, Problem::Unreachable, "host rs2");
    let mut w = dr();
    w.links[3].up = false;
    let name = w.links[3].name.clone();
    w.link_events.push(LinkEvent { at: Span::from_secs(3), link: name, up: true });
    assert_eq!(found(&w), []);
    w.link_events[0].up = false;
    assert_eq!(found(&w).len(), 1);
}

#[test]
fn two_hosts_with_one_address_on_a_wire_is_an_error() {
    let problem = Problem::DuplicateAddress;
    let twice = |w: &mut WorldConfig| {
        w.hosts[3].interfaces[0].addresses[0] = address("10.0.0.11/24");
        let ipvs = w.hosts[1].ipvs.as_mut().unwrap();
        ipvs.services[0].servers.truncate(1);
    };
    one(twice, Error, problem, "10.0.0.11");
    // the mistake of a VIP on eth0:1 of a real server; never answering repairs it
    let vip = |w: &mut WorldConfig| {
        w.hosts[3].interfaces[0].addresses.push(address("10.0.0.200/32"));
    };
    one(vip, Error, problem, "10.0.0.200");
    let mut w = dr();
    vip(&mut w);
    w.hosts[3].interfaces[0].sysctl.arp_ignore = 8;
    assert_eq!(found(&w), []);
    // on another wire it is another network
    let mut w = dr();
    twice(&mut w);
    w.switches.push(switch("sw2", false));
    w.links[3].ends[1] = LinkEnd::Switch("sw2".into());
    assert_eq!(found(&w), [(Error, Problem::Unreachable, "host rs2".to_owned())]);
}

#[test]
fn a_real_server_that_answers_arp_for_the_vip_is_a_warning() {
    let problem = Problem::ArpForSharedAddress;
    one(|w| w.hosts[2].sysctl.all.arp_ignore = 0, Warning, problem, "10.0.0.200");
    let tunnel = |w: &mut WorldConfig| {
        let rs = &mut w.hosts[2];
        rs.tunnels = vec![TunnelConfig::tunl0(std::mem::take(&mut rs.loopback))];
        rs.sysctl.all.arp_ignore = 0;
    };
    one(tunnel, Warning, problem, "10.0.0.200");
    let mut w = dr();
    tunnel(&mut w);
    w.hosts[2].interfaces[0].sysctl.arp_ignore = 1;
    assert_eq!(found(&w), []);
    // all of them on lo: still two answers
    let all = |w: &mut WorldConfig| {
        let vip = w.hosts[1].interfaces[0].addresses.pop().unwrap();
        w.hosts[1].loopback.push(vip);
    };
    let mut w = dr();
    all(&mut w);
    assert_eq!(found(&w), []);
    w.hosts[2].sysctl.all.arp_ignore = 0;
    assert_eq!(found(&w), [(Warning, problem, "10.0.0.200".to_owned())]);
    let text = &Topology::new(&w).check()[0].explanation;
    assert!(text.contains("director (on lo, answers by eth0) and rs1 (on lo"), "{text}");
}

#[test]
fn a_mac_belongs_to_one_interface() {
    let problem = Problem::BadMac;
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    let twice = |w: &mut WorldConfig| {
        w.hosts[0].interfaces[0].mac = Some(mac);
        w.hosts[2].interfaces[0].mac = Some(mac);
    };
    one(twice, Error, problem, "02:00:00:00:00:01");
    one(|w| w.hosts[0].interfaces[0].mac = Some(Mac([0; 6])), Error, problem, "client.eth0");
    one(|w| w.hosts[0].interfaces[0].mac = Some(Mac([3; 6])), Error, problem, "client.eth0");
    let mut w = dr();
    w.hosts[2].interfaces[0].mac = Some(mac);
    let mut other = interface("eth1", &[]);
    other.mac = Some(mac);
    w.hosts[3].interfaces.push(other);
    let expected = [
        (Warning, Problem::Unconnected, "rs2.eth1".to_owned()),
        (Warning, problem, "02:00:00:00:00:01".to_owned()),
    ];
    assert_eq!(found(&w), expected);
}

#[test]
fn somebody_holds_the_vip() {
    let problem = Problem::VipNobodyHolds;
    let bare = |w: &mut WorldConfig| w.hosts[1].interfaces[0].addresses.truncate(1);
    one(bare, Error, problem, "10.0.0.200");
    let mut w = dr();
    bare(&mut w);
    assert!(Topology::new(&w).check()[0].explanation.ends_with("(held by rs1 and rs2)"));
    // a backup director may get it later
    let backup = |w: &mut WorldConfig| {
        let mut b = host("backup", &["10.0.0.101/24"]);
        b.ipvs = w.hosts[1].ipvs.clone();
        w.hosts.push(b);
        connect(w, "backup", "sw");
    };
    one(backup, Warning, problem, "10.0.0.200");
}

#[test]
fn somebody_is_the_real_server() {
    let rules = service("10.0.0.200", &["10.0.0.13", "127.0.0.1"], Forwarding::Nat);
    let absent = |w: &mut WorldConfig| {
        w.hosts[1].ipvs = Some(IpvsConfig { services: vec![rules], ..IpvsConfig::default() });
    };
    one(absent, Warning, Problem::RealServerNobodyHolds, "10.0.0.13");
}

#[test]
fn a_client_needs_a_route_to_its_target() {
    let far = |w: &mut WorldConfig| w.hosts[0].clients.push(client("192.168.1.1"));
    one(far, Warning, Problem::NoRoute, "host client");
    let mut w = dr();
    far(&mut w);
    let gateway = HopConfig { via: Some(v4(10, 0, 0, 254)), dev: None };
    let route = RouteConfig::new(Net::ALL, vec![gateway]);
    w.hosts[0].routes.push(route);
    assert_eq!(found(&w), []);
}

#[test]
fn sixty_five_thousand_hosts_are_checked_and_one_more_is_too_many() {
    let mut w = world();
    w.switches.push(switch("sw", false));
    for n in 0..MAX_HOSTS as u32 {
        let mut h = host(&format!("h{n}"), &[]);
        h.interfaces[0].addresses.push(address("10.0.0.0/8"));
        h.interfaces[0].addresses[0].addr = Ipv4Addr::from_bits(0x0a00_0001 + n).into();
        connect(&mut w, &h.name, "sw");
        w.hosts.push(h);
    }
    assert_eq!(found(&w), []);
    w.hosts.push(host("more", &["11.0.0.1/8"]));
    connect(&mut w, "more", "sw");
    assert_eq!(found(&w), [(Error, Problem::TooManyHosts, "network".to_owned())]);
}

#[test]
fn errors_come_first_and_the_order_is_fixed() {
    let mut w = dr();
    w.hosts[2].sysctl.all.arp_ignore = 0;
    w.hosts[0].clients.push(client("192.168.1.1"));
    connect(&mut w, "zzz", "sw");
    connect(&mut w, "aaa", "sw");
    let first = found(&w);
    assert_eq!(first[0].2, "link aaa--sw");
    assert_eq!(first[1].2, "link zzz--sw");
    assert_eq!(first[2].1, Problem::ArpForSharedAddress);
    assert_eq!(first[3].1, Problem::NoRoute);
    assert_eq!(first[0].1.name(), "unknown-name");
    w.links.reverse();
    assert_eq!(found(&w), first);
}
