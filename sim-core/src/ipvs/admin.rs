//! What an administrator does with `ipvsadm` and `sysctl` (`ip_vs_ctl.c`).

use super::director::{Ipvs, TICK};
use super::rules::{ServerRule, ServiceKey, ServiceRule, TimeoutRule};
use super::service::Refused;
use super::state::Timeouts;
use crate::config::{IpvsConfig, IpvsSysctl};
use crate::engine::{Span, Time};
use crate::wire::{AddressBook, proto};
use core::fmt;
use core::net::IpAddr;

/// A change of the rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// `ipvsadm -A`, then `-a` for each of the rule's servers.
    AddService(ServiceRule),
    /// `ipvsadm -E`: scheduler and flags; the rule's servers are not looked at.
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
    /// `ipvsadm --set`.
    SetTimeouts(TimeoutRule),
    /// `sysctl -w net.ipv4.vs.*`.
    SetSysctl(IpvsSysctl),
}

/// Why a change was refused. Nothing was changed, unless a variant says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IpvsError {
    /// The service exists already.
    ServiceExists(ServiceKey),
    /// There is no such service.
    NoService(ServiceKey),
    /// The service has a destination with this address and port already.
    ServerExists(ServiceKey, IpAddr, u16),
    /// The service has no such destination.
    NoServer(ServiceKey, IpAddr, u16),
    /// The lower threshold is above the upper one.
    Thresholds {
        /// Service.
        service: ServiceKey,
        /// RIP.
        rip: IpAddr,
        /// Port.
        port: u16,
        /// `-y` as given.
        lower: u32,
        /// `-x` as given.
        upper: u32,
    },
    /// A real server's address must be a unicast address.
    Address(ServiceKey, IpAddr),
    /// The service key itself is wrong; the text says what is allowed.
    Key(ServiceKey, &'static str),
    /// The `mh` table has fewer slots than the service has destinations. The destination was added,
    /// the table was not changed.
    TableFull(ServiceKey),
    /// A timeout above [`Timeouts::MAX`].
    Timeout(Span),
    /// A feature of the kernel that is not simulated; the text names it.
    Unsupported(ServiceKey, &'static str),
    /// The scheduler refused for another reason.
    Scheduler(ServiceKey, schedulers::Error),
}

impl IpvsError {
    /// The name of the kernel's error number; `None` if the kernel would not refuse.
    pub const fn errno(&self) -> Option<&'static str> {
        match self {
            Self::ServiceExists(_) | Self::ServerExists(..) => Some("EEXIST"),
            Self::NoService(_) => Some("ESRCH"),
            Self::NoServer(..) => Some("ENOENT"),
            Self::Thresholds { .. } => Some("ERANGE"),
            Self::Address(..) | Self::Key(..) | Self::TableFull(_) | Self::Timeout(_) => {
                Some("EINVAL")
            }
            Self::Unsupported(..) | Self::Scheduler(..) => None,
        }
    }
}

/// A service key for messages: `TCP 192.168.10.200:80`, `FWM 1`.
struct Name<'a>(&'a ServiceKey);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self.0 {
            ServiceKey::Address { protocol: proto::TCP, vip, port } => {
                write!(f, "TCP {vip}:{port}")
            }
            ServiceKey::Address { protocol: proto::UDP, vip, port } => {
                write!(f, "UDP {vip}:{port}")
            }
            ServiceKey::Address { protocol, vip, port } => {
                write!(f, "protocol {protocol} {vip}:{port}")
            }
            ServiceKey::Fwmark { mark, v6: false } => write!(f, "FWM {mark}"),
            ServiceKey::Fwmark { mark, v6: true } => write!(f, "FWM {mark} IPv6"),
        }
    }
}

impl fmt::Display for IpvsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceExists(key) => write!(f, "{}: the service exists already", Name(key)),
            Self::NoService(key) => write!(f, "{}: no such service", Name(key)),
            Self::ServerExists(key, rip, port) => {
                write!(f, "{}: the destination {rip}:{port} exists already", Name(key))
            }
            Self::NoServer(key, rip, port) => {
                write!(f, "{}: no destination {rip}:{port}", Name(key))
            }
            Self::Thresholds { service, rip, port, lower, upper } => write!(
                f,
                "{}: destination {rip}:{port}: the lower threshold {lower} is above the upper \
                 threshold {upper}",
                Name(service)
            ),
            Self::Address(key, rip) => {
                write!(f, "{}: {rip} is not the address of a host", Name(key))
            }
            Self::Key(key, allowed) => write!(f, "{}: {allowed}", Name(key)),
            Self::TableFull(key) => {
                write!(f, "{}: more destinations than the mh table has slots", Name(key))
            }
            Self::Timeout(span) => {
                write!(f, "a timeout of {span} is above the limit of {}", Timeouts::MAX)
            }
            Self::Unsupported(key, what) => write!(f, "{}: {what} are not simulated", Name(key)),
            Self::Scheduler(key, error) => write!(f, "{}: {error}", Name(key)),
        }
    }
}

impl core::error::Error for IpvsError {}

impl Ipvs {
    /// Applies the rules of a fresh director and collects what is wrong.
    pub(super) fn configure(
        &mut self,
        config: &IpvsConfig,
        book: &mut AddressBook,
    ) -> Vec<IpvsError> {
        let mut errors = Vec::new();
        if let Err(span) = self.timeouts.set(&config.timeouts) {
            errors.push(IpvsError::Timeout(span));
        }
        for rule in &config.services {
            if let Err(error) = self.add_service(Time::ZERO, rule) {
                errors.push(error);
                continue;
            }
            for server in &rule.servers {
                errors.extend(self.add_server(rule.key, server, book).err());
            }
        }
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
        match command {
            Command::AddService(rule) => {
                self.add_service(now, rule)?;
                rule.servers.iter().try_for_each(|server| self.add_server(rule.key, server, book))
            }
            Command::EditService(rule) => {
                check_service(rule)?;
                self.services.edit_service(now, rule).map_err(|e| about_service(rule.key, e))
            }
            Command::DeleteService(key) => {
                self.services.delete_service(now, *key).map_err(|e| about_service(*key, e))?;
                self.flush_later(now);
                Ok(())
            }
            Command::Clear => {
                for key in self.services().map(|s| s.key).collect::<Vec<_>>() {
                    self.apply(now, &Command::DeleteService(key), book)?;
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
            Command::SetTimeouts(rule) => self.timeouts.set(rule).map_err(IpvsError::Timeout),
            Command::SetSysctl(sysctl) => {
                self.sysctl = *sysctl;
                Ok(())
            }
        }
    }

    fn add_service(&mut self, now: Time, rule: &ServiceRule) -> Result<(), IpvsError> {
        check_service(rule)?;
        self.services.add_service(now, rule).map_err(|e| about_service(rule.key, e))
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

fn check_service(rule: &ServiceRule) -> Result<(), IpvsError> {
    let key = rule.key;
    match key {
        ServiceKey::Fwmark { .. } => return Err(IpvsError::Unsupported(key, "fwmark services")),
        ServiceKey::Address { protocol, .. } if !matches!(protocol, proto::TCP | proto::UDP) => {
            return Err(IpvsError::Key(key, "a service is TCP or UDP"));
        }
        ServiceKey::Address { .. } => {}
    }
    if rule.persistent.is_some() {
        return Err(IpvsError::Unsupported(key, "persistent services"));
    }
    if rule.one_packet {
        return Err(IpvsError::Unsupported(key, "one-packet services"));
    }
    if let ServiceKey::Address { port: 0, .. } = key {
        return Err(IpvsError::Key(key, "port 0 is allowed only with persistence"));
    }
    Ok(())
}

fn check_server(key: ServiceKey, server: &ServerRule) -> Result<(), IpvsError> {
    let host = match server.rip {
        IpAddr::V4(rip) => !rip.is_unspecified() && rip.octets()[0] < 224,
        IpAddr::V6(rip) => !rip.is_unspecified() && !rip.is_multicast(),
    };
    if !host {
        return Err(IpvsError::Address(key, server.rip));
    }
    Ok(())
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
