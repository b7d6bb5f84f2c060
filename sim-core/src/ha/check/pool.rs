//! Virtual servers with their real servers: who is in the pool, quorum, sorry server.
//!
//! The order of commands is that of keepalived (`ipwrapper.c`: `init_services`, `perform_svr_state`,
//! `update_quorum_state`, `clear_services`).

use super::{Action, Note};
use crate::config::{FlushOnStop, SorryConfig, VirtualServerConfig};
use crate::ipvs::Command;
use crate::ipvs::rules::{Forwarding, ServerRule, ServiceKey, ServiceRule};
use core::net::IpAddr;

/// A real server or sorry server.
#[derive(Clone, Copy, Debug)]
struct Server {
    rule: ServerRule,
    inhibit: bool,
    /// Checkers that take it for down.
    failed: u32,
    /// keepalived takes it for up (a sorry server: for in use).
    alive: bool,
    /// It is in the pool.
    set: bool,
    /// Weight while it is up, with what checkers add to it.
    weight: i64,
}

/// Largest weight of IPVS here.
const HEAVIEST: i64 = u16::MAX as i64;

impl Server {
    const fn new(rule: ServerRule, inhibit: bool) -> Self {
        let weight = rule.weight as i64;
        Self { rule, inhibit, failed: 0, alive: false, set: false, weight }
    }

    fn weight(&self) -> u16 {
        u16::try_from(self.weight.clamp(0, HEAVIEST)).unwrap_or(u16::MAX)
    }
}

/// A virtual server.
#[derive(Debug)]
pub(super) struct Pool {
    number: u32,
    services: Vec<ServiceRule>,
    servers: Vec<Server>,
    sorry: Option<Server>,
    quorum: u32,
    hysteresis: u32,
    /// Whether the quorum is there.
    pub(super) has_quorum: bool,
    /// Whether checkers wait for an address.
    pub(super) suspends: bool,
    /// Own addresses of the host among those of the services.
    pub(super) present: u32,
}

/// What is done to a server of a pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    Add,
    Edit,
    Delete,
}

impl Pool {
    pub(super) fn new(config: &VirtualServerConfig, number: u32) -> Self {
        let server = |s: &crate::config::RealServerConfig| Server::new(s.rule, s.inhibit);
        let bare = |s: &ServiceRule| ServiceRule { servers: Vec::new(), ..s.clone() };
        Self {
            number,
            services: config.services.iter().map(bare).collect(),
            servers: config.servers.iter().map(server).collect(),
            sorry: config.sorry.map(|SorryConfig { rule, inhibit }| Server::new(rule, inhibit)),
            quorum: config.quorum,
            hysteresis: config.hysteresis,
            has_quorum: false,
            suspends: config.ha_suspend,
            present: 0,
        }
    }

    /// Virtual addresses.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.services.iter().filter_map(|s| match s.key {
            ServiceKey::Address { vip, .. } => Some(vip),
            ServiceKey::Fwmark { .. } => None,
        })
    }

    /// Whether checkers wait.
    pub(super) const fn is_suspended(&self) -> bool {
        self.suspends && self.present == 0
    }

    /// The configured weight of a server.
    pub(super) fn configured(&self, server: u32) -> u16 {
        self.servers[server as usize].rule.weight
    }

    /// Puts the virtual server into IPVS; of its real servers those of which no checker is down at
    /// the start, `failed` of each are.
    pub(super) fn begin(&mut self, failed: impl Fn(u32) -> u32, out: &mut Vec<Action>) {
        self.has_quorum = false;
        for service in &self.services {
            out.push(Action::Command(Command::AddService(service.clone())));
        }
        out.push(Action::Note(Note::Service { pool: self.number, there: true }));
        for number in 0..self.servers.len() {
            let server = &mut self.servers[number];
            server.failed = failed(number as u32);
            server.weight = i64::from(server.rule.weight);
            (server.alive, server.set) = (false, false);
            let up = server.failed == 0;
            if up || server.inhibit {
                self.add(Some(number), out);
                self.servers[number].alive = up;
            }
        }
        if let Some(sorry) = &mut self.sorry {
            (sorry.alive, sorry.set) = (false, false);
        }
        self.weigh(true, out);
        if let Some(sorry) = &mut self.sorry
            && sorry.inhibit
            && !sorry.set
        {
            sorry.failed = 1;
            self.add(None, out);
            if let Some(sorry) = &mut self.sorry {
                sorry.failed = 0;
            }
        }
    }

    /// Takes the virtual server out of IPVS.
    pub(super) fn end(&mut self, how: FlushOnStop, out: &mut Vec<Action>) {
        if how == FlushOnStop::No {
            if self.sorry.is_some_and(|s| s.set) {
                self.change(None, Change::Delete, out);
            }
            for number in 0..self.servers.len() {
                if self.servers[number].set {
                    self.change(Some(number), Change::Delete, out);
                }
            }
        }
        for server in self.servers.iter_mut().chain(&mut self.sorry) {
            (server.alive, server.set) = (false, false);
        }
        if how != FlushOnStop::All {
            for service in &self.services {
                out.push(Action::Command(Command::DeleteService(service.key)));
            }
        }
        self.has_quorum = false;
        out.push(Action::Note(Note::Service { pool: self.number, there: false }));
    }

    /// One more checker of a server is down, or one less.
    pub(super) fn checked(&mut self, server: u32, up: bool, out: &mut Vec<Action>) {
        let number = server as usize;
        let server = &mut self.servers[number];
        server.failed = if up { server.failed.saturating_sub(1) } else { server.failed + 1 };
        let alive = server.failed == 0;
        if alive == server.alive {
            return;
        }
        let served = self.has_quorum || self.sorry.is_none_or(|s| !s.alive);
        if served {
            self.switch(Some(number), alive, out);
        }
        self.servers[number].alive = alive;
        self.weigh(false, out);
    }

    /// The weight of a server is now so much more than the configured one.
    pub(super) fn lean(&mut self, server: u32, more: i64, out: &mut Vec<Action>) {
        let number = server as usize;
        let served = self.has_quorum || self.sorry.is_none_or(|s| !s.alive);
        let server = &mut self.servers[number];
        let before = server.weight();
        server.weight = i64::from(server.rule.weight) + more;
        if server.weight() == before {
            return;
        }
        if server.set && server.alive && served {
            self.change(Some(number), Change::Edit, out);
        }
        self.weigh(false, out);
    }

    /// Looks whether the quorum is gained or lost.
    fn weigh(&mut self, first: bool, out: &mut Vec<Action>) {
        let alive = self.servers.iter().filter(|s| s.alive);
        let sum: u64 = alive.map(|s| u64::from(s.weight())).sum();
        let enough = u64::from(self.quorum) + u64::from(self.hysteresis);
        let least = u64::from(self.quorum.saturating_sub(self.hysteresis));
        if !self.has_quorum && sum >= enough {
            self.has_quorum = true;
            out.push(Action::Note(Note::Quorum { pool: self.number, gained: true }));
            if self.sorry.is_some_and(|s| s.alive) {
                self.set_sorry(false, out);
                self.switch_alive(true, out);
            }
        } else if self.has_quorum && (sum == 0 || sum < least) || first && !self.has_quorum {
            self.has_quorum = false;
            out.push(Action::Note(Note::Quorum { pool: self.number, gained: false }));
            if self.sorry.is_some() {
                self.set_sorry(true, out);
                self.switch_alive(false, out);
            }
        }
    }

    fn set_sorry(&mut self, on: bool, out: &mut Vec<Action>) {
        self.switch(None, on, out);
        if let Some(sorry) = &mut self.sorry {
            sorry.alive = on;
        }
    }

    fn switch_alive(&mut self, on: bool, out: &mut Vec<Action>) {
        for number in 0..self.servers.len() {
            if self.servers[number].alive {
                self.switch(Some(number), on, out);
            }
        }
    }

    /// Puts a server (`None`: the sorry server) into the pool or takes it out, or changes its weight
    /// if it is one that stays.
    fn switch(&mut self, number: Option<usize>, on: bool, out: &mut Vec<Action>) {
        if on {
            self.add(number, out);
            return;
        }
        let Some(server) = self.server(number) else { return };
        if !server.set {
            return;
        }
        if server.inhibit {
            self.change_to(number, Change::Edit, 0, out);
        } else {
            self.change(number, Change::Delete, out);
        }
    }

    fn add(&mut self, number: Option<usize>, out: &mut Vec<Action>) {
        let Some(server) = self.server(number) else { return };
        if server.set {
            // one that was inhibited, or one that is there already: the kernel refuses that
            if server.inhibit {
                self.change(number, Change::Edit, out);
            }
            return;
        }
        let down = server.inhibit && server.failed > 0;
        let weight = if down { 0 } else { server.weight() };
        self.change_to(number, Change::Add, weight, out);
    }

    fn server(&self, number: Option<usize>) -> Option<&Server> {
        match number {
            Some(number) => self.servers.get(number),
            None => self.sorry.as_ref(),
        }
    }

    fn change(&mut self, number: Option<usize>, change: Change, out: &mut Vec<Action>) {
        let weight = self.server(number).map_or(0, Server::weight);
        self.change_to(number, change, weight, out);
    }

    fn change_to(
        &mut self,
        number: Option<usize>,
        change: Change,
        weight: u16,
        out: &mut Vec<Action>,
    ) {
        let server = match number {
            Some(number) => self.servers.get_mut(number),
            None => self.sorry.as_mut(),
        };
        let Some(server) = server else { return };
        server.set = change != Change::Delete;
        for service in &self.services {
            let rule = ServerRule { weight, ..placed(server.rule, service.key) };
            out.push(Action::Command(match change {
                Change::Add => Command::AddServer(service.key, rule),
                Change::Edit => Command::EditServer(service.key, rule),
                Change::Delete => Command::DeleteServer(service.key, rule.rip, rule.port),
            }));
        }
        out.push(Action::Note(Note::Server {
            pool: self.number,
            server: number.map(|n| n as u32),
            weight: (change != Change::Delete).then_some(weight),
        }));
    }
}

/// The rule of a server in a service: only with NAT it has a port of its own.
const fn placed(rule: ServerRule, key: ServiceKey) -> ServerRule {
    let port = match (rule.forwarding, key) {
        (Forwarding::Nat | Forwarding::FullNat, _) => rule.port,
        (_, ServiceKey::Address { port, .. }) => port,
        (_, ServiceKey::Fwmark { .. }) => 0,
    };
    ServerRule { port, ..rule }
}
