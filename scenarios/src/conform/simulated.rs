//! The director of the simulator, driven like the recorded one.

use super::director::{Director, Outcome};
use super::recording::{Admin, Destination, Entry, Header, Key, Kind, Packet, Protocol, Server};
use sim_core::config::{IpvsConfig, IpvsSysctl};
use sim_core::engine::{Stream, Time};
use sim_core::ipvs::rules::{ServerRule, ServiceKey, ServiceRule, TimeoutRule};
use sim_core::ipvs::{Command, Connection, Ipvs, ReplyVerdict, Verdict};
use sim_core::wire::{self, AddressBook, Flags, Ip, proto};
use std::net::SocketAddr;

/// [`Ipvs`] with one service.
pub(super) struct Simulated {
    ipvs: Ipvs,
    book: AddressBook,
    key: ServiceKey,
    rule: ServiceRule,
}

impl Simulated {
    /// The director before the service is added; what is wrong with the service in words.
    pub(super) fn new(header: &Header) -> Result<Self, String> {
        let key = service_key(header.key)?;
        let rule = ServiceRule {
            scheduler: header.scheduler,
            sched_flags: header.flags,
            persistent: header.persistence.map(|p| p.timeout),
            netmask_len: header.persistence.map_or(32, |p| p.prefix),
            one_packet: header.one_packet,
            ..ServiceRule::new(key)
        };
        let mut book = AddressBook::new();
        let random = Stream::new(0, "director", "ipvs");
        let ipvs = Ipvs::new(&IpvsConfig::default(), random, &mut book);
        let ipvs = ipvs.map_err(|_| "no director without rules")?;
        Ok(Self { ipvs, book, key, rule })
    }

    fn sysctl(&mut self, key: &str, value: u64) -> Result<Option<IpvsSysctl>, String> {
        let mut sysctl = *self.ipvs.sysctl();
        match (key, value) {
            ("conn_reuse_mode", mode) => sysctl.conn_reuse_mode = mode as u8,
            ("expire_nodest_conn", on) => sysctl.expire_nodest_conn = on != 0,
            ("sloppy_tcp", on) => sysctl.sloppy_tcp = on != 0,
            ("secure_tcp", mode) => {
                self.ipvs.set_secure_tcp(mode == 3);
                return Ok(None);
            }
            // Without memory pressure these modes do nothing.
            ("drop_packet" | "drop_entry", 0..=2) => return Ok(None),
            _ => return Err(format!("{key} = {value} is not simulated")),
        }
        Ok(Some(sysctl))
    }

    fn command(&mut self, change: &Admin) -> Result<Option<Command>, String> {
        Ok(Some(match change {
            Admin::Sysctl(key, value) => match self.sysctl(key, *value)? {
                Some(sysctl) => Command::SetSysctl(sysctl),
                None => return Ok(None),
            },
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
            Admin::Mark(_) => return Err("firewall marks are not simulated".to_owned()),
            // The counters of packets are not recorded.
            Admin::Zero => return Ok(None),
        }))
    }

    fn socket(&self, (addr, port): (Ip, u16)) -> SocketAddr {
        SocketAddr::new(self.book.address(addr), port)
    }

    /// The name of the destination that a connection is bound to.
    fn bound(&self, entry: &Connection) -> SocketAddr {
        let listed = self.ipvs.destinations().find(|d| d.id == entry.destination());
        listed.map_or_else(|| self.socket(entry.rip()), |d| SocketAddr::new(d.rip, d.port))
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
        let Some(packet) = on_the_wire(packet, &mut self.book) else { return Outcome::Passed };
        match self.ipvs.request(now, &packet, &mut self.book) {
            Verdict::Accept => Outcome::Passed,
            Verdict::Drop(_) => Outcome::Dropped,
            Verdict::Unreachable => Outcome::Refused,
            Verdict::Transmit(sent) => {
                let there = self.socket((sent.rip, sent.rport));
                let entry = self.ipvs.connection(sent.connection);
                let to = entry.map_or(there, |entry| self.bound(entry));
                Outcome::Sent { to, port: sent.rport }
            }
        }
    }

    fn reply(&mut self, now: Time, packet: &Packet) -> SocketAddr {
        let Some(wire) = on_the_wire(packet, &mut self.book) else { return packet.src };
        match self.ipvs.reply(now, &wire) {
            ReplyVerdict::Translate { vip, vport, .. } => self.socket((vip, vport)),
            ReplyVerdict::Pass | ReplyVerdict::Counted { .. } => packet.src,
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

    fn connections(&self, now: Time) -> Vec<Entry> {
        let entry = |(_, entry): (_, &Connection)| Entry {
            protocol: if entry.protocol() == proto::UDP { "UDP" } else { "TCP" }.to_owned(),
            client: self.socket(entry.client()),
            target: self.socket(entry.vip()),
            server: self.socket(entry.rip()),
            state: entry.state().name().to_owned(),
            left: entry.remaining(now).as_nanos() / 1_000_000_000,
        };
        self.ipvs.connections().map(entry).collect()
    }

    fn state(
        &self,
        protocol: Protocol,
        client: SocketAddr,
        target: SocketAddr,
    ) -> Option<&'static str> {
        let protocol = number(protocol)?;
        self.ipvs
            .connections()
            .filter(|(_, entry)| {
                entry.protocol() == protocol
                    && self.socket(entry.client()) == client
                    && self.socket(entry.vip()) == target
            })
            .max_by_key(|(_, entry)| entry.expires())
            .map(|(_, entry)| entry.state().name())
    }
}

const fn number(protocol: Protocol) -> Option<u8> {
    match protocol {
        Protocol::Tcp => Some(proto::TCP),
        Protocol::Udp => Some(proto::UDP),
        Protocol::Sctp => None,
    }
}

fn service_key(key: Key) -> Result<ServiceKey, String> {
    match key {
        Key::Mark(mark) => Ok(ServiceKey::Fwmark { mark, v6: false }),
        Key::Address(protocol, at) => Ok(ServiceKey::Address {
            protocol: number(protocol).ok_or("SCTP is not simulated")?,
            vip: at.ip(),
            port: at.port(),
        }),
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

/// The packet as it arrives; `None` for what the simulator has no packets for.
fn on_the_wire(packet: &Packet, book: &mut AddressBook) -> Option<wire::Packet> {
    let (src, dst) = (book.number(packet.src.ip()), book.number(packet.dst.ip()));
    let mut wire = wire::Packet::ipv4(src, dst, number(packet.protocol)?, 40);
    (wire.sport, wire.dport) = (packet.src.port(), packet.dst.port());
    wire.flags = match packet.kind {
        Kind::Syn => Flags::SYN,
        Kind::Ack => Flags::ACK,
        Kind::Fin => Flags::FIN.with(Flags::ACK),
        Kind::Rst => Flags::RST,
        Kind::Datagram | Kind::Chunk(_) => Flags::NONE,
    };
    Some(wire)
}
