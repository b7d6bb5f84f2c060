//! What keeps a cluster alive, as machines without input and output: time and messages go in; messages,
//! changes and notes come out.
//!
//! - [`vrrp`], [`check`] and [`bfd`]: the three processes of keepalived
//! - [`heartbeat`]: membership, resources and fencing; [`ldirectord`]: the checker beside it
//! - [`probe`]: what both checkers ask servers, and what comes of it
//!
//! A machine is made from its configuration in [`crate::config`], is called with the time, adds what it wishes
//! to a list of actions, and says when it wants to be called next (`next_deadline`). It knows no host and
//! no packet. The programs around them, and how they meet a host, are in [`crate::hosts::daemon`].

pub mod bfd;
pub mod check;
pub mod heartbeat;
pub mod ldirectord;
pub mod probe;
pub mod vrrp;
