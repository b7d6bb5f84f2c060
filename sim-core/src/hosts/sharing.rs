//! Processor sharing in integers: all requests in service progress at the same rate.

use crate::engine::{Span, Time};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Binary digits behind the point of virtual time.
const FRACTION: u32 = 20;

/// `workers` shared evenly: with `n` requests each progresses at `min(1, workers / n)`.
///
/// Virtual time is the work every request present has received; a request that enters at virtual
/// time `v` with work `w` leaves at `v + w`. It is kept in fixed point, so no float decides an order.
#[derive(Debug)]
pub(super) struct Sharing {
    workers: u32,
    virtual_now: u128,
    last: Time,
    present: BinaryHeap<Reverse<(u128, u64, u32)>>,
    entered: u64,
    armed: Time,
}

impl Sharing {
    /// Nobody present; at least one worker.
    pub(super) fn new(workers: u32) -> Self {
        Self {
            workers: workers.max(1),
            virtual_now: 0,
            last: Time::ZERO,
            present: BinaryHeap::new(),
            entered: 0,
            armed: Time::NEVER,
        }
    }

    /// A request enters. Returns a time at which [`Sharing::wake`] must be called, if none is set.
    pub(super) fn enter(&mut self, now: Time, job: u32, work: Span) -> Option<Time> {
        self.advance(now);
        self.entered += 1;
        let leaves = self.virtual_now + (u128::from(work.as_nanos()) << FRACTION);
        self.present.push(Reverse((leaves, self.entered, job)));
        self.arm(now)
    }

    /// Takes out the requests that are done; early wakes are harmless. Returns the next time to
    /// wake, if none is set.
    pub(super) fn wake(&mut self, now: Time, done: &mut Vec<u32>) -> Option<Time> {
        if self.armed <= now {
            self.armed = Time::NEVER;
        }
        self.advance(now);
        while let Some(&Reverse((leaves, _, job))) = self.present.peek() {
            if leaves > self.virtual_now {
                break;
            }
            self.present.pop();
            done.push(job);
        }
        self.arm(now)
    }

    /// Nobody was served for so long, which ends now.
    pub(super) fn pause(&mut self, pause: Span) {
        self.last += pause;
        if self.armed != Time::NEVER {
            self.armed += pause;
        }
    }

    /// The requests present, which are given up.
    pub(super) fn into_jobs(self) -> impl Iterator<Item = u32> {
        self.present.into_iter().map(|Reverse((_, _, job))| job)
    }

    fn advance(&mut self, now: Time) {
        let n = self.present.len() as u128;
        let elapsed = u128::from((now - self.last).as_nanos()) << FRACTION;
        let work = elapsed * n.min(u128::from(self.workers));
        self.virtual_now += work.checked_div(n).unwrap_or(0);
        self.last = now;
    }

    /// When the first one leaves if nobody else enters, rounded up to a nanosecond.
    fn arm(&mut self, now: Time) -> Option<Time> {
        let Reverse((leaves, _, _)) = self.present.peek()?;
        let n = self.present.len() as u128;
        let rest = leaves.saturating_sub(self.virtual_now) * n;
        let scaled = rest.div_ceil(n.min(u128::from(self.workers)));
        let ns = (scaled.div_ceil(1 << FRACTION)).min(u128::from(Span::MAX.as_nanos())) as u64;
        let at = now + Span::from_nanos(ns.max(1));
        if at < self.armed {
            self.armed = at;
            return Some(at);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Time {
        Time::ZERO + Span::from_millis(n)
    }

    /// Runs until everybody has left and returns (job, whole milliseconds, rounded).
    fn run(workers: u32, arrivals: &[(u64, u64)]) -> Vec<(u32, u64)> {
        let mut s = Sharing::new(workers);
        let mut wakes: Vec<Time> = Vec::new();
        let mut gone = Vec::new();
        let mut next = 0;
        loop {
            wakes.sort();
            let wake = wakes.first().copied().unwrap_or(Time::NEVER);
            let arrival = arrivals.get(next).map_or(Time::NEVER, |a| ms(a.0));
            if wake == Time::NEVER && arrival == Time::NEVER {
                return gone;
            }
            if arrival <= wake {
                wakes.extend(s.enter(arrival, next as u32, Span::from_millis(arrivals[next].1)));
                next += 1;
            } else {
                wakes.remove(0);
                let mut done = Vec::new();
                wakes.extend(s.wake(wake, &mut done));
                gone.extend(done.iter().map(|&j| (j, (wake.as_nanos() + 500_000) / 1_000_000)));
            }
        }
    }

    #[test]
    fn two_requests_on_one_worker_take_twice_as_long() {
        assert_eq!(run(1, &[(0, 10), (0, 10)]), vec![(0, 20), (1, 20)]);
        assert_eq!(run(2, &[(0, 10), (0, 10)]), vec![(0, 10), (1, 10)]);
    }

    #[test]
    fn a_short_request_overtakes_a_long_one() {
        // alone for 5 ms; then half speed: the short one leaves at 5 + 2 * 2 = 9
        assert_eq!(run(1, &[(0, 10), (5, 2)]), vec![(1, 9), (0, 12)]);
    }
}
