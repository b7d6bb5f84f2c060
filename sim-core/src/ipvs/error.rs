//! What the kernel refuses.

use super::admin::Command;
use super::rules::{DaemonRole, ServiceKey};
use super::state::Timeouts;
use crate::engine::Span;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

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
    /// The service has this local address already.
    LocalExists(ServiceKey, IpAddr),
    /// The service has no such local address.
    NoLocal(ServiceKey, IpAddr),
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
    /// A setting has a value that it cannot have; the text names the setting.
    Sysctl(&'static str),
    /// Such a daemon runs already.
    DaemonRuns(DaemonRole),
    /// No such daemon runs.
    NoDaemon(DaemonRole),
    /// The scheduler refused for another reason.
    Scheduler(ServiceKey, schedulers::Error),
}

impl IpvsError {
    /// The name of the kernel's error number; `None` if the kernel would not refuse.
    pub const fn errno(&self) -> Option<&'static str> {
        match self {
            Self::ServiceExists(_)
            | Self::ServerExists(..)
            | Self::LocalExists(..)
            | Self::DaemonRuns(_) => Some("EEXIST"),
            Self::NoService(_) | Self::NoDaemon(_) => Some("ESRCH"),
            Self::NoServer(..) | Self::NoLocal(..) => Some("ENOENT"),
            Self::Thresholds { .. } => Some("ERANGE"),
            Self::Address(..)
            | Self::Key(..)
            | Self::TableFull(_)
            | Self::Timeout(_)
            | Self::Sysctl(_) => Some("EINVAL"),
            Self::Scheduler(..) => None,
        }
    }

    /// What ipvsadm prints when this became of `command` (libipvs `ipvs_strerror`).
    pub const fn ipvsadm(&self, command: &Command) -> &'static str {
        match self {
            Self::ServiceExists(_) => "Service already exists",
            Self::NoService(_) => match command {
                Command::AddServer(..)
                | Command::EditServer(..)
                | Command::DeleteServer(..)
                | Command::AddLocalAddress(..)
                | Command::DeleteLocalAddress(..) => "Service not defined",
                _ => "No such service",
            },
            Self::ServerExists(..) => "Destination already exists",
            Self::NoServer(..) => "No such destination",
            Self::LocalExists(..) => "Local address already exists",
            Self::NoLocal(..) => "No such local address",
            Self::Thresholds { .. } => "Numerical result out of range",
            Self::DaemonRuns(_) => "Daemon has already run",
            Self::NoDaemon(_) => "No daemon is running",
            Self::Address(..)
            | Self::Key(..)
            | Self::TableFull(_)
            | Self::Timeout(_)
            | Self::Sysctl(_) => {
                "Invalid operation.  Possibly wrong module version, address not unicast, ..."
            }
            Self::Scheduler(..) => "Memory allocation problem",
        }
    }
}

impl fmt::Display for IpvsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceExists(key) => write!(f, "{key}: the service exists already"),
            Self::NoService(key) => write!(f, "{key}: no such service"),
            Self::ServerExists(key, rip, port) => {
                let at = SocketAddr::new(*rip, *port);
                write!(f, "{key}: the destination {at} exists already")
            }
            Self::NoServer(key, rip, port) => {
                write!(f, "{key}: no destination {}", SocketAddr::new(*rip, *port))
            }
            Self::LocalExists(key, address) => {
                write!(f, "{key}: the local address {address} exists already")
            }
            Self::NoLocal(key, address) => write!(f, "{key}: no local address {address}"),
            Self::Thresholds { service, rip, port, lower, upper } => write!(
                f,
                "{}: destination {}: the lower threshold {lower} is above the upper threshold \
                 {upper}",
                service,
                SocketAddr::new(*rip, *port)
            ),
            Self::Address(key, rip) => {
                write!(f, "{key}: {rip} is not the address of a host")
            }
            Self::Key(key, allowed) => write!(f, "{key}: {allowed}"),
            Self::TableFull(key) => {
                write!(f, "{key}: more destinations than the mh table has slots")
            }
            Self::Timeout(span) => {
                write!(f, "a timeout of {span} is above the limit of {}", Timeouts::MAX)
            }
            Self::Sysctl(name) => {
                let allowed = match *name {
                    "sync_version" => "it is 0 or 1",
                    "sync_retries" => "it is 0 to 3",
                    "sync_threshold" => "the first number is below the second, or the second is 0",
                    _ => "modes are 0 to 3",
                };
                write!(f, "net.ipv4.vs.{name} cannot have this value; {allowed}")
            }
            Self::DaemonRuns(role) => write!(f, "the {} daemon runs already", role.name()),
            Self::NoDaemon(role) => write!(f, "no {} daemon is running", role.name()),
            Self::Scheduler(key, error) => write!(f, "{key}: {error}"),
        }
    }
}

impl core::error::Error for IpvsError {}
