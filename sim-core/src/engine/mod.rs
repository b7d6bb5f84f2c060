//! Time, queue, random streams, digest: what a discrete-event engine needs, and nothing of networks.

pub mod dist;
pub mod queue;
pub mod rng;
pub mod time;

pub use dist::Dist;
pub use queue::Queue;
pub use rng::{Stream, Uniform};
pub use time::{Span, Time};
