//! Server applications: workers that take requests, work on them for a while and answer.

use super::fabric::{Event, Fabric};
use super::sharing::Sharing;
use crate::config::{Closer, Discipline, ServerConfig, Transport};
use crate::engine::rng::{CounterStream, name_hash};
use crate::engine::{Sampler, Span, Time};
use crate::observe::ServerObservation;
use crate::tcp::Conn;
use crate::wire::Ip;
use std::collections::{BTreeSet, VecDeque};

/// Who gets the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asker {
    /// A connection, by the number of its [`Visit`]; [`GONE`] once the connection is.
    Tcp(u32),
    /// A datagram: local address, peer.
    Udp {
        /// Address and port that were asked.
        local: (Ip, u16),
        /// Who asked.
        peer: (Ip, u16),
        /// Tag of the datagram.
        tag: u32,
    },
}

/// The asker has gone.
pub const GONE: u32 = u32::MAX;

/// A request in the system.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// Application.
    pub application: u16,
    /// Who asked.
    pub asker: Asker,
    /// When the request was complete.
    pub arrived: Time,
    /// Work of one worker.
    pub work: Span,
    /// Bytes of the response.
    pub response: u32,
    /// The process that worked on it is gone.
    pub killed: bool,
}

/// A connection as the application sees it.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// The connection.
    pub conn: Conn,
    /// Application.
    pub application: u16,
    /// Requests so far.
    pub requests: u32,
    /// The request in the system, [`GONE`] if none.
    pub job: u32,
    /// The peer has closed.
    pub peer_closed: bool,
    /// The application has accepted it; before, it waits in the backlog.
    pub accepted: bool,
    /// Requests that came before it was accepted.
    pub early: u32,
    /// It ended before it was accepted.
    pub gone: bool,
    /// When the application closes it, [`Time::NEVER`] if that is not decided.
    pub closes: Time,
}

/// What the host must do for an application.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Write a response on a connection, then close it if asked to.
    Write {
        /// The connection.
        conn: Conn,
        /// Bytes.
        bytes: u32,
        /// Number of the connection in its application.
        visit: u32,
        /// Close this long after it.
        close: Option<Span>,
    },
    /// Send a datagram.
    Datagram {
        /// Own address and port.
        local: (Ip, u16),
        /// To whom.
        peer: (Ip, u16),
        /// Bytes.
        bytes: u32,
        /// Tag of the request.
        tag: u32,
    },
}

/// A server application.
#[derive(Debug)]
pub struct ServerApplication {
    /// Its configuration.
    pub config: ServerConfig,
    /// What it saw.
    pub observation: ServerObservation,
    /// Number of its listener in the host's TCP.
    pub listener: u32,
    /// Connections open now.
    pub open: u32,
    /// Requests waiting or in service.
    pub in_system: u32,
    service: Sampler,
    response: Sampler,
    service_key: u64,
    close_delay: Sampler,
    response_key: u64,
    close_key: u64,
    busy: u32,
    waiting: VecDeque<u32>,
    /// Requests that are done but not answered while it is held up.
    done: Vec<u32>,
    backlog: VecDeque<u32>,
    sharing: Sharing,
    worked: Span,
    pub(super) health: Health,
}

/// What a fault has done to an application.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Health {
    /// The process runs.
    pub running: bool,
    /// It takes connections out of the backlog.
    pub accepts: bool,
    /// It answers.
    pub answers: bool,
    /// The work of a request takes so many times as long.
    pub factor: f64,
    /// HTTP status of its answers.
    pub status: u16,
}

impl Default for Health {
    fn default() -> Self {
        Self { running: true, accepts: true, answers: true, factor: 1.0, status: 200 }
    }
}

/// The server applications of a host.
#[derive(Debug, Default)]
pub struct Servers {
    /// Applications in the order of the configuration.
    pub applications: Vec<ServerApplication>,
    visits: Vec<Visit>,
    free_visits: Vec<u32>,
    jobs: Vec<Job>,
    free_jobs: Vec<u32>,
}

impl ServerApplication {
    /// An idle application. The streams its draws come from are named by what is drawn, not by the
    /// host: a request needs the same work wherever it is sent, so two runs that differ in the
    /// choice of servers share the rest.
    ///
    /// # Errors
    /// A distribution without meaning.
    pub fn new(config: &ServerConfig, host: &str, seed: u64) -> Result<Self, String> {
        let sampler = |d| Sampler::new(d).map_err(|e| e.to_string());
        let purpose = format!("port {}", config.port);
        Ok(Self {
            observation: ServerObservation {
                host: host.to_owned(),
                port: config.port,
                ..ServerObservation::default()
            },
            listener: u32::MAX,
            open: 0,
            in_system: 0,
            service: sampler(&config.service)?,
            response: sampler(&config.response)?,
            service_key: seed ^ name_hash("service", &purpose),
            close_delay: sampler(&config.close_delay)?,
            response_key: seed ^ name_hash("response", &purpose),
            close_key: seed ^ name_hash("close", &purpose),
            busy: 0,
            waiting: VecDeque::new(),
            done: Vec::new(),
            backlog: VecDeque::new(),
            sharing: Sharing::new(config.workers),
            worked: Span::ZERO,
            health: Health::default(),
            config: config.clone(),
        })
    }

    /// Whether it listens to this port.
    pub fn listens(&self, transport: Transport, port: u16) -> bool {
        self.config.transport == transport && self.config.port == port && self.health.running
    }

    /// What faults have done to it.
    pub const fn health(&self) -> Health {
        self.health
    }

    /// Worker time of the requests that have left.
    pub const fn worked(&self) -> Span {
        self.worked
    }

    fn draw(&self, tag: u32, request: u32) -> (Span, u32) {
        let counter = u64::from(tag) << 32 | u64::from(request);
        let work = self.service.sample(&mut CounterStream::new(self.service_key, counter));
        let bytes = self.response.sample(&mut CounterStream::new(self.response_key, counter));
        (Span::from_secs_f64(work).times(self.health.factor), whole(bytes))
    }

    /// The host stood still for so long.
    pub(super) fn pause(&mut self, pause: Span) {
        self.sharing.pause(pause);
    }

    /// Goes on with what was counted of the same application before its host lost power.
    fn inherit(&mut self, old: &Self) {
        self.observation.clone_from(&old.observation);
        self.worked = old.worked;
    }
}

/// A sampled count: rounded, at least 1, at most 2^31.
pub fn whole(x: f64) -> u32 {
    let rounded = (x + 0.5).clamp(1.0, 2_147_483_648.0);
    rounded as u32
}

impl Servers {
    /// A new connection waits to be accepted from a listener; its number.
    pub fn arrive(&mut self, listener: u32, conn: Conn) -> u32 {
        let application = self.applications.iter().position(|a| a.listener == listener);
        let application = application.expect("a listener belongs to an application") as u16;
        let visit = Visit {
            conn,
            application,
            requests: 0,
            job: GONE,
            peer_closed: false,
            accepted: false,
            early: 0,
            gone: false,
            closes: Time::NEVER,
        };
        let slot = if let Some(slot) = self.free_visits.pop() {
            self.visits[slot as usize] = visit;
            slot
        } else {
            self.visits.push(visit);
            self.visits.len() as u32 - 1
        };
        self.applications[application as usize].backlog.push_back(slot);
        slot
    }

    /// The next connection to accept, if the application has room for one: its number and the
    /// listener. A connection that ended while it waited is returned as well, [`Visit::gone`].
    pub fn accept(&mut self, application: u16) -> Option<(u32, u32)> {
        let app = &mut self.applications[application as usize];
        let takes = app.health.running && app.health.accepts;
        if app.open >= app.config.connections || !takes {
            return None;
        }
        let visit = app.backlog.pop_front()?;
        let v = &mut self.visits[visit as usize];
        v.accepted = true;
        app.observation.connections += 1;
        if v.gone {
            self.free_visits.push(visit);
        } else {
            app.open += 1;
        }
        Some((visit, app.listener))
    }

    /// Slots for connections and for requests.
    pub fn slots(&self) -> (usize, usize) {
        (self.visits.len(), self.jobs.len())
    }

    /// A connection, by its number.
    pub fn visit(&mut self, visit: u32) -> &mut Visit {
        &mut self.visits[visit as usize]
    }

    /// A connection has ended; an answer under way has nobody to go to.
    pub fn close(&mut self, visit: u32) {
        let v = &mut self.visits[visit as usize];
        if !v.accepted {
            v.gone = true;
            return;
        }
        self.applications[v.application as usize].open -= 1;
        if v.job != GONE {
            self.jobs[v.job as usize].asker = Asker::Tcp(GONE);
        }
        self.free_visits.push(visit);
    }

    /// A whole request has come on a connection. `false`: refused, the queue is full.
    pub fn request(&mut self, host: u16, fab: &mut Fabric, visit: u32, tag: u32) -> bool {
        let v = &mut self.visits[visit as usize];
        v.requests += 1;
        let (application, number) = (v.application, v.requests);
        match self.enter(host, fab, application, Asker::Tcp(visit), (tag, number)) {
            Some(job) => {
                self.visits[visit as usize].job = job;
                true
            }
            None => false,
        }
    }

    /// A datagram has come. `false`: refused, the queue is full.
    pub fn datagram(
        &mut self,
        host: u16,
        fab: &mut Fabric,
        application: u16,
        local: (Ip, u16),
        peer: (Ip, u16),
        tag: u32,
    ) -> bool {
        self.applications[application as usize].observation.connections += 1;
        let asker = Asker::Udp { local, peer, tag };
        self.enter(host, fab, application, asker, (tag, 1)).is_some()
    }

    fn enter(
        &mut self,
        host: u16,
        fab: &mut Fabric,
        application: u16,
        asker: Asker,
        (tag, number): (u32, u32),
    ) -> Option<u32> {
        let app = &mut self.applications[application as usize];
        let workers = app.config.workers;
        if u64::from(app.in_system) >= u64::from(workers) + u64::from(app.config.queue) {
            app.observation.refused += 1;
            return None;
        }
        app.in_system += 1;
        app.observation.max_in_system = app.observation.max_in_system.max(u64::from(app.in_system));
        let (work, response) = app.draw(tag, number);
        let entry = Job { application, asker, arrived: fab.now, work, response, killed: false };
        let job = if let Some(slot) = self.free_jobs.pop() {
            self.jobs[slot as usize] = entry;
            slot
        } else {
            self.jobs.push(entry);
            self.jobs.len() as u32 - 1
        };
        if app.health.answers {
            self.begin(host, fab, job);
        } else {
            app.waiting.push_back(job);
        }
        Some(job)
    }

    /// Begins to work on a request, or lets it wait for a worker.
    fn begin(&mut self, host: u16, fab: &mut Fabric, job: u32) {
        let Job { application, work, .. } = self.jobs[job as usize];
        let app = &mut self.applications[application as usize];
        match app.config.discipline {
            Discipline::Fifo if app.busy < app.config.workers => {
                app.busy += 1;
                fab.queue.push(fab.now + work, Event::Served { host, job });
            }
            Discipline::Fifo => app.waiting.push_back(job),
            Discipline::ProcessorSharing => {
                if let Some(at) = app.sharing.enter(fab.now, job, work) {
                    fab.queue.push(at, Event::Shared { host, application: application.into() });
                }
            }
        }
    }

    /// An application that was held up goes on: what was done is answered, what waits is begun.
    pub(super) fn go_on(
        &mut self,
        host: u16,
        fab: &mut Fabric,
        application: usize,
        replies: &mut Vec<Reply>,
    ) {
        let app = &mut self.applications[application];
        let (done, waiting) = (core::mem::take(&mut app.done), core::mem::take(&mut app.waiting));
        for job in done {
            replies.extend(self.leave(fab.now, job));
        }
        for job in waiting {
            self.begin(host, fab, job);
        }
    }

    /// The process of an application is gone with all its requests.
    pub(super) fn kill(&mut self, application: usize) {
        let app = &mut self.applications[application];
        let idle = Sharing::new(app.config.workers);
        let shared = core::mem::replace(&mut app.sharing, idle).into_jobs();
        let unfinished = app.waiting.drain(..).chain(app.done.drain(..)).chain(shared);
        self.free_jobs.extend(unfinished);
        (app.in_system, app.busy, app.listener) = (0, 0, u32::MAX);
        // of those that a worker has the end is still to come, which frees them; of free ones it says nothing
        for job in self.jobs.iter_mut().filter(|j| usize::from(j.application) == application) {
            job.killed = true;
        }
    }

    /// The connections that an application has or that wait for it, by number.
    pub(super) fn visits_of(&self, application: usize) -> Vec<u32> {
        let free: BTreeSet<u32> = self.free_visits.iter().copied().collect();
        let of = |v: &Visit| usize::from(v.application) == application;
        let all = self.visits.iter().enumerate().filter(|(_, v)| of(v)).map(|(n, _)| n as u32);
        all.filter(|n| !free.contains(n)).collect()
    }

    /// Forgets the connections that waited for an application that is gone; they have ended. How many.
    pub(super) fn forget_backlog(&mut self, application: usize) -> usize {
        let backlog = core::mem::take(&mut self.applications[application].backlog);
        let count = backlog.len();
        self.free_visits.extend(backlog);
        count
    }

    /// Goes on with what was counted of the same applications before their host lost power.
    pub(super) fn inherit(&mut self, old: &Self) {
        for (new, old) in self.applications.iter_mut().zip(&old.applications) {
            new.inherit(old);
        }
    }

    /// FIFO: a worker has finished a request and takes the next.
    pub fn served(&mut self, host: u16, fab: &mut Fabric, job: u32) -> Option<Reply> {
        let Job { application, killed, .. } = self.jobs[job as usize];
        if killed {
            self.free_jobs.push(job);
            return None;
        }
        let app = &mut self.applications[application as usize];
        if !app.health.answers {
            app.busy -= 1;
            app.done.push(job);
            return None;
        }
        if let Some(next) = app.waiting.pop_front() {
            let work = self.jobs[next as usize].work;
            fab.queue.push(fab.now + work, Event::Served { host, job: next });
        } else {
            app.busy -= 1;
        }
        self.leave(fab.now, job)
    }

    /// Processor sharing: requests may have been served.
    pub fn shared(
        &mut self,
        host: u16,
        fab: &mut Fabric,
        application: u32,
        replies: &mut Vec<Reply>,
    ) {
        let app = &mut self.applications[application as usize];
        let mut done = Vec::new();
        if let Some(at) = app.sharing.wake(fab.now, &mut done) {
            fab.queue.push(at, Event::Shared { host, application });
        }
        if !app.health.answers {
            app.done.append(&mut done);
        }
        for job in done {
            replies.extend(self.leave(fab.now, job));
        }
    }

    /// A request leaves the system with its answer.
    fn leave(&mut self, now: Time, job: u32) -> Option<Reply> {
        let j = self.jobs[job as usize];
        self.free_jobs.push(job);
        let app = &mut self.applications[j.application as usize];
        app.in_system -= 1;
        app.worked += j.work;
        app.observation.sojourn.record(now - j.arrived);
        let reply = match j.asker {
            Asker::Tcp(GONE) => return None,
            Asker::Tcp(visit) => {
                let v = &mut self.visits[visit as usize];
                v.job = GONE;
                let close = if v.peer_closed {
                    Some(Span::ZERO)
                } else if app.config.closer == Closer::Server {
                    let counter = u64::from(visit) << 32 | app.observation.requests & 0xffff_ffff;
                    let mut stream = CounterStream::new(app.close_key, counter);
                    Some(Span::from_secs_f64(app.close_delay.sample(&mut stream)))
                } else {
                    None
                };
                Reply::Write { conn: v.conn, visit, bytes: j.response, close }
            }
            Asker::Udp { local, peer, tag } => {
                Reply::Datagram { local, peer, bytes: j.response, tag }
            }
        };
        app.observation.requests += 1;
        app.observation.bytes += u64::from(j.response);
        Some(reply)
    }
}
