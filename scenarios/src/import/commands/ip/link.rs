//! `ip link` and `ip tunnel`.

use super::super::action::{Action, Encapsulation, Family, LinkChange, LinkKind, Tunnel, Word};
use super::super::words::{Words, mac, wrong};
use super::Outcome;
use crate::diagnostic::Problem;

pub(super) fn read(words: &mut Words<'_>) -> Result<Outcome, Problem> {
    const VERBS: [&str; 9] =
        ["add", "set", "change", "replace", "delete", "show", "lst", "list", "help"];
    if words.peek().is_none() {
        return Ok(Outcome::Shows);
    }
    match words.abbreviated(&VERBS)? {
        "add" | "replace" => add(words),
        "set" | "change" => set(words),
        "delete" => {
            let name = match words.take() {
                Some(w) if w.value == "dev" => words.value("an interface")?,
                Some(w) => w,
                None => return Err(words.lacks("an interface")),
            };
            Ok(Action::DeleteLink(name.clone()).into())
        }
        _ => Ok(Outcome::Shows),
    }
}

const SETTINGS: [&str; 18] = [
    "dev",
    "up",
    "down",
    "mtu",
    "address",
    "arp",
    "name",
    "master",
    "nomaster",
    "txqueuelen",
    "qlen",
    "promisc",
    "multicast",
    "allmulticast",
    "alias",
    "netns",
    "group",
    "type",
];

fn set(words: &mut Words<'_>) -> Result<Outcome, Problem> {
    let mut device: Option<&Word> = None;
    let mut changes = Vec::new();
    while let Some(word) = words.take() {
        let change = match word.value.as_str() {
            "dev" => {
                device = Some(words.value("an interface")?);
                continue;
            }
            "up" => LinkChange::Up(true),
            "down" => LinkChange::Up(false),
            "mtu" => LinkChange::Mtu(u32::try_from(words.number(68, 65_535)?).unwrap_or(65_535)),
            "address" => LinkChange::Mac(mac(words.value("an Ethernet address")?)?),
            "arp" => LinkChange::Arp(on_off(words)?),
            "name" => LinkChange::Name(words.value("a name")?.value.clone()),
            "master" => LinkChange::Master(Some(words.value("an interface")?.value.clone())),
            "nomaster" => LinkChange::Master(None),
            "txqueuelen" | "qlen" | "promisc" | "multicast" | "allmulticast" | "alias"
            | "group" => {
                words.value("a value")?;
                continue;
            }
            "netns" | "type" | "xdp" | "vf" => {
                let message = format!("`{} ... {}` is not simulated", words.name, word.value);
                return Err(Problem::new(
                    &word.place,
                    message,
                    "leave it out, or describe the host otherwise",
                ));
            }
            _ if device.is_none() => {
                device = Some(word);
                continue;
            }
            _ => return Err(words.unknown(word, &SETTINGS)),
        };
        changes.push(change);
    }
    let Some(device) = device else { return Err(words.lacks("an interface")) };
    // a rename comes last: the other changes are those of the old name
    changes.sort_by_key(|c| matches!(c, LinkChange::Name(_)));
    Ok(Outcome::Actions(changes.into_iter().map(|c| Action::SetLink(device.clone(), c)).collect()))
}

fn on_off(words: &mut Words<'_>) -> Result<bool, Problem> {
    let word = words.value("on or off")?;
    match word.value.as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(wrong(word, "switch", "on or off")),
    }
}

const KINDS: [&str; 10] =
    ["ipip", "gre", "sit", "ip6tnl", "ip6gre", "vlan", "bridge", "bond", "dummy", "veth"];

fn add(words: &mut Words<'_>) -> Result<Outcome, Problem> {
    let (mut name, mut below): (Option<&Word>, Option<&Word>) = (None, None);
    let mut changes = Vec::new();
    while let Some(word) = words.take() {
        match word.value.as_str() {
            "name" | "dev" => name = Some(words.value("a name")?),
            "link" => below = Some(words.value("an interface")?),
            "mtu" => {
                let mtu = u32::try_from(words.number(68, 65_535)?).unwrap_or(65_535);
                changes.push(LinkChange::Mtu(mtu));
            }
            "address" => changes.push(LinkChange::Mac(mac(words.value("an Ethernet address")?)?)),
            "up" => changes.push(LinkChange::Up(true)),
            "txqueuelen" | "qlen" | "numtxqueues" | "numrxqueues" => {
                words.value("a number")?;
            }
            "type" => {
                let kind = words.value("a kind of device")?;
                let kind = kind_of(words, kind, below)?;
                let name = name.ok_or_else(|| words.lacks("the name of the new device"))?;
                let made = std::iter::once(Action::AddLink(name.clone(), kind));
                let changed = changes.into_iter().map(|c| Action::SetLink(name.clone(), c));
                return Ok(Outcome::Actions(made.chain(changed).collect()));
            }
            _ if name.is_none() => name = Some(word),
            _ => return Err(words.unknown(word, &["name", "link", "mtu", "address", "type"])),
        }
    }
    Err(words.lacks("the kind of the device: `type ipip`"))
}

fn kind_of(words: &mut Words<'_>, kind: &Word, below: Option<&Word>) -> Result<LinkKind, Problem> {
    let encapsulation = match kind.value.as_str() {
        "ipip" => Encapsulation::Ipip,
        "gre" => Encapsulation::Gre,
        "sit" => Encapsulation::Sit,
        "ip6tnl" => Encapsulation::Ip6tnl,
        "ip6gre" => Encapsulation::Ip6gre,
        "dummy" => {
            words.rest();
            return Ok(LinkKind::Dummy);
        }
        "bridge" => {
            words.rest();
            return Ok(LinkKind::Bridge);
        }
        "bond" => {
            words.rest();
            return Ok(LinkKind::Bond);
        }
        "vlan" => return vlan(words, below),
        other
            if KINDS.contains(&other)
                || ["vxlan", "macvlan", "ipvlan", "ifb", "vti", "geneve"].contains(&other) =>
        {
            let message = format!("a device of the type {other} is not simulated");
            return Err(Problem::new(
                &kind.place,
                message,
                "simulated are ipip, gre, sit, ip6tnl, ip6gre, vlan, bridge, bond and dummy",
            ));
        }
        _ => return Err(words.unknown(kind, &KINDS)),
    };
    tunnel_options(words, encapsulation).map(LinkKind::Tunnel)
}

fn vlan(words: &mut Words<'_>, below: Option<&Word>) -> Result<LinkKind, Problem> {
    let mut id = None;
    while let Some(word) = words.take() {
        match word.value.as_str() {
            "id" => id = Some(words.number(1, 4094)?),
            "protocol" => {
                words.value("802.1q")?;
            }
            _ => return Err(words.unknown(word, &["id", "protocol"])),
        }
    }
    let id = id.and_then(|i| u16::try_from(i).ok()).ok_or_else(|| words.lacks("`id N`"))?;
    let below = below.ok_or_else(|| words.lacks("the interface below: `link eth0`"))?;
    Ok(LinkKind::Vlan { below: below.value.clone(), id })
}

const TUNNEL: [&str; 11] = [
    "remote",
    "local",
    "ttl",
    "hoplimit",
    "tos",
    "dev",
    "mode",
    "nopmtudisc",
    "pmtudisc",
    "external",
    "key",
];

fn tunnel_options(words: &mut Words<'_>, encapsulation: Encapsulation) -> Result<Tunnel, Problem> {
    let mut tunnel = Tunnel { encapsulation, remote: None, local: None, ttl: None };
    while let Some(word) = words.take() {
        match word.value.as_str() {
            "remote" | "local" => {
                let any = words.peek_text() == "any";
                let end = if any {
                    words.take().map(|_| None)
                } else {
                    Some(Some(words.address()?.value))
                };
                let end = end.flatten().filter(|a| !a.is_unspecified());
                if word.value == "remote" { tunnel.remote = end } else { tunnel.local = end }
            }
            "ttl" | "hoplimit" => {
                let inherit = words.peek_text() == "inherit";
                tunnel.ttl = if inherit {
                    words.take();
                    None
                } else {
                    u8::try_from(words.number(0, 255)?).ok().filter(|t| *t > 0)
                };
            }
            "tos" | "dev" | "mode" | "encaplimit" | "flowlabel" => {
                words.value("a value")?;
            }
            "nopmtudisc" | "pmtudisc" | "external" | "noencap" => {}
            "key" | "ikey" | "okey" | "csum" | "seq" | "encap" => {
                let message = format!("tunnels with `{}` are not simulated", word.value);
                return Err(Problem::new(&word.place, message, "leave it out"));
            }
            _ => return Err(words.unknown(word, &TUNNEL)),
        }
    }
    Ok(tunnel)
}

/// `ip tunnel add NAME mode ipip remote R local L`.
pub(super) fn tunnel(words: &mut Words<'_>, family: Option<Family>) -> Result<Outcome, Problem> {
    const VERBS: [&str; 7] = ["add", "change", "delete", "show", "lst", "list", "prl"];
    const MODES: [&str; 5] = ["ipip", "gre", "sit", "ip6ip6", "ip6gre"];
    if words.peek().is_none() {
        return Ok(Outcome::Shows);
    }
    let verb = words.abbreviated(&VERBS)?;
    if verb == "prl" || verb.starts_with('l') || verb == "show" {
        return Ok(Outcome::Shows);
    }
    let Some(mut name) = words.take() else { return Err(words.lacks("the name of the tunnel")) };
    if name.value == "name" {
        name = words.value("a name")?;
    }
    if verb == "delete" {
        return Ok(Action::DeleteLink(name.clone()).into());
    }
    let mut rest = words.clone();
    let mode = loop {
        match rest.take() {
            Some(w) if w.value == "mode" => break Some(rest.value("ipip, gre or sit")?),
            Some(_) => {}
            None => break None,
        }
    };
    let encapsulation = match mode.map(|m| (m.value.as_str(), m)) {
        Some(("ipip" | "ip/ip" | "any", _)) => Encapsulation::Ipip,
        Some(("gre" | "gre/ip", _)) => Encapsulation::Gre,
        Some(("sit" | "ipv6/ip", _)) => Encapsulation::Sit,
        Some(("ip6ip6" | "ipv6/ipv6" | "ipip6" | "ip4ip6", _)) => Encapsulation::Ip6tnl,
        Some(("ip6gre" | "gre/ipv6", _)) => Encapsulation::Ip6gre,
        Some((_, mode)) => return Err(words.unknown(mode, &MODES)),
        None if family == Some(Family::V6) => Encapsulation::Ip6tnl,
        None => return Err(words.lacks("`mode ipip`")),
    };
    let tunnel = tunnel_options(words, encapsulation)?;
    Ok(Action::AddLink(name.clone(), LinkKind::Tunnel(tunnel)).into())
}
