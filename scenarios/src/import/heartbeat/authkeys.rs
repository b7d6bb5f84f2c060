//! `authkeys`.

use super::lines::{blank, words};
use crate::diagnostic::{At, FileId, Place, Problem, Sources};
use crate::format::words::nearest;
use crate::import::findings::Findings;
use sim_core::config::AuthMethod;

/// Keys have numbers below this.
const MOST: i64 = 16;
/// Behind so many unknown methods no word is guessed any more: it takes its time.
const MOST_HINTS: usize = 100;

/// What an `authkeys` says.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AuthKeys {
    /// `auth N`: the number of the key that messages are signed with.
    pub number: Option<u8>,
    /// The keys, in the order of the file. Of several with a number the last one counts.
    pub keys: Vec<Key>,
    /// Which of them messages are signed with: the one with that number, behind its `auth` line.
    used: Option<usize>,
}

/// A key.
#[derive(Clone, PartialEq, Debug)]
pub struct Key {
    /// Its number.
    pub number: u8,
    /// How messages are signed.
    pub method: AuthMethod,
    /// The secret; empty for `crc`.
    pub secret: String,
    /// Where it stands.
    pub place: Place,
}

impl AuthKeys {
    /// The key that messages are signed with.
    pub fn key(&self) -> Option<&Key> {
        self.keys.get(self.used?)
    }
}

/// Reads an `authkeys` (`parse_authfile` of heartbeat's `auth.c`).
pub fn read(sources: &Sources, file: FileId) -> (AuthKeys, Findings) {
    let text = sources.text(file);
    let (mut all, mut findings) = (AuthKeys::default(), Findings::default());
    let mut wanted: Option<(i64, Place)> = None;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let words = words(file, offset, line, blank);
        offset += line.len();
        let Some(first) = words.first().filter(|w| !w.value.starts_with('#')) else { continue };
        if first.value.starts_with('a') {
            let number = words.get(1).and_then(number).filter(|_| first.value == "auth");
            if let Some(n) = number {
                wanted = Some((n, first.place.clone()));
            } else {
                let message = format!("Invalid auth line [{}]", line.trim());
                findings.error(&first.place, message, "expected `auth N`");
            }
            continue;
        }
        match key(&words, &mut findings) {
            Ok(key) => {
                if wanted.as_ref().is_some_and(|w| w.0 == i64::from(key.number)) {
                    all.used = Some(all.keys.len());
                }
                all.keys.push(key);
            }
            Err(problem) => findings.errors.push(problem),
        }
    }
    all.number = wanted.as_ref().and_then(|w| u8::try_from(w.0).ok());
    complete(&all, wanted, file, &mut findings);
    (all, findings)
}

fn complete(all: &AuthKeys, wanted: Option<(i64, Place)>, file: FileId, findings: &mut Findings) {
    match (all.key(), wanted) {
        (Some(key), _) if key.method == AuthMethod::Crc => {
            let message = "messages are signed by crc: whoever reaches the port can send them";
            findings.remark(&key.place, message);
        }
        (Some(_), _) => {}
        (None, None) => {
            let place = Place::new(file, 0..0);
            findings.error(&place, "Missing auth directive in keyfile", "`auth N` is missing");
        }
        (None, Some((n, place))) => {
            let message = format!("Auth Key [{n}] not found in keyfile");
            let before = all.keys.iter().any(|k| i64::from(k.number) == n);
            let label = if before {
                "the key must stand behind this line"
            } else {
                "no such key behind this line"
            };
            findings.error(&place, message, label);
        }
    }
}

/// A number as C's `%d` reads it, where the word is nothing else.
fn number(word: &At<&str>) -> Option<i64> {
    word.value.parse().ok()
}

/// `N METHOD [SECRET]`.
fn key(words: &[At<&str>], findings: &mut Findings) -> Result<Key, Problem> {
    let first = &words[0];
    let digits = first.value.trim_start_matches(['+', '-']);
    let glued = digits.find(|c: char| !c.is_ascii_digit()).filter(|n| *n > 0);
    let whole: Vec<At<&str>>;
    // `1sha1 secret` is read as `1 sha1 secret`
    let words = match glued {
        Some(n) => {
            let at = first.value.len() - digits.len() + n;
            let start = first.place.span.start;
            let place = |from, to| Place::new(first.place.file, start + from..start + to);
            let (number, method) = first.value.split_at(at);
            whole = [At::new(number, place(0, at)), At::new(method, place(at, first.value.len()))]
                .into_iter()
                .chain(words[1..].iter().cloned())
                .collect();
            &whole
        }
        None => words,
    };
    let (Some(n), Some(method)) = (number(&words[0]), words.get(1)) else {
        let text: Vec<&str> = words.iter().map(|w| w.value).collect();
        let message = format!("Auth line [{}] is invalid", text.join(" "));
        return Err(Problem::new(&first.place, message, "expected `N METHOD SECRET`"));
    };
    if !(0..MOST).contains(&n) {
        let message = format!("Invalid authnum [{n}]");
        return Err(Problem::new(&words[0].place, message, "expected 0 to 15"));
    }
    let known = [AuthMethod::Crc, AuthMethod::Md5, AuthMethod::Sha1];
    let Some(kind) = known.into_iter().find(|k| k.name() == method.value) else {
        let message = format!("Invalid authtype [{}]", method.value);
        let problem = Problem::new(&method.place, message, "expected sha1, md5 or crc");
        let hint = findings.errors.len() < MOST_HINTS;
        let near = hint.then(|| nearest(method.value, ["sha1", "md5", "crc"])).flatten();
        return Err(match near {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        });
    };
    let secret = words.get(2);
    match (secret, kind) {
        (Some(secret), AuthMethod::Crc) => {
            let message = "Auth method [crc] doesn't use a key";
            return Err(Problem::new(&secret.place, message, "leave it out"));
        }
        (None, AuthMethod::Md5 | AuthMethod::Sha1) => {
            let message = format!("Auth method [{}] requires a key", kind.name());
            return Err(Problem::new(&method.place, message, "the secret is missing"));
        }
        _ => {}
    }
    if let Some(extra) = words.get(3) {
        let message = "only the first word of a secret counts";
        findings.warn(&extra.place, message, "this is left out");
    }
    let secret = secret.map_or("", |s| s.value).to_owned();
    Ok(Key { number: n as u8, method: kind, secret, place: first.place.clone() })
}

/// Whether a text looks like an `authkeys`: nothing but lines of `auth N` and `N METHOD ...`.
pub fn looks_like(text: &str) -> bool {
    let mut sure = false;
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next().filter(|w| !w.starts_with('#')) else { continue };
        let second = words.next();
        let number = |w: &str| w.parse::<i64>().is_ok();
        if first == "auth" && second.is_some_and(number) {
            sure = true;
        } else if !number(first) || second.is_none() {
            return false;
        }
    }
    sure
}
