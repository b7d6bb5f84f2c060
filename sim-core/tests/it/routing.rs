//! Routing and forwarding: prefixes, metrics, equal costs, TTL, filters, redirects.

use crate::frames::{Frame, texts, watch};
use crate::network::*;
use core::net::IpAddr;
use sim_core::config::*;
use sim_core::engine::{Dist, Span};
use sim_core::ipvs::rules::Forwarding;
use std::collections::BTreeSet;

const FAR: IpAddr = v4(10, 9, 0, 100);
const HOME: IpAddr = v4(10, 1, 0, 2);

fn net(a: u8, b: u8, c: u8, len: u8) -> Net {
    Net::new(v4(a, b, c, 0), len)
}

/// A client on two links, each with a router, to a server on the network behind both:
/// 10.1.0.2 - r1 - 10.9.0.1 and 10.2.0.2 - r2 - 10.9.0.2, the server is 10.9.0.100.
fn diamond(transport: Transport, via: &[IpAddr]) -> WorldConfig {
    let mut config = pair(transport, &[]);
    let ips = |n: u8| (address(v4(10, n, 0, 2), 24), address(v4(10, n, 0, 1), 24));
    config.hosts[0].interfaces =
        vec![interface("eth1", vec![ips(1).0]), interface("eth2", vec![ips(2).0])];
    config.hosts[0].routes = vec![route(net(10, 9, 0, 24), via)];
    config.hosts[0].clients[0].target.0 = FAR;
    config.hosts[1].interfaces[0].addresses = vec![address(FAR, 24)];
    config.hosts[1].routes = vec![
        route(net(10, 1, 0, 24), &[v4(10, 9, 0, 1)]),
        route(net(10, 2, 0, 24), &[v4(10, 9, 0, 2)]),
    ];
    for n in 1..=2 {
        let far = address(v4(10, 9, 0, n), 24);
        let interfaces = vec![interface("near", vec![ips(n).1]), interface("far", vec![far])];
        let mut r = host(&format!("r{n}"), interfaces, None);
        r.sysctl.ip_forward = true;
        config.hosts.push(r);
    }
    config.switches.push(switch("sw"));
    config.links = vec![
        link("client:eth1", "r1:near"),
        link("client:eth2", "r2:near"),
        link("r1:far", "sw"),
        link("r2:far", "sw"),
        link("server:eth0", "sw"),
    ];
    config
}

const R1: IpAddr = v4(10, 1, 0, 1);
const R2: IpAddr = v4(10, 2, 0, 1);

fn once(config: &mut WorldConfig) {
    config.hosts[0].clients[0].load = Load::At(vec![Span::ZERO]);
    // before anybody's neighbours are probed
    config.duration = Span::from_secs(4);
}

/// Packets of the client by each of its links, ARP included.
fn by_link(config: &WorldConfig) -> (u64, u64) {
    let o = run(config);
    (carried(&o, "client:eth1--r1:near").0, carried(&o, "client:eth2--r2:near").0)
}

#[test]
fn the_longer_prefix_and_then_the_lower_metric_decides() {
    let mut config = diamond(Transport::Udp, &[R1]);
    once(&mut config);
    assert_eq!(by_link(&config), (2, 0));
    config.hosts[0].routes.push(route(Net::new(FAR, 32), &[R2]));
    // answers still come by r1, to the address of that link
    assert_eq!(by_link(&config).1, 2);
    config.hosts[0].routes[1].to.len = 24;
    config.hosts[0].routes[1].to.addr = net(10, 9, 0, 24).addr;
    config.hosts[0].routes[0].metric = 10;
    config.hosts[0].routes[1].metric = 5;
    assert_eq!(by_link(&config), (0, 2));
}

#[test]
fn equal_routes_share_the_flows_evenly() {
    let mut config = diamond(Transport::Udp, &[R1, R2]);
    config.hosts[0].clients[0].load = Load::Open { gap: Dist::Constant(0.001) };
    config.hosts[0].clients[0].limit = 4000;
    config.hosts[0].clients[0].request = Dist::Constant(1.0);
    let o = run(&config);
    assert_eq!(o.clients[0].connections_served, 4000);
    let (a, b) = by_link(&config);
    // 2000 each expected, standard deviation 32; a few frames are ARP
    assert!(a + b >= 4002 && a + b <= 4010, "{a} {b}");
    assert!(a.abs_diff(2000) < 110, "{a} {b}");
}

#[test]
fn a_flow_keeps_its_path() {
    let mut config = diamond(Transport::Tcp, &[R1, R2]);
    config.hosts[0].clients[0].load = Load::Open { gap: Dist::Constant(0.01) };
    config.hosts[0].clients[0].limit = 40;
    config.hosts[0].clients[0].request = Dist::Constant(5000.0);
    let seen = |router| -> (BTreeSet<u16>, usize) {
        let (o, frames) = watch(&config, router);
        assert_eq!(o.clients[0].connections_served, 40);
        let to_server = |f: &&Frame| !f.out && f.text.starts_with("10.1.0.2 > 10.9.0.100 tcp");
        let flows: Vec<u16> = frames.iter().filter(to_server).map(|f| f.ports.0).collect();
        (flows.iter().copied().collect(), flows.len())
    };
    let (one, two) = (seen("r1"), seen("r2"));
    assert!(one.0.is_disjoint(&two.0), "{one:?} {two:?}");
    assert_eq!(one.0.len() + two.0.len(), 40);
    assert!(one.0.len() > 5 && two.0.len() > 5);
    // SYN, ACK, four segments of data, FIN and more
    assert!(one.1 > 6 * one.0.len() && two.1 > 6 * two.0.len());
}

#[test]
fn a_host_that_does_not_forward_drops() {
    let mut config = diamond(Transport::Udp, &[R1]);
    once(&mut config);
    config.hosts[2].sysctl.ip_forward = false;
    let o = run(&config);
    assert_eq!(answers(&o), ["timed_out"]);
    assert_eq!(dropped(&o, "r1", "not_forwarding"), 1);
}

#[test]
fn a_router_without_a_route_says_so() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut config = diamond(transport, &[]);
        once(&mut config);
        config.hosts[0].routes = vec![route(Net::ALL, &[R1])];
        config.hosts[0].clients[0].target.0 = v4(10, 77, 0, 1);
        let (o, frames) = watch(&config, "client");
        assert_eq!(answers(&o), ["unreachable"]);
        assert_eq!(dropped(&o, "r1", "no_route"), 1);
        let errors = texts(&frames, |f| f.text.contains("icmp"));
        assert_eq!(errors, ["10.1.0.1 > 10.1.0.2 icmp 3/0 0"]);
    }
}

#[test]
fn a_client_without_a_route_fails_at_once() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut config = diamond(transport, &[]);
        config.hosts[0].routes.clear();
        config.duration = Span::from_millis(100);
        // users who do not think must not stop the clock
        config.hosts[0].clients[0].load = Load::Closed { users: 2, think: Dist::Constant(0.0) };
        let o = run(&config);
        let c = &o.clients[0];
        assert_eq!((c.connections_offered, c.connections_failed[2]), (200, 200));
        assert_eq!(o.packets.created, 0);
    }
}

/// A client behind `ra`, which sends everything to `rb`, which sends everything back.
fn loop_of_routers(transport: Transport, ttl: u8) -> WorldConfig {
    let mut config = pair(transport, &[0]);
    let between = |n| v4(10, 8, 0, n);
    config.hosts[0].interfaces[0].addresses = vec![address(HOME, 24)];
    config.hosts[0].routes = vec![default_route(R1)];
    config.hosts[0].sysctl.default_ttl = ttl;
    config.hosts.truncate(1);
    let near = interface("near", vec![address(R1, 24)]);
    let mut ra =
        host("ra", vec![near, interface("far", vec![address(between(1), 24)])], Some(between(2)));
    let mut rb =
        host("rb", vec![interface("far", vec![address(between(2), 24)])], Some(between(1)));
    ra.sysctl.ip_forward = true;
    rb.sysctl.ip_forward = true;
    config.hosts.extend([ra, rb]);
    config.links = vec![link("client:eth0", "ra:near"), link("ra:far", "rb:far")];
    config
}

#[test]
fn a_loop_of_routers_uses_up_the_time_to_live() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let (o, frames) = watch(&loop_of_routers(transport, 64), "client");
        assert_eq!(answers(&o), ["unreachable"]);
        // 64 links there, the second router has it with TTL 1; two links back
        assert_eq!(o.ip_hops, 64 + 2);
        assert_eq!(dropped(&o, "rb", "ttl_exceeded"), 1);
        let errors = texts(&frames, |f| f.text.contains("icmp"));
        assert_eq!(errors, ["10.8.0.2 > 10.1.0.2 icmp 11/0 0"]);
    }
}

#[test]
fn each_router_of_a_path_answers_for_its_time_to_live() {
    for (ttl, router) in [(1, "10.1.0.1"), (2, "10.8.0.2"), (3, "10.1.0.1"), (4, "10.8.0.2")] {
        let (_, frames) = watch(&loop_of_routers(Transport::Udp, ttl), "client");
        let errors = texts(&frames, |f| f.text.contains("icmp"));
        assert_eq!(errors, [format!("{router} > 10.1.0.2 icmp 11/0 0")]);
    }
}

#[test]
fn a_strict_reverse_path_filter_drops_what_came_another_way() {
    // the request goes by r2 with the address of the other link
    for (filter, known, answer) in
        [(0, false, "server"), (1, true, "timed_out"), (2, true, "server"), (2, false, "timed_out")]
    {
        let mut config = diamond(Transport::Udp, &[R2]);
        once(&mut config);
        config.hosts[0].clients[0].sources = vec![HOME];
        // the filter would not answer ARP either
        config.hosts[0].neighbours.push(("eth2".into(), R2, mac(3)));
        config.hosts[3].sysctl.all.rp_filter = filter;
        if known {
            config.hosts[3].routes = vec![route(net(10, 1, 0, 24), &[v4(10, 9, 0, 1)])];
        }
        let o = run(&config);
        assert_eq!(answers(&o), [answer], "rp_filter {filter}, route {known}");
        assert_eq!(dropped(&o, "r2", "reverse_path"), u64::from(answer != "server"));
    }
}

#[test]
fn any_of_several_equal_routes_satisfies_the_reverse_path_filter() {
    for via in [[R1, R2], [R2, R1]] {
        let mut config = diamond(Transport::Udp, &via);
        config.hosts[0].clients[0].load = Load::Open { gap: Dist::Constant(0.001) };
        config.hosts[0].clients[0].limit = 50;
        config.hosts[0].clients[0].sources = vec![HOME, v4(10, 2, 0, 2)];
        config.hosts[0].sysctl.all.rp_filter = 1;
        assert_eq!(run(&config).clients[0].connections_served, 50);
    }
}

#[test]
fn a_strict_filter_on_a_tunnel_end_drops_what_comes_out_of_the_tunnel() {
    for (filter, answer) in [(0, "rs2"), (1, "timed_out"), (2, "rs2")] {
        let mut config = cluster(Forwarding::Tun, Transport::Udp, 53);
        config.hosts[0].clients[0].limit = 1;
        config.hosts[4].sysctl.all.rp_filter = filter;
        let o = run(&config);
        assert_eq!(answers(&o), [answer], "rp_filter {filter}");
        assert_eq!(dropped(&o, "rs2", "reverse_path"), u64::from(filter == 1));
    }
}

#[test]
fn a_packet_from_an_own_address_is_a_martian() {
    for (accept_local, answer) in [(false, "timed_out"), (true, "timed_out")] {
        let mut config = quiet_pair(Transport::Udp, &[0]);
        config.hosts[1].loopback.push(address(CLIENT, 32));
        config.hosts[1].sysctl.all.accept_local = accept_local;
        let o = run(&config);
        assert_eq!(answers(&o), [answer]);
        // if accepted, the answer goes to the server itself
        assert_eq!(dropped(&o, "server", "martian_source"), u64::from(!accept_local));
        assert_eq!(o.servers[0].requests, u64::from(accept_local));
    }
}

/// ICMP redirects that a real server hears, with their milliseconds.
fn redirects(forwarding: Forwarding, on: bool, response: f64) -> Vec<(u64, String)> {
    let mut config = cluster(forwarding, Transport::Tcp, 80);
    config.hosts[0].clients[0].limit = 1;
    config.hosts[0].clients[0].timeout = None;
    config.hosts[2].sysctl.all.send_redirects = on;
    config.hosts[4].sysctl.all.accept_redirects = false;
    config.hosts[4].interfaces[0].sysctl.accept_redirects = false;
    config.hosts[4].servers[0].response = Dist::Constant(response);
    let (o, frames) = watch(&config, "rs2");
    assert_eq!(answers(&o), ["rs2"]);
    let redirects = frames.iter().filter(|f| f.text.contains("icmp"));
    redirects.map(|f| (f.ns / 1_000_000, f.text.clone())).collect()
}

#[test]
fn a_director_with_one_arm_redirects_its_nat_servers_if_it_may() {
    let heard = redirects(Forwarding::Nat, true, 42.0);
    // a connection of 20 ms: one, the next not before 40 ms
    assert_eq!(heard, [(0, "192.168.10.100 > 192.168.10.12 icmp 5/1 192.168.10.1".into())]);
    assert!(redirects(Forwarding::Nat, false, 42.0).is_empty());
    assert!(redirects(Forwarding::Dr, true, 42.0).is_empty());
    assert!(redirects(Forwarding::Tun, true, 42.0).is_empty());
}

/// A server obeys the second redirect, when it knows the gateway: from then on its answers go past the
/// director and the client does not know them.
#[test]
fn a_server_that_obeys_redirects_is_lost_to_its_director() {
    for obeys in [false, true] {
        let mut config = cluster(Forwarding::Nat, Transport::Tcp, 80);
        config.hosts[0].clients[0].limit = 1;
        config.hosts[2].sysctl.all.send_redirects = true;
        config.hosts[4].sysctl.all.accept_redirects = obeys;
        config.hosts[4].interfaces[0].sysctl.accept_redirects = false;
        // 1 MB takes 8 ms, 10 MB 80: the second redirect is sent after 40
        config.hosts[4].servers[0].response = Dist::Constant(1e7);
        let (o, frames) = watch(&config, "client");
        assert_eq!(answers(&o), [if obeys { "timed_out" } else { "rs2" }]);
        let strange = texts(&frames, |f| f.text.contains("192.168.10.12 >"));
        assert_eq!(strange.is_empty(), !obeys);
        // and on a host that forwards both settings must agree
        config.hosts[4].sysctl.ip_forward = true;
        assert_eq!(answers(&run(&config)), ["rs2"]);
    }
}

#[test]
fn redirects_become_rarer_and_stop() {
    // 100 MB at 1 Gbit/s take 0.8 s: at 0, 40, 120, 280 and 600 ms
    let heard: Vec<u64> = redirects(Forwarding::Nat, true, 1e8).into_iter().map(|r| r.0).collect();
    assert_eq!(heard.len(), 5, "{heard:?}");
    for (at, expected) in heard.iter().zip([0, 40, 120, 280, 600]) {
        assert!((expected..expected + 5).contains(at), "{heard:?}");
    }
}
