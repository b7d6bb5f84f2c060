//! A line as words, and words as options.

use super::options::{Argument, FULL_NAT, OPTIONS, Opt, by_long, by_short};
use crate::diagnostic::{FileId, Place, Problem};
use crate::format::words::{list, nearest};

/// A word with its place.
pub(super) type Word<'a> = (&'a str, Place);

/// A given option.
#[derive(Clone, Debug)]
pub(super) struct Given<'a> {
    pub(super) opt: &'static Opt,
    pub(super) place: Place,
    /// Its argument with its place.
    pub(super) argument: Option<Word<'a>>,
}

/// Splits a line at blanks and drops the name of the program, wherever it stands.
pub(super) fn words(file: FileId, base: usize, raw: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = raw;
    let mut at = base;
    while let Some(skip) = rest.find(|c: char| !c.is_ascii_whitespace()) {
        let tail = &rest[skip..];
        let len = tail.find(|c: char| c.is_ascii_whitespace()).unwrap_or(tail.len());
        at += skip;
        let word = &tail[..len];
        if !is_program(word) {
            words.push((word, Place::new(file, at..at + len)));
        }
        at += len;
        rest = &tail[len..];
    }
    words
}

/// `ipvsadm`, `/sbin/ipvsadm`.
pub(super) fn is_program(word: &str) -> bool {
    word.rsplit('/').next() == Some("ipvsadm")
}

/// What stands on a line.
#[derive(Debug, Default)]
pub(super) struct Parsed<'a> {
    pub(super) options: Vec<Given<'a>>,
    /// Words that are no option and belong to none.
    pub(super) rest: Vec<Word<'a>>,
    pub(super) problems: Vec<Problem>,
}

/// Tells options from other words.
pub(super) fn options<'a>(words: &[Word<'a>]) -> Parsed<'a> {
    let mut reader = Reader { words, next: 0, parsed: Parsed::default() };
    while let Some((word, place)) = words.get(reader.next) {
        reader.next += 1;
        if *word == "--" {
            reader.parsed.rest.extend(words[reader.next..].iter().cloned());
            break;
        } else if let Some(long) = word.strip_prefix("--") {
            reader.long(word, long, place);
        } else if word.len() > 1 && word.starts_with('-') {
            reader.short(word, place);
        } else {
            reader.parsed.rest.push((*word, place.clone()));
        }
    }
    reader.parsed
}

struct Reader<'a, 'w> {
    words: &'w [Word<'a>],
    next: usize,
    parsed: Parsed<'a>,
}

impl<'a> Reader<'a, '_> {
    /// `--long`, `--long=value`, or the beginning of a long name that no other one has.
    fn long(&mut self, word: &str, long: &'a str, place: &Place) {
        let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v)));
        let [opt] = by_long(name)[..] else {
            self.parsed.problems.push(unknown(word, name, place));
            // what follows is most likely its argument
            let next = self.words.get(self.next);
            self.next += usize::from(value.is_none() && next.is_some_and(|w| !is_option(w)));
            return;
        };
        let offset = place.span.start + 3 + name.len();
        let inline = value.map(|v| (v, Place::new(place.file, offset..place.span.end)));
        if opt.argument == Argument::None
            && let Some((value, place)) = &inline
        {
            let message = format!("{word}: the option takes no value");
            let label = format!("nothing was expected instead of `{value}`");
            self.parsed.problems.push(Problem::new(place, message, label));
        }
        self.give(opt, inline, place, word);
    }

    /// Options combined in one word: `-Ln`; an argument may follow at once: `-w5`, `-w=5`.
    fn short(&mut self, word: &'a str, place: &Place) {
        for (n, c) in word.char_indices().skip(1) {
            let start = place.span.start + n;
            let here = Place::new(place.file, start..start + c.len_utf8());
            let full_nat = c == 'b' && self.words.iter().any(is_of_servers);
            let known = if full_nat { by_long(FULL_NAT).pop() } else { by_short(c) };
            let Some(opt) = known else {
                let shown = if word.len() == 2 { word.to_owned() } else { format!("-{c}") };
                self.parsed.problems.push(unknown(&shown, "", &here));
                return;
            };
            let after = n + c.len_utf8();
            if opt.argument == Argument::None || after == word.len() {
                let whole = if n == 1 && after == word.len() { place } else { &here };
                self.give(opt, None, whole, word);
                continue;
            }
            let equals = usize::from(word[after..].starts_with('='));
            let from = after + equals;
            let inline = Place::new(place.file, place.span.start + from..place.span.end);
            self.give(opt, Some((&word[from..], inline)), &here, word);
            return;
        }
    }

    fn give(&mut self, opt: &'static Opt, inline: Option<Word<'a>>, place: &Place, word: &str) {
        let argument = match opt.argument {
            Argument::None => None,
            _ if inline.is_some() => inline,
            kind => {
                let next = self.words.get(self.next);
                let next = next.filter(|w| kind == Argument::Word || !is_option(w));
                self.next += usize::from(next.is_some());
                if next.is_none() && kind == Argument::Word {
                    let message = format!("{word}: missing argument");
                    let problem = Problem::new(place, message, "expected a word after it");
                    self.parsed.problems.push(problem);
                }
                next.cloned()
            }
        };
        self.parsed.options.push(Given { opt, place: place.clone(), argument });
    }
}

fn is_option(word: &Word<'_>) -> bool {
    word.0.starts_with('-')
}

/// Whether a word is a command about a real server: `-a`, `--edit-server`.
fn is_of_servers((word, _): &Word<'_>) -> bool {
    ["-a", "-e", "--add-serve", "--edit-serve"].iter().any(|c| word.starts_with(c))
}

/// The problem of an option that is none, or the beginning of several.
pub(super) fn unknown(word: &str, name: &str, place: &Place) -> Problem {
    let several = by_long(name);
    if !several.is_empty() {
        let label = format!("can be {}", list(several.iter().map(|o| format!("--{}", o.long))));
        return Problem::new(place, format!("{word}: ambiguous option"), label);
    }
    let problem =
        Problem::new(place, format!("{word}: unknown option"), "not an option of ipvsadm");
    match nearest(name, OPTIONS.iter().map(|o| o.long)) {
        Some(near) if name.len() > 1 => problem.help(format!("did you mean `--{near}`?")),
        _ => problem,
    }
}
