//! Packets without a connection, and SYNs that find an old one.

use super::*;
use crate::ipvs::{Command, Connection, DropReason, ReplyVerdict, State};

#[test]
fn what_is_not_for_ipvs_goes_to_the_own_stack() {
    let mut ipvs = director(Forwarding::Nat);
    let accepted = |ipvs: &mut Ipvs, pkt: Packet| {
        assert_eq!(ipvs.request(at(0), &pkt, &mut AddressBook::new()), Verdict::Accept, "{pkt:?}");
    };
    for flags in [ACK, FIN, RST, SYN.with(RST), Flags::NONE] {
        accepted(&mut ipvs, tcp(40_000, flags));
    }
    accepted(&mut ipvs, Packet { dport: 81, ..tcp(40_000, SYN) });
    accepted(&mut ipvs, Packet { dst: rip(100), ..tcp(40_000, SYN) });
    accepted(&mut ipvs, Packet { proto: proto::ICMP, ..tcp(40_000, SYN) });
    accepted(&mut ipvs, Packet { frag: Packet::MF, ..udp(1000) });
    accepted(&mut ipvs, tcp(20, SYN));
    accepted(&mut ipvs, udp(20));
    assert_eq!((ipvs.entries(), ipvs.next_deadline()), (0, None));
    assert!(matches!(
        ipvs.request(at(0), &tcp(40_000, SYN_ACK), &mut AddressBook::new()),
        Verdict::Transmit(_)
    ));
}

#[test]
fn sloppy_tcp_schedules_any_packet_but_rst() {
    let mut config = config(Forwarding::Dr);
    config.sysctl.sloppy_tcp = true;
    let mut ipvs = build(&config);
    assert_eq!(ipvs.request(at(0), &tcp(1, RST), &mut AddressBook::new()), Verdict::Accept);
    let slot = sent(&mut ipvs, at(0), &tcp(2, ACK)).connection;
    assert_eq!(state(&ipvs, slot), State::Established);
    let slot = sent(&mut ipvs, at(0), &tcp(3, Flags::PSH)).connection;
    assert_eq!(state(&ipvs, slot), State::Close);
}

#[test]
fn no_destination_is_answered_by_port_unreachable() {
    let mut config = config(Forwarding::Nat);
    config.services[0].servers.clear();
    let mut ipvs = build(&config);
    assert_eq!(
        ipvs.request(at(0), &tcp(40_000, SYN), &mut AddressBook::new()),
        Verdict::Unreachable
    );
    assert_eq!(ipvs.request(at(0), &tcp(40_000, ACK), &mut AddressBook::new()), Verdict::Accept);
    assert_eq!((ipvs.no_destination(), ipvs.entries()), (1, 0));
    let quiesced = ServerRule { weight: 0, ..server(11, 80, Forwarding::Nat) };
    assert_eq!(
        ipvs.apply(at(0), &Command::AddServer(WEB, quiesced), &mut AddressBook::new()),
        Ok(())
    );
    assert_eq!(
        ipvs.request(at(0), &tcp(40_000, SYN), &mut AddressBook::new()),
        Verdict::Unreachable
    );
}

#[test]
fn destination_port_0_takes_the_port_of_the_packet() {
    let services = vec![service(WEB, vec![server(11, 0, Forwarding::Nat)])];
    let mut ipvs = build(&IpvsConfig { services, ..IpvsConfig::default() });
    assert_eq!(sent(&mut ipvs, at(0), &tcp(40_000, SYN)).rport, 80);
}

#[test]
fn a_server_takes_connections_until_its_upper_threshold() {
    let mut config = config(Forwarding::Dr);
    config.services[0].servers.truncate(1);
    config.services[0].servers[0].upper_threshold = 2;
    let mut ipvs = build(&config);
    for port in [1, 2] {
        sent(&mut ipvs, at(0), &tcp(port, SYN));
    }
    assert!(web(&ipvs, 11).overloaded);
    assert_eq!(ipvs.request(at(0), &tcp(3, SYN), &mut AddressBook::new()), Verdict::Unreachable);
    sent(&mut ipvs, at(1), &tcp(1, FIN));
    pass(&mut ipvs, at(60));
    assert!(!web(&ipvs, 11).overloaded, "one of two is below three quarters");
    sent(&mut ipvs, at(60), &tcp(3, SYN));
}

/// A DR or NAT connection of port 40000 in `wanted`, by its real server.
fn in_state(ipvs: &mut Ipvs, wanted: State) -> Transmit {
    let to = sent(ipvs, at(0), &tcp(40_000, SYN));
    let (client, server): (&[Flags], &[Flags]) = match (wanted, to.forwarding) {
        (State::SynRecv, _) => (&[], &[]),
        (State::Established, _) => (&[ACK], &[]),
        (State::Close, _) => (&[ACK, RST], &[]),
        (State::FinWait, Forwarding::Nat) => (&[ACK], &[FIN]),
        (State::FinWait | State::CloseWait, _) => (&[ACK, FIN], &[]),
        _ => (&[FIN], &[]),
    };
    for &flags in client {
        sent(ipvs, at(0), &tcp(40_000, flags));
    }
    for &flags in server {
        ipvs.reply(at(0), &answer(&tcp(40_000, SYN), &to, flags));
    }
    assert_eq!(state(ipvs, to.connection), wanted);
    to
}

#[test]
fn a_syn_on_an_old_entry_is_scheduled_anew_as_conn_reuse_mode_says() {
    use Forwarding::{Dr, Nat};
    use State::{Close, CloseWait, Established, FinWait, SynRecv, TimeWait};
    for (mode, method, old, anew) in [
        (0, Dr, TimeWait, false),
        (0, Nat, Close, false),
        (1, Nat, TimeWait, true),
        (1, Nat, Close, true),
        (1, Dr, Close, true),
        (1, Dr, FinWait, false),
        (1, Nat, CloseWait, false),
        (1, Dr, SynRecv, false),
        (1, Dr, Established, false),
        (2, Dr, FinWait, true),
        (2, Dr, TimeWait, true),
        (3, Dr, FinWait, true),
        (2, Nat, FinWait, false),
        (3, Nat, CloseWait, false),
    ] {
        let mut config = config(method);
        config.sysctl.conn_reuse_mode = mode;
        let mut ipvs = build(&config);
        let before = in_state(&mut ipvs, old);
        let after = sent(&mut ipvs, at(5), &tcp(40_000, SYN));
        let what = format!("mode {mode} {method} {old}");
        assert_eq!(before.connection != after.connection, anew, "{what}");
        assert_eq!(before.rip != after.rip, anew, "{what}");
        let expected = if old == Established { Established } else { SynRecv };
        assert_eq!(state(&ipvs, after.connection), expected, "{what}");
        // The old entry is counted until its timer runs, in the same instant.
        assert_eq!(ipvs.entries(), 1 + u32::from(anew), "{what}");
        assert_eq!(ipvs.next_deadline() == Some(at(5)), anew, "{what}");
        pass(&mut ipvs, at(5));
        assert_eq!(ipvs.entries(), 1, "{what}");
        assert_eq!(sent(&mut ipvs, at(5), &tcp(40_000, ACK)), after, "{what}");
    }
}

#[test]
fn the_scheduler_still_sees_the_entry_that_is_replaced() {
    // lc, two servers: one closed connection each. The new one goes to the head of the list only
    // if both count one.
    let mut config = config(Forwarding::Dr);
    config.services[0].scheduler = Algorithm::Lc;
    let mut ipvs = build(&config);
    let first = sent(&mut ipvs, at(0), &tcp(1, SYN));
    let second = sent(&mut ipvs, at(0), &tcp(2, SYN));
    assert_ne!(first.rip, second.rip);
    for port in [1, 2] {
        sent(&mut ipvs, at(0), &tcp(port, ACK));
        sent(&mut ipvs, at(0), &tcp(port, RST));
    }
    assert_eq!(sent(&mut ipvs, at(1), &tcp(2, SYN)).rip, first.rip);
}

#[test]
fn without_a_destination_the_replaced_entry_is_gone_all_the_same() {
    let mut ipvs = director(Forwarding::Dr);
    in_state(&mut ipvs, State::Close);
    for host in [11, 12] {
        let quiesced = ServerRule { weight: 0, ..server(host, 80, Forwarding::Dr) };
        assert_eq!(
            ipvs.apply(at(1), &Command::EditServer(WEB, quiesced), &mut AddressBook::new()),
            Ok(())
        );
    }
    assert_eq!(
        ipvs.request(at(1), &tcp(40_000, SYN), &mut AddressBook::new()),
        Verdict::Unreachable
    );
    pass(&mut ipvs, at(1));
    assert_eq!(ipvs.entries(), 0);
}

#[test]
fn a_quiesced_server_keeps_old_clients_unless_expire_nodest_conn() {
    for expire in [false, true] {
        let mut config = config(Forwarding::Dr);
        config.sysctl.expire_nodest_conn = expire;
        let mut ipvs = build(&config);
        let before = in_state(&mut ipvs, State::Established);
        let quiesced = ServerRule { weight: 0, ..server(12, 80, Forwarding::Dr) };
        assert_eq!(
            ipvs.apply(at(1), &Command::EditServer(WEB, quiesced), &mut AddressBook::new()),
            Ok(())
        );
        assert_eq!(sent(&mut ipvs, at(1), &tcp(40_000, ACK)), before);
        let after = sent(&mut ipvs, at(1), &tcp(40_000, SYN));
        assert_eq!(after.rip == before.rip, !expire);
    }
}

#[test]
fn a_deleted_server_is_a_black_hole_until_it_is_added_again() {
    let mut ipvs = director(Forwarding::Nat);
    let to = in_state(&mut ipvs, State::Established);
    let stats = web(&ipvs, 12).stats;
    assert_eq!(
        ipvs.apply(
            at(10),
            &Command::DeleteServer(WEB, rip_rule(12), 8080),
            &mut AddressBook::new()
        ),
        Ok(())
    );
    for flags in [ACK, FIN, SYN] {
        let verdict = ipvs.request(at(20), &tcp(40_000, flags), &mut AddressBook::new());
        assert_eq!(verdict, Verdict::Drop(DropReason::DestinationGone));
    }
    assert_eq!(ipvs.connection(to.connection).map(Connection::expires), Some(at(900)));
    // A reply is still translated, and renews the entry, but is not counted.
    let reply = answer(&tcp(40_000, SYN), &to, ACK);
    assert!(matches!(ipvs.reply(at(30), &reply), ReplyVerdict::Translate { .. }));
    assert_eq!(ipvs.connection(to.connection).map(Connection::expires), Some(at(930)));

    let again = server(12, 8080, Forwarding::Nat);
    assert_eq!(
        ipvs.apply(at(40), &Command::AddServer(WEB, again), &mut AddressBook::new()),
        Ok(())
    );
    assert_eq!((web(&ipvs, 12).active, web(&ipvs, 12).stats), (1, stats));
    assert_eq!(sent(&mut ipvs, at(40), &tcp(40_000, ACK)), to);
    assert_eq!(state(&ipvs, to.connection), State::Established);
}

#[test]
fn expire_nodest_conn_ends_the_connections_of_a_deleted_server() {
    let mut config = config(Forwarding::Nat);
    config.sysctl.expire_nodest_conn = true;
    let mut ipvs = build(&config);
    let to = in_state(&mut ipvs, State::Established);
    let other = sent(&mut ipvs, at(0), &tcp(2, SYN));
    assert_ne!(to.rip, other.rip);
    assert_eq!(
        ipvs.apply(
            at(10),
            &Command::DeleteServer(WEB, stated(to.rip), 8080),
            &mut AddressBook::new()
        ),
        Ok(())
    );
    // Before the deferred work: a SYN is scheduled anew, anything else is for the own stack.
    assert_eq!(ipvs.request(at(10), &tcp(40_000, ACK), &mut AddressBook::new()), Verdict::Accept);
    assert_eq!(sent(&mut ipvs, at(10), &tcp(40_000, SYN)).rip, other.rip);
    pass(&mut ipvs, at_ms(10_000));
    assert_eq!(ipvs.entries(), 2);

    pass(&mut ipvs, at(11));
    sent(&mut ipvs, at(11), &tcp(3, SYN));
    assert_eq!(
        ipvs.apply(
            at(11),
            &Command::DeleteServer(WEB, stated(other.rip), 8080),
            &mut AddressBook::new()
        ),
        Ok(())
    );
    pass(&mut ipvs, at_ms(11_009));
    assert_eq!(ipvs.entries(), 3, "one tick later, not at once");
    pass(&mut ipvs, at_ms(11_010));
    assert_eq!(ipvs.entries(), 0);
}

#[test]
fn the_own_stacks_rst_revives_a_dr_entry_for_a_moment() {
    let mut config = config(Forwarding::Dr);
    config.sysctl.expire_nodest_conn = true;
    let mut ipvs = build(&config);
    let to = in_state(&mut ipvs, State::Established);
    assert_eq!(
        ipvs.apply(
            at(10),
            &Command::DeleteServer(WEB, stated(to.rip), 80),
            &mut AddressBook::new()
        ),
        Ok(())
    );
    assert_eq!(
        ipvs.request(at_ms(10_002), &tcp(40_000, ACK), &mut AddressBook::new()),
        Verdict::Accept
    );
    let rst = answer(&tcp(40_000, ACK), &to, RST);
    let counted = ReplyVerdict::Counted { connection: to.connection };
    assert_eq!(ipvs.reply(at_ms(10_002), &rst), counted);
    pass(&mut ipvs, at_ms(10_002));
    let entry = ipvs.connection(to.connection).expect("its timer was set again");
    assert_eq!((entry.state(), entry.expires()), (State::Close, at_ms(20_002)));
    pass(&mut ipvs, at_ms(10_010));
    assert_eq!(ipvs.entries(), 0, "the flush ends it");
}
