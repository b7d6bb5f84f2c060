//! STONITH: a power switch takes the power from a director that may still hold the address.

use super::*;

fn device(failure: ResetFailure) -> StonithConfig {
    let outlet = |n: &str| (n.to_owned(), Some(n.to_owned()));
    StonithConfig {
        device: "external/switch".into(),
        outlets: vec![outlet("lvs1"), outlet("lvs2")],
        reset: Span::from_millis(1_500),
        cut: Span::from_millis(500),
        failure,
        power_back: None,
        address: None,
    }
}

fn fenced(seconds: u64, device: &StonithConfig) -> WorldConfig {
    let mut config = two_directors(seconds);
    both(&mut config).for_each(|d| d.stonith = Some(device.clone()));
    config
}

fn switched_off(o: &Observations) -> Vec<&str> {
    told(o, Kind::Power).iter().filter(|p| p.3 == "off").map(|p| p.1).collect()
}

#[test]
fn a_dead_director_is_taken_over_from_when_the_switch_says_that_it_is_off() {
    let mut config = fenced(40, &device(ResetFailure::Never));
    config.faults = vec![fault("kill", program("lvs1", ProgramHarm::Kill), 20_000, 100_000)];
    let o = run(&config);
    // without fencing there would be two holders
    assert_eq!(sequence(&o), [vec!["lvs1"], vec![], vec!["lvs2"]]);
    assert_eq!(switched_off(&o), ["lvs1"]);
    let fencing = told(&o, Kind::Fencing);
    assert_eq!(fencing.iter().map(|f| f.3).collect::<Vec<_>>(), ["begun", "done"]);
    assert_eq!(fencing[1].0 - fencing[0].0, 1_500);
    assert!(holders(&o)[3].0 > fencing[1].0);
}

#[test]
fn a_switch_that_fails_leaves_the_service_away_until_it_works() {
    let mut config = fenced(60, &device(ResetFailure::First(3)));
    config.faults = vec![fault("crash", crash(&["lvs1"]), 20_000, 100_000)];
    let o = run(&config);
    let words: Vec<_> = told(&o, Kind::Fencing).iter().map(|f| f.3).collect();
    let failed = ["begun", "failed"];
    assert_eq!(words, [failed, failed, failed, ["begun", "done"]].concat());
    // three times 1.5 s and a pause of 5 s
    let away = back_after(&o, 20_000);
    assert!((4.0 + 21.0..5.3 + 21.5).contains(&away), "{away}");
    config = fenced(60, &device(ResetFailure::Always));
    config.faults = vec![fault("crash", crash(&["lvs1"]), 20_000, 100_000)];
    assert_eq!(sequence(&run(&config)), [vec!["lvs1"], vec![]]);
}

#[test]
fn in_a_split_the_first_director_to_fire_lives() {
    let mut config = fenced(40, &device(ResetFailure::Never));
    config.faults = vec![fault("split", deaf(&["lvs1", "lvs2"]), 20_000, 100_000)];
    let o = run(&config);
    let off = switched_off(&o);
    assert_eq!(off.len(), 1, "{off:?}");
    assert!(sequence(&o).iter().all(|h| h.len() < 2));
    let living = if off == ["lvs1"] { "lvs2" } else { "lvs1" };
    assert_eq!(holders(&o).last().unwrap().1, [living]);
    // both told the switch in one instant: what the other one said came to nothing
    let fencing = told(&o, Kind::Fencing);
    let void: Vec<_> = fencing.iter().filter(|f| f.3 == "void").map(|f| (f.1, f.2)).collect();
    assert_eq!(void, [(off[0], living)], "{fencing:?}");
}

#[test]
fn a_reset_brings_the_power_back() {
    let cycle =
        StonithConfig { power_back: Some(Span::from_secs(3)), ..device(ResetFailure::Never) };
    let mut config = fenced(60, &cycle);
    config.faults = vec![fault("kill", program("lvs1", ProgramHarm::Kill), 20_000, 100_000)];
    let o = run(&config);
    let power: Vec<_> = told(&o, Kind::Power).iter().map(|p| (p.1, p.3, p.0)).collect();
    assert_eq!([power[0].1, power[1].1], ["off", "on"]);
    assert_eq!(power[1].2 - power[0].2, 3_000);
}

#[test]
fn a_switch_with_an_address_must_be_reached() {
    let there = (v4(192, 168, 10, 50), 23);
    let far = StonithConfig { address: Some(there), ..device(ResetFailure::Never) };
    let mut config = fenced(50, &far);
    config.hosts.push(serving("switch", there.0, Transport::Tcp, there.1));
    config.links.push(link("switch:eth0", "sw"));
    config.faults = vec![fault("crash", crash(&["lvs1"]), 20_000, 100_000)];
    assert_eq!(sequence(&run(&config)), [vec!["lvs1"], vec![], vec!["lvs2"]]);
    config.faults.push(fault("cable", down(&["switch:eth0--sw"]), 15_000, 100_000));
    let o = run(&config);
    assert_eq!(sequence(&o), [vec!["lvs1"], vec![]]);
    assert!(told(&o, Kind::Fencing).iter().any(|f| f.3 == "failed"));
}

#[test]
fn a_clean_stop_is_not_fenced() {
    let mut config = fenced(40, &device(ResetFailure::Never));
    config.faults = vec![fault("stop", program("lvs1", ProgramHarm::Stop), 20_000, 100_000)];
    let o = run(&config);
    assert_eq!(sequence(&o), [vec!["lvs1"], vec![], vec!["lvs2"]]);
    assert!(told(&o, Kind::Fencing).is_empty() && switched_off(&o).is_empty());
}
