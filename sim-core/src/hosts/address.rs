//! Addresses that come and go while a host runs (`ip address add`, `ip address del`).

use super::ip::{IpStack, OwnAddress};
use crate::config::Net;
use crate::net::route::Hop;
use crate::net::source::OwnAddress6;
use crate::wire::{AddressBook, Ip, MacId};
use core::net::IpAddr;

impl IpStack {
    /// Whether an interface has an address.
    pub fn has_address(&self, interface: u16, ip: Ip) -> bool {
        self.interfaces.get(usize::from(interface)).is_some_and(|i| i.ips().any(|a| a == ip))
    }

    /// Sets an address on an interface, behind those it has. Its connected prefix is routed, and ARP is answered for it.
    /// `false`: it is there already, or there is no such interface.
    ///
    /// A `deprecated` IPv6 address is not chosen as a source if there is another (`preferred_lft 0`).
    pub fn add_address(
        &mut self,
        book: &mut AddressBook,
        interface: u16,
        net: Net,
        deprecated: bool,
    ) -> bool {
        let ip = book.number(net.addr);
        if self.has_address(interface, ip) {
            return false;
        }
        let Some(i) = self.interfaces.get_mut(usize::from(interface)) else { return false };
        match net.addr {
            IpAddr::V4(_) => i.addresses.push(OwnAddress { ip, len: net.len }),
            IpAddr::V6(a) => {
                // the newest is looked at first
                let new = OwnAddress6 { ip, bits: a.to_bits(), len: net.len, deprecated };
                i.addresses6.insert(0, new);
            }
        }
        self.routes.connect(net, Some(Hop { interface, via: None }));
        self.removed.retain(|gone| *gone != ip);
        self.forget_targets();
        true
    }

    /// Takes an address from an interface, with its routes. ARP is no longer answered for it, and own packets that have it
    /// as their source are not sent any more; connections stay. `false`: it was not there.
    ///
    /// Other addresses of the same prefix stay (`promote_secondaries`, as systemd sets it).
    pub fn remove_address(&mut self, book: &mut AddressBook, interface: u16, addr: IpAddr) -> bool {
        let ip = book.number(addr);
        let Some(i) = self.interfaces.get_mut(usize::from(interface)) else { return false };
        let v4 = i.addresses.iter().position(|a| a.ip == ip);
        let v6 = i.addresses6.iter().position(|a| a.ip == ip);
        let len = match (v4, v6) {
            (Some(at), _) => i.addresses.remove(at).len,
            (None, Some(at)) => i.addresses6.remove(at).len,
            (None, None) => return false,
        };
        i.vmacs.retain(|(a, _)| *a != ip);
        self.routes.disconnect(Net::new(addr, len), Some(Hop { interface, via: None }));
        if !self.routes.is_local(book, ip) {
            self.removed.push(ip);
        }
        self.forget_targets();
        true
    }

    /// From now on an address of an interface stands behind an Ethernet address of its own (a macvlan device above the
    /// interface).
    pub fn set_vmac(&mut self, interface: u16, ip: Ip, mac: MacId) {
        if let Some(i) = self.interfaces.get_mut(usize::from(interface)) {
            i.vmacs.retain(|(a, _)| *a != ip);
            i.vmacs.push((ip, mac));
        }
    }
}
