//! Hosts: the IP stack, TCP, IPVS and applications of a machine put together.
//!
//! A [`Host`] takes in what links deliver and what it asked to be woken for, and puts packets on
//! links. Protocol rules are not written here but in `net`, `tcp`, `ipvs` and `ha`; here is the order in
//! which a Linux host applies them.

mod address;
mod answer;
mod arp;
pub mod client;
mod conversation;
pub mod cpu;
pub mod daemon;
mod datagram;
pub mod director;
mod explain;
pub mod fabric;
mod harm;
mod input;
mod input6;
pub mod ip;
mod ip6;
pub mod netfilter;
pub mod power;
pub mod proxy;
pub mod script;
pub mod server;
mod sharing;
mod sync;
mod trace;
pub mod tunnel;

use crate::engine::Time;
use crate::net::fragment::Reassembly;
use crate::tcp::TcpStack;
use crate::wire::{Kind, MacId, PacketId};
use client::{ClientApplication, Plan, Session};
use cpu::Cpu;
use daemon::Daemons;
use datagram::Sockets;
use director::Director;
pub use explain::Before;
use fabric::{Event, Fabric, NO_TAP};
use ip::IpStack;
use power::{Power, PowerState};
use script::Scripts;
use server::{Reply, Servers};
use tunnel::Tunnels;

/// A machine with an IP stack. What every packet needs stands first.
#[derive(Debug)]
#[repr(C)]
pub struct Host {
    /// IP: interfaces, addresses, routes, neighbours, output.
    pub ip: IpStack,
    /// TCP.
    pub tcp: TcpStack,
    /// Name.
    pub name: String,
    /// Number in the world.
    pub number: u16,
    /// Fragments.
    pub reassembly: Reassembly,
    /// IPVS, if the host is a director.
    director: Option<Box<Director>>,
    /// What unwraps tunnel packets.
    pub tunnels: Tunnels,
    /// Earliest wake-up for fragments in the event queue.
    reassembly_armed: Time,
    /// CPU that received packets pass.
    pub cpu: Option<Box<Cpu>>,
    /// Server applications.
    pub servers: Servers,
    /// Index of the first server application's observation in the results.
    pub server_row: u32,
    /// Client applications.
    pub clients: Vec<ClientApplication>,
    /// Conversations of the client applications.
    pub sessions: Vec<Session>,
    free_sessions: Vec<u32>,
    /// What is led by hand.
    pub scripts: Scripts,
    /// Programs that keep the cluster alive.
    pub daemons: Daemons,
    power: Power,
    sockets: Sockets,
    plan: Plan,
    replies: Vec<Reply>,
}

impl Host {
    /// A host without applications around an IP stack and a TCP.
    pub fn new(name: String, ip: IpStack, tcp: TcpStack, plan: Plan) -> Self {
        Self {
            name,
            number: ip.host,
            ip,
            tcp,
            reassembly: Reassembly::new(),
            director: None,
            tunnels: Tunnels::default(),
            reassembly_armed: Time::NEVER,
            cpu: None,
            servers: Servers::default(),
            server_row: 0,
            clients: Vec::new(),
            sessions: Vec::new(),
            free_sessions: Vec::new(),
            scripts: Scripts::default(),
            daemons: Daemons::default(),
            power: Power::default(),
            sockets: Sockets::default(),
            plan,
            replies: Vec::new(),
        }
    }

    /// Makes the host a director.
    pub fn set_director(&mut self, director: Director) {
        self.director = Some(Box::new(director));
        self.ip.set_balances();
    }

    /// Puts the first events of the applications into the queue.
    pub fn begin(&mut self, fab: &mut Fabric) {
        for (i, client) in self.clients.iter_mut().enumerate() {
            client.begin(fab, self.number, i as u32);
        }
        self.begin_daemons(fab);
    }

    /// The link of an interface has come up: its addresses are announced if `arp_notify` says so.
    pub fn link_up(&mut self, fab: &mut Fabric, interface: u16) {
        if self.power() != PowerState::Running {
            self.carrier_asleep(interface, true);
            return;
        }
        self.vrrp_link(fab, interface, true);
        let i = &self.ip.interfaces[interface as usize];
        if !i.sysctl.arp_notify {
            return;
        }
        let addresses: Vec<_> = i.ips().collect();
        for ip in addresses {
            self.ip.announce(fab, interface, ip);
        }
    }

    /// The link of an interface has gone down.
    pub fn link_down(&mut self, fab: &mut Fabric, interface: u16) {
        if self.power() == PowerState::Running {
            self.ip.carrier_lost(fab, interface);
            self.vrrp_link(fab, interface, false);
        } else {
            self.carrier_asleep(interface, false);
        }
    }

    /// A frame came in by an interface.
    #[inline]
    pub fn receive(&mut self, fab: &mut Fabric, interface: u16, packet: PacketId) {
        let i = &self.ip.interfaces[interface as usize];
        let p = &fab.packets[packet];
        if !i.plain || p.dst_mac != i.mac || p.kind != Kind::Ipv4 {
            self.receive_slow(fab, interface, packet);
            return;
        }
        self.ip.counters.packets_in += 1;
        self.ip.counters.bytes_in += u64::from(p.len);
        self.ip_input(fab, interface, packet);
        self.settle(fab);
    }

    #[cold]
    fn receive_slow(&mut self, fab: &mut Fabric, interface: u16, packet: PacketId) {
        if self.power() != PowerState::Running {
            self.receive_asleep(fab, interface, packet);
            return;
        }
        let i = &self.ip.interfaces[interface as usize];
        if i.tap != NO_TAP {
            fab.tap(i.tap, crate::observe::capture::Direction::In, packet);
        }
        let p = &fab.packets[packet];
        let member = || {
            p.dst_mac.is_group()
                && (self.ip.is_member(&fab.book, interface, p.dst)
                    || self.daemons.hears_adverts(interface, p.dst)
                    || self.listens(&fab.book, interface, p.dst))
        };
        let for_us = p.dst_mac == i.mac || p.dst_mac == MacId::BROADCAST || i.has_vmac(p.dst_mac);
        if !for_us && !member() {
            fab.ignore(self.number, packet);
            return;
        }
        if !p.kind.is_ip() {
            self.ip.arp_input(fab, interface, packet);
            self.settle(fab);
            return;
        }
        self.ip.counters.packets_in += 1;
        self.ip.counters.bytes_in += u64::from(p.len);
        if self.cpu.is_some() {
            self.cpu_receive(fab, interface, packet);
        } else {
            self.any_input(fab, interface, packet);
            self.settle(fab);
        }
    }

    /// An IP packet of either family came in by an interface.
    fn any_input(&mut self, fab: &mut Fabric, interface: u16, packet: PacketId) {
        if fab.packets[packet].kind == Kind::Ipv6 {
            self.ip6_input(fab, interface, packet);
        } else if fab.packets[packet].dst_mac.is_group() {
            self.group_input(fab, interface, packet);
        } else {
            self.ip_input(fab, interface, packet);
        }
    }

    /// IPVS, if the host is a director.
    pub fn director(&self) -> Option<&Director> {
        self.director.as_deref()
    }

    /// The same, to be changed.
    pub fn director_mut(&mut self) -> Option<&mut Director> {
        self.director.as_deref_mut()
    }

    /// Handles an event of this host.
    pub fn handle(&mut self, fab: &mut Fabric, event: Event) {
        match event {
            Event::Neighbour { entry, .. } => self.ip.neighbour_deadline(fab, entry),
            Event::Tcp { slot, .. } => {
                self.tcp.on_wake(fab.now, slot, &mut fab.out);
                self.tcp_output(fab);
            }
            Event::Ipvs { .. } => self.director_deadline(fab),
            Event::Cpu { .. } => self.cpu_done(fab),
            Event::Routes { .. } => self.ip.routes_deadline(fab),
            Event::Conntrack { .. } => self.ip.conntrack_deadline(fab),
            Event::Proxy { .. } => self.ip.proxy_deadline(fab),
            Event::Reassembly { .. } => self.reassembly_deadline(fab),
            Event::Client { application, .. } => self.client_start(fab, application),
            Event::Session { session, .. } => self.session_wake(fab, session),
            Event::Script { script, .. } => self.script_wake(fab, script),
            Event::Daemon { daemon, .. } => self.daemon_deadline(fab, daemon),
            Event::Probe { probe, .. } => self.probe_deadline(fab, probe),
            Event::Served { job, .. } => {
                let reply = self.servers.served(self.number, fab, job);
                self.replies.extend(reply);
                self.answer(fab);
            }
            Event::Close { visit, .. } => self.server_close(fab, visit),
            Event::Shared { application, .. } => {
                self.servers.shared(self.number, fab, application, &mut self.replies);
                self.answer(fab);
            }
            Event::Arrive { .. }
            | Event::Late { .. }
            | Event::Link { .. }
            | Event::Fault { .. }
            | Event::Sample
            | Event::Operator { .. } => {
                debug_assert!(false, "an event of the world, not of a host");
            }
        }
        self.settle(fab);
    }

    /// Takes in what the host sent to itself and answers for what could not be delivered.
    #[inline]
    fn settle(&mut self, fab: &mut Fabric) {
        if self.ip.unsettled {
            self.settle_slow(fab);
        }
    }

    #[cold]
    fn settle_slow(&mut self, fab: &mut Fabric) {
        loop {
            if !self.ip.loopback.is_empty() {
                // what was sent first comes in first
                let packet = self.ip.loopback.remove(0);
                self.looped_input(fab, packet);
            } else if !self.ip.undeliverable.is_empty() {
                // in the order in which they waited
                let (interface, packet) = self.ip.undeliverable.remove(0);
                if interface == netfilter::REJECTED {
                    self.output_rejected(fab, packet);
                } else {
                    self.host_unreachable(fab, packet);
                }
            } else {
                self.ip.unsettled = false;
                return;
            }
        }
    }
}
