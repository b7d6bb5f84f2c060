//! `rr` and `wrr`: whose turn it is.
//!
//! Rules: `net/netfilter/ipvs/ip_vs_rr.c`, `ip_vs_wrr.c`. Positions are those of
//! [`Pool::hot`]: the head of the list is the highest one, a walk goes downward.

use alloc::collections::BTreeMap;

use crate::error::Error;
use crate::index::Ranking;
use crate::overflow::Fo;
use crate::pool::{DestId, Pool};

/// Where a walk starts that continues after the cursor: the cursor's position, or the length of
/// the list for "before the head".
#[inline]
fn start(pool: &Pool, cursor: Option<DestId>) -> usize {
    cursor.and_then(|id| pool.position(id)).unwrap_or(pool.hot().len())
}

/// `rr`.
#[derive(Clone, Default, Debug)]
pub(crate) struct RoundRobin {
    /// The last one chosen; `None` stands before the head.
    cursor: Option<DestId>,
    by_weight: Ranking<Fo>,
}

impl RoundRobin {
    pub(crate) fn pick(&mut self, pool: &Pool) -> Option<DestId> {
        let from = start(pool, self.cursor);
        let found = self.by_weight.next(pool, from, 1).or_else(|| {
            // Once round; the cursor itself is the last choice.
            let again = self.by_weight.next(pool, pool.hot().len(), 1);
            again.filter(|&pos| pos >= from)
        });
        self.cursor = Some(pool.id_at(found?)?);
        self.cursor
    }

    #[inline]
    pub(crate) fn touch(&mut self, pool: &Pool, pos: usize) {
        self.by_weight.touch(pool, pos);
    }

    /// The cursor steps back from a destination that is about to leave the list.
    pub(crate) fn before_remove(&mut self, pool: &Pool, id: DestId) {
        if self.cursor == Some(id) {
            let above = pool.position(id).unwrap_or(0) + 1..pool.hot().len();
            self.cursor = above.into_iter().find_map(|pos| pool.id_at(pos));
        }
    }

    /// The last one chosen.
    pub(crate) const fn cursor(&self) -> Option<DestId> {
        self.cursor
    }

    pub(crate) fn restore(cursor: Option<DestId>) -> Self {
        Self { cursor, by_weight: Ranking::default() }
    }
}

/// `wrr`.
#[derive(Clone, Debug)]
pub(crate) struct WeightedRoundRobin {
    cursor: Option<DestId>,
    /// Weight that the walk asks for at present.
    current: u32,
    weights: Weights,
    by_weight: Ranking<Fo>,
}

impl WeightedRoundRobin {
    pub(crate) fn new(pool: &Pool) -> Self {
        let weights = Weights::new(pool.iter().map(|d| d.weight));
        let current = weights.max;
        Self { cursor: None, current, weights, by_weight: Ranking::default() }
    }

    /// A destination came (`None` before), changed its weight or left (`None` after): the walk
    /// starts at the head (`ip_vs_wrr_dest_changed`).
    pub(crate) fn changed(&mut self, before: Option<u32>, after: Option<u32>) {
        self.weights.change(before, after);
        self.cursor = None;
        let (max, step) = (self.weights.max, self.weights.step);
        if self.current > max || self.current == 0 {
            self.current = max;
        } else if step > 1 {
            self.current = self.current / step * step + 1;
        }
    }

    #[inline]
    pub(crate) fn touch(&mut self, pool: &Pool, pos: usize) {
        self.by_weight.touch(pool, pos);
    }

    pub(crate) fn pick(&mut self, pool: &Pool) -> Option<DestId> {
        if self.weights.max == 0 {
            return None;
        }
        let (from, all) = (start(pool, self.cursor), pool.hot().len());
        let mut found = self.by_weight.next(pool, from, self.current);
        let mut sweep = Sweep { whole: from == all, last: false, restarted: false, idle: false };
        while found.is_none() {
            if !self.next_sweep(&mut sweep, pool) {
                self.cursor = None;
                return None;
            }
            found = self.by_weight.next(pool, all, self.current);
            sweep.idle = found.is_none();
            if sweep.last && sweep.restarted && !sweep.whole && found.is_none_or(|pos| pos < from) {
                // Back where the walk began, in the lowest sweep after a restart.
                self.cursor = pool.id_at(from);
                return None;
            }
        }
        self.cursor = Some(pool.id_at(found?)?);
        self.cursor
    }

    /// Lowers the weight asked for, at the end of the list. After a sweep that nobody answered,
    /// all that nobody can answer are skipped in one step: the kernel makes them all, up to two
    /// thousand million. False: the search is over.
    fn next_sweep(&mut self, sweep: &mut Sweep, pool: &Pool) -> bool {
        let step = self.weights.step;
        if self.current > step {
            self.current -= step;
        } else {
            self.current = self.weights.max;
            if sweep.last || sweep.whole {
                return false;
            }
            sweep.restarted = true;
        }
        if sweep.idle {
            let best = self.by_weight.largest_weight(pool).max(step);
            if self.current > best {
                self.current -= (self.current - best).div_ceil(step) * step;
            }
        }
        sweep.last = self.current <= step;
        true
    }

    /// Cursor and weight asked for.
    pub(crate) const fn state(&self) -> (Option<DestId>, u32) {
        (self.cursor, self.current)
    }

    /// A walk that stands at a listed destination and asks for a weight.
    pub(crate) fn restore(
        pool: &Pool,
        cursor: Option<DestId>,
        current: u32,
    ) -> Result<Self, Error> {
        let new = Self { cursor, current, ..Self::new(pool) };
        let max = new.weights.max;
        if current > max || (current == 0 && max > 0) {
            return Err(Error::State("the walk asks for a weight that it cannot ask for"));
        }
        Ok(new)
    }
}

/// One search of `wrr`.
struct Sweep {
    /// It began before the head.
    whole: bool,
    /// The present sweep is the one for the smallest weight.
    last: bool,
    /// The weight asked for went back to the largest.
    restarted: bool,
    /// Nobody in the whole list answered the last sweep.
    idle: bool,
}

/// The weights in the list.
#[derive(Clone, Debug)]
struct Weights {
    /// How often each weight above 0 occurs.
    times: BTreeMap<u32, u32>,
    /// The step from sweep to sweep (`di`): their greatest common divisor, 1 if there is none.
    step: u32,
    /// The weight that the first sweep asks for (`mw`): the largest less (step − 1), so that the
    /// last sweep asks for 1. 0 if there is no weight.
    max: u32,
}

impl Weights {
    fn new(weights: impl Iterator<Item = u32>) -> Self {
        let mut times = BTreeMap::new();
        for weight in weights.filter(|&w| w > 0) {
            *times.entry(weight).or_insert(0) += 1;
        }
        let mut new = Self { times, step: 1, max: 0 };
        new.measure();
        new
    }

    /// One weight comes, one goes.
    fn change(&mut self, before: Option<u32>, after: Option<u32>) {
        let mut same = true;
        if let Some(weight) = after.filter(|&w| w > 0) {
            let times = self.times.entry(weight).or_insert(0);
            same &= *times > 0;
            *times += 1;
        }
        if let Some(weight) = before.filter(|&w| w > 0)
            && let Some(times) = self.times.get_mut(&weight)
        {
            *times -= 1;
            if *times == 0 {
                self.times.remove(&weight);
                same = false;
            }
        }
        if !same {
            self.measure();
        }
    }

    fn measure(&mut self) {
        self.step = divisor(self.times.keys().copied()).max(1);
        self.max = self.times.last_key_value().map_or(0, |(&max, _)| max - (self.step - 1));
    }
}

/// Greatest common divisor of many, 0 if there is none above 0.
pub(crate) fn divisor(numbers: impl Iterator<Item = u32>) -> u32 {
    let mut found = 0;
    for n in numbers {
        found = gcd(found, n);
        if found == 1 {
            break;
        }
    }
    found
}

/// Greatest common divisor; that of a number and 0 is the number.
const fn gcd(a: u32, b: u32) -> u32 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
