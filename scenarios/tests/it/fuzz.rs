//! Every parser on stored inputs and on random changes of them: no panic, no end that does not come, and an
//! answer that grows no faster than the text.

use crate::parsers::{Parser, parse};
use proptest::prelude::*;

macro_rules! seeds {
    ($($parser:ident: $($name:literal)+;)+) => {
        /// Stored inputs.
        const SEEDS: &[(Parser, &str)] =
            &[$($((Parser::$parser, include_str!(concat!("../fuzz-seeds/", $name)))),+),+];
    };
}

seeds! {
    Keepalived: "keepalived/services.conf" "keepalived/routers.conf" "keepalived/language.conf"
        "keepalived/wrong.conf";
    Ipvsadm: "ipvsadm/saved.rules" "ipvsadm/typed.rules";
    Commands: "commands/director.sh" "commands/real-server.sh";
    Scenario: "scenario/small.toml" "scenario/wrong.toml";
    HaCf: "ha_cf/pair.cf" "ha_cf/wrong.cf";
    Haresources: "haresources/director" "haresources/wrong";
    Authkeys: "authkeys/keys" "authkeys/wrong";
    Ldirectord: "ldirectord/web.cf" "ldirectord/wrong.cf";
}

/// What a change puts in.
const WORDS: &[&str] = &[
    "{",
    "}",
    "\n",
    "\\\n",
    "\"",
    "'",
    "#",
    "!",
    "$",
    "${A}",
    "$A=",
    "~SEQ(i,1,3)",
    "@one",
    "=",
    "::",
    "->",
    ":",
    "/",
    "-",
    "*",
    "\t",
    "    ",
    "0",
    "1",
    "-1",
    "255",
    "65536",
    "99999999999999999999",
    "10.0.0.1",
    "[::1]",
    "\u{fc}",
    "\u{1f600}",
    "\r\n",
    "\0",
    "[[",
    "]]",
    "<<EOF\n",
    "EOF\n",
    "`",
    "$(",
    ";",
    "&&",
    "|",
    "virtual=",
    "node",
    "weight",
    "include",
    "more.conf",
    "-A",
    "--",
    "for",
    "done",
    "ms",
];

/// A change: where (in 65536ths of the text), how much, what, and how.
type Change = (u16, u8, prop::sample::Index, u8);

fn changed(seed: &str, changes: &[Change]) -> String {
    let mut text: Vec<char> = seed.chars().collect();
    for (at, length, word, how) in changes {
        let from = text.len() * usize::from(*at) / 65_536;
        let to = (from + usize::from(*length)).min(text.len());
        match how % 4 {
            0 => drop(text.drain(from..to)),
            1 => {
                let copy = text[from..to].to_vec();
                text.splice(to..to, copy);
            }
            2 => drop(text.splice(from..from, word.get(WORDS).chars())),
            _ => {
                let end = (from + 1).min(text.len());
                drop(text.splice(from..end, word.get(WORDS).chars()));
            }
        }
    }
    text.into_iter().collect()
}

/// The size of an answer is bounded by that of the text: a line of a few letters may stand for a service
/// with everything it does not say, and a range or a sequence for many.
fn bound(text: &str) -> usize {
    200_000_000 + text.len() * 4000
}

#[test]
fn stored_inputs_are_read() {
    for (parser, text) in SEEDS {
        let size = parse(*parser, text);
        assert!(size > 0 && size < bound(text), "{parser:?}: {size}");
    }
}

#[test]
fn every_parser_reads_the_inputs_of_all_others() {
    for parser in Parser::ALL {
        for (_, text) in SEEDS {
            assert!(parse(parser, text) < bound(text), "{parser:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn changed_inputs_do_no_harm(
        seed in prop::sample::select(SEEDS.to_vec()),
        changes in prop::collection::vec(any::<Change>(), 1..12),
    ) {
        let text = changed(seed.1, &changes);
        prop_assert!(parse(seed.0, &text) < bound(&text));
    }

    #[test]
    fn noise_does_no_harm(
        parser in prop::sample::select(Parser::ALL.to_vec()),
        text in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..60),
    ) {
        let text = text.concat();
        prop_assert!(parse(parser, &text) < bound(&text));
    }
}

/// Lines that can be repeated; those of a service of `ldirectord.cf` and the like follow a head.
const REPEATED: &[(Parser, &str, &str)] = &[
    (
        Parser::Keepalived,
        "virtual_server 192.0.2.1 80 {\n",
        "real_server 10.0.0.2 80 {\n TCP_CHECK { }\n}\n",
    ),
    (Parser::Keepalived, "", "vrrp_instance V {\n"),
    (Parser::Keepalived, "", "nonsense {\n more\n}\n"),
    (Parser::Keepalived, "", "}"),
    (Parser::Ipvsadm, "", "-A -t 10.0.0.1:80 -s rr\n"),
    (Parser::Commands, "", "ip addr add 10.0.0.1/24 dev eth0\n"),
    (Parser::Commands, "", "nonsense \"x\n"),
    (Parser::Scenario, "", "[nonsense]\n"),
    (Parser::HaCf, "", "bcast eth0\n"),
    (Parser::HaCf, "", "keepalife 2\n"),
    (Parser::Haresources, "", "lvs1 IPaddr::10.0.0.1 httpd\n"),
    (Parser::Haresources, "lvs1 ", "IPadr::10.0.0.1 \\\n"),
    (Parser::Authkeys, "auth 1\n", "1 sha1 x\n"),
    (Parser::Ldirectord, "virtual=10.0.0.1:80\n", "\treal=10.0.0.2:80 gate\n"),
    (Parser::Ldirectord, "", "virtual=10.0.0.1:80\n"),
];

/// The answer to twice the text is at most twice as large, but for numbers with a digit more.
#[test]
fn answers_grow_no_faster_than_the_text() {
    for (parser, head, line) in REPEATED {
        let size = |n: usize| parse(*parser, &format!("{head}{}", line.repeat(n)));
        let (one, two, four) = (size(100), size(200), size(400));
        let linear = |small: usize, large: usize| large * 10 <= small * 21 + 20_000;
        assert!(linear(one, two) && linear(two, four), "{parser:?} {line:?}: {one} {two} {four}");
    }
}
