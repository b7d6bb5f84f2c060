//! What the hosts of the usual cluster need for the forwarding methods of the rules.

use super::Builder;
use super::cluster::{Parts, Plan, default_via};
use core::net::IpAddr;
use sim_core::config::{
    FouConfig, HostConfig, InterfaceSysctl, Net, RouteConfig, TunnelConfig, TunnelKind,
};
use sim_core::ipvs::rules::{Encapsulation, Forwarding, OuterChecksum, ServerRule, ServiceKey};

impl Builder<'_> {
    /// VIPs, gateways, tunnels and ARP settings as the forwarding methods need them.
    pub(super) fn set_up(&mut self, plan: &Plan, parts: &Parts, index: usize) {
        let services = self.directors[index].rules.config.services.clone();
        // what a host types is all that is set up on it
        let scripted: Vec<String> =
            parts.directors.iter().flat_map(|name| self.scripted(name)).collect();
        for (number, name) in parts.directors.iter().enumerate() {
            let virtual_addresses = self.virtual_addresses(name);
            let Some(director) = self.host_mut(name).filter(|_| !scripted.contains(name)) else {
                continue;
            };
            forward(director);
            // else a VIP, which has the longer prefix, would be the source of what the director itself
            // sends (RFC 6724 rule 8), and real servers drop tunnel packets from an address of their own
            director.deprecated.extend(plan.vips.iter().filter(|vip| vip.is_ipv6()));
            let local = services.iter().flat_map(|s| &s.local_addresses);
            if let Some(interface) = director.interfaces.first_mut().filter(|_| number == 0) {
                let fixed = plan.vips.iter().filter(|vip| !virtual_addresses.contains(vip));
                for address in fixed.chain(local).map(|ip| Net::host(*ip)) {
                    if !interface.addresses.iter().any(|a| a.addr == address.addr) {
                        interface.addresses.push(address);
                    }
                }
            }
        }
        // an address that is no neighbour of the router is reached by way of the director
        let local = services.iter().flat_map(|s| &s.local_addresses);
        let mut afar: Vec<IpAddr> =
            plan.vips.iter().chain(local).filter(|a| !plan.subnet.contains(**a)).copied().collect();
        afar.sort_unstable();
        afar.dedup();
        if let Some(router) = self.host_mut(&parts.router) {
            let via =
                |ip: IpAddr| RouteConfig { to: Net::host(ip), ..default_via(plan.directors[0]) };
            router.routes.extend(afar.into_iter().map(via));
        }
        for service in &services {
            let vips = match service.key {
                ServiceKey::Address { vip, .. } => vec![vip],
                ServiceKey::Fwmark { .. } => plan.vips.clone(),
            };
            for (server, vip) in
                service.servers.iter().flat_map(|s| vips.iter().map(move |v| (s, *v)))
            {
                let position = plan.real_servers.iter().position(|r| *r == server.rip);
                let name = position.and_then(|p| parts.real_servers.get(p));
                let name = name.filter(|n| !scripted.contains(n));
                if let Some(host) = name.cloned().and_then(|n| self.host_mut(&n)) {
                    set_up_server(host, server, vip, plan.directors[0]);
                }
            }
        }
    }
}

/// Lets a host of the cluster forward packets of both families, and tell nobody shorter ways.
pub(super) fn forward(host: &mut HostConfig) {
    host.sysctl.ip_forward = true;
    host.sysctl.forwarding_v6 = true;
    host.sysctl.all.send_redirects = false;
    host.interfaces.iter_mut().for_each(|i| i.sysctl.send_redirects = false);
}

fn set_up_server(host: &mut HostConfig, server: &ServerRule, vip: IpAddr, dip: IpAddr) {
    let address = Net::host(vip);
    let list = match server.forwarding {
        Forwarding::Nat => {
            host.routes = vec![default_via(dip)];
            return;
        }
        Forwarding::FullNat | Forwarding::LocalNode | Forwarding::Bypass => return,
        Forwarding::Dr => &mut host.loopback,
        Forwarding::Tun => {
            host.sysctl.all.rp_filter = 0;
            &mut tunnel_end(host, server, vip.is_ipv6()).addresses
        }
    };
    if !list.contains(&address) {
        list.push(address);
    }
    host.sysctl.all.arp_ignore = 1;
    host.sysctl.all.arp_announce = 2;
}

/// The device that takes the tunnel packets of a rule, which is put up if it is not; with GUE also the
/// port.
fn tunnel_end<'a>(
    host: &'a mut HostConfig,
    server: &ServerRule,
    inner_v6: bool,
) -> &'a mut TunnelConfig {
    let outer_v6 = server.rip.is_ipv6();
    let options = server.tunnel;
    let header = if outer_v6 { 40 } else { 20 };
    let (kind, name, more) = match (options.kind, outer_v6, inner_v6) {
        (Encapsulation::Gre, false, _) => (TunnelKind::Gre, "gre0", 4),
        (Encapsulation::Gre, true, _) => (TunnelKind::Ip6Gre, "ip6gre0", 4),
        (Encapsulation::Ipip | Encapsulation::Gue, true, _) => (TunnelKind::Ip6Tnl, "ip6tnl0", 0),
        (Encapsulation::Ipip | Encapsulation::Gue, false, true) => (TunnelKind::Sit, "sit0", 0),
        (Encapsulation::Ipip | Encapsulation::Gue, false, false) => (TunnelKind::Ipip, "tunl0", 0),
    };
    if options.kind == Encapsulation::Gue
        && !host.fou.iter().any(|f| f.port == options.port && f.v6 == outer_v6)
    {
        host.fou.push(FouConfig { port: options.port, protocol: None, v6: outer_v6 });
    }
    let index = host.tunnels.iter().position(|t| t.name == name).unwrap_or_else(|| {
        host.tunnels.push(TunnelConfig {
            name: name.to_owned(),
            kind,
            local: None,
            remote: None,
            checksum: options.kind == Encapsulation::Gre && options.checksum != OuterChecksum::None,
            addresses: Vec::new(),
            mtu: 1500 - header - more,
            sysctl: InterfaceSysctl::default(),
        });
        host.tunnels.len() - 1
    });
    &mut host.tunnels[index]
}
