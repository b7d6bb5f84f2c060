//! The way of a packet through IPVS (`ip_vs_core.c`).

use super::clock::Clock;
use super::connection::{Connection, Slot, Tuple, flag};
use super::daemon::Daemons;
use super::defence::Defence;
use super::engine::Calls;
use super::error::IpvsError;
use super::ftp::Passive;
use super::fullnat::FullNat;
use super::rules::Forwarding;
use super::service::ServiceTable;
use super::state::{self, Direction, Event, State, Timeouts};
use super::statistics::{PERIOD, next_estimate};
use super::sync::{Master, Memory};
use super::table::Table;
use super::verdict::{DropReason, ReplyVerdict, Transmit, Verdict};
use crate::config::{IpvsConfig, IpvsSysctl};
use crate::engine::{FxMap, FxSet, Span, Stream, Time, Uniform};
use crate::wire::{AddressBook, Flags, Ip, Kind, Packet, proto, sctp};
use core::net::IpAddr;
use schedulers::RandomSource;

/// The kernel's clock tick at `HZ` = 100. Deferred work runs one tick later.
pub const TICK: Span = Span::from_millis(10);

/// The load balancer of one director.
#[derive(Debug)]
pub struct Ipvs {
    pub(super) table: Table,
    pub(super) services: ServiceTable,
    pub(super) timeouts: Timeouts,
    pub(super) sysctl: IpvsSysctl,
    /// The `secure_tcp` defence is on.
    pub(super) secure: bool,
    /// Whether the hooks for requests are registered and act, by [`Kind`].
    request_hooks: [bool; 4],
    /// The same for replies.
    reply_hooks: [bool; 4],
    /// Packets from this time on have to wait for an estimate of the rates.
    pub(super) estimate_at: Time,
    /// When connections of deleted destinations are dropped; [`Time::NEVER`] if nothing is to do.
    pub(super) flush_at: Time,
    /// Packets that found no destination.
    pub(super) no_destination: u64,
    pub(super) random: Draws,
    pub(super) defence: Defence,
    pub(super) daemons: Daemons,
    /// The master daemon, if it runs.
    pub(super) master: Option<Box<Master>>,
    pub(super) sync: Memory,
    pub(super) calls: Calls,
    pub(super) full_nat: FullNat,
    /// FTP control connections whose client asked for a passive data connection.
    pub(super) passive: FxMap<Slot, Passive>,
    /// Addresses of the director.
    pub(super) local: FxSet<Ip>,
}

/// Random numbers of the scheduler `twos`, of `drop_entry`, of the choice of local addresses.
#[derive(Debug)]
pub(super) struct Draws(Stream);

impl RandomSource for Draws {
    fn next_u32(&mut self) -> u32 {
        (self.0.next_u64() >> 32) as u32
    }
}

/// What becomes of the entry that a packet of a client found.
enum Found {
    /// The packet belongs to it.
    Keep,
    /// It ends; the packet is treated as if nothing had been found.
    Renew,
    /// It stays, the packet is dropped.
    Drop(DropReason),
    /// It ends, and the packet is dropped.
    End(DropReason),
}

impl Ipvs {
    /// A director with the rules of `config`, added in their order. `random` serves the scheduler
    /// `twos`, `drop_entry` and the choice among local addresses of FULLNAT; `book` is that of the
    /// packets it will see.
    ///
    /// # Errors
    /// Everything that is wrong with the rules, in their order.
    pub fn new(
        config: &IpvsConfig,
        random: Stream,
        book: &mut AddressBook,
    ) -> Result<Self, Vec<IpvsError>> {
        let mut ipvs = Self {
            table: Table::new(),
            services: ServiceTable::new(&config.sysctl),
            timeouts: Timeouts::default(),
            sysctl: config.sysctl,
            secure: false,
            request_hooks: [false; 4],
            reply_hooks: [false; 4],
            estimate_at: Time::NEVER,
            flush_at: Time::NEVER,
            no_destination: 0,
            random: Draws(random),
            defence: Defence::default(),
            daemons: Daemons::default(),
            master: None,
            sync: Memory::default(),
            calls: Calls::default(),
            full_nat: FullNat::default(),
            passive: FxMap::default(),
            local: FxSet::default(),
        };
        let errors = ipvs.configure(config, book);
        ipvs.start_defence();
        if errors.is_empty() { Ok(ipvs) } else { Err(errors) }
    }

    /// Tells which addresses are the director's own: packets to them are never sent past the real
    /// servers (`cache_bypass`). To be called again when they change.
    pub fn set_local_addresses(
        &mut self,
        addresses: impl IntoIterator<Item = IpAddr>,
        book: &mut AddressBook,
    ) {
        self.local = addresses.into_iter().map(|a| book.number(a)).collect();
    }

    /// How late timers run; exactly on time by default. To be called before anything happens.
    pub const fn set_clock(&mut self, clock: Clock) {
        self.table.set_clock(clock);
        self.services.set_clock(clock);
    }

    /// Registers the hooks of the families that have services.
    pub(super) fn set_hooks(&mut self) {
        let [v4, v6] = self.services.families();
        let takes = !(self.sysctl.backup_only && self.daemons.is_only_backup());
        for (kind, registered) in [(Kind::Ipv4, v4), (Kind::Ipv6, v6)] {
            self.reply_hooks[kind as usize] = registered;
            self.request_hooks[kind as usize] = registered && takes;
        }
    }

    /// Whether IPVS looks at requests, or at replies, of this kind.
    pub(super) const fn is_hooked(&self, kind: Kind, reply: bool) -> bool {
        if reply { self.reply_hooks[kind as usize] } else { self.request_hooks[kind as usize] }
    }

    /// A packet arrived for an address of the director (hook `LOCAL_IN`, `ip_vs_in_hook`).
    ///
    /// ICMP is not looked at: see [`Ipvs::icmp_in`]. Packets of other protocols than TCP, UDP and
    /// SCTP, and fragments, are accepted. The packet's mark selects fwmark services.
    pub fn request(&mut self, now: Time, pkt: &Packet, book: &mut AddressBook) -> Verdict {
        if !self.request_hooks[pkt.kind as usize] || !is_balanced(pkt) {
            return Verdict::Accept;
        }
        if now >= self.estimate_at {
            self.estimate(now);
        }
        let tuple = Tuple::of(pkt);
        let Some(slot) = self.table.find_request(tuple) else {
            return self.unknown_request(now, tuple, pkt, book);
        };
        self.request_of(now, slot, is_opening(pkt), (tuple, pkt), book)
    }

    /// A packet of a client that found the entry at `slot`. `opens`: it may begin another connection.
    #[expect(clippy::inline_always, reason = "every packet of a connection passes here")]
    #[inline(always)]
    fn request_of(
        &mut self,
        now: Time,
        slot: Slot,
        opens: bool,
        (tuple, pkt): (Tuple, &Packet),
        book: &mut AddressBook,
    ) -> Verdict {
        let entry = self.table.get_mut(slot);
        let destination = self.services.destination_mut(entry.destination);
        if opens || !destination.available {
            return self.examined(now, slot, opens, (tuple, pkt), book);
        }
        destination.packet_in(pkt.len);
        entry.packets_in = entry.packets_in.wrapping_add(1);
        let verdict = Verdict::Transmit(transmit(slot, entry));
        let timeouts = [&self.timeouts, &self.full_nat.timeouts];
        let step = step(entry, now, pkt, Direction::Input, self.secure, timeouts);
        self.follow(slot, step);
        if self.master.is_some() {
            self.synchronise(now, slot, book);
        }
        verdict
    }

    /// As [`Ipvs::request_of`], for a packet that may begin another connection (`opens`), or an entry
    /// whose destination is not available.
    #[inline(never)]
    fn examined(
        &mut self,
        now: Time,
        slot: Slot,
        opens: bool,
        (tuple, pkt): (Tuple, &Packet),
        book: &mut AddressBook,
    ) -> Verdict {
        match self.examine(slot, opens) {
            Found::Keep => self.request_of(now, slot, false, (tuple, pkt), book),
            Found::Drop(reason) => Verdict::Drop(reason),
            Found::Renew => {
                self.expire_now(now, slot);
                self.schedule(now, tuple, pkt, book)
            }
            Found::End(reason) => {
                self.expire_now(now, slot);
                Verdict::Drop(reason)
            }
        }
    }

    /// A packet without a connection of its own. It may begin a passive data connection of FTP, or
    /// be the reply to a local address.
    #[inline(never)]
    fn unknown_request(
        &mut self,
        now: Time,
        tuple: Tuple,
        pkt: &Packet,
        book: &mut AddressBook,
    ) -> Verdict {
        if let Some(slot) = self.table.find_without_client_port(tuple) {
            self.table.fill_client_port(slot, pkt.sport);
            return self.request(now, pkt, book);
        }
        if self.full_nat.is_used()
            && let Some(connection) = self.local_reply(now, tuple, pkt)
        {
            return Verdict::Answer { connection };
        }
        self.schedule(now, tuple, pkt, book)
    }

    /// What becomes of an entry found by a packet that may begin another connection (`opens`), or
    /// whose destination is not available.
    #[inline(never)]
    fn examine(&self, slot: Slot, opens: bool) -> Found {
        let entry = self.table.get(slot);
        let tracked = entry.has(flag::TRACKED);
        let renew = if tracked { Found::End(DropReason::OldConntrack) } else { Found::Renew };
        if opens && self.starts_anew(entry) {
            // One that controls others stays in the table all the same.
            return if tracked && entry.controls > 0 {
                Found::Drop(DropReason::OldConntrack)
            } else {
                renew
            };
        }
        if self.services.destination(entry.destination).available {
            Found::Keep
        } else if self.sysctl.expire_nodest_conn {
            renew
        } else {
            Found::Drop(DropReason::DestinationGone)
        }
    }

    /// Whether a SYN or INIT that found `entry` begins another connection (`is_new_conn_expected`,
    /// and the rule for quiesced destinations). With `conn_reuse_mode` a controlled connection keeps
    /// its server.
    fn starts_anew(&self, entry: &Connection) -> bool {
        if self.sysctl.expire_nodest_conn && self.services.is_quiesced(entry.destination) {
            return true;
        }
        let mode = self.sysctl.conn_reuse_mode;
        let over = matches!(entry.state, State::TimeWait | State::Close | State::SctpClosed)
            || (mode & 2 != 0 && entry.state == State::FinWait && entry.has(flag::NO_OUTPUT));
        mode != 0 && over && entry.control == Slot::NONE
    }

    /// Ends an entry. It is still found and counted until its timer runs, in this instant. One that
    /// controls others stays.
    pub(super) fn expire_now(&mut self, now: Time, slot: Slot) {
        let entry = self.table.get_mut(slot);
        if entry.expires > now && entry.controls == 0 {
            entry.flags |= flag::HURRIED;
            self.table.renew(slot, now);
        }
    }

    /// Puts a packet on its connection: state and timer.
    #[expect(clippy::inline_always, reason = "every packet of a connection passes here")]
    #[inline(always)]
    pub(super) fn advance(&mut self, now: Time, slot: Slot, pkt: &Packet, direction: Direction) {
        let timeouts = [&self.timeouts, &self.full_nat.timeouts];
        let step = step(self.table.get_mut(slot), now, pkt, direction, self.secure, timeouts);
        self.follow(slot, step);
    }

    /// Does what follows from a step of a connection.
    #[expect(clippy::inline_always, reason = "every packet of a connection passes here")]
    #[inline(always)]
    fn follow(&mut self, slot: Slot, step: Step) {
        if step.changed {
            self.entered(slot);
        }
        if let Some(at) = step.earlier {
            self.table.arm(slot, at);
        }
    }

    /// Counts a connection by the state it has entered, and tells its template.
    fn entered(&mut self, slot: Slot) {
        let entry = self.table.get_mut(slot);
        let (state, control, destination) = (entry.state, entry.control, entry.destination);
        if let Some(active) = recount(entry) {
            self.services.flip(destination, active);
        }
        if state.is_established() && control != Slot::NONE {
            self.table.assure(control);
        }
    }

    /// A packet passes the director on its way to a client: it is forwarded, or the own stack made
    /// it (hooks `FORWARD` and `LOCAL_OUT`, `ip_vs_out_hook`).
    pub fn reply(&mut self, now: Time, pkt: &Packet) -> ReplyVerdict {
        if !self.reply_hooks[pkt.kind as usize] || !is_balanced(pkt) {
            return ReplyVerdict::Pass;
        }
        if now >= self.estimate_at {
            self.estimate(now);
        }
        let Some(connection) = self.table.find_reply(Tuple::of(pkt)) else {
            return self.unknown_reply(pkt);
        };
        let entry = self.table.get_mut(connection);
        self.services.destination_mut(entry.destination).packet_out(pkt.len);
        let verdict = match (entry.forwarding, entry.vip()) {
            (Forwarding::Nat, (vip, vport)) => ReplyVerdict::Translate { vip, vport, connection },
            _ => ReplyVerdict::Counted { connection },
        };
        let template = if entry.state == State::Udp { entry.control } else { Slot::NONE };
        let timeouts = [&self.timeouts, &self.full_nat.timeouts];
        let step = step(entry, now, pkt, Direction::Output, self.secure, timeouts);
        if template != Slot::NONE {
            self.table.assure(template);
        }
        self.follow(connection, step);
        verdict
    }

    /// A packet toward a client without a connection. With `nat_icmp_send` a NAT real server is told
    /// that nobody knows it, but not of its own RST or ABORT.
    #[inline(never)]
    fn unknown_reply(&self, pkt: &Packet) -> ReplyVerdict {
        let final_word = match pkt.proto {
            proto::TCP => pkt.flags.has(Flags::RST),
            proto::SCTP => pkt.chunks().0 == sctp::ABORT,
            _ => false,
        };
        let told = self.sysctl.nat_icmp_send
            && !final_word
            && self.services.has_nat_server(pkt.proto, pkt.src, pkt.sport);
        if told { ReplyVerdict::Unreachable } else { ReplyVerdict::Pass }
    }

    /// When [`Ipvs::on_deadline`] is to be called next. Every other call may bring it forward.
    /// `None`: never, nothing is pending.
    #[inline]
    pub fn next_deadline(&self) -> Option<Time> {
        Some(self.due()).filter(|at| *at != Time::NEVER)
    }

    /// The same; [`Time::NEVER`] if nothing is pending.
    #[inline]
    pub(crate) fn due(&self) -> Time {
        let next = self.table.next().min(self.flush_at).min(self.services.work_at());
        next.min(self.defence.at).min(self.messages_at())
    }

    /// Lets time pass until `now`: connections expire, deleted destinations are forgotten, defences
    /// begin and end. Calling it early, late or twice does no harm; late calls find entries where
    /// they should be gone. Where a master daemon may run, [`Ipvs::take_messages`] should follow.
    pub fn on_deadline(&mut self, now: Time) {
        if self.flush_at <= now {
            self.flush_at = Time::NEVER;
            self.flush();
        }
        while let Some((slot, entry)) = self.table.expire(now, &self.timeouts) {
            self.ended(slot, &entry);
        }
        if self.defence.at <= now {
            self.defend(now);
        }
        self.services.work(now);
        if let Some(master) = &mut self.master {
            master.work(now);
        }
    }

    /// An entry has left the table.
    fn ended(&mut self, slot: Slot, entry: &Connection) {
        self.services.end(entry.destination, entry.counting());
        self.sync.forget(slot);
        if entry.has(flag::ENGINE) {
            self.calls.forget(slot, entry.tuple());
            self.calls.remove(slot);
        }
        if entry.forwarding == Forwarding::FullNat && !entry.is_template() {
            self.full_nat.release(slot, entry);
        }
        if entry.vport == super::service::FTP {
            self.passive.remove(&slot);
        }
    }

    /// Drops a connection at once, and with it what controlled it and controls nothing else now,
    /// unless that is a template that carries data (`ip_vs_conn_del`). Nothing happens if it controls
    /// others itself.
    pub fn drop_connection(&mut self, slot: Slot) {
        let mut slot = slot;
        while self.table.lookup(slot).is_some_and(|entry| entry.controls == 0) {
            let entry = self.table.take(slot);
            self.ended(slot, &entry);
            let Some(controller) = self.table.lookup(entry.control) else { return };
            if controller.state == State::TemplateAssured {
                return;
            }
            slot = entry.control;
        }
    }

    /// Ends the connections of deleted destinations, and their templates
    /// (`ip_vs_expire_nodest_conn_flush`).
    fn flush(&mut self) {
        let services = &self.services;
        let orphaned = |entry: &Connection| !services.destination(entry.destination).available;
        let slots: Vec<Slot> =
            self.table.iter().filter(|(_, entry)| orphaned(entry)).map(|(slot, _)| slot).collect();
        for slot in slots {
            let Some(entry) = self.table.lookup(slot).filter(|entry| entry.controls == 0) else {
                continue;
            };
            let controller = entry.control;
            self.drop_connection(slot);
            self.drop_connection(controller);
        }
    }

    /// Brings the rates up to date (`estimation_timer`). Packets do it by themselves; to be called
    /// before rates are listed.
    #[cold]
    pub fn estimate(&mut self, now: Time) {
        if now < self.estimate_at {
            return;
        }
        let next = next_estimate(now);
        let due = (next.saturating_since(self.estimate_at).as_nanos()) / PERIOD.as_nanos();
        self.services.estimate(due);
        self.estimate_at = next;
    }
}

/// Whether IPVS has a handler for the packet's protocol and can see its ports.
#[inline]
const fn is_balanced(pkt: &Packet) -> bool {
    pkt.kind.is_ip()
        && matches!(pkt.proto, proto::TCP | proto::UDP | proto::SCTP)
        && !pkt.is_fragment()
}

/// Whether the packet may begin a connection where there is one already (`is_new_conn`).
#[inline]
const fn is_opening(pkt: &Packet) -> bool {
    match pkt.proto {
        proto::TCP => pkt.flags.has(Flags::SYN),
        proto::SCTP => pkt.chunks().0 == sctp::INIT,
        _ => false,
    }
}

#[inline]
pub(super) const fn transmit(slot: Slot, entry: &Connection) -> Transmit {
    Transmit {
        forwarding: entry.forwarding,
        rip: entry.daddr,
        rport: entry.dport,
        connection: slot,
        destination: entry.destination,
    }
}

/// What a packet does to its connection.
#[derive(Clone, Copy)]
struct Step {
    /// The state is another one.
    changed: bool,
    /// The entry has to be looked at, at this time, before the queue would do so.
    earlier: Option<Time>,
}

/// Puts a packet on its connection: state and end of life. `timeouts`: those of the kernel, those of
/// FULLNAT.
#[expect(clippy::inline_always, reason = "every packet of a connection passes here")]
#[inline(always)]
fn step(
    entry: &mut Connection,
    now: Time,
    pkt: &Packet,
    direction: Direction,
    secure: bool,
    timeouts: [&Timeouts; 2],
) -> Step {
    let next = next_state(entry, pkt, direction, secure);
    let expires = now + timeouts[usize::from(entry.forwarding == Forwarding::FullNat)].get(next);
    let before = core::mem::replace(&mut entry.state, next);
    entry.expires = expires;
    Step { changed: next != before, earlier: (expires < entry.armed).then_some(expires) }
}

/// The state of a connection after a packet (`set_tcp_state`, `set_sctp_state`; UDP has only one).
#[inline]
pub(super) fn next_state(
    entry: &mut Connection,
    pkt: &Packet,
    mut direction: Direction,
    secure: bool,
) -> State {
    if entry.has(flag::NO_OUTPUT) && entry.state != State::Udp {
        if direction == Direction::Output {
            entry.flags &= !flag::NO_OUTPUT;
        } else {
            direction = Direction::InputOnly;
        }
    }
    state::next(entry.state, Event::of_packet(pkt), direction, secure)
}

/// Marks a connection as active or inactive by its state. If that is a change, tells which.
pub(super) fn recount(entry: &mut Connection) -> Option<bool> {
    let active = entry.state.is_active();
    if active == entry.is_active() || entry.forwarding == Forwarding::Bypass {
        return None;
    }
    entry.flags ^= flag::INACTIVE;
    Some(active)
}
