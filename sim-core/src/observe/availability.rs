//! Was the service there? Requests served and lost, and the outages between them, without a row for each
//! request.
//!
//! A request is served or lost; a connection that fails loses the request that it was in (the first one
//! starts with the connection, later ones when they are sent), and nothing between two requests. In the
//! order of their starts, lost requests with no served one between them are a *run*. It begins with the
//! start of its first request and ends with the start of the first one served after it. A run is an
//! *outage* if it lasts for [`OutageRule::gap`] or has [`OutageRule::requests`] requests, and longer than
//! [`FINEST`] passed between the served requests around it; the requests of shorter runs failed while others
//! succeeded and are *isolated* failures.
//!
//! Requests end in another order than they start in, and failures are known late (a time-out). So a
//! [`Stream`] remembers the *gaps*: the times between the starts of two served requests one after the other
//! that are longer than [`FINEST`]. A late answer splits the gap that its request started in, a failure falls
//! into its gap or, if there is none, is isolated. A served request that starts close behind the last one
//! costs a comparison. Old gaps without failures are forgotten, short ones first.

use super::{ClientObservation, Failure};
use crate::config::OutageRule;
use crate::engine::{Span, Time};

/// The shortest time between two served requests that is looked at: 5 ms.
pub const FINEST: Span = Span::from_millis(5);

/// Gaps remembered before old ones are forgotten.
const GAPS: usize = 2_048;
/// Long gaps without a failure that are kept nevertheless: their failures may still come.
const LONG_GAPS: usize = 256;
/// Separate losses of a gap; beyond, neighbours are counted together.
const LOSSES: usize = 16_384;
/// Broken connections that are assigned to outages one by one.
const BREAKS: usize = 65_536;

/// A time in which no request was served that started in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outage {
    /// Start of the first lost request.
    pub begin: Time,
    /// Start of the first request served after it; if there was none, the end of the time in which clients
    /// start connections.
    pub end: Time,
    /// Nothing was served any more until the run ended.
    pub lasting: bool,
    /// Lost requests by [`Failure`], in the order of [`Failure::ALL`].
    pub failed: [u64; 6],
    /// Established TCP connections that broke by it: opened before it began, broken after that and before
    /// the next outage began.
    pub reset: u64,
    /// What caused it: its number in [`super::Observations::timeline`], see [`super::cause`].
    pub cause: Option<u32>,
}

impl Outage {
    /// From its begin to its end.
    pub fn length(&self) -> Span {
        self.end - self.begin
    }

    /// Requests lost.
    pub fn lost(&self) -> u64 {
        self.failed.iter().sum()
    }
}

/// How available a service was to some clients.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Availability {
    /// The client application, or the service: `10.0.0.1:80/tcp`.
    pub name: String,
    /// Requests served.
    pub served: u64,
    /// Requests lost, by [`Failure`].
    pub failed: [u64; 6],
    /// Requests that had waited for less than [`OutageRule::gap`] when the run ended: neither.
    pub undecided: u64,
    /// Lost requests that are in no outage.
    pub isolated: u64,
    /// Established TCP connections that broke, in an outage or not.
    pub reset: u64,
    /// Outages in order of time.
    pub outages: Vec<Outage>,
}

impl Availability {
    /// Requests lost.
    pub fn lost(&self) -> u64 {
        self.failed.iter().sum()
    }

    /// Requests served or lost.
    pub fn offered(&self) -> u64 {
        self.served + self.lost()
    }

    /// Share of the requests that were served; `None` if there were none.
    pub fn share(&self) -> Option<f64> {
        let offered = self.offered();
        (offered > 0).then(|| self.served as f64 / offered as f64)
    }

    /// Time of all outages together.
    pub fn downtime(&self) -> Span {
        self.outages.iter().map(Outage::length).fold(Span::ZERO, |sum, one| sum + one)
    }

    /// All of them together: outages that overlap or touch are one, from the first begin to the last end.
    pub fn union(name: &str, all: &[Self]) -> Self {
        let mut sum = Self { name: name.to_owned(), ..Self::default() };
        let mut outages = Vec::new();
        for one in all {
            sum.served += one.served;
            sum.undecided += one.undecided;
            sum.isolated += one.isolated;
            sum.reset += one.reset;
            add(&mut sum.failed, &one.failed);
            outages.extend_from_slice(&one.outages);
        }
        outages.sort_by_key(|o| (o.begin, o.end));
        for o in outages {
            match sum.outages.last_mut() {
                Some(last) if o.begin <= last.end => {
                    last.end = last.end.max(o.end);
                    last.lasting |= o.lasting;
                    last.reset += o.reset;
                    last.cause = last.cause.or(o.cause);
                    add(&mut last.failed, &o.failed);
                }
                _ => sum.outages.push(o),
            }
        }
        sum
    }
}

fn add(sum: &mut [u64; 6], more: &[u64; 6]) {
    for (slot, n) in sum.iter_mut().zip(more) {
        *slot += n;
    }
}

/// A point in time as a number from 1; 0 is before everything.
type Point = u64;

const fn point(time: Time) -> Point {
    time.as_nanos() + 1
}

const fn time(point: Point) -> Time {
    Time::from_nanos(point.saturating_sub(1))
}

const FINEST_NS: u64 = FINEST.as_nanos();

/// Lost requests that started one after the other.
#[derive(Clone, Copy, Debug)]
struct Loss {
    first: Point,
    failed: [u32; 6],
}

impl Loss {
    fn count(&self) -> u64 {
        self.failed.iter().map(|n| u64::from(*n)).sum()
    }
}

/// The time between two served requests.
#[derive(Clone, Debug)]
struct Gap {
    after: Point,
    before: Point,
    /// What was lost in it, in the order of the starts.
    lost: Vec<Loss>,
}

impl Gap {
    const fn length(&self) -> u64 {
        self.before - self.after
    }
}

/// The requests of some clients to some service, as they are served and lost.
///
/// ```
/// use sim_core::engine::Time;
/// use sim_core::observe::Failure;
/// use sim_core::config::OutageRule;
/// use sim_core::observe::availability::Stream;
///
/// let at = |s: u64| Time::from_nanos(s * 1_000_000_000);
/// let mut stream = Stream::new(OutageRule::default());
/// stream.serve(at(1));
/// stream.serve(at(4)); // the requests of 2 and 3 are not known to be lost yet
/// stream.lose(at(2), Failure::TimedOut);
/// stream.lose(at(3), Failure::TimedOut);
/// let seen = stream.finish("probe", at(5));
/// assert_eq!((seen.outages[0].begin, seen.outages[0].end), (at(2), at(4)));
/// assert_eq!(seen.outages[0].lost(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct Stream {
    /// Start of the newest served request.
    newest: Point,
    /// How far ahead of it a served request may start without more ado: [`FINEST`], nothing if
    /// something was lost since.
    reach: u64,
    /// End of the newest gap: what was served after it can split none.
    settled: Point,
    served: u64,
    failed: [u64; 6],
    undecided: u64,
    reset: u64,
    rule: OutageRule,
    /// In order of time.
    gaps: Vec<Gap>,
    most_gaps: usize,
    /// What was lost since the newest served request started.
    tail: Vec<Loss>,
    /// Broken connections: opened, broken.
    breaks: Vec<(Point, Point)>,
}

impl Stream {
    /// Before the first request.
    pub const fn new(rule: OutageRule) -> Self {
        Self {
            newest: 0,
            reach: FINEST_NS,
            settled: 0,
            served: 0,
            failed: [0; 6],
            undecided: 0,
            reset: 0,
            rule,
            gaps: Vec::new(),
            most_gaps: GAPS,
            tail: Vec::new(),
            breaks: Vec::new(),
        }
    }

    /// A request that started at `start` was answered.
    #[inline]
    pub fn serve(&mut self, start: Time) {
        self.served += 1;
        let start = point(start);
        if start.wrapping_sub(self.newest) <= self.reach {
            self.newest = start;
        } else if start > self.newest || start < self.settled {
            self.serve_apart(start);
        }
    }

    #[cold]
    fn serve_apart(&mut self, start: Point) {
        if start < self.newest {
            self.split(start);
            return;
        }
        let after = core::mem::replace(&mut self.newest, start);
        let lost = if self.tail.is_empty() {
            Vec::new()
        } else {
            let later = self.tail.partition_point(|l| l.first <= start);
            let rest = self.tail.split_off(later);
            core::mem::replace(&mut self.tail, rest)
        };
        self.reach = if self.tail.is_empty() { FINEST_NS } else { 0 };
        if start - after > FINEST_NS {
            self.settled = start;
            let lost = lost.into_iter().filter(|l| l.first < start).collect();
            self.gaps.push(Gap { after, before: start, lost });
            if self.gaps.len() > self.most_gaps {
                self.forget();
            }
        }
    }

    /// The gap that holds a point, if one does.
    fn gap_at(&self, at: Point) -> Option<usize> {
        let index = self.gaps.partition_point(|g| g.before <= at);
        self.gaps.get(index).filter(|g| g.after < at).map(|_| index)
    }

    /// A request was served in the midst of what was a gap until now.
    fn split(&mut self, start: Point) {
        let Some(index) = self.gap_at(start) else { return };
        let Gap { after, before, mut lost } = self.gaps.remove(index);
        let mut right = lost.split_off(lost.partition_point(|l| l.first <= start));
        lost.retain(|l| l.first < start);
        right.shrink_to_fit();
        for gap in [Gap { after: start, before, lost: right }, Gap { after, before: start, lost }] {
            if gap.length() > FINEST_NS {
                self.gaps.insert(index, gap);
            }
        }
    }

    /// A request that started at `start` was lost.
    #[cold]
    pub fn lose(&mut self, start: Time, failure: Failure) {
        self.failed[failure as usize] += 1;
        let start = point(start);
        if start > self.newest {
            self.reach = 0;
            enter(&mut self.tail, start, failure);
        } else if let Some(index) = self.gap_at(start) {
            enter(&mut self.gaps[index].lost, start, failure);
        }
    }

    /// The run is over at `now` and a request that started at `start` had no answer yet: it is lost
    /// if it had time for one.
    pub fn leave(&mut self, start: Time, now: Time) {
        if self.rule.is_undecided(start, now) {
            self.undecided += 1;
        } else {
            self.lose(start, Failure::Unfinished);
        }
    }

    /// An established TCP connection broke.
    #[cold]
    pub fn reset(&mut self, connected: Time, now: Time) {
        self.reset += 1;
        if self.breaks.len() < BREAKS {
            self.breaks.push((point(connected), point(now)));
        }
    }

    /// Forgets old gaps: those without an outage, but of those without any failure the longest stay.
    fn forget(&mut self) {
        let rule = self.rule;
        let old = self.gaps.len() / 2;
        let mut lengths: Vec<u64> =
            self.gaps[..old].iter().filter(|g| g.lost.is_empty()).map(Gap::length).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        let long = lengths.get(LONG_GAPS).copied().unwrap_or(0);
        let mut index = 0;
        self.gaps.retain(|g| {
            index += 1;
            let keeps =
                if g.lost.is_empty() { g.length() > long } else { outage(g, rule).is_some() };
            index > old || keeps
        });
        self.most_gaps = GAPS.max(self.gaps.len() * 3 / 2);
    }

    /// What was seen until `end`: from there on no connection is started.
    pub fn finish(&self, name: &str, end: Time) -> Availability {
        let mut outages: Vec<Outage> =
            self.gaps.iter().filter_map(|g| outage(g, self.rule)).collect();
        let tail = Gap {
            after: self.newest,
            before: point(end).max(self.tail.last().map_or(self.newest, |l| l.first)),
            lost: self.tail.clone(),
        };
        outages.extend(outage(&tail, self.rule).map(|o| Outage { lasting: true, ..o }));
        for &(connected, broken) in &self.breaks {
            let known = outages.partition_point(|o| o.begin <= time(broken));
            let last = known.checked_sub(1).and_then(|i| outages.get_mut(i));
            if let Some(outage) = last.filter(|o| time(connected) <= o.begin) {
                outage.reset += 1;
            }
        }
        let in_outages: u64 = outages.iter().map(Outage::lost).sum();
        Availability {
            name: name.to_owned(),
            served: self.served,
            failed: self.failed,
            undecided: self.undecided,
            isolated: self.failed.iter().sum::<u64>() - in_outages,
            reset: self.reset,
            outages,
        }
    }
}

/// Adds a lost request; they come nearly in the order of their starts.
fn enter(lost: &mut Vec<Loss>, start: Point, failure: Failure) {
    let mut index = lost.partition_point(|l| l.first <= start);
    if index == 0 || lost[index - 1].first != start {
        if lost.len() >= LOSSES {
            join(lost);
            index = lost.partition_point(|l| l.first <= start);
        }
        lost.insert(index, Loss { first: start, failed: [0; 6] });
        index += 1;
    }
    lost[index - 1].failed[failure as usize] += 1;
}

/// Counts neighbours together.
fn join(lost: &mut Vec<Loss>) {
    let pair = |pair: &[Loss]| {
        let mut sum = pair[0];
        for other in &pair[1..] {
            for (slot, n) in sum.failed.iter_mut().zip(other.failed) {
                *slot += n;
            }
        }
        sum
    };
    *lost = lost.chunks(2).map(pair).collect();
}

/// The outage in a gap, if what was lost there is one.
fn outage(gap: &Gap, rule: OutageRule) -> Option<Outage> {
    let first = gap.lost.first()?.first;
    let mut failed = [0; 6];
    for loss in &gap.lost {
        add(&mut failed, &loss.failed.map(u64::from));
    }
    let count: u64 = gap.lost.iter().map(Loss::count).sum();
    let long = gap.before - first >= rule.gap.as_nanos();
    (long || count >= u64::from(rule.requests)).then_some(Outage {
        begin: time(first),
        end: time(gap.before),
        lasting: false,
        failed,
        reset: 0,
        cause: None,
    })
}

/// When requests were lost: of very many the times are rounded.
#[derive(Clone, Debug)]
struct Losses {
    all: Vec<(Time, u32)>,
    grid: u64,
}

impl Default for Losses {
    fn default() -> Self {
        Self { all: Vec::new(), grid: 1_000_000 }
    }
}

impl Losses {
    fn enter(&mut self, start: Time) {
        self.all.push((start, 1));
        while self.all.len() > BREAKS {
            self.grid *= 2;
            let grid = self.grid;
            for (at, _) in &mut self.all {
                *at = Time::from_nanos(at.as_nanos() / grid * grid);
            }
            self.all = self.sorted();
        }
    }

    /// In order of time, those of one time together.
    fn sorted(&self) -> Vec<(Time, u32)> {
        let mut all = self.all.clone();
        all.sort_unstable();
        all.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.1 += if same { next.1 } else { 0 };
            same
        });
        all
    }
}

/// No other stream.
const NONE: u32 = u32::MAX;

/// The streams of a run: one for each client application (by name) and one for each service. Where all
/// requests of a client application go to one service that nobody else uses, one stream is both.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    streams: Vec<Stream>,
    /// Stream by client application.
    clients: Vec<u32>,
    /// Streams by service.
    services: Vec<(String, u32)>,
    rule: OutageRule,
    losses: Losses,
}

impl Ledger {
    /// The streams for applications, each given by its place among the clients of the results and the
    /// name of its service; with the streams of each.
    pub fn new(rule: OutageRule, applications: &[(u32, String)]) -> (Self, Vec<[u32; 2]>) {
        let mut ledger = Self { rule, ..Self::default() };
        let rows = applications.iter().map(|a| a.0 as usize + 1).max().unwrap_or(0);
        ledger.clients = (0..rows as u32).collect();
        ledger.streams = vec![Stream::new(rule); rows];
        let mut places = Vec::new();
        for (row, service) in applications {
            let known = ledger.services.iter().find(|(name, _)| name == service).map(|s| s.1);
            let stream = known.unwrap_or_else(|| {
                let alone = applications.iter().all(|(r, s)| (r == row) == (s == service));
                let stream = if alone { *row } else { ledger.streams.len() as u32 };
                if !alone {
                    ledger.streams.push(Stream::new(rule));
                }
                ledger.services.push((service.clone(), stream));
                stream
            });
            places.push([*row, if stream == *row { NONE } else { stream }]);
        }
        (ledger, places)
    }

    /// A request that started at `start` was answered, see [`Stream::serve`].
    #[inline]
    pub fn serve(&mut self, [client, service]: [u32; 2], start: Time) {
        self.streams[client as usize].serve(start);
        if service != NONE {
            self.streams[service as usize].serve(start);
        }
    }

    /// A request that started at `start` was lost, or left undecided if it is `Unfinished`.
    #[cold]
    pub fn lose(&mut self, places: [u32; 2], start: Time, failure: Failure, now: Time) {
        let over = failure == Failure::Unfinished;
        self.each(places, |stream| {
            if over { stream.leave(start, now) } else { stream.lose(start, failure) }
        });
        if !(over && self.rule.is_undecided(start, now)) {
            self.losses.enter(start);
        }
    }

    /// An established TCP connection broke, see [`Stream::reset`].
    #[cold]
    pub fn reset(&mut self, places: [u32; 2], connected: Time, now: Time) {
        self.each(places, |stream| stream.reset(connected, now));
    }

    fn each(&mut self, places: [u32; 2], act: impl Fn(&mut Stream)) {
        for place in places.into_iter().filter(|p| *p != NONE) {
            act(&mut self.streams[place as usize]);
        }
    }

    /// When requests started that were lost, and how many; of very many the times are rounded down.
    pub fn losses(&self) -> Vec<(Time, u32)> {
        self.losses.sorted()
    }

    /// What was seen of each client application, in the order of the results.
    pub fn clients(&self, rows: &[ClientObservation], end: Time) -> Vec<Availability> {
        let streams = self.clients.iter().map(|s| &self.streams[*s as usize]);
        streams.zip(rows).map(|(stream, row)| stream.finish(&row.name, end)).collect()
    }

    /// What was seen of each service.
    pub fn services(&self, end: Time) -> Vec<Availability> {
        self.services.iter().map(|(n, s)| self.streams[*s as usize].finish(n, end)).collect()
    }
}

#[cfg(test)]
mod tests;
