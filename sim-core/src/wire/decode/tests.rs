use super::*;
use crate::engine::Time;
use crate::wire::encode;
use proptest::prelude::*;

const CLIENT: Ip = Ip::new(172, 16, 0, 10);
const VIP: Ip = Ip::new(192, 168, 10, 200);

struct Known<'a>(&'a Frame, &'a Decoder);

impl Bodies for Known<'_> {
    fn body(&self, id: PacketId) -> Option<Packet> {
        self.0.body(id)
    }
    fn original(&self, packet: &Packet) -> Option<&Original> {
        self.1.original(packet.tag)
    }
}

fn bytes(frame: &Frame, macs: &[Mac]) -> Vec<u8> {
    let mut out = Vec::new();
    encode::frame(&mut out, Time::ZERO, &frame.packet, frame, macs);
    out
}

fn packet(protocol: u8, len: u16) -> Packet {
    let mut p = Packet::ipv4(CLIENT, VIP, protocol, len);
    (p.src_mac, p.dst_mac) = (MacId(0), MacId(1));
    (p.sport, p.dport) = (40_000, 80);
    p
}

fn macs() -> Vec<Mac> {
    vec![Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2])]
}

/// A frame as it was before it was encoded, but for the tags.
fn untagged(mut frame: Frame) -> Frame {
    frame.packet.tag = u32::MAX;
    frame.inside.iter_mut().for_each(|p| p.tag = u32::MAX);
    frame
}

#[test]
fn a_translated_packet_keeps_its_payload_and_gets_a_new_checksum() {
    let sent = Frame { packet: packet(proto::TCP, 60), inside: vec![], payloads: Vec::new() };
    let mut wire = bytes(&sent, &macs());
    let end = wire.len();
    // a payload that no encoder makes, with the checksum it needs
    wire[end - 4..].copy_from_slice(b"0000");
    let mut decoder = Decoder::default();
    let mut frame = decoder.frame(&wire, &mut macs(), &mut AddressBook::new()).unwrap();
    frame.packet.dst = Ip::new(192, 168, 10, 11);
    frame.packet.dport = 8080;
    let mut out = Vec::new();
    encode::frame(&mut out, Time::ZERO, &frame.packet, &Known(&frame, &decoder), &macs());
    assert_eq!(&out[end - 4..], b"0000");
    assert_eq!(out.len(), end);
    let again = decoder.frame(&out, &mut macs(), &mut AddressBook::new()).unwrap();
    assert_eq!(again.packet.dport, 8080);
    let mut second = Vec::new();
    encode::frame(&mut second, Time::ZERO, &again.packet, &Known(&again, &decoder), &macs());
    assert_eq!(out, second, "the checksum is a function of the bytes");
}

#[test]
fn a_quoted_packet_keeps_the_checksum_it_was_quoted_with() {
    let quoted = packet(proto::UDP, 40);
    let mut error = packet(proto::ICMP, 68);
    (error.sport, error.dport, error.body) = (3, 3, PacketId(0));
    let wire = bytes(&Frame { packet: error, inside: vec![quoted], payloads: Vec::new() }, &macs());
    let mut decoder = Decoder::default();
    let mut frame = decoder.frame(&wire, &mut macs(), &mut AddressBook::new()).unwrap();
    frame.inside[0].sport = 81;
    let mut out = Vec::new();
    encode::frame(&mut out, Time::ZERO, &frame.packet, &Known(&frame, &decoder), &macs());
    let udp_checksum = 14 + 28 + 20 + 6;
    assert_eq!(out[udp_checksum..udp_checksum + 2], wire[udp_checksum..udp_checksum + 2]);
    assert_ne!(out[36..38], wire[36..38], "the checksum of the message is made anew");
}

#[test]
fn fragments_find_the_datagram_they_are_parts_of() {
    let whole = Packet { id: 7, ..packet(proto::UDP, 3028) };
    let mut decoder = Decoder::default();
    let frames: Vec<_> = [(Packet::MF, 1500), (Packet::MF | 0xb9, 1500), (0x172, 68)]
        .into_iter()
        .map(|(frag, len)| Packet { frag, len, body: PacketId(0), ..whole })
        .map(|packet| bytes(&Frame { packet, inside: vec![whole], payloads: Vec::new() }, &macs()))
        .collect();
    let alone = decoder.frame(&frames[1], &mut macs(), &mut AddressBook::new()).unwrap();
    assert_eq!(alone.packet.body, PacketId::NONE);
    for f in &frames {
        decoder.note(f);
    }
    for wire in &frames {
        let frame = decoder.frame(wire, &mut macs(), &mut AddressBook::new()).unwrap();
        let held = frame.inside[0];
        assert_eq!((held.len, held.id, held.frag, held.sport), (3028, 7, 0, 40_000));
        let mut out = Vec::new();
        encode::frame(&mut out, Time::ZERO, &frame.packet, &Known(&frame, &decoder), &macs());
        assert_eq!(out, *wire);
    }
}

/// A frame with the addresses that its numbers stand for.
struct Addressed<'a>(&'a Frame, &'a Decoder, &'a AddressBook);

impl Bodies for Addressed<'_> {
    fn body(&self, id: PacketId) -> Option<Packet> {
        self.0.body(id)
    }
    fn original(&self, packet: &Packet) -> Option<&Original> {
        self.1.original(packet.tag)
    }
    fn address(&self, ip: Ip) -> core::net::IpAddr {
        self.2.address(ip)
    }
}

/// Encodes, decodes and encodes again; what was decoded, without tags.
fn there_and_back(frame: &Frame, book: &mut AddressBook) -> Frame {
    let mut decoder = Decoder::default();
    decoder.unwrap_gue(5555);
    let mut wire = Vec::new();
    let known = Addressed(frame, &decoder, book);
    encode::frame(&mut wire, Time::ZERO, &frame.packet, &known, &macs());
    let decoded = decoder.frame(&wire, &mut macs(), book).unwrap();
    let mut again = Vec::new();
    let known = Addressed(&decoded, &decoder, book);
    encode::frame(&mut again, Time::ZERO, &decoded.packet, &known, &macs());
    assert_eq!(again, wire);
    untagged(decoded)
}

#[test]
fn ipv6_and_its_neighbour_discovery_are_read() {
    let mut book = AddressBook::new();
    let [a, b] = ["fd00::1", "fd00::2"].map(|t| book.number(t.parse().unwrap()));
    let made = |protocol, above| {
        let mut p = Packet::ip(a, b, protocol, above);
        (p.src_mac, p.dst_mac, p.tos, p.ttl) = (MacId(0), MacId(1), 0xb8, 255);
        p
    };
    let mut segment = made(proto::TCP, 40 + 9);
    (segment.sport, segment.dport, segment.seq, segment.window) = (40_000, 80, 7, 64_240);
    (segment.flags, segment.opt, segment.mss) = (Flags::SYN, 20, 1440);
    let mut asks = made(proto::ICMPV6, 32);
    (asks.sport, asks.ack, asks.window) = (135, b.0, 0);
    asks.dst_mac = MacId::of_group("ff02::1:ff00:2".parse().unwrap());
    let mut bare = made(proto::ICMPV6, 24);
    (bare.sport, bare.seq, bare.ack, bare.window) = (136, 0x6000_0000, a.0, MacId::ZERO.0);
    let mut echo = made(proto::ICMPV6, 8 + 56);
    (echo.sport, echo.seq) = (128, 0x0007_0001);
    for packet in [segment, asks, bare, echo] {
        let frame = Frame { packet, inside: Vec::new(), payloads: Vec::new() };
        assert_eq!(there_and_back(&frame, &mut book), frame);
    }
    let mut error = made(proto::ICMPV6, 8 + segment.len);
    (error.sport, error.dport, error.body) = (1, 4, PacketId(0));
    let quoted = Packet { src_mac: MacId::ZERO, dst_mac: MacId::ZERO, ..segment };
    let frame = Frame { packet: error, inside: vec![quoted], payloads: Vec::new() };
    assert_eq!(there_and_back(&frame, &mut book), frame);
}

#[test]
fn every_tunnel_is_looked_into() {
    let mut book = AddressBook::new();
    let [a, b] = ["fd00::1", "fd00::2"].map(|t| book.number(t.parse().unwrap()));
    for (src, dst) in [(CLIENT, VIP), (a, b)] {
        let mut inner = Packet::ip(src, dst, proto::UDP, 8 + 5);
        (inner.sport, inner.dport) = (4000, 4001);
        let v6 = inner.kind == Kind::Ipv6;
        let ip = if v6 { proto::IPV6 } else { proto::IPIP };
        for (protocol, header, checked) in [
            (ip, 0, 0),
            (proto::GRE, 4, 0),
            (proto::GRE, 8, 1),
            (proto::UDP, 12, 0),
            (proto::UDP, 12, 1),
        ] {
            let mut outer = packet(protocol, 20 + header + inner.len);
            (outer.sport, outer.dport) = (0, 0);
            (outer.body, outer.seq) = (PacketId(0), checked);
            if protocol == proto::UDP {
                (outer.sport, outer.dport, outer.opt) = (50_000, 5555, 4);
            }
            let frame = Frame { packet: outer, inside: vec![inner], payloads: Vec::new() };
            assert_eq!(there_and_back(&frame, &mut book), frame, "{protocol} {checked}");
        }
    }
}

#[test]
fn a_flow_label_goes_on_with_the_packet() {
    let mut book = AddressBook::new();
    let [a, b] = ["fd00::1", "fd00::2"].map(|t| book.number(t.parse().unwrap()));
    let packet = Packet::ip(a, b, proto::UDP, 8);
    let frame = Frame { packet, inside: Vec::new(), payloads: Vec::new() };
    let mut decoder = Decoder::default();
    let mut wire = Vec::new();
    encode::frame(&mut wire, Time::ZERO, &packet, &Addressed(&frame, &decoder, &book), &[]);
    wire[15..18].copy_from_slice(&[0x0a, 0xbc, 0xde]);
    let decoded = decoder.frame(&wire, &mut macs(), &mut book).unwrap();
    let mut out = Vec::new();
    let known = Addressed(&decoded, &decoder, &book);
    encode::frame(&mut out, Time::ZERO, &decoded.packet, &known, &[]);
    assert_eq!(out, wire);
}

#[test]
fn what_is_no_packet_is_refused_with_a_reason() {
    let mut decoder = Decoder::default();
    let mut read =
        |bytes: &[u8]| decoder.frame(bytes, &mut macs(), &mut AddressBook::new()).unwrap_err();
    assert_eq!(read(&[0; 13]), Unreadable::Short);
    let good = bytes(
        &Frame { packet: packet(proto::UDP, 40), inside: vec![], payloads: Vec::new() },
        &macs(),
    );
    assert_eq!(read(&good[..40]), Unreadable::Short);
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    assert_eq!(read(&with(12, 0x88)), Unreadable::EtherType(0x8800));
    assert_eq!(read(&with(14, 0x75)), Unreadable::Version(7));
    assert_eq!(read(&with(14, 0x65)[..50]), Unreadable::Short, "an IPv6 header is longer");
    assert_eq!(read(&with(14, 0x46)), Unreadable::Options);
    assert_eq!(read(&with(13, 0x06)), Unreadable::Arp);
}

proptest! {
    #[test]
    fn decoding_is_the_inverse_of_encoding(
        protocol in prop::sample::select(vec![
            proto::TCP, proto::UDP, proto::ICMP, proto::IPIP, 47,
        ]),
        inner in prop::sample::select(vec![proto::TCP, proto::UDP, proto::ICMP]),
        extra in 0u16..1200, inner_extra in 0u16..900, seq: u32, ack: u32, window: u16,
        flags in 0u8..64, long_options: bool, ttl: u8, tos: u8, id: u16, df: bool,
        kind in prop::sample::select(vec![0u16, 3, 5, 8, 11]), code in 0u16..16,
    ) {
        let made = |protocol, extra| {
            let mut p = packet(protocol, 20 + extra);
            (p.ttl, p.tos, p.id) = (ttl, tos, id);
            p.frag = if df { Packet::DF } else { 0 };
            match protocol {
                proto::TCP => {
                    (p.seq, p.flags) = (seq, Flags(flags));
                    p.ack = if p.flags.has(Flags::ACK) { ack } else { 0 };
                    let syn = p.flags.has(Flags::SYN);
                    p.opt = if syn { 20 } else if long_options { 12 } else { 0 };
                    p.mss = if syn { 1460 } else { 0 };
                    p.window = u32::from(window) << if p.opt == 12 { WINDOW_SHIFT } else { 0 };
                    p.len += 20 + u16::from(p.opt);
                }
                proto::UDP => p.len += 8,
                proto::ICMP => {
                    (p.sport, p.dport, p.seq) = (kind, code, seq);
                    p.len += 8;
                }
                _ => (p.sport, p.dport) = (0, 0),
            }
            p
        };
        let mut outer = made(protocol, extra);
        let mut held = made(inner, inner_extra);
        (held.src_mac, held.dst_mac) = (MacId::ZERO, MacId::ZERO);
        let mut inside = Vec::new();
        if protocol == proto::IPIP || protocol == proto::ICMP && is_error(kind) {
            if inner == proto::ICMP && is_error(kind) {
                (held.sport, held.dport) = (8, 0);
            }
            outer.body = PacketId(0);
            outer.len = held.len + if protocol == proto::ICMP { 28 } else { 20 };
            inside.push(held);
        }
        let frame = Frame { packet: outer, inside, payloads: Vec::new() };
        let wire = bytes(&frame, &macs());
        let mut decoder = Decoder::default();
        let mut known = macs();
        let decoded = decoder.frame(&wire, &mut known, &mut AddressBook::new()).unwrap();
        prop_assert_eq!(untagged(decoded.clone()), frame);
        prop_assert_eq!(known, macs());
        let mut again = Vec::new();
        encode::frame(&mut again, Time::ZERO, &decoded.packet, &Known(&decoded, &decoder),
            &macs());
        prop_assert_eq!(again, wire);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>, like_ip: bool) {
        let mut bytes = bytes;
        if like_ip && bytes.len() > 20 {
            bytes[12..15].copy_from_slice(&[8, 0, 0x45]);
        }
        let mut decoder = Decoder::default();
        decoder.note(&bytes);
        drop(decoder.frame(&bytes, &mut macs(), &mut AddressBook::new()));
    }
}
