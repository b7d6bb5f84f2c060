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
        // Whether it may be chosen (a flag that a selection would put into the chain of
        // comparisons), weight and, among equals, nearness to the head in one number.
        let key = |(offset, hot): (usize, &Hot)| {
            u64::from(hot.active <= hot.eligible) << 63
                | u64::from(hot.eligible) << 32
                | offset as u64
        };
        let best = part.iter().enumerate().map(key).max()?;
        // More than a weight of 0.
        (best > 1 << 63 | u64::from(u32::MAX)).then_some(best as u32 as usize)
    }
}
