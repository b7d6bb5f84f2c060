//! Outages in tables, summaries and expectations.

use crate::support::Scratch;
use serde_json::{Value, json};

/// A probe a second for half a minute; the cable of the director is down from 10.5 s to 14.2 s.
const PROBED: &str = r#"
duration = "30s"
[cluster]
[cluster.director]
rules = "-A -u 192.168.10.200:53 -s rr\n-a -u 192.168.10.200:53 -r 192.168.10.11 -g\n"
[server]
transport = "udp"
port = 53
[client]
name = "probe"
transport = "udp"
target = "192.168.10.200:53"
load = "constant(1/s)"
timeout = "900ms"
[[link_event]]
at = "10500ms"
link = "LINK"
up = false
[[link_event]]
at = "14200ms"
link = "LINK"
up = true
"#;

/// The scenario with the name that the cable of the director has.
fn probed() -> String {
    PROBED
        .replace("LINK", "director:eth0--switch")
        .replace("[cluster.director]\nrules", "[director]\nrules")
}

fn run(name: &str, text: &str) -> (Scratch, i32, String, String) {
    let s = Scratch::new(name);
    s.write("o.toml", text);
    let (code, out, err) = s.lvsim(&["run", "o.toml", "--out", "o"]);
    (s, code, out, err)
}

fn expect(metric: &str, condition: &str) -> String {
    format!("[[expect]]\nmetric = \"{metric}\"\n{condition}\n")
}

#[test]
fn an_outage_is_in_the_summary_and_the_tables() {
    let (s, code, out, err) = run("outage", &probed());
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let summary: Value = serde_json::from_str(&s.read("o/summary.json")).unwrap();
    let all = &summary["variants"]["o"];
    let picked = json!({
        "availability": all["availability"]["clients"]["probe"],
        "outage": all["outage"],
        "vip": all["vip"],
        "failover": all["failover"],
    });
    insta::assert_snapshot!(serde_json::to_string_pretty(&picked).unwrap());
    insta::assert_snapshot!(s.read("o/csv/outages.csv"));
    insta::assert_snapshot!(s.read("o/csv/timeline.csv"));
    let availability = s.read("o/csv/availability.csv");
    assert!(availability.contains("o,service,192.168.10.200:53/udp,"), "{availability}");
    assert!(s.read("o/report.html").contains("director:eth0--switch link down"));
}

#[test]
fn expectations_speak_of_availability_in_percent_and_seconds() {
    let mut text = probed();
    for (metric, condition) in [
        ("availability", "at_least = \"86%\"\nat_most = 0.87"),
        ("availability.clients.probe", "below = 0.9"),
        ("availability.services.192.168.10.200:53/udp.nines", "below = 1"),
        ("outage.count", "is = 1"),
        ("outage.longest", "at_most = \"4s\"\nabove = \"3s\""),
        ("outage.total", "is = \"4000ms\""),
        ("vip.holders", "always = true\nat_most = 1"),
        ("vip.holders.max", "is = 1"),
        ("vip.time_with_none", "is = \"0s\""),
        ("failover.count", "is = 0"),
    ] {
        text.push_str(&expect(metric, condition));
    }
    let (_s, code, out, err) = run("outage-expected", &text);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let line = "outage.longest: expected above 3s and at most 4s, measured 4s";
    assert!(out.contains(line), "{out}");
}

#[test]
fn an_expectation_that_fails_says_what_was_measured() {
    let text = probed() + &expect("outage.longest", "below = \"2s\"");
    let (_s, code, out, _) = run("outage-failed", &text);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("outage.longest: expected below 2s, measured 4s"), "{out}");
    let text = probed() + &expect("vip.holders", "at_most = 1");
    let (_s, code, out, _) = run("holders-failed", &text);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("`vip.holders` is not one value; below it are max"), "{out}");
}

#[test]
fn a_wrong_path_is_told_before_the_run() {
    let wrong = [
        ("availability.nine", "did you mean `nines`?"),
        ("outage.longst", "did you mean `longest`?"),
        ("vip.holder", "did you mean `holders`?"),
        ("failover.takover.mean", "did you mean `takeover`?"),
    ];
    for (metric, hint) in wrong {
        let (s, code, _, err) = run("outage-wrong", &(probed() + &expect(metric, "is = 1")));
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(hint), "{metric}: {err}");
        assert!(!s.path().join("o").exists());
    }
}

#[test]
fn what_counts_as_an_outage_is_a_setting() {
    let (_s, code, out, err) = run(
        "outage-rule",
        &(probed()
            + "[outage]\ngap = \"5s\"\nrequests = 5\n"
            + &expect("outage.count", "is = 0")
            + &expect("availability.isolated", "is = 4")),
    );
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
}
