//! Tunnels that end at a host: devices that unwrap packets, and UDP ports that do.
//!
//! A packet that was unwrapped comes in again by its device, as if that were an interface with a link.
//! Source: `net/ipv4/{tunnel4,ipip,ip_gre,fou_core,ip_tunnel}.c`, `net/ipv6/{tunnel6,ip6_tunnel,sit}.c`.

use super::Host;
use super::fabric::{Fabric, Place, Reason};
use crate::config::{FouConfig, TunnelKind};
use crate::wire::{Ip, Kind, Packet, PacketId, icmp, proto};

/// A tunnel device that is up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tunnel {
    /// Its number among the interfaces of the host.
    pub interface: u16,
    /// What it unwraps.
    pub kind: TunnelKind,
    /// Own outer address; `None`: any.
    pub local: Option<Ip>,
    /// The peer's outer address; `None`: any.
    pub remote: Option<Ip>,
    /// Whether GRE packets must carry a checksum, and no other.
    pub checksum: bool,
}

/// What unwraps tunnel packets at a host.
#[derive(Clone, Debug, Default)]
pub struct Tunnels {
    /// Devices.
    pub devices: Vec<Tunnel>,
    /// UDP ports.
    pub ports: Vec<FouConfig>,
}

impl Tunnels {
    /// The device for an outer packet of protocol `protocol` around a packet of family `inner`: the one
    /// that names the most of its addresses (`ip_tunnel_lookup`).
    pub(super) fn device(&self, outer: &Packet, protocol: u8, inner: Kind) -> Option<Tunnel> {
        let unwraps = |kind| match (kind, outer.kind) {
            (TunnelKind::Ipip, Kind::Ipv4) => protocol == proto::IPIP && inner == Kind::Ipv4,
            (TunnelKind::Sit, Kind::Ipv4) => protocol == proto::IPV6 && inner == Kind::Ipv6,
            (TunnelKind::Gre, Kind::Ipv4) | (TunnelKind::Ip6Gre, Kind::Ipv6) => {
                protocol == proto::GRE
            }
            (TunnelKind::Ip6Tnl, Kind::Ipv6) => {
                protocol == proto::IPV6 && inner == Kind::Ipv6
                    || protocol == proto::IPIP && inner == Kind::Ipv4
            }
            _ => false,
        };
        let named = |t: &Tunnel| (t.remote.is_some(), t.local.is_some());
        let fits = |t: &&Tunnel| {
            unwraps(t.kind)
                && t.local.is_none_or(|a| a == outer.dst)
                && t.remote.is_none_or(|a| a == outer.src)
        };
        let best = self.devices.iter().rev().filter(fits).max_by_key(|t| named(t));
        best.copied()
    }

    /// The UDP port that unwraps a packet, if there is one.
    pub(super) fn port(&self, outer: &Packet) -> Option<FouConfig> {
        let v6 = outer.kind == Kind::Ipv6;
        self.ports.iter().find(|f| f.port == outer.dport && f.v6 == v6).copied()
    }
}

impl Host {
    /// A packet of a tunnel protocol for this host.
    #[cold]
    pub(super) fn tunnel_input(&mut self, fab: &mut Fabric, packet: PacketId) {
        let protocol = fab.packets[packet].proto;
        self.decapsulate(fab, packet, protocol);
    }

    /// A datagram for this host: `true` if a port for tunnels took it.
    #[inline]
    pub(super) fn fou_input(&mut self, fab: &mut Fabric, packet: PacketId) -> bool {
        !self.tunnels.ports.is_empty() && self.fou_input_slow(fab, packet)
    }

    #[cold]
    fn fou_input_slow(&mut self, fab: &mut Fabric, packet: PacketId) -> bool {
        let p = fab.packets[packet];
        let Some(port) = self.tunnels.port(&p) else { return false };
        let inner = p.body.is_packet().then(|| fab.packets[p.body].kind);
        let generic = port.protocol.is_none();
        match inner {
            Some(inner) if generic == (p.opt >= 4) => {
                let told = if inner == Kind::Ipv6 { proto::IPV6 } else { proto::IPIP };
                self.decapsulate(fab, packet, port.protocol.unwrap_or(told));
            }
            // not of the kind that the port expects
            _ => fab.drop(Place::Host(self.number), Reason::NoProtocol, packet),
        }
        true
    }

    /// Takes a packet of protocol `protocol` apart, or answers that nobody does.
    fn decapsulate(&mut self, fab: &mut Fabric, packet: PacketId, protocol: u8) {
        let outer = fab.packets[packet];
        let inside = outer.body.is_packet().then(|| fab.packets[outer.body].kind);
        let device = inside.and_then(|kind| self.tunnels.device(&outer, protocol, kind));
        let Some(device) = device else {
            // as Linux, tunnels without a device answer as closed ports do
            self.refuse(fab, packet, icmp::PORT, Reason::NoProtocol);
            return;
        };
        let checked = outer.seq != 0;
        let refused = match device.kind {
            // `ip_tunnel_rcv`
            TunnelKind::Gre | TunnelKind::Ip6Gre if checked != device.checksum => {
                Some(Reason::TunnelChecksum)
            }
            // `ip6_tnl_rcv_ctl`
            TunnelKind::Ip6Tnl | TunnelKind::Ip6Gre if self.ip.is_local(&fab.book, outer.src) => {
                Some(Reason::MartianSource)
            }
            _ => None,
        };
        if let Some(reason) = refused {
            fab.drop(Place::Host(self.number), reason, packet);
            return;
        }
        let inner = fab.unwrap_body(packet);
        self.any_input(fab, device.interface, inner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel(kind: TunnelKind, interface: u16) -> Tunnel {
        Tunnel { interface, kind, local: None, remote: None, checksum: false }
    }

    #[test]
    fn the_device_that_names_the_peer_is_asked_before_the_one_for_all() {
        let (a, b, here) = (Ip::new(10, 0, 0, 1), Ip::new(10, 0, 0, 2), Ip::new(10, 0, 0, 9));
        let named = Tunnel { remote: Some(a), local: Some(here), ..tunnel(TunnelKind::Ipip, 7) };
        let devices = vec![tunnel(TunnelKind::Ipip, 6), named, tunnel(TunnelKind::Sit, 8)];
        let tunnels = Tunnels { devices, ports: Vec::new() };
        let by = |src, protocol, inner| {
            let outer = Packet::ipv4(src, here, protocol, 60);
            tunnels.device(&outer, protocol, inner).map(|t| t.interface)
        };
        assert_eq!(by(a, proto::IPIP, Kind::Ipv4), Some(7));
        assert_eq!(by(b, proto::IPIP, Kind::Ipv4), Some(6));
        assert_eq!(by(a, proto::IPV6, Kind::Ipv6), Some(8));
        assert_eq!(by(a, proto::IPV6, Kind::Ipv4), None, "the header lies");
        assert_eq!(by(a, proto::GRE, Kind::Ipv4), None);
    }
}
