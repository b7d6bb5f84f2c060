//! Files of other programs: rules of ipvsadm, commands, keepalived.conf.

pub mod commands;
pub mod ipvsadm;
pub mod keepalived;
