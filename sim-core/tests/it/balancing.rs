//! Methods and services out of the ordinary, in a whole network.

use crate::network::*;
use sim_core::config::*;
use sim_core::engine::Span;
use sim_core::ipvs::rules::Forwarding;
use sim_core::observe::Observations;

/// Twenty connections, one each 20 ms, through a director that has two local addresses. The real
/// servers' gateway is the router, and they do not have the VIP.
fn through_local_addresses(forwarding: Forwarding) -> Observations {
    let mut config = cluster(Forwarding::Nat, Transport::Tcp, 80);
    for rs in &mut config.hosts[3..] {
        rs.routes = vec![default_route(ROUTER)];
    }
    let local = [v4(192, 168, 10, 101), v4(192, 168, 10, 102)];
    let director = &mut config.hosts[2];
    director.sysctl.ip_forward = false;
    director.interfaces[0].addresses.extend(local.map(|ip| address(ip, 32)));
    let service = &mut director.ipvs.as_mut().expect("a director").services[0];
    service.local_addresses = local.to_vec();
    for server in &mut service.servers {
        server.forwarding = forwarding;
    }
    let times: Vec<u64> = (0..20).map(|n| n * 20).collect();
    config.hosts[0].clients = vec![client(Transport::Tcp, 80, &times)];
    run(&config)
}

#[test]
fn full_nat_needs_nothing_of_the_real_servers_and_nat_their_gateway() {
    let o = through_local_addresses(Forwarding::FullNat);
    assert_eq!(o.clients[0].connections_served, 20);
    for d in &o.directors[0].destinations {
        assert_eq!(d.connections, 10);
        assert!(d.packets_out > d.connections, "the answers come back by the director");
    }
    let o = through_local_addresses(Forwarding::Nat);
    assert_eq!(o.clients[0].connections_served, 0, "answers from an address nobody asked");
}

#[test]
fn a_persistent_client_stays_at_its_real_server() {
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, 80);
    let rules = config.hosts[2].ipvs.as_mut().expect("a director");
    rules.services[0].persistent = Some(Span::from_secs(300));
    let times: Vec<u64> = (0..20).map(|n| n * 20).collect();
    config.hosts[0].clients = vec![client(Transport::Tcp, 80, &times)];
    let o = run(&config);
    assert_eq!(o.clients[0].connections_served, 20);
    let mut counts: Vec<u64> = o.directors[0].destinations.iter().map(|d| d.connections).collect();
    counts.sort_unstable();
    assert_eq!(counts, [0, 20]);
}

#[test]
fn nobody_hears_of_connections_that_a_defence_drops() {
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, 80);
    let rules = config.hosts[2].ipvs.as_mut().expect("a director");
    (rules.sysctl.drop_packet, rules.sysctl.am_droprate) = (3, 5);
    let times: Vec<u64> = (0..20).map(|n| n * 20).collect();
    config.hosts[0].clients = vec![client(Transport::Tcp, 80, &times)];
    let o = run(&config);
    // The first and every fifth SYN are lost, and come again a second later. The first of those four is
    // the 21st SYN of all: lost again, and its client does not wait for a third.
    assert_eq!(o.clients[0].connections_served, 19);
    assert_eq!(dropped(&o, "director", "defence"), 5);
}
