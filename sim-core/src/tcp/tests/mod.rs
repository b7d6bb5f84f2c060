//! A network of two hosts for tests: virtual time, a fixed delay, scripted loss, simple applications.

mod acks;
mod close;
mod handshake;
mod loss;
mod paths;
mod random;

use std::collections::BTreeMap;

use super::{Arrival, Conn, Endpoint, Note, Output, TcpStack};
use crate::config::TcpConfig;
use crate::engine::{Span, Time};
use crate::wire::{Flags, Ip, Packet, icmp};

/// The host that opens connections.
const CLIENT: usize = 0;
/// The host that listens to port 80.
const SERVER: usize = 1;
/// First local port of the client.
const PORT: u16 = 40_000;
/// Listening port of the server.
const WEB: u16 = 80;

/// What the application of a host does by itself.
#[derive(Clone, Copy, Default)]
struct App {
    /// Messages to write when connected.
    request: Option<u32>,
    /// Time and size of the answer to a message.
    reply: Option<(Span, u32)>,
    /// Close after the answer was written.
    close_after_reply: bool,
    /// Close when a message is complete.
    close_on_message: bool,
    /// Close this long after the peer did.
    close_on_peer: Option<Span>,
    /// Do not take connections out of the accept queue.
    idle: bool,
}

/// What the network does to a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Treatment {
    Deliver,
    Lose,
    /// Deliver this much later.
    Hold(Span),
    /// Deliver twice, the second one later.
    Double(Span),
}

#[derive(Clone, Copy)]
enum Event {
    Packet(usize, Packet),
    Icmp(usize, Packet, u16),
    Wake(usize, u32),
    Write(usize, Conn, u32),
    Close(usize, Conn),
}

/// A packet that was sent, seen at its sender.
#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Time,
    from: usize,
    packet: Packet,
}

/// Decides what happens to a packet, by its number and contents.
type Fate = Box<dyn FnMut(usize, &Sent) -> Treatment>;

struct Net {
    now: Time,
    delay: Span,
    hosts: [TcpStack; 2],
    apps: [App; 2],
    events: BTreeMap<(Time, u64), Event>,
    serial: u64,
    sent: Vec<Sent>,
    notes: Vec<(Time, usize, Conn, Note)>,
    arrivals: Vec<Arrival>,
    /// What happens to the n-th packet (from 0) of the run.
    fate: Fate,
    /// Largest packet the middle of the network passes.
    path_mtu: u16,
    out: Output,
}

fn ms(n: u64) -> Span {
    Span::from_millis(n)
}

fn secs(n: u64) -> Span {
    Span::from_secs(n)
}

fn end(host: usize, port: u16) -> Endpoint {
    (Ip::new(10, 0, 0, 1 + host as u8), port)
}

impl Net {
    /// Two hosts 50 us apart; the server listens.
    fn new(client: TcpConfig, server: TcpConfig) -> Self {
        let mut hosts = [TcpStack::new(client, 64, 1), TcpStack::new(server, 64, 2)];
        assert_eq!(hosts[SERVER].listen(WEB, 128), Ok(0));
        Self {
            now: Time::ZERO,
            delay: Span::from_micros(50),
            hosts,
            apps: [App::default(); 2],
            events: BTreeMap::new(),
            serial: 0,
            sent: Vec::new(),
            notes: Vec::new(),
            arrivals: Vec::new(),
            fate: Box::new(|_, _| Treatment::Deliver),
            path_mtu: u16::MAX,
            out: Output::default(),
        }
    }

    fn linux() -> Self {
        Self::new(TcpConfig::default(), TcpConfig::default())
    }

    /// Loses the packets with these numbers.
    fn losing(mut self, lost: &'static [usize]) -> Self {
        self.fate = Box::new(
            move |n, _| {
                if lost.contains(&n) { Treatment::Lose } else { Treatment::Deliver }
            },
        );
        self
    }

    fn app(mut self, host: usize, app: App) -> Self {
        self.apps[host] = app;
        self
    }

    /// The client connects to the web server from its n-th port.
    fn connect(&mut self, n: u16) -> Conn {
        let (local, remote) = (end(CLIENT, PORT + n), end(SERVER, WEB));
        let host = &mut self.hosts[CLIENT];
        let iss = host.initial_sequence(self.now, local, remote);
        let conn = host
            .connect(self.now, local, remote, iss, 7, 1500, &mut self.out)
            .expect("the port is free");
        self.flush(CLIENT);
        conn
    }

    /// Calls the stack of a host.
    fn with(&mut self, host: usize, call: impl FnOnce(&mut TcpStack, Time, &mut Output)) {
        call(&mut self.hosts[host], self.now, &mut self.out);
        self.flush(host);
    }

    fn write(&mut self, host: usize, conn: Conn, bytes: u32) {
        self.with(host, |s, now, out| s.write(now, conn, bytes, out));
    }

    fn close(&mut self, host: usize, conn: Conn) {
        self.with(host, |s, now, out| s.close(now, conn, out));
    }

    fn abort(&mut self, host: usize, conn: Conn) {
        self.with(host, |s, now, out| s.abort(now, conn, out));
    }

    fn push(&mut self, at: Time, event: Event) {
        self.serial += 1;
        self.events.insert((at, self.serial), event);
    }

    /// Carries out what the stack of a host asks for.
    fn flush(&mut self, host: usize) {
        while !self.out.notes.is_empty() {
            for (conn, note) in core::mem::take(&mut self.out.notes) {
                self.notes.push((self.now, host, conn, note));
                self.react(host, conn, note);
            }
        }
        let (packets, wakes) =
            (core::mem::take(&mut self.out.packets), core::mem::take(&mut self.out.wakes));
        for packet in packets {
            self.send(host, packet);
        }
        for (at, slot) in wakes {
            assert!(at >= self.now, "a wake in the past");
            self.push(at, Event::Wake(host, slot));
        }
    }

    fn send(&mut self, from: usize, packet: Packet) {
        let sent = Sent { at: self.now, from, packet };
        let treatment = (self.fate)(self.sent.len(), &sent);
        self.sent.push(sent);
        let arrival = self.now + self.delay;
        if packet.len > self.path_mtu && packet.dont_fragment() {
            let mtu = self.path_mtu;
            self.push(arrival, Event::Icmp(from, packet, mtu));
            return;
        }
        match treatment {
            Treatment::Lose => {}
            Treatment::Deliver => self.push(arrival, Event::Packet(1 - from, packet)),
            Treatment::Hold(span) => self.push(arrival + span, Event::Packet(1 - from, packet)),
            Treatment::Double(span) => {
                self.push(arrival, Event::Packet(1 - from, packet));
                self.push(arrival + span, Event::Packet(1 - from, packet));
            }
        }
    }

    /// What the application of a host does about a note. Output is appended to `self.out`.
    fn react(&mut self, host: usize, conn: Conn, note: Note) {
        let app = self.apps[host];
        let (stack, now) = (&mut self.hosts[host], self.now);
        match note {
            Note::Connected => {
                stack.write(now, conn, app.request.unwrap_or(0), &mut self.out);
            }
            Note::Accepted { listener } if !app.idle => stack.accept(listener),
            Note::MessageComplete { .. } => {
                if app.close_on_message {
                    stack.close(now, conn, &mut self.out);
                }
                if let Some((after, bytes)) = app.reply {
                    self.push(now + after, Event::Write(host, conn, bytes));
                }
            }
            Note::PeerClosed => {
                if let Some(after) = app.close_on_peer {
                    if after == Span::ZERO {
                        stack.close(now, conn, &mut self.out);
                    } else {
                        self.push(now + after, Event::Close(host, conn));
                    }
                }
            }
            _ => {}
        }
    }

    /// Runs until the end of a span, or until nothing is left to do.
    fn run(&mut self, span: Span) {
        let until = self.now + span;
        while let Some((&key, _)) = self.events.first_key_value() {
            if key.0 > until {
                break;
            }
            let Some(event) = self.events.remove(&key) else { break };
            self.now = key.0;
            self.step(event);
        }
        self.now = until;
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Packet(host, p) => {
                let arrival = self.hosts[host].on_packet(self.now, &p, 1500, &mut self.out);
                self.arrivals.push(arrival);
                self.flush(host);
            }
            Event::Icmp(host, p, mtu) => self.with(host, |s, now, out| {
                s.on_icmp_error(now, &p, icmp::UNREACHABLE, icmp::FRAG_NEEDED, mtu, out);
            }),
            Event::Wake(host, slot) => self.with(host, |s, now, out| s.on_wake(now, slot, out)),
            Event::Write(host, conn, bytes) => {
                self.write(host, conn, bytes);
                if self.apps[host].close_after_reply {
                    self.close(host, conn);
                }
            }
            Event::Close(host, conn) => self.close(host, conn),
        }
    }

    /// Every packet as `> PA 1 1 20`: direction (`>` from the client), flags, relative sequence and
    /// acknowledgement number, payload.
    fn packets(&self) -> Vec<String> {
        let mut first = [None; 2];
        let mut lines = Vec::new();
        for s in &self.sent {
            let p = &s.packet;
            if p.flags.has(Flags::SYN) {
                first[s.from] = Some(p.seq);
            }
            let seq = p.seq.wrapping_sub(first[s.from].unwrap_or(0));
            let ack = p.ack.wrapping_sub(first[1 - s.from].unwrap_or(0));
            let ack = if p.flags.has(Flags::ACK) { ack } else { 0 };
            let arrow = if s.from == CLIENT { '>' } else { '<' };
            lines.push(format!("{arrow} {:?} {seq} {ack} {}", p.flags, p.payload()));
        }
        lines
    }

    /// When packets with these flags were sent, in milliseconds.
    fn times(&self, from: usize, flags: Flags) -> Vec<u64> {
        let chosen = self.sent.iter().filter(|s| s.from == from && s.packet.flags == flags);
        chosen.map(|s| s.at.as_nanos() / 1_000_000).collect()
    }

    fn notes_of(&self, host: usize) -> Vec<Note> {
        self.notes.iter().filter(|n| n.1 == host).map(|n| n.3).collect()
    }

    /// The final notes of a host: when in milliseconds, and what.
    fn finals(&self, host: usize) -> Vec<(u64, Note)> {
        let finals = self.notes.iter().filter(|n| n.1 == host && n.3.is_final());
        finals.map(|n| (n.0.as_nanos() / 1_000_000, n.3)).collect()
    }

    /// Server's connection of the first accepted note.
    fn accepted(&self) -> Conn {
        let accepted = |n: &&(Time, usize, Conn, Note)| matches!(n.3, Note::Accepted { .. });
        self.notes.iter().find(accepted).expect("accepted").2
    }

    /// An established connection: client's and server's number; the log starts afresh.
    fn established(&mut self) -> (Conn, Conn) {
        let conn = self.connect(0);
        self.run(ms(1));
        (conn, self.accepted())
    }
}
