//! Health checkers of real servers.

use super::letters::Word;
use super::tree::Node;
use super::values::{address, port};
use super::{Findings, TrackFile};
use crate::diagnostic::Problem;
use sim_core::engine::Span;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A health checker with everything it inherits: checker, real server, virtual server, built-in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checker {
    /// What it does.
    pub kind: Check,
    /// `connect_ip`, by default the real server.
    pub ip: Option<IpAddr>,
    /// `connect_port`, or else the port that is written behind the real server, also where a service by DR
    /// or TUN leaves it unused; `None` for that of the service.
    pub port: Option<u16>,
    /// `bindto`, `bind_port`, `bind_if`.
    pub source: Source,
    /// `fwmark` of its packets, by default 0.
    pub fwmark: u32,
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

/// Where the connections of a checker come from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Source {
    /// `bindto`.
    pub ip: Option<IpAddr>,
    /// `bind_port`.
    pub port: Option<u16>,
    /// `bind_if`.
    pub interface: Option<String>,
}

/// The kinds of checkers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Check {
    /// `TCP_CHECK`.
    Tcp,
    /// `HTTP_GET` and `SSL_GET`.
    Http {
        /// `SSL_GET`.
        tls: bool,
        /// `url` blocks.
        urls: Vec<Url>,
        /// `http_protocol`, by default 1.0.
        version: String,
        /// `fast_recovery`: no pauses until the server is up.
        fast_recovery: bool,
    },
    /// `SMTP_CHECK`.
    Smtp {
        /// `helo_name`, by default `smtpchecker.keepalived.org`.
        helo: String,
        /// `host` blocks: `connect_ip` and `connect_port` of each.
        hosts: Vec<(Option<IpAddr>, Option<u16>)>,
    },
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
    /// `UDP_CHECK`.
    Udp {
        /// `payload`; `None` for random bytes.
        payload: Option<Vec<u8>>,
        /// `require_reply`: an answer must come.
        reply: bool,
        /// What stands behind `require_reply`: the answer, hexadecimal, `x` for any digit.
        expected: Option<String>,
        /// `min_reply_length` and `max_reply_length`, by default 0 and 255.
        lengths: (u16, u16),
    },
    /// `PING_CHECK`.
    Ping,
    /// `BFD_CHECK`: the name of the session.
    Bfd(String),
    /// `FILE_CHECK`.
    File {
        /// `track_file`: the name of the file.
        file: String,
        /// `weight`, by default that of the file.
        weight: i32,
        /// `weight N reverse`.
        reverse: bool,
    },
}

/// A page that must be there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Url {
    /// `path`.
    pub path: String,
    /// `virtualhost` of the page, the checker, the real server or the service.
    pub virtualhost: Option<String>,
    /// `digest`: MD5 of the page.
    pub digest: Option<String>,
    /// `status_code`: ranges that are a success, by default 200 to 299.
    pub status: Vec<(u16, u16)>,
    /// `regex`.
    pub page: Option<Page>,
}

/// What the text of a page must be like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// `regex`.
    pub pattern: String,
    /// `regex_no_match`: the pattern must not fit.
    pub no_match: bool,
    /// `regex_options`.
    pub options: Vec<String>,
    /// `regex_min_offset`.
    pub min_offset: u32,
    /// `regex_max_offset`; 0 for none.
    pub max_offset: u32,
}

/// The blocks a checker inherits from, and what it may name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    /// The real server.
    pub(super) real: &'a Node,
    /// The virtual server.
    pub(super) service: &'a Node,
    /// The files that may be tracked.
    pub(super) files: &'a BTreeMap<&'a str, &'a TrackFile>,
}

/// A checker block of a real server; `None` if it is none or lacks what it needs.
pub(super) fn read(node: &Node, around: Around<'_>, findings: &mut Findings) -> Option<Checker> {
    let blocks = [node, around.real, around.service];
    let inherited = |name: &str| blocks.iter().find_map(|n| n.time(name));
    let delay_loop = inherited("delay_loop").unwrap_or(Span::from_secs(60));
    let kind = kind(node, around, delay_loop, findings)?;
    let (retries, pause) = match kind {
        Check::Http { .. } => (1, Span::from_secs(3)),
        Check::Dns { .. } => (3, delay_loop),
        Check::Misc { .. } => (0, Span::from_secs(1)),
        _ => (1, Span::from_secs(1)),
    };
    let old = node.number("nb_get_retry");
    let retry = old.or_else(|| blocks.iter().find_map(|n| n.number("retry")));
    let alpha = blocks.iter().find_map(|n| n.flag("alpha"));
    let written = around.real.word(2).and_then(port).filter(|p| *p > 0);
    Some(Checker {
        kind,
        ip: node.text("connect_ip").and_then(address),
        port: node.number("connect_port").or(written),
        source: Source {
            ip: node.text("bindto").and_then(address),
            port: node.number("bind_port"),
            interface: node.text("bind_if").map(str::to_owned),
        },
        fwmark: node.number("fwmark").unwrap_or(0),
        retry: retry.unwrap_or(retries),
        delay_before_retry: inherited("delay_before_retry").unwrap_or(pause),
        delay_loop,
        warmup: inherited("warmup").unwrap_or(delay_loop),
        connect_timeout: inherited("connect_timeout").unwrap_or(Span::from_secs(5)),
        alpha: alpha.unwrap_or(false),
    })
}

fn kind(
    node: &Node,
    around: Around<'_>,
    delay_loop: Span,
    findings: &mut Findings,
) -> Option<Check> {
    let text = |name: &str| node.text(name).map(str::to_owned);
    let lacks = match node.name() {
        "TCP_CHECK" => return Some(Check::Tcp),
        "PING_CHECK" => return Some(Check::Ping),
        "SMTP_CHECK" => return Some(smtp(node)),
        "UDP_CHECK" => return Some(udp(node, findings)),
        "DNS_CHECK" => {
            let kind = text("type").unwrap_or_else(|| "SOA".to_owned()).to_ascii_uppercase();
            return Some(Check::Dns { kind, name: text("name").unwrap_or_else(|| ".".to_owned()) });
        }
        "HTTP_GET" | "SSL_GET" => {
            let settings = node.settings();
            let urls = node.all("url").filter_map(|n| url(n, &settings, around, findings));
            let urls: Vec<Url> = urls.collect();
            if !urls.is_empty() {
                return Some(Check::Http {
                    tls: node.name() == "SSL_GET",
                    urls,
                    version: text("http_protocol").unwrap_or_else(|| "1.0".to_owned()),
                    fast_recovery: node.flag("fast_recovery").unwrap_or(false),
                });
            }
            ("HTTP/SSL_GET checker has no urls specified - ignoring", "`url { path / }` is missing")
        }
        "MISC_CHECK" => {
            if let Some(command) = node.last("misc_path") {
                let words: Vec<&str> =
                    command.words.iter().skip(1).map(|w| w.text.as_str()).collect();
                let timeout = node.time("misc_timeout").filter(|t| *t > Span::ZERO);
                return Some(Check::Misc {
                    command: words.join(" "),
                    timeout: timeout.unwrap_or(delay_loop),
                    dynamic: node.has("misc_dynamic"),
                });
            }
            (
                "No script path has been specified for MISC_CHECKER - skipping",
                "`misc_path COMMAND` is missing",
            )
        }
        "BFD_CHECK" => {
            if let Some(name) = text("name") {
                return Some(Check::Bfd(name));
            }
            ("No name has been specified for BFD_CHECKER - skipping", "`name` is missing")
        }
        "FILE_CHECK" => {
            if let Some(check) = file(node, around, findings) {
                return Some(check);
            }
            ("FILE_CHECK has no track_file specified - ignoring", "`track_file` is missing")
        }
        _ => return None,
    };
    findings.error(&node.place(), lacks.0, lacks.1);
    None
}

fn smtp(node: &Node) -> Check {
    let host = |n: &Node| (n.text("connect_ip").and_then(address), n.number("connect_port"));
    let helo = node.text("helo_name").unwrap_or("smtpchecker.keepalived.org").to_owned();
    Check::Smtp { helo, hosts: node.all("host").map(host).collect() }
}

fn udp(node: &Node, findings: &mut Findings) -> Check {
    let digits = |line: &Node| -> String {
        line.words.iter().skip(1).flat_map(|w| w.text.chars()).collect::<String>()
    };
    let payload = node.last("payload").and_then(|line| {
        let bytes = bytes(&digits(line));
        if bytes.is_none() {
            let message = "Invalid hex string for UDP_CHECK payload";
            findings.error(&line.place(), message, "expected pairs of hexadecimal digits");
        }
        bytes
    });
    let reply = node.last("require_reply");
    let expected = reply.map(digits).filter(|d| !d.is_empty());
    if let (Some(line), Some(digits)) = (reply, &expected)
        && bytes(&digits.replace(['x', 'X'], "0")).is_none()
    {
        let message = "Invalid hex string for UDP_CHECK reply";
        findings.error(&line.place(), message, "expected pairs of hexadecimal digits or x");
    }
    let lengths = (
        node.number("min_reply_length").unwrap_or(0),
        node.number("max_reply_length").unwrap_or(255),
    );
    if lengths.0 > lengths.1 {
        let message = format!(
            "UDP_CHECK min_reply length {} > max_reply_length {} - will always fail",
            lengths.0, lengths.1
        );
        findings.error(&node.end, message, "no answer has such a length");
    }
    Check::Udp { payload, reply: reply.is_some(), expected, lengths }
}

/// Bytes of pairs of hexadecimal digits, at least one.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        digits.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    let good = !digits.is_empty() && digits.len().is_multiple_of(2);
    good.then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn file(node: &Node, around: Around<'_>, findings: &mut Findings) -> Option<Check> {
    let line = node.last("track_file")?;
    let name = line.word(1)?;
    let Some(file) = around.files.get(name) else {
        let message = format!("track_file {name} not found");
        findings.error(&line.place(), message, "no such `track_file`");
        return None;
    };
    let stated = node.last("weight");
    let (weight, reverse) = match node.number("weight") {
        Some(weight) => (weight, stated.is_some_and(|w| w.word(2).is_some())),
        None => (file.weight, file.reverse),
    };
    Some(Check::File { file: name.to_owned(), weight, reverse })
}

/// A `url` block; `None` without a path.
fn url(node: &Node, checker: &Node, around: Around<'_>, findings: &mut Findings) -> Option<Url> {
    let text = |name: &str| node.text(name).map(str::to_owned);
    let mut status = Vec::new();
    for word in node.all("status_code").flat_map(|l| l.words.iter().skip(1)) {
        match codes(word) {
            Ok(codes) => status.push(codes),
            Err(problem) => findings.problems.push(problem),
        }
    }
    if status.is_empty() {
        status.push((200, 299));
    }
    let Some(path) = text("path") else {
        let message = "HTTP/SSL_GET checker url has no path - ignoring";
        findings.error(&node.end, message, "`path /` is missing");
        return None;
    };
    let blocks = [node, checker, around.real, around.service];
    let host = blocks.iter().find_map(|n| n.text("virtualhost")).map(str::to_owned);
    let page = text("regex").map(|pattern| Page {
        pattern,
        no_match: node.has("regex_no_match"),
        options: node
            .all("regex_options")
            .flat_map(|l| l.words.iter().skip(1))
            .map(|w| w.text.clone())
            .collect(),
        min_offset: node.number("regex_min_offset").unwrap_or(0),
        max_offset: node.number("regex_max_offset").unwrap_or(0),
    });
    Some(Url { path, virtualhost: host, digest: text("digest"), status, page })
}

/// `N` or `FIRST-LAST`.
fn codes(word: &Word) -> Result<(u16, u16), Problem> {
    let (first, last) = word.text.split_once('-').unwrap_or((&word.text, &word.text));
    let code = |t: &str| t.parse().ok().filter(|n| (100..=599).contains(n));
    match (code(first), code(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first, last)),
        _ => {
            let message = format!("Invalid HTTP_GET status code '{}'", word.text);
            Err(Problem::new(&word.place, message, "expected N or FIRST-LAST from 100 to 599"))
        }
    }
}
