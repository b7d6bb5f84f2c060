//! Virtual services and real servers as an administrator states them: what `ipvsadm` edits.

use crate::engine::Span;
use crate::wire::Ip;
use core::fmt;
use schedulers::Algorithm;

/// How a packet reaches the real server (`-m`, `-g`, `-i` of ipvsadm).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Forwarding {
    /// `-m`: masquerading (NAT). Kernel `IP_VS_CONN_F_MASQ`.
    Nat,
    /// `-g`: gatewaying, direct routing (DR). Kernel `IP_VS_CONN_F_DROUTE`.
    Dr,
    /// `-i`: tunnelling (TUN), IPIP. Kernel `IP_VS_CONN_F_TUNNEL`.
    Tun,
}

impl Forwarding {
    /// The name people use: `NAT`, `DR`, `TUN`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nat => "NAT",
            Self::Dr => "DR",
            Self::Tun => "TUN",
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
        vip: Ip,
        /// Virtual port, 0 for all.
        port: u16,
    },
    /// `-f`: packets that carry this firewall mark (never 0).
    Fwmark(u32),
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
    /// `-M`: leading bits of the client address that make a persistent client; 32 by default.
    pub netmask_len: u8,
    /// `-o`: one-packet scheduling.
    pub one_packet: bool,
    /// Real servers in the order of the file. The kernel's list is the reverse: each is added at
    /// the head.
    pub servers: Vec<ServerRule>,
}

/// A real server of a virtual service (`ipvsadm -a`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerRule {
    /// RIP.
    pub rip: Ip,
    /// Port on the real server; differs from the virtual port only with NAT.
    pub port: u16,
    /// `-m`, `-g`, `-i`.
    pub forwarding: Forwarding,
    /// `-w`, 0 to 65535; 0 takes no new connections.
    pub weight: u16,
    /// `-x`: no new connection at or above this many; 0 for no limit.
    pub upper_threshold: u32,
    /// `-y`: accept again below this many; 0 for three quarters of the upper threshold.
    pub lower_threshold: u32,
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
