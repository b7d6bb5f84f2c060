//! Files of heartbeat and ldirectord, checked.

use crate::support::Scratch;

const HA: &str = "keepalive 1\ndeadtime 5\ninitdead 10\nbcast eth0 eth1\nauto_failback off\n\
    stonith_host * null lvs1 lvs2\nnode lvs1\nnode lvs2\n";
const RESOURCES: &str = "lvs1 IPaddr::192.168.10.200/24/eth0 ldirectord::ldirectord.cf\n";
const KEYS: &str = "auth 1\n1 sha1 secret\n";
const LDIRECTORD: &str = "checktimeout=3\nquiescent=yes\nvirtual=192.168.10.200:80\n\
    \treal=192.168.10.11:80 gate\n\tservice=http\n";

#[test]
fn clean_files_of_a_node_are_told_so_with_what_is_in_them() {
    let dir = Scratch::new("heartbeat-clean");
    let names = ["ha.cf", "haresources", "authkeys", "ldirectord.cf"];
    for (name, text) in names.into_iter().zip([HA, RESOURCES, KEYS, LDIRECTORD]) {
        dir.write(name, text);
    }
    let (code, out, err) =
        dir.lvsim(&["check", "ha.cf", "haresources", "authkeys", "ldirectord.cf"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let expected = "ha.cf: 2 nodes, 2 media, 0 findings\nharesources: 1 group, 2 resources, 0 findings\n\
        authkeys: 1 key, 0 findings\nldirectord.cf: 1 service, 1 real server, 0 findings\n";
    assert_eq!(out, expected);
}

#[test]
fn a_misspelt_directive_is_shown_with_the_word_that_is_meant() {
    let dir = Scratch::new("heartbeat-misspelt");
    dir.write("ha.cf", &HA.replace("keepalive", "keepalife"));
    dir.write("ldirectord.cf", &LDIRECTORD.replace("service=http", "service=htpt"));
    let (code, out, err) = dir.lvsim(&["check", "ha.cf", "ldirectord.cf"]);
    assert_eq!(code, 1, "{out}{err}");
    for text in [
        "error: Illegal directive [keepalife]",
        "ha.cf:1:1",
        "did you mean `keepalive`?",
        "error: service must be dns, ftp",
        "ldirectord.cf:5:10",
        "did you mean `http`?",
    ] {
        assert!(err.contains(text), "{text}: {err}");
    }
    assert!(out.contains("ha.cf: 2 nodes, 2 media, 1 finding\n"), "{out}");
}

#[test]
fn files_of_two_nodes_are_compared() {
    let dir = Scratch::new("heartbeat-pair");
    for node in ["lvs1", "lvs2"] {
        dir.write(&format!("{node}/ha.cf"), HA);
        dir.write(&format!("{node}/haresources"), &RESOURCES.replace("lvs1", node));
        dir.write(&format!("{node}/authkeys"), &KEYS.replace("secret", node));
    }
    let files = ["lvs1", "lvs2"]
        .map(|node| ["ha.cf", "haresources", "authkeys"].map(|file| format!("{node}/{file}")));
    let arguments: Vec<&str> =
        ["check"].into_iter().chain(files.iter().flatten().map(String::as_str)).collect();
    let (code, out, err) = dir.lvsim(&arguments);
    assert_eq!(code, 1, "{out}{err}");
    assert!(err.contains("error: the keys of the nodes differ"), "{err}");
    assert!(err.contains("lvs2/haresources:1:1"), "{err}");
    assert!(out.ends_with("between the files of heartbeat: 2 findings\n"), "{out}");
    let (code, out, _) = dir.lvsim(&arguments[..4]);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn a_kind_can_be_said() {
    let dir = Scratch::new("heartbeat-kind");
    dir.write("letter", "dear node\n");
    assert_eq!(dir.lvsim(&["check", "letter"]).0, 2);
    for (kind, code) in [("ha.cf", 1), ("haresources", 0), ("authkeys", 1), ("ldirectord.cf", 1)] {
        let (found, out, err) = dir.lvsim(&["check", "--as", kind, "letter"]);
        assert_eq!(found, code, "{kind}: {out}{err}");
    }
}
