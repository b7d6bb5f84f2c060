//! ARP as Linux does it: who answers, who asks with which address, when entries change.

use crate::frames::{texts, watch};
use crate::network::*;
use core::net::IpAddr;
use sim_core::config::*;
use sim_core::engine::Span;
use sim_core::ipvs::rules::Forwarding;

const ON_LO: IpAddr = v4(10, 0, 0, 50);
const ELSEWHERE: IpAddr = v4(10, 5, 0, 1);

/// Whether a server with addresses on `eth0`, `lo` and `eth1` answers a client at `asker` on `eth0`.
fn reached(arp_ignore: u8, asker: IpAddr, target: IpAddr) -> bool {
    let mut config = pair(Transport::Udp, &[0]);
    let on_link = |to| RouteConfig {
        metric: 1,
        ..RouteConfig::new(to, vec![HopConfig { via: None, dev: Some("eth0".into()) }])
    };
    let c = &mut config.hosts[0];
    c.interfaces[0].addresses = vec![address(asker, 24)];
    c.routes = vec![on_link(Net::new(SERVER, 24)), on_link(Net::new(ELSEWHERE, 24))];
    c.clients[0].target.0 = target;
    let s = &mut config.hosts[1];
    s.loopback = vec![address(ON_LO, 32)];
    s.interfaces.push(interface("eth1", vec![address(ELSEWHERE, 24)]));
    s.routes = vec![on_link(Net::new(asker, 24))];
    s.sysctl.all.arp_ignore = arp_ignore;
    let o = run(&config);
    assert_eq!(o.clients[0].connections_offered, 1);
    o.clients[0].connections_served == 1
}

#[test]
fn arp_ignore_decides_which_addresses_are_answered_for() {
    let stranger = v4(10, 7, 0, 1);
    for (ignore, own, lo, other, stranger_asks) in [
        (0, true, true, true, true),
        (1, true, false, false, true),
        (2, true, false, false, false),
        (8, false, false, false, false),
    ] {
        assert_eq!(reached(ignore, CLIENT, SERVER), own, "{ignore} eth0");
        assert_eq!(reached(ignore, CLIENT, ON_LO), lo, "{ignore} lo");
        assert_eq!(reached(ignore, CLIENT, ELSEWHERE), other, "{ignore} eth1");
        assert_eq!(reached(ignore, stranger, SERVER), stranger_asks, "{ignore} stranger");
    }
}

#[test]
fn a_question_from_a_source_that_routing_refuses_is_not_answered() {
    // the client's network is reached by another interface, if at all
    for (filter, served) in [(0, 1), (1, 0), (2, 1)] {
        let mut config = pair(Transport::Udp, &[0]);
        introduce(&mut config, 1, 0);
        config.hosts[0].interfaces[0].addresses = vec![address(v4(10, 7, 0, 1), 24)];
        let hop = |dev: &str| vec![HopConfig { via: None, dev: Some(dev.into()) }];
        let to = |ip| Net::new(ip, 24);
        config.hosts[0].routes = vec![RouteConfig::new(to(SERVER), hop("eth0"))];
        let s = &mut config.hosts[1];
        s.interfaces.push(interface("eth1", vec![address(ELSEWHERE, 24)]));
        s.routes = vec![RouteConfig::new(to(v4(10, 7, 0, 0)), hop("eth1"))];
        s.sysctl.all.rp_filter = filter;
        let (_, frames) = watch(&config, "server");
        let answered = texts(&frames, |f| f.out && f.text.contains("is-at"));
        assert_eq!(answered.len(), served, "rp_filter {filter}");
    }
}

#[test]
fn arp_announce_decides_with_which_address_a_real_server_asks() {
    let near = VIP;
    let far = v4(203, 0, 113, 80);
    // 1 avoids only addresses outside the subnet of the target
    for (announce, vip, sender) in [
        (0, near, near),
        (1, near, near),
        (2, near, rip(2)),
        (0, far, far),
        (1, far, rip(2)),
        (2, far, rip(2)),
    ] {
        let mut config = cluster(Forwarding::Dr, Transport::Udp, 53);
        let c = &mut config.hosts[0].clients[0];
        (c.target.0, c.limit) = (vip, 1);
        config.hosts[1].routes = vec![route(Net::new(far, 32), &[DIP])];
        config.hosts[2].interfaces[0].addresses[1].addr = vip;
        let mut rules = rules(Forwarding::Dr, 17, 53, 2);
        rules.services[0].key =
            sim_core::ipvs::rules::ServiceKey::Address { protocol: 17, vip, port: 53 };
        config.hosts[2].ipvs = Some(rules);
        config.hosts[4].loopback = vec![address(vip, 32)];
        config.hosts[4].sysctl.all.arp_announce = announce;
        let (_, frames) = watch(&config, "rs2");
        let asked = texts(&frames, |f| f.out && f.text.starts_with("who-has"));
        assert_eq!(asked[0], format!("who-has {ROUTER} tell {sender}"), "{announce} {vip}");
    }
}

/// The recorded network with `arp_ignore` 1 but this `arp_announce` on the real servers. The router
/// learns the director for the VIP two seconds before the first of three connections.
fn announcing(arp_announce: u8) -> WorldConfig {
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, 80);
    let mut first = client(Transport::Udp, 9, &[0]);
    first.name = "first".into();
    let c = &mut config.hosts[0];
    c.clients[0].load = Load::At([2414, 4493, 4905].map(Span::from_millis).into());
    c.clients.push(first);
    config.duration = Span::from_secs(6);
    for rs in &mut config.hosts[3..] {
        rs.sysctl.all.arp_announce = arp_announce;
    }
    config
}

#[test]
fn a_real_server_that_asks_with_the_vip_takes_the_router_away_from_the_director() {
    // recorded with Linux 6.1: rs2; rs2; rs2, and the director has one SYN and nothing else
    let (o, frames) = watch(&announcing(0), "director");
    assert_eq!(answers(&o)[1..], ["rs2", "rs2", "rs2"]);
    assert_eq!((o.directors[0].connections, o.directors[0].entries_max), (1, 1));
    let tcp = texts(&frames, |f| !f.out && f.text.contains("tcp"));
    assert_eq!(tcp, ["172.16.0.10 > 192.168.10.200 tcp S 0"]);
    let (_, frames) = watch(&announcing(0), "router");
    let arp =
        texts(&frames, |f| f.ns > 1_000_000_000 && f.ns < 3_000_000_000 && f.text.contains('-'));
    assert_eq!(
        arp,
        [
            "who-has 192.168.10.12 tell 192.168.10.100",
            "who-has 192.168.10.1 tell 192.168.10.200",
            "192.168.10.1 is-at host 1",
        ]
    );
    let o = run(&announcing(2));
    assert_eq!(answers(&o)[1..], ["rs2", "rs1", "rs2"]);
}

#[test]
fn with_a_static_entry_on_the_router_nothing_must_be_suppressed() {
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, 80);
    for rs in &mut config.hosts[3..] {
        rs.sysctl.all = InterfaceSysctl { send_redirects: false, ..InterfaceSysctl::default() };
    }
    assert_eq!(answers(&run(&config)), ["rs2", "rs2"]);
    config.hosts[1].neighbours.push(("r-l".into(), VIP, mac(2)));
    assert_eq!(answers(&run(&config)), ["rs2", "rs1"]);
}

/// Two servers with one address on a switch; at 1 s the first loses its link, the second gets one.
fn takeover(arp_notify: bool) -> WorldConfig {
    let mut config = pair(Transport::Udp, &[0, 500, 1500, 40_000]);
    config.hosts.push(serving("spare", SERVER, Transport::Udp, 80));
    config.hosts[2].sysctl.all.arp_notify = arp_notify;
    config.switches.push(switch("sw"));
    config.links = ["client:eth0", "server:eth0", "spare:eth0"].map(|n| link(n, "sw")).into();
    config.links[2].up = false;
    config.link_events =
        vec![event(1000, "server:eth0--sw", false), event(1000, "spare:eth0--sw", true)];
    config
}

#[test]
fn gratuitous_arp_moves_an_address_to_another_host() {
    let (o, frames) = watch(&takeover(true), "client");
    assert_eq!(answers(&o), ["server", "server", "spare", "spare"]);
    let heard = texts(&frames, |f| !f.out && f.broadcast);
    assert_eq!(heard, ["who-has 10.0.0.2 tell 10.0.0.2", "who-has 10.0.0.1 tell 10.0.0.2"]);
}

#[test]
fn without_it_the_old_entry_serves_until_it_is_probed_in_vain() {
    let (o, frames) = watch(&takeover(false), "client");
    // stale after 30 s, probed 5 s after its next use; the request of 40 s goes to the old address
    assert_eq!(answers(&o), ["server", "server", "timed_out", "timed_out"]);
    let asked: Vec<u64> = frames
        .iter()
        .filter(|f| f.out && f.text.starts_with("who-has"))
        .map(|f| f.ns / 1_000_000_000)
        .collect();
    assert_eq!(asked, [0, 45, 46, 47]);
}

#[test]
fn a_second_answer_within_the_lock_time_is_ignored() {
    let mut config = takeover(false);
    config.links[2].up = true;
    config.link_events.clear();
    let (o, frames) = watch(&config, "client");
    let replies = texts(&frames, |f| f.text.contains("is-at"));
    assert_eq!(replies[..2], ["10.0.0.2 is-at host 2", "10.0.0.2 is-at host 1"]);
    assert_eq!(answers(&o)[..3], ["spare", "spare", "spare"]);
}

#[test]
fn a_real_server_that_proxies_arp_does_not_answer_for_its_own_subnet() {
    // recorded: rs1 with proxy_arp and ip_forward stays silent, the connection goes to rs2
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, 80);
    config.hosts[3].sysctl.all.proxy_arp = true;
    config.hosts[3].sysctl.ip_forward = true;
    let (o, frames) = watch(&config, "rs1");
    assert_eq!(answers(&o), ["rs2", "rs1"]);
    let answered = texts(&frames, |f| f.out && f.text.contains("is-at"));
    assert!(answered.iter().all(|t| *t == "192.168.10.11 is-at host 3"), "{answered:?}");
}

#[test]
fn a_proxy_answers_for_what_it_would_forward_by_another_interface() {
    // recorded: the director with a /16 asks for a real server behind the router: rs3
    for (proxy_arp, answer) in [(true, "rs3"), (false, "unreachable")] {
        let mut config = cluster(Forwarding::Tun, Transport::Tcp, 80);
        let gateway = v4(192, 168, 20, 1);
        let far = v4(192, 168, 20, 13);
        config.hosts.truncate(3);
        config.hosts[0].clients[0].limit = 1;
        config.hosts[0].clients[0].timeout = None;
        config.hosts[1].interfaces.push(interface("r-t", vec![address(gateway, 24)]));
        config.hosts[1].interfaces[1].sysctl.proxy_arp = proxy_arp;
        config.hosts[2].interfaces[0].addresses[0].len = 16;
        config.hosts[2].ipvs = Some(rules(Forwarding::Tun, 6, 80, 1));
        config.hosts[2].ipvs.as_mut().expect("rules").services[0].servers[0].rip = far;
        let mut rs3 = host("rs3", vec![interface("eth0", vec![address(far, 24)])], Some(gateway));
        rs3.tunnels = vec![TunnelConfig::tunl0(vec![address(VIP, 32)])];
        rs3.servers.push(server(Transport::Tcp, 80));
        config.hosts.push(rs3);
        config.links.truncate(3);
        config.links.push(link("rs3:eth0", "router:r-t"));
        let (o, frames) = watch(&config, "director");
        assert_eq!(answers(&o), [answer]);
        // it waits up to 0.8 s, lest it should speak before the owner; 299 ms were recorded
        let at = |text: &str| frames.iter().find(|f| f.text.starts_with(text)).map(|f| f.ns);
        let asked = at("who-has 192.168.20.13");
        let answered = at("192.168.20.13 is-at host 1");
        assert_eq!(answered.is_some(), proxy_arp);
        if let (Some(asked), Some(answered)) = (asked, answered) {
            assert!((1_000_000..801_000_000).contains(&(answered - asked)), "{asked} {answered}");
        }
    }
}

/// Seconds and kinds of the requests a host sends: broadcast or not.
fn asked(config: &WorldConfig, host: &str) -> Vec<(u64, bool)> {
    let (_, frames) = watch(config, host);
    let requests = frames.iter().filter(|f| f.out && f.text.starts_with("who-has"));
    requests.map(|f| (f.ns / 1_000_000_000, f.broadcast)).collect()
}

#[test]
fn an_entry_made_by_a_request_is_probed_five_seconds_after_its_use() {
    // UDP confirms nothing: the server asks the client directly
    assert_eq!(asked(&pair(Transport::Udp, &[0]), "server"), [(5, false)]);
    assert_eq!(asked(&pair(Transport::Udp, &[0]), "client"), [(0, true)]);
    // TCP does
    assert_eq!(asked(&pair(Transport::Tcp, &[0]), "server"), []);
}

#[test]
fn an_entry_is_stale_after_thirty_seconds_and_probed_after_its_next_use() {
    assert_eq!(asked(&pair(Transport::Udp, &[0, 31_000]), "client"), [(0, true), (36, false)]);
    // in use when the thirty seconds end: five seconds of delay, then the probe
    assert_eq!(asked(&pair(Transport::Udp, &[0, 29_000]), "client"), [(0, true), (35, false)]);
}

#[test]
fn a_hundred_and_one_packets_wait_for_an_answer_and_then_fail_together() {
    let mut config = pair(Transport::Udp, &[0; 150]);
    config.links[0].directions[0].loss = 1.0;
    config.hosts[0].clients[0].timeout = Some(Span::from_secs(10));
    let o = run(&config);
    let mut expected = vec!["timed_out"; 49];
    expected.extend(["unreachable"; 101]);
    assert_eq!(answers(&o), expected);
    assert_eq!(dropped(&o, "client", "neighbour_queue"), 49);
    assert_eq!(dropped(&o, "client", "neighbour_failed"), 101);
    assert_eq!(asked(&config, "client"), [(0, true), (1, true), (2, true)]);
    assert!(lengths(&o)[49..].iter().all(|&ns| ns == 3_000_000_000));
}

#[test]
fn a_host_that_loses_its_carrier_asks_again() {
    let cable = "client:eth0--server:eth0";
    let mut config = pair(Transport::Udp, &[0, 2000]);
    config.link_events = vec![event(1000, cable, false), event(1100, cable, true)];
    assert_eq!(answers(&run(&config)), ["server", "server"]);
    assert_eq!(asked(&config, "client"), [(0, true), (2, true)]);
    // what waits for an answer when the carrier goes is lost
    config.link_events = vec![event(0, cable, false), event(0, cable, true)];
    config.hosts[0].clients[0].load = Load::At(vec![Span::ZERO]);
    config.link_events[0].at = Span::from_nanos(1000);
    config.link_events[1].at = Span::from_nanos(2000);
    let o = run(&config);
    assert_eq!(answers(&o), ["timed_out"]);
    assert_eq!(dropped(&o, "client", "link_down"), 1);
}
