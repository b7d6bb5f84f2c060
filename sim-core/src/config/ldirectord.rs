//! ldirectord: `ldirectord.cf` of a director, resolved.

use super::Runs;
use crate::engine::Span;
use crate::ipvs::rules::{ServerRule, ServiceRule};

/// ldirectord on a host. The default is what ldirectord takes if its file says nothing, without virtual
/// services.
#[derive(Clone, PartialEq, Debug)]
pub struct LdirectordConfig {
    /// When it is started, after the start of the run or of the host; `None`: by an order or by heartbeat (a
    /// resource `ldirectord`).
    pub start: Option<Span>,
    /// `virtual=`, in the order of the file.
    pub virtuals: Vec<VirtualConfig>,
    /// `fork`: a process for each virtual service, so that they do not wait for each other's checks.
    pub fork: bool,
    /// `cleanstop`: the services are removed when it stops.
    pub clean_stop: bool,
    /// From its start to the first change of the table: perl reads its modules and the file.
    pub load: Runs,
    /// How long calls of `ipvsadm` take.
    pub command: Runs,
}

impl Default for LdirectordConfig {
    fn default() -> Self {
        Self {
            start: Some(Span::ZERO),
            virtuals: Vec::new(),
            fork: false,
            clean_stop: true,
            load: Runs::each(Span::from_millis(300)),
            command: Runs::each(Span::from_millis(5)),
        }
    }
}

/// A virtual service. What the file states for all (`checkinterval=3`) stands resolved in each.
#[derive(Clone, PartialEq, Debug)]
pub struct VirtualConfig {
    /// The service, without its real servers: `virtual`, `protocol`, `scheduler` (wrr by default),
    /// `persistent`, `netmask`.
    pub service: ServiceRule,
    /// `real`, in the order of the file.
    pub servers: Vec<RealConfig>,
    /// Real servers by number in the order in which they are added at the start, which is that of a hash table
    /// of perl: another one each time. Those that are not named follow in the order of the file.
    pub start_order: Vec<usize>,
    /// `fallback`: takes the place of the real servers when all have failed.
    pub fallback: Option<ServerRule>,
    /// `quiescent`: a failed real server gets the weight 0; else, which is the default, it is removed.
    pub quiescent: bool,
    /// `checktype` and what belongs to it.
    pub check: CheckKind,
    /// `checkport`; the port of the real server if absent.
    pub check_port: Option<u16>,
    /// `checktimeout`: how long a connection may take to come about (`connect`, `ping`, `external`).
    pub check_timeout: Span,
    /// `negotiatetimeout`: how long a whole exchange may take.
    pub negotiate_timeout: Span,
    /// `checkinterval`: pause after all checks.
    pub check_interval: Span,
    /// `checkcount`: echo requests of a check by `ping`, at least 1.
    pub check_count: u32,
    /// `failurecount`: failures one after the other until a real server counts as failed, at least 1.
    pub failure_count: u32,
}

impl VirtualConfig {
    /// A service without real servers and with the defaults of ldirectord 4.12: `checktype=negotiate` (of the
    /// page `/`), `quiescent=no` (so its `set_defaults`; the manual says `yes`), `checktimeout=5`,
    /// `negotiatetimeout=30`, `checkinterval=10`.
    pub fn new(service: ServiceRule) -> Self {
        Self {
            service,
            servers: Vec::new(),
            start_order: Vec::new(),
            fallback: None,
            quiescent: false,
            check: CheckKind::Negotiate(Exchange::page("/")),
            check_port: None,
            check_timeout: Span::from_secs(5),
            negotiate_timeout: Span::from_secs(30),
            check_interval: Span::from_secs(10),
            check_count: 1,
            failure_count: 1,
        }
    }
}

/// A real server.
#[derive(Clone, PartialEq, Debug)]
pub struct RealConfig {
    /// As it is added when it works.
    pub rule: ServerRule,
    /// Its own exchange (`"request", "receive"` at its line) instead of that of its service.
    pub exchange: Option<Exchange>,
    /// When an external check of it fails: begin and end, since the start of the run.
    pub external_failures: Vec<[Span; 2]>,
}

/// How real servers are checked (`checktype`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CheckKind {
    /// `negotiate`: a connection and an exchange.
    Negotiate(Exchange),
    /// `connect`: a connection.
    Connect,
    /// A number N: a connection each time, each Nth time an exchange.
    Combined(u32, Exchange),
    /// `ping`: an echo request.
    Ping,
    /// `external`, `external-perl`: a command. It takes so long; when it fails stands at the real server.
    External(Span),
    /// `on`: real servers are taken to work.
    On,
    /// `off`: neither real servers nor the fallback are added.
    Off,
}

/// What is exchanged in a check by `negotiate` (`service`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Exchange {
    /// `http`, `https`: a page, which must have a good status and what `receive` looks for. What a server shows
    /// stands in [`AnswerConfig`](super::AnswerConfig).
    Page {
        /// `request`, with a `/` before it.
        path: String,
        /// `virtualhost`.
        virtualhost: Option<String>,
        /// `https`.
        tls: bool,
    },
    /// `smtp`.
    Mail,
    /// `dns`: a query of so many bytes.
    Name(u16),
    /// Any other service over TCP: a request of so many bytes; any answer will do.
    Request(u32),
    /// Any other service over UDP: a datagram of so many bytes; any answer will do.
    Datagram(u16),
}

impl Exchange {
    /// A page by HTTP.
    pub fn page(path: &str) -> Self {
        Self::Page { path: path.to_owned(), virtualhost: None, tls: false }
    }
}
