//! A lane in columns of a pixel: however many stretches there are, what is drawn stays small.

use super::{Lane, Stretch};

/// Columns of a lane.
const COLUMNS: usize = 1_300;

/// What a column shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Column {
    /// Those that are there for most of it, by number, and whether pale. Several if they are there at
    /// the same time.
    pub(super) who: Vec<(usize, bool)>,
    /// Several were there at a time, be it ever so shortly.
    pub(super) several: bool,
    /// For most of it.
    pub(super) several_shown: bool,
    /// Nobody was there, be it ever so shortly, between two stretches.
    pub(super) nobody: bool,
}

/// A time in which the same ones are there.
#[derive(Debug, Clone)]
struct Part {
    from: f64,
    to: f64,
    who: Vec<(usize, bool)>,
}

/// The columns of a lane.
pub(super) fn of(lane: &Lane, range: (f64, f64), names: &[String]) -> Vec<Column> {
    let parts = parts(&lane.stretches, range, names);
    let width = (range.1 - range.0) / COLUMNS as f64;
    let mut columns = vec![Column::default(); COLUMNS];
    if width.is_nan() || width <= 0.0 {
        return columns;
    }
    // how long the winner of each column is there
    let mut longest = vec![0.0; COLUMNS];
    let last = parts.len().saturating_sub(1);
    for (index, part) in parts.iter().enumerate() {
        let place = |at: f64| ((at - range.0) / width).clamp(0.0, COLUMNS as f64);
        let (first, end) = (place(part.from), place(part.to));
        let between = index > 0 && index < last;
        for column in (first as usize)..(end.ceil() as usize).min(COLUMNS) {
            let cover = end.min(column as f64 + 1.0) - first.max(column as f64);
            let c = &mut columns[column];
            c.several |= part.who.len() > 1;
            c.nobody |= part.who.is_empty() && between;
            if cover > longest[column] {
                longest[column] = cover;
                c.several_shown = part.who.len() > 1;
                c.who.clone_from(&part.who);
            }
        }
    }
    columns
}

/// The time from one end of a stretch to the next.
fn parts(stretches: &[Stretch], range: (f64, f64), names: &[String]) -> Vec<Part> {
    let number = |s: &Stretch| names.iter().position(|n| *n == s.who).unwrap_or(0);
    let mut edges: Vec<(f64, bool, usize, bool)> = Vec::new();
    for s in stretches {
        let (from, to) = (s.from.max(range.0), s.to.min(range.1));
        if from < to {
            edges.push((from, true, number(s), s.pale));
            edges.push((to, false, number(s), s.pale));
        }
    }
    // what ends goes before what begins
    edges.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut now: Vec<(usize, bool)> = Vec::new();
    let mut parts: Vec<Part> = Vec::new();
    let mut since = range.0;
    let mut push = |from: f64, to: f64, now: &[(usize, bool)]| {
        if from < to {
            let mut who = now.to_vec();
            who.sort_unstable();
            who.dedup_by_key(|w| w.0);
            parts.push(Part { from, to, who });
        }
    };
    for (at, begins, number, pale) in edges {
        push(since, at, &now);
        since = at;
        if begins {
            now.push((number, pale));
        } else if let Some(place) = now.iter().position(|w| *w == (number, pale)) {
            now.remove(place);
        }
    }
    push(since, range.1, &now);
    parts
}

/// Neighbouring columns that are alike: first, one past the last, and what they are.
pub(super) fn runs<K: PartialEq>(
    columns: &[Column],
    key: impl Fn(&Column) -> K,
) -> Vec<(usize, usize, &Column)> {
    let mut all = Vec::new();
    let mut start = 0;
    for run in columns.chunk_by(|a, b| key(a) == key(b)) {
        if let Some(first) = run.first() {
            all.push((start, start + run.len(), first));
        }
        start += run.len();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(stretches: &[(f64, f64, &str)]) -> Vec<Column> {
        let stretch =
            |s: &(f64, f64, &str)| Stretch { from: s.0, to: s.1, who: s.2.to_owned(), pale: false };
        let stretches = stretches.iter().map(stretch).collect();
        let lane = Lane { stretches, ..Lane::default() };
        of(&lane, (0.0, 1_300.0), &["a".to_owned(), "b".to_owned()])
    }

    fn shown(columns: &[Column]) -> Vec<(usize, usize, Vec<usize>)> {
        let who = |c: &Column| -> Vec<usize> { c.who.iter().map(|w| w.0).collect() };
        runs(columns, |c| c.who.clone()).into_iter().map(|(s, e, c)| (s, e, who(c))).collect()
    }

    #[test]
    fn stretches_become_runs_of_columns() {
        let columns = lane(&[(0.0, 100.0, "a"), (110.0, 1_300.0, "b")]);
        assert_eq!(shown(&columns), [(0, 100, vec![0]), (100, 110, vec![]), (110, 1_300, vec![1])]);
        assert!(columns.iter().all(|c| !c.several));
        assert_eq!(columns.iter().filter(|c| c.nobody).count(), 10);
    }

    #[test]
    fn a_short_overlap_and_a_short_gap_leave_a_trace_in_their_column() {
        let columns = lane(&[(0.0, 100.2, "a"), (100.1, 500.4, "b"), (500.5, 1_300.0, "b")]);
        assert!(columns[100].several && !columns[100].several_shown);
        assert!(columns[500].nobody && columns[500].who == [(1, false)]);
        assert_eq!(columns.iter().filter(|c| c.several || c.nobody).count(), 2);
    }

    #[test]
    fn a_long_overlap_is_shared() {
        let columns = lane(&[(0.0, 200.0, "a"), (100.0, 1_300.0, "b")]);
        assert_eq!(shown(&columns)[1], (100, 200, vec![0, 1]));
        assert!(columns[150].several_shown);
    }

    #[test]
    fn what_is_no_time_shows_nothing() {
        let lane = Lane::default();
        assert_eq!(of(&lane, (0.0, 0.0), &[]), vec![Column::default(); COLUMNS]);
        assert_eq!(of(&lane, (f64::NAN, 1.0), &[]), vec![Column::default(); COLUMNS]);
    }
}
