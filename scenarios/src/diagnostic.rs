//! What is wrong with an input, where, and what would be right.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::fmt::Write as _;
use std::ops::Range;

/// A file of [`Sources`] by its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct FileId(u32);

/// A piece of a source text: file and byte range.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// The file.
    pub file: FileId,
    /// Bytes of its text.
    pub span: Range<usize>,
}

impl Place {
    /// The place of `span` in `file`.
    pub const fn new(file: FileId, span: Range<usize>) -> Self {
        Self { file, span }
    }
}

/// A value with the place it was written at.
#[derive(Clone, PartialEq, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

impl<T> At<T> {
    /// `value` at `place`.
    pub const fn new(value: T, place: Place) -> Self {
        Self { value, place }
    }
}

/// The texts that were read, so that a problem can show its line.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

/// A text with its name and where its lines begin.
#[derive(Clone, Debug)]
struct Source {
    name: String,
    text: String,
    lines: Vec<usize>,
}

impl Sources {
    /// Adds a text under the name to show.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let (name, text) = (name.into(), text.into());
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(n, _)| n + 1)).collect();
        self.files.push(Source { name, text, lines });
        FileId(u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX))
    }

    /// Adds a text unless it is there already under this name.
    pub fn add_once(&mut self, name: &str, text: &str) -> FileId {
        match self.files.iter().position(|f| f.name == name && f.text == text) {
            Some(index) => FileId(u32::try_from(index).unwrap_or(u32::MAX)),
            None => self.add(name, text),
        }
    }

    fn file(&self, file: FileId) -> Option<&Source> {
        self.files.get(file.0 as usize)
    }

    /// Name of a file.
    pub fn name(&self, file: FileId) -> &str {
        self.file(file).map_or("", |f| f.name.as_str())
    }

    /// Text of a file.
    pub fn text(&self, file: FileId) -> &str {
        self.file(file).map_or("", |f| f.text.as_str())
    }

    /// All names with their texts, in the order they were read.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|f| (f.name.as_str(), f.text.as_str()))
    }

    /// Line of a place, counted from 1.
    pub fn line(&self, place: &Place) -> usize {
        self.line_at(place.file, place.span.start).0
    }

    /// The line of a byte: its number from 1, and its bytes without its end.
    fn line_at(&self, file: FileId, at: usize) -> (usize, Range<usize>) {
        let Some(file) = self.file(file) else { return (1, 0..0) };
        let at = floor_boundary(&file.text, at);
        let number = file.lines.partition_point(|start| *start <= at).max(1);
        let start = file.lines.get(number - 1).copied().unwrap_or(0);
        let end = file.lines.get(number).copied().unwrap_or(file.text.len());
        let line = &file.text[start..end];
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        (number, start..start + line.len())
    }
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where; `None` if it is nowhere in a text (a missing file, an option).
    pub place: Option<Place>,
    /// What was found, in one sentence without a full stop.
    pub message: String,
    /// What stands at the caret: usually what is allowed.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The problem may only be the consequence of another one.
    pub derived: bool,
}

impl Problem {
    /// A problem at `place`.
    pub fn new(place: &Place, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            place: Some(place.clone()),
            message: message.into(),
            label: label.into(),
            help: None,
            derived: false,
        }
    }

    /// A problem that no text shows.
    pub fn nowhere(message: impl Into<String>) -> Self {
        Self {
            place: None,
            message: message.into(),
            label: String::new(),
            help: None,
            derived: false,
        }
    }

    /// Adds advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Marks the problem as one that another may have caused: it is shown only if it stands alone.
    #[must_use]
    pub const fn derived(mut self) -> Self {
        self.derived = true;
        self
    }
}

/// Sorts by place, drops repeated problems, and drops derived ones beside an original.
pub fn tidy(problems: &mut Vec<Problem>) {
    if problems.iter().any(|p| !p.derived) {
        problems.retain(|p| !p.derived);
    }
    let key = |p: &Problem| {
        let place = p.place.as_ref().map(|p| (p.file, p.span.start, p.span.end));
        (place, p.message.clone())
    };
    problems.sort_by_cached_key(key);
    problems.dedup_by(|a, b| key(a) == key(b));
}

/// All problems as text: each with its line and a caret under it, then the number of them.
pub fn render(sources: &Sources, problems: &[Problem], styled: bool) -> String {
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for problem in problems {
        out.push_str(&renderer.render(&[group(sources, problem)]));
        out.push_str("\n\n");
    }
    let count = problems.len();
    let plural = if count == 1 { "" } else { "s" };
    let _infallible = writeln!(out, "{count} problem{plural} found");
    out
}

/// Lines above this length, in bytes, are shown in part.
const LONG: usize = 2000;
/// Bytes around a mark that are shown of a long line.
const AROUND: usize = 200;

/// A problem with its line. What this costs depends on the line, not on the text around it.
fn group<'a>(sources: &'a Sources, problem: &'a Problem) -> Group<'a> {
    let title = Level::ERROR.primary_title(problem.message.as_str());
    let mut group = match &problem.place {
        None => Group::with_title(title),
        Some(place) => {
            let text = sources.text(place.file);
            let (number, line) = sources.line_at(place.file, place.span.start);
            let span = clamp(text, &place.span, &line);
            let mut shown = line.clone();
            if line.len() > LONG {
                let from = floor_boundary(text, span.start.saturating_sub(AROUND));
                let to = floor_boundary(text, span.start + AROUND);
                shown = from.max(line.start)..to.min(line.end);
            }
            let end = span.end.min(shown.end);
            let mark = AnnotationKind::Primary.span(span.start - shown.start..end - shown.start);
            let mark =
                if problem.label.is_empty() { mark } else { mark.label(problem.label.as_str()) };
            let snippet = Snippet::source(&text[shown.clone()]).line_start(number).annotation(mark);
            let name = sources.name(place.file);
            if shown == line {
                title.element(snippet.path(name))
            } else {
                let column = text[line.start..span.start].chars().count() + 1;
                let origin = Origin::path(name).line(number).char_column(column);
                title.element(origin).element(snippet)
            }
        }
    };
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    group
}

/// The part of `span` that lies in its first line, at character boundaries: a longer or wrong span would
/// fill the screen, or end the renderer.
fn clamp(text: &str, span: &Range<usize>, line: &Range<usize>) -> Range<usize> {
    let start = floor_boundary(text, span.start).clamp(line.start, line.end);
    let end = floor_boundary(text, span.end).clamp(start, line.end);
    start..end
}

/// The last character boundary of `text` at or before `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_its_line_and_a_caret_under_it() {
        let mut sources = Sources::default();
        let file = sources.add("a.toml", "name = \"x\"\nratte = 5\n");
        let place = Place::new(file, 11..16);
        let problem = Problem::new(&place, "unknown key `ratte`", "not a key of this table")
            .help("did you mean `rate`?");
        let text = render(&sources, &[problem], false);
        assert!(text.contains("a.toml:2:1"), "{text}");
        assert!(text.contains("^^^^^ not a key of this table"), "{text}");
        assert!(text.contains("did you mean `rate`?"), "{text}");
        assert!(text.ends_with("1 problem found\n"), "{text}");
    }

    #[test]
    fn spans_beyond_the_text_or_inside_a_character_do_no_harm() {
        let mut sources = Sources::default();
        let file = sources.add("a", "\u{fc}\u{fc}");
        for span in [1..3, 0..99, 50..99, Range { start: 3, end: 1 }] {
            let text = render(&sources, &[Problem::new(&Place::new(file, span), "m", "l")], false);
            assert!(text.contains("error: m"), "{text}");
        }
        let empty = sources.add("b", "");
        assert!(
            render(&sources, &[Problem::new(&Place::new(empty, 0..1), "m", "")], false)
                .contains("error: m")
        );
    }

    #[test]
    fn lines_are_counted_as_they_are_written() {
        let mut sources = Sources::default();
        let file = sources.add("a", "x\r\n\nabc");
        let line = |at: usize| sources.line_at(file, at);
        assert_eq!([line(0), line(1), line(2)], [(1, 0..1), (1, 0..1), (1, 0..1)]);
        assert_eq!([line(3), line(4), line(99)], [(2, 3..3), (3, 4..7), (3, 4..7)]);
        let empty = sources.add("b", "\n");
        assert_eq!(sources.line_at(empty, 1), (2, 1..1));
    }

    #[test]
    fn of_a_long_line_the_part_with_the_mark_is_shown() {
        let mut sources = Sources::default();
        let text = format!("first\n{}here{}\n", "\u{fc}".repeat(3000), "y".repeat(3000));
        let file = sources.add("a", text.as_str());
        let place = Place::new(file, 6 + 6000..6 + 6004);
        let shown = render(&sources, &[Problem::new(&place, "m", "this")], false);
        assert!(shown.contains("a:2:3001"), "{shown}");
        assert!(shown.contains("here") && shown.contains("^^^^ this"), "{shown}");
        assert!(shown.len() < 2000, "{}", shown.len());
    }

    /// What a problem costs does not depend on the text around its line: the text that goes into the
    /// renderer is that of its line.
    #[test]
    fn a_problem_is_shown_the_same_in_a_huge_file() {
        let mut sources = Sources::default();
        let small = sources.add("a", "one\ntwo\n");
        let large = sources.add("a", format!("one\ntwo\n{}", "more\n".repeat(100_000)));
        let shown =
            |file| render(&sources, &[Problem::new(&Place::new(file, 4..7), "m", "l")], false);
        assert_eq!(shown(small), shown(large));
        let many: Vec<Problem> = (0..2000)
            .map(|n| Problem::new(&Place::new(large, 8 + 5 * n..12 + 5 * n), "m", "l"))
            .collect();
        assert!(render(&sources, &many, false).ends_with("2000 problems found\n"));
    }

    #[test]
    fn problems_are_sorted_and_said_once_and_consequences_are_left_out() {
        let place = |n| Place::new(FileId(0), n..n + 1);
        let mut problems = vec![
            Problem::new(&place(9), "b", ""),
            Problem::new(&place(3), "a", ""),
            Problem::new(&place(9), "b", ""),
            Problem::new(&place(1), "consequence", "").derived(),
        ];
        tidy(&mut problems);
        let order: Vec<_> = problems.iter().map(|p| p.message.as_str()).collect();
        assert_eq!(order, ["a", "b"]);
    }
}
