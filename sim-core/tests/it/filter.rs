//! Netfilter, policy routing and what the director asks of itself, as recorded from Linux where a
//! recording is named.

use crate::frames::{Frame, texts, watch};
use crate::network::*;
use core::net::IpAddr;
use sim_core::config::*;
use sim_core::engine::{Dist, Span, Time};
use sim_core::ipvs::rules::{Forwarding, ServiceKey};
use sim_core::wire::proto;
use sim_core::world::World;

const HOME: IpAddr = v4(172, 16, 0, 10);

fn rule(
    table: FilterTable,
    chain: FilterChain,
    conditions: &[FilterCondition],
    target: FilterTarget,
) -> FilterConfig {
    let matches =
        conditions.iter().map(|what| FilterMatch { not: false, what: what.clone() }).collect();
    FilterConfig { v6: false, table, chain, matches, target }
}

fn ports(first: u16, last: u16) -> FilterCondition {
    FilterCondition::DestinationPorts(vec![(first, last)])
}

fn packets<'a>(frames: &'a [Frame], out: bool, what: &str) -> Vec<&'a str> {
    texts(frames, |f| f.out == out && f.mine && f.text.contains(what))
}

/// NAT to two real servers whose gateway is the router, not the director.
fn foreign_gateways(conntrack: bool, target: FilterTarget) -> WorldConfig {
    let mut config = cluster(Forwarding::Nat, Transport::Tcp, 80);
    for rs in &mut config.hosts[3..] {
        rs.routes = vec![default_route(ROUTER)];
    }
    let director = &mut config.hosts[2];
    director.ipvs.as_mut().expect("a director").sysctl.conntrack = conntrack;
    let conditions =
        [FilterCondition::VirtualAddress(Net::host(VIP)), FilterCondition::Ipvs(Some(80))];
    let (table, chain) = (FilterTable::Nat, FilterChain::Postrouting);
    director.filters = vec![rule(table, chain, &conditions, target)];
    config
}

#[test]
fn with_snat_and_conntrack_real_servers_answer_to_the_director_whatever_their_gateway() {
    // golden/paths: nat-snat-conntrack, nat-masquerade-conntrack: MASQUERADE takes the DIP, not the VIP
    for target in [FilterTarget::SourceNat(DIP, None), FilterTarget::Masquerade] {
        let config = foreign_gateways(true, target);
        let (o, frames) = watch(&config, "rs1");
        assert_eq!(answers(&o), ["rs2", "rs1"]);
        let came = packets(&frames, false, " tcp ");
        assert!(came.len() > 3);
        assert!(
            came.iter().all(|t| t.starts_with("192.168.10.100 > 192.168.10.11 tcp")),
            "{came:?}"
        );
        let (_, frames) = watch(&config, "client");
        let came = packets(&frames, false, " tcp ");
        assert!(came.iter().all(|t| t.starts_with("192.168.10.200 > 172.16.0.10 tcp")), "{came:?}");
        // answers pass the director, so it sees both sides close
        let d = &o.directors[0].destinations;
        assert!(d.iter().all(|d| d.packets_out > 3));
    }
}

#[test]
fn an_icmp_error_of_a_real_server_finds_back_through_both_translations() {
    let mut config = foreign_gateways(true, FilterTarget::SourceNat(DIP, None));
    config.hosts[0].clients[0].transport = Transport::Udp;
    config.hosts[2].ipvs = Some(rules(Forwarding::Nat, proto::UDP, 80, 2));
    config.hosts[2].ipvs.as_mut().unwrap().sysctl.conntrack = true;
    let (o, frames) = watch(&config, "client");
    assert_eq!(answers(&o), ["refused", "refused"]);
    let errors = packets(&frames, false, "icmp");
    assert!(errors.iter().all(|t| t.starts_with("192.168.10.200 > 172.16.0.10 icmp 3/3")));
    let (_, frames) = watch(&config, "rs1");
    assert!(packets(&frames, true, "192.168.10.11 > 192.168.10.100 icmp 3/3").len() == 1);
}

#[test]
fn tracked_connections_are_forgotten() {
    let mut config = foreign_gateways(true, FilterTarget::Masquerade);
    // TIME_WAIT takes 120 s
    for (seconds, tracked) in [(100, 2), (400, 0)] {
        config.duration = Span::from_secs(seconds);
        let mut world = World::build(&config).expect("a good configuration");
        while world.run(10_000) {}
        assert_eq!(world.memory().tracked, tracked);
    }
}

#[test]
fn without_conntrack_no_nat_rule_touches_packets_of_ipvs() {
    // golden/paths: nat-snat-no-conntrack
    let config = foreign_gateways(false, FilterTarget::SourceNat(DIP, None));
    let (o, frames) = watch(&config, "rs1");
    assert_eq!(answers(&o), ["timed_out", "timed_out"]);
    let came = packets(&frames, false, " tcp ");
    assert!(came.iter().all(|t| t.starts_with("172.16.0.10 > 192.168.10.11 tcp")), "{came:?}");
}

#[test]
fn a_masquerade_rule_for_real_servers_leaves_their_answers_to_ipvs() {
    // the usual NAT cluster: the director is the gateway and hides the private network
    let mut config = cluster(Forwarding::Nat, Transport::Tcp, 80);
    let inside = FilterCondition::Source(Net::new(v4(192, 168, 10, 0), 24));
    config.hosts[2].filters = vec![rule(
        FilterTable::Nat,
        FilterChain::Postrouting,
        &[inside, FilterCondition::Output("eth0".into())],
        FilterTarget::Masquerade,
    )];
    assert_eq!(answers(&run(&config)), ["rs2", "rs1"]);
}

/// A real server behind the director asks a server at the client's place.
fn going_out(transport: Transport) -> WorldConfig {
    let mut config = cluster(Forwarding::Nat, transport, 80);
    config.hosts[0].clients.clear();
    config.hosts[0].servers.push(server(transport, 8080));
    let mut application = client(transport, 8080, &[0, 300]);
    application.target.0 = HOME;
    config.hosts[3].clients.push(application);
    let inside = FilterCondition::Source(Net::new(v4(192, 168, 10, 0), 24));
    let (table, chain) = (FilterTable::Nat, FilterChain::Postrouting);
    config.hosts[2].filters = vec![rule(table, chain, &[inside], FilterTarget::Masquerade)];
    config
}

#[test]
fn real_servers_go_out_by_the_address_of_the_director() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let (o, frames) = watch(&going_out(transport), "client");
        assert_eq!(answers(&o), ["client", "client"]);
        let came = packets(&frames, false, "> 172.16.0.10 ");
        assert!(!came.is_empty());
        assert!(came.iter().all(|t| t.starts_with("192.168.10.100 > ")), "{came:?}");
    }
}

#[test]
fn an_icmp_error_about_a_masqueraded_request_reaches_the_real_server() {
    let mut config = going_out(Transport::Udp);
    config.hosts[0].servers.clear();
    let (o, frames) = watch(&config, "rs1");
    assert_eq!(answers(&o), ["refused", "refused"]);
    assert_eq!(packets(&frames, false, "icmp").len(), 2);
    assert!(packets(&frames, false, "icmp")[0].starts_with("172.16.0.10 > 192.168.10.11 icmp 3/3"));
}

#[test]
fn a_neighbour_that_does_not_answer_is_told_to_who_was_masqueraded() {
    let mut config = going_out(Transport::Tcp);
    // the director's way out leads nowhere
    config.hosts[2].routes = vec![default_route(v4(192, 168, 10, 77))];
    config.hosts[3].clients[0].timeout = Some(Span::from_secs(20));
    let (o, frames) = watch(&config, "rs1");
    assert_eq!(answers(&o), ["unreachable", "unreachable"]);
    assert!(packets(&frames, false, "icmp")[0].contains("> 192.168.10.11 icmp 3/1"));
}

#[test]
fn a_port_that_is_redirected_reaches_the_server_of_another() {
    let mut config = pair(Transport::Tcp, &[0]);
    config.hosts[1].servers = vec![server(Transport::Tcp, 8080)];
    assert_eq!(answers(&run(&config)), ["refused"]);
    let tcp = FilterCondition::Protocol(proto::TCP);
    config.hosts[1].filters = vec![rule(
        FilterTable::Nat,
        FilterChain::Prerouting,
        &[tcp.clone(), ports(80, 80)],
        FilterTarget::Redirect(Some(8080)),
    )];
    assert_eq!(answers(&run(&config)), ["server"]);
    // or on the client's own host, towards an address that nobody has
    let mut config = pair(Transport::Tcp, &[0]);
    config.hosts[0].clients[0].target.0 = v4(10, 0, 0, 99);
    config.hosts[0].filters = vec![rule(
        FilterTable::Nat,
        FilterChain::Output,
        &[tcp, ports(80, 80)],
        FilterTarget::DestinationNat(SERVER, None),
    )];
    assert_eq!(answers(&run(&config)), ["server"]);
}

#[test]
fn a_rule_drops_in_silence_or_rejects_with_an_answer() {
    let reject = |how| FilterTarget::Reject(how);
    let cases = [
        (FilterTarget::Accept, "server", ""),
        (FilterTarget::Drop, "timed_out", ""),
        (reject(RejectWith::Unreachable(3)), "refused", "icmp 3/3"),
        (reject(RejectWith::Unreachable(1)), "unreachable", "icmp 3/1"),
        (reject(RejectWith::Reset), "refused", "tcp RA"),
    ];
    for (target, outcome, answer) in cases {
        let mut config = pair(Transport::Tcp, &[0]);
        let (table, chain) = (FilterTable::Filter, FilterChain::Input);
        config.hosts[1].filters = vec![rule(table, chain, &[ports(80, 80)], target.clone())];
        let (o, frames) = watch(&config, "client");
        assert_eq!(answers(&o), [outcome], "{target:?}");
        assert_eq!(packets(&frames, false, "icmp").len(), usize::from(answer.contains("icmp")));
        assert!(
            packets(&frames, false, answer).len() >= usize::from(!answer.is_empty()),
            "{target:?}"
        );
        let refused = u64::from(target != FilterTarget::Accept);
        assert!(dropped(&o, "server", "netfilter") >= refused);
        assert_eq!(
            o.packets.created,
            o.packets.delivered + o.packets.dropped + o.packets.in_flight
        );
    }
}

#[test]
fn a_host_may_forbid_itself_to_send() {
    for (target, outcome) in [
        (FilterTarget::Drop, "timed_out"),
        (FilterTarget::Reject(RejectWith::Unreachable(3)), "refused"),
    ] {
        let mut config = pair(Transport::Udp, &[0]);
        let (table, chain) = (FilterTable::Filter, FilterChain::Output);
        config.hosts[0].filters = vec![rule(table, chain, &[ports(80, 80)], target)];
        let (o, frames) = watch(&config, "client");
        assert_eq!(answers(&o), [outcome]);
        assert!(packets(&frames, true, "udp").is_empty());
    }
}

#[test]
fn a_firewall_lets_answers_pass_but_no_new_connections() {
    let mut config = cluster(Forwarding::Nat, Transport::Tcp, 80);
    config.hosts[0].clients.clear();
    config.hosts[0].servers.push(server(Transport::Tcp, 8080));
    let mut out = client(Transport::Tcp, 8080, &[0]);
    (out.name, out.target.0) = ("out".into(), HOME);
    config.hosts[3].clients.push(out);
    let mut inward = client(Transport::Tcp, 80, &[500]);
    inward.target.0 = rip(1);
    config.hosts[0].clients.push(inward);
    let state = |new, established, related| FilterCondition::State {
        new,
        established,
        related,
        invalid: false,
    };
    let forward = |what: &[FilterCondition], target| {
        rule(FilterTable::Filter, FilterChain::Forward, what, target)
    };
    let inside = FilterCondition::Input("r-l".into());
    config.hosts[1].filters = vec![
        forward(&[state(false, true, true)], FilterTarget::Accept),
        forward(&[inside, state(true, false, false)], FilterTarget::Accept),
        forward(&[], FilterTarget::Drop),
    ];
    // not by the director, which would see one direction only
    config.hosts[3].routes = vec![default_route(ROUTER)];
    let o = run(&config);
    assert_eq!(answers(&o), ["client", "timed_out"]);
}

#[test]
fn fragments_are_put_together_for_tracking_and_cut_again_on_the_way_out() {
    let mut config = going_out(Transport::Udp);
    config.hosts[3].clients[0].request = Dist::Constant(3000.0);
    let (o, frames) = watch(&config, "client");
    assert_eq!(answers(&o), ["client", "client"]);
    let came = packets(&frames, false, "frag");
    assert_eq!(came.len(), 6);
    assert!(came.iter().all(|t| t.starts_with("192.168.10.100 > 172.16.0.10 frag")), "{came:?}");
}

#[test]
fn a_marked_packet_takes_the_way_of_its_mark() {
    // two routers; port 8080 is marked on the client and goes by the second
    let mut config = pair(Transport::Udp, &[0]);
    let far = v4(10, 9, 0, 9);
    config.hosts[0].routes = vec![route(Net::new(v4(10, 9, 0, 0), 24), &[SERVER])];
    config.hosts[0].clients[0].target.0 = far;
    config.hosts[1].servers.clear();
    let mut second = serving("second", v4(10, 0, 0, 3), Transport::Udp, 80);
    second.loopback.push(Net::host(far));
    config.hosts.push(second);
    config.switches.push(switch("sw"));
    config.links =
        vec![link("client:eth0", "sw"), link("server:eth0", "sw"), link("second:eth0", "sw")];
    assert_eq!(answers(&run(&config)), ["timed_out"]);
    let mut way = route(Net::ALL, &[v4(10, 0, 0, 3)]);
    way.table = 100;
    config.hosts[0].routes.push(way);
    let mark = PolicyConfig {
        priority: 1000,
        mark: Some((7, u32::MAX)),
        table: 100,
        ..PolicyConfig::default()
    };
    config.hosts[0].policy = vec![mark];
    let (table, chain) = (FilterTable::Mangle, FilterChain::Output);
    let set = FilterTarget::Mark(7, u32::MAX);
    config.hosts[0].filters = vec![rule(table, chain, &[ports(80, 80)], set)];
    assert_eq!(answers(&run(&config)), ["second"]);
}

#[test]
fn a_host_with_two_ways_out_may_choose_by_its_source() {
    let mut config = pair(Transport::Udp, &[0]);
    config.hosts[0].interfaces[0].addresses.push(address(v4(10, 0, 1, 1), 24));
    config.hosts[1].loopback.push(Net::host(v4(10, 9, 0, 9)));
    config.hosts[0].clients[0].target.0 = v4(10, 9, 0, 9);
    config.hosts[1].interfaces[0].addresses.push(address(v4(10, 0, 1, 2), 24));
    // the way of the table main leads nowhere
    config.hosts[0].routes = vec![default_route(v4(10, 0, 0, 77))];
    let mut way = default_route(v4(10, 0, 1, 2));
    way.table = 5;
    config.hosts[0].routes.push(way);
    let from = Some(Net::host(v4(10, 0, 1, 1)));
    let rule = PolicyConfig { priority: 9, from, table: 5, ..PolicyConfig::default() };
    config.hosts[0].policy = vec![rule];
    config.hosts[0].clients[0].timeout = Some(Span::from_secs(20));
    assert_eq!(answers(&run(&config)), ["unreachable"]);
    config.hosts[0].clients[0].sources = vec![v4(10, 0, 1, 1)];
    assert_eq!(answers(&run(&config)), ["server"]);
}

#[test]
fn routes_refuse_what_they_are_told_to() {
    for (kind, outcome, icmp) in [
        (RouteKind::Blackhole, "timed_out", 0),
        (RouteKind::Unreachable, "unreachable", 1),
        (RouteKind::Prohibit, "unreachable", 1),
    ] {
        let mut config = cluster(Forwarding::Nat, Transport::Udp, 80);
        let to = Net::host(VIP);
        config.hosts[1].routes.push(RouteConfig { kind, ..RouteConfig::new(to, Vec::new()) });
        config.hosts[0].clients[0].load = Load::At(vec![Span::ZERO]);
        let (o, frames) = watch(&config, "client");
        let code = if kind == RouteKind::Prohibit { "icmp 3/13" } else { "icmp 3/1" };
        assert_eq!(packets(&frames, false, code).len(), icmp, "{kind:?}");
        if kind != RouteKind::Prohibit {
            assert_eq!(answers(&o), [outcome], "{kind:?}");
        }
        assert_eq!(dropped(&o, "router", "no_route"), 1);
    }
}

#[test]
fn a_prefix_on_lo_does_not_harm_clients_elsewhere_but_those_of_the_prefix() {
    // `ifconfig lo:0 VIP netmask 255.255.255.0` on DR real servers
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, 80);
    for rs in &mut config.hosts[3..] {
        rs.loopback = vec![Net::new(VIP, 24)];
    }
    assert_eq!(answers(&run(&config)), ["rs2", "rs1"]);
    // answers to a client on the servers' own network stay on lo
    let near = config.hosts[0].clients.remove(0);
    config.hosts[1].clients.push(near);
    assert_eq!(answers(&run(&config)), ["timed_out", "timed_out"]);
    for rs in &mut config.hosts[3..] {
        rs.loopback = vec![Net::host(VIP)];
    }
    assert_eq!(answers(&run(&config)), ["rs2", "rs1"]);
}

#[test]
fn addresses_routed_to_lo_are_served_without_being_configured() {
    // golden/paths: fwmark-transparent-cache: `ip route add local 198.51.100.0/24 dev lo`
    let mut config = pair(Transport::Tcp, &[0]);
    let site = v4(198, 51, 100, 7);
    config.hosts[0].clients[0].target.0 = site;
    config.hosts[0].routes = vec![default_route(SERVER)];
    assert_eq!(answers(&run(&config)), ["timed_out"]);
    let lo = HopConfig { via: None, dev: Some("lo".into()) };
    let to = Net::new(v4(198, 51, 100, 0), 24);
    let local =
        RouteConfig { kind: RouteKind::Local, table: 255, ..RouteConfig::new(to, vec![lo]) };
    config.hosts[1].routes.push(local);
    assert_eq!(answers(&run(&config)), ["server"]);
}

#[test]
fn two_ports_are_one_service_by_their_mark() {
    // golden/paths: fwmark-dr-ports: rs2, rs1, rs2, and a port that is not marked is refused
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, 80);
    config.hosts[0].clients.clear();
    for (at, port) in [(0, 80), (400, 443), (800, 80), (1200, 8080)] {
        config.hosts[0].clients.push(client(Transport::Tcp, port, &[at]));
    }
    config.duration = Span::from_secs(2);
    for rs in &mut config.hosts[3..] {
        rs.servers.push(server(Transport::Tcp, 443));
    }
    let director = &mut config.hosts[2];
    let service = &mut director.ipvs.as_mut().unwrap().services[0];
    service.key = ServiceKey::Fwmark { mark: 1, v6: false };
    let vip = FilterCondition::Destination(Net::host(VIP));
    let mark = |port| {
        let what = [vip.clone(), FilterCondition::Protocol(proto::TCP), ports(port, port)];
        let set = FilterTarget::Mark(1, u32::MAX);
        rule(FilterTable::Mangle, FilterChain::Prerouting, &what, set)
    };
    director.filters = vec![mark(80), mark(443)];
    assert_eq!(answers(&run(&config)), ["rs2", "rs1", "rs2", "refused"]);
}

#[test]
fn a_director_that_is_its_own_real_server_answers_itself_but_not_by_others() {
    // golden/paths: localnode-server: the client gets director and rs1; asking itself, the director
    // gets itself, and its request to rs1, from the VIP, is dropped there
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, 80);
    config.hosts[0].clients[0].load = Load::At(vec![Span::ZERO, Span::from_millis(500)]);
    let mut own = client(Transport::Tcp, 80, &[1300, 1600]);
    own.name = "own".into();
    own.timeout = Some(Span::from_secs(3));
    config.duration = Span::from_secs(2);
    config.hosts.truncate(4);
    config.links.truncate(4);
    let director = &mut config.hosts[2];
    director.clients.push(own);
    director.servers.push(server(Transport::Tcp, 80));
    director.ipvs.as_mut().unwrap().services[0].servers[1].rip = DIP;
    let (o, frames) = watch(&config, "director");
    assert_eq!(answers(&o), ["director", "rs1", "director", "timed_out"]);
    let own = texts(&frames, |f| f.text.starts_with("192.168.10.200 > 192.168.10.200 tcp S"));
    assert_eq!(own.len(), 2);
    let ttl = |f: &&Frame| f.text.starts_with("192.168.10.200 > 192.168.10.200 tcp S");
    assert!(frames.iter().filter(ttl).all(|f| f.ttl == 63));
    assert_eq!(dropped(&o, "rs1", "martian_source"), 2);
    let d = &o.directors[0].destinations;
    assert_eq!(d.iter().map(|d| d.connections).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn a_transparent_cache_takes_what_is_for_others_by_its_mark() {
    // golden/paths: fwmark-transparent-cache: one site goes to one cache, whoever asks
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, 80);
    config.hosts[0].clients.clear();
    let site = |n| v4(198, 51, 100, n);
    for (at, n) in [(0, 7), (400, 7), (800, 8), (1200, 9), (1600, 7)] {
        let mut request = client(Transport::Tcp, 80, &[at]);
        request.target.0 = site(n);
        config.hosts[0].clients.push(request);
    }
    config.duration = Span::from_secs(2);
    let sites = Net::new(site(0), 24);
    config.hosts[1].routes.push(route(sites, &[DIP]));
    let director = &mut config.hosts[2];
    director.interfaces[0].addresses.pop();
    let service = &mut director.ipvs.as_mut().unwrap().services[0];
    service.key = ServiceKey::Fwmark { mark: 1, v6: false };
    service.scheduler = schedulers::Algorithm::Dh;
    let set = FilterTarget::Mark(1, u32::MAX);
    let what = [FilterCondition::Protocol(proto::TCP), ports(80, 80)];
    director.filters = vec![rule(FilterTable::Mangle, FilterChain::Prerouting, &what, set)];
    let marked = Some((1, u32::MAX));
    let look = PolicyConfig { priority: 32_765, mark: marked, table: 100, ..Default::default() };
    director.policy = vec![look];
    let lo = HopConfig { via: None, dev: Some("lo".into()) };
    let local = |to, table| RouteConfig {
        kind: RouteKind::Local,
        table,
        ..RouteConfig::new(to, vec![lo.clone()])
    };
    director.routes.push(local(Net::ALL, 100));
    for rs in &mut config.hosts[3..] {
        rs.loopback.clear();
        rs.routes.push(local(sites, 255));
    }
    let (o, frames) = watch(&config, "director");
    assert_eq!(answers(&o), ["rs1", "rs1", "rs2", "rs2", "rs1"]);
    // DR: the destination is still the site's
    let sent = packets(&frames, true, " tcp ");
    assert!(!sent.is_empty());
    assert!(sent.iter().all(|t| t.starts_with("172.16.0.10 > 198.51.100.")), "{sent:?}");
}

#[test]
fn a_router_that_forwards_follows_its_rules_from_when_they_come_until_they_go() {
    let mut config = cluster(Forwarding::Nat, Transport::Udp, 53);
    config.duration = Span::from_secs(3);
    let probe = &mut config.hosts[0].clients[0];
    probe.load = Load::At([0, 1000, 2000].map(Span::from_millis).to_vec());
    probe.timeout = Some(Span::from_millis(500));
    let free = config.hosts[1].clone();
    let mut closed = free.clone();
    let (table, chain) = (FilterTable::Filter, FilterChain::Forward);
    closed.filters = vec![rule(table, chain, &[ports(53, 53)], FilterTarget::Drop)];
    let mut world = World::build(&config).expect("a good configuration");
    for (at, router) in [(900, &closed), (1900, &free)] {
        world.run_until(Time::ZERO + Span::from_millis(at));
        world.change_filters(1, router);
    }
    while world.run(10_000) {}
    assert_eq!(answers(&world.finish()), ["rs2", "timed_out", "rs1"]);
}
