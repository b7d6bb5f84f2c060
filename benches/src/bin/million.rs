//! A director with a million concurrent connections: memory and time.
//!
//! ```text
//! cargo run --release -p lvs-benches --bin million -- [CONNECTIONS [RATE]]
//! ```
//!
//! What is measured is the machine [`Ipvs`] alone, driven by `request`, `reply` and `on_deadline` as a
//! director host drives it; clients, links and real servers would cost more than what is looked for.
//! One service with eight real servers, round robin, the kernel's timeouts. Each method runs in a process
//! of its own:
//!
//! 1. CONNECTIONS (1,000,000) connections are established within 20 s and then say nothing. Their
//!    memory is what the process has grown by, and what the director says of itself, divided by their number.
//! 2. The 80 s after that. In them each entry, which began with the 60 s of `SYN_RECV`, moves
//!    its timer to the 900 s of `ESTABLISHED`: once in its life.
//! 3. 60 s in which they idle.
//! 4. 60 s with RATE (50,000) new connections a second on top. Each has the packets of workload W1 (see
//!    `lvs_benches::limit`): ten of the client and, through NAT, fourteen of the real server, 2 ms
//!    apart, so that a hundred connections at a time are under way for each step. None of
//!    their entries ends before it was two minutes in `TIME_WAIT` or `FIN_WAIT`.
//! 5. The 180 s in which all of those end.
//!
//! Seconds are of the wall clock and of the CPU; other load on the machine disturbs the second less.

use cpu_time::ProcessTime;
use lvs_benches::memory::{peak, resident};
use schedulers::Algorithm;
use sim_core::config::{IpvsConfig, v4};
use sim_core::engine::{Span, Stream, Time};
use sim_core::ipvs::rules::{Forwarding, ServerRule, ServiceKey, ServiceRule};
use sim_core::ipvs::{Ipvs, ReplyVerdict, Verdict};
use sim_core::wire::{AddressBook, Flags, Ip, Packet, proto};
use std::io::{self, Write};
use std::process::Command;

/// The methods, by the words that select them.
const METHODS: [(&str, Forwarding); 2] = [("NAT", Forwarding::Nat), ("DR", Forwarding::Dr)];
const VIP: Ip = Ip::new(192, 168, 10, 200);
/// Connections begun between two packets of one connection.
const STEP: u64 = 100;

const SYN: Flags = Flags::SYN;
const ACK: Flags = Flags::ACK;
const SYN_ACK: Flags = Flags(0x12);
const FIN: Flags = Flags(0x11);

/// Whether the client sends it, flags and length: the packets of W1.
const PACKETS: [(bool, Flags, u16); 24] = [
    (true, SYN, 40),
    (false, SYN_ACK, 40),
    (true, ACK, 40),
    (true, ACK, 240),
    (false, ACK, 40),
    (false, ACK, 1488),
    (false, ACK, 1488),
    (true, ACK, 40),
    (false, ACK, 1488),
    (false, ACK, 1488),
    (true, ACK, 40),
    (false, ACK, 1488),
    (false, ACK, 1488),
    (true, ACK, 40),
    (false, ACK, 1488),
    (false, ACK, 1488),
    (true, ACK, 40),
    (false, ACK, 1488),
    (false, ACK, 1488),
    (true, ACK, 40),
    (false, FIN, 40),
    (true, ACK, 40),
    (true, FIN, 40),
    (false, ACK, 40),
];

/// The director and what surrounds it.
struct Bench {
    ipvs: Ipvs,
    book: AddressBook,
    forwarding: Forwarding,
    now: Time,
    /// Connections of former calls of [`Bench::traffic`]: where round robin stands.
    ended: u64,
    /// Packets that the machine was given.
    packets: u64,
    /// Timers that ran.
    deadlines: u64,
}

impl Bench {
    fn new(forwarding: Forwarding) -> Self {
        let key =
            ServiceKey::Address { protocol: proto::TCP, vip: v4(192, 168, 10, 200), port: 80 };
        let server =
            |host| ServerRule { forwarding, ..ServerRule::new(v4(192, 168, 10, host), 80) };
        let service = ServiceRule {
            scheduler: Algorithm::Rr,
            servers: (11..19).map(server).collect(),
            ..ServiceRule::new(key)
        };
        let config = IpvsConfig { services: vec![service], ..IpvsConfig::default() };
        let mut book = AddressBook::new();
        let random = Stream::new(1, "director", "ipvs");
        let ipvs = Ipvs::new(&config, random, &mut book).expect("the rules are good");
        Self { ipvs, book, forwarding, now: Time::ZERO, ended: 0, packets: 0, deadlines: 0 }
    }

    /// Lets time pass, as a host does: the machine is called at each of its deadlines.
    fn pass(&mut self, until: Time) {
        while let Some(next) = self.ipvs.next_deadline().filter(|&next| next <= until) {
            self.ipvs.on_deadline(next);
            self.deadlines += 1;
        }
        self.now = until;
    }

    /// The packet `index` of [`PACKETS`] of connection `number` of those from network `net`.
    fn play(&mut self, net: u32, number: u64, index: usize) {
        let client = client(net, number);
        let (request, flags, len) = PACKETS[index];
        if !request && self.forwarding != Forwarding::Nat {
            return;
        }
        self.packets += 1;
        if request {
            let mut pkt = Packet::ipv4(client.0, VIP, proto::TCP, len);
            (pkt.sport, pkt.dport, pkt.flags) = (client.1, 80, flags);
            let verdict = self.ipvs.request(self.now, &pkt, &mut self.book);
            assert!(matches!(verdict, Verdict::Transmit(_)), "every request is sent on");
            return;
        }
        let rip = Ip::new(192, 168, 10, SERVERS[((self.ended + number) % 8) as usize]);
        let mut pkt = Packet::ipv4(rip, client.0, proto::TCP, len);
        (pkt.sport, pkt.dport, pkt.flags) = (80, client.1, flags);
        let verdict = self.ipvs.reply(self.now, &pkt);
        assert!(matches!(verdict, ReplyVerdict::Translate { .. }), "every reply is translated");
    }

    /// `count` connections from `start`, `rate` a second. Of each the first `played` packets, one for
    /// every [`STEP`] connections begun.
    fn traffic(&mut self, net: u32, rate: u64, count: u64, played: u64) {
        let start = self.now;
        for step in 0..count + (played - 1) * STEP {
            let next = start + Span::from_nanos(step * 1_000_000_000 / rate);
            self.pass(next);
            for index in 0..played {
                let Some(number) = step.checked_sub(index * STEP).filter(|&n| n < count) else {
                    continue;
                };
                self.play(net, number, index as usize);
            }
        }
        self.ended += count;
    }
}

/// First port of a client, and how many it uses.
const FIRST: u16 = 1024;
const PORTS: u64 = 50_000;
/// Last bytes of the real servers' addresses in the order of round robin: the newest rule first.
const SERVERS: [u8; 8] = [18, 17, 16, 15, 14, 13, 12, 11];

/// The client of connection `number` in the network `net`.0.0.0/8.
const fn client(net: u32, number: u64) -> (Ip, u16) {
    (Ip(net << 24 | (number / PORTS) as u32), FIRST + (number % PORTS) as u16)
}

/// Prints a phase as a row of the table.
struct Table<'a> {
    out: &'a mut dyn Write,
    method: &'static str,
}

impl Table<'_> {
    #[expect(clippy::disallowed_types, reason = "wall time is what is measured")]
    fn row(&mut self, b: &mut Bench, name: &str, work: impl FnOnce(&mut Bench)) -> io::Result<()> {
        let (packets, deadlines, from) = (b.packets, b.deadlines, b.now);
        let (wall, cpu) = (std::time::Instant::now(), ProcessTime::now());
        work(b);
        let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64());
        let packets = b.packets - packets;
        let each = if packets > 0 { cpu * 1e9 / packets as f64 } else { 0.0 };
        writeln!(
            self.out,
            "{:<4} {name:<22} {:>8.1} {:>10.6} {:>10.6} {packets:>11} {each:>10.0} {:>10} {:>10}",
            self.method,
            (b.now - from).as_secs_f64(),
            wall,
            cpu,
            b.deadlines - deadlines,
            b.ipvs.entries(),
        )
    }
}

/// All phases of a method.
fn measure(
    out: &mut impl Write,
    (method, forwarding): (&'static str, Forwarding),
    count: u64,
    rate: u64,
) -> io::Result<()> {
    let mut b = Bench::new(forwarding);
    let (resident_before, own_before) = (resident(), b.ipvs.memory_bytes());
    let mut table = Table { out, method };
    table.row(&mut b, "established", |b| b.traffic(10, (count / 20).max(1), count, 3))?;
    assert_eq!(u64::from(b.ipvs.entries()), count);
    let grown = (resident() - resident_before) / count as f64;
    let own = (b.ipvs.memory_bytes() - own_before) as f64 / count as f64;
    table.row(&mut b, "timers move once", |b| b.pass(b.now + Span::from_secs(80)))?;
    let moved = (resident() - resident_before) / count as f64;
    table.row(&mut b, "idle", |b| b.pass(b.now + Span::from_secs(60)))?;
    table.row(&mut b, "new ones on top", |b| {
        b.traffic(11, rate, 60 * rate, PACKETS.len() as u64);
    })?;
    table.row(&mut b, "the new ones end", |b| b.pass(b.now + Span::from_secs(180)))?;
    assert_eq!(u64::from(b.ipvs.entries()), count, "the first ones are there, and only those");
    writeln!(
        out,
        "{method}: {own:.1} bytes a connection by Ipvs::memory_bytes, {grown:.1} by resident memory \
         ({moved:.1} when the timers have moved); {:.0} MB at the peak of {} entries",
        peak(),
        b.ipvs.entries_max(),
    )
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let alone = arguments
        .first()
        .and_then(|first| METHODS.into_iter().find(|m| first.strip_prefix("--") == Some(m.0)));
    let numbers = &arguments[usize::from(alone.is_some())..];
    let number = |place: usize, default: u64| match numbers.get(place) {
        None => Ok(default),
        Some(text) => text.parse().ok().filter(|n| (1..=10_000_000).contains(n)).ok_or_else(|| {
            let message =
                format!("usage: million [CONNECTIONS [RATE]], from 1 to 10000000, not {text:?}");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        }),
    };
    let (count, rate) = (number(0, 1_000_000)?, number(1, 50_000)?);
    if let Some(method) = alone {
        return measure(&mut out, method, count, rate);
    }
    writeln!(
        out,
        "{:<4} {:<22} {:>8} {:>10} {:>10} {:>11} {:>10} {:>10} {:>10}",
        "", "phase", "seconds", "wall s", "CPU s", "packets", "ns/packet", "deadlines", "entries"
    )?;
    out.flush()?;
    let program = std::env::current_exe()?;
    for (method, _) in METHODS {
        // a process of its own, so that no memory is left over from the one before
        let arguments = [format!("--{method}"), count.to_string(), rate.to_string()];
        let status = Command::new(&program).args(arguments).status()?;
        if !status.success() {
            return Err(io::Error::other("a measurement failed"));
        }
    }
    Ok(())
}
