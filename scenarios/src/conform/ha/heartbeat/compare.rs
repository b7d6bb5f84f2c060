//! What a recording of heartbeat and its simulation must share: who has the VIP, what the nodes say to each
//! other, announcements, pools, outages, and the spans of time that the protocol decides.

use super::plan::{NODES, Plan};
use crate::conform::ha::case::Case;
use crate::conform::ha::course::{pool_changes, without_short};
use crate::conform::ha::interval::{Interval, JITTER, PERIODIC, Report};
use crate::conform::ha::observed::{Burst, Message, Observed, Outage};
use sim_core::engine::{Span, Time};

/// heartbeat looks for dead nodes every so often, in seconds; when, is not known.
const LOOK: f64 = 0.25;
/// How late the recorded machines noticed besides: 5.11 to 5.95 s were seen for a dead time of 5 s.
const LATE: f64 = 0.75;
/// How much earlier than its first message a start began, as its processes were slow.
const START: f64 = 0.9;
/// An end that is wanted comes after 2 s if no script is at work.
const UNDISTURBED: f64 = 2.4;
/// The longest burst of announcements.
const BURST: Span = Span::from_millis(6_500);
/// The longest time that an entry of the neighbour cache is not looked at again: 45 s, the 5 s before it is
/// probed, and a burst.
const REACHABLE: Span = Span::from_secs(56);
/// How long a client waits for an answer, in seconds.
const PATIENCE: f64 = 0.4;
/// A client makes a request every so often, in seconds.
const REQUEST: f64 = 0.2;
/// Failed requests that are less apart than this belong to one outage: every second one failed.
const CALM: Span = Span::from_millis(700);
/// What happens this long before the end of a recording need not be in it.
const END: Span = Span::from_millis(1_500);

/// Something that a node said, in the words that are compared.
#[derive(Clone, PartialEq, Debug)]
struct Said {
    at: Time,
    word: String,
}

/// Compares the sides of a case.
pub fn compare(case: &Case, plan: &Plan, simulated: &Observed) -> Report {
    let mut report = Report::default();
    let mut c = Comparison { case, plan, simulated, report: &mut report };
    c.holders();
    for node in NODES {
        c.messages(node);
        c.announcements(node);
        if plan.balanced {
            c.pools(node);
        }
    }
    c.outages();
    report
}

struct Comparison<'a> {
    case: &'a Case,
    plan: &'a Plan,
    simulated: &'a Observed,
    report: &'a mut Report,
}

/// What a node says about resources, without what depends on who was faster: repeated statements, answers,
/// acknowledgements, and the end of `mach_down`, which real heartbeat sometimes cannot say.
fn said(seen: &Observed, node: &str) -> Vec<Said> {
    let mut all: Vec<Said> = Vec::new();
    let mut settled = false;
    for m in seen.messages.iter().filter(|m| m.from == node && m.link == "eth0") {
        let info = m.field("info");
        let word = match m.kind.as_str() {
            "status" => {
                settled &= m.field("st") != "init";
                continue;
            }
            "resource" if info == "mach_down" => continue,
            "resource" if info.is_empty() => {
                if settled || m.field("isstable") != "1" {
                    continue;
                }
                settled = true;
                format!("holds {}", m.field("rsc_hold"))
            }
            "resource" => format!("holds {} {info}", m.field("rsc_hold")),
            "starting" | "shutdone" | "ip-request" => m.kind.clone(),
            "ip-request-resp" => format!("ip-request-resp {}", m.field("weown")),
            "ask_resources" => format!("ask_resources {} {info}", m.field("rsc_hold")),
            "stonith" => format!("stonith {} {}", m.field("node"), m.field("result")),
            _ => continue,
        };
        // attempts that go on and on are counted by their period
        let again = word.ends_with(" bad") && all.iter().any(|s| s.word == word);
        if !again {
            all.push(Said { at: m.at, word });
        }
    }
    all
}

/// What a node is, and the dead time it announces, each time that changes.
fn states(seen: &Observed, node: &str) -> [Vec<Said>; 2] {
    let mut all = [Vec::<Said>::new(), Vec::new()];
    for m in seen.messages.iter().filter(|m| m.from == node && m.kind == "status") {
        if m.link != "eth0" {
            continue;
        }
        let words = [format!("status {}", m.field("st")), format!("dead time {} ms", dead_time(m))];
        for (list, word) in all.iter_mut().zip(words) {
            if list.last().is_none_or(|s| s.word != word) {
                list.push(Said { at: m.at, word });
            }
        }
    }
    all
}

fn dead_time(m: &Message) -> u64 {
    m.fields["dt"].as_u64().unwrap_or(0)
}

impl Comparison<'_> {
    fn is_late(&self, at: Time) -> bool {
        at + END > self.case.end
    }

    fn holders(&mut self) {
        for node in NODES {
            let of = |seen: &Observed| {
                let mine = seen.holders.iter().filter(|h| h.1 == node);
                let word = |has: bool| if has { "has the VIP" } else { "has no VIP" };
                mine.map(|h| (h.0, word(h.2).to_owned())).collect::<Vec<_>>()
            };
            let recorded = of(&self.case.seen);
            let ours = of(self.simulated);
            let mut ours: Vec<_> = ours.into_iter().filter(|s| s.0 <= self.case.end).collect();
            while ours.len() > recorded.len() && ours.last().is_some_and(|s| self.is_late(s.0)) {
                ours.pop();
            }
            let words =
                |all: &[(Time, String)]| all.iter().map(|s| s.1.clone()).collect::<Vec<_>>();
            self.report.sequence(&format!("{node}: VIP"), &words(&recorded), &words(&ours));
        }
        let owners = |seen: &Observed| {
            let name = |o: &Option<String>| o.clone().unwrap_or_else(|| "nobody".to_owned());
            let known = seen
                .owners
                .iter()
                .filter(|o| o.1.is_some() || o.0 < Time::from_nanos(1_000_000_000));
            known.map(|o| (o.0, name(&o.1))).collect::<Vec<_>>()
        };
        let (recorded, ours) = (owners(&self.case.seen), owners(self.simulated));
        let recorded = without_short(&recorded, recorded.len(), self.case.end);
        let mut ours = without_short(&ours, recorded.len(), self.case.end);
        // how long an entry is taken to be right, 15 to 45 s, is drawn by the kernel when it boots
        let last = recorded.last().map_or(Time::ZERO, |o| o.0);
        while ours.len() > recorded.len() && last + REACHABLE > self.case.end {
            ours.pop();
        }
        let words = |all: &[(Time, String)]| all.iter().map(|s| s.1.clone()).collect::<Vec<_>>();
        self.report.sequence("the router's ARP cache", &words(&recorded), &words(&ours));
    }

    fn messages(&mut self, node: &str) {
        if let Some((recorded, ours)) = self.same(node, "messages", |seen| said(seen, node)) {
            self.spans(node, &recorded, &ours);
        }
        self.same(node, "status", |seen| states(seen, node)[0].clone());
        if let Some((recorded, ours)) = self.same(node, "dead time", |s| states(s, node)[1].clone())
        {
            self.dead_times(node, &recorded, &ours);
        }
        self.attempts(node);
        self.status(node);
    }

    /// Compares what both sides say; what one lacks at the very end is left out. Both, if they agree.
    fn same(
        &mut self,
        node: &str,
        what: &str,
        of: impl Fn(&Observed) -> Vec<Said>,
    ) -> Option<(Vec<Said>, Vec<Said>)> {
        let recorded = of(&self.case.seen);
        let ours: Vec<Said> =
            of(self.simulated).into_iter().filter(|s| s.at <= self.case.end).collect();
        let keep = |list: &[Said], other: usize| -> Vec<Said> {
            let all = list.iter().enumerate();
            all.filter(|(n, s)| *n < other || !self.is_late(s.at)).map(|(_, s)| s.clone()).collect()
        };
        let (recorded, ours) = (keep(&recorded, ours.len()), keep(&ours, recorded.len()));
        let words = |all: &[Said]| all.iter().map(|s| s.word.clone()).collect::<Vec<_>>();
        self.report.sequence(&format!("{node}: {what}"), &words(&recorded), &words(&ours));
        (words(&recorded) == words(&ours)).then_some((recorded, ours))
    }

    /// A node that starts announces a longer dead time for its first 5 s, and one that restarts itself a much
    /// longer one at its end.
    fn dead_times(&mut self, node: &str, recorded: &[Said], ours: &[Said]) {
        for n in 1..recorded.len() {
            // that of the machine is told when the new processes are there
            let end = recorded[n].word.contains("35000");
            if end || recorded[n - 1].word.contains("35000") {
                continue;
            }
            let name = format!("{node}: first status to {}", recorded[n].word);
            let span = |all: &[Said]| all[n].at.as_secs_f64() - all[n - 1].at.as_secs_f64();
            let interval = Interval::new(name, span(recorded), span(ours)).within(JITTER + START);
            self.report.interval(interval);
        }
    }

    /// The time from a reset that failed to the next, on average.
    fn attempts(&mut self, node: &str) {
        let of = |seen: &Observed| {
            let failed = seen
                .messages
                .iter()
                .filter(|m| m.from == node && m.kind == "stonith" && m.field("result") == "bad");
            let at: Vec<f64> = failed.map(|m| m.at.as_secs_f64()).collect();
            let (first, last) = (at.first()?, at.last()?);
            (at.len() > 1).then(|| (last - first) / (at.len() - 1) as f64)
        };
        if let (Some(r), Some(s)) = (of(&self.case.seen), of(self.simulated)) {
            // the time of the plugin, which is taken from its first run, varies
            let name = format!("{node}: from failed reset to failed reset, on average");
            self.report.interval(Interval::new(name, r, s).within(JITTER + 0.5));
        }
    }

    /// The average time between status messages.
    fn status(&mut self, node: &str) {
        let keepalive = self.plan.keepalive.as_secs_f64();
        let of = |seen: &Observed| {
            let mine = seen
                .messages
                .iter()
                .filter(|m| m.from == node && m.kind == "status" && m.link == "eth0");
            let at: Vec<f64> = mine.map(|m| m.at.as_secs_f64()).collect();
            let gaps = at.windows(2).map(|w| w[1] - w[0]);
            // extra ones tell a new state at once
            let gaps: Vec<f64> = gaps.filter(|g| (0.9..1.1).contains(&(g / keepalive))).collect();
            (!gaps.is_empty()).then(|| gaps.iter().sum::<f64>() / gaps.len() as f64)
        };
        if let (Some(r), Some(s)) = (of(&self.case.seen), of(self.simulated)) {
            let name = format!("{node}: from status to status, on average");
            self.report.interval(Interval::new(name, r, s).within(PERIODIC));
        }
    }

    /// Spans between what was said that the protocol decides.
    fn spans(&mut self, node: &str, recorded: &[Said], ours: &[Said]) {
        for n in 0..recorded.len() {
            let word = recorded[n].word.as_str();
            let before = recorded[..n].iter().rposition(|s| s.word.starts_with("stonith"));
            if word == "holds none shutdown"
                && let Some(from) = before
            {
                let span = |all: &[Said]| all[n].at.as_secs_f64() - all[from].at.as_secs_f64();
                // scripts that are at work put the end off
                if span(recorded) < UNDISTURBED {
                    let name = format!("{node}: {} to {word}", recorded[from].word);
                    let interval = Interval::new(name, span(recorded), span(ours));
                    self.report.interval(interval.within(JITTER + LOOK));
                }
            } else if word.starts_with("stonith") {
                self.detection(node, word, (recorded[n].at, ours[n].at));
            }
        }
        self.pause(node, recorded, ours);
    }

    /// A node that starts with another one waits 10 s from its answer before it takes what is its own. The
    /// first one to end its pause is that which is not told to by the other.
    fn pause(&mut self, node: &str, recorded: &[Said], ours: &[Said]) {
        let (Some(r), Some(s)) = (first_pause(&self.case.seen), first_pause(self.simulated)) else {
            return;
        };
        let starts = |all: &[Said]| all.iter().any(|w| w.word == "starting");
        if r.0 == node && starts(recorded) && starts(ours) {
            let name = "both start: first answer to the first who takes its own".to_owned();
            self.report.interval(Interval::new(name, r.1, s.1).within(JITTER + 2.0 * LOOK));
        }
    }

    /// From the last status message that a node could hear to what it says of the death.
    fn detection(&mut self, node: &str, word: &str, at: (Time, Time)) {
        if word.ends_with("unneeded") || word.ends_with("bad") {
            return;
        }
        let last = |seen: &Observed, at: Time| {
            let mut heard = seen.messages.iter().filter(|m| {
                m.from != node && m.kind == "status" && m.at < at && !self.case.is_deaf(node, m.at)
            });
            heard.next_back().map(|m| at.as_secs_f64() - m.at.as_secs_f64())
        };
        let (Some(r), Some(s)) = (last(&self.case.seen, at.0), last(self.simulated, at.1)) else {
            return;
        };
        // a node that stood still notices when it goes on; one that was never heard has another dead time
        let deadtime = self.plan.deadtime.as_secs_f64();
        if !(deadtime / 2.0..deadtime * 2.0).contains(&r) {
            return;
        }
        let name = format!("{node}: last status heard to \"{word}\"");
        self.report.interval(Interval::new(name, r, s).within(JITTER + LATE));
    }

    fn announcements(&mut self, node: &str) {
        let of = |seen: &Observed| {
            let all =
                seen.bursts().into_iter().filter(|b| b.from == node && b.first <= self.case.end);
            all.collect::<Vec<Burst>>()
        };
        let (mut recorded, mut ours) = (of(&self.case.seen), of(self.simulated));
        let late = |b: &Burst| b.first + BURST > self.case.end;
        while recorded.len() > ours.len() && recorded.last().is_some_and(late) {
            recorded.pop();
        }
        while ours.len() > recorded.len() && ours.last().is_some_and(late) {
            ours.pop();
        }
        // the end of the recording may cut one off
        let cut = |n: usize| [&recorded, &ours].iter().any(|l| l.get(n).is_some_and(late));
        let words = |all: &[Burst]| {
            let word = |(n, b): (usize, &Burst)| {
                let count = if cut(n) { String::new() } else { format!("{} ", b.count) };
                format!("a burst of {count}gratuitous ARP")
            };
            all.iter().enumerate().map(word).collect::<Vec<_>>()
        };
        let both = (words(&recorded), words(&ours));
        self.report.sequence(&format!("{node}: announcements"), &both.0, &both.1);
        for (n, (r, s)) in recorded.iter().zip(&ours).enumerate() {
            let gap = |b: &Burst| {
                (b.count > 1)
                    .then(|| (b.last.as_secs_f64() - b.first.as_secs_f64()) / (b.count - 1) as f64)
            };
            if let (Some(r), Some(s)) = (gap(r), gap(s)) {
                let name = format!("{node}: burst {}, from frame to frame on average", n + 1);
                self.report.interval(Interval::new(name, r, s).within(PERIODIC));
            }
        }
    }

    fn pools(&mut self, node: &str) {
        let of = |seen: &Observed| {
            let all = pool_changes(seen).into_iter();
            let mine = all.filter(|c| c.host == node && !self.is_late(c.at));
            let word = |server: Option<&str>, weight: Option<u32>| match (server, weight) {
                (None, Some(_)) => "the service is added".to_owned(),
                (None, None) => "the service is removed".to_owned(),
                (Some(s), Some(w)) => format!("{s} has weight {w}"),
                (Some(s), None) => format!("{s} is removed"),
            };
            mine.map(|c| (c.at, word(c.server.as_deref(), c.weight))).collect::<Vec<_>>()
        };
        let (recorded, ours) = (of(&self.case.seen), of(self.simulated));
        let words = |all: &[(Time, String)]| all.iter().map(|c| c.1.clone()).collect::<Vec<_>>();
        self.report.sequence(&format!("{node}: pool"), &words(&recorded), &words(&ours));
    }

    fn outages(&mut self) {
        if self.plan.fallback {
            // what answered then was not recorded
            return;
        }
        let (theirs, ours) = (
            self.case.seen.outages(CALM, self.case.end),
            self.simulated.outages(CALM, self.case.end),
        );
        let count = |all: &[Outage]| {
            all.iter()
                .filter(|o| !self.is_late(o.begin))
                .map(|_| "an outage".to_owned())
                .collect::<Vec<_>>()
        };
        self.report.sequence("the client", &count(&theirs), &count(&ours));
        for (n, (r, s)) in theirs.iter().zip(&ours).enumerate() {
            let (a, b) =
                (after_holder(&self.case.seen, r.end), after_holder(self.simulated, s.end));
            if let (Some(a), Some(b)) = (a, b) {
                let name = format!("client: the VIP is there to the end of outage {}", n + 1);
                let limit = JITTER + REQUEST + PATIENCE;
                self.report.interval(Interval::new(name, a, b).within(limit));
            }
        }
    }
}

/// Who ends its pause first after a start of both, and how long it lasted.
fn first_pause(seen: &Observed) -> Option<(String, f64)> {
    let local = seen.messages.iter().find(|m| {
        m.kind == "resource"
            && m.field("rsc_hold") == "local"
            && m.field("isstable") == "1"
            && m.field("info").is_empty()
    })?;
    let answers = seen.messages.iter().filter(|m| {
        m.from == local.from
            && m.kind == "resource"
            && m.field("rsc_hold") == "none"
            && m.at < local.at
    });
    let first = answers.map(|m| m.at).next()?;
    Some((local.from.clone(), local.at.as_secs_f64() - first.as_secs_f64()))
}

/// From the last change of a holder to a point, if that came soon after it.
fn after_holder(seen: &Observed, at: Time) -> Option<f64> {
    let early = at + Span::from_millis(400);
    let held = seen.holders.iter().rfind(|h| h.2 && h.0 <= early)?;
    let after = at.as_secs_f64() - held.0.as_secs_f64();
    (after < 2.0).then_some(after)
}
