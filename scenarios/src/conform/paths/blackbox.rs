//! A host as a black box: the frames that came in by its interfaces go into a simulated host set up
//! by the same commands, and the frames that it sends must be the recorded ones, byte for byte.
//!
//! What the kernel is free to choose is taken over from the recording before the bytes are compared:
//! the IP identification of packets that the host makes itself, the source port of GUE, which is a
//! hash with a secret, and for a synchronisation daemon its source port and when in a second it looks for
//! work.

use super::case::{Case, End, Request};
use super::fields::{difference, summary};
use super::pcap::Captured;
use super::{operate, setup};
use sim_core::config::{
    CaptureConfig, HostConfig, InterfaceConfig, InterfaceSysctl, LinkConfig, LinkDirection,
    LinkEnd, QueueLimit, WorldConfig,
};
use sim_core::engine::{Span, Time};
use sim_core::ipvs::rules::Forwarding;
use sim_core::ipvs::sync::PORT;
use sim_core::observe::capture::Direction;
use sim_core::wire::decode::{Decoder, Frame, Original};
use sim_core::wire::encode::{self, Bodies};
use sim_core::wire::{AddressBook, Ip, Kind, Mac, Packet, PacketId, proto};
use sim_core::world::World;
use std::net::IpAddr;

/// How much earlier or later than the recorded one a frame may leave that something coming in caused:
/// the recorded machine was busy with other things.
pub const TOLERANCE: Span = Span::from_millis(40);

/// The same for a frame that a timer caused. The timers of the recorded kernel are kept in a wheel that
/// may run them late by an eighth of their time (`kernel/time/timer.c`, "granularity"): one of five
/// seconds, or some of a second each that follow one another.
pub const TIMER_TOLERANCE: Span = Span::from_millis(700);

/// The same for an ARP reply of a host that answers for others: it waits for a random time up to this
/// (`proxy_delay`).
pub const PROXY_DELAY: Span = Span::from_millis(800 + 40);

/// The simulated time at which a recording begins: long enough after the start for every limit of
/// rates to be at rest.
const BEGIN: Time = Time::from_nanos(1_000_000_000_000);

/// What a comparison came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// No difference in so many things compared.
    Agrees(usize),
    /// The first difference.
    Differs(String),
    /// It was not compared; why.
    Skipped(String),
}

/// The hosts of a case that are looked at as black boxes: those that forward or balance, but not the
/// real servers, which answer by themselves.
pub fn boxes(case: &Case) -> Vec<(String, Vec<String>)> {
    let is_box = |name: &str| {
        !name.starts_with("rs")
            && case.typed_on(name).any(|c| {
                c.starts_with("ipvsadm") || c.contains("ip_forward=1") || c.contains("forwarding=1")
            })
    };
    case.topology.hosts().into_iter().filter(|(name, _)| is_box(name)).collect()
}

/// Plays what came in to a host and compares what it sends.
pub fn judge(case: &Case, host: &str, interfaces: &[String]) -> Outcome {
    let config = match setup::host(case, host, interfaces) {
        Ok(config) => config,
        Err(why) => return Outcome::Skipped(why),
    };
    match Bench::new(config, gue_ports(case)) {
        Ok(bench) => bench.compare(&Recorded::new(case, host, interfaces)),
        Err(why) => Outcome::Skipped(why),
    }
}

/// What happened at a host.
struct Recorded<'a> {
    host: &'a str,
    interfaces: &'a [String],
    /// What came in or was typed, in order.
    came: Vec<Input>,
    /// What left, by interface.
    left: Vec<Vec<Captured>>,
    /// Whether applications on it speak TCP.
    own: bool,
    /// Whether it answers ARP for others, which Linux does after a random time.
    proxies: bool,
    /// Time of the first frame of the case.
    begin: u64,
    /// Time of the last one.
    end: u64,
}

/// Something that a host did not do by itself.
struct Input {
    at: u64,
    what: Given,
}

enum Given {
    /// A frame that came in by an interface.
    Frame(usize, Vec<u8>),
    /// A command that was typed.
    Command(String),
    /// A packet that a program on it sent, after it had an address forgotten.
    Ping(Vec<u8>),
}

impl<'a> Recorded<'a> {
    fn new(case: &'a Case, host: &'a str, interfaces: &'a [String]) -> Self {
        let times = || case.captures.values().flatten().map(|f| f.at);
        let (begin, end) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
        let mut recorded = Self {
            host,
            interfaces,
            came: Vec::new(),
            left: Vec::new(),
            own: speaks(case, host),
            proxies: case.typed_on(host).any(|c| c.contains("proxy_arp=1")),
            begin,
            end,
        };
        for (number, interface) in interfaces.iter().enumerate() {
            let end: End = (host.to_owned(), interface.clone());
            // an interface that nothing passed has no capture
            let frames = case.captures.get(&end).map_or(&[][..], Vec::as_slice);
            let own = case.topology.macs.get(&end).copied().unwrap_or(Mac([0; 6]));
            let (left, came): (Vec<Captured>, Vec<Captured>) =
                repaired(frames).into_iter().partition(|f| f.bytes.get(6..12) == Some(&own.0[..]));
            let frame = |f: Captured| Input { at: f.at, what: Given::Frame(number, f.bytes) };
            recorded.came.extend(came.into_iter().map(frame));
            recorded.left.push(left);
        }
        let mut typed = recorded.commands(case);
        typed.extend(recorded.pings(case));
        recorded.came.extend(typed);
        recorded.came.sort_by_key(|input| input.at);
        recorded
    }

    /// Whether a recorded frame is what the host's own TCP said: nothing that came in went on as it.
    fn is_own_tcp(&self, frame: &[u8]) -> bool {
        let Some(said) = sequence(frame) else { return false };
        !self.came.iter().any(|input| match &input.what {
            Given::Frame(_, bytes) => sequence(bytes) == Some(said),
            Given::Command(_) | Given::Ping(_) => false,
        })
    }

    /// The commands that were typed on the host while the case went on. The first request made the first
    /// frame.
    fn commands(&self, case: &Case) -> Vec<Input> {
        let first = case.steps.first().and_then(|s| s.at).unwrap_or(0);
        let here = case.steps.iter().filter(|s| s.host == self.host);
        here.filter_map(|s| match &s.request {
            Request::Command(command) => {
                let after = s.at?.saturating_sub(first) * 1_000_000;
                Some(Input { at: self.begin + after, what: Given::Command(command.clone()) })
            }
            _ => None,
        })
        .collect()
    }

    /// The pings of a router that had to forget the VIP before each of them.
    fn pings(&self, case: &Case) -> Vec<Input> {
        if self.host != "router" || case.json["extra"]["sequence"].is_null() {
            return Vec::new();
        }
        let frames: Vec<&Captured> = self.left.iter().flatten().collect();
        let vip = case.json["vip"].as_str().unwrap_or_default();
        let mut found = Vec::new();
        for (n, frame) in frames.iter().enumerate() {
            let text = summary(&frame.bytes);
            if text.starts_with("arp request") && text.ends_with(&format!("> {vip}")) {
                let echo = frames[n..].iter().find(|f| summary(&f.bytes).ends_with("icmp 8/0"));
                let ping = |f: &&Captured| Given::Ping(f.bytes.clone());
                found.extend(echo.map(|e| Input { at: frame.at, what: ping(e) }));
            }
        }
        found
    }

    /// How much earlier or later a frame of ours may be, `caused` by one that came in or not.
    fn tolerance(&self, caused: bool, frame: &Frame) -> Span {
        if self.proxies && frame.packet.kind == Kind::ArpReply {
            PROXY_DELAY
        } else if caused {
            TOLERANCE
        } else {
            TIMER_TOLERANCE
        }
    }

    fn time(&self, at: u64) -> Time {
        BEGIN + Span::from_nanos(at.saturating_sub(self.begin))
    }
}

/// Whether applications on a host speak TCP: it answered, or asked. What they say, and when, is not
/// the business of a director.
fn speaks(case: &Case, host: &str) -> bool {
    case.steps.iter().any(|s| {
        let asks = matches!(s.request, Request::Tcp(..) | Request::Session(..));
        asks && s.host == host || s.result["server"] == host
    })
}

/// Sequence and acknowledgement number of an IPv4 frame that holds TCP, and its flags.
fn sequence(frame: &[u8]) -> Option<&[u8]> {
    let ip = frame.get(14..34)?;
    (frame[12..14] == [8, 0] && ip[0] == 0x45 && ip[9] == proto::TCP)
        .then(|| frame.get(38..48))
        .flatten()
}

/// Whether a frame is a message of a synchronisation daemon to the usual group and port.
fn is_message(frame: &[u8]) -> bool {
    frame.get(30..38).is_some_and(|b| b[..4] == [224, 0, 0, 81] && b[6..] == PORT.to_be_bytes())
}

/// The UDP ports at which tunnel packets arrive.
fn gue_ports(case: &Case) -> Vec<u16> {
    let of = |command: &str| {
        let words: Vec<&str> = command.split_whitespace().collect();
        let at = words.iter().position(|w| *w == "--tun-port")?;
        words.get(at + 1)?.parse().ok()
    };
    case.setup.iter().filter_map(|t| of(&t.command)).collect()
}

/// The frames as they were when they passed: some share a buffer with the capture, and what later hosts
/// wrote into their headers overwrote what had passed.
///
/// - All pieces of a datagram that pass a host in one go, but the first, which tells what the others were.
/// - Packets in GUE, whose receiver takes the length of the removed headers off the length of the packet
///   (`fou_recv_pull`) but leaves the checksum of the header as it was.
fn repaired(frames: &[Captured]) -> Vec<Captured> {
    let mut repaired: Vec<Captured> = Vec::new();
    for frame in frames {
        let mut frame = frame.clone();
        restore_length(&mut frame.bytes);
        if let Some(before) = repaired.last()
            && is_next_piece(&before.bytes, &frame.bytes)
        {
            let (head, changed) = (before.bytes[..34].to_vec(), &mut frame.bytes);
            let lengths = [changed[16], changed[17], changed[20], changed[21]];
            changed[..34].copy_from_slice(&head);
            (changed[16], changed[17]) = (lengths[0], lengths[1]);
            (changed[20], changed[21]) = (lengths[2], lengths[3]);
            let sum = header_checksum(&changed[14..34]);
            changed[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        repaired.push(frame);
    }
    repaired
}

/// Gives an IPv4 packet the length of its frame, if that is what the checksum of the header says.
fn restore_length(frame: &mut [u8]) {
    let Ok(full) = u16::try_from(frame.len().saturating_sub(14)) else { return };
    let Some(header) = frame.get(14..34).filter(|h| h[0] == 0x45) else { return };
    let mut restored = header.to_vec();
    restored[2..4].copy_from_slice(&full.to_be_bytes());
    let stated = u16::from_be_bytes([header[10], header[11]]);
    if header_checksum(header) != stated && header_checksum(&restored) == stated {
        frame[16..18].copy_from_slice(&full.to_be_bytes());
    }
}

/// Whether a frame is a piece of an IPv4 datagram that follows on another one.
fn is_next_piece(before: &[u8], frame: &[u8]) -> bool {
    let piece = |b: &[u8]| {
        let ip = b.get(14..34)?;
        (b[12..14] == [8, 0] && ip[0] == 0x45).then(|| {
            let frag = u16::from_be_bytes([ip[6], ip[7]]);
            let len = usize::from(u16::from_be_bytes([ip[2], ip[3]])).saturating_sub(20);
            let at = usize::from(frag & 0x1fff) * 8;
            (u16::from_be_bytes([ip[4], ip[5]]), ip[9], at, len, frag & 0x2000 != 0)
        })
    };
    let (Some(one), Some(two)) = (piece(before), piece(frame)) else { return false };
    (one.0, one.1, one.2 + one.3) == (two.0, two.1, two.2) && one.4 && two.2 > 0
}

/// The checksum of an IPv4 header (RFC 1071), whatever stands in its place.
fn header_checksum(header: &[u8]) -> u16 {
    let words = header.chunks_exact(2).enumerate().filter(|(n, _)| *n != 5);
    let sum: u32 = words.map(|(_, w)| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !(((folded & 0xffff) + (folded >> 16)) as u16)
}

/// A host alone, every cable of it leading to a mute end.
struct Bench {
    world: World,
    decoder: Decoder,
    /// A decoder that knows no frame yet.
    scratch: Decoder,
    /// When frames came in.
    inputs: Vec<Time>,
    /// Tags of packets that programs on the host made.
    own: Vec<u32>,
}

impl Bench {
    fn new(host: HostConfig, gue: Vec<u16>) -> Result<Self, String> {
        let mut config = WorldConfig {
            captures: vec![CaptureConfig::Host(host.name.clone())],
            ..WorldConfig::default()
        };
        let name = host.name.clone();
        let names: Vec<String> = host.interfaces.iter().map(|i| i.name.clone()).collect();
        config.hosts.push(host);
        for interface in names {
            let mute = format!("beyond {interface}");
            config.links.push(cable(
                LinkEnd::Interface(name.clone(), interface),
                LinkEnd::Interface(mute.clone(), "end".to_owned()),
            ));
            config.hosts.push(mute_host(mute));
        }
        let mut decoder = Decoder::default();
        for port in gue {
            decoder.unwrap_gue(port);
        }
        let mut world = World::build(&config)
            .map_err(|e| e.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        world.keep_frames();
        Ok(Self { world, scratch: decoder.clone(), decoder, own: Vec::new(), inputs: Vec::new() })
    }

    fn compare(mut self, recorded: &Recorded<'_>) -> Outcome {
        for input in &recorded.came {
            if let Given::Frame(_, bytes) = &input.what {
                self.decoder.note(bytes);
                self.inputs.push(recorded.time(input.at));
            }
        }
        self.adopt_poll(recorded);
        for input in &recorded.came {
            self.world.run_until(recorded.time(input.at));
            if let Err(why) = self.give(&input.what) {
                return Outcome::Skipped(format!("{}: {why}", recorded.host));
            }
        }
        self.world.run_until(recorded.time(recorded.end));
        let mut ours: Vec<Vec<(Time, Frame)>> = vec![Vec::new(); recorded.interfaces.len()];
        for kept in self.world.take_kept() {
            if kept.way == Direction::Out {
                ours[kept.index].push((kept.at, kept.frame));
            }
        }
        let mut compared = 0;
        for (number, frames) in ours.into_iter().enumerate() {
            match self.interface(recorded, number, frames) {
                Ok(n) => compared += n,
                Err(difference) => {
                    let name = &recorded.interfaces[number];
                    return Outcome::Differs(format!("{}:{name}: {difference}", recorded.host));
                }
            }
        }
        Outcome::Agrees(compared)
    }

    /// A master daemon looks once a second at what it has to send; when in the second is the kernel's choice.
    fn adopt_poll(&mut self, recorded: &Recorded<'_>) {
        let sent = recorded.left.iter().flatten().find(|f| is_message(&f.bytes));
        let Some(at) = sent.map(|f| recorded.time(f.at)) else { return };
        self.world.at_host(0, |host, _| {
            if let Some(director) = host.director_mut() {
                director.ipvs.set_sync_poll(at);
            }
        });
    }

    /// Lets something happen to the host.
    fn give(&mut self, what: &Given) -> Result<(), String> {
        let bytes = match what {
            Given::Command(command) => {
                return operate::start(&mut self.world, 0, command).map(|_| ());
            }
            Given::Frame(_, bytes) | Given::Ping(bytes) => bytes,
        };
        let mut frame = self
            .world
            .decode(&mut self.decoder, bytes)
            .map_err(|why| format!("cannot be decoded: {why}: {}", summary(bytes)))?;
        if is_message(bytes) && frame.packet.payload() > 0 {
            // what a backup daemon reads
            let headers = frame.packet.len - frame.packet.payload();
            let at = encode::ETHERNET_HEADER + usize::from(headers);
            frame.payloads.push(bytes.get(at..).unwrap_or_default().to_vec());
            frame.packet.body = PacketId::of_payload(0);
        }
        if let Given::Frame(interface, _) = what {
            self.world.inject(0, *interface, &frame);
        } else {
            self.own.push(frame.packet.tag);
            self.world.at_host(0, |host, fab| {
                host.ip.neighbours.flush(frame.packet.dst);
                host.send_by_hand(fab, &frame.packet);
            });
        }
        Ok(())
    }

    /// Compares what left by an interface.
    fn interface(
        &mut self,
        recorded: &Recorded<'_>,
        number: usize,
        ours: Vec<(Time, Frame)>,
    ) -> Result<usize, String> {
        let is_own = |f: &Captured| recorded.own && recorded.is_own_tcp(&f.bytes);
        let theirs: Vec<&Captured> = recorded.left[number].iter().filter(|f| !is_own(f)).collect();
        let ours: Vec<_> =
            ours.into_iter().filter(|o| !recorded.own || !self.is_own_tcp(o)).collect();
        let mut ours = ours.into_iter();
        // what timers sent earlier than the recorded ones did
        let mut early: Vec<(Time, Frame)> = Vec::new();
        for (n, their) in theirs.iter().enumerate() {
            let at = recorded.time(their.at);
            let place = format!("frame {} sent ({})", n + 1, seconds(at));
            let equal = early.iter().position(|(time, frame)| {
                self.encoded(*time, &mut frame.clone(), &their.bytes) == their.bytes
            });
            let (time, frame, mine) = if let Some(n) = equal {
                let (time, frame) = early.remove(n);
                (time, frame, their.bytes.clone())
            } else {
                let found = self.next(&mut ours, &mut early, their);
                found.ok_or_else(|| format!("{place} is missing: {}", summary(&their.bytes)))?
            };
            if mine != their.bytes
                && let Some((field, theirs, our)) = difference(&their.bytes, &mine)
            {
                let (recorded, ours) = (summary(&their.bytes), summary(&mine));
                let when = seconds(time);
                return Err(format!(
                    "{place}: {field} {theirs}, ours {our}: recorded {recorded}, ours {ours} ({when})"
                ));
            }
            if mine != their.bytes {
                return Err(format!("{place}: the bytes differ"));
            }
            let late = time.saturating_since(at).max(at.saturating_since(time));
            if late > recorded.tolerance(self.inputs.contains(&time), &frame) {
                return Err(format!("{place}, but ours at {}", seconds(time)));
            }
        }
        // a recorded timer may not have run before the recording ended
        let end = recorded.time(recorded.end);
        let too_many =
            |(time, _): &(Time, Frame)| self.inputs.contains(time) || *time + TIMER_TOLERANCE < end;
        if let Some((time, mut frame)) = early.into_iter().chain(ours).find(too_many) {
            let mine = self.encoded(time, &mut frame, &[]);
            let summary = summary(&mine);
            return Err(format!("a frame too many at {}: {summary}", seconds(time)));
        }
        Ok(theirs.len())
    }

    /// The next frame of ours with its bytes. Frames of timers that are not the recorded one are put
    /// aside: the timers of the recorded kernel may be later.
    fn next(
        &mut self,
        ours: &mut impl Iterator<Item = (Time, Frame)>,
        early: &mut Vec<(Time, Frame)>,
        their: &Captured,
    ) -> Option<(Time, Frame, Vec<u8>)> {
        loop {
            let (time, mut frame) = ours.next()?;
            let before = frame.clone();
            let mine = self.encoded(time, &mut frame, &their.bytes);
            if mine == their.bytes || self.inputs.contains(&time) {
                return Some((time, frame, mine));
            }
            early.push((time, before));
        }
    }

    /// The bytes of a frame of ours, with what the kernel is free to choose taken from `their`.
    fn encoded(&mut self, time: Time, frame: &mut Frame, their: &[u8]) -> Vec<u8> {
        let mut decoder = self.scratch.clone();
        if let Ok(recorded) = self.world.decode(&mut decoder, their) {
            self.adopt(frame, &recorded);
        }
        self.quote_as_translated(time, frame);
        let mut bytes = Vec::new();
        let book = self.world.book().clone();
        let known = Known { frame, decoder: &self.decoder, book: &book };
        encode::frame(&mut bytes, time, &frame.packet, &known, self.world.macs());
        bytes
    }

    /// Takes over what the kernel is free to choose in packets that the host made itself.
    fn adopt(&self, ours: &mut Frame, recorded: &Frame) {
        let (mut our, mut their) = (None, None);
        loop {
            let (Some(packet), Some(of)) = (at(ours, our), at(recorded, their)) else { return };
            let (body, whole) = (packet.body, packet.is_fragment());
            let made = if whole { at(ours, Some(body)).unwrap_or(packet) } else { packet };
            let mut packet = packet;
            if !self.is_recorded(&made) {
                packet.id = of.id;
                if packet.proto == proto::UDP && body != PacketId::NONE && !whole {
                    packet.sport = of.sport;
                }
                match our {
                    None => ours.packet = packet,
                    Some(PacketId(n)) => ours.inside[n as usize] = packet,
                }
            }
            (our, their) = (Some(body), Some(of.body));
        }
    }

    /// An error of the host about a packet that no neighbour answered for, after NAT had rewritten it, quotes
    /// the packet as it came, but with the checksum for the real server: nobody mends that one.
    fn quote_as_translated(&mut self, time: Time, frame: &mut Frame) {
        let error = frame.packet;
        let quotes = matches!(error.proto, proto::ICMP | proto::ICMPV6) && !error.is_fragment();
        let Some(quoted) = frame.inside.first().copied().filter(|_| quotes) else { return };
        let at_once = self.inputs.contains(&time);
        if at_once || self.is_recorded(&error) || !self.is_recorded(&quoted) {
            return;
        }
        let (client, vip) = ((quoted.src, quoted.sport), (quoted.dst, quoted.dport));
        let Some(director) = self.world.hosts()[0].director() else { return };
        let entry = director.ipvs.connections().map(|(_, c)| c).find(|c| {
            (c.protocol(), c.client(), c.vip()) == (quoted.proto, client, vip)
                && c.forwarding() == Forwarding::Nat
        });
        let Some((dst, dport)) = entry.map(sim_core::ipvs::Connection::rip) else { return };
        let book = self.world.book().clone();
        let translated = Packet { dst, dport, body: PacketId::NONE, ..quoted };
        let alone = Frame { packet: translated, inside: Vec::new(), payloads: Vec::new() };
        let known = Known { frame: &alone, decoder: &self.decoder, book: &book };
        let mut bytes = Vec::new();
        encode::frame(&mut bytes, time, &translated, &known, self.world.macs());
        let above = encode::ETHERNET_HEADER + usize::from(quoted.header());
        let above = bytes.split_off(above.min(bytes.len()));
        frame.inside[0].tag = self.decoder.quote(quoted.proto, above);
    }

    /// Whether a frame is what the host's own TCP says.
    fn is_own_tcp(&self, (_, frame): &(Time, Frame)) -> bool {
        frame.packet.proto == proto::TCP && !self.is_recorded(&frame.packet)
    }

    /// Whether a packet is one that came in, perhaps translated.
    fn is_recorded(&self, packet: &Packet) -> bool {
        let room = usize::from(packet.len.saturating_sub(packet.header()));
        !self.own.contains(&packet.tag)
            && self.decoder.original(packet.tag).is_some_and(|o| o.is_forwarded(packet, room))
    }
}

/// The outermost packet of a frame, or one inside.
fn at(frame: &Frame, body: Option<PacketId>) -> Option<Packet> {
    match body {
        None => Some(frame.packet),
        Some(id) => frame.inside.get(id.0 as usize).copied(),
    }
}

/// A frame with the bytes that its packets were decoded from.
struct Known<'a> {
    frame: &'a Frame,
    decoder: &'a Decoder,
    book: &'a AddressBook,
}

impl Bodies for Known<'_> {
    fn body(&self, id: PacketId) -> Option<Packet> {
        self.frame.body(id)
    }

    fn payload(&self, id: PacketId) -> Option<&[u8]> {
        self.frame.payload(id)
    }

    fn original(&self, packet: &Packet) -> Option<&Original> {
        self.decoder.original(packet.tag)
    }

    fn address(&self, ip: Ip) -> IpAddr {
        self.book.address(ip)
    }
}

fn seconds(at: Time) -> String {
    format!("{:.3} s", at.saturating_since(BEGIN).as_secs_f64())
}

/// A host that nobody can speak to.
fn mute_host(name: String) -> HostConfig {
    HostConfig {
        name,
        interfaces: vec![InterfaceConfig {
            name: "end".to_owned(),
            mac: None,
            addresses: Vec::new(),
            mtu: u16::MAX,
            sysctl: InterfaceSysctl::default(),
        }],
        ..HostConfig::default()
    }
}

/// A cable that takes no time.
pub(super) fn cable(a: LinkEnd, b: LinkEnd) -> LinkConfig {
    let direction = || LinkDirection {
        rate_bps: 0,
        latency: Span::from_micros(1),
        queue: QueueLimit::Packets(u32::MAX),
        loss: 0.0,
        jitter: None,
        reorder: 0.0,
        reorder_delay: Span::ZERO,
        overhead: 18,
    };
    let end = |e: &LinkEnd| match e {
        LinkEnd::Interface(host, interface) => format!("{host}:{interface}"),
        LinkEnd::Switch(name) => name.clone(),
    };
    LinkConfig {
        name: format!("{}--{}", end(&a), end(&b)),
        ends: [a, b],
        directions: [direction(), direction()],
        up: true,
        standby: false,
    }
}
