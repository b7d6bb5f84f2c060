//! TCP as connection tracking sees it (`nf_conntrack_proto_tcp.c`).

use crate::engine::Span;
use crate::wire::Flags;

/// State of a tracked TCP connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TcpState {
    /// Nothing seen.
    None,
    /// A SYN.
    SynSent,
    /// A SYN and the SYN-ACK.
    SynRecv,
    /// Open.
    Established,
    /// A FIN of one side.
    FinWait,
    /// And its acknowledgement.
    CloseWait,
    /// FINs of both sides.
    LastAck,
    /// Closed in order.
    TimeWait,
    /// Reset.
    Close,
    /// SYNs of both sides.
    SynSent2,
}

/// What a segment does to the state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// A state, maybe the same.
    To(TcpState),
    /// It passes without an effect.
    Ignored,
    /// It does not belong to the connection.
    Invalid,
}

impl TcpState {
    /// The effect of a segment of the first packet's direction, or of the other one (`reply`). RST
    /// counts before SYN, SYN before FIN, FIN before ACK.
    pub(super) fn next(self, reply: bool, flags: Flags) -> Next {
        if flags.has(Flags::RST) {
            return if self == Self::None { Next::Invalid } else { Next::To(Self::Close) };
        }
        match (flags.has(Flags::SYN), flags.has(Flags::FIN), flags.has(Flags::ACK)) {
            (true, _, false) => self.on_syn(reply),
            (true, _, true) => self.on_syn_ack(reply),
            (false, true, _) => self.on_fin(),
            (false, false, true) => self.on_ack(reply),
            (false, false, false) => Next::Invalid,
        }
    }

    const fn on_syn(self, reply: bool) -> Next {
        match (self, reply) {
            (Self::None | Self::SynSent | Self::Close, false) | (Self::TimeWait, _) => {
                Next::To(Self::SynSent)
            }
            (Self::SynSent, true) | (Self::SynSent2, _) => Next::To(Self::SynSent2),
            (_, true) => Next::Invalid,
            (_, false) => Next::Ignored,
        }
    }

    const fn on_syn_ack(self, reply: bool) -> Next {
        match (self, reply) {
            (Self::SynSent, true) | (Self::SynSent2, _) | (Self::SynRecv, false) => {
                Next::To(Self::SynRecv)
            }
            (Self::None, true) | (_, false) => Next::Invalid,
            (_, true) => Next::Ignored,
        }
    }

    const fn on_fin(self) -> Next {
        match self {
            Self::None | Self::SynSent | Self::SynSent2 => Next::Invalid,
            Self::SynRecv | Self::Established => Next::To(Self::FinWait),
            Self::FinWait | Self::CloseWait | Self::LastAck => Next::To(Self::LastAck),
            Self::TimeWait => Next::To(Self::TimeWait),
            Self::Close => Next::To(Self::Close),
        }
    }

    const fn on_ack(self, reply: bool) -> Next {
        match (self, reply) {
            (Self::None | Self::SynRecv, false) | (Self::Established, _) => {
                Next::To(Self::Established)
            }
            (Self::SynRecv, true) => Next::To(Self::SynRecv),
            (Self::FinWait | Self::CloseWait, _) => Next::To(Self::CloseWait),
            (Self::LastAck | Self::TimeWait, _) => Next::To(Self::TimeWait),
            (Self::Close, _) => Next::To(Self::Close),
            (Self::SynSent | Self::SynSent2, true) => Next::Ignored,
            (Self::SynSent | Self::SynSent2, false) | (Self::None, true) => Next::Invalid,
        }
    }

    /// How long an entry lives without a packet (`nf_conntrack_tcp_timeout_*`); one that was found in
    /// the middle of a connection and has had no answer not longer than 300 s.
    pub(super) const fn timeout(self, answered: bool) -> Span {
        Span::from_secs(match self {
            Self::Established if answered => 432_000,
            Self::Established => 300,
            Self::SynSent | Self::SynSent2 | Self::FinWait | Self::TimeWait | Self::None => 120,
            Self::SynRecv | Self::CloseWait => 60,
            Self::LastAck => 30,
            Self::Close => 10,
        })
    }
}
