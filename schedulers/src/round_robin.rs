//! `rr` and `wrr`: whose turn it is.
//!
//! Rules: `net/netfilter/ipvs/ip_vs_rr.c`, `ip_vs_wrr.c`. Positions are those of
//! [`Pool::hot`]: the head of the list is the highest one, a walk goes downward.

use crate::pool::{DestId, Hot, Pool};

/// The first destination below `end` whose eligible weight is at least `least`, in list order.
#[inline]
fn next(hot: &[Hot], end: usize, least: u32) -> Option<usize> {
    hot.get(..end)?.iter().rposition(|h| h.eligible >= least)
}

/// Where a walk starts that continues after the cursor: the cursor's position, or the length of
/// the list for "before the head".
fn start(pool: &Pool, cursor: Option<DestId>) -> usize {
    cursor.and_then(|id| pool.position(id)).unwrap_or(pool.hot().len())
}

/// The destination before a listed one in list order, towards the head.
pub(crate) fn predecessor(pool: &Pool, id: DestId) -> Option<DestId> {
    let pos = pool.position(id)?;
    (pos + 1..pool.hot().len()).find_map(|p| pool.id_at(p))
}

/// `rr`.
#[derive(Clone, Default, Debug)]
pub(crate) struct RoundRobin {
    /// The last one chosen; `None` stands before the head.
    cursor: Option<DestId>,
}

impl RoundRobin {
    pub(crate) fn pick(&mut self, pool: &Pool) -> Option<DestId> {
        let (hot, from) = (pool.hot(), start(pool, self.cursor));
        let mut found = next(hot, from, 1);
        if found.is_none() && from < hot.len() {
            // Once round; the cursor itself is the last choice.
            found = next(hot, hot.len(), 1).filter(|&pos| pos >= from);
        }
        self.cursor = Some(pool.id_at(found?)?);
        self.cursor
    }

    /// The cursor steps back from a destination that is about to leave the list.
    pub(crate) fn before_remove(&mut self, pool: &Pool, id: DestId) {
        if self.cursor == Some(id) {
            self.cursor = predecessor(pool, id);
        }
    }
}

/// `wrr`.
#[derive(Clone, Debug)]
pub(crate) struct WeightedRoundRobin {
    cursor: Option<DestId>,
    /// Weight that the walk asks for at present.
    current: u32,
    /// Largest weight − (step − 1); 0 if every weight is 0.
    max: u32,
    /// Greatest common divisor of all weights above 0; 1 if there is none.
    step: u32,
}

impl WeightedRoundRobin {
    pub(crate) fn new(pool: &Pool) -> Self {
        let (max, step) = span(pool);
        Self { cursor: None, current: max, max, step }
    }

    /// After any change of the list or of a weight (`ip_vs_wrr_dest_changed`).
    pub(crate) fn changed(&mut self, pool: &Pool) {
        self.cursor = None;
        (self.max, self.step) = span(pool);
        if self.current > self.max || self.current == 0 {
            self.current = self.max;
        } else if self.step > 1 {
            self.current = self.current / self.step * self.step + 1;
        }
    }

    pub(crate) fn pick(&mut self, pool: &Pool) -> Option<DestId> {
        if self.max == 0 {
            return None;
        }
        let hot = pool.hot();
        let from = start(pool, self.cursor);
        let mut found = next(hot, from, self.current);
        let mut sweep = Sweep { from, whole: from == hot.len(), last: false, restarted: false };
        while found.is_none() {
            if !self.next_sweep(&mut sweep, hot) {
                self.cursor = None;
                return None;
            }
            found = next(hot, hot.len(), self.current);
            if sweep.last && sweep.restarted && found.is_none_or(|pos| pos < from) {
                // Back where the walk began, in the lowest sweep after a restart.
                self.cursor = pool.id_at(from);
                return None;
            }
        }
        self.cursor = Some(pool.id_at(found?)?);
        self.cursor
    }

    /// Lowers the weight asked for, at the end of the list. Sweeps that nobody can answer are
    /// skipped in one step. False: the search is over.
    fn next_sweep(&mut self, sweep: &mut Sweep, hot: &[Hot]) -> bool {
        if self.current > self.step {
            self.current -= self.step;
        } else {
            self.current = self.max;
            if sweep.last || sweep.whole {
                return false;
            }
            sweep.restarted = true;
        }
        let best = hot.iter().map(|h| h.eligible).max().unwrap_or(0).max(self.step);
        if self.current > best {
            self.current -= (self.current - best).div_ceil(self.step) * self.step;
        }
        sweep.last = self.current <= self.step;
        true
    }
}

/// One search of `wrr`.
struct Sweep {
    /// Where it began.
    from: usize,
    /// It began before the head.
    whole: bool,
    /// The present sweep is the one for the smallest weight.
    last: bool,
    /// The weight asked for went back to the largest.
    restarted: bool,
}

/// Largest weight − (greatest common divisor − 1), and that divisor.
fn span(pool: &Pool) -> (u32, u32) {
    let weights = || pool.hot().iter().map(|h| h.weight).filter(|&w| w > 0);
    let step = weights().fold(0, gcd).max(1);
    (weights().max().map_or(0, |max| max - (step - 1)), step)
}

/// Greatest common divisor; that of a number and 0 is the number.
pub(crate) const fn gcd(a: u32, b: u32) -> u32 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
