//! Writes a pcapng file with every kind of packet the simulator knows, to be checked by a dissector:
//!
//! ```text
//! cargo run -p sim-core --example sample_capture -- sample.pcapng
//! tshark -r sample.pcapng -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE \
//!     -o udp.check_checksum:TRUE -Y '_ws.malformed or ip.checksum.status == 0 or
//!     tcp.checksum.status == 0 or udp.checksum.status == 0 or icmp.checksum.status == 0'
//! ```

use sim_core::engine::{Span, Time};
use sim_core::net::{fragment, icmp as errors};
use sim_core::observe::capture::{Capture, CaptureInterface, Direction};
use sim_core::wire::{Flags, Ip, Kind, Mac, MacId, Packet, PacketId, icmp, proto};
use std::process::ExitCode;

const CLIENT: Ip = Ip::new(172, 16, 0, 10);
const VIP: Ip = Ip::new(192, 168, 10, 200);
const DIRECTOR: Ip = Ip::new(192, 168, 10, 100);
const SERVER: Ip = Ip::new(192, 168, 10, 11);
const MACS: [Mac; 2] = [Mac([2, 0, 0, 0, 1, 10]), Mac([2, 0, 0, 0, 1, 1])];

struct Sample {
    capture: Capture,
    slab: Vec<Packet>,
    now: Time,
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
        let slab = &self.slab;
        let find = |id: PacketId| slab.get(id.0 as usize).copied();
        self.capture.record(0, self.now, direction, &packet, &find, &MACS);
        self.now += Span::from_nanos(1_234_567);
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

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        return ExitCode::from(2);
    };
    let interface = CaptureInterface { host: "client".into(), interface: "eth0".into() };
    let mut s = Sample { capture: Capture::new([interface]), slab: Vec::new(), now: Time::ZERO };
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
    match std::fs::write(path, s.capture.take(0)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
