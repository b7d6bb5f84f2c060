//! `ifconfig`, `route` and `arp` of net-tools.

use super::action::{
    Action, Address, Family, Hop, LinkChange, Neighbour, Net, Route, RouteChoice, RouteKind,
    RouteMode, Word,
};
use super::ip::{MAIN, last_of};
use super::words::{Words, address, mac, mask_length, net, wrong};
use crate::diagnostic::{At, Problem};
use core::net::{IpAddr, Ipv4Addr};

/// Commands, or none if it only shows something.
type Actions = Vec<Action>;

/// `ifconfig IF[:ALIAS] [ADDRESS] [netmask M] [broadcast B] [up|down] [mtu N] ...`.
pub(super) fn ifconfig(words: &[Word]) -> Result<Actions, Problem> {
    let mut words = Words::new(words);
    let Some(name) = words.take().filter(|w| !w.value.starts_with('-')) else {
        return Ok(Vec::new());
    };
    let mut wanted = Wanted::default();
    while let Some(word) = words.take() {
        match link_change(word, &mut words)? {
            Some(LinkChange::Up(false)) if name.value.contains(':') => {
                wanted.actions.push(Action::DropAlias(name.clone()));
            }
            Some(change) => wanted.actions.push(Action::SetLink(base(name), change)),
            None => wanted.option(name, word, &mut words)?,
        }
    }
    wanted.finish(name, &words)
}

/// An option of `ifconfig` that changes the interface itself.
fn link_change(word: &Word, words: &mut Words<'_>) -> Result<Option<LinkChange>, Problem> {
    Ok(Some(match word.value.as_str() {
        "up" => LinkChange::Up(true),
        "down" => LinkChange::Up(false),
        "mtu" => LinkChange::Mtu(u32::try_from(words.number(68, 65_535)?).unwrap_or(65_535)),
        "arp" => LinkChange::Arp(true),
        "-arp" => LinkChange::Arp(false),
        "hw" => {
            words.value("ether")?;
            LinkChange::Mac(mac(words.value("an Ethernet address")?)?)
        }
        _ => return Ok(None),
    }))
}

/// What a command of `ifconfig` asks for while its words are read.
#[derive(Default)]
struct Wanted {
    own: Option<IpAddr>,
    len: Option<u8>,
    broadcast: Option<IpAddr>,
    peer: Option<Net>,
    actions: Actions,
}

impl Wanted {
    /// An option about addresses.
    fn option(&mut self, name: &Word, word: &Word, words: &mut Words<'_>) -> Result<(), Problem> {
        const OPTIONS: [&str; 13] = [
            "up",
            "down",
            "netmask",
            "broadcast",
            "mtu",
            "arp",
            "-arp",
            "add",
            "del",
            "hw",
            "pointopoint",
            "promisc",
            "txqueuelen",
        ];
        let text = word.value.as_str();
        match text {
            "netmask" => self.len = Some(netmask(words.value("a netmask")?)?),
            "broadcast" | "-broadcast" => self.broadcast = Some(words.address()?.value),
            "pointopoint" | "dstaddr" => self.peer = Some(Net::host(words.address()?.value)),
            "add" => {
                let net = net(words.value("an address")?)?;
                self.actions.push(added(&words.place(), name, net));
            }
            "del" => {
                let net = net(words.value("an address")?)?;
                self.actions.push(Action::DeleteAddress(base(name), net));
            }
            "inet" | "inet6" | "promisc" | "-promisc" | "multicast" | "-multicast" | "allmulti"
            | "-allmulti" | "dynamic" => {}
            "txqueuelen" | "metric" => drop(words.value("a number")?),
            _ if self.own.is_none()
                && (text.contains('.') || super::words::is_placeholder(text)) =>
            {
                let given = net(word)?;
                self.len = self.len.or_else(|| text.contains('/').then_some(given.len));
                self.own = Some(given.address);
            }
            _ => return Err(words.unknown(word, &OPTIONS)),
        }
        Ok(())
    }

    fn finish(mut self, name: &Word, words: &Words<'_>) -> Result<Actions, Problem> {
        let Some(IpAddr::V4(ip)) = self.own else {
            return if self.len.is_some() || self.broadcast.is_some() {
                Err(words.lacks("an address before the netmask"))
            } else {
                Ok(self.actions)
            };
        };
        let len = self.len.unwrap_or_else(|| class_length(ip));
        let net = Net { address: IpAddr::V4(ip), len };
        let address = Address {
            net,
            peer: self.peer,
            broadcast: self.broadcast.or_else(|| last_of(net)),
            label: Some(name.value.clone()),
            scope: None,
            deprecated: false,
            no_prefix_route: false,
            place: words.place(),
        };
        // an address brings the interface up
        let down = self
            .actions
            .iter()
            .any(|a| matches!(a, Action::SetLink(_, LinkChange::Up(false)) | Action::DropAlias(_)));
        self.actions.insert(0, Action::SetAlias(name.clone(), address));
        if !down {
            self.actions.insert(1, Action::SetLink(base(name), LinkChange::Up(true)));
        }
        Ok(self.actions)
    }
}

fn added(place: &crate::diagnostic::Place, name: &Word, net: Net) -> Action {
    let address = Address::new(net, place.clone());
    Action::AddAddress(base(name), address, false)
}

/// The interface of an alias.
pub(super) fn base(name: &Word) -> Word {
    let base = name.value.split(':').next().unwrap_or_default();
    At::new(base.to_owned(), name.place.clone())
}

/// The length of the prefix without a netmask: that of the address's class.
pub(super) const fn class_length(ip: Ipv4Addr) -> u8 {
    match ip.octets()[0] {
        0..=127 => 8,
        128..=191 => 16,
        _ => 24,
    }
}

/// The length that a netmask stands for.
pub(super) fn netmask(word: &Word) -> Result<u8, Problem> {
    let hex = word.value.strip_prefix("0x").and_then(|h| u32::from_str_radix(h, 16).ok());
    let mask = hex.map(Ipv4Addr::from_bits).or_else(|| word.value.parse().ok());
    mask.and_then(mask_length).ok_or_else(|| wrong(word, "netmask", "a mask such as 255.255.255.0"))
}

/// `route add|del [-net|-host] TARGET [netmask M] [gw G] [metric N] [[dev] IF]`.
pub(super) fn route(words: &[Word]) -> Result<Actions, Problem> {
    const OPTIONS: [&str; 7] = ["gw", "netmask", "dev", "metric", "mss", "reject", "window"];
    let mut words = Words::new(words);
    let Some((verb, v6)) = verb_of_route(&mut words)? else { return Ok(Vec::new()) };
    if !["add", "del", "delete"].contains(&verb.value.as_str()) {
        return Err(words.unknown(verb, &["add", "del"]));
    }
    words.name = format!("route {}", verb.value);
    let host = match words.peek_text() {
        "-host" => words.take().map(|_| true),
        "-net" => words.take().map(|_| false),
        _ => None,
    };
    let Some(target) = words.take() else {
        return Err(words.lacks("a target: -host A, -net N or default"));
    };
    let (mut len, mut via, mut device, mut metric, mut reject) = (None, None, None, None, false);
    while let Some(word) = words.take() {
        match word.value.as_str() {
            "gw" | "gateway" => via = Some(words.address()?),
            "netmask" => len = Some(netmask(words.value("a netmask")?)?),
            "dev" => device = Some(words.value("an interface")?.clone()),
            "metric" => metric = u32::try_from(words.number(0, u64::from(u32::MAX))?).ok(),
            "mss" | "window" | "irtt" => {
                words.value("a number")?;
            }
            "reject" => reject = true,
            "mod" | "dyn" | "reinstate" => {}
            _ if device.is_none() && !word.value.contains('.') && words.peek().is_none() => {
                device = Some(word.clone());
            }
            _ => return Err(words.unknown(word, &OPTIONS)),
        }
    }
    let to = target_of(target, len, host, v6)?;
    // an alias stands for its interface
    let device = device.map(|d| base(&d));
    if verb.value != "add" {
        let via = via.map(|v| v.value);
        return Ok(vec![Action::DeleteRoute(RouteChoice { to, via, device, metric, table: MAIN })]);
    }
    if via.is_none() && device.is_none() && !reject {
        return Err(words.lacks("`gw GATEWAY` or `dev INTERFACE`"));
    }
    let hops =
        if reject { Vec::new() } else { vec![Hop { via, device, weight: 1, on_link: false }] };
    // the old interface puts a second route of a prefix before the first one
    Ok(vec![Action::AddRoute(
        RouteMode::Prepend,
        Route {
            to,
            kind: if reject { RouteKind::Unreachable } else { RouteKind::Unicast },
            hops,
            source: None,
            metric: metric.unwrap_or(u32::from(v6)),
            table: MAIN,
            mtu: None,
            scope: None,
            place: words.place(),
        },
    )])
}

/// The verb of `route` behind its options, and whether they choose IPv6. `None`: it only shows.
fn verb_of_route<'a>(words: &mut Words<'a>) -> Result<Option<(&'a Word, bool)>, Problem> {
    const PASSED: [&str; 9] = ["-A", "--inet", "--inet6", "-6", "-4", "-n", "-v", "-e", "-ee"];
    let mut v6 = false;
    loop {
        match words.take() {
            Some(w) if PASSED.contains(&w.value.as_str()) => {
                if w.value == "-A" {
                    v6 = words.value("inet or inet6")?.value == "inet6";
                }
                v6 |= w.value.ends_with('6');
            }
            Some(w) if !w.value.starts_with('-') => return Ok(Some((w, v6))),
            _ => return Ok(None),
        }
    }
}

fn target_of(word: &Word, len: Option<u8>, host: Option<bool>, v6: bool) -> Result<Net, Problem> {
    if word.value == "default" {
        return Ok(Net::all(if v6 { Family::V6 } else { Family::V4 }));
    }
    let mut to = net(word)?;
    let slash = word.value.contains('/');
    if host == Some(true) && (slash && to.len < to.family().bits() || len.is_some_and(|l| l < 32)) {
        return Err(wrong(word, "host", "an address: `netmask` and `/` are for -net"));
    }
    if let IpAddr::V4(ip) = to.address
        && !slash
        && host != Some(true)
    {
        // without a mask it is the network of the address's class, or a host if it has host bits
        let class = class_length(ip);
        let bits = ip.to_bits();
        let is_net = host == Some(false) || bits & (u32::MAX >> class) == 0;
        to.len = len.unwrap_or(match (is_net, bits) {
            (_, 0) => 0,
            (true, _) => class,
            (false, _) => 32,
        });
    }
    if to.masked().address != to.address {
        return Err(wrong(
            word,
            "network",
            "netmask doesn't match route address: no bits behind the mask",
        ));
    }
    Ok(to)
}

/// `arp -s ADDRESS MAC [-i IF]`, `arp -d ADDRESS`.
pub(super) fn arp(words: &[Word]) -> Result<Actions, Problem> {
    let mut words = Words::new(words);
    let (mut verb, mut device, mut rest) = (None, None, Vec::new());
    let mut proxy = false;
    while let Some(word) = words.take() {
        match word.value.as_str() {
            "-s" | "--set" | "-d" | "--delete" => verb = Some(word),
            "-i" | "--device" | "dev" => device = Some(words.value("an interface")?.clone()),
            "-n" | "-a" | "-v" | "-e" | "-an" | "-na" | "temp" | "netmask" => {}
            "-H" | "-t" => {
                words.value("ether")?;
            }
            "pub" => proxy = true,
            "-f" | "-D" => {
                let message = format!("`arp {}` is not simulated", word.value);
                return Err(Problem::new(&word.place, message, "simulated are -s and -d"));
            }
            _ => rest.push(word),
        }
    }
    let Some(verb) = verb else { return Ok(Vec::new()) };
    let Some(host) = rest.first() else { return Err(words.lacks("an address")) };
    let ip = address(host)?;
    if verb.value.starts_with("-d") || verb.value == "--delete" {
        return Ok(vec![Action::DeleteNeighbour(ip, device)]);
    }
    let Some(lladdr) = rest.get(1) else { return Err(words.lacks("an Ethernet address")) };
    let lladdr = mac(lladdr)?;
    let place = words.place();
    let mac = (!proxy).then_some(lladdr);
    Ok(vec![Action::SetNeighbour(
        Neighbour { device, address: ip, mac, permanent: true, proxy, place },
        true,
    )])
}
