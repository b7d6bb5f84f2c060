//! The example balances real connections as a simulated service would.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use schedulers::{Algorithm, Counting, DestSpec, Flags, Flow, NoRandom, Service};

use crate::balancer::{Balancer, Event};

fn connect(balancer: &Balancer) -> TcpStream {
    let mut stream = TcpStream::connect(balancer.address()).expect("the director listens");
    stream.write_all(b"x").expect("the connection stands");
    let mut answer = [0];
    stream.read_exact(&mut answer).expect("an echo");
    assert_eq!(&answer, b"x");
    stream
}

fn close(mut stream: TcpStream) {
    stream.shutdown(Shutdown::Write).expect("the connection stands");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the other side closes too");
    assert!(rest.is_empty());
}

/// What a service that hears the same events chooses.
fn check(
    algorithm: Algorithm,
    weights: &[u32],
    servers: &[SocketAddr],
    there: SocketAddr,
    events: &[Event],
) {
    let mut service = Service::new(algorithm, Flags::NONE);
    for (server, &weight) in servers.iter().zip(weights) {
        let spec = DestSpec::new(server.ip(), server.port(), weight);
        service.add_dest(spec).expect("a new destination");
    }
    let find = |service: &Service, at: &SocketAddr| {
        service.pool().find(at.ip(), at.port()).expect("a known server")
    };
    let mut refused = 0;
    for event in events {
        match event {
            Event::Opened { client, server } => {
                let flow = Flow::new(client.ip(), client.port(), there.ip(), there.port());
                let pick = service.schedule(&flow, 0, &mut NoRandom);
                assert_eq!(pick, Some(find(&service, server)), "{algorithm}: {event:?}");
                let dest = find(&service, server);
                service.bind(dest, Counting::Inactive).expect("listed");
                service.activate(dest).expect("bound");
            }
            Event::Refused { .. } => refused += 1,
            Event::HalfClosed { server } => {
                service.deactivate(find(&service, server)).expect("active before");
            }
            Event::Closed { server } => {
                let dest = find(&service, server);
                service.release(dest, Counting::Inactive).expect("counted before");
            }
        }
    }
    assert_eq!(refused, 0, "{algorithm}: nobody is full");
    assert!(service.pool().iter().all(|d| d.active + d.inactive == 0), "every connection ended");
}

#[test]
fn real_connections_go_where_a_simulated_service_sends_them() {
    let weights = [3, 1, 2];
    for algorithm in [Algorithm::Wlc, Algorithm::Wrr, Algorithm::Lc, Algorithm::Sh, Algorithm::Nq] {
        let balancer = Balancer::start(algorithm, &weights).expect("loopback");
        let mut open: Vec<TcpStream> = (0..12).map(|_| connect(&balancer)).collect();
        for stream in open.drain(3..8) {
            close(stream);
        }
        open.extend((0..10).map(|_| connect(&balancer)));
        // Half of them are still open when the director shuts down.
        for stream in open.drain(..8) {
            close(stream);
        }
        let (servers, there) = (balancer.servers().to_vec(), balancer.address());
        let events = balancer.shut_down().expect("a clean end");
        let opened = events.iter().filter(|e| matches!(e, Event::Opened { .. })).count();
        assert_eq!(opened, 22, "{algorithm}");
        check(algorithm, &weights, &servers, there, &events);
    }
}
