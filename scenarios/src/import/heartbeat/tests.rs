use super::ha_cf::{HaCf, Medium};
use super::haresources::HaResources;
use super::*;
use crate::diagnostic::Sources;
use crate::import::findings::Findings;
use proptest::prelude::*;
use sim_core::config::{AuthMethod, Failback};
use sim_core::engine::Span;

fn ha(text: &str) -> (HaCf, Findings) {
    let mut sources = Sources::default();
    let file = sources.add("ha.cf", text);
    ha_cf::read(&sources, file)
}

fn resources(text: &str) -> (HaResources, Findings) {
    let mut sources = Sources::default();
    let file = sources.add("haresources", text);
    haresources::read(&sources, file)
}

fn keys(text: &str) -> (authkeys::AuthKeys, Findings) {
    let mut sources = Sources::default();
    let file = sources.add("authkeys", text);
    authkeys::read(&sources, file)
}

fn messages(findings: &Findings) -> Vec<&str> {
    findings.problems().map(|p| p.message.as_str()).collect()
}

/// A file of which nothing is reported, with more lines before its media.
fn good(more: &str) -> String {
    format!("{more}\nauto_failback on\nbcast eth0\nnode a b\n")
}

#[test]
fn what_is_not_said_has_the_values_of_heartbeat() {
    let (all, findings) = ha("bcast eth0\nnode A,b\n");
    assert_eq!(messages(&findings), ["Deprecated 'legacy' auto_failback option selected"]);
    assert_eq!((all.keepalive, all.deadtime), (Span::from_secs(1), Span::from_secs(30)));
    assert_eq!((all.warntime, all.initdead), (Span::from_secs(15), Span::from_secs(30)));
    assert_eq!((all.deadping, all.port, all.failback), (all.deadtime, 694, Failback::Legacy));
    let names: Vec<_> = all.nodes.iter().map(|n| n.value.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    for (deadtime, initdead) in [("5", 12), ("6", 12), ("8", 16), ("10", 20), ("11", 11)] {
        let (all, _) = ha(&good(&format!("deadtime {deadtime}")));
        assert_eq!(all.initdead, Span::from_secs(initdead), "{deadtime}");
    }
}

#[test]
fn times_have_units_and_points() {
    for (text, ms) in [
        ("1", Some(1000)),
        ("1500ms", Some(1500)),
        ("0.5", Some(500)),
        ("2s", Some(2000)),
        ("1min", Some(60_000)),
        ("2500us", Some(3)),
        ("1H", Some(3_600_000)),
        ("x", None),
        ("5x", None),
        ("99999999999999999999", None),
    ] {
        let (all, findings) = ha(&good(&format!("deadtime 1h\nkeepalive {text}")));
        match ms {
            Some(ms) => assert_eq!(all.keepalive, Span::from_millis(ms), "{text}"),
            None => assert_eq!(messages(&findings), [format!("invalid time '{text}'")]),
        }
    }
}

#[test]
fn what_heartbeat_does_not_start_with_is_an_error() {
    for (lines, message) in [
        ("keepalive 2\ndeadtime 4", "Dead time [4000] is too small compared to keeplive [2000]"),
        ("initdead 20", "Initial dead time [20000] is smaller than deadtime [30000]"),
        ("deadping 1", "Ping dead time [1000] is too small compared to keeplive [1000]"),
        ("udpport x", "invalid port [x] specified"),
        ("baud 1", "invalid baudrate [1] specified"),
        ("baud 9600\nbaud 9600", "Baudrate multiply specified"),
        ("auto_failback maybe", "invalid auto_failback 'maybe'"),
        ("autojoin any", "R1 style resource management conflicts with autojoin set"),
        ("mcast eth0 225.0.0.1 694", "mcast [eth0] missing ttl"),
        ("mcast eth0 10.0.0.1 694 1 0", "mcast [eth0] bad mcast address [10.0.0.1]"),
        ("mcast eth0 225.0.0.1 694 9 0", "mcast [eth0] bad ttl [9]"),
        ("ucast eth0", "ucast: [eth0] missing target IP address/hostname"),
        ("serial ttyS0", "Illegal serial [Serial] in config file [ttyS0]"),
        ("stonith_host *", "No Stonith type given"),
        ("ping_group g", "ping_group needs a name and at least one address"),
        ("respawn hacluster ipfail", "Client child command [ipfail] is not full pathname"),
        ("apiauth ipfail", "Invalid apiauth directive [ipfail]"),
        ("watchdog /dev/a /dev/b", "Watchdog device multiply specified"),
        ("hopfudge 256", "invalid hopfudge '256'"),
    ] {
        let (_, findings) = ha(&good(lines));
        let said: Vec<_> = findings.errors.iter().map(|p| p.message.as_str()).collect();
        assert_eq!(said, [message], "{lines}");
    }
    let (_, nothing) = ha("# empty\n");
    let said = messages(&nothing);
    assert!(said.contains(&"No heartbeat media defined") && said.contains(&"no nodes defined"));
}

#[test]
fn an_unknown_directive_is_told_with_the_word_that_is_meant() {
    let text = good("keepalife 2");
    let (_, findings) = ha(&text);
    let problem = &findings.errors[0];
    assert_eq!(problem.message, "Illegal directive [keepalife]");
    assert_eq!(problem.help.as_deref(), Some("did you mean `keepalive`?"));
    assert_eq!(problem.place.as_ref().map(|p| &text[p.span.clone()]), Some("keepalife"));
}

#[test]
fn what_heartbeat_complains_about_is_a_warning() {
    for (text, message) in [
        (good("deadtime 4\ninitdead 5"), "Initial dead time [5000 ms] may be too small!"),
        (
            good("deadtime 5\nwarntime 6\ninitdead 30"),
            "warntime [6000] is not below deadtime [5000]",
        ),
        (good("keepalive"), "keepalive has no value, the line says nothing"),
        (good("udp eth1"), "directive 'udp' replaced by 'bcast'"),
        (good("node b"), "node b is named twice"),
        (good("") + "udpport 700\n", "udpport setting must precede media statements"),
        (good("") + "node c\n", "3 nodes share resources by haresources"),
        ("auto_failback on\nbcast eth0\nnode a\n".to_owned(), "a is the only node"),
    ] {
        let (_, findings) = ha(&text);
        assert!(findings.errors.is_empty(), "{text}: {:?}", findings.errors);
        assert_eq!(messages(&findings), [message], "{text}");
    }
}

#[test]
fn media_stonith_and_the_rest_are_understood() {
    let text = "baud 38400\nudpport 700\nserial /dev/ttyS0 # cable\nbcast eth0 eth1\nmcast eth2 225.0.0.1 694 1 0\n\
        ucast eth3 10.0.0.2\nauto_failback YES\nnode a\nnode b\nping 10.0.0.254\nping_group gw 10.0.0.1 10.0.0.2\n\
        stonith_host * null a b\nstonith_host A external/ssh b\nwatchdog /dev/watchdog\ncrm off\n\
        respawn hacluster /usr/lib/heartbeat/ipfail -x\napiauth ipfail gid=haclient uid=hacluster\nuse_logd yes\n";
    let (all, findings) = ha(text);
    assert_eq!(messages(&findings), [""; 0]);
    assert_eq!((all.baud, all.port, all.failback), (38_400, 700, Failback::On));
    let media: Vec<_> = all.media.iter().map(|m| m.value.clone()).collect();
    assert_eq!(media[0], Medium::Serial("/dev/ttyS0".to_owned()));
    assert_eq!(media[2], Medium::Bcast("eth1".to_owned()));
    assert!(matches!(&media[3], Medium::Mcast { ttl: 1, looped: false, port: 694, .. }));
    assert!(matches!(&media[4], Medium::Ucast { peer, .. } if peer == "10.0.0.2"));
    assert_eq!(all.pings[1].value.hosts, ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(all.stonith_at("a").map(|s| s.kind.as_str()), Some("external/ssh"));
    assert_eq!(all.stonith_at("b").map(|s| s.parameters.join(" ")), Some("a b".to_owned()));
    assert_eq!(all.respawn[0].value.command, "/usr/lib/heartbeat/ipfail -x");
    assert_eq!(all.watchdog.as_deref(), Some("/dev/watchdog"));
    assert_eq!(all.others.len(), 2);
}

#[test]
fn resources_have_arguments_and_addresses_their_parts() {
    let text = "# groups\nlvs1 192.168.6.240/24/eth0:1/192.168.6.255 \\\n  ldirectord::ldirectord.cf # both\n\
        lvs2 IPaddr2::10.0.0.5//eth1 Filesystem::/dev/drbd0::/srv::ext4 httpd\n";
    let (all, findings) = resources(text);
    assert_eq!(messages(&findings), [""; 0]);
    let [first, second] = &all.groups[..] else { panic!("{all:?}") };
    assert_eq!((first.node.value.as_str(), first.resources.len()), ("lvs1", 2));
    let address = first.resources[0].value.address.as_ref().unwrap();
    assert_eq!(first.resources[0].value.script, "IPaddr");
    assert_eq!((address.length, address.interface.as_deref()), (Some(24), Some("eth0")));
    assert_eq!((address.alias.as_deref(), address.broadcast.is_some()), (Some("1"), true));
    assert_eq!(first.resources[1].value.arguments, ["ldirectord.cf"]);
    let address = second.resources[0].value.address.as_ref().unwrap();
    assert_eq!((address.length, address.interface.as_deref()), (None, Some("eth1")));
    assert_eq!(second.resources[1].value.arguments, ["/dev/drbd0", "/srv", "ext4"]);
    assert_eq!(second.resources[2].value.text, "httpd");
}

#[test]
fn resources_that_are_hardly_meant_are_told() {
    for (text, message, help) in [
        ("a IPaddr::10.0.0.300", "IPaddr::10.0.0.300 has no address that can be read", None),
        (
            "a IPadr::10.0.0.3",
            "IPadr is no script that comes with heartbeat",
            Some("did you mean `IPaddr`?"),
        ),
        (
            "a IPaddr:10.0.0.3",
            "there is no script IPaddr:10.0.0.3",
            Some("did you mean `IPaddr::10.0.0.3`?"),
        ),
        ("IPaddr::10.0.0.3 httpd", "the line begins with the resource IPaddr::10.0.0.3", None),
        ("a", "a has no resources", None),
        ("a 10.0.0.3\nb 10.0.0.3", "10.0.0.3 stands in a group of a already", None),
        ("# none", "there are no resources", None),
    ] {
        let (_, findings) = resources(text);
        assert_eq!(messages(&findings), [message], "{text}");
        assert_eq!(findings.warnings[0].help.as_deref(), help, "{text}");
    }
}

#[test]
fn the_key_is_the_one_behind_its_auth_line() {
    let (all, findings) = keys("# keys\nauth 2\n1 crc\n2 sha1 secret\n");
    assert_eq!(messages(&findings), [""; 0]);
    let key = all.key().unwrap();
    assert_eq!((key.number, key.method, key.secret.as_str()), (2, AuthMethod::Sha1, "secret"));
    assert_eq!(keys("auth 1\n1md5 x\n").0.key().map(|k| k.method), Some(AuthMethod::Md5));
    for (text, message) in [
        ("1 sha1 x\nauth 1\n", "Auth Key [1] not found in keyfile"),
        ("1 sha1 x\n", "Missing auth directive in keyfile"),
        ("auth x\nauth 1\n1 crc\n", "Invalid auth line [auth x]"),
        ("auth 1\n1 sha256 x\n1 crc\n", "Invalid authtype [sha256]"),
        ("auth 1\n1 sha1\n1 crc\n", "Auth method [sha1] requires a key"),
        ("auth 1\n1 crc x\n1 crc\n", "Auth method [crc] doesn't use a key"),
        ("auth 1\n1 crc\n16 crc\n", "Invalid authnum [16]"),
        ("auth 1\n1 crc\nx y\n", "Auth line [x y] is invalid"),
        ("auth 1\n1 sha1 x y\n", "only the first word of a secret counts"),
    ] {
        assert_eq!(messages(&keys(text).1), [message], "{text}");
    }
}

#[test]
fn files_of_two_nodes_are_compared() {
    let one = ha(&good("")).0;
    let two = ha("auto_failback off\nudpport 700\nbcast eth0\nnode a c\ndeadtime 20\n").0;
    let first = resources("lvs1 10.0.0.1\n").0;
    let second = resources("a 10.0.0.1 httpd\n").0;
    let sides = [
        Side { node: Some("a"), ha: Some(&one), resources: Some(&first), keys: None },
        Side { node: Some("x"), ha: Some(&two), resources: Some(&second), keys: None },
    ];
    let said: Vec<_> = compare(&sides).into_iter().map(|p| p.message).collect();
    let expected = [
        "lvs1 is no node of ha.cf",
        "Current node [x] not in configuration!",
        "haresources of the nodes differ",
        "node of the nodes differs: a b and a c",
        "deadtime of the nodes differs: 30s and 20s",
        "udpport of the nodes differs: 694 and 700",
        "auto_failback of the nodes differs: on and off",
    ];
    assert_eq!(said, expected);
    let same = Side { node: Some("b"), ha: Some(&one), resources: Some(&second), keys: None };
    assert_eq!(compare(&[same, Side { node: Some("A"), ..same }]), []);
    let (mine, other) = (keys("auth 1\n1 md5 x\n2 crc\n").0, keys("auth 2\n2 crc\n1 md5 x\n").0);
    let side = |keys| Side { node: None, ha: None, resources: None, keys: Some(keys) };
    assert_eq!(compare(&[side(&mine), side(&other)]), []);
}

#[test]
fn each_file_is_told_from_the_others() {
    let texts = [
        good("keepalive 2"),
        "lvs1 IPaddr::10.0.0.1 httpd\n".to_owned(),
        "auth 1\n1 crc\n".to_owned(),
    ];
    let which: [fn(&str) -> bool; 3] =
        [ha_cf::looks_like, haresources::looks_like, authkeys::looks_like];
    for (n, text) in texts.iter().enumerate() {
        let found: Vec<bool> = which.iter().map(|looks| looks(text)).collect();
        assert_eq!(found, [n == 0, n == 1, n == 2], "{text}");
    }
    for other in [
        "",
        "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.0.2\n",
        "name = \"x\"\n[cluster]\n",
        "vrrp_instance VI {\n}\n",
        "virtual=10.0.0.1:80\n\treal=10.0.0.2:80 gate\n",
        "ip addr add 10.0.0.1/24 dev eth0\n",
    ] {
        assert!(which.iter().all(|looks| !looks(other)), "{other}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_ends_the_program(text in "[ -~\n\t\u{fc}#\\\\:/]{0,200}") {
        let mut sources = Sources::default();
        let file = sources.add("x", text.as_str());
        let found = [
            ha_cf::read(&sources, file).1,
            haresources::read(&sources, file).1,
            authkeys::read(&sources, file).1,
        ];
        for problem in found.iter().flat_map(Findings::problems) {
            let span = problem.place.as_ref().map(|p| p.span.clone()).unwrap_or(0..0);
            prop_assert!(text.get(span).is_some(), "{problem:?}");
        }
    }
}
