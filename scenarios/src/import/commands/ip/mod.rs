//! `ip` of iproute2, with the abbreviations it accepts.

mod address;
mod link;
mod route;
mod rule;

pub(super) use address::last_of;
pub(super) use route::MAIN;

use super::action::{Action, Family, FouPort, Word};
use super::words::{Words, wrong};
use crate::diagnostic::Problem;

/// Objects in the order in which `ip` looks for an abbreviation.
const OBJECTS: [&str; 25] = [
    "address",
    "addrlabel",
    "maddress",
    "route",
    "rule",
    "neighbor",
    "neighbour",
    "ntable",
    "ntbl",
    "link",
    "l2tp",
    "fou",
    "ila",
    "macsec",
    "tunnel",
    "tunl",
    "tuntap",
    "token",
    "tcpmetrics",
    "monitor",
    "xfrm",
    "mroute",
    "mrule",
    "netns",
    "nexthop",
];

/// What a command of `ip` comes to.
pub(super) enum Outcome {
    /// Changes.
    Actions(Vec<Action>),
    /// It only shows something.
    Shows,
    /// It changes something that has no effect in the simulation: why.
    NoEffect(&'static str),
    /// `ip -batch FILE`.
    Batch(Word),
}

impl From<Action> for Outcome {
    fn from(action: Action) -> Self {
        Self::Actions(vec![action])
    }
}

/// Reads the words of a command that begins with `ip`.
pub(super) fn read(words: &[Word]) -> Result<Outcome, Problem> {
    let mut words = Words::new(words);
    let mut family = None;
    while let Some(option) = words.peek().filter(|w| w.value.starts_with('-')) {
        words.take();
        let text = option.value.trim_start_matches('-');
        match text {
            "4" => family = Some(Family::V4),
            "6" => family = Some(Family::V6),
            "f" | "family" => {
                let word = words.value("inet or inet6")?;
                family = match word.value.as_str() {
                    "inet" => Some(Family::V4),
                    "inet6" => Some(Family::V6),
                    _ => return Err(wrong(word, "family", "inet or inet6")),
                };
            }
            "b" | "batch" => return Ok(Outcome::Batch(words.value("a file")?.clone())),
            "force" | "s" | "stats" | "statistics" | "d" | "details" | "o" | "oneline" | "c"
            | "color" | "br" | "brief" | "j" | "json" | "p" | "pretty" | "r" | "resolve" | "h"
            | "human" | "V" | "Version" => {}
            _ => {
                return Err(words.unknown(
                    option,
                    &["-4", "-6", "-family", "-batch", "-force", "-stats", "-details", "-oneline"],
                ));
            }
        }
    }
    if words.peek().is_none() {
        return Ok(Outcome::Shows);
    }
    match words.abbreviated(&OBJECTS)? {
        "address" => address::read(&mut words, family),
        "link" => link::read(&mut words),
        "tunnel" | "tunl" => link::tunnel(&mut words, family),
        "route" => route::read(&mut words, family),
        "rule" => rule::read(&mut words, family),
        "neighbor" | "neighbour" => address::neighbour(&mut words),
        "fou" => fou(&mut words, family),
        "monitor" | "ntable" | "ntbl" | "tcpmetrics" => Ok(Outcome::Shows),
        "addrlabel" | "token" | "maddress" | "mroute" | "mrule" => {
            Ok(Outcome::NoEffect("nothing that is simulated depends on it"))
        }
        _ => {
            let message = format!("`{}` is not simulated", words.name);
            let label = "simulated are address, link, tunnel, route, rule, neighbour and fou";
            Err(Problem::new(&words.last(), message, label))
        }
    }
}

/// `ip fou add port 5555 gue`, `ip fou add port 5555 ipproto 4`.
fn fou(words: &mut Words<'_>, family: Option<Family>) -> Result<Outcome, Problem> {
    let verb = words.abbreviated(&["add", "delete", "show", "list"])?;
    if verb == "show" || verb == "list" {
        return Ok(Outcome::Shows);
    }
    let mut port = None;
    let mut protocol = None;
    let mut gue = false;
    let mut v6 = family == Some(Family::V6);
    while let Some(word) = words.take() {
        match word.value.as_str() {
            "port" => port = Some(words.number(1, 65_535)?),
            "ipproto" => {
                let word = words.value("a protocol")?;
                protocol = Some(super::iptables::protocol(word)?);
            }
            "gue" => gue = true,
            "-6" => v6 = true,
            "local" | "peer" | "peer_port" | "dev" => {
                words.value("a value")?;
            }
            _ => {
                return Err(
                    words.unknown(word, &["port", "ipproto", "gue", "local", "peer", "dev"])
                );
            }
        }
    }
    let port = port.and_then(|p| u16::try_from(p).ok()).ok_or_else(|| words.lacks("`port N`"))?;
    if verb == "delete" {
        return Ok(Action::DeleteFou(port).into());
    }
    if !gue && protocol.is_none() {
        return Err(words.lacks("`gue` or `ipproto N`"));
    }
    let protocol = protocol.filter(|_| !gue);
    Ok(Action::AddFou(FouPort { port, protocol, v6 }).into())
}
