//! Replays one recording against a service.
//!
//! The connection table of the director is not part of this crate, so a few things are read from
//! the recording: when an existing connection changes between active and inactive, and when it
//! expires. New connections are scheduled and counted by the contract of the crate.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use schedulers::{Algorithm, Counting, DestEdit, DestId, DestSpec, Flags, Flow, NoRandom, Service};
use serde_json::Value;

const SECOND: u64 = 1_000_000_000;
/// The timer of `lblc` and `lblcr` at HZ=100: 60 s, rounded up by the kernel's timer wheel.
const PERIOD: u64 = 61_440_000_000;

struct Replay {
    service: Service,
    virtual_address: SocketAddr,
    one_packet: bool,
    /// Where each client's connection went.
    connections: BTreeMap<(SocketAddr, SocketAddr), DestId>,
    /// Those of which an ACK was seen.
    established: BTreeSet<(SocketAddr, SocketAddr)>,
    now: u64,
    next_timer: u64,
    choices: usize,
    /// The counters are recorded now and then only.
    sparse: bool,
}

/// Replays a recording; how many choices were compared.
pub(crate) fn replay(text: &str) -> Result<usize, String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        lines.push(serde_json::from_str::<Value>(line).map_err(|e| e.to_string())?);
    }
    let (header, ops) = lines.split_first().ok_or("empty")?;
    let mut replay = Replay::new(header)?;
    for (i, op) in ops.iter().enumerate() {
        let next = ops.get(i + 1).filter(|o| o["op"] == "state");
        replay.apply(op, next).map_err(|e| format!("line {}: {e}\n  {op}", i + 2))?;
    }
    Ok(replay.choices)
}

fn text<'a>(op: &'a Value, field: &str) -> Result<&'a str, String> {
    op[field].as_str().ok_or_else(|| format!("no {field}"))
}

fn address(op: &Value, field: &str) -> Result<SocketAddr, String> {
    text(op, field)?.parse().map_err(|e| format!("{field}: {e}"))
}

fn number(value: &Value) -> u32 {
    value.as_u64().unwrap_or(0) as u32
}

fn flags(words: &str) -> Flags {
    Flags { fallback: words.contains("fallback"), port: words.contains("port") }
}

/// A row of a `state` line: weight, active, inactive.
type Row = (SocketAddr, u32, u32, u32);

fn rows(state: &Value) -> Result<Vec<Row>, String> {
    let row = |r: &Value| {
        let addr = r[0].as_str().and_then(|a| a.parse().ok()).ok_or("a row without address")?;
        Ok((addr, number(&r[1]), number(&r[2]), number(&r[3])))
    };
    state["dests"].as_array().ok_or("no dests")?.iter().map(row).collect()
}

impl Replay {
    fn new(header: &Value) -> Result<Self, String> {
        let algorithm: Algorithm =
            text(header, "scheduler")?.parse().map_err(|_| "unknown scheduler")?;
        let service = &header["service"];
        let six = header["family"] == 6;
        let vip = service["vip"].as_str().unwrap_or(if six { "fd00:1::100" } else { "10.1.1.100" });
        let vip = vip.parse().map_err(|_| "unreadable vip")?;
        let port = service["port"].as_u64().unwrap_or(80) as u16;
        Ok(Self {
            service: Service::new(algorithm, flags(&header["sched_flags"].to_string())),
            virtual_address: SocketAddr::new(vip, port),
            one_packet: header["ops"] == true,
            connections: BTreeMap::new(),
            established: BTreeSet::new(),
            now: 0,
            next_timer: 0,
            choices: 0,
            sparse: header["initial_dests"].as_u64() > Some(5),
        })
    }

    fn apply(&mut self, op: &Value, next: Option<&Value>) -> Result<(), String> {
        self.now = op["t_ms"].as_u64().unwrap_or(0) * 1_000_000;
        while self.next_timer != 0 && self.now >= self.next_timer {
            self.service.run_timer(self.next_timer);
            self.next_timer += PERIOD;
        }
        match text(op, "op")? {
            "add_service" => self.next_timer = self.now + PERIOD,
            "edit_service" => self.edit_service(op)?,
            "add_dest" | "edit_dest" | "del_dest" => self.configure(op)?,
            "sysctl" if text(op, "key")?.ends_with("_expiration") => {
                self.service.set_expiration(op["value"].as_u64().unwrap_or(0) * SECOND);
            }
            "syn" | "udp" => self.first_packet(op, next)?,
            "ack" | "data" | "fin" | "rst" => self.later_packet(op, next)?,
            "state" => self.compare(op)?,
            _ => {}
        }
        Ok(())
    }

    fn edit_service(&mut self, op: &Value) -> Result<(), String> {
        let algorithm: Algorithm = text(op, "scheduler")?.parse().map_err(|_| "unknown")?;
        self.service.set_flags(flags(text(op, "cmd")?.split(" -b ").nth(1).unwrap_or("")));
        self.service.set_algorithm(algorithm).map_err(|e| e.to_string())
    }

    fn configure(&mut self, op: &Value) -> Result<(), String> {
        let at = address(op, "dest")?;
        let (weight, upper, lower) = (number(&op["weight"]), number(&op["x"]), number(&op["y"]));
        let edit = DestEdit { weight, upper_threshold: upper, lower_threshold: lower };
        let id = self.service.pool().find(at.ip(), at.port()).ok_or("unknown destination");
        let done = match text(op, "op")? {
            "add_dest" => {
                let spec = DestSpec {
                    upper_threshold: upper,
                    lower_threshold: lower,
                    ..DestSpec::new(at.ip(), at.port(), weight)
                };
                self.service.add_dest(spec).map(drop)
            }
            "edit_dest" => self.service.edit_dest(id?, edit),
            _ => self.service.remove_dest(id?),
        };
        if op["rc"].is_null() { done.map_err(|e| e.to_string()) } else { Ok(()) }
    }

    /// A packet that begins a connection, unless its client has one.
    fn first_packet(&mut self, op: &Value, next: Option<&Value>) -> Result<(), String> {
        let src = address(op, "src")?;
        let dst = if op["dst"].is_null() { self.virtual_address } else { address(op, "dst")? };
        let chosen = match op["chosen"].as_str() {
            Some(at) => Some(at.parse::<SocketAddr>().map_err(|e| e.to_string())?),
            None => None,
        };
        let refused = op["reply"] == "icmp:3/3" || op["reply"] == "icmp:1/4";
        let known = self.connections.contains_key(&(src, dst));
        let anew = !known || self.is_counted_anew(chosen, next)?;
        if (chosen.is_none() && !refused) || !anew {
            return Ok(());
        }
        let flow = Flow::new(src.ip(), src.port(), dst.ip(), dst.port());
        let found = self.service.schedule(&flow, self.now, &mut NoRandom);
        let dest = found.and_then(|id| self.service.pool().get(id));
        let found_at = dest.map(|d| SocketAddr::new(d.addr, d.port));
        if found_at != chosen {
            return Err(format!("the kernel chose {chosen:?}, the service {found_at:?}"));
        }
        self.choices += 1;
        let Some(id) = found else { return Ok(()) };
        self.begin(op, id, (src, dst)).map_err(|e| e.to_string())
    }

    fn begin(
        &mut self,
        op: &Value,
        id: DestId,
        ends: (SocketAddr, SocketAddr),
    ) -> Result<(), schedulers::Error> {
        self.service.bind(id, Counting::Inactive)?;
        if op["op"] == "syn" {
            self.service.activate(id)?;
        }
        if self.one_packet {
            self.service.release(id, Counting::Inactive)?;
        } else {
            self.connections.insert(ends, id);
            self.established.remove(&ends);
        }
        Ok(())
    }

    /// Where counters are recorded now and then only, an established connection becomes inactive
    /// with its FIN or RST.
    fn later_packet(&mut self, op: &Value, next: Option<&Value>) -> Result<(), String> {
        let ends = (address(op, "src")?, self.virtual_address);
        if op["op"] == "ack" {
            self.established.insert(ends);
        } else if op["op"] != "data"
            && self.established.remove(&ends)
            && self.sparse
            && next.is_none()
            && let Some(&id) = self.connections.get(&ends)
        {
            self.service.deactivate(id).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// Does the chosen destination count one connection more afterwards?
    fn is_counted_anew(
        &self,
        chosen: Option<SocketAddr>,
        next: Option<&Value>,
    ) -> Result<bool, String> {
        let (Some(at), Some(next)) = (chosen, next) else { return Ok(chosen.is_none()) };
        let rows = rows(next)?;
        let Some(row) = rows.iter().find(|r| r.0 == at) else { return Ok(false) };
        let dest = self.service.pool().iter().find(|d| (d.addr, d.port) == (at.ip(), at.port()));
        Ok(dest.is_some_and(|d| row.2 + row.3 > d.active + d.inactive))
    }

    /// Takes over what the director's connection table did, then compares order, weights, counters.
    fn compare(&mut self, state: &Value) -> Result<(), String> {
        let rows = rows(state)?;
        for &(at, _, active, inactive) in &rows {
            let id = self.service.pool().find(at.ip(), at.port()).ok_or("not in our list")?;
            self.take_over(id, active, inactive).map_err(|e| e.to_string())?;
        }
        let pool = self.service.pool().iter();
        let ours: Vec<Row> = pool
            .map(|d| (SocketAddr::new(d.addr, d.port), d.weight, d.active, d.inactive))
            .collect();
        if ours == rows { Ok(()) } else { Err(format!("the service counts {ours:?}")) }
    }

    /// Flips and ends connections of a destination until it counts as recorded; never begins one.
    fn take_over(
        &mut self,
        id: DestId,
        active: u32,
        inactive: u32,
    ) -> Result<(), schedulers::Error> {
        let read = |s: &Service| s.pool().get(id).map_or((0, 0), |d| (d.active, d.inactive));
        let (a, i) = read(&self.service);
        let recorded = active + inactive;
        for _ in recorded..a + i {
            // Connections that end were inactive at last.
            if read(&self.service).1 == 0 {
                self.service.deactivate(id)?;
            }
            self.service.release(id, Counting::Inactive)?;
        }
        for _ in active..read(&self.service).0 {
            self.service.deactivate(id)?;
        }
        while read(&self.service).0 < active && read(&self.service).1 > 0 {
            self.service.activate(id)?;
        }
        Ok(())
    }
}
