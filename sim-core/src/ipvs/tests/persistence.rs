//! Clients that stay at their real server.

use super::*;
use crate::ipvs::rules::Engine;
use crate::ipvs::{Command, ConnectionEntry, DropReason, State};

/// The web service with a persistence of so many seconds.
fn persistent(seconds: u64, forwarding: Forwarding) -> IpvsConfig {
    let mut config = config(forwarding);
    config.services[0].persistent = Some(Span::from_secs(seconds));
    config
}

/// The templates in the table.
fn templates(ipvs: &Ipvs, now: Time) -> Vec<ConnectionEntry> {
    let mut all = ipvs.connection_list(now, &AddressBook::new());
    all.retain(|c| c.template);
    all
}

/// Whole seconds that the only template has left.
fn left(ipvs: &Ipvs, now: Time) -> u64 {
    let all = templates(ipvs, now);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].left.as_nanos() / 1_000_000_000
}

fn edit(ipvs: &mut Ipvs, now: Time, command: &Command) {
    assert_eq!(ipvs.apply(now, command, &mut AddressBook::new()), Ok(()));
}

#[test]
fn a_client_stays_and_others_go_round() {
    let mut ipvs = build(&persistent(300, Forwarding::Dr));
    let home = sent(&mut ipvs, at(0), &tcp(1, SYN)).rip;
    for port in 2..20 {
        assert_eq!(sent(&mut ipvs, at(0), &tcp(port, SYN)).rip, home);
    }
    let other = Packet { src: Ip::new(172, 16, 0, 11), ..tcp(1, SYN) };
    assert_ne!(sent(&mut ipvs, at(0), &other).rip, home);
    let (mine, theirs) = (web(&ipvs, 12), web(&ipvs, 11));
    assert_eq!((mine.active, mine.persistent, mine.stats.connections), (19, 1, 19));
    assert_eq!((theirs.active, theirs.persistent, theirs.stats.connections), (1, 1, 1));
    let all = templates(&ipvs, at(10));
    assert_eq!(all.len(), 2);
    let mine = all.iter().find(|t| t.client.0 == v4(172, 16, 0, 10)).expect("has one");
    assert_eq!((mine.client.1, mine.vip, mine.rip), (0, (VIP_RULE, 80), (rip_rule(12), 80)));
    assert_eq!((mine.protocol, mine.state, mine.left), (6, "NONE", Span::from_secs(290)));
}

#[test]
fn a_template_that_holds_connections_lives_on_by_minutes_and_keeps_the_minute() {
    let mut ipvs = build(&persistent(10, Forwarding::Nat));
    let mut home = None;
    for second in 0..3 {
        pass(&mut ipvs, at(second));
        let port = 40_000 + second as u16;
        let to = sent(&mut ipvs, at(second), &tcp(port, SYN));
        assert_eq!(to.rip, *home.get_or_insert(to.rip));
        // both sides close: TIME_WAIT, 120 s
        sent(&mut ipvs, at(second), &tcp(port, FIN));
        assert_eq!(state(&ipvs, to.connection), State::TimeWait);
    }
    assert_eq!(left(&ipvs, at(2)), 10);
    // It runs at 12, 72 and 132; the connections end at 120, 121, 122.
    pass(&mut ipvs, at(12));
    assert_eq!(left(&ipvs, at(12)), 60);
    // A new connection renews it, by the minute now.
    pass(&mut ipvs, at(20));
    assert_eq!(Some(sent(&mut ipvs, at(20), &tcp(1, SYN)).rip), home);
    assert_eq!(left(&ipvs, at(20)), 60);
    pass(&mut ipvs, at(139));
    assert_eq!(ipvs.entries(), 1, "80 + 60: the template alone");
    pass(&mut ipvs, at(140));
    assert_eq!((ipvs.entries(), web(&ipvs, 12).persistent), (0, 0));
}

#[test]
fn packets_of_known_connections_do_not_renew_a_template() {
    let mut ipvs = build(&persistent(100, Forwarding::Dr));
    sent(&mut ipvs, at(0), &tcp(1, SYN));
    assert_eq!(templates(&ipvs, at(0))[0].state, "NONE");
    sent(&mut ipvs, at(30), &tcp(1, ACK));
    assert_eq!((left(&ipvs, at(30)), templates(&ipvs, at(30))[0].state), (70, "ASSURED"));
    sent(&mut ipvs, at(50), &tcp(2, SYN));
    assert_eq!(left(&ipvs, at(50)), 100);
}

#[test]
fn a_persistent_connection_in_time_wait_is_used_again() {
    let mut ipvs = build(&persistent(300, Forwarding::Nat));
    let first = sent(&mut ipvs, at(0), &tcp(1, SYN));
    sent(&mut ipvs, at(0), &tcp(1, FIN));
    assert_eq!(state(&ipvs, first.connection), State::TimeWait);
    assert_eq!(sent(&mut ipvs, at(1), &tcp(1, SYN)), first, "conn_reuse_mode is not for it");
}

#[test]
fn a_netmask_makes_one_client_of_a_network() {
    let mut config = persistent(300, Forwarding::Dr);
    config.services[0].netmask_len = 24;
    let mut ipvs = build(&config);
    let home = sent(&mut ipvs, at(0), &tcp(1, SYN)).rip;
    for host in 0..50 {
        let neighbour = Packet { src: Ip::new(172, 16, 0, host), ..tcp(7, SYN) };
        assert_eq!(sent(&mut ipvs, at(0), &neighbour).rip, home);
    }
    let far = Packet { src: Ip::new(172, 16, 1, 10), ..tcp(7, SYN) };
    assert_ne!(sent(&mut ipvs, at(0), &far).rip, home);
    assert_eq!(templates(&ipvs, at(0)).len(), 2);
    assert!(templates(&ipvs, at(0)).iter().all(|t| t.client.0 != far.src.0.into_v4()));
}

/// The rule form of an address.
trait IntoV4 {
    fn into_v4(self) -> IpAddr;
}

impl IntoV4 for u32 {
    fn into_v4(self) -> IpAddr {
        IpAddr::V4(core::net::Ipv4Addr::from_bits(self))
    }
}

#[test]
fn port_0_is_all_ports_of_a_protocol_for_one_client() {
    let any = ServiceKey::Address { protocol: proto::TCP, vip: VIP_RULE, port: 0 };
    let servers = vec![server(11, 0, Forwarding::Nat), server(12, 0, Forwarding::Nat)];
    let persistent = Some(Span::from_secs(300));
    let rule = ServiceRule { persistent, ..service(any, servers) };
    let mut ipvs = build(&IpvsConfig { services: vec![rule], ..IpvsConfig::default() });
    let home = sent(&mut ipvs, at(0), &tcp(1, SYN)).rip;
    for port in [22, 25, 8080, 65_535] {
        let to = sent(&mut ipvs, at(0), &Packet { dport: port, ..tcp(2, SYN) });
        assert_eq!((to.rip, to.rport), (home, port), "no port mapping");
    }
    let all = templates(&ipvs, at(0));
    assert_eq!((all.len(), all[0].vip, all[0].rip.1), (1, (VIP_RULE, 0), 0));
    assert_eq!(
        ipvs.request(at(0), &udp(1), &mut AddressBook::new()),
        Verdict::Accept,
        "another protocol"
    );
}

#[test]
fn a_mark_joins_ports_protocols_and_addresses() {
    let key = ServiceKey::Fwmark { mark: 7, v6: false };
    let servers = vec![server(11, 0, Forwarding::Dr), server(12, 0, Forwarding::Dr)];
    let persistent = Some(Span::from_secs(300));
    let rule = ServiceRule { persistent, ..service(key, servers) };
    let mut ipvs = build(&IpvsConfig { services: vec![rule], ..IpvsConfig::default() });
    let marked = |packet: Packet| Packet { mark: 7, ..packet };
    let home = sent(&mut ipvs, at(0), &marked(tcp(1, SYN)));
    assert_eq!(home.rport, 80, "the port of the packet");
    for packet in [
        marked(Packet { dport: 443, ..tcp(2, SYN) }),
        marked(udp(3)),
        marked(Packet { dst: rip(77), ..tcp(4, SYN) }),
    ] {
        assert_eq!(sent(&mut ipvs, at(0), &packet).rip, home.rip);
    }
    let all = templates(&ipvs, at(0));
    assert_eq!((all.len(), all[0].protocol, all[0].vip), (1, 0, (v4(0, 0, 0, 7), 0)));
    let unmarked = Packet { sport: 9, ..tcp(9, SYN) };
    assert_eq!(ipvs.request(at(0), &unmarked, &mut AddressBook::new()), Verdict::Accept);
    let other = Packet { mark: 8, ..unmarked };
    assert_eq!(ipvs.request(at(0), &other, &mut AddressBook::new()), Verdict::Accept);
}

#[test]
fn a_quiesced_server_keeps_its_persistent_clients_unless_told_to_let_them_go() {
    for quiescent in [false, true] {
        let mut config = persistent(300, Forwarding::Dr);
        config.sysctl.expire_quiescent_template = quiescent;
        let mut ipvs = build(&config);
        let home = sent(&mut ipvs, at(0), &tcp(1, SYN)).rip;
        let zero = ServerRule { weight: 0, ..server(12, 80, Forwarding::Dr) };
        edit(&mut ipvs, at(1), &Command::EditServer(WEB, zero));
        let to = sent(&mut ipvs, at(1), &tcp(2, SYN));
        assert_eq!(to.rip == home, !quiescent);
        let stranger = Packet { src: Ip::new(172, 16, 9, 9), ..tcp(1, SYN) };
        assert_eq!(sent(&mut ipvs, at(1), &stranger).rip, rip(11));
        if quiescent {
            // The old template is listed until its time comes, but never used again.
            let old: Vec<_> =
                templates(&ipvs, at(1)).into_iter().filter(|t| t.vip.1 == 0xffff).collect();
            assert_eq!(old.len(), 1);
            assert_eq!((old[0].rip, old[0].client.1), ((rip_rule(12), 0xffff), 0));
            let back = server(12, 80, Forwarding::Dr);
            edit(&mut ipvs, at(2), &Command::EditServer(WEB, back));
            assert_eq!(sent(&mut ipvs, at(2), &tcp(3, SYN)).rip, rip(11), "it has moved");
        }
    }
}

#[test]
fn an_overloaded_server_still_takes_its_persistent_clients() {
    let mut config = persistent(300, Forwarding::Dr);
    config.services[0].servers[1].upper_threshold = 2;
    let mut ipvs = build(&config);
    for port in 1..=5 {
        assert_eq!(sent(&mut ipvs, at(0), &tcp(port, SYN)).rip, rip(12));
    }
    assert!(web(&ipvs, 12).overloaded);
    let stranger = Packet { src: Ip::new(172, 16, 9, 9), ..tcp(1, SYN) };
    assert_eq!(sent(&mut ipvs, at(0), &stranger).rip, rip(11));
}

#[test]
fn a_template_waits_for_its_deleted_server_if_the_client_does() {
    for client_returns in [false, true] {
        let mut ipvs = build(&persistent(300, Forwarding::Dr));
        assert_eq!(sent(&mut ipvs, at(0), &tcp(1, SYN)).rip, rip(12));
        edit(&mut ipvs, at(1), &Command::DeleteServer(WEB, rip_rule(12), 80));
        if client_returns {
            assert_eq!(sent(&mut ipvs, at(2), &tcp(2, SYN)).rip, rip(11));
        }
        edit(&mut ipvs, at(3), &Command::AddServer(WEB, server(12, 80, Forwarding::Dr)));
        let home = if client_returns { rip(11) } else { rip(12) };
        assert_eq!(sent(&mut ipvs, at(4), &tcp(3, SYN)).rip, home);
    }
}

#[test]
fn expire_nodest_conn_leaves_nothing_of_a_deleted_server() {
    let mut config = persistent(300, Forwarding::Dr);
    config.sysctl.expire_nodest_conn = true;
    let mut ipvs = build(&config);
    for port in 1..4 {
        sent(&mut ipvs, at(0), &tcp(port, SYN));
        sent(&mut ipvs, at(0), &tcp(port, ACK));
    }
    assert_eq!(templates(&ipvs, at(0))[0].state, "ASSURED");
    edit(&mut ipvs, at(1), &Command::DeleteServer(WEB, rip_rule(12), 80));
    assert_eq!(ipvs.entries(), 4);
    pass(&mut ipvs, at_ms(1_010));
    assert_eq!(ipvs.entries(), 0);
}

#[test]
fn an_edited_timeout_is_for_new_templates() {
    let mut ipvs = build(&persistent(300, Forwarding::Dr));
    sent(&mut ipvs, at(0), &tcp(1, SYN));
    let rule = persistent(20, Forwarding::Dr).services.remove(0);
    edit(&mut ipvs, at(1), &Command::EditService(rule.clone()));
    sent(&mut ipvs, at(2), &tcp(2, SYN));
    assert_eq!(left(&ipvs, at(2)), 300);
    let plain = ServiceRule { persistent: None, ..rule };
    edit(&mut ipvs, at(3), &Command::EditService(plain));
    let hosts = [3, 4].map(|port| sent(&mut ipvs, at(3), &tcp(port, SYN)).rip);
    assert_ne!(hosts[0], hosts[1], "without persistence every connection is scheduled");
    assert_eq!(left(&ipvs, at(3)), 299);
}

#[test]
fn nobody_to_choose_makes_no_template() {
    let mut config = persistent(300, Forwarding::Dr);
    config.services[0].servers.clear();
    let mut ipvs = build(&config);
    let verdict = ipvs.request(at(0), &tcp(1, SYN), &mut AddressBook::new());
    assert_eq!((verdict, ipvs.entries()), (Verdict::Unreachable, 0));
}

#[test]
fn persistent_ftp_takes_its_data_connections_to_the_same_server() {
    let ftp = ServiceKey::Address { protocol: proto::TCP, vip: VIP_RULE, port: 21 };
    let servers = vec![server(11, 21, Forwarding::Dr), server(12, 21, Forwarding::Dr)];
    let persistent = Some(Span::from_secs(300));
    let rule = ServiceRule { persistent, ..service(ftp, servers.clone()) };
    let mut ipvs = build(&IpvsConfig { services: vec![rule], ..IpvsConfig::default() });
    let to_port = |port| Packet { dport: port, ..tcp(1, SYN) };
    let home = sent(&mut ipvs, at(0), &to_port(21)).rip;
    for port in [20, 1024, 5000] {
        assert_eq!(sent(&mut ipvs, at(0), &to_port(port)).rip, home);
    }
    let all = templates(&ipvs, at(0));
    assert_eq!((all.len(), all[0].vip.1, all[0].rip.1), (1, 0, 0));
    let accept = ipvs.request(at(0), &to_port(300), &mut AddressBook::new());
    assert_eq!(accept, Verdict::Accept, "a privileged port is not for FTP");
    // Without persistence the rule is there, but nobody is: the own stack answers.
    let mut plain =
        build(&IpvsConfig { services: vec![service(ftp, servers)], ..IpvsConfig::default() });
    let verdict = plain.request(at(0), &to_port(5000), &mut AddressBook::new());
    assert_eq!(verdict, Verdict::Accept);
}

#[test]
fn udp_answers_assure_a_template() {
    let mut config = config(Forwarding::Nat);
    config.services[1].persistent = Some(Span::from_secs(300));
    let mut ipvs = build(&config);
    let to = sent(&mut ipvs, at(0), &udp(1));
    assert_eq!(templates(&ipvs, at(0))[0].state, "NONE");
    ipvs.reply(at(0), &answer(&udp(1), &to, Flags::NONE));
    assert_eq!(templates(&ipvs, at(0))[0].state, "ASSURED");
}

#[test]
fn a_dropped_connection_takes_a_template_along_that_never_carried_data() {
    for assured in [false, true] {
        let mut ipvs = build(&persistent(300, Forwarding::Dr));
        let first = sent(&mut ipvs, at(0), &tcp(1, SYN)).connection;
        let second = sent(&mut ipvs, at(0), &tcp(2, SYN)).connection;
        if assured {
            sent(&mut ipvs, at(0), &tcp(1, ACK));
        }
        ipvs.drop_connection(first);
        assert_eq!(ipvs.entries(), 2, "it still holds the other one");
        ipvs.drop_connection(second);
        assert_eq!(ipvs.entries(), u32::from(assured));
    }
}

#[test]
fn sip_calls_keep_their_server_whatever_port_they_come_from() {
    let mut config = config(Forwarding::Dr);
    config.services[1].persistent = Some(Span::from_secs(60));
    config.services[1].engine = Some(Engine::Sip);
    config.services[1].one_packet = true;
    let mut ipvs = build(&config);
    let calls = ["a84b4c76e66710", "f81d4fae@10.0.0.1"].map(|id| ipvs.call(id).expect("good"));
    assert_eq!(ipvs.call("a84b4c76e66710"), Some(calls[0]));
    assert_eq!((ipvs.call(""), ipvs.call(&"x".repeat(256))), (None, None));
    let message = |call: u32, port: u16| Packet { ack: call, ..udp(port) };
    let first = sent(&mut ipvs, at(0), &message(calls[0], 1)).rip;
    let second = sent(&mut ipvs, at(0), &message(calls[1], 1)).rip;
    assert_ne!(first, second, "two calls of one client");
    for port in 2..9 {
        assert_eq!(sent(&mut ipvs, at(1), &message(calls[0], port)).rip, first);
        assert_eq!(sent(&mut ipvs, at(1), &message(calls[1], port)).rip, second);
    }
    let away = Packet { src: Ip::new(172, 16, 9, 9), ..message(calls[0], 1) };
    sent(&mut ipvs, at(1), &away);
    let all = templates(&ipvs, at(1));
    assert_eq!(all.len(), 3, "the same call from elsewhere is another one");
    let mut known: Vec<_> = all.iter().filter_map(|t| t.engine.clone()).collect();
    known.sort_by(|a, b| a.1.cmp(&b.1));
    assert_eq!(known[0], (Engine::Sip, "a84b4c76e66710".to_owned()));
    assert_eq!(known[2].1, "f81d4fae@10.0.0.1");
    let no_call = ipvs.request(at(1), &udp(1), &mut AddressBook::new());
    assert_eq!(no_call, Verdict::Drop(DropReason::Engine));
    pass(&mut ipvs, at(61));
    assert_eq!(ipvs.entries(), 0, "one packet each, and templates at their time");
}

#[test]
fn a_prefix_of_ipv6_makes_a_client() {
    let vip: IpAddr = "fd00:1::100".parse().unwrap();
    let key = ServiceKey::Address { protocol: proto::TCP, vip, port: 80 };
    let servers =
        [1, 2].map(|host| ServerRule::new(format!("fd00:10::{host}").parse().unwrap(), 80));
    let rule = ServiceRule {
        persistent: Some(Span::from_secs(300)),
        netmask_len: 64,
        ..service(key, servers.to_vec())
    };
    let config = IpvsConfig { services: vec![rule], ..IpvsConfig::default() };
    let mut book = AddressBook::new();
    let mut ipvs = Ipvs::new(&config, Stream::new(1, "d", "ipvs"), &mut book).expect("good rules");
    let mut to = |client: &str, port: u16, book: &mut AddressBook| {
        let (src, dst) = (book.number(client.parse().unwrap()), book.number(vip));
        let mut pkt = Packet { kind: crate::wire::Kind::Ipv6, ..tcp(port, SYN) };
        (pkt.src, pkt.dst) = (src, dst);
        match ipvs.request(at(0), &pkt, book) {
            Verdict::Transmit(to) => book.address(to.rip),
            other => panic!("{other:?}"),
        }
    };
    let home = to("fd00:7::1", 1, &mut book);
    assert_eq!(to("fd00:7::ffff:1", 2, &mut book), home);
    assert_ne!(to("fd00:7:0:1::1", 1, &mut book), home);
    let all = ipvs.connection_list(at(0), &book);
    let masked: Vec<_> = all.iter().filter(|c| c.template).map(|c| c.client.0).collect();
    assert!(masked.contains(&"fd00:7::".parse().unwrap()), "{masked:?}");
    // Without an IPv4 service IPv4 packets bypass IPVS.
    assert_eq!(ipvs.request(at(0), &tcp(1, SYN), &mut book), Verdict::Accept);
}
