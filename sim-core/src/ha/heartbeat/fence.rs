//! STONITH: the power is taken from a node that may still hold resources (`hb_resource.c`,
//! `Initiate_Reset`).

use crate::config::{ResetFailure, StonithConfig};
use crate::engine::{Span, Stream, Time, Uniform};

/// From a reset that failed to the next one.
const RETRY: Span = Span::from_secs(5);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    /// The device is at work: when it cuts (`NEVER`: it has, or will not), and when it has an answer.
    Resetting {
        cut: Time,
        end: Time,
    },
    Waiting(Time),
}

/// What becomes of a reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// A reset begins.
    Begun,
    /// The power is cut now.
    Cut,
    /// The device says that it is done.
    Done,
    /// It has failed; it will be tried again.
    Failed,
}

/// The fencing of one node.
#[derive(Debug)]
pub(super) struct Fence {
    state: State,
    attempts: u32,
    works: bool,
    reached: bool,
}

impl Fence {
    pub(super) const fn new() -> Self {
        Self { state: State::Idle, attempts: 0, works: false, reached: false }
    }

    /// Fencing begins, or is called for while it goes on.
    pub(super) fn begin(&mut self, now: Time) {
        if self.state == State::Idle {
            self.state = State::Waiting(now);
        }
    }

    /// The daemon has ended.
    pub(super) fn end(&mut self) {
        self.state = State::Idle;
    }

    /// The device has been reached.
    pub(super) fn reached(&mut self) {
        self.reached = true;
    }

    /// It stood still for a while.
    pub(super) fn shift(&mut self, by: Span) {
        match &mut self.state {
            State::Idle => {}
            State::Waiting(at) => *at += by,
            State::Resetting { cut, end } => {
                if *cut != Time::NEVER {
                    *cut += by;
                }
                *end += by;
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Time {
        match self.state {
            State::Idle => Time::NEVER,
            State::Waiting(at) => at,
            State::Resetting { cut, end } => cut.min(end),
        }
    }

    /// What happens now to the fencing of `node`, if anything does.
    pub(super) fn run(
        &mut self,
        now: Time,
        node: &str,
        config: &StonithConfig,
        stream: &mut Stream,
    ) -> Option<Outcome> {
        match self.state {
            State::Waiting(at) if at <= now => {
                self.works = config.outlets.iter().any(|(name, _)| name == node)
                    && match config.failure {
                        ResetFailure::Never => true,
                        ResetFailure::Always => false,
                        ResetFailure::First(n) => self.attempts >= n,
                        ResetFailure::Chance(p) => stream.unit() >= p,
                    };
                self.attempts = self.attempts.saturating_add(1);
                self.reached = config.address.is_none();
                let cut = now + config.cut.min(config.reset);
                self.state = State::Resetting { cut, end: now + config.reset };
                Some(Outcome::Begun)
            }
            State::Resetting { cut, end } if cut <= now => {
                self.state = State::Resetting { cut: Time::NEVER, end };
                self.works &= self.reached;
                self.works.then_some(Outcome::Cut).or_else(|| self.run(now, node, config, stream))
            }
            State::Resetting { end, .. } if end <= now => {
                self.state = if self.works { State::Idle } else { State::Waiting(now + RETRY) };
                Some(if self.works { Outcome::Done } else { Outcome::Failed })
            }
            State::Idle | State::Waiting(_) | State::Resetting { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(failure: ResetFailure) -> StonithConfig {
        StonithConfig {
            device: "external/switch".to_owned(),
            outlets: vec![("b".to_owned(), Some("b".to_owned()))],
            reset: Span::from_secs(2),
            cut: Span::from_secs(1),
            failure,
            power_back: None,
            address: None,
        }
    }

    /// Everything that happens in a minute, with its second.
    fn history(node: &str, config: &StonithConfig, reached: bool) -> Vec<(u64, Outcome)> {
        let mut stream = Stream::new(1, "a", "stonith");
        let mut fence = Fence::new();
        fence.begin(Time::ZERO);
        let mut all = Vec::new();
        for s in 0..60 {
            let now = Time::ZERO + Span::from_secs(s);
            while let Some(outcome) = fence.run(now, node, config, &mut stream) {
                all.push((s, outcome));
                if reached {
                    fence.reached();
                }
            }
        }
        all
    }

    #[test]
    fn a_device_that_works_cuts_and_says_so() {
        let all = history("b", &device(ResetFailure::Never), false);
        assert_eq!(all, [(0, Outcome::Begun), (1, Outcome::Cut), (2, Outcome::Done)]);
    }

    #[test]
    fn a_reset_that_fails_is_tried_again_five_seconds_after_its_end() {
        let all = history("b", &device(ResetFailure::Always), false);
        assert!(all.iter().all(|(_, o)| matches!(o, Outcome::Begun | Outcome::Failed)));
        let begun: Vec<_> = all.iter().filter(|x| x.1 == Outcome::Begun).map(|x| x.0).collect();
        assert_eq!(begun, [0, 7, 14, 21, 28, 35, 42, 49, 56]);
    }

    #[test]
    fn the_third_reset_works_if_two_fail() {
        let all = history("b", &device(ResetFailure::First(2)), false);
        assert_eq!(all.last(), Some(&(16, Outcome::Done)));
        assert_eq!(all.iter().filter(|x| x.1 == Outcome::Cut).count(), 1);
    }

    #[test]
    fn nobody_is_cut_who_hangs_on_no_outlet() {
        let all = history("c", &device(ResetFailure::Never), false);
        assert!(all.iter().all(|(_, o)| *o != Outcome::Cut) && all[1] == (2, Outcome::Failed));
    }

    #[test]
    fn a_device_with_an_address_works_once_it_is_reached() {
        let far = StonithConfig {
            address: Some((crate::config::v4(10, 0, 0, 9), 23)),
            ..device(ResetFailure::Never)
        };
        assert_eq!(history("b", &far, false)[1], (2, Outcome::Failed));
        assert_eq!(history("b", &far, true)[1], (1, Outcome::Cut));
    }
}
