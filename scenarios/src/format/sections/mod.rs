//! The tables of a scenario file: every key with its kind, default and one line of help.

mod application;
mod cluster;
mod fault;
mod heartbeat;
mod host;
mod keepalived;
mod network;
mod operator;
mod outage;

pub use application::{CLIENT, DIRECTOR, IPVS_SYSCTL, SERVER};
pub use cluster::{CLUSTER, CLUSTER_CLIENTS, CLUSTER_DIRECTOR, CLUSTER_ROUTER, CLUSTER_SERVERS};
pub use fault::{FAULT, WHAT};
pub use heartbeat::{HEARTBEAT, HEARTBEAT_SCRIPTS, POWER_SWITCH};
pub use host::{CPU, HOST, INTERFACE, INTERFACE_SYSCTL, KEEPALIVE, SYSCTL, TCP};
pub use keepalived::{FILE_EVENT, PROCESS_EVENT, SCRIPT_EVENT};
pub use network::{LINK, LINK_EVENT, LINK_PROPERTIES, NETWORK, SWITCH};
pub use operator::{RULE_EVENT, VIEW};
pub use outage::OUTAGE;

use super::distribution::Quantity;
use super::field::Absent::{Default, Means, Required};
use super::field::{Absent, Field, Kind, Section};
use crate::lint;
use schedulers::Algorithm;
use sim_core::net::topology::Problem;

const fn field(name: &'static str, kind: Kind, default: Absent, help: &'static str) -> Field {
    Field { name, kind, default, help }
}

const TIME: Kind = Kind::Dist(Quantity::Time);

const BYTES: Kind = Kind::Dist(Quantity::Bytes);

const COUNT: Kind = Kind::Dist(Quantity::Count);

const TEXTS: Kind = Kind::List(&Kind::Text);

const SMALL: Kind = Kind::Integer(0, 255);
/// A scheduler by the kernel's name.
pub const SCHEDULER: Kind = Kind::OneOf(&SCHEDULERS);

/// The names of all schedulers.
const SCHEDULERS: [&str; Algorithm::ALL.len()] = {
    let mut names = [""; Algorithm::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = Algorithm::ALL[index].name();
        index += 1;
    }
    names
};

/// The forwarding methods by the names people use.
pub const FORWARDING: Kind = Kind::OneOf(&["NAT", "DR", "TUN", "FULLNAT"]);

/// Mistakes of a network that can be played, by the names of their findings. Others (a name that
/// is used twice, a link to nowhere) leave no network to play.
const PLAYABLE: [&str; 8] = [
    Problem::SwitchLoop.name(),
    Problem::Unreachable.name(),
    Problem::Unconnected.name(),
    Problem::DuplicateAddress.name(),
    Problem::ArpForSharedAddress.name(),
    Problem::VipNobodyHolds.name(),
    Problem::RealServerNobodyHolds.name(),
    Problem::NoRoute.name(),
];

/// Everything that `allow` may name: mistakes of a network that can be played, and judgements.
pub const ALLOWED: [&str; PLAYABLE.len() + lint::NAMES.len()] = {
    let mut all = [""; PLAYABLE.len() + lint::NAMES.len()];
    let mut i = 0;
    while i < all.len() {
        all[i] = if i < PLAYABLE.len() { PLAYABLE[i] } else { lint::NAMES[i - PLAYABLE.len()] };
        i += 1;
    }
    all
};

/// A whole scenario.
pub static SCENARIO: Section = Section {
    name: "scenario",
    help: "A cluster, its traffic, what is asked of it.",
    fields: &[
        field(
            "name",
            Kind::Text,
            Means("the name of the file"),
            "Name of the scenario and of its results folder.",
        ),
        field(
            "question",
            Kind::Text,
            Means("none"),
            "The question the scenario answers, in one sentence.",
        ),
        field(
            "description",
            Kind::Text,
            Means("none"),
            "What it is about, for `lvsim list` and the report.",
        ),
        field(
            "seed",
            Kind::Integer(0, i64::MAX as u64),
            Default("1"),
            "Seed of every random stream.",
        ),
        field(
            "duration",
            Kind::Span,
            Default("10s"),
            "Clients start connections from 0 until this point.",
        ),
        field(
            "drain",
            Kind::Span,
            Default("10s"),
            "How long the run goes on after `duration` so that started connections can end.",
        ),
        field(
            "warmup",
            Kind::Span,
            Default("0s"),
            "Connections started before this point are left out of the statistics, and so is what happened to virtual addresses before it.",
        ),
        field(
            "series",
            Kind::Span,
            Means("a hundredth of `duration`"),
            "Width of a time-series bucket; \"0s\" for none.",
        ),
        field(
            "forwarding",
            FORWARDING,
            Means("what the rules say"),
            "Replaces the forwarding method of every destination in the rules.",
        ),
        field(
            "scheduler",
            SCHEDULER,
            Means("what the rules say"),
            "Replaces the scheduler of every service in the rules; flags of another one are dropped.",
        ),
        field(
            "allow",
            Kind::List(&Kind::OneOf(&ALLOWED)),
            Means("none"),
            "Mistakes of the set-up that are meant: what `lvsim check` calls by these names is then a remark, not an error.",
        ),
        field(
            "network",
            Kind::Table(&NETWORK),
            Means("the defaults"),
            "Defaults of every link and interface.",
        ),
        field("tcp", Kind::Table(&TCP), Means("Linux defaults"), "Defaults of TCP on every host."),
        field(
            "cluster",
            Kind::Table(&CLUSTER),
            Means("every host is described by itself"),
            "Shorthand for the usual cluster: clients, router, one switch, director, real servers.",
        ),
        field(
            "host",
            Kind::Tables(&HOST),
            Means("none"),
            "A host; or what differs on a host of [cluster].",
        ),
        field(
            "variables",
            Kind::Any,
            Means("none"),
            "Values of variables in the commands of hosts, and of placeholders there such as VIP.",
        ),
        field("switch", Kind::Tables(&SWITCH), Means("none"), "A learning switch."),
        field("link", Kind::Tables(&LINK), Means("none"), "A cable."),
        field("link_event", Kind::Tables(&LINK_EVENT), Means("none"), "A link goes down or up."),
        field(
            "fault",
            Kind::Tables(&FAULT),
            Means("none"),
            "What breaks: hosts, programs, servers, links; at a time, at random or on a condition.",
        ),
        field(
            "director",
            Kind::Tables(&DIRECTOR),
            Means("none"),
            "Load balancing rules of a host.",
        ),
        field(
            "rule_event",
            Kind::Tables(&RULE_EVENT),
            Means("none"),
            "Rules change while the run goes on.",
        ),
        field("view", Kind::Tables(&VIEW), Means("none"), "What ipvsadm shows at some times."),
        field(
            "script_event",
            Kind::Tables(&SCRIPT_EVENT),
            Means("none"),
            "Scripts of keepalived end differently from some time on.",
        ),
        field(
            "file_event",
            Kind::Tables(&FILE_EVENT),
            Means("none"),
            "Files that keepalived tracks hold other numbers from some time on.",
        ),
        field(
            "process_event",
            Kind::Tables(&PROCESS_EVENT),
            Means("none"),
            "More or fewer processes that keepalived tracks run from some time on.",
        ),
        field(
            "server",
            Kind::Tables(&SERVER),
            Means("none"),
            "An application that answers requests.",
        ),
        field(
            "client",
            Kind::Tables(&CLIENT),
            Means("none"),
            "An application that makes requests.",
        ),
        field(
            "outage",
            Kind::Table(&OUTAGE),
            Means("half a second, or 20 requests"),
            "What counts as an outage.",
        ),
        field(
            "run",
            Kind::Any,
            Means("one variant with the name of the scenario"),
            "A variant: its `name`, a `group` (words over it and its neighbours in tables), and any keys of the scenario that differ.",
        ),
        field("expect", Kind::Tables(&EXPECT), Means("none"), "What must come out."),
    ],
};

const OF_NETWORK: Absent = Means("as in [network]");

/// What must come out.
pub static EXPECT: Section = Section {
    name: "expect",
    help: "What must come out of a variant, or of one compared with another.",
    fields: &[
        field(
            "metric",
            Kind::Text,
            Required,
            "Path into a variant of summary.json: \"latency.complete.p99\"; \"series.KIND.NAME.METRIC\" with `always`.",
        ),
        field("of", TEXTS, Means("every variant"), "The variants it is about."),
        field("is", Kind::Any, Means("no such condition"), "Equal to this value."),
        field("below", Kind::Any, Means("no such condition"), "Less than this value."),
        field("above", Kind::Any, Means("no such condition"), "Greater than this value."),
        field("at_least", Kind::Any, Means("no such condition"), "This value or greater."),
        field("at_most", Kind::Any, Means("no such condition"), "This value or less."),
        field(
            "within",
            Kind::Text,
            Means("no such condition"),
            "\"5% of 12ms\" or \"1ms of 12ms\".",
        ),
        field(
            "than",
            Kind::Table(&THAN),
            Means("the values stand for themselves"),
            "Compares with another measurement: values are factors of it (`is`, `below`, ... = 0.5, or \"10%\" in `within`).",
        ),
        field(
            "always",
            Kind::Bool,
            Default("false"),
            "Every point of the time series fulfils the conditions.",
        ),
        field(
            "why",
            Kind::Text,
            Means("none"),
            "Where the expectation comes from: a formula, a rule, a recording.",
        ),
    ],
};

/// What an expectation compares with.
pub static THAN: Section = Section {
    name: "expect.than",
    help: "Another measurement.",
    fields: &[
        field("variant", Kind::Text, Means("the same variant"), "The variant to compare with."),
        field("metric", Kind::Text, Means("the same metric"), "The metric to compare with."),
    ],
};
