//! The only place that writes to the terminal.

use crate::diagnostic::{Problem, Sources, render};
use crate::model::Failure;
use clap::builder::StyledStr;
use reports::Comparison;
use reports::terminal::{Style, comparison};
use std::io::{self, IsTerminal as _, Write as _};

/// Standard output and standard error.
#[derive(Debug)]
pub(super) struct Output {
    out: io::Stdout,
    err: io::Stderr,
    colour: bool,
    error_colour: bool,
    width: usize,
}

impl Output {
    pub(super) fn new() -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let (colour, error_colour) = (out.is_terminal(), err.is_terminal());
        let width = terminal_size::terminal_size().map_or(100, |(w, _)| usize::from(w.0));
        Self { out, err, colour, error_colour, width: width.max(60) }
    }

    /// Whether a person watches.
    pub(super) const fn watched(&self) -> bool {
        self.error_colour
    }

    /// Text to standard output.
    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        let mut out = self.out.lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// A line to standard output.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        self.text(&format!("{text}\n"))
    }

    /// A line to standard error.
    pub(super) fn note(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.err.lock(), "{text}")
    }

    /// A comparison to standard output.
    pub(super) fn comparison(&mut self, table: &Comparison) -> io::Result<()> {
        let style = Style { width: self.width, colour: self.colour };
        self.text(&comparison(table, style))
    }

    /// `pass` or `FAIL` in front of a line.
    pub(super) fn verdict(&mut self, pass: bool, line: &str) -> io::Result<()> {
        let word = match (pass, self.colour) {
            (true, false) => "pass",
            (false, false) => "FAIL",
            (true, true) => "\u{1b}[32mpass\u{1b}[0m",
            (false, true) => "\u{1b}[1;31mFAIL\u{1b}[0m",
        };
        self.line(&format!("  {word}  {line}"))
    }

    /// Problems to standard error.
    pub(super) fn problems(&mut self, sources: &Sources, problems: &[Problem]) -> io::Result<()> {
        let text = render(sources, problems, self.error_colour);
        self.err.lock().write_all(text.as_bytes())
    }

    /// A failure to standard error.
    pub(super) fn failure(&mut self, failure: &Failure) -> io::Result<()> {
        self.problems(&failure.sources, &failure.problems)
    }

    /// What clap has to say.
    pub(super) fn usage(&mut self, text: &StyledStr, error: bool) -> io::Result<()> {
        let colour = if error { self.error_colour } else { self.colour };
        let text = if colour { text.ansi().to_string() } else { text.to_string() };
        if error { self.err.lock().write_all(text.as_bytes()) } else { self.text(&text) }
    }
}
