//! The files of heartbeat: `ha.cf`, `haresources` and `authkeys`, as heartbeat 2 and 3 read them.
//!
//! Nothing is refused that heartbeat takes. What it does not start with is an error, with its own words
//! where it has some; what it complains about and goes on is a warning.
//!
//! ```
//! use scenarios::diagnostic::Sources;
//! use scenarios::import::heartbeat::ha_cf;
//! use sim_core::engine::Span;
//! let text = "keepalive 200ms\ndeadtime 2\nbcast eth0\nauto_failback off\nnode lvs1 lvs2\n";
//! let mut sources = Sources::default();
//! let file = sources.add("ha.cf", text);
//! let (ha, findings) = ha_cf::read(&sources, file);
//! assert_eq!((ha.deadtime, ha.initdead), (Span::from_secs(2), Span::from_secs(12)));
//! assert!(findings.errors.is_empty());
//! ```

pub mod authkeys;
mod directives;
pub mod ha_cf;
pub mod haresources;
mod lines;
mod pair;

pub use pair::{Side, compare};

#[cfg(test)]
mod tests;
