//! Faults by chance: conservation, statistics, determinism.

use super::*;
use proptest::prelude::*;
use sim_core::ipvs::rules::Forwarding;
use sim_core::wire::proto;

fn renewal(name: &str, what: FaultKind, mtbf: Dist, mttr: Dist) -> FaultConfig {
    FaultConfig {
        name: name.into(),
        what,
        when: FaultStart::Renewal(mtbf),
        end: FaultEnd::After(mttr),
    }
}

fn exponential(mean: f64) -> Dist {
    Dist::Exponential { mean }
}

/// The share of a run without a fault, by the timeline, and how often it came.
fn uptime(o: &Observations, name: &str, seconds: f64) -> (f64, usize) {
    let (mut down, mut since, mut times) = (0.0, None, 0);
    for e in o.timeline.iter().filter(|e| e.kind == Kind::Fault && e.subject == name) {
        let at = e.time.as_secs_f64();
        if e.value == "over" {
            down += at - since.take().unwrap_or(at);
        } else {
            since = Some(at);
            times += 1;
        }
    }
    down += since.map_or(0.0, |s| seconds - s);
    (1.0 - down / seconds, times)
}

/// A world of one idle cable.
fn idle(seconds: u64) -> WorldConfig {
    let mut config = quiet_pair(Transport::Udp, &[]);
    config.duration = Span::from_secs(seconds);
    config.drain = Span::ZERO;
    config
}

#[test]
fn availability_is_mtbf_by_mtbf_and_mttr() {
    const CABLE: &str = "client:eth0--server:eth0";
    let mut config = idle(4_000_000);
    let weibull = Dist::Weibull { scale: 100.0, shape: 2.0 };
    // name, MTBF, MTTR, their variances
    let cases = [
        ("exponential", exponential(90.0), exponential(10.0), 90.0 * 90.0, 100.0),
        ("constant repair", exponential(50.0), Dist::Constant(50.0), 2_500.0, 0.0),
        (
            "wearing out",
            weibull,
            exponential(30.0),
            100.0 * 100.0 * (1.0 - core::f64::consts::FRAC_PI_4),
            900.0,
        ),
    ];
    for (name, up, down_for, ..) in &cases {
        config.faults.push(renewal(name, down(&[CABLE]), up.clone(), down_for.clone()));
    }
    let o = run(&config);
    for (name, up, down_for, var_up, var_down) in cases {
        let (u, d) = (up.mean().expect("a mean"), down_for.mean().expect("a mean"));
        let (share, times) = uptime(&o, name, 4e6);
        let expected = u / (u + d);
        // alternating renewal: the variance of the time up in t is t (d^2 s_u^2 + u^2 s_d^2) / (u + d)^3
        let sum = u + d;
        let deviation = ((d * d * var_up + u * u * var_down) / (sum * sum * sum) / 4e6_f64).sqrt();
        // 99 %: 2.58 deviations
        assert!((share - expected).abs() < 2.58 * deviation, "{name}: {share} is not {expected}");
        let often = 4e6 / sum;
        let spread = 4.0 * (often * (var_up + var_down) / (sum * sum)).sqrt() + 2.0;
        assert!((times as f64 - often).abs() < spread, "{name} came {times} times, not {often}");
    }
}

#[test]
fn a_fault_does_not_disturb_what_has_nothing_to_do_with_it() {
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, 80);
    config.hosts[0].clients[0].load = Load::Open { gap: exponential(0.01) };
    config.links[0].directions[0].loss = 0.05;
    config.hosts.push(serving("bystander", v4(10, 9, 9, 9), Transport::Udp, 9));
    config.hosts.push(host("other", vec![interface("eth0", vec![])], None));
    config.links.push(link("bystander:eth0", "other:eth0"));
    let healthy = run(&config);
    let freeze = FaultKind::Freeze { hosts: names(&["bystander"]), ring: 256 };
    config.faults = vec![renewal("far away", freeze, exponential(0.1), exponential(0.1))];
    let other = run(&config);
    assert_eq!(lengths(&healthy), lengths(&other));
    assert!(told(&other, Kind::Fault).len() > 4);
    // what one fault draws does not depend on others
    let o = |faults: Vec<FaultConfig>| {
        let mut config = idle(1_000);
        config.faults = faults;
        let o = run(&config);
        o.timeline.iter().filter(|e| e.subject == "one").map(|e| e.time).collect::<Vec<_>>()
    };
    let one = renewal("one", crash(&["server"]), exponential(10.0), exponential(1.0));
    let two = renewal("two", crash(&["server"]), exponential(7.0), exponential(2.0));
    assert_eq!(o(vec![one.clone()]), o(vec![two, one]));
}

#[test]
fn the_same_seed_gives_the_same_faults_and_another_one_others() {
    let mut config = cluster(Forwarding::Nat, Transport::Tcp, 80);
    config.duration = Span::from_secs(20);
    config.hosts[0].clients[0].load = Load::Open { gap: exponential(0.05) };
    config.faults = vec![
        renewal("power", crash(&["director"]), exponential(3.0), exponential(0.5)),
        renewal("cable", down(&["rs1:eth0--sw"]), exponential(2.0), exponential(0.5)),
    ];
    let (one, same) = (run(&config), run(&config));
    assert_eq!(one.digest, same.digest);
    assert_eq!(one.timeline, same.timeline);
    config.seed += 1;
    assert_ne!(run(&config).timeline, one.timeline);
}

fn any_kind() -> impl Strategy<Value = FaultKind> {
    let host = || {
        prop_oneof![Just("client"), Just("router"), Just("director"), Just("rs1"), Just("rs2")]
            .prop_map(|h| names(&[h]))
    };
    let server = || prop_oneof![Just("rs1"), Just("rs2")].prop_map(|h| names(&[h]));
    let link = || {
        prop_oneof![
            Just("client:c0--router:r-c"),
            Just("router:r-l--sw"),
            Just("director:eth0--sw"),
            Just("rs1:eth0--sw"),
        ]
    };
    let harm = prop_oneof![
        Just(ApplicationHarm::Kill),
        Just(ApplicationHarm::Hang),
        Just(ApplicationHarm::Freeze),
        (0.5..20.0).prop_map(ApplicationHarm::Slow),
    ];
    let traffic = prop_oneof![
        Just(Traffic::All),
        Just(Traffic::Neighbours),
        Just(Traffic::Ip { protocol: proto::TCP, port: Some(80) }),
    ];
    prop_oneof![
        (host(), 0.0..0.05).prop_map(|(hosts, time)| FaultKind::PowerLoss {
            hosts,
            switches: Vec::new(),
            boot: Some(Boot { time: exponential(time + 1e-6), programs: true }),
        }),
        Just(FaultKind::PowerLoss { hosts: Vec::new(), switches: names(&["sw"]), boot: None }),
        (host(), 0_u64..100).prop_map(|(hosts, ms)| FaultKind::Shutdown {
            hosts,
            grace: Span::from_millis(ms),
            boot: None,
        }),
        (host(), 0_u32..5).prop_map(|(hosts, ring)| FaultKind::Freeze { hosts, ring }),
        (server(), harm).prop_map(|(hosts, harm)| FaultKind::Application {
            hosts,
            port: None,
            harm
        }),
        (host(), 1.0..50.0).prop_map(|(hosts, factor)| FaultKind::BusyCpu { hosts, factor }),
        link().prop_map(|l| down(&[l])),
        (link(), traffic.clone(), 0.0..1.0, 0.0..0.05).prop_map(|(link, traffic, loss, delay)| {
            let delay = Some(Dist::Uniform { low: 0.0, high: delay });
            FaultKind::Impairment { links: vec![(link.into(), None)], traffic, loss, delay }
        }),
        (server(), traffic, any::<bool>()).prop_map(|(to, traffic, one_way)| {
            FaultKind::Partition { from: names(&["director", "router"]), to, one_way, traffic }
        }),
    ]
}

fn any_world() -> impl Strategy<Value = WorldConfig> {
    let forwarding =
        prop_oneof![Just(Forwarding::Nat), Just(Forwarding::Dr), Just(Forwarding::Tun)];
    let transport = prop_oneof![Just(Transport::Tcp), Just(Transport::Udp)];
    let faults = proptest::collection::vec((any_kind(), 0.01..0.3, 0.001..0.3), 1..6);
    let rest = (any::<u64>(), any::<bool>(), any::<bool>(), 1.0..20_000.0);
    (forwarding, transport, faults, rest).prop_map(|(forwarding, transport, faults, rest)| {
        let (seed, sharing, cpu, bytes) = rest;
        let mut world = cluster(forwarding, transport, 80);
        world.seed = seed;
        world.drain = Span::from_secs(300);
        world.hosts[0].clients[0].load = Load::Open { gap: exponential(0.01) };
        world.hosts[0].clients[0].timeout = Some(Span::from_secs(60));
        if cpu {
            world.hosts[2].cpu = Some(CpuConfig {
                other: Span::from_micros(5),
                nat: Span::from_micros(10),
                dr: Span::from_micros(8),
                tun: Span::from_micros(9),
                backlog: 20,
            });
        }
        for rs in &mut world.hosts[3..] {
            rs.servers[0].response = Dist::Uniform { low: 1.0, high: bytes };
            rs.servers[0].service = exponential(0.02);
            rs.servers[0].workers = 2;
            rs.servers[0].backlog = 3;
            rs.servers[0].connections = 6;
            if sharing {
                rs.servers[0].discipline = Discipline::ProcessorSharing;
            }
        }
        for (n, (what, up, down)) in faults.into_iter().enumerate() {
            let name = format!("fault {n}");
            world.faults.push(renewal(&name, what, exponential(up), exponential(down)));
        }
        world
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_breaks_no_packet_and_no_conversation_is_forgotten(world in any_world()) {
        let o = run(&world);
        prop_assert_eq!(
            o.packets.created,
            o.packets.delivered + o.packets.dropped + o.packets.in_flight
        );
        let dropped: u64 = o.drops.iter().map(|d| d.packets).sum();
        prop_assert!(dropped <= o.packets.dropped);
        let c = &o.clients[0];
        let failed: u64 = c.connections_failed.iter().sum();
        prop_assert_eq!(c.connections_offered, c.connections_served + failed);
        prop_assert_eq!(rows(&o).len() as u64, c.connections_offered);
        // when all faults are over for good, nothing is left on the way
        let again = run(&world);
        prop_assert_eq!(again.digest, o.digest);
    }

    #[test]
    fn when_the_last_fault_is_over_the_cluster_serves_again(world in any_world()) {
        let mut world = world;
        for f in &mut world.faults {
            f.when = FaultStart::At((0..4).map(|n| Span::from_millis(n * 211)).collect());
            f.end = FaultEnd::After(Dist::Uniform { low: 0.0, high: 0.1 });
        }
        // 40 s later: caches that hold wrong entries have forgotten, retransmissions have come
        let mut late = world.hosts[0].clients[0].clone();
        late.name = "late".into();
        late.load = Load::At((0..10).map(|n| Span::from_secs(100 + n)).collect());
        world.hosts[0].clients.push(late);
        world.duration = Span::from_secs(112);
        world.hosts[0].clients[0].limit = 100;
        let o = run(&world);
        let late = o.clients.iter().find(|c| c.name == "late").expect("a client");
        prop_assert_eq!(late.connections_served, 10, "{:?}", late.connections_failed);
        prop_assert_eq!(o.packets.in_flight, 0);
    }
}
