//! The memory of the buckets: chunks of entries.

use super::Entry;

/// The end of a list of chunks.
const NONE: u32 = u32::MAX;

/// Chunks of equal size. A chunk has a link to another one, for whatever list it is in; those that
/// are in no bucket are in the list of free ones.
#[derive(Clone, Debug)]
pub(super) struct Pool<E> {
    /// The chunks, one after the other.
    slots: Vec<Entry<E>>,
    links: Vec<u32>,
    free: u32,
    /// Binary logarithm of the entries in a chunk.
    bits: u32,
}

impl<E: Copy> Pool<E> {
    /// A pool without chunks, which will have 2^`bits` entries each.
    pub(super) const fn new(bits: u32) -> Self {
        Self { slots: Vec::new(), links: Vec::new(), free: NONE, bits }
    }

    pub(super) const fn bits(&self) -> u32 {
        self.bits
    }

    /// Entries in a chunk.
    #[inline]
    pub(super) const fn chunk(&self) -> usize {
        1 << self.bits
    }

    /// How many of a bucket's entries are in its last chunk.
    #[inline]
    pub(super) const fn in_tail(&self, count: usize) -> usize {
        ((count - 1) & (self.chunk() - 1)) + 1
    }

    #[inline]
    pub(super) fn entries(&self, id: u32, count: usize) -> &[Entry<E>] {
        &self.slots[(id as usize) << self.bits..][..count]
    }

    #[inline]
    pub(super) fn get(&self, id: u32, slot: usize) -> Entry<E> {
        self.slots[((id as usize) << self.bits) + slot]
    }

    #[inline]
    pub(super) fn set(&mut self, id: u32, slot: usize, entry: Entry<E>) {
        self.slots[((id as usize) << self.bits) + slot] = entry;
    }

    #[inline]
    pub(super) fn link(&self, id: u32) -> u32 {
        self.links[id as usize]
    }

    /// Takes a chunk, writes its first entry and makes it the last one of the circle of `tail`, or a
    /// circle of its own.
    #[inline]
    pub(super) fn take(&mut self, tail: Option<u32>, first: Entry<E>) -> u32 {
        let id = if self.free == NONE { self.grow(first) } else { self.free };
        self.free = self.links[id as usize];
        self.set(id, 0, first);
        self.links[id as usize] = match tail {
            Some(tail) => core::mem::replace(&mut self.links[tail as usize], id),
            None => id,
        };
        id
    }

    /// Makes a new chunk. Room is made a sixteenth at a time: doubling could hold as much again as
    /// the entries themselves.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, filler: Entry<E>) -> u32 {
        let id = self.links.len();
        assert!(id < NONE as usize, "chunk ids fit in 32 bits");
        if id == self.links.capacity() {
            let more = (id / 16).max(1);
            self.slots.reserve_exact(more << self.bits);
            self.links.reserve_exact(more);
        }
        self.slots.resize(self.slots.len() + self.chunk(), filler);
        self.links.push(NONE);
        id as u32
    }

    /// Frees a chunk.
    #[inline]
    pub(super) fn release(&mut self, id: u32) {
        self.links[id as usize] = self.free;
        self.free = id;
    }

    /// Frees the first chunk of the circle of `tail`.
    #[inline]
    pub(super) fn release_first(&mut self, tail: u32) {
        let first = self.links[tail as usize];
        self.links[tail as usize] = self.links[first as usize];
        self.release(first);
    }

    /// Frees the circle of `tail`.
    #[inline]
    pub(super) fn release_all(&mut self, tail: u32) {
        let first = core::mem::replace(&mut self.links[tail as usize], self.free);
        self.free = first;
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Entry<E>>() + self.links.capacity() * size_of::<u32>()
    }
}
