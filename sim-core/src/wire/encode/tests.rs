use super::*;
use crate::wire::icmp;
use proptest::prelude::*;

const CLIENT: Ip = Ip::new(172, 16, 0, 10);
const VIP: Ip = Ip::new(192, 168, 10, 200);
const ROUTER: Ip = Ip::new(172, 16, 0, 1);
const MACS: [Mac; 2] = [Mac([2, 0, 0, 0, 1, 10]), Mac([2, 0, 0, 0, 1, 1])];

fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

fn encoded(now: Time, packet: &Packet, others: &[Packet]) -> Vec<u8> {
    let mut out = Vec::new();
    let find = |id: PacketId| others.get(id.0 as usize).copied();
    frame(&mut out, now, packet, &find, &MACS);
    out
}

fn bytes(packet: &Packet, others: &[Packet]) -> Vec<u8> {
    encoded(Time::ZERO, packet, others).split_off(ETHERNET_HEADER)
}

/// The one's complement sum of RFC 1071, done the slow way; 0xffff over correct data.
fn sum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
    }
    sum as u16
}

fn good(ip: &[u8]) -> bool {
    let l4 = &ip[20..];
    let length = (l4.len() as u16).to_be_bytes();
    let fragment = ip[6] & 0x3f != 0 || ip[7] != 0;
    sum(&[&ip[..20]]) == 0xffff
        && match ip[9] {
            _ if fragment => true,
            proto::ICMP => sum(&[l4]) == 0xffff,
            proto::TCP | proto::UDP => sum(&[&ip[12..20], &[0, ip[9]], &length, l4]) == 0xffff,
            proto::IPIP => {
                l4.get(..usize::from(u16::from_be_bytes([l4[2], l4[3]]))).is_none_or(good)
            }
            _ => true,
        }
}

fn packet(protocol: u8, len: u16) -> Packet {
    let mut p = Packet::ipv4(CLIENT, VIP, protocol, len);
    (p.src_mac, p.dst_mac) = (MacId(0), MacId(1));
    (p.sport, p.dport) = (0xe662, 80);
    p
}

fn syn() -> Packet {
    let mut p = packet(proto::TCP, 60);
    (p.id, p.frag, p.seq, p.window) = (0xd6cc, Packet::DF, 0xb31d_4dca, 64_240);
    (p.flags, p.mss, p.opt) = (Flags::SYN, 1460, 20);
    p
}

/// Packets and addresses of IPv6.
struct World6<'a>(&'a [Packet], AddressBook);

impl Bodies for World6<'_> {
    fn body(&self, id: PacketId) -> Option<Packet> {
        self.0.get(id.0 as usize).copied()
    }

    fn address(&self, ip: Ip) -> IpAddr {
        self.1.address(ip)
    }
}

/// Client and VIP of the recordings.
fn book() -> (AddressBook, Ip, Ip) {
    let mut book = AddressBook::new();
    let client = book.number("2001:db8:1::10".parse().unwrap());
    let vip = book.number("2001:db8:10::200".parse().unwrap());
    (book, client, vip)
}

fn bytes6(packet: &Packet, others: &[Packet], book: &AddressBook) -> Vec<u8> {
    let mut out = Vec::new();
    let world = World6(others, book.clone());
    frame(&mut out, Time::ZERO, packet, &world, &MACS);
    out.split_off(ETHERNET_HEADER)
}

/// Whether length and checksum of an IPv6 packet hold.
fn good6(ip: &[u8]) -> bool {
    let l4 = &ip[40..];
    let length = (l4.len() as u16).to_be_bytes();
    ip[4..6] == length && sum(&[&ip[8..40], &[0, ip[6]], &length, l4]) == 0xffff
}

/// A neighbour solicitation as a real kernel sent it (Linux 6.1).
#[test]
fn a_solicitation_byte_for_byte() {
    let mut book = AddressBook::new();
    let mut ip = |text: &str| book.number(text.parse().unwrap());
    let (from, to) = (ip("fe80::ff:fe00:a01"), ip("ff02::1:ff00:200"));
    let target = ip("2001:db8:10::200");
    let mut p = Packet::ip(from, to, proto::ICMPV6, 32);
    (p.src_mac, p.dst_mac) = (MacId(0), MacId::of_group(book.v6(to)));
    (p.sport, p.ttl, p.ack, p.window) = (135, 255, target.0, 0);
    let mut out = Vec::new();
    frame(&mut out, Time::ZERO, &p, &World6(&[], book), &[Mac([2, 0, 0, 0, 0x0a, 1])]);
    assert_eq!(
        hex(&out),
        "3333ff0002000200000".to_owned()
            + "00a0186dd6000000000203afffe80000000000000000000fffe000a01"
            + "ff0200000000000000000001ff00020087003453000000002001"
            + "0db80010000000000000000002000101020000000a01"
    );
    assert!(good6(&out[ETHERNET_HEADER..]));
    p.window = MacId::ZERO.0;
    p.len -= 8;
    assert!(good6(&bytes6(&p, &[], &AddressBook::new())));
}

#[test]
fn every_ipv6_packet_has_a_right_checksum() {
    let (book, client, vip) = book();
    let mut segment = Packet::ip(client, vip, proto::TCP, 20 + 12 + 1428);
    (segment.sport, segment.dport, segment.opt) = (40_000, 80, 12);
    segment.flags = Flags::ACK;
    let datagram = Packet { proto: proto::UDP, opt: 0, len: 40 + 8 + 77, ..segment };
    let mut error = Packet::ip(vip, client, proto::ICMPV6, 1240);
    (error.sport, error.seq, error.body) = (2, 1400, PacketId(0));
    for p in [segment, datagram, error] {
        let ip = bytes6(&p, &[segment], &book);
        assert_eq!(ip.len(), usize::from(p.len));
        assert!(good6(&ip), "{p:?}");
    }
    assert_eq!(bytes6(&error, &[segment], &book)[48..88], bytes6(&segment, &[], &book)[..40]);
}

#[test]
fn ipv6_fragments_are_parts_of_the_datagram() {
    let (book, client, vip) = book();
    let mut whole = Packet::ip(client, vip, proto::UDP, 3008);
    (whole.sport, whole.dport, whole.id) = (40_000, 5354, 77);
    let bytes = bytes6(&whole, &[], &book);
    let mut data: Vec<u8> = Vec::new();
    for mut part in crate::net::fragment::split(&whole, 1500) {
        part.body = PacketId(0);
        let ip = bytes6(&part, &[whole], &book);
        assert_eq!((ip.len(), ip[6], ip[40]), (usize::from(part.len), 44, proto::UDP));
        let offset = usize::from(u16::from_be_bytes([ip[42], ip[43]]) & !7);
        assert_eq!(offset, data.len());
        assert_eq!(ip[44..48], [0, 0, 0, 77]);
        data.extend(&ip[48..]);
    }
    assert_eq!(data, bytes[40..]);
}

#[test]
fn tunnels_hold_what_they_carry() {
    let (book, client, vip) = book();
    let v4 = syn();
    let v6 = Packet { kind: Kind::Ipv6, src: client, dst: vip, len: 80, frag: 0, ..v4 };
    let bodies = [v4, v6];
    for (n, inner) in bodies.iter().enumerate() {
        let inside = bytes6(inner, &[], &book);
        let mut outer = packet(proto::GRE, inner.len + 24);
        outer.body = PacketId(n as u32);
        let gre = bytes6(&outer, &bodies, &book);
        let kind = if n == 0 { [8, 0] } else { [0x86, 0xdd] };
        assert_eq!((&gre[20..22], &gre[22..24], &gre[24..]), (&[0, 0][..], &kind[..], &inside[..]));
        (outer.seq, outer.len) = (1, inner.len + 28);
        let gre = bytes6(&outer, &bodies, &book);
        assert_eq!((gre[20], &gre[28..]), (0x80, &inside[..]));
        assert_eq!(sum(&[&gre[20..]]), 0xffff);

        let mut outer = packet(proto::UDP, inner.len + 32);
        (outer.body, outer.opt, outer.dport) = (PacketId(n as u32), 4, 5555);
        let gue = bytes6(&outer, &bodies, &book);
        let kind = if n == 0 { 4 } else { 41 };
        assert_eq!(gue[26..32], [0, 0, 0, kind, 0, 0], "no checksum, version 0");
        assert_eq!(gue[32..], inside);
        outer.seq = 1;
        assert!(good(&bytes6(&outer, &bodies, &book)));
        (outer.opt, outer.len) = (0, inner.len + 28);
        assert_eq!(bytes6(&outer, &bodies, &book)[28..], inside, "plain FOU");

        let mut outer = packet(if n == 0 { proto::IPIP } else { proto::IPV6 }, inner.len + 20);
        outer.body = PacketId(n as u32);
        assert_eq!(bytes6(&outer, &bodies, &book)[20..], inside);
    }
}

fn error(kind: u8, code: u8, len: u16) -> Packet {
    let mut p = Packet::ipv4(VIP, CLIENT, proto::ICMP, len);
    (p.sport, p.dport, p.body) = (u16::from(kind), u16::from(code), PacketId(0));
    p
}

// The three frames below were recorded on a Linux 6.1 host in front of a director.

#[test]
fn a_syn_is_the_one_linux_sends() {
    let now = Time::from_nanos(0x2163_e89d * 1_000_000);
    assert_eq!(
        hex(&encoded(now, &syn(), &[])),
        "02000000010102000000010a08004500003cd6cc40004006ec64ac10000ac0a80ac8e6620050b31d4dca\
         00000000a002faf0e3e80000020405b40402080a2163e89d0000000001030307"
    );
}

#[test]
fn an_arp_request_is_the_one_linux_sends() {
    let mut p = Packet::ipv4(CLIENT, ROUTER, 0, 28);
    (p.kind, p.seq, p.ack) = (Kind::ArpRequest, 0, MacId::ZERO.0);
    (p.src_mac, p.dst_mac) = (MacId(0), MacId::BROADCAST);
    assert_eq!(
        hex(&encoded(Time::ZERO, &p, &[])),
        "ffffffffffff02000000010a0806000108000604000102000000010aac10000a000000000000ac100001"
    );
    p.kind = Kind::ArpReply;
    assert_eq!(encoded(Time::ZERO, &p, &[])[21], 2);
}

#[test]
fn a_host_unreachable_quotes_as_linux_does() {
    let mut offending = syn();
    (offending.id, offending.ttl, offending.sport) = (0xd2e2, 63, 0xed1c);
    offending.seq = 0x5699_24b7;
    let mut p = error(icmp::UNREACHABLE, icmp::HOST, 88);
    (p.tos, p.ttl, p.id) = (0xc0, 63, 0xe081);
    let now = Time::from_nanos(0x01d7_9a74 * 1_000_000);
    assert_eq!(
        hex(&encoded(now, &p, &[offending])[ETHERNET_HEADER..]),
        "45c00058e08100003f0122d9c0a80ac8ac10000a030174b8000000004500003cd2e240003f06f14eac10\
         000ac0a80ac8ed1c0050569924b700000000a002faf0d07b0000020405b40402080a01d79a7400000000\
         01030307"
    );
}

#[test]
fn options_follow_from_their_length() {
    let mut p = packet(proto::TCP, 52);
    (p.flags, p.opt, p.window) = (Flags::ACK, 12, 65_536);
    let b = bytes(&p, &[]);
    assert_eq!(b[32], 0x80);
    assert_eq!(&b[34..36], &512u16.to_be_bytes(), "scaled by 7");
    assert_eq!(&b[40..44], &[1, 1, 8, 10]);

    (p.opt, p.len) = (0, 40);
    let b = bytes(&p, &[]);
    assert_eq!(b[32], 0x50);
    assert_eq!(&b[34..36], &[0xff, 0xff], "clamped");

    (p.opt, p.len) = (8, 48);
    assert_eq!(&bytes(&p, &[])[40..], &[1; 8]);

    (p.flags, p.mss) = (Flags::SYN, 536);
    assert_eq!(&bytes(&p, &[])[40..], &[2, 4, 2, 24, 1, 1, 1, 1]);
    (p.opt, p.len) = (0, 40);
    assert_eq!(bytes(&p, &[]).len(), 40, "an MSS without room is left out");
    assert!(good(&bytes(&p, &[])));
}

#[test]
fn udp_to_port_53_looks_like_dns() {
    let mut p = packet(proto::UDP, 28 + 14);
    p.dport = 53;
    let b = bytes(&p, &[]);
    assert_eq!(&b[28..], b"ab\x01\0\0\0\0\0\0\0\0\0ab");
    assert!(good(&b));
    (p.sport, p.dport, p.len) = (53, 4000, 28 + 5);
    assert_eq!(&bytes(&p, &[])[28..], b"ab\x81\x80\0");
}

#[test]
fn a_retransmission_repeats_its_bytes() {
    let mut p = packet(proto::TCP, 1040);
    p.seq = 5_000;
    let whole = bytes(&p, &[]);
    (p.seq, p.len) = (5_400, 640);
    assert_eq!(bytes(&p, &[])[40..], whole[440..]);
}

#[test]
fn fragments_are_cut_from_the_whole() {
    let mut whole = packet(proto::UDP, 3028);
    whole.id = 7;
    let all = bytes(&whole, &[]);
    assert!(good(&all));
    let mut joined = Vec::new();
    for (frag, len) in [(Packet::MF, 1500), (Packet::MF | 0xb9, 1500), (0x172, 68)] {
        let mut f = Packet { frag, len, body: PacketId(0), ..whole };
        (f.sport, f.dport) = (0, 0);
        let b = bytes(&f, &[whole]);
        assert!(good(&b));
        joined.extend_from_slice(&b[20..]);
    }
    assert_eq!(joined, all[20..]);
}

#[test]
fn a_tunnel_holds_the_inner_packet() {
    let outer = Packet { body: PacketId(0), ..packet(proto::IPIP, 80) };
    let b = bytes(&outer, &[syn()]);
    assert!(good(&b));
    assert_eq!(b[20..], bytes(&syn(), &[]));
}

#[test]
fn an_error_about_a_tunnel_packet_quotes_both_headers() {
    let outer = Packet { body: PacketId(1), ..packet(proto::IPIP, 1500) };
    let inner = packet(proto::TCP, 1480);
    let b = bytes(&error(icmp::UNREACHABLE, icmp::FRAG_NEEDED, 576), &[outer, inner]);
    assert_eq!((b.len(), b[28 + 9], b[48 + 9]), (576, proto::IPIP, proto::TCP));
    assert!(good(&b));
}

#[test]
fn a_cut_quote_keeps_the_header_and_satisfies_a_dissector() {
    let mut p = packet(proto::TCP, 1500);
    (p.flags, p.opt, p.seq) = (Flags::ACK, 12, 99);
    let whole = bytes(&p, &[]);
    for len in [576, 575, 80] {
        let b = bytes(&error(icmp::TIME_EXCEEDED, 0, len), &[p]);
        let quote = &b[28..];
        assert_eq!(quote[..50.min(quote.len())], whole[..50.min(quote.len())]);
        assert!(good(&b));
        assert_eq!(good(quote), len > 80, "80 bytes leave no payload");
    }
    let tunnel = Packet { body: PacketId(1), ..packet(proto::IPIP, 1520) };
    let b = bytes(&error(icmp::TIME_EXCEEDED, 0, 576), &[tunnel, p]);
    assert_eq!(b[48..98], whole[..50]);
    assert!(good(&b) && good(&b[48..]));
}

#[test]
fn a_packet_that_contains_itself_ends() {
    for protocol in [proto::IPIP, proto::ICMP] {
        let p = Packet { body: PacketId(0), ..packet(protocol, 9000) };
        assert!(bytes(&p, &[p]).len() == 9000);
        let f = Packet { frag: Packet::MF, ..p };
        assert!(bytes(&f, &[f]).len() == 9000);
    }
}

proptest! {
    #[test]
    fn every_frame_is_as_long_as_it_says_and_its_checksums_are_right(
        protocol in prop::sample::select(vec![
            proto::TCP, proto::UDP, proto::ICMP, proto::IPIP, 47,
        ]),
        inner in prop::sample::select(vec![proto::TCP, proto::UDP, proto::ICMP, proto::IPIP]),
        len: u16, inner_len in 20u16..2000, frag: u16, seq: u32, ports: (u16, u16),
        flags: u8, opt: u8, body in 0u32..3,
    ) {
        let mut p = packet(protocol, len);
        (p.seq, p.flags, p.opt, p.body) = (seq, Flags(flags), opt, PacketId(body));
        (p.sport, p.dport) = ports;
        if body == 1 {
            p.frag = frag;
        }
        let q = packet(inner, inner_len);
        let b = bytes(&p, &[q, q]);
        prop_assert_eq!(b.len(), usize::from(len.max(20)));
        // less than a header has no room for the checksum
        let cut = !p.is_fragment() && len < 60;
        let cut = cut || protocol == proto::IPIP && (inner_len < 60 || len < inner_len + 20);
        prop_assert!(cut || body == 2 && protocol == proto::IPIP || good(&b), "{}", hex(&b));
    }
}

/// A world with one VRRP advert, number 0.
struct Told(Advert);

impl Bodies for Told {
    fn body(&self, _: PacketId) -> Option<Packet> {
        None
    }

    fn advert(&self, number: u32) -> Option<&Advert> {
        (number == 0).then_some(&self.0)
    }
}

fn told(auth: Auth) -> Told {
    let addresses = vec![crate::config::v4(192, 168, 10, 200)];
    Told(Advert { version: 2, vrid: 51, priority: 100, interval: 1, auth, addresses })
}

/// An advert from 192.168.10.101.
fn advert(protocol: u8, above: u16) -> Packet {
    let (source, group) = (Ip::new(192, 168, 10, 101), Ip::new(224, 0, 0, 18));
    let mut p = Packet::ip(source, group, protocol, above);
    (p.ttl, p.tos, p.id, p.seq, p.ack) = (255, 0xc0, 1, 0, 9);
    p.dst_mac = MacId::of_group_v4(group);
    p
}

/// The first advert of keepalived 2.2.7, but for the Ethernet source.
#[test]
fn an_advert_is_as_keepalived_sends_it() {
    let mut out = Vec::new();
    let recorded = "01005e00001202000000010a080045c0002800010000ff700f85c0a80a65e0000012\
                    213364010001af59c0a80ac80000000000000000";
    let mut p = advert(proto::VRRP, 20);
    p.src_mac = MacId(0);
    frame(&mut out, Time::ZERO, &p, &told(Auth::None), &MACS);
    assert_eq!(hex(&out), recorded);
    let mut decoder = crate::wire::decode::Decoder::default();
    let mut book = AddressBook::new();
    let decoded = decoder.frame(&out, &mut MACS.to_vec(), &mut book).unwrap().packet;
    assert_eq!(decoder.adverts().get(decoded.seq), Some(&told(Auth::None).0));
}

#[test]
fn an_advert_under_a_key_is_in_an_authentication_header() {
    let key = Auth::Ah(Auth::secret("secret"));
    let bytes = |p: &Packet| {
        let mut out = Vec::new();
        frame(&mut out, Time::ZERO, p, &told(key), &MACS);
        out.split_off(ETHERNET_HEADER)
    };
    let p = advert(proto::AH, 44);
    let sent = bytes(&p);
    // next header, length, reserved; security parameters index: the source; sequence number
    assert_eq!(sent[20..32], [112, 4, 0, 0, 192, 168, 10, 101, 0, 0, 0, 9]);
    assert_eq!(sent[44..46], [0x21, 51]);
    // what routers change does not matter, what they must not change does
    assert_eq!(bytes(&Packet { ttl: 3, tos: 0, ..p })[32..44], sent[32..44]);
    assert_ne!(bytes(&Packet { ack: 10, ..p })[32..44], sent[32..44]);
    let mut decoder = crate::wire::decode::Decoder::default();
    let framed = [vec![0; 12], vec![8, 0], sent].concat();
    let mut book = AddressBook::new();
    let decoded = decoder.frame(&framed, &mut MACS.to_vec(), &mut book).unwrap().packet;
    assert_eq!((decoded.ack, decoder.adverts().get(decoded.seq).map(|a| a.vrid)), (9, Some(51)));
}
