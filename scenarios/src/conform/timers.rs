//! Recordings of the timers: one sequence of packets a line, through one connection.
//!
//! A line holds the method, the protocol, the timeouts that were set, and after each packet the
//! state of the connection, the whole seconds until it expires and the counters of its destination;
//! at last the seconds until it had vanished. Addresses are not recorded: each line becomes a
//! recording of a service with addresses of its own.

use super::line::{Line, number, wrong};
use super::read::lines;
use super::recording::{
    Admin, Destination, Entry, Handled, Header, Key, Kind, Op, Packet, Protocol, Recorded,
    Recording, Server, Step,
};
use crate::diagnostic::{FileId, Place, Problem};
use schedulers::Algorithm;
use serde_json::Value;
use sim_core::engine::{Span, Time};
use sim_core::ipvs::Forwarding;
use std::net::SocketAddr;
use std::ops::Range;

/// The connection table was looked at this often.
const POLL: Span = Span::from_millis(260);

/// The ends of the connection.
struct Ends {
    client: SocketAddr,
    target: SocketAddr,
    server: SocketAddr,
}

/// A packet of a sequence and what was seen after it.
struct Seen {
    kind: Kind,
    from_server: bool,
    state: String,
    left: u64,
    active: u32,
    inactive: u32,
}

/// Whether the line begins a recording of this kind.
pub(super) fn looks_like(line: &Value) -> bool {
    line["seq"].is_string() && line["steps"].is_array()
}

/// Reads all sequences.
pub(super) fn read(
    file: FileId,
    text: &str,
    problems: &mut Vec<Problem>,
) -> Option<Vec<Recording>> {
    let before = problems.len();
    let mut sequences = Vec::new();
    for (number, span) in lines(text) {
        match sequence(file, text, number, span) {
            Ok(recording) => sequences.push(recording),
            Err(problem) => problems.push(problem),
        }
    }
    (problems.len() == before).then_some(sequences)
}

fn sequence(
    file: FileId,
    text: &str,
    number_of_line: usize,
    span: Range<usize>,
) -> Result<Recording, Problem> {
    let line = Line::parse(file, text, span)?;
    let forwarding = line.need("method", "DR or NAT", |v| match v.as_str()? {
        "DR" => Some(Forwarding::Dr),
        "NAT" => Some(Forwarding::Nat),
        _ => None,
    })?;
    let protocol = line.need("proto", "tcp or udp", |v| match v.as_str()? {
        "tcp" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        _ => None,
    })?;
    let timeouts = line.maybe("set", "three numbers of seconds", |v| {
        let span = |i: usize| number::<u32>(&v[i]).map(|s| Span::from_secs(s.into()));
        Some(Admin::Timeouts { tcp: span(0)?, fin: span(1)?, udp: span(2)? })
    })?;
    let gone = line.maybe("gone_after_s", "a number of seconds up to a day", |v| {
        v.as_f64().filter(|s| (0.0..=86_400.0).contains(s)).map(Span::from_secs_f64)
    })?;
    let seen = line.elements("steps")?;
    let seen = seen.iter().map(|step| packet(step, protocol)).collect::<Result<Vec<_>, _>>()?;
    let ends = ends(protocol);
    let header = Header {
        scheduler: Algorithm::Rr,
        flags: 0,
        key: Key::Address(protocol, ends.target),
        family_is_v6: false,
        default_target: None,
        forwarding,
        persistence: None,
        one_packet: false,
    };
    let mut ops = set_up(timeouts, &ends, forwarding);
    let mut last = "";
    for step in &seen {
        step.play(protocol, &ends, last, &mut ops);
        last = &step.state;
    }
    let mut steps: Vec<Step> = Vec::new();
    let mut now = Time::ZERO;
    for op in ops {
        now += Span::from_millis(1);
        steps.push(Step { line: number_of_line, done: now, op });
    }
    if let Some(gone) = gone {
        let done = now + gone + POLL;
        steps.push(Step { line: number_of_line, done, op: Op::Connections(0, Vec::new()) });
    }
    Ok(Recording { header, steps })
}

fn ends(protocol: Protocol) -> Ends {
    let port = if protocol == Protocol::Tcp { 80 } else { 53 };
    Ends {
        client: SocketAddr::from(([10, 0, 0, 1], 40_001)),
        target: SocketAddr::from(([10, 1, 1, 100], port)),
        server: SocketAddr::from(([192, 168, 10, 11], port)),
    }
}

fn set_up(timeouts: Option<Admin>, ends: &Ends, forwarding: Forwarding) -> Vec<Op> {
    let server = Server { at: ends.server, forwarding, weight: 1, upper: 0, lower: 0 };
    let changes = [Admin::AddService, Admin::Add(server)];
    timeouts.into_iter().chain(changes).map(|change| Op::Admin(change, false)).collect()
}

fn packet((step, place): &(Value, Place), protocol: Protocol) -> Result<Seen, Problem> {
    const ALLOWED: &str = "an object with `pkt` (c or s and S, SA, A, D, F, R), `state`, `exp_s`, \
        `active`, `inact`";
    let read = || {
        let (from, flags) = step["pkt"].as_str()?.split_at_checked(1)?;
        let kind = match flags {
            _ if protocol == Protocol::Udp => Kind::Datagram,
            "S" | "SA" => Kind::Syn,
            "A" | "D" => Kind::Ack,
            "F" => Kind::Fin,
            "R" => Kind::Rst,
            _ => return None,
        };
        Some(Seen {
            kind,
            from_server: match from {
                "c" => false,
                "s" => true,
                _ => return None,
            },
            state: step["state"].as_str()?.to_owned(),
            left: number(&step["exp_s"])?,
            active: number(&step["active"])?,
            inactive: number(&step["inact"])?,
        })
    };
    read().ok_or_else(|| wrong("steps", step, place, ALLOWED))
}

impl Seen {
    /// The packet, then everything that was read. When a SYN replaced a closed entry (the state was
    /// `last`), the kernel was asked at once and may have counted both: the counters are left out.
    fn play(&self, protocol: Protocol, ends: &Ends, last: &str, ops: &mut Vec<Op>) {
        let state = Recorded::Named(self.state.clone());
        let (src, dst) =
            if self.from_server { (ends.server, ends.client) } else { (ends.client, ends.target) };
        let packet = Packet { protocol, kind: self.kind, src, dst };
        ops.push(if self.from_server {
            Op::Reply(packet, ends.target, state)
        } else {
            let to = Some(ends.server);
            Op::Request(packet, Handled { to, port: None, answer: None, state })
        });
        if !(self.kind == Kind::Syn && matches!(last, "TIME_WAIT" | "CLOSE")) {
            let (active, inactive) = (self.active, self.inactive);
            ops.push(Op::State(vec![Destination { at: ends.server, weight: 1, active, inactive }]));
        }
        let entry = Entry {
            protocol: protocol.name().to_owned(),
            client: ends.client,
            target: ends.target,
            server: ends.server,
            state: self.state.clone(),
            left: self.left,
        };
        ops.push(Op::Connections(1, vec![entry]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Sources;

    const LINE: &str = "{\"seq\":\"x\",\"method\":\"NAT\",\"proto\":\"tcp\",\"set\":[30,5,60],\"steps\":[\
        {\"pkt\":\"cS\",\"state\":\"SYN_RECV\",\"exp_s\":59,\"active\":1,\"inact\":0},\
        {\"pkt\":\"sSA\",\"state\":\"SYN_RECV\",\"exp_s\":59,\"active\":1,\"inact\":0},\
        {\"pkt\":\"cR\",\"state\":\"CLOSE\",\"exp_s\":9,\"active\":0,\"inact\":1},\
        {\"pkt\":\"cS\",\"state\":\"SYN_RECV\",\"exp_s\":59,\"active\":1,\"inact\":1}],\
        \"gone_after_s\":61.0}";

    fn parse(text: &str) -> Result<Vec<Recording>, Vec<String>> {
        let mut problems = Vec::new();
        let file = Sources::default().add("x", text);
        let recordings = read(file, text, &mut problems);
        recordings.ok_or_else(|| problems.iter().map(|p| p.message.clone()).collect())
    }

    #[test]
    fn a_sequence_becomes_a_recording() {
        let all = parse(LINE).unwrap();
        assert_eq!(all[0].header.forwarding, Forwarding::Nat);
        let counters = all[0].steps.iter().filter(|s| matches!(s.op, Op::State(_))).count();
        assert_eq!(counters, 3, "those of the SYN that replaced an entry are left out");
        let last = all[0].steps.last().unwrap();
        assert_eq!(last.op, Op::Connections(0, Vec::new()));
        // 3 changes, 4 packets, 3 + 4 listings, one millisecond each.
        assert_eq!(last.done, Time::ZERO + Span::from_millis(14 + 61_000 + 260));
    }

    #[test]
    fn wrong_sequences_are_problems() {
        for (from, to, said) in [
            ("\"NAT\"", "\"TUN\"", "`method` is \"TUN\""),
            ("\"sSA\"", "\"xSA\"", "`steps` is {"),
            ("\"sSA\"", "\"sX\"", "`steps` is {"),
            ("\"sSA\"", "\"\"", "`steps` is {"),
            ("[30,5,60]", "[30,5]", "`set` is [30,5]"),
            ("61.0", "-1", "`gone_after_s` is -1"),
            ("\"steps\"", "\"step\"", "the line has no `steps`"),
        ] {
            let problems = parse(&LINE.replacen(from, to, 1)).unwrap_err();
            assert!(problems.len() == 1 && problems[0].starts_with(said), "{to}: {problems:?}");
        }
    }
}
