//! When faults begin and end, and what configuration of them is refused.

use super::*;
use sim_core::wire::proto;
use sim_core::world::World;

const CABLE: &str = "client:eth0--server:eth0";

fn when(trigger: Trigger, plus_ms: u64, nth: u64, again: bool) -> Condition {
    Condition { trigger, plus: Dist::Constant(plus_ms as f64 / 1e3), nth, again }
}

fn mark(name: &str, when: FaultStart) -> FaultConfig {
    FaultConfig { name: name.into(), what: FaultKind::Mark, when, end: FaultEnd::Never }
}

/// When a fault began, in milliseconds.
fn begins(o: &Observations, name: &str) -> Vec<u64> {
    let all = told(o, Kind::Fault);
    all.iter().filter(|e| e.2 == name && e.3 != "over").map(|e| e.0).collect()
}

/// When a fault ended.
fn ends(o: &Observations, name: &str) -> Vec<u64> {
    let all = told(o, Kind::Fault);
    all.iter().filter(|e| e.2 == name && e.3 == "over").map(|e| e.0).collect()
}

fn every(first_ms: u64, period_ms: u64) -> FaultStart {
    FaultStart::Every(Span::from_millis(first_ms), Span::from_millis(period_ms))
}

#[test]
fn a_fault_comes_at_points_and_regularly_but_not_while_it_is_there() {
    let mut config = asking();
    let mut listed = fault("listed", down(&[CABLE]), 0, 150);
    listed.when = FaultStart::At([300, 100, 200].map(Span::from_millis).to_vec());
    let mut regular = fault("regular", down(&[CABLE]), 0, 150);
    regular.when = every(1_000, 100);
    config.faults = vec![listed, regular];
    config.drain = Span::ZERO;
    config.hosts[0].clients[0].limit = 0;
    let o = run(&config);
    assert_eq!(begins(&o, "listed"), [100, 300]);
    assert_eq!(begins(&o, "regular"), [1_000, 1_200, 1_400, 1_600, 1_800]);
}

#[test]
fn a_fault_follows_another_one() {
    let mut config = asking();
    let mut second = fault("second", down(&[CABLE]), 0, 50);
    second.when = FaultStart::When(when(Trigger::Begins("first".into()), 20, 1, true));
    let mut third =
        mark("third", FaultStart::When(when(Trigger::Ends("second".into()), 5, 2, false)));
    third.end = FaultEnd::Never;
    let mut first = fault("first", down(&[CABLE]), 0, 10);
    first.when = every(100, 500);
    config.faults = vec![first, second, third];
    let o = run(&config);
    assert_eq!(begins(&o, "first"), [100, 600, 1_100, 1_600]);
    assert_eq!(begins(&o, "second"), [120, 620, 1_120, 1_620]);
    assert_eq!(begins(&o, "third"), [675], "once, after the second end of the second");
}

#[test]
fn a_fault_may_end_by_a_condition() {
    let mut config = asking();
    let mut cable = fault("cable", down(&[CABLE]), 450, 0);
    cable.end = FaultEnd::When(when(Trigger::Begins("mended".into()), 10, 2, false));
    config.faults = vec![cable, mark("mended", every(300, 200))];
    let o = run(&config);
    // counted from the begin of the fault: 500 and 700
    assert_eq!(ends(&o, "cable"), [710]);
    assert_eq!(served(&o), all_but(5..8));
}

#[test]
fn a_fault_begins_when_the_timeline_tells_something() {
    let mut config = asking();
    config.hosts[1].boot.time = Dist::Constant(0.1);
    let on = Trigger::Told {
        host: Some("server".into()),
        kind: Some(Kind::Power),
        subject: None,
        value: Some("on".into()),
    };
    let client =
        Trigger::Told { host: Some("client".into()), kind: None, subject: None, value: None };
    let killed = Trigger::Told {
        host: None,
        kind: None,
        subject: Some("server :".into()),
        value: Some("killed".into()),
    };
    let dead = FaultKind::Application {
        hosts: names(&["server"]),
        port: None,
        harm: ApplicationHarm::Kill,
    };
    let mut dies = fault("dies", dead, 0, 100);
    dies.when = FaultStart::When(when(on, 200, 1, false));
    config.faults = vec![
        fault("crash", crash(&["server"]), 450, 100),
        dies,
        mark("never", FaultStart::When(when(client, 0, 1, false))),
        mark("seen", FaultStart::When(when(killed, 0, 1, false))),
    ];
    let o = run(&config);
    assert_eq!(begins(&o, "dies"), [850]);
    assert_eq!(begins(&o, "seen"), [850]);
    assert!(begins(&o, "never").is_empty());
}

#[test]
fn a_fault_begins_with_the_nth_frame_of_a_sort() {
    let mut config = asking();
    let udp = Traffic::Ip { protocol: proto::UDP, port: Some(80) };
    let frame = |end: &str, traffic| Trigger::Frame(CABLE.into(), end.into(), traffic);
    let mut cable = fault("cable", down(&[CABLE]), 0, 250);
    cable.when = FaultStart::When(when(frame("server", udp), 0, 6, false));
    let other = frame("server", Traffic::Ip { protocol: proto::TCP, port: None });
    let each = FaultStart::When(when(frame("server", udp), 1, 3, true));
    config.faults =
        vec![cable, mark("never", FaultStart::When(when(other, 0, 1, false))), mark("each", each)];
    let o = run(&config);
    // the sixth request, at 500 ms, is on its way when the cable is pulled
    assert_eq!(begins(&o, "cable"), [500]);
    assert_eq!(served(&o), all_but(5..8));
    assert!(begins(&o, "never").is_empty());
    assert_eq!(begins(&o, "each").len(), 18 - 2, "those sent into the pulled cable do not count");
}

#[test]
fn faults_that_set_each_other_off_do_not_stop_time() {
    let mut config = asking();
    let chain = |name: &str, after: &str| {
        let start = FaultStart::When(when(Trigger::Ends(after.into()), 0, 1, true));
        mark(name, start)
    };
    config.faults = vec![
        chain("hen", "egg"),
        chain("egg", "hen"),
        mark("egg first", FaultStart::At(vec![Span::from_millis(100)])),
        mark("hen of it", FaultStart::When(when(Trigger::Ends("egg first".into()), 0, 1, true))),
        chain("a", "hen of it"),
        chain("b", "a"),
    ];
    let o = run(&config);
    assert_eq!(begins(&o, "b"), [100]);
    assert!(begins(&o, "hen").is_empty());
    let mut both = chain("one", "other");
    both.when = FaultStart::When(when(Trigger::Begins("other".into()), 0, 1, true));
    let mut other = chain("other", "one");
    other.when = FaultStart::When(when(Trigger::Begins("one".into()), 0, 1, true));
    let spark = mark("spark", FaultStart::At(vec![Span::from_millis(100)]));
    let mut lit = chain("lit", "spark");
    lit.when = FaultStart::When(when(Trigger::Begins("spark".into()), 0, 1, true));
    config.faults = vec![both, other, spark, lit];
    config.faults[0].when = FaultStart::When(when(
        Trigger::Told { host: None, kind: Some(Kind::Fault), subject: None, value: None },
        0,
        1,
        true,
    ));
    let o = run(&config);
    assert_eq!(begins(&o, "one"), [100], "each at most once in an instant");
    assert_eq!(begins(&o, "other"), [100]);
}

#[test]
fn a_thousand_faults_of_a_list_all_come() {
    let mut config = asking();
    config.duration = Span::from_secs(1_100);
    config.hosts[0].clients[0].load = Load::Open { gap: Dist::Constant(10.0) };
    config.faults = (0..1_000)
        .map(|n| fault(&format!("f{n}"), freeze_or_cut(n), n * 1_000 + 500, 200))
        .collect();
    let o = run(&config);
    assert_eq!(told(&o, Kind::Fault).len(), 2_000);
}

fn freeze_or_cut(n: u64) -> FaultKind {
    match n % 3 {
        0 => FaultKind::Freeze { hosts: names(&["server"]), ring: 256 },
        1 => crash(&["server"]),
        _ => down(&[CABLE]),
    }
}

#[test]
fn every_mistake_of_a_fault_is_told() {
    let mut config = asking();
    let wrong = |name: &str, what| fault(name, what, 0, 0);
    let impaired = |link: &str, end: Option<&str>, loss| FaultKind::Impairment {
        links: vec![(link.into(), end.map(Into::into))],
        traffic: Traffic::All,
        loss,
        delay: None,
    };
    let application =
        |host: &str, port, harm| FaultKind::Application { hosts: names(&[host]), port, harm };
    let part = |from: &str, to: &str| FaultKind::Partition {
        from: names(&[from]),
        to: names(&[to]),
        one_way: false,
        traffic: Traffic::All,
    };
    let begin = |start| mark("m", start);
    let told = |host: &str| Trigger::Told {
        host: Some(host.into()),
        kind: None,
        subject: None,
        value: None,
    };
    let switch = FaultKind::PowerLoss { hosts: Vec::new(), switches: names(&["sw9"]), boot: None };
    let after = |t, nth| FaultStart::When(when(t, 0, nth, false));
    let dead = ApplicationHarm::Kill;
    for (fault, expected) in [
        (wrong("f", crash(&["d9"])), "fault f: there is no host d9"),
        (wrong("f", switch), "fault f: there is no switch sw9"),
        (wrong("f", down(&["x--y"])), "fault f: there is no link x--y"),
        (wrong("f", impaired(CABLE, Some("d9"), 0.5)), "does not end at d9"),
        (wrong("f", impaired(CABLE, None, 1.5)), "the loss is 1.5, but must be from 0 to 1"),
        (wrong("f", application("client", None, dead)), "host client has no server"),
        (wrong("f", application("server", Some(81), dead)), "host server has no server on port 81"),
        (wrong("f", application("server", None, ApplicationHarm::Slow(0.0))), "above 0"),
        (wrong("f", application("server", None, ApplicationHarm::Status(99))), "from 100 to 599"),
        (wrong("f", FaultKind::BusyCpu { hosts: Vec::new(), factor: 0.5 }), "at least 1"),
        (wrong("f", part("client", "client")), "host client is on both sides"),
        (begin(after(Trigger::Begins("x".into()), 1)), "fault m: there is no fault x"),
        (begin(after(told("d9"), 1)), "fault m: there is no host d9"),
        (begin(after(told("client"), 0)), "0 times"),
        (begin(every(0, 0)), "the period is 0ns, but must be at least 1ms"),
        (begin(FaultStart::Renewal(Dist::Constant(0.0))), "on average within 1ms"),
        (begin(FaultStart::Renewal(Dist::Exponential { mean: -1.0 })), "exponential distribution"),
    ] {
        config.faults = vec![fault];
        let errors = World::build(&config).expect_err("a mistake");
        let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(text.iter().any(|t| t.contains(expected)), "{text:?} has no {expected:?}");
    }
    config.faults = vec![wrong("same", down(&[CABLE])), wrong("same", down(&[CABLE]))];
    assert_eq!(World::build(&config).expect_err("a mistake")[0].what, "there are two of this name");
    config.faults.clear();
    config.hosts[0].boot.time = Dist::Constant(-1.0);
    assert_eq!(World::build(&config).expect_err("a mistake")[0].place, "host client");
}
