//! Texts of other programs: rules of ipvsadm, keepalived.conf, the files of heartbeat and ldirectord, and
//! what an administrator types to set up a host.

pub mod commands;
pub mod findings;
pub mod heartbeat;
pub mod ipvsadm;
pub mod keepalived;
pub mod ldirectord;
pub mod scenario;
