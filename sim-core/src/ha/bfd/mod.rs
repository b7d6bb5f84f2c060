//! Bidirectional forwarding detection as keepalived does it: asynchronous mode without echo and authentication (RFC 5880,
//! RFC 5881, RFC 5883; `bfd_scheduler.c`).
//!
//! A session counts as down until it has come up.

mod packet;

pub use packet::{ControlPacket, LENGTH, State};

use crate::config::BfdConfig;
use crate::engine::{Span, Stream, Time, Uniform};
use core::net::IpAddr;

/// UDP port of control packets (RFC 5881, section 4).
pub const PORT: u16 = 3784;

/// Diagnostic: the detection time ran out.
const EXPIRED: u8 = 1;
/// Diagnostic: the neighbour said so.
const SIGNALLED: u8 = 3;

/// What the machine wants to be done, in this order. Sessions are numbered as they are configured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send a control packet to the neighbour.
    Send {
        /// The session.
        session: u16,
        /// The packet.
        packet: ControlPacket,
    },
    /// A session has gone up or down.
    State {
        /// The session.
        session: u16,
        /// Up.
        up: bool,
    },
}

/// What is known of the neighbour, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Neighbour {
    own: u32,
    state: State,
    min_rx: u32,
    multiplier: u8,
}

const UNKNOWN: Neighbour = Neighbour { own: 0, state: State::Down, min_rx: 1, multiplier: 0 };

#[derive(Clone, Debug)]
struct Session {
    config: BfdConfig,
    state: State,
    own: u32,
    diagnostic: u8,
    neighbour: Neighbour,
    /// Own interval, before it is made irregular.
    tx_us: u64,
    detect_us: u64,
    poll: bool,
    sends: Time,
    expires: Time,
    resets: Time,
}

/// The sessions of a host.
#[derive(Clone, Debug)]
pub struct Bfd {
    sessions: Vec<Session>,
    random: Stream,
}

fn micros(span: Span) -> u32 {
    u32::try_from(span.as_nanos() / 1_000).unwrap_or(u32::MAX)
}

impl Session {
    fn new(config: &BfdConfig, own: u32) -> Self {
        Self {
            config: config.clone(),
            state: State::Down,
            own,
            diagnostic: 0,
            neighbour: UNKNOWN,
            tx_us: u64::from(micros(config.idle_tx.max(config.min_tx))),
            detect_us: 0,
            poll: false,
            sends: Time::NEVER,
            expires: Time::NEVER,
            resets: Time::NEVER,
        }
    }

    fn min_tx(&self) -> u32 {
        let c = &self.config;
        micros(if self.state == State::Up { c.min_tx } else { c.idle_tx.max(c.min_tx) })
    }

    fn idle(&mut self) {
        let idle = micros(self.config.idle_tx.max(self.config.min_tx));
        self.tx_us = u64::from(idle.max(self.neighbour.min_rx));
    }

    fn packet(&self, finish: bool) -> ControlPacket {
        ControlPacket {
            diagnostic: self.diagnostic,
            state: self.state,
            poll: self.poll && !finish,
            finish,
            multiplier: self.config.multiplier.max(1),
            own: self.own,
            yours: self.neighbour.own,
            min_tx: self.min_tx(),
            min_rx: micros(self.config.min_rx),
        }
    }

    fn deadline(&self) -> Time {
        self.sends.min(self.expires).min(self.resets)
    }
}

impl Bfd {
    /// The machine of a configuration, not started.
    pub fn new(config: &[BfdConfig], random: Stream) -> Self {
        let mut bfd = Self { sessions: Vec::new(), random };
        for session in config {
            let own = bfd.discriminator();
            bfd.sessions.push(Session::new(session, own));
        }
        bfd
    }

    /// A number for a session, not zero.
    fn discriminator(&mut self) -> u32 {
        (self.random.next_u64() as u32).max(1)
    }

    /// The time from one packet to the next: the interval less a tenth to a quarter of it (`get_jitter`).
    fn gap(&mut self, session: usize) -> Span {
        let tx = self.sessions[session].tx_us * 1_000;
        let (least, most) = (tx / 10, tx / 4);
        let share = (self.random.unit() * (most - least) as f64) as u64;
        Span::from_nanos((tx - least - share).max(1))
    }

    /// keepalived begins.
    pub fn start(&mut self, now: Time) {
        for n in 0..self.sessions.len() {
            if !self.sessions[n].config.passive {
                self.sessions[n].sends = now + self.gap(n);
            }
        }
    }

    /// Whether a session is up.
    pub fn is_up(&self, session: usize) -> bool {
        self.sessions.get(session).is_some_and(|s| s.state == State::Up)
    }

    /// When [`Bfd::wake`] is wanted next.
    pub fn next_deadline(&self) -> Time {
        self.sessions.iter().map(Session::deadline).min().unwrap_or(Time::NEVER)
    }

    /// Does what is due.
    pub fn wake(&mut self, now: Time, out: &mut Vec<Action>) {
        for n in 0..self.sessions.len() {
            let session = n as u16;
            if self.sessions[n].sends <= now {
                let packet = self.sessions[n].packet(false);
                out.push(Action::Send { session, packet });
                self.sessions[n].sends = now + self.gap(n);
            }
            if self.sessions[n].expires <= now {
                self.sessions[n].neighbour.own = 0;
                self.fall(n, now, EXPIRED, out);
            }
            let s = &mut self.sessions[n];
            if s.resets <= now {
                s.resets = Time::NEVER;
                s.neighbour = UNKNOWN;
                s.poll = false;
                s.idle();
            }
        }
    }

    /// A packet came in from an address.
    pub fn receive(
        &mut self,
        now: Time,
        (from, ttl): (IpAddr, u8),
        bytes: &[u8],
        out: &mut Vec<Action>,
    ) {
        let Some(p) = ControlPacket::read(bytes) else { return };
        let of =
            |s: &Session| if p.yours == 0 { s.config.neighbour == from } else { s.own == p.yours };
        let Some(n) = self.sessions.iter().position(of) else { return };
        let s = &mut self.sessions[n];
        let far = s
            .config
            .max_hops
            .is_some_and(|hops| u16::from(hops) + u16::from(ttl) < u16::from(s.config.ttl));
        if far {
            return;
        }
        let before = s.tx_us;
        s.neighbour =
            Neighbour { own: p.own, state: p.state, min_rx: p.min_rx, multiplier: p.multiplier };
        if p.finish {
            s.poll = false;
        }
        self.negotiate(n, &p);
        if self.sessions[n].tx_us < before && self.sessions[n].sends != Time::NEVER {
            self.sessions[n].sends = now + self.gap(n);
        }
        self.follow(n, now, p.state, out);
        if self.sessions[n].sends == Time::NEVER {
            self.sessions[n].sends = now + self.gap(n);
        }
        if p.poll {
            let packet = self.sessions[n].packet(true);
            out.push(Action::Send { session: n as u16, packet });
        }
        let s = &mut self.sessions[n];
        if s.state == State::Up {
            s.expires = now + Span::from_micros(s.detect_us);
        }
    }

    /// The intervals after a packet: they change at once while the session is not up, else with a poll and its answer.
    fn negotiate(&mut self, n: usize, p: &ControlPacket) {
        let s = &mut self.sessions[n];
        let theirs = u64::from(p.min_tx.max(micros(s.config.min_rx)));
        if s.state != State::Up || p.poll || p.finish {
            let both = p.state == State::Up && matches!(s.state, State::Init | State::Up);
            if both {
                s.tx_us = u64::from(micros(s.config.min_tx).max(p.min_rx));
            } else {
                s.idle();
            }
            s.detect_us = u64::from(s.neighbour.multiplier) * theirs;
        }
    }

    /// The states of RFC 5880, section 6.2.
    fn follow(&mut self, n: usize, now: Time, theirs: State, out: &mut Vec<Action>) {
        match (self.sessions[n].state, theirs) {
            (State::Init | State::Up, State::AdminDown) | (State::Up, State::Down) => {
                self.fall(n, now, SIGNALLED, out);
            }
            (State::Down, State::Down) => self.rise(n, now, State::Init, out),
            (State::Down, State::Init) | (State::Init, State::Init | State::Up) => {
                self.rise(n, now, State::Up, out);
            }
            _ => {}
        }
    }

    fn rise(&mut self, n: usize, now: Time, state: State, out: &mut Vec<Action>) {
        let s = &mut self.sessions[n];
        s.state = state;
        s.diagnostic = 0;
        s.resets = Time::NEVER;
        s.expires = now + Span::from_micros(s.detect_us);
        if state == State::Up {
            s.poll = s.config.idle_tx > s.config.min_tx;
            out.push(Action::State { session: n as u16, up: true });
        }
    }

    fn fall(&mut self, n: usize, now: Time, diagnostic: u8, out: &mut Vec<Action>) {
        let was_up = self.sessions[n].state == State::Up;
        let own = if was_up { self.discriminator() } else { self.sessions[n].own };
        let s = &mut self.sessions[n];
        s.state = State::Down;
        s.own = own;
        s.diagnostic = diagnostic;
        s.expires = Time::NEVER;
        s.resets = now + Span::from_micros(s.detect_us);
        s.idle();
        if s.config.passive {
            s.sends = Time::NEVER;
        }
        // a neighbour that was taken down by its administrator has not failed
        if was_up && s.neighbour.state != State::AdminDown {
            out.push(Action::State { session: n as u16, up: false });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::v4;

    const ADDRESSES: [IpAddr; 2] = [v4(10, 0, 0, 1), v4(10, 0, 0, 2)];
    const WIRE: Span = Span::from_micros(100);

    struct Pair {
        now: Time,
        ends: [Bfd; 2],
        cut: bool,
        on_its_way: Vec<(Time, usize, ControlPacket)>,
        /// Millisecond, end, up.
        told: Vec<(u64, usize, bool)>,
        sent: [Vec<Time>; 2],
    }

    impl Pair {
        fn new(change: impl Fn(usize, &mut BfdConfig)) -> Self {
            let end = |n: usize| {
                let mut config = BfdConfig::new("b", ADDRESSES[1 - n]);
                change(n, &mut config);
                let mut bfd = Bfd::new(&[config], Stream::new(1, &n.to_string(), "bfd"));
                bfd.start(Time::ZERO);
                bfd
            };
            let (on_its_way, told, sent) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
            let ends = [end(0), end(1)];
            Self { now: Time::ZERO, ends, cut: false, on_its_way, told, sent }
        }

        fn run(&mut self, until_ms: u64) {
            let until = Time::ZERO + Span::from_millis(until_ms);
            loop {
                let message = self.on_its_way.iter().map(|m| m.0).min().unwrap_or(Time::NEVER);
                let wake = [0, 1].map(|n| self.ends[n].next_deadline());
                let next = message.min(wake[0]).min(wake[1]);
                if next > until {
                    return;
                }
                self.now = next;
                let mut out = Vec::new();
                let n = if message == next {
                    let at = self.on_its_way.iter().position(|m| m.0 == next).unwrap();
                    let (_, to, packet) = self.on_its_way.remove(at);
                    let from = (ADDRESSES[1 - to], 255);
                    self.ends[to].receive(next, from, &packet.bytes(), &mut out);
                    to
                } else {
                    let n = usize::from(wake[1] < wake[0]);
                    self.ends[n].wake(next, &mut out);
                    n
                };
                for action in out {
                    match action {
                        Action::Send { packet, .. } => {
                            self.sent[n].push(next);
                            if !self.cut {
                                self.on_its_way.push((next + WIRE, 1 - n, packet));
                            }
                        }
                        Action::State { up, .. } => {
                            self.told.push((next.as_nanos() / 1_000_000, n, up));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn both_ends_come_up_and_lose_each_other_within_the_detection_time() {
        let mut pair = Pair::new(|_, _| {});
        pair.run(5_000);
        assert!(pair.ends[0].is_up(0) && pair.ends[1].is_up(0));
        assert_eq!(pair.told.len(), 2);
        let counted = pair.sent[0].len();
        pair.run(6_000);
        let sent = pair.sent[0].len() - counted;
        assert!((111..=134).contains(&sent), "10 ms less 10 to 25 %: {sent} in a second");
        pair.cut = true;
        pair.run(6_100);
        let lost: Vec<_> = pair.told[2..].iter().map(|(ms, n, up)| (*n, *up, *ms)).collect();
        assert_eq!(lost.len(), 2);
        // 50 ms after the last packet, which was at most 9 ms ago
        assert!(lost.iter().all(|(_, up, ms)| !up && (6_040..=6_051).contains(ms)), "{lost:?}");
        pair.cut = false;
        pair.run(12_000);
        assert!(pair.ends[0].is_up(0) && pair.ends[1].is_up(0), "and again");
    }

    #[test]
    fn the_slower_end_sets_the_pace_and_the_multiplier_of_the_other_counts() {
        let mut pair = Pair::new(|n, c| {
            if n == 0 {
                (c.min_rx, c.multiplier) = (Span::from_millis(200), 3);
            }
        });
        pair.run(5_000);
        assert_eq!(pair.ends[1].sessions[0].tx_us, 200_000, "what the other can take");
        assert_eq!(pair.ends[0].sessions[0].detect_us, 5 * 200_000, "its own least and their 5");
        assert_eq!(pair.ends[1].sessions[0].detect_us, 3 * 10_000);
    }

    #[test]
    fn of_two_passive_ends_none_begins_and_of_one_the_other_does() {
        let mut pair = Pair::new(|_, c| c.passive = true);
        pair.run(5_000);
        assert!(pair.sent[0].is_empty() && pair.sent[1].is_empty());
        let mut pair = Pair::new(|n, c| c.passive = n == 0);
        pair.run(6_000);
        assert!(pair.ends[0].is_up(0) && pair.ends[1].is_up(0));
    }

    #[test]
    fn packets_from_too_far_away_are_not_heard() {
        let mut bfd = Bfd::new(&[BfdConfig::new("b", ADDRESSES[1])], Stream::new(1, "a", "bfd"));
        let hello = Session::new(&BfdConfig::new("b", ADDRESSES[0]), 9).packet(false).bytes();
        let mut out = Vec::new();
        bfd.receive(Time::ZERO, (ADDRESSES[1], 254), &hello, &mut out);
        assert_eq!(bfd.sessions[0].state, State::Down);
        bfd.receive(Time::ZERO, (v4(10, 0, 0, 3), 255), &hello, &mut out);
        assert_eq!(bfd.sessions[0].state, State::Down, "a stranger");
        bfd.receive(Time::ZERO, (ADDRESSES[1], 255), &hello, &mut out);
        assert_eq!(bfd.sessions[0].state, State::Init);
    }
}
