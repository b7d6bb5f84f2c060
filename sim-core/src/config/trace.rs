//! Which connection is followed through the network.

use super::Transport;
use crate::engine::Span;
use core::net::IpAddr;

/// The connection to follow: the `number`-th started of those that everything else stated agrees with.
/// The default is the first of all.
///
/// ```
/// use sim_core::config::{FlowEnd, TraceConfig};
/// let to_the_web = FlowEnd { address: None, port: Some(80) };
/// let third = TraceConfig { number: 3, target: to_the_web, ..TraceConfig::default() };
/// assert!(third.target.admits(("192.168.10.200".parse()?, 80)));
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceConfig {
    /// Which of the connections, in order of their starts, from 1.
    pub number: u64,
    /// Name of the client application, or of its host.
    pub client: Option<String>,
    /// TCP or UDP.
    pub transport: Option<Transport>,
    /// The client's end.
    pub source: FlowEnd,
    /// The end the client connects to.
    pub target: FlowEnd,
    /// Whether one stated end may be either: `source` is then not looked at.
    pub either: bool,
    /// Nothing is told later than this after its start, and the run ends.
    pub until: Option<Span>,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self {
            number: 1,
            client: None,
            transport: None,
            source: FlowEnd::default(),
            target: FlowEnd::default(),
            either: false,
            until: None,
        }
    }
}

/// What is stated of one end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FlowEnd {
    /// Address; `None` for any.
    pub address: Option<IpAddr>,
    /// Port; `None` for any.
    pub port: Option<u16>,
}

impl FlowEnd {
    /// Whether an address and port agree with what is stated.
    pub fn admits(&self, (address, port): (IpAddr, u16)) -> bool {
        self.address.is_none_or(|a| a == address) && self.port.is_none_or(|p| p == port)
    }
}
