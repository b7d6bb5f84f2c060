//! What holds whatever happens.

use super::*;
use crate::config::{
    GarpPacing, ScriptResult, SyncGroup, TrackFile, UnicastPeer, VrrpAuth, VrrpScript,
};
use proptest::prelude::*;

/// Something that happens.
#[derive(Clone, Debug)]
enum Input {
    /// Time passes, in microseconds.
    Pass(u64),
    Advert {
        instance: usize,
        priority: u8,
        from: u8,
        interval: u16,
    },
    Link {
        number: u8,
        up: bool,
    },
    Session(bool),
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        4 => (0_u64..5_000_000).prop_map(Input::Pass),
        4 => (0_usize..3, any::<u8>(), 1_u8..9, 1_u16..300).prop_map(
            |(instance, priority, from, interval)| Input::Advert {
                instance,
                priority,
                from,
                interval
            }
        ),
        1 => (0_u8..2, any::<bool>()).prop_map(|(number, up)| Input::Link { number, up }),
        1 => any::<bool>().prop_map(Input::Session),
    ]
}

prop_compose! {
    fn instance(number: u8)(
        priority in prop_oneof![1_u8..=254, Just(255)],
        flags in any::<[bool; 8]>(),
        interval in 1_u64..3_000,
        delay in 0_u64..4,
        weight in -253_i32..=253,
        adverts in 1_u8..6,
        late in proptest::option::of(1_u8..255),
    ) -> VrrpInstance {
        let mut i = VrrpInstance::new(&format!("VI_{number}"), &format!("eth{}", number % 2), number);
        i.priority = priority;
        i.advert_int = Span::from_millis(interval);
        i.initial_master = flags[0];
        i.preempt = flags[1];
        i.preempt_delay = Span::from_secs(delay);
        i.lower_prio_no_advert = flags[2];
        i.higher_prio_send_advert = flags[3];
        i.version = if flags[4] { VrrpVersion::V2 } else { VrrpVersion::V3 };
        i.dont_track_primary = flags[5];
        i.down_timer_adverts = adverts;
        i.timer_expired_backup = late;
        i.garp.refresh = Span::from_secs(delay * 3);
        let track = |what, weight| Track { what, weight, reverse: flags[6] };
        i.tracks = vec![
            track(Tracked::Script("s".into()), weight),
            track(Tracked::File("f".into()), weight / 20),
            track(Tracked::Bfd("b".into()), if flags[7] { 0 } else { 5 }),
        ];
        if weight % 5 == 0 {
            let address = v4(10, 0, 0, 3);
            i.peers = vec![UnicastPeer { address, min_ttl: None, max_ttl: None }];
        }
        i.addresses.push(VirtualAddress::new(Net::host(v4(10, 0, 1, number))));
        i
    }
}

prop_compose! {
    fn config()(
        a in instance(1),
        b in instance(2),
        c in instance(3),
        grouped in any::<bool>(),
        weights in any::<bool>(),
        paced in any::<bool>(),
        changes in proptest::collection::vec((0_u64..60, 0_u8..2, -9_i32..9), 0..4),
    ) -> VrrpConfig {
        let members = vec!["VI_1".into(), "VI_2".into()];
        let groups = vec![SyncGroup { name: "G".into(), members, weights, ..SyncGroup::default() }];
        let results = changes.iter().map(|(at, exit, _)| ScriptResult {
            from: Span::from_secs(*at),
            exit: *exit,
            duration: Span::from_millis(at * 40),
            stubborn: *exit == 1,
        });
        let values = changes.iter().map(|(at, _, value)| (Span::from_secs(*at), *value));
        let garp = Span::from_millis(30);
        VrrpConfig {
            instances: vec![a, b, c],
            groups: if grouped { groups } else { Vec::new() },
            scripts: vec![VrrpScript { results: results.collect(), ..VrrpScript::new("s") }],
            files: vec![TrackFile { name: "f".into(), values: values.collect() }],
            pacing: if paced {
                vec![GarpPacing { interfaces: vec!["eth1".into()], garp, gna: garp }]
            } else {
                Vec::new()
            },
            ..VrrpConfig::default()
        }
    }
}

/// What every machine must hold to after an input.
struct Watch {
    has: [bool; 3],
}

impl Watch {
    fn look(&mut self, vrrp: &Vrrp, now: Time, out: &mut Vec<Action>) -> Result<(), TestCaseError> {
        for action in out.drain(..) {
            match action {
                Action::Add { instance } => {
                    prop_assert!(!self.has[usize::from(instance)], "set twice");
                    self.has[usize::from(instance)] = true;
                }
                Action::Remove { instance } => self.has[usize::from(instance)] = false,
                Action::Announce { instance, .. } | Action::AnnounceOne { instance, .. } => {
                    prop_assert!(self.has[usize::from(instance)], "announced but not there");
                }
                _ => {}
            }
        }
        prop_assert!(vrrp.next_deadline() > now, "everything that is due is done");
        for i in 0..3 {
            prop_assert_eq!(vrrp.state(i) == State::Master, self.has[i]);
            prop_assert!(vrrp.priority(i) > 0);
        }
        for group in &vrrp.groups {
            let states: Vec<_> = group.members.iter().map(|m| vrrp.state(*m)).collect();
            let together = !states.contains(&State::Master) || states[0] == states[1];
            prop_assert!(together, "{states:?}");
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn addresses_are_held_by_masters_alone_and_groups_stay_together(
        config in config(),
        inputs in proptest::collection::vec(input(), 1..60),
    ) {
        let mut vrrp = Vrrp::new(&config);
        let mut out = Vec::new();
        let mut watch = Watch { has: [false; 3] };
        let mut now = Time::ZERO;
        let link = Link { up: true, v4: Some(v4(10, 0, 0, 2)), v6: None };
        vrrp.start(now, |_| link, &mut out);
        vrrp.wake(now, &mut out);
        watch.look(&vrrp, now, &mut out)?;
        for input in inputs {
            match input {
                Input::Pass(us) => {
                    let until = now + Span::from_micros(us);
                    while vrrp.next_deadline() <= until {
                        now = vrrp.next_deadline();
                        vrrp.wake(now, &mut out);
                        watch.look(&vrrp, now, &mut out)?;
                    }
                    now = until;
                }
                Input::Advert { instance, priority, from, interval } => {
                    let c = &config.instances[instance];
                    let interval = match c.version {
                        VrrpVersion::V2 => vrrp.advert_interval(instance),
                        VrrpVersion::V3 => interval,
                    };
                    let advert = Advert {
                        version: c.version.number(),
                        vrid: c.vrid,
                        priority,
                        interval,
                        auth: VrrpAuth::None,
                        addresses: Vec::new(),
                    };
                    let multicast = c.peers.is_empty();
                    let from = v4(10, 0, 0, from);
                    let heard = Heard { advert: &advert, from, ttl: 255, multicast };
                    vrrp.receive(now, instance, &heard, &mut out);
                }
                Input::Link { number, up } => {
                    vrrp.link(now, &format!("eth{number}"), up, &mut out);
                }
                Input::Session(up) => vrrp.bfd(now, "b", up, &mut out),
            }
            watch.look(&vrrp, now, &mut out)?;
        }
        vrrp.stop(&mut out);
        prop_assert!((0..3).all(|i| vrrp.state(i) == State::Stop));
    }
}
