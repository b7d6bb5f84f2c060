//! Lists that few connections need: segments received out of order, and ends of messages when
//! several are under way. They live beside the control blocks in a pool whose memory is used again.

use std::collections::VecDeque;

/// Segments received out of order that are kept for one connection; more are dropped, as the kernel
/// drops what its receive buffer cannot hold.
const MAX_RANGES: usize = 1024;

/// A part of the stream that arrived ahead of its turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Range {
    /// First sequence number.
    pub(super) start: u32,
    /// One above the last byte.
    pub(super) end: u32,
    /// A message ends at `end`.
    pub(super) push: bool,
    /// The FIN has the sequence number `end`.
    pub(super) fin: bool,
}

/// The lists of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Extra {
    /// By distance of `start` from the next sequence number expected; may overlap.
    ranges: VecDeque<Range>,
    /// Send offsets one above the last byte of each message but the newest, ascending.
    ends: VecDeque<u64>,
}

/// The pool of lists.
#[derive(Clone, Debug, Default)]
pub(super) struct Extras {
    pool: Vec<Extra>,
    free: Vec<u32>,
}

impl Extras {
    /// No entry.
    pub(super) const NONE: u32 = u32::MAX;

    /// The lists of a connection, made if it has none.
    fn obtain(&mut self, id: &mut u32) -> &mut Extra {
        if *id == Self::NONE {
            *id = self.free.pop().unwrap_or_else(|| {
                self.pool.push(Extra::default());
                self.pool.len() as u32 - 1
            });
        }
        &mut self.pool[*id as usize]
    }

    /// The lists of a connection, if it has any.
    fn get(&mut self, id: u32) -> Option<&mut Extra> {
        self.pool.get_mut(id as usize)
    }

    /// Gives the lists back if both are empty.
    fn give_back_if_empty(&mut self, id: &mut u32) {
        if self.get(*id).is_some_and(|e| e.ranges.is_empty() && e.ends.is_empty()) {
            self.free.push(*id);
            *id = Self::NONE;
        }
    }

    /// Forgets everything a connection kept.
    pub(super) fn release(&mut self, id: &mut u32) {
        if let Some(extra) = self.get(*id) {
            extra.ranges.clear();
            extra.ends.clear();
            self.give_back_if_empty(id);
        }
    }

    /// Forgets what came out of order: nothing follows a FIN.
    pub(super) fn drop_ranges(&mut self, id: &mut u32) {
        if let Some(extra) = self.get(*id) {
            extra.ranges.clear();
            self.give_back_if_empty(id);
        }
    }

    /// Whether anything waits for a gap to be filled.
    #[inline]
    pub(super) fn has_gap(&self, id: u32) -> bool {
        id != Self::NONE && self.pool.get(id as usize).is_some_and(|e| !e.ranges.is_empty())
    }

    /// Keeps a range that starts above `next`.
    pub(super) fn insert(&mut self, id: &mut u32, next: u32, new: Range) {
        let ranges = &mut self.obtain(id).ranges;
        let start = new.start.wrapping_sub(next);
        let end = new.end.wrapping_sub(next);
        // segments come mostly in order: look from the back
        let after = ranges.iter().rposition(|r| r.start.wrapping_sub(next) <= start);
        if let Some(before) = after.and_then(|i| ranges.get_mut(i)) {
            let covered = end <= before.end.wrapping_sub(next);
            if covered && new.push <= before.push && new.fin <= before.fin {
                return;
            }
            if before.end == new.start && !before.push && !before.fin {
                before.end = new.end;
                before.push = new.push;
                before.fin = new.fin;
                return;
            }
        }
        if ranges.len() < MAX_RANGES {
            ranges.insert(after.map_or(0, |i| i + 1), new);
        }
        self.give_back_if_empty(id);
    }

    /// Takes the first range if it starts at or before `next`.
    pub(super) fn take_due(&mut self, id: &mut u32, next: u32) -> Option<Range> {
        let ranges = &mut self.get(*id)?.ranges;
        let first = *ranges.front()?;
        if (first.start.wrapping_sub(next) as i32) > 0 {
            return None;
        }
        ranges.pop_front();
        self.give_back_if_empty(id);
        Some(first)
    }

    /// Notes the end of a message that is followed by another one.
    pub(super) fn push_end(&mut self, id: &mut u32, end: u64) {
        self.obtain(id).ends.push_back(end);
    }

    /// The first end of a message above `offset`, if it is not the newest message's.
    #[inline]
    pub(super) fn end_after(&self, id: u32, offset: u64) -> Option<u64> {
        if id == Self::NONE {
            return None;
        }
        let ends = &self.pool.get(id as usize)?.ends;
        ends.get(ends.partition_point(|&e| e <= offset)).copied()
    }

    /// Forgets ends of messages that are acknowledged up to `una`.
    #[inline]
    pub(super) fn drop_ends(&mut self, id: &mut u32, una: u64) {
        if *id == Self::NONE {
            return;
        }
        if let Some(extra) = self.get(*id) {
            while extra.ends.front().is_some_and(|&e| e <= una) {
                extra.ends.pop_front();
            }
            self.give_back_if_empty(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u32, end: u32, push: bool) -> Range {
        Range { start, end, push, fin: false }
    }

    #[test]
    fn neighbours_grow_together_but_not_across_the_end_of_a_message() {
        let (mut extras, mut id) = (Extras::default(), Extras::NONE);
        extras.insert(&mut id, 0, range(100, 200, false));
        extras.insert(&mut id, 0, range(200, 300, true));
        extras.insert(&mut id, 0, range(300, 400, false));
        assert!(extras.has_gap(id));
        assert_eq!(extras.take_due(&mut id, 99), None);
        assert_eq!(extras.take_due(&mut id, 100), Some(range(100, 300, true)));
        assert_eq!(extras.take_due(&mut id, 300), Some(range(300, 400, false)));
        assert_eq!(id, Extras::NONE, "empty lists go back to the pool");
    }

    #[test]
    fn order_is_by_distance_so_the_wrap_of_sequence_numbers_does_not_matter() {
        let (mut extras, mut id) = (Extras::default(), Extras::NONE);
        let next = u32::MAX - 50;
        extras.insert(&mut id, next, range(100, 200, false));
        extras.insert(&mut id, next, range(u32::MAX - 20, 10, false));
        assert_eq!(extras.take_due(&mut id, u32::MAX - 20).map(|r| r.end), Some(10));
        assert_eq!(extras.take_due(&mut id, 10), None);
    }

    #[test]
    fn a_segment_seen_before_is_not_kept_twice() {
        let (mut extras, mut id) = (Extras::default(), Extras::NONE);
        extras.insert(&mut id, 0, range(100, 200, false));
        extras.insert(&mut id, 0, range(120, 180, false));
        assert_eq!(extras.take_due(&mut id, 100), Some(range(100, 200, false)));
        assert_eq!(id, Extras::NONE);
    }

    #[test]
    fn the_end_of_a_message_learned_later_is_not_lost() {
        let (mut extras, mut id) = (Extras::default(), Extras::NONE);
        extras.insert(&mut id, 0, range(100, 200, false));
        extras.insert(&mut id, 0, range(150, 200, true));
        assert_eq!(extras.take_due(&mut id, 100), Some(range(100, 200, false)));
        assert_eq!(extras.take_due(&mut id, 200), Some(range(150, 200, true)));
    }

    #[test]
    fn ends_of_messages_are_found_and_forgotten_in_order() {
        let (mut extras, mut id) = (Extras::default(), Extras::NONE);
        for end in [11, 21, 31] {
            extras.push_end(&mut id, end);
        }
        assert_eq!(extras.end_after(id, 1), Some(11));
        assert_eq!(extras.end_after(id, 11), Some(21));
        extras.drop_ends(&mut id, 21);
        assert_eq!(extras.end_after(id, 1), Some(31));
        extras.drop_ends(&mut id, 31);
        assert_eq!(id, Extras::NONE);
    }
}
