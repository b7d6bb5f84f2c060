//! Reads a recording.

use super::line::{ADDRESS, Line, address, number, wrong};
use super::recording::{
    Admin, Answer, Chunk, Destination, Entry, Handled, Header, Key, Kind, MarkRule, Op, Packet,
    Persistence, Protocol, Recorded, Recording, Server, Step,
};
use super::{Content, timers};
use crate::diagnostic::{FileId, Place, Problem};
use crate::format::words::{list, nearest};
use schedulers::Algorithm;
use serde_json::Value;
use sim_core::engine::{Span, Time};
use sim_core::ipvs::Forwarding;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// Every operation a recording may hold.
const OPERATIONS: [&str; 24] = [
    "fwmark",
    "sysctl",
    "set_timeouts",
    "add_service",
    "edit_service",
    "add_dest",
    "edit_dest",
    "del_dest",
    "zero",
    "wait",
    "state",
    "conns",
    "syn",
    "ack",
    "data",
    "fin",
    "rst",
    "udp",
    "sctp",
    "s_synack",
    "s_ack",
    "s_fin",
    "s_rst",
    "s_sctp",
];

/// What a state machine makes of the TCP and UDP operations.
const PACKETS: [(&str, Protocol, Kind); 10] = [
    ("syn", Protocol::Tcp, Kind::Syn),
    ("ack", Protocol::Tcp, Kind::Ack),
    ("data", Protocol::Tcp, Kind::Ack),
    ("fin", Protocol::Tcp, Kind::Fin),
    ("rst", Protocol::Tcp, Kind::Rst),
    ("udp", Protocol::Udp, Kind::Datagram),
    ("s_synack", Protocol::Tcp, Kind::Syn),
    ("s_ack", Protocol::Tcp, Kind::Ack),
    ("s_fin", Protocol::Tcp, Kind::Fin),
    ("s_rst", Protocol::Tcp, Kind::Rst),
];

/// The first chunk of an SCTP packet; what carries or acknowledges data counts as data.
const CHUNKS: [(&str, Chunk); 15] = [
    ("DATA", Chunk::Data),
    ("SACK", Chunk::Data),
    ("HEARTBEAT", Chunk::Data),
    ("HEARTBEAT_ACK", Chunk::Data),
    ("ECNE", Chunk::Data),
    ("CWR", Chunk::Data),
    ("INIT", Chunk::Init),
    ("INIT_ACK", Chunk::InitAck),
    ("COOKIE_ECHO", Chunk::CookieEcho),
    ("COOKIE_ACK", Chunk::CookieAck),
    ("SHUTDOWN", Chunk::Shutdown),
    ("SHUTDOWN_ACK", Chunk::ShutdownAck),
    ("SHUTDOWN_COMPLETE", Chunk::ShutdownComplete),
    ("ERROR", Chunk::Error),
    ("ABORT", Chunk::Abort),
];

/// What the text is, by its first line.
pub(super) fn recognise(text: &str) -> Content {
    let first = text.lines().find(|l| !l.trim().is_empty()).unwrap_or_default();
    match serde_json::from_str::<Value>(first) {
        Ok(h) if h["op"] == "header" && h["scheduler"].is_string() => Content::Service,
        Ok(line) if timers::looks_like(&line) => Content::Timers,
        Ok(Value::Object(_)) => Content::Foreign,
        _ => Content::Other,
    }
}

/// Reads a recording; everything that is wrong is added to `problems`.
pub(super) fn read(file: FileId, text: &str, problems: &mut Vec<Problem>) -> Option<Recording> {
    let before = problems.len();
    let mut lines = lines(text);
    let (_, first) = lines.next()?;
    let mut reader = Reader { file, text, target: None };
    let header = match Line::parse(file, text, first).and_then(|line| header(&line)) {
        Ok(header) => header,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    reader.target = header.default_target;
    let mut steps = Vec::new();
    for (number, span) in lines {
        match reader.step(number, span) {
            Ok(step) => steps.push(step),
            Err(problem) => problems.push(problem),
        }
    }
    (problems.len() == before).then_some(Recording { header, steps })
}

/// The lines that are not blank: their numbers and places.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut start = 0;
    text.split_inclusive('\n').enumerate().filter_map(move |(i, line)| {
        let here = start;
        start += line.len();
        let end = here + line.trim_end().len();
        (end > here).then_some((i + 1, here..end))
    })
}

/// What later lines refer to.
struct Reader<'a> {
    file: FileId,
    text: &'a str,
    /// Where packets go that name no destination.
    target: Option<SocketAddr>,
}

fn header(line: &Line<'_>) -> Result<Header, Problem> {
    line.need("format", "1", |v| (v == 1).then_some(()))?;
    line.need("hz", "100", |v| (v == 100).then_some(()))?;
    line.need("sh_tab_bits", "8, the kernel's default", |v| (v == 8).then_some(()))?;
    line.need("mh_tab_index", "12, the kernel's default", |v| (v == 12).then_some(()))?;
    let (key, default_target) = service_key(line)?;
    let family_is_v6 = family_is_v6(line)?;
    Ok(Header {
        scheduler: scheduler(line)?,
        flags: flags(line.elements("sched_flags")?)?,
        key,
        family_is_v6,
        default_target,
        forwarding: line.need("forwarding", FORWARDING, forwarding)?,
        persistence: persistence(line, family_is_v6)?,
        one_packet: line.need("ops", "true or false", Value::as_bool)?,
    })
}

fn scheduler(line: &Line<'_>) -> Result<Algorithm, Problem> {
    let allowed = format!("one of {}", list(Algorithm::ALL.map(Algorithm::name)));
    line.need("scheduler", &allowed, |v| v.as_str()?.parse().ok())
}

/// What the service listens to, and where packets go that do not say it.
fn service_key(line: &Line<'_>) -> Result<(Key, Option<SocketAddr>), Problem> {
    const ALLOWED: &str = "an object with `proto`, `vip` and `port`, or with `fwmark`";
    line.need("service", ALLOWED, |service| {
        if let Some(mark) = number(&service["fwmark"]).filter(|&m| m != 0) {
            return Some((Key::Mark(mark), None));
        }
        let protocol = protocol(service["proto"].as_str()?)?;
        let vip: IpAddr = service["vip"].as_str()?.parse().ok()?;
        let at = SocketAddr::new(vip, number(&service["port"])?);
        Some((Key::Address(protocol, at), (at.port() != 0).then_some(at)))
    })
}

fn protocol(name: &str) -> Option<Protocol> {
    match name {
        "tcp" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        "sctp" => Some(Protocol::Sctp),
        _ => None,
    }
}

fn family_is_v6(line: &Line<'_>) -> Result<bool, Problem> {
    line.need("family", "4 or 6", |v| match v.as_u64() {
        Some(4) => Some(false),
        Some(6) => Some(true),
        _ => None,
    })
}

fn persistence(line: &Line<'_>, six: bool) -> Result<Option<Persistence>, Problem> {
    let seconds = line.maybe("persist", "a number of seconds", number::<u32>)?;
    let prefix = line.maybe("netmask", "a netmask or a number of bits", |v| {
        let text = v.as_str()?;
        if six {
            return text.parse().ok().filter(|&bits: &u8| bits <= 128);
        }
        let mask: std::net::Ipv4Addr = text.parse().ok()?;
        let bits = mask.to_bits();
        (bits.leading_ones() == bits.count_ones()).then_some(bits.count_ones() as u8)
    })?;
    let whole = if six { 128 } else { 32 };
    Ok(seconds.map(|s| Persistence {
        timeout: Span::from_secs(u64::from(s)),
        prefix: prefix.unwrap_or(whole),
    }))
}

const FORWARDING: &str = "Route, Masq or Tunnel";

fn forwarding(value: &Value) -> Option<Forwarding> {
    match value.as_str()? {
        "Route" => Some(Forwarding::Dr),
        "Masq" => Some(Forwarding::Nat),
        "Tunnel" => Some(Forwarding::Tun),
        _ => None,
    }
}

/// Bits of scheduler flags.
fn flags(words: Vec<(Value, Place)>) -> Result<u8, Problem> {
    let mut bits = 0;
    for (word, place) in words {
        bits |= word.as_str().and_then(flag).ok_or_else(|| {
            wrong("sched_flags", &word, &place, "sh-fallback, sh-port, mh-fallback, mh-port")
        })?;
    }
    Ok(bits)
}

fn flag(word: &str) -> Option<u8> {
    match word {
        "sh-fallback" | "mh-fallback" | "flag-1" => Some(1),
        "sh-port" | "mh-port" | "flag-2" => Some(2),
        _ => None,
    }
}

/// The word after an option of a command.
fn argument<'a>(command: &'a str, option: &str) -> Option<&'a str> {
    let mut words = command.split_whitespace();
    words.find(|w| *w == option)?;
    words.next()
}

impl Reader<'_> {
    fn step(&mut self, number: usize, span: Range<usize>) -> Result<Step, Problem> {
        let line = Line::parse(self.file, self.text, span)?;
        let name = line.word("op")?;
        let op = self.operation(&line, &name)?;
        let done = Time::ZERO + Span::from_millis(line.number::<u32>("t_ms")?.into());
        Ok(Step { line: number, done, op })
    }

    fn operation(&mut self, line: &Line<'_>, name: &str) -> Result<Op, Problem> {
        if let Some(&(_, protocol, kind)) = PACKETS.iter().find(|(word, ..)| *word == name) {
            return self.packet(line, name, protocol, kind);
        }
        match name {
            "sctp" | "s_sctp" => {
                let kind = Kind::Chunk(line.need("chunk", "the name of a chunk", chunk)?);
                self.packet(line, name, Protocol::Sctp, kind)
            }
            "wait" => Ok(Op::Wait),
            "state" => {
                let rows = line.elements("dests")?;
                rows.iter().map(destination).collect::<Result<_, _>>().map(Op::State)
            }
            "conns" => {
                let rows = line.elements("conns")?;
                let rows = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
                let count = line.number::<usize>("n")?;
                if rows.len() > count {
                    let message = format!("`n` is {count}, but {} entries follow", rows.len());
                    return Err(Problem::new(&line.place("n"), message, "the number of entries"));
                }
                Ok(Op::Connections(count, rows))
            }
            _ => {
                let refused = line.maybe("rc", "an exit code", Value::as_i64)?;
                let admin = self.admin(line, name)?;
                Ok(Op::Admin(admin, refused.is_some_and(|code| code != 0)))
            }
        }
    }

    fn admin(&mut self, line: &Line<'_>, name: &str) -> Result<Admin, Problem> {
        let seconds = |field| line.number::<u32>(field).map(|s| Span::from_secs(s.into()));
        match name {
            "fwmark" => self.mark(line).map(Admin::Mark),
            "sysctl" => {
                let key = line.word("key")?;
                let key = key.strip_prefix("net.ipv4.vs.").unwrap_or(&key).to_owned();
                Ok(Admin::Sysctl(key, line.number("value")?))
            }
            "set_timeouts" => {
                let (tcp, fin) = (seconds("tcp")?, seconds("tcpfin")?);
                Ok(Admin::Timeouts { tcp, fin, udp: seconds("udp")? })
            }
            "add_service" => Ok(Admin::AddService),
            "edit_service" => {
                let flags = line.need("cmd", "a command of ipvsadm", |v| {
                    let words = argument(v.as_str()?, "-b").unwrap_or_default();
                    let bits = words.split(',').filter(|w| !w.is_empty()).map(flag);
                    bits.reduce(|all, bit| Some(all? | bit?)).unwrap_or(Some(0))
                })?;
                Ok(Admin::EditService { scheduler: scheduler(line)?, flags })
            }
            "add_dest" => server(line).map(Admin::Add),
            "edit_dest" => server(line).map(Admin::Edit),
            "del_dest" => line.address("dest").map(Admin::Delete),
            "zero" => Ok(Admin::Zero),
            _ => {
                let message = format!("unknown operation `{name}`");
                let problem = Problem::new(&line.place("op"), message, "not an operation");
                Err(match nearest(name, OPERATIONS) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem.help(format!("operations are {}", list(OPERATIONS))),
                })
            }
        }
    }

    /// A rule of the firewall. The first one for a single address and port tells where packets go
    /// that do not say it.
    fn mark(&mut self, line: &Line<'_>) -> Result<MarkRule, Problem> {
        let mark = line.number("mark")?;
        let rule = line.need("cmd", "a rule of iptables with -d", |v| {
            let command = v.as_str()?;
            let block = argument(command, "-d")?;
            let (addr, len) = block.split_once('/').unwrap_or((block, ""));
            let addr: IpAddr = addr.parse().ok()?;
            let whole = if addr.is_ipv6() { 128 } else { 32 };
            let len = if len.is_empty() { Some(whole) } else { len.parse().ok() };
            let port = match argument(command, "--dport") {
                Some(port) => Some(port.parse().ok()?),
                None => None,
            };
            let protocol = match argument(command, "-p") {
                Some(name) => Some(protocol(name)?),
                None => None,
            };
            Some(MarkRule { mark, protocol, block: (addr, len.filter(|&l| l <= whole)?), port })
        })?;
        if let (None, Some(port), 32 | 128) = (self.target, rule.port, rule.block.1) {
            self.target = Some(SocketAddr::new(rule.block.0, port));
        }
        Ok(rule)
    }

    fn packet(
        &self,
        line: &Line<'_>,
        name: &str,
        protocol: Protocol,
        kind: Kind,
    ) -> Result<Op, Problem> {
        let src = line.address("src")?;
        let dst = match (line.has("dst"), self.target) {
            (false, Some(target)) => target,
            _ => line.address("dst")?,
        };
        let packet = Packet { protocol, kind, src, dst };
        let state = recorded(line)?;
        if name.starts_with("s_") {
            let seen = line.address("client_sees_src")?;
            return Ok(Op::Reply(packet, seen, state));
        }
        let field = if line.has("chosen") { "chosen" } else { "fwd" };
        if !line.has(field) {
            line.address("chosen")?;
        }
        let answer = line.maybe("reply", "icmp:3/3, icmp:1/4 or rst", |v| match v.as_str()? {
            "icmp:3/3" | "icmp:1/4" => Some(Answer::Unreachable),
            "rst" => Some(Answer::Reset),
            _ => None,
        })?;
        let to = line.maybe(field, ADDRESS, address)?;
        let port = line.maybe("fwd_port", "a port", number)?;
        Ok(Op::Request(packet, Handled { to, port, answer, state }))
    }
}

fn recorded(line: &Line<'_>) -> Result<Recorded, Problem> {
    if !line.has("st") {
        return Ok(Recorded::Unknown);
    }
    let name = line.maybe("st", "the name of a state", |v| v.as_str().map(str::to_owned))?;
    Ok(name.map_or(Recorded::Nothing, Recorded::Named))
}

fn chunk(value: &Value) -> Option<Chunk> {
    let name = value.as_str()?;
    CHUNKS.iter().find(|(word, _)| *word == name).map(|&(_, chunk)| chunk)
}

fn server(line: &Line<'_>) -> Result<Server, Problem> {
    Ok(Server {
        at: line.address("dest")?,
        forwarding: line.need("fwd", FORWARDING, forwarding)?,
        weight: line.number("weight")?,
        upper: line.number("x")?,
        lower: line.number("y")?,
    })
}

fn destination((row, place): &(Value, Place)) -> Result<Destination, Problem> {
    const ALLOWED: &str = "[address, weight, active, inactive]";
    let read = || {
        Some(Destination {
            at: address(&row[0])?,
            weight: number(&row[1])?,
            active: number(&row[2])?,
            inactive: number(&row[3])?,
        })
    };
    read().ok_or_else(|| wrong("dests", row, place, ALLOWED))
}

fn entry((row, place): &(Value, Place)) -> Result<Entry, Problem> {
    const ALLOWED: &str = "[protocol, client, virtual, destination, state, seconds]";
    let read = || {
        Some(Entry {
            protocol: row[0].as_str()?.to_owned(),
            client: address(&row[1])?,
            target: address(&row[2])?,
            server: address(&row[3])?,
            state: row[4].as_str()?.to_owned(),
            left: number(&row[5])?,
        })
    };
    read().ok_or_else(|| wrong("conns", row, place, ALLOWED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Sources;

    const HEADER: &str = "{\"op\":\"header\",\"format\":1,\"hz\":100,\"sh_tab_bits\":8,\
        \"mh_tab_index\":12,\"scheduler\":\"sh\",\"sched_flags\":[\"sh-port\"],\"forwarding\":\"Masq\",\
        \"family\":4,\"persist\":300,\"netmask\":\"255.255.255.0\",\"ops\":false,\
        \"service\":{\"fwmark\":3,\"vports\":[80]}}";

    fn parse(text: &str) -> Result<Recording, Vec<String>> {
        let mut problems = Vec::new();
        let file = Sources::default().add("x", text);
        let recording = read(file, text, &mut problems);
        recording.ok_or_else(|| problems.iter().map(|p| p.message.clone()).collect())
    }

    fn after_header(lines: &str) -> Result<Vec<Op>, Vec<String>> {
        let recording = parse(&format!("{HEADER}\n\n{lines}\n"))?;
        Ok(recording.steps.into_iter().map(|step| step.op).collect())
    }

    #[test]
    fn a_header_describes_the_service() {
        let header = parse(HEADER).unwrap().header;
        assert_eq!((header.scheduler, header.flags), (Algorithm::Sh, 2));
        assert_eq!((header.key, header.forwarding), (Key::Mark(3), Forwarding::Nat));
        let persistence = Persistence { timeout: Span::from_secs(300), prefix: 24 };
        assert_eq!(header.persistence, Some(persistence));
    }

    #[test]
    fn packets_without_a_target_go_to_the_first_marked_address() {
        let lines = "{\"op\":\"fwmark\",\"mark\":3,\"cmd\":\"iptables -d 10.1.1.100 -p tcp --dport 80\",\
            \"t_ms\":1}\n{\"op\":\"syn\",\"src\":\"10.0.0.1:4\",\"chosen\":null,\"reply\":\"rst\",\"st\":null,\
            \"t_ms\":2}";
        let ops = after_header(lines).unwrap();
        let Op::Request(packet, handled) = &ops[1] else { panic!("{ops:?}") };
        assert_eq!(packet.dst, "10.1.1.100:80".parse().unwrap());
        assert_eq!((handled.answer, &handled.state), (Some(Answer::Reset), &Recorded::Nothing));
        let alone = lines.lines().nth(1).unwrap();
        assert_eq!(after_header(alone).unwrap_err(), ["the line has no `dst`"]);
    }

    #[test]
    fn flags_of_an_edit_come_from_its_command() {
        let flags = |cmd: &str| {
            let line = format!(
                "{{\"op\":\"edit_service\",\"scheduler\":\"mh\",\"cmd\":\"{cmd}\",\"t_ms\":1}}"
            );
            match after_header(&line).map(|ops| ops[0].clone()) {
                Ok(Op::Admin(Admin::EditService { flags, .. }, false)) => Some(flags),
                _ => None,
            }
        };
        assert_eq!(flags("ipvsadm -E -f 3 -s mh -b mh-port,mh-fallback"), Some(3));
        assert_eq!(flags("ipvsadm -E -f 3 -s mh -b mh-port,mh-port"), Some(2));
        assert_eq!(flags("ipvsadm -E -f 3 -s mh"), Some(0));
        assert_eq!(flags("ipvsadm -E -f 3 -s mh -b mh-prot"), None);
    }

    #[test]
    fn every_wrong_line_is_a_problem() {
        let said = after_header(
            "{\"op\":\"state\",\"dests\":[[\"10.0.0.1:80\",1,0]],\"t_ms\":1}\n\
             {\"op\":\"conns\",\"n\":0,\"conns\":[[\"TCP\",\"1.1.1.1:1\",\"1.1.1.1:2\",\"1.1.1.1:3\",\"X\",4]],\
             \"t_ms\":1}\n\
             {\"op\":\"wait\"}\n\
             {\"op\":\"sctp\",\"chunk\":\"NOTHING\",\"t_ms\":2}",
        );
        let expected = [
            "`dests` is [\"10.0.0.1:80\",1,0]",
            "`n` is 0, but 1 entries follow",
            "the line has no `t_ms`",
            "`chunk` is \"NOTHING\"",
        ];
        assert_eq!(said.unwrap_err(), expected);
        for (from, to) in [
            ("\"hz\":100", "\"hz\":250"),
            ("\"sh\"", "\"shh\""),
            ("24", "4"),
            ("255.255.255.0", "255.0.255.0"),
            ("Masq", "Nat"),
            ("\"fwmark\":3", "\"fwmark\":0"),
        ] {
            let header = HEADER.replacen(from, to, 1);
            assert_eq!(parse(&header).is_err(), header != HEADER, "{to}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_stops_the_program(cut in 0_usize..4000, byte in 0_usize..4000, with in ".") {
            let text = include_str!("../../tests/golden/sched/x-wrr-zero-first.jsonl");
            let mut text: String = text.chars().take(4000).collect();
            text.replace_range(byte..=byte, &with);
            let text: String = text.chars().take(cut).collect();
            drop(parse(&text).map(|recording| crate::conform::judge(&[recording])));
        }
    }
}
