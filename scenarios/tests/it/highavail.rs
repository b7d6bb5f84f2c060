//! Recorded clusters agree, altered ones do not; configurations become scenarios that run.

use crate::support::Scratch;
use std::fs;
use std::path::{Path, PathBuf};

fn golden(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/keepalived").join(case)
}

fn of_heartbeat(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/heartbeat").join(case)
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

#[test]
fn recorded_nodes_of_heartbeat_do_as_they_did() {
    let scratch = Scratch::new("hb-conform");
    let (code, out, err) = scratch.lvsim(&["conform", &of_heartbeat("").display().to_string()]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.ends_with("\nconform: 14 of 14 agree, 0 skipped\n"), "{out}");
    let line = out.lines().find(|l| l.contains("last status heard to \"stonith lvs1 n_stnth\""));
    assert!(line.is_some_and(|l| l.ends_with(" ms")), "{out}");
}

/// Plays a case with one text of a file replaced: what differs.
fn altered(case: &str, file: &str, from: &str, to: &str) -> Vec<String> {
    altered_copy(&golden(case), file, from, to)
}

/// The same with any folder.
fn altered_copy(folder: &Path, file: &str, from: &str, to: &str) -> Vec<String> {
    let case = folder.file_name().unwrap().to_str().unwrap();
    let scratch = Scratch::new(&format!("ha-altered-{case}-{}", from.len() * 31 + to.len()));
    for entry in fs::read_dir(folder).unwrap() {
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

#[test]
fn heartbeat_with_another_dead_time_is_a_difference() {
    let folder = of_heartbeat("c-clean-stop");
    let told = altered_copy(&folder, "summary.json", "deadtime 5", "deadtime 8");
    assert!(
        told.iter().any(|t| t.starts_with("lvs1: dead time: recorded dead time 7000 ms")),
        "{told:?}"
    );
}

#[test]
fn a_holder_that_was_not_recorded_is_a_difference() {
    let folder = of_heartbeat("c-clean-stop");
    let text = fs::read_to_string(folder.join("timeline.jsonl")).unwrap();
    let line = text.lines().rfind(|l| l.contains("lvs2.has_vip")).unwrap();
    let told = altered_copy(&folder, "timeline.jsonl", line, &line.replace("true", "false"));
    assert!(told.iter().any(|t| t.contains("VIP")), "{told:?}");
}

#[test]
fn another_failback_is_a_difference() {
    let folder = of_heartbeat("d-return-failback-on");
    let told = altered_copy(&folder, "summary.json", r"\nauto_failback on", r"\nauto_failback off");
    assert!(told.iter().any(|t| t.starts_with("lvs1: VIP")), "{told:?}");
}

#[test]
fn a_resource_that_is_preferred_elsewhere_is_a_difference() {
    let folder = of_heartbeat("a-startup-both");
    let told = altered_copy(&folder, "summary.json", "\"lvs1 IPaddr::", "\"lvs2 IPaddr::");
    assert!(told.iter().any(|t| t.starts_with("lvs2: VIP")), "{told:?}");
}

#[test]
fn announcements_half_as_often_are_a_difference() {
    let folder = of_heartbeat("c-clean-stop");
    let told = altered_copy(&folder, "summary.json", "IPaddr::192", "IPaddr2::192");
    assert!(told.iter().any(|t| t.contains("announcements")), "{told:?}");
}

#[test]
fn a_pool_of_ldirectord_that_was_another_is_a_difference() {
    let folder = of_heartbeat("j-ld-rs-dies-quiescent");
    let told = altered_copy(&folder, "summary.json", r"\nquiescent=yes", r"\nquiescent=no");
    assert!(told.iter().any(|t| t.contains("pool")), "{told:?}");
}
