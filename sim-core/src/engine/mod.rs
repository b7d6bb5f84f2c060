//! Time, queue, random streams, digest: what a discrete-event engine needs, and nothing of networks.

pub mod digest;
pub mod dist;
pub mod queue;
pub mod rng;
pub mod time;

pub use digest::Digest;
pub use dist::{Dist, Sampler};
pub use queue::Queue;
pub use rng::{CounterStream, Stream, Uniform};
pub use time::{Span, Time};
