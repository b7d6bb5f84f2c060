//! How the world follows a connection: it looks at hosts and switches before and after they get a
//! frame.

use super::World;
use super::gather::end_name;
use crate::hosts::Before;
use crate::hosts::fabric::Event;
use crate::net::link::Endpoint;
use crate::net::switch::Decision;
use crate::observe::trace::{Step, TracePlace, TraceReport};
use crate::wire::PacketId;

/// What is looked at again after an event.
#[derive(Debug)]
pub(super) struct Watch {
    host: u16,
    before: Option<Before>,
}

impl World {
    /// Whether nothing is told any more.
    pub(super) fn is_told(&self) -> bool {
        self.fabric.trace.as_ref().is_some_and(|t| t.is_over(self.fabric.now))
    }

    /// Looks at what an event is about, before it is handled.
    #[cold]
    pub(super) fn watch(&mut self, event: Event) -> Option<Watch> {
        let now = self.fabric.now;
        let (direction, packet) = match event {
            Event::Arrive { direction } => {
                (direction, self.fabric.directions[direction as usize].due(now)?)
            }
            Event::Late { slot } => self.fabric.late(slot),
            _ => return None,
        };
        let p = self.fabric.packets[packet];
        if !self.fabric.follows(&p) {
            return None;
        }
        match self.fabric.directions[direction as usize].to {
            Endpoint::Host { host, interface } => {
                self.fabric.trace_in(host, interface, packet);
                let h = &mut self.hosts[host as usize];
                // behind a CPU the host looks at itself when the packet's turn comes
                if p.kind.is_ip() && h.cpu.is_some() {
                    return None;
                }
                let before = h.look(&mut self.fabric, interface, packet);
                Some(Watch { host, before })
            }
            Endpoint::Switch { switch, port } => {
                self.tell_switch(switch, port, packet);
                None
            }
        }
    }

    /// Looks again and tells what has happened.
    pub(super) fn tell_watched(&mut self) {
        if let Some(watch) = self.watched.take() {
            self.hosts[watch.host as usize].tell(&mut self.fabric, watch.before);
        }
    }

    /// A switch decides the same when it is asked twice.
    fn tell_switch(&mut self, number: u16, port: u16, packet: PacketId) {
        let p = self.fabric.packets[packet];
        let now = self.fabric.now;
        let switch = &mut self.switches[number as usize];
        let (outs, how): (Vec<u32>, _) = match switch.decide(now, port, p.src_mac, p.dst_mac) {
            Decision::Port(direction) => (vec![direction], "to"),
            Decision::Flood => (switch.flood(port).collect(), "flooded to"),
            Decision::Nowhere => return,
        };
        if outs.is_empty() {
            return;
        }
        let ends: Vec<String> =
            outs.iter().map(|&d| end_name(self, self.fabric.directions[d as usize].to)).collect();
        let text = format!("switched: {how} {}", ends.join(", "));
        self.fabric.tell(TracePlace::Switch(number, port), Step::Done, text);
    }

    /// Everything that was told.
    pub(super) fn take_report(&mut self) -> Option<TraceReport> {
        let trace = self.fabric.trace.take()?;
        Some(trace.report(|place| self.trace_place(place)))
    }

    fn trace_place(&self, place: TracePlace) -> (String, String) {
        match place {
            TracePlace::Host(host, interface) => {
                let h = &self.hosts[host as usize];
                let name = |i: u16| h.ip.interfaces.get(i as usize).map(|i| i.name.clone());
                (h.name.clone(), interface.and_then(name).unwrap_or_default())
            }
            TracePlace::Switch(switch, port) => {
                let s = &self.switches[switch as usize];
                let port = if port == u16::MAX { String::new() } else { port.to_string() };
                (s.name.clone(), port)
            }
            TracePlace::Link(direction) => {
                // what the frame comes out of was sent by the other end
                let from = self.fabric.directions[(direction ^ 1) as usize].to;
                let name = end_name(self, from);
                let (place, interface) = name.split_once(':').unwrap_or((&name, ""));
                (place.to_owned(), interface.to_owned())
            }
        }
    }
}
