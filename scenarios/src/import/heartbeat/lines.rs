//! Lines of words.

use crate::diagnostic::{At, FileId, Place};

/// Whether a byte separates words; heartbeat's `WHITESPACE`.
pub(super) const fn blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

/// The words of a part of a text that begins at `base`.
pub(super) fn words(
    file: FileId,
    base: usize,
    text: &str,
    separates: impl Fn(u8) -> bool,
) -> Vec<At<&str>> {
    let mut words = Vec::new();
    let mut start = None;
    for (n, b) in text.bytes().chain([b' ']).enumerate() {
        match (start, separates(b)) {
            (None, false) => start = Some(n),
            (Some(from), true) => {
                // separators are ASCII, so both ends are boundaries of characters
                words.push(At::new(&text[from..n], Place::new(file, base + from..base + n)));
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// The lines of a text with the offset of each, up to a `#`.
pub(super) fn without_comments(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut offset = 0;
    text.split_inclusive('\n').map(move |line| {
        let base = offset;
        offset += line.len();
        (base, line.split('#').next().unwrap_or_default())
    })
}
