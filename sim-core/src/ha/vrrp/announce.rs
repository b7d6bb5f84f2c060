//! The pace of announcements (`vrrp_garp_interval`, `garp_group`; `queue_garp`, `vrrp_arp_thread`).

use crate::engine::{Span, Time};
use std::collections::VecDeque;

/// An address of an instance: the instance, and the place of the address among all of it.
pub(super) type Which = (u16, u16);

/// The queue of the announcements of one family on interfaces that share a pace.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    interval: Span,
    next: Time,
    waiting: VecDeque<(Which, u32)>,
}

impl Pace {
    pub(super) fn new(interval: Span) -> Self {
        Self { interval, next: Time::ZERO, waiting: VecDeque::new() }
    }

    /// An address is to be announced once more, of `repeat` times. Whether that may be done at once; otherwise it waits.
    /// No more than `repeat` announcements of it wait.
    pub(super) fn offer(&mut self, now: Time, which: Which, repeat: u32) -> bool {
        if let Some((_, count)) = self.waiting.iter_mut().find(|(w, _)| *w == which) {
            *count = (*count + 1).min(repeat.max(*count));
            return false;
        }
        if now < self.next {
            self.waiting.push_back((which, 1));
            return false;
        }
        self.next = now + self.interval;
        true
    }

    pub(super) fn deadline(&self) -> Time {
        if self.waiting.is_empty() { Time::NEVER } else { self.next }
    }

    /// The next announcement that is due; addresses take turns.
    pub(super) fn due(&mut self, now: Time) -> Option<Which> {
        if now < self.next {
            return None;
        }
        let (which, count) = self.waiting.pop_front()?;
        if count > 1 {
            self.waiting.push_back((which, count - 1));
        }
        self.next = now + self.interval;
        Some(which)
    }

    /// The instance is not master any more.
    pub(super) fn forget(&mut self, instance: u16) {
        self.waiting.retain(|(which, _)| which.0 != instance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_keep_their_distance_and_addresses_take_turns() {
        let ms = |ms| Time::ZERO + Span::from_millis(ms);
        let mut pace = Pace::new(Span::from_millis(10));
        let mut sent = Vec::new();
        for _ in 0..3 {
            for address in 0..2 {
                if pace.offer(ms(100), (0, address), 3) {
                    sent.push((100, address));
                }
            }
        }
        while pace.deadline() != Time::NEVER {
            let now = pace.deadline();
            while let Some((_, address)) = pace.due(now) {
                sent.push((now.as_nanos() / 1_000_000, address));
            }
        }
        assert_eq!(sent, [(100, 0), (110, 1), (120, 0), (130, 1), (140, 0), (150, 1)]);
        assert!(!pace.offer(ms(155), (0, 0), 3));
        pace.forget(0);
        assert_eq!(pace.deadline(), Time::NEVER);
    }
}
