//! Texts of other programs: rules of ipvsadm, keepalived.conf, and what an administrator types to set up a
//! host.

pub mod commands;
pub mod ipvsadm;
pub mod keepalived;
pub mod scenario;
