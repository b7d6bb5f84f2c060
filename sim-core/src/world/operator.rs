//! Operators: changes of rules and looks at directors while the run goes on.

use super::World;
use crate::config::{IpvsConfig, Operation, OperatorTask, WorldConfig};
use crate::engine::Time;
use crate::hosts::Host;
use crate::hosts::fabric::{Event, Fabric};
use crate::ipvs::rules::{ServerRule, ServiceRule};
use crate::ipvs::{
    Command, Connection, DestinationEntry, Ipvs, IpvsError, ServiceEntry, State, Stats,
};
use crate::observe::{ConnectionState, DestinationState, DirectorSnapshot, Refusal, ServiceState};
use crate::wire::AddressBook;

/// What operators have to do, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Operator {
    operations: Vec<Operation>,
    /// The rules as stated, of every director.
    stated: Vec<(String, IpvsConfig)>,
    /// Operations before the end of the run that are still to be done.
    left: usize,
    pub(super) snapshots: Vec<DirectorSnapshot>,
    pub(super) refusals: Vec<Refusal>,
}

impl Operator {
    /// Puts what has a time into the queue.
    pub(super) fn new(config: &WorldConfig, fabric: &mut Fabric) -> Self {
        let operations = &config.operations;
        let stated = config.hosts.iter();
        let stated = stated.filter_map(|h| Some((h.name.clone(), h.ipvs.clone()?))).collect();
        let mut left = 0;
        for (index, operation) in operations.iter().enumerate() {
            if let Some(at) = operation.at {
                fabric.queue.push(Time::ZERO + at, Event::Operator { index: index as u32 });
                left += 1;
            }
        }
        Self { operations: operations.clone(), stated, left, ..Self::default() }
    }

    /// Whether everything that has a time was done.
    pub(super) const fn is_done(&self) -> bool {
        self.left == 0
    }

    /// The host of an operation.
    pub(super) fn host(&self, index: usize) -> String {
        self.operations[index].host.clone()
    }
}

impl World {
    /// Does an operation when its time has come.
    pub(super) fn operate(&mut self, index: usize) {
        self.operator.left -= 1;
        self.fabric.digest.fold(self.fabric.now.as_nanos());
        self.fabric.digest.fold(index as u64);
        self.perform(index);
    }

    /// Does what is to be done at the end of the run.
    pub(super) fn last_operations(&mut self) {
        for index in 0..self.operator.operations.len() {
            if self.operator.operations[index].at.is_none() {
                self.perform(index);
            }
        }
    }

    fn perform(&mut self, index: usize) {
        let Operator { operations, stated, snapshots, refusals, .. } = &mut self.operator;
        let Operation { host: name, task, .. } = &operations[index];
        let host = self.hosts.iter_mut().find(|h| h.name == *name);
        let stated = stated.iter_mut().find(|s| s.0 == *name).map(|s| &mut s.1);
        let (Some(host), Some(stated)) = (host, stated) else {
            debug_assert!(false, "operations are on directors");
            return;
        };
        match task {
            OperatorTask::Change(command) => match host.administer(&mut self.fabric, command) {
                Ok(()) => stated.accept(command),
                Err(error) => {
                    let time = self.fabric.now;
                    refusals.push(Refusal { operation: index, time, error });
                }
            },
            OperatorTask::Snapshot { connections } => {
                snapshots.extend(look(host, &self.fabric, stated, (index, *connections)));
            }
        }
    }

    /// The administrator of a host changes the rules of its director now; nothing happens if it is none.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn change_rules(&mut self, host: usize, command: &Command) -> Result<(), IpvsError> {
        let Some(host) = self.hosts.get_mut(host) else { return Ok(()) };
        host.administer(&mut self.fabric, command)?;
        if let Some((_, stated)) = self.operator.stated.iter_mut().find(|s| s.0 == host.name) {
            stated.accept(command);
        }
        Ok(())
    }

    /// What the IPVS of a host holds now, with its connections; `None` if it is no director.
    pub fn snapshot(&self, host: usize) -> Option<DirectorSnapshot> {
        let host = self.hosts.get(host)?;
        let (_, stated) = self.operator.stated.iter().find(|s| s.0 == host.name)?;
        look(host, &self.fabric, stated, (0, true))
    }
}

/// What the IPVS of a host holds.
fn look(
    host: &Host,
    fabric: &Fabric,
    stated: &IpvsConfig,
    (operation, connections): (usize, bool),
) -> Option<DirectorSnapshot> {
    let director = host.director()?;
    Some(DirectorSnapshot {
        operation,
        host: host.name.clone(),
        time: fabric.now,
        services: services(&director.ipvs, stated),
        connections: if connections {
            table(&director.ipvs, &fabric.book, fabric.now)
        } else {
            Vec::new()
        },
        timeouts: [State::Established, State::FinWait, State::Udp]
            .map(|state| director.ipvs.timeouts().get(state)),
    })
}

/// Services with their destinations: what the table lists, and what was stated of it.
fn services(ipvs: &Ipvs, stated: &IpvsConfig) -> Vec<ServiceState> {
    let state = |entry: ServiceEntry| {
        let known = stated.services.iter().find(|s| s.key == entry.key);
        let bare = known.map_or_else(
            || ServiceRule::new(entry.key),
            |s| ServiceRule { servers: Vec::new(), ..s.clone() },
        );
        let servers = known.map_or(&[][..], |s| &s.servers);
        let mut destinations: Vec<_> = ipvs
            .destinations()
            .filter(|d| d.service == entry.key)
            .map(|d| destination(&d, servers))
            .collect();
        // the kernel adds at the head of its list
        destinations.reverse();
        ServiceState {
            rule: ServiceRule { scheduler: entry.scheduler.unwrap_or(bare.scheduler), ..bare },
            stats: entry.stats,
            rates: Stats::default(),
            destinations,
        }
    };
    ipvs.services().map(state).collect()
}

fn destination(entry: &DestinationEntry, stated: &[ServerRule]) -> DestinationState {
    let known = stated.iter().find(|s| (s.rip, s.port) == (entry.rip, entry.port));
    let rule = known.copied().unwrap_or_else(|| ServerRule::new(entry.rip, entry.port));
    DestinationState {
        rule: ServerRule {
            forwarding: entry.forwarding,
            weight: u16::try_from(entry.weight).unwrap_or(u16::MAX),
            ..rule
        },
        active: entry.active,
        inactive: entry.inactive,
        persistent: 0,
        stats: entry.stats,
        rates: Stats::default(),
    }
}

fn table(ipvs: &Ipvs, book: &AddressBook, now: Time) -> Vec<ConnectionState> {
    let row = |c: &Connection| {
        let [client, vip, server] =
            [c.client(), c.vip(), c.rip()].map(|(ip, port)| (book.address(ip), port));
        ConnectionState {
            protocol: c.protocol(),
            expires: c.remaining(now),
            state: c.state().name(),
            client,
            vip,
            server,
            call_id: None,
        }
    };
    ipvs.connections().map(|(_, c)| row(c)).collect()
}
