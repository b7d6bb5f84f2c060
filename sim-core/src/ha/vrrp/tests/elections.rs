//! Who becomes master, and when.

use super::*;
use crate::config::{GarpPacing, VrrpAuth, VrrpVersion};

#[test]
fn a_crash_is_noticed_after_the_master_down_time_and_a_stop_after_the_skew() {
    let v3 = VrrpVersion::V3;
    for (version, interval_ms, skew, down) in [
        (VrrpVersion::V2, 1_000, 609_375, 3_609_375),
        (VrrpVersion::V2, 3_000, 609_375, 9_609_375),
        (v3, 100, 60_937, 360_937),
        (v3, 10, 6_093, 36_093),
    ] {
        let of = |priority| {
            single(|i| {
                i.priority = priority;
                i.version = version;
                i.advert_int = Span::from_millis(interval_ms);
            })
        };
        for stops in [false, true] {
            let mut wire = Wire::new(vec![of(200), of(100)]);
            wire.run(20_000_000);
            assert_eq!((wire.state(0), wire.state(1)), (State::Master, State::Backup));
            let (last, _) = *wire.sent(0).last().unwrap();
            let expected = if stops {
                wire.stop(0);
                20_000_000 + 50 + skew
            } else {
                wire.kill(0);
                last + 50 + down
            };
            wire.run(40_000_000);
            assert_eq!(wire.became(1, State::Master), [expected], "{version:?} {interval_ms}");
        }
    }
}

#[test]
fn a_new_master_says_so_before_it_sets_and_announces_its_addresses() {
    let mut wire = Wire::new(vec![priority(100)]);
    wire.run(3_700_000);
    let did: Vec<_> = wire.nodes[0].did.iter().map(|(_, a)| *a).collect();
    assert_eq!(
        did,
        [
            Action::Remove { instance: 0 },
            Action::State { instance: 0, state: State::Backup },
            Action::Advert { instance: 0, priority: 100 },
            Action::State { instance: 0, state: State::Master },
            Action::Add { instance: 0 },
            Action::Announce { instance: 0, repeat: 5, routine: false },
        ]
    );
    wire.run(12_000_000);
    assert_eq!(wire.announced(0), [(3_609_375, 5), (8_609_375, 5)]);
    assert_eq!(wire.sent(0)[1], (4_609_375, 100));
}

#[test]
fn the_higher_priority_returns_after_its_own_master_down_time_unless_told_not_to() {
    for preempt in [true, false] {
        let of = |priority| single(|i| (i.priority, i.preempt) = (priority, preempt));
        let mut wire = Wire::new(vec![of(100), of(47)]);
        wire.run(10_000_000);
        wire.stop(0);
        wire.run(17_000_000);
        assert_eq!(wire.state(1), State::Master);
        wire.start(0);
        wire.run(30_000_000);
        if preempt {
            assert_eq!(wire.became(0, State::Master)[1], 17_000_000 + 3_609_375);
            assert_eq!(wire.became(1, State::Backup)[1], 17_000_000 + 3_609_375 + 50);
            // the old master gives up without a farewell
            assert!(wire.sent(1).iter().all(|(_, p)| *p == 47));
        } else {
            assert_eq!((wire.state(0), wire.state(1)), (State::Backup, State::Master));
        }
    }
}

#[test]
fn a_preempt_delay_is_counted_from_the_first_lower_advert() {
    let delayed = single(|i| i.preempt_delay = Span::from_secs(10));
    let mut wire = Wire::new(vec![delayed, priority(47)]);
    wire.kill(0);
    wire.run(10_000_000);
    wire.start(0);
    wire.run(40_000_000);
    // adverts of the other at 3.816406, 4.816406 and so on: the first after 10 s begins the delay, and the last within
    // it is accepted
    let last = 10_816_406 + 50 + 9_000_000;
    assert_eq!(wire.became(0, State::Master), [last + 3_609_375]);
}

#[test]
fn of_two_masters_the_lower_one_gives_up_and_the_higher_one_announces_again() {
    let mut wire = Wire::new(vec![priority(100), priority(47)]);
    wire.nodes[0].hears = false;
    wire.nodes[1].hears = false;
    wire.run(10_500_000);
    assert_eq!((wire.state(0), wire.state(1)), (State::Master, State::Master));
    wire.nodes[0].hears = true;
    wire.run(10_900_000);
    // its advert answers the lower one's at once
    let heard = 10_816_406 + 50;
    assert_eq!(wire.sent(0).last(), Some(&(heard, 100)));
    wire.nodes[1].hears = true;
    wire.run(20_000_000);
    assert_eq!((wire.state(0), wire.state(1)), (State::Master, State::Backup));
    let bursts: Vec<_> = wire.announced(0).into_iter().map(|(t, _)| t).collect();
    let first = 3_609_375;
    let again = 11_816_406 + 50;
    let expected = [first, first + 5_000_000, heard, again, heard + 5_000_000, again + 5_000_000];
    assert_eq!(bursts, expected, "the lower one spoke twice");
}

#[test]
fn a_higher_priority_may_be_answered_before_giving_up() {
    let of = |answers| {
        let configs = vec![
            priority(100),
            single(|i| {
                (i.priority, i.higher_prio_send_advert) = (47, answers);
            }),
        ];
        let mut wire = Wire::new(configs);
        wire.kill(0);
        wire.run(10_000_000);
        wire.start(0);
        wire.run(20_000_000);
        let takeover = wire.became(0, State::Master)[0];
        wire.sent(1).last().unwrap().0 > takeover
    };
    assert!(of(true) && !of(false));
}

#[test]
fn with_equal_priorities_a_backup_stays_and_of_two_masters_the_higher_address_wins() {
    let mut wire = Wire::new(vec![priority(100), priority(100)]);
    wire.kill(1);
    wire.run(5_000_000);
    wire.start(1);
    wire.run(20_000_000);
    assert_eq!((wire.state(0), wire.state(1)), (State::Master, State::Backup));
    let mut wire = Wire::new(vec![priority(100), priority(100)]);
    wire.nodes[0].hears = false;
    wire.nodes[1].hears = false;
    wire.run(5_000_000);
    wire.nodes[0].hears = true;
    wire.nodes[1].hears = true;
    wire.run(20_000_000);
    assert_eq!((wire.state(0), wire.state(1)), (State::Backup, State::Master));
}

#[test]
fn another_password_or_interval_makes_two_masters_of_which_one_silences_the_other() {
    // as recorded from keepalived 2.2.7: a dropped advert puts off a master's own, so the one that spoke last goes on
    let secret = |s, priority| {
        single(move |i| (i.priority, i.auth) = (priority, VrrpAuth::Pass(VrrpAuth::secret(s))))
    };
    let slow = single(|i| (i.priority, i.advert_int) = (47, Span::from_secs(2)));
    let passwords = (secret("one", 100), secret("other", 47));
    for ((a, b), loud) in [(passwords, 1), ((priority(100), slow), 0)] {
        let mut wire = Wire::new(vec![a, b]);
        wire.run(20_000_000);
        assert_eq!((wire.state(0), wire.state(1)), (State::Master, State::Master));
        let counts = [wire.sent(loud).len(), wire.sent(1 - loud).len()];
        assert!(counts[0] > 10 && counts[1] < 5, "{counts:?}");
    }
}

#[test]
fn version_three_waits_by_the_interval_that_the_master_tells() {
    let of = |priority, ms| {
        single(|i| {
            i.version = VrrpVersion::V3;
            (i.priority, i.advert_int) = (priority, Span::from_millis(ms));
        })
    };
    let mut wire = Wire::new(vec![of(200, 500), of(100, 1_000)]);
    wire.run(10_000_000);
    let (last, _) = *wire.sent(0).last().unwrap();
    wire.kill(0);
    wire.run(20_000_000);
    // 3 * 0.5 s and 156 / 256 of 0.5 s
    assert_eq!(wire.became(1, State::Master), [last + 50 + 1_500_000 + 304_687]);
}

#[test]
fn more_adverts_may_be_missed() {
    let patient = single(|i| (i.priority, i.down_timer_adverts) = (47, 10));
    let mut wire = Wire::new(vec![priority(100), patient]);
    wire.run(10_000_000);
    let (last, _) = *wire.sent(0).last().unwrap();
    wire.kill(0);
    wire.run(30_000_000);
    assert_eq!(wire.became(1, State::Master), [last + 50 + 10_816_406]);
}

#[test]
fn a_master_that_was_not_running_gives_up_if_told_so() {
    for (expires, state) in [(None, State::Master), (Some(47), State::Backup)] {
        let mut vrrp = Vrrp::new(&single(|i| i.timer_expired_backup = expires));
        let mut out = Vec::new();
        let link = Link { up: true, v4: Some(v4(192, 168, 10, 101)), v6: None };
        vrrp.start(us(0), |_| link, &mut out);
        vrrp.wake(us(3_609_375), &mut out);
        vrrp.wake(us(3_609_375 + 3_816_406), &mut out);
        assert_eq!(vrrp.state(0), state);
        out.clear();
        vrrp.wake(us(60_000_000), &mut out);
        let adverts = out.iter().filter(|a| matches!(a, Action::Advert { .. })).count();
        assert_eq!(adverts, 1, "what was missed is not made up for");
    }
}

#[test]
fn a_late_start_hears_nothing_before() {
    let mut late = priority(100);
    late.startup_delay = Span::from_secs(10);
    let mut wire = Wire::new(vec![late, priority(47)]);
    wire.run(20_000_000);
    assert_eq!(wire.became(0, State::Master), [13_609_375]);
}

#[test]
fn announcements_are_refreshed_while_master_and_keep_their_pace() {
    let mut config = single(|i| {
        i.garp = GarpConfig { refresh: Span::from_secs(2), delay: Span::from_secs(1), ..i.garp };
    });
    let mut wire = Wire::new(vec![config.clone()]);
    wire.run(9_000_000);
    let m = 3_609_375;
    let bursts = [(m, 5), (m + 1_000_000, 5), (m + 3_000_000, 1), (m + 5_000_000, 1)];
    assert_eq!(wire.announced(0), bursts);
    let gap = Span::from_millis(10);
    config.pacing = vec![GarpPacing { interfaces: vec![], garp: gap, gna: Span::ZERO }];
    let mut wire = Wire::new(vec![config]);
    wire.run(4_000_000);
    let one = Action::AnnounceOne { instance: 0, address: 0 };
    let times = wire.nodes[0].did.iter().filter(|(_, a)| *a == one).map(|(t, _)| *t - m);
    assert_eq!(times.collect::<Vec<_>>(), [0, 10_000, 20_000, 30_000, 40_000]);
}

#[test]
fn the_synchronisation_daemon_follows_its_instance() {
    let mut config = priority(47);
    let daemon = crate::ipvs::rules::Daemon {
        role: crate::ipvs::rules::DaemonRole::Backup,
        interface: "eth0".into(),
        syncid: 51,
        group: None,
        port: None,
        ttl: None,
        maxlen: None,
    };
    config.sync_daemon = Some(crate::config::SyncDaemon { instance: Some("VI_1".into()), daemon });
    let mut wire = Wire::new(vec![priority(100), config]);
    wire.kill(0);
    wire.run(10_000_000);
    wire.start(0);
    wire.run(20_000_000);
    let led = wire.nodes[1].did.iter().filter_map(|(_, a)| match a {
        Action::Sync { master } => Some(*master),
        _ => None,
    });
    assert_eq!(led.collect::<Vec<_>>(), [false, true, false]);
}
