//! Balances real TCP connections over loopback, with this crate and the standard library alone.
//!
//! `cargo run -p schedulers --example balance -- wlc 60 3 2 1` starts three echo servers of weight
//! 3, 2 and 1, a director in front of them, sends 60 connections through it, ten at a time, and
//! prints who got how many.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

mod balancer;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use balancer::{Balancer, Event};
use schedulers::Algorithm;

const USAGE: &str =
    "usage: balance [RULE [CONNECTIONS [WEIGHT...]]], for instance: balance wlc 60 3 2 1";

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (algorithm, connections, weights) =
        parse(&arguments).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, USAGE))?;
    let balancer = Balancer::start(algorithm, &weights)?;
    println!("{algorithm} listens on {}", balancer.address());
    let mut left = connections;
    while left > 0 {
        let together: io::Result<Vec<TcpStream>> =
            (0..left.min(10)).map(|_| TcpStream::connect(balancer.address())).collect();
        for stream in together? {
            ask(&stream)?;
            left -= 1;
        }
    }
    let servers = balancer.servers().to_vec();
    let events = balancer.shut_down()?;
    print_shares(&servers, &weights, &events);
    Ok(())
}

fn parse(arguments: &[String]) -> Option<(Algorithm, usize, Vec<u32>)> {
    let algorithm = match arguments.first() {
        Some(name) => name.parse().ok()?,
        None => Algorithm::Wlc,
    };
    let connections = match arguments.get(1) {
        Some(number) => number.parse().ok()?,
        None => 60,
    };
    let weights: Result<Vec<u32>, _> = arguments.iter().skip(2).map(|w| w.parse()).collect();
    let weights = weights.ok()?;
    Some((algorithm, connections, if weights.is_empty() { vec![3, 2, 1] } else { weights }))
}

/// Sends a word and waits for it to come back.
fn ask(mut stream: &TcpStream) -> io::Result<()> {
    stream.write_all(b"hello")?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    if answer == b"hello" { Ok(()) } else { Err(io::Error::other("no echo")) }
}

fn print_shares(servers: &[SocketAddr], weights: &[u32], events: &[Event]) {
    let opened = |at: SocketAddr| {
        events.iter().filter(|e| matches!(e, Event::Opened { server, .. } if *server == at)).count()
    };
    println!("{:<22} {:>6} {:>11}", "server", "weight", "connections");
    for (&server, weight) in servers.iter().zip(weights) {
        println!("{server:<22} {weight:>6} {:>11}", opened(server));
    }
}
