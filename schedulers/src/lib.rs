//! Who gets the next connection.
//!
//! The fourteen schedulers of Linux IPVS as a library: a director tells a [`Service`] what becomes
//! of its connections, and asks it for a real server whenever a new one arrives. The answer is the
//! one the kernel gives (6.1, `net/netfilter/ipvs`), found through an index where the kernel walks
//! a list. `no_std` with `alloc`; no `unsafe`, no floating point, no clock, no random source of its
//! own, no panic.
//!
//! ```
//! use schedulers::{Algorithm, Counting, DestSpec, Flags, Flow, NoRandom, Service};
//!
//! let mut web = Service::new(Algorithm::Wlc, Flags::NONE);
//! let big = web.add_dest(DestSpec::new([192, 168, 10, 1].into(), 80, 2))?;
//! let small = web.add_dest(DestSpec::new([192, 168, 10, 2].into(), 80, 1))?;
//!
//! let mut picks = Vec::new();
//! for port in 1024..1030 {
//!     let flow = Flow::new([10, 0, 0, 1].into(), port, [10, 1, 1, 100].into(), 80);
//!     let dest = web.schedule(&flow, 0, &mut NoRandom).expect("both may be chosen");
//!     web.bind(dest, Counting::Inactive)?;
//!     web.activate(dest)?;
//!     picks.push(dest);
//! }
//! assert_eq!(picks, [small, big, big, small, big, big]);
//! # Ok::<(), schedulers::Error>(())
//! ```
//!
//! # The contract
//!
//! | moment | call | what is counted | cost |
//! |---|---|---|---|
//! | a real server is configured | [`Service::add_dest`] | | O(log n), see below |
//! | its weight or thresholds change | [`Service::edit_dest`] | | O(log n), see below |
//! | it is taken out | [`Service::remove_dest`] | its counters stay, in the trash | O(log n) on average, see below |
//! | its last connection is long gone | [`Service::purge`] | the id is void from now on | O(log n) |
//! | the first packet of a connection, or of a client without a valid persistence template | [`Service::schedule`] | nothing yet | see below |
//! | the connection is created (also when a template chose the server) | [`Service::bind`] with [`Counting::Inactive`] | inactive + 1; then `OVERLOAD` may be set | O(1) |
//! | a persistence template is created | [`Service::bind`] with [`Counting::Template`] | persistent + 1; then `OVERLOAD` may be set | O(1) |
//! | its state becomes an active one (TCP: with the SYN itself, so right after `bind`) | [`Service::activate`] | inactive − 1, active + 1 | O(1) |
//! | its state stops being one | [`Service::deactivate`] | active − 1, inactive + 1 | O(1) |
//! | it is forgotten | [`Service::release`] with what it is counted as now | that counter − 1; then `OVERLOAD` may be cleared | O(1) |
//!
//! Active are TCP connections in `ESTABLISHED`, `SYN_SENT`, `SYN_RECV` and `SYNACK`, and SCTP
//! associations in `ESTABLISHED`; UDP never is. A service with one-packet scheduling (`-o`) makes
//! the three calls `schedule`, `bind`, `release` for every packet.
//!
//! A removed destination keeps its id, its counters and its address until it is purged, and a
//! re-add takes it back, as the kernel's trash does; so connections of a server that a health
//! checker removes and adds again stay counted. How long to wait is the caller's decision (the
//! kernel: until it has been idle for 120 s).
//!
//! A service may change its rule while it runs ([`Service::set_algorithm`]), and can be saved as plain
//! data and restored ([`state`]; with the feature `serde` in any format). The feature `testing` adds a
//! reference implementation of every rule and proptest strategies to test a director with.
//!
//! With `lblc` and `lblcr` the caller also runs the timer: [`Service::run_timer`] every 60 s.
//!
//! ## What a choice costs
//!
//! n is the number of destinations. Up to 32 a choice is a scan of 16 bytes per destination,
//! exactly the kernel's walk; longer lists get an index.
//!
//! | rule | a choice | a change of a counter | add, edit, remove |
//! |---|---|---|---|
//! | `rr`, `wrr` | O(log n) at worst, usually O(1) | O(1) | O(log n); `wrr` also O(distinct weights) when a weight appears or vanishes |
//! | `lc`, `wlc`, `sed`, `nq`, `fo`, `ovf` | O(1), plus O(log n) for each destination changed since the last choice | O(1) | O(log n) |
//! | `twos` | O(log n) | O(1) | O(log n) |
//! | `dh`, `sh` | O(1); `sh-fallback` at most 256 probes | O(1) | O(256) |
//! | `mh` | O(1); `mh-fallback` at most as many probes as slots | O(1) | the next choice fills the table anew: O(slots · log slots) |
//! | `lblc`, `lblcr` | O(log entries) on a hit; on a miss also what `wlc` costs | O(1) | O(log n) |
//!
//! Memory: about 200 bytes per destination, index included; `dh` and `sh` add 1 kB, `mh` four bytes
//! per slot and twelve per destination while it fills the table, `lblc` and `lblcr` about 100 bytes
//! per cached destination address (the kernel's limits hold: above 16,384 entries the timer sheds
//! idle ones).
//!
//! ## What happens on misuse
//!
//! Every call that names a destination checks the id; a void one is an
//! [`Error::UnknownDest`], never another server that took its place. A release of what was never
//! bound is [`Error::NothingToRelease`]; a counter at the end of the kernel's `int` is
//! [`Error::CounterFull`]. A refused call changes nothing. Two mistakes cannot be seen from
//! inside: not telling the end of a connection, and telling it for the wrong one of two that
//! are counted alike.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod algorithm;
pub mod error;
pub mod flow;
mod hash;
mod hashing;
mod index;
mod least_connection;
mod locality;
mod maglev;
mod overflow;
pub mod pool;
pub mod random;
mod round_robin;
mod rule;
pub mod service;
pub mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod two_choices;

#[cfg(test)]
mod tests;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use error::Error;
pub use flow::Flow;
pub use maglev::TableIndex;
pub use pool::{Counting, Dest, DestEdit, DestId, DestSpec, Pool};
pub use random::{NoRandom, RandomSource};
pub use service::{Flags, Service};
pub use state::ServiceState;
