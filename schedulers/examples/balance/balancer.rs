//! A director that relays TCP connections: the contract of the crate, with real sockets.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use schedulers::{Algorithm, Counting, DestId, DestSpec, Flags, Flow, NoRandom, Service};

/// What happened to a connection, in the order in which the service heard of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// It came and was sent to a server.
    Opened { client: SocketAddr, server: SocketAddr },
    /// It came, and nobody could be chosen.
    Refused { client: SocketAddr },
    /// One side will send no more: it is no longer active.
    HalfClosed { server: SocketAddr },
    /// It is over.
    Closed { server: SocketAddr },
}

/// What the threads of the director share.
struct Director {
    service: Service,
    address: SocketAddr,
    events: Vec<Event>,
    /// The clients' ends of the connections that are open.
    open: BTreeMap<SocketAddr, TcpStream>,
}

/// A running director and its servers.
pub(crate) struct Balancer {
    director: Arc<Mutex<Director>>,
    door: Door,
    servers: Vec<(SocketAddr, Door)>,
    addresses: Vec<SocketAddr>,
}

impl Balancer {
    /// Starts one echo server per weight and a director in front of them, all on loopback.
    pub(crate) fn start(algorithm: Algorithm, weights: &[u32]) -> io::Result<Self> {
        let mut service = Service::new(algorithm, Flags::NONE);
        let mut servers = Vec::new();
        for &weight in weights {
            let door = Door::open(|stream| {
                thread::spawn(move || echo(&stream));
            })?;
            let spec = DestSpec::new(door.address.ip(), door.address.port(), weight);
            service.add_dest(spec).map_err(io::Error::other)?;
            servers.push((door.address, door));
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let state = Director { service, address, events: Vec::new(), open: BTreeMap::new() };
        let director = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&director);
        let door = Door::open(move |stream| accept(&shared, stream))?;
        lock(&director).address = door.address;
        let addresses = servers.iter().map(|(address, _)| *address).collect();
        Ok(Self { director, door, servers, addresses })
    }

    /// Where clients connect.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.door.address
    }

    /// The servers, in the order of their weights.
    pub(crate) fn servers(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Closes the door, ends what is still open, waits for it; everything that happened.
    pub(crate) fn shut_down(self) -> io::Result<Vec<Event>> {
        self.door.close()?;
        for stream in lock(&self.director).open.values() {
            // A client may have gone meanwhile.
            stream.shutdown(Shutdown::Both).ok();
        }
        while !lock(&self.director).open.is_empty() {
            thread::yield_now();
        }
        for (_, door) in self.servers {
            door.close()?;
        }
        Ok(lock(&self.director).events.clone())
    }
}

fn lock(director: &Mutex<Director>) -> MutexGuard<'_, Director> {
    director.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A listening socket and the thread that accepts.
struct Door {
    address: SocketAddr,
    closing: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Door {
    fn open(mut each: impl FnMut(TcpStream) + Send + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let closing = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&closing);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if flag.load(Ordering::SeqCst) {
                    break;
                }
                if let Ok(stream) = stream {
                    each(stream);
                }
            }
        });
        Ok(Self { address, closing, thread })
    }

    /// Wakes the thread with one last connection.
    fn close(self) -> io::Result<()> {
        self.closing.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address)?);
        self.thread.join().map_err(|_| io::Error::other("an accepting thread panicked"))
    }
}

fn echo(stream: &TcpStream) {
    let (mut from, mut to) = (stream, stream);
    // A connection that breaks off is the client's affair.
    io::copy(&mut from, &mut to).ok();
    stream.shutdown(Shutdown::Both).ok();
}

/// A new connection: choose, count, relay.
fn accept(director: &Arc<Mutex<Director>>, stream: TcpStream) {
    let Ok(client) = stream.peer_addr() else { return };
    let mut state = lock(director);
    let there = state.address;
    let flow = Flow::new(client.ip(), client.port(), there.ip(), there.port());
    let Some(dest) = state.service.schedule(&flow, 0, &mut NoRandom) else {
        state.events.push(Event::Refused { client });
        return;
    };
    let bound = state.service.bind(dest, Counting::Inactive);
    let active = state.service.activate(dest);
    assert!(bound.is_ok() && active.is_ok(), "a destination just chosen can be bound");
    let Some(server) = state.service.pool().get(dest).map(|d| SocketAddr::new(d.addr, d.port))
    else {
        return;
    };
    state.events.push(Event::Opened { client, server });
    if let Ok(end) = stream.try_clone() {
        state.open.insert(client, end);
    }
    drop(state);
    let link = Link {
        director: Arc::clone(director),
        client,
        server,
        dest,
        halved: AtomicBool::new(false),
    };
    thread::spawn(move || link.relay(&stream));
}

/// A connection that is relayed.
struct Link {
    director: Arc<Mutex<Director>>,
    client: SocketAddr,
    server: SocketAddr,
    dest: DestId,
    halved: AtomicBool,
}

impl Link {
    fn relay(&self, client: &TcpStream) {
        if let Ok(server) = TcpStream::connect(self.server) {
            thread::scope(|scope| {
                scope.spawn(|| self.copy(client, &server));
                self.copy(&server, client);
            });
        }
        self.half_close();
        let mut state = lock(&self.director);
        let released = state.service.release(self.dest, Counting::Inactive);
        assert!(released.is_ok(), "every connection was bound once");
        state.events.push(Event::Closed { server: self.server });
        state.open.remove(&self.client);
    }

    fn copy(&self, mut from: &TcpStream, mut to: &TcpStream) {
        // An error ends the connection like its end.
        io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Write).ok();
        self.half_close();
    }

    /// The first end of either direction makes the connection inactive.
    fn half_close(&self) {
        if !self.halved.swap(true, Ordering::SeqCst) {
            let mut state = lock(&self.director);
            let inactive = state.service.deactivate(self.dest);
            assert!(inactive.is_ok(), "the connection was active");
            state.events.push(Event::HalfClosed { server: self.server });
        }
    }
}
