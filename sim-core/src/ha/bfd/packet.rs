//! The BFD control packet (RFC 5880, section 4.1).

/// Bytes of a packet without authentication.
pub const LENGTH: usize = 24;
const VERSION: u8 = 1;
const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const AUTHENTICATED: u8 = 0x04;
const MULTIPOINT: u8 = 0x01;

/// State of a session, as the packet tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Taken down by its administrator.
    AdminDown = 0,
    /// Nothing is heard.
    Down = 1,
    /// The neighbour is heard, and does not hear.
    Init = 2,
    /// Both hear each other.
    Up = 3,
}

/// What a packet says. Intervals are in microseconds.
///
/// ```
/// use sim_core::ha::bfd::{ControlPacket, State};
///
/// let packet = ControlPacket {
///     diagnostic: 0, state: State::Down, poll: false, finish: false, multiplier: 5,
///     own: 7, yours: 0, min_tx: 1_000_000, min_rx: 10_000,
/// };
/// let bytes = packet.bytes();
/// assert_eq!(bytes[..4], [0x20, 0x40, 5, 24]);
/// assert_eq!(ControlPacket::read(&bytes), Some(packet));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ControlPacket {
    /// Why the session went down last.
    pub diagnostic: u8,
    /// State of the sender.
    pub state: State,
    /// An answer is wanted at once.
    pub poll: bool,
    /// This is the answer.
    pub finish: bool,
    /// Lost packets after which the receiver takes the session for down.
    pub multiplier: u8,
    /// Number of the session at the sender.
    pub own: u32,
    /// Number of the session at the receiver; 0: not known.
    pub yours: u32,
    /// Least time between packets the sender wants to send.
    pub min_tx: u32,
    /// Least time between packets the sender can take.
    pub min_rx: u32,
}

impl ControlPacket {
    /// The bytes above UDP.
    pub fn bytes(&self) -> [u8; LENGTH] {
        let mut out = [0; LENGTH];
        let poll = if self.poll { POLL } else { 0 };
        let finish = if self.finish { FINAL } else { 0 };
        let flags = (self.state as u8) << 6 | poll | finish;
        out[..4].copy_from_slice(&[
            VERSION << 5 | self.diagnostic & 0x1f,
            flags,
            self.multiplier,
            LENGTH as u8,
        ]);
        let words = [self.own, self.yours, self.min_tx, self.min_rx, 0];
        for (at, word) in words.into_iter().enumerate() {
            out[4 + 4 * at..8 + 4 * at].copy_from_slice(&word.to_be_bytes());
        }
        out
    }

    /// Reads the bytes above UDP. `None`: a packet to be discarded (RFC 5880, section 6.8.6), or one with authentication,
    /// which keepalived does not support.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let b: &[u8; LENGTH] = bytes.try_into().ok()?;
        let word = |at: usize| u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
        let state = match b[1] >> 6 {
            0 => State::AdminDown,
            1 => State::Down,
            2 => State::Init,
            _ => State::Up,
        };
        let packet = Self {
            diagnostic: b[0] & 0x1f,
            state,
            poll: b[1] & POLL != 0,
            finish: b[1] & FINAL != 0,
            multiplier: b[2],
            own: word(4),
            yours: word(8),
            min_tx: word(12),
            min_rx: word(16),
        };
        let unknown = packet.yours == 0 && matches!(state, State::Init | State::Up);
        let wrong = b[0] >> 5 != VERSION
            || usize::from(b[3]) != LENGTH
            || b[1] & (AUTHENTICATED | MULTIPOINT) != 0
            || packet.multiplier == 0
            || packet.own == 0
            || packet.poll && packet.finish
            || unknown;
        (!wrong).then_some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_that_no_session_can_have_sent_are_discarded() {
        let good = ControlPacket {
            diagnostic: 1,
            state: State::Up,
            poll: true,
            finish: false,
            multiplier: 3,
            own: 1,
            yours: 2,
            min_tx: 10_000,
            min_rx: 20_000,
        };
        assert_eq!(ControlPacket::read(&good.bytes()), Some(good));
        for bad in [
            ControlPacket { own: 0, ..good },
            ControlPacket { yours: 0, ..good },
            ControlPacket { multiplier: 0, ..good },
            ControlPacket { finish: true, ..good },
        ] {
            assert_eq!(ControlPacket::read(&bad.bytes()), None, "{bad:?}");
        }
        for (at, byte) in [(0, 0x41), (1, 0xc4), (1, 0xc1), (3, 26)] {
            let mut bytes = good.bytes();
            bytes[at] = byte;
            assert_eq!(ControlPacket::read(&bytes), None);
        }
        assert_eq!(ControlPacket::read(&good.bytes()[..23]), None);
    }
}
