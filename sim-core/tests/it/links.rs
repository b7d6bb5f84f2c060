//! Links: rate, latency, queues, impairments, down and up.

use crate::frames::watch;
use crate::network::*;
use sim_core::config::*;
use sim_core::engine::{Dist, Span};

const CABLE: &str = "client:eth0--server:eth0";

#[test]
fn an_exchange_takes_the_sum_of_its_serialisations_and_latencies() {
    let mut config = pair(Transport::Udp, &[0]);
    config.duration = Span::from_secs(4);
    let o = run(&config);
    // ARP 28 + 18 bytes, request 48 + 18, response 70 + 18 at 8 ns a byte, four times 50 us, 1 ms work
    assert_eq!(lengths(&o), [(46 * 2 + 66 + 88) * 8 + 4 * 50_000 + 1_000_000]);
    assert_eq!(carried(&o, CABLE), (2, 2));
    assert_eq!((o.links[0].bytes, o.links[1].bytes), (46 + 66, 46 + 88));
    assert_eq!((o.ip_hops, o.arp_hops), (2, 2));
}

#[test]
fn each_direction_has_its_own_rate_and_latency() {
    let mut config = pair(Transport::Udp, &[0]);
    let [there, back] = &mut config.links[0].directions;
    (there.rate_bps, there.latency) = (1_000_000, Span::from_millis(3));
    (back.rate_bps, back.latency) = (10_000_000, Span::from_millis(7));
    let sending = (46 + 66) * 8_000 + (46 + 88) * 800;
    assert_eq!(lengths(&run(&config)), [sending + 2 * 3_000_000 + 2 * 7_000_000 + 1_000_000]);
}

#[test]
fn the_busy_time_of_a_link_is_its_bytes_at_its_rate() {
    let mut config = quiet_pair(Transport::Udp, &[0, 10, 20, 30]);
    config.duration = Span::from_millis(100);
    config.links[0].directions[0].rate_bps = 1_000_000;
    let o = run(&config);
    let busy = 4.0 * 66.0 * 8e-6;
    assert!((o.links[0].utilisation * o.end.as_secs_f64() - busy).abs() < 1e-12);
}

#[test]
fn a_queue_of_packets_drops_its_tail() {
    let mut config = quiet_pair(Transport::Udp, &[0; 10]);
    config.links[0].directions[0].queue = QueueLimit::Packets(3);
    let o = run(&config);
    let mut expected = vec!["server"; 4];
    expected.extend(["timed_out"; 6]);
    assert_eq!(answers(&o), expected);
    assert_eq!((o.links[0].queue_max, o.links[0].dropped_queue), (4, 6));
    assert_eq!(dropped(&o, "server:eth0", "queue_full"), 6);
    // one is sent, three wait; the responses leave one behind the other, 704 ns each
    let first = 528 + 50_000 + 1_000_000 + 704 + 50_000;
    assert_eq!(lengths(&o)[..4], [first, first + 704, first + 2 * 704, first + 3 * 704]);
}

#[test]
fn a_queue_of_bytes_drops_its_tail() {
    let mut config = quiet_pair(Transport::Udp, &[0; 10]);
    // three frames of 66 bytes are 198
    config.links[0].directions[0].queue = QueueLimit::Bytes(200);
    let o = run(&config);
    assert_eq!((o.links[0].queue_max, o.links[0].dropped_queue), (3, 7));
    assert_eq!(o.clients[0].connections_served, 3);
}

/// `count` requests, one every 100 us, answered at once.
fn stream(count: u64) -> WorldConfig {
    let mut config = quiet_pair(Transport::Udp, &[]);
    config.hosts[0].clients[0].load = Load::Open { gap: Dist::Constant(1e-4) };
    config.hosts[0].clients[0].limit = count;
    config.hosts[1].servers[0].service = Dist::Constant(0.0);
    config
}

#[test]
fn frames_are_lost_with_the_given_probability() {
    let mut config = stream(20_000);
    config.links[0].directions[0].loss = 0.1;
    let o = run(&config);
    let lost = dropped(&o, "server:eth0", "lost");
    // binomial: mean 2000, standard deviation 42.4; 3.3 of them hold 99.9 %
    assert!((1860..=2140).contains(&lost), "{lost}");
    assert_eq!(o.links[0].dropped_loss, lost);
    assert_eq!(o.clients[0].connections_failed[3], lost);
}

/// Pairs of requests that arrive in another order than they were sent, and how many arrive.
fn inversions(config: &WorldConfig) -> (usize, usize) {
    let (_, frames) = watch(config, "server");
    let ids: Vec<u16> = frames.iter().filter(|f| !f.out).map(|f| f.id).collect();
    let swapped = ids.windows(2).filter(|w| (w[1].wrapping_sub(w[0]) as i16) < 0).count();
    (swapped, ids.len())
}

#[test]
fn jitter_delays_and_keeps_the_order() {
    let mut config = stream(1000);
    config.links[0].directions[0].jitter = Some(Dist::Uniform { low: 0.0, high: 0.005 });
    assert_eq!(inversions(&config), (0, 1000));
    let mean = run(&config).clients[0].complete.mean_s();
    // a frame waits for the slowest before it: P(delay < 5 ms - x) is about exp(-x^2 / 1 ms^2), so
    // the mean is 5 ms - 0.5 sqrt(pi) ms, 0.1 ms of latency besides
    assert!((0.0041..0.0044).contains(&mean), "{mean}");
}

#[test]
fn a_reordered_frame_is_overtaken_and_none_is_lost() {
    let mut config = stream(1000);
    config.links[0].directions[0].reorder = 0.3;
    config.links[0].directions[0].reorder_delay = Span::from_millis(2);
    let (swapped, arrived) = inversions(&config);
    assert_eq!(arrived, 1000);
    // 300 late ones, each behind one in order with probability 0.7 / (1 - 0.21): 266, deviation 14
    assert!((216..=316).contains(&swapped), "{swapped}");
    let o = run(&config);
    let late = lengths(&o).iter().filter(|&&ns| ns > 2_000_000).count();
    assert!((250..=350).contains(&late), "{late}");
}

#[test]
fn the_directions_of_a_cable_do_not_disturb_each_other() {
    // 1420 bytes each way every 20 us: 11.36 us of each direction, 22.72 us if they shared one
    let mut config = stream(1000);
    config.hosts[0].clients[0].load = Load::Open { gap: Dist::Constant(2e-5) };
    config.hosts[0].clients[0].request = Dist::Constant(1374.0);
    config.hosts[1].servers[0].response = Dist::Constant(1374.0);
    let alone = 2 * (1420 * 8 + 50_000);
    assert_eq!(lengths(&run(&config)), vec![alone; 1000]);
}

#[test]
fn a_link_that_goes_down_loses_what_travels_and_comes_back() {
    let mut config = quiet_pair(Transport::Udp, &[100, 300, 400, 600, 700]);
    config.link_events = vec![event(650, CABLE, true), event(300, CABLE, false)];
    let o = run(&config);
    let (yes, no) = ("server", "timed_out");
    assert_eq!(answers(&o), [yes, no, no, no, yes]);
    assert_eq!(dropped(&o, "server:eth0", "link_down"), 3);
    // the one of 300 ms was on its way or not yet sent: half a latency later it surely travels
    config.link_events[1].at = Span::from_nanos(300_025_000);
    let o = run(&config);
    assert_eq!(answers(&o), [yes, no, no, no, yes]);
    assert_eq!((o.links[0].packets, o.links[0].dropped_loss), (3, 3));
}

#[test]
fn a_transfer_survives_a_link_that_is_down_for_a_while() {
    // the sender tries about 200 ms and 600 ms after its last answer; without a neighbour entry, lost
    // with the carrier, it asks for its neighbour at the first, and again a second later
    for (mut config, resumes) in
        [(quiet_pair(Transport::Tcp, &[0]), 600), (pair(Transport::Tcp, &[0]), 1205)]
    {
        config.hosts[1].servers[0].response = Dist::Constant(1e6);
        config.link_events = vec![event(5, CABLE, false), event(255, CABLE, true)];
        let o = run(&config);
        assert_eq!(answers(&o), ["server"]);
        assert_eq!(o.clients[0].bytes_received, 1_000_000);
        let ms = lengths(&o)[0] / 1_000_000;
        assert!((resumes..resumes + 40).contains(&ms), "{ms}");
    }
}

#[test]
fn a_standby_leg_carries_nothing_wherever_it_is_written() {
    for first in [false, true] {
        let mut config = pair(Transport::Udp, &[0, 100]);
        config.switches.push(switch("spare"));
        let mut leg = link("client:eth0", "spare");
        leg.standby = true;
        config.links.insert(usize::from(!first), leg);
        let o = run(&config);
        assert_eq!(answers(&o), ["server", "server"]);
        assert_eq!(carried(&o, "client:eth0--spare"), (0, 0));
    }
}
