//! The hold model: N events are pending, and each one popped pushes one a random distance later.
//!
//! Distances are exponential with a mean of a second, in nanoseconds, from a table drawn beforehand,
//! so that almost nothing but the queue is measured.

use cpu_time::ProcessTime;
use sim_core::engine::{Queue, Stream, Time, Uniform};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A set of pending events, popped in order of (time, push).
pub trait Pending {
    /// Adds an event.
    fn push(&mut self, time: u64, event: u64);
    /// Takes the earliest event.
    fn pop(&mut self) -> Option<(u64, u64)>;
}

/// The engine's queue.
#[derive(Debug, Default)]
pub struct Wheel(pub Queue<u64>);

impl Pending for Wheel {
    #[inline]
    fn push(&mut self, time: u64, event: u64) {
        self.0.push(Time::from_nanos(time), event);
    }

    #[inline]
    fn pop(&mut self) -> Option<(u64, u64)> {
        self.0.pop().map(|(time, event)| (time.as_nanos(), event))
    }
}

/// The standard library's heap of (time, push sequence, event): 24 bytes an entry.
#[derive(Debug, Default)]
pub struct Heap {
    heap: BinaryHeap<Reverse<(u64, u64, u64)>>,
    pushed: u64,
}

impl Pending for Heap {
    #[inline]
    fn push(&mut self, time: u64, event: u64) {
        self.pushed += 1;
        self.heap.push(Reverse((time, self.pushed, event)));
    }

    #[inline]
    fn pop(&mut self) -> Option<(u64, u64)> {
        self.heap.pop().map(|Reverse((time, _, event))| (time, event))
    }
}

/// A queue in the state of the hold model.
#[derive(Debug)]
pub struct Hold<Q> {
    /// The queue.
    pub queue: Q,
    distances: Vec<u64>,
    next: usize,
    /// Depends on every pop and their order: equal for all queues that are right.
    checksum: u64,
}

const DISTANCES: usize = 1 << 16;

impl<Q: Pending + Default> Hold<Q> {
    /// A queue with `pending` events that has gone through enough holds to be in its steady state.
    ///
    /// The first holds find times in an order that later ones do not, and memory never touched.
    pub fn steady(pending: usize) -> Self {
        let mut random = Stream::new(1, "hold", "distance");
        let mut draw = || (-libm::log(random.unit()) * 1e9) as u64;
        let distances = (0..DISTANCES).map(|_| draw()).collect();
        let mut queue = Q::default();
        for event in 0..pending as u64 {
            queue.push(draw(), event);
        }
        let mut hold = Self { queue, distances, next: 0, checksum: 0 };
        hold.run(2 * pending);
        hold
    }

    /// Does `holds` holds.
    #[inline]
    pub fn run(&mut self, holds: usize) {
        for _ in 0..holds {
            let Some((time, event)) = self.queue.pop() else { return };
            self.checksum = self.checksum.wrapping_mul(31).wrapping_add(time ^ event);
            self.next = (self.next + 1) % DISTANCES;
            self.queue.push(time + self.distances[self.next], event);
        }
    }

    /// CPU nanoseconds a hold, over `holds` of them.
    pub fn measure(&mut self, holds: usize) -> f64 {
        let clock = ProcessTime::now();
        self.run(holds);
        clock.elapsed().as_secs_f64() * 1e9 / holds as f64
    }

    /// A number that depends on all that was popped.
    pub const fn checksum(&self) -> u64 {
        self.checksum
    }
}

/// What the two queues take for the same holds.
#[derive(Clone, Copy, Debug)]
pub struct Comparison {
    /// Pending events.
    pub pending: usize,
    /// CPU nanoseconds a hold of the standard library's heap.
    pub heap_ns: f64,
    /// CPU nanoseconds a hold of the engine's queue.
    pub wheel_ns: f64,
    /// Bytes that the engine's queue holds for each pending event, above the event itself.
    pub wheel_bytes: f64,
}

impl Comparison {
    /// Time of the engine's queue relative to the heap's.
    pub fn ratio(&self) -> f64 {
        self.wheel_ns / self.heap_ns
    }
}

/// Measures both queues in turn, `rounds` times `holds` holds each, and takes the medians.
///
/// # Panics
/// If the two do not pop the same events in the same order.
pub fn compare(pending: usize, holds: usize, rounds: usize) -> Comparison {
    let mut wheel = Hold::<Wheel>::steady(pending);
    let mut heap = Hold::<Heap>::steady(pending);
    let (mut wheel_ns, mut heap_ns) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        wheel_ns.push(wheel.measure(holds));
        heap_ns.push(heap.measure(holds));
    }
    assert_eq!(wheel.checksum(), heap.checksum(), "both queues pop in the same order");
    let bytes = wheel.queue.0.memory_bytes() as f64 / pending as f64 - size_of::<u64>() as f64;
    let (heap_ns, wheel_ns) = (median(heap_ns), median(wheel_ns));
    Comparison { pending, heap_ns, wheel_ns, wheel_bytes: bytes }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_queues_pop_the_same_and_the_number_of_pending_events_stays() {
        let comparison = compare(500, 10_000, 3);
        assert_eq!(comparison.pending, 500);
        let mut hold = Hold::<Wheel>::steady(500);
        hold.run(1_000);
        assert_eq!(hold.queue.0.len(), 500);
    }

    #[test]
    fn the_checksum_sees_another_order() {
        #[derive(Default)]
        struct Swapped(Wheel);
        impl Pending for Swapped {
            fn push(&mut self, time: u64, event: u64) {
                self.0.push(time, event ^ 1);
            }
            fn pop(&mut self) -> Option<(u64, u64)> {
                self.0.pop()
            }
        }
        let mut right = Hold::<Wheel>::steady(10);
        let mut wrong = Hold::<Swapped>::steady(10);
        right.run(100);
        wrong.run(100);
        assert_ne!(right.checksum(), wrong.checksum());
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert!((median(vec![5.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
