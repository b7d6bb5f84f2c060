//! The shipped scenarios of two directors: what they expect comes out, and does not when its cause is gone or a
//! mistake is made.

use crate::support::Scratch;

/// Tests a shipped scenario, whose expectations must hold, and then with one change after another, with which one
/// must not: what is set, and the variant and metric of which that is told.
fn tells(name: &str, changes: &[(&str, &str)]) {
    let s = Scratch::new(&format!("catalogue-{name}"));
    let (code, out, err) = s.lvsim(&["test", name]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(!out.contains("FAIL"), "{out}");
    for (set, told) in changes {
        let (code, out, err) = s.lvsim(&["test", name, "--set", set]);
        assert_eq!((code, err.as_str()), (1, ""), "{set}: {out}");
        let (variant, metric) = told.split_once(": ").expect("a variant and a metric");
        let failed = out.lines().filter_map(|l| l.trim().strip_prefix("FAIL")).any(|l| {
            let mut parts = l.trim().splitn(3, ": ");
            let variants = parts.next().unwrap_or("");
            variants.split(", ").any(|v| v == variant) && parts.next() == Some(metric)
        });
        assert!(failed, "{set}, {told}: {out}");
    }
}

#[test]
fn who_is_told_to_stop_is_followed_after_the_skew_time() {
    let never = ("fault.stop.at=\"1d\"", "v2: failover.takeover.max");
    // one director that speaks VRRP 3 and one that speaks VRRP 2 do not hear each other
    let versions = ("director.d2.keepalived=\"failover-v3.conf\"", "v2: vip.holders.max");
    tells("failover-clean", &[never, versions]);
}

#[test]
fn who_crashes_is_followed_after_three_adverts_and_the_skew_time() {
    let never = ("fault.crash.at=\"1d\"", "v2-late: failover.takeover.max");
    let versions = ("director.d2.keepalived=\"failover-v3.conf\"", "v2-late: vip.holders.max");
    let deaf = (
        "fault=[{ name = \"crash\", what = \"power loss\", hosts = [\"d1\", \"d2\"], at = \"20s\" }]",
        "v3-late: failover.count",
    );
    tells("failover-crash", &[never, versions, deaf]);
}

#[test]
fn who_returns_takes_over_and_cuts_off_unless_told_otherwise() {
    let never = ("fault.crash.at=\"1d\"", "preempt: failover.count");
    let text = "$STATE=MASTER\\n$D1=nopreempt\\n$D2=\\n$SYNC=\\ninclude failback.conf";
    let preempts = format!("director.d1.keepalived=\"{text}\"");
    let deaf = (preempts.as_str(), "nopreempt: availability.reset");
    // the backup daemon does not run while d2 is master
    let alone = (preempts.as_str(), "delay-sync: availability.reset");
    tells("failback", &[never, deaf, alone]);
}

#[test]
fn connections_survive_that_the_backup_was_told_of() {
    let never = ("fault.crash.at=\"1d\"", "off: availability.reset");
    let text = "$SCHEDULER=rr\\n$SYNC=\\ninclude failover-sync.conf";
    let alone = format!("director.d2.keepalived=\"{text}\"");
    let nobody_listens = (alone.as_str(), "sync: availability.reset");
    tells("failover-sync", &[never, nobody_listens]);
}

#[test]
fn idle_connections_survive_that_the_backup_is_told_of_again() {
    let never = ("fault.crash.at=\"1d\"", "default: availability.reset");
    let period =
        ("director.d1.sysctl.sync_threshold=[3, 50]", "refresh-no-period: availability.reset");
    tells("failover-sync-idle", &[never, period]);
}

#[test]
fn a_cut_between_the_directors_makes_two_masters_unless_there_is_another_way() {
    let never = ("fault.cut.at=\"1d\"", "cut: vip.holders.max");
    let no_spare = ("link.spare.up=false", "spare-trunk: vip.holders.max");
    let masked = ("cluster.director.sysctl.ip_forward=true", "cut: outage.longest");
    tells("split-brain-link", &[never, no_spare, masked]);
}

#[test]
fn a_backup_that_does_not_hear_becomes_master_and_loses_the_traffic_again() {
    let never = ("fault.deaf.loss=0", "backup-deaf: vip.holders.max");
    let asks = ("cluster.director.sysctl.arp_announce=0", "arp-announce-2: availability.reset");
    tells("split-brain-one-way", &[never, asks]);
}

#[test]
fn without_multicast_there_are_two_masters_unless_they_speak_to_each_other() {
    let never = ("fault=[]", "multicast: vip.holders.max");
    let options = "$INTERFACE=eth0\\n$VERSION=2\\n$ADVERT=1\\n$KIND=DR\\n$OPTION=\\n$GATEWAY=\\n";
    let one = format!("director.d2.keepalived=\"{options}include split-brain.conf\"");
    tells("split-brain-multicast", &[never, (one.as_str(), "unicast: vip.holders.max")]);
}

#[test]
fn who_stood_still_gets_the_address_back_but_not_the_traffic() {
    let never = ("fault.pause.at=\"1d\"", "pause: vip.holders.max");
    let options = "$INTERFACE=eth0\\n$VERSION=2\\n$ADVERT=1\\n$KIND=DR\\n$OPTION=\\n$GATEWAY=\\n";
    let silent = format!("director.d2.keepalived=\"{options}include split-brain.conf\"");
    tells("split-brain-frozen", &[never, (silent.as_str(), "last-word: outage.longest")]);
}

#[test]
fn rules_that_wait_for_an_address_are_no_mistake() {
    let s = Scratch::new("rules-that-wait");
    let router = |n: u8| {
        format!(
            "[[host]]\nname = \"d{n}\"\nkeepalived = \"vrrp_instance A {{\\n interface eth0\\n virtual_router_id 1\\n\
             priority 10{n}\\n virtual_ipaddress {{\\n 10.0.0.ADDRESS/24\\n}}\\n}}\"\n"
        )
    };
    let text = format!(
        "duration = \"5s\"\n[cluster]\nvip = \"10.0.0.9:80\"\n[cluster.director]\ncount = 2\n{}{}[server]\n\
         [client]\nload = \"constant(5/s)\"\n",
        router(1),
        router(2)
    );
    // the rules are on both directors, the address on the one that is master
    s.write("a.toml", &text.replace("ADDRESS", "9"));
    let (code, out, err) = s.lvsim(&["check", "a.toml"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    // with another address nobody will ever hold that of the rules on the second one
    s.write("a.toml", &text.replace("ADDRESS", "8"));
    let (code, out, _) = s.lvsim(&["check", "a.toml"]);
    assert!(
        code == 1 && out.contains("d2 has a service on this address but does not hold it"),
        "{out}"
    );
}
