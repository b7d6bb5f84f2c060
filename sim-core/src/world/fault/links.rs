//! Faults of links and switches, and partitions.

use super::World;
use crate::config::{FaultKind, Traffic};
use crate::engine::{Sampler, Stream};
use crate::net::link::{Chance, Disturbance, Effect, Endpoint, Senders};

/// A direction that what some hosts send does not get out of.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub(super) direction: u32,
    pub(super) senders: Senders,
}

impl World {
    /// A fault takes links down, or lets them go.
    pub(super) fn hold_links(&mut self, number: u32, down: bool) {
        for link in self.faults.all[number as usize].links.clone() {
            self.hold_link(link, down);
        }
    }

    /// The power of switches goes, or comes back: they have forgotten what they learned.
    pub(super) fn hold_switches(&mut self, number: u32, down: bool) {
        for switch in self.faults.all[number as usize].switches.clone() {
            self.switches[usize::from(switch)].forget_all();
            let at = |e: Endpoint| matches!(e, Endpoint::Switch { switch: s, .. } if s == switch);
            for link in self.links_at(at) {
                self.hold_link(link, down);
            }
        }
    }

    /// The links with an end at a place.
    pub(super) fn links_at(&self, place: impl Fn(Endpoint) -> bool) -> Vec<usize> {
        let ends =
            |l: &super::super::Link| l.directions.map(|d| self.fabric.directions[d as usize].to);
        (0..self.links.len()).filter(|&l| ends(&self.links[l]).into_iter().any(&place)).collect()
    }

    /// A fault makes directions lossy or slow. Each has a random stream of its own for each time.
    pub(super) fn impair(&mut self, number: u32) {
        let fault = &self.faults.all[number as usize];
        let FaultKind::Impairment { traffic, loss, delay, .. } = &fault.config.what else { return };
        let (traffic, loss, delay) = (*traffic, *loss, delay.clone());
        let (name, times) = (fault.config.name.clone(), fault.times);
        for direction in fault.directions.clone() {
            let purpose = format!("direction {direction}, time {times}");
            let stream = Stream::new(self.plan.seed, &name, &purpose);
            let delay = delay.as_ref().and_then(|d| Sampler::new(d).ok());
            let chance = Chance { loss, delay, stream };
            self.disturb(direction, number, traffic, Effect::Chance(Box::new(chance)));
        }
    }

    /// A fault keeps hosts apart.
    pub(super) fn part(&mut self, number: u32) {
        let fault = &self.faults.all[number as usize];
        let FaultKind::Partition { traffic, .. } = fault.config.what else { return };
        for Cut { direction, senders } in fault.cuts.clone() {
            self.disturb(direction, number, traffic, Effect::Cut(senders));
        }
    }

    fn disturb(&mut self, direction: u32, fault: u32, traffic: Traffic, effect: Effect) {
        let disturbance = Disturbance { fault, traffic, effect };
        self.fabric.directions[direction as usize].disturb(self.fabric.now, disturbance);
    }

    /// A fault leaves directions alone.
    pub(super) fn relieve(&mut self, number: u32) {
        let fault = &self.faults.all[number as usize];
        for direction in
            fault.directions.iter().copied().chain(fault.cuts.iter().map(|c| c.direction))
        {
            self.fabric.directions[direction as usize].relieve(number);
        }
    }
}
