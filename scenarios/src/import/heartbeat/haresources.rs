//! `haresources`.

use super::lines::{blank, words};
use crate::diagnostic::{At, FileId, Place, Problem, Sources};
use crate::format::words::nearest;
use crate::import::findings::Findings;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Behind so many unknown scripts no word is guessed any more: it takes its time.
const MOST_HINTS: usize = 100;

/// The scripts that heartbeat and the packages around it bring.
const SCRIPTS: &[&str] = &[
    "AudibleAlarm",
    "Delay",
    "Filesystem",
    "ICP",
    "IPaddr",
    "IPaddr2",
    "IPsrcaddr",
    "IPv6addr",
    "LVM",
    "LVSSyncDaemonSwap",
    "LinuxSCSI",
    "MailTo",
    "OCF",
    "Raid1",
    "SendArp",
    "ServeRAID",
    "WAS",
    "WinPopup",
    "Xinetd",
    "apache",
    "db2",
    "drbddisk",
    "drbdupper",
    "hto-mapfuncs",
    "ids",
    "ldirectord",
    "portblock",
];

/// What a `haresources` says.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct HaResources {
    /// A line each, in the order of the file.
    pub groups: Vec<Group>,
}

/// Resources that belong together: started from left to right, stopped from right to left.
#[derive(Clone, PartialEq, Debug)]
pub struct Group {
    /// The node that is preferred.
    pub node: At<String>,
    /// The resources.
    pub resources: Vec<At<Resource>>,
}

/// A resource: a script with its arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resource {
    /// The script; `IPaddr` for a bare address.
    pub script: String,
    /// What stands behind it, separated by `::`.
    pub arguments: Vec<String>,
    /// As it is written.
    pub text: String,
    /// The address, if it is one of `IPaddr` or `IPaddr2` that can be read.
    pub address: Option<VirtualAddress>,
}

/// `IP[/MASK[/INTERFACE[/BROADCAST]]]`; parts may be empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VirtualAddress {
    /// The address.
    pub ip: IpAddr,
    /// Length of its prefix; that of the connected network if absent.
    pub length: Option<u8>,
    /// The interface, without the number of its alias; that of the connected network if absent.
    pub interface: Option<String>,
    /// The number of its alias: the 0 of `eth0:0`.
    pub alias: Option<String>,
    /// The broadcast address.
    pub broadcast: Option<IpAddr>,
}

/// Reads a `haresources`.
pub fn read(sources: &Sources, file: FileId) -> (HaResources, Findings) {
    let text = sources.text(file);
    let (mut all, mut findings) = (HaResources::default(), Findings::default());
    let mut carried: Vec<At<&str>> = Vec::new();
    let mut hints = 0;
    for (base, line) in lines(text) {
        let (line, continued) = match line.trim_end().strip_suffix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        carried.extend(words(file, base, line, blank));
        if !continued {
            let words = std::mem::take(&mut carried);
            all.groups.extend(group(&words, &mut hints, &mut findings));
        }
    }
    all.groups.extend(group(&carried, &mut hints, &mut findings));
    if all.groups.is_empty() {
        let place = Place::new(file, 0..0);
        findings.warn(&place, "there are no resources", "expected NODE RESOURCE...");
    }
    repeated(&all, &mut findings);
    (all, findings)
}

/// Lines without comments; a `\` at the end of a commented line continues nothing.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    super::lines::without_comments(text)
}

fn group(words: &[At<&str>], hints: &mut usize, findings: &mut Findings) -> Option<Group> {
    let (node, resources) = words.split_first()?;
    if node.value.contains("::") || is_bare(node.value) {
        let message = format!("the line begins with the resource {}", node.value);
        findings.warn(&node.place, message, "the preferred node is missing: NODE RESOURCE...");
    } else if resources.is_empty() {
        let message = format!("{} has no resources", node.value);
        findings.warn(&node.place, message, "expected NODE RESOURCE...");
    }
    let resources = resources
        .iter()
        .map(|word| {
            let resource = resource(word.value);
            judge(&resource, word, hints, findings);
            At::new(resource, word.place.clone())
        })
        .collect();
    Some(Group { node: At::new(node.value.to_owned(), node.place.clone()), resources })
}

/// A word that the shell takes for an address: `[0-9]*.[0-9]*.[0-9]*.[0-9]*`, as `ResourceManager` has it.
fn is_bare(text: &str) -> bool {
    let digit = |t: &str| t.starts_with(|c: char| c.is_ascii_digit());
    digit(text) && text.split('.').skip(1).filter(|part| digit(part)).count() >= 3
}

fn resource(text: &str) -> Resource {
    let whole = if is_bare(text) { format!("IPaddr::{text}") } else { text.to_owned() };
    let mut parts = whole.split("::").map(str::to_owned);
    let script = parts.next().unwrap_or_default();
    let arguments: Vec<String> = parts.collect();
    let of_address = script == "IPaddr" || script == "IPaddr2";
    let address = arguments.first().filter(|_| of_address).and_then(|a| virtual_address(a));
    Resource { script, arguments, text: text.to_owned(), address }
}

fn virtual_address(text: &str) -> Option<VirtualAddress> {
    let mut parts = text.split('/');
    let ip: IpAddr = parts.next()?.parse().ok()?;
    let mut address =
        VirtualAddress { ip, length: None, interface: None, alias: None, broadcast: None };
    let mut parts: Vec<&str> = parts.collect();
    if parts.len() > 3 {
        return None;
    }
    if let Some(mask) = parts.first().copied().filter(|m| m.is_empty() || length(ip, m).is_some()) {
        address.length = length(ip, mask);
        parts.remove(0);
    }
    // a mask may be left out: what has letters is the interface
    for part in parts.into_iter().filter(|p| !p.is_empty()) {
        if let Ok(broadcast) = part.parse() {
            address.broadcast = Some(broadcast);
        } else if address.interface.is_none() && part.starts_with(|c: char| c.is_ascii_alphabetic())
        {
            let (name, alias) = part.split_once(':').map_or((part, None), |(n, a)| (n, Some(a)));
            address.interface = Some(name.to_owned());
            address.alias = alias.filter(|a| !a.is_empty()).map(str::to_owned);
        } else {
            return None;
        }
    }
    Some(address)
}

/// A prefix length, or a netmask of IPv4.
fn length(ip: IpAddr, text: &str) -> Option<u8> {
    let most = if ip.is_ipv4() { 32 } else { 128 };
    if let Ok(length) = text.parse::<u8>() {
        return (length <= most).then_some(length);
    }
    match text.parse().ok()? {
        IpAddr::V4(mask) if mask.to_bits().leading_ones() == mask.to_bits().count_ones() => {
            Some(mask.to_bits().leading_ones() as u8)
        }
        _ => None,
    }
}

/// What is hardly meant.
fn judge(resource: &Resource, word: &At<&str>, hints: &mut usize, findings: &mut Findings) {
    let script = resource.script.as_str();
    if script == "IPaddr" || script == "IPaddr2" {
        if resource.address.is_none() {
            let message = format!("{} has no address that can be read", word.value);
            let label = "expected IP[/MASK[/INTERFACE[/BROADCAST]]]: the script fails";
            findings.warn(&word.place, message, label);
        }
        return;
    }
    let head = script.split(':').next().unwrap_or_default();
    if script.contains(':') && SCRIPTS.contains(&head) {
        let message = format!("there is no script {script}");
        let help = format!("did you mean `{}`?", word.value.replacen(':', "::", 1));
        let problem = Problem::new(&word.place, message, "arguments stand behind `::`");
        return findings.warnings.push(problem.help(help));
    }
    if SCRIPTS.contains(&script) || *hints >= MOST_HINTS || !word.value.contains("::") {
        return;
    }
    *hints += 1;
    if let Some(near) = nearest(script, SCRIPTS.iter().copied()) {
        let message = format!("{script} is no script that comes with heartbeat");
        let problem = Problem::new(&word.place, message, "looked for in resource.d and init.d");
        findings.warnings.push(problem.help(format!("did you mean `{near}`?")));
    }
}

/// Addresses and lines that are there twice.
fn repeated(all: &HaResources, findings: &mut Findings) {
    let mut addresses: BTreeMap<IpAddr, &str> = BTreeMap::new();
    for group in &all.groups {
        for resource in &group.resources {
            let Some(address) = &resource.value.address else { continue };
            if let Some(node) = addresses.insert(address.ip, &group.node.value) {
                let message = format!("{} stands in a group of {node} already", address.ip);
                findings.warn(&resource.place, message, "both nodes may hold it at a time");
            }
        }
    }
}

impl HaResources {
    /// The groups whose preferred node this is.
    pub fn of<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a Group> {
        self.groups.iter().filter(move |g| g.node.value.eq_ignore_ascii_case(node))
    }
}

/// Whether a text looks like a `haresources`: every line is a node and resources, and one of the
/// resources has arguments behind `::`, or the first of a line is an address.
pub fn looks_like(text: &str) -> bool {
    let (mut sure, mut continued) = (false, false);
    for (_, line) in lines(text) {
        let mut words = line.split_ascii_whitespace().filter(|w| *w != "\\");
        let before = std::mem::replace(&mut continued, line.trim_end().ends_with('\\'));
        if !before {
            let Some(node) = words.next() else { continue };
            if node.contains(['=', '{', '}', '[', '"', '/']) || node.starts_with('-') {
                return false;
            }
        }
        for (n, word) in words.enumerate() {
            if word.starts_with(['-', '=', '{']) {
                return false;
            }
            let (head, argument) = word.split_once("::").unwrap_or((word, ""));
            let script = head.starts_with(|c: char| c.is_ascii_alphabetic())
                && head.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
            sure |= (n == 0 && !before && is_bare(word)) || (script && !argument.is_empty());
        }
    }
    sure
}
