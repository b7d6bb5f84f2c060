//! Faults: what breaks, when, and its end.
//!
//! A fault does nothing to a part of the world that nothing has broken: links it leaves alone stay clean,
//! hosts that run take the short ways. While it lasts, what it breaks knows it; several faults of one
//! thing are counted or listed, so that each can end without mending what another one broke.

mod build;
mod hosts;
mod links;
mod wait;

use super::World;
use crate::config::{FaultConfig, FaultEnd, FaultKind, FaultStart, ProgramHarm, Trigger};
use crate::engine::{Sampler, Span, Stream, Time};
use crate::hosts::fabric::{Event, Fabric, SWITCHED, TOLD};
use crate::observe::DirectorObservation;
use crate::observe::timeline::Kind;
pub(super) use build::{Places, resolve};
use hosts::HostState;
use links::Cut;
use wait::Wait;

/// Something that will be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Task {
    /// Looks through what the timeline has told.
    Told,
    /// Does what power switches were told.
    Switched,
    /// A fault begins.
    Begin(u32),
    /// A fault ends, if it is still the one that began as the `n`th.
    End(u32, u32),
    /// A host that was told to shut down loses its power, if the fault still is the `n`th.
    Cut(u32, u32),
    /// A host has booted, if it has not lost its power since.
    Booted(u16, u32),
    /// A counter of frames was reached.
    Counted(u32),
    /// Free to be used again.
    Nothing,
}

/// A fault whose places are known.
#[derive(Debug)]
struct Fault {
    config: FaultConfig,
    hosts: Vec<u16>,
    switches: Vec<u16>,
    links: Vec<usize>,
    directions: Vec<u32>,
    cuts: Vec<Cut>,
    /// Time to the next begin, and what decides it.
    start: Option<(Sampler, Stream)>,
    /// Duration, and what decides it.
    end: Option<(Sampler, Stream)>,
    /// How often it began.
    times: u32,
    active: bool,
    /// A shut down has come to its end.
    cut: bool,
    /// When it began last.
    last: Option<Time>,
}

/// All faults of a world.
#[derive(Debug, Default)]
pub(super) struct Faults {
    all: Vec<Fault>,
    waits: Vec<Wait>,
    tasks: Vec<Task>,
    free: Vec<u32>,
    hosts: Vec<HostState>,
    /// Entries of the timeline that were looked at.
    told: usize,
    /// What directors did before they lost their power.
    past: Vec<(u16, DirectorObservation)>,
}

impl Fault {
    /// Whether it is over as soon as it has begun.
    const fn is_momentary(&self) -> bool {
        matches!(
            self.config.what,
            FaultKind::Mark | FaultKind::Program { harm: ProgramHarm::Start, .. }
        )
    }
}

/// Draws a span.
fn draw(from: &mut Option<(Sampler, Stream)>) -> Span {
    match from {
        Some((sampler, stream)) => Span::from_secs_f64(sampler.sample(stream)),
        None => Span::ZERO,
    }
}

impl Faults {
    /// Puts the first of what will happen into the queue.
    pub(super) fn begin(mut self, fabric: &mut Fabric) -> Self {
        self.tasks = vec![Task::Told, Task::Switched];
        debug_assert_eq!([TOLD, SWITCHED], [0, 1], "the tasks that everybody knows come first");
        for number in 0..self.all.len() as u32 {
            self.plan_first(fabric, number);
        }
        fabric.listened = self.waits.iter().any(Wait::listens);
        self
    }

    fn plan_first(&mut self, fabric: &mut Fabric, number: u32) {
        let fault = &mut self.all[number as usize];
        let start = match &fault.config.when {
            FaultStart::At(points) => {
                for at in points.clone() {
                    self.plan(fabric, Time::ZERO + at, Task::Begin(number));
                }
                return;
            }
            FaultStart::Renewal(_) => draw(&mut fault.start),
            FaultStart::Every(first, _) => *first,
            FaultStart::When(_) => {
                self.begin_wait(fabric, number, true);
                return;
            }
        };
        self.plan(fabric, Time::ZERO + start, Task::Begin(number));
    }

    /// Plans a task.
    fn plan(&mut self, fabric: &mut Fabric, at: Time, task: Task) {
        let number = self.store(task);
        fabric.queue.push(at, Event::Fault { task: number });
    }

    fn store(&mut self, task: Task) -> u32 {
        if let Some(number) = self.free.pop() {
            self.tasks[number as usize] = task;
            return number;
        }
        self.tasks.push(task);
        self.tasks.len() as u32 - 1
    }

    /// What the director of a host did before each loss of power.
    pub(super) fn past(&self, host: u16) -> impl Iterator<Item = &DirectorObservation> {
        self.past.iter().filter(move |(number, _)| *number == host).map(|(_, past)| past)
    }
}

impl World {
    /// Does what was planned.
    #[cold]
    pub(super) fn fault_task(&mut self, number: u32) {
        let Some(&task) = self.faults.tasks.get(number as usize) else { return };
        self.fabric.digest.fold(self.fabric.now.as_nanos());
        self.fabric.digest.fold(u64::from(number));
        if !matches!(task, Task::Told | Task::Switched | Task::Counted(_)) {
            self.faults.tasks[number as usize] = Task::Nothing;
            self.faults.free.push(number);
        }
        match task {
            Task::Told => self.look_at_timeline(),
            Task::Switched => self.use_power_switches(),
            Task::Begin(fault) => self.fault_begins(fault),
            Task::End(fault, times) => {
                if self.faults.all[fault as usize].times == times {
                    self.fault_ends(fault);
                }
            }
            Task::Cut(fault, times) => self.shut_down(fault, times),
            Task::Booted(host, times) => self.host_booted(host, times),
            Task::Counted(wait) => self.frames_counted(wait),
            Task::Nothing => debug_assert!(false, "a planned task is done once"),
        }
    }

    /// A fault begins, unless it is there.
    fn fault_begins(&mut self, number: u32) {
        let now = self.fabric.now;
        let fault = &mut self.faults.all[number as usize];
        if let FaultStart::Every(_, period) = fault.config.when {
            self.faults.plan(&mut self.fabric, now + period, Task::Begin(number));
        }
        let fault = &mut self.faults.all[number as usize];
        if fault.active || fault.last == Some(now) {
            return;
        }
        fault.times += 1;
        (fault.active, fault.cut, fault.last) = (true, false, Some(now));
        let (name, words) = (fault.config.name.clone(), fault.config.what.words());
        self.fabric.note(None, Kind::Fault, name.clone(), words);
        self.break_it(number);
        self.happened(|t| matches!(t, Trigger::Begins(other) if *other == name));
        if self.faults.all[number as usize].is_momentary() {
            self.fault_over(number);
        } else {
            self.plan_end(number);
        }
    }

    fn plan_end(&mut self, number: u32) {
        let now = self.fabric.now;
        let fault = &mut self.faults.all[number as usize];
        let at = match &fault.config.end {
            FaultEnd::Never => return,
            FaultEnd::After(_) => now + draw(&mut fault.end),
            FaultEnd::At(at) => now.max(Time::ZERO + *at),
            FaultEnd::When(_) => {
                self.faults.begin_wait(&mut self.fabric, number, false);
                return;
            }
        };
        let task = Task::End(number, fault.times);
        self.faults.plan(&mut self.fabric, at, task);
    }

    /// A fault ends, if it is there.
    fn fault_ends(&mut self, number: u32) {
        let fault = &self.faults.all[number as usize];
        if !fault.active {
            return;
        }
        let name = fault.config.name.clone();
        self.faults.all[number as usize].active = false;
        self.faults.end_wait(&mut self.fabric, number);
        self.fabric.note(None, Kind::Fault, name.clone(), "over");
        self.mend_it(number);
        self.fault_over(number);
    }

    /// What follows the end of a fault.
    fn fault_over(&mut self, number: u32) {
        let fault = &mut self.faults.all[number as usize];
        fault.active = false;
        let name = fault.config.name.clone();
        if matches!(fault.config.when, FaultStart::Renewal(_)) {
            let at = self.fabric.now + draw(&mut fault.start);
            self.faults.plan(&mut self.fabric, at, Task::Begin(number));
        }
        self.happened(|t| matches!(t, Trigger::Ends(other) if *other == name));
    }

    /// Breaks what a fault breaks.
    fn break_it(&mut self, number: u32) {
        let fault = &self.faults.all[number as usize];
        match fault.config.what {
            FaultKind::LinkDown { .. } => self.hold_links(number, true),
            FaultKind::Impairment { .. } => self.impair(number),
            FaultKind::Partition { .. } => self.part(number),
            FaultKind::PowerLoss { .. } => {
                self.harm_hosts(number, true);
                self.hold_switches(number, true);
            }
            FaultKind::Mark => {}
            _ => self.harm_hosts(number, true),
        }
    }

    /// Ends what [`World::break_it`] did.
    fn mend_it(&mut self, number: u32) {
        let fault = &self.faults.all[number as usize];
        match fault.config.what {
            FaultKind::LinkDown { .. } => self.hold_links(number, false),
            FaultKind::Impairment { .. } | FaultKind::Partition { .. } => self.relieve(number),
            FaultKind::PowerLoss { .. } => {
                self.hold_switches(number, false);
                self.harm_hosts(number, false);
            }
            FaultKind::Mark => {}
            _ => self.harm_hosts(number, false),
        }
    }
}
