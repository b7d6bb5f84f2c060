//! Whatever the network does, messages arrive exactly once and in order; whatever arrives, nothing panics.

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::*;

const KEEPALIVE: Option<(Span, Span, u8)> = Some((Span::from_secs(60), Span::from_secs(10), 5));

/// A network that loses, doubles and delays, each with a probability in percent.
fn hostile(seed: u64, loss: u32, double: u32, delay: u32) -> Net {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // keepalive ends what is left when an orphaned peer has given up
    let config = TcpConfig { keepalive: KEEPALIVE, ..TcpConfig::default() };
    let mut net = Net::new(config, config);
    net.fate = Box::new(move |_, _| {
        let dice = random.next_u32() % 100;
        let span = Span::from_micros(u64::from(random.next_u32() % 2_000));
        if dice < loss {
            Treatment::Lose
        } else if dice < loss + double {
            Treatment::Double(span)
        } else if dice < loss + double + delay {
            Treatment::Hold(span)
        } else {
            Treatment::Deliver
        }
    });
    net
}

/// Sizes of the messages that were completed, in order.
fn messages(net: &Net, host: usize) -> Vec<u64> {
    let mut before = 0;
    let mut sizes = Vec::new();
    for note in net.notes_of(host) {
        if let Note::MessageComplete { total } = note {
            sizes.push(total - before);
            before = total;
        }
    }
    sizes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn every_message_arrives_exactly_once(
        seed: u64,
        loss in 0_u32..25,
        double in 0_u32..15,
        delay in 0_u32..30,
        up in proptest::collection::vec(1_u32..30_000, 1..6),
        down in proptest::collection::vec(1_u32..30_000, 1..6),
        gap in 0_u64..50,
    ) {
        let mut net = hostile(seed, loss, double, delay);
        net.apps[CLIENT].close_on_peer = Some(Span::ZERO);
        let conn = net.connect(0);
        for &bytes in &up {
            net.write(CLIENT, conn, bytes);
            net.run(ms(gap));
        }
        for _ in 0..600 {
            if net.notes.iter().any(|n| n.1 == SERVER) {
                break;
            }
            net.run(secs(1));
        }
        if let Some(&(_, _, served, _)) = net.notes.iter().find(|n| n.1 == SERVER) {
            for &bytes in &down {
                net.write(SERVER, served, bytes);
                net.run(ms(gap));
            }
            // a server that closes rejects what has not arrived yet
            for _ in 0..100 {
                if messages(&net, SERVER).len() < up.len() && net.finals(CLIENT).is_empty() {
                    net.run(secs(600));
                }
            }
            net.close(SERVER, served);
        }
        net.run(secs(3000));
        for host in [CLIENT, SERVER] {
            prop_assert_eq!(net.hosts[host].connections(), 0, "host {} has ended", host);
            prop_assert!(net.finals(host).len() <= 1);
            prop_assert_eq!(net.hosts[host].counters().curr_estab, 0);
        }
        let gave_up: u64 = net.hosts.iter().map(|h| h.counters().gave_up).sum();
        let (up, down): (Vec<_>, Vec<_>) =
            (up.into_iter().map(u64::from).collect(), down.into_iter().map(u64::from).collect());
        let (got_up, got_down) = (messages(&net, SERVER), messages(&net, CLIENT));
        if gave_up == 0 {
            prop_assert_eq!(got_up, up);
            prop_assert_eq!(got_down, down);
        } else {
            prop_assert!(up.starts_with(&got_up), "{:?} of {:?}", got_up, up);
            prop_assert!(down.starts_with(&got_down), "{:?} of {:?}", got_down, down);
        }
    }

    #[test]
    fn a_client_that_closes_at_once_still_delivers(
        seed: u64,
        loss in 0_u32..25,
        delay in 0_u32..30,
        quick_acks in 0_u8..3,
        up in proptest::collection::vec(1_u32..60_000, 1..4),
    ) {
        let mut net = hostile(seed, loss, 5, delay);
        let options = seed & 1 == 0;
        let config = TcpConfig { quick_acks, options, keepalive: KEEPALIVE, ..TcpConfig::default() };
        net.hosts[SERVER] = TcpStack::new(config, 64, 2);
        prop_assert_eq!(net.hosts[SERVER].listen(WEB, 1), Ok(0));
        net.apps[SERVER].close_on_peer = Some(ms(1));
        let conn = net.connect(0);
        while net.notes.is_empty() {
            net.run(secs(1));
        }
        for &bytes in &up {
            net.write(CLIENT, conn, bytes);
        }
        net.close(CLIENT, conn);
        net.run(secs(3000));
        for host in [CLIENT, SERVER] {
            prop_assert_eq!(net.hosts[host].connections(), 0, "host {}", host);
            prop_assert_eq!(net.hosts[host].time_waits(), 0);
        }
        prop_assert!(net.events.is_empty(), "nothing stays armed");
        let gave_up: u64 = net.hosts.iter().map(|h| h.counters().gave_up).sum();
        let up: Vec<_> = up.into_iter().map(u64::from).collect();
        let got = messages(&net, SERVER);
        if gave_up == 0 {
            prop_assert_eq!(got, up);
        } else {
            prop_assert!(up.starts_with(&got), "{:?} of {:?}", got, up);
        }
    }

    #[test]
    fn no_segment_makes_the_stack_panic(
        seed: u64,
        segments in proptest::collection::vec(any::<(u8, u8, u32, u32, u16, u16, u8)>(), 1..200),
    ) {
        let mut net = hostile(seed, 10, 10, 10);
        net.apps[SERVER].reply = Some((ms(1), 20_000));
        let conn = net.connect(0);
        net.run(ms(1));
        net.write(CLIENT, conn, 50_000);
        for (kind, flags, seq, ack, len, other, mtu) in segments {
            // near what the connection expects, or anywhere
            let base = net.sent[usize::from(kind) % net.sent.len()].packet;
            let mut p = base;
            p.flags = Flags(flags);
            p.len = if kind & 1 == 0 { len } else { 40 + len % 1500 };
            p.opt = other as u8 & 0x3c;
            p.window = if kind & 2 == 0 { base.window } else { ack };
            p.mss = other;
            p.seq = if kind & 4 == 0 { base.seq.wrapping_add(seq % 3000) } else { seq };
            p.ack = if kind & 8 == 0 { base.ack.wrapping_add(ack % 3000) } else { ack };
            let host = usize::from(base.dst == end(SERVER, 0).0);
            let now = net.now;
            if kind & 16 == 0 {
                net.with(host, |s, _, out| {
                    s.on_packet(now, &p, 1500, out);
                });
            } else {
                let (from, code) = (1 - host, flags & 7);
                net.with(from, |s, _, out| {
                    s.on_icmp_error(now, &p, 3, code, u16::from(mtu) * 8, out);
                });
            }
            match other % 23 {
                0 => net.close(host, Conn(u32::from(kind & 1))),
                1 => net.abort(host, Conn(u32::from(kind & 1))),
                2 => net.write(host, Conn(u32::from(kind & 1)), u32::from(len)),
                3 => net.with(host, |s, now, out| {
                    s.set_reading(now, Conn(0), kind & 1 == 0, out);
                }),
                _ => {}
            }
            net.run(Span::from_micros(u64::from(mtu) * 100));
        }
        net.run(secs(3000));
    }
}
