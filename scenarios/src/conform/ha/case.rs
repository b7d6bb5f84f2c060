//! A recorded case: configurations, what the experimenter did, what was seen.
//!
//! A case is a folder with `summary.json` (what it is, configurations), `timeline.jsonl` (a record a line:
//! what was done, frames that entered the switch, states that were polled, results of the client's
//! requests) and logs.

use super::observed::{Advert, Announcement, Answer, Message, Observed, Pool, Request};
use serde_json::Value;
use sim_core::engine::Time;
use std::path::Path;

/// The file that makes a folder a case.
pub const SUMMARY: &str = "summary.json";
const TIMELINE: &str = "timeline.jsonl";

/// Which program the case is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// keepalived: `configs` has the text of a `keepalived.conf` for each host.
    Keepalived,
    /// heartbeat: `configs` has files by name.
    Heartbeat,
}

/// Something that the experimenter did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When it was done, or had been done.
    pub at: Time,
    /// What.
    pub what: String,
    /// On which host, if it was on one.
    pub host: Option<String>,
}

/// A line of a daemon's log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    /// When it was read.
    pub at: Time,
    /// The host.
    pub host: String,
    /// What it says.
    pub text: String,
}

/// A recorded case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// What was tried, in words.
    pub what: String,
    /// Which program it is about.
    pub subject: Subject,
    /// Its configurations, as the summary has them.
    pub configs: Value,
    /// What else was noted.
    pub notes: Value,
    /// What was done, in order of time.
    pub events: Vec<Event>,
    /// What was seen.
    pub seen: Observed,
    /// What the daemons logged.
    pub log: Vec<LogLine>,
    /// When the recording ended.
    pub end: Time,
}

/// Whether a folder is a case.
pub fn is_case(folder: &Path) -> bool {
    folder.join(SUMMARY).is_file() && folder.join(TIMELINE).is_file()
}

impl Case {
    /// Reads the case in a folder.
    ///
    /// # Errors
    /// What cannot be read, with the file and the line.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let text = |name: &str| {
            std::fs::read_to_string(folder.join(name)).map_err(|e| format!("{name}: {e}"))
        };
        let log = ["keepalived.log", "ha.log"].into_iter().find_map(|name| text(name).ok());
        Self::parse(&text(SUMMARY)?, &text(TIMELINE)?, log.as_deref().unwrap_or_default())
    }

    /// Reads a case from the texts of its summary, its timeline and its log.
    ///
    /// # Errors
    /// What is wrong with them, with the file and the line.
    pub fn parse(summary: &str, timeline: &str, log: &str) -> Result<Self, String> {
        let summary: Value =
            serde_json::from_str(summary).map_err(|e| format!("{SUMMARY}: {e}"))?;
        let text = |name: &str| summary[name].as_str().unwrap_or_default().to_owned();
        let subject = if summary["keepalived"].is_string() {
            Subject::Keepalived
        } else if summary["versions"]["heartbeat"].is_string() {
            Subject::Heartbeat
        } else {
            return Err(format!("{SUMMARY}: neither `keepalived` nor `versions.heartbeat`"));
        };
        let mut case = Self {
            name: text("case"),
            what: text("what"),
            subject,
            configs: summary["configs"].clone(),
            notes: summary["notes"].clone(),
            events: Vec::new(),
            seen: Observed::default(),
            log: log.lines().filter_map(log_line).collect(),
            end: Time::ZERO,
        };
        for (number, line) in timeline.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let wrong = |why: String| format!("{TIMELINE}:{}: {why}", number + 1);
            let record: Value = serde_json::from_str(line).map_err(|e| wrong(e.to_string()))?;
            case.record(&record).ok_or_else(|| wrong(format!("not understood: {line}")))?;
        }
        case.events.sort_by_key(|e| e.at);
        case.seen.long = case.long_connection().map(|(_, end)| end);
        Ok(case)
    }

    /// Takes a record of the timeline; `None` if it is not understood.
    fn record(&mut self, record: &Value) -> Option<()> {
        let at = seconds(&record["t"])?;
        self.end = self.end.max(at);
        if let Some(what) = record["event"].as_str() {
            let host = record["host"].as_str().map(str::to_owned);
            self.events.push(Event { at, what: what.to_owned(), host });
        } else if let Some(what) = record["state"].as_str() {
            self.state(at, what, &record["value"])?;
        } else if let Some(result) = record["probe"].as_str() {
            let server = record["server"].as_str().map(str::to_owned);
            let answer = answer(result, server)?;
            self.seen.requests.push(Request { at, answer });
        } else {
            self.frame(at, record)?;
        }
        Some(())
    }

    fn state(&mut self, at: Time, what: &str, value: &Value) -> Option<()> {
        let (host, what) = what.split_once('.')?;
        let host = host.to_owned();
        match what {
            "has_vip" => self.seen.holders.push((at, host, value.as_bool()?)),
            "ipvs" if value.is_null() => self.seen.pools.push((at, host, None)),
            "ipvs" => self.seen.pools.push((at, host, Some(pool(value)?))),
            "arp_vip" => self.seen.owners.push((at, value.as_str().map(str::to_owned))),
            "heartbeat_running" => self.seen.running.push((at, host, value.as_bool()?)),
            _ => return None,
        }
        Some(())
    }

    fn frame(&mut self, at: Time, record: &Value) -> Option<()> {
        let text = |name: &str| record[name].as_str().map(str::to_owned);
        let from = text("frm")?;
        match record["sw"].as_str()? {
            "vrrp" => self.seen.adverts.push(Advert {
                at,
                from,
                to: record["dst"].as_str()?.parse().ok()?,
                priority: u8::try_from(record["prio"].as_u64()?).ok()?,
                router: u8::try_from(record["vrid"].as_u64()?).ok()?,
            }),
            "arp" if record["gratuitous"] == true => {
                self.seen.announcements.push(Announcement {
                    at,
                    from,
                    reply: record["op"] == "reply",
                });
            }
            "hb" => self.seen.messages.push(Message {
                at,
                from,
                link: text("link").unwrap_or_else(|| "eth0".to_owned()),
                kind: text("type")?,
                fields: record["msg"].clone(),
            }),
            "arp" | "igmp" | "ipvs-sync" => {}
            _ => return None,
        }
        Some(())
    }

    /// The long connection that was noted: when its messages were answered, and what became of it.
    pub fn long_connection(&self) -> Option<(Vec<Time>, Answer)> {
        let replies = self.notes["long_connection"]["replies"].as_array()?;
        let times = replies.iter().filter_map(|r| seconds(&r[0])).collect();
        let mut ends = replies.iter().filter_map(|r| r[1].as_str());
        let error = ends.find_map(|text| answer(text, None));
        Some((times, error.unwrap_or(Answer::Served(String::new()))))
    }

    /// The events in whose text a word stands.
    pub fn events_with<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a Event> {
        self.events.iter().filter(move |e| e.what.contains(word))
    }

    /// Whether what nodes say does not come in at a host at a time, as the experimenter dropped it there.
    pub fn is_deaf(&self, host: &str, at: Time) -> bool {
        let mut deaf = false;
        for event in self.events.iter().filter(|e| e.at <= at) {
            if event.what.contains("dropped at") && event.what.contains(host) {
                deaf = true;
            } else if event.what.starts_with("healed") {
                deaf = false;
            }
        }
        deaf
    }

    /// The first line of a host's log at or after `from` in which a word stands.
    pub fn logged(&self, host: &str, from: Time, word: &str) -> Option<&LogLine> {
        self.log.iter().find(|l| l.host == host && l.at >= from && l.text.contains(word))
    }
}

/// A number of seconds as a point in time.
fn seconds(value: &Value) -> Option<Time> {
    let t = value.as_f64().filter(|t| (0.0..1e9).contains(t))?;
    Some(Time::from_nanos((t * 1e9 + 0.5) as u64))
}

/// The pool of a director; no pool is `null`.
fn pool(value: &Value) -> Option<Pool> {
    let entry = |e: &Value| {
        let weight = u32::try_from(e[1].as_u64()?).ok()?;
        Some((e[0].as_str()?.to_owned(), weight))
    };
    let mut pool = value.as_array()?.iter().map(entry).collect::<Option<Pool>>()?;
    pool.sort();
    Some(pool)
}

fn answer(result: &str, server: Option<String>) -> Option<Answer> {
    Some(match result {
        "ok" => Answer::Served(server.unwrap_or_default()),
        "timed out" => Answer::TimedOut,
        _ if result.contains("refused") => Answer::Refused,
        _ if result.contains("reset") => Answer::Reset,
        _ if result.contains("No route to host") => Answer::Unreachable,
        _ => return None,
    })
}

/// `SECONDS HOST DATE: TEXT`; the date of keepalived has colons of its own and ends with the year.
fn log_line(line: &str) -> Option<LogLine> {
    let (at, rest) = line.trim_start().split_once(' ')?;
    let at = seconds(&Value::from(at.parse::<f64>().ok()?))?;
    let (host, rest) = rest.split_once(' ')?;
    // lines of ldirectord have their date in brackets
    let dated = if rest.starts_with('[') { None } else { rest.split_once(": ") };
    let text = dated.map_or(rest, |(_, text)| text);
    Some(LogLine { at, host: host.to_owned(), text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = r#"{"case":"x","what":"w","keepalived":"2.2.7","configs":{"d1":""},
        "notes":{"long_connection":{"replies":[[1.5,"rs1"],[9.0,"error: [Errno 104] Connection reset by peer"]]}}}"#;

    fn ms(n: u64) -> Time {
        Time::from_nanos(n * 1_000_000)
    }

    #[test]
    fn records_become_what_was_done_and_seen() {
        let timeline = r#"{"t":0.5,"event":"start keepalived","host":"d1"}
{"t":0.7,"state":"d1.ipvs","value":[["192.168.10.12:80",1],["192.168.10.11:80",0]]}
{"t":0.8,"state":"router.arp_vip","value":null}
{"t":1.25,"sw":"vrrp","frm":"d1","dst":"224.0.0.18","prio":100,"vrid":51}
{"t":1.3,"sw":"arp","frm":"d1","op":"request","gratuitous":true}
{"t":1.4,"sw":"arp","frm":"d1","op":"request","gratuitous":false}
{"t":2,"probe":"[Errno 111] Connection refused","server":null}
"#;
        let log = "0.989 d1 Fri Nov 20 09:50:01 2026: Starting Keepalived\n";
        let case = Case::parse(SUMMARY, timeline, log).unwrap();
        assert_eq!((case.subject, case.end), (Subject::Keepalived, ms(2000)));
        assert_eq!(case.events[0].host.as_deref(), Some("d1"));
        let pool = vec![("192.168.10.11:80".to_owned(), 0), ("192.168.10.12:80".to_owned(), 1)];
        assert_eq!(case.seen.pools, [(ms(700), "d1".to_owned(), Some(pool))]);
        assert_eq!(case.seen.owners, [(ms(800), None)]);
        assert_eq!((case.seen.adverts[0].at, case.seen.adverts[0].priority), (ms(1250), 100));
        assert_eq!(case.seen.announcements.len(), 1);
        assert_eq!(case.seen.requests[0].answer, Answer::Refused);
        assert_eq!(case.seen.long, Some(Answer::Reset));
        let line = case.logged("d1", ms(500), "Starting").unwrap();
        assert_eq!((line.at, line.text.as_str()), (ms(989), "Starting Keepalived"));
        assert!(case.logged("d1", ms(990), "Starting").is_none());
    }

    #[test]
    fn what_is_not_understood_is_told_with_its_line() {
        let error = |timeline: &str| Case::parse(SUMMARY, timeline, "").unwrap_err();
        let good = "{\"t\":1,\"event\":\"x\"}\n";
        assert!(error("{").starts_with("timeline.jsonl:1: EOF"));
        assert!(
            error(&format!("{good}{{\"t\":-1,\"event\":\"x\"}}"))
                .starts_with("timeline.jsonl:2: not")
        );
        assert!(error("{\"t\":1,\"probe\":\"maybe\"}").contains("not understood"));
        assert!(Case::parse("{}", "", "").unwrap_err().contains("neither"));
    }
}
