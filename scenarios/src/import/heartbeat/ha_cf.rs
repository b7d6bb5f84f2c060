//! `ha.cf`.

use super::directives::{self, boolean, leading_number, time};
use super::lines::{blank, without_comments, words};
use crate::diagnostic::{At, FileId, Place, Problem, Sources};
use crate::format::words::nearest;
use crate::import::findings::Findings;
use sim_core::config::Failback;
use sim_core::engine::Span;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Behind so many unknown directives no word is guessed any more: it takes its time.
const MOST_HINTS: usize = 100;
/// `MAXMEDIA` and `MAXNODE` of heartbeat.
const MOST_MEDIA: usize = 64;
const MOST_NODES: usize = 100;

/// What an `ha.cf` says, all defaults filled in.
#[derive(Clone, PartialEq, Debug)]
pub struct HaCf {
    /// `node`: the members, in lower case as heartbeat has them, in the order of the file.
    pub nodes: Vec<At<String>>,
    /// `bcast`, `mcast`, `ucast`, `serial`, in the order of the file.
    pub media: Vec<At<Medium>>,
    /// `udpport`, by default 694.
    pub port: u16,
    /// `baud` of serial media, by default 19200.
    pub baud: u32,
    /// `keepalive`, by default 1 s.
    pub keepalive: Span,
    /// `deadtime`, by default 30 s.
    pub deadtime: Span,
    /// `warntime`, by default half of `deadtime`.
    pub warntime: Span,
    /// `initdead`: by default `deadtime` above 10 s, 12 s below a `deadtime` of 6 s, else twice `deadtime`.
    pub initdead: Span,
    /// `deadping`, by default `deadtime`.
    pub deadping: Span,
    /// `auto_failback`, by default `legacy`.
    pub failback: Failback,
    /// `ping` and `ping_group`: name and addresses of each.
    pub pings: Vec<At<Ping>>,
    /// `watchdog`: the device.
    pub watchdog: Option<String>,
    /// `stonith` and `stonith_host`, in the order of the file: the last one that is for a node counts.
    pub stonith: Vec<At<Stonith>>,
    /// `respawn` and `failfast`.
    pub respawn: Vec<At<Respawn>>,
    /// `crm` or `pacemaker` is on: `haresources` is not used.
    pub crm: bool,
    /// `autojoin`, by default none.
    pub autojoin: Autojoin,
    /// Directives that are accepted and change nothing here.
    pub others: Vec<At<String>>,
}

/// A way for heartbeats.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Medium {
    /// `bcast IF`.
    Bcast(String),
    /// `mcast IF GROUP PORT TTL LOOP`.
    Mcast {
        /// The interface.
        interface: String,
        /// The group.
        group: IpAddr,
        /// UDP port.
        port: u16,
        /// Time to live.
        ttl: u8,
        /// Whether the sender hears itself.
        looped: bool,
    },
    /// `ucast IF PEER`.
    Ucast {
        /// The interface.
        interface: String,
        /// Address or name of the peer. A node's own address is left out by that node.
        peer: String,
    },
    /// `serial DEVICE`.
    Serial(String),
}

/// A pseudo member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ping {
    /// The address of `ping`, the name of `ping_group`.
    pub name: String,
    /// Alive as long as one of these answers: addresses or names.
    pub hosts: Vec<String>,
}

/// A device that resets nodes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stonith {
    /// The node it is attached to, in lower case; `None` for every node (`*`, and `stonith`).
    pub at: Option<String>,
    /// Its type.
    pub kind: String,
    /// Its parameters; for `stonith` the file they stand in.
    pub parameters: Vec<String>,
}

/// A program that is started with heartbeat, and again when it ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Respawn {
    /// As whom it runs.
    pub user: String,
    /// The command with its arguments.
    pub command: String,
    /// `failfast`: the node is rebooted when it ends.
    pub failfast: bool,
}

/// `autojoin`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Autojoin {
    /// Only nodes of the file.
    #[default]
    None,
    /// Others may join.
    Other,
    /// Others and this node may join.
    Any,
}

/// Reads an `ha.cf`.
pub fn read(sources: &Sources, file: FileId) -> (HaCf, Findings) {
    let text = sources.text(file);
    let mut reader = Reader {
        file,
        ha: HaCf {
            nodes: Vec::new(),
            media: Vec::new(),
            port: 694,
            baud: 19_200,
            keepalive: Span::from_secs(1),
            deadtime: Span::from_secs(30),
            warntime: Span::ZERO,
            initdead: Span::ZERO,
            deadping: Span::ZERO,
            failback: Failback::Legacy,
            pings: Vec::new(),
            watchdog: None,
            stonith: Vec::new(),
            respawn: Vec::new(),
            crm: false,
            autojoin: Autojoin::None,
            others: Vec::new(),
        },
        said: Said::default(),
        findings: Findings::default(),
    };
    for (base, line) in without_comments(text) {
        reader.line(base, line);
    }
    reader.complete();
    (reader.ha, reader.findings)
}

/// Where some things were said.
#[derive(Default)]
struct Said {
    keepalive: Option<Place>,
    deadtime: Option<Place>,
    warntime: Option<(Span, Place)>,
    initdead: Option<(Span, Place)>,
    deadping: Option<(Span, Place)>,
    failback: Option<Place>,
    baud: bool,
    clients: BTreeSet<String>,
    crm: Option<Place>,
    autojoin: Option<Place>,
}

struct Reader {
    file: FileId,
    ha: HaCf,
    said: Said,
    findings: Findings,
}

impl Reader {
    fn line(&mut self, base: usize, line: &str) {
        let all = words(self.file, base, line, blank);
        let Some((directive, rest)) = all.split_first() else { return };
        let name = directive.value;
        if name == "udp" {
            let message = "directive 'udp' replaced by 'bcast'";
            self.findings.warn(&directive.place, message, "write `bcast`");
        }
        match name {
            "mcast" => self.mcast(directive, rest),
            "ucast" => self.ucast(directive, rest),
            "ping_group" => self.ping_group(directive, rest),
            "stonith" | "stonith_host" => self.stonith(directive, rest),
            "respawn" | "failfast" => self.respawn(directive, rest),
            "apiauth" => self.apiauth(directive, rest),
            _ if directives::all().any(|d| d == name) => {
                let from = directive.place.span.end - base;
                let comma = |b| blank(b) || b == b',';
                let values = words(self.file, base + from, &line[from..], comma);
                if values.is_empty() {
                    let message = format!("{name} has no value, the line says nothing");
                    self.findings.warn(&directive.place, message, "a value is missing");
                }
                if directives::WITHOUT_EFFECT.contains(&name)
                    || directives::OTHER_MEDIA.contains(&name)
                {
                    self.ha.others.push(At::new(name.to_owned(), directive.place.clone()));
                }
                for value in values {
                    self.option(directive, &value);
                }
            }
            _ => self.unknown(directive),
        }
    }

    fn unknown(&mut self, directive: &At<&str>) {
        let message = format!("Illegal directive [{}]", directive.value);
        let label = "heartbeat does not start with it";
        let problem = Problem::new(&directive.place, message, label);
        let hint = self.findings.errors.len() < MOST_HINTS;
        let near = hint.then(|| nearest(directive.value, directives::all())).flatten();
        self.findings.errors.push(match near {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        });
    }

    /// A value of a directive that may have several: each is set, the last one stays.
    fn option(&mut self, directive: &At<&str>, value: &At<&str>) {
        let text = value.value.to_owned();
        match directive.value {
            "node" => self.node(value),
            "keepalive" | "deadtime" | "warntime" | "initdead" | "deadping" => match time(value) {
                Ok(span) => self.time(directive, value, span),
                Err(problem) => self.findings.errors.push(problem),
            },
            "udpport" => self.port(directive, value),
            "baud" => self.baud(directive, value),
            "bcast" | "udp" => self.medium(Medium::Bcast(text), &value.place),
            "serial" if text.starts_with('/') => self.medium(Medium::Serial(text), &value.place),
            "serial" => {
                let message = format!("Illegal serial [Serial] in config file [{text}]");
                self.findings.error(&value.place, message, "expected the path of a device");
            }
            "ping" => {
                let ping = Ping { name: text.to_ascii_lowercase(), hosts: vec![text] };
                self.ha.pings.push(At::new(ping, value.place.clone()));
            }
            "watchdog" if self.ha.watchdog.is_some() => {
                let message = "Watchdog device multiply specified";
                self.findings.error(&value.place, message, "only one is possible");
            }
            "watchdog" => self.ha.watchdog = Some(text),
            "auto_failback" | "nice_failback" => self.failback(directive, value),
            "crm" | "pacemaker" => self.crm(value),
            "autojoin" => self.autojoin(value),
            "hopfudge" if !(0..256).contains(&leading_number(value.value)) => {
                let message = format!("invalid hopfudge '{text}'");
                self.findings.error(&value.place, message, "expected 0 to 255");
            }
            _ => {}
        }
    }

    fn node(&mut self, value: &At<&str>) {
        let name = value.value.to_ascii_lowercase();
        if self.ha.nodes.len() >= MOST_NODES {
            let message = format!("more than {MOST_NODES} nodes");
            return self.findings.error(&value.place, message, "one node too many");
        }
        if self.ha.nodes.iter().any(|n| n.value == name) {
            let message = format!("node {name} is named twice");
            self.findings.warn(&value.place, message, "it stands further above");
            return;
        }
        self.ha.nodes.push(At::new(name, value.place.clone()));
    }

    fn time(&mut self, directive: &At<&str>, value: &At<&str>, span: Span) {
        let place = value.place.clone();
        match directive.value {
            "keepalive" | "warntime" if span == Span::ZERO => {
                let message = format!("{} [{}] is invalid", directive.value, value.value);
                self.findings.error(&place, message, "expected more than 0");
            }
            "keepalive" => (self.ha.keepalive, self.said.keepalive) = (span, Some(place)),
            "deadtime" => (self.ha.deadtime, self.said.deadtime) = (span, Some(place)),
            "warntime" => self.said.warntime = Some((span, place)),
            "initdead" => self.said.initdead = Some((span, place)),
            _ => self.said.deadping = Some((span, place)),
        }
    }

    fn port(&mut self, directive: &At<&str>, value: &At<&str>) {
        let port = leading_number(value.value);
        if let Some(port) = u16::try_from(port).ok().filter(|p| *p > 0) {
            self.ha.port = port;
        } else {
            let message = format!("invalid port [{}] specified", value.value);
            self.findings.error(&value.place, message, "expected 1 to 65535");
        }
        if !self.ha.media.is_empty() {
            let message = "udpport setting must precede media statements";
            self.findings.warn(&directive.place, message, "a medium stands further above");
        }
    }

    fn baud(&mut self, directive: &At<&str>, value: &At<&str>) {
        const KNOWN: [u32; 8] = [9600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 4800];
        if self.said.baud {
            let message = "Baudrate multiply specified";
            return self.findings.error(&value.place, message, "only one is possible");
        }
        self.said.baud = true;
        if let Some(baud) = value.value.parse().ok().filter(|b| KNOWN.contains(b)) {
            self.ha.baud = baud;
        } else {
            let message = format!("invalid baudrate [{}] specified", value.value);
            self.findings.error(&value.place, message, "expected 9600, 19200, 38400, ...");
        }
        if !self.ha.media.is_empty() {
            let message = "baudrate setting must precede media statements";
            self.findings.warn(&directive.place, message, "a medium stands further above");
        }
    }

    fn failback(&mut self, directive: &At<&str>, value: &At<&str>) {
        let old = directive.value == "nice_failback";
        if old {
            let message =
                "nice_failback flag is obsolete. Use auto_failback {on, off, legacy} instead";
            self.findings.warn(&directive.place, message, "write `auto_failback off`");
        }
        let failback = match (boolean(value.value), old) {
            (Some(true), false) => Failback::On,
            (Some(false), false) | (Some(true), true) => Failback::Off,
            (Some(false), true) => Failback::Legacy,
            (None, _) if !old && value.value.eq_ignore_ascii_case("legacy") => Failback::Legacy,
            (None, _) => {
                let message = format!("invalid {} '{}'", directive.value, value.value);
                return self.findings.error(&value.place, message, "expected on, off or legacy");
            }
        };
        self.ha.failback = failback;
        self.said.failback = Some(value.place.clone());
    }

    fn crm(&mut self, value: &At<&str>) {
        let modes = ["minimal", "manual", "respawn", "valgrind"];
        let mode = modes.iter().any(|m| m.eq_ignore_ascii_case(value.value));
        match boolean(value.value) {
            Some(on) => self.ha.crm |= on,
            None if mode => self.ha.crm = true,
            None => {
                let message = format!("invalid value '{}' for crm", value.value);
                self.findings.error(&value.place, message, "expected on, off, respawn or manual");
            }
        }
        self.said.crm = Some(value.place.clone());
    }

    fn autojoin(&mut self, value: &At<&str>) {
        self.ha.autojoin = match value.value.to_ascii_lowercase().as_str() {
            "none" => Autojoin::None,
            "other" => Autojoin::Other,
            "any" => Autojoin::Any,
            _ => {
                let message = format!("Invalid autojoin directive [{}]", value.value);
                return self.findings.error(&value.place, message, "expected none, other or any");
            }
        };
        self.said.autojoin = Some(value.place.clone());
    }

    fn medium(&mut self, medium: Medium, place: &Place) {
        if self.ha.media.len() >= MOST_MEDIA {
            let message = format!("Too many media specified (> {MOST_MEDIA})");
            return self.findings.error(place, message, "one medium too many");
        }
        self.ha.media.push(At::new(medium, place.clone()));
    }

    fn mcast(&mut self, directive: &At<&str>, rest: &[At<&str>]) {
        let Some(interface) = rest.first() else { return self.no_device(directive) };
        let dev = interface.value;
        let at = |n: usize| rest.get(n).map_or(&interface.place, |w| &w.place);
        let mut wrong = |n: usize, message: String, label: &str| {
            self.findings.error(at(n), message, label);
        };
        let word = |n: usize| rest.get(n).map_or("", |w| w.value);
        let group = word(1).parse().ok().filter(IpAddr::is_multicast);
        let port = word(2).parse().ok().filter(|p: &u16| *p > 0);
        let ttl = word(3).parse().ok().filter(|t: &u8| *t <= 4);
        let looped = match word(4) {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        };
        let missing = ["device", "mcast address", "port", "ttl", "loop"];
        if rest.len() < missing.len() {
            let n = rest.len();
            let label = "expected IF GROUP PORT TTL LOOP, as in `eth0 225.0.0.1 694 1 0`";
            return wrong(n - 1, format!("mcast [{dev}] missing {}", missing[n]), label);
        }
        let bad = |n: usize| format!("mcast [{dev}] bad {} [{}]", missing[n], word(n));
        match (group, port, ttl, looped) {
            (None, ..) => wrong(1, bad(1), "expected 224.0.0.0 to 239.255.255.255"),
            (_, None, ..) => wrong(2, bad(2), "expected 1 to 65535"),
            (_, _, None, _) => wrong(3, bad(3), "expected 0 to 4"),
            (_, _, _, None) => wrong(4, bad(4), "expected 0 or 1"),
            (Some(group), Some(port), Some(ttl), Some(looped)) => {
                let interface = dev.to_owned();
                let medium = Medium::Mcast { interface, group, port, ttl, looped };
                self.medium(medium, &directive.place);
            }
        }
    }

    fn ucast(&mut self, directive: &At<&str>, rest: &[At<&str>]) {
        let Some(interface) = rest.first() else { return self.no_device(directive) };
        let Some(peer) = rest.get(1) else {
            let message =
                format!("ucast: [{}] missing target IP address/hostname", interface.value);
            return self.findings.error(&interface.place, message, "expected IF ADDRESS");
        };
        let (interface, peer) = (interface.value.to_owned(), peer.value.to_owned());
        self.medium(Medium::Ucast { interface, peer }, &directive.place);
    }

    fn no_device(&mut self, directive: &At<&str>) {
        let message = format!("{} has no device, the line says nothing", directive.value);
        self.findings.warn(&directive.place, message, "the interface is missing");
    }

    fn ping_group(&mut self, directive: &At<&str>, rest: &[At<&str>]) {
        let Some((name, hosts)) = rest.split_first().filter(|(_, hosts)| !hosts.is_empty()) else {
            let message = "ping_group needs a name and at least one address";
            return self.findings.error(&directive.place, message, "expected NAME ADDRESS...");
        };
        let hosts = hosts.iter().map(|h| h.value.to_owned()).collect();
        let ping = Ping { name: name.value.to_ascii_lowercase(), hosts };
        self.ha.pings.push(At::new(ping, name.place.clone()));
    }

    fn stonith(&mut self, directive: &At<&str>, rest: &[At<&str>]) {
        let with_host = directive.value == "stonith_host";
        let (host, rest) = match rest.split_first() {
            Some((host, rest)) if with_host => (Some(host.value.to_ascii_lowercase()), rest),
            None if with_host => {
                let message = "No Stonith hostname argument given";
                let label = "expected HOST|* TYPE PARAMETERS";
                return self.findings.error(&directive.place, message, label);
            }
            _ => (None, rest),
        };
        let Some((kind, parameters)) = rest.split_first() else {
            let message = "No Stonith type given";
            return self.findings.error(&directive.place, message, "the type is missing");
        };
        let stonith = Stonith {
            at: host.filter(|h| h != "*"),
            kind: kind.value.to_owned(),
            parameters: parameters.iter().map(|p| p.value.to_owned()).collect(),
        };
        self.ha.stonith.push(At::new(stonith, directive.place.clone()));
    }

    fn respawn(&mut self, directive: &At<&str>, rest: &[At<&str>]) {
        let Some((user, command)) = rest.split_first() else {
            let message = "Invalid uid [] specified for client child";
            return self.findings.error(&directive.place, message, "expected USER COMMAND");
        };
        let words: Vec<&str> = command.iter().map(|w| w.value).collect();
        let command = words.join(" ");
        if !command.starts_with('/') {
            let message = format!("Client child command [{command}] is not full pathname");
            return self.findings.error(&user.place, message, "expected USER /PATH/COMMAND");
        }
        let failfast = directive.value == "failfast";
        let respawn = Respawn { user: user.value.to_owned(), command, failfast };
        self.ha.respawn.push(At::new(respawn, directive.place.clone()));
    }

    fn apiauth(&mut self, directive: &At<&str>, rest: &[At<&str>]) {
        let mut lists = BTreeSet::new();
        let good = |w: &At<&str>| {
            let list = w.value.get(..4);
            matches!(list, Some("uid=" | "gid=")) && w.value.len() > 4
        };
        let once = rest.iter().skip(1).all(|w| good(w) && lists.insert(w.value.get(..4)));
        let Some(client) = rest.first().filter(|_| rest.len() > 1 && once) else {
            let words: Vec<&str> = rest.iter().map(|w| w.value).collect();
            let message = format!("Invalid apiauth directive [{}]", words.join(" "));
            let label = "expected CLIENT [uid=LIST] [gid=LIST]";
            return self.findings.error(&directive.place, message, label);
        };
        if !self.said.clients.insert(client.value.to_owned()) {
            let message = format!("Duplicate apiauth directive for API client {}", client.value);
            self.findings.error(&client.place, message, "it stands further above");
        }
        self.ha.others.push(At::new("apiauth".to_owned(), directive.place.clone()));
    }
}

/// What is said about the file as a whole (`init_config` of heartbeat's `config.c`).
impl Reader {
    fn complete(&mut self) {
        let nowhere = Place::new(self.file, 0..0);
        let said = std::mem::take(&mut self.said);
        self.times(&said, &nowhere);
        let ha = &self.ha;
        let findings = &mut self.findings;
        let other_medium =
            |o: &At<String>| ["mcast6", "openais", "rds", "tipc"].contains(&o.value.as_str());
        if ha.media.is_empty() && !ha.others.iter().any(other_medium) {
            let label = "`bcast IF`, `mcast`, `ucast` or `serial` is missing";
            findings.error(&nowhere, "No heartbeat media defined", label);
        }
        if ha.nodes.is_empty() && ha.autojoin != Autojoin::Any {
            findings.error(&nowhere, "no nodes defined", "`node NAME` of each member is missing");
        }
        if !ha.crm && ha.autojoin != Autojoin::None {
            let place = said.autojoin.as_ref().unwrap_or(&nowhere);
            let message = "R1 style resource management conflicts with autojoin set";
            findings.error(place, message, "needs `crm on`");
        }
        if !ha.crm && ha.failback == Failback::Legacy {
            let place = said.failback.as_ref().unwrap_or(&nowhere);
            let message = "Deprecated 'legacy' auto_failback option selected";
            findings.warn(place, message, "`auto_failback on` or `off` is meant");
        }
        if let [only] = &ha.nodes[..]
            && ha.autojoin == Autojoin::None
        {
            let message = format!("{} is the only node", only.value);
            findings.warn(&only.place, message, "nobody takes over from it");
        }
        if !ha.crm
            && let Some(third) = ha.nodes.get(2)
        {
            let message = format!("{} nodes share resources by haresources", ha.nodes.len());
            findings.warn(&third.place, message, "its protocol is one of two nodes");
        }
        if ha.crm {
            let place = said.crm.as_ref().unwrap_or(&nowhere);
            let message = "the cluster resource manager is not simulated; haresources is not used";
            findings.remark(place, message);
        }
        if let [only] = &ha.media[..] {
            let message =
                "heartbeats have one way only: when it is cut, both nodes hold the resources";
            findings.remark(&only.place, message);
        }
        if let Some(last) = ha.media.last().filter(|_| ha.stonith.is_empty() && !ha.crm) {
            let message = "no stonith device: a node that was declared dead is not reset";
            findings.remark(&last.place, message);
        }
    }

    fn times(&mut self, said: &Said, nowhere: &Place) {
        let ms = |span: Span| span.as_nanos() / 1_000_000;
        let ha = &mut self.ha;
        let findings = &mut self.findings;
        let dead = said.deadtime.as_ref().or(said.keepalive.as_ref()).unwrap_or(nowhere);
        let (deadtime, keepalive) = (ha.deadtime, ha.keepalive);
        if deadtime <= keepalive * 2 {
            let (deadtime, keepalive) = (ms(deadtime), ms(keepalive));
            let message =
                format!("Dead time [{deadtime}] is too small compared to keeplive [{keepalive}]");
            findings.error(dead, message, "must be more than twice keepalive");
        }
        let half = Span::from_nanos(deadtime.as_nanos() / 2);
        ha.warntime = said.warntime.as_ref().map_or(half, |w| w.0);
        if let Some((warntime, place)) = said.warntime.as_ref().filter(|w| w.0 >= deadtime) {
            let message =
                format!("warntime [{}] is not below deadtime [{}]", ms(*warntime), ms(deadtime));
            findings.warn(place, message, "the node is dead before the warning");
        }
        let usual = sim_core::config::HeartbeatConfig::initdead_of(deadtime);
        ha.initdead = said.initdead.as_ref().map_or(usual, |i| i.0);
        if let Some((initdead, place)) = &said.initdead {
            let n = ms(*initdead);
            if *initdead < deadtime {
                let message =
                    format!("Initial dead time [{n}] is smaller than deadtime [{}]", ms(deadtime));
                findings.error(place, message, "must be at least deadtime");
            } else if *initdead < Span::from_secs(10) {
                let message = format!("Initial dead time [{n} ms] may be too small!");
                findings.warn(place, message, "10 s are advised: the network starts slowly");
            }
        }
        ha.deadping = said.deadping.as_ref().map_or(deadtime, |d| d.0);
        if let Some((deadping, place)) = said.deadping.as_ref().filter(|d| d.0 <= keepalive * 2) {
            let message = format!(
                "Ping dead time [{}] is too small compared to keeplive [{}]",
                ms(*deadping),
                ms(keepalive)
            );
            findings.error(place, message, "must be more than twice keepalive");
        }
    }
}

impl HaCf {
    /// The device that counts at a node: the last one that is for it.
    pub fn stonith_at(&self, node: &str) -> Option<&Stonith> {
        let for_it =
            |s: &&At<Stonith>| s.value.at.as_deref().is_none_or(|at| at.eq_ignore_ascii_case(node));
        self.stonith.iter().rfind(for_it).map(|s| &s.value)
    }

    /// Whether a node is a member.
    pub fn has_node(&self, name: &str) -> bool {
        self.nodes.iter().any(|n| n.value.eq_ignore_ascii_case(name))
    }
}

/// Whether a text looks like an `ha.cf`: most of its lines begin with a directive, and one of them is of
/// nodes, times or media.
pub fn looks_like(text: &str) -> bool {
    let telling = [
        "node",
        "keepalive",
        "deadtime",
        "initdead",
        "warntime",
        "bcast",
        "ucast",
        "mcast",
        "auto_failback",
        "udpport",
        "serial",
        "stonith_host",
        "logfacility",
    ];
    let (mut known, mut unknown, mut sure) = (0_usize, 0_usize, false);
    for (_, line) in without_comments(text) {
        let mut words = line.split_ascii_whitespace();
        let Some(word) = words.next() else { continue };
        let valued = words.next().is_some_and(|w| w != "=" && w != "{");
        if valued && directives::all().any(|d| d == word) {
            known += 1;
            sure |= telling.contains(&word);
        } else {
            unknown += 1;
        }
    }
    sure && known > unknown
}
