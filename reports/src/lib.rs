//! Tables out: CSV, plots, HTML, terminal.
//!
//! Results enter as plain data: a [`Table`] (one observation a row), a [`Comparison`] (a metric a
//! row, a variant a column) or named series of points ([`plot`]). They leave as files and text:
//!
//! - [`csv`] writes tidy CSV for programs, exact values;
//! - [`json`] writes indented JSON;
//! - [`terminal`] aligns tables for people;
//! - [`plot`] draws SVG;
//! - [`html`] makes one self-contained page of all of it.
//!
//! The crate knows nothing of what was measured. Everything is a pure function of its input: no
//! clock, no environment, no fonts, the same bytes for the same data. No input makes it panic;
//! numbers that are missing or not finite are shown as `-`.

pub mod comparison;
pub mod csv;
pub mod html;
pub mod json;
pub mod number;
pub mod plot;
pub mod table;
pub mod terminal;
mod text;

pub use comparison::{Comparison, Sense};
pub use number::Unit;
pub use table::{Cell, Column, RowLength, Table};
