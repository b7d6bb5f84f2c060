//! How fast a simulator of workload W1 could be: a bare loop without a model.
//!
//! W1: 64 clients, each on its own link to a router; router, director and 8 real servers on one
//! switch; every link 1 Gbit/s and 50 us. Connections arrive as a Poisson process at a uniformly
//! drawn client, are scheduled round robin, and take exactly 24 packets:
//!
//! ```text
//! client  SYN      ACK REQ      ...............  5 x ACK       FIN          ACK
//! server      SYN-ACK      ACK  (16 workers) 10 x DATA             ACK FIN
//! ```
//!
//! DATA carries 1448 bytes, REQ 200, all have 58 bytes of headers. Service is exponential with 5
//! ms, requests wait for a worker in order of arrival. A *hop* is one traversal of a link: a packet
//! to the server takes 5, a packet back 3 with direct routing and 5 with NAT, so a connection is
//! `10 * 5 + 14 * 3 = 92` or `10 * 5 + 14 * 5 = 120` hops.
//!
//! What it does: every hop is an event in a queue with a total order; links serialise, and drop
//! what finds 1000 packets waiting; the director looks every packet up in a hash table. What it
//! does not: header fields, addresses, ARP, retransmission, timers, checks, statistics. End points
//! reach their connection by index. It is the yardstick for a simulator that has a model, not a
//! proven bound.

mod heap;
mod table;

use heap::Heap;
use sim_core::engine::{CounterStream, Uniform};
use std::collections::VecDeque;
use table::Table;

/// How replies travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Direct routing: from the real server to the router.
    Dr,
    /// Address translation: through the director.
    Nat,
}

impl Mode {
    /// Hops of one connection.
    pub const fn hops(self) -> u64 {
        match self {
            Self::Dr => 92,
            Self::Nat => 120,
        }
    }
}

/// What a run did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BareResult {
    /// Traversals of a link.
    pub hops: u64,
    /// Events taken from the queue: hops, arrivals of connections and ends of service.
    pub events: u64,
    /// Connections that ended.
    pub connections: u64,
    /// Packets dropped by a full output. Their connections never end.
    pub drops: u64,
    /// Virtual nanoseconds at the last event.
    pub end: u64,
    /// The most events that were pending when a connection arrived.
    pub pending: usize,
}

const CLIENTS: u8 = 64;
const SERVERS: u8 = 8;
const WORKERS: u32 = 16;
/// Propagation, ns.
const DELAY: u64 = 50_000;
/// Packets that may wait at an output, besides the one being sent.
const WAITING: usize = 1_000;
/// Mean time of service, ns.
const SERVICE: f64 = 5e6;
/// Bytes of headers.
const HEADERS: u16 = 58;

// Links, each one direction of a wire: from (or to) client 0, ..., then those of the switch, whose
// ports are the router, the director and the servers.
const FROM_CLIENT: u8 = 0;
const TO_CLIENT: u8 = 64;
const INTO_SWITCH: u8 = 128;
const OUT_OF_SWITCH: u8 = 144;
const ROUTER: u8 = 0;
const DIRECTOR: u8 = 1;
const SERVER: u8 = 2;

/// What a packet is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    // To the server.
    Syn,
    ClientAck,
    Request,
    ClientFin,
    LastAck,
    // To the client, which acknowledges every other packet of data.
    SynAck,
    ServerAck,
    Data,
    EvenData,
    LastData,
    ServerFin,
}

impl Kind {
    const fn is_reply(self) -> bool {
        self as u8 >= Self::SynAck as u8
    }
}

#[derive(Clone, Copy, Debug)]
struct Packet {
    connection: u16,
    /// Time on the wire, ns: at 1 Gbit/s, 8 a byte.
    sending: u16,
    kind: Kind,
    /// The link it is on.
    link: u8,
    /// The port at which it leaves the switch.
    port: u8,
    /// Whose it is: where it goes from the router.
    client: u8,
}

#[derive(Clone, Copy, Debug, Default)]
struct Connection {
    /// Address and port of the client.
    key: u64,
    client: u8,
    server: u8,
}

/// What is at the end of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Node {
    /// Router or switch: the next link is `base`, plus the packet's port or client where the masks
    /// let it through. (Asking which of them it is would be a branch that cannot be predicted.)
    Forwarding {
        base: u8,
        port: u8,
        client: u8,
    },
    Director,
    Server,
    Client,
}

/// One direction of a wire.
#[derive(Clone, Copy, Debug)]
struct Link {
    /// When the last packet has been sent.
    free: u64,
    /// The part of the ring in use.
    first: u16,
    count: u16,
    node: Node,
}

/// Places of a ring of departure times: a power of two above `WAITING`.
const RING: usize = 1_024;
/// Packets and connections at once.
const SLAB: usize = 1 << 14;

#[derive(Debug, Default)]
struct Server {
    busy: u32,
    waiting: VecDeque<u16>,
}

// Payload of an event: a packet's arrival (its index), the end of a service (the connection), a new
// connection.
const SERVED: u32 = 1 << 16;
const ARRIVAL: u32 = 2 << 16;

#[derive(Debug)]
struct World {
    mode: Mode,
    heap: Heap,
    now: u64,
    /// Numbers the events pushed, in the upper half: equal times keep their order.
    sequence: u64,
    links: [Link; 256],
    departures: Box<[u64; 256 * RING]>,
    packets: Box<[Packet; SLAB]>,
    free_packets: Vec<u16>,
    connections: Box<[Connection; SLAB]>,
    free_connections: Vec<u16>,
    servers: [Server; SERVERS as usize],
    table: Table,
    /// Round robin: who is next.
    next: u8,
    ports: [u16; CLIENTS as usize],
    random: CounterStream,
    gap: f64,
    until: u64,
    result: BareResult,
}

/// Runs W1: connections arrive for `seconds` of virtual time at `rate` a second; then it goes on
/// until nothing is pending. The same `seed` gives the same run.
///
/// # Panics
/// If more than about 16,000 packets or connections are under way at once (it is made for loads
/// that the links carry, about 7,700 connections a second), or after 2^32 events.
///
/// ```
/// use lvs_benches::limit::{Mode, bare_w1};
/// let run = bare_w1(Mode::Dr, 0.1, 2_000.0, 1);
/// assert_eq!(run.hops, 92 * run.connections);
/// ```
pub fn bare_w1(mode: Mode, seconds: f64, rate: f64, seed: u64) -> BareResult {
    let mut world = World::new(mode, seconds, rate, seed);
    world.run();
    world.result
}

/// A boxed array of `N` times `value`, made on the heap.
fn boxed<T: Clone, const N: usize>(value: T) -> Box<[T; N]> {
    let slice = vec![value; N].into_boxed_slice();
    slice.try_into().ok().expect("the slice has N elements")
}

impl World {
    fn new(mode: Mode, seconds: f64, rate: f64, seed: u64) -> Self {
        let (connection, sending, link, port, client) = (0, 0, 0, 0, 0);
        let nothing = Packet { connection, sending, kind: Kind::Syn, link, port, client };
        Self {
            mode,
            heap: Heap::new(),
            now: 0,
            sequence: 0,
            links: std::array::from_fn(|link| Link {
                free: 0,
                first: 0,
                count: 0,
                node: end_of(link as u8),
            }),
            departures: boxed(0),
            packets: boxed(nothing),
            free_packets: (0..SLAB as u16).rev().collect(),
            connections: boxed(Connection::default()),
            free_connections: (0..SLAB as u16).rev().collect(),
            servers: std::array::from_fn(|_| Server::default()),
            table: Table::new(),
            next: 0,
            ports: [1_024; CLIENTS as usize],
            random: CounterStream::new(seed, 0),
            gap: 1e9 / rate,
            until: (seconds * 1e9) as u64,
            result: BareResult::default(),
        }
    }

    fn run(&mut self) {
        self.push(0, ARRIVAL);
        while let Some(key) = self.heap.pop() {
            self.now = (key >> 64) as u64;
            let payload = key as u32;
            self.result.events += 1;
            if payload < SERVED {
                self.hop(payload as u16);
            } else if payload < ARRIVAL {
                self.served(payload as u16);
            } else {
                self.arrival();
            }
        }
        self.result.end = self.now;
    }

    #[inline]
    fn push(&mut self, time: u64, payload: u32) {
        self.sequence += 1 << 32; // overflow is checked: 2^32 events
        self.heap.push(u128::from(time) << 64 | u128::from(self.sequence | u64::from(payload)));
    }

    fn exponential(&mut self, mean: f64) -> u64 {
        (-libm::log(self.random.unit()) * mean) as u64
    }

    /// A connection arrives, at a client drawn evenly.
    fn arrival(&mut self) {
        let next = self.now.saturating_add(self.exponential(self.gap));
        if next < self.until {
            self.push(next, ARRIVAL);
        }
        self.result.pending = self.result.pending.max(self.heap.len());
        let client = (self.random.next_u64() >> 58) as u8;
        let port = &mut self.ports[usize::from(client)];
        *port = port.wrapping_add(1);
        let key = (0x0a00_0001 + u64::from(client)) << 16 | u64::from(*port);
        let connection = self.free_connections.pop().expect("at most SLAB connections at once");
        self.connections[usize::from(connection)] = Connection { key, client, server: 0 };
        self.request(connection, client, Kind::Syn, 0);
    }

    /// A packet leaves a client.
    #[inline]
    fn request(&mut self, connection: u16, client: u8, kind: Kind, bytes: u16) {
        let (link, port) = (FROM_CLIENT + client, DIRECTOR);
        let sending = 8 * (bytes + HEADERS);
        self.emit(Packet { connection, sending, kind, link, port, client });
    }

    /// A packet leaves a server.
    #[inline]
    fn reply(&mut self, connection: u16, server: u8, kind: Kind, bytes: u16) {
        let port = if self.mode == Mode::Nat { DIRECTOR } else { ROUTER };
        let client = self.connections[usize::from(connection) & (SLAB - 1)].client;
        let (link, sending) = (INTO_SWITCH + SERVER + server, 8 * (bytes + HEADERS));
        self.emit(Packet { connection, sending, kind, link, port, client });
    }

    #[inline]
    fn emit(&mut self, packet: Packet) {
        let id = self.free_packets.pop().expect("at most SLAB packets at once");
        self.send(id, packet);
    }

    /// Queues a packet on its link: it departs when all before it have, and arrives a delay later.
    #[inline]
    fn send(&mut self, id: u16, packet: Packet) {
        self.packets[usize::from(id) & (SLAB - 1)] = packet;
        let ring = usize::from(packet.link) * RING;
        let link = &mut self.links[usize::from(packet.link)];
        if link.free <= self.now {
            link.free = self.now;
            link.first = 0;
            link.count = 0;
        } else if usize::from(link.count) > WAITING {
            // The ring is only now looked through for what has departed meanwhile.
            while self.departures[ring + usize::from(link.first) % RING] <= self.now {
                link.first += 1;
                link.count -= 1;
            }
            if usize::from(link.count) > WAITING {
                self.result.drops += 1;
                self.free_packets.push(id);
                return;
            }
        }
        link.free += u64::from(packet.sending);
        let arrives = link.free + DELAY;
        let place = usize::from(link.first.wrapping_add(link.count)) % RING;
        self.departures[ring + place] = link.free;
        link.count += 1;
        self.push(arrives, u32::from(id));
    }

    /// A packet is at the end of its link.
    #[inline]
    fn hop(&mut self, id: u16) {
        self.result.hops += 1;
        let mut packet = self.packets[usize::from(id) & (SLAB - 1)];
        match self.links[usize::from(packet.link)].node {
            Node::Forwarding { base, port, client } => {
                packet.link = base + (packet.port & port) + (packet.client & client);
                self.send(id, packet);
            }
            Node::Director => {
                packet.port = self.direct(packet);
                packet.link = INTO_SWITCH + DIRECTOR;
                self.send(id, packet);
            }
            Node::Client => {
                self.free_packets.push(id);
                self.at_client(packet);
            }
            Node::Server => {
                self.free_packets.push(id);
                self.at_server(packet);
            }
        }
    }

    /// The director decides: the port of the switch that the packet goes to.
    #[inline]
    fn direct(&mut self, packet: Packet) -> u8 {
        let key = self.connections[usize::from(packet.connection) & (SLAB - 1)].key;
        let server = self.table.get(key).unwrap_or_else(|| {
            let server = self.next;
            self.next = (self.next + 1) % SERVERS;
            self.table.insert(key, server);
            server
        });
        if packet.kind == Kind::LastAck {
            self.table.remove(key);
        }
        if packet.kind.is_reply() { ROUTER } else { SERVER + server }
    }

    fn at_client(&mut self, packet: Packet) {
        let Packet { connection, client, .. } = packet;
        match packet.kind {
            Kind::SynAck => {
                self.request(connection, client, Kind::ClientAck, 0);
                self.request(connection, client, Kind::Request, 200);
            }
            Kind::EvenData => self.request(connection, client, Kind::ClientAck, 0),
            Kind::LastData => {
                self.request(connection, client, Kind::ClientAck, 0);
                self.request(connection, client, Kind::ClientFin, 0);
            }
            Kind::ServerFin => self.request(connection, client, Kind::LastAck, 0),
            _ => {}
        }
    }

    fn at_server(&mut self, packet: Packet) {
        let connection = packet.connection;
        let server = packet.link - (OUT_OF_SWITCH + SERVER);
        match packet.kind {
            Kind::Syn => {
                self.connections[usize::from(connection)].server = server;
                self.reply(connection, server, Kind::SynAck, 0);
            }
            Kind::Request => {
                self.reply(connection, server, Kind::ServerAck, 0);
                let state = &mut self.servers[usize::from(server)];
                if state.busy < WORKERS {
                    state.busy += 1;
                    self.serve(connection);
                } else {
                    state.waiting.push_back(connection);
                }
            }
            Kind::ClientFin => {
                self.reply(connection, server, Kind::ServerAck, 0);
                self.reply(connection, server, Kind::ServerFin, 0);
            }
            Kind::LastAck => {
                self.result.connections += 1;
                self.free_connections.push(connection);
            }
            _ => {}
        }
    }

    fn serve(&mut self, connection: u16) {
        let done = self.now + self.exponential(SERVICE);
        self.push(done, SERVED | u32::from(connection));
    }

    /// A worker has done its work: the response leaves, the next request is taken up.
    fn served(&mut self, connection: u16) {
        let server = self.connections[usize::from(connection)].server;
        for number in 1..=10 {
            let kind = match number {
                10 => Kind::LastData,
                2 | 4 | 6 | 8 => Kind::EvenData,
                _ => Kind::Data,
            };
            self.reply(connection, server, kind, 1_448);
        }
        let state = &mut self.servers[usize::from(server)];
        match state.waiting.pop_front() {
            Some(next) => self.serve(next),
            None => state.busy -= 1,
        }
    }
}

/// The node at the end of a link.
const fn end_of(link: u8) -> Node {
    match link {
        FROM_CLIENT..TO_CLIENT => {
            Node::Forwarding { base: INTO_SWITCH + ROUTER, port: 0, client: 0 }
        }
        TO_CLIENT..INTO_SWITCH => Node::Client,
        INTO_SWITCH..OUT_OF_SWITCH => {
            Node::Forwarding { base: OUT_OF_SWITCH, port: u8::MAX, client: 0 }
        }
        _ => match link - OUT_OF_SWITCH {
            ROUTER => Node::Forwarding { base: TO_CLIENT, port: 0, client: u8::MAX },
            DIRECTOR => Node::Director,
            _ => Node::Server,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_92_hops_with_direct_routing_and_120_with_nat() {
        for (mode, hops) in [(Mode::Dr, 92), (Mode::Nat, 120)] {
            let run = bare_w1(mode, 5.0, 2_000.0, 1);
            assert!((9_600..10_400).contains(&run.connections), "{run:?}");
            assert_eq!(run.hops, hops * run.connections);
            assert_eq!(run.hops, mode.hops() * run.connections);
            // Besides hops: each connection arrives and is served.
            assert_eq!(run.events, run.hops + 2 * run.connections);
            assert_eq!(run.drops, 0);
        }
    }

    #[test]
    fn a_lone_connection_takes_the_time_of_its_packets_and_of_its_service() {
        // No second connection comes within the microsecond.
        let mut world = World::new(Mode::Dr, 1e-6, 1.0, 7);
        let mut random = CounterStream::new(7, 0);
        let _gap = random.unit();
        let _client = random.next_u64();
        let service = (-libm::log(random.unit()) * SERVICE) as u64;
        world.run();
        assert_eq!(world.result.connections, 1);
        let to_server = |bytes: u64| 5 * (8 * (bytes + 58) + DELAY);
        let back = |bytes: u64| 3 * (8 * (bytes + 58) + DELAY);
        let expected = to_server(0)
            + back(0)
            // The request follows the ACK, and the service the request.
            + to_server(200) + 8 * 58
            + service
            // Nine more packets of data go before the last.
            + back(1_448) + 9 * 8 * 1_506
            // The FIN follows the ACK, at both ends.
            + to_server(0) + 8 * 58
            + back(0) + 8 * 58
            + to_server(0);
        assert_eq!(world.now, expected);
    }

    #[test]
    fn the_same_seed_gives_the_same_run_and_another_another() {
        let run = |seed| bare_w1(Mode::Nat, 0.5, 2_000.0, seed);
        assert_eq!(run(4), run(4));
        assert_ne!(run(4), run(5));
    }

    #[test]
    fn requests_wait_in_order_when_all_workers_are_busy() {
        let mut world = World::new(Mode::Dr, 0.0, 1.0, 1);
        let (sending, link, port, client) = (0, OUT_OF_SWITCH + SERVER + 3, SERVER + 3, 0);
        for connection in 0..20 {
            world.connections[usize::from(connection)].server = 3;
            let kind = Kind::Request;
            world.at_server(Packet { connection, sending, kind, link, port, client });
        }
        assert_eq!(
            (world.servers[3].busy, &world.servers[3].waiting),
            (16, &[16, 17, 18, 19].into())
        );
        world.served(5);
        world.served(0);
        assert_eq!((world.servers[3].busy, &world.servers[3].waiting), (16, &[18, 19].into()));
        for connection in [16, 17, 9] {
            world.served(connection);
        }
        assert_eq!((world.servers[3].busy, world.servers[3].waiting.len()), (15, 0));
    }

    #[test]
    fn a_full_output_drops_what_finds_a_thousand_waiting() {
        let mut world = World::new(Mode::Dr, 0.0, 1.0, 1);
        for _ in 0..1_005 {
            world.reply(0, 0, Kind::Data, 1_448);
        }
        assert_eq!(world.result.drops, 4, "1000 wait, one is being sent");
        // Two have left, so two find a place.
        world.now = 2 * 8 * 1_506;
        for _ in 0..3 {
            world.reply(0, 0, Kind::Data, 1_448);
        }
        assert_eq!(world.result.drops, 5);
        assert_eq!(world.heap.len(), 1_003);
    }
}
