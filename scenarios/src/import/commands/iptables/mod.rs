//! `iptables`, `ip6tables`, and the files of `iptables-restore`.

mod matches;
mod targets;

use super::action::{Action, Family, Word};
use super::netfilter::{Change, Edit, Rule, Table};
use super::words::{Words, number, unknown, wrong};
use crate::diagnostic::{At, Problem};
pub(super) use matches::protocol;

/// What a command of iptables comes to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Changes.
    Actions(Vec<Action>),
    /// It only shows something.
    Shows,
}

const COMMANDS: [&str; 12] =
    ["-A", "-I", "-D", "-R", "-F", "-P", "-N", "-X", "-L", "-S", "-Z", "-C"];

/// The short form of a command, and whether it takes a chain that must be there.
fn command(word: &str) -> Option<&'static str> {
    Some(match word {
        "-A" | "--append" => "-A",
        "-I" | "--insert" => "-I",
        "-D" | "--delete" => "-D",
        "-R" | "--replace" => "-R",
        "-F" | "--flush" => "-F",
        "-P" | "--policy" => "-P",
        "-N" | "--new-chain" | "--new" => "-N",
        "-X" | "--delete-chain" => "-X",
        "-L" | "--list" | "-nL" | "-Ln" | "-vnL" | "-nvL" | "-vL" | "-Lnv" | "-Lvn" | "-Lv" => "-L",
        "-S" | "--list-rules" => "-S",
        "-Z" | "--zero" => "-Z",
        "-C" | "--check" => "-C",
        "-V" | "--version" | "-h" | "--help" => "-V",
        _ => return None,
    })
}

/// Reads the words of a command that begins with `iptables` or `ip6tables`.
pub(super) fn read(words: &[Word], family: Family) -> Result<Outcome, Problem> {
    read_in(words, family, Table::Filter)
}

fn read_in(words: &[Word], family: Family, default: Table) -> Result<Outcome, Problem> {
    let mut words = Words::new(words);
    let mut table = default;
    let mut verb: Option<(&'static str, &Word)> = None;
    let (mut chain, mut position, mut policy): (Option<&Word>, Option<&Word>, Option<&Word>) =
        (None, None, None);
    let mut rule = RuleParts::default();
    while let Some(word) = words.take() {
        if let Some(found) = command(&word.value) {
            if let Some((before, _)) =
                verb.filter(|(b, _)| !(*b == "-L" && found == "-Z" || *b == "-Z" && found == "-L"))
            {
                let message = format!("Cannot use {found} with {before}");
                return Err(Problem::new(&word.place, message, "one command on a line"));
            }
            verb = Some((found, word));
            chain = operand(&mut words).or(chain);
            if found == "-P" {
                policy = operand(&mut words);
            } else if ["-I", "-D", "-R"].contains(&found) {
                position = words.peek().filter(|w| w.value.parse::<usize>().is_ok());
                if position.is_some() {
                    words.take();
                }
            }
            continue;
        }
        match word.value.as_str() {
            "-t" | "--table" => table = table_of(words.value("a table")?)?,
            "-w" | "--wait" | "-W" => {
                if words.peek_text().parse::<u32>().is_ok() {
                    words.take();
                }
            }
            "-n" | "-v" | "-vv" | "-x" | "--numeric" | "--verbose" | "--line-numbers" | "-nv"
            | "-vn" | "-4" | "-6" => {}
            _ => rule.option(word, &mut words, family)?,
        }
    }
    let Some((verb, verb_word)) = verb else {
        return Err(words.lacks("a command such as -A CHAIN"));
    };
    if ["-L", "-S", "-Z", "-C", "-V"].contains(&verb) {
        return Ok(Outcome::Shows);
    }
    let edit = edit(verb, (position, policy), rule, &words)?;
    if chain.is_none() && !matches!(edit, Edit::Flush | Edit::Remove) {
        let message = format!("iptables: option \"{}\" requires an argument", verb_word.value);
        return Err(Problem::new(&verb_word.place, message, "expected a chain such as PREROUTING"));
    }
    if let (Edit::Append(rule) | Edit::Insert(_, rule) | Edit::Replace(_, rule), Some(chain)) =
        (&edit, chain)
    {
        targets::check(rule, table, chain)?;
    }
    let chain = chain.map(|c| c.value.clone());
    Ok(Outcome::Actions(vec![Action::Netfilter(Change { family, table, chain, edit })]))
}

/// What a command does with its chain. `position` and `policy` are the words after it, if any.
fn edit(
    verb: &str,
    (position, policy): (Option<&Word>, Option<&Word>),
    rule: RuleParts,
    words: &Words<'_>,
) -> Result<Edit, Problem> {
    Ok(match verb {
        "-A" => Edit::Append(rule.finish(words)?),
        "-I" => Edit::Insert(index(position)?.unwrap_or(1), rule.finish(words)?),
        "-R" => Edit::Replace(
            index(position)?
                .ok_or_else(|| words.lacks("the number of the rule after the chain"))?,
            rule.finish(words)?,
        ),
        "-D" => match index(position)? {
            Some(number) => Edit::DeleteNumber(number),
            None => Edit::Delete(rule.finish(words)?),
        },
        "-F" => Edit::Flush,
        "-N" => Edit::New,
        "-X" => Edit::Remove,
        _ => Edit::Policy(accepts(
            policy.ok_or_else(|| words.lacks("ACCEPT or DROP after the chain"))?,
        )?),
    })
}

/// The next word, if it is no option.
fn operand<'a>(words: &mut Words<'a>) -> Option<&'a Word> {
    words.peek().filter(|w| !w.value.starts_with('-') && w.value != "!")?;
    words.take()
}

fn index(word: Option<&Word>) -> Result<Option<usize>, Problem> {
    word.map(|w| number(w, 1, 100_000).map(|n| usize::try_from(n).unwrap_or(usize::MAX)))
        .transpose()
}

fn accepts(word: &Word) -> Result<bool, Problem> {
    match word.value.as_str() {
        "ACCEPT" => Ok(true),
        "DROP" => Ok(false),
        _ => Err(wrong(word, "policy", "ACCEPT or DROP")),
    }
}

fn table_of(word: &Word) -> Result<Table, Problem> {
    Table::ALL.into_iter().find(|t| t.name() == word.value).ok_or_else(|| {
        let names = Table::ALL.map(Table::name);
        unknown(
            word,
            format!("can't initialize iptables table `{}': Table does not exist", word.value),
            &names,
        )
    })
}

/// The conditions and the target of a rule while its words are read.
#[derive(Debug, Default)]
struct RuleParts {
    matches: matches::Matches,
    target: targets::TargetParts,
}

impl RuleParts {
    fn option(
        &mut self,
        word: &Word,
        words: &mut Words<'_>,
        family: Family,
    ) -> Result<(), Problem> {
        if self.target.option(word, words)? || self.matches.option(word, words, family)? {
            return Ok(());
        }
        let mut known: Vec<&str> = COMMANDS.to_vec();
        known.extend(["-t", "-j", "-g"]);
        known.extend(matches::OPTIONS);
        known.extend(targets::OPTIONS);
        let message = if word.value.starts_with('-') {
            format!("unknown option \"{}\"", word.value)
        } else {
            format!("Bad argument `{}'", word.value)
        };
        Err(unknown(word, message, &known))
    }

    fn finish(self, words: &Words<'_>) -> Result<Rule, Problem> {
        Ok(Rule {
            target: self.target.finish(&self.matches)?,
            matches: self.matches.finish(),
            place: words.place(),
        })
    }
}

/// Reads the lines of a file of `iptables-restore`: words of each line.
pub(super) fn restore(
    lines: &[Vec<Word>],
    family: Family,
    problems: &mut Vec<Problem>,
) -> Vec<(Action, crate::diagnostic::Place)> {
    let mut table = Table::Filter;
    let mut actions = Vec::new();
    for words in lines {
        let Some(first) = words.first() else { continue };
        let place = super::words::whole(words);
        let mut add = |table, chain: Option<&str>, edit| {
            let chain = chain.map(str::to_owned);
            actions.push((Action::Netfilter(Change { family, table, chain, edit }), place.clone()));
        };
        let text = first.value.as_str();
        if let Some(name) = text.strip_prefix('*') {
            match table_of(&At::new(name.to_owned(), first.place.clone())) {
                Ok(found) => table = found,
                Err(problem) => problems.push(problem),
            }
            add(table, None, Edit::Flush);
        } else if let Some(chain) = text.strip_prefix(':') {
            match words.get(1).map(|w| w.value.as_str()) {
                Some("ACCEPT" | "DROP") => {
                    add(table, Some(chain), Edit::Policy(words[1].value == "ACCEPT"));
                }
                _ => add(table, Some(chain), Edit::New),
            }
        } else if text != "COMMIT" {
            let mut line = vec![At::new("iptables-restore".to_owned(), first.place.clone())];
            // counters of iptables-save -c
            line.extend(
                words
                    .iter()
                    .filter(|w| !(w.value.starts_with('[') && w.value.ends_with(']')))
                    .cloned(),
            );
            match read_in(&line, family, table) {
                Ok(Outcome::Actions(found)) => {
                    actions.extend(found.into_iter().map(|a| (a, place.clone())));
                }
                Ok(Outcome::Shows) => {}
                Err(problem) => problems.push(problem),
            }
        }
    }
    actions
}
