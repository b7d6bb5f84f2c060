//! The observations of a finished run, as plain data.

use super::{
    Availability, DirectorSnapshot, Histogram, TimelineEntry, TraceReport, VipObservation,
};
use crate::engine::Time;
use crate::ipvs::rules::{Forwarding, ServiceKey};
use crate::ipvs::{DestinationEntry, IpvsError};
use core::fmt;
use core::net::IpAddr;

/// Everything a run observed.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// Fold of everything that happened, equal for equal input, seed and version.
    pub digest: u64,
    /// Time of the last event.
    pub end: Time,
    /// Events handled.
    pub events: u64,
    /// Link traversals of IP packets (host to switch and switch to host count one each).
    pub ip_hops: u64,
    /// Link traversals of ARP packets.
    pub arp_hops: u64,
    /// Where every packet went.
    pub packets: PacketAccount,
    /// Client applications, in the order of the configuration; equal names are summed.
    pub clients: Vec<ClientObservation>,
    /// How available the service was to each client application, in the same order.
    pub availability: Vec<Availability>,
    /// How available each service was to all that asked for it.
    pub services: Vec<Availability>,
    /// When requests started that were lost, and how many; of very many the times are rounded down.
    pub losses: Vec<(Time, u32)>,
    /// Virtual addresses: those of services, and those that came or went.
    pub vips: Vec<VipObservation>,
    /// Server applications, in the order of the configuration.
    pub servers: Vec<ServerObservation>,
    /// Directors, in the order of the configuration.
    pub directors: Vec<DirectorObservation>,
    /// Link directions, two per link.
    pub links: Vec<LinkObservation>,
    /// Dropped packets by place and reason, sorted.
    pub drops: Vec<DropObservation>,
    /// Time series, sorted by time, then entity, then metric.
    pub series: Vec<SeriesPoint>,
    /// One row for each connection, if asked for, in order of their ends.
    pub connections: Vec<ConnectionRow>,
    /// What directors held at the times asked for, in order of time.
    pub snapshots: Vec<DirectorSnapshot>,
    /// Changes of rules that were refused, in order of time.
    pub refusals: Vec<Refusal>,
    /// What happened to the cluster, in the order in which it happened.
    pub timeline: Vec<TimelineEntry>,
    /// What was told about a connection, if one was to be followed.
    pub trace: Option<TraceReport>,
}

/// A change of rules that a director refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Its number in [`crate::config::WorldConfig::operations`].
    pub operation: usize,
    /// When.
    pub time: Time,
    /// Why.
    pub error: IpvsError,
}

/// Conservation of packets: `created = delivered + dropped + in_flight`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PacketAccount {
    /// Made by a host (including the copies a switch floods).
    pub created: u64,
    /// Consumed by a host.
    pub delivered: u64,
    /// Dropped with a reason.
    pub dropped: u64,
    /// Still on a link or in a queue at the end.
    pub in_flight: u64,
}

/// Why a connection (or a UDP exchange) failed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Failure {
    /// RST in answer to the SYN, or ICMP port unreachable: ECONNREFUSED.
    Refused,
    /// RST later: ECONNRESET.
    Reset,
    /// ICMP host or network unreachable: EHOSTUNREACH.
    Unreachable,
    /// No answer within the client's or TCP's patience: ETIMEDOUT.
    TimedOut,
    /// No local port left: EADDRNOTAVAIL.
    NoPort,
    /// Neither served nor failed when the run ended.
    Unfinished,
}

impl Failure {
    /// All, in the order of reports.
    pub const ALL: [Self; 6] = [
        Self::Refused,
        Self::Reset,
        Self::Unreachable,
        Self::TimedOut,
        Self::NoPort,
        Self::Unfinished,
    ];

    /// The word used in tables and `summary.json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::NoPort => "no_port",
            Self::Unfinished => "unfinished",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a client application saw. Counts include only connections started after the warm-up.
#[derive(Clone, Debug, Default)]
pub struct ClientObservation {
    /// Name.
    pub name: String,
    /// Connections (UDP: exchanges) started.
    pub connections_offered: u64,
    /// Connections on which every request got its whole response.
    pub connections_served: u64,
    /// Failed connections by [`Failure`], in the order of [`Failure::ALL`].
    pub connections_failed: [u64; 6],
    /// Requests sent.
    pub requests_offered: u64,
    /// Requests answered in full.
    pub requests_served: u64,
    /// Bytes of responses received.
    pub bytes_received: u64,
    /// SYN sent to connection established.
    pub connect: Histogram,
    /// First request of a connection sent to first byte of its response; for later ones likewise.
    pub first_byte: Histogram,
    /// Start of the connection (later requests: request sent) to last byte of the response.
    pub complete: Histogram,
    /// Segments sent again.
    pub retransmissions: u64,
}

/// What a server application saw.
#[derive(Clone, Debug, Default)]
pub struct ServerObservation {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Connections accepted (UDP: requests).
    pub connections: u64,
    /// Requests answered in full.
    pub requests: u64,
    /// Bytes of responses.
    pub bytes: u64,
    /// Refused because the queue was full.
    pub refused: u64,
    /// Largest number of requests waiting or in service.
    pub max_in_system: u64,
    /// Worker time of the requests that left between the end of the warm-up and the end of `duration`,
    /// divided by that time and the workers: 0 to 1.
    pub utilisation: f64,
    /// Request arrived to response handed to TCP.
    pub sojourn: Histogram,
}

/// What passes a host a second, between the end of the warm-up and the end of `duration`.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Rates {
    /// IP packets received from links.
    pub packets_in: f64,
    /// Their IP bytes.
    pub bytes_in: f64,
    /// IP packets sent to links.
    pub packets_out: f64,
    /// Their IP bytes.
    pub bytes_out: f64,
}

/// What a director saw.
#[derive(Clone, Debug, Default)]
pub struct DirectorObservation {
    /// Host.
    pub host: String,
    /// IP packets received from links.
    pub packets_in: u64,
    /// IP bytes received from links.
    pub bytes_in: u64,
    /// IP packets sent to links.
    pub packets_out: u64,
    /// IP bytes sent to links.
    pub bytes_out: u64,
    /// Connections scheduled.
    pub connections: u64,
    /// Requests for which no destination was available.
    pub no_destination: u64,
    /// Entries in the connection table at the end.
    pub entries: u64,
    /// Largest number of entries at a time.
    pub entries_max: u64,
    /// What passed it a second.
    pub rates: Rates,
    /// Share of the time between the end of the warm-up and the end of `duration` that its CPU was
    /// busy, 0 without a CPU model.
    pub cpu_utilisation: f64,
    /// Destinations, services in the order of the rules, destinations in the order of the rules.
    pub destinations: Vec<DestinationObservation>,
}

/// A destination's counters, as `ipvsadm -Ln --stats` shows them.
#[derive(Clone, Debug)]
pub struct DestinationObservation {
    /// Virtual service.
    pub service: ServiceKey,
    /// RIP.
    pub rip: IpAddr,
    /// Port.
    pub port: u16,
    /// Forwarding method.
    pub forwarding: Forwarding,
    /// Weight.
    pub weight: u32,
    /// Host that has the address, empty if none.
    pub host: String,
    /// Connections scheduled to it.
    pub connections: u64,
    /// Active connections at the end.
    pub active: u32,
    /// Inactive connections at the end.
    pub inactive: u32,
    /// Packets to it.
    pub packets_in: u64,
    /// IP bytes to it.
    pub bytes_in: u64,
    /// Packets from it (NAT only).
    pub packets_out: u64,
    /// IP bytes from it (NAT only).
    pub bytes_out: u64,
}

impl From<DestinationEntry> for DestinationObservation {
    /// The entry of a destination as it stands, without the name of its host.
    fn from(entry: DestinationEntry) -> Self {
        Self {
            service: entry.service,
            rip: entry.rip,
            port: entry.port,
            forwarding: entry.forwarding,
            weight: entry.weight,
            host: String::new(),
            connections: entry.total.connections,
            active: entry.active,
            inactive: entry.inactive,
            packets_in: entry.total.packets_in,
            bytes_in: entry.total.bytes_in,
            packets_out: entry.total.packets_out,
            bytes_out: entry.total.bytes_out,
        }
    }
}

/// One direction of a link.
#[derive(Clone, Debug, Default)]
pub struct LinkObservation {
    /// Name of the link.
    pub link: String,
    /// Sending end: `host:interface` or `switch:port`.
    pub from: String,
    /// Receiving end.
    pub to: String,
    /// Frames carried.
    pub packets: u64,
    /// Bytes carried, framing included.
    pub bytes: u64,
    /// Share of the time between the end of the warm-up and the end of `duration` that the sender was
    /// busy, 0 to 1.
    pub utilisation: f64,
    /// Largest number of frames waiting or being sent.
    pub queue_max: u64,
    /// Frames dropped by the full queue.
    pub dropped_queue: u64,
    /// Frames lost by the loss probability or because the link was down.
    pub dropped_loss: u64,
}

/// Drops at one place for one reason.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DropObservation {
    /// `host`, `host:interface`, `switch` or link.
    pub place: String,
    /// Reason, one word or two with an underscore.
    pub reason: &'static str,
    /// Packets.
    pub packets: u64,
    /// IP bytes.
    pub bytes: u64,
}

/// A value of a time series: the state at, or the count since the last point before, `time`.
#[derive(Clone, PartialEq, Debug)]
pub struct SeriesPoint {
    /// End of the bucket.
    pub time: Time,
    /// `server`, `director`, `link`, `client`, `destination`.
    pub kind: &'static str,
    /// Name of the entity.
    pub entity: String,
    /// Metric with its unit as a suffix: `connections`, `in_system`, `packets_per_s`, ...
    pub metric: &'static str,
    /// Value.
    pub value: f64,
}

/// One connection (or UDP exchange).
#[derive(Clone, Copy, Debug)]
pub struct ConnectionRow {
    /// Number of the connection, in order of their starts.
    pub id: u32,
    /// Index into [`Observations::clients`].
    pub client: u32,
    /// Client address.
    pub source: (IpAddr, u16),
    /// Address connected to.
    pub target: (IpAddr, u16),
    /// Index into [`Observations::servers`] of the application that answered, if any.
    pub server: Option<u32>,
    /// Start.
    pub start: Time,
    /// Established, [`Time::NEVER`] if it never was.
    pub connected: Time,
    /// First byte of the first response, [`Time::NEVER`] if none came.
    pub first_byte: Time,
    /// End of the conversation as the client saw it.
    pub end: Time,
    /// Requests answered in full.
    pub requests: u32,
    /// Response bytes received.
    pub bytes: u64,
    /// How it failed, `None` if served.
    pub failure: Option<Failure>,
}
