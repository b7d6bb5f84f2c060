//! Lines of settings and blocks of services.

use crate::diagnostic::{FileId, Place, Sources};

/// A line `NAME=VALUE`, or what stands there instead.
#[derive(Clone, Debug)]
pub(super) struct Line<'a> {
    /// The whole line without its end.
    pub(super) text: &'a str,
    /// What stands before the `=`, without blanks; the first word if there is none.
    pub(super) name: &'a str,
    /// What stands behind the `=`, blanks at its end included; `None` without a `=`.
    pub(super) value: Option<&'a str>,
    /// Where the name stands.
    pub(super) place: Place,
    /// Where the value stands.
    pub(super) value_place: Place,
}

impl Line<'_> {
    /// Where a part of the line stands.
    pub(super) fn place_of(&self, part: &str) -> Place {
        let from = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        if from > self.text.len() || part.is_empty() {
            return self.value_place.clone();
        }
        let start = self.place.span.start - offset_in(self.text, self.name) + from;
        Place::new(self.place.file, start..start + part.len())
    }
}

fn offset_in(text: &str, part: &str) -> usize {
    (part.as_ptr() as usize) - (text.as_ptr() as usize)
}

/// A part of the file.
#[derive(Clone, Debug)]
pub(super) enum Block<'a> {
    /// A setting.
    Global(Line<'a>),
    /// `virtual=` and the lines that belong to it.
    Virtual(Line<'a>, Vec<Line<'a>>),
}

/// The parts of a file. The lines of a service are indented by a tab or at least four blanks, comment lines
/// between them do not count, and any other line ends it, an empty one too.
pub(super) fn blocks(sources: &Sources, file: FileId) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open = false;
    let mut offset = 0;
    for raw in sources.text(file).split_inclusive('\n') {
        let base = offset;
        offset += raw.len();
        let text = raw.strip_suffix('\n').unwrap_or(raw);
        let comment = text.trim_start().starts_with('#');
        if open {
            if comment {
                continue;
            }
            let inner = text.split('#').next().unwrap_or_default();
            if let Some(rest) = indented(inner)
                && let Some(Block::Virtual(_, lines)) = blocks.last_mut()
            {
                lines.push(line(file, base + (inner.len() - rest.len()), rest));
                continue;
            }
            open = false;
        }
        if comment || text.trim().is_empty() {
            continue;
        }
        let line = line(file, base, text);
        open = matches!(line.name, "virtual" | "virtual6") && line.value.is_some();
        blocks.push(if open { Block::Virtual(line, Vec::new()) } else { Block::Global(line) });
    }
    blocks
}

/// What stands behind an indentation of four columns, if anything: a tab is four.
fn indented(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches([' ', '\t']);
    let blanks = &text[..text.len() - rest.len()];
    let width: usize = blanks.bytes().map(|b| if b == b'\t' { 4 } else { 1 }).sum();
    if !rest.is_empty() {
        return (width >= 4).then_some(rest);
    }
    // nothing but blanks: the last one counts as a command
    (width > 4).then(|| &text[text.len() - 1..])
}

fn line(file: FileId, base: usize, text: &str) -> Line<'_> {
    let (head, value) = match text.split_once('=') {
        Some((head, value)) => (head, Some(value.trim_start_matches([' ', '\t']))),
        None => (text, None),
    };
    let trimmed = head.trim_end();
    let name = match value {
        Some(_) => trimmed,
        None => trimmed.split([' ', '\t']).next().unwrap_or_default(),
    };
    let place = Place::new(file, base..base + name.len());
    let value_place = match value {
        Some(value) if !value.is_empty() => {
            let from = base + offset_in(text, value);
            Place::new(file, from..from + value.len())
        }
        _ => place.clone(),
    };
    Line { text, name, value, place, value_place }
}
