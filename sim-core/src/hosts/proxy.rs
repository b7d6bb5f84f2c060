//! Proxy ARP: a host that answers for addresses behind it takes its time, so that the owner of the
//! address, if it is on the link after all, is heard first (`pneigh_enqueue`).

use super::fabric::{Event, Fabric};
use super::ip::IpStack;
use crate::engine::rng::CounterStream;
use crate::engine::{Span, Time, Uniform};
use crate::wire::Packet;

/// The answer to a broadcast comes within this time, at random (`proxy_delay`).
const DELAY: Span = Span::from_millis(800);
/// No more requests than this wait for their answers (`proxy_qlen`).
const WAITING: usize = 64;

/// Requests that will be answered.
#[derive(Debug, Default)]
pub struct Proxied {
    /// Names the random delays of this host.
    pub key: u64,
    drawn: u64,
    waiting: Vec<(Time, u16, Packet)>,
}

impl IpStack {
    /// Answers a broadcast ARP request later.
    pub(super) fn answer_later(&mut self, fab: &mut Fabric, interface: u16, request: Packet) {
        let Proxied { key, drawn, waiting } = &mut self.proxied;
        if waiting.len() >= WAITING {
            return;
        }
        let word = CounterStream::new(*key, *drawn).next_u64();
        *drawn += 1;
        let delay = (u128::from(DELAY.as_nanos()) * u128::from(word)) >> 64;
        let at = fab.now + Span::from_nanos(delay as u64);
        let place = waiting.partition_point(|(other, ..)| *other <= at);
        waiting.insert(place, (at, interface, request));
        fab.queue.push(at, Event::Proxy { host: self.host });
    }

    /// The answer to the request that waited longest is due.
    pub(super) fn proxy_deadline(&mut self, fab: &mut Fabric) {
        while let Some((at, ..)) = self.proxied.waiting.first()
            && *at <= fab.now
        {
            let (_, interface, request) = self.proxied.waiting.remove(0);
            self.answer(fab, interface, &request);
        }
    }
}
