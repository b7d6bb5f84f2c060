//! What people write, what they ask: scenario files, rules, expectations, results, and the
//! command `lvsim`.

pub mod build;
pub mod catalogue;
pub mod cli;
pub mod conform;
pub mod diagnostic;
pub mod expect;
pub mod format;
pub mod import;
pub mod lint;
pub mod model;
pub mod operator;
pub mod results;
pub mod study;
pub mod trace;
