//! A 4-ary heap of 16-byte keys.

use std::hint::select_unpredictable;

/// Four siblings: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Siblings([u128; 4]);

/// Groups of siblings. A position's children must have a group, so it is also about the greatest
/// number of keys.
const GROUPS: usize = 1 << 14;

/// The position of the least key: the last of group 0, so that the children of position `i` are
/// exactly group `i - 2`.
const ROOT: usize = 3;

/// Stands where there is no key; greater than every key.
const NONE: u128 = u128::MAX;

/// The least key comes out first.
///
/// A position without a key holds [`NONE`], so that a search for the least child needs no count of
/// children. Taking a key leaves the root vacant until the next operation: what is pushed next goes
/// there, and one walk down replaces a walk down and one up.
#[derive(Debug)]
pub(super) struct Heap {
    groups: Box<[Siblings; GROUPS]>,
    /// One past the position of the last key.
    end: usize,
    /// The root's key was taken.
    vacant: bool,
}

impl Heap {
    /// The greatest number of keys.
    const CAPACITY: usize = GROUPS - 8;

    pub(super) fn new() -> Self {
        let groups = vec![Siblings([NONE; 4]); GROUPS].into_boxed_slice();
        let groups = groups.try_into().expect("the slice has GROUPS elements");
        Self { groups, end: ROOT, vacant: false }
    }

    /// How many keys it holds.
    pub(super) fn len(&self) -> usize {
        self.end - ROOT - usize::from(self.vacant)
    }

    #[inline]
    fn at(&mut self, position: usize) -> &mut u128 {
        &mut self.groups[(position >> 2) & (GROUPS - 1)].0[position & 3]
    }

    /// Adds a key. Keys must be distinct, their upper half less than `u64::MAX`.
    #[inline]
    pub(super) fn push(&mut self, key: u128) {
        if self.vacant {
            self.vacant = false;
            self.sink(key);
        } else {
            assert!(self.end < ROOT + Self::CAPACITY, "more events pending than the heap holds");
            let hole = self.end;
            self.end += 1;
            self.rise(hole, key);
        }
    }

    /// Takes the least key.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<u128> {
        if self.vacant {
            self.close();
        }
        let key = *self.at(ROOT);
        // Half of `NONE` tells: no event is that late.
        self.vacant = (key >> 64) as u64 != u64::MAX;
        self.vacant.then_some(key)
    }

    /// The last key takes the vacant root.
    fn close(&mut self) {
        self.vacant = false;
        self.end -= 1;
        let last = self.end;
        let key = std::mem::replace(self.at(last), NONE);
        if last > ROOT {
            self.sink(key);
        }
    }

    /// Puts `key` into the vacant root, or where it belongs below.
    #[inline]
    fn sink(&mut self, key: u128) {
        let mut hole = ROOT;
        loop {
            let child = hole.wrapping_sub(2);
            let four = self.groups[child & (GROUPS - 1)].0;
            let left = select_unpredictable(four[1] < four[0], (four[1], 1), (four[0], 0));
            let right = select_unpredictable(four[3] < four[2], (four[3], 3), (four[2], 2));
            let (least, place) = select_unpredictable(right.0 < left.0, right, left);
            if key < least {
                break;
            }
            *self.at(hole) = least;
            hole = child << 2 | place;
        }
        *self.at(hole) = key;
    }

    /// Puts `key` into the vacant `hole` or where it belongs above.
    #[inline]
    fn rise(&mut self, mut hole: usize, key: u128) {
        while hole > ROOT {
            let parent = (hole >> 2) + 2;
            let above = *self.at(parent);
            if above < key {
                break;
            }
            *self.at(hole) = above;
            hole = parent;
        }
        *self.at(hole) = key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::engine::{CounterStream, Uniform};
    use std::collections::BTreeSet;

    #[test]
    fn keys_come_out_in_the_order_of_a_sorted_set() {
        let mut random = CounterStream::new(3, 0);
        let mut heap = Heap::new();
        let mut set = BTreeSet::new();
        for round in 0..200_000_u64 {
            // Grows to some hundreds, shrinks to nothing, and again.
            let growing = (round / 1_000).is_multiple_of(2);
            if random.next_u64() % 10 < if growing { 7 } else { 2 } {
                let key = u128::from(random.next_u64() % 1_000) << 64 | u128::from(round);
                heap.push(key);
                set.insert(key);
            } else {
                assert_eq!(heap.pop(), set.pop_first());
            }
            assert_eq!(heap.len(), set.len());
        }
    }

    #[test]
    fn it_holds_its_capacity() {
        let mut heap = Heap::new();
        for key in (0..Heap::CAPACITY as u128).rev() {
            heap.push(key);
        }
        for key in 0..Heap::CAPACITY as u128 {
            assert_eq!(heap.pop(), Some(key));
        }
        assert_eq!((heap.pop(), heap.pop(), heap.len()), (None, None, 0));
    }

    #[test]
    #[should_panic(expected = "more events pending than the heap holds")]
    fn a_key_too_many_is_refused() {
        let mut heap = Heap::new();
        (0..=Heap::CAPACITY as u128).for_each(|key| heap.push(key));
    }
}
