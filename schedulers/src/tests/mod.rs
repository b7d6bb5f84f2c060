//! Properties of all rules, in words.

mod equivalence;
mod properties;
mod tables;
mod vectors;
mod widths;

use std::string::String;
use std::vec::Vec;

use crate::{Algorithm, Counting, DestId, DestSpec, Flags, Flow, NoRandom, Service};

/// A client's flow to the service 10.1.1.100:80.
fn from(client: &str) -> Flow {
    let src = client.parse().expect("a client address");
    Flow::new(src, 12345, [10, 1, 1, 100].into(), 80)
}

/// The n-th real server, from 1.
fn server(n: u16, weight: u32) -> DestSpec {
    DestSpec::new([192, 168, (n / 256) as u8, (n % 256) as u8].into(), 80, weight)
}

/// A service with servers A, B, C, ... of these weights, added in this order.
fn service(algorithm: Algorithm, weights: &[u32]) -> Service {
    let mut service = Service::new(algorithm, Flags::NONE);
    for (n, &weight) in (1..).zip(weights) {
        service.add_dest(server(n, weight)).expect("a new destination");
    }
    service
}

/// The id of server A (0), B (1), ...
fn id(service: &Service, n: u16) -> DestId {
    let spec = server(n + 1, 0);
    service.pool().find(spec.addr, spec.port).expect("a known server")
}

/// Connections that come and stay: the letters of the servers they get, `-` for none.
fn picks(service: &mut Service, count: usize) -> String {
    let one = |_| match service.schedule(&from("10.0.0.1"), 0, &mut NoRandom) {
        Some(dest) => {
            service.bind(dest, Counting::Inactive).expect("a listed destination");
            service.activate(dest).expect("the connection just bound");
            letter(service, dest)
        }
        None => '-',
    };
    (0..count).map(one).collect()
}

fn letter(service: &Service, dest: DestId) -> char {
    let found = (0..26).find(|&n| {
        let spec = server(n + 1, 0);
        service.pool().find(spec.addr, spec.port) == Some(dest)
    });
    found.map_or('?', |n| char::from(b'A' + n as u8))
}

/// How many slots of the table each server has, A first.
fn shares(service: &mut Service, servers: u16) -> Vec<usize> {
    let table = service.table().expect("a rule with a table");
    (0..servers)
        .map(|n| table.iter().filter(|&&slot| slot == Some(id(service, n))).count())
        .collect()
}
