//! Rules that a director starts with: what lines leave when they are played one after the other.

use super::action::{Action, key_text};
use super::{Names, address, is_v6, line, lines, words};
use crate::diagnostic::{FileId, Place, Problem};
use crate::format::words::list;
use schedulers::Algorithm;
use sim_core::config::IpvsConfig;
use sim_core::ipvs::Command;
use sim_core::ipvs::rules::{Forwarding, ServerRule, ServiceKey, ServiceRule};
use std::net::{IpAddr, SocketAddr};

/// Rules with the places they were written at.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rules {
    /// The rules and timeouts; its settings are the kernel's defaults.
    pub config: IpvsConfig,
    /// Where each service was stated last.
    pub services: Vec<Place>,
    /// Where the real servers of each service were stated last.
    pub servers: Vec<Vec<Place>>,
    /// Ports that were asked for and not taken.
    pub mapped: Vec<PortMapping>,
    /// Services whose line was wrong: what follows about them is no further mistake.
    broken: Vec<ServiceKey>,
}

/// A port asked of a real server by a method that cannot map ports: ipvsadm took that of the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortMapping {
    /// The service.
    pub service: ServiceKey,
    /// The real server.
    pub rip: IpAddr,
    /// The port that was asked for.
    pub asked: u16,
    /// DR or TUN.
    pub method: Forwarding,
}

impl PortMapping {
    /// What a line asked for, if it is such a thing.
    fn of(file: FileId, raw: &str, action: &Action, names: &Names) -> Option<Self> {
        let Action::Change(Command::AddServer(service, rule) | Command::EditServer(service, rule)) =
            action
        else {
            return None;
        };
        let ServiceKey::Address { protocol, port, .. } = *service else { return None };
        if !matches!(rule.forwarding, Forwarding::Dr | Forwarding::Tun) {
            return None;
        }
        let parsed = words::options(&words::words(file, 0, raw));
        let given = parsed.options.iter().find(|g| g.opt.long == "real-server")?;
        let asked = address::address(given.argument.as_ref()?, protocol, names, "").ok()?.port?;
        let mapping = Self { service: *service, rip: rule.rip, asked, method: rule.forwarding };
        (asked != port).then_some(mapping)
    }
}

/// Reads lines and plays them one after the other.
pub(super) fn read(
    file: FileId,
    base: usize,
    text: &str,
    names: &Names,
    problems: &mut Vec<Problem>,
) -> Rules {
    let mut rules = Rules::default();
    lines(file, base, text, |place, raw| match line(file, place.span.start, raw, names) {
        Ok(Some(action)) => {
            rules.mapped.extend(PortMapping::of(file, raw, &action, names));
            problems.extend(rules.play(&action, &place).err());
        }
        Ok(None) => {}
        Err(mut found) => {
            let words = words::words(file, 0, raw);
            rules.broken.extend(line::service_of(&words, names));
            problems.append(&mut found);
        }
    });
    rules
}

impl Rules {
    /// Does what a line of a rules file asks for. What only shows or counts changes nothing.
    ///
    /// # Errors
    /// What ipvsadm or the kernel refuses, in their words.
    pub fn play(&mut self, action: &Action, place: &Place) -> Result<(), Problem> {
        match action {
            Action::Change(change) => self.change(change, place),
            Action::Restore => {
                let message = "the command --restore has no place in rules";
                Err(Problem::new(place, message, "rules cannot read themselves"))
            }
            _ => Ok(()),
        }
    }

    fn change(&mut self, change: &Command, place: &Place) -> Result<(), Problem> {
        let missing = "No such service";
        match change {
            Command::AddService(rule) => self.add_service(rule, place)?,
            Command::EditService(rule) => {
                if let Some(index) = self.service(rule.key, place, missing)? {
                    self.services[index] = place.clone();
                }
            }
            Command::DeleteService(key) => {
                if let Some(index) = self.service(*key, place, missing)? {
                    self.services.remove(index);
                    self.servers.remove(index);
                }
            }
            Command::Clear => {
                self.services.clear();
                self.servers.clear();
            }
            Command::AddServer(key, rule) => self.add_server(*key, rule, place)?,
            Command::EditServer(key, rule) => {
                if let Some((index, at)) = self.server(*key, (rule.rip, rule.port), place)? {
                    self.servers[index][at] = place.clone();
                }
            }
            Command::DeleteServer(key, rip, port) => {
                if let Some((index, at)) = self.server(*key, (*rip, *port), place)? {
                    self.servers[index].remove(at);
                }
            }
            Command::AddLocalAddress(key, address) => {
                let Some(index) = self.service(*key, place, "Service not defined")? else {
                    return Ok(());
                };
                let service = &self.config.services[index];
                if address.is_ipv6() != is_v6(*key) {
                    let label = "a local address is of the family of the service";
                    return Err(Problem::new(place, "illegal local address specified", label));
                }
                if service.local_addresses.contains(address) {
                    let label = "this local address was added to the service before";
                    return Err(Problem::new(place, "Local address already exists", label));
                }
            }
            Command::DeleteLocalAddress(key, address) => {
                let Some(index) = self.service(*key, place, "Service not defined")? else {
                    return Ok(());
                };
                let local = &self.config.services[index].local_addresses;
                if !local.contains(address) {
                    let known = list(local.iter().map(ToString::to_string));
                    let known = if known.is_empty() { "none".to_owned() } else { known };
                    let label = format!("local addresses of the service: {known}");
                    return Err(Problem::new(place, "No such local address", label));
                }
            }
            Command::Zero(Some(key)) => {
                self.service(*key, place, missing)?;
            }
            Command::SetTimeouts(_)
            | Command::SetSysctl(_)
            | Command::Zero(None)
            | Command::StartDaemon(_)
            | Command::StopDaemon(_) => {}
        }
        self.config.accept(change);
        Ok(())
    }

    fn add_service(&mut self, rule: &ServiceRule, place: &Place) -> Result<(), Problem> {
        if self.config.services.iter().any(|s| s.key == rule.key) {
            let label = "this service was added before";
            return Err(Problem::new(place, "Service already exists", label));
        }
        self.services.push(place.clone());
        self.servers.push(vec![place.clone(); rule.servers.len()]);
        Ok(())
    }

    fn add_server(
        &mut self,
        key: ServiceKey,
        rule: &ServerRule,
        place: &Place,
    ) -> Result<(), Problem> {
        let Some(index) = self.service(key, place, "Service not defined")? else { return Ok(()) };
        let servers = &self.config.services[index].servers;
        if servers.iter().any(|s| (s.rip, s.port) == (rule.rip, rule.port)) {
            let label = "this real server was added to the service before";
            return Err(Problem::new(place, "Destination already exists", label));
        }
        self.servers[index].push(place.clone());
        Ok(())
    }

    /// A service that must be there; `None` if its own line was wrong.
    fn service(
        &self,
        key: ServiceKey,
        place: &Place,
        message: &str,
    ) -> Result<Option<usize>, Problem> {
        let found = self.config.services.iter().position(|s| s.key == key);
        if found.is_some() || self.broken.contains(&key) {
            return Ok(found);
        }
        let known = list(self.config.services.iter().map(|s| key_text(s.key)));
        let known = if known.is_empty() { "none".to_owned() } else { known };
        let problem = Problem::new(place, message, format!("services so far: {known}"));
        Err(problem.help(format!("a line `-A {}` must come before", key_text(key))))
    }

    /// A real server that must be there; `None` if the line of its service was wrong.
    fn server(
        &self,
        key: ServiceKey,
        (rip, port): (IpAddr, u16),
        place: &Place,
    ) -> Result<Option<(usize, usize)>, Problem> {
        let Some(index) = self.service(key, place, "Service not defined")? else {
            return Ok(None);
        };
        let servers = &self.config.services[index].servers;
        if let Some(at) = servers.iter().position(|s| (s.rip, s.port) == (rip, port)) {
            return Ok(Some((index, at)));
        }
        let known = list(servers.iter().map(|s| SocketAddr::new(s.rip, s.port).to_string()));
        let label = if known.is_empty() {
            "the service has no real servers".to_owned()
        } else {
            format!("the service has {known}, not {}", SocketAddr::new(rip, port))
        };
        Err(Problem::new(place, "No such destination", label))
    }
}

/// Gives every destination one forwarding method. DR and TUN leave the port alone, so the port of
/// the real server becomes that of the service, as ipvsadm forces it.
pub fn set_forwarding(config: &mut IpvsConfig, method: Forwarding) {
    for service in &mut config.services {
        for server in &mut service.servers {
            set_method(service.key, server, method);
        }
    }
}

fn set_method(key: ServiceKey, server: &mut ServerRule, method: Forwarding) {
    server.forwarding = method;
    if let (ServiceKey::Address { port, .. }, Forwarding::Dr | Forwarding::Tun) = (key, method) {
        server.port = port;
    }
}

/// Gives every service one scheduler. Flags mean something else to another scheduler, so those of a
/// service that had another one are dropped.
pub fn set_scheduler(config: &mut IpvsConfig, scheduler: Algorithm) {
    for service in &mut config.services {
        set_algorithm(service, scheduler);
    }
}

fn set_algorithm(service: &mut ServiceRule, scheduler: Algorithm) {
    if service.scheduler != scheduler {
        service.scheduler = scheduler;
        service.sched_flags = 0;
    }
}

/// [`set_forwarding`] for a change of the rules.
pub fn force_forwarding(change: &mut Command, method: Forwarding) {
    if let Command::AddServer(key, server) | Command::EditServer(key, server) = change {
        set_method(*key, server, method);
    }
}

/// [`set_scheduler`] for a change of the rules.
pub fn force_scheduler(change: &mut Command, scheduler: Algorithm) {
    if let Command::AddService(service) | Command::EditService(service) = change {
        set_algorithm(service, scheduler);
    }
}
