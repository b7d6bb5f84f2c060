//! The path of one connection, as a person with tcpdump on every host would tell it.
//!
//! A [`Trace`] is told by hosts and links what happens; it keeps what concerns the connection it
//! follows. It only looks: no random number, no event, nothing of the run depends on it.

use super::words::{Sequences, Words};
use crate::config::{TraceConfig, Transport};
use crate::engine::{FxMap, Span, Time};
use crate::wire::encode::Bodies;
use crate::wire::{Flags, Ip, Kind, Mac, Packet, PacketId, icmpv6, proto};
use core::fmt;
use core::net::{IpAddr, SocketAddr};

/// Connections that are remembered for whoever asked for one that there is not.
const REMEMBERED: usize = 20;

/// Answers to a question that was asked on behalf of a followed packet are told this long after the
/// first one.
const LATE_ANSWERS: Span = Span::from_secs(1);

/// Where something happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TracePlace {
    /// A host, with the number of an interface if it is about one.
    Host(u16, Option<u16>),
    /// A switch, with the number of the port that a frame came in by.
    Switch(u16, u16),
    /// A link direction.
    Link(u32),
}

/// What happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A frame comes in.
    In,
    /// A frame goes out.
    Out,
    /// Something is done with what came in or will go out.
    Done,
    /// A packet ends here, for a reason that tables of drops name by this word.
    Dropped(&'static str),
    /// An application does or sees something.
    Application,
}

impl Step {
    /// The word in listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Done => "->",
            Self::Dropped(_) => "drop",
            Self::Application => "app",
        }
    }
}

/// A step on the path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceEvent {
    /// When.
    pub time: Time,
    /// Where.
    pub place: TracePlace,
    /// What kind of step.
    pub step: Step,
    /// What, in words.
    pub text: String,
}

/// A step on the path with the names of places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceLine {
    /// When.
    pub time: Time,
    /// Host, switch, or the sending end of a link.
    pub place: String,
    /// Interface or port, empty if it is about none.
    pub interface: String,
    /// What kind of step.
    pub step: Step,
    /// What, in words.
    pub text: String,
}

/// A connection (UDP: an exchange) of a client application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flow {
    /// Its number in order of starts, from 1.
    pub number: u64,
    /// Name of the client application.
    pub client: String,
    /// TCP or UDP.
    pub transport: Transport,
    /// The client's end; port 0 if it never had one.
    pub source: (IpAddr, u16),
    /// Where it connects to.
    pub target: (IpAddr, u16),
    /// When it started.
    pub start: Time,
}

impl fmt::Display for Flow {
    /// `tcp 172.16.0.10:40001 -> 192.168.10.200:80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        };
        let target = SocketAddr::from(self.target);
        if self.source.1 == 0 {
            return write!(f, "{transport} to {target}");
        }
        write!(f, "{transport} {} -> {target}", SocketAddr::from(self.source))
    }
}

/// What was told about a connection.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TraceReport {
    /// The connection, if it started.
    pub flow: Option<Flow>,
    /// The steps on its path, in order of time.
    pub lines: Vec<TraceLine>,
    /// Connections that were started.
    pub started: u64,
    /// The first of them.
    pub flows: Vec<Flow>,
}

/// A question for a neighbour that a followed packet waits for.
#[derive(Debug)]
struct Question {
    target: Ip,
    askers: Vec<Ip>,
    /// From here on nothing about it is told.
    until: Time,
}

/// A packet in the hands of a host.
#[derive(Debug)]
pub struct InHand {
    /// The packet as it came in.
    pub packet: Packet,
    /// The packet inside it, if it is a tunnel packet or a fragment.
    pub inner: Option<Packet>,
    /// Whether it has left, and how it looked then.
    pub left: Option<(Packet, Option<Packet>)>,
    /// Where what is told of it begins.
    pub since: usize,
    /// Its mark when it is routed.
    pub mark: u32,
    /// Steps told since it was routed and before IPVS sees it.
    pub filtered: usize,
}

/// What happens to one connection.
#[derive(Debug)]
pub struct Trace {
    config: TraceConfig,
    /// The connection followed, and the tag of its packets.
    followed: Option<(Flow, u32)>,
    flows: Vec<Flow>,
    started: u64,
    agreeing: u64,
    events: Vec<TraceEvent>,
    questions: Vec<Question>,
    /// Packets whose leaving was told before they left.
    held: Vec<PacketId>,
    sequences: Sequences,
    /// What was sent, to tell what is sent again.
    sent: FxMap<(u16, u32, u16, u8), u32>,
    /// The packet that a host has in hand.
    pub in_hand: Option<InHand>,
}

impl Trace {
    /// A trace that waits for its connection.
    pub fn new(config: TraceConfig) -> Self {
        Self {
            config,
            followed: None,
            flows: Vec::new(),
            started: 0,
            agreeing: 0,
            events: Vec::new(),
            questions: Vec::new(),
            held: Vec::new(),
            sequences: Sequences::default(),
            sent: FxMap::default(),
            in_hand: None,
        }
    }

    /// A client starts a connection whose packets carry `tag`; `host` is the name of its host. Whether
    /// this is the one that is followed.
    pub fn begin(&mut self, mut flow: Flow, host: &str, tag: u32) -> bool {
        self.started += 1;
        flow.number = self.started;
        let chosen = self.followed.is_none() && self.agrees(&flow, host) && {
            self.agreeing += 1;
            self.agreeing == self.config.number
        };
        if self.flows.len() < REMEMBERED {
            self.flows.push(flow.clone());
        }
        if chosen {
            self.followed = Some((flow, tag));
        }
        chosen
    }

    fn agrees(&self, flow: &Flow, host: &str) -> bool {
        let c = &self.config;
        let ends = if c.either {
            c.target.admits(flow.target) || c.target.admits(flow.source)
        } else {
            c.target.admits(flow.target) && c.source.admits(flow.source)
        };
        ends && c.transport.is_none_or(|t| t == flow.transport)
            && c.client.as_ref().is_none_or(|name| *name == flow.client || name == host)
    }

    /// The connection that is followed, once it has started.
    pub fn flow(&self) -> Option<&Flow> {
        self.followed.as_ref().map(|(flow, _)| flow)
    }

    /// Connections that were started, and the first of them.
    pub fn flows(&self) -> (u64, &[Flow]) {
        (self.started, &self.flows)
    }

    /// Whether packets with this tag belong to the connection.
    pub fn follows_tag(&self, tag: u32) -> bool {
        self.followed.as_ref().is_some_and(|(_, t)| *t == tag)
    }

    /// Whether a frame belongs to the connection, or to a question one of its packets waits for.
    pub fn follows(&self, now: Time, p: &Packet) -> bool {
        match question(p) {
            Some((asker, target, _)) => self
                .questions
                .iter()
                .any(|q| q.target == target && q.askers.contains(&asker) && now <= q.until),
            None => self.follows_tag(p.tag),
        }
    }

    /// A followed packet waits until a neighbour's address is known; the question may come from any of
    /// these addresses.
    pub fn waits(&mut self, packet: PacketId, target: Ip, askers: Vec<Ip>) {
        self.held.push(packet);
        let known = self.questions.iter_mut().find(|q| q.target == target && q.askers == askers);
        match known {
            Some(known) => known.until = Time::NEVER,
            None => self.questions.push(Question { target, askers, until: Time::NEVER }),
        }
    }

    /// A followed answer to a question has come: further ones are of interest for a while only.
    pub fn answered(&mut self, now: Time, p: &Packet) {
        let Some((asker, target, true)) = question(p) else { return };
        for q in &mut self.questions {
            if q.target == target && q.askers.contains(&asker) {
                q.until = q.until.min(now + LATE_ANSWERS);
            }
        }
    }

    /// A packet waits inside its host, after everything was told but that it leaves.
    pub fn hold(&mut self, packet: PacketId) {
        self.held.push(packet);
    }

    /// Whether a packet waited inside its host; from now on it does not.
    pub fn release(&mut self, packet: PacketId) -> bool {
        let found = self.held.iter().position(|id| *id == packet);
        found.is_some_and(|at| {
            self.held.swap_remove(at);
            true
        })
    }

    /// Notes a packet that its host has made: whether the same was sent before.
    pub fn sends_again(&mut self, p: &Packet) -> bool {
        let ends = p.flags.0 & (Flags::SYN.0 | Flags::FIN.0);
        if p.proto != proto::TCP || p.is_fragment() || (p.payload() == 0 && ends == 0) {
            return false;
        }
        let times = self.sent.entry((p.sport, p.seq, p.len, ends)).or_default();
        *times += 1;
        *times > 1
    }

    /// Learns where the sequence numbers of a followed connection begin.
    pub fn learn(&mut self, p: &Packet) {
        self.sequences.learn(p);
    }

    /// A frame with its Ethernet addresses, in words.
    pub fn frame<B: Bodies>(&self, p: &Packet, inside: &B, macs: &[Mac]) -> String {
        Words { inside, macs, sequences: self.sequences }.frame(p)
    }

    /// A packet without Ethernet addresses, in words.
    pub fn packet<B: Bodies>(&self, p: &Packet, inside: &B, macs: &[Mac]) -> String {
        Words { inside, macs, sequences: self.sequences }.packet(p)
    }

    /// Whether nothing is told any more.
    pub fn is_over(&self, now: Time) -> bool {
        match (&self.followed, self.config.until) {
            (Some((flow, _)), Some(until)) => now > flow.start + until,
            _ => false,
        }
    }

    /// Notes a step.
    pub fn push(&mut self, time: Time, place: TracePlace, step: Step, text: String) {
        if self.is_over(time) {
            return;
        }
        self.events.push(TraceEvent { time, place, step, text });
    }

    /// Notes what was done with a packet in hand, after what followed from it: the texts go to where
    /// its events begin.
    pub fn explain(&mut self, time: Time, place: TracePlace, since: usize, texts: Vec<String>) {
        if self.is_over(time) {
            return;
        }
        let event = |text| TraceEvent { time, place, step: Step::Done, text };
        self.events.splice(since..since, texts.into_iter().map(event));
    }

    /// The number of steps so far.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing was told yet.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The steps from a number on.
    pub fn since(&self, number: usize) -> &[TraceEvent] {
        self.events.get(number..).unwrap_or_default()
    }

    /// Takes the steps so far.
    pub fn take(&mut self) -> Vec<TraceEvent> {
        core::mem::take(&mut self.events)
    }

    /// Everything that was told, with the names of places, which `name` gives: host, switch or link, and
    /// interface or port.
    pub fn report(mut self, name: impl Fn(TracePlace) -> (String, String)) -> TraceReport {
        let line = |e: TraceEvent| {
            let (place, interface) = name(e.place);
            TraceLine { time: e.time, place, interface, step: e.step, text: e.text }
        };
        TraceReport {
            lines: self.take().into_iter().map(line).collect(),
            flow: self.followed.map(|(flow, _)| flow),
            started: self.started,
            flows: self.flows,
        }
    }
}

/// Who asks for which neighbour, if a frame is such a question or (`true`) an answer to it.
fn question(p: &Packet) -> Option<(Ip, Ip, bool)> {
    match p.kind {
        Kind::ArpRequest => Some((p.src, p.dst, false)),
        Kind::ArpReply => Some((p.dst, p.src, true)),
        Kind::Ipv6 if p.proto == proto::ICMPV6 && !p.is_fragment() => {
            let kind = u8::try_from(p.sport).ok()?;
            match kind {
                icmpv6::SOLICITATION => Some((p.src, Ip(p.ack), false)),
                icmpv6::ADVERTISEMENT => Some((p.dst, Ip(p.ack), true)),
                _ => None,
            }
        }
        Kind::Ipv4 | Kind::Ipv6 => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FlowEnd;
    use core::net::Ipv4Addr;

    const A: Ip = Ip::new(10, 0, 0, 1);
    const B: Ip = Ip::new(10, 0, 0, 2);

    fn flow(client: &str, port: u16) -> Flow {
        let ip = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        Flow {
            number: 0,
            client: client.into(),
            transport: Transport::Tcp,
            source: (ip(1), port),
            target: (ip(2), 80),
            start: Time::ZERO,
        }
    }

    #[test]
    fn the_connection_is_chosen_among_those_that_agree() {
        let config =
            TraceConfig { number: 2, client: Some("web".into()), ..TraceConfig::default() };
        let mut trace = Trace::new(config);
        let started = [("web", 1), ("mail", 2), ("web", 3), ("web", 4)];
        for (tag, (client, port)) in (0..).zip(started) {
            let chosen = trace.begin(flow(client, port), "client", tag);
            assert_eq!(chosen, port == 3);
        }
        assert_eq!(trace.flow().map(|f| f.number), Some(3));
        assert!(trace.follows_tag(2) && !trace.follows_tag(3));
        assert_eq!((trace.flows().0, trace.flows().1.len()), (4, 4));
    }

    #[test]
    fn one_end_may_be_either() {
        let end = FlowEnd { address: None, port: Some(7) };
        let config = TraceConfig { target: end, either: true, ..TraceConfig::default() };
        assert!(!Trace::new(config.clone()).begin(flow("a", 8), "a", 0));
        assert!(Trace::new(config.clone()).begin(flow("a", 7), "a", 0));
        let strict = TraceConfig { either: false, ..config };
        assert!(!Trace::new(strict).begin(flow("a", 7), "a", 0));
    }

    #[test]
    fn questions_are_followed_until_shortly_after_the_first_answer() {
        let mut trace = Trace::new(TraceConfig::default());
        let mut request = Packet::ipv4(A, B, 0, 28);
        request.kind = Kind::ArpRequest;
        let mut reply = Packet::ipv4(B, A, 0, 28);
        reply.kind = Kind::ArpReply;
        assert!(!trace.follows(Time::ZERO, &request));
        trace.waits(PacketId(1), B, vec![A]);
        assert!(trace.follows(Time::ZERO, &request) && trace.follows(Time::ZERO, &reply));
        assert!(!trace.follows(Time::ZERO, &Packet { src: Ip::new(10, 0, 0, 9), ..request }));
        trace.answered(Time::ZERO, &reply);
        assert!(trace.follows(Time::ZERO + Span::from_millis(900), &reply));
        assert!(!trace.follows(Time::ZERO + Span::from_secs(5), &request), "a later probe");
        assert!(trace.release(PacketId(1)) && !trace.release(PacketId(1)));
    }

    #[test]
    fn explanations_go_where_the_packet_came_in() {
        let mut trace = Trace::new(TraceConfig::default());
        let place = TracePlace::Host(0, None);
        trace.push(Time::ZERO, place, Step::In, "in".into());
        let since = trace.len();
        trace.push(Time::ZERO, place, Step::Out, "out".into());
        trace.explain(Time::ZERO, place, since, vec!["a".into(), "b".into()]);
        let texts: Vec<_> = trace.take().into_iter().map(|e| e.text).collect();
        assert_eq!(texts, ["in", "a", "b", "out"]);
        assert!(trace.is_empty());
    }
}
