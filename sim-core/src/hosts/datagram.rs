//! UDP: datagrams to server applications and the answers to client sessions.

use super::Host;
use super::client::{Phase, Session};
use super::daemon::probe;
use super::fabric::{Fabric, Place, Reason};
use crate::config::Transport;
use crate::engine::{FxMap, Time};
use crate::observe::Failure;
use crate::tcp::Conn;
use crate::wire::{Ip, Packet, PacketId, icmp, proto};

/// Largest UDP payload in an IPv4 datagram.
const LARGEST: u32 = 65_507;
/// The same for IPv6; here the length of a packet has 16 bits, header included.
const LARGEST_V6: u32 = 65_487;

/// Local UDP ends that wait for an answer.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    open: FxMap<(Ip, u16), u32>,
}

impl Sockets {
    /// Whether an end waits for an answer.
    pub(super) fn is_open(&self, local: (Ip, u16)) -> bool {
        self.open.contains_key(&local)
    }

    /// Forgets an end.
    pub(super) fn close(&mut self, local: (Ip, u16)) {
        self.open.remove(&local);
    }
}

impl Host {
    /// Sends a request by a fresh local port. It fails without a route to the target or a free port.
    pub(super) fn open_udp(
        &mut self,
        fab: &mut Fabric,
        session: &mut Session,
    ) -> Result<(), Failure> {
        let client = &mut self.clients[session.application as usize];
        let target = client.target;
        let fallback = self.ip.source_for(&fab.book, target.0).ok_or(Failure::Unreachable)?;
        let (source, ip) = client.next_source(fallback);
        let free = (0..28_232)
            .map(|_| (ip, client.next_port(source)))
            .find(|local| !self.sockets.open.contains_key(local));
        let local = free.ok_or(Failure::NoPort)?;
        let (bytes, _) = client.draw_request(session.number, 0);
        let tag = client.tag(session.number);
        fab.clients[client.row as usize].requests_offered += u64::from(session.counted);
        session.source = local;
        session.conn = Conn(u32::from(local.1));
        session.phase = Phase::Waiting;
        session.connected = fab.now;
        session.asked = fab.now;
        session.left = 1;
        let slot = self.keep_session(fab, *session);
        self.sockets.open.insert(local, slot);
        self.send_datagram(fab, local, target, bytes, (tag, None));
        Ok(())
    }

    /// Sends a datagram, in pieces if it does not fit the path as far as it is known; DF is set if it
    /// does (`ip_dont_fragment`). `ttl` is the time to live, if it is not the usual one.
    pub(super) fn send_datagram(
        &mut self,
        fab: &mut Fabric,
        local: (Ip, u16),
        peer: (Ip, u16),
        bytes: u32,
        (tag, ttl): (u32, Option<u8>),
    ) {
        let largest = if peer.0.is_v6() { LARGEST_V6 } else { LARGEST };
        let mut p = Packet::ip(local.0, peer.0, proto::UDP, bytes.min(largest) as u16 + 8);
        p.sport = local.1;
        p.dport = peer.1;
        p.tag = tag;
        p.ttl = ttl.unwrap_or(self.ip.sysctl.default_ttl);
        let mtu = self.ip.mtu_towards(&fab.book, peer.0);
        if p.len <= mtu {
            p.set_dont_fragment();
        } else if self.ip.routes.learned_mtu(peer.0).is_some() {
            self.ip.originate_in_pieces(fab, p, mtu);
            return;
        }
        self.director_output(fab, p);
    }

    /// A datagram for this host.
    pub(super) fn datagram_input(&mut self, fab: &mut Fabric, packet: PacketId) {
        let p = fab.packets[packet];
        if self.daemons.has_heartbeat() && self.heartbeat_input(fab, packet) {
            return;
        }
        if p.dst_mac.is_group() {
            self.message_input(fab, packet);
            return;
        }
        let local = (p.dst, p.dport);
        if let Some(&slot) = self.sockets.open.get(&local) {
            fab.deliver(packet);
            self.answered(fab, slot, &p);
            return;
        }
        if self.bfd_input(fab, packet) {
            return;
        }
        if self.datagram_by_hand(fab, &p) || self.probe_datagram(fab, &p) {
            fab.deliver(packet);
            return;
        }
        let application =
            self.servers.applications.iter().position(|a| a.listens(Transport::Udp, p.dport));
        let Some(application) = application else {
            self.refuse(fab, packet, icmp::PORT, Reason::NoSocket);
            return;
        };
        let peer = (p.src, p.sport);
        if probe::is_tag(p.tag) && fab.inquiries.of(p.tag, peer).is_some() {
            if !self.answers_datagram(fab, application, &p) {
                fab.deliver(packet);
                return;
            }
        } else {
            fab.accepted(peer, p.tag, self.server_row + application as u32);
        }
        if fab.traced() {
            self.trace_datagram(fab, &p);
        }
        let taken = self.servers.datagram(self.number, fab, application as u16, local, peer, p.tag);
        if taken {
            fab.deliver(packet);
        } else {
            fab.drop(Place::Host(self.number), Reason::ApplicationQueue, packet);
        }
    }

    /// The answer to a client's request.
    fn answered(&mut self, fab: &mut Fabric, slot: u32, p: &Packet) {
        let s = &mut self.sessions[slot as usize];
        let client = &mut self.clients[s.application as usize];
        if (p.src, p.sport) != client.target {
            return;
        }
        s.answered = fab.now;
        s.first_byte = fab.now;
        s.bytes = u64::from(p.payload());
        fab.clients[client.row as usize].bytes_received += s.bytes * u64::from(s.counted);
        s.done = 1;
        s.left = 0;
        s.served = true;
        client.count_response(fab, s);
        let local = s.source;
        self.sockets.close(local);
        self.end(fab, slot, Failure::Reset);
    }

    /// An ICMP error about a datagram this host sent.
    pub(super) fn datagram_error(&mut self, fab: &mut Fabric, quoted: &Packet, kind: u8, code: u8) {
        // of "fragmentation needed" the route has heard: the datagram is lost, the next one is cut
        let Some(&slot) = self.sockets.open.get(&(quoted.src, quoted.sport)) else { return };
        let failure = match (kind, code) {
            (icmp::UNREACHABLE, icmp::PORT | icmp::PROTOCOL) => Failure::Refused,
            (icmp::UNREACHABLE, icmp::HOST | icmp::NET) | (icmp::TIME_EXCEEDED, 0) => {
                Failure::Unreachable
            }
            _ => return,
        };
        let s = &mut self.sessions[slot as usize];
        s.deadline = Time::NEVER;
        let local = s.source;
        self.sockets.close(local);
        self.end(fab, slot, failure);
    }
}
