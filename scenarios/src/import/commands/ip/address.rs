//! `ip address` and `ip neighbour`.

use super::super::action::{Action, Address, Family, Neighbour, Net, Scope};
use super::super::words::{Words, address, mac, net, wrong};
use super::Outcome;
use crate::diagnostic::Problem;
use core::net::IpAddr;

const VERBS: [&str; 11] = [
    "add", "change", "chg", "replace", "delete", "show", "lst", "list", "flush", "save", "restore",
];

pub(super) fn read(words: &mut Words<'_>, family: Option<Family>) -> Result<Outcome, Problem> {
    if words.peek().is_none() {
        return Ok(Outcome::Shows);
    }
    match words.abbreviated(&VERBS)? {
        "add" => change(words, family, Verb::Add),
        "change" | "chg" | "replace" => change(words, family, Verb::Replace),
        "delete" => change(words, family, Verb::Delete),
        "flush" => flush(words, family),
        _ => Ok(Outcome::Shows),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Replace,
    Delete,
}

const OPTIONS: [&str; 17] = [
    "local",
    "peer",
    "remote",
    "broadcast",
    "brd",
    "anycast",
    "scope",
    "dev",
    "label",
    "metric",
    "home",
    "nodad",
    "mngtmpaddr",
    "valid_lft",
    "preferred_lft",
    "noprefixroute",
    "autojoin",
];

fn change(words: &mut Words<'_>, family: Option<Family>, verb: Verb) -> Result<Outcome, Problem> {
    let (mut own, mut device, mut broadcast) = (None, None, None);
    let mut new = Address::new(Net::all(Family::V4), words.place());
    while let Some(word) = words.take() {
        match word.value.as_str() {
            "peer" | "remote" => new.peer = Some(net(words.value("an address")?)?),
            "broadcast" | "brd" => broadcast = Some(words.value("an address, + or -")?),
            "scope" => new.scope = Some(scope(words)?),
            "dev" => device = Some(words.value("an interface")?),
            "label" => new.label = Some(words.value("a label such as eth0:0")?.value.clone()),
            "preferred_lft" => new.deprecated = words.value("seconds or forever")?.value == "0",
            "valid_lft" | "metric" | "anycast" => {
                words.value("a value")?;
            }
            "noprefixroute" => new.no_prefix_route = true,
            "nodad" | "home" | "mngtmpaddr" | "autojoin" => {}
            "local" => own = Some(words.value("an address")?),
            _ if own.is_none() && word.value.contains(['.', ':', '/']) => own = Some(word),
            _ if own.is_none() && super::super::words::is_placeholder(&word.value) => {
                own = Some(word);
            }
            _ => return Err(words.unknown(word, &OPTIONS)),
        }
    }
    let Some(word) = own else { return Err(words.lacks("an address such as 192.168.10.11/24")) };
    new.net = of_family(word, net(word)?, family)?;
    let Some(device) = device else {
        return Err(words.lacks("the interface: `dev eth0`"));
    };
    if verb == Verb::Delete {
        return Ok(Action::DeleteAddress(device.clone(), new.net).into());
    }
    if let Some(word) = broadcast {
        new.broadcast = match word.value.as_str() {
            "+" => last_of(new.net),
            "-" => None,
            _ => Some(address(word)?),
        };
    }
    if let Some(label) = &new.label
        && label.split(':').next() != Some(device.value.as_str())
    {
        let message = format!("\"dev\" ({}) must match \"label\" ({label})", device.value);
        return Err(Problem::new(
            &words.place(),
            message,
            format!("expected {0} or {0}:NAME", device.value),
        ));
    }
    Ok(Action::AddAddress(device.clone(), new, verb == Verb::Replace).into())
}

/// The broadcast address of a prefix: all its host bits are ones.
pub(in super::super) fn last_of(net: Net) -> Option<IpAddr> {
    match net.address {
        IpAddr::V4(a) if net.len < 31 => {
            Some(IpAddr::V4((a.to_bits() | (u32::MAX >> net.len)).into()))
        }
        _ => None,
    }
}

/// The block, if it is of the family that `-4` or `-6` asks for.
pub(super) fn of_family(
    word: &super::super::action::Word,
    net: Net,
    family: Option<Family>,
) -> Result<Net, Problem> {
    match family {
        Some(Family::V4) if net.family() != Family::V4 => {
            Err(wrong(word, "IPv4 address", "one because of -4"))
        }
        Some(Family::V6) if net.family() != Family::V6 => {
            Err(wrong(word, "IPv6 address", "one because of -6"))
        }
        _ => Ok(net),
    }
}

/// `global`, `site`, `link`, `host`, or their numbers.
pub(super) fn scope(words: &mut Words<'_>) -> Result<Scope, Problem> {
    let word = words.value("global, site, link or host")?;
    match word.value.as_str() {
        "global" | "universe" | "0" => Ok(Scope::Global),
        "site" | "200" => Ok(Scope::Site),
        "link" | "253" => Ok(Scope::Link),
        "host" | "254" => Ok(Scope::Host),
        _ => Err(wrong(word, "scope", "global, site, link or host")),
    }
}

fn flush(words: &mut Words<'_>, family: Option<Family>) -> Result<Outcome, Problem> {
    let (mut device, mut label) = (None, None);
    while let Some(word) = words.take() {
        match word.value.as_str() {
            "dev" => device = Some(words.value("an interface")?.clone()),
            "label" => label = Some(words.value("a label")?.value.clone()),
            "scope" | "to" => {
                let what = word.value.clone();
                let message = format!("`{}` with `{what}` is not simulated", words.name);
                return Err(Problem::new(&word.place, message, "expected dev X or label X:0"));
            }
            _ if device.is_none() => device = Some(word.clone()),
            _ => return Err(words.unknown(word, &["dev", "label"])),
        }
    }
    if device.is_none() && label.is_none() {
        return Err(words.lacks("dev X: flush requires arguments"));
    }
    Ok(Action::FlushAddresses(device, family, label).into())
}

pub(super) fn neighbour(words: &mut Words<'_>) -> Result<Outcome, Problem> {
    const VERBS: [&str; 10] =
        ["add", "change", "chg", "replace", "delete", "get", "show", "lst", "list", "flush"];
    const OPTIONS: [&str; 7] = ["to", "dev", "lladdr", "nud", "proxy", "router", "protocol"];
    if words.peek().is_none() {
        return Ok(Outcome::Shows);
    }
    let verb = words.abbreviated(&VERBS)?;
    let (mut ip, mut device, mut lladdr) = (None, None, None);
    let (mut permanent, mut proxy, mut every) = (true, false, false);
    while let Some(word) = words.take() {
        match word.value.as_str() {
            "dev" => device = Some(words.value("an interface")?.clone()),
            "lladdr" => lladdr = Some(mac(words.value("an Ethernet address")?)?),
            "nud" => {
                let state = words.value("permanent, reachable, stale, ...")?;
                permanent = ["permanent", "noarp"].contains(&state.value.as_str());
                every = state.value == "all" || permanent;
            }
            "proxy" => {
                proxy = true;
                ip = Some(words.address()?.value);
            }
            "to" => ip = Some(words.address()?.value),
            "router" | "extern_learn" | "all" => {}
            _ if ip.is_none() && verb != "flush" => ip = Some(address(word)?),
            _ if verb == "flush" => {
                ip = Some(net(word)?.address);
            }
            _ => return Err(words.unknown(word, &OPTIONS)),
        }
    }
    if ["show", "lst", "list", "get"].contains(&verb) {
        return Ok(Outcome::Shows);
    }
    if verb == "flush" {
        return Ok(match ip {
            Some(ip) => Action::DeleteNeighbour(ip, device),
            None => Action::FlushNeighbours(device, every),
        }
        .into());
    }
    let ip = ip.ok_or_else(|| words.lacks("the neighbour's address"))?;
    if verb == "delete" {
        return Ok(Action::DeleteNeighbour(ip, device).into());
    }
    if device.is_none() {
        return Err(words.lacks("the interface: `dev eth0`"));
    }
    if lladdr.is_none() && !proxy {
        return Err(words.lacks("the Ethernet address: `lladdr 02:00:00:00:0a:64`"));
    }
    let place = words.place();
    let new = Neighbour { device, address: ip, mac: lladdr, permanent, proxy, place };
    Ok(Action::SetNeighbour(new, verb != "add").into())
}
