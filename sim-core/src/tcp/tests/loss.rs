//! Recovery from loss: fast retransmission, time-outs, give-up.

use super::*;

const MSS: u32 = 1448;

/// Payloads the server sent, as (first byte, length), in order.
fn data_of_server(net: &Net) -> Vec<(u32, u16)> {
    let syn = net.sent.iter().find(|s| s.from == SERVER).map_or(0, |s| s.packet.seq);
    let data = net.sent.iter().filter(|s| s.from == SERVER && s.packet.payload() > 0);
    data.map(|s| (s.packet.seq.wrapping_sub(syn), s.packet.payload())).collect()
}

/// Ten segments from the server, of which the network loses those with these numbers (from 0).
fn ten_segments(lost: &'static [usize]) -> Net {
    let mut net = Net::linux();
    let (_, served) = net.established();
    let first = net.sent.len();
    net.fate = Box::new(move |n, _| {
        if n >= first && lost.contains(&(n - first)) { Treatment::Lose } else { Treatment::Deliver }
    });
    net.write(SERVER, served, 10 * MSS);
    net.run(secs(10));
    let done = Note::MessageComplete { total: u64::from(10 * MSS) };
    assert_eq!(net.notes_of(CLIENT).last(), Some(&done));
    net
}

#[test]
fn a_hole_is_filled_after_three_duplicate_acks_and_nothing_else_is_repeated() {
    let net = ten_segments(&[2]);
    let data = data_of_server(&net);
    assert_eq!(data.len(), 11);
    assert_eq!(data[10], (1 + 2 * MSS, 1448));
    let repeated = net.sent.iter().rfind(|s| s.from == SERVER).expect("sent").at;
    assert_eq!(repeated, Time::ZERO + ms(1) + net.delay + net.delay, "one round trip later");
    let counters = net.hosts[SERVER].counters();
    assert_eq!((counters.fast_retransmits, counters.timeouts, counters.retrans_segs), (1, 0, 1));
}

#[test]
fn several_holes_are_filled_one_per_round_trip() {
    let net = ten_segments(&[1, 3, 5]);
    let data = data_of_server(&net);
    let repeated: Vec<_> = data[10..].iter().map(|d| (d.0 - 1) / MSS).collect();
    assert_eq!(repeated, [1, 3, 5], "partial acknowledgements name the next hole");
    let counters = net.hosts[SERVER].counters();
    assert_eq!((counters.fast_retransmits, counters.timeouts), (1, 0));
}

#[test]
fn a_lost_tail_is_sent_again_as_a_probe_when_the_time_out_is_due() {
    let net = ten_segments(&[9]);
    let counters = net.hosts[SERVER].counters();
    assert_eq!((counters.fast_retransmits, counters.timeouts, counters.retrans_segs), (0, 0, 1));
    let repeated = net.sent.iter().rfind(|s| s.from == SERVER).expect("sent").at;
    let waited = repeated - (Time::ZERO + ms(1) + net.delay + net.delay);
    assert!((ms(200)..ms(201)).contains(&waited), "200 ms and a round trip: {waited}");
}

#[test]
fn the_time_out_doubles_until_the_peer_is_given_up() {
    let server = TcpConfig { retries: 5, ..TcpConfig::default() };
    let mut net = Net::new(TcpConfig::default(), server);
    let (_, served) = net.established();
    net.fate = Box::new(|_, _| Treatment::Lose);
    net.write(SERVER, served, 100);
    net.run(secs(100));
    let times: Vec<_> = net.sent[3..].iter().map(|s| s.at).collect();
    let gaps: Vec<_> = times.windows(2).map(|w| (w[1] - w[0]).as_nanos() / 1_000_000).collect();
    // the first one is a probe of the tail: recorded were 217, 220, 430 and 887 ms
    assert_eq!(gaps, [200, 200, 400, 800, 1600, 3201]);
    let last = 1 + 200 + 200 + 400 + 800 + 1600 + 3200 + 6406;
    assert_eq!(net.finals(SERVER)[0], (last, Note::TimedOut));
    assert_eq!(net.hosts[SERVER].counters().gave_up, 1);
}

#[test]
fn fifteen_retries_take_about_a_quarter_of_an_hour() {
    let mut net = Net::linux();
    let (_, served) = net.established();
    net.fate = Box::new(|_, _| Treatment::Lose);
    net.write(SERVER, served, 100);
    net.run(secs(2000));
    let (at, note) = net.finals(SERVER)[0];
    assert_eq!(note, Note::TimedOut);
    assert!((924_000..926_000).contains(&at), "924.6 s in the documentation of tcp_retries2: {at}");
}

#[test]
fn an_icmp_error_does_not_end_an_established_connection_but_names_its_end() {
    let server = TcpConfig { retries: 3, ..TcpConfig::default() };
    let mut net = Net::new(TcpConfig::default(), server);
    let (_, served) = net.established();
    net.fate = Box::new(|_, _| Treatment::Lose);
    net.write(SERVER, served, 100);
    let lost = net.sent.last().expect("sent").packet;
    net.with(SERVER, |s, now, out| {
        s.on_icmp_error(now, &lost, icmp::UNREACHABLE, icmp::HOST, 0, out);
    });
    assert_eq!(net.finals(SERVER), []);
    net.run(secs(100));
    assert_eq!(net.finals(SERVER)[0].1, Note::Unreachable);
}

#[test]
fn after_a_time_out_everything_is_sent_again_in_slow_start() {
    let net = ten_segments(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let data = data_of_server(&net);
    assert_eq!(data.len(), 20);
    let mut rounds = Vec::new();
    for s in net.sent.iter().filter(|s| s.from == SERVER && s.packet.payload() > 0).skip(10) {
        match rounds.last_mut() {
            Some((at, n)) if *at == s.at => *n += 1,
            _ => rounds.push((s.at, 1)),
        }
    }
    let sizes: Vec<_> = rounds.iter().map(|r| r.1).collect();
    assert_eq!(sizes[0], 1, "one segment first: {sizes:?}");
    assert!(sizes.iter().all(|&n| n <= 4), "{sizes:?}");
}

#[test]
fn a_reordered_segment_is_not_taken_for_lost() {
    let mut net = Net::linux();
    let (_, served) = net.established();
    let first = net.sent.len();
    net.fate = Box::new(move |n, _| {
        // overtaken by two
        if n == first { Treatment::Hold(Span::from_nanos(1)) } else { Treatment::Deliver }
    });
    net.write(SERVER, served, 3 * MSS);
    net.run(secs(1));
    assert_eq!(data_of_server(&net).len(), 3);
    let done = Note::MessageComplete { total: u64::from(3 * MSS) };
    assert_eq!(net.notes_of(CLIENT).last(), Some(&done));
}

#[test]
fn a_message_whose_middle_comes_last_is_told_once() {
    let net = ten_segments(&[4]);
    let complete =
        net.notes_of(CLIENT).into_iter().filter(|n| matches!(n, Note::MessageComplete { .. }));
    assert_eq!(complete.count(), 1);
    assert_eq!(net.notes_of(CLIENT).into_iter().filter(|n| *n == Note::FirstByte).count(), 1);
}

#[test]
fn a_duplicated_packet_changes_nothing_but_acks() {
    let mut net = Net::linux().app(CLIENT, App { request: Some(5000), ..App::default() });
    net.fate =
        Box::new(
            |_, s| {
                if s.from == CLIENT { Treatment::Double(ms(3)) } else { Treatment::Deliver }
            },
        );
    net.connect(0);
    net.run(secs(5));
    assert_eq!(net.hosts[SERVER].received(net.accepted()), 5000);
    assert_eq!(net.hosts[CLIENT].counters().retrans_segs, 0);
}

#[test]
fn without_timestamps_the_time_out_stays_doubled_until_something_is_measured() {
    for (options, second) in [(false, 400), (true, 200)] {
        let config = TcpConfig { options, ..TcpConfig::default() };
        let mut net = Net::new(config, config);
        let (_, served) = net.established();
        net.fate = Box::new(|n, _| if n == 3 { Treatment::Lose } else { Treatment::Deliver });
        net.write(SERVER, served, 100);
        net.run(secs(1));
        let first = net.sent.len();
        net.fate =
            Box::new(move |n, _| if n == first { Treatment::Lose } else { Treatment::Deliver });
        net.write(SERVER, served, 100);
        net.run(secs(1));
        let sent: Vec<_> = net.sent[first..].iter().filter(|s| s.from == SERVER).collect();
        assert_eq!((sent[1].at - sent[0].at).as_nanos() / 1_000_000, second);
        // now a segment that was not repeated was measured
        net.write(SERVER, served, 100);
        net.run(secs(1));
        net.fate = Box::new(|_, _| Treatment::Lose);
        net.write(SERVER, served, 100);
        let at = net.now;
        net.run(ms(300));
        let again = net.sent.last().expect("sent").at;
        assert_eq!((again - at).as_nanos() / 1_000_000, 200);
    }
}

#[test]
fn a_repeated_segment_is_not_measured() {
    let mut net = Net::linux();
    net.delay = ms(50);
    let conn = net.connect(0);
    net.run(secs(1));
    let served = net.accepted();
    let first = net.sent.len();
    net.fate = Box::new(move |n, _| if n == first { Treatment::Lose } else { Treatment::Deliver });
    net.write(SERVER, served, 10 * MSS);
    net.run(secs(5));
    assert_eq!(net.hosts[CLIENT].received(conn), u64::from(10 * MSS));
    net.fate = Box::new(|_, _| Treatment::Lose);
    let at = net.now;
    net.write(SERVER, served, 10);
    net.run(ms(350));
    assert_eq!((net.sent.last().expect("sent").at - at).as_nanos() / 1_000_000, 300);
}

#[test]
fn progress_between_losses_keeps_a_connection_alive() {
    let config = TcpConfig { retries: 3, ..TcpConfig::default() };
    let mut net = Net::new(config, config);
    let (conn, served) = net.established();
    // every segment needs three attempts
    net.fate = Box::new(|n, s| {
        if s.from == SERVER && s.packet.payload() > 0 && n % 4 != 0 {
            Treatment::Lose
        } else {
            Treatment::Deliver
        }
    });
    net.write(SERVER, served, 6 * MSS);
    net.run(secs(600));
    assert_eq!(net.hosts[CLIENT].received(conn), u64::from(6 * MSS));
    assert!(net.hosts[SERVER].counters().timeouts > 3);
}

#[test]
fn what_the_peer_has_is_not_sent_again_after_a_time_out() {
    let mut net = Net::linux().losing(&[3]);
    let (_, served) = net.established();
    net.write(SERVER, served, 3 * MSS);
    net.run(secs(1));
    assert_eq!(net.hosts[SERVER].counters().retrans_segs, 1);
    assert_eq!(data_of_server(&net).len(), 4);
}

#[test]
fn an_acknowledgement_during_recovery_carries_the_highest_sequence_number() {
    let mut net = Net::linux();
    let (conn, served) = net.established();
    net.fate = Box::new(|_, s| if s.from == CLIENT { Treatment::Lose } else { Treatment::Deliver });
    net.write(CLIENT, conn, 5 * MSS);
    net.run(ms(300));
    net.write(SERVER, served, 100);
    net.run(ms(1));
    let ack = net.sent.last().expect("sent").packet;
    assert_eq!(
        (ack.flags, ack.seq),
        (Flags::ACK, net.sent[0].packet.seq.wrapping_add(1 + 5 * MSS))
    );
}

#[test]
fn an_idle_sender_starts_with_its_initial_window_again() {
    let mut net = Net::linux();
    let (_, served) = net.established();
    net.write(SERVER, served, 100 * MSS);
    net.run(secs(100));
    let before = net.sent.len();
    net.write(SERVER, served, 100 * MSS);
    assert_eq!(net.sent.len() - before, 10);
}

#[test]
fn a_handshake_with_two_lost_syns_starts_with_one_segment() {
    for (lost, burst) in [(1, 3), (2, 1)] {
        let mut net = Net::linux().app(CLIENT, App { request: Some(3 * MSS), ..App::default() });
        net.fate =
            Box::new(move |n, _| if n < lost { Treatment::Lose } else { Treatment::Deliver });
        net.connect(0);
        net.run(ms(3000) + net.delay + net.delay);
        let data = net.sent.iter().filter(|s| s.packet.payload() > 0).count();
        assert_eq!(data, burst);
    }
}

#[test]
fn a_long_path_does_not_time_out_while_it_makes_progress() {
    let mut net = Net::linux();
    net.delay = ms(150);
    net.connect(0);
    net.run(secs(1));
    let served = net.accepted();
    net.write(SERVER, served, 500 * MSS);
    net.run(secs(20));
    let counters = net.hosts[SERVER].counters();
    assert_eq!((counters.timeouts, counters.retrans_segs), (0, 0));
}

#[test]
fn a_lone_fin_goes_out_even_in_recovery() {
    // three duplicates: a window of eight segments while ten are on their way
    let mut net = Net::linux().losing(&[3, 7, 8, 9, 10, 11, 12]);
    let (_, served) = net.established();
    net.write(SERVER, served, 10 * MSS);
    net.run(net.delay + net.delay);
    assert_eq!(net.hosts[SERVER].counters().fast_retransmits, 1);
    net.close(SERVER, served);
    assert_eq!(net.packets().last().map(String::as_str), Some("< FA 14481 1 0"));
}
