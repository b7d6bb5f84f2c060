//! `lc`, `wlc`, `sed` and `nq`: who has least to do.
//!
//! Rules: `net/netfilter/ipvs/ip_vs_lc.c`, `ip_vs_wlc.c`, `ip_vs_sed.c`, `ip_vs_nq.c`.

use crate::pool::{DestId, Hot, Pool};

/// What a rule compares: work per weight, as a fraction. Weight 0: may not be chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Load {
    pub(crate) work: u32,
    pub(crate) weight: u32,
}

impl Load {
    pub(crate) const NONE: Self = Self { work: 1, weight: 0 };

    /// Strictly less loaded.
    #[inline]
    pub(crate) fn beats(self, other: Self) -> bool {
        u64::from(self.work) * u64::from(other.weight)
            < u64::from(other.work) * u64::from(self.weight)
    }
}

/// The first least loaded destination in list order, by a plain scan.
#[inline]
pub(crate) fn least(pool: &Pool, load: impl Fn(&Hot) -> Load) -> Option<DestId> {
    let mut best = (Load::NONE, None);
    for (pos, hot) in pool.hot().iter().enumerate().rev() {
        let this = load(hot);
        if this.beats(best.0) {
            best = (this, Some(pos));
        }
    }
    pool.id_at(best.1?)
}

/// `lc`: overhead, whatever the weight.
#[inline]
pub(crate) const fn lc(hot: &Hot) -> Load {
    if hot.eligible == 0 { Load::NONE } else { Load { work: hot.overhead(), weight: 1 } }
}

/// `wlc`: overhead per weight.
#[inline]
pub(crate) const fn wlc(hot: &Hot) -> Load {
    if hot.eligible == 0 { Load::NONE } else { Load { work: hot.overhead(), weight: hot.eligible } }
}
