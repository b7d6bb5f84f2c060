//! What an operator sees of a director: the tables of `ipvsadm -L` and the rules of `ipvsadm -S`.
//!
//! The layout is that of ipvsadm 1.31, blanks at the ends of lines included.
//!
//! ```
//! use scenarios::import::ipvsadm::{Listing, Names, View};
//! use scenarios::operator::show;
//! use sim_core::observe::DirectorSnapshot;
//! let listing = Listing { view: View::Connections { engine: false }, ..Listing::default() };
//! let text = show(&listing, &DirectorSnapshot::default(), Names::NONE).expect("all are listed");
//! assert!(text.starts_with("IPVS connection entries\npro expire state "));
//! ```

mod connections;
mod name;
mod save;
mod services;
mod sort;
#[cfg(test)]
mod tests;

pub use save::{fresh, save};

use crate::import::ipvsadm::{Action, Listing, Names, View};
use sim_core::config::v4;
use sim_core::ipvs::rules::Daemon;
use sim_core::observe::DirectorSnapshot;

/// What ipvsadm prints for a command at a point of time; empty for a command that prints nothing.
///
/// # Errors
/// The message that ipvsadm ends with.
pub fn output(
    action: &Action,
    snapshot: &DirectorSnapshot,
    names: &Names,
) -> Result<String, &'static str> {
    match action {
        Action::List(listing) => show(listing, snapshot, names),
        Action::Save { numeric } => Ok(save(snapshot, if *numeric { None } else { Some(names) })),
        Action::Version => {
            Ok("ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n".into())
        }
        _ => Ok(String::new()),
    }
}

/// A line of `--daemon`; what was not stated has the kernel's value, the length that of Ethernet.
fn daemon(daemon: &Daemon) -> String {
    let Daemon { role, interface, syncid, .. } = daemon;
    let group = daemon.group.unwrap_or(v4(224, 0, 0, 81));
    let (maxlen, port) = (daemon.maxlen.unwrap_or(1472), daemon.port.unwrap_or(8848));
    format!(
        "{} sync daemon (mcast={interface}, syncid={syncid}, maxlen={maxlen}, group={group}, \
         port={port}, ttl={})\n",
        role.name(),
        daemon.ttl.unwrap_or(1)
    )
}

/// Whether a command needs the connections of a snapshot.
pub const fn needs_connections(action: &Action) -> bool {
    matches!(action, Action::List(Listing { view: View::Connections { .. }, .. }))
}

/// What `ipvsadm -L` prints. Names are used unless the listing is numeric.
///
/// # Errors
/// The listing is about a service that is not there: `No such service`.
pub fn show(
    listing: &Listing,
    snapshot: &DirectorSnapshot,
    names: &Names,
) -> Result<String, &'static str> {
    let names = if listing.numeric { None } else { Some(names) };
    match listing.view {
        View::Connections { engine } => Ok(connections::table(snapshot, engine, names)),
        View::Timeout => {
            let [tcp, fin, udp] = snapshot.timeouts.map(|t| t.as_nanos() / 1_000_000_000);
            Ok(format!("Timeout (tcp tcpfin udp): {tcp} {fin} {udp}\n"))
        }
        View::Daemon => Ok(snapshot.daemons.iter().map(daemon).collect()),
        _ => services::table(listing, snapshot, names),
    }
}
