//! Addresses with ports as ipvsadm reads them.

use super::Names;
use super::names::{port_of, services};
use super::words::Word;
use crate::diagnostic::{Place, Problem};
use crate::format::words::{list, nearest};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address with a port that may be absent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address {
    pub(super) ip: IpAddr,
    pub(super) port: Option<u16>,
}

/// Reads `host[:port]` or `[IPv6]:port` for a protocol.
pub(super) fn address(
    (text, place): &Word<'_>,
    protocol: u8,
    names: &Names,
    wrong: &str,
) -> Result<Address, Problem> {
    if let Some(inner) = text.strip_prefix('[') {
        let label = "expected [ADDRESS]:PORT with an IPv6 address";
        let (ip, port) = inner.split_once("]:").ok_or_else(|| Problem::new(place, wrong, label))?;
        let ip = ip.parse::<Ipv6Addr>().map_err(|_| Problem::new(place, wrong, label))?;
        let port = port_number(port, place, protocol, wrong)?;
        return Ok(Address { ip: ip.into(), port: Some(port) });
    }
    if let Ok(ip) = text.parse::<Ipv6Addr>() {
        return Ok(Address { ip: ip.into(), port: None });
    }
    let (host, port) = text.rsplit_once(':').map_or((*text, None), |(h, p)| (h, Some(p)));
    let ip = host_address(host, text, place, names, wrong)?;
    let port = port.map(|p| port_number(p, place, protocol, wrong)).transpose()?;
    Ok(Address { ip, port })
}

fn host_address(
    host: &str,
    whole: &str,
    place: &Place,
    names: &Names,
    wrong: &str,
) -> Result<IpAddr, Problem> {
    // a number alone is most likely a port or a mark, so ipvsadm takes none
    let number = whole.chars().all(|c| c.is_ascii_digit());
    if let Some(ip) = (!number).then(|| inet_aton(host)).flatten() {
        return Ok(ip.into());
    }
    if let Some(ip) = names.address(host) {
        return Ok(ip);
    }
    let here = Place::new(place.file, place.span.start..place.span.start + host.len());
    if host.is_empty() || !host.contains(|c: char| c.is_ascii_alphabetic()) {
        return Err(Problem::new(place, wrong, "expected ADDRESS:PORT or [IPv6]:PORT"));
    }
    let known: Vec<&str> = names.hosts().collect();
    Err(if known.is_empty() {
        let label = "no host has a name here, addresses must be given as numbers";
        Problem::new(&here, wrong, label).help("`ipvsadm-save -n` prints them so")
    } else {
        let problem = Problem::new(&here, wrong, format!("no host is called `{host}`"));
        match nearest(host, known.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!("known are {}", list(known.iter().take(12)))),
        }
    })
}

fn port_number(text: &str, place: &Place, protocol: u8, wrong: &str) -> Result<u16, Problem> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(port);
    }
    if let Some(port) = port_of(text, protocol) {
        return Ok(port);
    }
    let here = Place::new(place.file, place.span.end.saturating_sub(text.len())..place.span.end);
    if !text.contains(|c: char| c.is_ascii_alphabetic()) {
        return Err(Problem::new(&here, wrong, "a port is from 0 to 65535, or a service name"));
    }
    let label = format!("no service of this protocol is called `{text}`");
    let problem = Problem::new(&here, wrong, label);
    Err(match nearest(text, services(protocol)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help("a port can be given as a number"),
    })
}

/// An IPv4 address in any of the forms of `inet_aton`: one to four numbers, decimal, octal with `0`
/// or hexadecimal with `0x` in front; the last one fills what is left.
pub(super) fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u64> = text.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|p| *p > 255) {
        return None;
    }
    let left = 8 * (4 - first.len() as u32);
    if *last >> left != 0 {
        return None;
    }
    let high = first.iter().fold(0, |sum, part| sum << 8 | part) << left;
    u32::try_from(high | last).ok().map(Ipv4Addr::from_bits)
}

fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    let plain = digits.chars().all(|c| c.is_digit(radix)) && digits.len() <= 12;
    plain.then(|| u64::from_str_radix(digits, radix).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::wire::proto;

    fn read(text: &str) -> Result<(String, Option<u16>), String> {
        let place = Place::default();
        let mut names = Names::default();
        names.add("web1", "10.0.0.9".parse().unwrap());
        address(&(text, place), proto::TCP, &names, "wrong")
            .map(|a| (a.ip.to_string(), a.port))
            .map_err(|p| p.label)
    }

    #[test]
    fn every_form_of_an_address_is_read() {
        for (text, ip, port) in [
            ("10.0.0.1:80", "10.0.0.1", Some(80)),
            ("10.0.0.1", "10.0.0.1", None),
            ("10.1:https", "10.0.0.1", Some(443)),
            ("0x0a.0.0.010:http", "10.0.0.8", Some(80)),
            ("web1:ssh", "10.0.0.9", Some(22)),
            ("[2001:db8::1]:80", "2001:db8::1", Some(80)),
            ("2001:db8::1", "2001:db8::1", None),
        ] {
            assert_eq!(read(text), Ok((ip.to_owned(), port)), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_so() {
        for text in [
            "",
            ":",
            "5",
            "10.0.0.1:",
            "10.0.0.1:70000",
            "1.2.3.4.5",
            "256.0.0.1",
            "[2001:db8::1]",
            "[10.0.0.1]:80",
            "web2:80",
            "10.0.0.1:htpt",
            "10..1:80",
            "0xg.1:80",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
