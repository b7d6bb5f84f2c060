//! New connections (`tcp_conn_schedule`, `udp_conn_schedule`, `sctp_conn_schedule`,
//! `ip_vs_schedule`, `ip_vs_leave`).

use super::connection::{Connection, DestinationId, Slot, Tuple, flag};
use super::director::{Ipvs, next_state, recount, transmit};
use super::rules::{Forwarding, ServiceKey};
use super::service::{FTP, FTP_DATA};
use super::state::{Direction, State};
use super::verdict::{DropReason, Verdict};
use crate::engine::{Span, Time};
use crate::wire::{AddressBook, Flags, Ip, Packet, proto, sctp};
use schedulers::{Counting, Flow};

/// How long an entry lives that no packet has been put on (`ip_vs_conn_new`).
const FIRST_TIMEOUT: Span = Span::from_secs(3);

/// A packet that has no connection.
pub(super) struct Asking<'a> {
    /// From the client to the service.
    pub(super) tuple: Tuple,
    /// The packet that travels so; for one quoted by an ICMP error the other way round.
    pub(super) pkt: &'a Packet,
    /// The packet is quoted by an ICMP error.
    pub(super) quoted: bool,
    /// The service that takes it.
    pub(super) service: u32,
}

/// What a new connection is made of.
pub(super) struct Bound {
    pub(super) destination: DestinationId,
    pub(super) port: u16,
    /// The client's template.
    pub(super) template: Slot,
}

impl Ipvs {
    /// A packet without a connection.
    #[inline(never)]
    pub(super) fn schedule(
        &mut self,
        now: Time,
        tuple: Tuple,
        pkt: &Packet,
        book: &mut AddressBook,
    ) -> Verdict {
        if !self.may_begin(pkt) {
            return Verdict::Accept;
        }
        let (vip, vport) = tuple.to();
        let vip = book.address(vip);
        let Some(service) = self.services.find(pkt.mark, pkt.proto, vip, vport) else {
            return Verdict::Accept;
        };
        let asking = Asking { tuple, pkt, quoted: false, service };
        match self.new_connection(now, &asking, book) {
            Ok(entry) => self.begin(now, &asking, entry, book),
            Err(verdict) => verdict,
        }
    }

    /// A packet that an ICMP error quotes, of a connection that nobody here knows (`schedule_icmp`).
    /// It is in the table then, without a state.
    pub(super) fn schedule_quoted(
        &mut self,
        now: Time,
        quoted: &Packet,
        mark: u32,
        book: &mut AddressBook,
    ) -> Result<Slot, Verdict> {
        let tuple = Tuple::of(quoted).reversed();
        let (vip, vport) = tuple.to();
        let vip = book.address(vip);
        let found = self.services.find(mark, quoted.proto, vip, vport);
        let service = found.ok_or(Verdict::Accept)?;
        let asking = Asking { tuple, pkt: quoted, quoted: true, service };
        let entry = self.new_connection(now, &asking, book)?;
        self.services.begin(entry.destination);
        Ok(self.table.insert(entry, now + FIRST_TIMEOUT))
    }

    /// Whether a packet of its protocol may begin a connection.
    const fn may_begin(&self, pkt: &Packet) -> bool {
        match pkt.proto {
            proto::TCP => {
                !pkt.flags.has(Flags::RST) && (pkt.flags.has(Flags::SYN) || self.sysctl.sloppy_tcp)
            }
            proto::SCTP => match pkt.chunks().0 {
                sctp::INIT => true,
                sctp::ABORT => false,
                _ => self.sysctl.sloppy_sctp,
            },
            _ => true,
        }
    }

    /// The entry of a new connection, not yet in the table, or the verdict if there is none.
    fn new_connection(
        &mut self,
        now: Time,
        asking: &Asking<'_>,
        book: &mut AddressBook,
    ) -> Result<Connection, Verdict> {
        if self.defence.drops_packet() {
            return Err(Verdict::Drop(DropReason::Defence));
        }
        let (client, vport) = (asking.tuple.from(), asking.tuple.to().1);
        if client.1 == FTP_DATA {
            return Err(Verdict::Accept);
        }
        let service = self.services.service(asking.service);
        let wrong_port = matches!(service.key, ServiceKey::Address { port, .. } if port != vport);
        let bound = if let Some(timeout) = service.parameters.persistent {
            self.persist(now, asking, timeout, book)?
        } else if wrong_port {
            None
        } else {
            self.pick(now, asking, book).map(|destination| {
                let port = self.services.destination(destination).port;
                let port = if port == 0 { vport } else { port };
                Bound { destination, port, template: Slot::NONE }
            })
        };
        let Some(bound) = bound else { return Err(self.leave(now, asking, book)) };

        let destination = self.services.destination(bound.destination);
        let method = destination.forwarding;
        let server = (destination.rip, bound.port);
        let state = State::first(asking.tuple.protocol());
        let mut entry = Connection::new(asking.tuple, bound.destination, server, method, state);
        entry.control = bound.template;
        if self.sysctl.conntrack {
            entry.flags |= flag::TRACKED;
        }
        if method == Forwarding::FullNat {
            self.bind_local(asking.service, &mut entry)?;
        }
        Ok(entry)
    }

    /// Asks the scheduler.
    pub(super) fn pick(
        &mut self,
        now: Time,
        asking: &Asking<'_>,
        book: &AddressBook,
    ) -> Option<DestinationId> {
        let (src, dst) = (asking.pkt.src, asking.pkt.dst);
        let (sport, dport) = (asking.pkt.sport, asking.pkt.dport);
        let mut flow = Flow::new(book.address(src), sport, book.address(dst), dport);
        if asking.quoted {
            flow = flow.in_icmp_error();
        }
        let scheduler = &mut self.services.service_mut(asking.service).scheduler;
        let chosen = scheduler.schedule(&flow, now.as_nanos(), &mut self.random);
        chosen.and_then(|id| self.services.of_pool(asking.service, id))
    }

    /// Counts a new connection, puts its first packet on it, and lists it unless it is for one packet
    /// only.
    fn begin(
        &mut self,
        now: Time,
        asking: &Asking<'_>,
        mut entry: Connection,
        book: &AddressBook,
    ) -> Verdict {
        let pkt = asking.pkt;
        let id = entry.destination;
        self.services.begin(id);
        self.services.destination_mut(id).packet_in(pkt.len);
        entry.packets_in = 1;
        if self.is_one_packet(asking) {
            self.services.end(id, Counting::Inactive);
            if entry.forwarding == Forwarding::FullNat {
                self.full_nat.give_back(&entry);
            }
            return Verdict::Transmit(transmit(Slot::NONE, &entry));
        }
        let slot = self.enter(now, pkt, entry);
        if self.master.is_some() {
            self.synchronise(now, slot, book);
        }
        Verdict::Transmit(transmit(slot, self.table.get(slot)))
    }

    /// Puts the first packet on a connection and lists it.
    fn enter(&mut self, now: Time, pkt: &Packet, mut entry: Connection) -> Slot {
        let next = next_state(&mut entry, pkt, Direction::Input, self.secure);
        entry.state = next;
        if let Some(active) = recount(&mut entry) {
            self.services.flip(entry.destination, active);
        }
        if next.is_established() && entry.control != Slot::NONE {
            self.table.assure(entry.control);
        }
        let full_nat = entry.forwarding == Forwarding::FullNat;
        let timeouts = if full_nat { &self.full_nat.timeouts } else { &self.timeouts };
        let slot = self.table.insert(entry, now + timeouts.get(next));
        if full_nat {
            self.full_nat.open(now, slot, &entry, pkt);
        }
        slot
    }

    /// Whether the connection is for this packet only.
    pub(super) fn is_one_packet(&self, asking: &Asking<'_>) -> bool {
        asking.pkt.proto == proto::UDP
            && self.services.service(asking.service).parameters.one_packet
    }

    /// No destination: the packet goes past the real servers, to the own stack, or is refused
    /// (`ip_vs_leave`).
    fn leave(&mut self, now: Time, asking: &Asking<'_>, book: &AddressBook) -> Verdict {
        self.no_destination += 1;
        let (vip, vport) = asking.tuple.to();
        let key = self.services.service(asking.service).key;
        let by_mark = matches!(key, ServiceKey::Fwmark { .. });
        if self.sysctl.cache_bypass && by_mark && !asking.quoted && self.is_elsewhere(vip, book) {
            return self.bypass(now, asking, book);
        }
        if matches!(key, ServiceKey::Address { port: FTP, .. }) && vport != FTP {
            return Verdict::Accept;
        }
        if asking.quoted {
            return Verdict::Drop(DropReason::NoDestination);
        }
        Verdict::Unreachable
    }

    /// Whether the address is one host's, and not the director's.
    fn is_elsewhere(&self, ip: Ip, book: &AddressBook) -> bool {
        let unicast = match book.address(ip) {
            core::net::IpAddr::V4(a) => {
                !a.is_unspecified() && !a.is_multicast() && !a.is_broadcast() && !a.is_loopback()
            }
            core::net::IpAddr::V6(a) => {
                !a.is_unspecified() && !a.is_multicast() && !a.is_loopback()
            }
        };
        unicast && !self.local.contains(&ip)
    }

    /// A connection without a real server.
    fn bypass(&mut self, now: Time, asking: &Asking<'_>, book: &AddressBook) -> Verdict {
        let (tuple, pkt) = (asking.tuple, asking.pkt);
        let state = State::first(tuple.protocol());
        let nobody = DestinationId::NOBODY;
        let mut entry = Connection::new(tuple, nobody, (Ip::ANY, 0), Forwarding::Bypass, state);
        entry.packets_in = 1;
        let slot =
            if self.is_one_packet(asking) { Slot::NONE } else { self.enter(now, pkt, entry) };
        if self.master.is_some() {
            self.synchronise(now, slot, book);
        }
        Verdict::Transmit(transmit(slot, &entry))
    }
}
