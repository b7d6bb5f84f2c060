//! What the IPVS of a director holds at a point of time: what `ipvsadm -L` reads from the kernel.

use crate::engine::{Span, Time};
use crate::ipvs::Stats;
use crate::ipvs::rules::{Daemon, ServerRule, ServiceRule};
use core::net::IpAddr;

/// IPVS of one director at one time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DirectorSnapshot {
    /// Number of the operation that asked for it in [`crate::config::WorldConfig::operations`].
    pub operation: usize,
    /// The host.
    pub host: String,
    /// When.
    pub time: Time,
    /// Virtual services in the order of the kernel's table.
    pub services: Vec<ServiceState>,
    /// Connections in the order of the kernel's table, if they were asked for.
    pub connections: Vec<ConnectionState>,
    /// Timeouts of ESTABLISHED, `FIN_WAIT` and UDP.
    pub timeouts: [Span; 3],
    /// Synchronisation daemons, the master first.
    pub daemons: Vec<Daemon>,
}

/// A virtual service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceState {
    /// As it was stated last, without its real servers.
    pub rule: ServiceRule,
    /// Counters.
    pub stats: Stats,
    /// Estimated rates, a second.
    pub rates: Stats,
    /// Real servers in the order of the kernel's list: newest first.
    pub destinations: Vec<DestinationState>,
}

/// A real server of a virtual service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DestinationState {
    /// As it was stated last.
    pub rule: ServerRule,
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
    /// Persistence templates.
    pub persistent: u32,
    /// Counters.
    pub stats: Stats,
    /// Estimated rates, a second.
    pub rates: Stats,
}

/// An entry of the connection table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectionState {
    /// IP protocol, 0 for the template of a fwmark service.
    pub protocol: u8,
    /// Time that is left.
    pub expires: Span,
    /// State by the kernel's name.
    pub state: &'static str,
    /// Client.
    pub client: (IpAddr, u16),
    /// Virtual address; for a template of a fwmark service the mark as an address.
    pub vip: (IpAddr, u16),
    /// Real server.
    pub server: (IpAddr, u16),
    /// Call-ID of a SIP template.
    pub call_id: Option<String>,
}
