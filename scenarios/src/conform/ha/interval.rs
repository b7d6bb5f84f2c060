//! Spans of time that a protocol decides, recorded and simulated side by side.

/// How much an interval may differ: the jitter of a loaded machine on which a case was recorded.
pub const JITTER: f64 = 0.1;
/// How much the average of a periodic one may differ.
pub const PERIODIC: f64 = 0.02;

/// A span of time in a recording and in its simulation, in seconds.
#[derive(Clone, PartialEq, Debug)]
pub struct Interval {
    /// From what to what.
    pub name: String,
    /// In the recording.
    pub recorded: f64,
    /// In the simulation.
    pub simulated: f64,
    /// How much they may differ.
    pub limit: f64,
}

impl Interval {
    /// An interval that may differ by [`JITTER`].
    pub fn new(name: impl Into<String>, recorded: f64, simulated: f64) -> Self {
        Self { name: name.into(), recorded, simulated, limit: JITTER }
    }

    /// The same with another limit.
    #[must_use]
    pub fn within(self, limit: f64) -> Self {
        Self { limit, ..self }
    }

    /// How much later the simulation is.
    pub fn difference(&self) -> f64 {
        self.simulated - self.recorded
    }

    /// Whether they differ by no more than the limit.
    pub fn agrees(&self) -> bool {
        self.difference().abs() <= self.limit
    }
}

/// What the comparison of a case came to.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    /// The intervals.
    pub intervals: Vec<Interval>,
    /// How many other things were compared: states, adverts, bursts, pools, outages.
    pub compared: usize,
    /// What differs, in words.
    pub differences: Vec<String>,
    /// What was not compared, and why.
    pub notes: Vec<String>,
}

impl Report {
    /// Adds an interval; one that differs too much is a difference as well.
    pub fn interval(&mut self, interval: Interval) {
        if !interval.agrees() {
            let Interval { name, recorded, simulated, limit } = &interval;
            self.differences.push(format!(
                "{name}: recorded {recorded:.3} s, simulated {simulated:.3} s, may differ by {limit} s"
            ));
        }
        self.intervals.push(interval);
    }

    /// Compares two sequences, told as words.
    pub fn sequence(&mut self, name: &str, recorded: &[String], simulated: &[String]) {
        self.compared += recorded.len();
        if recorded == simulated {
            return;
        }
        let same = recorded.iter().zip(simulated).take_while(|(r, s)| r == s).count();
        let at = |all: &[String]| all.get(same).cloned().unwrap_or_else(|| "nothing more".into());
        self.differences.push(format!(
            "{name}: {}recorded {}, simulated {}",
            if same == 0 { String::new() } else { format!("after {same} that agree, ") },
            at(recorded),
            at(simulated)
        ));
    }

    /// Whether nothing differs.
    pub fn agrees(&self) -> bool {
        self.differences.is_empty()
    }

    /// The intervals side by side, a line each.
    pub fn table(&self) -> Vec<String> {
        let width = self.intervals.iter().map(|i| i.name.chars().count()).max().unwrap_or(0);
        let row = |i: &Interval| {
            let mark = if i.agrees() { "" } else { "  differs" };
            let Interval { name, recorded, simulated, .. } = i;
            let difference = i.difference() * 1000.0;
            format!("  {name:width$}  {recorded:9.3} {simulated:9.3} {difference:+8.1} ms{mark}")
        };
        let title = format!("  {:width$}  {:>9} {:>9}", "seconds", "recorded", "simulated");
        let title = (!self.intervals.is_empty()).then_some(title);
        title.into_iter().chain(self.intervals.iter().map(row)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_may_be_late_by_the_jitter_and_no_more() {
        let mut report = Report::default();
        report.interval(Interval::new("near", 1.0, 1.099));
        report.interval(Interval::new("period", 1.0, 1.019).within(PERIODIC));
        assert!(report.agrees());
        report.interval(Interval::new("period", 1.0, 0.979).within(PERIODIC));
        assert_eq!(
            report.differences,
            ["period: recorded 1.000 s, simulated 0.979 s, may differ by 0.02 s"]
        );
        let table = report.table();
        assert_eq!(table.len(), 4);
        assert!(table[3].ends_with("-21.0 ms  differs"), "{}", table[3]);
    }

    #[test]
    fn the_first_difference_of_a_sequence_is_told() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut report = Report::default();
        report.sequence("d1", &words("a b c"), &words("a b c"));
        assert_eq!((report.compared, report.agrees()), (3, true));
        report.sequence("d1", &words("a b c"), &words("a b"));
        report.sequence("d2", &words("a"), &words("b a"));
        let differences = [
            "d1: after 2 that agree, recorded c, simulated nothing more",
            "d2: recorded a, simulated b",
        ];
        assert_eq!(report.differences, differences);
    }
}
