//! The stack: connections of one host and the calls that applications make.

use super::{Arrival, Conn, ConnectError, Counters, Endpoint, Output};
use crate::config::TcpConfig;
use crate::engine::Time;
use crate::wire::Packet;

/// Every TCP connection of one host.
#[derive(Debug)]
pub struct TcpStack {
    config: TcpConfig,
    counters: Counters,
}

impl TcpStack {
    /// A stack without connections.
    pub fn new(config: TcpConfig, _ttl: u8, _isn_key: u64) -> Self {
        Self { config, counters: Counters::default() }
    }
    /// Settings.
    pub fn config(&self) -> &TcpConfig {
        &self.config
    }
    /// Listens on a port of every local address; the listener index.
    pub fn listen(&mut self, _port: u16, _backlog: u32) -> u32 {
        0
    }
    /// Stops.
    pub fn stop_listening(&mut self, _port: u16) {}
    /// Takes one connection out of the accept queue of a listener.
    pub fn accept(&mut self, _listener: u32) {}
    /// RFC 6528 initial sequence number, for `connect`.
    pub fn initial_sequence(&self, _now: Time, _local: Endpoint, _remote: Endpoint) -> u32 {
        0
    }
    /// Sends a SYN.
    #[expect(clippy::too_many_arguments, reason = "what a SYN is made of")]
    pub fn connect(
        &mut self,
        _now: Time,
        _local: Endpoint,
        _remote: Endpoint,
        _iss: u32,
        _tag: u32,
        _link_mtu: u16,
        _out: &mut Output,
    ) -> Result<Conn, ConnectError> {
        Err(ConnectError::InUse)
    }
    /// A TCP packet for a local address.
    pub fn on_packet(
        &mut self,
        _now: Time,
        _packet: &Packet,
        _link_mtu: u16,
        _out: &mut Output,
    ) -> Arrival {
        Arrival::NoSocket
    }
    /// An ICMP error (type, code) that quotes a TCP packet sent from here; `mtu` counts for 3/4 only.
    pub fn on_icmp_error(
        &mut self,
        _now: Time,
        _quoted: &Packet,
        _kind: u8,
        _code: u8,
        _mtu: u16,
        _out: &mut Output,
    ) {
    }
    /// A wake that was asked for.
    pub fn on_wake(&mut self, _now: Time, _slot: u32, _out: &mut Output) {}
    /// Queues one message.
    pub fn write(&mut self, _now: Time, _conn: Conn, _bytes: u32, _out: &mut Output) {}
    /// FIN after the data.
    pub fn close(&mut self, _now: Time, _conn: Conn, _out: &mut Output) {}
    /// RST at once.
    pub fn abort(&mut self, _now: Time, _conn: Conn, _out: &mut Output) {}
    /// Stops (false) or resumes (true) reading: unread bytes shrink the window.
    pub fn set_reading(&mut self, _now: Time, _conn: Conn, _reading: bool, _out: &mut Output) {}
    /// Bytes received in order.
    pub fn received(&self, _conn: Conn) -> u64 {
        0
    }
    /// Tag.
    pub fn tag(&self, _conn: Conn) -> u32 {
        0
    }
    /// Local and remote end.
    pub fn tuple(&self, _conn: Conn) -> (Endpoint, Endpoint) {
        ((crate::wire::Ip::ANY, 0), (crate::wire::Ip::ANY, 0))
    }
    /// The application's own number for the connection.
    pub fn user(&self, _conn: Conn) -> u32 {
        0
    }
    /// Sets it (0 at first).
    pub fn set_user(&mut self, _conn: Conn, _user: u32) {}
    /// Connections that have not ended, `TIME_WAIT` left out.
    pub fn open_connections(&self) -> usize {
        0
    }
    /// Counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
