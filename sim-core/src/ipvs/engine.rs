//! The persistence engine `sip`: calls keep their real server (`ip_vs_pe_sip.c`).
//!
//! Packets here carry no text, so a datagram names the call it is about by a number
//! ([`Packet::ack`](crate::wire::Packet::ack)), and [`Ipvs::call`] gives a Call-ID its number.

use super::connection::{Slot, Tuple};
use super::director::Ipvs;
use crate::engine::FxMap;

/// The calls that templates remember.
#[derive(Debug, Default)]
pub(super) struct Calls {
    templates: FxMap<(Tuple, u32), Slot>,
    of: FxMap<Slot, u32>,
    names: Vec<String>,
    numbers: FxMap<String, u32>,
}

impl Calls {
    pub(super) fn find(&self, key: Tuple, call: u32) -> Option<Slot> {
        self.templates.get(&(key, call)).copied()
    }

    pub(super) fn remember(&mut self, template: Slot, key: Tuple, call: u32) {
        self.templates.insert((key, call), template);
        self.of.insert(template, call);
    }

    /// The template is not valid any more, or gone. A retired one keeps its call for listings.
    pub(super) fn forget(&mut self, template: Slot, key: Tuple) {
        let Some(&call) = self.of.get(&template) else { return };
        if self.templates.get(&(key, call)) == Some(&template) {
            self.templates.remove(&(key, call));
        }
    }

    /// The template at `slot` has left the table.
    pub(super) fn remove(&mut self, template: Slot) {
        self.of.remove(&template);
    }

    /// The Call-ID that the template remembers.
    pub(super) fn name(&self, template: Slot) -> Option<String> {
        let call = *self.of.get(&template)?;
        let known = self.names.get(call as usize - 1);
        Some(known.map_or_else(|| call.to_string(), String::clone))
    }
}

impl Ipvs {
    /// The number of a SIP Call-ID, which datagrams of that call carry; `None` if the engine would
    /// not take it: it must have 1 to 255 bytes (`ip_vs_pe_sip.c`, `get_callid`).
    pub fn call(&mut self, id: &str) -> Option<u32> {
        if id.is_empty() || id.len() > 255 {
            return None;
        }
        let calls = &mut self.calls;
        if let Some(&number) = calls.numbers.get(id) {
            return Some(number);
        }
        calls.names.push(id.to_owned());
        let number = calls.names.len() as u32;
        calls.numbers.insert(id.to_owned(), number);
        Some(number)
    }
}
