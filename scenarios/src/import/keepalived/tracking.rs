//! What virtual routers track: `vrrp_script`, `track_file`, `vrrp_track_process`, `bfd_instance`,
//! interfaces.

use super::Findings;
use super::tree::Node;
use super::values::{address, millionths};
use crate::diagnostic::Place;
use sim_core::engine::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What kind of thing is tracked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Track {
    /// `track_interface`.
    Interface,
    /// `track_script`.
    Script,
    /// `track_file`.
    File,
    /// `track_process`.
    Process,
    /// `track_bfd`.
    Bfd,
}

impl Track {
    /// All kinds, in the order in which they are read.
    pub const ALL: [Self; 5] =
        [Self::Interface, Self::Script, Self::File, Self::Process, Self::Bfd];

    /// The keyword of its block.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Interface => "track_interface",
            Self::Script => "track_script",
            Self::File => "track_file",
            Self::Process => "track_process",
            Self::Bfd => "track_bfd",
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Interface => "interface",
            Self::Script => "script",
            Self::File => "file",
            Self::Process => "process",
            Self::Bfd => "bfd",
        }
    }
}

/// Something that is tracked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tracker {
    /// What it is.
    pub kind: Track,
    /// Its name.
    pub name: String,
    /// `weight`, that of the entry or else of what is tracked; 0: a failure is a fault.
    pub weight: i32,
    /// `reverse`.
    pub reverse: bool,
    /// Where it stands.
    pub place: Place,
}

/// A `vrrp_script`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// The command.
    pub command: String,
    /// `interval`, by default 1 s.
    pub interval: Span,
    /// `timeout`, by default the interval.
    pub timeout: Span,
    /// `weight`, by default 0.
    pub weight: i32,
    /// `weight N reverse`.
    pub reverse: bool,
    /// `rise`, `fall`.
    pub rise_fall: (u32, u32),
    /// `init_fail`.
    pub starts_failed: bool,
}

/// A `track_file`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackFile {
    /// Its name.
    pub name: String,
    /// `file`: the path.
    pub path: String,
    /// `weight`, by default 1: the number in the file is multiplied by it.
    pub weight: i32,
    /// `weight N reverse`.
    pub reverse: bool,
    /// `init_file [N] [overwrite]`: the number that is written at the start.
    pub init: Option<(i32, bool)>,
}

/// A `vrrp_track_process`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackProcess {
    /// Its name.
    pub name: String,
    /// `process`: the command with its parameters.
    pub process: String,
    /// `weight`, by default 0.
    pub weight: i32,
    /// `weight N reverse`.
    pub reverse: bool,
    /// `quorum`, by default 1.
    pub quorum: u32,
    /// `quorum_max`; `None` for no bound.
    pub quorum_max: Option<u32>,
    /// `terminate_delay` or `delay`, by default 0.
    pub terminate_delay: Span,
    /// `fork_delay` or `delay`, by default 0.
    pub fork_delay: Span,
}

/// A `bfd_instance`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bfd {
    /// Its name.
    pub name: String,
    /// `neighbor_ip`.
    pub neighbor: IpAddr,
    /// `source_ip`.
    pub source: Option<IpAddr>,
    /// `min_rx`, by default 10 ms.
    pub min_rx: Span,
    /// `min_tx`, by default 10 ms.
    pub min_tx: Span,
    /// `idle_tx`, by default 1 s.
    pub idle_tx: Span,
    /// `multiplier`, by default 5.
    pub multiplier: u8,
    /// `passive`.
    pub passive: bool,
    /// `ttl` or `hoplimit`, by default 255.
    pub ttl: u8,
    /// `max_hops`, by default 0: how much smaller than 255 a received TTL may be.
    pub max_hops: i16,
    /// `weight`, by default 0.
    pub weight: i32,
    /// `weight N reverse`.
    pub reverse: bool,
    /// `vrrp`, or neither it nor `checker`: virtual routers may track it.
    pub vrrp: bool,
    /// `checker`, or neither it nor `vrrp`: real servers may be checked by it.
    pub checker: bool,
    /// Where it stands.
    pub place: Place,
}

/// A line of `interface_up_down_delays`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceDelay {
    /// The interface.
    pub interface: String,
    /// How long it must be down until that counts.
    pub down: Span,
    /// How long it must be up until that counts, by default 0.
    pub up: Span,
}

fn weight(node: &Node, usual: i32) -> (i32, bool) {
    let reverse = node.last("weight").is_some_and(|w| w.word(2).is_some());
    (node.number("weight").unwrap_or(usual), reverse)
}

fn joined(node: &Node) -> String {
    let words: Vec<&str> = node.words.iter().skip(1).map(|w| w.text.as_str()).collect();
    words.join(" ")
}

fn name_of(node: &Node) -> String {
    node.word(1).unwrap_or_default().to_owned()
}

/// A `vrrp_script`; `None` without a command.
pub(super) fn script(node: &Node, findings: &mut Findings) -> Option<Script> {
    let name = name_of(node);
    let Some(command) = node.last("script") else {
        let message = format!("No script set for vrrp_script {name} - removing");
        findings.error(&node.end, message, "`script COMMAND` is missing");
        return None;
    };
    let interval = node.time("interval").unwrap_or(Span::from_secs(1));
    let (weight, reverse) = weight(node, 0);
    Some(Script {
        name,
        command: joined(command),
        interval,
        timeout: node.time("timeout").unwrap_or(interval),
        weight,
        reverse,
        rise_fall: (node.number("rise").unwrap_or(1), node.number("fall").unwrap_or(1)),
        starts_failed: node.has("init_fail"),
    })
}

/// A `track_file`; `None` without a path.
pub(super) fn file(node: &Node, findings: &mut Findings) -> Option<TrackFile> {
    let name = name_of(node);
    let Some(path) = node.text("file") else {
        let message = format!("No file set for track_file {name} - ignoring");
        findings.error(&node.end, message, "`file PATH` is missing");
        return None;
    };
    let (weight, reverse) = weight(node, 1);
    let init = node.last("init_file").map(|init| {
        let number = init.words.iter().skip(1).find_map(|w| w.text.parse().ok());
        (number.unwrap_or(0), init.words.iter().any(|w| w.text == "overwrite"))
    });
    Some(TrackFile { name, path: path.to_owned(), weight, reverse, init })
}

/// A `vrrp_track_process`; `None` without a process.
pub(super) fn process(node: &Node, findings: &mut Findings) -> Option<TrackProcess> {
    let name = name_of(node);
    let Some(process) = node.last("process") else {
        let message = format!("track process '{name}' process name not specified");
        findings.error(&node.end, message, "`process COMMAND` is missing");
        return None;
    };
    let (weight, reverse) = weight(node, 0);
    let delay = node.time("delay").unwrap_or(Span::ZERO);
    Some(TrackProcess {
        name,
        process: joined(process),
        weight,
        reverse,
        quorum: node.number("quorum").unwrap_or(1),
        quorum_max: node.number("quorum_max"),
        terminate_delay: node.time("terminate_delay").unwrap_or(delay),
        fork_delay: node.time("fork_delay").unwrap_or(delay),
    })
}

/// A `bfd_instance`; `None` without a neighbour.
pub(super) fn bfd(node: &Node, findings: &mut Findings) -> Option<Bfd> {
    let name = name_of(node);
    let Some(neighbor) = node.text("neighbor_ip").and_then(address) else {
        let message = format!(
            "Configuration error: BFD instance {name} has no neighbor address set, disabling instance"
        );
        findings.error(&node.end, message, "`neighbor_ip IP` is missing");
        return None;
    };
    // milliseconds, as a decimal number
    let time = |name: &str, usual: u64| {
        let micros = node.text(name).and_then(millionths).map(|m| m / 1000);
        micros.map_or(Span::from_millis(usual), |m| Span::from_nanos(m.saturating_mul(1000)))
    };
    let (weight, reverse) = weight(node, 0);
    let (vrrp, checker) = (node.has("vrrp"), node.has("checker"));
    Some(Bfd {
        name,
        neighbor,
        source: node.text("source_ip").and_then(address),
        min_rx: time("min_rx", 10),
        min_tx: time("min_tx", 10),
        idle_tx: time("idle_tx", 1000),
        multiplier: node.number("multiplier").unwrap_or(5),
        passive: node.has("passive"),
        ttl: node.number("ttl").or_else(|| node.number("hoplimit")).unwrap_or(255),
        max_hops: node.number("max_hops").unwrap_or(0),
        weight,
        reverse,
        vrrp: vrrp || !checker,
        checker: checker || !vrrp,
        place: node.place(),
    })
}

/// The lines of an `interface_up_down_delays`.
pub(super) fn delays(node: &Node) -> impl Iterator<Item = InterfaceDelay> {
    node.inner.iter().filter_map(|line| {
        let time = |n: usize| {
            let micros = line.word(n).and_then(millionths)?;
            (micros <= 255_000_000).then(|| Span::from_nanos(micros * 1000))
        };
        let up = if line.words.len() > 2 { time(2)? } else { Span::ZERO };
        Some(InterfaceDelay { interface: line.name().to_owned(), down: time(1)?, up })
    })
}

/// What may be tracked: the blocks so far, with weight and whether reverse.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(BTreeMap<(Track, String), (i32, bool)>);

impl Known {
    pub(super) fn add(&mut self, kind: Track, name: &str, weight: i32, reverse: bool) {
        self.0.entry((kind, name.to_owned())).or_insert((weight, reverse));
    }

    fn find(&self, kind: Track, name: &str) -> Option<(i32, bool)> {
        match kind {
            Track::Interface => Some((0, false)),
            _ => self.0.get(&(kind, name.to_owned())).copied(),
        }
    }
}

/// What an instance or a sync group tracks. Things that are not there are reported and left out.
pub(super) fn trackers(node: &Node, known: &Known, findings: &mut Findings) -> Vec<Tracker> {
    let by = node.word(1).unwrap_or_default();
    let mut all: Vec<Tracker> = Vec::new();
    let mut seen = BTreeSet::new();
    for kind in Track::ALL {
        for entry in node.all(kind.keyword()).flat_map(|n| &n.inner) {
            let (place, name) = (entry.place(), entry.name().to_owned());
            let Some((usual, reverse)) = known.find(kind, &name) else {
                let message = format!("({by}) track {} {name} not found, ignoring...", kind.noun());
                let label = format!("no such `{}` before this line", block_of(kind));
                findings.error(&place, message, label);
                continue;
            };
            if !seen.insert((kind, name.clone())) {
                let message = format!("({by}) duplicate {} {name} - ignoring", kind.keyword());
                findings.error(&place, message, "the first one counts");
                continue;
            }
            let at = entry.words.iter().position(|w| w.text == "weight");
            let stated = at.and_then(|n| entry.word(n + 1)).and_then(|w| w.parse().ok());
            let (weight, reverse) = match stated {
                Some(weight) => (weight, entry.words.iter().any(|w| w.text == "reverse")),
                None => (usual, reverse),
            };
            all.push(Tracker { kind, name, weight, reverse, place });
        }
    }
    all
}

const fn block_of(kind: Track) -> &'static str {
    match kind {
        Track::Interface => "interface",
        Track::Script => "vrrp_script",
        Track::File => "track_file",
        Track::Process => "vrrp_track_process",
        Track::Bfd => "bfd_instance",
    }
}
