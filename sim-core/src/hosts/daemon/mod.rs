//! Programs that keep a cluster alive: where the machines of [`crate::ha`] meet a host.

use super::Host;
use super::fabric::Fabric;
pub use crate::config::Process;
use crate::observe::timeline::Kind;

/// What a process is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// It starts, if it does not run.
    Start,
    /// It ends in good order (SIGTERM).
    Stop,
    /// It is gone at once (SIGKILL): addresses and rules stay as they are.
    Kill,
    /// It does nothing any more, not even die (SIGSTOP); what comes for it waits.
    Freeze,
    /// It goes on (SIGCONT).
    Thaw,
}

impl Order {
    /// What a process is after it.
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Stop => "stopped",
            Self::Kill => "killed",
            Self::Freeze => "frozen",
            Self::Thaw => "running",
        }
    }
}

/// The programs of a host.
#[derive(Debug, Default)]
pub struct Daemons {}

impl Host {
    /// Tells a process what to do; nothing happens if the host does not have it.
    pub fn order(&mut self, fab: &mut Fabric, process: Process, order: Order) {
        fab.note(Some(self.number), Kind::Process, process.name(), order.outcome());
    }

    /// A deadline of a program may have come.
    #[cold]
    pub(super) fn daemon_deadline(&mut self, _fab: &mut Fabric, daemon: u32) {
        debug_assert!(daemon < 64, "a host has few programs");
    }

    /// A deadline of a probe may have come.
    #[cold]
    pub(super) fn probe_deadline(&mut self, _fab: &mut Fabric, probe: u32) {
        debug_assert!(probe < u32::MAX, "a probe has a number");
    }
}
