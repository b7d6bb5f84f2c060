//! One checker: when it checks, and when it takes a server for up or down.

use super::super::probe::{Finding, Inquiry, Question, name};
use crate::config::{CheckerConfig, CheckerKind, HttpConfig, ScriptRun, UrlConfig};
use crate::engine::{Span, Stream, Time, Uniform};

/// The pause before the first check (keepalived `BOOTSTRAP_DELAY`).
const BOOTSTRAP: Span = Span::from_secs(1);

/// Bytes of a DNS query besides its name: header, type and class.
const QUERY: usize = 12 + 4;

/// What a checker is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// It waits for its time, or for events.
    Waiting,
    /// A question is on its way.
    Asking,
    /// A program runs.
    Running,
}

/// What a check means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    /// Nothing new.
    Same,
    /// The server is up, as far as this checker sees.
    Up,
    /// It is down.
    Down,
}

/// A checker.
#[derive(Debug)]
pub(super) struct Checker {
    pub(super) config: CheckerConfig,
    /// Virtual server and real server it belongs to.
    pub(super) server: (u32, u32),
    pub(super) phase: Phase,
    /// Whether it takes its server for up.
    pub(super) up: bool,
    /// What the pool was told last.
    pub(super) reported: bool,
    has_run: bool,
    retries: u32,
    /// Page or mail host in turn.
    item: usize,
    /// The page that failed last.
    failed: Option<usize>,
    /// When the program was started.
    began: Time,
    run: ScriptRun,
    /// What it adds to the weight of its server.
    pub(super) lean: i64,
    pub(super) stream: Stream,
}

impl Checker {
    pub(super) fn new(config: CheckerConfig, server: (u32, u32), stream: Stream) -> Self {
        let mut checker = Self {
            phase: Phase::Waiting,
            up: true,
            reported: true,
            has_run: false,
            retries: 0,
            item: 0,
            failed: None,
            began: Time::ZERO,
            run: ScriptRun::default(),
            lean: 0,
            config,
            server,
            stream,
        };
        checker.reset();
        checker
    }

    /// As at the start of the process.
    pub(super) fn reset(&mut self) {
        self.phase = Phase::Waiting;
        self.up = !self.config.alpha;
        self.reported = self.up;
        self.has_run = false;
        // the first failure counts without being retried
        self.retries = self.config.retry;
        self.item = 0;
        self.failed = None;
        self.lean = 0;
    }

    /// Whether it checks by itself, and is not told.
    pub(super) const fn is_timed(&self) -> bool {
        !matches!(self.config.kind, CheckerKind::Bfd(_) | CheckerKind::File { .. })
    }

    /// When the first check comes.
    pub(super) fn first(&mut self, now: Time) -> Time {
        if let Some(phase) = self.config.phase {
            return now + phase;
        }
        let warmup = u128::from(self.config.warmup.as_nanos()) + 1;
        let part = (u128::from(self.stream.next_u64()) * warmup) >> 64;
        now + BOOTSTRAP + Span::from_nanos(u64::try_from(part).unwrap_or(0))
    }

    /// The next question; `None` if it runs a program, or is told.
    pub(super) fn inquiry(&self) -> Option<Inquiry> {
        let c = &self.config;
        let mut target = c.target;
        let question = match &c.kind {
            CheckerKind::Tcp => Question::Connect,
            CheckerKind::Http(http) => {
                let url = http.urls.get(self.item)?;
                Question::Page {
                    path: name(&url.path),
                    virtualhost: url.virtualhost.as_deref().map_or(0, name),
                    tls: http.tls,
                }
            }
            CheckerKind::Smtp { hosts } => {
                target = hosts.get(self.item).copied().unwrap_or(target);
                Question::Mail
            }
            // a name is as long on the wire as in text, with a length before each label and a root
            CheckerKind::Dns { name } => {
                let labels = if name == "." { 1 } else { name.trim_end_matches('.').len() + 2 };
                Question::Name(u16::try_from(QUERY + labels).unwrap_or(u16::MAX))
            }
            CheckerKind::Udp { payload, .. } => Question::Datagram(*payload),
            CheckerKind::Ping => Question::Echo,
            CheckerKind::Misc(_) | CheckerKind::Bfd(_) | CheckerKind::File { .. } => return None,
        };
        let timeout = c.connect_timeout;
        Some(Inquiry { question, target, source: c.source, source_port: c.source_port, timeout })
    }

    /// Starts the program; when it will be over.
    pub(super) fn start_program(&mut self, now: Time) -> Time {
        let CheckerKind::Misc(script) = &self.config.kind else { return now };
        let since = now.saturating_since(Time::ZERO);
        let run = script.runs.iter().rev().find(|(from, _)| *from <= since);
        self.run = run.map_or_else(ScriptRun::default, |r| r.1);
        self.began = now;
        self.phase = Phase::Running;
        now + self.run.duration.min(script.timeout)
    }

    /// The program is over, or its time is: what that means, and when it is started again. keepalived
    /// `misc_check_child_thread`: the pause counts from the start of the run.
    pub(super) fn program_over(&mut self, now: Time, weight: u16) -> (Meaning, Time) {
        let CheckerKind::Misc(script) = &self.config.kind else { return (Meaning::Same, now) };
        let exit = (self.run.duration <= script.timeout).then_some(self.run.exit);
        let good = exit.is_some_and(|e| e == 0 || script.dynamic && e >= 2);
        if let Some(exit) = exit
            && script.dynamic
            && good
        {
            let wanted = if exit == 0 { i64::from(weight) } else { i64::from(exit) - 2 };
            self.lean = wanted - i64::from(weight);
        }
        let (meaning, pause) = self.plain(good);
        (meaning, (self.began + pause).max(now))
    }

    /// How the program ended.
    pub(super) fn program_finding(&self) -> String {
        match &self.config.kind {
            CheckerKind::Misc(script) if self.run.duration > script.timeout => {
                Finding::TimedOut.to_string()
            }
            _ => format!("exit {}", self.run.exit),
        }
    }

    /// An answer to the last question has come: what that means, and when to ask again.
    pub(super) fn found(&mut self, now: Time, finding: Finding) -> (Meaning, Time) {
        self.phase = Phase::Waiting;
        let good = self.is_good(finding);
        if matches!(self.config.kind, CheckerKind::Http(_)) {
            let (meaning, pause) = self.page(good);
            return (meaning, now + pause);
        }
        if let CheckerKind::Smtp { hosts } = &self.config.kind
            && good
            && self.item + 1 < hosts.len()
        {
            self.item += 1;
            return (Meaning::Same, now);
        }
        self.item = 0;
        let (meaning, pause) = self.plain(good);
        (meaning, now + pause)
    }

    /// Whether the server answered as it should.
    fn is_good(&self, finding: Finding) -> bool {
        match (&self.config.kind, finding) {
            (CheckerKind::Tcp, Finding::Connected)
            | (CheckerKind::Ping, Finding::Echo)
            | (CheckerKind::Udp { reply: None, .. }, Finding::Datagram(_) | Finding::TimedOut) => {
                true
            }
            (CheckerKind::Http(http), Finding::Page(page)) => {
                let Some(url) = http.urls.get(self.item) else { return false };
                let among = |r: &(u16, u16)| (r.0..=r.1).contains(&page.status);
                let expected = |digest| url.digest.as_deref().is_none_or(|d| name(d) == digest);
                url.statuses.iter().any(among)
                    && page.digest.is_none_or(expected)
                    && is_found(url, page.found)
            }
            (CheckerKind::Smtp { .. }, Finding::Mail(greeting, hello)) => {
                (greeting, hello) == (220, 250)
            }
            (CheckerKind::Dns { .. }, Finding::Name(rcode)) => rcode == 0,
            (CheckerKind::Udp { reply: Some((least, most)), .. }, Finding::Datagram(bytes)) => {
                (u32::from(*least)..=u32::from(*most)).contains(&bytes)
            }
            _ => false,
        }
    }

    /// The rule of all checkers but those of pages.
    fn plain(&mut self, good: bool) -> (Meaning, Span) {
        self.phase = Phase::Waiting;
        let first = !self.has_run;
        let was_up = self.up;
        let again = self.config.delay_loop;
        if good {
            self.retries = 0;
            return (self.judge(true, !was_up || first), again);
        }
        let told = was_up || first;
        if !told && !self.retries_while_down() {
            return (Meaning::Same, again);
        }
        if self.retries < self.config.retry {
            self.retries += 1;
            return (Meaning::Same, self.config.delay_before_retry);
        }
        self.retries = 0;
        (self.judge(false, told), again)
    }

    /// Whether retries go on while the server is down, so that pauses alternate (recorded with TCP checks of
    /// keepalived 2.2.7: a server down for 11 s was asked after 2, 1, 2, 1... s).
    const fn retries_while_down(&self) -> bool {
        matches!(self.config.kind, CheckerKind::Tcp | CheckerKind::Udp { .. } | CheckerKind::Ping)
    }

    fn judge(&mut self, up: bool, told: bool) -> Meaning {
        self.has_run = true;
        self.up = up;
        match (told, up) {
            (false, _) => Meaning::Same,
            (true, true) => Meaning::Up,
            (true, false) => Meaning::Down,
        }
    }

    /// The rule of pages: all must be good, one after another.
    fn page(&mut self, good: bool) -> (Meaning, Span) {
        let CheckerKind::Http(HttpConfig { urls, fast_recovery, .. }) = &self.config.kind else {
            return (Meaning::Same, self.config.delay_loop);
        };
        let (pages, hurry) = (urls.len(), *fast_recovery && !self.up);
        let first = !self.has_run;
        let c = &self.config;
        if !good {
            if (self.up || first) && self.retries < c.retry {
                self.retries += 1;
                return (Meaning::Same, c.delay_before_retry);
            }
            let pause = c.delay_before_retry.max(c.delay_loop);
            let told = self.up || first;
            self.retries = 0;
            self.failed = Some(self.item);
            return (self.judge(false, told), pause);
        }
        self.retries = 0;
        // after a page that had failed all are looked at again, from the first
        let from_the_first = self.failed.take().is_some_and(|page| page > 0);
        self.item = if from_the_first { 0 } else { self.item + 1 };
        let pause = if hurry { Span::ZERO } else { self.config.delay_loop };
        if self.item < pages {
            return (Meaning::Same, pause);
        }
        self.item = 0;
        (self.judge(true, !self.up || first), self.config.delay_loop)
    }

    /// A checker that is told: its server is up, or down.
    pub(super) fn told(&mut self, up: bool) -> Meaning {
        if self.up == up && self.has_run {
            return Meaning::Same;
        }
        self.judge(up, true)
    }
}

fn is_found(url: &UrlConfig, found: bool) -> bool {
    url.regex.is_none_or(|r| found != r.absent)
}
