//! A variant's part of `summary.json`. Times are in seconds, sizes in bytes, shares from 0 to 1.

use super::availability;
use super::operator::{changes, refusals};
use super::pools;
use crate::study::Outcome;
use serde_json::{Map, Value, json};
use sim_core::config::{ServerConfig, Transport};
use sim_core::engine::{Span, Time};
use sim_core::ipvs::rules::ServiceKey;
use sim_core::observe::{
    ClientObservation, DirectorObservation, Failure, Histogram, LinkObservation, Observations,
    ServerObservation,
};
use sim_core::wire::proto;

/// The percentiles that are written: name and share.
pub const PERCENTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)];

/// All clients together.
pub fn total(clients: &[ClientObservation]) -> ClientObservation {
    let mut sum = ClientObservation::default();
    for c in clients {
        sum.connections_offered += c.connections_offered;
        sum.connections_served += c.connections_served;
        for (slot, n) in sum.connections_failed.iter_mut().zip(c.connections_failed) {
            *slot += n;
        }
        sum.requests_offered += c.requests_offered;
        sum.requests_served += c.requests_served;
        sum.bytes_received += c.bytes_received;
        sum.connect.merge(&c.connect);
        sum.first_byte.merge(&c.first_byte);
        sum.complete.merge(&c.complete);
        sum.retransmissions += c.retransmissions;
    }
    sum
}

/// Seconds of the run that the statistics are about.
pub fn observed_s(outcome: &Outcome) -> f64 {
    let config = &outcome.variant.config;
    config.duration.saturating_sub(config.warmup).as_secs_f64()
}

/// The link direction that was busiest; of equal ones the first.
pub fn busiest(links: &[LinkObservation]) -> Option<&LinkObservation> {
    links.iter().reduce(|best, l| {
        let more = l.utilisation > best.utilisation;
        let tie = l.utilisation >= best.utilisation && l.bytes > best.bytes;
        if more || tie { l } else { best }
    })
}

/// `director:eth0>switch`
pub fn link_name(link: &LinkObservation) -> String {
    format!("{}>{}", link.from, link.to)
}

/// The summary of one variant.
pub fn variant(outcome: &Outcome) -> Value {
    let o = &outcome.observations;
    let all = total(&o.clients);
    let seconds = observed_s(outcome);
    let mut summary = client(&all, seconds);
    let mut put = |key: &str, value: Value| {
        summary.insert(key.to_owned(), value);
    };
    let names = o.clients.iter().map(|c| (c.name.clone(), Value::Object(client(c, seconds))));
    put("clients", Value::Object(names.collect()));
    put("servers", servers(outcome));
    put("directors", keyed(o.directors.iter().map(|d| (d.host.clone(), director(d)))));
    put("director_load", director_load(o));
    put("links", keyed(o.links.iter().map(|l| (link_name(l), link(l)))));
    put("busiest_link", busiest(&o.links).map_or(Value::Null, named_link));
    put("drops", drops(o));
    put(
        "packets",
        json!({
            "created": o.packets.created,
            "delivered": o.packets.delivered,
            "dropped": o.packets.dropped,
            "in_flight": o.packets.in_flight,
        }),
    );
    // hops are counted from the start, connections only after the warm-up
    let whole = outcome.variant.config.warmup == Span::ZERO && all.connections_offered > 0;
    let per_connection = whole.then(|| o.ip_hops as f64 / all.connections_offered as f64);
    put(
        "hops",
        json!({
            "ip": o.ip_hops,
            "arp": o.arp_hops,
            "ip_per_connection": per_connection,
        }),
    );
    for (key, value) in availability::summary(outcome) {
        put(key, value);
    }
    let warm = Time::ZERO + outcome.variant.config.warmup;
    put("pools", pools::summary(&o.timeline, warm));
    let changes = changes(outcome).len();
    if changes > 0 {
        put("rule_changes", json!({ "tried": changes, "refused": refusals(outcome) }));
    }
    put("events", json!(o.events));
    put("end", json!(o.end.as_secs_f64()));
    put("digest", json!(format!("{:016x}", o.digest)));
    Value::Object(summary)
}

/// The parts whose keys are the same in every run, without anything measured.
pub fn fixed() -> Value {
    let mut parts = client(&ClientObservation::default(), 0.0);
    parts.insert("pools".to_owned(), pools::summary(&[], Time::ZERO));
    parts.extend(availability::fixed().into_iter().map(|(key, value)| (key.to_owned(), value)));
    Value::Object(parts)
}

fn keyed(pairs: impl Iterator<Item = (String, Value)>) -> Value {
    Value::Object(pairs.collect())
}

fn client(c: &ClientObservation, seconds: f64) -> Map<String, Value> {
    let mut failed: Map<String, Value> = Failure::ALL
        .iter()
        .zip(c.connections_failed)
        .map(|(f, n)| (f.name().into(), json!(n)))
        .collect();
    failed.insert("total".into(), json!(c.connections_failed.iter().sum::<u64>()));
    let per_s = |n: u64| if seconds > 0.0 { n as f64 / seconds } else { 0.0 };
    let share = |n: u64, of: u64| if of == 0 { 0.0 } else { n as f64 / of as f64 };
    let parts = json!({
        "connections": {
            "offered": c.connections_offered,
            "served": c.connections_served,
            "served_share": share(c.connections_served, c.connections_offered),
            "failed": failed,
        },
        "requests": { "offered": c.requests_offered, "served": c.requests_served },
        "throughput": {
            "connections_per_s": per_s(c.connections_served),
            "requests_per_s": per_s(c.requests_served),
            "bytes_per_s": per_s(c.bytes_received),
            "bytes": c.bytes_received,
            "retransmissions": c.retransmissions,
        },
        "latency": {
            "connect": histogram(&c.connect),
            "first_byte": histogram(&c.first_byte),
            "complete": histogram(&c.complete),
        },
    });
    match parts {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Count, mean, standard deviation, percentiles and maximum.
pub fn histogram(h: &Histogram) -> Value {
    let mut map = Map::new();
    map.insert("count".into(), json!(h.count()));
    map.insert("mean".into(), json!(h.mean_s()));
    map.insert("std".into(), json!(h.std_s()));
    for (name, q) in PERCENTILES {
        map.insert(name.into(), json!(h.quantile_s(q)));
    }
    map.insert("max".into(), json!(h.max_s()));
    Value::Object(map)
}

/// The port of each server application: `53`, or `53/udp` where TCP and UDP servers share it.
pub fn server_ports(outcome: &Outcome) -> Vec<String> {
    // observations are in the order of the configuration
    let servers = || outcome.variant.config.hosts.iter().flat_map(|h| &h.servers);
    let shared =
        |s: &ServerConfig| servers().any(|t| t.port == s.port && t.transport != s.transport);
    let name = |s: &ServerConfig| match s.transport {
        _ if !shared(s) => s.port.to_string(),
        Transport::Tcp => format!("{}/tcp", s.port),
        Transport::Udp => format!("{}/udp", s.port),
    };
    servers().map(name).collect()
}

/// The names of the server applications: the host, with the port if it has several.
pub fn server_names(outcome: &Outcome) -> Vec<String> {
    let servers = &outcome.observations.servers;
    let several = |host: &str| servers.iter().filter(|s| s.host == host).count() > 1;
    let name = |(s, port): (&ServerObservation, String)| {
        if several(&s.host) { format!("{}:{port}", s.host) } else { s.host.clone() }
    };
    servers.iter().zip(server_ports(outcome)).map(name).collect()
}

/// The share that each server has of the connections to its port; `None` if there are none.
pub fn server_shares(outcome: &Outcome) -> Vec<Option<f64>> {
    let servers = &outcome.observations.servers;
    let ports = server_ports(outcome);
    let share = |(s, port): (&ServerObservation, &String)| {
        let peers = servers.iter().zip(&ports).filter(|(_, p)| *p == port);
        let all: u64 = peers.map(|(s, _)| s.connections).sum();
        (all > 0).then(|| s.connections as f64 / all as f64)
    };
    servers.iter().zip(&ports).map(share).collect()
}

fn servers(outcome: &Outcome) -> Value {
    let named = server_names(outcome).into_iter().zip(server_shares(outcome));
    keyed(named.zip(&outcome.observations.servers).map(|((name, share), s)| {
        let share = share.unwrap_or(0.0);
        let value = json!({
            "connections": s.connections,
            "share": share,
            "requests": s.requests,
            "bytes": s.bytes,
            "refused": s.refused,
            "max_in_system": s.max_in_system,
            "utilisation": s.utilisation,
            "sojourn": histogram(&s.sojourn),
        });
        (name, value)
    }))
}

/// `192.168.10.200:80/tcp`, or `fwmark 5`.
pub fn service_name(key: ServiceKey) -> String {
    match key {
        ServiceKey::Address { protocol, vip, port } => {
            let transport = if protocol == proto::UDP { "udp" } else { "tcp" };
            format!("{vip}:{port}/{transport}")
        }
        ServiceKey::Fwmark { mark, v6: false } => format!("fwmark {mark}"),
        ServiceKey::Fwmark { mark, v6: true } => format!("fwmark {mark} (IPv6)"),
    }
}

/// Rates of what passes directors while connections start.
fn per_second(d: [f64; 4]) -> Map<String, Value> {
    let names = ["packets_in_per_s", "packets_out_per_s", "bytes_in_per_s", "bytes_out_per_s"];
    names.into_iter().map(str::to_owned).zip(d.map(|rate| json!(rate))).collect()
}

const fn passed(d: &DirectorObservation) -> [f64; 4] {
    [d.rates.packets_in, d.rates.packets_out, d.rates.bytes_in, d.rates.bytes_out]
}

/// All directors together: rates, the busiest CPU, and entries at their most.
pub fn director_load(o: &Observations) -> Value {
    let mut sum = [0.0; 4];
    for d in &o.directors {
        sum.iter_mut().zip(passed(d)).for_each(|(slot, n)| *slot += n);
    }
    let mut load = per_second(sum);
    let busy = o.directors.iter().map(|d| d.cpu_utilisation).fold(0.0, f64::max);
    load.insert("cpu_utilisation".into(), json!(busy));
    let entries: u64 = o.directors.iter().map(|d| d.entries_max).sum();
    load.insert("entries_max".into(), json!(entries));
    Value::Object(load)
}

fn director(d: &DirectorObservation) -> Value {
    let destinations = d.destinations.iter().map(|t| {
        let share =
            if d.connections == 0 { 0.0 } else { t.connections as f64 / d.connections as f64 };
        let service = service_name(t.service);
        let value = json!({
            "host": t.host,
            "forwarding": t.forwarding.name(),
            "weight": t.weight,
            "connections": t.connections,
            "share": share,
            "active": t.active,
            "inactive": t.inactive,
            "packets_in": t.packets_in,
            "bytes_in": t.bytes_in,
            "packets_out": t.packets_out,
            "bytes_out": t.bytes_out,
        });
        (format!("{service}>{}:{}", t.rip, t.port), value)
    });
    let mut value = json!({
        "packets_in": d.packets_in,
        "bytes_in": d.bytes_in,
        "packets_out": d.packets_out,
        "bytes_out": d.bytes_out,
        "connections": d.connections,
        "no_destination": d.no_destination,
        "entries": d.entries,
        "entries_max": d.entries_max,
        "cpu_utilisation": d.cpu_utilisation,
        "destinations": keyed(destinations),
    });
    if let Value::Object(map) = &mut value {
        map.extend(per_second(passed(d)));
    }
    value
}

fn link(l: &LinkObservation) -> Value {
    json!({
        "link": l.link,
        "packets": l.packets,
        "bytes": l.bytes,
        "utilisation": l.utilisation,
        "queue_max": l.queue_max,
        "dropped_queue": l.dropped_queue,
        "dropped_loss": l.dropped_loss,
    })
}

fn named_link(l: &LinkObservation) -> Value {
    let mut value = link(l);
    value["name"] = json!(link_name(l));
    value
}

fn drops(o: &Observations) -> Value {
    let mut reasons: Map<String, Value> = Map::new();
    let mut places: Map<String, Value> = Map::new();
    for d in &o.drops {
        let sum = reasons.get(d.reason).and_then(Value::as_u64).unwrap_or(0) + d.packets;
        reasons.insert(d.reason.to_owned(), json!(sum));
        let place = places.entry(d.place.clone()).or_insert_with(|| json!({}));
        let sum = place.get(d.reason).and_then(Value::as_u64).unwrap_or(0) + d.packets;
        place[d.reason] = json!(sum);
    }
    let total: u64 = o.drops.iter().map(|d| d.packets).sum();
    json!({ "total": total, "reasons": reasons, "places": places })
}
