//! Tables on a terminal: aligned, numbers to the right, units in the values.
//!
//! The width is the caller's to know. A table that is too wide is cut into blocks that each repeat
//! the first column; only words are ever shortened, never numbers.

use crate::{
    comparison::{Comparison, Mark},
    table::{Cell, Kind, Table},
    text::{printable, truncate, width},
};

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Terminal cells per line; lines are kept within it where that is possible (40 at least).
    pub width: usize,
    /// Whether to write ANSI colour sequences.
    pub colour: bool,
}

impl Default for Style {
    /// 100 cells, no colour.
    fn default() -> Self {
        Self { width: 100, colour: false }
    }
}

/// A table with a row per observation.
///
/// ```
/// use reports::{Column, Table, Unit, terminal};
/// let mut table = Table::new("servers", [Column::text("server"), Column::float("p99", Unit::Seconds)]);
/// table.push(["rs1".into(), 0.0123.into()])?;
/// let shown = terminal::table(&table, terminal::Style::default());
/// assert!(shown.contains("rs1     12.3 ms"));
/// # Ok::<(), reports::RowLength>(())
/// ```
pub fn table(table: &Table, style: Style) -> String {
    let columns = table.columns();
    let right = |kind| kind != Kind::Text;
    let mut grid = Grid {
        heads: Vec::new(),
        header: columns.iter().map(|column| printable(&column.name)).collect(),
        right: columns.iter().map(|column| right(column.kind)).collect(),
        lines: Vec::new(),
    };
    for row in table.rows() {
        let cell = |(cell, column): (&Cell, &crate::table::Column)| {
            (printable(&cell.human(&column.unit)), Mark::Plain)
        };
        grid.lines.push(Line::Cells(row.iter().zip(columns).map(cell).collect()));
    }
    grid.render(style)
}

/// A comparison: a row per metric, a column per variant.
pub fn comparison(comparison: &Comparison, style: Style) -> String {
    let variants = comparison.variants();
    let heads = comparison.heads().iter().map(|head| printable(head));
    let mut grid = Grid {
        heads: std::iter::once(String::new()).chain(heads).collect(),
        header: std::iter::once(String::new())
            .chain(variants.iter().map(|name| printable(name)))
            .collect(),
        right: (0..=variants.len()).map(|index| index > 0).collect(),
        lines: Vec::new(),
    };
    for group in comparison.groups() {
        let indent = if group.heading.is_empty() { "" } else { "  " };
        if !group.heading.is_empty() {
            grid.lines.push(Line::Heading(printable(&group.heading)));
        }
        for row in &group.rows {
            let label = (format!("{indent}{}", printable(&row.label)), Mark::Plain);
            let values = row.cells.iter().map(|cell| printable(&cell.human(&row.unit)));
            let cells = std::iter::once(label).chain(values.zip(row.marks()));
            grid.lines.push(Line::Cells(cells.collect()));
        }
    }
    grid.render(style)
}

const GAP: usize = 2;
const LEAST_WIDTH: usize = 40;
const LEAST_TEXT: usize = 12;

const BOLD: &str = "\x1b[1m";
const CYAN: &str = "\x1b[1;36m";
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

enum Line {
    Heading(String),
    Cells(Vec<(String, Mark)>),
}

/// Strings in columns, ready to be aligned. The first column is the key of each row.
struct Grid {
    /// Words over columns: equal ones beside each other are written once. May be empty.
    heads: Vec<String>,
    header: Vec<String>,
    right: Vec<bool>,
    lines: Vec<Line>,
}

impl Grid {
    fn render(&self, style: Style) -> String {
        if self.header.is_empty() {
            return String::new();
        }
        let room = style.width.max(LEAST_WIDTH);
        let widths = self.widths(room);
        let mut out = String::new();
        for (index, block) in blocks(&widths, room).iter().enumerate() {
            if index > 0 {
                out.push('\n');
            }
            self.render_block(block, &widths, style.colour, &mut out);
        }
        out
    }

    /// The width of each column: what its longest cell needs. When that is too much for a line,
    /// words are cut to a fair part of it, values to the right only when they alone fill a line.
    fn widths(&self, room: usize) -> Vec<usize> {
        let titles: Vec<usize> = self.header.iter().map(|name| width(name)).collect();
        let mut values = vec![0; titles.len()];
        for line in &self.lines {
            if let Line::Cells(cells) = line {
                for (column, (text, _)) in values.iter_mut().zip(cells) {
                    *column = width(text).max(*column);
                }
            }
        }
        let natural = titles.iter().zip(&values).map(|(title, value)| *title.max(value));
        let total: usize = natural.clone().map(|width| width + GAP).sum();
        if total <= room + GAP {
            return natural.collect();
        }
        let fair = (room / 3).max(LEAST_TEXT);
        let limit = |(column, natural): (usize, usize)| {
            let value = values.get(column).copied().unwrap_or(0);
            match self.right.get(column) {
                // The key may take more: it is what tells the rows apart.
                _ if column == 0 => natural.min(room / 2),
                Some(true) => natural.min(value.max(fair)).min(room),
                _ => natural.min(fair),
            }
        };
        natural.enumerate().map(limit).collect()
    }

    /// The words over the columns of a block, each in the middle of its columns between rules.
    fn heads_line(&self, block: &[usize], widths: &[usize]) -> Option<String> {
        let head = |c: &usize| self.heads.get(*c).map_or("", String::as_str);
        if block.iter().all(|c| head(c).is_empty()) {
            return None;
        }
        let mut parts = Vec::new();
        for columns in block.chunk_by(|a, b| head(a) == head(b)) {
            let room =
                columns.iter().filter_map(|&c| widths.get(c)).map(|w| w + GAP).sum::<usize>();
            let room = room.saturating_sub(GAP);
            let text = columns.first().map_or("", head);
            if text.is_empty() {
                parts.push(" ".repeat(room));
                continue;
            }
            let text = truncate(text, room);
            let spare = room.saturating_sub(width(&text));
            let (before, after) = (spare / 2, spare - spare / 2);
            // rules at both sides show which columns belong to the words
            let side = |n: usize| "\u{2500}".repeat(n.saturating_sub(1));
            parts.push(if before > 1 {
                format!("{} {text} {}", side(before), side(after))
            } else {
                format!("{}{text}{}", " ".repeat(before), " ".repeat(after))
            });
        }
        Some(parts.join(&" ".repeat(GAP)))
    }

    fn render_block(&self, block: &[usize], widths: &[usize], colour: bool, out: &mut String) {
        let paint = |text: String, code: &str| paint(text, code, colour);
        let pad = |column: usize, text: &str| {
            let width = widths.get(column).copied().unwrap_or(0);
            align(text, width, self.right.get(column).copied().unwrap_or(false))
        };
        let join = |cells: Vec<String>| cells.join(&" ".repeat(GAP));
        if let Some(line) = self.heads_line(block, widths) {
            push_line(out, &paint(line, BOLD));
        }
        let header = block.iter().map(|&c| {
            let name = self.header.get(c).map_or("", String::as_str);
            paint(pad(c, name), BOLD)
        });
        push_line(out, &join(header.collect()));
        let total = block.iter().filter_map(|&c| widths.get(c)).map(|w| w + GAP).sum::<usize>();
        push_line(out, &paint("\u{2500}".repeat(total.saturating_sub(GAP)), DIM));
        for (index, line) in self.lines.iter().enumerate() {
            match line {
                Line::Heading(text) => {
                    if index > 0 {
                        out.push('\n');
                    }
                    push_line(out, &paint(text.clone(), CYAN));
                }
                Line::Cells(cells) => {
                    let cell = |&c: &usize| {
                        let (text, mark) = cells.get(c).map_or(("", Mark::Plain), |(t, m)| (t, *m));
                        paint(pad(c, text), code_of(mark, text))
                    };
                    push_line(out, &join(block.iter().map(cell).collect()));
                }
            }
        }
    }
}

/// Which columns stand beside each other: the key column first in every block, as few blocks as
/// fit, and in each about as many columns as in the others.
fn blocks(widths: &[usize], room: usize) -> Vec<Vec<usize>> {
    let fewest = filled(widths, room, usize::MAX).len();
    let columns = widths.len().saturating_sub(1);
    let even = columns.div_ceil(fewest.max(1)).max(1);
    let balanced = filled(widths, room, even);
    if balanced.len() == fewest { balanced } else { filled(widths, room, usize::MAX) }
}

/// Blocks of as many columns as fit, but at most `most`.
fn filled(widths: &[usize], room: usize, most: usize) -> Vec<Vec<usize>> {
    let key = widths.first().copied().unwrap_or(0);
    let mut blocks = vec![vec![0]];
    let mut used = key;
    for (column, width) in widths.iter().enumerate().skip(1) {
        let beside = blocks.last().map_or(0, |block| block.len() - 1);
        if beside >= most || (used + GAP + width > room && beside > 0) {
            blocks.push(vec![0]);
            used = key;
        }
        used += GAP + width;
        if let Some(block) = blocks.last_mut() {
            block.push(column);
        }
    }
    blocks
}

fn code_of(mark: Mark, text: &str) -> &'static str {
    match mark {
        Mark::Good => GREEN,
        Mark::Bad => RED,
        Mark::Plain if text == crate::number::MISSING => DIM,
        Mark::Plain => "",
    }
}

fn paint(text: String, code: &str, colour: bool) -> String {
    if colour && !code.is_empty() && !text.trim().is_empty() {
        format!("{code}{text}{RESET}")
    } else {
        text
    }
}

fn align(text: &str, cells: usize, right: bool) -> String {
    let text = truncate(text, cells);
    let space = " ".repeat(cells.saturating_sub(width(&text)));
    if right { space + &text } else { text + &space }
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line.trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{comparison::Sense, number::Unit, table::Column};

    fn modes() -> Comparison {
        use Sense::{HigherIsBetter, LowerIsBetter, Neutral, ZeroIsGood};
        type Row = (&'static str, Unit, Sense, [Cell; 3]);
        let count = |n: u64| Cell::UInt(n);
        let general: Vec<Row> = vec![("seed", Unit::None, Neutral, [count(1), count(1), count(1)])];
        let connections: Vec<Row> = vec![
            ("served", Unit::None, HigherIsBetter, [count(11_990), count(12_000), Cell::Empty]),
            ("failed", Unit::None, ZeroIsGood, [count(10), count(0), count(0)]),
        ];
        let latency: Vec<Row> = vec![
            ("connect p50", Unit::Seconds, LowerIsBetter, [0.0012, 98e-5, 0.001].map(Cell::Float)),
            (
                "throughput",
                Unit::BytesPerSecond,
                HigherIsBetter,
                [3.4e6, 9e7, f64::NAN].map(Cell::Float),
            ),
        ];
        let mut modes = Comparison::new("summary", ["nat", "dr", "tun"]);
        for (heading, rows) in [("", general), ("Connections", connections), ("Latency", latency)] {
            modes.group(heading);
            for (label, unit, sense, cells) in rows {
                modes.push(label, unit, sense, cells).expect("three cells for three variants");
            }
        }
        modes
    }

    #[test]
    fn a_comparison_reads_at_a_glance() {
        insta::assert_snapshot!(comparison(&modes(), Style::default()), @r"
                         nat         dr      tun
    ────────────────────────────────────────────
    seed                   1          1        1

    Connections
      served          11,990     12,000        -
      failed              10          0        0

    Latency
      connect p50    1.20 ms     980 us  1.00 ms
      throughput   3.40 MB/s  90.0 MB/s        -
    ");
    }

    #[test]
    fn colour_adds_sequences_and_nothing_else() {
        let plain = comparison(&modes(), Style::default());
        let coloured = comparison(&modes(), Style { colour: true, ..Style::default() });
        assert!(coloured.contains("\x1b[32m"), "the best value is green");
        assert!(coloured.contains("\x1b[31m"), "failures are red");
        let mut stripped = coloured;
        for code in [BOLD, CYAN, GREEN, RED, DIM, RESET] {
            stripped = stripped.replace(code, "");
        }
        assert_eq!(stripped, plain);
    }

    #[test]
    fn a_narrow_terminal_gets_blocks_and_shorter_words() {
        let mut wide = Table::new(
            "links",
            [
                Column::text("link"),
                Column::text("a very long description of what this column holds"),
                Column::integer("packets", Unit::None),
                Column::float("rate", Unit::BitsPerSecond),
            ],
        );
        let words = "from the director to the switch, by way of the patch panel";
        wide.push(["d0".into(), words.into(), 12_345_u64.into(), 9.9e8.into()])
            .expect("four cells for four columns");
        let shown = table(&wide, Style { width: 44, colour: false });
        insta::assert_snapshot!(shown, @r"
    link  a very long ..  packets        rate
    ─────────────────────────────────────────
    d0    from the dir..   12,345  990 Mbit/s
    ");
        assert!(shown.lines().all(|line| width(line) <= 44));
    }

    #[test]
    fn columns_are_shared_out_evenly_among_blocks() {
        // six columns where four fit: three and three, not four and two
        assert_eq!(blocks(&[10, 9, 9, 9, 9, 9, 9], 54), [[0, 1, 2, 3], [0, 4, 5, 6]]);
        assert_eq!(blocks(&[10, 9, 9], 99), [[0, 1, 2]]);
        // where even shares would need one block more, lines are filled
        assert_eq!(blocks(&[4, 30, 4, 4], 42), [vec![0, 1, 2], vec![0, 3]]);
    }

    #[test]
    fn variants_of_a_group_stand_under_its_heading() {
        let mut table = Comparison::new("x", ["nat", "dr", "nat-4", "dr-4", "none"]);
        table.head(["two", "two", "four servers of a kind", "four servers of a kind", ""]);
        table.group("Latency");
        table
            .push("p50", Unit::Seconds, Sense::Neutral, [1.0, 2.0, 3.0, 4.0, 5.0].map(Cell::Float))
            .expect("five cells for five variants");
        insta::assert_snapshot!(comparison(&table, Style::default()), @r"
               ──── two ─────  four servers..
                  nat      dr   nat-4    dr-4    none
        ─────────────────────────────────────────────
        Latency
          p50  1.00 s  2.00 s  3.00 s  4.00 s  5.00 s
        ");
        let narrow = comparison(&table, Style { width: 40, colour: false });
        assert!(narrow.lines().all(|line| width(line) <= 40), "{narrow}");
    }

    #[test]
    fn tables_without_rows_or_columns_are_calm() {
        assert_eq!(table(&Table::new("nothing", []), Style::default()), "");
        let empty = Table::new("none", [Column::text("a"), Column::text("b")]);
        assert_eq!(table(&empty, Style::default()), "a  b\n\u{2500}\u{2500}\u{2500}\u{2500}\n");
    }
}
