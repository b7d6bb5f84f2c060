//! The director of the simulator, driven like the recorded one.

use super::director::{Director, Outcome};
use super::recording::{
    Admin, Chunk, Destination, Entry, Header, Key, Kind, MarkRule, Packet, Protocol, Server,
};
use sim_core::config::{IpvsConfig, IpvsSysctl};
use sim_core::engine::{Span, Stream, Time};
use sim_core::ipvs::rules::{ServerRule, ServiceKey, ServiceRule, TimeoutRule};
use sim_core::ipvs::{
    Clock, Command, ConnectionEntry, DestinationId, Ipvs, ReplyVerdict, Slot, Verdict,
};
use sim_core::wire::{self, AddressBook, Flags, Ip, proto, sctp};
use std::net::SocketAddr;

/// [`Ipvs`] with one service.
pub(super) struct Simulated {
    ipvs: Ipvs,
    book: AddressBook,
    key: ServiceKey,
    rule: ServiceRule,
    marks: Vec<MarkRule>,
}

impl Simulated {
    /// The director before the service is added, with timers that run by `clock`.
    pub(super) fn new(header: &Header, clock: Clock) -> Result<Self, String> {
        let v6 = header.family_is_v6;
        let key = match header.key {
            Key::Mark(mark) => ServiceKey::Fwmark { mark, v6 },
            Key::Address(protocol, at) => {
                ServiceKey::Address { protocol: number(protocol), vip: at.ip(), port: at.port() }
            }
        };
        let plain = ServiceRule::new(key);
        let rule = ServiceRule {
            scheduler: header.scheduler,
            sched_flags: header.flags,
            persistent: header.persistence.map(|p| p.timeout),
            netmask_len: header.persistence.map_or(plain.netmask_len, |p| p.prefix),
            one_packet: header.one_packet,
            ..plain
        };
        let mut book = AddressBook::new();
        let random = Stream::new(0, "director", "ipvs");
        let ipvs = Ipvs::new(&IpvsConfig::default(), random, &mut book);
        let mut ipvs = ipvs.map_err(|_| "no director without rules")?;
        ipvs.set_clock(clock);
        Ok(Self { ipvs, book, key, rule, marks: Vec::new() })
    }

    fn sysctl(&self, key: &str, value: u64) -> Result<IpvsSysctl, String> {
        let mut sysctl = *self.ipvs.sysctl();
        let seconds = || Span::from_secs(value);
        match key {
            "conn_reuse_mode" => sysctl.conn_reuse_mode = value as u8,
            "expire_nodest_conn" => sysctl.expire_nodest_conn = value != 0,
            "expire_quiescent_template" => sysctl.expire_quiescent_template = value != 0,
            "sloppy_tcp" => sysctl.sloppy_tcp = value != 0,
            "sloppy_sctp" => sysctl.sloppy_sctp = value != 0,
            "secure_tcp" => sysctl.secure_tcp = value as u8,
            "drop_packet" => sysctl.drop_packet = value as u8,
            "am_droprate" => sysctl.am_droprate = value as u32,
            "lblc_expiration" => sysctl.lblc_expiration = seconds(),
            "lblcr_expiration" => sysctl.lblcr_expiration = seconds(),
            // Which entries go is chance: those that the kernel dropped are taken over from its
            // listing, see `forget`.
            "drop_entry" => {}
            _ => return Err(format!("{key} is not known")),
        }
        Ok(sysctl)
    }

    fn command(&mut self, change: &Admin) -> Result<Option<Command>, String> {
        Ok(Some(match change {
            Admin::Sysctl(key, value) => Command::SetSysctl(self.sysctl(key, *value)?),
            Admin::Timeouts { tcp, fin, udp } => Command::SetTimeouts(TimeoutRule {
                tcp: Some(*tcp),
                tcp_fin: Some(*fin),
                udp: Some(*udp),
            }),
            Admin::AddService => Command::AddService(self.rule.clone()),
            Admin::EditService { scheduler, flags } => {
                (self.rule.scheduler, self.rule.sched_flags) = (*scheduler, *flags);
                Command::EditService(self.rule.clone())
            }
            Admin::Add(server) => Command::AddServer(self.key, server_rule(server)?),
            Admin::Edit(server) => Command::EditServer(self.key, server_rule(server)?),
            Admin::Delete(at) => Command::DeleteServer(self.key, at.ip(), at.port()),
            Admin::Mark(rule) => {
                self.marks.push(*rule);
                return Ok(None);
            }
            Admin::Zero => Command::Zero(None),
        }))
    }

    fn socket(&self, (addr, port): (Ip, u16)) -> SocketAddr {
        SocketAddr::new(self.book.address(addr), port)
    }

    /// The name of a destination; `there` if it is not listed any more.
    fn name(&self, id: DestinationId, there: SocketAddr) -> SocketAddr {
        let listed = self.ipvs.destinations().find(|d| d.id == id);
        listed.map_or(there, |d| SocketAddr::new(d.rip, d.port))
    }

    /// The packet as it arrives, with the mark of the last rule that fits.
    fn on_the_wire(&mut self, packet: &Packet) -> wire::Packet {
        let (src, dst) = (packet.src, packet.dst);
        let (from, to) = (self.book.number(src.ip()), self.book.number(dst.ip()));
        let mut wire = wire::Packet::ipv4(from, to, number(packet.protocol), 40);
        if dst.is_ipv6() {
            wire.kind = wire::Kind::Ipv6;
        }
        (wire.sport, wire.dport) = (src.port(), dst.port());
        wire.flags = match packet.kind {
            Kind::Syn => Flags::SYN,
            Kind::Ack => Flags::ACK,
            Kind::Fin => Flags::FIN.with(Flags::ACK),
            Kind::Rst => Flags::RST,
            Kind::Datagram => Flags::NONE,
            Kind::Chunk(chunk) => Flags(chunk_type(chunk)),
        };
        let mark = self.marks.iter().rev().find(|rule| rule.matches(packet));
        wire.mark = mark.map_or(0, |rule| rule.mark);
        wire
    }
}

impl Director for Simulated {
    fn apply(&mut self, now: Time, change: &Admin) -> Result<(), String> {
        match self.command(change)? {
            Some(command) => {
                self.ipvs.apply(now, &command, &mut self.book).map_err(|e| e.to_string())
            }
            None => Ok(()),
        }
    }

    fn pass(&mut self, now: Time) {
        while let Some(next) = self.ipvs.next_deadline().filter(|&next| next <= now) {
            self.ipvs.on_deadline(next);
        }
    }

    fn request(&mut self, now: Time, packet: &Packet) -> Outcome {
        let packet = self.on_the_wire(packet);
        match self.ipvs.request(now, &packet, &mut self.book) {
            // There is no FULLNAT service.
            Verdict::Accept | Verdict::Answer { .. } => Outcome::Passed,
            Verdict::Drop(_) => Outcome::Dropped,
            Verdict::Unreachable => Outcome::Refused,
            Verdict::Transmit(sent) => {
                let to = self.name(sent.destination, self.socket((sent.rip, sent.rport)));
                Outcome::Sent { to, port: sent.rport }
            }
        }
    }

    fn reply(&mut self, now: Time, packet: &Packet) -> SocketAddr {
        let wire = self.on_the_wire(packet);
        match self.ipvs.reply(now, &wire) {
            ReplyVerdict::Translate { vip, vport, .. } => self.socket((vip, vport)),
            ReplyVerdict::Pass | ReplyVerdict::Counted { .. } | ReplyVerdict::Unreachable => {
                packet.src
            }
        }
    }

    fn destinations(&self) -> Vec<Destination> {
        let mut listed: Vec<Destination> = self
            .ipvs
            .destinations()
            .map(|d| Destination {
                at: SocketAddr::new(d.rip, d.port),
                weight: d.weight,
                active: d.active,
                inactive: d.inactive,
            })
            .collect();
        // The newest is the first of the kernel's list.
        listed.reverse();
        listed
    }

    fn forget(&mut self, entry: &Entry) {
        let slots: Vec<Slot> = self
            .ipvs
            .connections()
            .filter(|(_, c)| {
                let ends = (self.socket(c.client()), self.socket(c.vip()));
                ends == (entry.client, entry.target)
            })
            .map(|(slot, _)| slot)
            .collect();
        for slot in slots {
            self.ipvs.drop_connection(slot);
        }
    }

    fn connections(&self, now: Time) -> Vec<Entry> {
        let entry = |entry: ConnectionEntry| Entry {
            protocol: name(entry.protocol).to_owned(),
            client: entry.client.into(),
            target: entry.vip.into(),
            server: entry.rip.into(),
            state: entry.state.to_owned(),
            left: entry.left.as_nanos() / 1_000_000_000,
        };
        self.ipvs.connection_list(now, &self.book).into_iter().map(entry).collect()
    }

    fn state(
        &self,
        protocol: Protocol,
        client: SocketAddr,
        target: SocketAddr,
    ) -> Option<&'static str> {
        // Entries of one client port are in one bucket, the youngest first.
        let all = self.ipvs.connection_list(Time::ZERO, &self.book);
        let same = |c: &ConnectionEntry| {
            !c.template
                && c.protocol == number(protocol)
                && (c.client, c.vip) == ((client.ip(), client.port()), (target.ip(), target.port()))
        };
        all.iter().find(|c| same(c)).map(|c| c.state)
    }
}

const fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => proto::TCP,
        Protocol::Udp => proto::UDP,
        Protocol::Sctp => proto::SCTP,
    }
}

/// As `/proc/net/ip_vs_conn` names protocols.
const fn name(protocol: u8) -> &'static str {
    match protocol {
        proto::TCP => "TCP",
        proto::UDP => "UDP",
        proto::SCTP => "SCTP",
        _ => "IP",
    }
}

const fn chunk_type(chunk: Chunk) -> u8 {
    match chunk {
        Chunk::Data => sctp::DATA,
        Chunk::Init => sctp::INIT,
        Chunk::InitAck => sctp::INIT_ACK,
        Chunk::CookieEcho => sctp::COOKIE_ECHO,
        Chunk::CookieAck => sctp::COOKIE_ACK,
        Chunk::Shutdown => sctp::SHUTDOWN,
        Chunk::ShutdownAck => sctp::SHUTDOWN_ACK,
        Chunk::ShutdownComplete => sctp::SHUTDOWN_COMPLETE,
        Chunk::Error => sctp::ERROR,
        Chunk::Abort => sctp::ABORT,
    }
}

fn server_rule(server: &Server) -> Result<ServerRule, String> {
    Ok(ServerRule {
        forwarding: server.forwarding,
        weight: server.weight.try_into().map_err(|_| "weights end at 65535")?,
        upper_threshold: server.upper,
        lower_threshold: server.lower,
        ..ServerRule::new(server.at.ip(), server.at.port())
    })
}
