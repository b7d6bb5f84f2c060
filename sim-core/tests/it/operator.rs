//! Changes of rules and looks at a director while the run goes on.

use crate::network::{VIP, client, cluster, rip};
use sim_core::config::{Operation, OperatorTask, Transport, WorldConfig};
use sim_core::engine::{Span, Time};
use sim_core::ipvs::rules::{Forwarding, ServerRule, ServiceKey};
use sim_core::ipvs::{Command, IpvsError};
use sim_core::observe::{DirectorSnapshot, Observations};
use sim_core::wire::proto;
use sim_core::world::World;

const WEB: ServiceKey = ServiceKey::Address { protocol: proto::TCP, vip: VIP, port: 80 };

fn operation(ms: Option<u64>, task: OperatorTask) -> Operation {
    Operation { at: ms.map(Span::from_millis), host: "director".into(), task }
}

fn change(ms: u64, command: Command) -> Operation {
    operation(Some(ms), OperatorTask::Change(command))
}

fn look(ms: Option<u64>) -> Operation {
    operation(ms, OperatorTask::Snapshot { connections: true })
}

fn drained(n: u8) -> ServerRule {
    ServerRule { weight: 0, ..ServerRule::new(rip(n), 80) }
}

/// Ten connections by DR, one each 100 ms, and what an operator does.
fn operated(operations: Vec<Operation>) -> WorldConfig {
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, 80);
    let times: Vec<u64> = (0..10).map(|n| n * 100).collect();
    config.hosts[0].clients = vec![client(Transport::Tcp, 80, &times)];
    config.operations = operations;
    config
}

fn run(config: &WorldConfig) -> Observations {
    let mut world = World::build(config).expect("a good configuration");
    while world.run(100_000) {}
    world.finish()
}

fn counts(snapshot: &DirectorSnapshot) -> Vec<(u16, u64)> {
    let all = snapshot.services.iter().flat_map(|s| &s.destinations);
    all.map(|d| (d.rule.weight, d.stats.connections)).collect()
}

#[test]
fn a_drained_server_gets_no_more_connections() {
    let o = run(&operated(vec![
        change(350, Command::EditServer(WEB, drained(1))),
        look(Some(350)),
        look(Some(900)),
        look(None),
    ]));
    assert_eq!(o.refusals, []);
    // newest first: rs2, then rs1 that got the connections at 100 and 300 ms
    let seen: Vec<_> = o.snapshots.iter().map(counts).collect();
    assert_eq!(seen[0], [(1, 2), (0, 2)]);
    assert_eq!(seen[2], [(1, 8), (0, 2)]);
    let times: Vec<Time> = o.snapshots.iter().map(|s| s.time).collect();
    let ms = |n| Time::ZERO + Span::from_millis(n);
    assert_eq!(times[..2], [ms(350), ms(900)]);
    assert!(times[2] >= ms(1000));
    // ten connections are in the table when the run ends, and none was lost
    assert_eq!(o.snapshots[2].connections.len(), 10);
    let first = &o.snapshots[2].connections[0];
    assert_eq!((first.vip, first.protocol), ((VIP, 80), proto::TCP));
    assert_eq!(o.clients[0].connections_served, 10);
    let seconds = |s| Span::from_secs(s);
    assert_eq!(o.snapshots[0].timeouts, [900, 120, 300].map(seconds));
}

#[test]
fn what_the_kernel_refuses_is_reported_and_changes_nothing() {
    let missing = Command::DeleteServer(WEB, rip(9), 80);
    let o = run(&operated(vec![
        change(100, missing),
        change(200, Command::AddServer(WEB, drained(1))),
        look(Some(300)),
    ]));
    let refused: Vec<_> = o.refusals.iter().map(|r| (r.operation, r.error)).collect();
    assert_eq!(
        refused,
        [(0, IpvsError::NoServer(WEB, rip(9), 80)), (1, IpvsError::ServerExists(WEB, rip(1), 80))]
    );
    let weights: Vec<u16> = counts(&o.snapshots[0]).into_iter().map(|c| c.0).collect();
    assert_eq!(weights, [1, 1]);
}

#[test]
fn a_run_waits_for_its_operators() {
    let quiet = run(&operated(vec![]));
    assert!(quiet.end < Time::ZERO + Span::from_secs(60));
    let o = run(&operated(vec![change(90_000, Command::Clear), look(Some(100_000))]));
    assert_eq!(o.end, Time::ZERO + Span::from_secs(100));
    assert_eq!(o.snapshots[0].services, []);
    // entries outlive their service: two minutes in FIN_WAIT
    assert_eq!(o.snapshots[0].connections.len(), 10);
}

#[test]
fn an_operation_needs_a_director_and_a_time_within_the_run() {
    let mut config = operated(vec![look(Some(202_000)), look(None)]);
    config.operations[1].host = "rs1".into();
    let errors = World::build(&config).expect_err("two mistakes");
    let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "operation on director: it is after the end of the run, 201s",
            "operation on rs1: there is no director of this name"
        ]
    );
}
