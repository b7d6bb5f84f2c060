//! Command lines of ipvsadm, as typed, in scripts, and as `ipvsadm-save` prints them.
//!
//! The language is that of ipvsadm 1.31: every command and option, short, long or combined, with
//! its defaults, its rules of which option goes with which command, and its messages. Beyond the
//! program, a problem says what is allowed instead, and all problems are told at once. A long
//! option may be cut short as long as it stays unambiguous (`--sched`), as in a build of ipvsadm
//! without popt.
//!
//! ```
//! use scenarios::import::ipvsadm::{Action, Names, line};
//! use sim_core::ipvs::Command;
//! let action = line(Default::default(), 0, "ipvsadm -at 10.0.0.1:http -r 10.0.0.2 -mw5", Names::NONE);
//! assert!(matches!(action, Ok(Some(Action::Change(Command::AddServer(_, rule)))) if rule.weight == 5));
//! ```

mod action;
mod address;
mod daemon;
mod line;
mod listing;
mod names;
mod options;
mod rules;
mod server;
mod service;
mod words;

pub use action::{Action, Listing, View, flags_text, key_text};
pub use names::{Names, port_of, service_of};
pub use rules::{
    Player, PortMapping, Rules, force_forwarding, force_scheduler, set_forwarding, set_scheduler,
};
pub(crate) use service::is_v6;

use crate::diagnostic::{FileId, Place, Problem, Sources};
use options::by_short;

/// A command line that was understood, and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// What it asks for.
    pub action: Action,
    /// Its words.
    pub place: Place,
}

/// Reads the words of a command line, as a shell hands them over. The name of the program is left
/// out wherever it stands; no words at all list the rules.
///
/// # Errors
/// All that is wrong with the line.
pub fn command(words: &[(&str, Place)], names: &Names) -> Result<Action, Vec<Problem>> {
    let words: Vec<_> = words.iter().filter(|w| !words::is_program(w.0)).cloned().collect();
    if words.is_empty() {
        return Ok(Action::List(Listing::default()));
    }
    line::read(&words, names)
}

/// Reads a line that stands `base` bytes from the start of a source; `None` if it says nothing.
///
/// # Errors
/// All that is wrong with the line.
pub fn line(
    file: FileId,
    base: usize,
    raw: &str,
    names: &Names,
) -> Result<Option<Action>, Vec<Problem>> {
    let words = words::words(file, base, raw);
    if words.is_empty() {
        return Ok(None);
    }
    line::read(&words, names).map(Some)
}

/// Reads lines as `ipvsadm-restore` does: each is a command line, those that start with `#` and
/// empty ones are left out. The text stands `base` bytes from the start of a source.
///
/// Every line that cannot be understood gives problems; the others are kept.
pub fn commands(
    file: FileId,
    base: usize,
    text: &str,
    names: &Names,
    problems: &mut Vec<Problem>,
) -> Vec<Line> {
    let mut commands = Vec::new();
    lines(file, base, text, |place, raw| match line(file, place.span.start, raw, names) {
        Ok(Some(action)) => commands.push(Line { action, place }),
        Ok(None) => {}
        Err(mut found) => problems.append(&mut found),
    });
    commands
}

/// Calls `each` with every line that says something, without the blanks around it.
fn lines(file: FileId, base: usize, text: &str, mut each: impl FnMut(Place, &str)) {
    let mut start = base;
    for raw in text.split_inclusive('\n') {
        let line = raw.trim();
        if !raw.starts_with('#') && !line.is_empty() {
            let from = start + (raw.len() - raw.trim_start().len());
            each(Place::new(file, from..from + line.len()), line);
        }
        start += raw.len();
    }
}

/// Reads rules that are a part of a text among the sources: `base` bytes from its start.
///
/// Every line that cannot be understood or played gives a problem; the others are kept.
pub fn read(
    file: FileId,
    base: usize,
    text: &str,
    names: &Names,
    problems: &mut Vec<Problem>,
) -> Rules {
    rules::read(file, base, text, names, problems)
}

/// Reads a whole file of rules.
pub fn read_file(
    sources: &Sources,
    file: FileId,
    names: &Names,
    problems: &mut Vec<Problem>,
) -> Rules {
    read(file, 0, sources.text(file), names, problems)
}

/// Whether a text looks like rules of ipvsadm: its first line that says anything begins with a
/// command.
pub fn looks_like(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let Some(line) = lines.next() else { return false };
    let mut words = line.split_ascii_whitespace().filter(|w| !words::is_program(w));
    let Some(word) = words.next() else { return false };
    let is_command = |o: &options::Opt| matches!(o.role, options::Role::Command(_));
    if let Some(long) = word.strip_prefix("--") {
        return options::by_long(long).iter().any(|o| is_command(o));
    }
    let letter = word.strip_prefix('-').and_then(|w| w.chars().next());
    letter.and_then(by_short).is_some_and(is_command)
}

#[cfg(test)]
mod tests;
