//! The tables of a host, as its tools list them: neighbours, services, connections.

use crate::import::ipvsadm::{Listing, Names, View};
use crate::operator;
use serde_json::Value;
use sim_core::engine::Span;
use sim_core::observe::DirectorSnapshot;
use sim_core::world::World;

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

/// Compares the connections of a director. `late` is how much longer requests took than in the
/// recording.
pub(super) fn connections(
    world: &mut World,
    host: usize,
    recorded: &[Entry],
    late: Span,
) -> Result<usize, String> {
    let mut ours = our_connections(world, host);
    let mut theirs = recorded.to_vec();
    let allowed = SECONDS + late.as_nanos().div_ceil(1_000_000_000);
    ours.sort();
    theirs.sort();
    for their in &theirs {
        let Some(at) = ours.iter().position(|o| o.words == their.words) else {
            let listed: Vec<_> = ours.iter().map(Entry::shown).collect();
            return Err(format!("recorded {}, ours {}", their.shown(), listed.join("; ")));
        };
        let our = ours.remove(at);
        if our.left.abs_diff(their.left) > allowed {
            return Err(format!("recorded {}, ours {} s left", their.shown(), our.left));
        }
    }
    match ours.first() {
        Some(extra) => Err(format!("one too many: {}", extra.shown())),
        None => Ok(theirs.len()),
    }
}

fn our_connections(world: &mut World, host: usize) -> Vec<Entry> {
    let Some(snapshot) = world.snapshot(host) else { return Vec::new() };
    listed(View::Connections { engine: false }, &snapshot)
        .iter()
        .filter_map(|l| listed_entry(l))
        .collect()
}

/// The lines of a numeric listing of ipvsadm.
fn listed(view: View, snapshot: &DirectorSnapshot) -> Vec<String> {
    let listing = Listing { view, numeric: true, ..Listing::default() };
    let text = operator::show(&listing, snapshot, Names::NONE).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Compares what `ipvsadm -Ln` lists, line by line.
pub(super) fn services(world: &mut World, host: usize, lines: &[Value]) -> Result<usize, String> {
    let ours = world.snapshot(host).map(|s| listed(View::Services, &s)).unwrap_or_default();
    // the recordings left out the title of the table
    let ours: Vec<_> = ours.iter().filter(|l| !l.starts_with("IP Virtual Server")).collect();
    let theirs: Vec<_> = lines.iter().filter_map(Value::as_str).collect();
    for (n, their) in theirs.iter().enumerate() {
        let our = ours.get(n).map_or("nothing", |l| l.as_str());
        if our.trim_end() != their.trim_end() {
            return Err(format!("line {}: recorded {their}, ours {our}", n + 1));
        }
    }
    match ours.get(theirs.len()) {
        Some(extra) => Err(format!("one line too many: {extra}")),
        None => Ok(theirs.len()),
    }
}

/// Compares the neighbours that a host had lately (tables as `ip neigh` prints them, the last one now)
/// with recorded lines, in any order: each recorded one must have been there, and none that was there
/// all the time may be missing.
pub(super) fn neighbours(lately: &[Vec<String>], lines: &[Value]) -> Result<usize, String> {
    let lines = lines.iter().filter_map(Value::as_str);
    let theirs: Vec<&str> = lines.map(str::trim_end).collect();
    let now = lately.last().map(Vec::as_slice).unwrap_or_default();
    for their in &theirs {
        if !lately.iter().flatten().any(|our| our == their) {
            return Err(format!("recorded {their}, ours {}", now.join("; ")));
        }
    }
    let address = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    for our in now {
        let of = address(our);
        let always = lately.iter().all(|table| table.iter().any(|line| address(line) == of));
        if always && !theirs.iter().any(|their| address(their) == of) {
            return Err(format!("one too many: {our}"));
        }
    }
    Ok(theirs.len())
}

/// The neighbours of a host as `ip neigh` prints them.
pub(super) fn neighbour_lines(world: &mut World, host: usize) -> Vec<String> {
    let book = world.book().clone();
    let macs = world.macs().clone();
    let ip = &world.hosts()[host].ip;
    let line = |n: &sim_core::net::arp::Neighbour| {
        let dev = ip.interfaces.get(usize::from(n.interface)).map_or("?", |i| i.name.as_str());
        let to = book.address(n.ip);
        let state = n.state.name();
        if n.state.is_valid() {
            let mac = macs.get(n.mac.0 as usize).map_or_else(String::new, ToString::to_string);
            let router = if n.router { "router " } else { "" };
            return format!("{to} dev {dev} lladdr {mac} {router}{state}");
        }
        format!("{to} dev {dev} {state}")
    };
    ip.neighbours.entries().iter().filter(|n| n.was_asked()).map(line).collect()
}
