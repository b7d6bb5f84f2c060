//! Faults that wait for something else.

use super::{Faults, Task, World};
use crate::config::{Condition, Trigger};
use crate::hosts::fabric::Fabric;
use crate::net::link::{Disturbance, Effect};
use crate::observe::timeline::Happening;

/// Numbers of disturbances from here on are those of waits.
const WATCH: u32 = 1 << 31;

/// A fault waits, to begin or to end.
#[derive(Debug)]
pub(super) struct Wait {
    fault: u32,
    /// To begin.
    begins: bool,
    condition: Condition,
    seen: u64,
    /// Nothing is waited for now.
    done: bool,
    /// The direction whose frames are counted.
    direction: Option<u32>,
}

impl Wait {
    /// A wait that has not begun.
    pub(super) fn new(
        fault: u32,
        begins: bool,
        condition: &Condition,
        direction: Option<u32>,
    ) -> Self {
        let condition = condition.clone();
        Self { fault, begins, condition, seen: 0, done: true, direction }
    }

    /// Whether it waits for something on the timeline.
    pub(super) const fn listens(&self) -> bool {
        matches!(self.condition.trigger, Trigger::Told { .. })
    }
}

impl Faults {
    /// A fault waits from now on for what its begin, or its end, depends on.
    pub(super) fn begin_wait(&mut self, fabric: &mut Fabric, fault: u32, begins: bool) {
        let of = |w: &Wait| (w.fault, w.begins) == (fault, begins);
        let Some(number) = self.waits.iter().position(of) else { return };
        let wait = &mut self.waits[number];
        (wait.seen, wait.done) = (0, false);
        let (Trigger::Frame(_, _, traffic), Some(direction)) =
            (&wait.condition.trigger, wait.direction)
        else {
            return;
        };
        let (traffic, left) = (*traffic, wait.condition.nth);
        // task and wait keep together for good
        let known = self.tasks.iter().position(|t| *t == Task::Counted(number as u32));
        let task = known.map_or_else(|| self.store(Task::Counted(number as u32)), |t| t as u32);
        let effect = Effect::Count { left, task };
        let disturbance = Disturbance { fault: WATCH | number as u32, traffic, effect };
        fabric.directions[direction as usize].disturb(fabric.now, disturbance);
    }

    /// A fault does not wait for its end any more.
    pub(super) fn end_wait(&mut self, fabric: &mut Fabric, fault: u32) {
        let of = |w: &Wait| w.fault == fault && !w.begins && !w.done;
        if let Some(number) = self.waits.iter().position(of) {
            self.is_done(fabric, number);
        }
    }

    fn is_done(&mut self, fabric: &mut Fabric, number: usize) {
        let wait = &mut self.waits[number];
        wait.done = true;
        if let Some(direction) = wait.direction {
            fabric.directions[direction as usize].relieve(WATCH | number as u32);
        }
    }
}

impl World {
    /// Looks through what the timeline has told since the last look.
    pub(super) fn look_at_timeline(&mut self) {
        while let Some(entry) = self.fabric.timeline.get(self.faults.told) {
            self.faults.told += 1;
            let entry = entry.clone();
            let name = entry.host.map(|h| self.hosts[usize::from(h)].name.clone());
            self.happened(|trigger| agrees(trigger, &entry, name.as_deref()));
        }
    }

    /// Something has happened that faults may wait for.
    pub(super) fn happened(&mut self, what: impl Fn(&Trigger) -> bool) {
        for number in 0..self.faults.waits.len() {
            let wait = &mut self.faults.waits[number];
            if wait.done || !what(&wait.condition.trigger) {
                continue;
            }
            wait.seen += 1;
            if wait.seen >= wait.condition.nth {
                self.set_off(number);
            }
        }
    }

    /// So many frames as a wait counts were sent.
    pub(super) fn frames_counted(&mut self, wait: u32) {
        if self.faults.waits.get(wait as usize).is_some_and(|w| !w.done) {
            self.set_off(wait as usize);
        }
    }

    /// What a wait waits for has come.
    fn set_off(&mut self, number: usize) {
        let wait = &self.faults.waits[number];
        let (number_of_fault, begins) = (wait.fault, wait.begins);
        if !begins || !wait.condition.again {
            self.faults.is_done(&mut self.fabric, number);
        }
        let fault = &mut self.faults.all[number_of_fault as usize];
        let delay = if begins { &mut fault.start } else { &mut fault.end };
        let at = self.fabric.now + super::draw(delay);
        let task = if begins {
            Task::Begin(number_of_fault)
        } else {
            Task::End(number_of_fault, fault.times)
        };
        self.faults.plan(&mut self.fabric, at, task);
    }
}

/// Whether an entry of the timeline is what a fault waits for.
fn agrees(trigger: &Trigger, entry: &Happening, name: Option<&str>) -> bool {
    let Trigger::Told { host, kind, subject, value } = trigger else { return false };
    host.as_deref().is_none_or(|h| Some(h) == name)
        && kind.is_none_or(|k| k == entry.kind)
        && subject.as_deref().is_none_or(|s| entry.subject.starts_with(s))
        && value.as_deref().is_none_or(|v| v == entry.value)
}
