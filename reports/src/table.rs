//! Tables: named columns with units, rows of cells. The one form in which results enter this
//! crate.

use std::{error::Error, fmt};

use crate::number::{MISSING, Unit, human, human_integer, snake_case};

/// One value of a table. Numbers are in the base unit of their column.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A whole number that is never negative (counters).
    UInt(u64),
    /// A measured number. NaN and infinities are shown as `-`.
    Float(f64),
    /// Nothing was measured here; shown as `-`, an empty field in a file.
    #[default]
    Empty,
}

impl Cell {
    /// The number in the cell, if it holds a finite one.
    pub fn as_f64(&self) -> Option<f64> {
        let value = match self {
            Self::Int(value) => *value as f64,
            Self::UInt(value) => *value as f64,
            Self::Float(value) => *value,
            Self::Text(_) | Self::Empty => return None,
        };
        value.is_finite().then_some(value)
    }

    /// The cell as a person reads it, with its unit.
    pub fn human(&self, unit: &Unit) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Int(value) => human_integer(i128::from(*value), unit),
            Self::UInt(value) => human_integer(i128::from(*value), unit),
            Self::Float(value) => human(*value, unit),
            Self::Empty => MISSING.to_owned(),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Self::UInt(value)
    }
}

impl From<u32> for Cell {
    fn from(value: u32) -> Self {
        Self::UInt(u64::from(value))
    }
}

impl From<usize> for Cell {
    fn from(value: usize) -> Self {
        Self::UInt(value as u64)
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Empty, Into::into)
    }
}

/// What a column holds; decides how it is aligned and sorted, not what a cell may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Words, to the left.
    Text,
    /// Whole numbers, to the right.
    Integer,
    /// Measured numbers, to the right.
    Float,
}

/// A column: its name as people read it, what it holds, and the unit of its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name without unit, for instance `first byte p99`.
    pub name: String,
    /// What the cells hold.
    pub kind: Kind,
    /// The base unit of the cells.
    pub unit: Unit,
}

impl Column {
    /// A column of words.
    pub fn text(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: Kind::Text, unit: Unit::None }
    }

    /// A column of whole numbers.
    pub fn integer(name: impl Into<String>, unit: Unit) -> Self {
        Self { name: name.into(), kind: Kind::Integer, unit }
    }

    /// A column of measured numbers.
    pub fn float(name: impl Into<String>, unit: Unit) -> Self {
        Self { name: name.into(), kind: Kind::Float, unit }
    }

    /// The name in a file: snake case, with the unit at the end unless it is already there.
    ///
    /// ```
    /// use reports::{Column, Unit};
    /// assert_eq!(Column::float("connect p99", Unit::Seconds).header(), "connect_p99_s");
    /// assert_eq!(Column::integer("bytes", Unit::Bytes).header(), "bytes");
    /// ```
    pub fn header(&self) -> String {
        let name = snake_case(&self.name);
        let suffix = self.unit.suffix();
        let there = name == suffix || name.ends_with(&format!("_{suffix}"));
        if suffix.is_empty() || there {
            name
        } else if name.is_empty() {
            suffix
        } else {
            format!("{name}_{suffix}")
        }
    }
}

/// A row that does not fit its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowLength {
    /// The table (or comparison and row) it was meant for.
    pub place: String,
    /// How many cells it has.
    pub found: usize,
    /// How many it must have.
    pub expected: usize,
}

impl fmt::Display for RowLength {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, found, expected } = self;
        write!(out, "{place}: a row of {found} cells where every row has {expected}")
    }
}

impl Error for RowLength {}

/// A rectangular table. Every row has one cell per column.
///
/// ```
/// use reports::{Column, Table, Unit};
/// let mut table = Table::new(
///     "servers",
///     [Column::text("server"), Column::integer("connections", Unit::None)],
/// );
/// table.push(["rs1".into(), 120_u64.into()])?;
/// assert_eq!(table.rows().len(), 1);
/// # Ok::<(), reports::RowLength>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    name: String,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    pub fn new(name: impl Into<String>, columns: impl IntoIterator<Item = Column>) -> Self {
        Self { name: name.into(), columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When the row has not exactly one cell per column; the table is unchanged.
    pub fn push(&mut self, row: impl IntoIterator<Item = Cell>) -> Result<(), RowLength> {
        let row: Vec<Cell> = row.into_iter().collect();
        if row.len() != self.columns.len() {
            let place = format!("table '{}'", self.name);
            return Err(RowLength { place, found: row.len(), expected: self.columns.len() });
        }
        self.rows.push(row);
        Ok(())
    }

    /// The name: a caption for people, a file name after [`snake_case`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The columns, left to right.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The rows in the order they were added.
    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_the_wrong_length_is_refused_and_named() {
        let mut table = Table::new("drops", [Column::text("place"), Column::text("reason")]);
        let error = table.push(["eth0".into()]).expect_err("one cell for two columns");
        assert_eq!(error.to_string(), "table 'drops': a row of 1 cells where every row has 2");
        assert!(table.rows().is_empty());
    }

    #[test]
    fn headers_carry_the_unit_once() {
        let header = |name: &str, unit| Column::float(name, unit).header();
        assert_eq!(header("latency", Unit::Seconds), "latency_s");
        assert_eq!(header("time_s", Unit::Seconds), "time_s");
        assert_eq!(header("bytes per s", Unit::BytesPerSecond), "bytes_per_s");
        assert_eq!(header("rate", Unit::other("packets/s")), "rate_packets_per_s");
        assert_eq!(header("share", Unit::Ratio), "share_ratio");
        assert_eq!(header("", Unit::Seconds), "s");
        assert_eq!(Column::text("Real server").header(), "real_server");
    }

    #[test]
    fn cells_come_from_plain_values() {
        assert_eq!(Cell::from(3_u32), Cell::UInt(3));
        assert_eq!(Cell::from(None::<f64>), Cell::Empty);
        assert_eq!(Cell::from(Some("x")), Cell::Text("x".to_owned()));
        assert_eq!(Cell::Float(f64::INFINITY).as_f64(), None);
        assert_eq!(Cell::Int(-2).as_f64(), Some(-2.0));
        assert_eq!(Cell::Float(f64::NAN).human(&Unit::Seconds), "-");
    }
}
