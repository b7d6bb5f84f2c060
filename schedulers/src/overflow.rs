//! `fo` and `ovf`: the heaviest server, and when it is full the next.
//!
//! Rules: `net/netfilter/ipvs/ip_vs_fo.c`, `ip_vs_ovf.c`.

use crate::index::{Load, Measure};
use crate::pool::Hot;

/// `fo`: the highest weight. Also the measure in which `rr` and `wrr` search.
#[derive(Clone, Debug)]
pub(crate) struct Fo;

impl Measure for Fo {
    // Only edits and the overload flag move it: the index costs nothing.
    const WALK: usize = 0;

    #[inline]
    fn load(hot: &Hot) -> Load {
        Load { work: 1, weight: hot.eligible }
    }
}

/// `ovf`: the highest weight among those with at most that many active connections.
#[derive(Clone, Debug)]
pub(crate) struct Ovf;

impl Measure for Ovf {
    #[inline]
    fn load(hot: &Hot) -> Load {
        if hot.active > hot.eligible { Load::NONE } else { Load { work: 1, weight: hot.eligible } }
    }

    #[inline]
    fn walk(part: &[Hot]) -> Option<usize> {
        let (mut found, mut most) = (part.len(), 0);
        for (offset, hot) in part.iter().enumerate().rev() {
            if hot.eligible > most && hot.active <= hot.eligible {
                (found, most) = (offset, hot.eligible);
            }
        }
        (found < part.len()).then_some(found)
    }
}
