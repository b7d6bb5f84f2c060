//! Server applications that die, hang, freeze, are slow or answer otherwise.

use super::*;
use sim_core::world::World;

fn harm(harm: ApplicationHarm) -> FaultKind {
    FaultKind::Application { hosts: names(&["server"]), port: Some(80), harm }
}

/// TCP connections every 100 ms for two seconds; each is answered after 20 ms.
fn connecting() -> WorldConfig {
    let points: Vec<u64> = (0..20).map(|n| n * 100).collect();
    let mut config = quiet_pair(Transport::Tcp, &points);
    config.duration = Span::from_secs(2);
    config.drain = Span::from_secs(10);
    config.hosts[1].servers[0].service = Dist::Constant(0.02);
    config
}

#[test]
fn a_process_that_dies_resets_its_connections_and_its_port_refuses() {
    for discipline in [Discipline::Fifo, Discipline::ProcessorSharing] {
        let mut config = connecting();
        config.hosts[1].servers[0].discipline = discipline;
        config.faults = vec![fault("dead", harm(ApplicationHarm::Kill), 410, 440)];
        let o = run(&config);
        let all = answers(&o);
        assert_eq!(
            all[3..10],
            ["server", "reset", "refused", "refused", "refused", "refused", "server"]
        );
        assert_eq!(rows(&o)[4].end.as_nanos() / 1_000_000, 410, "at once");
        assert_eq!(o.servers[0].requests, 15);
        let expected =
            [(410, "server", "server :80", "killed"), (850, "server", "server :80", "started")];
        assert_eq!(told(&o, Kind::Process), expected);
        assert_eq!(o.packets.in_flight, 0);
    }
}

#[test]
fn a_dead_process_is_dead_until_no_fault_keeps_it_so() {
    let mut config = connecting();
    config.faults = vec![
        fault("dead", harm(ApplicationHarm::Kill), 450, 400),
        fault("dead again", harm(ApplicationHarm::Kill), 650, 400),
        fault("reboot", crash(&["server"]), 730, 40),
    ];
    let all = answers(&run(&config));
    assert_eq!(all.iter().filter(|a| *a == "refused").count(), 6);
    assert_eq!(all[11], "server");
}

#[test]
fn connections_that_wait_to_be_accepted_die_with_the_process() {
    let mut config = connecting();
    let s = &mut config.hosts[1].servers[0];
    (s.service, s.connections) = (Dist::Constant(10.0), 1);
    config.hosts[0].clients[0].timeout = None;
    config.faults = (0..3)
        .map(|n| fault(&format!("dead {n}"), harm(ApplicationHarm::Kill), 450 + n * 500, 10))
        .collect();
    let o = run(&config);
    let reset = answers(&o).iter().filter(|a| *a == "reset").count();
    assert_eq!(reset, 15, "those that began before one of the three deaths");
    assert_eq!(o.packets.in_flight, 0);
}

#[test]
fn a_datagram_to_a_dead_process_is_refused() {
    let mut config = asking();
    config.faults = vec![fault("dead", harm(ApplicationHarm::Kill), 450, 400)];
    let o = run(&config);
    assert_eq!(
        answers(&o)[4..10],
        ["server", "refused", "refused", "refused", "refused", "server"]
    );
}

#[test]
fn a_hung_process_accepts_and_answers_when_it_goes_on() {
    for transport in [Transport::Tcp, Transport::Udp] {
        for discipline in [Discipline::Fifo, Discipline::ProcessorSharing] {
            let mut config = connecting();
            config.hosts[0].clients[0].transport = transport;
            config.hosts[1].servers[0].transport = transport;
            config.hosts[1].servers[0].discipline = discipline;
            let usual = lengths(&run(&config))[0];
            config.faults = vec![fault("hung", harm(ApplicationHarm::Hang), 410, 440)];
            let o = run(&config);
            assert_eq!(served(&o), all_but(0..0));
            let took = lengths(&o);
            // the one in work was done at 420 ms and is answered at 850 ms
            assert!(took[4].abs_diff(usual + 430_000_000) < 1_000_000, "{}", took[4]);
            for (n, &took) in took.iter().enumerate().take(9).skip(5) {
                let from = n as u64 * 100_000_000;
                let expected = 850_000_000 - from + usual;
                // each has a worker of its own
                assert!(took.abs_diff(expected) < 1_000_000, "{n}: {took} {expected}");
            }
            assert!(took[9].abs_diff(usual) < 1_000, "{}", took[9]);
            let connect = |n: usize| (rows(&o)[n].connected - rows(&o)[n].start).as_nanos();
            assert_eq!(connect(6), connect(0), "it accepts");
        }
    }
}

#[test]
fn a_frozen_process_does_not_accept_and_its_backlog_fills() {
    let mut config = connecting();
    config.hosts[1].servers[0].backlog = 1;
    config.hosts[0].clients[0].timeout = Some(Span::from_millis(700));
    config.faults = vec![fault("frozen", harm(ApplicationHarm::Freeze), 450, 400)];
    let o = run(&config);
    // two wait in the accept queue, the SYNs of the others are dropped and come again after a second
    let all = answers(&o);
    assert_eq!(all[4..10], ["server", "server", "server", "timed_out", "timed_out", "server"]);
    config.faults = vec![fault("hung", harm(ApplicationHarm::Hang), 450, 400)];
    assert_eq!(served(&run(&config)), all_but(0..0));
}

#[test]
fn a_slow_process_is_as_slow_as_all_faults_make_it() {
    let mut config = connecting();
    let usual = lengths(&run(&config))[0];
    config.faults = vec![
        fault("slow", harm(ApplicationHarm::Slow(2.0)), 450, 400),
        fault("slower", harm(ApplicationHarm::Slow(1.5)), 550, 200),
        fault("fast", harm(ApplicationHarm::Slow(0.5)), 1_450, 100),
    ];
    let took = lengths(&run(&config));
    let more: Vec<i64> = took.iter().map(|&t| (t as i64 - usual as i64) / 1_000_000).collect();
    assert_eq!(more[4..10], [0, 20, 40, 40, 20, 0]);
    assert_eq!(more[15], -10);
}

#[test]
fn the_last_fault_of_those_that_change_the_status_counts() {
    let mut config = connecting();
    config.faults = vec![
        fault("error", harm(ApplicationHarm::Status(500)), 100, 400),
        fault("busy", harm(ApplicationHarm::Status(503)), 200, 100),
    ];
    let mut world = World::build(&config).expect("a good configuration");
    let mut seen = Vec::new();
    for ms in [50, 150, 250, 350, 550] {
        world.run_until(sim_core::engine::Time::ZERO + Span::from_millis(ms));
        seen.push(world.hosts()[1].servers.applications[0].health().status);
    }
    assert_eq!(seen, [200, 500, 503, 500, 200]);
}
