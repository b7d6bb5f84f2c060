//! Opening: SYN retries, refusal, backlog, both at once, port reuse.

use super::*;

const SYN: Flags = Flags::SYN;

fn syn_ack() -> Flags {
    Flags::SYN.with(Flags::ACK)
}

#[test]
fn a_handshake_is_three_packets_with_the_sizes_of_linux() {
    let mut net = Net::linux();
    let conn = net.connect(0);
    net.run(secs(1));
    assert_eq!(net.packets(), ["> S 0 0 0", "< SA 0 1 0", "> A 1 1 0"]);
    let sizes: Vec<_> =
        net.sent.iter().map(|s| (s.packet.len, s.packet.opt, s.packet.mss)).collect();
    assert_eq!(sizes, [(60, 20, 1460), (60, 20, 1460), (52, 12, 0)]);
    assert!(net.sent.iter().all(|s| s.packet.ttl == 64 && s.packet.dont_fragment()));
    assert!(net.sent.iter().all(|s| s.packet.tag == 7), "the tag goes along both ways");
    assert_eq!(net.notes_of(CLIENT), [Note::Connected]);
    assert_eq!(net.notes_of(SERVER), [Note::Accepted { listener: 0 }]);
    assert_eq!(net.hosts[CLIENT].tuple(conn), (end(CLIENT, PORT), end(SERVER, WEB)));
    assert_eq!(net.hosts[CLIENT].counters().curr_estab, 1);
}

#[test]
fn the_link_and_the_smaller_announcement_bound_the_segment_size() {
    let server = TcpConfig { mss: 1000, options: false, ..TcpConfig::default() };
    let mut net = Net::new(TcpConfig::default(), server);
    net.apps[CLIENT].request = Some(3000);
    net.connect(0);
    net.run(secs(1));
    assert_eq!(net.sent[1].packet.opt, 0, "options only if both want them");
    assert_eq!(net.packets()[3..6], ["> A 1 1 1000", "> A 1001 1 1000", "> PA 2001 1 1000"]);
}

#[test]
fn an_unanswered_syn_is_repeated_at_1_3_7_15_31_63_s_and_given_up_at_127_s() {
    let mut net = Net::linux();
    net.fate = Box::new(|_, _| Treatment::Lose);
    net.connect(0);
    net.run(secs(200));
    assert_eq!(net.times(CLIENT, SYN), [0, 1000, 3000, 7000, 15_000, 31_000, 63_000]);
    assert_eq!(net.finals(CLIENT), [(127_000, Note::TimedOut)]);
    assert!(net.events.is_empty(), "nothing stays armed");
    assert_eq!(net.hosts[CLIENT].connections(), 0);
}

#[test]
fn an_unanswered_syn_ack_is_repeated_five_times_and_forgotten_without_a_word() {
    let mut net = Net::linux();
    net.fate = Box::new(|_, s| if s.from == SERVER { Treatment::Lose } else { Treatment::Deliver });
    let conn = net.connect(0);
    net.run(ms(500));
    net.abort(CLIENT, conn);
    net.run(secs(100));
    assert_eq!(net.times(SERVER, syn_ack()), [0, 1000, 3000, 7000, 15_000, 31_000]);
    assert_eq!(net.notes_of(SERVER), []);
    assert_eq!(net.hosts[SERVER].connections(), 0);
    assert_eq!(net.hosts[SERVER].counters().attempt_fails, 1);
}

#[test]
fn a_repeated_syn_is_answered_and_the_timer_answers_as_well() {
    // as in the recording nat-half-open: at 1 s and at 3 s both the timer of the server and the
    // repeated SYN cause a SYN-ACK
    let mut net = Net::linux();
    net.fate = Box::new(|_, s| if s.from == SERVER { Treatment::Lose } else { Treatment::Deliver });
    net.connect(0);
    net.run(secs(4));
    assert_eq!(net.times(CLIENT, SYN), [0, 1000, 3000]);
    assert_eq!(net.times(SERVER, syn_ack()), [0, 1000, 1000, 3000, 3000]);
}

#[test]
fn a_lost_last_ack_is_made_good_by_the_data() {
    let mut net = Net::linux().losing(&[2]);
    net.apps[CLIENT].request = Some(100);
    net.connect(0);
    net.run(secs(1));
    assert_eq!(
        net.packets(),
        ["> S 0 0 0", "< SA 0 1 0", "> A 1 1 0", "> PA 1 1 100", "< A 1 101 0"]
    );
    assert_eq!(net.notes_of(SERVER)[0], Note::Accepted { listener: 0 });
}

#[test]
fn a_lost_last_ack_alone_is_made_good_by_the_repeated_syn_ack() {
    let mut net = Net::linux().losing(&[2]);
    net.connect(0);
    net.run(secs(2));
    assert_eq!(net.packets()[3..], ["< SA 0 1 0", "> A 1 1 0"]);
    assert_eq!(net.notes_of(SERVER), [Note::Accepted { listener: 0 }]);
}

#[test]
fn a_port_without_listener_refuses() {
    let mut net = Net::linux();
    net.with(SERVER, |s, _, _| s.stop_listening(WEB));
    net.connect(0);
    net.run(secs(1));
    assert_eq!(net.packets(), ["> S 0 0 0", "< RA 0 1 0"]);
    assert_eq!(net.sent[1].packet.len, 40);
    assert_eq!(net.notes_of(CLIENT), [Note::Refused]);
    assert_eq!(net.arrivals[0], Arrival::NoSocket);
}

#[test]
fn a_syn_ack_that_nobody_asked_for_is_answered_by_a_bare_rst() {
    // as in the recording nat-bad-gateway
    let mut net = Net::linux();
    let mut p = Packet::ipv4(end(SERVER, 0).0, end(CLIENT, 0).0, 6, 60);
    (p.sport, p.dport, p.seq, p.ack, p.flags, p.opt) = (WEB, PORT, 99, 1234, syn_ack(), 20);
    net.with(CLIENT, |s, now, out| assert_eq!(s.on_packet(now, &p, 1500, out), Arrival::NoSocket));
    let r = net.sent[0].packet;
    assert_eq!((r.flags, r.seq, r.ack, r.len, r.window), (Flags::RST, 1234, 0, 40, 0));
}

#[test]
fn data_written_before_the_handshake_rides_on_its_last_ack() {
    let mut net = Net::linux();
    let conn = net.connect(0);
    net.write(CLIENT, conn, 10);
    net.run(secs(1));
    assert_eq!(net.packets()[..3], ["> S 0 0 0", "< SA 0 1 0", "> PA 1 1 10"]);
}

#[test]
fn both_may_open_at_the_same_time() {
    let mut net = Net::linux();
    let (a, b) = (end(CLIENT, 1000), end(SERVER, 2000));
    net.with(CLIENT, |s, now, out| assert!(s.connect(now, a, b, 10, 0, 1500, out).is_ok()));
    net.with(SERVER, |s, now, out| assert!(s.connect(now, b, a, 20, 0, 1500, out).is_ok()));
    net.run(secs(5));
    assert_eq!(net.notes_of(CLIENT), [Note::Connected]);
    assert_eq!(net.notes_of(SERVER), [Note::Connected]);
    let conn = net.notes[0].2;
    net.write(CLIENT, conn, 100);
    net.run(secs(1));
    assert_eq!(net.notes_of(SERVER).last(), Some(&Note::MessageComplete { total: 100 }));
    assert!(net.sent.len() <= 8, "{:?}", net.packets());
}

#[test]
fn a_full_accept_queue_drops_syns_until_the_application_takes_one() {
    let mut net = Net::linux().app(SERVER, App { idle: true, ..App::default() });
    net.with(SERVER, |s, _, _| {
        s.stop_listening(WEB);
        assert_eq!(s.listen(WEB, 1), Ok(0));
    });
    for n in 0..3 {
        net.connect(n);
        net.run(ms(1));
    }
    assert_eq!(net.notes_of(CLIENT).len(), 2, "backlog 1 lets two wait");
    assert_eq!(net.arrivals.last(), Some(&Arrival::BacklogFull));
    assert_eq!(net.hosts[SERVER].counters().listen_drops, 1);
    net.hosts[SERVER].accept(0);
    net.run(secs(2));
    assert_eq!(net.notes_of(CLIENT).len(), 3, "the repeated SYN finds room");
}

#[test]
fn the_last_ack_is_dropped_when_the_accept_queue_filled_meanwhile() {
    let mut net = Net::linux().app(SERVER, App { idle: true, ..App::default() });
    net.with(SERVER, |s, _, _| {
        s.stop_listening(WEB);
        assert_eq!(s.listen(WEB, 2), Ok(0));
    });
    net.connect(0);
    net.run(ms(1));
    net.connect(1);
    net.run(ms(1));
    // two SYNs while two wait: both fit in the SYN queue, only one fits in the accept queue
    net.connect(2);
    net.connect(3);
    net.run(ms(1));
    assert_eq!(net.notes_of(CLIENT).len(), 4, "all clients think they are connected");
    assert_eq!(net.notes_of(SERVER).len(), 3);
    assert_eq!(net.hosts[SERVER].counters().listen_overflows, 1);
    net.hosts[SERVER].accept(0);
    net.run(secs(2));
    assert_eq!(net.notes_of(SERVER).len(), 4, "the repeated SYN-ACK brings the ACK again");
}

#[test]
fn a_listener_that_closes_takes_its_half_open_connections_along() {
    let mut net = Net::linux();
    net.fate = Box::new(|_, s| if s.from == SERVER { Treatment::Lose } else { Treatment::Deliver });
    net.connect(0);
    net.run(ms(1));
    assert_eq!(net.hosts[SERVER].connections(), 1);
    net.hosts[SERVER].stop_listening(WEB);
    assert_eq!(net.hosts[SERVER].connections(), 0);
    net.fate = Box::new(|_, _| Treatment::Deliver);
    net.run(secs(2));
    assert_eq!(net.finals(CLIENT), [(1000, Note::Refused)]);
}

#[test]
fn a_connection_exists_once() {
    let mut net = Net::linux();
    net.connect(0);
    let (local, remote) = (end(CLIENT, PORT), end(SERVER, WEB));
    let again = net.hosts[CLIENT].connect(net.now, local, remote, 0, 0, 1500, &mut net.out);
    assert_eq!(again, Err(super::super::ConnectError::InUse));
}

#[test]
fn an_icmp_error_ends_a_connect_and_names_the_reason() {
    for (kind, code, note) in [
        (icmp::UNREACHABLE, icmp::HOST, Note::Unreachable),
        (icmp::UNREACHABLE, icmp::NET, Note::Unreachable),
        (icmp::UNREACHABLE, icmp::PORT, Note::Refused),
        (icmp::TIME_EXCEEDED, 0, Note::Unreachable),
    ] {
        let mut net = Net::linux();
        net.fate = Box::new(|_, _| Treatment::Lose);
        net.connect(0);
        let syn = net.sent[0].packet;
        net.with(CLIENT, |s, now, out| s.on_icmp_error(now, &syn, kind, code, 0, out));
        assert_eq!(net.notes_of(CLIENT), [note]);
    }
}
