use super::*;
use crate::engine::{Stream, Uniform};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What a queue must do, by the shortest code that does it: events in order of (time, push).
#[derive(Default)]
struct Sorted {
    pending: BTreeMap<(u64, u64), u64>,
    pushed: u64,
}

impl Sorted {
    fn push(&mut self, time: u64) -> u64 {
        self.pushed += 1;
        self.pending.insert((time, self.pushed), self.pushed);
        self.pushed
    }

    fn pop(&mut self) -> Option<(Time, u64)> {
        self.pending.pop_first().map(|((time, _), event)| (Time::from_nanos(time), event))
    }

    fn peek(&self) -> Option<Time> {
        self.pending.first_key_value().map(|((time, _), _)| Time::from_nanos(*time))
    }
}

/// A queue beside the sorted list, which it must agree with.
#[derive(Default)]
struct Both {
    queue: Queue<u64>,
    sorted: Sorted,
    now: u64,
}

impl Both {
    /// Pushes an event `after` nanoseconds from now, or as late as possible.
    fn push(&mut self, after: u64) {
        let time = self.now.saturating_add(after).min(u64::MAX - 1);
        let event = self.sorted.push(time);
        self.queue.push(Time::from_nanos(time), event);
        assert_eq!(self.queue.len(), self.sorted.pending.len());
    }

    fn pop(&mut self) -> bool {
        let popped = self.queue.pop();
        assert_eq!(popped, self.sorted.pop());
        if let Some((time, _)) = popped {
            self.now = time.as_nanos();
        }
        popped.is_some()
    }

    fn pop_before(&mut self, limit: u64) {
        let limit = Time::from_nanos(limit);
        if self.sorted.peek().is_some_and(|time| time < limit) {
            let popped = self.queue.pop_before(limit);
            assert_eq!(popped, self.sorted.pop());
            self.now = popped.map_or(self.now, |(time, _)| time.as_nanos());
        } else {
            assert_eq!(self.queue.pop_before(limit), None);
        }
    }

    fn drain(&mut self) {
        while self.pop() {}
        assert!(self.queue.is_empty());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(u64),
    /// Many at one distance, so that buckets of a single instant become large.
    Burst(u64, usize),
    Pop(usize),
    PopBefore(u64),
    Peek,
}

fn distance() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => Just(0),
        2 => 0..4u64,
        3 => 50_000..65_000u64,
        4 => (0..64u32, any::<u64>()).prop_map(|(bits, random)| random >> bits),
        1 => (0..64u32).prop_map(|bits| 1 << bits),
        1 => Just(u64::MAX),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => distance().prop_map(Step::Push),
        1 => (distance(), 1..200usize).prop_map(|(after, count)| Step::Burst(after, count)),
        4 => (1..40usize).prop_map(Step::Pop),
        2 => distance().prop_map(Step::PopBefore),
        1 => Just(Step::Peek),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn it_pops_in_exactly_the_order_of_a_sorted_list(steps in prop::collection::vec(step(), 0..300)) {
        let mut both = Both::default();
        for step in steps {
            match step {
                Step::Push(after) => both.push(after),
                Step::Burst(after, count) => (0..count).for_each(|_| both.push(after)),
                Step::Pop(count) => (0..count).for_each(|_| { both.pop(); }),
                Step::PopBefore(after) => both.pop_before(both.now.saturating_add(after)),
                Step::Peek => assert_eq!(both.queue.peek_time(), both.sorted.peek()),
            }
        }
        both.drain();
    }

    #[test]
    fn the_order_holds_at_every_load(seed: u64, pending in 1..3_000usize, mean_bits in 0..45u32) {
        let mut both = Both::default();
        let mut random = Stream::new(seed, "queue", "test");
        // some distances are multiples of a power of two, so that there are ties at every level
        let mut after = || (random.next_u64() >> (63 - mean_bits)) & (u64::MAX << (random.next_u64() % 48));
        for _ in 0..pending {
            both.push(after());
        }
        for _ in 0..3 * pending {
            both.pop();
            both.push(after());
        }
        both.drain();
    }
}

#[test]
fn the_order_holds_while_chunks_are_enlarged() {
    let mut both = Both::default();
    let mut random = Stream::new(1, "queue", "test");
    for phase in 0..3 {
        for at in 0..70_000 {
            both.push(random.next_u64() >> (20 + (at + phase) % 40));
            if at % 5 == 0 {
                both.pop();
            }
        }
    }
    assert_eq!(both.queue.pool.bits(), MAX_CHUNK_BITS);
    both.drain();
}

#[test]
fn events_pushed_at_the_current_instant_come_after_those_already_there() {
    let mut both = Both::default();
    (0..500).for_each(|_| both.push(1_000));
    for round in 0..300 {
        both.pop();
        assert_eq!(both.now, 1_000);
        both.push(0);
        both.push(round % 3);
    }
    both.drain();
}

#[test]
fn the_last_instant_can_be_reached() {
    let mut both = Both::default();
    both.push(u64::MAX);
    both.push(0);
    both.pop();
    (0..100).for_each(|_| both.push(u64::MAX));
    both.pop();
    assert_eq!(both.now, u64::MAX - 1);
    both.push(0);
    both.drain();
}

#[test]
fn what_is_pushed_after_a_failed_pop_before_keeps_its_place() {
    let mut both = Both::default();
    both.push(1_000_000);
    both.pop_before(500_000);
    (0..200).rev().for_each(|after| both.push(after));
    both.drain();
}

#[test]
#[should_panic(expected = "no earlier than the last popped one")]
fn a_push_into_the_past_is_a_broken_invariant() {
    let mut queue = Queue::new();
    queue.push(Time::from_nanos(5), ());
    queue.pop();
    queue.push(Time::from_nanos(4), ());
}

#[test]
#[should_panic(expected = "not at Time::NEVER")]
fn never_is_not_a_time_of_an_event() {
    Queue::new().push(Time::NEVER, ());
}

/// The hold model: each pop pushes one event an exponential distance of mean 1 s later.
fn hold(pending: usize, holds: usize) -> Queue<u64> {
    let mut random = Stream::new(3, "queue", "hold");
    let after: Vec<u64> = (0..65_536).map(|_| (-libm::log(random.unit()) * 1e9) as u64).collect();
    let mut queue = Queue::new();
    for at in 0..pending {
        queue.push(Time::from_nanos(after[at % after.len()]), at as u64);
    }
    for at in 0..holds {
        let (time, event) = queue.pop().expect("as many pushed as popped");
        queue.push(Time::from_nanos(time.as_nanos() + after[(at * 7 + 1) % after.len()]), event);
    }
    queue
}

#[test]
fn it_holds_less_than_24_bytes_a_pending_event_above_the_event_itself() {
    for (pending, holds) in
        [(1_000, 1_000_000), (3_000, 300_000), (10_000, 300_000), (100_000, 1_000_000)]
    {
        let queue = hold(pending, holds);
        let above = queue.memory_bytes() - pending * size_of::<u64>();
        assert!(above <= 24 * pending, "{above} bytes above {pending} events");
    }
}

#[test]
fn memory_follows_the_largest_number_of_pending_events() {
    let after_few = hold(10_000, 100_000).memory_bytes();
    let after_many = hold(10_000, 1_000_000).memory_bytes();
    assert!(after_many < after_few + after_few / 10, "{after_few} bytes became {after_many}");
}
