//! From an `ldirectord.cf` to what ldirectord does.

use super::resolve;
use crate::diagnostic::Problem;
use crate::import::commands::Findings;
use crate::import::ldirectord::{CheckType, Host, Protocol, Server, Target, Virtual};
use crate::model::LdirectordFile;
use schedulers::Algorithm;
use sim_core::config::{
    CheckKind, Exchange, HostConfig, LdirectordConfig, RealConfig, VirtualConfig,
};
use sim_core::engine::Span;
use sim_core::ipvs::rules::{Forwarding, ServerRule, ServiceKey, ServiceRule};
use sim_core::wire::proto;
use std::net::IpAddr;

/// Bytes that a request or a query is above its text.
const FRAME: usize = 16;

/// What ldirectord does with a file.
pub(super) fn configure(
    file: &LdirectordFile,
    hosts: &[HostConfig],
    findings: &mut Findings,
) -> LdirectordConfig {
    let all = &file.configuration;
    let virtuals = all.virtuals.iter().filter_map(|v| service(v, hosts, findings)).collect();
    LdirectordConfig {
        start: file.start,
        virtuals,
        fork: all.global.fork,
        clean_stop: all.global.cleanstop,
        ..LdirectordConfig::default()
    }
}

fn address(
    host: &Host,
    place: &crate::diagnostic::Place,
    hosts: &[HostConfig],
    findings: &mut Findings,
) -> Option<IpAddr> {
    match host {
        Host::Ip(ip) => Some(*ip),
        Host::Name(name) => {
            let found = resolve(hosts, name);
            if found.is_none() {
                let message = format!("`{name}` is neither an address nor a host");
                findings.problems.push(Problem::new(place, message, "who is that?"));
            }
            found
        }
    }
}

fn service(v: &Virtual, hosts: &[HostConfig], findings: &mut Findings) -> Option<VirtualConfig> {
    let (key, port) = match &v.target {
        Target::Fwmark(mark) => (ServiceKey::Fwmark { mark: *mark, v6: v.v6 }, 0),
        Target::Address(host, port) => {
            let vip = address(host, &v.place, hosts, findings)?;
            let protocol = if v.protocol == Protocol::Udp { proto::UDP } else { proto::TCP };
            (ServiceKey::Address { protocol, vip, port: *port }, *port)
        }
    };
    let scheduler = Algorithm::ALL.into_iter().find(|a| a.name() == v.scheduler);
    if scheduler.is_none() {
        let message = format!("the kernel has no scheduler `{}`", v.scheduler);
        let label = "ipvsadm refuses the service";
        findings.problems.push(Problem::new(&v.place, message, label));
    }
    if let Some(flags) = &v.sched_flags {
        findings.remark(&v.place, format!("schedflags={flags} has no effect here"));
    }
    let plain = ServiceRule::new(key);
    let rule = ServiceRule {
        scheduler: scheduler.unwrap_or(plain.scheduler),
        persistent: v.persistent,
        netmask_len: v.netmask.filter(|_| v.persistent.is_some()).unwrap_or(plain.netmask_len),
        one_packet: v.one_packet && v.protocol == Protocol::Udp,
        ..plain
    };
    let servers: Vec<RealConfig> = v
        .real
        .iter()
        .filter_map(|server| {
            let rip = address(&server.host, &server.place, hosts, findings)?;
            Some(RealConfig {
                rule: server_rule(server, rip, port),
                exchange: server.exchange.as_ref().map(|(request, _)| exchange(v, request)),
                external_failures: Vec::new(),
            })
        })
        .collect();
    let fallback = v.fallback.as_ref().and_then(|server| {
        let rip = address(&server.host, &server.place, hosts, findings)?;
        Some(server_rule(server, rip, port))
    });
    let check = match v.check {
        CheckType::Negotiate => CheckKind::Negotiate(exchange(v, &v.request)),
        CheckType::Connect => CheckKind::Connect,
        CheckType::Combined(n) => CheckKind::Combined(n, exchange(v, &v.request)),
        CheckType::Ping => CheckKind::Ping,
        CheckType::External | CheckType::ExternalPerl => CheckKind::External(Span::from_millis(50)),
        CheckType::On => CheckKind::On,
        CheckType::Off => CheckKind::Off,
    };
    Some(VirtualConfig {
        servers,
        fallback,
        quiescent: v.quiescent,
        check: without_service(v, check),
        check_port: v.check_port,
        check_timeout: v.check_timeout,
        negotiate_timeout: v.negotiate_timeout,
        check_interval: v.check_interval,
        check_count: v.check_count.max(1),
        failure_count: v.failure_count.max(1),
        ..VirtualConfig::new(rule)
    })
}

/// `service=none`: nothing is negotiated, the real servers are taken to work (`check_none`).
fn without_service(v: &Virtual, check: CheckKind) -> CheckKind {
    match check {
        CheckKind::Negotiate(_) if v.service == "none" => CheckKind::On,
        check => check,
    }
}

/// What is exchanged with a server of a service.
fn exchange(v: &Virtual, request: &str) -> Exchange {
    let bytes = request.len() + FRAME;
    match v.service.as_str() {
        "http" | "https" => Exchange::Page {
            path: if request.starts_with('/') { request.to_owned() } else { format!("/{request}") },
            virtualhost: v.virtualhost.clone(),
            tls: v.service == "https",
        },
        "smtp" => Exchange::Mail,
        "dns" => Exchange::Name(u16::try_from(bytes).unwrap_or(u16::MAX)),
        _ if v.protocol == Protocol::Udp => {
            Exchange::Datagram(u16::try_from(bytes).unwrap_or(u16::MAX))
        }
        _ => Exchange::Request(u32::try_from(bytes).unwrap_or(u32::MAX)),
    }
}

fn server_rule(server: &Server, rip: IpAddr, port: u16) -> ServerRule {
    let mapped = if server.port == 0 { port } else { server.port };
    ServerRule {
        forwarding: server.forwarding,
        weight: u16::try_from(server.weight).unwrap_or(u16::MAX),
        upper_threshold: server.thresholds.0,
        lower_threshold: server.thresholds.1,
        // ipvsadm takes the port of the service for methods that cannot map it
        ..ServerRule::new(rip, if server.forwarding == Forwarding::Nat { mapped } else { port })
    }
}
