//! Routing: longest prefix, then metric; several next hops share flows by a hash.

use crate::engine::rng::mix;
use crate::engine::{FxMap, FxSet};
use crate::wire::{Ip, Packet, Prefix, proto};

/// A next hop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hop {
    /// Outgoing interface.
    pub interface: u16,
    /// Gateway; the destination itself is on the link if absent.
    pub via: Option<Ip>,
}

/// What the table says about an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lookup<'a> {
    /// An address of this host.
    Local,
    /// A broadcast address of a connected prefix, or 255.255.255.255.
    Broadcast,
    /// To be sent by one of these, of which there is at least one.
    Unicast(&'a [Hop]),
    /// No route.
    None,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Route {
    metric: u32,
    hops: Vec<Hop>,
}

/// Routing table of a host.
#[derive(Debug, Default)]
pub struct Routes {
    local: FxSet<u32>,
    broadcast: FxSet<u32>,
    /// By prefix length: network to route. Only lengths in `lengths` have any.
    by_length: Vec<FxMap<u32, Route>>,
    /// Lengths in use, the longest first.
    lengths: Vec<u8>,
}

impl Routes {
    /// An empty table.
    pub fn new() -> Self {
        Self { by_length: vec![FxMap::default(); 33], ..Self::default() }
    }

    /// Makes `ip` an address of this host.
    pub fn add_local(&mut self, ip: Ip) {
        self.local.insert(ip.0);
    }

    /// Whether `ip` is an address of this host (127.0.0.0/8 always is).
    #[inline]
    pub fn is_local(&self, ip: Ip) -> bool {
        self.local.contains(&ip.0) || ip.0 >> 24 == 127
    }

    /// Makes `ip` the broadcast address of a connected prefix.
    pub fn add_broadcast(&mut self, ip: Ip) {
        self.broadcast.insert(ip.0);
    }

    /// Adds a route with at least one hop; the first of two with equal prefix and metric stays, a
    /// lower metric wins.
    pub fn add(&mut self, to: Prefix, metric: u32, hops: Vec<Hop>) {
        debug_assert!(!hops.is_empty(), "a route has a next hop");
        let table = &mut self.by_length[to.len as usize];
        let better = table.get(&to.addr.0).is_none_or(|old| metric < old.metric);
        if better {
            table.insert(to.addr.0, Route { metric, hops });
        }
        if !self.lengths.contains(&to.len) {
            self.lengths.push(to.len);
            self.lengths.sort_unstable_by(|a, b| b.cmp(a));
        }
    }

    /// Looks an address up.
    pub fn lookup(&self, ip: Ip) -> Lookup<'_> {
        if self.is_local(ip) {
            return Lookup::Local;
        }
        if ip == Ip::BROADCAST || self.broadcast.contains(&ip.0) {
            return Lookup::Broadcast;
        }
        for &len in &self.lengths {
            if let Some(route) = self.by_length[len as usize].get(&(ip.0 & Prefix::mask(len))) {
                return Lookup::Unicast(&route.hops);
            }
        }
        Lookup::None
    }

    /// Whether packets to `ip` may leave by `interface`, or by any if `loose`: the reverse path filter
    /// (`fib_validate_source`).
    #[cold]
    pub fn reaches(&self, ip: Ip, interface: u16, loose: bool) -> bool {
        match self.lookup(ip) {
            Lookup::Unicast(hops) => loose || hops.iter().any(|h| h.interface == interface),
            // an own address is judged before, by `accept_local`
            Lookup::Local => true,
            Lookup::Broadcast | Lookup::None => false,
        }
    }

    /// The interface on whose link `gateway` is, if a connected route without gateway leads there.
    pub fn interface_towards(&self, gateway: Ip) -> Option<u16> {
        match self.lookup(gateway) {
            Lookup::Unicast(hops) => hops.first().filter(|h| h.via.is_none()).map(|h| h.interface),
            _ => None,
        }
    }
}

/// Chooses among equal-cost hops by the flow (`fib_multipath_hash_policy` 1: addresses, protocol
/// and, if the packet shows them, ports): a flow keeps its hop, flows spread evenly.
pub fn flow_hash(packet: &Packet) -> u32 {
    let mut h = u64::from(packet.src.0) << 32 | u64::from(packet.dst.0);
    h ^= u64::from(packet.proto) << 17;
    if matches!(packet.proto, proto::TCP | proto::UDP) && !packet.is_fragment() {
        h ^= (u64::from(packet.sport) << 16 | u64::from(packet.dport))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    (mix(h) >> 32) as u32
}

/// The hop of `hops` (not empty) that a flow with this hash takes.
pub fn choose(hops: &[Hop], hash: u32) -> Hop {
    hops[((u64::from(hash) * hops.len() as u64) >> 32) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(interface: u16) -> Vec<Hop> {
        vec![Hop { interface, via: None }]
    }

    #[test]
    fn the_longest_prefix_wins_and_among_equals_the_lowest_metric() {
        let mut r = Routes::new();
        r.add(Prefix::ALL, 0, hop(0));
        r.add(Prefix::new(Ip::new(10, 0, 0, 0), 8), 10, hop(1));
        r.add(Prefix::new(Ip::new(10, 0, 0, 0), 8), 5, hop(2));
        r.add(Prefix::new(Ip::new(10, 1, 0, 0), 16), 0, hop(3));
        r.add_local(Ip::new(10, 1, 0, 1));
        let to = |a, b, c, d| match r.lookup(Ip::new(a, b, c, d)) {
            Lookup::Unicast(hops) => i32::from(hops[0].interface),
            Lookup::Local => -1,
            _ => -2,
        };
        assert_eq!(to(8, 8, 8, 8), 0);
        assert_eq!(to(10, 2, 0, 1), 2);
        assert_eq!(to(10, 1, 9, 9), 3);
        assert_eq!(to(10, 1, 0, 1), -1);
        assert_eq!(to(127, 0, 0, 1), -1);
        assert_eq!(r.interface_towards(Ip::new(10, 1, 0, 7)), Some(3));
    }

    #[test]
    fn without_a_route_there_is_none() {
        assert_eq!(Routes::new().lookup(Ip::new(1, 2, 3, 4)), Lookup::None);
        assert_eq!(Routes::new().lookup(Ip::BROADCAST), Lookup::Broadcast);
    }

    #[test]
    fn flows_spread_over_equal_hops_and_each_keeps_its_own() {
        let hops: Vec<_> = (0..4).map(|i| Hop { interface: i, via: None }).collect();
        let mut counts = [0; 4];
        for port in 0..4000 {
            let mut p = Packet::ipv4(Ip::new(10, 0, 0, 1), Ip::new(10, 9, 9, 9), proto::TCP, 40);
            p.sport = port;
            p.dport = 80;
            assert_eq!(choose(&hops, flow_hash(&p)), choose(&hops, flow_hash(&p)));
            counts[choose(&hops, flow_hash(&p)).interface as usize] += 1;
        }
        // 1000 expected, standard deviation 27: five of them
        assert!(counts.iter().all(|c| (865..=1135).contains(c)), "{counts:?}");
    }
}
