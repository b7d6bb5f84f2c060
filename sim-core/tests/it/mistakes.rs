//! The well-known mistakes of an LVS set-up come out of the network by themselves.

use crate::network::{ROUTER, answers, cluster, default_route, run};
use sim_core::config::Transport;
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
        rs.tunnel = None;
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
