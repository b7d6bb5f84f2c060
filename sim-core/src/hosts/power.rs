//! Hosts that lose their power, boot, or are frozen for a while.
//!
//! A host that does not run has no plain interface, so every frame takes the slow way, which sees that it
//! sleeps; a host that runs pays nothing.

use super::Host;
use super::fabric::{Event, Fabric, NO_TAP, Place, Reason};
use super::ip::NO_LINK;
use crate::engine::{Span, Time};
use crate::observe::Failure;
use crate::observe::timeline::Kind;
use crate::wire::PacketId;
use std::collections::VecDeque;

/// Whether a host works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PowerState {
    /// It works.
    #[default]
    Running,
    /// It stands still and will go on as if nothing had been.
    Frozen,
    /// It has no power, or boots.
    Off,
}

impl PowerState {
    /// The word used in the timeline.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Frozen => "frozen",
            Self::Off => "off",
        }
    }
}

/// What waits while a host does not run.
#[derive(Debug, Default)]
pub struct Power {
    state: PowerState,
    /// When it froze.
    since: Time,
    /// Frames that the ring of an interface holds.
    room: u32,
    /// Frames in the rings, with their interfaces.
    ring: VecDeque<(u16, PacketId)>,
    /// Frames in the ring of each interface.
    held: Vec<u32>,
    /// What would have happened: of a frozen host everything, of one without power the starts of its
    /// client applications, which are demand and no memory of a machine.
    late: Vec<(Time, Event)>,
    /// Links that went down or came up: interface, up.
    carriers: Vec<(u16, bool)>,
}

impl Host {
    /// Whether it works.
    #[inline]
    pub const fn power(&self) -> PowerState {
        self.power.state
    }

    /// Finds the interfaces with nothing but a link: those that frames may take the short way by.
    pub fn find_plain(&mut self, fab: &Fabric) {
        let direct = self.cpu.is_none() && self.power.state == PowerState::Running;
        for i in &mut self.ip.interfaces {
            let seen = fab.traced() || i.tap != NO_TAP;
            i.plain = direct && !seen && i.direction != NO_LINK;
        }
    }

    /// Tells what becomes of the host.
    fn enter(&mut self, fab: &mut Fabric, state: PowerState, word: &str) {
        self.power.state = state;
        self.find_plain(fab);
        fab.note(Some(self.number), Kind::Power, self.name.clone(), word);
    }

    /// A frame came in while the host does not run.
    #[cold]
    pub(super) fn receive_asleep(&mut self, fab: &mut Fabric, interface: u16, packet: PacketId) {
        let power = &mut self.power;
        if power.state == PowerState::Off {
            fab.drop(Place::Host(self.number), Reason::HostDown, packet);
            return;
        }
        let (i, to) = (&self.ip.interfaces[usize::from(interface)], fab.packets[packet].dst_mac);
        if !to.is_group() && to != i.mac && !i.has_vmac(to) {
            // the card itself passes over what is flooded for others
            fab.ignore(self.number, packet);
            return;
        }
        power.held.resize(self.ip.interfaces.len(), 0);
        let held = &mut power.held[usize::from(interface)];
        if *held >= power.room {
            fab.drop(Place::Host(self.number), Reason::RingFull, packet);
            return;
        }
        *held += 1;
        power.ring.push_back((interface, packet));
    }

    /// The link of an interface has changed while the host does not run.
    pub(super) fn carrier_asleep(&mut self, interface: u16, up: bool) {
        if self.power.state == PowerState::Frozen {
            self.power.carriers.push((interface, up));
        }
    }

    /// Stops everything. The ring of each interface holds `room` frames. Nothing happens to a host that does
    /// not run.
    pub fn freeze(&mut self, fab: &mut Fabric, room: u32) {
        if self.power.state != PowerState::Running {
            return;
        }
        let number = self.number;
        self.power.late = fab.queue.take_out(|e| e.host() == Some(number));
        (self.power.since, self.power.room) = (fab.now, room);
        self.enter(fab, PowerState::Frozen, "frozen");
    }

    /// Goes on after [`Host::freeze`]: the kernel's timers that are late, then the frames in the rings,
    /// then what programs have missed (softirq order: timers before network, both before processes). Work that
    /// a CPU had begun goes on where it stopped.
    pub fn thaw(&mut self, fab: &mut Fabric) {
        if self.power.state != PowerState::Frozen {
            return;
        }
        let pause = fab.now - self.power.since;
        let Power { late, ring, carriers, .. } = core::mem::take(&mut self.power);
        self.enter(fab, PowerState::Running, "running");
        self.servers.pause(pause);
        for (interface, up) in carriers {
            if up {
                self.link_up(fab, interface);
            } else {
                self.link_down(fab, interface);
            }
        }
        let mut programs = Vec::new();
        for (time, event) in late {
            if is_work(event) {
                fab.queue.push(time + pause, event);
            } else if time > fab.now {
                fab.queue.push(time, event);
            } else if is_of_kernel(event) {
                self.handle(fab, event);
            } else {
                programs.push(event);
            }
        }
        for (interface, packet) in ring {
            self.receive(fab, interface, packet);
        }
        for event in programs {
            fab.queue.push(fab.now, event);
        }
    }

    /// The power is gone. What the host held in its memory is dropped, its clients' conversations have
    /// failed, nothing it had planned happens. What remains is for [`Host::inherit`] of the same machine as
    /// it was at the start.
    pub fn lose_power(&mut self, fab: &mut Fabric) {
        let number = self.number;
        let power = core::mem::take(&mut self.power);
        for (_, packet) in power.ring {
            fab.drop(Place::Host(number), Reason::HostDown, packet);
        }
        for slot in self.live_sessions() {
            self.end(fab, slot, Failure::Reset);
        }
        self.forget_probes(fab);
        let planned = fab.queue.take_out(|e| e.host() == Some(number));
        let is_start = |(_, e): &(Time, Event)| matches!(e, Event::Client { .. });
        self.power.late = power.late.into_iter().chain(planned).filter(is_start).collect();
        for packet in self.forget_packets(fab) {
            fab.drop(Place::Host(number), Reason::HostDown, packet);
        }
        self.enter(fab, PowerState::Off, "off");
    }

    /// The packets in the memory of the host.
    fn forget_packets(&mut self, fab: &mut Fabric) -> Vec<PacketId> {
        // nobody is left to be told
        let (mut all, mut actions) = (Vec::new(), Vec::new());
        for interface in 0..self.ip.interfaces.len() as u16 {
            all.append(&mut self.ip.neighbours.carrier_lost(interface, &mut actions));
        }
        all.append(&mut self.ip.loopback);
        all.extend(self.ip.undeliverable.drain(..).map(|(_, packet)| packet));
        if let Some(cpu) = &mut self.cpu {
            all.append(&mut cpu.forget_packets());
        }
        while let Some(expired) = self.reassembly.expire(Time::NEVER) {
            all.extend(expired.first.map(|first| fab.packets.insert(first)));
        }
        all
    }

    /// Takes over from `old`, the same machine before it lost its power: what it is plugged into, what was
    /// counted, and the demand that its client applications stand for.
    pub fn inherit(&mut self, old: Self) {
        let Self { ip, tcp, cpu, servers, server_row, clients, daemons, .. } = old;
        let (mut scripts, power) = (old.scripts, old.power);
        debug_assert_eq!(self.name, old.name, "a host inherits from itself");
        for (new, old) in self.ip.interfaces.iter_mut().zip(&ip.interfaces) {
            (new.direction, new.tap) = (old.direction, old.tap);
        }
        self.ip.counters = ip.counters;
        self.tcp.inherit(&tcp);
        if let (Some(new), Some(old)) = (&mut self.cpu, &cpu) {
            new.spent = old.spent;
        }
        self.servers.inherit(&servers);
        self.server_row = server_row;
        self.clients = clients;
        scripts.halt();
        self.scripts = scripts;
        self.power = power;
        self.daemons.inherit(daemons);
    }

    /// The host works again. Its links come up and its programs start after that.
    pub fn boot(&mut self, fab: &mut Fabric) {
        if self.power.state != PowerState::Off {
            return;
        }
        let late = core::mem::take(&mut self.power.late);
        self.enter(fab, PowerState::Running, "on");
        for (time, event) in late {
            self.resume_client(fab, time, event);
        }
    }

    /// A client application goes on after its host was without power until now.
    fn resume_client(&mut self, fab: &mut Fabric, time: Time, event: Event) {
        let Event::Client { application, .. } = event else { return };
        let Some(client) = self.clients.get_mut((application & 0xff) as usize) else { return };
        if time < fab.now && client.skip_missed(fab.now) {
            client.schedule(fab, self.number, application);
        } else {
            fab.queue.push(time.max(fab.now), event);
        }
    }
}

/// Whether an event is the end of work of a CPU.
const fn is_work(event: Event) -> bool {
    matches!(event, Event::Cpu { .. } | Event::Served { .. } | Event::Shared { .. })
}

/// Whether an event is one of the kernel's.
const fn is_of_kernel(event: Event) -> bool {
    matches!(
        event,
        Event::Neighbour { .. }
            | Event::Tcp { .. }
            | Event::Ipvs { .. }
            | Event::Proxy { .. }
            | Event::Conntrack { .. }
            | Event::Routes { .. }
            | Event::Reassembly { .. }
    )
}

impl super::server::Servers {
    /// The host stood still for so long; work that was begun goes on where it stopped.
    fn pause(&mut self, pause: Span) {
        for application in &mut self.applications {
            application.pause(pause);
        }
    }
}
