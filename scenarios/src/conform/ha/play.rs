//! A case played in the simulated network, and looked at as the experimenter looked at the real one:
//! states are polled, frames captured, requests made.

use super::lab::{INTERFACE, LONG, PROBE, ROUTER, VIP};
use super::observed::{Advert, Announcement, Answer, Message, Observed, Pool, Request};
use crate::conform::paths::pcap::{self, Captured};
use serde_json::{Map, Value};
use sim_core::config::{CaptureConfig, WorldConfig};
use sim_core::engine::{Span, Time};
use sim_core::ipvs::rules::ServiceKey;
use sim_core::observe::{Failure, Observations, TimelineEntry};
use sim_core::wire::Mac;
use sim_core::world::World;
use std::net::{IpAddr, Ipv4Addr};

/// How often states are polled.
const POLL: Span = Span::from_millis(2);

/// What came of a case in the simulation.
#[derive(Debug)]
pub struct Played {
    /// What was seen.
    pub seen: Observed,
    /// What the simulator itself tells.
    pub timeline: Vec<TimelineEntry>,
}

/// Plays a world until `end`; `directors` are looked at.
///
/// # Errors
/// Why it cannot be played.
pub fn play(config: &WorldConfig, directors: &[String], end: Time) -> Result<Played, String> {
    let mut config = config.clone();
    config.connections = true;
    let capture = |host: &String| CaptureConfig::Interface(host.clone(), INTERFACE.to_owned());
    config.captures = directors.iter().map(capture).collect();
    let mut world = World::build(&config).map_err(|errors| {
        let all: Vec<_> = errors.iter().map(ToString::to_string).collect();
        all.join("; ")
    })?;
    let mut seen = Observed::default();
    let mut now = Time::ZERO;
    while now < end {
        now += POLL;
        world.run_until(now);
        poll(&mut world, &config, directors, &mut seen);
    }
    let captures = world.take_captures();
    for (stem, bytes) in captures {
        let host = stem.split('.').next().unwrap_or_default();
        let Some(mac) = mac_of(&config, host) else { continue };
        for frame in pcap::read(&bytes)? {
            if frame.bytes.get(6..12) == Some(&mac.0[..]) {
                sent(&frame, host, &mut seen);
            }
        }
    }
    seen.adverts.sort_by_key(|a| a.at);
    seen.messages.sort_by_key(|m| m.at);
    seen.announcements.sort_by_key(|a| a.at);
    let observations = world.finish();
    seen.requests = requests(&observations, PROBE);
    seen.long = requests(&observations, LONG).pop().map(|r| r.answer);
    Ok(Played { seen, timeline: observations.timeline })
}

fn mac_of(config: &WorldConfig, host: &str) -> Option<Mac> {
    let host = config.hosts.iter().find(|h| h.name == host)?;
    host.interfaces.iter().find(|i| i.name == INTERFACE)?.mac
}

/// Looks at who has the VIP, at the pools, and at the router's ARP cache.
fn poll(world: &mut World, config: &WorldConfig, directors: &[String], seen: &mut Observed) {
    let now = world.now();
    let Some(vip) = world.book().find(VIP) else { return };
    let number = |name: &str| config.hosts.iter().position(|h| h.name == name);
    for name in directors {
        let Some(host) = number(name) else { continue };
        let interfaces = &world.hosts()[host].ip.interfaces;
        let has = interfaces.iter().any(|i| i.ips().any(|ip| ip == vip));
        let before = seen.holders.iter().rfind(|h| h.1 == *name).map(|h| h.2);
        if before != Some(has) {
            seen.holders.push((now, name.clone(), has));
        }
        let pool = pool(world, host);
        let before = seen.pools.iter().rfind(|p| p.1 == *name).map(|p| &p.2);
        if before != Some(&pool) {
            seen.pools.push((now, name.clone(), pool));
        }
    }
    let Some(router) = number(ROUTER) else { return };
    let neighbours = world.hosts()[router].ip.neighbours.entries();
    let mac = neighbours.iter().find(|n| n.ip == vip && n.state.is_valid()).map(|n| n.mac);
    let mac = mac.and_then(|id| world.macs().get(id.0 as usize).copied());
    let has = |m: Mac| directors.iter().find(|d| mac_of(config, d) == Some(m)).cloned();
    let owner = mac.and_then(has);
    if seen.owners.last().is_none_or(|(_, before)| *before != owner) {
        seen.owners.push((now, owner));
    }
}

fn pool(world: &mut World, host: usize) -> Option<Pool> {
    let snapshot = world.snapshot(host)?;
    let meant = |key: ServiceKey| matches!(key, ServiceKey::Address { vip, .. } if vip == VIP);
    let service = snapshot.services.iter().find(|s| meant(s.rule.key))?;
    let entry = |d: &sim_core::observe::DestinationState| {
        (format!("{}:{}", d.rule.rip, d.rule.port), u32::from(d.rule.weight))
    };
    let mut pool: Pool = service.destinations.iter().map(entry).collect();
    pool.sort();
    Some(pool)
}

/// Takes a frame that a director sent.
fn sent(frame: &Captured, host: &str, seen: &mut Observed) {
    let at = Time::from_nanos(frame.at);
    let bytes = &frame.bytes;
    let from = host.to_owned();
    let word = |n: usize| bytes.get(n..n + 4).map(|w| Ipv4Addr::new(w[0], w[1], w[2], w[3]));
    match bytes.get(12..14) {
        // ARP: operation, sender, target
        Some([0x08, 0x06]) if word(28).is_some() && word(28) == word(38) => {
            let reply = bytes.get(21) == Some(&2);
            seen.announcements.push(Announcement { at, from, reply });
        }
        Some([0x08, 0x00]) if bytes.get(23) == Some(&112) => {
            let header = 14 + usize::from(bytes[14] & 0x0f) * 4;
            let (Some(to), Some(vrrp)) = (word(30), bytes.get(header..header + 3)) else { return };
            seen.adverts.push(Advert {
                at,
                from,
                to: IpAddr::V4(to),
                priority: vrrp[2],
                router: vrrp[1],
            });
        }
        Some([0x08, 0x00])
            if bytes.get(23) == Some(&17) && bytes.get(36..38) == Some(&[0x02, 0xb6]) =>
        {
            let text = bytes.get(42..).and_then(|b| core::str::from_utf8(b).ok());
            seen.messages.extend(text.and_then(|text| message(text, at, from)));
        }
        _ => {}
    }
}

/// A message of heartbeat; numbers are hexadecimal there.
fn message(text: &str, at: Time, from: String) -> Option<Message> {
    let mut fields = Map::new();
    for (name, value) in text.lines().filter_map(|l| l.split_once('=')) {
        let number = |v: &str| u64::from_str_radix(v, 16).ok();
        let value = match name {
            "dt" | "seq" => Value::from(number(value)?),
            _ => Value::from(value),
        };
        fields.insert(name.to_owned(), value);
    }
    let kind = fields.get("t")?.as_str()?.to_owned();
    Some(Message { at, from, link: INTERFACE.to_owned(), kind, fields: Value::Object(fields) })
}

/// The requests of an application and what came of them, in order of their starts.
fn requests(observations: &Observations, name: &str) -> Vec<Request> {
    let rows = observations.connections.iter().filter(|row| {
        let client = observations.clients.get(row.client as usize);
        client.is_some_and(|c| c.name == name)
    });
    let answer = |row: &sim_core::observe::ConnectionRow| match row.failure {
        None => {
            let server = row.server.and_then(|n| observations.servers.get(n as usize));
            Answer::Served(server.map(|s| s.host.clone()).unwrap_or_default())
        }
        Some(Failure::Refused) => Answer::Refused,
        Some(Failure::Reset) => Answer::Reset,
        Some(Failure::Unreachable) => Answer::Unreachable,
        Some(Failure::TimedOut | Failure::NoPort | Failure::Unfinished) => Answer::TimedOut,
    };
    let mut all: Vec<Request> =
        rows.map(|row| Request { at: row.start, answer: answer(row) }).collect();
    all.sort_by_key(|r| r.at);
    all
}
