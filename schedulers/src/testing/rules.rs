//! The rules once more, each a plain walk.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::reference::{Key, Reference, Server};
use crate::algorithm::Algorithm;
use crate::flow::Flow;
use crate::hash::{MH_KEY_1, MH_KEY_2, fold, hash_32, siphash13};
use crate::random::RandomSource;

/// An address that `lblc` (one server) or `lblcr` (some, newest first) remembers.
#[derive(Clone, Debug)]
struct Entry {
    addr: IpAddr,
    servers: Vec<Key>,
    last_use: u64,
    last_change: u64,
}

/// What rules keep between choices.
#[derive(Clone, Default, Debug)]
pub(super) struct State {
    /// `rr`, `wrr`: the last one chosen.
    cursor: Option<Key>,
    /// `wrr`.
    current: i32,
    max: i32,
    step: i32,
    /// `dh`, `sh`, `mh`.
    table: Vec<Option<Key>>,
    /// `lblc`, `lblcr`: 1024 chains.
    chains: Vec<Vec<Entry>>,
    count: i32,
    rover: usize,
    runs: u32,
}

fn gcd(a: i32, b: i32) -> i32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Reference {
    /// `init_service`; false if it fails.
    pub(super) fn init(&mut self) -> bool {
        self.state = State { chains: vec![vec![]; 1024], runs: 1, ..State::default() };
        self.measure_weights();
        self.state.current = self.state.max;
        self.fill()
    }

    pub(super) fn added(&mut self) -> bool {
        self.weights_changed();
        self.fill()
    }

    pub(super) fn edited(&mut self) -> bool {
        self.weights_changed();
        // `dh` has no hook for edits.
        self.algorithm == Some(Algorithm::Dh) || self.fill()
    }

    /// `key` was removed; `before` is its former predecessor.
    pub(super) fn removed(&mut self, key: Key, before: Option<Key>) -> bool {
        if self.state.cursor == Some(key) {
            self.state.cursor = before;
        }
        self.weights_changed();
        self.fill()
    }

    pub(super) fn is_remembered(&self, key: Key) -> bool {
        self.state.chains.iter().flatten().any(|e| e.servers.contains(&key))
    }

    pub(super) fn pick(
        &mut self,
        flow: &Flow,
        now: u64,
        random: &mut (impl RandomSource + ?Sized),
    ) -> Option<Key> {
        let weighted = self.list.iter().filter(|s| !s.overload && s.weight > 0);
        match self.algorithm? {
            Algorithm::Rr => self.rr(),
            Algorithm::Wrr => self.wrr(),
            // `min_by_key` takes the first of equals, `max_by_key` the last.
            Algorithm::Lc => weighted.min_by_key(|s| s.overhead() as u32).map(|s| s.key),
            Algorithm::Wlc => fraction(self.list.iter().copied(), Server::overhead),
            Algorithm::Sed => fraction(self.list.iter().copied(), |s| s.active.wrapping_add(1)),
            Algorithm::Nq => match weighted.clone().find(|s| s.active == 0) {
                Some(idle) => Some(idle.key),
                None => fraction(weighted.copied(), |s| s.active.wrapping_add(1)),
            },
            Algorithm::Fo => weighted.rev().max_by_key(|s| s.weight).map(|s| s.key),
            Algorithm::Ovf => {
                let open = weighted.filter(|s| s.active <= s.weight);
                open.rev().max_by_key(|s| s.weight).map(|s| s.key)
            }
            Algorithm::Dh => {
                let key = self.bucket(hash_32(fold(flow.dst), 8))?;
                self.is_free(key).then_some(key)
            }
            Algorithm::Sh => self.sh(flow),
            Algorithm::Mh => self.mh(flow),
            Algorithm::Lblc => self.lblc(flow.dst, now),
            Algorithm::Lblcr => self.lblcr(flow.dst, now),
            Algorithm::Twos => self.twos(random),
        }
    }

    fn rr(&mut self) -> Option<Key> {
        let at = self.list.iter().position(|s| Some(s.key) == self.state.cursor);
        let from = at.map_or(0, |i| i + 1);
        let mut walk = (from..self.list.len()).chain(0..from);
        let found = walk.find(|&i| !self.list[i].overload && self.list[i].weight > 0)?;
        self.state.cursor = Some(self.list[found].key);
        self.state.cursor
    }

    fn measure_weights(&mut self) {
        let weights = || self.list.iter().map(|s| s.weight).filter(|&w| w > 0);
        self.state.step = weights().fold(0, gcd).max(1);
        self.state.max = weights().max().unwrap_or(0) - (self.state.step - 1);
    }

    fn weights_changed(&mut self) {
        if self.algorithm != Some(Algorithm::Wrr) {
            return;
        }
        self.measure_weights();
        let s = &mut self.state;
        s.cursor = None;
        if s.current > s.max || s.current == 0 {
            s.current = s.max;
        } else if s.step > 1 {
            s.current = s.current / s.step * s.step + 1;
        }
    }

    /// The walk of `wrr`, every sweep of it.
    fn wrr(&mut self) -> Option<Key> {
        if self.state.max == 0 {
            return None;
        }
        let last = self.state.cursor;
        let mut from = self.list.iter().position(|s| Some(s.key) == last).map_or(0, |i| i + 1);
        let (mut last_pass, mut restarted, mut stop) = (false, false, None);
        loop {
            for s in &self.list[from..] {
                if !s.overload && s.weight >= self.state.current {
                    self.state.cursor = Some(s.key);
                    return self.state.cursor;
                }
                if stop == Some(s.key) {
                    self.state.cursor = stop;
                    return None;
                }
            }
            from = 0;
            self.state.current -= self.state.step;
            if self.state.current <= 0 {
                self.state.current = self.state.max;
                if last_pass || last.is_none() {
                    self.state.cursor = None;
                    return None;
                }
                restarted = true;
            }
            last_pass = self.state.current <= self.state.step;
            if last_pass && restarted {
                stop = last;
            }
        }
    }

    fn twos(&self, random: &mut (impl RandomSource + ?Sized)) -> Option<Key> {
        let eligible = || self.list.iter().filter(|s| !s.overload && s.weight > 0);
        let mut first = eligible().next_back()?;
        let mut second = None;
        let total = eligible().fold(0i32, |sum, s| sum.wrapping_add(s.weight));
        let ceil = total.wrapping_add(1) as u32;
        let (mut r1, mut r2) = (random.below(ceil) as i32, random.below(ceil) as i32);
        let mut first_found = false;
        for s in eligible() {
            r1 = r1.wrapping_sub(s.weight);
            r2 = r2.wrapping_sub(s.weight);
            if r1 <= 0 && !first_found {
                first = s;
                first_found = true;
            }
            if r2 <= 0 && second.is_none() {
                second = Some(s);
            }
        }
        let better = second.filter(|s| {
            s.weight.wrapping_mul(first.overhead()) > first.weight.wrapping_mul(s.overhead())
        });
        Some(better.unwrap_or(first).key)
    }

    /// Fills the table of `dh`, `sh`, `mh`; false if it fails.
    fn fill(&mut self) -> bool {
        match self.algorithm {
            Some(Algorithm::Dh) => self.state.table = self.buckets(|_| 1),
            Some(Algorithm::Sh) => self.state.table = self.buckets(|s| s.weight.max(1)),
            Some(Algorithm::Mh) => {
                if self.list.len() > self.table.slots() as usize {
                    return false;
                }
                self.state.table = self.maglev();
            }
            _ => {}
        }
        true
    }

    fn buckets(&self, share: impl Fn(&Server) -> i32) -> Vec<Option<Key>> {
        let mut table = vec![None; 256];
        let mut walk = self.list.iter().cycle();
        let Some(mut server) = walk.next() else { return table };
        let mut had = 0;
        for bucket in &mut table {
            *bucket = Some(server.key);
            had += 1;
            if had >= share(server)
                && let Some(next) = walk.next()
            {
                (server, had) = (next, 0);
            }
        }
        table
    }

    fn bucket(&self, i: u32) -> Option<Key> {
        self.state.table.get(i as usize).copied().flatten()
    }

    fn is_free(&self, key: Key) -> bool {
        self.list.iter().any(|s| s.key == key && !s.overload && s.weight > 0)
    }

    fn sh(&self, flow: &Flow) -> Option<Key> {
        let (addr, port) = flow.client();
        let key = fold(addr).wrapping_add(if self.flags.port { u32::from(port) } else { 0 });
        let bucket = |offset: u32| self.bucket((offset + hash_32(key, 8)) & 255);
        let first = bucket(0)?;
        if self.is_free(first) {
            return Some(first);
        }
        let again = if self.flags.fallback { 256 } else { 0 };
        for k in 0..again {
            let found = bucket((k + hash_32(key, 8)) & 255)?;
            if self.is_free(found) {
                return Some(found);
            }
        }
        None
    }

    fn maglev(&self) -> Vec<Option<Key>> {
        let slots = self.table.slots();
        let divisor = self.list.iter().map(|s| s.last_weight).fold(0, gcd);
        let mut table = vec![None; slots as usize];
        if divisor == 0 {
            return table;
        }
        let max = self.list.iter().map(|s| s.last_weight).max().unwrap_or(0) / divisor;
        let mut shift = 0;
        while (max >> shift) >= 1 << (self.table.get() / 2) {
            shift += 1;
        }
        let keys: Vec<u32> =
            self.list.iter().map(|s| fold(s.key.0).wrapping_add(u32::from(s.key.1))).collect();
        let mut next: Vec<u32> = keys.iter().map(|&k| siphash13(MH_KEY_1, k) % slots).collect();
        let mut left = slots;
        loop {
            for (i, s) in self.list.iter().enumerate() {
                let some = i32::from(s.last_weight != 0);
                for _ in 0..((s.last_weight / divisor) >> shift).max(some) {
                    while table[next[i] as usize].is_some() {
                        next[i] =
                            (next[i] + siphash13(MH_KEY_2, keys[i]) % (slots - 1) + 1) % slots;
                    }
                    table[next[i] as usize] = Some(s.key);
                    left -= 1;
                    if left == 0 {
                        return table;
                    }
                }
            }
        }
    }

    fn mh(&self, flow: &Flow) -> Option<Key> {
        let (addr, port) = flow.client();
        let key = fold(addr).wrapping_add(if self.flags.port { u32::from(port) } else { 0 });
        let slots = self.table.slots();
        let slot = |add: u32| siphash13(MH_KEY_1, key.wrapping_add(add)) % slots;
        let first = self.bucket(slot(0))?;
        if self.is_free(first) {
            return Some(first);
        }
        let again = if self.flags.fallback { slots } else { 0 };
        for k in 0..again {
            let found = self.bucket(slot((k + slot(0)) % slots))?;
            if self.is_free(found) {
                return Some(found);
            }
        }
        None
    }

    /// More active connections than the weight says, while some server is half idle.
    fn is_overloaded(&self, s: &Server) -> bool {
        s.active > s.weight && self.list.iter().any(|m| m.active.wrapping_mul(2) < m.weight)
    }

    fn entry(&mut self, addr: IpAddr) -> Option<&mut Entry> {
        let chain = hash_32(fold(addr), 10) as usize;
        self.state.chains[chain].iter_mut().find(|e| e.addr == addr)
    }

    fn remember(&mut self, addr: IpAddr, server: Key, now: u64) {
        let chain = hash_32(fold(addr), 10) as usize;
        let entry = Entry { addr, servers: vec![server], last_use: now, last_change: now };
        self.state.chains[chain].retain(|e| e.addr != addr);
        self.state.chains[chain].insert(0, entry);
        self.state.count += 1;
    }

    fn listed(&self, key: Key) -> Option<&Server> {
        self.list.iter().find(|s| s.key == key)
    }

    fn lblc(&mut self, addr: IpAddr, now: u64) -> Option<Key> {
        let known = self.entry(addr).map(|e| {
            e.last_use = now;
            e.servers[0]
        });
        if let Some(s) = known.and_then(|key| self.listed(key))
            && s.weight > 0
            && !self.is_overloaded(s)
        {
            return known;
        }
        let found = fraction(self.list.iter().copied(), Server::overhead)?;
        if known != Some(found) {
            self.remember(addr, found, now);
        }
        Some(found)
    }

    fn lblcr(&mut self, addr: IpAddr, now: u64) -> Option<Key> {
        let Some(entry) = self.entry(addr) else {
            let found = fraction(self.list.iter().copied(), Server::overhead)?;
            self.remember(addr, found, now);
            return Some(found);
        };
        entry.last_use = now;
        let (set, last_change) = (entry.servers.clone(), entry.last_change);
        let known = fraction(set.iter().filter_map(|&k| self.listed(k)).copied(), Server::overhead);
        if set.len() > 1 && now > last_change.saturating_add(self.expiration) {
            let all = self.list.iter().chain(&self.trash);
            let find = |key: &Key| all.clone().find(|s| s.key == *key && s.weight > 0);
            let most = set.iter().filter_map(find).reduce(|most, s| {
                let left = i64::from(most.overhead()) * i64::from(s.weight);
                let right = i64::from(s.overhead()) * i64::from(most.weight);
                if left < right { s } else { most }
            });
            if let Some(gone) = most.map(|s| s.key)
                && let Some(entry) = self.entry(addr)
            {
                entry.servers.retain(|&k| k != gone);
                entry.last_change = now;
            }
        }
        if let Some(s) = known.and_then(|key| self.listed(key))
            && !self.is_overloaded(s)
        {
            return known;
        }
        let found = fraction(self.list.iter().copied(), Server::overhead)?;
        if let Some(entry) = self.entry(addr)
            && !entry.servers.contains(&found)
        {
            entry.servers.insert(0, found);
            entry.last_change = now;
        }
        Some(found)
    }

    /// The periodic work of `lblc` and `lblcr`.
    pub fn run_timer(&mut self, now: u64) {
        if !matches!(self.algorithm, Some(Algorithm::Lblc | Algorithm::Lblcr)) {
            return;
        }
        let (s, expiration) = (&mut self.state, self.expiration);
        if s.runs.is_multiple_of(30) {
            for chain in &mut s.chains {
                s.count -= chain.len() as i32;
                chain.retain(|e| now < e.last_use.saturating_add(expiration));
                s.count += chain.len() as i32;
            }
            s.runs = 1;
        } else if s.count <= 16384 {
            s.runs += 1;
        } else {
            let mut goal = ((s.count - 16384) * 4 / 3).min(8192);
            let mut chain = s.rover;
            for _ in 0..1024 {
                chain = (chain + 1) & 1023;
                let before = s.chains[chain].len() as i32;
                s.chains[chain].retain(|e| now < e.last_use.saturating_add(360_000_000_000));
                let gone = before - s.chains[chain].len() as i32;
                s.count -= gone;
                goal -= gone;
                if goal <= 0 {
                    break;
                }
            }
            s.rover = chain;
        }
    }

    /// The table of `dh`, `sh` and `mh`.
    pub fn table(&self) -> &[Option<Key>] {
        &self.state.table
    }
}

/// The least of `cost / weight`, as the kernel's loop finds it: the first candidate must be
/// eligible, a later one only has to compare better.
fn fraction(list: impl IntoIterator<Item = Server>, cost: impl Fn(&Server) -> i32) -> Option<Key> {
    let mut list = list.into_iter();
    let mut best = list.find(|s| !s.overload && s.weight > 0)?;
    for s in list.filter(|s| !s.overload) {
        if i64::from(cost(&best)) * i64::from(s.weight)
            > i64::from(cost(&s)) * i64::from(best.weight)
        {
            best = s;
        }
    }
    Some(best.key)
}
