//! `twos`: the better of two that are drawn.
//!
//! Rule: `net/netfilter/ipvs/ip_vs_twos.c`. Two numbers are drawn between 0 and the sum of all
//! weights, both ends included, and each names the destination at which the running sum of weights
//! in list order reaches it; 0 names the first, which therefore has one chance more than its
//! weight. Long lists find both in a tree of partial sums (Fenwick 1994).

use alloc::vec::Vec;

use crate::index::WALK;
use crate::pool::{DestId, Hot, MAX_INT, Pool};
use crate::random::RandomSource;

/// `twos`.
#[derive(Clone, Default, Debug)]
pub(crate) struct TwoChoices {
    /// What the tree holds for each position.
    values: Vec<u32>,
    /// Partial sums of `values` (element i at i + 1); they wrap, and are exact again as soon as
    /// the whole sum fits.
    sums: Vec<u32>,
    layout: u64,
}

impl TwoChoices {
    /// The destination at a position changed, appeared or left.
    #[inline]
    pub(crate) fn touch(&mut self, pool: &Pool, pos: usize) {
        if self.layout != pool.layout() {
            return;
        }
        let (Some(value), Some(hot)) = (self.values.get_mut(pos), pool.hot().get(pos)) else {
            return;
        };
        let delta = hot.eligible.wrapping_sub(*value);
        if delta != 0 {
            *value = hot.eligible;
            self.add(pos, delta);
        }
    }

    pub(crate) fn pick(
        &mut self,
        pool: &Pool,
        random: &mut (impl RandomSource + ?Sized),
    ) -> Option<DestId> {
        let total = pool.eligible_weight();
        if total == 0 {
            return None;
        }
        let ceil = (total as u32).wrapping_add(1);
        let draws = [random.below(ceil), random.below(ceil)];
        let hot = pool.hot();
        let found = if hot.len() <= WALK || total > u64::from(MAX_INT) {
            walk(hot, draws)
        } else {
            self.refresh(pool);
            draws.map(|r| Some(self.at(total as u32, r)))
        };
        let first = found[0].or_else(|| hot.iter().position(|h| h.eligible > 0))?;
        let pos = match found[1] {
            Some(second) if is_better(hot.get(second)?, hot.get(first)?) => second,
            _ => first,
        };
        pool.id_at(pos)
    }

    /// The first position in list order at which the running sum reaches a draw. List order is
    /// downward: that is the highest position with at most `total - draw` below it.
    fn at(&self, total: u32, draw: u32) -> usize {
        let mut room = total - draw.max(1);
        let mut pos = 0;
        let mut width = self.values.len();
        while width > 0 {
            if let Some(&sum) = self.sums.get(pos + width)
                && sum <= room
            {
                room -= sum;
                pos += width;
            }
            width /= 2;
        }
        pos
    }

    fn refresh(&mut self, pool: &Pool) {
        if self.values.len() >= pool.hot().len() && self.layout == pool.layout() {
            return;
        }
        self.layout = pool.layout();
        let size = pool.hot().len().next_power_of_two();
        self.values.clear();
        self.values.extend(pool.hot().iter().map(|h| h.eligible));
        self.values.resize(size, 0);
        self.sums.clear();
        self.sums.resize(size + 1, 0);
        for pos in 0..pool.hot().len() {
            self.add(pos, self.values[pos]);
        }
    }

    fn add(&mut self, pos: usize, delta: u32) {
        let mut i = pos + 1;
        while let Some(sum) = self.sums.get_mut(i) {
            *sum = sum.wrapping_add(delta);
            i += i & i.wrapping_neg();
        }
    }
}

/// Does the second choice beat the first? In 32 bits, which may overflow, as in the kernel.
fn is_better(second: &Hot, first: &Hot) -> bool {
    let product = |weight: u32, overhead: u32| (weight as i32).wrapping_mul(overhead as i32);
    product(second.weight, first.overhead()) > product(first.weight, second.overhead())
}

/// Both draws in one walk, in the kernel's `int`s.
fn walk(hot: &[Hot], draws: [u32; 2]) -> [Option<usize>; 2] {
    let mut left = draws.map(|r| r as i32);
    let mut found = [None; 2];
    for (pos, hot) in hot.iter().enumerate().rev().filter(|(_, h)| h.eligible > 0) {
        for (left, found) in left.iter_mut().zip(&mut found) {
            *left = left.wrapping_sub(hot.weight as i32);
            if *left <= 0 && found.is_none() {
                *found = Some(pos);
            }
        }
        if found[0].is_some() && found[1].is_some() {
            break;
        }
    }
    found
}
