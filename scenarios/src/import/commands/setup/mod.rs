//! What commands make of a host, apart from any simulator: interfaces with their addresses, routes,
//! rules, neighbours, settings, the packet filter, and the commands of ipvsadm.

mod filter;
mod interfaces;
mod routes;
mod settings;

use super::action::{
    Action, Address, Command, FouPort, LinkKind, Neighbour, Net, Route, Rule, Word,
};
use super::words::whole;
use super::{Findings, Setting};
use crate::diagnostic::{Place, Problem};
use crate::format::words::{list, nearest};
pub use filter::{Chain, Netfilter};
use std::collections::BTreeMap;

/// A network interface.
#[derive(Clone, PartialEq, Debug)]
pub struct Interface {
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: LinkKind,
    /// Ethernet address if one was set.
    pub mac: Option<[u8; 6]>,
    /// Largest IP packet, bytes.
    pub mtu: u32,
    /// It is up.
    pub up: bool,
    /// It asks and answers by ARP.
    pub arp: bool,
    /// Its bridge or bond.
    pub master: Option<String>,
    /// Addresses in the kernel's order, the primary ones of a prefix before its others.
    pub addresses: Vec<Address>,
}

/// A setting with the place it was written at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Value {
    /// The value.
    pub number: i64,
    /// Where it was set.
    pub place: Place,
}

/// What commands make of a host.
#[derive(Clone, PartialEq, Debug)]
pub struct HostSetup {
    /// Interfaces; `lo`, and the tunnel devices of the kernel's modules, are always there.
    pub interfaces: Vec<Interface>,
    /// Stated routes of all tables; those of connected prefixes follow from the addresses.
    pub routes: Vec<Route>,
    /// Rules by priority, without the three that every host has.
    pub rules: Vec<Rule>,
    /// Static neighbours and proxy entries.
    pub neighbours: Vec<Neighbour>,
    /// Ports whose packets are decapsulated.
    pub fou: Vec<FouPort>,
    /// Settings that were set.
    pub settings: BTreeMap<Setting, Value>,
    /// The packet filter.
    pub netfilter: Netfilter,
    /// The words after `ipvsadm` of every command of it, in order.
    pub ipvsadm: Vec<(Vec<Word>, Place)>,
}

impl HostSetup {
    /// A host with these interfaces (name and MTU), which are up.
    pub fn new(interfaces: &[(&str, u32)]) -> Self {
        Self {
            interfaces: interfaces::initial(interfaces),
            routes: Vec::new(),
            rules: Vec::new(),
            neighbours: Vec::new(),
            fou: Vec::new(),
            settings: BTreeMap::new(),
            netfilter: Netfilter::default(),
            ipvsadm: Vec::new(),
        }
    }

    /// Carries out commands in order. One that the tool would refuse gives a problem in its words, and
    /// the others are carried out.
    pub fn apply(&mut self, commands: &[Command], findings: &mut Findings) {
        for command in commands {
            if let Err(problem) = self.act(command, findings) {
                findings.problems.push(problem);
            }
        }
    }

    fn act(&mut self, command: &Command, findings: &mut Findings) -> Result<(), Problem> {
        let place = &command.place;
        match &command.action {
            Action::AddAddress(device, address, replace) => {
                self.add_address(device, address, *replace)
            }
            Action::DeleteAddress(device, net) => self.delete_address(device, *net, place),
            Action::FlushAddresses(device, family, label) => {
                self.flush_addresses(device.as_ref(), *family, label.as_deref())
            }
            Action::SetAlias(name, address) => self.set_alias(name, address),
            Action::DropAlias(name) => self.drop_alias(name),
            Action::AddLink(name, kind) => self.add_link(name, kind),
            Action::DeleteLink(name) => self.delete_link(name),
            Action::SetLink(name, change) => self.set_link(name, change),
            Action::AddFou(port) => self.add_fou(*port, place),
            Action::DeleteFou(port) => self.delete_fou(*port, place),
            Action::AddRoute(mode, route) => self.add_route(*mode, route, place),
            Action::DeleteRoute(choice) => self.delete_route(choice, place),
            Action::FlushRoutes(table, family, device) => {
                self.flush_routes(*table, *family, device.as_ref())
            }
            Action::AddRule(rule) => self.add_rule(rule, place),
            Action::DeleteRule(rule) => self.delete_rule(rule, place),
            Action::SetNeighbour(neighbour, replace) => {
                self.set_neighbour(neighbour, *replace, place)
            }
            Action::DeleteNeighbour(address, device) => {
                let device = device.as_ref();
                self.neighbours.retain(|n| n.address != *address || !is_of(n, device));
                Ok(())
            }
            Action::FlushNeighbours(device, permanent) => {
                self.flush_neighbours(device.as_ref(), *permanent)
            }
            Action::Sysctl(key, value) => self.set(key, value, findings),
            Action::Netfilter(change) => self.netfilter.change(change, place),
            Action::Ipvsadm(words) => {
                self.ipvsadm.push((
                    words.clone(),
                    if words.is_empty() { place.clone() } else { whole(words) },
                ));
                Ok(())
            }
        }
    }

    fn add_fou(&mut self, port: FouPort, place: &Place) -> Result<(), Problem> {
        if self.fou.iter().any(|f| f.port == port.port && f.v6 == port.v6) {
            let message = "RTNETLINK answers: Address already in use";
            return Err(Problem::new(place, message, "this port is taken"));
        }
        self.fou.push(port);
        Ok(())
    }

    fn delete_fou(&mut self, port: u16, place: &Place) -> Result<(), Problem> {
        let before = self.fou.len();
        self.fou.retain(|f| f.port != port);
        if self.fou.len() == before {
            let message = "RTNETLINK answers: No such file or directory";
            return Err(Problem::new(place, message, "no such port"));
        }
        Ok(())
    }

    /// Forgets the permanent entries of an interface, or of all; those that were learned are not
    /// among what commands state.
    fn flush_neighbours(&mut self, device: Option<&Word>, permanent: bool) -> Result<(), Problem> {
        if let Some(device) = device {
            self.index(device)?;
        }
        if permanent {
            self.neighbours.retain(|n| !is_of(n, device));
        }
        Ok(())
    }

    /// An interface by its name.
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|i| i.name == name)
    }

    fn index(&self, device: &Word) -> Result<usize, Problem> {
        self.interfaces.iter().position(|i| i.name == device.value).ok_or_else(|| {
            let names: Vec<&str> = self.interfaces.iter().map(|i| i.name.as_str()).collect();
            let message = format!("Cannot find device \"{}\"", device.value);
            let problem =
                Problem::new(&device.place, message, format!("interfaces are {}", list(&names)));
            match nearest(&device.value, names.iter().copied()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem,
            }
        })
    }

    /// Whether an address is one of this host's.
    pub fn has_address(&self, address: core::net::IpAddr) -> bool {
        self.interfaces.iter().flat_map(|i| &i.addresses).any(|a| a.net.address == address)
    }

    /// The interface with the longest connected prefix that has an address.
    pub fn interface_towards(&self, address: core::net::IpAddr) -> Option<&Interface> {
        let prefixes = self.interfaces.iter().filter(|i| i.up).flat_map(|i| {
            i.addresses.iter().filter(|a| !a.no_prefix_route).map(move |a| (connected(a), i))
        });
        prefixes
            .filter(|(net, _)| net.contains(address))
            .max_by_key(|(net, _)| net.len)
            .map(|(_, i)| i)
    }
}

/// Whether an entry is one of an interface; without a name, of any.
fn is_of(entry: &Neighbour, device: Option<&Word>) -> bool {
    device.is_none_or(|d| entry.device.as_ref().is_some_and(|own| own.value == d.value))
}

/// The prefix that an address connects.
fn connected(address: &Address) -> Net {
    address.peer.unwrap_or(address.net)
}
