//! Outages of clients in a whole world, and who stood for the VIP meanwhile.

use crate::network::*;
use crate::vrrp::pair;
use sim_core::config::*;
use sim_core::engine::{Dist, Span, Time};
use sim_core::ipvs::rules::Forwarding;
use sim_core::observe::timeline::Kind;
use sim_core::observe::{Failure, Outage, VipObservation};
use sim_core::world::World;

fn s(n: f64) -> Time {
    Time::ZERO + Span::from_secs_f64(n)
}

/// One request a second for 30 s, and a cable that is down for a while.
fn probed(transport: Transport, down: u64, up: u64) -> WorldConfig {
    let mut config = cluster(Forwarding::Nat, transport, 53);
    let link = config.links.iter().find(|l| l.name.contains("director")).expect("a cable");
    let name = link.name.clone();
    config.link_events = vec![event(down, &name, false), event(up, &name, true)];
    config.duration = Span::from_secs(30);
    let probe = &mut config.hosts[0].clients[0];
    probe.load = Load::At((0..30).map(Span::from_secs).collect());
    probe.timeout = Some(Span::from_millis(900));
    config
}

fn length(outages: &[Outage]) -> Vec<(Time, Time, u64)> {
    outages.iter().map(|o| (o.begin, o.end, o.lost())).collect()
}

#[test]
fn an_outage_goes_from_the_first_lost_request_to_the_first_served_one() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let o = run(&probed(transport, 10_500, 14_200));
        let seen = &o.availability[0];
        assert_eq!(length(&seen.outages), [(s(11.0), s(15.0), 4)], "{transport:?}");
        assert_eq!((seen.served, seen.lost(), seen.isolated, seen.reset), (26, 4, 0, 0));
        assert_eq!(seen.outages[0].failed[Failure::TimedOut as usize], 4);
        assert_eq!(length(&o.services[0].outages), length(&seen.outages));
        let words = if transport == Transport::Udp { "udp" } else { "tcp" };
        assert_eq!(o.services[0].name, format!("{VIP}:53/{words}"));
        let cause = &o.timeline[seen.outages[0].cause.unwrap() as usize];
        assert_eq!(
            (cause.kind, cause.time, cause.value.as_str()),
            (Kind::Fault, s(10.5), "link down")
        );
        let told: Vec<_> = o.timeline.iter().filter(|e| e.kind == Kind::Outage).collect();
        assert_eq!((told[0].time, told[1].time), (s(11.0), s(15.0)));
    }
}

#[test]
fn a_request_under_way_is_the_first_that_is_lost() {
    // the answer comes after 1.6 ms
    let o = run(&probed(Transport::Udp, 10_001, 12_500));
    let seen = &o.availability[0];
    assert_eq!(length(&seen.outages), [(s(10.0), s(13.0), 3)]);
    let cause = &o.timeline[seen.outages[0].cause.unwrap() as usize];
    assert_eq!(cause.time, s(10.001));
}

#[test]
fn a_connection_that_lives_through_an_outage_is_reset_by_it() {
    let mut config = probed(Transport::Tcp, 5_500, 9_500);
    let client = &mut config.hosts[0].clients[0];
    client.load = Load::At(vec![Span::ZERO, Span::from_secs(1), Span::from_secs(20)]);
    client.requests = Dist::Constant(20.0);
    client.think = Dist::Constant(1.0);
    client.closer = Closer::Client;
    client.timeout = Some(Span::from_millis(8_000));
    for rs in &mut config.hosts[3..] {
        rs.servers[0].closer = Closer::Client;
    }
    let o = run(&config);
    let seen = &o.availability[0];
    // all give up after eight seconds; the first two were in an outage then or had been
    assert_eq!(o.clients[0].connections_failed[Failure::TimedOut as usize], 3);
    assert_eq!(seen.reset, 3);
    assert_eq!(seen.outages.iter().map(|o| o.reset).sum::<u64>(), 2, "{:?}", seen.outages);
}

#[test]
fn two_clients_of_one_service_are_told_apart() {
    let mut config = probed(Transport::Udp, 10_500, 14_200);
    let mut other = config.hosts[0].clients[0].clone();
    other.name = "other".into();
    other.load = Load::At(vec![Span::from_secs(11), Span::from_millis(20_500)]);
    config.hosts[0].clients.push(other);
    let o = run(&config);
    let counts: Vec<_> = o.availability.iter().map(|a| (a.served, a.lost())).collect();
    assert_eq!(counts, [(26, 4), (1, 1)]);
    assert_eq!((o.services.len(), o.services[0].served, o.services[0].lost()), (1, 27, 5));
    assert_eq!(length(&o.services[0].outages), [(s(11.0), s(15.0), 5)]);
    assert_eq!(length(&o.availability[1].outages), [(s(11.0), s(20.5), 1)]);
}

#[test]
fn requests_before_the_end_of_the_warm_up_do_not_count() {
    let mut config = probed(Transport::Udp, 1_500, 4_200);
    config.warmup = Span::from_secs(3);
    let o = run(&config);
    assert_eq!((o.availability[0].served, o.availability[0].lost()), (25, 2));
}

#[test]
fn the_director_holds_the_vip_and_is_in_the_cache_of_the_router() {
    let o = run(&probed(Transport::Udp, 10_500, 14_200));
    let vip = &o.vips[0];
    assert_eq!((vip.address, vip.extremes()), (VIP, (1, 1)));
    assert_eq!(vip.holders[0].hosts, ["director"]);
    let router = vip.caches.iter().find(|c| c.host == "router").unwrap();
    assert_eq!(router.owners[0].1, "director");
    assert_eq!(router.changes(), 0);
}

#[test]
fn a_probe_leaves_no_timers_behind_and_takes_no_memory() {
    // nothing is lost: an exchange is the start, the ways there and back, the work; and a wake-up for the
    // patience of a slot, of which there is one at a time
    let events = |seconds: u64, timeout: u64| {
        let mut config = quiet_pair(Transport::Udp, &[]);
        config.connections = false;
        config.duration = Span::from_secs(seconds);
        let probe = &mut config.hosts[0].clients[0];
        probe.load = Load::Open { gap: Dist::Constant(1.0) };
        probe.timeout = Some(Span::from_secs(timeout));
        let mut world = World::build(&config).unwrap();
        while world.run(100) {
            assert!(world.memory().sessions <= 1 && world.memory().packets <= 4);
        }
        assert!(world.now() >= s(seconds as f64));
        world.events()
    };
    // four events and a fifth of a wake-up a second
    assert_eq!(events(2000, 5) - events(1000, 5), 4_200);
}

fn between(from: u64, to: u64, what: FaultKind) -> FaultConfig {
    FaultConfig {
        name: "fault".into(),
        what,
        when: FaultStart::At(vec![Span::from_secs(from)]),
        end: FaultEnd::At(Span::from_secs(to)),
    }
}

fn steps(vip: &VipObservation) -> Vec<String> {
    vip.holders.iter().map(|h| h.hosts.join("+")).collect()
}

#[test]
fn a_frozen_director_is_an_outage_until_the_other_one_holds_the_vip() {
    let mut config = pair(100, 47, 30);
    let freeze = FaultKind::Freeze { hosts: vec!["d1".into()], ring: 256 };
    config.faults = vec![between(10, 20, freeze)];
    let o = run(&config);
    let vip = &o.vips[0];
    assert_eq!((steps(vip)[..4].join(" "), vip.extremes().0), (" d1  d2".to_owned(), 0));
    let takeover = vip.holders[3].time;
    // the first request after ten seconds, and the first one after the takeover
    let outage = &o.availability[0].outages[1];
    assert_eq!(outage.begin, s(10.007));
    assert!(outage.end >= takeover && outage.end < takeover + Span::from_millis(50), "{outage:?}");
    assert_eq!(outage.lost(), (outage.end - outage.begin).as_nanos() / 50_000_000);
    let cause = &o.timeline[outage.cause.unwrap() as usize];
    assert_eq!((cause.kind, cause.subject.as_str(), cause.time), (Kind::Fault, "fault", s(10.0)));
    let client = vip.caches.iter().find(|c| c.host == "client").unwrap();
    let owners: Vec<&str> = client.owners.iter().map(|o| o.1.as_str()).collect();
    assert_eq!(owners[..2], ["d1", "d2"]);
}

#[test]
fn adverts_that_are_kept_apart_make_two_holders_and_move_the_caches() {
    let mut config = pair(100, 47, 30);
    let cut = FaultKind::Partition {
        from: vec!["d1".into()],
        to: vec!["d2".into()],
        one_way: false,
        traffic: Traffic::Ip { protocol: 112, port: None },
    };
    config.faults = vec![between(10, 20, cut)];
    let o = run(&config);
    let vip = &o.vips[0];
    assert_eq!(steps(vip), ["", "d1", "d1+d2", "d1"]);
    assert_eq!(vip.extremes(), (0, 2));
    let both = vip.times(o.end)[2].as_secs_f64();
    // from the end of the master down time to the first advert after the cut
    assert!((7.0..7.3).contains(&both), "{both}");
    let client = vip.caches.iter().find(|c| c.host == "client").unwrap();
    let owners: Vec<&str> = client.owners.iter().map(|o| o.1.as_str()).collect();
    assert_eq!((owners, client.changes()), (vec!["d1", "d2", "d1"], 2));
    assert_eq!(o.availability[0].outages.len(), 1, "only before the first master");
}
