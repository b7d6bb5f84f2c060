//! Persistence: templates that keep a client at its real server (`ip_vs_sched_persist`,
//! `ip_vs_check_template`).

use super::connection::{Connection, Slot, Tuple};
use super::director::Ipvs;
use super::rules::ServiceKey;
use super::schedule::{Asking, Bound};
use super::service::FTP;
use super::verdict::{DropReason, Verdict};
use crate::engine::{Span, Time};
use crate::wire::{AddressBook, Ip};
use core::net::IpAddr;
use schedulers::Counting;

/// What a template is found by.
struct Key {
    tuple: Tuple,
    /// The call, with a persistence engine.
    call: Option<u32>,
    /// The template has the port of its destination.
    own_port: bool,
}

/// An address without the bits after the first `len`.
fn masked(address: IpAddr, len: u8) -> IpAddr {
    match address {
        IpAddr::V4(a) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(len.min(32))).unwrap_or(0);
            IpAddr::V4((a.to_bits() & mask).into())
        }
        IpAddr::V6(a) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(len.min(128))).unwrap_or(0);
            IpAddr::V6((a.to_bits() & mask).into())
        }
    }
}

impl Ipvs {
    /// The destination of a persistent client: that of its template, whatever its weight and load, or
    /// a scheduled one for which a template is made. `None`: nobody may be chosen.
    pub(super) fn persist(
        &mut self,
        now: Time,
        asking: &Asking<'_>,
        timeout: Span,
        book: &mut AddressBook,
    ) -> Result<Option<Bound>, Verdict> {
        let key = self.template_key(asking, book)?;
        let template = match self.find_template(&key) {
            Some(slot) if self.is_valid(slot) => slot,
            known => {
                if let Some(slot) = known {
                    self.calls.forget(slot, key.tuple);
                    self.table.retire_template(slot);
                }
                let Some(slot) = self.new_template(now, asking, &key, timeout, book) else {
                    return Ok(None);
                };
                slot
            }
        };
        let entry = self.table.get(template);
        let destination = entry.destination;
        self.table.renew(template, now + entry.template_timeout());
        let vport = asking.tuple.to().1;
        let mapped = self.services.destination(destination).port;
        let port = if self.is_the_port_of(asking) && mapped != 0 { mapped } else { vport };
        let one_packet = self.is_one_packet(asking);
        if one_packet && self.master.is_some() {
            self.synchronise_template(now, template, book);
        }
        let template = if one_packet { Slot::NONE } else { template };
        Ok(Some(Bound { destination, port, template }))
    }

    /// Whether the packet goes to the very port of its service. That of a fwmark service is 0.
    fn is_the_port_of(&self, asking: &Asking<'_>) -> bool {
        let vport = asking.tuple.to().1;
        match self.services.service(asking.service).key {
            ServiceKey::Address { port, .. } => port == vport,
            ServiceKey::Fwmark { .. } => vport == 0,
        }
    }

    fn template_key(&self, asking: &Asking<'_>, book: &mut AddressBook) -> Result<Key, Verdict> {
        let service = self.services.service(asking.service);
        let (vip, vport) = asking.tuple.to();
        let client = masked(book.address(asking.tuple.from().0), service.parameters.netmask_len);
        let client = book.number(client);
        let call = match service.parameters.engine {
            None => None,
            // The engine looks at datagrams only, and takes no message without a Call-ID.
            Some(_) if asking.pkt.proto != crate::wire::proto::UDP || asking.pkt.ack == 0 => {
                return Err(Verdict::Drop(DropReason::Engine));
            }
            Some(_) => Some(asking.pkt.ack),
        };
        let engine = call.is_some();
        let protocol = asking.tuple.protocol();
        let own = self.is_the_port_of(asking);
        let (service, protocol, own_port) = match service.key {
            ServiceKey::Address { port, .. } if own && port != FTP => {
                ((vip, vport), protocol, true)
            }
            ServiceKey::Fwmark { .. } if own => ((vip, vport), protocol, true),
            ServiceKey::Address { .. } => ((vip, 0), protocol, false),
            ServiceKey::Fwmark { mark, .. } => ((Ip(mark), 0), 0, false),
        };
        Ok(Key { tuple: Tuple::template(client, service, protocol, engine), call, own_port })
    }

    fn find_template(&self, key: &Key) -> Option<Slot> {
        match key.call {
            None => self.table.find_request(key.tuple),
            Some(call) => self.calls.find(key.tuple, call),
        }
    }

    /// Whether a template still tells where its client goes.
    pub(super) fn is_valid(&self, template: Slot) -> bool {
        let id = self.table.get(template).destination;
        let quiesced = self.sysctl.expire_quiescent_template && self.services.is_quiesced(id);
        self.services.destination(id).available && !quiesced
    }

    fn new_template(
        &mut self,
        now: Time,
        asking: &Asking<'_>,
        key: &Key,
        timeout: Span,
        book: &AddressBook,
    ) -> Option<Slot> {
        let id = self.pick(now, asking, book)?;
        let destination = self.services.destination(id);
        let port = if key.own_port { destination.port } else { 0 };
        let server = (destination.rip, port);
        let method = destination.forwarding;
        let template = Connection::template(key.tuple, id, server, method, timeout);
        self.services.bind(id, Counting::Template);
        let slot = self.table.insert(template, now + timeout);
        if let Some(call) = key.call {
            self.calls.remember(slot, key.tuple, call);
        }
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_keep_the_leading_bits() {
        let four = |a: [u8; 4], len| masked(a.into(), len);
        assert_eq!(four([10, 1, 2, 3], 24), IpAddr::from([10, 1, 2, 0]));
        assert_eq!(four([10, 1, 2, 3], 32), IpAddr::from([10, 1, 2, 3]));
        assert_eq!(four([10, 1, 2, 3], 0), IpAddr::from([0, 0, 0, 0]));
        let six = masked("fd00:7::15e9:730f".parse().unwrap(), 112);
        assert_eq!(six, "fd00:7::15e9:0".parse::<IpAddr>().unwrap());
    }
}
