//! The window that rates and utilisations are taken over: from the end of the warm-up to the point at
//! which connections stop starting. What comes after would thin out the load, what comes before
//! would hide it.

use super::World;
use crate::engine::{Span, Time};
use crate::hosts::Host;
use crate::hosts::ip::IpCounters;
use crate::hosts::server::ServerApplication;
use crate::net::link::Direction;
use crate::observe::Rates;

/// Counters at an edge of the window.
#[derive(Clone, Debug, Default)]
pub(super) struct Edge {
    time: Time,
    /// By link direction: time in use.
    links: Vec<Span>,
    /// By host: IP packets and bytes, CPU time, and the work of each server application.
    hosts: Vec<(IpCounters, Span, Vec<Span>)>,
}

impl World {
    /// Writes down the counters now.
    pub(super) fn edge(&self, time: Time) -> Edge {
        let host = |h: &Host| {
            let cpu = h.cpu.as_ref().map_or(Span::ZERO, |c| c.spent);
            let work = h.servers.applications.iter().map(ServerApplication::worked).collect();
            (h.ip.counters, cpu, work)
        };
        Edge {
            time,
            links: self.fabric.directions.iter().map(Direction::busy).collect(),
            hosts: self.hosts.iter().map(host).collect(),
        }
    }
}

/// The window between two edges.
#[derive(Debug)]
pub(super) struct Window {
    first: Edge,
    last: Edge,
}

impl Window {
    /// Between `first` (the start of the run if absent) and `last`.
    pub(super) fn new(first: Option<Edge>, last: Edge) -> Self {
        Self { first: first.unwrap_or_default(), last }
    }

    fn seconds(&self) -> f64 {
        self.last.time.saturating_since(self.first.time).as_secs_f64()
    }

    /// Time in use as a share of the window, 0 to 1.
    fn share(&self, before: Option<Span>, after: Option<Span>, capacity: f64) -> f64 {
        let spent = after.unwrap_or_default().saturating_sub(before.unwrap_or_default());
        let all = self.seconds() * capacity;
        if all > 0.0 { (spent.as_secs_f64() / all).min(1.0) } else { 0.0 }
    }

    /// Share of the window that a link direction was in use.
    pub(super) fn link(&self, direction: u32) -> f64 {
        let at = |e: &Edge| e.links.get(direction as usize).copied();
        self.share(at(&self.first), at(&self.last), 1.0)
    }

    /// Share of the window that a host's CPU was busy.
    pub(super) fn cpu(&self, host: u16) -> f64 {
        let at = |e: &Edge| e.hosts.get(host as usize).map(|h| h.1);
        self.share(at(&self.first), at(&self.last), 1.0)
    }

    /// Share of the window that the workers of a server application were busy.
    pub(super) fn server(&self, host: u16, application: usize, workers: u32) -> f64 {
        let at = |e: &Edge| e.hosts.get(host as usize)?.2.get(application).copied();
        self.share(at(&self.first), at(&self.last), f64::from(workers))
    }

    /// What passed a host a second.
    pub(super) fn rates(&self, host: u16) -> Rates {
        let at = |e: &Edge| e.hosts.get(host as usize).map(|h| h.0).unwrap_or_default();
        let (before, after) = (at(&self.first), at(&self.last));
        let seconds = self.seconds();
        let rate = |a: u64, b: u64| if seconds > 0.0 { (b - a) as f64 / seconds } else { 0.0 };
        Rates {
            packets_in: rate(before.packets_in, after.packets_in),
            bytes_in: rate(before.bytes_in, after.bytes_in),
            packets_out: rate(before.packets_out, after.packets_out),
            bytes_out: rate(before.bytes_out, after.bytes_out),
        }
    }
}
