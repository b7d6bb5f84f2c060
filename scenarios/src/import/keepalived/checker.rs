//! Health checkers of real servers.

use super::Findings;
use super::tree::Node;
use super::values::{address, boolean};
use super::vrrp::{number, time};
use sim_core::engine::Span;
use std::net::IpAddr;

/// A health checker with everything it inherits: checker, real server, virtual server, built-in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checker {
    /// What it does.
    pub kind: Check,
    /// `connect_ip`, by default the real server.
    pub ip: Option<IpAddr>,
    /// `connect_port`, by default that of the real server.
    pub port: Option<u16>,
    /// `retry`: failures in a row that are forgiven.
    pub retry: u32,
    /// `delay_before_retry`.
    pub delay_before_retry: Span,
    /// `delay_loop`: from the end of a check to the next.
    pub delay_loop: Span,
    /// `warmup`: the first check comes within this time.
    pub warmup: Span,
    /// `connect_timeout`.
    pub connect_timeout: Span,
    /// `alpha`: the server is down until the first success.
    pub alpha: bool,
}

/// The kinds of checkers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Check {
    /// `TCP_CHECK`.
    Tcp,
    /// `HTTP_GET` and `SSL_GET`: whether by TLS, and the pages.
    Http {
        /// `SSL_GET`.
        tls: bool,
        /// `url` blocks.
        urls: Vec<Url>,
    },
    /// `SMTP_CHECK`.
    Smtp,
    /// `DNS_CHECK`: type and name of the query.
    Dns {
        /// `type`, by default SOA.
        kind: String,
        /// `name`, by default the root.
        name: String,
    },
    /// `MISC_CHECK`.
    Misc {
        /// `misc_path`: the command.
        command: String,
        /// `misc_timeout`, by default `delay_loop`.
        timeout: Span,
        /// `misc_dynamic`: exit codes from 2 set the weight.
        dynamic: bool,
    },
    /// `UDP_CHECK`: whether an answer must come.
    Udp {
        /// `require_reply`.
        reply: bool,
    },
    /// `PING_CHECK`.
    Ping,
    /// `BFD_CHECK`: the name of the session.
    Bfd(String),
    /// `FILE_CHECK`: the name of the `track_file`.
    File(String),
}

/// A page that must be there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Url {
    /// `path`, by default `/`.
    pub path: String,
    /// `digest`: MD5 of the page.
    pub digest: Option<String>,
    /// `status_code`, by default 200-299.
    pub status: Option<String>,
}

/// A checker block of a real server; `None` if it is none or lacks what it needs.
pub(super) fn read(
    node: &Node,
    real_server: &Node,
    virtual_server: &Node,
    findings: &mut Findings,
) -> Option<Checker> {
    let around = [node, real_server, virtual_server];
    let inherited = |name: &str| around.iter().find_map(|n| time(n, name));
    let delay_loop = inherited("delay_loop").unwrap_or(Span::from_secs(60));
    let kind = kind(node, delay_loop, findings)?;
    let (retries, pause) = match kind {
        Check::Http { .. } => (1, Span::from_secs(3)),
        Check::Dns { .. } => (3, delay_loop),
        Check::Misc { .. } => (0, Span::from_secs(1)),
        _ => (1, Span::from_secs(1)),
    };
    let old = number(node, "nb_get_retry");
    let retry = old.or_else(|| around.iter().find_map(|n| number(n, "retry")));
    let alpha = around.iter().find_map(|n| flag(n, "alpha"));
    Some(Checker {
        kind,
        ip: node.last("connect_ip").and_then(|n| address(n.word(1)?)),
        port: number(node, "connect_port"),
        retry: retry.unwrap_or(retries),
        delay_before_retry: inherited("delay_before_retry").unwrap_or(pause),
        delay_loop,
        warmup: inherited("warmup").unwrap_or(delay_loop),
        connect_timeout: inherited("connect_timeout").unwrap_or(Span::from_secs(5)),
        alpha: alpha.unwrap_or(false),
    })
}

/// A BOOL that may be left out, where nothing means true; `None` if the keyword is not there.
pub(super) fn flag(node: &Node, name: &str) -> Option<bool> {
    let node = node.last(name)?;
    Some(node.word(1).is_none_or(|w| boolean(w) != Some(false)))
}

fn kind(node: &Node, delay_loop: Span, findings: &mut Findings) -> Option<Check> {
    let text = |name: &str| node.last(name).and_then(|n| n.word(1)).map(str::to_owned);
    let mut lacks = |message: &str, label: &str| {
        findings.error(&node.place(), message, label);
        None
    };
    Some(match node.name() {
        "TCP_CHECK" => Check::Tcp,
        "PING_CHECK" => Check::Ping,
        "SMTP_CHECK" => Check::Smtp,
        "UDP_CHECK" => Check::Udp { reply: node.has("require_reply") },
        "HTTP_GET" | "SSL_GET" => {
            let urls: Vec<Url> = node.all("url").map(url).collect();
            if urls.is_empty() {
                let message = "HTTP/SSL_GET checker has no urls specified - ignoring";
                return lacks(message, "`url { path / }` is missing");
            }
            Check::Http { tls: node.name() == "SSL_GET", urls }
        }
        "DNS_CHECK" => Check::Dns {
            kind: text("type").unwrap_or_else(|| "SOA".to_owned()).to_ascii_uppercase(),
            name: text("name").unwrap_or_else(|| ".".to_owned()),
        },
        "MISC_CHECK" => {
            let Some(command) = node.last("misc_path") else {
                let message = "No script path has been specified for MISC_CHECKER - skipping";
                return lacks(message, "`misc_path COMMAND` is missing");
            };
            let words: Vec<&str> = command.words[1..].iter().map(|w| w.text.as_str()).collect();
            let timeout = time(node, "misc_timeout").filter(|t| *t > Span::ZERO);
            Check::Misc {
                command: words.join(" "),
                timeout: timeout.unwrap_or(delay_loop),
                dynamic: node.has("misc_dynamic"),
            }
        }
        "BFD_CHECK" => match text("name") {
            Some(name) => Check::Bfd(name),
            None => {
                return lacks(
                    "No name has been specified for BFD_CHECKER - skipping",
                    "`name` is missing",
                );
            }
        },
        "FILE_CHECK" => match text("track_file") {
            Some(name) => Check::File(name),
            None => {
                return lacks(
                    "No track_file has been specified for FILE_CHECKER - skipping",
                    "`track_file` is missing",
                );
            }
        },
        _ => return None,
    })
}

fn url(node: &Node) -> Url {
    let text = |name: &str| node.last(name).and_then(|n| n.word(1)).map(str::to_owned);
    Url {
        path: text("path").unwrap_or_else(|| "/".to_owned()),
        digest: text("digest"),
        status: text("status_code"),
    }
}
