//! Files of other programs: rules of ipvsadm.

pub mod commands;
pub mod ipvsadm;
