//! The least loaded destination without walking the list.
//!
//! A tournament over list positions: each inner node holds the better of its two children, so the
//! root is the choice, and a destination that changed is carried up one path. Of two equals the one
//! nearer to the head of the list wins, as in a walk with a strict comparison.

use alloc::vec::Vec;
use core::marker::PhantomData;

use crate::pool::{DestId, Hot, Pool};

/// Lists up to this length are walked; an index would cost more than it saves.
pub(crate) const WALK: usize = 32;

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

    /// Strictly less. The products of two 32-bit numbers fit into 64 bits.
    #[inline]
    fn beats(self, other: Self) -> bool {
        u64::from(self.work) * u64::from(other.weight)
            < u64::from(other.work) * u64::from(self.weight)
    }
}

/// The rule behind a ranking.
pub(crate) trait Measure {
    /// The load of a destination; [`Load::NONE`] if it may not be chosen, and for a hole.
    fn load(hot: &Hot) -> Load;
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
        if tail.load.beats(head.load) { tail } else { head }
    }
}

/// Destinations of a pool by load.
#[derive(Clone, Debug)]
pub(crate) struct Ranking<M> {
    /// Root at 1, children of i at 2i and 2i + 1, leaves in the upper half; empty while the list
    /// is short.
    nodes: Vec<Node>,
    /// The layout of the pool that the leaves follow.
    layout: u64,
    /// A position whose leaf is out of date.
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
        if pool.hot().len() <= WALK {
            self.nodes.clear();
            return pool.id_at(walk::<M>(pool.hot())?);
        }
        self.refresh(pool);
        let root = self.nodes.get(1)?;
        if root.load.weight == 0 { None } else { pool.id_at(root.pos as usize) }
    }

    /// The first below position `end`, in list order, whose weight in the measure is at least
    /// `least`; `least` is above 0, and the work of every load of `M` is 1.
    pub(crate) fn next(&mut self, pool: &Pool, end: usize, least: u32) -> Option<usize> {
        let hot = pool.hot();
        let end = end.min(hot.len());
        let near = if hot.len() <= WALK { 0 } else { end.saturating_sub(NEAR) };
        let found = hot.get(near..end)?.iter().rposition(|h| M::load(h).weight >= least);
        if let Some(offset) = found {
            return Some(near + offset);
        }
        if near == 0 {
            return None;
        }
        self.refresh(pool);
        self.search(near, least)
    }

    /// The largest weight that any load has.
    pub(crate) fn largest_weight(&mut self, pool: &Pool) -> u32 {
        if pool.hot().len() <= WALK {
            return pool.hot().iter().map(|h| M::load(h).weight).max().unwrap_or(0);
        }
        self.refresh(pool);
        self.nodes.get(1).map_or(0, |n| n.load.weight)
    }

    /// The highest leaf below `end` with at least this weight.
    fn search(&self, end: usize, least: u32) -> Option<usize> {
        let leaves = self.nodes.len() / 2;
        let fits = |i: usize| self.nodes.get(i).is_some_and(|n| n.load.weight >= least);
        let mut i = leaves + end;
        // Up, until the subtree to the left has one.
        while i.is_multiple_of(2) || !fits(i - 1) {
            i /= 2;
            if i <= 1 {
                return None;
            }
        }
        i -= 1;
        while i < leaves {
            i = 2 * i + usize::from(fits(2 * i + 1));
        }
        Some(i - leaves)
    }

    /// Makes the tree agree with the pool.
    #[inline]
    fn refresh(&mut self, pool: &Pool) {
        if self.nodes.len() < 2 * pool.hot().len() || self.layout != pool.layout() {
            self.rebuild(pool);
        } else {
            self.settle(pool);
        }
    }

    /// Carries the pending change up.
    #[inline]
    fn settle(&mut self, pool: &Pool) {
        let Some(pos) = self.pending.take() else { return };
        let leaves = self.nodes.len() / 2;
        // A list that moved or outgrew the tree is read anew by the next choice.
        if self.layout != pool.layout() || pos as usize >= leaves {
            return;
        }
        let Some(hot) = pool.hot().get(pos as usize) else { return };
        let mut i = leaves + pos as usize;
        let mut node = Node { load: M::load(hot), pos };
        while self.nodes[i] != node {
            self.nodes[i] = node;
            if i <= 1 {
                break;
            }
            let other = self.nodes[i ^ 1];
            node = if i & 1 == 0 { Node::winner(node, other) } else { Node::winner(other, node) };
            i /= 2;
        }
    }

    #[cold]
    fn rebuild(&mut self, pool: &Pool) {
        let leaves = pool.hot().len().next_power_of_two();
        self.layout = pool.layout();
        self.pending = None;
        self.nodes.clear();
        self.nodes.resize(2 * leaves, Node::EMPTY);
        for (pos, hot) in pool.hot().iter().enumerate() {
            self.nodes[leaves + pos] = Node { load: M::load(hot), pos: pos as u32 };
        }
        for i in (1..leaves).rev() {
            self.nodes[i] = Node::winner(self.nodes[2 * i], self.nodes[2 * i + 1]);
        }
    }
}

/// How many neighbours a search tries before it asks the tree.
const NEAR: usize = 8;

/// The position of the first least loaded, by a plain walk.
#[inline]
fn walk<M: Measure>(hot: &[Hot]) -> Option<usize> {
    let mut best = (Load::NONE, None);
    for (pos, hot) in hot.iter().enumerate().rev() {
        let load = M::load(hot);
        if load.beats(best.0) {
            best = (load, Some(pos));
        }
    }
    best.1
}
