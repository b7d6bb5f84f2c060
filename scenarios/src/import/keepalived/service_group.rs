//! `virtual_server_group`.

use super::tree::Node;
use super::values::{mask, net, port};
use super::{Findings, Target};
use crate::diagnostic::Place;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most addresses that an entry may stand for.
const MOST: u128 = 65_536;

/// A group of services that share their real servers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// What it stands for, in the order of the file.
    pub targets: Vec<Target>,
    /// Where it stands.
    pub place: Place,
}

/// The group of a block; `None` if it has no entries.
pub(super) fn read(node: &Node, findings: &mut Findings) -> Option<Group> {
    let name = node.word(1).unwrap_or_default().to_owned();
    let mut targets = Vec::new();
    for entry in &node.inner {
        if entry.name() == "fwmark" {
            let mark = entry.word(1).and_then(|m| m.parse().ok()).unwrap_or(0);
            targets.push(Target::Fwmark { mark, v6: entry.word(2).map(|f| f == "inet6") });
            continue;
        }
        let port = entry.word(1).and_then(port).unwrap_or(0);
        let all = addresses(entry.name()).unwrap_or_default();
        if all.is_empty() {
            let message =
                format!("address range {} ends before it starts - skipping", entry.name());
            findings.error(&entry.place(), message, "expected FIRST-LAST");
        }
        targets.extend(all.into_iter().map(|ip| Target::Address { ip, port }));
    }
    if targets.is_empty() {
        let message = format!("virtual server group {name} has no entries - removing");
        findings.error(&node.end, message, "expected at least one address or mark");
        return None;
    }
    Some(Group { name, targets, place: node.place() })
}

/// The addresses of an entry: `IP`, `IP-LAST`, `IP1-IP2`, `NETWORK/LENGTH`; none if a range ends before it
/// starts. `LAST` is the last octet in decimal, for IPv6 the last 16 bits in hexadecimal.
pub(super) fn addresses(text: &str) -> Option<Vec<IpAddr>> {
    if let Some((first, last)) = text.split_once('-') {
        let first: IpAddr = first.parse().ok()?;
        let last = match (last.parse::<IpAddr>(), first) {
            (Ok(last), _) => last,
            (Err(_), IpAddr::V4(ip)) => {
                let octet: u8 = last.parse().ok()?;
                Ipv4Addr::from_bits(ip.to_bits() & !0xff | u32::from(octet)).into()
            }
            (Err(_), IpAddr::V6(ip)) => {
                let piece = u16::from_str_radix(last, 16).ok()?;
                Ipv6Addr::from_bits(ip.to_bits() & !0xffff | u128::from(piece)).into()
            }
        };
        return between(first, last);
    }
    let (ip, length) = match text.split_once('/') {
        Some((ip, length)) if length.contains('.') => (ip.parse().ok()?, mask(length)?),
        _ => net(text)?,
    };
    let bits = if ip.is_ipv4() { 32 } else { 128 };
    let free = u32::from(bits - length);
    let size = 1_u128.checked_shl(free).filter(|s| *s <= MOST)?;
    let start = number(ip);
    start.is_multiple_of(size).then(|| (0..size).map(|n| like(ip, start + n)).collect())
}

fn between(first: IpAddr, last: IpAddr) -> Option<Vec<IpAddr>> {
    if first.is_ipv4() != last.is_ipv4() {
        return None;
    }
    let (start, end) = (number(first), number(last));
    if end <= start {
        return Some(Vec::new());
    }
    (end - start < MOST).then(|| (start..=end).map(|n| like(first, n)).collect())
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// A number as an address of the same family.
fn like(ip: IpAddr, number: u128) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::from_bits(number as u32).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(number).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_stands_for_all_its_addresses() {
        let shown = |t: &str| {
            addresses(t).map(|a| {
                let ends = a.first().zip(a.last()).map(|(f, l)| format!("{f} {l}"));
                (a.len(), ends.unwrap_or_default())
            })
        };
        let some = |n, text: &str| Some((n, text.to_owned()));
        assert_eq!(shown("10.0.0.9"), some(1, "10.0.0.9 10.0.0.9"));
        assert_eq!(shown("192.168.200.1-10"), some(10, "192.168.200.1 192.168.200.10"));
        assert_eq!(shown("2001:db8::1-1f"), some(31, "2001:db8::1 2001:db8::1f"));
        assert_eq!(shown("10.0.0.250-10.0.1.5"), some(12, "10.0.0.250 10.0.1.5"));
        assert_eq!(shown("10.0.0.0/30"), some(4, "10.0.0.0 10.0.0.3"));
        assert_eq!(shown("10.0.0.5-5"), some(0, ""));
        for wrong in ["10.0.0.1/30", "10.0.0.0/8", "x", "10.0.0.1-x", "10.0.0.1-2001:db8::1", ""] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }
}
