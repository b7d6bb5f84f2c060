//! The private state of each rule, and what it wants to hear of.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::algorithm::Algorithm;
use crate::error::Error;
use crate::flow::Flow;
use crate::hashing::Buckets;
use crate::index::Ranking;
use crate::least_connection::{self, Lc, Nq, Sed, Wlc};
use crate::locality::{Lblc, Lblcr};
use crate::maglev::{Maglev, TableIndex};
use crate::overflow::{Fo, Ovf};
use crate::pool::{DestId, Pool};
use crate::random::RandomSource;
use crate::round_robin::{RoundRobin, WeightedRoundRobin};
use crate::service::Flags;
use crate::two_choices::TwoChoices;

/// One rule at work. A byte says which, at a place of its own: every call reads it.
#[derive(Clone, Debug)]
#[repr(u8)]
pub(crate) enum Rule {
    /// Scheduler `none`.
    None,
    Rr(RoundRobin),
    Wrr(WeightedRoundRobin),
    Lc(Ranking<Lc>),
    Wlc(Ranking<Wlc>),
    Sed(Ranking<Sed>),
    Nq(Ranking<Nq>),
    Fo(Ranking<Fo>),
    Ovf(Ranking<Ovf>),
    Dh(Buckets),
    Sh(Buckets),
    Mh(Maglev),
    Lblc(Box<Lblc>),
    Lblcr(Box<Lblcr>),
    Twos(TwoChoices),
}

/// What a rule may ask of its service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) flags: Flags,
    pub(crate) table: TableIndex,
    /// Nanoseconds.
    pub(crate) expiration: u64,
}

impl Rule {
    /// `init_service`, with the destinations that there are.
    pub(crate) fn new(
        algorithm: Option<Algorithm>,
        pool: &Pool,
        settings: Settings,
    ) -> Result<Self, Error> {
        let Some(algorithm) = algorithm else { return Ok(Self::None) };
        Ok(match algorithm {
            Algorithm::Rr => Self::Rr(RoundRobin::default()),
            Algorithm::Wrr => Self::Wrr(WeightedRoundRobin::new(pool)),
            Algorithm::Lc => Self::Lc(Ranking::default()),
            Algorithm::Wlc => Self::Wlc(Ranking::default()),
            Algorithm::Sed => Self::Sed(Ranking::default()),
            Algorithm::Nq => Self::Nq(Ranking::default()),
            Algorithm::Fo => Self::Fo(Ranking::default()),
            Algorithm::Ovf => Self::Ovf(Ranking::default()),
            Algorithm::Dh => Self::Dh(Buckets::even(pool)),
            Algorithm::Sh => Self::Sh(Buckets::weighted(pool)),
            Algorithm::Mh => Self::Mh(Maglev::new(pool, settings.table)?),
            Algorithm::Lblc => Self::Lblc(Box::default()),
            Algorithm::Lblcr => Self::Lblcr(Box::default()),
            Algorithm::Twos => Self::Twos(TwoChoices::default()),
        })
    }

    /// `done_service`: lets go of everything it points at.
    pub(crate) fn finish(&mut self, pool: &mut Pool) {
        match self {
            Self::Lblc(lblc) => lblc.clear(pool),
            Self::Lblcr(lblcr) => lblcr.clear(pool),
            _ => {}
        }
    }

    /// `schedule`.
    #[inline]
    pub(crate) fn pick(
        &mut self,
        pool: &mut Pool,
        settings: Settings,
        flow: &Flow,
        now: u64,
        random: &mut (impl RandomSource + ?Sized),
    ) -> Option<DestId> {
        match self {
            Self::None => None,
            Self::Rr(rr) => rr.pick(pool),
            Self::Wrr(wrr) => wrr.pick(pool),
            Self::Lc(ranking) => ranking.best(pool),
            Self::Wlc(ranking) => least_connection::wlc(ranking, pool),
            Self::Sed(ranking) => least_connection::sed(ranking, pool),
            Self::Nq(ranking) => least_connection::nq(ranking, pool),
            Self::Fo(ranking) => ranking.best(pool),
            Self::Ovf(ranking) => ranking.best(pool),
            Self::Dh(buckets) => buckets.by_destination(pool, flow),
            Self::Sh(buckets) => buckets.by_source(pool, flow, settings.flags),
            Self::Mh(mh) => mh.pick(pool, flow, settings.flags),
            Self::Lblc(lblc) => lblc.pick(pool, flow.dst, now),
            Self::Lblcr(lblcr) => lblcr.pick(pool, flow.dst, now, settings.expiration),
            Self::Twos(twos) => twos.pick(pool, random),
        }
    }

    /// Does a choice depend on connections?
    #[inline]
    pub(crate) const fn looks_at_counters(&self) -> bool {
        matches!(
            self,
            Self::Lc(_)
                | Self::Wlc(_)
                | Self::Sed(_)
                | Self::Nq(_)
                | Self::Ovf(_)
                | Self::Lblc(_)
                | Self::Lblcr(_)
        )
    }

    /// Counters or weight of the destination at a position changed, or it appeared or left.
    #[inline]
    pub(crate) fn touch(&mut self, pool: &Pool, pos: usize) {
        match self {
            Self::None | Self::Dh(_) | Self::Sh(_) | Self::Mh(_) => {}
            Self::Rr(rr) => rr.touch(pool, pos),
            Self::Wrr(wrr) => wrr.touch(pool, pos),
            Self::Lc(ranking) => ranking.touch(pool, pos),
            Self::Wlc(ranking) => ranking.touch(pool, pos),
            Self::Sed(ranking) => ranking.touch(pool, pos),
            Self::Nq(ranking) => ranking.touch(pool, pos),
            Self::Fo(ranking) => ranking.touch(pool, pos),
            Self::Ovf(ranking) => ranking.touch(pool, pos),
            Self::Lblc(lblc) => lblc.touch(pool, pos),
            Self::Lblcr(lblcr) => lblcr.touch(pool, pos),
            Self::Twos(twos) => twos.touch(pool, pos),
        }
    }

    /// A destination is about to be added.
    pub(crate) fn before_add(&mut self, pool: &Pool) {
        if let Self::Mh(mh) = self {
            mh.before_add(pool);
        }
    }

    /// A destination is about to be removed.
    pub(crate) fn before_remove(&mut self, pool: &Pool, id: DestId) {
        if let Self::Rr(rr) = self {
            rr.before_remove(pool, id);
        }
    }

    /// `add_dest`, `upd_dest`, `del_dest`: the weight of a destination before and after, `None`
    /// while it is not in the list.
    pub(crate) fn changed(
        &mut self,
        pool: &Pool,
        before: Option<u32>,
        after: Option<u32>,
    ) -> Result<(), Error> {
        let is_edit = before.is_some() && after.is_some();
        match self {
            Self::Wrr(wrr) => wrr.changed(before, after),
            // No `upd_dest`, and weights do not matter to it.
            Self::Dh(buckets) if !is_edit => *buckets = Buckets::even(pool),
            Self::Sh(buckets) => *buckets = Buckets::weighted(pool),
            Self::Mh(mh) => return mh.changed(pool),
            _ => {}
        }
        Ok(())
    }

    /// The periodic work.
    pub(crate) fn run_timer(&mut self, pool: &mut Pool, settings: Settings, now: u64) {
        match self {
            Self::Lblc(lblc) => lblc.run_timer(pool, now, settings.expiration),
            Self::Lblcr(lblcr) => lblcr.run_timer(pool, now, settings.expiration),
            _ => {}
        }
    }

    /// Addresses in the cache.
    pub(crate) fn cached(&self) -> usize {
        match self {
            Self::Lblc(lblc) => lblc.len(),
            Self::Lblcr(lblcr) => lblcr.len(),
            _ => 0,
        }
    }

    /// The table of `dh`, `sh` and `mh`.
    pub(crate) fn table(&mut self, pool: &Pool) -> Option<Vec<Option<DestId>>> {
        match self {
            Self::Dh(buckets) | Self::Sh(buckets) => Some(buckets.slots().collect()),
            Self::Mh(mh) => {
                mh.refresh(pool);
                Some(mh.slots().collect())
            }
            _ => None,
        }
    }
}
