//! Files of other programs: rules of ipvsadm.

pub mod ipvsadm;
