//! Tidy CSV: one observation a row, the unit in the header.
//!
//! Lines end in `\n`, fields are quoted where RFC 4180 wants it. Floats are written in the
//! shortest form that reads back as the same number; NaN and empty cells as an empty field,
//! infinities as `inf` and `-inf`. The same table gives the same bytes on every machine.

use std::io::{self, Write};

use ::csv::{Terminator, Writer, WriterBuilder};

use crate::{
    number::shortest,
    table::{Cell, Column, Table},
};

/// Writes a table with its header line.
///
/// # Errors
/// What the writer reports.
///
/// ```
/// use reports::{Column, Table, Unit, csv};
/// let mut table = Table::new("latency", [Column::text("mode"), Column::float("p50", Unit::Seconds)]);
/// table.push(["dr".into(), 0.0012.into()]).expect("two cells for two columns");
/// let mut out = Vec::new();
/// csv::write(&table, &mut out)?;
/// assert_eq!(out, b"mode,p50_s\ndr,0.0012\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn write(table: &Table, out: impl Write) -> io::Result<()> {
    let mut writer = writer(out);
    let header: Vec<String> = table.columns().iter().map(Column::header).collect();
    if header.is_empty() {
        return writer.flush();
    }
    record(&mut writer, &header)?;
    let mut fields = Vec::with_capacity(header.len());
    for row in table.rows() {
        fields.clear();
        fields.extend(row.iter().map(field));
        record(&mut writer, &fields)?;
    }
    writer.flush()
}

fn writer<W: Write>(out: W) -> Writer<W> {
    WriterBuilder::new().terminator(Terminator::Any(b'\n')).from_writer(out)
}

fn record<W: Write>(writer: &mut Writer<W>, fields: &[String]) -> io::Result<()> {
    writer.write_record(fields).map_err(io::Error::from)
}

fn field(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Int(value) => value.to_string(),
        Cell::UInt(value) => value.to_string(),
        Cell::Float(value) if value.is_nan() => String::new(),
        Cell::Float(value) => shortest(*value),
        Cell::Empty => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::Unit;

    fn text(table: &Table) -> String {
        let mut out = Vec::new();
        write(table, &mut out).expect("a Vec takes every byte");
        String::from_utf8(out).expect("CSV of strings is UTF-8")
    }

    #[test]
    fn every_kind_of_cell_has_one_form() {
        let mut table = Table::new(
            "all",
            [
                Column::text("Real server"),
                Column::integer("in", Unit::Bytes),
                Column::integer("delta", Unit::None),
                Column::float("p99", Unit::Seconds),
            ],
        );
        let rows: [[Cell; 4]; 5] = [
            ["rs1".into(), u64::MAX.into(), i64::MIN.into(), (0.1 + 0.2).into()],
            ["a,b".into(), 0_u64.into(), Cell::Empty, f64::NAN.into()],
            ["say \"hi\"".into(), Cell::Empty, 0_i64.into(), f64::INFINITY.into()],
            ["two\nlines".into(), Cell::Empty, Cell::Empty, 1e-9.into()],
            ["<&>'".into(), Cell::Empty, Cell::Empty, 1e300.into()],
        ];
        for row in rows {
            table.push(row).expect("four cells for four columns");
        }
        insta::assert_snapshot!(text(&table), @r#"
        real_server,in_bytes,delta,p99_s
        rs1,18446744073709551615,-9223372036854775808,0.30000000000000004
        "a,b",0,,
        "say ""hi""",,0,inf
        "two
        lines",,,1e-9
        <&>',,,1e300
        "#);
    }

    #[test]
    fn a_table_without_rows_is_a_header() {
        let table = Table::new("none", [Column::text("a"), Column::text("b")]);
        assert_eq!(text(&table), "a,b\n");
        assert_eq!(text(&Table::new("nothing", [])), "");
    }

    #[test]
    fn a_single_empty_field_is_still_a_line() {
        let mut table = Table::new("one", [Column::float("x", Unit::None)]);
        table.push([Cell::Empty]).expect("one cell for one column");
        assert_eq!(text(&table), "x\n\"\"\n");
    }
}
