//! Where disturbances and their labels stand above the lanes.

use super::super::{
    canvas::{fit, text_width},
    frame::{Rect, SMALL},
};
use super::{Clock, Shade};

/// The height of a row.
pub(super) const ROW: f64 = 16.0;
const ROWS: usize = 5;
/// With more than this many, all stand in one row and none has a label.
const LABELLED_MOST: usize = 40;
const LABEL_MOST: f64 = 260.0;

/// A disturbance in its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) row: usize,
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) label: Option<String>,
    /// The label stands at the left, not at the right.
    pub(super) label_before: bool,
}

/// Finds a place for each disturbance; also the number of rows.
pub(super) fn place(shades: &[Shade], area: Rect, clock: &Clock) -> (Vec<Placed>, usize) {
    let ends = |s: &Shade| {
        let (from, to) = (area.x(clock.position(s.from)), area.x(clock.position(s.to)));
        (from, to.max(from + 2.0))
    };
    if shades.len() > LABELLED_MOST {
        let bare = |(from, to)| Placed { row: 0, from, to, label: None, label_before: false };
        return (joined(shades.iter().map(ends).collect()).into_iter().map(bare).collect(), 1);
    }
    let mut sorted: Vec<&Shade> = shades.iter().collect();
    sorted.sort_by(|a, b| a.from.total_cmp(&b.from));
    let mut free = [f64::NEG_INFINITY; ROWS];
    let mut placed: Vec<Placed> = Vec::new();
    for shade in sorted {
        let (from, to) = ends(shade);
        let label = fit(&shade.label, SMALL, LABEL_MOST);
        let room = text_width(&label, SMALL) + 12.0;
        let after = to + room <= area.right + 8.0;
        let (left, right) = if after { (from, to + room) } else { (from - room, to) };
        let fits = free.iter().position(|end| *end <= left && left >= area.left - 1.0);
        let bare = free.iter().position(|end| *end <= from).unwrap_or(ROWS - 1);
        let row = fits.unwrap_or(bare);
        free[row] = free[row].max(if fits.is_some() { right } else { to } + 4.0);
        let label = fits.map(|_| label);
        placed.push(Placed { row, from, to, label, label_before: !after });
    }
    let rows = placed.iter().map(|p| p.row + 1).max().unwrap_or(0);
    (placed, rows)
}

/// Those that overlap or nearly touch as one.
pub(super) fn joined(mut spans: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut all: Vec<(f64, f64)> = Vec::new();
    for (from, to) in spans {
        match all.last_mut() {
            Some(last) if from <= last.1 + 0.5 => last.1 = last.1.max(to),
            _ => all.push((from, to)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::Axis;
    use super::*;
    use crate::number::Unit;

    fn placed(shades: &[(f64, f64, &str)]) -> (Vec<Placed>, usize) {
        let shade = |s: &(f64, f64, &str)| Shade { from: s.0, to: s.1, label: s.2.to_owned() };
        let shades: Vec<Shade> = shades.iter().map(shade).collect();
        let clock = Clock::new((0.0, 100.0), &Axis::new("time", Unit::Seconds));
        let area = Rect { left: 100.0, top: 0.0, right: 800.0, bottom: 100.0 };
        place(&shades, area, &clock)
    }

    #[test]
    fn labels_that_would_collide_stand_in_rows() {
        let (all, rows) =
            placed(&[(10.0, 20.0, "crash"), (22.0, 30.0, "crash"), (60.0, 61.0, "x")]);
        assert_eq!(all.iter().map(|p| p.row).collect::<Vec<_>>(), [0, 1, 0]);
        assert_eq!(rows, 2);
        assert!(all.iter().all(|p| p.label.is_some() && !p.label_before));
    }

    #[test]
    fn at_the_right_edge_the_label_stands_before() {
        let (all, _) = placed(&[(90.0, 100.0, "a long name of a fault")]);
        assert!(all[0].label_before && all[0].label.is_some());
    }

    #[test]
    fn many_disturbances_are_one_row_without_labels() {
        let many: Vec<_> =
            (0..500).map(|n| (f64::from(n) / 5.0, f64::from(n) / 5.0, "x")).collect();
        let (all, rows) = placed(&many);
        assert!(rows == 1 && all.len() < 500 && all.iter().all(|p| p.label.is_none()));
    }

    #[test]
    fn crowded_labels_are_left_out() {
        let many: Vec<_> = (0..30).map(|n| (50.0 + f64::from(n) / 10.0, 60.0, "a label")).collect();
        let (all, rows) = placed(&many);
        assert!(rows <= ROWS);
        assert_eq!(all.iter().filter(|p| p.label.is_some()).count(), ROWS);
    }
}
