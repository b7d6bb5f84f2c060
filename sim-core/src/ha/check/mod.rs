//! The checker process of keepalived: virtual servers, their pools, and the checkers of real servers.
//!
//! Rules of keepalived 2.4 (`keepalived/check/*.c`). The machine is [`Checks`]: time, answers and events go
//! in; questions, changes of IPVS and notes come out.
//!
//! ```
//! use sim_core::config::{CheckConfig, CheckerConfig, CheckerKind, RealServerConfig, VirtualServerConfig};
//! use sim_core::engine::{Span, Time};
//! use sim_core::ha::check::{Action, Checks};
//! use sim_core::ha::probe::Finding;
//! use sim_core::ipvs::rules::{ServerRule, ServiceKey, ServiceRule};
//!
//! let (vip, rip) = ([10, 0, 0, 200].into(), [10, 0, 0, 11].into());
//! let service = ServiceRule::new(ServiceKey::Address { protocol: 6, vip, port: 80 });
//! let checker = CheckerConfig::new(CheckerKind::Tcp, (rip, 80));
//! let server = RealServerConfig {
//!     rule: ServerRule::new(rip, 80),
//!     inhibit: false,
//!     checkers: vec![checker],
//! };
//! let config = CheckConfig {
//!     virtual_servers: vec![VirtualServerConfig::new(vec![service], vec![server])],
//!     ..CheckConfig::default()
//! };
//! let mut checks = Checks::new(&config, 1, "lb1");
//! let mut actions = Vec::new();
//! checks.start(Time::ZERO, |_| true, &mut actions);
//! let first = checks.next_deadline().expect("a first check");
//! assert!((1..=61).contains(&(first.as_nanos() / 1_000_000_000)));
//! actions.clear();
//! checks.on_deadline(first, &mut actions);
//! assert!(matches!(actions[..], [Action::Ask { checker: 0, .. }]));
//! // the first check that fails takes the server down without retries
//! actions.clear();
//! checks.found(first, 0, Finding::Refused, &mut actions);
//! assert!(actions.iter().any(|a| matches!(a, Action::Command(_))));
//! assert_eq!(checks.next_deadline(), Some(first + Span::from_secs(60)));
//! ```

mod checker;
mod pool;
#[cfg(test)]
mod tests;

use super::probe::{Finding, Inquiry};
use crate::config::{CheckConfig, CheckerConfig, CheckerKind, FileConfig, FlushOnStop};
use crate::engine::{Stream, Time};
use crate::ipvs::Command;
use crate::ipvs::rules::{ServiceKey, TimeoutRule};
use checker::{Checker, Meaning, Phase};
use core::cmp::Reverse;
use core::net::IpAddr;
use pool::Pool;
use std::collections::BinaryHeap;

/// What the machine wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// A checker asks. Exactly one [`Checks::found`] is to follow, unless the process ends.
    Ask {
        /// The checker.
        checker: u32,
        /// The question.
        inquiry: Inquiry,
    },
    /// IPVS is to be changed. What the kernel refuses is of no consequence.
    Command(Command),
    /// Something happened.
    Note(Note),
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// A virtual server was added or removed.
    Service {
        /// The virtual server, by its place in the configuration.
        pool: u32,
        /// Whether it is there.
        there: bool,
    },
    /// The quorum was gained or lost.
    Quorum {
        /// The virtual server.
        pool: u32,
        /// Whether it was gained.
        gained: bool,
    },
    /// A real server in the pool.
    Server {
        /// The virtual server.
        pool: u32,
        /// The real server, by its place in the configuration; `None`: the sorry server.
        server: Option<u32>,
        /// Its weight; `None`: removed.
        weight: Option<u16>,
    },
    /// A checker changed its mind.
    Check {
        /// The checker.
        checker: u32,
        /// Whether the server is up.
        up: bool,
        /// What it found.
        finding: String,
    },
}

/// A file with a number in it.
#[derive(Debug)]
struct File {
    config: FileConfig,
    next: usize,
}

/// The checker process. Checkers are numbered through, in the order of the configuration.
#[derive(Debug)]
pub struct Checks {
    config: CheckConfig,
    pools: Vec<Pool>,
    checkers: Vec<Checker>,
    files: Vec<File>,
    /// When which checker (then: which file) wants attention; of each at most one entry.
    due: BinaryHeap<Reverse<(Time, u32)>>,
    running: bool,
}

impl Checks {
    /// A process that does not run. The random part of the first check of each checker comes from a stream
    /// of its own, named by `host` and the checker.
    pub fn new(config: &CheckConfig, seed: u64, host: &str) -> Self {
        let mut checkers = Vec::new();
        for (v, pool) in config.virtual_servers.iter().enumerate() {
            let name = pool.services.first().map_or_else(String::new, |s| s.key.to_string());
            for (s, server) in pool.servers.iter().enumerate() {
                for (c, checker) in server.checkers.iter().enumerate() {
                    let purpose =
                        format!("check {name} {} {} {c}", server.rule.rip, server.rule.port);
                    let stream = Stream::new(seed, host, &purpose);
                    checkers.push(Checker::new(checker.clone(), (v as u32, s as u32), stream));
                }
            }
        }
        let pools = config.virtual_servers.iter().enumerate();
        Self {
            pools: pools.map(|(n, v)| Pool::new(v, n as u32)).collect(),
            files: config.files.iter().map(|f| File { config: f.clone(), next: 0 }).collect(),
            due: BinaryHeap::with_capacity(checkers.len() + config.files.len()),
            checkers,
            running: false,
            config: config.clone(),
        }
    }

    /// Takes over the random streams of the same process on the same host before that was booted.
    pub fn inherit(&mut self, old: Self) {
        for (new, old) in self.checkers.iter_mut().zip(old.checkers) {
            new.stream = old.stream;
        }
    }

    /// Whether the process runs.
    pub const fn is_running(&self) -> bool {
        self.running
    }

    /// Whether there is nothing for it to do.
    pub const fn is_empty(&self) -> bool {
        self.pools.is_empty()
    }

    /// The first service of a virtual server.
    pub fn service(&self, pool: u32) -> Option<ServiceKey> {
        let pool = self.config.virtual_servers.get(pool as usize)?;
        pool.services.first().map(|s| s.key)
    }

    /// The virtual addresses of a virtual server; `None`: no such one.
    pub fn addresses(&self, pool: usize) -> Option<impl Iterator<Item = IpAddr> + '_> {
        self.pools.get(pool).map(Pool::addresses)
    }

    /// Address and port of a real server (`None`: of the sorry server).
    pub fn server(&self, pool: u32, server: Option<u32>) -> Option<(IpAddr, u16)> {
        let pool = self.config.virtual_servers.get(pool as usize)?;
        let rule = match server {
            Some(server) => pool.servers.get(server as usize)?.rule,
            None => pool.sorry?.rule,
        };
        Some((rule.rip, rule.port))
    }

    /// A checker: its virtual server and real server, and its configuration.
    pub fn checker(&self, checker: u32) -> Option<((u32, u32), &CheckerConfig)> {
        self.checkers.get(checker as usize).map(|c| (c.server, &c.config))
    }

    /// Whether a real server is taken for up; `None`: no such server.
    pub fn is_up(&self, pool: u32, server: u32) -> Option<bool> {
        let virtual_server = self.config.virtual_servers.get(pool as usize)?;
        virtual_server.servers.get(server as usize)?;
        let own = |c: &&Checker| c.server == (pool, server);
        Some(self.checkers.iter().filter(own).all(|c| c.up))
    }

    /// The process starts: virtual servers go into IPVS with their real servers, then checkers are set
    /// going. `has` tells whether an address is on the host.
    pub fn start(&mut self, now: Time, has: impl Fn(IpAddr) -> bool, out: &mut Vec<Action>) {
        self.running = true;
        self.due.clear();
        if self.config.flush {
            out.push(Action::Command(Command::Clear));
        }
        if self.config.timeouts != TimeoutRule::default() {
            out.push(Action::Command(Command::SetTimeouts(self.config.timeouts)));
        }
        self.checkers.iter_mut().for_each(Checker::reset);
        for (number, pool) in self.pools.iter_mut().enumerate() {
            pool.present = pool.addresses().filter(|a| has(*a)).count() as u32;
            let down = |server: u32| {
                let own = |c: &&Checker| c.server == (number as u32, server) && !c.up;
                self.checkers.iter().filter(own).count() as u32
            };
            pool.begin(down, out);
        }
        for (number, checker) in self.checkers.iter_mut().enumerate() {
            if checker.is_timed() {
                self.due.push(Reverse((checker.first(now), number as u32)));
            }
        }
        for file in 0..self.files.len() {
            self.files[file].next = 0;
            self.read_file(now, file, out);
        }
    }

    /// The process ends in good order.
    pub fn stop(&mut self, out: &mut Vec<Action>) {
        if !self.running {
            return;
        }
        self.kill();
        let how = self.config.flush_on_stop;
        if how == FlushOnStop::All {
            out.push(Action::Command(Command::Clear));
        }
        for pool in &mut self.pools {
            pool.end(how, out);
        }
    }

    /// The process is gone at once: IPVS stays as it is.
    pub fn kill(&mut self) {
        self.running = false;
        self.due.clear();
    }

    /// When [`Checks::on_deadline`] is to be called next.
    pub fn next_deadline(&self) -> Option<Time> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// Time has passed.
    pub fn on_deadline(&mut self, now: Time, out: &mut Vec<Action>) {
        while let Some(&Reverse((at, number))) = self.due.peek()
            && at <= now
        {
            self.due.pop();
            let number = number as usize;
            if let Some(file) = number.checked_sub(self.checkers.len()) {
                self.read_file(now, file, out);
            } else {
                self.check(now, number, out);
            }
        }
    }

    /// The time of a checker has come: it asks, or its program starts or is over.
    fn check(&mut self, now: Time, number: usize, out: &mut Vec<Action>) {
        let checker = &mut self.checkers[number];
        let (pool, server) = checker.server;
        if checker.phase == Phase::Running {
            let weight = self.pools[pool as usize].configured(server);
            let (meaning, next) = checker.program_over(now, weight);
            self.due.push(Reverse((next, number as u32)));
            let finding = (meaning != Meaning::Same).then(|| checker.program_finding());
            self.weigh(number, out);
            self.judge(number, meaning, finding, out);
            return;
        }
        if self.pools[pool as usize].is_suspended() {
            let next = now + checker.config.delay_loop;
            self.due.push(Reverse((next, number as u32)));
        } else if let Some(inquiry) = checker.inquiry() {
            checker.phase = Phase::Asking;
            out.push(Action::Ask { checker: number as u32, inquiry });
        } else {
            let over = checker.start_program(now);
            self.due.push(Reverse((over, number as u32)));
        }
    }

    /// What a checker asked has been answered, or has failed.
    pub fn found(&mut self, now: Time, checker: u32, finding: Finding, out: &mut Vec<Action>) {
        let number = checker as usize;
        let Some(checker) = self.checkers.get_mut(number) else { return };
        if !self.running || checker.phase != Phase::Asking {
            return;
        }
        let (meaning, next) = checker.found(now, finding);
        self.due.push(Reverse((next, number as u32)));
        if meaning != Meaning::Same {
            self.judge(number, meaning, Some(finding.to_string()), out);
        }
    }

    /// A BFD session has come up or gone down.
    pub fn session(&mut self, name: &str, up: bool, out: &mut Vec<Action>) {
        if !self.running {
            return;
        }
        for number in 0..self.checkers.len() {
            let checker = &mut self.checkers[number];
            if matches!(&checker.config.kind, CheckerKind::Bfd(session) if session == name) {
                let meaning = checker.told(up);
                let finding = if up { "session up" } else { "session down" };
                self.judge(number, meaning, Some(finding.to_owned()), out);
            }
        }
    }

    /// An address has come to the host or has gone.
    pub fn address(&mut self, address: IpAddr, present: bool) {
        for pool in &mut self.pools {
            let times = pool.addresses().filter(|a| *a == address).count() as u32;
            let now = pool.present;
            pool.present = if present { now + times } else { now.saturating_sub(times) };
        }
    }

    /// A checker has come to a conclusion.
    fn judge(
        &mut self,
        number: usize,
        meaning: Meaning,
        finding: Option<String>,
        out: &mut Vec<Action>,
    ) {
        let up = meaning == Meaning::Up;
        let checker = &mut self.checkers[number];
        let (pool, server) = checker.server;
        // a first check that only says what was taken for granted changes nothing
        if meaning == Meaning::Same || checker.reported == up {
            return;
        }
        checker.reported = up;
        let finding = finding.unwrap_or_default();
        out.push(Action::Note(Note::Check { checker: number as u32, up, finding }));
        self.pools[pool as usize].checked(server, up, out);
    }

    /// What checkers add to the weight of a server may have changed.
    fn weigh(&mut self, number: usize, out: &mut Vec<Action>) {
        let (pool, server) = self.checkers[number].server;
        let own = self.checkers.iter().filter(|c| c.server == (pool, server));
        let more = own.map(|c| c.lean).sum();
        self.pools[pool as usize].lean(server, more, out);
    }

    /// Looks at a file, and again when it will change.
    fn read_file(&mut self, now: Time, number: usize, out: &mut Vec<Action>) {
        let since = now.saturating_since(Time::ZERO);
        let file = &mut self.files[number];
        let values = &file.config.values;
        while values.get(file.next).is_some_and(|(at, _)| *at <= since) {
            file.next += 1;
        }
        let value = file.next.checked_sub(1).map_or(0, |last| values[last].1);
        if let Some((at, _)) = values.get(file.next) {
            let due = (Time::ZERO + *at, (self.checkers.len() + number) as u32);
            self.due.push(Reverse(due));
        }
        let name = file.config.name.clone();
        for checker in 0..self.checkers.len() {
            let c = &mut self.checkers[checker];
            let CheckerKind::File { file, weight, reverse } = &c.config.kind else { continue };
            if *file != name {
                continue;
            }
            let (up, more) = effect(value, *weight, *reverse);
            c.lean = more;
            let meaning = c.told(up);
            self.weigh(checker, out);
            self.judge(checker, meaning, Some(format!("value {value}")), out);
        }
    }
}

/// What a number in a file does: whether the server is up, and what is added to its weight (keepalived
/// `process_update_checker_track_file_status`).
fn effect(value: i32, weight: i32, reverse: bool) -> (bool, i64) {
    if weight == 0 {
        return ((value == 0) != reverse, 0);
    }
    let product = i64::from(value) * i64::from(weight);
    let product = if reverse { -product } else { product };
    if product <= -254 { (false, 0) } else { (true, product.min(253)) }
}
