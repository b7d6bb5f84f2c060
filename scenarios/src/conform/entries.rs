//! The connection table of the [replica](super::replica): a plain list.

use super::recording::{Kind, Protocol};
use super::sctp;
use schedulers::{Counting, DestId};
use sim_core::engine::{Span, Time};
use sim_core::ipvs::state::{self, Direction, Event};
use sim_core::ipvs::{Forwarding, State, Timeouts};
use std::net::SocketAddr;

/// Number of an entry, never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Name(u64);

/// A connection, or a persistence template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Connection {
    pub(super) name: Name,
    /// `None`: a template for every protocol.
    pub(super) protocol: Option<Protocol>,
    /// A template has port 0.
    pub(super) client: SocketAddr,
    pub(super) target: SocketAddr,
    pub(super) server: SocketAddr,
    pub(super) destination: DestId,
    pub(super) method: Forwarding,
    pub(super) phase: Phase,
    /// The director has not seen a packet of the real server, nor does it expect to.
    pub(super) one_way: bool,
    /// What a template's timer is started with.
    pub(super) timeout: Span,
    pub(super) expires: Time,
    /// When its timer runs, a little later.
    pub(super) fires: Time,
    /// The template it was made from.
    pub(super) template: Option<Name>,
    /// How many connections a template holds.
    pub(super) holds: u32,
}

/// What an entry is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// TCP, and the only state of UDP.
    Transport(State),
    Sctp(sctp::State),
    Template {
        /// A connection of it was established.
        assured: bool,
    },
}

impl Phase {
    /// The first state of a protocol.
    pub(super) const fn first(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => Self::Transport(State::None),
            Protocol::Udp => Self::Transport(State::Udp),
            Protocol::Sctp => Self::Sctp(sctp::State::NONE),
        }
    }

    /// As the kernel prints it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Transport(state) => state.name(),
            Self::Sctp(state) => state.name(),
            Self::Template { assured: false } => "NONE",
            Self::Template { assured: true } => "ASSURED",
        }
    }

    /// How an entry in this phase is counted.
    pub(super) fn counting(self) -> Counting {
        match self {
            Self::Template { .. } => Counting::Template,
            Self::Transport(state) if state.is_active() => Counting::Active,
            Self::Sctp(state) if state.is_active() => Counting::Active,
            Self::Transport(_) | Self::Sctp(_) => Counting::Inactive,
        }
    }

    /// How long an entry lives in this phase; a template keeps its own time.
    pub(super) fn timeout(self, timeouts: &Timeouts) -> Option<Span> {
        match self {
            Self::Transport(state) => Some(timeouts.get(state)),
            Self::Sctp(state) => Some(state.timeout()),
            Self::Template { .. } => None,
        }
    }

    /// The phase after a packet.
    fn next(self, kind: Kind, direction: Direction, secure: bool) -> Self {
        let event = match (self, kind) {
            (Self::Sctp(state), Kind::Chunk(chunk)) => {
                return Self::Sctp(state.next(chunk, direction));
            }
            (_, Kind::Syn) => Event::Syn,
            (_, Kind::Ack) => Event::Ack,
            (_, Kind::Fin) => Event::Fin,
            (_, Kind::Rst) => Event::Rst,
            (_, Kind::Datagram | Kind::Chunk(_)) => return self,
        };
        match self {
            Self::Transport(state) => Self::Transport(state::next(state, event, direction, secure)),
            Self::Sctp(_) | Self::Template { .. } => self,
        }
    }
}

impl Connection {
    /// Whether this is a connection that a SYN or INIT replaces by another one; `mode` is
    /// `conn_reuse_mode` (`is_new_conn_expected`).
    pub(super) fn is_over(&self, mode: u64) -> bool {
        let over = match self.phase {
            Phase::Transport(State::TimeWait | State::Close) => true,
            Phase::Transport(State::FinWait) => mode & 2 != 0 && self.one_way,
            Phase::Sctp(state) => state.is_closed(),
            Phase::Transport(_) | Phase::Template { .. } => false,
        };
        mode != 0 && over && self.template.is_none()
    }

    /// Starts the timer.
    pub(super) fn restart(&mut self, now: Time, wheel: Wheel, span: Span) {
        self.expires = now + span;
        self.fires = wheel.fires(now, span);
    }

    /// Lets the timer run now.
    pub(super) const fn end(&mut self, now: Time) {
        (self.expires, self.fires) = (now, now);
    }

    /// Puts a packet on the connection.
    pub(super) fn advance(&mut self, kind: Kind, from_server: bool, secure: bool) {
        let direction = match (from_server, self.one_way) {
            (true, _) => {
                self.one_way = false;
                Direction::Output
            }
            (false, true) => Direction::InputOnly,
            (false, false) => Direction::Input,
        };
        self.phase = self.phase.next(kind, direction, secure);
    }

    /// Whether it is the connection of a client's packet.
    pub(super) fn is_of(&self, protocol: Protocol, client: SocketAddr, target: SocketAddr) -> bool {
        !matches!(self.phase, Phase::Template { .. })
            && self.protocol == Some(protocol)
            && (self.client, self.target) == (client, target)
    }

    /// Whether it is the connection of a real server's packet.
    pub(super) fn is_answered_by(
        &self,
        protocol: Protocol,
        from: SocketAddr,
        client: SocketAddr,
    ) -> bool {
        let source = if self.method == Forwarding::Nat { self.server } else { self.target };
        self.is_of(protocol, client, self.target) && source == from
    }

    /// Whether it is the template of a client.
    pub(super) fn is_template(
        &self,
        protocol: Option<Protocol>,
        client: SocketAddr,
        target: SocketAddr,
    ) -> bool {
        matches!(self.phase, Phase::Template { .. })
            && self.protocol == protocol
            && (self.client, self.target) == (client, target)
    }
}

/// When timers run. The kernel sorts them into buckets that are the wider the longer the timer is,
/// and a bucket runs as a whole when its time is over (`kernel/time/timer.c`, `calc_wheel_index`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wheel {
    /// Each timer at its own time.
    Exact,
    /// A kernel with 100 ticks a second whose clock showed this when the recording began.
    Ticks(Span),
}

impl Wheel {
    /// When a timer runs that is started at `now` for `span`.
    pub(super) fn fires(self, now: Time, span: Span) -> Time {
        const TICK: u64 = 10_000_000;
        let Self::Ticks(phase) = self else { return now + span };
        let ticks = span.as_nanos() / TICK;
        let shift = match ticks {
            0..63 => 0,
            63..504 => 3,
            504..4_032 => 6,
            4_032..32_256 => 9,
            _ => 12,
        };
        let due = (now + phase).as_nanos() / TICK + ticks;
        let bucket = ((due >> shift) + 1) << shift;
        let fires = Time::from_nanos((bucket * TICK).saturating_sub(phase.as_nanos()));
        fires.max(now)
    }
}

/// Connections in the order they were made.
#[derive(Clone, Debug)]
pub(super) struct Entries {
    list: Vec<Connection>,
    named: u64,
    wheel: Wheel,
}

impl Entries {
    pub(super) const fn new(wheel: Wheel) -> Self {
        Self { list: Vec::new(), named: 0, wheel }
    }

    /// When timers run.
    pub(super) const fn wheel(&self) -> Wheel {
        self.wheel
    }

    /// A name for a new entry.
    pub(super) const fn name(&mut self) -> Name {
        self.named += 1;
        Name(self.named)
    }

    pub(super) fn push(&mut self, connection: Connection) {
        self.list.push(connection);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.list.iter()
    }

    /// The youngest entry of which `wanted` is true.
    pub(super) fn youngest(
        &mut self,
        wanted: impl Fn(&Connection) -> bool,
    ) -> Option<&mut Connection> {
        self.list.iter_mut().rev().find(|c| wanted(c))
    }

    pub(super) fn get(&mut self, name: Name) -> Option<&mut Connection> {
        self.list.iter_mut().find(|c| c.name == name)
    }

    /// Takes out the entry that expires first, if it does so until `now`. A template that holds
    /// connections stays for another minute instead (`ip_vs_conn_expire`).
    pub(super) fn expire(&mut self, now: Time) -> Option<Connection> {
        loop {
            let due = self.list.iter().enumerate().filter(|(_, c)| c.fires <= now);
            let (index, _) = due.min_by_key(|(_, c)| (c.fires, c.name))?;
            let connection = &mut self.list[index];
            if connection.holds == 0 {
                return Some(self.remove(index));
            }
            let fired = connection.fires;
            connection.timeout = Span::from_secs(60);
            connection.restart(fired, self.wheel, connection.timeout);
        }
    }

    /// Takes out an entry of which `gone` is true and that holds no connections.
    pub(super) fn drop_one(&mut self, gone: impl Fn(&Connection) -> bool) -> Option<Connection> {
        let index = self.list.iter().position(|c| c.holds == 0 && gone(c))?;
        Some(self.remove(index))
    }

    fn remove(&mut self, index: usize) -> Connection {
        let gone = self.list.remove(index);
        if let Some(template) = gone.template.and_then(|name| self.get(name)) {
            template.holds -= 1;
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Time {
        Time::ZERO + Span::from_millis(ms)
    }

    #[test]
    fn a_wheel_is_late_by_less_than_a_bucket_and_never_early() {
        for (seconds, bucket) in [(2, 80), (10, 640), (60, 5_120), (900, 40_960)] {
            let span = Span::from_secs(seconds);
            for phase in [0, 7, 79, 500] {
                let wheel = Wheel::Ticks(Span::from_millis(phase));
                for now in (0..6_000).step_by(13) {
                    let fires = wheel.fires(ms(now), span);
                    let exact = Wheel::Exact.fires(ms(now), span);
                    assert_eq!(exact, ms(now) + span);
                    let late = fires.saturating_since(exact);
                    // The clock counts whole ticks: up to one may be lost.
                    assert!(fires + Span::from_millis(10) > exact, "{seconds} s, {phase}, {now}");
                    assert!(late <= Span::from_millis(bucket), "{seconds} s, {phase}, {now}");
                }
            }
        }
    }

    #[test]
    fn timers_of_one_bucket_run_together() {
        let wheel = Wheel::Ticks(Span::ZERO);
        let span = Span::from_secs(2);
        assert_eq!(wheel.fires(ms(0), span), ms(2_080));
        assert_eq!(wheel.fires(ms(79), span), ms(2_080));
        assert_eq!(wheel.fires(ms(80), span), ms(2_160));
    }

    fn connection(entries: &mut Entries, expires: u64, template: Option<Name>) -> Name {
        let name = entries.name();
        entries.push(Connection {
            name,
            protocol: Some(Protocol::Tcp),
            client: "10.0.0.1:40001".parse().unwrap(),
            target: "10.1.1.100:80".parse().unwrap(),
            server: "192.168.10.11:80".parse().unwrap(),
            destination: destination(),
            method: Forwarding::Dr,
            phase: Phase::first(Protocol::Tcp),
            one_way: true,
            timeout: Span::ZERO,
            expires: ms(expires),
            fires: ms(expires),
            template,
            holds: 0,
        });
        name
    }

    fn destination() -> DestId {
        let mut pool = schedulers::Pool::new();
        pool.add(schedulers::DestSpec::new([192, 168, 10, 11].into(), 80, 1)).unwrap()
    }

    #[test]
    fn entries_leave_in_the_order_of_their_timers_and_the_youngest_is_found() {
        let mut entries = Entries::new(Wheel::Exact);
        let late = connection(&mut entries, 300, None);
        let early = connection(&mut entries, 100, None);
        assert_eq!(entries.youngest(|_| true).map(|c| c.name), Some(early));
        assert_eq!(entries.expire(ms(99)), None);
        assert_eq!(entries.expire(ms(300)).map(|c| c.name), Some(early));
        assert_eq!(entries.expire(ms(300)).map(|c| c.name), Some(late));
        assert_eq!(entries.expire(ms(300)), None);
    }

    #[test]
    fn a_template_waits_a_minute_longer_while_it_holds_connections() {
        let mut entries = Entries::new(Wheel::Exact);
        let template = connection(&mut entries, 1_000, None);
        let held = connection(&mut entries, 30_000, Some(template));
        entries.get(template).unwrap().holds = 1;
        assert_eq!(entries.expire(ms(1_000)), None);
        assert_eq!(entries.get(template).unwrap().expires, ms(61_000));
        assert_eq!(entries.expire(ms(60_999)).map(|c| c.name), Some(held));
        assert_eq!(entries.get(template).unwrap().holds, 0);
        assert_eq!(entries.expire(ms(61_000)).map(|c| c.name), Some(template));
    }
}
