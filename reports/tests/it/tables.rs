//! Tables: calm on any data, within the width they are given.

use proptest::prelude::*;
use reports::{Cell, Column, Comparison, Sense, Table, Unit, csv, terminal};

fn cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        any::<String>().prop_map(Cell::Text),
        any::<i64>().prop_map(Cell::Int),
        any::<u64>().prop_map(Cell::UInt),
        any::<f64>().prop_map(Cell::Float),
        Just(Cell::Empty),
    ]
}

fn column() -> impl Strategy<Value = Column> {
    prop_oneof![
        any::<String>().prop_map(Column::text),
        any::<String>().prop_map(|name| Column::integer(name, Unit::Bytes)),
        any::<String>().prop_map(|name| Column::float(name, Unit::Seconds)),
        (any::<String>(), any::<String>())
            .prop_map(|(name, symbol)| Column::float(name, Unit::Other(symbol))),
    ]
}

fn table() -> impl Strategy<Value = Table> {
    prop::collection::vec(column(), 0..9).prop_flat_map(|columns| {
        let width = columns.len();
        let rows = prop::collection::vec(prop::collection::vec(cell(), width), 0..6);
        rows.prop_map(move |rows| {
            let mut table = Table::new("any", columns.clone());
            for row in rows {
                table.push(row).expect("one cell per column");
            }
            table
        })
    })
}

proptest! {
    #[test]
    fn any_table_can_be_shown(table in table(), width in 0..200_usize, colour in any::<bool>()) {
        let shown = terminal::table(&table, terminal::Style { width, colour });
        let control = |c: char| c.is_control() && c != '\n' && c != '\x1b';
        prop_assert!(!shown.contains(control), "{shown:?}");
        prop_assert!(colour || !shown.contains('\x1b'));
    }

    #[test]
    fn any_csv_has_a_record_for_every_row(table in table()) {
        let mut bytes = Vec::new();
        csv::write(&table, &mut bytes).expect("a Vec takes every byte");
        let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(&bytes[..]);
        let records: Vec<_> = reader.records().collect::<Result<_, _>>().expect("valid CSV");
        if !table.columns().is_empty() {
            prop_assert_eq!(records.len(), table.rows().len() + 1);
            for (record, row) in records.iter().skip(1).zip(table.rows()) {
                for (field, cell) in record.iter().zip(row) {
                    if let Cell::Float(value) = cell && value.is_finite() {
                        let read: f64 = field.parse().expect("a float");
                        prop_assert_eq!(read.to_bits(), value.to_bits());
                    }
                }
            }
        }
    }

    #[test]
    fn any_comparison_can_be_shown(
        cells in prop::collection::vec(prop::collection::vec(cell(), 4), 0..6),
        label in any::<String>(), width in 0..120_usize,
    ) {
        let mut all = Comparison::new("any", ["nat", "dr", "tun", label.as_str()]);
        let senses =
            [Sense::Neutral, Sense::LowerIsBetter, Sense::HigherIsBetter, Sense::ZeroIsGood];
        for (row, sense) in cells.into_iter().zip(senses.into_iter().cycle()) {
            all.group(label.clone());
            all.push(label.clone(), Unit::Seconds, sense, row).expect("one cell per variant");
        }
        let shown = terminal::comparison(&all, terminal::Style { width, colour: false });
        prop_assert!(shown.contains("nat") && shown.ends_with('\n'));
    }
}

#[test]
fn twenty_variants_are_cut_into_blocks_that_fit() {
    let variants: Vec<String> = (0..20).map(|index| format!("variant-{index}")).collect();
    let mut wide = Comparison::new("sweep", variants);
    let cells = (0..20).map(|index| Cell::Float(f64::from(index) * 1e-3));
    wide.push("connect p99", Unit::Seconds, Sense::LowerIsBetter, cells).expect("20 cells");
    let shown = terminal::comparison(&wide, terminal::Style { width: 80, colour: false });
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    assert_eq!(shown.matches("connect p99").count(), 4, "{shown}");
    assert!((0..20).all(|index| shown.contains(&format!("variant-{index}"))));
}
