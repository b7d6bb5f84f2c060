//! Bidirectional forwarding detection as keepalived is told to do it (`bfd_instance`).

use crate::engine::Span;
use core::net::IpAddr;

/// `bfd_instance`: a session with a neighbour (RFC 5880, RFC 5881).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BfdConfig {
    /// Unique name.
    pub name: String,
    /// `neighbor_ip`.
    pub neighbour: IpAddr,
    /// `source_ip`; the address routing selects if absent.
    pub source: Option<IpAddr>,
    /// `min_rx`: least time between packets it can take.
    pub min_rx: Span,
    /// `min_tx`: least time between packets it wants to send.
    pub min_tx: Span,
    /// `idle_tx`: the same while the session is not up, at least `min_tx`.
    pub idle_tx: Span,
    /// `multiplier`: so many lost packets make the neighbour take the session for down, 1 to 255.
    pub multiplier: u8,
    /// `passive`: it does not speak first.
    pub passive: bool,
    /// `ttl` or `hoplimit` of its packets.
    pub ttl: u8,
    /// `max_hops`: packets that passed more routers are dropped; `None`: not looked at.
    pub max_hops: Option<u8>,
}

impl BfdConfig {
    /// A session with keepalived's defaults.
    pub fn new(name: &str, neighbour: IpAddr) -> Self {
        Self {
            name: name.to_owned(),
            neighbour,
            source: None,
            min_rx: Span::from_millis(10),
            min_tx: Span::from_millis(10),
            idle_tx: Span::from_secs(1),
            multiplier: 5,
            passive: false,
            ttl: 255,
            max_hops: Some(0),
        }
    }
}
