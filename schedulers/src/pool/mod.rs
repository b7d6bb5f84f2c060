//! Destinations in the kernel's list order, with their counters.
//!
//! The list is kept as three arrays by *position*: the part every rule walks over (16 bytes per
//! destination), the ids (4 bytes), and the rest. The head of the list is the highest position, so an addition
//! is a push. A removal from a short list closes the gap at once; in a long list it leaves a hole,
//! and when half of the positions are holes all are closed in one go: constant cost per removal on
//! average.
//!
//! Rules: `net/netfilter/ipvs/ip_vs_ctl.c` (`__ip_vs_update_dest`, `ip_vs_add_dest`,
//! `__ip_vs_unlink_dest`, `ip_vs_trash_get_dest`), `ip_vs_conn.c` (`ip_vs_bind_dest`,
//! `ip_vs_unbind_dest`).

mod count;
mod dest;
mod list;
mod saved;

pub(crate) use count::Change;
pub use dest::{Counting, Dest, DestEdit, DestId, DestSpec, MAX_INT};
pub(crate) use list::Hot;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::error::Error;
use list::{Cold, Slot};

/// Lists up to this length close the gap of a removed destination at once.
const CLOSE_AT_ONCE: usize = 64;

/// The destinations of one service.
///
/// ```
/// use schedulers::pool::{Counting, DestSpec, Pool};
///
/// let mut pool = Pool::new();
/// let a = pool.add(DestSpec::new([10, 0, 0, 1].into(), 80, 1))?;
/// let b = pool.add(DestSpec::new([10, 0, 0, 2].into(), 80, 1))?;
/// // The last one added is the first of the list.
/// assert!(pool.iter().map(|d| d.id).eq([b, a]));
///
/// pool.bind(a, Counting::Inactive)?;
/// pool.activate(a)?;
/// pool.remove(a)?;
/// // Its connection is still counted, and may end.
/// assert_eq!(pool.active(a), Some(1));
/// assert!(pool.purge(a).is_err());
/// pool.release(a, Counting::Active)?;
/// pool.purge(a)?;
/// assert_eq!(pool.get(a), None);
/// # Ok::<(), schedulers::Error>(())
/// ```
#[derive(Clone, Default, Debug)]
pub struct Pool {
    hot: Vec<Hot>,
    cold: Vec<Cold>,
    /// Who is where; `None` is a hole.
    ids: Vec<Option<DestId>>,
    slots: Vec<Slot>,
    /// Free slots, the one freed first is used first.
    free: VecDeque<u32>,
    trash: BTreeMap<DestId, (Hot, Cold)>,
    by_addr: BTreeMap<(IpAddr, u16), DestId>,
    listed: usize,
    /// Listed destinations whose cost, in some rule, is negative as an `int`.
    huge: usize,
    /// Sum of the weights of those that may be chosen.
    eligible_weight: u64,
    /// Changes whenever positions move.
    layout: u64,
}

impl Pool {
    /// No destination at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Destinations in the list.
    pub const fn len(&self) -> usize {
        self.listed
    }

    /// Is the list empty?
    pub const fn is_empty(&self) -> bool {
        self.listed == 0
    }

    /// Adds a destination at the head of the list. One that waits in the trash under the same
    /// address and port is taken back with its id, its counters and its `OVERLOAD` flag.
    ///
    /// Cost: O(log n).
    ///
    /// # Errors
    /// [`Error::Weight`], [`Error::Thresholds`], [`Error::Duplicate`], [`Error::NoIdLeft`].
    pub fn add(&mut self, spec: DestSpec) -> Result<DestId, Error> {
        check(&spec.edit())?;
        let key = (spec.addr, spec.port);
        let id = match self.by_addr.get(&key) {
            Some(&id) if self.position(id).is_some() => return Err(Error::Duplicate(id)),
            Some(&id) => id,
            None => self.new_id()?,
        };
        let (mut hot, mut cold) = self
            .trash
            .remove(&id)
            .unwrap_or_else(|| (Hot::default(), Cold::new(spec.addr, spec.port)));
        cold.last_weight = spec.weight;
        cold.update(&mut hot, &spec.edit());
        self.by_addr.insert(key, id);
        self.push(id, hot, cold);
        Ok(id)
    }

    /// Sets weight and thresholds. The place in the list stays.
    ///
    /// `OVERLOAD` is cleared if the new upper threshold is 0 or higher than the old one; an edit
    /// never sets it. Cost: O(1).
    ///
    /// # Errors
    /// [`Error::Weight`], [`Error::Thresholds`], [`Error::UnknownDest`], [`Error::NotListed`].
    pub fn edit(&mut self, id: DestId, edit: DestEdit) -> Result<(), Error> {
        check(&edit)?;
        let pos = self.listed_position(id)?;
        let (hot, cold) = (&mut self.hot[pos], &mut self.cold[pos]);
        self.eligible_weight -= u64::from(hot.eligible);
        cold.update(hot, &edit);
        self.eligible_weight += u64::from(hot.eligible);
        let limited = cold.is_limited();
        if let Some(slot) = self.slots.get_mut(id.slot()) {
            slot.set_limited(limited);
        }
        Ok(())
    }

    /// Takes a destination out of the list. It stays in the trash, with its counters, until it is
    /// added again or [purged](Self::purge).
    ///
    /// Cost: O(log n) on average; one removal in n/2 closes all holes, O(n).
    ///
    /// # Errors
    /// [`Error::UnknownDest`], [`Error::NotListed`].
    pub fn remove(&mut self, id: DestId) -> Result<(), Error> {
        let pos = self.listed_position(id)?;
        let pair = self.take(pos);
        self.set_trashed(id);
        self.trash.insert(id, pair);
        Ok(())
    }

    /// Forgets a destination of the trash. The kernel does so when it was idle for 120 s.
    ///
    /// # Errors
    /// [`Error::InUse`] if it is listed, is counted for a connection or a template, or a
    /// scheduler's cache still points at it; [`Error::UnknownDest`].
    pub fn purge(&mut self, id: DestId) -> Result<(), Error> {
        self.slot(id)?;
        if !self.is_idle_trash(id) {
            return Err(Error::InUse(id));
        }
        if let Some((_, cold)) = self.trash.remove(&id) {
            self.by_addr.remove(&(cold.addr, cold.port));
            self.set_free(id);
            // A slot whose last use is over is never handed out again.
            if id.usage() < DestId::LAST_USE {
                self.free.push_back(id.slot() as u32);
            }
        }
        Ok(())
    }

    /// Purges everything in the trash that can be purged; how many that were.
    pub fn purge_idle(&mut self) -> usize {
        let idle: Vec<DestId> =
            self.trash.keys().copied().filter(|&id| self.is_idle_trash(id)).collect();
        idle.iter().filter(|&&id| self.purge(id).is_ok()).count()
    }

    /// The removed destinations, in the order of their ids.
    pub fn trash(&self) -> impl Iterator<Item = Dest> + '_ {
        self.trash.iter().map(|(&id, (hot, cold))| cold.view(hot, id, false))
    }

    /// The list, head first: the order in which every rule walks.
    pub fn iter(&self) -> impl Iterator<Item = Dest> + '_ {
        let all = self.ids.iter().zip(self.hot.iter().zip(&self.cold)).rev();
        all.filter_map(|(id, (hot, cold))| id.map(|id| cold.view(hot, id, true)))
    }

    /// The destination, listed or in the trash.
    pub fn get(&self, id: DestId) -> Option<Dest> {
        self.parts(id).map(|(hot, cold, listed)| cold.view(hot, id, listed))
    }

    /// The destination with this address and port, listed or in the trash.
    pub fn find(&self, addr: IpAddr, port: u16) -> Option<DestId> {
        self.by_addr.get(&(addr, port)).copied()
    }

    /// Its weight.
    pub fn weight(&self, id: DestId) -> Option<u32> {
        self.parts(id).map(|(hot, _, _)| hot.weight)
    }

    /// Its active connections.
    pub fn active(&self, id: DestId) -> Option<u32> {
        self.parts(id).map(|(hot, _, _)| hot.active)
    }

    /// Its inactive connections.
    pub fn inactive(&self, id: DestId) -> Option<u32> {
        self.parts(id).map(|(hot, _, _)| hot.inactive)
    }

    /// Its persistence templates.
    pub fn persistent(&self, id: DestId) -> Option<u32> {
        self.parts(id).map(|(_, cold, _)| cold.persistent)
    }

    /// Is it in the list (flag `AVAILABLE`)?
    pub fn is_available(&self, id: DestId) -> bool {
        self.position(id).is_some()
    }

    /// Is its flag `OVERLOAD` set?
    pub fn is_overloaded(&self, id: DestId) -> bool {
        self.parts(id).is_some_and(|(_, cold, _)| cold.overload)
    }
}

/// Refuses weights and thresholds that the kernel refuses.
fn check(edit: &DestEdit) -> Result<(), Error> {
    if edit.weight > MAX_INT {
        return Err(Error::Weight(edit.weight));
    }
    if edit.lower_threshold > edit.upper_threshold {
        return Err(Error::Thresholds { lower: edit.lower_threshold, upper: edit.upper_threshold });
    }
    Ok(())
}
