//! TCP requests through each forwarding method.

use crate::frames::watch;
use crate::network::*;
use core::net::IpAddr;
use sim_core::config::*;
use sim_core::engine::{Dist, Span};
use sim_core::ipvs::rules::Forwarding;
use sim_core::observe::Observations;

#[test]
fn the_last_added_server_answers_first_by_every_method() {
    for forwarding in [Forwarding::Nat, Forwarding::Dr, Forwarding::Tun] {
        let o = run(&cluster(forwarding, Transport::Tcp, 80));
        assert_eq!(answers(&o), ["rs2", "rs1"], "{forwarding}: {:?}", o.drops);
        assert_eq!(o.packets.in_flight, 0, "{forwarding}");
    }
}

#[test]
fn a_large_request_finds_the_path_mtu_of_the_tunnel() {
    let mut config = cluster(Forwarding::Tun, Transport::Tcp, 80);
    config.hosts[0].clients[0].request = Dist::Constant(100_000.0);
    let o = run(&config);
    assert_eq!(answers(&o), ["rs2", "rs1"]);
    // the first full segments did not fit and were answered with fragmentation needed
    assert!(o.drops.iter().any(|d| d.place == "director" && d.reason == "too_big"));
}

#[test]
fn a_closed_port_refuses_by_every_method() {
    for forwarding in [Forwarding::Nat, Forwarding::Dr, Forwarding::Tun] {
        let mut config = cluster(forwarding, Transport::Tcp, 80);
        for rs in &mut config.hosts[3..] {
            rs.servers.clear();
        }
        assert_eq!(answers(&run(&config)), ["refused", "refused"], "{forwarding}");
    }
}

#[test]
fn connections_beyond_an_applications_room_wait_in_the_backlog() {
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, 80);
    config.hosts[0].clients[0].load = Load::Closed { users: 20, think: Dist::Constant(0.0) };
    config.hosts[0].clients[0].limit = 400;
    for rs in &mut config.hosts[3..] {
        rs.servers[0].connections = 2;
    }
    let o = run(&config);
    let c = &o.clients[0];
    assert!(c.connections_served > 100);
    assert_eq!(c.connections_served, c.connections_offered, "{:?}", c.connections_failed);
    assert!(o.servers.iter().all(|s| s.max_in_system <= 2));
}

/// Whole seconds between the starts and the ends of the handshakes, sorted.
fn connect_seconds(o: &Observations) -> Vec<u64> {
    let mut all: Vec<u64> =
        rows(o).iter().map(|r| (r.connected - r.start).as_nanos() / 1_000_000_000).collect();
    all.sort_unstable();
    all
}

#[test]
fn a_syn_into_a_black_hole_is_repeated_until_127_seconds() {
    let mut config = quiet_pair(Transport::Tcp, &[0]);
    let nobody = v4(10, 0, 0, 77);
    config.hosts[0].neighbours.push(("eth0".into(), nobody, mac(1)));
    config.hosts[0].clients[0].target.0 = nobody;
    config.hosts[0].clients[0].timeout = None;
    let (o, frames) = watch(&config, "client");
    assert_eq!(answers(&o), ["timed_out"]);
    assert_eq!(lengths(&o), [127_000_000_000]);
    let sent: Vec<u64> = frames.iter().map(|f| f.ns / 1_000_000_000).collect();
    assert_eq!(sent, [0, 1, 3, 7, 15, 31, 63]);
    assert_eq!(o.clients[0].retransmissions, 6);
}

#[test]
fn a_full_backlog_drops_syns_and_they_come_again() {
    let mut config = quiet_pair(Transport::Tcp, &[0; 10]);
    config.hosts[0].clients[0].timeout = None;
    config.hosts[1].servers[0].backlog = 2;
    let o = run(&config);
    // two may be half-open; the others try again at the same times
    assert_eq!(connect_seconds(&o), [0, 0, 1, 1, 3, 3, 7, 7, 15, 15]);
    assert_eq!(o.clients[0].connections_served, 10);
}

#[test]
fn keepalive_keeps_an_idle_connection_in_the_directors_table() {
    let mut config = cluster(Forwarding::Nat, Transport::Tcp, 80);
    config.hosts[0].clients[0].requests = Dist::Constant(2.0);
    config.hosts[0].clients[0].think = Dist::Constant(40.0);
    config.hosts[0].clients[0].timeout = None;
    config.hosts[0].clients[0].closer = Closer::Client;
    config.hosts[0].clients[0].limit = 1;
    config.hosts[2].ipvs.as_mut().expect("rules").timeouts.tcp = Some(Span::from_secs(15));
    for rs in &mut config.hosts[3..] {
        rs.servers[0].closer = Closer::Client;
    }
    // the director forgets the connection after 15 s and answers the second request with RST
    assert_eq!(answers(&run(&config)), ["reset"]);
    config.hosts[0].tcp.keepalive = Some((Span::from_secs(10), Span::from_secs(5), 3));
    assert_eq!(answers(&run(&config)), ["rs2"]);
}

#[test]
fn keepalive_finds_out_that_a_peer_has_gone() {
    let mut config = quiet_pair(Transport::Tcp, &[0]);
    config.duration = Span::from_secs(1);
    config.hosts[0].tcp.keepalive = Some((Span::from_secs(10), Span::from_secs(5), 3));
    config.hosts[0].clients[0].timeout = None;
    config.hosts[1].servers[0].service = Dist::Constant(1000.0);
    config.link_events = vec![event(500, "client:eth0--server:eth0", false)];
    let o = run(&config);
    assert_eq!(answers(&o), ["timed_out"]);
    // idle for 10 s, then three probes, 5 s apart
    assert_eq!(lengths(&o)[0] / 1_000_000_000, 25);
}

/// Short connections one after the other, closed by the client, from these addresses.
fn churn(count: u64, sources: &[IpAddr]) -> WorldConfig {
    let mut config = quiet_pair(Transport::Tcp, &[]);
    let c = &mut config.hosts[0];
    c.interfaces[0].addresses = sources.iter().map(|&ip| address(ip, 24)).collect();
    c.clients[0].sources = sources.to_vec();
    c.clients[0].load = Load::Open { gap: Dist::Constant(5e-4) };
    c.clients[0].limit = count;
    c.clients[0].closer = Closer::Client;
    config.hosts[1].servers[0].closer = Closer::Client;
    config.hosts[1].servers[0].service = Dist::Constant(0.0);
    for &ip in &sources[1..] {
        config.hosts[1].neighbours.push(("eth0".into(), ip, mac(0)));
    }
    config.connections = false;
    config
}

#[test]
fn a_source_address_has_28232_ports_a_minute_for_one_target() {
    let o = run(&churn(28_242, &[CLIENT]));
    assert_eq!(o.clients[0].connections_served, 28_232);
    assert_eq!(o.clients[0].connections_failed[4], 10);
    let other = v4(10, 0, 0, 9);
    let o = run(&churn(28_242, &[CLIENT, other]));
    assert_eq!(o.clients[0].connections_served, 28_242);
}

#[test]
fn a_port_is_free_again_after_time_wait() {
    let mut config = churn(28_233, &[CLIENT]);
    // nobody for a minute after 28,231 connections in 14 s, then two more; both have a port
    let at = |n: u64| Span::from_micros(if n < 28_231 { n * 500 } else { 76_000_000 });
    config.hosts[0].clients[0].load = Load::At((0..28_233).map(at).collect());
    config.duration = Span::from_secs(100);
    assert_eq!(run(&config).clients[0].connections_served, 28_233);
}

#[test]
fn a_server_whose_queue_is_full_resets() {
    let mut config = quiet_pair(Transport::Tcp, &[0; 4]);
    config.hosts[1].servers[0].workers = 1;
    config.hosts[1].servers[0].queue = 1;
    let o = run(&config);
    assert_eq!(answers(&o), ["server", "server", "reset", "reset"]);
    assert_eq!((o.servers[0].refused, o.servers[0].max_in_system), (2, 2));
}
