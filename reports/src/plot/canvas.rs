//! The drawing surface: lines, areas and words in pixels. The only module that knows plotters.

use plotters::{
    backend::SVGBackend,
    coord::Shift,
    drawing::{DrawingArea, IntoDrawingArea},
    element::{Circle, Drawable, PathElement, PointCollection, Polygon, Rectangle, Text},
    style::{
        Color, FontStyle, FontTransform, IntoFont, RGBAColor, ShapeStyle, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{
    NAMESPACE, Svg,
    palette::{ALARM, COLOURS, Paint},
};
use crate::text::printable;

/// A place on the surface, in pixels from the top left.
pub(super) type Point = (f64, f64);

/// Plotters counts in whole units: ten of them to a pixel keep curves smooth.
const UNITS: f64 = 10.0;

/// Stands for the colour of the page's text until the document is finished; no series has it.
const INK: (u8, u8, u8) = (0x01, 0x02, 0x03);

/// Plotters divides a font size by this when it writes it.
const PLOTTERS_FONT_FACTOR: f64 = 1.24;

/// Where a text stands relative to its point, along the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How words look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    pub(super) size: f64,
    pub(super) anchor: Anchor,
    pub(super) bold: bool,
    /// Read from bottom to top.
    pub(super) upwards: bool,
    pub(super) opacity: f64,
}

impl Words {
    pub(super) const fn new(size: f64, anchor: Anchor) -> Self {
        Self { size, anchor, bold: false, upwards: false, opacity: 1.0 }
    }

    pub(super) const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(super) const fn upwards(self) -> Self {
        Self { upwards: true, ..self }
    }

    pub(super) const fn faded(self) -> Self {
        Self { opacity: 0.78, ..self }
    }
}

pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// Draws a picture of the given size in pixels; `label` is what a screen reader says.
pub(super) fn picture(size: Point, label: &str, draw: impl FnOnce(&Canvas<'_>)) -> Svg {
    let (width, height) = (units(size.0).max(1), units(size.1).max(1));
    let mut document = String::new();
    let backend = SVGBackend::with_string(&mut document, (width as u32, height as u32));
    let canvas = Canvas { area: backend.into_drawing_area() };
    draw(&canvas);
    let presented = canvas.area.present();
    debug_assert!(presented.is_ok(), "a String takes every byte");
    drop(canvas);
    Svg(finish(&document, size, label))
}

impl Canvas<'_> {
    /// Words beside a point, vertically centred on it.
    pub(super) fn text(&self, at: Point, text: &str, words: Words) {
        let h_pos = match words.anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let weight = if words.bold { FontStyle::Bold } else { FontStyle::Normal };
        let turn = if words.upwards { FontTransform::Rotate270 } else { FontTransform::None };
        let size = words.size * UNITS * PLOTTERS_FONT_FACTOR;
        let colour = colour(Paint::Ink(words.opacity));
        let style = TextStyle::from(("sans-serif", size, weight).into_font())
            .transform(turn)
            .color(&colour)
            .pos(Pos::new(h_pos, VPos::Center));
        self.draw(&Text::new(printable(text), place(at), style));
    }

    /// A line through points; dashes in pixels drawn and left out, none for a solid line.
    pub(super) fn line(&self, points: &[Point], paint: Paint, width: f64, dashes: &[f64]) {
        let style = ShapeStyle {
            color: colour(paint),
            filled: false,
            stroke_width: units(width).max(1) as u32,
        };
        if dashes.is_empty() {
            let path: Vec<_> = points.iter().copied().map(place).collect();
            self.draw(&PathElement::new(path, style));
        } else {
            for dash in dashed(points, dashes) {
                let path: Vec<_> = dash.into_iter().map(place).collect();
                self.draw(&PathElement::new(path, style));
            }
        }
    }

    /// A filled rectangle between two corners.
    pub(super) fn rectangle(&self, corners: [Point; 2], paint: Paint) {
        let [(x0, y0), (x1, y1)] = corners;
        let ordered = [place((x0.min(x1), y0.min(y1))), place((x0.max(x1), y0.max(y1)))];
        self.draw(&Rectangle::new(ordered, colour(paint).filled()));
    }

    /// A filled area.
    pub(super) fn area(&self, outline: &[Point], paint: Paint) {
        let outline: Vec<_> = outline.iter().copied().map(place).collect();
        self.draw(&Polygon::new(outline, colour(paint).filled()));
    }

    /// A filled dot.
    pub(super) fn dot(&self, at: Point, radius: f64, paint: Paint) {
        self.draw(&Circle::new(place(at), units(radius), colour(paint).filled()));
    }

    fn draw<'e, E>(&self, element: &'e E)
    where
        &'e E: PointCollection<'e, (i32, i32)>,
        E: for<'b> Drawable<SVGBackend<'b>>,
    {
        let drawn = self.area.draw(element);
        debug_assert!(drawn.is_ok(), "a String takes every byte");
    }
}

fn units(pixels: f64) -> i32 {
    // The cast saturates; what is not a number becomes 0.
    (pixels * UNITS).round() as i32
}

fn place((x, y): Point) -> (i32, i32) {
    (units(x), units(y))
}

fn colour(paint: Paint) -> RGBAColor {
    let ((red, green, blue), opacity) = match paint {
        Paint::Ink(opacity) => (INK, opacity),
        Paint::Alarm(opacity) => (ALARM, opacity),
        Paint::Series(index, opacity) => {
            (COLOURS.get(index % COLOURS.len()).copied().unwrap_or(INK), opacity)
        }
    };
    RGBAColor(red, green, blue, opacity)
}

/// Cuts a line into its dashes; the pattern goes on around corners.
fn dashed(points: &[Point], pattern: &[f64]) -> Vec<Vec<Point>> {
    let mut dashes = Vec::new();
    let Some(&first) = points.first() else { return dashes };
    let mut lengths = pattern.iter().copied().cycle();
    let mut left = lengths.next().unwrap_or(1.0);
    let mut down = true;
    let mut from = first;
    let mut dash = vec![first];
    for &to in points.iter().skip(1) {
        loop {
            let (dx, dy) = (to.0 - from.0, to.1 - from.1);
            let distance = (dx * dx + dy * dy).sqrt();
            if distance <= left {
                left -= distance;
                from = to;
                if down {
                    dash.push(to);
                }
                break;
            }
            from = (from.0 + dx * left / distance, from.1 + dy * left / distance);
            if down {
                dash.push(from);
                dashes.push(std::mem::take(&mut dash));
            } else {
                dash.push(from);
            }
            down = !down;
            left = lengths.next().unwrap_or(1.0).max(0.5);
        }
    }
    if dash.len() > 1 {
        dashes.push(dash);
    }
    dashes
}

/// Turns what plotters wrote into the document that leaves: sized in pixels, described, with the
/// page's colour for ink, and without attributes that say the default. Names cannot be touched by
/// this: the quotes in them are escaped.
fn finish(document: &str, size: Point, label: &str) -> String {
    let body = document.split_once(">\n").map_or("", |(_, body)| body);
    let (width, height) = (size.0.round(), size.1.round());
    let view = format!("{} {}", units(size.0), units(size.1));
    let mut out = format!(
        "<svg{NAMESPACE} width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {view}\" \
         role=\"img\" aria-label=\"{}\" font-family=\"sans-serif\" color=\"#1F2937\" \
         stroke-linejoin=\"round\">\n<rect class=\"plot-card\" width=\"{}\" height=\"{}\" \
         fill=\"#FFFFFF\"/>\n",
        escape(&printable(label)),
        units(size.0),
        units(size.1),
    );
    let ink = format!("\"#{:02X}{:02X}{:02X}\"", INK.0, INK.1, INK.2);
    let body = body
        .replace(&ink, "\"currentColor\"")
        .replace(" opacity=\"1\"", "")
        .replace(" font-family=\"sans-serif\"", "")
        .replace(" stroke=\"none\"", "")
        .replace(" \"/>", "\"/>");
    out.push_str(&body);
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            other => out.push(other),
        }
    }
    out
}

/// Roughly how wide a text is in an ordinary sans-serif face, in pixels; wide rather than narrow,
/// so that what is laid out by it does not collide.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    let em = |letter: char| match letter {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.34,
        ' ' | 'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '-' => 0.42,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.98,
        'A'..='Z' => 0.72,
        _ if letter.is_ascii() => 0.63,
        _ => 1.0,
    };
    text.chars().map(em).sum::<f64>() * size
}

/// A text cut to a width in pixels, ending in `..` if something was lost.
pub(super) fn fit(text: &str, size: f64, room: f64) -> String {
    if text_width(text, size) <= room {
        return text.to_owned();
    }
    let mut out = String::new();
    for letter in text.chars() {
        out.push(letter);
        if text_width(&out, size) + text_width("..", size) > room {
            out.pop();
            break;
        }
    }
    out.push_str("..");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(dashes: &[Vec<Point>]) -> f64 {
        let length = |pair: &[Point]| {
            let (dx, dy) = (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1);
            (dx * dx + dy * dy).sqrt()
        };
        dashes.iter().flat_map(|dash| dash.windows(2)).map(length).sum()
    }

    #[test]
    fn dashes_go_on_around_corners() {
        let corner = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0)];
        let dashes = dashed(&corner, &[6.0, 2.0]);
        assert_eq!(dashes.len(), 3);
        assert!((total(&dashes) - 16.0).abs() < 1e-9, "16 of 20 pixels are drawn");
        assert_eq!(dashes[1], vec![(8.0, 0.0), (10.0, 0.0), (10.0, 4.0)]);
        assert!(dashed(&[], &[6.0, 2.0]).is_empty());
    }

    #[test]
    fn names_are_cut_to_the_room_they_have() {
        assert_eq!(fit("rs1", 12.0, 100.0), "rs1");
        let cut = fit("a-real-server-with-a-long-name", 12.0, 80.0);
        assert!(cut.ends_with("..") && text_width(&cut, 12.0) <= 80.0, "{cut}");
    }

    #[test]
    fn ink_takes_the_colour_of_the_page() {
        let svg = picture((20.0, 10.0), "a \"label\" <&>", |canvas| {
            canvas.line(&[(0.0, 0.0), (5.0, 5.0)], Paint::Ink(0.5), 1.0, &[]);
        });
        let text = svg.as_str();
        assert!(text.contains("stroke=\"currentColor\"") && !text.contains("#010203"), "{text}");
        assert!(text.contains("aria-label=\"a &quot;label&quot; &lt;&amp;&gt;\""), "{text}");
        assert!(!svg.inline().contains("http"));
    }
}
