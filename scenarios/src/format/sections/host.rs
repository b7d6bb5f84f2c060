//! Hosts: interfaces, kernel settings, TCP, CPU.

use super::heartbeat::{HEARTBEAT_OF_HOST, LDIRECTORD, LDIRECTORD_START};
use super::keepalived::{KEEPALIVED, KEEPALIVED_START};
use super::{OF_NETWORK, SMALL, field};
use crate::format::field::Absent::{Default, Means, Required};
use crate::format::field::{Field, Kind, Section};

const RP_FILTER: Field =
    field("rp_filter", Kind::Integer(0, 2), Means("0"), "0 none, 1 strict, 2 loose.");
const PROXY_ARP: Field = field(
    "proxy_arp",
    Kind::Bool,
    Means("false"),
    "Answer ARP for addresses that are routed elsewhere.",
);
const ACCEPT_LOCAL: Field = field(
    "accept_local",
    Kind::Bool,
    Means("false"),
    "Accept packets whose source is an own address.",
);
const ARP_NOTIFY: Field = field(
    "arp_notify",
    Kind::Bool,
    Means("false"),
    "Announce the addresses (gratuitous ARP) at the start and when the link comes up.",
);

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
        RP_FILTER,
        field("send_redirects", Kind::Bool, Means("true"), "Send ICMP redirects."),
        PROXY_ARP,
        ACCEPT_LOCAL,
        ARP_NOTIFY,
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
            "forwarding_v6",
            Kind::Bool,
            Means("as `ip_forward`"),
            "The same for IPv6 (net.ipv6.conf.all.forwarding).",
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
        RP_FILTER,
        field(
            "send_redirects",
            Kind::Bool,
            Means("true; false on the router and the director of [cluster]"),
            "Send ICMP redirects.",
        ),
        PROXY_ARP,
        ACCEPT_LOCAL,
        ARP_NOTIFY,
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

/// The commands of a host.
pub(super) const SETUP: Field = field(
    "setup",
    Kind::Text,
    Means("none"),
    "The commands that an administrator types on the host, as a text: ip, ifconfig, route, sysctl, ipvsadm, iptables, ...",
);

/// The same in a file.
pub(super) const SETUP_FILE: Field = field(
    "setup_file",
    Kind::Text,
    Means("none"),
    "The file with these commands, relative to the scenario.",
);

/// A host.
pub static HOST: Section = Section {
    name: "host",
    help: "Anything with an IP stack; or, with the name of a host of [cluster], what differs there.",
    fields: &[
        field("name", Kind::Text, Required, "Unique among hosts and switches."),
        field(
            "count",
            Kind::Integer(1, 4096),
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
        field(
            "boot",
            Kind::Dist(super::Quantity::Time),
            Means("0s"),
            "From power to a network that works, when a fault has taken the power away.",
        ),
        KEEPALIVED,
        KEEPALIVED_START,
        HEARTBEAT_OF_HOST,
        LDIRECTORD,
        LDIRECTORD_START,
        SETUP,
        SETUP_FILE,
    ],
};
