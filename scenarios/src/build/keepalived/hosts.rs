//! keepalived on the hosts of a scenario.

use super::super::{Builder, heartbeat};
use super::configure;
use crate::diagnostic::{At, Problem};
use crate::import::commands::Findings;
use crate::model::KeepalivedFile;
use core::net::IpAddr;
use sim_core::config::{
    HostConfig, IpvsConfig, KeepalivedConfig, Net, VirtualAddress, VrrpInstance, WorldConfig,
};
use sim_core::ipvs::rules::ServiceKey;

impl Builder<'_> {
    /// The host of a file, if the cluster has been made.
    fn host_of(&self, file: &KeepalivedFile) -> Option<At<String>> {
        let of_cluster = || {
            let parts = self.cluster.as_ref()?;
            Some(At::new(parts.director.clone(), file.place.clone()))
        };
        file.host.clone().or_else(of_cluster)
    }

    /// The addresses that keepalived sets and removes on a host.
    pub(in super::super) fn virtual_addresses(&self, host: &str) -> Vec<IpAddr> {
        let mine =
            |f: &&KeepalivedFile| f.host.as_ref().is_none_or(|h| self.stands_for(&h.value, host));
        let instances =
            self.keepalived.iter().filter(mine).flat_map(|f| &f.configuration.instances);
        instances.flat_map(|i| i.addresses.iter().chain(&i.excluded)).map(|a| a.ip).collect()
    }

    /// Puts keepalived onto its hosts.
    pub(in super::super) fn keepalived(&mut self, findings: &mut Findings) {
        if self.lacks_cluster() {
            return;
        }
        for file in self.keepalived.clone() {
            let Some(name) = self.host_of(&file) else {
                let message = "[director] lacks the key `host`";
                let problem = Problem::new(&file.place, message, "on which host?")
                    .help("only the director of [cluster] needs no name")
                    .derived();
                self.problems.push(problem);
                continue;
            };
            for member in self.members(&name) {
                let Some(host) = self.host_mut(&member) else { continue };
                let KeepalivedFile { configuration, schedules, start, .. } = &file;
                let config = configure(configuration, host, schedules, *start, findings);
                let daemon = config.vrrp.sync_daemon.is_some();
                if host.ipvs.is_none() && (daemon || !config.check.virtual_servers.is_empty()) {
                    host.ipvs = Some(IpvsConfig::default());
                }
                host.keepalived = Some(config);
            }
        }
    }
}

/// A world as it is when all is well: each virtual address on the host whose keepalived has the highest
/// priority for it, with the services of that keepalived and all their real servers. Mistakes of a set-up
/// are looked for there.
pub fn settled(config: &WorldConfig) -> WorldConfig {
    let mut settled = config.clone();
    for host in &mut settled.hosts {
        let Some(keepalived) = &host.keepalived else { continue };
        let mine = |i: &&VrrpInstance| masters(config, i).is_some_and(|h| h.name == host.name);
        let instances: Vec<VrrpInstance> =
            keepalived.vrrp.instances.iter().filter(mine).cloned().collect();
        if instances.is_empty() && !keepalived.vrrp.instances.is_empty() {
            // rules that wait for an address that it may get
            let all = keepalived.vrrp.instances.iter().flat_map(|i| &i.addresses);
            let awaited: Vec<IpAddr> = all.map(|a| a.net.addr).collect();
            let waits = |key: ServiceKey| matches!(key, ServiceKey::Address { vip, .. } if awaited.contains(&vip));
            if let Some(ipvs) = &mut host.ipvs {
                ipvs.services.retain(|s| !waits(s.key));
            }
            continue;
        }
        let services = services(keepalived);
        if let Some(ipvs) = &mut host.ipvs {
            ipvs.services.extend(services);
        }
        for instance in instances {
            let all = instance.addresses.iter().chain(&instance.excluded);
            all.for_each(|a| add_address(host, &instance.interface, a));
        }
    }
    heartbeat::settle(&mut settled);
    settled
}

/// The services of a keepalived with all their real servers.
fn services(keepalived: &KeepalivedConfig) -> Vec<sim_core::ipvs::rules::ServiceRule> {
    let mut all = Vec::new();
    for server in &keepalived.check.virtual_servers {
        for service in &server.services {
            let servers = server.servers.iter().map(|s| s.rule).collect();
            all.push(sim_core::ipvs::rules::ServiceRule { servers, ..service.clone() });
        }
    }
    all
}

fn add_address(host: &mut HostConfig, interface: &str, address: &VirtualAddress) {
    let device = address.device.as_deref().unwrap_or(interface);
    if device == "lo" {
        host.loopback.push(address.net);
    } else if let Some(i) = host.interfaces.iter_mut().find(|i| i.name == device)
        && !i.addresses.iter().any(|a: &Net| a.addr == address.net.addr)
    {
        i.addresses.push(address.net);
    }
}

/// The host whose instance of the same virtual router has the highest priority; of equal ones the first.
fn masters<'a>(config: &'a WorldConfig, instance: &VrrpInstance) -> Option<&'a HostConfig> {
    let priority = |host: &HostConfig| {
        let keepalived = host.keepalived.as_ref()?;
        let same = |i: &&VrrpInstance| {
            (i.vrid, i.is_v6()) == (instance.vrid, instance.is_v6())
                && i.addresses.iter().any(|a| instance.addresses.contains(a))
                || i.addresses.is_empty()
                    && instance.addresses.is_empty()
                    && i.vrid == instance.vrid
        };
        keepalived.vrrp.instances.iter().filter(same).map(|i| i.priority).max()
    };
    let mut best: Option<(u8, &HostConfig)> = None;
    for host in &config.hosts {
        if let Some(p) = priority(host)
            && best.is_none_or(|(b, _)| p > b)
        {
            best = Some((p, host));
        }
    }
    best.map(|(_, host)| host)
}
