//! Targets of rules.

use super::super::action::Word;
use super::super::netfilter::{Range, Rule, Table, Target};
use super::super::words::{Words, masked_number, wrong};
use super::matches::{Matches, range};
use crate::diagnostic::{At, Problem};
use crate::format::words::{list, nearest};
use core::ops::RangeInclusive;

/// The options, for messages.
pub(super) const OPTIONS: [&str; 10] = [
    "--jump",
    "--set-mark",
    "--set-xmark",
    "--and-mark",
    "--or-mark",
    "--to-source",
    "--to-destination",
    "--to-ports",
    "--reject-with",
    "--random",
];

const TARGETS: [&str; 11] = [
    "ACCEPT",
    "DROP",
    "REJECT",
    "RETURN",
    "MARK",
    "SNAT",
    "DNAT",
    "MASQUERADE",
    "REDIRECT",
    "NOTRACK",
    "LOG",
];

/// A target while its words are read.
#[derive(Debug, Default)]
pub(super) struct TargetParts {
    name: Option<Word>,
    mark: Option<(u32, u32)>,
    to: Option<Word>,
    ports: Option<Word>,
    reject: Option<String>,
    notrack: bool,
    /// What `CONNMARK` does.
    connection: Option<Target>,
}

impl TargetParts {
    /// Takes an option; `false` if it is none of these.
    pub(super) fn option(&mut self, word: &Word, words: &mut Words<'_>) -> Result<bool, Problem> {
        let full = u32::MAX;
        match word.value.as_str() {
            "-j" | "--jump" | "-g" | "--goto" => self.name = Some(words.value("a target")?.clone()),
            // bits of the mask become those of the value
            "--set-mark" => {
                let (value, mask) = masked_number(words.value("a mark")?)?;
                self.mark = Some((value, mask | value));
            }
            "--set-xmark" => self.mark = Some(masked_number(words.value("a mark")?)?),
            "--and-mark" => {
                let (value, _) = masked_number(words.value("a mark")?)?;
                self.mark = Some((0, full ^ value));
            }
            "--or-mark" => {
                let (value, _) = masked_number(words.value("a mark")?)?;
                self.mark = Some((value, value));
            }
            "--xor-mark" => {
                let (value, _) = masked_number(words.value("a mark")?)?;
                self.mark = Some((value, 0));
            }
            "--to-source" | "--to-destination" | "--to" => {
                self.to = Some(words.value("an address")?.clone());
            }
            "--to-ports" => self.ports = Some(words.value("ports")?.clone()),
            "--reject-with" => self.reject = Some(words.value("a type of ICMP")?.value.clone()),
            "--notrack" => self.notrack = true,
            "--save-mark" => self.connection = Some(Target::SaveMark),
            "--restore-mark" => self.connection = Some(Target::RestoreMark),
            "--random" | "--random-fully" | "--persistent" | "--log-ip-options"
            | "--log-tcp-options" => {}
            "--log-prefix" | "--log-level" => {
                words.value("a value")?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn finish(self, matches: &Matches) -> Result<Target, Problem> {
        let Some(name) = &self.name else { return Ok(Target::Nothing) };
        let needs = |option: &str| {
            let message = format!("{}: option \"{option}\" must be specified", name.value);
            Problem::new(&name.place, message, format!("`{option}` is missing"))
        };
        Ok(match name.value.as_str() {
            "ACCEPT" => Target::Accept,
            "DROP" => Target::Drop,
            "REJECT" => Target::Reject(self.reject.clone()),
            "RETURN" => Target::Return,
            "MARK" => {
                let (value, mask) = self.mark.ok_or_else(|| needs("--set-mark"))?;
                Target::Mark { value, mask }
            }
            "SNAT" => Target::Snat(translation(
                self.to.as_ref().ok_or_else(|| needs("--to-source"))?,
                matches,
            )?),
            "DNAT" => Target::Dnat(translation(
                self.to.as_ref().ok_or_else(|| needs("--to-destination"))?,
                matches,
            )?),
            "MASQUERADE" => {
                Target::Masquerade(self.ports.as_ref().map(|p| ports(&p.value, p)).transpose()?)
            }
            "REDIRECT" => {
                Target::Redirect(self.ports.as_ref().map(|p| ports(&p.value, p)).transpose()?)
            }
            "NOTRACK" => Target::Notrack,
            "CT" if self.notrack => Target::Notrack,
            "CONNMARK" => match self.connection {
                Some(target) => target,
                None => return Err(needs("--save-mark")),
            },
            "LOG" | "NFLOG" => Target::Nothing,
            "TPROXY" | "TOS" | "DSCP" | "TTL" | "HL" | "NETMAP" | "CLUSTERIP" | "QUEUE"
            | "NFQUEUE" | "TCPMSS" | "TEE" | "CT" | "SET" | "CLASSIFY" => {
                let message = format!("the target {} is not simulated", name.value);
                return Err(Problem::new(
                    &name.place,
                    message,
                    format!("simulated are {}", list(TARGETS)),
                ));
            }
            // chains of the user are written in any case: a target that is misspelt is near a known one
            text => match nearest(text, TARGETS)
                .filter(|n| !n.eq_ignore_ascii_case(text) || text.len() > 3)
            {
                Some(near)
                    if text.chars().all(|c| c.is_ascii_uppercase())
                        || near.eq_ignore_ascii_case(text) =>
                {
                    let message = format!("Couldn't load target `{text}'");
                    let problem =
                        Problem::new(&name.place, message, format!("known are {}", list(TARGETS)));
                    return Err(problem.help(format!("did you mean `{near}`?")));
                }
                _ => Target::Chain(text.to_owned()),
            },
        })
    }
}

/// `ADDRESS[-ADDRESS][:PORT[-PORT]]`, IPv6 addresses in brackets if ports follow.
fn translation(word: &Word, matches: &Matches) -> Result<Range, Problem> {
    let text = word.value.as_str();
    let (addresses, behind) = if let Some(rest) = text.strip_prefix('[') {
        let (inside, behind) = rest.split_once(']').unwrap_or((rest, ""));
        (inside, behind.strip_prefix(':'))
    } else if text.matches(':').count() > 1 {
        (text, None)
    } else {
        text.split_once(':').map_or((text, None), |(a, p)| (a, Some(p)))
    };
    let addresses = if addresses.is_empty() {
        None
    } else {
        Some(range(&At::new(addresses.to_owned(), word.place.clone()))?)
    };
    let ports = behind.map(|p| ports(p, word)).transpose()?;
    if ports.is_some() && matches.protocol().is_none() {
        let message = "Need TCP, UDP, SCTP or DCCP with port specification";
        return Err(Problem::new(&word.place, message, "`-p tcp` or another protocol is missing"));
    }
    Ok(Range { addresses, ports })
}

fn ports(text: &str, word: &Word) -> Result<RangeInclusive<u16>, Problem> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    match (low.parse::<u16>(), high.parse::<u16>()) {
        (Ok(low), Ok(high)) if low <= high => Ok(low..=high),
        _ => Err(wrong(word, "port", "1 to 65535, or a range such as 1024-65535")),
    }
}

/// Whether the table and chain know the target.
pub(super) fn check(rule: &Rule, table: Table, chain: &Word) -> Result<(), Problem> {
    let built_in = Table::ALL.iter().any(|t| t.chains().contains(&chain.value.as_str()));
    if built_in && !table.chains().contains(&chain.value.as_str()) {
        let message = format!("iptables: No chain/target/match by that name: {}", chain.value);
        let label = format!("the table {} has {}", table.name(), list(table.chains()));
        return Err(Problem::new(&chain.place, message, label));
    }
    let (tables, chains): (&[Table], &[&str]) = match rule.target {
        Target::Snat(_) => (&[Table::Nat], &["POSTROUTING", "INPUT"]),
        Target::Masquerade(_) => (&[Table::Nat], &["POSTROUTING"]),
        Target::Dnat(_) | Target::Redirect(_) => (&[Table::Nat], &["PREROUTING", "OUTPUT"]),
        Target::Reject(_) => (&[Table::Filter], &["INPUT", "FORWARD", "OUTPUT"]),
        Target::Notrack => (&[Table::Raw], &[]),
        _ => return Ok(()),
    };
    let table_fits = tables.contains(&table);
    if table_fits && (!built_in || chains.is_empty() || chains.contains(&chain.value.as_str())) {
        return Ok(());
    }
    let names: Vec<&str> = tables.iter().map(|t| t.name()).collect();
    let (message, label) = if table_fits {
        (
            "iptables: Invalid argument: the target is not for this chain",
            format!("expected {}", list(chains)),
        )
    } else {
        (
            "iptables: Invalid argument: the target is not for this table",
            format!("expected `-t {}`", list(names)),
        )
    };
    Err(Problem::new(if table_fits { &chain.place } else { &rule.place }, message, label))
}
