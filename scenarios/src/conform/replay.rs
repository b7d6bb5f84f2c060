//! Drives a director through a recording and compares what it does.

use super::director::{Director, Outcome};
use super::recording::{
    Admin, Answer, Destination, Entry, Handled, Kind, Op, Packet, Recorded, Recording, Step,
};
use sim_core::engine::{Span, Time};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Where a director first does something else than the kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Line of the recording, counted from 1.
    pub line: usize,
    /// What the kernel did, what lvsim did.
    pub text: String,
}

/// The kernel sends at most this many ICMP errors at once (`net.ipv4.icmp_msgs_burst`), less by
/// chance (`icmp_global_allow`), and 1000 a second.
const ICMP_BURST: usize = 50;
/// How long a burst is remembered.
const ICMP_MEMORY: Span = Span::from_millis(50);

/// Replays a recording up to the first difference; how many operations were compared.
pub(super) fn replay(
    recording: &Recording,
    director: &mut dyn Director,
) -> Result<usize, Difference> {
    let mut replay =
        Replay { director, now: Time::ZERO, icmp: VecDeque::new(), drops_entries: false };
    for step in &recording.steps {
        replay.step(step).map_err(|text| Difference { line: step.line, text })?;
    }
    Ok(recording.steps.len())
}

struct Replay<'a> {
    director: &'a mut dyn Director,
    now: Time,
    /// When ICMP errors were due lately.
    icmp: VecDeque<Time>,
    /// `drop_entry` = 3: the kernel drops half-open connections at random.
    drops_entries: bool,
}

impl Replay<'_> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        let done = step.done.max(self.now);
        // A packet is sent as soon as the line before is done; the rest of the time goes by until
        // the recorder has seen what became of it.
        if !matches!(step.op, Op::Request(..) | Op::Reply(..)) {
            self.now = done;
            self.director.pass(done);
        }
        match &step.op {
            Op::Admin(change, refused) => {
                if let Admin::Sysctl(key, value) = change
                    && key == "drop_entry"
                {
                    self.drops_entries = *value == 3;
                }
                let ours = self.director.apply(self.now, change);
                match (ours, refused) {
                    (Ok(()), true) => {
                        return Err("the kernel refused the change, lvsim made it".to_owned());
                    }
                    (Err(e), false) => {
                        return Err(format!("the kernel made the change, lvsim refused it: {e}"));
                    }
                    (Ok(()), false) | (Err(_), true) => {}
                }
            }
            Op::Request(packet, handled) => self.request(packet, handled, done)?,
            Op::Reply(packet, seen, state) => self.reply(packet, *seen, state, done)?,
            Op::State(rows) => destinations(rows, &self.director.destinations())?,
            Op::Connections(count, rows) => {
                self.forget_dropped(*count, rows);
                connections(*count, rows, self.director.connections(self.now))?;
            }
            Op::Wait => {}
        }
        self.now = done;
        self.director.pass(done);
        Ok(())
    }

    /// Takes over from a whole listing which half-open connections the kernel has dropped.
    fn forget_dropped(&mut self, count: usize, rows: &[Entry]) {
        if !self.drops_entries || count != rows.len() {
            return;
        }
        for ours in self.director.connections(self.now) {
            let half_open = matches!(ours.state.as_str(), "SYN_RECV" | "SYNACK");
            let listed = |e: &Entry| (e.client, e.target) == (ours.client, ours.target);
            if half_open && !rows.iter().any(listed) {
                self.director.forget(&ours);
            }
        }
    }

    fn request(&mut self, packet: &Packet, theirs: &Handled, done: Time) -> Result<(), String> {
        let ours = self.director.request(self.now, packet);
        let answer = ours.answer(packet);
        let unheard = self.may_be_unheard(answer) && theirs.answer.is_none();
        let agrees = ours.destination() == theirs.to && (answer == theirs.answer || unheard);
        let port_agrees = match (ours, theirs.port) {
            (Outcome::Sent { port, .. }, Some(recorded)) => port == recorded,
            _ => true,
        };
        if !agrees || !port_agrees {
            return Err(format!(
                "{}: the kernel {}, lvsim {}",
                shown(packet),
                handled(theirs.to, theirs.port, theirs.answer),
                decided(ours, theirs.port.is_some(), answer),
            ));
        }
        self.director.pass(done);
        self.state(packet, packet.src, packet.dst, &theirs.state)
    }

    /// Whether the kernel may have kept an ICMP error back: it sent many just before.
    fn may_be_unheard(&mut self, answer: Option<Answer>) -> bool {
        while self.icmp.front().is_some_and(|&at| at + ICMP_MEMORY < self.now) {
            self.icmp.pop_front();
        }
        if answer != Some(Answer::Unreachable) {
            return false;
        }
        let many = self.icmp.len() >= ICMP_BURST;
        self.icmp.push_back(self.now);
        many
    }

    fn reply(
        &mut self,
        packet: &Packet,
        theirs: SocketAddr,
        state: &Recorded,
        done: Time,
    ) -> Result<(), String> {
        let ours = self.director.reply(self.now, packet);
        if ours != theirs {
            let packet = shown(packet);
            return Err(format!(
                "{packet}: from the kernel the client got it from {theirs}, from lvsim from {ours}"
            ));
        }
        self.director.pass(done);
        self.state(packet, packet.dst, ours, state)
    }

    /// Compares the state of a connection after a packet.
    fn state(
        &self,
        packet: &Packet,
        client: SocketAddr,
        target: SocketAddr,
        recorded: &Recorded,
    ) -> Result<(), String> {
        let theirs = match recorded {
            Recorded::Unknown => return Ok(()),
            Recorded::Nothing => None,
            Recorded::Named(name) => Some(name.as_str()),
        };
        let ours = self.director.state(packet.protocol, client, target);
        if ours == theirs {
            return Ok(());
        }
        let name = |state: Option<&str>| {
            state.map_or_else(|| "no connection".to_owned(), |s| format!("a connection in {s}"))
        };
        let packet = shown(packet);
        Err(format!("after {packet} the kernel has {}, lvsim {}", name(theirs), name(ours)))
    }
}

/// A packet in words.
fn shown(packet: &Packet) -> String {
    let kind = match packet.kind {
        Kind::Syn => "SYN".to_owned(),
        Kind::Ack => "ACK".to_owned(),
        Kind::Fin => "FIN".to_owned(),
        Kind::Rst => "RST".to_owned(),
        Kind::Datagram => "datagram".to_owned(),
        Kind::Chunk(chunk) => format!("{chunk:?}"),
    };
    format!("{kind} {} > {}", packet.src, packet.dst)
}

/// What the kernel did with a packet, in words.
fn handled(to: Option<SocketAddr>, port: Option<u16>, answer: Option<Answer>) -> String {
    match (to, port, answer) {
        (Some(to), Some(port), _) => format!("sent it to {to} at port {port}"),
        (Some(to), None, _) => format!("sent it to {to}"),
        (None, _, Some(Answer::Unreachable)) => "answered ICMP port unreachable".to_owned(),
        (None, _, Some(Answer::Reset)) => "answered RST".to_owned(),
        (None, _, None) => "dropped it".to_owned(),
    }
}

/// What a director did with a packet, in words.
fn decided(ours: Outcome, with_port: bool, answer: Option<Answer>) -> String {
    match ours {
        Outcome::Sent { to, port } => handled(Some(to), with_port.then_some(port), None),
        _ => handled(None, None, answer),
    }
}

/// Compares the lists of destinations.
fn destinations(theirs: &[Destination], ours: &[Destination]) -> Result<(), String> {
    if theirs.len() != ours.len() {
        let (theirs, ours) = (theirs.len(), ours.len());
        return Err(format!("the kernel lists {theirs} destinations, lvsim {ours}"));
    }
    let words = |d: &Destination| {
        let Destination { at, weight, active, inactive } = d;
        format!("{at} weight {weight} active {active} inactive {inactive}")
    };
    match theirs.iter().zip(ours).position(|(t, o)| t != o) {
        None => Ok(()),
        Some(i) => Err(format!(
            "destination {} of the list: the kernel has {}, lvsim {}",
            i + 1,
            words(&theirs[i]),
            words(&ours[i])
        )),
    }
}

/// Compares the connection tables. Of a long one the recording holds the first part only; the
/// clocks of the kernel's listing and ours may differ by a second.
fn connections(count: usize, theirs: &[Entry], mut ours: Vec<Entry>) -> Result<(), String> {
    if count != ours.len() {
        return Err(format!("the kernel has {count} connections, lvsim {}", ours.len()));
    }
    let words = |e: &Entry| {
        let Entry { protocol, client, target, server, state, left } = e;
        format!("{protocol} {client} > {target} to {server} {state} {left} s")
    };
    ours.sort();
    for entry in theirs {
        let same = |o: &Entry| {
            let left = o.left;
            left.abs_diff(entry.left) <= 1 && Entry { left, ..entry.clone() } == *o
        };
        if let Some(i) = ours.iter().position(same) {
            ours.remove(i);
            continue;
        }
        let alike = |o: &&Entry| (o.client, o.target) == (entry.client, entry.target);
        let instead = ours.iter().find(alike).map_or_else(|| "not".to_owned(), words);
        return Err(format!("the kernel has the connection {}, lvsim {instead}", words(entry)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conform::recording::Protocol;

    /// A director that refuses everything.
    struct Refusing;

    impl Director for Refusing {
        fn apply(&mut self, _: Time, _: &Admin) -> Result<(), String> {
            Ok(())
        }
        fn pass(&mut self, _: Time) {}
        fn request(&mut self, _: Time, _: &Packet) -> Outcome {
            Outcome::Refused
        }
        fn reply(&mut self, _: Time, packet: &Packet) -> SocketAddr {
            packet.src
        }
        fn connections(&self, _: Time) -> Vec<Entry> {
            Vec::new()
        }
        fn destinations(&self) -> Vec<Destination> {
            Vec::new()
        }
        fn state(&self, _: Protocol, _: SocketAddr, _: SocketAddr) -> Option<&'static str> {
            None
        }
    }

    fn refused(ms: u64, answer: Option<Answer>) -> Step {
        let packet = Packet {
            protocol: Protocol::Tcp,
            kind: Kind::Syn,
            src: "10.0.0.1:40001".parse().unwrap(),
            dst: "10.1.1.100:80".parse().unwrap(),
        };
        let handled = Handled { to: None, port: None, answer, state: Recorded::Nothing };
        Step { line: 2, done: Time::ZERO + Span::from_millis(ms), op: Op::Request(packet, handled) }
    }

    fn play(steps: &[Step]) -> Result<(), String> {
        let director = &mut Refusing;
        let icmp = VecDeque::new();
        let mut replay = Replay { director, now: Time::ZERO, icmp, drops_entries: false };
        steps.iter().try_for_each(|step| replay.step(step))
    }

    #[test]
    fn an_icmp_error_may_be_missing_in_a_burst_only() {
        let answered = |ms| refused(ms, Some(Answer::Unreachable));
        let silent = |ms| refused(ms, None);
        let mut steps: Vec<Step> = (0..50).map(answered).collect();
        steps.push(silent(50));
        assert_eq!(play(&steps), Ok(()));
        assert!(play(&steps[1..]).is_err(), "49 are no burst");
        steps.insert(50, answered(200));
        steps[51] = silent(200);
        assert!(play(&steps).is_err(), "the burst is long ago");
        let reset = refused(60, Some(Answer::Reset));
        steps[50] = reset;
        assert!(play(&steps[..51]).is_err(), "an RST is not a missing ICMP error");
    }

    fn entry(left: u64, state: &str) -> Entry {
        Entry {
            protocol: "TCP".to_owned(),
            client: "10.0.0.1:40001".parse().unwrap(),
            target: "10.1.1.100:80".parse().unwrap(),
            server: "192.168.10.11:80".parse().unwrap(),
            state: state.to_owned(),
            left,
        }
    }

    #[test]
    fn listings_may_differ_by_a_second_and_in_nothing_else() {
        let theirs = [entry(60, "CLOSE"), entry(9, "CLOSE")];
        assert_eq!(connections(2, &theirs, vec![entry(8, "CLOSE"), entry(61, "CLOSE")]), Ok(()));
        let late = connections(2, &theirs, vec![entry(8, "CLOSE"), entry(62, "CLOSE")]);
        assert!(late.unwrap_err().contains(" 60 s, lvsim "));
        assert!(connections(1, &theirs[..1], vec![entry(60, "ESTABLISHED")]).is_err());
        assert!(
            connections(1, &[], vec![entry(60, "CLOSE")]).is_ok(),
            "the rest of a long listing"
        );
        assert!(connections(2, &[], vec![entry(60, "CLOSE")]).is_err());
    }
}
