//! The world as a whole.

mod applications;
mod arithmetic;
mod arp;
mod balancing;
mod conservation;
mod director;
mod filter;
mod fragments;
mod frames;
mod icmp;
mod ipv6;
mod links;
mod memory;
mod mistakes;
mod network;
mod operated;
mod operator;
mod randomness;
mod routing;
mod switches;
mod sync;
mod takeover;
mod tcp;
mod tunnels;
mod udp;
mod vrrp;
