//! Linux IPVS as a sans-I/O machine.

pub mod rules;
