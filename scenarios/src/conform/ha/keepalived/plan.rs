//! A case of keepalived as a scenario: its network, its configurations, what the experimenter did.

use crate::conform::ha::case::{Case, Event};
use crate::conform::ha::lab::{LONG, Lab, PROBE, Texts, VIP, link_of, seconds};
use crate::conform::ha::probes;
use crate::diagnostic::{Sources, render};
use crate::import::keepalived::{self, Instance, Options};
use crate::model::{self, Settings};
use sim_core::config::{
    ApplicationHarm, FaultConfig, FaultEnd, FaultKind, FaultStart, Process, ProgramHarm, Traffic,
    VrrpInstance, VrrpVersion, WorldConfig,
};
use sim_core::engine::{Span, Time};
use std::fmt::Write as _;

/// An event was stamped when its command had ended: it took effect about so much earlier.
const EFFECT: Span = Span::from_millis(20);
/// Of an event on two hosts the first command took effect about so much earlier than the second one: a process
/// needs 80 ms and more to start there, and adverts drift by as much until then.
const COMMAND: Span = Span::from_millis(150);
/// A server listens about so long after its start was stamped: it is a process, too.
const LISTENS: Span = Span::from_millis(200);
/// A line of a log was read this much after it was written, at most.
const LATE_LINE: Span = Span::from_millis(100);
/// The pause between the messages of a long connection.
const LONG_PAUSE: Span = Span::from_millis(800);
/// How long after the end of a recording it is played on.
const BEYOND: Span = Span::from_millis(300);

/// A case, ready to be played.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The world.
    pub config: WorldConfig,
    /// The directors.
    pub directors: Vec<String>,
    /// When the play ends.
    pub end: Time,
    /// The interval of adverts.
    pub interval: Span,
    /// Hosts whose link was down, so that nobody saw what they sent, from when and until when.
    pub silent: Vec<(String, Time, Time)>,
}

/// Whether an event cuts the directors off from each other.
pub(super) fn cuts(what: &str) -> bool {
    what.contains("cut off") || what.contains("dropped") || what.ends_with("link down")
}

/// Whether an event ends that.
pub(super) fn heals(what: &str) -> bool {
    what.contains("reconnected") || what == "healed" || what.ends_with("link up")
}

impl Plan {
    /// The plan of a case. How many requests were made between two of which the recording tells is not
    /// known, so neither is whose turn it was in a round robin of two: `odd` is the other possibility.
    ///
    /// # Errors
    /// What of it is not understood.
    pub fn new(case: &Case, odd: bool) -> Result<Self, String> {
        let configs = case.configs.as_object().ok_or("no `configs`")?;
        let mut directors: Vec<String> = configs.keys().cloned().collect();
        directors.sort();
        let pair: [String; 2] =
            directors.clone().try_into().map_err(|_| "not two directors".to_owned())?;
        let mut texts = Texts::default();
        for (host, text) in configs {
            let text = text.as_str().ok_or("a configuration that is no text")?;
            texts.0.insert(format!("{host}.conf"), text.to_owned());
        }
        let starts: Vec<Start> = case
            .events_with("start keepalived")
            .map(|event| Start::of(case, event, &texts))
            .collect::<Result<_, _>>()?;
        let key = |host: &String| {
            let first = starts.iter().find(|s| s.host == *host);
            let start = first.map_or("never".to_owned(), |s| seconds(s.at));
            format!("keepalived = \"{host}.conf\"\nkeepalived_start = \"{start}\"\n")
        };
        let lab = Lab {
            keys: [key(&pair[0]), key(&pair[1])],
            directors: pair,
            crossover: false,
            tables: tables(case, odd)?,
        };
        let end = case.end + BEYOND;
        let text = lab.scenario(end.as_nanos() as f64 / 1e9);
        let scenario = model::load("case.toml", &text, &texts, &Settings::default())
            .map_err(|f| render(&f.sources, &f.problems, false))?;
        let mut config =
            scenario.variants.into_iter().next().map(|v| v.config).ok_or("no variant")?;
        for start in starts.iter().rev() {
            first_checks(case, start, &mut config);
        }
        config.faults = faults(case, &starts)?;
        let interval = instance_of(&texts, &directors[0])?;
        let interval = Span::from_micros(resolved(&interval).interval_us());
        let silent = silent(case);
        Ok(Self { config, directors, end, interval, silent })
    }
}

/// The requests of the client, and what the experimenter started before anything else.
fn tables(case: &Case, odd: bool) -> Result<String, String> {
    let starts = probes::starts(&case.seen.requests, odd, case.end);
    let starts: Vec<String> = starts.into_iter().map(seconds).collect();
    let mut text = format!(
        "\n[[client]]\nname = \"{PROBE}\"\nhosts = \"client\"\ntarget = \"{VIP}:80\"\n\
         request = \"20B\"\ntimeout = \"{}ms\"\nload = \"at({})\"\n",
        probes::PATIENCE.as_nanos() / 1_000_000,
        starts.join(", ")
    );
    if let Some((replies, _)) = case.long_connection()
        && let (Some(first), Some(last)) = (replies.first(), replies.last())
    {
        // its pauses are not told: it asks again and again until the end
        let count = last.saturating_since(*first).as_nanos() / LONG_PAUSE.as_nanos() + 1;
        let _infallible = write!(
            text,
            "\n[[client]]\nname = \"{LONG}\"\nhosts = \"client\"\ntarget = \"{VIP}:80\"\n\
             request = \"20B\"\nrequests = {count}\nthink = \"{}ms\"\nload = \"at({})\"\n",
            LONG_PAUSE.as_nanos() / 1_000_000,
            seconds(*first),
        );
    }
    for event in case.events_with("sync daemons started") {
        let roles = event.what.split(['(', ')']).nth(1).unwrap_or_default();
        for role in roles.split(", ") {
            let (host, role) = role.split_once(' ').ok_or("sync daemons of nobody")?;
            let _infallible = write!(
                text,
                "\n[[director]]\nhost = \"{host}\"\nrules = \"--start-daemon {role} --mcast-interface eth0\"\n"
            );
        }
    }
    Ok(text)
}

/// The first virtual router of a host.
fn instance_of(texts: &Texts, host: &str) -> Result<Instance, String> {
    let mut sources = Sources::default();
    let name = format!("{host}.conf");
    let text = texts.0.get(&name).ok_or_else(|| format!("no configuration of {host}"))?;
    let file = sources.add(name, text.as_str());
    let options = Options { config_id: Some(host.to_owned()) };
    let (all, _) = keepalived::read(&mut sources, file, texts, &options);
    all.instances.into_iter().next().ok_or_else(|| format!("{host} has no vrrp_instance"))
}

/// What of an instance decides its timers.
fn resolved(instance: &Instance) -> VrrpInstance {
    VrrpInstance {
        version: if instance.version >= 3 { VrrpVersion::V3 } else { VrrpVersion::V2 },
        priority: instance.priority,
        advert_int: instance.advert,
        ..VrrpInstance::new(&instance.name, "", instance.vrid)
    }
}

/// The start of keepalived on a host.
#[derive(Clone, Debug)]
struct Start {
    host: String,
    /// When its virtual router began to wait.
    at: Time,
}

impl Start {
    /// A router that hears nobody becomes master when its timer has run out: then it began so much before
    /// its first advert. Else its log tells when.
    fn of(case: &Case, event: &Event, texts: &Texts) -> Result<Self, String> {
        let host = event.host.clone().ok_or("keepalived is started nowhere")?;
        let logged = case
            .logged(&host, event.at, "Entering BACKUP STATE (init)")
            .ok_or_else(|| format!("{host} does not log that it begins"))?
            .at;
        let instance = instance_of(texts, &host)?;
        let first = case.seen.adverts.iter().find(|a| a.from == host && a.at > logged);
        let others = |until: Time| {
            let between = |a: &&super::super::observed::Advert| a.at > logged && a.at < until;
            let obeyed = |p: u8| p == 0 || p >= instance.priority || !instance.preempt;
            let mut all = case.seen.adverts.iter().filter(between);
            all.any(|a| a.from != host && obeyed(a.priority))
        };
        let wait = master_down(&resolved(&instance));
        // what it heard and did not obey has not put its timer off
        let due =
            |a: &Time| a.saturating_since(logged + wait).max((logged + wait).saturating_since(*a));
        let at = first
            .filter(|a| !others(a.at) || due(&a.at) <= LATE_LINE)
            .and_then(|a| a.at.as_nanos().checked_sub(wait.as_nanos()).map(Time::from_nanos));
        Ok(Self { host, at: at.unwrap_or(logged) })
    }
}

/// Three intervals and the skew of the priority: RFC 3768, section 6.1, and keepalived's microseconds.
fn master_down(instance: &VrrpInstance) -> Span {
    let interval = instance.interval_us();
    let below = 256 - u64::from(instance.priority);
    let skew = match instance.version {
        VrrpVersion::V2 => below * 1_000_000 / 256,
        VrrpVersion::V3 => below * (interval / 10_000) * 625 / 16,
    };
    Span::from_micros(3 * interval + skew)
}

/// Gives checkers of a host the phases of its first checks after a start, as they were logged.
fn first_checks(case: &Case, start: &Start, config: &mut WorldConfig) {
    let host = config.hosts.iter_mut().find(|h| h.name == start.host);
    let Some(keepalived) = host.and_then(|h| h.keepalived.as_mut()) else { return };
    let servers = keepalived.check.virtual_servers.iter_mut().flat_map(|s| &mut s.servers);
    for checker in servers.flat_map(|s| &mut s.checkers) {
        let (ip, port) = checker.target;
        let of = format!("[{ip}]:tcp:{port}");
        let first = case.log.iter().find(|l| {
            let result = l.text.ends_with("success.") || l.text.contains("failed");
            l.host == start.host && l.at > start.at && result && l.text.contains(&of)
        });
        checker.phase = first.map(|l| l.at.saturating_since(start.at));
    }
}

/// What the experimenter did, as faults.
fn faults(case: &Case, starts: &[Start]) -> Result<Vec<FaultConfig>, String> {
    let mut faults = Vec::new();
    let early = |t: Time, by: Span| Time::from_nanos(t.as_nanos().saturating_sub(by.as_nanos()));
    let mut add = |n: usize, what: FaultKind, at: Time, end: Option<Time>| {
        let starts = matches!(what, FaultKind::Program { harm: ProgramHarm::Start, .. });
        let effect = if starts { Span::ZERO } else { EFFECT };
        let (at, end) = (early(at, effect), end.map(|t| early(t, effect)));
        faults.push(FaultConfig {
            name: format!("event {n}.{}", faults.len()),
            what,
            when: FaultStart::At(vec![at.saturating_since(Time::ZERO)]),
            end: end.map_or(FaultEnd::Never, |t| FaultEnd::At(t.saturating_since(Time::ZERO))),
        });
    };
    let until = |n: usize, host: Option<&String>, words: &[&str]| {
        let later = case.events.iter().skip(n + 1);
        let mut ends = later.filter(|e| words.iter().any(|w| e.what.contains(w)));
        ends.find(|e| host.is_none() || e.host.as_ref() == host).map(|e| e.at)
    };
    let mut begun: Vec<&str> = Vec::new();
    for (n, event) in case.events.iter().enumerate() {
        let here = event.host.clone().unwrap_or_default();
        let program = |harm| FaultKind::Program {
            hosts: vec![here.clone()],
            process: Process::Keepalived,
            harm,
        };
        match event.what.as_str() {
            "start keepalived" => {
                // the first start is a key of the host
                let count = begun.iter().filter(|h| **h == here).count();
                begun.push(event.host.as_deref().unwrap_or_default());
                let start = starts.iter().filter(|s| s.host == here).nth(count);
                if let Some(start) = start.filter(|_| count > 0) {
                    add(n, program(ProgramHarm::Start), start.at, None);
                }
            }
            "kill -9 all keepalived processes" if case.what.contains("SIGSTOP") => {
                add(n, program(ProgramHarm::Kill), event.at, None);
            }
            // one after another: the children outlive their parent, notice it, and end in good order
            "clean stop (SIGTERM)"
            | "kill -9 all keepalived processes"
            | "kill -9 parent process only" => {
                add(n, program(ProgramHarm::Stop), event.at, None);
            }
            "server process killed (port closed)" => {
                let harm = ApplicationHarm::Kill;
                let what = FaultKind::Application { hosts: vec![here.clone()], port: None, harm };
                let end = until(n, event.host.as_ref(), &["server process started"]);
                add(n, what, event.at, end.map(|t| t + LISTENS + EFFECT));
            }
            what if what.contains("cut off") => {
                let links = vec![(link_of(&here), None)];
                let what =
                    FaultKind::Impairment { links, traffic: Traffic::All, loss: 1.0, delay: None };
                add(n, what, event.at, until(n, event.host.as_ref(), &["reconnected"]));
            }
            what if what.ends_with("link down") => {
                let host = what.split(' ').next().unwrap_or_default();
                let links = vec![link_of(host)];
                let end = until(n, None, &[&format!("{host} link up")]);
                add(n, FaultKind::LinkDown { links }, event.at, end);
            }
            "VRRP dropped between d1 and d2" => {
                let ends = until(n, None, &["healed"]);
                for (deaf, heard, first) in [("d1", "d2", true), ("d2", "d1", false)] {
                    let at = |t: Time| if first { early(t, COMMAND) } else { t };
                    let what = FaultKind::Partition {
                        from: vec![heard.to_owned()],
                        to: vec![deaf.to_owned()],
                        one_way: true,
                        traffic: Traffic::Ip { protocol: 112, port: None },
                    };
                    add(n, what, at(event.at), ends.map(at));
                }
            }
            what if ["server process started", "healed"].contains(&what)
                || what.contains("reconnected")
                || what.ends_with("link up")
                || what.starts_with("sync daemons started") => {}
            what => return Err(format!("the event \"{what}\" is not understood")),
        }
    }
    Ok(faults)
}

/// When nobody saw what a host sent, because its own link was down.
fn silent(case: &Case) -> Vec<(String, Time, Time)> {
    let downs = case.events.iter().filter(|e| e.what.ends_with("link down"));
    let interval = |down: &Event| {
        let host = down.what.split(' ').next()?;
        let up = format!("{host} link up");
        let end = case.events.iter().find(|e| e.at > down.at && e.what == up);
        let from = Time::from_nanos(down.at.as_nanos().saturating_sub(EFFECT.as_nanos()));
        let until = end.map_or(case.end, |e| e.at.min(case.end));
        Some((
            host.to_owned(),
            from,
            Time::from_nanos(until.as_nanos().saturating_sub(EFFECT.as_nanos())),
        ))
    };
    downs.filter_map(interval).collect()
}
