//! Conditions of rules.

use super::super::action::{Family, Net, Word};
use super::super::netfilter::{Ipvs, Match};
use super::super::words::{Words, masked_number, net, number, parse_number, unknown, wrong};
use crate::diagnostic::Problem;
use crate::format::words::list;
use core::net::IpAddr;
use core::ops::RangeInclusive;

/// The options, for messages.
pub(super) const OPTIONS: [&str; 33] = [
    "-s",
    "-d",
    "-p",
    "-i",
    "-o",
    "-m",
    "--source",
    "--destination",
    "--protocol",
    "--in-interface",
    "--out-interface",
    "--match",
    "--sport",
    "--dport",
    "--source-port",
    "--destination-port",
    "--sports",
    "--dports",
    "--ports",
    "--source-ports",
    "--destination-ports",
    "--tcp-flags",
    "--syn",
    "--icmp-type",
    "--mark",
    "--state",
    "--ctstate",
    "--vaddr",
    "--vport",
    "--vproto",
    "--vdir",
    "--ipvs",
    "--comment",
];

/// Conditions while they are read.
#[derive(Debug, Default)]
pub(super) struct Matches {
    found: Vec<Match>,
    ipvs: Option<Ipvs>,
    modules: Vec<String>,
    /// A `!` before the next option.
    invert: bool,
    protocol: Option<u8>,
}

const MODULES: [&str; 12] = [
    "tcp",
    "udp",
    "sctp",
    "multiport",
    "mark",
    "state",
    "conntrack",
    "ipvs",
    "iprange",
    "addrtype",
    "comment",
    "icmp",
];

impl Matches {
    /// The protocol of the rule.
    pub(super) const fn protocol(&self) -> Option<u8> {
        self.protocol
    }

    /// Takes an option; `false` if it is none of these.
    pub(super) fn option(
        &mut self,
        word: &Word,
        words: &mut Words<'_>,
        family: Family,
    ) -> Result<bool, Problem> {
        if word.value == "!" {
            self.invert = true;
            return Ok(true);
        }
        let text = word.value.as_str();
        // old rules write the exclamation mark behind the option
        if OPTIONS.contains(&text) && words.peek_text() == "!" {
            words.take();
            self.invert = true;
        }
        let not = self.invert;
        let matched = match text {
            "-s" | "--source" | "--src" => Match::Source(block(words, family)?, not),
            "-d" | "--destination" | "--dst" => Match::Destination(block(words, family)?, not),
            "-p" | "--protocol" | "--proto" => {
                let word = words.value("a protocol")?;
                self.invert = false;
                if word.value == "all" || word.value == "0" {
                    return Ok(true);
                }
                let number = protocol(word)?;
                self.protocol = Some(number);
                Match::Protocol(number, not)
            }
            "-i" | "--in-interface" => {
                Match::Input(words.value("an interface")?.value.clone(), not)
            }
            "-o" | "--out-interface" => {
                Match::Output(words.value("an interface")?.value.clone(), not)
            }
            "-m" | "--match" => {
                self.module(words.value("a match")?)?;
                return Ok(true);
            }
            "--comment" => {
                words.value("a text")?;
                return Ok(true);
            }
            "-f" | "--fragment" => {
                let message = "rules for fragments are not simulated";
                return Err(Problem::new(&word.place, message, "leave it out"));
            }
            _ => match self.module_option(word, words, not)? {
                Some(matched) => matched,
                None => {
                    return Ok(self
                        .ipvs_option(text, words, not)?
                        .inspect(|()| self.invert = false)
                        .is_some());
                }
            },
        };
        self.invert = false;
        self.found.push(matched);
        Ok(true)
    }

    fn module(&mut self, word: &Word) -> Result<(), Problem> {
        match word.value.as_str() {
            "limit" | "hashlimit" | "recent" | "statistic" | "string" | "owner" | "set"
            | "connlimit" | "mac" | "length" | "ttl" | "time" | "physdev" | "connmark" | "tos"
            | "dscp" | "u32" | "bpf" | "socket" => {
                let message = format!("rules with `-m {}` are not simulated", word.value);
                Err(Problem::new(&word.place, message, format!("simulated are {}", list(MODULES))))
            }
            text if MODULES.contains(&text) || text == "icmp6" => {
                self.modules.push(text.to_owned());
                Ok(())
            }
            _ => Err(unknown(word, format!("Couldn't load match `{}'", word.value), &MODULES)),
        }
    }

    fn module_option(
        &mut self,
        word: &Word,
        words: &mut Words<'_>,
        not: bool,
    ) -> Result<Option<Match>, Problem> {
        let text = word.value.as_str();
        if [
            "--sport",
            "--dport",
            "--source-port",
            "--destination-port",
            "--sports",
            "--dports",
            "--ports",
            "--source-ports",
            "--destination-ports",
        ]
        .contains(&text)
            && !matches!(self.protocol, Some(6 | 17 | 132 | 33 | 136))
        {
            let message = format!("unknown option \"{text}\"");
            return Err(Problem::new(
                &word.place,
                message,
                "ports need `-p tcp`, `-p udp` or `-p sctp` before them",
            ));
        }
        let many = text.ends_with('s') && text.contains("port");
        if many && !self.modules.iter().any(|m| m == "multiport") {
            let message = format!("unknown option \"{text}\"");
            return Err(Problem::new(
                &word.place,
                message,
                "lists of ports need `-m multiport` before them",
            ));
        }
        Ok(Some(match text {
            "--sport" | "--source-port" => Match::SourcePorts(ports(words, false)?, not),
            "--dport" | "--destination-port" => Match::DestinationPorts(ports(words, false)?, not),
            "--sports" | "--source-ports" => Match::SourcePorts(ports(words, true)?, not),
            "--dports" | "--destination-ports" => Match::DestinationPorts(ports(words, true)?, not),
            "--ports" => Match::Ports(ports(words, true)?, not),
            "--syn" => Match::TcpFlags(0x17, 0x02, not),
            "--tcp-flags" => {
                let mask = flags(words.value("a list of flags")?)?;
                Match::TcpFlags(mask, flags(words.value("a list of flags")?)?, not)
            }
            "--icmp-type" | "--icmpv6-type" => match icmp(words.value("a type")?)? {
                Some((kind, code)) => Match::Icmp(kind, code, not),
                None => return Ok(None),
            },
            "--mark" => {
                let (value, mask) = masked_number(words.value("a mark")?)?;
                Match::Mark(value, mask, not)
            }
            "--state" | "--ctstate" => Match::State(states(words.value("a list of states")?)?, not),
            "--src-range" => Match::SourceRange(range(words.value("FROM-TO")?)?, not),
            "--dst-range" => Match::DestinationRange(range(words.value("FROM-TO")?)?, not),
            "--dst-type" => {
                let word = words.value("LOCAL")?;
                if word.value != "LOCAL" {
                    return Err(wrong(word, "type of address that is simulated", "LOCAL"));
                }
                Match::DestinationIsLocal(not)
            }
            _ => return Ok(None),
        }))
    }

    fn ipvs_option(
        &mut self,
        text: &str,
        words: &mut Words<'_>,
        not: bool,
    ) -> Result<Option<()>, Problem> {
        if !self.modules.iter().any(|m| m == "ipvs") {
            return Ok(None);
        }
        let ipvs = self.ipvs.get_or_insert_default();
        match text {
            "--ipvs" => ipvs.any = Some(not),
            "--vaddr" => ipvs.address = Some((net(words.value("an address")?)?, not)),
            "--vport" => {
                let port = number(words.value("a port")?, 0, 65_535)?;
                ipvs.port = Some((u16::try_from(port).unwrap_or(0), not));
            }
            "--vproto" => ipvs.protocol = Some((protocol(words.value("a protocol")?)?, not)),
            "--vdir" => {
                let word = words.value("ORIGINAL or REPLY")?;
                ipvs.original = Some(match word.value.as_str() {
                    "ORIGINAL" => true,
                    "REPLY" => false,
                    _ => return Err(wrong(word, "direction", "ORIGINAL or REPLY")),
                });
            }
            _ => return Ok(None),
        }
        Ok(Some(()))
    }

    /// All conditions.
    pub(super) fn finish(self) -> Vec<Match> {
        let mut found = self.found;
        found.extend(self.ipvs.map(Match::Ipvs));
        found
    }
}

fn block(words: &mut Words<'_>, family: Family) -> Result<Net, Problem> {
    let word = words.value("an address or block")?;
    if word.value.contains(',') {
        let message = "several addresses in one option are not simulated";
        return Err(Problem::new(&word.place, message, "write a rule for each"));
    }
    let net = net(word)?.masked();
    if net.family() == family {
        Ok(net)
    } else {
        let (tool, kind) =
            if family == Family::V4 { ("iptables", "IPv4") } else { ("ip6tables", "IPv6") };
        Err(wrong(word, &format!("{kind} address"), &format!("one: this is {tool}")))
    }
}

/// An IP protocol by name or number.
pub(in super::super) fn protocol(word: &Word) -> Result<u8, Problem> {
    Ok(match word.value.to_ascii_lowercase().as_str() {
        "tcp" => 6,
        "udp" => 17,
        "sctp" => 132,
        "icmp" => 1,
        "icmpv6" | "ipv6-icmp" | "icmp6" => 58,
        "ipip" | "ipencap" | "ipv4" => 4,
        "gre" => 47,
        "ipv6" => 41,
        "esp" => 50,
        "ah" => 51,
        "vrrp" => 112,
        "udplite" => 136,
        "dccp" => 33,
        text => {
            let number = parse_number(text).and_then(|n| u8::try_from(n).ok());
            number.ok_or_else(|| {
                unknown(
                    word,
                    format!("unknown protocol \"{}\" specified", word.value),
                    &["tcp", "udp", "sctp", "icmp", "icmpv6", "gre", "ipip"],
                )
            })?
        }
    })
}

/// Ports and ranges of them, by number or by a name that people use.
fn ports(words: &mut Words<'_>, many: bool) -> Result<Vec<RangeInclusive<u16>>, Problem> {
    let word = words.value("a port")?;
    let wrong = || wrong(word, "port", "0 to 65535, or a range such as 8000:8010");
    if !many && word.value.contains(',') {
        let label = "several ports need `-m multiport --dports`";
        return Err(Problem::new(
            &word.place,
            format!("invalid port `{}' specified", word.value),
            label,
        ));
    }
    word.value
        .split(',')
        .map(|part| {
            let (low, high) = part.split_once(':').unwrap_or((part, part));
            let low = if low.is_empty() { Some(0) } else { port(low) };
            let high = if high.is_empty() { Some(65_535) } else { port(high) };
            let (low, high) = low.zip(high).ok_or_else(wrong)?;
            if low <= high { Ok(low..=high) } else { Err(wrong()) }
        })
        .collect()
}

fn port(text: &str) -> Option<u16> {
    Some(match text {
        "ftp-data" => 20,
        "ftp" => 21,
        "ssh" => 22,
        "telnet" => 23,
        "smtp" => 25,
        "domain" => 53,
        "http" | "www" => 80,
        "https" => 443,
        "mysql" => 3306,
        "webcache" | "http-alt" => 8080,
        _ => return text.parse().ok(),
    })
}

fn flags(word: &Word) -> Result<u8, Problem> {
    const NAMES: [(&str, u8); 8] = [
        ("FIN", 0x01),
        ("SYN", 0x02),
        ("RST", 0x04),
        ("PSH", 0x08),
        ("ACK", 0x10),
        ("URG", 0x20),
        ("ALL", 0x3f),
        ("NONE", 0),
    ];
    word.value.split(',').try_fold(0, |bits, name| {
        let found = NAMES.iter().find(|(n, _)| *n == name);
        found.map(|(_, b)| bits | b).ok_or_else(|| {
            let names = NAMES.map(|(n, _)| n);
            unknown(word, format!("Unknown TCP flag `{name}'"), &names)
        })
    })
}

/// Type and code; `None` for any.
fn icmp(word: &Word) -> Result<Option<(u8, Option<u8>)>, Problem> {
    let named = match word.value.as_str() {
        "any" => return Ok(None),
        "echo-reply" | "pong" => Some((0, None)),
        "destination-unreachable" => Some((3, None)),
        "host-unreachable" => Some((3, Some(1))),
        "port-unreachable" => Some((3, Some(3))),
        "fragmentation-needed" => Some((3, Some(4))),
        "redirect" => Some((5, None)),
        "echo-request" | "ping" => Some((8, None)),
        "time-exceeded" => Some((11, None)),
        text => {
            let (kind, code) = text.split_once('/').map_or((text, None), |(k, c)| (k, Some(c)));
            let code = code.map(str::parse::<u8>);
            match (kind.parse::<u8>(), code.transpose()) {
                (Ok(kind), Ok(code)) => Some((kind, code)),
                _ => None,
            }
        }
    };
    named.map(Some).ok_or_else(|| {
        wrong(word, "type of ICMP", "a number, TYPE/CODE, or a name such as echo-request")
    })
}

fn states(word: &Word) -> Result<Vec<String>, Problem> {
    const STATES: [&str; 7] =
        ["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED", "SNAT", "DNAT"];
    word.value
        .split(',')
        .map(|name| {
            let upper = name.to_ascii_uppercase();
            if STATES.contains(&upper.as_str()) {
                Ok(upper)
            } else {
                Err(unknown(word, format!("Bad state \"{name}\""), &STATES))
            }
        })
        .collect()
}

/// Two addresses with a dash between.
pub(super) fn range(word: &Word) -> Result<RangeInclusive<IpAddr>, Problem> {
    let (low, high) = word.value.split_once('-').unwrap_or((&word.value, &word.value));
    match (low.parse::<IpAddr>(), high.parse::<IpAddr>()) {
        (Ok(low), Ok(high)) if low <= high => Ok(low..=high),
        _ => Err(wrong(word, "range of addresses", "FIRST-LAST, such as 10.0.0.1-10.0.0.9")),
    }
}
