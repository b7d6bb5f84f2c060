//! What must fit together: addresses, gateways, rules.

use super::Builder;
use super::applications::addresses;
use crate::diagnostic::{Place, Problem};
use crate::format::sections::ALLOWED;
use core::net::IpAddr;
use sim_core::config::{HostConfig, WorldConfig};
use sim_core::ipvs::rules::Forwarding;
use sim_core::net::topology::{Severity, Topology};

impl Builder<'_> {
    pub(super) fn check(&mut self) {
        self.check_routes();
        self.check_rules();
        self.check_gateways();
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

    /// What the network itself finds impossible; only asked if nothing else is wrong.
    pub(super) fn check_network(&mut self, config: &WorldConfig) {
        let allowed = self.record.list::<String>("allow");
        for finding in Topology::new(config).check() {
            let name = finding.problem.name();
            if finding.severity != Severity::Error || allowed.iter().any(|a| a.value == name) {
                continue;
            }
            let message = format!("{}: {}", finding.place, finding.explanation);
            let word = |c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c));
            let text = format!("{} {}", finding.place, finding.explanation);
            let named = |h: &&HostConfig| text.split(word).any(|w| w == h.name);
            let place = match self.hosts.iter().find(named) {
                Some(host) => self.place_of_host(&host.name.clone()),
                None => self.record.place_of("link").clone(),
            };
            let problem = Problem::new(&place, message, name);
            self.problems.push(if ALLOWED.contains(&name) {
                problem.help(format!("if it is meant: allow = [\"{name}\"] in the scenario"))
            } else {
                problem
            });
        }
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

    /// In a cluster that is set up by itself, a real server has one way out: the director for NAT,
    /// the router for the other methods. Answers of DR that go back to the director carry one of
    /// its own addresses as source, so it drops them.
    fn check_gateways(&mut self) {
        let auto = self.record.table("cluster").map(|c| c.value::<String>("setup"));
        let Some(parts) = self.cluster.clone().filter(|_| auto.as_deref() == Some("auto")) else {
            return;
        };
        let own_routes: Vec<String> = self
            .record
            .tables("host")
            .iter()
            .filter(|h| h.has("routes"))
            .map(|h| h.value("name"))
            .collect();
        let mut found = Vec::new();
        for name in parts.real_servers.iter().filter(|n| !own_routes.contains(n)) {
            let Some(host) = self.host(name) else { continue };
            let mut methods: Vec<(Forwarding, &Place)> = Vec::new();
            for director in &self.directors {
                let services = director.rules.config.services.iter().zip(&director.rules.servers);
                let servers = services.flat_map(|(s, places)| s.servers.iter().zip(places));
                let mine = servers.filter(|(s, _)| addresses(host).any(|a| a == s.rip));
                methods.extend(mine.map(|(s, place)| (s.forwarding, place)));
            }
            let nat = methods.iter().find(|m| m.0 == Forwarding::Nat);
            // FULLNAT works with any gateway
            let other =
                methods.iter().find(|m| !matches!(m.0, Forwarding::Nat | Forwarding::FullNat));
            if let (Some((_, place)), Some((method, _))) = (nat, other) {
                let message = format!(
                    "{name} is reached by NAT here and by {method} elsewhere: it has one gateway, \
                     the director for NAT or the router for {method}"
                );
                let help =
                    "use one method for a real server, or give it routes of its own in a [[host]]";
                found.push(Problem::new(place, message, "this real server").help(help));
            }
        }
        self.problems.append(&mut found);
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
                    let held = server.rip.is_loopback()
                        || self.hosts.iter().any(|h| addresses(h).any(|a| a == server.rip));
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

fn reaches(host: &HostConfig, gateway: IpAddr) -> bool {
    host.interfaces.iter().flat_map(|i| &i.addresses).any(|a| !a.is_host() && a.contains(gateway))
}
