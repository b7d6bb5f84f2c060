//! Finding services and destinations.

use super::{Destination, Service, ServiceTable};
use crate::config::IpvsSysctl;
use crate::ipvs::clock::Clock;
use crate::ipvs::connection::DestinationId;
use crate::ipvs::rules::{Forwarding, ServiceKey};
use crate::wire::{Ip, proto};
use core::net::IpAddr;
use schedulers::DestId;

/// Well-known port of FTP control connections.
pub(in crate::ipvs) const FTP: u16 = 21;
/// Source port of active FTP data connections, and destination port of its passive relatives.
pub(in crate::ipvs) const FTP_DATA: u16 = 20;
/// Ports from here on need no privilege (`net.ipv4.ip_unprivileged_port_start`).
const FIRST_UNPRIVILEGED: u16 = 1024;

impl ServiceTable {
    /// Whether services of IPv4, of IPv6 are configured: otherwise the kernel's hooks for that
    /// family are not registered.
    pub(in crate::ipvs) const fn families(&self) -> [bool; 2] {
        [self.families[0] > 0, self.families[1] > 0]
    }

    /// Whether any service is configured.
    pub(in crate::ipvs) const fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(in crate::ipvs) const fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// Applies `lblc_expiration` and `lblcr_expiration`.
    pub(in crate::ipvs) fn set_sysctl(&mut self, sysctl: &IpvsSysctl) {
        self.expiration = [sysctl.lblc_expiration, sysctl.lblcr_expiration];
        for service in &mut self.services {
            service.set_expiration(self.expiration);
        }
    }

    /// The service of a packet without a connection (`ip_vs_service_find`): by its mark, by its
    /// destination, as a data connection of an FTP service, by a service for all ports.
    pub(in crate::ipvs) fn find(
        &self,
        mark: u32,
        protocol: u8,
        vip: IpAddr,
        port: u16,
    ) -> Option<u32> {
        let at = |port| self.live(ServiceKey::Address { protocol, vip, port });
        if mark != 0
            && let Some(index) = self.live(ServiceKey::Fwmark { mark, v6: vip.is_ipv6() })
        {
            return Some(index);
        }
        if let Some(index) = at(port) {
            return Some(index);
        }
        let data = port == FTP_DATA || port >= FIRST_UNPRIVILEGED;
        if self.ftp > 0
            && protocol == proto::TCP
            && data
            && let Some(index) = at(FTP)
        {
            return Some(index);
        }
        if self.any_port > 0 { at(0) } else { None }
    }

    /// Whether a NAT destination of a service for `protocol` is at this address and port
    /// (`ip_vs_has_real_service`).
    pub(in crate::ipvs) fn has_nat_server(&self, protocol: u8, rip: Ip, port: u16) -> bool {
        self.iter().any(|service| {
            let fits = match service.key {
                ServiceKey::Address { protocol: p, .. } => p == protocol,
                ServiceKey::Fwmark { .. } => true,
            };
            fits && service.order.iter().any(|&id| {
                let d = self.destination(id);
                d.forwarding == Forwarding::Nat && (d.rip, d.port) == (rip, port)
            })
        })
    }

    /// A service comes to life, or dies.
    pub(super) fn count_service(&mut self, key: ServiceKey, added: bool) {
        let (v6, ftp, any) = match key {
            ServiceKey::Address { protocol, vip, port } => {
                (vip.is_ipv6(), protocol == proto::TCP && port == FTP, port == 0)
            }
            ServiceKey::Fwmark { v6, .. } => (v6, false, false),
        };
        let count = |n: &mut u32, it: bool| {
            *n = if added { *n + u32::from(it) } else { *n - u32::from(it) };
        };
        count(&mut self.families[usize::from(v6)], true);
        count(&mut self.ftp, ftp);
        count(&mut self.any_port, any);
    }

    pub(super) fn live(&self, key: ServiceKey) -> Option<u32> {
        let index = *self.by_key.get(&key)?;
        self.services[index as usize].live.then_some(index)
    }

    pub(in crate::ipvs) fn service(&self, index: u32) -> &Service {
        &self.services[index as usize]
    }

    pub(in crate::ipvs) fn service_mut(&mut self, index: u32) -> &mut Service {
        &mut self.services[index as usize]
    }

    #[inline]
    pub(in crate::ipvs) fn destination(&self, id: DestinationId) -> &Destination {
        &self.destinations[id.0 as usize]
    }

    #[inline]
    pub(in crate::ipvs) fn destination_mut(&mut self, id: DestinationId) -> &mut Destination {
        &mut self.destinations[id.0 as usize]
    }

    /// Whether the destination's weight is 0.
    pub(in crate::ipvs) fn is_quiesced(&self, id: DestinationId) -> bool {
        let Destination { service, id: Some(name), .. } = *self.destination(id) else {
            return false;
        };
        self.service(service).scheduler.pool().weight(name) == Some(0)
    }

    /// Whether the destination's service schedules each packet on its own.
    pub(in crate::ipvs) fn is_one_packet(&self, id: DestinationId) -> bool {
        let service = self.services.get(self.destination(id).service as usize);
        service.is_some_and(|service| service.parameters.one_packet)
    }

    /// The listed destination of a service at this address and port.
    pub(in crate::ipvs) fn destination_at(
        &self,
        service: u32,
        rip: IpAddr,
        port: u16,
    ) -> Option<DestinationId> {
        let listed = &self.service(service).order;
        listed.iter().copied().find(|&id| {
            let destination = self.destination(id);
            (destination.address, destination.port) == (rip, port)
        })
    }

    /// The mark of the fwmark service that a destination belongs to.
    pub(in crate::ipvs) fn mark_of(&self, id: DestinationId) -> Option<u32> {
        match self.services.get(self.destination(id).service as usize)?.key {
            ServiceKey::Fwmark { mark, .. } => Some(mark),
            ServiceKey::Address { .. } => None,
        }
    }

    /// Live services in the order they were added.
    pub(in crate::ipvs) fn iter(&self) -> impl Iterator<Item = &Service> {
        self.order.iter().map(|&index| self.service(index))
    }

    /// The destination that a service's pool knows as `id`.
    pub(in crate::ipvs) fn of_pool(&self, service: u32, id: DestId) -> Option<DestinationId> {
        self.service(service).ids.get(&id).copied()
    }
}
