//! The neighbour table of a host: ARP and IPv6 neighbour discovery as Linux does them
//! (net/core/neighbour.c, net/ipv4/arp.c, net/ipv6/ndisc.c).
//!
//! The table is a sans-I/O machine: what neighbours say, transmissions and deadlines go in; requests to
//! send and packets to release or give up come out as [`Action`]s. It does not care which family an
//! address is of, except for what a message may change: [`Table::heard`] for ARP,
//! [`Table::advertised`] for neighbour discovery.

use crate::engine::{FxMap, Span, Time};
use crate::wire::{Ip, MacId, PacketId};

/// Time an entry counts as reachable without confirmation (`base_reachable_time_ms`; Linux draws
/// between half and one and a half of it, here it is exactly this).
pub const REACHABLE_TIME: Span = Span::from_secs(30);
/// Wait for an upper-layer confirmation before probing a stale entry (`delay_first_probe_time`).
pub const DELAY_TIME: Span = Span::from_secs(5);
/// Time between two requests (`retrans_time_ms`).
pub const RETRANS_TIME: Span = Span::from_secs(1);
/// Requests before an address counts as unreachable (`mcast_solicit`, `ucast_solicit`).
pub const PROBES: u8 = 3;
/// A second answer within this time after the last change is ignored (`locktime`).
pub const LOCK_TIME: Span = Span::from_secs(1);
/// Packets that wait for an answer (`unres_qlen`); the oldest is dropped beyond.
pub const QUEUE_LIMIT: usize = 101;

/// State of an entry (`NUD_*`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Asked, no answer yet.
    Incomplete,
    /// Confirmed lately.
    Reachable,
    /// Known, not confirmed lately.
    Stale,
    /// Known and in use; probed if no confirmation comes.
    Delay,
    /// Being asked directly.
    Probe,
    /// Nobody answered.
    Failed,
    /// Set by the administrator, never changes.
    Permanent,
}

impl State {
    /// Whether the entry has a usable address.
    #[inline]
    pub const fn is_valid(self) -> bool {
        !matches!(self, Self::Incomplete | Self::Failed)
    }

    /// The name `ip neigh` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "INCOMPLETE",
            Self::Reachable => "REACHABLE",
            Self::Stale => "STALE",
            Self::Delay => "DELAY",
            Self::Probe => "PROBE",
            Self::Failed => "FAILED",
            Self::Permanent => "PERMANENT",
        }
    }
}

/// Number of an entry in its table; entries are never removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NeighbourId(pub u32);

/// An entry. What every packet needs of it stands first, in one cache line.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Neighbour {
    /// Interface it is reached by.
    pub interface: u16,
    /// Address.
    pub ip: Ip,
    /// State.
    pub state: State,
    /// Ethernet address, meaningful if the state is valid.
    pub mac: MacId,
    /// Last change of state or address.
    updated: Time,
    /// Last confirmation by an ARP reply or by the upper layer.
    confirmed: Time,
    /// Last transmission.
    used: Time,
    /// The one deadline, [`Time::NEVER`] if none.
    deadline: Time,
    /// Earliest wake-up in the event queue, [`Time::NEVER`] if none.
    armed: Time,
    probes: u8,
    /// It said that it is a router (IPv6).
    pub router: bool,
    /// Source the request carries: that of the packet that waits last.
    source: Ip,
    waiting: Vec<PacketId>,
}

/// The flags of a neighbour advertisement (RFC 4861, section 4.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advertisement {
    /// The sender is a router.
    pub router: bool,
    /// It answers a solicitation.
    pub solicited: bool,
    /// It replaces another address.
    pub overrides: bool,
}

/// What the host must do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send an ARP request (IPv6: a neighbour solicitation) for `target` by `interface`, to `to`
    /// (broadcast, which stands for the solicited-node group, or the known address). `source` is the
    /// source of the packet that asks, for `arp_announce`; [`Ip::ANY`] if none waits.
    Request {
        /// Outgoing interface.
        interface: u16,
        /// Address asked for.
        target: Ip,
        /// Ethernet destination.
        to: MacId,
        /// Source of the packet that waits.
        source: Ip,
    },
    /// The address is known: send this packet to `mac`.
    Release {
        /// Outgoing interface.
        interface: u16,
        /// The packet.
        packet: PacketId,
        /// Ethernet destination.
        mac: MacId,
    },
    /// Nobody answered: this packet cannot be delivered (ICMP host unreachable).
    GiveUp {
        /// Interface that was asked on.
        interface: u16,
        /// The packet.
        packet: PacketId,
    },
    /// Too many packets wait: drop this one.
    Overflow(PacketId),
    /// Call [`Table::on_deadline`] for this entry at this time.
    Wake(Time, NeighbourId),
    /// The entry has another Ethernet address than before, or none any more.
    Moved(NeighbourId),
}

/// The neighbour table of a host.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Table {
    entries: Vec<Neighbour>,
    index: FxMap<(u16, Ip), u32>,
}

impl Table {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// The entry for an address on an interface, made if there is none.
    pub fn entry(&mut self, interface: u16, ip: Ip) -> NeighbourId {
        if let Some(&slot) = self.index.get(&(interface, ip)) {
            return NeighbourId(slot);
        }
        let slot = self.entries.len() as u32;
        self.entries.push(Neighbour {
            interface,
            ip,
            state: State::Failed,
            mac: MacId::ZERO,
            updated: Time::ZERO,
            confirmed: Time::ZERO,
            used: Time::ZERO,
            deadline: Time::NEVER,
            armed: Time::NEVER,
            probes: 0,
            router: false,
            source: Ip::ANY,
            waiting: Vec::new(),
        });
        self.index.insert((interface, ip), slot);
        NeighbourId(slot)
    }

    /// Sets an entry that never changes.
    pub fn set_permanent(&mut self, interface: u16, ip: Ip, mac: MacId) {
        let id = self.entry(interface, ip);
        let e = &mut self.entries[id.0 as usize];
        e.state = State::Permanent;
        e.mac = mac;
    }

    /// All entries, oldest first.
    pub fn entries(&self) -> &[Neighbour] {
        &self.entries
    }

    /// The address of a neighbour that a packet is to be sent to, if nothing but the address is
    /// needed; otherwise [`Table::transmit`] must be asked.
    #[inline]
    pub fn known(&mut self, now: Time, id: NeighbourId) -> Option<MacId> {
        let e = &mut self.entries[id.0 as usize];
        e.used = now;
        let ready =
            matches!(e.state, State::Reachable | State::Permanent | State::Delay | State::Probe);
        ready.then_some(e.mac)
    }

    /// A packet with source `source` is to be sent to the neighbour: its address if it is known.
    /// Otherwise the table keeps the packet and asks (`neigh_event_send`).
    pub fn transmit(
        &mut self,
        now: Time,
        id: NeighbourId,
        packet: PacketId,
        source: Ip,
        actions: &mut Vec<Action>,
    ) -> Option<MacId> {
        if let Some(mac) = self.known(now, id) {
            return Some(mac);
        }
        if let Some(mac) = self.resolve(now, id, source, actions) {
            return Some(mac);
        }
        let e = &mut self.entries[id.0 as usize];
        e.source = source;
        e.waiting.push(packet);
        if e.waiting.len() > QUEUE_LIMIT {
            actions.push(Action::Overflow(e.waiting.remove(0)));
        }
        None
    }

    /// The administrator has an entry forgotten (`ip neigh flush`), unless it is permanent. Packets that
    /// wait for it go on waiting.
    pub fn flush(&mut self, ip: Ip) {
        for e in &mut self.entries {
            if e.ip == ip && e.state != State::Permanent && e.waiting.is_empty() {
                (e.state, e.mac, e.updated) = (State::Failed, MacId::ZERO, Time::ZERO);
                e.deadline = Time::NEVER;
            }
        }
    }

    /// The address of the neighbour is wanted, by a packet from `source` or (if that is
    /// [`Ip::ANY`]) by none: it is asked for if it is not known.
    pub fn resolve(
        &mut self,
        now: Time,
        id: NeighbourId,
        source: Ip,
        actions: &mut Vec<Action>,
    ) -> Option<MacId> {
        let e = &mut self.entries[id.0 as usize];
        match e.state {
            State::Stale => {
                e.state = State::Delay;
                e.updated = now;
                e.set_deadline(now + DELAY_TIME, id, actions);
            }
            State::Failed => {
                e.state = State::Incomplete;
                e.updated = now;
                e.probes = 1;
                e.source = source;
                e.ask(MacId::BROADCAST, actions);
                e.set_deadline(now + RETRANS_TIME, id, actions);
            }
            _ => {}
        }
        e.state.is_valid().then_some(e.mac)
    }

    /// The upper layer heard from the neighbour (`dst_confirm`).
    #[inline]
    pub fn confirm(&mut self, now: Time, id: NeighbourId) {
        self.entries[id.0 as usize].confirmed = now;
    }

    /// An ARP packet from `(ip, mac)` came in on `interface`.
    ///
    /// * `reply_to_us`: a reply sent to this host's Ethernet address: the entry becomes reachable.
    /// * `create`: a request this host answers makes an entry and always replaces the address
    ///   (`neigh_event_ns`); other ARP packets only update an existing entry, and change the address
    ///   only after [`LOCK_TIME`] or if `gratuitous` (`arp_process`).
    pub fn heard(
        &mut self,
        now: Time,
        (interface, ip, mac): (u16, Ip, MacId),
        reply_to_us: bool,
        create: bool,
        gratuitous: bool,
        actions: &mut Vec<Action>,
    ) {
        let id = if create {
            self.entry(interface, ip)
        } else {
            match self.index.get(&(interface, ip)) {
                // an entry that a route only names is none to the kernel
                Some(&slot) if self.entries[slot as usize].was_asked() => NeighbourId(slot),
                _ => return,
            }
        };
        let e = &mut self.entries[id.0 as usize];
        if e.state == State::Permanent {
            return;
        }
        let unlocked = create || gratuitous || now > e.updated + LOCK_TIME;
        if e.state.is_valid() && e.mac != mac && !unlocked {
            return;
        }
        let (was, known) = ((e.state, e.mac), e.known());
        if reply_to_us {
            e.state = State::Reachable;
            e.confirmed = now;
            e.set_deadline(now + REACHABLE_TIME, id, actions);
        } else if !e.state.is_valid() || e.mac != mac {
            e.state = State::Stale;
            e.deadline = Time::NEVER;
        }
        e.mac = mac;
        if was != (e.state, e.mac) {
            e.updated = now;
        }
        e.tell(known, id, actions);
        e.release(now, id, actions);
    }

    /// A neighbour solicitation from `(ip, mac)` came in on `interface` (`ndisc_recv_ns`): the sender is
    /// known from now on.
    pub fn solicited(
        &mut self,
        now: Time,
        (interface, ip, mac): (u16, Ip, MacId),
        actions: &mut Vec<Action>,
    ) {
        self.heard(now, (interface, ip, mac), false, true, false, actions);
    }

    /// A neighbour advertisement for the target `ip` came in on `interface` (`ndisc_recv_na`): it only
    /// updates an entry that exists and has not failed. `mac` is absent if the message had no
    /// link-layer address.
    pub fn advertised(
        &mut self,
        now: Time,
        (interface, ip, mac): (u16, Ip, Option<MacId>),
        what: Advertisement,
        actions: &mut Vec<Action>,
    ) {
        let Some(&slot) = self.index.get(&(interface, ip)) else { return };
        let id = NeighbourId(slot);
        let e = &mut self.entries[slot as usize];
        if matches!(e.state, State::Permanent | State::Failed) {
            return;
        }
        let (was, known, valid) = ((e.state, e.mac), e.known(), e.state.is_valid());
        let mut mac = match mac {
            Some(mac) => mac,
            None if valid => e.mac,
            None => return,
        };
        // as neigh_update does, a solicited message confirms even an address that it does not change
        if what.solicited {
            e.confirmed = now;
        }
        let mut state = if what.solicited { State::Reachable } else { State::Stale };
        let mut router = Some(what.router);
        if valid && mac != e.mac && !what.overrides {
            if e.state != State::Reachable {
                return;
            }
            (mac, state, router) = (e.mac, State::Stale, None);
        } else if valid && mac == e.mac && state == State::Stale {
            state = e.state;
        }
        (e.state, e.mac) = (state, mac);
        e.router = router.unwrap_or(e.router);
        if was != (state, mac) {
            e.updated = now;
        }
        if was.0 != state {
            e.deadline = Time::NEVER;
        }
        if state == State::Reachable {
            e.set_deadline(now + REACHABLE_TIME, id, actions);
        }
        e.tell(known, id, actions);
        e.release(now, id, actions);
    }

    /// The link of an interface has gone down (`neigh_carrier_down`): all its entries but the permanent
    /// ones are as if never asked for. Returns the packets that waited.
    pub fn carrier_lost(&mut self, interface: u16, actions: &mut Vec<Action>) -> Vec<PacketId> {
        let mut waited = Vec::new();
        for (slot, e) in self.entries.iter_mut().enumerate() {
            if e.interface == interface && e.state != State::Permanent {
                let known = e.known();
                e.state = State::Failed;
                e.tell(known, NeighbourId(slot as u32), actions);
                e.deadline = Time::NEVER;
                waited.append(&mut e.waiting);
            }
        }
        waited
    }

    /// The deadline of an entry may have come (`neigh_timer_handler`). A wake-up that is too early
    /// or no longer wanted is harmless.
    pub fn on_deadline(&mut self, now: Time, id: NeighbourId, actions: &mut Vec<Action>) {
        let e = &mut self.entries[id.0 as usize];
        if e.armed <= now {
            e.armed = Time::NEVER;
        }
        if e.deadline > now {
            if e.deadline != Time::NEVER && e.armed == Time::NEVER {
                e.armed = e.deadline;
                actions.push(Action::Wake(e.deadline, id));
            }
            return;
        }
        match e.state {
            State::Reachable => e.reachable_ended(now, id, actions),
            State::Delay => {
                if now <= e.confirmed + DELAY_TIME {
                    e.state = State::Reachable;
                    e.set_deadline(e.confirmed + REACHABLE_TIME, id, actions);
                } else {
                    e.state = State::Probe;
                    e.probes = 1;
                    e.source = Ip::ANY;
                    e.ask(e.mac, actions);
                    e.set_deadline(now + RETRANS_TIME, id, actions);
                }
                e.updated = now;
            }
            State::Incomplete | State::Probe => e.no_answer(now, id, actions),
            State::Stale | State::Failed | State::Permanent => e.deadline = Time::NEVER,
        }
    }
}

impl Neighbour {
    /// Whether anything ever changed the entry: it was asked for, heard of, or set.
    pub fn was_asked(&self) -> bool {
        self.state != State::Failed || self.updated != Time::ZERO
    }

    /// Sets the deadline; wakes are pushed only if none is armed early enough.
    fn set_deadline(&mut self, at: Time, id: NeighbourId, actions: &mut Vec<Action>) {
        self.deadline = at;
        if at < self.armed {
            self.armed = at;
            actions.push(Action::Wake(at, id));
        }
    }

    /// The Ethernet address, if there is a usable one.
    pub fn known(&self) -> Option<MacId> {
        self.state.is_valid().then_some(self.mac)
    }

    /// Says that the Ethernet address is another one than before.
    fn tell(&self, before: Option<MacId>, id: NeighbourId, actions: &mut Vec<Action>) {
        if before != self.known() {
            actions.push(Action::Moved(id));
        }
    }

    fn ask(&self, to: MacId, actions: &mut Vec<Action>) {
        actions.push(Action::Request {
            interface: self.interface,
            target: self.ip,
            to,
            source: self.source,
        });
    }

    fn reachable_ended(&mut self, now: Time, id: NeighbourId, actions: &mut Vec<Action>) {
        if now < self.confirmed + REACHABLE_TIME {
            self.set_deadline(self.confirmed + REACHABLE_TIME, id, actions);
            return;
        }
        self.updated = now;
        if now <= self.used + DELAY_TIME {
            self.state = State::Delay;
            self.set_deadline(now + DELAY_TIME, id, actions);
        } else {
            self.state = State::Stale;
            self.deadline = Time::NEVER;
        }
    }

    fn no_answer(&mut self, now: Time, id: NeighbourId, actions: &mut Vec<Action>) {
        if self.probes < PROBES {
            self.probes += 1;
            let to = if self.state == State::Probe { self.mac } else { MacId::BROADCAST };
            self.ask(to, actions);
            self.set_deadline(now + RETRANS_TIME, id, actions);
            return;
        }
        let known = self.known();
        self.state = State::Failed;
        self.tell(known, id, actions);
        self.updated = now;
        self.deadline = Time::NEVER;
        for packet in self.waiting.drain(..) {
            actions.push(Action::GiveUp { interface: self.interface, packet });
        }
    }

    /// The address is known now: what waited goes out, which counts as a use.
    fn release(&mut self, now: Time, id: NeighbourId, actions: &mut Vec<Action>) {
        if self.waiting.is_empty() {
            return;
        }
        self.used = now;
        if self.state == State::Stale {
            self.state = State::Delay;
            self.set_deadline(now + DELAY_TIME, id, actions);
        }
        for packet in self.waiting.drain(..) {
            actions.push(Action::Release { interface: self.interface, packet, mac: self.mac });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: Ip = Ip::new(10, 0, 0, 1);
    const SOURCE: Ip = Ip::new(10, 0, 0, 2);

    fn at(s: u64) -> Time {
        Time::ZERO + Span::from_secs(s)
    }

    struct Story {
        table: Table,
        id: NeighbourId,
        actions: Vec<Action>,
    }

    fn story() -> Story {
        let mut table = Table::new();
        let id = table.entry(0, GATEWAY);
        Story { table, id, actions: Vec::new() }
    }

    impl Story {
        fn send(&mut self, now: Time) -> Option<MacId> {
            self.table.transmit(now, self.id, PacketId(9), SOURCE, &mut self.actions)
        }

        fn reply(&mut self, now: Time, mac: u32) {
            let from = (0, GATEWAY, MacId(mac));
            self.table.heard(now, from, true, false, false, &mut self.actions);
        }

        /// Runs the wakes in order up to `until` and returns the requests that were sent.
        fn requests(&mut self, until: Time) -> Vec<(Time, MacId)> {
            let mut sent = Vec::new();
            let mut now = Time::ZERO;
            let mut wakes = Vec::new();
            loop {
                for a in core::mem::take(&mut self.actions) {
                    match a {
                        Action::Wake(t, _) => wakes.push(t),
                        Action::Request { to, .. } => sent.push((now, to)),
                        other => self.actions.push(other),
                    }
                }
                let Some(i) = (0..wakes.len()).min_by_key(|&i| wakes[i]) else { return sent };
                if wakes[i] > until {
                    return sent;
                }
                now = wakes.swap_remove(i);
                let kept = core::mem::take(&mut self.actions);
                self.table.on_deadline(now, self.id, &mut self.actions);
                let fresh = core::mem::replace(&mut self.actions, kept);
                self.actions.extend(fresh);
            }
        }

        fn state(&self) -> State {
            self.table.entries()[self.id.0 as usize].state
        }
    }

    #[test]
    fn three_requests_a_second_apart_and_then_every_waiting_packet_is_given_up() {
        let mut s = story();
        assert_eq!(s.send(at(0)), None);
        assert_eq!(s.send(at(0)), None);
        let asked = s.requests(at(10));
        assert_eq!(asked, [0, 1, 2].map(|t| (at(t), MacId::BROADCAST)).to_vec());
        let gave_up = s.actions.iter().filter(|a| matches!(a, Action::GiveUp { .. })).count();
        assert_eq!((gave_up, s.state()), (2, State::Failed));
    }

    #[test]
    fn the_first_answer_counts_and_later_ones_within_a_second_do_not() {
        let mut s = story();
        s.send(at(0));
        s.reply(at(0), 1);
        assert!(s.actions.contains(&Action::Release {
            interface: 0,
            packet: PacketId(9),
            mac: MacId(1)
        }));
        s.reply(at(0) + Span::from_millis(1), 2);
        assert_eq!(s.send(at(0)), Some(MacId(1)));
        s.reply(at(2), 2);
        assert_eq!(s.send(at(2)), Some(MacId(2)));
    }

    #[test]
    fn a_gratuitous_answer_moves_the_entry_at_once() {
        let mut s = story();
        s.send(at(0));
        s.reply(at(0), 1);
        s.table.heard(at(0), (0, GATEWAY, MacId(2)), false, false, true, &mut s.actions);
        assert_eq!((s.send(at(0)), s.state()), (Some(MacId(2)), State::Delay));
    }

    #[test]
    fn an_entry_in_use_without_confirmation_is_probed_directly() {
        let mut s = story();
        s.send(at(0));
        s.reply(at(0), 1);
        s.send(at(29));
        let asked = s.requests(at(60));
        let direct = [35, 36, 37].map(|t| (at(t), MacId(1)));
        assert_eq!(asked[1..], direct);
        assert_eq!(s.state(), State::Failed);
    }

    #[test]
    fn confirmation_keeps_an_entry_reachable_without_probes() {
        let mut s = story();
        s.send(at(0));
        s.reply(at(0), 1);
        s.table.confirm(at(29), s.id);
        assert_eq!(s.requests(at(40)).len(), 1);
        assert_eq!(s.state(), State::Reachable);
    }

    const fn flags(solicited: bool, overrides: bool) -> Advertisement {
        Advertisement { router: true, solicited, overrides }
    }

    impl Story {
        fn advertise(&mut self, now: Time, mac: Option<u32>, what: Advertisement) {
            let from = (0, GATEWAY, mac.map(MacId));
            self.table.advertised(now, from, what, &mut self.actions);
        }
    }

    #[test]
    fn an_advertisement_without_override_only_casts_doubt() {
        let mut s = story();
        s.advertise(at(0), Some(1), flags(true, true));
        assert_eq!(s.state(), State::Failed, "nobody asked");
        s.send(at(0));
        s.advertise(at(0), None, flags(true, true));
        assert_eq!(s.state(), State::Incomplete, "without an address it says nothing");
        s.advertise(at(0), Some(1), flags(true, false));
        assert_eq!((s.state(), s.send(at(0))), (State::Reachable, Some(MacId(1))));
        assert!(s.table.entries()[0].router);
        s.advertise(at(0), Some(2), flags(false, false));
        assert_eq!(s.state(), State::Stale);
        s.advertise(at(0), Some(2), flags(true, false));
        assert_eq!(s.state(), State::Stale, "ignored");
        s.advertise(at(0), Some(2), flags(false, true));
        assert_eq!((s.state(), s.send(at(0))), (State::Stale, Some(MacId(2))));
        s.advertise(at(3), None, flags(true, false));
        assert_eq!(s.state(), State::Reachable);
        s.advertise(at(4), Some(2), flags(false, true));
        assert_eq!(s.state(), State::Reachable, "nothing new");
    }

    #[test]
    fn a_direct_probe_is_on_behalf_of_no_packet() {
        let mut s = story();
        s.send(at(0));
        s.reply(at(0), 1);
        s.send(at(29));
        s.actions.clear();
        for now in [30, 35] {
            s.table.on_deadline(at(now), s.id, &mut s.actions);
        }
        let asked = s.actions.iter().filter_map(|a| match a {
            Action::Request { source, to, .. } => Some((*source, *to)),
            _ => None,
        });
        assert_eq!(asked.collect::<Vec<_>>(), [(Ip::ANY, MacId(1))]);
    }

    #[test]
    fn a_request_we_answer_makes_a_stale_entry_that_is_used_at_once() {
        let mut s = story();
        s.table.heard(at(0), (0, GATEWAY, MacId(4)), false, true, false, &mut s.actions);
        assert_eq!(s.state(), State::Stale);
        assert_eq!((s.send(at(1)), s.state()), (Some(MacId(4)), State::Delay));
        assert_eq!(s.requests(at(6)), vec![(at(6), MacId(4))]);
    }
}
