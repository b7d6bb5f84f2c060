//! Common random numbers: what one setting changes leaves all other draws alone.

use crate::network::*;
use sim_core::config::*;
use sim_core::engine::{Dist, Span};
use sim_core::ipvs::rules::Forwarding;
use sim_core::observe::{ConnectionRow, Histogram, Observations};

/// A cluster with random gaps, sizes, work and numbers of requests, far from saturation.
fn random(forwarding: Forwarding) -> WorldConfig {
    let mut config = cluster(forwarding, Transport::Tcp, 80);
    config.duration = Span::from_secs(3);
    let c = &mut config.hosts[0].clients[0];
    c.load = Load::Open { gap: Dist::Exponential { mean: 0.01 } };
    c.requests = Dist::Uniform { low: 1.0, high: 4.0 };
    c.request = Dist::Uniform { low: 1.0, high: 500.0 };
    c.think = Dist::Exponential { mean: 0.02 };
    (c.timeout, c.closer) = (None, Closer::Client);
    for rs in &mut config.hosts[3..] {
        let s = &mut rs.servers[0];
        s.closer = Closer::Client;
        s.workers = 1000;
        s.service = Dist::Exponential { mean: 0.005 };
        s.response = Dist::LogNormal { median: 2000.0, sigma: 1.0 };
    }
    config
}

/// What a client draws and what its requests cost: start, requests, bytes of responses.
fn demands(o: &Observations, client: u32) -> Vec<(u64, u32, u64)> {
    let of = |r: &ConnectionRow| (r.start.as_nanos(), r.requests, r.bytes);
    rows(o).iter().filter(|r| r.client == client).map(of).collect()
}

/// Service times of all servers; with a worker for everybody the sojourn is the service.
fn work(o: &Observations) -> Vec<(f64, u64)> {
    let mut all = Histogram::new();
    o.servers.iter().for_each(|s| all.merge(&s.sojourn));
    all.buckets()
}

#[test]
fn every_method_gets_the_same_arrivals_and_demands() {
    let nat = run(&random(Forwarding::Nat));
    assert!(nat.clients[0].connections_served > 250);
    for forwarding in [Forwarding::Dr, Forwarding::Tun] {
        let other = run(&random(forwarding));
        assert_eq!(demands(&nat, 0), demands(&other, 0));
        assert_eq!(work(&nat), work(&other));
    }
    let mut config = random(Forwarding::Nat);
    config.seed = 2;
    assert_ne!(demands(&nat, 0), demands(&run(&config), 0));
}

#[test]
fn the_choice_of_a_server_changes_no_demand() {
    let mut config = random(Forwarding::Dr);
    let before = run(&config);
    config.hosts[2].ipvs.as_mut().expect("rules").services[0].servers.truncate(1);
    let after = run(&config);
    assert_eq!(demands(&before, 0), demands(&after, 0));
    assert_eq!(work(&before), work(&after));
}

#[test]
fn another_client_changes_nothing_for_the_first() {
    let mut config = random(Forwarding::Dr);
    let alone = run(&config);
    let mut second = config.hosts[0].clone();
    second.name = "other".into();
    second.clients[0].name = "other".into();
    let (home, gateway) = (v4(172, 17, 0, 10), v4(172, 17, 0, 1));
    second.interfaces[0].addresses = vec![address(home, 24)];
    second.routes = vec![default_route(gateway)];
    config.hosts.push(second);
    config.hosts[1].interfaces.push(interface("r-o", vec![address(gateway, 24)]));
    config.links.push(link("other:c0", "router:r-o"));
    let both = run(&config);
    assert_eq!(demands(&alone, 0), demands(&both, 0));
    // and the second draws its own
    let other = demands(&both, 1);
    assert!(other.len() > 200);
    assert_ne!(other, demands(&both, 0));
}
