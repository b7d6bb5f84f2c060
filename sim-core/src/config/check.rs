//! Virtual servers and the checkers of their real servers: what the checker process of keepalived does.
//!
//! Everything is resolved: what a checker inherits from its real server and that from its virtual server
//! stands in the checker. Defaults are those of keepalived 2.4.

use crate::engine::Span;
use crate::ipvs::rules::{ServerRule, ServiceRule, TimeoutRule};
use core::net::IpAddr;

/// The virtual servers of a director.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CheckConfig {
    /// `lvs_flush`: all rules of IPVS are removed at the start.
    pub flush: bool,
    /// `lvs_flush_on_stop`.
    pub flush_on_stop: FlushOnStop,
    /// `lvs_timeouts`.
    pub timeouts: TimeoutRule,
    /// Virtual servers in the order of the file.
    pub virtual_servers: Vec<VirtualServerConfig>,
    /// Contents of files that [`CheckerKind::File`] looks at.
    pub files: Vec<FileConfig>,
}

/// How the rules are taken out of IPVS at a clean stop (`lvs_flush_on_stop`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FlushOnStop {
    /// Each real server, then its virtual server.
    #[default]
    No,
    /// Virtual servers as a whole (`lvs_flush_on_stop VS`).
    VirtualServers,
    /// All rules at once, those of others too (`lvs_flush_on_stop`).
    All,
}

/// A virtual server.
#[derive(Clone, PartialEq, Debug)]
pub struct VirtualServerConfig {
    /// Its IPVS services: one, or those of a `virtual_server_group`. Their `servers` are not looked at.
    pub services: Vec<ServiceRule>,
    /// Sum of weights that it needs.
    pub quorum: u32,
    /// So much more is needed to gain the quorum, so much less to lose it; below the quorum.
    pub hysteresis: u32,
    /// Stands in when the quorum is lost.
    pub sorry: Option<SorryConfig>,
    /// `omega`: scripts run at a stop, too. Without effect on IPVS.
    pub omega: bool,
    /// Checkers run only while one of its addresses is on the host.
    pub ha_suspend: bool,
    /// Real servers in the order of the file, at least one.
    pub servers: Vec<RealServerConfig>,
}

impl VirtualServerConfig {
    /// A virtual server without options: quorum 1.
    pub const fn new(services: Vec<ServiceRule>, servers: Vec<RealServerConfig>) -> Self {
        Self {
            services,
            quorum: 1,
            hysteresis: 0,
            sorry: None,
            omega: false,
            ha_suspend: false,
            servers,
        }
    }
}

/// A sorry server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SorryConfig {
    /// Its rule. With another method than NAT the port is that of the service.
    pub rule: ServerRule,
    /// `sorry_server_inhibit`: always there, with weight 0 while it is not needed.
    pub inhibit: bool,
}

/// A real server.
#[derive(Clone, PartialEq, Debug)]
pub struct RealServerConfig {
    /// Its rule. With another method than NAT the port is that of the service.
    pub rule: ServerRule,
    /// `inhibit_on_failure`: its weight becomes 0 instead of its being removed.
    pub inhibit: bool,
    /// Its checkers; without any it is always up.
    pub checkers: Vec<CheckerConfig>,
}

/// What all checkers have.
#[derive(Clone, PartialEq, Debug)]
pub struct CheckerConfig {
    /// What it does.
    pub kind: CheckerKind,
    /// `connect_ip`, `connect_port`, by default those of the real server.
    pub target: (IpAddr, u16),
    /// `bindto`: own address.
    pub source: Option<IpAddr>,
    /// `bind_port`: own port.
    pub source_port: Option<u16>,
    /// From the end of a check to the next one.
    pub delay_loop: Span,
    /// More checks after one that failed, before the real server is taken for down.
    pub retry: u32,
    /// From the end of a failed check to the next one, while it is retried.
    pub delay_before_retry: Span,
    /// How long a connection, and each answer, may take.
    pub connect_timeout: Span,
    /// The first check comes 1 s and up to this much after the start, at random.
    pub warmup: Span,
    /// The real server counts as down until the first success.
    pub alpha: bool,
    /// When the first check comes after the start; instead of 1 s and a random part of `warmup`.
    pub phase: Option<Span>,
}

impl CheckerConfig {
    /// A checker without options: `delay_loop` (and so `warmup`) 60 s, `connect_timeout` 5 s, `retry` and
    /// `delay_before_retry` by the kind.
    pub fn new(kind: CheckerKind, target: (IpAddr, u16)) -> Self {
        let delay_loop = Span::from_secs(60);
        let (retry, delay_before_retry) = match kind {
            CheckerKind::Http(_) => (1, Span::from_secs(3)),
            CheckerKind::Dns { .. } => (3, delay_loop),
            CheckerKind::Misc(_) => (0, Span::from_secs(1)),
            _ => (1, Span::from_secs(1)),
        };
        Self {
            kind,
            target,
            source: None,
            source_port: None,
            delay_loop,
            retry,
            delay_before_retry,
            connect_timeout: Span::from_secs(5),
            warmup: delay_loop,
            alpha: false,
            phase: None,
        }
    }
}

/// What a checker does.
#[derive(Clone, PartialEq, Debug)]
pub enum CheckerKind {
    /// `TCP_CHECK`: a connection that is closed as soon as it is there.
    Tcp,
    /// `HTTP_GET`, `SSL_GET`: pages.
    Http(HttpConfig),
    /// `SMTP_CHECK`: greeting, HELO, QUIT; several hosts in turn, by default the target.
    Smtp {
        /// Hosts.
        hosts: Vec<(IpAddr, u16)>,
    },
    /// `DNS_CHECK`: a query by UDP.
    Dns {
        /// The name asked for.
        name: String,
    },
    /// `UDP_CHECK`: a datagram; an ICMP error is a failure, silence is not.
    Udp {
        /// Bytes sent.
        payload: u16,
        /// `require_reply`: silence is a failure, too. Least and most bytes of the reply.
        reply: Option<(u16, u16)>,
    },
    /// `PING_CHECK`: an ICMP echo.
    Ping,
    /// `MISC_CHECK`: a program.
    Misc(ScriptConfig),
    /// `BFD_CHECK`: a session, by its name.
    Bfd(String),
    /// `FILE_CHECK`: the number in a file.
    File {
        /// Name of the [`FileConfig`].
        file: String,
        /// The number times this is added to the weight of the real server; below -253: it is down. With 0 any
        /// number but 0 means down.
        weight: i32,
        /// The other way round.
        reverse: bool,
    },
}

impl CheckerKind {
    /// The word of keepalived.conf.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Tcp => "TCP_CHECK",
            Self::Http(http) if http.tls => "SSL_GET",
            Self::Http(_) => "HTTP_GET",
            Self::Smtp { .. } => "SMTP_CHECK",
            Self::Dns { .. } => "DNS_CHECK",
            Self::Udp { .. } => "UDP_CHECK",
            Self::Ping => "PING_CHECK",
            Self::Misc(_) => "MISC_CHECK",
            Self::Bfd(_) => "BFD_CHECK",
            Self::File { .. } => "FILE_CHECK",
        }
    }
}

/// `HTTP_GET`, `SSL_GET`.
#[derive(Clone, PartialEq, Debug)]
pub struct HttpConfig {
    /// `SSL_GET`: a handshake of TLS 1.3 first, one round trip more.
    pub tls: bool,
    /// The pages in their order, at least one.
    pub urls: Vec<UrlConfig>,
    /// `fast_recovery`: a server that is down is checked without pauses between the pages.
    pub fast_recovery: bool,
}

/// A page that is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UrlConfig {
    /// `path`.
    pub path: String,
    /// `virtualhost`.
    pub virtualhost: Option<String>,
    /// `status_code`: first and last of each range that is good.
    pub statuses: Vec<(u16, u16)>,
    /// `digest`: what the MD5 of the page must be.
    pub digest: Option<String>,
    /// `regex`: what must (or with `regex_no_match` must not) be in the page. Whether it is, the server says:
    /// [`PageConfig::found`].
    pub regex: Option<RegexConfig>,
}

/// An expression that a page is searched for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegexConfig {
    /// `regex_no_match`: it must not be there.
    pub absent: bool,
}

impl UrlConfig {
    /// A page without conditions: any status from 200 to 299 is good.
    pub fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            virtualhost: None,
            statuses: vec![(200, 299)],
            digest: None,
            regex: None,
        }
    }
}

/// A program, as far as the scenario tells: it exits with 0 at once, or as said here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptConfig {
    /// `misc_timeout`: a run that takes longer is killed and has failed.
    pub timeout: Span,
    /// `misc_dynamic`: exit status 2 to 255 is good and sets the weight to two less.
    pub dynamic: bool,
    /// From when on (since the start of the run, in order of time) it runs how.
    pub runs: Vec<(Span, ScriptRun)>,
}

impl ScriptConfig {
    /// A program that exits with 0 at once, with a `misc_timeout` of `timeout`.
    pub const fn new(timeout: Span) -> Self {
        Self { timeout, dynamic: false, runs: Vec::new() }
    }
}

/// One way for a program to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ScriptRun {
    /// Exit status.
    pub exit: u8,
    /// How long it takes.
    pub duration: Span,
}

/// A file with a number in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileConfig {
    /// Name of the `track_file`.
    pub name: String,
    /// From when on (since the start of the run, in order of time) it holds which number; 0 before that.
    pub values: Vec<(Span, i32)>,
}

/// What an application says to a check. Ordinary clients are answered as ever.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnswerConfig {
    /// HTTP pages. Any other page has status 200 and what its checker expects.
    pub pages: Vec<PageConfig>,
    /// Status codes of SMTP: greeting and HELO.
    pub smtp: (u16, u16),
    /// Response code of DNS; 0 is good.
    pub rcode: u8,
    /// Whether datagrams of checks are answered.
    pub replies: bool,
}

impl Default for AnswerConfig {
    /// Everything is well.
    fn default() -> Self {
        Self { pages: Vec::new(), smtp: (220, 250), rcode: 0, replies: true }
    }
}

/// A page of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageConfig {
    /// Its path.
    pub path: String,
    /// The virtual host it belongs to; `None`: any.
    pub virtualhost: Option<String>,
    /// From when on (since the start of the run, in order of time) it is which status.
    pub statuses: Vec<(Span, u16)>,
    /// MD5 of the page; `None`: the one that is expected.
    pub digest: Option<String>,
    /// Whether it holds what a checker's `regex` looks for.
    pub found: bool,
}
