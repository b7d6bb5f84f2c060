//! heartbeat and ldirectord on hosts.

use super::{TEXTS, field};
use crate::format::field::Absent::{Default, Means, Required};
use crate::format::field::{Field, Kind, Section};

/// heartbeat of a host.
pub(super) const HEARTBEAT_OF_HOST: Field = field(
    "heartbeat",
    Kind::Table(&HEARTBEAT),
    Means("heartbeat does not run there"),
    "heartbeat with its files.",
);

/// The file of ldirectord.
pub(super) const LDIRECTORD: Field = field(
    "ldirectord",
    Kind::Text,
    Means("ldirectord is not there"),
    "The ldirectord.cf of the host: a file, relative to the scenario, or the text itself. ldirectord then keeps the rules of IPVS.",
);

/// When it starts.
pub(super) const LDIRECTORD_START: Field = field(
    "ldirectord_start",
    Kind::Text,
    Means("never with heartbeat, else 0s"),
    "When ldirectord begins; \"never\": only when heartbeat or a fault starts it.",
);

const TIMES: Kind = Kind::List(&Kind::Span);

/// heartbeat.
pub static HEARTBEAT: Section = Section {
    name: "heartbeat",
    help: "heartbeat of a host: its files, or the texts themselves.",
    fields: &[
        field("ha_cf", Kind::Text, Required, "ha.cf."),
        field("haresources", Kind::Text, Means("no resources"), "haresources."),
        field("authkeys", Kind::Text, Means("crc: no secret"), "authkeys."),
        field(
            "node",
            Kind::Text,
            Means("the name of the host"),
            "The name that `uname -n` says there.",
        ),
        field(
            "start",
            Kind::Text,
            Default("0s"),
            "When its init script is called; \"never\": only when a fault starts it.",
        ),
        field(
            "failing",
            TEXTS,
            Means("none"),
            "Resources of haresources, as written there, whose start fails on this host.",
        ),
        field(
            "scripts",
            Kind::Table(&HEARTBEAT_SCRIPTS),
            Means("those of a fast machine"),
            "How long its scripts take.",
        ),
        field(
            "power_switch",
            Kind::Table(&POWER_SWITCH),
            Means("it works within 2 s, and the power stays away for 10 s"),
            "The device that a `stonith` line of ha.cf names.",
        ),
    ],
};

/// Durations of the scripts of heartbeat.
pub static HEARTBEAT_SCRIPTS: Section = Section {
    name: "heartbeat.scripts",
    help: "How long the scripts of heartbeat take on a host: a time, or a list for one run after the other (the last one counts for all that follow).",
    fields: &[
        field("boot", TIMES, Default("1s"), "From the start to the first status message."),
        field(
            "query_none",
            TIMES,
            Default("50ms"),
            "`req_our_resources` of a node without a group of its own.",
        ),
        field(
            "query",
            TIMES,
            Default("100ms"),
            "`req_our_resources`, for each own group: whether it runs here.",
        ),
        field(
            "acquire",
            TIMES,
            Default("150ms"),
            "From the decision to take a group to the start of its first resource.",
        ),
        field("take_over", TIMES, Default("150ms"), "The same by `mach_down`."),
        field("start", TIMES, Default("150ms"), "Start of a resource."),
        field("acquired", TIMES, Default("50ms"), "From the last start to the end of the script."),
        field(
            "release",
            TIMES,
            Default("100ms"),
            "From the decision to give a group up to the stop of its last resource.",
        ),
        field("stop", TIMES, Default("100ms"), "Stop of a resource."),
        field("released", TIMES, Default("50ms"), "From the last stop to the end of the script."),
        field(
            "restart",
            TIMES,
            Default("1s"),
            "From the end of heartbeat to its first status message, when it restarts itself.",
        ),
        field("announce", TIMES, Default("20ms"), "From an address to its first gratuitous ARP."),
    ],
};

/// A power switch.
pub static POWER_SWITCH: Section = Section {
    name: "heartbeat.power_switch",
    help: "The device that takes the power from a node (STONITH). It can be slow, or fail.",
    fields: &[
        field(
            "reset",
            Kind::Span,
            Default("2s"),
            "How long a reset takes until it is known to be done.",
        ),
        field(
            "cut",
            Kind::Span,
            Means("as `reset`"),
            "From its begin to the cut of the power, at most `reset`.",
        ),
        field(
            "fails",
            Kind::Text,
            Default("never"),
            "\"never\", \"always\", \"first N\", or a probability: \"10%\". A reset that fails cuts nothing.",
        ),
        field(
            "power_back",
            Kind::Text,
            Default("10s"),
            "When the power comes back after the cut; \"never\": it stays away.",
        ),
        field(
            "address",
            Kind::Endpoint,
            Means("a wire of its own"),
            "Where the device is reached by TCP.",
        ),
    ],
};
