//! keepalived on the hosts of a scenario.

use crate::support::Scratch;

fn configuration(state: &str, priority: u8, more: &str) -> String {
    format!(
        "vrrp_script chk {{
  script \"/usr/bin/pgrep haproxy\"
  interval 1
  weight -60
}}
vrrp_instance VI_1 {{
  state {state}
  interface eth0
  virtual_router_id 51
  priority {priority}
  track_script {{
    chk
  }}
{more}  virtual_ipaddress {{
    192.0.2.10/24
  }}
}}
virtual_server 192.0.2.10 80 {{
  delay_loop 2
  lvs_sched rr
  lvs_method DR
  protocol TCP
  real_server 192.0.2.21 80 {{
    TCP_CHECK {{
      connect_timeout 2
    }}
  }}
}}
"
    )
}

const NETWORK: &str = "duration = \"20s\"
[[switch]]
name = \"lan\"
[[host]]
name = \"client\"
interfaces = [{ name = \"eth0\", addresses = [\"192.0.2.99/24\"] }]
[[host]]
name = \"rs1\"
interfaces = [{ name = \"eth0\", addresses = [\"192.0.2.21/24\"] }]
loopback = [\"192.0.2.10/32\"]
sysctl = { arp_ignore = 1, arp_announce = 2 }
[[link]]
between = [\"client:eth0\", \"lan\"]
[[link]]
between = [\"rs1:eth0\", \"lan\"]
[[link]]
between = [\"lb1:eth0\", \"lan\"]
[[link]]
between = [\"lb2:eth0\", \"lan\"]
[[server]]
hosts = \"rs1\"
port = 80
[[client]]
hosts = \"client\"
target = \"192.0.2.10:80\"
load = \"constant(20/s)\"
timeout = \"1s\"
";

/// A scenario of two directors with more lines on the first of them and in the scenario.
fn scenario(first: &str, more: &str) -> String {
    let host = |n: u8, keys: &str| {
        format!(
            "[[host]]\nname = \"lb{n}\"\ninterfaces = [{{ name = \"eth0\", addresses = [\"192.0.2.{n}/24\"] }}]\n\
             keepalived = \"lb{n}.conf\"\n{keys}"
        )
    };
    format!("{NETWORK}{}{}{more}", host(1, first), host(2, ""))
}

fn scratch(test: &str, first: &str, more: &str) -> Scratch {
    let scratch = Scratch::new(&format!("virtual-routers-{test}"));
    scratch.write("lb1.conf", &configuration("MASTER", 150, ""));
    scratch.write("lb2.conf", &configuration("BACKUP", 100, ""));
    scratch.write("a.toml", &scenario(first, more));
    scratch
}

/// The states of the virtual routers in order: time in seconds, host, state.
fn states(scratch: &Scratch) -> Vec<(f64, String, String)> {
    let table = scratch.read("results/csv/timeline.csv");
    let mut lines = table.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let at = |name: &str| names.iter().position(|n| n.starts_with(name)).unwrap();
    let rows = lines.map(|l| l.split(',').collect::<Vec<_>>());
    rows.filter(|r| r[at("kind")] == "state")
        .map(|r| {
            (r[at("time")].parse().unwrap(), r[at("host")].to_owned(), r[at("value")].to_owned())
        })
        .collect()
}

fn run(scratch: &Scratch) {
    let (code, out, err) = scratch.lvsim(&["run", "a.toml", "--out", "results", "--quiet"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
}

fn master(states: &[(f64, String, String)], at: f64) -> Vec<&'static str> {
    let mut hosts = vec!["lb1", "lb2"];
    hosts.retain(|h| {
        let last = states.iter().rfind(|s| s.1 == *h && s.0 <= at);
        last.is_some_and(|s| s.2 == "MASTER")
    });
    hosts
}

#[test]
fn the_higher_priority_is_master_and_serves() {
    let scratch = scratch("priority", "", "warmup = \"5s\"\n");
    let text = scratch.read("a.toml").replace("warmup = \"5s\"\n", "");
    scratch.write("a.toml", &format!("warmup = \"5s\"\n{text}"));
    run(&scratch);
    assert_eq!(master(&states(&scratch), 10.0), ["lb1"]);
    let summary = scratch.read("results/summary.json");
    assert!(summary.contains("\"served\": 300"), "{summary}");
}

#[test]
fn a_script_that_fails_moves_the_address() {
    let event = "[[script_event]]\nat = \"8s\"\nscript = \"chk\"\nhosts = \"lb1\"\nexit = 1\n";
    let scratch = scratch("script", "", event);
    run(&scratch);
    let states = states(&scratch);
    assert_eq!(master(&states, 7.9), ["lb1"]);
    assert_eq!(master(&states, 19.0), ["lb2"], "{states:?}");
}

#[test]
fn keepalived_starts_when_it_is_told_to() {
    let scratch = scratch("start", "keepalived_start = \"never\"\n", "");
    run(&scratch);
    assert_eq!(master(&states(&scratch), 19.0), ["lb2"]);
}

#[test]
fn mistakes_are_shown_where_they_stand() {
    let scratch = scratch("mistakes", "keepalived_start = \"soon\"\n", "");
    let bad = configuration("BACKUP", 100, "").replace("interface eth0", "interface bond0");
    scratch.write("lb2.conf", &bad);
    let text = scratch.read("a.toml")
        + "[[script_event]]\nat = \"1s\"\nscript = \"chekc\"\n[[file_event]]\nat = \"1s\"\nfile = \"x\"\nvalue = -3\nhosts = \"rs1\"\n";
    scratch.write("a.toml", &text);
    let (code, _, err) = scratch.lvsim(&["run", "a.toml", "--out", "results"]);
    assert_eq!(code, 2);
    for text in [
        "this is no time for keepalived to begin",
        "no `vrrp_script` or MISC_CHECK is called `chekc`",
        "keepalived does not run on `rs1`",
    ] {
        assert!(err.contains(text), "{text}: {err}");
    }
    scratch.write("a.toml", &scenario("", ""));
    let (code, _, err) = scratch.lvsim(&["run", "a.toml", "--out", "results"]);
    assert_eq!(code, 2);
    assert!(err.contains("the host `lb2` has no interface `bond0`"), "{err}");
    assert!(err.contains("lb2.conf:6:"), "{err}");
}

#[test]
fn a_configuration_may_stand_in_the_scenario() {
    let scratch = scratch("inline", "", "");
    let inline = format!("keepalived = '''\n{}'''", configuration("MASTER", 150, "  bogus 1\n"));
    let text = scratch.read("a.toml").replace("keepalived = \"lb1.conf\"", &inline);
    scratch.write("a.toml", &text);
    let (code, out, err) = scratch.lvsim(&["check", "a.toml"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    // the line is that of the scenario
    let line = text.lines().position(|l| l.contains("bogus")).unwrap() + 1;
    let told = format!("a.toml:{line}: remark: keepalived: Unknown keyword 'bogus'");
    assert!(out.contains(&told), "{told}: {out}");
    run(&scratch);
    assert_eq!(master(&states(&scratch), 10.0), ["lb1"]);
}
