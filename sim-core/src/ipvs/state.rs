//! Connection states, their transition tables and timeouts.
//!
//! Source: kernel `net/netfilter/ipvs/ip_vs_proto_tcp.c` (`tcp_states`, `tcp_states_dos`,
//! `set_tcp_state`, `tcp_state_active_table`, `tcp_timeouts`) and `ip_vs_proto_udp.c`.

use super::rules::TimeoutRule;
use crate::engine::Span;
use crate::wire::Flags;
use core::fmt;

/// State of a connection, as the director believes it from the packets it saw.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum State {
    /// Nothing is known yet.
    None,
    /// A connection that carries data.
    Established,
    /// The real server opened.
    SynSent,
    /// The client opened.
    SynRecv,
    /// The real server closed first; with DR and TUN: the client closed.
    FinWait,
    /// Both closed.
    TimeWait,
    /// Reset, or closed.
    Close,
    /// The client closed first.
    CloseWait,
    /// The real server closed last.
    LastAck,
    /// Never entered by a packet from a client.
    Listen,
    /// The handshake is not complete (`secure_tcp` only).
    SynAck,
    /// The only state of UDP.
    Udp,
}

impl State {
    /// All of them, in the kernel's order.
    pub const ALL: [Self; 12] = [
        Self::None,
        Self::Established,
        Self::SynSent,
        Self::SynRecv,
        Self::FinWait,
        Self::TimeWait,
        Self::Close,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::SynAck,
        Self::Udp,
    ];

    /// The word `ipvsadm -Lc` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::FinWait => "FIN_WAIT",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::SynAck => "SYNACK",
            Self::Udp => "UDP",
        }
    }

    /// Whether a connection in this state counts as active (`ActiveConn`); all others, and every
    /// UDP one, count as inactive (`InActConn`).
    #[inline]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Established | Self::SynSent | Self::SynRecv | Self::SynAck)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which packets the director sees, and whose packet this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Direction {
    /// From the client, and the real server's answers pass here too (NAT).
    Input,
    /// From the real server.
    Output,
    /// From the client, and the real server's answers take another way (DR, TUN).
    InputOnly,
}

/// What a TCP packet means to the state machine. Of several flags the first of RST, SYN, FIN, ACK
/// decides; a packet with none of them closes the entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Event {
    /// SYN, with or without ACK.
    Syn,
    /// FIN.
    Fin,
    /// ACK and nothing that matters more.
    Ack,
    /// RST.
    Rst,
    /// None of the four flags.
    None,
}

impl Event {
    /// The event of a packet with `flags`.
    #[inline]
    pub const fn of(flags: Flags) -> Self {
        EVENTS[(flags.0 & 0x1f) as usize]
    }

    const fn decide(flags: Flags) -> Self {
        if flags.has(Flags::RST) {
            Self::Rst
        } else if flags.has(Flags::SYN) {
            Self::Syn
        } else if flags.has(Flags::FIN) {
            Self::Fin
        } else if flags.has(Flags::ACK) {
            Self::Ack
        } else {
            Self::None
        }
    }
}

/// [`Event::decide`] of the five low flags.
const EVENTS: [Event; 32] = {
    let mut events = [Event::None; 32];
    let mut flags = 0;
    while flags < 32 {
        events[flags] = Event::decide(Flags(flags as u8));
        flags += 1;
    }
    events
};

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

/// A table that can be indexed without a test: by [`Event`], by state.
type Square = [[State; 16]; 8];

/// By [`Direction`], first the normal tables, then those of `secure_tcp`.
static NEXT: [[Square; 4]; 2] = [squares(&NORMAL), squares(&SECURE)];

/// Adds what all tables have in common: UDP stays UDP, a packet without an event closes.
const fn squares(tables: &[Table; 3]) -> [Square; 4] {
    let mut squares = [[[State::Close; 16]; 8]; 4];
    let mut direction = 0;
    while direction < 3 {
        let mut event = 0;
        while event < 5 {
            let mut state = 0;
            while state < 11 && event < 4 {
                squares[direction][event][state] = tables[direction][event][state];
                state += 1;
            }
            squares[direction][event][State::Udp as usize] = State::Udp;
            event += 1;
        }
        direction += 1;
    }
    squares
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

/// The state of a TCP connection in `state` after `event`, by the kernel's table for `direction`;
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

/// How long an entry lives after a packet left it in a state.
///
/// Source: `tcp_timeouts` and `udp_timeouts` of the kernel; `ip_vs_set_timeout` for what
/// `ipvsadm --set` changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    spans: [Span; 12],
}

impl Timeouts {
    /// The longest timeout that can be set: 2^31 - 1 ms, the kernel's limit at 1000 ticks a second.
    pub const MAX: Span = Span::from_millis(i32::MAX as u64);

    /// The timeout of `state`.
    #[inline]
    pub const fn get(&self, state: State) -> Span {
        self.spans[state as usize]
    }

    /// Applies `ipvsadm --set`: `ESTABLISHED`, `FIN_WAIT` and UDP only. `None` and zero leave a
    /// value as it is.
    ///
    /// # Errors
    /// The first span above [`Timeouts::MAX`]; then nothing is changed.
    pub fn set(&mut self, rule: &TimeoutRule) -> Result<(), Span> {
        let set = [
            (State::Established, rule.tcp),
            (State::FinWait, rule.tcp_fin),
            (State::Udp, rule.udp),
        ];
        for span in set.iter().filter_map(|(_, span)| *span) {
            if span > Self::MAX {
                return Err(span);
            }
        }
        for (state, span) in set {
            if let Some(span) = span.filter(|s| *s != Span::ZERO) {
                self.spans[state as usize] = span;
            }
        }
        Ok(())
    }
}

impl Default for Timeouts {
    /// The kernel's values.
    fn default() -> Self {
        let seconds = [2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120, 300];
        Self { spans: seconds.map(Span::from_secs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO: State = State::None;

    /// Walks from `State::None` and checks every state on the way.
    fn walk(steps: &[(Direction, Event, State)]) {
        let mut state = State::None;
        for &(direction, event, expected) in steps {
            let after = next(state, event, direction, false);
            assert_eq!(after, expected, "{state} after {event:?} {direction:?}");
            state = after;
        }
    }

    #[test]
    fn nat_handshake_and_close_by_the_client() {
        use Direction::{Input, Output};
        walk(&[
            (Input, Event::Syn, SR),
            (Output, Event::Syn, SR),
            (Input, Event::Ack, ES),
            (Input, Event::Fin, CW),
            (Output, Event::Ack, CW),
            (Output, Event::Fin, TW),
            (Input, Event::Ack, TW),
        ]);
    }

    #[test]
    fn nat_close_by_the_server() {
        use Direction::{Input, Output};
        walk(&[
            (Input, Event::Syn, SR),
            (Output, Event::Syn, SR),
            (Input, Event::Ack, ES),
            (Output, Event::Fin, FW),
            (Input, Event::Ack, FW),
            (Input, Event::Fin, TW),
        ]);
    }

    #[test]
    fn dr_sees_one_side_and_ends_in_fin_wait() {
        use Direction::InputOnly;
        walk(&[
            (InputOnly, Event::Syn, SR),
            (InputOnly, Event::Rst, SR),
            (InputOnly, Event::Ack, ES),
            (InputOnly, Event::Fin, FW),
            (InputOnly, Event::Ack, FW),
            (InputOnly, Event::Syn, SR),
        ]);
    }

    /// The cells that a recording of Linux 6.1 confirmed.
    #[test]
    fn every_cell_seen_in_a_real_kernel() {
        use Direction::{Input, InputOnly, Output};
        let cells = [
            (Input, Event::Syn, [NO, ES, SR, FW, CW].as_slice(), [SR, ES, SR, SR, SR].as_slice()),
            (Input, Event::Fin, &[ES, SR, FW, TW], &[CW, TW, TW, TW]),
            (Input, Event::Ack, &[ES, SR, FW, TW, CL, CW], &[ES, ES, FW, TW, CL, CW]),
            (Input, Event::Rst, &[ES, SR, CW], &[CL, SR, CL]),
            (Output, Event::Syn, &[ES, SR], &[ES, SR]),
            (Output, Event::Fin, &[ES, SR, TW, CW], &[FW, TW, TW, TW]),
            (Output, Event::Ack, &[ES, SR, TW, CW], &[ES, ES, TW, CW]),
            (Output, Event::Rst, &[ES, SR], &[CL, CL]),
            (InputOnly, Event::Syn, &[NO, ES, SR, FW, CL], &[SR, ES, SR, SR, SR]),
            (InputOnly, Event::Fin, &[ES, SR], &[FW, TW]),
            (InputOnly, Event::Ack, &[NO, ES, SR, FW, TW, CL], &[ES, ES, ES, FW, TW, CL]),
            (InputOnly, Event::Rst, &[ES, SR, FW], &[CL, SR, CL]),
        ];
        for (direction, event, from, to) in cells {
            assert_eq!(from.len(), to.len());
            for (&from, &to) in from.iter().zip(to) {
                assert_eq!(
                    next(from, event, direction, false),
                    to,
                    "{from} {event:?} {direction:?}"
                );
            }
        }
    }

    #[test]
    fn secure_tcp_waits_for_the_servers_first_ack() {
        use Direction::{Input, InputOnly, Output};
        let mut state = NO;
        for (direction, event, expected) in [
            (Input, Event::Syn, SR),
            (Output, Event::Syn, SA),
            (Input, Event::Ack, SA),
            (Output, Event::Ack, ES),
        ] {
            state = next(state, event, direction, true);
            assert_eq!(state, expected);
        }
        assert_eq!(next(NO, Event::Syn, InputOnly, true), SA);
        assert_eq!(next(SA, Event::Ack, InputOnly, true), ES);
        assert_eq!(next(FW, Event::Syn, InputOnly, true), SA);
        assert_eq!(next(SA, Event::Rst, InputOnly, true), CL);
    }

    #[test]
    fn rst_beats_syn_beats_fin_beats_ack() {
        assert_eq!(Event::of(Flags(0x17)), Event::Rst);
        assert_eq!(Event::of(Flags(0x13)), Event::Syn);
        assert_eq!(Event::of(Flags(0x11)), Event::Fin);
        assert_eq!(Event::of(Flags(0x18)), Event::Ack);
        assert_eq!(Event::of(Flags::PSH), Event::None);
        assert_eq!(next(ES, Event::None, Direction::Input, false), CL);
        assert_eq!(next(State::Udp, Event::None, Direction::Input, false), State::Udp);
    }

    #[test]
    fn only_four_states_are_active() {
        let active: Vec<_> = State::ALL.into_iter().filter(|s| s.is_active()).collect();
        assert_eq!(active, [ES, SS, SR, SA]);
    }

    #[test]
    fn set_changes_three_timeouts_and_zero_changes_none() {
        let mut t = Timeouts::default();
        assert_eq!(t.get(CW), Span::from_secs(60));
        let rule = TimeoutRule {
            tcp: Some(Span::from_secs(30)),
            tcp_fin: Some(Span::ZERO),
            udp: Some(Span::from_millis(1)),
        };
        assert_eq!(t.set(&rule), Ok(()));
        assert_eq!(t.get(ES), Span::from_secs(30));
        assert_eq!(t.get(FW), Span::from_secs(120));
        assert_eq!(t.get(TW), Span::from_secs(120));
        assert_eq!(t.get(State::Udp), Span::from_millis(1));
        let long = Timeouts::MAX + Span::from_nanos(1);
        let before = t;
        let rule = TimeoutRule { tcp: Some(Span::from_secs(1)), tcp_fin: Some(long), udp: None };
        assert_eq!(t.set(&rule), Err(long));
        assert_eq!(t, before);
    }
}
