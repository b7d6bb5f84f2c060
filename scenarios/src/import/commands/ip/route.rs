//! `ip route`.

use super::super::action::{
    Action, Family, Hop, Net, Route, RouteChoice, RouteKind, RouteMode, Word,
};
use super::super::words::{Words, net, wrong};
use super::Outcome;
use super::address::{of_family, scope};
use crate::diagnostic::{At, Problem};

/// The number of the table `main`.
pub(in super::super) const MAIN: u32 = 254;

const VERBS: [&str; 15] = [
    "list", "show", "lst", "get", "add", "change", "chg", "replace", "prepend", "append", "test",
    "delete", "flush", "save", "restore",
];

pub(super) fn read(words: &mut Words<'_>, family: Option<Family>) -> Result<Outcome, Problem> {
    if words.peek().is_none() {
        return Ok(Outcome::Shows);
    }
    let mode = match words.abbreviated(&VERBS)? {
        "add" => RouteMode::Add,
        "change" | "chg" => RouteMode::Change,
        "replace" => RouteMode::Replace,
        "prepend" => RouteMode::Prepend,
        "append" => RouteMode::Append,
        "delete" => return delete(words, family),
        "flush" => return flush(words, family),
        _ => return Ok(Outcome::Shows),
    };
    let parts = parts(words, family)?;
    let to = parts.to.ok_or_else(|| words.lacks("where to: a block or `default`"))?;
    let mut hops = parts.hops;
    if parts.first.via.is_some() || parts.first.device.is_some() {
        hops.insert(0, parts.first);
    }
    let needs_hop = parts.kind == RouteKind::Unicast || parts.kind == RouteKind::Local;
    if needs_hop && hops.is_empty() && parts.kind == RouteKind::Unicast {
        return Err(words.lacks("`via GATEWAY` or `dev INTERFACE`"));
    }
    if let Some(via) =
        hops.iter().filter_map(|h| h.via.as_ref()).find(|v| Family::of(v.value) != to.family())
    {
        let message = format!("the gateway {} is of another family than {to}", via.value);
        return Err(Problem::new(&via.place, message, "a gateway of the same family"));
    }
    let local = parts.kind == RouteKind::Local;
    let table = parts.table.unwrap_or(if local { 255 } else { MAIN });
    let route = Route {
        to: to.masked(),
        kind: parts.kind,
        hops,
        source: parts.source,
        metric: parts.metric.unwrap_or(if to.family() == Family::V6 { 1024 } else { 0 }),
        table,
        mtu: parts.mtu,
        scope: parts.scope,
        place: words.place(),
    };
    Ok(Action::AddRoute(mode, route).into())
}

struct Parts {
    kind: RouteKind,
    to: Option<Net>,
    first: Hop,
    hops: Vec<Hop>,
    source: Option<core::net::IpAddr>,
    metric: Option<u32>,
    table: Option<u32>,
    mtu: Option<u32>,
    scope: Option<super::super::action::Scope>,
}

const OPTIONS: [&str; 18] = [
    "to", "via", "dev", "src", "metric", "table", "mtu", "scope", "nexthop", "proto", "onlink",
    "advmss", "window", "rtt", "initcwnd", "initrwnd", "tos", "pref",
];

const fn hop() -> Hop {
    Hop { via: None, device: None, weight: 1, on_link: false }
}

fn parts(words: &mut Words<'_>, family: Option<Family>) -> Result<Parts, Problem> {
    let mut p = Parts {
        kind: RouteKind::Unicast,
        to: None,
        first: hop(),
        hops: Vec::new(),
        source: None,
        metric: None,
        table: None,
        mtu: None,
        scope: None,
    };
    if let Some(kind) = kind(words.peek_text()) {
        words.take();
        p.kind = kind;
    }
    while let Some(word) = words.take() {
        match word.value.as_str() {
            "via" => p.first.via = Some(via(words)?),
            "dev" | "oif" => p.first.device = Some(words.value("an interface")?.clone()),
            "src" | "from" => p.source = Some(words.address()?.value),
            "metric" | "preference" | "priority" => {
                p.metric = Some(u32::try_from(words.number(0, u64::from(u32::MAX))?).unwrap_or(0));
            }
            "table" => p.table = Some(table(words)?),
            "mtu" => {
                if words.peek_text() == "lock" {
                    words.take();
                }
                p.mtu = Some(u32::try_from(words.number(68, 65_535)?).unwrap_or(65_535));
            }
            "scope" => p.scope = Some(scope(words)?),
            "nexthop" => p.hops.push(next_hop(words)?),
            "onlink" => p.first.on_link = true,
            "weight" => {
                words.number(1, 256)?;
            }
            "proto" | "protocol" | "advmss" | "window" | "rtt" | "rttvar" | "rto_min"
            | "initcwnd" | "initrwnd" | "tos" | "dsfield" | "pref" | "hoplimit" | "quickack"
            | "realm" | "realms" | "congctl" | "expires" => {
                words.value("a value")?;
            }
            "to" => {
                p.to = Some(destination(
                    words.value("a block or default")?,
                    family,
                    p.first.via.as_ref(),
                )?);
            }
            _ if p.to.is_none() => {
                let gateway = words.clone();
                p.to = Some(destination(word, family.or_else(|| family_ahead(gateway)), None)?);
            }
            _ => return Err(words.unknown(word, &OPTIONS)),
        }
    }
    if let Some(first) = &p.first.via
        && p.to == Some(Net::all(Family::V4))
        && family.is_none()
        && Family::of(first.value) == Family::V6
    {
        p.to = Some(Net::all(Family::V6));
    }
    Ok(p)
}

/// The family of the gateway after `default`.
fn family_ahead(mut words: Words<'_>) -> Option<Family> {
    while let Some(word) = words.take() {
        if word.value == "via" {
            return words.address().ok().map(|a| Family::of(a.value));
        }
    }
    None
}

fn kind(word: &str) -> Option<RouteKind> {
    Some(match word {
        "unicast" => RouteKind::Unicast,
        "local" => RouteKind::Local,
        "blackhole" => RouteKind::Blackhole,
        "unreachable" => RouteKind::Unreachable,
        "prohibit" => RouteKind::Prohibit,
        "throw" => RouteKind::Throw,
        _ => return None,
    })
}

fn via(words: &mut Words<'_>) -> Result<At<core::net::IpAddr>, Problem> {
    if ["inet", "inet6"].contains(&words.peek_text()) {
        words.take();
    }
    words.address()
}

fn destination(
    word: &Word,
    family: Option<Family>,
    gateway: Option<&At<core::net::IpAddr>>,
) -> Result<Net, Problem> {
    match word.value.as_str() {
        "default" | "any" | "all" => {
            let family = family.or_else(|| gateway.map(|g| Family::of(g.value)));
            Ok(Net::all(family.unwrap_or(Family::V4)))
        }
        "0" | "0/0" => Ok(Net::all(Family::V4)),
        _ => of_family(word, net(word)?, family),
    }
}

fn next_hop(words: &mut Words<'_>) -> Result<Hop, Problem> {
    let mut hop = hop();
    loop {
        match words.peek_text() {
            "via" => {
                words.take();
                hop.via = Some(via(words)?);
            }
            "dev" => {
                words.take();
                hop.device = Some(words.value("an interface")?.clone());
            }
            "weight" => {
                words.take();
                hop.weight = u8::try_from(words.number(1, 255)?).unwrap_or(255);
            }
            "onlink" => {
                words.take();
                hop.on_link = true;
            }
            _ if hop.via.is_none() && hop.device.is_none() => {
                return Err(words.lacks("`via GATEWAY` or `dev INTERFACE` after `nexthop`"));
            }
            _ => return Ok(hop),
        }
    }
}

/// A routing table by number or name.
pub(super) fn table(words: &mut Words<'_>) -> Result<u32, Problem> {
    let word = words.value("a table: a number, main, local or default")?;
    match word.value.as_str() {
        "main" => Ok(MAIN),
        "local" => Ok(255),
        "default" => Ok(253),
        text => text
            .parse()
            .map_err(|_| wrong(word, "routing table", "a number, main, local or default")),
    }
}

fn delete(words: &mut Words<'_>, family: Option<Family>) -> Result<Outcome, Problem> {
    let parts = parts(words, family)?;
    let to = parts.to.ok_or_else(|| words.lacks("which route: a block or `default`"))?;
    let choice = RouteChoice {
        to: to.masked(),
        via: parts.first.via.map(|v| v.value),
        device: parts.first.device,
        metric: parts.metric,
        table: parts.table.unwrap_or(if parts.kind == RouteKind::Local { 255 } else { MAIN }),
    };
    Ok(Action::DeleteRoute(choice).into())
}

fn flush(words: &mut Words<'_>, family: Option<Family>) -> Result<Outcome, Problem> {
    let (mut number, mut device) = (None, None);
    while let Some(word) = words.take() {
        match word.value.as_str() {
            "table" if words.peek_text() == "cache" => {
                words.take();
                return Ok(Outcome::NoEffect("there is no route cache"));
            }
            "cache" => return Ok(Outcome::NoEffect("there is no route cache")),
            "table" => number = Some(table(words)?),
            "dev" => device = Some(words.value("an interface")?.clone()),
            _ => return Err(words.unknown(word, &["table", "dev", "cache"])),
        }
    }
    if number.is_none() && device.is_none() {
        return Err(words.lacks("table N, dev X or cache: flush requires arguments"));
    }
    Ok(Action::FlushRoutes(number.unwrap_or(MAIN), family.unwrap_or(Family::V4), device).into())
}
