//! Client applications: who starts connections when, and what they make of the answers.

use super::fabric::{Event, Fabric};
use super::server::whole;
use crate::config::{ClientConfig, Closer, Load, Transport};
use crate::engine::rng::{CounterStream, mix, name_hash};
use crate::engine::{Sampler, Span, Stream, Time};
use crate::observe::{ConnectionRow, Failure};
use crate::tcp::Conn;
use crate::wire::{AddressBook, Ip};
use core::net::IpAddr;

/// Limits of a run that all clients share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// No connection starts at or after this point.
    pub until: Time,
    /// Connections started before this point are not counted.
    pub warmup: Time,
}

/// What a session waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// The handshake.
    Connecting,
    /// A response.
    Waiting,
    /// The end of its think time before the next request.
    Thinking,
    /// The peer's FIN, or the end of the pause before the own one.
    Closing,
}

/// One conversation.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// Application.
    pub application: u16,
    /// What it waits for.
    pub phase: Phase,
    /// Whether it counts: started after the warm-up.
    pub counted: bool,
    /// All responses have come.
    pub served: bool,
    /// User of a closed loop.
    pub user: u32,
    /// The connection (TCP) or the local port (UDP).
    pub conn: Conn,
    /// Number of the connection in the run.
    pub id: u32,
    /// Number of the connection in its application.
    pub number: u32,
    /// Own address.
    pub source: (Ip, u16),
    /// Start.
    pub start: Time,
    /// Established.
    pub connected: Time,
    /// The last request was sent.
    pub asked: Time,
    /// First byte of the first response.
    pub first_byte: Time,
    /// First byte of the current response.
    pub answered: Time,
    /// Next wake-up: think time, pause before close.
    pub wake: Time,
    /// Patience ends.
    pub deadline: Time,
    /// Earliest wake-up for the end of patience in the event queue, [`Time::NEVER`] if none. It belongs to
    /// the slot and outlives the session.
    pub armed: Time,
    /// Requests still to make.
    pub left: u32,
    /// Requests answered.
    pub done: u32,
    /// Response bytes.
    pub bytes: u64,
}

/// A client application.
#[derive(Debug)]
pub struct ClientApplication {
    /// Its configuration.
    pub config: ClientConfig,
    /// Where to, in the form of packets.
    pub target: (Ip, u16),
    sources: Vec<Ip>,
    /// Index of what it saw in [`Fabric::clients`].
    pub row: u32,
    /// Where its requests are counted in [`Fabric::ledger`].
    pub streams: [u32; 2],
    /// Connections started.
    pub started: u64,
    /// Connections served, whether they count or not.
    pub served: u64,
    requests: Sampler,
    request: Sampler,
    think: Sampler,
    close_delay: Sampler,
    loads: LoadState,
    gaps: Stream,
    key: u64,
    next_source: usize,
    next_port: Vec<u16>,
}

#[derive(Debug)]
enum LoadState {
    Open { gap: Sampler },
    OnOff { gap: Sampler, on: Sampler, off: Sampler, ends: Time },
    Closed { think: Sampler },
    At { next: usize },
}

/// Ephemeral ports of Linux (`ip_local_port_range`).
const PORTS: (u16, u16) = (32_768, 60_999);

impl ClientApplication {
    /// An application that has not started. Its random streams are named by its host and its
    /// position there.
    ///
    /// # Errors
    /// A distribution without meaning, or a load that never lets time pass.
    pub fn new(
        config: &ClientConfig,
        entity: &str,
        seed: u64,
        book: &mut AddressBook,
    ) -> Result<Self, String> {
        let sampler = |d| Sampler::new(d).map_err(|e| e.to_string());
        if let Load::Open { gap } | Load::OnOff { gap, .. } = &config.load
            && gap.mean().is_some_and(|mean| mean < 1e-9)
        {
            return Err("the mean gap between starts is below a nanosecond".to_owned());
        }
        if let Load::OnOff { on, .. } = &config.load
            && on.mean().is_some_and(|mean| mean < 1e-9)
        {
            return Err("the mean on period is below a nanosecond".to_owned());
        }
        let loads = match &config.load {
            Load::Open { gap } => LoadState::Open { gap: sampler(gap)? },
            Load::OnOff { gap, on, off } => LoadState::OnOff {
                gap: sampler(gap)?,
                on: sampler(on)?,
                off: sampler(off)?,
                ends: Time::ZERO,
            },
            Load::Closed { think, .. } => LoadState::Closed { think: sampler(think)? },
            Load::At(_) => LoadState::At { next: 0 },
        };
        let key = seed ^ name_hash(entity, "connection");
        let first_port = PORTS.0 + (key % u64::from(PORTS.1 - PORTS.0)) as u16;
        Ok(Self {
            target: (book.number(config.target.0), config.target.1),
            sources: config.sources.iter().map(|a| book.number(*a)).collect(),
            row: 0,
            streams: [0; 2],
            started: 0,
            served: 0,
            requests: sampler(&config.requests)?,
            request: sampler(&config.request)?,
            think: sampler(&config.think)?,
            close_delay: sampler(&config.close_delay)?,
            loads,
            gaps: Stream::new(seed, entity, "gap"),
            key,
            next_source: 0,
            next_port: vec![first_port; config.sources.len().max(1)],
            config: config.clone(),
        })
    }

    /// Puts the first starts into the event queue.
    pub fn begin(&mut self, fab: &mut Fabric, host: u16, application: u32) {
        match (&mut self.loads, &self.config.load) {
            (LoadState::Closed { think }, Load::Closed { users, .. }) => {
                for user in 0..*users {
                    let at = Time::ZERO + Span::from_secs_f64(think.sample(&mut self.gaps));
                    let application = application | user << 8;
                    fab.queue.push(at, Event::Client { host, application });
                }
            }
            (LoadState::OnOff { on, ends, .. }, _) => {
                *ends = Time::ZERO + Span::from_secs_f64(on.sample(&mut self.gaps));
                self.schedule(fab, host, application);
            }
            _ => self.schedule(fab, host, application),
        }
    }

    /// Puts the next start of an open loop into the event queue.
    pub fn schedule(&mut self, fab: &mut Fabric, host: u16, application: u32) {
        let at = match &mut self.loads {
            LoadState::Open { gap } => fab.now + Span::from_secs_f64(gap.sample(&mut self.gaps)),
            LoadState::OnOff { gap, on, off, ends } => {
                let mut at = fab.now + Span::from_secs_f64(gap.sample(&mut self.gaps));
                // the rest of a gap that runs into a pause is spent in the next burst
                while at >= *ends {
                    let pause = Span::from_secs_f64(off.sample(&mut self.gaps));
                    let burst = Span::from_secs_f64(on.sample(&mut self.gaps));
                    at += pause;
                    *ends = *ends + pause + burst;
                    if pause + burst == Span::ZERO {
                        break;
                    }
                }
                at
            }
            LoadState::At { next } => {
                let Load::At(points) = &self.config.load else { return };
                let Some(&point) = points.get(*next) else { return };
                *next += 1;
                Time::ZERO + point
            }
            LoadState::Closed { .. } => return,
        };
        fab.queue.push(at.max(fab.now), Event::Client { host, application });
    }

    /// Closed loop: the user thinks, for `least` at least, then comes back.
    pub fn user_returns(
        &mut self,
        fab: &mut Fabric,
        host: u16,
        application: u32,
        user: u32,
        least: Span,
    ) {
        if let LoadState::Closed { think } = &mut self.loads {
            let at = fab.now + Span::from_secs_f64(think.sample(&mut self.gaps)).max(least);
            let application = application | user << 8;
            fab.queue.push(at, Event::Client { host, application });
        }
    }

    /// Leaves out the starts at given points that were before `now`. `false` if its starts are not given.
    pub fn skip_missed(&mut self, now: Time) -> bool {
        let (LoadState::At { next }, Load::At(points)) = (&mut self.loads, &self.config.load)
        else {
            return false;
        };
        while points.get(*next).is_some_and(|&p| Time::ZERO + p < now) {
            *next += 1;
        }
        true
    }

    /// Whether starts follow each other without waiting for answers.
    pub fn is_open_loop(&self) -> bool {
        !matches!(self.loads, LoadState::Closed { .. })
    }

    /// The next source address, in turn; `fallback` if none is configured.
    pub fn next_source(&mut self, fallback: Ip) -> (usize, Ip) {
        if self.sources.is_empty() {
            return (0, fallback);
        }
        let slot = self.next_source;
        self.next_source = (slot + 1) % self.sources.len();
        (slot, self.sources[slot])
    }

    /// The next ephemeral port of a source address.
    pub fn next_port(&mut self, source: usize) -> u16 {
        let port = self.next_port[source];
        self.next_port[source] = if port >= PORTS.1 { PORTS.0 } else { port + 1 };
        port
    }

    /// A tag for packets of a connection: the same for the same application and number in every run.
    pub fn tag(&self, number: u32) -> u32 {
        mix(self.key ^ u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)) as u32
    }

    fn stream(&self, number: u32, request: u32) -> CounterStream {
        CounterStream::new(self.key, u64::from(number) << 32 | u64::from(request))
    }

    /// Requests on a connection.
    pub fn draw_requests(&self, number: u32) -> u32 {
        whole(self.requests.sample(&mut self.stream(number, u32::MAX)))
    }

    /// Bytes of a request and the pause before it.
    pub fn draw_request(&self, number: u32, request: u32) -> (u32, Span) {
        let mut stream = self.stream(number, request);
        let bytes = whole(self.request.sample(&mut stream));
        (bytes, Span::from_secs_f64(self.think.sample(&mut stream)))
    }

    /// Pause before the own close after the peer's.
    pub fn draw_close_delay(&self, number: u32) -> Span {
        Span::from_secs_f64(self.close_delay.sample(&mut self.stream(number, u32::MAX - 1)))
    }

    /// Whether this side closes after the last response.
    pub fn closes(&self) -> bool {
        self.config.closer == Closer::Client
    }

    /// Counts an answered request.
    pub fn count_response(&mut self, fab: &mut Fabric, s: &Session) {
        self.served += u64::from(s.left == 0);
        if !s.counted {
            return;
        }
        let now = fab.now;
        let o = &mut fab.clients[self.row as usize];
        o.requests_served += 1;
        o.connections_served += u64::from(s.left == 0);
        if s.answered != Time::NEVER {
            o.first_byte.record(s.answered - s.asked);
        }
        let from = if s.done == 1 { s.start } else { s.asked };
        o.complete.record(now - from);
        fab.ledger.serve(self.streams, from);
    }

    /// Counts a conversation that failed.
    pub fn count_failure(&self, fab: &mut Fabric, s: &Session, failure: Failure) {
        if !s.counted {
            return;
        }
        fab.clients[self.row as usize].connections_failed[failure as usize] += 1;
        let (now, start) = (fab.now, if s.done == 0 { s.start } else { s.asked });
        let asks = matches!(s.phase, Phase::Connecting | Phase::Waiting);
        let established = self.config.transport == Transport::Tcp && s.connected != Time::NEVER;
        if asks {
            fab.ledger.lose(self.streams, start, failure, now);
        }
        if established && failure != Failure::Unfinished {
            fab.ledger.reset(self.streams, s.connected, now);
        }
    }
}

/// The row of a finished conversation.
pub fn row(
    s: &Session,
    client: u32,
    (source, target): ((IpAddr, u16), (IpAddr, u16)),
    now: Time,
    failure: Option<Failure>,
) -> ConnectionRow {
    ConnectionRow {
        id: s.id,
        client,
        source,
        target,
        server: None,
        start: s.start,
        connected: s.connected,
        first_byte: s.first_byte,
        end: now,
        requests: s.done,
        bytes: s.bytes,
        failure,
    }
}
