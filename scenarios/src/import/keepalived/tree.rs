//! Words and braces as blocks of keywords.
//!
//! Whatever keepalived ignores is left out of the blocks, and reported as it reports it: an unknown
//! keyword loses its own line only, so that the `{` behind it is unexpected, the lines within are looked
//! up in the block around, and its `}` ends that block (`process_stream` of `lib/parser.c`).

use super::Findings;
use super::grammar::{Arg, Entry, Keyword, Kind, TOP, all};
use super::letters::{Token, Word};
use super::{entries, values};
use crate::diagnostic::{Place, Problem};
use crate::format::words::nearest;
use schedulers::Algorithm;
use sim_core::engine::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// Behind so many problems no word is guessed any more: it takes its time.
const MOST_HINTS: usize = 100;

/// A keyword with its values, or a line of a block without keywords.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// The keyword and what follows it on the line.
    pub words: Vec<Word>,
    /// What its block holds.
    pub inner: Vec<Node>,
    /// The brace that closes its block; the keyword itself if it has none.
    pub end: Place,
}

impl Node {
    /// The keyword.
    pub fn name(&self) -> &str {
        self.words.first().map_or("", |w| w.text.as_str())
    }

    /// A word behind the keyword, the first is 1.
    pub fn word(&self, n: usize) -> Option<&str> {
        self.words.get(n).map(|w| w.text.as_str())
    }

    /// Where the keyword stands.
    pub fn place(&self) -> Place {
        self.words.first().map(|w| w.place.clone()).unwrap_or_default()
    }

    /// The last of its own keywords of a name: what was said last counts.
    pub fn last(&self, name: &str) -> Option<&Self> {
        self.inner.iter().rfind(|n| n.name() == name)
    }

    /// Whether a keyword is there.
    pub fn has(&self, name: &str) -> bool {
        self.last(name).is_some()
    }

    /// The first word behind the last of its own keywords of a name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.last(name)?.word(1)
    }

    /// The number behind a keyword that was found right.
    pub(super) fn number<N: FromStr>(&self, name: &str) -> Option<N> {
        self.text(name)?.trim_start_matches('+').parse().ok()
    }

    /// The time behind a keyword that was found right.
    pub(super) fn time(&self, name: &str) -> Option<Span> {
        let micros = values::millionths(self.text(name)?)?;
        Some(Span::from_nanos(micros.saturating_mul(1000)))
    }

    /// A BOOL that may be left out, where nothing means true; `None` if the keyword is not there.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        Some(self.last(name)?.is_true())
    }

    /// The value of a BOOL that may be left out, where nothing means true.
    pub(super) fn is_true(&self) -> bool {
        self.word(1).is_none_or(|w| values::boolean(w) != Some(false))
    }

    /// It with the last of its own keywords of each name only: what many look into costs little.
    pub(super) fn settings(&self) -> Self {
        let last: BTreeMap<&str, &Self> = self.inner.iter().map(|n| (n.name(), n)).collect();
        let inner = last.into_values().cloned().collect();
        Self { words: self.words.clone(), inner, end: self.end.clone() }
    }

    /// All of its own keywords of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.inner.iter().filter(move |n| n.name() == name)
    }
}

/// Reads blocks.
pub(super) struct Blocks<'a> {
    tokens: &'a [Token],
    at: usize,
    findings: &'a mut Findings,
    /// Names of blocks that must differ: keyword and name.
    names: BTreeSet<(String, String)>,
    /// Blocks that were opened behind unknown keywords and not closed.
    astray: usize,
}

/// How a keyword line goes on.
enum Next {
    Keep(Vec<Node>),
    Leave,
}

impl<'a> Blocks<'a> {
    pub(super) fn read(tokens: &'a [Token], findings: &'a mut Findings) -> Vec<Node> {
        let mut blocks = Self { tokens, at: 0, findings, names: BTreeSet::new(), astray: 0 };
        blocks.block(TOP, None)
    }

    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    /// The content of a block up to its `}`; `None` for `of` is the whole text.
    fn block(&mut self, tables: &[&'static [Keyword]], of: Option<&Word>) -> Vec<Node> {
        let mut nodes = Vec::new();
        if let Some(keyword) = of {
            match self.peek() {
                Some(Token::Open(_)) => self.at += 1,
                Some(_) => {
                    let message = "Missing '{' at beginning of configuration block";
                    let label = format!("expected a block with braces behind `{}`", keyword.text);
                    self.findings.error(&keyword.place, message, label);
                }
                None => {}
            }
        }
        while let Some(token) = self.peek() {
            self.at += 1;
            match token {
                Token::Open(place) => self.unexpected(place),
                Token::Close(_) if of.is_some() => return nodes,
                Token::Close(place) => {
                    let problem =
                        Problem::new(place, "Unknown keyword '}'", "no block is open here");
                    self.report(problem);
                    self.astray = self.astray.saturating_sub(1);
                }
                Token::Words(words) => self.keyword(tables, of, words, &mut nodes),
            }
        }
        if let Some(keyword) = of {
            let message = format!("Missing '}}' for the block of {}", keyword.text);
            self.findings.error(&keyword.place, message, "this block is not closed");
        }
        nodes
    }

    fn unexpected(&mut self, place: &Place) {
        let problem = Problem::new(place, "Unexpected '{' - ignoring", "no block can start here");
        self.report(problem);
        self.astray += 1;
    }

    /// Reports a problem, as a consequence if a block has gone astray before.
    fn report(&mut self, problem: Problem) {
        if self.astray > 0 {
            self.findings.consequences.push(problem);
        } else {
            self.findings.problems.push(problem);
        }
    }

    fn keyword(
        &mut self,
        tables: &[&'static [Keyword]],
        of: Option<&Word>,
        words: &[Word],
        nodes: &mut Vec<Node>,
    ) {
        let word = &words[0];
        let Some(keyword) = tables.iter().copied().flatten().find(|k| k.name == word.text) else {
            let hint = self.astray == 0 && self.findings.problems.len() < MOST_HINTS;
            self.report(unknown(tables, of, word, hint));
            if let Some(Token::Open(place)) = self.peek() {
                self.at += 1;
                let problem =
                    Problem::new(place, "Unexpected '{' - ignoring", "of the unknown keyword");
                self.findings.consequences.push(problem);
                self.astray += 1;
            }
            return;
        };
        if !keyword.note.is_empty() {
            self.findings.error(&word.place, keyword.note, "it still works");
        }
        if let Next::Keep(inner) = self.rest(keyword.kind, words) {
            let last = self.at.checked_sub(1).and_then(|n| self.tokens.get(n));
            let end = match last {
                Some(Token::Close(place)) if !matches!(keyword.kind, Kind::Line(_)) => {
                    place.clone()
                }
                _ => word.place.clone(),
            };
            nodes.push(Node { words: words.to_vec(), inner, end });
        }
    }

    /// Reads what follows a keyword; tells whether it counts.
    fn rest(&mut self, kind: Kind, words: &[Word]) -> Next {
        match kind {
            Kind::Line(arg) => match values::check(arg, words) {
                Ok(()) => Next::Keep(Vec::new()),
                Err(problem) => {
                    self.findings.problems.push(problem);
                    Next::Leave
                }
            },
            Kind::Lines(entry) => Next::Keep(self.lines(entry, words)),
            Kind::Block(arg, inner) => {
                let wrong =
                    values::check(arg, words).err().or_else(|| self.named_before(arg, words));
                if let Some(problem) = wrong {
                    self.findings.problems.push(problem);
                    self.skip();
                    return Next::Leave;
                }
                Next::Keep(self.block(inner, Some(&words[0])))
            }
        }
    }

    /// A block whose name another block has.
    fn named_before(&mut self, arg: Arg, words: &[Word]) -> Option<Problem> {
        let Arg::NewName(message) = arg else { return None };
        let key = (words[0].text.clone(), words.get(1)?.text.clone());
        if self.names.contains(&key) {
            let message = message.replace("{}", &key.1);
            return Some(Problem::new(&words[1].place, message, "the first one counts"));
        }
        self.names.insert(key);
        None
    }

    /// Passes over a block with all that is in it.
    fn skip(&mut self) {
        let mut depth = 0_usize;
        while let Some(token) = self.peek() {
            match token {
                Token::Open(_) => depth += 1,
                Token::Close(_) => depth = depth.saturating_sub(1),
                Token::Words(_) if depth == 0 => return,
                Token::Words(_) => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    /// The lines of a block without keywords, up to its `}`.
    fn lines(&mut self, entry: Entry, words: &[Word]) -> Vec<Node> {
        let keyword = &words[0];
        if entry != Entry::Group && words.len() > 1 {
            let extra: Vec<&str> = words[1..].iter().map(|w| w.text.as_str()).collect();
            let message =
                format!("Block {} has extra parameters {}", keyword.text, extra.join(" "));
            self.findings.error(
                &words[1].place,
                message,
                "the entries stand in a block with braces",
            );
        }
        match self.peek() {
            Some(Token::Open(_)) => self.at += 1,
            _ if words.len() > 1 && entry != Entry::Group => {}
            _ => {
                let message = "Missing '{' at beginning of configuration block";
                self.findings.error(&keyword.place, message, "expected a block with braces");
            }
        }
        let mut nodes = Vec::new();
        while let Some(token) = self.peek() {
            self.at += 1;
            match token {
                Token::Close(_) => return nodes,
                Token::Open(place) => {
                    let message = format!("'{{' is no entry of {}", keyword.text);
                    self.findings.error(place, message, "no block can start here");
                }
                Token::Words(words) => {
                    let mut problems = entries::check(entry, words);
                    let good = problems.is_empty() || entry == Entry::Rule || entry == Entry::Route;
                    self.findings.problems.append(&mut problems);
                    if good {
                        let end = words[0].place.clone();
                        nodes.push(Node { words: words.clone(), inner: Vec::new(), end });
                    }
                }
            }
        }
        let message = format!("Missing '}}' for the block of {}", keyword.text);
        self.findings.error(&keyword.place, message, "this block is not closed");
        nodes
    }
}

/// A keyword and its value without a blank between them: `lb_algorr`.
fn joined(
    word: &str,
    mut keywords: impl Iterator<Item = &'static str>,
) -> Option<(&'static str, &str)> {
    let value = |keyword: &str| {
        let value = word.strip_prefix(keyword)?;
        let known = match keyword {
            "lb_algo" | "lvs_sched" => Algorithm::ALL.iter().any(|a| a.name() == value),
            "lb_kind" | "lvs_method" => matches!(value, "NAT" | "DR" | "TUN"),
            _ => false,
        };
        known.then_some(value)
    };
    keywords.find_map(|k| value(k).map(|v| (k, v)))
}

fn unknown(tables: &[&'static [Keyword]], of: Option<&Word>, word: &Word, hint: bool) -> Problem {
    let here = tables.iter().copied().flatten().map(|k| k.name);
    let block = of.map_or("outside blocks".to_owned(), |o| format!("in `{}`", o.text));
    let label = format!("no keyword {block}, the line is ignored");
    let problem = Problem::new(&word.place, format!("Unknown keyword '{}'", word.text), label);
    if !hint {
        return problem;
    }
    if word.text == "nb_get_retry" {
        return problem
            .help("`retry` is meant: `nb_get_retry` is known in HTTP_GET and SSL_GET only");
    }
    if let Some((keyword, value)) = joined(&word.text, here.clone()) {
        return problem.help(format!("did you mean `{keyword} {value}`?"));
    }
    if let Some(near) = nearest(&word.text, here) {
        return problem.help(format!("did you mean `{near}`?"));
    }
    let everywhere = all();
    if everywhere.binary_search(&word.text.as_str()).is_ok() {
        return problem.help("it is a keyword of another block");
    }
    match nearest(&word.text, everywhere) {
        Some(near) => problem.help(format!("`{near}` is a keyword of another block")),
        None => problem,
    }
}
