//! States of SCTP associations as a director believes them.
//!
//! Source: kernel `net/netfilter/ipvs/ip_vs_proto_sctp.c` (`sctp_states`, `sctp_timeouts`).

use super::recording::Chunk;
use sim_core::engine::Span;
use sim_core::ipvs::state::Direction;

/// State of an association: its place in [`NAMES`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct State(u8);

/// The codes of the tables below, the names the kernel prints.
const NAMES: [(&str, &str); 14] = [
    ("NO", "NONE"),
    ("I1", "INIT1"),
    ("IN", "INIT"),
    ("CS", "C-SENT"),
    ("CR", "C-REPLIED"),
    ("CW", "C-WAIT"),
    ("CO", "COOKIE"),
    ("CE", "C-ECHOED"),
    ("ES", "ESTABLISHED"),
    ("SS", "S-SENT"),
    ("SR", "S-RECEIVED"),
    ("SA", "S-ACK-SENT"),
    ("RJ", "REJECTED"),
    ("CL", "CLOSED"),
];

/// A row for each [`Chunk`] in its order, a column for each state; a dot keeps the state.
type Table = [&'static str; 10];

const INPUT: Table = [
    "ES .  .  .  .  .  .  .  .  .  .  .  .  . ",
    "I1 IN .  .  .  .  .  .  .  .  .  .  IN IN",
    "CW CW CW .  .  CO .  .  .  .  .  .  .  . ",
    "CR IN .  CR .  .  .  .  .  .  .  .  .  . ",
    "ES .  .  .  .  .  .  ES .  .  .  .  .  . ",
    "SR .  .  .  .  .  .  .  SR .  .  .  .  . ",
    "CL IN .  .  .  .  .  .  .  CL .  CL .  . ",
    "CL CL CL .  .  .  .  .  .  .  .  CL .  . ",
    "CL .  .  .  .  .  .  CL .  .  .  .  .  . ",
    "CL CL CL CL CL RJ CL CL CL CL CL CL CL CL",
];

const OUTPUT: Table = [
    "ES .  .  .  .  .  .  .  .  .  .  .  .  . ",
    "CW CW CW CW CW CW CW CW ES CW CW CW CW CW",
    "CS CS CS CS .  .  .  .  .  .  .  .  .  . ",
    "CE CE CE CE CE CE CE CE ES .  .  .  .  . ",
    "ES ES ES ES ES ES ES ES ES .  .  .  .  . ",
    "SS SS SS SS SS SS SS SS SS SS .  .  .  . ",
    "SA SA SA SA SA .  .  .  .  SA SA SA .  . ",
    "CL .  .  .  .  .  .  .  .  .  .  .  .  . ",
    "CL CL CL CL CL .  .  .  .  .  .  .  .  . ",
    "CL RJ CL CL CL CL CL CL CL CL CL CL CL CL",
];

const INPUT_ONLY: Table = [
    "ES .  .  .  .  ES .  .  .  .  .  .  .  . ",
    "I1 IN IN IN IN IN .  .  .  .  .  .  IN IN",
    "CE CE CE CE CE CE .  .  .  .  .  .  .  . ",
    "ES ES ES ES ES ES .  .  .  .  .  .  .  . ",
    "ES .  .  ES ES .  ES ES .  .  .  .  .  . ",
    "SR .  .  .  .  .  .  .  SR .  .  .  .  . ",
    "CL IN .  .  .  .  .  .  CL CL .  CL .  . ",
    "CL CL CL CL CL .  .  .  .  .  CL CL .  . ",
    "CL .  .  .  .  .  .  .  .  .  .  .  .  . ",
    "CL CL CL CL CL RJ CL CL CL CL CL CL CL CL",
];

impl State {
    pub(super) const NONE: Self = Self(0);
    const ESTABLISHED: Self = Self(8);
    const CLOSED: Self = Self(13);

    /// As the kernel prints it.
    pub(super) const fn name(self) -> &'static str {
        NAMES[self.0 as usize].1
    }

    /// Only established associations count as active.
    pub(super) fn is_active(self) -> bool {
        self == Self::ESTABLISHED
    }

    /// Whether an INIT begins another association.
    pub(super) fn is_closed(self) -> bool {
        self == Self::CLOSED
    }

    /// How long an entry lives in this state.
    pub(super) fn timeout(self) -> Span {
        Span::from_secs(match self.name() {
            "NONE" => 2,
            "INIT1" | "REJECTED" => 4,
            "ESTABLISHED" => 900,
            _ => 61,
        })
    }

    /// The state after a packet.
    pub(super) fn next(self, chunk: Chunk, direction: Direction) -> Self {
        let table = match direction {
            Direction::Input => &INPUT,
            Direction::Output => &OUTPUT,
            Direction::InputOnly => &INPUT_ONLY,
        };
        let code = table[chunk as usize].split_whitespace().nth(self.0.into());
        let next = NAMES.iter().position(|(known, _)| Some(*known) == code);
        next.map_or(self, |index| Self(index as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_a_state_or_keeps_it_in_every_column() {
        for row in INPUT.iter().chain(&OUTPUT).chain(&INPUT_ONLY) {
            let words: Vec<&str> = row.split_whitespace().collect();
            assert_eq!(words.len(), NAMES.len(), "{row}");
            for word in words {
                assert!(word == "." || NAMES.iter().any(|(code, _)| *code == word), "{word}");
            }
        }
        assert_eq!(Chunk::Abort as usize + 1, INPUT.len());
    }

    #[test]
    fn an_association_through_nat_opens_and_closes() {
        use Chunk::{
            CookieAck, CookieEcho, Init, InitAck, Shutdown, ShutdownAck, ShutdownComplete,
        };
        use Direction::{Input, Output};
        let steps = [
            (Init, Input, "INIT1"),
            (InitAck, Output, "C-SENT"),
            (CookieEcho, Input, "C-REPLIED"),
            (CookieAck, Output, "ESTABLISHED"),
            (Shutdown, Input, "S-RECEIVED"),
            (ShutdownAck, Output, "S-ACK-SENT"),
            (ShutdownComplete, Input, "CLOSED"),
        ];
        let mut state = State::NONE;
        for (chunk, direction, name) in steps {
            state = state.next(chunk, direction);
            assert_eq!(state.name(), name);
            assert_eq!(state.is_active(), name == "ESTABLISHED");
        }
        assert!(state.is_closed());
        assert_eq!(state.timeout(), Span::from_secs(61));
        assert_eq!(state.next(Init, Direction::InputOnly).name(), "INIT");
    }
}
