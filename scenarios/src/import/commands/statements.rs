//! From a text to its commands: lines, here-documents, prompts, files that an editor was opened for,
//! pasted output, prose.

use super::lexer::{Line, RawWord, Text, Token, foreign};
use super::programs::{self, Kind};
use super::{Findings, ifcfg};
use crate::diagnostic::{At, Place, Problem};
use crate::format::words::nearest;

/// Where the output or input of a command goes.
#[derive(Clone, Debug)]
pub(super) struct Redirect {
    /// `<` `>` `>>` `<<` `<<<`.
    pub(super) kind: &'static str,
    pub(super) fd: Option<u8>,
    pub(super) target: RawWord,
    /// Lines of a here-document, and whether variables in it are filled in.
    pub(super) here: Option<(Vec<At<String>>, bool)>,
}

/// A simple command.
#[derive(Clone, Debug, Default)]
pub(super) struct Statement {
    pub(super) words: Vec<RawWord>,
    pub(super) redirects: Vec<Redirect>,
    pub(super) place: Place,
    /// What ended it: `;` for the end of a line too.
    pub(super) end: &'static str,
    /// Lines of the file that it opens an editor for.
    pub(super) content: Vec<At<String>>,
}

impl Statement {
    /// The first word if it has neither quotes nor variables.
    pub(super) fn keyword(&self) -> &str {
        self.words.first().and_then(RawWord::plain).unwrap_or("")
    }
}

/// Words of the shell that stand before a command.
const BEFORE: [&str; 6] = ["do", "then", "else", "{", "!", "time"];

struct Splitter<'a, 'f> {
    text: Text<'a>,
    next: usize,
    statements: Vec<Statement>,
    findings: &'f mut Findings,
    /// Every command stands behind `#`, the prompt of root.
    hash_prompts: bool,
    /// The text is a script: nobody pasted output into it.
    script: bool,
    /// The command before prints something.
    shows: bool,
    /// Index of the statement that opened a file.
    editing: Option<usize>,
}

/// All commands of a text.
pub(super) fn split(text: Text<'_>, findings: &mut Findings) -> Vec<Statement> {
    let hash_prompts = only_hash_prompts(text.source);
    let ends = |line: &str| matches!(line.trim().trim_end_matches(';'), "esac" | "done" | "fi");
    let script = text.source.starts_with("#!") || text.source.lines().any(ends);
    let mut splitter = Splitter {
        text,
        next: 0,
        statements: Vec::new(),
        findings,
        hash_prompts,
        script,
        shows: false,
        editing: None,
    };
    while splitter.next < splitter.text.len() {
        splitter.line();
    }
    splitter.statements
}

/// Whether `#` is the prompt of root in a text: commands stand behind it and nowhere else.
fn only_hash_prompts(text: &str) -> bool {
    let (mut behind, mut plain) = (0, 0);
    for line in text.lines() {
        let line = line.trim_start();
        let (count, words) = match line.strip_prefix('#') {
            Some(rest) => (&mut behind, rest),
            None => (&mut plain, line),
        };
        *count +=
            usize::from(programs::kind(words.split_whitespace().next().unwrap_or("")).is_some());
    }
    behind > 0 && plain == 0
}

/// The length in bytes of a prompt: `[root@lvs ~]# `, `root@lvs:~# `, `$ `.
fn prompt(line: &str) -> usize {
    let trimmed = line.trim_start();
    let indent = line.len() - trimmed.len();
    let body = if trimmed.starts_with('[') {
        trimmed.find(']').map(|i| i + 1)
    } else {
        let end = trimmed.find(['#', '$', ' ']).unwrap_or(0);
        let host = &trimmed[..end];
        if host.contains('@') { Some(end) } else { None }
    };
    let body = match body {
        Some(body) if trimmed.starts_with('[') && !trimmed[..body].contains(['@', '~', ' ']) => {
            return 0;
        }
        Some(body) => body,
        None if trimmed.starts_with("$ ") => 0,
        None => return 0,
    };
    match trimmed[body..].trim_start().chars().next() {
        Some('#' | '$') => {
            let sign = body + trimmed[body..].find(['#', '$']).unwrap_or(0);
            indent + sign + 1
        }
        _ => 0,
    }
}

impl Splitter<'_, '_> {
    fn line(&mut self) {
        let start = self.next;
        let end = self.text.end_of_line(start);
        let written = self.text.written(start, end);
        let plain = self.text.plain(start, end);
        let trimmed = plain.trim();
        self.next = (end + 1).min(self.text.len()).max(end);
        let dots = |c| matches!(c, '.' | '\u{2026}');
        if trimmed.is_empty() || trimmed.starts_with("```") || trimmed.chars().all(dots) {
            self.shows = false;
            return;
        }
        let indent = plain.chars().take_while(|c| c.is_whitespace()).count();
        let place = self.text.place(start + indent, start + indent + trimmed.chars().count());
        let prompt = prompt(written);
        let skip = written.get(..prompt).map_or(0, |p| p.chars().count());
        if prompt > 0 {
            self.shows = false;
            self.editing = None;
        } else if let Some(rest) = trimmed.strip_prefix('#') {
            let marks = rest.chars().take_while(|c| *c == '#').count();
            self.comment(
                start + indent + 1 + marks,
                end,
                rest.trim_start_matches('#').trim(),
                &place,
            );
            return;
        } else if trimmed.starts_with("//")
            || self.content(trimmed, &place)
            || self.prose(trimmed, &place)
            || self.output(trimmed, indent > 0, &place)
        {
            return;
        }
        self.editing = None;
        self.command(start + skip);
    }

    /// `# ...`: a prompt with a command, a note, or a command that was commented out.
    fn comment(&mut self, from: usize, end: usize, text: &str, place: &Place) {
        let first = text.split_whitespace().next().unwrap_or("");
        let kind = programs::kind(first);
        if self.hash_prompts && (kind.is_some() || programs::misspelt(first).is_some()) {
            self.editing = None;
            self.command(from);
            return;
        }
        let opens = matches!(first, "vim" | "vi" | "nano" | "cat");
        if opens && text.split_whitespace().count() >= 2 {
            // the lines that follow stand in the file
            let before = self.statements.len();
            self.command_until(from, end);
            self.editing = (self.statements.len() > before).then_some(before);
        } else if matches!(kind, Some(Kind::Effect)) {
            let message = format!("a comment that reads like a command: `{first}` is not run");
            self.findings.remark(place, message);
        }
    }

    /// A line of the file that is being edited.
    fn content(&mut self, text: &str, place: &Place) -> bool {
        let setting = |t: &str| {
            let key = t.split('=').next().unwrap_or("").trim();
            t.contains('=') && key.starts_with("net.") && !key.contains(' ')
        };
        let Some(index) = self.editing else {
            if setting(text) && !self.shows {
                // settings that stand by themselves are those of /etc/sysctl.conf
                let name = RawWord {
                    pieces: vec![super::lexer::Piece::Text {
                        text: "/etc/sysctl.conf".to_owned(),
                        quoted: false,
                    }],
                    place: place.clone(),
                };
                let mut program = name.clone();
                program.pieces =
                    vec![super::lexer::Piece::Text { text: "vim".to_owned(), quoted: false }];
                self.statements.push(Statement {
                    words: vec![program, name],
                    place: place.clone(),
                    end: ";",
                    ..Statement::default()
                });
                self.editing = Some(self.statements.len() - 1);
                return self.content(text, place);
            }
            let printed = setting(text);
            if printed {
                self.findings.remark(place, "output of a command, passed over");
            }
            return printed;
        };
        let found = setting(text) || ifcfg::is_line(text);
        if found {
            self.statements[index].content.push(At::new(text.to_owned(), place.clone()));
        }
        found
    }

    /// A line of a how-to that is no command: it begins with a word of a script that no command is
    /// written in, or with the number of a step.
    fn prose(&mut self, text: &str, place: &Place) -> bool {
        let body = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let numbered = body.len() < text.len();
        let body =
            if numbered { body.trim_start_matches(['.', '\u{3001}', ')', '(', ' ']) } else { body };
        let bullet = body.trim_start_matches(['\u{2022}', '*', '-', '>', ' ']);
        let first = bullet.split_whitespace().next().unwrap_or("");
        let known = programs::kind(first).is_some() || programs::misspelt(first).is_some();
        let prose = bullet.chars().next().is_some_and(foreign)
            || !known && text.chars().filter(|c| foreign(*c)).count() >= 2 && !text.contains('=');
        if prose {
            self.findings.remark(place, "prose, passed over");
        }
        prose
    }

    /// A line that a command before printed.
    fn output(&mut self, text: &str, indented: bool, place: &Place) -> bool {
        const SHAPES: [&str; 13] = [
            "IP Virtual Server",
            "Prot LocalAddress",
            "-> ",
            "TCP  ",
            "UDP  ",
            "FWM  ",
            "SCTP  ",
            "Kernel IP",
            "Destination  ",
            "Chain ",
            "target  ",
            "Iface ",
            "default via",
        ];
        let mut words = text.split_whitespace();
        let first = words.next().unwrap_or("");
        let row = words.next().is_some_and(|w| w.bytes().all(|b| b.is_ascii_digit()));
        let is_known = programs::kind(first).is_some() && !row;
        let shaped = SHAPES.iter().any(|s| text.starts_with(s));
        // what could be a command that is not known, and is told
        let word = first.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let assigns = first.split_once('=').is_some_and(|(n, _)| n.chars().all(name));
        let follows = self.shows
            && !is_known
            && !assigns
            && (row || indented || !word)
            && programs::misspelt(first).is_none();
        if shaped || follows {
            self.findings.remark(place, "output of a command, passed over");
        }
        shaped || follows
    }

    /// The commands of the line at `from`.
    fn command(&mut self, from: usize) {
        let before = self.statements.len();
        let end = self.command_until(from, usize::MAX);
        self.next = end.max(self.next);
        let last = self.statements.len();
        if last > before {
            let statement = &self.statements[last - 1];
            let program = statement.keyword().rsplit('/').next().unwrap_or("").to_owned();
            let to_file = statement.redirects.iter().any(|r| r.kind.starts_with('>'));
            self.shows = !self.script && !to_file && programs::prints(&program, &statement.words);
            let opens = ["vim", "vi", "nano", "cat", "more", "less", "gedit", "emacs"]
                .contains(&program.as_str());
            self.editing =
                (opens && statement.redirects.is_empty() && last == before + 1).then_some(before);
        }
    }

    fn command_until(&mut self, from: usize, most: usize) -> usize {
        let (line, mut next) = self.text.line(from);
        if let Some(place) = &line.unclosed {
            self.findings.problems.push(Problem::new(
                place,
                "a quote is not closed",
                "it opens here",
            ));
            return next;
        }
        if let Some(place) = &line.typographic {
            self.findings
                .remark(place, "typographic characters are read as the plain ones they stand for");
        }
        let mut statements = self.statements_of(line);
        for statement in &mut statements {
            for redirect in &mut statement.redirects {
                if redirect.kind.starts_with("<<") && redirect.kind != "<<<" {
                    next = self.here(redirect, next);
                }
            }
        }
        self.statements.extend(statements);
        next.min(most)
    }

    /// Reads the lines of a here-document that begins at `from`.
    fn here(&mut self, redirect: &mut Redirect, from: usize) -> usize {
        let Some(end) = redirect.target.literal() else {
            let message = "the end of a here-document cannot be a variable";
            self.findings.problems.push(Problem::new(
                &redirect.target.place,
                message,
                "expected a word such as EOF",
            ));
            return from;
        };
        let filled = redirect.target.plain().is_some();
        let mut lines = Vec::new();
        let mut start = from;
        while start < self.text.len() {
            let stop = self.text.end_of_line(start);
            let line = self.text.written(start, stop).trim_end_matches('\r');
            let next = (stop + 1).min(self.text.len());
            let body = if redirect.kind == "<<-" { line.trim_start_matches('\t') } else { line };
            // an indented end is what a copy from a list has
            if body.trim() == end {
                redirect.here = Some((lines, filled));
                return next;
            }
            lines.push(At::new(body.to_owned(), self.text.place(start, stop)));
            start = if next == start { self.text.len() } else { next };
        }
        let message = format!("the here-document has no end: a line `{end}`");
        self.findings.problems.push(Problem::new(
            &redirect.target.place,
            message,
            "it begins here",
        ));
        self.text.len()
    }

    fn statements_of(&mut self, line: Line) -> Vec<Statement> {
        let mut statements = Vec::new();
        let mut current = Statement::default();
        let mut tokens = line.tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                Token::Word(word) => {
                    let place = word.place.clone();
                    let starts = current.words.is_empty() && current.redirects.is_empty();
                    if starts {
                        current.place = place;
                    } else {
                        current.place.span.end = current.place.span.end.max(place.span.end);
                    }
                    let before = starts && word.plain().is_some_and(|p| BEFORE.contains(&p));
                    current.words.push(word);
                    if before {
                        finish(&mut statements, &mut current, ";");
                    }
                }
                Token::Operator(operator) => {
                    if current.words.is_empty() && operator != ";;" {
                        continue;
                    }
                    finish(&mut statements, &mut current, operator);
                }
                Token::Redirect { fd, kind } => {
                    if matches!(tokens.peek(), Some(Token::Operator("&"))) {
                        // 2>&1
                        tokens.next();
                        tokens.next();
                        continue;
                    }
                    let Some(Token::Word(target)) = tokens.next() else {
                        let message = format!("`{kind}` lacks its file");
                        self.findings.problems.push(Problem::new(
                            &current.place,
                            message,
                            "expected a file after it",
                        ));
                        continue;
                    };
                    current.place.span.end = current.place.span.end.max(target.place.span.end);
                    current.redirects.push(Redirect { kind, fd, target, here: None });
                }
            }
        }
        if !current.words.is_empty() || !current.redirects.is_empty() {
            finish(&mut statements, &mut current, ";");
        }
        statements
    }
}

fn finish(statements: &mut Vec<Statement>, current: &mut Statement, end: &'static str) {
    let mut statement = core::mem::take(current);
    statement.end = end;
    statements.push(statement);
}

/// The known program that a word most likely was meant to be.
pub(super) fn near_program(word: &str) -> Option<&'static str> {
    nearest(word, programs::names()).filter(|near| word.len() >= 3 && near.len() >= 2)
}
