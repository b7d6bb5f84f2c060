//! The command `lvsim`.
//!
//! Exit codes: 0 good, 1 the answer is no (a finding, a failed expectation, a difference), 2 wrong
//! input or no room to write.

mod arguments;
mod check;
mod cluster;
mod conform;
mod import;
mod input;
mod output;
mod run;
mod show;
mod test;
mod trace;

use crate::import::keepalived;
use arguments::{Cli, Command};
use clap::Parser as _;
use output::Output;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

/// What a command came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    /// Everything is as it should be.
    Good,
    /// A finding, a failed expectation, a difference.
    No,
    /// Wrong input.
    Wrong,
}

impl Answer {
    const fn of(good: bool) -> Self {
        if good { Self::Good } else { Self::No }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::No => 1,
            Self::Wrong => 2,
        }
    }
}

/// Runs the command with its arguments (the first is the program) and says how it ended.
///
/// Whoever reads the output may go away at any time: that ends the command quietly.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut out = Output::new();
    let answer = match Cli::try_parse_from(arguments) {
        Ok(cli) => dispatch(&cli, &mut out),
        Err(usage) => {
            let text = usage.render();
            let answer = if usage.use_stderr() { Answer::Wrong } else { Answer::Good };
            out.usage(&text, usage.use_stderr()).map(|()| answer)
        }
    };
    match answer {
        Ok(answer) => ExitCode::from(answer.code()),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(Answer::Wrong.code()),
    }
}

fn dispatch(cli: &Cli, out: &mut Output) -> io::Result<Answer> {
    match &cli.command {
        Command::Run(arguments) => run::run(arguments, out),
        Command::List { json } => show::list(*json, out),
        Command::Show { name, out: folder, dot, variant } => {
            show::show(name, folder.as_deref(), *dot, variant.as_deref(), out)
        }
        Command::Schema { reference } => show::schema(*reference, out),
        Command::Check { files, kind, config_id, verbose } => {
            let options = keepalived::Options { config_id: config_id.clone() };
            check::check(files, *kind, &check::Keepalived { options, verbose: *verbose }, out)
        }
        Command::Test(arguments) => test::test(arguments, out),
        Command::Trace(arguments) => trace::trace(arguments, out),
        Command::Import { files, out: folder } => import::import(files, folder.as_deref(), out),
        Command::Conform { paths, verbose } => conform::conform(paths, *verbose, out),
    }
}
