//! What counts as an outage.

use crate::engine::Span;

/// What is an outage and what are isolated failures; see [`crate::observe::availability`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutageRule {
    /// A run of lost requests that lasts this long is an outage.
    pub gap: Span,
    /// A run of this many lost requests is an outage, however short.
    pub requests: u32,
}

impl Default for OutageRule {
    /// Half a second, or 20 requests.
    fn default() -> Self {
        Self { gap: Span::from_millis(500), requests: 20 }
    }
}
