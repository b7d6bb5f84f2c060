//! ldirectord: checks real servers one after the other and keeps the table of IPVS accordingly.
//!
//! [`Ldirectord`] is the process of one director. Time and what came of questions go in; questions, commands of
//! `ipvsadm` and what is to be told come out as [`Action`]s.
//!
//! Source: resource-agents `ldirectord` (perl); the order of the commands was checked with recordings of
//! version 4.12.

mod check;
#[cfg(test)]
mod tests;

use super::probe::{Finding, Inquiry};
use crate::config::{CheckKind, LdirectordConfig, VirtualConfig};
use crate::engine::{Span, Time};
use crate::ipvs::Command;
use crate::ipvs::rules::{ServerRule, ServiceKey};
use check::Checked;
use std::collections::VecDeque;

/// What ldirectord wants.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// A call of `ipvsadm`. What the kernel refuses is written to the log.
    Command(Command),
    /// A question to a server; the answer goes to [`Ldirectord::found`] with the number.
    Ask {
        /// Which process asks; 0 without `fork`.
        lane: u32,
        /// What.
        inquiry: Inquiry,
    },
    /// A virtual service has come (`true`) or gone.
    Service(ServiceKey, bool),
    /// A real server, or the fallback, has another weight; `None`: it was removed.
    Server(ServiceKey, ServerRule, Option<u16>),
    /// A check of a real server has another outcome than the one before; `None`: it has succeeded.
    Check(ServiceKey, ServerRule, Option<&'static str>),
}

/// Something ldirectord does. Those that call `ipvsadm` take time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    AddService(usize),
    /// The first time a real server is seen it is added with weight 1.
    Introduce(usize, usize),
    Up(usize, usize),
    Down(usize, usize),
    /// The fallback comes if nobody else is there, and goes if somebody is.
    Fallback(usize),
    Check(usize, usize),
}

/// What a process waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Waiting {
    /// Time: the program is read, `ipvsadm` works, or it sleeps.
    Time,
    /// An answer about a real server.
    Answer(usize, usize),
    /// An external check of a real server.
    External(usize, usize),
}

/// A process that checks virtual services.
#[derive(Debug)]
struct Lane {
    virtuals: Vec<usize>,
    steps: VecDeque<Step>,
    /// What is done when the time is over.
    command: Option<Step>,
    waiting: Waiting,
    due: Time,
    /// It has checked nothing yet.
    fresh: bool,
}

/// A real server as ldirectord sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Server {
    up: bool,
    failures: u32,
    /// Checks since the last exchange, for `checktype=N`.
    connects: u32,
    /// Echo requests without an answer.
    echoes: u32,
    /// The last check failed.
    failed: bool,
}

/// A virtual service as ldirectord sees it.
#[derive(Debug)]
struct Service {
    servers: Vec<Server>,
    fallback: bool,
}

/// ldirectord of one director.
#[derive(Debug)]
pub struct Ldirectord {
    config: LdirectordConfig,
    services: Vec<Service>,
    lanes: Vec<Lane>,
    loads: u32,
    commands: u32,
}

impl Ldirectord {
    /// A process that does not run yet.
    pub const fn new(config: LdirectordConfig) -> Self {
        Self { config, services: Vec::new(), lanes: Vec::new(), loads: 0, commands: 0 }
    }

    /// Its configuration.
    pub const fn config(&self) -> &LdirectordConfig {
        &self.config
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        !self.lanes.is_empty()
    }

    /// It starts.
    pub fn start(&mut self, now: Time) {
        if self.is_running() {
            return;
        }
        let due = now + self.config.load.of(self.loads);
        self.loads += 1;
        let count = self.config.virtuals.len();
        let new = |v: &VirtualConfig| Service {
            servers: vec![Server::default(); v.servers.len()],
            fallback: false,
        };
        self.services = self.config.virtuals.iter().map(new).collect();
        // the table is set up before processes are made
        let mut lanes =
            if self.config.fork { (0..count).map(|v| vec![v]).collect() } else { vec![] };
        if !self.config.fork || count == 0 {
            lanes = vec![(0..count).collect()];
        }
        let lane = |virtuals: Vec<usize>| {
            let steps = virtuals.iter().flat_map(|v| self.first_steps(*v)).collect();
            Lane { virtuals, steps, command: None, waiting: Waiting::Time, due, fresh: true }
        };
        self.lanes = lanes.into_iter().map(lane).collect();
    }

    /// How a virtual service is set up.
    fn first_steps(&self, v: usize) -> Vec<Step> {
        let config = &self.config.virtuals[v];
        let mut steps = vec![Step::AddService(v)];
        if config.check == CheckKind::Off {
            return steps;
        }
        let count = config.servers.len();
        let mut order: Vec<_> = config.start_order.iter().copied().filter(|s| *s < count).collect();
        order.extend((0..count).filter(|s| !config.start_order.contains(s)));
        if config.check == CheckKind::On {
            steps.extend(order.iter().map(|s| Step::Up(v, *s)));
            return steps;
        }
        steps.push(Step::Fallback(v));
        for s in order {
            steps.extend([Step::Introduce(v, s), Step::Fallback(v)]);
            steps.extend([Step::Down(v, s), Step::Fallback(v)]);
        }
        steps
    }

    /// It is told to end: `cleanstop` removes its services.
    pub fn stop(&mut self, out: &mut Vec<Action>) {
        if self.is_running() && self.config.clean_stop {
            for v in &self.config.virtuals {
                let key = v.service.key;
                out.extend([
                    Action::Command(Command::DeleteService(key)),
                    Action::Service(key, false),
                ]);
            }
        }
        self.kill();
    }

    /// It is gone at once; the table stays as it is.
    pub fn kill(&mut self) {
        self.lanes.clear();
        self.services.clear();
    }

    /// The next point at which [`Ldirectord::wake`] has something to do.
    pub fn next_deadline(&self) -> Time {
        let asks = |l: &&Lane| !matches!(l.waiting, Waiting::Answer(..));
        self.lanes.iter().filter(asks).map(|l| l.due).min().unwrap_or(Time::NEVER)
    }

    /// Does what is due.
    pub fn wake(&mut self, now: Time, out: &mut Vec<Action>) {
        for lane in 0..self.lanes.len() {
            self.go_on(lane, now, out);
        }
    }

    /// A question has its answer.
    pub fn found(&mut self, now: Time, lane: u32, finding: Finding, out: &mut Vec<Action>) {
        let number = lane as usize;
        let Some(lane) = self.lanes.get_mut(number) else { return };
        let Waiting::Answer(v, s) = lane.waiting else { return };
        (lane.waiting, lane.due) = (Waiting::Time, now);
        match self.judge(v, s, finding) {
            Checked::Again => {
                self.lanes[number].steps.push_front(Step::Check(v, s));
            }
            Checked::Works => self.worked(number, v, s, out),
            Checked::Fails(why) => self.failed(number, v, s, why, out),
        }
        self.go_on(number, now, out);
    }

    /// A process goes on until it waits for something.
    fn go_on(&mut self, number: usize, now: Time, out: &mut Vec<Action>) {
        loop {
            let lane = &mut self.lanes[number];
            if lane.due > now {
                return;
            }
            match lane.waiting {
                Waiting::Answer(..) => return,
                Waiting::External(v, s) => {
                    lane.waiting = Waiting::Time;
                    if self.config.virtuals[v].servers[s].fails_external(now) {
                        self.failed(number, v, s, "failed", out);
                    } else {
                        self.worked(number, v, s, out);
                    }
                    continue;
                }
                Waiting::Time => {}
            }
            if let Some(step) = lane.command.take() {
                self.done(step, out);
                continue;
            }
            match lane.steps.pop_front() {
                Some(Step::Check(v, s)) => self.check(number, (v, s), now, out),
                Some(step) if self.calls(step) => {
                    let span = self.config.command.of(self.commands);
                    self.commands = self.commands.saturating_add(1);
                    let lane = &mut self.lanes[number];
                    (lane.command, lane.due) = (Some(step), now.max(lane.due) + span);
                }
                Some(_) => {}
                None => self.round(number, now),
            }
        }
    }

    /// All is done: a round of checks begins now, or after a pause.
    fn round(&mut self, number: usize, now: Time) {
        let lane = &mut self.lanes[number];
        let checked = |v: &&usize| {
            let config = &self.config.virtuals[**v];
            let idle = matches!(config.check, CheckKind::On | CheckKind::Off);
            !idle && !config.servers.is_empty()
        };
        let virtuals: Vec<_> = lane.virtuals.iter().filter(checked).copied().collect();
        let pause = virtuals.iter().map(|v| self.config.virtuals[*v].check_interval).min();
        for v in virtuals {
            let count = self.config.virtuals[v].servers.len();
            lane.steps.extend((0..count).map(|s| Step::Check(v, s)));
        }
        // the first round follows the set-up at once
        let fresh = core::mem::take(&mut lane.fresh);
        lane.due = match pause {
            Some(_) if fresh => now,
            Some(pause) => now + pause.max(Span::from_millis(1)),
            None => Time::NEVER,
        };
    }

    /// Whether a step calls `ipvsadm`.
    fn calls(&self, step: Step) -> bool {
        match step {
            Step::AddService(_) | Step::Introduce(..) | Step::Up(..) | Step::Down(..) => true,
            Step::Fallback(v) => self.fallback_wanted(v) != self.services[v].fallback,
            Step::Check(..) => false,
        }
    }

    fn fallback_wanted(&self, v: usize) -> bool {
        let somebody = self.services[v].servers.iter().any(|s| s.up);
        self.config.virtuals[v].fallback.is_some() && !somebody
    }

    /// A call of `ipvsadm` has ended.
    fn done(&mut self, step: Step, out: &mut Vec<Action>) {
        let (Step::AddService(v)
        | Step::Introduce(v, _)
        | Step::Up(v, _)
        | Step::Down(v, _)
        | Step::Fallback(v)
        | Step::Check(v, _)) = step;
        let config = &self.config.virtuals[v];
        let key = config.service.key;
        match step {
            Step::AddService(_) => {
                out.push(Action::Command(Command::AddService(config.service.clone())));
                out.push(Action::Service(key, true));
            }
            Step::Introduce(_, s) => {
                self.services[v].servers[s].up = true;
                let rule = ServerRule { weight: 1, ..config.servers[s].rule };
                out.push(Action::Command(Command::AddServer(key, rule)));
                out.push(Action::Server(key, rule, Some(1)));
            }
            Step::Up(_, s) => {
                self.services[v].servers[s].up = true;
                let rule = config.servers[s].rule;
                let kept = config.quiescent && config.check != CheckKind::On;
                let command = if kept { Command::EditServer } else { Command::AddServer };
                out.push(Action::Command(command(key, rule)));
                out.push(Action::Server(key, rule, Some(rule.weight)));
            }
            Step::Down(_, s) => {
                self.services[v].servers[s].up = false;
                let rule = ServerRule { weight: 0, ..config.servers[s].rule };
                let (command, weight) = if config.quiescent {
                    (Command::EditServer(key, rule), Some(0))
                } else {
                    (Command::DeleteServer(key, rule.rip, rule.port), None)
                };
                out.extend([Action::Command(command), Action::Server(key, rule, weight)]);
            }
            Step::Fallback(_) => {
                let Some(rule) = config.fallback else { return };
                let comes = !self.services[v].fallback;
                self.services[v].fallback = comes;
                let (command, weight) = if comes {
                    (Command::AddServer(key, rule), Some(rule.weight))
                } else {
                    (Command::DeleteServer(key, rule.rip, rule.port), None)
                };
                out.extend([Action::Command(command), Action::Server(key, rule, weight)]);
            }
            Step::Check(..) => {}
        }
    }
}
