//! Settings that commands left.

use crate::import::commands::{Findings, HostSetup, Setting};
use sim_core::config::{HostConfig, InterfaceSysctl, IpvsSysctl};
use sim_core::engine::Span;

/// Puts the settings of commands on a host.
pub(super) fn patch(host: &mut HostConfig, setup: &HostSetup, findings: &mut Findings) {
    for (setting, value) in &setup.settings {
        let number = value.number;
        let known = match setting {
            Setting::Host(name) => of_host(host, name, number),
            Setting::Interface(device, name) => of_interface(host, device, name, number),
            Setting::Interface6(device, name) => {
                if device == "all" && *name == "forwarding" {
                    host.sysctl.forwarding_v6 = number > 0;
                }
                // the others were carried out, or make no difference to a static network
                device == "default"
                    || [
                        "forwarding",
                        "disable_ipv6",
                        "accept_ra",
                        "autoconf",
                        "accept_dad",
                        "dad_transmits",
                    ]
                    .contains(name)
            }
            Setting::Vs(name) => match &mut host.ipvs {
                Some(ipvs) => of_ipvs(&mut ipvs.sysctl, name, number),
                None => false,
            },
            // told when it was set
            Setting::Other(_) => true,
        };
        if !known {
            let message = match (setting, &host.ipvs) {
                (Setting::Vs(_), None) => "this host has no rules of ipvsadm: no effect",
                _ => "this setting makes no difference here",
            };
            findings.remark(&value.place, message);
        }
    }
}

fn small(number: i64) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn of_host(host: &mut HostConfig, name: &str, number: i64) -> bool {
    match name {
        "ipv4.ip_forward" => host.sysctl.ip_forward = number == 1,
        "ipv4.ip_default_ttl" => host.sysctl.default_ttl = small(number),
        "ipv4.icmp_echo_ignore_all" => host.sysctl.icmp_echo_ignore_all = number == 1,
        // the rates of ICMP are not limited
        _ => return false,
    }
    true
}

fn of_interface(host: &mut HostConfig, device: &str, name: &str, number: i64) -> bool {
    let slot = if device == "all" {
        Some(&mut host.sysctl.all)
    } else {
        let cable = host.interfaces.iter_mut().find(|i| i.name == device).map(|i| &mut i.sysctl);
        cable.or_else(|| host.tunnels.iter_mut().find(|t| t.name == device).map(|t| &mut t.sysctl))
    };
    // lo and interfaces that are down have settings that decide nothing
    slot.is_none_or(|slot| patch_interface(slot, name, number))
}

fn patch_interface(sysctl: &mut InterfaceSysctl, name: &str, number: i64) -> bool {
    let on = number > 0;
    match name {
        // a stronger one comes from ARP that is switched off
        "arp_ignore" => sysctl.arp_ignore = if sysctl.arp_ignore == 8 { 8 } else { small(number) },
        "arp_announce" => sysctl.arp_announce = small(number),
        "rp_filter" => sysctl.rp_filter = small(number),
        "send_redirects" => sysctl.send_redirects = on,
        "accept_redirects" => sysctl.accept_redirects = on,
        "proxy_arp" => sysctl.proxy_arp = on,
        "accept_local" => sysctl.accept_local = on,
        "arp_notify" => sysctl.arp_notify = on,
        "promote_secondaries" => {}
        _ => return false,
    }
    true
}

fn of_ipvs(sysctl: &mut IpvsSysctl, name: &str, number: i64) -> bool {
    let on = number > 0;
    let long = u32::try_from(number).unwrap_or(0);
    let seconds = Span::from_secs(u64::from(long));
    match name {
        "amemthresh" => sysctl.amemthresh = long,
        "am_droprate" => sysctl.am_droprate = long,
        "backup_only" => sysctl.backup_only = on,
        "cache_bypass" => sysctl.cache_bypass = on,
        "conntrack" => sysctl.conntrack = on,
        "drop_entry" => sysctl.drop_entry = small(number),
        "drop_packet" => sysctl.drop_packet = small(number),
        "secure_tcp" => sysctl.secure_tcp = small(number),
        "expire_quiescent_template" => sysctl.expire_quiescent_template = on,
        "ignore_tunneled" => sysctl.ignore_tunneled = on,
        "lblc_expiration" => sysctl.lblc_expiration = seconds,
        "lblcr_expiration" => sysctl.lblcr_expiration = seconds,
        "nat_icmp_send" => sysctl.nat_icmp_send = on,
        "run_estimation" => sysctl.run_estimation = on,
        "schedule_icmp" => sysctl.schedule_icmp = on,
        "sloppy_sctp" => sysctl.sloppy_sctp = on,
        "snat_reroute" => sysctl.snat_reroute = on,
        "conn_reuse_mode" => sysctl.conn_reuse_mode = small(number),
        "expire_nodest_conn" => sysctl.expire_nodest_conn = on,
        "sloppy_tcp" => sysctl.sloppy_tcp = on,
        "pmtu_disc" => sysctl.pmtu_disc = on,
        "sync_persist_mode" => sysctl.sync_persist_mode = on,
        "sync_qlen_max" => sysctl.sync_qlen_max = long,
        "sync_refresh_period" => sysctl.sync_refresh_period = seconds,
        "sync_retries" => sysctl.sync_retries = small(number),
        // of two values that are written one by one, the first
        "sync_threshold" => sysctl.sync_threshold.0 = long,
        "sync_version" => sysctl.sync_version = small(number),
        // sync_ports, sync_sock_size
        _ => return false,
    }
    true
}
