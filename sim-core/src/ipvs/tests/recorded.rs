//! Recorded packet sequences of a real kernel, replayed.

use super::*;
use crate::ipvs::rules::TimeoutRule;

/// One service with one server, as in the recording.
fn recorded_director(head: &[&str]) -> Ipvs {
    let forwarding = if head[0] == "NAT" { Forwarding::Nat } else { Forwarding::Dr };
    let key = if head[1] == "tcp" { WEB } else { DNS };
    let port = if head[1] == "tcp" { 80 } else { 53 };
    let mut config = IpvsConfig {
        services: vec![service(key, vec![server(11, port, forwarding)])],
        ..IpvsConfig::default()
    };
    if head[2] != "default" {
        let seconds = |i| head[2].split(',').nth(i).and_then(|s| s.parse().ok());
        let span = |i| seconds(i).map(Span::from_secs);
        config.timeouts = TimeoutRule { tcp: span(0), tcp_fin: span(1), udp: span(2) };
    }
    build(&config)
}

fn flags(name: &str) -> Flags {
    match name {
        "S" => SYN,
        "SA" => SYN_ACK,
        "A" => ACK,
        "D" => ACK.with(Flags::PSH),
        "F" => FIN,
        "R" => RST,
        other => panic!("{other}"),
    }
}

/// Plays a packet such as `cSA`.
fn play(ipvs: &mut Ipvs, now: Time, protocol: &str, packet: &str, last: &mut Option<Transmit>) {
    let (from, name) = packet.split_at(1);
    let request = if protocol == "tcp" { tcp(40_000, flags(name)) } else { udp(40_000) };
    if from == "c" {
        *last = Some(sent(ipvs, now, &request));
    } else {
        let to = last.expect("the client spoke first");
        let reply = answer(&request, &to, flags(name));
        ipvs.reply(now, &reply);
    }
}

#[test]
fn recorded_states_timers_and_counters() {
    let mut sequences = 0;
    for line in include_str!("timeouts.txt").lines().filter(|l| !l.starts_with('#')) {
        let parts: Vec<&str> = line.split(" | ").collect();
        let (head, steps) = (parts[0], &parts[1..parts.len() - 1]);
        let head: Vec<&str> = head.split(' ').collect();
        let mut ipvs = recorded_director(&head);
        let mut last = None;
        let mut now = at(1);
        for step in steps {
            let fields: Vec<&str> = step.split(' ').collect();
            let number = |i: usize| fields[i].parse::<u64>().expect("a number");
            now += Span::from_millis(1);
            play(&mut ipvs, now, head[1], fields[0], &mut last);
            // An entry that a SYN replaced may still have been counted when the kernel was asked.
            let dying = u64::from(ipvs.entries() - 1);
            let slot = last.expect("the client spoke first").connection;
            let entry = ipvs.connection(slot).expect("lives");
            assert_eq!(entry.state().name(), fields[1], "{line}");
            let left = entry.remaining(now).as_nanos() / 1_000_000_000;
            assert!(left == number(2) || left == number(2) + 1, "{left} s left: {line}");
            let counted = ipvs.destinations().next().expect("listed");
            assert_eq!(u64::from(counted.active), number(3), "{line}");
            let inactive = u64::from(counted.inactive);
            assert!((inactive - dying..=inactive).contains(&number(4)), "{line}");
            pass(&mut ipvs, now);
        }
        if let Ok(gone) = parts[parts.len() - 1].parse::<f64>() {
            pass(&mut ipvs, now + Span::from_secs_f64(gone + 0.26));
            assert_eq!(ipvs.entries(), 0, "outlived the kernel's: {line}");
            let slot = last.expect("the client spoke first").connection;
            assert!(ipvs.connection(slot).is_none());
        }
        sequences += 1;
    }
    assert_eq!(sequences, 116);
}
