//! ldirectord on a director.

use super::{Process, part};
use crate::config::LdirectordConfig;
use crate::engine::Time;
use crate::ha::ldirectord::{Action, Ldirectord};
use crate::ha::probe::Finding;
use crate::hosts::Host;
use crate::hosts::fabric::{Event, Fabric};
use crate::ipvs::rules::{ServerRule, ServiceKey};
use crate::observe::timeline::Kind;
use core::net::SocketAddr;

/// ldirectord of a host.
#[derive(Debug)]
pub(super) struct LdirectordDaemon {
    machine: Ldirectord,
    /// Earliest wake-up in the event queue.
    armed: Time,
    /// What the machine wants; empty between events.
    actions: Vec<Action>,
}

impl LdirectordDaemon {
    /// A process that does not run.
    pub(super) fn new(config: &LdirectordConfig) -> Box<Self> {
        let machine = Ldirectord::new(config.clone());
        Box::new(Self { machine, armed: Time::NEVER, actions: Vec::new() })
    }
}

impl Host {
    /// It starts.
    pub(super) fn ldirectord_start(&mut self, fab: &mut Fabric) {
        if let Some(daemon) = &mut self.daemons.ldirectord {
            daemon.machine.start(fab.now);
        }
        self.ldirectord_acts(fab);
    }

    /// It is told to end.
    pub(super) fn ldirectord_stop(&mut self, fab: &mut Fabric) {
        if let Some(daemon) = &mut self.daemons.ldirectord {
            daemon.machine.stop(&mut daemon.actions);
        }
        self.ldirectord_acts(fab);
    }

    /// It is gone.
    pub(super) fn ldirectord_kill(&mut self) {
        if let Some(daemon) = &mut self.daemons.ldirectord {
            daemon.machine.kill();
        }
    }

    /// A deadline of the process may have come.
    pub(super) fn ldirectord_deadline(&mut self, fab: &mut Fabric) {
        let Some(daemon) = &mut self.daemons.ldirectord else { return };
        if daemon.armed <= fab.now {
            daemon.armed = Time::NEVER;
        }
        if !self.daemons.is_active(Process::Ldirectord) {
            return;
        }
        if let Some(daemon) = &mut self.daemons.ldirectord {
            daemon.machine.wake(fab.now, &mut daemon.actions);
        }
        self.ldirectord_acts(fab);
    }

    /// A question has its answer.
    pub(super) fn ldirectord_found(&mut self, fab: &mut Fabric, lane: u32, finding: Finding) {
        if let Some(daemon) = &mut self.daemons.ldirectord {
            daemon.machine.found(fab.now, lane, finding, &mut daemon.actions);
        }
        self.ldirectord_acts(fab);
    }

    /// Does what the machine wants.
    fn ldirectord_acts(&mut self, fab: &mut Fabric) {
        let Some(daemon) = &mut self.daemons.ldirectord else { return };
        let mut actions = core::mem::take(&mut daemon.actions);
        let mut next = 0;
        while next < actions.len() {
            match &actions[next] {
                Action::Ask { lane, inquiry } => {
                    let caller = (Process::Ldirectord, *lane);
                    if let Some(finding) = self.ask_server(fab, caller, inquiry)
                        && let Some(daemon) = &mut self.daemons.ldirectord
                    {
                        daemon.machine.found(fab.now, caller.1, finding, &mut actions);
                    }
                }
                // what the kernel refuses is written to the log
                Action::Command(command) => drop(self.administer(fab, command)),
                told => self.ldirectord_tells(fab, told),
            }
            next += 1;
        }
        actions.clear();
        let Some(daemon) = &mut self.daemons.ldirectord else { return };
        daemon.actions = actions;
        let at = daemon.machine.next_deadline();
        if at < daemon.armed {
            daemon.armed = at;
            let event = Event::Daemon { host: self.number, daemon: part::LDIRECTORD };
            fab.queue.push(at, event);
        }
    }

    /// Writes something into the timeline.
    fn ldirectord_tells(&self, fab: &mut Fabric, told: &Action) {
        let host = Some(self.number);
        let server = |key: &ServiceKey, rule: &ServerRule| {
            format!("{key} {}", SocketAddr::new(rule.rip, rule.port))
        };
        match told {
            Action::Service(key, there) => {
                let value = if *there { "added" } else { "removed" };
                fab.note(host, Kind::Service, key.to_string(), value);
            }
            Action::Server(key, rule, weight) => {
                let value = weight.map_or_else(|| "removed".to_owned(), |w| w.to_string());
                fab.note(host, Kind::Pool, server(key, rule), value);
            }
            Action::Check(key, rule, why) => {
                let value = why.unwrap_or("succeeded");
                fab.note(host, Kind::Check, server(key, rule), value);
            }
            Action::Ask { .. } | Action::Command(_) => {}
        }
    }
}
