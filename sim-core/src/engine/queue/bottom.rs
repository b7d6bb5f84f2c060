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
    /// Place of the first entry of each used slot.
    first: [u8; SLOTS],
    /// Place of the last one.
    last: [u8; SLOTS],
    /// Place of the entry behind each that is not the last of its slot.
    next: [u8; ROOM],
    /// No places, or [`ROOM`].
    entries: Vec<Entry<E>>,
}

impl<E: Copy> Bottom<E> {
    /// Without places: see [`Bottom::furnish`].
    pub(super) const fn new() -> Self {
        Self {
            free: 0,
            words: 0,
            shift: 0,
            used: [0; WORDS],
            first: [0; SLOTS],
            last: [0; SLOTS],
            next: [0; ROOM],
            entries: Vec::new(),
        }
    }

    /// Makes the places; `filler` is any entry.
    pub(super) fn furnish(&mut self, filler: Entry<E>) {
        self.entries = vec![filler; ROOM];
        self.free = u64::MAX;
    }

    pub(super) const fn is_furnished(&self) -> bool {
        !self.entries.is_empty()
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
        self.first[slot] = place as u8;
        self.last[slot] = place as u8;
    }

    /// Puts the entry at `place` into the list of a slot.
    #[inline(never)]
    fn put_behind(&mut self, slot: usize, place: usize, time: u64) {
        let last = self.last[slot] as usize % ROOM;
        if self.entries[last].time <= time {
            self.next[last] = place as u8;
            self.last[slot] = place as u8;
            return;
        }
        let mut after = self.first[slot] as usize % ROOM;
        if self.entries[after].time > time {
            self.next[place] = after as u8;
            self.first[slot] = place as u8;
            return;
        }
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
        let place = self.first[slot] as usize % ROOM;
        let Entry { time, event } = self.entries[place];
        self.free |= 1 << place;
        if self.last[slot] as usize == place {
            let word = &mut self.used[slot / WORD];
            *word &= word.wrapping_sub(1);
            if *word == 0 {
                self.words &= self.words.wrapping_sub(1);
            }
        } else {
            self.first[slot] = self.next[place];
        }
        Some((time, event))
    }

    /// Time of the first entry.
    #[inline]
    pub(super) fn first_time(&self) -> Option<u64> {
        let slot = self.first_slot()?;
        Some(self.entries[self.first[slot] as usize % ROOM].time)
    }

    /// Bytes of memory on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry<E>>()
    }
}
