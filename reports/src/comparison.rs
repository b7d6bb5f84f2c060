//! The transposed table: metrics are rows, in groups with headings, and every variant is a column.

use crate::{
    number::Unit,
    table::{Cell, RowLength},
};

/// Which way a metric is good. Decides what is marked, never what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sense {
    /// Neither more nor less is better: nothing is marked.
    #[default]
    Neutral,
    /// The smallest value is marked as good.
    LowerIsBetter,
    /// The largest value is marked as good.
    HigherIsBetter,
    /// Every value but zero is marked as bad (failures, drops).
    ZeroIsGood,
}

/// How a value stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// As it is.
    Plain,
    /// The best of its row.
    Good,
    /// Something a reader should look at.
    Bad,
}

/// One metric: a label and one value per variant.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricRow {
    /// What is measured, for instance `connect p99`.
    pub label: String,
    /// The base unit of the values.
    pub unit: Unit,
    /// Which way is good.
    pub sense: Sense,
    /// One value per variant.
    pub cells: Vec<Cell>,
}

impl MetricRow {
    /// How each value stands out. Values that look the same to a reader get the same mark, and a
    /// row without a difference gets none.
    pub fn marks(&self) -> Vec<Mark> {
        let numbers: Vec<Option<f64>> = self.cells.iter().map(Cell::as_f64).collect();
        let present = numbers.iter().copied().flatten();
        let best = match self.sense {
            Sense::Neutral => None,
            Sense::LowerIsBetter => present.min_by(f64::total_cmp),
            Sense::HigherIsBetter => present.max_by(f64::total_cmp),
            Sense::ZeroIsGood => {
                let bad = |n: &Option<f64>| n.is_some_and(|value| value.abs() > 0.0);
                return numbers
                    .iter()
                    .map(|n| if bad(n) { Mark::Bad } else { Mark::Plain })
                    .collect();
            }
        };
        let Some(best) = best else { return vec![Mark::Plain; self.cells.len()] };
        let shown: Vec<String> = self.cells.iter().map(|cell| cell.human(&self.unit)).collect();
        let is_best = |n: &Option<f64>| n.is_some_and(|value| value.total_cmp(&best).is_eq());
        let best_shown = numbers.iter().position(is_best).and_then(|index| shown.get(index));
        let good = |(text, n): (&String, &Option<f64>)| n.is_some() && Some(text) == best_shown;
        let marks: Vec<bool> = shown.iter().zip(&numbers).map(good).collect();
        let differs = numbers.iter().zip(&marks).any(|(n, good)| n.is_some() && !good);
        marks.iter().map(|&m| if m && differs { Mark::Good } else { Mark::Plain }).collect()
    }
}

/// Metrics under one heading.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The heading, for instance `Latency`.
    pub heading: String,
    /// The metrics, top to bottom.
    pub rows: Vec<MetricRow>,
}

/// A table with a column per variant and a row per metric.
///
/// ```
/// use reports::{Comparison, Sense, Unit};
/// let mut modes = Comparison::new("summary", ["nat", "dr"]);
/// modes.group("Latency");
/// modes.push("connect p50", Unit::Seconds, Sense::LowerIsBetter, [0.0012.into(), 0.0009.into()])?;
/// assert_eq!(modes.groups()[0].rows[0].label, "connect p50");
/// # Ok::<(), reports::RowLength>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    name: String,
    variants: Vec<String>,
    heads: Vec<String>,
    groups: Vec<Group>,
}

impl Comparison {
    /// An empty comparison of the given variants.
    pub fn new<V: Into<String>>(
        name: impl Into<String>,
        variants: impl IntoIterator<Item = V>,
    ) -> Self {
        let variants = variants.into_iter().map(Into::into).collect();
        Self { name: name.into(), variants, heads: Vec::new(), groups: Vec::new() }
    }

    /// Puts words over the variants, one for each, left to right; equal ones beside each other
    /// are shown once over all of their columns, empty ones not at all.
    pub fn head<H: Into<String>>(&mut self, heads: impl IntoIterator<Item = H>) {
        self.heads = heads.into_iter().map(Into::into).collect();
    }

    /// Starts a group: rows pushed from here on stand under this heading.
    pub fn group(&mut self, heading: impl Into<String>) {
        self.groups.push(Group { heading: heading.into(), rows: Vec::new() });
    }

    /// Adds a metric to the last group (to one without heading if there is none yet).
    ///
    /// # Errors
    /// When there is not exactly one cell per variant; the comparison is unchanged.
    pub fn push(
        &mut self,
        label: impl Into<String>,
        unit: Unit,
        sense: Sense,
        cells: impl IntoIterator<Item = Cell>,
    ) -> Result<(), RowLength> {
        let row =
            MetricRow { label: label.into(), unit, sense, cells: cells.into_iter().collect() };
        if row.cells.len() != self.variants.len() {
            let place = format!("comparison '{}', metric '{}'", self.name, row.label);
            let (found, expected) = (row.cells.len(), self.variants.len());
            return Err(RowLength { place, found, expected });
        }
        if self.groups.is_empty() {
            self.group("");
        }
        if let Some(group) = self.groups.last_mut() {
            group.rows.push(row);
        }
        Ok(())
    }

    /// The name, a caption for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The variants, left to right.
    pub fn variants(&self) -> &[String] {
        &self.variants
    }

    /// The words over the variants; none unless [`Comparison::head`] gave them.
    pub fn heads(&self) -> &[String] {
        &self.heads
    }

    /// The groups of metrics, top to bottom.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(sense: Sense, cells: &[Cell]) -> Vec<Mark> {
        let row =
            MetricRow { label: String::new(), unit: Unit::None, sense, cells: cells.to_vec() };
        row.marks()
    }

    #[test]
    fn the_best_value_is_marked_and_what_looks_the_same_is_too() {
        use Mark::{Good, Plain};
        let cells = [Cell::Float(2.0), Cell::Float(1.0), Cell::Float(1.000_1), Cell::Empty];
        assert_eq!(marks(Sense::LowerIsBetter, &cells), [Plain, Good, Good, Plain]);
        assert_eq!(marks(Sense::HigherIsBetter, &cells), [Good, Plain, Plain, Plain]);
        assert_eq!(marks(Sense::Neutral, &cells), [Plain; 4]);
    }

    #[test]
    fn a_row_without_a_difference_has_no_best() {
        let cells = [Cell::UInt(5), Cell::UInt(5), Cell::Empty];
        assert_eq!(marks(Sense::HigherIsBetter, &cells), [Mark::Plain; 3]);
        assert_eq!(marks(Sense::HigherIsBetter, &[]), []);
    }

    #[test]
    fn failures_are_marked_wherever_there_are_any() {
        let cells = [Cell::UInt(0), Cell::UInt(3), Cell::Float(f64::NAN)];
        assert_eq!(marks(Sense::ZeroIsGood, &cells), [Mark::Plain, Mark::Bad, Mark::Plain]);
    }

    #[test]
    fn a_metric_needs_a_value_for_every_variant() {
        let mut modes = Comparison::new("modes", ["nat", "dr"]);
        let error = modes
            .push("p50", Unit::Seconds, Sense::Neutral, [Cell::Empty])
            .expect_err("one cell for two variants");
        assert_eq!(
            error.to_string(),
            "comparison 'modes', metric 'p50': a row of 1 cells where every row has 2"
        );
        assert!(modes.groups().is_empty());
    }
}
