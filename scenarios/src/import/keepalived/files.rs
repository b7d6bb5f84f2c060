//! Names of included files, with wildcards.

use crate::model::Files;

/// The files that a pattern stands for, relative to `folder`: `*`, `?` and `[...]` in the parts of a
/// path, alternatives in braces. Sorted within each alternative, as `glob(3)` does.
pub(super) fn matching(files: &dyn Files, folder: &str, pattern: &str) -> Vec<String> {
    let mut found = Vec::new();
    for pattern in alternatives(pattern) {
        let path = match (pattern.starts_with('/'), folder) {
            (true, _) | (false, "") => pattern,
            (false, folder) => format!("{folder}/{pattern}"),
        };
        let mut paths = vec![String::new()];
        let last = path.split('/').count();
        for (n, part) in path.split('/').enumerate() {
            let mut longer = Vec::new();
            for start in paths {
                let join =
                    |name: &str| if n == 0 { name.to_owned() } else { format!("{start}/{name}") };
                if !part.contains(['*', '?', '[']) {
                    longer.push(join(part));
                    continue;
                }
                let mut names = files.names(if n == 1 && start.is_empty() { "/" } else { &start });
                names.retain(|name| {
                    fits(part, name) && (part.starts_with('.') || !name.starts_with('.'))
                });
                names.sort();
                longer.extend(names.iter().map(|name| join(name)));
            }
            paths = longer;
            if n + 1 == last {
                break;
            }
        }
        found.extend(paths.into_iter().filter(|p| files.read(p).is_ok()));
    }
    found
}

/// `a{b,c}d` is `abd` and `acd`.
fn alternatives(pattern: &str) -> Vec<String> {
    let Some((open, close)) = pattern
        .find('{')
        .and_then(|o| pattern[o..].find('}').map(|c| (o, o + c)))
        .filter(|(o, c)| pattern[*o..*c].contains(','))
    else {
        return vec![pattern.to_owned()];
    };
    let (before, after) = (&pattern[..open], &pattern[close + 1..]);
    let rest = if pattern.len() < 4096 { alternatives(after) } else { vec![after.to_owned()] };
    let inner = pattern[open + 1..close].split(',');
    let mut all: Vec<String> =
        inner.flat_map(|i| rest.iter().map(move |r| format!("{before}{i}{r}"))).collect();
    all.truncate(1000);
    all
}

/// Whether a name fits a pattern with `*`, `?` and `[...]`.
fn fits(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // the usual search with one place to come back to: the last star
    let (mut p, mut n, mut back) = (0, 0, None);
    while n < name.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                back = Some((p, n));
                p += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('[') => class(&pattern[p..], name[n]),
            Some(c) if *c == name[n] => Some(1),
            _ => None,
        };
        match (step, back) {
            (Some(length), _) => (p, n) = (p + length, n + 1),
            (None, Some((star, at))) => {
                back = Some((star, at + 1));
                (p, n) = (star + 1, at + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// The length of a `[...]` that holds a letter.
fn class(pattern: &[char], c: char) -> Option<usize> {
    let end = pattern.iter().skip(2).position(|c| *c == ']')? + 2;
    let inner = &pattern[1..end];
    let (inner, not) = match inner.split_first() {
        Some(('!' | '^', rest)) => (rest, true),
        _ => (inner, false),
    };
    let mut holds = false;
    let mut n = 0;
    while n < inner.len() {
        if n + 2 < inner.len() && inner[n + 1] == '-' {
            holds |= (inner[n]..=inner[n + 2]).contains(&c);
            n += 3;
        } else {
            holds |= inner[n] == c;
            n += 1;
        }
    }
    (holds != not).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Embedded;

    #[test]
    fn wildcards_fit_as_a_shell_has_them() {
        for (pattern, name, good) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.cfg", false),
            ("vi_?", "vi_1", true),
            ("vi_[0-9]", "vi_x", false),
            ("vi_[!0-9]", "vi_x", true),
            ("a*b*c", "aXbYbZc", true),
            ("[", "[", false),
        ] {
            assert_eq!(fits(pattern, name), good, "{pattern} {name}");
        }
    }

    #[test]
    fn files_are_found_beside_the_including_one() {
        let files = Embedded(&[("d/b.conf", ""), ("d/a.conf", ""), ("d/x", ""), ("c.conf", "")]);
        assert_eq!(matching(&files, "", "d/*.conf"), ["d/a.conf", "d/b.conf"]);
        assert_eq!(matching(&files, "d", "{x,b.conf}"), ["d/x", "d/b.conf"]);
        assert_eq!(matching(&files, "d", "c.conf"), [""; 0]);
        assert_eq!(matching(&files, "", "*/x"), ["d/x"]);
    }
}
