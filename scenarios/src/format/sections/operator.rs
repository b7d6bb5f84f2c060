//! What operators do while the run goes on.

use super::{IPVS_SYSCTL, TEXTS, field};
use crate::format::field::Absent::{Means, Required};
use crate::format::field::{Kind, Section};

/// Rules change.
pub static RULE_EVENT: Section = Section {
    name: "rule_event",
    help: "The rules of a director change while the run goes on. What is refused is told in the results.",
    fields: &[
        field("at", Kind::Span, Required, "When."),
        field("host", Kind::Text, Means("the only director"), "The director."),
        field(
            "ipvsadm",
            TEXTS,
            Means("none"),
            "Command lines: \"-e -t VIP:80 -r RIP -m -w 0\"; \"-R < FILE\" reads them from a file, relative to the scenario.",
        ),
        field(
            "sysctl",
            Kind::Table(&IPVS_SYSCTL),
            Means("none"),
            "Settings of IPVS that change, after the commands; the others stay.",
        ),
    ],
};

/// What an operator sees.
pub static VIEW: Section = Section {
    name: "view",
    help: "What ipvsadm shows on a director goes to views/VARIANT/ of the results.",
    fields: &[
        field("at", TEXTS, Means("the end"), "Times; \"end\" for the end of the run."),
        field("host", Kind::Text, Means("the only director"), "The director."),
        field(
            "ipvsadm",
            TEXTS,
            Means("-Ln"),
            "Command lines: \"-Ln --stats\", \"-Lnc\", \"-S -n\".",
        ),
    ],
};
