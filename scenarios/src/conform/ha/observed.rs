//! What is seen of a cluster from outside, recorded or simulated.

use serde_json::Value;
use sim_core::engine::{Span, Time};
use std::net::IpAddr;

/// Destinations of a virtual service with their weights, sorted.
pub type Pool = Vec<(String, u32)>;

/// A VRRP advert that a host sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Advert {
    /// When.
    pub at: Time,
    /// The host.
    pub from: String,
    /// Destination.
    pub to: IpAddr,
    /// Priority.
    pub priority: u8,
    /// Virtual router.
    pub router: u8,
}

/// A frame of gratuitous ARP that a host sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announcement {
    /// When.
    pub at: Time,
    /// The host.
    pub from: String,
    /// Whether it is an ARP reply.
    pub reply: bool,
}

/// A message of heartbeat that a host sent.
#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    /// When.
    pub at: Time,
    /// The host.
    pub from: String,
    /// Its interface.
    pub link: String,
    /// Its type.
    pub kind: String,
    /// Its other fields.
    pub fields: Value,
}

impl Message {
    /// The text of a field, empty if it has none.
    pub fn field(&self, name: &str) -> &str {
        self.fields[name].as_str().unwrap_or_default()
    }
}

/// What came of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// An answer from this host.
    Served(String),
    /// None in time.
    TimedOut,
    /// `ECONNREFUSED`.
    Refused,
    /// `ECONNRESET`.
    Reset,
    /// `EHOSTUNREACH`.
    Unreachable,
}

impl Answer {
    /// The word of tables.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Served(_) => "served",
            Self::TimedOut => "timed out",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Unreachable => "unreachable",
        }
    }

    /// Whether it was served.
    pub const fn is_served(&self) -> bool {
        matches!(self, Self::Served(_))
    }
}

/// A request of the client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// When it began.
    pub at: Time,
    /// What came of it.
    pub answer: Answer,
}

/// Frames of gratuitous ARP that belong together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Burst {
    /// The host.
    pub from: String,
    /// When the first was sent.
    pub first: Time,
    /// When the last was sent.
    pub last: Time,
    /// How many.
    pub count: usize,
}

/// A time in which requests were not served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outage {
    /// When the first failed request began.
    pub begin: Time,
    /// When the first served one began; the end of what was seen if there was none.
    pub end: Time,
}

/// What was seen. Each list is in order of time; states are told when they change.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Whether a host has the VIP.
    pub holders: Vec<(Time, String, bool)>,
    /// The pool of a director; `None`: it has no such service.
    pub pools: Vec<(Time, String, Option<Pool>)>,
    /// Whose Ethernet address the router has for the VIP.
    pub owners: Vec<(Time, Option<String>)>,
    /// Whether the daemon of a host runs.
    pub running: Vec<(Time, String, bool)>,
    /// VRRP.
    pub adverts: Vec<Advert>,
    /// Gratuitous ARP.
    pub announcements: Vec<Announcement>,
    /// heartbeat.
    pub messages: Vec<Message>,
    /// Requests of the client: all, or those whose result differs from that before.
    pub requests: Vec<Request>,
    /// What became of a long connection, if there was one: served to its end, or how it failed.
    pub long: Option<Answer>,
}

/// Frames of a burst that are further apart belong to two.
const APART: Span = Span::from_millis(500);

impl Observed {
    /// The bursts of gratuitous ARP, in order of their beginnings.
    pub fn bursts(&self) -> Vec<Burst> {
        let mut bursts: Vec<Burst> = Vec::new();
        for a in &self.announcements {
            let open = bursts.iter_mut().rfind(|b| b.from == a.from);
            match open.filter(|b| a.at.saturating_since(b.last) <= APART) {
                Some(burst) => {
                    burst.last = a.at;
                    burst.count += 1;
                }
                None => {
                    bursts.push(Burst { from: a.from.clone(), first: a.at, last: a.at, count: 1 });
                }
            }
        }
        bursts
    }

    /// The outages of the requests. Those less than `calm` apart count as one.
    pub fn outages(&self, calm: Span, end: Time) -> Vec<Outage> {
        let mut outages: Vec<Outage> = Vec::new();
        let mut open: Option<Time> = None;
        for r in &self.requests {
            match (open, r.answer.is_served()) {
                (None, false) => open = Some(r.at),
                (Some(begin), true) => {
                    close(&mut outages, begin, r.at, calm);
                    open = None;
                }
                _ => {}
            }
        }
        if let Some(begin) = open {
            close(&mut outages, begin, end, calm);
        }
        outages
    }
}

fn close(outages: &mut Vec<Outage>, begin: Time, end: Time, calm: Span) {
    match outages.last_mut() {
        Some(last) if begin.saturating_since(last.end) < calm => last.end = end,
        _ => outages.push(Outage { begin, end }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Time {
        Time::from_nanos(n * 1_000_000)
    }

    #[test]
    fn frames_close_together_are_a_burst_of_their_sender() {
        let frame = |at, from: &str| Announcement { at: ms(at), from: from.into(), reply: false };
        let announcements = vec![frame(0, "a"), frame(1, "b"), frame(2, "a"), frame(600, "a")];
        let seen = Observed { announcements, ..Observed::default() };
        let told: Vec<_> = seen.bursts().into_iter().map(|b| (b.from, b.first, b.count)).collect();
        let burst = |from: &str, at, count| (from.to_owned(), ms(at), count);
        assert_eq!(told, [burst("a", 0, 2), burst("b", 1, 1), burst("a", 600, 1)]);
    }

    #[test]
    fn an_outage_begins_with_a_failed_request_and_ends_with_a_served_one() {
        let served = || Answer::Served("rs1".into());
        let request = |at, answer| Request { at: ms(at), answer };
        let requests = vec![
            request(0, served()),
            request(100, Answer::TimedOut),
            request(500, served()),
            request(600, Answer::Refused),
            request(700, served()),
            request(2000, Answer::Reset),
        ];
        let seen = Observed { requests, ..Observed::default() };
        let outage = |b, e| Outage { begin: ms(b), end: ms(e) };
        let end = ms(2500);
        let all = [outage(100, 500), outage(600, 700), outage(2000, 2500)];
        assert_eq!(seen.outages(Span::ZERO, end), all);
        assert_eq!(
            seen.outages(Span::from_millis(150), end),
            [outage(100, 700), outage(2000, 2500)]
        );
    }
}
