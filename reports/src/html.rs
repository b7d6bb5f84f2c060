//! One self-contained page: the question, the answer in tables and plots, the expectations, and
//! what it takes to get the same numbers again.
//!
//! The page works from a file, without a network, in light and dark, and without its script (which
//! only sorts tables and switches colours). Its content security policy forbids every fetch and
//! every script and style but its own two, by their hashes. All text is escaped; pictures can only
//! be [`Svg`]s made by this crate. The same report gives the same bytes.

use std::io::{self, Write};

use askama::Template;

use crate::{
    comparison::{Comparison, Mark},
    number::{MISSING, shortest},
    plot::Svg,
    table::{Cell, Column, Kind, Table},
    text::printable,
};

/// A page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// The title and main heading.
    pub title: String,
    /// The question this answers; may be empty.
    pub question: String,
    /// Paragraphs on what was done.
    pub description: Vec<String>,
    /// A few numbers that stand out, as cards.
    pub figures: Vec<KeyFigure>,
    /// What was expected and whether it held.
    pub expectations: Vec<Expectation>,
    /// The parts of the page.
    pub sections: Vec<Section>,
    /// What it takes to get the same numbers again, as keys and values.
    pub manifest: Vec<(String, String)>,
}

/// One number that stands out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyFigure {
    /// What it is.
    pub label: String,
    /// The value as it is shown; see [`human`](crate::number::human).
    pub value: String,
    /// A few words below; may be empty.
    pub note: String,
}

/// Whether an expectation held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It held.
    Pass,
    /// It did not.
    Fail,
    /// It could not be judged.
    Unjudged,
}

/// An expectation and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// What was expected.
    pub text: String,
    /// Whether it held.
    pub verdict: Verdict,
    /// What was measured, with its unit.
    pub measured: String,
}

/// A part of the page: words, then tables, then plots.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Section {
    /// The heading.
    pub heading: String,
    /// A paragraph; may be empty.
    pub intro: String,
    /// The tables.
    pub tables: Vec<AnyTable>,
    /// The plots.
    pub plots: Vec<Figure>,
}

/// A table of either form.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyTable {
    /// A row per observation; readers can sort it.
    Rows(Table),
    /// A row per metric, a column per variant.
    Comparison(Comparison),
}

impl From<Table> for AnyTable {
    fn from(table: Table) -> Self {
        Self::Rows(table)
    }
}

impl From<Comparison> for AnyTable {
    fn from(comparison: Comparison) -> Self {
        Self::Comparison(comparison)
    }
}

/// A plot with the words under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// The picture.
    pub svg: Svg,
    /// The caption; may be empty.
    pub caption: String,
}

/// Writes the page.
///
/// # Errors
/// What the writer reports.
///
/// ```
/// use reports::html::{Report, write};
/// let report = Report { title: "a < b".to_owned(), ..Report::default() };
/// let mut page = Vec::new();
/// write(&report, &mut page)?;
/// assert!(String::from_utf8_lossy(&page).contains("<h1>a &#60; b</h1>"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn write(report: &Report, mut out: impl Write) -> io::Result<()> {
    let sections: Vec<SectionView<'_>> =
        report.sections.iter().enumerate().map(|(index, s)| section_view(index, s)).collect();
    let page = Page {
        style_hash: STYLE_HASH,
        script_hash: SCRIPT_HASH,
        style: STYLE,
        script: SCRIPT,
        title: &report.title,
        question: &report.question,
        description: &report.description,
        figures: &report.figures,
        verdict: verdict_line(&report.expectations),
        expectations: report.expectations.iter().map(expectation_view).collect(),
        links: links(report, &sections),
        sections,
        manifest: &report.manifest,
    };
    page.write_into(&mut out).map_err(io::Error::other)
}

const STYLE: &str = include_str!("../templates/report.css");
const SCRIPT: &str = include_str!("../templates/report.js");
/// What the content security policy names the style by; a test compares it with the file.
const STYLE_HASH: &str = "sha256-aA4XcxlOF9hN9ZpL0zkVgJXtLmRg14jdGGGTykljYsc=";
/// What the content security policy names the script by; a test compares it with the file.
const SCRIPT_HASH: &str = "sha256-Ec5CFffAE88lh1CWnP6GSR96b7V3wKT+VEhPEcFRtHA=";

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    style_hash: &'a str,
    script_hash: &'a str,
    style: &'a str,
    script: &'a str,
    title: &'a str,
    question: &'a str,
    description: &'a [String],
    figures: &'a [KeyFigure],
    verdict: String,
    expectations: Vec<ExpectationView<'a>>,
    links: Vec<Link<'a>>,
    sections: Vec<SectionView<'a>>,
    manifest: &'a [(String, String)],
}

struct Link<'a> {
    id: String,
    heading: &'a str,
}

struct ExpectationView<'a> {
    class: &'static str,
    verdict: &'static str,
    text: &'a str,
    measured: &'a str,
}

struct SectionView<'a> {
    id: String,
    heading: &'a str,
    intro: &'a str,
    tables: Vec<TableView>,
    plots: Vec<PlotView<'a>>,
}

struct PlotView<'a> {
    svg: String,
    caption: &'a str,
}

struct TableView {
    caption: String,
    sortable: bool,
    /// Words over several columns, and how many; none if there are none.
    over: Vec<(String, usize)>,
    head: Vec<Head>,
    bodies: Vec<Body>,
    rows: usize,
}

struct Head {
    name: String,
    number: bool,
}

struct Body {
    heading: String,
    rows: Vec<Vec<CellView>>,
}

struct CellView {
    tag: &'static str,
    key: bool,
    class: &'static str,
    /// The exact number behind a rounded one: shown on hover, and what sorting goes by.
    exact: String,
    text: String,
}

fn links<'a>(report: &Report, sections: &[SectionView<'a>]) -> Vec<Link<'a>> {
    let mut links = Vec::new();
    let of = |section: &SectionView<'a>| Link { id: section.id.clone(), heading: section.heading };
    links.extend(sections.iter().map(of));
    if !report.expectations.is_empty() {
        // they stand after the first section, which has the answer
        let expectations = Link { id: "expectations".to_owned(), heading: "Expectations" };
        links.insert(links.len().min(1), expectations);
    }
    if !report.manifest.is_empty() {
        links.push(Link { id: "manifest".to_owned(), heading: "Manifest" });
    }
    links
}

fn verdict_line(expectations: &[Expectation]) -> String {
    let held = expectations.iter().filter(|e| e.verdict == Verdict::Pass).count();
    format!("{held} of {} hold", expectations.len())
}

fn expectation_view(row: &Expectation) -> ExpectationView<'_> {
    let (class, verdict) = match row.verdict {
        Verdict::Pass => ("pass", "pass"),
        Verdict::Fail => ("fail", "fail"),
        Verdict::Unjudged => ("unjudged", "not judged"),
    };
    ExpectationView { class, verdict, text: &row.text, measured: &row.measured }
}

fn section_view<'a>(index: usize, section: &'a Section) -> SectionView<'a> {
    let table = |table: &AnyTable| match table {
        AnyTable::Rows(table) => rows_view(table),
        AnyTable::Comparison(comparison) => comparison_view(comparison),
    };
    let plot = |figure: &'a Figure| PlotView { svg: figure.svg.inline(), caption: &figure.caption };
    SectionView {
        id: format!("section-{}", index + 1),
        heading: &section.heading,
        intro: &section.intro,
        tables: section.tables.iter().map(table).collect(),
        plots: section.plots.iter().map(plot).collect(),
    }
}

fn rows_view(table: &Table) -> TableView {
    let is_number = |column: &Column| column.kind != Kind::Text;
    let head = |c: &Column| Head { name: c.name.clone(), number: is_number(c) };
    let row = |row: &Vec<Cell>| {
        let cells = row.iter().zip(table.columns()).enumerate();
        let view = |(index, (cell, column)): (usize, (&Cell, &Column))| {
            let class = if is_number(column) { "n" } else { "" };
            cell_view(cell, &cell.human(&column.unit), index == 0 && !is_number(column), class)
        };
        cells.map(view).collect()
    };
    TableView {
        caption: table.name().to_owned(),
        sortable: table.rows().len() > 1,
        over: Vec::new(),
        head: table.columns().iter().map(head).collect(),
        bodies: vec![Body { heading: String::new(), rows: table.rows().iter().map(row).collect() }],
        rows: table.rows().len(),
    }
}

fn comparison_view(comparison: &Comparison) -> TableView {
    let variants = comparison.variants().iter().cloned();
    let first = Head { name: String::new(), number: false };
    let variants = variants.map(|name| Head { name, number: true });
    let body = |group: &crate::comparison::Group| Body {
        heading: group.heading.clone(),
        rows: group.rows.iter().map(metric_view).collect(),
    };
    let bodies: Vec<Body> = comparison.groups().iter().map(body).collect();
    TableView {
        caption: comparison.name().to_owned(),
        sortable: false,
        over: over(comparison.heads()),
        head: std::iter::once(first).chain(variants).collect(),
        rows: bodies.iter().map(|body| body.rows.len()).sum(),
        bodies,
    }
}

/// Equal words beside each other once, with their number; after the empty corner.
fn over(heads: &[String]) -> Vec<(String, usize)> {
    if heads.iter().all(String::is_empty) {
        return Vec::new();
    }
    let corner = (String::new(), 1);
    let spans = heads.chunk_by(|a, b| a == b);
    let span = |same: &[String]| (same.first().cloned().unwrap_or_default(), same.len());
    std::iter::once(corner).chain(spans.map(span)).collect()
}

fn metric_view(row: &crate::comparison::MetricRow) -> Vec<CellView> {
    let label = Cell::Text(row.label.clone());
    let label = cell_view(&label, &row.label, true, "");
    let value = |(cell, mark): (&Cell, Mark)| {
        let class = match mark {
            Mark::Plain => "n",
            Mark::Good => "n good",
            Mark::Bad => "n bad",
        };
        cell_view(cell, &cell.human(&row.unit), false, class)
    };
    std::iter::once(label).chain(row.cells.iter().zip(row.marks()).map(value)).collect()
}

fn cell_view(cell: &Cell, text: &str, key: bool, class: &'static str) -> CellView {
    let exact = match cell {
        Cell::Int(value) => value.to_string(),
        Cell::UInt(value) => value.to_string(),
        Cell::Float(value) if value.is_finite() => shortest(*value),
        Cell::Float(_) | Cell::Text(_) | Cell::Empty => String::new(),
    };
    let exact = if exact == text || text == MISSING { String::new() } else { exact };
    CellView { tag: if key { "th" } else { "td" }, key, class, exact, text: printable(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    /// Base64 with padding (RFC 4648, section 4).
    fn base64(bytes: &[u8]) -> String {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut out = String::new();
        for chunk in bytes.chunks(3) {
            let group = (0..3)
                .fold(0_u32, |group, i| group << 8 | u32::from(chunk.get(i).copied().unwrap_or(0)));
            for place in 0..4 {
                let letter = LETTERS[(group >> (18 - 6 * place) & 63) as usize];
                out.push(if place <= chunk.len() { char::from(letter) } else { '=' });
            }
        }
        out
    }

    fn hash(text: &str) -> String {
        format!("sha256-{}", base64(&Sha256::digest(text.as_bytes())))
    }

    #[test]
    fn the_policy_names_the_style_and_the_script_as_they_are() {
        assert_eq!(base64(b"ab"), "YWI=");
        assert_eq!(STYLE_HASH, hash(STYLE), "templates/report.css was changed");
        assert_eq!(SCRIPT_HASH, hash(SCRIPT), "templates/report.js was changed");
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</"), "would end the element");
    }
}
