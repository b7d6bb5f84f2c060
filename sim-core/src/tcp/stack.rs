//! The stack: the connections of one host, and the calls that applications make.

use hashbrown::HashTable;

use super::block::{Bits, Block, Cx, Fate, State, Tuple, ticks_since};
use super::icmp::PathMtus;
use super::input::Verdict;
use super::listener::Listeners;
use super::reassembly::Extras;
use super::time_wait::Ring;
use super::{Arrival, Conn, ConnectError, Counters, Endpoint, ListenError, MIN_MSS, Note, Output};
use crate::config::TcpConfig;
use crate::engine::Time;

/// Marks an entry of the connection table that stands for a connection in `TIME_WAIT`; the other bits are
/// its serial number.
pub(super) const TIME_WAIT_BIT: u32 = !Ring::MASK;

/// Who owns a tuple.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    /// A control block, by its slot.
    Block(u32),
    /// An entry of the `TIME_WAIT` ring, by its serial number.
    TimeWait(u32),
}

/// Every TCP connection of one host. See the [module](super) for how to drive it.
///
/// ```
/// use sim_core::config::TcpConfig;
/// use sim_core::engine::{Span, Time};
/// use sim_core::tcp::{Note, Output, TcpStack};
/// use sim_core::wire::Ip;
///
/// let (client, server) = ((Ip::new(10, 0, 0, 1), 40_000), (Ip::new(10, 0, 0, 2), 80));
/// let mut a = TcpStack::new(TcpConfig::default(), 64, 1);
/// let mut b = TcpStack::new(TcpConfig::default(), 64, 2);
/// b.listen(80, 128)?;
///
/// let (mut now, mut out) = (Time::ZERO, Output::default());
/// let iss = a.initial_sequence(now, client, server);
/// let conn = a.connect(now, client, server, iss, 0, 1500, &mut out)?;
/// for to_server in [true, false, true] {
///     now += Span::from_micros(50);
///     let packet = out.packets.remove(0);
///     let stack = if to_server { &mut b } else { &mut a };
///     stack.on_packet(now, &packet, 1500, &mut out);
/// }
/// assert_eq!(out.notes, [(conn, Note::Connected), (conn, Note::Accepted { listener: 0 })]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TcpStack {
    pub(super) config: TcpConfig,
    pub(super) ttl: u8,
    isn_key: u64,
    pub(super) slots: Vec<Block>,
    /// Slots to use next, last first.
    free: Vec<u32>,
    /// Slots of finished connections whose notes may not have been handled yet.
    dead: Vec<u32>,
    /// Slot numbers and serial numbers by tuple.
    pub(super) table: HashTable<u32>,
    /// Slots found last, by [`Tuple::short_hash`]: segments of a connection come in a row, and most
    /// of `table` is `TIME_WAIT`, which is seldom asked for.
    recent: [u32; RECENT],
    pub(super) ring: Ring,
    pub(super) listeners: Listeners,
    pub(super) extras: Extras,
    pub(super) paths: PathMtus,
    pub(super) counters: Counters,
}

/// Slots remembered as found last.
const RECENT: usize = 64;

impl TcpStack {
    /// The slot number of the wake that serves all connections in `TIME_WAIT`.
    pub const TIME_WAIT_SLOT: u32 = u32::MAX;

    /// A stack without connections and listeners. `ttl` goes into every packet. `isn_key` is the secret of
    /// the initial sequence numbers (RFC 6528): any number, best another one for each host.
    ///
    /// Settings out of range are brought into it: MSS at least 48, receive window 536 bytes to 1 GiB.
    pub fn new(mut config: TcpConfig, ttl: u8, isn_key: u64) -> Self {
        config.mss = config.mss.max(MIN_MSS);
        config.receive_window = config.receive_window.clamp(u32::from(super::DEFAULT_MSS), 1 << 30);
        Self {
            ring: Ring::new(config.time_wait),
            config,
            ttl,
            isn_key,
            slots: Vec::new(),
            free: Vec::new(),
            dead: Vec::new(),
            table: HashTable::new(),
            recent: [0; RECENT],
            listeners: Listeners::default(),
            extras: Extras::default(),
            paths: PathMtus::default(),
            counters: Counters::default(),
        }
    }

    /// Goes on with the counters of the same host's stack before it lost its power.
    pub fn inherit(&mut self, old: &Self) {
        self.counters = Counters { curr_estab: self.counters.curr_estab, ..old.counters };
    }

    /// The settings in use.
    pub fn config(&self) -> &TcpConfig {
        &self.config
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Connections that have a control block: from SYN to the last ACK, half-open ones included.
    pub fn connections(&self) -> usize {
        self.slots.len() - self.free.len() - self.dead.len()
    }

    /// Control blocks that there is room for without growing.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Connections in `TIME_WAIT`; up to 1/64 of that time too many, because memory is taken back in batches.
    pub fn time_waits(&self) -> usize {
        self.ring.len()
    }

    /// Listens to a port of every local address. At most `backlog` + 1 connections wait to be accepted,
    /// and at most `backlog` (at least one) are half-open; more SYNs are dropped, as Linux does. The listener's
    /// index, which [`Note::Accepted`] carries.
    ///
    /// # Errors
    ///
    /// [`ListenError::InUse`] if the port has a listener.
    pub fn listen(&mut self, port: u16, backlog: u32) -> Result<u32, ListenError> {
        self.listeners.open(port, backlog).map(u32::from).ok_or(ListenError::InUse)
    }

    /// Closes a listening port. Its half-open connections vanish without a word, as in Linux; established ones
    /// stay (an application that dies aborts those it has, see [`TcpStack::abort`]).
    pub fn stop_listening(&mut self, port: u16) {
        let Some(index) = self.listeners.close(port) else { return };
        for slot in 0..self.slots.len() as u32 {
            let block = &self.slots[slot as usize];
            if block.state == State::SynReceived && block.listener == index {
                self.end(Time::ZERO, slot, Fate::Dead(Note::Aborted), &mut Output::default());
            }
        }
    }

    /// Takes one connection out of the accept queue of a listener, making room for another one.
    pub fn accept(&mut self, listener: u32) {
        if let Ok(index) = u16::try_from(listener) {
            self.listeners.accept(index);
        }
    }

    /// The initial sequence number of RFC 6528 for a connection: a clock of 64 ns (as in Linux) plus a hash of
    /// the ends, so a port that is used again starts above where it stopped.
    pub fn initial_sequence(&self, now: Time, local: Endpoint, remote: Endpoint) -> u32 {
        let hash = Tuple::new(local, remote).hash();
        let mixed = (hash ^ self.isn_key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed >> 32) as u32).wrapping_add((now.as_nanos() >> 6) as u32)
    }

    /// Begins a handshake: sends a SYN with the initial sequence number `iss`. `tag` goes into every packet.
    /// `link_mtu` is the MTU of the interface towards the peer.
    ///
    /// # Errors
    ///
    /// When the connection exists already, or existed until lately. A caller tries its next port.
    #[expect(clippy::too_many_arguments, reason = "a SYN is made of all of these")]
    pub fn connect(
        &mut self,
        now: Time,
        local: Endpoint,
        remote: Endpoint,
        iss: u32,
        tag: u32,
        link_mtu: u16,
        out: &mut Output,
    ) -> Result<Conn, ConnectError> {
        let tuple = Tuple::new(local, remote);
        match self.find(now, &tuple) {
            Some(Owner::Block(_)) => return Err(ConnectError::InUse),
            Some(Owner::TimeWait(_)) => return Err(ConnectError::TimeWait),
            None => {}
        }
        let mut block = self.new_block(now, tuple, iss, link_mtu, tag);
        block.bits.set(Bits::ACTIVE);
        let slot = self.place(block);
        self.counters.active_opens += 1;
        self.run(now, slot, out, |block, cx| {
            block.send_syn(cx);
            block.rto_at = cx.now + block.rto_now(cx.config);
            block.arm_first(cx);
            (Fate::Live, Arrival::Delivered)
        });
        Ok(Conn(slot))
    }

    /// Queues one message of `bytes` bytes behind what was written before; its last byte is sent with PSH.
    /// Before the handshake is complete it waits. Nothing happens if `bytes` is 0, after
    /// [`TcpStack::close`], or when the connection is over.
    pub fn write(&mut self, now: Time, conn: Conn, bytes: u32, out: &mut Output) {
        self.call(now, conn, out, |block, cx| {
            if bytes == 0 || block.state.is_orphan() {
                return Fate::Live;
            }
            if block.end > block.una.max(1) {
                cx.extras.push_end(&mut block.extra, block.end);
            }
            block.end += u64::from(bytes);
            if block.state.is_established() {
                if block.flight() == 0 {
                    block.after_idle(ticks_since(cx.now, block.sent_at), cx.config);
                }
                block.output(cx);
            }
            Fate::Live
        });
    }

    /// Closes: sends a FIN behind the data; nothing is read any more. A RST instead if there are bytes that the
    /// application did not read (see [`TcpStack::set_reading`]), and nothing at all before the handshake
    /// is complete, as Linux does.
    pub fn close(&mut self, now: Time, conn: Conn, out: &mut Output) {
        self.call(now, conn, out, |block, cx| {
            let next = match block.state {
                State::SynSent => return Fate::Dead(Note::Closed),
                State::Established => State::FinWait1,
                State::CloseWait => State::LastAck,
                State::SynReceived => return block.abort(cx),
                _ => return Fate::Live,
            };
            if block.unread > 0 {
                return block.abort(cx);
            }
            block.enter(next, cx.counters);
            block.output(cx);
            Fate::Live
        });
    }

    /// Ends a connection at once: sends a RST unless the peer knows nothing of the connection or has closed as
    /// well (Linux `tcp_need_reset`). [`Note::Aborted`] follows.
    pub fn abort(&mut self, now: Time, conn: Conn, out: &mut Output) {
        self.call(now, conn, out, Block::abort);
    }

    /// Whether the application reads what arrives (it does at first). While it does not, arriving bytes
    /// fill the receive buffer and the window closes; when it does again, everything is read at once
    /// and the peer is told of the new window.
    pub fn set_reading(&mut self, now: Time, conn: Conn, reading: bool, out: &mut Output) {
        self.call(now, conn, out, |block, cx| {
            if !reading {
                block.bits.set(Bits::PAUSED);
                return Fate::Live;
            }
            block.bits.clear(Bits::PAUSED);
            block.unread = 0;
            // Linux tcp_cleanup_rbuf: tell of a window that is at least twice what the peer knows of
            if block.state.is_established() && cx.config.receive_window / 2 >= block.window() {
                block.send_ack(cx);
            }
            Fate::Live
        });
    }

    /// Bytes received in order so far.
    pub fn received(&self, conn: Conn) -> u64 {
        self.slots.get(conn.0 as usize).map_or(0, |b| b.received)
    }

    /// The tag of a connection's packets: given to [`TcpStack::connect`], or that of the SYN received.
    pub fn tag(&self, conn: Conn) -> u32 {
        self.slots.get(conn.0 as usize).map_or(u32::MAX, |b| b.tag)
    }

    /// The local and the remote end of a connection.
    pub fn tuple(&self, conn: Conn) -> (Endpoint, Endpoint) {
        let nowhere = (crate::wire::Ip::ANY, 0);
        self.slots
            .get(conn.0 as usize)
            .map_or((nowhere, nowhere), |b| (b.tuple.local(), b.tuple.remote()))
    }

    /// The number that the application gave to a connection; 0 at first.
    pub fn user(&self, conn: Conn) -> u32 {
        self.slots.get(conn.0 as usize).map_or(0, |b| b.user)
    }

    /// Gives a connection a number of the application's own.
    pub fn set_user(&mut self, conn: Conn, user: u32) {
        if let Some(block) = self.slots.get_mut(conn.0 as usize) {
            block.user = user;
        }
    }

    /// Makes slots of finished connections usable: their notes have been handled.
    #[inline]
    pub(super) fn reclaim(&mut self) {
        if !self.dead.is_empty() {
            self.free.append(&mut self.dead);
        }
    }

    /// Who owns a tuple at this moment.
    #[inline]
    pub(super) fn find(&mut self, now: Time, tuple: &Tuple) -> Option<Owner> {
        let hint = self.recent[tuple.short_hash() % RECENT];
        if let Some(block) = self.slots.get(hint as usize)
            && block.tuple == *tuple
            && block.state != State::Free
        {
            return Some(Owner::Block(hint));
        }
        self.find_slow(now, tuple)
    }

    /// [`TcpStack::find`] without a hint.
    #[inline(never)]
    fn find_slow(&mut self, now: Time, tuple: &Tuple) -> Option<Owner> {
        let Self { table, slots, ring, .. } = self;
        let id = *table.find(tuple.hash(), |&id| tuple_of(slots, ring, id) == tuple)?;
        if id & TIME_WAIT_BIT == 0 {
            self.recent[tuple.short_hash() % RECENT] = id;
            return Some(Owner::Block(id));
        }
        let serial = id & Ring::MASK;
        if self.ring.get(serial, now).is_some() {
            return Some(Owner::TimeWait(serial));
        }
        self.forget_time_wait(serial);
        None
    }

    /// Takes an entry out of `TIME_WAIT`.
    pub(super) fn forget_time_wait(&mut self, serial: u32) {
        self.remove_from_table(serial | TIME_WAIT_BIT);
        self.ring.remove(serial);
    }

    /// Takes an owner out of the connection table.
    pub(super) fn remove_from_table(&mut self, id: u32) {
        let hash = tuple_of(&self.slots, &self.ring, id).hash();
        if let Ok(entry) = self.table.find_entry(hash, |&other| other == id) {
            entry.remove();
        }
    }

    /// Puts an entry of the `TIME_WAIT` ring into the connection table.
    pub(super) fn insert_time_wait(&mut self, tuple: &Tuple, serial: u32) {
        let Self { table, slots, ring, .. } = self;
        let id = serial | TIME_WAIT_BIT;
        table.insert_unique(tuple.hash(), id, |&id| tuple_of(slots, ring, id).hash());
    }

    /// A block for a new connection, not yet in the table.
    pub(super) fn new_block(
        &self,
        now: Time,
        tuple: Tuple,
        iss: u32,
        link_mtu: u16,
        tag: u32,
    ) -> Block {
        let headers = tuple.headers();
        let own_mss = self.config.mss.min(link_mtu.saturating_sub(headers)).max(MIN_MSS);
        let path = self.paths.get(now, tuple.remote().0, link_mtu);
        Block::new(tuple, iss, own_mss, path.saturating_sub(headers).max(MIN_MSS), tag)
    }

    /// Puts a block into a slot and into the table.
    pub(super) fn place(&mut self, block: Block) -> u32 {
        let (hash, short) = (block.tuple.hash(), block.tuple.short_hash());
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = block;
            slot
        } else {
            assert!(self.slots.len() < Ring::MASK as usize, "slot numbers fit in 31 bits");
            self.slots.push(block);
            self.slots.len() as u32 - 1
        };
        let Self { table, slots, ring, .. } = self;
        table.insert_unique(hash, slot, |&id| tuple_of(slots, ring, id).hash());
        self.recent[short % RECENT] = slot;
        slot
    }

    /// Runs code of a block, then arms its next wake or ends the connection.
    #[inline]
    pub(super) fn run(
        &mut self,
        now: Time,
        slot: u32,
        out: &mut Output,
        code: impl FnOnce(&mut Block, &mut Cx<'_>) -> Verdict,
    ) -> Arrival {
        let Self { slots, config, ttl, counters, extras, listeners, .. } = self;
        let mut cx = Cx { now, slot, ttl: *ttl, config, out, counters, extras, listeners };
        let block = &mut slots[slot as usize];
        let (fate, arrival) = code(block, &mut cx);
        if fate == Fate::Live {
            block.arm(&mut cx);
        } else {
            self.end(now, slot, fate, out);
        }
        arrival
    }

    /// Runs code of a block on behalf of the application, if the connection is not over.
    fn call(
        &mut self,
        now: Time,
        conn: Conn,
        out: &mut Output,
        code: impl FnOnce(&mut Block, &mut Cx<'_>) -> Fate,
    ) {
        if self.slots.get(conn.0 as usize).is_some_and(|b| b.state != State::Free) {
            self.run(now, conn.0, out, |block, cx| (code(block, cx), Arrival::Delivered));
        }
    }

    /// The end of a block: a `TIME_WAIT` entry may remain, the application is told.
    #[cold]
    #[inline(never)]
    pub(super) fn end(&mut self, now: Time, slot: u32, fate: Fate, out: &mut Output) {
        let block = &mut self.slots[slot as usize];
        let (tuple, state, embryonic) = (block.tuple, block.state, block.is_embryonic());
        let listener = block.listener;
        let (snd_nxt, rcv_nxt) = (block.seq_of(block.max), block.rcv_nxt);
        self.extras.release(&mut block.extra);
        block.enter(State::Free, &mut self.counters);
        block.armed = Time::NEVER;
        let note = match fate {
            Fate::Dead(note) => note,
            Fate::Live | Fate::TimeWait => Note::Closed,
        };
        match state {
            State::SynSent | State::SynReceived => self.counters.attempt_fails += 1,
            State::Established | State::CloseWait => self.counters.estab_resets += 1,
            _ => {}
        }
        if embryonic {
            self.listeners.forget_half_open(listener);
        } else {
            out.notes.push((Conn(slot), note));
        }
        if fate == Fate::TimeWait && self.config.time_wait.as_nanos() > 0 {
            let (serial, wake) = self.ring.push(now, tuple, snd_nxt, rcv_nxt);
            if let Some(entry) = self.table.find_mut(tuple.hash(), |&id| id == slot) {
                *entry = serial | TIME_WAIT_BIT;
            }
            out.wakes.extend(wake.map(|at| (at, Self::TIME_WAIT_SLOT)));
        } else {
            self.remove_from_table(slot);
        }
        self.dead.push(slot);
    }
}

impl Block {
    /// Sends a RST if the peer needs one (Linux `tcp_need_reset`).
    fn abort(&mut self, cx: &mut Cx<'_>) -> Fate {
        let needed = match self.state {
            State::Established
            | State::CloseWait
            | State::FinWait1
            | State::FinWait2
            | State::SynReceived => true,
            State::Closing | State::LastAck => !self.fin_sent(),
            State::SynSent | State::Free => false,
        };
        if needed {
            self.send_reset(cx);
        }
        Fate::Dead(Note::Aborted)
    }
}

/// The tuple of an entry of the connection table.
#[inline]
pub(super) fn tuple_of<'a>(slots: &'a [Block], ring: &'a Ring, id: u32) -> &'a Tuple {
    if id & TIME_WAIT_BIT == 0 { &slots[id as usize].tuple } else { ring.tuple(id & Ring::MASK) }
}
