//! Faults: `[[fault]]`.

use super::{Builder, shortened};
use crate::diagnostic::{At, Place};
use crate::format::distribution::{self, Quantity};
use crate::format::{Record, units, words};
use sim_core::config::{
    ApplicationHarm, Boot, Condition, FaultConfig, FaultEnd, FaultKind, FaultStart, HostConfig,
    LinkEnd, Process, ProgramHarm, Traffic, Trigger,
};
use sim_core::engine::{Dist, Span};
use sim_core::wire::proto;

/// The protocol number of VRRP.
const VRRP: u8 = 112;

/// Keys that only some faults take.
const PARTS: [&str; 16] = [
    "hosts", "switches", "links", "towards", "from", "to", "one_way", "traffic", "loss", "delay",
    "program", "port", "factor", "status", "ring", "grace",
];

/// Which of them a fault takes, those that it must have first; and how many these are.
fn parts(what: &str) -> (usize, &'static [&'static str]) {
    match what {
        "power loss" => (0, &["hosts", "switches"]),
        "shutdown" => (1, &["hosts", "grace"]),
        "freeze" => (1, &["hosts", "ring"]),
        "server slow" => (2, &["hosts", "factor", "port"]),
        "server status" => (2, &["hosts", "status", "port"]),
        "busy cpu" => (2, &["hosts", "factor"]),
        "link down" => (1, &["links"]),
        "link impaired" => (1, &["links", "towards", "traffic", "loss", "delay"]),
        "partition" => (2, &["from", "to", "one_way", "traffic"]),
        _ if what.starts_with("program") => (2, &["hosts", "program"]),
        _ if what.starts_with("server") => (1, &["hosts", "port"]),
        _ => (0, &[]),
    }
}

/// What a condition looks like.
const CONDITION: &str = "expected \"FAULT begins\", \"FAULT ends\", \"HOST becomes VALUE\", \"SUBJECT of HOST becomes VALUE\" or \"N frames of TRAFFIC on LINK towards END\"";

/// What traffic looks like.
const TRAFFIC: &str = "expected all, arp, multicast, vrrp, icmp, tcp, udp, \"udp PORT\", \"tcp PORT\" or \"protocol NUMBER\"";

impl Builder<'_> {
    /// The faults of all tables.
    pub(super) fn faults(&mut self) -> Vec<FaultConfig> {
        if self.lacks_cluster() {
            return Vec::new();
        }
        let record = self.record;
        let tables = record.tables("fault");
        let names: Vec<String> =
            tables.iter().enumerate().map(|(n, t)| name_of(t, n + 1)).collect();
        let mut faults = Vec::new();
        for (number, table) in tables.into_iter().enumerate() {
            if names[..number].contains(&names[number]) {
                let message = format!("two faults are called `{}`", names[number]);
                self.wrong(table.place_of("name"), message, "the second one");
            }
            // a word that names none was reported when it was read
            let Some(what) = table.get::<String>("what") else { continue };
            self.fits(table, &what);
            let when = self.start(table, &names);
            let end = self.end(table, &what, &names, &when);
            let what = self.what(table, &what);
            faults.push(FaultConfig { name: names[number].clone(), what, when, end });
        }
        faults
    }

    /// Whether a table has the keys that its fault needs, and no others.
    fn fits(&mut self, table: &Record, what: &str) {
        let (needed, taken) = parts(what);
        for key in &taken[..needed] {
            if !table.has(key) {
                let message = format!("\"{what}\" lacks the key `{key}`");
                self.wrong(table.place_of("what"), message, "this fault");
            }
        }
        let boots = matches!(what, "power loss" | "shutdown");
        let more: &[&str] = if boots { &["boot", "programs"] } else { &[] };
        let all = PARTS.iter().chain(&["boot", "programs"]);
        for key in all.filter(|k| table.has(k) && !taken.contains(k) && !more.contains(k)) {
            let message = format!("`{key}` means nothing to \"{what}\"");
            let label = match taken {
                [] => "it takes no more than a time".to_owned(),
                _ => format!("it takes {}", words::list(taken.iter().chain(more))),
            };
            self.wrong(table.place_of(key), message, label);
        }
        if what == "power loss" && !table.has("hosts") && !table.has("switches") {
            let message = "\"power loss\" lacks the key `hosts` or `switches`";
            self.wrong(table.place_of("what"), message, "this fault");
        }
        if what == "link impaired" && !table.has("loss") && !table.has("delay") {
            let message = "\"link impaired\" lacks the key `loss` or `delay`";
            self.wrong(table.place_of("what"), message, "this fault");
        }
    }

    /// What a table breaks.
    fn what(&mut self, table: &Record, what: &str) -> FaultKind {
        let hosts = self.hosts_named(table, "hosts");
        let program = |harm| FaultKind::Program {
            hosts: hosts.clone(),
            process: process(&table.value::<String>("program")),
            harm,
        };
        let port = table.get("port");
        if what.starts_with("server") {
            self.check_servers(table, &hosts, port);
        }
        let server = |harm| FaultKind::Application { hosts: hosts.clone(), port, harm };
        match what {
            "power loss" => FaultKind::PowerLoss {
                switches: self.switches_named(table),
                boot: self.boot(table, &hosts),
                hosts,
            },
            "shutdown" => FaultKind::Shutdown {
                grace: table.value("grace"),
                boot: self.boot(table, &hosts),
                hosts,
            },
            "freeze" => FaultKind::Freeze { hosts, ring: table.value("ring") },
            "program killed" => program(ProgramHarm::Kill),
            "program stopped" => program(ProgramHarm::Stop),
            "program frozen" => program(ProgramHarm::Freeze),
            "program started" => program(ProgramHarm::Start),
            "server killed" => server(ApplicationHarm::Kill),
            "server hung" => server(ApplicationHarm::Hang),
            "server frozen" => server(ApplicationHarm::Freeze),
            "server slow" => {
                let factor = self.factor(table, 0.0);
                server(ApplicationHarm::Slow(factor))
            }
            "server status" => server(ApplicationHarm::Status(table.value("status"))),
            "busy cpu" => FaultKind::BusyCpu { factor: self.factor(table, 1.0), hosts },
            "link down" => FaultKind::LinkDown { links: self.links_named(table, "links") },
            "link impaired" => self.impairment(table),
            "partition" => {
                let from = self.hosts_named(table, "from");
                let to = self.hosts_named(table, "to");
                if let Some(both) = to.iter().find(|h| from.contains(h)) {
                    let message = format!("the host `{both}` is on both sides of the partition");
                    self.wrong(table.place_of("to"), message, "expected hosts that `from` has not");
                }
                let one_way = table.value("one_way");
                FaultKind::Partition { from, to, one_way, traffic: self.traffic_of(table) }
            }
            _ => FaultKind::Mark,
        }
    }

    /// Whether hosts have servers, on a port if one is given.
    fn check_servers(&mut self, table: &Record, hosts: &[String], port: Option<u16>) {
        let serves = |h: &HostConfig| h.servers.iter().any(|s| port.is_none_or(|p| p == s.port));
        let idle = hosts.iter().find(|name| self.host(name).is_some_and(|h| !serves(h)));
        if let Some(name) = idle {
            let on = port.map_or_else(String::new, |p| format!(" on port {p}"));
            let message = format!("host {name} has no server{on}");
            self.wrong(table.place_of("hosts"), message, "expected hosts with a [[server]]");
        }
    }

    fn impairment(&mut self, table: &Record) -> FaultKind {
        let names = self.links_named(table, "links");
        let towards: Option<At<String>> = table.at("towards");
        if let Some(end) = &towards {
            for name in &names {
                self.ends_at(name, end);
            }
        }
        let end = towards.map(|t| t.value);
        FaultKind::Impairment {
            links: names.into_iter().map(|name| (name, end.clone())).collect(),
            traffic: self.traffic_of(table),
            loss: table.value("loss"),
            delay: table.get("delay"),
        }
    }

    /// Whether a link ends at a host or switch.
    fn ends_at(&mut self, link: &str, end: &At<String>) -> bool {
        let name = |e: &LinkEnd| match e {
            LinkEnd::Interface(name, _) | LinkEnd::Switch(name) => name.clone(),
        };
        let Some(found) = self.links.iter().find(|l| l.name == link) else { return false };
        let ends: Vec<String> = found.ends.iter().map(name).collect();
        if ends.contains(&end.value) {
            return true;
        }
        let message = format!("the link `{link}` does not end at `{}`", end.value);
        self.wrong(&end.place, message, format!("it ends at {}", words::list(&ends)));
        false
    }

    /// How hosts come back, if the table says it.
    fn boot(&self, table: &Record, hosts: &[String]) -> Option<Boot> {
        if !table.has("boot") && !table.has("programs") {
            return None;
        }
        let usual = hosts.first().and_then(|h| self.host(h)).map(|h| h.boot.time.clone());
        let usual = usual.unwrap_or(Dist::Constant(0.0));
        let time = table.get("boot").unwrap_or(usual);
        Some(Boot { time, programs: table.value("programs") })
    }

    /// A plain number above, or if it is 1 from, `least` on.
    fn factor(&mut self, table: &Record, least: f64) -> f64 {
        let Some(at) = table.at::<Dist>("factor") else { return 1.0 };
        match at.value {
            Dist::Constant(factor) if factor > least || factor >= 1.0 => factor,
            _ => {
                let allowed = if least > 0.0 { "from 1 on" } else { "above 0" };
                let message = "this is no factor here";
                self.wrong(&at.place, message, format!("expected a number {allowed}"));
                1.0
            }
        }
    }

    /// The hosts that a list stands for.
    fn hosts_named(&mut self, table: &Record, key: &str) -> Vec<String> {
        let names = table.list::<String>(key);
        if table.has(key) && names.is_empty() {
            self.wrong(table.place_of(key), "the list is empty", "expected names of hosts");
        }
        names.iter().flat_map(|name| self.members(name)).collect()
    }

    fn switches_named(&mut self, table: &Record) -> Vec<String> {
        let names = table.list::<String>("switches");
        let known: Vec<String> = self.switches.iter().map(|s| s.name.clone()).collect();
        names
            .iter()
            .filter(|n| self.is_known("switch", n, &known))
            .map(|n| n.value.clone())
            .collect()
    }

    fn links_named(&mut self, table: &Record, key: &str) -> Vec<String> {
        let names = table.list::<String>(key);
        let known: Vec<String> = self.links.iter().map(|l| l.name.clone()).collect();
        names.iter().filter(|n| self.is_known("link", n, &known)).map(|n| n.value.clone()).collect()
    }

    /// Whether a name is known; tells if not.
    fn is_known(&mut self, sort: &str, name: &At<String>, known: &[String]) -> bool {
        if known.contains(&name.value) {
            return true;
        }
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let near = words::nearest(&name.value, known.iter().copied());
        let near = near.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
        let plural = if sort == "switch" { "switches" } else { "links" };
        let label = format!("{plural} are {}{near}", shortened(&known));
        self.wrong(&name.place, format!("there is no {sort} `{}`", name.value), label);
        false
    }

    fn traffic_of(&mut self, table: &Record) -> Traffic {
        let text: String = table.value("traffic");
        traffic(&text).unwrap_or_else(|| {
            let message = format!("`{text}` is no traffic");
            self.wrong(table.place_of("traffic"), message, TRAFFIC);
            Traffic::All
        })
    }

    /// When a fault begins.
    fn start(&mut self, table: &Record, names: &[String]) -> FaultStart {
        const WAYS: [&str; 4] = ["at", "every", "mtbf", "when"];
        let ways: Vec<&str> = WAYS.into_iter().filter(|k| table.has(k)).collect();
        if let [one, other, ..] = ways[..] {
            let message = format!("`{one}` and `{other}` are two ways to say when");
            self.wrong(table.place_of(other), message, "keep one of them");
        }
        for (key, with) in [("first", "every"), ("again", "when"), ("nth", "when")] {
            if table.has(key) && !table.has(with) {
                let message = format!("`{key}` goes with `{with}`");
                self.wrong(table.place_of(key), message, format!("there is no `{with}`"));
            }
        }
        match ways.first() {
            Some(&"at") => {
                FaultStart::At(table.list::<Span>("at").into_iter().map(|at| at.value).collect())
            }
            Some(&"every") => {
                let period: Span = table.value("every");
                if period < Span::from_millis(1) {
                    let place = table.place_of("every");
                    self.wrong(place, "the period is too short", "expected 1ms or more");
                }
                FaultStart::Every(table.get("first").unwrap_or(period), period)
            }
            Some(&"mtbf") => FaultStart::Renewal(self.mean_time(table, "mtbf")),
            Some(_) => FaultStart::When(self.condition(table, "when", names)),
            None => {
                let message = "the fault never begins";
                self.wrong(&table.place, message, "expected `at`, `every`, `mtbf` or `when`");
                FaultStart::At(Vec::new())
            }
        }
    }

    /// When a fault ends.
    fn end(
        &mut self,
        table: &Record,
        what: &str,
        names: &[String],
        start: &FaultStart,
    ) -> FaultEnd {
        let ways: Vec<&str> =
            ["for", "mttr", "until"].into_iter().filter(|k| table.has(k)).collect();
        if let [one, other, ..] = ways[..] {
            let message = format!("`{one}` and `{other}` are two ways to say for how long");
            self.wrong(table.place_of(other), message, "keep one of them");
        }
        let Some(&way) = ways.first() else { return FaultEnd::Never };
        if matches!(what, "mark" | "program started") {
            let message = format!("\"{what}\" is over at once");
            self.wrong(table.place_of(way), message, "leave it out");
        }
        match way {
            "for" => FaultEnd::After(table.get("for").unwrap_or(Dist::Constant(0.0))),
            "mttr" => FaultEnd::After(self.mean_time(table, "mttr")),
            _ => {
                let text: String = table.value("until");
                let Ok(at) = units::span(&text) else {
                    return FaultEnd::When(self.condition(table, "until", names));
                };
                let early = |points: &Vec<Span>| points.iter().all(|p| *p >= at);
                if matches!(start, FaultStart::At(points) if early(points)) {
                    let message = "the fault ends before it begins";
                    self.wrong(table.place_of("until"), message, "expected a later time");
                }
                FaultEnd::At(at)
            }
        }
    }

    /// A mean time: a plain one is the mean of an exponential distribution.
    fn mean_time(&mut self, table: &Record, key: &str) -> Dist {
        let text: String = table.value(key);
        let dist = match distribution::dist(&text, Quantity::Time) {
            Ok(Dist::Constant(mean)) if !text.contains('(') => Dist::Exponential { mean },
            Ok(dist) => dist,
            Err(allowed) => {
                let message = format!("\"{text}\" is not right here");
                self.wrong(table.place_of(key), message, format!("expected {allowed}"));
                return Dist::Constant(1.0);
            }
        };
        if dist.mean().is_none_or(|m| m < 1e-3) {
            self.wrong(table.place_of(key), "the time is too short", "expected 1ms or more");
        }
        dist
    }

    /// What a fault waits for.
    fn condition(&mut self, table: &Record, key: &str, names: &[String]) -> Condition {
        let text: String = table.value(key);
        let place = table.place_of(key).clone();
        let first = key == "when";
        let plus = if first || !table.has("when") { table.get("plus") } else { None };
        let mut condition = Condition {
            trigger: Trigger::Begins(String::new()),
            plus: plus.unwrap_or(Dist::Constant(0.0)),
            nth: if first { table.value("nth") } else { 1 },
            again: first && table.value("again"),
        };
        let trigger = if let Some(name) = text.strip_suffix(" begins") {
            self.is_fault(name, names, &place).then(|| Trigger::Begins(name.to_owned()))
        } else if let Some(name) = text.strip_suffix(" ends") {
            self.is_fault(name, names, &place).then(|| Trigger::Ends(name.to_owned()))
        } else if let Some((who, value)) = text.split_once(" becomes ") {
            self.told(who, value, &place)
        } else if let Some((count, trigger)) = self.frames(&text, &place) {
            condition.nth = condition.nth.max(count);
            Some(trigger)
        } else {
            self.wrong(&place, format!("`{text}` is no condition"), CONDITION);
            None
        };
        condition.trigger = trigger.unwrap_or(condition.trigger);
        condition
    }

    fn is_fault(&mut self, name: &str, names: &[String], place: &Place) -> bool {
        let known = names.iter().any(|n| n == name);
        if !known {
            let all: Vec<&str> = names.iter().map(String::as_str).collect();
            let near = words::nearest(name, all.iter().copied());
            let near = near.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
            let label = format!("faults are {}{near}", shortened(&all));
            self.wrong(place, format!("there is no fault `{name}`"), label);
        }
        known
    }

    /// `[SUBJECT of ]HOST becomes VALUE`.
    fn told(&mut self, who: &str, value: &str, place: &Place) -> Option<Trigger> {
        let (subject, host) = match who.rsplit_once(" of ") {
            Some((subject, host)) => (Some(subject.to_owned()), host),
            None => (None, who),
        };
        let host = if host == "*" {
            None
        } else if self.host(host).is_some() {
            Some(host.to_owned())
        } else {
            self.unknown_host(&At::new(host.to_owned(), place.clone()));
            return None;
        };
        Some(Trigger::Told { host, kind: None, subject, value: Some(value.to_owned()) })
    }

    /// `N frames of TRAFFIC on LINK towards END`.
    fn frames(&mut self, text: &str, place: &Place) -> Option<(u64, Trigger)> {
        let (count, rest) = text.split_once(" frames of ")?;
        let (sort, rest) = rest.split_once(" on ")?;
        let (link, end) = rest.split_once(" towards ")?;
        let (count, sort) = (count.parse().ok().filter(|n| *n > 0)?, traffic(sort)?);
        let at = |name: &str| At::new(name.to_owned(), place.clone());
        let known: Vec<String> = self.links.iter().map(|l| l.name.clone()).collect();
        if self.is_known("link", &at(link), &known) {
            self.ends_at(link, &at(end));
        }
        Some((count, Trigger::Frame(link.to_owned(), end.to_owned(), sort)))
    }
}

/// The name of a fault: its own, or what it does with the number of its table.
fn name_of(table: &Record, number: usize) -> String {
    table.get("name").unwrap_or_else(|| {
        let what: String = table.value("what");
        format!("{what} {number}")
    })
}

fn process(name: &str) -> Process {
    Process::ALL.into_iter().find(|p| p.name() == name).unwrap_or(Process::Keepalived)
}

/// Reads which packets a fault is about.
fn traffic(text: &str) -> Option<Traffic> {
    let (name, number) = match text.split_once(' ') {
        Some((name, number)) => (name, Some(number.parse::<u16>().ok()?)),
        None => (text, None),
    };
    let protocol = match (name, number) {
        ("all", None) => return Some(Traffic::All),
        ("arp", None) => return Some(Traffic::Neighbours),
        ("multicast", None) => return Some(Traffic::Multicast),
        ("vrrp", None) => VRRP,
        ("icmp", None) => proto::ICMP,
        ("tcp", _) => proto::TCP,
        ("udp", _) => proto::UDP,
        ("protocol", Some(number)) => {
            let protocol = u8::try_from(number).ok()?;
            return Some(Traffic::Ip { protocol, port: None });
        }
        _ => return None,
    };
    Some(Traffic::Ip { protocol, port: number })
}
