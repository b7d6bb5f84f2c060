//! Virtual services and real servers as an administrator states them: what `ipvsadm` edits.

use crate::engine::Span;
use crate::wire::proto;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use schedulers::Algorithm;

/// How a packet reaches the real server (`-m`, `-g`, `-i` of ipvsadm).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Forwarding {
    /// `-m`: masquerading (NAT). Kernel `IP_VS_CONN_F_MASQ`.
    Nat,
    /// `-g`: gatewaying, direct routing (DR). Kernel `IP_VS_CONN_F_DROUTE`.
    Dr,
    /// `-i`: tunnelling (TUN). Kernel `IP_VS_CONN_F_TUNNEL`.
    Tun,
    /// The destination is an address of the director itself. Never stated in a rule: the kernel sees it
    /// by the address. Kernel `IP_VS_CONN_F_LOCALNODE`.
    LocalNode,
    /// To where the client sent it (`cache_bypass`). Never stated in a rule. Kernel
    /// `IP_VS_CONN_F_BYPASS`.
    Bypass,
    /// Source and destination are rewritten, the source to an address of the director's local pool
    /// (dpvs `-b`, FULLNAT). Not in the kernel.
    FullNat,
}

impl Forwarding {
    /// The name people use: `NAT`, `DR`, `TUN`, `LOCALNODE`, `BYPASS`, `FULLNAT`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nat => "NAT",
            Self::Dr => "DR",
            Self::Tun => "TUN",
            Self::LocalNode => "LOCALNODE",
            Self::Bypass => "BYPASS",
            Self::FullNat => "FULLNAT",
        }
    }
}

impl fmt::Display for Forwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a virtual service listens to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ServiceKey {
    /// `-t` (protocol 6) or `-u` (17): protocol, VIP, port. Port 0: any port (persistent only).
    Address {
        /// IP protocol number, see [`crate::wire::proto`].
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
        /// `-6`: IPv6 packets; otherwise IPv4 packets.
        v6: bool,
    },
}

/// `TCP 192.168.10.200:80`, `FWM 1`.
impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Address { protocol: proto::TCP, vip, port } => {
                write!(f, "TCP {}", SocketAddr::new(vip, port))
            }
            Self::Address { protocol: proto::UDP, vip, port } => {
                write!(f, "UDP {}", SocketAddr::new(vip, port))
            }
            Self::Address { protocol: proto::SCTP, vip, port } => {
                write!(f, "SCTP {}", SocketAddr::new(vip, port))
            }
            Self::Address { protocol, vip, port } => {
                write!(f, "protocol {protocol} {}", SocketAddr::new(vip, port))
            }
            Self::Fwmark { mark, v6: false } => write!(f, "FWM {mark}"),
            Self::Fwmark { mark, v6: true } => write!(f, "FWM {mark} IPv6"),
        }
    }
}

/// A virtual service (`ipvsadm -A`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceRule {
    /// What it listens to.
    pub key: ServiceKey,
    /// `-s`, by default wlc.
    pub scheduler: Algorithm,
    /// `-b`: bits as the kernel numbers them: 1 = flag-1 (`sh-fallback`, `mh-fallback`),
    /// 2 = flag-2 (`sh-port`, `mh-port`), 4 = flag-3.
    pub sched_flags: u8,
    /// `-p`: persistence timeout.
    pub persistent: Option<Span>,
    /// `-M`: leading bits of the client address that make a persistent client; 32 by default, 128 for
    /// IPv6.
    pub netmask_len: u8,
    /// `-o`: one-packet scheduling.
    pub one_packet: bool,
    /// `--pe`: persistence engine.
    pub engine: Option<Engine>,
    /// FULLNAT: addresses of the director that clients' addresses are replaced by.
    pub local_addresses: Vec<IpAddr>,
    /// Real servers in the order of the file. The kernel's list is the reverse: each is added at
    /// the head.
    pub servers: Vec<ServerRule>,
}

/// A real server of a virtual service (`ipvsadm -a`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerRule {
    /// RIP.
    pub rip: IpAddr,
    /// Port on the real server; differs from the virtual port only with NAT.
    pub port: u16,
    /// `-m`, `-g`, `-i`.
    pub forwarding: Forwarding,
    /// `--tun-type` and its companions, for [`Forwarding::Tun`].
    pub tunnel: TunnelOptions,
    /// `-w`, 0 to 65535; 0 takes no new connections.
    pub weight: u16,
    /// `-x`: no new connection at or above this many; 0 for no limit.
    pub upper_threshold: u32,
    /// `-y`: accept again below this many; 0 for three quarters of the upper threshold.
    pub lower_threshold: u32,
}

/// What finds the persistent client besides its address (`--pe`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Engine {
    /// `sip`: the Call-ID of a SIP message over UDP.
    Sip,
}

/// How packets are wrapped for a real server (`--tun-type`, `--tun-port`, `--tun-csum`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct TunnelOptions {
    /// `--tun-type`.
    pub kind: Encapsulation,
    /// `--tun-port`: UDP destination port, only with [`Encapsulation::Gue`].
    pub port: u16,
    /// `--tun-nocsum`, `--tun-csum`, `--tun-remcsum`: checksum of the outer header.
    pub checksum: OuterChecksum,
}

/// Outer headers of a tunnel (`--tun-type`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Encapsulation {
    /// IP in IP, the default.
    #[default]
    Ipip,
    /// Generic UDP encapsulation.
    Gue,
    /// Generic routing encapsulation.
    Gre,
}

/// Checksum of GUE and GRE headers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum OuterChecksum {
    /// `--tun-nocsum`, the default.
    #[default]
    None,
    /// `--tun-csum`.
    Full,
    /// `--tun-remcsum`: remote checksum offload (GUE).
    Remote,
}

impl ServiceRule {
    /// A service as `ipvsadm -A` makes it without options: wlc, no persistence, no servers.
    pub const fn new(key: ServiceKey) -> Self {
        let v6 = match key {
            ServiceKey::Address { vip, .. } => vip.is_ipv6(),
            ServiceKey::Fwmark { v6, .. } => v6,
        };
        Self {
            key,
            scheduler: Algorithm::Wlc,
            sched_flags: 0,
            persistent: None,
            netmask_len: if v6 { 128 } else { 32 },
            one_packet: false,
            engine: None,
            local_addresses: Vec::new(),
            servers: Vec::new(),
        }
    }
}

impl ServerRule {
    /// A destination as `ipvsadm -a` makes it without options: DR, weight 1.
    pub const fn new(rip: IpAddr, port: u16) -> Self {
        Self {
            rip,
            port,
            forwarding: Forwarding::Dr,
            tunnel: TunnelOptions {
                kind: Encapsulation::Ipip,
                port: 0,
                checksum: OuterChecksum::None,
            },
            weight: 1,
            upper_threshold: 0,
            lower_threshold: 0,
        }
    }
}

/// `ipvsadm --set tcp tcpfin udp`; `None` leaves the kernel's value (900 s, 120 s, 300 s).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TimeoutRule {
    /// ESTABLISHED.
    pub tcp: Option<Span>,
    /// `FIN_WAIT`.
    pub tcp_fin: Option<Span>,
    /// UDP.
    pub udp: Option<Span>,
}

/// A connection synchronisation daemon (`ipvsadm --start-daemon`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Daemon {
    /// Which end it is.
    pub role: DaemonRole,
    /// `--mcast-interface`.
    pub interface: String,
    /// `--syncid`.
    pub syncid: u8,
    /// `--mcast-group`; the kernel's 224.0.0.81 if absent.
    pub group: Option<IpAddr>,
    /// `--mcast-port`; 8848 if absent.
    pub port: Option<u16>,
    /// `--mcast-ttl`; 1 if absent.
    pub ttl: Option<u8>,
    /// `--sync-maxlen`; by the interface if absent.
    pub maxlen: Option<u16>,
}

/// The ends of connection synchronisation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DaemonRole {
    /// It tells its connections.
    Master,
    /// It takes them over.
    Backup,
}

impl DaemonRole {
    /// `master` or `backup`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Backup => "backup",
        }
    }
}
