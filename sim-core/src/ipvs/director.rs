//! The way of a packet through IPVS (`ip_vs_core.c`).

use super::admin::IpvsError;
use super::connection::{Connection, Slot, Tuple, flag};
use super::rules::Forwarding;
use super::service::ServiceTable;
use super::state::{self, Direction, Event, State, Timeouts};
use super::table::Table;
use super::verdict::{DropReason, ReplyVerdict, Transmit, Verdict};
use crate::config::{IpvsConfig, IpvsSysctl};
use crate::engine::{Span, Stream, Time, Uniform};
use crate::wire::{AddressBook, Flags, Packet, proto};
use schedulers::{Flow, RandomSource};

/// The kernel's clock tick at `HZ` = 100. Deferred work runs one tick later.
pub const TICK: Span = Span::from_millis(10);

/// Source port of active FTP data connections: never scheduled.
const FTP_DATA: u16 = 20;

/// The load balancer of one director.
#[derive(Debug)]
pub struct Ipvs {
    pub(super) table: Table,
    pub(super) services: ServiceTable,
    pub(super) timeouts: Timeouts,
    pub(super) sysctl: IpvsSysctl,
    /// The `secure_tcp` defence is on.
    secure: bool,
    /// When connections of deleted destinations are dropped; [`Time::NEVER`] if nothing is to do.
    pub(super) flush_at: Time,
    /// Packets that found no destination.
    pub(super) no_destination: u64,
    random: Draws,
}

/// The draws of the scheduler `twos`.
#[derive(Debug)]
struct Draws(Stream);

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
}

impl Ipvs {
    /// A director with the rules of `config`, added in their order. `random` serves the scheduler
    /// `twos` and nothing else; `book` is that of the packets it will see.
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
            services: ServiceTable::default(),
            timeouts: Timeouts::default(),
            sysctl: config.sysctl,
            secure: false,
            flush_at: Time::NEVER,
            no_destination: 0,
            random: Draws(random),
        };
        let errors = ipvs.configure(config, book);
        if errors.is_empty() { Ok(ipvs) } else { Err(errors) }
    }

    /// Switches the TCP state tables of the `secure_tcp` defence on or off. Connections keep their
    /// states.
    pub const fn set_secure_tcp(&mut self, on: bool) {
        self.secure = on;
    }

    /// A packet arrived for an address of the director (hook `LOCAL_IN`, `ip_vs_in_hook`).
    ///
    /// ICMP is not looked at: see [`Ipvs::icmp_in`]. Packets of other protocols than TCP and UDP,
    /// and fragments, are accepted.
    pub fn request(&mut self, now: Time, pkt: &Packet, book: &mut AddressBook) -> Verdict {
        if !is_balanced(pkt) || self.services.is_empty() {
            return Verdict::Accept;
        }
        let tuple = Tuple::of(pkt);
        let Some(slot) = self.table.find_request(tuple) else {
            return self.schedule(now, tuple, pkt, book);
        };
        let entry = self.table.get_mut(slot);
        let destination = self.services.destination_mut(entry.destination);
        let opens = pkt.proto == proto::TCP && pkt.flags.has(Flags::SYN);
        if opens || !destination.available {
            match self.examine(slot, opens) {
                Found::Keep => {}
                Found::Drop(reason) => return Verdict::Drop(reason),
                Found::Renew => {
                    self.expire_now(now, slot);
                    return self.schedule(now, tuple, pkt, book);
                }
            }
        }
        let entry = self.table.get_mut(slot);
        self.services.destination_mut(entry.destination).packet_in(pkt.len);
        entry.packets_in = entry.packets_in.wrapping_add(1);
        let verdict = Verdict::Transmit(transmit(slot, entry));
        self.advance(now, slot, pkt, Direction::Input);
        verdict
    }

    /// What becomes of an entry found by a packet that may begin another connection (`opens`), or
    /// whose destination is not available.
    #[inline(never)]
    fn examine(&self, slot: Slot, opens: bool) -> Found {
        let entry = self.table.get(slot);
        if opens && self.starts_anew(entry) {
            return Found::Renew;
        }
        if self.services.destination(entry.destination).available {
            Found::Keep
        } else if self.sysctl.expire_nodest_conn {
            Found::Renew
        } else {
            Found::Drop(DropReason::DestinationGone)
        }
    }

    /// Whether a SYN that found `entry` begins another connection (`is_new_conn_expected`, and the
    /// rule for quiesced destinations).
    fn starts_anew(&self, entry: &Connection) -> bool {
        let mode = self.sysctl.conn_reuse_mode;
        let closed = matches!(entry.state, State::TimeWait | State::Close)
            || (mode & 2 != 0 && entry.state == State::FinWait && entry.has(flag::NO_OUTPUT));
        (mode != 0 && closed)
            || (self.sysctl.expire_nodest_conn && self.services.is_quiesced(entry.destination))
    }

    /// Ends an entry. It is still found and counted until its timer runs, in this instant.
    pub(super) fn expire_now(&mut self, now: Time, slot: Slot) {
        if self.table.get(slot).expires > now {
            self.table.renew(slot, now);
        }
    }

    /// Puts a packet on its connection: state, counters, timer.
    #[expect(clippy::inline_always, reason = "every packet of a connection passes here")]
    #[inline(always)]
    fn advance(&mut self, now: Time, slot: Slot, pkt: &Packet, direction: Direction) {
        let entry = self.table.get_mut(slot);
        let flip = enter_next_state(entry, pkt.flags, direction, self.secure);
        let expires = now + self.timeouts.get(entry.state);
        entry.expires = expires;
        let (armed, destination) = (entry.armed, entry.destination);
        if let Some(active) = flip {
            self.services.flip(destination, active);
        }
        if expires < armed {
            self.table.arm(slot, expires);
        }
    }

    /// A packet without a connection (`tcp_conn_schedule`, `ip_vs_schedule`, `ip_vs_leave`).
    fn schedule(
        &mut self,
        now: Time,
        tuple: Tuple,
        pkt: &Packet,
        book: &mut AddressBook,
    ) -> Verdict {
        if pkt.proto == proto::TCP {
            let opens = pkt.flags.has(Flags::SYN) || self.sysctl.sloppy_tcp;
            if !opens || pkt.flags.has(Flags::RST) {
                return Verdict::Accept;
            }
        }
        let vip = book.address(pkt.dst);
        let Some(index) = self.services.find(pkt.proto, vip, pkt.dport) else {
            return Verdict::Accept;
        };
        if pkt.sport == FTP_DATA {
            return Verdict::Accept;
        }
        let flow = Flow::new(book.address(pkt.src), pkt.sport, vip, pkt.dport);
        let scheduler = &mut self.services.service_mut(index).scheduler;
        let chosen = scheduler.schedule(&flow, now.as_nanos(), &mut self.random);
        let Some(id) = chosen.and_then(|id| self.services.of_pool(index, id)) else {
            self.no_destination += 1;
            return Verdict::Unreachable;
        };

        let destination = self.services.destination(id);
        let port = if destination.port == 0 { pkt.dport } else { destination.port };
        let state = if pkt.proto == proto::UDP { State::Udp } else { State::None };
        let method = destination.forwarding;
        let mut entry = Connection::new(tuple, id, (destination.rip, port), method, state);
        self.services.begin(id);
        self.services.destination_mut(id).packet_in(pkt.len);
        if let Some(active) = enter_next_state(&mut entry, pkt.flags, Direction::Input, self.secure)
        {
            self.services.flip(id, active);
        }
        entry.packets_in = 1;
        let slot = self.table.insert(entry, now + self.timeouts.get(entry.state));
        Verdict::Transmit(transmit(slot, &entry))
    }

    /// A packet passes the director on its way to a client: it is forwarded, or the own stack made
    /// it (hooks `FORWARD` and `LOCAL_OUT`, `ip_vs_out_hook`).
    pub fn reply(&mut self, now: Time, pkt: &Packet) -> ReplyVerdict {
        if !is_balanced(pkt) || self.services.is_empty() {
            return ReplyVerdict::Pass;
        }
        let Some(connection) = self.table.find_reply(Tuple::of(pkt)) else {
            return ReplyVerdict::Pass;
        };
        let entry = self.table.get(connection);
        self.services.destination_mut(entry.destination).packet_out(pkt.len);
        let verdict = match (entry.forwarding, entry.vip()) {
            (Forwarding::Nat, (vip, vport)) => ReplyVerdict::Translate { vip, vport, connection },
            _ => ReplyVerdict::Counted { connection },
        };
        self.advance(now, connection, pkt, Direction::Output);
        verdict
    }

    /// When [`Ipvs::on_deadline`] is to be called next. Every other call may bring it forward.
    /// `None`: never, nothing is pending.
    #[inline]
    pub fn next_deadline(&self) -> Option<Time> {
        let next = self.table.next().min(self.flush_at).min(self.services.work_at());
        (next != Time::NEVER).then_some(next)
    }

    /// Lets time pass until `now`: connections expire, deleted destinations are forgotten. Calling
    /// it early, late or twice does no harm; late calls find entries where they should be gone.
    pub fn on_deadline(&mut self, now: Time) {
        if self.flush_at <= now {
            self.flush_at = Time::NEVER;
            self.flush(now);
        }
        while let Some(entry) = self.table.expire(now) {
            self.services.end(entry.destination, entry.is_active());
        }
        self.services.work(now);
    }

    /// Ends the connections of deleted destinations (`ip_vs_expire_nodest_conn_flush`).
    fn flush(&mut self, now: Time) {
        let services = &self.services;
        let orphaned = |entry: &Connection| !services.destination(entry.destination).available;
        let slots: Vec<Slot> =
            self.table.iter().filter(|(_, entry)| orphaned(entry)).map(|(slot, _)| slot).collect();
        for slot in slots {
            self.expire_now(now, slot);
        }
    }
}

/// Whether IPVS has a handler for the packet's protocol and can see its ports.
#[inline]
fn is_balanced(pkt: &Packet) -> bool {
    pkt.kind.is_ip() && matches!(pkt.proto, proto::TCP | proto::UDP) && !pkt.is_fragment()
}

#[inline]
pub(super) const fn transmit(slot: Slot, entry: &Connection) -> Transmit {
    Transmit {
        forwarding: entry.forwarding,
        rip: entry.daddr,
        rport: entry.dport,
        connection: slot,
    }
}

/// Moves a connection to its next state (`set_tcp_state`; UDP has only one). If it became active
/// or inactive by that, tells which.
#[inline]
fn enter_next_state(
    entry: &mut Connection,
    flags: Flags,
    mut direction: Direction,
    secure: bool,
) -> Option<bool> {
    if entry.has(flag::NO_OUTPUT) && entry.state != State::Udp {
        if direction == Direction::Output {
            entry.flags &= !flag::NO_OUTPUT;
        } else {
            direction = Direction::InputOnly;
        }
    }
    let next = state::next(entry.state, Event::of(flags), direction, secure);
    if next == entry.state {
        return None;
    }
    entry.state = next;
    let active = next.is_active();
    if active == entry.is_active() {
        return None;
    }
    entry.flags ^= flag::INACTIVE;
    Some(active)
}
