//! Properties that hold whatever packets, operators and time do.

use super::*;
use crate::config::IpvsSysctl;
use crate::ipvs::forwarding::Wrapping;
use crate::ipvs::rules::{Daemon, DaemonRole, TunnelOptions};
use crate::ipvs::{Command, Connection, DestinationId, ReplyVerdict};
use crate::wire::Kind;
use proptest::prelude::*;

const SCTP: ServiceKey = ServiceKey::Address { protocol: proto::SCTP, vip: VIP_RULE, port: 80 };
const FTP: ServiceKey = ServiceKey::Address { protocol: proto::TCP, vip: VIP_RULE, port: 21 };
const MOVED: ServiceKey = ServiceKey::Address { protocol: proto::TCP, vip: VIP_RULE, port: 8000 };
const MARK: ServiceKey = ServiceKey::Fwmark { mark: 5, v6: false };
const MARK_V6: ServiceKey = ServiceKey::Fwmark { mark: 5, v6: true };
const KEYS: [ServiceKey; 7] = [WEB, DNS, SCTP, FTP, MOVED, MARK, MARK_V6];

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A packet from one of few clients, to a service or next to one.
    Request(Packet),
    /// The real server answers the last request that was sent on.
    Reply(u8),
    /// An error about the last request or reply.
    Error(bool),
    /// A line on an FTP control connection, of the client or of the server.
    Line(bool, &'static str),
    /// An operator.
    Command(Command),
    /// Milliseconds.
    Pass(u64),
}

/// The number of an IPv6 address that the test knows: 0 to 3 clients, 4 and more servers.
fn v6(number: u16) -> IpAddr {
    IpAddr::V6(core::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number))
}

fn book() -> AddressBook {
    let mut book = AddressBook::new();
    for number in 0..8 {
        book.number(v6(number));
    }
    book
}

fn packet() -> impl Strategy<Value = Packet> {
    (0..4_u8, 0..4_u16, any::<u8>(), 0..32_u8).prop_map(|(host, port, flags, target)| {
        let mut pkt = if target < 4 { udp(1000 + port) } else { tcp(1000 + port, Flags(flags)) };
        pkt.src = Ip::new(172, 16, 0, host);
        match target {
            17 => pkt.dport = 81,
            18 => pkt.dst = rip(100),
            19 => pkt.frag = Packet::MF,
            20..22 => (pkt.proto, pkt.flags) = (proto::SCTP, Flags(flags % 16)),
            22 => pkt.dport = 21,
            23 => pkt.dport = 5000,
            24..27 => pkt.dport = 8000,
            27..29 => pkt.mark = 5,
            29..32 => {
                let mut book = book();
                (pkt.kind, pkt.mark) = (Kind::Ipv6, 5);
                pkt.src = book.number(v6(u16::from(host)));
                pkt.dst = book.number(v6(7));
            }
            _ => {}
        }
        pkt
    })
}

/// A real server of a service that can be sent to by its method.
fn real_server(key: ServiceKey, host: u8, method: Forwarding) -> ServerRule {
    match key {
        MARK_V6 => {
            let forwarding = if method == Forwarding::FullNat { Forwarding::Nat } else { method };
            ServerRule { forwarding, ..ServerRule::new(v6(u16::from(host % 3) + 4), 0) }
        }
        MARK => server(host, 0, method),
        ServiceKey::Address { port, .. } => server(host, port, method),
        ServiceKey::Fwmark { .. } => server(host, 0, Forwarding::Dr),
    }
}

fn method() -> impl Strategy<Value = Forwarding> {
    prop_oneof![
        3 => Just(Forwarding::Nat),
        2 => Just(Forwarding::Dr),
        1 => Just(Forwarding::Tun),
        1 => Just(Forwarding::FullNat),
    ]
}

/// A service with all that an administrator may ask of it.
fn rule() -> impl Strategy<Value = ServiceRule> {
    let scheduler = prop::sample::select(&Algorithm::ALL[..]);
    let persistent = prop_oneof![Just(None), (1..400_u64).prop_map(|s| Some(Span::from_secs(s)))];
    let key = prop::sample::select(&KEYS[..]);
    (key, scheduler, persistent, any::<bool>(), 20..33_u8).prop_map(
        |(key, scheduler, persistent, one_packet, netmask_len)| ServiceRule {
            scheduler,
            persistent,
            one_packet: one_packet && matches!(key, DNS | MARK | MARK_V6),
            netmask_len,
            local_addresses: vec![rip_rule(101), rip_rule(102)],
            ..ServiceRule::new(key)
        },
    )
}

fn sysctl() -> impl Strategy<Value = IpvsSysctl> {
    (any::<[bool; 8]>(), 0..4_u8, any::<[bool; 3]>()).prop_map(|(flags, mode, defence)| {
        let [nodest, quiescent, sloppy, sloppy_sctp, icmp, told, tracked, backup] = flags;
        IpvsSysctl {
            conn_reuse_mode: mode,
            expire_nodest_conn: nodest,
            expire_quiescent_template: quiescent,
            sloppy_tcp: sloppy,
            sloppy_sctp,
            schedule_icmp: icmp,
            nat_icmp_send: told,
            conntrack: tracked,
            backup_only: backup,
            drop_entry: 3 * u8::from(defence[0]),
            drop_packet: 3 * u8::from(defence[1]),
            secure_tcp: 3 * u8::from(defence[2]),
            ..IpvsSysctl::default()
        }
    })
}

fn command() -> impl Strategy<Value = Command> {
    let host = (11..14_u8, method(), 0..3_u16, 0..4_u32);
    (0..16_u8, rule(), host, sysctl()).prop_map(|(what, rule, host, sysctl)| {
        let (host, method, weight, upper_threshold) = host;
        let key = rule.key;
        let server = ServerRule { weight, upper_threshold, ..real_server(key, host, method) };
        match what {
            0..5 => Command::AddServer(key, server),
            5..7 => Command::EditServer(key, server),
            7..10 => Command::DeleteServer(key, server.rip, server.port),
            10 => Command::AddService(ServiceRule { servers: vec![server], ..rule }),
            11 => Command::EditService(rule),
            12 => Command::DeleteService(key),
            13 => Command::Zero((weight > 0).then_some(key)),
            14 if weight == 0 => Command::StopDaemon(DaemonRole::Backup),
            14 => Command::StartDaemon(Daemon {
                role: DaemonRole::Backup,
                interface: String::new(),
                syncid: 0,
                group: None,
                port: None,
                ttl: None,
                maxlen: None,
            }),
            _ => Command::SetSysctl(sysctl),
        }
    })
}

fn line() -> impl Strategy<Value = Step> {
    prop::sample::select(
        &[
            (true, "PASV"),
            (true, "PORT 172,16,0,1,3,232"),
            (false, "227 Entering Passive Mode (192,168,10,11,19,136)"),
        ][..],
    )
    .prop_map(|(client, text)| Step::Line(client, text))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => packet().prop_map(Step::Request),
        5 => any::<u8>().prop_map(Step::Reply),
        1 => any::<bool>().prop_map(Step::Error),
        1 => line(),
        3 => command().prop_map(Step::Command),
        2 => prop_oneof![0..20_u64, 0..200_000_u64].prop_map(Step::Pass),
    ]
}

/// What every moment must hold.
fn consistent(ipvs: &Ipvs, now: Time) {
    for listed in ipvs.destinations() {
        let mine = || ipvs.connections().filter(|(_, c)| c.destination() == listed.id);
        let templates = mine().filter(|(_, c)| c.is_template()).count();
        let active = mine().filter(|(_, c)| c.state().is_active()).count();
        assert_eq!(listed.active as usize, active, "{listed:?}");
        let all = listed.active + listed.inactive + listed.persistent;
        assert_eq!((listed.persistent as usize, all as usize), (templates, mine().count()));
    }
    let entries = ipvs.connections().count();
    assert_eq!(ipvs.entries() as usize, entries);
    assert!(ipvs.entries_max() >= ipvs.entries());
    let next = ipvs.next_deadline().unwrap_or(Time::NEVER);
    for (slot, entry) in ipvs.connections() {
        if !entry.is_template() && entry.destination() != DestinationId::NOBODY {
            assert_eq!(entry.is_active(), entry.state().is_active());
        }
        let held = ipvs.connections().filter(|(_, c)| c.controller() == Some(slot)).count();
        assert_eq!(entry.controls() as usize, held, "{entry:?}");
        assert!(next <= entry.expires(), "a deadline would be missed");
        assert!(entry.expires() >= now || next <= now, "{slot:?} should be gone");
    }
    let sum: u64 = ipvs.services().map(|s| s.stats.packets_in).sum();
    assert!(sum <= ipvs.totals().packets_in);
}

struct World {
    ipvs: Ipvs,
    book: AddressBook,
    now: Time,
    last: Option<(Packet, Transmit)>,
    sent: u64,
}

impl World {
    fn play(&mut self, step: Step) {
        match step {
            Step::Request(pkt) => self.request(&pkt),
            Step::Reply(flags) => self.reply(flags),
            Step::Error(about_request) => self.error(about_request),
            Step::Line(client, text) => {
                let Some((_, to)) = self.last else { return };
                if client {
                    self.ipvs.ftp_client(self.now, to.connection, text, &mut self.book);
                } else {
                    self.ipvs.ftp_server(self.now, to.connection, text, &mut self.book);
                }
            }
            Step::Command(command) => {
                // what the kernel refuses changes nothing
                let _refused = self.ipvs.apply(self.now, &command, &mut self.book).is_err();
            }
            Step::Pass(ms) => {
                self.now += Span::from_millis(ms);
                pass(&mut self.ipvs, self.now);
            }
        }
    }

    fn request(&mut self, pkt: &Packet) {
        let home = self.home(pkt);
        let Verdict::Transmit(to) = self.ipvs.request(self.now, pkt, &mut self.book) else {
            return;
        };
        if let Some(home) = home {
            assert_eq!(to.rip, home, "a persistent client stays where it is");
        }
        self.sent += 1;
        self.last = Some((*pkt, to));
        if to.connection != Slot::NONE {
            self.found_both_ways(pkt, &to);
        }
    }

    /// Where the template of a client says that a new connection to the web service goes.
    fn home(&self, pkt: &Packet) -> Option<Ip> {
        let persistent = |s: &crate::ipvs::ServiceEntry| s.key == WEB && s.persistent.is_some();
        let service = self.ipvs.services().find(persistent)?;
        let new = self.ipvs.table.find_request(crate::ipvs::Tuple::of(pkt)).is_none();
        let to_web = pkt.kind == Kind::Ipv4
            && (pkt.proto, pkt.dst, pkt.dport, pkt.mark) == (proto::TCP, VIP, 80, 0);
        let net = crate::wire::Prefix::new(pkt.src, service.netmask_len).addr;
        let mine = |c: &Connection| {
            c.is_template()
                && (c.protocol(), c.client(), c.vip()) == (proto::TCP, (net, 0), (VIP, 80))
        };
        let (slot, template) = self.ipvs.connections().find(|(_, c)| mine(c))?;
        (new && to_web && self.ipvs.is_valid(slot)).then(|| template.rip().0)
    }

    /// The connection of a packet that was sent on is found by the reply as well, and by nothing
    /// else than its own addresses.
    fn found_both_ways(&self, pkt: &Packet, to: &Transmit) {
        let entry = self.ipvs.connection(to.connection).expect("lives");
        assert_eq!((entry.client(), entry.vip()), ((pkt.src, pkt.sport), (pkt.dst, pkt.dport)));
        assert_eq!(entry.rip(), (to.rip, to.rport));
        let tuple = entry.reply_tuple();
        let found = self.ipvs.table.find_reply(tuple).expect("no reply is lost");
        assert_eq!(self.ipvs.connection(found).expect("lives").reply_tuple(), tuple);
    }

    fn reply(&mut self, flags: u8) {
        let Some((request, to)) = self.last else { return };
        let lives = |entry: &&Connection| {
            (entry.client(), entry.vip())
                == ((request.src, request.sport), (request.dst, request.dport))
                && (entry.rip(), entry.forwarding()) == ((to.rip, to.rport), to.forwarding)
        };
        let entry = self.ipvs.connection(to.connection).filter(lives).copied();
        let mut back = Packet { kind: request.kind, ..answer(&request, &to, Flags(flags)) };
        if to.forwarding == Forwarding::FullNat {
            let Some(entry) = entry else { return };
            (back.src, back.sport) = entry.rip();
            (back.dst, back.dport) = entry.local();
            let hooked = self.ipvs.is_hooked(back.kind, false);
            let verdict = self.ipvs.request(self.now, &back, &mut self.book);
            if let Verdict::Answer { connection } = verdict {
                self.ipvs.rewrite_reply(connection, &mut back);
                assert_eq!((back.dst, back.dport), (request.src, request.sport));
            } else {
                assert!(!hooked, "{verdict:?} for {back:?}");
            }
            return;
        }
        let hooked = self.ipvs.is_hooked(back.kind, true);
        let verdict = self.ipvs.reply(self.now, &back);
        if entry.is_some() && hooked && to.forwarding == Forwarding::Nat {
            let ReplyVerdict::Translate { vip, vport, .. } = verdict else {
                panic!("{verdict:?}: no reply is lost")
            };
            let known = self.ipvs.connections().any(|(_, c)| c.vip() == (vip, vport));
            assert!(known, "the source is the virtual service");
        }
    }

    fn error(&mut self, about_request: bool) {
        let Some((request, to)) = self.last else { return };
        let mut outer = Packet::ipv4(Ip(1), VIP, proto::ICMP, 56);
        outer.sport = 3;
        if about_request {
            self.ipvs.icmp_out(self.now, &outer, &request);
            let tunnel = Packet::ipv4(VIP, to.rip, proto::IPIP, 80);
            self.ipvs.icmp_tunnel(&outer, &tunnel, &request);
        } else {
            let reply = Packet { dst: request.src, dport: request.sport, ..request };
            let quoted = Packet { src: VIP, sport: request.dport, ..reply };
            self.ipvs.icmp_in(self.now, &outer, &quoted, &mut self.book);
        }
    }
}

/// All services, with servers of every method.
fn everything() -> IpvsConfig {
    let mut config = config(Forwarding::Nat);
    for rule in &mut config.services {
        rule.local_addresses = vec![rip_rule(101)];
    }
    config.services[0].servers.push(server(13, 80, Forwarding::Dr));
    config.services[1].servers.push(server(13, 53, Forwarding::Tun));
    for (key, method) in [
        (SCTP, Forwarding::Nat),
        (FTP, Forwarding::Nat),
        (MOVED, Forwarding::FullNat),
        (MARK, Forwarding::Dr),
        (MARK_V6, Forwarding::Nat),
    ] {
        let servers = [11, 12].map(|host| real_server(key, host, method)).to_vec();
        let mut rule = service(key, servers);
        rule.local_addresses = if key == MARK_V6 {
            vec!["fd00::65".parse().unwrap(), "fd00::66".parse().unwrap()]
        } else {
            vec![rip_rule(101), rip_rule(102)]
        };
        config.services.push(rule);
    }
    config
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let addresses = (any::<u32>(), any::<u32>(), any::<u16>(), any::<u16>());
    let rest = (any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>(), any::<u16>(), any::<u16>());
    (addresses, rest, any::<u32>()).prop_map(|((src, dst, sport, dport), rest, seq)| {
        let (protocol, ttl, tos, flags, frag, len) = rest;
        let protocol =
            [proto::TCP, proto::UDP, proto::ICMP, proto::IPIP, protocol][usize::from(protocol % 5)];
        let mut pkt = Packet::ipv4(Ip(src), Ip(dst), protocol, len);
        (pkt.sport, pkt.dport, pkt.seq) = (sport, dport, seq);
        (pkt.ttl, pkt.tos, pkt.flags) = (ttl, tos, Flags(flags));
        pkt.frag = if frag % 4 == 0 { frag } else { 0 };
        if seq % 2 == 0 {
            (pkt.dst, pkt.dport) = (VIP, [80, 53][usize::from(ttl % 2)]);
        }
        pkt
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn counters_equal_the_table_and_time_empties_it(
        steps in prop::collection::vec(step(), 1..250),
        sysctl in sysctl(),
        persistent in prop::option::of(1..400_u64),
    ) {
        let mut config = everything();
        config.sysctl = sysctl;
        config.services[0].persistent = persistent.map(Span::from_secs);
        let mut book = book();
        let random = Stream::new(1, "director", "ipvs");
        let ipvs = Ipvs::new(&config, random, &mut book).expect("good rules");
        let mut world = World { ipvs, book, now: at(0), last: None, sent: 0 };
        for step in steps {
            world.play(step);
            consistent(&world.ipvs, world.now);
        }
        let World { mut ipvs, mut book, now, sent, .. } = world;
        prop_assert!(ipvs.totals().packets_in >= sent);
        // Without traffic everything ends: the last connection, its template a minute later; then what
        // was deleted is forgotten. Two schedulers have a clock that never stops.
        let calm = Command::SetSysctl(IpvsSysctl::default());
        prop_assert_eq!(ipvs.apply(now, &calm, &mut book), Ok(()));
        pass(&mut ipvs, now + Span::from_secs(2_000));
        prop_assert_eq!(ipvs.entries(), 0);
        consistent(&ipvs, now + Span::from_secs(2_000));
        pass(&mut ipvs, now + Span::from_secs(2_000 + 240));
        let clocks = |s: &crate::ipvs::ServiceEntry| {
            matches!(s.scheduler, Some(Algorithm::Lblc | Algorithm::Lblcr))
        };
        let idle = ipvs.services().any(|s| clocks(&s)) || ipvs.next_deadline().is_none();
        prop_assert!(idle, "an idle director has nothing to do");
    }

    #[test]
    fn no_packet_is_a_surprise(packets in prop::collection::vec((any_packet(), any_packet(), 0..4_u8), 1..60)) {
        let mut ipvs = director(Forwarding::Tun);
        for (i, (a, b, call)) in packets.into_iter().enumerate() {
            let now = at(i as u64);
            match call {
                0 => drop(ipvs.request(now, &a, &mut AddressBook::new())),
                1 => drop(ipvs.reply(now, &a)),
                2 => drop((ipvs.icmp_in(now, &a, &b, &mut AddressBook::new()), ipvs.icmp_out(now, &a, &b))),
                _ => drop(ipvs.icmp_tunnel(&a, &b, &a)),
            }
            for tunnel in [None, Some(Wrapping::ipip(Ip(2)))] {
                let mut copy = a;
                if crate::ipvs::forwarding::check(&mut copy, a.mss.max(b.len), tunnel, true).is_ok() {
                    let outer = crate::ipvs::forwarding::tun(
                        &copy, b.body, (Ip(1), Ip(2)), TunnelOptions::default(), true, 3,
                    );
                    prop_assert_eq!(outer.ttl, a.ttl - 1);
                }
            }
            consistent(&ipvs, now);
            ipvs.on_deadline(now);
        }
    }
}
