//! Fragmentation and reassembly (RFC 791, RFC 815, RFC 8200 4.5; Linux `ip_do_fragment`,
//! `ip_frag_queue`, `ip6_fragment`, `ip6_frag_queue`).
//!
//! Both work on values and leave the slab to the caller. Every fragment carries, as its `body`, a
//! copy of the whole datagram: whoever holds the fragments of a datagram can get it back, and a
//! capture can cut the bytes of a fragment out of it.

use crate::engine::{Span, Time};
use crate::wire::{Flags, Ip, Kind, Packet, PacketId};
use arrayvec::ArrayVec;
use std::collections::{BTreeMap, BTreeSet};

/// How long the first fragment waits for the rest (`net.ipv4.ipfrag_time`).
pub const TIMEOUT: Span = Span::from_secs(30);

/// The same for IPv6 (`net.ipv6.ip6frag_time`).
pub const TIMEOUT_V6: Span = Span::from_secs(60);

/// Bytes of fragments a host may hold (`net.ipv4.ipfrag_high_thresh`). The kernel counts its buffers,
/// here the lengths of the IP packets count.
pub const HIGH_THRESHOLD: u32 = 4 << 20;

/// The fragments of a packet, see [`split`].
#[derive(Clone, Debug)]
pub struct Fragments {
    packet: Packet,
    /// Payload bytes in a fragment that is not the last one, a multiple of 8.
    chunk: u16,
    /// Payload bytes already handed out.
    done: u16,
    /// The packet fits as it is.
    whole: bool,
    finished: bool,
}

/// Cuts `packet` into fragments of at most `mtu` bytes, in order.
///
/// Each fragment has the header of the packet, DF cleared (the caller has dealt with DF before), its
/// own length and offset; all but the last have a payload of a multiple of 8 bytes. Only the one at
/// offset 0 keeps the fields above IP (ports, flags, sequence numbers), because only it holds that
/// header. A fragment may be cut again. A packet that fits is handed out as it
/// is, with its own body.
///
/// `body` of each fragment is [`PacketId::NONE`]: the caller stores a copy of the whole datagram for
/// each (`packet` itself, or of `packet.body` if it is a fragment; with a copy of everything that one
/// owns) and then frees `packet` with what it owns.
///
/// `mtu` is at least 28 (56 for IPv6), the smallest that carries anything; a smaller one counts as that.
///
/// ```
/// use sim_core::net::fragment::split;
/// use sim_core::wire::{Ip, Packet, proto};
/// let p = Packet::ipv4(Ip::new(10, 0, 0, 1), Ip::new(10, 0, 0, 2), proto::UDP, 3028);
/// let parts: Vec<_> = split(&p, 1500).map(|f| (f.frag, f.len)).collect();
/// assert_eq!(parts, [(0x2000, 1500), (0x20b9, 1500), (0x0172, 68)]);
/// ```
pub fn split(packet: &Packet, mtu: u16) -> Fragments {
    let header = fragment_header(packet);
    let mtu = mtu.max(header + 8);
    let whole = packet.len <= mtu;
    let chunk = (mtu - header) & !7;
    Fragments { packet: *packet, chunk, done: 0, whole, finished: false }
}

/// Bytes before the payload of a fragment.
const fn fragment_header(packet: &Packet) -> u16 {
    match packet.kind {
        Kind::Ipv6 => Packet::IPV6_HEADER + Packet::FRAGMENT_HEADER,
        _ => Packet::IP_HEADER,
    }
}

impl Iterator for Fragments {
    type Item = Packet;

    fn next(&mut self) -> Option<Packet> {
        if self.finished {
            return None;
        }
        if self.whole {
            self.finished = true;
            return Some(self.packet);
        }
        let header = fragment_header(&self.packet);
        let before = if self.packet.is_fragment() { header } else { self.packet.header() };
        let left = self.packet.len.saturating_sub(before) - self.done;
        let size = left.min(self.chunk);
        self.finished = size == left;
        let more = if self.finished { self.packet.frag & Packet::MF } else { Packet::MF };
        let offset = (self.packet.frag & Packet::OFFSET) + self.done / 8;
        debug_assert!(offset <= Packet::OFFSET, "no fragment begins beyond 65528");
        self.done += size;

        let mut fragment =
            Packet { len: header + size, frag: more | offset, body: PacketId::NONE, ..self.packet };
        if offset != 0 {
            (fragment.sport, fragment.dport, fragment.seq, fragment.ack) = (0, 0, 0, 0);
            (fragment.window, fragment.mss, fragment.opt) = (0, 0, 0);
            fragment.flags = Flags::NONE;
        }
        Some(fragment)
    }
}

/// The datagram again: the whole as it was when it was cut, with the Ethernet addresses, TTL, TOS and
/// mark that its first fragment has.
///
/// `first` is what [`Outcome::Complete`] gives, `whole` is what `first.body` names. The result takes
/// the place of `whole` in the slab.
pub fn assemble(first: &Packet, whole: &Packet) -> Packet {
    debug_assert_eq!(first.len, whole.len, "the fragments are parts of the body they carry");
    Packet {
        src_mac: first.src_mac,
        dst_mac: first.dst_mac,
        ttl: first.ttl,
        tos: first.tos,
        mark: first.mark,
        frag: 0,
        ..*whole
    }
}

/// What tells the fragments of one datagram from those of another (RFC 791).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    src: Ip,
    dst: Ip,
    id: u16,
    proto: u8,
}

#[derive(Clone, Debug)]
struct Entry {
    deadline: Time,
    /// Payload bytes that are there: disjoint ranges in ascending order, never touching.
    runs: Vec<(u32, u32)>,
    /// End of the payload as far as it is known.
    end: u32,
    /// Whether the last fragment is there, so that `end` is final.
    last: bool,
    /// The fragment at offset 0, which is the only one whose body is kept.
    first: Option<Packet>,
    /// What it counts for in [`Reassembly::bytes`].
    bytes: u32,
}

/// Why a fragment was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Discard {
    /// All of it was there already; the rest waits on.
    Duplicate,
    /// It overlaps others in part: the whole datagram is given up, as Linux does (RFC 5722).
    Overlap,
    /// It ends beyond the known end, or is empty, or a last one with another end: the whole datagram
    /// is given up.
    Inconsistent,
    /// The datagram would exceed 65535 bytes: given up.
    TooLarge,
    /// The host holds more than the limit of fragments.
    NoRoom,
}

/// What became of a fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It waits for the others.
    Waiting,
    /// The datagram is complete. The packet is the first fragment with the length of the whole and
    /// without fragment bits; its `body`, now the caller's, is the whole: see [`assemble`].
    Complete(Packet),
    /// It was dropped, perhaps with all that waited.
    Discarded(Discard),
}

/// The answer to a fragment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offered {
    /// What became of it.
    pub outcome: Outcome,
    /// Bodies that the caller must free, with everything they own.
    pub release: ArrayVec<PacketId, 2>,
}

/// A datagram that stayed incomplete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expired {
    /// Its first fragment, if that one arrived; its `body` is the caller's now. Linux then sends an
    /// ICMP time exceeded, code 1, that quotes it (`ip_expire`).
    pub first: Option<Packet>,
}

/// The fragments that wait at one host.
///
/// ```
/// use sim_core::engine::Time;
/// use sim_core::net::fragment::{Outcome, Reassembly, split};
/// use sim_core::wire::{Ip, Packet, PacketId, proto};
/// let whole = Packet::ipv4(Ip::new(10, 0, 0, 1), Ip::new(10, 0, 0, 2), proto::UDP, 2000);
/// let mut cache = Reassembly::new();
/// let parts: Vec<_> = (0..)
///     .zip(split(&whole, 1500))
///     .map(|(n, f)| Packet { body: PacketId(n), ..f })
///     .collect();
/// assert_eq!(cache.offer(Time::ZERO, &parts[0]).outcome, Outcome::Waiting);
/// let done = cache.offer(Time::ZERO, &parts[1]);
/// assert!(matches!(done.outcome, Outcome::Complete(p) if p.len == 2000 && p.body == PacketId(0)));
/// assert_eq!(done.release[..], [PacketId(1)]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Reassembly {
    entries: BTreeMap<Key, Entry>,
    deadlines: BTreeSet<(Time, Key)>,
    bytes: u32,
}

impl Reassembly {
    /// Nothing waits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a fragment that arrived for this host at `now`.
    ///
    /// The fragment's own slot in the slab is the caller's to free, always. Its body belongs to the
    /// cache from here on, unless it is in [`Offered::release`].
    pub fn offer(&mut self, now: Time, fragment: &Packet) -> Offered {
        debug_assert!(fragment.is_fragment(), "only fragments are reassembled");
        let key =
            Key { src: fragment.src, dst: fragment.dst, id: fragment.id, proto: fragment.proto };
        if self.bytes > HIGH_THRESHOLD {
            return self.discard(key, fragment, Discard::NoRoom);
        }
        let entry = self.entries.entry(key).or_insert_with(|| {
            let timeout = if fragment.kind == Kind::Ipv6 { TIMEOUT_V6 } else { TIMEOUT };
            let deadline = now + timeout;
            self.deadlines.insert((deadline, key));
            Entry { deadline, runs: Vec::new(), end: 0, last: false, first: None, bytes: 0 }
        });
        if let Err(reason) = entry.add(fragment) {
            return self.discard(key, fragment, reason);
        }
        self.bytes += u32::from(fragment.len);
        let complete = entry.complete();
        if complete.is_some() {
            // the body goes out with the packet
            entry.first = None;
            self.remove(key);
        }
        let mut release = ArrayVec::new();
        if fragment.frag & Packet::OFFSET != 0 {
            push(&mut release, fragment.body);
        }
        Offered { outcome: complete.map_or(Outcome::Waiting, Outcome::Complete), release }
    }

    /// The next point at which something expires.
    pub fn deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|d| d.0)
    }

    /// Gives up one datagram whose time has come; to be called until it returns `None`.
    pub fn expire(&mut self, now: Time) -> Option<Expired> {
        let &(deadline, key) = self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        Some(Expired { first: self.remove(key) })
    }

    /// Datagrams that wait for fragments.
    pub fn waiting(&self) -> usize {
        self.entries.len()
    }

    /// Forgets a datagram; what is left of it is the first fragment with its body.
    fn remove(&mut self, key: Key) -> Option<Packet> {
        let entry = self.entries.remove(&key)?;
        self.deadlines.remove(&(entry.deadline, key));
        self.bytes -= entry.bytes;
        entry.first
    }

    fn discard(&mut self, key: Key, fragment: &Packet, reason: Discard) -> Offered {
        let mut release = ArrayVec::new();
        push(&mut release, fragment.body);
        if !matches!(reason, Discard::Duplicate | Discard::NoRoom)
            && let Some(first) = self.remove(key)
        {
            push(&mut release, first.body);
        }
        Offered { outcome: Outcome::Discarded(reason), release }
    }
}

impl Entry {
    /// Notes the range of a fragment; nothing has changed if it is refused as a duplicate.
    fn add(&mut self, fragment: &Packet) -> Result<(), Discard> {
        let start = u32::from(fragment.frag & Packet::OFFSET) * 8;
        let mut end = start + u32::from(fragment.len.saturating_sub(fragment_header(fragment)));
        if fragment.frag & Packet::MF == 0 {
            if end < self.end || self.last && end != self.end {
                return Err(Discard::Inconsistent);
            }
        } else {
            end &= !7;
            if self.last && end > self.end {
                return Err(Discard::Inconsistent);
            }
        }
        if end <= start {
            return Err(Discard::Inconsistent);
        }
        if end + u32::from(fragment.header()) > u32::from(u16::MAX) {
            return Err(Discard::TooLarge);
        }
        self.insert(start, end)?;
        self.end = self.end.max(end);
        self.last |= fragment.frag & Packet::MF == 0;
        if start == 0 {
            self.first = Some(*fragment);
        }
        self.bytes += u32::from(fragment.len);
        Ok(())
    }

    /// Adds a range to the runs and joins it with its neighbours.
    fn insert(&mut self, start: u32, end: u32) -> Result<(), Discard> {
        let at = self.runs.partition_point(|r| r.1 <= start);
        if let Some(&(from, to)) = self.runs.get(at) {
            if from <= start && end <= to {
                return Err(Discard::Duplicate);
            }
            if from < end {
                return Err(Discard::Overlap);
            }
        }
        self.runs.insert(at, (start, end));
        if self.runs.get(at + 1).is_some_and(|next| next.0 == end) {
            let next = self.runs.remove(at + 1);
            self.runs[at].1 = next.1;
        }
        if at > 0 && self.runs[at - 1].1 == start {
            let run = self.runs.remove(at);
            self.runs[at - 1].1 = run.1;
        }
        Ok(())
    }

    fn complete(&self) -> Option<Packet> {
        if !self.last || self.runs[..] != [(0, self.end)] {
            return None;
        }
        let first = self.first?;
        Some(Packet { len: first.header() + self.end as u16, frag: 0, ..first })
    }
}

fn push(release: &mut ArrayVec<PacketId, 2>, body: PacketId) {
    if body != PacketId::NONE {
        release.push(body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::proto;
    use proptest::prelude::*;

    fn datagram(len: u16) -> Packet {
        let mut p = Packet::ipv4(Ip::new(10, 0, 0, 1), Ip::new(10, 0, 0, 2), proto::UDP, len);
        (p.sport, p.dport, p.id) = (4000, 53, 77);
        p
    }

    fn part(offset: u16, payload: u16, more: bool, body: u32) -> Packet {
        let mut p = datagram(20 + payload);
        p.frag = (offset / 8) | if more { Packet::MF } else { 0 };
        p.body = PacketId(body);
        p
    }

    fn released(o: &Offered) -> Vec<u32> {
        o.release.iter().map(|id| id.0).collect()
    }

    #[test]
    fn a_packet_that_fits_is_left_alone() {
        let p = datagram(1500);
        assert_eq!(split(&p, 1500).collect::<Vec<_>>(), [p]);
    }

    #[test]
    fn only_the_first_fragment_knows_the_ports() {
        let mut p = datagram(1501);
        p.frag = Packet::DF;
        let parts: Vec<_> = split(&p, 1500).collect();
        assert_eq!(parts.len(), 2);
        assert_eq!((parts[0].sport, parts[0].dport, parts[0].frag), (4000, 53, Packet::MF));
        assert_eq!((parts[1].sport, parts[1].dport, parts[1].frag), (0, 0, 185));
        assert_eq!((parts[0].len, parts[1].len), (1500, 21));
    }

    #[test]
    fn ipv6_fragments_have_a_header_of_their_own_and_wait_longer() {
        let mut whole = Packet::ip(Ip(0xf000_0000), Ip(0xf000_0001), proto::UDP, 3008);
        whole.id = 9;
        let parts: Vec<_> = split(&whole, 1500).collect();
        let shape: Vec<_> = parts.iter().map(|f| (f.frag, f.len)).collect();
        assert_eq!(
            shape,
            [(Packet::MF, 1496), (Packet::MF | 0xb5, 1496), (0x16a, 48 + 3008 - 2 * 1448)]
        );
        let mut c = Reassembly::new();
        for (n, part) in parts.iter().enumerate() {
            let offered = c.offer(Time::ZERO, &Packet { body: PacketId(n as u32), ..*part });
            if n < 2 {
                assert_eq!(offered.outcome, Outcome::Waiting);
                assert_eq!(c.deadline(), Some(Time::ZERO + TIMEOUT_V6));
            } else {
                let Outcome::Complete(first) = offered.outcome else { panic!("{offered:?}") };
                assert_eq!((first.len, first.body), (whole.len, PacketId(0)));
                assert!(assemble(&first, &whole).is_reassembled());
            }
        }
        assert_eq!(split(&whole, 0).count(), 376, "8 bytes at a time");
        assert_eq!(split(&whole, 3048).collect::<Vec<_>>(), [whole]);
    }

    #[test]
    fn a_fragment_cut_again_stays_in_the_middle() {
        let middle = part(1480, 1480, true, 0);
        let parts: Vec<_> = split(&middle, 1000).map(|f| (f.frag, f.len)).collect();
        assert_eq!(parts, [(Packet::MF | 0xb9, 996), (Packet::MF | (0xb9 + 122), 524)]);
        let last = part(1480, 1000, false, 0);
        assert_eq!(split(&last, 600).last().map(|f| f.frag), Some(185 + 72));
    }

    #[test]
    fn a_tiny_mtu_still_makes_progress() {
        assert_eq!(split(&datagram(60), 0).count(), 5);
        assert_eq!(split(&datagram(10), 0).count(), 1);
    }

    #[test]
    fn the_first_fragment_may_come_last() {
        let mut c = Reassembly::new();
        assert_eq!(released(&c.offer(Time::ZERO, &part(16, 5, false, 1))), [1]);
        assert_eq!(released(&c.offer(Time::ZERO, &part(8, 8, true, 2))), [2]);
        let mut first = part(0, 8, true, 3);
        (first.ttl, first.tos) = (9, 8);
        let o = c.offer(Time::ZERO, &first);
        let Outcome::Complete(p) = o.outcome else { panic!("{o:?}") };
        assert_eq!((p.len, p.frag, p.body.0, o.release.len()), (41, 0, 3, 0));
        let whole = assemble(&p, &datagram(41));
        assert_eq!((whole.ttl, whole.tos, whole.body), (9, 8, PacketId::NONE));
        assert_eq!((c.waiting(), c.deadline(), c.bytes), (0, None, 0));
    }

    #[test]
    fn a_duplicate_is_dropped_alone() {
        let mut c = Reassembly::new();
        c.offer(Time::ZERO, &part(0, 16, true, 1));
        for (n, p) in [(2, part(0, 16, true, 2)), (3, part(8, 8, true, 3))] {
            let o = c.offer(Time::ZERO, &p);
            assert_eq!(o.outcome, Outcome::Discarded(Discard::Duplicate));
            assert_eq!(released(&o), [n]);
        }
        let o = c.offer(Time::ZERO, &part(16, 3, false, 4));
        assert!(matches!(o.outcome, Outcome::Complete(p) if p.body.0 == 1));
    }

    #[test]
    fn an_overlap_gives_up_everything() {
        let mut c = Reassembly::new();
        c.offer(Time::ZERO, &part(0, 16, true, 1));
        let o = c.offer(Time::ZERO, &part(8, 16, true, 2));
        assert_eq!(o.outcome, Outcome::Discarded(Discard::Overlap));
        assert_eq!(released(&o), [2, 1]);
        assert_eq!((c.waiting(), c.deadline(), c.bytes), (0, None, 0));
    }

    #[test]
    fn contradicting_ends_give_up_everything() {
        for (a, b) in [
            (part(16, 8, false, 1), part(16, 16, false, 2)),
            (part(16, 8, false, 1), part(24, 8, true, 2)),
            (part(16, 8, true, 1), part(8, 8, false, 2)),
            (part(16, 8, true, 1), part(8, 7, true, 2)),
        ] {
            let mut c = Reassembly::new();
            assert_eq!(c.offer(Time::ZERO, &a).outcome, Outcome::Waiting);
            let o = c.offer(Time::ZERO, &b);
            assert_eq!(o.outcome, Outcome::Discarded(Discard::Inconsistent), "{b:?}");
            assert_eq!(c.waiting(), 0);
        }
    }

    #[test]
    fn more_than_a_datagram_can_hold_is_given_up() {
        let mut c = Reassembly::new();
        let o = c.offer(Time::ZERO, &part(65_528, 100, false, 1));
        assert_eq!(o.outcome, Outcome::Discarded(Discard::TooLarge));
        assert_eq!(released(&o), [1]);
    }

    #[test]
    fn what_stays_incomplete_expires_thirty_seconds_after_its_first_arrival() {
        let mut c = Reassembly::new();
        let second = Time::ZERO + Span::from_secs(1);
        c.offer(Time::ZERO, &part(8, 8, true, 1));
        c.offer(second, &part(0, 8, true, 2));
        let mut other = part(8, 8, true, 3);
        other.id = 78;
        c.offer(second, &other);
        assert_eq!(c.deadline(), Some(Time::ZERO + TIMEOUT));
        assert_eq!(c.expire(second), None);
        let now = Time::ZERO + TIMEOUT;
        assert_eq!(c.expire(now).and_then(|e| e.first).map(|p| p.body.0), Some(2));
        assert_eq!(c.expire(now), None);
        assert_eq!(c.deadline(), Some(second + TIMEOUT));
        assert_eq!(c.expire(second + TIMEOUT), Some(Expired { first: None }));
        assert_eq!((c.deadline(), c.bytes), (None, 0));
    }

    #[test]
    fn memory_is_bounded() {
        let mut c = Reassembly::new();
        let mut refused = 0;
        for n in 0..4000 {
            let mut p = part(0, 1480, true, n);
            p.id = n as u16;
            let o = c.offer(Time::ZERO, &p);
            if o.outcome == Outcome::Discarded(Discard::NoRoom) {
                refused += 1;
                assert_eq!(released(&o), [n]);
            }
        }
        assert!(c.bytes <= HIGH_THRESHOLD + 1500 && refused > 1000);
        while c.expire(Time::ZERO + TIMEOUT).is_some() {}
        assert_eq!((c.waiting(), c.bytes), (0, 0));
    }

    proptest! {
        #[test]
        fn fragments_in_any_order_make_the_datagram_and_no_body_is_lost(
            len in 29u16..=65_535, mtus in (68u16..9000, 68u16..9000), seed: u64, twice: bool,
        ) {
            let whole = datagram(len);
            let mut parts: Vec<Packet> =
                split(&whole, mtus.0).flat_map(|f| split(&f, mtus.1)).collect();
            let total: u32 = parts.iter().map(|p| u32::from(p.len) - 20).sum();
            prop_assert_eq!(total, u32::from(len) - 20);
            for p in &parts {
                prop_assert!(p.len <= mtus.0.max(mtus.1));
                prop_assert!(p.frag & Packet::MF == 0 || (p.len - 20) % 8 == 0);
            }
            prop_assume!(parts.len() > 1);
            if twice {
                parts.extend_from_within(..parts.len() / 2);
            }
            let mut state = seed;
            for i in (1..parts.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                parts.swap(i, (state >> 33) as usize % (i + 1));
            }
            let mut c = Reassembly::new();
            let (mut done, mut bodies) = (0, Vec::new());
            for (n, p) in (0..).zip(&mut parts) {
                p.body = PacketId(n);
                let o = c.offer(Time::ZERO, p);
                bodies.extend(o.release);
                if let Outcome::Complete(p) = o.outcome {
                    prop_assert_eq!(assemble(&p, &whole), whole);
                    bodies.push(p.body);
                    done += 1;
                }
            }
            while let Some(e) = c.expire(Time::ZERO + TIMEOUT) {
                bodies.extend(e.first.map(|p| p.body));
            }
            // late duplicates may open a second, incomplete reassembly, or complete it
            prop_assert!(done == 1 || twice && done > 0);
            bodies.sort_by_key(|b| b.0);
            let all: Vec<_> = (0..parts.len() as u32).map(PacketId).collect();
            prop_assert_eq!(bodies, all);
        }
    }
}
