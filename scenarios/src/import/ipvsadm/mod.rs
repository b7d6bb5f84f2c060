//! Rules as `ipvsadm-save -n` prints them and `ipvsadm-restore` takes them.
//!
//! Each line is a command line of ipvsadm: `-A` adds a virtual service, `-a` a real server to it,
//! `-C` clears, `--set` changes the timeouts. Empty lines and lines that start with `#` are left
//! out, as is the word `ipvsadm`. Options and messages are those of ipvsadm 1.31.

mod line;
mod options;
mod service;

use crate::diagnostic::{FileId, Place, Problem, Sources};
use core::net::SocketAddr;
use line::{Command, Line};
use schedulers::Algorithm;
use service::{Address, Target};
use sim_core::config::IpvsConfig;
use sim_core::engine::Span;
use sim_core::ipvs::rules::{Forwarding, ServerRule, ServiceKey, ServiceRule};
use sim_core::wire::proto;

/// Rules with the places they were written at.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rules {
    /// The rules and timeouts; its settings are the kernel's defaults.
    pub config: IpvsConfig,
    /// Where each service was written.
    pub services: Vec<Place>,
    /// Where the real servers of each service were written.
    pub servers: Vec<Vec<Place>>,
    /// Services whose line was wrong: their real servers are no further mistake.
    broken: Vec<ServiceKey>,
}

/// Reads rules that are a part of a text among the sources: `base` bytes from its start.
///
/// Every line that cannot be understood gives a problem; the others are kept.
pub fn read(file: FileId, base: usize, text: &str, problems: &mut Vec<Problem>) -> Rules {
    let mut rules = Rules::default();
    let mut start = 0;
    for raw in text.split_inclusive('\n') {
        if !raw.starts_with('#')
            && let Err(mut found) = apply(&mut rules, file, base + start, raw)
        {
            problems.append(&mut found);
        }
        start += raw.len();
    }
    rules
}

/// Reads a whole file of rules.
pub fn read_file(sources: &Sources, file: FileId, problems: &mut Vec<Problem>) -> Rules {
    read(file, 0, sources.text(file), problems)
}

/// Whether a text looks like rules of ipvsadm: its first line that says anything is a command.
pub fn looks_like(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines.next().is_some_and(|l| {
        let l = l.strip_prefix("ipvsadm").map_or(l, str::trim_start);
        ["-A", "-a", "-C", "--add-s", "--clear", "--set"].iter().any(|c| l.starts_with(c))
    })
}

/// Gives every destination one forwarding method. DR and TUN leave the port alone, so the port of
/// the real server becomes that of the service, as ipvsadm forces it.
pub fn set_forwarding(config: &mut IpvsConfig, method: Forwarding) {
    for service in &mut config.services {
        let port = match service.key {
            ServiceKey::Address { port, .. } => Some(port),
            ServiceKey::Fwmark { .. } => None,
        };
        for server in &mut service.servers {
            server.forwarding = method;
            if let (Some(port), true) = (port, method != Forwarding::Nat) {
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

fn apply(rules: &mut Rules, file: FileId, base: usize, raw: &str) -> Result<(), Vec<Problem>> {
    let Some(line) = Line::read(file, base, raw)? else { return Ok(()) };
    match line.command {
        Command::Clear => *rules = Rules::default(),
        Command::Set => {
            let [tcp, fin, udp] = line.timeouts()?;
            let timeouts = &mut rules.config.timeouts;
            for (slot, seconds) in
                [(&mut timeouts.tcp, tcp), (&mut timeouts.tcp_fin, fin), (&mut timeouts.udp, udp)]
            {
                if seconds > 0 {
                    *slot = Some(Span::from_secs(seconds));
                }
            }
        }
        Command::AddService => add_service(rules, &line)?,
        Command::AddServer => add_server(rules, &line)?,
    }
    Ok(())
}

fn add_service(rules: &mut Rules, line: &Line<'_>) -> Result<(), Vec<Problem>> {
    let target = line.target()?;
    let service = service::service(line, &target).inspect_err(|_| rules.broken.push(target.key))?;
    if rules.config.services.iter().any(|s| s.key == service.key) {
        return Err(vec![Problem::new(
            &line.place,
            "Service already exists",
            "this service was added before",
        )]);
    }
    rules.config.services.push(service);
    rules.services.push(line.place.clone());
    rules.servers.push(Vec::new());
    Ok(())
}

fn add_server(rules: &mut Rules, line: &Line<'_>) -> Result<(), Vec<Problem>> {
    let target = line.target()?;
    let server = service::server(line, &target)?;
    if rules.broken.contains(&target.key) {
        return Ok(());
    }
    let Some(index) = rules.config.services.iter().position(|s| s.key == target.key) else {
        let known = rules.config.services.iter().map(|s| key_text(s.key)).collect::<Vec<_>>();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let problem =
            Problem::new(&target.place, "Service not defined", format!("services so far: {known}"));
        return Err(vec![problem.help("a -A line for it must come before")]);
    };
    let servers = &mut rules.config.services[index].servers;
    if servers.iter().any(|s| (s.rip, s.port) == (server.rip, server.port)) {
        return Err(vec![Problem::new(
            &line.place,
            "Destination already exists",
            "this real server was added to the service before",
        )]);
    }
    servers.push(server);
    rules.servers[index].push(line.place.clone());
    Ok(())
}

/// A service as ipvsadm writes it: `-t 10.0.0.1:80`.
pub fn key_text(key: ServiceKey) -> String {
    match key {
        ServiceKey::Address { protocol, vip, port } => {
            let option = if protocol == proto::UDP { "-u" } else { "-t" };
            format!("{option} {}", SocketAddr::new(vip, port))
        }
        ServiceKey::Fwmark { mark, v6: false } => format!("-f {mark}"),
        ServiceKey::Fwmark { mark, v6: true } => format!("-f {mark} -6"),
    }
}

#[cfg(test)]
mod tests;
