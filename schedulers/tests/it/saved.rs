//! A service written as JSON and read back.

use schedulers::{
    Algorithm, Counting, DestSpec, Flags, Flow, NoRandom, Service, ServiceState, TableIndex,
};
use serde_json::Value;

#[test]
fn every_rule_goes_on_after_it_was_written_down_and_read_back() {
    for algorithm in Algorithm::ALL {
        let mut service = Service::new(algorithm, Flags { fallback: true, port: true });
        let index = TableIndex::new(9).expect("an index in range");
        service.set_table_index(index).expect("no destination yet");
        for n in 1..50 {
            let spec = DestSpec::new([10, 0, 0, n].into(), 80, u32::from(n % 7));
            service.add_dest(spec).expect("a new destination");
        }
        let flow = |n| Flow::new([10, 1, 0, n].into(), u16::from(n), [10, 2, 0, n % 5].into(), 80);
        for n in 0..60 {
            // `dh` may name a server of weight 0.
            if let Some(dest) = service.schedule(&flow(n), u64::from(n), &mut NoRandom) {
                service.bind(dest, Counting::Active).expect("listed");
            }
        }
        let text = serde_json::to_string(&service.save()).expect("plain data");
        let state: ServiceState = serde_json::from_str(&text).expect("what was written");
        assert_eq!(state, service.save(), "{algorithm}");
        let mut again = Service::restore(&state).expect("what was saved");
        for n in 60..200 {
            let pick = again.schedule(&flow(n), u64::from(n), &mut NoRandom);
            assert_eq!(
                pick,
                service.schedule(&flow(n), u64::from(n), &mut NoRandom),
                "{algorithm}"
            );
        }
    }
}

/// Every number in a JSON value.
fn numbers<'a>(value: &'a mut Value, found: &mut Vec<&'a mut Value>) {
    match value {
        Value::Number(_) => found.push(value),
        Value::Array(values) => values.iter_mut().for_each(|v| numbers(v, found)),
        Value::Object(map) => map.values_mut().for_each(|v| numbers(v, found)),
        _ => {}
    }
}

/// Uses a service in every way.
fn exercise(service: &mut Service) {
    let ids: Vec<_> = service.pool().iter().chain(service.pool().trash()).map(|d| d.id).collect();
    for (n, id) in (0..20).zip(ids) {
        let flow = Flow::new([10, 1, 0, n].into(), 9, [10, 2, 0, n % 5].into(), 80);
        if let Some(dest) = service.schedule(&flow, u64::MAX - u64::from(n), &mut NoRandom) {
            assert!(service.pool().is_available(dest));
            // Refusals are fine here, panics are not.
            service.bind(dest, Counting::Active).ok();
            service.deactivate(dest).ok();
        }
        service.run_timer(u64::MAX);
        match n % 3 {
            0 => service.remove_dest(id).ok(),
            1 => service.edit_dest(id, DestSpec::new([0; 4].into(), 0, 5).edit()).ok(),
            _ => service.purge(id).ok(),
        };
    }
    service.add_dest(DestSpec::new([10, 0, 1, 1].into(), 80, u32::MAX >> 1)).ok();
    let again = Service::restore(&service.save()).expect("what was saved");
    assert_eq!(again.save(), service.save());
}

#[test]
fn a_state_with_wrong_numbers_is_refused_or_used_without_a_panic() {
    const WRONG: [u64; 9] = [0, 1, 2, 31, 255, 65_535, i32::MAX as u64, u32::MAX as u64, u64::MAX];
    let (mut seed, mut accepted) = (1u64, 0);
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for algorithm in Algorithm::ALL {
        let mut service = Service::new(algorithm, Flags::NONE);
        for n in 1..12 {
            let spec = DestSpec::new([10, 0, 0, n].into(), 80, u32::from(n % 4));
            let id = service.add_dest(spec).expect("a new destination");
            let flow = Flow::new([10, 1, 0, n].into(), 9, [10, 2, 0, n % 5].into(), 80);
            if let Some(dest) = service.schedule(&flow, u64::from(n), &mut NoRandom) {
                service.bind(dest, Counting::Active).expect("listed");
            }
            if n % 5 == 0 {
                service.remove_dest(id).expect("listed");
            }
        }
        let state = serde_json::to_value(service.save()).expect("plain data");
        for _ in 0..300 {
            let mut wrong = state.clone();
            let mut places = Vec::new();
            numbers(&mut wrong, &mut places);
            let place = random(places.len());
            *places[place] = WRONG[random(WRONG.len())].into();
            let read = serde_json::from_value::<ServiceState>(wrong);
            if let Some(mut service) = read.ok().and_then(|s| Service::restore(&s).ok()) {
                accepted += 1;
                exercise(&mut service);
            }
        }
    }
    assert!(accepted > 500, "only {accepted} states were usable");
}
