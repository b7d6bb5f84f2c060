//! Lines of a configuration: continuation, conditions, definitions, sequences, included files.
//! Source of the rules: keepalived `lib/parser.c`, keepalived.conf(5).

use super::letters::{Letter, Token, bare, blank, place, string, tokens, trim};
use super::{Findings, Options};
use crate::diagnostic::{FileId, Sources};
use crate::model::Files;
use std::collections::BTreeMap;

/// Most letters that definitions, sequences and files included twice may add to the texts.
const MOST_LETTERS: usize = 1_000_000;
/// What a use of a definition, a round of a sequence or an included file counts besides its letters.
const EACH: usize = 16;
/// Most files within files, definitions within definitions, sequences within sequences.
const DEEPEST: usize = 16;

/// Reads lines into words and braces.
pub(super) struct Reader<'a> {
    pub(super) sources: &'a mut Sources,
    pub(super) files: &'a dyn Files,
    pub(super) options: &'a Options,
    pub(super) findings: &'a mut Findings,
    definitions: BTreeMap<String, Vec<Letter>>,
    pub(super) tokens: Vec<Token>,
    letters: usize,
    /// How many there may be.
    most: usize,
}

/// A definition of several lines that is being read.
struct Open {
    name: String,
    value: Vec<Letter>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        sources: &'a mut Sources,
        files: &'a dyn Files,
        options: &'a Options,
        findings: &'a mut Findings,
    ) -> Self {
        let (definitions, tokens) = (BTreeMap::new(), Vec::new());
        Self {
            sources,
            files,
            options,
            findings,
            definitions,
            tokens,
            letters: 0,
            most: MOST_LETTERS,
        }
    }

    /// Reads a file of the sources that lies in `folder`.
    pub(super) fn file(&mut self, file: FileId, folder: &str, depth: usize) {
        let text = self.sources.text(file).to_owned();
        if self.sources.iter().filter(|(name, _)| *name == self.sources.name(file)).count() == 1 {
            self.most = self.most.saturating_add(text.len());
        }
        let mut offset = 0;
        let mut open: Option<Open> = None;
        let mut carried: Vec<Letter> = Vec::new();
        let mut left_out = false;
        for raw in text.split_inclusive('\n') {
            let (mut line, unquoted) = bare(raw, offset);
            offset += raw.len();
            if unquoted {
                let place = place(file, &line);
                self.findings.error(&place, "Unmatched quote", "this line has an odd number of \"");
            }
            let continued = line.last().is_some_and(|l| l.c == '\\' && !l.literal);
            if continued {
                line.pop();
            }
            let line = trim(&line).to_vec();
            if left_out {
                left_out = continued;
                continue;
            }
            if let Some(definition) = &mut open {
                add_line(&mut definition.value, &line);
                if !continued && let Some(Open { name, value }) = open.take() {
                    self.definitions.insert(name, value);
                }
                continue;
            }
            if carried.is_empty() && continued {
                let Some(rest) = self.condition(&line) else {
                    left_out = true;
                    continue;
                };
                if let Some((name, value)) = definition(rest) {
                    open = Some(Open { name, value: value.to_vec() });
                    continue;
                }
            }
            let gap = line.first().map_or(offset, |l| l.at).saturating_sub(1);
            if !carried.is_empty() {
                carried.push(Letter { c: ' ', at: gap, literal: false });
            }
            carried.extend(line);
            if !continued {
                let line = std::mem::take(&mut carried);
                self.line(file, folder, &line, depth);
            }
        }
        if let Some(Open { name, value }) = open {
            self.definitions.insert(name, value);
        }
        self.line(file, folder, &carried, depth);
    }

    /// What is left of a line after its condition; `None` if it does not hold.
    fn condition<'l>(&self, line: &'l [Letter]) -> Option<&'l [Letter]> {
        if line.first().is_none_or(|l| l.c != '@' || l.literal) {
            return Some(line);
        }
        let end = line.iter().position(blank).unwrap_or(line.len());
        let word = string(&line[1..end]);
        let holds = match word.strip_prefix('^') {
            Some(other) => Some(other) != self.options.config_id.as_deref(),
            None => Some(word.as_str()) == self.options.config_id.as_deref(),
        };
        holds.then(|| trim(&line[end..]))
    }

    /// A line, or what a definition of several lines or a sequence gives in its stead.
    fn line(&mut self, file: FileId, folder: &str, line: &[Letter], depth: usize) {
        let Some(line) = self.condition(trim(line)) else { return };
        self.letters += line.len();
        if line.is_empty() {
            return;
        }
        if self.letters > self.most {
            let message = "definitions, sequences and files make too much text";
            if self.findings.problems.last().is_none_or(|p| p.message != message) {
                let label = "what follows is left out";
                self.findings.error(&place(file, line), message, label);
            }
            return;
        }
        if depth > DEEPEST {
            let message = "files or sequences lie too deep in each other";
            self.findings.error(&place(file, line), message, format!("at most {DEEPEST} levels"));
            return;
        }
        if line[0].c == '~' && !line[0].literal {
            return self.sequence(file, folder, line, depth);
        }
        if let Some((name, value)) = definition(line) {
            self.definitions.insert(name, value.to_vec());
            return;
        }
        let mut text = Vec::new();
        self.expand(file, folder, line, &mut text, 0);
        if text.as_slice() == line {
            return self.plain(file, folder, line, depth);
        }
        for part in text.split(|l| l.c == '\n') {
            let part = trim(part);
            match part.first() {
                None => {}
                Some(l) if l.c == '~' || l.c == '@' || definition(part).is_some() => {
                    self.line(file, folder, part, depth + 1);
                }
                Some(_) => self.plain(file, folder, part, depth),
            }
        }
    }

    /// A line in which nothing is left to replace.
    fn plain(&mut self, file: FileId, folder: &str, line: &[Letter], depth: usize) {
        let end = line.iter().position(blank).unwrap_or(line.len());
        match string(&line[..end]).as_str() {
            "include" | "includea" | "includem" | "includew" | "includeb" | "includer" => {
                self.include(file, folder, line, end, depth);
            }
            _ => self.tokens.extend(tokens(file, line)),
        }
    }

    fn include(&mut self, file: FileId, folder: &str, line: &[Letter], end: usize, depth: usize) {
        let name = string(trim(&line[end..]));
        let name = name.trim_matches('"');
        let place = place(file, trim(line));
        let found = super::files::matching(self.files, folder, name);
        if found.is_empty() {
            let message = format!("Config files missing '{name}'.");
            self.findings.error(&place, message, "no such file, relative to this one");
        }
        for path in found {
            match self.files.read(&path) {
                Ok(text) if depth < DEEPEST && self.letters < self.most => {
                    self.letters += EACH;
                    let id = self.sources.add(path.as_str(), text);
                    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                    self.file(id, folder, depth + 1);
                }
                Ok(_) => self.findings.error(&place, "files include each other", "too deep"),
                Err(why) => {
                    self.findings.error(
                        &place,
                        format!("cannot read '{path}': {why}"),
                        "this file",
                    );
                }
            }
        }
    }

    /// Replaces definitions, and those within them.
    fn expand(
        &mut self,
        file: FileId,
        folder: &str,
        line: &[Letter],
        out: &mut Vec<Letter>,
        depth: usize,
    ) {
        let mut rest = line;
        while let Some(first) = rest.first() {
            let found = (first.c == '$').then(|| use_of(rest)).flatten();
            let Some((name, length)) = found else {
                out.push(*first);
                rest = &rest[1..];
                continue;
            };
            let at = first.at;
            let value = match self.definitions.get(&name) {
                Some(value) => Some(value.clone()),
                None => predefined(folder, &name, at),
            };
            match value {
                Some(value) if depth < DEEPEST && self.letters < self.most => {
                    self.letters += value.len() + EACH;
                    let here: Vec<_> = value.iter().map(|l| Letter { at, ..*l }).collect();
                    self.expand(file, folder, &here, out, depth + 1);
                }
                Some(_) => {
                    let place = place(file, &rest[..1]);
                    let message =
                        format!("the definition of {name} is too long or contains itself");
                    self.findings.error(&place, message, "cannot be replaced");
                    return;
                }
                // the braces of an unknown name are no block
                None => out.extend(rest[..length].iter().map(|l| Letter { literal: true, ..*l })),
            }
            rest = &rest[length..];
        }
    }

    /// `~SEQ(var,start,step,end) rest`, `~SEQx(...)`, `~LST(var,values) rest`.
    fn sequence(&mut self, file: FileId, folder: &str, line: &[Letter], depth: usize) {
        let open = line.iter().position(|l| l.c == '(');
        let close = line.iter().position(|l| l.c == ')');
        let (Some(open), Some(close)) = (open, close.filter(|c| open.is_some_and(|o| o < *c)))
        else {
            let message = format!("Invalid sequence '{}'", string(line));
            let label = "expected ~SEQ(var,start,step,end) or ~LST(var,value,...) and a line";
            return self.findings.error(&place(file, line), message, label);
        };
        let mut arguments = Vec::new();
        self.expand(file, folder, &line[open + 1..close], &mut arguments, 0);
        let rounds = match string(&line[..open]).as_str() {
            "~SEQ" => numbers(&string(&arguments), 10),
            "~SEQx" => numbers(&string(&arguments), 16),
            "~LST" => lists(&string(&arguments)),
            _ => None,
        };
        let Some((names, rounds)) = rounds else {
            let label = "expected ~SEQ(var,start,step,end) or ~LST(var,value,...)";
            let message = format!("Invalid sequence '{}'", string(&line[..=close]));
            return self.findings.error(&place(file, &line[..=close]), message, label);
        };
        let at = line[0].at;
        let before: Vec<_> = names.iter().map(|n| self.definitions.get(n).cloned()).collect();
        for values in rounds {
            if self.letters > self.most {
                break;
            }
            for (name, value) in names.iter().zip(values) {
                let value = value.chars().map(|c| Letter { c, at, literal: false }).collect();
                self.definitions.insert(name.clone(), value);
            }
            self.letters += EACH;
            self.line(file, folder, &line[close + 1..], depth + 1);
        }
        for (name, value) in names.into_iter().zip(before) {
            match value {
                Some(value) => self.definitions.insert(name, value),
                None => self.definitions.remove(&name),
            };
        }
    }
}

fn add_line(value: &mut Vec<Letter>, line: &[Letter]) {
    let at = line.first().map_or(0, |l| l.at);
    if !value.is_empty() {
        value.push(Letter { c: '\n', at, literal: false });
    }
    value.extend(line);
}

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// `$NAME=value`.
fn definition(line: &[Letter]) -> Option<(String, &[Letter])> {
    let (first, rest) = line.split_first()?;
    let length = rest.iter().take_while(|l| in_name(l.c)).count();
    let equals = rest.get(length).is_some_and(|l| l.c == '=');
    let good = first.c == '$' && !first.literal && length > 0 && equals;
    good.then(|| (string(&rest[..length]), trim(&rest[length + 1..])))
}

/// `$NAME` before a blank or the end, or `${NAME}`: the name and the length of it all.
fn use_of(letters: &[Letter]) -> Option<(String, usize)> {
    let braced = letters.get(1)?.c == '{';
    if braced {
        let end = letters.iter().position(|l| l.c == '}')?;
        let name = string(&letters[2..end]);
        let good = name.chars().next().is_some_and(in_name);
        return good.then_some((name, end + 1));
    }
    let length = letters[1..].iter().take_while(|l| in_name(l.c)).count();
    let ends = letters.get(1 + length).is_none_or(|l| matches!(l.c, ' ' | '\t' | '\r' | '\n'));
    (length > 0 && ends).then(|| (string(&letters[1..=length]), length + 1))
}

type Rounds = (Vec<String>, Vec<Vec<String>>);

fn numbers(arguments: &str, radix: u32) -> Option<Rounds> {
    let mut words = arguments.split(',').map(str::trim);
    let name = words.next().filter(|n| !n.is_empty())?.to_owned();
    let numbers: Vec<i64> =
        words.map(|w| i64::from_str_radix(w, radix).ok()).collect::<Option<_>>()?;
    let (start, step, end) = match numbers[..] {
        [end] => (1, 1, end),
        [start, end] => (start, 1, end),
        [start, step, end] => (start, step, end),
        _ => return None,
    };
    if step == 0 {
        return None;
    }
    let mut rounds = Vec::new();
    let mut n = start;
    while (step > 0 && n <= end) || (step < 0 && n >= end) {
        if rounds.len() > 65_536 {
            return None;
        }
        rounds.push(vec![if radix == 16 { format!("{n:x}") } else { n.to_string() }]);
        n = n.checked_add(step)?;
    }
    Some((vec![name], rounds))
}

/// `var,v1,v2` or `{a,b},{1,2},{3,4}`.
fn lists(arguments: &str) -> Option<Rounds> {
    let mut items: Vec<Vec<String>> = Vec::new();
    let mut rest = arguments.trim();
    while !rest.is_empty() {
        let end = if let Some(inner) = rest.strip_prefix('{') {
            let end = inner.find('}')?;
            items.push(inner[..end].split(',').map(|w| w.trim().to_owned()).collect());
            end + 2
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            items.push(vec![rest[..end].trim().to_owned()]);
            end
        };
        rest = rest[end..].trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    let mut items = items.into_iter();
    let names = items.next().filter(|n| n.iter().all(|n| !n.is_empty()))?;
    Some((names, items.collect()))
}

/// The names that are defined from the start. Nothing is random here: the least value is taken.
fn predefined(folder: &str, name: &str, at: usize) -> Option<Vec<Letter>> {
    let mut words = name.split_ascii_whitespace();
    let text = match words.next()? {
        "_PWD" => folder.to_owned(),
        "_INSTANCE" | "_ENV" => String::new(),
        "_HASH" => "#".to_owned(),
        "_BANG" => "!".to_owned(),
        "_RANDOM" => words.next().unwrap_or("0").to_owned(),
        _ => return None,
    };
    Some(text.chars().map(|c| Letter { c, at, literal: false }).collect())
}
