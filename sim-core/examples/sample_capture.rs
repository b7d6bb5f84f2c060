//! Writes a pcapng file with every kind of packet the simulator knows, to be checked by a dissector:
//!
//! ```text
//! cargo run -p sim-core --example sample_capture -- sample.pcapng
//! tshark -r sample.pcapng -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE \
//!     -o udp.check_checksum:TRUE -Y '_ws.malformed or ip.checksum.status == 0 or
//!     tcp.checksum.status == 0 or udp.checksum.status == 0 or icmp.checksum.status == 0 or
//!     icmpv6.checksum.status == 0 or vrrp.checksum.status == 0'
//! ```

use sim_core::engine::{Span, Time};
use sim_core::ipvs::forwarding;
use sim_core::ipvs::rules::{Encapsulation, OuterChecksum, TunnelOptions};
use sim_core::net::{fragment, icmp as errors};
use sim_core::observe::capture::{Capture, CaptureInterface, Direction};
use sim_core::wire::encode::Bodies;
use sim_core::wire::vrrp::{Advert, AdvertBook, Auth};
use sim_core::wire::{
    AddressBook, Flags, Ip, Kind, Mac, MacId, Packet, PacketId, icmp, icmpv6, proto,
};
use std::net::IpAddr;
use std::process::ExitCode;

const CLIENT: Ip = Ip::new(172, 16, 0, 10);
const VIP: Ip = Ip::new(192, 168, 10, 200);
const DIRECTOR: Ip = Ip::new(192, 168, 10, 100);
const SERVER: Ip = Ip::new(192, 168, 10, 11);
const MACS: [Mac; 2] = [Mac([2, 0, 0, 0, 1, 10]), Mac([2, 0, 0, 0, 1, 1])];

struct Sample {
    capture: Capture,
    slab: Vec<Packet>,
    book: AddressBook,
    adverts: AdvertBook,
    now: Time,
}

struct Inside<'a>(&'a [Packet], &'a AddressBook, &'a AdvertBook);

impl Bodies for Inside<'_> {
    fn body(&self, id: PacketId) -> Option<Packet> {
        self.0.get(id.0 as usize).copied()
    }

    fn address(&self, ip: Ip) -> IpAddr {
        self.1.address(ip)
    }

    fn advert(&self, number: u32) -> Option<&Advert> {
        self.2.get(number)
    }
}

impl Sample {
    fn keep(&mut self, packet: Packet) -> PacketId {
        self.slab.push(packet);
        PacketId(self.slab.len() as u32 - 1)
    }

    fn write(&mut self, direction: Direction, mut packet: Packet) {
        let macs = (MacId(0), MacId(1));
        (packet.src_mac, packet.dst_mac) = match direction {
            Direction::Out => macs,
            Direction::In => (macs.1, macs.0),
        };
        if packet.kind == Kind::ArpRequest {
            packet.dst_mac = MacId::BROADCAST;
        }
        if let IpAddr::V4(group) = self.book.address(packet.dst)
            && group.is_multicast()
        {
            packet.dst_mac = MacId::of_group_v4(packet.dst);
        }
        let inside = Inside(&self.slab, &self.book, &self.adverts);
        self.capture.record(0, self.now, direction, &packet, &inside, &MACS);
        self.now += Span::from_nanos(1_234_567);
    }

    fn ip(&mut self, text: &str) -> Ip {
        text.parse().map_or(Ip::ANY, |address| self.book.number(address))
    }

    fn fragments(&mut self, whole: &Packet, mtu: u16) {
        for mut fragment in fragment::split(whole, mtu) {
            fragment.body = self.keep(*whole);
            self.write(Direction::Out, fragment);
        }
    }
}

fn tcp(flags: Flags, seq: u32, ack: u32, opt: u8, payload: u16) -> Packet {
    let mut p = Packet::ipv4(CLIENT, VIP, proto::TCP, 40 + u16::from(opt) + payload);
    (p.sport, p.dport, p.frag) = (40_000, 80, Packet::DF);
    (p.seq, p.ack, p.flags, p.opt, p.window) = (seq, ack, flags, opt, 64_256);
    if flags.has(Flags::SYN) {
        p.mss = 1460;
    }
    p
}

fn reply(mut p: Packet) -> Packet {
    (p.src, p.dst, p.sport, p.dport) = (p.dst, p.src, p.dport, p.sport);
    p
}

fn udp(payload: u16) -> Packet {
    let mut p = Packet::ipv4(CLIENT, VIP, proto::UDP, 28 + payload);
    (p.sport, p.dport, p.id) = (40_001, 5354, payload);
    p
}

fn arp(s: &mut Sample) {
    let mut p = Packet::ipv4(CLIENT, Ip::new(172, 16, 0, 1), 0, 28);
    (p.kind, p.seq, p.ack) = (Kind::ArpRequest, 0, MacId::ZERO.0);
    s.write(Direction::Out, p);
    let mut answer = reply(p);
    (answer.kind, answer.seq, answer.ack) = (Kind::ArpReply, 1, 0);
    s.write(Direction::In, answer);
}

fn connection(s: &mut Sample, opt: (u8, u8)) {
    let tcp = |flags, seq, ack, options, payload| {
        let mut p = tcp(flags, seq, ack, options, payload);
        p.sport += u16::from(opt.0);
        p
    };
    let (isn, irs) = (1_000_000, 4_294_967_000);
    let ack = Flags::ACK;
    s.write(Direction::Out, tcp(Flags::SYN, isn, 0, opt.0, 0));
    s.write(Direction::In, reply(tcp(Flags::SYN.with(ack), irs, isn + 1, opt.0, 0)));
    s.write(Direction::Out, tcp(ack, isn + 1, irs + 1, opt.1, 0));
    s.write(Direction::Out, tcp(ack.with(Flags::PSH), isn + 1, irs + 1, opt.1, 101));
    let (mut seq, full) = (irs + 1, 1460 - u16::from(opt.1));
    for payload in [full, full, 7] {
        let flags = if payload == 7 { ack.with(Flags::PSH) } else { ack };
        s.write(Direction::In, reply(tcp(flags, seq, isn + 102, opt.1, payload)));
        seq = seq.wrapping_add(u32::from(payload));
    }
    s.write(Direction::Out, tcp(ack.with(Flags::FIN), isn + 102, seq, opt.1, 0));
    s.write(Direction::In, reply(tcp(ack.with(Flags::FIN), seq, isn + 103, opt.1, 0)));
    s.write(Direction::Out, tcp(ack, isn + 103, seq.wrapping_add(1), opt.1, 0));
    s.write(Direction::Out, tcp(Flags::RST, isn + 103, 0, 0, 0));
}

fn icmp_messages(s: &mut Sample) {
    let mut echo = Packet::ipv4(CLIENT, VIP, proto::ICMP, 84);
    (echo.sport, echo.seq) = (u16::from(icmp::ECHO), 0x0042_0001);
    s.write(Direction::Out, echo);
    if let Some(answer) = errors::echo_reply(&echo) {
        s.write(Direction::In, answer);
    }
    let gateway = SERVER.0;
    for (kind, code, info) in [
        (icmp::UNREACHABLE, icmp::NET, 0),
        (icmp::UNREACHABLE, icmp::HOST, 0),
        (icmp::UNREACHABLE, icmp::PROTOCOL, 0),
        (icmp::UNREACHABLE, icmp::PORT, 0),
        (icmp::UNREACHABLE, icmp::FRAG_NEEDED, 1400),
        (icmp::REDIRECT, 1, gateway),
        (icmp::TIME_EXCEEDED, 0, 0),
        (icmp::TIME_EXCEEDED, 1, 0),
    ] {
        for offending in [udp(1), tcp(Flags::ACK, 1, 1, 12, 1448), tcp(Flags::SYN, 1, 0, 20, 0)] {
            if let Some(mut error) = errors::error(&offending, DIRECTOR, kind, code, info) {
                error.body = s.keep(offending);
                s.write(Direction::In, error);
            }
        }
    }
}

fn tunnels(s: &mut Sample) {
    for inner in [tcp(Flags::SYN, 77, 0, 20, 0), udp(1000), tcp(Flags::ACK, 78, 1, 12, 1428)] {
        let mut outer = Packet::ipv4(DIRECTOR, SERVER, proto::IPIP, inner.len + 20);
        outer.id = inner.len;
        outer.body = s.keep(inner);
        s.write(Direction::Out, outer);
        if let Some(mut error) = errors::error(&outer, SERVER, icmp::UNREACHABLE, icmp::PORT, 0) {
            error.body = s.keep(outer);
            s.write(Direction::In, error);
        }
        if outer.len > 580 {
            s.fragments(&outer, 580);
        }
    }
}

/// An IPv4 packet as one of IPv6, between other addresses.
fn as_v6(p: Packet, (src, dst): (Ip, Ip)) -> Packet {
    let protocol = if p.proto == proto::ICMP { proto::ICMPV6 } else { p.proto };
    let v6 = Packet::ip(src, dst, protocol, p.len - Packet::IP_HEADER);
    Packet { kind: v6.kind, len: v6.len, src, dst, proto: protocol, frag: 0, ..p }
}

fn discovery(s: &mut Sample) {
    let (client, router) = (s.ip("fe80::ff:fe00:10a"), s.ip("2001:db8:1::1"));
    let (group, all) = (s.ip("ff02::1:ff00:1"), s.ip("ff02::1"));
    for (kind, (src, dst), flags, mac) in [
        (icmpv6::SOLICITATION, (client, group), 0, MacId(0)),
        (icmpv6::ADVERTISEMENT, (router, client), 0xe000_0000, MacId(1)),
        (icmpv6::SOLICITATION, (client, router), 0, MacId(0)),
        (icmpv6::ADVERTISEMENT, (router, client), 0xc000_0000, MacId::ZERO),
        (icmpv6::ADVERTISEMENT, (router, all), 0x2000_0000, MacId(1)),
    ] {
        let option = if mac == MacId::ZERO { 0 } else { 8 };
        let mut p = Packet::ip(src, dst, proto::ICMPV6, 24 + option);
        (p.sport, p.seq, p.ack) = (u16::from(kind), flags, router.0);
        (p.window, p.ttl) = (mac.0, 255);
        s.write(Direction::Out, p);
    }
}

fn v6(s: &mut Sample) {
    discovery(s);
    let ends = (s.ip("2001:db8:1::10"), s.ip("2001:db8:10::200"));
    let director = s.ip("2001:db8:10::100");
    let mut echo = as_v6(Packet::ipv4(CLIENT, VIP, proto::ICMP, 84), ends);
    (echo.sport, echo.seq) = (u16::from(icmpv6::ECHO), 0x0042_0001);
    s.write(Direction::Out, echo);
    if let Some(answer) = errors::echo_reply(&echo) {
        s.write(Direction::In, answer);
    }
    for p in [tcp(Flags::SYN, 1, 0, 20, 0), tcp(Flags::ACK, 2, 1, 12, 1428), udp(0), udp(1000)] {
        let p = as_v6(p, ends);
        s.write(Direction::Out, p);
        s.write(Direction::In, reply(p));
        for (kind, code, info) in [
            (icmp::UNREACHABLE, icmp::NET, 0),
            (icmp::UNREACHABLE, icmp::HOST, 0),
            (icmp::UNREACHABLE, icmp::PORT, 0),
            (icmp::UNREACHABLE, icmp::FRAG_NEEDED, 1280),
            (icmp::TIME_EXCEEDED, 0, 0),
        ] {
            if let Some(mut error) = errors::error(&p, director, kind, code, info) {
                error.body = s.keep(p);
                s.write(Direction::In, error);
            }
        }
    }
    let mut whole = as_v6(udp(3000), ends);
    whole.id = 77;
    s.fragments(&whole, 1500);
}

/// Every encapsulation, both families outside and inside.
fn every_tunnel(s: &mut Sample) {
    use Encapsulation::{Gre, Gue, Ipip};
    let ends6 = (s.ip("2001:db8:1::10"), s.ip("2001:db8:10::200"));
    let outer6 = (s.ip("2001:db8:10::100"), s.ip("2001:db8:20::13"));
    for (kind, checksum) in [
        (Ipip, OuterChecksum::None),
        (Gre, OuterChecksum::None),
        (Gre, OuterChecksum::Full),
        (Gue, OuterChecksum::None),
        (Gue, OuterChecksum::Full),
        (Gue, OuterChecksum::Remote),
    ] {
        let options = TunnelOptions { kind, port: 6080, checksum };
        for ends in [(DIRECTOR, SERVER), outer6] {
            for inner in [tcp(Flags::SYN, 77, 0, 20, 0), udp(1001)] {
                for inner in [inner, as_v6(inner, ends6)] {
                    let body = s.keep(inner);
                    let mut outer = forwarding::tun(&inner, body, ends, options, true, 9);
                    s.write(Direction::Out, outer);
                    outer.id = 78;
                    if outer.kind == Kind::Ipv4 && outer.len > 600 {
                        s.fragments(&outer, 600);
                    }
                }
            }
        }
    }
}

/// Adverts of virtual routers of both versions and families, with and without authentication.
fn routers(s: &mut Sample) {
    let pass = Auth::Pass(Auth::secret("secret"));
    let key = Auth::Ah(Auth::secret("secret"));
    let (four, six) = (["192.168.10.200", "192.168.10.201"], ["fe80::c8", "fd00::c8"]);
    for (version, auth, vips, source, group) in [
        (2, Auth::None, four, "192.168.10.101", "224.0.0.18"),
        (2, pass, four, "192.168.10.101", "224.0.0.18"),
        (2, key, four, "192.168.10.101", "224.0.0.18"),
        (2, Auth::None, four, "192.168.10.101", "192.168.10.102"),
        (3, Auth::None, four, "192.168.10.101", "224.0.0.18"),
        (3, Auth::None, four, "192.168.10.101", "192.168.10.102"),
        (3, Auth::None, six, "fe80::65", "ff02::12"),
    ] {
        for priority in [100, 0] {
            let addresses = vips.iter().filter_map(|a| a.parse().ok()).collect();
            let advert = Advert { version, vrid: 51, priority, interval: 1, auth, addresses };
            let (source, group) = (s.ip(source), s.ip(group));
            let protected = matches!(auth, Auth::Ah(_));
            let (protocol, header) = if protected { (proto::AH, 24) } else { (proto::VRRP, 0) };
            let mut p = Packet::ip(source, group, protocol, advert.length() + header);
            (p.ttl, p.tos, p.seq, p.ack) = (255, 0xc0, s.adverts.number(&advert), 1);
            s.write(Direction::Out, p);
        }
    }
}

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        return ExitCode::from(2);
    };
    let interface = CaptureInterface { host: "client".into(), interface: "eth0".into() };
    let mut s = Sample {
        capture: Capture::new([interface]),
        slab: Vec::new(),
        book: AddressBook::new(),
        adverts: AdvertBook::default(),
        now: Time::ZERO,
    };
    arp(&mut s);
    for options in [(20, 12), (0, 0), (4, 0), (24, 16), (40, 40)] {
        connection(&mut s, options);
    }
    for (port, payload) in [(5354, 0), (5354, 1), (5354, 512), (5354, 1472), (53, 12), (53, 400)] {
        let query = Packet { dport: port, ..udp(payload) };
        s.write(Direction::Out, query);
        s.write(Direction::In, reply(query));
    }
    s.fragments(&udp(3000), 1500);
    s.fragments(&udp(65_507), 1500);
    s.fragments(&tcp(Flags::ACK, 1, 1, 12, 1448), 576);
    icmp_messages(&mut s);
    tunnels(&mut s);
    v6(&mut s);
    every_tunnel(&mut s);
    routers(&mut s);
    match std::fs::write(path, s.capture.take(0)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
