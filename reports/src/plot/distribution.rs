//! Distributions: which share of the values is at or below, or above, each value.

use super::{
    Axis, Series, Svg,
    canvas::{Canvas, Point, picture},
    curve::{steps, visible},
    frame::{Figure, Layout, Swatch, label_width, no_data, x_axis, y_axis},
    palette::{Paint, overlay_dash_of},
    scale::{Ends, Scale, extent},
};
use crate::number::Unit;

/// Which side of a distribution is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// The share of values at or below (CDF), from 0 to 100 %: shows the middle. The value axis
    /// ends where every series has reached 99.9 %.
    #[default]
    Cumulative,
    /// The share of values above (complementary CDF) on a logarithmic scale: shows the tail.
    Tail,
}

/// Distributions of several series over one logarithmic axis.
///
/// ```
/// use reports::{Unit, plot::{Axis, Distribution, Form, Series}};
/// let svg = Distribution {
///     title: "Connect latency".to_owned(),
///     value: Axis::new("latency", Unit::Seconds),
///     counted: "connections".to_owned(),
///     form: Form::Cumulative,
///     series: vec![Series::new("dr", [(0.001, 0.5), (0.002, 0.99), (0.01, 1.0)])],
/// }
/// .svg();
/// assert!(svg.as_str().contains("share of connections at or below"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// The title.
    pub title: String,
    /// The value axis, logarithmic; values of 0 and below stand at its low end.
    pub value: Axis,
    /// What was counted, for the other axis: `connections`.
    pub counted: String,
    /// Which side is shown.
    pub form: Form,
    /// Points `(value, share of all values at or below it)`, the share from 0 to 1. A share lower
    /// than one before it is taken as that one.
    pub series: Vec<Series>,
}

/// The least share a tail is drawn down to.
const LEAST_SHARE: f64 = 1e-9;

impl Distribution {
    /// Draws it.
    pub fn svg(&self) -> Svg {
        let curves: Vec<Vec<Point>> = self.series.iter().map(|s| cumulative(&s.points)).collect();
        let seen = curves.iter().flat_map(|curve| self.seen(curve));
        let range = extent(seen.map(|(value, _)| *value).filter(|value| *value > 0.0));
        // A little room, so that no step stands on the edge.
        let range = range.map_or((1e-3, 1.0), |(low, high)| (low * 0.97, high * 1.03));
        let x = Scale::logarithmic(range, &self.value.tick_unit(), 9);
        let y = self.share_scale(&curves);
        let words = match self.form {
            Form::Cumulative => "at or below",
            Form::Tail => "above",
        };
        let figure = Figure {
            title: self.title.clone(),
            legend: self.series.iter().map(|series| series.name.clone()).collect(),
            swatch: Swatch::Curve,
            panels: vec![String::new()],
            columns_most: usize::MAX,
            own_y: false,
            y_labels: label_width(&y),
            x_title: self.value.text(),
            y_title: format!("share of {} {words}", self.counted),
        };
        let layout = figure.layout();
        let label = format!("{}: share of {} {words}", self.title, self.counted);
        picture(layout.size, &label, |canvas| {
            figure.draw(canvas, &layout);
            self.draw_curves(canvas, &layout, &curves, [&x, &y]);
        })
    }

    fn draw_curves(
        &self,
        canvas: &Canvas<'_>,
        layout: &Layout,
        curves: &[Vec<Point>],
        [x, y]: [&Scale; 2],
    ) {
        let Some(&area) = layout.panels.first() else { return };
        y_axis(canvas, area, y, true);
        x_axis(canvas, area, x);
        if curves.iter().all(Vec::is_empty) {
            no_data(canvas, area);
        }
        for (index, curve) in curves.iter().enumerate() {
            let Some(&(first, _)) = curve.first() else { continue };
            // Before the first value nothing is at or below, and everything is above.
            let staircase = steps(&[&[(first, 0.0)], curve.as_slice()].concat());
            let place = |&(value, share): &Point| {
                let share = match self.form {
                    Form::Cumulative => share,
                    Form::Tail => 1.0 - share,
                };
                (area.x(x.position(value)), area.y(y.position(share)))
            };
            let path: Vec<Point> = staircase.iter().map(place).collect();
            let dash = overlay_dash_of(index);
            canvas.line(&visible(&path), Paint::Series(index, 1.0), 2.0, dash);
        }
    }

    /// The points the value axis must reach. Of a cumulative curve the last thousandth is left to
    /// the tail form: on its flat end nothing can be read.
    fn seen<'a>(&self, curve: &'a [Point]) -> &'a [Point] {
        let reached = curve.iter().position(|(_, share)| *share >= 0.999);
        let end = match (self.form, reached) {
            (Form::Cumulative, Some(index)) => index + 1,
            _ => curve.len(),
        };
        curve.get(..end).unwrap_or(curve)
    }

    fn share_scale(&self, curves: &[Vec<Point>]) -> Scale {
        match self.form {
            Form::Cumulative => Scale::linear((0.0, 1.0), &Unit::Ratio, 5, Ends::Round),
            Form::Tail => {
                let tails = curves.iter().flatten().map(|(_, share)| 1.0 - share);
                let least = extent(tails.filter(|tail| *tail >= LEAST_SHARE));
                // A decade below the last visible step, so that its end can be seen to fall.
                let low = least.map_or(0.01, |(least, _)| (least / 2.0).clamp(LEAST_SHARE, 0.5));
                Scale::logarithmic((low, 1.0), &Unit::Ratio, 9)
            }
        }
    }
}

/// The finite points in the order of their values, shares from 0 to 1 and never falling.
fn cumulative(points: &[Point]) -> Vec<Point> {
    let finite = |(value, share): &Point| value.is_finite() && share.is_finite();
    let mut sorted: Vec<Point> = points.iter().copied().filter(finite).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut reached: f64 = 0.0;
    for point in &mut sorted {
        reached = reached.max(point.1.clamp(0.0, 1.0));
        point.1 = reached;
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_put_in_order() {
        let points = [(2.0, 0.4), (1.0, 0.5), (f64::NAN, 0.1), (3.0, 7.0), (4.0, f64::NAN)];
        assert_eq!(cumulative(&points), [(1.0, 0.5), (2.0, 0.5), (3.0, 1.0)]);
    }
}
