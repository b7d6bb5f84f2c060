//! ldirectord as a resource of heartbeat, behind the address.

use super::*;
use sim_core::ipvs::rules::{ServerRule, ServiceKey, ServiceRule};
use sim_core::wire::proto;

fn ldirectord() -> LdirectordConfig {
    let key = ServiceKey::Address { protocol: proto::TCP, vip: VIP, port: SERVICE };
    let rule = ServiceRule { scheduler: schedulers::Algorithm::Rr, ..ServiceRule::new(key) };
    let real = |n| RealConfig {
        rule: ServerRule::new(rip(n), SERVICE),
        exchange: None,
        external_failures: Vec::new(),
    };
    LdirectordConfig {
        start: None,
        virtuals: vec![VirtualConfig {
            servers: vec![real(1), real(2)],
            check_timeout: Span::from_secs(3),
            negotiate_timeout: Span::from_secs(3),
            check_interval: Span::from_secs(2),
            quiescent: true,
            ..VirtualConfig::new(rule)
        }],
        ..LdirectordConfig::default()
    }
}

fn with_ldirectord(seconds: u64, change: impl Fn(&mut LdirectordConfig)) -> WorldConfig {
    let mut config = two_directors(seconds);
    for host in config.hosts.iter_mut().filter(|h| h.heartbeat.is_some()) {
        host.ipvs = Some(IpvsConfig::default());
        let mut own = ldirectord();
        change(&mut own);
        host.ldirectord = Some(own);
    }
    for daemon in both(&mut config) {
        daemon.groups[0].resources.push(Resource {
            text: "ldirectord::ldirectord.cf".into(),
            kind: ResourceKind::Ldirectord,
            fails: false,
        });
    }
    config
}

fn killed(host: &str, from: u64, lasts: u64) -> FaultConfig {
    let harm = ApplicationHarm::Kill;
    let what = FaultKind::Application { hosts: names(&[host]), port: None, harm };
    fault(host, what, from, lasts)
}

/// What became of real servers, after a point: milliseconds since it, server, weight.
fn pool(o: &Observations, from: u64) -> Vec<(u64, &str, &str)> {
    let all = told(o, Kind::Pool).into_iter().filter(|p| p.0 >= from);
    all.map(|p| (p.0 - from, p.2.rsplit(' ').next().unwrap_or(p.2), p.3)).collect()
}

const FIRST: &str = "192.168.10.11:80";
const SECOND: &str = "192.168.10.12:80";

#[test]
fn the_director_that_holds_the_address_runs_ldirectord_and_the_other_one_does_not() {
    let mut config = with_ldirectord(45, |_| {});
    config.faults = vec![fault("crash", crash(&["lvs1"]), 20_000, 100_000)];
    let o = run(&config);
    let starts: Vec<_> = told(&o, Kind::Process)
        .into_iter()
        .filter(|p| p.2 == "ldirectord" && p.3 == "started")
        .map(|p| (p.1, p.0))
        .collect();
    assert_eq!(starts.iter().map(|s| s.0).collect::<Vec<_>>(), ["lvs1", "lvs2"]);
    // after the address
    assert!(starts.iter().zip([1, 3]).all(|(s, n)| s.1 >= holders(&o)[n].0));
    let start = pool(&o, 0).iter().take(6).map(|p| (p.1, p.2)).collect::<Vec<_>>();
    let both = [(FIRST, "1"), (FIRST, "0"), (SECOND, "1"), (SECOND, "0")];
    assert_eq!(start, [both.as_slice(), &[(FIRST, "1"), (SECOND, "1")]].concat());
    assert!(rows(&o).iter().rev().take(50).all(|r| r.failure.is_none()));
}

#[test]
fn a_server_that_dies_is_quiesced_or_removed_and_comes_back() {
    for quiescent in [true, false] {
        let mut config = with_ldirectord(45, |l| l.virtuals[0].quiescent = quiescent);
        config.faults = vec![killed("rs1", 20_000, 12_000)];
        let o = run(&config);
        let all = pool(&o, 20_000);
        let gone = if quiescent { "0" } else { "removed" };
        assert_eq!(
            all.iter().map(|p| (p.1, p.2)).collect::<Vec<_>>(),
            [(FIRST, gone), (FIRST, "1")]
        );
        assert!(all[0].0 < 2_100 && (12_000..14_100).contains(&all[1].0), "{all:?}");
        let checks: Vec<_> = told(&o, Kind::Check).iter().map(|c| c.3).collect();
        assert_eq!(checks, ["refused", "succeeded"]);
    }
}

#[test]
fn a_server_that_hangs_is_found_out_after_the_time_out() {
    let mut config = with_ldirectord(45, |_| {});
    config.faults = vec![fault("cable", down(&["rs1:eth0--sw"]), 20_000, 15_000)];
    let o = run(&config);
    let all = pool(&o, 20_000);
    assert!((3_000..5_100).contains(&all[0].0), "{all:?}");
    assert_eq!((all[0].1, all[0].2), (FIRST, "0"));
    assert!(all[1].0 > 15_000 && all[1].0 < 15_000 + 5_100, "{all:?}");
}

#[test]
fn the_fallback_answers_while_all_servers_are_gone() {
    let fallback = ServerRule::new(v4(127, 0, 0, 1), SERVICE);
    let mut config = with_ldirectord(60, |l| l.virtuals[0].fallback = Some(fallback));
    for host in config.hosts.iter_mut().filter(|h| h.heartbeat.is_some()) {
        host.servers.push(server(Transport::Tcp, SERVICE));
    }
    config.faults = vec![killed("rs1", 20_000, 100_000), killed("rs2", 26_000, 12_000)];
    let o = run(&config);
    let words: Vec<_> = pool(&o, 20_000).into_iter().map(|p| (p.1, p.2)).collect();
    let own = "127.0.0.1:80";
    let end = [(SECOND, "1"), (own, "removed")];
    assert_eq!(words, [[(FIRST, "0"), (SECOND, "0")].as_slice(), &[(own, "1")], &end].concat());
    let by_director: u64 = o.servers.iter().filter(|s| s.host == "lvs1").map(|s| s.requests).sum();
    assert!((50..=75).contains(&by_director), "{by_director}");
}

#[test]
fn a_frozen_ldirectord_sees_a_death_when_it_goes_on() {
    let mut config = with_ldirectord(45, |_| {});
    let what = FaultKind::Program {
        hosts: names(&["lvs1"]),
        process: Process::Ldirectord,
        harm: ProgramHarm::Freeze,
    };
    config.faults = vec![fault("freeze", what, 20_000, 8_000), killed("rs1", 21_000, 100_000)];
    let o = run(&config);
    let all = pool(&o, 20_000);
    assert!((8_000..10_500).contains(&all[0].0), "{all:?}");
}
