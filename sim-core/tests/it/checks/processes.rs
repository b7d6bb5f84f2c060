//! The life of the checker process.

use super::*;
use sim_core::engine::Dist;
use sim_core::hosts::daemon::{Order, Process};
use sim_core::ipvs::Command;

fn order(world: &mut World, order: Order) {
    world.at_host(DIRECTOR, |h, fab| h.order(fab, Process::Keepalived, order));
}

fn tcp() -> WorldConfig {
    checked(Transport::Tcp, &CheckerKind::Tcp)
}

/// The cable of the first real server goes down.
fn cut(config: &mut WorldConfig, s: u64) {
    config.link_events.push(event(s * 1000, "rs1:eth0--sw", false));
}

#[test]
fn a_clean_stop_takes_the_service_away_and_a_kill_leaves_it_for_ever() {
    let mut world = build(&tcp());
    run_to(&mut world, 10.0);
    order(&mut world, Order::Stop);
    assert!(world.snapshot(DIRECTOR).expect("a director").services.is_empty());
    order(&mut world, Order::Start);
    assert_eq!(members(&mut world).len(), 2);
    let mut config = tcp();
    cut(&mut config, 20);
    let mut world = build(&config);
    let mut now = 11.0;
    while world.hosts()[DIRECTOR].daemons.probes.live() == 0 {
        now += 20e-6;
        run_to(&mut world, now);
        assert!(now < 12.0, "there is a check every second");
    }
    order(&mut world, Order::Kill);
    assert_eq!(world.hosts()[DIRECTOR].daemons.probes.live(), 0);
    run_to(&mut world, 300.0);
    assert_eq!(members(&mut world), [(rip(1), 1), (rip(2), 1)]);
    // started again it finds its service there, and looks after it as before
    order(&mut world, Order::Start);
    run_to(&mut world, 330.0);
    assert_eq!(members(&mut world), [(rip(2), 1)]);
    let processes: Vec<_> = told(&mut world, Kind::Process, 0.0).into_iter().map(|p| p.2).collect();
    assert_eq!(processes, ["started", "killed", "started"]);
}

#[test]
fn a_frozen_process_notices_nothing_until_it_goes_on() {
    let mut config = tcp();
    cut(&mut config, 20);
    let mut world = build(&config);
    run_to(&mut world, 15.0);
    order(&mut world, Order::Freeze);
    run_to(&mut world, 100.0);
    assert_eq!(members(&mut world).len(), 2);
    order(&mut world, Order::Thaw);
    run_to(&mut world, 110.0);
    assert_eq!(members(&mut world), [(rip(2), 1)]);
    // asked at 100 in one go, so 3 + 1 + 3 s later
    let removed = told(&mut world, Kind::Pool, 50.0);
    assert!((removed[0].0 - 107.0).abs() < 0.1, "{removed:?}");
}

#[test]
fn an_answer_that_came_while_the_process_was_frozen_counts_although_its_time_is_over() {
    let mut config = tcp();
    for direction in &mut config.links[2].directions {
        direction.latency = secs(0.1);
    }
    let mut world = build(&config);
    run_to(&mut world, 1.25);
    assert_eq!(world.hosts()[DIRECTOR].daemons.probes.live(), 2);
    order(&mut world, Order::Freeze);
    run_to(&mut world, 60.0);
    order(&mut world, Order::Thaw);
    run_to(&mut world, 70.0);
    assert_eq!(members(&mut world).len(), 2);
    assert!(told(&mut world, Kind::Check, 0.0).is_empty());
}

#[test]
fn a_frozen_process_that_is_told_to_stop_does_so_when_it_goes_on() {
    let mut world = build(&tcp());
    run_to(&mut world, 5.0);
    order(&mut world, Order::Freeze);
    order(&mut world, Order::Stop);
    assert_eq!(members(&mut world).len(), 2);
    order(&mut world, Order::Start);
    order(&mut world, Order::Thaw);
    assert!(members(&mut world).is_empty());
    let processes: Vec<_> = told(&mut world, Kind::Process, 0.0).into_iter().map(|p| p.2).collect();
    assert_eq!(processes, ["started", "frozen", "stopped"]);
    order(&mut world, Order::Kill);
    order(&mut world, Order::Thaw);
    assert_eq!(told(&mut world, Kind::Process, 0.0).len(), 3, "nobody is there to be told");
}

#[test]
fn what_others_put_into_ipvs_stays_unless_everything_is_flushed() {
    for (flush, left) in [(FlushOnStop::No, 1), (FlushOnStop::All, 0)] {
        let mut config = tcp();
        config.hosts[DIRECTOR].keepalived.as_mut().unwrap().check.flush_on_stop = flush;
        let mut world = build(&config);
        run_to(&mut world, 5.0);
        let key = ServiceKey::Fwmark { mark: 7, v6: false };
        world.change_rules(DIRECTOR, &Command::AddService(ServiceRule::new(key))).unwrap();
        order(&mut world, Order::Stop);
        assert_eq!(world.snapshot(DIRECTOR).expect("a director").services.len(), left);
    }
}

#[test]
fn a_host_without_keepalived_is_not_told_anything() {
    let mut config = tcp();
    config.hosts[DIRECTOR].keepalived = None;
    let mut world = build(&config);
    order(&mut world, Order::Start);
    order(&mut world, Order::Kill);
    assert!(told(&mut world, Kind::Process, 0.0).is_empty());
    assert!(world.hosts()[DIRECTOR].checks().is_none());
}

#[test]
fn a_director_that_boots_starts_its_checks_at_another_phase() {
    let mut config = tcp();
    for server in &mut pool(&mut config).servers {
        server.checkers[0].phase = None;
        server.checkers[0].warmup = secs(20.0);
        server.checkers[0].alpha = true;
    }
    config.faults = vec![FaultConfig {
        name: "crash".into(),
        when: FaultStart::At(vec![secs(100.0), secs(200.0)]),
        end: FaultEnd::After(Dist::Constant(5.0)),
        what: FaultKind::PowerLoss {
            hosts: vec!["director".into()],
            switches: Vec::new(),
            boot: None,
        },
    }];
    let mut world = build(&config);
    run_to(&mut world, 300.0);
    let first: Vec<f64> = told(&mut world, Kind::Check, 0.0).iter().map(|c| c.0).collect();
    assert_eq!(first.len(), 6, "{first:?}");
    let after_start = [first[0], first[2] - first[0], first[4] - first[2]];
    assert!(after_start.windows(2).all(|w| (w[0] - w[1]).abs() > 0.01), "{after_start:?}");
}
