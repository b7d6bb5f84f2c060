//! Services and settings out of the ordinary: one-packet scheduling, SCTP, defences, bypass, backup,
//! connection tracking, rates.

use super::*;
use crate::ipvs::rules::{Daemon, DaemonRole, TimeoutRule};
use crate::ipvs::{
    Command, Connection, DestinationId, DropReason, IcmpInVerdict, IcmpOutVerdict, IpvsError,
    ReplyVerdict, State, Stats,
};
use crate::wire::{Kind, icmp, sctp};

const SCTP: ServiceKey = ServiceKey::Address { protocol: proto::SCTP, vip: VIP_RULE, port: 80 };

fn edit(ipvs: &mut Ipvs, now: Time, command: &Command) {
    assert_eq!(ipvs.apply(now, command, &mut AddressBook::new()), Ok(()));
}

#[test]
fn one_packet_scheduling_schedules_every_datagram_and_remembers_none() {
    let mut config = config(Forwarding::Nat);
    config.services[1].one_packet = true;
    let mut ipvs = build(&config);
    let hosts = [0; 4].map(|_| sent(&mut ipvs, at(0), &udp(1)));
    assert_eq!(hosts.map(|to| to.rip), [rip(12), rip(11), rip(12), rip(11)]);
    assert!(hosts.iter().all(|to| to.connection == Slot::NONE && to.rport == 5353));
    assert_eq!((ipvs.entries(), ipvs.next_deadline()), (0, None));
    let seen: Vec<_> = ipvs.destinations().filter(|d| d.service == DNS).collect();
    assert!(seen.iter().all(|d| (d.active, d.inactive, d.stats.connections) == (0, 0, 2)));
    let reply = answer(&udp(1), &hosts[0], Flags::NONE);
    assert_eq!(ipvs.reply(at(0), &reply), ReplyVerdict::Pass, "nobody translates it back");
}

fn chunk(port: u16, first: u8) -> Packet {
    Packet { proto: proto::SCTP, flags: Flags(first), ..tcp(port, Flags::NONE) }
}

#[test]
fn an_association_lives_by_its_chunks() {
    let services = vec![service(SCTP, vec![server(11, 8080, Forwarding::Nat)])];
    let mut ipvs = build(&IpvsConfig { services, ..IpvsConfig::default() });
    let mut book = AddressBook::new();
    for first in [sctp::DATA, sctp::ABORT, sctp::COOKIE_ECHO] {
        assert_eq!(ipvs.request(at(0), &chunk(1, first), &mut book), Verdict::Accept);
    }
    let to = sent(&mut ipvs, at(0), &chunk(1, sctp::INIT));
    let slot = to.connection;
    let counts = |ipvs: &Ipvs| {
        let d = ipvs.destinations().next().expect("listed");
        (d.active, d.inactive)
    };
    assert_eq!((state(&ipvs, slot), counts(&ipvs)), (State::SctpInit1, (0, 1)));
    assert_eq!(ipvs.connection(slot).map(Connection::expires), Some(at(4)));
    ipvs.reply(at(0), &answer(&chunk(1, sctp::INIT), &to, Flags(sctp::INIT_ACK)));
    sent(&mut ipvs, at(0), &chunk(1, sctp::COOKIE_ECHO));
    ipvs.reply(at(0), &answer(&chunk(1, sctp::INIT), &to, Flags(sctp::COOKIE_ACK)));
    assert_eq!((state(&ipvs, slot), counts(&ipvs)), (State::SctpEstablished, (1, 0)));
    assert_eq!(ipvs.connection(slot).map(Connection::expires), Some(at(900)));
    let aborted = Packet { opt: sctp::ABORT, ..chunk(1, sctp::COOKIE_ACK) };
    sent(&mut ipvs, at(1), &aborted);
    assert_eq!((state(&ipvs, slot), counts(&ipvs)), (State::SctpClosed, (0, 1)));
    let again = sent(&mut ipvs, at(2), &chunk(1, sctp::INIT));
    assert_ne!(again.connection, slot, "an INIT begins anew");
    pass(&mut ipvs, at(6));
    assert_eq!(ipvs.entries(), 0);
}

#[test]
fn drop_packet_drops_the_first_and_then_every_nth_connection() {
    let mut ipvs = director(Forwarding::Dr);
    let mut sysctl = *ipvs.sysctl();
    (sysctl.drop_packet, sysctl.am_droprate) = (3, 4);
    edit(&mut ipvs, at_ms(300), &Command::SetSysctl(sysctl));
    let dropped = |ipvs: &mut Ipvs, ports: core::ops::Range<u16>| -> Vec<u16> {
        let mut gone = ports;
        let is_dropped = |port: &u16| {
            let verdict = ipvs.request(at(1), &tcp(*port, SYN), &mut AddressBook::new());
            verdict == Verdict::Drop(DropReason::Defence)
        };
        gone.by_ref().filter(is_dropped).collect()
    };
    assert_eq!(dropped(&mut ipvs, 1..5), [], "noticed at the next second");
    assert_eq!(ipvs.next_deadline(), Some(at(1)));
    pass(&mut ipvs, at(1));
    assert_eq!(dropped(&mut ipvs, 11..21), [11, 15, 19]);
    sent(&mut ipvs, at(1), &tcp(12, ACK));
    sysctl.drop_packet = 0;
    edit(&mut ipvs, at(1), &Command::SetSysctl(sysctl));
    pass(&mut ipvs, at(2));
    assert_eq!(dropped(&mut ipvs, 31..41), []);
}

#[test]
fn automatic_defences_act_while_memory_is_short() {
    let mut config = config(Forwarding::Dr);
    config.sysctl.drop_packet = 1;
    config.sysctl.secure_tcp = 2;
    config.sysctl.drop_entry = 1;
    let mut ipvs = build(&config);
    let modes = |ipvs: &Ipvs| {
        let s = ipvs.sysctl();
        [s.drop_packet, s.secure_tcp, s.drop_entry]
    };
    assert_eq!((modes(&ipvs), ipvs.next_deadline()), ([1, 1, 1], None), "2 says that it acts");
    let plain = sent(&mut ipvs, at(0), &tcp(1, SYN)).connection;
    assert_eq!(state(&ipvs, plain), State::SynRecv);
    ipvs.set_free_memory(at(0), 1024 - 512);
    pass(&mut ipvs, at(1));
    assert_eq!(modes(&ipvs), [2, 2, 2]);
    // 1024 / (1024 - 512): every second one
    let verdicts = [2, 3, 4, 5].map(|port| {
        let verdict = ipvs.request(at(1), &tcp(port, SYN), &mut AddressBook::new());
        verdict == Verdict::Drop(DropReason::Defence)
    });
    assert_eq!(verdicts.iter().filter(|&&dropped| dropped).count(), 2);
    let secured = ipvs.connections().last().map(|(_, c)| c.state());
    assert_eq!(secured, Some(State::SynAck));
    ipvs.set_free_memory(at(1), 1_000_000);
    pass(&mut ipvs, at(3));
    assert_eq!(modes(&ipvs), [1, 1, 1]);
    assert_ne!(ipvs.next_deadline(), Some(at(4)), "the clock stands still again");
}

#[test]
fn drop_entry_clears_a_flood_and_spares_what_is_used() {
    let mut config = config(Forwarding::Dr);
    config.sysctl.drop_entry = 3;
    config.timeouts = TimeoutRule { tcp: Some(Span::from_secs(600)), ..TimeoutRule::default() };
    let mut ipvs = build(&config);
    pass(&mut ipvs, at(1));
    for port in 1_001..=3_000 {
        sent(&mut ipvs, at(1), &tcp(port, SYN));
    }
    for port in 1_001..=1_100 {
        sent(&mut ipvs, at(1), &tcp(port, ACK));
    }
    pass(&mut ipvs, at(40));
    let half_open = ipvs.connections().filter(|(_, c)| c.state() == State::SynRecv).count();
    // a bucket is missed 39 times with probability (1 - 1/4096)^(39 * 128) = 0.296
    assert!((400..750).contains(&half_open), "{half_open} of 1900");
    let established =
        |ipvs: &Ipvs| ipvs.connections().filter(|(_, c)| c.state() == State::Established).count();
    assert_eq!(established(&ipvs), 100, "not idle for a minute yet");
    pass(&mut ipvs, at(130));
    // looked at 69 * 128 / 4096 = 2.2 times; of those with two packets every second one goes then:
    // exp(-1.1) = 0.34 are left
    assert!((20..50).contains(&established(&ipvs)), "{}", established(&ipvs));
    let mut sysctl = *ipvs.sysctl();
    sysctl.drop_entry = 0;
    edit(&mut ipvs, at(130), &Command::SetSysctl(sysctl));
    pass(&mut ipvs, at(132));
    assert_eq!(ipvs.next_deadline(), Some(at(601)), "the defence has ended");
}

#[test]
fn cache_bypass_sends_on_what_no_cache_can_take() {
    let mark = ServiceKey::Fwmark { mark: 1, v6: false };
    let mut config = IpvsConfig { services: vec![service(mark, vec![])], ..IpvsConfig::default() };
    config.sysctl.cache_bypass = true;
    let mut ipvs = build(&config);
    let mut book = AddressBook::new();
    ipvs.set_local_addresses([VIP_RULE], &mut book);
    let away = Packet { mark: 1, dst: Ip::new(10, 9, 9, 9), ..tcp(1, SYN) };
    let to = sent(&mut ipvs, at(0), &away);
    assert_eq!((to.forwarding, to.destination), (Forwarding::Bypass, DestinationId::NOBODY));
    sent(&mut ipvs, at(0), &Packet { flags: ACK, ..away });
    assert_eq!(state(&ipvs, to.connection), State::Established);
    let own = Packet { dst: VIP, ..away };
    assert_eq!(ipvs.request(at(0), &own, &mut book), Verdict::Unreachable, "an own address");
    let group = Packet { dst: Ip::new(224, 0, 0, 5), ..away };
    assert_eq!(ipvs.request(at(0), &group, &mut book), Verdict::Unreachable);
    assert_eq!(ipvs.totals(), Stats::default(), "counted by nobody");
    pass(&mut ipvs, at(900));
    assert_eq!(ipvs.entries(), 0);
}

#[test]
fn only_a_backup_leaves_packets_alone() {
    let mut config = config(Forwarding::Dr);
    config.sysctl.backup_only = true;
    let mut ipvs = build(&config);
    let daemon = |role| Daemon {
        role,
        interface: "eth0".to_owned(),
        syncid: 1,
        group: None,
        port: None,
        ttl: None,
        maxlen: None,
    };
    let (master, backup) = (DaemonRole::Master, DaemonRole::Backup);
    let mut book = AddressBook::new();
    let mut taken =
        |ipvs: &mut Ipvs| ipvs.request(at(0), &tcp(1, SYN), &mut book) != Verdict::Accept;
    assert!(taken(&mut ipvs));
    edit(&mut ipvs, at(0), &Command::StartDaemon(daemon(backup)));
    assert!(!taken(&mut ipvs), "not even a known connection");
    edit(&mut ipvs, at(0), &Command::StartDaemon(daemon(master)));
    assert!(taken(&mut ipvs));
    assert_eq!(ipvs.daemons().map(|d| d.role).collect::<Vec<_>>(), [master, backup]);
    let mut apply = |command| ipvs.apply(at(0), &command, &mut AddressBook::new());
    let again = apply(Command::StartDaemon(daemon(master))).unwrap_err();
    let start = Command::StartDaemon(daemon(master));
    assert_eq!((again.errno(), again.ipvsadm(&start)), (Some("EEXIST"), "Daemon has already run"));
    assert_eq!(apply(Command::StopDaemon(master)), Ok(()));
    let gone = apply(Command::StopDaemon(master)).unwrap_err();
    assert_eq!((gone, gone.errno()), (IpvsError::NoDaemon(master), Some("ESRCH")));
    assert_eq!(gone.ipvsadm(&Command::StopDaemon(master)), "No daemon is running");
}

#[test]
fn with_connection_tracking_a_new_syn_has_to_be_sent_twice() {
    let mut config = config(Forwarding::Nat);
    config.sysctl.conntrack = true;
    let mut ipvs = build(&config);
    let first = sent(&mut ipvs, at(0), &tcp(1, SYN));
    sent(&mut ipvs, at(0), &tcp(1, FIN));
    assert_eq!(state(&ipvs, first.connection), State::TimeWait);
    let dropped = Verdict::Drop(DropReason::OldConntrack);
    assert_eq!(ipvs.request(at(1), &tcp(1, SYN), &mut AddressBook::new()), dropped);
    pass(&mut ipvs, at(1));
    assert_eq!(ipvs.entries(), 0);
    assert_ne!(sent(&mut ipvs, at(4), &tcp(1, SYN)).rip, first.rip);
}

#[test]
fn a_real_server_is_told_that_nobody_knows_its_client_if_asked() {
    for asked in [false, true] {
        let mut config = config(Forwarding::Nat);
        config.sysctl.nat_icmp_send = asked;
        let mut ipvs = build(&config);
        let mut stray = Packet::ipv4(rip(11), CLIENT, proto::TCP, 40);
        (stray.sport, stray.dport, stray.flags) = (8080, 1, ACK);
        let told = if asked { ReplyVerdict::Unreachable } else { ReplyVerdict::Pass };
        assert_eq!(ipvs.reply(at(0), &stray), told);
        for other in [
            Packet { flags: RST, ..stray },
            Packet { sport: 8081, ..stray },
            Packet { src: rip(99), ..stray },
            Packet { proto: proto::UDP, ..stray },
        ] {
            assert_eq!(ipvs.reply(at(0), &other), ReplyVerdict::Pass);
        }
    }
}

#[test]
fn an_icmp_error_of_an_unknown_connection_is_scheduled_if_asked() {
    for asked in [false, true] {
        let mut config = config(Forwarding::Dr);
        config.sysctl.schedule_icmp = asked;
        let mut ipvs = build(&config);
        let mut error = Packet::ipv4(Ip::new(10, 1, 1, 1), VIP, proto::ICMP, 56);
        (error.sport, error.dport) = (u16::from(icmp::UNREACHABLE), u16::from(icmp::FRAG_NEEDED));
        let mut quoted = Packet::ipv4(VIP, CLIENT, proto::TCP, 1500);
        (quoted.sport, quoted.dport, quoted.flags) = (80, 40_000, ACK);
        let mut book = AddressBook::new();
        match ipvs.icmp_in(at(0), &error, &quoted, &mut book) {
            IcmpInVerdict::Accept => assert!(!asked),
            IcmpInVerdict::Transmit { transmit, .. } => {
                assert!(asked);
                assert_eq!(
                    (transmit.rip, state(&ipvs, transmit.connection)),
                    (rip(12), State::None)
                );
                assert_eq!(
                    sent(&mut ipvs, at(1), &tcp(40_000, ACK)).rip,
                    rip(12),
                    "it is there now"
                );
            }
            other @ IcmpInVerdict::Drop(_) => panic!("{other:?}"),
        }
        let nobody = Packet { sport: 81, ..quoted };
        assert_eq!(ipvs.icmp_in(at(0), &error, &nobody, &mut book), IcmpInVerdict::Accept);
        for host in [11, 12] {
            edit(&mut ipvs, at(2), &Command::DeleteServer(WEB, rip_rule(host), 80));
        }
        let unknown = Packet { dport: 1, ..quoted };
        let verdict = ipvs.icmp_in(at(2), &error, &unknown, &mut book);
        let none = IcmpInVerdict::Drop(DropReason::NoDestination);
        assert_eq!(verdict, if asked { none } else { IcmpInVerdict::Accept });
    }
}

#[test]
fn an_icmpv6_error_of_a_real_server_is_lost() {
    let vip: IpAddr = "fd00:1::100".parse().unwrap();
    let key = ServiceKey::Address { protocol: proto::UDP, vip, port: 53 };
    let rs = ServerRule {
        forwarding: Forwarding::Nat,
        ..ServerRule::new("fd00:10::1".parse().unwrap(), 53)
    };
    let config = IpvsConfig { services: vec![service(key, vec![rs])], ..IpvsConfig::default() };
    let mut book = AddressBook::new();
    let mut ipvs = Ipvs::new(&config, Stream::new(1, "d", "ipvs"), &mut book).expect("good rules");
    let client = book.number("fd00:7::1".parse().unwrap());
    let mut query = Packet { kind: Kind::Ipv6, src: client, dst: book.number(vip), ..udp(1) };
    let Verdict::Transmit(to) = ipvs.request(at(0), &query, &mut book) else { panic!("sent") };
    let mut error = Packet { kind: Kind::Ipv6, ..Packet::ipv4(to.rip, client, proto::ICMPV6, 100) };
    error.sport = 1;
    (query.dst, query.dport) = (to.rip, to.rport);
    let lost = IcmpOutVerdict::Drop(DropReason::Checksum);
    assert_eq!(ipvs.icmp_out(at(0), &error, &query), lost);
    error.sport = 128;
    assert_eq!(ipvs.icmp_out(at(0), &error, &query), IcmpOutVerdict::Pass, "an echo request");
    // of another method it is only counted
    let rs = ServerRule {
        forwarding: Forwarding::Dr,
        ..ServerRule::new("fd00:10::1".parse().unwrap(), 53)
    };
    let config = IpvsConfig { services: vec![service(key, vec![rs])], ..IpvsConfig::default() };
    let mut ipvs = Ipvs::new(&config, Stream::new(1, "d", "ipvs"), &mut book).expect("good rules");
    query.dst = book.number(vip);
    let Verdict::Transmit(_) = ipvs.request(at(0), &query, &mut book) else { panic!("sent") };
    error.sport = 1;
    let counted = ipvs.icmp_out(at(0), &error, &query);
    assert!(matches!(counted, IcmpOutVerdict::Counted { .. }), "{counted:?}");
}

#[test]
fn rates_follow_the_traffic_and_zero_begins_anew() {
    let mut ipvs = director(Forwarding::Dr);
    for second in 0..20 {
        for port in 0..10 {
            sent(&mut ipvs, at(second), &tcp(1000 + second as u16 * 10 + port, SYN));
        }
    }
    ipvs.estimate(at(20));
    let rates = |ipvs: &Ipvs| {
        let service = ipvs.services().next().expect("listed");
        (service.rates.connections, web(ipvs, 12).rates.connections, web(ipvs, 12).rates.bytes_in)
    };
    // 10 a second for 10 estimates: 10 (1 - 0.75^10)
    assert_eq!(rates(&ipvs), (9, 5, 245));
    assert_eq!(ipvs.totals_shown().1.packets_in, 9);
    ipvs.estimate(at(22));
    assert_eq!(rates(&ipvs), (7, 4, 184), "three quarters of it after a silence");
    edit(&mut ipvs, at(22), &Command::Zero(Some(WEB)));
    assert_eq!(rates(&ipvs), (0, 0, 0));
    assert_eq!((web(&ipvs, 12).stats, web(&ipvs, 12).total.connections), (Stats::default(), 100));
    assert_eq!(ipvs.totals_shown().0.connections, 200, "the sum of all is another counter");
    sent(&mut ipvs, at(23), &tcp(5_000, SYN));
    let counted: u64 = ipvs.services().map(|s| s.stats.connections).sum();
    assert_eq!(counted, 1);
    edit(&mut ipvs, at(23), &Command::Zero(None));
    assert_eq!(ipvs.totals_shown().0, Stats::default());
    assert_eq!(ipvs.totals().connections, 201);
    let nobody = ServiceKey::Fwmark { mark: 9, v6: false };
    let error = ipvs.apply(at(23), &Command::Zero(Some(nobody)), &mut AddressBook::new());
    assert_eq!(error, Err(IpvsError::NoService(nobody)));
}

#[test]
fn rates_stand_still_without_estimation() {
    let mut config = config(Forwarding::Dr);
    config.sysctl.run_estimation = false;
    let mut ipvs = build(&config);
    for second in 0..20 {
        sent(&mut ipvs, at(second), &tcp(1000 + second as u16, SYN));
    }
    ipvs.estimate(at(20));
    assert_eq!(ipvs.totals_shown().1, Stats::default());
    assert_eq!(ipvs.totals_shown().0.connections, 20);
}

#[test]
fn connections_are_listed_by_bucket_and_the_newest_first() {
    let mut ipvs = director(Forwarding::Dr);
    for port in 1_001..=1_500 {
        sent(&mut ipvs, at(0), &tcp(port, SYN));
        // the same client port to the other service is in another bucket, by its protocol
        sent(&mut ipvs, at(0), &udp(port));
    }
    let list = ipvs.connection_list(at(7), &AddressBook::new());
    assert_eq!(list.len(), 1000);
    assert_eq!(list, ipvs.connection_list(at(7), &AddressBook::new()));
    let in_time = ipvs.connections().map(|(_, c)| c.client().1);
    assert!(!list.iter().map(|c| c.client.1).eq(in_time), "not the order of their beginning");
    // Two entries of one tuple share a bucket: the younger one comes first.
    sent(&mut ipvs, at(7), &tcp(1_007, ACK));
    sent(&mut ipvs, at(7), &tcp(1_007, RST));
    sent(&mut ipvs, at(7), &tcp(1_007, SYN));
    let list = ipvs.connection_list(at(7), &AddressBook::new());
    let same: Vec<_> = list.iter().filter(|c| c.client.1 == 1_007 && c.protocol == 6).collect();
    assert_eq!(same.iter().map(|c| c.state).collect::<Vec<_>>(), ["SYN_RECV", "CLOSE"]);
    assert_eq!((same[0].left, same[1].left), (Span::from_secs(60), Span::ZERO));
}

#[test]
fn a_packet_is_for_the_mark_then_the_port_then_all_ports() {
    let any = ServiceKey::Address { protocol: proto::TCP, vip: VIP_RULE, port: 0 };
    let mark = ServiceKey::Fwmark { mark: 3, v6: false };
    let of = |key, host| service(key, vec![server(host, 0, Forwarding::Nat)]);
    let persistent = Some(Span::from_secs(300));
    let services = vec![
        ServiceRule { persistent, ..of(any, 11) },
        of(mark, 12),
        service(WEB, vec![server(13, 80, Forwarding::Nat)]),
    ];
    let mut ipvs = build(&IpvsConfig { services, ..IpvsConfig::default() });
    let to = |ipvs: &mut Ipvs, pkt: Packet| sent(ipvs, at(0), &pkt).rip;
    assert_eq!(to(&mut ipvs, Packet { mark: 3, ..tcp(1, SYN) }), rip(12));
    assert_eq!(to(&mut ipvs, Packet { mark: 4, ..tcp(2, SYN) }), rip(13));
    assert_eq!(to(&mut ipvs, Packet { dport: 8081, ..tcp(3, SYN) }), rip(11));
    assert_eq!(to(&mut ipvs, Packet { mark: 3, dport: 99, dst: rip(9), ..tcp(4, SYN) }), rip(12));
}
