//! How available services were, and who held their addresses: from a finished world.

use super::World;
use crate::config::{HostConfig, WorldConfig};
use crate::engine::{Span, Time};
use crate::hosts::fabric::Fabric;
use crate::ipvs::rules::ServiceKey;
use crate::observe::holders::{self, Configured};
use crate::observe::timeline::Kind;
use crate::observe::{
    Availability, ClientObservation, Happening, Histogram, TimelineEntry, VipObservation, cause,
};
use crate::wire::MacId;
use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

/// What the configuration says about addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    services: BTreeSet<IpAddr>,
    configured: Configured,
}

impl Addresses {
    pub(super) fn new(config: &WorldConfig) -> Self {
        let ipvs = config.hosts.iter().filter_map(|h| h.ipvs.as_ref());
        let services = ipvs.flat_map(|i| &i.services).filter_map(|s| vip(s.key)).collect();
        let addresses = |h: &HostConfig| {
            let own = h.interfaces.iter().flat_map(|i| &i.addresses).map(|a| a.addr);
            (h.name.clone(), own.collect())
        };
        // a real server that has the VIP on an interface does not stand for the service
        let stands =
            |h: &&HostConfig| h.ipvs.is_some() || h.keepalived.is_some() || h.servers.is_empty();
        Self { services, configured: config.hosts.iter().filter(stands).map(addresses).collect() }
    }

    /// The addresses of services and those that clients ask for.
    pub(super) fn asked_for(&self, config: &WorldConfig) -> BTreeSet<IpAddr> {
        let clients = config.hosts.iter().flat_map(|h| &h.clients).map(|c| c.target.0);
        self.services.iter().copied().chain(clients).collect()
    }
}

fn vip(key: ServiceKey) -> Option<IpAddr> {
    match key {
        ServiceKey::Address { vip, .. } => Some(vip),
        ServiceKey::Fwmark { .. } => None,
    }
}

/// The availability part of observations.
pub(super) struct Available {
    pub(super) clients: Vec<Availability>,
    pub(super) services: Vec<Availability>,
    pub(super) vips: Vec<VipObservation>,
    pub(super) timeline: Vec<TimelineEntry>,
}

impl Available {
    /// Takes the timeline out of a world and makes out what it means.
    pub(super) fn new(world: &mut World) -> Self {
        let mut timeline = timeline(world);
        let fabric = &world.fabric;
        let end = fabric.now.min(world.duration);
        let mut clients = fabric.ledger.clients(&fabric.clients, end);
        let mut services = fabric.ledger.services(end);
        let patience = patience(&fabric.clients);
        cause::assign(&mut clients, &timeline, patience);
        cause::assign(&mut services, &timeline, patience);
        let vips = vips(world, &timeline);
        tell(&mut clients, &mut services, &mut timeline);
        Self { clients, services, vips, timeline }
    }
}

/// How long an answer takes at most, but for one in a hundred.
fn patience(clients: &[ClientObservation]) -> Span {
    let mut all = Histogram::default();
    for client in clients {
        all.merge(&client.complete);
    }
    Span::from_secs_f64(all.quantile_s(0.99))
}

/// The timeline with the names of hosts, also for Ethernet addresses.
fn timeline(world: &mut World) -> Vec<TimelineEntry> {
    let mut owners = BTreeMap::new();
    for host in &world.hosts {
        for interface in host.ip.interfaces.iter().filter(|i| i.mac != MacId::ZERO) {
            if let Some(mac) = world.fabric.macs.get(interface.mac.0 as usize) {
                owners.insert(mac.to_string(), host.name.as_str());
            }
        }
    }
    let name = |host: Option<u16>| host.map(|h| world.hosts[usize::from(h)].name.clone());
    let entry = |h: Happening| {
        let Happening { time, host, kind, subject, mut value } = h;
        if let (Kind::Neighbour, Some(owner)) = (kind, owners.get(&value)) {
            (*owner).clone_into(&mut value);
        }
        TimelineEntry { time, host: name(host).unwrap_or_default(), kind, subject, value }
    };
    core::mem::take(&mut world.fabric.timeline).into_iter().map(entry).collect()
}

fn vips(world: &World, timeline: &[TimelineEntry]) -> Vec<VipObservation> {
    let addresses = &world.addresses;
    let mut services = addresses.services.clone();
    let directors = world.hosts.iter().filter_map(|h| h.director());
    services.extend(directors.flat_map(|d| d.ipvs.destinations()).filter_map(|d| vip(d.service)));
    holders::observe(&services, &addresses.configured, timeline)
}

/// Adds the outages of client applications to the timeline.
fn tell(
    clients: &mut [Availability],
    services: &mut [Availability],
    timeline: &mut Vec<TimelineEntry>,
) {
    let mut told: Vec<(TimelineEntry, Option<u32>)> =
        (0..).zip(timeline.drain(..)).map(|(i, entry)| (entry, Some(i))).collect();
    let before = told.len();
    let entry = |time: Time, client: &str, value: &str| {
        let (subject, value) = (client.to_owned(), value.to_owned());
        (TimelineEntry { time, host: String::new(), kind: Kind::Outage, subject, value }, None)
    };
    for client in clients.iter() {
        for outage in &client.outages {
            told.push(entry(outage.begin, &client.name, "begun"));
            if !outage.lasting {
                told.push(entry(outage.end, &client.name, "over"));
            }
        }
    }
    told.sort_by_key(|(entry, _)| entry.time);
    let mut places = vec![0; before];
    for (place, (entry, old)) in (0..).zip(told) {
        if let Some(old) = old {
            places[old as usize] = place;
        }
        timeline.push(entry);
    }
    for outage in clients.iter_mut().chain(services).flat_map(|a| &mut a.outages) {
        outage.cause = outage.cause.map(|old| places[old as usize]);
    }
}

/// Has told whose Ethernet address hosts hold for the addresses that matter.
pub(super) fn watch(addresses: &Addresses, config: &WorldConfig, fabric: &mut Fabric) {
    for address in addresses.asked_for(config) {
        let ip = fabric.book.number(address);
        fabric.watch(ip);
    }
}
