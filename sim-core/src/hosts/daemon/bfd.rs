//! The BFD process of keepalived on a host: control packets over UDP.

use super::part;
use crate::config::BfdConfig;
use crate::engine::{Stream, Time};
use crate::ha::bfd::{Action, Bfd, ControlPacket, LENGTH, PORT};
use crate::hosts::Host;
use crate::hosts::fabric::{Event, Fabric};
use crate::observe::timeline::Kind;
use crate::wire::{Packet, PacketId, proto};
use core::net::IpAddr;

/// Type of service of control packets: internetwork control.
const CONTROL: u8 = 0xc0;
/// Source ports begin here (RFC 5881, section 4).
const FIRST_PORT: u16 = 49_152;
/// Packets that the socket of a frozen process keeps: 212,992 bytes (`net.core.rmem_default`) of 768 each.
const SOCKET_KEEPS: usize = 277;

/// The BFD process of a host.
#[derive(Debug)]
pub(super) struct BfdDaemon {
    config: Vec<BfdConfig>,
    random: Stream,
    running: Option<Box<Running>>,
}

/// What a running process keeps.
#[derive(Debug)]
struct Running {
    machine: Bfd,
    actions: Vec<Action>,
    frozen: bool,
    waiting: Vec<(IpAddr, u8, [u8; LENGTH])>,
    /// Earliest wake-up in the event queue.
    armed: Time,
}

impl BfdDaemon {
    /// A process that does not run.
    pub(super) fn new(config: &[BfdConfig], random: Stream) -> Self {
        Self { config: config.to_vec(), random, running: None }
    }

    pub(super) const fn is_running(&self) -> bool {
        self.running.is_some()
    }
}

impl Host {
    /// The BFD process begins.
    pub(super) fn bfd_start(&mut self, fab: &mut Fabric) {
        let Some(daemon) = &mut self.daemons.bfd else { return };
        if daemon.running.is_some() || daemon.config.is_empty() {
            return;
        }
        let mut machine = Bfd::new(&daemon.config, daemon.random.clone());
        machine.start(fab.now);
        daemon.running = Some(Box::new(Running {
            machine,
            actions: Vec::new(),
            frozen: false,
            waiting: Vec::new(),
            armed: Time::NEVER,
        }));
        self.with_bfd(fab, |_, _| {});
    }

    /// The process ends, without a farewell.
    pub(super) fn bfd_end(&mut self) {
        if let Some(daemon) = &mut self.daemons.bfd {
            daemon.running = None;
        }
    }

    /// The process stands still.
    pub(super) fn bfd_freeze(&mut self) {
        if let Some(running) = self.daemons.bfd.as_mut().and_then(|d| d.running.as_mut()) {
            running.frozen = true;
        }
    }

    /// The process goes on.
    pub(super) fn bfd_thaw(&mut self, fab: &mut Fabric) {
        self.with_bfd(fab, |running, now| {
            running.frozen = false;
            for (from, ttl, bytes) in core::mem::take(&mut running.waiting) {
                running.machine.receive(now, (from, ttl), &bytes, &mut running.actions);
            }
            running.machine.wake(now, &mut running.actions);
        });
    }

    /// A deadline of the process may have come.
    pub(super) fn bfd_deadline(&mut self, fab: &mut Fabric) {
        self.with_bfd(fab, |running, now| {
            if running.armed <= now {
                running.armed = Time::NEVER;
            }
            if !running.frozen {
                running.machine.wake(now, &mut running.actions);
            }
        });
    }

    /// A control packet came in, if it is one. Whether the process took it.
    #[cold]
    pub(in crate::hosts) fn bfd_input(&mut self, fab: &mut Fabric, packet: PacketId) -> bool {
        let p = fab.packets[packet];
        if p.dport != PORT || !self.daemons.bfd.as_ref().is_some_and(|d| d.is_running()) {
            return false;
        }
        let bytes: Option<[u8; LENGTH]> =
            fab.packets.payload(p.body).and_then(|b| b.try_into().ok());
        let from = fab.book.address(p.src);
        fab.deliver(packet);
        let Some(bytes) = bytes else { return true };
        self.with_bfd(fab, |running, now| {
            if !running.frozen {
                running.machine.receive(now, (from, p.ttl), &bytes, &mut running.actions);
            } else if running.waiting.len() < SOCKET_KEEPS {
                running.waiting.push((from, p.ttl, bytes));
            }
        });
        true
    }

    /// Does something with the running process, and then what it wants.
    fn with_bfd(&mut self, fab: &mut Fabric, what: impl FnOnce(&mut Running, Time)) {
        let Some(mut daemon) = self.daemons.bfd.take() else { return };
        if let Some(running) = &mut daemon.running {
            what(running, fab.now);
            let mut actions = core::mem::take(&mut running.actions);
            for action in actions.drain(..) {
                match action {
                    Action::Send { session, packet } => {
                        let config = &daemon.config[usize::from(session)];
                        self.send_control(fab, config, session, &packet);
                    }
                    Action::State { session, up } => {
                        let name = &daemon.config[usize::from(session)].name;
                        let (subject, value) =
                            (format!("BFD {name}"), if up { "up" } else { "down" });
                        fab.note(Some(self.number), Kind::Check, subject, value);
                        self.vrrp_bfd(fab, name, up);
                        self.checker_session(fab, name, up);
                    }
                }
            }
            running.actions = actions;
            let deadline = running.machine.next_deadline();
            if !running.frozen && deadline < running.armed {
                running.armed = deadline;
                let event = Event::Daemon { host: self.number, daemon: part::BFD };
                fab.queue.push(deadline.max(fab.now), event);
            }
        }
        self.daemons.bfd = Some(daemon);
    }

    fn send_control(
        &mut self,
        fab: &mut Fabric,
        config: &BfdConfig,
        session: u16,
        packet: &ControlPacket,
    ) {
        let to = fab.book.number(config.neighbour);
        let stated = config.source.map(|a| fab.book.number(a));
        let Some(source) = stated.or_else(|| self.ip.source_for(&fab.book, to)) else { return };
        let mut p = Packet::ip(source, to, proto::UDP, 8 + LENGTH as u16);
        p.sport = FIRST_PORT + session % 1024;
        p.dport = PORT;
        p.ttl = config.ttl;
        p.tos = CONTROL;
        p.body = fab.packets.insert_payload(packet.bytes().to_vec());
        self.ip.originate(fab, &p);
    }
}
