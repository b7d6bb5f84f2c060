//! Messages of heartbeat: lines of text, numbered and signed (`ha_msg.c`, `hb_api.h`).

use crate::config::AuthKey;
use crate::engine::rng::name_hash;
use core::fmt::Write;

/// Messages that are kept to be sent again (heartbeat's `MAXMSGHIST` is 500).
const HISTORY: u64 = 200;
/// First line.
const BEGIN: &str = "###\n";
/// Last line.
const END: &str = "%%%\n";

/// What a node holds of the resources of two nodes: `rsc_hold`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hold {
    /// Groups that prefer this node.
    pub local: bool,
    /// Groups that prefer the other one.
    pub foreign: bool,
}

impl Hold {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match (self.local, self.foreign) {
            (false, false) => "none",
            (true, false) => "local",
            (false, true) => "foreign",
            (true, true) => "all",
        }
    }

    /// What a word means; nothing if it is none.
    pub fn of(word: &str) -> Self {
        Self { local: matches!(word, "local" | "all"), foreign: matches!(word, "foreign" | "all") }
    }
}

/// Writes a message: the lines of `fields`, who sends it, and its signature. A message without `seq` is not
/// numbered.
pub(super) fn compose(
    fields: &[(&str, &str)],
    from: &str,
    generation: u64,
    seq: Option<u64>,
    key: &AuthKey,
) -> Vec<u8> {
    let mut text = String::with_capacity(160);
    text.push_str(BEGIN);
    for (name, value) in fields {
        text.push_str(name);
        text.push('=');
        text.push_str(value);
        text.push('\n');
    }
    // writing to a string does not fail
    let _ = writeln!(text, "src={from}");
    if let Some(seq) = seq {
        let _ = writeln!(text, "seq={seq:x}");
    }
    let _ = write!(text, "hg={generation:x}\nttl=3\n");
    let tag = signature(key, &text);
    let _ = write!(text, "auth=1 {tag:016x}\n{END}");
    text.into_bytes()
}

/// What proves that the sender knows the key. It stands for the checksums of heartbeat: equal for equal
/// methods, secrets and texts, and else different.
fn signature(key: &AuthKey, text: &str) -> u64 {
    let keyed = name_hash(key.method.name(), &key.secret);
    name_hash(text, "") ^ keyed.rotate_left(17)
}

/// A message that came in, signed with the right key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Message<'a>(&'a str);

impl<'a> Message<'a> {
    /// Reads a message; `None` if it is none, or signed with another key.
    pub(super) fn read(bytes: &'a [u8], key: &AuthKey) -> Option<Self> {
        let text = core::str::from_utf8(bytes).ok()?;
        let body = text.strip_prefix(BEGIN)?;
        let end = text.len() - body.len() + body.rfind("\nauth=1 ")? + 1;
        let tag = text[end..].strip_prefix("auth=1 ")?.strip_suffix(END)?;
        let tag = u64::from_str_radix(tag.trim_end(), 16).ok()?;
        (tag == signature(key, &text[..end])).then_some(Self(&text[BEGIN.len()..end]))
    }

    /// The value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.lines().find_map(|line| {
            let (field, value) = line.split_once('=')?;
            (field == name).then_some(value)
        })
    }

    /// The value of a field that is a hexadecimal number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        u64::from_str_radix(self.get(name)?, 16).ok()
    }

    /// What it is: `t`.
    pub(super) fn kind(&self) -> &'a str {
        self.get("t").unwrap_or("")
    }
}

/// What was heard of the numbers of a node's messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    last: Option<u64>,
    missing: Vec<u64>,
}

impl Numbers {
    /// A numbered message came in: whether it is new. Numbers that were left out are remembered as missing.
    pub(super) fn accept(&mut self, seq: u64) -> bool {
        let Some(last) = self.last else {
            self.last = Some(seq);
            return true;
        };
        if seq <= last {
            let found = self.missing.iter().position(|m| *m == seq);
            return found.map(|at| self.missing.remove(at)).is_some();
        }
        let from = (last + 1).max(seq.saturating_sub(HISTORY));
        self.missing.extend(from..seq);
        self.missing.retain(|m| seq - m <= HISTORY);
        self.last = Some(seq);
        true
    }

    /// The first and the last missing number.
    pub(super) fn missing(&self) -> Option<(u64, u64)> {
        Some((*self.missing.first()?, *self.missing.last()?))
    }
}

/// Messages that were sent.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    first: u64,
    sent: std::collections::VecDeque<Vec<u8>>,
}

impl History {
    /// Keeps a message, which has the number after that of the last one (the first has 1).
    pub(super) fn keep(&mut self, bytes: Vec<u8>) {
        if self.sent.is_empty() {
            self.first = 1;
        }
        self.sent.push_back(bytes);
        if self.sent.len() as u64 > HISTORY {
            self.sent.pop_front();
            self.first += 1;
        }
    }

    /// The messages with these numbers that are still there.
    pub(super) fn between(&self, first: u64, last: u64) -> impl Iterator<Item = &Vec<u8>> {
        let skip = first.saturating_sub(self.first) as usize;
        let end = (last + 1).saturating_sub(self.first) as usize;
        self.sent.iter().take(end).skip(skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AuthMethod;

    fn key(secret: &str) -> AuthKey {
        AuthKey { method: AuthMethod::Sha1, secret: secret.to_owned() }
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let bytes = compose(&[("t", "status"), ("dt", "1b58")], "lvs1", 7, Some(26), &key("s"));
        let read = Message::read(&bytes, &key("s")).unwrap();
        assert_eq!((read.kind(), read.get("src")), ("status", Some("lvs1")));
        assert_eq!((read.number("dt"), read.number("seq")), (Some(7000), Some(26)));
        assert_eq!(read.get("st"), None);
        assert!(bytes.starts_with(b"###\nt=status\ndt=1b58\nsrc=lvs1\nseq=1a\n"));
    }

    #[test]
    fn a_message_signed_with_another_secret_or_method_is_none() {
        let bytes = compose(&[("t", "starting")], "lvs1", 1, Some(1), &key("one"));
        assert_eq!(Message::read(&bytes, &key("two")), None);
        let md5 = AuthKey { method: AuthMethod::Md5, secret: "one".to_owned() };
        assert_eq!(Message::read(&bytes, &md5), None);
        let mut changed = bytes.clone();
        changed[6] = b'S';
        assert_eq!(Message::read(&changed, &key("one")), None);
    }

    #[test]
    fn a_number_left_out_is_missing_until_it_comes_and_none_is_taken_twice() {
        let mut numbers = Numbers::default();
        assert!(numbers.accept(5) && numbers.accept(6) && numbers.accept(9));
        assert_eq!(numbers.missing(), Some((7, 8)));
        assert!(!numbers.accept(9) && !numbers.accept(6));
        assert!(numbers.accept(8) && !numbers.accept(8));
        assert_eq!(numbers.missing(), Some((7, 7)));
        assert!(numbers.accept(7));
        assert_eq!(numbers.missing(), None);
    }

    #[test]
    fn of_what_was_sent_the_latest_is_kept() {
        let mut history = History::default();
        for n in 1..=HISTORY + 3 {
            history.keep(vec![n as u8]);
        }
        assert_eq!(history.between(1, 5).collect::<Vec<_>>(), [&vec![4], &vec![5]]);
        assert_eq!(history.between(6, 6).collect::<Vec<_>>(), [&vec![6]]);
        assert_eq!(history.between(HISTORY + 4, HISTORY + 9).count(), 0);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let key = key("s");
            let _ = Message::read(&bytes, &key);
            let framed = [b"###\n".as_slice(), &bytes, b"\nauth=1 0\n%%%\n"].concat();
            let _ = Message::read(&framed, &key);
        }
    }
}
