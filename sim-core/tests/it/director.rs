//! The director: schedulers at work, mixed methods, the cost of packets.

use crate::network::*;
use schedulers::Algorithm;
use sim_core::config::*;
use sim_core::engine::{Dist, Span};
use sim_core::ipvs::rules::Forwarding;
use sim_core::observe::Observations;

/// Microseconds of CPU for a packet: other, NAT, DR, TUN.
fn cost(other: u64, nat: u64, dr: u64, tun: u64) -> CpuConfig {
    let us = Span::from_micros;
    CpuConfig { other: us(other), nat: us(nat), dr: us(dr), tun: us(tun), backlog: 100 }
}

/// UDP requests for a second through a director whose packets cost 60, 20 or 30 us.
fn loaded(forwarding: Forwarding, gap: Dist) -> Observations {
    let mut config = cluster(forwarding, Transport::Udp, 53);
    config.hosts[0].clients[0].load = Load::Open { gap };
    config.hosts[2].cpu = Some(cost(0, 60, 20, 30));
    for rs in &mut config.hosts[3..] {
        // random, or answers come at the moment a place in the backlog becomes free
        rs.servers[0].service = Dist::Exponential { mean: 1e-3 };
    }
    run(&config)
}

/// Seconds of CPU spent in the second in which requests start, whatever comes after.
fn spent(o: &Observations) -> f64 {
    o.directors[0].cpu_utilisation
}

#[test]
fn below_saturation_the_cpu_is_busy_for_the_cost_of_its_packets() {
    // 4999 requests; NAT pays for the answers as well
    for (forwarding, us) in
        [(Forwarding::Nat, 120.0), (Forwarding::Dr, 20.0), (Forwarding::Tun, 30.0)]
    {
        let o = loaded(forwarding, Dist::Constant(2e-4));
        assert_eq!(o.clients[0].connections_served, 4999, "{forwarding}");
        // the last answers, a few milliseconds under way, come when the second is over
        let all = 4999.0 * us * 1e-6;
        assert!((0.99 * all..=all).contains(&spent(&o)), "{forwarding} {}", spent(&o));
        assert_eq!(dropped(&o, "director", "cpu_backlog"), 0);
    }
}

#[test]
fn a_saturated_director_serves_what_its_cpu_allows_and_drops_the_rest() {
    let o = loaded(Forwarding::Nat, Dist::Exponential { mean: 1e-4 });
    let taken = o.directors[0].packets_in - dropped(&o, "director", "cpu_backlog");
    // busy from the first packet to the end of the second; its backlog of 100 is worked off later
    assert!((0.99..=1.0).contains(&spent(&o)), "{}", spent(&o));
    assert!((0.99..1.01).contains(&(taken as f64 * 60e-6)), "{taken}");
    // a share a of all arrivals is taken: 10,000 a (1 + a) = 1 / 60 us, so 10,000 a^2 are served
    let a = f64::midpoint(-1.0, (1.0_f64 + 4.0 / 0.6).sqrt());
    let served = o.clients[0].connections_served as f64;
    assert!((served / (10_000.0 * a * a) - 1.0).abs() < 0.03, "{served}");
    // the same load is nothing for direct routing
    let o = loaded(Forwarding::Dr, Dist::Constant(1e-4));
    assert_eq!(o.clients[0].connections_served, 9999);
    assert!((spent(&o) - 0.2).abs() < 0.001, "{}", spent(&o));
}

#[test]
fn each_packet_waits_for_the_work_it_costs() {
    for (forwarding, us) in [(Forwarding::Nat, 120), (Forwarding::Dr, 20), (Forwarding::Tun, 30)] {
        let mut config = cluster(forwarding, Transport::Udp, 53);
        let free = lengths(&run(&config));
        config.hosts[2].cpu = Some(cost(5, 60, 20, 30));
        let o = run(&config);
        let paid = lengths(&o);
        // everybody knows everybody in the second exchange, which rs1 answers with known gateways
        assert_eq!(paid[0] - free[0], us * 1000, "{forwarding}");
        assert_eq!(paid[1] - free[1], us * 1000, "{forwarding}");
        config.hosts[2].cpu = Some(cost(0, 0, 0, 0));
        assert_eq!(lengths(&run(&config)), free);
        assert!(run(&config).directors[0].cpu_utilisation <= 0.0);
    }
}

#[test]
fn one_service_may_mix_methods() {
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, 80);
    config.hosts[3].routes = vec![default_route(DIP)];
    config.hosts[3].loopback.clear();
    let rules = config.hosts[2].ipvs.as_mut().expect("rules");
    rules.services[0].servers[0].forwarding = Forwarding::Nat;
    let o = run(&config);
    assert_eq!(answers(&o), ["rs2", "rs1"]);
    let d = &o.directors[0].destinations;
    assert_eq!((d[0].forwarding, d[1].forwarding), (Forwarding::Nat, Forwarding::Dr));
    // replies pass the director only with NAT
    assert!(d[0].packets_out > 0 && d[1].packets_out == 0);
}

/// Connections for each real server: `count`, 1 ms apart, that hold their server for `hold` seconds.
fn shares(algorithm: Algorithm, weights: [u16; 2], count: u64, hold: f64) -> Vec<u64> {
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, 80);
    let c = &mut config.hosts[0].clients[0];
    c.load = Load::Open { gap: Dist::Constant(0.001) };
    (c.limit, c.timeout) = (count, None);
    let service = &mut config.hosts[2].ipvs.as_mut().expect("rules").services[0];
    service.scheduler = algorithm;
    for (server, weight) in service.servers.iter_mut().zip(weights) {
        server.weight = weight;
    }
    for rs in &mut config.hosts[3..] {
        rs.servers[0].service = Dist::Constant(hold);
        rs.servers[0].workers = 1000;
    }
    let o = run(&config);
    assert_eq!(o.directors[0].connections + o.directors[0].no_destination, count);
    let shares: Vec<u64> = o.directors[0].destinations.iter().map(|d| d.connections).collect();
    let served: Vec<u64> = o.servers.iter().map(|s| s.requests).collect();
    assert_eq!(shares, served);
    shares
}

#[test]
fn schedulers_share_as_they_promise() {
    assert_eq!(shares(Algorithm::Rr, [1, 5], 100, 0.0), [50, 50]);
    assert_eq!(shares(Algorithm::Wrr, [3, 1], 400, 0.0), [300, 100]);
    assert_eq!(shares(Algorithm::Wrr, [0, 1], 40, 0.0), [0, 40]);
    // held for longer than they take to come
    assert_eq!(shares(Algorithm::Lc, [1, 9], 100, 2.0), [50, 50]);
    assert_eq!(shares(Algorithm::Wlc, [3, 1], 100, 2.0), [75, 25]);
    assert_eq!(shares(Algorithm::Wlc, [0, 1], 20, 2.0), [0, 20]);
}

#[test]
fn least_connection_avoids_a_server_that_does_not_finish() {
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, 80);
    let c = &mut config.hosts[0].clients[0];
    c.load = Load::Open { gap: Dist::Constant(0.05) };
    (c.limit, c.timeout) = (19, None);
    config.hosts[2].ipvs.as_mut().expect("rules").services[0].scheduler = Algorithm::Lc;
    // an active connection weighs as much as 256 that have ended
    config.hosts[4].servers[0].service = Dist::Constant(100.0);
    let o = run(&config);
    let shares: Vec<u64> = o.directors[0].destinations.iter().map(|d| d.connections).collect();
    assert_eq!(shares, [18, 1]);
}

#[test]
fn a_service_without_a_server_that_takes_connections_refuses() {
    for transport in [Transport::Tcp, Transport::Udp] {
        for weights in [Vec::new(), vec![0, 0]] {
            let mut config = cluster(Forwarding::Nat, transport, 80);
            let service = &mut config.hosts[2].ipvs.as_mut().expect("rules").services[0];
            service.servers.truncate(weights.len());
            for (server, weight) in service.servers.iter_mut().zip(weights) {
                server.weight = weight;
            }
            let o = run(&config);
            assert_eq!(answers(&o), ["refused", "refused"]);
            assert_eq!((o.directors[0].connections, o.directors[0].no_destination), (0, 2));
        }
    }
}
