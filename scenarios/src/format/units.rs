//! Values with units: spans, rates, sizes, shares, addresses.
//!
//! Every function takes the text of one value and returns it, or says in a few words what is
//! allowed there.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use sim_core::config::{HopConfig, LinkEnd, Net, QueueLimit, RouteConfig};
use sim_core::engine::Span;
use sim_core::wire::Mac;

/// What is allowed, in a few words.
pub type Allowed = String;

const SPAN_UNITS: [(&str, f64); 9] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("\u{b5}s", 1e-6),
    ("\u{3bc}s", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("min", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
];

const RATE_UNITS: [(&str, f64); 5] =
    [("bit/s", 1.0), ("kbit/s", 1e3), ("Mbit/s", 1e6), ("Gbit/s", 1e9), ("Tbit/s", 1e12)];

const SIZE_UNITS: [(&str, f64); 7] = [
    ("B", 1.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
];

const FREQUENCY_UNITS: [(&str, f64); 3] = [("/s", 1.0), ("/min", 1.0 / 60.0), ("/h", 1.0 / 3600.0)];

/// Splits `10 ms` into 10 and `ms`; the number is finite and not negative.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end =
        text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(text.len());
    // 1e6 and 1.5e-3: an exponent belongs to the number if digits follow it
    let end = exponent_end(text, end);
    let number: f64 = text[..end].replace('_', "").parse().ok()?;
    number.is_finite().then(|| (number, text[end..].trim()))
}

fn exponent_end(text: &str, end: usize) -> usize {
    let rest = &text.as_bytes()[end..];
    if end == 0 || !matches!(rest.first(), Some(b'e' | b'E')) {
        return end;
    }
    let sign = usize::from(matches!(rest.get(1), Some(b'+' | b'-')));
    let digits = rest[1 + sign..].iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 { end } else { end + 1 + sign + digits }
}

fn with_unit(text: &str, units: &[(&str, f64)], allowed: &str) -> Result<f64, Allowed> {
    let (number, unit) = split(text).ok_or_else(|| allowed.to_owned())?;
    let factor = units
        .iter()
        .find(|(name, _)| *name == unit)
        .or_else(|| units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)));
    match factor {
        Some((_, factor)) => Ok(number * factor),
        None if unit.is_empty() => Err(format!("{allowed}; the unit is missing")),
        None => Err(format!("{allowed}; `{unit}` is no such unit")),
    }
}

/// What a span looks like.
pub const SPAN: &str = "a time such as \"10ms\" (ns, us, ms, s, min, h, d)";
/// What a rate looks like.
pub const RATE: &str =
    "a rate such as \"1Gbit/s\" (bit/s, kbit/s, Mbit/s, Gbit/s), or \"unlimited\"";
/// What a size looks like.
pub const SIZE: &str = "a size such as \"64KiB\" (B, kB, MB, GB, KiB, MiB, GiB)";
/// What a frequency looks like.
pub const FREQUENCY: &str = "a frequency such as \"2000/s\" (/s, /min, /h)";
/// What a share looks like.
pub const SHARE: &str = "a share such as \"0.1%\" or 0.001, from 0 to 1";
/// What a queue limit looks like.
pub const QUEUE: &str = "a limit such as \"1000 packets\" or \"256KiB\"";

/// Seconds of a time.
///
/// # Errors
/// Not a number with a unit of time, or longer than [`Span::MAX`].
pub fn seconds(text: &str) -> Result<f64, Allowed> {
    let s = with_unit(text, &SPAN_UNITS, SPAN)?;
    if s > Span::MAX.as_secs_f64() { Err("at most 100 years".to_owned()) } else { Ok(s) }
}

/// A time.
///
/// ```
/// use scenarios::format::units::span;
/// use sim_core::engine::Span;
/// assert_eq!(span("1.5 ms"), Ok(Span::from_micros(1500)));
/// assert!(span("10").is_err());
/// ```
///
/// # Errors
/// As [`seconds`].
pub fn span(text: &str) -> Result<Span, Allowed> {
    seconds(text).map(Span::from_secs_f64)
}

/// Bits per second; 0 for `unlimited`.
///
/// # Errors
/// Not a rate, or 0.
pub fn rate(text: &str) -> Result<u64, Allowed> {
    if text.trim() == "unlimited" {
        return Ok(0);
    }
    let bps = with_unit(text, &RATE_UNITS, RATE)?;
    if (1.0..=1e15).contains(&bps) {
        Ok((bps + 0.5) as u64)
    } else {
        Err("a rate from 1bit/s to 1000Tbit/s".to_owned())
    }
}

/// Bytes.
///
/// # Errors
/// Not a size.
pub fn bytes(text: &str) -> Result<f64, Allowed> {
    let b = with_unit(text, &SIZE_UNITS, SIZE)?;
    if b > 1e18 { Err("at most 1e18 bytes".to_owned()) } else { Ok(b) }
}

/// Events per second.
///
/// # Errors
/// Not a frequency above 0.
pub fn frequency(text: &str) -> Result<f64, Allowed> {
    let f = with_unit(text, &FREQUENCY_UNITS, FREQUENCY)?;
    if f > 0.0 && f <= 1e9 { Ok(f) } else { Err("above 0 and at most 1e9 a second".to_owned()) }
}

/// A number without a unit, not negative.
///
/// # Errors
/// Not a number.
pub fn number(text: &str) -> Result<f64, Allowed> {
    match split(text) {
        Some((n, "")) => Ok(n),
        _ => Err("a number without a unit".to_owned()),
    }
}

/// A probability or share, 0 to 1, as a number or in percent.
///
/// # Errors
/// Not a number in the range.
pub fn share(text: &str) -> Result<f64, Allowed> {
    let value = match split(text) {
        Some((n, "%")) => n / 100.0,
        Some((n, "")) => n,
        _ => return Err(SHARE.to_owned()),
    };
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(SHARE.to_owned()) }
}

/// A drop-tail limit.
///
/// # Errors
/// Neither a number of packets nor a size.
pub fn queue(text: &str) -> Result<QueueLimit, Allowed> {
    match split(text) {
        Some((n, "packets" | "packet")) if n <= f64::from(u32::MAX) => {
            Ok(QueueLimit::Packets(n as u32))
        }
        _ => bytes(text).map(|b| QueueLimit::Bytes(b as u64)).map_err(|_| QUEUE.to_owned()),
    }
}

/// An IPv4 or IPv6 address.
///
/// # Errors
/// Neither four numbers with dots nor groups of hexadecimal digits with colons.
pub fn address(text: &str) -> Result<IpAddr, Allowed> {
    text.trim().parse().map_err(|_| "an IP address such as 192.168.10.11 or fd00:10::11".to_owned())
}

/// An address with the length of its prefix; all of its bits if none is given.
///
/// # Errors
/// Not an address, or a length above 32 (IPv6: 128).
pub fn interface_address(text: &str) -> Result<Net, Allowed> {
    let allowed = || "an address with a prefix length such as 192.168.10.11/24".to_owned();
    let Some((ip, len)) = text.trim().split_once('/') else {
        return address(text).map(Net::host).map_err(|_| allowed());
    };
    let ip = address(ip).map_err(|_| allowed())?;
    match len.parse::<u8>() {
        Ok(len) if len <= Net::host(ip).len => Ok(Net::new(ip, len)),
        _ => Err(allowed()),
    }
}

/// A block of addresses: `192.168.10.0/24`.
///
/// # Errors
/// Not a block, or bits set beyond the length.
pub fn prefix(text: &str) -> Result<Net, Allowed> {
    let allowed = || "a block such as 192.168.10.0/24".to_owned();
    if !text.contains('/') {
        return Err(allowed());
    }
    let a = interface_address(text).map_err(|_| allowed())?;
    let block = a.network();
    if block == a {
        Ok(block)
    } else {
        Err(format!("a block; the one that holds this address is {block}"))
    }
}

/// `address:port`, an IPv6 address in brackets.
///
/// # Errors
/// Not an address and a port from 1 to 65535.
pub fn endpoint(text: &str) -> Result<(IpAddr, u16), Allowed> {
    let allowed =
        || "an address and a port such as 192.168.10.200:80 or [fd00:10::c8]:80".to_owned();
    let (ip, port) = text.trim().rsplit_once(':').ok_or_else(allowed)?;
    let ip = match ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')) {
        Some(v6) => v6.parse().map(IpAddr::V6).map_err(|_| allowed())?,
        None => ip.parse().map(IpAddr::V4).map_err(|_| allowed())?,
    };
    match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok((ip, port)),
        _ => Err(allowed()),
    }
}

/// Most addresses of a range.
const LARGEST_RANGE: u128 = 65_536;

/// One address, a range `a-b`, or a block `a/len` without its first and last address.
///
/// # Errors
/// Neither of them, or more than 65536 addresses.
pub fn address_range(text: &str) -> Result<Vec<IpAddr>, Allowed> {
    let allowed = || "an address, a range such as 10.0.0.10-10.0.0.99, or a block".to_owned();
    let (first, last) = if let Some((a, b)) = text.split_once('-') {
        (address(a).map_err(|_| allowed())?, address(b).map_err(|_| allowed())?)
    } else if text.contains('/') {
        let block = prefix(text)?;
        let bits = Net::host(block.addr).len;
        if block.len + 2 > bits {
            return Err(allowed());
        }
        let size = 1_u128.checked_shl(u32::from(bits - block.len)).unwrap_or(0);
        (later(block.addr, 1), later(block.addr, size.wrapping_sub(2)))
    } else {
        let a = address(text).map_err(|_| allowed())?;
        (a, a)
    };
    let distance = bits_of(last).wrapping_sub(bits_of(first));
    if first.is_ipv4() != last.is_ipv4() || first > last || distance >= LARGEST_RANGE {
        return Err("a range from low to high of at most 65536 addresses".to_owned());
    }
    Ok((0..=distance).map(|n| later(first, n)).collect())
}

/// An address as a number.
const fn bits_of(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(a) => a.to_bits() as u128,
        IpAddr::V6(a) => a.to_bits(),
    }
}

/// The address `distance` after `ip`, round the end of the address space.
pub const fn later(ip: IpAddr, distance: u128) -> IpAddr {
    match ip {
        IpAddr::V4(a) => IpAddr::V4(Ipv4Addr::from_bits(a.to_bits().wrapping_add(distance as u32))),
        IpAddr::V6(a) => IpAddr::V6(Ipv6Addr::from_bits(a.to_bits().wrapping_add(distance))),
    }
}

/// An Ethernet address, six bytes in hex with colons, not a group address.
///
/// # Errors
/// Anything else.
pub fn mac(text: &str) -> Result<Mac, Allowed> {
    let allowed = || "an Ethernet address such as 02:00:00:00:0a:64".to_owned();
    let mut bytes = [0_u8; 6];
    let mut parts = text.trim().split(':');
    for byte in &mut bytes {
        let part = parts.next().filter(|p| !p.is_empty() && p.len() <= 2).ok_or_else(allowed)?;
        *byte = u8::from_str_radix(part, 16).map_err(|_| allowed())?;
    }
    if parts.next().is_some() {
        return Err(allowed());
    }
    if bytes[0] & 1 == 1 { Err("not a group address".to_owned()) } else { Ok(Mac(bytes)) }
}

/// What a route looks like.
pub const ROUTE: &str = "a route as `ip route add` has it: \"default via 192.168.10.1\", \"10.0.0.0/8 dev eth1 metric 5\"";

/// A route as `ip route add` has it; `nexthop via A nexthop via B` for equal-cost routes.
///
/// # Errors
/// Not such a route.
pub fn route(text: &str) -> Result<RouteConfig, Allowed> {
    let allowed = || ROUTE.to_owned();
    let mut words = text.split_whitespace();
    let to = match words.next().ok_or_else(allowed)? {
        "default" => Net::ALL,
        block if block.contains('/') => prefix(block)?,
        host => Net::host(address(host).map_err(|_| allowed())?),
    };
    let mut route = RouteConfig::new(to, Vec::new());
    let mut hop: Option<HopConfig> = None;
    while let Some(word) = words.next() {
        if word == "nexthop" {
            route.hops.extend(hop.take());
            hop = Some(HopConfig { via: None, dev: None });
            continue;
        }
        let value = words.next().ok_or_else(allowed)?;
        let target = hop.get_or_insert(HopConfig { via: None, dev: None });
        match word {
            "via" => target.via = Some(address(value).map_err(|_| allowed())?),
            "dev" => target.dev = Some(value.to_owned()),
            "metric" => route.metric = value.parse().map_err(|_| allowed())?,
            _ => return Err(allowed()),
        }
    }
    route.hops.extend(hop);
    if route.to == Net::ALL && route.hops.iter().any(|h| h.via.is_some_and(|ip| ip.is_ipv6())) {
        route.to = Net::ALL_V6;
    }
    let complete = route.hops.iter().all(|h| h.via.is_some() || h.dev.is_some());
    if complete && !route.hops.is_empty() { Ok(route) } else { Err(allowed()) }
}

/// `eth0 192.168.10.1 02:00:00:00:0a:01`: interface, address, Ethernet address.
///
/// # Errors
/// Anything else.
pub fn neighbour(text: &str) -> Result<(String, IpAddr, Mac), Allowed> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        [dev, ip, m] => Ok((dev.to_owned(), address(ip)?, mac(m)?)),
        _ => {
            Err("interface, address, Ethernet address: \"eth0 10.0.0.1 02:00:00:00:00:01\"".into())
        }
    }
}

/// `host:interface`, or the name of a switch.
///
/// # Errors
/// An empty name.
pub fn link_end(text: &str) -> Result<LinkEnd, Allowed> {
    let allowed = || "HOST:INTERFACE, or the name of a switch".to_owned();
    match text.trim().split_once(':') {
        Some((host, dev)) if !host.is_empty() && !dev.is_empty() => {
            Ok(LinkEnd::Interface(host.to_owned(), dev.to_owned()))
        }
        None if !text.trim().is_empty() => Ok(LinkEnd::Switch(text.trim().to_owned())),
        _ => Err(allowed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_part_of_the_value() {
        assert_eq!(span("10ms"), Ok(Span::from_millis(10)));
        assert_eq!(span("1.5e-3 s"), Ok(Span::from_micros(1500)));
        assert_eq!(span("50\u{b5}s"), Ok(Span::from_micros(50)));
        assert_eq!(rate("1Gbit/s"), Ok(1_000_000_000));
        assert_eq!(rate("unlimited"), Ok(0));
        assert_eq!(bytes("64KiB"), Ok(65_536.0));
        assert_eq!(frequency("120/min"), Ok(2.0));
        assert_eq!(share("0.1%"), Ok(0.001));
        assert_eq!(queue("1000 packets"), Ok(QueueLimit::Packets(1000)));
        assert_eq!(queue("256KiB"), Ok(QueueLimit::Bytes(262_144)));
    }

    #[test]
    fn a_missing_or_wrong_unit_is_named() {
        assert!(span("10").is_err_and(|e| e.contains("missing")));
        assert!(span("10 parsec").is_err_and(|e| e.contains("parsec")));
        assert!(span("-3ms").is_err());
        assert!(span("").is_err());
        assert!(rate("0bit/s").is_err());
        assert!(share("120%").is_err());
        assert!(frequency("0/s").is_err());
    }

    #[test]
    fn addresses_routes_and_ends_are_read_as_people_write_them() {
        assert_eq!(route("default via 10.0.0.1").map(|r| r.to), Ok(Net::ALL));
        let ecmp = route("default nexthop via 10.0.0.1 nexthop via 10.0.0.2");
        assert_eq!(ecmp.map(|r| r.hops.len()), Ok(2));
        assert!(route("default").is_err());
        assert!(route("default via").is_err());
        assert!(route("10.0.0.1/8 via 1.1.1.1").is_err_and(|e| e.contains("10.0.0.0/8")));
        assert_eq!(address_range("10.0.0.1-10.0.0.3").map(|a| a.len()), Ok(3));
        assert_eq!(address_range("10.0.0.0/24").map(|a| a.len()), Ok(254));
        assert!(address_range("10.0.0.3-10.0.0.1").is_err());
        assert!(mac("01:00:00:00:00:01").is_err());
        assert_eq!(link_end("sw"), Ok(LinkEnd::Switch("sw".into())));
        assert!(link_end("rs1:").is_err());
        assert!(endpoint("10.0.0.1:0").is_err());
    }
}
