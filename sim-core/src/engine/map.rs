//! The one hash map of the simulator.

use rustc_hash::FxBuildHasher;

/// A hash map with a fixed hash: look up only, never iterate, since the order depends on the history
/// of insertions.
#[expect(clippy::disallowed_types, reason = "with a fixed hash, and never iterated")]
pub type FxMap<K, V> = std::collections::HashMap<K, V, FxBuildHasher>;

/// A set with the same hash, for the same use.
#[expect(clippy::disallowed_types, reason = "with a fixed hash, and never iterated")]
pub type FxSet<K> = std::collections::HashSet<K, FxBuildHasher>;
