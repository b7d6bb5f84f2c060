//! The VRRP process of keepalived on a host: adverts as packets, addresses that are set and announced.

use super::part;
use crate::config::{GROUP_V4, GROUP_V6, Net, VrrpConfig, VrrpInstance};
use crate::engine::Time;
use crate::ha::vrrp::{Action, Heard, Link, State, Vrrp};
use crate::hosts::Host;
use crate::hosts::fabric::{Event, Fabric, Place, Reason};
use crate::hosts::ip::{IpStack, NO_LINK};
use crate::ipvs::Command;
use crate::ipvs::rules::{Daemon, DaemonRole};
use crate::net::source::is_link_local;
use crate::observe::timeline::Kind;
use crate::wire::vrrp::Auth;
use crate::wire::{Advert, Ip, Mac, MacId, Packet, PacketId, ah, icmp, proto};
use core::net::IpAddr;
use std::collections::VecDeque;

/// Type of service of adverts: internetwork control.
const CONTROL: u8 = 0xc0;
/// Adverts that the socket of a frozen process keeps: 212,992 bytes (`net.core.rmem_default`) of 768 each.
const SOCKET_KEEPS: usize = 277;

/// The VRRP process of a host.
#[derive(Debug)]
pub struct VrrpDaemon {
    config: VrrpConfig,
    running: Option<Box<Running>>,
}

/// What a running process keeps.
#[derive(Debug)]
struct Running {
    machine: Vrrp,
    ports: Vec<Port>,
    actions: Vec<Action>,
    frozen: bool,
    waiting: VecDeque<(Time, Input)>,
    /// Earliest wake-up in the event queue.
    armed: Time,
    /// Roles of the connection synchronisation daemon, as far as this process started it.
    sync: Vec<Daemon>,
    /// The role of the one that follows an instance.
    sync_master: Option<bool>,
}

/// What comes for the process.
#[derive(Debug)]
enum Input {
    Advert { instance: usize, advert: u32, from: Ip, ttl: u8, multicast: bool },
    Link { interface: String, up: bool },
}

/// Where an instance meets the host.
#[derive(Debug)]
struct Port {
    interface: u16,
    source: Ip,
    /// Destination of adverts; that of multicast ones with the Ethernet address.
    peers: Vec<Ip>,
    group: (Ip, MacId),
    /// Ethernet source of adverts.
    mac: MacId,
    vmac: Option<MacId>,
    addresses: Vec<(u16, Net, Ip)>,
    /// Numbers of the adverts it has sent, by priority.
    numbers: Vec<(u8, u32)>,
    above: u16,
    protocol: u8,
    ttl: u8,
    /// IP identification of the last advert, and sequence number of its authentication header.
    id: u16,
}

impl VrrpDaemon {
    /// A process that does not run.
    pub fn new(config: &VrrpConfig) -> Self {
        Self { config: config.clone(), running: None }
    }

    /// Whether it takes what is sent to a group on an interface.
    pub(super) fn listens(&self, interface: u16, group: Ip) -> bool {
        self.running.as_ref().is_some_and(|r| {
            r.ports
                .iter()
                .any(|p| p.interface == interface && p.group.0 == group && p.peers.is_empty())
        })
    }

    /// The state of an instance, by its name; `None` if it is not there or the process does not run.
    pub fn state(&self, instance: &str) -> Option<State> {
        let running = self.running.as_ref()?;
        let at = self.config.instances.iter().position(|i| i.name == instance)?;
        Some(running.machine.state(at))
    }
}

/// What is wrong with virtual routers of a host with these interfaces.
pub fn mistakes(config: &VrrpConfig, interfaces: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    for i in &config.instances {
        let mut say = |what: String| wrong.push(format!("vrrp_instance {}: {what}", i.name));
        if i.vrid == 0 || i.priority == 0 {
            say("virtual_router_id and priority begin at 1".to_owned());
        }
        let devices = i.addresses.iter().chain(&i.excluded).filter_map(|a| a.device.as_ref());
        for device in devices.chain([&i.interface]) {
            if !interfaces.contains(&device.as_str()) {
                say(format!("there is no interface {device}"));
            }
        }
        let v6 = i.is_v6();
        let stated = i.addresses.iter().map(|a| a.net.addr);
        let stated = stated.chain(i.peers.iter().map(|p| p.address)).chain(i.source).chain(i.group);
        for other in stated.filter(|a| a.is_ipv6() != v6) {
            say(format!("{other} is of the other family than the first address"));
        }
    }
    wrong
}

impl Host {
    /// The VRRP process begins.
    pub(super) fn vrrp_start(&mut self, fab: &mut Fabric) {
        let Some(mut daemon) = self.daemons.vrrp.take() else { return };
        if daemon.running.is_none() && !daemon.config.instances.is_empty() {
            let mut machine = Vrrp::new(&daemon.config);
            let mut actions = Vec::new();
            machine.start(fab.now, |name| self.link_facts(fab, name), &mut actions);
            let instances = daemon.config.instances.iter().enumerate();
            let ports = instances.map(|(n, i)| self.vrrp_port(fab, i, machine.source(n))).collect();
            let mut running = Running {
                machine,
                ports,
                actions,
                frozen: false,
                waiting: VecDeque::new(),
                armed: Time::NEVER,
                sync: Vec::new(),
                sync_master: None,
            };
            self.sync_begins(fab, &daemon.config, &mut running);
            self.vrrp_act(fab, &daemon.config, &mut running);
            daemon.running = Some(Box::new(running));
        }
        self.daemons.vrrp = Some(daemon);
    }

    /// The process ends in good order.
    pub(super) fn vrrp_stop(&mut self, fab: &mut Fabric) {
        let Some(mut daemon) = self.daemons.vrrp.take() else { return };
        if let Some(mut running) = daemon.running.take() {
            running.machine.stop(&mut running.actions);
            self.vrrp_act(fab, &daemon.config, &mut running);
            self.sync_ends(fab, &running);
        }
        self.daemons.vrrp = Some(daemon);
    }

    /// The process is gone. What it set stays.
    pub(super) fn vrrp_kill(&mut self) {
        if let Some(daemon) = &mut self.daemons.vrrp {
            daemon.running = None;
        }
    }

    /// The process stands still.
    pub(super) fn vrrp_freeze(&mut self) {
        if let Some(running) = self.daemons.vrrp.as_mut().and_then(|d| d.running.as_mut()) {
            running.frozen = true;
        }
    }

    /// The process goes on: what came while it was frozen is there, and so are timers that ran out. The first to have come
    /// is the first to be seen.
    pub(super) fn vrrp_thaw(&mut self, fab: &mut Fabric) {
        let Some(mut daemon) = self.daemons.vrrp.take() else { return };
        if let Some(running) = &mut daemon.running {
            running.frozen = false;
            let due = running.machine.next_deadline();
            if due <= fab.now && running.waiting.front().is_none_or(|(at, _)| due <= *at) {
                running.machine.wake(fab.now, &mut running.actions);
            }
            while let Some((_, input)) = running.waiting.pop_front() {
                running.see(fab, input);
            }
            running.machine.wake(fab.now, &mut running.actions);
            self.vrrp_act(fab, &daemon.config, running);
        }
        self.daemons.vrrp = Some(daemon);
    }

    /// A deadline of the process may have come.
    pub(super) fn vrrp_deadline(&mut self, fab: &mut Fabric) {
        let now = fab.now;
        self.with_vrrp(fab, |running, _| {
            if running.armed <= now {
                running.armed = Time::NEVER;
            }
            if !running.frozen && running.machine.next_deadline() <= now {
                running.machine.wake(now, &mut running.actions);
            }
        });
    }

    /// An interface has lost its link or got it back.
    pub(in crate::hosts) fn vrrp_link(&mut self, fab: &mut Fabric, interface: u16, up: bool) {
        let name = self.ip.interfaces[usize::from(interface)].name.clone();
        self.with_vrrp(fab, |running, fab| {
            running.take(fab, Input::Link { interface: name, up });
        });
    }

    /// A session of bidirectional forwarding detection has gone up or down.
    pub(super) fn vrrp_bfd(&mut self, fab: &mut Fabric, name: &str, up: bool) {
        self.with_vrrp(fab, |running, fab| {
            running.machine.bfd(fab.now, name, up, &mut running.actions);
        });
    }

    /// Does something with the running process, and then what it wants.
    fn with_vrrp(&mut self, fab: &mut Fabric, what: impl FnOnce(&mut Running, &mut Fabric)) {
        let Some(mut daemon) = self.daemons.vrrp.take() else { return };
        if let Some(running) = &mut daemon.running {
            what(running, fab);
            self.vrrp_act(fab, &daemon.config, running);
        }
        self.daemons.vrrp = Some(daemon);
    }

    /// An advert came in.
    #[cold]
    pub(in crate::hosts) fn advert_input(&mut self, fab: &mut Fabric, packet: PacketId) {
        let p = fab.packets[packet];
        let interface = self.daemons.input;
        let running = self.daemons.vrrp.as_ref().and_then(|d| d.running.as_ref());
        let multicast = p.dst_mac.is_group();
        let vrid = fab.adverts.get(p.seq).map(|a| a.vrid);
        let found = running.and_then(|r| {
            let all = self.daemons.vrrp.iter().flat_map(|d| &d.config.instances);
            all.zip(&r.ports).position(|(i, port)| {
                let to_it = if multicast {
                    port.interface == interface && port.group.0 == p.dst
                } else {
                    port.source == p.dst
                };
                to_it && Some(i.vrid) == vrid
            })
        });
        if running.is_none() && !multicast {
            // no raw socket for this protocol
            self.refuse(fab, packet, icmp::PROTOCOL, Reason::NoProtocol);
            return;
        }
        let Some(instance) = found else {
            fab.drop(Place::Host(self.number), Reason::NoSocket, packet);
            return;
        };
        fab.deliver(packet);
        let input = Input::Advert { instance, advert: p.seq, from: p.src, ttl: p.ttl, multicast };
        self.with_vrrp(fab, |running, fab| running.take(fab, input));
    }

    /// Does what the machine wants and asks to be woken for its next deadline.
    fn vrrp_act(&mut self, fab: &mut Fabric, config: &VrrpConfig, running: &mut Running) {
        let mut actions = core::mem::take(&mut running.actions);
        for action in actions.drain(..) {
            match action {
                Action::Advert { instance, priority } => {
                    self.send_advert(fab, running, usize::from(instance), priority);
                }
                Action::Add { instance } => {
                    self.add_virtual(fab, &running.ports[usize::from(instance)]);
                }
                Action::Remove { instance } => {
                    self.remove_virtual(fab, &running.ports[usize::from(instance)]);
                }
                Action::Announce { instance, repeat, routine } => {
                    let port = &running.ports[usize::from(instance)];
                    self.announce_virtual(fab, port, repeat, routine);
                }
                Action::AnnounceOne { instance, address } => {
                    let port = &running.ports[usize::from(instance)];
                    if let Some((interface, _, ip)) = port.addresses.get(usize::from(address)) {
                        self.gratuitous(fab, *interface, *ip);
                    }
                }
                Action::AnnounceSelf { instance } => {
                    let port = &running.ports[usize::from(instance)];
                    self.gratuitous(fab, port.interface, port.source);
                }
                Action::State { instance, state } => {
                    let name = config.instances[usize::from(instance)].name.clone();
                    fab.note(Some(self.number), Kind::State, name, state.name());
                }
                Action::Group { group, state } => {
                    let name = config.groups[usize::from(group)].name.clone();
                    fab.note(Some(self.number), Kind::State, name, state.name());
                }
                Action::Sync { master } => self.sync_follows(fab, config, running, master),
            }
        }
        running.actions = actions;
        let deadline = running.machine.next_deadline();
        if !running.frozen && deadline < running.armed {
            running.armed = deadline;
            let event = Event::Daemon { host: self.number, daemon: part::VRRP };
            fab.queue.push(deadline.max(fab.now), event);
        }
    }

    fn send_advert(&mut self, fab: &mut Fabric, running: &mut Running, n: usize, priority: u8) {
        let number = match running.ports[n].numbers.iter().find(|(p, _)| *p == priority) {
            Some((_, number)) => *number,
            None => running.number_advert(fab, n, priority),
        };
        let port = &mut running.ports[n];
        let source = port.source;
        if source == Ip::ANY {
            return;
        }
        port.id = port.id.wrapping_add(1);
        let mut p = Packet::ip(source, port.group.0, port.protocol, port.above);
        p.ttl = port.ttl;
        p.tos = CONTROL;
        p.seq = number;
        p.ack = u32::from(port.id);
        for peer in &port.peers {
            p.dst = *peer;
            self.ip.originate(fab, &p);
        }
        if port.peers.is_empty() {
            p.id = if source.is_v6() { 0 } else { port.id };
            p.dst_mac = port.group.1;
            let packet = fab.packets.insert(p);
            self.ip.emit_from(fab, port.interface, port.mac, packet);
        }
    }

    fn add_virtual(&mut self, fab: &mut Fabric, port: &Port) {
        for (interface, net, ip) in &port.addresses {
            // as keepalived sets IPv6 addresses without a prefix
            let deprecated = net.addr.is_ipv6() && net.is_host();
            if self.ip.add_address(&mut fab.book, *interface, *net, deprecated) {
                fab.note_address(self.number, net.addr, true);
                self.checker_address(net.addr, true);
            }
            if let Some(mac) = port.vmac {
                self.ip.set_vmac(*interface, *ip, mac);
            }
        }
    }

    fn remove_virtual(&mut self, fab: &mut Fabric, port: &Port) {
        for (interface, net, _) in &port.addresses {
            if self.ip.remove_address(&mut fab.book, *interface, net.addr) {
                fab.note_address(self.number, net.addr, false);
                self.checker_address(net.addr, false);
            }
        }
    }

    /// Announces every address of an instance, and all of them so many times.
    fn announce_virtual(&mut self, fab: &mut Fabric, port: &Port, repeat: u32, routine: bool) {
        for _ in 0..repeat {
            for (interface, _, ip) in &port.addresses {
                self.gratuitous(fab, *interface, *ip);
            }
        }
        if routine {
            return;
        }
        for (_, net, _) in &port.addresses {
            let (address, times) = (net.addr.to_string(), repeat.to_string());
            fab.note(Some(self.number), Kind::Announcement, address, times);
        }
    }

    /// A gratuitous ARP request as keepalived makes it (`send_gratuitous_arp_immediate`), or an unsolicited neighbour
    /// advertisement.
    fn gratuitous(&mut self, fab: &mut Fabric, interface: u16, ip: Ip) {
        if ip.is_v6() {
            self.ip.announce(fab, interface, ip);
            return;
        }
        let all = MacId::BROADCAST;
        self.ip.send_arp(fab, interface, crate::wire::Kind::ArpRequest, (ip, ip), all, all);
    }

    /// What keepalived finds out about an interface.
    fn link_facts(&self, fab: &Fabric, name: &str) -> Link {
        let Some(i) = self.ip.interfaces.iter().find(|i| i.name == name) else {
            return Link { up: false, v4: None, v6: None };
        };
        let up = i.direction != NO_LINK && fab.directions[i.direction as usize].is_up();
        let v4 = i.addresses.first().map(|a| fab.book.address(a.ip));
        let v6 = i.addresses6.iter().rfind(|a| is_link_local(a.bits));
        Link { up, v4, v6: v6.map(|a| fab.book.address(a.ip)) }
    }

    /// Where an instance with this source meets the host.
    fn vrrp_port(&self, fab: &mut Fabric, config: &VrrpInstance, source: Option<IpAddr>) -> Port {
        let interface = number_of(&self.ip, &config.interface);
        let own = self.ip.interfaces.get(usize::from(interface)).map_or(MacId::ZERO, |i| i.mac);
        let v6 = config.is_v6();
        let group = config.group.unwrap_or(if v6 { GROUP_V6 } else { GROUP_V4 });
        let group_mac = match group {
            IpAddr::V4(a) => MacId::of_group_v4(Ip(a.to_bits())),
            IpAddr::V6(a) => MacId::of_group(a),
        };
        let vmac = config.vmac.as_ref().map(|v| fab.mac_number(v.mac(config.vrid, v6)));
        let base = config.vmac.as_ref().is_none_or(|v| v.transmit_base);
        let all = config.addresses.iter().chain(&config.excluded);
        let addresses = all.map(|a| {
            let device = a.device.as_ref().unwrap_or(&config.interface);
            (number_of(&self.ip, device), a.net, fab.book.number(a.net.addr))
        });
        let protected = matches!(config.auth, Auth::Ah(_));
        Port {
            interface,
            addresses: addresses.collect(),
            source: source.map_or(Ip::ANY, |a| fab.book.number(a)),
            peers: config.peers.iter().map(|p| fab.book.number(p.address)).collect(),
            group: (fab.book.number(group), group_mac),
            mac: vmac.filter(|_| !base).unwrap_or(own),
            vmac,
            numbers: Vec::new(),
            above: if protected { ah::LENGTH as u16 } else { 0 },
            protocol: if protected { proto::AH } else { proto::VRRP },
            ttl: config.ttl,
            id: 0,
        }
    }

    /// The daemon of connection synchronisation: both ends if it follows no instance.
    fn sync_begins(&mut self, fab: &mut Fabric, config: &VrrpConfig, running: &mut Running) {
        let Some(sync) = config.sync_daemon.as_ref().filter(|s| s.instance.is_none()) else {
            return;
        };
        for role in [DaemonRole::Master, DaemonRole::Backup] {
            self.start_sync(fab, running, Daemon { role, ..sync.daemon.clone() });
        }
    }

    fn start_sync(&mut self, fab: &mut Fabric, running: &mut Running, daemon: Daemon) {
        // one that an earlier process left behind goes on
        let _refused = self.administer(fab, &Command::StartDaemon(daemon.clone()));
        running.sync.retain(|d| d.role != daemon.role);
        running.sync.push(daemon);
    }

    /// The daemon of connection synchronisation follows its instance (`ipvs_syncd_master`, `ipvs_syncd_backup`).
    fn sync_follows(
        &mut self,
        fab: &mut Fabric,
        config: &VrrpConfig,
        running: &mut Running,
        master: bool,
    ) {
        let Some(sync) = &config.sync_daemon else { return };
        if running.sync_master == Some(master) {
            return;
        }
        let (role, other) = if master {
            (DaemonRole::Master, DaemonRole::Backup)
        } else {
            (DaemonRole::Backup, DaemonRole::Master)
        };
        if running.sync_master.is_some() {
            running.sync.retain(|d| d.role != other);
            let _refused = self.administer(fab, &Command::StopDaemon(other));
        }
        running.sync_master = Some(master);
        self.start_sync(fab, running, Daemon { role, ..sync.daemon.clone() });
        fab.note(Some(self.number), Kind::Sync, sync_name(&sync.daemon), role.name());
    }

    fn sync_ends(&mut self, fab: &mut Fabric, running: &Running) {
        for daemon in &running.sync {
            let _refused = self.administer(fab, &Command::StopDaemon(daemon.role));
        }
        if let Some(daemon) = running.sync.first() {
            fab.note(Some(self.number), Kind::Sync, sync_name(daemon), "off");
        }
    }
}

/// The name of a synchronisation daemon in the timeline.
fn sync_name(daemon: &Daemon) -> String {
    format!("syncid {}", daemon.syncid)
}

/// The number of an interface; one that does not exist if there is none.
fn number_of(ip: &IpStack, name: &str) -> u16 {
    ip.interfaces.iter().position(|i| i.name == name).map_or(u16::MAX, |i| i as u16)
}

impl Running {
    /// Something comes for the process, which sees it at once or when it goes on.
    fn take(&mut self, fab: &Fabric, input: Input) {
        if self.frozen {
            if self.waiting.len() < SOCKET_KEEPS {
                self.waiting.push_back((fab.now, input));
            }
            return;
        }
        // after a pause of the whole host the timer that ran out is seen first
        if self.machine.next_deadline() < fab.now {
            self.machine.wake(fab.now, &mut self.actions);
        }
        self.see(fab, input);
    }

    fn see(&mut self, fab: &Fabric, input: Input) {
        match input {
            Input::Link { interface, up } => {
                self.machine.link(fab.now, &interface, up, &mut self.actions);
            }
            Input::Advert { instance, advert, from, ttl, multicast } => {
                let Some(advert) = fab.adverts.get(advert) else { return };
                let heard = Heard { advert, from: fab.book.address(from), ttl, multicast };
                self.machine.receive(fab.now, instance, &heard, &mut self.actions);
            }
        }
    }

    /// The number of an advert of this priority, which was not sent before.
    fn number_advert(&mut self, fab: &mut Fabric, n: usize, priority: u8) -> u32 {
        let interval = self.machine.advert_interval(n);
        let Some(config) = self.machine.config(n) else { return 0 };
        let advert = Advert {
            version: config.version.number(),
            vrid: config.vrid,
            priority,
            interval,
            auth: config.auth,
            addresses: config.addresses.iter().map(|a| a.net.addr).collect(),
        };
        let number = fab.adverts.number(&advert);
        let port = &mut self.ports[n];
        if port.numbers.is_empty() {
            port.above += advert.length();
        }
        port.numbers.push((priority, number));
        number
    }
}

impl Fabric {
    /// The number of an Ethernet address, which gets one if it has none.
    pub fn mac_number(&mut self, mac: Mac) -> MacId {
        let found = self.macs.iter().position(|m| *m == mac);
        let number = found.unwrap_or_else(|| {
            self.macs.push(mac);
            self.macs.len() - 1
        });
        MacId(number as u32)
    }
}
