//! What counts as an outage.

use super::field;
use crate::format::field::Absent::Default;
use crate::format::field::{Kind, Section};

/// What counts as an outage.
pub static OUTAGE: Section = Section {
    name: "outage",
    help: "A run of lost requests with no served one between them is an outage if it is long or has many; otherwise its requests are isolated failures.",
    fields: &[
        field("gap", Kind::Span, Default("500ms"), "A run that lasts this long is an outage."),
        field(
            "requests",
            Kind::Integer(1, u32::MAX as u64),
            Default("20"),
            "A run of this many lost requests is an outage, however short.",
        ),
    ],
};
