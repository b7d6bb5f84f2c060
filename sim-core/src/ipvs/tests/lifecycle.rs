//! A connection from its first packet to its expiry.

use super::*;
use crate::ipvs::rules::TimeoutRule;
use crate::ipvs::{Connection, ReplyVerdict, State, Stats};

#[test]
fn nat_translates_both_ways_and_sees_both_sides() {
    let mut ipvs = director(Forwarding::Nat);
    let to = sent(&mut ipvs, at(0), &tcp(40_000, SYN));
    // The kernel's list is newest first: the server added last is the first choice.
    assert_eq!((to.forwarding, to.rip, to.rport), (Forwarding::Nat, rip(12), 8080));
    let slot = to.connection;
    assert_eq!(state(&ipvs, slot), State::SynRecv);

    let reply = answer(&tcp(40_000, SYN), &to, SYN_ACK);
    let verdict = ipvs.reply(at(0), &reply);
    assert_eq!(verdict, ReplyVerdict::Translate { vip: VIP, vport: 80, connection: slot });
    for (from_client, flags, expected) in [
        (true, ACK, State::Established),
        (true, FIN, State::CloseWait),
        (false, ACK, State::CloseWait),
        (false, FIN, State::TimeWait),
        (true, ACK, State::TimeWait),
    ] {
        if from_client {
            assert_eq!(sent(&mut ipvs, at(0), &tcp(40_000, flags)), to);
        } else {
            ipvs.reply(at(0), &answer(&tcp(40_000, SYN), &to, flags));
        }
        assert_eq!(state(&ipvs, slot), expected);
    }
    assert_eq!(
        web(&ipvs, 12).stats,
        Stats { connections: 1, packets_in: 4, bytes_in: 208, packets_out: 3, bytes_out: 120 }
    );
    assert_eq!(web(&ipvs, 11).stats, Stats::default());
    let seen = crate::observe::DestinationObservation::from(web(&ipvs, 12));
    assert_eq!((seen.service, seen.rip, seen.port), (WEB, rip_rule(12), 8080));
    assert_eq!((seen.connections, seen.active, seen.inactive), (1, 0, 1));
    assert_eq!((seen.packets_in, seen.bytes_in), (4, 208));
    assert_eq!((seen.packets_out, seen.bytes_out), (3, 120));
    assert_eq!(ipvs.connection(slot).map(Connection::packets_in), Some(4));
}

#[test]
fn dr_and_tun_see_the_client_only() {
    for method in [Forwarding::Dr, Forwarding::Tun] {
        let mut ipvs = director(method);
        let to = sent(&mut ipvs, at(0), &tcp(40_000, SYN));
        assert_eq!((to.forwarding, to.rip), (method, rip(12)));
        for (flags, expected) in
            [(ACK, State::Established), (FIN, State::FinWait), (ACK, State::FinWait)]
        {
            assert_eq!(sent(&mut ipvs, at(0), &tcp(40_000, flags)), to);
            assert_eq!(state(&ipvs, to.connection), expected);
        }
        let stats = web(&ipvs, 12).stats;
        assert_eq!((stats.packets_in, stats.packets_out), (4, 0));
    }
}

#[test]
fn a_dr_reply_that_does_pass_the_director_is_counted_and_ends_the_one_sided_view() {
    let mut ipvs = director(Forwarding::Dr);
    let to = sent(&mut ipvs, at(0), &tcp(40_000, SYN));
    let reply = answer(&tcp(40_000, SYN), &to, SYN_ACK);
    let connection = to.connection;
    assert_eq!(ipvs.reply(at(0), &reply), ReplyVerdict::Counted { connection });
    sent(&mut ipvs, at(0), &tcp(40_000, ACK));
    sent(&mut ipvs, at(0), &tcp(40_000, FIN));
    assert_eq!(state(&ipvs, connection), State::CloseWait, "INPUT table, not INPUT_ONLY");
    assert_eq!(web(&ipvs, 12).stats.packets_out, 1);
}

#[test]
fn packets_of_nobody_pass_untranslated() {
    let mut ipvs = director(Forwarding::Nat);
    let to = sent(&mut ipvs, at(0), &tcp(40_000, SYN));
    let mut stray = answer(&tcp(40_000, SYN), &to, SYN_ACK);
    stray.dport += 1;
    assert_eq!(ipvs.reply(at(0), &stray), ReplyVerdict::Pass);
    stray.dport -= 1;
    stray.proto = proto::UDP;
    assert_eq!(ipvs.reply(at(0), &stray), ReplyVerdict::Pass);
    stray.proto = proto::TCP;
    stray.frag = Packet::MF;
    assert_eq!(ipvs.reply(at(0), &stray), ReplyVerdict::Pass);
}

#[test]
fn every_packet_renews_the_entry_with_the_timeout_of_its_state() {
    let mut ipvs = director(Forwarding::Dr);
    let slot = sent(&mut ipvs, at(0), &tcp(40_000, SYN)).connection;
    assert_eq!(ipvs.connection(slot).map(Connection::expires), Some(at(60)));
    pass(&mut ipvs, at(59));
    sent(&mut ipvs, at(59), &tcp(40_000, ACK));
    assert_eq!(ipvs.connection(slot).map(Connection::expires), Some(at(959)));
    pass(&mut ipvs, at(958));
    assert_eq!(ipvs.entries(), 1);
    sent(&mut ipvs, at(958), &tcp(40_000, RST));
    assert_eq!(ipvs.connection(slot).map(|c| c.remaining(at(960))), Some(Span::from_secs(8)));
    pass(&mut ipvs, at_ms(967_999));
    assert_eq!(ipvs.entries(), 1);
    pass(&mut ipvs, at(968));
    assert_eq!((ipvs.entries(), ipvs.entries_max()), (0, 1));
    assert!(ipvs.connection(slot).is_none());
}

#[test]
fn an_idle_director_has_no_deadline() {
    let mut ipvs = director(Forwarding::Dr);
    assert_eq!(ipvs.next_deadline(), None);
    sent(&mut ipvs, at(5), &udp(1000));
    assert_eq!(ipvs.next_deadline(), Some(at(305)));
    ipvs.on_deadline(at(305));
    assert_eq!(ipvs.next_deadline(), None);
}

#[test]
fn a_million_packets_leave_one_timer() {
    let mut ipvs = director(Forwarding::Dr);
    sent(&mut ipvs, at(0), &tcp(40_000, SYN));
    let before = ipvs.memory_bytes();
    for ms in 0..1_000_000 {
        sent(&mut ipvs, at_ms(ms / 20), &tcp(40_000, ACK));
    }
    assert_eq!(ipvs.memory_bytes(), before);
}

#[test]
fn entries_leave_in_the_order_of_their_deadlines() {
    let mut ipvs = director(Forwarding::Dr);
    for (port, flags, ms) in [(1, ACK, 0), (2, RST, 1), (3, FIN, 2), (4, ACK, 3)] {
        sent(&mut ipvs, at_ms(ms), &tcp(port, SYN));
        sent(&mut ipvs, at_ms(ms), &tcp(port, flags));
    }
    let mut order = Vec::new();
    let mut left: Vec<u16> = vec![1, 2, 3, 4];
    while let Some(next) = ipvs.next_deadline() {
        ipvs.on_deadline(next);
        let now: Vec<u16> = ipvs.connections().map(|(_, c)| c.client().1).collect();
        left.retain(|port| {
            let gone = !now.contains(port);
            if gone {
                order.push((*port, next));
            }
            !gone
        });
    }
    // An RST leaves SYN_RECV as it is, a FIN makes it TIME_WAIT.
    assert_eq!(order, [(2, at_ms(60_001)), (3, at_ms(120_002)), (1, at(900)), (4, at_ms(900_003))]);
}

#[test]
fn active_and_inactive_flip_with_the_state() {
    let mut ipvs = director(Forwarding::Dr);
    let counts = |ipvs: &Ipvs| (web(ipvs, 12).active, web(ipvs, 12).inactive);
    for (flags, expected) in [
        (SYN, (1, 0)),
        (SYN, (1, 0)),
        (ACK, (1, 0)),
        (FIN, (0, 1)),
        (ACK, (0, 1)),
        (SYN, (1, 0)),
        (ACK, (1, 0)),
        (RST, (0, 1)),
    ] {
        sent(&mut ipvs, at(0), &tcp(40_000, flags));
        assert_eq!(counts(&ipvs), expected, "{flags:?}");
    }
    pass(&mut ipvs, at(10));
    assert_eq!(counts(&ipvs), (0, 0));
}

#[test]
fn udp_is_inactive_and_any_packet_renews_it() {
    let mut ipvs = director(Forwarding::Nat);
    let to = sent(&mut ipvs, at(0), &udp(1000));
    assert_eq!((to.rip, to.rport), (rip(12), 5353));
    let verdict = ipvs.reply(at(100), &answer(&udp(1000), &to, Flags::NONE));
    let connection = to.connection;
    assert_eq!(verdict, ReplyVerdict::Translate { vip: VIP, vport: 53, connection });
    let entry = ipvs.connection(connection).expect("lives");
    assert_eq!((entry.state(), entry.is_active(), entry.expires()), (State::Udp, false, at(400)));
    pass(&mut ipvs, at(399));
    assert_eq!(sent(&mut ipvs, at(399), &udp(1000)), to);
    pass(&mut ipvs, at(699));
    assert_eq!(ipvs.entries(), 0);
    assert_ne!(sent(&mut ipvs, at(699), &udp(1000)).rip, to.rip, "scheduled anew");
}

#[test]
fn set_timeouts_act_from_the_next_packet() {
    let mut ipvs = director(Forwarding::Dr);
    let slot = sent(&mut ipvs, at(0), &tcp(40_000, SYN)).connection;
    sent(&mut ipvs, at(0), &tcp(40_000, ACK));
    let tcp_30 = TimeoutRule { tcp: Some(Span::from_secs(30)), ..TimeoutRule::default() };
    assert_eq!(
        ipvs.apply(at(0), &crate::ipvs::Command::SetTimeouts(tcp_30), &mut AddressBook::new()),
        Ok(())
    );
    assert_eq!(ipvs.connection(slot).map(Connection::expires), Some(at(900)));
    sent(&mut ipvs, at(1), &tcp(40_000, ACK));
    assert_eq!(ipvs.connection(slot).map(Connection::expires), Some(at(31)));
    pass(&mut ipvs, at(31));
    assert_eq!(ipvs.entries(), 0, "the earlier deadline is kept");
}

#[test]
fn secure_tcp_keeps_the_handshake_in_synack() {
    let mut config = config(Forwarding::Dr);
    config.sysctl.secure_tcp = 3;
    let mut ipvs = build(&config);
    let slot = sent(&mut ipvs, at(0), &tcp(40_000, SYN)).connection;
    assert_eq!(state(&ipvs, slot), State::SynAck);
    assert_eq!(web(&ipvs, 12).active, 1);
    sent(&mut ipvs, at(0), &tcp(40_000, ACK));
    assert_eq!(state(&ipvs, slot), State::Established);
}

#[test]
fn one_client_port_to_two_vips_on_one_real_server() {
    let other = ServiceKey::Address { protocol: proto::TCP, vip: rip_rule(201), port: 80 };
    let only = vec![server(11, 80, Forwarding::Nat)];
    let services = vec![service(WEB, only.clone()), service(other, only)];
    let mut ipvs = build(&IpvsConfig { services, ..IpvsConfig::default() });
    let first = sent(&mut ipvs, at(0), &tcp(40_000, SYN));
    let mut second = tcp(40_000, SYN);
    second.dst = rip(201);
    let second = sent(&mut ipvs, at(1), &second);
    let reply = answer(&tcp(40_000, SYN), &first, SYN_ACK);
    let newest =
        ReplyVerdict::Translate { vip: rip(201), vport: 80, connection: second.connection };
    assert_eq!(ipvs.reply(at(1), &reply), newest, "the newest entry is found");
    for seconds in [20, 40] {
        sent(&mut ipvs, at(seconds), &tcp(40_000, ACK));
    }
    pass(&mut ipvs, at(61));
    let older = ReplyVerdict::Translate { vip: VIP, vport: 80, connection: first.connection };
    assert_eq!(ipvs.reply(at(61), &reply), older);
}
