//! The well-known mistakes of an LVS set-up come out of the network by themselves.

use crate::frames::{texts, watch};
use crate::network::{
    DIP, ROUTER, VIP, address, answers, cluster, default_route, dropped, lengths, route, rules,
    run, server,
};
use sim_core::config::{Load, Transport, WorldConfig};
use sim_core::config::{Net, v4};
use sim_core::engine::Span;
use sim_core::ipvs::rules::Forwarding;

#[test]
fn real_servers_that_answer_arp_for_the_vip_take_all_traffic_past_the_director() {
    let mut config = cluster(Forwarding::Dr, Transport::Udp, 53);
    for rs in &mut config.hosts[3..] {
        rs.sysctl.all.arp_ignore = 0;
        rs.sysctl.all.arp_announce = 0;
    }
    let o = run(&config);
    // the switch floods to its newest port first, so the last real server answers first
    assert_eq!(answers(&o), ["rs2", "rs2"]);
    assert_eq!(o.directors[0].connections, 0);
}

#[test]
fn a_nat_real_server_whose_gateway_is_not_the_director_answers_from_its_own_address() {
    let mut config = cluster(Forwarding::Nat, Transport::Tcp, 80);
    for rs in &mut config.hosts[3..] {
        rs.routes = vec![default_route(ROUTER)];
    }
    let o = run(&config);
    assert_eq!(answers(&o), ["timed_out", "timed_out"]);
}

#[test]
fn a_real_server_without_the_vip_drops_what_dr_sends_it() {
    let mut config = cluster(Forwarding::Dr, Transport::Udp, 53);
    for rs in &mut config.hosts[3..] {
        rs.loopback.clear();
    }
    let o = run(&config);
    assert_eq!(answers(&o), ["timed_out", "timed_out"]);
    assert!(o.drops.iter().any(|d| d.place == "rs2" && d.reason == "not_forwarding"));
}

#[test]
fn a_tunnelled_packet_for_a_server_without_a_tunnel_is_refused() {
    let mut config = cluster(Forwarding::Tun, Transport::Udp, 53);
    for rs in &mut config.hosts[3..] {
        rs.tunnels.clear();
    }
    let o = run(&config);
    // ICMP port unreachable goes to the director, which tells the client
    assert_eq!(answers(&o), ["refused", "refused"]);
}

#[test]
fn a_nat_director_that_does_not_forward_swallows_the_replies() {
    let mut config = cluster(Forwarding::Nat, Transport::Udp, 53);
    config.hosts[2].sysctl.ip_forward = false;
    let o = run(&config);
    assert_eq!(answers(&o), ["timed_out", "timed_out"]);
    assert!(o.drops.iter().any(|d| d.place == "director" && d.reason == "not_forwarding"));
}

#[test]
fn a_director_that_does_not_forward_is_enough_for_dr_and_tun() {
    for forwarding in [Forwarding::Dr, Forwarding::Tun] {
        let mut config = cluster(forwarding, Transport::Udp, 53);
        config.hosts[2].sysctl.ip_forward = false;
        assert_eq!(answers(&run(&config)), ["rs2", "rs1"], "{forwarding}");
    }
}

#[test]
fn a_dead_real_server_is_reported_by_arp_failure() {
    let mut config = cluster(Forwarding::Dr, Transport::Udp, 53);
    config.hosts[0].clients[0].timeout = None;
    config.links[4].up = false;
    let o = run(&config);
    // three requests, a second apart, then ICMP host unreachable
    assert_eq!(answers(&o), ["unreachable", "rs1"]);
    let row = o.connections.iter().find(|r| r.id == 0).expect("the first");
    let ms = (row.end - row.start).as_nanos() / 1_000_000;
    assert_eq!(ms, 3000);
}

/// The recorded network with one request and only rs1 behind the VIP.
fn one_server(forwarding: Forwarding) -> WorldConfig {
    let mut config = cluster(forwarding, Transport::Tcp, 80);
    config.hosts[0].clients[0].limit = 1;
    config.hosts[2].ipvs = Some(rules(forwarding, 6, 80, 1));
    config
}

#[test]
fn a_director_without_an_address_of_its_own_asks_with_the_vip_and_hears_nothing() {
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, 80);
    config.hosts[0].clients[0].load = Load::At([0, 3300].map(Span::from_millis).into());
    config.duration = Span::from_secs(4);
    config.hosts[2].interfaces[0].addresses = vec![address(VIP, 24)];
    let (o, frames) = watch(&config, "director");
    assert_eq!(answers(&o), ["timed_out", "timed_out"]);
    let asked = texts(&frames, |f| f.out && f.broadcast);
    assert_eq!(asked[0], "who-has 192.168.10.12 tell 192.168.10.200");
}

#[test]
fn a_real_server_without_the_vip_that_forwards_sends_it_back_until_it_dies() {
    let mut config = one_server(Forwarding::Dr);
    config.hosts[3].loopback.clear();
    config.hosts[3].sysctl.ip_forward = true;
    let o = run(&config);
    assert_eq!(answers(&o), ["unreachable"]);
    let expired: u64 =
        o.drops.iter().filter(|d| d.reason == "ttl_exceeded").map(|d| d.packets).sum();
    assert_eq!(expired, 1);
}

#[test]
fn two_directors_that_are_each_others_real_server_bounce_a_packet_until_it_dies() {
    let mut config = one_server(Forwarding::Dr);
    let mut back = rules(Forwarding::Dr, 6, 80, 1);
    back.services[0].servers[0].rip = DIP;
    config.hosts[3].ipvs = Some(back);
    let (o, frames) = watch(&config, "client");
    assert_eq!(answers(&o), ["unreachable"]);
    // as recorded: the first director has it with TTL 1 and answers from the VIP
    assert_eq!(dropped(&o, "director", "ttl_exceeded"), 1);
    let errors = texts(&frames, |f| f.text.contains("icmp"));
    assert_eq!(errors, ["192.168.10.200 > 172.16.0.10 icmp 11/0 0"]);
}

#[test]
fn replies_of_direct_routing_by_way_of_the_director_are_martians() {
    let mut config = one_server(Forwarding::Dr);
    config.hosts[3].routes = vec![default_route(DIP)];
    let o = run(&config);
    assert_eq!(answers(&o), ["timed_out"]);
    assert!(dropped(&o, "director", "martian_source") > 0);
}

#[test]
fn a_director_without_a_route_to_its_server_says_so_at_once() {
    let mut config = one_server(Forwarding::Nat);
    config.hosts[2].routes = vec![route(Net::new(v4(172, 16, 0, 0), 24), &[ROUTER])];
    let service = &mut config.hosts[2].ipvs.as_mut().expect("rules").services[0];
    service.servers[0].rip = v4(192, 168, 20, 13);
    let (o, frames) = watch(&config, "client");
    assert_eq!(answers(&o), ["unreachable"]);
    assert_eq!(lengths(&o)[0] / 1_000_000, 0);
    let errors = texts(&frames, |f| f.text.contains("icmp"));
    assert_eq!(errors, ["192.168.10.200 > 172.16.0.10 icmp 3/1 0"]);
}

#[test]
fn a_director_may_be_one_of_its_own_servers() {
    for forwarding in [Forwarding::Dr, Forwarding::Tun, Forwarding::Nat] {
        let mut config = cluster(forwarding, Transport::Tcp, 80);
        config.hosts[2].servers.push(server(Transport::Tcp, 80));
        let service = &mut config.hosts[2].ipvs.as_mut().expect("rules").services[0];
        service.servers[1].rip = DIP;
        let o = run(&config);
        assert_eq!(answers(&o), ["director", "rs1"], "{forwarding}");
        // a datagram likewise
        let mut config = cluster(forwarding, Transport::Udp, 53);
        config.hosts[2].servers.push(server(Transport::Udp, 53));
        let service = &mut config.hosts[2].ipvs.as_mut().expect("rules").services[0];
        service.servers[1].rip = DIP;
        assert_eq!(answers(&run(&config)), ["director", "rs1"], "{forwarding}");
    }
}
