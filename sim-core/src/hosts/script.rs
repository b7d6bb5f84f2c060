//! Applications that are led by hand: a client that does one thing after another and tells what came of
//! each, and a server that does what the client wishes.
//!
//! Packets carry no bytes, so what is said on a connection is kept beside it ([`Talks`]), under the tag
//! of its packets.

use super::Host;
use super::fabric::{Event, Fabric};
use crate::engine::{FxMap, Span, Time};
use crate::tcp::{Conn, Note};
use crate::wire::{Ip, Packet, icmp, proto};
use std::collections::VecDeque;

/// Set in a connection's user word if a script owns it; the rest is its number.
pub(super) const CLIENT: u32 = 1 << 29;
/// Set if the server led by hand owns it.
pub(super) const SERVER: u32 = 1 << 28;

/// Tags of scripts count from here, away from those of other applications' first connections.
const FIRST_TAG: u32 = 1 << 30;

/// What a request asks the server to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wish {
    /// Bytes to answer with; 0 for no answer.
    pub answer: u32,
    /// What then.
    pub then: Then,
}

/// What a server does after it answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// It keeps the connection.
    Keep,
    /// It closes it.
    Close,
    /// It resets it.
    Reset,
}

/// What a client does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Opens a connection.
    Connect,
    /// Sends a message of so many bytes.
    Send(u32, Wish),
    /// Waits for one message.
    Receive,
    /// Waits for all that comes until the peer closes.
    ReceiveAll,
    /// Waits.
    Sleep(Span),
    /// Waits until so long after the beginning of the script.
    SleepUntil(Span),
    /// Closes.
    Close,
    /// Sends a datagram with a time to live, the usual one if absent.
    SendTo(u32, Option<u8>, Wish),
    /// Waits for a datagram.
    ReceiveFrom,
    /// Sends an ICMP echo request with so many bytes of data, and waits for the answer. The script's own
    /// port is the identifier.
    Echo(u16),
}

/// What came of an act.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Done.
    Done,
    /// Received so many bytes from the server on this host.
    Received {
        /// Host number; `None`: from something that is led by nobody.
        host: Option<u16>,
        /// Bytes.
        bytes: u64,
    },
    /// The peer has closed.
    EndOfFile,
    /// It failed.
    Failed(Error),
}

/// Why an act failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// Patience ended.
    TimedOut,
    /// `ECONNREFUSED`.
    Refused,
    /// `ECONNRESET`.
    Reset,
    /// `EHOSTUNREACH`.
    HostUnreachable,
    /// `ENETUNREACH`: no route from here.
    NetUnreachable,
    /// `EPIPE`: the connection is gone.
    BrokenPipe,
    /// `ETIMEDOUT`: TCP has given up.
    GaveUp,
    /// `EADDRINUSE` or `EADDRNOTAVAIL`: the local end is taken.
    LocalEnd,
}

/// A plan of what to do on one connection or with one datagram socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// Where to.
    pub target: (Ip, u16),
    /// Own address, if it is not the one that routing selects.
    pub source: Option<Ip>,
    /// Own port.
    pub port: u16,
    /// How long each act may take.
    pub patience: Span,
    /// The acts in order.
    pub acts: Vec<Act>,
    /// Whether a failure ends it: the last act follows at once. Otherwise it goes on as planned.
    pub gives_up: bool,
}

/// How far a script has come.
#[derive(Clone, Debug)]
pub struct Progress {
    script: Script,
    conn: Option<Conn>,
    local: (Ip, u16),
    tag: u32,
    /// The act in hand.
    next: usize,
    /// When the script began.
    begun: Time,
    /// The act in hand fails, or sleeps, until here.
    until: Time,
    /// Messages that came and were not received yet: bytes since the start.
    messages: VecDeque<u64>,
    received: u64,
    /// The peer has closed.
    ended: bool,
    /// The connection is over, and the error that the next act learns of, once.
    over: bool,
    error: Option<Error>,
    /// Results of the acts done: when and what.
    pub results: Vec<(Time, Outcome)>,
    /// The ICMP error that ended an act: type, code, sender.
    pub icmp: Option<(u8, u8, Ip)>,
}

impl Progress {
    /// Whether every act is done.
    pub fn is_finished(&self) -> bool {
        self.next >= self.script.acts.len()
    }

    /// The own end, once it has sent something.
    pub const fn local(&self) -> (Ip, u16) {
        self.local
    }
}

/// What was said on the connections of scripts, by the tag of their packets.
#[derive(Clone, Debug, Default)]
pub struct Talks {
    all: FxMap<u32, Talk>,
    next: u32,
}

#[derive(Clone, Debug, Default)]
struct Talk {
    /// What the messages under way ask for.
    wishes: VecDeque<Wish>,
    /// Who answered last.
    by: Option<u16>,
}

impl Talks {
    fn begin(&mut self) -> u32 {
        let tag = FIRST_TAG | self.next;
        self.next += 1;
        self.all.insert(tag, Talk::default());
        tag
    }

    fn say(&mut self, tag: u32, wish: Wish) {
        self.all.entry(tag).or_default().wishes.push_back(wish);
    }

    /// A host heard a message: what it asks for.
    fn hear(&mut self, tag: u32, host: u16) -> Option<Wish> {
        let talk = self.all.get_mut(&tag)?;
        talk.by = Some(host);
        talk.wishes.pop_front()
    }

    fn by(&self, tag: u32) -> Option<u16> {
        self.all.get(&tag).and_then(|t| t.by)
    }
}

/// The scripts of a host and the ports that its server led by hand listens to.
#[derive(Clone, Debug, Default)]
pub struct Scripts {
    all: Vec<Progress>,
    listeners: Vec<u32>,
    datagrams: Vec<u16>,
}

impl Scripts {
    /// A script by its number.
    pub fn get(&self, number: u32) -> Option<&Progress> {
        self.all.get(number as usize)
    }

    /// Whether a listener of TCP belongs to the server led by hand.
    pub(super) fn owns_listener(&self, listener: u32) -> bool {
        self.listeners.contains(&listener)
    }

    /// Whether the server led by hand takes datagrams on a port.
    pub(super) fn takes(&self, port: u16) -> bool {
        self.datagrams.contains(&port)
    }

    /// The machine that they ran on is gone: nobody listens any more.
    pub(super) fn halt(&mut self) {
        self.listeners.clear();
        self.datagrams.clear();
    }

    /// The script that waits for datagrams at an own end.
    fn socket(&self, local: (Ip, u16)) -> Option<u32> {
        let waits = |p: &Progress| p.conn.is_none() && p.local == local && !p.is_finished();
        self.all.iter().position(waits).map(|n| n as u32)
    }
}

impl Host {
    /// Listens to ports of TCP and of UDP with the server led by hand. A port that is taken is passed
    /// over.
    pub fn serve_by_hand(&mut self, tcp: &[u16], udp: &[u16]) {
        for port in tcp {
            if let Ok(listener) = self.tcp.listen(*port, 128) {
                self.scripts.listeners.push(listener);
            }
        }
        self.scripts.datagrams.extend(udp);
    }

    /// Begins a script; its number.
    pub fn begin_script(&mut self, fab: &mut Fabric, script: Script) -> u32 {
        let number = self.scripts.all.len() as u32;
        let source = script.source.or_else(|| self.ip.source_for(&fab.book, script.target.0));
        let error = if source.is_none() { Some(Error::NetUnreachable) } else { None };
        let local = (source.unwrap_or_default(), script.port);
        let tag = fab.talks.begin();
        self.scripts.all.push(Progress {
            script,
            conn: None,
            local,
            tag,
            next: 0,
            begun: fab.now,
            until: Time::NEVER,
            messages: VecDeque::new(),
            received: 0,
            ended: false,
            over: false,
            error,
            results: Vec::new(),
            icmp: None,
        });
        self.take_up(fab, number);
        self.go_on(fab, number);
        self.tcp_output(fab);
        self.settle(fab);
        number
    }

    /// Patience or sleep of a script may be over.
    pub(super) fn script_wake(&mut self, fab: &mut Fabric, number: u32) {
        let p = &mut self.scripts.all[number as usize];
        if p.until > fab.now {
            return;
        }
        p.until = Time::NEVER;
        let slept = matches!(p.script.acts.get(p.next), Some(Act::Sleep(_) | Act::SleepUntil(_)));
        let outcome = if slept { Outcome::Done } else { Outcome::Failed(Error::TimedOut) };
        self.done(fab, number, outcome);
        self.go_on(fab, number);
        self.tcp_output(fab);
    }

    /// Goes on as far as it can.
    fn go_on(&mut self, fab: &mut Fabric, number: u32) {
        while let Some(outcome) = self.scripts.all[number as usize].result(fab) {
            self.done(fab, number, outcome);
        }
    }

    /// The act in hand is done; the next one is taken up.
    fn done(&mut self, fab: &mut Fabric, number: u32, outcome: Outcome) {
        let p = &mut self.scripts.all[number as usize];
        p.results.push((fab.now, outcome));
        p.next += 1;
        p.until = Time::NEVER;
        if p.script.gives_up && matches!(outcome, Outcome::Failed(_)) {
            p.next = p.next.max(p.script.acts.len().saturating_sub(1));
        }
        self.take_up(fab, number);
    }

    /// Begins the act in hand.
    fn take_up(&mut self, fab: &mut Fabric, number: u32) {
        let p = &mut self.scripts.all[number as usize];
        let Some(&act) = p.script.acts.get(p.next) else { return };
        p.until = match act {
            Act::Sleep(span) => fab.now + span,
            Act::SleepUntil(span) => fab.now.max(p.begun + span),
            _ => fab.now + p.script.patience,
        };
        fab.queue.push(p.until, Event::Script { host: self.number, script: number });
        let (local, target, tag) = (p.local, p.script.target, p.tag);
        match act {
            Act::Connect if p.error.is_none() => {
                let mtu = self.ip.mtu_towards(&fab.book, target.0);
                let iss = self.tcp.initial_sequence(fab.now, local, target);
                let connect = self.tcp.connect(fab.now, local, target, iss, tag, mtu, &mut fab.out);
                let p = &mut self.scripts.all[number as usize];
                match connect {
                    Ok(conn) => {
                        p.conn = Some(conn);
                        self.tcp.set_user(conn, CLIENT | number);
                    }
                    Err(_) => p.error = Some(Error::LocalEnd),
                }
            }
            Act::Send(bytes, wish) => {
                if let Some(conn) = p.conn.filter(|_| !p.over) {
                    fab.talks.say(tag, wish);
                    self.tcp.write(fab.now, conn, bytes, &mut fab.out);
                }
            }
            Act::SendTo(bytes, ttl, wish) if p.error.is_none() => {
                fab.talks.say(tag, wish);
                self.send_datagram(fab, local, target, bytes, (tag, ttl));
            }
            Act::Echo(bytes) if p.error.is_none() => {
                let mut echo = Packet::ip(local.0, target.0, proto::ICMP, 8 + bytes);
                echo.sport = u16::from(icmp::ECHO);
                echo.seq = u32::from(local.1) << 16 | (p.next as u32 + 1);
                echo.ttl = self.ip.sysctl.default_ttl;
                echo.tag = tag;
                self.ip.originate(fab, &echo);
            }
            Act::Close => {
                if let Some(conn) = p.conn.take().filter(|_| !p.over) {
                    p.over = true;
                    self.tcp.set_user(conn, 0);
                    self.tcp.close(fab.now, conn, &mut fab.out);
                }
            }
            _ => {}
        }
    }

    /// TCP has news for a script.
    pub(super) fn script_note(&mut self, fab: &mut Fabric, number: u32, note: Note) {
        let p = &mut self.scripts.all[number as usize];
        match note {
            Note::Connected if p.script.acts.get(p.next) == Some(&Act::Connect) => {
                self.done(fab, number, Outcome::Done);
            }
            Note::MessageComplete { total } => p.messages.push_back(total),
            Note::PeerClosed => p.ended = true,
            note if note.is_final() => {
                p.over = true;
                p.error = match note {
                    Note::Refused => Some(Error::Refused),
                    Note::Unreachable => Some(Error::HostUnreachable),
                    Note::TimedOut => Some(Error::GaveUp),
                    Note::Reset => Some(Error::Reset),
                    _ => None,
                };
            }
            _ => {}
        }
        self.go_on(fab, number);
    }

    /// A connection to the server led by hand waits to be accepted.
    pub(super) fn accepted_by_hand(&mut self, conn: Conn, listener: u32) {
        self.tcp.set_user(conn, SERVER);
        self.tcp.accept(listener);
    }

    /// TCP has news for the server led by hand.
    pub(super) fn server_by_hand(&mut self, fab: &mut Fabric, conn: Conn, note: Note) {
        match note {
            Note::MessageComplete { .. } => {
                let tag = self.tcp.tag(conn);
                let Some(wish) = fab.talks.hear(tag, self.number) else { return };
                if wish.answer > 0 {
                    self.tcp.write(fab.now, conn, wish.answer, &mut fab.out);
                }
                match wish.then {
                    Then::Keep => {}
                    Then::Close => self.tcp.close(fab.now, conn, &mut fab.out),
                    Then::Reset => self.tcp.abort(fab.now, conn, &mut fab.out),
                }
            }
            Note::PeerClosed => self.tcp.close(fab.now, conn, &mut fab.out),
            _ => {}
        }
    }

    /// A datagram for the server led by hand or for a script. Whether one of them took it.
    pub(super) fn datagram_by_hand(&mut self, fab: &mut Fabric, p: &Packet) -> bool {
        let local = (p.dst, p.dport);
        if let Some(number) = self.scripts.socket(local) {
            let script = &mut self.scripts.all[number as usize];
            if (p.src, p.sport) == script.script.target {
                script.received += u64::from(p.payload());
                script.messages.push_back(script.received);
                self.go_on(fab, number);
            }
            return true;
        }
        if !self.scripts.takes(p.dport) {
            return false;
        }
        if let Some(wish) = fab.talks.hear(p.tag, self.number) {
            self.send_datagram(fab, local, (p.src, p.sport), wish.answer, (p.tag, None));
        }
        true
    }

    /// An answer to an ICMP echo request.
    pub(super) fn echo_by_hand(&mut self, fab: &mut Fabric, p: &Packet) {
        let local = (p.dst, (p.seq >> 16) as u16);
        let Some(number) = self.scripts.socket(local) else { return };
        let script = &mut self.scripts.all[number as usize];
        if script.script.target.0 == p.src {
            script.received += u64::from(p.len);
            script.messages.push_back(script.received);
            self.go_on(fab, number);
        }
    }

    /// Sends a packet that somebody made by hand.
    pub fn send_by_hand(&mut self, fab: &mut Fabric, packet: &Packet) {
        self.ip.originate(fab, packet);
        self.settle(fab);
    }

    /// An ICMP error from `from` about a datagram of a script. Whether there is such a script.
    pub(super) fn error_by_hand(
        &mut self,
        fab: &mut Fabric,
        quoted: &Packet,
        (kind, code): (u8, u8),
        from: Ip,
    ) -> bool {
        let Some(number) = self.scripts.socket((quoted.src, quoted.sport)) else { return false };
        let p = &mut self.scripts.all[number as usize];
        let error = match (kind, code) {
            (icmp::UNREACHABLE, icmp::PORT | icmp::PROTOCOL) => Error::Refused,
            (icmp::UNREACHABLE, icmp::NET) => Error::NetUnreachable,
            (icmp::UNREACHABLE, icmp::HOST) | (icmp::TIME_EXCEEDED, _) => Error::HostUnreachable,
            _ => return false,
        };
        p.error = Some(error);
        p.icmp = Some((kind, code, from));
        self.go_on(fab, number);
        true
    }
}

impl Progress {
    /// The result of the act in hand, if it has one.
    fn result(&mut self, fab: &Fabric) -> Option<Outcome> {
        let act = *self.script.acts.get(self.next)?;
        match act {
            Act::Sleep(_) | Act::SleepUntil(_) => None,
            Act::Close => Some(Outcome::Done),
            Act::Connect | Act::SendTo(..) => {
                let failed = self.error.take().map(Outcome::Failed);
                failed.or_else(|| (act != Act::Connect).then_some(Outcome::Done))
            }
            Act::Send(..) => Some(match self.error.take() {
                Some(error) => Outcome::Failed(error),
                None if self.over || self.conn.is_none() => Outcome::Failed(Error::BrokenPipe),
                None => Outcome::Done,
            }),
            Act::Receive | Act::ReceiveFrom | Act::Echo(_) => match self.messages.pop_front() {
                Some(bytes) => Some(Outcome::Received { host: fab.talks.by(self.tag), bytes }),
                None => self.end(),
            },
            Act::ReceiveAll if self.ended && self.error.is_none() => {
                let bytes = self.messages.pop_back();
                self.messages.clear();
                bytes.map_or(Some(Outcome::EndOfFile), |bytes| {
                    Some(Outcome::Received { host: fab.talks.by(self.tag), bytes })
                })
            }
            Act::ReceiveAll => self.end(),
        }
    }

    /// What one who waits for bytes learns when none will come.
    fn end(&mut self) -> Option<Outcome> {
        match self.error.take() {
            Some(error) => Some(Outcome::Failed(error)),
            None => (self.ended || self.over).then_some(Outcome::EndOfFile),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::topology::sample;
    use crate::world::World;

    /// Two hosts on a cable; the second one is led by hand.
    fn pair() -> (World, Ip) {
        let mut config = sample::dr();
        for host in &mut config.hosts {
            host.clients.clear();
            host.servers.clear();
            host.ipvs = None;
        }
        let mut world = World::build(&config).unwrap();
        let to = first_address(&world, 2);
        world.at_host(2, |h, _| h.serve_by_hand(&[80, 81], &[53]));
        (world, to)
    }

    fn first_address(world: &World, host: usize) -> Ip {
        world.hosts()[host].ip.interfaces[0].addresses[0].ip
    }

    fn play(world: &mut World, script: Script) -> Progress {
        let number = world.at_host(0, |h, fab| h.begin_script(fab, script)).unwrap();
        world.run_until(world.now() + Span::from_secs(20));
        world.hosts()[0].scripts.get(number).unwrap().clone()
    }

    fn script(to: (Ip, u16), acts: Vec<Act>) -> Script {
        let patience = Span::from_secs(2);
        Script { target: to, source: None, port: 40_000, patience, acts, gives_up: false }
    }

    fn outcomes(progress: &Progress) -> Vec<Outcome> {
        assert!(progress.is_finished());
        progress.results.iter().map(|r| r.1).collect()
    }

    fn answered(host: u16, bytes: u64) -> Outcome {
        Outcome::Received { host: Some(host), bytes }
    }

    #[test]
    fn a_server_does_what_the_client_wishes() {
        let (mut world, to) = pair();
        let keep = Wish { answer: 4, then: Then::Keep };
        let close = Wish { answer: 3000, then: Then::Close };
        let acts = vec![
            Act::Connect,
            Act::Send(8, keep),
            Act::Receive,
            Act::Sleep(Span::from_millis(50)),
            Act::SleepUntil(Span::from_millis(500)),
            Act::Send(8, close),
            Act::ReceiveAll,
            Act::Close,
        ];
        let progress = play(&mut world, script((to, 80), acts));
        let done = Outcome::Done;
        let all = [done, done, answered(2, 4), done, done, done, answered(2, 3004), done];
        assert_eq!(outcomes(&progress), all);
        assert_eq!(progress.results[4].0, Time::ZERO + Span::from_millis(500));
        assert_eq!(progress.local(), (first_address(&world, 0), 40_000));
    }

    #[test]
    fn a_reset_is_learned_once_and_then_the_pipe_is_broken() {
        let (mut world, to) = pair();
        let reset = Wish { answer: 0, then: Then::Reset };
        let acts = vec![
            Act::Connect,
            Act::Send(5, reset),
            Act::Receive,
            Act::Send(5, reset),
            Act::Receive,
        ];
        let progress = play(&mut world, script((to, 81), acts));
        let failed = Outcome::Failed;
        let all = [Outcome::Done, Outcome::Done, failed(Error::Reset)];
        assert_eq!(outcomes(&progress)[..3], all);
        assert_eq!(outcomes(&progress)[3..], [failed(Error::BrokenPipe), Outcome::EndOfFile]);
    }

    #[test]
    fn failures_have_the_names_that_sockets_give_them() {
        let (mut world, to) = pair();
        let wish = Wish { answer: 5, then: Then::Keep };
        let mut ask = |to: (Ip, u16), acts: Vec<Act>| {
            let script = Script { gives_up: true, ..script(to, acts) };
            let progress = play(&mut world, script);
            (outcomes(&progress)[0], progress.results.len(), progress.icmp)
        };
        let connect = || vec![Act::Connect, Act::Send(1, wish), Act::Close];
        let refused = Outcome::Failed(Error::Refused);
        assert_eq!(ask((to, 9), connect()), (refused, 2, None));
        let nobody = Ip(to.0 + 90);
        assert_eq!(ask((nobody, 80), connect()).0, Outcome::Failed(Error::TimedOut));
        let beyond = Ip::new(203, 0, 113, 9);
        assert_eq!(ask((beyond, 80), connect()).0, Outcome::Failed(Error::NetUnreachable));
        let datagram = |ttl| vec![Act::SendTo(1, ttl, wish), Act::ReceiveFrom, Act::Close];
        assert_eq!(ask((to, 53), datagram(None)), (Outcome::Done, 3, None));
    }

    #[test]
    fn an_icmp_error_about_a_datagram_is_told_with_its_sender() {
        let (mut world, to) = pair();
        let wish = Wish { answer: 5, then: Then::Keep };
        let acts = vec![Act::SendTo(1, None, wish), Act::ReceiveFrom];
        let closed = play(&mut world, script((to, 54), acts.clone()));
        assert_eq!(outcomes(&closed)[1], Outcome::Failed(Error::Refused));
        assert_eq!(closed.icmp, Some((icmp::UNREACHABLE, icmp::PORT, to)));
        let open = play(&mut world, script((to, 53), acts));
        assert_eq!(outcomes(&open), [Outcome::Done, answered(2, 5)]);
    }

    #[test]
    fn an_echo_is_answered_or_not() {
        let (mut world, to) = pair();
        let echoes = vec![Act::Echo(56), Act::Echo(56)];
        let came = |bytes| Outcome::Received { host: None, bytes };
        let progress = play(&mut world, script((to, 7), echoes));
        assert_eq!(outcomes(&progress), [came(84), came(168)]);
        let nobody = Ip(to.0 + 90);
        let silence = play(&mut world, script((nobody, 7), vec![Act::Echo(56)]));
        assert_eq!(outcomes(&silence), [Outcome::Failed(Error::TimedOut)]);
    }
}
