//! Letters of a text that remember where they were written, and the words they make.

use crate::diagnostic::{FileId, Place};

/// A letter and the byte offset it was written at. Letters that stand for a definition have the
/// offset of its use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Letter {
    pub(super) c: char,
    pub(super) at: usize,
    /// Inside double quotes, or after a backslash: it separates nothing.
    pub(super) literal: bool,
}

/// A word of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    /// Its text, without quotes.
    pub text: String,
    /// Where it was written.
    pub place: Place,
}

/// What a line is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Token {
    /// Words up to a brace or the end of the line, at least one.
    Words(Vec<Word>),
    /// `{`
    Open(Place),
    /// `}`
    Close(Place),
}

pub(super) fn blank(letter: &Letter) -> bool {
    !letter.literal && (letter.c == ' ' || letter.c == '\t' || letter.c == '\r')
}

/// Letters without the blanks around them.
pub(super) fn trim(letters: &[Letter]) -> &[Letter] {
    let start = letters.iter().position(|l| !blank(l)).unwrap_or(letters.len());
    let end = letters.iter().rposition(|l| !blank(l)).map_or(start, |e| e + 1);
    &letters[start..end]
}

pub(super) fn string(letters: &[Letter]) -> String {
    letters.iter().map(|l| l.c).collect()
}

/// The place of some letters.
pub(super) fn place(file: FileId, letters: &[Letter]) -> Place {
    let start = letters.first().map_or(0, |l| l.at);
    let end = letters.last().map_or(start, |l| l.at + l.c.len_utf8());
    Place::new(file, start..end.max(start))
}

/// A physical line without its comment and the blanks around it, and whether a quote was left open.
///
/// `#` and `!` start a comment outside double quotes; `\#` and `\!` are the letters themselves.
pub(super) fn bare(raw: &str, offset: usize) -> (Vec<Letter>, bool) {
    let mut letters = Vec::with_capacity(raw.len());
    let mut quoted = false;
    let mut rest = raw.char_indices().peekable();
    while let Some((n, c)) = rest.next() {
        let at = offset + n;
        match c {
            '\n' => {}
            '"' => {
                quoted = !quoted;
                letters.push(Letter { c, at, literal: false });
            }
            '\\' if !quoted => match rest.next_if(|(_, c)| matches!(c, '#' | '!')) {
                Some((_, c)) => letters.push(Letter { c, at, literal: true }),
                None => letters.push(Letter { c, at, literal: false }),
            },
            '#' | '!' if !quoted => break,
            _ => letters.push(Letter { c, at, literal: quoted }),
        }
    }
    (trim(&letters).to_vec(), quoted)
}

/// Cuts a line into words and braces.
pub(super) fn tokens(file: FileId, letters: &[Letter]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut words: Vec<Word> = Vec::new();
    let mut rest = letters;
    loop {
        rest = trim(rest);
        let Some(first) = rest.first() else { break };
        if matches!(first.c, '{' | '}') && !first.literal {
            if !words.is_empty() {
                tokens.push(Token::Words(std::mem::take(&mut words)));
            }
            let place = place(file, &rest[..1]);
            tokens.push(if first.c == '{' { Token::Open(place) } else { Token::Close(place) });
            rest = &rest[1..];
            continue;
        }
        let length = word_length(rest);
        let text: String = rest[..length].iter().filter(|l| !is_quote(l)).map(|l| l.c).collect();
        words.push(Word { text, place: place(file, &rest[..length]) });
        rest = &rest[length..];
    }
    if !words.is_empty() {
        tokens.push(Token::Words(words));
    }
    tokens
}

const fn is_quote(letter: &Letter) -> bool {
    letter.c == '"' && !letter.literal
}

/// Length of the word at the start of `letters`: to the closing quote if it starts with one.
fn word_length(letters: &[Letter]) -> usize {
    let mut quoted = false;
    for (n, letter) in letters.iter().enumerate() {
        if is_quote(letter) {
            quoted = !quoted;
        } else if !quoted && (blank(letter) || (matches!(letter.c, '{' | '}') && !letter.literal)) {
            return n;
        }
    }
    letters.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<String> {
        let (letters, _) = bare(line, 0);
        let shown = |t: &Token| match t {
            Token::Words(w) => w.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join("|"),
            Token::Open(_) => "{".to_owned(),
            Token::Close(_) => "}".to_owned(),
        };
        tokens(FileId::default(), &letters).iter().map(shown).collect()
    }

    #[test]
    fn comments_end_a_line_outside_quotes() {
        assert_eq!(texts("a b # c"), ["a|b"]);
        assert_eq!(texts("a ! b"), ["a"]);
        assert_eq!(texts("a \"b # c!\" d"), ["a|b # c!|d"]);
        assert_eq!(texts("a \\#b \\!c"), ["a|#b|!c"]);
        assert!(texts("  # nothing").is_empty());
    }

    #[test]
    fn braces_stand_alone_wherever_they_are_written() {
        assert_eq!(texts("real_server 10.0.0.1 80{"), ["real_server|10.0.0.1|80", "{"]);
        assert_eq!(
            texts("virtual_ipaddress { 10.0.0.1 } x"),
            ["virtual_ipaddress", "{", "10.0.0.1", "}", "x"]
        );
        assert_eq!(texts("script \"a {b}\""), ["script|a {b}"]);
    }

    #[test]
    fn a_word_knows_its_place() {
        let (letters, open) = bare("\u{fc} \"b c\"", 10);
        assert!(!open);
        let tokens = tokens(FileId::default(), &letters);
        let Some(Token::Words(words)) = tokens.first() else { panic!("{tokens:?}") };
        assert_eq!(words[0].place.span, 10..12);
        assert_eq!((words[1].text.as_str(), words[1].place.span.clone()), ("b c", 13..18));
    }

    #[test]
    fn an_open_quote_is_seen() {
        assert!(bare("a \"b", 0).1);
    }
}
