//! One command line: its command, and whether its options may stand together.

use super::options::{Argument, Command, Legality, OPTIONS, Role, by_long};
use super::words::{Given, Parsed, Word, options, unknown};
use super::{Action, Names, daemon, listing, server, service};
use crate::diagnostic::{Place, Problem};
use crate::format::words::{list, nearest};
use sim_core::ipvs::Command as Change;
use sim_core::ipvs::rules::ServiceKey;

/// A line whose options may stand together. Some may be missing.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) command: Command,
    pub(super) place: Place,
    pub(super) names: &'a Names,
    options: Vec<Given<'a>>,
    pub(super) rest: Vec<Word<'a>>,
}

/// Reads the words of a command line; there is at least one.
pub(super) fn read<'a>(words: &[Word<'a>], names: &'a Names) -> Result<Action, Vec<Problem>> {
    let Parsed { options, rest, mut problems } = options(words);
    let place = match (words.first(), words.last()) {
        (Some(first), Some(last)) => Place::new(first.1.file, first.1.span.start..last.1.span.end),
        _ => Place::default(),
    };
    let command = command(&options, words)?;
    if let Command::Help | Command::Version = command {
        // printed at once, whatever follows
        let help = command == Command::Help;
        return Ok(if help { Action::Help } else { Action::Version });
    }
    let line = Line { command, place, names, options, rest };
    line.check(&mut problems);
    // what the options say is read in any case: all mistakes of a line are told at once
    let action = line.action(&mut problems);
    match action {
        Some(action) if problems.is_empty() => Ok(action),
        _ => Err(problems),
    }
}

impl<'a> Line<'a> {
    /// The option with the long name `long`.
    pub(super) fn given(&self, long: &str) -> Option<&Given<'a>> {
        self.options.iter().find(|g| g.opt.long == long)
    }

    /// The argument of an option.
    pub(super) fn argument(&self, long: &str) -> Option<&Word<'a>> {
        self.given(long)?.argument.as_ref()
    }

    /// The option that names the service.
    pub(super) fn service(&self) -> Option<&Given<'a>> {
        self.options.iter().find(|g| g.opt.role == Role::Service)
    }

    /// Whether `first` stands before `second`.
    pub(super) fn before(&self, first: &str, second: &str) -> bool {
        let position = |long| self.options.iter().position(|g| g.opt.long == long);
        matches!((position(first), position(second)), (Some(a), Some(b)) if a < b)
    }

    /// A number of an option in a range, `default` without it.
    pub(super) fn number(
        &self,
        long: &str,
        default: u32,
        (least, most): (u32, u32),
        wrong: impl Fn(&str) -> String,
        problems: &mut Vec<Problem>,
    ) -> u32 {
        let Some((text, place)) = self.argument(long) else { return default };
        match text.parse::<u64>() {
            Ok(n) if (u64::from(least)..=u64::from(most)).contains(&n) => n as u32,
            _ => {
                let label = format!("expected a number from {least} to {most}");
                problems.push(Problem::new(place, wrong(text), label));
                default
            }
        }
    }

    fn action(&self, problems: &mut Vec<Problem>) -> Option<Action> {
        Some(match self.command {
            Command::List => Action::List(listing::listing(self, problems)?),
            Command::Save => Action::Save { numeric: self.given("numeric").is_some() },
            Command::Restore => Action::Restore,
            Command::Help => Action::Help,
            Command::Version => Action::Version,
            _ => Action::Change(self.change(problems)?),
        })
    }

    fn change(&self, problems: &mut Vec<Problem>) -> Option<Change> {
        let key = self.service().and_then(|_| service::target(self, problems));
        Some(match self.command {
            Command::AddService => Change::AddService(service::rule(self, key, problems)?),
            Command::EditService => Change::EditService(service::rule(self, key, problems)?),
            Command::DeleteService => Change::DeleteService(key?),
            Command::AddServer => {
                let rule = server::rule(self, key, problems)?;
                Change::AddServer(key?, rule)
            }
            Command::EditServer => {
                let rule = server::rule(self, key, problems)?;
                Change::EditServer(key?, rule)
            }
            Command::DeleteServer => {
                let (rip, port) = server::address(self, key, problems)?;
                Change::DeleteServer(key?, rip, port)
            }
            Command::AddLocal => {
                let address = server::local_address(self, problems)?;
                Change::AddLocalAddress(key?, address)
            }
            Command::DeleteLocal => {
                let address = server::local_address(self, problems)?;
                Change::DeleteLocalAddress(key?, address)
            }
            Command::Zero => Change::Zero(match self.service() {
                Some(_) => Some(key?),
                None => None,
            }),
            Command::StartDaemon => Change::StartDaemon(daemon::start(self, problems)?),
            Command::StopDaemon => Change::StopDaemon(daemon::stop(self, problems)?),
            Command::Set => Change::SetTimeouts(daemon::timeouts(self, problems)?),
            _ => Change::Clear,
        })
    }

    /// Options that may not stand here, options given twice or missing, words that belong to nothing.
    fn check(&self, problems: &mut Vec<Problem>) {
        for (i, given) in self.options.iter().enumerate() {
            problems.extend(self.check_option(i, given));
        }
        self.check_required(problems);
        if self.command != Command::Set {
            for (word, place) in &self.rest {
                let message = format!("unexpected argument {word}");
                let problem = Problem::new(place, message, "belongs to no option");
                if word.starts_with('#') {
                    problems.push(problem.help("a comment stands on a line of its own"));
                    break;
                }
                problems.push(problem);
            }
        }
    }

    fn check_option(&self, i: usize, given: &Given<'_>) -> Option<Problem> {
        let opt = given.opt;
        let earlier = &self.options[..i];
        let command = self.command.name();
        if let Role::Command(_) = opt.role {
            let again = "a line has one command";
            return (i > 0)
                .then(|| Problem::new(&given.place, "multiple commands specified", again));
        }
        if opt.role != Role::Family && earlier.iter().any(|g| g.opt.name == opt.name) {
            let message = format!("multiple '{}' options specified", opt.name);
            return Some(Problem::new(&given.place, message, "given before on this line"));
        }
        match self.command.takes(opt.role) {
            Legality::Never => {
                let message = format!("Illegal '{}' option with the '{command}' command", opt.name);
                Some(Problem::new(&given.place, message, self.command.allowed()))
            }
            Legality::OneOf => {
                let other =
                    earlier.iter().find(|g| self.command.takes(g.opt.role) == Legality::OneOf)?;
                let message = format!(
                    "The option '{}' conflicts with the '{}' option in the '{command}' command",
                    opt.name, other.opt.name
                );
                Some(Problem::new(&given.place, message, "one of them"))
            }
            Legality::Must | Legality::May => None,
        }
    }

    fn check_required(&self, problems: &mut Vec<Problem>) {
        let required = [
            (Role::Service, "service-address", "-t, -u, -f or --sctp-service with the service"),
            (Role::RealServer, "real-server", "-r with the real server"),
            (Role::LocalAddress, "local-address", "-z with the local address"),
        ];
        for (role, name, label) in required {
            let there = self.options.iter().any(|g| g.opt.role == role);
            if self.command.takes(role) == Legality::Must && !there {
                let command = self.command.name();
                let message =
                    format!("You need to supply the '{name}' option for the '{command}' command");
                let problem = Problem::new(&self.place, message, format!("{label} is missing"));
                problems.push(problem);
            }
        }
    }
}

/// The command: the first option of a line.
fn command(given: &[Given<'_>], words: &[Word<'_>]) -> Result<Command, Vec<Problem>> {
    let Some((word, place)) = words.first() else { return Ok(Command::List) };
    let first = given.first().filter(|g| g.place.span.start <= place.span.start + 1);
    if let Some(Role::Command(command)) = first.map(|g| g.opt.role) {
        return Ok(command);
    }
    if let Some(long) = word.strip_prefix("--")
        && by_long(long).len() > 1
    {
        return Err(vec![unknown(word, long, place)]);
    }
    let message = format!("`{word}` is no command of ipvsadm");
    let commands = OPTIONS.iter().filter(|o| matches!(o.role, Role::Command(_)));
    let short = commands.clone().filter_map(|o| o.short).map(|c| format!("-{c}"));
    let long = commands.clone().filter(|o| o.short.is_none()).map(|o| format!("--{}", o.long));
    let label = format!("the first option is one of {}", list(short.chain(long)));
    let problem = Problem::new(place, message, label);
    let later = given.iter().find(|g| matches!(g.opt.role, Role::Command(_)));
    let near = nearest(word.trim_start_matches('-'), commands.map(|o| o.long));
    Err(vec![match (later, near) {
        (Some(later), _) => {
            problem.help(format!("put --{} in front of the other options", later.opt.long))
        }
        (None, Some(near)) if word.len() > 3 => problem.help(format!("did you mean `--{near}`?")),
        _ => problem,
    }])
}

/// The words of a list in an argument, with their places.
pub(super) fn items<'a>((text, place): &Word<'a>) -> Vec<Word<'a>> {
    let mut at = place.span.start;
    let mut items = Vec::new();
    for item in text.split(',') {
        items.push((item, Place::new(place.file, at..at + item.len())));
        at += item.len() + 1;
    }
    items
}

/// `-s rr`, `-r 10.0.0.1:80`: how an option is shown in advice.
pub(super) fn shown(given: &Given<'_>) -> String {
    let name = match given.opt.short {
        Some(c) => format!("-{c}"),
        None => format!("--{}", given.opt.long),
    };
    match &given.argument {
        Some((text, _)) if given.opt.argument != Argument::None => format!("{name} {text}"),
        _ => name,
    }
}

/// The service that a line names, however wrong the rest of the line is.
pub(super) fn service_of(words: &[Word<'_>], names: &Names) -> Option<ServiceKey> {
    let Parsed { options, rest, .. } = options(words);
    let command = command(&options, words).ok()?;
    let line = Line { command, place: Place::default(), names, options, rest };
    service::target(&line, &mut Vec::new())
}
