//! The FTP helper.

use super::*;
use crate::ipvs::State;

const FTP: ServiceKey = ServiceKey::Address { protocol: proto::TCP, vip: VIP_RULE, port: 21 };

/// An established control connection through NAT; the FTP server listens on port 2121.
fn control() -> (Ipvs, Transmit) {
    let servers = vec![server(11, 2121, Forwarding::Nat)];
    let services = vec![service(FTP, servers)];
    let mut ipvs = build(&IpvsConfig { services, ..IpvsConfig::default() });
    let to = sent(&mut ipvs, at(0), &command(SYN));
    sent(&mut ipvs, at(0), &command(ACK));
    assert_eq!(state(&ipvs, to.connection), State::Established);
    (ipvs, to)
}

fn command(flags: Flags) -> Packet {
    Packet { dport: 21, ..tcp(40_000, flags) }
}

#[test]
fn a_passive_server_is_told_to_the_client_by_the_virtual_address() {
    let (mut ipvs, to) = control();
    let mut book = AddressBook::new();
    let line = "227 Entering Passive Mode (192,168,10,11,19,136).\r\n";
    assert_eq!(ipvs.ftp_server(at(1), to.connection, line, &mut book), None, "nobody asked");
    assert_eq!(ipvs.ftp_client(at(1), to.connection, "PASV\r\n", &mut book), None);
    let answer = ipvs.ftp_server(at(1), to.connection, line, &mut book).expect("rewritten");
    assert_eq!(answer.text, "227 Entering Passive Mode (192,168,10,200,19,136).\r\n");
    assert_eq!(ipvs.ftp_server(at(1), to.connection, line, &mut book), None, "once");
    let data = ipvs.connection(answer.data).expect("expected");
    assert_eq!(
        (data.state(), data.client(), data.vip()),
        (State::Listen, (CLIENT, 0), (VIP, 5000))
    );
    assert_eq!((data.controller(), data.expires()), (Some(to.connection), at(121)));

    let first = Packet { dport: 5000, ..tcp(40_001, SYN) };
    let data = sent(&mut ipvs, at(2), &first);
    assert_eq!((data.connection, data.rip, data.rport), (answer.data, rip(11), 5000));
    assert_eq!(state(&ipvs, data.connection), State::SynRecv);
    let stranger = Packet { src: Ip::new(172, 16, 0, 99), ..first };
    let other = ipvs.request(at(2), &stranger, &mut book);
    assert_eq!(other, Verdict::Accept, "the data connection is the client's alone");
    let second = Packet { sport: 40_002, ..first };
    assert_eq!(ipvs.request(at(2), &second, &mut book), Verdict::Accept, "and has one port");
}

#[test]
fn an_extended_passive_server_names_a_port() {
    let (mut ipvs, to) = control();
    let mut book = AddressBook::new();
    ipvs.ftp_client(at(1), to.connection, "epsv", &mut book);
    let line = "229 Entering Extended Passive Mode (|||5001|)";
    let answer = ipvs.ftp_server(at(1), to.connection, line, &mut book).expect("rewritten");
    assert_eq!(answer.text, line);
    let to = sent(&mut ipvs, at(1), &Packet { dport: 5001, ..tcp(7, SYN) });
    assert_eq!((to.rip, to.rport), (rip(11), 5001));
}

#[test]
fn an_active_server_calls_from_the_virtual_address() {
    for line in ["PORT 172,16,0,10,156,66", "EPRT |1|172.16.0.10|40002|"] {
        let (mut ipvs, to) = control();
        let mut book = AddressBook::new();
        let data = ipvs.ftp_client(at(1), to.connection, line, &mut book).expect("expected");
        let entry = ipvs.connection(data).expect("in the table");
        assert_eq!((entry.client(), entry.vip()), ((CLIENT, 40_002), (VIP, 20)));
        assert_eq!(entry.rip(), (rip(11), 2120));
        assert_eq!(ipvs.ftp_client(at(1), to.connection, line, &mut book), Some(data));
        let mut syn = Packet::ipv4(rip(11), CLIENT, proto::TCP, 60);
        (syn.sport, syn.dport, syn.flags) = (2120, 40_002, SYN);
        let verdict = ipvs.reply(at(1), &syn);
        let expected =
            crate::ipvs::ReplyVerdict::Translate { vip: VIP, vport: 20, connection: data };
        assert_eq!(verdict, expected);
    }
}

#[test]
fn a_control_connection_outlives_its_data_connection() {
    let (mut ipvs, to) = control();
    let mut book = AddressBook::new();
    let data = ipvs.ftp_client(at(0), to.connection, "PORT 172,16,0,10,156,66", &mut book);
    let data = data.expect("expected");
    let mut syn = Packet::ipv4(rip(11), CLIENT, proto::TCP, 60);
    (syn.sport, syn.dport, syn.flags) = (2120, 40_002, ACK);
    for seconds in [100, 500, 900] {
        ipvs.reply(at(seconds), &syn);
    }
    assert_eq!(ipvs.connection(data).map(crate::ipvs::Connection::expires), Some(at(1800)));
    pass(&mut ipvs, at(900));
    assert_eq!(ipvs.entries(), 2, "a minute longer, again and again");
    pass(&mut ipvs, at(1799));
    assert_eq!(ipvs.entries(), 2);
    pass(&mut ipvs, at(1860));
    assert_eq!(ipvs.entries(), 0);
}

#[test]
fn lines_that_announce_nothing_are_left_alone() {
    let (mut ipvs, to) = control();
    let mut book = AddressBook::new();
    for line in ["USER anonymous", "PORT 1,2,3", "EPRT |3|x|y|", "PORTS 1,2,3,4,5,6", ""] {
        assert_eq!(ipvs.ftp_client(at(1), to.connection, line, &mut book), None, "{line}");
    }
    ipvs.ftp_client(at(1), to.connection, "PASV", &mut book);
    for line in ["227 Entering Passive Mode", "229 x (|||5000|)", "227 (1,2,3)", "230 ()", "227 )("]
    {
        assert_eq!(ipvs.ftp_server(at(1), to.connection, line, &mut book), None, "{line}");
    }
    assert_eq!(ipvs.ftp_client(at(1), Slot::NONE, "PASV", &mut book), None);
    assert_eq!(ipvs.entries(), 1);
}
