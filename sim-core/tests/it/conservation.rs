//! Whatever the network does to packets, each is delivered, dropped with a reason, or in flight, and
//! each conversation is served or failed with a reason.

use crate::ipv6::{VIP6, cluster6, ip};
use crate::network::{cluster, run};
use proptest::prelude::*;
use sim_core::config::{
    Discipline, FilterChain, FilterCondition, FilterConfig, FilterMatch, FilterTable, FilterTarget,
    FouConfig, Load, QueueLimit, RejectWith, Transport, TunnelKind, WorldConfig, v4,
};
use sim_core::engine::{Dist, Span};
use sim_core::ipvs::rules::{Encapsulation, Forwarding, OuterChecksum, TunnelOptions};

fn any_forwarding() -> impl Strategy<Value = Forwarding> {
    prop_oneof![Just(Forwarding::Nat), Just(Forwarding::Dr), Just(Forwarding::Tun)]
}

fn any_tunnel() -> impl Strategy<Value = TunnelOptions> {
    let kind =
        prop_oneof![Just(Encapsulation::Ipip), Just(Encapsulation::Gre), Just(Encapsulation::Gue)];
    let checksum = prop_oneof![Just(OuterChecksum::None), Just(OuterChecksum::Full)];
    (kind, checksum).prop_map(|(kind, checksum)| TunnelOptions { kind, port: 5555, checksum })
}

/// A netfilter rule that concerns some of the packets.
fn any_filter() -> impl Strategy<Value = FilterConfig> {
    let chain = prop_oneof![
        Just(FilterChain::Prerouting),
        Just(FilterChain::Input),
        Just(FilterChain::Forward),
        Just(FilterChain::Output),
        Just(FilterChain::Postrouting),
    ];
    let target = prop_oneof![
        Just((FilterTable::Filter, FilterTarget::Drop)),
        Just((FilterTable::Filter, FilterTarget::Accept)),
        Just((FilterTable::Filter, FilterTarget::Reject(RejectWith::Unreachable(3)))),
        Just((FilterTable::Filter, FilterTarget::Reject(RejectWith::Reset))),
        Just((FilterTable::Mangle, FilterTarget::Mark(5, u32::MAX))),
        Just((FilterTable::Mangle, FilterTarget::SaveMark)),
        Just((FilterTable::Raw, FilterTarget::NoTrack)),
        Just((FilterTable::Nat, FilterTarget::Masquerade)),
        Just((FilterTable::Nat, FilterTarget::SourceNat(v4(192, 168, 10, 100), None))),
        Just((FilterTable::Nat, FilterTarget::DestinationNat(v4(192, 168, 10, 12), Some(80)))),
        Just((FilterTable::Nat, FilterTarget::Redirect(Some(81)))),
    ];
    let condition = prop_oneof![
        Just(FilterCondition::Protocol(0)),
        Just(FilterCondition::DestinationPorts(vec![(80, 80)])),
        (1024_u16..60_000).prop_map(|port| FilterCondition::Ports(vec![(port, u16::MAX)])),
        Just(FilterCondition::Ipvs(None)),
        Just(FilterCondition::Mark(5, 7)),
        (any::<bool>(), any::<bool>()).prop_map(|(new, established)| FilterCondition::State {
            new,
            established,
            related: true,
            invalid: !new,
        }),
    ];
    (chain, target, condition, any::<bool>(), 0..4).prop_map(
        |(chain, (table, target), what, v6, not)| FilterConfig {
            v6,
            table,
            chain,
            matches: vec![FilterMatch { not: not == 0, what }],
            target,
        },
    )
}

/// A world with rules at any of its hosts, and at times connection tracking for IPVS.
fn any_filtered_world() -> impl Strategy<Value = WorldConfig> {
    let rules = proptest::collection::vec((0_usize..5, any_filter()), 1..6);
    (any_world(), rules, any::<bool>()).prop_map(|(mut world, rules, conntrack)| {
        for (host, rule) in rules {
            world.hosts[host].filters.push(rule);
        }
        world.hosts[2].ipvs.as_mut().expect("a director").sysctl.conntrack = conntrack;
        world
    })
}

/// Gives director and real servers a tunnel of another kind.
fn wrap(world: &mut WorldConfig, options: TunnelOptions, v6: bool) {
    world.hosts[2].deprecated.push(ip(VIP6));
    let rules = world.hosts[2].ipvs.as_mut().expect("a director");
    for server in &mut rules.services[0].servers {
        server.tunnel = options;
    }
    for rs in &mut world.hosts[3..] {
        rs.fou.push(FouConfig { port: 5555, protocol: None, v6 });
        if options.kind == Encapsulation::Gre {
            let device = &mut rs.tunnels[0];
            device.kind = if v6 { TunnelKind::Ip6Gre } else { TunnelKind::Gre };
            device.checksum = options.checksum == OuterChecksum::Full;
        }
    }
}

fn any_world() -> impl Strategy<Value = WorldConfig> {
    (
        any_forwarding(),
        prop_oneof![Just(Transport::Tcp), Just(Transport::Udp)],
        0.0..0.2,
        0.0..0.2,
        prop_oneof![
            Just(None),
            (0.0..0.005).prop_map(|high| Some(Dist::Uniform { low: 0.0, high }))
        ],
        1_u32..50,
        1.0..40_000.0,
        (any::<u64>(), any::<bool>(), 1_u32..20, 0_u32..8, any::<bool>(), any_tunnel()),
    )
        .prop_map(|(forwarding, transport, loss, reorder, jitter, queue, bytes, rest)| {
            let (seed, sharing, backlog, waiting, v6, options) = rest;
            let mut world = if v6 { cluster6 } else { cluster }(forwarding, transport, 80);
            if forwarding == Forwarding::Tun {
                wrap(&mut world, options, v6);
            }
            world.seed = seed;
            world.duration = Span::from_millis(400);
            world.drain = Span::from_secs(3600);
            for link in &mut world.links {
                for d in &mut link.directions {
                    d.loss = loss / 4.0;
                    d.reorder = reorder;
                    d.reorder_delay = Span::from_millis(2);
                    d.jitter.clone_from(&jitter);
                    d.queue = QueueLimit::Packets(queue);
                }
            }
            world.hosts[0].clients[0].load = Load::Open { gap: Dist::Exponential { mean: 0.01 } };
            world.hosts[0].clients[0].timeout = Some(Span::from_secs(60));
            for rs in &mut world.hosts[3..] {
                let server = &mut rs.servers[0];
                server.response = Dist::Uniform { low: 1.0, high: bytes };
                server.backlog = backlog;
                server.queue = waiting;
                if sharing {
                    server.discipline = Discipline::ProcessorSharing;
                }
            }
            world
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_packet_and_every_conversation_ends_somewhere(world in any_world()) {
        let o = run(&world);
        let p = o.packets;
        prop_assert_eq!(p.created, p.delivered + p.dropped + p.in_flight);
        prop_assert_eq!(p.in_flight, 0, "the network is empty when it is quiet");
        let c = &o.clients[0];
        let failed: u64 = c.connections_failed.iter().sum();
        prop_assert_eq!(c.connections_offered, c.connections_served + failed);
        prop_assert_eq!(o.connections.len() as u64, c.connections_offered);
        prop_assert_eq!(c.connections_failed[5], 0, "nothing is left unfinished");
        let counted: u64 = o.directors[0].destinations.iter().map(|d| d.connections).sum();
        prop_assert_eq!(o.directors[0].connections, counted);
        let in_table: u64 = o.directors[0]
            .destinations
            .iter()
            .map(|d| u64::from(d.active) + u64::from(d.inactive))
            .sum();
        prop_assert_eq!(o.directors[0].entries, in_table);
    }

    #[test]
    fn netfilter_loses_no_packet_out_of_sight(world in any_filtered_world()) {
        let o = run(&world);
        let p = o.packets;
        prop_assert_eq!(p.created, p.delivered + p.dropped + p.in_flight);
        prop_assert_eq!(p.in_flight, 0, "the network is empty when it is quiet");
        let c = &o.clients[0];
        let failed: u64 = c.connections_failed.iter().sum();
        prop_assert_eq!(c.connections_offered, c.connections_served + failed);
    }

    #[test]
    fn the_same_seed_gives_the_same_digest(world in any_world()) {
        let (a, b) = (run(&world), run(&world));
        prop_assert_eq!(a.digest, b.digest);
        prop_assert_eq!(a.events, b.events);
    }
}
