//! Links that go down and up, and what the world keeps.

use super::{Link, World};
use crate::hosts::fabric::{Place, Reason};
use crate::hosts::power::PowerState;
use crate::net::link::Endpoint;
use crate::net::topology;
use crate::observe::timeline::Kind;

/// How much a world keeps: numbers of slots, which are used again and never given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// Packets.
    pub packets: usize,
    /// Conversations of client applications.
    pub sessions: usize,
    /// Connections of server applications.
    pub visits: usize,
    /// Requests in server applications.
    pub jobs: usize,
    /// Connections of TCP.
    pub connections: usize,
    /// Connections that netfilter tracks, those included that have expired and not been removed.
    pub tracked: usize,
}

impl World {
    /// A link goes down or up.
    pub(super) fn link_event(&mut self, index: u32) {
        let event = &self.link_events[index as usize];
        let found = self.links.iter().position(|l| l.name == event.link);
        let Some(number) = found else { return };
        if self.links[number].wanted != event.up {
            let now = if event.up { "over" } else { "link down" };
            self.fabric.note(None, Kind::Fault, event.link.as_str(), now);
        }
        self.links[number].wanted = event.up;
        self.refresh_link(number);
    }

    /// Something holds a link down from now on, or not any more.
    pub(super) fn hold_link(&mut self, number: usize, down: bool) {
        let held = &mut self.links[number].held;
        debug_assert!(down || *held > 0, "a link is let go as often as it is held");
        *held = if down { *held + 1 } else { held.saturating_sub(1) };
        self.refresh_link(number);
    }

    /// A link goes down or up, if it is not what it should be.
    fn refresh_link(&mut self, number: usize) {
        let link = &mut self.links[number];
        let up = link.wanted && link.held == 0;
        if link.up == up {
            return;
        }
        link.up = up;
        let directions = link.directions;
        for direction in directions {
            let lost = self.fabric.directions[direction as usize].set_up(up);
            for packet in lost {
                self.fabric.drop(Place::Link(direction), Reason::LinkDown, packet);
            }
        }
        self.assign_links();
        for direction in directions {
            match self.fabric.directions[direction as usize].to {
                Endpoint::Switch { switch, port } => {
                    self.switches[switch as usize].forget_port(port);
                }
                Endpoint::Host { host, interface } => self.carrier(host, interface, up, direction),
            }
        }
    }

    /// The link that `into` leads out of has gone down or come up at an interface. A bond that has
    /// another leg in use keeps its carrier.
    fn carrier(&mut self, host: u16, interface: u16, up: bool, into: u32) {
        let h = &mut self.hosts[host as usize];
        if h.ip.interfaces[interface as usize].direction != into ^ 1 {
            return;
        }
        if up {
            h.link_up(&mut self.fabric, interface);
        } else {
            h.link_down(&mut self.fabric, interface);
        }
    }

    /// Decides by the present state of the links which legs of bonds are in use and which ports of
    /// switches are blocked.
    ///
    /// The spanning tree is that of the links that are up, at once (a rapid one, IEEE 802.1w, needs
    /// some milliseconds); where it changes, its switches forget what they learned (topology change).
    pub(super) fn assign_links(&mut self) {
        let links = &self.links;
        let closed = topology::spanning_tree_with(&self.plan, |l| links[l].up);
        let carries: Vec<bool> = (0..links.len())
            .map(|l| links[l].up && !closed.contains(&l) && self.is_in_use(l))
            .collect();
        let mut changed = false;
        for (number, &carries) in carries.iter().enumerate() {
            let (directions, up) = (self.links[number].directions, self.links[number].up);
            for direction in directions {
                match self.fabric.directions[direction as usize].to {
                    Endpoint::Switch { switch, port } => {
                        let port = &mut self.switches[switch as usize].ports[port as usize];
                        changed |= port.blocked == carries && up;
                        port.blocked = !carries;
                    }
                    Endpoint::Host { host, interface } if carries => {
                        self.use_leg(host, interface, direction ^ 1);
                    }
                    Endpoint::Host { .. } => {}
                }
            }
        }
        if changed {
            for (switch, config) in self.switches.iter_mut().zip(&self.plan.switches) {
                if config.spanning_tree {
                    switch.forget_all();
                }
            }
        }
    }

    /// A standby leg is in use while each active leg of its bond, and each standby leg before it, is
    /// down; a standby leg of no bond never is.
    fn is_in_use(&self, number: usize) -> bool {
        let link = &self.links[number];
        if !link.standby {
            return true;
        }
        let mut active = false;
        for (other, l) in self.links.iter().enumerate() {
            if self.share_a_bond(link, l) && (!l.standby || other < number) {
                if l.up {
                    return false;
                }
                active |= !l.standby;
            }
        }
        active
    }

    /// Whether two links end at one interface of a host, or both join the same two switches.
    fn share_a_bond(&self, one: &Link, other: &Link) -> bool {
        let ends = |l: &Link| l.directions.map(|d| self.fabric.directions[d as usize].to);
        let switch = |e: Endpoint| match e {
            Endpoint::Switch { switch, .. } => Some(switch),
            Endpoint::Host { .. } => None,
        };
        let (a, b) = (ends(one), ends(other));
        if let [Some(a0), Some(a1)] = a.map(switch) {
            return matches!(b.map(switch), [Some(b0), Some(b1)]
                if (b0, b1) == (a0, a1) || (b1, b0) == (a0, a1));
        }
        a.iter().any(|e| matches!(e, Endpoint::Host { .. }) && b.contains(e))
    }

    /// An interface sends by this direction from now on; when a bond changes its leg, it tells the
    /// network where its addresses are now (`bond_send_gratuitous_arp`, `num_grat_arp` 1).
    fn use_leg(&mut self, host: u16, interface: u16, direction: u32) {
        let h = &mut self.hosts[host as usize];
        let i = &mut h.ip.interfaces[interface as usize];
        if i.direction == direction {
            return;
        }
        i.direction = direction;
        let addresses: Vec<_> = i.ips().collect();
        if h.power() != PowerState::Running {
            return;
        }
        for ip in addresses {
            h.ip.announce(&mut self.fabric, interface, ip);
        }
    }

    /// How much the world keeps now.
    pub fn memory(&self) -> Memory {
        let mut all = Memory { packets: self.fabric.packets.slots(), ..Memory::default() };
        for host in &self.hosts {
            let (visits, jobs) = host.servers.slots();
            all.sessions += host.sessions.len();
            all.visits += visits;
            all.jobs += jobs;
            all.connections += host.tcp.slots();
            all.tracked += host.ip.tracked();
        }
        all
    }
}
