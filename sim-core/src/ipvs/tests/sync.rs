//! Connection synchronisation between two directors.

use super::*;
use crate::ipvs::rules::{Daemon, DaemonRole};
use crate::ipvs::sync::Message;
use crate::ipvs::sync::message::{Record, Version, flags, read};
use crate::ipvs::{Command, Connection, DestinationId, State};

fn daemon(role: DaemonRole, syncid: u8) -> Daemon {
    Daemon {
        role,
        interface: "eth0".into(),
        syncid,
        group: None,
        port: None,
        ttl: None,
        maxlen: None,
    }
}

/// The rules of [`config`] on a director with one daemon.
fn with_daemon(forwarding: Forwarding, role: DaemonRole) -> Ipvs {
    build(&IpvsConfig { daemons: vec![daemon(role, 1)], ..config(forwarding) })
}

fn master(forwarding: Forwarding) -> Ipvs {
    with_daemon(forwarding, DaemonRole::Master)
}

fn backup(forwarding: Forwarding) -> Ipvs {
    with_daemon(forwarding, DaemonRole::Backup)
}

/// The messages sent until `end`, with their times in milliseconds.
fn messages(ipvs: &mut Ipvs, end: Time) -> Vec<(u64, Message)> {
    let mut all = Vec::new();
    while let Some(next) = ipvs.next_deadline().filter(|&next| next <= end) {
        ipvs.on_deadline(next);
        let sent = ipvs.take_messages(next, &AddressBook::new());
        all.extend(sent.into_iter().map(|m| (next.as_nanos() / 1_000_000, m)));
    }
    all
}

/// State and client port of the records sent until `end`, with their times.
fn told(ipvs: &mut Ipvs, end: Time) -> Vec<(u64, u16, u16)> {
    let mut all = Vec::new();
    for (ms, message) in messages(ipvs, end) {
        let read = read(&message.bytes).expect("a good message");
        assert_eq!(read.syncid, 1);
        all.extend(read.records.iter().map(|r| (ms, r.state, r.client.1)));
    }
    all
}

/// What passes a real director's interface (Linux 6.1): a DR connection that a client opens and closes,
/// established with its third packet, and then in `FIN_WAIT`.
const RECORDED: &str = "00010050020100000006002400000083\
    0001a72400500050000000000000 0384ac10000ac0a80ac8c0a80a65\
    00060024000001830004a72400500050000000000000 0078ac10000ac0a80ac8c0a80a65";

fn recorded() -> Vec<u8> {
    let digits: Vec<u8> = RECORDED.bytes().filter(u8::is_ascii_hexdigit).collect();
    let text = String::from_utf8(digits).unwrap();
    (0..text.len()).step_by(2).map(|n| u8::from_str_radix(&text[n..n + 2], 16).unwrap()).collect()
}

#[test]
fn a_recorded_message_byte_for_byte() {
    let services = vec![service(WEB, vec![server(101, 80, Forwarding::Dr)])];
    let daemons = vec![daemon(DaemonRole::Master, 1)];
    let mut ipvs = build(&IpvsConfig { services, daemons, ..IpvsConfig::default() });
    ipvs.set_sync_poll(at_ms(5_261));
    for (ms, flags) in [(0, SYN), (0, ACK), (8, Flags(0x18)), (11, ACK), (17, FIN)] {
        sent(&mut ipvs, at_ms(ms), &tcp(42_788, flags));
    }
    let sent = messages(&mut ipvs, at(100));
    let message = Message {
        bytes: recorded(),
        interface: "eth0".into(),
        group: v4(224, 0, 0, 81),
        port: 8848,
        ttl: 1,
    };
    assert_eq!(sent, [(2_261, message)]);
}

#[test]
fn the_third_packet_and_then_every_fiftieth_tells_of_a_connection() {
    let mut ipvs = master(Forwarding::Nat);
    let (client, other) = (tcp(1, ACK), udp(2));
    sent(&mut ipvs, at(0), &tcp(1, SYN));
    sent(&mut ipvs, at(0), &other);
    for n in 2..=160 {
        sent(&mut ipvs, at(n), &client);
        sent(&mut ipvs, at(n), &other);
        let told = told(&mut ipvs, at(n));
        // the nth packet came at n seconds, and the message is sent with the records of two seconds
        let due = matches!(n.checked_sub(2), Some(3 | 53 | 103 | 153));
        let expected = [(n * 1000, 1, 1), (n * 1000, 0, 2)];
        assert_eq!(told, if due { &expected[..] } else { &[] }, "{n}");
    }
    // half open connections are nobody's business, their ends are
    sent(&mut ipvs, at(161), &tcp(3, SYN));
    for _ in 0..4 {
        sent(&mut ipvs, at(161), &tcp(3, SYN));
    }
    assert_eq!(told(&mut ipvs, at(164)), []);
    sent(&mut ipvs, at(165), &tcp(3, ACK));
    sent(&mut ipvs, at(165), &tcp(3, FIN));
    sent(&mut ipvs, at(165), &tcp(3, RST));
    assert_eq!(told(&mut ipvs, at(170)), [(167_000, 7, 3), (167_000, 6, 3)], "CLOSE_WAIT, CLOSE");
}

#[test]
fn records_wait_for_company_two_to_three_seconds() {
    for (came, left) in [(0, 2_000), (1, 3_000), (999, 3_000), (1_000, 3_000), (1_500, 4_000)] {
        let mut ipvs = master(Forwarding::Dr);
        for flags in [SYN, ACK, ACK] {
            sent(&mut ipvs, at_ms(came), &tcp(1, flags));
        }
        assert_eq!(told(&mut ipvs, at(60)), [(left, 1, 1)]);
    }
}

/// Establishes connections by these client ports, three packets each.
fn establish(ipvs: &mut Ipvs, now: Time, ports: core::ops::Range<u16>) {
    for port in ports {
        for flags in [SYN, ACK, ACK] {
            sent(ipvs, now, &tcp(port, flags));
        }
    }
}

#[test]
fn full_messages_leave_soon_and_many_of_them_at_once() {
    let sizes = |ipvs: &mut Ipvs, end| -> Vec<(u64, usize)> {
        messages(ipvs, end).iter().map(|(ms, m)| (*ms, m.bytes.len())).collect()
    };
    let full = 8 + 40 * 36;
    let mut ipvs = master(Forwarding::Dr);
    establish(&mut ipvs, at_ms(100), 1001..1041);
    assert_eq!(ipvs.next_deadline(), Some(at(3)), "40 records fit");
    establish(&mut ipvs, at_ms(200), 1041..1042);
    // the daemon slept again at 220 ms
    assert_eq!(sizes(&mut ipvs, at(60)), [(220, full), (2_220, 8 + 36)]);
    let mut ipvs = master(Forwarding::Dr);
    establish(&mut ipvs, at_ms(100), 1001..1322);
    assert_eq!(sizes(&mut ipvs, at_ms(100)), [(100, full); 8]);
    let mut ipvs = master(Forwarding::Dr);
    let mut sysctl = *ipvs.sysctl();
    sysctl.sync_qlen_max = 2;
    let mut book = AddressBook::new();
    ipvs.apply(at(0), &Command::SetSysctl(sysctl), &mut book).unwrap();
    establish(&mut ipvs, at_ms(100), 1001..1322);
    assert_eq!(sizes(&mut ipvs, at(2)), [(120, full); 2], "the others are lost");
    ipvs.apply(at(2), &Command::StopDaemon(DaemonRole::Master), &mut book).unwrap();
    assert_eq!(sizes(&mut ipvs, at(60)), []);
}

/// A persistent service with one real server.
fn persistent(role: DaemonRole) -> IpvsConfig {
    let mut web = service(WEB, vec![server(11, 80, Forwarding::Dr)]);
    web.persistent = Some(Span::from_secs(600));
    let daemons = vec![daemon(role, 1)];
    IpvsConfig { services: vec![web], daemons, ..IpvsConfig::default() }
}

#[test]
fn each_packet_of_a_persistent_client_tells_of_its_template() {
    let mut ipvs = build(&persistent(DaemonRole::Master));
    establish(&mut ipvs, at(0), 1..2);
    // template, template, connection and template; the first two ports are not known to a template
    assert_eq!(
        told(&mut ipvs, at(2)),
        [(2_000, 0, 0), (2_000, 1, 0), (2_000, 1, 1), (2_000, 1, 0)]
    );
    let mut config = persistent(DaemonRole::Master);
    config.sysctl.sync_persist_mode = true;
    config.sysctl.sync_refresh_period = Span::from_secs(20);
    let mut ipvs = build(&config);
    establish(&mut ipvs, at(0), 1..2);
    assert_eq!(told(&mut ipvs, at(2)), [(2_000, 0, 0)], "nothing of connections, nothing twice");
    // a template's timer starts with each connection, so its end has not moved for the packet
    sent(&mut ipvs, at(19), &tcp(1, ACK));
    assert_eq!(told(&mut ipvs, at(21)), []);
    sent(&mut ipvs, at(30), &tcp(1, ACK));
    assert_eq!(told(&mut ipvs, at(40)), [(32_000, 1, 0)]);
}

#[test]
fn a_refresh_is_repeated_at_an_eighth_of_the_period() {
    let mut config = config(Forwarding::Dr);
    config.daemons = vec![daemon(DaemonRole::Master, 1)];
    config.sysctl.sync_refresh_period = Span::from_secs(16);
    config.sysctl.sync_retries = 1;
    config.sysctl.sync_threshold = (0, 0);
    let mut ipvs = build(&config);
    let mut times = Vec::new();
    for n in 0..40 {
        times.extend(told(&mut ipvs, at(n)).iter().map(|t| t.0 / 1000 - 2));
        sent(&mut ipvs, at(n), &udp(1));
    }
    // the end moves with each packet: at 2 it is the retry, and counts as a message
    assert_eq!(times, [0, 2, 18, 20, 36]);
}

/// What a backup lists: state, destination's last byte, activity and time left.
fn learned(ipvs: &Ipvs, now: Time) -> Vec<(State, u8, bool, u64)> {
    let row = |c: &Connection| {
        let left = c.remaining(now).as_nanos() / 1_000_000_000;
        (c.state(), c.rip().0.0 as u8, c.is_active(), left)
    };
    ipvs.connections().map(|(_, c)| row(c)).collect()
}

fn receive(ipvs: &mut Ipvs, now: Time, bytes: &[u8]) {
    ipvs.receive_message(now, bytes, &mut AddressBook::new());
}

#[test]
fn a_backup_learns_connections_and_goes_on_with_them() {
    let mut one = master(Forwarding::Nat);
    let mut two = backup(Forwarding::Nat);
    establish(&mut one, at(0), 1..3);
    for (_, message) in messages(&mut one, at(3)) {
        receive(&mut two, at(3), &message.bytes);
    }
    let expected = [(State::Established, 12, true, 900), (State::Established, 11, true, 900)];
    assert_eq!(learned(&two, at(3)), expected);
    assert_eq!((web(&two, 11).active, web(&two, 12).active), (1, 1));
    assert_eq!(web(&two, 11).stats.connections, 0, "it did not schedule it");
    // takeover: the client is sent to the same server, and the answers are translated
    let to = sent(&mut two, at(4), &tcp(2, ACK));
    assert_eq!((to.rip, to.rport), (rip(11), 8080));
    let reply = answer(&tcp(2, ACK), &to, ACK);
    assert!(matches!(two.reply(at(4), &reply), crate::ipvs::ReplyVerdict::Translate { .. }));
    // the end of a connection
    sent(&mut one, at(5), &tcp(1, FIN));
    for (_, message) in messages(&mut one, at(8)) {
        receive(&mut two, at(8), &message.bytes);
    }
    assert_eq!(learned(&two, at(8))[0], (State::CloseWait, 12, false, 60));
    assert_eq!((web(&two, 12).active, web(&two, 12).inactive), (0, 1));
    pass(&mut two, at(1_000));
    assert_eq!(two.entries(), 0);
}

#[test]
fn a_backup_takes_over_templates() {
    let mut one = build(&persistent(DaemonRole::Master));
    let mut two = build(&persistent(DaemonRole::Backup));
    establish(&mut one, at(0), 1..2);
    for (_, message) in messages(&mut one, at(3)) {
        receive(&mut two, at(3), &message.bytes);
    }
    let states: Vec<State> = two.connections().map(|(_, c)| c.state()).collect();
    assert_eq!(states, [State::TemplateAssured, State::Established]);
    sent(&mut two, at(4), &tcp(77, SYN));
    assert_eq!(two.entries(), 3, "the template is used again");
}

#[test]
fn messages_of_another_syncid_or_length_are_ignored() {
    let mut two = backup(Forwarding::Dr);
    let mut bytes = recorded();
    bytes[1] = 2;
    receive(&mut two, at(0), &bytes);
    bytes[1] = 1;
    receive(&mut two, at(0), &bytes[..87 - 8]);
    assert_eq!(two.entries(), 0);
    let mut any = build(&IpvsConfig {
        daemons: vec![daemon(DaemonRole::Backup, 0)],
        ..config(Forwarding::Dr)
    });
    receive(&mut any, at(0), &bytes);
    assert_eq!(any.entries(), 1, "syncid 0 takes all");
    let mut none = director(Forwarding::Dr);
    receive(&mut none, at(0), &bytes);
    assert_eq!(none.entries(), 0, "no daemon");
}

#[test]
fn a_connection_without_a_destination_here_waits_for_one() {
    let mut two = backup(Forwarding::Dr);
    receive(&mut two, at(0), &recorded());
    assert_eq!(learned(&two, at(0)), [(State::FinWait, 101, false, 120)]);
    let slot = two.connections().next().unwrap().0;
    let destination = |two: &Ipvs| two.connection(slot).unwrap().destination();
    assert_eq!(destination(&two), DestinationId::NOBODY);
    let mut book = AddressBook::new();
    let add = Command::AddServer(WEB, server(101, 80, Forwarding::Nat));
    two.apply(at(1), &add, &mut book).unwrap();
    receive(&mut two, at(1), &recorded());
    assert_eq!(web(&two, 101).inactive, 1);
    assert_eq!(destination(&two), web(&two, 101).id);
    assert_eq!(two.connection(slot).unwrap().forwarding(), Forwarding::Nat, "that of the server");
    pass(&mut two, at(200));
    assert_eq!((two.entries(), web(&two, 101).inactive), (0, 0));
}

fn record(flags: u32, state: u16, host: u8) -> Record {
    Record {
        protocol: proto::TCP,
        flags,
        state,
        client: (v4(172, 16, 0, 10), 1),
        vip: (VIP_RULE, 80),
        rip: (rip_rule(host), 80),
        mark: 0,
        timeout: 0,
        call: None,
    }
}

fn message(version: Version, record: &Record) -> Vec<u8> {
    let (mut bytes, mut one) = (version.header(1), Vec::new());
    assert!(record.write(version, &mut one));
    version.append(&mut bytes, &one);
    bytes
}

#[test]
fn an_active_connection_to_another_server_replaces_the_old_one() {
    let mut two = backup(Forwarding::Dr);
    receive(&mut two, at(0), &message(Version::V0, &record(3, 1, 11)));
    assert_eq!(learned(&two, at(0)), [(State::Established, 11, true, 900)]);
    // the end of one that is gone
    receive(&mut two, at(1), &message(Version::V1, &record(3 | flags::INACTIVE, 4, 12)));
    assert_eq!(learned(&two, at(1)), [(State::Established, 11, true, 899)]);
    receive(&mut two, at(1), &message(Version::V1, &record(3, 1, 12)));
    pass(&mut two, at(1));
    assert_eq!(learned(&two, at(1)), [(State::Established, 12, true, 900)]);
    assert_eq!((web(&two, 11).active, web(&two, 12).active), (0, 1));
    // a state that TCP does not have
    receive(&mut two, at(1), &message(Version::V1, &record(3, 11, 11)));
    assert_eq!(two.entries(), 1);
}

#[test]
fn thresholds_of_synchronisation_have_to_make_sense() {
    let mut ipvs = director(Forwarding::Dr);
    let good = *ipvs.sysctl();
    for (wrong, name) in [
        (crate::config::IpvsSysctl { sync_threshold: (50, 50), ..good }, "sync_threshold"),
        (crate::config::IpvsSysctl { sync_version: 2, ..good }, "sync_version"),
        (crate::config::IpvsSysctl { sync_retries: 4, ..good }, "sync_retries"),
    ] {
        let refused = ipvs.apply(at(0), &Command::SetSysctl(wrong), &mut AddressBook::new());
        assert_eq!(refused, Err(crate::ipvs::IpvsError::Sysctl(name)));
    }
}
