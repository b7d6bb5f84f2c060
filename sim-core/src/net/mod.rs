//! Links, switches, neighbours, routes: everything between two IP stacks. Nothing about LVS.

pub mod arp;
pub mod conntrack;
pub mod filter;
pub mod fragment;
pub mod icmp;
pub mod link;
pub mod route;
pub mod slab;
pub mod source;
pub mod switch;
pub mod topology;
