//! Recorded packet paths: a director and a router send what the recorded ones sent, and whole networks
//! give the recorded results.

use crate::support::Scratch;
use scenarios::conform::paths::{Case, Outcome, black_box, end_to_end};
use serde_json::json;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/paths")
}

fn case(name: &str) -> Case {
    Case::read(&folder().join(name)).unwrap()
}

fn cases() -> Vec<Case> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("case.json").is_file())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names.len(), 78, "every recorded case is there");
    names.iter().map(|name| case(name)).collect()
}

/// Compares all cases.
fn compare(judge: impl Fn(&Case) -> Outcome) {
    let mut compared = 0;
    for case in cases() {
        match judge(&case) {
            Outcome::Agrees(things) => {
                assert!(things > 0, "{}: nothing was compared", case.name);
                compared += things;
            }
            outcome => panic!("{}: {outcome:?}", case.name),
        }
    }
    assert!(compared > 1_000, "{compared}");
}

#[test]
fn directors_and_routers_send_the_recorded_frames() {
    compare(black_box);
}

#[test]
fn networks_give_the_recorded_results_and_tables() {
    compare(end_to_end);
}

/// Changes a byte of the first frame that the director sent and that `of` is true of.
fn changed(case: &mut Case, at: usize, of: impl Fn(&[u8]) -> bool) {
    let end = ("director".to_owned(), "eth0".to_owned());
    let own = case.topology.macs[&end];
    let frames = case.captures.get_mut(&end).unwrap();
    let frame = frames.iter_mut().find(|f| f.bytes[6..12] == own.0 && of(&f.bytes)).unwrap();
    frame.bytes[at] ^= 0x40;
}

#[test]
fn a_single_bit_that_differs_is_told_with_its_field() {
    let ip = |b: &[u8]| b[12..14] == [8, 0];
    for (name, at, field) in [
        ("dr-basic", 22, "ip.ttl 126, ours 62"),
        ("dr-basic", 24, "ip.checksum"),
        ("nat-basic", 50, "tcp.checksum"),
        ("nat-basic", 36, "tcp.dport"),
        ("tun-basic", 54, "inner.tcp.sport"),
    ] {
        let mut case = case(name);
        changed(&mut case, at, ip);
        match black_box(&case) {
            Outcome::Differs(text) => {
                assert!(text.starts_with("director:eth0: frame "), "{name}: {text}");
                assert!(text.contains(&format!("): {field}")), "{name}: {text}");
            }
            other => panic!("{name}: {field}: {other:?}"),
        }
    }
}

#[test]
fn a_synchronisation_message_is_compared_to_its_last_byte() {
    // DF, the UDP checksum, the state in the second record, the last byte of all
    let message = |b: &[u8]| b[30..34] == [224, 0, 0, 81];
    for at in [20, 40, 42 + 8 + 36 + 9, 121] {
        let mut case = case("two-directors-backup-only");
        changed(&mut case, at, message);
        match black_box(&case) {
            Outcome::Differs(text) => assert!(text.contains("is missing: "), "{at}: {text}"),
            other => panic!("{at}: {other:?}"),
        }
    }
}

#[test]
fn what_a_host_is_free_to_choose_makes_no_difference() {
    // the identification of the outer header, with the checksum that it needs
    let mut case = case("tun-mtu-no-pmtu");
    assert!(matches!(black_box(&case), Outcome::Agrees(_)));
    let end = ("director".to_owned(), "eth0".to_owned());
    let frames = case.captures.get_mut(&end).unwrap();
    let outer = frames.iter_mut().find(|f| f.bytes[12..14] == [8, 0] && f.bytes[23] == 4).unwrap();
    let (id, sum) = (&outer.bytes[18..20], &outer.bytes[24..26]);
    let [id, sum] = [id, sum].map(|b| u16::from_be_bytes([b[0], b[1]]));
    assert!(id < 0xfff0 && sum > 0xf);
    outer.bytes[18..20].copy_from_slice(&(id + 7).to_be_bytes());
    outer.bytes[24..26].copy_from_slice(&(sum - 7).to_be_bytes());
    assert!(matches!(black_box(&case), Outcome::Agrees(_)));
}

#[test]
fn a_frame_too_many_or_too_few_is_told() {
    let end = ("director".to_owned(), "eth0".to_owned());
    let mut more = case("dr-basic");
    let frames = more.captures.get_mut(&end).unwrap();
    let last = frames.last().cloned().unwrap();
    frames.push(last);
    match black_box(&more) {
        Outcome::Differs(text) => assert!(text.contains("is missing: "), "{text}"),
        other => panic!("{other:?}"),
    }
    let mut fewer = case("dr-basic");
    fewer.captures.get_mut(&end).unwrap().pop();
    match black_box(&fewer) {
        Outcome::Differs(text) => assert!(text.contains("a frame too many at "), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn other_results_and_tables_are_told() {
    let differs = |case: &Case| match end_to_end(case) {
        Outcome::Differs(text) => text,
        other => panic!("{other:?}"),
    };
    let mut case = case("dr-basic");
    assert!(matches!(end_to_end(&case), Outcome::Agrees(_)));
    let good = case.clone();
    case.steps[0].result["server"] = json!("rs1");
    assert_eq!(differs(&case), "request 1: recorded rs1, ours rs2");
    for (list, line) in [
        (
            "ipvs_conns_after",
            json!("TCP 01:00  FIN_WAIT    1.2.3.4:5  192.168.10.200:80  1.2.3.4:80"),
        ),
        ("ipvs_table_after", json!("UDP  192.168.10.200:80 rr")),
    ] {
        let mut case = good.clone();
        case.json[list].as_array_mut().unwrap().push(line);
        assert!(differs(&case).starts_with("director: "), "{list}");
    }
    let mut case = good.clone();
    case.json["neigh_after"]["rs1"] = json!([]);
    assert!(differs(&case).starts_with("rs1: neighbours at the end: one too many: 192.168.10."));
}

#[test]
fn the_command_counts_both_ways() {
    let scratch = Scratch::new("paths-command");
    let here = folder();
    let path = |name: &str| here.join(name).display().to_string();
    let one = path("dr-basic");
    // the same case with another last byte of the last frame
    let name = "two-directors-backup-only";
    std::fs::create_dir_all(scratch.path().join(name)).unwrap();
    for entry in std::fs::read_dir(here.join(name)).unwrap() {
        let from = entry.unwrap().path();
        let mut bytes = std::fs::read(&from).unwrap();
        if from.ends_with("director.eth0.pcap") {
            *bytes.last_mut().unwrap() ^= 1;
        }
        let to = scratch.path().join(name).join(from.file_name().unwrap());
        std::fs::write(to, bytes).unwrap();
    }
    let two = format!("{name}/case.json");
    let (code, out, errors) = scratch.lvsim(&["conform", &one, &two]);
    assert_eq!((code, errors.as_str()), (1, ""), "{out}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].contains("two-directors-backup-only: black box: director:eth0: "), "{out}");
    let last = ["paths: black box 1 of 2, end to end 2 of 2", "conform: 1 of 2 agree, 0 skipped"];
    assert_eq!(lines[1..], last, "{out}");

    let (code, out, _) = scratch.lvsim(&["conform", &one, "--verbose"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("dr-basic: black box: agrees in 37 frames"), "{out}");
    assert!(out.contains("dr-basic: end to end: agrees in "), "{out}");
}
