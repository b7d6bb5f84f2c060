//! A service as plain data, to be stored and taken up again.
//!
//! [`Service::save`] gives a [`ServiceState`]; with the feature `serde` it can be written in any
//! format. [`Service::restore`] checks everything it is told: a state that contradicts itself is
//! refused, never believed. Ids stay valid, and the next choices are those that the saved service
//! would have made. Indexes and tables are not saved, they follow from the rest.
//!
//! ```
//! use schedulers::{Algorithm, DestSpec, Error, Flags, Service};
//!
//! let mut service = Service::new(Algorithm::Wrr, Flags::NONE);
//! let id = service.add_dest(DestSpec::new([10, 0, 0, 1].into(), 80, 3))?;
//! let mut state = service.save();
//! assert_eq!(Service::restore(&state)?.pool().weight(id), Some(3));
//!
//! state.pool.listed[0].weight = u32::MAX;
//! assert_eq!(Service::restore(&state).err(), Some(Error::Weight(u32::MAX)));
//! # Ok::<(), Error>(())
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::algorithm::Algorithm;
use crate::error::Error;
use crate::locality::{Lblc, Lblcr};
use crate::maglev::{Maglev, TableIndex};
use crate::pool::{DestId, Pool};
use crate::round_robin::{RoundRobin, WeightedRoundRobin};
use crate::rule::{Rule, Settings};
use crate::service::{Flags, Service};

/// A whole service.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ServiceState {
    /// The rule; `None` = scheduler `none`.
    pub algorithm: Option<Algorithm>,
    /// The flags.
    pub flags: Flags,
    /// Index of the `mh` table size.
    pub table_index: u8,
    /// Expiration of `lblc` and `lblcr` in nanoseconds.
    pub expiration: u64,
    /// The destinations.
    pub pool: PoolState,
    /// What the rule keeps between choices.
    pub rule: RuleState,
}

/// A pool.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PoolState {
    /// How often each slot was used.
    pub usages: Vec<u16>,
    /// Free slots, the next one to be used first.
    pub free: Vec<u32>,
    /// The list, tail first.
    pub listed: Vec<DestState>,
    /// The trash.
    pub trash: Vec<DestState>,
}

/// A destination. The fields are those of [`Dest`](crate::Dest).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[expect(missing_docs, reason = "the fields are those of `Dest`")]
pub struct DestState {
    /// [`DestId::to_raw`](crate::DestId::to_raw).
    pub id: u32,
    pub addr: IpAddr,
    pub port: u16,
    pub weight: u32,
    pub last_weight: u32,
    pub active: u32,
    pub inactive: u32,
    pub persistent: u32,
    pub upper_threshold: u32,
    pub lower_threshold: u32,
    pub overload: bool,
}

/// What a rule keeps between choices.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum RuleState {
    /// Nothing that does not follow from the destinations.
    Nothing,
    /// `rr`: the last one chosen.
    RoundRobin {
        /// `None`: before the head.
        cursor: Option<u32>,
    },
    /// `wrr`.
    WeightedRoundRobin {
        /// `None`: before the head.
        cursor: Option<u32>,
        /// The weight asked for at present.
        current: u32,
    },
    /// `mh` with more destinations than slots: the owners in the last table that was filled.
    Table {
        /// Owners by slot; none if no destination had a weight.
        owners: Vec<u32>,
    },
    /// `lblc`, `lblcr`.
    Cache {
        /// The addresses.
        entries: Vec<EntryState>,
        /// The kernel's count of them.
        count: i32,
        /// The chain where the last shedding stopped, below 1024.
        rover: u16,
        /// Runs of the timer since the last full check, 1 to 30.
        runs: u32,
    },
}

/// An address that `lblc` or `lblcr` remembers.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct EntryState {
    /// The destination address of packets.
    pub addr: IpAddr,
    /// Where it went: one destination with `lblc`; with `lblcr` some, the newest last.
    pub dests: Vec<u32>,
    /// When it was last asked for, in nanoseconds.
    pub last_use: u64,
    /// `lblcr`: when the set last changed; 0 with `lblc`.
    pub last_change: u64,
}

impl Service {
    /// The service as plain data. Cost: O(n), and O(entries) with `lblc` and `lblcr`.
    pub fn save(&self) -> ServiceState {
        ServiceState {
            algorithm: self.algorithm(),
            flags: self.settings.flags,
            table_index: self.settings.table.get(),
            expiration: self.settings.expiration,
            pool: self.pool().save(),
            rule: self.rule.save(self.pool()),
        }
    }

    /// The service that was saved.
    ///
    /// # Errors
    /// [`Error::State`] says what contradicts; [`Error::TableIndex`], [`Error::Weight`],
    /// [`Error::Thresholds`] as for the calls that set these.
    pub fn restore(state: &ServiceState) -> Result<Self, Error> {
        let settings = Settings {
            flags: state.flags,
            table: TableIndex::new(state.table_index)?,
            expiration: state.expiration,
        };
        let mut pool = Pool::restore(&state.pool)?;
        let rule = Rule::restore(state.algorithm, &mut pool, settings, &state.rule)?;
        Ok(Self { pool, algorithm: state.algorithm, rule, settings })
    }
}

impl Rule {
    fn save(&self, pool: &Pool) -> RuleState {
        match self {
            Self::Rr(rr) => RuleState::RoundRobin { cursor: rr.cursor().map(DestId::to_raw) },
            Self::Wrr(wrr) => {
                let (cursor, current) = wrr.state();
                RuleState::WeightedRoundRobin { cursor: cursor.map(DestId::to_raw), current }
            }
            Self::Mh(mh) if mh.is_overfull(pool) => {
                RuleState::Table { owners: mh.slots().flatten().map(DestId::to_raw).collect() }
            }
            Self::Lblc(lblc) => lblc.save(),
            Self::Lblcr(lblcr) => lblcr.save(),
            _ => RuleState::Nothing,
        }
    }

    fn restore(
        algorithm: Option<Algorithm>,
        pool: &mut Pool,
        settings: Settings,
        state: &RuleState,
    ) -> Result<Self, Error> {
        match (algorithm, state) {
            (Some(Algorithm::Rr), &RuleState::RoundRobin { cursor }) => {
                Ok(Self::Rr(RoundRobin::restore(listed(pool, cursor)?)))
            }
            (Some(Algorithm::Wrr), &RuleState::WeightedRoundRobin { cursor, current }) => {
                let cursor = listed(pool, cursor)?;
                Ok(Self::Wrr(WeightedRoundRobin::restore(pool, cursor, current)?))
            }
            (Some(Algorithm::Mh), RuleState::Table { owners }) => {
                Ok(Self::Mh(Maglev::restore(pool, settings.table, owners)?))
            }
            (Some(Algorithm::Lblc), state) => Ok(Self::Lblc(Box::new(Lblc::restore(pool, state)?))),
            (Some(Algorithm::Lblcr), state) => {
                Ok(Self::Lblcr(Box::new(Lblcr::restore(pool, state)?)))
            }
            (Some(Algorithm::Rr | Algorithm::Wrr), _) => Err(MISMATCH),
            (_, RuleState::Nothing) => Self::new(algorithm, pool, settings),
            _ => Err(MISMATCH),
        }
    }
}

/// The rule's state is that of another rule.
pub(crate) const MISMATCH: Error = Error::State("the state is not one of this rule");

/// The cursor of a saved rule.
fn listed(pool: &Pool, cursor: Option<u32>) -> Result<Option<DestId>, Error> {
    let Some(raw) = cursor else { return Ok(None) };
    let id = DestId::from_raw(raw).filter(|&id| pool.is_available(id));
    id.map(Some).ok_or(Error::State("the cursor is not in the list"))
}
