//! When timers run: exactly, or as late as the kernel's timer wheel runs them.

use crate::engine::{Span, Time};

/// A tick at `HZ` = 100.
const TICK_NANOS: u64 = 10_000_000;

/// How late the timers of a director run.
///
/// The kernel sorts timers into buckets that are the wider the longer the timer is; a bucket runs as
/// a whole when its time is over, up to an eighth of the timer later than asked for. Until then an
/// entry is found, counted and renewed as before. Source: `kernel/time/timer.c`,
/// `calc_wheel_index`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Clock {
    /// Each timer runs at its own time. What a simulation does unless it repeats a recording.
    #[default]
    Exact,
    /// As a kernel with 100 ticks a second whose clock showed `phase` at [`Time::ZERO`].
    Ticks {
        /// Age of the wheel at the start.
        phase: Span,
    },
}

impl Clock {
    /// When a timer runs that was started at `start` for `span`.
    pub fn fires(self, start: Time, span: Span) -> Time {
        let Self::Ticks { phase } = self else { return start + span };
        let ticks = span.as_nanos() / TICK_NANOS;
        let shift = match ticks {
            0..63 => 0,
            63..504 => 3,
            504..4_032 => 6,
            4_032..32_256 => 9,
            _ => 12,
        };
        let due = (start + phase).as_nanos() / TICK_NANOS + ticks;
        let bucket = ((due >> shift) + 1) << shift;
        let fires = (bucket * TICK_NANOS).saturating_sub(phase.as_nanos());
        Time::from_nanos(fires).max(start)
    }

    /// When a timer of length `span` runs that is due at `due`.
    pub(super) fn fires_when_due(self, due: Time, span: Span) -> Time {
        match self {
            Self::Exact => due,
            Self::Ticks { .. } => {
                let start = due.as_nanos().saturating_sub(span.as_nanos());
                self.fires(Time::from_nanos(start), span)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Time {
        Time::ZERO + Span::from_millis(ms)
    }

    #[test]
    fn a_wheel_is_late_by_less_than_a_bucket_and_never_early() {
        for (seconds, bucket) in [(2, 80), (10, 640), (60, 5_120), (900, 40_960)] {
            let span = Span::from_secs(seconds);
            for phase in [0, 7, 79, 500] {
                let wheel = Clock::Ticks { phase: Span::from_millis(phase) };
                for now in (0..6_000).step_by(13) {
                    let fires = wheel.fires(ms(now), span);
                    let exact = Clock::Exact.fires(ms(now), span);
                    assert_eq!(exact, ms(now) + span);
                    let late = fires.saturating_since(exact);
                    // The clock counts whole ticks: up to one may be lost.
                    assert!(fires + Span::from_millis(10) > exact, "{seconds} s, {phase}, {now}");
                    assert!(late <= Span::from_millis(bucket), "{seconds} s, {phase}, {now}");
                    assert_eq!(wheel.fires_when_due(exact, span), fires);
                    assert_eq!(Clock::Exact.fires_when_due(exact, span), exact);
                }
            }
        }
    }

    #[test]
    fn timers_of_one_bucket_run_together() {
        let wheel = Clock::Ticks { phase: Span::ZERO };
        let span = Span::from_secs(2);
        assert_eq!(wheel.fires(ms(0), span), ms(2_080));
        assert_eq!(wheel.fires(ms(79), span), ms(2_080));
        assert_eq!(wheel.fires(ms(80), span), ms(2_160));
    }
}
