//! A learning switch (a Linux bridge without its CPU).

use crate::engine::{Span, Time};
use crate::wire::MacId;

/// A port: the link direction that leaves by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Port {
    /// Number of the outgoing direction.
    pub direction: u32,
    /// Without carrier, blocked by the spanning tree, or a standby leg of a bond: neither learns nor
    /// forwards.
    pub blocked: bool,
}

/// Where a frame goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Out of the port with this link direction.
    Port(u32),
    /// Out of every port that is not blocked, the newest first, but not back.
    Flood,
    /// Nowhere: it came in by a blocked port or would go back where it came from.
    Nowhere,
}

#[derive(Clone, Copy, Debug)]
struct Learned {
    seen: Time,
    direction: u32,
    port: u16,
}

const UNKNOWN: Learned = Learned { seen: Time::ZERO, direction: u32::MAX, port: u16::MAX };

/// A learning switch.
#[derive(Debug)]
pub struct Switch {
    /// Name.
    pub name: String,
    /// Ports in the order of the links.
    pub ports: Vec<Port>,
    ageing: Span,
    /// By [`MacId`]: a run has few addresses, so the table is an array.
    table: Vec<Learned>,
}

impl Switch {
    /// A switch without ports that forgets addresses after `ageing`.
    pub fn new(name: String, ageing: Span) -> Self {
        Self { name, ports: Vec::new(), ageing, table: Vec::new() }
    }

    /// Learns the sender of a frame that came in by `port` and says where the frame goes.
    ///
    /// A learned address is good for `ageing` after its last frame. An unknown or broadcast
    /// destination is flooded (`br_flood`; the newest port is the first in the bridge's list).
    #[inline]
    pub fn decide(&mut self, now: Time, port: u16, src: MacId, dst: MacId) -> Decision {
        let inward = self.ports[port as usize];
        if inward.blocked {
            return Decision::Nowhere;
        }
        self.learn(src, Learned { seen: now, direction: inward.direction, port });
        let Some(entry) = self.table.get(dst.0 as usize) else { return Decision::Flood };
        if entry.port == u16::MAX || now.saturating_since(entry.seen) >= self.ageing {
            return Decision::Flood;
        }
        if entry.port == port { Decision::Nowhere } else { Decision::Port(entry.direction) }
    }

    #[inline]
    fn learn(&mut self, src: MacId, learned: Learned) {
        if src.0 >= MacId::ZERO.0 {
            return;
        }
        let slot = src.0 as usize;
        if slot >= self.table.len() {
            self.table.resize(slot + 1, UNKNOWN);
        }
        self.table[slot] = learned;
    }

    /// Forgets what was learned on a port whose link went down.
    pub fn forget_port(&mut self, port: u16) {
        for entry in &mut self.table {
            if entry.port == port {
                *entry = UNKNOWN;
            }
        }
    }

    /// Forgets everything that was learned.
    pub fn forget_all(&mut self) {
        self.table.clear();
    }

    /// The ports a frame from `port` is flooded to, the newest first.
    pub fn flood(&self, port: u16) -> impl Iterator<Item = u32> + '_ {
        self.ports
            .iter()
            .enumerate()
            .rev()
            .filter(move |(i, p)| *i != port as usize && !p.blocked)
            .map(|(_, p)| p.direction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch() -> Switch {
        let mut s = Switch::new("sw".into(), Span::from_secs(300));
        s.ports = (0..4).map(|direction| Port { direction, blocked: direction == 3 }).collect();
        s
    }

    #[test]
    fn an_address_is_flooded_until_learned_and_again_when_aged() {
        let mut s = switch();
        let (a, b) = (MacId(0), MacId(1));
        assert_eq!(s.decide(Time::ZERO, 0, a, b), Decision::Flood);
        assert_eq!(s.decide(Time::ZERO, 1, b, a), Decision::Port(0));
        assert_eq!(s.decide(Time::ZERO, 0, a, MacId::BROADCAST), Decision::Flood);
        let later = Time::ZERO + Span::from_secs(300);
        assert_eq!(s.decide(later, 1, b, a), Decision::Flood);
    }

    #[test]
    fn a_flood_leaves_by_the_newest_port_first_and_never_by_a_blocked_one() {
        let s = switch();
        assert_eq!(s.flood(1).collect::<Vec<_>>(), vec![2, 0]);
    }

    #[test]
    fn an_address_that_moves_is_followed() {
        let mut s = switch();
        s.decide(Time::ZERO, 0, MacId(0), MacId::BROADCAST);
        s.decide(Time::ZERO, 2, MacId(0), MacId::BROADCAST);
        assert_eq!(s.decide(Time::ZERO, 1, MacId(1), MacId(0)), Decision::Port(2));
        s.forget_port(2);
        assert_eq!(s.decide(Time::ZERO, 1, MacId(1), MacId(0)), Decision::Flood);
    }
}
