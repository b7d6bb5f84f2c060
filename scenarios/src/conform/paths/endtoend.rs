//! A case from its network, its set-up and its requests: every request must have the recorded result,
//! and the tables must be the recorded ones.
//!
//! From the recording are taken: when each request was made, its source port, how long the client
//! waited and how many bytes were asked for. Everything else follows.

use super::blackbox::{Outcome, cable};
use super::case::{Act, Case, Request, Step, Wish};
use super::operate::{self, Started};
use super::plan::Plan;
use super::{setup, tables};
use serde_json::Value;
use sim_core::config::{CaptureConfig, LinkEnd, SwitchConfig, WorldConfig};
use sim_core::engine::{Span, Time};
use sim_core::hosts::script::{self, Script, Then};
use sim_core::wire::Ip;
use sim_core::world::World;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The simulated time at which the requests begin.
const BEGIN: Time = Time::from_nanos(1_000_000_000_000);

/// Bytes of a usual HTTP request.
const REQUEST: u32 = 20;
/// Bytes of a usual HTTP response.
const RESPONSE: u32 = 42;
/// Time that the recording took after the last request to read the tables, about.
pub(super) const AFTERWARDS: u64 = 300;
/// Since when before the end a table of neighbours may be the recorded one: the timer of a neighbour that
/// was used runs after 5 s, late by up to an eighth of it.
const LATE_TABLES: Span = Span::from_millis(1200);
/// How long after the end the recording may have read the last table of neighbours.
const READ_LATER: Span = Span::from_millis(1500);
/// Longest time that a request may take beyond the recorded one.
const LONGEST: Span = Span::from_secs(30);

/// Plays a case and compares results and tables.
pub fn judge(case: &Case) -> Outcome {
    let config = match network(case) {
        Ok(config) => config,
        Err(why) => return Outcome::Skipped(why),
    };
    let mut world = match World::build(&config) {
        Ok(world) => world,
        Err(errors) => {
            let text: Vec<_> = errors.iter().map(ToString::to_string).collect();
            return Outcome::Skipped(text.join("; "));
        }
    };
    world.keep_frames();
    for (number, host) in config.hosts.iter().enumerate() {
        if serves(case, &host.name) {
            world.at_host(number, |host, _| host.serve_by_hand(&[80, 443, 8080], &[53]));
        }
    }
    let mut drive = Drive {
        case,
        world,
        names: config.hosts.iter().map(|h| h.name.clone()).collect(),
        scripts: BTreeMap::new(),
        neighbours: vec![Vec::new(); config.hosts.len()],
        plan: Plan::new(case),
        typed: BTreeMap::new(),
        late: Span::ZERO,
        compared: 0,
    };
    match drive.run() {
        Ok(()) => Outcome::Agrees(drive.compared),
        Err(Stop::Differs(text)) => Outcome::Differs(text),
        Err(Stop::Unknown(text)) => Outcome::Skipped(text),
    }
}

/// Whether a host runs the server: the real servers do, and who answered in the recording.
fn serves(case: &Case, host: &str) -> bool {
    host.starts_with("rs") || case.steps.iter().any(|s| s.result["server"] == host)
}

/// The configuration of the network of a case.
fn network(case: &Case) -> Result<WorldConfig, String> {
    let mut config = WorldConfig { duration: Span::from_secs(1 << 30), ..WorldConfig::default() };
    for (name, interfaces) in case.topology.hosts() {
        let mut host = setup::host(case, &name, &interfaces)?;
        host.tcp.keepalive = keepalive(case, &name);
        config.hosts.push(host);
    }
    // the answers to this program are looked for among the frames of its host
    let asks = |s: &&Step| matches!(&s.request, Request::Command(c) if c.starts_with("arping"));
    config.captures = case
        .steps
        .iter()
        .filter(asks)
        .map(|s| CaptureConfig::Host(s.host.clone()))
        .take(1)
        .collect();
    for link in &case.topology.links {
        let [a, b] = link.clone().map(|(node, port)| {
            if case.topology.macs.contains_key(&(node.clone(), port.clone())) {
                return LinkEnd::Interface(node, port);
            }
            if !config.switches.iter().any(|s| s.name == node) {
                config.switches.push(SwitchConfig {
                    name: node.clone(),
                    ageing: Span::from_secs(300),
                    spanning_tree: false,
                });
            }
            LinkEnd::Switch(node)
        });
        let mut cable = cable(a, b);
        cable.name = format!("{}:{}--{}:{}", link[0].0, link[0].1, link[1].0, link[1].1);
        config.links.push(cable);
    }
    Ok(config)
}

/// The keepalive that a user of a host asks for on a connection; here it is a setting of the host.
fn keepalive(case: &Case, host: &str) -> Option<(Span, Span, u8)> {
    let acts = case.steps.iter().filter(|s| s.host == host).filter_map(|s| match &s.request {
        Request::Session(_, _, _, acts) => Some(acts),
        _ => None,
    });
    acts.flatten().find_map(|a| match a {
        Act::Keepalive(idle, interval, probes) => {
            Some((Span::from_secs(*idle), Span::from_secs(*interval), *probes))
        }
        _ => None,
    })
}

/// Why a comparison ended early.
enum Stop {
    Differs(String),
    Unknown(String),
}

struct Drive<'a> {
    case: &'a Case,
    world: World,
    names: Vec<String>,
    /// Sessions in the background: host, number, the acts of the recording.
    scripts: BTreeMap<String, (usize, u32)>,
    /// Tables of neighbours of each host, and when it had them.
    neighbours: Vec<Vec<(Time, Vec<String>)>>,
    plan: Plan,
    /// What was typed on each host while the case went on and changed its packet filter.
    typed: BTreeMap<usize, Vec<String>>,
    /// By how much the steps come later than in the recording, because one took longer.
    late: Span,
    compared: usize,
}

/// Something in the foreground whose result is to be compared.
#[derive(Clone, Debug)]
struct Running {
    /// The step.
    step: usize,
    host: usize,
    what: Foreground,
}

#[derive(Clone, Debug)]
enum Foreground {
    /// A script.
    Script(u32),
    /// A command that goes on for a while.
    Command(Started),
}

impl Drive<'_> {
    fn run(&mut self) -> Result<(), Stop> {
        self.flushes()?;
        self.pings()?;
        let mut running: Option<Running> = None;
        for (n, step) in self.case.steps.iter().enumerate() {
            let at = BEGIN + self.late + Span::from_millis(self.plan.starts[n]);
            self.between(n, at, &mut running)?;
            running = self.begin(n, step, self.plan.ports[n])?;
        }
        let end = BEGIN + self.late + Span::from_millis(self.plan.end);
        self.between(self.case.steps.len(), end, &mut running)?;
        self.tables()
    }

    /// Runs up to the step `next` at `until`. The connections after the step before were read some time
    /// between the two.
    fn between(
        &mut self,
        next: usize,
        until: Time,
        running: &mut Option<Running>,
    ) -> Result<(), Stop> {
        let done = next.checked_sub(1);
        let begun = done.map_or(self.world.now(), |n| {
            let took = self.case.steps[n].result["ms"].as_u64().unwrap_or(0);
            BEGIN + self.late + Span::from_millis(self.plan.starts[n] + took)
        });
        let mut agreed = false;
        let mut at = self.world.now().max(begun);
        while let Some(n) = done.filter(|_| !agreed && at < until) {
            self.run_until(at);
            agreed = self.connections_after(n).is_ok();
            at += Span::from_millis(20);
        }
        self.run_until(until);
        self.finish(running.take())?;
        match done {
            Some(n) if !agreed => self.connections_after(n),
            _ => Ok(()),
        }
    }

    /// Runs up to a point, and remembers the tables of neighbours of the last second before the end: the
    /// timers of the recorded kernel may be late, so its table may be one that we had a little earlier.
    fn run_until(&mut self, until: Time) {
        let end = BEGIN + self.late + Span::from_millis(self.plan.end);
        let earliest = Time::from_nanos(end.as_nanos().saturating_sub(LATE_TABLES.as_nanos()));
        let mut at = self.world.now().max(earliest);
        while at < until {
            self.world.run_until(at);
            for host in 0..self.names.len() {
                let lines = tables::neighbour_lines(&mut self.world, host);
                self.neighbours[host].push((at, lines));
            }
            at += Span::from_millis(20);
        }
        self.world.run_until(until);
    }

    /// The tables of neighbours that a host has had since the last act, and now.
    fn lately(&mut self, host: usize) -> Vec<Vec<String>> {
        let quiet = self.last_act();
        let lately = self.neighbours[host].iter().filter(|(at, _)| *at > quiet);
        let mut tables: Vec<_> = lately.map(|(_, table)| table.clone()).collect();
        tables.push(tables::neighbour_lines(&mut self.world, host));
        tables
    }

    /// When a script did something last.
    fn last_act(&self) -> Time {
        let hosts = self.world.hosts().iter();
        let scripts = hosts.flat_map(|h| (0..).map_while(|n| h.scripts.get(n)));
        scripts.filter_map(|p| p.results.last()).map(|r| r.0).max().unwrap_or(Time::ZERO)
    }

    fn host(&self, name: &str) -> Result<usize, Stop> {
        let found = self.names.iter().position(|n| n == name);
        found.ok_or_else(|| Stop::Unknown(format!("there is no host {name}")))
    }

    /// Begins a step.
    fn begin(&mut self, n: usize, step: &Step, port: u16) -> Result<Option<Running>, Stop> {
        let host = self.host(&step.host)?;
        match &step.request {
            Request::Command(command) => self.command(n, host, command),
            Request::Wait(_) => Ok(None),
            Request::Join(name) => {
                let (host, number) = *self
                    .scripts
                    .get(name)
                    .ok_or_else(|| Stop::Unknown(format!("no session {name} was started")))?;
                Ok(Some(Running { step: n, host, what: Foreground::Script(number) }))
            }
            Request::Session(name, ip, to, acts) => {
                let script = self.session(step, (*ip, *to), port, acts);
                let number = self.start(host, script);
                match name {
                    Some(name) => {
                        self.scripts.insert(name.clone(), (host, number));
                        Ok(None)
                    }
                    None => Ok(Some(Running { step: n, host, what: Foreground::Script(number) })),
                }
            }
            Request::Tcp(ip, to) => {
                let script = self.exchange(step, (*ip, *to), port);
                let what = Foreground::Script(self.start(host, script));
                Ok(Some(Running { step: n, host, what }))
            }
            Request::Udp(ip, to) => {
                let script = self.datagram(step, (*ip, *to), port);
                let what = Foreground::Script(self.start(host, script));
                Ok(Some(Running { step: n, host, what }))
            }
        }
    }

    fn start(&mut self, host: usize, script: Script) -> u32 {
        let begun = self.world.at_host(host, |h, fab| h.begin_script(fab, script));
        begun.unwrap_or_default()
    }

    fn ip(&mut self, ip: IpAddr) -> Ip {
        self.world.book().number(ip)
    }

    fn script(&mut self, step: &Step, to: (IpAddr, u16), port: u16, patience: u64) -> Script {
        let source = step.options.source.map(|ip| self.ip(ip));
        Script {
            target: (self.ip(to.0), to.1),
            source,
            port,
            patience: Span::from_millis(step.options.timeout.unwrap_or(patience)),
            acts: Vec::new(),
            gives_up: true,
        }
    }

    /// An HTTP/1.0 exchange: the server closes first.
    fn exchange(&mut self, step: &Step, to: (IpAddr, u16), port: u16) -> Script {
        let mut script = self.script(step, to, port, 3000);
        let answer = answer_bytes(step).unwrap_or(RESPONSE);
        let wish = script::Wish { answer, then: Then::Close };
        script.acts = vec![
            script::Act::Connect,
            script::Act::Send(REQUEST + step.options.size.unwrap_or(0), wish),
            script::Act::ReceiveAll,
            script::Act::Close,
        ];
        script
    }

    fn datagram(&mut self, step: &Step, to: (IpAddr, u16), port: u16) -> Script {
        let mut script = self.script(step, to, port, 2000);
        let named = step.result["server"].as_str().map_or(5, str::len) as u32;
        let answer = step.options.response.or_else(|| answer_bytes(step)).unwrap_or(named);
        let wish = script::Wish { answer, then: Then::Keep };
        let bytes = step.options.size.unwrap_or(1);
        script.acts = vec![
            script::Act::SendTo(bytes, step.options.ttl, wish),
            script::Act::ReceiveFrom,
            script::Act::Close,
        ];
        script
    }

    fn session(&mut self, step: &Step, to: (IpAddr, u16), port: u16, acts: &[Act]) -> Script {
        let mut script = self.script(step, to, port, 3000);
        script.gives_up = false;
        // the recorded user woke up when the next act began
        let begun = self.recorded_acts(step);
        let acts = acts.iter().enumerate().filter_map(|(n, a)| match (a, begun.get(n + 1)) {
            (Act::Sleep(_), Some(ms)) => Some(script::Act::SleepUntil(Span::from_millis(*ms))),
            _ => act(a),
        });
        script.acts = acts.collect();
        script
    }

    /// When each act of a session began, in milliseconds since its start.
    fn recorded_acts(&self, step: &Step) -> Vec<u64> {
        let ends = |s: &&Step| match (&step.request, &s.request) {
            (Request::Session(Some(name), ..), Request::Join(joined)) => name == joined,
            (Request::Session(None, ..), _) => core::ptr::eq(*s, step),
            _ => false,
        };
        let told = self.case.steps.iter().find(ends).and_then(|s| s.result["acts"].as_array());
        told.map(|acts| acts.iter().filter_map(|a| a[0].as_u64()).collect()).unwrap_or_default()
    }

    /// Compares the result of a script that was in the foreground or is joined.
    fn finish(&mut self, running: Option<Running>) -> Result<(), Stop> {
        let Some(Running { step: n, host, what }) = running else { return Ok(()) };
        let number = match what {
            Foreground::Script(number) => number,
            Foreground::Command(started) => return self.printed(n, host, &started),
        };
        let begun = self.world.now();
        let finished = |world: &World| {
            let script = world.hosts()[host].scripts.get(number);
            script.is_none_or(script::Progress::is_finished)
        };
        while !finished(&self.world) && self.world.now() < begun + LONGEST {
            self.world.run_until(self.world.now() + Span::from_millis(10));
        }
        self.late += self.world.now().saturating_since(begun);
        let step = &self.case.steps[n];
        let Some(progress) = self.world.hosts()[host].scripts.get(number).cloned() else {
            return Ok(());
        };
        let (theirs, ours) = if let Some(acts) = step.result.get("acts").and_then(Value::as_array) {
            (recorded_acts(acts), self.our_acts(&progress))
        } else {
            let with_icmp = !step.result["icmp"].is_null();
            (recorded_result(&step.result), self.our_result(&progress, with_icmp))
        };
        if theirs != ours {
            return Err(Stop::Differs(format!(
                "request {}: recorded {theirs}, ours {ours}",
                n + 1
            )));
        }
        self.compared += 1;
        Ok(())
    }

    fn name(&self, host: Option<u16>) -> String {
        let name = host.and_then(|h| self.names.get(usize::from(h)));
        name.cloned().unwrap_or_else(|| "nobody".to_owned())
    }

    /// The result of an exchange as the recording words it.
    fn our_result(&mut self, progress: &script::Progress, with_icmp: bool) -> String {
        if !progress.is_finished() {
            return "unfinished".to_owned();
        }
        let mut text = "nothing".to_owned();
        for (_, outcome) in &progress.results {
            match outcome {
                script::Outcome::Failed(error) => {
                    error_text(*error).clone_into(&mut text);
                    // the first recordings did not look for the ICMP error
                    if let Some((kind, code, from)) = progress.icmp.filter(|_| with_icmp) {
                        let from = self.world.book().address(from);
                        text = format!("{text} (icmp {kind}/{code} from {from})");
                    }
                    break;
                }
                script::Outcome::Received { host, .. } => text = self.name(*host),
                script::Outcome::EndOfFile => "EOF".clone_into(&mut text),
                script::Outcome::Done => {}
            }
        }
        text
    }

    /// The results of acts as the recording words them.
    fn our_acts(&self, progress: &script::Progress) -> String {
        let words = progress.results.iter().map(|(_, outcome)| match outcome {
            script::Outcome::Done => "done".to_owned(),
            script::Outcome::Received { host, .. } => self.name(*host),
            script::Outcome::EndOfFile => "EOF".to_owned(),
            script::Outcome::Failed(error) => format!("error: {}", error_text(*error)),
        });
        words.collect::<Vec<_>>().join(", ")
    }

    fn command(&mut self, n: usize, host: usize, command: &str) -> Result<Option<Running>, Stop> {
        let started = if command.starts_with("iptables") {
            self.filter(host, command)
        } else {
            operate::start(&mut self.world, host, command)
        };
        match started {
            Ok(started) => Ok(Some(Running { step: n, host, what: Foreground::Command(started) })),
            Err(why) => Err(Stop::Unknown(format!("{}: {why}", self.names[host]))),
        }
    }

    /// Changes the packet filter of a host.
    fn filter(&mut self, host: usize, command: &str) -> Result<Started, String> {
        let name = self.names[host].clone();
        let typed = self.typed.entry(host).or_default();
        typed.push(command.to_owned());
        let hosts = self.case.topology.hosts();
        let interfaces = hosts.iter().find(|h| h.0 == name).map(|h| h.1.clone());
        let config = setup::host_after(self.case, &name, &interfaces.unwrap_or_default(), typed)?;
        self.world.change_filters(host, &config);
        Ok(operate::changed(command))
    }

    /// Compares what a command printed.
    fn printed(&mut self, n: usize, host: usize, started: &Started) -> Result<(), Stop> {
        let lines = self.case.steps[n].result["output"].as_array();
        let lines = lines.map(Vec::as_slice).unwrap_or_default();
        let recorded: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
        let differs = operate::compare(&mut self.world, host, started, &recorded);
        self.judge(differs, &format!("request {}: {started}", n + 1))
    }

    /// The pings of a case that has no other requests.
    fn pings(&mut self) -> Result<(), Stop> {
        let Some(lines) = self.case.json["extra"]["ping"].as_array() else { return Ok(()) };
        let recorded: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
        let host = self.host("client")?;
        let target = self.case.json["vip"].as_str().unwrap_or_default();
        let sent = recorded.iter().filter(|l| l.contains("icmp_seq=")).count().max(1);
        let command = format!("ping -c{sent} {target}");
        self.world.run_until(BEGIN);
        let started = operate::start(&mut self.world, host, &command).map_err(Stop::Unknown)?;
        self.world.run_until(BEGIN + Span::from_secs(sent as u64));
        let differs = operate::compare(&mut self.world, host, &started, &recorded);
        self.judge(differs, &command)
    }

    /// The router forgot who has the VIP, and asked again by a ping, many times: who won.
    fn flushes(&mut self) -> Result<(), Stop> {
        let Some(winners) = self.case.json["extra"]["sequence"].as_array() else { return Ok(()) };
        let host = self.host("router")?;
        let vip = self.case.json["vip"].as_str().unwrap_or_default();
        let to: IpAddr = vip.parse().map_err(|_| Stop::Unknown("no VIP".to_owned()))?;
        for (n, winner) in winners.iter().filter_map(Value::as_str).enumerate() {
            self.world.run_until(BEGIN + Span::from_millis(160 * n as u64));
            let ip = self.ip(to);
            self.world.at_host(host, |h, _| h.ip.neighbours.flush(ip));
            operate::start(&mut self.world, host, &format!("ping -c1 {vip}"))
                .map_err(Stop::Unknown)?;
            self.world.run_until(self.world.now() + Span::from_millis(100));
            let of = format!("{vip} ");
            let lines = tables::neighbour_lines(&mut self.world, host);
            let mac = self.case.topology.macs.get(&(winner.to_owned(), "eth0".to_owned()));
            let mac = mac.map(ToString::to_string).unwrap_or_default();
            let ours = lines.into_iter().find(|l| l.starts_with(&of)).unwrap_or_default();
            if !ours.contains(&mac) {
                let text = format!("flush {}: recorded {winner}, ours {ours}", n + 1);
                return Err(Stop::Differs(text));
            }
            self.compared += 1;
        }
        Ok(())
    }

    /// The director's connections after a step.
    fn connections_after(&mut self, n: usize) -> Result<(), Stop> {
        let Some(recorded) = &self.case.steps[n].connections else { return Ok(()) };
        let Ok(director) = self.host("director") else { return Ok(()) };
        let differs =
            tables::connections(&mut self.world, director, &tables::entries(recorded), self.late);
        self.judge(differs, &format!("connections after request {}", n + 1))
    }

    fn judge(&mut self, differs: Result<usize, String>, what: &str) -> Result<(), Stop> {
        match differs {
            Ok(n) => {
                self.compared += n;
                Ok(())
            }
            Err(text) => Err(Stop::Differs(format!("{what}: {text}"))),
        }
    }

    /// The tables at the end.
    fn tables(&mut self) -> Result<(), Stop> {
        let json = &self.case.json;
        let prefixes = [("director", "ipvs_"), ("director2", "director2_")];
        for (name, prefix) in prefixes {
            let Ok(host) = self.host(name) else { continue };
            if let Some(lines) = json[format!("{prefix}conns_after")].as_array() {
                let recorded = tables::listed_entries(lines);
                let differs = tables::connections(&mut self.world, host, &recorded, self.late);
                self.judge(differs, &format!("{name}: connections at the end"))?;
            }
            if let Some(lines) = json[format!("{prefix}table_after")].as_array() {
                let differs = tables::services(&mut self.world, host, lines);
                self.judge(differs, &format!("{name}: table at the end"))?;
            }
        }
        let later = self.world.now() + READ_LATER;
        self.run_until(later);
        if let Some(hosts) = json["neigh_after"].as_object() {
            for (name, lines) in hosts {
                let Ok(host) = self.host(name) else { continue };
                let lines = lines.as_array().map(Vec::as_slice).unwrap_or_default();
                let differs = tables::neighbours(&self.lately(host), lines);
                self.judge(differs, &format!("{name}: neighbours at the end"))?;
            }
        }
        Ok(())
    }
}

fn act(act: &Act) -> Option<script::Act> {
    Some(match act {
        Act::Connect => script::Act::Connect,
        Act::Send(bytes, Wish::Keep) => {
            script::Act::Send(*bytes, script::Wish { answer: RESPONSE, then: Then::Keep })
        }
        Act::Send(bytes, Wish::Reset) => {
            script::Act::Send(*bytes, script::Wish { answer: 0, then: Then::Reset })
        }
        Act::Receive => script::Act::Receive,
        Act::Sleep(ms) => script::Act::Sleep(Span::from_millis(*ms)),
        Act::Close => script::Act::Close,
        Act::Keepalive(..) => return None,
    })
}

fn answer_bytes(step: &Step) -> Option<u32> {
    step.result["bytes"].as_u64().and_then(|n| u32::try_from(n).ok())
}

const fn error_text(error: script::Error) -> &'static str {
    match error {
        script::Error::TimedOut => "timed out",
        script::Error::Refused => "[Errno 111] Connection refused",
        script::Error::Reset => "[Errno 104] Connection reset by peer",
        script::Error::HostUnreachable => "[Errno 113] No route to host",
        script::Error::NetUnreachable => "[Errno 101] Network is unreachable",
        script::Error::BrokenPipe => "[Errno 32] Broken pipe",
        script::Error::GaveUp => "[Errno 110] Connection timed out",
        script::Error::LocalEnd => "[Errno 99] Cannot assign requested address",
    }
}

fn recorded_result(result: &Value) -> String {
    if let Some(server) = result["server"].as_str() {
        // of a datagram the answer was noted, which begins with the name
        return server.split(':').next().unwrap_or(server).to_owned();
    }
    let error = result["error"].as_str().unwrap_or("nothing");
    match (&result["icmp"], result["icmp_from"].as_str()) {
        (Value::Array(icmp), Some(from)) if icmp.len() == 2 => {
            format!("{error} (icmp {}/{} from {from})", icmp[0], icmp[1])
        }
        _ => error.to_owned(),
    }
}

fn recorded_acts(acts: &[Value]) -> String {
    let words = acts.iter().filter_map(|act| {
        let name = act.get(1)?.as_str()?;
        let last = act.as_array()?.last()?.as_str().unwrap_or("done");
        match name {
            "keepalive" => None,
            "recv" => Some(last.to_owned()),
            _ if last.starts_with("error:") => Some(last.to_owned()),
            _ => Some("done".to_owned()),
        }
    });
    words.collect::<Vec<_>>().join(", ")
}
