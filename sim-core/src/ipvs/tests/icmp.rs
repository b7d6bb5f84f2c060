//! ICMP errors about connections.

use super::*;
use crate::ipvs::{Connection, IcmpAnswer, IcmpInVerdict, IcmpOutVerdict, State, TunnelVerdict};
use crate::wire::icmp;

const ROUTER: Ip = Ip::new(10, 1, 1, 1);

/// An ICMP error to `to`.
fn error(to: Ip, icmp_type: u8, code: u8, info: u32) -> Packet {
    let mut pkt = Packet::ipv4(ROUTER, to, proto::ICMP, 56);
    (pkt.sport, pkt.dport, pkt.seq) = (u16::from(icmp_type), u16::from(code), info);
    pkt
}

/// A reply as the client's side of the network sees it.
fn seen_by_client(request: &Packet) -> Packet {
    let mut pkt = *request;
    (pkt.src, pkt.sport, pkt.dst, pkt.dport) =
        (request.dst, request.dport, request.src, request.sport);
    pkt
}

#[test]
fn an_error_about_a_nat_reply_reaches_the_real_server_that_sent_it() {
    let mut ipvs = director(Forwarding::Nat);
    let to = sent(&mut ipvs, at(0), &tcp(40_000, SYN));
    let quoted = seen_by_client(&tcp(40_000, SYN));
    let outer = error(VIP, icmp::UNREACHABLE, icmp::FRAG_NEEDED, 1400);
    let verdict = ipvs.icmp_in(at(0), &outer, &quoted, &mut AddressBook::new());
    let expected = IcmpInVerdict::Transmit {
        transmit: to,
        outer: Packet { dst: to.rip, ..outer },
        quoted: Packet { src: to.rip, sport: 8080, ..quoted },
    };
    assert_eq!(verdict, expected, "the source of the error stays the router");
    let entry = ipvs.connection(to.connection).expect("lives");
    assert_eq!((entry.state(), entry.expires()), (State::SynRecv, at(60)));
    assert_eq!((web(&ipvs, 12).stats.packets_in, web(&ipvs, 12).stats.bytes_in), (2, 52 + 56));
}

#[test]
fn an_error_about_a_dr_reply_is_sent_on_as_it_is() {
    let mut ipvs = director(Forwarding::Dr);
    let to = sent(&mut ipvs, at(0), &udp(1000));
    let (outer, quoted) =
        (error(VIP, icmp::UNREACHABLE, icmp::PORT, 0), seen_by_client(&udp(1000)));
    let expected = IcmpInVerdict::Transmit { transmit: to, outer, quoted };
    assert_eq!(ipvs.icmp_in(at(0), &outer, &quoted, &mut AddressBook::new()), expected);
    assert_eq!(ipvs.connection(to.connection).map(Connection::packets_in), Some(2));
}

#[test]
fn an_error_about_a_nat_request_reaches_the_client_from_the_vip() {
    let mut ipvs = director(Forwarding::Nat);
    let to = sent(&mut ipvs, at(0), &udp(1000));
    let mut quoted = udp(1000);
    (quoted.dst, quoted.dport) = (to.rip, to.rport);
    let outer = error(CLIENT, icmp::UNREACHABLE, icmp::PORT, 0);
    assert_eq!(
        ipvs.icmp_out(at(0), &outer, &quoted),
        IcmpOutVerdict::Translate {
            outer: Packet { src: VIP, ..outer },
            quoted: udp(1000),
            connection: to.connection,
        }
    );
    let stats = ipvs.totals();
    assert_eq!((stats.packets_out, stats.bytes_out), (1, 56));
    assert_eq!(ipvs.connection(to.connection).map(Connection::expires), Some(at(300)));
}

#[test]
fn an_error_about_a_dr_request_is_counted() {
    let mut ipvs = director(Forwarding::Dr);
    let to = sent(&mut ipvs, at(0), &udp(1000));
    let outer = error(CLIENT, icmp::TIME_EXCEEDED, 0, 0);
    let counted = IcmpOutVerdict::Counted { connection: to.connection };
    assert_eq!(ipvs.icmp_out(at(0), &outer, &udp(1000)), counted);
    assert_eq!(ipvs.totals().packets_out, 1);
}

#[test]
fn other_icmp_is_not_looked_at() {
    let mut ipvs = director(Forwarding::Nat);
    let to = sent(&mut ipvs, at(0), &tcp(40_000, SYN));
    let quoted = seen_by_client(&tcp(40_000, SYN));
    let stray = Packet { dport: 1, ..quoted };
    let fragment = Packet { frag: 1, ..quoted };
    for (outer, quoted) in [
        (error(VIP, icmp::ECHO, 0, 0), quoted),
        (error(VIP, icmp::REDIRECT, 1, 0), quoted),
        (error(VIP, icmp::UNREACHABLE, icmp::PORT, 0), stray),
        (error(VIP, icmp::UNREACHABLE, icmp::PORT, 0), fragment),
        (error(VIP, icmp::UNREACHABLE, icmp::PORT, 0), Packet { proto: proto::ICMP, ..quoted }),
        (quoted, quoted),
    ] {
        assert_eq!(
            ipvs.icmp_in(at(0), &outer, &quoted, &mut AddressBook::new()),
            IcmpInVerdict::Accept
        );
        assert_eq!(ipvs.icmp_out(at(0), &outer, &quoted), IcmpOutVerdict::Pass);
    }
    assert_eq!(ipvs.connection(to.connection).map(Connection::packets_in), Some(1));
    assert_eq!(ipvs.totals().packets_in, 1);
}

/// A TUN connection, and the tunnel packet of a request with or without DF.
fn tunnel(df: bool) -> (Ipvs, Transmit, Packet, Packet) {
    let mut ipvs = director(Forwarding::Tun);
    let mut inner = tcp(40_000, SYN);
    inner.frag = if df { Packet::DF } else { 0 };
    let to = sent(&mut ipvs, at(0), &inner);
    let body = crate::wire::PacketId(0);
    let quoted = crate::ipvs::forwarding::tun(
        &inner,
        body,
        (rip(100), to.rip),
        crate::ipvs::rules::TunnelOptions::default(),
        true,
        1,
    );
    (ipvs, to, quoted, inner)
}

#[test]
fn a_narrow_tunnel_path_is_told_to_the_client_if_it_asked() {
    for (mtu, room) in [(1400, 1380), (89, 69), (88, 88), (0, 0)] {
        for df in [true, false] {
            let (ipvs, to, quoted, inner) = tunnel(df);
            let outer = error(rip(100), icmp::UNREACHABLE, icmp::FRAG_NEEDED, mtu);
            let answer =
                IcmpAnswer { icmp_type: icmp::UNREACHABLE, code: icmp::FRAG_NEEDED, info: room };
            let expected = TunnelVerdict::Consume {
                rip: to.rip,
                path_mtu: Some(mtu as u16),
                answer: df.then_some(answer),
                connection: to.connection,
            };
            assert_eq!(ipvs.icmp_tunnel(&outer, &quoted, &inner), expected);
        }
    }
}

#[test]
fn any_other_error_about_a_tunnel_is_repeated_to_the_client() {
    let (ipvs, to, quoted, inner) = tunnel(false);
    let outer = error(rip(100), icmp::UNREACHABLE, icmp::PROTOCOL, 0);
    let answer = Some(IcmpAnswer { icmp_type: icmp::UNREACHABLE, code: icmp::PROTOCOL, info: 0 });
    let connection = to.connection;
    let expected = TunnelVerdict::Consume { rip: to.rip, path_mtu: None, answer, connection };
    assert_eq!(ipvs.icmp_tunnel(&outer, &quoted, &inner), expected);
}

#[test]
fn errors_about_other_tunnels_are_for_the_own_stack() {
    let (ipvs, _, quoted, inner) = tunnel(true);
    let outer = error(rip(100), icmp::UNREACHABLE, icmp::HOST, 0);
    for (quoted, inner) in [
        (Packet { dst: rip(99), ..quoted }, inner),
        (Packet { proto: proto::TCP, ..quoted }, inner),
        (quoted, Packet { sport: 1, ..inner }),
        (quoted, Packet { proto: proto::ICMP, ..inner }),
    ] {
        assert_eq!(ipvs.icmp_tunnel(&outer, &quoted, &inner), TunnelVerdict::Accept);
    }
    let echo = error(rip(100), icmp::ECHO, 0, 0);
    assert_eq!(ipvs.icmp_tunnel(&echo, &quoted, &inner), TunnelVerdict::Accept);
}
