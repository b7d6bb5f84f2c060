//! A CPU that received packets pass one after another.

use super::Host;
use super::fabric::{Event, Fabric, Place, Reason};
use crate::config::CpuConfig;
use crate::engine::Span;
use crate::wire::PacketId;
use std::collections::VecDeque;

/// What kind of work a packet turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Work {
    /// Nothing of IPVS.
    #[default]
    Other,
    /// Sent on by NAT, either direction.
    Nat,
    /// Sent on by DR.
    Dr,
    /// Sent on by TUN.
    Tun,
}

/// One CPU with a backlog (`net.core.netdev_max_backlog`).
///
/// A packet is judged when its turn comes; what it causes to be sent leaves when the work, whose
/// length depends on the judgement, is done.
#[derive(Debug)]
pub struct Cpu {
    config: CpuConfig,
    backlog: VecDeque<(u16, PacketId)>,
    busy: bool,
    /// Sent at the end of the present work.
    sending: Vec<(u16, PacketId)>,
    /// Kind of the present work, set by whoever judges the packet.
    pub work: Work,
    /// Time spent so far.
    pub spent: Span,
    /// Each packet costs so many times as much.
    pub factor: f64,
}

impl Cpu {
    /// An idle CPU.
    pub fn new(config: CpuConfig) -> Self {
        Self {
            config,
            backlog: VecDeque::new(),
            busy: false,
            sending: Vec::new(),
            work: Work::Other,
            spent: Span::ZERO,
            factor: 1.0,
        }
    }

    fn cost(&self) -> Span {
        let cost = match self.work {
            Work::Other => self.config.other,
            Work::Nat => self.config.nat,
            Work::Dr => self.config.dr,
            Work::Tun => self.config.tun,
        };
        cost.times(self.factor)
    }

    /// Takes out all packets that wait.
    pub(super) fn forget_packets(&mut self) -> Vec<PacketId> {
        let waiting = core::mem::take(&mut self.backlog);
        waiting.into_iter().chain(self.sending.drain(..)).map(|(_, packet)| packet).collect()
    }
}

impl Host {
    /// Queues a received packet for the CPU.
    pub(super) fn cpu_receive(&mut self, fab: &mut Fabric, interface: u16, packet: PacketId) {
        let Some(cpu) = &mut self.cpu else { return };
        if cpu.busy {
            if cpu.backlog.len() >= cpu.config.backlog as usize {
                fab.drop(Place::Host(self.number), Reason::CpuBacklog, packet);
            } else {
                cpu.backlog.push_back((interface, packet));
            }
            return;
        }
        self.cpu_work(fab, interface, packet);
    }

    /// Judges a packet and begins the work it costs.
    fn cpu_work(&mut self, fab: &mut Fabric, interface: u16, packet: PacketId) {
        let Some(cpu) = &mut self.cpu else { return };
        cpu.work = Work::Other;
        self.ip.held = Some(core::mem::take(&mut cpu.sending));
        let before = if fab.traced() { self.look(fab, interface, packet) } else { None };
        self.any_input(fab, interface, packet);
        self.settle(fab);
        self.tell(fab, before);
        let Some(cpu) = &mut self.cpu else { return };
        cpu.sending = self.ip.held.take().unwrap_or_default();
        let cost = cpu.cost();
        cpu.busy = true;
        cpu.spent += cost;
        fab.queue.push(fab.now + cost, Event::Cpu { host: self.number });
    }

    /// The work is done: what it sends leaves, the next packet is taken up.
    pub(super) fn cpu_done(&mut self, fab: &mut Fabric) {
        let Some(cpu) = &mut self.cpu else { return };
        cpu.busy = false;
        let mut sending = core::mem::take(&mut cpu.sending);
        for (interface, packet) in sending.drain(..) {
            let mac = fab.packets[packet].src_mac;
            self.ip.emit_from(fab, interface, mac, packet);
        }
        let Some(cpu) = &mut self.cpu else { return };
        cpu.sending = sending;
        if let Some((interface, packet)) = cpu.backlog.pop_front() {
            self.cpu_work(fab, interface, packet);
        }
    }

    /// Notes what kind of work the packet in hand is.
    #[inline]
    pub(super) fn note_work(&mut self, work: Work) {
        if let Some(cpu) = &mut self.cpu {
            cpu.work = work;
        }
    }
}
