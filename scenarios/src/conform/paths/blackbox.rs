//! A host as a black box: the frames that came in by its interfaces go into a simulated host set up
//! by the same commands, and the frames that it sends must be the recorded ones, byte for byte.
//!
//! What the kernel is free to choose is taken over from the recording before the bytes are compared:
//! the IP identification of packets that the host makes itself.

use super::case::{Case, End, Request};
use super::fields::{difference, summary};
use super::pcap::Captured;
use super::setup;
use sim_core::config::{
    CaptureConfig, HostConfig, InterfaceConfig, InterfaceSysctl, LinkConfig, LinkDirection,
    LinkEnd, QueueLimit, WorldConfig,
};
use sim_core::engine::{Span, Time};
use sim_core::observe::capture::Direction;
use sim_core::wire::decode::{Decoder, Frame, Original};
use sim_core::wire::encode::{self, Bodies};
use sim_core::wire::{AddressBook, Ip, Mac, Packet, PacketId};
use sim_core::world::World;
use std::net::IpAddr;

/// How much earlier or later than the recorded one a frame may leave that something coming in caused:
/// the recorded machine was busy with other things.
pub const TOLERANCE: Span = Span::from_millis(40);

/// The same for a frame that a timer caused. The timers of the recorded kernel are kept in a wheel that
/// may run them late by an eighth of their time (`kernel/time/timer.c`, "granularity"), and three of
/// a second each may follow one another.
pub const TIMER_TOLERANCE: Span = Span::from_millis(400);

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
    for step in case.steps.iter().filter(|s| s.host == host) {
        match &step.request {
            Request::Command(command) => {
                return Outcome::Skipped(format!("{host}: while running: {command}"));
            }
            Request::Wait(_) | Request::Join(_) => {}
            _ => return Outcome::Skipped(format!("{host}: makes requests itself")),
        }
    }
    match Bench::new(config) {
        Ok(bench) => bench.compare(&Recorded::new(case, host, interfaces)),
        Err(why) => Outcome::Skipped(why),
    }
}

/// What passed the interfaces of a host.
struct Recorded<'a> {
    host: &'a str,
    interfaces: &'a [String],
    /// What came in, in order: interface and frame.
    came: Vec<(usize, &'a Captured)>,
    /// What left, by interface.
    left: Vec<Vec<&'a Captured>>,
    /// Time of the first frame of the case.
    begin: u64,
    /// Time of the last one.
    end: u64,
}

impl<'a> Recorded<'a> {
    fn new(case: &'a Case, host: &'a str, interfaces: &'a [String]) -> Self {
        let times = || case.captures.values().flatten().map(|f| f.at);
        let (begin, end) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
        let mut recorded =
            Self { host, interfaces, came: Vec::new(), left: Vec::new(), begin, end };
        for (number, interface) in interfaces.iter().enumerate() {
            let end: End = (host.to_owned(), interface.clone());
            // an interface that nothing passed has no capture
            let frames = case.captures.get(&end).map_or(&[][..], Vec::as_slice);
            let own = case.topology.macs.get(&end).copied().unwrap_or(Mac([0; 6]));
            let (left, came): (Vec<&Captured>, Vec<&Captured>) =
                frames.iter().partition(|f| f.bytes.get(6..12) == Some(&own.0[..]));
            recorded.came.extend(came.into_iter().map(|f| (number, f)));
            recorded.left.push(left);
        }
        recorded.came.sort_by_key(|(_, frame)| frame.at);
        recorded
    }

    fn time(&self, at: u64) -> Time {
        BEGIN + Span::from_nanos(at.saturating_sub(self.begin))
    }
}

/// A host alone, every cable of it leading to a mute end.
struct Bench {
    world: World,
    decoder: Decoder,
}

impl Bench {
    fn new(host: HostConfig) -> Result<Self, String> {
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
        let mut world = World::build(&config)
            .map_err(|e| e.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        world.keep_frames();
        Ok(Self { world, decoder: Decoder::default() })
    }

    fn compare(mut self, recorded: &Recorded<'_>) -> Outcome {
        for (_, frame) in &recorded.came {
            self.decoder.note(&frame.bytes);
        }
        for &(interface, frame) in &recorded.came {
            self.world.run_until(recorded.time(frame.at));
            match self.world.decode(&mut self.decoder, &frame.bytes) {
                Ok(packet) => self.world.inject(0, interface, &packet),
                Err(why) => {
                    let name = &recorded.interfaces[interface];
                    let summary = summary(&frame.bytes);
                    return Outcome::Skipped(format!(
                        "{}:{name}: cannot be decoded: {why}: {summary}",
                        recorded.host
                    ));
                }
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

    /// Compares what left by an interface.
    fn interface(
        &mut self,
        recorded: &Recorded<'_>,
        number: usize,
        ours: Vec<(Time, Frame)>,
    ) -> Result<usize, String> {
        let theirs = &recorded.left[number];
        let mut ours = ours.into_iter();
        for (n, their) in theirs.iter().enumerate() {
            let at = recorded.time(their.at);
            let n = n + 1;
            let when = seconds(at);
            let Some((time, mut frame)) = ours.next() else {
                let summary = summary(&their.bytes);
                return Err(format!("frame {n} sent ({when}) is missing: {summary}"));
            };
            let mine = self.encoded(time, &mut frame, &their.bytes);
            if let Some((field, recorded, ours)) = difference(&their.bytes, &mine) {
                return Err(format!(
                    "frame {n} sent ({when}): {field} {recorded}, ours {ours}: recorded {}, ours {} ({})",
                    summary(&their.bytes),
                    summary(&mine),
                    seconds(time)
                ));
            }
            if mine != their.bytes {
                return Err(format!("frame {n} sent ({when}): the bytes differ"));
            }
            let late = time.saturating_since(at).max(at.saturating_since(time));
            let caused = recorded.came.iter().any(|c| recorded.time(c.1.at) == time);
            if late > if caused { TOLERANCE } else { TIMER_TOLERANCE } {
                return Err(format!("frame {n} was sent at {when}, ours at {}", seconds(time)));
            }
        }
        if let Some((time, mut frame)) = ours.next() {
            let mine = self.encoded(time, &mut frame, &[]);
            let summary = summary(&mine);
            return Err(format!("a frame too many at {}: {summary}", seconds(time)));
        }
        Ok(theirs.len())
    }

    /// The bytes of a frame of ours, with what the kernel is free to choose taken from `their`.
    fn encoded(&mut self, time: Time, frame: &mut Frame, their: &[u8]) -> Vec<u8> {
        if let Ok(recorded) = self.world.decode(&mut self.decoder.clone(), their) {
            self.adopt(frame, &recorded);
        }
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
                match our {
                    None => ours.packet.id = of.id,
                    Some(PacketId(n)) => ours.inside[n as usize].id = packet.id,
                }
            }
            (our, their) = (Some(body), Some(of.body));
        }
    }

    /// Whether a packet is one that came in, perhaps translated.
    fn is_recorded(&self, packet: &Packet) -> bool {
        let room = usize::from(packet.len.saturating_sub(packet.header()));
        self.decoder.original(packet.tag).is_some_and(|o| o.is_forwarded(packet, room))
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
