//! Values of keywords, and what keepalived says about wrong ones.

use super::grammar::{Arg, Optional};
use super::letters::Word;
use crate::diagnostic::Problem;
use crate::format::words::{list, nearest};
use std::net::IpAddr;

/// Checks the words after a keyword.
///
/// # Errors
/// What is wrong with them.
pub(super) fn check(arg: Arg, words: &[Word]) -> Result<(), Problem> {
    let keyword = &words[0];
    let Some(word) = words.get(1) else { return without_value(arg, keyword) };
    match arg {
        Arg::Number(low, high) | Arg::MaybeNumber(low, high) => number(word, low, high).map(|_| ()),
        Arg::Decimal(low, high) => decimal(word, low, high).map(|_| ()),
        Arg::Bool(_) => boolean(&word.text).map(|_| ()).ok_or_else(|| {
            let message = format!("{}: invalid value '{}'", keyword.text, word.text);
            Problem::new(&word.place, message, "expected true, on, yes, false, off or no")
        }),
        Arg::Interface if word.text.len() > 15 => {
            let message = format!("Interface name '{}' too long - ignoring", word.text);
            Err(Problem::new(&word.place, message, "at most 15 letters"))
        }
        Arg::Address(message) => match address(&word.text) {
            Some(_) => Ok(()),
            None => Err(said(message, word, "expected an IPv4 or IPv6 address")),
        },
        Arg::Server(message) => server(words, message),
        Arg::Service => service(words),
        Arg::Choice(known, message) if !known.contains(&word.text.as_str()) => {
            Err(choice(known, message, word))
        }
        Arg::AnyCase(known, message) => {
            let found = known.iter().any(|k| k.eq_ignore_ascii_case(&word.text));
            if found { Ok(()) } else { Err(choice(known, message, word)) }
        }
        Arg::Any | Arg::Text | Arg::NewName(_) | Arg::Interface | Arg::Choice(..) => Ok(()),
        Arg::Weight => weight(words),
        Arg::Mask => mask(&word.text).map(|_| ()).ok_or_else(|| {
            let message = format!("Invalid persistence_granularity '{}'", word.text);
            Problem::new(&word.place, message, "expected a netmask or a prefix length")
        }),
    }
}

fn without_value(arg: Arg, keyword: &Word) -> Result<(), Problem> {
    match arg {
        Arg::Any | Arg::MaybeNumber(..) | Arg::Bool(Optional::Yes) => Ok(()),
        _ => {
            let message = format!("{} needs a parameter", keyword.text);
            Err(Problem::new(&keyword.place, message, "keepalived ends here: the value is missing"))
        }
    }
}

/// A message of keepalived with the word in it.
fn said(message: &str, word: &Word, label: impl Into<String>) -> Problem {
    Problem::new(&word.place, message.replace("{}", &word.text), label)
}

fn choice(known: &[&str], message: &str, word: &Word) -> Problem {
    let problem = said(message, word, format!("expected {}", list(known)));
    match nearest(&word.text, known.iter().copied()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    }
}

/// An integer in a range.
pub(super) fn number(word: &Word, low: i64, high: i64) -> Result<i64, Problem> {
    let text = word.text.trim_end();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
        // what stands behind the digits is told apart from what is no number at all
        let message = format!("invalid number '{text}'");
        return Err(Problem::new(&word.place, message, format!("expected {low} to {high}")));
    }
    match text.trim_start_matches('+').parse::<i64>() {
        Ok(n) if (low..=high).contains(&n) => Ok(n),
        _ => {
            let message = format!("number '{text}' outside range [{low}, {high}]");
            Err(Problem::new(&word.place, message, "the default stays"))
        }
    }
}

/// Millionths of a decimal number; more than 6 digits after the point are rounded.
pub(super) fn millionths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.chars().all(|c| c.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let six: String = part.chars().chain("000000".chars()).take(6).collect();
    let up = u64::from(part.as_bytes().get(6).is_some_and(|d| *d >= b'5'));
    whole.checked_mul(1_000_000)?.checked_add(six.parse::<u64>().ok()?)?.checked_add(up)
}

fn decimal(word: &Word, low: u64, high: u64) -> Result<u64, Problem> {
    let Some(n) = millionths(&word.text) else {
        let message = format!("invalid number '{}'", word.text);
        return Err(Problem::new(&word.place, message, "expected a decimal number"));
    };
    if (low..=high).contains(&n) {
        return Ok(n);
    }
    let (low, high) = (shown(low), shown(high));
    let message = format!("number '{}' outside range [{low}, {high}]", word.text);
    Err(Problem::new(&word.place, message, "the default stays"))
}

fn shown(millionths: u64) -> String {
    let text = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `true on yes` or `false off no`, in lower case.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "on" | "yes" => Some(true),
        "false" | "off" | "no" => Some(false),
        _ => None,
    }
}

/// An address, without a prefix length.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// An address with a prefix length, by default of the whole address.
pub(super) fn net(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, length) = text.split_once('/').map_or((text, None), |(ip, l)| (ip, Some(l)));
    let ip = address(ip)?;
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => most,
        Some(length) => length.parse().ok().filter(|l| *l <= most)?,
    };
    Some((ip, length))
}

/// A netmask as an address or a prefix length: its length.
pub(super) fn mask(text: &str) -> Option<u8> {
    if let Ok(length) = text.parse::<u8>() {
        return (1..=128).contains(&length).then_some(length);
    }
    let bits = match text.parse().ok()? {
        IpAddr::V4(mask) => mask.to_bits(),
        IpAddr::V6(_) => return None,
    };
    (bits.leading_ones() == bits.count_ones()).then_some(bits.leading_ones() as u8)
}

/// A port; of zeros only it is no port.
pub(super) fn port(text: &str) -> Option<u16> {
    text.parse().ok()
}

fn server(words: &[Word], message: &str) -> Result<(), Problem> {
    let word = &words[1];
    if address(&word.text).is_none() {
        return Err(said(message, word, "expected ADDRESS [PORT]"));
    }
    match words.get(2) {
        Some(p) if port(&p.text).is_none() => Err(said(message, p, "a port is from 1 to 65535")),
        _ => Ok(()),
    }
}

fn service(words: &[Word]) -> Result<(), Problem> {
    let word = &words[1];
    match word.text.as_str() {
        "fwmark" => match words.get(2) {
            Some(mark) => number(mark, 1, 4_294_967_295).map(|_| ()),
            None => Err(Problem::new(&word.place, "fwmark needs a number", "the mark is missing")),
        },
        "group" => match words.get(2) {
            Some(_) => Ok(()),
            None => Err(Problem::new(&word.place, "group needs a name", "the name is missing")),
        },
        _ => server(words, "Invalid virtual server IP address {} - skipping"),
    }
}

fn weight(words: &[Word]) -> Result<(), Problem> {
    number(&words[1], -253, 253)?;
    match words.get(2) {
        Some(w) if w.text != "reverse" => {
            let message = format!("unknown weight option '{}'", w.text);
            Err(Problem::new(&w.place, message, "expected `reverse` or nothing"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Place;

    fn word(text: &str) -> Word {
        Word { text: text.to_owned(), place: Place::default() }
    }

    #[test]
    fn timers_have_six_digits_and_are_rounded() {
        for (text, value) in [
            ("1", Some(1_000_000)),
            ("0.5", Some(500_000)),
            (".25", Some(250_000)),
            ("3.0000005", Some(3_000_001)),
            ("3.0000004", Some(3_000_000)),
            ("", None),
            (".", None),
            ("1s", None),
            ("-1", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(millionths(text), value, "{text}");
        }
    }

    #[test]
    fn numbers_say_what_range_they_have() {
        let message = |t: &str| number(&word(t), 1, 2_678_400).unwrap_err().message;
        assert_eq!(message("0"), "number '0' outside range [1, 2678400]");
        assert_eq!(message("$PRI"), "invalid number '$PRI'");
        assert_eq!(number(&word("360"), 1, 2_678_400), Ok(360));
        let problem = decimal(&word("0"), 1, 4_294_967_295).unwrap_err();
        assert_eq!(problem.message, "number '0' outside range [0.000001, 4294.967295]");
    }

    #[test]
    fn booleans_are_lower_case() {
        assert_eq!(boolean("on"), Some(true));
        assert_eq!(boolean("no"), Some(false));
        assert_eq!(boolean("True"), None);
    }

    #[test]
    fn masks_are_addresses_or_lengths() {
        assert_eq!(mask("255.255.255.0"), Some(24));
        assert_eq!(mask("24"), Some(24));
        assert_eq!(mask("255.0.255.0"), None);
        assert_eq!(net("10.0.0.1/33"), None);
        assert_eq!(net("2001:db8::1"), Some(("2001:db8::1".parse().unwrap(), 128)));
    }
}
