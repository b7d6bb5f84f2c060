use crate::support::Scratch;
use std::io::Read as _;
use std::process::Stdio;

const SMALL: &str = r#"
question = "Does it run?"
duration = "300ms"
drain = "1s"

[cluster]
vip = "192.168.10.200:80"

[server]
service = "1ms"

[client]
load = "poisson(100/s)"

[[run]]
name = "NAT"
forwarding = "NAT"

[[run]]
name = "DR"
forwarding = "DR"

[[expect]]
metric = "connections.failed.total"
is = 0
"#;

const FILES: [&str; 10] = [
    "csv/clients.csv",
    "csv/drops.csv",
    "csv/latency.csv",
    "csv/links.csv",
    "csv/servers.csv",
    "csv/timeseries.csv",
    "manifest.json",
    "report.html",
    "summary.json",
    "timing.json",
];

#[test]
fn a_run_leaves_a_folder_and_shows_a_table() {
    let s = Scratch::new("run");
    s.write("small.toml", SMALL);
    let (code, out, err) = s.lvsim(&["run", "small.toml"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("Does it run?") && out.contains("NAT"), "{out}");
    assert!(out.contains("Results: results/small"), "{out}");
    assert_eq!(err, "", "nothing is said where nobody watches");
    let files = s.files("results/small");
    for file in FILES {
        assert!(files.iter().any(|f| f.0 == file), "{file}");
    }
    let summary: serde_json::Value =
        serde_json::from_str(&s.read("results/small/summary.json")).unwrap();
    assert!(summary["variants"]["DR"]["latency"]["complete"]["p99"].is_number());
    assert_eq!(summary["expectations"][0]["pass"], true);
    assert!(s.read("results/small/csv/links.csv").starts_with("variant,"));
    // nothing is left beside it
    assert_eq!(std::fs::read_dir(s.path().join("results")).unwrap().count(), 1);
}

#[test]
fn the_same_input_gives_the_same_bytes_on_any_number_of_threads() {
    let s = Scratch::new("same");
    s.write("small.toml", SMALL);
    let all = ["--capture", "all", "--connections"];
    for (out, threads) in [("a", "1"), ("b", "2")] {
        let arguments = ["run", "small.toml", "--out", out, "--threads", threads, "--quiet"];
        let (code, text, err) = s.lvsim(&[&arguments[..], &all[..]].concat());
        assert_eq!((code, text.as_str(), err.as_str()), (0, "", ""));
    }
    let (a, b) = (s.files("a"), s.files("b"));
    let names = |f: &[(String, Vec<u8>)]| f.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&a), names(&b));
    assert!(a.iter().any(|f| f.0 == "csv/connections.csv"));
    for (a, b) in a.iter().zip(&b).filter(|(a, _)| a.0 != "timing.json") {
        assert_eq!(a, b, "{}", a.0);
    }
    // captures change no digest
    s.lvsim(&["run", "small.toml", "--out", "c", "--connections", "--quiet"]);
    assert_eq!(s.read("a/manifest.json"), s.read("c/manifest.json"));
}

#[test]
fn the_manifest_has_the_command_without_what_changes_nothing() {
    let s = Scratch::new("manifest");
    s.write("small.toml", SMALL);
    let set = "client.load=poisson(50/s)";
    let (code, ..) = s.lvsim(&[
        "run",
        "small.toml",
        "--out",
        "o",
        "--seed",
        "7",
        "--set",
        set,
        "--quiet",
        "--threads",
        "1",
    ]);
    assert_eq!(code, 0);
    let manifest: serde_json::Value = serde_json::from_str(&s.read("o/manifest.json")).unwrap();
    let command = "lvsim run small.toml --seed 7 --set 'client.load=poisson(50/s)'";
    assert_eq!(manifest["command"], command);
    assert_eq!(manifest["seed"], 7);
    assert_eq!(manifest["inputs"][0]["file"], "small.toml");
    assert_eq!(manifest["inputs"][0]["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn a_failed_expectation_is_exit_code_1() {
    let s = Scratch::new("expect");
    s.write("small.toml", &SMALL.replace("is = 0", "above = 5"));
    let (code, out, _) = s.lvsim(&["run", "small.toml"]);
    assert_eq!(code, 1);
    assert!(
        out.contains("FAIL  NAT: connections.failed.total: expected above 5, measured 0"),
        "{out}"
    );
    assert!(s.path().join("results/small/manifest.json").is_file());
}

#[test]
fn determinism_can_be_checked() {
    let s = Scratch::new("determinism");
    s.write("small.toml", SMALL);
    let (code, out, err) = s.lvsim(&["run", "small.toml", "--check-determinism", "--quiet"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", ""));
    let (code, out, _) = s.lvsim(&["run", "small.toml", "--check-determinism"]);
    assert!(code == 0 && out.starts_with("Every variant was played twice: no difference"), "{out}");
}

#[test]
fn a_folder_that_holds_something_else_is_not_touched() {
    let s = Scratch::new("other");
    s.write("small.toml", SMALL);
    s.write("mine/letter.txt", "dear");
    let (code, _, err) = s.lvsim(&["run", "small.toml", "--out", "mine"]);
    assert_eq!(code, 2);
    assert!(err.contains("holds no results"), "{err}");
    assert_eq!(s.read("mine/letter.txt"), "dear");
    for _ in 0..2 {
        assert_eq!(s.lvsim(&["run", "small.toml", "--out", "new/deep", "-q"]).0, 0);
    }
}

#[test]
fn wrong_words_on_the_command_line_are_exit_code_2() {
    let s = Scratch::new("words");
    s.write("small.toml", SMALL);
    for (arguments, said) in [
        (&["run"][..], "Usage"),
        (&["fly"][..], "unrecognized subcommand"),
        (&["run", "nat-dr-tan"][..], "did you mean `nat-dr-tun`"),
        (&["run", "none.toml"][..], "no scenario and no file"),
        (&["run", "."][..], "is a folder"),
        (&["run", "small.toml", "--capture", "directer"][..], "did you mean `director`"),
        (&["run", "small.toml", "--capture", "director:eth7"][..], "no interface `eth7`"),
        (&["run", "small.toml", "--set", "duration"][..], "without a value"),
        (&["run", "small.toml", "--set", "durration=1s"][..], "did you mean `duration`"),
        (&["run", "small.toml", "--set", "duration=5"][..], "the unit is missing"),
        (&["run", "small.toml", "--set", "host.x.count=5"][..], "lacks the key `name`"),
        (&["test", "nowhere"][..], "no scenario and no file"),
        (&["check", "nowhere"][..], "cannot read `nowhere`"),
        (&["show", "small.toml"][..], "is a file already"),
    ] {
        let (code, out, err) = s.lvsim(arguments);
        assert_eq!(code, 2, "{arguments:?} {out} {err}");
        assert!(err.contains(said), "{arguments:?}: {err}");
        assert!(!s.path().join("results").exists(), "{arguments:?}");
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    let s = Scratch::new("help");
    for command in ["run", "list", "show", "schema", "check", "test"] {
        let (code, out, _) = s.lvsim(&[command, "--help"]);
        assert_eq!(code, 0);
        assert!(out.contains("Example"), "{command}: {out}");
    }
    assert_eq!(s.lvsim(&["--version"]).0, 0);
}

#[test]
fn the_catalogue_is_listed_shown_and_copied() {
    let s = Scratch::new("catalogue");
    let (code, out, _) = s.lvsim(&["list"]);
    assert!(code == 0 && out.lines().count() >= 13 && out.contains("nat-dr-tun"), "{out}");
    let (_, out, _) = s.lvsim(&["list", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(list[0]["name"], "nat-dr-tun");
    let (_, out, _) = s.lvsim(&["show", "nat-dr-tun"]);
    assert!(out.contains("[cluster]") && out.contains("-A -t 192.168.10.200:80"), "{out}");
    let (code, out, _) = s.lvsim(&["show", "nat-dr-tun", "--out", "mine"]);
    assert_eq!(code, 0);
    assert_eq!(out.lines().count(), 3, "{out}");
    assert_eq!(s.lvsim(&["check", "mine/nat-dr-tun.toml", "mine/nat-dr-tun.ipvsadm"]).0, 0);
    let (code, _, err) = s.lvsim(&["show", "nat-dr-tun", "--out", "mine"]);
    assert!(code == 2 && err.contains("is not replaced"), "{err}");
    let (code, out, _) = s.lvsim(&["show", "w1", "--dot", "--variant", "NAT"]);
    assert!(code == 0 && out.starts_with("graph") && out.contains("client64"), "{out}");
    assert_eq!(s.lvsim(&["show", "w1", "--dot", "--variant", "X"]).0, 2);
}

#[test]
fn the_schema_is_json_and_the_reference_is_text() {
    let s = Scratch::new("schema");
    let (code, out, _) = s.lvsim(&["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &schema["type"]), (0, &"object".into()));
    let (_, out, _) = s.lvsim(&["schema", "--reference"]);
    assert!(out.contains("| `latency` |"), "{out}");
}

#[test]
fn check_tells_findings_from_wrong_input() {
    let s = Scratch::new("check");
    s.write("small.toml", SMALL);
    s.write("good.rules", "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.2 -m\n");
    s.write("empty.rules", "-A -t 10.0.0.1:80 -s rr\n");
    s.write("bad.rules", "-A -t 10.0.0.1:80 -s rrr\n");
    s.write("letter.txt", "dear");
    assert_eq!(s.lvsim(&["check", "small.toml", "good.rules"]).0, 0);
    let (code, out, _) = s.lvsim(&["check", "empty.rules"]);
    assert!(code == 1 && out.contains("has no real server"), "{out}");
    let (code, out, _) = s.lvsim(&["check", "path-dr-no-arp-suppression"]);
    assert!(code == 1 && out.contains("vip-answered"), "{out}");
    let (code, _, err) = s.lvsim(&["check", "bad.rules", "good.rules"]);
    assert!(code == 2 && err.contains("bad.rules:1:22"), "{err}");
    let (code, _, err) = s.lvsim(&["check", "letter.txt"]);
    assert!(code == 2 && err.contains("neither a scenario nor rules"), "{err}");
    assert_eq!(s.lvsim(&["check", "letter.txt", "--as", "ipvsadm"]).0, 2);
}

#[test]
fn a_folder_of_scenarios_is_a_test_suite() {
    let s = Scratch::new("suite");
    s.write("suite/a.toml", SMALL);
    s.write("suite/deep/b.toml", &SMALL.replace("is = 0", "above = 5"));
    let (code, out, err) = s.lvsim(&["test", "suite", "--junit", "j.xml", "--seeds", "2"]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("2 scenarios: 2 passed, 2 failed"), "{out}");
    assert!(out.contains("99 %, 2 runs"), "{out}");
    let xml = s.read("j.xml");
    assert_eq!(xml.matches("<testcase").count(), 4);
    assert_eq!(xml.matches("<failure").count(), 2);
    assert_eq!(
        s.lvsim(&["test", "suite/a.toml", "-q"]),
        (0, "1 scenario: 2 passed, 0 failed\n".into(), String::new())
    );
    s.write("suite/c.toml", "x = 1\n");
    assert_eq!(s.lvsim(&["test", "suite"]).0, 2);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let s = Scratch::new("pipe");
    let mut child = s
        .command()
        .args(["schema", "--reference"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(said, "");
}
