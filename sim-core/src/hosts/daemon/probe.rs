//! Probes: questions to a server over the own stack of a host, one connection or datagram each.
//!
//! The packets are ordinary ones. What is said on a connection is kept beside it ([`Inquiries`]), under the
//! tag of its packets, since those carry no bytes. A probe that is over leaves its slot, its port and its
//! wake-up to the next one.

use super::Process;
use crate::engine::{FxMap, Span, Time};
use crate::ha::probe::{Finding, Inquiry, Page, Question};
use crate::hosts::Host;
use crate::hosts::fabric::{Event, Fabric};
use crate::tcp::{Conn, Note};
use crate::wire::{Ip, Packet, icmp, icmpv6, proto};

/// Set in a connection's user word if a probe owns it; the rest is its number.
pub(in crate::hosts) const OWNER: u32 = 1 << 27;

/// Ephemeral ports (`ip_local_port_range`).
const PORTS: (u16, u16) = (32_768, 60_999);

/// Bytes of a TLS 1.3 client hello, and of the client's last handshake message.
const CLIENT_HELLO: u32 = 517;
const CLIENT_FINISHED: u32 = 80;
/// Bytes of `GET / HTTP/1.0` with keepalived's header lines, without the path.
const GET: u32 = 80;
/// Bytes of `HELO` with keepalived's default name, and of `QUIT`.
const HELO: u32 = 35;
const QUIT: u32 = 6;
/// Bytes of data of an echo request (`ping_check`).
const ECHO_DATA: u16 = 64;

/// Tags of probes have this in the upper byte.
const TAG: u32 = 0x5a;
/// The next bits say which inquiry it is, the rest which one in turn.
const INDEX_BITS: u32 = 12;
const TURN_BITS: u32 = 12;

/// Whether packets with this tag may be those of a probe.
#[inline]
pub(in crate::hosts) const fn is_tag(tag: u32) -> bool {
    tag >> 24 == TAG
}

/// What was said, and what the server means by its answer.
#[derive(Clone, Copy, Debug)]
pub(in crate::hosts) struct Talk {
    /// Who asks.
    local: (Ip, u16),
    pub(in crate::hosts) question: Question,
    /// Messages that the server has got.
    pub(in crate::hosts) heard: u8,
    /// What the server answers; `None`: nobody who understands the question has got it.
    pub(in crate::hosts) answer: Option<Finding>,
}

/// What probes and servers say to each other.
#[derive(Debug, Default)]
pub struct Inquiries {
    talks: Vec<Talk>,
    free: Vec<u32>,
    turn: u32,
}

impl Inquiries {
    /// Begins a talk; its number and its tag.
    fn begin(&mut self, local: (Ip, u16), question: Question) -> (u32, u32) {
        let talk = Talk { local, question, heard: 0, answer: None };
        let index = self.free.pop().unwrap_or_else(|| {
            self.talks.push(talk);
            self.talks.len() as u32 - 1
        });
        self.talks[index as usize] = talk;
        self.turn = (self.turn + 1) & ((1 << TURN_BITS) - 1);
        // more at a time than there is room for in a tag: those are answered as ordinary requests
        let known = index & ((1 << INDEX_BITS) - 1);
        (index, TAG << 24 | known << TURN_BITS | self.turn)
    }

    /// The talk of somebody with this tag, if there is one.
    pub(in crate::hosts) fn of(&mut self, tag: u32, peer: (Ip, u16)) -> Option<&mut Talk> {
        let index = (tag >> TURN_BITS) & ((1 << INDEX_BITS) - 1);
        self.talks.get_mut(index as usize).filter(|t| t.local == peer)
    }

    /// Ends a talk; what the server meant.
    fn end(&mut self, number: u32) -> Option<Finding> {
        let talk = &mut self.talks[number as usize];
        // nobody's from now on
        talk.local = (Ip::ANY, 0);
        self.free.push(number);
        talk.answer
    }
}

/// How far a probe has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// There is none.
    Free,
    /// A SYN was sent.
    Connecting,
    /// A TLS client hello was sent.
    Shaking,
    /// The greeting of a mail server is awaited.
    Greeting,
    /// HELO was sent.
    Hello,
    /// QUIT was sent.
    Quitting,
    /// The request, datagram or echo was sent.
    Asked,
}

/// What a step of a probe led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// Something has to come first.
    Waits,
    /// It went on.
    GoesOn,
    /// It is over.
    Over(Finding),
}

/// What has come and was not looked at.
#[derive(Clone, Copy, Debug, Default)]
struct News {
    connected: bool,
    messages: u32,
    bytes: u64,
    ended: bool,
    /// It is over for this reason, or by this datagram.
    outcome: Option<Finding>,
}

/// A probe.
#[derive(Clone, Copy, Debug)]
struct Probe {
    stage: Stage,
    process: Process,
    caller: u32,
    question: Question,
    conn: Option<Conn>,
    local: (Ip, u16),
    target: (Ip, u16),
    talk: u32,
    tag: u32,
    timeout: Span,
    deadline: Time,
    /// The earliest wake-up in the event queue.
    armed: Time,
    news: News,
}

/// The probes of a host.
#[derive(Debug, Default)]
pub struct Probes {
    all: Vec<Probe>,
    free: Vec<u32>,
    /// Own ends of probes without a connection.
    sockets: FxMap<(Ip, u16), u32>,
    next_port: u16,
    /// Processes that read nothing, by their number in [`Process::ALL`].
    frozen: [bool; Process::ALL.len()],
}

impl Probes {
    /// Slots for probes.
    pub fn slots(&self) -> usize {
        self.all.len()
    }

    /// Probes on their way.
    pub fn live(&self) -> usize {
        self.all.len() - self.free.len()
    }

    /// Goes on with the ports where the same machine stopped.
    pub(super) const fn inherit(&mut self, old: &Self) {
        self.next_port = old.next_port;
    }

    fn port(&mut self) -> u16 {
        let next = if self.next_port >= PORTS.1 || self.next_port < PORTS.0 {
            PORTS.0
        } else {
            self.next_port + 1
        };
        self.next_port = next;
        next
    }

    fn is_frozen(&self, number: u32) -> bool {
        self.frozen[self.all[number as usize].process as usize]
    }

    fn keep(&mut self, probe: Probe) -> u32 {
        if let Some(slot) = self.free.pop() {
            let armed = self.all[slot as usize].armed;
            self.all[slot as usize] = Probe { armed, ..probe };
            slot
        } else {
            self.all.push(probe);
            self.all.len() as u32 - 1
        }
    }

    /// The probes of a process on their way.
    fn of(&self, process: Process) -> Vec<u32> {
        let own = |p: &Probe| p.stage != Stage::Free && p.process == process;
        (0..self.all.len() as u32).filter(|&n| own(&self.all[n as usize])).collect()
    }
}

/// Ports tried before a probe fails for want of one.
const PORT_TRIES: u32 = 28_232;

impl Host {
    /// Sends a question on behalf of `caller` of a process, which is told by [`Host::probe_found`]. What came
    /// of it, if that is clear at once: then nobody is told. Output of TCP is left to the caller.
    pub(super) fn ask_server(
        &mut self,
        fab: &mut Fabric,
        (process, caller): (Process, u32),
        inquiry: &Inquiry,
    ) -> Option<Finding> {
        let target = (fab.book.number(inquiry.target.0), inquiry.target.1);
        let source = inquiry.source.map(|s| fab.book.number(s));
        let Some(source) = source.or_else(|| self.ip.source_for(&fab.book, target.0)) else {
            return Some(Finding::Unreachable);
        };
        let mut probe = Probe {
            stage: Stage::Connecting,
            process,
            caller,
            question: inquiry.question,
            conn: None,
            local: (source, 0),
            target,
            talk: 0,
            tag: 0,
            timeout: inquiry.timeout,
            deadline: fab.now + inquiry.timeout,
            armed: Time::NEVER,
            news: News::default(),
        };
        let fixed = inquiry.source_port;
        let sent = if inquiry.question.is_datagram() {
            probe.stage = Stage::Asked;
            self.ask_by_datagram(fab, probe, fixed)
        } else {
            self.ask_by_connection(fab, probe, fixed)
        };
        match sent {
            Some(number) => {
                self.arm_probe(fab, number);
                None
            }
            None => Some(Finding::NoPort),
        }
    }

    fn ask_by_connection(
        &mut self,
        fab: &mut Fabric,
        mut probe: Probe,
        fixed: Option<u16>,
    ) -> Option<u32> {
        let (ip, target) = (probe.local.0, probe.target);
        let mtu = self.ip.mtu_towards(&fab.book, target.0);
        for _ in 0..if fixed.is_some() { 1 } else { PORT_TRIES } {
            let local = (ip, fixed.unwrap_or_else(|| self.daemons.probes.port()));
            let iss = self.tcp.initial_sequence(fab.now, local, target);
            let (talk, tag) = fab.inquiries.begin(local, probe.question);
            match self.tcp.connect(fab.now, local, target, iss, tag, mtu, &mut fab.out) {
                Ok(conn) => {
                    probe.local = local;
                    (probe.talk, probe.tag, probe.conn) = (talk, tag, Some(conn));
                    let number = self.daemons.probes.keep(probe);
                    self.tcp.set_user(conn, OWNER | number);
                    return Some(number);
                }
                Err(_) => {
                    fab.inquiries.end(talk);
                }
            }
        }
        None
    }

    fn ask_by_datagram(
        &mut self,
        fab: &mut Fabric,
        mut probe: Probe,
        fixed: Option<u16>,
    ) -> Option<u32> {
        let ip = probe.local.0;
        let mut tries = 0..if fixed.is_some() { 1 } else { PORT_TRIES };
        let local = tries.find_map(|_| {
            let local = (ip, fixed.unwrap_or_else(|| self.daemons.probes.port()));
            let taken =
                self.daemons.probes.sockets.contains_key(&local) || self.sockets.is_open(local);
            (!taken).then_some(local)
        })?;
        probe.local = local;
        (probe.talk, probe.tag) = fab.inquiries.begin(local, probe.question);
        let number = self.daemons.probes.keep(probe);
        self.daemons.probes.sockets.insert(local, number);
        let (tag, target) = (probe.tag, probe.target);
        match probe.question {
            Question::Name(bytes) | Question::Datagram(bytes) => {
                self.send_datagram(fab, local, target, u32::from(bytes), (tag, None));
            }
            _ => self.send_echo(fab, &probe),
        }
        Some(number)
    }

    fn send_echo(&mut self, fab: &mut Fabric, probe: &Probe) {
        let v6 = probe.target.0.is_v6();
        let (protocol, kind) =
            if v6 { (proto::ICMPV6, icmpv6::ECHO) } else { (proto::ICMP, icmp::ECHO) };
        let mut echo = Packet::ip(probe.local.0, probe.target.0, protocol, 8 + ECHO_DATA);
        echo.sport = u16::from(kind);
        echo.seq = u32::from(probe.local.1) << 16 | 1;
        echo.ttl = self.ip.sysctl.default_ttl;
        echo.tag = probe.tag;
        self.director_output(fab, echo);
    }

    /// Asks to be woken for the deadline of a probe, if no earlier wake-up is set.
    fn arm_probe(&mut self, fab: &mut Fabric, number: u32) {
        let p = &mut self.daemons.probes.all[number as usize];
        if p.deadline < p.armed {
            p.armed = p.deadline;
            fab.queue.push(p.deadline, Event::Probe { host: self.number, probe: number });
        }
    }

    /// The deadline of a probe may have come.
    #[cold]
    pub(in crate::hosts) fn probe_deadline(&mut self, fab: &mut Fabric, number: u32) {
        let Some(p) = self.daemons.probes.all.get_mut(number as usize) else { return };
        if p.armed <= fab.now {
            p.armed = Time::NEVER;
        }
        if p.stage == Stage::Free || self.daemons.probes.is_frozen(number) {
            return;
        }
        if self.daemons.probes.all[number as usize].deadline <= fab.now {
            self.probe_over(fab, number, Finding::TimedOut);
            self.tcp_output(fab);
        } else {
            self.arm_probe(fab, number);
        }
    }

    /// TCP has news for a probe.
    #[cold]
    pub(in crate::hosts) fn probe_note(&mut self, fab: &mut Fabric, number: u32, note: Note) {
        let p = &mut self.daemons.probes.all[number as usize];
        let news = &mut p.news;
        match note {
            Note::Connected => news.connected = true,
            Note::MessageComplete { total } => {
                news.messages += 1;
                news.bytes = total;
            }
            Note::PeerClosed => news.ended = true,
            note if note.is_final() => {
                p.conn = None;
                news.outcome = Some(match note {
                    Note::Refused => Finding::Refused,
                    Note::Unreachable => Finding::Unreachable,
                    Note::TimedOut => Finding::TimedOut,
                    Note::Reset => Finding::Reset,
                    _ => Finding::Closed,
                });
            }
            _ => return,
        }
        self.probe_goes_on(fab, number);
    }

    /// Goes on as far as what has come allows, unless the process is frozen.
    fn probe_goes_on(&mut self, fab: &mut Fabric, number: u32) {
        if self.daemons.probes.is_frozen(number) {
            return;
        }
        loop {
            match self.probe_step(fab, number) {
                Step::Waits => return,
                Step::GoesOn => {}
                Step::Over(finding) => {
                    self.probe_over(fab, number, finding);
                    return;
                }
            }
            let p = &mut self.daemons.probes.all[number as usize];
            p.deadline = fab.now + p.timeout;
            self.arm_probe(fab, number);
        }
    }

    /// One step of a probe.
    fn probe_step(&mut self, fab: &mut Fabric, number: u32) -> Step {
        let p = &mut self.daemons.probes.all[number as usize];
        let (next, bytes) = match (p.stage, p.question) {
            (Stage::Connecting, Question::Connect) if p.news.connected => {
                return Step::Over(Finding::Connected);
            }
            (Stage::Connecting, question) if p.news.connected => {
                p.news.connected = false;
                match question {
                    Question::Mail => (Stage::Greeting, 0),
                    Question::Page { tls: true, .. } => (Stage::Shaking, CLIENT_HELLO),
                    Question::Exchange(bytes) => (Stage::Asked, bytes),
                    _ => (Stage::Asked, GET),
                }
            }
            (Stage::Asked, Question::Exchange(_)) if p.news.messages > 0 => {
                return Step::Over(Finding::Answered(p.news.bytes));
            }
            // the server closes after the page
            (Stage::Asked, Question::Page { .. }) if p.news.messages > 0 && p.news.ended => {
                let whole = Page { status: 200, digest: None, found: true };
                return Step::Over(Finding::Page(whole));
            }
            (Stage::Quitting, _) if p.news.messages > 0 || p.news.ended => {
                return Step::Over(Finding::Mail(220, 250));
            }
            (Stage::Shaking, _) if p.news.messages > 0 => {
                p.news.messages -= 1;
                (Stage::Asked, CLIENT_FINISHED + GET)
            }
            (Stage::Greeting, _) if p.news.messages > 0 => {
                p.news.messages -= 1;
                (Stage::Hello, HELO)
            }
            (Stage::Hello, _) if p.news.messages > 0 => {
                p.news.messages -= 1;
                (Stage::Quitting, QUIT)
            }
            _ => {
                let ended = p.news.ended.then_some(Finding::Closed);
                return p.news.outcome.or(ended).map_or(Step::Waits, Step::Over);
            }
        };
        p.stage = next;
        if let Some(conn) = p.conn
            && bytes > 0
        {
            self.tcp.write(fab.now, conn, bytes, &mut fab.out);
        }
        Step::GoesOn
    }

    /// A probe is over: its end is closed, and its process is told.
    fn probe_over(&mut self, fab: &mut Fabric, number: u32, finding: Finding) {
        let (process, caller) = {
            let p = &self.daemons.probes.all[number as usize];
            (p.process, p.caller)
        };
        let finding = match (self.end_probe(fab, number), finding) {
            // an answer that came; what the server meant by it
            (Some(meant), Finding::Page(_) | Finding::Mail(..) | Finding::Name(_)) => meant,
            (_, finding) => finding,
        };
        self.probe_found(fab, process, caller, finding);
    }

    /// Closes the end of a probe; what the server meant.
    fn end_probe(&mut self, fab: &mut Fabric, number: u32) -> Option<Finding> {
        let p = &mut self.daemons.probes.all[number as usize];
        debug_assert!(p.stage != Stage::Free, "a probe ends once");
        p.stage = Stage::Free;
        let (conn, local, talk) = (p.conn.take(), p.local, p.talk);
        let datagram = p.question.is_datagram();
        self.daemons.probes.free.push(number);
        match conn {
            Some(conn) => {
                self.tcp.set_user(conn, 0);
                self.tcp.close(fab.now, conn, &mut fab.out);
            }
            None if datagram => {
                self.daemons.probes.sockets.remove(&local);
            }
            None => {}
        }
        fab.inquiries.end(talk)
    }

    /// A datagram may be the answer to a probe. Whether it was taken.
    pub(in crate::hosts) fn probe_datagram(&mut self, fab: &mut Fabric, p: &Packet) -> bool {
        let Some(&number) = self.daemons.probes.sockets.get(&(p.dst, p.dport)) else {
            return false;
        };
        let probe = &self.daemons.probes.all[number as usize];
        // the socket is connected
        if (p.src, p.sport) == probe.target && probe.question != Question::Echo {
            let finding = match probe.question {
                Question::Name(_) => Finding::Name(0),
                _ => Finding::Datagram(u32::from(p.payload())),
            };
            self.probe_news(fab, number, finding);
            return true;
        }
        false
    }

    /// An ICMP echo reply may be the answer to a probe.
    pub(in crate::hosts) fn probe_echo(&mut self, fab: &mut Fabric, p: &Packet) {
        let local = (p.dst, (p.seq >> 16) as u16);
        let Some(&number) = self.daemons.probes.sockets.get(&local) else { return };
        let probe = &self.daemons.probes.all[number as usize];
        if probe.question == Question::Echo && probe.target.0 == p.src {
            self.probe_news(fab, number, Finding::Echo);
        }
    }

    /// An ICMP error about a datagram of a probe. Whether there is such a probe. keepalived asks for all
    /// errors about its datagrams (`IP_RECVERR`), but not about its echoes.
    pub(in crate::hosts) fn probe_error(
        &mut self,
        fab: &mut Fabric,
        quoted: &Packet,
        (kind, code): (u8, u8),
    ) -> bool {
        let Some(&number) = self.daemons.probes.sockets.get(&(quoted.src, quoted.sport)) else {
            return false;
        };
        let finding = match (kind, code) {
            (icmp::UNREACHABLE, icmp::FRAG_NEEDED) => return true,
            (icmp::UNREACHABLE, icmp::PORT | icmp::PROTOCOL) => Finding::Refused,
            _ => Finding::Unreachable,
        };
        self.probe_news(fab, number, finding);
        true
    }

    fn probe_news(&mut self, fab: &mut Fabric, number: u32, finding: Finding) {
        let news = &mut self.daemons.probes.all[number as usize].news;
        // what comes first counts
        news.outcome = news.outcome.or(Some(finding));
        self.probe_goes_on(fab, number);
        self.tcp_output(fab);
    }

    /// The probes of a process end with it.
    pub(super) fn drop_probes(&mut self, fab: &mut Fabric, process: Process) {
        self.daemons.probes.frozen[process as usize] = false;
        for number in self.daemons.probes.of(process) {
            self.end_probe(fab, number);
        }
    }

    /// The power is gone: nobody waits for an answer any more.
    pub(in crate::hosts) fn forget_probes(&mut self, fab: &mut Fabric) {
        for probe in self.daemons.probes.all.iter().filter(|p| p.stage != Stage::Free) {
            fab.inquiries.end(probe.talk);
        }
        self.daemons.probes.all.clear();
        self.daemons.probes.free.clear();
        self.daemons.probes.sockets.clear();
    }

    /// A process stops reading.
    pub(super) fn freeze_probes(&mut self, process: Process) {
        self.daemons.probes.frozen[process as usize] = true;
    }

    /// A process goes on: it sees what has come meanwhile, and then that time has passed.
    pub(super) fn thaw_probes(&mut self, fab: &mut Fabric, process: Process) {
        self.daemons.probes.frozen[process as usize] = false;
        let waiting = self.daemons.probes.of(process);
        for &number in &waiting {
            self.probe_goes_on(fab, number);
        }
        for number in waiting {
            let p = &self.daemons.probes.all[number as usize];
            if p.stage == Stage::Free {
                continue;
            }
            if p.deadline <= fab.now {
                self.probe_over(fab, number, Finding::TimedOut);
            } else {
                self.arm_probe(fab, number);
            }
        }
    }
}
