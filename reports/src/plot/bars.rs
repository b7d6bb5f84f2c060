//! Grouped bars, in one panel per measure.

use super::{
    Axis, Svg,
    canvas::{Anchor, Canvas, Words, fit, picture, text_width},
    frame::{Figure, Rect, SMALL, Swatch, base_line, label_width, no_data, y_axis},
    palette::{Paint, fill_of},
    scale::{Ends, Scale, extent},
};
use crate::number::{MISSING, Unit, human};

/// The most room that the name of a group asks for.
const GROUP_NAME: f64 = 64.0;
/// The size of the values over bars.
const VALUE: f64 = 10.5;

/// One bar.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bar {
    /// Its height in base units; what is not finite is shown as `-`.
    pub value: f64,
    /// The ends of its error bar, in base units (not distances from the value).
    pub error: Option<(f64, f64)>,
}

impl From<f64> for Bar {
    fn from(value: f64) -> Self {
        Self { value, error: None }
    }
}

/// The bars of one colour, one in each group.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BarSeries {
    /// The name in the legend. The same name has the same colour in every panel.
    pub name: String,
    /// One bar per group; missing ones at the end are left out.
    pub bars: Vec<Bar>,
}

/// One measure.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BarPanel {
    /// The value axis; its title stands above the panel.
    pub value: Axis,
    /// The names under the groups, left to right.
    pub groups: Vec<String>,
    /// The series.
    pub series: Vec<BarSeries>,
}

/// Grouped bars: every panel has its own value scale, which includes zero.
///
/// ```
/// use reports::{Unit, plot::{Axis, BarPanel, BarSeries, Bars}};
/// let svg = Bars {
///     title: "Director load".to_owned(),
///     groups: "forwarding mode".to_owned(),
///     panels: vec![BarPanel {
///         value: Axis::new("packets", Unit::other("packets/s")),
///         groups: vec!["nat".to_owned(), "dr".to_owned()],
///         series: vec![BarSeries {
///             name: "in".to_owned(),
///             bars: vec![24_000.0.into(), 9_000.0.into()],
///         }],
///     }],
/// }
/// .svg();
/// assert!(svg.as_str().contains("packets [packets/s]"));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bars {
    /// The title.
    pub title: String,
    /// What a group is, the title of the horizontal axis; may be empty.
    pub groups: String,
    /// One panel per measure, at most 36 are drawn.
    pub panels: Vec<BarPanel>,
}

impl Bars {
    /// Draws it.
    pub fn svg(&self) -> Svg {
        let names = self.names();
        let scales: Vec<Scale> = self.panels.iter().map(scale_of).collect();
        let figure = Figure {
            title: self.title.clone(),
            legend: names.clone(),
            swatch: Swatch::Area,
            panels: self.panels.iter().map(|panel| panel.value.text()).collect(),
            columns_most: self.columns_most(),
            own_y: true,
            y_labels: scales.iter().map(label_width).fold(0.0, f64::max),
            x_title: self.groups.clone(),
            y_title: String::new(),
        };
        let layout = figure.layout();
        picture(layout.size, &self.title, |canvas| {
            figure.draw(canvas, &layout);
            for ((panel, scale), &area) in self.panels.iter().zip(&scales).zip(&layout.panels) {
                y_axis(canvas, area, scale, true);
                draw_bars(canvas, area, panel, scale, &names);
            }
            if let (true, Some(&area)) = (self.panels.is_empty(), layout.panels.first()) {
                no_data(canvas, area);
            }
        })
    }

    /// Panels beside each other such that there is room for the name of every group.
    fn columns_most(&self) -> usize {
        const PANEL: [(usize, f64); 3] = [(4, 140.0), (3, 205.0), (2, 340.0)];
        let widest = |panel: &BarPanel| {
            let widths = panel.groups.iter().map(|name| text_width(name, SMALL).min(GROUP_NAME));
            panel.groups.len() as f64 * (widths.fold(0.0, f64::max) + 6.0)
        };
        let needed = self.panels.iter().map(widest).fold(0.0, f64::max);
        PANEL.iter().find(|(_, room)| needed <= *room).map_or(1, |(columns, _)| *columns)
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
}

fn scale_of(panel: &BarPanel) -> Scale {
    let bars = panel.series.iter().flat_map(|series| series.bars.iter().take(panel.groups.len()));
    let ends = |bar: &Bar| {
        let (low, high) = bar.error.unwrap_or((bar.value, bar.value));
        [bar.value, low, high]
    };
    let range = extent(bars.flat_map(ends).chain([0.0])).unwrap_or((0.0, 1.0));
    Scale::linear(range, &panel.value.tick_unit(), 5, Ends::Round)
}

fn draw_bars(canvas: &Canvas<'_>, area: Rect, panel: &BarPanel, scale: &Scale, names: &[String]) {
    let nothing = panel.series.iter().all(|series| series.bars.is_empty());
    if panel.groups.is_empty() || nothing {
        base_line(canvas, area);
        no_data(canvas, area);
        return;
    }
    let group_width = (area.right - area.left) / panel.groups.len() as f64;
    let pad = (group_width * 0.12).min(14.0);
    let bar_width = ((group_width - 2.0 * pad) / panel.series.len() as f64).min(64.0);
    let used = bar_width * panel.series.len() as f64;
    let labelled = widest_value(panel) <= bar_width;
    let zero = area.y(scale.position(0.0));
    for group in 0..panel.groups.len() {
        let left = area.left + group_width * group as f64 + (group_width - used) / 2.0;
        for (index, series) in panel.series.iter().enumerate() {
            let Some(&bar) = series.bars.get(group) else { continue };
            let x = left + bar_width * index as f64;
            let colour = names.iter().position(|name| *name == series.name).unwrap_or(0);
            let gap = (bar_width * 0.06).min(2.0);
            let sides = (x + gap, x + bar_width - gap);
            let top = draw_bar(canvas, area, scale, sides, bar, fill_of(colour));
            if labelled || !bar.value.is_finite() {
                let words = Words::new(VALUE, Anchor::Middle);
                let text = human(bar.value, &written_unit(panel));
                canvas.text((x + bar_width / 2.0, top.min(zero) - 8.0), &text, words);
            }
        }
    }
    canvas.line(&[(area.left, zero), (area.right, zero)], Paint::Ink(0.55), 1.0, &[]);
    group_names(canvas, area, &panel.groups, group_width);
}

/// Draws a bar with its error bar and gives the height of its upper end.
fn draw_bar(
    canvas: &Canvas<'_>,
    area: Rect,
    scale: &Scale,
    (left, right): (f64, f64),
    bar: Bar,
    paint: Paint,
) -> f64 {
    let zero = area.y(scale.position(0.0));
    if !bar.value.is_finite() {
        return zero;
    }
    let end = area.y(scale.position(bar.value));
    canvas.rectangle([(left, end), (right, zero)], paint);
    let Some((low, high)) = bar.error.filter(|(l, h)| l.is_finite() && h.is_finite()) else {
        return end;
    };
    let (middle, cap) = (f64::midpoint(left, right), ((right - left) * 0.25).min(7.0));
    let (low, high) = (area.y(scale.position(low)), area.y(scale.position(high)));
    let ink = Paint::Ink(0.85);
    canvas.line(&[(middle, low), (middle, high)], ink, 1.4, &[]);
    for y in [low, high] {
        canvas.line(&[(middle - cap, y), (middle + cap, y)], ink, 1.4, &[]);
    }
    end.min(high).min(low)
}

/// The unit of values over bars. They are short of room, and the axis beside them has the symbol.
fn written_unit(panel: &BarPanel) -> Unit {
    match &panel.value.unit {
        unit @ (Unit::Seconds | Unit::Ratio) => unit.clone(),
        _ => Unit::None,
    }
}

/// The width of the widest value written over a bar.
fn widest_value(panel: &BarPanel) -> f64 {
    let unit = written_unit(panel);
    let bars = panel.series.iter().flat_map(|series| &series.bars);
    let texts = bars.map(|bar| human(bar.value, &unit)).filter(|text| text != MISSING);
    texts.map(|text| text_width(&text, VALUE)).fold(0.0, f64::max)
}

/// Names under the groups: cut to the room of a group, and only every few when groups are narrow.
fn group_names(canvas: &Canvas<'_>, area: Rect, groups: &[String], group_width: f64) {
    let widest = groups.iter().map(|name| text_width(name, SMALL)).fold(0.0, f64::max);
    let stride = ((widest.min(GROUP_NAME) + 6.0) / group_width.max(0.01)).ceil().max(1.0) as usize;
    let room = group_width * stride as f64 - 6.0;
    for (index, name) in groups.iter().enumerate().step_by(stride) {
        let x = area.left + group_width * (index as f64 + 0.5);
        let words = Words::new(SMALL, Anchor::Middle);
        canvas.text((x, area.bottom + 14.0), &fit(name, SMALL, room), words);
    }
}
