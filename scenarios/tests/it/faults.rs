//! What breaks, as scenarios state it.

use crate::support::Scratch;
use scenarios::model::{Embedded, Settings, load};
use sim_core::config::{
    ApplicationHarm, Boot, Condition, FaultConfig, FaultEnd, FaultKind, FaultStart, Process,
    ProgramHarm, Traffic, Trigger, WorldConfig, v4,
};
use sim_core::engine::{Dist, Span};

/// Two directors, each with a leg on either of two switches' networks and a crossover link between them.
const PAIR: &str = r#"
duration = "2s"
drain = "5s"

[cluster]
vip = "192.168.10.200:80"
scheduler = "rr"
[cluster.director]
count = 2
[cluster.real_servers]
count = 2

[[host]]
name = "d1"
boot = "90s"
[[host.interfaces]]
name = "eth1"
addresses = ["10.9.9.1/24"]

[[host]]
name = "d2"
[[host.interfaces]]
name = "eth1"
addresses = ["10.9.9.2/24"]

[[link]]
name = "crossover"
between = ["d1:eth1", "d2:eth1"]

[server]
service = "1ms"

[client]
load = "poisson(100/s)"
timeout = "200ms"
"#;

fn config(text: &str) -> WorldConfig {
    let settings = Settings { set: Vec::new(), seed: None };
    let mut scenario = load("test.toml", text, &Embedded(&[]), &settings)
        .unwrap_or_else(|f| panic!("{:?}", f.problems));
    scenario.variants.remove(0).config
}

fn with(faults: &str) -> Vec<FaultConfig> {
    config(&format!("{PAIR}{faults}")).faults
}

fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|n| (*n).to_owned()).collect()
}

#[test]
fn a_cluster_may_have_several_directors() {
    let all = config(PAIR);
    let host = |name: &str| all.hosts.iter().find(|h| h.name == name).expect("a host");
    let addresses = |name: &str| -> Vec<_> {
        host(name).interfaces[0].addresses.iter().map(|a| a.addr).collect()
    };
    let vip = v4(192, 168, 10, 200);
    assert_eq!(addresses("d1"), [v4(192, 168, 10, 2), vip]);
    assert_eq!(addresses("d2"), [v4(192, 168, 10, 3)], "the VIP is on one of them");
    for name in ["d1", "d2"] {
        assert_eq!(host(name).ipvs.as_ref().expect("a director").services.len(), 1);
        assert!(host(name).sysctl.ip_forward);
    }
    assert_eq!(all.links.iter().filter(|l| l.name == "crossover").count(), 1);
    // own rules, names and addresses
    let text = r#"
[cluster]
[cluster.director]
name = "lb"
count = 2
address = "192.168.10.100"
[[director]]
host = "lb1"
rules = "-A -t 192.168.10.200:80 -s rr\n-a -t 192.168.10.200:80 -r 192.168.10.11:80"
[[director]]
host = "lb2"
rules = "-A -t 192.168.10.200:80 -s wlc\n-a -t 192.168.10.200:80 -r 192.168.10.11:80"
[server]
[client]
target = "192.168.10.200:80"
load = "poisson(10/s)"
"#;
    let all = config(text);
    let schedulers: Vec<&str> = all
        .hosts
        .iter()
        .filter_map(|h| Some(h.ipvs.as_ref()?.services[0].scheduler.name()))
        .collect();
    assert_eq!(schedulers, ["rr", "wlc"]);
    let lb2 = all.hosts.iter().find(|h| h.name == "lb2").expect("a host");
    // the next free one of the subnet, the router has the first
    assert_eq!(lb2.interfaces[0].addresses[0].addr, v4(192, 168, 10, 2));
}

#[test]
fn two_switches_with_a_trunk_and_a_bond_can_be_drawn() {
    let text = PAIR.replace(
        "[server]",
        r#"
[[switch]]
name = "second"
[[link]]
name = "trunk"
between = ["switch", "second"]
[[link]]
name = "standby leg"
between = ["d1:eth0", "second"]
standby = true

[[fault]]
what = "power loss"
switches = "switch"
at = "1s"
for = "100ms"
[server]"#,
    );
    let all = config(&text);
    assert_eq!(all.switches.len(), 2);
    assert!(all.links.iter().any(|l| l.standby && l.name == "standby leg"));
    assert_eq!(all.faults[0].name, "power loss 1");
}

#[test]
fn every_sort_of_fault_can_be_stated() {
    let at = "at = \"1s\"\nfor = \"2s\"\n";
    let d1 = || names(&["d1"]);
    let seconds = Dist::Constant;
    let program = |harm| FaultKind::Program {
        hosts: names(&["d1", "d2"]),
        process: Process::Keepalived,
        harm,
    };
    let server = |port, harm| FaultKind::Application { hosts: names(&["rs1"]), port, harm };
    let boot = Some(Boot { time: seconds(90.0), programs: false });
    let power = |switches: &[&str], boot| FaultKind::PowerLoss {
        hosts: d1(),
        switches: names(switches),
        boot,
    };
    let impaired = |end: Option<&str>, traffic, loss, delay| FaultKind::Impairment {
        links: vec![("crossover".to_owned(), end.map(str::to_owned))],
        traffic,
        loss,
        delay,
    };
    let udp = Traffic::Ip { protocol: 17, port: Some(694) };
    let vrrp = Traffic::Ip { protocol: 112, port: None };
    let exp = Dist::Exponential { mean: 0.01 };
    for (text, expected) in [
        ("\"power loss\"\nhosts = \"d1\"\nswitches = [\"switch\"]", power(&["switch"], None)),
        ("\"power loss\"\nhosts = \"d1\"\nprograms = false", power(&[], boot)),
        (
            "\"shutdown\"\nhosts = \"d1\"\ngrace = \"1s\"\nboot = \"5s\"",
            FaultKind::Shutdown {
                hosts: d1(),
                grace: Span::from_secs(1),
                boot: Some(Boot { time: seconds(5.0), programs: true }),
            },
        ),
        ("\"freeze\"\nhosts = \"d1\"", FaultKind::Freeze { hosts: d1(), ring: 256 }),
        ("\"program killed\"\nprogram = \"keepalived\"\nhosts = \"d\"", program(ProgramHarm::Kill)),
        (
            "\"program stopped\"\nprogram = \"keepalived\"\nhosts = \"d\"",
            program(ProgramHarm::Stop),
        ),
        (
            "\"program frozen\"\nprogram = \"keepalived\"\nhosts = \"d\"",
            program(ProgramHarm::Freeze),
        ),
        ("\"server killed\"\nhosts = \"rs1\"\nport = 80", server(Some(80), ApplicationHarm::Kill)),
        ("\"server hung\"\nhosts = \"rs1\"", server(None, ApplicationHarm::Hang)),
        ("\"server frozen\"\nhosts = \"rs1\"", server(None, ApplicationHarm::Freeze)),
        (
            "\"server slow\"\nhosts = \"rs1\"\nfactor = 2.5",
            server(None, ApplicationHarm::Slow(2.5)),
        ),
        (
            "\"server status\"\nhosts = \"rs1\"\nstatus = 503",
            server(None, ApplicationHarm::Status(503)),
        ),
        (
            "\"busy cpu\"\nhosts = \"d1\"\nfactor = 10",
            FaultKind::BusyCpu { hosts: d1(), factor: 10.0 },
        ),
        (
            "\"link down\"\nlinks = \"crossover\"",
            FaultKind::LinkDown { links: names(&["crossover"]) },
        ),
        (
            "\"link impaired\"\nlinks = \"crossover\"\ntowards = \"d2\"\nloss = \"20%\"\ntraffic = \"udp 694\"",
            impaired(Some("d2"), udp, 0.2, None),
        ),
        (
            "\"link impaired\"\nlinks = \"crossover\"\ndelay = \"exp(10ms)\"\ntraffic = \"vrrp\"",
            impaired(None, vrrp, 0.0, Some(exp)),
        ),
        (
            "\"link impaired\"\nlinks = \"crossover\"\nloss = 1\ntraffic = \"multicast\"",
            impaired(None, Traffic::Multicast, 1.0, None),
        ),
        (
            "\"partition\"\nfrom = \"d1\"\nto = [\"d2\", \"rs1\"]\none_way = true\ntraffic = \"arp\"",
            FaultKind::Partition {
                from: d1(),
                to: names(&["d2", "rs1"]),
                one_way: true,
                traffic: Traffic::Neighbours,
            },
        ),
    ] {
        let faults = with(&format!("[[fault]]\n{at}what = {text}\n"));
        assert_eq!(faults[0].what, expected, "{text}");
        assert_eq!(faults[0].when, FaultStart::At(vec![Span::from_secs(1)]));
        assert_eq!(faults[0].end, FaultEnd::After(seconds(2.0)));
    }
    let started = "[[fault]]\nat = \"1s\"\nwhat = \"program started\"\nprogram = \"heartbeat\"\nhosts = \"d1\"\n";
    let what = &with(started)[0].what;
    assert!(matches!(
        what,
        FaultKind::Program { process: Process::Heartbeat, harm: ProgramHarm::Start, .. }
    ));
}

#[test]
fn a_fault_comes_at_times_at_random_or_after_something() {
    let mark = |text: &str| with(&format!("[[fault]]\nwhat = \"mark\"\n{text}\n")).remove(0).when;
    let s = Span::from_secs;
    let when = |trigger| Condition::first(trigger);
    assert_eq!(mark("at = [\"1s\", \"3s\"]"), FaultStart::At(vec![s(1), s(3)]));
    assert_eq!(mark("every = \"60s\""), FaultStart::Every(s(60), s(60)));
    assert_eq!(mark("every = \"60s\"\nfirst = \"5s\""), FaultStart::Every(s(5), s(60)));
    let day = 86_400.0;
    assert_eq!(mark("mtbf = \"30d\""), FaultStart::Renewal(Dist::Exponential { mean: 30.0 * day }));
    assert_eq!(mark("mtbf = \"constant(1d)\""), FaultStart::Renewal(Dist::Constant(day)));
    assert_eq!(
        mark("mtbf = \"weibull(1d, 2)\""),
        FaultStart::Renewal(Dist::Weibull { scale: day, shape: 2.0 })
    );
    let told = |host: Option<&str>, subject: Option<&str>, value: &str| Trigger::Told {
        host: host.map(str::to_owned),
        kind: None,
        subject: subject.map(str::to_owned),
        value: Some(value.to_owned()),
    };
    let master = told(Some("d2"), None, "MASTER");
    assert_eq!(
        mark("when = \"d2 becomes MASTER\"\nplus = \"2s\"\nnth = 3\nagain = true"),
        FaultStart::When(Condition {
            trigger: master.clone(),
            plus: Dist::Constant(2.0),
            nth: 3,
            again: true
        })
    );
    assert_eq!(
        mark("when = \"VI_1 of * becomes FAULT\""),
        FaultStart::When(when(told(None, Some("VI_1"), "FAULT")))
    );
    assert_eq!(
        mark("when = \"100 frames of vrrp on crossover towards d2\""),
        FaultStart::When(Condition {
            nth: 100,
            ..when(Trigger::Frame(
                "crossover".into(),
                "d2".into(),
                Traffic::Ip { protocol: 112, port: None }
            ))
        })
    );
    let end = |text: &str| {
        let table = "[[fault]]\nwhat = \"link down\"\nname = \"cable\"\nlinks = \"crossover\"\n";
        with(&format!("{table}{text}\n")).remove(0).end
    };
    assert_eq!(end("at = \"1s\""), FaultEnd::Never);
    assert_eq!(end("at = \"1s\"\nuntil = \"5s\""), FaultEnd::At(s(5)));
    assert_eq!(end("at = \"1s\"\nuntil = \"d2 becomes MASTER\""), FaultEnd::When(when(master)));
    assert_eq!(
        end("mtbf = \"30d\"\nmttr = \"1h\""),
        FaultEnd::After(Dist::Exponential { mean: 3_600.0 })
    );
    assert_eq!(
        end("when = \"cable ends\"\nagain = true\nfor = \"uniform(1s, 2s)\""),
        FaultEnd::After(Dist::Uniform { low: 1.0, high: 2.0 })
    );
}

#[test]
fn a_scenario_with_faults_runs_and_shows_them() {
    let s = Scratch::new("faults");
    let faults = "[[fault]]\nname = \"rs1 dies\"\nwhat = \"server killed\"\nhosts = \"rs1\"\n\
                  at = \"500ms\"\nfor = \"500ms\"\n\
                  [[expect]]\nmetric = \"connections.failed.refused\"\nabove = 10\n";
    s.write("pair.toml", &format!("{PAIR}{faults}"));
    let (code, out, err) = s.lvsim(&["run", "pair.toml", "--out", "o"]);
    assert_eq!(code, 0, "{out}{err}");
    let timeline = s.read("o/csv/timeline.csv");
    assert!(timeline.contains("rs1 dies"), "{timeline}");
}

#[test]
fn every_mistake_of_a_fault_has_its_message() {
    let s = Scratch::new("fault-mistakes");
    let at = "at = \"1s\"";
    let down = "what = \"link down\"\nlinks = \"crossover\"";
    for (text, said) in [
        (format!("{at}\nwhat = \"power los\"\nhosts = \"d1\""), "did you mean `power loss`?"),
        (format!("{at}\nwhat = \"power loss\"\nhosts = \"d3\""), "there is no host `d3`"),
        (format!("{at}\nwhat = \"power loss\""), "lacks the key `hosts` or `switches`"),
        (
            format!("{at}\nwhat = \"partition\"\nfrom = [\"d1\", \"d2\"]\nto = \"d2\""),
            "the host `d2` is on both sides of the partition",
        ),
        (format!("{at}\nwhat = \"power loss\"\nswitches = \"swich\""), "did you mean `switch`?"),
        (format!("{at}\nwhat = \"link down\"\nlinks = \"crosover\""), "did you mean `crossover`?"),
        (format!("{at}\nwhat = \"link down\""), "\"link down\" lacks the key `links`"),
        (format!("{at}\n{down}\nring = 5"), "`ring` means nothing to \"link down\""),
        (format!("{at}\nwhat = \"freeze\"\nhosts = []"), "the list is empty"),
        (down.to_owned(), "the fault never begins"),
        (format!("{at}\n{down}\nmtbf = \"3d\""), "`at` and `mtbf` are two ways to say when"),
        (format!("{at}\n{down}\nfor = \"1s\"\nmttr = \"1s\""), "two ways to say for how long"),
        (format!("{at}\n{down}\nuntil = \"500ms\""), "the fault ends before it begins"),
        (format!("{at}\n{down}\nuntil = \"soon\""), "`soon` is no condition"),
        (format!("{at}\n{down}\nfor = \"-1s\""), "\"-1s\" is not right here"),
        (format!("at = \"-1s\"\n{down}"), "\"-1s\" is not right here"),
        (format!("mtbf = \"0s\"\n{down}"), "the time is too short"),
        (format!("mtbf = \"expo(1s)\"\n{down}"), "did you mean `exp`?"),
        (format!("every = \"0s\"\n{down}"), "the period is too short"),
        (format!("{at}\n{down}\nfirst = \"1s\""), "`first` goes with `every`"),
        (format!("{at}\n{down}\nnth = 2"), "`nth` goes with `when`"),
        (format!("when = \"other begins\"\n{down}"), "there is no fault `other`"),
        (format!("when = \"d3 becomes MASTER\"\n{down}"), "there is no host `d3`"),
        (format!("when = \"3 frames of ospf on crossover towards d1\"\n{down}"), "is no condition"),
        (
            format!("when = \"3 frames of vrrp on crossover towards rs1\"\n{down}"),
            "the link `crossover` does not end at `rs1`",
        ),
        (format!("{at}\nwhat = \"mark\"\nfor = \"1s\""), "\"mark\" is over at once"),
        (
            format!("{at}\nwhat = \"server slow\"\nhosts = \"rs1\"\nfactor = 0"),
            "expected a number above 0",
        ),
        (
            format!("{at}\nwhat = \"busy cpu\"\nhosts = \"d1\"\nfactor = 0.5"),
            "expected a number from 1 on",
        ),
        (
            format!("{at}\nwhat = \"server status\"\nhosts = \"rs1\"\nstatus = 42"),
            "from 100 to 599",
        ),
        (
            format!("{at}\nwhat = \"link impaired\"\nlinks = \"crossover\""),
            "lacks the key `loss` or `delay`",
        ),
        (
            format!(
                "{at}\nwhat = \"link impaired\"\nlinks = \"crossover\"\nloss = 1\ntraffic = \"udp x\""
            ),
            "`udp x` is no traffic",
        ),
        (
            format!("{at}\nname = \"a\"\n{down}\n[[fault]]\n{at}\nname = \"a\"\n{down}"),
            "two faults are called `a`",
        ),
        (format!("{at}\nwhat = \"server hung\"\nhosts = \"d1\""), "host d1 has no server"),
    ] {
        s.write("bad.toml", &format!("{PAIR}[[fault]]\n{text}\n"));
        let (code, out, err) = s.lvsim(&["run", "bad.toml", "--out", "o"]);
        assert_eq!(code, 2, "{text}: {out}{err}");
        assert!(err.contains(said), "{text} does not say {said:?}: {err}");
    }
}
