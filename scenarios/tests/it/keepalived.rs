//! Configurations of keepalived: checked, and run.

use crate::support::Scratch;

const SERVICE: &str = "global_defs {
    router_id LVS_1
}

virtual_server 203.0.113.10 80 {
    delay_loop 6
    lvs_sched wrr
    lvs_method NAT
    protocol TCP
    sorry_server 10.7.0.99 80

    real_server 10.7.0.21 8080 {
        weight 3
        TCP_CHECK {
            connect_timeout 3
        }
    }
    real_server 10.7.0.22 8080 {
        weight 1
        TCP_CHECK {
            connect_timeout 3
        }
    }
}
";

const SCENARIO: &str = "name = \"shop\"
duration = \"2s\"
[cluster]
subnet = \"10.7.0.0/24\"
[cluster.clients]
count = 2
[director]
rules_file = \"keepalived.conf\"
[server]
service = \"constant(1ms)\"
[client]
load = \"poisson(200/s)\"
";

#[test]
fn a_clean_configuration_is_told_so_with_what_is_in_it() {
    let dir = Scratch::new("keepalived-clean");
    dir.write("keepalived.conf", SERVICE);
    let (code, out, err) = dir.lvsim(&["check", "keepalived.conf"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_eq!(out, "keepalived.conf: 1 service, 2 real servers, 0 VRRP instances, 0 findings\n");
    let (_, out, _) = dir.lvsim(&["check", "--verbose", "keepalived.conf"]);
    assert!(
        out.contains("keepalived.conf:2: accepted, not simulated: global_defs: router_id"),
        "{out}"
    );
}

#[test]
fn a_misspelt_keyword_is_shown_with_the_word_that_is_meant() {
    let dir = Scratch::new("keepalived-misspelt");
    dir.write("keepalived.conf", &SERVICE.replace("weight 3", "weigth 3"));
    let (code, out, err) = dir.lvsim(&["check", "keepalived.conf"]);
    assert_eq!(code, 1, "{out}{err}");
    for text in [
        "error: Unknown keyword 'weigth'",
        "keepalived.conf:13:9",
        "^^^^^^ no keyword in `real_server`, the line is ignored",
        "did you mean `weight`?",
        "1 problem found",
    ] {
        assert!(err.contains(text), "{text}: {err}");
    }
}

#[test]
fn an_unknown_block_is_told_once_and_its_consequences_on_request() {
    let dir = Scratch::new("keepalived-astray");
    dir.write("keepalived.conf", &SERVICE.replacen("TCP_CHECK", "TPC_CHECK", 1));
    let (code, out, err) = dir.lvsim(&["check", "keepalived.conf"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("1 problem found"), "{err}");
    assert!(out.contains("consequences (--verbose shows)"), "{out}");
    let (_, _, all) = dir.lvsim(&["check", "-v", "keepalived.conf"]);
    assert!(all.contains("Unexpected '{' - ignoring"), "{all}");
}

#[test]
fn conditions_and_included_files_are_followed() {
    let dir = Scratch::new("keepalived-include");
    dir.write("conf/keepalived.conf", "include conf.d/*.conf\n");
    dir.write("conf/conf.d/a.conf", &format!("@lvs2 nonsense\n{SERVICE}"));
    let (code, out, err) = dir.lvsim(&["check", "conf/keepalived.conf"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("1 service, 2 real servers"), "{out}");
    let (code, _, err) = dir.lvsim(&["check", "--config-id", "lvs2", "conf/keepalived.conf"]);
    assert_eq!(code, 1);
    assert!(err.contains("conf.d/a.conf:1:7"), "{err}");
}

#[test]
fn what_cannot_be_read_or_recognised_is_wrong_input() {
    let dir = Scratch::new("keepalived-unread");
    let (code, _, err) = dir.lvsim(&["check", "--as", "keepalived", "absent.conf"]);
    assert_eq!(code, 2);
    assert!(err.contains("cannot read `absent.conf`"), "{err}");
    dir.write("odd.conf", "weight 5\n");
    let (code, _, err) = dir.lvsim(&["check", "odd.conf"]);
    assert_eq!(code, 2);
    assert!(err.contains("`--as KIND` decides"), "{err}");
    let (code, _, err) = dir.lvsim(&["check", "--as", "keepalived", "odd.conf"]);
    assert_eq!(code, 1);
    assert!(err.contains("it is a keyword of another block"), "{err}");
}

#[test]
fn a_scenario_runs_with_the_services_of_a_configuration() {
    let dir = Scratch::new("keepalived-run");
    dir.write("keepalived.conf", SERVICE);
    dir.write("shop.toml", SCENARIO);
    let (code, out, err) =
        dir.lvsim(&["run", "shop.toml", "--quiet", "--connections", "--out", "r"]);
    assert_eq!(code, 0, "{out}{err}");
    // the same as with the rules as ipvsadm states them
    dir.write(
        "rules.ipvsadm",
        "-A -t 203.0.113.10:80 -s wrr\n-a -t 203.0.113.10:80 -r 10.7.0.21:8080 -m -w 3\n\
         -a -t 203.0.113.10:80 -r 10.7.0.22:8080 -m -w 1\n",
    );
    dir.write("same.toml", &SCENARIO.replace("keepalived.conf", "rules.ipvsadm"));
    let (code, out, err) =
        dir.lvsim(&["run", "same.toml", "--quiet", "--connections", "--out", "s"]);
    assert_eq!(code, 0, "{out}{err}");
    let rows = |folder: &str| {
        let files = dir.files(folder);
        let found = files.into_iter().find(|(name, _)| name.ends_with("connections.csv"));
        found.expect("rows were asked for").1
    };
    let (ours, same) = (rows("r"), rows("s"));
    assert!(ours.len() > 1000, "connections were made");
    assert!(ours == same, "both directors decide alike");
    let (code, out, _) = dir.lvsim(&["check", "shop.toml"]);
    assert_eq!(code, 0, "{out}");
    assert!(
        out.contains("keepalived.conf:5: remark: health checks, sorry_server are not simulated"),
        "{out}"
    );
}

#[test]
fn what_keepalived_reports_does_not_stop_a_run_but_no_service_does() {
    let dir = Scratch::new("keepalived-reports");
    dir.write("keepalived.conf", &SERVICE.replace("delay_loop 6", "nat_mask 255.255.255.0"));
    dir.write("shop.toml", SCENARIO);
    let (code, out, err) = dir.lvsim(&["check", "shop.toml"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        out.contains("keepalived.conf:6: remark: keepalived: Unknown keyword 'nat_mask'"),
        "{out}"
    );
    dir.write("keepalived.conf", "global_defs {\n router_id X\n}\n");
    let (code, _, err) = dir.lvsim(&["check", "shop.toml"]);
    assert_eq!(code, 2);
    assert!(err.contains("`keepalived.conf` gives the director no service"), "{err}");
}
