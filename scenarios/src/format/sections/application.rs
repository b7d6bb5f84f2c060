//! What runs on hosts: IPVS, servers, clients.

use super::host::{SETUP, SETUP_FILE};
use super::keepalived::{KEEPALIVED, KEEPALIVED_START};
use super::{BYTES, COUNT, TEXTS, TIME, field};
use crate::format::field::Absent::{Default, Means, Required};
use crate::format::field::{Kind, Section};

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
            "The file with the rules, as ipvsadm-save prints them, or a keepalived.conf; relative to the scenario.",
        ),
        field("sysctl", Kind::Table(&IPVS_SYSCTL), Means("kernel defaults"), "net.ipv4.vs.*"),
        field(
            "local_addresses",
            Kind::List(&Kind::Addresses),
            Means("those of the rules (-P -z)"),
            "Addresses of the director that FULLNAT services without own ones put in the place of clients'.",
        ),
        KEEPALIVED,
        KEEPALIVED_START,
        SETUP,
        SETUP_FILE,
    ],
};

/// Modes of a defence.
const MODE: Kind = Kind::Integer(0, 3);
/// A number that the kernel keeps as an `int`.
const AMOUNT: Kind = Kind::Integer(0, i32::MAX as u64);

/// Settings of IPVS.
pub static IPVS_SYSCTL: Section = Section {
    name: "director.sysctl",
    help: "Settings of IPVS (net.ipv4.vs.*).",
    fields: &[
        field(
            "amemthresh",
            AMOUNT,
            Default("1024"),
            "Pages of free memory below which modes 1 and 2 of the defences begin; memory is never short here.",
        ),
        field(
            "am_droprate",
            AMOUNT,
            Default("10"),
            "`drop_packet` 3 drops one of this many new connections.",
        ),
        field(
            "backup_only",
            Kind::Bool,
            Default("false"),
            "A director whose synchronisation daemon is only a backup leaves all packets alone.",
        ),
        field(
            "cache_bypass",
            Kind::Bool,
            Default("false"),
            "Without a real server, packets of a fwmark service go where the client sent them.",
        ),
        field(
            "conn_reuse_mode",
            Kind::Integer(0, 3),
            Default("1"),
            "0 a SYN for an entry goes where it points, 1 a closed entry is scheduled anew, bit 2 also FIN_WAIT entries.",
        ),
        field(
            "conntrack",
            Kind::Bool,
            Default("false"),
            "Balanced connections take part in connection tracking.",
        ),
        field(
            "drop_entry",
            MODE,
            Default("0"),
            "Drop old entries: 0 never, 1 and 2 when memory is short, 3 always.",
        ),
        field(
            "drop_packet",
            MODE,
            Default("0"),
            "Drop new connections: 0 never, 1 and 2 when memory is short, 3 always.",
        ),
        field(
            "secure_tcp",
            MODE,
            Default("0"),
            "Stricter TCP states and shorter timeouts: 0 never, 1 and 2 when memory is short, 3 always.",
        ),
        field(
            "expire_nodest_conn",
            Kind::Bool,
            Default("false"),
            "Drop entries of a deleted real server at once.",
        ),
        field(
            "expire_quiescent_template",
            Kind::Bool,
            Default("false"),
            "A persistent client whose real server has weight 0 is scheduled anew.",
        ),
        field(
            "ignore_tunneled",
            Kind::Bool,
            Default("false"),
            "Leave packets alone that came out of a tunnel.",
        ),
        field(
            "lblc_expiration",
            Kind::Span,
            Default("24h"),
            "Entries of lblc live this long without use.",
        ),
        field(
            "lblcr_expiration",
            Kind::Span,
            Default("24h"),
            "Entries of lblcr live this long without use.",
        ),
        field(
            "nat_icmp_send",
            Kind::Bool,
            Default("false"),
            "A real server that sends from a NAT service without a connection is told so by ICMP.",
        ),
        field("pmtu_disc", Kind::Bool, Default("true"), "Tunnels copy DF and learn the path MTU."),
        field(
            "run_estimation",
            Kind::Bool,
            Default("true"),
            "The estimator of rates runs (`-L --rate`).",
        ),
        field(
            "schedule_icmp",
            Kind::Bool,
            Default("false"),
            "Schedule ICMP errors that belong to no connection.",
        ),
        field(
            "sloppy_tcp",
            Kind::Bool,
            Default("false"),
            "Schedule TCP packets that are not a SYN.",
        ),
        field(
            "sloppy_sctp",
            Kind::Bool,
            Default("false"),
            "Schedule SCTP packets that are not an INIT.",
        ),
        field(
            "snat_reroute",
            Kind::Bool,
            Default("true"),
            "Route answers of NAT servers again by their new source.",
        ),
        field(
            "sync_persist_mode",
            Kind::Bool,
            Default("false"),
            "Only templates are synchronised, not the connections that belong to them.",
        ),
        field(
            "sync_refresh_period",
            Kind::Span,
            Default("0s"),
            "A connection is synchronised again only if its timer has moved by this much (or by half its timeout); with a second number of `sync_threshold` other than 0 only at its packets.",
        ),
        field(
            "sync_retries",
            Kind::Integer(0, 3),
            Default("0"),
            "Messages that follow one of `sync_refresh_period` at an eighth of it.",
        ),
        field(
            "sync_threshold",
            Kind::List(&AMOUNT),
            Means("[3, 50]"),
            "Of every 50 packets from a client the 3rd is a reason to synchronise its connection; with [3, 0] the 3rd alone, or what `sync_refresh_period` says.",
        ),
    ],
};

/// The transports.
const TRANSPORT: Kind = Kind::OneOf(&["tcp", "udp"]);

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
            "connections",
            Kind::Integer(1, u32::MAX as u64),
            Means("no limit"),
            "Connections held at a time; more wait in the backlog.",
        ),
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
        field("close_delay", TIME, Default("0s"), "Pause between the response and the own close."),
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
