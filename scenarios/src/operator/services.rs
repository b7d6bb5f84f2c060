//! Services and real servers in the layouts of `ipvsadm -L`.

use super::{name, sort};
use crate::import::ipvsadm::{Listing, Names, View, flags_text};
use sim_core::ipvs::rules::{
    Encapsulation, Engine, Forwarding, OuterChecksum, ServerRule, ServiceKey, ServiceRule,
};
use sim_core::ipvs::{BUCKETS, Stats};
use sim_core::observe::{DestinationState, DirectorSnapshot, ServiceState};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

/// The table that a listing asks for.
pub(super) fn table(
    listing: &Listing,
    snapshot: &DirectorSnapshot,
    names: Option<&Names>,
) -> Result<String, &'static str> {
    let mut out = String::new();
    let services: Vec<&ServiceState> = if let Some(key) = listing.service {
        let found = snapshot.services.iter().find(|s| s.rule.key == key);
        vec![found.ok_or("No such service")?]
    } else {
        let _infallible = writeln!(out, "IP Virtual Server version 1.2.1 (size={BUCKETS})");
        if listing.unsorted {
            snapshot.services.iter().collect()
        } else {
            sort::services(&snapshot.services)
        }
    };
    out.push_str(&title(listing.view));
    for service in services {
        service_line(&mut out, service, listing, names);
        let destinations: Vec<&DestinationState> = if listing.unsorted {
            service.destinations.iter().collect()
        } else {
            sort::destinations(&service.destinations)
        };
        for destination in destinations {
            destination_line(&mut out, destination, service.rule.key, listing, names);
        }
    }
    Ok(out)
}

fn title(view: View) -> String {
    let local = "Prot LocalAddress:Port";
    let remote = "  -> RemoteAddress:Port";
    match view {
        View::Stats => {
            let columns = ["Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"];
            format!("{local:<33}{}\n{remote}\n", columns.map(|c| format!(" {c:>8}")).concat())
        }
        View::Rate => {
            let columns = ["CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"];
            format!("{local:<33}{}\n{remote}\n", columns.map(|c| format!(" {c:>8}")).concat())
        }
        View::Thresholds => format!(
            "{local:<33} {:<10} {:<10} {:<10} {:<10}\n{remote}\n",
            "Uthreshold", "Lthreshold", "ActiveConn", "InActConn"
        ),
        View::PersistentConn => format!(
            "{local:<33} {:<9} {:<11} {:<10} {:<10}\n{remote}\n",
            "Weight", "PersistConn", "ActiveConn", "InActConn"
        ),
        View::TunInfo => format!(
            "{local} Scheduler Flags\n\
             {remote}           Forward TunnelInfo    Weight ActiveConn InActConn\n"
        ),
        _ => format!(
            "{local} Scheduler Flags\n{remote}           Forward Weight ActiveConn InActConn\n"
        ),
    }
}

fn service_line(
    out: &mut String,
    service: &ServiceState,
    listing: &Listing,
    names: Option<&Names>,
) {
    let name = name::service(service.rule.key, names);
    let numbers = match listing.view {
        View::Stats => &service.stats,
        View::Rate => &service.rates,
        _ => {
            out.push_str(&name);
            parameters(out, &service.rule);
            out.push('\n');
            return;
        }
    };
    let _infallible = write!(out, "{name:<33}");
    for number in columns(numbers) {
        out.push_str(&large(number, listing.exact));
    }
    out.push('\n');
}

/// Scheduler, flags and persistence behind the name of a service.
fn parameters(out: &mut String, rule: &ServiceRule) {
    let _infallible = write!(out, " {}", rule.scheduler);
    let flags = flags_text(rule.scheduler, rule.sched_flags);
    if !flags.is_empty() {
        let _infallible = write!(out, " ({flags})");
    }
    if let Some(timeout) = rule.persistent {
        let _infallible = write!(out, " persistent {}", timeout.as_nanos() / 1_000_000_000);
        if let Some(mask) = mask(rule) {
            let _infallible = write!(out, " mask {mask}");
        }
        if let Some(Engine::Sip) = rule.engine {
            out.push_str(" pe sip");
        }
    }
    if rule.one_packet {
        out.push_str(" ops");
    }
}

/// The mask of persistent clients as ipvsadm writes it, unless it is the whole address.
pub(super) fn mask(rule: &ServiceRule) -> Option<String> {
    let v6 = match rule.key {
        ServiceKey::Address { vip, .. } => vip.is_ipv6(),
        ServiceKey::Fwmark { v6, .. } => v6,
    };
    match (v6, rule.netmask_len) {
        (true, 128..) | (false, 32..) => None,
        (true, len) => Some(len.to_string()),
        (false, len) => {
            let bits = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
            Some(Ipv4Addr::from_bits(bits).to_string())
        }
    }
}

fn destination_line(
    out: &mut String,
    state: &DestinationState,
    service: ServiceKey,
    listing: &Listing,
    names: Option<&Names>,
) {
    let rule = &state.rule;
    let address: (IpAddr, u16) = (rule.rip, rule.port);
    let _infallible = write!(out, "  -> {:<28}", name::server(address, service, names));
    let (active, inactive, weight) = (state.active, state.inactive, rule.weight);
    let _infallible = match listing.view {
        View::Stats => {
            let numbers = columns(&state.stats).map(|n| large(n, listing.exact));
            writeln!(out, "{}", numbers.concat())
        }
        View::Rate => {
            let [conns, packets_in, packets_out, bytes_in, bytes_out] = columns(&state.rates);
            let bytes = [bytes_in, bytes_out].map(|n| large(n, listing.exact)).concat();
            writeln!(out, " {conns:>8} {packets_in:>8} {packets_out:>8}{bytes}")
        }
        View::Thresholds => {
            let (upper, lower) = (rule.upper_threshold, rule.lower_threshold);
            writeln!(out, " {upper:<10} {lower:<10} {active:<10} {inactive:<10}")
        }
        View::PersistentConn => {
            let persistent = state.persistent;
            writeln!(out, " {weight:<9} {persistent:<11} {active:<10} {inactive:<10}")
        }
        View::TunInfo => {
            let (method, info) = (forward_name(rule), tunnel_info(rule));
            writeln!(out, " {method:<7} {info:<13} {weight:<6} {active:<10} {inactive:<10}")
        }
        _ => {
            let method = forward_name(rule);
            writeln!(out, " {method:<7} {weight:<6} {active:<10} {inactive:<10}")
        }
    };
}

const fn forward_name(rule: &ServerRule) -> &'static str {
    match rule.forwarding {
        Forwarding::Nat => "Masq",
        Forwarding::Dr => "Route",
        Forwarding::Tun => "Tunnel",
        Forwarding::LocalNode => "Local",
        Forwarding::Bypass => "Bypass",
        Forwarding::FullNat => "FullNat",
    }
}

fn tunnel_info(rule: &ServerRule) -> String {
    let checksum = match rule.tunnel.checksum {
        OuterChecksum::None => "-c",
        OuterChecksum::Full => "+c",
        OuterChecksum::Remote => "r+c",
    };
    match (rule.forwarding, rule.tunnel.kind) {
        (Forwarding::Tun, Encapsulation::Ipip) => "ipip".to_owned(),
        (Forwarding::Tun, Encapsulation::Gue) => format!("gue:{}:{checksum}", rule.tunnel.port),
        (Forwarding::Tun, Encapsulation::Gre) => format!("gre:{checksum}"),
        _ => "n/a".to_owned(),
    }
}

const fn columns(stats: &Stats) -> [u64; 5] {
    [stats.connections, stats.packets_in, stats.packets_out, stats.bytes_in, stats.bytes_out]
}

/// A number in nine characters, large ones in thousands and so on; or all its digits.
fn large(n: u64, exact: bool) -> String {
    if exact {
        let digits = n.to_string();
        return format!("{digits:>0$}", 9.max(digits.len() + 1));
    }
    match n {
        0..100_000_000 => format!("{n:>9}"),
        100_000_000..1_000_000_000 => format!("{:>8}K", n / 1_000),
        1_000_000_000..100_000_000_000 => format!("{:>8}M", n / 1_000_000),
        100_000_000_000..100_000_000_000_000 => format!("{:>8}G", n / 1_000_000_000),
        _ => format!("{:>8}T", n / 1_000_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_cut_not_rounded() {
        for (n, text) in [
            (0, "        0"),
            (99_999_999, " 99999999"),
            (100_000_000, "  100000K"),
            (123_456_789, "  123456K"),
            (1_999_999_999, "    1999M"),
            (100_000_000_000, "     100G"),
            (u64::MAX, "18446744T"),
        ] {
            assert_eq!(large(n, false), text);
        }
        assert_eq!(large(7, true), "        7");
        assert_eq!(large(123_456_789, true), " 123456789");
    }
}
