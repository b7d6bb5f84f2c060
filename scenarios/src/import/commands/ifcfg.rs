//! Interface files of Red Hat: `ifcfg-eth0`, `ifcfg-eth0:0`, `ifcfg-lo:0`.

use super::action::{Action, Address, Hop, LinkChange, Net, Route, RouteKind, RouteMode, Word};
use super::ip::{MAIN, last_of};
use super::net_tools::{base, class_length, netmask};
use super::words::{address, mac, number, unknown, wrong};
use crate::diagnostic::{At, Place, Problem};
use core::net::IpAddr;

/// Keys that have an effect, then those that have none.
const KEYS: [&str; 36] = [
    "DEVICE",
    "IPADDR",
    "IPADDR0",
    "NETMASK",
    "NETMASK0",
    "PREFIX",
    "PREFIX0",
    "GATEWAY",
    "GATEWAY0",
    "BROADCAST",
    "NETWORK",
    "ONBOOT",
    "NAME",
    "ARP",
    "MTU",
    "MACADDR",
    "HWADDR",
    "IPV6ADDR",
    "IPV6_DEFAULTGW",
    "IPV6INIT",
    "BOOTPROTO",
    "TYPE",
    "UUID",
    "DEFROUTE",
    "PEERDNS",
    "PEERROUTES",
    "DNS1",
    "DNS2",
    "USERCTL",
    "NM_CONTROLLED",
    "ONPARENT",
    "IPV4_FAILURE_FATAL",
    "PROXY_METHOD",
    "BROWSER_ONLY",
    "DOMAIN",
    "IPV6_AUTOCONF",
];

/// Whether a line can be one of such a file.
pub(super) fn is_line(text: &str) -> bool {
    let Some((key, _)) = text.split_once('=') else { return false };
    KEYS.contains(&key.trim()) || key.trim().starts_with("IPV6")
}

/// The interface whose file this is: `lo:0` of `.../ifcfg-lo:0`.
pub(super) fn interface_of(path: &str) -> Option<&str> {
    path.rsplit('/').next()?.strip_prefix("ifcfg-").filter(|n| !n.is_empty())
}

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Interface {
    /// What `ifup` does.
    pub(super) actions: Vec<Action>,
    /// The interface comes up when the host starts.
    pub(super) on_boot: bool,
    /// The name of the interface, an alias maybe.
    pub(super) name: Option<Word>,
}

/// A line's value without its quotes and the comment after it.
fn value_of(text: &str) -> &str {
    let text = text.trim();
    let end = [" #", "\t#", " //", "\t//"].iter().filter_map(|c| text.find(c)).min();
    text[..end.unwrap_or(text.len())].trim().trim_matches(['"', '\''])
}

/// Reads a file: its lines, and the name of its interface, `ifcfg-` left out.
pub(super) fn read(file: &str, lines: &[Word], problems: &mut Vec<Problem>) -> Interface {
    let mut values: Vec<(String, Word)> = Vec::new();
    for line in lines {
        let text = line.value.trim();
        if text.is_empty() || text.starts_with(['#', ';']) || text.starts_with("//") {
            continue;
        }
        let Some((key, value)) = text.split_once('=') else {
            let message = format!("`{text}` is no line of ifcfg-{file}");
            problems.push(Problem::new(&line.place, message, "expected KEY=VALUE"));
            continue;
        };
        let key = key.trim();
        if !is_line(text) {
            let word = At::new(key.to_owned(), line.place.clone());
            problems.push(unknown(
                &word,
                format!("unknown key `{key}` in ifcfg-{file}"),
                &KEYS[..17],
            ));
            continue;
        }
        let key = key.strip_suffix('0').filter(|k| KEYS.contains(k)).unwrap_or(key);
        values.retain(|(k, _)| k != key);
        values.push((key.to_owned(), At::new(value_of(value).to_owned(), line.place.clone())));
    }
    let place = lines.first().map(|l| l.place.clone()).unwrap_or_default();
    interface(file, &values, &place).unwrap_or_else(|problem| {
        problems.push(problem);
        Interface::default()
    })
}

fn interface(file: &str, values: &[(String, Word)], place: &Place) -> Result<Interface, Problem> {
    let get =
        |key: &str| values.iter().find(|(k, v)| k == key && !v.value.is_empty()).map(|(_, v)| v);
    let name = get("DEVICE").or_else(|| get("NAME").filter(|n| !n.value.contains(' '))).cloned();
    let name = name.unwrap_or_else(|| At::new(file.to_owned(), place.clone()));
    let device = base(&name);
    let mut actions = Vec::new();
    if let Some(mtu) = get("MTU") {
        let mtu = u32::try_from(number(mtu, 68, 65_535)?).unwrap_or(65_535);
        actions.push(Action::SetLink(device.clone(), LinkChange::Mtu(mtu)));
    }
    if let Some(word) = get("MACADDR") {
        actions.push(Action::SetLink(device.clone(), LinkChange::Mac(mac(word)?)));
    }
    actions.push(Action::SetLink(device.clone(), LinkChange::Up(true)));
    if let Some(word) = get("ARP") {
        let on = !["no", "NO", "off"].contains(&word.value.as_str());
        actions.push(Action::SetLink(device.clone(), LinkChange::Arp(on)));
    }
    if let Some(word) = get("IPADDR") {
        let IpAddr::V4(ip) = address(word)? else {
            return Err(wrong(word, "IPv4 address", "one such as 192.168.10.11"));
        };
        let len = match (get("PREFIX"), get("NETMASK")) {
            (Some(prefix), _) => u8::try_from(number(prefix, 0, 32)?).unwrap_or(32),
            (None, Some(mask)) => netmask(mask)?,
            (None, None) => class_length(ip),
        };
        let net = Net { address: IpAddr::V4(ip), len };
        let broadcast = get("BROADCAST").map(address).transpose()?.or_else(|| last_of(net));
        let place = word.place.clone();
        let label = Some(name.value.clone());
        let new = Address {
            net,
            peer: None,
            broadcast,
            label,
            scope: None,
            deprecated: false,
            no_prefix_route: false,
            place,
        };
        actions.push(Action::SetAlias(name.clone(), new));
    }
    if let Some(word) = get("IPV6ADDR") {
        let mut net = super::words::net(word)?;
        if !word.value.contains('/') {
            net.len = 64;
        }
        let place = word.place.clone();
        let new = Address::new(net, place);
        actions.push(Action::AddAddress(device.clone(), new, true));
    }
    for key in ["GATEWAY", "IPV6_DEFAULTGW"] {
        if let Some(word) = get(key) {
            actions.push(Action::AddRoute(RouteMode::Replace, default_route(word, &device)?));
        }
    }
    let on_boot =
        get("ONBOOT").is_none_or(|w| !["no", "NO", "No", "false"].contains(&w.value.as_str()));
    Ok(Interface { actions, on_boot, name: Some(name) })
}

fn default_route(word: &Word, device: &Word) -> Result<Route, Problem> {
    let via = address(word)?;
    let family = super::action::Family::of(via);
    Ok(Route {
        to: Net::all(family),
        kind: RouteKind::Unicast,
        hops: vec![Hop {
            via: Some(At::new(via, word.place.clone())),
            device: Some(device.clone()),
            weight: 1,
            on_link: false,
        }],
        source: None,
        metric: u32::from(family == super::action::Family::V6),
        table: MAIN,
        mtu: None,
        scope: None,
        place: word.place.clone(),
    })
}
