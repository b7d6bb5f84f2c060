//! Time, queue, random streams, digest: what a discrete-event engine needs, and nothing of networks.

pub mod dist;
pub mod time;

pub use dist::Dist;
pub use time::{Span, Time};
