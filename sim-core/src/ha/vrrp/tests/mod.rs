//! Virtual routers on a wire without a world around them.

mod elections;
mod groups;
mod owners;
mod random;
mod tracking;

use super::*;
use crate::config::{GarpConfig, Net, Track, VirtualAddress, v4};
use crate::wire::Advert;

/// Delay of the wire.
const WIRE: Span = Span::from_micros(50);

/// A machine with its address and what it did: time in microseconds.
struct Node {
    vrrp: Vrrp,
    config: VrrpConfig,
    address: IpAddr,
    alive: bool,
    hears: bool,
    did: Vec<(u64, Action)>,
}

/// Nodes on one link, on which everybody hears everybody.
struct Wire {
    now: Time,
    nodes: Vec<Node>,
    /// When, to whom, for which instance, what.
    on_its_way: Vec<(Time, usize, usize, Advert, IpAddr)>,
}

fn us(us: u64) -> Time {
    Time::ZERO + Span::from_micros(us)
}

/// `VI_1` on `eth0` with one address.
fn single(change: impl Fn(&mut VrrpInstance)) -> VrrpConfig {
    let mut instance = VrrpInstance::new("VI_1", "eth0", 51);
    instance.addresses.push(VirtualAddress::new(Net::host(v4(192, 168, 10, 200))));
    change(&mut instance);
    VrrpConfig { instances: vec![instance], ..VrrpConfig::default() }
}

fn priority(priority: u8) -> VrrpConfig {
    single(|i| i.priority = priority)
}

impl Wire {
    /// Nodes 192.168.10.101, .102 and so on, all started at time 0.
    fn new(configs: Vec<VrrpConfig>) -> Self {
        let mut wire = Self { now: Time::ZERO, nodes: Vec::new(), on_its_way: Vec::new() };
        for (i, config) in configs.into_iter().enumerate() {
            let address = v4(192, 168, 10, 101 + i as u8);
            let vrrp = Vrrp::new(&config);
            let did = Vec::new();
            wire.nodes.push(Node { vrrp, config, address, alive: false, hears: true, did });
            wire.start(i);
        }
        wire
    }

    fn start(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        node.vrrp = Vrrp::new(&node.config);
        node.alive = true;
        let link = Link { up: true, v4: Some(node.address), v6: None };
        let mut out = Vec::new();
        node.vrrp.start(self.now, |_| link, &mut out);
        self.act(n, &out);
    }

    fn kill(&mut self, n: usize) {
        self.nodes[n].alive = false;
    }

    fn stop(&mut self, n: usize) {
        let mut out = Vec::new();
        self.nodes[n].vrrp.stop(&mut out);
        self.act(n, &out);
        self.nodes[n].alive = false;
    }

    fn link(&mut self, n: usize, interface: &str, up: bool) {
        let mut out = Vec::new();
        self.nodes[n].vrrp.link(self.now, interface, up, &mut out);
        self.act(n, &out);
    }

    fn act(&mut self, n: usize, out: &[Action]) {
        let stamp = self.now.as_nanos() / 1_000;
        let from = self.nodes[n].address;
        for action in out {
            self.nodes[n].did.push((stamp, *action));
            let Action::Advert { instance, priority } = *action else { continue };
            let vrrp = &self.nodes[n].vrrp;
            let c = vrrp.config(usize::from(instance)).unwrap();
            let advert = Advert {
                version: c.version.number(),
                vrid: c.vrid,
                priority,
                interval: vrrp.advert_interval(usize::from(instance)),
                auth: c.auth,
                addresses: c.addresses.iter().map(|a| a.net.addr).collect(),
            };
            for to in (0..self.nodes.len()).filter(|to| *to != n) {
                let found = self.nodes[to].config.instances.iter();
                if let Some(i) = found.into_iter().position(|i| i.vrid == advert.vrid) {
                    self.on_its_way.push((self.now + WIRE, to, i, advert.clone(), from));
                }
            }
        }
    }

    /// Runs until a time in microseconds.
    fn run(&mut self, until: u64) {
        let until = us(until);
        loop {
            let deadlines = self.nodes.iter().enumerate().filter(|(_, n)| n.alive);
            let wake = deadlines.map(|(i, n)| (n.vrrp.next_deadline(), i)).min();
            let arrival = self.on_its_way.iter().map(|m| m.0).min();
            let wake_at = wake.map_or(Time::NEVER, |w| w.0);
            let next = arrival.unwrap_or(Time::NEVER).min(wake_at);
            if next > until {
                self.now = until;
                return;
            }
            self.now = next;
            let mut out = Vec::new();
            if let Some(m) = self.on_its_way.iter().position(|m| m.0 == next) {
                let (_, to, instance, advert, from) = self.on_its_way.remove(m);
                let node = &mut self.nodes[to];
                if node.alive && node.hears {
                    let heard = Heard { advert: &advert, from, ttl: 255, multicast: true };
                    node.vrrp.receive(next, instance, &heard, &mut out);
                    self.act(to, &out);
                }
            } else if let Some((_, n)) = wake {
                self.nodes[n].vrrp.wake(next, &mut out);
                self.act(n, &out);
            }
        }
    }

    fn state(&self, n: usize) -> State {
        self.nodes[n].vrrp.state(0)
    }

    /// When the first instance of a node became this, in microseconds.
    fn became(&self, n: usize, state: State) -> Vec<u64> {
        let is = |a: &Action| *a == Action::State { instance: 0, state };
        self.nodes[n].did.iter().filter(|(_, a)| is(a)).map(|(t, _)| *t).collect()
    }

    /// When the first instance of a node sent adverts and of which priority.
    fn sent(&self, n: usize) -> Vec<(u64, u8)> {
        let advert = |(t, a): &(u64, Action)| match a {
            Action::Advert { instance: 0, priority } => Some((*t, *priority)),
            _ => None,
        };
        self.nodes[n].did.iter().filter_map(advert).collect()
    }

    /// When the first instance of a node announced its addresses and how many times.
    fn announced(&self, n: usize) -> Vec<(u64, u32)> {
        let burst = |(t, a): &(u64, Action)| match a {
            Action::Announce { instance: 0, repeat, .. } => Some((*t, *repeat)),
            _ => None,
        };
        self.nodes[n].did.iter().filter_map(burst).collect()
    }
}
