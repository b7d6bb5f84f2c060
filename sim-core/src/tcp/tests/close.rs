//! Closing: FIN in every order, orphans, RST in every state, `TIME_WAIT`.

use super::*;
use crate::tcp::ConnectError;

const FIN_ACK: Flags = Flags(0x11);

/// A RST that host `to` accepts at this moment, made from what its peer sent last.
fn reset_to(net: &Net, to: usize) -> Packet {
    let last = net.sent.iter().rev().find(|s| s.from == to && s.packet.flags.has(Flags::ACK));
    let p = last.expect("it has acknowledged something").packet;
    let mut r = Packet::ipv4(p.dst, p.src, 6, 40);
    (r.sport, r.dport, r.seq, r.flags) = (p.dport, p.sport, p.ack, Flags::RST);
    r
}

fn give(net: &mut Net, to: usize, p: &Packet) -> Arrival {
    let mut arrival = Arrival::Invalid;
    net.with(to, |s, now, out| arrival = s.on_packet(now, p, 1500, out));
    arrival
}

#[test]
fn both_may_close_at_the_same_time() {
    let mut net = Net::linux();
    let (conn, served) = net.established();
    net.close(CLIENT, conn);
    net.close(SERVER, served);
    net.run(secs(1));
    assert_eq!(net.packets()[3..], ["> FA 1 1 0", "< FA 1 1 0", "< A 2 2 0", "> A 2 2 0"]);
    assert_eq!(net.finals(CLIENT), [(1, Note::Closed)]);
    assert_eq!(net.finals(SERVER), [(1, Note::Closed)]);
    assert_eq!((net.hosts[CLIENT].time_waits(), net.hosts[SERVER].time_waits()), (1, 1));
}

#[test]
fn the_fin_rides_on_the_last_data() {
    let mut net = Net::linux();
    let (_, served) = net.established();
    net.fate = Box::new(|_, _| Treatment::Lose);
    net.write(SERVER, served, 20 * 1448);
    net.fate = Box::new(|_, _| Treatment::Deliver);
    net.close(SERVER, served);
    net.run(secs(5));
    let fins: Vec<_> = net.packets().into_iter().filter(|p| p.starts_with("< FPA")).collect();
    assert_eq!(fins, ["< FPA 27513 1 1448"], "one FIN, on the last segment");
    assert_eq!(net.notes_of(CLIENT).last(), Some(&Note::PeerClosed));
}

#[test]
fn a_lost_fin_and_a_lost_last_ack_are_sent_again() {
    // 3: FIN of the client, 6: FIN of the server, 7: last ACK
    let mut net = Net::linux().losing(&[3, 6, 7]);
    net.apps[SERVER].close_on_peer = Some(ms(1));
    let (conn, _) = net.established();
    net.close(CLIENT, conn);
    net.run(secs(5));
    assert_eq!(net.times(CLIENT, FIN_ACK).len(), 2);
    assert!(net.times(SERVER, FIN_ACK).len() >= 2);
    assert_eq!(net.finals(CLIENT).len(), 1);
    assert_eq!(net.finals(SERVER).iter().map(|f| f.1).collect::<Vec<_>>(), [Note::Closed]);
}

#[test]
fn an_orphan_waits_60_s_for_the_fin_of_its_peer() {
    let mut net = Net::linux();
    let (conn, _) = net.established();
    net.close(CLIENT, conn);
    net.run(secs(100));
    assert_eq!(net.finals(CLIENT), [(60_041, Note::Closed)]);
    assert_eq!(net.notes_of(SERVER).last(), Some(&Note::PeerClosed));
}

#[test]
fn an_orphan_that_nobody_answers_gives_up_after_a_probe_and_eight_retransmissions() {
    let mut net = Net::linux();
    let (conn, _) = net.established();
    net.fate = Box::new(|_, _| Treatment::Lose);
    net.close(CLIENT, conn);
    net.run(secs(200));
    assert_eq!(net.times(CLIENT, FIN_ACK).len(), 10);
    let (at, note) = net.finals(CLIENT)[0];
    assert_eq!(note, Note::TimedOut);
    assert!((102_000..103_000).contains(&at), "200 ms x 512: {at}");
}

#[test]
fn data_after_close_is_answered_by_a_rst() {
    let mut net = Net::linux();
    let (conn, served) = net.established();
    net.close(CLIENT, conn);
    net.run(ms(100));
    net.write(SERVER, served, 100);
    net.run(secs(1));
    assert_eq!(net.packets()[5..], ["< PA 1 2 100", "> R 2 0 0"]);
    assert_eq!(net.finals(CLIENT)[0].1, Note::Aborted);
    assert_eq!(net.finals(SERVER)[0].1, Note::Reset);
}

#[test]
fn abort_sends_a_rst_with_the_options_of_the_connection() {
    // as in the recording dr-rs-resets
    let mut net = Net::linux().app(CLIENT, App { request: Some(9), ..App::default() });
    net.connect(0);
    net.run(ms(5));
    net.abort(SERVER, net.accepted());
    net.run(secs(1));
    assert_eq!(net.packets()[3..], ["> PA 1 1 9", "< A 1 10 0", "< RA 1 10 0"]);
    assert_eq!(net.sent[5].packet.opt, 12);
    assert_eq!(net.finals(CLIENT), [(5, Note::Reset)]);
    assert_eq!(net.finals(SERVER), [(5, Note::Aborted)]);
    assert_eq!(net.hosts[SERVER].counters().out_rsts, 1);
    assert_eq!(net.hosts[SERVER].counters().estab_resets, 1);
}

#[test]
fn closing_with_unread_bytes_is_a_rst() {
    let mut net = Net::linux();
    let (conn, served) = net.established();
    net.with(CLIENT, |s, now, out| s.set_reading(now, conn, false, out));
    net.write(SERVER, served, 100);
    net.run(ms(1));
    net.close(CLIENT, conn);
    net.run(ms(1));
    assert_eq!(net.finals(SERVER)[0].1, Note::Reset);
}

#[test]
fn a_rst_ends_a_connection_in_every_state() {
    // name of the state, the host in it, how it gets there
    type Story = fn(&mut Net, Conn, Conn);
    let stories: [(&str, usize, Story); 7] = [
        ("ESTABLISHED", CLIENT, |_, _, _| {}),
        ("FIN_WAIT1", CLIENT, |net, c, _| {
            net.fate = Box::new(|_, _| Treatment::Lose);
            net.close(CLIENT, c);
        }),
        ("FIN_WAIT2", CLIENT, |net, c, _| {
            net.close(CLIENT, c);
            net.run(ms(100));
        }),
        ("CLOSING", CLIENT, |net, c, s| {
            net.close(CLIENT, c);
            net.close(SERVER, s);
            net.fate = Box::new(|_, _| Treatment::Lose);
            net.run(Span::from_micros(60));
        }),
        ("CLOSE_WAIT", SERVER, |net, c, _| {
            net.close(CLIENT, c);
            net.run(ms(100));
        }),
        ("LAST_ACK", SERVER, |net, c, s| {
            net.close(CLIENT, c);
            net.run(ms(100));
            net.fate = Box::new(|_, _| Treatment::Lose);
            net.close(SERVER, s);
        }),
        ("TIME_WAIT", CLIENT, |net, c, s| {
            net.close(CLIENT, c);
            net.run(ms(100));
            net.close(SERVER, s);
            net.run(ms(100));
        }),
    ];
    for (state, host, story) in stories {
        let mut net = Net::linux();
        let (c, s) = net.established();
        story(&mut net, c, s);
        let rst = reset_to(&net, host);
        let before = net.sent.len();
        let mut off = rst;
        off.seq = off.seq.wrapping_sub(70_000);
        let alive = net.hosts[host].connections() + net.hosts[host].time_waits();
        give(&mut net, host, &off);
        let still = net.hosts[host].connections() + net.hosts[host].time_waits();
        assert_eq!(still, alive, "{state}: a RST outside of the window is nothing");
        assert_eq!(give(&mut net, host, &rst), Arrival::Delivered, "{state}");
        assert_eq!(net.sent.len(), before, "{state}: a RST is not answered");
        let left = net.hosts[host].connections() + net.hosts[host].time_waits();
        assert_eq!(left, 0, "{state}");
        let finals = net.finals(host);
        let note = if state == "TIME_WAIT" { Note::Closed } else { Note::Reset };
        assert_eq!(finals.iter().map(|f| f.1).collect::<Vec<_>>(), [note], "{state}");
    }
}

#[test]
fn a_rst_inside_the_window_but_not_next_is_challenged() {
    let mut net = Net::linux();
    net.established();
    let mut rst = reset_to(&net, CLIENT);
    rst.seq = rst.seq.wrapping_add(100);
    assert_eq!(give(&mut net, CLIENT, &rst), Arrival::Invalid);
    assert_eq!(net.packets()[3..], ["> A 1 1 0"]);
    give(&mut net, CLIENT, &rst);
    assert_eq!(net.sent.len(), 4, "not more often than every 500 ms");
    assert_eq!(net.finals(CLIENT), []);
}

#[test]
fn a_rst_ends_a_half_open_connection_without_a_word() {
    let mut net = Net::linux();
    net.fate = Box::new(|_, s| if s.from == SERVER { Treatment::Lose } else { Treatment::Deliver });
    net.connect(0);
    net.run(ms(1));
    let rst = reset_to(&net, SERVER);
    assert_eq!(give(&mut net, SERVER, &rst), Arrival::Delivered);
    assert_eq!(net.hosts[SERVER].connections(), 0);
    assert_eq!(net.notes_of(SERVER), []);
}

#[test]
fn a_rst_with_a_wrong_acknowledgement_does_not_end_a_connect() {
    let mut net = Net::linux();
    net.fate = Box::new(|_, _| Treatment::Lose);
    net.connect(0);
    let syn = net.sent[0].packet;
    let mut rst = Packet::ipv4(syn.dst, syn.src, 6, 40);
    (rst.sport, rst.dport, rst.flags) = (WEB, PORT, Flags::RST.with(Flags::ACK));
    rst.ack = syn.seq.wrapping_add(2);
    give(&mut net, CLIENT, &rst);
    assert_eq!(net.notes_of(CLIENT), []);
    rst.ack = syn.seq.wrapping_add(1);
    give(&mut net, CLIENT, &rst);
    assert_eq!(net.notes_of(CLIENT), [Note::Refused]);
}

/// A connection that the server closed first.
fn server_in_time_wait() -> Net {
    let mut net = Net::linux().app(CLIENT, App { close_on_peer: Some(ms(1)), ..App::default() });
    let (_, served) = net.established();
    net.close(SERVER, served);
    net.run(secs(1));
    assert_eq!(net.hosts[SERVER].time_waits(), 1);
    net.sent.clear();
    net
}

#[test]
fn a_port_in_time_wait_is_used_again_by_a_syn_that_starts_higher() {
    let mut net = server_in_time_wait();
    net.connect(0);
    net.run(ms(1));
    assert_eq!(net.packets(), ["> S 0 0 0", "< SA 0 1 0", "> A 1 1 0"]);
    assert_eq!(net.hosts[SERVER].time_waits(), 0);
    net.run(secs(100));
    assert_eq!(net.hosts[SERVER].connections(), 1, "the old entry's end does not touch it");
}

#[test]
fn a_syn_that_starts_no_higher_is_sent_back_and_its_repetition_gets_in() {
    let mut net = server_in_time_wait();
    let (local, remote) = (end(CLIENT, PORT), end(SERVER, WEB));
    // exactly what the old connection expects next
    let low = net.hosts[CLIENT].initial_sequence(Time::ZERO, local, remote).wrapping_add(2);
    net.with(CLIENT, |s, now, out| {
        assert!(s.connect(now, local, remote, low, 0, 1500, out).is_ok());
    });
    net.run(secs(2));
    let flags: Vec<_> = net.sent.iter().map(|s| format!("{:?}", s.packet.flags)).collect();
    assert_eq!(flags, ["S", "A", "R", "S", "SA", "A"]);
}

#[test]
fn a_port_in_time_wait_is_not_used_by_its_owner_for_60_s() {
    let mut net = server_in_time_wait();
    let (local, remote) = (end(SERVER, WEB), end(CLIENT, PORT));
    let mut connect =
        |at: Time| net.hosts[SERVER].connect(at, local, remote, 0, 0, 1500, &mut Output::default());
    assert_eq!(connect(Time::ZERO + secs(60)), Err(ConnectError::TimeWait));
    assert!(connect(Time::ZERO + secs(61) + ms(2)).is_ok());
}

#[test]
fn a_repeated_fin_is_acknowledged_and_starts_time_wait_again() {
    let mut net = Net::linux().app(CLIENT, App { close_on_peer: Some(ms(1)), ..App::default() });
    let (_, served) = net.established();
    net.close(SERVER, served);
    net.run(secs(1));
    let fin = net.sent.iter().rev().find(|s| s.from == CLIENT).expect("FIN").packet;
    net.run(secs(50));
    let before = net.sent.len();
    // a client that has forgotten the connection would answer with a RST, which ends TIME_WAIT
    net.fate = Box::new(|_, _| Treatment::Lose);
    give(&mut net, SERVER, &fin);
    assert_eq!(net.packets()[before..], ["< A 2 2 0"]);
    net.run(secs(55));
    let tuple = (end(SERVER, WEB), end(CLIENT, PORT));
    let again = net.hosts[SERVER].connect(net.now, tuple.0, tuple.1, 0, 0, 1500, &mut net.out);
    assert_eq!(again, Err(ConnectError::TimeWait));
    net.run(secs(10));
    assert_eq!(net.hosts[SERVER].time_waits(), 0);
}

#[test]
fn a_client_that_uses_its_port_again_gets_rid_of_the_old_connection() {
    // the server still has the old connection: its ACK is answered by a RST, the repeated SYN gets in
    let mut net = Net::linux();
    let (conn, _) = net.established();
    net.fate = Box::new(|_, _| Treatment::Lose);
    net.abort(CLIENT, conn);
    net.fate = Box::new(|_, _| Treatment::Deliver);
    net.run(secs(1));
    net.connect(0);
    net.run(secs(2));
    let flags: Vec<_> = net.sent[4..].iter().map(|s| format!("{:?}", s.packet.flags)).collect();
    assert_eq!(flags, ["S", "A", "R", "S", "SA", "A"]);
    assert_eq!(net.finals(SERVER)[0].1, Note::Reset);
}

#[test]
fn wakes_of_a_former_owner_of_a_slot_do_nothing() {
    let mut net = Net::linux();
    let first = net.connect(0);
    net.abort(CLIENT, first);
    net.run(ms(500));
    net.fate = Box::new(|_, _| Treatment::Lose);
    let second = net.connect(1);
    assert_eq!(first, second, "the slot is used again");
    net.run(secs(4));
    assert_eq!(net.times(CLIENT, Flags::SYN), [0, 500, 1500, 3500]);
    assert_eq!(net.events.len(), 1, "and do not multiply");
}

#[test]
fn calls_for_a_connection_that_is_over_do_nothing() {
    let mut net = Net::linux();
    let (conn, _) = net.established();
    net.abort(CLIENT, conn);
    let before = net.sent.len();
    net.write(CLIENT, conn, 100);
    net.close(CLIENT, conn);
    net.abort(CLIENT, conn);
    net.write(CLIENT, Conn(12_345), 100);
    assert_eq!(net.sent.len(), before);
    assert_eq!(net.finals(CLIENT).len(), 1);
}

#[test]
fn a_fin_does_not_wait_for_the_congestion_window() {
    let mut net = Net::linux();
    let (_, served) = net.established();
    net.write(SERVER, served, 10 * 1448);
    net.close(SERVER, served);
    assert_eq!(net.packets().last().map(String::as_str), Some("< FA 14481 1 0"));
}

#[test]
fn data_behind_a_fin_is_not_from_this_connection() {
    let mut net = Net::linux();
    let (conn, served) = net.established();
    net.write(CLIENT, conn, 10);
    net.close(CLIENT, conn);
    net.run(ms(100));
    let mut p = net.sent.iter().rfind(|s| s.from == CLIENT).expect("FIN").packet;
    (p.seq, p.len, p.flags) = (p.seq.wrapping_add(1), 152, Flags::ACK);
    give(&mut net, SERVER, &p);
    assert_eq!(net.hosts[SERVER].received(served), 10);
}

#[test]
fn a_late_ack_leaves_time_wait_alone() {
    let mut net = server_in_time_wait();
    net.connect(1);
    let syn = net.sent[0].packet;
    let mut p = Packet::ipv4(syn.src, syn.dst, 6, 40);
    (p.sport, p.dport, p.flags) = (PORT, WEB, Flags::ACK);
    p.seq = net.hosts[CLIENT].initial_sequence(Time::ZERO, end(CLIENT, PORT), end(SERVER, WEB));
    p.seq = p.seq.wrapping_add(2);
    let before = net.sent.len();
    give(&mut net, SERVER, &p);
    assert_eq!(net.sent.len(), before);
    p.seq = p.seq.wrapping_sub(1);
    give(&mut net, SERVER, &p);
    give(&mut net, SERVER, &p);
    assert_eq!(net.sent.len(), before + 1, "anything else is answered, not more often than 2/s");
}
