//! What stands for something else in a word: variables, placeholders, braces, a few substitutions.

use super::action::Word;
use super::lexer::{Piece, RawWord, Text, Token};
use super::shell::Shell;
use crate::diagnostic::{At, Problem};

impl Shell<'_, '_> {
    /// A line with the placeholders of the scenario filled in.
    pub(super) fn fill_in(&self, line: &Word) -> Word {
        At::new(self.placeholders(&line.value), line.place.clone())
    }

    /// A line of a here-document: variables are filled in too.
    pub(super) fn fill_line(&mut self, line: &Word) -> Word {
        if !line.value.contains(['$', '`']) {
            return self.fill_in(line);
        }
        let quoted = format!("\"{}\"", line.value.replace('\\', "\\\\").replace('"', "\\\""));
        let (tokens, _) = Text::new(line.place.file, line.place.span.start, &quoted).line(0);
        let Some(Token::Word(mut word)) = tokens.tokens.into_iter().next() else {
            return line.clone();
        };
        word.place = line.place.clone();
        At::new(self.text_of(&word).unwrap_or_else(|| line.value.clone()), line.place.clone())
    }

    fn placeholders(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in self.context.variables {
            text = replace_name(&text, name, value);
        }
        text
    }

    /// The words after variables, placeholders and braces are expanded.
    pub(super) fn expand_all(&mut self, words: &[RawWord]) -> Option<Vec<Word>> {
        let mut all = Vec::with_capacity(words.len());
        let mut good = true;
        for word in words {
            if let Some(parts) = word.plain().and_then(braces) {
                all.extend(
                    parts.into_iter().map(|p| At::new(self.placeholders(&p), word.place.clone())),
                );
                continue;
            }
            match self.pieces(word) {
                Some(parts) => {
                    all.extend(parts.into_iter().map(|p| At::new(p, word.place.clone())));
                }
                None => good = false,
            }
        }
        good.then_some(all)
    }

    /// A word as one text.
    pub(super) fn text_of(&mut self, word: &RawWord) -> Option<String> {
        self.pieces(word).map(|parts| parts.join(" "))
    }

    fn pieces(&mut self, word: &RawWord) -> Option<Vec<String>> {
        let mut parts: Vec<String> = vec![String::new()];
        let mut kept = false;
        for piece in &word.pieces {
            match piece {
                Piece::Text { text, quoted } => {
                    kept |= *quoted;
                    let text = self.placeholders(text);
                    parts.last_mut()?.push_str(&text);
                }
                Piece::Variable { name, default, quoted } => {
                    let value = self.variables.get(name).cloned().or_else(|| default.clone());
                    // a script is called with one word
                    let positional = name.bytes().all(|b| b.is_ascii_digit());
                    let value = value.or_else(|| positional.then(String::new));
                    let Some(value) = value else {
                        let message = format!("`{name}` has no value");
                        let key =
                            if name.is_ascii() { name.clone() } else { format!("\"{name}\"") };
                        let problem =
                            Problem::new(&word.place, message, "used here").help(format!(
                                "set it before, or in the scenario: [variables] {key} = \"...\""
                            ));
                        self.problem(problem);
                        return None;
                    };
                    add(&mut parts, &value, *quoted);
                    kept |= *quoted;
                }
                Piece::Substitution(command) => {
                    let Some(value) = sequence(command) else {
                        let message = "the output of a command is not known here";
                        self.problem(Problem::new(&word.place, message, "write what it prints"));
                        return None;
                    };
                    add(&mut parts, &value, false);
                }
            }
        }
        if parts == [""] && !kept {
            parts.clear();
        }
        Some(parts)
    }
}

fn add(parts: &mut Vec<String>, value: &str, quoted: bool) {
    if quoted {
        if let Some(last) = parts.last_mut() {
            last.push_str(value);
        }
        return;
    }
    for (i, part) in value.split_whitespace().enumerate() {
        match parts.last_mut() {
            Some(last) if i == 0 => last.push_str(part),
            _ => parts.push(part.to_owned()),
        }
    }
}

/// `NAME=VALUE`.
pub(super) fn assignment(word: &RawWord) -> Option<(String, RawWord)> {
    let Some(Piece::Text { text, quoted: false }) = word.pieces.first() else { return None };
    let (name, value) = text.split_once('=')?;
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !good {
        return None;
    }
    let mut rest = word.clone();
    rest.pieces[0] = Piece::Text { text: value.to_owned(), quoted: false };
    Some((name.to_owned(), rest))
}

/// Puts `value` for `name` wherever it is not a part of a longer name.
fn replace_name(text: &str, name: &str, value: &str) -> String {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let (first, last) = (edge(name.chars().next()), edge(name.chars().next_back()));
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name).filter(|_| !name.is_empty()) {
        let before = rest[..at].chars().next_back().or_else(|| out.chars().next_back());
        let after = rest[at + name.len()..].chars().next();
        let whole = !(first && part(before) || last && part(after));
        out.push_str(&rest[..at]);
        out.push_str(if whole { value } else { name });
        rest = &rest[at + name.len()..];
    }
    out.push_str(rest);
    out
}

/// `{1..3}` and `{a,b}` in a word.
fn braces(text: &str) -> Option<Vec<String>> {
    let open = text.find('{')?;
    let close = open + text[open..].find('}')?;
    let (head, inside, tail) = (&text[..open], &text[open + 1..close], &text[close + 1..]);
    let parts: Vec<String> = if let Some((from, to)) = inside.split_once("..") {
        let (from, to) = (from.parse::<u32>().ok()?, to.parse::<u32>().ok()?);
        if to.checked_sub(from)? > 4096 {
            return None;
        }
        (from..=to).map(|n| n.to_string()).collect()
    } else if inside.contains(',') {
        inside.split(',').map(str::to_owned).collect()
    } else {
        return None;
    };
    Some(parts.into_iter().map(|p| format!("{head}{p}{tail}")).collect())
}

/// What `seq A B` prints.
fn sequence(command: &str) -> Option<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let (from, to) = match &words[..] {
        ["seq", to] => (1, to.parse::<u32>().ok()?),
        ["seq", from, to] => (from.parse().ok()?, to.parse().ok()?),
        ["id", "-u"] => return Some("0".to_owned()),
        _ => return None,
    };
    if to.checked_sub(from)? > 4096 {
        return None;
    }
    Some((from..=to).map(|n| n.to_string()).collect::<Vec<_>>().join(" "))
}

/// Whether a pattern of `case` fits.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, "")) => text.starts_with(head),
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len()).any(|i| tail.get(i..).is_some_and(|t| glob(rest, t)))
        }),
    }
}
