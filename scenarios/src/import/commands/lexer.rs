//! Words of a command line with their places: quotes, variables, redirections, comments.

use crate::diagnostic::{FileId, Place};

/// A part of a word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Piece {
    /// Text as it stands.
    Text {
        /// The text.
        text: String,
        /// It stood in quotes.
        quoted: bool,
    },
    /// `$NAME`, `${NAME}`, `${NAME:-default}`, or `<NAME>` of a how-to.
    Variable {
        /// The name.
        name: String,
        /// What it is if it has no value.
        default: Option<String>,
        /// It stood in double quotes: its value is not split.
        quoted: bool,
    },
    /// `$(...)` or `` `...` ``.
    Substitution(String),
}

/// A word before its variables are filled in.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct RawWord {
    pub(super) pieces: Vec<Piece>,
    pub(super) place: Place,
}

impl RawWord {
    /// The text of a word without variables.
    pub(super) fn literal(&self) -> Option<String> {
        self.pieces
            .iter()
            .map(|p| match p {
                Piece::Text { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }

    /// The text of a word that has neither variables nor quotes: what a keyword must be.
    pub(super) fn plain(&self) -> Option<&str> {
        match &self.pieces[..] {
            [Piece::Text { text, quoted: false }] => Some(text),
            _ => None,
        }
    }
}

/// What a line consists of.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Token {
    /// A word.
    Word(RawWord),
    /// `;` `;;` `&&` `||` `|` `&` `(` `)`.
    Operator(&'static str),
    /// `<` `>` `>>` `<<` `<<-` `<<<` with the file descriptor before it.
    Redirect {
        /// `2` of `2>`.
        fd: Option<u8>,
        /// The operator.
        kind: &'static str,
    },
}

/// A line, or several that belong together.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) tokens: Vec<Token>,
    /// A quote that is not closed.
    pub(super) unclosed: Option<Place>,
    /// Typographic characters that were read as their plain ones.
    pub(super) typographic: Option<Place>,
}

/// A text as characters with their places; typographic ones are replaced by what was typed before a
/// blog made them nicer.
pub(super) struct Text<'a> {
    pub(super) file: FileId,
    pub(super) base: usize,
    pub(super) source: &'a str,
    chars: Vec<Char>,
}

#[derive(Clone, Copy)]
struct Char {
    at: usize,
    value: char,
    replaced: bool,
}

/// The plain character that a typographic one stands for.
const fn plain(c: char) -> Option<char> {
    match c {
        '\u{a0}' | '\u{3000}' | '\u{2003}' | '\u{2002}' | '\u{200a}' => Some(' '),
        '\u{201c}' | '\u{201d}' | '\u{201e}' => Some('"'),
        '\u{2018}' | '\u{2019}' => Some('\''),
        // the full-width forms of the characters from ! to ~
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0),
        _ => None,
    }
}

/// Whether a character is of a script that no command is written in.
pub(super) const fn foreign(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3134f}')
}

/// Dashes that stand where an option begins: one letter had one dash, a word had two.
const fn is_dash(c: char) -> bool {
    matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}')
}

impl<'a> Text<'a> {
    pub(super) fn new(file: FileId, base: usize, source: &'a str) -> Self {
        let mut chars = Vec::with_capacity(source.len());
        let mut previous = '\n';
        let mut rest = source.char_indices().peekable();
        while let Some((at, c)) = rest.next() {
            if is_dash(c) && previous.is_whitespace() {
                let letters = source[at..].chars().skip(1).take_while(char::is_ascii_alphabetic);
                let count = letters.count();
                if count > 0 {
                    chars.push(Char { at, value: '-', replaced: true });
                    if count > 1 {
                        chars.push(Char { at, value: '-', replaced: true });
                    }
                    previous = '-';
                    continue;
                }
            }
            // a carriage return belongs to the end of its line
            if c == '\r' && rest.peek().is_none_or(|(_, n)| *n == '\n') {
                continue;
            }
            let value = plain(c).unwrap_or(c);
            chars.push(Char { at, value, replaced: value != c && !value.is_whitespace() });
            previous = value;
        }
        Self { file, base, source, chars }
    }

    pub(super) const fn len(&self) -> usize {
        self.chars.len()
    }

    fn at(&self, index: usize) -> Option<char> {
        self.chars.get(index).map(|c| c.value)
    }

    fn offset(&self, index: usize) -> usize {
        self.chars.get(index).map_or(self.source.len(), |c| c.at)
    }

    /// The place of characters `from` to `to`.
    pub(super) fn place(&self, from: usize, to: usize) -> Place {
        Place::new(self.file, self.base + self.offset(from)..self.base + self.offset(to))
    }

    /// The end of the line that begins at `from`: the index of its newline, or the end of the text.
    pub(super) fn end_of_line(&self, from: usize) -> usize {
        (from..self.len()).find(|i| self.at(*i) == Some('\n')).unwrap_or(self.len())
    }

    /// Characters `from` to `to` as they were written.
    pub(super) fn written(&self, from: usize, to: usize) -> &'a str {
        self.source.get(self.offset(from)..self.offset(to)).unwrap_or("")
    }

    /// Characters `from` to `to`, plain.
    pub(super) fn plain(&self, from: usize, to: usize) -> String {
        self.chars.get(from..to.min(self.len())).unwrap_or(&[]).iter().map(|c| c.value).collect()
    }

    /// The tokens of the line at `from`, with the lines that continue it, and where the next begins.
    pub(super) fn line(&self, from: usize) -> (Line, usize) {
        let mut lexer = Lexer { text: self, next: from, line: Line::default() };
        lexer.run();
        let Lexer { next, mut line, .. } = lexer;
        let replaced = self.chars.get(from..next).unwrap_or(&[]).iter().position(|c| c.replaced);
        line.typographic = replaced.map(|i| self.place(from + i, from + i + 1));
        (line, next)
    }
}

struct Lexer<'t, 'a> {
    text: &'t Text<'a>,
    next: usize,
    line: Line,
}

impl Lexer<'_, '_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.text.at(self.next + ahead)
    }

    fn looking_at(&self, word: &str) -> bool {
        word.chars().enumerate().all(|(i, c)| self.peek(i) == Some(c))
    }

    /// The length of a backslash with the newline after it, and the blanks that were pasted between.
    fn continuation(&self) -> Option<usize> {
        if self.peek(0) != Some('\\') {
            return None;
        }
        let mut blanks = 0;
        while matches!(self.peek(blanks + 1), Some(' ' | '\t')) {
            blanks += 1;
        }
        match self.peek(blanks + 1) {
            Some('\n') => Some(blanks + 2),
            None => Some(blanks + 1),
            _ => None,
        }
    }

    fn run(&mut self) {
        while let Some(c) = self.peek(0) {
            if let Some(length) = self.continuation() {
                self.next += length;
            } else if c == '\n' {
                self.next += 1;
                return;
            } else if c.is_whitespace() {
                self.next += 1;
            } else if c == '#' || self.looking_at("//") {
                self.next = self.text.end_of_line(self.next);
            } else if let Some(token) = self.operator() {
                self.line.tokens.push(token);
            } else {
                let word = self.word();
                self.line.tokens.push(Token::Word(word));
            }
        }
    }

    fn operator(&mut self) -> Option<Token> {
        const OPERATORS: [&str; 9] = [";;", "&&", "||", "&>", ";", "|", "&", "(", ")"];
        const REDIRECTS: [&str; 6] = ["<<<", "<<-", "<<", ">>", "<", ">"];
        let digit = self.peek(0).filter(char::is_ascii_digit);
        let shift = usize::from(digit.is_some());
        if matches!(self.peek(shift), Some('<' | '>')) && self.placeholder().is_none() {
            let fd = digit.and_then(|d| d.to_digit(10)).and_then(|d| u8::try_from(d).ok());
            self.next += shift;
            let kind = REDIRECTS.into_iter().find(|r| self.looking_at(r))?;
            self.next += kind.len();
            return Some(Token::Redirect { fd, kind });
        }
        let operator = OPERATORS.into_iter().find(|o| self.looking_at(o))?;
        self.next += operator.len();
        if operator == "&>" {
            return Some(Token::Redirect { fd: Some(2), kind: ">" });
        }
        Some(Token::Operator(operator))
    }

    /// The name of `<VIP>`: a word in angle brackets, as how-tos mark what is to be filled in.
    fn placeholder(&self) -> Option<String> {
        if self.peek(0) != Some('<') {
            return None;
        }
        let name: String = (1..)
            .map_while(|i| self.peek(i))
            .take_while(|c| c.is_alphanumeric() || "_-".contains(*c))
            .collect();
        let end = self.peek(name.chars().count() + 1);
        let good = name.chars().next().is_some_and(|c| c.is_ascii_uppercase() || foreign(c));
        (end == Some('>') && good).then_some(name)
    }

    fn word(&mut self) -> RawWord {
        let start = self.next;
        let mut pieces = Vec::new();
        while let Some(c) = self.peek(0) {
            if c.is_whitespace() || ";|&()".contains(c) || self.continuation().is_some() {
                break;
            }
            if let Some(name) = self.placeholder() {
                self.next += name.chars().count() + 2;
                pieces.push(Piece::Variable { name, default: None, quoted: true });
                continue;
            }
            if "<>".contains(c) {
                break;
            }
            match c {
                '\'' => self.single_quoted(&mut pieces),
                '"' => self.double_quoted(&mut pieces),
                '$' | '`' => self.expansion(&mut pieces, false),
                '\\' => {
                    let next = self.peek(1).unwrap_or('\\');
                    push(&mut pieces, next, true);
                    self.next += 2;
                }
                _ => {
                    push(&mut pieces, c, false);
                    self.next += 1;
                }
            }
        }
        self.next = self.next.min(self.text.len());
        RawWord { pieces, place: self.text.place(start, self.next) }
    }

    fn single_quoted(&mut self, pieces: &mut Vec<Piece>) {
        let start = self.next;
        self.next += 1;
        pieces.push(Piece::Text { text: String::new(), quoted: true });
        while let Some(c) = self.peek(0) {
            self.next += 1;
            if c == '\'' {
                return;
            }
            push(pieces, c, true);
        }
        self.line.unclosed = Some(self.text.place(start, start + 1));
    }

    fn double_quoted(&mut self, pieces: &mut Vec<Piece>) {
        let start = self.next;
        self.next += 1;
        pieces.push(Piece::Text { text: String::new(), quoted: true });
        while let Some(c) = self.peek(0) {
            match c {
                '"' => {
                    self.next += 1;
                    return;
                }
                '$' | '`' => self.expansion(pieces, true),
                '\\' if matches!(self.peek(1), Some('"' | '\\' | '$' | '`')) => {
                    push(pieces, self.peek(1).unwrap_or(c), true);
                    self.next += 2;
                }
                _ => {
                    push(pieces, c, true);
                    self.next += 1;
                }
            }
        }
        self.line.unclosed = Some(self.text.place(start, start + 1));
    }

    /// `$NAME`, `${NAME}`, `$(...)`, backquotes; a dollar before anything else is one.
    fn expansion(&mut self, pieces: &mut Vec<Piece>, quoted: bool) {
        let until = |lexer: &Self, from: usize, end: char| -> String {
            (from..).map_while(|i| lexer.peek(i)).take_while(|c| *c != end && *c != '\n').collect()
        };
        let (piece, length) = match (self.peek(0), self.peek(1)) {
            (Some('`'), _) => {
                let text = until(self, 1, '`');
                let length = text.chars().count() + 2;
                (Piece::Substitution(text), length)
            }
            (_, Some('(')) => {
                let text = until(self, 2, ')');
                let length = text.chars().count() + 3;
                (Piece::Substitution(text), length)
            }
            (_, Some('{')) => {
                let text = until(self, 2, '}');
                let length = text.chars().count() + 3;
                let (name, default) = match text.split_once(":-").or_else(|| text.split_once('-')) {
                    Some((name, default)) => (name.to_owned(), Some(default.to_owned())),
                    None => (text, None),
                };
                (Piece::Variable { name, default, quoted }, length)
            }
            (_, Some(c)) if c.is_ascii_digit() || "?#@*$!".contains(c) => {
                (Piece::Variable { name: c.to_string(), default: None, quoted }, 2)
            }
            _ => {
                let name: String = (1..)
                    .map_while(|i| self.peek(i))
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                let length = name.len() + 1;
                if name.is_empty() {
                    push(pieces, '$', quoted);
                    self.next += 1;
                    return;
                }
                (Piece::Variable { name, default: None, quoted }, length)
            }
        };
        pieces.push(piece);
        self.next += length;
    }
}

fn push(pieces: &mut Vec<Piece>, c: char, as_quoted: bool) {
    if let Some(Piece::Text { text, quoted }) = pieces.last_mut()
        && *quoted == as_quoted
    {
        text.push(c);
        return;
    }
    pieces.push(Piece::Text { text: c.to_string(), quoted: as_quoted });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let text = Text::new(FileId::default(), 0, text);
        let (line, _) = text.line(0);
        line.tokens
            .iter()
            .map(|t| match t {
                Token::Word(w) => w.literal().unwrap_or_else(|| format!("{:?}", w.pieces)),
                Token::Operator(o) => (*o).to_owned(),
                Token::Redirect { kind, .. } => (*kind).to_owned(),
            })
            .collect()
    }

    #[test]
    fn quotes_comments_and_continued_lines_are_those_of_a_shell() {
        assert_eq!(words("a 'b c' \"d\"e # f\n g"), ["a", "b c", "de"]);
        assert_eq!(words("a \\\n b \\  \n c\nd"), ["a", "b", "c"]);
        assert_eq!(
            words("echo 1 >/proc/x;b&&c||d"),
            ["echo", "1", ">", "/proc/x", ";", "b", "&&", "c", "||", "d"]
        );
        assert_eq!(words("ipvsadm -C   //-D clears"), ["ipvsadm", "-C"]);
    }

    #[test]
    fn what_a_blog_did_to_the_characters_is_undone() {
        assert_eq!(
            words("ipvsadm \u{2013}A \u{2013}set-mark 1"),
            ["ipvsadm", "-A", "--set-mark", "1"]
        );
        assert_eq!(
            words("a\u{3000}10.0.0.1\u{ff1a}80 \u{201c}b c\u{201d}"),
            ["a", "10.0.0.1:80", "b c"]
        );
        let text = Text::new(FileId::default(), 5, "x \u{2013}A");
        assert_eq!(text.line(0).0.typographic.map(|p| p.span.start), Some(7));
    }

    #[test]
    fn no_text_makes_the_lexer_fail() {
        for text in
            ["'", "\"", "$", "${", "$(", "`", "\\", "<", "<A", "2>", "\u{ff1a}", "\r", "a\\"]
        {
            let text = Text::new(FileId::default(), 0, text);
            let (_, next) = text.line(0);
            assert_eq!(next, text.len());
        }
    }

    #[test]
    fn a_name_in_angle_brackets_is_a_placeholder_and_no_redirection() {
        let text = Text::new(FileId::default(), 0, "ip addr add <VIP>/32 dev lo");
        let (line, _) = text.line(0);
        assert_eq!(line.tokens.len(), 6);
        let Token::Word(word) = &line.tokens[3] else { unreachable!() };
        assert!(matches!(&word.pieces[0], Piece::Variable { name, .. } if name == "VIP"));
    }
}
