//! What must fit together: addresses, gateways, rules.

use super::Builder;
use super::applications::addresses;
use crate::diagnostic::{Place, Problem};
use sim_core::config::HostConfig;
use sim_core::ipvs::rules::ServiceKey;
use sim_core::wire::{Ip, Prefix};

impl Builder<'_> {
    pub(super) fn check(&mut self) {
        self.check_addresses();
        self.check_routes();
        self.check_rules();
    }

    /// The place of the table that describes a host.
    fn place_of_host(&self, name: &str) -> Place {
        let tables = self.record.tables("host");
        let named = |t: &&&crate::format::Record| {
            let own: String = t.value("name");
            own == name || (t.has("count") && name.starts_with(&own))
        };
        tables
            .iter()
            .find(named)
            .map_or_else(|| self.record.place_of("cluster").clone(), |t| t.place_of("name").clone())
    }

    /// No two interfaces have one address; a VIP that DR needs twice stands on `lo`.
    fn check_addresses(&mut self) {
        let mut seen: Vec<(Ip, String)> = self
            .hosts
            .iter()
            .flat_map(|h| h.interfaces.iter().map(move |i| (h, i)))
            .flat_map(|(h, i)| i.addresses.iter().map(move |a| (a.ip, h.name.clone())))
            .collect();
        seen.sort();
        let vips: Vec<Ip> = self.vips();
        let twice: Vec<_> = seen
            .windows(2)
            .filter(|w| w[0].0 == w[1].0 && !vips.contains(&w[0].0))
            .map(|w| (w[0].0, w[0].1.clone(), w[1].1.clone()))
            .collect();
        for (ip, first, second) in twice {
            let place = self.place_of_host(&second);
            let message = format!("`{first}` and `{second}` both have the address {ip}");
            self.wrong(&place, message, "two hosts with one address");
        }
    }

    fn vips(&self) -> Vec<Ip> {
        let services = self.directors.iter().flat_map(|d| &d.rules.config.services);
        services
            .filter_map(|s| match s.key {
                ServiceKey::Address { vip, .. } => Some(vip),
                ServiceKey::Fwmark(_) => None,
            })
            .collect()
    }

    /// A gateway must be a neighbour, an interface must exist.
    fn check_routes(&mut self) {
        let mut found = Vec::new();
        for host in &self.hosts {
            for hop in host.routes.iter().flat_map(|r| &r.hops) {
                if let Some(dev) = &hop.dev
                    && !host.interfaces.iter().any(|i| i.name == *dev)
                {
                    found.push((
                        host.name.clone(),
                        format!(
                            "a route of `{}` goes out of `{dev}`, which it does not have",
                            host.name
                        ),
                    ));
                } else if let Some(via) = hop.via
                    && hop.dev.is_none()
                    && !reaches(host, via)
                {
                    found.push((
                        host.name.clone(),
                        format!("the gateway {via} of `{}` is in none of its networks", host.name),
                    ));
                }
            }
            for (dev, _, _) in &host.neighbours {
                if !host.interfaces.iter().any(|i| i.name == *dev) {
                    found.push((
                        host.name.clone(),
                        format!(
                            "a neighbour of `{}` is on `{dev}`, which it does not have",
                            host.name
                        ),
                    ));
                }
            }
        }
        for (host, message) in found {
            let place = self.place_of_host(&host);
            self.wrong(&place, message, "this host");
        }
    }

    /// In a cluster, every destination of the rules is a host.
    fn check_rules(&mut self) {
        if self.cluster.is_none() {
            return;
        }
        let mut found = Vec::new();
        for director in &self.directors {
            let services = director.rules.config.services.iter().zip(&director.rules.servers);
            for (service, places) in services {
                for (server, place) in service.servers.iter().zip(places) {
                    let held = self.hosts.iter().any(|h| addresses(h).any(|a| a == server.rip));
                    if !held {
                        let message = format!("no host has the address {}", server.rip);
                        let problem = Problem::new(place, message, "this real server")
                            .help("give [cluster.real_servers] its address, or add a [[host]]");
                        found.push(problem);
                    }
                }
            }
        }
        self.problems.append(&mut found);
    }
}

fn reaches(host: &HostConfig, gateway: Ip) -> bool {
    host.interfaces
        .iter()
        .flat_map(|i| &i.addresses)
        .any(|a| a.len < 32 && Prefix::new(a.ip, a.len).contains(gateway))
}
