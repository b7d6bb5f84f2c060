//! The scenarios of health checks and of heartbeat that ship: what they expect comes out, and does not come
//! out when the cause is taken away or the mistake made.

use crate::support::Scratch;

/// The configuration of a keepalived how-to as it was typed, with its errors and odd braces; only most
/// comments are translated.
const TYPED: &str = include_str!("howto-keepalived.conf");

/// All expectations hold.
#[track_caller]
fn holds(name: &str) {
    let s = Scratch::new(&format!("checks-{name}"));
    let (code, out, err) = s.lvsim(&["test", name]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("pass") && !out.contains("FAIL"), "{out}");
}

/// With other keys an expectation fails, and others still hold.
#[track_caller]
fn breaks(name: &str, set: &[&str], expectation: &str) {
    let s = Scratch::new(&format!("checks-{name}-broken"));
    let keys = set.iter().flat_map(|key| ["--set", key]);
    let (code, out, err) = s.lvsim(&["test", name].into_iter().chain(keys).collect::<Vec<_>>());
    assert_eq!(code, 1, "{out}{err}");
    let fails = |l: &str| l.trim_start().starts_with("FAIL") && l.contains(expectation);
    assert!(out.lines().any(fails), "{expectation}: {out}");
}

#[test]
fn a_dead_server_costs_what_the_checks_are_set_to() {
    holds("check-delay");
    let share = "howto-silent-late: connections.failed.total";
    breaks("check-delay", &["fault=[]"], share);
    breaks("check-delay", &["director.keepalived=check-delay-defaults.conf"], share);
}

#[test]
fn a_service_flips_as_often_as_its_checks_fail() {
    holds("flapping-sorry");
    let flips = "flapping: pools.quorum_lost";
    breaks("flapping-sorry", &["fault.loss.loss=0"], flips);
    breaks("flapping-sorry", &["fault.loss.loss=0.5"], "retry-2: pools.quorum_lost");
}

#[test]
fn a_cascade_needs_a_loss_and_too_few_servers() {
    holds("cascade");
    breaks("cascade", &["fault=[]"], "cascade: pools.failed");
    // a threshold that lets more in than a check waits for
    let high = "director.keepalived=\"$LIMIT=uthreshold 1500\\ninclude cascade.conf\"";
    breaks("cascade", &[high], "threshold: pools.failed");
}

#[test]
fn a_heartbeat_pair_shows_what_fencing_brings() {
    holds("heartbeat-web");
    breaks("heartbeat-web", &["fault=[]"], "split: vip.time_with_more");
    let other = "host.web2.heartbeat.authkeys=\"auth 1\\n1 sha1 another\\n\"";
    breaks("heartbeat-web", &[other], "vip.time_with_more: expected 0");
}

#[test]
fn keepalived_and_heartbeat_differ_by_their_timers() {
    holds("keepalived-or-heartbeat");
    breaks("keepalived-or-heartbeat", &["fault=[]"], "keepalived: outage.longest");
    // nobody is there to take over
    let both = "fault=[{ what = \"power loss\", hosts = [\"d1\", \"d2\"], at = \"40.5s\" }]";
    breaks("keepalived-or-heartbeat", &[both], "heartbeat: outage.longest");
}

#[test]
fn the_pair_of_the_keepalived_how_to_does_as_it_says_when_it_is_mended() {
    holds("seed-keepalived");
    let typed =
        ["1", "2"].map(|n| format!("director.d{n}.keepalived=seed-keepalived-typed-{n}.conf"));
    let typed = typed.each_ref().map(String::as_str);
    breaks("seed-keepalived", &typed, "crash-late: outage.longest");
    breaks("seed-keepalived", &["fault=[]"], "closed: connections.failed.total");
}

#[test]
fn the_pair_of_the_heartbeat_how_to_finds_a_crash_after_half_a_minute() {
    holds("seed-heartbeat");
    breaks("seed-heartbeat", &["fault=[]"], "crash: outage.longest");
    let quick = ["1", "2"].map(|n| {
        let nodes = "node www.centos1.com\\nnode www.centos2.com";
        format!("host.centos{n}.heartbeat.ha_cf=\"deadtime 5\\nbcast eth0\\n{nodes}\"")
    });
    let quick = quick.each_ref().map(String::as_str);
    breaks("seed-heartbeat", &quick, "crash: outage.longest");
}

/// What `lvsim check` says of a keepalived.conf: code, and the messages with the line and the help of each.
fn said(text: &str) -> (i32, Vec<(usize, String, String)>) {
    let s = Scratch::new("checks-typed");
    s.write("keepalived.conf", text);
    let (code, _, err) = s.lvsim(&["check", "keepalived.conf"]);
    let mut all = Vec::new();
    for block in err.split("error: ").skip(1) {
        let line = block.split("keepalived.conf:").nth(1).and_then(|l| l.split(':').next());
        let Some(line) = line.and_then(|l| l.parse().ok()) else { continue };
        let help = block.lines().find_map(|l| l.trim_start().strip_prefix("= help: "));
        let message = block.lines().next().unwrap_or("").to_owned();
        all.push((line, message, help.unwrap_or("").to_owned()));
    }
    (code, all)
}

#[test]
fn every_typing_error_of_the_how_to_is_named_at_its_line() {
    let (code, all) = said(TYPED);
    assert_eq!(code, 1);
    let retry = "`retry` is meant: `nb_get_retry` is known in HTTP_GET and SSL_GET only";
    for (line, word, help) in [
        (10, "authenticetion", "did you mean `authentication`?"),
        (20, "lb_algorr", "did you mean `lb_algo rr`?"),
        (28, "nb_get_retry", retry),
        (37, "nb_get_retry", retry),
    ] {
        let expected = (line, format!("Unknown keyword '{word}'"), help.to_owned());
        assert!(all.contains(&expected), "{expected:?}: {all:?}");
    }
    // what follows from them: the `}` of the unknown block ends the instance
    let others: Vec<_> = all.iter().filter(|s| !s.1.starts_with("Unknown keyword")).collect();
    assert_eq!(others.len(), 2, "{others:?}");
    assert!(others[0].1.contains("No VIP specified") && others[0].0 == 4);
    assert!(others[1].1.contains("no scheduler set") && others[1].0 == 18);

    let mended = TYPED
        .replace("authenticetion", "authentication")
        .replace("lb_algorr", "lb_algo rr")
        .replace("nb_get_retry", "retry");
    assert_eq!(said(&mended), (0, vec![]));
    // the second director is told to be a SLAVE
    let second =
        mended.replace("state MASTER", "state SLAVE").replace("priority 100", "priority 47");
    let (code, all) = said(&second);
    assert_eq!((code, all.len()), (1, 1));
    assert_eq!((all[0].0, all[0].1.as_str()), (5, "unknown state 'SLAVE', defaulting to BACKUP"));
    assert_eq!(said(&second.replace("SLAVE", "BACKUP")).0, 0);
}

#[test]
fn a_comment_behind_a_node_is_a_third_node() {
    let s = Scratch::new("checks-node");
    let ha =
        |first: &str| format!("auto_failback on\nbcast eth0\nnode {first}\nnode www.centos2.com\n");
    s.write("ha.cf", &ha("www.centos1.com 一主一备节点，需注意能后被两台主机之间解析"));
    s.write("haresources", "    www.centos1.com IPaddr::10.10.10.100/24/eth0:0\n");
    let (code, _, err) = s.lvsim(&["check", "ha.cf", "haresources"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("error: 3 nodes share resources by haresources"), "{err}");
    s.write("ha.cf", &ha("www.centos1.com"));
    let (code, out, err) = s.lvsim(&["check", "ha.cf", "haresources"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
}
