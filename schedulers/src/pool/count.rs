//! Connections: bound, activated, deactivated, released.

use super::dest::{Counting, DestId, MAX_INT};
use super::list::{Cold, Hot};
use super::{Place, Pool};
use crate::error::Error;

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
        self.count(id, |hot, cold| {
            increment(counter(hot, cold, counting), id)?;
            if cold.upper != 0 && total(hot) >= cold.upper && !cold.overload {
                cold.overload = true;
                cold.refresh(hot);
            }
            Ok(())
        })
    }

    /// An inactive connection becomes active. `OVERLOAD` is not looked at. Cost: O(1).
    ///
    /// # Errors
    /// [`Error::NothingToRelease`] if no inactive connection is counted, [`Error::UnknownDest`],
    /// [`Error::CounterFull`].
    pub fn activate(&mut self, id: DestId) -> Result<(), Error> {
        self.count(id, |hot, _| shift(&mut hot.inactive, &mut hot.active, id))
    }

    /// An active connection becomes inactive. `OVERLOAD` is not looked at. Cost: O(1).
    ///
    /// # Errors
    /// As [`activate`](Self::activate).
    pub fn deactivate(&mut self, id: DestId) -> Result<(), Error> {
        self.count(id, |hot, _| shift(&mut hot.active, &mut hot.inactive, id))
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
        self.count(id, |hot, cold| {
            decrement(counter(hot, cold, counting), id)?;
            if cold.overload && has_recovered(hot, cold) {
                cold.overload = false;
                cold.refresh(hot);
            }
            Ok(())
        })
    }

    /// A scheduler's cache points at the destination.
    pub(crate) fn hold(&mut self, id: DestId) {
        let held = self.count(id, |_, cold| {
            cold.references += 1;
            Ok(())
        });
        debug_assert!(held.is_ok(), "a cache only takes destinations that exist");
    }

    /// A scheduler's cache no longer points at the destination.
    pub(crate) fn let_go(&mut self, id: DestId) {
        let held = self.count(id, |_, cold| decrement(&mut cold.references, id));
        debug_assert!(held.is_ok(), "what a cache points at is not purged");
    }

    /// Changes a destination, listed or in the trash.
    #[inline]
    fn count(
        &mut self,
        id: DestId,
        f: impl FnOnce(&mut Hot, &mut Cold) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self.slot(id)?.place {
            Place::Listed(pos) => self.change(pos as usize, f),
            _ => match self.trash.get_mut(&id) {
                Some((hot, cold)) => f(hot, cold),
                None => Err(Error::UnknownDest(id)),
            },
        }
    }
}

#[inline]
const fn counter<'a>(hot: &'a mut Hot, cold: &'a mut Cold, counting: Counting) -> &'a mut u32 {
    match counting {
        Counting::Inactive => &mut hot.inactive,
        Counting::Active => &mut hot.active,
        Counting::Template => &mut cold.persistent,
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
fn increment(counter: &mut u32, id: DestId) -> Result<(), Error> {
    if *counter >= MAX_INT {
        return Err(Error::CounterFull(id));
    }
    *counter += 1;
    Ok(())
}

#[inline]
fn decrement(counter: &mut u32, id: DestId) -> Result<(), Error> {
    *counter = counter.checked_sub(1).ok_or(Error::NothingToRelease(id))?;
    Ok(())
}

#[inline]
fn shift(from: &mut u32, to: &mut u32, id: DestId) -> Result<(), Error> {
    if *from == 0 {
        return Err(Error::NothingToRelease(id));
    }
    increment(to, id)?;
    *from -= 1;
    Ok(())
}
