//! Real servers and fallbacks.

use super::lines::Line;
use super::{Host, Server, global};
use crate::diagnostic::{Place, Problem};
use crate::import::findings::Findings;
use crate::import::ipvsadm::port_of;
use sim_core::ipvs::rules::Forwarding;
use sim_core::wire::proto;
use std::net::{IpAddr, Ipv4Addr};

/// Most addresses that a range may stand for.
const MOST: u32 = 65_536;

/// `gate`, `masq` or `ipip`.
fn method(word: &str) -> Option<Forwarding> {
    Some(match word {
        "gate" => Forwarding::Dr,
        "masq" => Forwarding::Nat,
        "ipip" => Forwarding::Tun,
        _ => return None,
    })
}

fn wrong_method(place: &Place) -> Problem {
    let message = "forward method must be gate, masq or ipip";
    Problem::new(place, message, "gate is DR, masq is NAT, ipip is TUN")
}

/// A number, or the name of a port; names that are not known here are told, and count as 0.
pub(super) fn port(line: &Line<'_>, text: &str, findings: &mut Findings) -> Result<u16, Problem> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map_err(|_| {
            let message = format!("invalid port ({text})");
            Problem::new(&line.place_of(text), message, "a port is from 0 to 65535")
        });
    }
    let found = [proto::TCP, proto::UDP].iter().find_map(|p| port_of(text, *p));
    if found.is_none() {
        let message = format!("the port {text} has no number here");
        findings.warn(&line.place_of(text), message, "ldirectord looks it up in /etc/services");
    }
    Ok(found.unwrap_or(0))
}

/// An address, or a name that a resolver may know.
pub(super) fn host(text: &str) -> Option<Host> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    if let Some(v6) = bare {
        return v6.parse().ok().map(|ip| Host::Ip(IpAddr::V6(ip)));
    }
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return Some(Host::Ip(ip.into()));
    }
    let name = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b));
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (name && !digits).then(|| Host::Name(text.to_owned()))
}

/// `HOST:PORT` or `HOST`; the `:` within the brackets of an IPv6 address is none.
pub(super) fn split_port(text: &str) -> (&str, Option<&str>) {
    let from = text.rfind(']').unwrap_or(0);
    match text[from..].rfind(':') {
        Some(n) => (&text[..from + n], Some(&text[from + n + 1..])),
        None => (text, None),
    }
}

/// `IP[->IP][:PORT] gate|masq|ipip [WEIGHT] ["request", "receive"] [l:N] [u:N]`.
pub(super) fn real(
    line: &Line<'_>,
    value: &str,
    findings: &mut Findings,
) -> Result<Vec<Server>, Problem> {
    let blank = |c: char| c == ' ' || c == '\t';
    let wrong = |place: &Place| {
        let message = "invalid address for real server (wrong format)";
        Problem::new(place, message, "expected IP[->IP][:PORT] gate|masq|ipip [WEIGHT]")
    };
    let Some((address, flags)) = value.split_once(blank) else {
        return Err(wrong(&line.value_place));
    };
    let (first, rest) = address.split_once("->").map_or((address, None), |(a, b)| (a, Some(b)));
    let (last, port_text) = split_port(rest.unwrap_or(first));
    let first = if rest.is_some() { first } else { last };
    let known = |text: &str| host(text).ok_or_else(|| wrong(&line.place_of(address)));
    let (start, end) = (known(first)?, known(last)?);
    let port = port_text.map_or(Ok(0), |p| port(line, p, findings))?;
    let mut server = Server {
        host: start.clone(),
        port,
        forwarding: Forwarding::Dr,
        weight: 1,
        exchange: None,
        thresholds: (0, 0),
        place: line.place_of(address),
    };
    flags_of(line, flags, &mut server)?;
    if rest.is_none() {
        return Ok(vec![server]);
    }
    let (Host::Ip(IpAddr::V4(start)), Host::Ip(IpAddr::V4(end))) = (start, end) else {
        let message = "Address range for IPv6 is not supported yet";
        return Err(Problem::new(&line.place_of(address), message, "expected IPv4 addresses"));
    };
    let (low, high) = (start.to_bits(), end.to_bits());
    if low > high || high - low >= MOST {
        let message = format!(
            "Invalid Range: {start}-{end}: First value must be greater than or equal to the second value"
        );
        let label = "the first address must not be above the second";
        return Err(Problem::new(&line.place_of(address), message, label));
    }
    let one = |bits| Server { host: Host::Ip(Ipv4Addr::from_bits(bits).into()), ..server.clone() };
    Ok((low..=high).map(one).collect())
}

/// What stands behind the address of a real server.
fn flags_of(line: &Line<'_>, flags: &str, server: &mut Server) -> Result<(), Problem> {
    let flags = flags.trim_start();
    let word = |text: &str| {
        text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
    };
    let (name, mut rest) = flags.split_at(word(flags));
    let place = if name.is_empty() { line.value_place.clone() } else { line.place_of(name) };
    server.forwarding = method(name).ok_or_else(|| wrong_method(&place))?;
    let number = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text[..end].parse::<u32>().ok().map(|n| (n, end))
    };
    let behind = |rest: &str| rest.len() - rest.trim_start().len();
    if behind(rest) > 0
        && let Some((weight, end)) = number(rest.trim_start())
    {
        server.weight = weight;
        rest = &rest.trim_start()[end..];
    }
    if behind(rest) > 0
        && let Some((exchange, after)) = exchange(rest.trim_start())
    {
        server.exchange = Some(exchange);
        rest = after;
    }
    for (mark, lower) in [("l:", true), ("u:", false)] {
        let Some(text) = rest.trim_start().strip_prefix(mark) else { continue };
        let Some((n, end)) = number(text) else { continue };
        *(if lower { &mut server.thresholds.1 } else { &mut server.thresholds.0 }) = n;
        rest = &text[end..];
    }
    if rest.trim().is_empty() {
        return Ok(());
    }
    let message = format!("Invalid real server line, around \"{rest}\"");
    let label = "expected [WEIGHT] [\"request\", \"receive\"] [l:N] [u:N]";
    Err(Problem::new(&line.place_of(rest.trim()), message, label))
}

/// `"request", "receive"`, and what stands behind.
fn exchange(text: &str) -> Option<((String, String), &str)> {
    let (request, rest) = text.strip_prefix('"')?.split_once('"')?;
    let rest = rest.strip_prefix([',', ' '])?.trim_start();
    let (receive, rest) = rest.strip_prefix('"')?.split_once('"')?;
    Some(((with_slash(request), receive.to_owned()), rest))
}

/// A request begins with `/`.
pub(super) fn with_slash(request: &str) -> String {
    if request.starts_with('/') { request.to_owned() } else { format!("/{request}") }
}

/// `HOST[:PORT] [gate|masq|ipip]`; without a port that of the service.
pub(super) fn fallback(
    line: &Line<'_>,
    value: &str,
    service_port: Option<u16>,
    findings: &mut Findings,
) -> Result<Server, Problem> {
    let mut words = value.split_ascii_whitespace();
    let address = words.next().unwrap_or_default();
    let (name, port_text) = split_port(address);
    let Some(host) = host(name) else {
        let message = format!("invalid fallback server: {value}");
        let label = "expected HOST[:PORT] [gate|masq|ipip]";
        return Err(Problem::new(&line.value_place, message, label));
    };
    let port = match port_text {
        Some(text) => port(line, text, findings)?,
        None => service_port.unwrap_or(0),
    };
    let forwarding = match words.next() {
        Some(word) => method(word).ok_or_else(|| wrong_method(&line.place_of(word)))?,
        None => Forwarding::Dr,
    };
    let place = line.value_place.clone();
    Ok(Server { host, port, forwarding, weight: 1, exchange: None, thresholds: (0, 0), place })
}

/// The number of a weight or the like that is too large counts as the largest.
pub(super) fn clamped(value: &str) -> Option<u32> {
    global::first_number(value).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
}
