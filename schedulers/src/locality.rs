//! `lblc` and `lblcr`: the server that has seen this destination address before.
//!
//! Rules: `net/netfilter/ipvs/ip_vs_lblc.c`, `ip_vs_lblcr.c`. Both remember which server, or set of
//! servers, a destination address went to, and choose as `wlc` when there is none or it is
//! overloaded while another is half idle. The kernel's table has 1024 chains; here it is ordered by
//! chain and address, which finds an entry in a few steps however many there are and still lets the
//! timer go through the chains in the kernel's order.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::error::Error;
use crate::hash::{fold, hash_32};
use crate::index::{Load, Measure, Ranking};
use crate::least_connection::{Wlc, may_be_chosen, overhead, wlc};
use crate::pool::{Dest, DestId, Hot, Pool};
use crate::state::{EntryState, MISMATCH, RuleState};

/// Bits of a chain number.
const CHAIN_BITS: u32 = 10;
/// Chains of the table.
const CHAINS: u16 = 1 << CHAIN_BITS;
/// Entries above which the timer sheds idle ones.
const MAX_ENTRIES: i32 = 16 * CHAINS as i32;
/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;
/// Age at which an entry may be shed from a table that is too full.
const SHED_AGE: u64 = 360 * SECOND;
/// Every so many runs of the timer all entries are checked.
const FULL_CHECK: u32 = 30;
/// How long an entry lives unused by default (sysctls `lblc_expiration`, `lblcr_expiration`).
pub(crate) const DEFAULT_EXPIRATION: u64 = 86_400 * SECOND;

/// Chain and address.
type Key = (u16, IpAddr);

fn key(addr: IpAddr) -> Key {
    (hash_32(fold(addr), CHAIN_BITS) as u16, addr)
}

/// At most half as many active connections as the weight says, whatever the flags. A ranking by it
/// has a winner as soon as there is one such destination.
#[derive(Clone, Debug)]
struct HalfIdle;

impl Measure for HalfIdle {
    #[inline]
    fn load(hot: &Hot) -> Load {
        let idle = (hot.active as i32).wrapping_mul(2) < hot.weight as i32;
        if idle { Load { work: 1, weight: 1 } } else { Load::NONE }
    }
}

/// What both rules know about the pool.
#[derive(Clone, Default, Debug)]
struct View {
    by_load: Ranking<Wlc>,
    half_idle: Ranking<HalfIdle>,
}

impl View {
    #[inline]
    fn touch(&mut self, pool: &Pool, pos: usize) {
        self.by_load.touch(pool, pos);
        self.half_idle.touch(pool, pos);
    }

    /// More active connections than its weight while some listed destination is half idle.
    fn is_overloaded(&mut self, pool: &Pool, id: DestId) -> bool {
        let busy = pool.active(id) > pool.weight(id);
        busy && self.half_idle.best(pool).is_some()
    }

    fn least(&mut self, pool: &Pool) -> Option<DestId> {
        wlc(&mut self.by_load, pool)
    }
}

/// What an address is remembered for.
pub(crate) trait Remembered {
    /// When it was last asked for.
    fn last_use(&self) -> u64;
    /// The servers it points at.
    fn dests(&self) -> &[DestId];
}

/// The table of either rule, and its timer.
#[derive(Clone, Debug)]
struct Cache<E> {
    entries: BTreeMap<Key, E>,
    /// The kernel's count of entries, an `int`.
    count: i32,
    /// The chain where the last shedding stopped.
    rover: u16,
    /// Runs of the timer since the last full check, from 1.
    runs: u32,
}

impl<E> Default for Cache<E> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), count: 0, rover: 0, runs: 1 }
    }
}

impl<E: Remembered> Cache<E> {
    /// One run of the timer.
    fn run_timer(&mut self, pool: &mut Pool, now: u64, expiration: u64) {
        if self.runs.is_multiple_of(FULL_CHECK) {
            for chain in 0..CHAINS {
                self.purge_chain(pool, chain, now, expiration);
            }
            self.runs = 1;
        } else if self.count <= MAX_ENTRIES {
            self.runs += 1;
        } else {
            let excess = self.count.wrapping_sub(MAX_ENTRIES).wrapping_mul(4) / 3;
            let mut goal = excess.min(MAX_ENTRIES / 2);
            for _ in 0..CHAINS {
                self.rover = (self.rover + 1) % CHAINS;
                goal -= self.purge_chain(pool, self.rover, now, SHED_AGE);
                if goal <= 0 {
                    break;
                }
            }
        }
    }

    /// Deletes the entries of a chain that are at least so old; how many.
    fn purge_chain(&mut self, pool: &mut Pool, chain: u16, now: u64, age: u64) -> i32 {
        let first = (chain, IpAddr::V4([0; 4].into()));
        let last = (chain, IpAddr::V6([0xff; 16].into()));
        let old: Vec<Key> = self
            .entries
            .range(first..=last)
            .filter(|(_, e)| now >= e.last_use().saturating_add(age))
            .map(|(&k, _)| k)
            .collect();
        for key in &old {
            if let Some(entry) = self.entries.remove(key) {
                forget(pool, entry.dests());
            }
        }
        self.count = self.count.wrapping_sub(old.len() as i32);
        old.len() as i32
    }

    fn save(&self, entry: impl Fn(IpAddr, &E) -> EntryState) -> RuleState {
        RuleState::Cache {
            entries: self.entries.iter().map(|(&(_, addr), e)| entry(addr, e)).collect(),
            count: self.count,
            rover: self.rover,
            runs: self.runs,
        }
    }

    fn restore(
        pool: &mut Pool,
        state: &RuleState,
        entry: impl Fn(&EntryState, Vec<DestId>) -> Option<E>,
    ) -> Result<Self, Error> {
        let RuleState::Cache { entries, count, rover, runs } = state else { return Err(MISMATCH) };
        if *rover >= CHAINS || !(1..=FULL_CHECK).contains(runs) {
            return Err(Error::State("the timer of the cache stands nowhere"));
        }
        let mut new = Self { count: *count, rover: *rover, runs: *runs, ..Self::default() };
        for saved in entries {
            let known = |&raw: &u32| DestId::from_raw(raw).filter(|&id| pool.get(id).is_some());
            let dests: Option<Vec<DestId>> = saved.dests.iter().map(known).collect();
            let made = dests.and_then(|dests| entry(saved, dests));
            let made = made.ok_or(Error::State("an address points at unknown destinations"))?;
            for &id in made.dests() {
                pool.hold(id);
            }
            if new.entries.insert(key(saved.addr), made).is_some() {
                return Err(Error::State("the cache holds an address twice"));
            }
        }
        Ok(new)
    }

    fn clear(&mut self, pool: &mut Pool) {
        while let Some((_, entry)) = self.entries.pop_first() {
            forget(pool, entry.dests());
        }
        *self = Self::default();
    }
}

fn forget(pool: &mut Pool, dests: &[DestId]) {
    for &id in dests {
        pool.let_go(id);
    }
}

/// An address of `lblc`.
#[derive(Clone, Debug)]
struct One {
    dest: DestId,
    last_use: u64,
}

impl Remembered for One {
    fn last_use(&self) -> u64 {
        self.last_use
    }

    fn dests(&self) -> &[DestId] {
        core::slice::from_ref(&self.dest)
    }
}

/// `lblc`.
#[derive(Clone, Default, Debug)]
pub(crate) struct Lblc {
    view: View,
    cache: Cache<One>,
}

impl Lblc {
    #[inline]
    pub(crate) fn touch(&mut self, pool: &Pool, pos: usize) {
        self.view.touch(pool, pos);
    }

    pub(crate) fn run_timer(&mut self, pool: &mut Pool, now: u64, expiration: u64) {
        self.cache.run_timer(pool, now, expiration);
    }

    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        self.cache.clear(pool);
    }

    pub(crate) fn len(&self) -> usize {
        self.cache.entries.len()
    }

    pub(crate) fn save(&self) -> RuleState {
        self.cache.save(|addr, one| EntryState {
            addr,
            dests: alloc::vec![one.dest.to_raw()],
            last_use: one.last_use,
            last_change: 0,
        })
    }

    pub(crate) fn restore(pool: &mut Pool, state: &RuleState) -> Result<Self, Error> {
        let cache = Cache::restore(pool, state, |saved, dests| match dests[..] {
            [dest] => Some(One { dest, last_use: saved.last_use }),
            _ => None,
        })?;
        Ok(Self { view: View::default(), cache })
    }

    pub(crate) fn pick(&mut self, pool: &mut Pool, addr: IpAddr, now: u64) -> Option<DestId> {
        let key = key(addr);
        if let Some(entry) = self.cache.entries.get_mut(&key) {
            entry.last_use = now;
            let dest = entry.dest;
            let usable = pool.is_available(dest) && pool.weight(dest) > Some(0);
            if usable && !self.view.is_overloaded(pool, dest) {
                return Some(dest);
            }
        }
        let dest = self.view.least(pool)?;
        self.store(pool, key, dest, now);
        Some(dest)
    }

    /// Remembers a choice. An entry that is replaced stays in the kernel's count.
    fn store(&mut self, pool: &mut Pool, key: Key, dest: DestId, now: u64) {
        let old = self.cache.entries.get(&key).map(|e| e.dest);
        if old == Some(dest) {
            return;
        }
        pool.hold(dest);
        self.cache.entries.insert(key, One { dest, last_use: now });
        self.cache.count = self.cache.count.wrapping_add(1);
        if let Some(old) = old {
            pool.let_go(old);
        }
    }
}

/// An address of `lblcr`.
#[derive(Clone, Debug)]
struct Set {
    /// The newest last: the kernel walks from the end.
    dests: Vec<DestId>,
    last_use: u64,
    /// When a server was added or taken out.
    last_change: u64,
}

impl Remembered for Set {
    fn last_use(&self) -> u64 {
        self.last_use
    }

    fn dests(&self) -> &[DestId] {
        &self.dests
    }
}

impl Set {
    /// The servers that still exist, in the kernel's order.
    fn walk<'a>(&'a self, pool: &'a Pool) -> impl Iterator<Item = Dest> + 'a {
        self.dests.iter().rev().filter_map(|&id| pool.get(id))
    }

    /// The least loaded one (`ip_vs_dest_set_min`).
    fn least(&self, pool: &Pool) -> Option<DestId> {
        let mut walk = self.walk(pool).filter(|d| d.available && !d.overload);
        let mut best = walk.find(may_be_chosen)?;
        for d in walk {
            let (left, right) = (product(&best, &d), product(&d, &best));
            if left > right {
                best = d;
            }
        }
        Some(best.id)
    }

    /// The most loaded one, whatever its flags (`ip_vs_dest_set_max`).
    fn most(&self, pool: &Pool) -> Option<DestId> {
        let mut walk = self.walk(pool).filter(|d| d.weight > 0);
        let mut most = walk.next()?;
        for d in walk {
            let (left, right) = (product(&most, &d), product(&d, &most));
            if left < right {
                most = d;
            }
        }
        Some(most.id)
    }

    /// Takes one out.
    fn erase(&mut self, pool: &mut Pool, id: DestId, now: u64) {
        if let Some(i) = self.dests.iter().position(|&d| d == id) {
            self.dests.remove(i);
            self.last_change = now;
            pool.let_go(id);
        }
    }

    /// Puts one in, at the head.
    fn insert(&mut self, pool: &mut Pool, id: DestId, now: u64) {
        if !self.dests.contains(&id) {
            self.dests.push(id);
            self.last_change = now;
            pool.hold(id);
        }
    }
}

/// Overhead of one times weight of the other, as the kernel multiplies.
fn product(a: &Dest, b: &Dest) -> i64 {
    i64::from(overhead(a)) * i64::from(b.weight as i32)
}

/// `lblcr`.
#[derive(Clone, Default, Debug)]
pub(crate) struct Lblcr {
    view: View,
    cache: Cache<Set>,
}

impl Lblcr {
    #[inline]
    pub(crate) fn touch(&mut self, pool: &Pool, pos: usize) {
        self.view.touch(pool, pos);
    }

    pub(crate) fn run_timer(&mut self, pool: &mut Pool, now: u64, expiration: u64) {
        self.cache.run_timer(pool, now, expiration);
    }

    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        self.cache.clear(pool);
    }

    pub(crate) fn len(&self) -> usize {
        self.cache.entries.len()
    }

    pub(crate) fn save(&self) -> RuleState {
        self.cache.save(|addr, set| EntryState {
            addr,
            dests: set.dests.iter().map(|id| id.to_raw()).collect(),
            last_use: set.last_use,
            last_change: set.last_change,
        })
    }

    pub(crate) fn restore(pool: &mut Pool, state: &RuleState) -> Result<Self, Error> {
        let cache = Cache::restore(pool, state, |saved, dests| {
            let mut sorted = dests.clone();
            sorted.sort_unstable();
            sorted.dedup();
            (sorted.len() == dests.len()).then_some(Set {
                dests,
                last_use: saved.last_use,
                last_change: saved.last_change,
            })
        })?;
        Ok(Self { view: View::default(), cache })
    }

    pub(crate) fn pick(
        &mut self,
        pool: &mut Pool,
        addr: IpAddr,
        now: u64,
        expiration: u64,
    ) -> Option<DestId> {
        let key = key(addr);
        let Some(set) = self.cache.entries.get_mut(&key) else {
            let dest = self.view.least(pool)?;
            let mut set = Set { dests: Vec::new(), last_use: now, last_change: now };
            set.insert(pool, dest, now);
            self.cache.entries.insert(key, set);
            self.cache.count = self.cache.count.wrapping_add(1);
            return Some(dest);
        };
        set.last_use = now;
        let known = set.least(pool);
        // Replicas that were not needed for long: the busiest goes, though it may be the one that
        // is used this time.
        if set.dests.len() > 1
            && now > set.last_change.saturating_add(expiration)
            && let Some(most) = set.most(pool)
        {
            set.erase(pool, most, now);
        }
        if let Some(dest) = known
            && !self.view.is_overloaded(pool, dest)
        {
            return Some(dest);
        }
        let dest = self.view.least(pool)?;
        set.insert(pool, dest, now);
        Some(dest)
    }
}
