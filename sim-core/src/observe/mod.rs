//! What a run leaves behind: counters, histograms, time series, snapshots of directors, captures, the
//! told path of one connection, what happened to the cluster ([`timeline`]) and how long the service was
//! away ([`availability`]).

pub mod availability;
pub mod capture;
pub mod cause;
pub mod histogram;
pub mod holders;
pub mod outcome;
pub mod snapshot;
pub mod timeline;
pub mod trace;
mod words;

pub use availability::{Availability, Outage};
pub use histogram::Histogram;
pub use holders::{CacheObservation, Holding, VipObservation};
pub use outcome::{
    ClientObservation, ConnectionRow, DestinationObservation, DirectorObservation, DropObservation,
    Failure, LinkObservation, Observations, PacketAccount, Rates, Refusal, SeriesPoint,
    ServerObservation,
};
pub use snapshot::{ConnectionState, DestinationState, DirectorSnapshot, ServiceState};
pub use timeline::{Happening, TimelineEntry};
pub use trace::{Flow, Step, TraceLine, TraceReport};
