//! For tests: the rules written for clarity, and strategies that exercise them.
//!
//! [`Reference`] is a second implementation of every rule and of the pool, a plain walk over a plain
//! list in the kernel's integer types, with nothing in common with the fast one but the hash
//! functions. [`Op`] and its strategies make operation sequences; [`Pair`] applies them to both and
//! tells the first difference.
//!
//! ```
//! use proptest::prelude::*;
//! use schedulers::testing::{Mix, Pair, sequence};
//!
//! proptest!(ProptestConfig::with_cases(4), |(ops in sequence(Mix::default()))| {
//!     let mut pair = Pair::new();
//!     for op in ops {
//!         prop_assert_eq!(pair.apply(&op), Ok(()));
//!     }
//! });
//! ```

mod pair;
mod reference;
mod rules;
mod strategies;

pub use pair::{Pair, Seeded};
pub use reference::{Key, Reference, Refused, Server};
pub use strategies::{Mix, Op, flow, sequence, server, spec};
