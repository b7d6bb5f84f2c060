//! The `net` room.

pub mod fragment;
pub mod icmp;
pub mod topology;
