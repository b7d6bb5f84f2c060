//! What command lines of ipvsadm ask for.

use schedulers::Algorithm;
use sim_core::ipvs::Command;
use sim_core::ipvs::rules::ServiceKey;
use sim_core::wire::proto;
use std::net::SocketAddr;

/// What a command line of ipvsadm asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// `-A -E -D -C -a -e -d -Z --set --start-daemon --stop-daemon`. An added service has no real
    /// servers.
    Change(Command),
    /// `-L`, or no command at all.
    List(Listing),
    /// `-S`.
    Save {
        /// `-n`.
        numeric: bool,
    },
    /// `-R`: rules from the standard input.
    Restore,
    /// `-h`.
    Help,
    /// `-v`.
    Version,
}

/// What `-L` shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Listing {
    /// Which table.
    pub view: View,
    /// Only this service.
    pub service: Option<ServiceKey>,
    /// `-n`: no names.
    pub numeric: bool,
    /// `-X`: all digits of large numbers.
    pub exact: bool,
    /// `--nosort`: in the order of the kernel.
    pub unsorted: bool,
}

/// The tables of `-L`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum View {
    /// Services and real servers with weights and connections.
    #[default]
    Services,
    /// `--stats`.
    Stats,
    /// `--rate`.
    Rate,
    /// `--thresholds`.
    Thresholds,
    /// `--persistent-conn`.
    PersistentConn,
    /// `--tun-info`.
    TunInfo,
    /// `-c`; with `--persistent-conn` the persistence engine's data too.
    Connections {
        /// `--persistent-conn`.
        engine: bool,
    },
    /// `--timeout`.
    Timeout,
    /// `--daemon`.
    Daemon,
}

/// A service as ipvsadm takes it: `-t 10.0.0.1:80`, `-f 5 -6`.
pub fn key_text(key: ServiceKey) -> String {
    match key {
        ServiceKey::Address { protocol, vip, port } => {
            let option = match protocol {
                proto::UDP => "-u",
                proto::TCP => "-t",
                _ => "--sctp-service",
            };
            format!("{option} {}", SocketAddr::new(vip, port))
        }
        ServiceKey::Fwmark { mark, v6: false } => format!("-f {mark}"),
        ServiceKey::Fwmark { mark, v6: true } => format!("-f {mark} -6"),
    }
}

/// The scheduler flags of `-b` by their names: the bit, and the scheduler they are for.
pub(super) const FLAGS: [(&str, u8, Option<Algorithm>); 7] = [
    ("flag-1", 1, None),
    ("flag-2", 2, None),
    ("flag-3", 4, None),
    ("sh-fallback", 1, Some(Algorithm::Sh)),
    ("sh-port", 2, Some(Algorithm::Sh)),
    ("mh-fallback", 1, Some(Algorithm::Mh)),
    ("mh-port", 2, Some(Algorithm::Mh)),
];

/// The flags as ipvsadm prints them for a scheduler: `sh-fallback,sh-port`; empty for none. It has
/// names of two flags for sh and mh, and of three for the others.
pub fn flags_text(scheduler: Algorithm, bits: u8) -> String {
    let own = Some(scheduler).filter(|s| matches!(s, Algorithm::Sh | Algorithm::Mh));
    let named = FLAGS.iter().filter(|f| f.2 == own && bits & f.1 != 0).map(|f| f.0);
    named.collect::<Vec<_>>().join(",")
}
