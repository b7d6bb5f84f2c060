//! `ldirectord.cf`, as ldirectord 4.x (v1.186-ha) reads it.
//!
//! ldirectord ends at the first error of its file; here all of them are told. Its manual says that
//! `quiescent` is `yes` unless stated, the program takes `no` (`set_defaults`), and so does this.
//!
//! ```
//! use scenarios::diagnostic::Sources;
//! use scenarios::import::ldirectord::{CheckType, read};
//! let text = "quiescent=yes\nvirtual=192.168.10.200:80\n\treal=192.168.10.11->192.168.10.12:80 gate 3\n";
//! let mut sources = Sources::default();
//! let file = sources.add("ldirectord.cf", text);
//! let (all, findings) = read(&sources, file);
//! let service = &all.virtuals[0];
//! assert_eq!((service.real.len(), service.real[1].weight), (2, 3));
//! assert_eq!((service.check, service.service.as_str()), (CheckType::Negotiate, "http"));
//! assert_eq!(service.scheduler, "wrr");
//! assert!(findings.errors.is_empty());
//! ```

mod defaults;
mod global;
mod lines;
mod server;
mod service;

use crate::diagnostic::{FileId, Place, Sources};
use crate::import::findings::Findings;
use sim_core::engine::Span;
use sim_core::ipvs::rules::Forwarding;
use std::net::IpAddr;

/// What an `ldirectord.cf` says, all defaults filled in.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Ldirectord {
    /// What holds for all services.
    pub global: Global,
    /// `virtual=`, in the order of the file.
    pub virtuals: Vec<Virtual>,
}

/// What holds for all services. Of what a service may say itself it has what is in force.
#[derive(Clone, PartialEq, Debug)]
pub struct Global {
    /// `autoreload`, by default no.
    pub autoreload: bool,
    /// `fork`, by default no: all real servers are checked one after the other.
    pub fork: bool,
    /// `supervised`, by default no.
    pub supervised: bool,
    /// `cleanstop`, by default yes: services are removed when the program ends.
    pub cleanstop: bool,
    /// `quiescent`, by default no.
    pub quiescent: bool,
    /// `readdquiescent`, by default no.
    pub readd_quiescent: bool,
    /// `checktimeout`.
    pub check_timeout: Option<Span>,
    /// `negotiatetimeout`.
    pub negotiate_timeout: Option<Span>,
    /// `checkinterval`, by default 10 s.
    pub check_interval: Span,
    /// `checkcount`, by default 1.
    pub check_count: u32,
    /// `failurecount`, by default 1.
    pub failure_count: u32,
    /// `fallback`.
    pub fallback: Option<Server>,
    /// `fallback6`.
    pub fallback6: Option<Server>,
    /// `fallbackcommand`.
    pub fallback_command: Option<String>,
    /// Names of what is accepted and changes nothing here, with their places.
    pub others: Vec<(String, Place)>,
}

/// A virtual service.
#[derive(Clone, PartialEq, Debug)]
pub struct Virtual {
    /// What it listens to.
    pub target: Target,
    /// `virtual6`.
    pub v6: bool,
    /// `protocol`, by default tcp, on port 53 udp.
    pub protocol: Protocol,
    /// `real`, in the order of the file, ranges as their addresses.
    pub real: Vec<Server>,
    /// `checktype`, by default negotiate.
    pub check: CheckType,
    /// `service`, by default that of the port, else `none`.
    pub service: String,
    /// `checkport`; the port of the real server if absent, and for port 0 that of `service`.
    pub check_port: Option<u16>,
    /// `checkcommand`, by default `/bin/true`.
    pub check_command: String,
    /// `request`, beginning with `/`.
    pub request: String,
    /// `receive`.
    pub receive: String,
    /// `virtualhost`.
    pub virtualhost: Option<String>,
    /// `httpmethod`, by default GET.
    pub http_head: bool,
    /// `scheduler`, by default wrr.
    pub scheduler: String,
    /// `schedflags`.
    pub sched_flags: Option<String>,
    /// `persistent`.
    pub persistent: Option<Span>,
    /// `netmask`: length of the prefix, counts with `persistent` only.
    pub netmask: Option<u8>,
    /// `ops`, counts for udp only.
    pub one_packet: bool,
    /// `fallback` of the service, else that of all.
    pub fallback: Option<Server>,
    /// `fallbackcommand` of the service, else that of all.
    pub fallback_command: Option<String>,
    /// `quiescent` of the service, else that of all: failed real servers get the weight 0.
    pub quiescent: bool,
    /// `cleanstop` of the service, else that of all.
    pub cleanstop: bool,
    /// `checktimeout`: of the service, else its `negotiatetimeout`, else those of all, else 5 s.
    pub check_timeout: Span,
    /// `negotiatetimeout`: of the service, else its `checktimeout`, else those of all, else 30 s.
    pub negotiate_timeout: Span,
    /// `checkinterval`: that of the service counts with `fork=yes` only.
    pub check_interval: Span,
    /// `checkcount`: echo requests of a check by ping.
    pub check_count: u32,
    /// `failurecount`: failures in a row that make a real server fail.
    pub failure_count: u32,
    /// Where it stands.
    pub place: Place,
}

/// What a virtual service listens to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Target {
    /// Address and port.
    Address(Host, u16),
    /// A firewall mark.
    Fwmark(u32),
}

/// An address, or the name of one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Host {
    /// The address.
    Ip(IpAddr),
    /// A name; ldirectord asks the resolver.
    Name(String),
}

/// `protocol`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Protocol {
    /// `tcp`.
    Tcp,
    /// `udp`.
    Udp,
    /// `fwm`.
    Fwm,
}

/// A real server, or a fallback.
#[derive(Clone, PartialEq, Debug)]
pub struct Server {
    /// RIP.
    pub host: Host,
    /// Port; 0 for that of the service.
    pub port: u16,
    /// `gate`, `masq` or `ipip`; of a fallback by default gate.
    pub forwarding: Forwarding,
    /// Weight, by default 1.
    pub weight: u32,
    /// `"request", "receive"` of its own.
    pub exchange: Option<(String, String)>,
    /// `u:N` and `l:N`.
    pub thresholds: (u32, u32),
    /// Where it stands.
    pub place: Place,
}

/// `checktype`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CheckType {
    /// `negotiate`: a request and the answer to it.
    Negotiate,
    /// `connect`: a connection.
    Connect,
    /// A number N: connections, and each N-th time a request.
    Combined(u32),
    /// `ping`: echo requests.
    Ping,
    /// `external`: a command.
    External,
    /// `external-perl`: a command in perl.
    ExternalPerl,
    /// `on`: real servers are taken to work.
    On,
    /// `off`: no real server is used.
    Off,
}

/// Reads an `ldirectord.cf` (`read_config` and `ld_setup` of ldirectord).
pub fn read(sources: &Sources, file: FileId) -> (Ldirectord, Findings) {
    let mut findings = Findings::default();
    let blocks = lines::blocks(sources, file);
    let mut global = Global::default();
    let mut stated = Vec::new();
    for block in &blocks {
        match block {
            lines::Block::Global(line) => global::set(&mut global, line, &mut findings),
            lines::Block::Virtual(head, inner) => {
                stated.extend(service::read(head, inner, &mut findings));
            }
        }
    }
    let virtuals = defaults::fill(stated, &global, &mut findings);
    if !global.others.iter().any(|o| o.0 == "quiescent") && !virtuals.is_empty() {
        let place = Place::new(file, 0..0);
        let message = "quiescent is not stated: failed real servers are removed, though the manual says otherwise";
        findings.remark(&place, message);
    }
    global.others.retain(|o| o.0 != "quiescent");
    (Ldirectord { global, virtuals }, findings)
}

/// Whether a text looks like an `ldirectord.cf`: a line `virtual=` with an address or a mark stands at the
/// begin of a line, or most lines are settings of ldirectord.
pub fn looks_like(text: &str) -> bool {
    let (mut known, mut unknown) = (0_usize, 0_usize);
    for line in text.lines() {
        let head = line.trim_start();
        if head.is_empty() || head.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            unknown += 1;
            continue;
        };
        let name = name.trim_end();
        if name == "virtual" || name == "virtual6" {
            let value = value.trim_start();
            // a value of TOML is quoted
            return value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
        }
        let setting = global::NAMES.contains(&name) && !line.starts_with([' ', '\t']);
        known += usize::from(setting);
        unknown += usize::from(!setting);
    }
    known > unknown
}

#[cfg(test)]
mod tests;
