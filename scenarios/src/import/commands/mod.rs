//! Hosts configured as people configure them: the commands an administrator types, or a script with
//! them.
//!
//! [`read`] turns a text into [`Command`]s; [`setup::HostSetup`] is what they make of a host. The text is
//! read as a shell reads it: comments, quotes, continued lines, `;` `&&` `||`, variables, `for`, `case` and
//! `if` as far as they can be decided, here-documents, redirections into files and `/proc/sys`. How-tos are
//! read as they stand: prompts, pasted output, an editor's name followed by the lines of the file, and
//! placeholders such as `VIP`, which [`Context::variables`] fills in. What is not understood gives a
//! [`Problem`]; what is understood and changes nothing gives a [`Remark`].

pub mod action;
mod dispatch;
mod expansion;
mod files;
mod ifcfg;
mod ip;
mod iptables;
mod lexer;
mod net_tools;
pub mod netfilter;
mod programs;
mod rules;
pub mod setup;
mod shell;
mod statements;
mod sysctl;
mod words;

pub use action::{Action, Command, Word};
pub use rules::rules;
pub use setup::HostSetup;
pub use sysctl::Setting;

use crate::diagnostic::{FileId, Place, Problem};

/// Something that was understood and passed over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remark {
    /// Where.
    pub place: Place,
    /// What and why, in one sentence without a full stop.
    pub message: String,
}

/// What was noticed while commands were read or carried out.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Findings {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What was passed over.
    pub remarks: Vec<Remark>,
}

impl Findings {
    pub(crate) fn remark(&mut self, place: &Place, message: impl Into<String>) {
        self.remarks.push(Remark { place: place.clone(), message: message.into() });
    }
}

/// What a script finds around it.
pub struct Context<'a> {
    /// Values of variables, and of placeholders, which stand without a `$`.
    pub variables: &'a [(String, String)],
    /// Opens a file beside the scenario: its number among the sources and its text.
    pub open: &'a mut dyn FnMut(&str) -> Option<(FileId, String)>,
}

impl core::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Context").field("variables", &self.variables).finish_non_exhaustive()
    }
}

/// Reads a text that stands in `file` from byte `base` on.
///
/// Every command that is not understood gives a problem; the others are kept.
pub fn read(
    file: FileId,
    base: usize,
    text: &str,
    context: &mut Context<'_>,
    findings: &mut Findings,
) -> Vec<Command> {
    let mut shell = shell::Shell::new(context, findings);
    shell.script(file, base, text);
    files::start_host(&mut shell);
    let commands = shell.commands;
    findings.remarks.sort_by_key(|r| (r.place.file, r.place.span.start));
    commands
}

#[cfg(test)]
mod tests;
