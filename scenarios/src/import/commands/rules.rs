//! The rules that the commands of ipvsadm in a script leave.

use super::{Action, Command, Word};
use crate::diagnostic::{Place, Problem};
use crate::import::ipvsadm::{self, Names, Rules};

/// The rules of the commands of ipvsadm, carried out in order; `None` if there are none.
pub fn rules(commands: &[Command], names: &Names, problems: &mut Vec<Problem>) -> Option<Rules> {
    let lines: Vec<&[Word]> = commands
        .iter()
        .filter_map(|c| match &c.action {
            Action::Ipvsadm(words) if !words.is_empty() => Some(&words[..]),
            _ => None,
        })
        .collect();
    if lines.is_empty() { None } else { Some(rules_of(&lines, names, problems)) }
}

/// The rules that commands of ipvsadm leave, each given by the words after its name.
fn rules_of(lines: &[&[Word]], names: &Names, problems: &mut Vec<Problem>) -> Rules {
    let mut text = String::new();
    let mut words: Vec<(usize, &Place)> = Vec::new();
    for line in lines {
        for word in *line {
            words.push((text.len(), &word.place));
            text.push_str(&word.value);
            text.push(' ');
        }
        text.push('\n');
    }
    let file =
        lines.iter().filter_map(|l| l.first()).map(|w| w.place.file).next().unwrap_or_default();
    let mut found = Vec::new();
    let mut rules = ipvsadm::read(file, 0, &text, names, &mut found);
    let original = |place: &mut Place| *place = written(place, &words);
    for problem in &mut found {
        problem.place.as_mut().map(original);
    }
    rules.services.iter_mut().for_each(original);
    rules.servers.iter_mut().flatten().for_each(original);
    problems.append(&mut found);
    rules
}

/// Where the words stand that a span of the joined text covers.
fn written(place: &Place, words: &[(usize, &Place)]) -> Place {
    let at = |offset: usize| {
        let index = words.partition_point(|(start, _)| *start <= offset).saturating_sub(1);
        words.get(index).map(|(start, p)| (*start, (*p).clone()))
    };
    let (Some((start, first)), Some((_, last))) =
        (at(place.span.start), at(place.span.end.saturating_sub(1)))
    else {
        return place.clone();
    };
    if first == last {
        // a part of a word is shown as such if it stands there as it is
        let from = first.span.start + (place.span.start - start).min(first.span.len());
        let end = (from + place.span.len()).min(first.span.end);
        return Place::new(first.file, from..end.max(from));
    }
    if first.file != last.file || last.span.end < first.span.start {
        return first;
    }
    Place::new(first.file, first.span.start..last.span.end)
}
