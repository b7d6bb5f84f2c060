//! heartbeat on a host: its messages as datagrams, addresses that are set and announced, power that is cut.

use super::{Order, Process, part};
use crate::config::{HeartbeatConfig, HostConfig, Medium, ResourceKind};
use crate::engine::{Span, Stream, Time};
use crate::ha::heartbeat::{Action, FencingState, Heartbeat};
use crate::ha::probe::{Finding, Inquiry, Question};
use crate::hosts::Host;
use crate::hosts::fabric::{Event, Fabric, Switched};
use crate::ipvs::Command;
use crate::ipvs::rules::{Daemon, DaemonRole};
use crate::observe::timeline::Kind;
use crate::wire::{Ip, Kind as Frame, MacId, Packet, PacketId, Prefix, proto};
use core::net::IpAddr;
use std::collections::VecDeque;

/// Ephemeral ports begin here (`net.ipv4.ip_local_port_range`).
const FIRST_PORT: u16 = 32_768;
/// So many of them there are.
const PORTS: u16 = 28_232;
/// Messages that the sockets of a frozen process keep: 212,992 bytes (`net.core.rmem_default`) of 768 each.
const SOCKET_KEEPS: usize = 277;
/// Who asks: for the fencing device, and for the ping nodes in turn.
const DEVICE: u32 = 0;
const FIRST_PING: u32 = 1;
/// The watchdog fires so long after the dead time.
const WATCHDOG_MARGIN: Span = Span::from_millis(10);

/// heartbeat of a host.
#[derive(Debug)]
pub(crate) struct HeartbeatDaemon {
    machine: Heartbeat,
    /// Interface of each medium.
    media: Vec<Option<u16>>,
    /// Interface of each resource of each group; nothing for what is no address.
    places: Vec<Vec<u16>>,
    /// Hosts on the outlets of the power switch, by name.
    outlets: Vec<(String, u16)>,
    /// Earliest wake-up in the event queue.
    armed: Time,
    frozen: Option<Time>,
    waiting: VecDeque<(usize, Vec<u8>)>,
    /// When the watchdog resets the host unless the process works again.
    watchdog: Time,
    /// It will start again by itself.
    restarts: bool,
    /// What the machine wants; empty between events.
    actions: Vec<Action>,
}

impl HeartbeatDaemon {
    /// A daemon that does not run. `hosts` are the names of all hosts.
    pub(super) fn new(
        config: &HeartbeatConfig,
        host: &HostConfig,
        seed: u64,
        hosts: &[&str],
    ) -> Box<Self> {
        let number = |name: &str| host.interfaces.iter().position(|i| i.name == name);
        let around = |net: IpAddr| {
            let nets = |i: &crate::config::InterfaceConfig| i.addresses.clone();
            host.interfaces.iter().position(|i| nets(i).iter().any(|a| a.contains(net)))
        };
        let mut config = config.clone();
        let mut places = Vec::new();
        for group in &mut config.groups {
            let mut all = Vec::new();
            for resource in &mut group.resources {
                let mut place = 0;
                if let ResourceKind::Address { net, interface, .. } = &resource.kind {
                    let named = interface.as_ref().map_or_else(|| around(net.addr), |i| number(i));
                    // findif fails
                    resource.fails |= named.is_none();
                    place = named.unwrap_or(0) as u16;
                }
                all.push(place);
            }
            places.push(all);
        }
        let outlet = |name: &String| {
            let at = hosts.iter().position(|h| h == name)?;
            Some((name.clone(), at as u16))
        };
        let outlets = config.stonith.iter().flat_map(|s| &s.outlets);
        Box::new(Self {
            media: config.media.iter().map(|m| number(m.interface()).map(|n| n as u16)).collect(),
            places,
            outlets: outlets.filter_map(|(_, host)| outlet(host.as_ref()?)).collect(),
            armed: Time::NEVER,
            frozen: None,
            waiting: VecDeque::new(),
            watchdog: Time::NEVER,
            restarts: false,
            actions: Vec::new(),
            machine: Heartbeat::new(config, Stream::new(seed, &host.name, "heartbeat")),
        })
    }

    /// The daemon itself.
    const fn machine(&self) -> &Heartbeat {
        &self.machine
    }

    /// Takes over what outlives a loss of power from the same daemon before it.
    pub(super) fn inherit(&mut self, old: &Self) {
        self.machine.inherit(&old.machine);
    }

    /// Whether it takes what is sent to a group on an interface.
    pub(super) fn listens(&self, interface: u16, to: IpAddr) -> bool {
        let media = self.machine.config().media.iter().zip(&self.media);
        self.machine.is_running()
            && media.into_iter().any(|(medium, number)| {
                *number == Some(interface)
                    && matches!(medium, Medium::Mcast { group, .. } if *group == to)
            })
    }
}

/// What is wrong with heartbeat on a host.
pub(crate) fn mistakes(config: &HeartbeatConfig, host: &HostConfig) -> Vec<String> {
    let mut wrong = Vec::new();
    if !config.nodes.contains(&config.node) {
        wrong.push(format!("heartbeat: {} is not one of its nodes", config.node));
    }
    if config.media.is_empty() {
        wrong.push("heartbeat: no medium".to_owned());
    }
    for medium in &config.media {
        if !host.interfaces.iter().any(|i| i.name == medium.interface()) {
            wrong.push(format!("heartbeat: there is no interface {}", medium.interface()));
        }
    }
    if config.keepalive == Span::ZERO || config.deadtime <= config.keepalive * 2 {
        wrong.push("heartbeat: deadtime must be more than twice keepalive".to_owned());
    }
    if config.initdead < config.deadtime {
        wrong.push("heartbeat: initdead is below deadtime".to_owned());
    }
    for resource in config.groups.iter().flat_map(|g| &g.resources) {
        if matches!(resource.kind, ResourceKind::Ldirectord) && host.ldirectord.is_none() {
            wrong.push(format!("heartbeat: {}: the host has no ldirectord", resource.text));
        }
    }
    wrong
}

/// The broadcast address of the first address of an interface, with that address.
fn broadcast(host: &Host, interface: u16) -> Option<(Ip, Ip)> {
    let own = host.ip.interfaces.get(usize::from(interface))?.addresses.first()?;
    Some((own.ip, Ip(own.ip.0 | !Prefix::mask(own.len))))
}

impl Host {
    /// heartbeat of the host, if it has it.
    pub fn heartbeat(&self) -> Option<&Heartbeat> {
        self.daemons.heartbeat.as_ref().map(|h| h.machine())
    }

    /// Does something with the machine, and then what it wants.
    fn with_heartbeat(
        &mut self,
        fab: &mut Fabric,
        what: impl FnOnce(&mut HeartbeatDaemon, &mut Fabric),
    ) {
        let Some(daemon) = &mut self.daemons.heartbeat else { return };
        what(daemon, fab);
        self.heartbeat_acts(fab);
    }

    /// The init script is called.
    pub(super) fn heartbeat_start(&mut self, fab: &mut Fabric) {
        self.with_heartbeat(fab, |d, fab| {
            d.watchdog = Time::NEVER;
            d.machine.start(fab.now);
        });
    }

    /// It is told to end.
    pub(super) fn heartbeat_stop(&mut self, fab: &mut Fabric) {
        self.with_heartbeat(fab, |d, fab| d.machine.stop(fab.now, &mut d.actions));
    }

    /// It is gone.
    pub(super) fn heartbeat_kill(&mut self, fab: &mut Fabric) {
        self.heartbeat_starves(fab);
        self.with_heartbeat(fab, |d, _| {
            d.frozen = None;
            d.waiting.clear();
            d.machine.kill();
        });
    }

    /// It stands still.
    pub(super) fn heartbeat_freeze(&mut self, fab: &mut Fabric) {
        self.heartbeat_starves(fab);
        if let Some(daemon) = &mut self.daemons.heartbeat {
            daemon.frozen = Some(fab.now);
        }
    }

    /// It goes on: its clock has jumped, and then it reads what has come.
    pub(super) fn heartbeat_thaw(&mut self, fab: &mut Fabric) {
        self.with_heartbeat(fab, |d, fab| {
            let Some(since) = d.frozen.take() else { return };
            d.watchdog = Time::NEVER;
            d.machine.thaw(fab.now, fab.now - since, &mut d.actions);
            for (medium, bytes) in core::mem::take(&mut d.waiting) {
                d.machine.receive(fab.now, medium, &bytes, &mut d.actions);
            }
        });
    }

    /// The watchdog is not fed from now on.
    fn heartbeat_starves(&mut self, fab: &mut Fabric) {
        let Some(daemon) = &mut self.daemons.heartbeat else { return };
        let config = daemon.machine.config();
        if let Some(last) = daemon.machine.last_status()
            && config.watchdog
        {
            daemon.watchdog = (last + config.deadtime + WATCHDOG_MARGIN).max(fab.now);
            let event = Event::Daemon { host: self.number, daemon: part::WATCHDOG };
            fab.queue.push(daemon.watchdog, event);
        }
    }

    /// The watchdog resets the host, unless the process works again.
    pub(super) fn watchdog_deadline(&mut self, fab: &mut Fabric) {
        let Some(daemon) = &self.daemons.heartbeat else { return };
        if daemon.watchdog <= fab.now {
            // a reset: everything is lost, and the host boots
            fab.switch_power(self.number, false);
            fab.switch_power(self.number, true);
        }
    }

    /// A deadline of the daemon may have come.
    pub(super) fn heartbeat_deadline(&mut self, fab: &mut Fabric) {
        self.with_heartbeat(fab, |d, fab| {
            if d.armed <= fab.now {
                d.armed = Time::NEVER;
            }
            if d.frozen.is_none() {
                d.machine.wake(fab.now, &mut d.actions);
            }
        });
    }

    /// What came of the connection to the fencing device, or of an echo request to a ping node.
    pub(super) fn heartbeat_found(&mut self, fab: &mut Fabric, caller: u32, finding: Finding) {
        self.with_heartbeat(fab, |d, fab| match finding {
            Finding::Connected => d.machine.device_reached(),
            Finding::Echo => {
                let node = (caller as usize).wrapping_sub(FIRST_PING as usize);
                d.machine.ping_answered(fab.now, node, &mut d.actions);
            }
            _ => {}
        });
    }

    /// Sends an echo request to every address of a ping node.
    fn ping(&mut self, fab: &mut Fabric, node: usize) {
        let Some(daemon) = &self.daemons.heartbeat else { return };
        let config = daemon.machine.config();
        let timeout = config.deadping;
        for target in config.pings[node].addresses.clone() {
            let question = Question::Echo;
            let target = (target, 0);
            let inquiry = Inquiry { question, target, source: None, source_port: None, timeout };
            // what fails at once is not answered
            let caller = (Process::Heartbeat, FIRST_PING + node as u32);
            let _ = self.ask_server(fab, caller, &inquiry);
        }
    }

    /// A datagram to a port of heartbeat: `false` if nobody listens.
    #[cold]
    pub(in crate::hosts) fn heartbeat_input(&mut self, fab: &mut Fabric, packet: PacketId) -> bool {
        let p = fab.packets[packet];
        let Some(medium) = self.medium_of(fab, &p) else { return false };
        let Some(daemon) = &mut self.daemons.heartbeat else { return false };
        if let Some(bytes) = fab.packets.payload(p.body) {
            if daemon.frozen.is_none() {
                if daemon.machine.next_deadline() <= fab.now {
                    // timers are looked at before sockets
                    daemon.machine.wake(fab.now, &mut daemon.actions);
                }
                daemon.machine.receive(fab.now, medium, bytes, &mut daemon.actions);
            } else if daemon.waiting.len() < SOCKET_KEEPS {
                daemon.waiting.push_back((medium, bytes.to_vec()));
            }
        }
        fab.deliver(packet);
        self.heartbeat_acts(fab);
        true
    }

    /// The medium by which a datagram came, if its sockets are open.
    fn medium_of(&self, fab: &Fabric, p: &Packet) -> Option<usize> {
        let daemon = self.daemons.heartbeat.as_ref()?;
        if !daemon.machine.is_running() {
            return None;
        }
        let config = daemon.machine.config();
        (0..config.media.len()).find(|n| {
            let Some(interface) = daemon.media[*n] else { return false };
            let own = &self.ip.interfaces[usize::from(interface)].addresses;
            let near = || own.iter().any(|a| Prefix::new(a.ip, a.len).contains(p.src));
            match &config.media[*n] {
                Medium::Bcast { .. } => {
                    let to_all = broadcast(self, interface).is_some_and(|(_, all)| all == p.dst);
                    p.dport == config.port && to_all
                }
                Medium::Mcast { group, port, .. } => {
                    p.dport == *port && fab.book.address(p.dst) == *group && near()
                }
                Medium::Ucast { peer, .. } => {
                    p.dport == config.port && fab.book.address(p.src) == *peer
                }
            }
        })
    }

    /// Does what the machine wants.
    fn heartbeat_acts(&mut self, fab: &mut Fabric) {
        let Some(daemon) = &mut self.daemons.heartbeat else { return };
        let mut actions = core::mem::take(&mut daemon.actions);
        for action in actions.drain(..) {
            match action {
                Action::Send(bytes) => self.send_heartbeat(fab, &bytes),
                Action::Start { group, resource } => {
                    self.resource_changes(fab, (group, resource), true);
                }
                Action::Stop { group, resource } => {
                    self.resource_changes(fab, (group, resource), false);
                }
                Action::Announce { group, resource, reply, first } => {
                    self.announce_resource(fab, (group, resource), reply, first);
                }
                Action::Cut { host } => self.cut(fab, &host),
                Action::Reach => self.reach_device(fab),
                Action::Ping { node } => self.ping(fab, node),
                told => self.heartbeat_tells(fab, told),
            }
        }
        let Some(daemon) = &mut self.daemons.heartbeat else { return };
        daemon.actions = actions;
        let at = daemon.machine.next_deadline();
        if daemon.frozen.is_none() && at < daemon.armed {
            daemon.armed = at;
            let event = Event::Daemon { host: self.number, daemon: part::HEARTBEAT };
            fab.queue.push(at, event);
        }
    }

    /// Sends a message by every medium. No interface or no address: nothing is sent.
    fn send_heartbeat(&mut self, fab: &mut Fabric, bytes: &[u8]) {
        let count = self.daemons.heartbeat.as_ref().map_or(0, |d| d.media.len());
        for number in 0..count {
            let Some(daemon) = &self.daemons.heartbeat else { return };
            let config = daemon.machine.config();
            let Some(interface) = daemon.media[number] else { continue };
            let Some((own, all)) = broadcast(self, interface) else { continue };
            let (to, port, mac, ttl) = match &config.media[number] {
                Medium::Bcast { .. } => (all, config.port, Some(MacId::BROADCAST), None),
                Medium::Mcast { group, port, ttl, .. } => {
                    let group = fab.book.number(*group);
                    (group, *port, Some(MacId::of_group_v4(group)), Some(*ttl))
                }
                Medium::Ucast { peer, .. } => (fab.book.number(*peer), config.port, None, None),
            };
            let above = u16::try_from(bytes.len() + 8).unwrap_or(u16::MAX);
            let mut p = Packet::ip(own, to, proto::UDP, above);
            p.sport = FIRST_PORT + self.number % PORTS;
            p.dport = port;
            p.ttl = ttl.unwrap_or(self.ip.sysctl.default_ttl);
            p.set_dont_fragment();
            p.body = fab.packets.insert_payload(bytes.to_vec());
            match mac {
                Some(mac) => {
                    p.dst_mac = mac;
                    p.id = self.ip.next_id();
                    let packet = fab.packets.insert(p);
                    self.ip.emit(fab, interface, packet);
                }
                None => self.ip.originate(fab, &p),
            }
        }
    }

    /// A resource has been started or stopped.
    fn resource_changes(&mut self, fab: &mut Fabric, (g, r): (usize, usize), starts: bool) {
        let Some(daemon) = &self.daemons.heartbeat else { return };
        let place = daemon.places[g][r];
        match daemon.machine.config().groups[g].resources[r].kind.clone() {
            ResourceKind::Address { net, .. } => {
                let done = if starts {
                    self.ip.add_address(&mut fab.book, place, net, false)
                } else {
                    self.ip.remove_address(&mut fab.book, place, net.addr)
                };
                if done {
                    fab.note_address(self.number, net.addr, starts);
                    self.checker_address(net.addr, starts);
                }
            }
            ResourceKind::Ldirectord => {
                let order = if starts { Order::Start } else { Order::Stop };
                self.order(fab, Process::Ldirectord, order);
            }
            ResourceKind::SyncDaemonSwap { interface, syncid } => {
                self.swap_sync_daemon(fab, starts, interface, syncid);
            }
            ResourceKind::Other => {}
        }
    }

    /// `LVSSyncDaemonSwap`: one daemon goes, the other one comes.
    fn swap_sync_daemon(&mut self, fab: &mut Fabric, master: bool, interface: String, syncid: u8) {
        let (role, other) = if master {
            (DaemonRole::Master, DaemonRole::Backup)
        } else {
            (DaemonRole::Backup, DaemonRole::Master)
        };
        let daemon =
            Daemon { role, interface, syncid, group: None, port: None, ttl: None, maxlen: None };
        // the kernel refuses to stop one that does not run
        let _ = self.administer(fab, &Command::StopDaemon(other));
        if self.administer(fab, &Command::StartDaemon(daemon)).is_ok() {
            fab.note(Some(self.number), Kind::Sync, "heartbeat", role.name());
        }
    }

    /// One frame of `send_arp`.
    fn announce_resource(
        &mut self,
        fab: &mut Fabric,
        (g, r): (usize, usize),
        reply: bool,
        first: bool,
    ) {
        let Some(daemon) = &self.daemons.heartbeat else { return };
        let place = daemon.places[g][r];
        let resource = &daemon.machine.config().groups[g].resources[r];
        let ResourceKind::Address { net, announce, .. } = resource.kind else { return };
        let ip = fab.book.number(net.addr);
        if first {
            let frames = (announce.rounds * 2).to_string();
            fab.note(Some(self.number), Kind::Announcement, net.addr.to_string(), frames);
        }
        if ip.is_v6() {
            self.ip.announce(fab, place, ip);
            return;
        }
        let kind = if reply { Frame::ArpReply } else { Frame::ArpRequest };
        self.ip.send_arp(fab, place, kind, (ip, ip), MacId::BROADCAST, MacId::BROADCAST);
    }

    /// The power switch cuts an outlet.
    fn cut(&self, fab: &mut Fabric, host: &str) {
        let Some(daemon) = &self.daemons.heartbeat else { return };
        let outlet = daemon.outlets.iter().find(|(name, _)| name == host);
        let back = daemon.machine.config().stonith.as_ref().and_then(|s| s.power_back);
        if let Some(&(_, host)) = outlet {
            fab.tell_switch(Span::ZERO, Switched { host, on: false, by: Some(self.number) });
            if let Some(after) = back {
                fab.tell_switch(after, Switched { host, on: true, by: None });
            }
        }
    }

    /// Opens a connection to the fencing device.
    fn reach_device(&mut self, fab: &mut Fabric) {
        let Some(daemon) = &self.daemons.heartbeat else { return };
        let device = daemon.machine.config().stonith.as_ref();
        let Some((target, timeout)) = device.and_then(|s| Some((s.address?, s.reset))) else {
            return;
        };
        let question = Question::Connect;
        let inquiry = Inquiry { question, target, source: None, source_port: None, timeout };
        // what fails at once is not reached
        let _ = self.ask_server(fab, (Process::Heartbeat, DEVICE), &inquiry);
        self.tcp_output(fab);
    }

    /// Writes something into the timeline.
    fn heartbeat_tells(&mut self, fab: &mut Fabric, told: Action) {
        let host = Some(self.number);
        let Some(daemon) = &mut self.daemons.heartbeat else { return };
        let config = daemon.machine.config();
        match told {
            Action::Node { node, state } => fab.note(host, Kind::Node, node, state.name()),
            Action::Partition { node } => fab.note(host, Kind::Node, node, "returned"),
            Action::Late { node, .. } => fab.note(host, Kind::Node, node, "late"),
            Action::Medium { node, medium, up } => {
                let link = format!("{node}:{}", config.media[medium].interface());
                fab.note(host, Kind::Medium, link, if up { "up" } else { "dead" });
            }
            Action::Group { group, state } => {
                let first = config.groups[group].resources.first();
                let name = first.map(|r| r.text.clone()).unwrap_or_default();
                fab.note(host, Kind::Resource, name, state.name());
            }
            Action::Fencing { node, state } => {
                let word = match state {
                    FencingState::Begun => "begun",
                    FencingState::Done => "done",
                    FencingState::Failed => "failed",
                };
                fab.note(host, Kind::Fencing, node, word);
            }
            Action::Began if daemon.restarts => {
                daemon.restarts = false;
                fab.note(host, Kind::Process, Process::Heartbeat.name(), "started");
            }
            Action::Ended { restart: true } => {
                daemon.restarts = true;
                fab.note(host, Kind::Process, Process::Heartbeat.name(), "stopped");
            }
            _ => {}
        }
    }
}
