//! How long the scripts of a node took in a recording, run by run, in the order in which the node calls them.

use crate::conform::ha::case::Case;
use crate::conform::ha::observed::Message;
use sim_core::config::{Runs, ScriptTimes};
use sim_core::engine::{Span, Time};

/// A script that had not ended when the recording did takes this long.
const FOR_EVER: Span = Span::from_secs(1_000);
/// From the decision to take groups of a dead node to that about own ones no time passes: what is said within
/// this belongs together.
const TOGETHER: Span = Span::from_millis(700);

/// What the recording tells about a node.
pub(super) struct Node<'a> {
    case: &'a Case,
    name: &'a str,
    /// Whether groups prefer this node.
    preferred: bool,
    /// How many resources a group has.
    resources: usize,
    times: ScriptTimes,
}

/// The durations of a node's scripts.
pub(super) fn times(case: &Case, name: &str, preferred: bool, resources: usize) -> ScriptTimes {
    let none = || Runs(Vec::new());
    let times = ScriptTimes {
        boot: none(),
        query_none: none(),
        query: none(),
        acquire: none(),
        take_over: none(),
        start: none(),
        acquired: none(),
        release: none(),
        stop: none(),
        released: none(),
        restart: none(),
        announce: none(),
    };
    let mut node = Node { case, name, preferred, resources, times };
    node.boots();
    for decision in node.decisions() {
        node.decided(&decision);
    }
    node.times
}

/// Something that makes a node call scripts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    /// It takes what prefers it.
    Own,
    /// The other node is dead: it takes everything.
    Dead,
    /// The other node has ended in good order.
    Ended,
    /// It gives foreign groups back.
    Standby,
    /// The other node has given back what prefers this one.
    Offered,
    /// It gives up everything.
    GivesUp,
    /// The other node requests a group by the old protocol.
    Requested,
    /// A group that it requested by the old protocol was given.
    Given,
}

#[derive(Clone, Copy, Debug)]
struct Decision {
    at: Time,
    what: What,
}

impl<'a> Node<'a> {
    fn sent(&self) -> impl Iterator<Item = &'a Message> + use<'a> {
        let name = self.name;
        self.case.seen.messages.iter().filter(move |m| m.from == name && m.link == "eth0")
    }

    fn heard(&self) -> impl Iterator<Item = &'a Message> + use<'a> {
        let name = self.name;
        self.case.seen.messages.iter().filter(move |m| m.from != name && m.link == "eth0")
    }

    /// The first message of this node after a point that fits.
    fn next(&self, from: Time, fits: impl Fn(&Message) -> bool) -> Option<Time> {
        self.sent().find(|m| m.at > from && fits(m)).map(|m| m.at)
    }

    /// When a line of the log says one of these.
    fn logged(&self, from: Time, words: &[&str]) -> Option<Time> {
        let mut lines = self.case.log.iter().filter(|l| l.host == self.name && l.at >= from);
        lines.find(|l| words.iter().all(|w| l.text.contains(w))).map(|l| l.at)
    }

    /// When it next has the VIP, or has it no more.
    fn holds(&self, from: Time, has: bool) -> Option<Time> {
        let mut states = self.case.seen.holders.iter().filter(|s| s.1 == self.name);
        states.find(|s| s.0 > from && s.2 == has).map(|s| s.0)
    }

    fn has_now(&self, at: Time) -> bool {
        let mut states = self.case.seen.holders.iter().filter(|s| s.1 == self.name && s.0 <= at);
        states.next_back().is_some_and(|s| s.2)
    }

    /// From the order to start, and from an own end, to the first message.
    fn boots(&mut self) {
        let starts = self.case.events_with("heartbeat start");
        let starts: Vec<Time> =
            starts.filter(|e| e.host.as_deref() == Some(self.name)).map(|e| e.at).collect();
        for at in starts {
            let first = self.next(at, |m| m.kind == "status");
            self.times.boot.0.push(span(at, first));
        }
        let restarts = self.case.log.iter().filter(|l| {
            l.host == self.name && l.text.contains("Performing heartbeat restart exec")
        });
        for at in restarts.map(|l| l.at).collect::<Vec<_>>() {
            let first = self.next(at, |m| m.kind == "status" && m.field("st") == "init");
            self.times.restart.0.push(span(at, first));
        }
    }

    /// What made the node call scripts, in order of time.
    fn decisions(&self) -> Vec<Decision> {
        let mut all = Vec::new();
        let mut add = |at, what| all.push(Decision { at, what });
        let (mut settled, mut ending) = (false, false);
        let legacy = !self.case.seen.messages.iter().any(|m| m.kind == "resource");
        for m in self.sent() {
            let info = m.field("info");
            match m.kind.as_str() {
                "status" if m.field("st") == "init" => (settled, ending) = (false, false),
                "status" if legacy && !settled && m.field("st") == "active" => {
                    settled = true;
                    add(m.at, What::Own);
                }
                "resource" if info == "shutdown" => {
                    ending = true;
                    add(m.at, What::GivesUp);
                }
                "resource" if info == "standby" => add(m.at, What::Standby),
                "resource" if info.is_empty() && m.field("isstable") == "1" && !settled => {
                    settled = true;
                    if m.field("rsc_hold") == "local" {
                        add(m.at, What::Own);
                    }
                }
                "stonith" if ["n_stnth", "OK"].contains(&m.field("result")) && !ending => {
                    settled = true;
                    add(m.at, What::Dead);
                }
                _ => {}
            }
        }
        for m in self.heard() {
            match m.kind.as_str() {
                "shutdone" if !self.case.is_deaf(self.name, m.at) && !self.ends(m.at) => {
                    add(m.at, What::Ended);
                }
                "ask_resources" if m.field("info") == "done" && self.is_offered(m.at) => {
                    add(m.at, What::Offered);
                }
                "ip-request" => add(m.at, What::Requested),
                "ip-request-resp" if m.field("dest") == self.name => add(m.at, What::Given),
                _ => {}
            }
        }
        if legacy {
            let stops = self.case.events_with("clean stop");
            let mine = stops.filter(|e| e.host.as_deref() == Some(self.name));
            mine.for_each(|e| add(e.at, What::GivesUp));
        }
        all.sort_by_key(|d| d.at);
        all
    }

    /// Whether it has begun to end, or does not run.
    fn ends(&self, at: Time) -> bool {
        let last = self.sent().filter(|m| m.at <= at).filter(|m| {
            m.kind == "resource" && m.field("info") == "shutdown"
                || m.kind == "status" && m.field("st") == "init"
        });
        last.last().is_none_or(|m| m.kind == "resource") || self.stops_soon(at)
    }

    /// A node that is about to restart takes nothing more.
    fn stops_soon(&self, at: Time) -> bool {
        let partition = self.logged(Time::ZERO, &["returning after partition"]);
        partition.is_some_and(|p| p <= at)
            && self
                .sent()
                .any(|m| m.at > at && m.kind == "resource" && m.field("info") == "shutdown")
    }

    /// Whether this node has promised to take what the other one gives.
    fn is_offered(&self, at: Time) -> bool {
        let last = self.sent().filter(|m| m.at <= at && m.kind == "ask_resources").last();
        last.is_some_and(|m| m.field("info") == "other")
    }

    fn decided(&mut self, decision: &Decision) {
        let at = decision.at;
        match decision.what {
            What::Own => self.query(at),
            What::Dead => {
                self.query(at);
                self.mach_down(at);
            }
            What::Ended => {
                // nothing of its own to take, or it has it
                let end =
                    self.next(at, |m| m.kind == "ask_resources" && m.field("rsc_hold") == "all");
                let end =
                    end.or_else(|| self.logged(at, &["resource acquisition completed (standby)"]));
                if self.preferred {
                    self.times.query.0.push(span(at, end));
                } else {
                    self.times.query_none.0.push(span(at, end));
                }
                self.query(at);
                self.mach_down(end.unwrap_or(at));
            }
            What::Standby => {
                let done =
                    self.next(at, |m| m.kind == "ask_resources" && m.field("info") == "done");
                self.release(at, done);
            }
            What::Offered => {
                let end = self.next(at, |m| m.kind == "ask_resources" && m.field("info") == "done");
                if self.preferred {
                    self.acquire(at, end);
                } else {
                    self.times.query_none.0.push(span(at, end));
                }
            }
            What::GivesUp => {
                let end = self.next(at, |m| m.kind == "shutdone");
                self.release(at, end);
            }
            What::Requested => {
                let asked = self.logged(at, &["resource.d/", " stop"]);
                let end = self.next(at, |m| m.kind == "ip-request-resp");
                // asking and the way to the stop: one wait before, one after
                self.times.query.0.push(Span::ZERO);
                if asked.is_some() {
                    self.release(at, end);
                }
            }
            What::Given => self.acquire(at, None),
        }
    }

    /// `req_our_resources`.
    fn query(&mut self, at: Time) {
        let end = self.next(at, |m| {
            m.kind == "resource" && m.field("info") == "req_our_resources()"
                || m.kind == "ip-request"
        });
        let end = end.or_else(|| self.logged(at, &["No local resources"]));
        if !self.preferred {
            self.times.query_none.0.push(span(at, end));
            return;
        }
        let own = self.next(at, |m| {
            m.kind == "ip-request-resp" && m.field("dest") == self.name || m.kind == "ip-request"
        });
        let own = own.filter(|t| end.is_none_or(|e| *t <= e + TOGETHER));
        let end = own.or(end);
        self.times.query.0.push(span(at, end));
        let requested = self.sent().any(|m| Some(m.at) == own && m.kind == "ip-request-resp");
        if let Some(own) = own.filter(|_| requested) {
            self.acquire(own, None);
        }
    }

    /// `mach_down` for the groups of the other node.
    fn mach_down(&mut self, at: Time) {
        let end = self
            .next(at, |m| m.kind == "resource" && m.field("info") == "mach_down")
            .or_else(|| self.logged(at, &["mach_down takeover complete"]));
        if self.preferred {
            self.times.query_none.0.push(span(at, end));
            return;
        }
        if self.has_now(at) {
            self.times.query.0.push(span(at, end));
            return;
        }
        let first = self.logged(at, &["resource.d/", " start"]);
        self.times.take_over.0.push(span(at, first));
        self.starts(first.unwrap_or(at), end);
    }

    fn acquire(&mut self, at: Time, end: Option<Time>) {
        let first = self.logged(at, &["resource.d/", " start"]);
        self.times.acquire.0.push(span(at, first));
        self.starts(first.unwrap_or(at), end);
    }

    /// The resources of a group start, the address first; then the script ends.
    fn starts(&mut self, first: Time, end: Option<Time>) {
        if let Some(failed) = self.logged(first, &["Return code", "resource.d/"]) {
            self.times.start.0.push(span(first, Some(failed)));
            let stop = self.logged(failed, &["resource.d/", " stop"]);
            self.times.release.0.push(span(failed, stop));
            return;
        }
        let held = self.holds(first, true);
        self.times.start.0.push(span(first, held));
        let Some(held) = held else { return };
        let announced = self.case.seen.announcements.iter();
        let mut mine = announced.filter(|a| a.from == self.name && a.at >= held);
        self.times.announce.0.push(span(held, mine.next().map(|a| a.at)));
        let mut last = held;
        if self.resources > 1 {
            let second = self.logged(held, &["resource.d/ldirectord", " start"]);
            let served = self.logged(held, &["Added virtual server"]);
            let running = second.or(served).unwrap_or(held);
            self.times.start.0.push(span(held, Some(running)));
            last = running;
        }
        let ended = end.or_else(|| self.logged(last, &["Success"]));
        self.times.acquired.0.push(span(last, ended));
    }

    /// Everything it holds is stopped, the last resource first.
    fn release(&mut self, at: Time, end: Option<Time>) {
        if !self.has_now(at) {
            self.times.query_none.0.push(span(at, end));
            return;
        }
        let first = self.logged(at, &["resource.d/", " stop"]);
        self.times.release.0.push(span(at, first));
        let mut from = first.unwrap_or(at);
        if self.resources > 1 {
            let second = self.logged(from, &["resource.d/IPaddr", " stop"]);
            self.times.stop.0.push(span(from, second));
            from = second.unwrap_or(from);
        }
        let gone = self.holds(from, false);
        self.times.stop.0.push(span(from, gone));
        self.times.released.0.push(span(gone.unwrap_or(from), end));
    }
}

/// The time from one point to another, for ever if that never came.
fn span(from: Time, to: Option<Time>) -> Span {
    to.map_or(FOR_EVER, |t| t.saturating_since(from))
}
