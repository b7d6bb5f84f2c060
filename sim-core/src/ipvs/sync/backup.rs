//! Connection synchronisation, the receiving side (`ip_vs_process_message`, `ip_vs_proc_conn`).

use super::message::{self, Record, flags};
use super::{Told, group, port, state};
use crate::engine::{Span, Time};
use crate::ipvs::connection::{Connection, DestinationId, Slot, Tuple, flag};
use crate::ipvs::director::Ipvs;
use crate::ipvs::rules::{DaemonRole, Forwarding};
use crate::ipvs::state::State;
use crate::wire::{AddressBook, Ip};
use core::net::IpAddr;

/// How long a template lives that came without a timeout.
const TEMPLATE_TIMEOUT: Span = Span::from_secs(180);

impl Ipvs {
    /// The interface, group and port that the backup daemon listens to, if one runs.
    pub fn listens_to(&self) -> Option<(&str, IpAddr, u16)> {
        let backup = self.daemons.iter().find(|d| d.role == DaemonRole::Backup)?;
        Some((&backup.interface, group(backup), port(backup)))
    }

    /// The backup daemon has received a message. Connections it tells of are entered into the table or
    /// brought up to date; what is not a message, or of another syncid, is ignored.
    pub fn receive_message(&mut self, now: Time, bytes: &[u8], book: &mut AddressBook) {
        let Some(backup) = self.daemons.iter().find(|d| d.role == DaemonRole::Backup) else {
            return;
        };
        let syncid = backup.syncid;
        let Some(message) = message::read(bytes) else { return };
        if syncid != 0 && syncid != message.syncid {
            return;
        }
        for record in &message.records {
            self.learn(now, record, book);
        }
    }

    /// Enters a connection into the table, or brings it up to date.
    fn learn(&mut self, now: Time, record: &Record, book: &mut AddressBook) {
        let template = record.flags & flags::TEMPLATE != 0;
        let Some(state) = state(record.protocol, template, record.state) else { return };
        let (caddr, rip) = (book.number(record.client.0), book.number(record.rip.0));
        let server = (rip, record.rip.1);
        let vip = if template && record.protocol == 0 && record.mark != 0 {
            Ip(record.mark)
        } else {
            book.number(record.vip.0)
        };
        let (client, vip) = ((caddr, record.client.1), (vip, record.vip.1));
        let timeout = match record.timeout {
            0 if template => TEMPLATE_TIMEOUT,
            0 => self.timeouts.get(state),
            seconds => Span::from_secs(u64::from(seconds)),
        };
        let slot = if template {
            let call = record.call.as_deref().and_then(|call| self.call(call));
            let tuple = Tuple::template(caddr, vip, record.protocol, call.is_some());
            let known = match call {
                None => self.table.find_request(tuple),
                Some(call) => self.calls.find(tuple, call),
            };
            known.or_else(|| {
                let slot = self.new_entry(now, record, (tuple, server), state, timeout)?;
                if let Some(call) = call {
                    self.calls.remember(slot, tuple, call);
                }
                Some(slot)
            })
        } else {
            let tuple = Tuple::new(client, vip, record.protocol);
            let known = self.table.find_request(tuple);
            let other = known.filter(|&slot| self.table.get(slot).rip() != server);
            match other {
                // it was replaced already; this is its end
                Some(_) if record.flags & flags::INACTIVE != 0 => return,
                Some(slot) => self.expire_now(now, slot),
                None => {}
            }
            known
                .filter(|_| other.is_none())
                .or_else(|| self.new_entry(now, record, (tuple, server), state, timeout))
        };
        let Some(slot) = slot else { return };
        self.update(slot, record);
        let threshold = self.sysctl.sync_threshold.0;
        let entry = self.table.get_mut(slot);
        entry.packets_in = threshold;
        entry.state = state;
        if template {
            entry.set_template_timeout(timeout);
        }
        self.table.renew(slot, now + timeout);
        let end = self.sync.told.get(&slot).map_or(Time::ZERO, |told| told.end);
        self.sync.told.insert(slot, Told { state, end, retries: 0 });
    }

    /// A connection that nobody here knew. Its method is that of the destination if there is one here, and
    /// otherwise what the message says. `None`: there is no such method.
    fn new_entry(
        &mut self,
        now: Time,
        record: &Record,
        (tuple, server): (Tuple, (Ip, u16)),
        state: State,
        timeout: Span,
    ) -> Option<Slot> {
        let stated = message::forwarding(record.flags)?;
        let found = self.destination_of(record, stated);
        let id = found.unwrap_or(DestinationId::NOBODY);
        let method = found.map_or(stated, |id| self.services.destination(id).forwarding);
        let mut entry = if state.is_template() {
            Connection::template(tuple, id, server, method, timeout)
        } else {
            Connection::new(tuple, id, server, method, state)
        };
        let set = |wire: u32, bit: u8| if record.flags & wire != 0 { bit } else { 0 };
        if found.is_none() {
            entry.flags &= !flag::NO_OUTPUT;
            entry.flags |= set(flags::NO_OUTPUT, flag::NO_OUTPUT);
        }
        if !state.is_template() {
            entry.flags &= !flag::INACTIVE;
            entry.flags |= set(flags::INACTIVE, flag::INACTIVE);
            entry.flags |= set(flags::NO_CPORT, flag::NO_CPORT);
        }
        if self.sysctl.conntrack {
            entry.flags |= flag::TRACKED;
        }
        self.services.bind(id, entry.counting());
        let slot = self.table.insert(entry, now + timeout);
        self.sync.learned.insert(slot);
        Some(slot)
    }

    /// Takes over whether a connection is active; one without a destination may find it now
    /// (`ip_vs_try_bind_dest`).
    fn update(&mut self, slot: Slot, record: &Record) {
        let entry = self.table.get_mut(slot);
        let active = record.flags & flags::INACTIVE == 0;
        if !entry.is_template() && entry.is_active() != active {
            entry.flags ^= flag::INACTIVE;
            let destination = entry.destination;
            self.services.flip(destination, active);
        }
        let entry = *self.table.get(slot);
        if entry.destination != DestinationId::NOBODY || entry.forwarding == Forwarding::Bypass {
            return;
        }
        let Some(id) = self.destination_of(record, entry.forwarding) else { return };
        let method = self.services.destination(id).forwarding;
        self.services.bind(id, entry.counting());
        self.table.bind(slot, id, method);
    }

    /// The destination that a connection of a message belongs to on this director (`ip_vs_find_dest`).
    fn destination_of(&self, record: &Record, method: Forwarding) -> Option<DestinationId> {
        let (vip, vport) = record.vip;
        let service = self.services.find(record.mark, record.protocol, vip, vport)?;
        let (rip, port) = record.rip;
        let first = if record.mark != 0 && method != Forwarding::Nat { 0 } else { port };
        [first, port ^ first].into_iter().find_map(|port| {
            let found = self.services.destination_at(service, rip, port)?;
            // its local address is not in the message
            (self.services.destination(found).forwarding != Forwarding::FullNat).then_some(found)
        })
    }
}
