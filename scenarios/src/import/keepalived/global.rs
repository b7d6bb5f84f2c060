//! `global_defs`.

use super::tree::Node;
use super::vrrp::{number, time};
use crate::diagnostic::Place;
use sim_core::engine::Span;
use sim_core::ipvs::rules::TimeoutRule;

/// What holds for everything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Global {
    /// `router_id`.
    pub router_id: Option<String>,
    /// `vrrp_version`, by default 2.
    pub version: u8,
    /// `vrrp_garp_master_delay`, by default 5 s.
    pub garp_delay: Span,
    /// `vrrp_garp_master_repeat`, by default 5.
    pub garp_repeat: u32,
    /// `vrrp_startup_delay`, by default 0.
    pub startup_delay: Span,
    /// `lvs_timeouts`.
    pub timeouts: TimeoutRule,
    /// `lvs_sync_daemon`: its interface and its place.
    pub sync_daemon: Option<(String, Place)>,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            router_id: None,
            version: 2,
            garp_delay: Span::from_secs(5),
            garp_repeat: 5,
            startup_delay: Span::ZERO,
            timeouts: TimeoutRule::default(),
            sync_daemon: None,
        }
    }
}

/// Reads all `global_defs` blocks, as if they were one.
pub(super) fn read(nodes: &[Node]) -> Global {
    let mut global = Global::default();
    for node in nodes.iter().filter(|n| n.name() == "global_defs") {
        if let Some(id) = node.last("router_id").and_then(|n| n.word(1)) {
            global.router_id = Some(id.to_owned());
        }
        global.version = number(node, "vrrp_version").unwrap_or(global.version);
        global.garp_delay = time(node, "vrrp_garp_master_delay").unwrap_or(global.garp_delay);
        global.garp_repeat = number(node, "vrrp_garp_master_repeat").unwrap_or(global.garp_repeat);
        global.startup_delay = time(node, "vrrp_startup_delay").unwrap_or(global.startup_delay);
        if let Some(timeouts) = node.last("lvs_timeouts") {
            let after = |name: &str| {
                let word = super::entries::behind(&timeouts.words, name)?;
                word.text.parse().ok().map(Span::from_secs)
            };
            let (tcp, tcp_fin, udp) = (after("tcp"), after("tcpfin"), after("udp"));
            global.timeouts = TimeoutRule { tcp, tcp_fin, udp };
        }
        if let Some(daemon) = node.last("lvs_sync_daemon") {
            let interface = daemon.word(1).unwrap_or_default().to_owned();
            global.sync_daemon = Some((interface, daemon.place()));
        }
    }
    global
}
