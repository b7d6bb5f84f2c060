//! The kernel's transition tables of TCP and SCTP.
//!
//! Source: kernel `net/netfilter/ipvs/ip_vs_proto_tcp.c` (`tcp_states`, `tcp_states_dos`) and
//! `ip_vs_proto_sctp.c` (`sctp_states`).

use super::state::{Direction, Event, State};

const ES: State = State::Established;
const SS: State = State::SynSent;
const SR: State = State::SynRecv;
const FW: State = State::FinWait;
const TW: State = State::TimeWait;
const CL: State = State::Close;
const CW: State = State::CloseWait;
const LA: State = State::LastAck;
const LI: State = State::Listen;
const SA: State = State::SynAck;

/// Rows: syn, fin, ack, rst; columns: the current state in the order of [`State::ALL`].
type Table = [[State; 11]; 4];

/// Rows: the events of SCTP in the order of [`Event`]; columns: its states in the order of
/// [`State::ALL`], three letters each. A dot keeps the state.
type Chunks = [&'static str; 10];

/// A table that can be indexed without a test: by [`Event`], by state.
type Square = [[State; 32]; 16];

/// By [`Direction`], first the normal tables, then those of `secure_tcp`.
static NEXT: [[Square; 4]; 2] = [squares(&NORMAL), squares(&SECURE)];

/// The state of a connection in `state` after `event`, by the kernel's table for `direction`;
/// `secure` selects the tables of the `secure_tcp` defence. UDP keeps its state.
///
/// ```
/// use sim_core::ipvs::state::{Direction, Event, State, next};
/// let state = next(State::None, Event::Syn, Direction::InputOnly, false);
/// assert_eq!(state, State::SynRecv);
/// assert_eq!(next(state, Event::Ack, Direction::InputOnly, false), State::Established);
/// ```
#[inline]
pub fn next(state: State, event: Event, direction: Direction, secure: bool) -> State {
    NEXT[usize::from(secure)][direction as usize][event as usize][state as usize]
}

/// Puts the tables of TCP and SCTP together. UDP stays UDP, a TCP packet without an event closes,
/// and what no packet can bring about changes nothing.
const fn squares(tables: &[Table; 3]) -> [Square; 4] {
    let mut squares = [[[State::None; 32]; 16]; 4];
    let mut direction = 0;
    while direction < 4 {
        let mut event = 0;
        while event < 16 {
            let mut state = 0;
            while state < State::ALL.len() {
                let next = if direction == 3 {
                    State::ALL[state]
                } else {
                    cell(tables, direction, event, state)
                };
                squares[direction][event][state] = next;
                state += 1;
            }
            event += 1;
        }
        direction += 1;
    }
    squares
}

const fn cell(tables: &[Table; 3], direction: usize, event: usize, state: usize) -> State {
    const FIRST_CHUNK: usize = Event::Data as usize;
    const FIRST_SCTP: usize = State::SctpNone as usize;
    const LAST_SCTP: usize = State::SctpClosed as usize;
    if event < 4 && state < 11 {
        tables[direction][event][state]
    } else if event == Event::None as usize && state < 11 {
        State::Close
    } else if event >= FIRST_CHUNK
        && event < FIRST_CHUNK + 10
        && state >= FIRST_SCTP
        && state <= LAST_SCTP
    {
        let row = CHUNKS[direction][event - FIRST_CHUNK].as_bytes();
        let column = 3 * (state - FIRST_SCTP);
        coded(row[column], row[column + 1], State::ALL[state])
    } else {
        State::ALL[state]
    }
}

/// The state with a code of two letters.
const fn coded(first: u8, second: u8, current: State) -> State {
    match [first, second] {
        [b'N', b'O'] => State::SctpNone,
        [b'I', b'1'] => State::SctpInit1,
        [b'I', b'N'] => State::SctpInit,
        [b'C', b'S'] => State::SctpCookieSent,
        [b'C', b'R'] => State::SctpCookieReplied,
        [b'C', b'W'] => State::SctpCookieWait,
        [b'C', b'O'] => State::SctpCookie,
        [b'C', b'E'] => State::SctpCookieEchoed,
        [b'E', b'S'] => State::SctpEstablished,
        [b'S', b'S'] => State::SctpShutdownSent,
        [b'S', b'R'] => State::SctpShutdownReceived,
        [b'S', b'A'] => State::SctpShutdownAckSent,
        [b'R', b'J'] => State::SctpRejected,
        [b'C', b'L'] => State::SctpClosed,
        _ => current,
    }
}

/// By [`Direction`].
const NORMAL: [Table; 3] = [
    [
        [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR],
        [CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, TW],
        [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES],
        [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, SR],
    ],
    [
        [SS, ES, SS, SR, SS, SS, SS, SS, SS, LI, SR],
        [TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW],
        [ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES],
        [CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL],
    ],
    [
        [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR],
        [CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW],
        [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES],
        [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL],
    ],
];

/// As `NORMAL`, while the `secure_tcp` defence is on.
const SECURE: [Table; 3] = [
    [
        [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SA],
        [CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, SA],
        [ES, ES, SS, SR, FW, TW, CL, CW, CL, LI, SA],
        [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL],
    ],
    [
        [SS, ES, SS, SA, SS, SS, SS, SS, SS, LI, SA],
        [TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW],
        [ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES],
        [CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL],
    ],
    [
        [SA, ES, ES, SR, SA, SA, SA, SA, SA, SA, SA],
        [CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW],
        [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES],
        [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL],
    ],
];

/// By [`Direction`]; columns: NO I1 IN CS CR CW CO CE ES SS SR SA RJ CL.
const CHUNKS: [Chunks; 3] = [
    [
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
    ],
    [
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
    ],
    [
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
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_names_a_state_or_keeps_it() {
        for row in CHUNKS.iter().flatten() {
            let words: Vec<&str> = row.split_whitespace().collect();
            assert_eq!(words.len(), 14, "{row}");
            for (column, word) in words.iter().enumerate() {
                let at = &row[3 * column..];
                assert!(at.starts_with(word), "{row}: {word} stands in column {column}");
                let letters = word.as_bytes();
                let known = *word == "." || coded(letters[0], letters[1], State::Udp) != State::Udp;
                assert!(known, "{word}");
            }
        }
    }

    #[test]
    fn an_association_through_nat_opens_and_closes() {
        use Direction::{Input, Output};
        let steps = [
            (Event::Init, Input, "INIT1"),
            (Event::InitAck, Output, "C-SENT"),
            (Event::CookieEcho, Input, "C-REPLIED"),
            (Event::CookieAck, Output, "ESTABLISHED"),
            (Event::Data, Input, "ESTABLISHED"),
            (Event::Shutdown, Input, "S-RECEIVED"),
            (Event::ShutdownAck, Output, "S-ACK-SENT"),
            (Event::ShutdownComplete, Input, "CLOSED"),
        ];
        let mut state = State::SctpNone;
        for (event, direction, name) in steps {
            state = next(state, event, direction, false);
            assert_eq!(state.name(), name);
            assert_eq!(state.is_active(), name == "ESTABLISHED");
        }
        assert_eq!(next(state, Event::Init, Direction::InputOnly, true).name(), "INIT");
    }

    #[test]
    fn the_protocols_keep_to_their_own_states() {
        for state in State::ALL {
            for event in [Event::Syn, Event::Rst, Event::None, Event::Init, Event::Abort] {
                for secure in [false, true] {
                    let after = next(state, event, Direction::Output, secure);
                    let kind =
                        |s: State| (s as u8 >= State::Udp as u8, s.is_sctp(), s.is_template());
                    assert_eq!(kind(after), kind(state), "{state:?} after {event:?}");
                }
            }
        }
    }
}
