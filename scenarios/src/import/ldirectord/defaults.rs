//! What services have that they do not say, and what does not go together.

use super::service::Stated;
use super::{CheckType, Global, Host, Protocol, Target, Virtual};
use crate::import::findings::Findings;
use sim_core::engine::Span;
use std::collections::BTreeSet;

/// The service that a port is usually of (`ld_port_to_service`).
fn service_of(port: u16) -> &'static str {
    match port {
        21 => "ftp",
        25 => "smtp",
        53 => "dns",
        80 => "http",
        110 => "pop",
        119 => "nntp",
        143 => "imap",
        389 => "ldap",
        443 => "https",
        587 => "submission",
        636 => "ldaps",
        993 => "imaps",
        995 => "pops",
        1521 => "oracle",
        1812 => "radius",
        3128 => "http_proxy",
        3306 => "mysql",
        5060 => "sip",
        5432 => "pgsql",
        _ => "none",
    }
}

/// Services with what is in force for them.
pub(super) fn fill(stated: Vec<Stated>, global: &Global, findings: &mut Findings) -> Vec<Virtual> {
    let mut seen: BTreeSet<(Target, Protocol)> = BTreeSet::new();
    let mut all = Vec::new();
    for service in stated {
        if !seen.insert((service.target.clone(), service.protocol)) {
            findings.error(&service.place, "duplicate virtual server", "it stands further above");
            continue;
        }
        if let Some((_, place)) = service.check_interval.as_ref().filter(|_| !global.fork) {
            let message = format!(
                "checkinterval in virtual service {} ignored when fork=no",
                shown(&service.target)
            );
            findings.warn(place, message, "that of all services counts");
        }
        let service = one(service, global);
        judge(&service, findings);
        all.push(service);
    }
    all
}

fn shown(target: &Target) -> String {
    match target {
        Target::Address(Host::Ip(ip), port) => format!("{ip}:{port}"),
        Target::Address(Host::Name(name), port) => format!("{name}:{port}"),
        Target::Fwmark(mark) => mark.to_string(),
    }
}

fn one(stated: Stated, global: &Global) -> Virtual {
    let port = match stated.target {
        Target::Address(_, port) => port,
        Target::Fwmark(_) => 0,
    };
    // each of both takes the place of the other before what holds for all
    let (check, negotiate) = (stated.check_timeout, stated.negotiate_timeout);
    let check_timeout = check.or(negotiate).or(global.check_timeout).or(global.negotiate_timeout);
    let negotiate_timeout =
        negotiate.or(check).or(global.negotiate_timeout).or(global.check_timeout);
    let fallback = if stated.v6 { &global.fallback6 } else { &global.fallback };
    let interval = stated.check_interval.filter(|_| global.fork).map(|i| i.0);
    Virtual {
        target: stated.target,
        v6: stated.v6,
        protocol: stated.protocol,
        real: stated.real,
        check: stated.check,
        service: stated.service.unwrap_or_else(|| service_of(port).to_owned()),
        check_port: stated.check_port,
        check_command: stated.check_command.unwrap_or_else(|| "/bin/true".to_owned()),
        request: stated.request,
        receive: stated.receive,
        virtualhost: stated.virtualhost,
        http_head: stated.http_head,
        scheduler: stated.scheduler,
        sched_flags: stated.sched_flags,
        persistent: stated.persistent,
        netmask: stated.netmask,
        one_packet: stated.one_packet && stated.protocol == Protocol::Udp,
        fallback: stated.fallback.or_else(|| fallback.clone()),
        fallback_command: stated.fallback_command.or_else(|| global.fallback_command.clone()),
        quiescent: stated.quiescent.unwrap_or(global.quiescent),
        cleanstop: stated.cleanstop.unwrap_or(global.cleanstop),
        check_timeout: check_timeout.unwrap_or(Span::from_secs(5)),
        negotiate_timeout: negotiate_timeout.unwrap_or(Span::from_secs(30)),
        check_interval: interval.unwrap_or(global.check_interval),
        check_count: stated.check_count.unwrap_or(global.check_count),
        failure_count: stated.failure_count.unwrap_or(global.failure_count),
        place: stated.place,
    }
}

/// What is hardly meant.
fn judge(service: &Virtual, findings: &mut Findings) {
    let shown = shown(&service.target);
    if service.real.is_empty() {
        let message = format!("{shown} has no real servers");
        findings.warn(&service.place, message, "`real=IP:PORT gate` is missing");
    }
    let mut seen = BTreeSet::new();
    for real in &service.real {
        if !seen.insert((real.host.clone(), real.port)) {
            findings.warn(&real.place, "the real server is there twice", "once further above");
        }
    }
    let talks = matches!(service.check, CheckType::Negotiate | CheckType::Combined(_));
    if talks && service.service == "none" {
        let message = format!(
            "{shown}: negotiate has no meaning without `service=`: real servers are taken to work"
        );
        findings.warn(&service.place, message, "`checktype=connect` or `service=` is missing");
    }
    if service.netmask.is_some() && service.persistent.is_none() {
        let message = format!("{shown}: netmask has no effect without persistent");
        findings.warn(&service.place, message, "`persistent=SECONDS` is missing");
    }
}
