//! Servers and clients against queueing theory and arithmetic.

use crate::network::*;
use sim_core::config::*;
use sim_core::engine::{Dist, Span};
use sim_core::observe::Observations;

/// A UDP queue: 100,000 requests, Poisson at 500/s, to a worker that needs 1 ms in the mean.
fn queue(discipline: Discipline, service: Dist) -> Observations {
    let mut config = quiet_pair(Transport::Udp, &[]);
    config.connections = false;
    config.duration = Span::from_secs(3600);
    let c = &mut config.hosts[0].clients[0];
    c.load = Load::Open { gap: Dist::Exponential { mean: 0.002 } };
    (c.limit, c.timeout) = (100_000, None);
    let s = &mut config.hosts[1].servers[0];
    (s.workers, s.discipline, s.service) = (1, discipline, service);
    let o = run(&config);
    assert_eq!(o.servers[0].requests, 100_000);
    o
}

#[test]
fn queues_agree_with_theory() {
    let exponential = Dist::Exponential { mean: 0.001 };
    let constant = Dist::Constant(0.001);
    // M/M/1: s / (1 - rho); sharing does not care for the distribution; M/D/1 FIFO: Khinchin
    for (discipline, service, mean_ms) in [
        (Discipline::Fifo, exponential.clone(), 2.0),
        (Discipline::ProcessorSharing, exponential, 2.0),
        (Discipline::Fifo, constant.clone(), 1.5),
        (Discipline::ProcessorSharing, constant, 2.0),
    ] {
        let o = queue(discipline, service);
        let ms = o.servers[0].sojourn.mean_s() * 1e3;
        // the mean of 100,000 M/M/1 sojourns has a standard deviation of 0.85 %: four of them
        assert!((ms / mean_ms - 1.0).abs() < 0.034, "{discipline:?} {ms} {mean_ms}");
        let busy = o.servers[0].utilisation * o.end.as_secs_f64();
        assert!((busy / 100.0 - 1.0).abs() < 0.02, "{busy}");
    }
}

#[test]
fn fifo_keeps_the_order_and_sharing_lets_all_progress() {
    for (discipline, expected) in [
        // four at once on two workers of 10 ms each
        (Discipline::Fifo, [10, 10, 20, 20]),
        (Discipline::ProcessorSharing, [20, 20, 20, 20]),
    ] {
        let mut config = quiet_pair(Transport::Udp, &[0; 4]);
        let s = &mut config.hosts[1].servers[0];
        (s.workers, s.discipline, s.service) = (2, discipline, Dist::Constant(0.01));
        let ms: Vec<u64> =
            lengths(&run(&config)).iter().map(|ns| (ns + 500_000) / 1_000_000).collect();
        assert_eq!(ms, expected);
    }
}

fn closed(users: u32, think: Dist, seconds: u64) -> WorldConfig {
    let mut config = quiet_pair(Transport::Udp, &[]);
    config.duration = Span::from_secs(seconds);
    config.hosts[0].clients[0].load = Load::Closed { users, think };
    config
}

#[test]
fn a_lone_user_comes_back_after_response_and_think_time() {
    let o = run(&closed(1, Dist::Constant(0.01), 1));
    let response = 528 + 704 + 100_000 + 1_000_000;
    let starts: Vec<u64> = rows(&o).iter().map(|r| r.start.as_nanos()).collect();
    let expected: Vec<u64> = (10_000_000..1_000_000_000).step_by(response + 10_000_000).collect();
    assert_eq!(starts, expected);
}

#[test]
fn a_closed_loop_obeys_littles_law() {
    let mut config = closed(20, Dist::Exponential { mean: 0.05 }, 100);
    let server = &mut config.hosts[1].servers[0];
    (server.workers, server.service) = (1, Dist::Exponential { mean: 0.002 });
    let o = run(&config);
    let client = &o.clients[0];
    let throughput = client.connections_served as f64 / 100.0;
    let users = throughput * (client.complete.mean_s() + 0.05);
    // 36,000 think times: their mean has a standard deviation of 0.5 %
    assert!((users / 20.0 - 1.0).abs() < 0.02, "{users}");
    // not more than the server can do
    assert!(throughput < 500.0);
}

#[test]
fn bursts_have_the_configured_duty() {
    let mut config = quiet_pair(Transport::Udp, &[]);
    config.duration = Span::from_secs(4);
    config.hosts[0].clients[0].load = Load::OnOff {
        gap: Dist::Constant(0.001),
        on: Dist::Constant(0.1),
        off: Dist::Constant(0.3),
    };
    let o = run(&config);
    // a hundred in each of ten bursts; the first gap is waited for
    assert_eq!(o.clients[0].connections_offered, 999);
    assert!(rows(&o).iter().all(|r| r.start.as_nanos() % 400_000_000 < 100_000_000));
    config.duration = Span::from_secs(400);
    config.connections = false;
    config.hosts[0].clients[0].load = Load::OnOff {
        gap: Dist::Exponential { mean: 0.01 },
        on: Dist::Exponential { mean: 0.1 },
        off: Dist::Exponential { mean: 0.3 },
    };
    // 10,000 starts expected; of 1000 cycles the share of on has a deviation of 3.4 %
    let starts = run(&config).clients[0].connections_offered as f64;
    assert!((starts / 10_000.0 - 1.0).abs() < 0.12, "{starts}");
}

/// TCP connections with this many requests and this pause; the client closes.
fn talk(requests: Dist, think: Dist, count: u64) -> WorldConfig {
    let mut config = quiet_pair(Transport::Tcp, &[]);
    config.hosts[1].servers[0].closer = Closer::Client;
    let c = &mut config.hosts[0].clients[0];
    (c.requests, c.think, c.closer) = (requests, think, Closer::Client);
    c.load = Load::Open { gap: Dist::Constant(0.01) };
    (c.limit, c.timeout) = (count, None);
    config
}

#[test]
fn a_connection_makes_its_requests_with_pauses() {
    let o = run(&talk(Dist::Constant(3.0), Dist::Constant(0.05), 10));
    let c = &o.clients[0];
    assert_eq!((c.connections_served, c.requests_offered, c.requests_served), (10, 30, 30));
    assert_eq!(c.bytes_received, 30 * 42);
    let one = run(&talk(Dist::Constant(1.0), Dist::Constant(0.05), 1));
    let exchange = 1_000_000 + 2 * 50_000 + (20 + 52 + 18 + 42 + 52 + 18) * 8;
    // no pause before the first request, one before each other
    assert_eq!(lengths(&o)[0] - lengths(&one)[0], 2 * (50_000_000 + exchange));
    assert_eq!(o.servers[0].requests, 30);
}

#[test]
fn the_number_of_requests_follows_its_distribution() {
    let mut config = talk(Dist::Uniform { low: 1.0, high: 5.0 }, Dist::Constant(0.0), 2000);
    config.connections = true;
    let o = run(&config);
    let requests: Vec<u32> = rows(&o).iter().map(|r| r.requests).collect();
    assert_eq!((requests.iter().min(), requests.iter().max()), (Some(&1), Some(&5)));
    // rounded: 1 and 5 with probability 1/8, 2 to 4 with 1/4: variance 1.5
    let mean = f64::from(requests.iter().sum::<u32>()) / 2000.0;
    assert!((mean - 3.0).abs() < 0.1, "{mean}");
}

#[test]
fn the_warm_up_is_left_out() {
    let mut config = quiet_pair(Transport::Udp, &[0, 400, 500, 600]);
    config.warmup = Span::from_millis(500);
    let o = run(&config);
    let c = &o.clients[0];
    assert_eq!((c.connections_offered, c.requests_served, c.complete.count()), (2, 2, 2));
    assert_eq!((rows(&o).len(), c.bytes_received), (2, 84));
    // servers and links count everything
    assert_eq!(o.servers[0].requests, 4);
}

#[test]
fn starts_come_when_they_are_told_to() {
    let starts = |config: &WorldConfig| -> Vec<u64> {
        rows(&run(config)).iter().map(|r| r.start.as_nanos() / 1_000_000).collect()
    };
    let mut config = quiet_pair(Transport::Udp, &[5, 5, 17, 1000]);
    assert_eq!(starts(&config), [5, 5, 17, 1000]);
    config.duration = Span::from_millis(1000);
    assert_eq!(starts(&config), [5, 5, 17]);
    config.hosts[0].clients[0].limit = 2;
    assert_eq!(starts(&config), [5, 5]);
    config.hosts[0].clients[0].limit = 4;
    config.hosts[0].clients[0].load = Load::Open { gap: Dist::Constant(0.01) };
    assert_eq!(starts(&config), [10, 20, 30, 40]);
}

#[test]
fn many_addresses_behind_one_client_take_turns() {
    let mut config = pair(Transport::Udp, &[0, 10, 20, 30, 40]);
    let other = v4(10, 0, 0, 9);
    config.hosts[0].interfaces[0].addresses.push(address(other, 24));
    config.hosts[0].clients[0].sources = vec![CLIENT, other];
    let o = run(&config);
    assert_eq!(answers(&o), ["server"; 5]);
    let sources: Vec<_> = rows(&o).iter().map(|r| r.source.0).collect();
    assert_eq!(sources, [CLIENT, other, CLIENT, other, CLIENT]);
}

#[test]
fn the_server_pauses_before_it_closes() {
    let mut config = quiet_pair(Transport::Tcp, &[0]);
    config.hosts[0].clients[0].close_delay = Dist::Constant(0.0);
    let at_once = lengths(&run(&config))[0];
    config.hosts[1].servers[0].close_delay = Dist::Constant(0.25);
    // the FIN need not wait for the 112 bytes of data before it
    let later = lengths(&run(&config))[0];
    assert_eq!(later + 112 * 8, at_once + 250_000_000);
}

#[test]
fn a_load_that_lets_no_time_pass_is_refused() {
    let zero = || Dist::Constant(0.0);
    for load in [
        Load::Open { gap: zero() },
        Load::OnOff { gap: zero(), on: Dist::Constant(1.0), off: zero() },
        Load::OnOff { gap: Dist::Constant(1.0), on: zero(), off: Dist::Constant(1.0) },
    ] {
        let mut config = pair(Transport::Udp, &[]);
        config.hosts[0].clients[0].load = load;
        let errors = sim_core::world::World::build(&config).expect_err("no time passes");
        assert!(errors[0].what.contains("below a nanosecond"), "{errors:?}");
    }
}
