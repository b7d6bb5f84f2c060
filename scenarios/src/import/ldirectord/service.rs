//! `virtual=` and its lines.

use super::global::{count, deprecated, first_number, old_count, quoted, seconds, unknown, yes};
use super::lines::Line;
use super::server::{self, clamped, host, port, split_port, with_slash};
use super::{CheckType, Host, Protocol, Server, Target};
use crate::diagnostic::{Place, Problem};
use crate::format::words::{list, nearest};
use crate::import::findings::Findings;
use sim_core::engine::Span;
use std::net::{IpAddr, Ipv4Addr};

/// All settings of services.
const NAMES: &[&str] = &[
    "real",
    "real6",
    "request",
    "receive",
    "checktype",
    "checkcommand",
    "checktimeout",
    "negotiatetimeout",
    "checkcount",
    "failurecount",
    "checkinterval",
    "checkport",
    "login",
    "passwd",
    "database",
    "secret",
    "load",
    "scheduler",
    "persistent",
    "schedflags",
    "netmask",
    "protocol",
    "ops",
    "service",
    "httpmethod",
    "virtualhost",
    "fallback",
    "fallback6",
    "fallbackcommand",
    "quiescent",
    "emailalert",
    "emailalertfreq",
    "emailalertstatus",
    "monitorfile",
    "cleanstop",
    "smtp",
    "servicename",
    "comment",
];

/// What `service=` may be.
const SERVICES: &[&str] = &[
    "dns",
    "ftp",
    "http",
    "https",
    "http_proxy",
    "imap",
    "imaps",
    "ldap",
    "ldaps",
    "mysql",
    "nntp",
    "none",
    "oracle",
    "pop",
    "pops",
    "radius",
    "pgsql",
    "simpletcp",
    "sip",
    "smtp",
    "submission",
];

/// A service as it is written.
#[derive(Clone, Debug)]
pub(super) struct Stated {
    pub(super) target: Target,
    pub(super) v6: bool,
    pub(super) protocol: Protocol,
    pub(super) real: Vec<Server>,
    pub(super) check: CheckType,
    pub(super) service: Option<String>,
    pub(super) check_port: Option<u16>,
    pub(super) check_command: Option<String>,
    pub(super) request: String,
    pub(super) receive: String,
    pub(super) virtualhost: Option<String>,
    pub(super) http_head: bool,
    pub(super) scheduler: String,
    pub(super) sched_flags: Option<String>,
    pub(super) persistent: Option<Span>,
    pub(super) netmask: Option<u8>,
    pub(super) one_packet: bool,
    pub(super) fallback: Option<Server>,
    pub(super) fallback_command: Option<String>,
    pub(super) quiescent: Option<bool>,
    pub(super) cleanstop: Option<bool>,
    pub(super) check_timeout: Option<Span>,
    pub(super) negotiate_timeout: Option<Span>,
    pub(super) check_interval: Option<(Span, Place)>,
    pub(super) check_count: Option<u32>,
    pub(super) failure_count: Option<u32>,
    pub(super) place: Place,
}

/// Reads a service; `None` if nobody knows what it listens to.
pub(super) fn read(head: &Line<'_>, lines: &[Line<'_>], findings: &mut Findings) -> Option<Stated> {
    let v6 = head.name == "virtual6";
    let value = head.value.unwrap_or_default();
    let target = match target(head, value, v6, findings) {
        Ok(target) => target,
        Err(problem) => {
            findings.errors.push(problem);
            return None;
        }
    };
    let protocol = match target {
        Target::Fwmark(_) => Protocol::Fwm,
        Target::Address(_, 53) => Protocol::Udp,
        Target::Address(..) => Protocol::Tcp,
    };
    let mut stated = Stated {
        v6,
        protocol,
        real: Vec::new(),
        check: CheckType::Negotiate,
        service: matches!(target, Target::Fwmark(_)).then(|| "none".to_owned()),
        target,
        check_port: None,
        check_command: None,
        request: "/".to_owned(),
        receive: String::new(),
        virtualhost: None,
        http_head: false,
        scheduler: "wrr".to_owned(),
        sched_flags: None,
        persistent: None,
        netmask: None,
        one_packet: false,
        fallback: None,
        fallback_command: None,
        quiescent: None,
        cleanstop: None,
        check_timeout: None,
        negotiate_timeout: None,
        check_interval: None,
        check_count: None,
        failure_count: None,
        place: head.value_place.clone(),
    };
    for line in lines {
        let result = match line.value {
            Some(value) => stated.set(line, value, findings),
            None => Err(unknown(line, NAMES, findings)),
        };
        findings.errors.extend(result.err());
    }
    Some(stated)
}

/// `IP:PORT`, `NAME:PORT`, `[IPV6]:PORT` or a mark.
fn target(
    line: &Line<'_>,
    value: &str,
    v6: bool,
    findings: &mut Findings,
) -> Result<Target, Problem> {
    let text = value.split_ascii_whitespace().next().unwrap_or_default();
    let wrong = |message: &str| {
        let label = "expected ADDRESS:PORT or a firewall mark";
        Problem::new(&line.value_place, message.to_owned(), label)
    };
    let (name, port_text) = split_port(text);
    if text.starts_with('[') && !v6 {
        let message = "cannot specify an IPv6 address here. please use \"virtual6\" instead.";
        return Err(wrong(message));
    }
    if let Some(port_text) = port_text.filter(|p| !p.is_empty()) {
        let known = host(name).filter(|h| match h {
            Host::Ip(IpAddr::V4(_)) => !v6,
            _ => true,
        });
        let known = known.ok_or_else(|| wrong("invalid address for virtual server"))?;
        return Ok(Target::Address(known, port(line, port_text, findings)?));
    }
    match first_number(text).filter(|_| text.starts_with(|c: char| c.is_ascii_digit())) {
        Some(mark) if text.contains('.') => {
            let message = format!("{text} has no port and is taken for the firewall mark {mark}");
            findings.warn(&line.value_place, message, "`:PORT` is missing");
            Ok(Target::Fwmark(u32::try_from(mark).unwrap_or(u32::MAX)))
        }
        Some(mark) => u32::try_from(mark)
            .map(Target::Fwmark)
            .map_err(|_| wrong("invalid address for virtual server")),
        None => Err(wrong("invalid address for virtual server")),
    }
}

impl Stated {
    fn set(
        &mut self,
        line: &Line<'_>,
        value: &str,
        findings: &mut Findings,
    ) -> Result<(), Problem> {
        match line.name {
            "real" | "real6" | "fallback" | "fallback6" => self.server(line, value, findings)?,
            "request" | "receive" | "login" | "passwd" | "database" | "secret" | "load" => {
                let Some(text) = quoted(value) else { return Err(unknown(line, NAMES, findings)) };
                self.text(line, text)?;
            }
            "checktype" => self.check = check_type(line, value)?,
            "checkcommand" | "fallbackcommand" => {
                let command = quoted(value).unwrap_or(value).to_owned();
                let fallback = line.name == "fallbackcommand";
                *(if fallback { &mut self.fallback_command } else { &mut self.check_command }) =
                    Some(command);
            }
            "checktimeout" => self.check_timeout = Some(seconds(line, "check timeout")?),
            "negotiatetimeout" => {
                self.negotiate_timeout = Some(seconds(line, "negotiate timeout")?);
            }
            "checkcount" => {
                self.check_count = Some(count(line, "check count")?);
                old_count(line, findings);
            }
            "failurecount" => self.failure_count = Some(count(line, "failure count")?),
            "checkinterval" => {
                self.check_interval = Some((seconds(line, "checkinterval")?, line.place.clone()));
            }
            "checkport" => self.check_port = Some(check_port(line, value)?),
            "persistent" => {
                let Some(seconds) = clamped(value) else {
                    let message = "invalid persistent timeout";
                    return Err(Problem::new(&line.value_place, message, "expected seconds"));
                };
                self.persistent = Some(Span::from_secs(seconds.into()));
            }
            "scheduler" | "schedflags" | "netmask" | "protocol" | "ops" => {
                self.balancing(line, value, findings)?;
            }
            "service" => {
                // one that is not known is one all the same
                self.service = Some(value.trim().to_owned());
                self.service = Some(service(line, value)?);
            }
            "httpmethod" => self.http_head = http_method(line, value)?,
            "virtualhost" => {
                let text = value.strip_prefix('"').unwrap_or(value);
                let text = text.split('"').next().unwrap_or_default().trim_end();
                self.virtualhost = Some(text.to_owned());
            }
            "quiescent" => self.quiescent = Some(yes(line)?),
            "cleanstop" => self.cleanstop = Some(yes(line)?),
            "connecttimeout" => return Err(deprecated(line)),
            name if NAMES.contains(&name) => {}
            _ => return Err(unknown(line, NAMES, findings)),
        }
        Ok(())
    }

    fn server(
        &mut self,
        line: &Line<'_>,
        value: &str,
        findings: &mut Findings,
    ) -> Result<(), Problem> {
        let name = line.name.trim_end_matches('6');
        if (line.name == name) == self.v6 {
            let right = if self.v6 { "6" } else { "" };
            let message = format!(
                "cannot specify \"{}\" here.  please use \"{name}{right}\" instead",
                line.name
            );
            return Err(Problem::new(&line.place, message, "of the other family"));
        }
        if name == "real" {
            self.real.extend(server::real(line, value, findings)?);
        } else {
            let port = match self.target {
                Target::Address(_, port) => Some(port),
                Target::Fwmark(_) => None,
            };
            self.fallback = Some(server::fallback(line, value, port, findings)?);
        }
        Ok(())
    }

    fn text(&mut self, line: &Line<'_>, text: &str) -> Result<(), Problem> {
        if text.is_empty() {
            let message = match line.name {
                "request" => "no request string specified".to_owned(),
                "receive" => "invalid receive string".to_owned(),
                name => format!("invalid {name}"),
            };
            return Err(Problem::new(&line.value_place, message, "nothing stands in the quotes"));
        }
        match line.name {
            "request" => self.request = with_slash(text),
            "receive" => text.clone_into(&mut self.receive),
            _ => {}
        }
        Ok(())
    }

    fn balancing(
        &mut self,
        line: &Line<'_>,
        value: &str,
        findings: &mut Findings,
    ) -> Result<(), Problem> {
        let wrong = |message: &str, label: &str| Problem::new(&line.value_place, message, label);
        match line.name {
            "scheduler" => {
                let name = run(value, |c| c.is_ascii_lowercase());
                if name.is_empty() {
                    let message = "invalid scheduler, should be only lowercase letters (a-z)";
                    return Err(wrong(message, "expected rr, wrr, lc, wlc, ..."));
                }
                name.clone_into(&mut self.scheduler);
                if name.parse::<schedulers::Algorithm>().is_err() {
                    let message = format!("ipvsadm does not know the scheduler {name}");
                    let known = schedulers::Algorithm::ALL.iter().map(|a| a.name());
                    let label = "the service can not be added";
                    let problem = Problem::new(&line.place_of(name), message, label);
                    findings.warnings.push(match nearest(name, known) {
                        Some(near) => problem.help(format!("did you mean `{near}`?")),
                        None => problem,
                    });
                }
            }
            "schedflags" => self.sched_flags = Some(value.trim().to_owned()),
            "netmask" => {
                let length = match value.parse::<Ipv4Addr>() {
                    Ok(mask) if !self.v6 => {
                        let bits = mask.to_bits();
                        (bits.leading_ones() == bits.count_ones()).then_some(bits.leading_ones())
                    }
                    _ if self.v6 => value.parse().ok().filter(|l| (1..=128).contains(l)),
                    _ => None,
                };
                let message = if self.v6 {
                    "invalid netmask: a prefix length between 1 and 128 is required"
                } else {
                    "invalid netmask: dotted quad notation is required"
                };
                let length = length.ok_or_else(|| wrong(message, "as in 255.255.255.0"))?;
                self.netmask = u8::try_from(length).ok();
            }
            "protocol" => {
                let word = run(value, |c| c.is_ascii_alphanumeric() || c == '_');
                self.protocol = match (word, self.protocol) {
                    ("fwm", Protocol::Fwm) => Protocol::Fwm,
                    (_, Protocol::Fwm) => {
                        let message =
                            "protocol must be fwm if the virtual service is a fwmark (a number)";
                        return Err(wrong(message, "expected fwm"));
                    }
                    ("tcp", _) => Protocol::Tcp,
                    ("udp", _) => Protocol::Udp,
                    _ => {
                        let message = "protocol must be tcp or udp if the virtual service is an address and port";
                        return Err(wrong(message, "expected tcp or udp"));
                    }
                };
            }
            _ => self.one_packet = yes(line)?,
        }
        Ok(())
    }
}

/// The first run of letters of a kind.
fn run(value: &str, of: impl Fn(char) -> bool) -> &str {
    let Some(start) = value.find(&of) else { return "" };
    let rest = &value[start..];
    &rest[..rest.find(|c| !of(c)).unwrap_or(rest.len())]
}

fn check_type(line: &Line<'_>, value: &str) -> Result<CheckType, Problem> {
    if let Some(n) = clamped(value) {
        return Ok(CheckType::Combined(n));
    }
    Ok(match run(value, |c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        "connect" => CheckType::Connect,
        "negotiate" => CheckType::Negotiate,
        "ping" => CheckType::Ping,
        "off" => CheckType::Off,
        "on" => CheckType::On,
        "external" => CheckType::External,
        "external-perl" => CheckType::ExternalPerl,
        word => {
            let message = "checktype must be \"connect\", \"negotiate\", \"on\", \"off\", \"ping\", \"external\", \"external-perl\" or a positive number";
            let known = ["connect", "negotiate", "on", "off", "ping", "external", "external-perl"];
            let problem = Problem::new(&line.value_place, message, "one of these is expected");
            return Err(match nearest(word, known) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem,
            });
        }
    })
}

fn check_port(line: &Line<'_>, value: &str) -> Result<u16, Problem> {
    let port = clamped(value).and_then(|n| u16::try_from(n).ok()).filter(|p| *p > 0);
    port.ok_or_else(|| {
        let message = match first_number(value) {
            None => "invalid port",
            Some(_) => "checkport must be in range 1..65536",
        };
        Problem::new(&line.value_place, message, "expected 1 to 65535")
    })
}

fn service(line: &Line<'_>, value: &str) -> Result<String, Problem> {
    let word = run(value, |c| c.is_ascii_alphanumeric() || c == '_');
    if SERVICES.contains(&word) {
        return Ok(word.to_owned());
    }
    let message = format!("service must be {}", list(SERVICES));
    let label = "a port of another service is checked by `checktype=connect`";
    let problem = Problem::new(&line.value_place, message, label);
    Err(match nearest(word, SERVICES.iter().copied()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    })
}

fn http_method(line: &Line<'_>, value: &str) -> Result<bool, Problem> {
    match run(value, |c| c.is_ascii_alphanumeric() || c == '_').to_ascii_uppercase().as_str() {
        "GET" => Ok(false),
        "HEAD" => Ok(true),
        _ => {
            let message = "httpmethod must be GET or HEAD";
            Err(Problem::new(&line.value_place, message, "expected GET or HEAD"))
        }
    }
}
