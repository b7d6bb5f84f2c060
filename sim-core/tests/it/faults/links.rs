//! Links, partitions and switches.

use super::*;
use sim_core::wire::proto;

const CABLE: &str = "client:eth0--server:eth0";

fn impaired(end: Option<&str>, loss: f64, delay: Option<f64>) -> FaultKind {
    FaultKind::Impairment {
        links: vec![(CABLE.into(), end.map(Into::into))],
        traffic: Traffic::All,
        loss,
        delay: delay.map(Dist::Constant),
    }
}

#[test]
fn a_link_is_down_while_the_fault_lasts() {
    let mut config = asking();
    config.faults = vec![fault("cable", down(&[CABLE]), 450, 400)];
    let o = run(&config);
    assert_eq!(served(&o), all_but(5..9));
    let expected =
        [(450, "", "cable", "link down: client:eth0--server:eth0"), (850, "", "cable", "over")];
    assert_eq!(told(&o, Kind::Fault), expected);
    assert!(dropped(&o, "server:eth0", "link_down") >= 1);
    assert_eq!(o.packets.in_flight, 0);
}

#[test]
fn a_link_is_up_again_only_when_the_last_of_several_faults_is_over() {
    let mut config = asking();
    config.faults = vec![
        fault("one", down(&[CABLE]), 450, 400),
        fault("other", down(&[CABLE]), 650, 400),
        fault("inner", down(&[CABLE]), 700, 10),
    ];
    assert_eq!(served(&run(&config)), all_but(5..11));
    // an administrator who takes it down and up meanwhile changes nothing
    config.link_events = vec![event(500, CABLE, false), event(600, CABLE, true)];
    assert_eq!(served(&run(&config)), all_but(5..11));
    config.link_events = vec![event(500, CABLE, false), event(1250, CABLE, true)];
    assert_eq!(served(&run(&config)), all_but(5..13));
}

#[test]
fn one_direction_alone_may_lose_everything() {
    for (end, there) in [("server", true), ("client", false)] {
        let mut config = asking();
        config.faults = vec![fault("deaf", impaired(Some(end), 1.0, None), 450, 400)];
        let o = run(&config);
        assert_eq!(served(&o), all_but(5..9), "{end} hears nothing");
        let place = format!("{end}:eth0");
        assert_eq!(dropped(&o, &place, "lost"), 4, "of either the requests or the answers");
        // the server has answered those whose answers were lost
        assert_eq!(o.servers[0].requests, if there { 16 } else { 20 });
    }
}

#[test]
fn a_loss_takes_its_share_and_two_take_theirs_one_after_the_other() {
    let mut config = quiet_pair(Transport::Udp, &[]);
    config.duration = Span::from_secs(20);
    config.hosts[0].clients[0].load = Load::Open { gap: Dist::Constant(1e-3) };
    config.hosts[0].clients[0].timeout = Some(Span::from_millis(50));
    config.faults = vec![
        fault("one", impaired(Some("server"), 0.1, None), 0, 20_000),
        fault("other", impaired(Some("server"), 0.2, None), 0, 20_000),
    ];
    let o = run(&config);
    let offered = o.clients[0].connections_offered as f64;
    let share = o.clients[0].connections_served as f64 / offered;
    // 0.9 * 0.8 with a deviation of sqrt(0.72 * 0.28 / 20,000)
    assert!((share - 0.72).abs() < 3.3 * 0.00318, "{share}");
}

#[test]
fn a_delay_delays_keeps_the_order_and_is_gone_when_the_fault_is() {
    let mut config = quiet_pair(Transport::Udp, &[]);
    config.duration = Span::from_secs(2);
    config.hosts[0].clients[0].load =
        Load::At((0..200).map(|n| Span::from_millis(n * 10)).collect());
    config.hosts[0].clients[0].timeout = Some(Span::from_secs(1));
    config.faults = vec![fault("late", impaired(Some("server"), 0.0, Some(0.025)), 500, 1000)];
    let o = run(&config);
    let took = lengths(&o);
    let usual = took[0];
    assert!(took[..50].iter().all(|&ns| ns == usual), "before");
    assert!(took[51..150].iter().all(|&ns| ns == usual + 25_000_000), "while it lasts");
    // what is sent after it does not overtake what is late: 1.50 s waits for 1.49 s + 25 ms
    assert!(took[150].abs_diff(usual + 15_000_000) < 1_000, "{}", took[150]);
    assert!(took[153..].iter().all(|&ns| ns == usual), "after");
    assert_eq!(o.clients[0].connections_served, 200);
}

#[test]
fn a_fault_of_some_traffic_leaves_the_rest_alone() {
    let mut config = asking();
    let only = |traffic| FaultKind::Impairment {
        links: vec![(CABLE.into(), None)],
        traffic,
        loss: 1.0,
        delay: None,
    };
    let udp = |port| Traffic::Ip { protocol: proto::UDP, port };
    for (traffic, hits) in [
        (Traffic::Ip { protocol: proto::TCP, port: None }, false),
        (udp(Some(81)), false),
        (udp(Some(80)), true),
        (udp(None), true),
    ] {
        config.faults = vec![fault("some", only(traffic), 450, 400)];
        let expected = if hits { all_but(5..9) } else { all_but(0..0) };
        assert_eq!(served(&run(&config)), expected, "{traffic:?}");
    }
    config.faults = vec![fault("arp", only(Traffic::Neighbours), 0, 450)];
    assert_eq!(served(&run(&config)), all_but(0..0), "nobody needs ARP");
    // ARP is asked for at the start, and again after a second
    config.hosts.iter_mut().for_each(|h| h.neighbours.clear());
    assert_eq!(served(&run(&config))[0], 10);
    config.faults = vec![fault("arp", only(Traffic::Neighbours), 450, 400)];
    assert_eq!(served(&run(&config)), all_but(0..0));
}

/// Four hosts on two switches, a and b here, c and d there; a asks b, c and d in turn every 100 ms.
fn two_switches() -> WorldConfig {
    let ip = |n| v4(10, 0, 0, n);
    let mut hosts = vec![host("a", vec![interface("eth0", vec![address(ip(1), 24)])], None)];
    for (n, name) in [(2, "b"), (3, "c"), (4, "d")] {
        hosts.push(serving(name, ip(n), Transport::Udp, 80));
        let mut asks = client(Transport::Udp, 80, &[]);
        asks.name = format!("to-{name}");
        asks.target.0 = ip(n);
        asks.load = Load::At((0..20).map(|i| Span::from_millis(i * 100)).collect());
        asks.timeout = Some(Span::from_millis(90));
        hosts[0].clients.push(asks);
    }
    WorldConfig {
        seed: 1,
        duration: Span::from_secs(2),
        drain: Span::from_secs(10),
        hosts,
        switches: vec![switch("s1"), switch("s2")],
        links: vec![
            link("a:eth0", "s1"),
            link("b:eth0", "s1"),
            link("c:eth0", "s2"),
            link("d:eth0", "s2"),
            link("s1", "s2"),
        ],
        ..WorldConfig::default()
    }
}

/// Requests answered by b, c and d.
fn answered(config: &WorldConfig) -> [u64; 3] {
    let o = run(config);
    assert_eq!(o.packets.created, o.packets.delivered + o.packets.dropped + o.packets.in_flight);
    ["to-b", "to-c", "to-d"]
        .map(|n| o.clients.iter().find(|c| c.name == n).map_or(0, |c| c.requests_served))
}

#[test]
fn a_partition_keeps_two_sets_of_hosts_apart_and_nobody_else() {
    let part = |from: &[&str], to: &[&str], one_way| FaultKind::Partition {
        from: names(from),
        to: names(to),
        one_way,
        traffic: Traffic::All,
    };
    let mut config = two_switches();
    config.faults = vec![fault("split", part(&["a"], &["b", "d"], false), 450, 400)];
    assert_eq!(answered(&config), [16, 20, 16]);
    // one way: the requests arrive, the answers do not, so the servers have worked for nothing
    config.faults = vec![fault("split", part(&["c"], &["a"], true), 450, 400)];
    let o = run(&config);
    assert_eq!(o.clients.iter().map(|c| c.requests_served).collect::<Vec<_>>(), [20, 16, 20]);
    assert_eq!(dropped(&o, "a:eth0", "partitioned"), 4);
    assert_eq!(o.servers[1].requests, 20);
    // only some traffic
    let udp = Traffic::Ip { protocol: proto::UDP, port: Some(694) };
    let rule = FaultKind::Partition {
        from: names(&["a"]),
        to: names(&["b", "c", "d"]),
        one_way: false,
        traffic: udp,
    };
    config.faults = vec![fault("heartbeats", rule, 450, 400)];
    assert_eq!(answered(&config), [20, 20, 20]);
}

#[test]
fn a_switch_without_power_takes_its_links_with_it_and_forgets() {
    let mut config = two_switches();
    let what = FaultKind::PowerLoss { hosts: Vec::new(), switches: names(&["s2"]), boot: None };
    config.faults = vec![fault("s2", what, 450, 400)];
    assert_eq!(answered(&config), [20, 16, 16]);
    // together with a link of its own that is mended before
    let link = "s1--s2";
    config.faults.push(fault("trunk", down(&[link]), 550, 100));
    assert_eq!(answered(&config), [20, 16, 16]);
    config.faults.push(fault("trunk again", down(&[link]), 840, 200));
    assert_eq!(answered(&config), [20, 14, 14]);
}

#[test]
fn a_fault_without_an_end_lasts() {
    let mut config = asking();
    let mut forever = fault("cable", down(&[CABLE]), 450, 0);
    forever.end = FaultEnd::Never;
    config.faults = vec![forever.clone()];
    assert_eq!(served(&run(&config)), all_but(5..20));
    // one that ends at a point does not if it begins later
    forever.end = FaultEnd::At(Span::from_millis(850));
    config.faults = vec![forever.clone()];
    assert_eq!(served(&run(&config)), all_but(5..9));
    forever.when = FaultStart::At(vec![Span::from_millis(450), Span::from_millis(1_050)]);
    config.faults = vec![forever];
    assert_eq!(served(&run(&config)), all_but(5..9));
}

#[test]
fn what_is_flooded_for_others_takes_no_room_in_the_ring_of_a_frozen_host() {
    let mut config = two_switches();
    // nothing is learned for long: every frame is flooded
    config.switches.iter_mut().for_each(|s| s.ageing = Span::from_nanos(1));
    let what = FaultKind::Freeze { hosts: names(&["c"]), ring: 8 };
    config.faults = vec![fault("freeze", what, 450, 400)];
    let o = run(&config);
    assert_eq!(dropped(&o, "c", "ring_full"), 0);
    assert!(dropped(&o, "c", "other_host") > 30);
    // the last of those that waited is answered in time
    assert_eq!(answered(&config), [20, 17, 20]);
}
