//! Frames as named fields, to say what differs, and as one line, to say what they are.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A field: its name and its value as a person reads it.
pub(super) type Field = (String, String);

/// The fields of an Ethernet frame in the order of its bytes. What cannot be read is shown as bytes.
pub(super) fn fields(frame: &[u8]) -> Vec<Field> {
    let mut all = Dissection { prefix: String::new(), fields: Vec::new() };
    let Some((header, body)) = frame.split_at_checked(14) else {
        all.push("frame", hex(frame));
        return all.fields;
    };
    all.push("eth.dst", mac(&header[..6]));
    all.push("eth.src", mac(&header[6..12]));
    match be16(header, 12) {
        0x0800 => all.ipv4(body, 0),
        0x86dd => all.ipv6(body, 0),
        0x0806 => all.arp(body),
        other => {
            all.push("eth.type", format!("0x{other:04x}"));
            all.push("data", hex(body));
        }
    }
    all.fields
}

/// The first field that differs: its name, its value in both; `-` where it is absent.
pub(super) fn difference(recorded: &[u8], ours: &[u8]) -> Option<(String, String, String)> {
    let (recorded, ours) = (fields(recorded), fields(ours));
    let longest = recorded.len().max(ours.len());
    let get = |list: &[Field], i: usize| -> Field {
        list.get(i).cloned().unwrap_or_else(|| ("end".to_owned(), "-".to_owned()))
    };
    (0..longest).map(|i| (get(&recorded, i), get(&ours, i))).find(|(r, o)| r != o).map(|(r, o)| {
        if r.0 == o.0 { (r.0, r.1, o.1) } else { (r.0.clone(), r.1, format!("{} {}", o.0, o.1)) }
    })
}

/// A frame in a few words: `172.16.0.10:40000 > 192.168.10.200:80 tcp S`.
pub(super) fn summary(frame: &[u8]) -> String {
    let all = fields(frame);
    let get = |name: &str| all.iter().find(|f| f.0 == name).map(|f| f.1.as_str());
    if let Some(op) = get("arp.op") {
        let (from, to) = (get("arp.spa").unwrap_or("?"), get("arp.tpa").unwrap_or("?"));
        return format!("arp {op} {from} > {to}");
    }
    let (Some(src), Some(dst)) = (get("ip.src"), get("ip.dst")) else {
        return format!("a frame of {} bytes", frame.len());
    };
    let mut text = format!("{src} > {dst}");
    let mut above = String::new();
    for (name, value) in &all {
        let last = name.rsplit('.').next().unwrap_or(name);
        match last {
            "proto" => write!(above, " {}", protocol(value)),
            "sport" | "flags" | "type" => write!(above, " {value}"),
            "dport" => write!(above, ">{value}"),
            "code" => write!(above, "/{value}"),
            "offset" if value != "0" => write!(above, " offset {value}"),
            _ => Ok(()),
        }
        .unwrap_or_default();
    }
    text.push_str(&above);
    text
}

fn protocol(number: &str) -> &str {
    match number {
        "1" => "icmp",
        "4" => "ipip",
        "6" => "tcp",
        "17" => "udp",
        "41" => "ipv6",
        "47" => "gre",
        "58" => "icmpv6",
        other => other,
    }
}

/// How deep packets inside packets are shown.
const MAX_DEPTH: u8 = 6;

struct Dissection {
    prefix: String,
    fields: Vec<Field>,
}

impl Dissection {
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts are handed over alike")]
    fn push<V: ToString>(&mut self, name: &str, value: V) {
        self.fields.push((format!("{}{name}", self.prefix), value.to_string()));
    }

    /// The bytes of a payload: their number and a digest, or themselves if they are few.
    fn payload(&mut self, bytes: &[u8]) {
        self.push("payload", bytes.len());
        if bytes.len() <= 16 {
            self.push("bytes", hex(bytes));
        } else {
            let sum = bytes.iter().fold(0_u32, |h, b| h.wrapping_mul(31) ^ u32::from(*b));
            self.push("digest", format!("{sum:08x}"));
        }
    }

    fn arp(&mut self, b: &[u8]) {
        if b.len() < 28 {
            return self.push("arp", hex(b));
        }
        self.push("arp.header", hex(&b[..6]));
        let op = be16(b, 6);
        let name = match op {
            1 => "request".to_owned(),
            2 => "reply".to_owned(),
            other => other.to_string(),
        };
        self.push("arp.op", name);
        self.push("arp.sha", mac(&b[8..14]));
        self.push("arp.spa", v4(b, 14));
        self.push("arp.tha", mac(&b[18..24]));
        self.push("arp.tpa", v4(b, 24));
    }

    fn ipv4(&mut self, b: &[u8], depth: u8) {
        let header = usize::from(b.first().map_or(0, |b| b & 15)) * 4;
        if b.len() < 20 || header < 20 || b.len() < header || b[0] >> 4 != 4 {
            return self.push("ip", hex(b));
        }
        self.push("ip.tos", format!("0x{:02x}", b[1]));
        self.push("ip.len", be16(b, 2));
        self.push("ip.id", be16(b, 4));
        self.push("ip.df", b[6] >> 6 & 1);
        self.push("ip.mf", b[6] >> 5 & 1);
        let offset = (be16(b, 6) & 0x1fff) * 8;
        self.push("ip.offset", offset);
        self.push("ip.ttl", b[8]);
        self.push("ip.proto", b[9]);
        self.push("ip.src", v4(b, 12));
        self.push("ip.dst", v4(b, 16));
        self.push("ip.checksum", format!("0x{:04x}", be16(b, 10)));
        let end = usize::from(be16(b, 2)).clamp(header, b.len());
        self.above(b[9], &b[header..end], offset, depth);
        if end < b.len() {
            self.push("padding", hex(&b[end..]));
        }
    }

    fn ipv6(&mut self, b: &[u8], depth: u8) {
        if b.len() < 40 {
            return self.push("ip", hex(b));
        }
        self.push("ip.class", u16::from(b[0] & 15) << 4 | u16::from(b[1] >> 4));
        self.push("ip.label", u32::from(b[1] & 15) << 16 | u32::from(be16(b, 2)));
        self.push("ip.len", be16(b, 4));
        self.push("ip.ttl", b[7]);
        self.push("ip.proto", b[6]);
        self.push("ip.src", v6(b, 8));
        self.push("ip.dst", v6(b, 24));
        let end = (40 + usize::from(be16(b, 4))).min(b.len());
        self.above(b[6], &b[40..end], 0, depth);
    }

    fn inside(&mut self, prefix: &str, six: bool, b: &[u8], depth: u8) {
        if depth >= MAX_DEPTH {
            return self.payload(b);
        }
        let before = self.prefix.clone();
        self.prefix.push_str(prefix);
        if six {
            self.ipv6(b, depth + 1);
        } else {
            self.ipv4(b, depth + 1);
        }
        self.prefix = before;
    }

    fn above(&mut self, protocol: u8, b: &[u8], offset: u16, depth: u8) {
        match protocol {
            _ if offset > 0 => self.payload(b),
            6 if b.len() >= 20 => self.tcp(b),
            17 if b.len() >= 8 => {
                self.push("udp.sport", be16(b, 0));
                self.push("udp.dport", be16(b, 2));
                self.push("udp.len", be16(b, 4));
                self.push("udp.checksum", format!("0x{:04x}", be16(b, 6)));
                self.payload(&b[8..]);
            }
            1 | 58 if b.len() >= 8 => {
                self.push("icmp.type", b[0]);
                self.push("icmp.code", b[1]);
                self.push("icmp.info", format!("0x{:08x}", be32(b, 4)));
                let quotes =
                    if protocol == 1 { matches!(b[0], 3 | 5 | 11 | 12) } else { b[0] < 128 };
                if quotes {
                    self.inside("quoted.", protocol == 58, &b[8..], depth);
                } else {
                    self.payload(&b[8..]);
                }
                self.push("icmp.checksum", format!("0x{:04x}", be16(b, 2)));
            }
            4 => self.inside("inner.", false, b, depth),
            41 => self.inside("inner.", true, b, depth),
            47 if b.len() >= 4 => {
                let flags = be16(b, 0);
                let header = if flags & 0x8000 != 0 { 8 } else { 4 };
                self.push("gre.flags", format!("0x{flags:04x}"));
                self.push("gre.protocol", format!("0x{:04x}", be16(b, 2)));
                let six = be16(b, 2) == 0x86dd;
                self.inside("inner.", six, b.get(header..).unwrap_or_default(), depth);
                if header == 8 && b.len() >= 8 {
                    self.push("gre.checksum", format!("0x{:08x}", be32(b, 4)));
                }
            }
            _ => self.payload(b),
        }
    }

    fn tcp(&mut self, b: &[u8]) {
        self.push("tcp.sport", be16(b, 0));
        self.push("tcp.dport", be16(b, 2));
        let letters: String = [(2, 'S'), (1, 'F'), (4, 'R'), (8, 'P'), (16, 'A'), (32, 'U')]
            .iter()
            .filter(|(bit, _)| b[13] & bit != 0)
            .map(|(_, letter)| *letter)
            .collect();
        self.push("tcp.flags", letters);
        self.push("tcp.seq", be32(b, 4));
        self.push("tcp.ack", be32(b, 8));
        self.push("tcp.header", format!("0x{:02x}{:02x}", b[12], b[13]));
        self.push("tcp.window", be16(b, 14));
        self.push("tcp.urgent", be16(b, 18));
        let header = usize::from(b[12] >> 4) * 4;
        let header = header.clamp(20, b.len());
        self.push("tcp.options", hex(&b[20..header]));
        self.payload(&b[header..]);
        self.push("tcp.checksum", format!("0x{:04x}", be16(b, 16)));
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes.iter().take(64) {
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}

fn mac(b: &[u8]) -> String {
    b.iter().map(|x| format!("{x:02x}")).collect::<Vec<_>>().join(":")
}

fn v4(b: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(be32(b, at))
}

fn v6(b: &[u8], at: usize) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&b[at..at + 16]);
    Ipv6Addr::from(octets)
}

fn be16(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

fn be32(b: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
        digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect()
    }

    // Recorded frames: a SYN, an error about one, a SYN in GRE, a neighbour solicitation.
    const SYN: &str = "02000000010102000000010a08004500003cd6cc40004006ec64ac10000ac0a80ac8e66200\
        50b31d4dca00000000a002faf0e3e80000020405b40402080a2163e89d0000000001030307";
    const ARP: &str = "ffffffffffff02000000010a0806000108000604000102000000010aac10000a0000000000\
        00ac100001";

    #[test]
    fn frames_are_told_in_a_few_words() {
        assert_eq!(summary(&bytes(SYN)), "172.16.0.10 > 192.168.10.200 tcp 58978>80 S");
        assert_eq!(summary(&bytes(ARP)), "arp request 172.16.0.10 > 172.16.0.1");
        assert_eq!(summary(&[1, 2, 3]), "a frame of 3 bytes");
        let mut wrapped = bytes(SYN)[..14].to_vec();
        wrapped.extend(bytes("4500005400004000402f0000c0a80a64c0a80a0b00000800"));
        wrapped.extend(&bytes(SYN)[14..]);
        let text = "192.168.10.100 > 192.168.10.11 gre 0x0000 tcp 58978>80 S";
        assert_eq!(summary(&wrapped), text);
    }

    #[test]
    fn the_first_field_that_differs_is_found() {
        let syn = bytes(SYN);
        assert_eq!(difference(&syn, &syn), None);
        for (at, field) in [
            (3, "eth.dst"),
            (15, "ip.tos"),
            (22, "ip.ttl"),
            (24, "ip.checksum"),
            (34, "tcp.sport"),
            (48, "tcp.window"),
            (51, "tcp.checksum"),
            (60, "tcp.options"),
        ] {
            let mut other = syn.clone();
            other[at] ^= 1;
            let found = difference(&syn, &other).map(|d| d.0);
            assert_eq!(found.as_deref(), Some(field));
        }
        let (name, theirs, ours) = difference(&syn, &bytes(ARP)).unwrap();
        assert_eq!((name.as_str(), theirs.as_str()), ("eth.dst", "02:00:00:00:01:01"));
        assert_eq!(ours, "ff:ff:ff:ff:ff:ff");
    }

    #[test]
    fn no_bytes_are_too_few_to_be_shown() {
        for frame in [bytes(SYN), bytes(ARP)] {
            for end in 0..frame.len() {
                assert!(!fields(&frame[..end]).is_empty());
                assert!(!summary(&frame[..end]).is_empty());
            }
        }
    }
}
