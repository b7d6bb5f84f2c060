//! What the benchmarks measure with, and what they measure against.
//!
//! - `cargo bench -p lvs-benches --bench queue`: the event queue beside the standard library's heap;
//! - `cargo bench -p lvs-benches --bench schedulers`: picks beside a plain walk of the list;
//! - `cargo run --release -p lvs-benches --bin w1`: packet hops a second beside a bare loop;
//! - `cargo run --release -p lvs-benches --bin million`: a director with a million connections.
//!
//! Times are CPU times of the process, so that other load on the machine disturbs them less; only
//! ratios within one run mean anything.

pub mod hold;
pub mod limit;
pub mod memory;
