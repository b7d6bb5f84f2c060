//! From a `keepalived.conf` to what keepalived does on a simulated host.
//!
//! What the file only names (what a script's runs come to, what a file holds, how many processes run) is
//! stated by the scenario: [`Schedules`].

mod check;
mod hosts;
mod vrrp;

pub use hosts::settled;

use crate::diagnostic::{Place, Problem};
use crate::format::words::list;
use crate::import::commands::Findings;
use crate::import::keepalived::{Bfd, Configuration};
use sim_core::config::{BfdConfig, HostConfig, KeepalivedConfig};
use sim_core::engine::Span;

/// What becomes of the things that a configuration names, by time of the run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Schedules {
    /// A script or the command of a `MISC_CHECK`: from when on its runs end how, and how long they take.
    pub scripts: Vec<Scheduled<ScriptEnd>>,
    /// A `track_file`: from when on it holds which number.
    pub files: Vec<Scheduled<i32>>,
    /// A `vrrp_track_process`: from when on how many of them run.
    pub processes: Vec<Scheduled<u32>>,
}

/// How the runs of a script end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ScriptEnd {
    /// Exit status.
    pub exit: u8,
    /// How long a run takes.
    pub duration: Span,
    /// Whether it does not end when it is told to (SIGTERM).
    pub stubborn: bool,
}

/// What something named becomes at some time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scheduled<T> {
    /// Its name.
    pub name: String,
    /// When.
    pub at: Span,
    /// What.
    pub value: T,
    /// Where the name is stated.
    pub place: Place,
}

impl Schedules {
    /// The entries of a name in order of time.
    fn of<T: Copy>(all: &[Scheduled<T>], is_meant: impl Fn(&str) -> bool) -> Vec<(Span, T)> {
        let mine = all.iter().filter(|s| is_meant(&s.name)).map(|s| (s.at, s.value));
        let mut mine: Vec<(Span, T)> = mine.collect();
        mine.sort_by_key(|(at, _)| *at);
        mine
    }
}

/// Whether a name of a schedule means a command: it is the command, its program, or the last part of the
/// program's path.
fn means_command(name: &str, command: &str) -> bool {
    let program = command.split_whitespace().next().unwrap_or_default().trim_matches(['"', '\'']);
    name == command || name == program || program.rsplit('/').next() == Some(name)
}

/// What keepalived does on a host with its configuration, which begins at `start`.
///
/// What the configuration asks of the host and does not find there goes to `findings`, at its place in the
/// `keepalived.conf`.
pub fn configure(
    all: &Configuration,
    host: &HostConfig,
    schedules: &Schedules,
    start: Option<Span>,
    findings: &mut Findings,
) -> KeepalivedConfig {
    let vrrp = vrrp::configure(all, host, schedules, findings);
    KeepalivedConfig {
        start,
        vrrp,
        bfd: all.bfd.iter().map(bfd).collect(),
        check: check::configure(all, schedules, findings),
    }
}

fn bfd(session: &Bfd) -> BfdConfig {
    BfdConfig {
        name: session.name.clone(),
        neighbour: session.neighbor,
        source: session.source,
        min_rx: session.min_rx,
        min_tx: session.min_tx,
        idle_tx: session.idle_tx,
        multiplier: session.multiplier,
        passive: session.passive,
        ttl: session.ttl,
        max_hops: u8::try_from(session.max_hops).ok(),
    }
}

/// Whether a host has an interface; if not, that is a problem at `place`.
pub(super) fn has_interface(
    host: &HostConfig,
    name: &str,
    place: &Place,
    findings: &mut Findings,
) -> bool {
    let names = host.interfaces.iter().map(|i| i.name.as_str());
    let tunnels = host.tunnels.iter().map(|t| t.name.as_str());
    let all: Vec<&str> = names.chain(tunnels).chain(["lo"]).collect();
    if all.contains(&name) {
        return true;
    }
    let message = format!("the host `{}` has no interface `{name}`", host.name);
    let label = format!("its interfaces are {}", list(all.iter().copied()));
    findings.problems.push(Problem::new(place, message, label));
    false
}

/// Names in schedules that nothing in the configurations of their hosts has.
pub fn unknown<'a>(schedules: &'a Schedules, all: &Configuration) -> Vec<(&'a Place, String)> {
    let mut found = Vec::new();
    let commands: Vec<&str> = check::commands(all).collect();
    for s in &schedules.scripts {
        let known = all
            .scripts
            .iter()
            .any(|script| script.name == s.name || means_command(&s.name, &script.command))
            || commands.iter().any(|c| means_command(&s.name, c));
        if !known {
            found
                .push((&s.place, format!("no `vrrp_script` or MISC_CHECK is called `{}`", s.name)));
        }
    }
    for s in schedules.files.iter().filter(|s| !all.files.iter().any(|f| f.name == s.name)) {
        found.push((&s.place, format!("no `track_file` is called `{}`", s.name)));
    }
    for s in schedules.processes.iter().filter(|s| !all.processes.iter().any(|p| p.name == s.name))
    {
        found.push((&s.place, format!("no `vrrp_track_process` is called `{}`", s.name)));
    }
    found
}
