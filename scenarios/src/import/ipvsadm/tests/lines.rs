//! Single lines: what they ask for, and what is wrong with them.

use super::super::{command, *};
use schedulers::Algorithm;
use sim_core::engine::Span;
use sim_core::ipvs::Command;
use sim_core::ipvs::rules::{
    Daemon, DaemonRole, Encapsulation, Engine, Forwarding, OuterChecksum, ServerRule, ServiceKey,
    ServiceRule, TimeoutRule, TunnelOptions,
};
use sim_core::wire::proto;
use std::net::IpAddr;

fn names() -> Names {
    let mut names = Names::default();
    names.add("web1", ip("192.168.10.11"));
    names.add("vip", ip("192.168.10.200"));
    names
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn read(text: &str) -> Result<Action, Vec<Problem>> {
    line(FileId::default(), 0, text, &names()).map(|a| a.expect("a line that says something"))
}

fn action(text: &str) -> Action {
    read(text).unwrap_or_else(|problems| unreachable!("{text}: {problems:?}"))
}

fn messages(text: &str) -> Vec<String> {
    read(text).err().unwrap_or_default().into_iter().map(|p| p.message).collect()
}

fn web() -> ServiceKey {
    ServiceKey::Address { protocol: proto::TCP, vip: ip("192.168.10.200"), port: 80 }
}

fn service(text: &str) -> ServiceRule {
    let Action::Change(Command::AddService(rule)) = action(text) else {
        unreachable!("{text} adds a service")
    };
    rule
}

fn server(text: &str) -> (ServiceKey, ServerRule) {
    let Action::Change(Command::AddServer(key, rule)) = action(text) else {
        unreachable!("{text} adds a server")
    };
    (key, rule)
}

#[test]
fn every_spelling_of_a_line_means_the_same() {
    let plain = action("-A -t 192.168.10.200:80 -s rr -p 300 -M 255.255.255.0");
    for other in [
        "ipvsadm -A -t 192.168.10.200:80 -s rr -p 300 -M 255.255.255.0",
        "/sbin/ipvsadm -At192.168.10.200:80 -srr -p300 -M255.255.255.0",
        "-At 192.168.10.200:http -s=rr -p=300 -M 0xffffff00",
        "--add-service --tcp-service vip:http --scheduler=rr --persistent 300 --netmask=255.255.255.0",
        "--add-service --tcp=vip:80 --schedu rr --persistent=300 --netm 255.255.255.0",
        "--add-service\t-p 300 -M\t255.255.255.0 --tcp 192.168.10.200:80 -s rr\r",
    ] {
        assert_eq!(action(other), plain, "{other}");
    }
}

#[test]
fn long_options_may_be_cut_as_long_as_they_are_clear() {
    assert_eq!(
        action("--add-server --tcp vip:80 --real web1 --masq --wei 3"),
        action("-a -t vip:80 -r web1 -m -w 3")
    );
    assert_eq!(messages("-a -t vip:80 -r web1 --tun gue"), ["--tun: ambiguous option"]);
    assert_eq!(messages("--add-serv -t vip:80"), ["--add-serv: ambiguous option"]);
    assert_eq!(messages("-L --connection=3"), ["--connection=3: the option takes no value"]);
}

#[test]
fn a_service_has_the_defaults_of_ipvsadm() {
    let rule = service("-A -t vip:80");
    assert_eq!(rule.key, web());
    assert_eq!((rule.scheduler, rule.sched_flags), (Algorithm::Wlc, 0));
    assert_eq!((rule.persistent, rule.netmask_len), (None, 32));
    assert!(!rule.one_packet && rule.engine.is_none());
    let persistent = Some(Span::from_secs(360));
    assert_eq!(service("-A -t vip:80 -p").persistent, persistent);
    assert_eq!(service("-A -t vip:80 -p -s rr").persistent, persistent);
    assert_eq!(service("-A -t vip:80 -p -M 255.255.254.0").netmask_len, 23);
    assert_eq!(service("-A -t vip:80 -p -M 0.0.0.0").netmask_len, 0);
    let all_ports =
        ServiceKey::Address { protocol: proto::TCP, vip: ip("192.168.10.200"), port: 0 };
    assert_eq!(service("-A -t vip -p").key, all_ports);
}

#[test]
fn services_of_every_kind_are_read() {
    let key = |text: &str| service(text).key;
    let address = |protocol, vip: &str, port| ServiceKey::Address { protocol, vip: ip(vip), port };
    assert_eq!(key("-A -u 10.0.0.1:domain"), address(proto::UDP, "10.0.0.1", 53));
    assert_eq!(key("-A --sctp-service 10.0.0.1:36412"), address(132, "10.0.0.1", 36412));
    assert_eq!(key("-A -t [2001:db8::1]:80"), address(proto::TCP, "2001:db8::1", 80));
    assert_eq!(key("-A -f 5"), ServiceKey::Fwmark { mark: 5, v6: false });
    assert_eq!(key("-A -f 4294967295 -6"), ServiceKey::Fwmark { mark: u32::MAX, v6: true });
    let six = service("-A -f 5 -6 -p -M 64");
    assert_eq!(six.netmask_len, 64);
    assert_eq!(service("-A -t [2001:db8::1]:80 -p").netmask_len, 128);
    assert_eq!(service("-A -u vip:5060 -p -o --pe sip").engine, Some(Engine::Sip));
    assert!(service("-A -f 7 -o").one_packet);
}

#[test]
fn a_real_server_has_the_defaults_of_ipvsadm() {
    let (key, rule) = server("-a -t vip:80 -r web1");
    assert_eq!(key, web());
    let expected = ServerRule {
        rip: ip("192.168.10.11"),
        port: 80,
        forwarding: Forwarding::Dr,
        tunnel: TunnelOptions::default(),
        weight: 1,
        upper_threshold: 0,
        lower_threshold: 0,
    };
    assert_eq!(rule, expected);
    // only NAT maps ports; of a mark the port is what is given
    let port = |text: &str| server(text).1.port;
    assert_eq!(port("-a -t vip:80 -r web1:8080 -m"), 8080);
    assert_eq!(port("-a -t vip:80 -r web1:8080 -g"), 80);
    assert_eq!(port("-a -t vip:80 -r web1:8080 -i"), 80);
    assert_eq!(port("-a -f 1 -r web1:8080"), 8080);
    assert_eq!(port("-a -f 1 -r web1"), 0);
    // a service that comes later has not given its port yet
    assert_eq!(port("-a -r web1 -m -t vip:80"), 0);
    assert_eq!(port("-a -r web1 -t vip:80"), 80);
    let (_, rule) = server("-a -t vip:80 -r web1 -w 65535 -x 2147483647 -y 0");
    assert_eq!((rule.weight, rule.upper_threshold), (65_535, 2_147_483_647));
}

#[test]
fn tunnels_are_read_with_their_options() {
    let tunnel = |text: &str| {
        let (_, rule) = server(&format!("-a -t vip:80 -r web1 {text}"));
        assert_eq!(rule.forwarding, Forwarding::Tun);
        rule.tunnel
    };
    assert_eq!(tunnel("-i"), TunnelOptions::default());
    assert_eq!(tunnel("-i --tun-type ipip"), TunnelOptions::default());
    assert_eq!(
        tunnel("-i --tun-type gue --tun-port 5555 --tun-remcsum"),
        TunnelOptions { kind: Encapsulation::Gue, port: 5555, checksum: OuterChecksum::Remote }
    );
    assert_eq!(
        tunnel("-i --tun-type gre --tun-csum"),
        TunnelOptions { kind: Encapsulation::Gre, port: 0, checksum: OuterChecksum::Full }
    );
    // another address family needs a tunnel
    let mixed = server("-a -t [2001:db8::1]:80 -r 192.168.10.11 -i").1;
    assert_eq!((mixed.rip, mixed.port), (ip("192.168.10.11"), 80));
    for (text, message) in [
        ("--tun-type gue", "the option 'tun-type' needs the forwarding method -i"),
        ("-i --tun-csum", "the option 'tun-csum' conflicts with tun-type ipip"),
        ("-i --tun-type gue", "tun-type gue needs the option 'tun-port'"),
        ("-i --tun-type gre --tun-port 1", "the option 'tun-port' conflicts with tun-type gre"),
        ("-i --tun-type gre --tun-remcsum", "the option 'tun-remcsum' conflicts with tun-type gre"),
        (
            "-i --tun-type gue --tun-port 9 --tun-csum --tun-nocsum",
            "the option 'tun-csum' conflicts with another checksum",
        ),
        ("-i --tun-type gue --tun-port 0", "illegal tunnel port `0' specified"),
        ("-i --tun-type gue6", "illegal tunnel type `gue6' specified"),
    ] {
        assert_eq!(messages(&format!("-a -t vip:80 -r web1 {text}")), [message], "{text}");
    }
}

#[test]
fn every_other_command_is_read() {
    let change = |text: &str| match action(text) {
        Action::Change(change) => change,
        other => unreachable!("{other:?}"),
    };
    let web1 = ip("192.168.10.11");
    assert_eq!(change("-C"), Command::Clear);
    assert_eq!(change("-D -t vip:80"), Command::DeleteService(web()));
    assert_eq!(change("-d -t vip:80 -r web1"), Command::DeleteServer(web(), web1, 80));
    assert!(matches!(change("-E -t vip:80 -s rr"), Command::EditService(_)));
    let drain = change("-e -t vip:80 -r web1 -w 0");
    assert!(matches!(drain, Command::EditServer(_, s) if s.weight == 0));
    let set = TimeoutRule {
        tcp: Some(Span::from_secs(30)),
        tcp_fin: None,
        udp: Some(Span::from_secs(60)),
    };
    assert_eq!(change("--set 30 0 60"), Command::SetTimeouts(set));
    assert_eq!(change("-Z"), Command::Zero(None));
    assert_eq!(change("-Z -t vip:80"), Command::Zero(Some(web())));
    assert_eq!(action("-Sn"), Action::Save { numeric: true });
    assert_eq!(action("--save"), Action::Save { numeric: false });
    assert_eq!(action("-R"), Action::Restore);
    assert_eq!(action("-h"), Action::Help);
    assert_eq!(action("--version"), Action::Version);
    assert_eq!(command(&[], Names::NONE), Ok(Action::List(Listing::default())));
    let daemon = Daemon {
        role: DaemonRole::Master,
        interface: "eth1".to_owned(),
        syncid: 1,
        group: Some(ip("224.0.0.90")),
        port: None,
        ttl: Some(2),
        maxlen: None,
    };
    assert_eq!(
        change(
            "--start-daemon master --mcast-interface eth1 --syncid 1 --mcast-group 224.0.0.90 \
             --mcast-ttl 2"
        ),
        Command::StartDaemon(daemon)
    );
    assert_eq!(change("--stop-daemon backup"), Command::StopDaemon(DaemonRole::Backup));
}

#[test]
fn every_listing_is_read() {
    let list = |text: &str| match action(text) {
        Action::List(listing) => listing,
        other => unreachable!("{other:?}"),
    };
    let numeric = |view| Listing { view, numeric: true, ..Listing::default() };
    for (text, view) in [
        ("-Ln", View::Services),
        ("-ln --sort", View::Services),
        ("-Lnc", View::Connections { engine: false }),
        ("-Lnc --persistent-conn", View::Connections { engine: true }),
        ("-Ln --stats", View::Stats),
        ("-Ln --rate --stats", View::Stats),
        ("-Ln --rate", View::Rate),
        ("-Ln --thresholds", View::Thresholds),
        ("-Ln --persistent-conn", View::PersistentConn),
        ("-Ln --tun-info", View::TunInfo),
        ("-Ln --timeout", View::Timeout),
        ("-Ln --daemon", View::Daemon),
    ] {
        assert_eq!(list(text), numeric(view), "{text}");
    }
    let one = list("-L -X --nosort -t vip:80");
    assert_eq!(
        (one.service, one.exact, one.unsorted, one.numeric),
        (Some(web()), true, true, false)
    );
}

#[test]
fn what_may_not_stand_together_is_told_in_the_words_of_ipvsadm() {
    for (text, message) in [
        ("-A", "You need to supply the 'service-address' option for the 'add-service' command"),
        ("-D -t vip:80 -s rr", "Illegal 'scheduler' option with the 'delete-service' command"),
        ("-d -t vip:80 -r web1 -w 1", "Illegal 'weight' option with the 'delete-server' command"),
        ("-C -n", "Illegal 'numeric' option with the 'flush' command"),
        ("-S -t vip:80", "Illegal 'service-address' option with the 'save' command"),
        (
            "-L -c --timeout",
            "The option 'timeout' conflicts with the 'connection' option in the 'list' command",
        ),
        (
            "-L -t vip:80 -c",
            "The option 'connection' conflicts with the 'service-address' option in the 'list' command",
        ),
        ("-Lc --stats", "options conflicts in the list command"),
        ("-L --daemon --persistent-conn", "options conflicts in the list command"),
        ("-A -C -t vip:80", "multiple commands specified"),
        ("-A -t vip:80 -t vip:81", "multiple 'service-address' options specified"),
        ("-A -6 -f 5", "-6 used before -f"),
        ("-A -t vip:80 -6", "-6 used before -f"),
        ("-A -f 0", "invalid fwmark value `0' specified"),
        ("-A -t 80", "illegal virtual server address[:port] specified"),
        ("-A -t vip:80 -p 0", "invalid timeout value `0' specified"),
        ("-A -t vip:80 -p 2678401", "invalid timeout value `2678401' specified"),
        ("-A -t vip:80 -p -M 24x", "illegal virtual server persistent mask specified"),
        (
            "-A -t vip:80 -p -M 255.0.255.0",
            "the mask 255.0.255.0 is not one of leading bits: not simulated",
        ),
        ("-A -f 5 -6 -M 129", "illegal ipv6 netmask specified"),
        ("-A -t vip:80 --pe sipp", "`sipp` is no persistence engine"),
        ("-A -t vip:80 -s mh -b sh-port", "incompatible scheduler flag `sh-port'"),
        ("-A -t vip:80 -s", "-s: missing argument"),
        ("-a -t vip:80 -r web1 -w -1", "illegal weight specified"),
        ("-a -t vip:80 -r web1 -x 2147483648", "illegal u_threshold specified"),
        ("-a -t vip:80 -r web1 -y x", "illegal l_threshold specified"),
        ("-a -t vip:80 -r web9", "illegal real server address[:port] specified"),
        (
            "-a -t vip:80 -r [2001:db8::9]:80",
            "Invalid operation.  Possibly wrong module version, address not unicast, ...",
        ),
        (
            "-a -t vip:80 -r 224.0.0.1",
            "Invalid operation.  Possibly wrong module version, address not unicast, ...",
        ),
        ("--set 1 2 3 4", "--set option requires 3 timeout values"),
        ("--set 1 x 3", "invalid timeout value `x' specified"),
        ("--start-daemon both", "illegal start-daemon parameter specified"),
        ("--start-daemon master --syncid 256", "illegal syncid specified"),
        ("--start-daemon master --mcast-group 10.0.0.1", "illegal mcast-group specified"),
        ("-C # all of them", "unexpected argument #"),
        ("-t vip:80 -A", "`-t` is no command of ipvsadm"),
        ("-q", "`-q` is no command of ipvsadm"),
    ] {
        assert_eq!(messages(text), [message], "{text}");
    }
}

#[test]
fn all_mistakes_of_a_line_are_told_at_once_each_at_its_word() {
    let text = "-a -t vip:80 -r web2 -w 70000 -x 5 -y 9 -s rr foo --wieght 3";
    let problems = read(text).unwrap_err();
    let words: Vec<&str> = problems.iter().map(|p| &text[p.place.clone().unwrap().span]).collect();
    for word in ["web2", "70000", "9", "-s", "foo", "--wieght"] {
        assert!(words.contains(&word), "{word}: {words:?}");
    }
    let help =
        |message: &str| problems.iter().find(|p| p.message.contains(message)).unwrap().help.clone();
    assert_eq!(help("--wieght").as_deref(), Some("did you mean `--weight`?"));
    assert_eq!(help("real server").as_deref(), Some("did you mean `web1`?"));
    // in a list of flags the wrong one is marked
    let text = "-A -t vip:80 -s sh -b sh-port,sh-fallbak";
    let place = read(text).unwrap_err()[0].place.clone().unwrap();
    assert_eq!(&text[place.span], "sh-fallbak");
}

proptest::proptest! {
    #[test]
    fn no_line_ends_the_reader(text in "[-AEDaedLZSRtufrswpMbxygim6ohvcnX0-9.:=, \\[\\]a-f\u{fc}]{1,60}") {
        if let Err(problems) = line(FileId::default(), 0, &text, &names()) {
            proptest::prop_assert!(!problems.is_empty());
            for problem in problems {
                let span = problem.place.unwrap_or_default().span;
                proptest::prop_assert!(text.get(span).is_some());
            }
        }
    }
}
