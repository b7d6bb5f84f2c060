//! Plots as SVG: distributions, time series in small multiples, grouped bars, timelines.
//!
//! Plain named series go in, an [`Svg`] comes out. The picture is a pure function of the data: no
//! font is opened, text is left to the viewer as `sans-serif` and laid out by a generous estimate
//! of its width. Text, axes and grid are drawn in `currentColor`; on its own the file is a light
//! card, inside a page it takes the colours of the page. Series colours are told apart by people
//! with colour vision deficiencies (after Okabe and Ito); after seven series they come again with
//! other dashes.
//!
//! The drawing is done by plotters, which only `canvas` knows.

mod bars;
mod canvas;
mod curve;
mod distribution;
mod frame;
mod palette;
mod scale;
mod time_series;
mod timeline;

use std::fmt;

pub use bars::{Bar, BarPanel, BarSeries, Bars};
pub use distribution::{Distribution, Form};
pub use time_series::{Panel, Shape, TimeSeries};
pub use timeline::{Count, Lane, Shade, Stretch, Timeline};

use crate::number::Unit;

/// A finished picture. Only this module makes one, so a page can inline it as it is: every name
/// in it is escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Svg(String);

/// The declaration a stand-alone file needs and a page does not.
const NAMESPACE: &str = " xmlns=\"http://www.w3.org/2000/svg\"";

impl Svg {
    /// The document, to be written to a file.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The document, to be kept.
    pub fn into_string(self) -> String {
        self.0
    }

    /// The element as it goes into an HTML page.
    pub(crate) fn inline(&self) -> String {
        self.0.replacen(NAMESPACE, "", 1)
    }
}

impl fmt::Display for Svg {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What an axis shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Axis {
    /// The words beside it, for instance `connect latency`.
    pub title: String,
    /// The base unit of its values.
    pub unit: Unit,
}

impl Axis {
    /// An axis with its title and unit.
    pub fn new(title: impl Into<String>, unit: Unit) -> Self {
        Self { title: title.into(), unit }
    }

    /// The title; with the symbol in brackets when the tick labels do not show it.
    fn text(&self) -> String {
        match &self.unit {
            Unit::Other(symbol) if self.title.is_empty() => symbol.clone(),
            Unit::Other(symbol) => format!("{} [{symbol}]", self.title),
            _ => self.title.clone(),
        }
    }

    /// The unit that tick labels show: an unusual symbol stands in the title instead.
    fn tick_unit(&self) -> Unit {
        match &self.unit {
            Unit::Other(_) => Unit::None,
            unit => unit.clone(),
        }
    }
}

/// A named line: points `(x, y)` in base units.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// The name in the legend. The same name has the same colour in every panel.
    pub name: String,
    /// The points; they need not be sorted. A point with an `x` that is not finite is left out, a
    /// `y` that is not finite is a gap.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// A series from its points.
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { name: name.into(), points: points.into_iter().collect() }
    }
}
