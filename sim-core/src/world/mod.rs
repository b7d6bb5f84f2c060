//! The world: hosts, switches, links and the event loop.
//!
//! ```
//! # fn main() -> Result<(), Vec<sim_core::world::BuildError>> {
//! use sim_core::config::WorldConfig;
//! use sim_core::world::World;
//! let mut world = World::build(&WorldConfig::default())?;
//! while world.run(100_000) {}
//! assert_eq!(world.finish().packets.created, 0);
//! # Ok(())
//! # }
//! ```

mod available;
mod bench;
mod build;
mod fault;
mod gather;
mod operator;
mod sample;
mod state;
#[cfg(test)]
mod tests;
mod trace;
mod window;

pub use build::BuildError;
pub use state::Memory;

use crate::config::{LinkEvent, WorldConfig};
use crate::engine::Time;
use crate::hosts::Host;
use crate::hosts::fabric::{Event, Fabric, Place, Reason};
use crate::net::link::Endpoint;
use crate::net::switch::{Decision, Switch};
use crate::observe::{Observations, SeriesPoint};
use crate::wire::PacketId;

/// A link by the numbers of its directions.
#[derive(Clone, Debug)]
struct Link {
    name: String,
    directions: [u32; 2],
    up: bool,
    /// Whether it is up when nothing holds it down.
    wanted: bool,
    /// How many things hold it down: faults, ends without power.
    held: u32,
    standby: bool,
}

/// A simulated network and everything that happens in it.
#[derive(Debug)]
pub struct World {
    fabric: Fabric,
    hosts: Vec<Host>,
    switches: Vec<Switch>,
    links: Vec<Link>,
    link_events: Vec<LinkEvent>,
    operator: operator::Operator,
    faults: fault::Faults,
    /// Switches and links as configured, for the spanning tree, and hosts, which are built again when
    /// they have been without power.
    plan: WorldConfig,
    /// Addresses as configured.
    addresses: available::Addresses,
    series: Vec<SeriesPoint>,
    sampler: sample::Sampling,
    /// Connections count from here.
    warmup: Time,
    /// Starts of connections end here.
    duration: Time,
    /// From here on the loop looks up: first for the window of rates, then for the end; with a trace
    /// always.
    look_at: Time,
    /// What is looked at again when the loop looks up next.
    watched: Option<trace::Watch>,
    /// Counters at the ends of the window.
    window: [Option<window::Edge>; 2],
    /// The run ends here at the latest.
    end: Time,
    events: u64,
    last: Option<Event>,
}

impl World {
    /// Handles up to `max_events` events. `false`: the run has ended.
    ///
    /// It ends when nothing can happen any more, when time is up (`duration` and `drain` of the
    /// configuration), or, after `duration`, when every conversation has ended, no packet is on its way
    /// and no operator has anything to do; a trace with a limit ends it there.
    pub fn run(&mut self, max_events: u64) -> bool {
        for _ in 0..max_events {
            let Some((time, event)) = self.fabric.queue.pop() else { return false };
            if time >= self.look_at && self.look(time, event) {
                return false;
            }
            debug_assert!(time >= self.fabric.now, "time never goes back");
            self.fabric.now = time;
            self.events += 1;
            self.last = Some(event);
            self.dispatch(event);
        }
        true
    }

    /// Looks up from the work before `event`, which happens at `next`. Whether the run ends before that.
    #[cold]
    fn look(&mut self, next: Time, event: Event) -> bool {
        if !self.fabric.traced() {
            return self.look_at_clock(next);
        }
        self.tell_watched();
        if self.look_at_clock(next) {
            return true;
        }
        self.look_at = Time::ZERO;
        self.fabric.now = next;
        self.watched = self.watch(event);
        self.is_told()
    }

    /// Writes down the counters at the ends of the window, before what happens at `next`. Whether the
    /// run ends before that.
    fn look_at_clock(&mut self, next: Time) -> bool {
        if self.window[0].is_none() && next >= self.warmup {
            self.window[0] = Some(self.edge(self.warmup));
        }
        self.look_at = self.duration;
        if next < self.duration {
            return false;
        }
        if self.window[1].is_none() {
            self.window[1] = Some(self.edge(self.duration));
        }
        self.is_over(next)
    }

    /// Whether the run ends before what happens next, at `next`, no earlier than `duration`.
    fn is_over(&mut self, next: Time) -> bool {
        let quiet = self.fabric.talking == 0
            && self.fabric.packets.live() == 0
            && self.operator.is_done()
            && self.hosts.iter().all(|h| h.tcp.connections() == 0);
        if quiet {
            self.fabric.now = self.fabric.now.max(self.duration);
        } else if next > self.end {
            self.fabric.now = self.end;
        }
        quiet || next > self.end
    }

    #[inline]
    fn dispatch(&mut self, event: Event) {
        let (direction, to, packet) = match event {
            Event::Arrive { direction } => {
                let link = &mut self.fabric.directions[direction as usize];
                let to = link.to;
                let Some(packet) = link.arrive(self.fabric.now) else { return };
                if let Some(at) = link.next() {
                    self.fabric.queue.push(at, event);
                }
                (direction, to, packet)
            }
            Event::Late { slot } => {
                let (direction, packet) = self.fabric.take_late(slot);
                (direction, self.fabric.directions[direction as usize].to, packet)
            }
            other => return self.dispatch_other(other),
        };
        self.arrive(direction, to, packet);
    }

    /// Handles an event that is not the arrival of a frame.
    #[inline(never)]
    fn dispatch_other(&mut self, event: Event) {
        if let Some(host) = event.host() {
            self.fabric.digest.fold(self.fabric.now.as_nanos());
            self.fabric.digest.fold(u64::from(host));
            self.hosts[host as usize].handle(&mut self.fabric, event);
            return;
        }
        match event {
            Event::Link { index } => self.link_event(index),
            Event::Fault { task } => self.fault_task(task),
            Event::Sample => self.sample(),
            Event::Operator { index } => self.operate(index as usize),
            other => {
                let arrives = matches!(other, Event::Arrive { .. } | Event::Late { .. });
                debug_assert!(!arrives, "arrivals are handled before");
            }
        }
    }

    /// A frame comes out of a link.
    #[inline]
    fn arrive(&mut self, direction: u32, to: Endpoint, packet: PacketId) {
        let p = self.fabric.count_hop(direction, packet);
        match to {
            Endpoint::Host { host, interface } => {
                self.hosts[host as usize].receive(&mut self.fabric, interface, packet);
            }
            Endpoint::Switch { switch, port } => {
                let (src, dst, len) = (p.src_mac, p.dst_mac, p.len);
                let decision =
                    self.switches[switch as usize].decide(self.fabric.now, port, src, dst);
                if let Decision::Port(direction) = decision {
                    self.fabric.send_sized(direction, packet, len);
                } else {
                    self.forward_slow(switch, port, packet, decision);
                }
            }
        }
    }

    #[cold]
    fn forward_slow(&mut self, switch: u16, port: u16, packet: PacketId, decision: Decision) {
        match decision {
            Decision::Port(direction) => self.fabric.send(direction, packet),
            Decision::Flood => self.flood(switch, port, packet),
            Decision::Nowhere => {
                self.fabric.drop(Place::Switch(switch), Reason::Filtered, packet);
            }
        }
    }

    /// Sends a frame by every other port of a switch; the last one takes the frame itself.
    #[inline(never)]
    fn flood(&mut self, number: u16, port: u16, packet: PacketId) {
        let mut ports = self.switches[number as usize].flood(port);
        let Some(mut direction) = ports.next() else {
            self.fabric.drop(Place::Switch(number), Reason::Filtered, packet);
            return;
        };
        for next in ports {
            let copy = self.fabric.packets.duplicate(packet);
            self.fabric.send(direction, copy);
            direction = next;
        }
        self.fabric.send(direction, packet);
    }

    /// The present.
    pub fn now(&self) -> Time {
        self.fabric.now
    }

    /// Events handled so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Fold of everything that has happened so far.
    pub fn digest(&self) -> u64 {
        self.fabric.digest.value()
    }

    /// Where the last event happened: a host, a switch or a link, with the kind of event.
    pub fn last_place(&self) -> String {
        let Some(event) = self.last else { return "nowhere".to_owned() };
        if let Some(host) = event.host() {
            return self.hosts[host as usize].name.clone();
        }
        match event {
            Event::Arrive { direction } => match self.fabric.directions[direction as usize].to {
                Endpoint::Host { host, interface } => {
                    let h = &self.hosts[host as usize];
                    format!("{}:{}", h.name, h.ip.interfaces[interface as usize].name)
                }
                Endpoint::Switch { switch, port } => {
                    format!("{}:{port}", self.switches[switch as usize].name)
                }
            },
            Event::Operator { index } => self.operator.host(index as usize),
            _ => "the network".to_owned(),
        }
    }

    /// Takes what open captures have gathered: `HOST.INTERFACE` and pcapng bytes to append.
    pub fn take_captures(&mut self) -> Vec<(String, Vec<u8>)> {
        let Some(capture) = &mut self.fabric.capture else { return Vec::new() };
        let stems: Vec<_> =
            capture.interfaces().map(crate::observe::capture::CaptureInterface::stem).collect();
        stems.into_iter().enumerate().map(|(i, stem)| (stem, capture.take(i))).collect()
    }

    /// Ends the run and gives what was observed.
    pub fn finish(self) -> Observations {
        gather::gather(self)
    }
}
