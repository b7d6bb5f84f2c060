//! The keywords of the language, block by block, with what they take.
//! Source: keepalived.conf(5) and the keyword tables of keepalived 2.x (`*_parser.c`).

mod checkers;
mod globals;
mod vrrp;

use checkers::VIRTUAL_SERVER;
use globals::{GLOBAL, OUTSIDE};
use vrrp::{INSTANCE, SYNC_GROUP};

/// A keyword.
#[derive(Debug)]
pub(super) struct Keyword {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What is said about its use, empty for nothing.
    pub(super) note: &'static str,
}

/// What follows a keyword.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// The rest of its line.
    Line(Arg),
    /// The rest of its line, then a block with keywords.
    Block(Arg, &'static [&'static [Keyword]]),
    /// A block of lines without keywords.
    Lines(Entry),
}

/// What the rest of a line must be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Arg {
    /// Anything or nothing.
    Any,
    /// At least one word.
    Text,
    /// An integer in a range.
    Number(i64, i64),
    /// Nothing or an integer in a range.
    MaybeNumber(i64, i64),
    /// A decimal number in a range of millionths.
    Decimal(u64, u64),
    /// true, on, yes, false, off, no, or nothing where `true` is meant.
    Bool(Optional),
    /// A name of at most 15 letters.
    Interface,
    /// An address.
    Address(&'static str),
    /// An address with or without a port.
    Server(&'static str),
    /// The head of a `virtual_server`.
    Service,
    /// One of some words; the message has `{}` for what was found.
    Choice(&'static [&'static str], &'static str),
    /// One of some words in upper or lower case.
    AnyCase(&'static [&'static str], &'static str),
    /// A name that no other block of this kind has; the message has `{}` for it.
    NewName(&'static str),
    /// `weight N [reverse]`.
    Weight,
    /// A netmask or a prefix length.
    Mask,
}

/// Whether a value may be left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Optional {
    /// Nothing means `true`.
    Yes,
    /// There must be a word.
    No,
}

/// What the lines of a block must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entry {
    /// Anything.
    Free,
    /// Addresses with options.
    Address,
    /// Routes.
    Route,
    /// Rules of policy routing.
    Rule,
    /// Unicast peers.
    Peer,
    /// Interfaces, each with options.
    Interface,
    /// Entries of a `virtual_server_group`.
    Group,
}

const fn line(name: &'static str, arg: Arg) -> Keyword {
    Keyword { name, kind: Kind::Line(arg), note: "" }
}

const fn block(name: &'static str, arg: Arg, inner: &'static [&'static [Keyword]]) -> Keyword {
    Keyword { name, kind: Kind::Block(arg, inner), note: "" }
}

const fn lines(name: &'static str, entry: Entry) -> Keyword {
    Keyword { name, kind: Kind::Lines(entry), note: "" }
}

const fn old(name: &'static str, arg: Arg, note: &'static str) -> Keyword {
    Keyword { name, kind: Kind::Line(arg), note }
}

const OPTIONAL: Arg = Arg::Bool(Optional::Yes);
const BOOL: Arg = Arg::Bool(Optional::No);
/// A TIMER of at least a microsecond.
const TIMER: Arg = Arg::Decimal(1, 4_294_967_295_000_000);
/// A TIMER that may be 0.
const TIMER0: Arg = Arg::Decimal(0, 4_294_967_295_000_000);
/// An unsigned number.
const UNSIGNED: Arg = Arg::Number(0, 4_294_967_295);
const SECONDS: u64 = 1_000_000;

/// What may stand outside all blocks.
pub(super) static TOP: &[&[Keyword]] = &[TOP_BLOCKS, OUTSIDE];

static TOP_BLOCKS: &[Keyword] = &[
    block("global_defs", Arg::Any, &[GLOBAL, OUTSIDE]),
    lines("linkbeat_interfaces", Entry::Free),
    lines("static_ipaddress", Entry::Address),
    lines("static_routes", Entry::Route),
    lines("static_rules", Entry::Rule),
    block("track_group", Arg::Text, &[TRACK_GROUP]),
    block("track_file", Arg::Text, &[TRACK_FILE]),
    block("vrrp_track_file", Arg::Text, &[TRACK_FILE]),
    block("vrrp_track_process", Arg::Text, &[TRACK_PROCESS]),
    block("track_process", Arg::Text, &[TRACK_PROCESS]),
    block("vrrp_script", Arg::NewName("Script {} already defined"), &[SCRIPT]),
    block("vrrp_sync_group", Arg::NewName("vrrp sync group {} already defined"), &[SYNC_GROUP]),
    block("garp_group", Arg::Any, &[GARP_GROUP]),
    block("vrrp_instance", Arg::NewName("vrrp instance {} already defined"), &[INSTANCE]),
    lines("interface_up_down_delays", Entry::Free),
    block("bfd_instance", Arg::NewName("BFD instance {} already configured"), &[BFD]),
    lines("virtual_server_group", Entry::Group),
    block("virtual_server", Arg::Service, &[VIRTUAL_SERVER]),
    block("SSL", Arg::Any, &[SSL]),
];

static TRACK_GROUP: &[Keyword] = &[lines("group", Entry::Free)];

static TRACK_FILE: &[Keyword] =
    &[line("file", Arg::Text), line("weight", Arg::Weight), line("init_file", Arg::Any)];

static TRACK_PROCESS: &[Keyword] = &[
    line("process", Arg::Text),
    line("param_match", Arg::Any),
    line("weight", Arg::Weight),
    line("quorum", Arg::Number(1, 65_535)),
    line("quorum_max", Arg::Number(0, 65_535)),
    line("delay", TIMER),
    line("terminate_delay", TIMER),
    line("fork_delay", TIMER),
    line("full_command", Arg::Any),
];

static SCRIPT: &[Keyword] = &[
    line("script", Arg::Text),
    line("interval", Arg::Decimal(1, 1_000_000 * SECONDS)),
    line("timeout", Arg::Decimal(0, 1_000_000 * SECONDS)),
    line("weight", Arg::Weight),
    line("rise", Arg::Number(1, 2_147_483_647)),
    line("fall", Arg::Number(1, 2_147_483_647)),
    line("user", Arg::Text),
    line("init_fail", Arg::Any),
];

static GARP_GROUP: &[Keyword] = &[
    line("garp_interval", Arg::Decimal(1, 4_294_967_295)),
    line("gna_interval", Arg::Decimal(1, 4_294_967_295)),
    line("interface", Arg::Interface),
    lines("interfaces", Entry::Free),
];

static BFD: &[Keyword] = &[
    line("neighbor_ip", Arg::Address("malformed neighbor address {}, ignoring instance")),
    line("source_ip", Arg::Address("malformed source address {}, ignoring")),
    line("min_rx", Arg::Decimal(1000, 4_294_967_000)),
    line("min_tx", Arg::Decimal(1000, 4_294_967_000)),
    line("idle_tx", Arg::Decimal(1000, 4_294_967_000)),
    line("multiplier", Arg::Number(1, 255)),
    line("passive", Arg::Any),
    line("ttl", Arg::Number(1, 255)),
    line("hoplimit", Arg::Number(1, 255)),
    line("max_hops", Arg::Number(-1, 254)),
    line("multihop", OPTIONAL),
    line("weight", Arg::Weight),
    line("vrrp", Arg::Any),
    line("checker", Arg::Any),
];

static SSL: &[Keyword] = &[
    line("password", Arg::Text),
    line("ca", Arg::Text),
    line("certificate", Arg::Text),
    line("key", Arg::Text),
];

/// Whether a keyword begins a block outside all others.
pub(super) fn is_block(name: &str) -> bool {
    let found = TOP.iter().copied().flatten().find(|k| k.name == name);
    found.is_some_and(|k| !matches!(k.kind, Kind::Line(_)))
}

/// Every keyword of the language.
pub(super) fn all() -> Vec<&'static str> {
    let mut names = Vec::new();
    collect(TOP, &mut names);
    names.sort_unstable();
    names.dedup();
    names
}

fn collect(tables: &[&'static [Keyword]], names: &mut Vec<&'static str>) {
    for keyword in tables.iter().copied().flatten() {
        names.push(keyword.name);
        if let Kind::Block(_, inner) = keyword.kind {
            collect(inner, names);
        }
    }
}
