//! Everything that a recording and its simulation must share: states, adverts, announcements, pools,
//! outages, and the spans of time between them.

use crate::conform::ha::case::Case;
use crate::conform::ha::course::{
    PoolChange, Reign, bursts_of, pool_changes, reigns, without_short,
};
use crate::conform::ha::interval::{Interval, JITTER, PERIODIC, Report};
use crate::conform::ha::observed::{Answer, Burst, Observed, Outage, Request};
use sim_core::engine::{Span, Time};
use std::collections::{BTreeMap, BTreeSet};

/// Adverts by which a reign may be longer or shorter: a clock that drifts by the jitter of each advert.
const ADVERTS: usize = 1;
/// Failed requests that are less apart than this belong to one outage: every second one failed.
const CALM: Span = Span::from_millis(150);
/// Time between two requests of the client, in seconds.
const REQUEST: f64 = 0.1;
/// Longest time that the client waits for an answer, in seconds: an outage in which it waited ends with the
/// request that was under way.
const PATIENCE: f64 = 0.4;
/// Timers of a second and more run up to so much late on a kernel with 100 ticks a second, in seconds: those
/// of neighbours and of TCP, by which a host that is back is found.
const TICKS: f64 = 0.08;
/// Time-outs for which a recording shows no reason last no longer than this.
const STUMBLE: Span = Span::from_secs(1);
/// Differences at the end of a recording that are no longer than this are not looked at.
const END: Span = Span::from_millis(150);

/// One side of a comparison.
#[derive(Clone, Debug)]
pub struct Side {
    /// What was seen.
    pub seen: Observed,
    /// When the program of a host began, as a backup that waits.
    pub ready: Vec<(Time, String)>,
    /// Changes of pools with the best times there are.
    pools: Vec<PoolChange>,
    reigns: Vec<Reign>,
    bursts: Vec<Burst>,
    outages: Vec<Outage>,
}

impl Side {
    /// The recorded side of a case. Pools are polled; a line of the log tells better when they changed.
    pub fn recorded(case: &Case, interval: Span) -> Self {
        let ready = case.log.iter().filter(|l| l.text.ends_with("Entering BACKUP STATE (init)"));
        let ready = ready.map(|l| (l.at, l.host.clone())).collect();
        let mut side = Self::new(case.seen.clone(), ready, interval, case.end);
        for change in &mut side.pools {
            change.at = logged(case, change).unwrap_or(change.at);
        }
        side
    }

    /// What was seen until `end`.
    pub fn new(seen: Observed, ready: Vec<(Time, String)>, interval: Span, end: Time) -> Self {
        let (reigns, bursts) = (reigns(&seen, interval), seen.bursts());
        let (pools, outages) = (pool_changes(&seen), seen.outages(CALM, end));
        Self { seen, ready, pools, reigns, bursts, outages }
    }

    fn reigns_of(&self, host: &str) -> Vec<&Reign> {
        self.reigns.iter().filter(|r| r.host == host).collect()
    }

    /// The hosts that sent adverts or announcements.
    fn routers(&self) -> Vec<String> {
        let mut all: Vec<String> = self.ready.iter().map(|r| r.1.clone()).collect();
        all.extend(self.reigns.iter().map(|r| r.host.clone()));
        all.sort();
        all.dedup();
        all
    }
}

/// When a change of a pool was logged.
fn logged(case: &Case, change: &PoolChange) -> Option<Time> {
    let (ip, port) = change.server.as_ref()?.rsplit_once(':')?;
    let verbs = match change.weight {
        None => ["Removing", "Shutting down"],
        Some(0) => ["Disabling", "Disabling"],
        Some(_) => ["Adding", "Enabling"],
    };
    let lines = case.log.iter().filter(|l| l.host == change.host);
    let line = lines.filter(|l| l.at + END >= change.since && l.at <= change.at).find(|l| {
        verbs.iter().any(|v| l.text.starts_with(v))
            && l.text.contains(&format!("[{ip}]:"))
            && l.text.contains(&format!(":{port} "))
    })?;
    Some(line.at)
}

/// Compares the sides of a case. `interval` is the interval of adverts.
pub fn compare(case: &Case, recorded: &Side, simulated: &Side, interval: Span) -> Report {
    let mut report = Report::default();
    let mut c = Comparison { case, recorded, simulated, interval, report: &mut report };
    c.states();
    c.adverts();
    c.announcements();
    c.pools();
    c.outages();
    c.long_connection();
    report
}

struct Comparison<'a> {
    case: &'a Case,
    recorded: &'a Side,
    simulated: &'a Side,
    interval: Span,
    report: &'a mut Report,
}

impl Comparison<'_> {
    /// Whether something happened so late that the other side need not have it.
    fn is_late(&self, at: Time) -> bool {
        at + END > self.case.end
    }

    /// Who has the VIP, on the hosts and in the router's ARP cache.
    fn states(&mut self) {
        let by_host = |side: &Side| {
            let mut all: BTreeMap<String, Vec<(Time, String)>> = BTreeMap::new();
            for (at, host, has) in &side.seen.holders {
                let word = if *has { "has the VIP" } else { "has no VIP" };
                all.entry(host.clone()).or_default().push((*at, word.to_owned()));
            }
            let owner = |o: &Option<String>| o.clone().unwrap_or_else(|| "nobody".to_owned());
            let owners = side.seen.owners.iter().map(|(at, o)| (*at, owner(o)));
            all.insert("the router's ARP cache".to_owned(), owners.collect());
            all
        };
        let (recorded, simulated) = (by_host(self.recorded), by_host(self.simulated));
        for (host, states) in &recorded {
            let states = without_short(states, states.len(), self.case.end);
            let ours = simulated.get(host).cloned().unwrap_or_default();
            let ours = self.settled(&ours, states.len());
            self.report.sequence(host, &words(&states), &words(&ours));
        }
    }

    /// States without those that the recording may have missed.
    fn settled(&self, states: &[(Time, String)], wanted: usize) -> Vec<(Time, String)> {
        let inside: Vec<_> = states.iter().filter(|s| s.0 <= self.case.end).cloned().collect();
        let mut inside = without_short(&inside, wanted, self.case.end);
        while inside.len() > wanted && inside.last().is_some_and(|s| self.is_late(s.0)) {
            inside.pop();
        }
        inside
    }

    /// Pairs of what both sides have; what one lacks at the very end is left out.
    fn pairs<T: Clone>(
        &mut self,
        name: &str,
        (recorded, simulated): (Vec<T>, Vec<T>),
        at: impl Fn(&T) -> Time,
        word: impl Fn(&T) -> String,
    ) -> Vec<(T, T)> {
        let keep = |list: Vec<T>, other: usize| -> Vec<T> {
            let late = |(n, t): (usize, T)| (n < other || !self.is_late(at(&t))).then_some(t);
            list.into_iter().enumerate().filter_map(late).collect()
        };
        let (r, s) = (recorded.len(), simulated.len());
        let (recorded, simulated) = (keep(recorded, s), keep(simulated, r));
        let told = |list: &[T]| list.iter().map(&word).collect::<Vec<_>>();
        self.report.sequence(name, &told(&recorded), &told(&simulated));
        recorded.into_iter().zip(simulated).collect()
    }

    /// Two masters that hear each other and obey neither put each other's adverts off: whose timer runs out
    /// first is decided by less than a millisecond, again and again. Then all their adverts together are
    /// those of one master.
    fn silencing(&self) -> bool {
        let pause = Span::from_nanos(self.interval.as_nanos() * 5 / 2);
        let holds = |side: &Side, host: &str| {
            side.seen.holders.iter().rfind(|h| h.1 == host).is_some_and(|h| h.2)
        };
        let routers = self.recorded.routers();
        let silent = |side: &Side, host: &String| {
            let last = side.reigns_of(host).last().map(|r| (r.priority, r.last()));
            holds(side, host)
                && last.is_some_and(|(priority, at)| {
                    priority > 0 && self.case.end.saturating_since(at) > pause
                })
        };
        let all = |side: &Side| routers.iter().all(|h| holds(side, h));
        let one = |side: &Side| routers.iter().any(|h| silent(side, h));
        all(self.recorded) && all(self.simulated) && one(self.recorded) && one(self.simulated)
    }

    /// The adverts of all hosts as those of one.
    fn together(&mut self) {
        let merged = |side: &Side| {
            let mut all: Vec<Time> = side.reigns.iter().flat_map(|r| r.adverts.clone()).collect();
            all.sort();
            all.retain(|at| *at <= self.case.end);
            all
        };
        let (theirs, ours) = (merged(self.recorded), merged(self.simulated));
        self.report.compared += theirs.len();
        if theirs.len().abs_diff(ours.len()) > ADVERTS {
            let text =
                format!("recorded {} adverts of both, simulated {}", theirs.len(), ours.len());
            self.report.differences.push(text);
        }
        let average = |all: &[Time]| {
            // the first adverts of both are what they begin with
            let all = all.get(1..).unwrap_or_default();
            let span = all.last()?.saturating_since(*all.first()?).as_secs_f64();
            Some(span / (all.len().max(2) - 1) as f64)
        };
        if let (Some(r), Some(s)) = (average(&theirs), average(&ours)) {
            let name = "from advert to advert of both, on average";
            self.report.interval(Interval::new(name, r, s).within(PERIODIC));
        }
        self.report.notes.push(
            "two masters hear each other and obey neither: which of them is silent is chance, so their \
             adverts are compared together"
                .to_owned(),
        );
    }

    fn adverts(&mut self) {
        if self.silencing() {
            self.together();
            return;
        }
        for host in self.recorded.routers() {
            let of = |side: &Side| side.reigns_of(&host).into_iter().cloned().collect::<Vec<_>>();
            let both = (of(self.recorded), of(self.simulated));
            let word = |r: &Reign| format!("adverts of priority {} to {}", r.priority, r.to);
            for (theirs, ours) in self.pairs(&host, both, Reign::first, word) {
                self.reign(&theirs, &ours);
            }
        }
    }

    fn reign(&mut self, theirs: &Reign, ours: &Reign) {
        let host = &theirs.host;
        let [a, b] = [theirs, ours].map(|r| r.adverts.len());
        self.report.compared += 1;
        if a.abs_diff(b) > ADVERTS {
            let text = format!(
                "{host}: recorded {a} adverts of priority {}, simulated {b}",
                theirs.priority
            );
            self.report.differences.push(text);
        }
        if theirs.priority == 0 {
            let name = format!("{host}: told to stop, to the advert of priority 0");
            self.after_event(&name, host, theirs.first(), ours.first());
            return;
        }
        let (r, s) = (self.reason(self.recorded, theirs), self.reason(self.simulated, ours));
        match (r, s) {
            (Some((why, r)), Some((same, s))) if why == same => {
                let name = format!("{host}: {why} to its first advert");
                self.interval(&name, (r, theirs.first()), (s, ours.first()));
            }
            (Some((theirs, _)), other) => {
                let ours = other.map_or_else(|| "nothing".to_owned(), |(ours, _)| ours);
                self.report.differences.push(format!(
                    "{host} takes over: recorded after {theirs}, simulated after {ours}"
                ));
            }
            (None, _) => {}
        }
        if let (Some(r), Some(s)) = (theirs.period(self.interval), ours.period(self.interval)) {
            let name = format!("{host}: from advert to advert, on average");
            self.report.interval(Interval::new(name, r, s).within(PERIODIC));
        }
    }

    fn interval(&mut self, name: &str, recorded: (Time, Time), simulated: (Time, Time)) {
        let [r, s] = [recorded, simulated].map(|(from, to)| to.as_secs_f64() - from.as_secs_f64());
        self.report.interval(Interval::new(name, r, s));
    }

    /// What a router waited from before a reign began: the last advert it had to obey, its own start, or
    /// the return of its link.
    fn reason(&self, side: &Side, reign: &Reign) -> Option<(String, Time)> {
        let begin = reign.first();
        let host = &reign.host;
        let up = |e: &&super::super::case::Event| {
            e.host.as_ref() == Some(host) && e.what.ends_with("link up") && e.at < begin
        };
        let ready = side.ready.iter().filter(|(at, h)| h == host && *at < begin);
        let own = ready
            .map(|(at, _)| ("its start".to_owned(), *at))
            .chain(self.case.events.iter().filter(up).map(|e| ("link up".to_owned(), e.at)))
            .max_by_key(|(_, at)| *at)?;
        // what was sent while the way was cut was not heard
        let heard_until = self.cut_before(begin).unwrap_or(begin);
        let obeyed = |r: &&Reign| {
            r.host != *host
                && r.router == reign.router
                && (r.priority == 0 || r.priority >= reign.priority)
        };
        // whoever obeys an advert waits for three more; one that is nearer was not obeyed
        let wait = Span::from_nanos(self.interval.as_nanos() * 2);
        let last = side
            .reigns
            .iter()
            .filter(obeyed)
            .filter_map(|r| {
                let at = r.adverts.iter().rfind(|a| **a < heard_until)?;
                if r.priority > 0 && begin.saturating_since(*at) < wait {
                    return None;
                }
                Some((format!("last advert of {}, priority {},", r.host, r.priority), *at))
            })
            .max_by_key(|(_, at)| *at);
        Some(last.filter(|l| l.1 > own.1).unwrap_or(own))
    }

    /// When the way between the directors was cut, if it still was at `at`.
    fn cut_before(&self, at: Time) -> Option<Time> {
        let mut cut = None;
        for event in self.case.events.iter().filter(|e| e.at < at) {
            match () {
                () if super::plan::cuts(&event.what) => cut = Some(event.at),
                () if super::plan::heals(&event.what) => cut = None,
                () => {}
            }
        }
        cut
    }

    /// An interval from the last thing that the experimenter did to a host.
    fn after_event(&mut self, name: &str, host: &str, theirs: Time, ours: Time) {
        // an event is stamped when it was done, so its effect may stand before it
        let before = |at: Time| {
            let mut mine = self.case.events.iter().filter(|e| e.host.as_deref() == Some(host));
            mine.rfind(|e| e.at <= at + Span::from_millis(100)).map(|e| e.at)
        };
        if let Some(event) = before(theirs) {
            self.interval(name, (event, theirs), (event, ours));
        }
    }

    fn announcements(&mut self) {
        for host in self.recorded.routers() {
            let of = |side: &Side| bursts_of(&side.bursts, &host);
            let both = (of(self.recorded), of(self.simulated));
            let word = |b: &Burst| format!("a burst of {} gratuitous ARP", b.count);
            let mut before: Option<(Burst, Burst)> = None;
            for (theirs, ours) in self.pairs(&host, both, |b| b.last, word) {
                self.burst(&theirs, &ours, before.as_ref());
                before = Some((theirs, ours));
            }
        }
    }

    /// A burst follows the beginning of a reign or the burst before, whatever is nearer.
    fn burst(&mut self, theirs: &Burst, ours: &Burst, before: Option<&(Burst, Burst)>) {
        let host = &theirs.from;
        let begin = |side: &Side, burst: &Burst| {
            let early = burst.first + Span::from_millis(50);
            let all = side.reigns_of(host).into_iter();
            all.filter(|r| r.priority > 0 && r.first() <= early).map(Reign::first).max()
        };
        let begins = (begin(self.recorded, theirs), begin(self.simulated, ours));
        if let (Some(r), Some(s)) = begins
            && before.is_none_or(|(b, _)| b.first < r)
        {
            let name = format!("{host}: first advert to burst");
            self.interval(&name, (r, theirs.first), (s, ours.first));
        } else if let Some((b, o)) = before {
            let name = format!("{host}: burst to burst");
            self.interval(&name, (b.first, theirs.first), (o.first, ours.first));
        }
        let name = format!("{host}: length of a burst");
        self.interval(&name, (theirs.first, theirs.last), (ours.first, ours.last));
    }

    fn pools(&mut self) {
        let hosts: BTreeSet<(String, Option<String>)> =
            self.recorded.pools.iter().map(|c| (c.host.clone(), c.server.clone())).collect();
        for (host, server) in hosts {
            let of = |side: &Side| {
                let same = |c: &&PoolChange| c.host == host && c.server == server;
                side.pools.iter().filter(same).cloned().collect::<Vec<_>>()
            };
            let what = server.as_deref().unwrap_or("the service");
            let name = format!("{host}: {what}");
            let word = |c: &PoolChange| match (c.weight, &c.server) {
                (None, _) => "removed".to_owned(),
                (Some(_), None) => "added".to_owned(),
                (Some(weight), Some(_)) => format!("weight {weight}"),
            };
            let both = (of(self.recorded), of(self.simulated));
            for (theirs, ours) in self.pairs(&name, both, |c| c.at, word) {
                // how long a program takes to start, and to end, is the machine's
                if server.is_some() && !self.is_of_process(&theirs) {
                    self.pool_change(&word(&theirs), &theirs, &ours);
                }
            }
        }
    }

    /// Whether a change came with the start or the end of the program.
    fn is_of_process(&self, change: &PoolChange) -> bool {
        let service = |c: &&PoolChange| c.host == change.host && c.server.is_none();
        let near = |c: &PoolChange| {
            let (a, b) = (c.at.as_secs_f64(), change.at.as_secs_f64());
            (a - b).abs() < 0.5
        };
        self.recorded.pools.iter().filter(service).any(near)
    }

    fn pool_change(&mut self, word: &str, theirs: &PoolChange, ours: &PoolChange) {
        let event = self.case.events.iter().rfind(|e| e.at < theirs.at);
        let Some(event) = event else { return };
        let server = theirs.server.as_deref().unwrap_or_default();
        let name = format!("{}: \"{}\" to {server} {word}", theirs.host, short(&event.what));
        let [r, s] = [theirs, ours].map(|c| c.at.as_secs_f64() - event.at.as_secs_f64());
        let found_again = super::plan::heals(&event.what);
        let limit = if found_again { JITTER + TICKS } else { JITTER };
        self.report.interval(Interval::new(name, r, s).within(limit));
    }

    fn outages(&mut self) {
        let mut theirs = self.recorded.outages.clone();
        if theirs.len() > self.simulated.outages.len() {
            theirs.retain(|o| !self.is_stumble(o));
        }
        let both = (theirs, self.simulated.outages.clone());
        let word = |_: &Outage| "an outage".to_owned();
        let pairs = self.pairs("the client", both, |o| o.begin, word);
        for (n, (theirs, ours)) in pairs.into_iter().enumerate() {
            let edges = [("begins", theirs.begin, ours.begin), ("ends", theirs.end, ours.end)];
            for (word, r, s) in edges {
                let name = format!("client: outage {} {word}", n + 1);
                let waited = word == "ends" && self.waits(&theirs);
                let limit = JITTER + if waited { PATIENCE } else { REQUEST };
                self.report
                    .interval(Interval::new(name, r.as_secs_f64(), s.as_secs_f64()).within(limit));
            }
        }
    }

    /// A connection that was open when the director changed.
    fn long_connection(&mut self) {
        let word = |side: &Side| {
            let end = side.seen.long.as_ref().map(|a| a.name().to_owned());
            end.into_iter().collect::<Vec<_>>()
        };
        self.report.sequence("the long connection", &word(self.recorded), &word(self.simulated));
    }

    /// The requests of a recorded outage.
    fn requests(&self, outage: &Outage) -> impl Iterator<Item = &Request> {
        let (from, until) = (outage.begin, outage.end);
        self.recorded.seen.requests.iter().filter(move |r| r.at >= from && r.at < until)
    }

    /// Whether the last failure of an outage is a time-out.
    fn waits(&self, outage: &Outage) -> bool {
        self.requests(outage)
            .filter(|r| !r.answer.is_served())
            .last()
            .is_some_and(|r| r.answer == Answer::TimedOut)
    }

    /// Whether a recorded outage is short, of time-outs, and nothing happened before it that could be its
    /// reason: a note tells of it.
    fn is_stumble(&mut self, outage: &Outage) -> bool {
        let near = |at: Time| at <= outage.end && outage.begin.saturating_since(at) < STUMBLE;
        let seen = &self.recorded.seen;
        let reason = self.case.events.iter().any(|e| near(e.at))
            || seen.holders.iter().any(|h| near(h.0))
            || seen.pools.iter().any(|p| near(p.0))
            || seen.owners.iter().any(|o| near(o.0));
        let short = outage.end.saturating_since(outage.begin) < STUMBLE;
        let timed_out = self.requests(outage).all(|r| r.answer == Answer::TimedOut);
        let stumble = short && timed_out && !reason;
        if stumble {
            let (from, until) = (outage.begin.as_secs_f64(), outage.end.as_secs_f64());
            let note = format!(
                "requests from {from:.3} s to {until:.3} s were not served; the recording shows no reason"
            );
            self.report.notes.push(note);
        }
        stumble
    }
}

fn words(states: &[(Time, String)]) -> Vec<String> {
    states.iter().map(|s| s.1.clone()).collect()
}

/// The first words of an event, without what is in brackets.
fn short(what: &str) -> &str {
    what.split(" (").next().unwrap_or(what)
}
