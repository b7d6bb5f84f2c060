//! What a timeline shows as lanes: masters, holders of virtual addresses, neighbour caches, pools; with
//! faults and lost requests.

use super::availability::{fault_words, overall};
use crate::study::Outcome;
use reports::Unit;
use reports::plot::{Axis, Count, Lane, Shade, Stretch, Svg, Timeline};
use sim_core::config::{FaultKind, ProgramHarm};
use sim_core::engine::Time;
use sim_core::observe::holders::UNKNOWN;
use sim_core::observe::timeline::Kind;
use sim_core::observe::{Observations, Outage, TimelineEntry, VipObservation};

/// Caches of an address that are shown, those that changed most.
const CACHES: usize = 12;
/// With more real servers in pools than this, only those are shown that changed.
const POOL: usize = 24;
/// Bars of lost requests.
const BARS: usize = 240;
/// A run longer than this many seconds is also shown around its longest outage.
const LONG_S: f64 = 600.0;

/// The timeline of the whole run.
pub(super) fn whole(outcome: &Outcome) -> Svg {
    let end = outcome.observations.end.as_secs_f64();
    draw(outcome, outcome.variant.name.clone(), (0.0, end))
}

/// The timeline around the longest outage, if the run is long and there was one.
pub(super) fn longest(outcome: &Outcome) -> Option<Svg> {
    let o = &outcome.observations;
    let end = o.end.as_secs_f64();
    let outages = overall(o).outages;
    let worst = outages.iter().max_by_key(|o| (o.length(), std::cmp::Reverse(o.begin)))?;
    if end < LONG_S {
        return None;
    }
    let (begin, over) = (worst.begin.as_secs_f64(), worst.end.as_secs_f64());
    let cause = worst.cause.and_then(|c| o.timeline.get(c as usize));
    let begin = cause.map_or(begin, |c| c.time.as_secs_f64().min(begin).max(begin - 60.0));
    let around = ((over - begin) * 0.75).max(5.0);
    let title = format!("{}: the longest outage", outcome.variant.name);
    Some(draw(outcome, title, ((begin - around).max(0.0), (over + around).min(end))))
}

fn draw(outcome: &Outcome, title: String, range: (f64, f64)) -> Svg {
    let o = &outcome.observations;
    let end = o.end.as_secs_f64();
    let mut lanes = states(o, end);
    lanes.extend(o.vips.iter().map(|vip| holders(vip, end)));
    lanes.extend(o.vips.iter().flat_map(|vip| caches(vip, end)));
    lanes.extend(pools(o, end));
    Timeline {
        title,
        time: Axis::new("simulated time", Unit::Seconds),
        range,
        lanes,
        shades: shades(outcome, range),
        counted: "Requests lost, by start".to_owned(),
        counts: counts(o, range),
    }
    .svg()
}

fn stretch(from: f64, to: f64, who: &str) -> Stretch {
    Stretch { from, to, who: who.to_owned(), pale: false }
}

/// What a host is in a lane until it is something else.
#[derive(Debug)]
struct Open {
    lane: usize,
    host: String,
    since: f64,
    pale: bool,
}

/// Lanes that are filled while a timeline is read.
#[derive(Debug)]
struct Filling {
    lanes: Vec<Lane>,
    open: Vec<Open>,
}

impl Filling {
    const fn new() -> Self {
        Self { lanes: Vec::new(), open: Vec::new() }
    }

    fn lane(&mut self, group: String, name: &str) -> usize {
        let found = self.lanes.iter().position(|l| l.group == group && l.name == name);
        found.unwrap_or_else(|| {
            self.lanes.push(Lane { group, name: name.to_owned(), stretches: Vec::new() });
            self.lanes.len() - 1
        })
    }

    fn begin(&mut self, lane: usize, host: &str, since: f64, pale: bool) {
        self.open.push(Open { lane, host: host.to_owned(), since, pale });
    }

    /// Whatever is open and fits ends.
    fn end(&mut self, at: f64, fits: impl Fn(&Open) -> bool) {
        let lanes = &mut self.lanes;
        self.open.retain(|open| {
            let over = fits(open);
            if over && let Some(lane) = lanes.get_mut(open.lane) {
                let stretch = stretch(open.since, at, &open.host);
                lane.stretches.push(Stretch { pale: open.pale, ..stretch });
            }
            !over
        });
    }

    /// What a host was goes on, pale or not.
    fn fade(&mut self, at: f64, host: &str, pale: bool) {
        let was: Vec<usize> = self.open.iter().filter(|o| o.host == host).map(|o| o.lane).collect();
        self.end(at, |open| open.host == host);
        for lane in was {
            self.begin(lane, host, at, pale);
        }
    }

    fn done(mut self, end: f64) -> Vec<Lane> {
        self.end(end, |_| true);
        // who was first gets the first colour
        for lane in &mut self.lanes {
            lane.stretches.sort_by(|a, b| a.from.total_cmp(&b.from));
        }
        self.lanes
    }
}

/// Who is master of each virtual router, and who holds each resource group.
fn states(o: &Observations, end: f64) -> Vec<Lane> {
    let mut filling = Filling::new();
    for entry in &o.timeline {
        let (at, host) = (entry.time.as_secs_f64(), entry.host.as_str());
        let (group, on) = match entry.kind {
            Kind::State => ("Master", entry.value == "MASTER"),
            Kind::Resource => ("Resources", entry.value == "held"),
            Kind::Process if matches!(entry.subject.as_str(), "keepalived" | "heartbeat") => {
                match entry.value.as_str() {
                    "killed" | "stopped" => filling.end(at, |open| open.host == host),
                    "frozen" => filling.fade(at, host, true),
                    _ => filling.fade(at, host, false),
                }
                continue;
            }
            Kind::Power => {
                match entry.value.as_str() {
                    "off" => filling.end(at, |open| open.host == host),
                    "frozen" => filling.fade(at, host, true),
                    _ => filling.fade(at, host, false),
                }
                continue;
            }
            _ => continue,
        };
        let lane = filling.lane(group.to_owned(), &entry.subject);
        filling.end(at, |open| open.lane == lane && open.host == host);
        if on {
            filling.begin(lane, host, at, false);
        }
    }
    filling.done(end)
}

fn holders(vip: &VipObservation, end: f64) -> Lane {
    let ends = vip.holders.iter().skip(1).map(|h| h.time.as_secs_f64()).chain([end]);
    let of = |(holding, until): (&sim_core::observe::Holding, f64)| -> Vec<Stretch> {
        let from = holding.time.as_secs_f64();
        holding.hosts.iter().map(|host| stretch(from, until, host)).collect()
    };
    Lane {
        group: "Holds the virtual address".to_owned(),
        name: vip.address.to_string(),
        stretches: vip.holders.iter().zip(ends).flat_map(of).collect(),
    }
}

fn caches(vip: &VipObservation, end: f64) -> Vec<Lane> {
    let mut caches: Vec<_> = vip.caches.iter().collect();
    caches.sort_by_key(|c| std::cmp::Reverse(c.changes()));
    caches.truncate(CACHES);
    caches.sort_by(|a, b| a.host.cmp(&b.host));
    let lane = |cache: &sim_core::observe::CacheObservation| {
        let ends = cache.owners.iter().skip(1).map(|o| o.0.as_secs_f64()).chain([end]);
        let known = cache.owners.iter().zip(ends).filter(|((_, owner), _)| owner != UNKNOWN);
        Lane {
            group: format!("Stands for {} in the neighbour cache of", vip.address),
            name: cache.host.clone(),
            stretches: known.map(|((at, who), to)| stretch(at.as_secs_f64(), to, who)).collect(),
        }
    };
    caches.into_iter().map(lane).collect()
}

/// What stands over the lanes of a service of a host.
fn pool(host: &str, service: &str) -> String {
    format!("Pool of {host}: {service}")
}

/// Real servers in the pools of directors; pale with weight 0.
fn pools(o: &Observations, end: f64) -> Vec<Lane> {
    let mut filling = Filling::new();
    let mut changes: Vec<usize> = Vec::new();
    for entry in &o.timeline {
        let (at, host) = (entry.time.as_secs_f64(), entry.host.as_str());
        match entry.kind {
            Kind::Pool => {}
            Kind::Power if entry.value == "off" => {
                filling.end(at, |open| open.host == host);
                continue;
            }
            // a service that goes takes its real servers with it
            Kind::Service if entry.value == "removed" => {
                let group = pool(host, &entry.subject);
                let gone = |lane: &Lane| lane.group == group;
                let gone: Vec<bool> = filling.lanes.iter().map(gone).collect();
                filling.end(at, |open| gone.get(open.lane) == Some(&true));
                continue;
            }
            _ => continue,
        }
        let known = filling.lanes.len();
        // `TCP 10.0.0.9:80 10.0.0.1:80`: a service and its real server
        let (service, server) = entry.subject.rsplit_once(' ').unwrap_or(("", &entry.subject));
        let lane = filling.lane(pool(host, service), server);
        changes.resize(filling.lanes.len(), 0);
        if let Some(changes) = changes.get_mut(lane) {
            *changes += 1;
        }
        if lane == known && entry.value == "removed" {
            // it was there before anybody spoke of it
            filling.begin(lane, host, 0.0, false);
        }
        filling.end(at, |open| open.lane == lane);
        if entry.value != "removed" {
            filling.begin(lane, host, at, entry.value == "0");
        }
    }
    let mut lanes: Vec<(usize, Lane)> = changes.into_iter().zip(filling.done(end)).collect();
    if lanes.len() > POOL {
        lanes.retain(|(changes, _)| *changes > 1);
    }
    lanes.sort_by(|a, b| a.1.group.cmp(&b.1.group));
    lanes.into_iter().map(|(_, lane)| lane).collect()
}

/// Faults from their begin to their end.
fn shades(outcome: &Outcome, range: (f64, f64)) -> Vec<Shade> {
    let o = &outcome.observations;
    let end = o.end.as_secs_f64();
    let momentary = |entry: &TimelineEntry| {
        let faults = &outcome.variant.config.faults;
        faults.iter().any(|f| {
            let start = matches!(f.what, FaultKind::Program { harm: ProgramHarm::Start, .. });
            f.name == entry.subject && (start || f.what == FaultKind::Mark)
        })
    };
    let faults = o.timeline.iter().filter(|e| e.kind == Kind::Fault);
    let mut shades: Vec<(Shade, Option<&str>)> = Vec::new();
    for entry in faults {
        let at = entry.time.as_secs_f64();
        if entry.value == "over" {
            let mut open = shades.iter_mut().rev();
            if let Some((shade, name)) = open.find(|s| s.1 == Some(entry.subject.as_str())) {
                (shade.to, *name) = (at, None);
            }
        } else {
            let brief = momentary(entry);
            let shade =
                Shade { from: at, to: if brief { at } else { end }, label: fault_words(entry) };
            shades.push((shade, (!brief).then_some(entry.subject.as_str())));
        }
    }
    let seen = |s: &Shade| s.to >= range.0 && s.from <= range.1;
    shades.into_iter().map(|s| s.0).filter(seen).collect()
}

/// Lost requests in equal parts of the range.
fn counts(o: &Observations, range: (f64, f64)) -> Vec<Count> {
    let width = (range.1 - range.0) / BARS as f64;
    let part = |at: Time| (at.as_secs_f64() - range.0) / width;
    let mut bars = vec![0_u64; BARS];
    for &(at, n) in &o.losses {
        let part = part(at);
        if part >= 0.0
            && let Some(bar) = bars.get_mut(part as usize)
        {
            *bar += u64::from(n);
        }
    }
    let count = |(index, number): (usize, &u64)| {
        let from = range.0 + index as f64 * width;
        Count { from, to: from + width, number: *number as f64 }
    };
    bars.iter().enumerate().map(count).collect()
}

/// Whether there is anything that a timeline would show.
pub(super) fn is_eventful(o: &Observations) -> bool {
    let moves = |e: &TimelineEntry| !matches!(e.kind, Kind::Neighbour | Kind::Check);
    o.timeline.iter().any(moves) || o.availability.iter().any(|a| has(&a.outages))
}

const fn has(outages: &[Outage]) -> bool {
    !outages.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::engine::Span;

    fn entry(s: u64, host: &str, kind: Kind, subject: &str, value: &str) -> TimelineEntry {
        TimelineEntry {
            time: Time::ZERO + Span::from_secs(s),
            host: host.to_owned(),
            kind,
            subject: subject.to_owned(),
            value: value.to_owned(),
        }
    }

    fn observed(timeline: Vec<TimelineEntry>) -> Observations {
        Observations { timeline, ..Observations::default() }
    }

    type Shown<'a> = (&'a str, Vec<(f64, f64, &'a str, bool)>);

    fn shown(lanes: &[Lane]) -> Vec<Shown<'_>> {
        let one = |s: &'_ Stretch| (s.from, s.to, s.pale);
        lanes
            .iter()
            .map(|l| {
                let stretches = l.stretches.iter().map(|s| {
                    let (from, to, pale) = one(s);
                    (from, to, s.who.as_str(), pale)
                });
                (l.name.as_str(), stretches.collect())
            })
            .collect()
    }

    #[test]
    fn a_master_is_one_until_it_says_or_cannot_say_otherwise() {
        let o = observed(vec![
            entry(1, "a", Kind::State, "VI", "MASTER"),
            entry(3, "a", Kind::Power, "a", "frozen"),
            entry(5, "b", Kind::State, "VI", "MASTER"),
            entry(6, "a", Kind::Power, "a", "running"),
            entry(7, "a", Kind::State, "VI", "BACKUP"),
            entry(8, "b", Kind::Process, "keepalived", "killed"),
        ]);
        let a = [(1.0, 3.0, "a", false), (3.0, 6.0, "a", true), (6.0, 7.0, "a", false)];
        let all = vec![a[0], a[1], (5.0, 8.0, "b", false), a[2]];
        assert_eq!(shown(&states(&o, 10.0)), [("VI", all)]);
    }

    #[test]
    fn a_real_server_that_is_removed_first_was_there_before() {
        let o = observed(vec![
            entry(4, "lb", Kind::Pool, "S 10.0.0.1:80", "removed"),
            entry(6, "lb", Kind::Pool, "S 10.0.0.1:80", "0"),
            entry(7, "lb", Kind::Pool, "S 10.0.0.1:80", "3"),
            entry(8, "lb", Kind::Power, "lb", "off"),
        ]);
        let expected =
            vec![(0.0, 4.0, "lb", false), (6.0, 7.0, "lb", true), (7.0, 8.0, "lb", false)];
        let lanes = pools(&o, 10.0);
        assert_eq!(shown(&lanes), [("10.0.0.1:80", expected)]);
        assert_eq!(lanes[0].group, "Pool of lb: S");
    }

    #[test]
    fn a_service_that_is_removed_has_no_real_servers() {
        let o = observed(vec![
            entry(1, "lb", Kind::Pool, "S 10.0.0.1:80", "1"),
            entry(1, "lb", Kind::Pool, "T 10.0.0.1:80", "1"),
            entry(5, "lb", Kind::Service, "S", "removed"),
        ]);
        let until = |end| vec![(1.0, end, "lb", false)];
        let expected = [("10.0.0.1:80", until(5.0)), ("10.0.0.1:80", until(10.0))];
        assert_eq!(shown(&pools(&o, 10.0)), expected);
    }

    #[test]
    fn lost_requests_are_counted_in_their_part_of_the_time() {
        let at = |s: u64| Time::ZERO + Span::from_secs(s);
        let losses = vec![(at(0), 1), (at(5), 2), (at(239), 4), (at(240), 8)];
        let o = Observations { losses, ..Observations::default() };
        let counts = counts(&o, (0.0, 240.0));
        let some: Vec<_> = counts.iter().filter(|c| c.number > 0.0).collect();
        let seen: Vec<_> = some.iter().map(|c| (c.from as u64, c.number as u64)).collect();
        assert_eq!(seen, [(0, 1), (5, 2), (239, 4)]);
    }
}
