//! The arrays behind the list: slots, positions, holes.

use core::net::IpAddr;

use super::dest::{Dest, DestEdit, DestId, MAX_INT};
use super::{CLOSE_AT_ONCE, Pool};
use crate::error::Error;

/// One slot: how often it was used, and where its destination is.
///
/// Arranged for the usual case, a listed destination without thresholds: then one comparison shows
/// that an id is good, and `place` is the position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// The id of its destination; of a free slot only the use counts.
    id: u32,
    /// The position in the list, and above it one of the flags.
    place: u32,
}

impl Slot {
    /// No destination.
    const FREE: u32 = 1 << 31;
    /// The destination is in the trash.
    const TRASHED: u32 = 1 << 30;
    /// The destination has an upper threshold or is overloaded: counting must look at both.
    const LIMITED: u32 = 1 << 29;

    /// A slot that was used so often.
    pub(super) const fn free(usage: u16) -> Self {
        Self { id: DestId::use_bits(usage), place: Self::FREE }
    }

    /// How often it was used.
    pub(super) const fn usage(self) -> u16 {
        DestId::usage_of(self.id)
    }

    /// Has it no destination? The next one gets the next use.
    pub(super) const fn is_free(self) -> bool {
        self.place == Self::FREE
    }

    /// The position behind an id that is in the list.
    #[inline]
    pub(super) const fn listed(self, id: DestId) -> Option<usize> {
        let pos = self.place & !Self::LIMITED;
        if self.id == id.to_raw() && pos < Self::LIMITED { Some(pos as usize) } else { None }
    }

    /// The position behind an id that is in the list and has no thresholds to look at; behind any
    /// other `None` or a number beyond every list.
    #[inline]
    pub(super) const fn plain(self, id: DestId) -> Option<usize> {
        if self.id == id.to_raw() { Some(self.place as usize) } else { None }
    }

    pub(super) const fn set_limited(&mut self, limited: bool) {
        self.place = self.place & !Self::LIMITED | if limited { Self::LIMITED } else { 0 };
    }
}

/// What the rules walk over. A hole is all zero.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Hot {
    /// The weight if the destination may be chosen, 0 if it is overloaded (or a hole).
    pub(crate) eligible: u32,
    /// The weight.
    pub(crate) weight: u32,
    /// Active connections.
    pub(crate) active: u32,
    /// Inactive connections.
    pub(crate) inactive: u32,
}

impl Hot {
    /// `(active << 8) + inactive` in 32 bits (`ip_vs.h`, `ip_vs_dest_conn_overhead`).
    #[inline]
    pub(crate) const fn overhead(&self) -> u32 {
        (self.active << 8).wrapping_add(self.inactive)
    }

    /// Are the counters so small that none is full and no cost is negative as the kernel's `int`,
    /// now and after one more connection?
    #[inline]
    pub(super) const fn is_small(&self) -> bool {
        (self.active | self.inactive) < 1 << 22
    }

    /// Is the overhead, or active + 1, negative as the kernel's `int`?
    #[inline]
    pub(super) const fn is_huge(&self) -> bool {
        self.overhead() > MAX_INT || self.active == MAX_INT
    }
}

/// The rest of a destination.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cold {
    pub(super) addr: IpAddr,
    pub(super) port: u16,
    pub(super) overload: bool,
    pub(super) last_weight: u32,
    pub(super) persistent: u32,
    pub(super) upper: u32,
    pub(super) lower: u32,
    /// Entries of a scheduler's cache that point here.
    pub(super) references: u32,
}

impl Cold {
    pub(super) const fn new(addr: IpAddr, port: u16) -> Self {
        Self {
            addr,
            port,
            overload: false,
            last_weight: 0,
            persistent: 0,
            upper: 0,
            lower: 0,
            references: 0,
        }
    }

    /// Stores an edit (`__ip_vs_update_dest`).
    pub(super) const fn update(&mut self, hot: &mut Hot, edit: &DestEdit) {
        hot.weight = edit.weight;
        if edit.weight != 0 {
            self.last_weight = edit.weight;
        }
        if edit.upper_threshold == 0 || edit.upper_threshold > self.upper {
            self.overload = false;
        }
        self.upper = edit.upper_threshold;
        self.lower = edit.lower_threshold;
        self.refresh(hot);
    }

    /// Derives what the rules see from the flag and the weight.
    pub(super) const fn refresh(&self, hot: &mut Hot) {
        hot.eligible = if self.overload { 0 } else { hot.weight };
    }

    /// Must counting look at thresholds or flag?
    pub(super) const fn is_limited(&self) -> bool {
        self.upper != 0 || self.overload
    }

    pub(super) const fn view(&self, hot: &Hot, id: DestId, listed: bool) -> Dest {
        Dest {
            id,
            addr: self.addr,
            port: self.port,
            weight: hot.weight,
            last_weight: self.last_weight,
            active: hot.active,
            inactive: hot.inactive,
            persistent: self.persistent,
            upper_threshold: self.upper,
            lower_threshold: self.lower,
            available: listed,
            overload: self.overload,
        }
    }
}

impl Pool {
    /// The slot behind an id, if the id is still good.
    #[inline]
    pub(super) fn slot(&self, id: DestId) -> Result<&Slot, Error> {
        match self.slots.get(id.slot()) {
            Some(s) if s.usage() == id.usage() && !s.is_free() => Ok(s),
            _ => Err(Error::UnknownDest(id)),
        }
    }

    /// The position of a listed destination.
    #[inline]
    pub(crate) fn position(&self, id: DestId) -> Option<usize> {
        self.slots.get(id.slot())?.listed(id)
    }

    #[inline]
    pub(super) fn listed_position(&self, id: DestId) -> Result<usize, Error> {
        self.slot(id)?.listed(id).ok_or(Error::NotListed(id))
    }

    /// What the rules walk over, tail first: the head is the last element. Holes are all zero.
    #[inline]
    pub(crate) fn hot(&self) -> &[Hot] {
        &self.hot
    }

    /// The destination at a position; `None` for a hole.
    #[inline]
    pub(crate) fn id_at(&self, pos: usize) -> Option<DestId> {
        self.ids.get(pos).copied().flatten()
    }

    /// Changes whenever positions move.
    #[inline]
    pub(crate) const fn layout(&self) -> u64 {
        self.layout
    }

    /// Is a cost of some listed destination negative as the kernel's `int`?
    #[inline]
    pub(crate) const fn has_huge_counters(&self) -> bool {
        self.huge > 0
    }

    /// Sum of the weights of those that may be chosen.
    #[inline]
    pub(crate) const fn eligible_weight(&self) -> u64 {
        self.eligible_weight
    }

    pub(super) fn parts(&self, id: DestId) -> Option<(&Hot, &Cold, bool)> {
        let slot = self.slot(id).ok()?;
        if let Some(pos) = slot.listed(id) {
            return Some((self.hot.get(pos)?, self.cold.get(pos)?, true));
        }
        self.trash.get(&id).map(|(h, c)| (h, c, false))
    }

    pub(super) fn parts_mut(&mut self, id: DestId) -> Result<(&mut Hot, &mut Cold), Error> {
        let found = match self.slot(id)?.listed(id) {
            Some(pos) => self.hot.get_mut(pos).zip(self.cold.get_mut(pos)),
            None => self.trash.get_mut(&id).map(|(h, c)| (h, c)),
        };
        found.ok_or(Error::UnknownDest(id))
    }

    pub(super) fn is_idle_trash(&self, id: DestId) -> bool {
        self.trash.get(&id).is_some_and(|(hot, cold)| {
            hot.active == 0 && hot.inactive == 0 && cold.persistent == 0 && cold.references == 0
        })
    }

    pub(super) fn set_trashed(&mut self, id: DestId) {
        if let Some(slot) = self.slots.get_mut(id.slot()) {
            slot.place = Slot::TRASHED;
        }
    }

    pub(super) fn set_free(&mut self, id: DestId) {
        if let Some(slot) = self.slots.get_mut(id.slot()) {
            slot.place = Slot::FREE;
        }
    }

    /// An id for a new destination.
    pub(super) fn new_id(&mut self) -> Result<DestId, Error> {
        let slot = match self.free.pop_front() {
            Some(slot) => slot as usize,
            None if self.slots.len() < DestId::SLOTS => {
                self.slots.push(Slot::free(0));
                self.slots.len() - 1
            }
            None => return Err(Error::NoIdLeft),
        };
        let entry = self.slots.get_mut(slot).ok_or(Error::NoIdLeft)?;
        let usage = entry.usage() + 1;
        debug_assert!(usage <= DestId::LAST_USE, "a worn out slot is never free");
        *entry = Slot::free(usage);
        DestId::new(slot, usage).ok_or(Error::NoIdLeft)
    }

    /// Puts a destination at the head.
    pub(super) fn push(&mut self, id: DestId, hot: Hot, cold: Cold) {
        let (pos, limited) = (self.hot.len() as u32, cold.is_limited());
        if let Some(slot) = self.slots.get_mut(id.slot()) {
            *slot = Slot { id: id.to_raw(), place: pos };
            slot.set_limited(limited);
        }
        self.hot.push(hot);
        self.cold.push(cold);
        self.ids.push(Some(id));
        self.listed += 1;
        self.huge += usize::from(hot.is_huge());
        self.eligible_weight += u64::from(hot.eligible);
    }

    /// Counts those with a negative cost anew.
    #[cold]
    #[inline(never)]
    pub(super) fn count_huge(&mut self) {
        self.huge = self.hot.iter().filter(|h| h.is_huge()).count();
    }

    /// Takes a destination out of the list.
    pub(super) fn take(&mut self, pos: usize) -> (Hot, Cold) {
        let pair = (self.hot[pos], self.cold[pos]);
        self.listed -= 1;
        self.huge -= usize::from(pair.0.is_huge());
        self.eligible_weight -= u64::from(pair.0.eligible);
        self.hot[pos] = Hot::default();
        self.ids[pos] = None;
        let len = self.hot.len();
        if len <= CLOSE_AT_ONCE || self.listed * 2 <= len {
            self.close_holes();
        }
        pair
    }

    fn close_holes(&mut self) {
        let mut to = 0;
        for from in 0..self.ids.len() {
            if let Some(id) = self.ids[from] {
                self.ids[to] = Some(id);
                self.hot[to] = self.hot[from];
                self.cold[to] = self.cold[from];
                if let Some(slot) = self.slots.get_mut(id.slot()) {
                    slot.place = slot.place & Slot::LIMITED | to as u32;
                }
                to += 1;
            }
        }
        self.hot.truncate(to);
        self.cold.truncate(to);
        self.ids.truncate(to);
        self.layout += 1;
    }
}
