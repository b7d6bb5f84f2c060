//! The path of one connection, hop by hop.

use crate::support::Scratch;
use scenarios::catalogue::CATALOGUE;
use scenarios::model::{Embedded, Scenario, Settings, load};
use scenarios::trace::follow;
use serde_json::Value;
use sim_core::config::TraceConfig;
use sim_core::observe::{Observations, Step, TraceLine, TraceReport};
use sim_core::world::World;

fn shipped(name: &str, set: &[&str]) -> Scenario {
    let entry = CATALOGUE.iter().find(|e| e.name == name).unwrap();
    let set = set.iter().map(ToString::to_string).collect();
    let settings = Settings { set, seed: None };
    load(entry.file(), entry.text(), &Embedded(entry.files), &settings)
        .unwrap_or_else(|f| panic!("{name}: {:?}", f.problems))
}

/// A small cluster with everything that can happen to a packet on a link and in a host.
fn rough(forwarding: &str) -> Scenario {
    let text = format!(
        r#"
duration = "300ms"
drain = "20s"

[network]
loss = "5%"

[cluster]
vip = "192.168.10.200:80"

[cluster.director]
cpu = {{ other = "20us", nat = "50us", dr = "30us", tun = "40us" }}

[server]
service = "1ms"
response = "20kB"

[client]
load = "poisson(200/s)"

[[run]]
name = "one"
forwarding = "{forwarding}"
"#
    );
    load("rough.toml", &text, &Embedded(&[]), &Settings::default())
        .unwrap_or_else(|f| panic!("{:?}", f.problems))
}

fn six() -> Scenario {
    load("six.toml", SIX, &Embedded(&[]), &Settings::default())
        .unwrap_or_else(|f| panic!("{:?}", f.problems))
}

fn path(scenario: &Scenario, number: u64) -> (TraceReport, Observations) {
    let what = TraceConfig { number, ..TraceConfig::default() };
    follow(&scenario.variants[0], &what).unwrap()
}

fn plain(scenario: &Scenario) -> Observations {
    let mut world = World::build(&scenario.variants[0].config).unwrap();
    while world.run(1 << 16) {}
    world.finish()
}

const PATHS: [&str; 8] = [
    "path-dr-basic",
    "path-dr-no-arp-suppression",
    "path-dr-udp",
    "path-nat-bad-gateway",
    "path-nat-basic",
    "path-nat-portmap",
    "path-nat-udp",
    "path-tun-basic",
];

#[test]
fn following_a_connection_changes_nothing() {
    let mut all: Vec<Scenario> = PATHS.iter().map(|name| shipped(name, &[])).collect();
    all.extend(["NAT", "DR", "TUN"].map(rough));
    all.push(six());
    for scenario in &all {
        let without = plain(scenario);
        for number in [1, 2, 1000] {
            let (report, with) = path(scenario, number);
            let digest = (with.digest, with.events, with.end, with.packets, with.drops);
            let same = (without.digest, without.events, without.end, without.packets);
            assert_eq!(digest, (same.0, same.1, same.2, same.3, without.drops.clone()));
            assert_eq!(report.flow.is_some(), number <= report.started, "{}", scenario.name);
            assert_eq!(report.lines.is_empty(), report.flow.is_none());
        }
        assert!(without.trace.is_none());
    }
}

#[test]
fn what_goes_out_comes_in_or_is_dropped_on_the_way() {
    let mut all: Vec<Scenario> = PATHS.iter().map(|name| shipped(name, &[])).collect();
    all.extend(["NAT", "DR", "TUN"].map(rough));
    all.push(six());
    all.push(shipped("path-nat-udp", &["client.request=3000B"]));
    let (mut frames, mut lost) = (0, 0);
    for scenario in &all {
        for number in [1, 2] {
            let (report, _) = path(scenario, number);
            let (f, l) = conserved(&report.lines);
            frames += f;
            lost += l;
        }
    }
    assert!(frames > 1000 && lost > 10, "{frames} frames, {lost} lost");
}

/// Each frame that goes out comes in elsewhere later or is dropped, and none comes from nowhere. How
/// many there are, and how many were dropped between hosts.
fn conserved(lines: &[TraceLine]) -> (usize, usize) {
    let mut lost = 0;
    let mut frames = 0;
    for (i, out) in lines.iter().enumerate().filter(|(_, l)| l.step == Step::Out) {
        frames += 1;
        let inside = out.text.split_once(", ").map_or("", |(_, packet)| packet);
        let arrives = |l: &&TraceLine| l.step == Step::In && l.text == out.text;
        let dropped =
            |l: &&TraceLine| matches!(l.step, Step::Dropped(_)) && l.text.ends_with(inside);
        let mut after = lines[i + 1..].iter();
        if !after.clone().any(|l| arrives(&l)) {
            assert!(after.any(|l| dropped(&l)), "{out:?} came to nothing");
            lost += 1;
        }
    }
    for (i, coming) in lines.iter().enumerate().filter(|(_, l)| l.step == Step::In) {
        let sent = lines[..i].iter().any(|l| l.step == Step::Out && l.text == coming.text);
        // a packet may wait for an answer that was asked for on behalf of another before
        assert!(sent || coming.text.contains(", ARP, "), "{coming:?} came from nowhere");
    }
    assert!(lines.is_sorted_by_key(|l| l.time), "time never goes back");
    (frames, lost)
}

#[test]
fn the_last_word_is_what_the_client_saw() {
    for (name, result) in
        [("path-nat-basic", "client: served after"), ("path-nat-bad-gateway", "failed (timed_out)")]
    {
        let (report, _) = path(&shipped(name, &[]), 1);
        let client = report.lines.iter().filter(|l| l.text.starts_with("client: "));
        let said: Vec<_> = client.map(|l| l.text.as_str()).collect();
        assert!(said.len() == 1 && said[0].contains(result), "{said:?}");
    }
}

#[test]
fn the_told_paths_stay_as_they_are() {
    let s = Scratch::new("paths");
    let told: [(&str, &[&str]); 6] = [
        ("path-nat-basic", &["--flow", "2", "--until", "50us"]),
        ("path-dr-basic", &["--flow", "2", "--hosts", "director,rs1"]),
        ("path-tun-basic", &["--hosts", "director,rs3", "--until", "40us"]),
        ("path-dr-no-arp-suppression", &["--until", "11us"]),
        ("path-nat-bad-gateway", &["--hosts", "client,rs1", "--until", "1500ms"]),
        ("path-nat-udp", &["--set", "client.request=2000B", "--hosts", "director", "--flow", "2"]),
    ];
    for (name, options) in told {
        let (code, out, err) = s.lvsim(&[&["trace", name], options].concat());
        assert_eq!((code, err.as_str()), (0, ""), "{name}");
        insta::assert_snapshot!(name, out);
    }
}

/// A director between two IPv6 networks, with rules of netfilter.
const SIX: &str = r#"
duration = "1s"
drain = "5s"

[[host]]
name = "client"
setup = """
ip -6 addr add 2001:db8:1::10/64 dev eth0
ip -6 route add default via 2001:db8:1::1
"""

[[host]]
name = "director"
setup = """
ip -6 addr add 2001:db8:1::1/64 dev eth0
ip -6 addr add 2001:db8:2::1/64 dev eth1
sysctl -w net.ipv6.conf.all.forwarding=1
ip6tables -t mangle -A PREROUTING -p tcp --dport 80 -j MARK --set-mark 7
ip6tables -A FORWARD -p tcp --sport 81 -j DROP
ip6tables -A FORWARD -p tcp --sport 80 -j ACCEPT
"""

[[host]]
name = "rs1"
setup = """
ip -6 addr add 2001:db8:2::11/64 dev eth0
ip -6 route add default via 2001:db8:2::1
"""

[[link]]
between = ["client:eth0", "director:eth0"]
[[link]]
between = ["director:eth1", "rs1:eth0"]

[director]
host = "director"
rules = """
-A -t [2001:db8:1::1]:80 -s rr
-a -t [2001:db8:1::1]:80 -r [2001:db8:2::11]:80 -m
"""

[server]
hosts = ["rs1"]
port = 80
service = "1ms"

[[client]]
hosts = "client"
target = "[2001:db8:1::1]:80"
load = "at(0s)"
"#;

#[test]
fn netfilter_and_neighbour_discovery_are_told() {
    let s = Scratch::new("six");
    s.write("six.toml", SIX);
    let (code, out, err) = s.lvsim(&["trace", "six.toml", "--hosts", "director"]);
    assert_eq!((code, err.as_str()), (0, ""));
    for part in [
        "waits for neighbour solicitation: who has 2001:db8:2::11?",
        "neighbor solicitation, who has 2001:db8:1::1",
        "answered: 2001:db8:1::1 is an address of eth0",
        "2001:db8:2::11 is known now: INCOMPLETE -> REACHABLE",
        "netfilter: mangle PREROUTING rule 1: mark 0x0 -> 0x7",
        "netfilter: filter FORWARD rule 2: ACCEPT",
        "NAT back, source [2001:db8:2::11]:80 -> [2001:db8:1::1]:80",
    ] {
        assert!(out.contains(part), "{part}\n{out}");
    }
}

#[test]
fn a_template_chooses_instead_of_the_scheduler() {
    let s = Scratch::new("template");
    let entry = CATALOGUE.iter().find(|e| e.name == "path-nat-basic").unwrap();
    s.write("persistent.toml", &entry.text().replace("-s rr", "-s rr -p 300"));
    let told = |flow| s.lvsim(&["trace", "persistent.toml", "--flow", flow]).1;
    assert!(told("1").contains("scheduler rr chose 192.168.10.12:80"));
    let second = told("2");
    assert!(second.contains("to 192.168.10.12:80 by the persistence template"), "{second}");
    assert!(!second.contains("chose"), "{second}");
}

#[test]
fn a_line_of_json_is_one_step() {
    let s = Scratch::new("json");
    let arguments = ["trace", "path-nat-basic", "--json", "--flow", "tcp/:80"];
    let (code, out, _) = s.lvsim(&arguments);
    assert_eq!(code, 0);
    let lines: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines[0]["step"], "app");
    assert!(lines.iter().any(|l| l["step"] == "done" && l["place"] == "director"));
    assert!(lines.iter().all(|l| l["time_ns"].is_u64() && l["text"].is_string()));
}

#[test]
fn connections_are_found_by_what_is_known_of_them() {
    let s = Scratch::new("found");
    let first = |options: &[&str]| {
        let (code, out, err) = s.lvsim(&[&["trace", "path-dr-basic"], options].concat());
        assert_eq!(code, 0, "{err}");
        out.lines().next().unwrap_or_default().to_owned()
    };
    let second = first(&["--flow", "2"]);
    assert!(second.contains("connection 2 (clients) starts: tcp 172.16.0.10:"), "{second}");
    let (_, ends) = second.split_once("tcp ").unwrap();
    let (source, _) = ends.split_once(" -> ").unwrap();
    for flow in [source.to_owned(), format!("tcp/{source}-192.168.10.200:80")] {
        assert_eq!(first(&["--flow", &flow]), second);
    }
    assert!(first(&["--client", "client"]).contains("connection 1"));
    assert!(first(&["--client", "clients", "--flow", "2"]).contains("connection 2"));
}

#[test]
fn every_mistake_is_named_and_no_connection_lists_those_there_are() {
    let s = Scratch::new("wrong");
    let options = ["--flow", "10.0.0.1:x", "--until", "soon", "--hosts", "rs1,rs7"];
    let more = ["--client", "klient", "--variant", "none"];
    let (code, out, err) = s.lvsim(&[&["trace", "path-dr-basic"], &options[..]].concat());
    assert_eq!((code, out.as_str()), (2, ""));
    for part in ["10.0.0.1:x", "expected a port", "soon", "no host or switch `rs7`"] {
        assert!(err.contains(part), "{part}: {err}");
    }
    assert!(err.contains("3 problems found"), "{err}");
    let (code, _, err) = s.lvsim(&[&["trace", "path-dr-basic"], &more[..2]].concat());
    assert!(code == 2 && err.contains("did you mean `client`?"), "{err}");
    let (code, _, err) = s.lvsim(&[&["trace", "path-dr-basic"], &more[2..]].concat());
    assert!(code == 2 && err.contains("no variant `none`"), "{err}");

    for flow in ["3", "udp/", "10.9.9.9"] {
        let (code, out, err) = s.lvsim(&["trace", "path-dr-basic", "--flow", flow]);
        assert_eq!((code, out.as_str()), (2, ""), "{flow}");
        let listed = err.lines().filter(|l| l.contains("tcp/172.16.0.10:")).count();
        assert_eq!(listed, 2, "{err}");
    }
    assert_eq!(s.lvsim(&["trace", "nowhere"]).0, 2);
}
