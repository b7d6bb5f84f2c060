//! `virtual_server` and its real servers.

use super::checker::{self, Around, Checker};
use super::service_group::Group;
use super::tree::Node;
use super::values::{address, mask, port};
use super::{Configuration, Findings, Target, TrackFile};
use crate::diagnostic::Place;
use schedulers::Algorithm;
use sim_core::engine::Span;
use sim_core::ipvs::rules::{Encapsulation, Forwarding, OuterChecksum, TunnelOptions};
use sim_core::wire::proto;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A virtual service with its real servers, all defaults filled in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VirtualServer {
    /// What it listens to: several for a group.
    pub targets: Vec<Target>,
    /// IP protocol, 0 for a firewall mark.
    pub protocol: u8,
    /// `lvs_sched`.
    pub scheduler: Algorithm,
    /// `flag-1` and its companions, as the kernel numbers them.
    pub sched_flags: u8,
    /// `persistence_timeout`.
    pub persistence: Option<Span>,
    /// `persistence_granularity`: prefix length.
    pub granularity: Option<u8>,
    /// `persistence_engine`.
    pub engine: Option<String>,
    /// `ops`.
    pub one_packet: bool,
    /// `quorum`.
    pub quorum: u32,
    /// `hysteresis`.
    pub hysteresis: u32,
    /// `ha_suspend`: checks rest while the host does not have the address.
    pub ha_suspend: bool,
    /// `alpha`: real servers are down until their first success.
    pub alpha: bool,
    /// `omega`: real servers go down one by one when the program ends.
    pub omega: bool,
    /// `quorum_up`: the command.
    pub quorum_up: Option<String>,
    /// `quorum_down`: the command.
    pub quorum_down: Option<String>,
    /// `delay_loop`.
    pub delay_loop: Span,
    /// `sorry_server`, of weight 1, with `sorry_server_lvs_method`; `sorry_server_inhibit` is its
    /// `inhibit`.
    pub sorry: Option<RealServer>,
    /// In the order of the file.
    pub servers: Vec<RealServer>,
    /// Where it stands.
    pub place: Place,
}

/// A real server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RealServer {
    /// RIP.
    pub ip: IpAddr,
    /// Port; 0 for the port of the service.
    pub port: u16,
    /// `weight`.
    pub weight: u32,
    /// `lvs_method`.
    pub forwarding: Forwarding,
    /// `type` and its companions behind TUN.
    pub tunnel: TunnelOptions,
    /// `uthreshold`, `lthreshold`.
    pub thresholds: (u32, u32),
    /// `inhibit_on_failure`: weight 0 instead of removal.
    pub inhibit: bool,
    /// Its health checks.
    pub checkers: Vec<Checker>,
    /// Where it stands.
    pub place: Place,
}

/// What services name: groups and files.
#[derive(Debug)]
pub(super) struct Named<'a> {
    groups: BTreeMap<&'a str, &'a Group>,
    files: BTreeMap<&'a str, &'a TrackFile>,
}

impl<'a> Named<'a> {
    /// Of several of a name the first one counts.
    pub(super) fn of(all: &'a Configuration) -> Self {
        Self {
            groups: all.groups.iter().rev().map(|g| (g.name.as_str(), g)).collect(),
            files: all.files.iter().rev().map(|f| (f.name.as_str(), f)).collect(),
        }
    }
}

/// Reads a block; `None` if keepalived leaves the service out.
pub(super) fn read(
    node: &Node,
    named: &Named<'_>,
    findings: &mut Findings,
) -> Option<VirtualServer> {
    let targets = targets(node, named, findings)?;
    let mut shown = node.words[1..].iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ");
    shown.insert_str(0, "Virtual server ");
    let protocol = protocol(node, &targets, &shown, findings);
    let scheduler = node.last("lvs_sched").or_else(|| node.last("lb_algo"));
    if scheduler.is_none() {
        let message = format!("{shown}: no scheduler set, setting default 'wlc'");
        findings.error(&node.place(), message, "`lvs_sched NAME` is missing");
    }
    let method = node.last("lvs_method").or_else(|| node.last("lb_kind"));
    if method.is_none() {
        let message = format!("{shown}: no forwarding method set, setting default NAT");
        findings.error(&node.place(), message, "`lvs_method NAT`, `DR` or `TUN` is missing");
    }
    let forwarding = method.map_or((Forwarding::Nat, TunnelOptions::default()), forwarding);
    let command = |name: &str| {
        let line = node.last(name)?;
        let words: Vec<&str> = line.words.iter().skip(1).map(|w| w.text.as_str()).collect();
        Some(words.join(" "))
    };
    let mut server = VirtualServer {
        protocol,
        scheduler: scheduler.and_then(|s| s.word(1)?.parse().ok()).unwrap_or(Algorithm::Wlc),
        sched_flags: sched_flags(node),
        persistence: persistence(node),
        granularity: node.last("persistence_granularity").and_then(|n| mask(n.word(1)?)),
        engine: node.last("persistence_engine").and_then(|n| n.word(1)).map(str::to_owned),
        one_packet: node.has("ops"),
        quorum: node.number("quorum").unwrap_or(1),
        hysteresis: node.number("hysteresis").unwrap_or(0),
        ha_suspend: node.has("ha_suspend") && protocol != 0,
        alpha: node.flag("alpha").unwrap_or(false),
        omega: node.has("omega"),
        quorum_up: command("quorum_up"),
        quorum_down: command("quorum_down"),
        delay_loop: node.time("delay_loop").unwrap_or(Span::from_secs(60)),
        sorry: sorry_server(node, forwarding, findings),
        servers: Vec::new(),
        targets,
        place: node.place(),
    };
    let mut seen = BTreeSet::new();
    let settings = node.settings();
    for real in node.all("real_server") {
        let own = real.last("lvs_method").map_or(forwarding, self::forwarding);
        let Some(real) = real_server(real, &settings, &named.files, own, findings) else {
            continue;
        };
        if !seen.insert((real.ip, real.port)) {
            let message =
                format!("{shown}: duplicate real server {} {} - removing", real.ip, real.port);
            findings.error(&real.place, message, "the first one counts");
            continue;
        }
        server.servers.push(real);
    }
    if server.servers.is_empty() {
        let message = format!("{shown} has no real servers - ignoring");
        findings.error(&server.place, message, "`real_server IP PORT { ... }` is missing");
        return None;
    }
    complete(&mut server, &shown, findings);
    Some(server)
}

fn targets(node: &Node, named: &Named<'_>, findings: &mut Findings) -> Option<Vec<Target>> {
    let word = node.word(2);
    Some(match node.word(1)? {
        "fwmark" => {
            let v6 = node.last("ip_family").and_then(|n| n.word(1)).map(|f| f == "inet6");
            vec![Target::Fwmark { mark: word?.parse().ok()?, v6 }]
        }
        "group" => {
            let Some(group) = word.and_then(|w| named.groups.get(w)) else {
                let message =
                    format!("Virtual server group {} has no configuration - ignoring", word?);
                findings.error(
                    &node.place(),
                    message,
                    "no such `virtual_server_group` with entries",
                );
                return None;
            };
            group.targets.clone()
        }
        ip => vec![Target::Address { ip: address(ip)?, port: word.and_then(port).unwrap_or(0) }],
    })
}

fn protocol(node: &Node, targets: &[Target], shown: &str, findings: &mut Findings) -> u8 {
    let stated = node.last("protocol");
    let marks = targets.iter().all(|t| matches!(t, Target::Fwmark { .. }));
    if marks {
        if let Some(stated) = stated.filter(|_| node.word(1) == Some("fwmark")) {
            let message = format!(
                "Warning: {shown}: protocol specified for fwmark - protocol will be ignored"
            );
            findings.error(&stated.place(), message, "a mark has no protocol");
        }
        return 0;
    }
    let Some(stated) = stated else {
        let message = format!("{shown}: no protocol set - defaulting to UDP");
        findings.error(&node.place(), message, "`protocol TCP` is missing");
        return proto::UDP;
    };
    match stated.word(1).unwrap_or_default().to_ascii_uppercase().as_str() {
        "TCP" => proto::TCP,
        "SCTP" => proto::SCTP,
        _ => proto::UDP,
    }
}

fn persistence(node: &Node) -> Option<Span> {
    let stated = node.last("persistence_timeout");
    let seconds = match stated {
        Some(stated) => stated.word(1).and_then(|w| w.parse().ok()).unwrap_or(360),
        None if node.has("persistence_granularity") => 360,
        None => return None,
    };
    Some(Span::from_secs(seconds))
}

/// Flags of sh and mh count only behind the scheduler's name.
fn sched_flags(node: &Node) -> u8 {
    let mut scheduler = "";
    let mut flags = 0;
    for keyword in &node.inner {
        flags |= match (keyword.name(), scheduler) {
            ("lvs_sched" | "lb_algo", _) => {
                scheduler = keyword.word(1).unwrap_or_default();
                0
            }
            ("flag-1", _) | ("sh-fallback", "sh") | ("mh-fallback", "mh") => 1,
            ("flag-2", _) | ("sh-port", "sh") | ("mh-port", "mh") => 2,
            ("flag-3", _) => 4,
            _ => 0,
        };
    }
    flags
}

/// `NAT`, `DR`, `TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]`.
fn forwarding(node: &Node) -> (Forwarding, TunnelOptions) {
    let method = match node.word(1) {
        Some("DR") => Forwarding::Dr,
        Some("TUN") => Forwarding::Tun,
        _ => Forwarding::Nat,
    };
    let mut tunnel = TunnelOptions::default();
    let words: Vec<&str> = node.words.iter().map(|w| w.text.as_str()).collect();
    for (n, word) in words.iter().enumerate().skip(2) {
        match *word {
            "gue" => tunnel.kind = Encapsulation::Gue,
            "gre" => tunnel.kind = Encapsulation::Gre,
            "csum" => tunnel.checksum = OuterChecksum::Full,
            "remcsum" => tunnel.checksum = OuterChecksum::Remote,
            "port" => tunnel.port = words.get(n + 1).and_then(|p| port(p)).unwrap_or(0),
            _ => {}
        }
    }
    (method, tunnel)
}

fn real_server(
    node: &Node,
    service: &Node,
    files: &BTreeMap<&str, &TrackFile>,
    (forwarding, tunnel): (Forwarding, TunnelOptions),
    findings: &mut Findings,
) -> Option<RealServer> {
    let settings = node.settings();
    let around = Around { real: &settings, service, files };
    let checkers = node.inner.iter();
    let checkers = checkers.filter_map(|c| checker::read(c, around, findings)).collect();
    let inhibit = node.flag("inhibit_on_failure").or_else(|| service.flag("inhibit_on_failure"));
    Some(RealServer {
        ip: address(node.word(1)?)?,
        port: node.word(2).and_then(port).unwrap_or(0),
        weight: node.number("weight").or_else(|| service.number("weight")).unwrap_or(1),
        forwarding,
        tunnel,
        thresholds: (
            node.number("uthreshold").unwrap_or(0),
            node.number("lthreshold").unwrap_or(0),
        ),
        inhibit: inhibit.unwrap_or(false),
        checkers,
        place: node.place(),
    })
}

/// The `sorry_server` with what belongs to it. `sorry_server_inhibit` counts behind it only.
fn sorry_server(
    node: &Node,
    forwarding: (Forwarding, TunnelOptions),
    findings: &mut Findings,
) -> Option<RealServer> {
    let at = |name: &str| node.inner.iter().rposition(|n| n.name() == name);
    let line = node.last("sorry_server");
    let mut inhibit = false;
    if let Some(wanted) = at("sorry_server_inhibit") {
        inhibit = node.inner.iter().position(|n| n.name() == "sorry_server") < Some(wanted);
        inhibit &= line.is_some();
        if !inhibit {
            let message = "Ignoring sorry_server inhibit used before or without sorry_server";
            findings.error(&node.inner[wanted].place(), message, "must follow `sorry_server`");
        }
    }
    let line = line?;
    let own = node.last("sorry_server_lvs_method").map_or(forwarding, self::forwarding);
    let server = real_server(line, &node.settings(), &BTreeMap::new(), own, findings)?;
    Some(RealServer { weight: 1, inhibit, ..server })
}

/// What keepalived says about a service as a whole; it mends what does not go together.
fn complete(server: &mut VirtualServer, shown: &str, findings: &mut Findings) {
    let place = server.place.clone();
    if server.one_packet && matches!(server.protocol, proto::TCP | proto::SCTP) {
        let message = format!("{shown}: one packet scheduling requires UDP - resetting");
        findings.error(&place, message, "`ops` needs `protocol UDP`");
        server.one_packet = false;
    }
    let no_port = |t: &Target| matches!(t, Target::Address { port: 0, .. });
    if server.targets.iter().any(no_port) && server.persistence.is_none() {
        let message = format!("{shown}: zero port only valid for persistent services - setting");
        findings.error(&place, message, "`persistence_timeout` is missing");
        server.persistence = Some(Span::from_secs(360));
    }
    let sum = server.servers.iter().fold(0_u32, |sum, s| sum.saturating_add(s.weight));
    if server.quorum > sum {
        let quorum = server.quorum;
        let message = format!(
            "Warning - quorum {quorum} for {shown} exceeds total weight of real servers {sum}, reducing quorum to {sum}"
        );
        findings.error(&place, message, "the weights of the real servers count");
        server.quorum = sum;
    }
    if server.hysteresis >= server.quorum.max(1) {
        let most = server.quorum.saturating_sub(1);
        let hysteresis = server.hysteresis;
        let message = format!(
            "{shown} hysteresis {hysteresis} >= quorum {}; setting hysteresis to {most}",
            server.quorum
        );
        findings.error(&place, message, "must be below the quorum");
        server.hysteresis = most;
    }
    let [target] = server.targets[..] else { return };
    let vip_port = match target {
        Target::Address { port, .. } => Some(port),
        Target::Fwmark { .. } => None,
    };
    for (real, what) in server
        .servers
        .iter_mut()
        .map(|s| (s, "real"))
        .chain(server.sorry.iter_mut().map(|s| (s, "sorry")))
    {
        if real.forwarding == Forwarding::Nat || real.port == 0 || Some(real.port) == vip_port {
            continue;
        }
        let (ip, port) = (real.ip, real.port);
        let message = if vip_port.is_some() {
            format!("WARNING - {shown} and {what} server {ip}:{port} ports don't match - resetting")
        } else {
            format!(
                "WARNING - fwmark {shown}, {what} server {ip}:{port} has port specified - clearing"
            )
        };
        findings.error(&real.place, message, "only NAT changes the port");
        real.port = 0;
    }
}
