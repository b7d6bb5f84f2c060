//! Rules that a director starts with.

use super::rules::{self, Action, Forwarding, ServiceKey, Tunnel};
use super::table::{Entry, Table};
use super::{Names, line, lines};
use crate::diagnostic::{FileId, Place, Problem};
use schedulers::Algorithm;
use sim_core::config::IpvsConfig;
use sim_core::engine::Span;
use sim_core::ipvs::rules as core;
use sim_core::wire::Ip;
use std::net::IpAddr;

/// Rules with the places they were written at.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rules {
    /// The rules and timeouts; its settings are the kernel's defaults.
    pub config: IpvsConfig,
    /// Where each service was written.
    pub services: Vec<Place>,
    /// Where the real servers of each service were written.
    pub servers: Vec<Vec<Place>>,
}

/// Reads lines, plays them one after the other, and takes what is there at the end.
pub(super) fn read(
    file: FileId,
    base: usize,
    text: &str,
    names: &Names,
    problems: &mut Vec<Problem>,
) -> Rules {
    let mut table = Table::default();
    lines(file, base, text, |place, raw| {
        let found = match line(file, place.span.start, raw, names) {
            Ok(Some(action)) => play(&mut table, &action, &place).err().into_iter().collect(),
            Ok(None) => Vec::new(),
            Err(found) => {
                if let Some(key) = broken(file, raw, names) {
                    table.mark_broken(key);
                }
                found
            }
        };
        problems.extend(found);
    });
    rules(&table, problems)
}

/// The service that a wrong `-A` line was meant to add.
fn broken(file: FileId, raw: &str, names: &Names) -> Option<ServiceKey> {
    let words = super::words::words(file, 0, raw);
    line::service_of(&words, names)
}

fn play(table: &mut Table, action: &Action, place: &Place) -> Result<(), Problem> {
    match action {
        Action::Restore => {
            let message = "the command --restore has no place in rules";
            Err(Problem::new(place, message, "rules cannot read themselves"))
        }
        Action::StartDaemon(_) | Action::StopDaemon(..) => {
            Err(not_simulated(place, "connection synchronisation"))
        }
        action => table.apply(action, place),
    }
}

fn not_simulated(place: &Place, what: &str) -> Problem {
    Problem::new(place, format!("{what}: not simulated yet"), "this cannot be played")
}

fn rules(table: &Table, problems: &mut Vec<Problem>) -> Rules {
    let mut rules = Rules::default();
    let [tcp, tcp_fin, udp] =
        table.timeouts.map(|s| (s > 0).then(|| Span::from_secs(u64::from(s))));
    rules.config.timeouts = core::TimeoutRule { tcp, tcp_fin, udp };
    for entry in &table.services {
        match service(entry) {
            Ok(service) => {
                rules.config.services.push(service);
                rules.services.push(entry.place.clone());
                rules.servers.push(entry.servers.iter().map(|s| s.1.clone()).collect());
            }
            Err(problem) => problems.push(problem),
        }
    }
    rules
}

/// A service with its servers as the director takes it.
fn service(entry: &Entry) -> Result<core::ServiceRule, Problem> {
    let place = &entry.place;
    let rule = &entry.rule;
    let ServiceKey::Address { protocol, vip, port } = rule.key else {
        return Err(not_simulated(place, "a firewall mark service"));
    };
    if protocol == rules::SCTP {
        return Err(not_simulated(place, "SCTP"));
    }
    for (given, what) in [
        (rule.persistent.is_some(), "persistence"),
        (rule.one_packet, "one-packet scheduling"),
        (rule.sip, "a persistence engine"),
    ] {
        if given {
            return Err(not_simulated(place, what));
        }
    }
    let vip = ip(vip).ok_or_else(|| not_simulated(place, "IPv6"))?;
    let servers = entry.servers.iter().map(|(server, place)| {
        Ok(core::ServerRule {
            rip: ip(server.rip).ok_or_else(|| not_simulated(place, "IPv6"))?,
            port: server.port,
            forwarding: match server.forwarding {
                Forwarding::Nat => core::Forwarding::Nat,
                Forwarding::Dr => core::Forwarding::Dr,
                Forwarding::Tun(Tunnel::Ipip) => core::Forwarding::Tun,
                Forwarding::Tun(_) => {
                    return Err(not_simulated(place, "a tunnel other than IPIP"));
                }
            },
            weight: server.weight,
            upper_threshold: server.upper_threshold,
            lower_threshold: server.lower_threshold,
        })
    });
    Ok(core::ServiceRule {
        key: core::ServiceKey::Address { protocol, vip, port },
        scheduler: rule.scheduler,
        sched_flags: rule.sched_flags,
        persistent: None,
        netmask_len: 32,
        one_packet: false,
        servers: servers.collect::<Result<_, _>>()?,
    })
}

fn ip(ip: IpAddr) -> Option<Ip> {
    match ip {
        IpAddr::V4(ip) => Some(ip.into()),
        IpAddr::V6(_) => None,
    }
}

/// Gives every destination one forwarding method. DR and TUN leave the port alone, so the port of
/// the real server becomes that of the service, as ipvsadm forces it.
pub fn set_forwarding(config: &mut IpvsConfig, method: core::Forwarding) {
    for service in &mut config.services {
        let port = match service.key {
            core::ServiceKey::Address { port, .. } => Some(port),
            core::ServiceKey::Fwmark(_) => None,
        };
        for server in &mut service.servers {
            server.forwarding = method;
            if let (Some(port), true) = (port, method != core::Forwarding::Nat) {
                server.port = port;
            }
        }
    }
}

/// Gives every service one scheduler. Flags mean something else to another scheduler, so those of a
/// service that had another one are dropped.
pub fn set_scheduler(config: &mut IpvsConfig, scheduler: Algorithm) {
    for service in config.services.iter_mut().filter(|s| s.scheduler != scheduler) {
        service.scheduler = scheduler;
        service.sched_flags = 0;
    }
}

/// A service as ipvsadm writes it: `-t 10.0.0.1:80`.
pub fn key_text(key: core::ServiceKey) -> String {
    let key = match key {
        core::ServiceKey::Address { protocol, vip, port } => {
            ServiceKey::Address { protocol, vip: std::net::Ipv4Addr::from(vip).into(), port }
        }
        core::ServiceKey::Fwmark(mark) => ServiceKey::Fwmark { mark, v6: false },
    };
    key.to_string()
}
