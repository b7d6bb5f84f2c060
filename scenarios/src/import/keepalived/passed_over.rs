//! What is accepted of a configuration and changes nothing here.

use super::{Configuration, Node};
use crate::diagnostic::Place;

/// Blocks that are played.
const PLAYED: [&str; 10] = [
    "virtual_server",
    "vrrp_instance",
    "vrrp_sync_group",
    "vrrp_script",
    "vrrp_track_file",
    "track_file",
    "vrrp_track_process",
    "track_process",
    "bfd_instance",
    "garp_group",
];

/// Keywords of `global_defs` that are played.
const GLOBAL: [&str; 28] = [
    "default_interface",
    "lvs_flush",
    "lvs_flush_on_stop",
    "lvs_flush_onstop",
    "lvs_sync_daemon",
    "lvs_timeouts",
    "vrrp_check_unicast_src",
    "vrrp_delay_after_boot",
    "vrrp_down_timer_adverts",
    "vrrp_garp_interval",
    "vrrp_garp_lower_prio_delay",
    "vrrp_garp_lower_prio_repeat",
    "vrrp_garp_master_delay",
    "vrrp_garp_master_refresh",
    "vrrp_garp_master_refresh_repeat",
    "vrrp_garp_master_repeat",
    "vrrp_gna_interval",
    "vrrp_higher_prio_send_advert",
    "vrrp_lower_prio_no_advert",
    "vrrp_mcast_group4",
    "vrrp_mcast_group6",
    "vrrp_min_garp",
    "vrrp_owner_ignore_adverts",
    "vrrp_startup_delay",
    "vrrp_version",
    "interface_up_down_delays",
    "max_auto_priority",
    "min_auto_priority_delay",
];

/// Keywords of blocks that are played, of which nothing follows here: notifications, routes and rules that
/// go with an address, logging, what is about real processes and kernels.
const WITHOUT: [&str; 38] = [
    "accept",
    "auth_hmac",
    "bind_if",
    "debug",
    "fwmark",
    "garp_extra_if",
    "helo_name",
    "http_protocol",
    "kernel_rx_buf_size",
    "linkbeat_use_polling",
    "log_all_failures",
    "native_ipv6",
    "no_accept",
    "no_virtual_ipaddress",
    "notify",
    "notify_backup",
    "notify_deleted",
    "notify_down",
    "notify_fault",
    "notify_master",
    "notify_master_rx_lower_pri",
    "notify_priority_changes",
    "notify_stop",
    "notify_up",
    "old_unicast_checksum",
    "omega",
    "promote_secondaries",
    "quorum_down",
    "quorum_up",
    "skip_check_adv_addr",
    "smtp_alert",
    "strict_mode",
    "track_src_ip",
    "unicast_fault_no_peer",
    "user",
    "v3_checksum_as_v2",
    "virtual_routes",
    "virtual_rules",
];

impl Configuration {
    /// Keywords that are accepted and change nothing here, each with its place, in the order of the
    /// text: blocks as a whole, others as `BLOCK: KEYWORD`.
    pub fn passed_over(&self) -> Vec<(Place, String)> {
        let mut all = Vec::new();
        for node in &self.nodes {
            let title = node.word(1).map(|w| format!(" {w}")).unwrap_or_default();
            let name = format!("{}{title}", node.name());
            match node.name() {
                "global_defs" => {
                    let others = node.inner.iter().filter(|n| !GLOBAL.contains(&n.name()));
                    all.extend(others.map(|n| (n.place(), format!("global_defs: {}", n.name()))));
                }
                "interface_up_down_delays" | "virtual_server_group" => {}
                word if PLAYED.contains(&word) => within(node, &name, &mut all),
                _ => all.push((node.place(), name)),
            }
        }
        all
    }
}

fn within(node: &Node, name: &str, all: &mut Vec<(Place, String)>) {
    for inner in &node.inner {
        if WITHOUT.contains(&inner.name()) {
            all.push((inner.place(), format!("{name}: {}", inner.name())));
        } else {
            within(inner, name, all);
        }
    }
}
