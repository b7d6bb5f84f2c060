//! Files of heartbeat and ldirectord become scenarios that are checked without a finding, run as they are, and
//! serve.

use crate::support::Scratch;

const KEYS: &str = "auth 1\n1 sha1 not-a-secret\n";

/// Writes files into a folder `in` of their own, imports what is given, checks and runs it, and looks at the share
/// of requests that were served after the start: the text of the scenario.
fn imported(test: &str, files: &[(&str, &str)], given: &[&str]) -> (Scratch, String) {
    let scratch = Scratch::new(&format!("import-heartbeat-{test}"));
    for (name, text) in files {
        scratch.write(&format!("in/{name}"), text);
    }
    let given: Vec<String> = given.iter().map(|g| format!("in/{g}")).collect();
    let mut arguments = vec!["import"];
    arguments.extend(given.iter().map(String::as_str));
    arguments.extend(["--out", "made"]);
    let (code, out, err) = scratch.lvsim(&arguments);
    assert_eq!((code, err.as_str()), (0, ""), "{test}: {out}");
    let made = out.split(": ").next().unwrap().to_owned();
    // the folder is as good as the scenario in it
    let (code, out, err) = scratch.lvsim(&["check", "made"]);
    assert_eq!((code, err.as_str()), (0, ""), "{test}: {out}");
    assert!(out.contains("1 variant, 0 findings"), "{test}: {out}");
    let (code, out, err) = scratch.lvsim(&["run", &made, "--out", "results", "--quiet"]);
    assert_eq!(code, 0, "{test}: {out}{err}");
    let summary: serde_json::Value =
        serde_json::from_str(&scratch.read("results/summary.json")).unwrap();
    let variants = summary["variants"].as_object().unwrap();
    let availability = &variants.values().next().unwrap()["availability"];
    let offered = availability["offered"].as_u64().unwrap();
    let share = availability["share"].as_f64().unwrap();
    assert!(offered > 500 && share >= 0.99, "{test}: {share} of {offered}");
    let text = scratch.read(&made);
    (scratch, text)
}

fn ha_cf(media: &str) -> String {
    format!("keepalive 1\ndeadtime 5\n{media}\nauto_failback off\nnode web1 web2\n")
}

fn all<'a>(ha: &'a str, resources: &'a str) -> [(&'static str, &'a str); 3] {
    [("ha.cf", ha), ("haresources", resources), ("authkeys", KEYS)]
}

const SERVICE: &str = "checktimeout=3\ncheckinterval=2\nquiescent=no\nvirtual=192.0.2.10:80\n\
                       \treal=192.0.2.21:80 gate\n\treal=192.0.2.22:80 gate 2\n\tfallback=127.0.0.1:80 gate\n\
                       \tservice=http\n\trequest=\"ok\"\n\treceive=\"ok\"\n\tscheduler=wrr\n\tprotocol=tcp\n";

#[test]
fn a_pair_of_web_servers_by_broadcast() {
    let ha = ha_cf("bcast eth0");
    let files = all(&ha, "web1 IPaddr::192.0.2.10/24/eth0 httpd\n");
    let (scratch, text) = imported("web", &files, &["ha.cf", "haresources", "authkeys"]);
    assert!(text.contains("hosts = [\"web1\", \"web2\"]\nport = 80"), "{text}");
    assert!(text.contains("target = \"192.0.2.10:80\""), "{text}");
    let key =
        "heartbeat = { ha_cf = \"ha.cf\", haresources = \"haresources\", authkeys = \"authkeys\" }";
    assert_eq!(text.matches(key).count(), 2, "{text}");
    assert!(text.contains("# guess: web2 has 192.0.2.102 in 192.0.2.0/24"), "{text}");
    assert!(!text.contains("ip_forward = true, send_redirects = false }\nheartbeat"), "{text}");
    for (name, content) in files {
        assert_eq!(scratch.read(&format!("made/{name}")), content);
    }
    // initdead of a deadtime of 5 s is 12 s
    assert!(text.contains("warmup = \"29s\""), "{text}");
}

#[test]
fn a_second_medium_is_a_cable_between_the_nodes() {
    let ha = ha_cf("bcast eth0 eth1");
    let files = all(&ha, "web2 IPaddr2::192.0.2.10/24/eth0 mysql\n");
    let (_, text) = imported("links", &files, &["."]);
    assert!(text.contains("between = [\"web1:eth1\", \"web2:eth1\"]"), "{text}");
    assert!(text.contains("# guess: a cable joins `eth1` of web1 and `eth1` of web2"), "{text}");
    assert_eq!(text.matches("[[switch]]").count(), 1, "{text}");
    assert!(text.contains("target = \"192.0.2.10:3306\""), "{text}");
}

#[test]
fn a_peer_by_unicast_has_its_address_and_the_other_node_gets_a_line() {
    let ha = ha_cf("ucast eth1 10.9.0.12\nping 10.9.0.254");
    let files = all(&ha, "web1 192.0.2.10\n");
    let (scratch, text) = imported("ucast", &files, &["."]);
    assert!(text.contains("# guess: web2 has 10.9.0.12 on `eth1`"), "{text}");
    assert!(text.contains("# guess: web1 has 10.9.0.11 on `eth1`"), "{text}");
    assert!(text.contains("# guess: the ping node 10.9.0.254 is the router"), "{text}");
    let made = scratch.read("made/ha.cf");
    let added = "# guess: the line of the other node's file\nucast eth1 10.9.0.11\n";
    assert_eq!(made, format!("{ha}{added}"));
}

#[test]
fn files_of_two_folders_belong_to_a_node_each() {
    let one = ha_cf("ucast eth1 10.9.0.2\nbcast eth2");
    let two = ha_cf("ucast eth1 10.9.0.1\nbcast eth3");
    let resources = "web1 IPaddr::192.0.2.10/24/eth0\n";
    let files = [
        ("web2/ha.cf", two.as_str()),
        ("web2/haresources", resources),
        ("web2/authkeys", KEYS),
        ("web1/ha.cf", one.as_str()),
        ("web1/haresources", resources),
        ("web1/authkeys", KEYS),
    ];
    let (scratch, text) = imported("folders", &files, &["web2", "web1"]);
    assert_eq!(scratch.read("made/web1/ha.cf"), one);
    assert_eq!(scratch.read("made/web2/ha.cf"), two);
    assert_eq!(scratch.read("made/haresources"), resources);
    assert!(text.contains("ha_cf = \"web2/ha.cf\", haresources = \"haresources\""), "{text}");
    let own = "{ name = \"eth1\", addresses = [\"10.9.0.2/24\"] }";
    let (before, after) = text.split_once(own).unwrap();
    assert!(before.ends_with("eth0\", addresses = [\"192.0.2.102/24\"] },\n  "), "{text}");
    assert!(after.contains("ha_cf = \"web2/ha.cf\"") && !after.contains("web1/ha.cf"), "{text}");
    assert!(text.contains("between = [\"web1:eth1\", \"web2:eth1\"]"), "{text}");
    assert!(text.contains("between = [\"web1:eth2\", \"web2:eth3\"]"), "{text}");
}

#[test]
fn a_pair_of_directors_with_ldirectord() {
    let ha = ha_cf("bcast eth0");
    let resources = "web1 IPaddr::192.0.2.10/24/eth0 ldirectord::ldirectord.cf\n";
    let mut files = all(&ha, resources).to_vec();
    files.push(("ldirectord.cf", SERVICE));
    let (_, text) = imported("ldirectord", &files, &["."]);
    assert_eq!(text.matches("ldirectord = \"ldirectord.cf\"").count(), 2, "{text}");
    assert!(!text.contains("ldirectord_start"), "{text}");
    assert!(text.contains("loopback = [\"192.0.2.10/32\"]"), "{text}");
    // without haresources there is one for them
    let files = [("ha.cf", ha.as_str()), ("ldirectord.cf", SERVICE)];
    let (scratch, text) = imported("ldirectord-2", &files, &["ha.cf", "ldirectord.cf"]);
    let line = "web1 IPaddr::192.0.2.10/24/eth0 ldirectord::ldirectord.cf";
    assert!(text.contains("# guess: web1 has IPaddr::192.0.2.10/24/eth0 "), "{text}");
    assert_eq!(scratch.read("made/haresources").lines().last(), Some(line));
}

#[test]
fn a_pair_of_directors_with_rules_of_ipvsadm_by_nat() {
    let ha = ha_cf("bcast eth0");
    let resources = "web2 IPaddr::192.0.2.10/24/eth0 10.7.0.1/24/eth1\n";
    let rules = "-A -t 192.0.2.10:80 -s wlc\n-a -t 192.0.2.10:80 -r 10.7.0.21:8080 -m -w 1\n";
    let mut files = all(&ha, resources).to_vec();
    files.push(("rules", rules));
    let (_, text) = imported("rules", &files, &["."]);
    assert_eq!(text.matches("rules_file = \"director.ipvsadm\"").count(), 2, "{text}");
    assert!(text.contains("answers of rs1 go back by 10.7.0.1, which the master has"), "{text}");
}

#[test]
fn an_ldirectord_alone_and_real_servers_with_names() {
    let text = SERVICE.replace("192.0.2.22:80", "www2:80");
    let (_, text) = imported("alone", &[("ldirectord.cf", &text)], &["ldirectord.cf"]);
    assert!(text.contains("ldirectord = \"director.cf\""), "{text}");
    assert!(text.contains("name = \"www2\""), "{text}");
}

#[test]
fn what_the_files_lack_is_added_as_a_guess() {
    let ha = "crm yes\nautojoin any\nserial /dev/ttyS0\nping gateway\ndeadtime 5\n";
    let (scratch, text) = imported("lacks", &[("ha.cf", ha)], &["ha.cf"]);
    let made = scratch.read("made/ha.cf");
    assert!(made.contains("# not here: crm yes\n# not here: autojoin any\n"), "{made}");
    assert!(made.contains("# not here: ping gateway\n"), "{made}");
    assert!(made.contains("\nnode node1 node2\n") && made.ends_with("\nbcast eth1\n"), "{made}");
    assert!(text.contains("# guess: a cable on `eth1` stands for the serial line"), "{text}");
    // who is no node is one that is
    let ha = ha_cf("bcast eth0");
    let files = all(&ha, "wbe2 IPaddr::192.0.2.10/24/eth0\n");
    let (scratch, text) = imported("owner", &files, &["."]);
    assert!(text.contains("`wbe2` of haresources is no node of ha.cf: web2 is meant"), "{text}");
    assert_eq!(scratch.read("made/haresources"), "web2 IPaddr::192.0.2.10/24/eth0\n");
    // haresources alone
    let (scratch, _) = imported("only", &[("haresources", "lb7 192.0.2.10\n")], &["haresources"]);
    let made = scratch.read("made/ha.cf");
    assert!(made.contains("\nnode lb7 lb8\n") && made.contains("\nbcast eth0\n"), "{made}");
}

#[test]
fn wrong_files_are_told_with_their_lines() {
    let scratch = Scratch::new("import-heartbeat-wrong");
    let wrong = |files: &[(&str, &str)], expected: &[&str]| {
        let names: Vec<&str> = files.iter().map(|f| f.0).collect();
        for (name, text) in files {
            scratch.write(name, text);
        }
        let (code, out, err) = scratch.lvsim(&[&["import"][..], &names, &["--out", "no"]].concat());
        assert_eq!(code, 2, "{out}");
        for text in expected {
            assert!(err.contains(text), "{text}: {err}");
        }
    };
    let ha = ha_cf("bcast eth0");
    let late = ha.replace("deadtime 5", "deadtme 5");
    wrong(&all(&late, "web1 192.0.2.10\n"), &["ha.cf:2:1", "did you mean `deadtime`?"]);
    let masked = "web1 IPaddr::192.0.2.10//24/eth0\n";
    wrong(&all(&ha, masked), &["haresources:1:6", "has no address that can be read"]);
    wrong(&[("authkeys", KEYS)], &["authkeys tells no node"]);
    let broken = SERVICE.replace("service=http", "service=htp");
    wrong(&[("ha.cf", &ha), ("ldirectord.cf", &broken)], &["ldirectord.cf:8", "service must be"]);
    wrong(
        &[("a.cf", &ha), ("b.cf", &ha), ("c.cf", &ha)],
        &["3 files like ha.cf: a.cf, b.cf, c.cf"],
    );
    let keepalived = "vrrp_instance VI {\n interface eth0\n virtual_router_id 1\n}\n";
    wrong(&[("ha.cf", &ha), ("k.conf", keepalived)], &["a pair of directors has either"]);
    scratch.write("empty/notes", "nothing\n");
    let (code, _, err) = scratch.lvsim(&["import", "empty"]);
    assert_eq!(code, 2);
    assert!(err.contains("no file in `empty` is of a director"), "{err}");
    let (code, _, err) = scratch.lvsim(&["check", "empty"]);
    assert_eq!(code, 2);
    assert!(err.contains("nothing in the folder `empty`"), "{err}");
}
