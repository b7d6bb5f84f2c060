//! The runs of a tracked script, and its up and down (`vrrp_script_thread`, `vrrp_script_child_thread`).

use crate::config::VrrpScript;
use crate::engine::{Span, Time};

/// A script that does not obey is killed so long after it was told to end.
const KILL_AFTER: Span = Span::from_secs(2);

/// A tracked script.
#[derive(Clone, Debug)]
pub(super) struct Script {
    config: VrrpScript,
    next_run: Time,
    /// When the run under way ends, and whether it succeeds.
    ends: Option<(Time, bool)>,
    /// 0 to `rise + fall - 1`; up from `rise` on.
    result: u32,
    /// No run has ended yet, and the script is neither up nor down.
    pub(super) fresh: bool,
}

impl Script {
    pub(super) fn new(config: &VrrpScript) -> Self {
        let (result, fresh) =
            if config.init_fail { (0, false) } else { (config.rise.max(1) - 1, true) };
        Self { config: config.clone(), next_run: Time::NEVER, ends: None, result, fresh }
    }

    /// The first run is at once.
    pub(super) fn start(&mut self, now: Time) {
        self.next_run = now;
    }

    pub(super) fn is_up(&self) -> bool {
        self.result >= self.config.rise.max(1)
    }

    /// When it wants attention: the end of a run goes before the next start.
    pub(super) fn deadline(&self) -> Time {
        self.ends.map_or(Time::NEVER, |(at, _)| at).min(self.next_run)
    }

    /// Its deadline has come. Whether it went up or down, or is neither any more.
    pub(super) fn wake(&mut self, now: Time) -> bool {
        if let Some((_, success)) = self.ends.filter(|(at, _)| *at <= self.next_run) {
            self.ends = None;
            return self.ended(success);
        }
        self.next_run = now + self.config.interval.max(Span::from_micros(1));
        if self.ends.is_none() {
            self.ends = Some(self.run(now));
        }
        false
    }

    /// A run that begins now: its end, and whether it succeeds.
    fn run(&self, now: Time) -> (Time, bool) {
        let since = now - Time::ZERO;
        let found = self.config.results.iter().filter(|r| r.from <= since).max_by_key(|r| r.from);
        let Some(result) = found else { return (now, true) };
        let timeout = self.config.timeout.unwrap_or(self.config.interval);
        if result.duration <= timeout {
            return (now + result.duration, result.exit == 0);
        }
        let killed = timeout + if result.stubborn { KILL_AFTER } else { Span::ZERO };
        // one that ends by itself while it is told to end is taken at its word
        if result.duration <= killed {
            return (now + result.duration, result.exit == 0);
        }
        (now + killed, false)
    }

    fn ended(&mut self, success: bool) -> bool {
        let (was_fresh, was_up) = (self.fresh, self.is_up());
        let (rise, fall) = (self.config.rise.max(1), self.config.fall.max(1));
        self.fresh = false;
        if success {
            self.result = if self.result + 1 < rise { self.result + 1 } else { rise + fall - 1 };
        } else if self.result > rise {
            self.result -= 1;
        } else {
            self.result = 0;
        }
        was_fresh || was_up != self.is_up()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ScriptResult;

    fn at(ms: u64) -> Time {
        Time::ZERO + Span::from_millis(ms)
    }

    fn result(from_ms: u64, exit: u8, duration_ms: u64) -> ScriptResult {
        ScriptResult {
            from: Span::from_millis(from_ms),
            exit,
            duration: Span::from_millis(duration_ms),
            stubborn: false,
        }
    }

    /// When the script changed, in milliseconds, and whether it was up then.
    fn changes(config: &VrrpScript, until: u64) -> Vec<(u64, bool)> {
        let mut script = Script::new(config);
        script.start(Time::ZERO);
        let mut told = Vec::new();
        while script.deadline() <= at(until) {
            let now = script.deadline();
            if script.wake(now) {
                told.push((now.as_nanos() / 1_000_000, script.is_up()));
            }
        }
        told
    }

    #[test]
    fn one_success_or_one_failure_settles_a_fresh_script() {
        let mut config = VrrpScript { rise: 3, fall: 2, ..VrrpScript::new("chk") };
        assert_eq!(changes(&config, 10_000), [(0, true)]);
        config.results = vec![result(0, 1, 100)];
        assert_eq!(changes(&config, 10_000), [(100, false)]);
        config.init_fail = true;
        config.results = vec![];
        assert_eq!(changes(&config, 10_000), [(2_000, true)], "three successes from nothing");
    }

    #[test]
    fn fall_failures_take_it_down_and_rise_successes_bring_it_back() {
        let mut config = VrrpScript { rise: 2, fall: 3, ..VrrpScript::new("chk") };
        config.results = vec![result(1_500, 1, 10), result(6_500, 0, 10)];
        assert_eq!(changes(&config, 20_000), [(0, true), (4_010, false), (8_010, true)]);
    }

    #[test]
    fn a_success_between_failures_forgives_them() {
        let mut config = VrrpScript { rise: 2, fall: 3, ..VrrpScript::new("chk") };
        config.results = vec![result(500, 1, 0), result(2_500, 0, 0), result(3_500, 1, 0)];
        assert_eq!(changes(&config, 5_500), [(0, true)], "two, one good, two");
        assert_eq!(changes(&config, 6_500), [(0, true), (6_000, false)]);
    }

    #[test]
    fn a_run_that_takes_too_long_fails_and_is_not_doubled() {
        let mut config = VrrpScript { interval: Span::from_secs(2), ..VrrpScript::new("chk") };
        config.timeout = Some(Span::from_millis(500));
        config.results = vec![result(1_000, 0, 60_000)];
        assert_eq!(changes(&config, 9_000), [(0, true), (2_500, false)]);
        config.results[0].stubborn = true;
        assert_eq!(changes(&config, 9_000), [(0, true), (4_500, false)], "killed 2 s later");
        config.timeout = Some(Span::from_secs(5));
        config.results = vec![result(1_000, 1, 4_500)];
        assert_eq!(
            changes(&config, 9_000),
            [(0, true), (6_500, false)],
            "runs at 4 and 6 s left out"
        );
    }
}
