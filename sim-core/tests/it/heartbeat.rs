//! Two directors under heartbeat: who holds the virtual address, and what clients notice.

mod fencing;
mod ldirectord;

use crate::faults::{crash, down, fault, names, told};
use crate::network::*;
use proptest::prelude::*;
use sim_core::config::*;
use sim_core::engine::Span;
use sim_core::ipvs::rules::Forwarding;
use sim_core::observe::Observations;
use sim_core::observe::timeline::Kind;

const SERVICE: u16 = 80;

/// heartbeat of a director: keepalive 1 s, deadtime 5 s, initdead 10 s, and the address as its resource.
fn heartbeat(node: &str) -> HeartbeatConfig {
    let address = Resource {
        text: "IPaddr::192.168.10.200/24/eth0".into(),
        kind: ResourceKind::Address {
            net: Net::new(VIP, 24),
            interface: Some("eth0".into()),
            announce: Announce::IPADDR,
        },
        fails: false,
    };
    HeartbeatConfig {
        node: node.into(),
        nodes: names(&["lvs1", "lvs2"]),
        media: vec![Medium::Bcast { interface: "eth0".into() }],
        deadtime: Span::from_secs(5),
        warntime: Span::from_secs(3),
        initdead: Span::from_secs(10),
        failback: Failback::Off,
        groups: vec![ResourceGroup { node: "lvs1".into(), resources: vec![address] }],
        key: AuthKey { method: AuthMethod::Sha1, secret: "lvs-secret".into() },
        ..HeartbeatConfig::default()
    }
}

/// Router, client, two real servers (DR) and two directors; a request every 200 ms for so many seconds.
fn two_directors(seconds: u64) -> WorldConfig {
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, SERVICE);
    config.duration = Span::from_secs(seconds);
    config.drain = Span::from_secs(1);
    let at: Vec<u64> = (0..seconds * 5).map(|n| n * 200).collect();
    config.hosts[0].clients = vec![client(Transport::Tcp, SERVICE, &at)];
    config.hosts[0].clients[0].timeout = Some(Span::from_millis(400));
    let mut first = config.hosts[2].clone();
    first.interfaces[0].addresses = vec![address(v4(192, 168, 10, 101), 24)];
    let mut second = first.clone();
    second.interfaces[0].addresses = vec![address(v4(192, 168, 10, 102), 24)];
    for (host, name) in [(&mut first, "lvs1"), (&mut second, "lvs2")] {
        host.name = name.into();
        host.heartbeat = Some(heartbeat(name));
    }
    config.hosts[2] = first;
    config.hosts.push(second);
    config.links[2] = link("lvs1:eth0", "sw");
    config.links.push(link("lvs2:eth0", "sw"));
    config
}

/// The daemons of both directors.
fn both(config: &mut WorldConfig) -> impl Iterator<Item = &mut HeartbeatConfig> {
    config.hosts.iter_mut().filter_map(|h| h.heartbeat.as_mut())
}

/// A second link between the directors, for heartbeats too.
fn crossover(config: &mut WorldConfig) {
    for (name, last) in [("lvs1", 1), ("lvs2", 2)] {
        for host in config.hosts.iter_mut().filter(|h| h.name == name) {
            host.interfaces.push(interface("eth1", vec![address(v4(10, 1, 1, last), 30)]));
        }
    }
    config.links.push(link("lvs1:eth1", "lvs2:eth1"));
    for daemon in both(config) {
        daemon.media.push(Medium::Bcast { interface: "eth1".into() });
    }
}

/// Heartbeats do not come in at a director by a link.
fn deaf(at: &[&str]) -> FaultKind {
    let link = |n: &&str| (format!("{n}:eth0--sw"), Some((*n).to_owned()));
    FaultKind::Impairment {
        links: at.iter().map(link).collect(),
        traffic: Traffic::Ip { protocol: 17, port: Some(HEARTBEAT_PORT) },
        loss: 1.0,
        delay: None,
    }
}

fn program(host: &str, harm: ProgramHarm) -> FaultKind {
    FaultKind::Program { hosts: names(&[host]), process: Process::Heartbeat, harm }
}

/// Who holds the address from when on (milliseconds).
fn holders(o: &Observations) -> Vec<(u64, Vec<&str>)> {
    let vip = o.vips.iter().find(|v| v.address == VIP).expect("the address is watched");
    let of = |h: &sim_core::observe::holders::Holding| h.time.as_nanos() / 1_000_000;
    vip.holders.iter().map(|h| (of(h), h.hosts.iter().map(String::as_str).collect())).collect()
}

/// The holders one after the other, without the beginning.
fn sequence(o: &Observations) -> Vec<Vec<&str>> {
    holders(o).into_iter().map(|h| h.1).skip(1).collect()
}

/// Seconds from a point to the first request after it that was served.
fn back_after(o: &Observations, ms: u64) -> f64 {
    let from = ms * 1_000_000;
    let all = rows(o);
    let failed = all.iter().filter(|r| r.failure.is_some() && r.start.as_nanos() >= from);
    let last = failed.map(|r| r.start.as_nanos()).max().unwrap_or(from);
    (last - from) as f64 / 1e9
}

#[test]
fn a_cold_start_of_both_takes_ten_seconds_and_the_preferred_director_serves() {
    let o = run(&two_directors(20));
    let all = holders(&o);
    assert_eq!(all[0], (0, vec![]));
    assert_eq!(sequence(&o), [["lvs1"]]);
    // 1 s init script, up to 1 s to meet, 10 s pause, 100 + 150 + 150 ms scripts
    assert!((11_400..12_500).contains(&all[1].0), "{all:?}");
    let states = told(&o, Kind::Node);
    assert!(states.iter().any(|s| (s.1, s.2, s.3) == ("lvs1", "lvs2", "active")));
    assert_eq!(told(&o, Kind::Announcement)[0].3, "20");
    assert!(rows(&o).iter().rev().take(30).all(|r| r.failure.is_none()));
}

#[test]
fn a_director_without_power_is_replaced_after_its_dead_time() {
    for phase in [10, 300, 700, 950] {
        let mut config = two_directors(40);
        config.faults = vec![fault("crash", crash(&["lvs1"]), 20_000 + phase, 100_000)];
        let o = run(&config);
        assert_eq!(sequence(&o), [vec!["lvs1"], vec![], vec!["lvs2"]]);
        let dead = told(&o, Kind::Node).iter().find(|s| s.3 == "dead").unwrap().0;
        // a status message every full second
        assert!((25_000..=25_250).contains(&dead), "{dead}");
        // mach_down and the start of the address
        let held = holders(&o)[3].0;
        assert!((dead + 290..=dead + 310).contains(&held), "{held}");
        assert!(back_after(&o, 20_000 + phase) < 6.2);
    }
}

#[test]
fn a_clean_stop_costs_less_than_a_second() {
    let mut config = two_directors(40);
    config.faults = vec![fault("stop", program("lvs1", ProgramHarm::Stop), 20_000, 100_000)];
    let o = run(&config);
    assert_eq!(sequence(&o), [vec!["lvs1"], vec![], vec!["lvs2"]]);
    assert!(back_after(&o, 20_000) < 1.0);
}

#[test]
fn a_director_that_comes_back_gets_the_address_as_auto_failback_says() {
    for (failback, comes_back) in
        [(Failback::Off, false), (Failback::On, true), (Failback::Legacy, true)]
    {
        let mut config = two_directors(60);
        both(&mut config).for_each(|d| d.failback = failback);
        config.faults = vec![fault("crash", crash(&["lvs1"]), 20_000, 15_000)];
        let o = run(&config);
        let mut expected = vec![vec!["lvs1"], vec![], vec!["lvs2"]];
        if comes_back {
            expected.extend([vec![], vec!["lvs1"]]);
        }
        assert_eq!(sequence(&o), expected, "{failback:?}");
    }
}

#[test]
fn a_split_makes_two_holders_and_its_end_takes_the_address_from_both_for_a_while() {
    let mut config = two_directors(80);
    config.faults = vec![fault("split", deaf(&["lvs1", "lvs2"]), 20_000, 15_000)];
    let o = run(&config);
    let all = holders(&o);
    assert_eq!(all[2].1, ["lvs1", "lvs2"]);
    assert!((24_000..26_000).contains(&all[2].0), "{all:?}");
    // both restart: nobody holds it, then the preferred director after a cold start
    let gone = all.iter().position(|h| h.0 > 35_000 && h.1.is_empty()).unwrap();
    assert_eq!(all.last().unwrap().1, ["lvs1"]);
    let away = all[gone + 1].0 - all[gone].0;
    assert!((13_000..16_500).contains(&away), "{away} ms without an address");
    let returned = told(&o, Kind::Node).iter().filter(|s| s.3 == "returned").count();
    assert_eq!(returned, 2);
    // the router's cache follows who announced last
    let vip = o.vips.iter().find(|v| v.address == VIP).unwrap();
    let router = vip.caches.iter().find(|c| c.host == "router").unwrap();
    assert!(router.changes() >= 2, "{:?}", router.owners);
}

#[test]
fn a_director_that_hears_nothing_takes_over_and_later_only_it_restarts() {
    let mut config = two_directors(60);
    config.faults = vec![fault("deaf", deaf(&["lvs2"]), 20_000, 15_000)];
    let o = run(&config);
    assert_eq!(sequence(&o), [vec!["lvs1"], vec!["lvs1", "lvs2"], vec!["lvs1"]]);
    let restarted = told(&o, Kind::Process).iter().filter(|s| s.3 == "stopped").count();
    assert_eq!(restarted, 1);
}

#[test]
fn a_second_link_makes_the_loss_of_the_first_one_harmless() {
    let mut config = two_directors(60);
    crossover(&mut config);
    config.faults = vec![
        fault("split", deaf(&["lvs1", "lvs2"]), 20_000, 15_000),
        fault("cable", down(&["lvs1:eth1--lvs2:eth1"]), 40_000, 12_000),
    ];
    let o = run(&config);
    assert_eq!(sequence(&o), [["lvs1"]]);
    let links: Vec<_> = told(&o, Kind::Medium).iter().map(|m| (m.2, m.3)).collect();
    for link in ["lvs1:eth0", "lvs2:eth0", "lvs1:eth1", "lvs2:eth1"] {
        assert_eq!(links.iter().filter(|l| **l == (link, "dead")).count(), 1, "{link}");
        assert_eq!(links.iter().filter(|l| **l == (link, "up")).count(), 2, "{link}");
    }
}

#[test]
fn a_frozen_daemon_is_late_or_makes_both_restart() {
    let mut config = two_directors(80);
    config.faults = vec![fault("nap", program("lvs1", ProgramHarm::Freeze), 20_000, 4_000)];
    let o = run(&config);
    assert_eq!(sequence(&o), [["lvs1"]]);
    let late: Vec<_> = told(&o, Kind::Node).into_iter().filter(|s| s.3 == "late").collect();
    // it notices that it slept, and that it has not read; the other one that it heard nothing
    let late: Vec<_> = late.iter().map(|l| (l.1, l.2)).collect();
    assert_eq!(late, [("lvs1", "lvs1"), ("lvs1", "lvs2"), ("lvs2", "lvs1")]);
    config.faults = vec![fault("sleep", program("lvs1", ProgramHarm::Freeze), 20_000, 12_000)];
    let o = run(&config);
    let all = sequence(&o);
    assert_eq!(all[1], ["lvs1", "lvs2"]);
    assert!(all.contains(&vec![]));
    assert_eq!(all.last().unwrap(), &["lvs1"]);
    assert_eq!(told(&o, Kind::Node).iter().filter(|s| s.3 == "returned").count(), 2);
}

#[test]
fn a_watchdog_resets_a_director_whose_daemon_stands_still() {
    let mut config = two_directors(60);
    both(&mut config).for_each(|d| d.watchdog = true);
    config.faults = vec![fault("sleep", program("lvs1", ProgramHarm::Freeze), 20_500, 12_000)];
    let o = run(&config);
    assert_eq!(told(&o, Kind::Power)[0].0, 25_010);
    assert!(sequence(&o).iter().all(|h| h.len() < 2), "{:?}", holders(&o));
    config.faults = vec![fault("death", program("lvs1", ProgramHarm::Kill), 20_500, 2_000)];
    let o = run(&config);
    assert!(told(&o, Kind::Power).is_empty(), "it was started again in time");
}

#[test]
fn different_keys_make_two_holders_for_ever() {
    let mut config = two_directors(40);
    both(&mut config).last().unwrap().key.secret = "typing error".into();
    let o = run(&config);
    assert_eq!(holders(&o).last().unwrap().1, ["lvs1", "lvs2"]);
    assert!(!told(&o, Kind::Node).iter().any(|s| s.3 == "active"));
}

#[test]
fn a_killed_daemon_leaves_the_address_and_there_are_two_holders() {
    let mut config = two_directors(40);
    config.faults = vec![fault("kill", program("lvs1", ProgramHarm::Kill), 20_000, 100_000)];
    let o = run(&config);
    assert_eq!(sequence(&o), [vec!["lvs1"], vec!["lvs1", "lvs2"]]);
}

#[test]
fn an_address_on_an_interface_that_does_not_exist_is_held_by_nobody() {
    let mut config = two_directors(80);
    for daemon in both(&mut config) {
        let resource = &mut daemon.groups[0].resources[0];
        if let ResourceKind::Address { interface, .. } = &mut resource.kind {
            *interface = Some("eth1".into());
        }
    }
    // as it happens the other director has such an interface
    let host = config.hosts.iter_mut().find(|h| h.name == "lvs2").unwrap();
    host.interfaces.push(interface("eth1", vec![address(v4(10, 1, 1, 2), 30)]));
    let o = run(&config);
    assert_eq!(told(&o, Kind::Resource).iter().filter(|r| r.3 == "failed").count(), 1);
    assert!(told(&o, Kind::Address).is_empty());
}

#[test]
fn messages_go_by_multicast_and_to_single_addresses_too() {
    let media: [fn(&str) -> Medium; 2] = [
        |_| Medium::Mcast {
            interface: "eth0".into(),
            group: v4(225, 0, 0, 1),
            port: HEARTBEAT_PORT,
            ttl: 1,
        },
        |node| Medium::Ucast {
            interface: "eth0".into(),
            peer: v4(192, 168, 10, if node == "lvs1" { 102 } else { 101 }),
        },
    ];
    for medium in media {
        let mut config = two_directors(40);
        both(&mut config).for_each(|d| d.media = vec![medium(&d.node)]);
        config.faults = vec![fault("crash", crash(&["lvs1"]), 20_000, 100_000)];
        let o = run(&config);
        assert_eq!(sequence(&o), [vec!["lvs1"], vec![], vec!["lvs2"]]);
        assert_eq!(o.packets.in_flight, 0);
    }
}

#[test]
fn ping_nodes_are_told_and_nothing_follows_from_them() {
    let mut config = two_directors(60);
    for daemon in both(&mut config) {
        daemon.pings = vec![PingNode { name: "gate".into(), addresses: vec![ROUTER, rip(9)] }];
        daemon.deadping = Span::from_secs(4);
    }
    config.faults = vec![fault("router", crash(&["router"]), 20_500, 15_000)];
    let o = run(&config);
    assert_eq!(sequence(&o), [["lvs1"]]);
    let gate: Vec<_> = told(&o, Kind::Node).into_iter().filter(|n| n.2 == "gate").collect();
    let of = |host| gate.iter().filter(|g| g.1 == host).map(|g| (g.0 / 500, g.3)).collect();
    let all: [Vec<_>; 2] = [of("lvs1"), of("lvs2")];
    // the last answer came after 20 s; the router is back after 35.5 s
    assert_eq!(all[0].iter().map(|g| g.1).collect::<Vec<_>>(), ["up", "dead", "up"]);
    assert_eq!(all[0][1..], [(48, "dead"), (72, "up")]);
    assert_eq!(all[1], all[0]);
}

#[test]
fn a_ping_node_that_never_answers_delays_the_start_until_initdead() {
    let mut config = two_directors(40);
    let first = both(&mut config).next().expect("a director");
    first.pings = vec![PingNode { name: "gone".into(), addresses: vec![rip(9)] }];
    first.initdead = Span::from_secs(14);
    let o = run(&config);
    // 14 s until it takes part, and then the pause for a node that starts: the other one is waiting
    let all = holders(&o);
    assert_eq!(all[1].1, ["lvs1"]);
    assert!((15_000..26_000).contains(&all[1].0), "{all:?}");
}

#[test]
fn the_connections_of_the_holder_are_told_to_the_other_director() {
    let mut config = two_directors(60);
    for daemon in both(&mut config) {
        daemon.groups[0].resources.push(Resource {
            text: "LVSSyncDaemonSwap::master".into(),
            kind: ResourceKind::SyncDaemonSwap { interface: "eth0".into(), syncid: 0 },
            fails: false,
        });
    }
    config.faults = vec![fault("stop", program("lvs1", ProgramHarm::Stop), 20_000, 100_000)];
    let o = run(&config);
    let sync: Vec<_> = told(&o, Kind::Sync).iter().map(|s| (s.1, s.3)).collect();
    assert_eq!(sync, [("lvs1", "master"), ("lvs1", "backup"), ("lvs2", "master")]);
}

#[test]
fn a_frozen_host_is_like_a_frozen_daemon() {
    let mut config = two_directors(80);
    let what = FaultKind::Freeze { hosts: names(&["lvs1"]), ring: 256 };
    config.faults = vec![fault("pause", what, 20_300, 12_000)];
    let o = run(&config);
    let all = sequence(&o);
    // a host that stands still holds nothing
    assert_eq!(all[..3], [vec!["lvs1"], vec![], vec!["lvs2"]]);
    assert_eq!(all[3], ["lvs1", "lvs2"]);
    assert_eq!(all.last(), Some(&vec!["lvs1"]));
    assert_eq!(told(&o, Kind::Node).iter().filter(|s| s.3 == "returned").count(), 2);
}

#[test]
fn what_cannot_work_is_said_before_the_run() {
    let mut config = two_directors(1);
    let first = both(&mut config).next().unwrap();
    first.node = "uname".into();
    first.media[0] = Medium::Bcast { interface: "eth7".into() };
    first.deadtime = Span::from_secs(2);
    first.initdead = Span::from_secs(1);
    let errors = sim_core::world::World::build(&config).unwrap_err();
    let text: Vec<_> = errors.iter().map(ToString::to_string).collect();
    for part in ["uname is not one", "no interface eth7", "twice keepalive", "below deadtime"] {
        assert!(text.iter().any(|t| t.contains(part)), "{part}: {text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn with_a_second_link_no_single_fault_makes_two_holders(
        which in 0usize..6,
        begin in 15_000u64..25_000,
        lasts in 100u64..12_000,
        failback in 0usize..3,
    ) {
        let mut config = two_directors(60);
        config.hosts[0].clients.clear();
        crossover(&mut config);
        let failback = [Failback::On, Failback::Off, Failback::Legacy][failback];
        both(&mut config).for_each(|d| d.failback = failback);
        let what = match which {
            0 => deaf(&["lvs1", "lvs2"]),
            1 => deaf(&["lvs2"]),
            2 => down(&["lvs1:eth1--lvs2:eth1"]),
            3 => crash(&["lvs1"]),
            4 => crash(&["lvs2"]),
            _ => program("lvs1", ProgramHarm::Stop),
        };
        config.faults = vec![fault("only", what, begin, lasts)];
        let o = run(&config);
        prop_assert!(holders(&o).iter().all(|h| h.1.len() < 2), "{:?}", holders(&o));
        prop_assert_eq!(holders(&o).last().unwrap().1.len(), 1);
    }
}
