//! What an administrator does with `ipvsadm` and `sysctl` (`ip_vs_ctl.c`).

use super::director::{Ipvs, TICK};
use super::error::IpvsError;
use super::rules::{
    Daemon, DaemonRole, Encapsulation, Forwarding, ServerRule, ServiceKey, ServiceRule, TimeoutRule,
};
use super::service::Refused;
use super::statistics::next_estimate;
use super::sync::Master;
use crate::config::{IpvsConfig, IpvsSysctl};
use crate::engine::Time;
use crate::wire::{AddressBook, proto};
use core::net::IpAddr;

/// A change of the rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// `ipvsadm -A`, then `-a` for each of the rule's servers.
    AddService(ServiceRule),
    /// `ipvsadm -E`: everything but the key, the servers and the local addresses, which are not looked
    /// at. Connections and templates stay as they are.
    EditService(ServiceRule),
    /// `ipvsadm -D`.
    DeleteService(ServiceKey),
    /// `ipvsadm -C`.
    Clear,
    /// `ipvsadm -a`. A destination that was deleted before is taken back with its connections.
    AddServer(ServiceKey, ServerRule),
    /// `ipvsadm -e`. Connections keep the method they began with.
    EditServer(ServiceKey, ServerRule),
    /// `ipvsadm -d`: service, RIP, port. Its connections stay in the table.
    DeleteServer(ServiceKey, IpAddr, u16),
    /// `ipvsadm --add-laddr` of dpvs: one more local address for FULLNAT.
    AddLocalAddress(ServiceKey, IpAddr),
    /// `ipvsadm --del-laddr` of dpvs. Connections keep theirs.
    DeleteLocalAddress(ServiceKey, IpAddr),
    /// `ipvsadm --set`.
    SetTimeouts(TimeoutRule),
    /// `sysctl -w net.ipv4.vs.*`.
    SetSysctl(IpvsSysctl),
    /// `ipvsadm -Z`: the counters of a service and its destinations, or of all.
    Zero(Option<ServiceKey>),
    /// `ipvsadm --start-daemon`.
    StartDaemon(Daemon),
    /// `ipvsadm --stop-daemon`.
    StopDaemon(DaemonRole),
}

impl Ipvs {
    /// Applies the rules of a fresh director and collects what is wrong.
    pub(super) fn configure(
        &mut self,
        config: &IpvsConfig,
        book: &mut AddressBook,
    ) -> Vec<IpvsError> {
        let mut errors = Vec::new();
        errors.extend(check_sysctl(&config.sysctl).err());
        if let Err(span) = self.timeouts.set(&config.timeouts) {
            errors.push(IpvsError::Timeout(span));
        }
        self.start_estimates(Time::ZERO);
        for daemon in &config.daemons {
            errors.extend(self.start_daemon(Time::ZERO, daemon).err());
        }
        for rule in &config.services {
            if let Err(error) = self.add_service(Time::ZERO, rule, book) {
                errors.push(error);
                continue;
            }
            for server in &rule.servers {
                errors.extend(self.add_server(rule.key, server, book).err());
            }
        }
        self.set_hooks();
        errors
    }

    /// Changes the rules at `now`.
    ///
    /// # Errors
    /// What the kernel refuses, see [`IpvsError`]. Of [`Command::AddService`] with several servers
    /// the ones before the wrong one stay, as after the single commands.
    pub fn apply(
        &mut self,
        now: Time,
        command: &Command,
        book: &mut AddressBook,
    ) -> Result<(), IpvsError> {
        self.estimate(now);
        let done = self.execute(now, command, book);
        self.set_hooks();
        done
    }

    fn execute(
        &mut self,
        now: Time,
        command: &Command,
        book: &mut AddressBook,
    ) -> Result<(), IpvsError> {
        match command {
            Command::AddService(rule) => {
                self.add_service(now, rule, book)?;
                rule.servers.iter().try_for_each(|server| self.add_server(rule.key, server, book))
            }
            Command::EditService(rule) => {
                check_service(rule)?;
                let edited = self.services.edit_service(now, rule);
                edited.map_err(|e| about_service(rule.key, e))
            }
            Command::DeleteService(key) => {
                self.services.delete_service(now, *key).map_err(|e| about_service(*key, e))?;
                self.flush_later(now);
                Ok(())
            }
            Command::Clear => {
                for key in self.services().map(|s| s.key).collect::<Vec<_>>() {
                    self.execute(now, &Command::DeleteService(key), book)?;
                }
                Ok(())
            }
            Command::AddServer(key, server) => self.add_server(*key, server, book),
            Command::EditServer(key, server) => {
                check_server(*key, server)?;
                let edited = self.services.edit_destination(*key, server);
                edited.map_err(|e| about_server(*key, server.rip, server.port, e))
            }
            Command::DeleteServer(key, rip, port) => {
                let deleted = self.services.delete_destination(now, *key, (*rip, *port));
                deleted.map_err(|e| about_server(*key, *rip, *port, e))?;
                self.flush_later(now);
                Ok(())
            }
            Command::AddLocalAddress(key, address) => {
                check_local(*key, *address)?;
                let added = self.services.add_local(*key, book.number(*address));
                added.map_err(|e| about_local(*key, *address, e))
            }
            Command::DeleteLocalAddress(key, address) => {
                let deleted = self.services.delete_local(*key, book.number(*address));
                deleted.map_err(|e| about_local(*key, *address, e))
            }
            Command::SetTimeouts(rule) => self.timeouts.set(rule).map_err(IpvsError::Timeout),
            Command::SetSysctl(sysctl) => self.set_sysctl(now, sysctl),
            Command::Zero(None) => {
                self.services.zero_all();
                Ok(())
            }
            Command::Zero(Some(key)) => {
                self.services.zero(*key).map_err(|e| about_service(*key, e))
            }
            Command::StartDaemon(daemon) => self.start_daemon(now, daemon),
            Command::StopDaemon(role) => {
                if self.daemons.stop(*role) {
                    if *role == DaemonRole::Master {
                        self.master = None;
                        self.table.note_extended(false);
                    }
                    Ok(())
                } else {
                    Err(IpvsError::NoDaemon(*role))
                }
            }
        }
    }

    fn start_daemon(&mut self, now: Time, daemon: &Daemon) -> Result<(), IpvsError> {
        if !self.daemons.start(daemon) {
            return Err(IpvsError::DaemonRuns(daemon.role));
        }
        if daemon.role == DaemonRole::Master {
            self.master = Some(Box::new(Master::new(daemon, now)));
            self.table.note_extended(true);
        }
        Ok(())
    }

    fn set_sysctl(&mut self, now: Time, sysctl: &IpvsSysctl) -> Result<(), IpvsError> {
        check_sysctl(sysctl)?;
        let defence = |s: &IpvsSysctl| [s.drop_entry, s.drop_packet, s.secure_tcp].map(u32::from);
        let pages = |s: &IpvsSysctl| (s.amemthresh, s.am_droprate);
        let before = self.sysctl;
        self.sysctl = *sysctl;
        if (defence(&before), pages(&before)) != (defence(sysctl), pages(sysctl)) {
            self.defend_later(now);
        }
        if before.run_estimation != sysctl.run_estimation {
            self.start_estimates(now);
        }
        self.services.set_sysctl(sysctl);
        Ok(())
    }

    fn start_estimates(&mut self, now: Time) {
        let runs = self.sysctl.run_estimation;
        self.estimate_at = if runs { next_estimate(now) } else { Time::NEVER };
    }

    fn add_service(
        &mut self,
        now: Time,
        rule: &ServiceRule,
        book: &mut AddressBook,
    ) -> Result<(), IpvsError> {
        check_service(rule)?;
        self.services.add_service(now, rule, book).map_err(|e| about_service(rule.key, e))
    }

    fn add_server(
        &mut self,
        key: ServiceKey,
        server: &ServerRule,
        book: &mut AddressBook,
    ) -> Result<(), IpvsError> {
        check_server(key, server)?;
        let added = self.services.add_destination(key, server, book.number(server.rip));
        added.map(drop).map_err(|e| about_server(key, server.rip, server.port, e))
    }

    /// With `expire_nodest_conn` the connections of a deleted destination end a tick later.
    fn flush_later(&mut self, now: Time) {
        if self.sysctl.expire_nodest_conn {
            self.flush_at = self.flush_at.min(now + TICK);
        }
    }
}

fn check_sysctl(sysctl: &IpvsSysctl) -> Result<(), IpvsError> {
    let modes = [
        ("drop_entry", sysctl.drop_entry),
        ("drop_packet", sysctl.drop_packet),
        ("secure_tcp", sysctl.secure_tcp),
    ];
    let (threshold, period) = sysctl.sync_threshold;
    let synchronisation = [
        ("sync_version", sysctl.sync_version > 1),
        ("sync_retries", sysctl.sync_retries > 3),
        ("sync_threshold", period != 0 && threshold >= period),
    ];
    let wrong = modes.into_iter().map(|(name, mode)| (name, mode > 3)).chain(synchronisation);
    match wrong.into_iter().find(|&(_, wrong)| wrong) {
        Some((name, _)) => Err(IpvsError::Sysctl(name)),
        None => Ok(()),
    }
}

fn check_service(rule: &ServiceRule) -> Result<(), IpvsError> {
    let key = rule.key;
    let wrong = |text| Err(IpvsError::Key(key, text));
    match key {
        ServiceKey::Fwmark { mark: 0, .. } => return wrong("a firewall mark is not 0"),
        ServiceKey::Address { protocol, .. }
            if !matches!(protocol, proto::TCP | proto::UDP | proto::SCTP) =>
        {
            return wrong("a service is TCP, UDP or SCTP");
        }
        ServiceKey::Address { port: 0, .. } if rule.persistent.is_none() => {
            return wrong("port 0 is allowed only with persistence");
        }
        ServiceKey::Address { protocol, .. } if rule.one_packet && protocol != proto::UDP => {
            return wrong("one-packet scheduling is for UDP services");
        }
        ServiceKey::Fwmark { .. } | ServiceKey::Address { .. } => {}
    }
    if rule.engine.is_some() && rule.persistent.is_none() {
        return wrong("a persistence engine needs persistence");
    }
    rule.local_addresses.iter().try_for_each(|&local| check_local(key, local))?;
    if rule.netmask_len == 0 || rule.netmask_len > if is_v6(key) { 128 } else { 32 } {
        return wrong("a netmask has 1 to 32 bits, of IPv6 1 to 128");
    }
    Ok(())
}

const fn is_v6(key: ServiceKey) -> bool {
    match key {
        ServiceKey::Address { vip, .. } => vip.is_ipv6(),
        ServiceKey::Fwmark { v6, .. } => v6,
    }
}

fn check_server(key: ServiceKey, server: &ServerRule) -> Result<(), IpvsError> {
    let host = match server.rip {
        IpAddr::V4(rip) => !rip.is_unspecified() && rip.octets()[0] < 224,
        IpAddr::V6(rip) => !rip.is_unspecified() && !rip.is_multicast(),
    };
    if !host {
        return Err(IpvsError::Address(key, server.rip));
    }
    let tunnel = server.forwarding == Forwarding::Tun;
    if server.rip.is_ipv6() != is_v6(key) && !tunnel {
        return Err(IpvsError::Key(key, "a server of another family needs a tunnel"));
    }
    if tunnel && server.tunnel.kind == Encapsulation::Gue && server.tunnel.port == 0 {
        return Err(IpvsError::Key(key, "a GUE tunnel needs a port"));
    }
    Ok(())
}

/// A local address stands for clients, and is of their family.
fn check_local(key: ServiceKey, address: IpAddr) -> Result<(), IpvsError> {
    if address.is_ipv6() == is_v6(key) {
        Ok(())
    } else {
        Err(IpvsError::Key(key, "a local address is of the family of the service"))
    }
}

fn about_local(key: ServiceKey, address: IpAddr, refused: Refused) -> IpvsError {
    match refused {
        Refused::Exists => IpvsError::LocalExists(key, address),
        Refused::NoDestination => IpvsError::NoLocal(key, address),
        refused => about_service(key, refused),
    }
}

fn about_service(key: ServiceKey, refused: Refused) -> IpvsError {
    match refused {
        Refused::Exists => IpvsError::ServiceExists(key),
        Refused::NoService | Refused::NoDestination => IpvsError::NoService(key),
        Refused::Pool(schedulers::Error::TableFull { .. }) => IpvsError::TableFull(key),
        Refused::Pool(error) => IpvsError::Scheduler(key, error),
    }
}

fn about_server(service: ServiceKey, rip: IpAddr, port: u16, refused: Refused) -> IpvsError {
    match refused {
        Refused::Exists => IpvsError::ServerExists(service, rip, port),
        Refused::NoDestination => IpvsError::NoServer(service, rip, port),
        Refused::Pool(schedulers::Error::Thresholds { lower, upper }) => {
            IpvsError::Thresholds { service, rip, port, lower, upper }
        }
        refused => about_service(service, refused),
    }
}
