//! When each request of a case was made, and by which port: what is taken from the recording.

use super::case::{Case, Request, Step};
use super::endtoend::AFTERWARDS;
use super::fields::fields;
use super::pcap::Captured;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};

/// First source port of requests whose port nobody recorded.
const UNKNOWN_PORT: u16 = 33_000;

/// When each step begins, in milliseconds, and by which port.
pub(super) struct Plan {
    /// When each step begins.
    pub(super) starts: Vec<u64>,
    /// Its source port.
    pub(super) ports: Vec<u16>,
    /// When the last one has ended and the tables have been read.
    pub(super) end: u64,
}

impl Plan {
    /// The plan of a case.
    pub(super) fn new(case: &Case) -> Self {
        let ports = ports(case);
        let mut starts: Vec<u64> = Vec::new();
        let mut end = 0;
        for (n, step) in case.steps.iter().enumerate() {
            let seen = step.at.or_else(|| first_seen(case, step, ports[n]));
            let start = seen.unwrap_or(end).max(starts.last().copied().unwrap_or(0));
            starts.push(start);
            let took = step.result["ms"].as_u64().unwrap_or(0);
            let acts = step.result["acts"].as_array().and_then(|a| a.last()).map(|a| &a[0]);
            // a session that is joined began earlier
            let acted = match step.request {
                Request::Session(None, ..) => acts.and_then(Value::as_u64).unwrap_or(0),
                _ => 0,
            };
            end = end.max(start + took.max(acted));
        }
        // what a session that was joined did last
        for (n, step) in case.steps.iter().enumerate() {
            let Request::Session(Some(name), ..) = &step.request else { continue };
            let joined = case.steps.iter().find(|s| s.request == Request::Join(name.clone()));
            let last = joined.and_then(|s| s.result["acts"].as_array()).and_then(|a| a.last());
            let last = last.and_then(|a| a[0].as_u64()).unwrap_or(0);
            end = end.max(starts[n] + last);
        }
        Self { starts, ports, end: end + AFTERWARDS }
    }
}

/// The source port of each step: as it was asked for, as the result tells, or as it was captured.
fn ports(case: &Case) -> Vec<u16> {
    let told: Vec<Option<u16>> = case.steps.iter().map(told_port).collect();
    let mut ports = Vec::new();
    for (n, step) in case.steps.iter().enumerate() {
        let port = told[n].or_else(|| {
            let target = target(step)?;
            let seen = sent(case, &step.host, target);
            seen.map(|(_, port)| port)
                .find(|port| !told.contains(&Some(*port)) && !ports.contains(port))
        });
        ports.push(port.unwrap_or(UNKNOWN_PORT + n as u16));
    }
    ports
}

fn told_port(step: &Step) -> Option<u16> {
    let from = step.result["from"].as_str();
    let connected = || {
        let acts = step.result["acts"].as_array()?;
        acts.iter().find_map(|a| a.get(2)?.as_str()?.parse::<SocketAddr>().ok())
    };
    let end = |text: &str| text.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    step.options.sport.or_else(|| from.and_then(end)).or_else(|| connected().map(|a| a.port()))
}

/// Where a step goes: protocol, address, port.
fn target(step: &Step) -> Option<(&'static str, IpAddr, u16)> {
    match &step.request {
        Request::Tcp(ip, port) | Request::Session(_, ip, port, _) => Some(("tcp", *ip, *port)),
        Request::Udp(ip, port) => Some(("udp", *ip, *port)),
        _ => None,
    }
}

/// What a host sent to an address: the captured frame and the source port.
fn sent<'a>(
    case: &'a Case,
    host: &'a str,
    (protocol, ip, port): (&'static str, IpAddr, u16),
) -> impl Iterator<Item = (&'a Captured, u16)> {
    let captures = case.captures.iter().filter(move |(end, _)| end.0 == host);
    captures.flat_map(|(_, frames)| frames).filter_map(move |frame| {
        let all = fields(&frame.bytes);
        let get = |name: &str| all.iter().find(|f| f.0 == name).map(|f| f.1.as_str());
        let here = get("ip.dst")? == ip.to_string()
            && get(&format!("{protocol}.dport"))? == port.to_string();
        let from = get(&format!("{protocol}.sport"))?.parse().ok()?;
        here.then_some((frame, from))
    })
}

/// When the first frame of a step was captured, in milliseconds since the first frame of all.
fn first_seen(case: &Case, step: &Step, port: u16) -> Option<u64> {
    let begin = case.captures.values().flatten().map(|f| f.at).min()?;
    let mut all = sent(case, &step.host, target(step)?);
    let first = all.find(|(_, from)| *from == port)?.0;
    Some((first.at - begin) / 1_000_000)
}
