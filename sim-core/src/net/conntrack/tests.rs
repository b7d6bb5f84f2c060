use super::*;
use crate::wire::icmp;

const RS: Ip = Ip::new(10, 0, 0, 11);
const RS2: Ip = Ip::new(10, 0, 0, 12);
const SITE: Ip = Ip::new(198, 51, 100, 7);
const OUTSIDE: Ip = Ip::new(203, 0, 113, 1);

fn at(s: u64) -> Time {
    Time::ZERO + Span::from_secs(s)
}

fn tcp((src, sport): (Ip, u16), (dst, dport): (Ip, u16), flags: Flags) -> Packet {
    let mut p = Packet::ipv4(src, dst, proto::TCP, 60);
    (p.sport, p.dport, p.flags) = (sport, dport, flags);
    p
}

fn udp(from: (Ip, u16), to: (Ip, u16)) -> Packet {
    Packet { proto: proto::UDP, ..tcp(from, to, Flags::NONE) }
}

/// A packet passes a router that translates sources to `OUTSIDE`; as it leaves, and its state.
fn out(table: &mut Conntrack, now: Time, packet: &Packet) -> (Packet, Option<State>) {
    let (mut p, tracked) = (*packet, table.packet(now, packet, None));
    if let Tracked::Entry { slot, .. } = tracked
        && table.asks(tracked, Side::Source)
    {
        assert!(table.translate(now, slot, Side::Source, Some((OUTSIDE, None))));
    }
    table.rewrite(tracked, Side::Source, &mut p, None);
    assert!(table.confirm(now, tracked));
    (p, tracked.state())
}

/// An answer arrives; as it is routed, and its state.
fn back(table: &mut Conntrack, now: Time, packet: &Packet) -> (Packet, Option<State>) {
    let (mut p, tracked) = (*packet, table.packet(now, packet, None));
    table.rewrite(tracked, Side::Destination, &mut p, None);
    assert!(table.confirm(now, tracked));
    (p, tracked.state())
}

#[test]
fn a_masqueraded_connection_comes_back_to_who_made_it() {
    let mut t = Conntrack::new();
    let (sent, state) = out(&mut t, at(0), &tcp((RS, 5000), (SITE, 80), Flags::SYN));
    assert_eq!((sent.src, sent.sport, sent.dst, state), (OUTSIDE, 5000, SITE, Some(State::New)));
    let syn_ack = Flags::SYN.with(Flags::ACK);
    let (got, state) = back(&mut t, at(1), &tcp((SITE, 80), (OUTSIDE, 5000), syn_ack));
    assert_eq!((got.dst, got.dport, state), (RS, 5000, Some(State::Established)));
    let (sent, state) = out(&mut t, at(1), &tcp((RS, 5000), (SITE, 80), Flags::ACK));
    assert_eq!((sent.src, state), (OUTSIDE, Some(State::Established)));
    assert_eq!(t.len(), 1);
}

#[test]
fn the_source_port_is_kept_if_free_else_the_next_of_its_class() {
    let mut t = Conntrack::new();
    let mut port = |src, sport| out(&mut t, at(0), &udp((src, sport), (SITE, 53))).0.sport;
    assert_eq!(port(RS, 5000), 5000);
    assert_eq!(port(RS2, 5000), 5001);
    assert_eq!(port(RS, 5001), 5002);
    assert_eq!(port(RS, 65_535), 65_535);
    assert_eq!(port(RS2, 65_535), 1024);
    assert_eq!((port(RS, 511), port(RS2, 511)), (511, 1));
    assert_eq!((port(RS, 1023), port(RS2, 1023)), (1023, 600));
    // to another place the port is free
    assert_eq!(out(&mut t, at(0), &udp((RS2, 5000), (SITE, 54))).0.sport, 5000);
}

#[test]
fn when_all_ports_are_taken_the_packet_cannot_pass() {
    let mut t = Conntrack::new();
    for n in 0..511 {
        let from = Ip(RS.0 + n);
        assert!(out(&mut t, at(0), &udp((from, 500), (SITE, 53))).0.sport < 512);
    }
    let late = udp((Ip(RS.0 + 511), 500), (SITE, 53));
    let tracked = t.packet(at(0), &late, None);
    let Tracked::Entry { slot, .. } = tracked else { panic!() };
    assert!(!t.translate(at(0), slot, Side::Source, Some((OUTSIDE, None))));
    t.release(tracked);
    assert_eq!(t.len(), 511);
}

#[test]
fn a_stated_port_is_taken_or_nothing() {
    let mut t = Conntrack::new();
    let mut ask = |src| {
        let tracked = t.packet(at(0), &udp((src, 5000), (SITE, 53)), None);
        let Tracked::Entry { slot, .. } = tracked else { panic!() };
        let done = t.translate(at(0), slot, Side::Source, Some((OUTSIDE, Some(99))));
        if done { t.confirm(at(0), tracked) } else { false }
    };
    assert_eq!((ask(RS), ask(RS2)), (true, false));
}

#[test]
fn a_destination_is_translated_before_routing_and_its_answers_after() {
    let mut t = Conntrack::new();
    let mut p = tcp((SITE, 5000), (OUTSIDE, 80), Flags::SYN);
    let tracked = t.packet(at(0), &p, None);
    let Tracked::Entry { slot, .. } = tracked else { panic!() };
    assert!(t.translate(at(0), slot, Side::Destination, Some((RS, Some(8080)))));
    assert!(t.translate(at(0), slot, Side::Source, None));
    t.rewrite(tracked, Side::Destination, &mut p, None);
    t.rewrite(tracked, Side::Source, &mut p, None);
    assert_eq!((p.src, p.sport, p.dst, p.dport), (SITE, 5000, RS, 8080));
    assert!(t.confirm(at(0), tracked));
    let mut p = tcp((RS, 8080), (SITE, 5000), Flags::SYN.with(Flags::ACK));
    let tracked = t.packet(at(0), &p, None);
    t.rewrite(tracked, Side::Destination, &mut p, None);
    t.rewrite(tracked, Side::Source, &mut p, None);
    assert_eq!((p.src, p.sport, p.dst, p.dport), (OUTSIDE, 80, SITE, 5000));
}

#[test]
fn an_error_about_a_translated_packet_finds_its_sender_and_quotes_what_that_sent() {
    let mut t = Conntrack::new();
    let (mut quoted, _) = out(&mut t, at(0), &udp((RS, 5000), (SITE, 53)));
    let mut error = Packet::ipv4(SITE, OUTSIDE, proto::ICMP, 56);
    error.sport = u16::from(icmp::UNREACHABLE);
    let tracked = t.packet(at(0), &error, Some(&quoted));
    assert_eq!(tracked.state(), Some(State::Related));
    t.rewrite(tracked, Side::Destination, &mut error, Some(&mut quoted));
    t.rewrite(tracked, Side::Source, &mut error, Some(&mut quoted));
    assert_eq!((error.src, error.dst, error.sport), (SITE, RS, 3));
    assert_eq!((quoted.src, quoted.sport, quoted.dst), (RS, 5000, SITE));
    // one that quotes what nobody sent is related to nothing
    let stranger = udp((OUTSIDE, 7), (SITE, 53));
    assert_eq!(t.packet(at(0), &error, Some(&stranger)), Tracked::Invalid);
}

#[test]
fn pings_are_told_apart_by_their_identifier() {
    let mut t = Conntrack::new();
    let ping = |src, id: u32| {
        let mut p = Packet::ipv4(src, SITE, proto::ICMP, 84);
        (p.sport, p.seq) = (8, id << 16 | 1);
        p
    };
    assert_eq!(out(&mut t, at(0), &ping(RS, 2000)).0.seq, 2000 << 16 | 1);
    assert_eq!(out(&mut t, at(0), &ping(RS2, 2000)).0.seq, 2001 << 16 | 1);
    let mut pong = Packet::ipv4(SITE, OUTSIDE, proto::ICMP, 84);
    pong.seq = 2001 << 16 | 1;
    let (pong, state) = back(&mut t, at(0), &pong);
    assert_eq!((pong.dst, pong.seq, state), (RS2, 2000 << 16 | 1, Some(State::Established)));
}

/// Whether an answer, the first packet of no connection, finds the entry that `packets` made at 0.
fn lives_at(packets: &[Packet], answer: &Packet, now: Time) -> bool {
    let mut t = Conntrack::new();
    for p in packets {
        let tracked = t.packet(at(0), p, None);
        t.confirm(at(0), tracked);
    }
    t.packet(now, answer, None).state() == Some(State::Established)
}

#[test]
fn entries_live_as_long_as_linux_lets_them() {
    let (a, b) = ((RS, 5000), (SITE, 80));
    let (fin, syn_ack) = (Flags::FIN.with(Flags::ACK), Flags::SYN.with(Flags::ACK));
    let talk = [
        tcp(a, b, Flags::SYN),
        tcp(b, a, syn_ack),
        tcp(a, b, Flags::ACK),
        tcp(b, a, fin),
        tcp(a, b, Flags::ACK),
        tcp(a, b, fin),
        tcp(b, a, Flags::ACK),
    ];
    let datagrams = [udp(a, b), udp(b, a)];
    let cases = [
        (&talk[..1], 120),
        (&talk[..2], 60),
        (&talk[..3], 432_000),
        (&talk[..4], 120),
        (&talk[..5], 60),
        (&talk[..6], 30),
        (&talk[..7], 120),
        (&talk[2..3], 300),
        (&datagrams[..1], 30),
        (&datagrams[..2], 120),
    ];
    for (packets, life) in cases {
        let answer = if packets[0].proto == proto::UDP { datagrams[1] } else { talk[1] };
        let last = Time::from_nanos(at(life).as_nanos() - 1);
        assert!(lives_at(packets, &answer, last), "{life} {packets:?}");
        assert!(!lives_at(packets, &answer, at(life)), "{life} {packets:?}");
    }
}

#[test]
fn the_table_is_empty_when_nothing_comes_any_more() {
    let mut t = Conntrack::new();
    let (a, b) = ((RS, 5000), (SITE, 80));
    let rst = tcp(b, a, Flags::RST.with(Flags::ACK));
    for p in [tcp(a, b, Flags::SYN), tcp(b, a, Flags::SYN.with(Flags::ACK)), rst, udp(a, b)] {
        let tracked = t.packet(at(0), &p, None);
        t.confirm(at(0), tracked);
    }
    assert_eq!((t.len(), t.next_deadline()), (2, Some(at(30))));
    t.on_deadline(at(30));
    assert_eq!((t.len(), t.next_deadline()), (1, Some(at(60))));
    t.on_deadline(at(60));
    assert_eq!((t.len(), t.next_deadline()), (0, None));
}

#[test]
fn a_closed_connection_is_forgotten_by_look_up_in_time() {
    let mut t = Conntrack::new();
    let (a, b) = ((RS, 5000), (SITE, 80));
    let rst = Flags::RST.with(Flags::ACK);
    out(&mut t, at(0), &tcp(a, b, Flags::SYN));
    // a refusal is translated, and ends it
    let (got, _) = back(&mut t, at(0), &tcp((SITE, 80), (OUTSIDE, 5000), rst));
    assert_eq!(got.dst, RS);
    assert_eq!(t.packet(at(0), &tcp((SITE, 80), (OUTSIDE, 5000), rst), None), Tracked::Invalid);
    let (_, state) = out(&mut t, at(0), &tcp(a, b, Flags::SYN));
    assert_eq!(state, Some(State::New));
}

#[test]
fn a_syn_in_time_wait_begins_a_new_connection() {
    let mut t = Conntrack::new();
    let (a, b, o) = ((RS, 5000), (SITE, 80), (OUTSIDE, 5000));
    let (fin, syn_ack) = (Flags::FIN.with(Flags::ACK), Flags::SYN.with(Flags::ACK));
    out(&mut t, at(0), &tcp(a, b, Flags::SYN));
    back(&mut t, at(0), &tcp(b, o, syn_ack));
    out(&mut t, at(0), &tcp(a, b, fin));
    back(&mut t, at(0), &tcp(b, o, fin));
    out(&mut t, at(0), &tcp(a, b, Flags::ACK));
    let (_, state) = out(&mut t, at(1), &tcp(a, b, Flags::SYN));
    assert_eq!((state, t.len()), (Some(State::New), 1));
}

#[test]
fn what_cannot_begin_a_connection_is_invalid() {
    let mut t = Conntrack::new();
    let (a, b) = ((RS, 5000), (SITE, 80));
    for flags in [Flags::SYN.with(Flags::ACK), Flags::RST, Flags::FIN.with(Flags::ACK), Flags::NONE]
    {
        assert_eq!(t.packet(at(0), &tcp(a, b, flags), None), Tracked::Invalid, "{flags:?}");
    }
    let mut mask_request = Packet::ipv4(RS, SITE, proto::ICMP, 32);
    mask_request.sport = 17;
    assert_eq!(t.packet(at(0), &mask_request, None), Tracked::Invalid);
    let advertisement = Packet { proto: proto::ICMPV6, sport: 136, ..mask_request };
    assert_eq!(t.packet(at(0), &advertisement, None), Tracked::Untracked);
}

#[test]
fn ipvs_and_snat_together_bring_the_answer_to_the_client() {
    // golden/paths/nat-snat-conntrack: C -> VIP becomes DIP -> RS, and back
    let mut t = Conntrack::new();
    let (client, vip, dip) = (SITE, OUTSIDE, Ip::new(10, 0, 0, 1));
    let mut p = tcp((client, 49_298), (vip, 80), Flags::SYN);
    let tracked = t.packet(at(0), &p, None);
    let Tracked::Entry { slot, .. } = tracked else { panic!() };
    assert!(t.translate(at(0), slot, Side::Destination, None));
    // IPVS
    p.dst = RS;
    t.answers_from(tracked, (RS, 80));
    assert!(t.translate(at(0), slot, Side::Source, Some((dip, None))));
    t.rewrite(tracked, Side::Source, &mut p, None);
    assert_eq!((p.src, p.sport, p.dst), (dip, 49_298, RS));
    assert!(t.confirm(at(0), tracked));
    let mut p = tcp((RS, 80), (dip, 49_298), Flags::SYN.with(Flags::ACK));
    let tracked = t.packet(at(0), &p, None);
    t.rewrite(tracked, Side::Destination, &mut p, None);
    assert_eq!((p.src, p.dst, p.dport), (RS, client, 49_298));
    // IPVS gives it the virtual address; the rest of the way it stays as it is
    p.src = vip;
    t.rewrite(tracked, Side::Source, &mut p, None);
    assert_eq!((p.src, p.sport, p.dst), (vip, 80, client));
}

#[test]
fn marks_belong_to_connections() {
    let mut t = Conntrack::new();
    let tracked = t.packet(at(0), &udp((RS, 1), (SITE, 2)), None);
    *t.mark(tracked).unwrap() = 5;
    t.confirm(at(0), tracked);
    let answer = t.packet(at(0), &udp((SITE, 2), (RS, 1)), None);
    assert_eq!(t.mark(answer).copied(), Some(5));
    assert!(t.mark(Tracked::Invalid).is_none());
}
