//! What instances track: interfaces, scripts, files, processes, BFD sessions; and what that does to priorities.

use super::script::Script;
use crate::config::{Track, Tracked, VrrpConfig};
use crate::engine::{Span, Time};

/// A contribution of this or less to the priority is a fault.
const FAULT: i32 = -254;

/// What a tracked object does to an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    /// It is in fault.
    Fault,
    /// It is not known yet whether it is in fault.
    Unknown,
    /// This is added to the priority.
    Add(i32),
}

/// A tracked object with its weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tracker {
    pub(super) source: usize,
    weight: i32,
    sign: i32,
}

/// An object that is tracked.
#[derive(Clone, Debug)]
pub(super) struct Source {
    what: Tracked,
    /// Up, as far as instances know.
    up: bool,
    /// Of a file.
    value: i32,
    script: Option<Script>,
    /// A change that is not believed yet.
    pending: Option<(Time, bool)>,
    up_delay: Span,
    down_delay: Span,
    /// Values of a file or numbers of processes to come, the last one first.
    schedule: Vec<(Time, i32)>,
    quorum: (u32, u32),
}

impl Source {
    /// An object of the configuration. One that is not there is up for ever.
    fn new(what: &Tracked, config: &VrrpConfig) -> Self {
        let mut source = Self {
            what: what.clone(),
            up: !matches!(what, Tracked::Bfd(_)),
            value: 0,
            script: None,
            pending: None,
            up_delay: Span::ZERO,
            down_delay: Span::ZERO,
            schedule: Vec::new(),
            quorum: (0, u32::MAX),
        };
        match what {
            Tracked::Interface(name) => {
                let delay = config.link_delays.iter().find(|d| d.interface == *name);
                if let Some(delay) = delay {
                    (source.up_delay, source.down_delay) = (delay.up, delay.down);
                }
            }
            Tracked::Script(name) => {
                let script = config.scripts.iter().find(|s| s.name == *name);
                source.script = script.map(Script::new);
            }
            Tracked::File(name) => {
                let values = config.files.iter().find(|f| f.name == *name).map(|f| &f.values);
                source.schedule = schedule(values.into_iter().flatten().copied());
            }
            Tracked::Process(name) => {
                if let Some(p) = config.processes.iter().find(|p| p.name == *name) {
                    (source.up_delay, source.down_delay) = (p.fork_delay, p.terminate_delay);
                    source.quorum = (p.quorum, p.quorum_max);
                    let counts = p.counts.iter().map(|(at, n)| (*at, (*n).cast_signed().max(0)));
                    source.schedule = schedule(counts);
                }
            }
            Tracked::Bfd(_) => {}
        }
        source
    }

    /// keepalived begins: what has been said until now counts at once.
    pub(super) fn start(&mut self, now: Time, link: impl Fn(&str) -> bool) {
        if let Tracked::Interface(name) = &self.what {
            self.up = link(name);
        }
        if let Some(script) = &mut self.script {
            script.start(now);
        }
        while let Some((_, value)) = self.schedule.pop_if(|(at, _)| *at <= now) {
            self.take(value);
        }
    }

    pub(super) fn is(&self, what: &Tracked) -> bool {
        self.what == *what
    }

    pub(super) fn deadline(&self) -> Time {
        let pending = self.pending.map_or(Time::NEVER, |(at, _)| at);
        let scheduled = self.schedule.last().map_or(Time::NEVER, |(at, _)| *at);
        let script = self.script.as_ref().map_or(Time::NEVER, Script::deadline);
        pending.min(scheduled).min(script)
    }

    /// Its deadline has come. Whether instances are concerned.
    pub(super) fn wake(&mut self, now: Time) -> bool {
        if let Some(script) = &mut self.script
            && script.deadline() <= now
        {
            return script.wake(now);
        }
        if let Some((_, value)) = self.schedule.pop_if(|(at, _)| *at <= now) {
            if let Some(up) = self.quorum_of(value) {
                return self.set(now, up);
            }
            let changed = self.value != value;
            self.value = value;
            return changed;
        }
        if let Some((at, up)) = self.pending
            && at <= now
        {
            self.pending = None;
            self.up = up;
            return true;
        }
        false
    }

    /// It is up or down now, which is believed after some time. Whether instances are concerned at once.
    pub(super) fn set(&mut self, now: Time, up: bool) -> bool {
        if up == self.up {
            self.pending = None;
            return false;
        }
        let delay = if up { self.up_delay } else { self.down_delay };
        if delay == Span::ZERO {
            self.pending = None;
            self.up = up;
            return true;
        }
        if self.pending.is_none() {
            self.pending = Some((now + delay, up));
        }
        false
    }

    /// Whether so many processes are enough and not too many; `None` for a file.
    fn quorum_of(&self, count: i32) -> Option<bool> {
        let (least, most) = self.quorum;
        let processes = matches!(self.what, Tracked::Process(_));
        processes.then(|| (least..=most).contains(&count.unsigned_abs()))
    }

    fn take(&mut self, value: i32) {
        match self.quorum_of(value) {
            Some(up) => self.up = up,
            None => self.value = value,
        }
    }

    fn effect(&self, weight: i32, sign: i32) -> Effect {
        if matches!(self.what, Tracked::File(_)) {
            let status = if weight != 0 {
                self.value.saturating_mul(weight).saturating_mul(sign)
            } else if (self.value != 0) == (sign == 1) {
                FAULT
            } else {
                0
            };
            return if status <= FAULT { Effect::Fault } else { Effect::Add(status.min(253)) };
        }
        let up = match &self.script {
            Some(script) if script.fresh => {
                return if weight == 0 { Effect::Unknown } else { Effect::Add(0) };
            }
            Some(script) => script.is_up(),
            None => self.up,
        };
        if weight == 0 {
            return if up == (sign == 1) { Effect::Add(0) } else { Effect::Fault };
        }
        Effect::Add(if up == (weight > 0) { weight * sign } else { 0 })
    }
}

/// Values by time, the last one first.
fn schedule(values: impl Iterator<Item = (Span, i32)>) -> Vec<(Time, i32)> {
    let mut all: Vec<_> = values.map(|(at, value)| (Time::ZERO + at, value)).collect();
    all.sort_by_key(|(at, _)| *at);
    all.reverse();
    all
}

/// The tracker of an object, which is entered among the sources if it is not there.
pub(super) fn tracker(track: &Track, config: &VrrpConfig, sources: &mut Vec<Source>) -> Tracker {
    let found = sources.iter().position(|s| s.is(&track.what));
    let source = found.unwrap_or_else(|| {
        sources.push(Source::new(&track.what, config));
        sources.len() - 1
    });
    Tracker { source, weight: track.weight, sign: if track.reverse { -1 } else { 1 } }
}

/// What all the trackers of an instance come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Sum {
    /// Trackers in fault.
    pub(super) faults: u32,
    /// Scripts that have not run yet and may be a fault.
    pub(super) unknown: u32,
    /// What is added to the priority.
    pub(super) add: i32,
}

/// What the trackers come to.
pub(super) fn sum(trackers: &[Tracker], sources: &[Source]) -> Sum {
    let mut sum = Sum::default();
    for t in trackers {
        match sources[t.source].effect(t.weight, t.sign) {
            Effect::Fault => sum.faults += 1,
            Effect::Unknown => sum.unknown += 1,
            Effect::Add(n) => sum.add = sum.add.saturating_add(n),
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{TrackFile, TrackProcess};

    fn source(what: &Tracked) -> Source {
        Source::new(what, &VrrpConfig::default())
    }

    #[test]
    fn a_positive_weight_rewards_and_a_negative_one_punishes() {
        let mut s = source(&Tracked::Interface("eth1".into()));
        for (up, weight, sign, effect) in [
            (true, 20, 1, Effect::Add(20)),
            (false, 20, 1, Effect::Add(0)),
            (true, -20, 1, Effect::Add(0)),
            (false, -20, 1, Effect::Add(-20)),
            (true, 20, -1, Effect::Add(-20)),
            (false, -20, -1, Effect::Add(20)),
            (true, 0, 1, Effect::Add(0)),
            (false, 0, 1, Effect::Fault),
            (true, 0, -1, Effect::Fault),
            (false, 0, -1, Effect::Add(0)),
        ] {
            s.up = up;
            assert_eq!(s.effect(weight, sign), effect, "{up} {weight} {sign}");
        }
    }

    #[test]
    fn a_file_adds_its_value_times_the_weight() {
        let mut s = source(&Tracked::File("f".into()));
        for (value, weight, sign, effect) in [
            (0, 0, 1, Effect::Add(0)),
            (3, 0, 1, Effect::Fault),
            (0, 0, -1, Effect::Fault),
            (3, 10, 1, Effect::Add(30)),
            (3, 10, -1, Effect::Add(-30)),
            (300, 1, 1, Effect::Add(253)),
            (-127, 2, 1, Effect::Fault),
            (i32::MAX, i32::MAX, -1, Effect::Fault),
        ] {
            s.value = value;
            assert_eq!(s.effect(weight, sign), effect, "{value} {weight} {sign}");
        }
    }

    #[test]
    fn a_file_and_a_process_change_when_they_are_told_to() {
        let ms = |ms| Time::ZERO + Span::from_millis(ms);
        let file = TrackFile {
            name: "f".into(),
            values: vec![(Span::from_millis(500), 7), (Span::ZERO, 3)],
        };
        let process = TrackProcess {
            quorum: 2,
            quorum_max: 4,
            terminate_delay: Span::from_millis(250),
            counts: vec![(Span::ZERO, 3), (Span::from_millis(100), 5)],
            ..TrackProcess::new("p")
        };
        let config =
            VrrpConfig { files: vec![file], processes: vec![process], ..VrrpConfig::default() };
        let mut f = Source::new(&Tracked::File("f".into()), &config);
        f.start(ms(10), |_| true);
        assert_eq!((f.value, f.deadline()), (3, ms(500)));
        assert!(f.wake(ms(500)));
        assert_eq!((f.value, f.deadline()), (7, Time::NEVER));
        let mut p = Source::new(&Tracked::Process("p".into()), &config);
        p.start(ms(10), |_| true);
        assert_eq!(p.effect(0, 1), Effect::Add(0));
        assert!(!p.wake(ms(100)), "believed later");
        assert_eq!(p.deadline(), ms(350));
        assert!(p.wake(ms(350)));
        assert_eq!(p.effect(0, 1), Effect::Fault, "too many");
    }

    #[test]
    fn a_change_that_is_taken_back_in_time_is_not_noticed() {
        let ms = |ms| Time::ZERO + Span::from_millis(ms);
        let mut s = source(&Tracked::Interface("eth0".into()));
        s.down_delay = Span::from_millis(100);
        assert!(!s.set(ms(10), false) && s.deadline() == ms(110));
        assert!(!s.set(ms(60), true) && s.deadline() == Time::NEVER);
        assert!(!s.set(ms(70), false) && !s.set(ms(80), false));
        assert_eq!(s.deadline(), ms(170));
        assert!(s.wake(ms(170)));
        assert!(s.set(ms(180), true), "it comes back without delay");
    }
}
