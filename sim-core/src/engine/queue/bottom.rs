//! The events that come next, at most [`ROOM`] of them.
//!
//! They lie in slots, each for the same short time; a bit for each slot tells whether it holds
//! something. Mostly a slot holds one event, so that neither putting nor taking one depends on how
//! many there are, nor on anything that a processor could not foresee. More than one in a slot are
//! a list in order.

use super::Entry;

/// Events there is room for.
pub(super) const ROOM: usize = 64;
/// Binary logarithm of the number of slots.
const SLOT_BITS: u32 = 10;
const SLOTS: usize = 1 << SLOT_BITS;
const WORD: usize = u64::BITS as usize;
const WORDS: usize = SLOTS / WORD;

/// The events of one range of times, earliest first; of equal times, first put first.
///
/// The range is 2^n ns long and begins at a multiple of that; n is given when it is
/// [opened](Bottom::open).
#[derive(Clone, Debug)]
pub(super) struct Bottom<E> {
    /// Which places of `entries` are free.
    free: u64,
    /// Which words of `used` are not zero.
    words: u16,
    /// Binary logarithm of the length of a slot.
    shift: u32,
    /// Which slots hold something.
    used: [u64; WORDS],
    /// Places of the first and the last entry of each used slot.
    ends: [[u8; 2]; SLOTS],
    /// Place of the entry behind each that is not the last of its slot.
    next: [u8; ROOM],
    entries: [Entry<E>; ROOM],
}

impl<E: Copy + Default> Bottom<E> {
    pub(super) fn new() -> Self {
        Self {
            free: u64::MAX,
            words: 0,
            shift: 0,
            used: [0; WORDS],
            ends: [[0; 2]; SLOTS],
            next: [0; ROOM],
            entries: [Entry { time: 0, event: E::default() }; ROOM],
        }
    }

    /// Entries in it.
    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.free.count_zeros() as usize
    }

    /// Whether another entry can be put.
    #[inline]
    pub(super) const fn has_room(&self) -> bool {
        self.free != 0
    }

    /// Begins a range of 2^`bits` ns. Nothing may be left of the last one.
    #[inline]
    pub(super) fn open(&mut self, bits: u32) {
        debug_assert!(self.words == 0, "a range is used up before the next is opened");
        self.shift = bits.saturating_sub(SLOT_BITS);
    }

    /// Puts an entry of the range, behind those of the same time. There must be room.
    #[inline]
    pub(super) fn put(&mut self, time: u64, event: E) {
        debug_assert!(self.has_room(), "there is room for another entry");
        let place = self.free.trailing_zeros() as usize % ROOM;
        self.free &= self.free.wrapping_sub(1);
        self.entries[place] = Entry { time, event };
        let slot = (time >> self.shift) as usize % SLOTS;
        let bit = 1 << (slot % WORD);
        if self.used[slot / WORD] & bit != 0 {
            self.put_behind(slot, place, time);
            return;
        }
        self.used[slot / WORD] |= bit;
        self.words |= 1 << (slot / WORD);
        self.ends[slot] = [place as u8; 2];
    }

    /// Puts the entry at `place` into the list of a slot.
    #[inline(never)]
    fn put_behind(&mut self, slot: usize, place: usize, time: u64) {
        let [first, last] = self.ends[slot].map(|end| end as usize % ROOM);
        if self.entries[last].time <= time {
            self.next[last] = place as u8;
            self.ends[slot][1] = place as u8;
            return;
        }
        if self.entries[first].time > time {
            self.next[place] = first as u8;
            self.ends[slot][0] = place as u8;
            return;
        }
        let mut after = first;
        // the last one is later, so this ends there at the latest
        loop {
            let next = self.next[after] as usize % ROOM;
            if self.entries[next].time > time {
                self.next[place] = next as u8;
                self.next[after] = place as u8;
                return;
            }
            after = next;
        }
    }

    /// The first slot in use.
    #[inline]
    fn first_slot(&self) -> Option<usize> {
        let word = self.words.trailing_zeros() as usize;
        let bits = self.used.get(word)?;
        Some(word * WORD + bits.trailing_zeros() as usize % WORD)
    }

    /// Takes the first entry.
    #[inline]
    pub(super) fn take(&mut self) -> Option<(u64, E)> {
        let slot = self.first_slot()?;
        let [first, last] = self.ends[slot];
        let place = first as usize % ROOM;
        let Entry { time, event } = self.entries[place];
        self.free |= 1 << place;
        if first == last {
            let word = &mut self.used[slot / WORD];
            *word &= word.wrapping_sub(1);
            // no branch: nobody can foresee it
            self.words ^= u16::from(*word == 0) << (slot / WORD);
        } else {
            self.ends[slot][0] = self.next[place];
        }
        Some((time, event))
    }

    /// Time of the first entry.
    #[inline]
    pub(super) fn first_time(&self) -> Option<u64> {
        let slot = self.first_slot()?;
        Some(self.entries[self.ends[slot][0] as usize % ROOM].time)
    }
}
