//! Counters and weights at the ends of the kernel's integers.

use std::vec::Vec;

use proptest::prelude::*;
use proptest::sample::select;

use super::{from, server};
use crate::state::{DestState, PoolState, RuleState, ServiceState};
use crate::testing::{Reference, Seeded, Server};
use crate::{Algorithm, Counting, DestId, Flags, Service};

const MAX: u32 = i32::MAX as u32;

/// Rules that multiply or add counters, with the state in which they start.
const RULES: [Algorithm; 9] = [
    Algorithm::Lc,
    Algorithm::Wlc,
    Algorithm::Sed,
    Algorithm::Nq,
    Algorithm::Fo,
    Algorithm::Ovf,
    Algorithm::Lblc,
    Algorithm::Lblcr,
    Algorithm::Twos,
];

fn number() -> impl Strategy<Value = u32> {
    // Around 0, around the first negative overhead (2^23 active), around the end.
    select(&[0, 1, 2, 3, 255, 256, (1 << 23) - 1, 1 << 23, 1 << 24, 1 << 30, MAX - 1, MAX][..])
}

/// Weight, active, inactive, overload.
type Numbers = (u32, u32, u32, bool);

fn both(algorithm: Algorithm, numbers: &[Numbers]) -> (Service, Reference) {
    // The list, tail first: its order is that of the additions.
    let listed: Vec<DestState> = (1..)
        .zip(numbers)
        .map(|(n, &(weight, active, inactive, overload))| {
            let spec = server(n, weight);
            DestState {
                id: 1 << 22 | u32::from(n - 1),
                addr: spec.addr,
                port: spec.port,
                weight,
                last_weight: weight,
                active,
                inactive,
                persistent: 0,
                upper_threshold: 0,
                lower_threshold: 0,
                overload,
            }
        })
        .collect();
    let cached = matches!(algorithm, Algorithm::Lblc | Algorithm::Lblcr);
    let empty = RuleState::Cache { entries: Vec::new(), count: 0, rover: 0, runs: 1 };
    let server = |d: &DestState| Server {
        key: (d.addr, d.port),
        weight: d.weight as i32,
        last_weight: d.last_weight as i32,
        active: d.active as i32,
        inactive: d.inactive as i32,
        persistent: 0,
        upper: 0,
        lower: 0,
        overload: d.overload,
    };
    let plain = Reference::with_servers(algorithm, listed.iter().rev().map(server).collect());
    let usages = std::vec![1; listed.len()];
    let state = ServiceState {
        algorithm: Some(algorithm),
        flags: Flags::NONE,
        table_index: 12,
        expiration: 0,
        pool: PoolState { usages, listed, ..PoolState::default() },
        rule: if cached { empty } else { RuleState::Nothing },
    };
    (Service::restore(&state).expect("a possible state"), plain)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_largest_counters_are_compared_as_the_kernel_does(
        algorithm in select(&RULES[..]),
        numbers in prop::collection::vec((number(), number(), number(), any::<bool>()), 1..70),
        calm in any::<bool>(),
    ) {
        let mut numbers = numbers;
        if calm {
            // Nobody overloaded, only a few at the ends.
            for (i, n) in numbers.iter_mut().enumerate() {
                n.3 = false;
                if i % 5 != 0 {
                    (n.1, n.2) = (n.1 % 4, n.2 % 4);
                }
            }
        }
        let (mut fast, mut plain) = both(algorithm, &numbers);
        let (mut a, mut b) = (Seeded::new(5), Seeded::new(5));
        for round in 0..20 {
            let pick = fast.schedule(&from("10.0.0.1"), round, &mut a);
            let found = pick.and_then(|id| fast.pool().get(id));
            let named = found.map(|d| (d.addr, d.port));
            prop_assert_eq!(named, plain.schedule(&from("10.0.0.1"), round, &mut b));
            let Some(dest) = found else { break };
            let bound = fast.bind(dest.id, Counting::Active).is_ok();
            prop_assert_eq!(bound, plain.bind((dest.addr, dest.port), Counting::Active).is_ok());
            prop_assert_eq!(bound, dest.active < MAX);
        }
    }
}

#[test]
fn a_state_that_contradicts_itself_is_refused() {
    let good = super::service(Algorithm::Wrr, &[1, 2]).save();
    assert!(Service::restore(&good).is_ok());
    let refused = |change: &dyn Fn(&mut ServiceState)| {
        let mut state = good.clone();
        change(&mut state);
        Service::restore(&state).is_err()
    };
    assert!(refused(&|s| s.table_index = 3));
    assert!(refused(&|s| s.pool.listed[0].weight = MAX + 1));
    assert!(refused(&|s| s.pool.listed[0].active = MAX + 1));
    assert!(refused(&|s| s.pool.listed[0].lower_threshold = 9));
    assert!(refused(&|s| s.pool.listed[0].id = s.pool.listed[1].id));
    assert!(refused(&|s| s.pool.listed[0].id = 0));
    assert!(refused(&|s| s.pool.listed[0].addr = s.pool.listed[1].addr));
    assert!(refused(&|s| s.pool.usages[0] = 2));
    assert!(refused(&|s| s.pool.usages.push(1)));
    assert!(refused(&|s| s.pool.free.push(0)));
    assert!(refused(&|s| s.rule = RuleState::Nothing));
    assert!(refused(&|s| s.rule = RuleState::WeightedRoundRobin { cursor: None, current: 0 }));
    assert!(refused(&|s| s.rule = RuleState::WeightedRoundRobin { cursor: None, current: 3 }));
    assert!(refused(&|s| s.rule = RuleState::WeightedRoundRobin { cursor: Some(7), current: 1 }));
    assert!(refused(&|s| s.algorithm = Some(Algorithm::Wlc)));
    assert_eq!(DestId::from_raw(0), None);
    assert_eq!(DestId::from_raw(5), None);
}
