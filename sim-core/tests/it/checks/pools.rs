//! Servers that die and come back, seen by the pool of the director.

use super::*;
use sim_core::hosts::server::Health;

/// A world in which the cables of some real servers are down for a while: which, from, to (seconds).
fn cut(config: &mut WorldConfig, rs: u8, from: f64, to: f64) {
    for (s, up) in [(from, false), (to, true)] {
        config.link_events.push(event((s * 1000.0) as u64, &format!("rs{rs}:eth0--sw"), up));
    }
}

fn tcp() -> WorldConfig {
    checked(Transport::Tcp, &CheckerKind::Tcp)
}

/// What the pool went through: seconds, `11=removed`.
fn changes(world: &mut World, since: f64) -> Vec<(f64, String)> {
    let short = |(at, subject, value): (f64, String, String)| {
        let server = subject.rsplit(' ').next().unwrap_or_default();
        let server = server.trim_start_matches("192.168.10.").trim_end_matches(":80");
        (at, format!("{server}={value}"))
    };
    told(world, Kind::Pool, since).into_iter().map(short).collect()
}

fn words(changes: &[(f64, String)]) -> Vec<&str> {
    changes.iter().map(|c| c.1.as_str()).collect()
}

#[test]
fn at_the_start_the_pool_is_as_configured_before_any_check() {
    let mut world = build(&tcp());
    run_to(&mut world, 0.5);
    assert_eq!(members(&mut world), [(rip(1), 1), (rip(2), 1)]);
    assert_eq!(told(&mut world, Kind::Service, 0.0).len(), 2);
    assert_eq!(told(&mut world, Kind::Process, 0.0).len(), 1);
}

#[test]
fn a_cable_that_is_cut_is_noticed_by_time_outs_and_one_success_brings_the_server_back() {
    // as in a recording with a period of 2 s and a time-out of 3 s: down 3 + 1 + 3 s after the first
    // check that gets no answer
    let mut config = tcp();
    cut(&mut config, 1, 10.0, 30.0);
    let mut world = build(&config);
    run_to(&mut world, 60.0);
    let all = changes(&mut world, 1.0);
    assert_eq!(words(&all), ["11=removed", "11=1"]);
    // checks at 1.1, 3.1, ... 9.1, 11.1
    assert!((all[0].0 - 18.1).abs() < 0.01, "{all:?}");
    assert!((30.0..32.1 + 3.0).contains(&all[1].0), "{all:?}");
    assert_eq!(members(&mut world), [(rip(2), 1), (rip(1), 1)]);
}

#[test]
fn a_port_that_closes_is_noticed_after_one_retry() {
    let mut world = build(&tcp());
    run_to(&mut world, 10.0);
    world.at_host(RS1, |h, fab| {
        h.set_health(fab, 0, Health { running: false, ..Health::default() }, false);
    });
    run_to(&mut world, 20.0);
    let all = changes(&mut world, 1.0);
    assert_eq!(words(&all), ["11=removed"]);
    // check at 11.1, retried a second later
    assert!((all[0].0 - 12.1).abs() < 0.01, "{all:?}");
    let checks = told(&mut world, Kind::Check, 1.0);
    assert_eq!(checks[0].2, "refused");
    world.at_host(RS1, |h, fab| h.set_health(fab, 0, Health::default(), false));
    run_to(&mut world, 23.0);
    assert_eq!(words(&changes(&mut world, 20.0)), ["11=1"]);
}

#[test]
fn when_all_are_gone_the_sorry_server_serves() {
    let mut config = tcp();
    let mut third = config.hosts[RS1].clone();
    third.name = "rs3".into();
    third.interfaces[0].addresses = vec![address(rip(3), 24)];
    config.hosts.push(third);
    config.links.push(link("rs3:eth0", "sw"));
    pool(&mut config).sorry =
        Some(SorryConfig { rule: ServerRule::new(rip(3), 80), inhibit: false });
    // requests once a second
    config.hosts[0].clients =
        vec![client(Transport::Tcp, 80, &(1..60).map(|s| s * 1000 + 500).collect::<Vec<_>>())];
    cut(&mut config, 1, 10.0, 40.0);
    cut(&mut config, 2, 10.0, 50.0);
    config.duration = secs(60.0);
    config.drain = secs(60.0);
    let mut world = build(&config);
    run_to(&mut world, 60.0);
    let all = changes(&mut world, 1.0);
    let expected = ["11=removed", "12=removed", "13=1", "13=removed", "11=1", "12=1"];
    assert_eq!(words(&all), expected);
    while world.run(10_000) {}
    let answers = answers(&world.finish());
    assert_eq!(answers[..8].iter().filter(|a| *a == "rs1").count(), 4);
    assert!(answers[20..38].iter().all(|a| a == "rs3"), "{answers:?}");
}

#[test]
fn an_inhibited_server_keeps_its_place_with_weight_0() {
    let mut config = tcp();
    pool(&mut config).servers[0].inhibit = true;
    cut(&mut config, 1, 10.0, 30.0);
    let mut world = build(&config);
    run_to(&mut world, 25.0);
    assert_eq!(members(&mut world), [(rip(1), 0), (rip(2), 1)]);
    run_to(&mut world, 60.0);
    assert_eq!(members(&mut world), [(rip(1), 1), (rip(2), 1)]);
}

#[test]
fn a_quorum_with_hysteresis_is_gained_later_than_it_is_lost() {
    let mut config = tcp();
    // lost below 2 - 1 = 1, so with none left; gained with 3: weights 2 and 1
    let pool = pool(&mut config);
    (pool.quorum, pool.hysteresis) = (2, 1);
    pool.servers[0].rule.weight = 2;
    cut(&mut config, 1, 10.0, 100.0);
    cut(&mut config, 2, 30.0, 70.0);
    let mut world = build(&config);
    run_to(&mut world, 200.0);
    let quorum: Vec<_> = told(&mut world, Kind::Service, 1.0);
    let [(lost, _, what), (gained, _, again)] = &quorum[..] else { panic!("{quorum:?}") };
    assert_eq!((what.as_str(), again.as_str()), ("quorum lost", "quorum gained"));
    // not at 17 s, when 1 is left, but with the second; not at 71 s, when 1 is back
    assert!((35.0..40.0).contains(lost) && (100.0..106.0).contains(gained), "{quorum:?}");
}

#[test]
fn with_alpha_a_server_is_in_the_pool_from_its_first_success_on() {
    let mut config = tcp();
    for server in &mut pool(&mut config).servers {
        server.checkers[0].alpha = true;
    }
    cut(&mut config, 1, 0.0, 20.0);
    let mut world = build(&config);
    run_to(&mut world, 0.9);
    assert_eq!(members(&mut world), []);
    run_to(&mut world, 10.0);
    assert_eq!(members(&mut world), [(rip(2), 1)]);
    run_to(&mut world, 30.0);
    assert_eq!(members(&mut world), [(rip(2), 1), (rip(1), 1)]);
}

#[test]
fn a_dead_server_without_checker_stays() {
    let mut config = tcp();
    pool(&mut config).servers[0].checkers.clear();
    cut(&mut config, 1, 10.0, 100.0);
    let mut world = build(&config);
    run_to(&mut world, 99.0);
    assert_eq!(members(&mut world), [(rip(1), 1), (rip(2), 1)]);
}

#[test]
fn a_session_that_goes_down_takes_its_server_out_at_once() {
    let mut config = tcp();
    pool(&mut config).servers[0].checkers = vec![checker(CheckerKind::Bfd("rs1".into()), 1)];
    let mut world = build(&config);
    run_to(&mut world, 5.0);
    world.at_host(DIRECTOR, |h, fab| h.checker_session(fab, "rs1", false));
    assert_eq!(members(&mut world), [(rip(2), 1)]);
    world.at_host(DIRECTOR, |h, fab| h.checker_session(fab, "rs1", true));
    assert_eq!(members(&mut world), [(rip(2), 1), (rip(1), 1)]);
}

/// What the first check of a server finds that is harmed from 10 s on, and when.
fn harmed(kind: &CheckerKind, health: Health) -> Option<(f64, String)> {
    let mut world = build(&checked(Transport::Tcp, kind));
    run_to(&mut world, 10.0);
    world.at_host(RS1, |h, fab| h.set_health(fab, 0, health, false));
    run_to(&mut world, 40.0);
    told(&mut world, Kind::Check, 10.0).into_iter().next().map(|c| (c.0, c.2))
}

#[test]
fn a_server_that_hangs_accepts_connections_but_answers_no_request() {
    let hung = Health { answers: false, ..Health::default() };
    let urls = vec![UrlConfig::new("/")];
    let http =
        |tls| CheckerKind::Http(HttpConfig { tls, urls: urls.clone(), fast_recovery: false });
    assert_eq!(harmed(&CheckerKind::Tcp, hung), None);
    for kind in [http(false), http(true), CheckerKind::Smtp { hosts: Vec::new() }] {
        let (_, what) = harmed(&kind, hung).expect("a failure");
        assert_eq!(what, "timed out", "{kind:?}");
    }
    let (_, what) = harmed(&http(true), Health { status: 500, ..Health::default() }).expect("one");
    assert_eq!(what, "status 500");
    // a page takes 1 ms: 2000 times as long is less than 3 s, 4000 times is more
    assert_eq!(harmed(&http(false), Health { factor: 2000.0, ..Health::default() }), None);
    let (_, what) =
        harmed(&http(false), Health { factor: 4000.0, ..Health::default() }).expect("one");
    assert_eq!(what, "timed out");
}

#[test]
fn with_ha_suspend_nobody_is_asked_while_the_address_is_elsewhere() {
    let mut config = tcp();
    pool(&mut config).ha_suspend = true;
    config.hosts[DIRECTOR].interfaces[0].addresses.pop();
    cut(&mut config, 1, 5.0, 100.0);
    let mut world = build(&config);
    run_to(&mut world, 60.0);
    assert_eq!(members(&mut world), [(rip(1), 1), (rip(2), 1)]);
    assert_eq!(world.hosts()[RS1 + 1].tcp.counters().passive_opens, 0);
    world.at_host(DIRECTOR, |h, fab| {
        h.ip.add_address(&mut fab.book, 0, address(VIP, 32), false);
        h.checker_address(VIP, true);
    });
    run_to(&mut world, 70.0);
    assert_eq!(members(&mut world), [(rip(2), 1)]);
    assert!(world.hosts()[RS1 + 1].tcp.counters().passive_opens > 3);
}
