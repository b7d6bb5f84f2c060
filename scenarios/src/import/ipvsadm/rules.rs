//! What command lines of ipvsadm state, as plain values.

use schedulers::Algorithm;
use sim_core::wire::proto;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The IP protocol number of SCTP.
pub(super) const SCTP: u8 = 132;

/// What a virtual service listens to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ServiceKey {
    /// `-t`, `-u`, `--sctp-service`.
    Address {
        /// IP protocol number, see [`proto`].
        protocol: u8,
        /// Virtual address.
        vip: IpAddr,
        /// Virtual port, 0 for all.
        port: u16,
    },
    /// `-f`: packets that carry this firewall mark.
    Fwmark {
        /// The mark, never 0.
        mark: u32,
        /// `-6`: packets of IPv6.
        v6: bool,
    },
}

impl ServiceKey {
    /// Whether its packets are IPv6.
    pub const fn is_v6(self) -> bool {
        match self {
            Self::Address { vip, .. } => vip.is_ipv6(),
            Self::Fwmark { v6, .. } => v6,
        }
    }

    /// The port of the service, 0 for all ports and for marks.
    pub const fn port(self) -> u16 {
        match self {
            Self::Address { port, .. } => port,
            Self::Fwmark { .. } => 0,
        }
    }
}

impl fmt::Display for ServiceKey {
    /// As ipvsadm takes it: `-t 10.0.0.1:80`, `-f 5 -6`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Address { protocol, vip, port } => {
                let option = match protocol {
                    proto::UDP => "-u",
                    proto::TCP => "-t",
                    _ => "--sctp-service",
                };
                write!(f, "{option} {}", Endpoint(vip, port))
            }
            Self::Fwmark { mark, v6 } => write!(f, "-f {mark}{}", if v6 { " -6" } else { "" }),
        }
    }
}

/// `10.0.0.1:80` or `[2001:db8::1]:80`.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint(pub IpAddr, pub u16);

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => write!(f, "{ip}:{}", self.1),
            IpAddr::V6(ip) => write!(f, "[{ip}]:{}", self.1),
        }
    }
}

/// A virtual service: what `-A` and `-E` state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceRule {
    /// What it listens to.
    pub key: ServiceKey,
    /// `-s`, by default wlc.
    pub scheduler: Algorithm,
    /// `-b`: 1 = flag-1, 2 = flag-2, 4 = flag-3.
    pub sched_flags: u8,
    /// `-p`: seconds; 360 if no number follows.
    pub persistent: Option<u32>,
    /// `-M`: the bits of a client's address that count, of the family of the service.
    pub netmask: IpAddr,
    /// `--pe sip`: clients are known by their Call-ID.
    pub sip: bool,
    /// `-o`: one-packet scheduling.
    pub one_packet: bool,
}

/// The mask that keeps the whole address.
pub const fn full_mask(v6: bool) -> IpAddr {
    if v6 {
        IpAddr::V6(Ipv6Addr::from_bits(u128::MAX))
    } else {
        IpAddr::V4(Ipv4Addr::from_bits(u32::MAX))
    }
}

/// A real server: what `-a` and `-e` state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerRule {
    /// RIP.
    pub rip: IpAddr,
    /// Port on the real server.
    pub port: u16,
    /// `-m`, `-g`, `-i`.
    pub forwarding: Forwarding,
    /// `-w`, by default 1.
    pub weight: u16,
    /// `-x`, 0 for no limit.
    pub upper_threshold: u32,
    /// `-y`, 0 for three quarters of the upper one.
    pub lower_threshold: u32,
}

/// How packets reach a real server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Forwarding {
    /// `-m`.
    Nat,
    /// `-g`.
    Dr,
    /// `-i`.
    Tun(Tunnel),
}

/// `--tun-type` with its options.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tunnel {
    /// IP in IP.
    Ipip,
    /// UDP to this port.
    Gue {
        /// `--tun-port`.
        port: u16,
        /// Checksum of the outer packet.
        checksum: TunnelChecksum,
    },
    /// GRE.
    Gre {
        /// Checksum in the GRE header; never remote.
        checksum: TunnelChecksum,
    },
}

/// `--tun-nocsum`, `--tun-csum`, `--tun-remcsum`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TunnelChecksum {
    /// None.
    No,
    /// Of the outer packet.
    Yes,
    /// Remote checksum offload (GUE).
    Remote,
}

/// What a command line of ipvsadm asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// `-A`.
    AddService(ServiceRule),
    /// `-E`: all parameters are replaced.
    EditService(ServiceRule),
    /// `-D`.
    DeleteService(ServiceKey),
    /// `-C`.
    Clear,
    /// `-a`.
    AddServer(ServiceKey, ServerRule),
    /// `-e`: all parameters are replaced.
    EditServer(ServiceKey, ServerRule),
    /// `-d`: service, RIP, port.
    DeleteServer(ServiceKey, IpAddr, u16),
    /// `--set`: TCP, `FIN_WAIT`, UDP in seconds; 0 keeps one.
    SetTimeouts([u32; 3]),
    /// `-L`, or no command at all.
    List(Listing),
    /// `-S`.
    Save {
        /// `-n`.
        numeric: bool,
    },
    /// `-Z`: the counters of one service or of all.
    Zero(Option<ServiceKey>),
    /// `-R`: rules from the standard input.
    Restore,
    /// `--start-daemon`.
    StartDaemon(Daemon),
    /// `--stop-daemon`: role, `--syncid`.
    StopDaemon(Role, u8),
    /// `-h`.
    Help,
    /// `-v`.
    Version,
}

/// What `-L` shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Listing {
    /// Which table.
    pub view: View,
    /// Only this service.
    pub service: Option<ServiceKey>,
    /// `-n`: no names.
    pub numeric: bool,
    /// `-X`: all digits of large numbers.
    pub exact: bool,
    /// `--nosort`: in the order of the kernel.
    pub unsorted: bool,
}

/// The tables of `-L`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum View {
    /// Services and real servers with weights and connections.
    #[default]
    Services,
    /// `--stats`.
    Stats,
    /// `--rate`.
    Rate,
    /// `--thresholds`.
    Thresholds,
    /// `--persistent-conn`.
    PersistentConn,
    /// `--tun-info`.
    TunInfo,
    /// `-c`; with `--persistent-conn` the persistence engine's data too.
    Connections {
        /// `--persistent-conn`.
        engine: bool,
    },
    /// `--timeout`.
    Timeout,
    /// `--daemon`.
    Daemon,
}

/// A connection synchronisation daemon.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Daemon {
    /// Which end.
    pub role: Role,
    /// `--mcast-interface`, by default `eth0`.
    pub interface: String,
    /// `--syncid`.
    pub syncid: u8,
    /// `--mcast-group`.
    pub group: Option<IpAddr>,
    /// `--mcast-port`.
    pub port: Option<u16>,
    /// `--mcast-ttl`.
    pub ttl: Option<u8>,
    /// `--sync-maxlen`.
    pub maxlen: Option<u16>,
}

/// The end of a synchronisation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Sends.
    Master,
    /// Receives.
    Backup,
}

impl Role {
    /// `master` or `backup`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Backup => "backup",
        }
    }
}

/// The scheduler flags of `-b` by their names: the bit, and the scheduler they are for.
pub(super) const FLAGS: [(&str, u8, Option<Algorithm>); 7] = [
    ("flag-1", 1, None),
    ("flag-2", 2, None),
    ("flag-3", 4, None),
    ("sh-fallback", 1, Some(Algorithm::Sh)),
    ("sh-port", 2, Some(Algorithm::Sh)),
    ("mh-fallback", 1, Some(Algorithm::Mh)),
    ("mh-port", 2, Some(Algorithm::Mh)),
];

/// The flags as ipvsadm prints them for a scheduler: `sh-fallback,sh-port`; empty for none.
pub fn flags_text(scheduler: Algorithm, bits: u8) -> String {
    let names = (0..3).filter(|n| bits & (1 << n) != 0).filter_map(|n| {
        let named = |s| FLAGS.iter().find(move |f| f.1 == 1 << n && f.2 == s);
        named(Some(scheduler)).or_else(|| named(None)).map(|f| f.0)
    });
    names.collect::<Vec<_>>().join(",")
}
