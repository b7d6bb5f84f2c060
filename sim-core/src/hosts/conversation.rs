//! What applications do with TCP: notes in, writes and closes out.

use super::Host;
use super::client::{self, Phase, Session};
use super::daemon::probe;
use super::fabric::{Event, Fabric};
use super::script;
use super::server::Reply;
use crate::config::Transport;
use crate::engine::{Span, Time};
use crate::observe::Failure;
use crate::tcp::{Conn, ConnectError, Note};
use crate::wire::Ip;

/// A connection that no application cares for any more.
pub(super) const NOBODY: u32 = 0;
/// Set in a connection's user word if a client session owns it; the rest is its number.
const CLIENT: u32 = 1 << 31;
/// Set if a server visit owns it.
pub(super) const SERVER: u32 = 1 << 30;

/// Ephemeral ports tried before a connection fails for want of one (`ip_local_port_range`).
const PORT_TRIES: u32 = 28_232;

/// Pause of a user of a closed loop after a conversation that took no time.
const NO_SPIN: Span = Span::from_millis(1);

impl Host {
    /// Sends, schedules and tells what the last calls of TCP left behind.
    #[inline]
    pub(super) fn tcp_output(&mut self, fab: &mut Fabric) {
        let mut note = 0;
        while let Some(&(conn, what)) = fab.out.notes.get(note) {
            note += 1;
            self.tcp_note(fab, conn, what);
        }
        fab.out.notes.clear();
        for &(at, slot) in &fab.out.wakes {
            fab.queue.push(at, Event::Tcp { host: self.number, slot });
        }
        fab.out.wakes.clear();
        if !fab.out.packets.is_empty() {
            self.tcp_send(fab);
        }
    }

    fn tcp_send(&mut self, fab: &mut Fabric) {
        let mut packets = core::mem::take(&mut fab.out.packets);
        if self.ip.balances {
            for &packet in &packets {
                self.director_output(fab, packet);
            }
        } else {
            for packet in &packets {
                self.ip.originate(fab, packet);
            }
        }
        packets.clear();
        fab.out.packets = packets;
    }

    fn tcp_note(&mut self, fab: &mut Fabric, conn: Conn, note: Note) {
        if fab.traced() {
            self.trace_note(fab, conn, note);
        }
        if let Note::Accepted { listener } = note {
            self.accepted(fab, conn, listener);
            return;
        }
        let user = self.tcp.user(conn);
        if user & CLIENT != 0 {
            self.client_note(fab, user & !CLIENT, note);
        } else if user & SERVER != 0 {
            self.server_note(fab, user & !SERVER, conn, note);
        } else if user & script::CLIENT != 0 {
            self.script_note(fab, user & !script::CLIENT, note);
        } else if user & probe::OWNER != 0 {
            self.probe_note(fab, user & !probe::OWNER, note);
        } else if user == script::SERVER {
            self.server_by_hand(fab, conn, note);
        }
    }

    /// A connection waits to be accepted. An application accepts at once while it has room for
    /// connections; beyond that they wait in the backlog.
    fn accepted(&mut self, fab: &mut Fabric, conn: Conn, listener: u32) {
        if self.scripts.owns_listener(listener) {
            self.accepted_by_hand(conn, listener);
            return;
        }
        let visit = self.servers.arrive(listener, conn);
        self.tcp.set_user(conn, SERVER | visit);
        let application = self.servers.visit(visit).application;
        let (peer, tag) = (self.tcp.tuple(conn).1, self.tcp.tag(conn));
        if probe::is_tag(tag) && fab.inquiries.of(tag, peer).is_some() {
            self.accept_waiting(fab, application);
            self.greet(fab, visit, tag);
            return;
        }
        fab.accepted(peer, tag, self.server_row + u32::from(application));
        self.accept_waiting(fab, application);
    }

    /// Accepts what waits while there is room, and catches up with what came meanwhile.
    pub(super) fn accept_waiting(&mut self, fab: &mut Fabric, application: u16) {
        while let Some((visit, listener)) = self.servers.accept(application) {
            self.tcp.accept(listener);
            let v = *self.servers.visit(visit);
            if v.gone {
                continue;
            }
            for _ in 0..v.early {
                self.server_note(fab, visit, v.conn, Note::MessageComplete { total: 0 });
            }
            if v.peer_closed {
                self.server_note(fab, visit, v.conn, Note::PeerClosed);
            }
        }
    }

    fn server_note(&mut self, fab: &mut Fabric, visit: u32, conn: Conn, note: Note) {
        let v = self.servers.visit(visit);
        match note {
            Note::MessageComplete { .. } if !v.accepted => v.early += 1,
            Note::MessageComplete { .. } => {
                let tag = self.tcp.tag(conn);
                if probe::is_tag(tag) && !self.passes_on(fab, visit, conn, tag) {
                    return;
                }
                if !self.servers.request(self.number, fab, visit, tag) {
                    self.tcp.abort(fab.now, conn, &mut fab.out);
                }
            }
            Note::PeerClosed => {
                v.peer_closed = true;
                if v.accepted && v.job == super::server::GONE {
                    self.tcp.close(fab.now, conn, &mut fab.out);
                }
            }
            note if note.is_final() => {
                let (application, accepted) = (v.application, v.accepted);
                self.servers.close(visit);
                if accepted {
                    self.accept_waiting(fab, application);
                }
            }
            _ => {}
        }
    }

    /// Carries out what server applications want to send.
    pub(super) fn answer(&mut self, fab: &mut Fabric) {
        let mut replies = core::mem::take(&mut self.replies);
        for reply in replies.drain(..) {
            if fab.traced() {
                self.trace_reply(fab, &reply);
            }
            match reply {
                Reply::Write { conn, visit, bytes, close } => {
                    self.tcp.write(fab.now, conn, bytes, &mut fab.out);
                    match close {
                        None => {}
                        Some(Span::ZERO) => self.tcp.close(fab.now, conn, &mut fab.out),
                        Some(pause) => {
                            let closes = fab.now + pause;
                            self.servers.visit(visit).closes = closes;
                            fab.queue.push(closes, Event::Close { host: self.number, visit });
                        }
                    }
                }
                Reply::Datagram { local, peer, bytes, tag } => {
                    self.send_datagram(fab, local, peer, bytes, (tag, None));
                }
            }
        }
        self.replies = replies;
        self.tcp_output(fab);
    }

    /// The pause between the last response and the close of a server application is over.
    pub(super) fn server_close(&mut self, fab: &mut Fabric, visit: u32) {
        let v = *self.servers.visit(visit);
        // a later connection may have taken the number
        if v.closes <= fab.now && self.tcp.user(v.conn) == SERVER | visit {
            self.tcp.close(fab.now, v.conn, &mut fab.out);
            self.tcp_output(fab);
        }
    }

    /// A client application starts a connection.
    pub(super) fn client_start(&mut self, fab: &mut Fabric, application: u32) {
        let (index, user) = ((application & 0xff) as usize, application >> 8);
        if fab.now >= self.plan.until {
            return;
        }
        let client = &mut self.clients[index];
        if client.started >= client.config.limit {
            return;
        }
        let number = client.started as u32;
        client.started += 1;
        if client.is_open_loop() {
            client.schedule(fab, self.number, application);
        }
        let transport = client.config.transport;
        let mut session = self.new_session(fab, index, number, user);
        let opened = match transport {
            Transport::Tcp => self.open_tcp(fab, &mut session),
            Transport::Udp => self.open_udp(fab, &mut session),
        };
        match opened {
            Ok(()) => self.tcp_output(fab),
            Err(failure) => {
                if fab.traced() {
                    self.trace_start(fab, &session);
                }
                self.finish(fab, &session, Some(failure));
            }
        }
    }

    fn new_session(&mut self, fab: &mut Fabric, index: usize, number: u32, user: u32) -> Session {
        let client = &mut self.clients[index];
        let counted = fab.now >= self.plan.warmup;
        fab.clients[client.row as usize].connections_offered += u64::from(counted);
        let patience = client.config.timeout.map_or(Time::NEVER, |t| fab.now + t);
        let id = fab.connections;
        fab.connections += 1;
        fab.talking += 1;
        Session {
            application: index as u16,
            phase: Phase::Connecting,
            counted,
            served: false,
            user,
            conn: Conn(u32::MAX),
            id,
            number,
            source: (Ip::ANY, 0),
            start: fab.now,
            connected: Time::NEVER,
            asked: Time::NEVER,
            first_byte: Time::NEVER,
            answered: Time::NEVER,
            wake: Time::NEVER,
            deadline: patience,
            armed: Time::NEVER,
            left: client.draw_requests(number),
            done: 0,
            bytes: 0,
        }
    }

    /// Takes the next free local port and sends a SYN. It fails without a route to the target or a
    /// free port.
    fn open_tcp(&mut self, fab: &mut Fabric, session: &mut Session) -> Result<(), Failure> {
        let client = &mut self.clients[session.application as usize];
        let target = client.target;
        let fallback = self.ip.source_for(&fab.book, target.0).ok_or(Failure::Unreachable)?;
        let (source, ip) = client.next_source(fallback);
        let mtu = self.ip.mtu_towards(&fab.book, target.0);
        let tag = client.tag(session.number);
        for _ in 0..PORT_TRIES {
            let local = (ip, client.next_port(source));
            let iss = self.tcp.initial_sequence(fab.now, local, target);
            match self.tcp.connect(fab.now, local, target, iss, tag, mtu, &mut fab.out) {
                Ok(conn) => {
                    session.source = local;
                    session.conn = conn;
                    let slot = self.keep_session(fab, *session);
                    self.tcp.set_user(conn, CLIENT | slot);
                    return Ok(());
                }
                Err(ConnectError::InUse | ConnectError::TimeWait) => {}
            }
        }
        Err(Failure::NoPort)
    }

    pub(super) fn keep_session(&mut self, fab: &mut Fabric, session: Session) -> u32 {
        if fab.traced() {
            self.trace_start(fab, &session);
        }
        let slot = if let Some(slot) = self.free_sessions.pop() {
            let place = &mut self.sessions[slot as usize];
            *place = Session { armed: place.armed, ..session };
            slot
        } else {
            self.sessions.push(session);
            self.sessions.len() as u32 - 1
        };
        if session.deadline != Time::NEVER && !self.arm(fab, slot) {
            let event = Event::Session { host: self.number, session: slot };
            fab.queue.push(session.deadline, event);
        }
        slot
    }

    /// Has a UDP session woken when its patience ends; `false` for another one. Most end long before: a
    /// wake-up that is no longer wanted stays in the queue and serves the next session in the slot, so there
    /// is one of them for each slot, not for each session. With TCP each session has its own, so that of
    /// patience and retransmission at one instant the patience, which was there first, ends first.
    fn arm(&mut self, fab: &mut Fabric, slot: u32) -> bool {
        let s = &mut self.sessions[slot as usize];
        let udp = self.clients[s.application as usize].config.transport == Transport::Udp;
        if udp && s.deadline < s.armed {
            s.armed = s.deadline;
            fab.queue.push(s.deadline, Event::Session { host: self.number, session: slot });
        }
        udp
    }

    fn client_note(&mut self, fab: &mut Fabric, slot: u32, note: Note) {
        let s = &mut self.sessions[slot as usize];
        match note {
            Note::Connected => {
                s.connected = fab.now;
                let client = &self.clients[s.application as usize];
                if s.counted {
                    fab.clients[client.row as usize].connect.record(fab.now - s.start);
                }
                self.ask(fab, slot);
            }
            Note::FirstByte => {
                s.answered = fab.now;
                if s.first_byte == Time::NEVER {
                    s.first_byte = fab.now;
                }
            }
            Note::MessageComplete { total } => self.response_complete(fab, slot, total),
            Note::PeerClosed => self.peer_closed(fab, slot),
            Note::Closed | Note::Reset | Note::Aborted => self.end(fab, slot, Failure::Reset),
            Note::Refused => self.end(fab, slot, Failure::Refused),
            Note::Unreachable => self.end(fab, slot, Failure::Unreachable),
            Note::TimedOut => self.end(fab, slot, Failure::TimedOut),
            Note::Accepted { .. } => {}
        }
    }

    /// Sends the next request.
    fn ask(&mut self, fab: &mut Fabric, slot: u32) {
        let s = &mut self.sessions[slot as usize];
        let client = &mut self.clients[s.application as usize];
        let (bytes, _) = client.draw_request(s.number, s.done);
        s.phase = Phase::Waiting;
        s.asked = fab.now;
        s.answered = Time::NEVER;
        fab.clients[client.row as usize].requests_offered += u64::from(s.counted);
        self.tcp.write(fab.now, s.conn, bytes, &mut fab.out);
    }

    fn response_complete(&mut self, fab: &mut Fabric, slot: u32, total: u64) {
        let s = &mut self.sessions[slot as usize];
        let client = &mut self.clients[s.application as usize];
        if s.left == 0 {
            return;
        }
        fab.clients[client.row as usize].bytes_received += (total - s.bytes) * u64::from(s.counted);
        s.bytes = total;
        s.done += 1;
        s.left -= 1;
        client.count_response(fab, s);
        if s.left > 0 {
            let (_, pause) = client.draw_request(s.number, s.done);
            if pause == Span::ZERO {
                self.ask(fab, slot);
            } else {
                s.phase = Phase::Thinking;
                self.wake_at(fab, slot, fab.now + pause);
            }
            return;
        }
        s.served = true;
        s.phase = Phase::Closing;
        if client.closes() {
            let conn = s.conn;
            self.tcp.close(fab.now, conn, &mut fab.out);
            self.leave(fab, slot, conn);
        }
    }

    /// The server has closed: in order after the last response, a failure before it.
    fn peer_closed(&mut self, fab: &mut Fabric, slot: u32) {
        let s = &mut self.sessions[slot as usize];
        let client = &mut self.clients[s.application as usize];
        let pause = client.draw_close_delay(s.number);
        if s.served && pause > Span::ZERO {
            self.wake_at(fab, slot, fab.now + pause);
            return;
        }
        self.close_session(fab, slot);
    }

    fn close_session(&mut self, fab: &mut Fabric, slot: u32) {
        let conn = self.sessions[slot as usize].conn;
        self.tcp.close(fab.now, conn, &mut fab.out);
        self.leave(fab, slot, conn);
    }

    /// The application is done with a connection; what TCP still does with it concerns nobody.
    fn leave(&mut self, fab: &mut Fabric, slot: u32, conn: Conn) {
        self.tcp.set_user(conn, NOBODY);
        self.end(fab, slot, Failure::Reset);
    }

    fn wake_at(&mut self, fab: &mut Fabric, slot: u32, at: Time) {
        self.sessions[slot as usize].wake = at;
        fab.queue.push(at, Event::Session { host: self.number, session: slot });
    }

    /// Think time, pause or patience of a session may be over.
    pub(super) fn session_wake(&mut self, fab: &mut Fabric, slot: u32) {
        let s = &mut self.sessions[slot as usize];
        if s.armed <= fab.now {
            s.armed = Time::NEVER;
        }
        if s.deadline <= fab.now {
            self.out_of_patience(fab, slot);
        } else if s.wake <= fab.now {
            s.wake = Time::NEVER;
            match s.phase {
                Phase::Thinking => self.ask(fab, slot),
                Phase::Closing => self.close_session(fab, slot),
                Phase::Connecting | Phase::Waiting => {}
            }
        }
        self.arm(fab, slot);
        self.tcp_output(fab);
    }

    fn out_of_patience(&mut self, fab: &mut Fabric, slot: u32) {
        let s = self.sessions[slot as usize];
        if self.clients[s.application as usize].config.transport == Transport::Udp {
            self.sockets.close(s.source);
        } else {
            self.tcp.abort(fab.now, s.conn, &mut fab.out);
            self.tcp.set_user(s.conn, NOBODY);
        }
        self.end(fab, slot, Failure::TimedOut);
    }

    /// A session ends: served if all responses came, else failed.
    pub(super) fn end(&mut self, fab: &mut Fabric, slot: u32, failure: Failure) {
        let s = &mut self.sessions[slot as usize];
        let session = *s;
        s.deadline = Time::NEVER;
        s.wake = Time::NEVER;
        self.free_sessions.push(slot);
        self.finish(fab, &session, (!session.served).then_some(failure));
    }

    pub(super) fn finish(&mut self, fab: &mut Fabric, s: &Session, failure: Option<Failure>) {
        self.record(fab, s, failure);
        let index = s.application as usize;
        let client = &mut self.clients[index];
        if !client.is_open_loop() {
            // a user who fails at once and does not think would try again at the same instant
            let pause = if s.start == fab.now { NO_SPIN } else { Span::ZERO };
            client.user_returns(fab, self.number, index as u32, s.user, pause);
        }
    }

    /// Counts how a conversation ended.
    fn record(&mut self, fab: &mut Fabric, s: &Session, failure: Option<Failure>) {
        if fab.traced() {
            self.trace_end(fab, s, failure);
        }
        let index = s.application as usize;
        let client = &mut self.clients[index];
        fab.talking -= 1;
        if let Some(failure) = failure {
            client.count_failure(fab, s, failure);
        }
        if fab.rows.is_some() && s.counted {
            let target = client.config.target;
            let source = (fab.book.address(s.source.0), s.source.1);
            let mut row = client::row(s, client.row, (source, target), fab.now, failure);
            row.server = fab.server_of(s.source, client.tag(s.number));
            fab.rows.get_or_insert_default().push(row);
        }
    }

    /// The numbers of the conversations that have not ended.
    pub(super) fn live_sessions(&self) -> Vec<u32> {
        let mut live = vec![true; self.sessions.len()];
        for &slot in &self.free_sessions {
            live[slot as usize] = false;
        }
        (0..live.len() as u32).filter(|&slot| live[slot as usize]).collect()
    }

    /// Conversations that are neither served nor failed count as unfinished.
    pub fn finish_all(&mut self, fab: &mut Fabric) {
        for slot in self.live_sessions() {
            let s = self.sessions[slot as usize];
            // the run is over: nobody comes back
            self.record(fab, &s, (!s.served).then_some(Failure::Unfinished));
        }
    }
}
