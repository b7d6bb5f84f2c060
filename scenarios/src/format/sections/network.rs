//! Links and switches.

use super::{OF_NETWORK, TIME, field};
use crate::format::field::Absent::{Default, Means, Required};
use crate::format::field::{Kind, Section};

/// Properties of links, shared by `[network]`, `[[link]]` and the links of `[cluster]`.
macro_rules! link_fields {
    ($rate:expr, $latency:expr, $queue:expr, $loss:expr, $reorder:expr, $delay:expr, $overhead:expr, $jitter:expr; $($more:expr),* $(,)?) => {
        &[
            field("rate", Kind::Rate, $rate, "Bits per second, both directions; \"unlimited\" for no serialisation delay."),
            field("latency", Kind::Span, $latency, "Propagation delay of one direction."),
            field("queue", Kind::Queue, $queue, "Drop-tail limit of what waits to be sent, in packets or bytes."),
            field("loss", Kind::Share, $loss, "Probability that a frame is lost."),
            field("jitter", TIME, $jitter, "Extra delay of each frame; order is kept."),
            field("reorder", Kind::Share, $reorder, "Probability that a frame is held back and may be overtaken."),
            field("reorder_delay", Kind::Span, $delay, "How long such a frame is held back."),
            field("overhead", Kind::Size, $overhead, "Bytes on the wire above the IP packet: 18B header and checksum, 38B with preamble and gap."),
            $($more),*
        ]
    };
}

/// Defaults of links.
pub static NETWORK: Section = Section {
    name: "network",
    help: "Defaults of every link and interface.",
    fields: link_fields!(
        Default("1Gbit/s"), Default("50us"), Default("1000 packets"), Default("0"), Default("0"),
        Default("1ms"), Default("38B"), Means("none");
        field("mtu", Kind::Integer(68, 65_535), Default("1500"), "Largest IP packet of an interface, in bytes."),
    ),
};

/// Properties of the links of a part of the cluster.
pub static LINK_PROPERTIES: Section = Section {
    name: "link properties",
    help: "What differs from [network] on these links (or in this direction).",
    fields: link_fields!(
        OF_NETWORK, OF_NETWORK, OF_NETWORK, OF_NETWORK, OF_NETWORK, OF_NETWORK, OF_NETWORK, OF_NETWORK;
    ),
};

/// A cable.
pub static LINK: Section = Section {
    name: "link",
    help: "A full-duplex cable between two interfaces or switches.",
    fields: link_fields!(
        OF_NETWORK, OF_NETWORK, OF_NETWORK, OF_NETWORK, OF_NETWORK, OF_NETWORK, OF_NETWORK, OF_NETWORK;
        field("between", Kind::List(&Kind::LinkEnd), Required, "Its two ends: \"HOST:INTERFACE\" or a switch. A host with `count` makes one link for each."),
        field("name", Kind::Text, Means("END--END"), "Name in results and for [[link_event]]."),
        field("back", Kind::Table(&LINK_PROPERTIES), Means("as the other direction"), "What differs from the second end to the first."),
        field("up", Kind::Bool, Default("true"), "State at the start."),
        field("standby", Kind::Bool, Default("false"), "Standby leg of an active-backup bond: closes no loop, carries nothing while the active leg is up."),
    ),
};

/// A link goes down or up.
pub static LINK_EVENT: Section = Section {
    name: "link_event",
    help: "A link goes down or up while the run goes on.",
    fields: &[
        field("at", Kind::Span, Required, "When."),
        field("link", Kind::Text, Required, "Name of the link."),
        field("up", Kind::Bool, Required, "Its new state."),
    ],
};

/// A switch.
pub static SWITCH: Section = Section {
    name: "switch",
    help: "A learning switch.",
    fields: &[
        field("name", Kind::Text, Required, "Unique among hosts and switches."),
        field(
            "ageing",
            Kind::Span,
            Default("300s"),
            "Learned addresses are forgotten after this time (Linux bridge: 300 s).",
        ),
        field(
            "spanning_tree",
            Kind::Bool,
            Default("false"),
            "Block links that would close a loop.",
        ),
    ],
};
