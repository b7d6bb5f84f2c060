//! Connections: bound, activated, deactivated, released.

use super::Pool;
use super::dest::{Counting, DestId, MAX_INT};
use super::list::{Cold, Hot};
use crate::error::Error;

/// What a rule must hear of after a counter changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touched {
    /// The position in the list; `None` in the trash.
    pub(crate) pos: Option<usize>,
    /// Whether it may be chosen has changed too.
    pub(crate) overload: bool,
}

/// A moment of a connection's life.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Bind(Counting),
    Activate,
    Deactivate,
    Release(Counting),
}

impl Pool {
    /// A connection or a template begins (`ip_vs_bind_dest`).
    ///
    /// A connection that was just scheduled is bound [`Inactive`](Counting::Inactive) and
    /// [activated](Self::activate) by its first packet if that puts it into an active state;
    /// [`Active`](Counting::Active) is for connections that come active from elsewhere (the
    /// synchronisation daemon). Then `OVERLOAD` is set if the upper threshold is not 0 and active +
    /// inactive has reached it; a template does not count there but the test is made all the same.
    /// Cost: O(1).
    ///
    /// # Errors
    /// [`Error::UnknownDest`], [`Error::CounterFull`].
    pub fn bind(&mut self, id: DestId, counting: Counting) -> Result<(), Error> {
        self.change(id, Change::Bind(counting))
    }

    /// An inactive connection becomes active. `OVERLOAD` is not looked at. Cost: O(1).
    ///
    /// # Errors
    /// [`Error::NothingToRelease`] if no inactive connection is counted, [`Error::UnknownDest`],
    /// [`Error::CounterFull`].
    pub fn activate(&mut self, id: DestId) -> Result<(), Error> {
        self.change(id, Change::Activate)
    }

    /// An active connection becomes inactive. `OVERLOAD` is not looked at. Cost: O(1).
    ///
    /// # Errors
    /// As [`activate`](Self::activate).
    pub fn deactivate(&mut self, id: DestId) -> Result<(), Error> {
        self.change(id, Change::Deactivate)
    }

    /// A connection or a template ends (`ip_vs_unbind_dest`); `counting` is what it was last
    /// counted as.
    ///
    /// Then `OVERLOAD` is cleared if active + inactive is below the lower threshold; with a lower
    /// threshold of 0 if it is below three quarters of the upper one. Cost: O(1), in the trash
    /// O(log n).
    ///
    /// # Errors
    /// [`Error::NothingToRelease`], [`Error::UnknownDest`].
    pub fn release(&mut self, id: DestId, counting: Counting) -> Result<(), Error> {
        self.change(id, Change::Release(counting))
    }

    fn change(&mut self, id: DestId, change: Change) -> Result<(), Error> {
        match self.change_plain(id, change) {
            Some(_) => Ok(()),
            None => self.change_with_care(id, change).map(drop),
        }
    }

    /// Changes the counters of a destination of the usual kind: listed, with small counters, and
    /// without thresholds if they matter. The answer is its position. `None`: it is of another
    /// kind, or the change must be refused; nothing is changed then.
    #[inline]
    pub(crate) fn change_plain(&mut self, id: DestId, change: Change) -> Option<usize> {
        let slot = *self.slots.get(id.slot())?;
        let pos = match change {
            Change::Bind(_) | Change::Release(_) => slot.plain(id)?,
            Change::Activate | Change::Deactivate => slot.listed(id)?,
        };
        let hot = self.hot.get_mut(pos).filter(|hot| hot.is_small())?;
        match change {
            Change::Bind(Counting::Inactive) => hot.inactive += 1,
            Change::Bind(Counting::Active) => hot.active += 1,
            Change::Release(Counting::Inactive) => hot.inactive = hot.inactive.checked_sub(1)?,
            Change::Release(Counting::Active) => hot.active = hot.active.checked_sub(1)?,
            Change::Bind(Counting::Template) | Change::Release(Counting::Template) => return None,
            Change::Activate => {
                hot.inactive = hot.inactive.checked_sub(1)?;
                hot.active += 1;
            }
            Change::Deactivate => {
                hot.active = hot.active.checked_sub(1)?;
                hot.inactive += 1;
            }
        }
        Some(pos)
    }

    /// Changes the counters of any destination.
    #[inline(never)]
    pub(crate) fn change_with_care(
        &mut self,
        id: DestId,
        change: Change,
    ) -> Result<Touched, Error> {
        match change {
            Change::Bind(counting) => self.count(id, counting, Step::Up),
            Change::Release(counting) => self.count(id, counting, Step::Down),
            Change::Activate => self.shift(id, |hot| (&mut hot.inactive, &mut hot.active)),
            Change::Deactivate => self.shift(id, |hot| (&mut hot.active, &mut hot.inactive)),
        }
    }

    /// A scheduler's cache points at the destination.
    pub(crate) fn hold(&mut self, id: DestId) {
        let cold = self.parts_mut(id).map(|(_, cold)| cold);
        debug_assert!(cold.is_ok(), "a cache only takes destinations that exist");
        if let Ok(cold) = cold {
            cold.references += 1;
        }
    }

    /// A scheduler's cache no longer points at the destination.
    pub(crate) fn let_go(&mut self, id: DestId) {
        let gone = self.parts_mut(id).and_then(|(_, cold)| take_one(&mut cold.references, id));
        debug_assert!(gone.is_ok(), "what a cache points at is held");
    }

    /// A connection or template more or less, and what the thresholds say to it.
    fn count(&mut self, id: DestId, counting: Counting, step: Step) -> Result<Touched, Error> {
        let pos = self.position(id);
        let (hot, cold) = self.parts_mut(id)?;
        let counter = match counting {
            Counting::Inactive => &mut hot.inactive,
            Counting::Active => &mut hot.active,
            Counting::Template => &mut cold.persistent,
        };
        step.apply(counter, id)?;
        let before = (cold.overload, hot.eligible);
        cold.overload = match step {
            Step::Up => cold.overload || (cold.upper != 0 && total(hot) >= cold.upper),
            Step::Down => cold.overload && !has_recovered(hot, cold),
        };
        cold.refresh(hot);
        let after = (cold.overload, hot.eligible);
        let huge = hot.is_huge();
        if pos.is_some() {
            self.eligible_weight = self.eligible_weight - u64::from(before.1) + u64::from(after.1);
            if self.huge != 0 || huge {
                self.count_huge();
            }
        }
        Ok(Touched { pos, overload: before.0 != after.0 })
    }

    /// Moves a connection from one counter to the other.
    fn shift(
        &mut self,
        id: DestId,
        ends: impl FnOnce(&mut Hot) -> (&mut u32, &mut u32),
    ) -> Result<Touched, Error> {
        let pos = self.position(id);
        let (hot, _) = self.parts_mut(id)?;
        let (from, to) = ends(hot);
        if *from == 0 {
            return Err(Error::NothingToRelease(id));
        }
        add_one(to, id)?;
        *from -= 1;
        let huge = hot.is_huge();
        if pos.is_some() && (huge || self.huge != 0) {
            self.count_huge();
        }
        Ok(Touched { pos, overload: false })
    }
}

/// A connection more, or one less.
#[derive(Clone, Copy, Debug)]
enum Step {
    Up,
    Down,
}

impl Step {
    #[inline]
    fn apply(self, counter: &mut u32, id: DestId) -> Result<(), Error> {
        match self {
            Self::Up => add_one(counter, id),
            Self::Down => take_one(counter, id),
        }
    }
}

/// Connections without templates; two `int`s never overflow 32 bits.
#[inline]
const fn total(hot: &Hot) -> u32 {
    hot.active + hot.inactive
}

/// The rule that clears `OVERLOAD`, in the kernel's 32 bits.
const fn has_recovered(hot: &Hot, cold: &Cold) -> bool {
    let total = total(hot);
    if cold.lower != 0 {
        total < cold.lower
    } else if cold.upper != 0 {
        total.wrapping_mul(4) < cold.upper.wrapping_mul(3)
    } else {
        true
    }
}

#[inline]
fn add_one(counter: &mut u32, id: DestId) -> Result<(), Error> {
    if *counter >= MAX_INT {
        return Err(Error::CounterFull(id));
    }
    *counter += 1;
    Ok(())
}

#[inline]
fn take_one(counter: &mut u32, id: DestId) -> Result<(), Error> {
    *counter = counter.checked_sub(1).ok_or(Error::NothingToRelease(id))?;
    Ok(())
}
