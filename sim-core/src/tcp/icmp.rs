//! ICMP errors that quote a segment (Linux `tcp_v4_err`), and what they teach about paths.

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use super::block::{Bits, Block, Cx, Fate, State};
use super::{MIN_MSS, Note};
use crate::engine::{Span, Time};
use crate::wire::{Ip, Packet, icmp};

/// Smallest path MTU that is believed (Linux `ip_rt_min_pmtu`); below it packets may be fragmented.
const MIN_PMTU: u16 = 552;

/// Smallest MTU of an IPv6 link (Linux `IPV6_MIN_MTU`): less is not believed at all.
const MIN_MTU_V6: u16 = 1280;

/// A path MTU is forgotten after this time (Linux `ip_rt_mtu_expires`).
const PMTU_LIFE: Span = Span::from_secs(600);

/// Path MTUs that ICMP errors told, by destination.
#[derive(Clone, Debug, Default)]
pub(super) struct PathMtus {
    known: HashMap<Ip, (u16, Time), FxBuildHasher>,
}

impl PathMtus {
    /// The MTU towards a destination, at most that of the link.
    #[inline]
    pub(super) fn get(&self, now: Time, to: Ip, link_mtu: u16) -> u16 {
        if self.known.is_empty() {
            return link_mtu;
        }
        match self.known.get(&to) {
            Some(&(mtu, until)) if until > now => mtu.min(link_mtu),
            _ => link_mtu,
        }
    }

    /// Takes in a "fragmentation needed"; the MTU to believe, and whether it is the least one.
    pub(super) fn learn(&mut self, now: Time, to: Ip, told: u16) -> (u16, bool) {
        if to.is_v6() {
            if told < MIN_MTU_V6 {
                return (u16::MAX, false);
            }
            self.known.insert(to, (told, now + PMTU_LIFE));
            return (told, false);
        }
        let mtu = told.max(MIN_PMTU);
        self.known.insert(to, (mtu, now + PMTU_LIFE));
        (mtu, told < MIN_PMTU)
    }
}

impl Block {
    /// Whether a quoted segment is one that was sent and not acknowledged.
    pub(super) fn quoted_is_mine(&self, quoted: &Packet) -> bool {
        let offset = i64::from(quoted.seq.wrapping_sub(self.seq_of(self.una)) as i32);
        (0..=self.flight() as i64).contains(&offset)
    }

    /// The path takes packets of `mtu` bytes only.
    pub(super) fn shrink_path(&mut self, mtu: u16, fragment: bool, cx: &mut Cx<'_>) {
        if fragment {
            self.bits.set(Bits::FRAGMENT);
        }
        let payload =
            mtu.saturating_sub(self.tuple.headers()).max(MIN_MSS) - u16::from(self.options());
        if payload >= self.mss {
            return;
        }
        let old = core::mem::replace(&mut self.mss, payload);
        if matches!(self.state, State::SynSent | State::SynReceived) || self.flight() == 0 {
            return;
        }
        // what was lost was lost for its size: no fast recovery, no smaller window
        self.recover = self.max;
        self.resend_oversized(cx, old);
        self.rto_at = cx.now + self.rto_now(cx.config);
    }

    /// The destination cannot be reached, or a packet ran out of hops.
    pub(super) fn on_unreachable(&mut self, kind: u8, code: u8) -> Fate {
        let note = match (kind, code) {
            (icmp::UNREACHABLE, icmp::PROTOCOL | icmp::PORT) => Note::Refused,
            _ => Note::Unreachable,
        };
        match self.state {
            State::SynSent => Fate::Dead(note),
            // Linux tcp_req_err: not for a port or protocol unreachable
            State::SynReceived if note == Note::Unreachable => Fate::Dead(note),
            _ => {
                self.bits.set(Bits::SOFT_ERROR);
                Fate::Live
            }
        }
    }
}
