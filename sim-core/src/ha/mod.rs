//! What keeps a cluster alive, as machines without input and output: time and messages go in; messages,
//! changes and notes come out.
//!
//! The programs around them, and how they meet a host, are in [`crate::hosts::daemon`].

pub mod bfd;
pub mod check;
pub mod heartbeat;
pub mod ldirectord;
pub mod probe;
pub mod vrrp;
