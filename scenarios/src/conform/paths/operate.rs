//! Commands typed on a host while a case goes on.

use super::tables;
use crate::import::ipvsadm::{self as import, Action, Names};
use sim_core::world::World;

/// Runs a command now. What differs from the lines that it printed when it was recorded, if it prints
/// anything that is simulated.
///
/// # Errors
/// The command is not understood.
pub(super) fn run(
    world: &mut World,
    host: usize,
    command: &str,
    recorded: &[&str],
) -> Result<Option<String>, String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    match &words[..] {
        ["ip", "neigh", "show", ip] => {
            let lines = tables::neighbour_lines(world, host);
            let of = format!("{ip} ");
            let ours: Vec<_> = lines.into_iter().filter(|l| l.starts_with(&of)).collect();
            let theirs: Vec<_> = recorded.iter().map(|l| l.trim_end().to_owned()).collect();
            Ok((ours != theirs).then(|| format!("recorded {theirs:?}, ours {ours:?}")))
        }
        ["ipvsadm", ..] => ipvsadm(world, host, command).map(|()| None),
        _ => Err(format!("not understood: {command}")),
    }
}

/// Changes the rules of a director.
fn ipvsadm(world: &mut World, host: usize, command: &str) -> Result<(), String> {
    let action = import::line(crate::diagnostic::FileId::default(), 0, command, &Names::NONE);
    let action = action.map_err(|problems| {
        let first = problems.first().map_or("", |p| p.message.as_str());
        format!("{command}: {first}")
    })?;
    let Some(Action::Change(change)) = action else {
        return Err(format!("not a change of rules: {command}"));
    };
    world.change_rules(host, &change).map_err(|why| format!("{command}: {why}"))
}
