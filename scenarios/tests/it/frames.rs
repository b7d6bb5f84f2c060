//! Captures as lines of text, one a frame, in the form of the recordings in `tests/golden`.

use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{Block, PcapBlockOwned, PcapNGReader};
use std::fmt::Write;
use std::net::Ipv4Addr;

/// The frames of a pcapng file as lines; `own` is the MAC of the interface they were captured on.
pub(crate) fn lines(pcapng: &[u8], own: &str) -> Vec<String> {
    let mut names = Names::default();
    frames(pcapng).iter().map(|f| line(f, own, &mut names)).collect()
}

fn frames(pcapng: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = PcapNGReader::new(1 << 20, pcapng).expect("a pcapng file");
    let mut found = Vec::new();
    loop {
        match reader.next() {
            Ok((used, block)) => {
                if let PcapBlockOwned::NG(Block::EnhancedPacket(packet)) = block {
                    found.push(packet.data[..packet.caplen as usize].to_vec());
                }
                reader.consume(used);
            }
            Err(pcap_parser::PcapError::Eof) => return found,
            Err(pcap_parser::PcapError::Incomplete(_)) => reader.refill().expect("more bytes"),
            Err(e) => panic!("pcapng: {e:?}"),
        }
    }
}

/// What is named or counted relative to its first appearance.
#[derive(Default)]
struct Names {
    ports: Vec<u16>,
    first: Vec<((bool, u16, u16), u32)>,
}

impl Names {
    fn port(&mut self, port: u16) -> String {
        if port < 32_768 {
            return port.to_string();
        }
        let at = self.ports.iter().position(|&p| p == port).unwrap_or_else(|| {
            self.ports.push(port);
            self.ports.len() - 1
        });
        format!("c{}", at + 1)
    }

    fn relative(&self, key: (bool, u16, u16), value: u32) -> u32 {
        let first = self.first.iter().rev().find(|(k, _)| *k == key).map_or(value, |f| f.1);
        value.wrapping_sub(first)
    }
}

fn be16(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

fn be32(b: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

fn mac(b: &[u8]) -> String {
    b.iter().map(|x| format!("{x:02x}")).collect::<Vec<_>>().join(":")
}

fn ip(b: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(be32(b, at))
}

fn line(frame: &[u8], own: &str, names: &mut Names) -> String {
    let (to, from) = (mac(&frame[..6]), mac(&frame[6..12]));
    let way = if from == own { "out" } else { "in" };
    let head = format!("{way} {from} > {to}");
    if be16(frame, 12) != 0x0806 {
        return format!("{head} {}", ipv4(&frame[14..], names));
    }
    let sender = ip(frame, 28);
    if be16(frame, 20) == 1 {
        format!("{head} arp request {sender} asks {}", ip(frame, 38))
    } else {
        format!("{head} arp reply {sender} is {}", mac(&frame[22..28]))
    }
}

fn ipv4(b: &[u8], names: &mut Names) -> String {
    let header = usize::from(b[0] & 15) * 4;
    let total = usize::from(be16(b, 2));
    let frag = be16(b, 6);
    let df = if frag & 0x4000 != 0 { "df" } else { "-" };
    let mut text = format!("{} > {} ttl {} {df}", ip(b, 12), ip(b, 16), b[8]);
    if frag & 0x3fff != 0 {
        let more = if frag & 0x2000 != 0 { "+" } else { "" };
        write!(text, " frag {}{more}", (frag & 0x1fff) * 8).expect("a string takes all");
    }
    let p = &b[header..total];
    let rest = match b[9] {
        4 => format!("ipip {} | {}", p.len(), ipv4(p, names)),
        6 => tcp(p, names),
        17 => {
            let (from, to) = (names.port(be16(p, 0)), names.port(be16(p, 2)));
            format!("udp {from} > {to} payload {}", be16(p, 4) - 8)
        }
        1 => format!("icmp {}/{}", p[0], p[1]),
        other => format!("proto {other}"),
    };
    format!("{text} {rest}")
}

fn tcp(p: &[u8], names: &mut Names) -> String {
    let (from, to) = (be16(p, 0), be16(p, 2));
    let (seq, ack, flags) = (be32(p, 4), be32(p, 8), p[13]);
    let key = (from < to, from.min(to), from.max(to));
    if flags & 2 != 0 {
        names.first.push((key, seq));
    }
    let seq = names.relative(key, seq);
    let ack = if flags & 16 != 0 { names.relative((!key.0, key.1, key.2), ack) } else { 0 };
    let letters: String = [(1, 'F'), (2, 'S'), (4, 'R'), (8, 'P'), (16, 'A')]
        .iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, letter)| *letter)
        .collect();
    let payload = p.len() - usize::from(p[12] >> 4) * 4;
    let (from, to) = (names.port(from), names.port(to));
    format!("tcp {from} > {to} {letters} seq {seq} ack {ack} payload {payload}")
}
