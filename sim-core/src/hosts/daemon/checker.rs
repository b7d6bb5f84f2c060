//! The checker process of keepalived on a director.

use super::{Process, part};
use crate::config::KeepalivedConfig;
use crate::engine::Time;
use crate::ha::check::{Action, Checks, Note};
use crate::ha::probe::Finding;
use crate::hosts::Host;
use crate::hosts::fabric::{Event, Fabric};
use crate::observe::timeline::Kind;
use core::net::{IpAddr, SocketAddr};

/// The process.
#[derive(Debug)]
pub(super) struct Checker {
    checks: Checks,
    /// Earliest wake-up in the event queue.
    armed: Time,
    /// What the machine wants; empty between events.
    actions: Vec<Action>,
}

impl Checker {
    /// A process that does not run; `None` if it would have nothing to do.
    pub(super) fn new(config: &KeepalivedConfig, seed: u64, host: &str) -> Option<Box<Self>> {
        let checks = Checks::new(&config.check, seed, host);
        let idle = checks.is_empty();
        (!idle).then(|| Box::new(Self { checks, armed: Time::NEVER, actions: Vec::new() }))
    }

    /// Goes on with the random numbers of the same process before.
    pub(super) fn inherit(&mut self, old: Self) {
        self.checks.inherit(old.checks);
    }
}

impl Host {
    /// The checkers of keepalived, if the host has any.
    pub fn checks(&self) -> Option<&Checks> {
        self.daemons.checker.as_ref().map(|c| &c.checks)
    }

    /// The process starts.
    pub(super) fn checker_start(&mut self, fab: &mut Fabric) {
        let Some(mut checker) = self.daemons.checker.take() else { return };
        let (book, ip) = (&mut fab.book, &mut self.ip);
        // addresses are numbered here, so that the machine can ask with what is known
        let own: Vec<IpAddr> = (0..)
            .map_while(|pool| checker.checks.addresses(pool).map(Iterator::collect::<Vec<_>>))
            .flatten()
            .filter(|&a| {
                let number = book.number(a);
                ip.is_local(book, number)
            })
            .collect();
        checker.checks.start(fab.now, |a| own.contains(&a), &mut checker.actions);
        self.daemons.checker = Some(checker);
        self.checker_acts(fab);
    }

    /// The process ends in good order.
    pub(super) fn checker_stop(&mut self, fab: &mut Fabric) {
        let Some(checker) = &mut self.daemons.checker else { return };
        checker.checks.stop(&mut checker.actions);
        self.checker_acts(fab);
    }

    /// The process is gone.
    pub(super) fn checker_kill(&mut self) {
        if let Some(checker) = &mut self.daemons.checker {
            checker.checks.kill();
        }
    }

    /// A deadline of the process may have come.
    pub(super) fn checker_deadline(&mut self, fab: &mut Fabric) {
        let Some(checker) = &mut self.daemons.checker else { return };
        if checker.armed <= fab.now {
            checker.armed = Time::NEVER;
        }
        if !self.daemons.is_active(Process::Keepalived) {
            return;
        }
        let Some(checker) = &mut self.daemons.checker else { return };
        checker.checks.on_deadline(fab.now, &mut checker.actions);
        self.checker_acts(fab);
    }

    /// A checker has its answer.
    pub(super) fn checker_found(&mut self, fab: &mut Fabric, number: u32, finding: Finding) {
        let Some(checker) = &mut self.daemons.checker else { return };
        checker.checks.found(fab.now, number, finding, &mut checker.actions);
        self.checker_acts(fab);
    }

    /// A BFD session of keepalived has come up or gone down.
    pub fn checker_session(&mut self, fab: &mut Fabric, session: &str, up: bool) {
        let Some(checker) = &mut self.daemons.checker else { return };
        checker.checks.session(session, up, &mut checker.actions);
        self.checker_acts(fab);
    }

    /// An address has come to the host or has gone: checkers with `ha_suspend` may wait for it.
    pub fn checker_address(&mut self, address: IpAddr, present: bool) {
        if let Some(checker) = &mut self.daemons.checker {
            checker.checks.address(address, present);
        }
    }

    /// Does what the machine wants.
    fn checker_acts(&mut self, fab: &mut Fabric) {
        let Some(checker) = &mut self.daemons.checker else { return };
        let mut actions = core::mem::take(&mut checker.actions);
        let mut next = 0;
        while next < actions.len() {
            match &actions[next] {
                Action::Ask { checker: number, inquiry } => {
                    let caller = (Process::Keepalived, *number);
                    if let Some(finding) = self.ask_server(fab, caller, inquiry)
                        && let Some(checker) = &mut self.daemons.checker
                    {
                        checker.checks.found(fab.now, caller.1, finding, &mut actions);
                    }
                }
                // keepalived writes what the kernel refuses to its log, and goes on
                Action::Command(command) => drop(self.administer(fab, command)),
                Action::Note(note) => self.checker_tells(fab, note),
            }
            next += 1;
        }
        actions.clear();
        if let Some(checker) = &mut self.daemons.checker {
            checker.actions = actions;
            if let Some(at) = checker.checks.next_deadline()
                && at < checker.armed
            {
                checker.armed = at;
                let event = Event::Daemon { host: self.number, daemon: part::CHECKER };
                fab.queue.push(at, event);
            }
        }
    }

    /// Writes something into the timeline.
    fn checker_tells(&self, fab: &mut Fabric, note: &Note) {
        let Some(checker) = &self.daemons.checker else { return };
        let checks = &checker.checks;
        let service = |pool| checks.service(pool).map_or_else(String::new, |s| s.to_string());
        let server = |pool, number| {
            let at = checks.server(pool, number);
            let at =
                at.map_or_else(String::new, |(ip, port)| SocketAddr::new(ip, port).to_string());
            format!("{} {at}", service(pool))
        };
        let host = Some(self.number);
        match note {
            Note::Service { pool, there } => {
                let value = if *there { "added" } else { "removed" };
                fab.note(host, Kind::Service, service(*pool), value);
            }
            Note::Quorum { pool, gained } => {
                let value = if *gained { "quorum gained" } else { "quorum lost" };
                fab.note(host, Kind::Service, service(*pool), value);
            }
            Note::Server { pool, server: number, weight } => {
                let value = weight.map_or_else(|| "removed".to_owned(), |w| w.to_string());
                fab.note(host, Kind::Pool, server(*pool, *number), value);
            }
            Note::Check { checker, up, finding } => {
                let Some(((pool, number), config)) = checks.checker(*checker) else { return };
                let subject = format!("{} {}", server(pool, Some(number)), config.kind.name());
                let value = if *up { "succeeded" } else { finding.as_str() };
                fab.note(host, Kind::Check, subject, value);
            }
        }
    }
}
