//! Properties that hold whatever packets, operators and time do.

use super::*;
use crate::ipvs::Command;
use crate::ipvs::forwarding::Wrapping;
use crate::ipvs::rules::TunnelOptions;
use proptest::prelude::*;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A packet from one of few clients, to a service or next to one.
    Request(Packet),
    /// The real server answers the last request that was sent on.
    Reply(u8),
    /// An error about the last request or reply.
    Error(bool),
    /// An operator.
    Command(Command),
    /// Milliseconds.
    Pass(u64),
}

fn packet() -> impl Strategy<Value = Packet> {
    (0..4_u8, 0..4_u16, any::<u8>(), 0..20_u8).prop_map(|(host, port, flags, target)| {
        let mut pkt = if target < 4 { udp(1000 + port) } else { tcp(1000 + port, Flags(flags)) };
        pkt.src = Ip::new(172, 16, 0, host);
        match target {
            17 => pkt.dport = 81,
            18 => pkt.dst = rip(100),
            19 => pkt.frag = Packet::MF,
            _ => {}
        }
        pkt
    })
}

fn command() -> impl Strategy<Value = Command> {
    let method = prop_oneof![Just(Forwarding::Nat), Just(Forwarding::Dr), Just(Forwarding::Tun)];
    let key = prop_oneof![Just(WEB), Just(DNS)];
    (0..8_u8, key, 11..14_u8, method, 0..3_u16, 0..4_u32).prop_map(
        |(what, key, host, method, weight, upper_threshold)| {
            let port = if key == WEB { 80 } else { 53 };
            let rule = ServerRule { weight, upper_threshold, ..server(host, port, method) };
            let scheduler =
                [Algorithm::Rr, Algorithm::Wrr, Algorithm::Lc, Algorithm::Wlc][usize::from(weight)];
            match what {
                0..2 => Command::AddServer(key, rule),
                2 => Command::EditServer(key, rule),
                3..5 => Command::DeleteServer(key, rip_rule(host), port),
                5 => Command::AddService(ServiceRule { scheduler, ..service(key, vec![rule]) }),
                6 => Command::EditService(ServiceRule { scheduler, ..service(key, vec![]) }),
                _ => Command::DeleteService(key),
            }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => packet().prop_map(Step::Request),
        4 => any::<u8>().prop_map(Step::Reply),
        1 => any::<bool>().prop_map(Step::Error),
        2 => command().prop_map(Step::Command),
        2 => prop_oneof![0..20_u64, 0..200_000_u64].prop_map(Step::Pass),
    ]
}

/// What every moment must hold.
fn consistent(ipvs: &Ipvs, now: Time) {
    for listed in ipvs.destinations() {
        let mine = || ipvs.connections().filter(|(_, c)| c.destination() == listed.id);
        let active = mine().filter(|(_, c)| c.state().is_active()).count();
        assert_eq!(listed.active as usize, active, "{listed:?}");
        assert_eq!((listed.active + listed.inactive) as usize, mine().count(), "{listed:?}");
    }
    let entries = ipvs.connections().count();
    assert_eq!(ipvs.entries() as usize, entries);
    assert!(ipvs.entries_max() >= ipvs.entries());
    let next = ipvs.next_deadline().unwrap_or(Time::NEVER);
    for (slot, entry) in ipvs.connections() {
        assert_eq!(entry.is_active(), entry.state().is_active());
        assert!(next <= entry.expires(), "a deadline would be missed");
        assert!(entry.expires() >= now || next <= now, "{slot:?} should be gone");
    }
    let sum: u64 = ipvs.services().map(|s| s.stats.packets_in).sum();
    assert!(sum <= ipvs.totals().packets_in);
}

struct World {
    ipvs: Ipvs,
    now: Time,
    last: Option<(Packet, Transmit)>,
    sent: u64,
}

impl World {
    fn play(&mut self, step: Step) {
        match step {
            Step::Request(pkt) => {
                if let Verdict::Transmit(to) =
                    self.ipvs.request(self.now, &pkt, &mut AddressBook::new())
                {
                    self.last = Some((pkt, to));
                    self.sent += 1;
                    self.found_both_ways(&pkt, &to);
                }
            }
            Step::Reply(flags) => {
                if let Some((request, to)) = self.last {
                    self.ipvs.reply(self.now, &answer(&request, &to, Flags(flags)));
                }
            }
            Step::Error(about_request) => self.error(about_request),
            Step::Command(command) => {
                let _refused = self.ipvs.apply(self.now, &command, &mut AddressBook::new());
            }
            Step::Pass(ms) => {
                self.now += Span::from_millis(ms);
                pass(&mut self.ipvs, self.now);
            }
        }
    }

    /// The connection of a packet that was sent on is found by the reply as well, and by nothing
    /// else than its own addresses.
    fn found_both_ways(&self, pkt: &Packet, to: &Transmit) {
        let entry = self.ipvs.connection(to.connection).expect("lives");
        assert_eq!((entry.client(), entry.vip()), ((pkt.src, pkt.sport), (pkt.dst, pkt.dport)));
        assert_eq!(entry.rip(), (to.rip, to.rport));
        let reply = answer(pkt, to, ACK);
        let tuple = crate::ipvs::Tuple::of(&reply);
        let found = self.ipvs.table.find_reply(tuple).expect("no reply is lost");
        let found = self.ipvs.connection(found).expect("lives");
        assert_eq!(found.reply_tuple(), tuple);
    }

    fn error(&mut self, about_request: bool) {
        let Some((request, to)) = self.last else { return };
        let mut outer = Packet::ipv4(Ip(1), VIP, proto::ICMP, 56);
        outer.sport = 3;
        if about_request {
            self.ipvs.icmp_out(&outer, &request);
            let tunnel = Packet::ipv4(VIP, to.rip, proto::IPIP, 80);
            self.ipvs.icmp_tunnel(&outer, &tunnel, &request);
        } else {
            let reply = Packet { dst: request.src, dport: request.sport, ..request };
            let quoted = Packet { src: VIP, sport: request.dport, ..reply };
            self.ipvs.icmp_in(&outer, &quoted);
        }
    }
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
        mode in 0..4_u8,
        expire_nodest_conn: bool,
        sloppy_tcp: bool,
    ) {
        let mut config = config(Forwarding::Nat);
        config.services[0].servers.push(server(13, 80, Forwarding::Dr));
        config.services[1].servers.push(server(13, 53, Forwarding::Tun));
        config.sysctl.conn_reuse_mode = mode;
        config.sysctl.expire_nodest_conn = expire_nodest_conn;
        config.sysctl.sloppy_tcp = sloppy_tcp;
        let mut world = World { ipvs: build(&config), now: at(0), last: None, sent: 0 };
        for step in steps {
            world.play(step);
            consistent(&world.ipvs, world.now);
        }
        let World { mut ipvs, now, sent, .. } = world;
        prop_assert!(ipvs.totals().packets_in >= sent);
        pass(&mut ipvs, now + Span::from_secs(900));
        prop_assert_eq!(ipvs.entries(), 0);
        consistent(&ipvs, now + Span::from_secs(900));
        pass(&mut ipvs, now + Span::from_secs(900 + 240));
        prop_assert_eq!(ipvs.next_deadline(), None, "an idle director has nothing to do");
    }

    #[test]
    fn no_packet_is_a_surprise(packets in prop::collection::vec((any_packet(), any_packet(), 0..4_u8), 1..60)) {
        let mut ipvs = director(Forwarding::Tun);
        for (i, (a, b, call)) in packets.into_iter().enumerate() {
            let now = at(i as u64);
            match call {
                0 => drop(ipvs.request(now, &a, &mut AddressBook::new())),
                1 => drop(ipvs.reply(now, &a)),
                2 => drop((ipvs.icmp_in(&a, &b), ipvs.icmp_out(&a, &b))),
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
