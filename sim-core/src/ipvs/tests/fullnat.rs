//! FULLNAT: local addresses, their ports, and what the packets look like.

use super::*;
use crate::ipvs::{Command, DropReason, IcmpInVerdict, IcmpOutVerdict};

/// The web service by FULLNAT with these local addresses.
fn full_nat(local: &[u8]) -> Ipvs {
    let mut rule = service(WEB, vec![server(11, 8080, Forwarding::FullNat)]);
    rule.local_addresses = local.iter().map(|&host| rip_rule(host)).collect();
    build(&IpvsConfig { services: vec![rule], ..IpvsConfig::default() })
}

/// A packet of the client as the real server gets it.
fn forwarded(ipvs: &mut Ipvs, now: Time, pkt: &Packet) -> Packet {
    let to = sent(ipvs, now, pkt);
    assert_eq!(to.forwarding, Forwarding::FullNat);
    let mut there = *pkt;
    ipvs.rewrite_request(to.connection, &mut there, 1500);
    there
}

/// The real server's answer as it enters the director.
fn back(request: &Packet, flags: Flags) -> Packet {
    let mut pkt = Packet::ipv4(request.dst, request.src, request.proto, 40);
    (pkt.sport, pkt.dport, pkt.flags) = (request.dport, request.sport, flags);
    (pkt.seq, pkt.ack) = (9_000, request.seq.wrapping_add(1));
    pkt
}

/// The answer as the client gets it.
fn answered(ipvs: &mut Ipvs, now: Time, pkt: &Packet) -> Packet {
    match ipvs.request(now, pkt, &mut AddressBook::new()) {
        Verdict::Answer { connection } => {
            let mut there = *pkt;
            ipvs.rewrite_reply(connection, &mut there);
            there
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_ends_are_rewritten_and_back() {
    let mut ipvs = full_nat(&[101]);
    let syn = Packet { seq: 77, ..tcp(40_000, SYN) };
    let there = forwarded(&mut ipvs, at(0), &syn);
    assert_eq!((there.src, there.sport), (rip(101), 1025));
    assert_eq!((there.dst, there.dport, there.len), (rip(11), 8080, syn.len));
    let syn_ack = Packet { mss: 1460, ..back(&there, SYN_ACK) };
    let home = answered(&mut ipvs, at(0), &syn_ack);
    assert_eq!((home.src, home.sport, home.dst, home.dport), (VIP, 80, CLIENT, 40_000));
    assert_eq!((home.ack, home.seq, home.mss), (78, 9_000, 1452), "as if nothing had been moved");
    assert_eq!(web(&ipvs, 11).stats.packets_out, 1);
    assert_eq!(
        ipvs.reply(at(0), &syn_ack),
        crate::ipvs::ReplyVerdict::Counted { connection: Slot(0) }
    );
}

#[test]
fn the_clients_address_travels_until_the_server_has_been_heard() {
    let mut ipvs = full_nat(&[101]);
    let syn = forwarded(&mut ipvs, at(0), &tcp(40_000, SYN));
    assert_eq!(syn.opt, 0);
    answered(&mut ipvs, at(0), &back(&syn, SYN_ACK));
    let early = |flags| Packet { ack: 9_001, opt: 12, len: 64, ..tcp(40_000, flags) };
    for flags in [ACK, ACK.with(Flags::PSH), FIN] {
        let there = forwarded(&mut ipvs, at(0), &early(flags));
        assert_eq!((there.opt, there.len), (20, 72), "{flags:?}");
    }
    for (what, pkt) in [
        ("an RST", early(RST.with(ACK))),
        ("data of the server acknowledged", Packet { ack: 9_101, ..early(ACK) }),
        ("no room in the header", Packet { opt: 36, ..early(ACK) }),
        ("no room in the packet", Packet { len: 1493, ..early(ACK) }),
    ] {
        let there = forwarded(&mut ipvs, at(0), &pkt);
        assert_eq!((there.opt, there.len), (pkt.opt, pkt.len), "{what}");
    }
}

#[test]
fn a_port_used_again_begins_above_the_last_sequence_number() {
    let mut ipvs = full_nat(&[101]);
    let first = forwarded(&mut ipvs, at(0), &Packet { seq: 4_000_000_000, ..tcp(1, SYN) });
    let again = forwarded(&mut ipvs, at(0), &Packet { seq: 4_000_000_000, ..tcp(1, SYN) });
    assert_eq!(first.seq, again.seq, "a retransmitted SYN is the same");
    let data = forwarded(&mut ipvs, at(0), &Packet { seq: 4_000_000_001, ..tcp(1, ACK) });
    assert_eq!(data.seq, first.seq.wrapping_add(1));
    // 200 seconds later another client has the same local port; its own number is smaller
    let mut fresh = full_nat(&[101]);
    let later = forwarded(&mut fresh, at(10), &Packet { seq: 5, ..tcp(2, SYN) });
    assert_eq!((later.src, later.sport), (first.src, first.sport));
    let ahead = later.seq.wrapping_sub(first.seq);
    assert_eq!(ahead, (10_000_000_000_u64 / 64) as u32, "the clock has gone on");
}

#[test]
fn local_addresses_take_turns_and_ports_are_used_again_last() {
    let mut ipvs = full_nat(&[101, 102]);
    let mut seen = Vec::new();
    for port in 1_001..=1_040 {
        let there = forwarded(&mut ipvs, at(0), &tcp(port, SYN));
        seen.push((there.src, there.sport));
    }
    for host in [101, 102] {
        let ports: Vec<u16> = seen.iter().filter(|s| s.0 == rip(host)).map(|s| s.1).collect();
        assert!((15..=25).contains(&ports.len()), "{}", ports.len());
        assert!(ports.iter().copied().eq(1025..1025 + ports.len() as u16));
    }
    let mut one = full_nat(&[101]);
    forwarded(&mut one, at(0), &tcp(1, SYN));
    pass(&mut one, at(100));
    assert_eq!(one.entries(), 0);
    assert_eq!(forwarded(&mut one, at(100), &tcp(2, SYN)).sport, 1026, "1025 comes last");
}

#[test]
fn when_all_ports_are_used_connections_are_dropped_until_one_ends() {
    let mut ipvs = full_nat(&[101]);
    let client = |n: u32, flags| Packet {
        src: Ip(0xac10_0000 + n / 30_000),
        ..tcp(1024 + (n % 30_000) as u16, flags)
    };
    for n in 0..64_511 {
        forwarded(&mut ipvs, at(0), &client(n, SYN));
    }
    let none = Verdict::Drop(DropReason::NoLocalPort);
    assert_eq!(ipvs.request(at(1), &client(70_000, SYN), &mut AddressBook::new()), none);
    assert_eq!(ipvs.entries(), 64_511);
    // A server of another class has ports of its own.
    let other = Command::AddServer(WEB, server(12, 8080, Forwarding::FullNat));
    assert_eq!(ipvs.apply(at(1), &other, &mut AddressBook::new()), Ok(()));
    let there = forwarded(&mut ipvs, at(1), &client(70_000, SYN));
    assert_eq!((there.dst, there.sport), (rip(12), 1025));
    let gone = Command::DeleteServer(WEB, rip_rule(12), 8080);
    assert_eq!(ipvs.apply(at(1), &gone, &mut AddressBook::new()), Ok(()));
    sent(&mut ipvs, at(1), &client(17, FIN));
    pass(&mut ipvs, at(8));
    let there = forwarded(&mut ipvs, at(8), &client(70_001, SYN));
    assert_eq!((there.dst, there.sport), (rip(11), 1025 + 17), "7 s of TIME_WAIT are over");
}

#[test]
fn a_packet_to_a_local_address_that_is_no_reply_is_for_the_own_stack() {
    let mut ipvs = full_nat(&[101]);
    let there = forwarded(&mut ipvs, at(0), &tcp(40_000, SYN));
    let stray = Packet { dport: 9, ..back(&there, SYN_ACK) };
    assert_eq!(ipvs.request(at(0), &stray, &mut AddressBook::new()), Verdict::Accept);
    pass(&mut ipvs, at(30));
    let late = ipvs.request(at(30), &back(&there, SYN_ACK), &mut AddressBook::new());
    assert_eq!((late, ipvs.entries()), (Verdict::Accept, 0));
}

#[test]
fn without_local_addresses_nothing_can_be_sent() {
    let mut ipvs = full_nat(&[]);
    let none = Verdict::Drop(DropReason::NoLocalPort);
    assert_eq!(ipvs.request(at(0), &tcp(1, SYN), &mut AddressBook::new()), none);
}

#[test]
fn errors_are_translated_at_both_ends() {
    let mut ipvs = full_nat(&[101]);
    let there = forwarded(&mut ipvs, at(0), &tcp(40_000, SYN));
    let router = Ip::new(10, 1, 1, 1);
    let mut about_request = Packet::ipv4(router, rip(101), proto::ICMP, 56);
    (about_request.sport, about_request.dport) = (3, 1);
    match ipvs.icmp_out(at(0), &about_request, &there) {
        IcmpOutVerdict::Translate { outer, quoted, .. } => {
            assert_eq!((outer.src, outer.dst), (VIP, CLIENT));
            assert_eq!((quoted.src, quoted.sport), (CLIENT, 40_000));
            assert_eq!((quoted.dst, quoted.dport), (VIP, 80));
        }
        other => panic!("{other:?}"),
    }
    let about_reply = Packet { dst: VIP, ..about_request };
    let mut reply = Packet::ipv4(VIP, CLIENT, proto::TCP, 1500);
    (reply.sport, reply.dport) = (80, 40_000);
    match ipvs.icmp_in(at(0), &about_reply, &reply, &mut AddressBook::new()) {
        IcmpInVerdict::Transmit { outer, quoted, .. } => {
            assert_eq!((outer.src, outer.dst), (rip(101), rip(11)));
            assert_eq!((quoted.src, quoted.sport), (rip(11), 8080));
            assert_eq!((quoted.dst, quoted.dport), (there.src, there.sport));
        }
        other => panic!("{other:?}"),
    }
}
