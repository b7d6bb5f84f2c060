//! Interfaces and their addresses.

use super::super::action::{
    Address, Encapsulation, Family, LinkChange, LinkKind, Net, Scope, Tunnel, Word,
};
use super::super::net_tools::base;
use super::{HostSetup, Interface};
use crate::diagnostic::{Place, Problem};

/// The interfaces of a host before any command: `lo`, the cables, the tunnel devices of the modules.
pub(super) fn initial(cables: &[(&str, u32)]) -> Vec<Interface> {
    let tunnel = |encapsulation| {
        LinkKind::Tunnel(Tunnel { encapsulation, remote: None, local: None, ttl: None })
    };
    let mut interfaces = vec![device("lo", LinkKind::Loopback, 65_536, true)];
    interfaces
        .extend(cables.iter().map(|(name, mtu)| device(name, LinkKind::Ethernet, *mtu, true)));
    for (name, encapsulation, mtu) in [
        ("tunl0", Encapsulation::Ipip, 1480),
        ("gre0", Encapsulation::Gre, 1476),
        ("sit0", Encapsulation::Sit, 1480),
        ("ip6tnl0", Encapsulation::Ip6tnl, 1452),
    ] {
        interfaces.push(device(name, tunnel(encapsulation), mtu, false));
    }
    interfaces
}

fn device(name: &str, kind: LinkKind, mtu: u32, up: bool) -> Interface {
    Interface {
        name: name.to_owned(),
        kind,
        mac: None,
        mtu,
        up,
        arp: true,
        master: None,
        addresses: Vec::new(),
    }
}

/// Whether two addresses are in one IPv4 prefix of an interface: the later one is secondary.
fn same_prefix(a: &Address, b: &Address) -> bool {
    a.net.family() == Family::V4
        && a.net.len == b.net.len
        && a.net.contains(b.net.address)
        && a.peer.is_none()
        && b.peer.is_none()
}

impl HostSetup {
    pub(super) fn add_address(
        &mut self,
        device: &Word,
        address: &Address,
        replace: bool,
    ) -> Result<(), Problem> {
        let index = self.index(device)?;
        let family = address.net.family();
        if family == Family::V6 && self.lacks_ipv6(&device.value) {
            let label = format!("net.ipv6.conf.{}.disable_ipv6 is 1", device.value);
            return Err(Problem::new(&device.place, "IPv6 is disabled on this device", label));
        }
        let ip = address.net.address;
        let reserved = ip.is_multicast() || ip.is_unspecified();
        if reserved {
            return Err(Problem::new(
                &address.place,
                "Cannot assign requested address",
                "expected an address of one host",
            ));
        }
        let interface = &mut self.interfaces[index];
        let same = |a: &Address| {
            a.net.address == ip && (family == Family::V6 || a.net.len == address.net.len)
        };
        let mut address = address.clone();
        address.label.get_or_insert_with(|| device.value.clone());
        if let Some(present) = interface.addresses.iter_mut().find(|a| same(a)) {
            if replace {
                *present = address;
                return Ok(());
            }
            let message = "RTNETLINK answers: File exists";
            let label = format!("{} has {} already", device.value, address.net);
            return Err(Problem::new(&address.place, message, label));
        }
        interface.addresses.push(address);
        Ok(())
    }

    fn lacks_ipv6(&self, device: &str) -> bool {
        let of = |name: &str| {
            let setting = super::Setting::Interface6(name.to_owned(), "disable_ipv6");
            self.settings.get(&setting).map(|v| v.number)
        };
        of(device).or_else(|| of("all")).unwrap_or(0) == 1
    }

    pub(super) fn delete_address(
        &mut self,
        device: &Word,
        net: Net,
        place: &Place,
    ) -> Result<(), Problem> {
        let index = self.index(device)?;
        let addresses = &self.interfaces[index].addresses;
        let exact = addresses.iter().position(|a| a.net == net);
        // without a length the address is enough, and `ip` warns
        let loose = || {
            addresses
                .iter()
                .position(|a| a.net.address == net.address && net.len == net.family().bits())
        };
        let Some(at) = exact.or_else(loose) else {
            let known: Vec<String> = addresses.iter().map(|a| a.net.to_string()).collect();
            let known = if known.is_empty() { "no address".to_owned() } else { known.join(", ") };
            let message = "RTNETLINK answers: Cannot assign requested address";
            return Err(Problem::new(place, message, format!("{} has {known}", device.value)));
        };
        self.take_address(index, at);
        self.drop_unreachable();
        Ok(())
    }

    /// Takes an address away, and with the primary one of a prefix its secondary ones.
    fn take_address(&mut self, index: usize, at: usize) {
        let addresses = &mut self.interfaces[index].addresses;
        let gone = addresses.remove(at);
        let was_primary = !addresses[..at].iter().any(|a| same_prefix(a, &gone));
        let promote = self.flag("all", "promote_secondaries")
            || self.flag(&self.interfaces[index].name, "promote_secondaries");
        if was_primary && !promote {
            self.interfaces[index].addresses.retain(|a| !same_prefix(a, &gone));
        }
    }

    fn flag(&self, device: &str, name: &'static str) -> bool {
        let setting = super::Setting::Interface(device.to_owned(), name);
        self.settings.get(&setting).is_some_and(|v| v.number == 1)
    }

    pub(super) fn flush_addresses(
        &mut self,
        device: Option<&Word>,
        family: Option<Family>,
        label: Option<&str>,
    ) -> Result<(), Problem> {
        let only = device.map(|d| self.index(d)).transpose()?;
        let fits = |pattern: &str, label: &str| match pattern.split_once('*') {
            Some((head, tail)) => label.starts_with(head) && label.ends_with(tail),
            None => pattern == label,
        };
        for (index, interface) in self.interfaces.iter_mut().enumerate() {
            if only.is_some_and(|o| o != index) {
                continue;
            }
            interface.addresses.retain(|a| {
                let of_family = family.is_none_or(|f| a.net.family() == f);
                let labelled =
                    label.is_none_or(|l| a.label.as_deref().is_some_and(|own| fits(l, own)));
                !(of_family && labelled)
            });
        }
        self.drop_unreachable();
        Ok(())
    }

    pub(super) fn set_alias(&mut self, name: &Word, address: &Address) -> Result<(), Problem> {
        let index = self.index(&base(name))?;
        let addresses = &mut self.interfaces[index].addresses;
        let old = addresses.iter().position(|a| {
            a.net.family() == Family::V4 && a.label.as_deref() == Some(name.value.as_str())
        });
        if let Some(old) = old {
            addresses.remove(old);
        }
        let mut new = address.clone();
        if name.value == "lo" && new.net.address.is_loopback() {
            new.scope = Some(Scope::Host);
        }
        let same = |a: &Address| a.net.address == new.net.address && a.net.len == new.net.len;
        if addresses.iter().any(same) {
            let message = "SIOCSIFADDR: File exists";
            let label = format!("{} has {} already", base(name).value, new.net);
            return Err(Problem::new(&new.place, message, label));
        }
        let at = old.unwrap_or(addresses.len()).min(addresses.len());
        addresses.insert(at, new);
        self.drop_unreachable();
        Ok(())
    }

    pub(super) fn drop_alias(&mut self, name: &Word) -> Result<(), Problem> {
        let index = self.index(&base(name))?;
        let addresses = &mut self.interfaces[index].addresses;
        let Some(at) =
            addresses.iter().position(|a| a.label.as_deref() == Some(name.value.as_str()))
        else {
            let message =
                format!("{}: ERROR while getting interface flags: No such device", name.value);
            return Err(Problem::new(&name.place, message, "no address has this label"));
        };
        self.take_address(index, at);
        self.drop_unreachable();
        Ok(())
    }

    pub(super) fn add_link(&mut self, name: &Word, kind: &LinkKind) -> Result<(), Problem> {
        if self.interface(&name.value).is_some() {
            return Err(Problem::new(
                &name.place,
                "RTNETLINK answers: File exists",
                "there is such an interface",
            ));
        }
        if name.value.is_empty() || name.value.len() > 15 || name.value.contains(['/', ' ']) {
            let label = "expected at most 15 characters without `/` and blanks";
            return Err(Problem::new(
                &name.place,
                format!("\"{}\" not a valid ifname", name.value),
                label,
            ));
        }
        let mtu = match kind {
            LinkKind::Vlan { below, .. } => {
                let below = crate::diagnostic::At::new(below.clone(), name.place.clone());
                self.interfaces[self.index(&below)?].mtu
            }
            LinkKind::Tunnel(tunnel) => match tunnel.encapsulation {
                Encapsulation::Ipip | Encapsulation::Sit => 1480,
                Encapsulation::Gre => 1476,
                Encapsulation::Ip6tnl => 1452,
                Encapsulation::Ip6gre => 1448,
            },
            _ => 1500,
        };
        if let LinkKind::Tunnel(tunnel) = kind {
            self.check_tunnel(name, tunnel)?;
        }
        let new = device(&name.value, kind.clone(), mtu, false);
        self.interfaces.push(new);
        self.copy_defaults(&name.value);
        Ok(())
    }

    /// No two tunnels of a kind have the same ends.
    fn check_tunnel(&self, name: &Word, tunnel: &Tunnel) -> Result<(), Problem> {
        let same = |i: &&Interface| matches!(&i.kind, LinkKind::Tunnel(t) if (t.encapsulation, t.remote, t.local) == (tunnel.encapsulation, tunnel.remote, tunnel.local));
        match self.interfaces.iter().find(same) {
            Some(other) => {
                let label = format!("{} has these ends", other.name);
                Err(Problem::new(&name.place, "RTNETLINK answers: File exists", label))
            }
            None => Ok(()),
        }
    }

    pub(super) fn delete_link(&mut self, name: &Word) -> Result<(), Problem> {
        let index = self.index(name)?;
        let fixed = matches!(self.interfaces[index].kind, LinkKind::Loopback | LinkKind::Ethernet)
            || ["tunl0", "gre0", "sit0", "ip6tnl0"].contains(&name.value.as_str());
        if fixed {
            let message = "RTNETLINK answers: Operation not supported";
            return Err(Problem::new(&name.place, message, "this interface is always there"));
        }
        self.interfaces.remove(index);
        self.drop_unreachable();
        Ok(())
    }

    pub(super) fn set_link(&mut self, name: &Word, change: &LinkChange) -> Result<(), Problem> {
        let index = self.index(name)?;
        if let LinkChange::Master(Some(master)) = change
            && self.interface(master).is_none()
        {
            let message = format!("Device \"{master}\" does not exist");
            return Err(Problem::new(&name.place, message, "its master"));
        }
        if let LinkChange::Name(new) = change
            && self.interface(new).is_some()
        {
            return Err(Problem::new(
                &name.place,
                "RTNETLINK answers: File exists",
                format!("there is an interface {new}"),
            ));
        }
        let interface = &mut self.interfaces[index];
        match change {
            LinkChange::Up(up) => {
                interface.up = *up;
                if !up {
                    // Linux keeps the IPv4 addresses of an interface that goes down, not those of IPv6
                    interface.addresses.retain(|a| a.net.family() == Family::V4);
                    self.drop_through(index);
                    self.drop_unreachable();
                }
            }
            LinkChange::Mtu(mtu) => interface.mtu = *mtu,
            LinkChange::Mac(mac) => interface.mac = Some(*mac),
            LinkChange::Arp(arp) => interface.arp = *arp,
            LinkChange::Master(master) => interface.master.clone_from(master),
            LinkChange::Name(new) => interface.name.clone_from(new),
        }
        Ok(())
    }
}
