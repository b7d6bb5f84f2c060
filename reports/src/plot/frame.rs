//! What stands around the data: title, legend, axes, grid; and where each panel goes.

use super::{
    canvas::{Anchor, Canvas, Point, Words, fit, text_width},
    palette::{Paint, dash_of, fill_of, overlay_dash_of},
    scale::Scale,
};

pub(super) const WIDTH: f64 = 860.0;
pub(super) const MARGIN: f64 = 18.0;
const GAP: f64 = 30.0;
pub(super) const TITLE: f64 = 16.0;
pub(super) const TEXT: f64 = 12.5;
pub(super) const SMALL: f64 = 11.5;
/// How much wider bold words are.
const BOLD: f64 = 1.12;
const LEGEND_ROW: f64 = 20.0;
const LEGEND_MOST: usize = 24;
const LEGEND_NAME: f64 = 230.0;
const SWATCH: f64 = 24.0;
const X_LABELS: f64 = 20.0;
const AXIS_TITLE: f64 = 20.0;
/// More panels than this are not drawn; the title says so.
pub(super) const PANELS_MOST: usize = 36;

const GRID: Paint = Paint::Ink(0.14);
const GRID_MINOR: Paint = Paint::Ink(0.06);
const AXIS: Paint = Paint::Ink(0.55);

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Rect {
    /// The place a share of the way from left to right.
    pub(super) fn x(&self, share: f64) -> f64 {
        self.left + (self.right - self.left) * share
    }

    /// The place a share of the way from bottom to top.
    pub(super) fn y(&self, share: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * share
    }

    fn middle(&self) -> Point {
        (self.x(0.5), self.y(0.5))
    }
}

/// How a series is shown in the legend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Swatch {
    Line,
    /// A line that may lie on another one.
    Curve,
    Area,
}

/// The parts of a figure that its layout depends on.
#[derive(Debug, Clone)]
pub(super) struct Figure {
    pub(super) title: String,
    /// Names of the series, in the order of their colours. One name needs no legend.
    pub(super) legend: Vec<String>,
    pub(super) swatch: Swatch,
    /// The title of each panel; may be empty.
    pub(super) panels: Vec<String>,
    /// Panels beside each other at most.
    pub(super) columns_most: usize,
    /// Whether every panel has tick labels at its left, or only the first of a row.
    pub(super) own_y: bool,
    /// The width of the widest tick label at the left.
    pub(super) y_labels: f64,
    pub(super) x_title: String,
    pub(super) y_title: String,
}

/// Where everything goes.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) size: Point,
    pub(super) panels: Vec<Rect>,
    legend: Vec<Point>,
}

fn columns_for(panels: usize) -> usize {
    match panels {
        0 | 1 => 1,
        2 | 4 => 2,
        3 | 5..=9 => 3,
        _ => 4,
    }
}

impl Figure {
    fn legend_shown(&self) -> &[String] {
        let shown = if self.legend.len() > 1 { self.legend.len().min(LEGEND_MOST) } else { 0 };
        self.legend.get(..shown).unwrap_or(&[])
    }

    fn panels_shown(&self) -> usize {
        self.panels.len().clamp(1, PANELS_MOST)
    }

    fn has_panel_titles(&self) -> bool {
        self.panels.iter().any(|title| !title.is_empty())
    }

    /// How far above a panel its title stands: over bars there is room for a value between.
    fn title_lift(&self) -> f64 {
        if self.own_y { 24.0 } else { 12.0 }
    }

    /// The places of the legend entries, row by row, and the height they take.
    fn legend_places(&self, top: f64) -> (Vec<Point>, f64) {
        let mut places = Vec::new();
        let (mut x, mut y) = (MARGIN, top + LEGEND_ROW / 2.0);
        for name in self.legend_shown() {
            let room = SWATCH + 6.0 + text_width(name, TEXT).min(LEGEND_NAME) + 18.0;
            if x + room > WIDTH - MARGIN && x > MARGIN {
                (x, y) = (MARGIN, y + LEGEND_ROW);
            }
            places.push((x, y));
            x += room;
        }
        let height = if places.is_empty() { 0.0 } else { y + LEGEND_ROW / 2.0 + 6.0 - top };
        (places, height)
    }

    /// Finds a place for everything.
    pub(super) fn layout(&self) -> Layout {
        let top = MARGIN + if self.title.is_empty() { 0.0 } else { TITLE + 10.0 };
        let (legend, legend_height) = self.legend_places(top);
        let top = top + legend_height;
        let columns = columns_for(self.panels_shown()).min(self.columns_most.max(1));
        let rows = self.panels_shown().div_ceil(columns);
        let panel_height = if rows == 1 && columns == 1 { 300.0 } else { 190.0 };
        let panel_title = if self.has_panel_titles() { self.title_lift() + 10.0 } else { 4.0 };
        let row_height = panel_title + panel_height + X_LABELS + 6.0;
        let y_title = if self.y_title.is_empty() { 0.0 } else { AXIS_TITLE };
        let labels = self.y_labels.min(WIDTH / 6.0) + 8.0;
        let left = MARGIN + y_title + labels;
        let between = if self.own_y { GAP + labels } else { GAP };
        let room = WIDTH - MARGIN - 12.0 - left - between * (columns - 1) as f64;
        let width = (room / columns as f64).max(40.0);
        let panel = |index: usize| {
            let (row, column) = (index / columns, index % columns);
            let left = left + column as f64 * (width + between);
            let top = top + row as f64 * row_height + panel_title;
            Rect { left, top, right: left + width, bottom: top + panel_height }
        };
        let panels = (0..self.panels_shown()).map(panel).collect();
        let x_title = if self.x_title.is_empty() { 0.0 } else { AXIS_TITLE };
        let height = top + rows as f64 * row_height + x_title + MARGIN / 2.0;
        Layout { size: (WIDTH, height), panels, legend }
    }

    /// Draws title, legend, and the titles of axes and panels.
    pub(super) fn draw(&self, canvas: &Canvas<'_>, layout: &Layout) {
        let left_out = self.panels.len().saturating_sub(PANELS_MOST);
        let mut title = fit(&self.title, TITLE * BOLD, WIDTH - 2.0 * MARGIN);
        if left_out > 0 {
            title =
                format!("{} (+{left_out} panels not drawn)", fit(&self.title, TITLE * BOLD, 560.0));
        }
        let words = Words::new(TITLE, Anchor::Start).bold();
        canvas.text((MARGIN, MARGIN + TITLE / 2.0), &title, words);
        self.draw_legend(canvas, layout);
        for (title, area) in self.panels.iter().zip(&layout.panels) {
            let title = fit(title, TEXT * BOLD, area.right - area.left);
            let words = Words::new(TEXT, Anchor::Start).bold();
            canvas.text((area.left, area.top - self.title_lift()), &title, words);
        }
        let (Some(first), Some(last)) = (layout.panels.first(), layout.panels.last()) else {
            return;
        };
        let right = layout.panels.iter().fold(first.right, |right, area| area.right.max(right));
        let words = Words::new(TEXT, Anchor::Middle).faded();
        let below = layout.size.1 - MARGIN / 2.0 - AXIS_TITLE / 2.0;
        let x_title = fit(&self.x_title, TEXT, right - first.left);
        canvas.text((f64::midpoint(first.left, right), below), &x_title, words);
        let y_title = fit(&self.y_title, TEXT, last.bottom - first.top + 40.0);
        let middle = (MARGIN + 4.0, f64::midpoint(first.top, last.bottom));
        canvas.text(middle, &y_title, words.upwards());
    }

    fn draw_legend(&self, canvas: &Canvas<'_>, layout: &Layout) {
        let more = self.legend.len().saturating_sub(LEGEND_MOST);
        let entries = self.legend_shown().iter().zip(&layout.legend).enumerate();
        for (series, (name, &(x, y))) in entries {
            match self.swatch {
                Swatch::Line | Swatch::Curve => {
                    let line = [(x, y), (x + SWATCH, y)];
                    let overlay = self.swatch == Swatch::Curve;
                    let dash = if overlay { overlay_dash_of(series) } else { dash_of(series) };
                    canvas.line(&line, Paint::Series(series, 1.0), 2.4, dash);
                }
                Swatch::Area => {
                    let corners = [(x, y - 6.0), (x + SWATCH - 8.0, y + 6.0)];
                    canvas.rectangle(corners, fill_of(series));
                }
            }
            let last = series + 1 == LEGEND_MOST && more > 0;
            let name = if last { format!("and {} more", more + 1) } else { name.clone() };
            let name = fit(&name, TEXT, LEGEND_NAME);
            let beside = if self.swatch == Swatch::Area { SWATCH - 2.0 } else { SWATCH + 6.0 };
            canvas.text((x + beside, y), &name, Words::new(TEXT, Anchor::Start));
        }
    }
}

/// The widest tick label of a scale, in pixels.
pub(super) fn label_width(scale: &Scale) -> f64 {
    let widths = scale.ticks.iter().map(|tick| text_width(&tick.label, SMALL));
    widths.fold(0.0, f64::max)
}

/// Grid lines across and the vertical axis with its labels.
pub(super) fn y_axis(canvas: &Canvas<'_>, area: Rect, scale: &Scale, labels: bool) {
    for &value in &scale.minor {
        let y = area.y(scale.position(value));
        canvas.line(&[(area.left, y), (area.right, y)], GRID_MINOR, 1.0, &[]);
    }
    for tick in &scale.ticks {
        let y = area.y(scale.position(tick.value));
        canvas.line(&[(area.left, y), (area.right, y)], GRID, 1.0, &[]);
        if labels {
            let words = Words::new(SMALL, Anchor::End).faded();
            canvas.text((area.left - 7.0, y), &tick.label, words);
        }
    }
}

/// Grid lines upwards and the horizontal axis with its labels; labels that would collide are left
/// out.
pub(super) fn x_axis(canvas: &Canvas<'_>, area: Rect, scale: &Scale) {
    for &value in &scale.minor {
        let x = area.x(scale.position(value));
        canvas.line(&[(x, area.top), (x, area.bottom)], GRID_MINOR, 1.0, &[]);
    }
    let mut free_from = f64::NEG_INFINITY;
    for tick in &scale.ticks {
        let x = area.x(scale.position(tick.value));
        canvas.line(&[(x, area.top), (x, area.bottom)], GRID, 1.0, &[]);
        let half = text_width(&tick.label, SMALL) / 2.0;
        if x - half >= free_from {
            canvas.line(&[(x, area.bottom), (x, area.bottom + 4.0)], AXIS, 1.0, &[]);
            let words = Words::new(SMALL, Anchor::Middle).faded();
            canvas.text((x, area.bottom + X_LABELS / 2.0 + 3.0), &tick.label, words);
            free_from = x + half + 6.0;
        }
    }
    base_line(canvas, area);
}

/// The line the data stands on.
pub(super) fn base_line(canvas: &Canvas<'_>, area: Rect) {
    canvas.line(&[(area.left, area.bottom), (area.right, area.bottom)], AXIS, 1.0, &[]);
}

/// Says that a panel has nothing to show.
pub(super) fn no_data(canvas: &Canvas<'_>, area: Rect) {
    canvas.text(area.middle(), "no data", Words::new(TEXT, Anchor::Middle).faded());
}
