//! The shorthand for the usual cluster.

use super::host::{CPU, SETUP, SETUP_FILE, SYSCTL, TCP};
use super::{OF_NETWORK, SCHEDULER, field, network::LINK_PROPERTIES};
use crate::format::field::Absent::{Default, Means};
use crate::format::field::{Field, Kind, Section};

/// The usual cluster.
pub static CLUSTER: Section = Section {
    name: "cluster",
    help: "Clients, a router, one switch, a director and real servers: the hosts, links, addresses and routes of them.",
    fields: &[
        field(
            "vip",
            Kind::Endpoint,
            Means("the services of the rules"),
            "Makes rules for one TCP service at this address when a [[director]] has none.",
        ),
        field("scheduler", SCHEDULER, Default("wlc"), "Scheduler of such a service."),
        field(
            "subnet",
            Kind::Prefix,
            Means("the /24 block of the first VIP, of IPv6 the /64 block"),
            "Network of director and real servers.",
        ),
        field(
            "setup",
            Kind::OneOf(&["auto", "manual"]),
            Default("auto"),
            "auto: VIPs, ARP settings, tunnels and gateways are set as the forwarding method of the rules needs it.",
        ),
        field(
            "router",
            Kind::Table(&CLUSTER_ROUTER),
            Means("the defaults"),
            "The router between clients and cluster.",
        ),
        field("director", Kind::Table(&CLUSTER_DIRECTOR), Means("the defaults"), "The director."),
        field(
            "real_servers",
            Kind::Table(&CLUSTER_SERVERS),
            Means("one for each RIP of the rules"),
            "The real servers.",
        ),
        field(
            "clients",
            Kind::Table(&CLUSTER_CLIENTS),
            Means("one client host"),
            "The client hosts.",
        ),
    ],
};

const LINK_OF: Kind = Kind::Table(&LINK_PROPERTIES);

const HOST_TCP: Field =
    field("tcp", Kind::Table(&TCP), Means("as in [tcp]"), "TCP of these hosts.");

const HOST_SYSCTL: Field = field(
    "sysctl",
    Kind::Table(&SYSCTL),
    Means("what the forwarding method needs"),
    "Kernel settings of these hosts.",
);

const HOST_CPU: Field =
    field("cpu", Kind::Table(&CPU), Means("no cost"), "CPU that received packets must pass.");

const HOST_LINK: Field =
    field("link", LINK_OF, OF_NETWORK, "Properties of the links of these hosts.");

/// The router of a cluster.
pub static CLUSTER_ROUTER: Section = Section {
    name: "cluster.router",
    help: "The router between clients and cluster.",
    fields: &[
        field("name", Kind::Text, Default("router"), "Name of the host."),
        field(
            "address",
            Kind::Address,
            Means("the first free address of the subnet"),
            "Its address in the cluster's subnet.",
        ),
        HOST_LINK,
        HOST_SYSCTL,
        SETUP,
        SETUP_FILE,
        HOST_CPU,
    ],
};

/// The director of a cluster.
pub static CLUSTER_DIRECTOR: Section = Section {
    name: "cluster.director",
    help: "The director, or several of them.",
    fields: &[
        field(
            "name",
            Kind::Text,
            Means("director; d if there are several"),
            "Name of the host; of several, which are NAME1, NAME2, ..., all together.",
        ),
        field(
            "count",
            Kind::Integer(1, 16),
            Default("1"),
            "How many. The rules of a [[director]] without `host` are on all; a VIP that no program moves is on the first.",
        ),
        field(
            "address",
            Kind::Address,
            Means("the next free address of the subnet"),
            "DIP; of several that of the first, the others have the next free ones.",
        ),
        HOST_LINK,
        HOST_SYSCTL,
        SETUP,
        SETUP_FILE,
        HOST_CPU,
    ],
};

/// The real servers of a cluster.
pub static CLUSTER_SERVERS: Section = Section {
    name: "cluster.real_servers",
    help: "The real servers.",
    fields: &[
        field("name", Kind::Text, Default("rs"), "Their names are NAME1, NAME2, ..."),
        field(
            "count",
            Kind::Integer(1, 4096),
            Means("as many as the rules have addresses"),
            "How many, with consecutive addresses.",
        ),
        field(
            "first_address",
            Kind::Address,
            Means("the 11th address of the subnet"),
            "RIP of the first one.",
        ),
        field(
            "addresses",
            Kind::List(&Kind::Address),
            Means("consecutive ones"),
            "RIPs one by one.",
        ),
        HOST_LINK,
        HOST_SYSCTL,
        SETUP,
        SETUP_FILE,
        HOST_CPU,
        HOST_TCP,
    ],
};

/// The clients of a cluster.
pub static CLUSTER_CLIENTS: Section = Section {
    name: "cluster.clients",
    help: "The client hosts: each on its own link to the router, or all on one switch.",
    fields: &[
        field(
            "name",
            Kind::Text,
            Default("client"),
            "Name of the host, with a number if there are several.",
        ),
        field("count", Kind::Integer(1, 4096), Default("1"), "How many."),
        field(
            "subnet",
            Kind::Prefix,
            Means("172.16.0.0/24; fd00:0:0:c0::/64 with IPv6"),
            "Their network; with links of their own the next hosts have the next blocks of the same size.",
        ),
        field(
            "connect",
            Kind::OneOf(&["router", "switch"]),
            Default("router"),
            "A link of its own to the router for each, or one switch for all.",
        ),
        HOST_LINK,
        HOST_SYSCTL,
        SETUP,
        SETUP_FILE,
        HOST_TCP,
    ],
};
