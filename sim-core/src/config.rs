//! The model of one run: everything the world needs to know, as plain data.
//!
//! A [`WorldConfig`] is complete and resolved: no defaults are looked up later, no file is read.
//! It is checked when a world is built from it.

mod bfd;
mod check;
mod fault;
mod filter;
mod heartbeat;
mod ipvs;
mod keepalived;
mod ldirectord;
mod net;
mod outage;
mod process;
mod trace;
mod vrrp;

pub use bfd::BfdConfig;
pub use check::{
    AnswerConfig, CheckConfig, CheckerConfig, CheckerKind, FileConfig, FlushOnStop, HttpConfig,
    PageConfig, RealServerConfig, RegexConfig, ScriptConfig, ScriptRun, SorryConfig, UrlConfig,
    VirtualServerConfig,
};
pub use fault::{
    ApplicationHarm, Boot, Condition, FaultConfig, FaultEnd, FaultKind, FaultStart, ProgramHarm,
    Traffic, Trigger,
};
pub use filter::{
    FilterChain, FilterCondition, FilterConfig, FilterMatch, FilterTable, FilterTarget, RejectWith,
};
pub use heartbeat::{
    Announce, AuthKey, AuthMethod, Failback, HEARTBEAT_PORT, HeartbeatConfig, Medium, PingNode,
    ResetFailure, Resource, ResourceGroup, ResourceKind, Runs, ScriptTimes, StonithConfig,
};
pub use ipvs::{IpvsConfig, IpvsSysctl};
pub use keepalived::KeepalivedConfig;
pub use ldirectord::{CheckKind, Exchange, LdirectordConfig, RealConfig, VirtualConfig};
pub use net::{Net, v4};
pub use outage::OutageRule;
pub use process::Process;
pub use trace::{FlowEnd, TraceConfig};
pub use vrrp::{
    GROUP_V4, GROUP_V6, GarpConfig, GarpPacing, LinkDelay, ScriptResult, SyncDaemon, SyncGroup,
    Track, TrackFile, TrackProcess, Tracked, UnicastPeer, VirtualAddress, VmacConfig, VrrpAuth,
    VrrpConfig, VrrpInstance, VrrpScript, VrrpVersion,
};

use crate::engine::{Dist, Span};
use crate::ipvs::Command;
use crate::wire::Mac;
use core::net::IpAddr;

/// One run. The default is an empty network that runs for no time.
#[derive(Clone, Debug, Default)]
pub struct WorldConfig {
    /// Seed of every random stream.
    pub seed: u64,
    /// Clients start connections from 0 until this point.
    pub duration: Span,
    /// How long the run goes on after `duration` so that started connections can end.
    pub drain: Span,
    /// Observations of connections started before this point are left out of the statistics.
    pub warmup: Span,
    /// Hosts: clients, routers, directors, real servers.
    pub hosts: Vec<HostConfig>,
    /// Learning switches.
    pub switches: Vec<SwitchConfig>,
    /// Cables.
    pub links: Vec<LinkConfig>,
    /// Width of a time-series bucket; zero for none.
    pub series_interval: Span,
    /// Keep a row for each connection.
    pub connections: bool,
    /// What counts as an outage.
    pub outages: OutageRule,
    /// Interfaces to capture.
    pub captures: Vec<CaptureConfig>,
    /// The connection to follow, if one is followed.
    pub trace: Option<TraceConfig>,
    /// Things that happen to links while the run goes on, in any order.
    pub link_events: Vec<LinkEvent>,
    /// What breaks while the run goes on. At one time it happens in this order.
    pub faults: Vec<FaultConfig>,
    /// What operators do on directors while the run goes on. At one time they are done in this order.
    pub operations: Vec<Operation>,
}

/// Which interfaces a capture sees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CaptureConfig {
    /// Every interface of every host.
    All,
    /// Every interface of one host.
    Host(String),
    /// One interface: host, interface.
    Interface(String, String),
}

/// A link goes down or up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkEvent {
    /// When.
    pub at: Span,
    /// Name of the link.
    pub link: String,
    /// New state.
    pub up: bool,
}

/// What an operator does on a director.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation {
    /// When; `None` for the end of the run.
    pub at: Option<Span>,
    /// The director.
    pub host: String,
    /// What is done.
    pub task: OperatorTask,
}

/// See [`Operation`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OperatorTask {
    /// Changes the rules or settings. At the end of the run nothing is left to change.
    Change(Command),
    /// Writes down what IPVS holds, see [`crate::observe::DirectorSnapshot`].
    Snapshot {
        /// The connections too.
        connections: bool,
    },
}

/// A host: anything with an IP stack.
#[derive(Clone, Debug, Default)]
pub struct HostConfig {
    /// Unique name.
    pub name: String,
    /// Network interfaces, without `lo`.
    pub interfaces: Vec<InterfaceConfig>,
    /// Addresses on `lo` besides 127.0.0.1/8 and `::1`.
    pub loopback: Vec<Net>,
    /// Own IPv6 addresses that are not chosen as a source if there is another (`preferred_lft 0`).
    pub deprecated: Vec<IpAddr>,
    /// Tunnel devices that are up.
    pub tunnels: Vec<TunnelConfig>,
    /// UDP ports that unwrap tunnel packets (`ip fou add`).
    pub fou: Vec<FouConfig>,
    /// Routes besides those of the connected prefixes.
    pub routes: Vec<RouteConfig>,
    /// Which table a packet is routed by (`ip rule`), besides the rules for `local`, `main` and `default`.
    pub policy: Vec<PolicyConfig>,
    /// Neighbour entries that never change: interface, address, MAC.
    pub neighbours: Vec<(String, IpAddr, Mac)>,
    /// Addresses answered for on an interface (`ip neigh add proxy`).
    pub proxies: Vec<(String, IpAddr)>,
    /// Netfilter rules of all tables and chains, in the order in which they are looked at.
    pub filters: Vec<FilterConfig>,
    /// Kernel settings.
    pub sysctl: Sysctl,
    /// TCP of this host.
    pub tcp: TcpConfig,
    /// Load balancing rules, if the host is a director.
    pub ipvs: Option<IpvsConfig>,
    /// keepalived, if it is there.
    pub keepalived: Option<KeepalivedConfig>,
    /// Applications that answer requests.
    pub servers: Vec<ServerConfig>,
    /// Applications that make requests.
    pub clients: Vec<ClientConfig>,
    /// CPU that every received packet must pass.
    pub cpu: Option<CpuConfig>,
    /// How the host comes back when it has been without power.
    pub boot: Boot,
    /// heartbeat, if it is installed.
    pub heartbeat: Option<HeartbeatConfig>,
    /// ldirectord, if it is installed.
    pub ldirectord: Option<LdirectordConfig>,
}

/// A network interface.
#[derive(Clone, Debug)]
pub struct InterfaceConfig {
    /// Unique in its host: `eth0`.
    pub name: String,
    /// Ethernet address; the world assigns a locally administered one if absent.
    pub mac: Option<Mac>,
    /// Addresses, the first is the primary one.
    pub addresses: Vec<Net>,
    /// Largest IP packet in bytes, 68 to 65535.
    pub mtu: u16,
    /// Settings that Linux keeps per interface; the stronger of this and the host's counts.
    pub sysctl: InterfaceSysctl,
}

/// What a tunnel device unwraps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TunnelKind {
    /// `tunl0`: IPv4 in IPv4 (module `ipip`).
    Ipip,
    /// `gre0`: GRE over IPv4 (module `ip_gre`).
    Gre,
    /// `sit0`: IPv6 in IPv4 (module `sit`).
    Sit,
    /// `ip6tnl0`: IPv6 and IPv4 in IPv6 (module `ip6_tunnel`).
    Ip6Tnl,
    /// `ip6gre0`: GRE over IPv6 (module `ip6_gre`).
    Ip6Gre,
}

/// A tunnel device that is up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TunnelConfig {
    /// Unique in its host: `tunl0`.
    pub name: String,
    /// What it unwraps.
    pub kind: TunnelKind,
    /// Own outer address; `None`: any (the fallback device).
    pub local: Option<IpAddr>,
    /// The peer's outer address; `None`: any.
    pub remote: Option<IpAddr>,
    /// Whether GRE packets must carry a checksum (`icsum`), and no other.
    pub checksum: bool,
    /// Addresses on the device.
    pub addresses: Vec<Net>,
    /// Largest IP packet inside.
    pub mtu: u16,
    /// Settings of the device; the stronger of this and the host's counts.
    pub sysctl: InterfaceSysctl,
}

impl TunnelConfig {
    /// The device `tunl0`, which unwraps IPIP from everybody.
    pub fn tunl0(addresses: Vec<Net>) -> Self {
        Self {
            name: "tunl0".to_owned(),
            kind: TunnelKind::Ipip,
            local: None,
            remote: None,
            checksum: false,
            addresses,
            mtu: 1480,
            sysctl: InterfaceSysctl::default(),
        }
    }
}

/// A UDP port that unwraps tunnel packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FouConfig {
    /// The port.
    pub port: u16,
    /// `ipproto`: every packet holds one of this IP protocol; `None`: generic UDP encapsulation (`gue`).
    pub protocol: Option<u8>,
    /// Whether the outer packets are IPv6 (`-6`).
    pub v6: bool,
}

/// Which table a packet is routed by (`ip rule`).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PolicyConfig {
    /// Rules are looked at in this order; `main` has 32766.
    pub priority: u32,
    /// IPv6.
    pub v6: bool,
    /// Mark and mask.
    pub mark: Option<(u32, u32)>,
    /// Source.
    pub from: Option<Net>,
    /// Destination.
    pub to: Option<Net>,
    /// Interface it came in by; `lo` for own packets.
    pub input: Option<String>,
    /// The table.
    pub table: u32,
}

/// The routing table `main` of Linux.
pub const MAIN_TABLE: u32 = 254;

/// A static route. Several `hops` share the flows by a hash (ECMP).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteConfig {
    /// Where to; [`Net::ALL`] for the default route.
    pub to: Net,
    /// What becomes of packets to there.
    pub kind: RouteKind,
    /// Next hops, at least one for [`RouteKind::Unicast`].
    pub hops: Vec<HopConfig>,
    /// Lower wins among equal prefixes.
    pub metric: u32,
    /// Routing table, [`MAIN_TABLE`] by default.
    pub table: u32,
    /// Preferred source of own packets.
    pub source: Option<IpAddr>,
    /// Path MTU, if it is below that of the interface.
    pub mtu: Option<u16>,
}

impl RouteConfig {
    /// A route of the table `main`.
    pub const fn new(to: Net, hops: Vec<HopConfig>) -> Self {
        Self {
            to,
            kind: RouteKind::Unicast,
            hops,
            metric: 0,
            table: MAIN_TABLE,
            source: None,
            mtu: None,
        }
    }
}

/// What becomes of the packets of a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RouteKind {
    /// They are sent to the next hop.
    Unicast,
    /// They are for this host.
    Local,
    /// They are dropped in silence.
    Blackhole,
    /// They are answered with ICMP host unreachable.
    Unreachable,
    /// They are answered with ICMP administratively prohibited.
    Prohibit,
}

/// A next hop: a gateway, or an interface on whose link the destination is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HopConfig {
    /// Gateway; on-link if absent.
    pub via: Option<IpAddr>,
    /// Interface; found from the gateway if absent.
    pub dev: Option<String>,
}

/// Kernel settings of a host (`net.ipv4.*`, `net.ipv4.conf.all.*`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sysctl {
    /// Forward IPv4 packets that are not for this host.
    pub ip_forward: bool,
    /// Forward IPv6 packets that are not for this host (`net.ipv6.conf.all.forwarding`).
    pub forwarding_v6: bool,
    /// `conf.all.*`.
    pub all: InterfaceSysctl,
    /// Time to live of packets this host makes.
    pub default_ttl: u8,
    /// Leave ICMP echo requests (ping) without an answer. Those of `ICMPv6` are always answered.
    pub icmp_echo_ignore_all: bool,
}

/// Settings Linux has per interface and for `all`; the effective value is the larger of the two
/// (for the flags: either).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InterfaceSysctl {
    /// 0: answer for any local address, 1: only for addresses of the interface, 2: and only if the
    /// asker is in its subnet, 8: never.
    pub arp_ignore: u8,
    /// 0: any local address may be the sender of a request, 1: prefer one of the target's subnet,
    /// 2: always the best one of the interface.
    pub arp_announce: u8,
    /// 0: none, 1: strict, 2: loose.
    pub rp_filter: u8,
    /// Send ICMP redirects when forwarding back out of the interface a packet came in by.
    pub send_redirects: bool,
    /// Obey ICMP redirects (on a host that forwards, only if `all` agrees).
    pub accept_redirects: bool,
    /// Answer ARP for addresses that are routed elsewhere.
    pub proxy_arp: bool,
    /// Accept packets whose source is an own address.
    pub accept_local: bool,
    /// Announce the addresses of the interface (gratuitous ARP) at the start and when its link
    /// comes up.
    pub arp_notify: bool,
}

impl Default for InterfaceSysctl {
    /// Linux: everything off but redirects.
    fn default() -> Self {
        Self {
            arp_ignore: 0,
            arp_announce: 0,
            rp_filter: 0,
            send_redirects: true,
            accept_redirects: true,
            proxy_arp: false,
            accept_local: false,
            arp_notify: false,
        }
    }
}

impl Default for Sysctl {
    fn default() -> Self {
        Self {
            ip_forward: false,
            forwarding_v6: false,
            all: InterfaceSysctl::default(),
            default_ttl: 64,
            icmp_echo_ignore_all: false,
        }
    }
}

/// A learning switch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SwitchConfig {
    /// Unique among hosts and switches.
    pub name: String,
    /// Learned addresses are forgotten after this time (Linux bridge: 300 s).
    pub ageing: Span,
    /// A spanning tree keeps loops apart: links that would close a loop are blocked.
    pub spanning_tree: bool,
}

/// One end of a cable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkEnd {
    /// Interface of a host: host, interface.
    Interface(String, String),
    /// A port of a switch; ports are numbered in the order of the links.
    Switch(String),
}

/// A full-duplex cable.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Unique name, by default `a--b`.
    pub name: String,
    /// Both ends.
    pub ends: [LinkEnd; 2],
    /// Properties of the direction from `ends[0]` to `ends[1]` and back.
    pub directions: [LinkDirection; 2],
    /// State at the start.
    pub up: bool,
    /// Standby leg of an active-backup bond: closes no loop, and carries nothing while the active leg,
    /// which ends at the same interface or joins the same switches, is up.
    pub standby: bool,
}

/// Properties of one direction of a link.
#[derive(Clone, Debug)]
pub struct LinkDirection {
    /// Bits per second; 0 for infinitely fast.
    pub rate_bps: u64,
    /// Propagation delay.
    pub latency: Span,
    /// Drop-tail limit of frames waiting or being sent.
    pub queue: QueueLimit,
    /// Probability that a frame is lost, 0 to 1.
    pub loss: f64,
    /// Extra delay of each frame; order is kept.
    pub jitter: Option<Dist>,
    /// Probability that a frame is delayed by `reorder_delay` and may be overtaken, 0 to 1.
    pub reorder: f64,
    /// Delay of a reordered frame.
    pub reorder_delay: Span,
    /// Bytes a frame takes on the wire above its IP length: 14 header + 4 checksum = 18; 38 with
    /// preamble and gap.
    pub overhead: u16,
}

/// A drop-tail limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueueLimit {
    /// At most this many frames wait behind the one being sent.
    Packets(u32),
    /// At most this many bytes wait or are being sent.
    Bytes(u64),
}

/// TCP of a host, Linux defaults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpConfig {
    /// Largest MSS to announce; the interface MTU less 40 limits it as well.
    pub mss: u16,
    /// Bytes of options in segments without SYN (12: timestamps) and in SYNs (20).
    pub options: bool,
    /// Initial congestion window in segments (RFC 6928: 10).
    pub initial_cwnd: u32,
    /// Receive buffer: the window announced, in bytes.
    pub receive_window: u32,
    /// Delayed acknowledgement timer (Linux: 40 ms).
    pub delayed_ack: Span,
    /// Acknowledge at once when this many full segments wait (RFC 1122: 2).
    pub ack_every: u8,
    /// Segments acknowledged at once at the start of a connection (Linux: 16).
    pub quick_acks: u8,
    /// Acknowledge a FIN at once, instead of with the delayed acknowledgement.
    pub ack_fin_at_once: bool,
    /// Retransmissions of a SYN before giving up (`tcp_syn_retries` 6).
    pub syn_retries: u8,
    /// Retransmissions of a SYN-ACK (`tcp_synack_retries` 5).
    pub synack_retries: u8,
    /// Retransmissions of data before giving up (`tcp_retries2` 15).
    pub retries: u8,
    /// Retransmissions of an orphaned connection (`tcp_orphan_retries` 0 means 8).
    pub orphan_retries: u8,
    /// First retransmission time-out (RFC 6298: 1 s).
    pub rto_initial: Span,
    /// Lower bound (Linux: 200 ms).
    pub rto_min: Span,
    /// Upper bound (Linux: 120 s).
    pub rto_max: Span,
    /// `TIME_WAIT` (60 s), also the life of an orphaned `FIN_WAIT2`.
    pub time_wait: Span,
    /// Keepalive: idle time, interval, probes. `None`: off.
    pub keepalive: Option<(Span, Span, u8)>,
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self {
            mss: 1460,
            options: true,
            initial_cwnd: 10,
            receive_window: 65_535 * 4,
            delayed_ack: Span::from_millis(40),
            ack_every: 2,
            quick_acks: 16,
            ack_fin_at_once: false,
            syn_retries: 6,
            synack_retries: 5,
            retries: 15,
            orphan_retries: 8,
            rto_initial: Span::from_secs(1),
            rto_min: Span::from_millis(200),
            rto_max: Span::from_secs(120),
            time_wait: Span::from_secs(60),
            keepalive: None,
        }
    }
}

/// One CPU that packets received by a host pass one after another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuConfig {
    /// Cost of a packet that IPVS does not touch.
    pub other: Span,
    /// Cost of a packet that IPVS sends on by NAT (each direction), DR, TUN.
    pub nat: Span,
    /// See `nat`.
    pub dr: Span,
    /// See `nat`.
    pub tun: Span,
    /// Packets that may wait (`net.core.netdev_max_backlog` 1000); more are dropped.
    pub backlog: u32,
}

/// Transport of an application.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// How waiting requests share the workers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Discipline {
    /// First in, first out: a worker takes one request to its end.
    Fifo,
    /// Processor sharing: all requests in service share the workers evenly.
    ProcessorSharing,
}

/// Who closes a connection after its last response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closer {
    /// The client, on the last byte of the last response.
    Client,
    /// The server, after the last byte of its response (HTTP/1.0).
    Server,
}

/// An application that answers requests on a host.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// TCP or UDP.
    pub transport: Transport,
    /// Port it listens to on every local address.
    pub port: u16,
    /// Requests served at a time, at least 1.
    pub workers: u32,
    /// FIFO or processor sharing.
    pub discipline: Discipline,
    /// Work of a request in seconds of one worker.
    pub service: Dist,
    /// Bytes of a response, rounded, at least 1.
    pub response: Dist,
    /// Connections the application holds at a time; more wait in the backlog. `u32::MAX` for no
    /// limit.
    pub connections: u32,
    /// Connections that may wait for `accept` (and half-open ones); more SYNs are dropped.
    pub backlog: u32,
    /// Requests that may wait for a worker; more are refused by RST (TCP) or silently (UDP).
    /// `u32::MAX` for no limit.
    pub queue: u32,
    /// Whether this side closes after the response.
    pub closer: Closer,
    /// Pause in seconds between the response and the own close.
    pub close_delay: Dist,
    /// What it says to health checks.
    pub answers: AnswerConfig,
}

/// An application that makes requests from a host.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Name in results; several may be equal and are then summed.
    pub name: String,
    /// TCP or UDP.
    pub transport: Transport,
    /// Where to (usually the VIP).
    pub target: (IpAddr, u16),
    /// When connections start.
    pub load: Load,
    /// Local addresses to use in turn or at random; empty: the address routing selects.
    pub sources: Vec<IpAddr>,
    /// Requests on one connection, rounded, at least 1.
    pub requests: Dist,
    /// Bytes of a request, rounded, at least 1.
    pub request: Dist,
    /// Pause in seconds between a response and the next request on the same connection.
    pub think: Dist,
    /// Pause in seconds between the peer's FIN and the own close.
    pub close_delay: Dist,
    /// Whether this side closes after the last response.
    pub closer: Closer,
    /// A connection that takes longer fails (`timeout`); `None`: as long as TCP tries.
    pub timeout: Option<Span>,
    /// At most this many connections in all; `u64::MAX` for no limit.
    pub limit: u64,
}

/// When a client starts connections.
#[derive(Clone, Debug)]
pub enum Load {
    /// Open loop: independent of the answers. `gap` is the time in seconds between two starts
    /// (exponential: a Poisson process; constant: a deterministic one).
    Open {
        /// Seconds between starts.
        gap: Dist,
    },
    /// Open loop in bursts: during `on` as `Open`, during `off` nothing.
    OnOff {
        /// Seconds between starts while on.
        gap: Dist,
        /// Seconds of an on period.
        on: Dist,
        /// Seconds of an off period.
        off: Dist,
    },
    /// Closed loop: each of `users` starts a connection, waits for its end, thinks, starts again.
    Closed {
        /// Number of users.
        users: u32,
        /// Seconds between the end of a connection and the user's next one.
        think: Dist,
    },
    /// At these points.
    At(Vec<Span>),
}
