//! Health checks: from packets on the wire to the pool of the director.

mod dialogues;
mod pools;
mod processes;
mod statistics;

use crate::network::*;
use core::net::IpAddr;
use schedulers::Algorithm;
use sim_core::config::*;
use sim_core::engine::{Span, Time};
use sim_core::ipvs::rules::{ServerRule, ServiceKey, ServiceRule};
use sim_core::observe::timeline::{Happening, Kind};
use sim_core::world::World;

/// Numbers of hosts in [`cluster`].
const DIRECTOR: usize = 2;
const RS1: usize = 3;

fn secs(s: f64) -> Span {
    Span::from_secs_f64(s)
}

fn checker(kind: CheckerKind, rs: u8) -> CheckerConfig {
    let mut checker = CheckerConfig::new(kind, (rip(rs), 80));
    checker.delay_loop = secs(2.0);
    checker.connect_timeout = secs(3.0);
    checker.phase = Some(secs(1.0 + 0.1 * f64::from(rs)));
    checker
}

fn virtual_server(protocol: u8, kind: &CheckerKind) -> VirtualServerConfig {
    let service = ServiceRule {
        scheduler: Algorithm::Rr,
        ..ServiceRule::new(ServiceKey::Address { protocol, vip: VIP, port: 80 })
    };
    let server = |n| RealServerConfig {
        rule: ServerRule::new(rip(n), 80),
        inhibit: false,
        checkers: vec![checker(kind.clone(), n)],
    };
    VirtualServerConfig::new(vec![service], vec![server(1), server(2)])
}

/// The recorded network (DR) with keepalived instead of fixed rules: real servers are checked every 2 s
/// from 1.1 s and 1.2 s on, as long as 3 s may be. Nobody asks for anything.
fn checked(transport: Transport, kind: &CheckerKind) -> WorldConfig {
    let (protocol, dr) = match transport {
        Transport::Tcp => (6, sim_core::ipvs::rules::Forwarding::Dr),
        Transport::Udp => (17, sim_core::ipvs::rules::Forwarding::Dr),
    };
    let mut config = cluster(dr, transport, 80);
    config.hosts[0].clients.clear();
    config.hosts[DIRECTOR].ipvs = None;
    config.hosts[DIRECTOR].keepalived = Some(KeepalivedConfig {
        start: Some(Span::ZERO),
        check: CheckConfig {
            virtual_servers: vec![virtual_server(protocol, kind)],
            ..CheckConfig::default()
        },
        ..KeepalivedConfig::default()
    });
    (config.duration, config.drain) = (secs(3600.0), Span::ZERO);
    config
}

fn pool(config: &mut WorldConfig) -> &mut VirtualServerConfig {
    let keepalived = config.hosts[DIRECTOR].keepalived.as_mut().expect("it is there");
    &mut keepalived.check.virtual_servers[0]
}

fn build(config: &WorldConfig) -> World {
    World::build(config).expect("a good configuration")
}

fn run_to(world: &mut World, seconds: f64) {
    world.run_until(Time::ZERO + secs(seconds));
}

/// What the timeline tells of a kind since a point: seconds, subject, value.
fn told(world: &mut World, kind: Kind, since: f64) -> Vec<(f64, String, String)> {
    let since = Time::ZERO + secs(since);
    let all = world.at_host(DIRECTOR, |_, fab| fab.timeline.clone()).expect("a host");
    let pick = |h: &Happening| h.kind == kind && h.time >= since;
    let words = |h: Happening| ((h.time - Time::ZERO).as_secs_f64(), h.subject, h.value);
    all.into_iter().filter(pick).map(words).collect()
}

/// The pool of the director: addresses and weights, in the order in which they were added.
fn members(world: &mut World) -> Vec<(IpAddr, u16)> {
    let snapshot = world.snapshot(DIRECTOR).expect("a director");
    let Some(service) = snapshot.services.first() else { return Vec::new() };
    // the kernel's list has the latest first
    service.destinations.iter().rev().map(|d| (d.rule.rip, d.rule.weight)).collect()
}

/// Whether two points in time are the same but for some round trips.
fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 0.002
}
