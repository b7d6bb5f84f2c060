//! Connection synchronisation, the sending side (`ip_vs_sync.c`): which packets make a master tell of
//! their connection, and when what it has gathered is sent.

pub(super) mod backup;
pub mod message;

use super::connection::{Connection, Slot, flag};
use super::director::Ipvs;
use super::rules::{Daemon, Forwarding};
use super::state::State;
use crate::config::IpvsSysctl;
use crate::engine::{FxMap, FxSet, Span, Time};
use crate::wire::{AddressBook, proto};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use message::{Record, Version, flags};

/// How often an idle master looks at what it has gathered (`IPVS_SYNC_CHECK_PERIOD`).
const POLL: Span = Span::from_secs(1);
/// Records wait no longer than this for others to join them (`IPVS_SYNC_FLUSH_TIME`).
const FLUSH: Span = Span::from_secs(2);
/// How long after the first full message the master is woken (`IPVS_SYNC_SEND_DELAY`).
const WAKE: Span = Span::from_millis(20);
/// At so many full messages it is woken at once (`IPVS_SYNC_WAKEUP_RATE`).
const WAKE_COUNT: usize = 8;
/// The group that a daemon speaks to unless it is told another one (`IP_VS_SYNC_GROUP`).
pub const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 81));
/// The same for the port (`IP_VS_SYNC_PORT`).
pub const PORT: u16 = 8848;
/// An Ethernet frame's worth of IP.
const MTU: u16 = 1500;

/// A message of the master, to be sent as a datagram to a multicast group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// The UDP payload.
    pub bytes: Vec<u8>,
    /// Name of the interface it leaves by; its source is the first address of that interface.
    pub interface: String,
    /// Destination address, a multicast group.
    pub group: IpAddr,
    /// Destination port.
    pub port: u16,
    /// Time to live.
    pub ttl: u8,
}

/// Records that are not sent yet.
#[derive(Debug)]
struct Buffer {
    bytes: Vec<u8>,
    version: Version,
    /// When the first record came.
    since: Time,
}

/// The master daemon at work.
#[derive(Debug)]
pub(super) struct Master {
    daemon: Daemon,
    /// Largest message in bytes.
    maxlen: usize,
    current: Option<Buffer>,
    /// Full messages, the oldest first.
    queue: Vec<Vec<u8>>,
    /// When `queue` got its first.
    queued: Time,
    /// When the daemon went to sleep: it looks every [`POLL`] from then on.
    asleep: Time,
    /// When it is woken for `queue`; [`Time::NEVER`] if that is empty.
    wake: Time,
    /// What it has sent.
    sent: Vec<Message>,
}

impl Master {
    pub(super) fn new(daemon: &Daemon, now: Time) -> Self {
        let headers = if group(daemon).is_ipv6() { 48 } else { 28 };
        let maxlen = daemon.maxlen.unwrap_or(MTU - headers).min(u16::MAX - headers);
        Self {
            maxlen: usize::from(maxlen),
            daemon: daemon.clone(),
            current: None,
            queue: Vec::new(),
            queued: Time::NEVER,
            asleep: now,
            wake: Time::NEVER,
            sent: Vec::new(),
        }
    }

    /// Sets when the daemon looks, now and then: at `at` and whole seconds before and after.
    fn set_poll(&mut self, at: Time) {
        self.asleep = Time::from_nanos(at.as_nanos() % POLL.as_nanos());
    }

    /// The first regular look at `at` or later.
    fn poll(&self, at: Time) -> Time {
        let since = at.saturating_since(self.asleep).as_nanos();
        self.asleep + Span::from_nanos(since.next_multiple_of(POLL.as_nanos()))
    }

    /// When something is to be sent.
    fn next(&self) -> Time {
        let partial = self.current.as_ref().map_or(Time::NEVER, |b| self.poll(b.since + FLUSH));
        if self.queue.is_empty() {
            return partial;
        }
        partial.min(self.wake).min(self.poll(self.queued))
    }

    fn gather(&mut self, now: Time, record: &Record, version: Version, limit: u32) {
        let mut bytes = Vec::with_capacity(128);
        if !record.write(version, &mut bytes) {
            return;
        }
        if let Some(full) = self.current.take_if(|b| {
            let room = b.bytes.len().next_multiple_of(4) + bytes.len();
            room > self.maxlen || b.version != version
        }) {
            self.enqueue(now, full.bytes, limit);
        }
        let syncid = self.daemon.syncid;
        let buffer = self.current.get_or_insert_with(|| Buffer {
            bytes: version.header(syncid),
            version,
            since: now,
        });
        version.append(&mut buffer.bytes, &bytes);
    }

    /// A message is full. Beyond the limit of the queue it is lost.
    fn enqueue(&mut self, now: Time, bytes: Vec<u8>, limit: u32) {
        if self.queue.len() >= limit as usize {
            return;
        }
        if self.queue.is_empty() {
            (self.queued, self.wake) = (now, now + WAKE);
        }
        self.queue.push(bytes);
        if self.queue.len() == WAKE_COUNT {
            self.wake = now;
        }
    }

    /// Sends what is to be sent at `now`.
    pub(super) fn work(&mut self, now: Time) {
        if now < self.next() {
            return;
        }
        let mut due = core::mem::take(&mut self.queue);
        due.extend(self.current.take_if(|b| now >= b.since + FLUSH).map(|b| b.bytes));
        (self.queued, self.wake, self.asleep) = (Time::NEVER, Time::NEVER, now);
        let message = |bytes| Message {
            bytes,
            interface: self.daemon.interface.clone(),
            group: group(&self.daemon),
            port: port(&self.daemon),
            ttl: self.daemon.ttl.unwrap_or(1),
        };
        self.sent.extend(due.into_iter().map(message));
    }
}

/// The group that a daemon speaks or listens to.
pub(super) fn group(daemon: &Daemon) -> IpAddr {
    daemon.group.unwrap_or(GROUP)
}

/// The port that a daemon speaks or listens to.
pub(super) fn port(daemon: &Daemon) -> u16 {
    daemon.port.unwrap_or(PORT)
}

/// When a connection was last told of.
#[derive(Clone, Copy, Debug)]
struct Told {
    state: State,
    /// When it would have expired then; [`Time::ZERO`] if it was never told of.
    end: Time,
    /// How often that was repeated.
    retries: u8,
}

/// What is known of connections only where connections are synchronised.
#[derive(Debug, Default)]
pub(super) struct Memory {
    told: FxMap<Slot, Told>,
    /// Connections that a backup has learned of from a message.
    learned: FxSet<Slot>,
}

impl Memory {
    /// The connection at `slot` has left the table.
    pub(super) fn forget(&mut self, slot: Slot) {
        if !self.told.is_empty() {
            self.told.remove(&slot);
        }
        if !self.learned.is_empty() {
            self.learned.remove(&slot);
        }
    }
}

/// Whether a connection in this state is told of, and whether entering the state is told at once
/// (TCP and SCTP); `None`: never.
const fn urgency(state: State) -> Option<bool> {
    match state {
        State::FinWait
        | State::Close
        | State::CloseWait
        | State::TimeWait
        | State::SctpShutdownSent
        | State::SctpShutdownReceived
        | State::SctpShutdownAckSent
        | State::SctpClosed => Some(true),
        State::Established
        | State::SctpEstablished
        | State::Udp
        | State::Template
        | State::TemplateAssured => Some(false),
        _ => None,
    }
}

/// `ip_vs_sync_conn_needed`: whether the `packets`th packet of a client is a reason to tell of its
/// connection; what is to be remembered then. `timeout` is the connection's. `last` is what was told
/// before.
fn needed(
    now: Time,
    entry: &Connection,
    (packets, timeout): (u32, Span),
    last: Option<Told>,
    sysctl: &IpvsSysctl,
) -> Option<Told> {
    let state = entry.state;
    let urgent = urgency(state)?;
    let end = now + timeout;
    let mut told = Told { state, end, retries: 0 };
    if urgent && last.is_none_or(|last| last.state != state) {
        return Some(told);
    }
    let refresh = sysctl.sync_refresh_period;
    if refresh > Span::ZERO
        && let Some(last) = last
    {
        let moved = end.saturating_since(last.end).max(last.end.saturating_since(end));
        let half = Span::from_nanos(timeout.as_nanos() / 2).max(Span::from_secs(10));
        if moved < refresh.min(half) {
            let pause = Span::from_nanos(refresh.as_nanos() / 8);
            // the packet of the last message came a timeout before `end`
            if last.retries >= sysctl.sync_retries || end < last.end + pause {
                return None;
            }
            told.retries = last.retries + 1;
        }
    }
    let (threshold, period) = sysctl.sync_threshold;
    let counts = if period > 0 {
        entry.is_template() || packets % period == threshold
    } else {
        refresh > Span::ZERO || packets == threshold
    };
    counts.then_some(told)
}

impl Ipvs {
    /// When the master daemon looks at what it has gathered: at `at`, and whole seconds before and after,
    /// until full messages wake it. By default it is the second of its start. Nothing happens if none runs.
    pub fn set_sync_poll(&mut self, at: Time) {
        if let Some(master) = &mut self.master {
            master.set_poll(at);
        }
    }

    /// Whether a master daemon runs.
    pub const fn is_master(&self) -> bool {
        self.master.is_some()
    }

    /// The messages that the master daemon has sent since the last call, the oldest first. It sends in
    /// [`Ipvs::on_deadline`].
    pub fn take_messages(&mut self, now: Time, book: &AddressBook) -> Vec<Message> {
        if self.master.is_none() {
            return Vec::new();
        }
        let threshold = self.sysctl.sync_threshold.0;
        for slot in self.table.take_extended() {
            if self.table.lookup(slot).is_some() {
                self.tell(now, slot, threshold, book);
            }
        }
        self.master.as_mut().map_or_else(Vec::new, |master| core::mem::take(&mut master.sent))
    }

    /// When the master daemon sends something.
    #[inline]
    pub(super) fn messages_at(&self) -> Time {
        self.master.as_ref().map_or(Time::NEVER, |master| master.next())
    }

    /// A packet of the client was put on a connection, and a master daemon runs.
    #[cold]
    #[inline(never)]
    pub(super) fn synchronise(&mut self, now: Time, slot: Slot, book: &AddressBook) {
        let Some(entry) = self.table.lookup(slot) else { return };
        self.tell(now, slot, entry.packets_in, book);
    }

    /// A client's packet has used a template.
    #[cold]
    pub(super) fn synchronise_template(&mut self, now: Time, slot: Slot, book: &AddressBook) {
        let entry = self.table.get_mut(slot);
        entry.packets_in = entry.packets_in.wrapping_add(1);
        let packets = entry.packets_in;
        self.tell(now, slot, packets, book);
    }

    /// Tells of a connection if it is time to, and of those that control it (`ip_vs_sync_conn`).
    fn tell(&mut self, now: Time, slot: Slot, packets: u32, book: &AddressBook) {
        let (mut slot, mut packets) = (slot, packets);
        loop {
            let entry = *self.table.get(slot);
            let last = self.sync.told.get(&slot).copied();
            let timeout = self.timeout_of(&entry);
            let told = needed(now, &entry, (packets, timeout), last, &self.sysctl)
                .filter(|_| !(self.sysctl.sync_persist_mode && self.has_template(&entry)));
            if let Some(told) = told
                && let Some(record) = self.record(slot, &entry, timeout, book)
            {
                self.sync.told.insert(slot, told);
                let version = Version::of(self.sysctl.sync_version);
                let limit = self.sysctl.sync_qlen_max;
                if let Some(master) = &mut self.master {
                    master.gather(now, &record, version, limit);
                }
            }
            if entry.control == Slot::NONE {
                return;
            }
            slot = entry.control;
            let controller = self.table.get_mut(slot);
            packets = if controller.is_template() {
                controller.packets_in = controller.packets_in.wrapping_add(1);
                controller.packets_in
            } else {
                self.sysctl.sync_threshold.0
            };
        }
    }

    /// Whether a template stands above a connection (`in_persistence`).
    fn has_template(&self, entry: &Connection) -> bool {
        let mut control = entry.control;
        while let Some(above) = self.table.lookup(control) {
            if above.is_template() {
                return !entry.is_template();
            }
            control = above.control;
        }
        false
    }

    fn timeout_of(&self, entry: &Connection) -> Span {
        if entry.is_template() { entry.template_timeout() } else { self.timeouts.get(entry.state) }
    }

    /// What a message says of a connection. `None`: the format has no place for it (FULLNAT, servers of
    /// another family).
    fn record(
        &self,
        slot: Slot,
        entry: &Connection,
        timeout: Span,
        book: &AddressBook,
    ) -> Option<Record> {
        let method = flags::method(entry.forwarding)?;
        let v6 = entry.caddr.is_v6();
        if entry.daddr.is_v6() != v6 && entry.forwarding != Forwarding::Bypass {
            return None;
        }
        let mark = self.services.mark_of(entry.destination);
        let vip = match mark {
            // the address of a template for all ports is the mark
            Some(mark) if entry.is_template() && entry.protocol() == 0 => mark_address(mark, v6),
            _ => book.address(entry.vaddr),
        };
        let unspecified = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let rip = if v6 && !entry.daddr.is_v6() { unspecified } else { book.address(entry.daddr) };
        let set = |on: bool, bit: u32| if on { bit } else { 0 };
        let engine = entry.has(flag::ENGINE).then(|| self.calls.name(slot)).flatten();
        Some(Record {
            protocol: entry.protocol(),
            flags: method
                | set(self.sync.learned.contains(&slot), flags::SYNC)
                | set(entry.has(flag::NO_OUTPUT), flags::NO_OUTPUT)
                | set(entry.has(flag::INACTIVE), flags::INACTIVE)
                | set(entry.has(flag::NO_CPORT), flags::NO_CPORT)
                | set(entry.is_template(), flags::TEMPLATE)
                | set(entry.has(flag::TRACKED), flags::TRACKED),
            state: number(entry.state),
            client: (book.address(entry.caddr), entry.cport),
            vip: (vip, entry.vport),
            rip: (rip, entry.dport),
            mark: mark.unwrap_or(0),
            timeout: (timeout.as_nanos() / 1_000_000_000) as u32,
            call: engine,
        })
    }
}

/// The mark of a fwmark service in the place of an address (`ip_vs_sched_persist`).
const fn mark_address(mark: u32, v6: bool) -> IpAddr {
    if v6 {
        IpAddr::V6(Ipv6Addr::from_bits((mark as u128) << 96))
    } else {
        IpAddr::V4(Ipv4Addr::from_bits(mark))
    }
}

/// The number that the kernel has for a state.
const fn number(state: State) -> u16 {
    let first = match state {
        State::Udp => State::Udp,
        State::Template | State::TemplateAssured => State::Template,
        s if s.is_sctp() => State::SctpNone,
        _ => State::None,
    };
    state as u16 - first as u16
}

/// The state that the kernel has a number for.
fn state(protocol: u8, template: bool, number: u16) -> Option<State> {
    let (first, last) = match protocol {
        _ if template => (State::Template, State::TemplateAssured),
        proto::TCP => (State::None, State::SynAck),
        proto::UDP => (State::Udp, State::Udp),
        proto::SCTP => (State::SctpNone, State::SctpClosed),
        _ => return None,
    };
    let place = usize::from(number) + first as usize;
    State::ALL.get(place).copied().filter(|&state| state <= last)
}
