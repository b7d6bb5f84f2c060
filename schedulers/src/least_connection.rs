//! `lc`, `wlc`, `sed` and `nq`: who has least to do.
//!
//! Rules: `net/netfilter/ipvs/ip_vs_lc.c`, `ip_vs_wlc.c`, `ip_vs_sed.c`, `ip_vs_nq.c`. The kernel
//! compares loads as fractions, `overhead(a) * weight(b) > overhead(b) * weight(a)` in 64 bits.

use crate::index::{Load, Measure, Ranking};
use crate::pool::{Dest, DestId, Hot, Pool};

/// A position beyond every list, in all of 31 bits.
const FARTHEST: u64 = (1 << 31) - 1;

/// `lc`: the overhead, compared without sign; the weight only says whether.
#[derive(Clone, Debug)]
pub(crate) struct Lc;

impl Measure for Lc {
    #[inline]
    fn load(hot: &Hot) -> Load {
        if hot.eligible == 0 { Load::NONE } else { Load { work: hot.overhead(), weight: 1 } }
    }

    #[inline]
    fn walk(part: &[Hot]) -> Option<usize> {
        // Whether it may not be chosen (a flag that a selection would put into the chain of
        // comparisons), overhead and, among equals, distance from the head in one number.
        let key = |(offset, hot): (usize, &Hot)| {
            u64::from(hot.eligible == 0) << 63
                | u64::from(hot.overhead()) << 31
                | (FARTHEST ^ offset as u64)
        };
        let best = part.iter().enumerate().map(key).min()?;
        (best >> 63 == 0).then_some((FARTHEST ^ best & FARTHEST) as usize)
    }
}

/// `wlc`: the overhead per weight.
#[derive(Clone, Debug)]
pub(crate) struct Wlc;

impl Measure for Wlc {
    #[inline]
    fn load(hot: &Hot) -> Load {
        weighted(hot.overhead(), hot)
    }
}

/// `sed`: active connections with the new one, per weight.
#[derive(Clone, Debug)]
pub(crate) struct Sed;

impl Measure for Sed {
    #[inline]
    fn load(hot: &Hot) -> Load {
        weighted(hot.active + 1, hot)
    }
}

/// `nq`: as `sed`, but whoever is idle comes first: all idle ones are equal, whatever their weight.
#[derive(Clone, Debug)]
pub(crate) struct Nq;

impl Measure for Nq {
    #[inline]
    fn load(hot: &Hot) -> Load {
        let work = if hot.active == 0 { 0 } else { hot.active + 1 };
        weighted(work, hot)
    }
}

#[inline]
const fn weighted(work: u32, hot: &Hot) -> Load {
    // An infinite load needs work above 0.
    if hot.eligible == 0 { Load::NONE } else { Load { work, weight: hot.eligible } }
}

/// The choice of `wlc`.
#[inline]
pub(crate) fn wlc(ranking: &mut Ranking<Wlc>, pool: &Pool) -> Option<DestId> {
    if pool.has_huge_counters() {
        return signed(pool.iter(), overhead, true);
    }
    ranking.best(pool)
}

/// The choice of `sed`.
#[inline]
pub(crate) fn sed(ranking: &mut Ranking<Sed>, pool: &Pool) -> Option<DestId> {
    if pool.has_huge_counters() {
        return signed(pool.iter(), expected_delay, true);
    }
    ranking.best(pool)
}

/// The choice of `nq`.
#[inline]
pub(crate) fn nq(ranking: &mut Ranking<Nq>, pool: &Pool) -> Option<DestId> {
    if pool.has_huge_counters() {
        let idle = pool.iter().find(|d| may_be_chosen(d) && d.active == 0).map(|d| d.id);
        return idle.or_else(|| signed(pool.iter(), expected_delay, false));
    }
    ranking.best(pool)
}

pub(crate) const fn may_be_chosen(d: &Dest) -> bool {
    !d.overload && d.weight > 0
}

/// `(active << 8) + inactive` as an `int`.
pub(crate) const fn overhead(d: &Dest) -> i32 {
    (d.active << 8).wrapping_add(d.inactive) as i32
}

/// `active + 1` as an `int`.
const fn expected_delay(d: &Dest) -> i32 {
    (d.active as i32).wrapping_add(1)
}

/// The walk in the kernel's signed integers, for counters so large (8,388,608 active connections
/// on one destination) that the cost turns negative. Then the comparison is no longer an order:
/// with `zero_may_win` a later destination of weight 0 beats one of negative cost, as it does in
/// the kernel.
#[cold]
pub(crate) fn signed(
    mut list: impl Iterator<Item = Dest>,
    cost: impl Fn(&Dest) -> i32,
    zero_may_win: bool,
) -> Option<DestId> {
    let mut best = list.find(may_be_chosen)?;
    for d in list {
        let left = i64::from(cost(&best)) * i64::from(d.weight);
        let right = i64::from(cost(&d)) * i64::from(best.weight);
        if !d.overload && (zero_may_win || d.weight > 0) && left > right {
            best = d;
        }
    }
    Some(best.id)
}
