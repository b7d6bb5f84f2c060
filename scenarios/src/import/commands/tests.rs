use super::action::{Encapsulation, Family, LinkKind, Net, RouteKind, Scope};
use super::netfilter::{Match, Table, Target};
use super::{Action, Context, Findings, HostSetup, Setting, read};
use crate::diagnostic::Sources;
use proptest::prelude::*;
use std::net::IpAddr;

/// Runs a text on a host with eth0 and eth1, beside a file `rules`.
fn run_with(text: &str, variables: &[(&str, &str)]) -> (HostSetup, Findings) {
    let mut sources = Sources::default();
    let file = sources.add("setup", text);
    let mut open = |name: &str| {
        (name == "rules")
            .then_some("-A -t 10.0.0.1:80 -s rr\n# none\n-a -t 10.0.0.1:80 -r 10.0.0.2 -g\n")
            .map(|t| (sources.add_once(name, t), t.to_owned()))
    };
    let variables: Vec<(String, String)> =
        variables.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let mut context = Context { variables: &variables, open: &mut open };
    let mut findings = Findings::default();
    let commands = read(file, 0, text, &mut context, &mut findings);
    let mut setup = HostSetup::new(&[("eth0", 1500), ("eth1", 1500)]);
    setup.apply(&commands, &mut findings);
    (setup, findings)
}

/// Runs a text that is right.
fn run(text: &str) -> HostSetup {
    let (setup, findings) = run_with(text, &[]);
    assert_eq!(findings.problems, [], "{text}");
    setup
}

fn messages(text: &str) -> Vec<String> {
    run_with(text, &[]).1.problems.into_iter().map(|p| p.message).collect()
}

fn addresses(setup: &HostSetup, name: &str) -> Vec<String> {
    let interface = setup.interface(name).unwrap();
    interface.addresses.iter().map(|a| a.net.to_string()).collect()
}

/// The first hop of the best default route.
fn default_gateway(setup: &HostSetup, family: Family) -> Option<IpAddr> {
    let default = setup.routes.iter().filter(|r| r.to == Net::all(family));
    default.min_by_key(|r| r.metric)?.hops[0].via.as_ref().map(|v| v.value)
}

fn setting_of(setup: &HostSetup, device: &str, name: &'static str) -> Option<i64> {
    setup.setting(&Setting::Interface(device.to_owned(), name))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ipvsadm(setup: &HostSetup) -> Vec<String> {
    let text = |words: &Vec<super::Word>| {
        words.iter().map(|w| w.value.clone()).collect::<Vec<_>>().join(" ")
    };
    setup.ipvsadm.iter().map(|(words, _)| text(words)).collect()
}

#[test]
fn ip_may_be_abbreviated_as_far_as_iproute2_allows() {
    let setup = run(
        "ip a a 10.0.0.1/24 dev eth0\nip -4 addr add 10.0.0.2/32 dev lo\nip li set eth1 up mtu 1400\nip ro add default via 10.0.0.9\nip ru a fwmark 0x1 lookup 100\nip -6 r a 2001:db8::/64 dev eth0\nip n r 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent",
    );
    assert_eq!(addresses(&setup, "eth0"), ["10.0.0.1/24"]);
    assert!(addresses(&setup, "lo").contains(&"10.0.0.2/32".to_owned()));
    assert_eq!(setup.interface("eth1").map(|i| i.mtu), Some(1400));
    assert_eq!(default_gateway(&setup, Family::V4), Some(ip("10.0.0.9")));
    assert_eq!(setup.rules[0].mark, Some((1, u32::MAX)));
    assert_eq!((setup.rules[0].table, setup.rules[0].priority), (100, Some(32_765)));
    assert_eq!(setup.neighbours[0].mac, Some([2, 0, 0, 0, 0, 9]));
}

#[test]
fn an_address_has_what_was_said_about_it() {
    let setup = run(
        "ip addr add 10.0.0.1/24 brd + dev eth0 label eth0:0 scope link\nip -6 addr add 2001:db8::1/64 dev eth0 nodad preferred_lft 0\nip addr add 10.0.1.1 peer 10.0.1.2/32 dev eth1",
    );
    let all = &setup.interface("eth0").unwrap().addresses;
    assert_eq!(all[0].broadcast, Some(ip("10.0.0.255")));
    assert_eq!((all[0].label.as_deref(), all[0].scope), (Some("eth0:0"), Some(Scope::Link)));
    assert!(all[1].deprecated && !all[0].deprecated);
    let peer = setup.interface("eth1").unwrap().addresses[0].peer;
    assert_eq!(peer.map(|p| p.to_string()).as_deref(), Some("10.0.1.2/32"));
}

#[test]
fn ifconfig_knows_classes_and_replaces_the_address_of_a_label() {
    let setup = run(
        "ifconfig eth0 192.168.1.1\nifconfig eth0:0 10.0.0.1\nifconfig eth0:0 10.0.0.2 netmask 255.255.0.0 up\nifconfig lo:0 10.0.0.3/32 up\nifconfig eth1 172.16.1.1 mtu 9000 hw ether 02:00:00:00:00:01",
    );
    assert_eq!(addresses(&setup, "eth0"), ["192.168.1.1/24", "10.0.0.2/16"]);
    assert_eq!(addresses(&setup, "lo"), ["10.0.0.3/32"]);
    let eth1 = setup.interface("eth1").unwrap();
    assert_eq!((eth1.mtu, eth1.mac), (9000, Some([2, 0, 0, 0, 0, 1])));
    assert_eq!(addresses(&setup, "eth1"), ["172.16.1.1/16"]);
    let setup = run("ifconfig eth0:0 10.0.0.1/24\nifconfig eth0:0 down");
    assert_eq!(addresses(&setup, "eth0"), [""; 0]);
    assert!(setup.interface("eth0").unwrap().up);
}

#[test]
fn a_primary_address_takes_its_secondary_ones_with_it() {
    let before = "ip addr add 10.0.0.1/24 dev eth0\nip addr add 10.0.0.2/24 dev eth0\nip addr add 10.0.0.3/32 dev eth0\n";
    let setup = run(&format!("{before}ip addr del 10.0.0.1/24 dev eth0"));
    assert_eq!(addresses(&setup, "eth0"), ["10.0.0.3/32"]);
    let promoted = "sysctl -w net.ipv4.conf.eth0.promote_secondaries=1\n";
    let setup = run(&format!("{before}{promoted}ip addr del 10.0.0.1/24 dev eth0"));
    assert_eq!(addresses(&setup, "eth0"), ["10.0.0.2/24", "10.0.0.3/32"]);
    let setup = run(&format!("{before}ip addr flush dev eth0"));
    assert_eq!(addresses(&setup, "eth0"), [""; 0]);
}

#[test]
fn routes_need_a_gateway_on_a_link_and_go_with_their_interface() {
    let good = "ip addr add 10.0.0.1/24 dev eth0\nip route add default via 10.0.0.9\n";
    let setup = run(good);
    assert_eq!(setup.routes[0].hops[0].device.as_ref().unwrap().value, "eth0");
    for gone in
        ["ip link set eth0 down", "ip addr del 10.0.0.1/24 dev eth0", "ip route del default"]
    {
        assert_eq!(run(&format!("{good}{gone}")).routes, [], "{gone}");
    }
    assert_eq!(messages(&format!("{good}ip route add default via 10.0.0.8")).len(), 1);
    let own = messages(&format!("{good}ip route replace default via 10.0.0.1"));
    assert_eq!(own, ["Nexthop has invalid gateway"]);
    let replaced = run(&format!("{good}ip route replace default via 10.0.0.8"));
    assert_eq!(default_gateway(&replaced, Family::V4), Some(ip("10.0.0.8")));
    // the old interface puts a new route in front
    let added = run(&format!("{good}route add default gw 10.0.0.8"));
    assert_eq!(default_gateway(&added, Family::V4), Some(ip("10.0.0.8")));
    assert_eq!(added.routes.len(), 2);
    // a host route makes a gateway a neighbour
    run(&format!(
        "{good}route add -host 172.16.0.1 dev eth0\nroute add -net 10.1.0.0 netmask 255.255.0.0 gw 172.16.0.1"
    ));
}

#[test]
fn routes_of_all_kinds_are_read() {
    let setup = run(
        "ip addr add 10.0.0.1/24 dev eth0\nip route add local default dev lo table 100\nip route add blackhole 10.9.0.0/16\nip route add unreachable 10.8.0.0/16\nip route append 10.7.0.0/16 nexthop via 10.0.0.2 weight 2 nexthop via 10.0.0.3\nip route add 10.6.0.0/16 via 10.0.0.4 src 10.0.0.1 metric 5 mtu 1400",
    );
    let kinds: Vec<RouteKind> = setup.routes.iter().map(|r| r.kind).collect();
    assert_eq!(kinds[..3], [RouteKind::Local, RouteKind::Blackhole, RouteKind::Unreachable]);
    assert_eq!(setup.routes[0].table, 100);
    assert_eq!(setup.routes[3].hops.iter().map(|h| h.weight).collect::<Vec<_>>(), [2, 1]);
    let last = &setup.routes[4];
    assert_eq!((last.source, last.metric, last.mtu), (Some(ip("10.0.0.1")), 5, Some(1400)));
    assert_eq!(last.to.to_string(), "10.6.0.0/16");
    let six = run("ip -6 addr add 2001:db8::2/64 dev eth0\nip route add default via 2001:db8::1");
    assert_eq!(default_gateway(&six, Family::V6), Some(ip("2001:db8::1")));
}

#[test]
fn tunnels_and_their_ports_are_read() {
    let setup = run(
        "modprobe ipip\nifconfig tunl0 10.0.0.1 netmask 255.255.255.255 up\nip link add g type gre local 10.0.0.2 remote any ttl 64\nip tunnel add t mode ipip remote 10.0.0.3\nip fou add port 5555 gue\nip fou add port 5556 ipproto 4\nip link set g up",
    );
    assert!(setup.interface("tunl0").unwrap().up);
    let LinkKind::Tunnel(gre) = &setup.interface("g").unwrap().kind else { unreachable!() };
    assert_eq!((gre.encapsulation, gre.local), (Encapsulation::Gre, Some(ip("10.0.0.2"))));
    assert_eq!((gre.remote, gre.ttl), (None, Some(64)));
    assert_eq!(setup.interface("t").map(|t| (t.mtu, t.up)), Some((1480, false)));
    assert_eq!(setup.fou.iter().map(|f| f.protocol).collect::<Vec<_>>(), [None, Some(4)]);
    assert_eq!(messages("ip link add t type ipip"), ["RTNETLINK answers: File exists"]);
}

#[test]
fn settings_are_read_from_words_files_and_proc() {
    let setup = run(
        "sysctl -q -w net.ipv4.ip_forward=1 net/ipv4/conf/all/arp_ignore=1\necho 2 >/proc/sys/net/ipv4/conf/eth0/arp_announce\necho 0 | tee /proc/sys/net/ipv4/conf/all/send_redirects\ncat <<EOF > /etc/sysctl.d/lvs.conf\n# comment\nnet.ipv4.vs.conntrack = 1 # another\n; a third\nEOF\nsysctl --system\nsysctl -p /etc/sysctl.d/lvs.conf",
    );
    assert_eq!(setup.setting(&Setting::Host("ipv4.ip_forward")), Some(1));
    assert_eq!(setting_of(&setup, "all", "arp_ignore"), Some(1));
    assert_eq!(setting_of(&setup, "eth0", "arp_announce"), Some(2));
    assert_eq!(setting_of(&setup, "eth1", "arp_announce"), None);
    assert_eq!(setup.setting(&Setting::Vs("conntrack")), Some(1));
}

#[test]
fn files_that_nobody_reads_take_effect_as_when_the_host_starts() {
    let text = "echo 'net.ipv4.ip_forward=1' >> /etc/sysctl.conf\nvim /etc/sysconfig/network-scripts/ifcfg-eth0:0\n  DEVICE=eth0:0\n  IPADDR=10.0.0.1   //comment\n  PREFIX=24\n";
    let (setup, findings) = run_with(text, &[]);
    assert_eq!(findings.problems, []);
    assert_eq!(findings.remarks.len(), 2);
    assert_eq!(setup.setting(&Setting::Host("ipv4.ip_forward")), Some(1));
    assert_eq!(addresses(&setup, "eth0"), ["10.0.0.1/24"]);
    let (setup, _) = run_with(&format!("{text}  ONBOOT=no\n"), &[]);
    assert_eq!(addresses(&setup, "eth0"), [""; 0]);
    let (setup, _) = run_with(&format!("{text}  ONBOOT=no\n\nifup eth0:0"), &[]);
    assert_eq!(addresses(&setup, "eth0"), ["10.0.0.1/24"]);
}

#[test]
fn rules_of_ipvsadm_come_from_lines_files_and_here_documents() {
    let from_file = ipvsadm(&run("ipvsadm -R < rules"));
    assert_eq!(from_file, ["-A -t 10.0.0.1:80 -s rr", "-a -t 10.0.0.1:80 -r 10.0.0.2 -g"]);
    let here =
        "V=10.0.0.1\nipvsadm-restore <<EOF\n-A -t $V:80 -s rr\n-a -t ${V}:80 -r 10.0.0.2 -g\nEOF";
    assert_eq!(ipvsadm(&run(here)), from_file);
    let saved =
        "ipvsadm -A -t 10.0.0.1:80 -s rr\nipvsadm -Sn > /root/r\nipvsadm -C\nipvsadm -R < /root/r";
    assert_eq!(ipvsadm(&run(saved)).last().map(String::as_str), Some("-A -t 10.0.0.1:80 -s rr"));
    let piped = "echo \"-A -t 10.0.0.1:80 -s rr\" | ipvsadm -R";
    assert_eq!(ipvsadm(&run(piped)), ["-A -t 10.0.0.1:80 -s rr"]);
}

#[test]
fn the_packet_filter_keeps_its_rules_in_order() {
    let setup = run(
        "iptables -t mangle -A PREROUTING -d 10.0.0.1 -p tcp -m multiport --dports 80,443,8000:8010 -j MARK --set-mark 10\niptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o eth0 -j SNAT --to-source 192.168.0.1\niptables -I INPUT -p tcp --tcp-flags SYN,ACK SYN,ACK -j DROP\niptables -N mine\niptables -A mine ! -s 10.0.0.9 -j RETURN\niptables -A INPUT -j mine\niptables -P FORWARD DROP\nip6tables -A INPUT -p icmpv6 -j ACCEPT",
    );
    let mangle = setup.netfilter.chain(Family::V4, Table::Mangle, "PREROUTING").unwrap();
    assert_eq!(mangle.rules[0].target, Target::Mark { value: 10, mask: u32::MAX });
    let ports = vec![80..=80, 443..=443, 8000..=8010];
    assert!(mangle.rules[0].matches.contains(&Match::DestinationPorts(ports, false)));
    let input = setup.netfilter.chain(Family::V4, Table::Filter, "INPUT").unwrap();
    assert_eq!(input.rules[0].matches[1], Match::TcpFlags(0x12, 0x12, false));
    assert_eq!(input.rules[1].target, Target::Chain("mine".to_owned()));
    assert!(!setup.netfilter.chain(Family::V4, Table::Filter, "FORWARD").unwrap().accept);
    assert!(setup.netfilter.chain(Family::V6, Table::Filter, "INPUT").is_some());
    let gone =
        run("iptables -A INPUT -s 10.0.0.1 -j DROP\niptables -D INPUT -s 10.0.0.1/32 -j DROP");
    assert_eq!(gone.netfilter.chains[0].rules, []);
}

#[test]
fn a_file_of_iptables_restore_is_read() {
    let setup = run(
        "iptables-restore <<EOF\n*mangle\n:PREROUTING ACCEPT [0:0]\n:mine - [0:0]\n[1:2] -A PREROUTING -p tcp --dport 80 -j MARK --set-xmark 0x1/0xffffffff\nCOMMIT\nEOF",
    );
    let chain = setup.netfilter.chain(Family::V4, Table::Mangle, "PREROUTING").unwrap();
    assert_eq!(chain.rules[0].target, Target::Mark { value: 1, mask: u32::MAX });
}

#[test]
fn a_script_runs_its_start_with_loops_and_conditions() {
    let setup = run(
        "#!/bin/sh\nVIP=10.0.0.1\ncase $1 in\nstart)\n  if [ -z \"$2\" ]; then\n    for n in {11..12} 13; do ipvsadm -a -t $VIP:80 -r 10.0.0.$n -g; done\n  else\n    ipvsadm -C\n  fi;;\nstop) ipvsadm -C ;;\nesac\n[ -n \"$VIP\" ] && ipvsadm -Z || ipvsadm -C\nfalse && ipvsadm -C\nexit 0",
    );
    let lines = ipvsadm(&setup);
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[2], "-a -t 10.0.0.1:80 -r 10.0.0.13 -g");
    assert_eq!(lines[3], "-Z");
}

#[test]
fn placeholders_are_filled_in_where_they_stand_alone() {
    let variables = [("VIP", "10.0.0.1"), ("\u{7aef}\u{53e3}", "80")];
    let text = "ipvsadm -A -t VIP\u{ff1a}\u{7aef}\u{53e3} -s rr\nip addr add <VIP>/32 dev lo\necho VIPS $VIP";
    let (setup, findings) = run_with(text, &variables);
    assert_eq!(findings.problems, []);
    assert_eq!(ipvsadm(&setup), ["-A -t 10.0.0.1:80 -s rr"]);
    assert_eq!(addresses(&setup, "lo"), ["10.0.0.1/32"]);
}

#[test]
fn a_hash_is_a_prompt_only_if_no_command_goes_without_it() {
    let prompts = "# a note\n# ip addr add 10.0.0.1/24 dev eth0\n# ipvsadm -Ln\nIP Virtual Server version 1.2.1 (size=4096)\n";
    assert_eq!(addresses(&run(prompts), "eth0"), ["10.0.0.1/24"]);
    let comment = "# ip addr add 10.0.0.1/24 dev eth0\nip addr add 10.0.0.2/24 dev eth0";
    let (setup, findings) = run_with(comment, &[]);
    assert_eq!(addresses(&setup, "eth0"), ["10.0.0.2/24"]);
    assert!(findings.remarks[0].message.starts_with("a comment that reads like a command"));
    let root = "[root@lvs ~]# ip addr add 10.0.0.1/24 dev eth0\nroot@lvs:~# ip link set eth0 up\n$ ipvsadm -C";
    assert_eq!(ipvsadm(&run(root)), ["-C"]);
}

#[test]
fn pasted_output_is_passed_over_and_a_misspelt_command_behind_it_is_not() {
    let text = "route -n\nDestination     Gateway         Genmask\n10.0.0.0    0.0.0.0         255.255.255.255 UH\nlsmod | grep ip_vs\nip_vs                 126897  0\nipvsadmm -C";
    let (_, findings) = run_with(text, &[]);
    assert_eq!(findings.remarks.len(), 3, "{:?}", findings.remarks);
    assert_eq!(findings.problems.len(), 1);
    assert_eq!(findings.problems[0].message, "`ipvsadmm` is not understood");
}

#[test]
fn services_that_read_or_empty_something_do_so() {
    let setup = run("iptables -A INPUT -j DROP\nservice iptables stop\nsystemctl stop firewalld");
    assert!(setup.netfilter.chains.iter().all(|c| c.rules.is_empty() && c.accept));
    let (setup, findings) = run_with("yum install -y ipvsadm\nmake && make install", &[]);
    assert_eq!(setup, HostSetup::new(&[("eth0", 1500), ("eth1", 1500)]));
    assert_eq!((findings.problems.len(), findings.remarks.len()), (0, 3));
}

#[test]
fn every_place_lies_in_the_text_and_shows_what_it_says() {
    let text = "VIP=10.0.0.1; ipvsadm -A -t $VIP:80 -s rr\nsysctl -w net.ipv4.ip_forward=1";
    let mut sources = Sources::default();
    let file = sources.add("setup", text);
    let mut context = Context { variables: &[], open: &mut |_| None };
    let commands = read(file, 0, text, &mut context, &mut Findings::default());
    let shown = |p: &crate::diagnostic::Place| &text[p.span.clone()];
    assert_eq!(shown(&commands[0].place), "ipvsadm -A -t $VIP:80 -s rr");
    let Action::Ipvsadm(words) = &commands[0].action else { unreachable!() };
    assert_eq!(shown(&words[2].place), "$VIP:80");
    let Action::Sysctl(key, value) = &commands[1].action else { unreachable!() };
    assert_eq!((shown(&key.place), shown(&value.place)), ("net.ipv4.ip_forward", "1"));
}

/// Words of commands, right and wrong ones.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(vec![
            "ip",
            "addr",
            "add",
            "route",
            "link",
            "set",
            "dev",
            "eth0",
            "lo:0",
            "via",
            "10.0.0.1/24",
            "10.0.0.9",
            "ifconfig",
            "netmask",
            "255.255.255.0",
            "up",
            "down",
            "default",
            "gw",
            "sysctl",
            "-w",
            "net.ipv4.ip_forward=1",
            "echo",
            ">",
            ">>",
            "<",
            "<<EOF",
            "EOF",
            "/proc/sys/net/ipv4/ip_forward",
            "iptables",
            "-t",
            "mangle",
            "-A",
            "PREROUTING",
            "-j",
            "MARK",
            "--set-mark",
            "1",
            "ipvsadm",
            "-C",
            "\n",
            ";",
            ";;",
            "&&",
            "||",
            "|",
            "for",
            "in",
            "do",
            "done",
            "case",
            "esac",
            "if",
            "then",
            "fi",
            "[",
            "]",
            ")",
            "(",
            "{",
            "}",
            "$1",
            "$VIP",
            "VIP=1",
            "'",
            "\"",
            "\\",
            "#",
            "//",
            "\u{ff1a}",
            "\u{2013}A",
            "\u{7aef}",
            "vim",
            "ifcfg-lo:0",
            "IPADDR=10.0.0.2",
            "DEVICE=lo:0",
            "ifup",
            "rule",
            "del",
            "flush",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,6}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_makes_the_reader_fail_and_all_places_are_in_it(
        words in proptest::collection::vec(word(), 0..40),
        glue in proptest::sample::select(vec![" ", "", "\n"]),
    ) {
        let text = words.join(glue);
        let (_, findings) = run_with(&text, &[("VIP", "10.0.0.7")]);
        for place in findings.problems.iter().filter_map(|p| p.place.as_ref()) {
            prop_assert!(place.span.start <= text.len() && place.span.end <= text.len(), "{place:?}");
        }
        for remark in &findings.remarks {
            prop_assert!(remark.place.span.end <= text.len(), "{remark:?}");
        }
    }
}
