//! Yardsticks for the benchmarks.

pub mod limit;
