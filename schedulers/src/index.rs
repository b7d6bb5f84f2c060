//! The least loaded destination without walking the list.
//!
//! A tournament over list positions: eight neighbours form a block, each inner node holds the better
//! of its two children, so the root is the choice, and a destination that changed is carried up one
//! path. Of two equals the one nearer to the head of the list wins, as in a walk with a strict
//! comparison.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::hint::select_unpredictable;
use core::marker::PhantomData;

use crate::pool::{DestId, Hot, Pool};

/// Lists up to this length are walked; an index would cost more than it saves.
pub(crate) const WALK: usize = 32;

/// Positions in a block.
const BLOCK: usize = 8;

/// What a rule compares: work per weight, as a fraction of two kernel integers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Load {
    pub(crate) work: u32,
    /// 0: the destination may not be chosen, its load is infinite.
    pub(crate) weight: u32,
}

impl Load {
    /// Infinite.
    pub(crate) const NONE: Self = Self { work: 1, weight: 0 };

    /// The work of this with the weight of another. The products of two 32-bit numbers fit into
    /// 64 bits, and leave room for 1 more.
    #[inline]
    fn cross(self, other: Self) -> u64 {
        u64::from(self.work) * u64::from(other.weight)
    }

    /// Strictly less.
    #[inline]
    fn beats(self, other: Self) -> bool {
        self.cross(other) < other.cross(self)
    }
}

/// The rule behind a ranking.
pub(crate) trait Measure {
    /// Lists up to this length are walked.
    const WALK: usize = WALK;

    /// The load of a destination; [`Load::NONE`] if it may not be chosen, and for a hole.
    fn load(hot: &Hot) -> Load;

    /// The first least loaded of a part of the list, by offset, found by a plain walk. A rule that
    /// compares one number may have a quicker one.
    #[inline]
    fn walk(part: &[Hot]) -> Option<usize> {
        let mut best = (Load::NONE, 0);
        for (offset, hot) in part.iter().enumerate().rev() {
            let this = (Self::load(hot), offset);
            // Whose turn it is cannot be predicted.
            best = select_unpredictable(this.0.beats(best.0), this, best);
        }
        (best.0.weight != 0).then_some(best.1)
    }
}

/// A player of the tournament.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Node {
    load: Load,
    pos: u32,
}

impl Node {
    const EMPTY: Self = Self { load: Load::NONE, pos: 0 };

    /// The better of two, where the second is nearer to the head.
    #[inline]
    fn winner(tail: Self, head: Self) -> Self {
        select_unpredictable(tail.load.beats(head.load), tail, head)
    }
}

/// Destinations of a pool by load.
#[derive(Clone, Debug)]
pub(crate) struct Ranking<M> {
    /// Root at 1, children of i at 2i and 2i + 1, the blocks in the upper half; empty while the
    /// list is short.
    nodes: Vec<Node>,
    /// The layout of the pool that the blocks follow.
    layout: u64,
    /// A position whose block is out of date.
    pending: Option<u32>,
    measure: PhantomData<M>,
}

impl<M> Default for Ranking<M> {
    fn default() -> Self {
        Self { nodes: Vec::new(), layout: 0, pending: None, measure: PhantomData }
    }
}

impl<M: Measure> Ranking<M> {
    /// The destination at a position changed, appeared or left.
    ///
    /// The newest change waits: a connection that is bound and at once becomes active changes its
    /// destination twice, but the tree once.
    #[inline]
    pub(crate) fn touch(&mut self, pool: &Pool, pos: usize) {
        if !self.nodes.is_empty() && self.pending != Some(pos as u32) {
            self.settle(pool);
            self.pending = Some(pos as u32);
        }
    }

    /// The first of the least loaded in list order.
    #[inline]
    pub(crate) fn best(&mut self, pool: &Pool) -> Option<DestId> {
        if pool.hot().len() <= M::WALK {
            self.forget();
            return pool.id_at(M::walk(pool.hot())?);
        }
        self.refresh(pool);
        let root = self.nodes.get(1)?;
        if root.load.weight == 0 { None } else { pool.id_at(root.pos as usize) }
    }

    /// The first below position `end`, in list order, whose weight in the measure is at least
    /// `least`; `least` is above 0, and the work of every load of `M` is 1.
    #[inline]
    pub(crate) fn next(&mut self, pool: &Pool, end: usize, least: u32) -> Option<usize> {
        if pool.hot().len() <= WALK {
            return last_of::<M>(pool.hot().get(..end)?, least);
        }
        // Most often the neighbour is the one.
        match end.checked_sub(1).and_then(|pos| pool.hot().get(pos)) {
            Some(hot) if M::load(hot).weight >= least => Some(end - 1),
            _ => self.next_but_one(pool, end, least),
        }
    }

    #[inline(never)]
    fn next_but_one(&mut self, pool: &Pool, end: usize, least: u32) -> Option<usize> {
        let hot = pool.hot();
        let end = end.min(hot.len());
        // Try the neighbours before the tree, down to the boundary of a block.
        let near = end.saturating_sub(BLOCK) / BLOCK * BLOCK;
        match last_of::<M>(hot.get(near..end)?, least) {
            Some(offset) => Some(near + offset),
            None if near == 0 => None,
            None => {
                self.refresh(pool);
                self.search(hot, near / BLOCK, least)
            }
        }
    }

    /// The largest weight that any load has.
    pub(crate) fn largest_weight(&mut self, pool: &Pool) -> u32 {
        if pool.hot().len() <= WALK {
            return pool.hot().iter().map(|h| M::load(h).weight).max().unwrap_or(0);
        }
        self.refresh(pool);
        self.nodes.get(1).map_or(0, |n| n.load.weight)
    }

    /// The highest position in the blocks below `end` with at least this weight.
    fn search(&self, hot: &[Hot], end: usize, least: u32) -> Option<usize> {
        let blocks = self.nodes.len() / 2;
        let fits = |i: usize| self.nodes.get(i).is_some_and(|n| n.load.weight >= least);
        let mut i = blocks + end;
        // Up, until the subtree to the left has one.
        while i & 1 == 0 || !fits(i - 1) {
            i /= 2;
            if i <= 1 {
                return None;
            }
        }
        i -= 1;
        while i < blocks {
            i = 2 * i + usize::from(fits(2 * i + 1));
        }
        let first = (i - blocks) * BLOCK;
        let block = hot.get(first..hot.len().min(first + BLOCK))?;
        last_of::<M>(block, least).map(|offset| first + offset)
    }

    /// Makes the tree agree with the pool.
    #[inline]
    fn refresh(&mut self, pool: &Pool) {
        let covered = self.nodes.len() / 2 * BLOCK;
        if covered < pool.hot().len() || self.layout != pool.layout() {
            self.rebuild(pool);
        } else {
            self.settle(pool);
        }
    }

    /// Carries the pending change up.
    #[inline]
    fn settle(&mut self, pool: &Pool) {
        let Some(pos) = self.pending.take() else { return };
        // A list that moved or outgrew the tree is read anew by the next choice.
        if self.layout == pool.layout() {
            self.carry(pool.hot(), pos);
        }
    }

    fn carry(&mut self, hot: &[Hot], pos: u32) {
        let (blocks, block) = (self.nodes.len() / 2, pos as usize / BLOCK);
        let (Some(changed), Some(&old)) = (hot.get(pos as usize), self.nodes.get(blocks + block))
        else {
            return;
        };
        let new = Node { load: M::load(changed), pos };
        let mut node = match pos.cmp(&old.pos) {
            Ordering::Equal => Self::block(hot, block),
            Ordering::Greater => Node::winner(old, new),
            Ordering::Less => Node::winner(new, old),
        };
        let mut i = blocks + block;
        while self.nodes[i] != node {
            self.nodes[i] = node;
            if i <= 1 {
                break;
            }
            let other = self.nodes[i ^ 1];
            // Among equals the one nearer to the head wins: this one if its place is odd.
            let tie = i as u64 & 1;
            let wins = node.load.cross(other.load) < other.load.cross(node.load) + tie;
            node = select_unpredictable(wins, node, other);
            i /= 2;
        }
    }

    /// The best of a block; one of infinite load if nobody may be chosen.
    #[inline]
    fn block(hot: &[Hot], block: usize) -> Node {
        let first = block * BLOCK;
        let none = Node { load: Load::NONE, pos: first as u32 };
        let range = first..hot.len().min(first + BLOCK);
        let Some(part) = hot.get(range) else { return none };
        match M::walk(part) {
            Some(offset) => Node { load: M::load(&part[offset]), pos: (first + offset) as u32 },
            None => none,
        }
    }

    #[cold]
    fn rebuild(&mut self, pool: &Pool) {
        let blocks = pool.hot().len().div_ceil(BLOCK).next_power_of_two();
        self.layout = pool.layout();
        self.pending = None;
        self.nodes.clear();
        self.nodes.resize(2 * blocks, Node::EMPTY);
        for block in 0..blocks {
            self.nodes[blocks + block] = Self::block(pool.hot(), block);
        }
        for i in (1..blocks).rev() {
            self.nodes[i] = Node::winner(self.nodes[2 * i], self.nodes[2 * i + 1]);
        }
    }

    /// A short list needs no tree.
    #[inline]
    fn forget(&mut self) {
        if !self.nodes.is_empty() {
            self.nodes.clear();
        }
    }
}

/// The first in list order, by offset, with at least this weight.
#[inline]
fn last_of<M: Measure>(part: &[Hot], least: u32) -> Option<usize> {
    part.iter().rposition(|h| M::load(h).weight >= least)
}
