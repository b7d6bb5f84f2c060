//! keepalived on hosts: its configuration, and what becomes of the things that it only names.

use super::{TEXTS, field};
use crate::format::field::Absent::{Default, Means, Required};
use crate::format::field::{Field, Kind, Section};

/// The configuration of keepalived.
pub(super) const KEEPALIVED: Field = field(
    "keepalived",
    Kind::Text,
    Means("keepalived does not run there"),
    "The keepalived.conf of the host: a file, relative to the scenario, or the text itself. keepalived then holds the VIPs, checks the real servers and keeps the rules of IPVS.",
);

/// When it starts.
pub(super) const KEEPALIVED_START: Field = field(
    "keepalived_start",
    Kind::Text,
    Default("0s"),
    "When keepalived begins; \"never\": only when a fault starts it.",
);

const HOSTS: Field =
    field("hosts", TEXTS, Means("all hosts with keepalived"), "The hosts on which it happens.");

/// Scripts.
pub static SCRIPT_EVENT: Section = Section {
    name: "script_event",
    help: "The runs of a script of keepalived (`vrrp_script`, MISC_CHECK) end differently from some time on. Before that they end at once and well.",
    fields: &[
        field("at", Kind::Span, Required, "From when on."),
        field(
            "script",
            Kind::Text,
            Required,
            "Name of the `vrrp_script`, or the command, its program or the program's last part.",
        ),
        HOSTS,
        field("exit", Kind::Integer(0, 255), Default("0"), "Exit status."),
        field("duration", Kind::Span, Default("0s"), "How long a run takes."),
        field(
            "stubborn",
            Kind::Bool,
            Default("false"),
            "A run that takes too long does not end when it is told to: it is killed 2 s later.",
        ),
    ],
};

/// Files.
pub static FILE_EVENT: Section = Section {
    name: "file_event",
    help: "A `track_file` of keepalived holds another number from some time on; 0 before that.",
    fields: &[
        field("at", Kind::Span, Required, "From when on."),
        field("file", Kind::Text, Required, "Name of the `track_file`."),
        HOSTS,
        field("value", Kind::Signed(i32::MIN as i64, i32::MAX as i64), Required, "The number."),
    ],
};

/// Processes.
pub static PROCESS_EVENT: Section = Section {
    name: "process_event",
    help: "Of a `vrrp_track_process` of keepalived so many run from some time on; enough before that.",
    fields: &[
        field("at", Kind::Span, Required, "From when on."),
        field("process", Kind::Text, Required, "Name of the `vrrp_track_process`."),
        HOSTS,
        field("count", Kind::Integer(0, u32::MAX as u64), Required, "How many."),
    ],
};
