//! A person's own cluster: other addresses, several services, mistakes on purpose.

use crate::support::Scratch;
use serde_json::Value;

/// Two services of one VIP outside the real servers' network, RIPs from .1 on, two kinds of clients.
const PUBLIC: &str = r#"
duration = "1s"
drain = "2s"

[cluster]
subnet = "10.7.0.0/24"

[cluster.clients]
count = 3
subnet = "198.51.100.0/26"
connect = "switch"

[director]
rules = """
-A -t 203.0.113.10:80 -s wrr
-a -t 203.0.113.10:80 -r 10.7.0.1:8080 -m -w 1
-a -t 203.0.113.10:80 -r 10.7.0.2:8080 -m -w 2
-A -t 203.0.113.10:443 -s wlc
-a -t 203.0.113.10:443 -r 10.7.0.3:443 -i -w 1
-a -t 203.0.113.10:443 -r 10.7.0.4:443 -g -w 1
"""

[server]
discipline = "ps"
workers = 4
service = "exp(2ms)"

[[client]]
name = "web"
target = "203.0.113.10:80"
load = "closed(20 users, think exp(20ms))"
requests = "uniform(1, 4)"

[[client]]
name = "shop"
target = "203.0.113.10:443"
load = "onoff(poisson(200/s), on exp(100ms), off exp(50ms))"
sources = "198.51.100.30-198.51.100.50"
"#;

fn summary(s: &Scratch, folder: &str) -> Value {
    serde_json::from_str(&s.read(&format!("{folder}/summary.json"))).unwrap()
}

#[test]
fn a_vip_outside_the_network_of_the_real_servers_is_served() {
    let s = Scratch::new("public");
    s.write("public.toml", PUBLIC);
    let (code, out, err) = s.lvsim(&["check", "public.toml"]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = s.lvsim(&["run", "public.toml", "--out", "o"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    for heading in [
        "Latency of web",
        "Latency of shop",
        "Share of connections to port 8080",
        "Share of connections to port 443",
    ] {
        assert!(out.contains(heading), "{heading}: {out}");
    }
    let variant = &summary(&s, "o")["variants"]["public"];
    // users who wait for an answer at the end are no failure of the cluster
    let failed = &variant["connections"]["failed"];
    assert_eq!(failed["total"], failed["unfinished"], "{failed}");
    assert!(variant["clients"]["shop"]["connections"]["served"].as_u64() > Some(50));
    let share = variant["servers"]["rs2"]["share"].as_f64().unwrap();
    assert!((share - 2.0 / 3.0).abs() < 0.02, "wrr with weights 1 and 2: {share}");
    let roots = scenarios::expect::metric::ROOTS;
    let keys = variant.as_object().unwrap().keys();
    for key in keys.filter(|k| *k != "digest") {
        assert!(roots.contains(&key.as_str()), "{key} can be asked for");
    }
    let load = &variant["director_load"];
    let rate = |key: &str| load[key].as_f64().unwrap();
    assert!(rate("packets_in_per_s") > 100.0 && rate("bytes_out_per_s") > 1000.0, "{load}");
}

#[test]
fn tcp_and_udp_on_one_port_are_two_servers() {
    let s = Scratch::new("dns");
    // with the byte order mark of some editors
    let rules = "\u{feff}-A -u 10.0.0.53:53 -s rr\n-a -u 10.0.0.53:53 -r 10.0.0.11:53 -g\n\
                 -A -t 10.0.0.53:53 -s rr\n-a -t 10.0.0.53:53 -r 10.0.0.11:53 -g\n";
    s.write("dns.ipvsadm", rules);
    s.write(
        "dns.toml",
        "duration = \"500ms\"\n[cluster]\n[director]\nrules_file = \"dns.ipvsadm\"\n\
         [[server]]\ntransport = \"udp\"\nport = 53\n[[server]]\ntransport = \"tcp\"\nport = 53\n\
         [[client]]\nname = \"u\"\ntransport = \"udp\"\nload = \"poisson(100/s)\"\n\
         [[client]]\nname = \"t\"\ntransport = \"tcp\"\nload = \"poisson(100/s)\"\n",
    );
    assert_eq!(s.lvsim(&["check", "dns.toml", "dns.ipvsadm"]).0, 0);
    let (code, out, err) = s.lvsim(&["run", "dns.toml", "--out", "o"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("port 53/udp") && out.contains("port 53/tcp"), "{out}");
    assert_eq!(out.matches("connect p99").count(), 1, "UDP has no connect: {out}");
    let servers = &summary(&s, "o")["variants"]["dns"]["servers"];
    assert!(servers["rs1:53/udp"]["connections"].as_u64() > Some(0), "{servers}");
    assert_eq!(servers["rs1:53/tcp"]["share"], 1.0, "{servers}");
}

#[test]
fn addresses_that_nobody_gave_are_free_ones() {
    let s = Scratch::new("free");
    let text = "duration = \"100ms\"\n[cluster]\nvip = \"10.0.0.1:80\"\n[server]\n[client]\nload = \"poisson(100/s)\"\n";
    for vip in ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.11:80", "10.0.0.12:80"] {
        let set = format!("cluster.vip={vip}");
        s.write("free.toml", text);
        let (code, out, err) = s.lvsim(&["run", "free.toml", "--out", "o", "--set", &set]);
        assert_eq!(code, 0, "{vip}: {out}{err}");
        let failed = &summary(&s, "o")["variants"]["free"]["connections"]["failed"];
        assert_eq!(failed["total"], 0, "{vip}");
    }
}

#[test]
fn every_scheduler_runs_with_its_flags() {
    let s = Scratch::new("schedulers");
    let plain = schedulers::Algorithm::ALL.map(|a| a.name().to_owned());
    let flagged = ["sh -b sh-fallback,sh-port", "mh -b mh-fallback,mh-port"].map(str::to_owned);
    for scheduler in plain.into_iter().chain(flagged) {
        let text = format!(
            "duration = \"200ms\"\n[cluster]\n[director]\nrules = \"\"\"\n\
             -A -t 10.1.1.1:80 -s {scheduler}\n-a -t 10.1.1.1:80 -r 10.1.1.11 -g -w 100\n\
             -a -t 10.1.1.1:80 -r 10.1.1.12 -g -w 200\n\"\"\"\n[server]\n\
             [client]\nload = \"poisson(200/s)\"\nsources = \"172.16.0.10-172.16.0.40\"\n"
        );
        s.write("s.toml", &text);
        let (code, out, err) =
            s.lvsim(&["run", "s.toml", "--out", "o", "--check-determinism", "-q"]);
        assert_eq!(code, 0, "{scheduler}: {out}{err}");
        let connections = &summary(&s, "o")["variants"]["s"]["connections"];
        assert_eq!(connections["offered"], connections["served"], "{scheduler}: {connections}");
    }
}

#[test]
fn the_example_of_the_readme_runs() {
    let readme = include_str!("../../../README.md");
    let block = |language: &str| {
        let (_, rest) = readme.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0
    };
    let s = Scratch::new("readme");
    s.write("shop.ipvsadm", block("ipvsadm"));
    s.write("shop.toml", block("toml"));
    let (code, out, err) = s.lvsim(&["check", "shop.toml"]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = s.lvsim(&["run", "shop.toml"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let rr =
        |run: &str| summary(&s, "results/shop")["variants"][run]["servers"]["rs3"]["share"].clone();
    let (wlc, rr) = (rr("wlc").as_f64().unwrap(), rr("rr").as_f64().unwrap());
    assert!((wlc - 0.5).abs() < 0.02 && (rr - 1.0 / 3.0).abs() < 0.01, "{wlc} {rr}");
    let more = ["--set", "client.load=poisson(1200/s)", "--seed", "2", "--capture", "director"];
    let (code, out, err) =
        s.lvsim(&[&["run", "shop.toml", "--set", "duration=1s"], &more[..]].concat());
    assert!(code < 2, "{out}{err}");
    assert!(s.path().join("results/shop/captures/wlc/director.eth0.pcapng").is_file());
}

/// A client, and two hosts with one address on one switch.
const TWINS: &str = r#"
duration = "1s"
drain = "1s"
[[switch]]
name = "sw"
[[host]]
name = "c"
interfaces = { addresses = "10.0.0.1/24" }
[[host]]
name = "a"
interfaces = { addresses = "10.0.0.9/24" }
[[host]]
name = "b"
interfaces = { addresses = "10.0.0.9/24" }
[[link]]
between = ["c:eth0", "sw"]
[[link]]
between = ["a:eth0", "sw"]
[[link]]
between = ["b:eth0", "sw"]
[[server]]
hosts = ["a", "b"]
port = 80
[[client]]
hosts = "c"
target = "10.0.0.9:80"
load = "constant(10/s)"
"#;

#[test]
fn a_mistake_of_the_network_can_be_meant() {
    let s = Scratch::new("allow");
    s.write("twins.toml", TWINS);
    let (code, _, err) = s.lvsim(&["run", "twins.toml"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("if it is meant: allow = [\"duplicate-address\"]"), "{err}");
    assert!(!s.path().join("results").exists());
    s.write("twins.toml", &format!("allow = [\"duplicate-address\"]\n{TWINS}"));
    let (code, out, err) = s.lvsim(&["check", "twins.toml"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("remark: ") && out.contains("0 findings, 1 remark"), "{out}");
    let (code, out, err) = s.lvsim(&["run", "twins.toml"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("served"), "{out}");
}

#[test]
fn more_threads_than_variants_are_not_started() {
    let s = Scratch::new("threads");
    s.write("public.toml", PUBLIC);
    let short = ["run", "public.toml", "-q", "--set", "duration=10ms", "--threads", "100000"];
    assert_eq!(s.lvsim(&short).0, 0);
}

#[test]
fn what_cannot_be_run_is_an_error_in_the_test_report() {
    let s = Scratch::new("junit");
    s.write("wrong.toml", "x = 1\n");
    let (code, out, _) = s.lvsim(&["test", "wrong.toml", "--junit", "j.xml"]);
    assert_eq!(code, 2);
    assert!(out.contains("1 cannot be run"), "{out}");
    let xml = s.read("j.xml");
    assert!(xml.contains("errors=\"1\"") && xml.contains("unknown key"), "{xml}");
}

/// A service for IPv6 with these real servers, `@` for their part of a command line up to the number.
fn served_v6(name: &str, servers: &str) -> (String, Scratch) {
    let s = Scratch::new(name);
    let servers = servers.replace('@', "-a -t [2001:db8::80]:80 -r [2001:db8::");
    s.write(
        "v6.toml",
        &format!(
            "duration = \"500ms\"\ndrain = \"2s\"\n[cluster]\nclients = {{ count = 3 }}\n[director]\n\
             rules = \"\"\"\n-A -t [2001:db8::80]:80 -s rr\n{servers}\"\"\"\n[server]\n[client]\n\
             load = \"constant(40/s)\"\n"
        ),
    );
    let (code, out, err) = s.lvsim(&["check", "v6.toml"]);
    assert_eq!((code, out.as_str()), (0, "v6.toml: 1 variant, 0 findings\n"), "{err}");
    let (code, out, err) = s.lvsim(&["run", "v6.toml", "--out", "o", "--check-determinism"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    (out, s)
}

#[test]
fn the_shorthand_sets_a_cluster_of_ipv6_up_for_every_method() {
    for (name, servers) in [
        ("v6-nat", "@11]:8080 -m\n@12]:8080 -m\n"),
        ("v6-dr", "@11]:80 -g\n@12]:80 -g\n"),
        ("v6-tun", "@11]:80 -i\n@12]:80 -i --tun-type gre --tun-csum\n"),
        ("v6-gue", "@11]:80 -i --tun-type gue --tun-port 6080\n@12]:80 -i --tun-type gre\n"),
        ("v6-mixed", "@11]:8080 -m\n@12]:80 -g\n@13]:80 -i\n"),
    ] {
        let (_, s) = served_v6(name, servers);
        let connections = &summary(&s, "o")["variants"]["v6"]["connections"];
        assert_eq!(connections["served"], connections["offered"], "{name}: {connections}");
        let shares = summary(&s, "o")["variants"]["v6"]["servers"].as_object().unwrap().len();
        assert_eq!(shares, servers.lines().count(), "{name}");
    }
}

#[test]
fn a_subnet_of_clients_is_of_the_family_of_the_service() {
    let s = Scratch::new("families");
    let text = "[cluster]\nvip = \"[2001:db8::80]:80\"\nclients = { subnet = \"10.1.0.0/24\" }\n\
                [server]\n[client]\nload = \"constant(4/s)\"\n";
    s.write("f.toml", text);
    let (code, _, err) = s.lvsim(&["run", "f.toml", "--out", "o"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("clients and VIPs are of different families"), "{err}");
    assert!(err.contains("f.toml:3:") && !s.path().join("o").exists(), "{err}");
}

const FULL_NAT: &str = r#"
duration = "1s"
drain = "2s"
[cluster]
subnet = "10.7.0.0/24"
[director]
rules = """
-A -t 203.0.113.10:80 -s rr
-P -z 10.7.0.101 -t 203.0.113.10:80 -F eth0
--add-laddr -t 203.0.113.10:80 -z 198.51.100.7
-a -t 203.0.113.10:80 -r 10.7.0.21:8080 -b
-a -t 203.0.113.10:80 -r 10.7.0.22:8080 --fullnat
-a -t 203.0.113.10:80 -r 10.7.0.23:8080 -m
-A -t 203.0.113.10:81 -s sh -b sh-port
-a -t 203.0.113.10:81 -r 10.7.0.21:8080 -m
"""
[server]
[client]
load = "constant(60/s)"
target = "203.0.113.10:80"
[[rule_event]]
at = "500ms"
ipvsadm = ["-E -t 203.0.113.10:80 -s wrr", "-Q -z 10.7.0.101 -t 203.0.113.10:80", "-Q -z 10.7.0.101 -t 203.0.113.10:80"]
[[view]]
at = ["400ms", "end"]
ipvsadm = ["-Ln", "-S -n"]
"#;

#[test]
fn full_nat_is_stated_as_dpvs_states_it() {
    let s = Scratch::new("full-nat");
    s.write("f.toml", FULL_NAT);
    let (code, out, err) = s.lvsim(&["check", "f.toml"]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, _) = s.lvsim(&["run", "f.toml", "--out", "o", "--check-determinism"]);
    assert_eq!(code, 0, "{out}");
    let refused =
        "director at 500ms: ipvsadm -Q -z 10.7.0.101 -t 203.0.113.10:80: No such local address";
    assert!(out.contains(refused), "{out}");
    let connections = &summary(&s, "o")["variants"]["f"]["connections"];
    assert_eq!(connections["served"], connections["offered"], "{connections}");
    let listed = s.read("o/views/f/director.400ms.Ln.txt");
    assert!(listed.contains("10.7.0.21:8080               FullNat"), "{listed}");
    // what was saved states the same again
    let saved = s.read("o/views/f/director.400ms.S-n.txt");
    s.write(
        "saved.toml",
        &FULL_NAT.replacen(&FULL_NAT[between("rules = \"\"\"\n", "\"\"\"\n[server]")], &saved, 1),
    );
    let (code, out, _) = s.lvsim(&["run", "saved.toml", "--out", "again"]);
    assert_eq!(code, 0, "{out}");
    assert_eq!(s.read("again/views/saved/director.400ms.S-n.txt"), saved);
    let saved = s.read("o/views/f/director.end.S-n.txt");
    assert!(saved.contains("-s wrr\n-P -t 203.0.113.10:80 -z 198.51.100.7\n-a"), "{saved}");
}

/// What stands between two texts of the scenario above.
fn between(before: &str, after: &str) -> std::ops::Range<usize> {
    FULL_NAT.find(before).unwrap() + before.len()..FULL_NAT.find(after).unwrap()
}

#[test]
fn methods_are_compared_with_full_nat_and_a_director_gets_its_local_addresses() {
    let s = Scratch::new("full-nat-variant");
    let text = "duration = \"300ms\"\n[cluster]\nvip = \"[2001:db8::80]:80\"\n[director]\n\
                local_addresses = [\"2001:db8::a0-2001:db8::a3\"]\n[server]\n[client]\n\
                load = \"constant(60/s)\"\n[[run]]\nname = \"nat\"\nforwarding = \"NAT\"\n[[run]]\n\
                name = \"full\"\nforwarding = \"FULLNAT\"\n";
    s.write("f.toml", text);
    let (code, out, err) = s.lvsim(&["run", "f.toml", "--out", "o"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    for variant in ["nat", "full"] {
        let connections = &summary(&s, "o")["variants"][variant]["connections"];
        assert_eq!(connections["served"], connections["offered"], "{variant}: {connections}");
    }
}

#[test]
fn every_setting_of_ipvs_can_be_written_and_changed_while_the_run_goes_on() {
    let s = Scratch::new("vs");
    let text = |settings: &str| {
        format!(
            "duration = \"4s\"\n[cluster]\nvip = \"10.0.0.9:80\"\n[director.sysctl]\n{settings}\n[server]\n\
             [client]\nload = \"constant(50/s)\"\ntimeout = \"900ms\"\n[[rule_event]]\nat = \"1s\"\n\
             sysctl = {{ drop_packet = 0, lblcr_expiration = \"1h\" }}\n"
        )
    };
    let all = "amemthresh = 1\nam_droprate = 2\nbackup_only = true\ncache_bypass = true\nconn_reuse_mode = 0\n\
               conntrack = true\ndrop_entry = 1\ndrop_packet = 3\nsecure_tcp = 3\nexpire_nodest_conn = true\n\
               expire_quiescent_template = true\nignore_tunneled = true\nlblc_expiration = \"1min\"\n\
               lblcr_expiration = \"2min\"\nnat_icmp_send = true\npmtu_disc = false\nrun_estimation = false\n\
               schedule_icmp = true\nsloppy_tcp = true\nsloppy_sctp = true\nsnat_reroute = false\n\
               sync_persist_mode = true\nsync_refresh_period = \"1min\"\nsync_retries = 1\nsync_threshold = [3, 0]";
    s.write("vs.toml", &text(all));
    let (code, out, err) = s.lvsim(&["run", "vs.toml", "--out", "o", "--check-determinism"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let connections = &summary(&s, "o")["variants"]["vs"]["connections"];
    let failed = connections["failed"]["total"].as_u64().unwrap();
    // one of two is dropped until the defences are looked at again, which is once a second
    assert!((25..=60).contains(&failed), "{connections}");
    let report = s.read("o/csv/timeline.csv");
    let line = "sysctl -w net.ipv4.vs.drop_packet=0 net.ipv4.vs.lblcr_expiration=3600";
    assert!(report.contains(line), "{line}");

    s.write("vs.toml", &text("drop_packet = 4\nsloppy = true"));
    let (code, _, err) = s.lvsim(&["run", "vs.toml", "--out", "p"]);
    assert_eq!(code, 2, "{err}");
    assert!(
        err.contains("expected a whole number from 0 to 3") && err.contains("`sloppy`"),
        "{err}"
    );
    assert!(!s.path().join("p").exists());
}

#[test]
fn a_director_is_one_of_its_own_real_servers() {
    let s = Scratch::new("local-node");
    for (name, local) in [("v4", "192.168.10.2"), ("lo", "127.0.0.1"), ("vip", "192.168.10.200")] {
        let text = format!(
            "duration = \"500ms\"\n[cluster.director]\naddress = \"192.168.10.2\"\n[director]\nrules = \"\"\"\n\
             -A -t 192.168.10.200:80 -s rr\n-a -t 192.168.10.200:80 -r {local}:80 -g\n\
             -a -t 192.168.10.200:80 -r 192.168.10.11:80 -g\n\"\"\"\n[server]\n\
             hosts = [\"director\", \"rs1\"]\nport = 80\n[client]\nload = \"constant(40/s)\"\n"
        );
        s.write("l.toml", &text);
        let (code, out, err) = s.lvsim(&["check", "l.toml"]);
        assert_eq!(code, 0, "{name}: {out}{err}");
        let (code, out, err) = s.lvsim(&["run", "l.toml", "--out", name]);
        assert_eq!((code, err.as_str()), (0, ""), "{name}: {out}");
        let variant = &summary(&s, name)["variants"]["l"];
        assert_eq!(variant["connections"]["served"], variant["connections"]["offered"], "{name}");
        let share = variant["servers"]["director"]["share"].as_f64().unwrap();
        assert!((share - 0.5).abs() < 0.06, "{name}: {share}");
    }
}
