//! One direction of a cable: rate, delay, a drop-tail queue, impairments.
//!
//! A direction is first in, first out, so only its head is in the event queue. What waits, is being
//! sent or travels stands in the direction's own ring; when it leaves and arrives follows from
//! `busy_until` at the moment it is queued, so a hop is one event.

use crate::config::{LinkDirection, QueueLimit};
use crate::engine::{Sampler, Span, Stream, Time, Uniform};
use crate::wire::PacketId;

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
    depart: Time,
    packet: PacketId,
}

/// The frames of a direction, first in, first out. Positions are numbers that only grow (and wrap),
/// so the frames that have left the sender are told from those that wait by one more position.
#[derive(Debug)]
struct Ring {
    /// A power of two of slots.
    slots: Vec<Flight>,
    /// The next frame to arrive.
    head: u32,
    /// The first frame that had not left the sender when somebody last looked.
    departed: u32,
    /// Behind the last frame.
    tail: u32,
}

impl Ring {
    const EMPTY: Flight =
        Flight { arrive: Time::NEVER, depart: Time::NEVER, packet: PacketId::NONE };

    fn new() -> Self {
        Self { slots: vec![Self::EMPTY; 4], head: 0, departed: 0, tail: 0 }
    }

    #[inline]
    fn at(&self, position: u32) -> &Flight {
        &self.slots[position as usize & (self.slots.len() - 1)]
    }

    #[inline]
    const fn len(&self) -> usize {
        self.tail.wrapping_sub(self.head) as usize
    }

    #[inline]
    fn push(&mut self, flight: Flight) {
        if self.len() == self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        self.slots[self.tail as usize & mask] = flight;
        self.tail = self.tail.wrapping_add(1);
    }

    #[cold]
    fn grow(&mut self) {
        let frames: Vec<_> = (0..self.len() as u32).map(|i| *self.at(self.head + i)).collect();
        let departed = self.departed.wrapping_sub(self.head);
        self.slots = vec![Self::EMPTY; frames.len() * 2];
        self.slots[..frames.len()].copy_from_slice(&frames);
        (self.head, self.departed, self.tail) = (0, departed, frames.len() as u32);
    }

    #[inline]
    fn pop(&mut self) {
        if self.departed == self.head {
            self.departed = self.departed.wrapping_add(1);
        }
        self.head = self.head.wrapping_add(1);
    }

    /// Frames that have not left the sender by `now`.
    #[inline]
    fn waiting(&mut self, now: Time) -> usize {
        while self.departed != self.tail && self.at(self.departed).depart <= now {
            self.departed = self.departed.wrapping_add(1);
        }
        self.tail.wrapping_sub(self.departed) as usize
    }
}

/// What became of a frame given to a direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// It will arrive; if it is the head, its arrival must be put into the event queue.
    Queued {
        /// Arrival of the frame if it is now the head of the ring.
        head: Option<Time>,
    },
    /// It left the order of the ring and arrives by itself at this time.
    Overtaken(Time),
    /// The queue was full.
    Full,
    /// Lost on the way.
    Lost,
    /// The link is down.
    Down,
}

/// Counters of a direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkCounters {
    /// Frames accepted.
    pub packets: u64,
    /// Bytes accepted, framing included.
    pub bytes: u64,
    /// Nanoseconds of sending.
    pub busy_ns: u64,
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
    loss: f64,
    reorder: f64,
    reorder_delay: Span,
    jitter: Option<Sampler>,
    last_arrive: Time,
}

/// One direction of a link.
#[derive(Debug)]
pub struct Direction {
    /// Where frames come out.
    pub to: Endpoint,
    /// Whether the link carries frames.
    pub up: bool,
    /// Counters.
    pub counters: LinkCounters,
    overhead: u32,
    /// Nanoseconds a byte takes, with 32 binary digits after the point, rounded up.
    ns_per_byte: u64,
    latency: Span,
    limit: QueueLimit,
    busy_until: Time,
    ring: Ring,
    impairment: Option<Box<Impairment>>,
}

impl Direction {
    /// A direction towards `to`; `name` names its random stream. The values are checked by whoever
    /// built the configuration.
    pub fn new(config: &LinkDirection, to: Endpoint, up: bool, seed: u64, name: &str) -> Self {
        let clean = config.loss <= 0.0 && config.reorder <= 0.0 && config.jitter.is_none();
        let impairment = (!clean).then(|| {
            Box::new(Impairment {
                stream: Stream::new(seed, name, "impairment"),
                loss: config.loss,
                reorder: config.reorder,
                reorder_delay: config.reorder_delay,
                jitter: config.jitter.as_ref().and_then(|d| Sampler::new(d).ok()),
                last_arrive: Time::ZERO,
            })
        });
        Self {
            to,
            up,
            counters: LinkCounters::default(),
            overhead: u32::from(config.overhead),
            ns_per_byte: ns_per_byte(config.rate_bps),
            latency: config.latency,
            limit: config.queue,
            busy_until: Time::ZERO,
            ring: Ring::new(),
            impairment,
        }
    }

    /// Gives a frame with an IP length of `len` bytes to the sender.
    #[inline]
    pub fn send(&mut self, now: Time, packet: PacketId, len: u16) -> Sent {
        if !self.up {
            self.counters.dropped_loss += 1;
            return Sent::Down;
        }
        let bytes = u32::from(len) + self.overhead;
        let start = if self.busy_until > now {
            let waiting = self.ring.waiting(now);
            if self.is_full(now, waiting, bytes) {
                self.counters.dropped_queue += 1;
                return Sent::Full;
            }
            self.counters.queue_max = self.counters.queue_max.max(waiting as u64 + 1);
            self.busy_until
        } else {
            self.ring.departed = self.ring.tail;
            self.counters.queue_max = self.counters.queue_max.max(1);
            now
        };
        let sending = self.sending_time(bytes);
        let depart = start + sending;
        self.busy_until = depart;
        self.counters.packets += 1;
        self.counters.bytes += u64::from(bytes);
        self.counters.busy_ns += sending.as_nanos();
        let mut arrive = depart + self.latency;
        if let Some(random) = &mut self.impairment {
            match random.apply(arrive) {
                Fate::Lost => {
                    self.counters.dropped_loss += 1;
                    return Sent::Lost;
                }
                Fate::Overtaken(at) => return Sent::Overtaken(at),
                Fate::Arrives(at) => arrive = at,
            }
        }
        let head = (self.ring.len() == 0).then_some(arrive);
        self.ring.push(Flight { arrive, depart, packet });
        Sent::Queued { head }
    }

    /// Takes the frame that arrives now, and tells when the next one does. `None` if nothing arrives
    /// now: the wake-up was for a frame that a link failure took.
    #[inline]
    pub fn arrive(&mut self, now: Time) -> Option<(PacketId, Option<Time>)> {
        if self.ring.len() == 0 {
            return None;
        }
        let head = *self.ring.at(self.ring.head);
        if head.arrive != now {
            debug_assert!(head.arrive > now, "a frame never arrives late");
            return None;
        }
        self.ring.pop();
        let next = (self.ring.len() > 0).then(|| self.ring.at(self.ring.head).arrive);
        Some((head.packet, next))
    }

    /// Takes the link down or up; going down loses what is queued or travels.
    pub fn set_up(&mut self, up: bool) -> Vec<PacketId> {
        self.up = up;
        if up {
            return Vec::new();
        }
        self.busy_until = Time::ZERO;
        let mut lost = Vec::new();
        while self.ring.len() > 0 {
            lost.push(self.ring.at(self.ring.head).packet);
            self.ring.pop();
        }
        self.counters.dropped_loss += lost.len() as u64;
        lost
    }

    /// Frames waiting, being sent or travelling.
    pub fn in_flight(&self) -> usize {
        self.ring.len()
    }

    /// Frames waiting or being sent.
    pub fn waiting(&mut self, now: Time) -> usize {
        self.ring.waiting(now)
    }

    #[inline]
    fn is_full(&self, now: Time, waiting: usize, bytes: u32) -> bool {
        match self.limit {
            QueueLimit::Packets(most) => waiting > most as usize,
            QueueLimit::Bytes(most) => {
                let queued_ns = u128::from((self.busy_until - now).as_nanos());
                let queued = (queued_ns << 32) / u128::from(self.ns_per_byte.max(1));
                queued + u128::from(bytes) > u128::from(most)
            }
        }
    }

    #[inline]
    fn sending_time(&self, bytes: u32) -> Span {
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
    fn frames_follow_each_other_at_the_rate_of_the_link() {
        let mut d = direction(1_000_000_000, QueueLimit::Packets(1000));
        let at = |ns| Time::from_nanos(ns);
        let first = d.send(at(0), PacketId(1), 1482);
        assert_eq!(first, Sent::Queued { head: Some(at(12_000 + 50_000)) });
        assert_eq!(d.send(at(0), PacketId(2), 1482), Sent::Queued { head: None });
        assert_eq!(d.waiting(at(0)), 2);
        assert_eq!(d.waiting(at(12_000)), 1);
        assert_eq!(d.arrive(at(62_000)), Some((PacketId(1), Some(at(74_000)))));
        assert_eq!(d.waiting(at(62_000)), 0);
        assert!(d.arrive(at(70_000)).is_none());
    }

    #[test]
    fn the_tail_is_dropped_when_the_queue_is_full() {
        let mut d = direction(1_000_000, QueueLimit::Packets(2));
        for i in 0..3 {
            assert!(matches!(d.send(Time::ZERO, PacketId(i), 982), Sent::Queued { .. }));
        }
        assert_eq!(d.send(Time::ZERO, PacketId(3), 982), Sent::Full);
        assert_eq!(d.counters.dropped_queue, 1);
        // 8 ms later the first has left, so one may wait again
        assert!(matches!(
            d.send(Time::from_nanos(8_000_000), PacketId(4), 982),
            Sent::Queued { head: None }
        ));
    }

    #[test]
    fn a_byte_limit_counts_what_is_not_yet_sent() {
        let mut d = direction(8_000_000, QueueLimit::Bytes(2500));
        assert!(matches!(d.send(Time::ZERO, PacketId(0), 982), Sent::Queued { .. }));
        assert!(matches!(d.send(Time::ZERO, PacketId(1), 982), Sent::Queued { .. }));
        assert_eq!(d.send(Time::ZERO, PacketId(2), 982), Sent::Full);
        assert!(matches!(d.send(Time::from_nanos(500_000), PacketId(3), 982), Sent::Queued { .. }));
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
            assert_eq!(d.arrive(now).map(|a| a.0), Some(PacketId(i as u32)));
            assert_eq!(d.waiting(now), (99 - i as usize).saturating_sub(5));
            assert_eq!(d.in_flight(), 99 - i as usize);
        }
        assert_eq!(d.counters.queue_max, 100);
    }

    #[test]
    fn going_down_loses_what_travels() {
        let mut d = direction(0, QueueLimit::Packets(1));
        assert!(matches!(d.send(Time::ZERO, PacketId(7), 40), Sent::Queued { head: Some(_) }));
        assert_eq!(d.set_up(false), vec![PacketId(7)]);
        assert_eq!(d.send(Time::ZERO, PacketId(8), 40), Sent::Down);
        assert!(d.arrive(Time::from_nanos(50_000)).is_none());
    }
}
