//! The connection table: entries in pages, look-up in both directions, one timer per entry.
//!
//! Memory per connection: 64 bytes of entry, 6 to 12 bytes of hash for the client's direction, as
//! much again for NAT's reverse direction, and one pending event of the timer queue. Replies of DR
//! and TUN need no hash of their own: their tuple is the reverse of the client's.

use super::connection::{Connection, Slot, Tuple, flag};
use super::rules::Forwarding;
use crate::engine::{Queue, Time};
use hashbrown::HashTable;

/// Entries of a page.
const PAGE: usize = 1024;

/// Entries by [`Slot`]. Pages are never moved or given back, so growth costs no copy.
#[derive(Debug, Default)]
struct Pages {
    pages: Vec<Box<[Connection; PAGE]>>,
    /// Vacant slots; the last one is used next.
    free: Vec<u32>,
}

impl Pages {
    #[inline]
    fn get(&self, slot: Slot) -> &Connection {
        &self.pages[slot.0 as usize / PAGE][slot.0 as usize % PAGE]
    }

    #[inline]
    fn get_mut(&mut self, slot: Slot) -> &mut Connection {
        &mut self.pages[slot.0 as usize / PAGE][slot.0 as usize % PAGE]
    }

    fn insert(&mut self, connection: Connection) -> Slot {
        if self.free.is_empty() {
            self.grow();
        }
        let slot = Slot(self.free.pop().expect("a new page has vacant slots"));
        *self.get_mut(slot) = connection;
        slot
    }

    fn grow(&mut self) {
        let first = (self.pages.len() * PAGE) as u32;
        let page: Box<[Connection]> = vec![Connection::VACANT; PAGE].into_boxed_slice();
        self.pages.push(page.try_into().expect("a page has PAGE entries"));
        self.free.extend((first..first + PAGE as u32).rev());
    }

    fn remove(&mut self, slot: Slot) {
        *self.get_mut(slot) = Connection::VACANT;
        self.free.push(slot.0);
    }
}

/// All connections of a director.
#[derive(Debug)]
pub(super) struct Table {
    entries: Pages,
    /// By [`Connection::tuple`].
    requests: HashTable<u32>,
    /// NAT connections by [`Connection::reply_tuple`]; older ones with the same tuple are chained.
    replies: HashTable<u32>,
    /// At least one event at the `armed` time of every entry. Events at other times are outlived
    /// ones, recognised by that.
    timers: Queue<u32>,
    /// Time of the last event taken from `timers`; nothing may be pushed before it.
    popped: Time,
    /// Earliest event of `timers`.
    next: Time,
    len: u32,
    max: u32,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            entries: Pages::default(),
            requests: HashTable::new(),
            replies: HashTable::new(),
            timers: Queue::new(),
            popped: Time::ZERO,
            next: Time::NEVER,
            len: 0,
            max: 0,
        }
    }

    /// The entry at `slot`, which the table gave out.
    #[inline]
    pub(super) fn get(&self, slot: Slot) -> &Connection {
        self.entries.get(slot)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: Slot) -> &mut Connection {
        self.entries.get_mut(slot)
    }

    /// The entry at any slot number.
    pub(super) fn lookup(&self, slot: Slot) -> Option<&Connection> {
        let page = self.entries.pages.get(slot.0 as usize / PAGE)?;
        Some(&page[slot.0 as usize % PAGE]).filter(|entry| !entry.is_vacant())
    }

    /// Number of entries.
    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// Largest number of entries at a time.
    pub(super) const fn max(&self) -> u32 {
        self.max
    }

    /// Entries in the order of their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Connection)> {
        let all = self.entries.pages.iter().flat_map(|page| page.iter());
        (0..).map(Slot).zip(all).filter(|(_, entry)| !entry.is_vacant())
    }

    /// The connection of a packet from a client; the newest of several.
    #[expect(clippy::inline_always, reason = "every packet of a connection passes here")]
    #[inline(always)]
    pub(super) fn find_request(&self, tuple: Tuple) -> Option<Slot> {
        let entries = &self.entries;
        self.requests
            .find(tuple.hash(), |&slot| entries.get(Slot(slot)).tuple() == tuple)
            .map(|&slot| Slot(slot))
    }

    /// The connection of a packet from a real server; the newest of several.
    #[inline]
    pub(super) fn find_reply(&self, tuple: Tuple) -> Option<Slot> {
        let entries = &self.entries;
        let nat = self
            .replies
            .find(tuple.hash(), |&slot| entries.get(Slot(slot)).reply_tuple() == tuple)
            .map(|&slot| Slot(slot));
        nat.or_else(|| {
            self.find_request(tuple.reversed())
                .filter(|&slot| entries.get(slot).forwarding != Forwarding::Nat)
        })
    }

    /// Adds a connection that expires at `expires`. One with the same tuple stays until its own
    /// end, but is no longer found by packets of the client.
    pub(super) fn insert(&mut self, mut connection: Connection, expires: Time) -> Slot {
        connection.expires = expires;
        let tuple = connection.tuple();
        let reply = connection.reply_tuple();
        let slot = self.entries.insert(connection);
        let entries = &mut self.entries;

        let hash = tuple.hash();
        let same = |&other: &u32| entries.get(Slot(other)).tuple() == tuple;
        if let Some(place) = self.requests.find_mut(hash, same) {
            let old = core::mem::replace(place, slot.0);
            entries.get_mut(Slot(old)).flags |= flag::SHADOWED;
        } else {
            let rehash = |&other: &u32| entries.get(Slot(other)).tuple().hash();
            self.requests.insert_unique(hash, slot.0, rehash);
        }
        if connection.forwarding == Forwarding::Nat {
            let hash = reply.hash();
            let same = |&other: &u32| entries.get(Slot(other)).reply_tuple() == reply;
            if let Some(place) = self.replies.find_mut(hash, same) {
                let older = core::mem::replace(place, slot.0);
                entries.get_mut(slot).older = Slot(older);
            } else {
                let rehash = |&other: &u32| entries.get(Slot(other)).reply_tuple().hash();
                self.replies.insert_unique(hash, slot.0, rehash);
            }
        }
        self.len += 1;
        self.max = self.max.max(self.len);
        self.arm(slot, expires);
        slot
    }

    /// Lets the entry live until `expires`. Only a time earlier than the pending event costs an
    /// event.
    #[inline]
    pub(super) fn renew(&mut self, slot: Slot, expires: Time) {
        let entry = self.entries.get_mut(slot);
        entry.expires = expires;
        if expires < entry.armed {
            self.arm(slot, expires);
        }
    }

    /// Wakes the entry up at a time earlier than it is armed for.
    #[inline(never)]
    pub(super) fn arm(&mut self, slot: Slot, at: Time) {
        let at = at.max(self.popped);
        self.entries.get_mut(slot).armed = at;
        self.timers.push(at, slot.0);
        self.next = self.next.min(at);
    }

    /// No entry expires before this time.
    #[inline]
    pub(super) const fn next(&self) -> Time {
        self.next
    }

    /// Takes a connection out that expired at or before `now`, in the order of the deadlines.
    pub(super) fn expire(&mut self, now: Time) -> Option<Connection> {
        while self.next <= now {
            let Some((at, slot)) = self.timers.pop() else {
                self.next = Time::NEVER;
                break;
            };
            self.popped = at;
            self.next = self.timers.peek_time().unwrap_or(Time::NEVER);
            let entry = *self.entries.get(Slot(slot));
            if entry.is_vacant() || entry.armed != at {
                continue;
            }
            if entry.expires > now {
                self.arm(Slot(slot), entry.expires);
                continue;
            }
            self.remove(Slot(slot), &entry);
            return Some(entry);
        }
        None
    }

    fn remove(&mut self, slot: Slot, entry: &Connection) {
        if !entry.has(flag::SHADOWED) {
            let found = self.requests.find_entry(entry.tuple().hash(), |&other| other == slot.0);
            debug_assert!(found.is_ok(), "an entry that is not shadowed is hashed");
            if let Ok(place) = found {
                place.remove();
            }
        }
        if entry.forwarding == Forwarding::Nat {
            self.unlink_reply(slot, entry);
        }
        self.entries.remove(slot);
        self.len -= 1;
    }

    /// Takes a NAT entry out of the chain of those with its reverse tuple.
    fn unlink_reply(&mut self, slot: Slot, entry: &Connection) {
        let reply = entry.reply_tuple();
        let entries = &mut self.entries;
        let same = |&other: &u32| entries.get(Slot(other)).reply_tuple() == reply;
        let Ok(mut place) = self.replies.find_entry(reply.hash(), same) else {
            debug_assert!(false, "a NAT entry is hashed, or chained to one that is");
            return;
        };
        if *place.get() == slot.0 {
            if entry.older == Slot::NONE {
                place.remove();
            } else {
                *place.get_mut() = entry.older.0;
            }
            return;
        }
        let mut newer = Slot(*place.get());
        while entries.get(newer).older != slot {
            newer = entries.get(newer).older;
            debug_assert!(newer != Slot::NONE, "the chain holds the entry");
            if newer == Slot::NONE {
                return;
            }
        }
        entries.get_mut(newer).older = entry.older;
    }

    /// Bytes of memory held for entries, look-up and timers.
    pub(super) fn memory_bytes(&self) -> usize {
        /// Bytes of a pending event: the event, and at most 24 of the queue.
        const EVENT: usize = size_of::<u32>() + 24;
        self.entries.pages.len() * (PAGE * size_of::<Connection>() + size_of::<usize>())
            + self.entries.free.capacity() * size_of::<u32>()
            + self.requests.allocation_size()
            + self.replies.allocation_size()
            + self.timers.len() * EVENT
    }
}

#[cfg(test)]
mod tests {
    use super::super::connection::DestinationId;
    use super::super::state::State;
    use super::*;
    use crate::engine::Span;
    use crate::wire::Ip;

    const RIP: (Ip, u16) = (Ip::new(10, 0, 0, 1), 80);

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    fn tuple(client: u32, vip: u8) -> Tuple {
        let port = 1024 + (client % 1000) as u16;
        Tuple::new((Ip(0xac10_0000 + client / 1000), port), (Ip::new(192, 168, 0, vip), 80), 6)
    }

    fn add(table: &mut Table, tuple: Tuple, forwarding: Forwarding, expires: Time) -> Slot {
        let new = Connection::new(tuple, DestinationId(0), RIP, forwarding, State::None);
        table.insert(new, expires)
    }

    #[test]
    fn both_directions_find_the_connection() {
        let mut table = Table::new();
        let dr = add(&mut table, tuple(1, 1), Forwarding::Dr, at(3));
        let nat = add(&mut table, tuple(2, 1), Forwarding::Nat, at(3));
        assert_eq!(table.find_request(tuple(1, 1)), Some(dr));
        assert_eq!(table.find_request(tuple(2, 1)), Some(nat));
        assert_eq!(table.find_request(tuple(3, 1)), None);
        assert_eq!(table.find_reply(tuple(1, 1).reversed()), Some(dr));
        assert_eq!(table.find_reply(tuple(2, 1).reversed()), None, "NAT replies come from the RIP");
        let reply = Tuple::new(RIP, tuple(2, 1).from(), 6);
        assert_eq!(table.find_reply(reply), Some(nat));
    }

    #[test]
    fn entries_leave_in_the_order_of_their_deadlines() {
        let mut table = Table::new();
        for (client, expires) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
            add(&mut table, tuple(client, 1), Forwarding::Nat, at(expires));
        }
        assert_eq!(table.next(), at(10));
        let mut order = Vec::new();
        while let Some(gone) = table.expire(at(25)) {
            order.push(gone.client().1 - 1024);
        }
        assert_eq!(order, [2, 4, 3]);
        assert_eq!((table.len(), table.max()), (1, 4));
        assert_eq!(table.next(), at(30));
    }

    #[test]
    fn a_renewed_entry_needs_one_event_however_often_it_is_renewed() {
        let mut table = Table::new();
        let slot = add(&mut table, tuple(1, 1), Forwarding::Dr, at(10));
        for second in 0..1000 {
            table.renew(slot, at(60 + second));
        }
        assert_eq!(table.timers.len(), 1);
        assert!(table.expire(at(10)).is_none());
        assert_eq!(table.timers.len(), 1);
        assert_eq!(table.next(), at(1059));
        assert!(table.expire(at(1058)).is_none());
        assert!(table.expire(at(1059)).is_some());
        assert!(table.timers.is_empty());
    }

    #[test]
    fn a_shorter_deadline_is_kept_and_the_outlived_event_does_nothing() {
        let mut table = Table::new();
        let slot = add(&mut table, tuple(1, 1), Forwarding::Dr, at(900));
        table.renew(slot, at(10));
        assert_eq!(table.next(), at(10));
        assert!(table.expire(at(10)).is_some());
        let again = add(&mut table, tuple(2, 1), Forwarding::Dr, at(1000));
        assert_eq!(again, slot, "the slot is used again");
        assert!(table.expire(at(900)).is_none(), "the event of the former owner means nothing");
        assert!(table.expire(at(1000)).is_some());
    }

    #[test]
    fn the_newest_of_two_equal_tuples_is_found() {
        let mut table = Table::new();
        let old = add(&mut table, tuple(1, 1), Forwarding::Dr, at(1));
        let new = add(&mut table, tuple(1, 1), Forwarding::Dr, at(60));
        assert_ne!(old, new);
        assert_eq!(table.find_request(tuple(1, 1)), Some(new));
        assert!(table.expire(at(1)).is_some());
        assert_eq!(table.find_request(tuple(1, 1)), Some(new));
    }

    #[test]
    fn a_reply_finds_the_older_connection_when_the_newer_has_gone() {
        // One client port to two VIPs that both map to one real server.
        let reply = Tuple::new(RIP, tuple(1, 1).from(), 6);
        for expiry in [[5, 20, 30], [20, 5, 30], [20, 30, 5], [5, 5, 30]] {
            let mut table = Table::new();
            let slots: Vec<_> = (0..3_u8)
                .map(|i| {
                    let expires = at(expiry[usize::from(i)]);
                    add(&mut table, tuple(1, i), Forwarding::Nat, expires)
                })
                .collect();
            for now in [0, 5, 20, 30] {
                while table.expire(at(now)).is_some() {}
                let newest = (0..3).rev().find(|&i| expiry[i] > now).map(|i| slots[i]);
                assert_eq!(table.find_reply(reply), newest, "{expiry:?} at {now} s");
            }
            assert_eq!((table.replies.len(), table.requests.len()), (0, 0));
        }
    }

    #[test]
    fn a_connection_takes_at_most_128_bytes() {
        for (forwarding, count, limit) in [
            (Forwarding::Nat, 100_000, 128),
            (Forwarding::Dr, 100_000, 108),
            (Forwarding::Nat, 1_000_000, 128),
        ] {
            let mut table = Table::new();
            for client in 0..count {
                add(&mut table, tuple(client, 1), forwarding, at(60));
            }
            let each = table.memory_bytes() as f64 / f64::from(count);
            assert!(each <= f64::from(limit), "{each} bytes a connection ({forwarding}, {count})");
        }
    }
}
