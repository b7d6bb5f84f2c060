//! Rules that a director starts with: what lines leave when they are played one after the other.

use super::action::{Action, key_text};
use super::{Names, address, is_v6, line, lines, words};
use crate::diagnostic::{FileId, Place, Problem};
use crate::format::words::list;
use schedulers::Algorithm;
use sim_core::config::IpvsConfig;
use sim_core::ipvs::Command;
use sim_core::ipvs::rules::{Forwarding, ServerRule, ServiceKey, ServiceRule};
use std::collections::{BTreeMap, BTreeSet};
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
    let mut player = Player::default();
    lines(file, base, text, |place, raw| match line(file, place.span.start, raw, names) {
        Ok(Some(action)) => {
            player.rules.mapped.extend(PortMapping::of(file, raw, &action, names));
            problems.extend(player.play(&action, &place).err());
        }
        Ok(None) => {}
        Err(mut found) => {
            let words = words::words(file, 0, raw);
            player.broken.extend(line::service_of(&words, names));
            problems.append(&mut found);
        }
    });
    player.rules
}

/// Services or real servers named in a message; of more only the number is told.
const NAMED: usize = 20;

/// Plays lines one after the other, and knows by an index where services and real servers stand.
#[derive(Debug, Default)]
pub struct Player {
    rules: Rules,
    /// Services by key.
    services: BTreeMap<ServiceKey, usize>,
    /// Real servers by service, address and port: where they stand among those of the service.
    servers: BTreeMap<(ServiceKey, IpAddr, u16), usize>,
    /// Services whose line was wrong: what follows about them is no further mistake.
    broken: BTreeSet<ServiceKey>,
}

impl Player {
    /// The rules that all lines left.
    pub fn finish(self) -> Rules {
        self.rules
    }

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
        let (mut service, mut server) = (None, None);
        match change {
            Command::AddService(rule) => self.add_service(rule, place)?,
            Command::EditService(rule) => {
                service = self.service(rule.key, place, missing)?;
                if let Some(index) = service {
                    self.rules.services[index] = place.clone();
                }
            }
            Command::DeleteService(key) => {
                service = self.service(*key, place, missing)?;
                if let Some(index) = service {
                    self.delete_service(*key, index);
                }
            }
            Command::Clear => {
                self.rules.services.clear();
                self.rules.servers.clear();
                self.services.clear();
                self.servers.clear();
            }
            Command::AddServer(key, rule) => service = self.add_server(*key, rule, place)?,
            Command::EditServer(key, rule) => {
                (service, server) = self.server(*key, (rule.rip, rule.port), place)?;
                if let (Some(index), Some(at)) = (service, server) {
                    self.rules.servers[index][at] = place.clone();
                }
            }
            Command::DeleteServer(key, rip, port) => {
                (service, server) = self.server(*key, (*rip, *port), place)?;
                if let (Some(index), Some(at)) = (service, server) {
                    self.delete_server(*key, index, at);
                }
            }
            Command::AddLocalAddress(key, address) => {
                service = self.service(*key, place, "Service not defined")?;
                self.check_new_local(*key, service, *address, place)?;
            }
            Command::DeleteLocalAddress(key, address) => {
                service = self.service(*key, place, "Service not defined")?;
                self.check_known_local(service, *address, place)?;
            }
            Command::Zero(Some(key)) => service = self.service(*key, place, missing)?,
            Command::SetTimeouts(_)
            | Command::SetSysctl(_)
            | Command::Zero(None)
            | Command::StartDaemon(_)
            | Command::StopDaemon(_) => {}
        }
        self.rules.config.accept(change, service, server);
        Ok(())
    }

    fn add_service(&mut self, rule: &ServiceRule, place: &Place) -> Result<(), Problem> {
        if self.services.contains_key(&rule.key) {
            let label = "this service was added before";
            return Err(Problem::new(place, "Service already exists", label));
        }
        self.services.insert(rule.key, self.rules.services.len());
        for (at, server) in rule.servers.iter().enumerate() {
            self.servers.insert((rule.key, server.rip, server.port), at);
        }
        self.rules.services.push(place.clone());
        self.rules.servers.push(vec![place.clone(); rule.servers.len()]);
        Ok(())
    }

    /// Takes a service out of the index and of the places; the services behind it move up.
    fn delete_service(&mut self, key: ServiceKey, index: usize) {
        self.rules.services.remove(index);
        self.rules.servers.remove(index);
        self.services.remove(&key);
        let services = &self.rules.config.services[index..];
        for server in &services[0].servers {
            self.servers.remove(&(key, server.rip, server.port));
        }
        for (moved, service) in services[1..].iter().enumerate() {
            self.services.insert(service.key, index + moved);
        }
    }

    fn add_server(
        &mut self,
        key: ServiceKey,
        rule: &ServerRule,
        place: &Place,
    ) -> Result<Option<usize>, Problem> {
        let Some(index) = self.service(key, place, "Service not defined")? else { return Ok(None) };
        if self.servers.contains_key(&(key, rule.rip, rule.port)) {
            let label = "this real server was added to the service before";
            return Err(Problem::new(place, "Destination already exists", label));
        }
        let places = &mut self.rules.servers[index];
        self.servers.insert((key, rule.rip, rule.port), places.len());
        places.push(place.clone());
        Ok(Some(index))
    }

    /// Takes a real server out of the index and of the places; those behind it move up.
    fn delete_server(&mut self, key: ServiceKey, index: usize, at: usize) {
        self.rules.servers[index].remove(at);
        let servers = &self.rules.config.services[index].servers[at..];
        self.servers.remove(&(key, servers[0].rip, servers[0].port));
        for (moved, server) in servers[1..].iter().enumerate() {
            self.servers.insert((key, server.rip, server.port), at + moved);
        }
    }

    fn check_new_local(
        &self,
        key: ServiceKey,
        service: Option<usize>,
        address: IpAddr,
        place: &Place,
    ) -> Result<(), Problem> {
        let Some(index) = service else { return Ok(()) };
        if address.is_ipv6() != is_v6(key) {
            let label = "a local address is of the family of the service";
            return Err(Problem::new(place, "illegal local address specified", label));
        }
        if self.rules.config.services[index].local_addresses.contains(&address) {
            let label = "this local address was added to the service before";
            return Err(Problem::new(place, "Local address already exists", label));
        }
        Ok(())
    }

    fn check_known_local(
        &self,
        service: Option<usize>,
        address: IpAddr,
        place: &Place,
    ) -> Result<(), Problem> {
        let Some(index) = service else { return Ok(()) };
        let local = &self.rules.config.services[index].local_addresses;
        if local.contains(&address) {
            return Ok(());
        }
        let known = some_of(local.iter().map(ToString::to_string));
        let known = if known.is_empty() { "none".to_owned() } else { known };
        let label = format!("local addresses of the service: {known}");
        Err(Problem::new(place, "No such local address", label))
    }

    /// A service that must be there; `None` if its own line was wrong.
    fn service(
        &self,
        key: ServiceKey,
        place: &Place,
        message: &str,
    ) -> Result<Option<usize>, Problem> {
        let found = self.services.get(&key).copied();
        if found.is_some() || self.broken.contains(&key) {
            return Ok(found);
        }
        let known = some_of(self.rules.config.services.iter().map(|s| key_text(s.key)));
        let known = if known.is_empty() { "none".to_owned() } else { known };
        let problem = Problem::new(place, message, format!("services so far: {known}"));
        Err(problem.help(format!("a line `-A {}` must come before", key_text(key))))
    }

    /// A service and its real server that must be there; nothing if the line of the service was wrong.
    fn server(
        &self,
        key: ServiceKey,
        (rip, port): (IpAddr, u16),
        place: &Place,
    ) -> Result<(Option<usize>, Option<usize>), Problem> {
        let Some(index) = self.service(key, place, "Service not defined")? else {
            return Ok((None, None));
        };
        if let Some(at) = self.servers.get(&(key, rip, port)) {
            return Ok((Some(index), Some(*at)));
        }
        let servers = &self.rules.config.services[index].servers;
        let known = some_of(servers.iter().map(|s| SocketAddr::new(s.rip, s.port).to_string()));
        let label = if known.is_empty() {
            "the service has no real servers".to_owned()
        } else {
            format!("the service has {known}, not {}", SocketAddr::new(rip, port))
        };
        Err(Problem::new(place, "No such destination", label))
    }
}

/// `a, b, c`; of very many `a, b, c and 500 more`.
fn some_of(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let named = list(names.take(NAMED));
    if more == 0 { named } else { format!("{named} and {more} more") }
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
