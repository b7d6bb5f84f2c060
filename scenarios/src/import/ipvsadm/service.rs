//! The options of a virtual service.

use super::action::FLAGS;
use super::address::{address, inet_aton};
use super::line::{Line, items};
use crate::diagnostic::Problem;
use crate::format::words::{list, nearest};
use schedulers::Algorithm;
use sim_core::engine::Span;
use sim_core::ipvs::rules::{Engine, ServiceKey, ServiceRule};
use sim_core::wire::proto;
use std::net::{IpAddr, Ipv4Addr};

/// Seconds of `-p` without a number.
const PERSISTENT: u32 = 360;
/// The longest time that ipvsadm takes, 31 days.
pub(super) const MAX_TIMEOUT: u32 = 31 * 86_400;

/// The service that `-t`, `-u`, `--sctp-service` or `-f` names.
pub(super) fn target(line: &Line<'_>, problems: &mut Vec<Problem>) -> Option<ServiceKey> {
    let given = line.service();
    if let Some(six) = line.given("ipv6")
        && !line.before("fwmark-service", "ipv6")
    {
        let label = "expected after -f MARK; -t and -u take [IPv6]:PORT";
        problems.push(Problem::new(&six.place, "-6 used before -f", label));
    }
    let given = given?;
    let argument = given.argument.as_ref()?;
    if given.opt.long == "fwmark-service" {
        return match argument.0.parse::<u32>() {
            Ok(mark) if mark > 0 => {
                Some(ServiceKey::Fwmark { mark, v6: line.given("ipv6").is_some() })
            }
            _ => {
                let message = format!("invalid fwmark value `{}' specified", argument.0);
                let label = "expected a number from 1 to 4294967295";
                problems.push(Problem::new(&argument.1, message, label));
                None
            }
        };
    }
    let protocol = match given.opt.long {
        "udp-service" => proto::UDP,
        "sctp-service" => proto::SCTP,
        _ => proto::TCP,
    };
    let wrong = "illegal virtual server address[:port] specified";
    let found = match address(argument, protocol, line.names, wrong) {
        Ok(found) => found,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    let broadcast = matches!(found.ip, IpAddr::V4(ip) if ip.to_bits() >= 0xf000_0000);
    if found.ip.is_unspecified() || found.ip.is_multicast() || broadcast {
        problems.push(Problem::new(&argument.1, wrong, "not an address of a host"));
        return None;
    }
    Some(ServiceKey::Address { protocol, vip: found.ip, port: found.port.unwrap_or(0) })
}

/// The service of a `-A` or `-E` line. Without a `key` the other options are read all the same.
pub(super) fn rule(
    line: &Line<'_>,
    key: Option<ServiceKey>,
    problems: &mut Vec<Problem>,
) -> Option<ServiceRule> {
    let scheduler = scheduler(line, problems);
    let sched_flags = flags(line, scheduler, problems);
    let persistent = persistent(line, problems);
    let netmask = netmask(line, key, problems);
    let engine = engine(line, problems);
    let key = key?;
    let one_packet = line.given("ops").is_some();
    if let Some(ops) = line.given("ops")
        && matches!(key, ServiceKey::Address { protocol, .. } if protocol != proto::UDP)
    {
        let message = "One-Packet Scheduling is only for UDP virtual services";
        problems.push(Problem::new(&ops.place, message, "only with -u or -f"));
    }
    if let ServiceKey::Address { port: 0, .. } = key
        && line.given("persistent").is_none()
        && let Some((_, place)) = line.service().and_then(|g| g.argument.as_ref())
    {
        let message = "Zero port specified for non-persistent service";
        let problem = Problem::new(place, message, "expected ADDRESS:PORT");
        problems.push(problem.help("with -p one service takes all ports of the address"));
    }
    let bare = ServiceRule::new(key);
    Some(ServiceRule {
        scheduler: scheduler?,
        sched_flags,
        persistent,
        netmask_len: netmask.unwrap_or(bare.netmask_len),
        one_packet,
        engine,
        ..bare
    })
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
        None => problem.help("ipvsadm says: Scheduler or persistence engine not found"),
    });
    None
}

/// The bits that `-b` sets, 0 without it.
fn flags(line: &Line<'_>, scheduler: Option<Algorithm>, problems: &mut Vec<Problem>) -> u8 {
    let Some(argument) = line.argument("sched-flags") else { return 0 };
    let mut bits = 0;
    for (flag, place) in items(argument) {
        let Some((_, bit, needs)) = FLAGS.iter().find(|(name, ..)| *name == flag) else {
            let names = || FLAGS.iter().map(|f| f.0);
            let message = format!("`{flag}` is no scheduler flag");
            let problem = Problem::new(&place, message, format!("known are {}", list(names())));
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
            problems.push(Problem::new(&place, message, label));
        }
    }
    bits
}

fn persistent(line: &Line<'_>, problems: &mut Vec<Problem>) -> Option<Span> {
    line.given("persistent")?;
    let wrong = |text: &str| format!("invalid timeout value `{text}' specified");
    let seconds = line.number("persistent", PERSISTENT, (1, MAX_TIMEOUT), wrong, problems);
    Some(Span::from_secs(u64::from(seconds)))
}

/// `-M`: a mask for IPv4, a prefix length for IPv6; as the number of leading bits.
fn netmask(line: &Line<'_>, key: Option<ServiceKey>, problems: &mut Vec<Problem>) -> Option<u8> {
    let (text, place) = line.argument("netmask")?;
    if key.is_some_and(is_v6) {
        let len = text.parse::<u8>().ok().filter(|len| (1..=128).contains(len));
        if len.is_none() {
            let label = "expected a prefix length from 1 to 128";
            problems.push(Problem::new(place, "illegal ipv6 netmask specified", label));
        }
        return len;
    }
    let Some(mask) = inet_aton(text).map(Ipv4Addr::to_bits) else {
        // the mask of a service that was not understood may be one of IPv6
        if key.is_some() || text.parse::<u8>().is_err() {
            let message = "illegal virtual server persistent mask specified";
            problems.push(Problem::new(place, message, "expected a mask such as 255.255.255.0"));
        }
        return None;
    };
    let len = mask.leading_ones();
    if key.is_some() && mask.count_ones() != len {
        let message = format!("the mask {text} is not one of leading bits: not simulated");
        let problem = Problem::new(place, message, "expected a mask such as 255.255.255.0");
        problems.push(problem.help("ipvsadm and the kernel take any mask"));
    }
    Some(len as u8)
}

/// Whether packets of the service are IPv6.
pub(crate) const fn is_v6(key: ServiceKey) -> bool {
    match key {
        ServiceKey::Address { vip, .. } => vip.is_ipv6(),
        ServiceKey::Fwmark { v6, .. } => v6,
    }
}

fn engine(line: &Line<'_>, problems: &mut Vec<Problem>) -> Option<Engine> {
    let (text, place) = line.argument("pe")?;
    if *text != "sip" {
        let message = format!("`{text}` is no persistence engine");
        let problem = Problem::new(place, message, "known is sip");
        let help = "ipvsadm says: Scheduler or persistence engine not found";
        problems.push(problem.help(help));
    }
    Some(Engine::Sip)
}
