//! What tracked objects do to an instance.

use super::*;
use crate::config::{LinkDelay, ScriptResult, TrackFile, VrrpScript};

fn track(what: Tracked, weight: i32) -> Track {
    Track { what, weight, reverse: false }
}

fn failing(name: &str, from_ms: u64, until_ms: u64) -> VrrpScript {
    let result = |ms, exit| ScriptResult {
        from: Span::from_millis(ms),
        exit,
        duration: Span::from_millis(20),
        stubborn: false,
    };
    VrrpScript {
        results: vec![result(0, 0), result(from_ms, 1), result(until_ms, 0)],
        ..VrrpScript::new(name)
    }
}

#[test]
fn a_lost_link_is_a_fault_and_its_return_costs_the_full_time() {
    let mut wire = Wire::new(vec![priority(100), priority(47)]);
    wire.run(10_200_000);
    wire.link(0, "eth0", false);
    assert_eq!(wire.state(0), State::Fault);
    assert_eq!(wire.sent(0).last(), Some(&(10_200_000, 0)), "if it is heard at all");
    wire.run(20_000_000);
    // the skew of 47 after the farewell
    assert_eq!(wire.became(1, State::Master), [10_200_050 + 816_406]);
    wire.link(0, "eth0", true);
    assert_eq!(wire.state(0), State::Backup);
    wire.run(30_000_000);
    assert_eq!(wire.became(0, State::Master)[1], 20_000_000 + 3_609_375);
}

#[test]
fn an_instance_may_ignore_its_own_interface_or_believe_it_later() {
    let mut wire = Wire::new(vec![single(|i| i.dont_track_primary = true)]);
    wire.run(5_000_000);
    wire.link(0, "eth0", false);
    assert_eq!(wire.state(0), State::Master);
    let mut config = priority(100);
    config.link_delays = vec![LinkDelay {
        interface: "eth0".into(),
        down: Span::from_millis(700),
        up: Span::from_secs(2),
    }];
    let mut wire = Wire::new(vec![config]);
    wire.run(5_000_000);
    wire.link(0, "eth0", false);
    wire.run(8_000_000);
    wire.link(0, "eth0", true);
    wire.run(20_000_000);
    assert_eq!(wire.became(0, State::Fault), [5_700_000]);
    assert_eq!(wire.became(0, State::Master)[1], 10_000_000 + 3_609_375);
}

#[test]
fn a_script_without_weight_decides_between_fault_and_backup() {
    let mut config = single(|i| i.tracks = vec![track(Tracked::Script("chk".into()), 0)]);
    config.scripts = vec![failing("chk", 9_500, 14_500)];
    let mut wire = Wire::new(vec![config, priority(47)]);
    assert_eq!(wire.state(0), State::Init, "the script has not run");
    wire.run(30_000_000);
    assert_eq!(wire.became(0, State::Backup), [20_000, 15_020_000]);
    assert_eq!(wire.became(0, State::Fault), [10_020_000]);
    assert_eq!(wire.became(0, State::Master), [20_000 + 3_609_375, 15_020_000 + 3_609_375]);
    assert_eq!(wire.became(1, State::Master), [10_020_050 + 816_406]);
}

#[test]
fn a_script_with_weight_lets_the_other_win_after_its_own_timer() {
    let mut config = single(|i| i.tracks = vec![track(Tracked::Script("chk".into()), -60)]);
    config.scripts = vec![failing("chk", 9_500, 24_500)];
    let mut wire = Wire::new(vec![config, priority(47)]);
    wire.run(20_000_000);
    assert_eq!(wire.nodes[0].vrrp.priority(0), 40);
    let last_accepted = wire.sent(0).iter().rfind(|(_, p)| *p == 100).unwrap().0;
    assert_eq!(wire.became(1, State::Master), [last_accepted + 50 + 3_816_406]);
    assert_eq!(wire.state(0), State::Backup);
    wire.run(40_000_000);
    assert_eq!(wire.state(0), State::Master, "and back");
}

#[test]
fn a_change_of_priority_moves_the_timer_of_a_backup_by_the_difference() {
    let mut config = single(|i| i.tracks = vec![track(Tracked::File("f".into()), 1)]);
    config.files = vec![TrackFile { name: "f".into(), values: vec![(Span::from_secs(1), 100)] }];
    let mut wire = Wire::new(vec![config.clone()]);
    wire.run(10_000_000);
    assert_eq!(wire.nodes[0].vrrp.priority(0), 200);
    // 3 s and 56 / 256 s instead of 156 / 256
    assert_eq!(wire.became(0, State::Master), [3_218_750]);
    config.files[0].values[0].1 = 1_000;
    config.instances[0].tracks[0].weight = -1;
    let mut wire = Wire::new(vec![config]);
    wire.run(10_000_000);
    assert_eq!(wire.state(0), State::Fault, "-1000 is below -253");
}

#[test]
fn a_session_that_is_not_up_is_a_fault() {
    let bfd = single(|i| i.tracks = vec![track(Tracked::Bfd("b".into()), 0)]);
    let mut wire = Wire::new(vec![bfd]);
    wire.run(5_000_000);
    assert_eq!(wire.state(0), State::Fault);
    let mut out = Vec::new();
    wire.nodes[0].vrrp.bfd(us(5_000_000), "b", true, &mut out);
    assert_eq!(wire.state(0), State::Backup);
    wire.nodes[0].vrrp.bfd(us(6_000_000), "another", false, &mut out);
    assert_eq!(wire.state(0), State::Backup);
}

#[test]
fn without_an_address_to_send_from_it_stays_in_fault() {
    let mut vrrp = Vrrp::new(&priority(100));
    let mut out = Vec::new();
    vrrp.start(us(0), |_| Link { up: true, v4: None, v6: None }, &mut out);
    assert_eq!((vrrp.state(0), vrrp.next_deadline()), (State::Fault, Time::NEVER));
}
