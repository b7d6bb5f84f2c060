//! The figures of the tables are held.

use crate::report::report;

#[test]
fn the_tables_share_as_they_did() {
    assert_eq!(report(), include_str!("table_quality.txt"));
}
