//! Texts of other programs: rules of ipvsadm, and what an administrator types to set up a host.

pub mod commands;
pub mod ipvsadm;
