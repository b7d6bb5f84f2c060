//! Small helpers on words that other people chose.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Control characters (and the code points XML forbids) become `?`: a name must not move the
/// cursor of a terminal or break a document.
pub(crate) fn printable(text: &str) -> String {
    let bad = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
    };
    text.chars().map(|c| if bad(c) { '?' } else { c }).collect()
}

/// How many terminal cells a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Cuts a text to a number of terminal cells, ending in `..` if something was lost.
pub(crate) fn truncate(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let room = cells.saturating_sub(2);
    let mut out = String::new();
    let mut used = 0;
    for letter in text.chars() {
        used += letter.width().unwrap_or(0);
        if used > room {
            break;
        }
        out.push(letter);
    }
    out.extend(std::iter::repeat_n('.', cells.min(2)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_move_the_cursor() {
        assert_eq!(printable("a\x1b[31mb\n\u{202e}"), "a?[31mb??");
    }

    #[test]
    fn long_names_end_in_dots() {
        assert_eq!(truncate("real-server-1", 8), "real-s..");
        assert_eq!(truncate("rs1", 3), "rs1");
        assert_eq!(truncate("rs12", 1), ".");
        assert_eq!(truncate("\u{5bb6}\u{5bb6}\u{5bb6}", 5), "\u{5bb6}..");
    }
}
