//! One line of rules: words, options, and whether they may stand together.

use super::options::{Argument, OPTIONS, Opt, Role, by_long, by_short};
use super::{Address, Target, service};
use crate::diagnostic::{FileId, Place, Problem};
use crate::format::words::nearest;

/// The commands that rules can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Command {
    AddService,
    AddServer,
    Clear,
    Set,
}

/// A given option.
#[derive(Clone, Debug)]
pub(super) struct Given<'a> {
    pub(super) opt: &'static Opt,
    pub(super) place: Place,
    /// Its argument with its place.
    pub(super) argument: Option<(&'a str, Place)>,
}

/// A line that was understood.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) command: Command,
    pub(super) place: Place,
    options: Vec<Given<'a>>,
    words: Vec<(&'a str, Place)>,
}

type Word<'a> = (&'a str, Place);

impl<'a> Line<'a> {
    /// Reads a line; `None` if it says nothing.
    pub(super) fn read(
        file: FileId,
        base: usize,
        raw: &'a str,
    ) -> Result<Option<Self>, Vec<Problem>> {
        let words = words(file, base, raw);
        let (Some(first), Some(last)) = (words.first(), words.last()) else { return Ok(None) };
        let place = Place::new(file, first.1.span.start..last.1.span.end);
        let (given, rest, mut problems) = options(&words);
        let command = match command(&given, &words) {
            Ok(command) => command,
            Err(problem) => return Err(vec![problem]),
        };
        let line = Self { command, place, options: given, words: rest };
        line.check(&mut problems);
        if problems.is_empty() { Ok(Some(line)) } else { Err(problems) }
    }

    /// The option with ipvsadm's name `name`.
    pub(super) fn given(&self, long: &str) -> Option<&Given<'a>> {
        self.options.iter().find(|g| g.opt.long == long)
    }

    /// The argument of an option.
    pub(super) fn argument(&self, long: &str) -> Option<&(&'a str, Place)> {
        self.given(long)?.argument.as_ref()
    }

    /// The service that the line is about.
    pub(super) fn target(&self) -> Result<Target, Vec<Problem>> {
        let Some(given) = self.options.iter().find(|g| g.opt.role == Role::Service) else {
            return Err(vec![self.lacks("service-address", "-t, -u or -f with the service")]);
        };
        service::target(self, given)
    }

    /// The address of the real server.
    pub(super) fn real_server(&self) -> Result<(Address, Place), Vec<Problem>> {
        let Some((text, place)) = self.argument("real-server") else {
            return Err(vec![self.lacks("real-server", "-r with the real server")]);
        };
        let wrong = "illegal real server address[:port] specified";
        service::address(text, place, wrong).map(|a| (a, place.clone()))
    }

    /// The three timeouts of `--set`, seconds.
    pub(super) fn timeouts(&self) -> Result<[u64; 3], Vec<Problem>> {
        let mut words = Vec::new();
        words.extend(self.argument("set").cloned());
        words.extend(self.words.iter().cloned());
        let [tcp, fin, udp] = &words[..] else {
            return Err(vec![Problem::new(
                &self.place,
                "--set option requires 3 timeout values",
                "--set TCP TCPFIN UDP, in seconds, 0 to keep one",
            )]);
        };
        let mut timeouts = [0; 3];
        for (slot, (text, place)) in timeouts.iter_mut().zip([tcp, fin, udp]) {
            *slot = text.parse().ok().filter(|t| *t <= 86_400 * 31).ok_or_else(|| {
                let message = format!("invalid timeout value `{text}' specified");
                vec![Problem::new(place, message, "seconds, 0 to 2678400")]
            })?;
        }
        Ok(timeouts)
    }

    fn lacks(&self, name: &str, label: &str) -> Problem {
        let command = self.command_name();
        let message = format!("You need to supply the '{name}' option for the '{command}' command");
        Problem::new(&self.place, message, format!("{label} is missing"))
    }

    const fn command_name(&self) -> &'static str {
        match self.command {
            Command::AddService => "add-service",
            Command::AddServer => "add-server",
            Command::Clear => "flush",
            Command::Set => "set",
        }
    }

    /// Options that may not stand here, options given twice, words that belong to nothing.
    fn check(&self, problems: &mut Vec<Problem>) {
        for (i, given) in self.options.iter().enumerate() {
            let opt = given.opt;
            if self.options[..i].iter().any(|g| g.opt.name == opt.name) {
                let message = match opt.role {
                    Role::Command | Role::OtherCommand => "multiple commands specified".to_owned(),
                    _ => format!("multiple '{}' options specified", opt.name),
                };
                problems.push(Problem::new(&given.place, message, "given before on this line"));
            } else if !self.allows(opt.role) {
                let message = format!(
                    "Illegal '{}' option with the '{}' command",
                    opt.name,
                    self.command_name()
                );
                problems.push(Problem::new(&given.place, message, self.allowed()));
            }
        }
        if self.command != Command::Set {
            for (word, place) in &self.words {
                let message = format!("unexpected argument {word}");
                problems.push(Problem::new(place, message, "belongs to no option"));
            }
        }
    }

    fn allows(&self, role: Role) -> bool {
        match role {
            // ipvsadm-save -n is what people run; -n in a rule does no harm
            Role::Command | Role::Listing => true,
            Role::Service => matches!(self.command, Command::AddService | Command::AddServer),
            Role::ServiceOption => self.command == Command::AddService,
            Role::RealServer | Role::ServerOption => self.command == Command::AddServer,
            Role::OtherCommand | Role::Other => false,
        }
    }

    const fn allowed(&self) -> &'static str {
        match self.command {
            Command::AddService => "-A takes -t -u -f and -s -p -M -o -b --pe",
            Command::AddServer => "-a takes -t -u -f, -r and -g -i -m -w -x -y --tun-type",
            Command::Clear => "-C takes no option",
            Command::Set => "--set takes three timeouts",
        }
    }
}

fn words(file: FileId, base: usize, raw: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = raw;
    let mut at = base;
    while let Some(skip) = rest.find(|c: char| !c.is_ascii_whitespace()) {
        let tail = &rest[skip..];
        let len = tail.find(|c: char| c.is_ascii_whitespace()).unwrap_or(tail.len());
        at += skip;
        if &tail[..len] != "ipvsadm" {
            words.push((&tail[..len], Place::new(file, at..at + len)));
        }
        at += len;
        rest = &tail[len..];
    }
    words
}

fn command(given: &[Given<'_>], words: &[Word<'_>]) -> Result<Command, Problem> {
    let allowed = "a line is -A (add a service), -a (add a real server), -C or --set";
    let place = &words[0].1;
    let first = given.first().filter(|g| g.place.span.start == place.span.start);
    match first.map(|g| g.opt) {
        Some(Opt { role: Role::Command, long, .. }) => Ok(match *long {
            "add-service" => Command::AddService,
            "add-server" => Command::AddServer,
            "clear" => Command::Clear,
            _ => Command::Set,
        }),
        Some(Opt { role: Role::OtherCommand, long, .. }) => {
            let message = format!("the command --{long} has no place in rules");
            Err(Problem::new(place, message, allowed))
        }
        _ => {
            let message = format!("`{}` is no command of ipvsadm", words[0].0);
            Err(Problem::new(place, message, allowed))
        }
    }
}

/// Splits words into options and what is left over.
fn options<'a>(words: &[Word<'a>]) -> (Vec<Given<'a>>, Vec<Word<'a>>, Vec<Problem>) {
    let (mut given, mut rest, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    let mut i = 0;
    while let Some((word, place)) = words.get(i) {
        i += 1;
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v)));
            let Some(opt) = by_long(name) else {
                problems.push(unknown(word, name, place));
                // what follows is most likely its argument
                i += usize::from(words.get(i).is_some_and(|w| !w.0.starts_with('-')));
                continue;
            };
            let value_place =
                Place::new(place.file, place.span.start + 3 + name.len()..place.span.end);
            let inline = value.map(|v| (v, value_place));
            let argument = take(opt, inline, words, &mut i, place, &mut problems);
            given.push(Given { opt, place: place.clone(), argument });
        } else if word.len() > 1 && word.starts_with('-') {
            short(word, place, words, &mut i, &mut given, &mut problems);
        } else {
            rest.push((*word, place.clone()));
        }
    }
    (given, rest, problems)
}

/// Options combined in one word: `-Ln`; an argument may follow at once: `-w5`.
fn short<'a>(
    word: &'a str,
    place: &Place,
    words: &[Word<'a>],
    i: &mut usize,
    given: &mut Vec<Given<'a>>,
    problems: &mut Vec<Problem>,
) {
    for (n, c) in word.char_indices().skip(1) {
        let Some(opt) = by_short(c) else {
            problems.push(unknown(word, &c.to_string(), place));
            return;
        };
        let rest = &word[n + c.len_utf8()..];
        let inline = (opt.argument != Argument::None && !rest.is_empty()).then(|| {
            (rest, Place::new(place.file, place.span.start + n + c.len_utf8()..place.span.end))
        });
        let ends = inline.is_some();
        let argument = take(opt, inline, words, i, place, problems);
        given.push(Given { opt, place: place.clone(), argument });
        if ends {
            return;
        }
    }
}

fn take<'a>(
    opt: &Opt,
    inline: Option<Word<'a>>,
    words: &[Word<'a>],
    i: &mut usize,
    place: &Place,
    problems: &mut Vec<Problem>,
) -> Option<Word<'a>> {
    if opt.argument == Argument::None || inline.is_some() {
        return inline;
    }
    let next = words.get(*i).filter(|w| !w.0.starts_with('-'));
    if let Some(word) = next {
        *i += 1;
        return Some(word.clone());
    }
    if opt.argument == Argument::Word {
        let message = format!("the option '{}' lacks its argument", opt.long);
        problems.push(Problem::new(place, message, "expected a word after it"));
    }
    None
}

fn unknown(word: &str, name: &str, place: &Place) -> Problem {
    let problem =
        Problem::new(place, format!("{word}: unknown option"), "not an option of ipvsadm");
    match nearest(name, OPTIONS.iter().map(|o| o.long)) {
        Some(near) if name.len() > 1 => problem.help(format!("did you mean `--{near}`?")),
        _ => problem,
    }
}
