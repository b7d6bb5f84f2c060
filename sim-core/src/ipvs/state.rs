//! Connection states and timeouts.
//!
//! Source: kernel `net/netfilter/ipvs/ip_vs_proto_tcp.c` (`set_tcp_state`,
//! `tcp_state_active_table`, `tcp_timeouts`), `ip_vs_proto_udp.c` and `ip_vs_proto_sctp.c`.

use super::rules::TimeoutRule;
pub use super::transition::next;
use crate::engine::Span;
use crate::wire::{Flags, Packet, proto, sctp};
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
    /// SCTP: nothing is known yet.
    SctpNone,
    /// SCTP: the client sent an INIT.
    SctpInit1,
    /// SCTP: the client sent a second INIT.
    SctpInit,
    /// SCTP: the real server sent its cookie.
    SctpCookieSent,
    /// SCTP: the client echoed it.
    SctpCookieReplied,
    /// SCTP: the real server opened and waits for a cookie.
    SctpCookieWait,
    /// SCTP: the client sent the cookie.
    SctpCookie,
    /// SCTP: the real server echoed it.
    SctpCookieEchoed,
    /// SCTP: the association carries data.
    SctpEstablished,
    /// SCTP: the real server began to close.
    SctpShutdownSent,
    /// SCTP: the client began to close.
    SctpShutdownReceived,
    /// SCTP: the real server agreed to close.
    SctpShutdownAckSent,
    /// SCTP: the client refused what the real server had opened.
    SctpRejected,
    /// SCTP: closed or aborted.
    SctpClosed,
    /// A persistence template.
    Template,
    /// A template one of whose connections was established or answered.
    TemplateAssured,
}

impl State {
    /// All of them, in the kernel's order.
    pub const ALL: [Self; 28] = [
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
        Self::SctpNone,
        Self::SctpInit1,
        Self::SctpInit,
        Self::SctpCookieSent,
        Self::SctpCookieReplied,
        Self::SctpCookieWait,
        Self::SctpCookie,
        Self::SctpCookieEchoed,
        Self::SctpEstablished,
        Self::SctpShutdownSent,
        Self::SctpShutdownReceived,
        Self::SctpShutdownAckSent,
        Self::SctpRejected,
        Self::SctpClosed,
        Self::Template,
        Self::TemplateAssured,
    ];

    /// The word `ipvsadm -Lc` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None | Self::SctpNone | Self::Template => "NONE",
            Self::Established | Self::SctpEstablished => "ESTABLISHED",
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
            Self::SctpInit1 => "INIT1",
            Self::SctpInit => "INIT",
            Self::SctpCookieSent => "C-SENT",
            Self::SctpCookieReplied => "C-REPLIED",
            Self::SctpCookieWait => "C-WAIT",
            Self::SctpCookie => "COOKIE",
            Self::SctpCookieEchoed => "C-ECHOED",
            Self::SctpShutdownSent => "S-SENT",
            Self::SctpShutdownReceived => "S-RECEIVED",
            Self::SctpShutdownAckSent => "S-ACK-SENT",
            Self::SctpRejected => "REJECTED",
            Self::SctpClosed => "CLOSED",
            Self::TemplateAssured => "ASSURED",
        }
    }

    /// The first state of a connection of `protocol`.
    pub const fn first(protocol: u8) -> Self {
        match protocol {
            proto::UDP => Self::Udp,
            proto::SCTP => Self::SctpNone,
            _ => Self::None,
        }
    }

    /// Whether this is a state of SCTP.
    pub const fn is_sctp(self) -> bool {
        self as u8 >= Self::SctpNone as u8 && self as u8 <= Self::SctpClosed as u8
    }

    /// Whether this is a persistence template.
    pub const fn is_template(self) -> bool {
        matches!(self, Self::Template | Self::TemplateAssured)
    }

    /// Whether a connection that enters this state carries data (TCP, SCTP).
    pub(super) const fn is_established(self) -> bool {
        matches!(self, Self::Established | Self::SctpEstablished)
    }

    /// Whether a connection in this state counts as active (`ActiveConn`); all others, and every
    /// UDP one, count as inactive (`InActConn`). Templates are counted on their own.
    #[inline]
    pub const fn is_active(self) -> bool {
        matches!(
            self,
            Self::Established
                | Self::SynSent
                | Self::SynRecv
                | Self::SynAck
                | Self::SctpEstablished
        )
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

/// What a packet means to the state machine. TCP: of several flags the first of RST, SYN, FIN, ACK
/// decides; a packet with none of them closes the entry. SCTP: the first chunk decides.
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
    /// DATA, and every other chunk that is not named here.
    Data,
    /// INIT.
    Init,
    /// INIT ACK.
    InitAck,
    /// COOKIE ECHO.
    CookieEcho,
    /// COOKIE ACK.
    CookieAck,
    /// SHUTDOWN.
    Shutdown,
    /// SHUTDOWN ACK.
    ShutdownAck,
    /// SHUTDOWN COMPLETE.
    ShutdownComplete,
    /// ERROR.
    Error,
    /// ABORT, also one that follows a cookie.
    Abort,
}

impl Event {
    /// The event of a TCP, UDP or SCTP packet.
    #[inline]
    pub const fn of_packet(pkt: &Packet) -> Self {
        if pkt.proto == proto::SCTP {
            let (first, second) = pkt.chunks();
            Self::of_chunks(first, second)
        } else {
            Self::of(pkt.flags)
        }
    }

    /// The event of an SCTP packet whose first two chunks have these types (`set_sctp_state`).
    pub const fn of_chunks(first: u8, second: u8) -> Self {
        match first {
            sctp::COOKIE_ECHO | sctp::COOKIE_ACK if second == sctp::ABORT => Self::Abort,
            sctp::INIT => Self::Init,
            sctp::INIT_ACK => Self::InitAck,
            sctp::COOKIE_ECHO => Self::CookieEcho,
            sctp::COOKIE_ACK => Self::CookieAck,
            sctp::SHUTDOWN => Self::Shutdown,
            sctp::SHUTDOWN_ACK => Self::ShutdownAck,
            sctp::SHUTDOWN_COMPLETE => Self::ShutdownComplete,
            sctp::ERROR => Self::Error,
            sctp::ABORT => Self::Abort,
            _ => Self::Data,
        }
    }

    /// The event of a TCP packet with `flags`.
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

/// How long an entry lives after a packet left it in a state.
///
/// Source: `tcp_timeouts`, `udp_timeouts` and `sctp_timeouts` of the kernel; `ip_vs_set_timeout` for
/// what `ipvsadm --set` changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// By state; larger than needed, so that it can be indexed without a test.
    spans: [Span; 32],
}

impl Timeouts {
    /// The longest timeout that can be set: 2^31 - 1 ms, the kernel's limit at 1000 ticks a second.
    pub const MAX: Span = Span::from_millis(i32::MAX as u64);

    /// The timeout of `state`; zero for templates, each of which has its own.
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
        let tcp_udp = [2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120, 300];
        let sctp = [2, 4, 61, 61, 61, 61, 61, 61, 900, 61, 61, 61, 4, 61];
        let mut spans = [Span::ZERO; 32];
        for (span, seconds) in spans.iter_mut().zip(tcp_udp.into_iter().chain(sctp)) {
            *span = Span::from_secs(seconds);
        }
        Self { spans }
    }
}

impl Timeouts {
    /// Those of FULLNAT connections. Source: dpvs `ip_vs_proto_tcp.c`, `tcp_timeouts`.
    pub(super) fn full_nat() -> Self {
        let tcp_udp = [2, 90, 3, 30, 7, 7, 3, 7, 7, 120, 30, 300];
        let mut timeouts = Self::default();
        for (span, seconds) in timeouts.spans.iter_mut().zip(tcp_udp) {
            *span = Span::from_secs(seconds);
        }
        timeouts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO: State = State::None;
    const ES: State = State::Established;
    const SS: State = State::SynSent;
    const SR: State = State::SynRecv;
    const FW: State = State::FinWait;
    const TW: State = State::TimeWait;
    const CL: State = State::Close;
    const CW: State = State::CloseWait;
    const SA: State = State::SynAck;

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
    fn few_states_are_active() {
        let active: Vec<_> = State::ALL.into_iter().filter(|s| s.is_active()).collect();
        assert_eq!(active, [ES, SS, SR, SA, State::SctpEstablished]);
    }

    #[test]
    fn an_abort_behind_a_cookie_aborts() {
        assert_eq!(Event::of_chunks(sctp::COOKIE_ECHO, sctp::ABORT), Event::Abort);
        assert_eq!(Event::of_chunks(sctp::COOKIE_ECHO, sctp::DATA), Event::CookieEcho);
        assert_eq!(Event::of_chunks(sctp::DATA, sctp::ABORT), Event::Data);
        assert_eq!(Event::of_chunks(4, 0), Event::Data, "a heartbeat");
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
