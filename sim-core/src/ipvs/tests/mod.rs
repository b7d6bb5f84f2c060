//! The machine as a whole: stories of connections, operators and errors.

mod admin;
mod ftp;
mod fullnat;
mod icmp;
mod lifecycle;
mod persistence;
mod random;
mod recorded;
mod scheduling;
mod special;
mod sync;

use super::rules::{Forwarding, ServerRule, ServiceKey, ServiceRule};
use super::{DestinationEntry, Ipvs, Slot, Transmit, Verdict};
use crate::config::{IpvsConfig, v4};
use crate::engine::{Span, Stream, Time};
use crate::wire::{AddressBook, Flags, Ip, Packet, proto};
use core::net::IpAddr;
use schedulers::Algorithm;

const VIP: Ip = Ip::new(192, 168, 10, 200);
/// The VIP and the address of a real server as rules state them.
const VIP_RULE: IpAddr = v4(192, 168, 10, 200);
const CLIENT: Ip = Ip::new(172, 16, 0, 10);
const WEB: ServiceKey = ServiceKey::Address { protocol: proto::TCP, vip: VIP_RULE, port: 80 };
const DNS: ServiceKey = ServiceKey::Address { protocol: proto::UDP, vip: VIP_RULE, port: 53 };

const SYN: Flags = Flags::SYN;
const SYN_ACK: Flags = Flags(0x12);
const ACK: Flags = Flags::ACK;
const FIN: Flags = Flags(0x11);
const RST: Flags = Flags::RST;

fn at_ms(ms: u64) -> Time {
    Time::ZERO + Span::from_millis(ms)
}

fn at(seconds: u64) -> Time {
    at_ms(seconds * 1000)
}

fn rip(host: u8) -> Ip {
    Ip::new(192, 168, 10, host)
}

fn rip_rule(host: u8) -> IpAddr {
    v4(192, 168, 10, host)
}

/// An address of a packet as a rule states it.
fn stated(ip: Ip) -> IpAddr {
    AddressBook::new().address(ip)
}

fn server(host: u8, port: u16, forwarding: Forwarding) -> ServerRule {
    ServerRule { forwarding, ..ServerRule::new(rip_rule(host), port) }
}

fn service(key: ServiceKey, servers: Vec<ServerRule>) -> ServiceRule {
    ServiceRule { scheduler: Algorithm::Rr, servers, ..ServiceRule::new(key) }
}

/// TCP 80 and UDP 53 with two real servers each; NAT maps the ports to 8080 and 5353.
fn config(forwarding: Forwarding) -> IpvsConfig {
    let (web, dns) = if forwarding == Forwarding::Nat { (8080, 5353) } else { (80, 53) };
    IpvsConfig {
        services: vec![
            service(WEB, vec![server(11, web, forwarding), server(12, web, forwarding)]),
            service(DNS, vec![server(11, dns, forwarding), server(12, dns, forwarding)]),
        ],
        ..IpvsConfig::default()
    }
}

fn build(config: &IpvsConfig) -> Ipvs {
    Ipvs::new(config, Stream::new(1, "director", "ipvs"), &mut AddressBook::new())
        .expect("good rules")
}

fn director(forwarding: Forwarding) -> Ipvs {
    build(&config(forwarding))
}

/// A packet of 52 bytes from the client to the web service.
fn tcp(port: u16, flags: Flags) -> Packet {
    let mut pkt = Packet::ipv4(CLIENT, VIP, proto::TCP, 52);
    (pkt.sport, pkt.dport, pkt.flags) = (port, 80, flags);
    pkt
}

/// A packet of 100 bytes from the client to the name service.
fn udp(port: u16) -> Packet {
    let mut pkt = Packet::ipv4(CLIENT, VIP, proto::UDP, 100);
    (pkt.sport, pkt.dport) = (port, 53);
    pkt
}

/// The answer of the real server `to`, as it enters the director.
fn answer(request: &Packet, to: &Transmit, flags: Flags) -> Packet {
    let mut pkt = Packet::ipv4(to.rip, request.src, request.proto, 40);
    (pkt.sport, pkt.dport, pkt.flags) = (to.rport, request.sport, flags);
    if to.forwarding != Forwarding::Nat {
        (pkt.src, pkt.sport) = (request.dst, request.dport);
    }
    pkt
}

/// Where the director sends the packet; it must.
fn sent(director: &mut Ipvs, now: Time, pkt: &Packet) -> Transmit {
    match director.request(now, pkt, &mut AddressBook::new()) {
        Verdict::Transmit(to) => to,
        other => panic!("{other:?} for {pkt:?}"),
    }
}

/// Runs every deadline up to `now`, in order, and calls nothing else.
fn pass(director: &mut Ipvs, now: Time) {
    while let Some(next) = director.next_deadline().filter(|&next| next <= now) {
        director.on_deadline(next);
    }
}

/// State of the connection in `slot`.
fn state(director: &Ipvs, slot: Slot) -> super::State {
    director.connection(slot).expect("the connection lives").state()
}

/// The destination of the web service at `host`.
fn web(director: &Ipvs, host: u8) -> DestinationEntry {
    let mut all = director.destinations();
    all.find(|d| d.service == WEB && d.rip == rip_rule(host)).expect("listed")
}
