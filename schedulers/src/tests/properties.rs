//! What every user may rely on, each property in the name of its test.

use std::vec::Vec;

use proptest::prelude::*;

use super::{from, id, picks, server, service, shares};
use crate::testing::{Mix, Pair, Reference, Seeded, flow, sequence};
use crate::{Algorithm, Counting, Error, Flags, NoRandom, Service};

/// Rules that spread over whatever may be chosen.
const SPREADING: [Algorithm; 7] = [
    Algorithm::Rr,
    Algorithm::Lc,
    Algorithm::Wlc,
    Algorithm::Sed,
    Algorithm::Nq,
    Algorithm::Fo,
    Algorithm::Twos,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_pick_is_listed_and_has_a_weight(ops in sequence(Mix::default()), flow in flow()) {
        let mut pair = Pair::new();
        for op in &ops {
            prop_assert_eq!(pair.apply(op), Ok(()));
        }
        if let Some(dest) = pair.fast.schedule(&flow, u64::MAX, &mut NoRandom) {
            let dest = pair.fast.pool().get(dest).expect("a pick exists");
            prop_assert!(dest.available && dest.weight > 0);
            let cached = matches!(
                pair.fast.algorithm(), Some(Algorithm::Lblc)
            );
            prop_assert!(cached || !dest.overload);
        }
    }

    #[test]
    fn somebody_is_picked_as_long_as_anybody_may_be(
        weights in prop::collection::vec(0..5u32, 0..80), flow in flow()
    ) {
        for algorithm in SPREADING.into_iter().chain([Algorithm::Wrr, Algorithm::Lblc]) {
            let mut service = service(algorithm, &weights);
            let pick = service.schedule(&flow, 0, &mut Seeded::new(3));
            prop_assert_eq!(pick.is_some(), weights.iter().any(|&w| w > 0), "{}", algorithm);
        }
    }

    #[test]
    fn counts_equal_the_connections_alive(
        moves in prop::collection::vec((0..6u8, 0..1000usize), 1..400)
    ) {
        let mut service = service(Algorithm::Wlc, &[1, 2, 3, 4]);
        let mut alive = Vec::new();
        for (what, which) in moves {
            if what < 3 {
                let dest = service.schedule(&from("10.0.0.1"), 0, &mut NoRandom).expect("no limit");
                prop_assert_eq!(service.bind(dest, Counting::Inactive), Ok(()));
                alive.push((dest, Counting::Inactive));
            } else if let Some(i) = which.checked_rem(alive.len()) {
                let (dest, counting) = alive.swap_remove(i);
                let next = match (what, counting) {
                    (3, _) => {
                        prop_assert_eq!(service.release(dest, counting), Ok(()));
                        continue;
                    }
                    (_, Counting::Inactive) => {
                        prop_assert_eq!(service.activate(dest), Ok(()));
                        Counting::Active
                    }
                    _ => {
                        prop_assert_eq!(service.deactivate(dest), Ok(()));
                        Counting::Inactive
                    }
                };
                alive.push((dest, next));
            }
            let count = |id, c| alive.iter().filter(|&&x| x == (id, c)).count() as u32;
            for d in service.pool().iter() {
                prop_assert_eq!(d.active, count(d.id, Counting::Active));
                prop_assert_eq!(d.inactive, count(d.id, Counting::Inactive));
            }
        }
    }

    #[test]
    fn wrr_serves_in_proportion_to_the_weights_over_a_cycle(
        weights in prop::collection::vec(1..30u32, 1..50)
    ) {
        let mut service = service(Algorithm::Rr, &weights);
        service.set_algorithm(Algorithm::Wrr).expect("wrr always starts");
        let step = weights.iter().fold(0, |a, &b| gcd(a, b));
        let cycle: u32 = weights.iter().map(|w| w / step).sum();
        for _ in 0..cycle * 2 {
            let dest = service.schedule(&from("10.0.0.1"), 0, &mut NoRandom).expect("weights");
            prop_assert_eq!(service.bind(dest, Counting::Inactive), Ok(()));
        }
        for d in service.pool().iter() {
            prop_assert_eq!(d.inactive, 2 * d.weight / step);
        }
    }

    #[test]
    fn nq_never_queues_while_an_idle_server_exists(
        weights in prop::collection::vec(0..5u32, 1..90),
        busy in prop::collection::vec(0..3u32, 90),
    ) {
        let mut service = service(Algorithm::Nq, &weights);
        for (n, &connections) in (0..).zip(&busy).take(weights.len()) {
            let dest = id(&service, n);
            for _ in 0..connections {
                prop_assert_eq!(service.bind(dest, Counting::Active), Ok(()));
            }
        }
        let idle = service.pool().iter().any(|d| d.weight > 0 && d.active == 0);
        let pick = service.schedule(&from("10.0.0.1"), 0, &mut NoRandom);
        let active = pick.and_then(|d| service.pool().active(d));
        prop_assert_eq!(idle, active == Some(0));
    }

    #[test]
    fn sh_and_mh_answer_a_client_alike_as_long_as_the_pool_is_the_same(
        weights in prop::collection::vec(1..9u32, 1..60),
        flows in prop::collection::vec(flow(), 1..30),
    ) {
        for algorithm in [Algorithm::Sh, Algorithm::Mh] {
            let mut service = service(algorithm, &weights);
            let mut choose = || -> Vec<_> {
                flows.iter().map(|f| service.schedule(f, 0, &mut NoRandom)).collect()
            };
            let first = choose();
            prop_assert!(first.iter().all(Option::is_some));
            prop_assert_eq!(choose(), first);
        }
    }

    #[test]
    fn misuse_is_refused_and_changes_nothing(ops in sequence(Mix::default())) {
        let mut pair = Pair::new();
        for op in &ops {
            prop_assert_eq!(pair.apply(op), Ok(()));
        }
        let stale = pair.fast.add_dest(server(9000, 1)).ok();
        prop_assume!(stale.is_some());
        let stale = stale.expect("just assumed");
        prop_assert_eq!(pair.fast.release(stale, Counting::Active), Err(Error::NothingToRelease(stale)));
        prop_assert_eq!(pair.fast.activate(stale), Err(Error::NothingToRelease(stale)));
        prop_assert_eq!(pair.fast.purge(stale), Err(Error::InUse(stale)));
        let removed = pair.fast.remove_dest(stale);
        let full = matches!(removed, Err(Error::TableFull { .. }));
        prop_assert!(full || removed == Ok(()));
        prop_assert_eq!(pair.fast.remove_dest(stale), Err(Error::NotListed(stale)));
        prop_assert_eq!(pair.fast.purge(stale), Ok(()));
        prop_assert_eq!(pair.fast.bind(stale, Counting::Active), Err(Error::UnknownDest(stale)));
        prop_assert_eq!(pair.compare(), Ok(()));
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[test]
fn an_id_never_names_another_server_that_took_its_place() {
    let mut service = Service::new(Algorithm::Rr, Flags::NONE);
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..3000u16 {
        let dest = service.add_dest(server(n, 1)).expect("ids are left");
        assert!(seen.insert(dest), "{dest} was handed out twice");
        service.remove_dest(dest).expect("listed");
        service.purge(dest).expect("idle");
    }
    assert!(seen.iter().all(|&old| service.pool().get(old).is_none()));
}

#[test]
fn overload_is_set_at_the_upper_threshold_and_cleared_below_three_quarters() {
    let mut service = Service::new(Algorithm::Rr, Flags::NONE);
    let spec = crate::DestSpec { upper_threshold: 4, ..server(1, 1) };
    let dest = service.add_dest(spec).expect("new");
    assert_eq!(picks(&mut service, 6), "AAAA--");
    service.release(dest, Counting::Active).expect("four connections");
    assert_eq!(picks(&mut service, 1), "-", "three of four are not below three quarters");
    service.release(dest, Counting::Active).expect("three connections");
    assert_eq!(picks(&mut service, 3), "AA-");
}

#[test]
fn overload_is_cleared_below_the_lower_threshold_and_by_a_higher_upper_one() {
    let mut service = Service::new(Algorithm::Rr, Flags::NONE);
    let spec = crate::DestSpec { upper_threshold: 3, lower_threshold: 2, ..server(1, 1) };
    let dest = service.add_dest(spec).expect("new");
    assert_eq!(picks(&mut service, 4), "AAA-");
    service.release(dest, Counting::Active).expect("three connections");
    assert!(service.pool().is_overloaded(dest), "two is not below two");
    service.release(dest, Counting::Active).expect("two connections");
    assert_eq!(picks(&mut service, 3), "AA-");
    let wider = crate::DestEdit { upper_threshold: 4, ..spec.edit() };
    service.edit_dest(dest, wider).expect("listed");
    assert_eq!(picks(&mut service, 2), "A-");
}

#[test]
fn a_template_may_overload_a_server_that_is_full_but_is_not_counted_itself() {
    let mut service = Service::new(Algorithm::Rr, Flags::NONE);
    let dest = service.add_dest(server(1, 1)).expect("new");
    service.bind(dest, Counting::Active).expect("listed");
    let full = crate::DestEdit { upper_threshold: 1, ..server(1, 1).edit() };
    service.edit_dest(dest, full).expect("listed");
    assert!(!service.pool().is_overloaded(dest), "an edit never sets the flag");
    service.bind(dest, Counting::Template).expect("listed");
    assert!(service.pool().is_overloaded(dest));
    assert_eq!(service.pool().persistent(dest), Some(1));
}

#[test]
fn a_server_that_comes_back_is_at_the_head_with_its_connections() {
    let mut lc = service(Algorithm::Lc, &[1, 1, 1]);
    let a = id(&lc, 0);
    lc.bind(a, Counting::Active).expect("listed");
    lc.remove_dest(a).expect("listed");
    assert_eq!(lc.bind(a, Counting::Inactive), Ok(()), "a template may still send here");
    assert_eq!(lc.add_dest(server(1, 2)), Ok(a));
    let first = lc.pool().iter().next().expect("three servers");
    assert_eq!((first.id, first.active, first.inactive, first.weight), (a, 1, 1, 2));
}

#[test]
fn the_same_rule_again_keeps_its_state_and_another_one_drops_it() {
    let mut rr = service(Algorithm::Rr, &[1, 1, 1]);
    assert_eq!(picks(&mut rr, 1), "C");
    rr.set_algorithm(Algorithm::Rr).expect("no change");
    assert_eq!(picks(&mut rr, 1), "B");
    rr.set_algorithm(None).expect("none always works");
    assert_eq!(picks(&mut rr, 1), "-");
    rr.set_algorithm(Algorithm::Rr).expect("rr always starts");
    assert_eq!(picks(&mut rr, 1), "C");
}

#[test]
fn wrr_with_the_largest_weights_answers_without_walking_every_sweep() {
    let max = i32::MAX as u32;
    // Step 1, and the largest one is overloaded: two thousand million sweeps for the kernel.
    let mut wrr = service(Algorithm::Wrr, &[max, 1, 2]);
    let full = crate::DestEdit { upper_threshold: 1, ..server(1, max).edit() };
    let a = id(&wrr, 0);
    wrr.edit_dest(a, full).expect("listed");
    wrr.bind(a, Counting::Active).expect("listed");
    assert_eq!(picks(&mut wrr, 7), "CBCCBCC");
}

#[test]
fn counters_stop_at_the_end_of_the_kernels_int() {
    let mut state = service(Algorithm::Wlc, &[1]).save();
    state.pool.listed[0].active = i32::MAX as u32;
    let mut full = Service::restore(&state).expect("a possible state");
    let a = id(&full, 0);
    assert_eq!(full.bind(a, Counting::Active), Err(Error::CounterFull(a)));
    full.bind(a, Counting::Inactive).expect("the other counter has room");
    assert_eq!(full.activate(a), Err(Error::CounterFull(a)));
    assert_eq!(full.pool().inactive(a), Some(1), "a refused call changes nothing");
}

#[test]
fn twos_chooses_with_the_exact_probabilities_of_its_rule() {
    // Equal loads: the first draw decides. The head has (w + 1) of (total + 1) chances.
    let mut twos = service(Algorithm::Twos, &[1, 2, 3, 4]);
    let mut random = Seeded::new(7);
    let draws = 110_000u32;
    let mut hits = [0u32; 4];
    for _ in 0..draws {
        let dest = twos.schedule(&from("10.0.0.1"), 0, &mut random).expect("weights");
        let n = (0..4).find(|&n| id(&twos, n) == dest).expect("one of four");
        hits[usize::from(n)] += 1;
    }
    // Of 11 chances A has 1, B 2, C 3, D, the head, 5. Chi-squared with 3 degrees of freedom
    // exceeds 16.27 once in a thousand.
    let chances = [1, 2, 3, 5].map(|c| c * draws / 11);
    let term = |(&hit, expected): (&u32, u32)| {
        let off = f64::from(hit) - f64::from(expected);
        off * off / f64::from(expected)
    };
    let chi: f64 = hits.iter().zip(chances).map(term).sum();
    assert!(chi < 16.27, "hits {hits:?}, expected {chances:?}, chi-squared {chi}");
}

/// Draws that were written down.
struct Script(Vec<u32>);

impl crate::RandomSource for Script {
    fn next_u32(&mut self) -> u32 {
        self.0.pop().expect("as many draws as written down")
    }

    fn below(&mut self, ceil: u32) -> u32 {
        let draw = self.next_u32();
        assert!(draw < ceil, "a draw reaches the sum of the weights, not beyond");
        draw
    }
}

#[test]
fn twos_finds_the_destination_of_every_draw_in_a_long_list() {
    let weights: Vec<u32> = (0..77).map(|n| n * 5 % 4).collect();
    let mut fast = service(Algorithm::Twos, &weights);
    let mut plain = Reference::new(Some(Algorithm::Twos), Flags::NONE);
    for (n, &weight) in (1..).zip(&weights) {
        plain.add(&server(n, weight)).expect("new");
    }
    let (total, flow) = (weights.iter().sum(), from("10.0.0.1"));
    for draw in 0..=total {
        for other in [0, draw, total] {
            let pick = fast.schedule(&flow, 0, &mut Script(std::vec![other, draw]));
            let named = pick.and_then(|id| fast.pool().get(id)).map(|d| (d.addr, d.port));
            let expected = plain.schedule(&flow, 0, &mut Script(std::vec![other, draw]));
            assert_eq!(named, expected, "draws {draw} and {other}");
            assert!(named.is_some());
        }
    }
}

#[test]
fn twos_prefers_the_less_loaded_of_its_two_draws() {
    // Two servers of weight 1, A loaded. Draws 0 and 1 name the head B, 2 names A: A is chosen
    // only if both draws name it, once in nine.
    let mut twos = service(Algorithm::Twos, &[1, 1]);
    let a = id(&twos, 0);
    twos.bind(a, Counting::Active).expect("listed");
    let mut random = Seeded::new(11);
    let hits =
        (0..90_000).filter(|_| twos.schedule(&from("10.0.0.1"), 0, &mut random) == Some(a)).count();
    // 10,000 expected, standard deviation 94.
    assert!((9_690..=10_310).contains(&hits), "{hits}");
}

#[test]
fn lblc_stays_with_a_server_until_it_is_overloaded_and_another_half_idle() {
    let mut lblc = service(Algorithm::Lblc, &[2, 2]);
    assert_eq!(picks(&mut lblc, 6), "BBBAAA");
    // Three on each: more than the weight, but nobody is half idle.
    assert_eq!(picks(&mut lblc, 3), "AAA");
}

#[test]
fn an_address_unused_for_the_expiration_is_forgotten_at_the_30th_run_of_the_timer() {
    const SECOND: u64 = 1_000_000_000;
    let mut lblc = service(Algorithm::Lblc, &[9, 9]);
    lblc.set_expiration(600 * SECOND);
    assert_eq!(picks(&mut lblc, 1), "B");
    let b = id(&lblc, 1);
    lblc.remove_dest(b).expect("listed");
    lblc.release(b, Counting::Active).expect("one connection");
    for run in 1..30 {
        lblc.run_timer(run * 60 * SECOND);
        assert_eq!(lblc.purge(b), Err(Error::InUse(b)), "run {run}: the cache points at it");
    }
    lblc.run_timer(1800 * SECOND);
    assert_eq!(lblc.purge(b), Ok(()));
}

#[test]
fn an_overfull_cache_sheds_idle_addresses_chain_by_chain() {
    const SECOND: u64 = 1_000_000_000;
    for algorithm in [Algorithm::Lblc, Algorithm::Lblcr] {
        let mut service = service(algorithm, &[1]);
        for n in 0..17_000u32 {
            let flow = crate::Flow { dst: core::net::Ipv4Addr::from(n).into(), ..from("10.0.0.1") };
            assert!(service.schedule(&flow, 0, &mut NoRandom).is_some());
        }
        assert_eq!(service.cached(), 17_000);
        service.run_timer(359 * SECOND);
        assert_eq!(service.cached(), 17_000, "nothing is idle for 360 s yet");
        // (17000 - 16384) * 4 / 3 = 821, then to the end of the chain.
        service.run_timer(360 * SECOND);
        assert!((16_150..=16_179).contains(&service.cached()), "{}", service.cached());
    }
}

#[test]
fn sh_leaves_out_whoever_finds_no_bucket() {
    let mut sh = service(Algorithm::Sh, &[1, 300]);
    assert_eq!(shares(&mut sh, 2), [0, 256]);
}
