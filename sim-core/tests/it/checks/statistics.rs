//! How long, how often: means over many runs.

use super::*;
use sim_core::engine::Dist;

/// How long a dead server stays in the pool, in seconds, for this seed.
fn stays(checker: &CheckerConfig, silent: bool, seed: u64) -> f64 {
    let mut config = checked(Transport::Tcp, &CheckerKind::Tcp);
    config.seed = seed;
    let pool = pool(&mut config);
    pool.servers.truncate(1);
    pool.servers[0].checkers = vec![CheckerConfig { phase: None, ..checker.clone() }];
    let dies = 200.0;
    if silent {
        config.link_events = vec![event(200_000, "rs1:eth0--sw", false)];
    }
    let mut world = build(&config);
    run_to(&mut world, dies);
    if !silent {
        world.at_host(RS1, |h, _| h.tcp.stop_listening(80));
    }
    run_to(&mut world, dies + 100.0);
    let gone = told(&mut world, Kind::Pool, dies);
    assert_eq!(gone.len(), 1);
    gone[0].0 - dies
}

/// Least, mean and most of 120 runs.
fn over_phases(checker: &CheckerConfig, silent: bool) -> (f64, f64, f64) {
    let all: Vec<f64> = (0..120).map(|seed| stays(checker, silent, seed)).collect();
    let least = all.iter().copied().fold(f64::INFINITY, f64::min);
    let most = all.iter().copied().fold(0.0, f64::max);
    (least, all.iter().sum::<f64>() / all.len() as f64, most)
}

#[test]
fn the_time_to_notice_a_dead_server_is_uniform_over_a_period_after_the_time_of_the_retries() {
    let defaults = CheckerConfig::new(CheckerKind::Tcp, (rip(1), 80));
    let mut often = defaults.clone();
    (often.delay_loop, often.warmup) = (secs(6.0), secs(6.0));
    (often.connect_timeout, often.retry, often.delay_before_retry) = (secs(3.0), 3, secs(3.0));
    // period; the rest with a closed port and with a cut cable
    for (checker, period, closed, silent) in
        [(&defaults, 60.0, 1.0, 11.0), (&often, 6.0, 9.0, 21.0)]
    {
        for (rest, cut) in [(closed, false), (silent, true)] {
            let (least, mean, most) = over_phases(checker, cut);
            assert!(least >= rest && most <= rest + period + 0.01, "{least} {most}");
            // the standard deviation of the mean of 120 is 0.0264 of the period
            let theory = rest + period / 2.0;
            assert!((mean - theory).abs() < 0.08 * period, "{mean} instead of {theory}");
            assert!(most - least > 0.9 * period, "{least} {most}");
        }
    }
}

#[test]
fn a_lossy_link_takes_a_server_out_as_often_as_the_retries_let_it() {
    // every frame to the real server is lost with probability q; a time-out of 0.5 s is shorter than the
    // first retransmission, so a check fails if the SYN or its answer is lost
    let flaps = |retry| {
        let mut config = checked(Transport::Tcp, &CheckerKind::Tcp);
        introduce(&mut config, DIRECTOR, RS1);
        introduce(&mut config, RS1, DIRECTOR);
        config.links[3].directions[1].loss = 0.2;
        let pool = pool(&mut config);
        pool.servers.truncate(1);
        let checker = &mut pool.servers[0].checkers[0];
        (checker.connect_timeout, checker.retry) = (secs(0.5), retry);
        let mut world = build(&config);
        run_to(&mut world, 20_000.0);
        let removed = told(&mut world, Kind::Pool, 2.0);
        removed.iter().filter(|p| p.2 == "removed").count() as f64
    };
    // a round begins with a check every 2 s while the server is up; it fails with q^(1 + retry)
    let (q, all) = (0.2_f64, 10_000.0);
    for retry in 0..3 {
        let count = flaps(retry);
        let rounds: f64 = (0..=retry).map(|_| q).product();
        // checks that are retried and servers that are down take their time
        let expected = all * rounds / (1.0 + 0.25 * q + 1.25 * rounds);
        let spread = 4.0 * expected.sqrt() + 0.06 * expected;
        assert!((count - expected).abs() < spread, "retry {retry}: {count}, not {expected}");
    }
}

/// How many are left of two servers at 85 % of their capacity, each checked by a page every 2 s, when one of
/// five dies.
fn survivors(requests: f64) -> usize {
    let http = HttpConfig { tls: false, urls: vec![UrlConfig::new("/")], fast_recovery: false };
    let kind = CheckerKind::Http(http);
    let mut config = checked(Transport::Tcp, &kind);
    for n in 3..=5 {
        let mut more = config.hosts[RS1].clone();
        more.name = format!("rs{n}");
        more.interfaces[0].addresses = vec![address(rip(n), 24)];
        config.hosts.push(more);
        config.links.push(link(&format!("rs{n}:eth0"), "sw"));
        let mut server = pool(&mut config).servers[0].clone();
        server.rule.rip = rip(n);
        server.checkers = vec![checker(kind.clone(), n)];
        pool(&mut config).servers.push(server);
    }
    for rs in &mut config.hosts[RS1..] {
        rs.servers[0].workers = 1;
        rs.servers[0].service = Dist::Exponential { mean: 0.02 };
    }
    for server in &mut pool(&mut config).servers {
        server.checkers[0].connect_timeout = secs(1.0);
        server.checkers[0].delay_before_retry = secs(1.0);
    }
    let mut users = client(Transport::Tcp, 80, &[]);
    users.load = Load::Open { gap: Dist::Exponential { mean: 1.0 / requests } };
    users.timeout = Some(secs(10.0));
    config.hosts[0].clients = vec![users];
    config.link_events = vec![event(20_000, "rs5:eth0--sw", false)];
    let mut world = build(&config);
    let mut least = 5;
    for second in 1..120 {
        run_to(&mut world, f64::from(second));
        least = least.min(members(&mut world).len());
    }
    least
}

#[test]
fn servers_that_are_too_slow_for_their_checks_are_lost_one_after_another() {
    // 5 servers of 50 requests a second: 0.85 * 5 / 4 = 1.06 of what 4 can do, or 0.6 * 5 / 4 = 0.75
    assert_eq!(survivors(0.6 * 250.0), 4);
    assert!(survivors(0.85 * 250.0) <= 1);
}
