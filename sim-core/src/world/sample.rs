//! Time series: the state of servers and directors at the end of each bucket.

use super::World;
use crate::engine::{Span, Time};
use crate::hosts::fabric::{Event, Fabric};
use crate::observe::SeriesPoint;

/// Counters at the end of the last bucket.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    packets_in: u64,
    bytes_in: u64,
    requests: u64,
    served: u64,
}

/// The state of sampling.
#[derive(Debug)]
pub(super) struct Sampling {
    interval: Span,
    /// By host.
    before: Vec<Before>,
}

impl Sampling {
    /// Samples every `interval`, never if it is zero.
    pub(super) fn new(interval: Span, fabric: &mut Fabric) -> Self {
        if interval > Span::ZERO {
            fabric.queue.push(Time::ZERO + interval, Event::Sample);
        }
        Self { interval, before: Vec::new() }
    }
}

impl World {
    /// Writes down the state of everything at the end of a bucket.
    pub(super) fn sample(&mut self) {
        let now = self.fabric.now;
        self.sampler.before.resize(self.hosts.len(), Before::default());
        let per_s = 1.0 / self.sampler.interval.as_secs_f64();
        for (index, host) in self.hosts.iter().enumerate() {
            let before = &mut self.sampler.before[index];
            let mut point = |kind, entity: &str, metric, value| {
                let entity = entity.to_owned();
                self.series.push(SeriesPoint { time: now, kind, entity, metric, value });
            };
            if !host.servers.applications.is_empty() {
                let all = &host.servers.applications;
                let open: u32 = all.iter().map(|a| a.open).sum();
                let in_system: u32 = all.iter().map(|a| a.in_system).sum();
                let requests: u64 = all.iter().map(|a| a.observation.requests).sum();
                let rate = (requests - before.requests) as f64 * per_s;
                before.requests = requests;
                point("server", &host.name, "connections", f64::from(open));
                point("server", &host.name, "in_system", f64::from(in_system));
                point("server", &host.name, "requests_per_s", rate);
            }
            if let Some(director) = host.director() {
                let c = host.ip.counters;
                let packets = (c.packets_in - before.packets_in) as f64 * per_s;
                let bytes = (c.bytes_in - before.bytes_in) as f64 * per_s;
                before.packets_in = c.packets_in;
                before.bytes_in = c.bytes_in;
                point("director", &host.name, "packets_in_per_s", packets);
                point("director", &host.name, "bytes_in_per_s", bytes);
                point("director", &host.name, "entries", f64::from(director.ipvs.entries()));
                for d in director.ipvs.destinations() {
                    let name = format!("{}:{}", d.rip, d.port);
                    point("destination", &name, "active", f64::from(d.active));
                    point("destination", &name, "inactive", f64::from(d.inactive));
                }
            }
            if !host.clients.is_empty() {
                let served: u64 = host.clients.iter().map(|c| c.served).sum();
                let rate = (served - before.served) as f64 * per_s;
                before.served = served;
                point("client", &host.name, "connections_served_per_s", rate);
            }
        }
        let next = now + self.sampler.interval;
        if next <= self.end {
            self.fabric.queue.push(next, Event::Sample);
        }
    }
}
