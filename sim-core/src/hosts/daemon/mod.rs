//! Programs that keep a cluster alive: where the machines of [`crate::ha`] meet a host.

pub mod bfd;
pub mod vrrp;

use super::Host;
use super::fabric::{Event, Fabric};
use crate::config::KeepalivedConfig;
pub use crate::config::Process;
use crate::engine::{Span, Stream};
use crate::observe::timeline::Kind;
use crate::wire::Ip;
use bfd::BfdDaemon;
use vrrp::VrrpDaemon;

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

/// How a process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    /// It ended in good order, or never began.
    Stopped,
    /// It was killed.
    Killed,
    /// It stands still.
    Frozen,
    /// It runs.
    Running,
}

/// What wakes up for itself, by its number in [`Event::Daemon`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Program {
    /// keepalived begins.
    Keepalived,
    /// Virtual routers.
    Vrrp,
    /// Sessions of bidirectional forwarding detection.
    Bfd,
}

impl Program {
    const ALL: [Self; 3] = [Self::Keepalived, Self::Vrrp, Self::Bfd];

    const fn number(self) -> u32 {
        self as u32
    }
}

/// The programs of a host.
#[derive(Debug, Default)]
pub struct Daemons {
    /// How keepalived is, if the host has it.
    keepalived: Option<Life>,
    keepalived_start: Option<Span>,
    /// It was told to end while it was frozen.
    keepalived_ends: bool,
    vrrp: Option<Box<VrrpDaemon>>,
    bfd: Option<Box<BfdDaemon>>,
    /// The interface by which a packet to a group came in that is being handled.
    pub(super) input: u16,
}

impl Daemons {
    /// The host has keepalived, whose random numbers come from a stream.
    pub fn set_keepalived(&mut self, config: &KeepalivedConfig, random: Stream) {
        self.keepalived = Some(Life::Stopped);
        self.keepalived_start = config.start;
        self.vrrp = Some(Box::new(VrrpDaemon::new(&config.vrrp)));
        self.bfd = Some(Box::new(BfdDaemon::new(&config.bfd, random)));
    }

    /// The virtual routers of keepalived, if the host has it.
    pub fn vrrp(&self) -> Option<&VrrpDaemon> {
        self.vrrp.as_deref()
    }

    /// The BFD sessions of keepalived, if the host has it.
    pub fn bfd(&self) -> Option<&BfdDaemon> {
        self.bfd.as_deref()
    }

    /// Whether a program takes what is sent to a group on an interface.
    pub(super) fn listens(&self, interface: u16, group: Ip) -> bool {
        self.vrrp.as_ref().is_some_and(|v| v.listens(interface, group))
    }

    /// Puts the starts of the programs into the queue.
    pub(super) fn begin(&self, fab: &mut Fabric, host: u16) {
        if let Some(after) = self.keepalived_start {
            let daemon = Program::Keepalived.number();
            fab.queue.push(fab.now + after, Event::Daemon { host, daemon });
        }
    }
}

impl Host {
    /// Tells a process what to do; nothing happens if the host does not have it, or if it cannot do that as it is.
    pub fn order(&mut self, fab: &mut Fabric, process: Process, order: Order) {
        if process != Process::Keepalived {
            return;
        }
        let Some(before) = self.daemons.keepalived else { return };
        let runs = matches!(before, Life::Running | Life::Frozen);
        let after = match order {
            Order::Start if !runs => Life::Running,
            Order::Stop if before == Life::Frozen => {
                self.daemons.keepalived_ends = true;
                return;
            }
            Order::Stop if before == Life::Running => Life::Stopped,
            Order::Kill if runs => Life::Killed,
            Order::Freeze if before == Life::Running => Life::Frozen,
            Order::Thaw if before == Life::Frozen => Life::Running,
            _ => return,
        };
        self.daemons.keepalived = Some(after);
        fab.note(Some(self.number), Kind::Process, process.name(), order.outcome());
        if order == Order::Start {
            self.vrrp_start(fab);
            self.bfd_start(fab);
        } else {
            self.vrrp_order(fab, after);
            self.bfd_order(fab, after);
        }
        if core::mem::take(&mut self.daemons.keepalived_ends) && order == Order::Thaw {
            self.order(fab, process, Order::Stop);
        }
    }

    /// A deadline of a program may have come.
    #[cold]
    pub(super) fn daemon_deadline(&mut self, fab: &mut Fabric, daemon: u32) {
        match Program::ALL.iter().find(|p| p.number() == daemon) {
            Some(Program::Keepalived) => self.order(fab, Process::Keepalived, Order::Start),
            Some(Program::Vrrp) => self.vrrp_deadline(fab),
            Some(Program::Bfd) => self.bfd_deadline(fab),
            None => debug_assert!(false, "a wake-up is for a program"),
        }
    }

    /// A deadline of a probe may have come.
    #[cold]
    pub(super) fn probe_deadline(&mut self, _fab: &mut Fabric, probe: u32) {
        debug_assert!(probe < u32::MAX, "a probe has a number");
    }
}
