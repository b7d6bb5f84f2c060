//! A service written as JSON and read back.

use schedulers::{
    Algorithm, Counting, DestSpec, Flags, Flow, NoRandom, Service, ServiceState, TableIndex,
};

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
