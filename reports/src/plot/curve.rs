//! Curves in pixels: sorted, split at gaps, with no more points than can be seen.

use super::canvas::Point;

/// The points of a series in the order of `x`, split where a value is missing.
pub(super) fn runs(points: &[Point]) -> Vec<Vec<Point>> {
    let mut sorted: Vec<Point> = points.iter().copied().filter(|(x, _)| x.is_finite()).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut runs = Vec::new();
    for run in sorted.split(|(_, y)| !y.is_finite()) {
        if !run.is_empty() {
            runs.push(run.to_vec());
        }
    }
    runs
}

/// A staircase: every value holds until the next point.
pub(super) fn steps(points: &[Point]) -> Vec<Point> {
    let mut out = Vec::with_capacity(points.len() * 2);
    for &(x, y) in points {
        if let Some(&(_, before)) = out.last() {
            out.push((x, before));
        }
        out.push((x, y));
    }
    out
}

/// Leaves out what cannot be seen: of all points within half a pixel of `x`, the first, the
/// lowest, the highest and the last stay.
pub(super) fn visible(points: &[Point]) -> Vec<Point> {
    const WIDTH: f64 = 0.5;
    let column = |x: f64| (x / WIDTH).floor() as i64;
    let mut out: Vec<Point> = Vec::new();
    for group in points.chunk_by(|a, b| column(a.0) == column(b.0)) {
        let by_y = |a: &(usize, &Point), b: &(usize, &Point)| a.1.1.total_cmp(&b.1.1);
        let low = group.iter().enumerate().min_by(by_y).map_or(0, |(index, _)| index);
        let high = group.iter().enumerate().max_by(by_y).map_or(0, |(index, _)| index);
        let mut keep = [0, low.min(high), low.max(high), group.len() - 1].to_vec();
        keep.dedup();
        out.extend(keep.iter().filter_map(|&index| group.get(index)));
    }
    out.dedup();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_value_is_a_gap() {
        let points = [(2.0, 1.0), (0.0, 1.0), (1.0, f64::NAN), (f64::NAN, 3.0)];
        assert_eq!(runs(&points), [vec![(0.0, 1.0)], vec![(2.0, 1.0)]]);
        assert!(runs(&[]).is_empty());
    }

    #[test]
    fn a_staircase_holds_each_value() {
        let stairs = steps(&[(0.0, 1.0), (2.0, 5.0)]);
        assert_eq!(stairs, [(0.0, 1.0), (2.0, 1.0), (2.0, 5.0)]);
    }

    #[test]
    fn spikes_survive_the_thinning() {
        let noisy: Vec<Point> =
            (0..100_000).map(|i| (f64::from(i) / 1000.0, f64::from(i % 7))).collect();
        let thin = visible(&noisy);
        assert!(thin.len() <= 4 * 201, "{}", thin.len());
        let mut spike = vec![(0.0, 0.0); 50];
        spike[20] = (0.1, 9.0);
        assert!(visible(&spike).contains(&(0.1, 9.0)));
    }
}
