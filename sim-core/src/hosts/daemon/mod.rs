//! Programs that keep a cluster alive: where the machines of [`crate::ha`] meet a host.

mod checker;
pub mod probe;

use super::Host;
use super::fabric::{Event, Fabric};
use crate::config::HostConfig;
pub use crate::config::Process;
use crate::engine::Span;
use crate::ha::probe::Finding;
use crate::observe::timeline::Kind;
use checker::Checker;
use probe::Probes;

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
    pub(crate) const fn outcome(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Stop => "stopped",
            Self::Kill => "killed",
            Self::Freeze => "frozen",
            Self::Thaw => "running",
        }
    }
}

/// What a deadline of a host's programs is about ([`Event::Daemon`]).
///
/// [`Event::Daemon`]: super::fabric::Event::Daemon
pub(super) mod part {
    /// keepalived begins.
    pub(crate) const KEEPALIVED: u32 = 0;
    /// The checker process of keepalived.
    pub(crate) const CHECKER: u32 = 1;
}

/// How a process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Life {
    /// It does not run.
    #[default]
    Off,
    /// It runs.
    Running,
    /// It is frozen; it ends in good order when it goes on, if `stops`.
    Frozen {
        /// It was told to stop.
        stops: bool,
    },
}

/// The programs of a host.
#[derive(Debug, Default)]
pub struct Daemons {
    /// Questions to servers on their way.
    pub probes: Probes,
    checker: Option<Box<Checker>>,
    /// Which processes are there.
    installed: [bool; Process::ALL.len()],
    /// When keepalived begins.
    keepalived: Option<Span>,
    lives: [Life; Process::ALL.len()],
}

impl Daemons {
    /// The programs of a host, none of which runs.
    pub fn new(config: &HostConfig, seed: u64) -> Self {
        let keepalived = config.keepalived.as_ref();
        Self {
            probes: Probes::default(),
            checker: keepalived.and_then(|k| Checker::new(k, seed, &config.name)),
            installed: [keepalived.is_some(), false, false],
            keepalived: keepalived.and_then(|k| k.start),
            lives: [Life::Off; Process::ALL.len()],
        }
    }

    /// Whether a process runs and is not frozen.
    pub fn is_active(&self, process: Process) -> bool {
        self.lives[process as usize] == Life::Running
    }
}

impl Host {
    /// Puts the starts of programs into the queue, of those that `may` start.
    pub(crate) fn begin_daemons(&self, fab: &mut Fabric, may: impl Fn(Process) -> bool) {
        if let Some(start) = self.daemons.keepalived.filter(|_| may(Process::Keepalived)) {
            let event = Event::Daemon { host: self.number, daemon: part::KEEPALIVED };
            fab.queue.push(fab.now + start, event);
        }
    }

    /// Tells a process what to do; nothing happens if the host does not have it, or if it is so already. A
    /// process that is frozen stops when it goes on.
    pub fn order(&mut self, fab: &mut Fabric, process: Process, order: Order) {
        if !self.daemons.installed[process as usize] {
            return;
        }
        let life = &mut self.daemons.lives[process as usize];
        let before = *life;
        let after = match (before, order) {
            (Life::Off, Order::Start) | (Life::Frozen { stops: false }, Order::Thaw) => {
                Life::Running
            }
            (Life::Running, Order::Stop | Order::Kill)
            | (Life::Frozen { .. }, Order::Kill)
            | (Life::Frozen { stops: true }, Order::Thaw) => Life::Off,
            (Life::Running, Order::Freeze) => Life::Frozen { stops: false },
            (Life::Frozen { .. }, Order::Stop) => {
                *life = Life::Frozen { stops: true };
                return;
            }
            _ => return,
        };
        *life = after;
        let stops = before == Life::Frozen { stops: true } && order == Order::Thaw;
        let order = if stops { Order::Stop } else { order };
        fab.note(Some(self.number), Kind::Process, process.name(), order.outcome());
        match order {
            Order::Start => self.process_starts(fab, process),
            Order::Stop => self.process_stops(fab, process),
            Order::Kill => self.process_dies(fab, process),
            Order::Freeze => self.freeze_probes(process),
            Order::Thaw => self.process_goes_on(fab, process),
        }
        self.tcp_output(fab);
        self.settle(fab);
    }

    fn process_starts(&mut self, fab: &mut Fabric, process: Process) {
        if process == Process::Keepalived {
            self.checker_start(fab);
        }
    }

    fn process_stops(&mut self, fab: &mut Fabric, process: Process) {
        self.drop_probes(fab, process);
        if process == Process::Keepalived {
            self.checker_stop(fab);
        }
    }

    fn process_dies(&mut self, fab: &mut Fabric, process: Process) {
        self.drop_probes(fab, process);
        if process == Process::Keepalived {
            self.checker_kill();
        }
    }

    fn process_goes_on(&mut self, fab: &mut Fabric, process: Process) {
        self.thaw_probes(fab, process);
        if process == Process::Keepalived {
            self.checker_deadline(fab);
        }
    }

    /// A probe of a process is over.
    fn probe_found(&mut self, fab: &mut Fabric, process: Process, caller: u32, finding: Finding) {
        if process == Process::Keepalived {
            self.checker_found(fab, caller, finding);
        }
    }

    /// A deadline of a program may have come.
    #[cold]
    pub(super) fn daemon_deadline(&mut self, fab: &mut Fabric, daemon: u32) {
        match daemon {
            part::KEEPALIVED => self.order(fab, Process::Keepalived, Order::Start),
            part::CHECKER => self.checker_deadline(fab),
            _ => debug_assert!(false, "there is no such part"),
        }
        self.tcp_output(fab);
    }
}
