//! Links, switches, neighbours, routes, fragments, ICMP, netfilter with its connection tracking: what
//! IP stacks are made of and what lies between them. Nothing about LVS.

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
