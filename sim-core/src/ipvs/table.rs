//! The connection table: entries in pages, look-up in both directions, one timer per entry.
//!
//! Memory per connection: 64 bytes of entry, 4 of age, 6 to 12 bytes of hash for the client's
//! direction, as much again for NAT's reverse direction, and one pending event of the timer queue.
//! Replies of DR and TUN need no hash of their own: their tuple is the reverse of the client's.

use super::clock::Clock;
use super::connection::{Connection, DestinationId, Slot, Tuple, flag};
use super::rules::Forwarding;
use super::state::{State, Timeouts};
use crate::engine::{Queue, Span, Time};
use hashbrown::HashTable;

/// Entries of a page.
const PAGE: usize = 1024;
/// How much longer an entry lives that controls others (`ip_vs_conn_expire`).
const CONTROL_EXTENSION: Span = Span::from_secs(60);

/// Entries by [`Slot`]. Pages are never moved or given back, so growth costs no copy.
#[derive(Debug, Default)]
struct Store {
    pages: Vec<Box<[Connection; PAGE]>>,
    /// For each entry how many were put into the look-up before it, modulo 2^32.
    births: Vec<Box<[u32; PAGE]>>,
    /// Vacant slots; the last one is used next.
    free: Vec<u32>,
}

impl Store {
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
        self.births.push(Box::new([0; PAGE]));
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
    entries: Store,
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
    /// How often an entry was put into the look-up, modulo 2^32.
    births: u32,
    /// Entries without a client port.
    without_client_port: u32,
    /// When due timers run.
    clock: Clock,
    /// Entries that live on because they control others, if somebody wants to know.
    extended: Option<Vec<Slot>>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            entries: Store::default(),
            requests: HashTable::new(),
            replies: HashTable::new(),
            timers: Queue::new(),
            popped: Time::ZERO,
            next: Time::NEVER,
            len: 0,
            max: 0,
            births: 0,
            without_client_port: 0,
            clock: Clock::Exact,
            extended: None,
        }
    }

    pub(super) const fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// Whether [`Table::take_extended`] will be asked.
    pub(super) fn note_extended(&mut self, wanted: bool) {
        self.extended = wanted.then(Vec::new);
    }

    /// Entries whose life was extended since the last call.
    pub(super) fn take_extended(&mut self) -> Vec<Slot> {
        self.extended.as_mut().map(core::mem::take).unwrap_or_default()
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
            self.find_request(tuple.reversed()).filter(|&slot| !entries.get(slot).has_reply_tuple())
        })
    }

    /// The connection of passive FTP that a packet may begin: any port of the client will do.
    pub(super) fn find_without_client_port(&self, tuple: Tuple) -> Option<Slot> {
        if self.without_client_port == 0 {
            return None;
        }
        self.find_request(tuple.without_client_port())
            .filter(|&slot| self.get(slot).has(flag::NO_CPORT))
    }

    /// How long ago the entry was put into the look-up, counted in other entries.
    pub(super) fn age(&self, slot: Slot) -> u32 {
        let born = self.entries.births[slot.0 as usize / PAGE][slot.0 as usize % PAGE];
        self.births.wrapping_sub(born)
    }

    /// Adds a connection that expires at `expires`. One with the same tuple stays until its own
    /// end, but is no longer found by packets of the client.
    pub(super) fn insert(&mut self, mut connection: Connection, expires: Time) -> Slot {
        connection.expires = expires;
        let slot = self.entries.insert(connection);
        self.link(slot, &connection);
        if connection.control != Slot::NONE {
            self.get_mut(connection.control).controls += 1;
        }
        self.len += 1;
        self.max = self.max.max(self.len);
        self.arm(slot, expires);
        slot
    }

    /// Puts an entry into the look-up.
    fn link(&mut self, slot: Slot, connection: &Connection) {
        let tuple = connection.tuple();
        let entries = &mut self.entries;
        entries.births[slot.0 as usize / PAGE][slot.0 as usize % PAGE] = self.births;
        self.births = self.births.wrapping_add(1);
        let hash = tuple.hash();
        let same = |&other: &u32| entries.get(Slot(other)).tuple() == tuple;
        if let Some(place) = self.requests.find_mut(hash, same) {
            let old = core::mem::replace(place, slot.0);
            entries.get_mut(Slot(old)).flags |= flag::SHADOWED;
        } else {
            let rehash = |&other: &u32| entries.get(Slot(other)).tuple().hash();
            self.requests.insert_unique(hash, slot.0, rehash);
        }
        if connection.has_reply_tuple() {
            let reply = connection.reply_tuple();
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
        self.without_client_port += u32::from(connection.has(flag::NO_CPORT));
    }

    /// Takes an entry out of the look-up.
    fn unlink(&mut self, slot: Slot, entry: &Connection) {
        if !entry.has(flag::SHADOWED) {
            let found = self.requests.find_entry(entry.tuple().hash(), |&other| other == slot.0);
            debug_assert!(found.is_ok(), "an entry that is not shadowed is hashed");
            if let Ok(place) = found {
                place.remove();
            }
        }
        if entry.has_reply_tuple() {
            self.unlink_reply(slot, entry);
        }
        self.without_client_port -= u32::from(entry.has(flag::NO_CPORT));
    }

    /// The client's port has become known (`ip_vs_conn_fill_cport`).
    pub(super) fn fill_client_port(&mut self, slot: Slot, port: u16) {
        let entry = *self.get(slot);
        self.unlink(slot, &entry);
        let entry = self.get_mut(slot);
        entry.cport = port;
        entry.flags &= !(flag::NO_CPORT | flag::SHADOWED);
        entry.older = Slot::NONE;
        let entry = *entry;
        self.link(slot, &entry);
    }

    /// An entry without a destination gets one, and its forwarding method. Whether the real server has
    /// answered is not known then.
    pub(super) fn bind(&mut self, slot: Slot, id: DestinationId, method: Forwarding) {
        let before = *self.get(slot);
        let mut entry = before;
        (entry.destination, entry.forwarding) = (id, method);
        entry.flags &= !flag::NO_OUTPUT;
        if method != Forwarding::Nat {
            entry.flags |= flag::NO_OUTPUT;
        }
        if entry.reply_tuple() == before.reply_tuple() {
            *self.get_mut(slot) = entry;
            return;
        }
        self.unlink(slot, &before);
        entry.flags &= !flag::SHADOWED;
        entry.older = Slot::NONE;
        *self.get_mut(slot) = entry;
        self.link(slot, &entry);
    }

    /// A template is not valid any more: never found again, it ends by its own timer
    /// (`ip_vs_check_template`).
    pub(super) fn retire_template(&mut self, slot: Slot) {
        let entry = *self.get(slot);
        debug_assert!(entry.is_template(), "only templates are retired");
        self.unlink(slot, &entry);
        let entry = self.get_mut(slot);
        (entry.vport, entry.dport) = (u16::MAX, u16::MAX);
        entry.flags |= flag::SHADOWED;
        self.entries.births[slot.0 as usize / PAGE][slot.0 as usize % PAGE] = self.births;
        self.births = self.births.wrapping_add(1);
    }

    /// A connection of this entry carries data (`ip_vs_control_assure_ct`).
    pub(super) fn assure(&mut self, controller: Slot) {
        let entry = self.get_mut(controller);
        if entry.has(flag::TEMPLATE) {
            entry.state = State::TemplateAssured;
        }
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

    /// Takes a connection out whose timer has run at or before `now`, in the order of the deadlines.
    pub(super) fn expire(&mut self, now: Time, timeouts: &Timeouts) -> Option<(Slot, Connection)> {
        while self.next <= now {
            let Some((at, slot)) = self.timers.pop() else {
                self.next = Time::NEVER;
                break;
            };
            self.popped = at;
            self.next = self.timers.peek_time().unwrap_or(Time::NEVER);
            let slot = Slot(slot);
            let entry = *self.entries.get(slot);
            if entry.is_vacant() || entry.armed != at {
                continue;
            }
            if entry.expires > now {
                self.arm(slot, entry.expires);
                continue;
            }
            let fires = self.fires(&entry, timeouts);
            if fires > now {
                self.arm(slot, fires);
            } else if entry.controls > 0 {
                self.extend(slot, fires);
            } else {
                self.remove(slot, &entry);
                return Some((slot, entry));
            }
        }
        None
    }

    /// When the timer of an entry runs that is due.
    fn fires(&self, entry: &Connection, timeouts: &Timeouts) -> Time {
        if self.clock == Clock::Exact || entry.has(flag::HURRIED) {
            return entry.expires;
        }
        let span =
            if entry.is_template() { entry.template_timeout() } else { timeouts.get(entry.state) };
        self.clock.fires_when_due(entry.expires, span)
    }

    /// An entry that controls others lives on. A template keeps the shorter or longer time.
    fn extend(&mut self, slot: Slot, fired: Time) {
        let entry = self.entries.get_mut(slot);
        let expires = fired + CONTROL_EXTENSION;
        entry.expires = expires;
        if entry.is_template() {
            entry.set_template_timeout(CONTROL_EXTENSION);
        }
        if let Some(extended) = &mut self.extended {
            extended.push(slot);
        }
        self.arm(slot, expires);
    }

    /// Takes the entry at `slot` out at once.
    pub(super) fn take(&mut self, slot: Slot) -> Connection {
        let entry = *self.entries.get(slot);
        self.remove(slot, &entry);
        entry
    }

    fn remove(&mut self, slot: Slot, entry: &Connection) {
        debug_assert_eq!(entry.controls, 0, "an entry that controls others stays");
        self.unlink(slot, entry);
        if entry.control != Slot::NONE {
            self.get_mut(entry.control).controls -= 1;
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
        let page = PAGE * (size_of::<Connection>() + size_of::<u32>());
        self.entries.pages.len() * (page + 2 * size_of::<usize>())
            + self.entries.free.capacity() * size_of::<u32>()
            + self.requests.allocation_size()
            + self.replies.allocation_size()
            + self.timers.len() * EVENT
    }
}

#[cfg(test)]
mod tests;
