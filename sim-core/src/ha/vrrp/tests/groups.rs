//! Sync groups.

use super::*;
use crate::config::SyncGroup;

/// Two instances, `in` on `eth0` and `out` on `eth1`, in one group.
fn pair(priority: u8) -> VrrpConfig {
    let instance = |name, interface, vrid| {
        let mut i = VrrpInstance::new(name, interface, vrid);
        i.priority = priority;
        i.addresses.push(VirtualAddress::new(Net::host(v4(10, 0, 0, vrid))));
        i
    };
    VrrpConfig {
        instances: vec![instance("out", "eth1", 52), instance("in", "eth0", 51)],
        groups: vec![SyncGroup {
            name: "G".into(),
            members: vec!["in".into(), "out".into()],
            ..SyncGroup::default()
        }],
        ..VrrpConfig::default()
    }
}

fn states(wire: &Wire, n: usize) -> [State; 2] {
    [0, 1].map(|i| wire.nodes[n].vrrp.state(i))
}

#[test]
fn all_members_become_master_when_the_last_one_wants_to() {
    let mut wire = Wire::new(vec![pair(100), pair(50)]);
    wire.run(3_609_374);
    assert_eq!(states(&wire, 0), [State::Backup; 2]);
    wire.run(3_609_375);
    assert_eq!(states(&wire, 0), [State::Master; 2]);
    let groups = wire.nodes[0].did.iter().filter(|(_, a)| matches!(a, Action::Group { .. }));
    let told: Vec<_> = groups.map(|(_, a)| *a).collect();
    assert_eq!(told, [Action::Group { group: 0, state: State::Master }]);
    wire.run(20_000_000);
    assert_eq!((states(&wire, 0), states(&wire, 1)), ([State::Master; 2], [State::Backup; 2]));
}

#[test]
fn a_fault_of_one_member_moves_both_to_the_other_host() {
    let mut wire = Wire::new(vec![pair(100), pair(50)]);
    wire.run(10_000_000);
    wire.link(0, "eth1", false);
    assert_eq!(states(&wire, 0), [State::Fault; 2]);
    wire.run(20_000_000);
    assert_eq!(states(&wire, 1), [State::Master; 2]);
    // both say farewell, so both are taken over after the skew
    let masters = wire.nodes[1].did.iter().filter_map(|(t, a)| match a {
        Action::State { state: State::Master, .. } => Some(*t),
        _ => None,
    });
    assert!(masters.into_iter().all(|t| t < 10_000_000 + 2 * 804_688));
    wire.link(0, "eth1", true);
    assert_eq!(states(&wire, 0), [State::Backup; 2]);
    wire.run(40_000_000);
    assert_eq!((states(&wire, 0), states(&wire, 1)), ([State::Master; 2], [State::Backup; 2]));
}

#[test]
fn one_member_that_hears_a_higher_priority_takes_the_other_along() {
    let mut wire = Wire::new(vec![pair(100), pair(50)]);
    wire.kill(0);
    wire.run(10_000_000);
    assert_eq!(states(&wire, 1), [State::Master; 2]);
    let higher = Advert {
        version: 2,
        vrid: 52,
        priority: 100,
        interval: 1,
        auth: crate::config::VrrpAuth::None,
        addresses: vec![],
    };
    let from = v4(192, 168, 10, 101);
    let heard = Heard { advert: &higher, from, ttl: 255, multicast: true };
    let mut out = Vec::new();
    wire.nodes[1].vrrp.receive(us(10_000_000), 0, &heard, &mut out);
    assert_eq!(states(&wire, 1), [State::Backup; 2]);
    assert!(out.contains(&Action::Group { group: 0, state: State::Backup }));
}

#[test]
fn weights_of_members_count_only_if_the_group_says_so() {
    for (weights, priority) in [(false, 100), (true, 80)] {
        let mut config = pair(100);
        config.groups[0].weights = weights;
        config.instances[0].tracks =
            vec![Track { what: Tracked::Interface("eth2".into()), weight: -20, reverse: false }];
        let mut wire = Wire::new(vec![config]);
        wire.link(0, "eth2", false);
        assert_eq!(wire.nodes[0].vrrp.priority(0), priority);
    }
}

#[test]
fn a_tracker_of_the_group_is_one_of_every_member() {
    let mut config = pair(100);
    let what = Tracked::Interface("eth2".into());
    config.groups[0].tracks = vec![Track { what, weight: 0, reverse: false }];
    let mut wire = Wire::new(vec![config]);
    wire.run(5_000_000);
    wire.link(0, "eth2", false);
    assert_eq!(states(&wire, 0), [State::Fault; 2]);
    wire.link(0, "eth2", true);
    wire.run(15_000_000);
    assert_eq!(states(&wire, 0), [State::Master; 2]);
}

#[test]
fn members_that_call_themselves_master_wait_for_one_interval_only() {
    let mut config = pair(100);
    for i in &mut config.instances {
        i.initial_master = true;
    }
    let mut wire = Wire::new(vec![config]);
    wire.run(1_003_906);
    assert_eq!(states(&wire, 0), [State::Master; 2]);
}
