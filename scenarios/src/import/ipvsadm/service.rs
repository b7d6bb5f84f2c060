//! What the options of `-A` and `-a` mean.

use super::line::{Given, Line};
use super::{Forwarding, ServerRule, ServiceKey, ServiceRule, proto};
use crate::diagnostic::{Place, Problem};
use crate::format::words::{list, nearest};
use core::net::IpAddr;
use schedulers::Algorithm;
use sim_core::engine::Span;

/// The service a line is about.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) key: ServiceKey,
    pub(super) place: Place,
}

/// An address with a port that may be absent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    pub(super) ip: IpAddr,
    pub(super) port: Option<u16>,
}

fn not_simulated(place: &Place, what: &str) -> Problem {
    Problem::new(place, format!("{what}: not simulated yet"), "this cannot be played")
}

/// Reads `address[:port]`.
pub(super) fn address(text: &str, place: &Place, wrong: &str) -> Result<Address, Vec<Problem>> {
    if text.starts_with('[') || text.matches(':').count() > 1 {
        return Err(vec![not_simulated(place, "IPv6")]);
    }
    let problem = |label: &str| vec![Problem::new(place, wrong, label)];
    let (host, port) = text.split_once(':').map_or((text, None), |(h, p)| (h, Some(p)));
    let numeric = "names are not resolved; print the rules with `ipvsadm-save -n`";
    let Ok(ip) = host.parse::<std::net::Ipv4Addr>() else {
        let name = host.chars().any(|c| c.is_ascii_alphabetic());
        return Err(problem(if name { numeric } else { "expected an IPv4 address[:port]" }));
    };
    let port = match port {
        None => None,
        Some(p) => match p.parse::<u16>() {
            Ok(p) => Some(p),
            Err(_) if p.chars().any(|c| c.is_ascii_alphabetic()) => return Err(problem(numeric)),
            Err(_) => return Err(problem("a port is from 0 to 65535")),
        },
    };
    Ok(Address { ip: ip.into(), port })
}

/// The service that `-t`, `-u`, `-f` or `--sctp-service` names.
pub(super) fn target(line: &Line<'_>, given: &Given<'_>) -> Result<Target, Vec<Problem>> {
    // the reader has made sure that the option has its argument
    let (text, place) = given.argument.clone().unwrap_or(("", given.place.clone()));
    if given.opt.long == "fwmark-service" {
        return match text.parse::<u32>() {
            Ok(mark) if mark > 0 => Err(vec![not_simulated(&place, "a firewall mark service")]),
            _ => {
                let message = format!("invalid fwmark value `{text}' specified");
                Err(vec![Problem::new(&place, message, "a number from 1 to 4294967295")])
            }
        };
    }
    if let Some(six) = line.given("ipv6") {
        let problem = Problem::new(&six.place, "-6 used without -f", "only for -f");
        return Err(vec![problem]);
    }
    let wrong = "illegal virtual server address[:port] specified";
    let address = address(text, &place, wrong)?;
    let protocol = match given.opt.long {
        "udp-service" => proto::UDP,
        "sctp-service" => return Err(vec![not_simulated(&given.place, "SCTP")]),
        _ => proto::TCP,
    };
    if address.ip.is_unspecified() || address.ip.is_multicast() {
        return Err(vec![Problem::new(&place, wrong, "not an address of a host")]);
    }
    let key = ServiceKey::Address { protocol, vip: address.ip, port: address.port.unwrap_or(0) };
    Ok(Target { key, place })
}

/// The service of a `-A` line.
pub(super) fn service(line: &Line<'_>, target: &Target) -> Result<ServiceRule, Vec<Problem>> {
    let mut problems = Vec::new();
    let scheduler = scheduler(line, &mut problems);
    let sched_flags = flags(line, scheduler, &mut problems);
    persistence(line, &mut problems);
    if let Some(pe) = line.given("pe") {
        problems.push(not_simulated(&pe.place, "a persistence engine"));
    }
    if let Some(ops) = line.given("ops") {
        let udp = matches!(target.key, ServiceKey::Address { protocol: proto::UDP, .. });
        problems.push(if udp {
            not_simulated(&ops.place, "one-packet scheduling")
        } else {
            Problem::new(
                &ops.place,
                "One-Packet Scheduling is only for UDP virtual services",
                "this service is not UDP",
            )
        });
    }
    let zero = matches!(target.key, ServiceKey::Address { port: 0, .. });
    if zero && line.given("persistent").is_none() {
        problems.push(Problem::new(
            &target.place,
            "Zero port specified for non-persistent service",
            "expected ADDRESS:PORT",
        ));
    }
    match scheduler {
        Some(scheduler) if problems.is_empty() => {
            Ok(ServiceRule { scheduler, sched_flags, ..ServiceRule::new(target.key) })
        }
        _ => Err(problems),
    }
}

fn scheduler(line: &Line<'_>, problems: &mut Vec<Problem>) -> Option<Algorithm> {
    let Some((text, place)) = line.argument("scheduler") else { return Some(Algorithm::Wlc) };
    if let Ok(algorithm) = text.parse::<Algorithm>() {
        return Some(algorithm);
    }
    let names = || Algorithm::ALL.iter().map(|a| a.name());
    let allowed = format!("known are {}", list(names()));
    let problem = Problem::new(place, format!("`{text}` is no scheduler"), allowed);
    problems.push(match nearest(text, names()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    });
    None
}

/// The scheduler flags by their names: the bit, and the scheduler they are for.
const FLAGS: [(&str, u8, Option<Algorithm>); 7] = [
    ("flag-1", 1, None),
    ("flag-2", 2, None),
    ("flag-3", 4, None),
    ("sh-fallback", 1, Some(Algorithm::Sh)),
    ("sh-port", 2, Some(Algorithm::Sh)),
    ("mh-fallback", 1, Some(Algorithm::Mh)),
    ("mh-port", 2, Some(Algorithm::Mh)),
];

/// The bits that `-b` sets, 0 without it.
fn flags(line: &Line<'_>, scheduler: Option<Algorithm>, problems: &mut Vec<Problem>) -> u8 {
    let Some((text, place)) = line.argument("sched-flags") else { return 0 };
    let mut bits = 0;
    for flag in text.split(',') {
        let Some((_, bit, needs)) = FLAGS.iter().find(|(name, ..)| *name == flag) else {
            let names = || FLAGS.iter().map(|f| f.0);
            let message = format!("`{flag}` is no scheduler flag");
            let problem = Problem::new(place, message, format!("known are {}", list(names())));
            problems.push(match nearest(flag, names()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem,
            });
            continue;
        };
        bits |= bit;
        if let (Some(needs), Some(scheduler)) = (needs, scheduler)
            && *needs != scheduler
        {
            let message = format!("incompatible scheduler flag `{flag}'");
            let label = format!("needs the scheduler {needs}, not {scheduler}");
            problems.push(Problem::new(place, message, label));
        }
    }
    bits
}

fn persistence(line: &Line<'_>, problems: &mut Vec<Problem>) {
    if let Some((text, place)) = line.argument("netmask") {
        let mask = text.parse::<std::net::Ipv4Addr>().map(std::net::Ipv4Addr::to_bits);
        if !mask.is_ok_and(|m| m.leading_ones() + m.trailing_zeros() == 32) {
            let message = format!("illegal netmask `{text}'");
            problems.push(Problem::new(place, message, "a mask such as 255.255.255.0"));
        }
    }
    let Some(given) = line.given("persistent") else { return };
    if let Some((text, place)) = &given.argument
        && !text.parse::<u64>().is_ok_and(|s| (1..=2_678_400).contains(&s))
    {
        let message = format!("invalid timeout value `{text}' specified");
        problems.push(Problem::new(place, message, "seconds from 1 to 2678400"));
        return;
    }
    debug_assert!(Span::MAX.as_nanos() / 1_000_000_000 > 2_678_400, "a persistence time fits");
    problems.push(not_simulated(&given.place, "persistence"));
}

/// The real server of a `-a` line.
pub(super) fn server(line: &Line<'_>, target: &Target) -> Result<ServerRule, Vec<Problem>> {
    let (address, _) = line.real_server()?;
    let mut problems = Vec::new();
    let service_port = match target.key {
        ServiceKey::Address { port, .. } => port,
        ServiceKey::Fwmark { .. } => 0,
    };
    let forwarding = if line.given("masquerading").is_some() {
        Forwarding::Nat
    } else if line.given("ipip").is_some() {
        Forwarding::Tun
    } else {
        Forwarding::Dr
    };
    tunnel(line, forwarding, &mut problems);
    let weight = number(line, "weight", 1, 65_535, "illegal weight specified", &mut problems);
    let most = u64::from(i32::MAX as u32);
    let upper =
        number(line, "u-threshold", 0, most, "illegal u_threshold specified", &mut problems);
    let lower =
        number(line, "l-threshold", 0, most, "illegal l_threshold specified", &mut problems);
    if lower > upper
        && let Some((_, place)) = line.argument("l-threshold")
    {
        let label = "the lower threshold is above the upper one";
        problems.push(Problem::new(place, "Numerical result out of range", label));
    }
    // DR and TUN leave the packet alone, so ipvsadm forces the port of the service
    let port = match forwarding {
        Forwarding::Nat => address.port.unwrap_or(service_port),
        _ => service_port,
    };
    if problems.is_empty() {
        Ok(ServerRule {
            forwarding,
            weight: weight as u16,
            upper_threshold: upper as u32,
            lower_threshold: lower as u32,
            ..ServerRule::new(address.ip, port)
        })
    } else {
        Err(problems)
    }
}

fn tunnel(line: &Line<'_>, forwarding: Forwarding, problems: &mut Vec<Problem>) {
    let extra = ["tun-port", "tun-nocsum", "tun-csum", "tun-remcsum"];
    let extra = extra.iter().find_map(|o| line.given(o));
    let kind = line.argument("tun-type");
    if forwarding != Forwarding::Tun
        && let Some(given) = line.given("tun-type").or(extra)
    {
        let message = format!("the option '{}' needs the forwarding method -i", given.opt.long);
        problems.push(Problem::new(&given.place, message, "only with -i"));
        return;
    }
    match kind {
        Some(("ipip", _)) | None => {
            if let Some(given) = extra {
                let message =
                    format!("the option '{}' conflicts with tun-type ipip", given.opt.long);
                problems.push(Problem::new(&given.place, message, "only with gue or gre"));
            }
        }
        Some(("gue" | "gre", place)) => {
            problems.push(not_simulated(place, "a tunnel other than IPIP"));
        }
        Some((text, place)) => {
            let message = format!("illegal tunnel type `{text}' specified");
            problems.push(Problem::new(place, message, "one of ipip, gue, gre"));
        }
    }
}

fn number(
    line: &Line<'_>,
    option: &str,
    default: u64,
    most: u64,
    wrong: &str,
    problems: &mut Vec<Problem>,
) -> u64 {
    let Some((text, place)) = line.argument(option) else { return default };
    match text.parse::<u64>() {
        Ok(n) if n <= most => n,
        _ => {
            problems.push(Problem::new(place, wrong, format!("a number from 0 to {most}")));
            default
        }
    }
}
