//! Two directors, one of which tells the other of its connections.

use crate::network::*;
use sim_core::config::*;
use sim_core::engine::Span;
use sim_core::ipvs::rules::{Daemon, DaemonRole, Forwarding};
use sim_core::observe::{DirectorSnapshot, Observations};
use sim_core::world::World;

fn daemon(role: DaemonRole, syncid: u8) -> Daemon {
    Daemon {
        role,
        interface: "eth0".into(),
        syncid,
        group: None,
        port: None,
        ttl: None,
        maxlen: None,
    }
}

/// Connections at these milliseconds through a director whose links carry `mtu`, and a second one that
/// listens to messages of `syncid`.
fn two_directors(at: &[u64], mtu: u16, syncid: u8) -> WorldConfig {
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, 80);
    config.duration = Span::from_secs(10);
    config.hosts[0].clients = vec![client(Transport::Tcp, 80, at)];
    let eth0 = interface("eth0", vec![address(v4(192, 168, 10, 101), 24)]);
    let mut second = host("director2", vec![eth0], Some(ROUTER));
    second.ipvs.clone_from(&config.hosts[2].ipvs);
    config.hosts.push(second);
    config.links.push(link("director2:eth0", "sw"));
    for (host, role, id) in [(2, DaemonRole::Master, 7), (5, DaemonRole::Backup, syncid)] {
        config.hosts[host].interfaces[0].mtu = mtu;
        let rules = config.hosts[host].ipvs.as_mut().expect("a director");
        rules.daemons = vec![daemon(role, id)];
    }
    let look = |host: &str| Operation {
        at: Some(Span::from_millis(3_500)),
        host: host.into(),
        task: OperatorTask::Snapshot { connections: true },
    };
    config.operations = vec![look("director"), look("director2")];
    config
}

/// What was seen, and the payloads that were left.
fn run_both(config: &WorldConfig) -> (Observations, usize) {
    let mut world = World::build(config).expect("a good configuration");
    while world.run(100_000) {}
    let mut left = 0;
    world.at_host(0, |_, fab| left = fab.packets.live_payloads());
    (world.finish(), left)
}

fn table(snapshot: &DirectorSnapshot) -> Vec<(&'static str, u16, core::net::IpAddr)> {
    let row = |c: &sim_core::observe::ConnectionState| (c.state, c.client.1, c.server.0);
    let mut rows: Vec<_> = snapshot.connections.iter().map(row).collect();
    rows.sort_unstable();
    rows
}

#[test]
fn the_backup_has_the_masters_connections_within_three_seconds() {
    let few: &[u64] = &[0, 300];
    let many: Vec<u64> = (0..10).map(|n| n * 50).collect();
    // the second time a message comes in pieces
    for (at, mtu) in [(few, 1500), (&many, 300)] {
        let (o, left) = run_both(&two_directors(at, mtu, 7));
        assert_eq!((o.refusals.len(), o.snapshots.len()), (0, 2));
        assert_eq!(table(&o.snapshots[0]).len(), at.len());
        assert_eq!(table(&o.snapshots[1]), table(&o.snapshots[0]), "mtu {mtu}");
        assert_eq!(left, 0, "payloads go with their packets");
        assert_eq!(o.packets.in_flight, 0);
        // nobody else is a member of the group
        assert!(dropped(&o, "rs1", "other_host") > 0);
    }
}

#[test]
fn a_backup_of_another_cluster_does_not_listen() {
    let (o, left) = run_both(&two_directors(&[0, 300], 1500, 8));
    assert_eq!((table(&o.snapshots[0]).len(), table(&o.snapshots[1]).len()), (2, 0));
    assert_eq!(left, 0);
    let mut deaf = two_directors(&[0, 300], 1500, 7);
    let rules = deaf.hosts[5].ipvs.as_mut().expect("a director");
    rules.daemons[0].port = Some(8849);
    let (o, left) = run_both(&deaf);
    assert_eq!((table(&o.snapshots[1]).len(), left), (0, 0));
    assert_eq!(dropped(&o, "director2", "no_socket"), 1);
}
