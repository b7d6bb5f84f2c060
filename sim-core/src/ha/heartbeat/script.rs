//! The scripts of heartbeat: `ResourceManager`, `req_our_resources`, `mach_down`, and the resource agents they
//! run (resource-agents `ResourceManager`, `IPaddr`, `send_arp`).

use super::{Action, GroupState};
use crate::config::{HeartbeatConfig, ResourceKind, ScriptTimes};
use crate::engine::{Span, Time};
use std::collections::VecDeque;

/// From a start that failed to the request to go standby (`ResourceManager`: `sleep 30; hb_standby`).
const STANDBY_AFTER_FAILURE: Span = Span::from_secs(30);

/// A script whose runs take time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Script {
    Boot,
    QueryNone,
    Query,
    Acquire,
    TakeOver,
    Start,
    Acquired,
    Release,
    Stop,
    Released,
    Restart,
    Announce,
}

/// What a job is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// `req_our_resources`: which own groups do not run.
    Query,
    /// A group is taken after a request was answered.
    Acquire,
    /// `mach_down`: the groups of the other node are taken.
    TakeOver,
    /// Own groups are taken from a node that gives them up (`true`: all, because it ends).
    StandbyAcquire(bool),
    /// Foreign groups are given up.
    StandbyRelease,
    /// Everything is given up.
    GiveUp,
    /// A group is given to who requested it (`legacy`).
    Give(usize),
}

/// What scripts say to the daemon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// This own group does not run.
    Stopped(usize),
    /// The job has ended.
    Ended(Purpose),
    /// The requested group ran and has been released (`true`), or did not run.
    Given(usize, bool),
    /// `hb_standby foreign`.
    Standby,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(Script),
    /// Is the group running? For `req_our_resources`.
    Ask(usize),
    /// The same for a group another node requested; releases it if so.
    AskToGive(usize),
    Given(usize),
    Start(usize, usize),
    Started(usize, usize),
    Stop(usize, usize),
    Stopped(usize, usize),
    Tell(usize, GroupState),
    StandbyLater,
}

#[derive(Debug)]
struct Job {
    purpose: Purpose,
    steps: VecDeque<Step>,
    due: Time,
}

/// An address that is being announced.
#[derive(Debug)]
struct Announcement {
    group: usize,
    resource: usize,
    next: Time,
    left: u16,
    gap: Span,
}

/// The scripts of a node, and which resources run on it.
#[derive(Debug)]
pub(super) struct Scripts {
    jobs: Vec<Job>,
    announcements: Vec<Announcement>,
    running: Vec<Vec<bool>>,
    runs: [u32; 12],
    standby: Time,
}

impl Scripts {
    pub(super) fn new(config: &HeartbeatConfig) -> Self {
        Self {
            jobs: Vec::new(),
            announcements: Vec::new(),
            running: config.groups.iter().map(|g| vec![false; g.resources.len()]).collect(),
            runs: [0; 12],
            standby: Time::NEVER,
        }
    }

    /// Counts runs on from those of the same node before.
    pub(super) fn inherit(&mut self, old: &Self) {
        self.runs = old.runs;
    }

    /// Time of the next run of a script.
    pub(super) fn take(&mut self, times: &ScriptTimes, script: Script) -> Span {
        let run = self.runs[script as usize];
        self.runs[script as usize] += 1;
        let runs = match script {
            Script::Boot => &times.boot,
            Script::QueryNone => &times.query_none,
            Script::Query => &times.query,
            Script::Acquire => &times.acquire,
            Script::TakeOver => &times.take_over,
            Script::Start => &times.start,
            Script::Acquired => &times.acquired,
            Script::Release => &times.release,
            Script::Stop => &times.stop,
            Script::Released => &times.released,
            Script::Restart => &times.restart,
            Script::Announce => &times.announce,
        };
        runs.of(run)
    }

    /// Whether every resource of a group runs here.
    pub(super) fn holds(&self, group: usize) -> bool {
        self.running[group].iter().all(|r| *r)
    }

    /// Whether a script is at work on resources.
    pub(super) fn busy(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// The daemon and its scripts are gone; resources stay as they are.
    pub(super) fn kill(&mut self) {
        self.jobs.clear();
        self.standby = Time::NEVER;
    }

    /// Everything is gone with the power.
    pub(super) fn power_off(&mut self) {
        self.kill();
        self.announcements.clear();
        self.running.iter_mut().flatten().for_each(|r| *r = false);
    }

    /// Scripts that stood still go on.
    pub(super) fn shift(&mut self, by: Span) {
        for due in self.jobs.iter_mut().map(|j| &mut j.due) {
            *due += by;
        }
        for a in &mut self.announcements {
            a.next += by;
        }
    }

    pub(super) fn next_deadline(&self) -> Time {
        let jobs = self.jobs.iter().map(|j| j.due);
        let announcements = self.announcements.iter().map(|a| a.next);
        jobs.chain(announcements).min().unwrap_or(Time::NEVER).min(self.standby)
    }

    /// `req_our_resources` for the own groups.
    pub(super) fn query(&mut self, now: Time, config: &HeartbeatConfig) {
        let mut steps = VecDeque::new();
        for group in own_groups(config) {
            steps.extend([Step::Wait(Script::Query), Step::Ask(group)]);
        }
        if steps.is_empty() {
            steps.push_back(Step::Wait(Script::QueryNone));
        }
        self.begin(now, Purpose::Query, steps);
    }

    /// Takes groups one after the other.
    pub(super) fn acquire(
        &mut self,
        now: Time,
        config: &HeartbeatConfig,
        purpose: Purpose,
        groups: impl Iterator<Item = usize>,
    ) {
        let first = if purpose == Purpose::TakeOver { Script::TakeOver } else { Script::Acquire };
        let mut steps = VecDeque::new();
        for group in groups {
            if self.holds(group) {
                steps.push_back(Step::Wait(Script::Query));
                continue;
            }
            steps.extend([Step::Wait(first), Step::Tell(group, GroupState::Acquiring)]);
            steps.extend((0..config.groups[group].resources.len()).map(|r| Step::Start(group, r)));
            steps.extend([Step::Tell(group, GroupState::Held), Step::Wait(Script::Acquired)]);
        }
        if steps.is_empty() {
            steps.push_back(Step::Wait(Script::QueryNone));
        }
        self.begin(now, purpose, steps);
    }

    /// Gives up groups one after the other.
    pub(super) fn release(
        &mut self,
        now: Time,
        purpose: Purpose,
        groups: impl Iterator<Item = usize>,
    ) {
        let mut steps = VecDeque::new();
        for group in groups {
            self.release_steps(group, &mut steps);
        }
        if steps.is_empty() {
            steps.push_back(Step::Wait(Script::QueryNone));
        }
        self.begin(now, purpose, steps);
    }

    fn release_steps(&self, group: usize, steps: &mut VecDeque<Step>) {
        if !self.running[group].contains(&true) {
            return;
        }
        steps.extend([Step::Wait(Script::Release), Step::Tell(group, GroupState::Releasing)]);
        steps.extend((0..self.running[group].len()).rev().map(|r| Step::Stop(group, r)));
        steps.extend([Step::Tell(group, GroupState::Released), Step::Wait(Script::Released)]);
    }

    /// Gives a group to the node that requested it, if it runs here.
    pub(super) fn give(&mut self, now: Time, group: usize) {
        let steps = [Step::Wait(Script::Query), Step::AskToGive(group)];
        self.begin(now, Purpose::Give(group), steps.into());
    }

    fn begin(&mut self, now: Time, purpose: Purpose, steps: VecDeque<Step>) {
        self.jobs.push(Job { purpose, steps, due: now });
    }

    /// Goes on as far as the time allows; what the scripts have to say to the daemon, one at a time.
    pub(super) fn run(
        &mut self,
        now: Time,
        config: &HeartbeatConfig,
        out: &mut Vec<Action>,
    ) -> Option<Said> {
        self.announce(now, config, out);
        if self.standby <= now {
            self.standby = Time::NEVER;
            return Some(Said::Standby);
        }
        loop {
            let due = self.jobs.iter().enumerate().filter(|(_, j)| j.due <= now);
            let at = due.min_by_key(|(_, j)| j.due)?.0;
            let job = &mut self.jobs[at];
            let Some(step) = job.steps.pop_front() else {
                let job = self.jobs.remove(at);
                return Some(Said::Ended(job.purpose));
            };
            let said = self.step(at, step, config, out);
            if said.is_some() {
                return said;
            }
        }
    }

    fn wait(&mut self, job: usize, config: &HeartbeatConfig, script: Script) {
        let span = self.take(&config.scripts, script);
        self.jobs[job].due += span;
    }

    fn step(
        &mut self,
        job: usize,
        step: Step,
        config: &HeartbeatConfig,
        out: &mut Vec<Action>,
    ) -> Option<Said> {
        match step {
            Step::Wait(script) => self.wait(job, config, script),
            Step::Ask(group) => return (!self.holds(group)).then_some(Said::Stopped(group)),
            Step::AskToGive(group) => {
                if !self.running[group].contains(&true) {
                    return Some(Said::Given(group, false));
                }
                let mut steps = VecDeque::new();
                self.release_steps(group, &mut steps);
                steps.push_back(Step::Given(group));
                self.jobs[job].steps = steps;
            }
            Step::Given(group) => return Some(Said::Given(group, true)),
            Step::Start(group, resource) if !self.running[group][resource] => {
                self.wait(job, config, Script::Start);
                self.jobs[job].steps.push_front(Step::Started(group, resource));
            }
            Step::Stop(group, resource) if self.running[group][resource] => {
                self.wait(job, config, Script::Stop);
                self.jobs[job].steps.push_front(Step::Stopped(group, resource));
            }
            // what runs is not started, what does not run is not stopped
            Step::Start(..) | Step::Stop(..) => {}
            Step::Started(group, resource) => self.started(job, group, resource, config, out),
            Step::Stopped(group, resource) => {
                self.running[group][resource] = false;
                self.announcements.retain(|a| (a.group, a.resource) != (group, resource));
                out.push(Action::Stop { group, resource });
            }
            Step::StandbyLater => {
                self.standby = self.standby.min(self.jobs[job].due + STANDBY_AFTER_FAILURE);
            }
            Step::Tell(group, state) => out.push(Action::Group { group, state }),
        }
        None
    }

    /// The script of a resource has ended.
    fn started(
        &mut self,
        job: usize,
        group: usize,
        resource: usize,
        config: &HeartbeatConfig,
        out: &mut Vec<Action>,
    ) {
        let what = &config.groups[group].resources[resource];
        if what.fails {
            self.fail(job, group, out);
            return;
        }
        if core::mem::replace(&mut self.running[group][resource], true) {
            // another script was faster
            return;
        }
        let now = self.jobs[job].due;
        out.push(Action::Start { group, resource });
        if let ResourceKind::Address { announce, .. } = what.kind {
            let next = now + self.take(&config.scripts, Script::Announce);
            let gap = Span::from_nanos(announce.interval.as_nanos() / 2);
            let left = announce.rounds * 2;
            self.announcements.push(Announcement { group, resource, next, left, gap });
        }
    }

    /// A resource did not start: its group is given up, and later the node asks to go standby.
    fn fail(&mut self, job: usize, group: usize, out: &mut Vec<Action>) {
        out.push(Action::Group { group, state: GroupState::Failed });
        // the rest of this group, up to the wait after it, is not done
        let steps = &mut self.jobs[job].steps;
        while let Some(step) = steps.pop_front() {
            if matches!(step, Step::Wait(Script::Acquired)) {
                break;
            }
        }
        let mut back = VecDeque::new();
        self.release_steps(group, &mut back);
        back.push_back(Step::StandbyLater);
        let steps = &mut self.jobs[job].steps;
        while let Some(step) = back.pop_back() {
            steps.push_front(step);
        }
    }

    /// Sends what is due of the announcements: requests and replies in turn.
    fn announce(&mut self, now: Time, config: &HeartbeatConfig, out: &mut Vec<Action>) {
        for a in &mut self.announcements {
            let ResourceKind::Address { announce, .. } =
                config.groups[a.group].resources[a.resource].kind
            else {
                continue;
            };
            while a.left > 0 && a.next <= now {
                let first = a.left == announce.rounds * 2;
                let reply = a.left % 2 == 1;
                let (group, resource) = (a.group, a.resource);
                out.push(Action::Announce { group, resource, reply, first });
                a.left -= 1;
                a.next += a.gap;
            }
        }
        self.announcements.retain(|a| a.left > 0);
    }
}

/// Numbers of the groups that prefer this node.
pub(super) fn own_groups(config: &HeartbeatConfig) -> impl Iterator<Item = usize> {
    (0..config.groups.len()).filter(|g| config.groups[*g].node == config.node)
}

/// Numbers of the groups that prefer others.
pub(super) fn foreign_groups(config: &HeartbeatConfig) -> impl Iterator<Item = usize> {
    (0..config.groups.len()).filter(|g| config.groups[*g].node != config.node)
}
