//! `dh` and `sh`: a table of 256 buckets.
//!
//! Rules: `net/netfilter/ipvs/ip_vs_dh.c`, `ip_vs_sh.c`.

use alloc::vec::Vec;

use crate::flow::Flow;
use crate::hash::{fold, hash_32};
use crate::pool::{DestId, Pool};
use crate::service::Flags;

/// Bits of a bucket number.
const BITS: u32 = 8;
/// Number of buckets.
const BUCKETS: usize = 1 << BITS;

/// The buckets; none at all while the list is empty.
#[derive(Clone, Default, Debug)]
pub(crate) struct Buckets(Vec<DestId>);

impl Buckets {
    /// `dh`: the list again and again, one bucket each; weights are not looked at.
    pub(crate) fn even(pool: &Pool) -> Self {
        Self::fill(pool, |_| 1)
    }

    /// `sh`: the list again and again, as many buckets in a row as the weight says, but at least
    /// one: even a server of weight 0 gets its bucket, and whoever is at the tail may get none.
    pub(crate) fn weighted(pool: &Pool) -> Self {
        Self::fill(pool, |weight| weight.max(1) as usize)
    }

    fn fill(pool: &Pool, share: impl Fn(u32) -> usize) -> Self {
        let mut buckets = Vec::new();
        while buckets.len() < BUCKETS && !pool.is_empty() {
            for d in pool.iter() {
                let turn = share(d.weight).min(BUCKETS - buckets.len());
                buckets.extend(core::iter::repeat_n(d.id, turn));
                if buckets.len() == BUCKETS {
                    break;
                }
            }
        }
        Self(buckets)
    }

    /// The buckets, for reports.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Option<DestId>> + '_ {
        (0..BUCKETS).map(|i| self.0.get(i).copied())
    }

    fn get(&self, i: u32) -> Option<DestId> {
        self.0.get(i as usize % BUCKETS).copied()
    }

    /// `dh`: the bucket of the destination address, or nobody.
    pub(crate) fn by_destination(&self, pool: &Pool, flow: &Flow) -> Option<DestId> {
        self.get(hash_32(fold(flow.dst), BITS)).filter(|&id| is_free(pool, id))
    }

    /// `sh`: the bucket of the source; with the fallback flag the buckets after it, counted from
    /// the doubled bucket number as the kernel does.
    pub(crate) fn by_source(&self, pool: &Pool, flow: &Flow, flags: Flags) -> Option<DestId> {
        let (addr, port) = flow.client();
        let port = if flags.port { u32::from(port) } else { 0 };
        let first = hash_32(fold(addr).wrapping_add(port), BITS);
        let dest = self.get(first)?;
        if is_free(pool, dest) {
            return Some(dest);
        }
        if !flags.fallback {
            return None;
        }
        let mut probes = (0..BUCKETS as u32).filter_map(|k| self.get(k + 2 * first));
        probes.find(|&id| is_free(pool, id))
    }
}

/// Listed, of a weight above 0, not overloaded.
#[inline]
pub(crate) fn is_free(pool: &Pool, id: DestId) -> bool {
    pool.position(id).and_then(|pos| pool.hot().get(pos)).is_some_and(|hot| hot.eligible > 0)
}
