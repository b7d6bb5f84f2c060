//! From a finished world to observations.

use super::World;
use super::available::Available;
use super::window::Window;
use crate::hosts::Host;
use crate::hosts::fabric::Place;
use crate::net::link::Endpoint;
use crate::observe::{
    ClientObservation, DestinationObservation, DirectorObservation, DropObservation,
    LinkObservation, Observations, PacketAccount, Rates, ServerObservation,
};
use core::net::IpAddr;

/// Takes a world apart.
pub(super) fn gather(mut world: World) -> Observations {
    world.tell_watched();
    for host in &mut world.hosts {
        host.finish_all(&mut world.fabric);
    }
    world.last_operations();
    let trace = world.take_report();
    let available = Available::new(&mut world);
    let now = world.fabric.now;
    let [first, last] = core::mem::take(&mut world.window);
    let window = Window::new(first, last.unwrap_or_else(|| world.edge(now)));
    let directors = world.hosts.iter().filter_map(|h| whole_director(&world, h, &window)).collect();
    let links = links(&world, &window);
    let drops = drops(&world);
    let fabric = &mut world.fabric;
    let created = fabric.packets.created();
    let in_flight = fabric.packets.live() as u64;
    assert_eq!(
        created,
        fabric.delivered + fabric.dropped + in_flight,
        "every packet is delivered, dropped with a reason, or in flight"
    );
    Observations {
        trace,
        timeline: available.timeline,
        availability: available.clients,
        services: available.services,
        losses: fabric.ledger.losses(),
        vips: available.vips,
        digest: fabric.digest.value(),
        end: now,
        events: world.events,
        ip_hops: fabric.hops - fabric.arp_hops,
        arp_hops: fabric.arp_hops,
        packets: PacketAccount {
            created,
            delivered: fabric.delivered,
            dropped: fabric.dropped,
            in_flight,
        },
        clients: clients(core::mem::take(&mut fabric.clients), &world.hosts),
        servers: servers(&world.hosts, &window),
        directors,
        links,
        drops,
        series: core::mem::take(&mut world.series),
        connections: world.fabric.rows.take().unwrap_or_default(),
        snapshots: world.operator.snapshots,
        refusals: world.operator.refusals,
    }
}

fn clients(mut all: Vec<ClientObservation>, hosts: &[Host]) -> Vec<ClientObservation> {
    for client in &mut all {
        client.connect.settle();
        client.first_byte.settle();
        client.complete.settle();
    }
    for host in hosts {
        // TCP counts for the host; its first client application answers for all
        if let Some(client) = host.clients.first() {
            all[client.row as usize].retransmissions += host.tcp.counters().retrans_segs;
        }
    }
    all
}

fn servers(hosts: &[Host], window: &Window) -> Vec<ServerObservation> {
    let mut all = Vec::new();
    for host in hosts {
        for (index, a) in host.servers.applications.iter().enumerate() {
            let utilisation = window.server(host.number, index, a.config.workers);
            let mut seen = ServerObservation { utilisation, ..a.observation.clone() };
            seen.sojourn.settle();
            all.push(seen);
        }
    }
    all
}

/// A director with all it did, before it was without power as well.
fn whole_director(world: &World, host: &Host, window: &Window) -> Option<DirectorObservation> {
    let mut now = director(world, host)?;
    now.rates = window.rates(host.number);
    now.cpu_utilisation = window.cpu(host.number);
    for past in world.faults.past(host.number) {
        now.connections += past.connections;
        now.no_destination += past.no_destination;
        now.entries_max = now.entries_max.max(past.entries_max);
        for d in &past.destinations {
            let same = |o: &&mut DestinationObservation| {
                (o.service, o.rip, o.port) == (d.service, d.rip, d.port)
            };
            if let Some(o) = now.destinations.iter_mut().find(same) {
                o.connections += d.connections;
                o.packets_in += d.packets_in;
                o.bytes_in += d.bytes_in;
                o.packets_out += d.packets_out;
                o.bytes_out += d.bytes_out;
            } else {
                now.destinations.push(DestinationObservation {
                    active: 0,
                    inactive: 0,
                    ..d.clone()
                });
            }
        }
    }
    Some(now)
}

/// A director with what it did since it got its power; rates are not known.
pub(super) fn director(world: &World, host: &Host) -> Option<DirectorObservation> {
    let ipvs = &host.director()?.ipvs;
    let owner = |ip: IpAddr| {
        let ip = world.fabric.book.find(ip);
        let has = |h: &&Host| h.ip.interfaces.iter().any(|i| i.ips().any(|own| Some(own) == ip));
        world.hosts.iter().find(has).map(|h| h.name.clone()).unwrap_or_default()
    };
    let destinations = ipvs
        .destinations()
        .map(|d| DestinationObservation {
            service: d.service,
            rip: d.rip,
            port: d.port,
            forwarding: d.forwarding,
            weight: d.weight,
            host: owner(d.rip),
            connections: d.total.connections,
            active: d.active,
            inactive: d.inactive,
            packets_in: d.total.packets_in,
            bytes_in: d.total.bytes_in,
            packets_out: d.total.packets_out,
            bytes_out: d.total.bytes_out,
        })
        .collect();
    let c = host.ip.counters;
    Some(DirectorObservation {
        host: host.name.clone(),
        packets_in: c.packets_in,
        bytes_in: c.bytes_in,
        packets_out: c.packets_out,
        bytes_out: c.bytes_out,
        connections: ipvs.totals().connections,
        no_destination: ipvs.no_destination(),
        entries: u64::from(ipvs.entries()),
        entries_max: u64::from(ipvs.entries_max()),
        rates: Rates::default(),
        cpu_utilisation: 0.0,
        destinations,
    })
}

pub(super) fn end_name(world: &World, end: Endpoint) -> String {
    match end {
        Endpoint::Host { host, interface } => {
            let h = &world.hosts[host as usize];
            format!("{}:{}", h.name, h.ip.interfaces[interface as usize].name)
        }
        Endpoint::Switch { switch, port } => {
            format!("{}:{port}", world.switches[switch as usize].name)
        }
    }
}

fn links(world: &World, window: &Window) -> Vec<LinkObservation> {
    let mut all = Vec::new();
    for link in &world.links {
        let [there, back] = link.directions;
        for (number, opposite) in [(there, back), (back, there)] {
            let direction = &world.fabric.directions[number as usize];
            let opposite = &world.fabric.directions[opposite as usize];
            let c = direction.counters();
            all.push(LinkObservation {
                link: link.name.clone(),
                from: end_name(world, opposite.to),
                to: end_name(world, direction.to),
                packets: direction.packets(),
                bytes: direction.bytes(),
                utilisation: window.link(number),
                queue_max: c.queue_max,
                dropped_queue: c.dropped_queue,
                dropped_loss: c.dropped_loss,
            });
        }
    }
    all
}

fn drops(world: &World) -> Vec<DropObservation> {
    let place = |p: Place| match p {
        Place::Host(h) => world.hosts[h as usize].name.clone(),
        Place::Switch(s) => world.switches[s as usize].name.clone(),
        Place::Link(d) => end_name(world, world.fabric.directions[d as usize].to),
    };
    let mut all: Vec<_> = world
        .fabric
        .drops()
        .map(|((at, reason), tally)| DropObservation {
            place: place(at),
            reason: reason.name(),
            packets: tally.packets,
            bytes: tally.bytes,
        })
        .collect();
    all.sort();
    all
}
