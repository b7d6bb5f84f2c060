//! What counts as an outage.

use crate::engine::{Span, Time};

/// What is an outage and what are isolated failures; see [`crate::observe::availability`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutageRule {
    /// A run of lost requests that lasts this long is an outage.
    pub gap: Span,
    /// A run of this many lost requests is an outage, however short.
    pub requests: u32,
}

impl OutageRule {
    /// Whether a request that started at `start` had no time for an answer when the run ended at `end`.
    pub fn is_undecided(&self, start: Time, end: Time) -> bool {
        end - start < self.gap
    }
}

impl Default for OutageRule {
    /// Half a second, or 20 requests.
    fn default() -> Self {
        Self { gap: Span::from_millis(500), requests: 20 }
    }
}
