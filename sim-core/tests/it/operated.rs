//! What holds in a whole network whatever operators do to the rules while traffic runs.

use crate::network::{VIP, cluster, dropped, rip, run};
use proptest::prelude::*;
use schedulers::Algorithm;
use sim_core::config::{
    FilterChain, FilterCondition, FilterConfig, FilterMatch, FilterTable, FilterTarget, IpvsSysctl,
    Load, Net, Operation, OperatorTask, Transport, WorldConfig, v4,
};
use sim_core::engine::{Dist, Span};
use sim_core::ipvs::Command;
use sim_core::ipvs::rules::{Forwarding, ServerRule, ServiceKey, ServiceRule, TimeoutRule};
use sim_core::observe::{DirectorSnapshot, Observations};
use sim_core::wire::proto;
use std::collections::BTreeMap;

/// Connections start in this many milliseconds.
const DURATION: u64 = 1_000;
/// After this time no entry has a reason to live: 900 s, a minute more for what it holds up, and what
/// the client still sends.
const LONG: u64 = 4_000;

fn key(transport: Transport) -> ServiceKey {
    let protocol = if transport == Transport::Tcp { proto::TCP } else { proto::UDP };
    ServiceKey::Address { protocol, vip: VIP, port: 80 }
}

/// What an operator may do, apart from what moves clients to other servers. A service that is
/// persistent stays so, with this netmask.
fn gentle(
    transport: Transport,
    forwarding: Forwarding,
    netmask_len: u8,
) -> impl Strategy<Value = Command> {
    let server = (1..=2_u8, 0..4_u16, 0..6_u32);
    let scheduler = prop::sample::select(&Algorithm::ALL[..]);
    (0..8_u8, server, scheduler, 60..900_u64).prop_map(move |(what, server, scheduler, seconds)| {
        let (n, weight, upper_threshold) = server;
        let server =
            ServerRule { forwarding, weight, upper_threshold, ..ServerRule::new(rip(n), 80) };
        match what {
            0..5 => Command::EditServer(key(transport), server),
            5 => Command::EditService(ServiceRule {
                scheduler,
                persistent: Some(Span::from_secs(seconds)),
                netmask_len,
                ..ServiceRule::new(key(transport))
            }),
            6 => Command::Zero(Some(key(transport))),
            _ => {
                let timeout = Some(Span::from_secs(seconds));
                Command::SetTimeouts(TimeoutRule { udp: timeout, ..TimeoutRule::default() })
            }
        }
    })
}

/// Anything an operator may do.
fn rough(transport: Transport, forwarding: Forwarding) -> impl Strategy<Value = Command> {
    let key = key(transport);
    let add = move |n| {
        let rule = ServerRule { forwarding, ..ServerRule::new(rip(n), 80) };
        Command::AddServer(key, rule)
    };
    let service = (any::<bool>(), prop::sample::select(&Algorithm::ALL[..])).prop_map(
        move |(persistent, scheduler)| ServiceRule {
            scheduler,
            persistent: persistent.then_some(Span::from_secs(100)),
            servers: vec![ServerRule { forwarding, ..ServerRule::new(rip(1), 80) }],
            ..ServiceRule::new(key)
        },
    );
    prop_oneof![
        4 => gentle(transport, forwarding, 32),
        3 => (1..=2_u8).prop_map(move |n| Command::DeleteServer(key, rip(n), 80)),
        3 => (1..=2_u8).prop_map(add),
        1 => Just(Command::DeleteService(key)),
        1 => Just(Command::Clear),
        2 => service.prop_map(Command::AddService),
    ]
}

/// A command that makes IPVS strict or gives it a defence.
fn settings() -> impl Strategy<Value = Command> {
    (any::<[bool; 4]>(), 0..4_u8).prop_map(|(flags, conn_reuse_mode)| {
        let [expire_nodest_conn, expire_quiescent_template, secure, drops] = flags;
        Command::SetSysctl(IpvsSysctl {
            conn_reuse_mode,
            expire_nodest_conn,
            expire_quiescent_template,
            secure_tcp: 3 * u8::from(secure),
            drop_packet: 3 * u8::from(drops),
            ..IpvsSysctl::default()
        })
    })
}

fn operation(ms: u64, task: OperatorTask) -> Operation {
    Operation { at: Some(Span::from_millis(ms)), host: "director".into(), task }
}

/// Adds changes, each at a time while connections start or soon after, and a look after each.
fn operate(world: &mut WorldConfig, commands: Vec<(u64, Command)>) {
    for (ms, command) in commands {
        world.operations.push(operation(ms, OperatorTask::Change(command)));
        world.operations.push(operation(ms, OperatorTask::Snapshot { connections: true }));
    }
}

/// The cluster with this traffic: `gap` seconds between connections, `loss` on every link, and
/// answers long enough to be under way when something changes.
fn traffic(
    forwarding: Forwarding,
    transport: Transport,
    (gap, loss, seed): (f64, f64, u64),
) -> WorldConfig {
    let mut world = cluster(forwarding, transport, 80);
    world.seed = seed;
    world.duration = Span::from_millis(DURATION);
    world.drain = Span::from_secs(5_000);
    let c = &mut world.hosts[0].clients[0];
    c.load = Load::Open { gap: Dist::Exponential { mean: gap } };
    c.timeout = Some(Span::from_secs(20));
    for link in &mut world.links {
        for direction in &mut link.directions {
            direction.loss = loss;
        }
    }
    for rs in &mut world.hosts[3..] {
        rs.servers[0].service = Dist::Exponential { mean: 0.05 };
        rs.servers[0].response = Dist::Uniform { low: 1.0, high: 20_000.0 };
    }
    world
}

fn method() -> impl Strategy<Value = Forwarding> {
    prop_oneof![Just(Forwarding::Nat), Just(Forwarding::Dr), Just(Forwarding::Tun)]
}

fn transport() -> impl Strategy<Value = Transport> {
    prop_oneof![2 => Just(Transport::Tcp), 1 => Just(Transport::Udp)]
}

fn rates() -> impl Strategy<Value = (f64, f64, u64)> {
    (0.005..0.1, prop_oneof![Just(0.0), 0.0..0.05], any::<u64>())
}

/// A network whose operators do anything.
fn any_operated() -> impl Strategy<Value = WorldConfig> {
    (method(), transport(), rates()).prop_flat_map(|(forwarding, transport, rates)| {
        let command = prop_oneof![9 => rough(transport, forwarding), 1 => settings()];
        prop::collection::vec((0..DURATION + 500, command), 1..12).prop_map(move |commands| {
            let mut world = traffic(forwarding, transport, rates);
            operate(&mut world, commands);
            world
        })
    })
}

/// A NAT cluster without losses whose operators do anything. Servers and the service may go; their entries
/// stay, as `expire_nodest_conn` is off. Another service keeps the hooks of IPVS registered: without any, replies
/// pass as they are.
fn nat_operated() -> impl Strategy<Value = WorldConfig> {
    (transport(), rates()).prop_flat_map(|(transport, (gap, _, seed))| {
        let command =
            rough(transport, Forwarding::Nat).prop_filter("hooks", |c| *c != Command::Clear);
        prop::collection::vec((0..DURATION + 500, command), 1..12).prop_map(move |commands| {
            let mut world = traffic(Forwarding::Nat, transport, (gap, 0.0, seed));
            let rules = world.hosts[2].ipvs.as_mut().expect("a director");
            let protocol = if transport == Transport::Tcp { proto::TCP } else { proto::UDP };
            let other = ServiceKey::Address { protocol, vip: VIP, port: 81 };
            rules.services.push(ServiceRule::new(other));
            operate(&mut world, commands);
            world
        })
    })
}

/// A persistent service, four client addresses in two halves of a network.
fn persistent_operated() -> impl Strategy<Value = WorldConfig> {
    let shape = (method(), transport(), rates(), 24..=32_u8);
    shape.prop_flat_map(|(forwarding, transport, rates, netmask_len)| {
        let command = gentle(transport, forwarding, netmask_len);
        prop::collection::vec((0..DURATION, command), 1..12).prop_map(move |commands| {
            let mut world = traffic(forwarding, transport, rates);
            let client = &mut world.hosts[0];
            let addresses = [10, 11, 177, 178].map(|host| v4(172, 16, 0, host));
            client.interfaces[0].addresses = addresses.map(|a| Net::new(a, 24)).to_vec();
            client.clients[0].sources = addresses.to_vec();
            let rule = &mut world.hosts[2].ipvs.as_mut().expect("a director").services[0];
            (rule.persistent, rule.netmask_len) = (Some(Span::from_secs(100)), netmask_len);
            operate(&mut world, commands);
            world
        })
    })
}

/// Counters of a snapshot equal its table.
fn consistent(snapshot: &DirectorSnapshot) {
    let templates = |c: &&sim_core::observe::ConnectionState| c.client.1 == 0;
    for d in snapshot.services.iter().flat_map(|s| &s.destinations) {
        let mine = || snapshot.connections.iter().filter(|c| c.server.0 == d.rule.rip);
        let active = |c: &&sim_core::observe::ConnectionState| {
            matches!(c.state, "ESTABLISHED" | "SYN_SENT" | "SYN_RECV" | "SYNACK")
        };
        let counted = (
            mine().filter(templates).count(),
            mine().filter(|c| !templates(c) && active(c)).count(),
            mine().filter(|c| !templates(c) && !active(c)).count(),
        );
        let [templates, active, inactive] =
            [d.persistent, d.active, d.inactive].map(|n| n as usize);
        assert_eq!((templates, active, inactive), counted, "{d:?}");
    }
}

/// A rule that drops what comes from a real server's own address.
fn un_translated() -> FilterConfig {
    let servers = FilterCondition::SourceRange(rip(1), rip(2));
    FilterConfig {
        v6: false,
        table: FilterTable::Filter,
        chain: FilterChain::Forward,
        matches: vec![FilterMatch { not: false, what: servers }],
        target: FilterTarget::Drop,
    }
}

/// Addresses of clients, and the servers that answered each.
fn servers_of_clients(o: &Observations) -> BTreeMap<String, Vec<u32>> {
    let mut found: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for row in &o.connections {
        let servers = found.entry(row.source.0.to_string()).or_default();
        servers.extend(row.server.filter(|s| !servers.contains(s)));
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn packets_are_conserved(world in any_operated()) {
        let o = run(&world);
        let p = o.packets;
        prop_assert_eq!(p.created, p.delivered + p.dropped + p.in_flight);
        prop_assert_eq!(p.in_flight, 0, "the network is empty when it is quiet");
        // what an error quotes and what a tunnel wraps go with the packet
        let named: u64 = o.drops.iter().map(|d| d.packets).sum();
        prop_assert!(named <= p.dropped && p.dropped <= 3 * named, "{} of {}", named, p.dropped);
        let c = &o.clients[0];
        let failed: u64 = c.connections_failed.iter().sum();
        prop_assert_eq!(c.connections_offered, c.connections_served + failed);
    }

    #[test]
    fn counters_equal_the_table(world in any_operated()) {
        let o = run(&world);
        let changes = world.operations.len() / 2;
        prop_assert_eq!(o.snapshots.len(), changes);
        o.snapshots.iter().for_each(consistent);
    }

    #[test]
    fn the_table_is_empty_after_traffic_stops_and_time_passes(mut world in any_operated()) {
        let look = OperatorTask::Snapshot { connections: true };
        world.operations.push(operation(LONG * 1000, look));
        let o = run(&world);
        let last = o.snapshots.last().expect("asked for");
        prop_assert_eq!(&last.connections, &[]);
        for d in last.services.iter().flat_map(|s| &s.destinations) {
            prop_assert_eq!((d.active, d.inactive, d.persistent), (0, 0, 0));
        }
    }

    #[test]
    fn no_reply_is_lost_by_nat_while_its_entry_lives(mut world in nat_operated()) {
        world.hosts[1].filters.push(un_translated());
        let o = run(&world);
        prop_assert_eq!(dropped(&o, "router", "netfilter"), 0);
    }

    #[test]
    fn a_persistent_client_stays_where_it_is(world in persistent_operated()) {
        let o = run(&world);
        for (client, servers) in servers_of_clients(&o) {
            prop_assert!(servers.len() <= 1, "{} was sent to {:?}", client, servers);
        }
    }
}

/// What the property above looks for happens where the entry is gone.
#[test]
fn a_reply_is_lost_by_nat_when_its_entry_has_been_flushed() {
    for flushed in [false, true] {
        let mut world = traffic(Forwarding::Nat, Transport::Tcp, (0.01, 0.0, 1));
        let sysctl = IpvsSysctl { expire_nodest_conn: flushed, ..IpvsSysctl::default() };
        world.hosts[2].ipvs.as_mut().expect("a director").sysctl = sysctl;
        operate(&mut world, vec![(500, Command::DeleteServer(key(Transport::Tcp), rip(1), 80))]);
        world.hosts[1].filters.push(un_translated());
        assert_eq!(dropped(&run(&world), "router", "netfilter") > 0, flushed);
    }
}

/// The same for persistence: nobody stays where the service does not ask for it.
#[test]
fn a_client_is_sent_round_without_persistence() {
    let world = traffic(Forwarding::Nat, Transport::Tcp, (0.01, 0.0, 1));
    let servers = servers_of_clients(&run(&world));
    assert!(servers.values().all(|s| s.len() == 2), "{servers:?}");
}
