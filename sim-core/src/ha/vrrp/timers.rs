//! The arithmetic of the timers, in microseconds.

use crate::config::VrrpVersion;
use crate::engine::Span;

/// Priority of the owner of the addresses.
pub const OWNER: u8 = 255;

/// How much longer than the adverts that it misses a backup of this priority waits (`VRRP_TIMER_SKEW`). With version 2
/// it does not depend on the interval of adverts (RFC 3768, section 6.1); with version 3 it is a share of the master's
/// interval (RFC 9568, section 6.1), in whole hundredths of a second before and in whole microseconds after.
///
/// ```
/// use sim_core::config::VrrpVersion;
/// use sim_core::ha::vrrp::skew_us;
///
/// assert_eq!(skew_us(VrrpVersion::V2, 100, 3_000_000), 609_375);
/// assert_eq!(skew_us(VrrpVersion::V3, 100, 100_000), 60_937);
/// ```
pub const fn skew_us(version: VrrpVersion, priority: u8, interval_us: u64) -> u64 {
    let distance = 256 - priority as u64;
    match version {
        VrrpVersion::V2 => distance * 1_000_000 / 256,
        // distance / 256 of the interval; 10,000 us in a hundredth of a second, and 10,000 / 256 = 625 / 16
        VrrpVersion::V3 => distance * (interval_us / 10_000) * 625 / 16,
    }
}

/// How long a backup of this priority waits for an advert before it takes over: so many intervals of the master and the
/// skew (`VRRP_MS_DOWN_TIMER`).
pub const fn master_down_us(
    version: VrrpVersion,
    priority: u8,
    interval_us: u64,
    adverts: u8,
) -> u64 {
    adverts as u64 * interval_us + skew_us(version, priority, interval_us)
}

/// Microseconds as a span.
pub(super) const fn micros(us: u64) -> Span {
    Span::from_micros(us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_and_master_down_are_those_of_the_table() {
        for (version, interval, skew, down) in [
            (VrrpVersion::V2, 1_000_000, 609_375, 3_609_375),
            (VrrpVersion::V2, 3_000_000, 609_375, 9_609_375),
            (VrrpVersion::V3, 100_000, 60_937, 360_937),
            (VrrpVersion::V3, 10_000, 6_093, 36_093),
        ] {
            assert_eq!(skew_us(version, 100, interval), skew);
            assert_eq!(master_down_us(version, 100, interval, 3), down);
        }
        assert_eq!(skew_us(VrrpVersion::V2, 254, 1_000_000), 7_812);
        assert_eq!(skew_us(VrrpVersion::V2, OWNER, 1_000_000), 3_906);
        assert_eq!(master_down_us(VrrpVersion::V2, 100, 1_000_000, 5), 5_609_375);
    }
}
