//! `--set`, `--start-daemon` and `--stop-daemon`.

use super::address::inet_aton;
use super::line::Line;
use super::service::MAX_TIMEOUT;
use crate::diagnostic::Problem;
use sim_core::engine::Span;
use sim_core::ipvs::rules::{Daemon, DaemonRole, TimeoutRule};
use std::net::{IpAddr, Ipv6Addr};

/// The three timeouts of `--set`; 0 keeps one.
pub(super) fn timeouts(line: &Line<'_>, problems: &mut Vec<Problem>) -> Option<TimeoutRule> {
    let [tcp, fin, udp] = &line.rest[..] else {
        problems.push(Problem::new(
            &line.place,
            "--set option requires 3 timeout values",
            "--set TCP TCPFIN UDP, in seconds, 0 to keep one",
        ));
        return None;
    };
    let mut timeouts = [None; 3];
    for (slot, (text, place)) in timeouts.iter_mut().zip([tcp, fin, udp]) {
        match text.parse::<u32>() {
            Ok(seconds) if seconds <= MAX_TIMEOUT => {
                *slot = (seconds > 0).then(|| Span::from_secs(u64::from(seconds)));
            }
            _ => {
                let message = format!("invalid timeout value `{text}' specified");
                let label = format!("expected seconds from 0 to {MAX_TIMEOUT}");
                problems.push(Problem::new(place, message, label));
            }
        }
    }
    let [tcp, tcp_fin, udp] = timeouts;
    Some(TimeoutRule { tcp, tcp_fin, udp })
}

fn role(line: &Line<'_>, long: &str, problems: &mut Vec<Problem>) -> Option<DaemonRole> {
    let (text, place) = line.argument(long)?;
    match *text {
        "master" => Some(DaemonRole::Master),
        "backup" => Some(DaemonRole::Backup),
        _ => {
            let message = format!("illegal {long} parameter specified");
            problems.push(Problem::new(place, message, "expected master or backup"));
            None
        }
    }
}

fn ranged(
    line: &Line<'_>,
    long: &str,
    range: (u32, u32),
    problems: &mut Vec<Problem>,
) -> Option<u32> {
    line.given(long)?;
    let wrong = |_: &str| format!("illegal {long} specified");
    Some(line.number(long, range.0, range, wrong, problems))
}

/// The daemon of `--start-daemon`.
pub(super) fn start(line: &Line<'_>, problems: &mut Vec<Problem>) -> Option<Daemon> {
    let group = line.argument("mcast-group").and_then(|(text, place)| {
        let ip = text.parse::<Ipv6Addr>().map(IpAddr::from).ok();
        let ip = ip.or_else(|| inet_aton(text).map(IpAddr::from));
        if !ip.is_some_and(|ip| ip.is_multicast()) {
            let message = "illegal mcast-group specified";
            problems.push(Problem::new(place, message, "expected a multicast address"));
        }
        ip
    });
    let syncid = ranged(line, "syncid", (0, 255), problems).unwrap_or(0) as u8;
    let port = ranged(line, "mcast-port", (1, 65_535), problems).map(|n| n as u16);
    let ttl = ranged(line, "mcast-ttl", (1, 255), problems).map(|n| n as u8);
    let maxlen = ranged(line, "sync-maxlen", (1, 65_507), problems).map(|n| n as u16);
    let interface = line.argument("mcast-interface").map_or("eth0", |w| w.0).to_owned();
    let role = role(line, "start-daemon", problems)?;
    Some(Daemon { role, interface, syncid, group, port, ttl, maxlen })
}

/// The role of `--stop-daemon`. The kernel does not look at the id.
pub(super) fn stop(line: &Line<'_>, problems: &mut Vec<Problem>) -> Option<DaemonRole> {
    let _unused = ranged(line, "syncid", (0, 255), problems);
    role(line, "stop-daemon", problems)
}
