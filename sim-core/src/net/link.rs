//! One direction of a cable: rate, delay, a drop-tail queue, impairments.
//!
//! A direction is first in, first out, so only its head is in the event queue. What waits, is being
//! sent or travels stands in the direction's own ring; when it leaves and arrives follows from
//! `busy_until` at the moment it is queued, so a hop is one event.

mod disturbance;

pub use disturbance::{Chance, Disturbance, Effect, Judged, Senders};

use crate::config::{LinkDirection, QueueLimit};
use crate::engine::{Sampler, Span, Stream, Time, Uniform};
use crate::wire::{Packet, PacketId};
use std::collections::VecDeque;

/// What a direction leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// Interface of a host.
    Host {
        /// Host number.
        host: u16,
        /// Interface number.
        interface: u16,
    },
    /// Port of a switch.
    Switch {
        /// Switch number.
        switch: u16,
        /// Port number.
        port: u16,
    },
}

/// A frame in the ring.
#[derive(Clone, Copy, Debug)]
struct Flight {
    arrive: Time,
    packet: PacketId,
}

/// The frames of a direction, first in, first out. Positions are numbers that grow (and wrap) while
/// there are frames.
#[derive(Debug)]
struct Ring {
    /// The next frame to arrive. It stands here alone, not in its slot: with the direction it is one
    /// cache line, and mostly it is the only one.
    first: Flight,
    /// A power of two of slots for the frames behind the first.
    slots: Box<[Flight]>,
    /// Position of the next frame to arrive.
    head: u32,
    /// Behind the last frame.
    tail: u32,
}

impl Ring {
    /// What stands in the first place of an empty ring: it never arrives.
    const NOTHING: Flight = Flight { arrive: Time::NEVER, packet: PacketId::NONE };

    fn new() -> Self {
        Self { first: Self::NOTHING, slots: [Self::NOTHING; 4].into(), head: 0, tail: 0 }
    }

    #[inline]
    fn at(&self, position: u32) -> &Flight {
        if position == self.head {
            &self.first
        } else {
            &self.slots[position as usize & (self.slots.len() - 1)]
        }
    }

    #[inline]
    const fn len(&self) -> usize {
        self.tail.wrapping_sub(self.head) as usize
    }

    #[inline]
    const fn is_full(&self) -> bool {
        self.len() == self.slots.len()
    }

    /// Adds a frame to a ring that is not full.
    #[inline]
    fn push(&mut self, flight: Flight) -> Sent {
        let position = self.tail;
        self.tail = position.wrapping_add(1);
        if position == self.head {
            self.first = flight;
            return Sent::Head(flight.arrive);
        }
        let mask = self.slots.len() - 1;
        self.slots[position as usize & mask] = flight;
        Sent::Behind
    }

    #[cold]
    fn grow(&mut self) {
        let position = |i| self.head.wrapping_add(i);
        let count = self.len();
        let mut slots: Vec<_> = (0..count as u32).map(|i| *self.at(position(i))).collect();
        slots.resize(count * 2, Self::NOTHING);
        self.slots = slots.into();
        (self.head, self.tail) = (0, count as u32);
    }

    /// Takes the first frame.
    #[inline]
    fn pop(&mut self) {
        self.head = self.head.wrapping_add(1);
        if self.head == self.tail {
            // an empty ring starts over at its first slots, whose cache line is the one used most
            (self.head, self.tail) = (0, 0);
            self.first = Self::NOTHING;
        } else {
            self.first = self.slots[self.head as usize & (self.slots.len() - 1)];
        }
    }

    /// Frames that arrive later than `time`: they are in order, so a binary search finds the first.
    fn later_than(&self, time: Time) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.at(self.head.wrapping_add(middle as u32)).arrive <= time {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.len() - low
    }
}

/// What became of a frame given to a direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// It will arrive, behind others.
    Behind,
    /// It is the head of the ring and will arrive at this time, which must be put into the event queue.
    Head(Time),
    /// It left the order of the ring and arrives by itself at this time.
    Overtaken(Time),
    /// The queue was full.
    Full,
    /// Lost on the way.
    Lost,
    /// Cut off by a fault.
    Cut,
    /// The link is down.
    Down,
}

/// What a direction counts of what went wrong, and its longest queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkCounters {
    /// Largest number of frames waiting or being sent.
    pub queue_max: u64,
    /// Frames dropped by the full queue.
    pub dropped_queue: u64,
    /// Frames lost, or sent while the link was down.
    pub dropped_loss: u64,
}

/// The random part of a direction; absent on a clean one.
#[derive(Debug)]
struct Impairment {
    stream: Stream,
    /// Only there because of faults, and until the last frame that they delayed has arrived.
    temporary: bool,
    loss: f64,
    reorder: f64,
    reorder_delay: Span,
    jitter: Option<Sampler>,
    last_arrive: Time,
    /// When the frames in the queue leave the sender; on a clean direction the arrival tells.
    departures: VecDeque<Time>,
}

/// What is seldom needed of a direction.
#[derive(Debug)]
struct Rare {
    limit: QueueLimit,
    counters: LinkCounters,
    impairment: Option<Impairment>,
    disturbances: Vec<Disturbance>,
}

/// One direction of a link. A hop touches two of them, so it is kept to two cache lines: what is
/// asked when a frame arrives stands in the first.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Direction {
    ring: Ring,
    /// Where frames come out.
    pub to: Endpoint,
    overhead: u16,
    latency: Span,
    busy_until: Time,
    /// With fewer frames waiting, neither the limit nor the longest queue can be reached; with fewer in
    /// the ring (what waits is never more), it has room as well. 0 if a frame may suffer something.
    count_from: u32,
    /// Whether the link carries frames.
    up: bool,
    /// Up, and nothing random happens.
    clean: bool,
    /// Nanoseconds a byte takes, with 32 binary digits after the point, rounded up.
    ns_per_byte: u64,
    packets: u64,
    bytes: u64,
    rare: Box<Rare>,
}

impl Direction {
    /// A direction towards `to`; `name` names its random stream. The values are checked by whoever
    /// built the configuration.
    pub fn new(config: &LinkDirection, to: Endpoint, up: bool, seed: u64, name: &str) -> Self {
        let clean = config.loss <= 0.0 && config.reorder <= 0.0 && config.jitter.is_none();
        let impairment = (!clean).then(|| Impairment {
            stream: Stream::new(seed, name, "impairment"),
            temporary: false,
            loss: config.loss,
            reorder: config.reorder,
            reorder_delay: config.reorder_delay,
            jitter: config.jitter.as_ref().and_then(|d| Sampler::new(d).ok()),
            last_arrive: Time::ZERO,
            departures: VecDeque::new(),
        });
        Self {
            to,
            up,
            clean: clean && up,
            overhead: config.overhead,
            ns_per_byte: ns_per_byte(config.rate_bps),
            latency: config.latency,
            busy_until: Time::ZERO,
            count_from: 0,
            ring: Ring::new(),
            packets: 0,
            bytes: 0,
            rare: Box::new(Rare {
                limit: config.queue,
                counters: LinkCounters::default(),
                impairment,
                disturbances: Vec::new(),
            }),
        }
    }

    /// Gives a frame with an IP length of `len` bytes to the sender.
    pub fn send(&mut self, now: Time, packet: PacketId, len: u16) -> Sent {
        self.send_judged(now, packet, len, Judged::default())
    }

    /// As [`Direction::send`], for a frame that [`Direction::judge`] has judged.
    pub fn send_judged(&mut self, now: Time, packet: PacketId, len: u16, judged: Judged) -> Sent {
        let bytes = u32::from(len) + u32::from(self.overhead);
        if !self.clean {
            self.settle(now);
        }
        if !self.clean {
            return self.send_by_chance(now, packet, bytes, judged);
        }
        if !self.admit(now, bytes) {
            return Sent::Full;
        }
        let depart = self.occupy(now, bytes);
        self.enqueue(depart + self.latency, packet)
    }

    /// The short way of [`Direction::send`], which nearly every frame can take: `None` if this one
    /// cannot.
    #[inline]
    pub fn send_plain(&mut self, now: Time, packet: PacketId, len: u16) -> Option<Sent> {
        if self.ring.len() >= self.count_from as usize && !self.is_short(now) {
            return None;
        }
        let depart = self.occupy(now, u32::from(len) + u32::from(self.overhead));
        Some(self.ring.push(Flight { arrive: depart + self.latency, packet }))
    }

    /// Whether fewer than `count_from` frames wait, though so many or more are in the ring.
    #[inline]
    fn is_short(&self, now: Time) -> bool {
        if self.count_from == 0 || self.ring.is_full() {
            return false;
        }
        // as many wait if the first of that many is still to depart
        let first = self.ring.tail.wrapping_sub(self.count_from);
        self.busy_until <= now || self.ring.at(first).arrive <= now + self.latency
    }

    /// The sender is busy with a frame of `bytes` as soon as it is free; when that is done.
    #[inline]
    fn occupy(&mut self, now: Time, bytes: u32) -> Time {
        let depart = self.busy_until.max(now) + self.sending_time(u64::from(bytes));
        self.busy_until = depart;
        self.packets += 1;
        self.bytes += u64::from(bytes);
        depart
    }

    fn enqueue(&mut self, arrive: Time, packet: PacketId) -> Sent {
        if self.ring.is_full() {
            self.ring.grow();
        }
        self.ring.push(Flight { arrive, packet })
    }

    #[cold]
    fn send_by_chance(&mut self, now: Time, packet: PacketId, bytes: u32, judged: Judged) -> Sent {
        if !self.up {
            self.rare.counters.dropped_loss += 1;
            return Sent::Down;
        }
        if !self.admit(now, bytes) {
            return Sent::Full;
        }
        let depart = self.occupy(now, bytes);
        let Some(random) = &mut self.rare.impairment else {
            return self.enqueue(depart + self.latency, packet);
        };
        random.departures.push_back(depart);
        if let Some(cut) = judged.ends {
            self.rare.counters.dropped_loss += 1;
            return if cut { Sent::Cut } else { Sent::Lost };
        }
        match random.apply(depart + self.latency + judged.late) {
            Fate::Lost => {
                self.rare.counters.dropped_loss += 1;
                Sent::Lost
            }
            Fate::Overtaken(at) => Sent::Overtaken(at),
            Fate::Arrives(at) => self.enqueue(at, packet),
        }
    }

    /// From now on a fault disturbs frames that are sent.
    pub fn disturb(&mut self, now: Time, disturbance: Disturbance) {
        if self.rare.impairment.is_none() {
            self.rare.impairment = Some(self.nothing_random(now));
        }
        self.rare.disturbances.push(disturbance);
        self.clean = false;
        self.count_from = 0;
    }

    /// The disturbances of a fault are over. What they delayed is still late, and nothing overtakes it.
    pub fn relieve(&mut self, fault: u32) {
        self.rare.disturbances.retain(|d| d.fault != fault);
    }

    /// Whether a fault disturbs frames that are sent.
    pub fn is_disturbed(&self) -> bool {
        !self.rare.disturbances.is_empty()
    }

    /// What faults make of a frame. A direction that is down makes nothing of it. `reached` is told what is to
    /// be done because of counters.
    pub fn judge(&mut self, packet: &Packet, reached: impl FnMut(u32)) -> Judged {
        if !self.up {
            return Judged::default();
        }
        disturbance::judge(&mut self.rare.disturbances, packet, reached)
    }

    /// What a direction needs to know while faults may disturb it, though it is clean by itself.
    fn nothing_random(&self, now: Time) -> Impairment {
        let flights =
            (0..self.ring.len() as u32).map(|i| self.ring.at(self.ring.head.wrapping_add(i)));
        let arrivals: Vec<Time> = flights.map(|f| f.arrive).collect();
        let departs = |arrive: &Time| {
            let left = (*arrive - now).saturating_sub(self.latency);
            (left > Span::ZERO).then(|| now + left)
        };
        Impairment {
            stream: Stream::new(0, "link", "nothing"),
            temporary: true,
            loss: 0.0,
            reorder: 0.0,
            reorder_delay: Span::ZERO,
            jitter: None,
            last_arrive: arrivals.last().copied().unwrap_or_default(),
            departures: arrivals.iter().filter_map(departs).collect(),
        }
    }

    /// Is clean again when the last fault is over and what it delayed has arrived.
    fn settle(&mut self, now: Time) {
        let Some(random) = &self.rare.impairment else { return };
        let over = self.rare.disturbances.is_empty() && random.last_arrive <= now;
        if over && random.temporary && self.busy_until <= now {
            self.rare.impairment = None;
            self.clean = self.up;
        }
    }

    /// Takes the frame that arrives now. `None` if nothing arrives now: the wake-up was for a frame
    /// that a link failure took.
    #[inline]
    pub fn arrive(&mut self, now: Time) -> Option<PacketId> {
        let Flight { arrive, packet } = self.ring.first;
        if arrive != now {
            debug_assert!(arrive > now, "a frame never arrives late");
            return None;
        }
        self.ring.pop();
        Some(packet)
    }

    /// The frame that arrives now, if one does. It stays on the link.
    pub fn due(&self, now: Time) -> Option<PacketId> {
        let Flight { arrive, packet } = self.ring.first;
        (arrive == now).then_some(packet)
    }

    /// When the next frame arrives.
    #[inline]
    pub fn next(&self) -> Option<Time> {
        let at = self.ring.first.arrive;
        (at != Time::NEVER).then_some(at)
    }

    /// Whether the link is up.
    pub const fn is_up(&self) -> bool {
        self.up
    }

    /// Takes the link down or up; going down loses what is queued or travels.
    pub fn set_up(&mut self, up: bool) -> Vec<PacketId> {
        self.up = up;
        self.clean = up && self.rare.impairment.is_none();
        self.count_from = 0;
        if up {
            return Vec::new();
        }
        self.busy_until = Time::ZERO;
        if let Some(random) = &mut self.rare.impairment {
            random.departures.clear();
            random.last_arrive = Time::ZERO;
        }
        let mut lost = Vec::new();
        while self.ring.len() > 0 {
            lost.push(self.ring.first.packet);
            self.ring.pop();
        }
        self.rare.counters.dropped_loss += lost.len() as u64;
        lost
    }

    /// Frames waiting, being sent or travelling.
    pub fn in_flight(&self) -> usize {
        self.ring.len()
    }

    /// Frames waiting or being sent.
    pub fn waiting(&mut self, now: Time) -> usize {
        if self.busy_until <= now {
            return 0;
        }
        match &mut self.rare.impairment {
            None => self.ring.later_than(now + self.latency),
            Some(random) => {
                while random.departures.front().is_some_and(|&d| d <= now) {
                    random.departures.pop_front();
                }
                random.departures.len()
            }
        }
    }

    /// Frames accepted so far.
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// Bytes accepted so far, framing included.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Time spent sending what was accepted so far.
    pub fn busy(&self) -> Span {
        self.sending_time(self.bytes)
    }

    /// The other counters.
    pub fn counters(&self) -> LinkCounters {
        self.rare.counters
    }

    /// Counts what waits: is there room for a frame of `bytes`?
    #[inline(never)]
    fn admit(&mut self, now: Time, bytes: u32) -> bool {
        let waiting = self.waiting(now);
        if waiting > 0 && self.is_full(now, waiting, bytes) {
            self.rare.counters.dropped_queue += 1;
            return false;
        }
        let longest = self.rare.counters.queue_max.max(waiting as u64 + 1);
        self.rare.counters.queue_max = longest;
        self.count_from = match self.rare.limit {
            QueueLimit::Packets(most) if self.clean => {
                let reached = usize::try_from(longest).unwrap_or(usize::MAX);
                most.min(reached.min(self.ring.slots.len()) as u32)
            }
            QueueLimit::Packets(_) | QueueLimit::Bytes(_) => 0,
        };
        true
    }

    fn is_full(&self, now: Time, waiting: usize, bytes: u32) -> bool {
        match self.rare.limit {
            QueueLimit::Packets(most) => waiting > most as usize,
            QueueLimit::Bytes(most) => {
                let queued_ns = u128::from((self.busy_until - now).as_nanos());
                let queued = (queued_ns << 32) / u128::from(self.ns_per_byte.max(1));
                queued + u128::from(bytes) > u128::from(most)
            }
        }
    }

    #[inline]
    fn sending_time(&self, bytes: u64) -> Span {
        Span::from_nanos(((u128::from(bytes) * u128::from(self.ns_per_byte)) >> 32) as u64)
    }
}

/// Nanoseconds per byte in 32.32 fixed point, rounded up so that whole results stay whole. Rates
/// below 2 bit/s are taken as 2 bit/s.
fn ns_per_byte(rate_bps: u64) -> u64 {
    if rate_bps == 0 {
        return 0;
    }
    let exact = (8_000_000_000_u128 << 32).div_ceil(u128::from(rate_bps));
    u64::try_from(exact).unwrap_or(u64::MAX)
}

enum Fate {
    Lost,
    Overtaken(Time),
    Arrives(Time),
}

impl Impairment {
    fn apply(&mut self, arrive: Time) -> Fate {
        if self.loss > 0.0 && self.stream.unit() < self.loss {
            return Fate::Lost;
        }
        let mut arrive = arrive;
        if let Some(jitter) = &mut self.jitter {
            arrive += Span::from_secs_f64(jitter.sample(&mut self.stream));
        }
        if self.reorder > 0.0 && self.stream.unit() < self.reorder {
            return Fate::Overtaken(arrive + self.reorder_delay);
        }
        self.last_arrive = self.last_arrive.max(arrive);
        Fate::Arrives(self.last_arrive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direction(rate_bps: u64, queue: QueueLimit) -> Direction {
        let config = LinkDirection {
            rate_bps,
            latency: Span::from_micros(50),
            queue,
            loss: 0.0,
            jitter: None,
            reorder: 0.0,
            reorder_delay: Span::ZERO,
            overhead: 18,
        };
        let to = Endpoint::Host { host: 0, interface: 0 };
        Direction::new(&config, to, true, 1, "a--b")
    }

    #[test]
    fn a_direction_fits_two_cache_lines() {
        assert_eq!(size_of::<Direction>(), 128);
    }

    #[test]
    fn the_short_way_does_what_the_long_one_does() {
        let limits = [QueueLimit::Packets(0), QueueLimit::Packets(12), QueueLimit::Bytes(9_000)];
        for limit in limits {
            let mut long = direction(100_000_000, limit);
            let mut either = direction(100_000_000, limit);
            let (mut now, mut short) = (Time::ZERO, 0);
            for i in 0..2_000_u32 {
                now += Span::from_nanos(u64::from(i.wrapping_mul(0x9e37_79b9) >> 15));
                while long.next().is_some_and(|at| at <= now) {
                    let at = long.next().expect("it is due");
                    assert_eq!(long.arrive(at), either.arrive(at));
                }
                let len = 40 + (i * 7 % 1_400) as u16;
                let plain = either.send_plain(now, PacketId(i), len);
                short += u32::from(plain.is_some());
                let sent = plain.unwrap_or_else(|| either.send(now, PacketId(i), len));
                assert_eq!(sent, long.send(now, PacketId(i), len));
                assert_eq!(either.counters(), long.counters());
                assert_eq!(either.bytes(), long.bytes());
            }
            let counted = matches!(limit, QueueLimit::Bytes(_) | QueueLimit::Packets(0));
            assert_eq!(short > 1_000, !counted, "{short} took the short way");
        }
    }

    #[test]
    fn frames_follow_each_other_at_the_rate_of_the_link() {
        let mut d = direction(1_000_000_000, QueueLimit::Packets(1000));
        let at = |ns| Time::from_nanos(ns);
        let first = d.send(at(0), PacketId(1), 1482);
        assert_eq!(first, Sent::Head(at(12_000 + 50_000)));
        assert_eq!(d.send(at(0), PacketId(2), 1482), Sent::Behind);
        assert_eq!(d.waiting(at(0)), 2);
        assert_eq!(d.waiting(at(12_000)), 1);
        assert_eq!(d.arrive(at(62_000)), Some(PacketId(1)));
        assert_eq!(d.next(), Some(at(74_000)));
        assert_eq!(d.waiting(at(62_000)), 0);
        assert!(d.arrive(at(70_000)).is_none());
    }

    #[test]
    fn the_tail_is_dropped_when_the_queue_is_full() {
        let mut d = direction(1_000_000, QueueLimit::Packets(2));
        for i in 0..3 {
            assert!(matches!(d.send(Time::ZERO, PacketId(i), 982), Sent::Head(_) | Sent::Behind));
        }
        assert_eq!(d.send(Time::ZERO, PacketId(3), 982), Sent::Full);
        assert_eq!(d.counters().dropped_queue, 1);
        // 8 ms later the first has left, so one may wait again
        assert!(matches!(d.send(Time::from_nanos(8_000_000), PacketId(4), 982), Sent::Behind));
    }

    #[test]
    fn a_byte_limit_counts_what_is_not_yet_sent() {
        let mut d = direction(8_000_000, QueueLimit::Bytes(2500));
        assert!(matches!(d.send(Time::ZERO, PacketId(0), 982), Sent::Head(_) | Sent::Behind));
        assert!(matches!(d.send(Time::ZERO, PacketId(1), 982), Sent::Head(_) | Sent::Behind));
        assert_eq!(d.send(Time::ZERO, PacketId(2), 982), Sent::Full);
        assert!(matches!(
            d.send(Time::from_nanos(500_000), PacketId(3), 982),
            Sent::Head(_) | Sent::Behind
        ));
    }

    #[test]
    fn a_rate_that_does_not_divide_a_nanosecond_stays_exact() {
        let d = direction(10_000_000_000, QueueLimit::Packets(1));
        assert_eq!(d.sending_time(1500), Span::from_nanos(1200));
        let slow = direction(64_000, QueueLimit::Packets(1));
        assert_eq!(slow.sending_time(1500), Span::from_nanos(187_500_000));
    }

    #[test]
    fn a_long_queue_keeps_its_order_and_its_length() {
        let mut d = direction(1_000_000_000, QueueLimit::Packets(1000));
        for i in 0..100 {
            d.send(Time::ZERO, PacketId(i), 1482);
        }
        for i in 0..100_u64 {
            let now = Time::from_nanos(62_000 + 12_000 * i);
            assert_eq!(d.arrive(now), Some(PacketId(i as u32)));
            assert_eq!(d.waiting(now), 95_usize.saturating_sub(i as usize));
            assert_eq!(d.in_flight(), 99 - i as usize);
        }
        assert_eq!(d.counters().queue_max, 100);
    }

    #[test]
    fn a_ring_is_a_queue_however_it_fills_and_empties() {
        let (mut ring, mut model) = (Ring::new(), VecDeque::new());
        let mut word = 1_u32;
        for i in 0..20_000_u32 {
            word = word.wrapping_mul(0x9e37_79b9).wrapping_add(12_345);
            // now it fills, now it empties
            if (word >> 24) % 16 < if i / 1_000 % 2 == 0 { 9 } else { 6 } {
                if ring.is_full() {
                    ring.grow();
                }
                let at = Time::from_nanos(u64::from(i));
                let sent = ring.push(Flight { arrive: at, packet: PacketId(i) });
                assert_eq!(sent == Sent::Head(at), model.is_empty());
                model.push_back(PacketId(i));
            } else if let Some(first) = model.pop_front() {
                assert_eq!(ring.first.packet, first);
                ring.pop();
            }
            assert_eq!(ring.len(), model.len());
            assert_eq!(ring.first.arrive == Time::NEVER, model.is_empty());
            for (j, packet) in (0..).zip(&model) {
                assert_eq!(ring.at(ring.head.wrapping_add(j)).packet, *packet);
            }
        }
    }

    #[test]
    fn going_down_loses_what_travels() {
        let mut d = direction(0, QueueLimit::Packets(1));
        assert!(matches!(d.send(Time::ZERO, PacketId(7), 40), Sent::Head(_)));
        assert_eq!(d.set_up(false), vec![PacketId(7)]);
        assert_eq!(d.send(Time::ZERO, PacketId(8), 40), Sent::Down);
        assert!(d.arrive(Time::from_nanos(50_000)).is_none());
    }
}
