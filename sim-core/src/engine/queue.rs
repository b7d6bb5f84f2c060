//! The event queue: earliest first, equal times in the order they were pushed.
//!
//! Two places hold events: the *bottom*, at most a few dozen events before a time `end`, in order;
//! and *buckets* of the events from `end` on, which are not sorted.
//!
//! Which bucket an event belongs to depends on its time and on `base`, a time that no event in a
//! bucket precedes. A time is seen as eleven digits of six bits: the highest digit in which the two
//! differ is the bucket's level, the event's value of it is the bucket's place there. So all of a
//! lower level comes before all of a higher one, and on a level the buckets are in order of time.
//! When the bottom is empty the first bucket is opened: a small one is moved to the bottom, which
//! then owns the bucket's whole range of times, a large one is spread over lower levels.
//! So an event moves at most once a level, however many are pending.
//!
//! No sequence number is stored. Pending events of equal time are in the same place (or, for a moment,
//! the earlier pushed ones in the bottom and the later ones in a bucket), and each place keeps them
//! in push order: buckets are first in, first out, and the bottom puts an event behind those of its
//! time.

mod bottom;
mod pool;

use super::Time;
use bottom::Bottom;
use pool::Pool;

/// Bits of a digit.
const DIGIT_BITS: u32 = 6;
/// Buckets of a level: one for each value of its digit.
const FANOUT: usize = 1 << DIGIT_BITS;
/// Digits of a time.
const LEVELS: usize = u64::BITS.div_ceil(DIGIT_BITS) as usize;
/// Events of the largest bucket that is moved to the bottom rather than spread.
const SMALL: usize = 48;
/// Binary logarithm of the events in a chunk while few are pending. Then many buckets hold only a few
/// events, and larger chunks would be mostly empty.
const MIN_CHUNK_BITS: u32 = 3;
/// The same while many are pending. Then a step to another chunk is a wait for memory.
const MAX_CHUNK_BITS: u32 = 6;
/// Chunks of 2^n events are used up to 2^(n + this) pending events.
const PENDING_BITS: u32 = 10;
/// A multiple of the size of every chunk.
const CYCLE: u8 = 1 << MAX_CHUNK_BITS;

const _: () = assert!(SMALL <= CYCLE as usize, "the count of a small bucket is exact");
const _: () = assert!(SMALL <= bottom::ROOM, "a small bucket fits into the bottom");
const _: () = assert!(CYCLE as usize <= bottom::ROOM, "a chunk fits into the bottom");

#[derive(Clone, Copy, Debug)]
struct Entry<E> {
    time: u64,
    event: E,
}

/// The buckets of one level.
#[derive(Clone, Debug)]
struct Level {
    /// Which buckets hold something.
    used: u64,
    /// Last chunk of each used bucket. The chunks of a bucket are linked in a circle, all full but
    /// the last.
    tails: [u32; FANOUT],
    /// Events of each bucket up to [`CYCLE`]. A higher count runs from [`CYCLE`] + 1 to 2 [`CYCLE`]
    /// again and again: all that is needed of it is what the last chunk holds.
    counts: [u8; FANOUT],
}

/// A queue of events in total order (time, push sequence).
///
/// It is monotone: an event may not be pushed before the time of the last popped one. Pushing and
/// popping take the same time however many events are pending, but for the speed of memory.
/// With a thousand pending events or more, spread over a few seconds, it holds fewer than 24 bytes
/// for each above the event itself. Memory of popped events is used again, not given back.
///
/// ```
/// use sim_core::engine::{Queue, Time};
/// let mut queue = Queue::new();
/// queue.push(Time::from_nanos(7), 'b');
/// queue.push(Time::from_nanos(7), 'c');
/// queue.push(Time::from_nanos(3), 'a');
/// assert_eq!(queue.pop(), Some((Time::from_nanos(3), 'a')));
/// assert_eq!(queue.pop(), Some((Time::from_nanos(7), 'b')));
/// assert_eq!(queue.pop(), Some((Time::from_nanos(7), 'c')));
/// assert_eq!(queue.pop(), None);
/// ```
#[derive(Clone, Debug)]
pub struct Queue<E> {
    bottom: Bottom<E>,
    /// The bottom owns the times before this one.
    end: u64,
    /// Time of the last popped event.
    now: u64,
    /// What the buckets are relative to.
    base: u64,
    /// Whether the bottom was cut since a bucket was opened.
    cut: bool,
    /// Events in buckets.
    placed: usize,
    /// Number of events in buckets that asks for larger chunks.
    many: usize,
    /// Which levels have a used bucket.
    used: u32,
    levels: [Option<Box<Level>>; LEVELS],
    pool: Pool<E>,
}

impl<E: Copy + Default> Queue<E> {
    /// An empty queue.
    pub fn new() -> Self {
        Self {
            bottom: Bottom::new(),
            end: 0,
            now: 0,
            base: 0,
            cut: false,
            placed: 0,
            many: 1 << (MIN_CHUNK_BITS + PENDING_BITS),
            used: 0,
            levels: [const { None }; LEVELS],
            pool: Pool::new(MIN_CHUNK_BITS),
        }
    }

    /// Adds an event.
    ///
    /// # Panics
    /// If `time` precedes the time of the last popped event, or is [`Time::NEVER`].
    #[inline]
    pub fn push(&mut self, time: Time, event: E) {
        let time = time.as_nanos();
        assert!(time >= self.now, "an event is pushed no earlier than the last popped one");
        // never true of Time::NEVER
        if time < self.end && self.bottom.has_room() {
            self.bottom.put(time, event);
        } else {
            self.push_far(time, event);
        }
    }

    /// Adds an event to a bucket, or to a bottom that has no room.
    ///
    /// Time and event come apart, in registers: an entry in memory would be written in two pieces
    /// and read as one by [`Queue::push`] as well, which processors wait for.
    #[inline(never)]
    fn push_far(&mut self, time: u64, event: E) {
        assert!(time < u64::MAX, "an event is pushed at some time, not at Time::NEVER");
        let entry = Entry { time, event };
        if self.placed >= self.many {
            self.enlarge_chunks();
        }
        if entry.time >= self.end {
            self.place(entry);
        } else {
            self.cut_bottom(entry);
        }
    }

    /// Takes the earliest event; of several at the same time, the one pushed first.
    #[inline]
    pub fn pop(&mut self) -> Option<(Time, E)> {
        let (time, event) = match self.bottom.take() {
            Some(first) => first,
            None => self.refill()?,
        };
        self.now = time;
        Some((Time::from_nanos(time), event))
    }

    /// Takes the earliest event if its time is before `limit`.
    ///
    /// ```
    /// use sim_core::engine::{Queue, Time};
    /// let mut queue = Queue::new();
    /// queue.push(Time::from_nanos(7), ());
    /// assert_eq!(queue.pop_before(Time::from_nanos(7)), None);
    /// assert_eq!(queue.pop_before(Time::from_nanos(8)), Some((Time::from_nanos(7), ())));
    /// ```
    #[inline]
    pub fn pop_before(&mut self, limit: Time) -> Option<(Time, E)> {
        let before = match self.bottom.first_time() {
            Some(time) => time < limit.as_nanos(),
            None => self.bucket_before(limit.as_nanos()),
        };
        if before { self.pop() } else { None }
    }

    /// Takes out all events that are `wanted`, in order. The others stay, in order. This goes through
    /// all that is pending.
    ///
    /// ```
    /// use sim_core::engine::{Queue, Time};
    /// let mut queue = Queue::new();
    /// (0..4).for_each(|n| queue.push(Time::from_nanos(7), n));
    /// let even = queue.take_out(|n| n % 2 == 0);
    /// assert_eq!(even, [(Time::from_nanos(7), 0), (Time::from_nanos(7), 2)]);
    /// assert_eq!(queue.pop(), Some((Time::from_nanos(7), 1)));
    /// assert_eq!(queue.len(), 1);
    /// ```
    pub fn take_out(&mut self, mut wanted: impl FnMut(&E) -> bool) -> Vec<(Time, E)> {
        let mut rest = Self { now: self.now, base: self.now, ..Self::new() };
        let mut taken = Vec::new();
        while let Some((time, event)) = self.pop() {
            if wanted(&event) {
                taken.push((time, event));
            } else {
                rest.push(time, event);
            }
        }
        *self = rest;
        taken
    }

    /// Time of the earliest event.
    ///
    /// When the sorted events are used up this looks through a bucket, and opens nothing: it is not
    /// meant to be asked before every pop. [`Queue::pop_before`] is.
    pub fn peek_time(&self) -> Option<Time> {
        match self.bottom.first_time() {
            Some(time) => Some(Time::from_nanos(time)),
            None => self.first_bucket().map(|(level, digit, _)| self.bucket_min(level, digit)),
        }
    }

    /// Pending events.
    #[inline]
    pub const fn len(&self) -> usize {
        self.placed + self.bottom.len()
    }

    /// Whether nothing is pending.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that the queue holds, itself included.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.levels.iter().flatten().count() * size_of::<Level>()
            + self.pool.memory_bytes()
    }

    /// Puts an entry into its bucket.
    #[inline]
    fn place(&mut self, entry: Entry<E>) {
        let level = (((entry.time ^ self.base) | 1).ilog2() / DIGIT_BITS) as usize % LEVELS;
        let digit = (entry.time >> (level as u32 * DIGIT_BITS)) as usize % FANOUT;
        let Some(buckets) = &mut self.levels[level] else {
            return self.place_on_new_level(level, entry);
        };
        self.used |= 1 << level;
        buckets.used |= 1 << digit;
        let count = buckets.counts[digit];
        let slot = count as usize & (self.pool.chunk() - 1);
        if slot == 0 {
            return self.place_in_new_chunk(level, digit, entry);
        }
        buckets.counts[digit] = count + 1;
        self.placed += 1;
        self.pool.set(buckets.tails[digit], slot, entry);
    }

    #[inline(never)]
    fn place_in_new_chunk(&mut self, level: usize, digit: usize, entry: Entry<E>) {
        let buckets = used_level_mut(&mut self.levels, level);
        let count = &mut buckets.counts[digit];
        let tail = &mut buckets.tails[digit];
        *tail = self.pool.take((*count > 0).then_some(*tail), entry);
        *count = if *count == 2 * CYCLE { CYCLE + 1 } else { *count + 1 };
        self.placed += 1;
    }

    #[cold]
    #[inline(never)]
    fn place_on_new_level(&mut self, level: usize, entry: Entry<E>) {
        let buckets = Level { used: 0, tails: [0; FANOUT], counts: [0; FANOUT] };
        self.levels[level] = Some(Box::new(buckets));
        self.place(entry);
    }

    /// The bottom is full: ends it at the new entry's time.
    #[cold]
    #[inline(never)]
    fn cut_bottom(&mut self, entry: Entry<E>) {
        if !self.cut {
            // All levels below that of the bucket opened last are empty, and `now` is in its range:
            // no bucket changes. The closer the base, the narrower the buckets for what is cut off.
            self.base = self.now;
            self.cut = true;
        }
        let mut kept = [entry; bottom::ROOM];
        let mut count = 0;
        while let Some((time, event)) = self.bottom.take() {
            if time < entry.time {
                kept[count] = Entry { time, event };
                count += 1;
            } else {
                self.place(Entry { time, event });
            }
        }
        for entry in &kept[..count] {
            self.bottom.put(entry.time, entry.event);
        }
        self.end = entry.time;
        self.place(entry);
    }

    /// Level, digit and first time of the first bucket in use.
    #[inline]
    fn first_bucket(&self) -> Option<(usize, usize, u64)> {
        if self.used == 0 {
            return None;
        }
        let level = self.used.trailing_zeros() as usize % LEVELS;
        let digit = used_level(&self.levels, level).used.trailing_zeros() as usize % FANOUT;
        let shift = level as u32 * DIGIT_BITS;
        let above = (self.base >> shift) & !(FANOUT as u64 - 1);
        Some((level, digit, (above | digit as u64) << shift))
    }

    /// Marks a bucket as empty; its chunks are the caller's now. Returns the last one and the count.
    #[inline]
    fn unlink(&mut self, level: usize, digit: usize) -> (u32, usize) {
        let buckets = used_level_mut(&mut self.levels, level);
        buckets.used &= !(1 << digit);
        if buckets.used == 0 {
            self.used &= !(1 << level);
        }
        let count = core::mem::take(&mut buckets.counts[digit]);
        debug_assert!(count > 0, "a used bucket holds something");
        (buckets.tails[digit], count as usize)
    }

    /// Opens buckets until the bottom has an entry, and takes the earliest.
    #[inline(never)]
    fn refill(&mut self) -> Option<(u64, E)> {
        loop {
            let (level, digit, first_time) = self.first_bucket()?;
            self.base = first_time;
            self.cut = false;
            let count = used_level(&self.levels, level).counts[digit] as usize;
            if count > SMALL && level == 0 {
                self.open_instant(digit);
                return self.bottom.take();
            }
            let (tail, count) = self.unlink(level, digit);
            if count <= SMALL {
                let bits = level as u32 * DIGIT_BITS;
                self.end = first_time.saturating_add(1 << bits);
                self.bottom.open(bits);
                self.open_small(tail, count);
                return self.bottom.take();
            }
            self.spread(tail, count);
        }
    }

    /// Moves the entries of a small bucket into the empty bottom.
    #[inline]
    fn open_small(&mut self, tail: u32, count: usize) {
        let mut id = tail;
        loop {
            id = self.pool.link(id);
            let count = if id == tail { self.pool.in_tail(count) } else { self.pool.chunk() };
            for entry in self.pool.entries(id, count) {
                self.bottom.put(entry.time, entry.event);
            }
            if id == tail {
                break;
            }
        }
        self.placed -= count;
        self.pool.release_all(tail);
    }

    /// Moves the entries of a bucket to lower levels.
    #[inline(never)]
    fn spread(&mut self, tail: u32, count: usize) {
        let mut id = self.pool.link(tail);
        let mut first = self.pool.get(id, 0);
        loop {
            let count = if id == tail { self.pool.in_tail(count) } else { self.pool.chunk() };
            // Reading the next chunk this early lets the wait for it pass while this one is placed.
            let next = self.pool.link(id);
            let ahead = self.pool.get(next, 0);
            self.placed -= count;
            self.place(first);
            for at in 1..count {
                self.place(self.pool.get(id, at));
            }
            // Freed one by one, so that the chunks that follow can take the place of those emptied.
            self.pool.release(id);
            if id == tail {
                return;
            }
            id = next;
            first = ahead;
        }
    }

    /// Takes the first chunk of a bucket of a single instant. What is pushed at this instant goes on
    /// to the bucket, behind what is left there.
    #[cold]
    #[inline(never)]
    fn open_instant(&mut self, digit: usize) {
        self.end = self.base;
        let tail = used_level(&self.levels, 0).tails[digit];
        let first = self.pool.link(tail);
        let mut in_chunk = self.pool.chunk();
        if first == tail {
            let (_, count) = self.unlink(0, digit);
            in_chunk = self.pool.in_tail(count);
        }
        self.placed -= in_chunk;
        self.bottom.open(0);
        for entry in self.pool.entries(first, in_chunk) {
            self.bottom.put(entry.time, entry.event);
        }
        self.pool.release_first(tail);
    }

    /// Whether there is a first bucket, and an event before `limit` in it.
    #[inline]
    fn bucket_before(&self, limit: u64) -> bool {
        let Some((level, digit, first)) = self.first_bucket() else { return false };
        let last = first | ((1 << (level as u32 * DIGIT_BITS)) - 1);
        last < limit || (first < limit && self.bucket_min(level, digit).as_nanos() < limit)
    }

    /// The earliest time in a bucket.
    #[cold]
    #[inline(never)]
    fn bucket_min(&self, level: usize, digit: usize) -> Time {
        let mut min = u64::MAX;
        let buckets = used_level(&self.levels, level);
        buckets.for_each(digit, &self.pool, |entry: Entry<E>| min = min.min(entry.time));
        Time::from_nanos(min)
    }

    /// Moves all buckets to chunks of twice the size.
    #[cold]
    #[inline(never)]
    fn enlarge_chunks(&mut self) {
        self.placed = 0;
        let bits = self.pool.bits() + 1;
        self.many = if bits == MAX_CHUNK_BITS { usize::MAX } else { self.many * 2 };
        let pool = core::mem::replace(&mut self.pool, Pool::new(bits));
        let levels = core::mem::replace(&mut self.levels, [const { None }; LEVELS]);
        for buckets in levels.into_iter().flatten() {
            for digit in (0..FANOUT).filter(|digit| buckets.used & (1 << digit) != 0) {
                buckets.for_each(digit, &pool, |entry| self.place(entry));
            }
        }
    }
}

impl Level {
    /// Calls `visit` for the entries of a used bucket, in push order.
    fn for_each<E: Copy>(&self, digit: usize, pool: &Pool<E>, mut visit: impl FnMut(Entry<E>)) {
        let tail = self.tails[digit];
        let mut id = tail;
        loop {
            id = pool.link(id);
            let in_tail = pool.in_tail(self.counts[digit] as usize);
            let count = if id == tail { in_tail } else { pool.chunk() };
            pool.entries(id, count).iter().for_each(|entry| visit(*entry));
            if id == tail {
                return;
            }
        }
    }
}

#[inline]
fn used_level(levels: &[Option<Box<Level>>; LEVELS], level: usize) -> &Level {
    levels[level].as_ref().expect("a level in use has its buckets")
}

#[inline]
fn used_level_mut(levels: &mut [Option<Box<Level>>; LEVELS], level: usize) -> &mut Level {
    levels[level].as_mut().expect("a level in use has its buckets")
}

impl<E: Copy + Default> Default for Queue<E> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
