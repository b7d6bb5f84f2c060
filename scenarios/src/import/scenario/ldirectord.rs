//! What an `ldirectord.cf` tells of the network.

use super::facts::Facts;
use crate::format::units::later;
use crate::import::ldirectord::{CheckType, Host, Ldirectord, Protocol, Server, Target, Virtual};
use sim_core::config::{Net, Transport};
use sim_core::engine::Span;
use sim_core::ipvs::rules::{Forwarding, ServerRule, ServiceKey, ServiceRule};
use sim_core::wire::proto;
use std::net::IpAddr;

/// Names of real servers get addresses from here on in the network of the first VIP.
const FIRST_NAMED: u128 = 11;

impl Facts {
    /// Takes the services of an `ldirectord.cf`.
    pub(super) fn add_ldirectord(&mut self, all: &Ldirectord) {
        self.names = named(all);
        for v in &all.virtuals {
            let Some((key, port)) = self.key(v) else { continue };
            let servers = v.real.iter().filter_map(|s| self.rule(s, port)).collect();
            let service = ServiceRule { servers, ..ServiceRule::new(key) };
            if let Some(rule) = v.fallback.as_ref().and_then(|s| self.rule(s, port)) {
                self.sorry.push((service.clone(), rule));
            }
            self.checked(v, &service, port);
            self.services.push(service);
            // the real servers are checked one after the other, and are added when they answer
            let timeout = v.check_timeout.max(v.negotiate_timeout);
            self.wait = self.wait.max(v.check_interval + timeout + Span::from_secs(5));
        }
    }

    fn key(&self, v: &Virtual) -> Option<(ServiceKey, u16)> {
        match &v.target {
            Target::Fwmark(mark) => Some((ServiceKey::Fwmark { mark: *mark, v6: v.v6 }, 0)),
            Target::Address(host, port) => {
                let protocol = if v.protocol == Protocol::Udp { proto::UDP } else { proto::TCP };
                let vip = self.address(host)?;
                Some((ServiceKey::Address { protocol, vip, port: *port }, *port))
            }
        }
    }

    fn address(&self, host: &Host) -> Option<IpAddr> {
        match host {
            Host::Ip(ip) => Some(*ip),
            Host::Name(name) => self.names.iter().find(|(n, _)| n == name).map(|(_, ip)| *ip),
        }
    }

    fn rule(&self, server: &Server, port: u16) -> Option<ServerRule> {
        let mapped = server.forwarding == Forwarding::Nat && server.port > 0;
        let port = if mapped { server.port } else { port };
        let rule = ServerRule::new(self.address(&server.host)?, port);
        Some(ServerRule { forwarding: server.forwarding, ..rule })
    }

    /// What is connected to besides the services themselves.
    fn checked(&mut self, v: &Virtual, service: &ServiceRule, port: u16) {
        let connects =
            matches!(v.check, CheckType::Negotiate | CheckType::Connect | CheckType::Combined(_));
        if !connects || (v.check == CheckType::Negotiate && v.service == "none") {
            return;
        }
        let transport = if v.protocol == Protocol::Udp { Transport::Udp } else { Transport::Tcp };
        for (server, rule) in v.real.iter().zip(&service.servers) {
            let usual = [server.port, port].into_iter().find(|p| *p > 0).unwrap_or(80);
            let check = (rule.rip, transport, v.check_port.unwrap_or(usual));
            if !self.checks.contains(&check) {
                self.checks.push(check);
            }
        }
    }
}

/// Addresses for real servers that have names only: in the network of the first VIP, beside what is there.
fn named(all: &Ldirectord) -> Vec<(String, IpAddr)> {
    let hosts =
        || all.virtuals.iter().flat_map(|v| v.real.iter().chain(&v.fallback)).map(|s| &s.host);
    let vips = all.virtuals.iter().filter_map(|v| match &v.target {
        Target::Address(Host::Ip(ip), _) => Some(*ip),
        _ => None,
    });
    let mut taken: Vec<IpAddr> = vips.clone().collect();
    taken.extend(hosts().filter_map(|h| if let Host::Ip(ip) = h { Some(*ip) } else { None }));
    let first = vips.into_iter().next().unwrap_or(IpAddr::from([192, 168, 10, 0]));
    let base = Net::new(first, if first.is_ipv4() { 24 } else { 64 }).network().addr;
    let mut names: Vec<(String, IpAddr)> = Vec::new();
    for host in hosts() {
        let Host::Name(name) = host else { continue };
        if names.iter().any(|(n, _)| n == name) || names.len() == 80 {
            continue;
        }
        let mut free = (FIRST_NAMED..250).map(|n| later(base, n)).filter(|ip| !taken.contains(ip));
        if let Some(ip) = free.next() {
            taken.push(ip);
            names.push((name.clone(), ip));
        }
    }
    names
}
