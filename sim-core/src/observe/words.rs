//! Frames in the words of tcpdump (`tcpdump -e -n`).

use crate::wire::encode::Bodies;
use crate::wire::{Flags, Ip, Kind, Mac, MacId, Packet, PacketId, icmp, icmpv6, proto};
use core::fmt::Write as _;

/// Deepest chain of packets inside packets that is spelled out.
const MAX_DEPTH: u8 = 4;

/// Sequence numbers of a connection count from its SYNs, as tcpdump counts them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Sequences {
    /// Of the client, of the server.
    starts: [Option<u32>; 2],
}

impl Sequences {
    /// Learns the start of a direction from a SYN.
    pub(super) fn learn(&mut self, p: &Packet) {
        if p.proto == proto::TCP && !p.is_fragment() && p.flags.has(Flags::SYN) {
            self.starts[usize::from(p.flags.has(Flags::ACK))] = Some(p.seq);
        }
    }

    /// Sequence and acknowledgement number to show.
    ///
    /// Addresses change on the way, numbers do not: the direction is the one in which both are
    /// nearer to where they began.
    fn of(&self, p: &Packet) -> (u32, u32) {
        if p.flags.has(Flags::SYN) {
            let start = p.ack.wrapping_sub(self.starts[0].unwrap_or(p.ack));
            return (p.seq, start);
        }
        let [Some(client), Some(server)] = self.starts else { return (p.seq, p.ack) };
        let relative = |from: u32, to: u32| (p.seq.wrapping_sub(from), p.ack.wrapping_sub(to));
        let there = relative(client, server);
        let back = relative(server, client);
        let far = |(seq, ack): (u32, u32)| {
            u64::from(seq) + if p.flags.has(Flags::ACK) { u64::from(ack) } else { 0 }
        };
        if far(there) <= far(back) { there } else { back }
    }
}

/// What frames are spelled with.
pub(super) struct Words<'a, B: Bodies> {
    /// Where packets inside packets and addresses are found.
    pub(super) inside: &'a B,
    /// Ethernet addresses by number.
    pub(super) macs: &'a [Mac],
    /// Where sequence numbers count from.
    pub(super) sequences: Sequences,
}

impl<B: Bodies> Words<'_, B> {
    /// A frame with its Ethernet addresses.
    pub(super) fn frame(&self, p: &Packet) -> String {
        let mut text = format!("{} > {}, ", self.mac(p.src_mac), self.mac(p.dst_mac));
        self.network(&mut text, p, 0);
        text
    }

    /// A packet without Ethernet addresses.
    pub(super) fn packet(&self, p: &Packet) -> String {
        let mut text = String::new();
        self.network(&mut text, p, 0);
        text
    }

    /// An Ethernet address.
    pub(super) fn mac(&self, id: MacId) -> String {
        let known = self.macs.get(id.0 as usize).copied().or_else(|| id.group());
        let other = if id == MacId::BROADCAST { [0xff; 6] } else { [0; 6] };
        known.unwrap_or(Mac(other)).to_string()
    }

    fn network(&self, text: &mut String, p: &Packet, depth: u8) {
        let (src, dst) = (self.inside.address(p.src), self.inside.address(p.dst));
        match p.kind {
            Kind::ArpRequest if p.src == p.dst => {
                push(text, format_args!("ARP, Announcement {src}, length {}", p.len));
            }
            Kind::ArpRequest => {
                push(text, format_args!("ARP, Request who-has {dst} tell {src}, length {}", p.len));
            }
            Kind::ArpReply => {
                let mac = self.mac(MacId(p.seq));
                push(text, format_args!("ARP, Reply {src} is-at {mac}, length {}", p.len));
            }
            Kind::Ipv4 | Kind::Ipv6 => {
                text.push_str(if p.kind == Kind::Ipv6 { "IP6 " } else { "IP " });
                self.ip(text, p, depth);
            }
        }
    }

    fn ip(&self, text: &mut String, p: &Packet, depth: u8) {
        let (src, dst) = (self.inside.address(p.src), self.inside.address(p.dst));
        let first = p.frag & Packet::OFFSET == 0;
        let ports = matches!(p.proto, proto::TCP | proto::UDP | proto::SCTP) && first;
        if ports {
            push(text, format_args!("{src}.{} > {dst}.{}: ", p.sport, p.dport));
        } else {
            push(text, format_args!("{src} > {dst}: "));
        }
        if p.is_fragment() {
            fragment(text, p);
            return;
        }
        match p.proto {
            proto::TCP => self.tcp(text, p),
            proto::ICMP => self.icmp(text, p),
            proto::ICMPV6 => self.icmpv6(text, p),
            proto::UDP => {
                push(text, format_args!("UDP, length {}", p.payload()));
                self.body(text, p, depth);
            }
            proto::GRE => {
                push(text, format_args!("GREv0, length {}", p.len.saturating_sub(p.header())));
                self.body(text, p, depth);
            }
            proto::IPIP | proto::IPV6 if p.body != PacketId::NONE => {
                if let Some(inner) = self.inner(p, depth) {
                    self.network(text, &inner, depth + 1);
                }
            }
            proto::VRRP if self.inside.advert(p.seq).is_some() => self.vrrp(text, p),
            other => push(text, format_args!("ip-proto-{other}, length {}", p.len)),
        }
    }

    fn inner(&self, p: &Packet, depth: u8) -> Option<Packet> {
        if depth >= MAX_DEPTH || p.body == PacketId::NONE {
            return None;
        }
        self.inside.body(p.body)
    }

    fn body(&self, text: &mut String, p: &Packet, depth: u8) {
        if let Some(inner) = self.inner(p, depth) {
            text.push_str(": ");
            self.network(text, &inner, depth + 1);
        }
    }

    fn tcp(&self, text: &mut String, p: &Packet) {
        let (seq, ack) = self.sequences.of(p);
        let len = p.payload();
        push(text, format_args!("Flags [{}]", flags(p.flags)));
        let counts = Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0;
        if len > 0 {
            push(text, format_args!(", seq {seq}:{}", seq.wrapping_add(u32::from(len))));
        } else if p.flags.0 & counts != 0 {
            push(text, format_args!(", seq {seq}"));
        }
        if p.flags.has(Flags::ACK) {
            push(text, format_args!(", ack {ack}"));
        }
        push(text, format_args!(", win {}", p.window));
        if p.mss != 0 {
            push(text, format_args!(", options [mss {}]", p.mss));
        }
        push(text, format_args!(", length {len}"));
    }

    /// The end that an ICMP error is about.
    fn quoted(&self, p: &Packet) -> (String, String) {
        let Some(quoted) = self.inner(p, 0) else { return (String::new(), String::new()) };
        let host = self.inside.address(quoted.dst).to_string();
        let port = match quoted.proto {
            proto::TCP => format!("tcp port {}", quoted.dport),
            proto::UDP => format!("udp port {}", quoted.dport),
            other => format!("protocol {other}"),
        };
        (host, port)
    }

    fn vrrp(&self, text: &mut String, p: &Packet) {
        let Some(advert) = self.inside.advert(p.seq) else { return };
        let (version, vrid, priority) = (advert.version, advert.vrid, advert.priority);
        push(text, format_args!("VRRPv{version}, Advertisement, vrid {vrid}, prio {priority}, "));
        let length = advert.length();
        if version == 2 {
            let auth = match advert.auth.kind() {
                0 => "none",
                1 => "simple",
                _ => "ah",
            };
            let interval = advert.interval;
            push(text, format_args!("authtype {auth}, intvl {interval}s, length {length}"));
        } else {
            let interval = u32::from(advert.interval) * 10;
            push(text, format_args!("intvl {interval}ms, length {length}"));
        }
    }

    fn icmp(&self, text: &mut String, p: &Packet) {
        let length = p.len.saturating_sub(p.header());
        let (host, port) = self.quoted(p);
        let what = match (p.sport as u8, p.dport as u8) {
            (icmp::ECHO, _) => format!("echo request, id {}, seq {}", p.seq >> 16, p.seq & 0xffff),
            (icmp::ECHO_REPLY, _) => {
                format!("echo reply, id {}, seq {}", p.seq >> 16, p.seq & 0xffff)
            }
            (icmp::UNREACHABLE, icmp::NET) => format!("net {host} unreachable"),
            (icmp::UNREACHABLE, icmp::HOST) => format!("host {host} unreachable"),
            (icmp::UNREACHABLE, icmp::PROTOCOL) => format!("{host} {port} unreachable (protocol)"),
            (icmp::UNREACHABLE, icmp::PORT) => format!("{host} {port} unreachable"),
            (icmp::UNREACHABLE, icmp::FRAG_NEEDED) => {
                format!("{host} unreachable - need to frag (mtu {})", p.seq)
            }
            (icmp::UNREACHABLE, code) => format!("{host} unreachable, code {code}"),
            (icmp::TIME_EXCEEDED, 0) => "time exceeded in-transit".to_owned(),
            (icmp::TIME_EXCEEDED, _) => "ip reassembly time exceeded".to_owned(),
            (icmp::REDIRECT, _) => {
                format!("redirect {host} to host {}", self.inside.address(Ip(p.seq)))
            }
            (kind, code) => format!("type {kind}, code {code}"),
        };
        push(text, format_args!("ICMP {what}, length {length}"));
        self.about(text, p);
    }

    fn icmpv6(&self, text: &mut String, p: &Packet) {
        let length = p.len.saturating_sub(p.header());
        let (host, port) = self.quoted(p);
        let target = || self.inside.address(Ip(p.ack));
        let what = match (p.sport as u8, p.dport as u8) {
            (icmpv6::SOLICITATION, _) => format!("neighbor solicitation, who has {}", target()),
            (icmpv6::ADVERTISEMENT, _) => format!("neighbor advertisement, tgt is {}", target()),
            (icmpv6::ECHO, _) => format!("echo request, id {}", p.seq >> 16),
            (icmpv6::ECHO_REPLY, _) => format!("echo reply, id {}", p.seq >> 16),
            (icmpv6::TOO_BIG, _) => format!("packet too big, mtu {}", p.seq),
            (icmpv6::TIME_EXCEEDED, 0) => "time exceeded in-transit".to_owned(),
            (icmpv6::TIME_EXCEEDED, _) => "time exceeded in reassembly".to_owned(),
            (icmpv6::UNREACHABLE, icmpv6::PORT) => {
                format!("destination unreachable, unreachable port, {host} {port}")
            }
            (icmpv6::UNREACHABLE, icmpv6::ADDRESS) => {
                format!("destination unreachable, unreachable address {host}")
            }
            (icmpv6::UNREACHABLE, code) => format!("destination unreachable, {host}, code {code}"),
            (kind, code) => format!("type {kind}, code {code}"),
        };
        push(text, format_args!("ICMP6, {what}, length {length}"));
        self.about(text, p);
    }

    /// The packet that an ICMP error quotes.
    fn about(&self, text: &mut String, p: &Packet) {
        if let Some(quoted) = self.inner(p, 0) {
            text.push_str(" | ");
            self.network(text, &quoted, MAX_DEPTH - 1);
        }
    }
}

/// `(frag ID:SIZE@OFFSET)`, with `+` if more follow.
fn fragment(text: &mut String, p: &Packet) {
    let name = match p.proto {
        proto::TCP => "tcp",
        proto::UDP => "udp",
        proto::ICMP => "icmp",
        proto::IPIP => "ipip",
        _ => "ip",
    };
    let offset = u32::from(p.frag & Packet::OFFSET) * 8;
    let size = p.len.saturating_sub(p.header());
    let more = if p.frag & Packet::MF == 0 { "" } else { "+" };
    push(text, format_args!("{name} (frag {}:{size}@{offset}{more})", p.id));
}

/// The letters of tcpdump: `S`, `S.`, `.`, `P.`, `F.`, `R`.
fn flags(flags: Flags) -> String {
    let mut text = String::new();
    let letters = [(Flags::FIN, 'F'), (Flags::SYN, 'S'), (Flags::RST, 'R'), (Flags::PSH, 'P')];
    text.extend(letters.into_iter().filter(|(flag, _)| flags.has(*flag)).map(|(_, c)| c));
    if flags.has(Flags::ACK) {
        text.push('.');
    }
    if text.is_empty() { "none".to_owned() } else { text }
}

fn push(text: &mut String, what: core::fmt::Arguments<'_>) {
    let written = text.write_fmt(what);
    debug_assert!(written.is_ok(), "a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Ip = Ip::new(172, 16, 0, 10);
    const B: Ip = Ip::new(192, 168, 10, 200);

    fn tcp(flags: Flags, seq: u32, ack: u32, payload: u16) -> Packet {
        let mut p = Packet::ipv4(A, B, proto::TCP, 40 + payload);
        (p.sport, p.dport, p.flags, p.seq, p.ack) = (40_001, 80, flags, seq, ack);
        p.window = 64_240;
        p
    }

    fn said(p: &Packet, bodies: &[Packet], sequences: Sequences) -> String {
        let inside = |id: PacketId| bodies.get(id.0 as usize).copied();
        Words { inside: &inside, macs: &[], sequences }.packet(p)
    }

    #[test]
    fn segments_read_as_tcpdump_words_them() {
        let mut sequences = Sequences::default();
        let mut syn = tcp(Flags::SYN, 1000, 0, 0);
        syn.mss = 1460;
        sequences.learn(&syn);
        assert_eq!(
            said(&syn, &[], sequences),
            "IP 172.16.0.10.40001 > 192.168.10.200.80: Flags [S], seq 1000, win 64240, \
             options [mss 1460], length 0"
        );
        sequences.learn(&tcp(Flags::SYN.with(Flags::ACK), u32::MAX - 5, 1001, 0));
        let data = tcp(Flags::PSH.with(Flags::ACK), 1001, u32::MAX - 4, 20);
        assert!(said(&data, &[], sequences).contains("Flags [P.], seq 1:21, ack 1, win 64240"));
        let back = tcp(Flags::ACK, 16, 1021, 0);
        assert!(said(&back, &[], sequences).contains("Flags [.], ack 21,"), "22 bytes later");
    }

    #[test]
    fn tunnels_fragments_and_errors_show_what_is_inside() {
        let syn = tcp(Flags::SYN, 7, 0, 0);
        let mut outer = Packet::ipv4(Ip::new(10, 0, 0, 1), Ip::new(10, 0, 0, 2), proto::IPIP, 60);
        outer.body = PacketId(0);
        let text = said(&outer, &[syn], Sequences::default());
        assert!(text.starts_with("IP 10.0.0.1 > 10.0.0.2: IP 172.16.0.10.40001 > "), "{text}");
        outer.proto = proto::GRE;
        assert!(said(&outer, &[syn], Sequences::default()).contains("GREv0, length 40: IP 172"));

        let mut part = Packet::ipv4(A, B, proto::UDP, 1500);
        (part.id, part.frag) = (77, Packet::MF | 0xb9);
        let text = said(&part, &[], Sequences::default());
        assert_eq!(text, "IP 172.16.0.10 > 192.168.10.200: udp (frag 77:1480@1480+)");

        let mut error = Packet::ipv4(B, A, proto::ICMP, 68);
        (error.sport, error.dport, error.body) = (3, 3, PacketId(0));
        let text = said(&error, &[syn], Sequences::default());
        assert!(text.contains("ICMP 192.168.10.200 tcp port 80 unreachable, length 48 | IP 172"));
        (error.dport, error.seq) = (4, 1400);
        assert!(said(&error, &[syn], Sequences::default()).contains("need to frag (mtu 1400)"));
    }

    #[test]
    fn a_chain_without_end_is_cut() {
        let mut loops = Packet::ipv4(A, B, proto::IPIP, 60);
        loops.body = PacketId(0);
        assert!(said(&loops, &[loops], Sequences::default()).len() < 500);
    }
}
