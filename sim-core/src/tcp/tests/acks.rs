//! When acknowledgements are sent; windows; keepalive.

use super::*;

/// The hosts of the workload `lvs-small`: no options, a client that acknowledges every second segment, a
/// server that acknowledges at once.
fn lvs_small() -> Net {
    let plain = TcpConfig { mss: 1448, options: false, ..TcpConfig::default() };
    let client = TcpConfig { quick_acks: 0, ack_every: 2, ..plain };
    let server = TcpConfig { quick_acks: 16, ack_fin_at_once: true, ..plain };
    Net::new(client, server)
        .app(CLIENT, App { request: Some(200), close_on_message: true, ..App::default() })
        .app(
            SERVER,
            App { reply: Some((ms(5), 14_480)), close_on_peer: Some(Span::ZERO), ..App::default() },
        )
}

#[test]
fn lvs_small_is_exactly_24_packets() {
    let mut net = lvs_small();
    net.connect(0);
    net.run(secs(100));
    let mut expected = vec!["> S 0 0 0", "< SA 0 1 0", "> A 1 1 0", "> PA 1 1 200", "< A 1 201 0"];
    let data: Vec<_> = (0..10)
        .map(|i| format!("< {} {} 201 1448", if i == 9 { "PA" } else { "A" }, 1 + i * 1448))
        .collect();
    let acks: Vec<_> = (1..=5).map(|i| format!("> A 201 {} 0", 1 + i * 2896)).collect();
    expected.extend(data.iter().map(String::as_str));
    expected.extend(acks.iter().map(String::as_str));
    expected.extend(["> FA 201 14481 0", "< A 14481 202 0", "< FA 14481 202 0", "> A 202 14482 0"]);
    assert_eq!(net.packets(), expected);
    assert_eq!(net.sent.len(), 24);
    let headers = |s: &Sent| s.packet.len - s.packet.payload();
    assert!(net.sent.iter().all(|s| headers(s) == 40));
    assert_eq!(net.finals(CLIENT).len() + net.finals(SERVER).len(), 2);
}

#[test]
fn a_thousand_connections_of_lvs_small_are_all_alike() {
    let mut net = lvs_small();
    for n in 0..1000 {
        net.connect(n);
        net.run(ms(1));
    }
    net.run(secs(1));
    assert_eq!(net.sent.len(), 24_000);
    assert_eq!(net.hosts[CLIENT].connections() + net.hosts[SERVER].connections(), 0);
    assert_eq!(net.hosts[CLIENT].time_waits(), 1000);
    assert_eq!(net.hosts[CLIENT].counters().retrans_segs, 0);
    let wakes = |e: &&Event| matches!(e, Event::Wake(_, TcpStack::TIME_WAIT_SLOT));
    assert_eq!(net.events.values().filter(wakes).count(), 1, "one wake for all of TIME_WAIT");
    net.run(secs(100));
    assert_eq!(net.hosts[CLIENT].time_waits(), 0);
    assert!(net.events.is_empty());
}

#[test]
fn the_server_closes_first_as_recorded_in_dr_basic() {
    let mut net = Net::linux()
        .app(CLIENT, App { request: Some(20), close_on_peer: Some(ms(15)), ..App::default() })
        .app(SERVER, App { reply: Some((ms(36), 42)), ..App::default() });
    let conn = net.connect(0);
    net.run(ms(37));
    net.close(SERVER, net.accepted());
    net.run(secs(1));
    assert_eq!(
        net.packets(),
        [
            "> S 0 0 0",
            "< SA 0 1 0",
            "> A 1 1 0",
            "> PA 1 1 20",
            "< A 1 21 0",
            "< PA 1 21 42",
            "> A 21 43 0",
            "< FA 43 21 0",
            "> FA 21 44 0",
            "< A 44 22 0",
        ]
    );
    let lengths: Vec<_> = net.sent.iter().map(|s| s.packet.len).collect();
    assert_eq!(lengths, [60, 60, 52, 72, 52, 94, 52, 52, 52, 52]);
    assert_eq!(net.hosts[CLIENT].received(conn), 42);
    assert_eq!(net.hosts[SERVER].time_waits(), 1);
    assert_eq!(net.hosts[CLIENT].time_waits(), 0);
}

#[test]
fn the_client_closes_first_as_recorded_in_dr_keepalive() {
    let idle = Some((secs(1), secs(1), 9));
    let client = TcpConfig { keepalive: idle, ..TcpConfig::default() };
    let mut net = Net::new(client, TcpConfig::default())
        .app(CLIENT, App { request: Some(8), ..App::default() })
        .app(
            SERVER,
            App { reply: Some((ms(25), 4)), close_on_peer: Some(ms(2)), ..App::default() },
        );
    let conn = net.connect(0);
    net.run(ms(3442));
    net.close(CLIENT, conn);
    net.run(secs(1));
    let packets = net.packets();
    assert_eq!(packets[5..7], ["< PA 1 9 4", "> A 9 5 0"]);
    assert_eq!(packets[7..13], ["> A 8 5 0", "< A 5 9 0"].repeat(3));
    assert_eq!(packets[13..], ["> FA 9 5 0", "< FA 5 10 0", "> A 10 6 0"]);
    let probes: Vec<_> = net.sent[7..13].iter().step_by(2).map(|s| s.at).collect();
    assert!(probes.windows(2).all(|p| (secs(1)..secs(1) + ms(1)).contains(&(p[1] - p[0]))));
}

#[test]
fn a_large_request_is_acknowledged_segment_by_segment_as_recorded_in_dr_large() {
    let mut net = Net::linux()
        .app(CLIENT, App { request: Some(3520), ..App::default() })
        .app(SERVER, App { reply: Some((ms(3), 42)), ..App::default() });
    net.connect(0);
    net.run(secs(1));
    assert_eq!(
        net.packets()[3..],
        [
            "> A 1 1 1448",
            "> A 1449 1 1448",
            "> PA 2897 1 624",
            "< A 1 1449 0",
            "< A 1 2897 0",
            "< A 1 3521 0",
            "< PA 1 3521 42",
            "> A 3521 43 0",
        ]
    );
}

#[test]
fn a_fin_is_acknowledged_after_40_ms_if_the_application_does_not_close() {
    let mut net = Net::linux();
    let (conn, _) = net.established();
    net.close(CLIENT, conn);
    net.run(secs(1));
    assert_eq!(net.packets()[3..], ["> FA 1 1 0", "< A 1 2 0"]);
    let (fin, ack) = (net.sent[3].at, net.sent[4].at);
    assert_eq!(ack - fin, ms(40) + net.delay);
}

#[test]
fn an_interactive_connection_acknowledges_with_its_answer() {
    let mut net = Net::linux()
        .app(CLIENT, App { request: Some(10), ..App::default() })
        .app(SERVER, App { reply: Some((ms(2), 10)), ..App::default() });
    let conn = net.connect(0);
    net.run(secs(1));
    assert_eq!(net.packets()[3..], ["> PA 1 1 10", "< A 1 11 0", "< PA 1 11 10", "> A 11 11 0"]);
    net.write(CLIENT, conn, 10);
    net.run(secs(1));
    assert_eq!(net.packets()[7..], ["> PA 11 11 10", "< PA 11 21 10", "> A 21 21 0"]);
}

#[test]
fn an_answer_that_comes_too_late_ends_the_interactive_mode() {
    let mut net = Net::linux()
        .app(CLIENT, App { request: Some(10), ..App::default() })
        .app(SERVER, App { reply: Some((ms(2), 10)), ..App::default() });
    let conn = net.connect(0);
    net.run(secs(1));
    net.apps[SERVER].reply = Some((ms(60), 10));
    let before = net.sent.len();
    for _ in 0..2 {
        net.write(CLIENT, conn, 10);
        net.run(secs(1));
    }
    let packets = net.sent[before..].iter();
    let acks: Vec<_> =
        packets.filter(|s| s.from == SERVER && s.packet.payload() == 0).map(|s| s.at).collect();
    assert_eq!(acks.len(), 2);
    let at = |n: u64, after: Span| Time::ZERO + secs(n) + after;
    assert_eq!(acks[0], at(1, ms(40) + net.delay), "the first one waits its 40 ms");
    assert_eq!(acks[1], at(2, net.delay), "the second one does not wait");
}

#[test]
fn a_plain_receiver_acknowledges_every_second_segment_and_the_odd_one_after_40_ms() {
    let client = TcpConfig { quick_acks: 0, ..TcpConfig::default() };
    let mut net = Net::new(client, TcpConfig::default());
    let (_, served) = net.established();
    net.write(SERVER, served, 3 * 1448);
    net.run(secs(1));
    assert_eq!(net.packets()[6..], ["> A 1 2897 0", "> A 1 4345 0"]);
    assert_eq!(net.sent[7].at - net.sent[6].at, ms(40));
}

#[test]
fn a_closed_window_is_probed_and_opens_again() {
    let client = TcpConfig { receive_window: 4000, ..TcpConfig::default() };
    let mut net = Net::new(client, TcpConfig::default());
    let (conn, served) = net.established();
    net.with(CLIENT, |s, now, out| s.set_reading(now, conn, false, out));
    net.write(SERVER, served, 10_000);
    net.run(secs(10));
    let received = net.hosts[CLIENT].received(conn);
    assert!((2896..=4000).contains(&received), "{received}");
    let probes = net.sent.iter().filter(|s| s.from == SERVER && s.packet.payload() == 0).skip(1);
    let gaps: Vec<_> = probes.map(|s| s.at).collect();
    assert!((4..=7).contains(&gaps.len()), "doubling from 200 ms: {gaps:?}");
    net.with(CLIENT, |s, now, out| s.set_reading(now, conn, true, out));
    net.run(ms(100));
    assert_eq!(net.hosts[CLIENT].received(conn), 10_000);
    assert_eq!(net.notes_of(CLIENT).last(), Some(&Note::MessageComplete { total: 10_000 }));
}

#[test]
fn a_lost_window_update_is_made_good_by_a_probe() {
    let client = TcpConfig { receive_window: 4000, ..TcpConfig::default() };
    let mut net = Net::new(client, TcpConfig::default());
    let (conn, served) = net.established();
    net.with(CLIENT, |s, now, out| s.set_reading(now, conn, false, out));
    net.write(SERVER, served, 10_000);
    net.run(secs(1));
    net.fate = Box::new(|_, _| Treatment::Lose);
    net.with(CLIENT, |s, now, out| s.set_reading(now, conn, true, out));
    net.fate = Box::new(|_, _| Treatment::Deliver);
    assert!(net.hosts[CLIENT].received(conn) < 10_000);
    net.run(secs(5));
    assert_eq!(net.hosts[CLIENT].received(conn), 10_000);
}

#[test]
fn keepalive_gives_up_a_peer_that_is_gone() {
    let keepalive = Some((secs(10), secs(2), 3));
    let client = TcpConfig { keepalive, ..TcpConfig::default() };
    let mut net = Net::new(client, TcpConfig::default());
    net.established();
    net.fate = Box::new(|_, _| Treatment::Lose);
    net.run(secs(100));
    assert_eq!(net.times(CLIENT, Flags::ACK)[1..], [10_000, 12_000, 14_000]);
    assert_eq!(net.finals(CLIENT), [(16_000, Note::TimedOut)]);
    assert_eq!(net.sent.last().map(|s| s.packet.flags), Some(Flags::RST.with(Flags::ACK)));
}

#[test]
fn several_messages_are_told_one_by_one() {
    let mut net = Net::linux();
    let (conn, _) = net.established();
    for bytes in [100, 2000, 300] {
        net.write(CLIENT, conn, bytes);
    }
    net.run(secs(1));
    let done: Vec<_> = net
        .notes_of(SERVER)
        .into_iter()
        .filter(|n| matches!(n, Note::MessageComplete { .. }))
        .collect();
    assert_eq!(done, [100, 2100, 2400].map(|total| Note::MessageComplete { total }));
    let first = net.notes_of(SERVER).into_iter().filter(|n| *n == Note::FirstByte).count();
    assert_eq!(first, 3);
    let sizes: Vec<_> =
        net.sent[3..].iter().map(|s| s.packet.payload()).filter(|&n| n > 0).collect();
    assert_eq!(sizes, [100, 1448, 552, 300], "a segment never spans two messages");
}

#[test]
fn without_options_a_window_has_sixteen_bits() {
    for (options, window) in [(false, 65_535), (true, 262_140)] {
        let config = TcpConfig { options, ..TcpConfig::default() };
        let mut net = Net::new(config, config);
        net.established();
        let windows: Vec<_> = net.sent.iter().map(|s| s.packet.window).collect();
        assert_eq!(windows, [65_535, 65_535, window]);
    }
}

#[test]
fn a_stream_may_be_longer_than_four_gibibytes() {
    let config =
        TcpConfig { initial_cwnd: 30_000, receive_window: 1 << 30, ..TcpConfig::default() };
    let mut net = Net::new(config, config);
    let (conn, served) = net.established();
    let mut total = 0;
    while total < (1_u64 << 32) + (1 << 20) {
        net.write(CLIENT, conn, 1 << 24);
        total += 1 << 24;
        net.run(ms(50));
        net.sent.clear();
        net.arrivals.clear();
    }
    net.run(secs(10));
    assert_eq!(net.hosts[SERVER].received(served), total);
    assert_eq!(net.hosts[CLIENT].counters().retrans_segs, 0);
}

#[test]
fn quick_acknowledgements_start_again_after_a_pause() {
    let client = TcpConfig { quick_acks: 2, ..TcpConfig::default() };
    let mut net = Net::new(client, TcpConfig::default());
    let (_, served) = net.established();
    for _ in 0..2 {
        net.sent.clear();
        net.write(SERVER, served, 6 * 1448);
        net.run(ms(10));
        let acks = net.sent.iter().filter(|s| s.from == CLIENT).count();
        assert_eq!(acks, 4, "two single ones, then every second segment");
        net.run(secs(1));
    }
}

#[test]
fn the_second_message_without_an_answer_is_acknowledged_at_once() {
    let mut net = Net::linux()
        .app(CLIENT, App { request: Some(10), ..App::default() })
        .app(SERVER, App { reply: Some((ms(2), 10)), ..App::default() });
    let conn = net.connect(0);
    net.run(ms(100));
    net.apps[SERVER].reply = None;
    net.sent.clear();
    for _ in 0..2 {
        net.write(CLIENT, conn, 10);
        net.run(ms(1));
    }
    let acks: Vec<_> = net.sent.iter().filter(|s| s.from == SERVER).map(|s| s.at).collect();
    assert_eq!(acks, [Time::ZERO + ms(101) + net.delay]);
}

#[test]
fn a_filled_gap_is_acknowledged_at_once() {
    let client = TcpConfig { quick_acks: 0, ..TcpConfig::default() };
    let mut net = Net::new(client, TcpConfig::default()).losing(&[3]);
    let (_, served) = net.established();
    net.write(SERVER, served, 300);
    net.write(SERVER, served, 100);
    net.run(secs(1));
    let last = net.sent[net.sent.len() - 2..].iter().map(|s| s.at).collect::<Vec<_>>();
    assert_eq!(net.packets()[net.sent.len() - 2..], ["< PA 1 1 300", "> A 1 401 0"]);
    assert_eq!(last[1] - last[0], net.delay);
}

#[test]
fn a_window_that_opens_forgets_the_waiting_times_of_its_probes() {
    let client = TcpConfig { receive_window: 4000, ..TcpConfig::default() };
    let mut net = Net::new(client, TcpConfig::default());
    let (conn, served) = net.established();
    net.with(CLIENT, |s, now, out| s.set_reading(now, conn, false, out));
    net.write(SERVER, served, 6000);
    net.run(secs(7));
    // the update arrives, the data it lets go is lost
    net.fate = Box::new(|_, s| if s.from == SERVER { Treatment::Lose } else { Treatment::Deliver });
    net.sent.clear();
    net.with(CLIENT, |s, now, out| s.set_reading(now, conn, true, out));
    net.run(ms(500));
    let data: Vec<_> = net.sent.iter().filter(|s| s.from == SERVER).map(|s| s.at).collect();
    let again = data.iter().find(|&&at| at > data[0]).expect("sent again");
    assert!((ms(200)..ms(250)).contains(&(*again - data[0])), "{data:?}");
}

#[test]
fn keepalive_leaves_it_to_retransmissions_to_find_a_dead_peer() {
    let client = TcpConfig { keepalive: Some((ms(50), ms(10), 1)), ..TcpConfig::default() };
    let mut net = Net::new(client, TcpConfig::default());
    let (conn, _) = net.established();
    net.fate = Box::new(|_, _| Treatment::Lose);
    net.sent.clear();
    net.write(CLIENT, conn, 10);
    net.run(ms(1500));
    assert!(net.sent.iter().all(|s| s.packet.payload() == 10), "no probe");
    assert_eq!(net.sent.len(), 4);
}

#[test]
fn data_into_a_closed_window_is_not_taken() {
    let server = TcpConfig { receive_window: 536, ..TcpConfig::default() };
    let mut net = Net::new(TcpConfig::default(), server);
    let (conn, served) = net.established();
    net.with(SERVER, |s, now, out| s.set_reading(now, served, false, out));
    net.write(CLIENT, conn, 536);
    net.run(ms(1));
    let mut p = net.sent.iter().rfind(|s| s.packet.payload() > 0).expect("data").packet;
    p.seq = p.seq.wrapping_add(536);
    let before = net.sent.len();
    net.with(SERVER, |s, now, out| {
        s.on_packet(now, &p, 1500, out);
    });
    assert_eq!(net.hosts[SERVER].received(served), 536);
    assert_eq!(net.sent[before..].iter().map(|s| s.packet.window).collect::<Vec<_>>(), [0]);
}

#[test]
fn wakes_do_not_multiply() {
    let mut net = lvs_small();
    net.connect(0);
    let mut wakes = 0;
    while let Some((&key, _)) = net.events.first_key_value() {
        let Some(event) = net.events.remove(&key) else { break };
        wakes += usize::from(matches!(event, Event::Wake(..)));
        net.now = key.0;
        net.step(event);
    }
    // one early wake for each side covers SYN, data and delayed acknowledgement; TIME_WAIT
    assert_eq!(wakes, 3);
}
