//! The options of a real server.

use super::address;
use super::line::{Line, shown};
use super::options::FULL_NAT;
use super::service::is_v6;
use crate::diagnostic::Problem;
use crate::format::words::{list, nearest};
use sim_core::ipvs::rules::{
    Encapsulation, Forwarding, OuterChecksum, ServerRule, ServiceKey, TunnelOptions,
};
use sim_core::wire::proto;
use std::net::IpAddr;

/// The port of a service, 0 for all ports and for marks.
const fn port(key: ServiceKey) -> u16 {
    match key {
        ServiceKey::Address { port, .. } => port,
        ServiceKey::Fwmark { .. } => 0,
    }
}

/// RIP and port of `-r`; without a port that of the service.
pub(super) fn address(
    line: &Line<'_>,
    key: Option<ServiceKey>,
    problems: &mut Vec<Problem>,
) -> Option<(IpAddr, u16)> {
    let argument = line.argument("real-server")?;
    let protocol = match key {
        Some(ServiceKey::Address { protocol, .. }) => protocol,
        _ => proto::TCP,
    };
    let wrong = "illegal real server address[:port] specified";
    match address::address(argument, protocol, line.names, wrong) {
        Ok(found) => {
            // ipvsadm reads from left to right: the port of a service that comes later is not known
            let service = line.service().map_or("", |g| g.opt.long);
            let late = line.before("real-server", service);
            let inherited = if late { 0 } else { key.map_or(0, port) };
            Some((found.ip, found.port.unwrap_or(inherited)))
        }
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

/// The address of `-z`.
pub(super) fn local_address(line: &Line<'_>, problems: &mut Vec<Problem>) -> Option<IpAddr> {
    let argument = line.argument("local-address")?;
    let wrong = "illegal local address specified";
    match address::address(argument, proto::TCP, line.names, wrong) {
        Ok(found) if found.port.is_none() => return Some(found.ip),
        Ok(_) => problems.push(Problem::new(&argument.1, wrong, "expected an address, no port")),
        Err(problem) => problems.push(problem),
    }
    None
}

/// The real server of a `-a` or `-e` line. Without a `key` the other options are read all the same.
pub(super) fn rule(
    line: &Line<'_>,
    key: Option<ServiceKey>,
    problems: &mut Vec<Problem>,
) -> Option<ServerRule> {
    let address = address(line, key, problems);
    let (forwarding, tunnel) = forwarding(line, problems);
    let wrong = |_: &str| "illegal weight specified".to_owned();
    let weight = line.number("weight", 1, (0, 65_535), wrong, problems) as u16;
    let most = i32::MAX as u32;
    let wrong = |_: &str| "illegal u_threshold specified".to_owned();
    let upper_threshold = line.number("u-threshold", 0, (0, most), wrong, problems);
    let wrong = |_: &str| "illegal l_threshold specified".to_owned();
    let lower_threshold = line.number("l-threshold", 0, (0, most), wrong, problems);
    if lower_threshold > upper_threshold
        && let Some((_, place)) = line.argument("l-threshold")
    {
        let label = "the lower threshold is above the upper one (-x)";
        problems.push(Problem::new(place, "Numerical result out of range", label));
    }
    let ((rip, given), key) = (address?, key?);
    check_address(line, key, rip, forwarding, problems);
    // DR and TUN leave the packet alone, so ipvsadm forces the port of the service
    let port = match (forwarding, key) {
        (Forwarding::Dr | Forwarding::Tun, ServiceKey::Address { port, .. }) => port,
        _ => given,
    };
    Some(ServerRule {
        forwarding,
        tunnel,
        weight,
        upper_threshold,
        lower_threshold,
        ..ServerRule::new(rip, port)
    })
}

/// What the kernel asks of the address (`ip_vs_new_dest`, `ip_vs_genl_set_cmd`).
fn check_address(
    line: &Line<'_>,
    key: ServiceKey,
    rip: IpAddr,
    forwarding: Forwarding,
    problems: &mut Vec<Problem>,
) {
    let Some((_, place)) = line.argument("real-server") else { return };
    let refused = "Invalid operation.  Possibly wrong module version, address not unicast, ...";
    let broadcast = matches!(rip, IpAddr::V4(ip) if ip.to_bits() >= 0xf000_0000);
    if rip.is_unspecified() || rip.is_multicast() || broadcast {
        problems.push(Problem::new(place, refused, "not an address of a host"));
    } else if is_v6(key) != rip.is_ipv6() && forwarding != Forwarding::Tun {
        let label = "of another address family than the service: only with -i";
        problems.push(Problem::new(place, refused, label));
    }
}

fn forwarding(line: &Line<'_>, problems: &mut Vec<Problem>) -> (Forwarding, TunnelOptions) {
    if line.given("ipip").is_some() {
        return (Forwarding::Tun, tunnel(line, problems));
    }
    let extra = TUNNEL_OPTIONS.iter().filter_map(|o| line.given(o));
    for given in extra {
        let message = format!("the option '{}' needs the forwarding method -i", given.opt.long);
        problems.push(Problem::new(&given.place, message, "only with -i"));
    }
    let method = if line.given("masquerading").is_some() {
        Forwarding::Nat
    } else if line.given(FULL_NAT).is_some() {
        Forwarding::FullNat
    } else {
        Forwarding::Dr
    };
    (method, TunnelOptions::default())
}

const TUNNEL_OPTIONS: [&str; 5] = ["tun-type", "tun-port", "tun-nocsum", "tun-csum", "tun-remcsum"];

fn tunnel(line: &Line<'_>, problems: &mut Vec<Problem>) -> TunnelOptions {
    let checksum = checksum(line, problems);
    let wrong = |text: &str| format!("illegal tunnel port `{text}' specified");
    let port = line.number("tun-port", 0, (1, 65_535), wrong, problems) as u16;
    let mut forbid = |options: &[&str], kind: &str, allowed: &str| {
        for given in options.iter().filter_map(|o| line.given(o)) {
            let message = format!("the option '{}' conflicts with tun-type {kind}", given.opt.long);
            problems.push(Problem::new(&given.place, message, allowed));
        }
    };
    match line.argument("tun-type") {
        None | Some(("ipip", _)) => {
            forbid(&TUNNEL_OPTIONS[1..], "ipip", "only with --tun-type gue or gre");
            TunnelOptions::default()
        }
        Some(("gre", _)) => {
            forbid(&["tun-port", "tun-remcsum"], "gre", "only with --tun-type gue");
            TunnelOptions { kind: Encapsulation::Gre, port: 0, checksum }
        }
        Some(("gue", place)) => {
            if line.given("tun-port").is_none() {
                let message = "tun-type gue needs the option 'tun-port'";
                problems.push(Problem::new(place, message, "--tun-port PORT is missing"));
            }
            TunnelOptions { kind: Encapsulation::Gue, port, checksum }
        }
        Some((text, place)) => {
            let kinds = ["ipip", "gue", "gre"];
            let message = format!("illegal tunnel type `{text}' specified");
            let problem = Problem::new(place, message, format!("known are {}", list(kinds)));
            problems.push(match nearest(text, kinds) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem,
            });
            TunnelOptions::default()
        }
    }
}

fn checksum(line: &Line<'_>, problems: &mut Vec<Problem>) -> OuterChecksum {
    let kinds = [
        ("tun-nocsum", OuterChecksum::None),
        ("tun-csum", OuterChecksum::Full),
        ("tun-remcsum", OuterChecksum::Remote),
    ];
    let mut given = kinds.iter().filter_map(|(o, kind)| Some((line.given(o)?, *kind)));
    let first = given.next();
    for (again, _) in given {
        let message = format!("the option '{}' conflicts with another checksum", again.opt.long);
        let other = first.as_ref().map_or_else(String::new, |(g, _)| shown(g));
        problems.push(Problem::new(&again.place, message, format!("{other} is given too")));
    }
    first.map_or(OuterChecksum::None, |(_, kind)| kind)
}
