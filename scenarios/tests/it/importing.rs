//! Configurations of directors become scenarios that are checked without a finding and run.

use crate::support::Scratch;

/// Imports files: the scenario, checked and run.
fn imported(test: &str, files: &[(&str, &str)]) -> (Scratch, String) {
    let scratch = Scratch::new(&format!("import-{test}"));
    for (name, text) in files {
        scratch.write(name, text);
    }
    let names: Vec<&str> = files.iter().map(|f| f.0).filter(|n| !n.contains('/')).collect();
    let mut arguments = vec!["import"];
    arguments.extend(names);
    arguments.extend(["--out", "made"]);
    let (code, out, err) = scratch.lvsim(&arguments);
    assert_eq!((code, err.as_str()), (0, ""), "{test}: {out}");
    let made = out.split(": ").next().unwrap().to_owned();
    let (code, out, err) = scratch.lvsim(&["check", &made]);
    assert_eq!((code, err.as_str()), (0, ""), "{test}: {out}");
    let set = "duration=12s";
    let (code, out, err) = scratch.lvsim(&[
        "run",
        &made,
        "--out",
        "results",
        "--quiet",
        "--set",
        set,
        "--set",
        "warmup=0s",
    ]);
    assert_eq!(code, 0, "{test}: {out}{err}");
    let text = scratch.read(&made);
    (scratch, text)
}

const VRRP: &str = "vrrp_instance VI_1 {
  state MASTER
  interface eth0
  virtual_router_id 51
  priority 150
  virtual_ipaddress {
    192.0.2.10/24
  }
}
";

fn service(vip: &str, method: &str, servers: &[&str]) -> String {
    let check = "TCP_CHECK {\n      connect_timeout 2\n    }";
    let server = |s: &&str| format!("  real_server {s} {{\n    {check}\n  }}\n");
    let servers: String = servers.iter().map(server).collect();
    format!(
        "virtual_server {vip} {{\n  delay_loop 3\n  lvs_sched rr\n  lvs_method {method}\n  protocol TCP\n{servers}}}\n"
    )
}

#[test]
fn a_pair_by_direct_routing_has_the_vip_on_its_real_servers() {
    let first = format!(
        "global_defs {{\n router_id lb1\n}}\n{VRRP}{}",
        service("192.0.2.10 80", "DR", &["192.0.2.21 80", "192.0.2.22 80"])
    );
    let second = first.replace("lb1", "lb2").replace("MASTER", "BACKUP").replace("150", "100");
    let (scratch, text) = imported("pair", &[("a.conf", &first), ("b.conf", &second)]);
    assert!(text.contains("name = \"lb1\"") && text.contains("name = \"lb2\""), "{text}");
    assert!(text.contains("loopback = [\"192.0.2.10/32\"]"), "{text}");
    assert!(text.contains("# guess: lb1 has 192.0.2.101 in 192.0.2.0/24"), "{text}");
    assert_eq!(scratch.read("made/lb1.conf"), first);
    // nothing is overwritten
    let (code, _, err) = scratch.lvsim(&["import", "a.conf", "b.conf", "--out", "made"]);
    assert_eq!(code, 2);
    assert!(err.contains("is there already"), "{err}");
}

#[test]
fn stated_addresses_are_taken_from_either_file() {
    let with = |own: &str, peer: &str| {
        let unicast =
            format!("unicast_src_ip {own}\n  unicast_peer {{\n    {peer}\n  }}\n  virtual_ip");
        VRRP.replacen("virtual_ip", &unicast, 1)
            + &service("192.0.2.10 80", "DR", &["192.0.2.21 80"])
    };
    let (a, b) = (with("192.0.2.2", "192.0.2.3"), with("192.0.2.3", "192.0.2.2"));
    let (_, text) = imported("unicast", &[("a.conf", &a), ("b.conf", &b)]);
    assert!(text.contains("addresses = [\"192.0.2.2/24\"]"), "{text}");
    assert!(text.contains("addresses = [\"192.0.2.3/24\"]"), "{text}");
}

#[test]
fn real_servers_by_nat_answer_by_the_virtual_gateway() {
    let gateway = "vrrp_instance VI_GW {\n interface eth1\n virtual_router_id 52\n priority 150\n \
                   virtual_ipaddress {\n 10.1.0.1/24\n }\n}\n";
    let text = format!("{VRRP}{gateway}{}", service("192.0.2.10 80", "NAT", &["10.1.0.21 8080"]));
    let (_, text) = imported("nat", &[("keepalived.conf", &text)]);
    assert!(text.contains("answers of rs1 go back by 10.1.0.1, which the master has"), "{text}");
    assert!(text.contains("port = 8080"), "{text}");
}

#[test]
fn real_servers_in_a_network_of_their_own_get_an_interface() {
    let text = format!("{VRRP}{}", service("192.0.2.10 80", "NAT", &["10.1.0.21 80"]));
    let (_, text) = imported("inner", &[("keepalived.conf", &text)]);
    assert!(text.contains("# guess: the real servers in 10.1.0.0/24 are on `eth1`"), "{text}");
    assert!(text.contains("{ name = \"eth1\", addresses = [\"10.1.0.101/24\"] }"), "{text}");
}

#[test]
fn tunnels_end_at_the_real_servers() {
    let text = format!("{VRRP}{}", service("192.0.2.10 80", "TUN", &["198.18.0.5 80"]));
    let (_, text) = imported("tun", &[("keepalived.conf", &text)]);
    assert!(text.contains("tunnel = [\"192.0.2.10/32\"]"), "{text}");
}

#[test]
fn an_address_that_nothing_sets_is_there_from_the_start() {
    let text = service("192.0.2.10 80", "DR", &["192.0.2.21 80"]);
    let (_, text) = imported("fixed", &[("keepalived.conf", &text)]);
    assert!(text.contains("no virtual router sets 192.0.2.10: keepalived has it"), "{text}");
}

#[test]
fn services_of_marks_and_of_many_addresses() {
    let mark = service("fwmark 7", "DR", &["192.0.2.21 0"]).replace("  protocol TCP\n", "");
    let (_, text) = imported("mark", &[("keepalived.conf", &format!("{VRRP}{mark}"))]);
    assert!(text.contains("-d 192.0.2.10 -p tcp -j MARK --set-mark 7"), "{text}");
    let group = "virtual_server_group G {\n 192.0.2.10 80\n 192.0.2.11 80\n}\n";
    let many = service("group G", "DR", &["192.0.2.21 80"]);
    let (_, text) = imported("group", &[("keepalived.conf", &format!("{VRRP}{group}{many}"))]);
    assert!(text.contains("loopback = [\"192.0.2.10/32\", \"192.0.2.11/32\"]"), "{text}");
}

#[test]
fn ipv6_is_as_good() {
    let vrrp = VRRP.replace("192.0.2.10/24", "2001:db8::10/64");
    let service = service("2001:db8::10 80", "DR", &["2001:db8::21 80", "2001:db8::22 80"]);
    let (_, text) = imported("v6", &[("keepalived.conf", &format!("{vrrp}{service}"))]);
    assert!(text.contains("target = \"[2001:db8::10]:80\""), "{text}");
}

#[test]
fn a_sorry_server_is_a_host_and_a_udp_service_has_udp_clients() {
    let sorry = service("192.0.2.10 53", "DR", &["192.0.2.21 53"])
        .replace("protocol TCP\n", "protocol UDP\n  sorry_server 192.0.2.99 53\n")
        .replace("TCP_CHECK", "PING_CHECK");
    let (_, text) = imported("sorry", &[("keepalived.conf", &format!("{VRRP}{sorry}"))]);
    assert!(text.contains("192.0.2.99/24") && text.contains("transport = \"udp\""), "{text}");
}

#[test]
fn virtual_addresses_without_services_are_served_by_the_directors() {
    let (_, text) = imported("alone", &[("keepalived.conf", VRRP)]);
    assert!(text.contains("the directors answer at their virtual addresses themselves"), "{text}");
}

#[test]
fn scripts_are_listed_and_included_files_come_along() {
    let script = "vrrp_script chk {\n script \"/usr/bin/pgrep haproxy\"\n interval 2\n}\n";
    let instance = VRRP.replacen("  virtual_ip", "  track_script {\n    chk\n  }\n  virtual_ip", 1);
    let main = format!("include conf.d/*.conf\n{script}{instance}");
    let service = service("192.0.2.10 80", "DR", &["192.0.2.21 80"]);
    let files = [("keepalived.conf", main.as_str()), ("conf.d/web.conf", service.as_str())];
    let (scratch, text) = imported("scripts", &files);
    assert!(text.contains("[[script_event]] script = \"chk\""), "{text}");
    assert_eq!(scratch.read("made/conf.d/web.conf"), service);
}

#[test]
fn rules_of_ipvsadm_become_a_director() {
    let rules = "-A -t 192.0.2.10:80 -s wlc\n-a -t 192.0.2.10:80 -r 192.0.2.21:80 -g -w 1\n";
    let (_, text) = imported("rules", &[("rules.ipvsadm", rules)]);
    assert!(text.contains("rules_file = \"director.ipvsadm\""), "{text}");
}

#[test]
fn what_cannot_be_imported_is_told() {
    let scratch = Scratch::new("import-wrong");
    scratch.write("a.conf", "vrrp_instnce VI {\n}\n");
    let (code, _, err) = scratch.lvsim(&["import", "a.conf"]);
    assert_eq!(code, 2);
    assert!(err.contains("neither a keepalived.conf nor rules of ipvsadm"), "{err}");
    assert!(err.contains("did you mean the block `vrrp_instance`?"), "{err}");
    scratch.write("b.conf", "global_defs {\n router_id x\n}\n");
    let (code, _, err) = scratch.lvsim(&["import", "b.conf"]);
    assert_eq!(code, 2);
    assert!(err.contains("neither a service nor a virtual address"), "{err}");
}
