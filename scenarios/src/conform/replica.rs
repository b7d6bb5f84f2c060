//! A director in outline: the `schedulers` crate behind a connection table that is a plain list.
//!
//! It replays what the director of the simulator has no packets or rules for (IPv6, firewall marks,
//! one-packet scheduling, SCTP, persistence), so that every recorded choice of a scheduler is
//! compared. Rules: kernel `net/netfilter/ipvs/ip_vs_core.c` (`ip_vs_in_hook`, `ip_vs_schedule`,
//! `ip_vs_sched_persist`), `ip_vs_conn.c`, `ip_vs_ctl.c`.

use super::director::{Director, Outcome};
use super::entries::{Connection, Entries, Name, Phase, Wheel};
use super::recording::{
    Admin, Chunk, Destination, Entry, Header, Key, Kind, MarkRule, Packet, Persistence, Protocol,
    Server, masked,
};
use schedulers::{Algorithm, Counting, DestEdit, DestId, DestSpec, Flags, Flow, NoRandom, Service};
use sim_core::engine::{Span, Time};
use sim_core::ipvs::rules::TimeoutRule;
use sim_core::ipvs::{Forwarding, TICK, Timeouts};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The timer of `lblc` and `lblcr` at HZ=100: 60 s, rounded up by the kernel's timer wheel.
const PERIOD: Span = Span::from_millis(61_440);
const FTP: u16 = 21;
const FTP_DATA: u16 = 20;
const FIRST_UNPRIVILEGED: u16 = 1024;

/// `net.ipv4.vs.*`.
#[derive(Clone, Debug)]
struct Settings {
    conn_reuse_mode: u64,
    expire_nodest_conn: bool,
    expire_quiescent_template: bool,
    sloppy_tcp: bool,
    sloppy_sctp: bool,
    secure: bool,
    /// `drop_packet` = 3.
    drops: bool,
    am_droprate: u64,
}

/// See the [module](self).
pub(super) struct Replica {
    header: Header,
    service: Service,
    /// The service was added.
    listed: bool,
    marks: Vec<MarkRule>,
    methods: BTreeMap<DestId, Forwarding>,
    entries: Entries,
    settings: Settings,
    timeouts: Timeouts,
    /// New connections until the next one is dropped.
    until_drop: u64,
    /// Next run of the scheduler's timer.
    timer_at: Time,
    /// When connections of deleted destinations are dropped.
    flush_at: Time,
}

impl Replica {
    pub(super) fn new(header: &Header, wheel: Wheel) -> Self {
        Self {
            header: header.clone(),
            service: Service::new(header.scheduler, Flags::from_bits(header.flags)),
            listed: false,
            marks: Vec::new(),
            methods: BTreeMap::new(),
            entries: Entries::new(wheel),
            settings: Settings {
                conn_reuse_mode: 1,
                expire_nodest_conn: false,
                expire_quiescent_template: false,
                sloppy_tcp: false,
                sloppy_sctp: false,
                secure: false,
                drops: false,
                am_droprate: 10,
            },
            timeouts: Timeouts::default(),
            until_drop: 0,
            timer_at: Time::NEVER,
            flush_at: Time::NEVER,
        }
    }

    fn sysctl(&mut self, key: &str, value: u64) -> Result<(), String> {
        let settings = &mut self.settings;
        match (key, value) {
            ("conn_reuse_mode", mode) => settings.conn_reuse_mode = mode,
            ("expire_nodest_conn", on) => settings.expire_nodest_conn = on != 0,
            ("expire_quiescent_template", on) => settings.expire_quiescent_template = on != 0,
            ("sloppy_tcp", on) => settings.sloppy_tcp = on != 0,
            ("sloppy_sctp", on) => settings.sloppy_sctp = on != 0,
            ("secure_tcp", mode) => settings.secure = mode == 3,
            ("drop_packet", mode) => settings.drops = mode == 3,
            ("am_droprate", rate) => settings.am_droprate = rate,
            ("lblc_expiration" | "lblcr_expiration", seconds) => {
                self.service.set_expiration(seconds.saturating_mul(1_000_000_000));
            }
            ("drop_entry", _) => {}
            _ => return Err(format!("{key} = {value} is not known")),
        }
        Ok(())
    }

    fn start_timer(&mut self, now: Time) {
        let periodic = matches!(self.service.algorithm(), Some(Algorithm::Lblc | Algorithm::Lblcr));
        self.timer_at = if periodic { now + PERIOD } else { Time::NEVER };
    }

    fn edit_service(&mut self, now: Time, scheduler: Algorithm, flags: u8) -> Result<(), String> {
        self.service.set_flags(Flags::from_bits(flags));
        if self.service.algorithm() != Some(scheduler) {
            self.service.set_algorithm(scheduler).map_err(|e| e.to_string())?;
            self.start_timer(now);
        }
        Ok(())
    }

    fn destination(&self, at: SocketAddr) -> Result<DestId, String> {
        let found = self.service.pool().find(at.ip(), at.port());
        found.ok_or_else(|| format!("there is no destination {at}"))
    }

    fn add(&mut self, server: &Server) -> Result<(), String> {
        let id = self.service.add_dest(DestSpec {
            addr: server.at.ip(),
            port: server.at.port(),
            weight: server.weight,
            upper_threshold: server.upper,
            lower_threshold: server.lower,
        });
        self.methods.insert(id.map_err(|e| e.to_string())?, server.forwarding);
        Ok(())
    }

    fn edit(&mut self, server: &Server) -> Result<(), String> {
        let id = self.destination(server.at)?;
        let edit = DestEdit {
            weight: server.weight,
            upper_threshold: server.upper,
            lower_threshold: server.lower,
        };
        self.service.edit_dest(id, edit).map_err(|e| e.to_string())?;
        self.methods.insert(id, server.forwarding);
        Ok(())
    }

    fn delete(&mut self, now: Time, at: SocketAddr) -> Result<(), String> {
        let id = self.destination(at)?;
        self.service.remove_dest(id).map_err(|e| e.to_string())?;
        if self.settings.expire_nodest_conn {
            self.flush_at = now + TICK;
        }
        Ok(())
    }

    /// An entry has left the table.
    fn end(&mut self, gone: &Connection) {
        let released = self.service.release(gone.destination, gone.phase.counting());
        debug_assert!(released.is_ok(), "what ends was bound");
    }

    /// Drops what belongs to deleted destinations, templates after their connections.
    fn flush(&mut self) {
        let pool = self.service.pool();
        let orphan = |c: &Connection| !pool.is_available(c.destination);
        let mut gone = Vec::new();
        while let Some(connection) = self.entries.drop_one(orphan) {
            gone.push(connection);
        }
        for connection in gone {
            self.end(&connection);
        }
    }
}

impl Director for Replica {
    fn apply(&mut self, now: Time, change: &Admin) -> Result<(), String> {
        match change {
            Admin::Mark(rule) => self.marks.push(*rule),
            Admin::Sysctl(key, value) => return self.sysctl(key, *value),
            Admin::Timeouts { tcp, fin, udp } => {
                let rule = TimeoutRule { tcp: Some(*tcp), tcp_fin: Some(*fin), udp: Some(*udp) };
                return self.timeouts.set(&rule).map_err(|span| format!("{span} is too long"));
            }
            Admin::AddService if self.listed => return Err("the service exists".to_owned()),
            Admin::AddService => {
                self.listed = true;
                self.start_timer(now);
            }
            Admin::EditService { scheduler, flags } => {
                return self.edit_service(now, *scheduler, *flags);
            }
            Admin::Add(server) => return self.add(server),
            Admin::Edit(server) => return self.edit(server),
            Admin::Delete(at) => return self.delete(now, *at),
            // The counters of packets are not recorded.
            Admin::Zero => {}
        }
        Ok(())
    }

    fn pass(&mut self, now: Time) {
        while self.timer_at <= now {
            self.service.run_timer(self.timer_at.as_nanos());
            self.timer_at += PERIOD;
        }
        if self.flush_at <= now {
            self.flush_at = Time::NEVER;
            self.flush();
        }
        while let Some(gone) = self.entries.expire(now) {
            self.end(&gone);
        }
    }

    fn request(&mut self, now: Time, packet: &Packet) -> Outcome {
        if !self.listed {
            return Outcome::Passed;
        }
        let pool = self.service.pool();
        let of = |c: &Connection| c.is_of(packet.protocol, packet.src, packet.dst);
        let Some(found) = self.entries.youngest(of) else { return self.schedule(now, packet) };
        let opens = matches!(packet.kind, Kind::Syn | Kind::Chunk(Chunk::Init));
        let nodest = self.settings.expire_nodest_conn;
        let quiesced = nodest && pool.weight(found.destination) == Some(0);
        let anew = opens && (quiesced || found.is_over(self.settings.conn_reuse_mode));
        let gone = !pool.is_available(found.destination);
        if anew || (gone && nodest) {
            // It is counted until its timer runs, in this instant.
            found.end(now);
            return self.schedule(now, packet);
        }
        if gone {
            return Outcome::Dropped;
        }
        let (destination, server) = (found.destination, found.server);
        self.advance(now, packet, false, of);
        self.sent(destination, server)
    }

    fn reply(&mut self, now: Time, packet: &Packet) -> SocketAddr {
        let of = |c: &Connection| c.is_answered_by(packet.protocol, packet.src, packet.dst);
        let Some(found) = self.entries.youngest(of) else { return packet.src };
        let seen = if found.method == Forwarding::Nat { found.target } else { packet.src };
        self.advance(now, packet, true, of);
        seen
    }

    fn destinations(&self) -> Vec<Destination> {
        let view = |d: schedulers::Dest| Destination {
            at: SocketAddr::new(d.addr, d.port),
            weight: d.weight,
            active: d.active,
            inactive: d.inactive,
        };
        self.service.pool().iter().map(view).collect()
    }

    fn forget(&mut self, entry: &Entry) {
        let it = |c: &Connection| (c.client, c.target) == (entry.client, entry.target);
        if let Some(gone) = self.entries.drop_one(it) {
            self.end(&gone);
        }
    }

    fn connections(&self, now: Time) -> Vec<Entry> {
        let entry = |c: &Connection| Entry {
            protocol: c.protocol.map_or("IP", Protocol::name).to_owned(),
            client: c.client,
            target: c.target,
            server: c.server,
            state: c.phase.name().to_owned(),
            left: c.expires.saturating_since(now).as_nanos() / 1_000_000_000,
        };
        self.entries.iter().map(entry).collect()
    }

    fn state(
        &self,
        protocol: Protocol,
        client: SocketAddr,
        target: SocketAddr,
    ) -> Option<&'static str> {
        let of = self.entries.iter().filter(|c| c.is_of(protocol, client, target));
        of.last().map(|c| c.phase.name())
    }
}

/// What a new connection is made of.
struct Bound {
    destination: DestId,
    server: SocketAddr,
    template: Option<Name>,
}

impl Replica {
    /// Where a packet of a connection went.
    fn sent(&self, destination: DestId, server: SocketAddr) -> Outcome {
        let named = self.service.pool().get(destination);
        let to = named.map_or(server, |d| SocketAddr::new(d.addr, d.port));
        Outcome::Sent { to, port: server.port() }
    }

    /// Puts a packet on the youngest connection of which `of` is true: state, counters, timers.
    fn advance(
        &mut self,
        now: Time,
        packet: &Packet,
        from_server: bool,
        of: impl Fn(&Connection) -> bool,
    ) {
        let wheel = self.entries.wheel();
        let Some(entry) = self.entries.youngest(of) else { return };
        let before = entry.phase;
        entry.advance(packet.kind, from_server, self.settings.secure);
        let (after, destination, template) = (entry.phase, entry.destination, entry.template);
        let span = after.timeout(&self.timeouts).unwrap_or(entry.timeout);
        entry.restart(now, wheel, span);
        let moved = match (before.counting(), after.counting()) {
            (Counting::Inactive, Counting::Active) => self.service.activate(destination),
            (Counting::Active, Counting::Inactive) => self.service.deactivate(destination),
            _ => Ok(()),
        };
        debug_assert!(moved.is_ok(), "a connection is counted as its state says");
        let udp_answer = from_server && packet.protocol == Protocol::Udp;
        if udp_answer || (before != after && after.name() == "ESTABLISHED") {
            self.assure(template);
        }
    }

    fn assure(&mut self, template: Option<Name>) {
        if let Some(template) = template.and_then(|name| self.entries.get(name)) {
            template.phase = Phase::Template { assured: true };
        }
    }

    /// A packet without a connection (`ip_vs_schedule`).
    fn schedule(&mut self, now: Time, packet: &Packet) -> Outcome {
        let may = match packet.kind {
            Kind::Syn | Kind::Datagram | Kind::Chunk(Chunk::Init) => true,
            Kind::Ack | Kind::Fin => self.settings.sloppy_tcp,
            Kind::Rst | Kind::Chunk(Chunk::Abort) => false,
            Kind::Chunk(_) => self.settings.sloppy_sctp,
        };
        if !may || !self.is_for_the_service(packet) {
            return Outcome::Passed;
        }
        if self.drops() {
            return Outcome::Dropped;
        }
        if packet.src.port() == FTP_DATA {
            return Outcome::Passed;
        }
        let bound = match self.header.persistence {
            Some(persistence) => self.persist(now, packet, persistence),
            None if self.is_for_another_port(packet) => None,
            None => self.pick(now, packet).map(|d| Bound {
                destination: d.id,
                server: SocketAddr::new(d.addr, or(d.port, packet.dst.port())),
                template: None,
            }),
        };
        let ftp = matches!(self.header.key, Key::Address(_, at) if at.port() == FTP);
        match bound {
            Some(bound) => self.begin(now, packet, &bound),
            None if ftp && packet.dst.port() != FTP => Outcome::Passed,
            None => Outcome::Refused,
        }
    }

    /// `ip_vs_service_find`.
    fn is_for_the_service(&self, packet: &Packet) -> bool {
        match self.header.key {
            Key::Mark(mark) => self.marks.iter().any(|r| r.mark == mark && r.matches(packet)),
            Key::Address(protocol, at) => {
                let port = packet.dst.port();
                let ftp_data = protocol == Protocol::Tcp
                    && at.port() == FTP
                    && (port == FTP_DATA || port >= FIRST_UNPRIVILEGED);
                protocol == packet.protocol
                    && at.ip() == packet.dst.ip()
                    && (port == at.port() || ftp_data || at.port() == 0)
            }
        }
    }

    fn is_for_another_port(&self, packet: &Packet) -> bool {
        matches!(self.header.key, Key::Address(_, at) if at.port() != packet.dst.port())
    }

    /// Whether this new connection is one of those that `drop_packet` = 3 drops (`ip_vs_todrop`).
    const fn drops(&mut self) -> bool {
        if !self.settings.drops || self.settings.am_droprate == 0 {
            return false;
        }
        self.until_drop = self.until_drop.saturating_sub(1);
        if self.until_drop > 0 {
            return false;
        }
        self.until_drop = self.settings.am_droprate;
        true
    }

    fn pick(&mut self, now: Time, packet: &Packet) -> Option<schedulers::Dest> {
        let (src, dst) = (packet.src, packet.dst);
        let flow = Flow::new(src.ip(), src.port(), dst.ip(), dst.port());
        let id = self.service.schedule(&flow, now.as_nanos(), &mut NoRandom)?;
        self.service.pool().get(id)
    }

    /// Makes a connection and puts its first packet on it.
    fn begin(&mut self, now: Time, packet: &Packet, bound: &Bound) -> Outcome {
        let Bound { destination, server, template } = *bound;
        let counted = self.service.bind(destination, Counting::Inactive);
        debug_assert!(counted.is_ok(), "what was chosen is listed");
        let outcome = self.sent(destination, server);
        if self.header.one_packet && packet.protocol == Protocol::Udp {
            let released = self.service.release(destination, Counting::Inactive);
            debug_assert!(released.is_ok(), "it was bound");
            return outcome;
        }
        let name = self.entries.name();
        let method = self.methods.get(&destination).copied().unwrap_or(self.header.forwarding);
        self.entries.push(Connection {
            name,
            protocol: Some(packet.protocol),
            client: packet.src,
            target: packet.dst,
            server,
            destination,
            method,
            phase: Phase::first(packet.protocol),
            one_way: method != Forwarding::Nat,
            timeout: Span::ZERO,
            expires: now,
            fires: now,
            template,
            holds: 0,
        });
        if let Some(template) = template.and_then(|name| self.entries.get(name)) {
            template.holds += 1;
        }
        self.advance(now, packet, false, |c| c.name == name);
        outcome
    }

    /// The destination of a persistent client: that of its template, or a scheduled one for which a
    /// template is made (`ip_vs_sched_persist`).
    fn persist(&mut self, now: Time, packet: &Packet, rule: Persistence) -> Option<Bound> {
        let client = SocketAddr::new(masked(packet.src.ip(), rule.prefix), 0);
        let (protocol, target, own_port) = self.template_key(packet);
        let of = |c: &Connection| c.is_template(protocol, client, target);
        let pool = self.service.pool();
        let quiesces = self.settings.expire_quiescent_template;
        let wheel = self.entries.wheel();
        let mut known = self.entries.youngest(of);
        let invalid = known.as_ref().is_some_and(|t| {
            let quiesced = quiesces && pool.weight(t.destination) == Some(0);
            !pool.is_available(t.destination) || quiesced
        });
        if invalid && let Some(template) = known.take() {
            // Never found again; it ends by its own timer.
            template.target.set_port(u16::MAX);
            template.server.set_port(u16::MAX);
        }
        let (name, destination) = if let Some(template) = known {
            template.restart(now, wheel, template.timeout);
            (template.name, template.destination)
        } else {
            let chosen = self.pick(now, packet)?;
            let port = if own_port { chosen.port } else { 0 };
            let name = self.entries.name();
            self.entries.push(Connection {
                name,
                protocol,
                client,
                target,
                server: SocketAddr::new(chosen.addr, port),
                destination: chosen.id,
                method: self.header.forwarding,
                phase: Phase::Template { assured: false },
                one_way: true,
                timeout: rule.timeout,
                expires: now + rule.timeout,
                fires: wheel.fires(now, rule.timeout),
                template: None,
                holds: 0,
            });
            let counted = self.service.bind(chosen.id, Counting::Template);
            debug_assert!(counted.is_ok(), "what was chosen is listed");
            (name, chosen.id)
        };
        let at = self.service.pool().get(destination)?;
        let port = packet.dst.port();
        let mapped = if self.is_the_port_of_the_service(port) { or(at.port, port) } else { port };
        let server = SocketAddr::new(at.addr, mapped);
        Some(Bound { destination, server, template: Some(name) })
    }

    fn is_the_port_of_the_service(&self, port: u16) -> bool {
        matches!(self.header.key, Key::Address(_, at) if at.port() == port)
    }

    /// Protocol and virtual address of the template of a packet, and whether the template has the
    /// port of its destination.
    fn template_key(&self, packet: &Packet) -> (Option<Protocol>, SocketAddr, bool) {
        match self.header.key {
            Key::Mark(mark) => {
                let addr = IpAddr::V4(Ipv4Addr::from_bits(mark));
                (None, SocketAddr::new(addr, 0), false)
            }
            Key::Address(_, at) => {
                let port = packet.dst.port();
                let own = port == at.port() && port != FTP;
                let target = SocketAddr::new(packet.dst.ip(), if own { port } else { 0 });
                (Some(packet.protocol), target, own)
            }
        }
    }
}

/// A port, or another one if it is 0.
const fn or(port: u16, other: u16) -> u16 {
    if port == 0 { other } else { port }
}
