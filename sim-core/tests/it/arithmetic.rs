//! Figures that can be worked out by hand.

use crate::network::*;
use schedulers::Algorithm;
use sim_core::config::*;
use sim_core::engine::{Dist, Span, Stream, Time};
use sim_core::ipvs::rules::{Forwarding, ServerRule, ServiceKey, ServiceRule};
use sim_core::ipvs::{DropReason, Ipvs, Verdict};
use sim_core::observe::Observations;
use sim_core::wire::{AddressBook, Flags, Ip, Packet, proto};

/// CPU time of a packet: the figure of the paper on LVS-NAT.
const PACKET: f64 = 60e-6;

fn at_ms(ms: u64) -> Time {
    Time::ZERO + Span::from_millis(ms)
}

/// `measured` is `expected`, up to a share of it.
fn close(measured: f64, expected: f64, share: f64) {
    let off = (measured / expected - 1.0).abs();
    assert!(off <= share, "{measured} is not {expected}: {off} > {share}");
}

// ---- a flood of SYNs that nobody completes -------------------------------------------------------

/// A director alone with the service of [`rules`] and two real servers.
fn machine(forwarding: Forwarding, sysctl: IpvsSysctl) -> Ipvs {
    let config = IpvsConfig { sysctl, ..rules(forwarding, proto::TCP, 80, 2) };
    Ipvs::new(&config, Stream::new(1, "director", "ipvs"), &mut AddressBook::new())
        .expect("good rules")
}

/// A SYN of the `n`-th invented client.
fn spoofed(n: u64) -> Packet {
    let vip = Ip::new(192, 168, 10, 200);
    let mut syn = Packet::ipv4(Ip(0x0a00_0000 + n as u32), vip, proto::TCP, 40);
    (syn.sport, syn.dport, syn.flags) = (1024 + (n * 7919 % 60_000) as u16, 80, Flags::SYN);
    syn
}

/// Lets everything happen that is due at `now` or before.
fn pass(ipvs: &mut Ipvs, now: Time) {
    while let Some(next) = ipvs.next_deadline().filter(|&next| next <= now) {
        ipvs.on_deadline(next);
    }
}

/// `rate` SYNs a second for some seconds, each from another address. How many entries there are at the
/// end of each second.
fn flood(ipvs: &mut Ipvs, rate: u64, seconds: u64) -> Vec<f64> {
    let mut held = Vec::new();
    for second in 0..seconds {
        for n in 0..rate {
            let now = at_ms(second * 1000) + Span::from_nanos((2 * n + 1) * 500_000_000 / rate);
            pass(ipvs, now);
            let syn = spoofed(second * rate + n);
            let verdict = ipvs.request(now, &syn, &mut AddressBook::new());
            assert!(matches!(verdict, Verdict::Transmit(_)), "{verdict:?}");
        }
        pass(ipvs, at_ms(second * 1000 + 1000));
        let active: u32 = ipvs.destinations().map(|d| d.active).sum();
        assert_eq!(active, ipvs.entries(), "half-open connections count as active");
        held.push(f64::from(active));
    }
    held
}

/// s SYNs a second hold 60 s entries: `SYN_RECV` lasts a minute. With `secure_tcp` DR and TUN say `SYNACK`, which
/// lasts two: that defence makes the table larger.
#[test]
fn a_syn_flood_holds_sixty_seconds_of_itself() {
    let secure = IpvsSysctl { secure_tcp: 3, ..IpvsSysctl::default() };
    for (forwarding, sysctl, life) in [
        (Forwarding::Nat, IpvsSysctl::default(), 60),
        (Forwarding::Dr, IpvsSysctl::default(), 60),
        (Forwarding::Nat, secure, 60),
        (Forwarding::Tun, secure, 120),
    ] {
        let mut ipvs = machine(forwarding, sysctl);
        let held = flood(&mut ipvs, 500, life + 20);
        close(held[19], 500.0 * 20.0, 0.01);
        for &entries in &held[life as usize..] {
            close(entries, 500.0 * life as f64, 0.01);
        }
        pass(&mut ipvs, at_ms((2 * life + 20) * 1000));
        assert_eq!(ipvs.entries(), 0, "and it is gone as long after the flood");
    }
}

/// `drop_entry` looks through 128 of 4096 buckets a second, drawn with repetition, and drops what is half open. An
/// entry outlives a look with probability q = (1 - 1/4096)^128, so s (q + q^2 + ... + q^60) are left
/// after each: less than half.
#[test]
fn drop_entry_halves_a_syn_flood() {
    let sysctl = IpvsSysctl { drop_entry: 3, ..IpvsSysctl::default() };
    let held = flood(&mut machine(Forwarding::Dr, sysctl), 400, 180);
    let q = libm::pow(1.0 - 1.0 / 4096.0, 128.0);
    let expected: f64 = (1..=60).map(|k| 400.0 * libm::pow(q, f64::from(k))).sum();
    let late = &held[60..];
    let mean = late.iter().sum::<f64>() / late.len() as f64;
    close(mean, expected, 0.02);
    assert!(mean < 0.47 * 400.0 * 60.0, "{mean}");
}

/// The same in a network, where the real servers answer. With DR the director does not see that. With NAT
/// each SYN-ACK begins the minute anew, and is sent again after 1, 3, 7, 15 and 31 seconds.
#[test]
fn answers_that_nobody_takes_prolong_a_flood_through_nat() {
    for (forwarding, life) in [(Forwarding::Dr, 60.0), (Forwarding::Nat, 60.0 + 31.0)] {
        let mut config = cluster(forwarding, Transport::Tcp, 80);
        config.duration = Span::from_secs(120);
        config.connections = false;
        let attacker = &mut config.hosts[0];
        attacker.clients[0].load = Load::Open { gap: Dist::Constant(0.01) };
        attacker.tcp.syn_retries = 0;
        attacker.filters.push(FilterConfig {
            v6: false,
            table: FilterTable::Filter,
            chain: FilterChain::Input,
            matches: vec![FilterMatch { not: false, what: FilterCondition::Protocol(proto::TCP) }],
            target: FilterTarget::Drop,
        });
        for rs in &mut config.hosts[3..] {
            rs.servers[0].backlog = u32::MAX;
        }
        let o = run(&config);
        assert_eq!(o.clients[0].connections_served, 0);
        close(o.directors[0].entries_max as f64, 100.0 * life, 0.01);
    }
}

// ---- ports of FULLNAT ----------------------------------------------------------------------------

/// One local address and one real server: 64511 ports, 1025 to 65535. An entry that lives L seconds leaves
/// 64511 / L connections a second: a half-open one 30 s, 2150/s; a UDP one 300 s, 215/s.
#[test]
fn a_local_address_feeds_its_ports_divided_by_the_life_of_an_entry() {
    const PORTS: f64 = 64_511.0;
    let key = ServiceKey::Address { protocol: proto::TCP, vip: VIP, port: 80 };
    let server = ServerRule { forwarding: Forwarding::FullNat, ..ServerRule::new(rip(1), 80) };
    let service = ServiceRule {
        scheduler: Algorithm::Rr,
        servers: vec![server],
        local_addresses: vec![DIP],
        ..ServiceRule::new(key)
    };
    let config = IpvsConfig { services: vec![service], ..IpvsConfig::default() };
    let life = 30.0;
    for (rate, seconds) in [(2_140, 65), (2_260, 60)] {
        let mut book = AddressBook::new();
        let random = Stream::new(1, "director", "ipvs");
        let mut ipvs = Ipvs::new(&config, random, &mut book).expect("good rules");
        let mut dropped = 0_u64;
        for n in 0..rate * seconds {
            let now = Time::from_nanos(n * 1_000_000_000 / rate);
            pass(&mut ipvs, now);
            match ipvs.request(now, &spoofed(n), &mut book) {
                Verdict::Transmit(_) => {}
                verdict => {
                    assert_eq!(verdict, Verdict::Drop(DropReason::NoLocalPort));
                    dropped += 1;
                }
            }
        }
        // those who come in the rest of each life, when every port is taken
        let excess = (rate as f64 - PORTS / life).max(0.0) * seconds as f64;
        if excess > 0.0 {
            close(dropped as f64, excess, 0.001);
        } else {
            assert_eq!(dropped, 0);
        }
        assert!(f64::from(ipvs.entries_max()) <= PORTS);
    }
}

// ---- what a NAT director can carry ---------------------------------------------------------------

/// A director whose packets, of whatever kind IPVS handles, cost 60 us.
fn costly(config: &mut WorldConfig) {
    let packet = Span::from_micros(60);
    config.hosts[2].cpu =
        Some(CpuConfig { other: Span::ZERO, nat: packet, dr: packet, tun: packet, backlog: 100 });
}

/// 536-byte datagrams, 400 kB/s for each of `servers`, in one direction through the director: the real
/// servers take them and say nothing.
fn one_way(servers: u32) -> Observations {
    let mut config = cluster(Forwarding::Nat, Transport::Udp, 53);
    costly(&mut config);
    config.connections = false;
    config.duration = Span::from_secs(2);
    let datagrams = f64::from(servers) * 400_000.0 / 536.0;
    let c = &mut config.hosts[0].clients[0];
    c.load = Load::Open { gap: Dist::Constant(1.0 / datagrams) };
    c.request = Dist::Constant(536.0 - 28.0);
    c.timeout = Some(Span::from_millis(500));
    for rs in &mut config.hosts[3..] {
        // busy for ever with the first one
        (rs.servers[0].workers, rs.servers[0].queue) = (1, 0);
        rs.servers[0].service = Dist::Constant(1e6);
    }
    run(&config)
}

/// (1 / 60 us) / (400 kB/s / 536 B) = 22.3 servers.
#[test]
fn a_nat_director_feeds_twenty_two_servers_one_way() {
    let knee = (1.0 / PACKET) / (400_000.0 / 536.0);
    assert!((22.3..22.4).contains(&knee));
    for servers in 20..=25 {
        let o = one_way(servers);
        let load = f64::from(servers) / knee;
        let lost = dropped(&o, "director", "cpu_backlog") as f64;
        if load < 1.0 {
            close(o.directors[0].cpu_utilisation, load, 0.001);
            assert!(lost <= 0.0, "{servers} servers");
        } else {
            close(o.directors[0].cpu_utilisation, 1.0, 0.001);
            // all but what is worked off in 2 s and what waits at their end
            close(lost, 2.0 / PACKET * (load - 1.0) - 100.0, 0.02);
        }
    }
}

/// A TCP workload through [`cluster`] with the packets of the workload W1 of the benches but `bytes` of answer: no
/// options, an acknowledgement for every second segment.
fn pages(forwarding: Forwarding, bytes: f64, load: Load) -> WorldConfig {
    let mut config = cluster(forwarding, Transport::Tcp, 80);
    let c = &mut config.hosts[0].clients[0];
    (c.load, c.closer) = (load, Closer::Client);
    (c.request, c.close_delay) = (Dist::Constant(200.0), Dist::Constant(0.0));
    for host in &mut config.hosts {
        host.tcp.options = false;
        host.tcp.mss = 1448;
        host.tcp.quick_acks = 16;
        host.tcp.ack_fin_at_once = true;
    }
    config.hosts[0].tcp.quick_acks = 0;
    for rs in &mut config.hosts[3..] {
        rs.servers[0].response = Dist::Constant(bytes);
        rs.servers[0].workers = 1000;
        rs.servers[0].closer = Closer::Client;
    }
    config
}

/// Packets and bytes of one connection to and from the real server, and all that the director received.
fn counted(forwarding: Forwarding, bytes: f64) -> [u64; 6] {
    let o = run(&pages(forwarding, bytes, Load::At(vec![Span::ZERO])));
    assert_eq!(o.clients[0].connections_served, 1);
    let d = &o.directors[0];
    let sum = |f: fn(&sim_core::observe::DestinationObservation) -> u64| {
        d.destinations.iter().map(f).sum()
    };
    [
        sum(|t| t.packets_in),
        sum(|t| t.bytes_in),
        sum(|t| t.packets_out),
        sum(|t| t.bytes_out),
        d.packets_in,
        d.bytes_in,
    ]
}

/// A page of n full segments (n even) is SYN, ACK, request, n / 2 ACKs, FIN and ACK of the client; SYN-ACK,
/// ACK, n segments, ACK and FIN of the server. DR sees the first part only.
#[test]
fn nat_carries_the_answers_and_dr_the_requests_alone() {
    for segments in [2, 8, 10, 40] {
        let bytes = 1448.0 * segments as f64;
        let (up, down) = (5 + segments / 2, 4 + segments);
        // 40 bytes of headers
        let up_bytes = 40 * up + 200;
        let down_bytes = 40 * down + 1448 * segments;
        let dr = counted(Forwarding::Dr, bytes);
        assert_eq!(dr, [up, up_bytes, 0, 0, up, up_bytes], "{segments}");
        let nat = counted(Forwarding::Nat, bytes);
        let all = [up, up_bytes, down, down_bytes, up + down, up_bytes + down_bytes];
        assert_eq!(nat, all, "{segments}");
    }
}

/// A page of 10,000 bytes is seven segments and three acknowledgements (the last segment waits for the FIN): 19 packets through NAT for 8 through
/// DR, 2.375 times as many, and 21 times the bytes.
#[test]
fn a_page_of_ten_kilobytes_by_dr_and_by_nat() {
    let (up, down) = (5 + 3, 4 + 7);
    let (up_bytes, down_bytes) = (40 * up + 200, 40 * down + 10_000);
    let dr = counted(Forwarding::Dr, 10_000.0);
    assert_eq!(dr, [up, up_bytes, 0, 0, up, up_bytes]);
    let nat = counted(Forwarding::Nat, 10_000.0);
    let all = [up, up_bytes, down, down_bytes, up + down, up_bytes + down_bytes];
    assert_eq!(nat, all);
    close(nat[4] as f64 / dr[4] as f64, 2.375, 0.0);
    close(nat[5] as f64 / dr[5] as f64, 21.08, 0.001);
}

/// Connections of 10,000 bytes at a share of `knee` connections a second.
fn browsing(forwarding: Forwarding, share: f64, knee: f64) -> Observations {
    let load = Load::Open { gap: Dist::Constant(1.0 / (share * knee)) };
    let mut config = pages(forwarding, 10_000.0, load);
    costly(&mut config);
    config.connections = false;
    config.duration = Span::from_secs(2);
    run(&config)
}

/// For TCP the knee is where the counted packets of all connections take all of the CPU: 1 / (60 us * 19) = 877
/// connections a second. DR goes on until its 8 packets do.
#[test]
fn tcp_through_nat_ends_where_its_counted_packets_do() {
    for forwarding in [Forwarding::Nat, Forwarding::Dr] {
        let packets = counted(forwarding, 10_000.0)[4];
        let knee = 1.0 / (PACKET * packets as f64);
        for share in [0.8, 0.97] {
            let o = browsing(forwarding, share, knee);
            let (c, d) = (&o.clients[0], &o.directors[0]);
            assert_eq!(c.connections_served, c.connections_offered);
            assert_eq!(d.packets_in, packets * c.connections_offered);
            assert_eq!(dropped(&o, "director", "cpu_backlog"), 0);
            close(d.cpu_utilisation, share, 0.005);
        }
        for share in [1.05, 1.3] {
            let o = browsing(forwarding, share, knee);
            close(o.directors[0].cpu_utilisation, 1.0, 0.005);
            assert!(dropped(&o, "director", "cpu_backlog") > 0, "{forwarding} {share}");
            assert!(o.clients[0].retransmissions > 0, "{forwarding} {share}");
        }
    }
}
