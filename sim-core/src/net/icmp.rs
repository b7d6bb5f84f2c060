//! ICMP messages (RFC 792, RFC 1122 3.2.2, RFC 4443; Linux `net/ipv4/icmp.c`, `net/ipv6/icmp.c`): which
//! are made, what they look like, how many are sent.
//!
//! Inside a host errors are spoken of by their ICMP (IPv4) types and codes. What is put on a link about
//! an IPv6 packet is ICMPv6: [`v6_meaning`], [`v4_meaning`].

use crate::engine::{Span, Time};
use crate::wire::{Ip, Kind, MacId, Packet, icmp, icmpv6, proto};
use std::collections::BTreeMap;

/// Largest ICMP error in bytes, IP header included (RFC 1812 4.3.2.3; Linux `__icmp_send`).
pub const LARGEST_ERROR: u16 = 576;

/// The same for ICMPv6 (RFC 4443 2.4 c).
pub const LARGEST_ERROR_V6: u16 = 1280;

/// Bytes of the IP and ICMP headers before what an error quotes.
const HEADERS: u16 = Packet::IP_HEADER + 8;

/// TOS of errors: precedence "internetwork control".
const INTERNETWORK_CONTROL: u8 = 0xc0;

/// The bits of the TOS that an error takes over from its cause (`IPTOS_TOS_MASK`).
const TOS_MASK: u8 = 0x1e;

/// The error message about `offending`, as it was received, sent from address `source`; `None` where
/// none may be sent.
///
/// None is sent about an ICMP error, about a fragment other than the first, about a packet to a
/// broadcast or multicast address or one that came in a broadcast frame, or with a source that is
/// not one host (`0.0.0.0`, broadcast, multicast, 240.0.0.0/4). Directed broadcasts
/// (`10.0.0.255`) cannot be told from here: the caller knows its prefixes.
///
/// `info` is the second word of the header: the MTU of [`icmp::FRAG_NEEDED`], the gateway of
/// [`icmp::REDIRECT`], else 0. The message quotes as much of the packet as fits in 576 bytes. TTL is
/// 64, identification 0: both are the sender's to set.
///
/// `body` is `PacketId::NONE`: the caller stores a copy of the offending packet, with a copy of what
/// it owns, and puts its number there. The limit on how many are sent is [`RateLimit`].
///
/// ```
/// use sim_core::net::icmp::error;
/// use sim_core::wire::{Ip, Packet, icmp, proto};
/// let (client, router) = (Ip::new(10, 0, 0, 1), Ip::new(10, 0, 0, 254));
/// let p = Packet::ipv4(client, Ip::new(10, 1, 0, 1), proto::TCP, 60);
/// let e = error(&p, router, icmp::UNREACHABLE, icmp::FRAG_NEEDED, 1400).unwrap();
/// assert_eq!((e.src, e.dst, e.len, e.seq), (router, client, 88, 1400));
/// assert!(error(&e, router, icmp::TIME_EXCEEDED, 0, 0).is_none());
/// ```
///
/// About an IPv6 packet it is the ICMPv6 error of the same meaning, which quotes as much as fits in 1280
/// bytes; redirects are not made. Multicast addresses are the caller's to know.
pub fn error(offending: &Packet, source: Ip, kind: u8, code: u8, info: u32) -> Option<Packet> {
    if offending.kind == Kind::Ipv6 {
        return error_v6(offending, source, kind, code, info);
    }
    let quiet = is_error(offending)
        || offending.frag & Packet::OFFSET != 0
        || offending.dst_mac == MacId::BROADCAST
        || offending.dst == Ip::BROADCAST
        || is_multicast(offending.dst)
        || offending.src.0 >> 24 == 0
        || is_multicast(offending.src)
        || is_reserved(offending.src);
    if quiet {
        return None;
    }
    let len = HEADERS + offending.len.min(LARGEST_ERROR - HEADERS);
    let mut message = Packet::ipv4(source, offending.src, proto::ICMP, len);
    message.sport = u16::from(kind);
    message.dport = u16::from(code);
    message.seq = info;
    message.tos = offending.tos & TOS_MASK | INTERNETWORK_CONTROL;
    message.tag = offending.tag;
    Some(message)
}

/// `icmp6_send`.
fn error_v6(offending: &Packet, source: Ip, kind: u8, code: u8, info: u32) -> Option<Packet> {
    let (kind, code) = v6_meaning(kind, code)?;
    let to_many = offending.dst_mac.is_group() && kind != icmpv6::TOO_BIG;
    if is_error(offending) || offending.frag & Packet::OFFSET != 0 || to_many {
        return None;
    }
    let room = LARGEST_ERROR_V6 - Packet::IPV6_HEADER - 8;
    let mut message = Packet::ip(source, offending.src, proto::ICMPV6, 8 + offending.len.min(room));
    message.sport = u16::from(kind);
    message.dport = u16::from(code);
    message.seq = info;
    message.tag = offending.tag;
    Some(message)
}

/// Type and code of the ICMPv6 error that means what an ICMP error means; `None` for redirects.
pub const fn v6_meaning(kind: u8, code: u8) -> Option<(u8, u8)> {
    Some(match (kind, code) {
        (icmp::UNREACHABLE, icmp::FRAG_NEEDED) => (icmpv6::TOO_BIG, 0),
        (icmp::UNREACHABLE, icmp::PORT) => (icmpv6::UNREACHABLE, icmpv6::PORT),
        (icmp::UNREACHABLE, icmp::HOST) => (icmpv6::UNREACHABLE, icmpv6::ADDRESS),
        (icmp::UNREACHABLE, icmp::NET) => (icmpv6::UNREACHABLE, icmpv6::NO_ROUTE),
        // unrecognised next header
        (icmp::UNREACHABLE, icmp::PROTOCOL) => (icmpv6::PARAMETER, 1),
        (icmp::UNREACHABLE, _) => (icmpv6::UNREACHABLE, icmpv6::PROHIBITED),
        (icmp::TIME_EXCEEDED, code) => (icmpv6::TIME_EXCEEDED, code),
        _ => return None,
    })
}

/// Type and code of the ICMP error that means to an application what an ICMPv6 error means
/// (`icmpv6_err_convert`); `None` for all other messages.
pub const fn v4_meaning(kind: u8, code: u8) -> Option<(u8, u8)> {
    const PROHIBITED: u8 = 13;
    Some(match (kind, code) {
        (icmpv6::TOO_BIG, _) => (icmp::UNREACHABLE, icmp::FRAG_NEEDED),
        (icmpv6::UNREACHABLE, icmpv6::PORT) => (icmp::UNREACHABLE, icmp::PORT),
        (icmpv6::UNREACHABLE, icmpv6::NO_ROUTE) => (icmp::UNREACHABLE, icmp::NET),
        (icmpv6::UNREACHABLE, 2 | icmpv6::ADDRESS) => (icmp::UNREACHABLE, icmp::HOST),
        (icmpv6::UNREACHABLE, _) => (icmp::UNREACHABLE, PROHIBITED),
        (icmpv6::TIME_EXCEEDED, code) => (icmp::TIME_EXCEEDED, code),
        (icmpv6::PARAMETER, 1) => (icmp::UNREACHABLE, icmp::PROTOCOL),
        _ => return None,
    })
}

/// The answer to an echo request, from the address that was asked; `None` if it is not one, or a
/// fragment of one, or sent to a broadcast or multicast address (`icmp_echo_ignore_broadcasts` 1).
///
/// TTL is 64, identification 0: both are the sender's to set.
pub fn echo_reply(request: &Packet) -> Option<Packet> {
    let v6 = request.kind == Kind::Ipv6;
    let (protocol, asked, answer) = if v6 {
        (proto::ICMPV6, icmpv6::ECHO, icmpv6::ECHO_REPLY)
    } else {
        (proto::ICMP, icmp::ECHO, icmp::ECHO_REPLY)
    };
    let echo = request.proto == protocol && request.sport == u16::from(asked);
    let to_many = request.dst_mac == MacId::BROADCAST
        || request.dst_mac.is_group()
        || request.dst == Ip::BROADCAST
        || is_multicast(request.dst);
    if !echo || request.is_fragment() || to_many {
        return None;
    }
    let above = request.len.saturating_sub(request.header());
    let mut reply = Packet::ip(request.dst, request.src, protocol, above);
    reply.sport = u16::from(answer);
    reply.seq = request.seq;
    reply.tos = request.tos;
    reply.tag = request.tag;
    Some(reply)
}

/// Whether this is an ICMP error message: unreachable, source quench, redirect, time exceeded,
/// parameter problem, or of a type nobody has defined (above 18), to be on the safe side.
///
/// Of ICMPv6 every type below 128.
pub fn is_error(packet: &Packet) -> bool {
    if packet.kind == Kind::Ipv6 {
        let whole = packet.frag & Packet::OFFSET == 0;
        return packet.proto == proto::ICMPV6 && whole && packet.sport < 128;
    }
    packet.proto == proto::ICMP
        && packet.frag & Packet::OFFSET == 0
        && matches!(packet.sport, 3 | 4 | 5 | 11 | 12 | 19..)
}

fn is_multicast(ip: Ip) -> bool {
    ip.0 >> 28 == 0xe
}

fn is_reserved(ip: Ip) -> bool {
    ip.0 >> 28 == 0xf
}

/// How many ICMP messages a host sends (`icmpv4_mask_allow`, `icmp_global_allow`,
/// `icmpv4_xrlim_allow` with the kernel's defaults).
///
/// Limited are unreachable (but fragmentation needed), source quench, time exceeded and parameter
/// problem (`icmp_ratemask` 0x1818). A message needs a token of the host (`icmp_msgs_per_sec` 1000,
/// `icmp_msgs_burst` 50; refilled when it is empty and 20 ms have passed since the last refill) and one
/// of its destination (one in `icmp_ratelimit` 1000 ms, at most 6). The kernel takes zero to two
/// tokens of the host at random; here it is one.
///
/// Messages that loop back to the host itself are not limited: do not ask for them.
#[derive(Clone, Debug)]
pub struct RateLimit {
    tokens: u64,
    refilled: Option<Time>,
    /// By destination: credit in nanoseconds, and when it was counted.
    peers: BTreeMap<Ip, (Span, Time)>,
    /// Number of destinations at which those with full credit are forgotten.
    prune_at: usize,
}

impl RateLimit {
    const PER_SECOND: u64 = 1000;
    const BURST: u64 = 50;
    const REFILL: Span = Span::from_millis(20);
    const PEER_COST: Span = Span::from_millis(1000);
    const PEER_CREDIT: Span = Span::from_millis(6000);
    const MASK: u32 = 0x1818;
    const SMALLEST_PRUNE: usize = 1024;

    /// A host that has sent nothing yet.
    pub const fn new() -> Self {
        Self { tokens: 0, refilled: None, peers: BTreeMap::new(), prune_at: Self::SMALLEST_PRUNE }
    }

    /// Whether a message of type `kind` and `code` may go to `dst` now; if so, it is counted.
    ///
    /// `now` must not go back.
    ///
    /// ```
    /// use sim_core::engine::Time;
    /// use sim_core::net::icmp::RateLimit;
    /// use sim_core::wire::{Ip, icmp};
    /// let mut limit = RateLimit::new();
    /// let mut ask = || limit.allow(Time::ZERO, Ip::new(10, 0, 0, 1), icmp::UNREACHABLE, icmp::PORT);
    /// assert_eq!((0..10).filter(|_| ask()).count(), 6);
    /// ```
    pub fn allow(&mut self, now: Time, dst: Ip, kind: u8, code: u8) -> bool {
        let limited = kind < 32 && Self::MASK >> kind & 1 == 1;
        let path_mtu = kind == icmp::UNREACHABLE && code == icmp::FRAG_NEEDED;
        if !limited || path_mtu {
            return true;
        }
        if !self.host_has_token(now) || !self.peer_pays(now, dst, Self::PEER_COST) {
            return false;
        }
        self.tokens -= 1;
        true
    }

    /// Whether an ICMPv6 error of type `kind` may go to `dst` now, which is reached by a route of prefix
    /// length `prefix` (`icmpv6_xrlim_allow`): a wide prefix gets more, up to sixteen times as many.
    /// Packet too big is not limited, nor is what is no error. If so, it is counted.
    pub fn allow_v6(&mut self, now: Time, dst: Ip, kind: u8, prefix: u8) -> bool {
        if kind == icmpv6::TOO_BIG || kind >= 128 {
            return true;
        }
        let wider = 128u8.saturating_sub(prefix) >> 5;
        let cost = Span::from_nanos(Self::PEER_COST.as_nanos() >> wider);
        if !self.host_has_token(now) || !self.peer_pays(now, dst, cost) {
            return false;
        }
        self.tokens -= 1;
        true
    }

    fn host_has_token(&mut self, now: Time) -> bool {
        if self.tokens > 0 {
            return true;
        }
        let full = Span::from_secs(1);
        let passed = self.refilled.map_or(full, |at| now.saturating_since(at).min(full));
        if passed < Self::REFILL {
            return false;
        }
        let earned = Self::PER_SECOND * passed.as_nanos() / 1_000_000_000;
        self.tokens = earned.min(Self::BURST);
        self.refilled = Some(now);
        true
    }

    /// A destination has credit for six messages at most (`inet_peer_xrlim_allow`).
    fn peer_pays(&mut self, now: Time, dst: Ip, cost: Span) -> bool {
        let most = cost * 6;
        if self.peers.len() >= self.prune_at {
            self.prune(now);
        }
        let (credit, counted) = self.peers.entry(dst).or_insert((Self::PEER_CREDIT, now));
        *credit = grown(*credit, *counted, now).min(most);
        *counted = now;
        let pays = *credit >= cost;
        if pays {
            *credit = credit.saturating_sub(cost);
        }
        pays
    }

    /// A destination with full credit is like one never heard of.
    fn prune(&mut self, now: Time) {
        self.peers.retain(|_, &mut (credit, at)| grown(credit, at, now) < Self::PEER_CREDIT);
        self.prune_at = (2 * self.peers.len()).max(Self::SMALLEST_PRUNE);
    }
}

/// How many ICMP redirects a host sends (`ip_rt_send_redirect` with the kernel's defaults).
///
/// To one destination at most 9 (`redirect_number`): the second no earlier than 40 ms after the first,
/// and the wait doubles with each (`redirect_load` 20 ms). A destination that has caused none for
/// 20.48 s (`redirect_silence`) begins anew.
#[derive(Clone, Debug, Default)]
pub struct RedirectLimit {
    /// By destination: how many were sent, and when it was last counted.
    peers: BTreeMap<Ip, (u32, Time)>,
}

impl RedirectLimit {
    const NUMBER: u32 = 9;
    const LOAD: Span = Span::from_millis(20);
    const SILENCE: Span = Span::from_millis(20_480);

    /// A host that has sent nothing yet.
    pub const fn new() -> Self {
        Self { peers: BTreeMap::new() }
    }

    /// Whether a redirect may go to `dst` now; if so, it is counted. `now` must not go back.
    ///
    /// ```
    /// use sim_core::engine::{Span, Time};
    /// use sim_core::net::icmp::RedirectLimit;
    /// use sim_core::wire::Ip;
    /// let mut limit = RedirectLimit::new();
    /// let mut ask = |ms| limit.allow(Time::ZERO + Span::from_millis(ms), Ip::new(10, 0, 0, 1));
    /// assert!(ask(0) && !ask(40) && ask(41));
    /// ```
    pub fn allow(&mut self, now: Time, dst: Ip) -> bool {
        let (sent, last) = self.peers.entry(dst).or_insert((0, now));
        if now > *last + Self::SILENCE {
            *sent = 0;
        }
        if *sent >= Self::NUMBER {
            *last = now;
            return false;
        }
        let wait = Span::from_nanos(Self::LOAD.as_nanos() << *sent);
        if *sent > 0 && now <= *last + wait {
            return false;
        }
        *last = now;
        *sent += 1;
        true
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new()
    }
}

fn grown(credit: Span, counted: Time, now: Time) -> Span {
    (credit + now.saturating_since(counted)).min(RateLimit::PEER_CREDIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::PacketId;

    const A: Ip = Ip::new(10, 0, 0, 1);
    const B: Ip = Ip::new(10, 0, 0, 2);
    const ROUTER: Ip = Ip::new(10, 0, 0, 254);

    fn at(ms: u64) -> Time {
        Time::ZERO + Span::from_millis(ms)
    }

    fn about(p: &Packet) -> Option<Packet> {
        error(p, ROUTER, icmp::TIME_EXCEEDED, 0, 0)
    }

    #[test]
    fn an_error_quotes_at_most_what_fits_in_576_bytes() {
        for (len, total) in [(20, 48), (60, 88), (548, 576), (549, 576), (65_535, 576)] {
            let e = about(&Packet::ipv4(A, B, proto::UDP, len)).unwrap();
            assert_eq!((e.len, e.proto, e.body), (total, proto::ICMP, PacketId::NONE));
        }
    }

    #[test]
    fn an_error_goes_back_with_the_precedence_of_network_control() {
        let mut p = Packet::ipv4(A, B, proto::UDP, 100);
        (p.tos, p.tag) = (0xb8, 42);
        let e = error(&p, ROUTER, icmp::REDIRECT, 1, B.0).unwrap();
        assert_eq!((e.src, e.dst, e.tos, e.tag), (ROUTER, A, 0xd8, 42));
        assert_eq!((e.sport, e.dport, e.seq), (5, 1, B.0));
    }

    #[test]
    fn some_packets_cause_no_error() {
        let p = Packet::ipv4(A, B, proto::UDP, 100);
        assert!(about(&p).is_some());
        let icmp_of = |kind| Packet { proto: proto::ICMP, sport: kind, ..p };
        for quiet in [
            Packet { frag: 1, ..p },
            Packet { frag: Packet::MF | 0xb9, ..p },
            Packet { dst_mac: MacId::BROADCAST, ..p },
            Packet { dst: Ip::BROADCAST, ..p },
            Packet { dst: Ip::new(224, 0, 0, 18), ..p },
            Packet { src: Ip::ANY, ..p },
            Packet { src: Ip::BROADCAST, ..p },
            Packet { src: Ip::new(239, 1, 1, 1), ..p },
            icmp_of(3),
            icmp_of(5),
            icmp_of(11),
            icmp_of(40),
        ] {
            assert!(about(&quiet).is_none(), "{quiet:?}");
        }
        for loud in [Packet { frag: Packet::MF, ..p }, icmp_of(8), icmp_of(0)] {
            assert!(about(&loud).is_some(), "{loud:?}");
        }
    }

    #[test]
    fn an_error_about_an_ipv6_packet_is_icmpv6() {
        let (a, b, router) = (Ip(0xf000_0000), Ip(0xf000_0001), Ip(0xf000_0002));
        let p = Packet::ip(a, b, proto::UDP, 9);
        let port = error(&p, router, icmp::UNREACHABLE, icmp::PORT, 0).unwrap();
        assert_eq!((port.kind, port.proto, port.len), (Kind::Ipv6, proto::ICMPV6, 97));
        assert_eq!((port.sport, port.dport, port.src, port.dst), (1, 4, router, a));
        let big = Packet { len: 1500, ..p };
        let big = error(&big, router, icmp::UNREACHABLE, icmp::FRAG_NEEDED, 1400).unwrap();
        assert_eq!((big.sport, big.dport, big.seq, big.len), (2, 0, 1400, 1280));
        assert_eq!(error(&p, router, icmp::REDIRECT, 1, 0), None);
        for quiet in [
            Packet { proto: proto::ICMPV6, sport: 3, ..p },
            Packet { frag: 8, ..p },
            Packet { dst_mac: MacId::of_group("ff02::1".parse().unwrap()), ..p },
        ] {
            assert_eq!(error(&quiet, router, icmp::UNREACHABLE, icmp::PORT, 0), None);
        }
        let echo = Packet { proto: proto::ICMPV6, sport: 128, seq: 7, ..p };
        let answer = echo_reply(&echo).unwrap();
        assert_eq!((answer.src, answer.sport, answer.seq, answer.len), (b, 129, 7, 49));
        assert!(error(&echo, router, icmp::TIME_EXCEEDED, 0, 0).is_some());
    }

    #[test]
    fn errors_mean_the_same_in_both_families() {
        for code in [icmp::NET, icmp::HOST, icmp::PROTOCOL, icmp::PORT, icmp::FRAG_NEEDED, 13] {
            let (kind, v6) = v6_meaning(icmp::UNREACHABLE, code).unwrap();
            assert_eq!(v4_meaning(kind, v6), Some((icmp::UNREACHABLE, code)), "code {code}");
        }
        let (kind, code) = v6_meaning(icmp::TIME_EXCEEDED, 1).unwrap();
        assert_eq!(v4_meaning(kind, code), Some((icmp::TIME_EXCEEDED, 1)));
        assert_eq!(v4_meaning(icmpv6::ECHO, 0), None);
    }

    #[test]
    fn a_wide_prefix_gets_more_icmpv6_errors() {
        let sent = |prefix| {
            let mut limit = RateLimit::new();
            let mut ask = |ms| limit.allow_v6(at(ms), A, icmpv6::UNREACHABLE, prefix);
            (0..10_000).step_by(10).filter(|ms| ask(*ms)).count()
        };
        // six at once and then one in 1000, 250, 62.5 ms
        assert_eq!((sent(128), sent(64), sent(0)), (6 + 9, 6 + 39, 6 + 159));
        let mut limit = RateLimit::new();
        assert!((0..100).all(|_| limit.allow_v6(at(0), A, icmpv6::TOO_BIG, 128)));
    }

    #[test]
    fn an_echo_is_answered_with_its_identifier_and_length() {
        let mut ping = Packet::ipv4(A, B, proto::ICMP, 84);
        (ping.sport, ping.seq, ping.ttl) = (8, 0x0007_0001, 3);
        let pong = echo_reply(&ping).unwrap();
        assert_eq!((pong.src, pong.dst, pong.sport, pong.seq), (B, A, 0, 0x0007_0001));
        assert_eq!((pong.len, pong.ttl), (84, 64));
        assert!(echo_reply(&pong).is_none());
        assert!(echo_reply(&Packet { dst: Ip::BROADCAST, ..ping }).is_none());
        assert!(echo_reply(&Packet { frag: Packet::MF, ..ping }).is_none());
        assert!(echo_reply(&Packet { proto: proto::UDP, ..ping }).is_none());
    }

    #[test]
    fn a_destination_gets_six_at_once_and_then_one_a_second() {
        let mut limit = RateLimit::new();
        let mut ask = |ms| limit.allow(at(ms), A, icmp::UNREACHABLE, icmp::PORT);
        let sent: Vec<u64> = (0..5000).filter(|&ms| ask(ms)).collect();
        assert_eq!(sent, [0, 1, 2, 3, 4, 5, 1000, 2000, 3000, 4000]);
    }

    #[test]
    fn a_host_sends_fifty_and_refills_every_twenty_milliseconds() {
        let mut limit = RateLimit::new();
        let mut ask = |ms, n| limit.allow(at(ms), Ip(A.0 + n), icmp::TIME_EXCEEDED, 0);
        assert_eq!((0..1000).filter(|&n| ask(0, n)).count(), 50);
        assert_eq!((1000..2000).filter(|&n| ask(19, n)).count(), 0);
        assert_eq!((2000..3000).filter(|&n| ask(20, n)).count(), 20);
        assert_eq!((3000..4000).filter(|&n| ask(45, n)).count(), 25);
        assert_eq!((4000..5000).filter(|&n| ask(9000, n)).count(), 50);
    }

    #[test]
    fn a_refused_destination_costs_the_host_nothing() {
        let mut limit = RateLimit::new();
        for _ in 0..1000 {
            limit.allow(at(0), A, icmp::UNREACHABLE, icmp::PORT);
        }
        let mut ask = |n| limit.allow(at(0), Ip(B.0 + n), icmp::UNREACHABLE, icmp::PORT);
        assert_eq!((0..100).filter(|&n| ask(n)).count(), 44);
    }

    #[test]
    fn path_mtu_echo_and_redirect_are_not_limited() {
        let mut limit = RateLimit::new();
        for (kind, code) in [(icmp::UNREACHABLE, icmp::FRAG_NEEDED), (icmp::ECHO_REPLY, 0), (5, 1)]
        {
            assert!((0..1000).all(|_| limit.allow(at(0), A, kind, code)));
        }
        assert!(limit.peers.is_empty());
    }

    #[test]
    fn redirects_come_at_doubling_intervals_until_the_ninth() {
        let mut limit = RedirectLimit::new();
        let sent: Vec<u64> = (0..60_000).filter(|&ms| limit.allow(at(ms), A)).collect();
        assert_eq!(sent, [0, 41, 122, 283, 604, 1245, 2526, 5087, 10_208]);
        // a packet every millisecond up to 60 s: the silence begins there
        assert!(!limit.allow(at(60_000 + 20_479), A));
        let mut fresh = limit.clone();
        assert!(!limit.allow(at(60_000 + 20_480 + 20_479), A));
        assert!(fresh.allow(at(60_000 + 20_480 + 20_480), A));
    }

    #[test]
    fn destinations_that_kept_quiet_are_forgotten() {
        let mut limit = RateLimit::new();
        for n in 0..100_000 {
            limit.allow(at(u64::from(n)), Ip(A.0 + n), icmp::UNREACHABLE, icmp::HOST);
        }
        assert!(limit.peers.len() < 4096, "{}", limit.peers.len());
    }
}
