//! `mh`: Maglev hashing.
//!
//! Rule: `net/netfilter/ipvs/ip_vs_mh.c`, after Eisenbud et al., "Maglev: A Fast and Reliable
//! Software Network Load Balancer" (NSDI 2016). As in the paper every server has a permutation of
//! the slots, `offset + j * skip`, and the servers claim slots in turn. Unlike the paper a weight
//! is served by several claims in a row, the key is address and port, and the turns follow the
//! list: the table depends on the order in which servers were added.

use alloc::vec;
use alloc::vec::Vec;

use crate::error::Error;
use crate::flow::Flow;
use crate::hash::{MH_KEY_1, MH_KEY_2, fold, siphash13};
use crate::hashing::is_free;
use crate::pool::{Dest, DestId, Pool};
use crate::round_robin::divisor;
use crate::service::Flags;

/// Table sizes by index 8 ..= 17 (`CONFIG_IP_VS_MH_TAB_INDEX`).
const PRIMES: [u32; 10] = [251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131_071];

/// How large the table of `mh` is: a build option of the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TableIndex(u8);

impl TableIndex {
    /// 8 ..= 17, for 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131071 slots.
    ///
    /// # Errors
    /// [`Error::TableIndex`] for any other number.
    pub const fn new(index: u8) -> Result<Self, Error> {
        if index >= 8 && index <= 17 { Ok(Self(index)) } else { Err(Error::TableIndex(index)) }
    }

    /// The number given.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Slots of the table, a prime number.
    pub const fn slots(self) -> u32 {
        PRIMES[self.0 as usize - 8]
    }

    /// Bits that are left of the largest weight.
    const fn weight_bits(self) -> u32 {
        self.0 as u32 / 2
    }
}

impl Default for TableIndex {
    /// 12: 4093 slots, the kernel's default.
    fn default() -> Self {
        Self(12)
    }
}

/// `mh`.
#[derive(Clone, Debug)]
pub(crate) struct Maglev {
    index: TableIndex,
    /// Owners; empty if every weight is 0.
    slots: Vec<DestId>,
    /// The list has changed since the table was filled.
    stale: bool,
}

impl Maglev {
    pub(crate) fn new(pool: &Pool, index: TableIndex) -> Result<Self, Error> {
        let mut new = Self { index, slots: Vec::new(), stale: false };
        new.changed(pool)?;
        Ok(new)
    }

    /// A destination is about to be added: a table that the kernel would have by now, and that
    /// will be refused afterwards, is filled at the last moment.
    pub(crate) fn before_add(&mut self, pool: &Pool) {
        if pool.len() == self.index.slots() as usize {
            self.refresh(pool);
        }
    }

    /// The list, a weight or a threshold changed.
    pub(crate) fn changed(&mut self, pool: &Pool) -> Result<(), Error> {
        let slots = self.index.slots() as usize;
        if pool.len() > slots {
            return Err(Error::TableFull { destinations: pool.len(), slots });
        }
        self.stale = true;
        Ok(())
    }

    /// Fills the table if it is out of date.
    #[inline]
    pub(crate) fn refresh(&mut self, pool: &Pool) {
        if self.stale {
            self.slots = populate(pool, self.index);
            self.stale = false;
        }
    }

    /// The owners of the slots, for reports.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Option<DestId>> + '_ {
        (0..self.index.slots() as usize).map(|i| self.slots.get(i).copied())
    }

    /// Are there more destinations than slots? Then the table does not follow from the list.
    pub(crate) const fn is_overfull(&self, pool: &Pool) -> bool {
        pool.len() > self.index.slots() as usize
    }

    /// A table that does not follow from the list.
    pub(crate) fn restore(pool: &Pool, index: TableIndex, owners: &[u32]) -> Result<Self, Error> {
        let ids: Option<Vec<DestId>> = owners.iter().map(|&raw| DestId::from_raw(raw)).collect();
        let new = Self { index, slots: ids.unwrap_or_default(), stale: false };
        let whole = new.slots.len() == owners.len();
        if !new.is_overfull(pool)
            || !whole
            || !matches!(owners.len() as u32, n if n == 0 || n == index.slots())
        {
            return Err(Error::State("the mh table has another size, or follows from the list"));
        }
        Ok(new)
    }

    /// The slot of the source; with the fallback flag others, each found by hashing again with a
    /// number added.
    pub(crate) fn pick(&mut self, pool: &Pool, flow: &Flow, flags: Flags) -> Option<DestId> {
        self.refresh(pool);
        let (addr, port) = flow.client();
        let key = fold(addr).wrapping_add(if flags.port { u32::from(port) } else { 0 });
        let size = self.index.slots();
        let slot = |add: u32| siphash13(MH_KEY_1, key.wrapping_add(add)) % size;
        let first = slot(0);
        let dest = *self.slots.get(first as usize)?;
        if is_free(pool, dest) {
            return Some(dest);
        }
        if !flags.fallback {
            return None;
        }
        let mut probes = (0..size).map(|k| slot((k + first) % size));
        probes.find_map(|i| self.slots.get(i as usize).copied().filter(|&id| is_free(pool, id)))
    }
}

/// A server that claims slots.
struct Claimant {
    id: DestId,
    next: u32,
    skip: u32,
    turns: u32,
}

/// The owners of all slots; none if there is no weight above 0.
fn populate(pool: &Pool, index: TableIndex) -> Vec<DestId> {
    let divisor = divisor(pool.iter().map(|d| d.last_weight));
    if divisor == 0 {
        return Vec::new();
    }
    let max = pool.iter().map(|d| d.last_weight).max().unwrap_or(0) / divisor;
    let bits = u32::BITS - max.leading_zeros();
    let shift = bits.saturating_sub(index.weight_bits());
    let claimants = pool.iter().map(|d| claimant(&d, index.slots(), divisor, shift));
    let mut claimants: Vec<Claimant> = claimants.filter(|c| c.turns > 0).collect();
    let slots = index.slots();
    let mut owners: Vec<Option<DestId>> = vec![None; slots as usize];
    let mut left = slots;
    while left > 0 {
        for c in &mut claimants {
            for _ in 0..c.turns.min(left) {
                c.claim(&mut owners, slots);
            }
            left -= c.turns.min(left);
        }
    }
    owners.into_iter().flatten().collect()
}

fn claimant(d: &Dest, slots: u32, divisor: u32, shift: u32) -> Claimant {
    let key = fold(d.addr).wrapping_add(u32::from(d.port));
    let turns = (d.last_weight / divisor) >> shift;
    Claimant {
        id: d.id,
        next: siphash13(MH_KEY_1, key) % slots,
        skip: siphash13(MH_KEY_2, key) % (slots - 1) + 1,
        turns: if d.last_weight == 0 { 0 } else { turns.max(1) },
    }
}

impl Claimant {
    /// Takes the next free slot of its permutation; there is one.
    fn claim(&mut self, owners: &mut [Option<DestId>], slots: u32) {
        loop {
            let at = self.next as usize;
            self.next = (self.next + self.skip) % slots;
            if owners[at].is_none() {
                owners[at] = Some(self.id);
                return;
            }
        }
    }
}
