//! What breaks while the run goes on.

use super::{COUNT, TEXTS, TIME, field};
use crate::format::field::Absent::{Default, Means, Required};
use crate::format::field::{Kind, Section};

/// What may break.
pub const WHAT: [&str; 17] = [
    "power loss",
    "shutdown",
    "freeze",
    "program killed",
    "program stopped",
    "program frozen",
    "program started",
    "server killed",
    "server hung",
    "server frozen",
    "server slow",
    "server status",
    "busy cpu",
    "link down",
    "link impaired",
    "partition",
    "mark",
];

/// A fault.
pub static FAULT: Section = Section {
    name: "fault",
    help: "Something breaks: where, when, for how long. Faults overlap freely; what several of them break works again when the last one is over.",
    fields: &[
        field(
            "name",
            Kind::Text,
            Means("what breaks, with the number of the table"),
            "Name in the timeline and for other faults.",
        ),
        field(
            "what",
            Kind::OneOf(&WHAT),
            Required,
            "What breaks. \"mark\": nothing, a moment for other faults to refer to.",
        ),
        field(
            "hosts",
            TEXTS,
            Means("none"),
            "The hosts; a name with `count` stands for all of them.",
        ),
        field("switches", TEXTS, Means("none"), "power loss: the switches."),
        field("links", TEXTS, Means("none"), "link down, link impaired: names of links."),
        field(
            "towards",
            Kind::Text,
            Means("both directions"),
            "link impaired: only what is sent towards this end, a host or a switch.",
        ),
        field("from", TEXTS, Means("none"), "partition: one set of hosts."),
        field("to", TEXTS, Means("none"), "partition: the other set."),
        field(
            "one_way",
            Kind::Bool,
            Default("false"),
            "partition: only what `from` sends is lost.",
        ),
        field(
            "traffic",
            Kind::Text,
            Default("all"),
            "link impaired, partition: which packets. \"vrrp\", \"multicast\", \"arp\", \"icmp\", \"tcp\", \"udp\", \"udp 694\" (destination port), \"protocol 47\".",
        ),
        field(
            "loss",
            Kind::Share,
            Default("0"),
            "link impaired: probability that a frame is lost.",
        ),
        field("delay", TIME, Means("none"), "link impaired: how late a frame is; order is kept."),
        field(
            "program",
            Kind::OneOf(&["keepalived", "heartbeat", "ldirectord"]),
            Means("none"),
            "program ...: which one.",
        ),
        field(
            "port",
            Kind::Integer(1, 65_535),
            Means("all of the host"),
            "server ...: the server on this port.",
        ),
        field(
            "factor",
            COUNT,
            Means("none"),
            "server slow, busy cpu: everything takes this many times as long.",
        ),
        field(
            "status",
            Kind::Integer(100, 599),
            Means("none"),
            "server status: HTTP status of the answers.",
        ),
        field(
            "ring",
            Kind::Integer(0, 1_000_000),
            Default("256"),
            "freeze: frames that the ring of an interface holds.",
        ),
        field(
            "grace",
            Kind::Span,
            Default("5s"),
            "shutdown: from SIGTERM to the programs until the power is off.",
        ),
        field(
            "boot",
            TIME,
            Means("as `boot` of the [[host]]"),
            "power loss, shutdown: from power to a network that works.",
        ),
        field(
            "programs",
            Kind::Bool,
            Default("true"),
            "power loss, shutdown: keepalived, heartbeat and ldirectord start after the boot as they did at the start.",
        ),
        field(
            "at",
            Kind::List(&Kind::Span),
            Means("see `every`, `mtbf`, `when`"),
            "When, or at which times.",
        ),
        field("every", Kind::Span, Means("not regularly"), "Regularly."),
        field("first", Kind::Span, Means("after one period"), "The first time of `every`."),
        field(
            "mtbf",
            Kind::Text,
            Means("not at random"),
            "Mean time from the end of the fault (or the start of the run) to the next one. A plain time (\"30d\") is the mean of an exponential distribution; a distribution (\"weibull(30d, 2)\", \"constant(30d)\") is taken as it is.",
        ),
        field(
            "when",
            Kind::Text,
            Means("on no condition"),
            "After something else: \"FAULT begins\", \"FAULT ends\", \"HOST becomes VALUE\" or \"SUBJECT of HOST becomes VALUE\" (as the timeline tells: \"d2 becomes MASTER\"; HOST * is any), \"N frames of TRAFFIC on LINK towards END\".",
        ),
        field(
            "plus",
            TIME,
            Default("0s"),
            "So long after `when` (or, if there is no `when`, after the condition of `until`).",
        ),
        field(
            "nth",
            Kind::Integer(1, u64::MAX),
            Default("1"),
            "It counts from this time that `when` happens on.",
        ),
        field("again", Kind::Bool, Default("false"), "Every time that `when` happens, not once."),
        field("for", TIME, Means("for good"), "How long."),
        field("mttr", Kind::Text, Means("for good"), "Mean time to repair; as `mtbf`."),
        field(
            "until",
            Kind::Text,
            Means("for good"),
            "A time of the run, or a condition as in `when`.",
        ),
    ],
};
