//! Recordings of a real kernel agree, and an altered one does not.

use crate::support::Scratch;
use std::path::PathBuf;

fn golden(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sched");
    folder.join(name).display().to_string()
}

fn text(name: &str) -> String {
    std::fs::read_to_string(golden(name)).expect("a recording")
}

#[test]
fn every_recording_agrees() {
    let scratch = Scratch::new("conform-all");
    let (code, out, err) = scratch.lvsim(&["conform", &golden("")]);
    assert_eq!((code, out.as_str()), (0, "conform: 17 of 17 agree, 0 skipped\n"), "{err}");
    assert_eq!(err, "");
}

#[test]
fn the_recordings_of_the_schedulers_agree_too() {
    let scratch = Scratch::new("conform-schedulers");
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../schedulers/tests/golden");
    let (code, out, err) = scratch.lvsim(&["conform", &folder.display().to_string()]);
    assert_eq!((code, out.lines().count()), (0, 1), "{out}{err}");
    assert!(out.ends_with(" agree, 0 skipped\n"), "{out}");
}

/// Replays a recording with one text replaced: what is said of it.
fn altered(name: &str, line: usize, from: &str, to: &str) -> String {
    let scratch = Scratch::new(&format!("conform-{name}-{line}"));
    let whole = text(name);
    let mut lines: Vec<String> = whole.lines().map(str::to_owned).collect();
    assert!(lines[line - 1].contains(from), "{}", lines[line - 1]);
    lines[line - 1] = lines[line - 1].replacen(from, to, 1);
    scratch.write("recordings/b.jsonl", &lines.join("\n"));
    scratch.write("recordings/a.jsonl", &whole);
    let (code, out, err) = scratch.lvsim(&["conform", "recordings"]);
    assert_eq!(code, 1, "{out}{err}");
    let tally = "\nconform: 1 of 2 agree, 0 skipped\n";
    let said = out.strip_suffix(tally).unwrap_or_else(|| panic!("{out}"));
    let place = format!("recordings/b.jsonl:{line}: ");
    said.strip_prefix(&place).unwrap_or_else(|| panic!("{out}")).to_owned()
}

#[test]
fn another_destination_is_a_difference() {
    assert_eq!(
        altered("p-nat-ports.jsonl", 7, "192.168.10.12:80", "192.168.10.11:8080"),
        "SYN 10.0.0.26:40001 > 10.1.1.100:80: the kernel sent it to 192.168.10.11:8080 at port 80, \
         lvsim sent it to 192.168.10.12:80 at port 80"
    );
}

#[test]
fn another_answer_state_counter_source_or_entry_is_a_difference() {
    let said = altered("x-ftp-plain.jsonl", 7, "\"rst\"", "\"icmp:3/3\"");
    let expected = "the kernel answered ICMP port unreachable, lvsim answered RST";
    assert!(said.ends_with(expected), "{said}");

    let said = altered("x-ftp-plain.jsonl", 11, "SYN_RECV", "ESTABLISHED");
    assert!(
        said.ends_with(
            "the kernel has a connection in ESTABLISHED, lvsim a connection in SYN_RECV"
        ),
        "{said}"
    );

    let said = altered("x-ftp-plain.jsonl", 12, ":21\",1,1,0]", ":21\",1,0,1]");
    assert!(said.starts_with("destination 1 of the list: the kernel has 192.168.10.13:21 weight 1 active 0 inactive 1, lvsim 192.168.10.13:21 weight 1 active 1"), "{said}");

    let said = altered("p-nat-ports.jsonl", 9, "10.1.1.100:80\"", "10.1.1.100:81\"");
    assert!(said.ends_with("from 10.1.1.100:81, from lvsim from 10.1.1.100:80"), "{said}");

    let last = text("x-ftp-plain.jsonl").lines().count();
    let said = altered("x-ftp-plain.jsonl", last, "ESTABLISHED", "FIN_WAIT");
    assert!(said.starts_with("the kernel has the connection TCP 10.0.0.10:40003"), "{said}");
    let said = altered("x-ftp-plain.jsonl", last, "\"n\":14", "\"n\":15");
    assert_eq!(said, "the kernel has 15 connections, lvsim 14");
}

#[test]
fn another_timer_counter_or_end_of_a_sequence_is_a_difference() {
    let said = altered("t-timers.jsonl", 1, "\"exp_s\":59", "\"exp_s\":61");
    assert!(said.contains("SYN_RECV 61 s, lvsim TCP") && said.ends_with("SYN_RECV 59 s"), "{said}");
    let said = altered("t-timers.jsonl", 2, "\"active\":1,\"inact\":0", "\"active\":0,\"inact\":1");
    assert!(said.starts_with("destination 1 of the list"), "{said}");
    let said = altered("t-timers.jsonl", 1, "\"gone_after_s\":61.9", "\"gone_after_s\":50");
    assert_eq!(said, "the kernel has 0 connections, lvsim 1");
}

#[test]
fn a_change_that_the_kernel_refused_must_be_refused() {
    let said = altered("x-wrr-zero-first.jsonl", 3, "\"t_ms\"", "\"rc\":2,\"t_ms\"");
    assert_eq!(said, "the kernel refused the change, lvsim made it");
    let again = text("x-wrr-zero-first.jsonl").lines().nth(2).unwrap().to_owned();
    let said = altered("x-wrr-zero-first.jsonl", 4, "{", &format!("{again}\n{{"));
    assert!(said.contains("the kernel made the change, lvsim refused it: "), "{said}");
}

#[test]
fn what_cannot_be_read_is_shown_with_every_problem() {
    let scratch = Scratch::new("conform-wrong");
    let whole = text("x-wrr-zero-first.jsonl");
    let broken = whole
        .replacen("\"op\":\"syn\"", "\"op\":\"sin\"", 1)
        .replacen("\"weight\":0", "\"weight\":-3", 1)
        .replacen("\"op\":\"add_service\"", "\"op\":\"add_service\",,", 1);
    scratch.write("broken.jsonl", &broken);
    scratch.write("good.jsonl", &whole);
    let (code, out, err) = scratch.lvsim(&["conform", "broken.jsonl", "good.jsonl"]);
    assert_eq!((code, out.as_str()), (2, "conform: 1 of 2 agree, 0 skipped\n"), "{err}");
    assert!(
        err.contains("unknown operation `sin`") && err.contains("did you mean `syn`?"),
        "{err}"
    );
    assert!(err.contains("`weight` is -3") && err.contains("^^ must be a whole number"), "{err}");
    assert!(err.contains("broken.jsonl:2:21") && err.contains("3 problems found"), "{err}");
}

#[test]
fn files_of_other_kinds_are_named_unless_they_claim_nothing() {
    let scratch = Scratch::new("conform-kinds");
    scratch.write("in/README.md", "# What this is\n");
    scratch.write("in/deep/summary.json", "{\n}\n");
    let (code, out, err) = scratch.lvsim(&["conform", "in"]);
    assert_eq!((code, out.as_str(), err.as_str()), (1, "conform: 0 of 0 agree, 0 skipped\n", ""));
    scratch.write("in/deep/other.jsonl", "{\"op\":\"header\",\"program\":\"x\"}\n");
    let (code, out, _) = scratch.lvsim(&["conform", "in"]);
    assert_eq!(code, 1);
    assert_eq!(
        out,
        "in/deep/other.jsonl: skipped: recordings of this kind are not replayed\n\
         conform: 0 of 1 agree, 1 skipped\n"
    );
    for name in ["in/README.md", "in/deep/other.jsonl", "nowhere"] {
        let (code, _, err) = scratch.lvsim(&["conform", name]);
        assert_eq!(code, 2, "{name}");
        assert!(err.contains(name), "{err}");
    }
    let (code, _, err) = scratch.lvsim(&["conform"]);
    assert_eq!(code, 2, "{err}");
    scratch.write("in/deep/other.jsonl", "{\"op\":\"header\",,}\n");
    let (code, out, err) = scratch.lvsim(&["conform", "in"]);
    assert_eq!((code, out.as_str()), (2, "conform: 0 of 1 agree, 0 skipped\n"));
    assert!(err.contains("in/deep/other.jsonl:1:16") && err.contains("1 problem found"), "{err}");
}
