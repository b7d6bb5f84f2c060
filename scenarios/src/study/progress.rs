//! How far a run is, for a person who waits.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use sim_core::engine::{Span, Time};

/// Is told how far the variants are. Variants run at the same time.
pub trait Progress: Sync {
    /// A variant has come to `now` after `events` events.
    fn at(&self, variant: usize, now: Time, events: u64);
    /// A variant is done.
    fn done(&self, variant: usize);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Progress for Silent {
    fn at(&self, _: usize, _: Time, _: u64) {}
    fn done(&self, _: usize) {}
}

/// Lines of variants that wait for their turn are shown up to this many variants.
const ALL_SHOWN: usize = 16;

/// One line for each variant: simulated time, events a second, simulated seconds a second, time
/// left. With many variants only those that run have one.
#[derive(Debug)]
pub struct Bars {
    all: MultiProgress,
    variants: Vec<ProgressBar>,
    /// Whether a variant gets its line when it starts.
    late: bool,
}

impl Bars {
    /// A line for each variant with its name and the simulated time it has to reach.
    pub fn new(variants: &[(String, Span)], target: ProgressDrawTarget) -> Self {
        let all = MultiProgress::with_draw_target(target);
        let late = variants.len() > ALL_SHOWN;
        let width = variants.iter().map(|v| v.0.len()).max().unwrap_or(0);
        let style = ProgressStyle::with_template("{prefix} {bar:24} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        let variants = variants
            .iter()
            .map(|(name, end)| {
                let bar = ProgressBar::new(end.as_nanos().max(1));
                let bar = if late { bar } else { all.add(bar) };
                bar.set_style(style.clone());
                bar.set_prefix(format!("{name:width$}"));
                bar.set_message("waits");
                bar
            })
            .collect();
        Self { all, variants, late }
    }

    /// Takes the lines away.
    pub fn clear(&self) {
        // a terminal that has gone away needs no clearing
        let _gone = self.all.clear();
    }
}

impl Progress for Bars {
    fn at(&self, variant: usize, now: Time, events: u64) {
        let Some(bar) = self.variants.get(variant) else { return };
        if bar.position() == 0 {
            if self.late {
                let _same = self.all.add(bar.clone());
            }
            // it has waited for its turn until now
            bar.reset_elapsed();
            bar.reset_eta();
        }
        bar.set_position(now.as_nanos().clamp(1, bar.length().unwrap_or(u64::MAX)));
        if events == 0 {
            bar.set_message("starts");
            return;
        }
        let rates = rates(now, events, bar.elapsed().as_secs_f64());
        bar.set_message(format!("{rates}, {:.0} s left", bar.eta().as_secs_f64()));
    }

    fn done(&self, variant: usize) {
        if let Some(bar) = self.variants.get(variant) {
            bar.finish_and_clear();
        }
    }
}

/// `12.3 s simulated, 3.2 M events/s, 4.1 sim-s/s`
fn rates(now: Time, events: u64, wall: f64) -> String {
    let wall = wall.max(1e-9);
    let million = events as f64 / wall / 1e6;
    let speed = now.as_secs_f64() / wall;
    format!("{:.1} s simulated, {million:.1} M events/s, {speed:.1} sim-s/s", now.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_time_and_both_rates() {
        let text = rates(Time::from_nanos(12_300_000_000), 6_400_000, 2.0);
        assert_eq!(text, "12.3 s simulated, 3.2 M events/s, 6.2 sim-s/s");
    }

    #[test]
    fn a_variant_beyond_the_list_is_ignored() {
        let bars = Bars::new(&[("a".into(), Span::from_secs(1))], ProgressDrawTarget::hidden());
        bars.at(7, Time::ZERO, 0);
        bars.at(0, Time::ZERO, 0);
        bars.done(0);
        bars.clear();
    }
}
