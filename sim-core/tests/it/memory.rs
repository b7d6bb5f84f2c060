//! Memory does not grow with finished connections.

use crate::network::*;
use sim_core::config::*;
use sim_core::engine::{Dist, Span};
use sim_core::ipvs::rules::Forwarding;
use sim_core::world::{Memory, World};

/// 500 connections or datagrams a second for this long; how many there were and what is kept.
fn kept(forwarding: Forwarding, transport: Transport, seconds: u64) -> (u64, Memory) {
    let mut config = cluster(forwarding, transport, 80);
    config.duration = Span::from_secs(seconds);
    config.connections = false;
    config.hosts[0].clients[0].load = Load::Open { gap: Dist::Constant(0.002) };
    let mut world = World::build(&config).expect("a good configuration");
    while world.run(10_000) {}
    let memory = world.memory();
    (world.finish().clients[0].connections_served, memory)
}

#[test]
fn slots_of_finished_conversations_are_used_again() {
    for transport in [Transport::Tcp, Transport::Udp] {
        for forwarding in [Forwarding::Nat, Forwarding::Tun] {
            let (few, short) = kept(forwarding, transport, 2);
            let (many, long) = kept(forwarding, transport, 10);
            assert_eq!((few, many), (999, 4999));
            assert_eq!(short, long, "{forwarding} {transport:?}");
            // a conversation lasts some 20 ms
            assert!(long.sessions <= 20 && long.visits <= 20 && long.jobs <= 20, "{long:?}");
            assert!(long.connections <= 60 && long.packets <= 200, "{long:?}");
        }
    }
}
