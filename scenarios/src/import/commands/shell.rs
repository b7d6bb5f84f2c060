//! The part of a shell that set-up scripts use: variables, loops, `case`, `if`, files.

use super::action::{Action, Command, Word};
use super::expansion::{assignment, glob};
use super::lexer::{RawWord, Text, foreign};
use super::statements::{self, Statement};
use super::words::whole;
use super::{Context, Findings, dispatch};
use crate::diagnostic::{At, FileId, Place, Problem};
use std::collections::BTreeMap;

/// Most commands that loops may run.
const MOST: usize = 20_000;
/// Most scripts that call one another.
const DEEPEST: usize = 8;

/// A file that the script wrote.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    pub(super) lines: Vec<Word>,
    /// What it says was done.
    pub(super) applied: bool,
}

/// What a command is given besides its words.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Lines of standard input.
    pub(super) input: Option<Vec<Word>>,
    /// Files that the output goes to; `true` to append.
    pub(super) outputs: Vec<(Word, bool)>,
    /// Lines that an editor was given.
    pub(super) content: Vec<Word>,
    /// The output goes into a pipe.
    pub(super) piped: bool,
}

/// State while a script runs.
pub(super) struct Shell<'c, 'f> {
    pub(super) context: &'c mut Context<'f>,
    pub(super) findings: &'c mut Findings,
    pub(super) commands: Vec<Command>,
    pub(super) files: BTreeMap<String, Written>,
    pub(super) folder: String,
    pub(super) variables: BTreeMap<String, String>,
    run: usize,
    depth: usize,
    /// The last command failed, as far as that can be told.
    failed: bool,
}

/// Whether the script goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Exit,
}

impl<'c, 'f> Shell<'c, 'f> {
    pub(super) fn new(context: &'c mut Context<'f>, findings: &'c mut Findings) -> Self {
        let mut variables: BTreeMap<String, String> = context.variables.iter().cloned().collect();
        for (name, value) in [
            ("1", "start"),
            ("@", "start"),
            ("*", "start"),
            ("#", "1"),
            ("?", "0"),
            ("0", "setup"),
            ("HOME", "/root"),
            ("UID", "0"),
            ("EUID", "0"),
        ] {
            variables.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
        Self {
            context,
            findings,
            commands: Vec::new(),
            files: BTreeMap::new(),
            folder: "/root".to_owned(),
            variables,
            run: 0,
            depth: 0,
            failed: false,
        }
    }

    /// Runs a text.
    pub(super) fn script(&mut self, file: FileId, base: usize, text: &str) {
        if self.depth >= DEEPEST {
            let place = Place::new(file, base..base);
            self.problem(Problem::new(&place, "scripts call one another without end", "here"));
            return;
        }
        self.depth += 1;
        let statements = statements::split(Text::new(file, base, text), self.findings);
        self.block(&statements, 0);
        self.depth -= 1;
    }

    pub(super) fn problem(&mut self, problem: Problem) {
        self.findings.problems.push(problem);
    }

    pub(super) fn act(&mut self, actions: impl IntoIterator<Item = Action>, place: &Place) {
        let commands = actions.into_iter().map(|action| Command { action, place: place.clone() });
        self.commands.extend(commands);
    }

    /// The path of a file as the script names it.
    pub(super) fn path(&self, name: &str) -> String {
        if name.starts_with('/') { name.to_owned() } else { format!("{}/{name}", self.folder) }
    }

    fn block(&mut self, all: &[Statement], level: usize) -> Flow {
        let mut next = 0;
        let mut input = None;
        while let Some(statement) = all.get(next) {
            self.run += 1;
            if self.run > MOST {
                if self.run == MOST + 1 {
                    let message = format!("the script runs more than {MOST} commands");
                    self.problem(Problem::new(&statement.place, message, "stopped here"));
                }
                return Flow::Exit;
            }
            let keyword = statement.keyword();
            let (flow, after) = match keyword {
                "for" => self.for_loop(all, next, level),
                "if" => self.condition(all, next, level),
                "case" => self.case(all, next, level),
                "while" | "until" | "select" | "function" => {
                    let message = format!("`{keyword}` is not read in a set-up script");
                    self.problem(Problem::new(&statement.place, message, "write the commands out"));
                    let end = closing(all, next, "done").filter(|_| keyword != "function");
                    (Flow::On, end.map_or(next + 1, |e| e + 1))
                }
                "do" | "then" | "{" | "}" | "!" | "time" => (Flow::On, next + 1),
                "exit" | "return" if level > 0 => (Flow::Exit, next + 1),
                _ if statement.end == "("
                    && all.get(next + 1).is_some_and(|s| s.keyword() == "{") =>
                {
                    let message = "functions are not read in a set-up script";
                    self.problem(Problem::new(&statement.place, message, "write the commands out"));
                    (Flow::On, next + 1)
                }
                _ => {
                    input = self.simple(statement, input.take());
                    (Flow::On, next + 1 + self.skipped(all, next))
                }
            };
            if flow == Flow::Exit {
                return flow;
            }
            next = after;
        }
        Flow::On
    }

    /// How many statements after this one do not run because of `&&` and `||`.
    fn skipped(&self, all: &[Statement], at: usize) -> usize {
        let mut count = 0;
        while let Some(statement) = all.get(at + count) {
            let skip = match statement.end {
                "&&" => self.failed,
                "||" => !self.failed,
                _ => false,
            };
            if !skip || at + count + 1 >= all.len() {
                break;
            }
            count += 1;
            // the rest of a pipe belongs to the command
            while all.get(at + count).is_some_and(|s| s.end == "|") {
                count += 1;
            }
        }
        count
    }

    fn for_loop(&mut self, all: &[Statement], at: usize, level: usize) -> (Flow, usize) {
        let head = &all[at];
        let name = head.words.get(1).and_then(RawWord::plain).map(str::to_owned);
        let is_in = head.words.get(2).and_then(RawWord::plain) == Some("in");
        let Some(end) = closing(all, at, "done") else {
            self.problem(Problem::new(&head.place, "`for` without `done`", "it begins here"));
            return (Flow::On, all.len());
        };
        let (Some(name), true) = (name, is_in) else {
            self.problem(Problem::new(
                &head.place,
                "this loop is not read",
                "expected `for X in A B C; do`",
            ));
            return (Flow::On, end + 1);
        };
        let Some(values) = self.expand_all(&head.words[3..]) else { return (Flow::On, end + 1) };
        for value in values {
            self.variables.insert(name.clone(), value.value);
            if self.block(&all[at + 1..end], level + 1) == Flow::Exit {
                return (Flow::Exit, end + 1);
            }
        }
        (Flow::On, end + 1)
    }

    fn condition(&mut self, all: &[Statement], at: usize, level: usize) -> (Flow, usize) {
        let Some(end) = closing(all, at, "fi") else {
            self.problem(Problem::new(&all[at].place, "`if` without `fi`", "it begins here"));
            return (Flow::On, all.len());
        };
        let marks = marks(all, at, end);
        let mut head = at;
        loop {
            let after = marks.iter().copied().find(|m| *m > head).unwrap_or(end);
            let body = (head + 1..after).find(|i| all[*i].keyword() == "then");
            let holds = match (all[head].keyword(), body) {
                ("else", _) => Some(true),
                (_, Some(then)) if then == head + 1 => self.test(&all[head].words[1..]),
                _ => None,
            };
            match holds {
                Some(true) => {
                    let from = body.unwrap_or(head) + 1;
                    return (self.block(&all[from..after], level + 1), end + 1);
                }
                Some(false) if after < end => head = after,
                Some(false) => return (Flow::On, end + 1),
                None => {
                    let message = "it cannot be told whether this condition holds";
                    let label = "write the commands that are to run without it";
                    self.problem(Problem::new(&all[head].place, message, label));
                    return (Flow::On, end + 1);
                }
            }
        }
    }

    /// Whether a condition holds, if that can be told from the script alone.
    pub(super) fn test(&mut self, words: &[RawWord]) -> Option<bool> {
        let words: Vec<RawWord> = words
            .iter()
            .filter(|w| !matches!(w.plain(), Some("[" | "]" | "[[" | "]]" | "test")))
            .cloned()
            .collect();
        let texts: Vec<String> = words.iter().map(|w| self.text_of(w)).collect::<Option<_>>()?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        match &texts[..] {
            ["!", rest @ ..] => self.test(&words[1..]).filter(|_| !rest.is_empty()).map(|h| !h),
            ["true" | ":"] | ["-d", _] => Some(true),
            ["false"] => Some(false),
            ["-z", text] => Some(text.is_empty()),
            ["-n", text] => Some(!text.is_empty()),
            ["-x" | "-f" | "-e" | "-r" | "-s", path] => {
                let known = super::programs::kind(path).is_some()
                    || self.files.contains_key(&self.path(path));
                known.then_some(true)
            }
            [a, "=" | "==", b] => Some(a == b),
            [a, "!=", b] => Some(a != b),
            [a, operator, b] => {
                let (a, b) = (a.parse::<i64>().ok()?, b.parse::<i64>().ok()?);
                Some(match *operator {
                    "-eq" => a == b,
                    "-ne" => a != b,
                    "-lt" => a < b,
                    "-le" => a <= b,
                    "-gt" => a > b,
                    "-ge" => a >= b,
                    _ => return None,
                })
            }
            _ => None,
        }
    }

    fn case(&mut self, all: &[Statement], at: usize, level: usize) -> (Flow, usize) {
        let Some(end) = closing(all, at, "esac") else {
            self.problem(Problem::new(&all[at].place, "`case` without `esac`", "it begins here"));
            return (Flow::On, all.len());
        };
        let head = &all[at];
        let Some(value) = head.words.get(1).and_then(|w| self.text_of(w)) else {
            self.problem(Problem::new(
                &head.place,
                "`case` of an unknown value",
                "it needs a value",
            ));
            return (Flow::On, end + 1);
        };
        // `case $1 in start)` on one line
        let first = head.words.get(3).and_then(RawWord::literal);
        let mut matched = first.is_some_and(|p| head.end == ")" && glob(&p, &value));
        let mut next = at + 1;
        let mut in_patterns = head.words.len() <= 3;
        while next < end {
            let statement = &all[next];
            if in_patterns {
                let pattern =
                    statement.words.first().and_then(RawWord::literal).unwrap_or_default();
                matched |= glob(&pattern, &value);
                in_patterns = statement.end != ")";
                next += 1;
                continue;
            }
            let stop = branch_end(all, next, end);
            if matched {
                return (self.block(&all[next..stop], level + 1), end + 1);
            }
            next = stop.max(next + 1);
            in_patterns = true;
        }
        (Flow::On, end + 1)
    }

    /// Runs one command; what it prints into a pipe is returned.
    fn simple(&mut self, statement: &Statement, piped: Option<Vec<Word>>) -> Option<Vec<Word>> {
        let mut words = &statement.words[..];
        while let Some((name, value)) = words.first().and_then(assignment) {
            if let Some(text) = self.text_of(&value) {
                self.variables.insert(name, text);
            }
            words = &words[1..];
        }
        let first = words.first().and_then(RawWord::plain).unwrap_or("");
        if ["export", "readonly", "local", "declare"].contains(&first) {
            for (name, value) in words[1..].iter().filter_map(assignment) {
                if let Some(text) = self.text_of(&value) {
                    self.variables.insert(name, text);
                }
            }
            return None;
        }
        if ["[", "[[", "test"].contains(&first) {
            if let Some(holds) = self.test(words) {
                self.failed = !holds;
            } else {
                let message = "it cannot be told whether this condition holds";
                self.problem(Problem::new(
                    &statement.place,
                    message,
                    "write the commands that are to run without it",
                ));
            }
            return None;
        }
        self.failed = first == "false";
        let prints =
            statement.redirects.iter().any(|r| r.kind.starts_with('>')) || statement.end == "|";
        if words.is_empty() || ["echo", "printf"].contains(&first) && !prints {
            return None;
        }
        let mut words = self.expand_all(words)?;
        self.cut_prose(&mut words);
        let streams = self.streams(statement, piped)?;
        dispatch::run(self, &words, streams)
    }

    /// Words behind a command in a script that no command is written in are a note.
    fn cut_prose(&mut self, words: &mut Vec<Word>) {
        let note = (1..words.len()).find(|i| {
            words[*i].value.chars().next().is_some_and(foreign)
                && !words[*i - 1].value.starts_with('-')
        });
        if let Some(note) = note {
            let place = whole(&words[note..]);
            self.findings.remark(&place, "words behind the command, passed over");
            words.truncate(note);
        }
    }

    fn streams(&mut self, statement: &Statement, piped: Option<Vec<Word>>) -> Option<Streams> {
        let content = statement.content.iter().map(|l| self.fill_in(l)).collect();
        let mut streams =
            Streams { input: piped, content, piped: statement.end == "|", ..Streams::default() };
        for redirect in &statement.redirects {
            if let Some((lines, filled)) = &redirect.here {
                let lines =
                    lines.iter().map(|l| if *filled { self.fill_line(l) } else { self.fill_in(l) });
                streams.input = Some(lines.collect());
                continue;
            }
            let Some(target) =
                self.expand_all(core::slice::from_ref(&redirect.target))?.into_iter().next()
            else {
                continue;
            };
            match redirect.kind {
                "<<<" => streams.input = Some(vec![target]),
                "<" => streams.input = Some(self.read_file(&target)?),
                _ if redirect.fd == Some(2) || target.value == "/dev/null" => {}
                kind => streams.outputs.push((target, kind == ">>")),
            }
        }
        Some(streams)
    }

    /// The lines of a file: one that the script wrote, or one beside the scenario.
    pub(super) fn read_file(&mut self, name: &Word) -> Option<Vec<Word>> {
        if let Some(written) = self.files.get_mut(&if name.value.starts_with('/') {
            name.value.clone()
        } else {
            format!("{}/{}", self.folder, name.value)
        }) {
            written.applied = true;
            return Some(written.lines.clone());
        }
        let Some((file, text)) = (self.context.open)(&name.value) else {
            let message = format!("{}: No such file or directory", name.value);
            let label = "neither written by a command before nor beside the scenario";
            self.problem(Problem::new(&name.place, message, label));
            return None;
        };
        let mut start = 0;
        let mut lines = Vec::new();
        for line in text.split_inclusive('\n') {
            let body = line.trim_end_matches(['\n', '\r']);
            lines.push(At::new(body.to_owned(), Place::new(file, start..start + body.len())));
            start += line.len();
        }
        Some(lines.iter().map(|l| self.fill_in(l)).collect())
    }

    /// A whole script beside the scenario.
    pub(super) fn source(&mut self, name: &Word) {
        if let Some((file, text)) = (self.context.open)(&name.value) {
            self.script(file, 0, &text);
        } else {
            let message =
                format!("the script `{}` is not beside the scenario: passed over", name.value);
            self.findings.remark(&name.place, message);
        }
    }
}

/// The keyword that opens what `end` closes.
fn opens(keyword: &str, end: &str) -> bool {
    match end {
        "done" => ["for", "while", "until", "select"].contains(&keyword),
        "fi" => keyword == "if",
        _ => keyword == "case",
    }
}

/// The index of the statement that closes the one at `at`.
fn closing(all: &[Statement], at: usize, end: &str) -> Option<usize> {
    let mut depth = 0;
    for (index, statement) in all.iter().enumerate().skip(at) {
        if opens(statement.keyword(), end) {
            depth += 1;
        } else if statement.keyword() == end {
            depth -= 1;
            if depth == 0 {
                return Some(index);
            }
        }
    }
    None
}

/// The `elif` and `else` of the `if` at `at`, and its `fi`.
fn marks(all: &[Statement], at: usize, end: usize) -> Vec<usize> {
    let mut depth = 0;
    let mut marks = Vec::new();
    for (index, statement) in all.iter().enumerate().take(end + 1).skip(at) {
        match statement.keyword() {
            "if" => depth += 1,
            "fi" => depth -= 1,
            "elif" | "else" if depth == 1 => marks.push(index),
            _ => {}
        }
    }
    marks.push(end);
    marks
}

/// Where the branch of a `case` that begins at `from` ends.
fn branch_end(all: &[Statement], from: usize, end: usize) -> usize {
    let mut depth = 0;
    for (index, statement) in all.iter().enumerate().take(end).skip(from) {
        match statement.keyword() {
            "case" => depth += 1,
            "esac" => depth -= 1,
            _ => {}
        }
        if statement.end == ";;" && depth == 0 {
            return index + 1;
        }
    }
    end
}
