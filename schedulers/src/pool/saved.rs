//! A pool as plain data.

use alloc::collections::VecDeque;

use super::dest::{DestEdit, DestId, MAX_INT};
use super::list::{Cold, Hot, Slot};
use super::{Pool, check};
use crate::error::Error;
use crate::state::{DestState, PoolState};

impl Pool {
    pub(crate) fn save(&self) -> PoolState {
        let all = self.ids.iter().zip(self.hot.iter().zip(&self.cold));
        PoolState {
            usages: self.slots.iter().map(|s| s.usage()).collect(),
            free: self.free.iter().copied().collect(),
            listed: all.filter_map(|(id, (h, c))| id.map(|id| saved(id, h, c))).collect(),
            trash: self.trash.iter().map(|(&id, (h, c))| saved(id, h, c)).collect(),
        }
    }

    pub(crate) fn restore(state: &PoolState) -> Result<Self, Error> {
        if state.usages.len() > DestId::SLOTS {
            return Err(Error::State("too many slots"));
        }
        let slots = state.usages.iter().map(|&usage| Slot::free(usage)).collect();
        let mut pool = Self { slots, ..Self::default() };
        for dest in &state.listed {
            let (id, hot, cold) = pool.admit(dest)?;
            pool.push(id, hot, cold);
        }
        for dest in &state.trash {
            let (id, hot, cold) = pool.admit(dest)?;
            pool.set_trashed(id);
            pool.trash.insert(id, (hot, cold));
        }
        pool.admit_free(&state.free)?;
        Ok(pool)
    }

    /// Checks a destination and takes its address.
    fn admit(&mut self, d: &DestState) -> Result<(DestId, Hot, Cold), Error> {
        check(&DestEdit {
            weight: d.weight.max(d.last_weight),
            upper_threshold: d.upper_threshold,
            lower_threshold: d.lower_threshold,
        })?;
        if d.active.max(d.inactive).max(d.persistent) > MAX_INT {
            return Err(Error::State("a counter is above 2147483647"));
        }
        let id = DestId::from_raw(d.id).ok_or(Error::State("a destination has no id"))?;
        match self.slots.get(id.slot()) {
            Some(s) if s.is_free() && s.usage() == id.usage() => {}
            _ => return Err(Error::State("an id is not that of its slot, or occurs twice")),
        }
        if self.by_addr.insert((d.addr, d.port), id).is_some() {
            return Err(Error::State("two destinations have the same address and port"));
        }
        let mut hot = Hot { eligible: 0, weight: d.weight, active: d.active, inactive: d.inactive };
        let cold = Cold {
            overload: d.overload,
            last_weight: d.last_weight,
            persistent: d.persistent,
            upper: d.upper_threshold,
            lower: d.lower_threshold,
            ..Cold::new(d.addr, d.port)
        };
        cold.refresh(&mut hot);
        Ok((id, hot, cold))
    }

    /// Every slot without a destination must be free, once, or worn out.
    fn admit_free(&mut self, free: &[u32]) -> Result<(), Error> {
        let usable = |s: &Slot| s.is_free() && s.usage() < DestId::LAST_USE;
        let mut seen = alloc::vec![false; self.slots.len()];
        for &slot in free {
            let fine = self.slots.get(slot as usize).is_some_and(usable);
            match seen.get_mut(slot as usize) {
                Some(seen) if fine && !*seen => *seen = true,
                _ => return Err(Error::State("a slot is called free that is not")),
            }
        }
        if self.slots.iter().zip(&seen).any(|(s, &seen)| usable(s) && !seen) {
            return Err(Error::State("a slot is neither used nor free"));
        }
        self.free = VecDeque::from(free.to_vec());
        Ok(())
    }
}

fn saved(id: DestId, hot: &Hot, cold: &Cold) -> DestState {
    DestState {
        id: id.to_raw(),
        addr: cold.addr,
        port: cold.port,
        weight: hot.weight,
        last_weight: cold.last_weight,
        active: hot.active,
        inactive: hot.inactive,
        persistent: cold.persistent,
        upper_threshold: cold.upper,
        lower_threshold: cold.lower,
        overload: cold.overload,
    }
}
