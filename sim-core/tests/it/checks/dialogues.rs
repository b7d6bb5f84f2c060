//! What checks look like on the wire, and what comes of them.

use super::*;
use crate::frames::{texts, watch};

fn lone(kind: &CheckerKind, transport: Transport) -> WorldConfig {
    let mut config = checked(transport, kind);
    pool(&mut config).servers.truncate(1);
    config.duration = secs(3.0);
    config
}

fn get(tls: bool) -> CheckerKind {
    CheckerKind::Http(HttpConfig { tls, urls: vec![UrlConfig::new("/")], fast_recovery: false })
}

/// What a check finds that expects nothing good.
fn failure(config: &WorldConfig) -> Option<(f64, String)> {
    let mut world = build(config);
    run_to(&mut world, 60.0);
    let first = told(&mut world, Kind::Check, 0.0).into_iter().next()?;
    Some((first.0, first.2))
}

#[test]
fn a_tcp_check_is_a_handshake_that_the_director_ends_at_once() {
    let mut config = lone(&CheckerKind::Tcp, Transport::Tcp);
    config.duration = secs(2.0);
    let (_, frames) = watch(&config, "rs1");
    let segments = frames.iter().filter_map(|f| f.text.split_once(" tcp ").map(|t| (f.out, t.1)));
    let all: Vec<_> = segments.collect();
    // seen by the real server
    let (sent, received) = (true, false);
    let expected = [
        (received, "S 0"),
        (sent, "SA 0"),
        (received, "A 0"),
        (received, "FA 0"),
        (sent, "FA 0"),
        (received, "A 0"),
    ];
    assert_eq!(all, expected);
}

#[test]
fn every_kind_of_check_succeeds_with_a_server_that_is_well() {
    let hosts = Vec::new();
    for (kind, transport) in [
        (CheckerKind::Tcp, Transport::Tcp),
        (get(false), Transport::Tcp),
        (get(true), Transport::Tcp),
        (CheckerKind::Smtp { hosts }, Transport::Tcp),
        (CheckerKind::Dns { name: ".".into() }, Transport::Udp),
        (CheckerKind::Udp { payload: 5, reply: Some((1, 255)) }, Transport::Udp),
        (CheckerKind::Udp { payload: 5, reply: None }, Transport::Udp),
        (CheckerKind::Ping, Transport::Tcp),
        (CheckerKind::Misc(ScriptConfig::new(secs(2.0))), Transport::Tcp),
    ] {
        let mut config = lone(&kind, transport);
        pool(&mut config).servers[0].checkers[0].alpha = true;
        let mut world = build(&config);
        run_to(&mut world, 300.0);
        let checks = told(&mut world, Kind::Check, 0.0);
        let [(at, subject, value)] = &checks[..] else { panic!("{kind:?} {checks:?}") };
        assert_eq!((value.as_str(), near(*at, 1.1)), ("succeeded", true), "{kind:?} {at}");
        let service = if transport == Transport::Tcp { "TCP" } else { "UDP" };
        let name = kind.name();
        assert_eq!(*subject, format!("{service} 192.168.10.200:80 192.168.10.11:80 {name}"));
        // 300 s of checks leave one slot, and no connection but in TIME_WAIT
        let host = &world.hosts()[DIRECTOR];
        assert!(host.daemons.probes.slots() <= 1, "{kind:?}");
        assert!(host.daemons.probes.live() <= 1, "{kind:?}");
        assert!(host.tcp.slots() <= 2, "{kind:?} {}", host.tcp.slots());
        assert_eq!(world.hosts()[RS1].tcp.connections(), 0, "{kind:?}");
    }
}

#[test]
fn ssl_takes_one_round_trip_more_than_http() {
    let hops = |tls| {
        let (o, _) = watch(&lone(&get(tls), Transport::Tcp), "rs1");
        carried(&o, "rs1:eth0--sw")
    };
    let (plain, secured) = (hops(false), hops(true));
    assert!(secured.0 > plain.0 && secured.1 > plain.1, "{plain:?} {secured:?}");
}

#[test]
fn a_closed_port_is_refused_and_a_silent_one_times_out() {
    let closed = |kind, transport| {
        let mut config = lone(&kind, transport);
        config.hosts[RS1].servers.clear();
        failure(&config)
    };
    let now = |f: Option<(f64, String)>, word: &str| {
        let (at, what) = f.expect("a failure");
        assert!(near(at, 1.1) && what == word, "{at} {what}");
    };
    now(closed(CheckerKind::Tcp, Transport::Tcp), "refused");
    now(closed(get(true), Transport::Tcp), "refused");
    now(closed(CheckerKind::Udp { payload: 5, reply: None }, Transport::Udp), "refused");
    now(closed(CheckerKind::Dns { name: ".".into() }, Transport::Udp), "refused");
    let mut silent = lone(&CheckerKind::Udp { payload: 5, reply: Some((0, 255)) }, Transport::Udp);
    silent.hosts[RS1].servers[0].answers.replies = false;
    let (at, what) = failure(&silent).expect("a failure");
    assert!(near(at, 4.1) && what == "timed out", "{at} {what}");
    let mut deaf = lone(&CheckerKind::Ping, Transport::Tcp);
    deaf.hosts[RS1].sysctl.icmp_echo_ignore_all = true;
    let (at, what) = failure(&deaf).expect("a failure");
    assert!(near(at, 4.1) && what == "timed out", "{at} {what}");
}

#[test]
fn a_server_without_a_neighbour_is_unreachable_when_arp_gives_up() {
    for (kind, transport, word) in [
        (CheckerKind::Tcp, Transport::Tcp, "unreachable"),
        (CheckerKind::Udp { payload: 5, reply: None }, Transport::Udp, "unreachable"),
        // nobody tells a ping socket
        (CheckerKind::Ping, Transport::Tcp, "timed out"),
    ] {
        let mut config = lone(&kind, transport);
        pool(&mut config).servers[0].checkers[0].target.0 = v4(192, 168, 10, 77);
        pool(&mut config).servers[0].checkers[0].connect_timeout = secs(10.0);
        let (at, what) = failure(&config).expect("a failure");
        assert_eq!(what, word, "{kind:?}");
        // three requests, one second apart
        let expected = if word == "unreachable" { 4.1 } else { 11.1 };
        assert!((at - expected).abs() < 0.1, "{kind:?} {at}");
    }
}

#[test]
fn a_server_beyond_a_router_that_knows_no_way_is_unreachable_at_once() {
    let mut config = lone(&CheckerKind::Tcp, Transport::Tcp);
    pool(&mut config).servers[0].checkers[0].target.0 = v4(203, 0, 113, 1);
    let (at, what) = failure(&config).expect("a failure");
    assert!(near(at, 1.1) && what == "unreachable", "{at} {what}");
}

#[test]
fn a_page_is_judged_by_its_status_of_the_day() {
    let mut config = lone(&get(false), Transport::Tcp);
    config.hosts[RS1].servers[0].answers.pages = vec![PageConfig {
        path: "/".into(),
        virtualhost: None,
        statuses: vec![(Span::ZERO, 200), (secs(10.0), 503), (secs(30.0), 204)],
        digest: None,
        found: true,
    }];
    let mut world = build(&config);
    run_to(&mut world, 60.0);
    let checks: Vec<_> =
        told(&mut world, Kind::Check, 0.0).into_iter().map(|c| (c.0, c.2)).collect();
    let [(down, why), (up, how)] = &checks[..] else { panic!("{checks:?}") };
    // bad at 11.1 (or a little later), retried after 3 s; polled every 3 s then
    assert_eq!((why.as_str(), how.as_str()), ("status 503", "succeeded"));
    assert!((14.1..14.2).contains(down) && (30.0..33.1).contains(up), "{down} {up}");
}

#[test]
fn codes_of_mail_and_name_servers_count() {
    let mut config = lone(&CheckerKind::Smtp { hosts: Vec::new() }, Transport::Tcp);
    config.hosts[RS1].servers[0].answers.smtp = (220, 421);
    assert_eq!(failure(&config).expect("a failure").1, "codes 220 421");
    let mut config = lone(&CheckerKind::Dns { name: "a.example".into() }, Transport::Udp);
    config.hosts[RS1].servers[0].answers.rcode = 2;
    assert_eq!(failure(&config).expect("a failure").1, "rcode 2");
}

#[test]
fn checks_have_the_address_and_port_they_are_bound_to() {
    let mut config = lone(&CheckerKind::Tcp, Transport::Tcp);
    config.hosts[DIRECTOR].interfaces[0].addresses.push(address(v4(192, 168, 10, 150), 24));
    let checker = &mut pool(&mut config).servers[0].checkers[0];
    checker.source = Some(v4(192, 168, 10, 150));
    checker.source_port = Some(5_000);
    let (_, frames) = watch(&config, "rs1");
    let asked = texts(&frames, |f| f.ports == (5_000, 80));
    assert!(asked.iter().all(|t| t.starts_with("192.168.10.150 > ")), "{asked:?}");
    assert!(!asked.is_empty());
}

#[test]
fn checks_of_ipv6_servers_use_ipv6() {
    for kind in [CheckerKind::Tcp, CheckerKind::Ping] {
        let mut config = lone(&kind, Transport::Tcp);
        let v6 = |n: u16| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, n]);
        config.hosts[DIRECTOR].interfaces[0].addresses.push(address(v6(1), 64));
        config.hosts[RS1].interfaces[0].addresses.push(address(v6(11), 64));
        let checker = &mut pool(&mut config).servers[0].checkers[0];
        checker.target.0 = v6(11);
        checker.alpha = true;
        let mut world = build(&config);
        run_to(&mut world, 20.0);
        let checks = told(&mut world, Kind::Check, 0.0);
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[0].2, "succeeded", "{kind:?}");
    }
}
