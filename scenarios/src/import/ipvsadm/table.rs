//! The rules of a director as lines change them, one after the other.

use super::rules::{Action, Endpoint, ServerRule, ServiceKey, ServiceRule};
use crate::diagnostic::{Place, Problem};
use crate::format::words::list;

/// A service with the real servers it was given.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The service.
    pub rule: ServiceRule,
    /// Where it was stated last.
    pub place: Place,
    /// Its real servers in the order they were added, and where each was stated last.
    pub servers: Vec<(ServerRule, Place)>,
}

/// Virtual services in the order they were added, and the timeouts of `--set`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Table {
    /// The services.
    pub services: Vec<Entry>,
    /// TCP, `FIN_WAIT`, UDP in seconds; 0 for the kernel's own.
    pub timeouts: [u32; 3],
    /// Services whose line was wrong: what follows about them is no further mistake.
    broken: Vec<ServiceKey>,
}

impl Table {
    /// Changes the rules as the kernel does. What only shows or counts changes nothing.
    ///
    /// # Errors
    /// What the kernel refuses, in ipvsadm's words.
    pub fn apply(&mut self, action: &Action, place: &Place) -> Result<(), Problem> {
        match action {
            Action::AddService(rule) => {
                if self.find(rule.key).is_some() {
                    let label = "this service was added before";
                    return Err(Problem::new(place, "Service already exists", label));
                }
                let (rule, place) = (rule.clone(), place.clone());
                self.services.push(Entry { rule, place, servers: Vec::new() });
                Ok(())
            }
            Action::EditService(rule) => {
                let index = self.service(rule.key, place, "No such service")?;
                if let Some(entry) = index.and_then(|i| self.services.get_mut(i)) {
                    entry.rule = rule.clone();
                    entry.place = place.clone();
                }
                Ok(())
            }
            Action::DeleteService(key) => {
                let index = self.service(*key, place, "No such service")?;
                index.map(|i| self.services.remove(i));
                Ok(())
            }
            Action::Clear => {
                self.services.clear();
                Ok(())
            }
            Action::AddServer(key, rule) => self.add(*key, rule, place),
            Action::EditServer(key, rule) => {
                let Some((entry, at)) = self.server(*key, (rule.rip, rule.port), place)? else {
                    return Ok(());
                };
                entry.servers[at] = (*rule, place.clone());
                Ok(())
            }
            Action::DeleteServer(key, rip, port) => {
                if let Some((entry, at)) = self.server(*key, (*rip, *port), place)? {
                    entry.servers.remove(at);
                }
                Ok(())
            }
            Action::SetTimeouts(seconds) => {
                for (slot, new) in self.timeouts.iter_mut().zip(seconds) {
                    *slot = if *new > 0 { *new } else { *slot };
                }
                Ok(())
            }
            Action::Zero(Some(key)) => self.service(*key, place, "No such service").map(drop),
            _ => Ok(()),
        }
    }

    /// Remembers that a line about a service was wrong.
    pub(super) fn mark_broken(&mut self, key: ServiceKey) {
        self.broken.push(key);
    }

    fn find(&self, key: ServiceKey) -> Option<usize> {
        self.services.iter().position(|e| e.rule.key == key)
    }

    /// The service; `None` if its own line was wrong.
    fn service(
        &self,
        key: ServiceKey,
        place: &Place,
        message: &str,
    ) -> Result<Option<usize>, Problem> {
        let found = self.find(key);
        if found.is_some() || self.broken.contains(&key) {
            return Ok(found);
        }
        let known = list(self.services.iter().map(|e| e.rule.key.to_string()));
        let known = if known.is_empty() { "none".to_owned() } else { known };
        let problem = Problem::new(place, message, format!("services so far: {known}"));
        Err(problem.help(format!("a line `-A {key}` must come before")))
    }

    fn add(&mut self, key: ServiceKey, rule: &ServerRule, place: &Place) -> Result<(), Problem> {
        let index = self.service(key, place, "Service not defined")?;
        let Some(entry) = index.and_then(|i| self.services.get_mut(i)) else { return Ok(()) };
        if entry.servers.iter().any(|(s, _)| (s.rip, s.port) == (rule.rip, rule.port)) {
            let label = "this real server was added to the service before";
            return Err(Problem::new(place, "Destination already exists", label));
        }
        entry.servers.push((*rule, place.clone()));
        Ok(())
    }

    /// A real server that must be there; `None` if the line of its service was wrong.
    fn server(
        &mut self,
        key: ServiceKey,
        (rip, port): (std::net::IpAddr, u16),
        place: &Place,
    ) -> Result<Option<(&mut Entry, usize)>, Problem> {
        let index = self.service(key, place, "Service not defined")?;
        let Some(entry) = index.and_then(|i| self.services.get_mut(i)) else { return Ok(None) };
        if let Some(at) = entry.servers.iter().position(|(s, _)| (s.rip, s.port) == (rip, port)) {
            return Ok(Some((entry, at)));
        }
        let known = list(entry.servers.iter().map(|(s, _)| Endpoint(s.rip, s.port).to_string()));
        let label = if known.is_empty() {
            "the service has no real servers".to_owned()
        } else {
            format!("the service has {known}, not {}", Endpoint(rip, port))
        };
        Err(Problem::new(place, "No such destination", label))
    }
}
