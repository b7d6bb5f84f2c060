//! Virtual servers and their health checkers.

use super::{Schedules, means_command, vrrp};
use crate::import::commands::Findings;
use crate::import::keepalived::{Check, Checker, Configuration, RealServer, Url, VirtualServer};
use sim_core::config::{
    CheckConfig, CheckerConfig, CheckerKind, FileConfig, FlushOnStop, HttpConfig, RealServerConfig,
    RegexConfig, ScriptConfig, ScriptRun, SorryConfig, UrlConfig, VirtualServerConfig,
};
use std::net::IpAddr;

/// Bytes of a `UDP_CHECK` that states none (`UDP_BUFSIZE` of keepalived's `check_udp.c`).
const UDP_BYTES: u16 = 32;
/// The port of SMTP.
const SMTP: u16 = 25;

/// The checker process of a host.
pub(super) fn configure(
    all: &Configuration,
    schedules: &Schedules,
    findings: &mut Findings,
) -> CheckConfig {
    let servers = all.servers.iter().map(|s| virtual_server(s, schedules, findings));
    CheckConfig {
        flush: all.global.lvs_flush,
        flush_on_stop: if all.global.lvs_flush_on_stop {
            FlushOnStop::All
        } else {
            FlushOnStop::No
        },
        timeouts: all.global.timeouts,
        virtual_servers: servers.collect(),
        files: all
            .files
            .iter()
            .map(|f| FileConfig { name: f.name.clone(), values: vrrp::values(f, schedules) })
            .collect(),
    }
}

/// The commands of all `MISC_CHECK`s.
pub(super) fn commands(all: &Configuration) -> impl Iterator<Item = &str> {
    let servers = all.servers.iter().flat_map(|s| &s.servers);
    servers.flat_map(|s| &s.checkers).filter_map(|c| match &c.kind {
        Check::Misc { command, .. } => Some(command.as_str()),
        _ => None,
    })
}

fn virtual_server(
    s: &VirtualServer,
    schedules: &Schedules,
    findings: &mut Findings,
) -> VirtualServerConfig {
    let port = s.targets.first().map_or(0, |t| t.port());
    let services = s.targets.iter().map(|t| s.service(*t)).collect();
    let servers = s.servers.iter().map(|r| RealServerConfig {
        rule: r.rule(port),
        inhibit: r.inhibit,
        checkers: r.checkers.iter().map(|c| checker(c, r, port, schedules, findings)).collect(),
    });
    let servers = servers.collect();
    VirtualServerConfig {
        quorum: s.quorum,
        hysteresis: s.hysteresis,
        sorry: s
            .sorry
            .as_ref()
            .map(|sorry| SorryConfig { rule: sorry.rule(port), inhibit: sorry.inhibit }),
        omega: s.omega,
        ha_suspend: s.ha_suspend,
        ..VirtualServerConfig::new(services, servers)
    }
}

fn checker(
    c: &Checker,
    server: &RealServer,
    service_port: u16,
    schedules: &Schedules,
    findings: &mut Findings,
) -> CheckerConfig {
    let target = (c.ip.unwrap_or(server.ip), c.port.unwrap_or(service_port));
    if c.fwmark > 0 || c.source.interface.is_some() {
        findings.remark(&server.place, "`fwmark` and `bind_if` of a checker have no effect here");
    }
    let kind = kind(&c.kind, target, schedules);
    CheckerConfig {
        source: c.source.ip,
        source_port: c.source.port,
        delay_loop: c.delay_loop,
        retry: c.retry,
        delay_before_retry: c.delay_before_retry,
        connect_timeout: c.connect_timeout,
        warmup: c.warmup,
        alpha: c.alpha,
        ..CheckerConfig::new(kind, target)
    }
}

fn kind(check: &Check, target: (IpAddr, u16), schedules: &Schedules) -> CheckerKind {
    match check {
        Check::Tcp => CheckerKind::Tcp,
        Check::Http { tls, urls, fast_recovery, .. } => CheckerKind::Http(HttpConfig {
            tls: *tls,
            urls: urls.iter().map(url).collect(),
            fast_recovery: *fast_recovery,
        }),
        Check::Smtp { hosts, .. } => {
            let host = |(ip, port): &(Option<IpAddr>, Option<u16>)| {
                (ip.unwrap_or(target.0), port.unwrap_or(SMTP))
            };
            CheckerKind::Smtp { hosts: hosts.iter().map(host).collect() }
        }
        Check::Dns { name, .. } => CheckerKind::Dns { name: name.clone() },
        Check::Misc { command, timeout, dynamic } => {
            let runs = Schedules::of(&schedules.scripts, |name| means_command(name, command));
            CheckerKind::Misc(ScriptConfig {
                dynamic: *dynamic,
                runs: runs
                    .into_iter()
                    .map(|(from, run)| (from, ScriptRun { exit: run.exit, duration: run.duration }))
                    .collect(),
                ..ScriptConfig::new(*timeout)
            })
        }
        Check::Udp { payload, reply, lengths, .. } => CheckerKind::Udp {
            payload: payload
                .as_ref()
                .map_or(UDP_BYTES, |p| u16::try_from(p.len()).unwrap_or(u16::MAX)),
            reply: reply.then_some(*lengths),
        },
        Check::Ping => CheckerKind::Ping,
        Check::Bfd(name) => CheckerKind::Bfd(name.clone()),
        Check::File { file, weight, reverse } => {
            CheckerKind::File { file: file.clone(), weight: *weight, reverse: *reverse }
        }
    }
}

fn url(u: &Url) -> UrlConfig {
    UrlConfig {
        virtualhost: u.virtualhost.clone(),
        statuses: u.status.clone(),
        digest: u.digest.clone(),
        regex: u.page.as_ref().map(|p| RegexConfig { absent: p.no_match }),
        ..UrlConfig::new(&u.path)
    }
}
