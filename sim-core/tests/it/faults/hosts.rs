//! Hosts that crash, are shut down or freeze.

use super::*;
use sim_core::ipvs::rules::Forwarding;

fn shut(hosts: &[&str], grace_ms: u64) -> FaultKind {
    let grace = Span::from_millis(grace_ms);
    FaultKind::Shutdown { hosts: names(hosts), grace, boot: None }
}

fn freeze(hosts: &[&str], ring: u32) -> FaultKind {
    FaultKind::Freeze { hosts: names(hosts), ring }
}

#[test]
fn a_host_without_power_is_away_until_it_has_booted() {
    let mut config = asking();
    config.hosts[1].boot.time = Dist::Constant(0.3);
    config.faults = vec![fault("crash", crash(&["server"]), 450, 400)];
    let o = run(&config);
    assert_eq!(served(&o), all_but(5..12));
    let expected = [(450, "server", "server", "off"), (1150, "server", "server", "on")];
    assert_eq!(told(&o, Kind::Power), expected);
    assert_eq!(o.servers[0].requests, 13, "what it did before and after counts together");
    assert_eq!(o.packets.in_flight, 0);
}

#[test]
fn two_losses_of_power_are_over_with_the_longer_one_and_a_boot_begins_anew() {
    let mut config = asking();
    config.hosts[1].boot.time = Dist::Constant(0.3);
    config.faults = vec![
        fault("fuse", crash(&["server"]), 450, 400),
        fault("plug", crash(&["server"]), 550, 100),
        // while it boots
        fault("again", crash(&["server"]), 1_000, 50),
    ];
    let o = run(&config);
    assert_eq!(served(&o), all_but(5..14));
    assert_eq!(told(&o, Kind::Power).last(), Some(&(1350, "server", "server", "on")));
    // how it boots may be said by the fault
    let boot = Some(Boot { time: Dist::Constant(0.0), programs: true });
    let what = FaultKind::PowerLoss { hosts: names(&["server"]), switches: Vec::new(), boot };
    config.faults = vec![fault("crash", what, 450, 100)];
    assert_eq!(served(&run(&config)), all_but(5..6));
}

#[test]
fn a_connection_that_its_server_has_forgotten_is_reset_by_the_next_request() {
    let mut config = quiet_pair(Transport::Tcp, &[400]);
    config.duration = Span::from_secs(2);
    let c = &mut config.hosts[0].clients[0];
    (c.requests, c.think) = (Dist::Constant(2.0), Dist::Constant(0.3));
    (c.closer, c.timeout) = (Closer::Client, None);
    config.hosts[1].servers[0].closer = Closer::Client;
    assert_eq!(answers(&run(&config)), ["server"]);
    config.faults = vec![fault("crash", crash(&["server"]), 450, 100)];
    let o = run(&config);
    assert_eq!(answers(&o), ["reset"]);
    // nothing was sent when it crashed: the client learns of it by its own request
    assert!((700..710).contains(&(rows(&o)[0].end.as_nanos() / 1_000_000)));
    assert_eq!(o.clients[0].requests_served, 1);
}

#[test]
fn the_conversations_of_a_client_host_fail_with_it_and_nobody_asks_while_it_is_off() {
    let mut config = asking();
    config.hosts[1].servers[0].service = Dist::Constant(0.02);
    config.faults = vec![fault("crash", crash(&["client"]), 410, 440)];
    let o = run(&config);
    let all = answers(&o);
    // the starts at 500 to 800 ms did not happen
    assert_eq!(all.len(), 16);
    assert_eq!(all.iter().position(|a| a == "reset"), Some(4));
    assert_eq!(all.iter().filter(|a| *a == "server").count(), 15);
    assert_eq!(rows(&o)[5].start.as_nanos(), 900_000_000);
    // users of a closed loop come back
    let mut config = quiet_pair(Transport::Tcp, &[]);
    config.duration = Span::from_secs(2);
    config.hosts[0].clients[0].load = Load::Closed { users: 3, think: Dist::Constant(0.1) };
    config.faults = vec![fault("crash", crash(&["client"]), 410, 440)];
    let o = run(&config);
    assert!(rows(&o).iter().all(|r| !(410..850).contains(&(r.start.as_nanos() / 1_000_000))));
    let late = rows(&o).iter().filter(|r| r.start.as_nanos() > 1_500_000_000).count();
    assert!(late >= 9, "{late} of three users in half a second");
}

#[test]
fn a_frozen_host_lets_frames_wait_and_answers_when_it_goes_on() {
    let mut config = asking();
    config.hosts[0].clients[0].timeout = Some(Span::from_secs(1));
    config.faults = vec![fault("freeze", freeze(&["server"], 256), 450, 400)];
    let o = run(&config);
    assert_eq!(served(&o), all_but(0..0));
    let took = lengths(&o);
    let usual = took[0];
    for (n, late_ms) in [(4, 0), (5, 350), (6, 250), (7, 150), (8, 50), (9, 0)] {
        // the answers leave one behind the other; the way there is behind them already
        let over = took[n] as i64 - (usual + late_ms * 1_000_000) as i64;
        assert!(over.abs() < 55_000, "request {n} is {over} ns off");
    }
    let expected = [(450, "server", "server", "frozen"), (850, "server", "server", "running")];
    assert_eq!(told(&o, Kind::Power), expected);
}

#[test]
fn the_ring_of_a_frozen_host_is_bounded() {
    let mut config = asking();
    config.hosts[0].clients[0].timeout = Some(Span::from_secs(1));
    config.faults = vec![fault("freeze", freeze(&["server"], 3), 450, 400)];
    let o = run(&config);
    assert_eq!(served(&o), all_but(8..9));
    assert_eq!(dropped(&o, "server", "ring_full"), 1);
}

#[test]
fn work_that_was_begun_goes_on_where_it_stopped() {
    for discipline in [Discipline::Fifo, Discipline::ProcessorSharing] {
        let mut config = quiet_pair(Transport::Udp, &[400]);
        config.duration = Span::from_secs(1);
        let s = &mut config.hosts[1].servers[0];
        (s.service, s.discipline) = (Dist::Constant(0.1), discipline);
        config.faults = vec![fault("freeze", freeze(&["server"], 256), 450, 400)];
        let took = lengths(&run(&config))[0];
        assert!((500_000_000..500_200_000).contains(&took), "{discipline:?}: {took}");
    }
}

#[test]
fn the_timers_of_a_frozen_host_are_late_but_what_came_in_time_counts() {
    let mut config = asking();
    config.hosts[1].servers[0].service = Dist::Constant(0.08);
    config.faults = vec![fault("freeze", freeze(&["client"], 256), 450, 400)];
    let o = run(&config);
    // the answer of the fifth came at 480 ms, its patience ended at 490 ms; both are seen at 850 ms
    assert_eq!(served(&o), all_but(0..0));
    assert_eq!(lengths(&o)[4], 450_000_000);
    // with a ring for no frame the answer is lost, and the time-out is late
    config.faults = vec![fault("freeze", freeze(&["client"], 0), 450, 400)];
    let o = run(&config);
    assert_eq!(served(&o).len(), 19);
    assert_eq!(lengths(&o)[4], 450_000_000);
    assert_eq!(rows(&o).len(), 20, "the starts that it missed are late, not gone");
}

#[test]
fn a_frozen_host_retransmits_late() {
    let mut config = quiet_pair(Transport::Tcp, &[400]);
    config.duration = Span::from_secs(1);
    config.hosts[0].clients[0].timeout = None;
    // the SYN is lost, its retransmission would be at 1.4 s
    config.faults = vec![
        fault("cable", down(&["client:eth0--server:eth0"]), 350, 100),
        fault("freeze", freeze(&["client"], 256), 1_000, 2_000),
    ];
    let o = run(&config);
    assert_eq!(answers(&o), ["server"]);
    assert!((3_000..3_010).contains(&(rows(&o)[0].connected.as_nanos() / 1_000_000)));
}

#[test]
fn freezes_and_crashes_nest() {
    let mut config = asking();
    config.hosts[0].clients[0].timeout = Some(Span::from_millis(90));
    config.faults = vec![
        fault("freeze", freeze(&["server"], 256), 450, 700),
        fault("freeze more", freeze(&["server"], 256), 550, 100),
        fault("crash", crash(&["server"]), 650, 100),
        // a cable that is pulled and put back meanwhile
        fault("cable", down(&["client:eth0--server:eth0"]), 850, 100),
    ];
    let o = run(&config);
    assert_eq!(served(&o), all_but(5..11));
    let words: Vec<_> = told(&o, Kind::Power).iter().map(|e| (e.0, e.3)).collect();
    let expected = [(450, "frozen"), (650, "off"), (750, "on"), (750, "frozen"), (1150, "running")];
    assert_eq!(words, expected);
    assert!(dropped(&o, "server", "host_down") >= 2, "what waited in the ring is gone");
    assert_eq!(o.packets.in_flight, 0);
}

#[test]
fn a_host_that_is_shut_down_says_good_bye_and_one_that_crashes_does_not() {
    let mut config = quiet_pair(Transport::Tcp, &[400]);
    config.duration = Span::from_secs(3);
    config.hosts[0].clients[0].timeout = Some(Span::from_secs(2));
    config.hosts[1].servers[0].service = Dist::Constant(0.5);
    config.faults = vec![fault("stop", shut(&["server"], 200), 450, 1000)];
    let o = run(&config);
    let end = rows(&o)[0].end.as_nanos() / 1_000_000;
    assert_eq!((&answers(&o)[0][..], end), ("reset", 450), "the end of file comes at once");
    let power = told(&o, Kind::Power);
    assert_eq!(power, [(650, "server", "server", "off"), (1450, "server", "server", "on")]);
    config.faults = vec![fault("crash", crash(&["server"]), 450, 1000)];
    let o = run(&config);
    let end = rows(&o)[0].end.as_nanos() / 1_000_000;
    assert_eq!((&answers(&o)[0][..], end), ("timed_out", 2_400));
    // a reboot that is over before the grace is: off and on at once
    config.faults = vec![fault("reboot", shut(&["server"], 200), 450, 100)];
    let power = run(&config);
    let words: Vec<_> = told(&power, Kind::Power).iter().map(|e| (e.0, e.3)).collect();
    assert_eq!(words, [(550, "off"), (550, "on")]);
}

#[test]
fn a_director_forgets_its_connections_and_has_its_rules_again() {
    let starts: Vec<u64> = (0..40).map(|n| n * 50).collect();
    let mut config = cluster(Forwarding::Nat, Transport::Tcp, 80);
    config.duration = Span::from_secs(2);
    config.hosts[0].clients[0].load =
        Load::At(starts.iter().map(|&ms| Span::from_millis(ms)).collect());
    config.hosts[0].clients[0].timeout = Some(Span::from_secs(20));
    config.faults = vec![fault("crash", crash(&["director"]), 1_005, 500)];
    let at = |ms| Operation {
        at: Some(Span::from_millis(ms)),
        host: "director".into(),
        task: OperatorTask::Snapshot { connections: true },
    };
    config.operations = vec![at(1_000), at(1_200), at(1_506)];
    let o = run(&config);
    // nobody can look at a machine without power
    let entries: Vec<_> = o.snapshots.iter().map(|s| (s.operation, s.connections.len())).collect();
    assert_eq!(entries, [(0, 20), (2, 0)]);
    assert_eq!(o.snapshots[1].services.len(), 1);
    assert_eq!(o.snapshots[1].services[0].destinations.len(), 2);
    // all get through in the end, by retransmissions, and are counted across the crash
    assert!(o.clients[0].connections_served >= 38, "{}", o.clients[0].connections_served);
    assert!(o.directors[0].connections >= 40, "{}", o.directors[0].connections);
    let to_servers: u64 = o.directors[0].destinations.iter().map(|d| d.connections).sum();
    assert_eq!(to_servers, o.directors[0].connections);
    assert_eq!(o.packets.in_flight, 0);
}

#[test]
fn a_host_that_boots_announces_itself_if_it_is_set_to() {
    let mut config = asking();
    config.hosts[1].interfaces[0].sysctl.arp_notify = true;
    let quiet = run(&config).arp_hops;
    config.faults = vec![fault("crash", crash(&["server"]), 450, 100)];
    assert_eq!(run(&config).arp_hops, quiet + 1);
    // it is announced after a freeze if the cable was put back meanwhile
    config.faults = vec![
        fault("freeze", freeze(&["server"], 256), 450, 700),
        fault("cable", down(&["client:eth0--server:eth0"]), 550, 100),
    ];
    assert_eq!(run(&config).arp_hops, quiet + 1);
}

#[test]
fn a_busy_cpu_makes_packets_and_requests_dearer() {
    let mut config = asking();
    config.hosts[1].cpu = Some(CpuConfig {
        other: Span::from_micros(10),
        nat: Span::ZERO,
        dr: Span::ZERO,
        tun: Span::ZERO,
        backlog: 1000,
    });
    let busy = |factor| FaultKind::BusyCpu { hosts: names(&["server"]), factor };
    config.faults = vec![fault("one", busy(2.0), 450, 500), fault("other", busy(3.0), 650, 100)];
    let took = lengths(&run(&config));
    let usual = took[0];
    assert_eq!(took[4], usual);
    assert_eq!(
        took[5],
        usual + 1_000_000,
        "the work of a request; the packet is judged when it comes"
    );
    assert_eq!(took[7], usual + 5_000_000);
    assert_eq!(took[8], usual + 1_000_000);
    assert_eq!(took[10], usual);
}
