//! Lanes over time: who did what when, under shaded disturbances, with counts at the bottom.

use super::{
    Axis, Svg,
    canvas::{Anchor, Canvas, Words, fit, picture, text_width},
    frame::{MARGIN, Rect, SMALL, TEXT, TITLE, WIDTH, label_width, x_axis, y_axis},
    palette::{Paint, fill_of},
    scale::{Ends, Scale},
};
use crate::number::Unit;

mod columns;
mod shades;

use columns::{Column, runs};
use shades::Placed;

/// The height of a lane and the room from one to the next.
const LANE: f64 = 15.0;
const LANE_STEP: f64 = 22.0;
const HEADING: f64 = 26.0;
const NAMES_MOST: f64 = 170.0;
/// More lanes than this are not drawn; the title says so.
const LANES_MOST: usize = 60;
const COUNTS: f64 = 84.0;
const LEGEND_ROW: f64 = 20.0;
/// Several at a time, and lost requests.
const ALARM: Paint = Paint::Alarm(1.0);

/// A stretch of time in a lane.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stretch {
    /// From then.
    pub from: f64,
    /// Until then.
    pub to: f64,
    /// Who or what it was; the same name has the same colour in every lane.
    pub who: String,
    /// Drawn pale: there, but not in use.
    pub pale: bool,
}

/// A lane. Where stretches of several names overlap, they share its height and are highlighted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lane {
    /// Lanes of one group that follow each other have it as a heading; empty for none.
    pub group: String,
    /// The name at its left.
    pub name: String,
    /// What is in it.
    pub stretches: Vec<Stretch>,
}

/// A disturbance: shown above the lanes, and as a shade behind them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shade {
    /// From then.
    pub from: f64,
    /// Until then; the same for a moment.
    pub to: f64,
    /// What it was.
    pub label: String,
}

/// How many there were in a part of the time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Count {
    /// From then.
    pub from: f64,
    /// Until then.
    pub to: f64,
    /// How many.
    pub number: f64,
}

/// A timeline. What is too short to be seen leaves a mark: a red wedge over a lane where several were at
/// a time, a dark one under it where nobody was.
///
/// ```
/// use reports::{Unit, plot::{Axis, Lane, Shade, Stretch, Timeline}};
/// let stretch = |from, to, who: &str| Stretch { from, to, who: who.to_owned(), pale: false };
/// let svg = Timeline {
///     title: "Failover".to_owned(),
///     time: Axis::new("simulated time", Unit::Seconds),
///     range: (0.0, 30.0),
///     lanes: vec![Lane {
///         group: "Holds 10.0.0.1".to_owned(),
///         name: "VIP".to_owned(),
///         stretches: vec![stretch(0.0, 10.0, "director1"), stretch(13.1, 30.0, "director2")],
///     }],
///     shades: vec![Shade { from: 10.0, to: 20.0, label: "director1 without power".to_owned() }],
///     ..Timeline::default()
/// }
/// .svg();
/// assert!(svg.as_str().contains("director2"));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Timeline {
    /// The title.
    pub title: String,
    /// The time axis.
    pub time: Axis,
    /// What is shown of it.
    pub range: (f64, f64),
    /// Lanes from top to bottom, at most 60 are drawn.
    pub lanes: Vec<Lane>,
    /// Disturbances.
    pub shades: Vec<Shade>,
    /// What the counts at the bottom are of.
    pub counted: String,
    /// Counts; nothing is drawn if there are none.
    pub counts: Vec<Count>,
}

/// Times in a unit that suits the range.
#[derive(Debug, Clone)]
struct Clock {
    scale: Scale,
    /// Seconds of the unit.
    unit: f64,
    title: String,
}

impl Clock {
    fn new(range: (f64, f64), axis: &Axis) -> Self {
        const UNITS: [(f64, f64, &str); 3] =
            [(259_200.0, 86_400.0, "days"), (21_600.0, 3_600.0, "hours"), (900.0, 60.0, "minutes")];
        let long = UNITS.iter().find(|u| axis.unit == Unit::Seconds && range.1 - range.0 >= u.0);
        let Some(&(_, unit, name)) = long else {
            let scale = Scale::linear(range, &axis.tick_unit(), 9, Ends::Exact);
            return Self { scale, unit: 1.0, title: axis.text() };
        };
        let title = Axis::new(axis.title.as_str(), Unit::other(name)).text();
        let range = (range.0 / unit, range.1 / unit);
        Self { scale: Scale::linear(range, &Unit::None, 9, Ends::Exact), unit, title }
    }

    fn position(&self, time: f64) -> f64 {
        self.scale.position(time / self.unit)
    }
}

/// Where everything goes.
struct Layout {
    height: f64,
    /// Left and right end of the time.
    area: Rect,
    legend: Vec<(String, f64, f64)>,
    shades: Vec<Placed>,
    shades_top: f64,
    /// The top of each lane that is drawn, and of the heading over it.
    lanes: Vec<(f64, Option<f64>)>,
    counts: Option<Rect>,
}

impl Timeline {
    /// Draws it.
    pub fn svg(&self) -> Svg {
        let clock = Clock::new(self.range, &self.time);
        let names = self.names();
        let columns: Vec<Vec<Column>> =
            self.shown().iter().map(|lane| columns::of(lane, self.range, &names)).collect();
        let several = columns.iter().flatten().any(|column| column.several);
        let layout = self.layout(&names, several, &clock);
        picture((WIDTH, layout.height), &self.title, |canvas| {
            self.draw_title(canvas);
            draw_legend(canvas, &layout.legend, &names);
            self.draw_shades(canvas, &layout, &clock);
            x_axis(canvas, layout.area, &clock.scale);
            self.draw_lanes(canvas, &layout, &columns);
            self.draw_counts(canvas, &layout, &clock);
            let below = (layout.area.x(0.5), layout.area.bottom + 32.0);
            canvas.text(below, &clock.title, Words::new(TEXT, Anchor::Middle).faded());
        })
    }

    fn shown(&self) -> &[Lane] {
        self.lanes.get(..LANES_MOST).unwrap_or(&self.lanes)
    }

    /// Every name once, in the order of first appearance.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for stretch in self.shown().iter().flat_map(|lane| &lane.stretches) {
            if !names.contains(&stretch.who) {
                names.push(stretch.who.clone());
            }
        }
        names
    }

    fn layout(&self, names: &[String], several: bool, clock: &Clock) -> Layout {
        let width = |lane: &Lane| text_width(&lane.name, SMALL).min(NAMES_MOST);
        let widest = self.shown().iter().map(width).fold(60.0, f64::max);
        let (left, right) = (MARGIN + widest + 12.0, WIDTH - MARGIN - 12.0);
        let mut y = MARGIN + if self.title.is_empty() { 0.0 } else { TITLE + 10.0 };
        let (legend, legend_height) = legend(names, several, y);
        y += legend_height;
        let area = Rect { left, top: y, right, bottom: y };
        let shades_top = y;
        let (shades, rows) = shades::place(&self.shades, area, clock);
        y += rows as f64 * shades::ROW + if rows > 0 { 6.0 } else { 0.0 };
        let mut lanes = Vec::new();
        let mut group = "";
        for lane in self.shown() {
            let mut heading = None;
            if lane.group != group && !lane.group.is_empty() {
                heading = Some(y + HEADING * 0.62);
                y += HEADING;
            }
            group = &lane.group;
            lanes.push((y + (LANE_STEP - LANE) / 2.0, heading));
            y += LANE_STEP;
        }
        let counts = (!self.counts.is_empty()).then(|| {
            y += HEADING + 6.0;
            let panel = Rect { left, top: y, right, bottom: y + COUNTS };
            y += COUNTS;
            panel
        });
        let area = Rect { left, top: shades_top, right, bottom: y + 4.0 };
        let height = y + 4.0 + 44.0 + MARGIN / 2.0;
        Layout { height, area, legend, shades, shades_top, lanes, counts }
    }

    fn draw_title(&self, canvas: &Canvas<'_>) {
        let left_out = self.lanes.len().saturating_sub(LANES_MOST);
        let mut title = fit(&self.title, TITLE * 1.12, WIDTH - 2.0 * MARGIN);
        if left_out > 0 {
            title = format!("{} (+{left_out} lanes not drawn)", fit(&self.title, TITLE, 560.0));
        }
        let words = Words::new(TITLE, Anchor::Start).bold();
        canvas.text((MARGIN, MARGIN + TITLE / 2.0), &title, words);
    }

    fn draw_shades(&self, canvas: &Canvas<'_>, layout: &Layout, clock: &Clock) {
        let area = layout.area;
        let behind = self.shades.iter().map(|s| {
            let (from, to) = (area.x(clock.position(s.from)), area.x(clock.position(s.to)));
            (from, to.max(from + 1.0))
        });
        for (from, to) in shades::joined(behind.collect()) {
            canvas.rectangle([(from, area.top), (to, area.bottom)], Paint::Ink(0.10));
        }
        for placed in &layout.shades {
            let y = layout.shades_top + placed.row as f64 * shades::ROW + shades::ROW / 2.0;
            let corners = [(placed.from, y - 4.0), (placed.to, y + 4.0)];
            canvas.rectangle(corners, Paint::Ink(0.62));
            if let Some(label) = &placed.label {
                let words = Words::new(SMALL, Anchor::Start);
                let anchor = if placed.label_before { Anchor::End } else { Anchor::Start };
                let x = if placed.label_before { placed.from - 5.0 } else { placed.to + 5.0 };
                canvas.text((x, y), label, Words { anchor, ..words });
            }
        }
        if !layout.shades.is_empty() {
            let y = layout.shades_top + shades::ROW / 2.0;
            let words = Words::new(SMALL, Anchor::End);
            canvas.text((area.left - 8.0, y), "faults", words);
        }
    }

    fn draw_lanes(&self, canvas: &Canvas<'_>, layout: &Layout, columns: &[Vec<Column>]) {
        let area = layout.area;
        let lanes = self.shown().iter().zip(&layout.lanes).zip(columns);
        for ((lane, &(top, heading)), columns) in lanes {
            if let Some(y) = heading {
                let words = Words::new(SMALL, Anchor::Start).bold();
                let group = fit(&lane.group, SMALL * 1.12, WIDTH - 2.0 * MARGIN);
                canvas.text((MARGIN, y), &group, words);
            }
            let name = fit(&lane.name, SMALL, NAMES_MOST);
            let middle = top + LANE / 2.0;
            canvas.text((area.left - 8.0, middle), &name, Words::new(SMALL, Anchor::End));
            let line = [(area.left, middle), (area.right, middle)];
            canvas.line(&line, Paint::Ink(0.25), 1.0, &[]);
            let here = Rect { left: area.left, top, right: area.right, bottom: top + LANE };
            draw_lane(canvas, here, columns);
        }
    }

    fn draw_counts(&self, canvas: &Canvas<'_>, layout: &Layout, time: &Clock) {
        let Some(area) = layout.counts else { return };
        let most = self.counts.iter().map(|c| c.number).fold(1.0, f64::max);
        // whole numbers: no ticks between one and two
        let ticks = if most < 3.0 { most as usize } else { 3 };
        let scale = Scale::linear((0.0, most), &Unit::None, ticks, Ends::Round);
        debug_assert!(label_width(&scale) < 200.0, "counts are short");
        y_axis(canvas, area, &scale, true);
        let words = Words::new(SMALL, Anchor::Start).bold();
        canvas.text((MARGIN, area.top - HEADING / 2.0), &self.counted, words);
        for c in self.counts.iter().filter(|c| c.number > 0.0) {
            let (from, to) = (area.x(time.position(c.from)), area.x(time.position(c.to)));
            let top = area.y(scale.position(c.number));
            canvas.rectangle([(from, top), (to.max(from + 1.0), area.bottom)], ALARM);
        }
    }
}

/// Bars, and marks for what is too short for them.
fn draw_lane(canvas: &Canvas<'_>, area: Rect, columns: &[Column]) {
    let x = |index: usize| area.x(index as f64 / columns.len().max(1) as f64);
    let height = area.bottom - area.top;
    for (start, end, column) in runs(columns, |c| (c.who.clone(), c.several_shown)) {
        let share = height / column.who.len().max(1) as f64;
        for (place, &(name, pale)) in column.who.iter().enumerate() {
            let top = area.top + place as f64 * share;
            let corners = [(x(start), top), (x(end), top + share)];
            canvas.rectangle(corners, if pale { pale_of(name) } else { fill_of(name) });
        }
    }
    for (start, end, column) in runs(columns, |c| c.several) {
        if column.several {
            let (from, to) = (x(start), x(end).max(x(start) + 2.0));
            for y in [area.top - 1.0, area.bottom + 1.0] {
                canvas.line(&[(from, y), (to, y)], ALARM, 2.0, &[]);
            }
            if to - from < WEDGE {
                wedge(canvas, f64::midpoint(from, to), area.top - 2.0, -1.0, ALARM);
            }
        }
    }
    // where the gap can be seen it needs no mark
    let unseen = |c: &[Column]| c.iter().all(|c| !c.who.is_empty()) && c.iter().any(|c| c.nobody);
    for (index, around) in columns.windows(3).enumerate() {
        let first = index == 0 || !columns.get(index).is_some_and(|c| c.nobody);
        if around.get(1).is_some_and(|c| c.nobody) && first && unseen(around) {
            wedge(canvas, x(index + 1), area.bottom + 1.0, 1.0, Paint::Ink(0.85));
        }
    }
}

/// The width of a mark.
const WEDGE: f64 = 7.0;

/// A small triangle that points at a lane.
fn wedge(canvas: &Canvas<'_>, x: f64, y: f64, away: f64, paint: Paint) {
    let base = y + 5.0 * away;
    canvas.area(&[(x, y), (x - WEDGE / 2.0, base), (x + WEDGE / 2.0, base)], paint);
}

fn pale_of(name: usize) -> Paint {
    match fill_of(name) {
        Paint::Series(index, opacity) => Paint::Series(index, opacity * 0.35),
        other => other,
    }
}

/// What the highlight of several at a time is called in the legend.
const SEVERAL: &str = "several at a time";

/// The places of the legend entries and the height they take.
fn legend(names: &[String], several: bool, top: f64) -> (Vec<(String, f64, f64)>, f64) {
    let mut places = Vec::new();
    let (mut x, mut y) = (MARGIN, top + LEGEND_ROW / 2.0);
    let extra = several.then(|| SEVERAL.to_owned());
    for name in names.iter().take(24).cloned().chain(extra) {
        let name = fit(&name, TEXT, 230.0);
        let room = 24.0 + text_width(&name, TEXT) + 18.0;
        if x + room > WIDTH - MARGIN && x > MARGIN {
            (x, y) = (MARGIN, y + LEGEND_ROW);
        }
        places.push((name, x, y));
        x += room;
    }
    let height = if places.is_empty() { 0.0 } else { y + LEGEND_ROW / 2.0 + 8.0 - top };
    (places, height)
}

fn draw_legend(canvas: &Canvas<'_>, legend: &[(String, f64, f64)], names: &[String]) {
    for (index, (name, x, y)) in legend.iter().enumerate() {
        if index < names.len().min(24) {
            canvas.rectangle([(*x, y - 6.0), (x + 16.0, y + 6.0)], fill_of(index));
        } else {
            for y in [y - 5.0, y + 5.0] {
                canvas.line(&[(*x, y), (x + 16.0, y)], ALARM, 2.0, &[]);
            }
        }
        canvas.text((x + 22.0, *y), name, Words::new(TEXT, Anchor::Start));
    }
}

#[cfg(test)]
mod tests;
