//! Faults of hosts, and of what runs on them.
//!
//! What faults want of a host is kept as lists; [`World::sync_host`] makes the host what they say. While a
//! host stands still or is without power nothing on it changes; it is looked at again when it goes on.

use super::{Faults, Task, World};
use crate::config::{ApplicationHarm, Boot, FaultKind, Process, ProgramHarm};
use crate::engine::{Sampler, Stream};
use crate::hosts::daemon::Order;
use crate::hosts::fabric::Switched;
use crate::hosts::power::PowerState;
use crate::hosts::server::Health;
use crate::net::link::Endpoint;
use crate::observe::timeline::Kind;
use crate::world::{build, gather};

/// What faults want of a host.
#[derive(Debug, Default)]
pub(super) struct HostState {
    /// Faults that take its power, with how it is to boot.
    without_power: Vec<(u32, Option<Boot>)>,
    /// Its socket of the power switch is off.
    switched_off: bool,
    /// How it boots, as the last fault that took its power says.
    boot: Option<Boot>,
    /// It has power and will work.
    booting: bool,
    /// Counts what ends a boot.
    times: u32,
    /// Faults that shut it down and have not come to the end of that.
    shutting: Vec<u32>,
    /// Faults that freeze it, with the room of its rings.
    frozen: Vec<(u32, u32)>,
    /// Harm to programs, by fault.
    programs: Vec<(u32, Process, ProgramHarm)>,
    /// What programs were last told, in the order of [`Process::ALL`]; `None`: nothing, they run or are
    /// not there.
    told: [Option<ProgramHarm>; 3],
    /// Harm to applications, by fault: those on a port, or all.
    applications: Vec<(u32, Option<u16>, ApplicationHarm)>,
    /// How much dearer everything is, by fault.
    busy: Vec<(u32, f64)>,
}

impl HostState {
    fn has_power(&self) -> bool {
        self.without_power.is_empty() && !self.switched_off
    }

    /// What faults want of a program: the worst.
    fn wants(&self, process: Process) -> Option<ProgramHarm> {
        let harms = || self.programs.iter().filter(|p| p.1 == process).map(|p| p.2);
        let order = [ProgramHarm::Kill, ProgramHarm::Stop, ProgramHarm::Freeze];
        let stops = (!self.shutting.is_empty()).then_some(ProgramHarm::Stop);
        order.into_iter().find(|h| harms().chain(stops).any(|other| other == *h))
    }

    /// What faults want of an application.
    fn health(&self, port: u16) -> Health {
        let mut health = Health { running: self.shutting.is_empty(), ..Health::default() };
        let of = |p: &Option<u16>| p.is_none_or(|p| p == port);
        for (_, _, harm) in self.applications.iter().filter(|(_, p, _)| of(p)) {
            match *harm {
                ApplicationHarm::Kill => health.running = false,
                ApplicationHarm::Hang => health.answers = false,
                ApplicationHarm::Freeze => (health.accepts, health.answers) = (false, false),
                ApplicationHarm::Slow(factor) => health.factor *= factor,
                ApplicationHarm::Status(status) => health.status = status,
            }
        }
        health.factor *= self.slowness();
        health
    }

    fn slowness(&self) -> f64 {
        self.busy.iter().map(|b| b.1).product()
    }

    /// A fault begins to do something to the host.
    fn harm(&mut self, fault: u32, what: &FaultKind) {
        match what {
            FaultKind::PowerLoss { boot, .. } => self.without_power.push((fault, boot.clone())),
            FaultKind::Shutdown { .. } => self.shutting.push(fault),
            FaultKind::Freeze { ring, .. } => self.frozen.push((fault, *ring)),
            FaultKind::Program { process, harm: ProgramHarm::Start, .. } => {
                self.programs.retain(|p| p.1 != *process);
            }
            FaultKind::Program { process, harm, .. } => {
                self.programs.push((fault, *process, *harm));
            }
            FaultKind::Application { port, harm, .. } => {
                self.applications.push((fault, *port, *harm));
            }
            FaultKind::BusyCpu { factor, .. } => self.busy.push((fault, *factor)),
            FaultKind::LinkDown { .. }
            | FaultKind::Impairment { .. }
            | FaultKind::Partition { .. }
            | FaultKind::Mark => {}
        }
    }

    /// A fault is over.
    fn heal(&mut self, fault: u32) {
        self.without_power.retain(|w| w.0 != fault);
        self.shutting.retain(|s| *s != fault);
        self.frozen.retain(|f| f.0 != fault);
        self.programs.retain(|p| p.0 != fault);
        self.applications.retain(|a| a.0 != fault);
        self.busy.retain(|b| b.0 != fault);
    }
}

impl Faults {
    fn host(&mut self, host: u16) -> &mut HostState {
        let number = usize::from(host);
        if self.hosts.len() <= number {
            self.hosts.resize_with(number + 1, HostState::default);
        }
        &mut self.hosts[number]
    }
}

impl World {
    /// A fault begins, or ends, to harm hosts.
    pub(super) fn harm_hosts(&mut self, number: u32, begins: bool) {
        let fault = &self.faults.all[number as usize];
        let (what, times, cut) = (fault.config.what.clone(), fault.times, fault.cut);
        for host in fault.hosts.clone() {
            if begins {
                self.faults.host(host).harm(number, &what);
            } else if matches!(what, FaultKind::Shutdown { .. }) && !cut {
                // it goes on to the end and then comes back at once
                self.shut_host_down(number, host);
                self.faults.host(host).heal(number);
            } else {
                self.faults.host(host).heal(number);
            }
            if let FaultKind::Program { process, harm: ProgramHarm::Start, .. } = what {
                self.start_program(host, process);
            }
            self.sync_host(host);
        }
        if let FaultKind::Shutdown { grace, .. } = what
            && begins
        {
            let at = self.fabric.now + grace;
            self.faults.plan(&mut self.fabric, at, Task::Cut(number, times));
        }
    }

    /// A program starts, whatever was done to it.
    fn start_program(&mut self, host: u16, process: Process) {
        let h = &mut self.hosts[usize::from(host)];
        if h.power() == PowerState::Running {
            h.order(&mut self.fabric, process, Order::Start);
            let told = &mut self.faults.host(host).told;
            for (told, _) in told.iter_mut().zip(Process::ALL).filter(|(_, p)| *p == process) {
                *told = None;
            }
        }
    }

    /// The time that hosts were given to shut down is over.
    pub(super) fn shut_down(&mut self, number: u32, times: u32) {
        let fault = &mut self.faults.all[number as usize];
        if !fault.active || fault.times != times {
            return;
        }
        fault.cut = true;
        for host in fault.hosts.clone() {
            self.shut_host_down(number, host);
        }
    }

    fn shut_host_down(&mut self, number: u32, host: u16) {
        let fault = &self.faults.all[number as usize];
        let FaultKind::Shutdown { boot, .. } = &fault.config.what else { return };
        let boot = boot.clone();
        let state = self.faults.host(host);
        state.shutting.retain(|s| *s != number);
        state.without_power.push((number, boot));
        self.sync_host(host);
    }

    /// Does what power switches were told.
    pub(super) fn use_power_switches(&mut self) {
        for Switched { host, on, by } in self.fabric.take_switched() {
            let lives = |by: u16| self.hosts[usize::from(by)].power() != PowerState::Off;
            if let Some(by) = by.filter(|by| !lives(*by)) {
                // what it said of this in the same instant is not so
                let name = self.hosts[usize::from(host)].name.clone();
                self.fabric.note(Some(by), Kind::Fencing, name, "void");
                continue;
            }
            self.faults.host(host).switched_off = !on;
            self.sync_host(host);
        }
    }

    /// Makes a host what faults want of it.
    fn sync_host(&mut self, host: u16) {
        let state = self.faults.host(host);
        let has_power = state.has_power();
        let works = self.hosts[usize::from(host)].power() != PowerState::Off;
        if !has_power {
            state.booting = false;
            state.times += 1;
            state.boot = state.without_power.last().and_then(|w| w.1.clone()).or(state.boot.take());
            if works {
                self.cut_power(host);
            }
            return;
        }
        if !works {
            self.plan_boot(host);
            return;
        }
        let ring = self.faults.host(host).frozen.iter().map(|f| f.1).max();
        let h = &mut self.hosts[usize::from(host)];
        match ring {
            Some(ring) => {
                h.freeze(&mut self.fabric, ring);
                return;
            }
            None => h.thaw(&mut self.fabric),
        }
        self.sync_programs(host);
        self.sync_applications(host);
    }

    fn sync_programs(&mut self, host: u16) {
        for (number, process) in Process::ALL.into_iter().enumerate() {
            let state = self.faults.host(host);
            let (told, wants) = (state.told[number], state.wants(process));
            state.told[number] = wants;
            for order in orders(told, wants) {
                self.hosts[usize::from(host)].order(&mut self.fabric, process, *order);
            }
        }
    }

    fn sync_applications(&mut self, host: u16) {
        let state = self.faults.host(host);
        let (slowness, orderly) = (state.slowness(), !state.shutting.is_empty());
        let h = &mut self.hosts[usize::from(host)];
        if let Some(cpu) = &mut h.cpu {
            cpu.factor = slowness;
        }
        let ports: Vec<u16> = h.servers.applications.iter().map(|a| a.config.port).collect();
        for (application, port) in ports.into_iter().enumerate() {
            let health = self.faults.host(host).health(port);
            let h = &mut self.hosts[usize::from(host)];
            if h.servers.applications[application].health() != health {
                h.set_health(&mut self.fabric, application, health, orderly);
            }
        }
    }

    /// A host loses its power. What it will be when it has booted is built at once.
    fn cut_power(&mut self, host: u16) {
        let number = usize::from(host);
        let past = gather::director(self, &self.hosts[number]);
        self.faults.past.extend(past.map(|p| (host, p)));
        let state = self.faults.host(host);
        state.told = [None; 3];
        self.hosts[number].lose_power(&mut self.fabric);
        for link in self.links_of(host) {
            self.hold_link(link, true);
        }
        let old = &self.hosts[number];
        let new = build::rebuild(&self.plan, &mut self.fabric, old);
        let old = core::mem::replace(&mut self.hosts[number], new);
        self.hosts[number].inherit(old);
    }

    fn links_of(&self, host: u16) -> Vec<usize> {
        self.links_at(|e| matches!(e, Endpoint::Host { host: h, .. } if h == host))
    }

    /// A host has its power back and begins to boot, if it does not do that already.
    fn plan_boot(&mut self, host: u16) {
        let usual = self.plan.hosts[usize::from(host)].boot.clone();
        let state = self.faults.host(host);
        if state.booting {
            return;
        }
        state.booting = true;
        let (times, boot) = (state.times, state.boot.get_or_insert(usual).clone());
        let name = &self.hosts[usize::from(host)].name;
        let mut stream = Stream::new(self.plan.seed, name, &format!("boot {times}"));
        let sampler = Sampler::new(&boot.time).ok();
        let span = sampler.map_or(0.0, |s| s.sample(&mut stream));
        let at = self.fabric.now + crate::engine::Span::from_secs_f64(span);
        self.faults.plan(&mut self.fabric, at, Task::Booted(host, times));
    }

    /// A host works again: its links come up, then its programs start.
    pub(super) fn host_booted(&mut self, host: u16, times: u32) {
        let state = self.faults.host(host);
        if state.times != times || !state.booting {
            return;
        }
        state.booting = false;
        let programs = state.boot.take().is_none_or(|b| b.programs);
        self.hosts[usize::from(host)].boot(&mut self.fabric);
        for link in self.links_of(host) {
            self.hold_link(link, false);
        }
        self.hosts[usize::from(host)].find_plain(&self.fabric);
        for (number, process) in Process::ALL.into_iter().enumerate() {
            let state = self.faults.host(host);
            let wants = state.wants(process);
            if matches!(wants, Some(ProgramHarm::Kill | ProgramHarm::Stop)) {
                state.told[number] = wants;
            } else if programs {
                self.hosts[usize::from(host)].begin_process(&mut self.fabric, process);
            }
        }
        self.sync_host(host);
    }
}

/// What a program is told that is to be what faults want of it, after they wanted something else.
const fn orders(was: Option<ProgramHarm>, wants: Option<ProgramHarm>) -> &'static [Order] {
    use ProgramHarm::{Freeze, Kill, Start, Stop};
    match (was, wants) {
        (None | Some(Start | Freeze), Some(Kill)) => &[Order::Kill],
        (None | Some(Start), Some(Stop)) => &[Order::Stop],
        (None | Some(Start), Some(Freeze)) => &[Order::Freeze],
        // a frozen process gets the signal when it goes on
        (Some(Freeze), Some(Stop)) => &[Order::Thaw, Order::Stop],
        (Some(Freeze), None | Some(Start)) => &[Order::Thaw],
        (Some(Kill | Stop), None | Some(Start)) => &[Order::Start],
        (Some(Kill | Stop), Some(Freeze)) => &[Order::Start, Order::Freeze],
        (None | Some(Start), None | Some(Start))
        | (Some(Freeze), Some(Freeze))
        | (Some(Kill | Stop), Some(Kill | Stop)) => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_harm_to_a_program_counts_until_it_is_over() {
        let mut state = HostState::default();
        let all = Process::ALL[0];
        let harm = |harm| FaultKind::Program { hosts: Vec::new(), process: all, harm };
        state.harm(1, &harm(ProgramHarm::Freeze));
        state.harm(2, &harm(ProgramHarm::Kill));
        assert_eq!(state.wants(all), Some(ProgramHarm::Kill));
        assert_eq!(state.wants(Process::ALL[1]), None);
        state.heal(2);
        assert_eq!(state.wants(all), Some(ProgramHarm::Freeze));
        state.harm(3, &harm(ProgramHarm::Start));
        assert_eq!(state.wants(all), None, "a start undoes all");
    }

    #[test]
    fn a_program_is_told_what_leads_from_one_harm_to_another() {
        use ProgramHarm::{Freeze, Kill, Stop};
        assert_eq!(orders(None, Some(Kill)), [Order::Kill]);
        assert_eq!(orders(Some(Freeze), None), [Order::Thaw]);
        assert_eq!(orders(Some(Freeze), Some(Stop)), [Order::Thaw, Order::Stop]);
        assert_eq!(orders(Some(Kill), Some(Freeze)), [Order::Start, Order::Freeze]);
        assert_eq!(orders(Some(Stop), None), [Order::Start]);
        assert_eq!(orders(Some(Stop), Some(Kill)), []);
        assert_eq!(orders(None, None), []);
    }
}
