//! Virtual servers as rules of a director, as they are while every real server is up.

use super::{Configuration, Findings, RealServer, SyncDaemon, Target, VirtualServer};
use crate::import::ipvsadm::{Action, Player, Rules};
use sim_core::ipvs::Command;
use sim_core::ipvs::rules::{
    Daemon, DaemonRole, Engine, Forwarding, ServerRule, ServiceKey, ServiceRule,
};

impl Configuration {
    /// The rules that keepalived gives to the kernel while all checks succeed: services and real
    /// servers in the order of the file. A weight above 65535 becomes 65535.
    ///
    /// Remarks tell what of the configuration has no effect on them.
    pub fn rules(&self, findings: &mut Findings) -> Rules {
        let mut player = Player::default();
        for server in &self.servers {
            for target in &server.targets {
                let service = server.service(*target);
                let add = Action::Change(Command::AddService(service.clone()));
                if let Err(problem) = player.play(&add, &server.place) {
                    findings.problems.push(problem);
                    continue;
                }
                for (rule, real) in real_servers(server, *target).into_iter().zip(&server.servers) {
                    let add = Action::Change(Command::AddServer(service.key, rule));
                    findings.problems.extend(player.play(&add, &real.place).err());
                }
            }
            note(server, findings);
        }
        let mut rules = player.finish();
        rules.config.timeouts = self.global.timeouts;
        if let Some(daemon) = &self.global.sync_daemon {
            let daemons = self.daemons(daemon);
            let roles: Vec<&str> = daemons.iter().map(|d| d.role.name()).collect();
            let message = format!(
                "the connection sync daemon starts as {} and stays so: VRRP is not simulated with `rules_file`",
                roles.join(" and ")
            );
            findings.remark(&daemon.place, message);
            rules.config.daemons.extend(daemons);
        }
        for instance in &self.instances {
            let message = format!(
                "VRRP is not simulated with `rules_file`: the director has the addresses of {} as its scenario says",
                instance.name
            );
            findings.remark(&instance.place, message);
        }
        rules
    }

    /// The same with the sorry servers beside the real servers: all destinations that there can be.
    pub fn destinations(&self) -> Rules {
        let mut rules = self.rules(&mut Findings::default());
        for server in &self.servers {
            for target in &server.targets {
                let key = server.service(*target).key;
                let Some(sorry) = &server.sorry else { continue };
                let rule = sorry.rule(target.port());
                let Some(service) = rules.config.services.iter_mut().find(|s| s.key == key) else {
                    continue;
                };
                // one that is a real server too is there already
                let known = |s: &ServerRule| (s.rip, s.port) == (rule.rip, rule.port);
                if !service.servers.iter().any(known) {
                    service.servers.push(rule);
                }
            }
        }
        rules
    }

    /// The sync daemons: the one that the instance's state asks for, without an instance both.
    fn daemons(&self, stated: &SyncDaemon) -> Vec<Daemon> {
        let instance = self.instances.iter().find(|i| Some(&i.name) == stated.instance.as_ref());
        let roles = match instance {
            Some(instance) if instance.master => &[DaemonRole::Master][..],
            Some(_) => &[DaemonRole::Backup],
            None => &[DaemonRole::Master, DaemonRole::Backup],
        };
        let daemon = |role| Daemon {
            role,
            interface: stated.interface.clone(),
            syncid: stated.id,
            group: stated.group,
            port: stated.port,
            ttl: stated.ttl,
            maxlen: stated.maxlen,
        };
        roles.iter().map(|role| daemon(*role)).collect()
    }
}

impl VirtualServer {
    /// The IPVS service of one of its targets, without real servers.
    pub fn service(&self, target: Target) -> ServiceRule {
        let v6 = self.servers.first().is_some_and(|s| s.ip.is_ipv6());
        let key = match target {
            Target::Address { ip, port } => {
                ServiceKey::Address { protocol: self.protocol, vip: ip, port }
            }
            Target::Fwmark { mark, v6: family } => {
                ServiceKey::Fwmark { mark, v6: family.unwrap_or(v6) }
            }
        };
        let plain = ServiceRule::new(key);
        ServiceRule {
            scheduler: self.scheduler,
            sched_flags: self.sched_flags,
            persistent: self.persistence,
            netmask_len: self.granularity.unwrap_or(plain.netmask_len).min(plain.netmask_len),
            one_packet: self.one_packet,
            engine: self.engine.as_ref().filter(|e| *e == "sip").map(|_| Engine::Sip),
            ..plain
        }
    }
}

impl RealServer {
    /// Its rule in a service on a port (0 for a mark). Without NAT it has the port of the service.
    pub fn rule(&self, service_port: u16) -> ServerRule {
        let mapped = self.forwarding == Forwarding::Nat && self.port > 0;
        ServerRule {
            port: if mapped { self.port } else { service_port },
            forwarding: self.forwarding,
            tunnel: self.tunnel,
            weight: u16::try_from(self.weight).unwrap_or(u16::MAX),
            upper_threshold: self.thresholds.0,
            lower_threshold: self.thresholds.1,
            ..ServerRule::new(self.ip, service_port)
        }
    }
}

fn real_servers(server: &VirtualServer, target: Target) -> Vec<ServerRule> {
    server.servers.iter().map(|s| s.rule(target.port())).collect()
}

fn note(server: &VirtualServer, findings: &mut Findings) {
    let mut without = Vec::new();
    if server.servers.iter().any(|s| !s.checkers.is_empty()) {
        without.push("health checks");
    }
    if server.servers.iter().any(|s| s.inhibit) {
        without.push("inhibit_on_failure");
    }
    if server.sorry.is_some() {
        without.push("sorry_server");
    }
    if server.quorum > 1 {
        without.push("quorum");
    }
    if server.ha_suspend {
        without.push("ha_suspend");
    }
    if !without.is_empty() {
        let verb = if without.len() == 1 && !without[0].ends_with('s') { "is" } else { "are" };
        let message = format!(
            "{} {verb} not simulated with `rules_file`: all real servers stay up",
            without.join(", ")
        );
        findings.remark(&server.place, message);
    }
}
