//! Linux IPVS as a sans-I/O machine: packets and points in time go in, verdicts come out.
//!
//! [`Ipvs`] holds the virtual services, the connection table and the timers of one director. The
//! host around it owns interfaces, routes and links, and calls the machine at the kernel's hooks:
//!
//! | packet | call | hook |
//! |---|---|---|
//! | for an own address | [`Ipvs::request`] | `LOCAL_IN` |
//! | forwarded | [`Ipvs::reply`] | `FORWARD` |
//! | made by the own stack | [`Ipvs::reply`], then [`Ipvs::request`] | `LOCAL_OUT` |
//! | ICMP error (type 3, 4, 11) for an own address that quotes an own tunnel packet | [`Ipvs::icmp_tunnel`] | `LOCAL_IN` |
//! | any other ICMP or ICMPv6 error for an own address | [`Ipvs::icmp_out`], then [`Ipvs::icmp_in`] | `LOCAL_IN` |
//! | ICMP or ICMPv6 error that is forwarded | [`Ipvs::icmp_in`], then [`Ipvs::icmp_out`] | `FORWARD` |
//! | ICMP or ICMPv6 error made by the own stack | [`Ipvs::icmp_out`] | `LOCAL_OUT` |
//!
//! The second call is made only if the first one found nothing. Packets must be whole: fragments
//! are put together before. A reply of a FULLNAT real server is for an own address, so it is
//! [`Ipvs::request`] that knows it ([`Verdict::Answer`]). The text of FTP control connections goes
//! through [`Ipvs::ftp_client`] and [`Ipvs::ftp_server`]. Rules change by [`Ipvs::apply`]. Time passes by
//! [`Ipvs::next_deadline`] and [`Ipvs::on_deadline`].
//!
//! ```
//! use sim_core::config::{IpvsConfig, v4};
//! use sim_core::engine::{Stream, Time};
//! use sim_core::ipvs::rules::{Forwarding, ServerRule, ServiceKey, ServiceRule};
//! use sim_core::ipvs::{Ipvs, Verdict, forwarding};
//! use sim_core::wire::{AddressBook, Flags, Ip, Packet, proto};
//!
//! let web = ServiceKey::Address { protocol: proto::TCP, vip: v4(192, 168, 10, 200), port: 80 };
//! let server = ServerRule { forwarding: Forwarding::Nat, ..ServerRule::new(v4(192, 168, 10, 11), 8080) };
//! let service = ServiceRule { servers: vec![server], ..ServiceRule::new(web) };
//! let config = IpvsConfig { services: vec![service], ..IpvsConfig::default() };
//! let mut book = AddressBook::new();
//! let random = Stream::new(1, "director", "ipvs");
//! let mut director = Ipvs::new(&config, random, &mut book).expect("good rules");
//!
//! let (client, vip) = (Ip::new(172, 16, 0, 10), Ip::new(192, 168, 10, 200));
//! let mut syn = Packet::ipv4(client, vip, proto::TCP, 60);
//! (syn.sport, syn.dport, syn.flags) = (40_000, 80, Flags::SYN);
//! let verdict = director.request(Time::ZERO, &syn, &mut book);
//! let Verdict::Transmit(to) = verdict else { unreachable!() };
//! forwarding::check(&mut syn, 1500, None, true).expect("fits");
//! forwarding::nat_request(&mut syn, to.rip, to.rport);
//! assert_eq!((syn.dst, syn.dport, syn.ttl), (Ip::new(192, 168, 10, 11), 8080, 63));
//! ```

mod admin;
mod clock;
mod connection;
mod daemon;
mod defence;
mod director;
mod engine;
mod error;
pub mod forwarding;
mod ftp;
mod fullnat;
mod icmp;
mod listing;
mod persistence;
pub mod rules;
mod schedule;
mod service;
pub mod state;
mod statistics;
pub mod sync;
mod table;
#[cfg(test)]
mod tests;
mod transition;
mod verdict;

pub use admin::Command;
pub use clock::Clock;
pub use connection::{Connection, DestinationId, Slot, Tuple};
pub use director::{Ipvs, TICK};
pub use error::IpvsError;
pub use ftp::FtpAnswer;
pub use listing::{BUCKETS, ConnectionEntry, DestinationEntry, ServiceEntry};
pub use rules::Forwarding;
pub use state::{State, Timeouts};
pub use statistics::Stats;
pub use verdict::{
    DropReason, IcmpAnswer, IcmpInVerdict, IcmpOutVerdict, ReplyVerdict, Transmit, TunnelVerdict,
    Verdict,
};
