//! Priority 255: the owner of the addresses.

use super::*;

fn owner() -> VrrpConfig {
    single(|i| (i.priority, i.initial_master) = (255, true))
}

#[test]
fn an_owner_is_master_at_once() {
    let mut wire = Wire::new(vec![owner(), priority(254)]);
    wire.run(10_000_000);
    assert_eq!(wire.became(0, State::Master), [1]);
    assert_eq!(wire.state(1), State::Backup);
}

#[test]
fn of_two_owners_the_one_with_the_lower_address_gives_up() {
    let mut wire = Wire::new(vec![owner(), owner()]);
    wire.run(10_000_000);
    assert_eq!((wire.state(0), wire.state(1)), (State::Backup, State::Master));
}

#[test]
fn an_owner_makes_way_for_one_that_does_not_listen_until_it_is_gone() {
    let mut wire = Wire::new(vec![owner(), owner()]);
    wire.nodes[0].hears = false;
    wire.run(1_000_000);
    assert_eq!(wire.state(1), State::Master, "it waits");
    wire.run(10_000_000);
    assert_eq!((wire.state(0), wire.state(1)), (State::Master, State::Backup));
    assert_eq!(wire.nodes[1].vrrp.priority(0), 254);
    wire.kill(0);
    wire.run(20_000_000);
    assert_eq!((wire.state(1), wire.nodes[1].vrrp.priority(0)), (State::Master, 255));
}

#[test]
fn the_priority_of_an_owner_does_not_change() {
    let mut config = owner();
    config.instances[0].tracks =
        vec![Track { what: Tracked::Interface("eth1".into()), weight: -50, reverse: false }];
    let mut wire = Wire::new(vec![config]);
    wire.run(1_000_000);
    wire.link(0, "eth1", false);
    assert_eq!((wire.nodes[0].vrrp.priority(0), wire.state(0)), (255, State::Master));
    wire.link(0, "eth0", false);
    assert_eq!(wire.state(0), State::Fault);
    wire.link(0, "eth0", true);
    wire.run(5_000_000);
    assert_eq!(wire.became(0, State::Master)[1], 1_000_000 + 1_003_906);
}
