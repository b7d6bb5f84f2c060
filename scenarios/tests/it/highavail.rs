//! Recorded clusters agree, altered ones do not; configurations become scenarios that run.

use crate::support::Scratch;
use std::fs;
use std::path::{Path, PathBuf};

fn golden(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/keepalived").join(case)
}

#[test]
fn recorded_clusters_do_as_they_did() {
    let scratch = Scratch::new("ha-conform");
    let (code, out, err) = scratch.lvsim(&["conform", &golden("").display().to_string()]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.ends_with("\nconform: 13 of 13 agree, 0 skipped\n"), "{out}");
    // both sides of an interval stand in one line
    let line = out.lines().find(|l| l.contains("last advert of d1, priority 100,"));
    assert!(line.is_some_and(|l| l.ends_with(" ms")), "{out}");
}

/// Plays a case with one text of a file replaced: what differs.
fn altered(case: &str, file: &str, from: &str, to: &str) -> Vec<String> {
    let scratch = Scratch::new(&format!("ha-altered-{case}-{}", from.len() * 31 + to.len()));
    for entry in fs::read_dir(golden(case)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let mut text = fs::read_to_string(entry.path()).unwrap();
        if name == file {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        scratch.write(&format!("case/{name}"), &text);
    }
    let (code, out, err) = scratch.lvsim(&["conform", "case"]);
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    assert!(out.ends_with("\nconform: 0 of 1 agree, 0 skipped\n"), "{out}");
    let told = out.lines().filter_map(|l| l.strip_prefix("case: "));
    told.skip(1).map(str::to_owned).collect()
}

/// The last line of a timeline in which some words stand, with its time moved by so much.
fn moved(case: &str, words: &str, by: f64) -> (String, String) {
    let text = fs::read_to_string(golden(case).join("timeline.jsonl")).unwrap();
    let line = text.lines().rfind(|l| l.contains(words)).unwrap();
    let time = line.trim_start_matches("{\"t\":").split(',').next().unwrap();
    let later = time.parse::<f64>().unwrap() + by;
    (line.to_owned(), line.replacen(time, &format!("{later:.4}"), 1))
}

#[test]
fn a_late_takeover_is_a_difference() {
    // the first advert of the new master, a fifth of a second later
    let text = fs::read_to_string(golden("c-clean-stop").join("timeline.jsonl")).unwrap();
    let first = text.lines().find(|l| l.contains("\"prio\":47")).unwrap();
    let told =
        altered("c-clean-stop", "timeline.jsonl", first, &first.replacen("10.1154", "10.3154", 1));
    assert!(told[0].starts_with("d2: last advert of d1, priority 0, to its first advert: recorded 1.029 s, simulated 0.816 s"), "{told:?}");
}

#[test]
fn another_priority_destination_or_number_of_frames_is_a_difference() {
    let told = altered("c-clean-stop", "timeline.jsonl", "\"prio\":0", "\"prio\":1");
    assert!(told[0].contains("d1: after 1 that agree, recorded adverts of priority 1"), "{told:?}");
    let told = altered("c-clean-stop", "timeline.jsonl", "224.0.0.18", "224.0.0.19");
    assert!(told[0].contains("recorded adverts of priority 100 to 224.0.0.19"), "{told:?}");
    let (line, _) = moved("c-clean-stop", "\"gratuitous\":true", 0.0);
    let told = altered("c-clean-stop", "timeline.jsonl", &format!("{line}\n"), "");
    assert!(
        told[0].contains("recorded a burst of 4 gratuitous ARP, simulated a burst of 5"),
        "{told:?}"
    );
}

#[test]
fn another_configuration_gives_another_course() {
    // without nopreempt d1 takes over again when it comes back
    let told = altered("e-return-nopreempt", "summary.json", " nopreempt\\n", " \\n");
    assert!(told.iter().any(|l| l.starts_with("d1: ")), "{told:?}");
    let told = altered("f-split-brain", "summary.json", "priority 47", "priority 30");
    assert!(!told.is_empty());
}

#[test]
fn another_pool_or_outage_is_a_difference() {
    let told = altered(
        "g-rs-inhibit",
        "timeline.jsonl",
        "[\"192.168.10.11:80\",0]",
        "[\"192.168.10.11:80\",2]",
    );
    assert!(
        told[0].contains(
            "192.168.10.11:80: after 1 that agree, recorded weight 2, simulated weight 0"
        ),
        "{told:?}"
    );
    let (from, to) = moved("g-all-rs-die-sorry", "\"probe\":\"ok\"", 0.6);
    let told = altered("g-all-rs-die-sorry", "timeline.jsonl", &from, &to);
    assert!(told[0].starts_with("client: outage 2 ends"), "{told:?}");
}

#[test]
fn an_open_connection_survives_only_with_synchronisation() {
    let error = "error: [Errno 104] Connection reset by peer";
    let told = altered("h-failover-no-sync", "summary.json", error, "rs1");
    assert_eq!(told, ["the long connection: recorded served, simulated reset"]);
}

#[test]
fn a_broken_case_is_wrong_input_with_its_line() {
    let scratch = Scratch::new("ha-broken");
    let summary = fs::read_to_string(golden("c-clean-stop").join("summary.json")).unwrap();
    scratch.write("case/summary.json", &summary);
    scratch
        .write("case/timeline.jsonl", "{\"t\":0.1,\"event\":\"x\"}\n{\"t\":0.2,\"sw\":\"odd\"}\n");
    let (code, out, err) = scratch.lvsim(&["conform", "case"]);
    assert_eq!((code, out.as_str()), (2, "conform: 0 of 1 agree, 0 skipped\n"), "{err}");
    assert!(err.contains("timeline.jsonl:2: not understood"), "{err}");
}
