//! The tables of a host, as its tools list them: neighbours, services, connections.

use serde_json::Value;
use sim_core::net::arp::State;
use sim_core::wire::{Ip, proto};
use sim_core::world::World;
use std::net::{IpAddr, SocketAddr};

/// Seconds by which the time left of a connection may differ: the tools cut it to whole seconds, and
/// the recording read the tables some tenths of a second after the request.
const SECONDS: u64 = 1;

/// A connection as it is listed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Entry {
    /// Protocol, client, virtual and destination end, state.
    words: [String; 5],
    left: u64,
}

impl Entry {
    fn shown(&self) -> String {
        format!("{} {}s", self.words.join(" "), self.left)
    }
}

/// Connections listed as `[proto, client, virtual, dest, state, seconds]`.
pub(super) fn entries(value: &Value) -> Vec<Entry> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter()
        .map(|e| Entry {
            words: [text(&e[0]), text(&e[1]), text(&e[2]), text(&e[3]), text(&e[4])],
            left: e[5].as_u64().unwrap_or(0),
        })
        .collect()
}

/// Connections as `ipvsadm -Lnc` lists them: `TCP 01:59  FIN_WAIT  client  virtual  dest`.
pub(super) fn listed_entries(lines: &[Value]) -> Vec<Entry> {
    lines.iter().filter_map(|l| listed_entry(l.as_str()?)).collect()
}

fn listed_entry(line: &str) -> Option<Entry> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [protocol, left, state, client, service, destination, ..] = words[..] else { return None };
    let (minutes, seconds) = left.split_once(':')?;
    let left = minutes.parse::<u64>().ok()? * 60 + seconds.parse::<u64>().ok()?;
    Some(Entry { words: [protocol, client, service, destination, state].map(str::to_owned), left })
}

/// Compares the connections of a director.
pub(super) fn connections(
    world: &mut World,
    host: usize,
    recorded: &[Entry],
) -> Result<usize, String> {
    let mut ours = our_connections(world, host);
    let mut theirs = recorded.to_vec();
    ours.sort();
    theirs.sort();
    for their in &theirs {
        let Some(at) = ours.iter().position(|o| o.words == their.words) else {
            let listed: Vec<_> = ours.iter().map(Entry::shown).collect();
            return Err(format!("recorded {}, ours {}", their.shown(), listed.join("; ")));
        };
        let our = ours.remove(at);
        if our.left.abs_diff(their.left) > SECONDS {
            return Err(format!("recorded {}, ours {} s left", their.shown(), our.left));
        }
    }
    match ours.first() {
        Some(extra) => Err(format!("one too many: {}", extra.shown())),
        None => Ok(theirs.len()),
    }
}

fn our_connections(world: &mut World, host: usize) -> Vec<Entry> {
    let now = world.now();
    let book = world.book().clone();
    let at = |ip: Ip, port: u16| SocketAddr::new(book.address(ip), port).to_string();
    let Some(director) = &world.hosts()[host].director else { return Vec::new() };
    let name = |protocol: u8| match protocol {
        proto::TCP => "TCP",
        proto::UDP => "UDP",
        _ => "IP",
    };
    director
        .ipvs
        .connections()
        .map(|(_, c)| Entry {
            words: [
                name(c.protocol()).to_owned(),
                at(c.client().0, c.client().1),
                at(c.vip().0, c.vip().1),
                at(c.rip().0, c.rip().1),
                c.state().name().to_owned(),
            ],
            left: c.expires().saturating_since(now).as_nanos() / 1_000_000_000,
        })
        .collect()
}

/// Compares services and destinations with the lines of `ipvsadm -Ln`, in any order.
pub(super) fn services(world: &World, host: usize, lines: &[Value]) -> Result<usize, String> {
    let mut theirs = Vec::new();
    let mut service = String::new();
    for line in lines.iter().filter_map(Value::as_str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["Prot", ..] | ["->", "RemoteAddress:Port", ..] | [] => {}
            ["->", at, method, weight, active, inactive] => {
                theirs.push(format!("{service} -> {at} {method} {weight} {active} {inactive}"))
            }
            [protocol, at, ..] => {
                service = format!("{protocol} {at}");
                theirs.push(words.join(" "));
            }
            _ => return Err(format!("a line that is not understood: {line}")),
        }
    }
    let mut ours = our_services(world, host);
    ours.sort();
    theirs.sort();
    for their in &theirs {
        if !ours.contains(their) {
            return Err(format!("recorded {their}, ours {}", ours.join("; ")));
        }
    }
    match ours.iter().find(|o| !theirs.contains(o)) {
        Some(extra) => Err(format!("one too many: {extra}")),
        None => Ok(theirs.len()),
    }
}

/// Compares the neighbours of a host with the lines of `ip neigh`, in any order.
pub(super) fn neighbours(world: &mut World, host: usize, lines: &[Value]) -> Result<usize, String> {
    let mut ours = neighbour_lines(world, host);
    let mut theirs: Vec<String> =
        lines.iter().filter_map(Value::as_str).map(|l| l.trim_end().to_owned()).collect();
    ours.sort();
    theirs.sort();
    if ours == theirs {
        return Ok(theirs.len());
    }
    let only = |a: &[String], b: &[String]| -> String {
        let only: Vec<_> = a.iter().filter(|l| !b.contains(l)).cloned().collect();
        if only.is_empty() { "nothing else".to_owned() } else { only.join("; ") }
    };
    Err(format!("recorded {}, ours {}", only(&theirs, &ours), only(&ours, &theirs)))
}

/// The neighbours of a host as `ip neigh` prints them.
pub(super) fn neighbour_lines(world: &mut World, host: usize) -> Vec<String> {
    let book = world.book().clone();
    let macs = world.macs().clone();
    let ip = &world.hosts()[host].ip;
    let line = |n: &sim_core::net::arp::Neighbour| {
        let dev = ip.interfaces.get(usize::from(n.interface)).map_or("?", |i| i.name.as_str());
        let to: IpAddr = book.address(n.ip);
        let state = n.state.name();
        if n.state.is_valid() {
            let mac = macs.get(n.mac.0 as usize).map_or_else(String::new, ToString::to_string);
            return format!("{to} dev {dev} lladdr {mac} {state}");
        }
        format!("{to} dev {dev} {state}")
    };
    let asked = |n: &&sim_core::net::arp::Neighbour| n.state != State::Failed || n.was_asked();
    ip.neighbours.entries().iter().filter(asked).map(line).collect()
}

/// Services and destinations as `ipvsadm -Ln` prints them, each with its service.
fn our_services(world: &World, host: usize) -> Vec<String> {
    let Some(director) = &world.hosts()[host].director else { return Vec::new() };
    Vec::new()
}
