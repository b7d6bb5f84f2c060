//! `ip rule`.

use super::super::action::{Action, Family, Net, Rule, Word};
use super::super::words::{Words, masked_number, net};
use super::Outcome;
use super::route::{MAIN, table};
use crate::diagnostic::Problem;

const VERBS: [&str; 8] = ["list", "lst", "show", "add", "delete", "flush", "save", "restore"];
const OPTIONS: [&str; 11] = [
    "from",
    "to",
    "fwmark",
    "iif",
    "oif",
    "table",
    "lookup",
    "priority",
    "preference",
    "pref",
    "order",
];
/// What a rule may ask for besides.
const UNPLAYED: [&str; 15] = [
    "not",
    "tos",
    "dsfield",
    "ipproto",
    "sport",
    "dport",
    "uidrange",
    "goto",
    "blackhole",
    "unreachable",
    "prohibit",
    "nat",
    "suppress_prefixlength",
    "l3mdev",
    "realms",
];

pub(super) fn read(words: &mut Words<'_>, family: Option<Family>) -> Result<Outcome, Problem> {
    if words.peek().is_none() {
        return Ok(Outcome::Shows);
    }
    let verb = words.abbreviated(&VERBS)?;
    if verb != "add" && verb != "delete" {
        if verb == "flush" {
            let message = "`ip rule flush` is not simulated";
            return Err(Problem::new(&words.place(), message, "delete the rules one by one"));
        }
        return Ok(Outcome::Shows);
    }
    let mut rule = Rule {
        priority: None,
        from: None,
        to: None,
        mark: None,
        input: None,
        output: None,
        table: MAIN,
        family: family.unwrap_or(Family::V4),
        place: words.place(),
    };
    let mut given = family;
    while let Some(word) = words.take() {
        match word.value.as_str() {
            "from" => rule.from = block(words.value("a block or all")?, &mut given)?,
            "to" => rule.to = block(words.value("a block or all")?, &mut given)?,
            "fwmark" => rule.mark = Some(masked_number(words.value("a mark")?)?),
            "iif" | "dev" => rule.input = Some(words.value("an interface")?.clone()),
            "oif" => rule.output = Some(words.value("an interface")?.clone()),
            "table" | "lookup" => rule.table = table(words)?,
            "priority" | "preference" | "pref" | "order" => {
                rule.priority = u32::try_from(words.number(0, u64::from(u32::MAX))?).ok();
            }
            "protocol" => {
                words.value("a name")?;
            }
            other if UNPLAYED.contains(&other) => {
                let message = format!("rules with `{}` are not simulated", word.value);
                let label = "simulated are from, to, fwmark, iif, table and priority";
                return Err(Problem::new(&word.place, message, label));
            }
            _ => return Err(words.unknown(word, &OPTIONS)),
        }
    }
    rule.family = given.unwrap_or(Family::V4);
    let action = if verb == "add" { Action::AddRule(rule) } else { Action::DeleteRule(rule) };
    Ok(action.into())
}

fn block(word: &Word, given: &mut Option<Family>) -> Result<Option<Net>, Problem> {
    match word.value.as_str() {
        "all" | "any" | "default" | "0/0" | "0.0.0.0/0" => Ok(None),
        _ => {
            let net = net(word)?;
            given.get_or_insert(net.family());
            Ok(Some(net.masked()))
        }
    }
}
