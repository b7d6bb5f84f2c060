//! What passes the interfaces of a host, read back from its captures.

use core::net::Ipv6Addr;
use sim_core::config::v4;
use sim_core::config::{CaptureConfig, WorldConfig};
use sim_core::observe::Observations;
use sim_core::world::World;

/// A frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) ns: u64,
    pub(crate) out: bool,
    pub(crate) broadcast: bool,
    /// Sent, or received with the Ethernet address of this host.
    pub(crate) mine: bool,
    pub(crate) ttl: u8,
    pub(crate) id: u16,
    /// Source and destination port of TCP and UDP.
    pub(crate) ports: (u16, u16),
    /// `who-has A tell B`, `A is-at host N`, `A > B udp 20`, `A > B tcp SA 0`, `A > B icmp 3/4 1400`,
    /// `A > B frag 0+1480+`, `A > B ipip 80`.
    pub(crate) text: String,
}

/// Runs with a capture of a host and returns its frames in order of time.
pub(crate) fn watch(config: &WorldConfig, host: &str) -> (Observations, Vec<Frame>) {
    let mut config = config.clone();
    config.captures = vec![CaptureConfig::Host(host.into())];
    let mut world = World::build(&config).expect("a good configuration");
    while world.run(10_000) {}
    let number = config.hosts.iter().position(|h| h.name == host).expect("a host");
    let captures = world.take_captures();
    let mut frames: Vec<Frame> =
        captures.iter().flat_map(|(_, bytes)| read(bytes, number as u8)).collect();
    frames.sort_by_key(|f| f.ns);
    (world.finish(), frames)
}

/// The texts of the frames that a condition picks.
pub(crate) fn texts(frames: &[Frame], pick: impl Fn(&Frame) -> bool) -> Vec<&str> {
    frames.iter().filter(|f| pick(f)).map(|f| f.text.as_str()).collect()
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The enhanced packet blocks of a pcapng file.
fn read(mut bytes: &[u8], host: u8) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (block, rest) = bytes.split_at(word(bytes, 4) as usize);
        bytes = rest;
        if word(block, 0) == 6 {
            let length = word(block, 20) as usize;
            let ns = u64::from(word(block, 12)) << 32 | u64::from(word(block, 16));
            // the flags are the first option behind the padded frame
            let out = word(block, 28 + length.next_multiple_of(4) + 4) == 2;
            let mut frame = frame(ns, out, &block[28..28 + length]);
            frame.mine = out || block[28 + 4] == host;
            frames.push(frame);
        }
    }
    frames
}

fn frame(ns: u64, out: bool, b: &[u8]) -> Frame {
    let two = |at: usize| u16::from_be_bytes([b[at], b[at + 1]]);
    let ip = |at: usize| v4(b[at], b[at + 1], b[at + 2], b[at + 3]);
    let mut frame = Frame {
        ns,
        out,
        broadcast: b[..6] == [0xff; 6],
        mine: false,
        ttl: 0,
        id: 0,
        ports: (0, 0),
        text: String::new(),
    };
    if two(12) == 0x0806 {
        frame.text = if two(20) == 1 {
            format!("who-has {} tell {}", ip(38), ip(28))
        } else {
            format!("{} is-at host {}", ip(28), b[26])
        };
        return frame;
    }
    if two(12) == 0x86dd {
        v6(&mut frame, b);
        return frame;
    }
    (frame.ttl, frame.id) = (b[22], two(18));
    let (len, bits) = (two(16) - 20, two(20));
    let what = if bits & 0x3fff != 0 {
        let more = if bits & 0x2000 == 0 { "" } else { "+" };
        format!("frag {}+{len}{more}", (bits & 0x1fff) * 8)
    } else {
        match b[23] {
            1 if (b[34], b[35]) == (5, 1) => format!("icmp 5/1 {}", ip(38)),
            1 => format!(
                "icmp {}/{} {}",
                b[34],
                b[35],
                u32::from(two(38)) << 16 | u32::from(two(40))
            ),
            4 => format!("ipip {}", len + 20),
            41 => format!("ip6ip {}", len + 20),
            47 => format!("gre {:04x} {:04x} {}", two(34), two(36), len + 20),
            other => upper(&mut frame, other, &b[34..], len),
        }
    };
    frame.text = format!("{} > {} {what}", ip(26), ip(30));
    frame
}

/// `tcp SA 0`, `udp 20`.
fn upper(frame: &mut Frame, protocol: u8, b: &[u8], len: u16) -> String {
    frame.ports = (u16::from_be_bytes([b[0], b[1]]), u16::from_be_bytes([b[2], b[3]]));
    match protocol {
        6 => {
            let names = [(2, 'S'), (4, 'R'), (8, 'P'), (1, 'F'), (16, 'A')];
            let flags: String = names.iter().filter(|n| b[13] & n.0 != 0).map(|n| n.1).collect();
            format!("tcp {flags} {}", len - u16::from(b[12] >> 4) * 4)
        }
        17 => format!("udp {}", len - 8),
        other => format!("protocol {other}"),
    }
}

/// An IPv6 packet: `A > B ns T`, `A > B na RSO T`, `A > B icmp6 2/0 1400`, `A > B ip6ip6 80`, and the
/// forms of IPv4.
fn v6(frame: &mut Frame, b: &[u8]) {
    let two = |at: usize| u16::from_be_bytes([b[at], b[at + 1]]);
    let ip = |at: usize| {
        let octets = <[u8; 16]>::try_from(&b[at..at + 16]);
        Ipv6Addr::from(octets.expect("16 bytes"))
    };
    frame.ttl = b[21];
    let len = two(18);
    let what = match b[20] {
        44 => {
            let more = if two(56) & 1 == 0 { "" } else { "+" };
            format!("frag {}+{}{more}", two(56) & !7, len - 8)
        }
        58 => match b[54] {
            135 => format!("ns {}", ip(62)),
            136 => {
                let flags = [(0x80, 'R'), (0x40, 'S'), (0x20, 'O')];
                let flags: String =
                    flags.iter().filter(|f| b[58] & f.0 != 0).map(|f| f.1).collect();
                format!("na {flags} {}{}", ip(62), if len == 24 { " bare" } else { "" })
            }
            kind => {
                format!("icmp6 {kind}/{} {}", b[55], u32::from(two(58)) << 16 | u32::from(two(60)))
            }
        },
        4 => format!("ipip6 {}", len + 40),
        41 => format!("ip6ip6 {}", len + 40),
        47 => format!("gre {:04x} {:04x} {}", two(54), two(56), len + 40),
        other => upper(frame, other, &b[54..], len),
    };
    frame.text = format!("{} > {} {what}", ip(22), ip(38));
}
