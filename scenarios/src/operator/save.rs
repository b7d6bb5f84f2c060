//! Rules as `ipvsadm -S` prints them and `ipvsadm -R` takes them.

use super::services::mask;
use super::{name, sort};
use crate::import::ipvsadm::{Names, flags_text, key_text};
use sim_core::ipvs::Stats;
use sim_core::ipvs::rules::{
    Encapsulation, Engine, Forwarding, OuterChecksum, ServerRule, ServiceKey, ServiceRule,
    TunnelOptions,
};
use sim_core::observe::{DestinationState, DirectorSnapshot, ServiceState};
use sim_core::wire::proto;
use std::fmt::Write as _;

/// The rules as lines of ipvsadm, sorted as it sorts them. Thresholds and timeouts are not saved.
/// With `names` hosts and ports are named where they have names.
pub fn save(snapshot: &DirectorSnapshot, names: Option<&Names>) -> String {
    let mut out = String::new();
    for service in sort::services(&snapshot.services) {
        let key = key(service.rule.key, names);
        let _infallible = writeln!(out, "-A {key}{}", parameters(&service.rule));
        for local in &service.rule.local_addresses {
            let _infallible = writeln!(out, "-P {key} -z {local}");
        }
        for destination in sort::destinations(&service.destinations) {
            let line = server(&key, service.rule.key, &destination.rule, names);
            let _infallible = writeln!(out, "{line}");
        }
    }
    out
}

/// A director that has just been given rules: what [`save`] prints for it restores them.
pub fn fresh(services: &[ServiceRule]) -> DirectorSnapshot {
    let destination = |rule: &ServerRule| DestinationState {
        rule: *rule,
        active: 0,
        inactive: 0,
        persistent: 0,
        stats: Stats::default(),
        rates: Stats::default(),
    };
    let service = |rule: &ServiceRule| ServiceState {
        rule: ServiceRule { servers: Vec::new(), ..rule.clone() },
        stats: Stats::default(),
        rates: Stats::default(),
        // the kernel adds at the head of its list
        destinations: rule.servers.iter().rev().map(destination).collect(),
    };
    let services = services.iter().map(service).collect();
    DirectorSnapshot { services, ..DirectorSnapshot::default() }
}

fn key(key: ServiceKey, names: Option<&Names>) -> String {
    let ServiceKey::Address { protocol, vip, port } = key else { return key_text(key) };
    let option = match protocol {
        proto::UDP => "-u",
        proto::SCTP => "--sctp-service",
        _ => "-t",
    };
    format!("{option} {}", name::endpoint((vip, port), protocol, names))
}

fn parameters(rule: &ServiceRule) -> String {
    let mut text = format!(" -s {}", rule.scheduler);
    if let Some(timeout) = rule.persistent {
        let _infallible = write!(text, " -p {}", timeout.as_nanos() / 1_000_000_000);
        if let Some(mask) = mask(rule) {
            let _infallible = write!(text, " -M {mask}");
        }
        if let Some(Engine::Sip) = rule.engine {
            text += " --pe sip";
        }
    }
    if rule.one_packet {
        text += " -o";
    }
    let flags = flags_text(rule.scheduler, rule.sched_flags);
    if !flags.is_empty() {
        let _infallible = write!(text, " -b {flags}");
    }
    text
}

fn server(key: &str, service: ServiceKey, rule: &ServerRule, names: Option<&Names>) -> String {
    let address = name::endpoint((rule.rip, rule.port), name::protocol(service), names);
    let method = match rule.forwarding {
        Forwarding::Nat => "-m",
        Forwarding::Tun => "-i",
        Forwarding::Dr | Forwarding::LocalNode | Forwarding::Bypass => "-g",
        Forwarding::FullNat => "-b",
    };
    let mut text = format!("-a {key} -r {address} {method} -w {}", rule.weight);
    if rule.forwarding == Forwarding::Tun {
        text.push_str(&tunnel(rule.tunnel));
    }
    text
}

fn tunnel(options: TunnelOptions) -> String {
    let checksum = match options.checksum {
        OuterChecksum::None => "--tun-nocsum",
        OuterChecksum::Full => "--tun-csum",
        OuterChecksum::Remote => "--tun-remcsum",
    };
    match options.kind {
        Encapsulation::Ipip => " --tun-type ipip".to_owned(),
        Encapsulation::Gue => format!(" --tun-type gue --tun-port {} {checksum}", options.port),
        Encapsulation::Gre => format!(" --tun-type gre {checksum}"),
    }
}
