//! The notation of scenario files: TOML with units in the values, described by field tables.

pub mod distribution;
pub mod field;
pub mod overrides;
pub mod record;
pub mod schema;
pub mod sections;
pub mod tree;
pub mod units;
pub mod words;

pub use field::{Field, Kind, Section, Value};
pub use record::Record;
pub use tree::{Node, Table};
