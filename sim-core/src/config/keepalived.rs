//! keepalived on a host.

use super::{BfdConfig, CheckConfig, VrrpConfig};
use crate::engine::Span;

/// keepalived of a host.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct KeepalivedConfig {
    /// When it has read its configuration and begins, after the start of the run or of the host; `None`: only when
    /// it is told to.
    pub start: Option<Span>,
    /// Virtual routers.
    pub vrrp: VrrpConfig,
    /// Sessions of bidirectional forwarding detection.
    pub bfd: Vec<BfdConfig>,
    /// Virtual servers and their checkers.
    pub check: CheckConfig,
}
