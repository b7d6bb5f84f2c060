//! The tables of a scenario file: every key with its kind, default and one line of help.

use super::distribution::Quantity;
use super::field::Absent::{Default, Means, Required};
use super::field::{Absent, Field, Kind, Section};

const fn field(name: &'static str, kind: Kind, default: Absent, help: &'static str) -> Field {
    Field { name, kind, default, help }
}

const TIME: Kind = Kind::Dist(Quantity::Time);
const BYTES: Kind = Kind::Dist(Quantity::Bytes);
const COUNT: Kind = Kind::Dist(Quantity::Count);
const TEXTS: Kind = Kind::List(&Kind::Text);
const SMALL: Kind = Kind::Integer(0, 255);
/// The three forwarding methods by the names people use.
pub const FORWARDING: Kind = Kind::OneOf(&["NAT", "DR", "TUN"]);

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
            "Connections started before this point are left out of the statistics.",
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
        field("switch", Kind::Tables(&SWITCH), Means("none"), "A learning switch."),
        field("link", Kind::Tables(&LINK), Means("none"), "A cable."),
        field("link_event", Kind::Tables(&LINK_EVENT), Means("none"), "A link goes down or up."),
        field(
            "director",
            Kind::Tables(&DIRECTOR),
            Means("none"),
            "Load balancing rules of a host.",
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
            "run",
            Kind::Any,
            Means("one variant with the name of the scenario"),
            "A variant: its name and any keys of the scenario that differ.",
        ),
        field("expect", Kind::Tables(&EXPECT), Means("none"), "What must come out."),
    ],
};

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

const OF_NETWORK: Absent = Means("as in [network]");

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
        field("standby", Kind::Bool, Default("false"), "Standby leg of an active-backup bond: carries nothing, closes no loop."),
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

/// Settings Linux has per interface.
pub static INTERFACE_SYSCTL: Section = Section {
    name: "interface sysctl",
    help: "Settings Linux has per interface (net.ipv4.conf.IFACE.*).",
    fields: &[
        field(
            "arp_ignore",
            Kind::Integer(0, 8),
            Means("0"),
            "0 answer for any local address, 1 only for those of the interface, 2 and from its subnet, 8 never.",
        ),
        field(
            "arp_announce",
            Kind::Integer(0, 2),
            Means("0"),
            "0 any local address as sender of a request, 1 of the target's subnet, 2 the best of the interface.",
        ),
        field("rp_filter", Kind::Integer(0, 2), Means("0"), "0 none, 1 strict, 2 loose."),
        field("send_redirects", Kind::Bool, Means("true"), "Send ICMP redirects."),
        field(
            "proxy_arp",
            Kind::Bool,
            Means("false"),
            "Answer ARP for addresses that are routed elsewhere.",
        ),
        field(
            "accept_local",
            Kind::Bool,
            Means("false"),
            "Accept packets whose source is an own address.",
        ),
    ],
};

/// Settings of a host.
pub static SYSCTL: Section = Section {
    name: "sysctl",
    help: "Kernel settings of a host (net.ipv4.* and net.ipv4.conf.all.*).",
    fields: &[
        field(
            "ip_forward",
            Kind::Bool,
            Means("false; true on the router and the director of [cluster]"),
            "Forward packets that are not for this host.",
        ),
        field(
            "default_ttl",
            Kind::Integer(1, 255),
            Means("64"),
            "Time to live of packets this host makes.",
        ),
        field(
            "arp_ignore",
            Kind::Integer(0, 8),
            Means("0; 1 on real servers of [cluster] with DR or TUN"),
            "0 answer for any local address, 1 only for those of the interface, 2 and from its subnet, 8 never.",
        ),
        field(
            "arp_announce",
            Kind::Integer(0, 2),
            Means("0; 2 on real servers of [cluster] with DR or TUN"),
            "0 any local address as sender of a request, 1 of the target's subnet, 2 the best of the interface.",
        ),
        field("rp_filter", Kind::Integer(0, 2), Means("0"), "0 none, 1 strict, 2 loose."),
        field(
            "send_redirects",
            Kind::Bool,
            Means("true; false on the router and the director of [cluster]"),
            "Send ICMP redirects.",
        ),
        field(
            "proxy_arp",
            Kind::Bool,
            Means("false"),
            "Answer ARP for addresses that are routed elsewhere.",
        ),
        field(
            "accept_local",
            Kind::Bool,
            Means("false"),
            "Accept packets whose source is an own address.",
        ),
    ],
};

/// TCP of a host.
pub static TCP: Section = Section {
    name: "tcp",
    help: "TCP of a host, Linux defaults.",
    fields: &[
        field(
            "mss",
            Kind::Integer(64, 65_495),
            Means("1460"),
            "Largest segment to announce; the MTU limits it as well.",
        ),
        field(
            "options",
            Kind::Bool,
            Means("true"),
            "Options in segments: 12 bytes (timestamps), 20 in SYNs.",
        ),
        field(
            "initial_cwnd",
            Kind::Integer(1, 1000),
            Means("10"),
            "Initial congestion window in segments (RFC 6928).",
        ),
        field(
            "receive_window",
            Kind::Size,
            Means("262140B"),
            "Receive buffer: the window announced.",
        ),
        field("delayed_ack", Kind::Span, Means("40ms"), "Delayed acknowledgement timer."),
        field(
            "ack_every",
            Kind::Integer(1, 255),
            Means("2"),
            "Acknowledge at once when this many full segments wait (RFC 1122).",
        ),
        field(
            "quick_acks",
            SMALL,
            Means("16"),
            "Segments acknowledged at once at the start of a connection.",
        ),
        field(
            "ack_fin_at_once",
            Kind::Bool,
            Means("false"),
            "Acknowledge a FIN at once, not with the delayed acknowledgement.",
        ),
        field("syn_retries", SMALL, Means("6"), "Retransmissions of a SYN (tcp_syn_retries)."),
        field(
            "synack_retries",
            SMALL,
            Means("5"),
            "Retransmissions of a SYN-ACK (tcp_synack_retries).",
        ),
        field("retries", SMALL, Means("15"), "Retransmissions of data (tcp_retries2)."),
        field(
            "orphan_retries",
            SMALL,
            Means("8"),
            "Retransmissions of a connection nobody holds (tcp_orphan_retries).",
        ),
        field("rto_initial", Kind::Span, Means("1s"), "First retransmission time-out (RFC 6298)."),
        field("rto_min", Kind::Span, Means("200ms"), "Its lower bound."),
        field("rto_max", Kind::Span, Means("120s"), "Its upper bound."),
        field(
            "time_wait",
            Kind::Span,
            Means("60s"),
            "Length of TIME_WAIT, and of an orphaned FIN_WAIT2.",
        ),
        field("keepalive", Kind::Table(&KEEPALIVE), Means("off"), "Keepalive probes."),
    ],
};

/// Keepalive.
pub static KEEPALIVE: Section = Section {
    name: "keepalive",
    help: "Keepalive probes of idle connections.",
    fields: &[
        field(
            "idle",
            Kind::Span,
            Default("7200s"),
            "Idle time before the first probe (tcp_keepalive_time).",
        ),
        field("interval", Kind::Span, Default("75s"), "Time between probes (tcp_keepalive_intvl)."),
        field(
            "probes",
            SMALL,
            Default("9"),
            "Unanswered probes that end the connection (tcp_keepalive_probes).",
        ),
    ],
};

/// A CPU.
pub static CPU: Section = Section {
    name: "cpu",
    help: "One CPU that packets received by a host pass one after another.",
    fields: &[
        field("other", Kind::Span, Default("0s"), "Cost of a packet that IPVS does not touch."),
        field(
            "nat",
            Kind::Span,
            Default("0s"),
            "Cost of a packet IPVS sends on by NAT, each direction.",
        ),
        field("dr", Kind::Span, Default("0s"), "Cost of a packet IPVS sends on by DR."),
        field("tun", Kind::Span, Default("0s"), "Cost of a packet IPVS sends on by TUN."),
        field(
            "backlog",
            Kind::Integer(1, u32::MAX as u64),
            Default("1000"),
            "Packets that may wait; more are dropped (netdev_max_backlog).",
        ),
    ],
};

/// A network interface.
pub static INTERFACE: Section = Section {
    name: "interface",
    help: "A network interface of a host.",
    fields: &[
        field("name", Kind::Text, Default("eth0"), "Unique in its host."),
        field(
            "mac",
            Kind::Mac,
            Means("one the simulator assigns"),
            "Ethernet address; the first of consecutive ones with `count`.",
        ),
        field(
            "addresses",
            Kind::List(&Kind::InterfaceAddress),
            Means("none"),
            "Addresses with prefix lengths, the first is the primary one.",
        ),
        field("mtu", Kind::Integer(68, 65_535), OF_NETWORK, "Largest IP packet in bytes."),
        field(
            "sysctl",
            Kind::Table(&INTERFACE_SYSCTL),
            Means("the defaults"),
            "Settings of this interface.",
        ),
    ],
};

/// A host.
pub static HOST: Section = Section {
    name: "host",
    help: "Anything with an IP stack; or, with the name of a host of [cluster], what differs there.",
    fields: &[
        field("name", Kind::Text, Required, "Unique among hosts and switches."),
        field(
            "count",
            Kind::Integer(1, 100_000),
            Means("one host of that name"),
            "Makes that many hosts NAME1, NAME2, ... with consecutive addresses.",
        ),
        field(
            "interfaces",
            Kind::Tables(&INTERFACE),
            Means("none"),
            "Network interfaces, without lo.",
        ),
        field(
            "loopback",
            Kind::List(&Kind::InterfaceAddress),
            Means("none"),
            "Addresses on lo besides 127.0.0.1.",
        ),
        field(
            "tunnel",
            Kind::List(&Kind::InterfaceAddress),
            Means("tunl0 is down"),
            "Addresses on tunl0, which is then up and takes IPIP packets.",
        ),
        field(
            "routes",
            Kind::List(&Kind::Route),
            Means("none"),
            "Routes besides those of the connected prefixes.",
        ),
        field("neighbours", Kind::List(&Kind::Neighbour), Means("none"), "Static ARP entries."),
        field("sysctl", Kind::Table(&SYSCTL), Means("the defaults"), "Kernel settings."),
        field("tcp", Kind::Table(&TCP), Means("as in [tcp]"), "TCP of this host."),
        field("cpu", Kind::Table(&CPU), Means("no cost"), "CPU that received packets must pass."),
    ],
};

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
        field("scheduler", Kind::Text, Default("wlc"), "Scheduler of such a service."),
        field(
            "subnet",
            Kind::Prefix,
            Means("the /24 block of the first VIP"),
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
            Means("the first address of the subnet"),
            "Its address in the cluster's subnet.",
        ),
        HOST_LINK,
        HOST_SYSCTL,
        HOST_CPU,
    ],
};

/// The director of a cluster.
pub static CLUSTER_DIRECTOR: Section = Section {
    name: "cluster.director",
    help: "The director.",
    fields: &[
        field("name", Kind::Text, Default("director"), "Name of the host."),
        field("address", Kind::Address, Means("the second address of the subnet"), "DIP."),
        HOST_LINK,
        HOST_SYSCTL,
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
            Kind::Integer(1, 60_000),
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
        field("count", Kind::Integer(1, 4000), Default("1"), "How many."),
        field(
            "subnet",
            Kind::Prefix,
            Default("172.16.0.0/24"),
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
        HOST_TCP,
    ],
};

/// IPVS of a director.
pub static DIRECTOR: Section = Section {
    name: "director",
    help: "Load balancing rules of a host, as ipvsadm-save -n prints them.",
    fields: &[
        field("host", Kind::Text, Means("the director of [cluster]"), "The host."),
        field("rules", Kind::Text, Means("none"), "The rules as a text."),
        field(
            "rules_file",
            Kind::Text,
            Means("none"),
            "The file with the rules, relative to the scenario.",
        ),
        field("sysctl", Kind::Table(&IPVS_SYSCTL), Means("kernel defaults"), "net.ipv4.vs.*"),
    ],
};

/// Settings of IPVS.
pub static IPVS_SYSCTL: Section = Section {
    name: "director.sysctl",
    help: "Settings of IPVS (net.ipv4.vs.*).",
    fields: &[
        field(
            "conn_reuse_mode",
            Kind::Integer(0, 3),
            Default("1"),
            "0 a SYN for an entry goes where it points, 1 a closed entry is scheduled anew, bit 2 also FIN_WAIT entries.",
        ),
        field(
            "expire_nodest_conn",
            Kind::Bool,
            Default("false"),
            "Drop entries of a deleted real server at once.",
        ),
        field(
            "sloppy_tcp",
            Kind::Bool,
            Default("false"),
            "Schedule TCP packets that are not a SYN.",
        ),
        field("pmtu_disc", Kind::Bool, Default("true"), "Tunnels copy DF and learn the path MTU."),
    ],
};

/// The transports.
pub const TRANSPORT: Kind = Kind::OneOf(&["tcp", "udp"]);

/// An application that answers.
pub static SERVER: Section = Section {
    name: "server",
    help: "An application that answers requests.",
    fields: &[
        field(
            "hosts",
            TEXTS,
            Means("the real servers of [cluster]"),
            "The hosts it runs on; the name of hosts with `count` means all of them.",
        ),
        field(
            "transport",
            TRANSPORT,
            Means("tcp, or what the rules say when `port` is absent"),
            "TCP or UDP.",
        ),
        field(
            "port",
            Kind::Integer(1, 65_535),
            Means("every port the rules send to the host"),
            "Port it listens to on every local address.",
        ),
        field(
            "workers",
            Kind::Integer(1, u32::MAX as u64),
            Default("16"),
            "Requests served at a time.",
        ),
        field(
            "discipline",
            Kind::OneOf(&["fifo", "ps"]),
            Default("fifo"),
            "fifo: a worker takes one request to its end; ps: all requests share the workers evenly.",
        ),
        field("service", TIME, Default("1ms"), "Work of a request in time of one worker."),
        field("response", BYTES, Default("10KiB"), "Size of a response."),
        field(
            "backlog",
            Kind::Integer(1, u32::MAX as u64),
            Default("4096"),
            "Connections that may wait for accept; more SYNs are dropped (somaxconn).",
        ),
        field(
            "queue",
            Kind::Integer(0, u32::MAX as u64),
            Means("no limit"),
            "Requests that may wait for a worker; more are refused.",
        ),
        field(
            "closes",
            Kind::Bool,
            Default("false"),
            "The server closes the connection after its response (HTTP/1.0).",
        ),
    ],
};

/// An application that asks.
pub static CLIENT: Section = Section {
    name: "client",
    help: "An application that makes requests.",
    fields: &[
        field(
            "hosts",
            TEXTS,
            Means("the clients of [cluster]"),
            "The hosts it runs on; the load is divided among them.",
        ),
        field("name", Kind::Text, Default("clients"), "Name in results; equal names are summed."),
        field(
            "transport",
            TRANSPORT,
            Means("that of the first service, tcp with a `target`"),
            "TCP or UDP.",
        ),
        field(
            "target",
            Kind::Endpoint,
            Means("the first service of the rules"),
            "Where to, usually the VIP.",
        ),
        field("load", Kind::Load, Required, "When connections start, all hosts together."),
        field(
            "sources",
            Kind::List(&Kind::Addresses),
            Means("the address routing selects"),
            "Local addresses to use; the host's interface gets them.",
        ),
        field("requests", COUNT, Default("1"), "Requests on one connection."),
        field("request", BYTES, Default("200B"), "Size of a request."),
        field(
            "think",
            TIME,
            Default("0s"),
            "Pause between a response and the next request on the same connection.",
        ),
        field(
            "close_delay",
            TIME,
            Default("0s"),
            "Pause between the server's FIN and the own close.",
        ),
        field(
            "closes",
            Kind::Bool,
            Default("true"),
            "The client closes after the last response; false: it waits for the server to close.",
        ),
        field(
            "timeout",
            Kind::Span,
            Means("as long as TCP tries; 5s with UDP"),
            "A connection that takes longer has failed.",
        ),
        field(
            "limit",
            Kind::Integer(1, u64::MAX),
            Means("no limit"),
            "At most this many connections of each host.",
        ),
    ],
};

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
