//! The words of one command, taken one after another.

use super::action::{Family, Net, Word};
use super::lexer::foreign;
use crate::diagnostic::{At, Place, Problem};
use crate::format::words::{list, nearest};
use core::net::IpAddr;

/// Short forms of objects and commands of `ip`.
const SHORT: [&str; 5] = ["addr", "neigh", "del", "repl", "chg"];

/// A cursor over the words of a command.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    all: &'a [Word],
    next: usize,
    /// How the command is called in messages: `ip addr add`.
    pub(super) name: String,
}

impl<'a> Words<'a> {
    /// The words after the program; `words` begins with it.
    pub(super) fn new(words: &'a [Word]) -> Self {
        let name = words.first().map(|w| w.value.clone()).unwrap_or_default();
        Self { all: words, next: 1, name }
    }

    /// The next word, which is then taken.
    pub(super) fn take(&mut self) -> Option<&'a Word> {
        let word = self.all.get(self.next)?;
        self.next += 1;
        Some(word)
    }

    /// The next word.
    pub(super) fn peek(&self) -> Option<&'a Word> {
        self.all.get(self.next)
    }

    /// Text of the next word.
    pub(super) fn peek_text(&self) -> &'a str {
        self.peek().map_or("", |w| w.value.as_str())
    }

    /// All words that are left.
    pub(super) fn rest(&mut self) -> &'a [Word] {
        let rest = self.all.get(self.next..).unwrap_or(&[]);
        self.next = self.all.len();
        rest
    }

    /// The whole command.
    pub(super) fn place(&self) -> Place {
        whole(self.all)
    }

    /// The word last taken.
    pub(super) fn last(&self) -> Place {
        self.all.get(self.next.saturating_sub(1)).map_or_else(|| self.place(), |w| w.place.clone())
    }

    /// A command that lacks something.
    pub(super) fn lacks(&self, what: &str) -> Problem {
        let label = format!("expected {what}");
        Problem::new(&self.place(), format!("`{}` is incomplete", self.name), label)
    }

    /// The value of the word last taken.
    pub(super) fn value(&mut self, what: &str) -> Result<&'a Word, Problem> {
        let option = self.last();
        let name = self.all.get(self.next.saturating_sub(1)).map_or("", |w| w.value.as_str());
        self.take().ok_or_else(|| {
            let message = format!("`{name}` lacks its value");
            Problem::new(&option, message, format!("expected {what}"))
        })
    }

    /// An address as the value of the word last taken.
    pub(super) fn address(&mut self) -> Result<At<IpAddr>, Problem> {
        let word = self.value("an address")?;
        Ok(At::new(address(word)?, word.place.clone()))
    }

    /// A number as the value of the word last taken.
    pub(super) fn number(&mut self, low: u64, high: u64) -> Result<u64, Problem> {
        let word = self.value("a number")?;
        number(word, low, high)
    }

    /// A word that is not one of `known`.
    pub(super) fn unknown(&self, word: &Word, known: &[&str]) -> Problem {
        let message = format!("`{}` is unknown to `{}`", word.value, self.name);
        unknown(word, message, known)
    }

    /// The one of `known` that the next word abbreviates, as iproute2 has it: the first that begins
    /// with it.
    pub(super) fn abbreviated(&mut self, known: &[&'static str]) -> Result<&'static str, Problem> {
        let Some(word) = self.peek() else {
            return Err(self.lacks(&format!("one of {}", list(known))));
        };
        let found = known.iter().find(|k| k.starts_with(word.value.as_str()));
        let found = found.copied().ok_or_else(|| {
            let problem = self.unknown(word, known);
            if problem.help.is_some() {
                return problem;
            }
            // the short forms that people write
            let short = SHORT.into_iter().filter(|s| known.iter().any(|k| k.starts_with(s)));
            match nearest(&word.value, short) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem,
            }
        })?;
        self.next += 1;
        self.name.push(' ');
        self.name.push_str(found);
        Ok(found)
    }
}

/// From the first word to the last.
pub(super) fn whole(words: &[Word]) -> Place {
    match (words.first(), words.last()) {
        (Some(a), Some(b))
            if a.place.file == b.place.file && a.place.span.start <= b.place.span.end =>
        {
            Place::new(a.place.file, a.place.span.start..b.place.span.end)
        }
        (Some(a), _) => a.place.clone(),
        _ => Place::default(),
    }
}

/// A word that is none of the known ones.
pub(super) fn unknown(word: &Word, message: String, known: &[&str]) -> Problem {
    let problem = Problem::new(&word.place, message, format!("known are {}", list(known)));
    match nearest(&word.value, known.iter().copied()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    }
}

/// Whether a word looks like a name that the reader of a how-to is to replace.
pub(super) fn is_placeholder(text: &str) -> bool {
    let name = text.split([':', '/']).next().unwrap_or(text);
    let capitals = name.chars().filter(char::is_ascii_uppercase).count() >= 2;
    let plain = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    text.chars().any(foreign) || capitals && plain
}

/// What a word is not; a placeholder is to be filled in.
pub(super) fn wrong(word: &Word, what: &str, allowed: &str) -> Problem {
    let problem = Problem::new(
        &word.place,
        format!("`{}` is no {what}", word.value),
        format!("expected {allowed}"),
    );
    if is_placeholder(&word.value) {
        let name = word.value.split([':', '/']).next().unwrap_or_default();
        let key = if name.is_ascii() { name.to_owned() } else { format!("\"{name}\"") };
        problem.help(format!("fill it in: [variables] {key} = \"...\""))
    } else {
        problem
    }
}

/// An address.
pub(super) fn address(word: &Word) -> Result<IpAddr, Problem> {
    let text =
        word.value.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(&word.value);
    text.parse()
        .map_err(|_| wrong(word, "address", "an address such as 192.168.10.11 or 2001:db8::1"))
}

/// A block: an address with or without the length of its prefix, or a netmask after the slash.
pub(super) fn net(word: &Word) -> Result<Net, Problem> {
    let wrong = || {
        wrong(
            word,
            "address or block",
            "an address such as 192.168.10.11, or a block such as 192.168.10.0/24",
        )
    };
    let Some((ip, len)) = word.value.split_once('/') else { return address(word).map(Net::host) };
    let ip: IpAddr = ip.parse().map_err(|_| wrong())?;
    let most = Family::of(ip).bits();
    let len = match len.parse::<u8>() {
        Ok(len) => Some(len).filter(|l| *l <= most),
        Err(_) => len.parse().ok().and_then(mask_length),
    };
    len.map(|len| Net { address: ip, len }).ok_or_else(wrong)
}

/// The length of the prefix that a netmask stands for.
pub(super) fn mask_length(mask: core::net::Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    let len = bits.leading_ones();
    (bits.checked_shl(len).unwrap_or(0) == 0).then(|| u8::try_from(len).unwrap_or(32))
}

/// A number, decimal or hexadecimal.
pub(super) fn number(word: &Word, low: u64, high: u64) -> Result<u64, Problem> {
    parse_number(&word.value)
        .filter(|n| (low..=high).contains(n))
        .ok_or_else(|| wrong(word, "number that fits here", &format!("{low} to {high}")))
}

/// A decimal or hexadecimal number.
pub(super) fn parse_number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A number of 32 bits with a mask after a slash; no mask is all bits.
pub(super) fn masked_number(word: &Word) -> Result<(u32, u32), Problem> {
    let (value, mask) = word.value.split_once('/').unwrap_or((&word.value, "0xffffffff"));
    let parse = |t| parse_number(t).and_then(|n| u32::try_from(n).ok());
    parse(value).zip(parse(mask)).ok_or_else(|| {
        wrong(word, "mark", "a number, 0 to 0xffffffff, with /MASK if only some bits count")
    })
}

/// An Ethernet address.
pub(super) fn mac(word: &Word) -> Result<[u8; 6], Problem> {
    let wrong = || wrong(word, "Ethernet address", "six bytes such as 02:00:00:00:0a:64");
    let mut bytes = [0; 6];
    let mut parts = word.value.split([':', '-']);
    for byte in &mut bytes {
        let part = parts.next().filter(|p| !p.is_empty() && p.len() <= 2).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
    }
    if parts.next().is_some() { Err(wrong()) } else { Ok(bytes) }
}
