//! Operators in scenarios: rules that change while a run goes on, and what ipvsadm shows.

use crate::support::Scratch;
use serde_json::Value;

const DRAIN: &str = r#"duration = "4s"
drain = "4s"

[cluster]

[director]
rules = """
-A -t 192.168.10.200:80 -s rr
-a -t 192.168.10.200:80 -r 192.168.10.11 -g
-a -t 192.168.10.200:80 -r 192.168.10.12 -g
"""

[server]
service = "1ms"

[client]
load = "at(0.5s, 1s, 1.5s, 2.5s, 3s, 3.5s)"

[[rule_event]]
at = "2s"
ipvsadm = "-e -t 192.168.10.200:http -r rs1 -w 0"

[[rule_event]]
at = "2.2s"
ipvsadm = ["ipvsadm -d -t 192.168.10.200:80 -r 192.168.10.19", "--set 0 0 10"]

[[rule_event]]
at = "5s"
ipvsadm = "-R < next.rules"

[[view]]
at = ["2s", "4s"]
ipvsadm = ["-Ln", "-Lnc", "-L --stats"]

[[view]]
ipvsadm = ["-S -n", "-Ln --timeout"]
"#;

/// `ipvsadm-save` of other rules.
const NEXT: &str = "# drained for good\n-C\n-A -t 192.168.10.200:80 -s sh -b sh-port -p\n\
                    -a -t 192.168.10.200:80 -r 192.168.10.12:80 -m -w 5\n";

fn drain(name: &str, scenario: &str) -> (Scratch, String) {
    let s = Scratch::new(name);
    s.write("drain.toml", scenario);
    s.write("next.rules", &NEXT.replace(" -p\n", "\n"));
    let (code, out, err) = s.lvsim(&["run", "drain.toml", "--out", "o", "--views"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    (s, out)
}

#[test]
fn a_server_is_drained_and_every_view_is_written() {
    let (s, out) = drain("drain", DRAIN);
    assert_eq!(
        s.read("o/views/drain/director.2s.Ln.txt"),
        "IP Virtual Server version 1.2.1 (size=4096)\n\
         Prot LocalAddress:Port Scheduler Flags\n\
         \u{20} -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n\
         TCP  192.168.10.200:80 rr\n\
         \u{20} -> 192.168.10.11:80             Route   0      0          1         \n\
         \u{20} -> 192.168.10.12:80             Route   1      0          2         \n"
    );
    let later = s.read("o/views/drain/director.4s.Ln.txt");
    assert!(
        later.contains("  -> 192.168.10.11:80             Route   0      0          1 "),
        "{later}"
    );
    assert!(
        later.contains("  -> 192.168.10.12:80             Route   1      0          5 "),
        "{later}"
    );
    let connections = s.read("o/views/drain/director.4s.Lnc.txt");
    assert_eq!(connections.lines().count(), 2 + 6, "{connections}");
    assert!(connections.contains("TCP 01:59  FIN_WAIT    "), "{connections}");
    // names where -n is not given
    let named = s.read("o/views/drain/director.4s.L-stats.txt");
    assert!(named.contains("\n  -> rs2:http                            5 "), "{named}");
    // the end is after the rules were read again
    assert_eq!(
        s.read("o/views/drain/director.end.S-n.txt"),
        "-A -t 192.168.10.200:80 -s sh -b sh-port\n\
         -a -t 192.168.10.200:80 -r 192.168.10.12:80 -m -w 5\n"
    );
    let timeouts = s.read("o/views/drain/director.end.Ln-timeout.txt");
    assert_eq!(timeouts, "Timeout (tcp tcpfin udp): 900 120 10\n");
    // and all of it on the terminal for who asks
    assert!(out.contains("\ndrain: director at the end: ipvsadm -S -n\n-A -t "), "{out}");
    assert_eq!(out.matches("ipvsadm -Lnc\nIPVS connection entries\n").count(), 2, "{out}");
}

#[test]
fn a_refused_change_is_told_and_the_run_goes_on() {
    let (s, out) = drain("refused", DRAIN);
    let said =
        "director at 2200ms: ipvsadm -d -t 192.168.10.200:80 -r 192.168.10.19: No such destination";
    assert!(out.contains(&format!("Refused in drain: {said}\n")), "{out}");
    let summary: Value = serde_json::from_str(&s.read("o/summary.json")).unwrap();
    let changes = &summary["variants"]["drain"]["rule_changes"];
    assert_eq!(changes["refused"], serde_json::json!([said]));
    assert_eq!(changes["tried"], 6);
    let timeline = s.read("o/csv/timeline.csv");
    for line in [
        "drain,2.0,director,rules,ipvsadm -e -t 192.168.10.200:http -r rs1 -w 0,done\n",
        "No such destination\n",
        "drain,5.0,director,rules,ipvsadm -C,done\n",
    ] {
        assert!(timeline.contains(line), "`{line}` is not in\n{timeline}");
    }
}

#[test]
fn the_method_of_a_variant_holds_for_changes_too() {
    let text = format!("{DRAIN}\n[[run]]\nname = \"nat\"\nforwarding = \"NAT\"\n");
    let (s, _) = drain("drain-nat", &text);
    let view = s.read("o/views/nat/director.4s.Ln.txt");
    assert!(view.contains("  -> 192.168.10.11:80             Masq    0      0 "), "{view}");
}

#[test]
fn views_are_the_same_in_every_run() {
    let (a, _) = drain("drain-a", DRAIN);
    let (b, _) = drain("drain-b", DRAIN);
    let views = |s: &Scratch| s.files("o/views");
    assert_eq!(views(&a).len(), 8);
    assert_eq!(views(&a), views(&b));
}

#[test]
fn mistakes_of_operators_stand_at_their_words() {
    let s = Scratch::new("operator-mistakes");
    s.write("next.rules", "-A -t 192.168.10.200:81 -s rrr\n");
    for (old, new, said) in [
        ("-r rs1 -w 0", "-r rs3 -w 0", &["no host is called `rs3`", "bad.toml:"][..]),
        ("-r rs1 -w 0", "-r rs1 -w x", &["illegal weight specified", "^"]),
        ("-R < next.rules", "-R < no.rules", &["cannot read the rules file `no.rules`"]),
        ("-R < next.rules", "-R", &["-R reads from the standard input"]),
        ("at = \"5s\"", "at = \"9s\"", &["after the end of the run", "ends at 8s"]),
        ("\"--set 0 0 10\"", "\"-Ln\"", &["this changes no rules", "[[view]]"]),
        ("\"-Ln --timeout\"", "\"-C\"", &["this shows nothing", "[[rule_event]]"]),
        ("[\"2s\", \"4s\"]", "[\"2s\", \"soon\"]", &["\"soon\" is no time"]),
        (
            "[\"2s\", \"4s\"]",
            "\"2s\"\nhost = \"directr\"",
            &["there is no director `directr`", "did you mean `director`?"],
        ),
        ("", "", &["`rrr` is no scheduler", "next.rules:1:"]),
    ] {
        s.write("bad.toml", &DRAIN.replacen(old, new, 1));
        let (code, out, err) = s.lvsim(&["run", "bad.toml", "--out", "o"]);
        assert_eq!((code, out.as_str()), (2, ""), "{new}: {err}");
        for part in said {
            assert!(err.contains(part), "{new}: `{part}` is not in\n{err}");
        }
    }
}

#[test]
fn templates_are_counted_and_counters_can_be_set_to_zero() {
    let s = Scratch::new("persistent");
    let text = DRAIN
        .replace("-s rr\n", "-s rr -p 300\n")
        .replace("-e -t 192.168.10.200:http -r rs1 -w 0", "-Z")
        .replace(
            "[\"-Ln\", \"-Lnc\", \"-L --stats\"]",
            "[\"-Ln --stats\", \"-Lnc\", \"-Ln --persistent-conn\"]",
        );
    s.write("persistent.toml", &text);
    s.write("next.rules", "--start-daemon master\n");
    let (code, out, err) = s.lvsim(&["run", "persistent.toml", "--out", "o"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let view = |name: &str| s.read(&format!("o/views/persistent/director.{name}.txt"));
    // three connections before two seconds are forgotten by -Z, three come after
    let zero = view("2s.Ln-stats");
    assert!(zero.contains("TCP  192.168.10.200:80                   0        0 "), "{zero}");
    let after = view("4s.Ln-stats");
    assert!(after.contains("TCP  192.168.10.200:80                   3 "), "{after}");
    // one client: one template, all connections to one server
    let templates = view("4s.Ln-persistent-conn");
    assert!(templates.contains("TCP  192.168.10.200:80 rr persistent 300\n"), "{templates}");
    assert_eq!(
        templates.matches(" 1         1           0          6         \n").count(),
        1,
        "{templates}"
    );
    let connections = view("4s.Lnc");
    assert_eq!(connections.lines().count(), 2 + 6 + 1, "{connections}");
    assert_eq!(connections.matches(":0 ").count(), 1, "{connections}");
}
