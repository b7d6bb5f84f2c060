//! The state of connections by name, for observers.

use super::block::{State, Tuple};
use super::stack::{TIME_WAIT_BIT, TcpStack, tuple_of};
use super::time_wait::Ring;
use crate::engine::Time;
use crate::wire::Packet;

impl TcpStack {
    /// The state that a segment which came in meets, by the name that `netstat` prints: that of its
    /// connection, or `LISTEN`. `None`: neither connection nor listener.
    pub fn state_met(&self, now: Time, segment: &Packet) -> Option<&'static str> {
        let tuple = Tuple::of_received(segment);
        let found = self
            .table
            .find(tuple.hash(), |&id| *tuple_of(&self.slots, &self.ring, id) == tuple)
            .copied();
        match found {
            Some(id) if id & TIME_WAIT_BIT == 0 => Some(name(self.slots[id as usize].state)),
            Some(id) if self.ring.is_waiting(id & Ring::MASK, now) => Some("TIME_WAIT"),
            _ => self.listeners.find(segment.dport).map(|_| "LISTEN"),
        }
    }
}

const fn name(state: State) -> &'static str {
    match state {
        State::Free => "CLOSED",
        State::SynSent => "SYN_SENT",
        State::SynReceived => "SYN_RECV",
        State::Established => "ESTABLISHED",
        State::CloseWait => "CLOSE_WAIT",
        State::FinWait1 => "FIN_WAIT1",
        State::FinWait2 => "FIN_WAIT2",
        State::Closing => "CLOSING",
        State::LastAck => "LAST_ACK",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TcpConfig;
    use crate::tcp::Output;
    use crate::wire::Ip;

    #[test]
    fn a_segment_meets_a_listener_then_its_connection_then_nothing() {
        let (client, server) = ((Ip::new(10, 0, 0, 1), 40_000), (Ip::new(10, 0, 0, 2), 80));
        let mut a = TcpStack::new(TcpConfig::default(), 64, 1);
        let mut b = TcpStack::new(TcpConfig::default(), 64, 2);
        let mut out = Output::default();
        let now = Time::ZERO;
        let conn = a.connect(now, client, server, 7, 0, 1500, &mut out).expect("a free port");
        let syn = out.packets.remove(0);
        assert_eq!(b.state_met(now, &syn), None);
        b.listen(80, 1).expect("a free port");
        assert_eq!(b.state_met(now, &syn), Some("LISTEN"));
        b.on_packet(now, &syn, 1500, &mut out);
        assert_eq!(b.state_met(now, &syn), Some("SYN_RECV"));
        let answer = out.packets.remove(0);
        assert_eq!(a.state_met(now, &answer), Some("SYN_SENT"));
        a.on_packet(now, &answer, 1500, &mut out);
        assert_eq!(a.state_met(now, &answer), Some("ESTABLISHED"));
        a.abort(now, conn, &mut out);
        assert_eq!(a.state_met(now, &answer), None);
    }
}
