//! Programs that keep a cluster alive: where the machines of [`crate::ha`] meet a host.
//!
//! keepalived is three processes that start and end together (virtual routers, checkers, BFD); heartbeat and
//! ldirectord are one each. They are started, stopped, killed and frozen by [`Host::order`]. Their messages and
//! checks ([`probe`]) are packets like all others, so that loss, delay and a busy processor hit them too; what
//! they do to their host goes the ways of the kernel: addresses, rules of IPVS, the synchronisation daemon.

mod bfd;
mod checker;
pub(crate) mod heartbeat;
mod ldirectord;
pub mod probe;
pub mod vrrp;

use super::Host;
use super::fabric::{Event, Fabric};
use crate::config::HostConfig;
pub use crate::config::Process;
use crate::engine::{Span, Stream};
use crate::ha::probe::Finding;
use crate::observe::timeline::Kind;
use crate::wire::Ip;
use bfd::BfdDaemon;
use checker::Checker;
use core::net::IpAddr;
use heartbeat::HeartbeatDaemon;
use ldirectord::LdirectordDaemon;
use probe::Probes;
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
    /// The VRRP process of keepalived.
    pub(crate) const VRRP: u32 = 2;
    /// The BFD process of keepalived.
    pub(crate) const BFD: u32 = 3;
    /// The init script of heartbeat is called.
    pub(crate) const HEARTBEAT_START: u32 = 8;
    /// heartbeat.
    pub(crate) const HEARTBEAT: u32 = 9;
    /// The watchdog that heartbeat feeds.
    pub(crate) const WATCHDOG: u32 = 10;
    /// ldirectord begins.
    pub(crate) const LDIRECTORD_START: u32 = 11;
    /// ldirectord.
    pub(crate) const LDIRECTORD: u32 = 12;
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
    vrrp: Option<Box<VrrpDaemon>>,
    bfd: Option<Box<BfdDaemon>>,
    /// The interface by which a packet to a group came in that is being handled.
    pub(super) input: u16,
    heartbeat: Option<Box<HeartbeatDaemon>>,
    ldirectord: Option<Box<LdirectordDaemon>>,
    /// Which processes are there.
    installed: [bool; Process::ALL.len()],
    /// When they begin after the host.
    starts: [Option<Span>; Process::ALL.len()],
    lives: [Life; Process::ALL.len()],
}

impl Daemons {
    /// The programs of a host, none of which runs. `hosts` are the names of all hosts.
    pub fn new(config: &HostConfig, seed: u64, hosts: &[&str]) -> Self {
        let keepalived = config.keepalived.as_ref();
        let heartbeat = config.heartbeat.as_ref();
        let ldirectord = config.ldirectord.as_ref();
        Self {
            probes: Probes::default(),
            checker: keepalived.and_then(|k| Checker::new(k, seed, &config.name)),
            vrrp: keepalived.map(|k| Box::new(VrrpDaemon::new(&k.vrrp))),
            bfd: keepalived.map(|k| {
                let random = Stream::new(seed, &config.name, "bfd");
                Box::new(BfdDaemon::new(&k.bfd, random))
            }),
            input: 0,
            heartbeat: heartbeat.map(|h| HeartbeatDaemon::new(h, config, seed, hosts)),
            ldirectord: ldirectord.map(LdirectordDaemon::new),
            installed: [keepalived.is_some(), heartbeat.is_some(), ldirectord.is_some()],
            starts: [
                keepalived.and_then(|k| k.start),
                heartbeat.and_then(|h| h.start),
                ldirectord.and_then(|l| l.start),
            ],
            lives: [Life::Off; Process::ALL.len()],
        }
    }

    /// Takes over what outlives a loss of power from the same programs before it; random numbers and ports
    /// go on where they stopped.
    pub(super) fn inherit(&mut self, old: Self) {
        self.probes.inherit(&old.probes);
        if let (Some(new), Some(old)) = (&mut self.checker, old.checker) {
            new.inherit(*old);
        }
        if let (Some(new), Some(old)) = (&mut self.heartbeat, &old.heartbeat) {
            new.inherit(old);
        }
    }

    /// Whether virtual routers take what is sent to a group on an interface.
    pub(super) fn hears_adverts(&self, interface: u16, group: Ip) -> bool {
        self.vrrp.as_ref().is_some_and(|v| v.listens(interface, group))
    }

    /// The virtual routers of keepalived, if the host has it.
    pub fn vrrp(&self) -> Option<&VrrpDaemon> {
        self.vrrp.as_deref()
    }

    /// Whether datagrams may be for heartbeat.
    pub(super) const fn has_heartbeat(&self) -> bool {
        self.heartbeat.is_some()
    }

    /// Whether a program takes what is sent to a group on an interface.
    pub(super) fn listen(&self, interface: u16, group: IpAddr) -> bool {
        self.heartbeat.as_ref().is_some_and(|h| h.listens(interface, group))
    }

    /// Whether a process runs and is not frozen.
    pub fn is_active(&self, process: Process) -> bool {
        self.lives[process as usize] == Life::Running
    }
}

impl Host {
    /// Puts the starts of programs into the queue.
    pub(super) fn begin_daemons(&self, fab: &mut Fabric) {
        for process in Process::ALL {
            self.begin_process(fab, process);
        }
    }

    /// Puts the start of a program into the queue, if it starts with the host.
    pub fn begin_process(&self, fab: &mut Fabric, process: Process) {
        let Some(start) = self.daemons.starts[process as usize] else { return };
        let daemon = match process {
            Process::Keepalived => part::KEEPALIVED,
            Process::Heartbeat => part::HEARTBEAT_START,
            Process::Ldirectord => part::LDIRECTORD_START,
        };
        fab.queue.push(fab.now + start, Event::Daemon { host: self.number, daemon });
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
            Order::Freeze => self.process_freezes(fab, process),
            Order::Thaw => self.process_goes_on(fab, process),
        }
        self.tcp_output(fab);
        self.settle(fab);
    }

    fn process_starts(&mut self, fab: &mut Fabric, process: Process) {
        match process {
            Process::Keepalived => {
                self.vrrp_start(fab);
                self.bfd_start(fab);
                self.checker_start(fab);
            }
            Process::Heartbeat => self.heartbeat_start(fab),
            Process::Ldirectord => self.ldirectord_start(fab),
        }
    }

    fn process_stops(&mut self, fab: &mut Fabric, process: Process) {
        self.drop_probes(fab, process);
        match process {
            Process::Keepalived => {
                self.checker_stop(fab);
                self.vrrp_stop(fab);
                self.bfd_end();
            }
            Process::Heartbeat => self.heartbeat_stop(fab),
            Process::Ldirectord => self.ldirectord_stop(fab),
        }
    }

    fn process_dies(&mut self, fab: &mut Fabric, process: Process) {
        self.drop_probes(fab, process);
        match process {
            Process::Keepalived => {
                self.checker_kill();
                self.vrrp_kill();
                self.bfd_end();
            }
            Process::Heartbeat => self.heartbeat_kill(fab),
            Process::Ldirectord => self.ldirectord_kill(),
        }
    }

    fn process_freezes(&mut self, fab: &mut Fabric, process: Process) {
        self.freeze_probes(process);
        match process {
            Process::Keepalived => {
                self.vrrp_freeze();
                self.bfd_freeze();
            }
            Process::Heartbeat => self.heartbeat_freeze(fab),
            Process::Ldirectord => {}
        }
    }

    fn process_goes_on(&mut self, fab: &mut Fabric, process: Process) {
        self.thaw_probes(fab, process);
        match process {
            Process::Keepalived => {
                self.vrrp_thaw(fab);
                self.bfd_thaw(fab);
                self.checker_deadline(fab);
            }
            Process::Heartbeat => self.heartbeat_thaw(fab),
            Process::Ldirectord => self.ldirectord_deadline(fab),
        }
    }

    /// A probe of a process is over.
    fn probe_found(&mut self, fab: &mut Fabric, process: Process, caller: u32, finding: Finding) {
        match process {
            Process::Keepalived => self.checker_found(fab, caller, finding),
            Process::Heartbeat => self.heartbeat_found(fab, caller, finding),
            Process::Ldirectord => self.ldirectord_found(fab, caller, finding),
        }
    }

    /// A deadline of a program may have come.
    #[cold]
    pub(super) fn daemon_deadline(&mut self, fab: &mut Fabric, daemon: u32) {
        match daemon {
            part::KEEPALIVED => self.order(fab, Process::Keepalived, Order::Start),
            part::CHECKER => self.checker_deadline(fab),
            part::VRRP => self.vrrp_deadline(fab),
            part::BFD => self.bfd_deadline(fab),
            part::HEARTBEAT_START => self.order(fab, Process::Heartbeat, Order::Start),
            part::HEARTBEAT => self.heartbeat_deadline(fab),
            part::WATCHDOG => self.watchdog_deadline(fab),
            part::LDIRECTORD_START => self.order(fab, Process::Ldirectord, Order::Start),
            part::LDIRECTORD => self.ldirectord_deadline(fab),
            _ => debug_assert!(false, "there is no such part"),
        }
        self.tcp_output(fab);
    }
}
