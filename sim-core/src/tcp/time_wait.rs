//! Connections in `TIME_WAIT`: 32 bytes each, in the order in which they entered.
//!
//! Every entry stays for the same time, so the order of entering is the order of leaving and one ring
//! serves them all. A lookup treats an entry whose time is over as gone; memory is taken back in
//! batches, so the whole ring asks for one wake at a time, however many entries it holds.

use std::collections::VecDeque;

use super::block::Tuple;
use crate::engine::{Span, Time};

/// A connection in `TIME_WAIT`.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeWait {
    pub(super) tuple: Tuple,
    /// Next sequence number of this side.
    pub(super) snd_nxt: u32,
    /// Next sequence number of the peer.
    pub(super) rcv_nxt: u32,
    /// When a segment was answered last, in [`super::block::ticks`]; 0 for never.
    pub(super) answered_at: u32,
    /// When it ends; [`Time::ZERO`] once it was removed.
    deadline: Time,
}

const _: () = assert!(size_of::<TimeWait>() <= 32, "120,000 of them are ordinary");

/// The ring of entries. An entry is named by its serial number.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    entries: VecDeque<TimeWait>,
    /// Serial number of the first entry.
    head: u32,
    live: usize,
    life: Span,
}

impl Ring {
    /// Serial numbers run from 0 to this and start again.
    pub(super) const MASK: u32 = u32::MAX >> 1;

    pub(super) fn new(life: Span) -> Self {
        Self { entries: VecDeque::new(), head: 0, live: 0, life }
    }

    /// Entries that have not been removed.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    fn index(&self, serial: u32) -> usize {
        (serial.wrapping_sub(self.head) & Self::MASK) as usize
    }

    /// The tuple of an entry.
    #[inline]
    pub(super) fn tuple(&self, serial: u32) -> &Tuple {
        &self.entries[self.index(serial)].tuple
    }

    /// An entry whose time is not over.
    pub(super) fn get(&mut self, serial: u32, now: Time) -> Option<&mut TimeWait> {
        let index = self.index(serial);
        self.entries.get_mut(index).filter(|e| e.deadline > now)
    }

    /// Whether the time of an entry is not over.
    pub(super) fn is_waiting(&self, serial: u32, now: Time) -> bool {
        self.entries.get(self.index(serial)).is_some_and(|e| e.deadline > now)
    }

    /// Adds an entry; its serial number, and when to take memory back if that is not yet awaited.
    pub(super) fn push(
        &mut self,
        now: Time,
        tuple: Tuple,
        snd_nxt: u32,
        rcv_nxt: u32,
    ) -> (u32, Option<Time>) {
        let first = self.entries.is_empty();
        let serial = self.head.wrapping_add(self.entries.len() as u32) & Self::MASK;
        let deadline = now + self.life;
        self.entries.push_back(TimeWait { tuple, snd_nxt, rcv_nxt, answered_at: 0, deadline });
        self.live += 1;
        (serial, first.then(|| deadline + self.slack()))
    }

    /// Marks an entry as gone. Its place is taken back later.
    pub(super) fn remove(&mut self, serial: u32) {
        let index = self.index(serial);
        if let Some(entry) = self.entries.get_mut(index)
            && entry.deadline != Time::ZERO
        {
            entry.deadline = Time::ZERO;
            self.live -= 1;
        }
    }

    /// The oldest entry if its time is over or it was removed: its serial number.
    pub(super) fn first_over(&self, now: Time) -> Option<u32> {
        self.entries.front().filter(|e| e.deadline <= now).map(|_| self.head)
    }

    /// Takes the memory of the oldest entry back.
    pub(super) fn pop_first(&mut self) {
        if let Some(first) = self.entries.pop_front() {
            self.head = self.head.wrapping_add(1) & Self::MASK;
            self.live -= usize::from(first.deadline != Time::ZERO);
        }
    }

    /// When to take memory back next, after everything that is over was taken.
    pub(super) fn next(&self) -> Option<Time> {
        self.entries.front().map(|e| e.deadline + self.slack())
    }

    /// Memory is taken back this much late, so that one wake serves many entries.
    fn slack(&self) -> Span {
        Span::from_nanos(self.life.as_nanos() / 64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Ip;

    fn tuple(port: u16) -> Tuple {
        Tuple::new((Ip::new(10, 0, 0, 1), port), (Ip::new(10, 0, 0, 2), 80))
    }

    #[test]
    fn entries_leave_in_the_order_they_came_and_one_wake_serves_them() {
        let mut ring = Ring::new(Span::from_secs(60));
        let at = |s| Time::ZERO + Span::from_secs(s);
        let (a, wake) = ring.push(at(1), tuple(1), 0, 0);
        assert!(wake.is_some_and(|w| w > at(61)));
        let (b, wake) = ring.push(at(2), tuple(2), 0, 0);
        assert_eq!(wake, None);
        let (c, _) = ring.push(at(3), tuple(3), 0, 0);
        ring.remove(b);
        assert_eq!(ring.len(), 2);
        assert!(ring.get(a, at(60)).is_some());
        assert!(ring.get(a, at(61)).is_none(), "over exactly after its life");
        assert_eq!(ring.first_over(at(62)), Some(a));
        ring.pop_first();
        assert_eq!(ring.first_over(at(62)), Some(b));
        ring.pop_first();
        assert_eq!(ring.first_over(at(62)), None);
        assert_eq!(ring.tuple(c).local().1, 3);
        assert!(ring.next().is_some_and(|w| w > at(63)));
        assert_eq!(ring.len(), 1);
    }
}
