//! Connection tracking and address translation (`nf_conntrack_core.c`, `nf_nat_core.c`).
//!
//! An entry knows its packets by two tuples: of the direction of the first packet, and of the answers
//! as they arrive. Translation changes the tuple of the answers once, when the first packet passes;
//! from then on every packet is rewritten to the mirror image of the other direction's tuple.
//!
//! Time-outs are those of Linux. TCP sequence numbers are not checked.

mod tcp;
mod tuple;

use crate::engine::{FxMap, Span, Time};
use crate::wire::{Flags, Ip, Packet, proto};
use core::cmp::Reverse;
use std::collections::BinaryHeap;
pub use tcp::TcpState;
pub use tuple::Tuple;

/// The place of a packet in its connection (`-m conntrack --ctstate`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It begins one.
    New,
    /// It belongs to one that has seen packets in both directions.
    Established,
    /// An ICMP error about a packet of one.
    Related,
    /// It belongs to none and cannot begin one.
    Invalid,
}

/// What connection tracking says of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tracked {
    /// Nothing: it is left alone.
    #[default]
    Untracked,
    /// It belongs to no connection.
    Invalid,
    /// It belongs to an entry.
    Entry {
        /// The entry.
        slot: Slot,
        /// Whether it goes against the direction of the first packet.
        reply: bool,
        /// Its place.
        state: State,
    },
}

impl Tracked {
    /// The state that rules see.
    pub const fn state(self) -> Option<State> {
        match self {
            Self::Untracked => None,
            Self::Invalid => Some(State::Invalid),
            Self::Entry { state, .. } => Some(state),
        }
    }
}

/// Number of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(u32);

/// Which end of a packet a hook translates: the destination before routing, the source after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// `PREROUTING`, `OUTPUT`.
    Destination,
    /// `POSTROUTING`, `INPUT`.
    Source,
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::Destination => Self::Source,
            Self::Source => Self::Destination,
        }
    }
}

#[derive(Clone, Debug)]
struct Entry {
    /// Of the first packet, and of the answers.
    tuples: [Tuple; 2],
    expires: Time,
    /// In the table; an entry is so once its first packet has left the host or was delivered.
    confirmed: bool,
    /// In use; the place is free otherwise.
    live: bool,
    answered: bool,
    /// By side: whether rules have been asked, and whether they changed something.
    decided: [bool; 2],
    translated: [bool; 2],
    tcp: TcpState,
    mark: u32,
    /// Counts the uses of this place, so that an old deadline is told from a new one.
    generation: u32,
}

/// The connection table of a host.
#[derive(Debug, Default)]
pub struct Conntrack {
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// Tuple to entry and direction.
    by_tuple: FxMap<Tuple, (u32, bool)>,
    /// Deadlines: not moved with the entry's, but looked at again when they come.
    deadlines: BinaryHeap<Reverse<(Time, u32, u32)>>,
}

/// UDP without an answer (`nf_conntrack_udp_timeout`).
const UDP: Span = Span::from_secs(30);
/// UDP in both directions (`nf_conntrack_udp_timeout_stream`).
const UDP_STREAM: Span = Span::from_secs(120);
/// ICMP and `ICMPv6` (`nf_conntrack_icmp_timeout`).
const ICMP: Span = Span::from_secs(30);
/// An entry whose life was cut short is found after this time at the latest (`GC_SCAN_INTERVAL_MAX`);
/// until then it takes room but is used no more.
const GARBAGE: Span = Span::from_secs(60);
/// Other protocols (`nf_conntrack_generic_timeout`).
const GENERIC: Span = Span::from_secs(600);

impl Conntrack {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Entries in the table, those included that have expired and not been removed.
    pub fn len(&self) -> usize {
        self.by_tuple.len() / 2
    }

    /// Whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.by_tuple.is_empty()
    }

    /// Finds the entry of a packet or begins one, and moves its state and deadline on
    /// (`nf_conntrack_in`). `quoted`: the packet that an ICMP error quotes.
    ///
    /// A new entry is not in the table before [`Conntrack::confirm`]; if the packet does not get that
    /// far, give the entry back by [`Conntrack::release`].
    pub fn packet(&mut self, now: Time, packet: &Packet, quoted: Option<&Packet>) -> Tracked {
        if let Some(quoted) = quoted {
            return self.error(now, packet, quoted);
        }
        if is_neighbour_discovery(packet) {
            return Tracked::Untracked;
        }
        let Some(tuple) = Tuple::of(packet) else { return Tracked::Invalid };
        if let Some((index, reply)) = self.find(now, &tuple) {
            return match self.advance(now, index, reply, packet) {
                Step::Goes(state) => Tracked::Entry { slot: Slot(index), reply, state },
                Step::Invalid => Tracked::Invalid,
                Step::Anew => {
                    self.remove(index);
                    self.begin(now, tuple, packet)
                }
            };
        }
        self.begin(now, tuple, packet)
    }

    /// An ICMP error is related to the connection of the packet it quotes, in the direction in which it
    /// travels itself (`nf_conntrack_inet_error`).
    fn error(&mut self, now: Time, error: &Packet, quoted: &Packet) -> Tracked {
        let travels = Tuple::of(quoted).and_then(|t| t.inverse());
        let Some((index, reply)) = travels.and_then(|t| self.find(now, &t)) else {
            return Tracked::Invalid;
        };
        if self.entries[index as usize].tuples[usize::from(reply)].dst != error.dst {
            return Tracked::Invalid;
        }
        Tracked::Entry { slot: Slot(index), reply, state: State::Related }
    }

    fn find(&mut self, now: Time, tuple: &Tuple) -> Option<(u32, bool)> {
        let &(index, reply) = self.by_tuple.get(tuple)?;
        if self.entries[index as usize].expires <= now {
            self.remove(index);
            return None;
        }
        Some((index, reply))
    }

    fn begin(&mut self, now: Time, tuple: Tuple, packet: &Packet) -> Tracked {
        let Some(reply) = tuple.inverse() else { return Tracked::Invalid };
        let mut tcp = TcpState::None;
        if packet.proto == proto::TCP {
            // an entry may begin with an established connection (`nf_conntrack_tcp_loose`)
            match TcpState::None.next(false, packet.flags) {
                tcp::Next::To(state) => tcp = state,
                tcp::Next::Ignored | tcp::Next::Invalid => return Tracked::Invalid,
            }
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::EMPTY);
            self.entries.len() as u32 - 1
        });
        let entry = &mut self.entries[index as usize];
        *entry = Entry {
            tuples: [tuple, reply],
            live: true,
            tcp,
            generation: entry.generation,
            ..Entry::EMPTY
        };
        entry.expires = now + entry.timeout();
        Tracked::Entry { slot: Slot(index), reply: false, state: State::New }
    }

    fn advance(&mut self, now: Time, index: u32, reply: bool, packet: &Packet) -> Step {
        let entry = &mut self.entries[index as usize];
        let mut stays = false;
        if packet.proto == proto::TCP {
            let closed = matches!(entry.tcp, TcpState::TimeWait | TcpState::Close);
            match entry.tcp.next(reply, packet.flags) {
                tcp::Next::To(TcpState::SynSent) if closed => return Step::Anew,
                tcp::Next::To(state) => entry.tcp = state,
                tcp::Next::Ignored => stays = true,
                tcp::Next::Invalid => return Step::Invalid,
            }
            if packet.flags.has(Flags::RST) && !entry.answered {
                // the only answer is a refusal: forgotten once this packet has passed
                entry.expires = now;
                stays = true;
            }
        }
        entry.answered |= reply;
        if !stays {
            entry.expires = now + entry.timeout();
        }
        Step::Goes(if entry.answered { State::Established } else { State::New })
    }

    /// The mark of the connection (`CONNMARK`).
    pub fn mark(&mut self, of: Tracked) -> Option<&mut u32> {
        match of {
            Tracked::Entry { slot, .. } => Some(&mut self.entries[slot.0 as usize].mark),
            Tracked::Untracked | Tracked::Invalid => None,
        }
    }

    /// Whether the rules of the table `nat` must be asked for this side: only the first packet of a
    /// connection asks them, at the first hook of each side.
    pub fn asks(&self, of: Tracked, side: Side) -> bool {
        matches!(of, Tracked::Entry { slot, state: State::New, .. }
            if !self.entries[slot.0 as usize].decided[side as usize])
    }

    /// Translates one side of a new connection, to `to` if there is one (`nf_nat_setup_info`). Without an
    /// address it stays as it is, but for a source port that another connection has taken.
    ///
    /// The source port is kept if no other connection has the resulting tuple, otherwise the next free
    /// one of its class (below 512, below 1024, others) is taken. `false`: there is none, and the packet
    /// must be dropped.
    pub fn translate(
        &mut self,
        now: Time,
        slot: Slot,
        side: Side,
        to: Option<(Ip, Option<u16>)>,
    ) -> bool {
        let entry = &self.entries[slot.0 as usize];
        let Some(current) = entry.tuples[1].inverse() else { return true };
        let Some(new) = self.choose(now, slot, &current, side, to) else { return false };
        let entry = &mut self.entries[slot.0 as usize];
        entry.decided[side as usize] = true;
        if new != current
            && let Some(reply) = new.inverse()
        {
            entry.tuples[1] = reply;
            entry.translated[side as usize] = true;
        }
        true
    }

    fn choose(
        &mut self,
        now: Time,
        slot: Slot,
        current: &Tuple,
        side: Side,
        to: Option<(Ip, Option<u16>)>,
    ) -> Option<Tuple> {
        if side == Side::Destination {
            let mut new = *current;
            if let Some((ip, port)) = to {
                new.dst = ip;
                new.dport = port.unwrap_or(new.dport);
            }
            return Some(new);
        }
        let (ip, port) = to.unwrap_or((current.src, None));
        let mut new = Tuple { src: ip, ..*current };
        if let Some(port) = port {
            new.sport = port;
        }
        if !self.is_taken(now, slot, &new) {
            return Some(new);
        }
        if port.is_some() {
            return None;
        }
        let (first, last) = match current.sport {
            0..512 => (1, 511),
            512..1024 => (600, 1023),
            1024.. => (1024, u16::MAX),
        };
        let own = current.sport.clamp(first, last);
        let mut ports = (own..=last).skip(1).chain(first..own);
        ports.find_map(|sport| {
            let new = Tuple { sport, ..new };
            (!self.is_taken(now, slot, &new)).then_some(new)
        })
    }

    /// Whether answers to `tuple` would belong to another connection (`nf_nat_used_tuple`).
    fn is_taken(&mut self, now: Time, slot: Slot, tuple: &Tuple) -> bool {
        let Some(reply) = tuple.inverse() else { return false };
        self.find(now, &reply).is_some_and(|(index, _)| index != slot.0)
    }

    /// Answers will come from `(address, port)`: IPVS has given the destination of a new connection
    /// another address itself (`ip_vs_update_conntrack`).
    pub fn answers_from(&mut self, of: Tracked, (address, port): (Ip, u16)) {
        let Tracked::Entry { slot, reply: false, .. } = of else { return };
        let entry = &mut self.entries[slot.0 as usize];
        if !entry.confirmed {
            entry.tuples[1].src = address;
            entry.tuples[1].sport = port;
        }
    }

    /// Rewrites one side of a packet, and the packet that an ICMP error quotes, as its connection has
    /// it (`nf_nat_packet`, `nf_nat_icmp_reply_translation`).
    pub fn rewrite(
        &self,
        of: Tracked,
        side: Side,
        packet: &mut Packet,
        quoted: Option<&mut Packet>,
    ) {
        let Tracked::Entry { slot, reply, state } = of else { return };
        let entry = &self.entries[slot.0 as usize];
        let cause = if reply { side.other() } else { side };
        if !entry.translated[cause as usize] {
            return;
        }
        let mirror = entry.tuples[usize::from(!reply)];
        let Some(target) = mirror.inverse() else { return };
        if state != State::Related {
            target.write(side, packet, true);
            return;
        }
        if let Some(quoted) = quoted {
            mirror.write(side.other(), quoted, true);
        }
        target.write(side, packet, false);
    }

    /// Enters a new connection into the table when its first packet leaves the host or is delivered
    /// (`nf_conntrack_confirm`). `false`: its tuples have come into use meanwhile, and the packet must
    /// be dropped.
    pub fn confirm(&mut self, now: Time, of: Tracked) -> bool {
        let Tracked::Entry { slot, .. } = of else { return true };
        let entry = &self.entries[slot.0 as usize];
        if entry.confirmed {
            return true;
        }
        let tuples = entry.tuples;
        if tuples.iter().any(|t| self.find(now, t).is_some()) {
            self.release(of);
            return false;
        }
        for (direction, tuple) in tuples.into_iter().enumerate() {
            self.by_tuple.insert(tuple, (slot.0, direction == 1));
        }
        let entry = &mut self.entries[slot.0 as usize];
        entry.confirmed = true;
        entry.expires = now + entry.timeout();
        let at = entry.expires.min(now + GARBAGE);
        self.deadlines.push(Reverse((at, slot.0, entry.generation)));
        true
    }

    /// Forgets a new connection whose first packet went no further.
    pub fn release(&mut self, of: Tracked) {
        if let Tracked::Entry { slot, .. } = of
            && let entry = &self.entries[slot.0 as usize]
            && entry.live
            && !entry.confirmed
        {
            self.remove(slot.0);
        }
    }

    fn remove(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        debug_assert!(entry.live, "an entry is removed once");
        if entry.confirmed {
            for tuple in &entry.tuples {
                self.by_tuple.remove(tuple);
            }
        }
        entry.live = false;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(index);
    }

    /// When the table wants to be woken next.
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadlines.peek().map(|Reverse((at, ..))| *at)
    }

    /// Removes what has expired.
    pub fn on_deadline(&mut self, now: Time) {
        while let Some(&Reverse((at, index, generation))) = self.deadlines.peek()
            && at <= now
        {
            self.deadlines.pop();
            let entry = &self.entries[index as usize];
            if !entry.live || entry.generation != generation {
                continue;
            }
            if entry.expires <= now {
                self.remove(index);
            } else {
                let at = entry.expires.min(now + GARBAGE);
                self.deadlines.push(Reverse((at, index, generation)));
            }
        }
    }
}

/// Neighbour and multicast listener discovery are not tracked (RFC 4861, RFC 3810).
fn is_neighbour_discovery(packet: &Packet) -> bool {
    packet.proto == proto::ICMPV6 && matches!(packet.sport, 130..=137 | 143)
}

enum Step {
    Goes(State),
    Invalid,
    /// The old connection is over; this packet begins another.
    Anew,
}

impl Entry {
    const EMPTY: Self = Self {
        tuples: [Tuple::EMPTY; 2],
        expires: Time::ZERO,
        confirmed: false,
        live: false,
        answered: false,
        decided: [false; 2],
        translated: [false; 2],
        tcp: TcpState::None,
        mark: 0,
        generation: 0,
    };

    fn timeout(&self) -> Span {
        match self.tuples[0].proto {
            proto::TCP => self.tcp.timeout(self.answered),
            proto::UDP if self.answered => UDP_STREAM,
            proto::UDP => UDP,
            proto::ICMP | proto::ICMPV6 => ICMP,
            _ => GENERIC,
        }
    }
}

#[cfg(test)]
mod tests;
