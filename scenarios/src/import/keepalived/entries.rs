//! Lines of blocks without keywords.

use super::grammar::Entry;
use super::letters::Word;
use super::values::{address, mask, net, number, port};
use crate::diagnostic::Problem;

/// What is wrong with a line.
pub(super) fn check(entry: Entry, words: &[Word]) -> Vec<Problem> {
    let word = &words[0];
    match entry {
        Entry::Address => {
            let message = format!("VRRP parsed invalid IP {}. skipping IP...", word.text);
            let bad = words.iter().find(|w| !["brd", "dev"].contains(&w.text.as_str()));
            let bad = bad.is_none_or(|w| net(&w.text).is_none());
            let label = "expected ADDRESS[/LENGTH] and its options";
            if bad { vec![Problem::new(&word.place, message, label)] } else { Vec::new() }
        }
        Entry::Peer if address(&word.text).is_none() => {
            let message = format!("malformed unicast peer address[{}]. Skipping...", word.text);
            vec![Problem::new(&word.place, message, "expected an IPv4 or IPv6 address")]
        }
        Entry::Interface if word.text.len() > 15 => {
            let message = format!("Interface name '{}' too long - ignoring", word.text);
            vec![Problem::new(&word.place, message, "at most 15 letters")]
        }
        Entry::Free | Entry::Peer | Entry::Interface => Vec::new(),
        Entry::Route => route(words),
        Entry::Rule => rule(words),
        Entry::Group => group(words).into_iter().collect(),
    }
}

/// The word behind an option.
pub(super) fn behind<'a>(words: &'a [Word], option: &str) -> Option<&'a Word> {
    let at = words.iter().position(|w| w.text == option)?;
    words.get(at + 1)
}

fn is(words: &[Word], option: &str) -> bool {
    words.iter().any(|w| w.text == option)
}

/// A route of `virtual_routes`: deprecated words, and whether it can be tracked.
fn route(words: &[Word]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (old, new) in [("or", "nexthop"), ("gw", "via")] {
        if let Some(word) = words.iter().find(|w| w.text == old) {
            let message = format!("\"{old}\" for routes is deprecated. Please use \"{new}\"");
            problems.push(Problem::new(&word.place, message, format!("write `{new}`")));
        }
    }
    if is(words, "no_track") {
        return problems;
    }
    let option =
        |n: usize| n > 0 && ["src", "via", "gw", "or"].contains(&words[n - 1].text.as_str());
    let named = |n: usize| words[n].text == "default" || net(&words[n].text).is_some();
    let target = (0..words.len()).find(|n| named(*n) && !option(*n)).unwrap_or(0);
    let target = &words[target];
    // interfaces of next hops are not those of the route
    let before_hops = words.split(|w| w.text == "nexthop").next().unwrap_or(words);
    if !is(before_hops, "dev") {
        let shown = match net(&target.text) {
            Some((ip, length)) => format!("{ip}/{length}"),
            None => target.text.clone(),
        };
        let message = format!(
            "Warning - cannot track route {shown} with no interface specified, not tracking"
        );
        problems.push(Problem::new(&target.place, message, "`dev IF` or `no_track` is missing"));
    } else if let Some(protocol) = behind(words, "proto").or_else(|| behind(words, "protocol"))
        && !matches!(protocol.text.as_str(), "18" | "keepalived")
    {
        let message =
            "Route cannot be tracked if protocol is not RTPROT_KEEPALIVED(18), resetting protocol";
        problems.push(Problem::new(&protocol.place, message, "`no_track` keeps the protocol"));
    }
    problems
}

/// A rule of `virtual_rules`: its networks, and its preference.
fn rule(words: &[Word]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for option in ["from", "to"] {
        if let Some(word) = behind(words, option)
            && !matches!(word.text.as_str(), "all" | "any" | "default")
            && net(&word.text).is_none()
        {
            let message = format!("Invalid rule {option} address {}", word.text);
            problems.push(Problem::new(&word.place, message, "expected ADDRESS[/LENGTH]"));
        }
    }
    let given = ["preference", "pref", "priority", "order"].into_iter().any(|o| is(words, o));
    if !given && problems.is_empty() {
        let message = "Rule has no preference specified - setting to 16384. This is probably not what you want.";
        problems.push(Problem::new(&words[0].place, message, "`preference N` is missing"));
    }
    problems
}

/// An entry of a `virtual_server_group`.
fn group(words: &[Word]) -> Option<Problem> {
    let word = &words[0];
    if word.text == "fwmark" {
        let Some(mark) = words.get(1) else {
            return Some(Problem::new(&word.place, "fwmark needs a number", "the mark is missing"));
        };
        return number(mark, 1, 4_294_967_295).err();
    }
    if super::service_group::addresses(&word.text).is_none() {
        let message = format!("Invalid virtual server group IP address {} - skipping", word.text);
        return Some(Problem::new(
            &word.place,
            message,
            "expected ADDRESS, FIRST-LAST or NETWORK/LENGTH",
        ));
    }
    let bad = words.get(1).filter(|w| port(&w.text).is_none() && mask(&w.text).is_none())?;
    let message = format!("Invalid virtual server group port {} - skipping", bad.text);
    Some(Problem::new(&bad.place, message, "a port is from 1 to 65535"))
}
