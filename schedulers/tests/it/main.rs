//! Tests of the crate from outside.

#[path = "../../examples/balance/balancer.rs"]
mod balancer;
mod golden;
mod loopback;
#[path = "../../examples/table_quality/report.rs"]
mod report;
#[cfg(feature = "serde")]
mod saved;
mod tables;
mod trace;
