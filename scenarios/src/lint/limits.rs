//! Limits that a load runs into: thresholds, the MTU of tunnels.

use super::Judgement;
use super::cluster::{Cluster, Hop, next_hop, rate, service_name};
use sim_core::config::{HostConfig, Transport};
use sim_core::ipvs::rules::{Encapsulation, Forwarding, ServerRule};

pub(super) fn judge(cluster: &Cluster<'_>, found: &mut Vec<Judgement>) {
    thresholds(cluster, found);
    tunnels(cluster, found);
}

/// Seconds an entry of a closed TCP connection stays: `TIME_WAIT` with NAT, `FIN_WAIT` with DR and TUN.
const CLOSED: f64 = 120.0;

/// Thresholds count entries of connections that have long been closed.
fn thresholds(cluster: &Cluster<'_>, found: &mut Vec<Judgement>) {
    for (director, service) in cluster.services() {
        let mut offered = 0.0;
        let mut tcp = false;
        for client in cluster.clients_of(director, service) {
            offered += rate(client.application).unwrap_or(0.0);
            tcp |= client.application.transport == Transport::Tcp;
        }
        let room: f64 = service.servers.iter().map(|s| f64::from(s.upper_threshold)).sum();
        let limited = service.servers.iter().all(|s| s.upper_threshold > 0);
        let run = cluster.config.duration.as_secs_f64();
        let entries = offered * CLOSED.min(run);
        if !tcp || !limited || service.servers.is_empty() || entries <= room {
            continue;
        }
        found.push(Judgement {
            name: "threshold-full-of-closed",
            place: service_name(director, service),
            message: format!(
                "{offered:.0} connections a second leave {entries:.0} entries of closed connections, \
                 but the upper thresholds allow {room:.0} together: new connections are refused \
                 though the real servers are idle"
            ),
            reason: "thresholds count active and inactive connections, and an entry lives 120 s after \
                     the close (ip_vs_dest_totalconns, the timeouts of TIME_WAIT and FIN_WAIT)",
            help: format!("set -x to at least {:.0} for each real server", (entries / service.servers.len() as f64).ceil()),
        });
    }
}

/// Requests that do not fit into the tunnel without learning its MTU first.
fn tunnels(cluster: &Cluster<'_>, found: &mut Vec<Judgement>) {
    for member in cluster.members().filter(|m| m.rule.forwarding == Forwarding::Tun) {
        let outer = overhead(member.rule);
        let Some(mtu) = mtu_towards(member.director, member.rule) else { continue };
        let room = mtu.saturating_sub(outer);
        for client in cluster.clients_of(member.director, member.service) {
            let own = client.host.interfaces.iter().map(|i| i.mtu).max().unwrap_or(1500);
            let headers = if client.application.target.0.is_ipv4() { 40 } else { 60 };
            let mss = own.min(client.host.tcp.mss.saturating_add(headers));
            let large = client.application.request.mean().unwrap_or(0.0);
            if large <= f64::from(room.saturating_sub(headers + 12)) || mss <= room {
                continue;
            }
            found.push(Judgement {
                name: "tunnel-too-narrow",
                place: service_name(member.director, member.service),
                message: format!(
                    "requests of {large:.0} bytes from {} come in packets of {mss} bytes, but the tunnel \
                     to {} carries {room}: the first ones are dropped, and where ICMP is filtered the \
                     request hangs",
                    client.host.name, member.host.name
                ),
                reason: "the outer header takes room; with pmtu_disc the director answers a packet with \
                         DF by ICMP fragmentation needed (ensure_mtu_is_adequate)",
                help: format!(
                    "a larger MTU between {} and {}, or an MSS of at most {} at the clients",
                    member.director.name,
                    member.host.name,
                    room.saturating_sub(headers)
                ),
            });
        }
    }
}

/// Bytes of the outer headers.
const fn overhead(rule: &ServerRule) -> u16 {
    let ip = if rule.rip.is_ipv4() { 20 } else { 40 };
    ip + match rule.tunnel.kind {
        Encapsulation::Ipip => 0,
        Encapsulation::Gre => 4,
        Encapsulation::Gue => 12,
    }
}

/// The MTU of the director's interface towards a real server.
fn mtu_towards(director: &HostConfig, rule: &ServerRule) -> Option<u16> {
    let Hop::Out { via, dev } = next_hop(director, rule.rip) else { return None };
    let near =
        super::cluster::neighbour_of(director, via.unwrap_or(rule.rip)).map(|(name, _)| name);
    let name = dev.or(near)?;
    director.interfaces.iter().find(|i| i.name == name).map(|i| i.mtu)
}
