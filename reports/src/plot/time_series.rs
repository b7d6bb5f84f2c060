//! Values over time, in one panel per variant with one scale for all.

use super::{
    Axis, Series, Svg,
    canvas::{Canvas, Point, picture},
    curve::{runs, steps, visible},
    frame::{Figure, Rect, Swatch, label_width, no_data, x_axis, y_axis},
    palette::{Paint, dash_of, fill_of},
    scale::{Ends, Scale, extent},
};

/// How points are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// Straight from point to point: samples of something that moves.
    #[default]
    Lines,
    /// Every value holds until the next: counts that jump.
    Steps,
}

/// The series of one variant.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Panel {
    /// The title above it, empty for none.
    pub title: String,
    /// The series.
    pub series: Vec<Series>,
}

/// Small multiples of values over time. All panels share both scales, so that they can be
/// compared; the value scale includes zero.
///
/// ```
/// use reports::{Unit, plot::{Axis, Panel, Series, Shape, TimeSeries}};
/// let svg = TimeSeries {
///     title: "Connections per server".to_owned(),
///     time: Axis::new("simulated time", Unit::Seconds),
///     value: Axis::new("active connections", Unit::None),
///     shape: Shape::Steps,
///     stacked: false,
///     panels: vec![Panel {
///         title: "dr".to_owned(),
///         series: vec![Series::new("rs1", [(0.0, 0.0), (1.0, 12.0)])],
///     }],
/// }
/// .svg();
/// assert!(svg.as_str().contains("active connections"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TimeSeries {
    /// The title.
    pub title: String,
    /// The horizontal axis.
    pub time: Axis,
    /// The vertical axis.
    pub value: Axis,
    /// How points are joined.
    pub shape: Shape,
    /// Whether series stand on each other as areas. Negative values then count as zero.
    pub stacked: bool,
    /// One panel per variant, at most 36 are drawn.
    pub panels: Vec<Panel>,
}

/// One series ready to be drawn: which colour, and its runs of values without a gap.
struct Trace {
    colour: usize,
    /// Upper edge of an area, or the line itself.
    runs: Vec<Vec<Point>>,
    /// Lower edge of an area.
    base: Vec<Point>,
}

impl TimeSeries {
    /// Draws it.
    pub fn svg(&self) -> Svg {
        let names = self.names();
        let traces: Vec<Vec<Trace>> =
            self.panels.iter().map(|panel| self.traces(panel, &names)).collect();
        let points = || traces.iter().flatten().flat_map(|trace| trace.runs.iter().flatten());
        let times = extent(points().map(|point| point.0)).unwrap_or((0.0, 1.0));
        let values = extent(points().map(|point| point.1).chain([0.0])).unwrap_or((0.0, 1.0));
        let x_ticks = match self.panels.len() {
            0 | 1 => 9,
            2 | 4 => 5,
            _ => 3,
        };
        let x = Scale::linear(times, &self.time.tick_unit(), x_ticks, Ends::Exact);
        let y = Scale::linear(values, &self.value.tick_unit(), 5, Ends::Round);
        let figure = Figure {
            title: self.title.clone(),
            legend: names,
            swatch: if self.stacked { Swatch::Area } else { Swatch::Line },
            panels: self.panels.iter().map(|panel| panel.title.clone()).collect(),
            columns_most: usize::MAX,
            own_y: false,
            y_labels: label_width(&y),
            x_title: self.time.text(),
            y_title: self.value.text(),
        };
        let layout = figure.layout();
        let label = format!("{}: {} over {}", self.title, self.value.title, self.time.title);
        picture(layout.size, &label, |canvas| {
            figure.draw(canvas, &layout);
            let row = layout.panels.first().map_or(0.0, |area| area.left);
            for (index, &area) in layout.panels.iter().enumerate() {
                y_axis(canvas, area, &y, area.left <= row);
                x_axis(canvas, area, &x);
                let traces = traces.get(index).map_or(&[][..], Vec::as_slice);
                if self.stacked {
                    draw_areas(canvas, area, traces, [&x, &y]);
                } else {
                    draw_lines(canvas, area, traces, [&x, &y]);
                }
                if traces.iter().all(|trace| trace.runs.is_empty()) {
                    no_data(canvas, area);
                }
            }
        })
    }

    /// Every series name once, in the order of first appearance.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for series in self.panels.iter().flat_map(|panel| &panel.series) {
            if !names.contains(&series.name) {
                names.push(series.name.clone());
            }
        }
        names
    }

    fn traces(&self, panel: &Panel, names: &[String]) -> Vec<Trace> {
        let colour = |series: &Series| names.iter().position(|n| *n == series.name).unwrap_or(0);
        if self.stacked {
            let colours: Vec<usize> = panel.series.iter().map(colour).collect();
            return stack(&panel.series, self.shape, &colours);
        }
        let trace = |series: &Series| {
            let shaped = |run: Vec<Point>| match self.shape {
                Shape::Lines => run,
                Shape::Steps => steps(&run),
            };
            let runs = runs(&series.points).into_iter().map(shaped).collect();
            Trace { colour: colour(series), runs, base: Vec::new() }
        };
        panel.series.iter().map(trace).collect()
    }
}

/// Stacks series on each other at every time that any of them has. A series counts as zero before
/// its first point and holds its last value.
fn stack(series: &[Series], shape: Shape, colours: &[usize]) -> Vec<Trace> {
    let values: Vec<Vec<Point>> =
        series.iter().map(|s| runs(&s.points).into_iter().flatten().collect()).collect();
    let mut times: Vec<f64> = values.iter().flatten().map(|point| point.0).collect();
    times.sort_by(f64::total_cmp);
    times.dedup();
    let mut base: Vec<Point> = times.iter().map(|&time| (time, 0.0)).collect();
    let mut traces = Vec::new();
    for (points, &colour) in values.iter().zip(colours) {
        let mut top = base.clone();
        let mut next = 0;
        for (time, height) in &mut top {
            while points.get(next).is_some_and(|point| point.0 <= *time) {
                next += 1;
            }
            *height += value_at(points, next, *time, shape).max(0.0);
        }
        let shaped = |edge: &[Point]| match shape {
            Shape::Lines => edge.to_vec(),
            Shape::Steps => steps(edge),
        };
        let runs = if top.is_empty() { Vec::new() } else { vec![shaped(&top)] };
        traces.push(Trace { colour, runs, base: shaped(&base) });
        base = top;
    }
    traces
}

/// The value at a time; `next` is the index of the first later point.
fn value_at(points: &[Point], next: usize, time: f64, shape: Shape) -> f64 {
    let before = next.checked_sub(1).and_then(|index| points.get(index));
    match (before, points.get(next)) {
        (None, _) => 0.0,
        (Some(&(t0, v0)), Some(&(t1, v1))) if shape == Shape::Lines && t1 > t0 => {
            let share = (time - t0) / (t1 - t0);
            v0 * (1.0 - share) + v1 * share
        }
        (Some(&(_, v0)), _) => v0,
    }
}

fn to_pixels(run: &[Point], area: Rect, [x, y]: [&Scale; 2]) -> Vec<Point> {
    let place = |&(time, value): &Point| (area.x(x.position(time)), area.y(y.position(value)));
    visible(&run.iter().map(place).collect::<Vec<_>>())
}

fn draw_lines(canvas: &Canvas<'_>, area: Rect, traces: &[Trace], scales: [&Scale; 2]) {
    for trace in traces {
        let paint = Paint::Series(trace.colour, 1.0);
        for run in &trace.runs {
            match to_pixels(run, area, scales).as_slice() {
                [point] => canvas.dot(*point, 3.0, paint),
                path => canvas.line(path, paint, 1.8, dash_of(trace.colour)),
            }
        }
    }
}

fn draw_areas(canvas: &Canvas<'_>, area: Rect, traces: &[Trace], scales: [&Scale; 2]) {
    for trace in traces {
        for run in &trace.runs {
            let mut outline = to_pixels(run, area, scales);
            let base = to_pixels(&trace.base, area, scales);
            if let ([top], [bottom]) = (outline.as_slice(), base.as_slice()) {
                let corners = [(top.0 - 3.0, top.1), (bottom.0 + 3.0, bottom.1)];
                canvas.rectangle(corners, fill_of(trace.colour));
            } else {
                outline.extend(base.iter().rev());
                canvas.area(&outline, fill_of(trace.colour));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacked_series_stand_on_each_other_at_every_time() {
        let series = [
            Series::new("a", [(0.0, 1.0), (2.0, 3.0)]),
            Series::new("b", [(1.0, 10.0), (2.0, -4.0)]),
        ];
        let tops = |shape| -> Vec<Vec<Point>> {
            stack(&series, shape, &[0, 1]).into_iter().map(|mut t| t.runs.remove(0)).collect()
        };
        let lines = tops(Shape::Lines);
        assert_eq!(lines[0], [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]);
        assert_eq!(lines[1], [(0.0, 1.0), (1.0, 12.0), (2.0, 3.0)]);
        let held = tops(Shape::Steps);
        assert_eq!(held[1].last(), Some(&(2.0, 3.0)));
        assert!(held[1].contains(&(1.0, 11.0)));
    }
}
