//! The world in which packets travel: a deterministic, packet-level discrete-event simulator of
//! Linux Virtual Server clusters.
//!
//! The crate knows no file, no terminal, no clock and no thread. A [`config::WorldConfig`] goes in, a
//! world runs in virtual time, and [`observe::Observations`] come out. Protocol rules (TCP, ARP,
//! IPVS, VRRP, health checks, heartbeat) are sans-I/O state machines that can be used without the world
//! around them.
//!
//! What keeps a cluster alive is in three places: the machines in [`ha`], the programs that run them on a
//! host in [`hosts::daemon`], and what is told of them in [`observe::timeline`]. What breaks a cluster is
//! stated by [`config::FaultConfig`] and done by [`world`].
//!
//! Imports run one way: `engine`, `wire` <- `net`, `tcp`, `ipvs` <- `ha`, `observe` <- `hosts` <- `world`.
//! [`config`], plain data, may be imported by all.

pub mod config;
pub mod engine;
pub mod ha;
pub mod hosts;
pub mod ipvs;
pub mod net;
pub mod observe;
pub mod tcp;
pub mod wire;
pub mod world;
