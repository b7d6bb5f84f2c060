//! Operators: changes of rules and looks at directors while the run goes on.

use super::World;
use crate::config::{Operation, OperatorTask, WorldConfig};
use crate::engine::Time;
use crate::hosts::Host;
use crate::hosts::fabric::{Event, Fabric};
use crate::hosts::power::PowerState;
use crate::ipvs::rules::{ServerRule, ServiceRule};
use crate::ipvs::{
    Command, ConnectionEntry, DestinationEntry, Ipvs, IpvsError, ServiceEntry, State,
};
use crate::observe::{ConnectionState, DestinationState, DirectorSnapshot, Refusal, ServiceState};
use crate::wire::AddressBook;

/// What operators have to do, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Operator {
    operations: Vec<Operation>,
    /// Operations before the end of the run that are still to be done.
    left: usize,
    pub(super) snapshots: Vec<DirectorSnapshot>,
    pub(super) refusals: Vec<Refusal>,
}

impl Operator {
    /// Puts what has a time into the queue.
    pub(super) fn new(config: &WorldConfig, fabric: &mut Fabric) -> Self {
        let operations = &config.operations;
        let mut left = 0;
        for (index, operation) in operations.iter().enumerate() {
            if let Some(at) = operation.at {
                fabric.queue.push(Time::ZERO + at, Event::Operator { index: index as u32 });
                left += 1;
            }
        }
        Self { operations: operations.clone(), left, ..Self::default() }
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
        let Operator { operations, snapshots, refusals, .. } = &mut self.operator;
        let Operation { host: name, task, .. } = &operations[index];
        let Some(host) = self.hosts.iter_mut().find(|h| h.name == *name) else {
            debug_assert!(false, "operations are on directors");
            return;
        };
        match task {
            // nobody can log in
            _ if host.power() == PowerState::Off => {}
            OperatorTask::Change(command) => {
                if let Err(error) = host.administer(&mut self.fabric, command) {
                    let time = self.fabric.now;
                    refusals.push(Refusal { operation: index, time, error });
                }
            }
            OperatorTask::Snapshot { connections } => {
                snapshots.extend(look(host, &self.fabric, (index, *connections)));
            }
        }
    }

    /// The administrator of a host changes the rules of its director now; nothing happens if it is none.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn change_rules(&mut self, host: usize, command: &Command) -> Result<(), IpvsError> {
        let Some(host) = self.hosts.get_mut(host) else { return Ok(()) };
        host.administer(&mut self.fabric, command)
    }

    /// What the IPVS of a host holds now, with its connections; `None` if it is no director.
    pub fn snapshot(&mut self, host: usize) -> Option<DirectorSnapshot> {
        look(self.hosts.get_mut(host)?, &self.fabric, (0, true))
    }
}

/// What the IPVS of a host holds.
fn look(
    host: &mut Host,
    fabric: &Fabric,
    (operation, connections): (usize, bool),
) -> Option<DirectorSnapshot> {
    let (name, now) = (host.name.clone(), fabric.now);
    let director = host.director_mut()?;
    director.ipvs.estimate(now);
    let ipvs = &director.ipvs;
    Some(DirectorSnapshot {
        operation,
        host: name,
        time: now,
        services: services(ipvs, &fabric.book),
        connections: if connections { table(ipvs, &fabric.book, now) } else { Vec::new() },
        timeouts: [State::Established, State::FinWait, State::Udp]
            .map(|state| ipvs.timeouts().get(state)),
        daemons: ipvs.daemons().cloned().collect(),
    })
}

/// Services with their destinations.
fn services(ipvs: &Ipvs, book: &AddressBook) -> Vec<ServiceState> {
    let state = |entry: ServiceEntry| {
        let mut destinations: Vec<_> =
            ipvs.destinations().filter(|d| d.service == entry.key).map(destination).collect();
        // the kernel adds at the head of its list
        destinations.reverse();
        let plain = ServiceRule::new(entry.key);
        let local = ipvs.local_addresses(entry.key).iter().map(|&a| book.address(a));
        ServiceState {
            rule: ServiceRule {
                scheduler: entry.scheduler.unwrap_or(plain.scheduler),
                sched_flags: entry.sched_flags,
                persistent: entry.persistent,
                netmask_len: entry.netmask_len,
                one_packet: entry.one_packet,
                engine: entry.engine,
                local_addresses: local.collect(),
                ..plain
            },
            stats: entry.stats,
            rates: entry.rates,
            destinations,
        }
    };
    ipvs.services().map(state).collect()
}

fn destination(entry: DestinationEntry) -> DestinationState {
    DestinationState {
        rule: ServerRule {
            forwarding: entry.forwarding,
            tunnel: entry.tunnel,
            weight: u16::try_from(entry.weight).unwrap_or(u16::MAX),
            upper_threshold: entry.upper_threshold,
            lower_threshold: entry.lower_threshold,
            ..ServerRule::new(entry.rip, entry.port)
        },
        active: entry.active,
        inactive: entry.inactive,
        persistent: entry.persistent,
        stats: entry.stats,
        rates: entry.rates,
    }
}

fn table(ipvs: &Ipvs, book: &AddressBook, now: Time) -> Vec<ConnectionState> {
    let row = |c: ConnectionEntry| ConnectionState {
        protocol: c.protocol,
        expires: c.left,
        state: c.state,
        client: c.client,
        vip: c.vip,
        server: c.rip,
        call_id: c.engine.map(|(_, call)| call),
    };
    ipvs.connection_list(now, book).into_iter().map(row).collect()
}
